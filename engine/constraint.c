/* Positions in a grammar as a set of threads, each a stack of frames; a byte moves every thread, a thread that cannot move is gone.
 *
 *  C1 Between bytes the top frame of a thread waits for a byte or a control token; a thread without frames has matched the root.
 *  C2 The threads of a list differ. At most MAX_THREADS are kept, none deeper than MAX_DEPTH, and at most MAX_STEPS taken for one byte:
 *     what is more ambiguous than that loses later alternatives. So a legal token may be refused then, and an illegal one never gets
 *     through.
 *  C3 Where strings of a `once` set were taken, a thread goes on only while one that was not is still ahead of it: every legal byte
 *     can be completed. */
#include "engine/constraint_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 96,
    MAX_THREADS = 64,
    MAX_STEPS = 16384,
    PATH = 16, /* bytes of a token whose lists are kept while the vocabulary is walked */
    FEW_STRINGS = 64, /* looked at one by one rather than searched; not below DR_GRAMMAR_ONCE_STRINGS */
};

typedef struct frame {
    int32_t node;
    uint32_t a, b, c; /* LITERAL: a bytes matched. SEQUENCE: a children begun. REPEAT: a rounds begun, b the last has taken nothing yet.
                       * SET: [a, b) agree on c bytes. TEXT: a bytes of `stop` matched */
} frame;

typedef struct thread {
    uint64_t used[DR_GRAMMAR_ONCE_SETS]; /* strings taken, by set */
    int32_t depth;
    frame f[MAX_DEPTH];
} thread;

typedef struct list {
    int32_t n;
    bool cut; /* alternatives were lost (C2) */
    thread t[MAX_THREADS];
} list;

struct dr_constraint {
    const dr_grammar *g;
    uint64_t first[4]; /* no byte outside it can be taken next */
    list *now;
    list *next, *other; /* for trying a token */
    list *work;         /* threads that do not wait yet */
    list *path[PATH + 1];
    list *all;          /* the storage of all of them */
};

static void copy_thread(thread *to, const thread *from)
{
    memcpy(to->used, from->used, sizeof to->used);
    to->depth = from->depth;
    memcpy(to->f, from->f, (size_t)from->depth * sizeof *from->f);
}

static void copy_list(list *to, const list *from)
{
    to->n = from->n;
    to->cut = from->cut;
    for (int32_t i = 0; i < from->n; i++)
        copy_thread(&to->t[i], &from->t[i]);
}

static bool same_thread(const thread *a, const thread *b)
{
    return a->depth == b->depth && memcmp(a->used, b->used, sizeof a->used) == 0 &&
           memcmp(a->f, b->f, (size_t)a->depth * sizeof *a->f) == 0;
}

static thread *add_thread(list *to, const thread *t)
{
    if (to->n == MAX_THREADS) {
        to->cut = true;
        return NULL;
    }
    copy_thread(&to->t[to->n], t);
    return &to->t[to->n++];
}

static void keep(list *out, const thread *t)
{
    for (int32_t i = 0; i < out->n; i++)
        if (same_thread(&out->t[i], t))
            return;
    (void)add_thread(out, t);
}

static uint64_t items_taken(const frame *each)
{
    return (uint64_t)each->c << 32 | each->b;
}

/* May row i of the set, substring or switch on top of t no longer be taken? */
static bool is_taken(const dr_grammar_node *set, const thread *t, uint32_t i)
{
    if (set->kind == DR_NODE_SWITCH)
        return set->item && (items_taken(&t->f[t->depth - 2]) >> set->item[i] & 1);
    return set->id >= 0 && (t->used[set->id] >> i & 1);
}

/* Is there a string in [lo, hi) that may still be taken? */
static bool any_left(const dr_grammar_node *set, const thread *t, uint32_t lo, uint32_t hi)
{
    while (lo < hi && is_taken(set, t, lo))
        lo++;
    return lo < hi;
}

/* ---- ranges: strings of a set or suffixes of a text, in order, that agree on the bytes taken ---- */

/* Does the first of the range end here? It is the only one that can. */
static bool ends_here(const dr_grammar_node *x, const frame *f)
{
    return dr_rows__length(&x->rows, f->a) == f->c;
}

/* Narrows the range to those that go on with b. The one that ends here, if any, is the first. */
static bool narrow(const dr_grammar_node *x, frame *f, uint8_t b)
{
    const dr_rows *const r = &x->rows;
    dr_fork fork;

    if (f->b - f->a > DR_FORK_ROWS && dr_forks__find(&fork, x->forks, f->a, f->c)) {
        const uint8_t *const at = memchr(fork.bytes, b, fork.n);
        if (!at)
            return false;
        f->a = fork.starts[at - fork.bytes];
        f->b = fork.starts[at - fork.bytes + 1];
        f->c++;
        return true;
    }
    uint32_t lo = dr_rows__lower_bound(r, f->a + ends_here(x, f), f->b, f->c, b), step = 1;
    if (lo == f->b || dr_rows__byte(r, lo, f->c) != b)
        return false;
    uint32_t end = lo; /* the last one known to go on with b; ranges are mostly short, so the end is looked for from here */
    while (f->b - end > step && dr_rows__byte(r, end + step, f->c) == b) {
        end += step;
        step *= 2;
    }
    f->b = dr_rows__lower_bound(r, end + 1, f->b - end > step ? end + step : f->b, f->c, b + 1u);
    f->a = lo;
    f->c++;
    return true;
}

/* Can one of the suffixes [lo, hi) be taken to an end that the node allows? The one that starts first, taken to the end of the text, is a
 * whole line's end, and stands once unless lines are asked for and some other place is not a line's start. */
static bool can_be_completed(const dr_grammar_node *x, uint32_t lo, uint32_t hi)
{
    if (!(x->how & DR_SUBSTRING_LINES))
        return lo < hi;
    return dr_marks__count(x->how & DR_SUBSTRING_UNIQUE ? &x->index->alone : &x->index->line, lo, hi) > 0;
}

/* May a substring end here? */
static bool substring_may_end(const dr_grammar_node *x, const frame *f)
{
    const dr_substrings *s = x->index;
    frame at_end = *f;

    if (f->c == 0 || ((x->how & DR_SUBSTRING_UNIQUE) && f->b - f->a > 1))
        return false;
    if (!(x->how & DR_SUBSTRING_LINES))
        return true;
    const char last = x->rows.text.s[s->suffix[f->a] + f->c - 1];
    if (last == '\n')
        return true;
    if (ends_here(x, f) && dr_marks__count(&s->line, f->a, f->a + 1))
        return true;
    if (last != '\r' && narrow(x, &at_end, '\n') && dr_marks__count(&s->line, at_end.a, at_end.b))
        return true;
    at_end = *f;
    return narrow(x, &at_end, '\r') && narrow(x, &at_end, '\n') && dr_marks__count(&s->line, at_end.a, at_end.b);
}

/* ---- one thread ---- */

/* Moves t until it waits (C1) and keeps it in out; alternatives are left in work. */
static void settle_one(const dr_grammar *g, list *out, thread *t, list *work, int *steps)
{
    while (t->depth > 0) {
        frame *f = &t->f[t->depth - 1];
        const dr_grammar_node *x = &g->v[f->node];
        thread *branch;

        if (--*steps < 0) {
            work->cut = true;
            return;
        }
        switch (x->kind) {
        case DR_NODE_CONTROL:
        case DR_NODE_BYTES: keep(out, t); return;
        case DR_NODE_LITERAL:
            if (f->a < x->n) {
                keep(out, t);
                return;
            }
            t->depth--;
            break;
        case DR_NODE_TEXT: /* may go on, and may end here */
            keep(out, t);
            t->depth--;
            break;
        case DR_NODE_SET:
            if (f->b == 0) /* just entered: it spans all its strings */
                f->b = (uint32_t)x->n;
            if (any_left(x, t, f->a + ends_here(x, f), f->b))
                keep(out, t);
            if (!ends_here(x, f) || is_taken(x, t, f->a))
                return;
            if (x->id >= 0)
                t->used[x->id] |= UINT64_C(1) << f->a;
            t->depth--;
            break;
        case DR_NODE_SWITCH:
            if (f->b == 0)
                f->b = (uint32_t)x->n;
            if (any_left(x, t, f->a + ends_here(x, f), f->b))
                keep(out, t);
            if (!ends_here(x, f) || is_taken(x, t, f->a))
                return;
            if (x->item) {
                frame *const each = f - 1;
                const uint64_t taken = items_taken(each) | UINT64_C(1) << x->item[f->a];
                each->b = (uint32_t)taken;
                each->c = (uint32_t)(taken >> 32);
            }
            *f = (frame){.node = x->children[f->a]};
            break;
        case DR_NODE_EACH: {
            const uint64_t taken = items_taken(f);
            const bool may_stop = (x->required & ~taken) == 0, wants_more = taken != x->all;
            const bool may_go_on = wants_more && t->depth < MAX_DEPTH;
            work->cut |= wants_more && !may_go_on;
            if (!may_go_on) {
                if (!may_stop)
                    return;
                t->depth--;
                break;
            }
            if (may_stop && (branch = add_thread(work, t)) != NULL)
                branch->depth--;
            t->f[t->depth++] = (frame){.node = x->children[f->a]};
            f->a = 1;
            break;
        }
        case DR_NODE_MACHINE: {
            const uint8_t flags = x->machine->flags[f->a];
            if ((flags & DR_MACHINE_ON) && !((flags & DR_MACHINE_BETWEEN) && x->max >= 0 && f->b == (uint32_t)x->max))
                keep(out, t);
            if (!(flags & DR_MACHINE_END) || f->b < (uint32_t)x->min)
                return;
            t->depth--;
            break;
        }
        case DR_NODE_SUBSTRING:
            if (f->b == 0)
                f->b = (uint32_t)x->n;
            if (can_be_completed(x, f->a + ends_here(x, f), f->b))
                keep(out, t);
            if (!substring_may_end(x, f))
                return;
            t->depth--;
            break;
        case DR_NODE_SEQUENCE:
            if (f->a == x->n)
                t->depth--;
            else if (f->a + 1 == x->n) /* the last child takes the frame over: recursion at the end of a rule costs no depth */
                *f = (frame){.node = x->children[f->a]};
            else if (t->depth == MAX_DEPTH) {
                work->cut = true;
                return;
            } else
                t->f[t->depth++] = (frame){.node = x->children[f->a++]};
            break;
        case DR_NODE_CHOICE: {
            const size_t room = (size_t)(MAX_THREADS - work->n) + 1, n = x->n < room ? x->n : room;
            work->cut |= n < x->n;
            for (size_t i = n; i-- > 1;) { /* the first is on top */
                branch = add_thread(work, t);
                branch->f[branch->depth - 1] = (frame){.node = x->children[i]};
            }
            *f = (frame){.node = x->children[0]};
            break;
        }
        case DR_NODE_REPEAT: {
            const bool idle = f->b != 0; /* the last round took nothing: further ones need not either */
            const bool may_stop = idle || f->a >= (uint32_t)x->min;
            const bool wants_more = !idle && (x->max < 0 || f->a < (uint32_t)x->max);
            const bool may_go_on = wants_more && t->depth < MAX_DEPTH;
            work->cut |= wants_more && !may_go_on;
            if (!may_go_on) {
                if (!may_stop)
                    return;
                t->depth--;
                break;
            }
            if (may_stop && (branch = add_thread(work, t)) != NULL)
                branch->depth--;
            f->a += x->max >= 0 || f->a < (uint32_t)x->min; /* without an end only the minimum counts */
            f->b = 1;
            t->f[t->depth++] = (frame){.node = x->children[0]};
            break;
        }
        case DR_NODE_FORWARD: *f = (frame){.node = x->id}; break;
        }
    }
    keep(out, t); /* the root is complete */
}

/* Adds to out what t comes to, alternatives in the order of the grammar. */
static void settle(const dr_grammar *g, list *out, const thread *from, list *work, int *steps)
{
    thread t;

    work->n = 0;
    work->cut = false;
    (void)add_thread(work, from);
    while (work->n > 0) {
        copy_thread(&t, &work->t[--work->n]);
        settle_one(g, out, &t, work, steps);
    }
    out->cut |= work->cut;
}

static bool take_byte(const dr_grammar *g, thread *t, uint8_t b)
{
    if (t->depth == 0)
        return false;
    frame *f = &t->f[t->depth - 1];
    const dr_grammar_node *x = &g->v[f->node];
    switch (x->kind) {
    case DR_NODE_LITERAL: return (uint8_t)x->bytes[f->a++] == b;
    case DR_NODE_BYTES: t->depth--; return x->mask[b / 64] >> b % 64 & 1;
    case DR_NODE_SET:
    case DR_NODE_SWITCH: return narrow(x, f, b) && any_left(x, t, f->a, f->b);
    case DR_NODE_MACHINE:
        f->a = x->machine->next[f->a][b];
        if (f->a == DR_MACHINE_REFUSED)
            return false;
        if ((x->machine->flags[f->a] & DR_MACHINE_BETWEEN) && (x->max >= 0 || f->b < (uint32_t)x->min))
            f->b++; /* without an end only the minimum counts */
        return true;
    case DR_NODE_SUBSTRING: return narrow(x, f, b) && can_be_completed(x, f->a, f->b);
    case DR_NODE_TEXT:
        if (x->n == 0)
            return true;
        while (f->a && (uint8_t)x->bytes[f->a] != b)
            f->a = x->fail[f->a - 1];
        f->a += (uint8_t)x->bytes[f->a] == b;
        return f->a < x->n;
    case DR_NODE_CONTROL:
    case DR_NODE_SEQUENCE:
    case DR_NODE_CHOICE:
    case DR_NODE_REPEAT:
    case DR_NODE_EACH:
    case DR_NODE_FORWARD: break; /* never on top between bytes (C1) */
    }
    return false;
}

/* A thread moved: its rounds have taken something. */
static void settle_moved(const dr_constraint *c, list *out, thread *t, int *steps)
{
    for (int32_t i = 0; i < t->depth; i++)
        if (c->g->v[t->f[i].node].kind == DR_NODE_REPEAT)
            t->f[i].b = 0;
    settle(c->g, out, t, c->work, steps);
}

static bool step_byte(const dr_constraint *c, list *out, const list *in, uint8_t b)
{
    int steps = MAX_STEPS;
    thread t;

    out->n = 0;
    out->cut = in->cut;
    for (int32_t i = 0; i < in->n; i++) {
        copy_thread(&t, &in->t[i]);
        if (take_byte(c->g, &t, b))
            settle_moved(c, out, &t, &steps);
    }
    return out->n > 0;
}

/* The token that the thread's top frame waits for, or -1. */
static int32_t awaited_control(const dr_constraint *c, const thread *t)
{
    const dr_grammar_node *x = t->depth ? &c->g->v[t->f[t->depth - 1].node] : NULL;

    return x && x->kind == DR_NODE_CONTROL ? x->id : -1;
}

static bool step_control(const dr_constraint *c, list *out, const list *in, int32_t id)
{
    int steps = MAX_STEPS;
    thread t;

    out->n = 0;
    out->cut = in->cut;
    for (int32_t i = 0; i < in->n; i++) {
        if (awaited_control(c, &in->t[i]) != id)
            continue;
        copy_thread(&t, &in->t[i]);
        t.depth--;
        settle_moved(c, out, &t, &steps);
    }
    return out->n > 0;
}

static void mark(uint64_t mask[4], uint8_t b)
{
    mask[b / 64] |= UINT64_C(1) << b % 64;
}

static bool marked(const uint64_t mask[4], uint8_t b)
{
    return mask[b / 64] >> b % 64 & 1;
}

/* Adds the bytes that a thread may take. Of many strings only the first and the last byte are told, and *wide is set if they differ:
 * to find the others would cost more than it saves. */
static void mark_awaited(const dr_constraint *c, const thread *t, uint64_t mask[4], bool *wide)
{
    if (t->depth == 0)
        return;
    const frame *f = &t->f[t->depth - 1];
    const dr_grammar_node *x = &c->g->v[f->node];
    if (x->kind == DR_NODE_LITERAL)
        mark(mask, (uint8_t)x->bytes[f->a]);
    else if (x->kind == DR_NODE_TEXT) {
        for (int i = 0; i < 4; i++)
            mask[i] = UINT64_MAX;
    } else if (x->kind == DR_NODE_BYTES) {
        for (int i = 0; i < 4; i++)
            mask[i] |= x->mask[i];
    } else if (x->kind == DR_NODE_MACHINE) {
        for (int b = 0; b < 256; b++)
            if (x->machine->next[f->a][b] != DR_MACHINE_REFUSED)
                mark(mask, (uint8_t)b);
    } else if (x->kind == DR_NODE_SET || x->kind == DR_NODE_SUBSTRING || x->kind == DR_NODE_SWITCH) {
        const uint32_t lo = f->a + ends_here(x, f);
        dr_fork fork;
        if (f->b - f->a > DR_FORK_ROWS && dr_forks__find(&fork, x->forks, f->a, f->c)) {
            for (uint32_t i = 0; i < fork.n; i++)
                mark(mask, fork.bytes[i]);
        } else if (f->b - lo > FEW_STRINGS) {
            const uint8_t low = dr_rows__byte(&x->rows, lo, f->c), high = dr_rows__byte(&x->rows, f->b - 1, f->c);
            mark(mask, low);
            mark(mask, high);
            *wide |= low != high;
        } else
            for (uint32_t i = lo; i < f->b; i++)
                if (!is_taken(x, t, i))
                    mark(mask, dr_rows__byte(&x->rows, i, f->c));
    }
}

/* All the bytes of many strings too, one search for each: worth it before a walk over the vocabulary. */
static void find_all_awaited(const dr_constraint *c, const list *in, uint64_t mask[4])
{
    bool wide = false;

    memset(mask, 0, 4 * sizeof *mask);
    for (int32_t i = 0; i < in->n; i++) {
        const thread *t = &in->t[i];
        mark_awaited(c, t, mask, &wide);
        if (!wide)
            continue;
        const frame *f = &t->f[t->depth - 1];
        const dr_grammar_node *x = &c->g->v[f->node];
        for (uint32_t at = f->a + ends_here(x, f); at < f->b;) {
            const uint8_t b = dr_rows__byte(&x->rows, at, f->c);
            mark(mask, b);
            at = dr_rows__lower_bound(&x->rows, at + 1, f->b, f->c, b + 1u);
        }
        wide = false;
    }
}

static void find_first(dr_constraint *c)
{
    bool wide = false;

    memset(c->first, 0, sizeof c->first);
    for (int32_t i = 0; i < c->now->n; i++)
        mark_awaited(c, &c->now->t[i], c->first, &wide);
    if (wide)
        memset(c->first, 0xff, sizeof c->first);
}

static dr_status new_constraint(dr_constraint **out, const dr_grammar *g, dr_error *err)
{
    enum { LISTS = 4 + PATH + 1 };
    dr_constraint *c = calloc(1, sizeof *c);

    *out = c;
    if (!c || !(c->all = malloc(LISTS * sizeof *c->all))) {
        dr_constraint_free(c);
        *out = NULL;
        return dr_fail(err, DR_ERR_NOMEM, "constraint: out of memory");
    }
    list *at = c->all;
    c->g = g;
    c->now = at++;
    c->next = at++;
    c->other = at++;
    c->next->cut = c->other->cut = false;
    c->work = at++;
    for (int i = 0; i <= PATH; i++)
        c->path[i] = at++;
    return DR_OK;
}

dr_status dr_constraint_new(dr_constraint **out, const dr_grammar *g, dr_node root, dr_error *err)
{
    dr_status st;
    int steps = MAX_STEPS;
    thread t = {.depth = 1, .f = {{.node = root}}};

    *out = NULL;
    if (!dr_grammar_ok(g, root))
        return dr_fail(err, DR_ERR_ARG, "constraint: the grammar is not complete, or a node begins with itself");
    if ((st = new_constraint(out, g, err)) != DR_OK)
        return st;
    (*out)->now->n = 0;
    (*out)->now->cut = false;
    settle(g, (*out)->now, &t, (*out)->work, &steps);
    if (!(*out)->now->cut) {
        find_first(*out);
        return DR_OK;
    }
    dr_constraint_free(*out);
    *out = NULL;
    return dr_fail(err, DR_ERR_LIMIT, "constraint: the grammar begins in more than %d ways", MAX_THREADS);
}

void dr_constraint_free(dr_constraint *c)
{
    if (!c)
        return;
    free(c->all);
    free(c);
}

dr_status dr_constraint_clone(dr_constraint **out, const dr_constraint *c, dr_error *err)
{
    const dr_status st = new_constraint(out, c->g, err);

    if (st == DR_OK) {
        copy_list((*out)->now, c->now);
        memcpy((*out)->first, c->first, sizeof c->first);
    }
    return st;
}

/* Runs a token over the threads. The list it leads to is one of next and other; NULL: it is not legal. */
static list *run(const dr_constraint *c, const dr_tokenizer *t, int32_t id)
{
    const dr_str bytes = dr_tokenizer_bytes(t, id);
    const list *in = c->now;
    list *out = c->next;

    if (dr_tokenizer_is_special(t, id))
        return step_control(c, out, in, id) ? out : NULL;
    if (bytes.n == 0 || !marked(c->first, (uint8_t)bytes.s[0]))
        return NULL;
    for (size_t i = 0; i < bytes.n; i++) {
        if (!step_byte(c, out, in, (uint8_t)bytes.s[i]))
            return NULL;
        in = out;
        out = out == c->next ? c->other : c->next;
    }
    return out == c->next ? c->other : c->next;
}

bool dr_constraint_allows(const dr_constraint *c, const dr_tokenizer *t, int32_t id)
{
    return run(c, t, id) != NULL;
}

dr_status dr_constraint_advance(dr_constraint *c, const dr_tokenizer *t, int32_t id, dr_error *err)
{
    list *after = run(c, t, id);

    if (!after)
        return dr_fail(err, DR_ERR_ARG, "constraint: token %d is not legal here", id);
    if (after == c->next)
        c->next = c->now;
    else
        c->other = c->now;
    c->now = after;
    find_first(c);
    return DR_OK;
}

bool dr_constraint__cut(const dr_constraint *c)
{
    return c->now->cut || c->next->cut || c->other->cut;
}

bool dr_constraint_done(const dr_constraint *c)
{
    for (int32_t i = 0; i < c->now->n; i++)
        if (c->now->t[i].depth == 0)
            return true;
    return false;
}

void dr_constraint_first(const dr_constraint *c, uint64_t mask[4])
{
    memcpy(mask, c->first, sizeof c->first);
}

/* Does a token begin with the first `same` bytes of s, and go on with less than b or not at all? */
static bool is_below(const dr_tokenizer *t, int32_t id, dr_str s, size_t same, int b)
{
    const dr_str other = dr_tokenizer_bytes(t, id);

    return other.n >= same && memcmp(other.s, s.s, same) == 0 && (other.n == same || (uint8_t)other.s[same] < b);
}

/* First token of [at, n) of which that is not true, given that it is of the one at `at`. */
static size_t skip_below(const dr_tokenizer *t, const int32_t *ids, size_t at, size_t n, size_t same, int b)
{
    const dr_str s = dr_tokenizer_bytes(t, ids[at]);
    size_t lo = at + 1;

    for (size_t step = 1; lo < n; step *= 2) { /* gallop, then close in */
        const size_t probe = step < n - lo ? lo + step : n - 1;
        if (!is_below(t, ids[probe], s, same, b)) {
            n = probe;
            break;
        }
        lo = probe + 1;
    }
    while (lo < n) {
        const size_t mid = lo + (n - lo) / 2;
        if (is_below(t, ids[mid], s, same, b))
            lo = mid + 1;
        else
            n = mid;
    }
    return lo;
}

/* The first byte of the mask that is not below b, or 256. */
static int next_marked(const uint64_t mask[4], int b)
{
    while (b < 256 && !marked(mask, (uint8_t)b))
        b = mask[b / 64] >> b % 64 ? b + 1 : (b / 64 + 1) * 64;
    return b;
}

/* Walks the sorted vocabulary as if it were a tree, and the automaton with it. */
size_t dr_constraint_legal(const dr_constraint *c, const dr_tokenizer *t, int32_t *ids, size_t cap)
{
    size_t n = 0, known = 0;    /* path[1 .. known] are where the first bytes of the token before led to */
    uint64_t mask[PATH + 1][4]; /* what they wait for */
    const uint32_t *of_byte;
    const int32_t *sorted = dr_tokenizer_sorted(t, &of_byte);
    dr_str before = {0};

    for (int32_t i = 0; i < c->now->n && n < cap; i++) {
        const int32_t id = awaited_control(c, &c->now->t[i]);
        bool seen = !dr_tokenizer_is_special(t, id);
        for (size_t k = 0; k < n && !seen; k++)
            seen = ids[k] == id;
        if (!seen)
            ids[n++] = id;
    }
    find_all_awaited(c, c->now, mask[0]);
    for (int b = next_marked(mask[0], 0); b < 256; b = next_marked(mask[0], b + 1)) {
        const size_t end = of_byte[b + 1];
        for (size_t at = of_byte[b]; at < end && n < cap;) {
            const dr_str s = dr_tokenizer_bytes(t, sorted[at]);
            size_t i = 0;
            while (i < known && i < s.n && s.s[i] == before.s[i])
                i++;
            known = i;
            before = s;
            const list *in = i ? c->path[i] : c->now;
            int next = 0; /* the byte that was refused: where to go on instead */
            for (; i < s.n; i++) {
                list *out = i < PATH ? c->path[i + 1] : in == c->next ? c->other : c->next;
                next = (uint8_t)s.s[i];
                if (i <= PATH && !marked(mask[i], (uint8_t)next))
                    next = next_marked(mask[i], next);
                else if (!step_byte(c, out, in, (uint8_t)next))
                    next++;
                else {
                    if (i < PATH) {
                        known = i + 1;
                        find_all_awaited(c, out, mask[known]);
                    }
                    in = out;
                    continue;
                }
                break;
            }
            if (i == s.n)
                ids[n++] = sorted[at++];
            else
                at = skip_below(t, sorted, at, end, i, next);
        }
    }
    return n;
}

size_t dr_constraint_forced(const dr_constraint *c, char *out, size_t cap)
{
    dr_constraint *ahead = NULL;
    size_t n = 0;

    if (dr_constraint_clone(&ahead, c, NULL) != DR_OK)
        return 0;
    while (n < cap && !dr_constraint_done(ahead)) {
        uint64_t mask[4] = {0};
        bool open = false; /* more than one way to go on */
        int only = -1;
        for (int32_t i = 0; i < ahead->now->n; i++) {
            mark_awaited(ahead, &ahead->now->t[i], mask, &open);
            open = open || awaited_control(ahead, &ahead->now->t[i]) >= 0;
        }
        for (int b = 0; b < 256; b++)
            if (marked(mask, (uint8_t)b)) {
                open = open || only >= 0;
                only = b;
            }
        if (open || only < 0 || !step_byte(ahead, ahead->next, ahead->now, (uint8_t)only))
            break;
        list *const swap = ahead->now;
        ahead->now = ahead->next;
        ahead->next = swap;
        out[n++] = (char)only;
    }
    dr_constraint_free(ahead);
    return n;
}
