/* engine/constraint_parts.h: the nodes of a grammar, shared by the builder and the automaton.
 *
 * A node is immutable once built, but for a forward node's target. */
#ifndef DR_ENGINE_CONSTRAINT_PARTS_H
#define DR_ENGINE_CONSTRAINT_PARTS_H

#include "engine/constraint.h"

enum { DR_GRAMMAR_ONCE_SETS = 4, DR_GRAMMAR_ONCE_STRINGS = 64 };

typedef enum dr_node_kind {
    DR_NODE_LITERAL,
    DR_NODE_CONTROL,
    DR_NODE_SEQUENCE,
    DR_NODE_CHOICE,
    DR_NODE_REPEAT,
    DR_NODE_SET,
    DR_NODE_SUBSTRING,
    DR_NODE_BYTES,
    DR_NODE_TEXT,
    DR_NODE_FORWARD,
} dr_node_kind;

typedef struct dr_grammar_node {
    dr_node_kind kind;
    int32_t id;        /* CONTROL: token. SET: its place among the `once` sets, or -1. FORWARD: target, or -1 */
    int32_t min, max;  /* REPEAT */
    char *bytes;       /* LITERAL, TEXT; owned */
    uint32_t *fail;    /* TEXT: longest border of each prefix of `stop` (Knuth, Morris, Pratt); owned */
    dr_node *children; /* SEQUENCE, CHOICE, REPEAT; owned */
    const dr_str *strings; /* SET; borrowed */
    const dr_substrings *index; /* SUBSTRING; borrowed */
    unsigned how;      /* SUBSTRING */
    size_t n;          /* of bytes, children or strings */
    uint64_t mask[4];  /* BYTES */
} dr_grammar_node;

/* Marks on the suffixes, by their rank, and how many stand before each word of them. */
typedef struct dr_marks {
    uint64_t *bits;
    uint32_t *before;
} dr_marks;

/* A range of ranks is what agrees on the bytes taken so far. */
struct dr_substrings {
    dr_str text;
    uint32_t *suffix; /* where they start, in the order of their bytes; one that is the beginning of another comes first */
    uint32_t n_alone; /* suffixes that start below it stand once in the text, the others twice */
    dr_marks line;    /* those that start a line */
    dr_marks alone;   /* those that start a line and, taken to the end of the text, stand once: what is left of a unique one can only
                       * be completed while one of them is among them */
};

/* Marked ranks in [lo, hi). */
uint32_t dr_marks__count(const dr_marks *m, uint32_t lo, uint32_t hi);

struct dr_grammar {
    dr_grammar_node *v;
    size_t n, cap;
    dr_node json; /* -1 until asked for */
    int32_t n_once;
    bool failed;
};

/* Were alternatives lost to the limits, up to here or in the last token tried? For tests. */
bool dr_constraint__cut(const dr_constraint *c);

#endif
