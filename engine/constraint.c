/* Positions in a grammar as a set of threads, each a stack of frames; a byte moves every thread, a thread that cannot move is gone.
 *
 *  C1 Between bytes, the top frame of a thread waits for a byte or a control token; a thread without frames has matched the root.
 *  C2 Threads of a list differ. At most MAX_THREADS are kept; a grammar more ambiguous than that loses its later alternatives.
 *  C3 A frame never runs over a string of a `once` set that was taken, not even as a prefix: every legal byte can be completed. */
#include "engine/constraint.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 112, MAX_THREADS = 64, MAX_ONCE = 4, ONCE_STRINGS = 64 };

typedef enum node_kind { LITERAL, CONTROL, SEQUENCE, CHOICE, REPEAT, SET, BYTES, TEXT, FORWARD } node_kind;

typedef struct node {
    node_kind kind;
    int32_t id;       /* CONTROL: token; SET: slot of `once` or -1; FORWARD: target or -1 */
    int32_t min, max; /* REPEAT */
    char *bytes;      /* LITERAL, TEXT: owned */
    size_t n;         /* of bytes, children or strings */
    uint32_t *fail;   /* TEXT: failure links of `stop`, [n] */
    dr_node *children; /* owned */
    const dr_str *strings;
    uint64_t mask[4];
} node;

struct dr_grammar {
    node *v;
    size_t n, cap;
    dr_node json;
    int n_once;
    bool failed;
};

/* ---- building ---- */

dr_grammar *dr_grammar_new(void)
{
    dr_grammar *g = calloc(1, sizeof *g);
    if (g)
        g->json = -1;
    return g;
}

void dr_grammar_free(dr_grammar *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++) {
        free(g->v[i].bytes);
        free(g->v[i].fail);
        free(g->v[i].children);
    }
    free(g->v);
    free(g);
}

static dr_node add(dr_grammar *g, node x)
{
    if (g->n == g->cap) {
        const size_t cap = g->cap ? 2 * g->cap : 64;
        node *grown = cap <= INT32_MAX ? realloc(g->v, cap * sizeof *grown) : NULL;
        if (!grown)
            goto failed;
        g->v = grown;
        g->cap = cap;
    }
    g->v[g->n] = x;
    return (dr_node)g->n++;
failed:
    free(x.bytes);
    free(x.fail);
    free(x.children);
    g->failed = true;
    return -1;
}

static dr_node fail(dr_grammar *g)
{
    g->failed = true;
    return -1;
}

static char *copy_bytes(dr_str s)
{
    char *p = malloc(s.n ? s.n : 1);
    if (p && s.n)
        memcpy(p, s.s, s.n);
    return p;
}

dr_node dr_grammar_literal(dr_grammar *g, dr_str bytes)
{
    char *p = copy_bytes(bytes);
    return p ? add(g, (node){.kind = LITERAL, .bytes = p, .n = bytes.n}) : fail(g);
}

dr_node dr_grammar_control(dr_grammar *g, int32_t token_id)
{
    return token_id >= 0 ? add(g, (node){.kind = CONTROL, .id = token_id}) : fail(g);
}

static dr_node add_children(dr_grammar *g, node_kind kind, const dr_node *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (nodes[i] < 0 || (size_t)nodes[i] >= g->n)
            return fail(g);
    dr_node *copy = malloc((n ? n : 1) * sizeof *copy);
    if (!copy)
        return fail(g);
    if (n)
        memcpy(copy, nodes, n * sizeof *copy);
    return add(g, (node){.kind = kind, .children = copy, .n = n});
}

dr_node dr_grammar_sequence(dr_grammar *g, const dr_node *nodes, size_t n)
{
    return add_children(g, SEQUENCE, nodes, n);
}

dr_node dr_grammar_choice(dr_grammar *g, const dr_node *nodes, size_t n)
{
    return n ? add_children(g, CHOICE, nodes, n) : fail(g);
}

dr_node dr_grammar_repeat(dr_grammar *g, dr_node child, int32_t min, int32_t max)
{
    if (min < 0 || (max != -1 && max < min))
        return fail(g);
    const dr_node x = add_children(g, REPEAT, &child, 1);
    if (x >= 0) {
        g->v[x].min = min;
        g->v[x].max = max;
    }
    return x;
}

dr_node dr_grammar_set(dr_grammar *g, const dr_str *sorted, size_t n, bool once)
{
    if (n == 0 || n > UINT32_MAX / 2 || (once && (n > ONCE_STRINGS || g->n_once == MAX_ONCE)))
        return fail(g);
    return add(g, (node){.kind = SET, .strings = sorted, .n = n, .id = once ? g->n_once++ : -1});
}

dr_node dr_grammar_bytes(dr_grammar *g, const uint64_t mask[4])
{
    node x = {.kind = BYTES};
    memcpy(x.mask, mask, sizeof x.mask);
    return add(g, x);
}

dr_node dr_grammar_text(dr_grammar *g, dr_str stop)
{
    node x = {.kind = TEXT, .n = stop.n, .bytes = copy_bytes(stop), .fail = calloc(stop.n + 1, sizeof *x.fail)};
    if (!x.bytes || !x.fail) {
        free(x.bytes);
        free(x.fail);
        return fail(g);
    }
    for (size_t i = 1; i < stop.n; i++) { /* Knuth-Morris-Pratt: fail[i] = longest border of stop[0..i] */
        uint32_t k = x.fail[i - 1];
        while (k && stop.s[k] != stop.s[i])
            k = x.fail[k - 1];
        x.fail[i] = k + (stop.s[k] == stop.s[i] ? 1u : 0u);
    }
    return add(g, x);
}

dr_node dr_grammar_forward(dr_grammar *g)
{
    return add(g, (node){.kind = FORWARD, .id = -1});
}

void dr_grammar_define(dr_grammar *g, dr_node forward, dr_node target)
{
    if (forward < 0 || (size_t)forward >= g->n || g->v[forward].kind != FORWARD || target < 0 || (size_t)target >= g->n)
        g->failed = true;
    else
        g->v[forward].id = target;
}

bool dr_grammar_ok(const dr_grammar *g, dr_node root)
{
    if (g->failed || root < 0 || (size_t)root >= g->n)
        return false;
    for (size_t i = 0; i < g->n; i++)
        if (g->v[i].kind == FORWARD && g->v[i].id < 0)
            return false;
    return true;
}

static dr_node byte_range(dr_grammar *g, unsigned first, unsigned last)
{
    uint64_t mask[4] = {0};
    for (unsigned b = first; b <= last; b++)
        mask[b / 64] |= UINT64_C(1) << (b % 64);
    return dr_grammar_bytes(g, mask);
}

static dr_node word(dr_grammar *g, const char *s)
{
    return dr_grammar_literal(g, dr_str_of(s));
}

#define SEQ(g, ...) dr_grammar_sequence(g, (const dr_node[]){__VA_ARGS__}, sizeof((const dr_node[]){__VA_ARGS__}) / sizeof(dr_node))
#define ANY(g, ...) dr_grammar_choice(g, (const dr_node[]){__VA_ARGS__}, sizeof((const dr_node[]){__VA_ARGS__}) / sizeof(dr_node))

static dr_node json_string(dr_grammar *g)
{
    uint64_t plain[4] = {~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)};
    plain[0] &= ~((UINT64_C(1) << 32) - 1);          /* no control characters */
    plain[0] &= ~(UINT64_C(1) << '"');
    plain[1] &= ~(UINT64_C(1) << ('\\' - 64));
    uint64_t hex[4] = {UINT64_C(0x03ff000000000000), UINT64_C(0x0000007e0000007e), 0, 0};
    const dr_node unicode = SEQ(g, word(g, "u"), dr_grammar_repeat(g, dr_grammar_bytes(g, hex), 4, 4));
    const dr_node escape = SEQ(g, word(g, "\\"),
                               ANY(g, word(g, "\""), word(g, "\\"), word(g, "/"), word(g, "b"), word(g, "f"), word(g, "n"),
                                   word(g, "r"), word(g, "t"), unicode));
    const dr_node body = dr_grammar_repeat(g, ANY(g, dr_grammar_bytes(g, plain), escape), 0, -1);
    return SEQ(g, word(g, "\""), body, word(g, "\""));
}

static dr_node json_number(dr_grammar *g)
{
    const dr_node digit = byte_range(g, '0', '9'), digits = dr_grammar_repeat(g, digit, 1, -1);
    const dr_node whole = ANY(g, word(g, "0"), SEQ(g, byte_range(g, '1', '9'), dr_grammar_repeat(g, digit, 0, -1)));
    const dr_node fraction = dr_grammar_repeat(g, SEQ(g, word(g, "."), digits), 0, 1);
    const dr_node sign = dr_grammar_repeat(g, ANY(g, word(g, "+"), word(g, "-")), 0, 1);
    const dr_node power = dr_grammar_repeat(g, SEQ(g, ANY(g, word(g, "e"), word(g, "E")), sign, digits), 0, 1);
    return SEQ(g, dr_grammar_repeat(g, word(g, "-"), 0, 1), whole, fraction, power);
}

/* Nested by hand, level by level, so that depth is bounded by construction. */
dr_node dr_grammar_json(dr_grammar *g)
{
    enum { LEVELS = 16 };
    if (g->json >= 0)
        return g->json;
    const dr_node string = json_string(g), number = json_number(g);
    const dr_node plain = ANY(g, string, number, word(g, "true"), word(g, "false"), word(g, "null"), word(g, "[]"), word(g, "{}"));
    const dr_node comma = word(g, ", ");
    dr_node value = plain;
    for (int level = 1; level < LEVELS; level++) {
        const dr_node item = value, member = SEQ(g, string, word(g, ": "), value);
        const dr_node array = SEQ(g, word(g, "["), item, dr_grammar_repeat(g, SEQ(g, comma, item), 0, -1), word(g, "]"));
        const dr_node object = SEQ(g, word(g, "{"), member, dr_grammar_repeat(g, SEQ(g, comma, member), 0, -1), word(g, "}"));
        value = ANY(g, plain, array, object);
    }
    g->json = value;
    return value;
}

/* ---- threads ---- */

typedef struct frame {
    int32_t node;
    uint32_t a, b, c; /* LITERAL: a at · SEQUENCE: a next child · REPEAT: a rounds, b where an empty one began · SET: [a, b) at depth c
                         · TEXT: a bytes of stop matched */
} frame;

typedef struct thread {
    uint64_t used[MAX_ONCE];
    int32_t depth;
    frame f[MAX_DEPTH];
} thread;

typedef struct list {
    int32_t n;
    thread t[MAX_THREADS];
} list;

struct dr_constraint {
    const dr_grammar *g;
    uint32_t position; /* bytes and control tokens taken: tells an empty repetition from a real one */
    list *now;
    list *spare[2]; /* for trying a token */
    uint64_t first[4]; /* bytes that some thread waits for */
};

static void copy_thread(thread *to, const thread *from)
{
    memcpy(to->used, from->used, sizeof to->used);
    to->depth = from->depth;
    memcpy(to->f, from->f, (size_t)from->depth * sizeof *from->f);
}

static bool same(const thread *a, const thread *b)
{
    return a->depth == b->depth && memcmp(a->used, b->used, sizeof a->used) == 0 &&
           memcmp(a->f, b->f, (size_t)a->depth * sizeof *a->f) == 0;
}

static void keep(list *out, const thread *t)
{
    for (int32_t i = 0; i < out->n; i++)
        if (same(&out->t[i], t))
            return;
    if (out->n < MAX_THREADS)
        copy_thread(&out->t[out->n++], t);
}

static bool push(thread *t, frame f)
{
    if (t->depth == MAX_DEPTH)
        return false;
    t->f[t->depth++] = f;
    return true;
}

/* Is there a string in [lo, hi) that may still be taken? */
static bool any_left(const node *x, const thread *t, uint32_t lo, uint32_t hi)
{
    if (x->id < 0)
        return lo < hi;
    for (uint32_t i = lo; i < hi; i++)
        if (!(t->used[x->id] >> i & 1))
            return true;
    return false;
}

/* Expands the top of t until it waits for input, adding every alternative to out (C1). t is used up. */
static void settle(const dr_grammar *g, list *out, thread *t, uint32_t position)
{
    while (t->depth > 0) {
        frame *f = &t->f[t->depth - 1];
        const node *x = &g->v[f->node];
        thread branch;

        if (x->kind == SET && f->b == 0) { /* just entered: it spans all its strings */
            f->b = (uint32_t)x->n;
            if (!any_left(x, t, 0, f->b))
                return;
        }
        switch (x->kind) {
        case LITERAL:
            if (f->a < x->n) {
                keep(out, t);
                return;
            }
            t->depth--;
            break;
        case CONTROL:
        case BYTES: keep(out, t); return;
        case TEXT: /* may go on, and may end here */
            keep(out, t);
            t->depth--;
            break;
        case SET:
            if (any_left(x, t, f->a + (x->strings[f->a].n == f->c ? 1u : 0u), f->b))
                keep(out, t);
            if (x->strings[f->a].n != f->c || (x->id >= 0 && t->used[x->id] >> f->a & 1))
                return;
            if (x->id >= 0)
                t->used[x->id] |= UINT64_C(1) << f->a;
            t->depth--;
            break;
        case SEQUENCE:
            if (f->a == x->n)
                t->depth--;
            else if (!push(t, (frame){.node = x->children[f->a++]}))
                return;
            break;
        case CHOICE:
            for (size_t i = 0; i + 1 < x->n; i++) {
                copy_thread(&branch, t);
                branch.f[branch.depth - 1] = (frame){.node = x->children[i]};
                settle(g, out, &branch, position);
            }
            *f = (frame){.node = x->children[x->n - 1]};
            break;
        case REPEAT: {
            const bool empty = f->b == position + 1; /* the last round took nothing: further ones would not either */
            if (!empty && (x->max < 0 || f->a < (uint32_t)x->max)) {
                copy_thread(&branch, t);
                frame *b = &branch.f[branch.depth - 1];
                b->a += x->max >= 0 || b->a < (uint32_t)x->min ? 1u : 0u; /* without an end only the minimum counts */
                b->b = position + 1;
                if (push(&branch, (frame){.node = x->children[0]}))
                    settle(g, out, &branch, position);
            }
            if (f->a < (uint32_t)x->min && !empty)
                return;
            t->depth--;
            break;
        }
        case FORWARD: *f = (frame){.node = x->id}; break;
        }
    }
    keep(out, t); /* the root is complete */
}

static unsigned char byte_at(const node *x, uint32_t i, uint32_t depth)
{
    return (unsigned char)x->strings[i].s[depth];
}

/* Narrows [lo, hi) of strings that agree on `depth` bytes to those that go on with b. Strings that end at depth come first. */
static void narrow(const node *x, uint32_t *lo, uint32_t *hi, uint32_t depth, unsigned char b)
{
    uint32_t from = *lo, to = *hi;
    if (from < to && x->strings[from].n == depth)
        from++;
    uint32_t left = from, right = to;
    while (left < right) {
        const uint32_t mid = left + (right - left) / 2;
        if (byte_at(x, mid, depth) < b)
            left = mid + 1;
        else
            right = mid;
    }
    *lo = left;
    right = to;
    while (left < right) {
        const uint32_t mid = left + (right - left) / 2;
        if (byte_at(x, mid, depth) <= b)
            left = mid + 1;
        else
            right = mid;
    }
    *hi = left;
}

/* Moves one waiting thread over a byte; false: it cannot. */
static bool take_byte(const dr_grammar *g, thread *t, unsigned char b)
{
    if (t->depth == 0)
        return false;
    frame *f = &t->f[t->depth - 1];
    const node *x = &g->v[f->node];

    switch (x->kind) {
    case LITERAL:
        if ((unsigned char)x->bytes[f->a] != b)
            return false;
        f->a++;
        return true;
    case BYTES:
        if (!(x->mask[b / 64] >> (b % 64) & 1))
            return false;
        t->depth--;
        return true;
    case TEXT:
        if (x->n == 0)
            return true;
        while (f->a && (unsigned char)x->bytes[f->a] != b)
            f->a = x->fail[f->a - 1];
        f->a += (unsigned char)x->bytes[f->a] == b ? 1u : 0u;
        return f->a < x->n;
    case SET:
        narrow(x, &f->a, &f->b, f->c, b);
        f->c++;
        return f->a < f->b && any_left(x, t, f->a, f->b);
    case CONTROL:
    case SEQUENCE:
    case CHOICE:
    case REPEAT:
    case FORWARD: break;
    }
    return false;
}

static void step_byte(const dr_grammar *g, list *out, const list *in, unsigned char b, uint32_t position)
{
    thread t;
    out->n = 0;
    for (int32_t i = 0; i < in->n; i++) {
        copy_thread(&t, &in->t[i]);
        if (!take_byte(g, &t, b))
            continue;
        for (int32_t k = 0; k < t.depth; k++) /* rounds that have taken something are alike (C2) */
            if (g->v[t.f[k].node].kind == REPEAT)
                t.f[k].b = 0;
        settle(g, out, &t, position);
    }
}

static void step_control(const dr_grammar *g, list *out, const list *in, int32_t id, uint32_t position)
{
    thread t;
    out->n = 0;
    for (int32_t i = 0; i < in->n; i++) {
        const thread *from = &in->t[i];
        if (from->depth == 0)
            continue;
        const node *x = &g->v[from->f[from->depth - 1].node];
        if (x->kind != CONTROL || x->id != id)
            continue;
        copy_thread(&t, from);
        t.depth--;
        settle(g, out, &t, position);
    }
}

/* The bytes some thread waits for: most tokens are refused by their first one. */
static void find_first(dr_constraint *c)
{
    memset(c->first, 0, sizeof c->first);
    for (int32_t i = 0; i < c->now->n; i++) {
        const thread *t = &c->now->t[i];
        if (t->depth == 0)
            continue;
        const frame *f = &t->f[t->depth - 1];
        const node *x = &c->g->v[f->node];
        if (x->kind == LITERAL) {
            const unsigned char b = (unsigned char)x->bytes[f->a];
            c->first[b / 64] |= UINT64_C(1) << (b % 64);
        } else if (x->kind == TEXT)
            memset(c->first, 0xff, sizeof c->first);
        else if (x->kind == BYTES)
            for (int k = 0; k < 4; k++)
                c->first[k] |= x->mask[k];
        else if (x->kind == SET) {
            uint32_t at = f->a + (x->strings[f->a].n == f->c ? 1u : 0u);
            while (at < f->b) {
                const unsigned char b = byte_at(x, at, f->c);
                uint32_t lo = at, hi = f->b;
                c->first[b / 64] |= UINT64_C(1) << (b % 64);
                narrow(x, &lo, &hi, f->c, b);
                at = hi;
            }
        }
    }
}

dr_status dr_constraint_new(dr_constraint **out, const dr_grammar *g, dr_node root, dr_error *err)
{
    dr_status st = DR_OK;
    dr_constraint *c = calloc(1, sizeof *c);
    thread t = {.depth = 0};

    *out = NULL;
    if (!dr_grammar_ok(g, root)) {
        st = dr_fail(err, DR_ERR_ARG, "grammar: not complete");
        goto done;
    }
    if (!c || !(c->now = malloc(sizeof *c->now)) || !(c->spare[0] = malloc(sizeof *c->now)) ||
        !(c->spare[1] = malloc(sizeof *c->now))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    c->g = g;
    c->now->n = 0;
    (void)push(&t, (frame){.node = root});
    settle(g, c->now, &t, 0);
    find_first(c);
    *out = c;
    c = NULL;
done:
    dr_constraint_free(c);
    return st;
}

void dr_constraint_free(dr_constraint *c)
{
    if (!c)
        return;
    free(c->now);
    free(c->spare[0]);
    free(c->spare[1]);
    free(c);
}

dr_status dr_constraint_clone(dr_constraint **out, const dr_constraint *c, dr_error *err)
{
    dr_constraint *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d || !(d->now = malloc(sizeof *d->now)) || !(d->spare[0] = malloc(sizeof *d->now)) ||
        !(d->spare[1] = malloc(sizeof *d->now))) {
        dr_constraint_free(d);
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    d->g = c->g;
    d->position = c->position;
    d->now->n = c->now->n;
    for (int32_t i = 0; i < c->now->n; i++)
        copy_thread(&d->now->t[i], &c->now->t[i]);
    memcpy(d->first, c->first, sizeof d->first);
    *out = d;
    return DR_OK;
}

/* Runs a token over the threads; the list that came out, or NULL when none is left. */
static list *run(const dr_constraint *c, const dr_tokenizer *t, int32_t id)
{
    const dr_str bytes = dr_tokenizer_bytes(t, id);
    list *out = c->spare[0], *other = c->spare[1];
    const list *in = c->now;

    if (dr_tokenizer_is_special(t, id)) {
        step_control(c->g, out, in, id, c->position + 1);
        return out->n ? out : NULL;
    }
    if (bytes.n == 0 || !(c->first[(unsigned char)bytes.s[0] / 64] >> ((unsigned char)bytes.s[0] % 64) & 1))
        return NULL;
    for (size_t i = 0; i < bytes.n; i++) {
        step_byte(c->g, out, in, (unsigned char)bytes.s[i], c->position + 1 + (uint32_t)i);
        if (out->n == 0)
            return NULL;
        list *const written = out;
        in = written;
        out = other;
        other = written;
    }
    return other;
}

bool dr_constraint_allows(const dr_constraint *c, const dr_tokenizer *t, int32_t id)
{
    return run(c, t, id) != NULL;
}

dr_status dr_constraint_advance(dr_constraint *c, const dr_tokenizer *t, int32_t id, dr_error *err)
{
    list *after = run(c, t, id);

    if (!after)
        return dr_fail(err, DR_ERR_ARG, "token %d is not legal here", id);
    const int used = after == c->spare[1];
    c->spare[used] = c->now;
    c->now = after;
    c->position += dr_tokenizer_is_special(t, id) ? 1 : (uint32_t)dr_tokenizer_bytes(t, id).n;
    find_first(c);
    return DR_OK;
}

bool dr_constraint_done(const dr_constraint *c)
{
    for (int32_t i = 0; i < c->now->n; i++)
        if (c->now->t[i].depth == 0)
            return true;
    return false;
}

size_t dr_constraint_forced(const dr_constraint *c, char *out, size_t cap)
{
    dr_constraint *d = NULL;
    size_t n = 0;

    if (dr_constraint_clone(&d, c, NULL) != DR_OK)
        return 0;
    while (n < cap && !dr_constraint_done(d)) {
        int only = -1, count = 0;
        for (int b = 0; b < 256; b++)
            if (d->first[b / 64] >> (b % 64) & 1) {
                only = b;
                count++;
            }
        for (int32_t i = 0; i < d->now->n; i++) {
            const thread *t = &d->now->t[i];
            count += d->g->v[t->f[t->depth - 1].node].kind == CONTROL ? 1 : 0;
        }
        if (count != 1 || only < 0)
            break;
        step_byte(d->g, d->spare[0], d->now, (unsigned char)only, d->position + 1);
        list *const after = d->spare[0];
        if (after->n == 0)
            break;
        d->spare[0] = d->now;
        d->now = after;
        d->position++;
        find_first(d);
        out[n++] = (char)only;
    }
    dr_constraint_free(d);
    return n;
}
