/* Building grammars. */
#include "engine/constraint_parts.h"

#include <stdlib.h>
#include <string.h>

dr_grammar *dr_grammar_new(void)
{
    dr_grammar *g = calloc(1, sizeof *g);

    if (g)
        g->json[0] = g->json[1] = -1;
    return g;
}

static void free_node(dr_grammar_node *x)
{
    free(x->bytes);
    free(x->fail);
    free(x->children);
    free(x->keys);
    free(x->item);
    if (x->kind == DR_NODE_SET)
        dr_forks__free(x->forks);
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
    dr_grammar_node x = {.kind = DR_NODE_SET, .rows = {.strings = sorted, .n = (uint32_t)n}, .n = n, .id = -1};
    if (n > DR_FORK_ROWS && !(x.forks = dr_forks__new(&x.rows)))
        return fail(g);
    if (once)
        x.id = g->n_once++;
    return add(g, x);
}

/* ---- switches ---- */

typedef struct key {
    dr_str text;
    dr_node node;
    uint8_t of;
} key;

static int by_text(const void *a, const void *b)
{
    return dr_str_cmp(((const key *)a)->text, ((const key *)b)->text);
}

/* Keys in order, copied; v is put in order. */
static dr_node add_switch(dr_grammar *g, key *v, size_t n, bool used_up)
{
    dr_grammar_node x = {.kind = DR_NODE_SWITCH, .id = -1, .n = n};
    size_t n_bytes = 1, at = 0;
    bool ok = n > 0 && n < UINT32_MAX;

    for (size_t i = 0; i < n && ok; i++) {
        n_bytes += v[i].text.n;
        ok = v[i].text.n > 0 && v[i].node >= 0 && (size_t)v[i].node < g->n;
    }
    if (!ok || !(x.bytes = malloc(n_bytes)) || !(x.keys = calloc(n, sizeof *x.keys)) || !(x.children = malloc(n * sizeof *x.children)) ||
        (used_up && !(x.item = malloc(n)))) {
        free_node(&x);
        return fail(g);
    }
    qsort(v, n, sizeof *v, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i && dr_str_eq(v[i - 1].text, v[i].text)) {
            free_node(&x);
            return fail(g);
        }
        memcpy(x.bytes + at, v[i].text.s, v[i].text.n);
        x.keys[i] = (dr_str){x.bytes + at, v[i].text.n};
        at += v[i].text.n;
        x.children[i] = v[i].node;
        if (used_up)
            x.item[i] = v[i].of;
    }
    x.rows = (dr_rows){.strings = x.keys, .n = (uint32_t)n};
    return add(g, x);
}

dr_node dr_grammar_switch(dr_grammar *g, const dr_str *keys, const dr_node *nodes, size_t n)
{
    key *v = calloc(n + 1, sizeof *v);

    if (!v)
        return fail(g);
    for (size_t i = 0; i < n; i++)
        v[i] = (key){keys[i], nodes[i], 0};
    const dr_node x = add_switch(g, v, n, false);
    free(v);
    return x;
}

dr_node dr_grammar_each(dr_grammar *g, dr_node first, dr_node between, const dr_grammar_item *items, size_t n)
{
    dr_grammar_node x = {.kind = DR_NODE_EACH};
    key *v = calloc(n + 1, sizeof *v);
    bool ok = v != NULL;

    for (size_t i = 0; i < n && ok; i++) {
        ok = items[i].of < DR_GRAMMAR_ITEMS;
        v[i] = (key){items[i].key, items[i].node, items[i].of};
        x.all |= UINT64_C(1) << items[i].of % DR_GRAMMAR_ITEMS;
        x.required |= (uint64_t)items[i].required << items[i].of % DR_GRAMMAR_ITEMS;
    }
    if (!ok) {
        free(v);
        return fail(g);
    }
    const dr_node pick = add_switch(g, v, n, true);
    free(v);
    /* The last node of a sequence takes its frame over: the switch comes to stand right above this one. */
    const dr_node rounds[] = {dr_grammar_sequence(g, (const dr_node[]){first, pick}, 2), dr_grammar_sequence(g, (const dr_node[]){between, pick}, 2)};
    return add_children(g, x, rounds, 2);
}

dr_node dr_grammar__machine(dr_grammar *g, const dr_machine *m, int32_t min, int32_t max)
{
    if (min < 0 || max < -1 || (max != -1 && max < min))
        return fail(g);
    return add(g, (dr_grammar_node){.kind = DR_NODE_MACHINE, .machine = m, .min = min, .max = max});
}

dr_node dr_grammar_substring(dr_grammar *g, const dr_substrings *s, unsigned how)
{
    if (!s || s->rows.n == 0)
        return fail(g);
    return add(g, (dr_grammar_node){
                      .kind = DR_NODE_SUBSTRING, .id = -1, .rows = s->rows, .forks = s->forks, .index = s, .how = how, .n = s->rows.n});
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
    case DR_NODE_MACHINE: return x->min == 0 && (x->machine->flags[0] & DR_MACHINE_END);
    case DR_NODE_EACH: return x->required == 0;
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
    case DR_NODE_SWITCH:
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
            for (size_t k = 0; x->kind != DR_NODE_SWITCH && k < x->n && x->children && ready; k++) { /* a key comes before its node */
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
