/* app/turn_grammar.h: what the model may write in one turn, as a grammar for the sampler.
 *
 * Always: a tool call in the official markup (spec encoding 5.1), names and keys from the roster. For a model with "answers" in its
 * profile (a closed model) also: symbol arguments are names of the index or words of the question; paths are paths of the
 * snapshot; the answer is one of its sentences, whose places stand in the results so far. Other models write freely.
 *
 * Nothing here reads the question for meaning: every word of it is offered alike, and choosing is the model's work. */
#ifndef DR_APP_TURN_GRAMMAR_H
#define DR_APP_TURN_GRAMMAR_H

#include "app/profile.h"
#include "app/tools.h"
#include "engine/constraint.h"

/* Sorted unique words: runs of letters, digits, '_', '$' and '~' in the question. Borrows it. */
typedef struct dr_words {
    dr_str *v;
    size_t n;
} dr_words;
dr_status dr_words_init(dr_words *out, dr_str question, dr_error *err);
void dr_words_fini(dr_words *w);

typedef struct dr_turn_context {
    const dr_profile *profile;
    const dr_tokenizer *tokenizer;
    const dr_workspace *workspace;
    const dr_words *words;
    const dr_str *paths; /* sorted, of all text files */
    size_t n_paths;
    int32_t eos_id;
    const dr_tool_result *results; /* of this turn, in order */
    size_t n_results;
    bool may_call; /* false when the calls are used up */
} dr_turn_context;

typedef struct dr_turn_grammar {
    dr_grammar *grammar;
    dr_node root;
    void *storage; /* strings the sets borrow */
} dr_turn_grammar;

/* Borrows what the context borrows. DR_ERR_FORMAT: the tokenizer lacks a control token, or a sentence's holes do not parse, or
 * nothing can be said or called. */
dr_status dr_turn_grammar_build(dr_turn_grammar *out, const dr_turn_context *c, dr_error *err);
void dr_turn_grammar_fini(dr_turn_grammar *g);

#endif
