/* repo/word_uses.h: where code uses a name that the snapshot does not define (strcpy, malloc, print): the symbol table keeps no uses of
 * such names, so every file of a language with names is searched for the word.
 *
 * A word in a comment or a string is no use, nor is one in a file whose language is not known. Only files that hold the word are parsed, and of those
 * the first 64 MiB in path order; in what lies beyond, every whole word counts. The answer depends on the snapshot only. */
#ifndef DR_REPO_WORD_USES_H
#define DR_REPO_WORD_USES_H

#include "repo/symbols.h"

#include <stdatomic.h>

typedef struct dr_word_use {
    uint32_t file, line;
    bool is_call; /* a '(' follows, blanks aside */
} dr_word_use;

/* One per source line; calls first, then by path, line. *out is the caller's to free, NULL when *n is 0. What is no name (repo/syntax.h) has no
 * uses. pool, cancel may be NULL. DR_ERR_CANCELLED, DR_ERR_NOMEM. A file that cannot be read is left out. */
dr_status dr_word_uses(dr_word_use **out, size_t *n, const dr_repo *repo, dr_str name, dr_pool *pool, const atomic_bool *cancel,
                       dr_error *err);

#endif
