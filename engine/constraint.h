/* engine/constraint.h: what may be sampled next: byte-level automata nested in one pushdown grammar.
 *
 * A grammar is built once from nodes and is then immutable; a constraint is a position in it (a small set of stacks). A token is legal
 * when all its bytes can be consumed, so a token may straddle the end of a value. Control tokens are symbols of their own, never
 * bytes. Cost of a test depends on the token's length and the grammar's ambiguity, not on the vocabulary or the size of a set: a set is a
 * sorted array, and so are the suffixes of a text once they are indexed, narrowed by search; how the widest of their ranges divide is noted
 * when the node is made (milliseconds for a million strings).
 *
 * Limits: 64 stacks at a time, 96 frames each (a sequence's last part takes no frame; JSON takes two for each level of nesting, objects
 * from a schema three). A grammar that begins in more ways is refused; one that comes to more later loses alternatives: legal tokens may
 * then be refused, illegal ones never pass. Sets, switches and items cost one stack, however many strings they have.
 *
 * Grammar: any thread reads it. Constraint: owned by one thread. */
#ifndef DR_ENGINE_CONSTRAINT_H
#define DR_ENGINE_CONSTRAINT_H

#include "base/bytes.h"
#include "base/status.h"
#include "engine/tokenizer.h"

typedef struct dr_grammar dr_grammar;
typedef int32_t dr_node; /* >= 0; -1 after a failed builder call, which later calls accept and pass on */

dr_grammar *dr_grammar_new(void); /* NULL: out of memory */
void dr_grammar_free(dr_grammar *g);

dr_node dr_grammar_literal(dr_grammar *g, dr_str bytes); /* copied; empty matches nothing-at-all (epsilon) */
dr_node dr_grammar_control(dr_grammar *g, int32_t token_id);
dr_node dr_grammar_sequence(dr_grammar *g, const dr_node *nodes, size_t n);
dr_node dr_grammar_choice(dr_grammar *g, const dr_node *nodes, size_t n);
/* min..max times; max -1: no end */
dr_node dr_grammar_repeat(dr_grammar *g, dr_node node, int32_t min, int32_t max);
/* Any one of the strings, which are borrowed, sorted by dr_str_cmp, unique and not empty. once: a string that was taken is not
 * offered again by this node in the same constraint (at most 64 strings then). */
dr_node dr_grammar_set(dr_grammar *g, const dr_str *sorted, size_t n, bool once);
/* A text that substrings are taken from, indexed once: 4.4 bytes a byte beside the text, which is borrowed and less than 2 GiB
 * (DR_ERR_LIMIT). Built in time linear in the text, whatever it repeats. Immutable; any number of grammars and threads. */
typedef struct dr_substrings dr_substrings;
dr_status dr_substrings_new(dr_substrings **out, dr_str text, dr_error *err);
void dr_substrings_free(dr_substrings *s);
enum {
    DR_SUBSTRING_LINES = 1,  /* begins at the start of a line, ends before or behind a line's end (\n or \r\n), or with the text */
    DR_SUBSTRING_UNIQUE = 2, /* ends only where what was taken stands once in the whole text, wherever that is */
};
/* A substring of the text, not empty, of the kind that `how` says; what is taken can always be completed to one. s is borrowed. Fails for
 * an empty text. */
dr_node dr_grammar_substring(dr_grammar *g, const dr_substrings *s, unsigned how);
/* One byte of the 256-bit mask; repeat it for runs. */
dr_node dr_grammar_bytes(dr_grammar *g, const uint64_t mask[4]);
/* One of the keys, then the node that goes with it: one thread for any number of them, where a choice of literals is a thread each.
 * Keys are copied, differ and are not empty. */
dr_node dr_grammar_switch(dr_grammar *g, const dr_str *keys, const dr_node *nodes, size_t n);
/* Items in any order, each at most once, those that are required at least once: `first` before the first of them, `between` before each
 * other one; nothing at all where none is required. Several items may be forms of one (the same `of`): one of them stands for all. */
enum { DR_GRAMMAR_ITEMS = 64 };
typedef struct dr_grammar_item {
    dr_str key;   /* as in a switch */
    dr_node node; /* what follows it */
    uint8_t of;   /* below DR_GRAMMAR_ITEMS */
    bool required; /* any form's counts */
} dr_grammar_item;
dr_node dr_grammar_each(dr_grammar *g, dr_node first, dr_node between, const dr_grammar_item *items, size_t n);
/* min..max characters in UTF-8 (max -1: no end), any but control tokens. */
dr_node dr_grammar_utf8(dr_grammar *g, int32_t min, int32_t max);
/* Free text, up to (not including) the first place where `stop` would begin; control tokens end it too. */
dr_node dr_grammar_text(dr_grammar *g, dr_str stop);
/* One JSON value in the layout of the dialect (separators ", " and ": "), depth at most 16. */
dr_node dr_grammar_json(dr_grammar *g);
/* A node to be defined later, for recursion; define it before use. A node must not begin with itself before something was taken. */
dr_node dr_grammar_forward(dr_grammar *g);
void dr_grammar_define(dr_grammar *g, dr_node forward, dr_node node);
bool dr_grammar_ok(const dr_grammar *g, dr_node root); /* false when a builder call failed, or a forward node breaks these rules */

typedef struct dr_constraint dr_constraint;
/* The grammar and what it borrows outlive the constraint. DR_ERR_ARG unless dr_grammar_ok; DR_ERR_LIMIT as said above. */
dr_status dr_constraint_new(dr_constraint **out, const dr_grammar *g, dr_node root, dr_error *err);
void dr_constraint_free(dr_constraint *c);
dr_status dr_constraint_clone(dr_constraint **out, const dr_constraint *c, dr_error *err);

/* Would this token be legal next? No state changes. */
bool dr_constraint_allows(const dr_constraint *c, const dr_tokenizer *t, int32_t id);
/* Takes a legal token. DR_ERR_ARG when it is not. */
dr_status dr_constraint_advance(dr_constraint *c, const dr_tokenizer *t, int32_t id, dr_error *err);
/* All legal tokens, or the first cap of them, in no particular order; returns how many. For narrow places: cost grows with the number of
 * different legal beginnings of tokens, where a test costs as little as above. Neither of the two allocates. */
size_t dr_constraint_legal(const dr_constraint *c, const dr_tokenizer *t, int32_t *ids, size_t cap);
/* Bytes that a legal token may begin with, and perhaps some more. */
void dr_constraint_first(const dr_constraint *c, uint64_t mask[4]);
bool dr_constraint_done(const dr_constraint *c); /* the root is complete here (more may still be legal) */
/* When exactly one continuation is legal, its bytes (as many as are forced, 0 when a choice is open): for tests and display. */
size_t dr_constraint_forced(const dr_constraint *c, char *out, size_t cap);

#endif
