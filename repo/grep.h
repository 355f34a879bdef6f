/* repo/grep.h: lines of a snapshot that match a PCRE2 pattern.
 *
 * The shown text of files of a text class (repo/repo.h: UTF-8, secrets masked), in path order, line by line ('.' and
 * '$' never see a newline). A hit is a line, however often it matches. Patterns come from a model: compile and match
 * limits hold, and a clock. */
#ifndef DR_REPO_GREP_H
#define DR_REPO_GREP_H

#include "repo/repo.h"

#include <stdatomic.h>

typedef struct dr_grep_options {
    size_t max_hits;           /* kept, the first ones by path and line; 0: 1,000 */
    uint64_t max_time_us;      /* 0: 10 s */
    dr_pool *pool;             /* NULL: this thread */
    const atomic_bool *cancel; /* NULL: cannot be cancelled */
} dr_grep_options;

typedef struct dr_grep_hit {
    uint32_t file;
    uint32_t line;
    dr_str text; /* the line, without newline, at most 1,024 bytes of it; owned by the result */
} dr_grep_hit;

typedef struct dr_grep_result {
    dr_grep_hit *hits; /* by path, line */
    size_t n_hits;
    uint64_t n_total; /* lines that match, those not kept included */
    bool incomplete;  /* time ran out, or a file could not be read or searched to its end */
    void *storage;
} dr_grep_result;

/* DR_ERR_ARG: a pattern that does not compile, with PCRE2's words and the offset. DR_ERR_CANCELLED. Nothing found is
 * DR_OK. On any error *out is empty. Free with dr_grep_result_fini. */
dr_status dr_grep(dr_grep_result *out, const dr_repo *repo, dr_str pattern, const dr_grep_options *opt, dr_error *err);
void dr_grep_result_fini(dr_grep_result *r);

#endif
