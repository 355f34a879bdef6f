/* base/status.h: the one result type, and the one way to fail.
 *
 * Zero is success, negative is failure. The message goes into storage the caller owns, written once,
 * where the facts are known; callers pass it up or handle it, and only app prints it. */
#ifndef DR_BASE_STATUS_H
#define DR_BASE_STATUS_H

#include <stdarg.h>

#define DR_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))

typedef enum dr_status {
    DR_OK = 0,
    DR_ERR_ARG = -1,       /* the caller broke the contract */
    DR_ERR_NOMEM = -2,
    DR_ERR_IO = -3,
    DR_ERR_FORMAT = -4,    /* the bytes are not what they claim to be */
    DR_ERR_NOT_FOUND = -5,
    DR_ERR_DEVICE = -6,    /* CUDA or NCCL; msg carries their text */
    DR_ERR_CANCELLED = -7,
    DR_ERR_LIMIT = -8,     /* a budget of time, tokens or bytes ran out */
    DR_ERR_AGAIN = -9,     /* busy now; the same call may succeed later */
} dr_status;

/* Long enough for a list of problems: `model check` reports all of them at once. */
enum { DR_ERROR_BYTES = 4096 };

typedef struct dr_error {
    dr_status code;
    char msg[DR_ERROR_BYTES];
} dr_error; /* every `err` argument may be NULL */

/* Records code and message, returns code: failing is one line. Too long a message is cut. */
dr_status dr_fail(dr_error *err, dr_status code, const char *fmt, ...) DR_PRINTF(3, 4);

/* Appends one more line to a message already there (or starts one): for checks that report every
 * problem they find. Returns code. When the room runs out the last line becomes "...". */
dr_status dr_fail_more(dr_error *err, dr_status code, const char *fmt, ...) DR_PRINTF(3, 4);

/* "bad argument", "out of memory", ... for logs; never NULL. */
const char *dr_status_name(dr_status code);

#endif
