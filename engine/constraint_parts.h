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
    size_t n;          /* of bytes, children or strings */
    uint64_t mask[4];  /* BYTES */
} dr_grammar_node;

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
