/* app/profile.h: how a model wants to be used: deepread.json beside its weights.
 *
 *   {"format": 1, "name": "nano", "limits": "one line told to the user",
 *    "pack": {"mode": "map", "budget": 1024}, "mode": "chat", "effort": "none", "instructions": "...",
 *    "tools": ["find_symbol", ...], "result_columns": 60, "result_lines": 8, "max_calls": 3, "max_tokens": 512,
 *    "context": 8192, "sampling": {"temperature": 0, "top_p": 1, "min_p": 0, "seed": 0},
 *    "answers": [{"text": "`{symbol}` is defined at {cite}.", "status": "answered", "check": "defined"}]}
 *
 * A folder without the file gets the defaults of an official checkpoint. "answers" makes a closed model: it may say these
 * sentences only, their holes filled from the symbol table, the question's words and the tool results:
 *   {symbol} a name that was looked up · {cite} PATH:LINE of a result · {enclosing} the name in that result line · {...} with more than one word
 *   inside: repeated, once for every line of the last result. */
#ifndef DR_APP_PROFILE_H
#define DR_APP_PROFILE_H

#include "base/bytes.h"
#include "engine/sampler.h"

typedef enum dr_pack_mode { DR_PACK_FULL, DR_PACK_MAP, DR_PACK_NONE } dr_pack_mode;
const char *dr_pack_mode_name(dr_pack_mode m);
bool dr_pack_mode_parse(dr_pack_mode *out, const char *name);

typedef enum dr_answer_status { DR_ANSWERED, DR_ANSWER_DECLINED, DR_ANSWER_UNVERIFIED } dr_answer_status;
const char *dr_answer_status_name(dr_answer_status s);

/* What has to hold for a closed answer to count as answered. DEFINED and USED also say whose places {cite} may name: those of
 * find_symbol, those of find_refs. */
typedef enum dr_answer_check {
    DR_CHECK_NONE,
    DR_CHECK_DEFINED, /* the quoted name is defined on every cited line */
    DR_CHECK_USED,    /* ... used or defined there */
    DR_CHECK_ABSENT,  /* no symbol has the quoted name */
    DR_CHECK_UNUSED,  /* nothing uses it */
} dr_answer_check;
enum { DR_N_CHECKS = DR_CHECK_UNUSED + 1 };

typedef struct dr_answer_form {
    char *text;
    dr_answer_status status;
    dr_answer_check check;
} dr_answer_form;

enum { DR_MAX_TOOLS = 16, DR_MAX_FORMS = 64 };

typedef struct dr_profile {
    char *name, *limits, *instructions, *effort; /* effort may be NULL */
    dr_pack_mode pack_mode;
    int64_t pack_budget; /* tokens; 0: what the context leaves */
    bool thinking;
    char *tools[DR_MAX_TOOLS];
    int n_tools;
    int32_t result_columns, result_lines, max_calls, max_tokens;
    int64_t context; /* 0: the model's own maximum */
    dr_sampling sampling;
    dr_answer_form forms[DR_MAX_FORMS];
    int n_forms; /* 0: free text */
} dr_profile;

/* Reads DIR/deepread.json. Unknown keys, wrong types and tools this program does not have are errors, each named. */
dr_status dr_profile_open(dr_profile *out, const char *dir, dr_error *err);
void dr_profile_fini(dr_profile *p);

#endif
