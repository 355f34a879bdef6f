/* app/turn_parts.h: what the files of a turn share. */
#ifndef DR_APP_TURN_PARTS_H
#define DR_APP_TURN_PARTS_H

#include "app/pack.h"
#include "app/turn.h"
#include "app/turn_grammar.h"
#include "engine/speculation.h"

enum { DR_TURN_CHUNK = 512, DR_TURN_RESULTS = 64 };

/* Where the prefix is worth an anchor: end of base, end of the pack, end of the roster. A base that no pack has is a mark at 0. */
enum { DR_MARK_BASE, DR_MARK_COMMITS, DR_MARK_PACK, DR_MARK_ROSTER, DR_N_MARKS };

struct dr_session {
    dr_setup *s;
    dr_session_options opt;
    dr_buf tools_json, instructions;
    dr_pack pack;
    dr_place *reading; /* functions and methods whose text is in the pack; empty where no sentence asks for them */
    size_t n_reading;
    int64_t most; /* the longest timeline */
    int32_t drafts;
    dr_prefix *prefix;
    dr_decoder *decoder; /* at the start, or, with many, at the roster's end once the first question came */
    int64_t n_shared;    /* tokens of it then */
    dr_speculation *speculation; /* on that decoder */
    float *logits;       /* [vocab], of the last token in a turn's decoder */
};

/* One question. */
typedef struct dr_turn {
    dr_session *session;
    dr_setup *s;
    dr_answer *answer;
    const char *question;
    dr_buf known; /* the reminder before it; empty: there is none */
    dr_edits *edits;
    dr_decoder *decoder; /* the session's, or a fork of it */
    dr_speculation *speculation;
    dr_sampler *sampler;
    dr_ids pending; /* sampled or rendered, not yet in the decoder */
    dr_words words;
    dr_turn_texts *texts;
    dr_tool_result results[DR_TURN_RESULTS];
    size_t n_results;
    bool ended; /* by a call that is not run here */
} dr_turn;

/* turn_prompt.c */
/* Roster, instructions, pack and places of a session. */
dr_status dr_turn__prepare(dr_session *session, dr_error *err);
/* BOS, pack, instructions and roster, reminder, question. */
dr_status dr_turn__prompt(dr_turn *t, dr_ids *ids, int64_t marks[DR_N_MARKS], dr_error *err);
/* The messages up to the question. Returns how many. */
enum { DR_TURN_OPENING = 3 };
size_t dr_turn__opening(const dr_turn *t, dr_message out[DR_TURN_OPENING]);

/* turn_judge.c: status and citations of an answer from what can be checked in it. */
dr_status dr_turn__judge(dr_turn *t, dr_error *err);

/* What the grammar and the sentences go by. */
dr_turn_context dr_turn__context(dr_turn *t, const dr_workspace *workspace);

#endif
