/* app/turn.h: one question, from prompt to checked answer: prefix, sampling under the grammar, tools, citations.
 *
 * Order of the prompt (what changes least comes first): BOS, pack, instructions, tool roster, question. History is a timeline of
 * tokens: what was sampled stays as it was sampled, tool results are appended, nothing is rendered twice. */
#ifndef DR_APP_TURN_H
#define DR_APP_TURN_H

#include "app/citation.h"
#include "app/outcome.h"
#include "app/prefix.h"
#include "app/setup.h"

typedef struct dr_answer {
    dr_buf text;
    dr_answer_status status;
    dr_citations citations;
    bool complete; /* false: tokens or context ran out */
    dr_prefix_stat prefix;
    int64_t n_decoded;  /* sampled tokens */
    uint64_t decode_us; /* spent on them, tools not counted */
    int n_calls;
    uint64_t n_left_out; /* lines the last tool result had no room for: the answer cannot know them */
} dr_answer;

/* Needs repository and model of the setup. budget: tokens of the pack; 0: no limit; below 0, with a full pack: what the context
 * leaves. Emits the events prefix, tool_call and tool_result as they happen; the answer is the
 * caller's to show. Free with dr_answer_fini in any case. */
dr_status dr_turn_run(dr_answer *out, dr_setup *s, dr_pack_mode mode, int64_t budget, const char *question, dr_error *err);
void dr_answer_fini(dr_answer *a);

#endif
