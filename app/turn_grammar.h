/* app/turn_grammar.h: what the model may write in one turn, as a grammar for the sampler.
 *
 * Always: a tool call in the official markup (spec encoding 5.1), names and keys from the roster. For a model with "answers" in its
 * profile (a closed model) also:
 *   - names are words of the question (but the end of a contraction), names of the index that stand in it, qualified ones too, or the names
 *     like one that a result did not find, in its place; where some words are spelt as only names are (no part of a path), or quoted, or
 *     stand before a '(', others must be in the index, but for callees, what find_refs and call_sites look for, and names in edits; a pattern of grep is one of these or what the question quotes; paths are what could be one in the
 *     question, words of it that name a file, or paths of a result; the place of find_symbol_in and what is imported are any word or path of these, and so is
 *     the name of find_file where the question has no path, else one of these paths or a word that looks like a name or begins with a capital;
 *   - a word that stands once in the question is one argument of a call, not two;
 *   - edit names a file that the question names or a result stands in; its old text stands once in that file, as it is staged so far, and
 *     its new text is free; values, imports and statements are parts of the question, byte for byte, that cut no word, number or
 *     expression without blanks in two and leave no bracket or quote open, with the parentheses around them (of a question with more
 *     than 128 borders the shorter ones, with more than 2,048 any part);
 *   - the answer is one of its sentences, every way it can be said now (app/sentence.h).
 * Other models write freely.
 *
 * Nothing here reads the question for meaning: choosing among these is the model's work. */
#ifndef DR_APP_TURN_GRAMMAR_H
#define DR_APP_TURN_GRAMMAR_H

#include "app/profile.h"
#include "app/sentence.h"
#include "app/tools.h"
#include "app/turn_texts.h"
#include "engine/constraint.h"

/* Sorted unique words of a question; borrows it. v: runs of letters, digits, '_', '$' and '~'. paths: runs of those and of "./-+@:" that hold
 * one of these and something else, without a ':' in front and without '.', ':', '-' behind. quoted: what stands between two ", ' or ` of one
 * line, which no word touches from outside. */
typedef struct dr_words {
    dr_str question;
    dr_str *v;
    size_t n;
    dr_str *paths;
    size_t n_paths;
    dr_str *quoted;
    size_t n_quoted;
} dr_words;
bool dr_words_byte(unsigned char c); /* of v */
/* The next word of a text from *at on, and the next run of bytes that a path may have; *at moves behind it. False: there is none. */
bool dr_words_next(dr_str *out, dr_str text, size_t *at);
bool dr_words_next_run(dr_str *out, dr_str text, size_t *at);
/* What is left of a run that could be a path or a qualified name; empty when it is a plain word or no word at all. */
dr_str dr_words_as_path(dr_str run);
dr_status dr_words_init(dr_words *out, dr_str question, dr_error *err);
void dr_words_fini(dr_words *w);

typedef struct dr_turn_context {
    const dr_profile *profile;
    const dr_tokenizer *tokenizer;
    const dr_workspace *workspace;
    const dr_words *words;
    int32_t eos_id;
    const dr_tool_result *results; /* of this turn, in order */
    size_t n_results;
    const dr_place *reading; /* definitions whose text is in the pack */
    size_t n_reading;
    dr_turn_texts *texts; /* NULL: old text is free */
    bool may_call; /* false when the calls are used up */
} dr_turn_context;

/* What sentences are about. Borrows what the context borrows. */
dr_moment dr_turn_moment(const dr_turn_context *c);

typedef struct dr_turn_grammar {
    dr_grammar *grammar;
    dr_node root;
    void *storage; /* strings the sets borrow */
    dr_substrings *question;
} dr_turn_grammar;

/* Borrows what the context borrows, the texts until they are asked for another turn. DR_ERR_FORMAT: the tokenizer lacks a control token, or
 * nothing can be said or called. */
dr_status dr_turn_grammar_build(dr_turn_grammar *out, const dr_turn_context *c, dr_error *err);
void dr_turn_grammar_fini(dr_turn_grammar *g);

#endif
