/* tests/app/program.h: the built program, run through the shell as a user would, for the tests that look at what it prints. */
#ifndef DR_TESTS_APP_PROGRAM_H
#define DR_TESTS_APP_PROGRAM_H

#include "base/bytes.h"

typedef struct run {
    dr_buf out; /* terminated, also when nothing was printed; the caller's */
    int exit;   /* -1: ended by a signal */
} run;

/* Runs it in the folder `in` (NULL: where the test runs); "%R" in the arguments stands for the path of the repository. Standard input is empty;
 * standard error goes where `redirect` says ("2>&1", "2>/dev/null"). Fails the test if the shell cannot be started. */
run program_run(const char *in, const char *repository, const char *arguments, const char *redirect);

#endif
