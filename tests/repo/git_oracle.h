/* tests/repo/git_oracle.h: git the program as the judge of what our own evaluators say. Only tests use it.
 *
 * It runs without the settings of the user and the machine, so that nothing but the repository decides. */
#ifndef DR_TESTS_REPO_GIT_ORACLE_H
#define DR_TESTS_REPO_GIT_ORACLE_H

#include "tests/repo/make_repo.h"

/* False: not installed. */
bool git_is_here(void);

/* `git ARGS` in a folder of the world with this standard input; its output replaces *out. A failure fails the test,
 * unless it is the exit status `also_ok`. */
void git_says(dr_buf *out, const world *w, const char *folder, const char *args, dr_str input, int also_ok);

/* A sequence of numbers that is the same everywhere. */
typedef struct dice {
    uint64_t state;
} dice;
uint32_t roll(dice *d, uint32_t n); /* 0 .. n-1 */

/* A made-up name of a file or folder, and a made-up pattern over such names. Terminated; until the next call. */
const char *random_name(dice *d);
const char *random_pattern(dice *d);

#endif
