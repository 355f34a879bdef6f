/* tests/engine/strict_completion.h: completions read by the letter of spec/deepseek-v4-encoding section 5.2, nothing tolerated.
 *
 * Written apart from engine/dialect_stream.c, on whole texts and with searches, to be compared with it: what this accepts the engine has
 * to read in the same way, and what the engine calls a call this has to accept. Names of calls and parameters that hold a control token,
 * and empty names of calls, are refused here as there. */
#ifndef DR_TESTS_STRICT_COMPLETION_H
#define DR_TESTS_STRICT_COMPLETION_H

#include "base/bytes.h"

typedef struct strict_call {
    dr_str name;
    dr_buf arguments;
} strict_call;

typedef struct strict_completion {
    dr_str reasoning, content;
    strict_call *calls;
    size_t n_calls;
} strict_completion;

/* False: not well-formed. Strings point into text. Free with strict_free either way. */
bool strict_parse(strict_completion *out, dr_str text, bool thinking);
void strict_free(strict_completion *c);

#endif
