/* engine/problems.h: what is wrong with a checkpoint, all of it, each with the file it is wrong in.
 *
 * Loading fails with the list as one message, `model check` prints it whole. Zero-initialise; owned by one thread. */
#ifndef DR_ENGINE_PROBLEMS_H
#define DR_ENGINE_PROBLEMS_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum dr_problem_kind {
    DR_PROBLEM_FILE_MISSING, /* a shard that the index names */
    DR_PROBLEM_FILE_CUT,     /* a shard shorter than its header says */
    DR_PROBLEM_FILE,         /* anything else about a file as a whole */
    DR_PROBLEM_MISSING,      /* a tensor of the plan */
    DR_PROBLEM_EXTRA,        /* a tensor that the plan does not know */
    DR_PROBLEM_SHAPE,        /* another shape or dtype than planned */
    DR_PROBLEM_CONTENT,      /* values that cannot be */
    DR_N_PROBLEM_KINDS,
} dr_problem_kind;

typedef struct dr_problem {
    dr_problem_kind kind;
    const char *text; /* "FILE: TENSOR: what", or without FILE when it belongs to none */
    const char *file; /* "" when it belongs to none; both live as long as the list */
} dr_problem;

enum { DR_PROBLEMS_KEPT = 1 << 16 }; /* a hostile header can hold millions; the counts go on */

typedef struct dr_problems {
    dr_problem *items;
    size_t n, cap; /* kept ones */
    size_t counts[DR_N_PROBLEM_KINDS];
    dr_arena *arena;
    bool failed; /* out of memory: the list is not whole */
} dr_problems;

/* file NULL: none. */
void dr_problems_add(dr_problems *p, dr_problem_kind kind, const char *file, const char *fmt, ...) DR_PRINTF(4, 5);
size_t dr_problems_count(const dr_problems *p);
/* DR_OK when there is none; else the problems as lines, as many as err holds, below a first line (heading NULL: none).
 * DR_ERR_NOT_FOUND when nothing is wrong but that whole files are missing, otherwise DR_ERR_FORMAT. */
dr_status dr_problems_fail(const dr_problems *p, const char *heading, dr_error *err);
void dr_problems_fini(dr_problems *p);

#endif
