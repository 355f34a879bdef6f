#include "tests/cache/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_REPOS = 3,
    N_SESSIONS = 3,       /* of a repository at a time */
    VOCAB = 129280,
    CONTEXT = 200000,     /* a session that would pass it goes on from a summary */
    MAX_TURNS = 512,
    REPACK_DIVISOR = 4,   /* the base is laid out anew when commits are more than this part of it */
    CLOSING = 12,         /* the pack's last line */
    INSTRUCTIONS = 1800,  /* with the tools' roster */
};

/* Of a thousand requests; turns are the rest. */
static const int PER_MILLE[TRACE_KINDS] = {
    [TRACE_RETRY] = 20,    [TRACE_REWIND] = 35, [TRACE_EDIT] = 20,    [TRACE_FORK] = 40,
    [TRACE_QUESTION] = 60, [TRACE_CHANGE] = 40, [TRACE_COMPACT] = 3,
};

/* Lengths in tokens, equally likely on a scale of logarithms. */
typedef struct range {
    int64_t lo, hi;
} range;
static const range BASE = {30000, 160000}, COMMIT = {150, 8000}, DIRTY = {50, 3000}, MESSAGE = {30, 6000}, ANSWER = {20, 800},
                   SUMMARY = {600, 3000};

typedef struct vec {
    int32_t *v;
    int64_t n, cap;
} vec;

typedef struct repo {
    vec base, commits, dirty;
} repo;

typedef struct session {
    int repo;
    vec ids;
    int64_t marks[TRACE_MARKS];
    int64_t turn_end[MAX_TURNS]; /* after each answer; [0] is the end of the instructions */
    int64_t prompt_end;          /* of the last request */
    int n_turns;
} session;

struct trace {
    uint64_t random;
    repo repos[N_REPOS];
    session sessions[N_REPOS][N_SESSIONS];
    int at_repo, at_session;
};

const char *trace_kind_name(trace_kind kind)
{
    static const char *const names[TRACE_KINDS] = {"turn", "retry", "rewind", "edit", "fork", "question", "change", "compaction"};
    return names[kind];
}

static uint64_t next(trace *t)
{
    /* splitmix64 */
    uint64_t z = t->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int64_t below(trace *t, int64_t n)
{
    return n > 0 ? (int64_t)(next(t) % (uint64_t)n) : 0;
}

static int64_t length(trace *t, range r)
{
    const double u = (double)(next(t) >> 11) * 0x1p-53;
    return (int64_t)((double)r.lo * pow((double)r.hi / (double)r.lo, u));
}

static int32_t *room(vec *v, int64_t n)
{
    if (v->n + n > v->cap) {
        v->cap = 2 * (v->n + n);
        v->v = realloc(v->v, (size_t)v->cap * sizeof *v->v);
        if (!v->v) {
            (void)fprintf(stderr, "trace: out of memory\n");
            abort();
        }
    }
    v->n += n;
    return v->v + v->n - n;
}

static void add_new(trace *t, vec *v, int64_t n)
{
    int32_t *at = room(v, n);
    for (int64_t i = 0; i < n; i++)
        at[i] = (int32_t)below(t, VOCAB);
}

static void add_copy(vec *v, const int32_t *ids, int64_t n)
{
    if (n > 0)
        memcpy(room(v, n), ids, (size_t)n * sizeof *ids);
}

/* The same ids every time, for every repository and session. */
static void add_fixed(vec *v, int64_t n, uint32_t what)
{
    int32_t *at = room(v, n);
    for (int64_t i = 0; i < n; i++)
        at[i] = (int32_t)((what * 7919u + (uint32_t)i * 104729u) % VOCAB);
}

/* Prompt up to the end of the instructions, as the repository is now. */
static void begin(trace *t, session *s, int r)
{
    const repo *o = &t->repos[r];
    s->repo = r;
    s->ids.n = 0;
    add_copy(&s->ids, o->base.v, o->base.n);
    s->marks[0] = s->ids.n;
    add_copy(&s->ids, o->commits.v, o->commits.n);
    s->marks[1] = s->ids.n;
    add_copy(&s->ids, o->dirty.v, o->dirty.n);
    add_fixed(&s->ids, CLOSING, 1);
    s->marks[2] = s->ids.n;
    add_fixed(&s->ids, INSTRUCTIONS, 2);
    s->marks[3] = s->ids.n;
    s->n_turns = 1;
    s->turn_end[0] = s->prompt_end = s->ids.n;
}

/* A commit, or one more edit of the working tree. Sessions that are under way keep what they were begun with. */
static void change(trace *t, repo *r)
{
    if (next(t) % 10 < 7) {
        add_new(t, &r->dirty, length(t, DIRTY));
        return;
    }
    r->dirty.n = 0;
    add_new(t, &r->commits, length(t, COMMIT));
    if (r->commits.n * REPACK_DIVISOR <= r->base.n)
        return;
    /* Least recently changed first: what had not changed keeps its place. */
    const int64_t n = r->base.n + r->commits.n / 8;
    r->base.n = r->base.n / 100 * (60 + below(t, 25));
    add_new(t, &r->base, n - r->base.n);
    r->commits.n = 0;
}

static void cut(session *s, int64_t at)
{
    s->ids.n = at;
    while (s->n_turns > 1 && s->turn_end[s->n_turns - 1] > at)
        s->n_turns--;
}

static session *other_session(trace *t, int r)
{
    t->at_repo = r;
    t->at_session = (int)below(t, N_SESSIONS);
    return &t->sessions[r][t->at_session];
}

trace *trace_new(uint64_t seed)
{
    trace *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->random = seed;
    for (int r = 0; r < N_REPOS; r++) {
        add_new(t, &t->repos[r].base, length(t, BASE));
        for (int s = 0; s < N_SESSIONS; s++)
            begin(t, &t->sessions[r][s], r);
    }
    return t;
}

void trace_free(trace *t)
{
    if (!t)
        return;
    for (int r = 0; r < N_REPOS; r++) {
        free(t->repos[r].base.v);
        free(t->repos[r].commits.v);
        free(t->repos[r].dirty.v);
        for (int s = 0; s < N_SESSIONS; s++)
            free(t->sessions[r][s].ids.v);
    }
    free(t);
}

static trace_kind choose(trace *t)
{
    int64_t u = below(t, 1000);
    for (int k = 1; k < TRACE_KINDS; k++)
        if ((u -= PER_MILLE[k]) < 0)
            return (trace_kind)k;
    return TRACE_TURN;
}

static void fork_from(trace *t, session *s)
{
    const int64_t at = s->turn_end[below(t, s->n_turns)];
    session *o = &t->sessions[s->repo][((int)(s - t->sessions[s->repo]) + 1) % N_SESSIONS];
    o->ids.n = 0;
    add_copy(&o->ids, s->ids.v, at);
    memcpy(o->marks, s->marks, sizeof o->marks);
    memcpy(o->turn_end, s->turn_end, sizeof o->turn_end);
    o->n_turns = s->n_turns;
    cut(o, at);
    t->at_session = (int)(o - t->sessions[s->repo]);
}

void trace_next(trace *t, trace_request *out)
{
    session *s = &t->sessions[t->at_repo][t->at_session];
    trace_kind kind = choose(t);

    if (s->n_turns == 1 && (kind == TRACE_RETRY || kind == TRACE_REWIND || kind == TRACE_EDIT || kind == TRACE_COMPACT))
        kind = TRACE_TURN;
    if (kind == TRACE_TURN && next(t) % 8 == 0) /* someone else's turn */
        s = other_session(t, (int)below(t, N_REPOS));
    if (s->ids.n > CONTEXT || s->n_turns == MAX_TURNS)
        kind = TRACE_COMPACT;

    int64_t n_new = length(t, MESSAGE);
    switch (kind) {
    case TRACE_RETRY:
        cut(s, s->prompt_end);
        n_new = 0;
        break;
    case TRACE_REWIND:
        cut(s, s->turn_end[below(t, s->n_turns - 1)]);
        break;
    case TRACE_EDIT: { /* somewhere in what was said or answered */
        const int64_t from = s->marks[TRACE_MARKS - 1];
        cut(s, from + below(t, s->ids.n - from));
        break;
    }
    case TRACE_FORK:
        fork_from(t, s);
        s = &t->sessions[t->at_repo][t->at_session];
        break;
    case TRACE_CHANGE:
        change(t, &t->repos[t->at_repo]);
        s = other_session(t, t->at_repo);
        begin(t, s, t->at_repo);
        break;
    case TRACE_QUESTION:
        s = other_session(t, (int)below(t, N_REPOS));
        begin(t, s, t->at_repo);
        break;
    case TRACE_COMPACT: /* the pack stays as the session began with it */
        cut(s, s->marks[TRACE_MARKS - 1]);
        add_new(t, &s->ids, length(t, SUMMARY));
        break;
    case TRACE_TURN:
    case TRACE_KINDS:
        break;
    }
    add_new(t, &s->ids, n_new);
    const int64_t n_out = length(t, ANSWER);
    s->prompt_end = s->ids.n;
    add_new(t, &s->ids, n_out);
    s->turn_end[s->n_turns++] = s->ids.n;
    *out = (trace_request){kind, s->repo, s->ids.v, s->prompt_end, n_out, {0}};
    memcpy(out->marks, s->marks, sizeof out->marks);
}
