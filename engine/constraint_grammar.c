/* Building grammars, and the JSON grammar built from the same nodes. */
#include "engine/constraint_parts.h"

#include <stdlib.h>
#include <string.h>

dr_grammar *dr_grammar_new(void)
{
    dr_grammar *g = calloc(1, sizeof *g);

    if (g)
        g->json = -1;
    return g;
}

static void free_node(dr_grammar_node *x)
{
    free(x->bytes);
    free(x->fail);
    free(x->children);
}

void dr_grammar_free(dr_grammar *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++)
        free_node(&g->v[i]);
    free(g->v);
    free(g);
}

static dr_node fail(dr_grammar *g)
{
    g->failed = true;
    return -1;
}

/* Takes over what x owns. */
static dr_node add(dr_grammar *g, dr_grammar_node x)
{
    if (g->n == g->cap) {
        const size_t cap = g->cap ? 2 * g->cap : 64;
        dr_grammar_node *grown = cap <= INT32_MAX ? realloc(g->v, cap * sizeof *grown) : NULL;
        if (!grown) {
            free_node(&x);
            return fail(g);
        }
        g->v = grown;
        g->cap = cap;
    }
    g->v[g->n] = x;
    return (dr_node)g->n++;
}

static char *copy_bytes(dr_str s)
{
    char *p = malloc(s.n + 1);

    if (p && s.n)
        memcpy(p, s.s, s.n);
    return p;
}

dr_node dr_grammar_literal(dr_grammar *g, dr_str bytes)
{
    char *copy = bytes.n < UINT32_MAX ? copy_bytes(bytes) : NULL;

    return copy ? add(g, (dr_grammar_node){.kind = DR_NODE_LITERAL, .bytes = copy, .n = bytes.n}) : fail(g);
}

dr_node dr_grammar_control(dr_grammar *g, int32_t token_id)
{
    return token_id >= 0 ? add(g, (dr_grammar_node){.kind = DR_NODE_CONTROL, .id = token_id}) : fail(g);
}

static dr_node add_children(dr_grammar *g, dr_grammar_node x, const dr_node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i] < 0 || (size_t)nodes[i] >= g->n)
            return fail(g);
    if (n >= UINT32_MAX || !(x.children = malloc((n + 1) * sizeof *x.children)))
        return fail(g);
    if (n)
        memcpy(x.children, nodes, n * sizeof *nodes);
    x.n = n;
    return add(g, x);
}

dr_node dr_grammar_sequence(dr_grammar *g, const dr_node *nodes, size_t n)
{
    return add_children(g, (dr_grammar_node){.kind = DR_NODE_SEQUENCE}, nodes, n);
}

dr_node dr_grammar_choice(dr_grammar *g, const dr_node *nodes, size_t n)
{
    return n ? add_children(g, (dr_grammar_node){.kind = DR_NODE_CHOICE}, nodes, n) : fail(g);
}

dr_node dr_grammar_repeat(dr_grammar *g, dr_node node, int32_t min, int32_t max)
{
    if (min < 0 || max < -1 || (max != -1 && max < min))
        return fail(g);
    return add_children(g, (dr_grammar_node){.kind = DR_NODE_REPEAT, .min = min, .max = max}, &node, 1);
}

dr_node dr_grammar_set(dr_grammar *g, const dr_str *sorted, size_t n, bool once)
{
    if (n == 0 || n >= UINT32_MAX || (once && (n > DR_GRAMMAR_ONCE_STRINGS || g->n_once == DR_GRAMMAR_ONCE_SETS)))
        return fail(g);
    return add(g, (dr_grammar_node){.kind = DR_NODE_SET, .strings = sorted, .n = n, .id = once ? g->n_once++ : -1});
}

dr_node dr_grammar_substring(dr_grammar *g, const dr_substrings *s, unsigned how)
{
    return s && s->text.n ? add(g, (dr_grammar_node){.kind = DR_NODE_SUBSTRING, .id = -1, .index = s, .how = how, .n = s->text.n}) : fail(g);
}

dr_node dr_grammar_bytes(dr_grammar *g, const uint64_t mask[4])
{
    dr_grammar_node x = {.kind = DR_NODE_BYTES};

    memcpy(x.mask, mask, sizeof x.mask);
    return add(g, x);
}

dr_node dr_grammar_text(dr_grammar *g, dr_str stop)
{
    dr_grammar_node x = {.kind = DR_NODE_TEXT, .n = stop.n};

    if (stop.n >= UINT32_MAX || !(x.bytes = copy_bytes(stop)) || !(x.fail = calloc(stop.n + 1, sizeof *x.fail))) {
        free_node(&x);
        return fail(g);
    }
    for (size_t i = 1; i < stop.n; i++) {
        uint32_t k = x.fail[i - 1];
        while (k && stop.s[k] != stop.s[i])
            k = x.fail[k - 1];
        x.fail[i] = k + (stop.s[k] == stop.s[i]);
    }
    return add(g, x);
}

dr_node dr_grammar_forward(dr_grammar *g)
{
    return add(g, (dr_grammar_node){.kind = DR_NODE_FORWARD, .id = -1});
}

void dr_grammar_define(dr_grammar *g, dr_node forward, dr_node node)
{
    if (forward < 0 || (size_t)forward >= g->n || g->v[forward].kind != DR_NODE_FORWARD || node < 0 || (size_t)node >= g->n)
        g->failed = true;
    else
        g->v[forward].id = node;
}

/* ---- what makes a grammar usable ---- */

/* Can the node match nothing, as far as is known of its children? */
static bool can_be_empty(const dr_grammar *g, const bool *empty, const dr_grammar_node *x)
{
    switch (x->kind) {
    case DR_NODE_LITERAL: return x->n == 0;
    case DR_NODE_TEXT: return true;
    case DR_NODE_FORWARD: return empty[x->id];
    case DR_NODE_REPEAT: return x->min == 0 || empty[x->children[0]];
    case DR_NODE_SEQUENCE:
        for (size_t i = 0; i < x->n; i++)
            if (!empty[x->children[i]])
                return false;
        return true;
    case DR_NODE_CHOICE:
        for (size_t i = 0; i < x->n; i++)
            if (empty[x->children[i]])
                return true;
        return false;
    case DR_NODE_CONTROL:
    case DR_NODE_SET:
    case DR_NODE_SUBSTRING:
    case DR_NODE_BYTES: break;
    }
    (void)g;
    return false;
}

/* Does some node reach itself before anything has been taken? Nodes are struck off once all they can start with have been; what is
 * left when nothing more can be struck off lies on such a circle, or leads to one. */
static bool reaches_itself(const dr_grammar *g, const bool *empty, bool *done)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < g->n; i++) {
            const dr_grammar_node *x = &g->v[i];
            bool ready = true;
            if (done[i])
                continue;
            if (x->kind == DR_NODE_FORWARD)
                ready = done[x->id];
            for (size_t k = 0; k < x->n && x->children && ready; k++) {
                ready = done[x->children[k]];
                if (x->kind == DR_NODE_SEQUENCE && !empty[x->children[k]])
                    break; /* what follows starts behind it */
            }
            done[i] = ready;
            more |= ready;
        }
    }
    for (size_t i = 0; i < g->n; i++)
        if (!done[i])
            return true;
    return false;
}

bool dr_grammar_ok(const dr_grammar *g, dr_node root)
{
    bool ok = !g->failed && root >= 0 && (size_t)root < g->n;

    for (size_t i = 0; i < g->n && ok; i++)
        ok = g->v[i].kind != DR_NODE_FORWARD || g->v[i].id >= 0;
    if (!ok)
        return false;
    bool *empty = calloc(2 * g->n, sizeof *empty);
    if (!empty)
        return false;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < g->n; i++)
            if (!empty[i] && can_be_empty(g, empty, &g->v[i]))
                more = empty[i] = true;
    }
    ok = !reaches_itself(g, empty, empty + g->n);
    free(empty);
    return ok;
}

/* ---- JSON ---- */

static dr_node word(dr_grammar *g, const char *s)
{
    return dr_grammar_literal(g, dr_str_of(s));
}

static dr_node byte_range(dr_grammar *g, unsigned first, unsigned last)
{
    uint64_t mask[4] = {0};

    for (unsigned b = first; b <= last; b++)
        mask[b / 64] |= UINT64_C(1) << b % 64;
    return dr_grammar_bytes(g, mask);
}

#define COUNT(...) (sizeof((const dr_node[]){__VA_ARGS__}) / sizeof(dr_node))
#define SEQUENCE(g, ...) dr_grammar_sequence(g, (const dr_node[]){__VA_ARGS__}, COUNT(__VA_ARGS__))
#define CHOICE(g, ...) dr_grammar_choice(g, (const dr_node[]){__VA_ARGS__}, COUNT(__VA_ARGS__))

/* UTF-8 beyond ASCII: shortest forms, no surrogates. */
static dr_node wide_character(dr_grammar *g)
{
    const dr_node more = byte_range(g, 0x80, 0xbf);

    return CHOICE(g, SEQUENCE(g, byte_range(g, 0xc2, 0xdf), more), SEQUENCE(g, byte_range(g, 0xe0, 0xe0), byte_range(g, 0xa0, 0xbf), more),
                  SEQUENCE(g, byte_range(g, 0xe1, 0xec), more, more), SEQUENCE(g, byte_range(g, 0xed, 0xed), byte_range(g, 0x80, 0x9f), more),
                  SEQUENCE(g, byte_range(g, 0xee, 0xef), more, more),
                  SEQUENCE(g, byte_range(g, 0xf0, 0xf0), byte_range(g, 0x90, 0xbf), more, more),
                  SEQUENCE(g, byte_range(g, 0xf1, 0xf3), more, more, more),
                  SEQUENCE(g, byte_range(g, 0xf4, 0xf4), byte_range(g, 0x80, 0x8f), more, more));
}

/* Escapes as the dialect's writer has them: \u00XX for control characters alone. */
static dr_node json_string(dr_grammar *g)
{
    static const uint64_t plain[4] = {~UINT64_C(0) << 32 & ~(UINT64_C(1) << '"'), ~(UINT64_C(1) << ('\\' - 64))};
    static const uint64_t short_escape[4] = {UINT64_C(1) << '"', UINT64_C(1) << ('\\' - 64) | UINT64_C(1) << ('b' - 64) | UINT64_C(1) << ('f' - 64) |
                                                                      UINT64_C(1) << ('n' - 64) | UINT64_C(1) << ('r' - 64) |
                                                                      UINT64_C(1) << ('t' - 64)};
    static const uint64_t hex[4] = {UINT64_C(0x03ff) << '0', UINT64_C(0x7e) << ('`' - 64)};
    const dr_node escape = SEQUENCE(g, word(g, "\\"), CHOICE(g, dr_grammar_bytes(g, short_escape),
                                                             SEQUENCE(g, word(g, "u00"), byte_range(g, '0', '1'), dr_grammar_bytes(g, hex))));

    return SEQUENCE(g, word(g, "\""), dr_grammar_repeat(g, CHOICE(g, dr_grammar_bytes(g, plain), escape, wide_character(g)), 0, -1), word(g, "\""));
}

static dr_node json_number(dr_grammar *g)
{
    const dr_node digit = byte_range(g, '0', '9'), digits = dr_grammar_repeat(g, digit, 1, -1);
    const dr_node whole = CHOICE(g, word(g, "0"), SEQUENCE(g, byte_range(g, '1', '9'), dr_grammar_repeat(g, digit, 0, -1)));
    const dr_node fraction = SEQUENCE(g, word(g, "."), digits);
    const dr_node sign = CHOICE(g, word(g, "+"), word(g, "-"));
    const dr_node exponent = SEQUENCE(g, CHOICE(g, word(g, "e"), word(g, "E")), dr_grammar_repeat(g, sign, 0, 1), digits);

    return SEQUENCE(g, dr_grammar_repeat(g, word(g, "-"), 0, 1), whole, dr_grammar_repeat(g, fraction, 0, 1), dr_grammar_repeat(g, exponent, 0, 1));
}

/* Level inside level, so that the depth is bounded by construction. */
dr_node dr_grammar_json(dr_grammar *g)
{
    enum { LEVELS = 16 };

    if (g->json >= 0)
        return g->json;
    const dr_node string = json_string(g), number = json_number(g), comma = word(g, ", "), colon = word(g, ": ");
    const dr_node plain = CHOICE(g, string, number, word(g, "true"), word(g, "false"), word(g, "null"));
    const dr_node array = word(g, "[]"), object = word(g, "{}");
    dr_node value = plain;
    for (int level = 0; level < LEVELS; level++) {
        const dr_node member = SEQUENCE(g, string, colon, value);
        const dr_node full_array = SEQUENCE(g, word(g, "["), value, dr_grammar_repeat(g, SEQUENCE(g, comma, value), 0, -1), word(g, "]"));
        const dr_node full_object = SEQUENCE(g, word(g, "{"), member, dr_grammar_repeat(g, SEQUENCE(g, comma, member), 0, -1), word(g, "}"));
        value = CHOICE(g, plain, array, object, full_array, full_object);
    }
    g->json = value;
    return value;
}
