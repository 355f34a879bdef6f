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
    DR_NODE_SWITCH,
    DR_NODE_EACH,
    DR_NODE_MACHINE,
    DR_NODE_BYTES,
    DR_NODE_TEXT,
    DR_NODE_FORWARD,
} dr_node_kind;

/* Strings in order: those of a set, or the suffixes of a text. What agrees on the bytes taken so far is a range of them. */
typedef struct dr_rows {
    const dr_str *strings; /* NULL: suffixes */
    dr_str text;
    const uint32_t *suffix; /* where they start */
    uint32_t n;
} dr_rows;

static inline size_t dr_rows__length(const dr_rows *r, uint32_t i)
{
    return r->strings ? r->strings[i].n : r->text.n - r->suffix[i];
}

/* at < its length */
static inline uint8_t dr_rows__byte(const dr_rows *r, uint32_t i, size_t at)
{
    return (uint8_t)(r->strings ? r->strings[i].s[at] : r->text.s[r->suffix[i] + at]);
}

/* First of [lo, hi) whose byte is not below b; all are longer than `at`. */
uint32_t dr_rows__lower_bound(const dr_rows *r, uint32_t lo, uint32_t hi, size_t at, unsigned b);

/* How the widest ranges are divided by their next byte: what a search in a million strings would find by touching twenty of them. */
typedef struct dr_forks dr_forks;
/* One range's parts: starts[i] .. starts[i + 1] go on with bytes[i]; the last ends where the range does. A row that ends here is in none. */
typedef struct dr_fork {
    const uint8_t *bytes;
    const uint32_t *starts;
    uint32_t n;
} dr_fork;
/* NULL: out of memory. Time for n rows: some searches for each of n / DR_FORK_ROWS ranges, at most DR_FORK_DEPTH bytes deep. */
enum { DR_FORK_ROWS = 256, DR_FORK_DEPTH = 24 };
dr_forks *dr_forks__new(const dr_rows *r);
void dr_forks__free(dr_forks *f);
/* Of the range that begins at lo and agrees on `at` bytes; false: not known, search. */
bool dr_forks__find(dr_fork *out, const dr_forks *f, uint32_t lo, size_t at);

/* A finite automaton over bytes. next[state][byte]; state 0 is the first. */
enum { DR_MACHINE_STATES = 16, DR_MACHINE_REFUSED = 255 };
enum {
    DR_MACHINE_END = 1,     /* the text may end in this state */
    DR_MACHINE_BETWEEN = 2, /* between characters: who comes here has taken one more */
    DR_MACHINE_ON = 4,      /* some byte leads on */
};
typedef struct dr_machine {
    uint8_t next[DR_MACHINE_STATES][256];
    uint8_t flags[DR_MACHINE_STATES];
} dr_machine;

/* A run of such; max < 0: no end. The machine outlives the grammar. */
dr_node dr_grammar__machine(dr_grammar *g, const dr_machine *m, int32_t min, int32_t max);
/* As dr_grammar_json, but no string at the top. */
dr_node dr_grammar__json_but_strings(dr_grammar *g);
/* What a quoted string holds, and a number: pieces of JSON. */
dr_node dr_grammar__json_string(dr_grammar *g, int32_t min, int32_t max);
dr_node dr_grammar__json_number(dr_grammar *g, bool whole, bool may_be_negative);

typedef struct dr_grammar_node {
    dr_node_kind kind;
    int32_t id;        /* CONTROL: token. SET: its place among the `once` sets, or -1. FORWARD: target, or -1 */
    int32_t min, max;  /* REPEAT: rounds. MACHINE: characters */
    char *bytes;       /* LITERAL, TEXT, SWITCH (of its keys); owned */
    uint32_t *fail;    /* TEXT: longest border of each prefix of `stop` (Knuth, Morris, Pratt); owned */
    dr_node *children; /* SEQUENCE, CHOICE, REPEAT, SWITCH (by key), EACH (the first round, those after it); owned */
    dr_str *keys;      /* SWITCH: what rows.strings is; owned */
    uint8_t *item;     /* SWITCH below an EACH, by key: which of its bits the key takes; owned. NULL: keys are not used up */
    uint64_t all, required; /* EACH: bits of its items */
    const dr_machine *machine; /* MACHINE; static */
    dr_rows rows;      /* SET, SUBSTRING: borrowed; SWITCH */
    dr_forks *forks;   /* SET: owned, SUBSTRING: borrowed; NULL: none */
    const dr_substrings *index; /* SUBSTRING; borrowed */
    unsigned how;      /* SUBSTRING */
    size_t n;          /* of bytes, children or rows */
    uint64_t mask[4];  /* BYTES */
} dr_grammar_node;

/* Marks on the suffixes, by their rank, and how many stand before each word of them. */
typedef struct dr_marks {
    uint64_t *bits;
    uint32_t *before;
} dr_marks;

struct dr_substrings {
    dr_rows rows;
    dr_forks *forks;
    uint32_t *suffix; /* owned; one that is the beginning of another comes first */
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
    dr_node json[2]; /* any value, and any but a string; -1 until asked for */
    int32_t n_once;
    bool failed;
};

/* Were alternatives lost to the limits, up to here or in the last token tried? For tests. */
bool dr_constraint__cut(const dr_constraint *c);

#endif
