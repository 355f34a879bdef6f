/* repo/pattern.h: one pattern of an ignore or attributes file, matched as git does, and lists of them.
 *
 * A pattern without a slash (one at its end aside) is held against the last part of a path; any other against the path
 * from the folder of the file that holds it. A slash at the end: folders only. '*' and '?' stop at slashes, sets take
 * ranges and [:classes:]. "**" between slashes, or between a slash and an end, stands for any number of folders; and so
 * it does when all before it is literal, with or without the slash (git matches that part apart).
 *
 * Time: one star of each kind is tried again at most, so a match takes at most about the pattern's length times the
 * square of the path's, and never more than a fixed number of steps: past them the answer is no. No state: any thread.
 */
#ifndef DR_REPO_PATTERN_H
#define DR_REPO_PATTERN_H

#include "base/bytes.h"

typedef struct dr_pattern {
    dr_str text;        /* without '!', a slash at either end; borrowed */
    uint32_t n_literal; /* bytes before the first that is special */
    bool negated;       /* began with '!' */
    bool folder_only;
    bool name_only; /* against the last part */
    bool suffix;    /* name_only, and one star before literal text */
} dr_pattern;

/* line: without blanks around it. */
dr_pattern dr_pattern__parse(dr_str line);

/* path: from the folder of the pattern's file; its last part starts at `name`. */
bool dr_pattern__match(const dr_pattern *p, dr_str path, size_t name, bool is_folder);

/* Patterns in the order of their lines. Zero-initialise. A long list has an index: each pattern stands in one chain,
 * the most telling that it allows (its whole text when that is literal, the first folder, the first or last byte of
 * name or path), so that of hundreds of patterns a path meets a few. */
enum { DR_PATTERN_CHAINS = 7 };
typedef struct dr_pattern_list {
    dr_pattern *v;
    uint32_t *before; /* [n] the previous one of the same chain, + 1; 0: none */
    uint32_t *heads;  /* the last one of each chain, + 1; NULL: a short list, all in one chain */
    size_t n, cap;
} dr_pattern_list;

bool dr_pattern_list__add(dr_pattern_list *l, dr_pattern p); /* false: out of memory */
void dr_pattern_list__fini(dr_pattern_list *l);

/* The patterns that match, from the last to the first. */
typedef struct dr_pattern_cursor {
    uint32_t next[DR_PATTERN_CHAINS]; /* what to look at, + 1 */
    int n;
} dr_pattern_cursor;
dr_pattern_cursor dr_pattern_list__from_end(const dr_pattern_list *l, dr_str path, size_t name);
/* The number of the next one; SIZE_MAX: no more. path, name, is_folder: as for dr_pattern__match, every time the same.
 */
size_t dr_pattern_list__next(dr_pattern_cursor *c, const dr_pattern_list *l, dr_str path, size_t name, bool is_folder);

/* One line of a file after the other, as git reads them: without the newline, a carriage return before it, and a byte
 * order mark at the start of the file. A NUL ends the line. False at the end. */
typedef struct dr_lines {
    dr_str rest;
    uint32_t number; /* of the last line, from 1 */
} dr_lines;
dr_lines dr_lines__of(dr_str file);
bool dr_lines__next(dr_lines *l, dr_str *line);

#endif
