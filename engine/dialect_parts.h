/* engine/dialect_parts.h: the control tokens of the prompt format and the dialect's texts, for the files that render and parse.
 *
 * The literals are those of spec/deepseek-v4-encoding section 1; U+FF5C and U+2581 as UTF-8. */
#ifndef DR_ENGINE_DIALECT_PARTS_H
#define DR_ENGINE_DIALECT_PARTS_H

#include "engine/dialect.h"
#include "engine/dialect_import.h"
#include "engine/json.h"

#define DR_BAR "\xef\xbd\x9c"
#define DR_UNDERLINE "\xe2\x96\x81"
#define DR_LITERAL_BOS "<" DR_BAR "begin" DR_UNDERLINE "of" DR_UNDERLINE "sentence" DR_BAR ">"
#define DR_LITERAL_EOS "<" DR_BAR "end" DR_UNDERLINE "of" DR_UNDERLINE "sentence" DR_BAR ">"
#define DR_LITERAL_USER "<" DR_BAR "User" DR_BAR ">"
#define DR_LITERAL_ASSISTANT "<" DR_BAR "Assistant" DR_BAR ">"
#define DR_LITERAL_REMINDER "<" DR_BAR "latest_reminder" DR_BAR ">"
#define DR_LITERAL_THINK "<think>"
#define DR_LITERAL_END_THINK "</think>"
#define DR_LITERAL_DSML DR_BAR "DSML" DR_BAR
/* What stands in front of a response format's schema. */
#define DR_FORMAT_HEAD "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"

typedef struct dr_effort {
    dr_str name, text;
} dr_effort;

struct dr_dialect {
    dr_str release; /* for people; empty when the file does not say */
    dr_str tools_head, tools_tail;
    dr_effort *efforts;
    size_t n_efforts;
    char *source; /* the texts point into it and into doc */
    dr_json_doc doc;
};

/* What a release is known by: the SHA-256 of its texts, in hexadecimal. An effort without a hash has no text. */
enum { DR_RELEASE_EFFORTS = 3 };
typedef struct dr_release {
    const char *name, *head, *tail;
    struct {
        const char *name, *hash;
    } efforts[DR_RELEASE_EFFORTS];
} dr_release;
/* dr_dialect_import with other releases than the published ones: what tests have, whose texts are their own. */
dr_status dr_dialect__import(dr_import *out, const dr_release *known, size_t n_known, dr_str python, const char *name, bool accept,
                             dr_error *err);

/* The token of one of the six tasks; empty for any other name. */
dr_str dr_dialect__task_token(dr_str task);
/* The longest control token's literal that starts s; empty when none does. */
dr_str dr_dialect__control_at(dr_str s);

#endif
