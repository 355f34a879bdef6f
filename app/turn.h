/* app/turn.h: questions, from prompt to checked answer: prefix, sampling under the grammar, tools, citations.
 *
 * Order of the prompt (what changes least comes first): BOS, pack, instructions, tool roster, reminder, question. History is a timeline of
 * tokens: what was sampled stays as it was sampled, tool results are appended, nothing is rendered twice.
 *
 * A session holds what its questions share. Each question is a conversation of its own: none sees another's. */
#ifndef DR_APP_TURN_H
#define DR_APP_TURN_H

#include "app/citation.h"
#include "app/edit.h"
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
    int n_malformed;     /* completions that were no sound markup, and calls that named no tool or lacked an argument */
    uint64_t n_left_out; /* lines the last tool result had no room for, and the other definitions of a name whose part is told */
} dr_answer;

typedef struct dr_session dr_session;

typedef struct dr_session_options {
    dr_pack_mode mode;
    int64_t budget; /* tokens of the pack; 0: no limit; below 0, with a full pack: what the context leaves */
    bool many;      /* more than one question will come: what stands before them stays in memory, and the cache is left alone after it */
    bool free;      /* sample without the grammar: for measurements */
} dr_session_options;

/* Needs repository and model of the setup; builds the pack. */
dr_status dr_session_open(dr_session **out, dr_setup *s, const dr_session_options *opt, dr_error *err);
void dr_session_close(dr_session *session);

/* One question. edits: where edit and rename stage their changes; NULL: a call of theirs ends the turn, declined. Emits the events prefix,
 * tool_call and tool_result as they happen; the answer is the caller's to show. Free with dr_answer_fini in any case. */
dr_status dr_session_ask(dr_session *session, dr_answer *out, const char *question, dr_edits *edits, dr_error *err);
void dr_answer_fini(dr_answer *a);

#endif
