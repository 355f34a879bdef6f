/* app/pack_rank.c: which files matter most: PageRank over who uses whose names.
 *
 * Every use pulls towards the files that define the name. A name that many files define says little about any of them, and a
 * private name (leading underscore) is seldom what another file is about; a long compound name is hardly an accident. (The
 * weights are aider's, found there by use.) All in whole numbers: floating point would round differently by machine
 * and compiler, and then the order, and the bytes of the pack, would too.
 *
 * Memory: 8 bytes an edge; a file has one edge for each name and definer. */
#include "app/pack_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 30, MANY_DEFINERS = 5, TOO_MANY_DEFINERS = 20, LONG_NAME = 8, FULL = 100 };

typedef struct edge {
    uint32_t to, weight;
} edge;

typedef struct graph {
    uint64_t *first; /* [n + 1] */
    edge *edges;
    uint64_t *total; /* [n] weight that leaves a file */
    size_t n;
} graph;

static uint32_t isqrt(uint64_t v)
{
    uint64_t r = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1)
        if ((r | bit) * (r | bit) <= v)
            r |= bit;
    return (uint32_t)r;
}

/* In hundredths, by the name alone. */
static uint32_t name_weight(dr_str name)
{
    bool upper = false, lower = false, under = false;
    for (size_t i = 0; i < name.n; i++) {
        upper |= isupper((unsigned char)name.s[i]) != 0;
        lower |= islower((unsigned char)name.s[i]) != 0;
        under |= name.s[i] == '_' && i > 0;
    }
    if (name.n && name.s[0] == '_')
        return FULL / 10;
    return name.n >= LONG_NAME && (under || (upper && lower)) ? FULL * 10 : FULL;
}

/* Definitions of one name that make a file its home: no members, no declarations. Each file once; 0: too many. */
static size_t definers(uint32_t files[TOO_MANY_DEFINERS], const dr_symbols *s, dr_str name)
{
    const dr_sym_def *defs = NULL;
    const size_t n_defs = dr_symbols_find(s, name, &defs);
    size_t n = 0;

    for (size_t i = 0; i < n_defs && dr_sym_kind_rank((dr_sym_kind)defs[i].kind) == 0; i++) {
        size_t k = 0;
        while (k < n && files[k] != defs[i].file)
            k++;
        if (k < n)
            continue;
        if (n == TOO_MANY_DEFINERS)
            return 0;
        files[n++] = defs[i].file;
    }
    return n;
}

/* Calls `see` for every edge, file by file within a name; twice the same calls, so that edges are counted and then placed. */
typedef void see_fn(graph *g, uint32_t from, uint32_t to, uint32_t weight);

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static dr_status each_edge(graph *g, const dr_symbols *s, see_fn *see, dr_error *err)
{
    size_t n_names, cap = 0;
    const dr_str *names = dr_symbols_names(s, &n_names);
    uint32_t home[TOO_MANY_DEFINERS], *users = NULL;

    for (size_t i = 0; i < n_names; i++) {
        const dr_sym_ref *refs = NULL;
        const size_t n_refs = dr_symbols_refs(s, names[i], &refs);
        const size_t n_home = n_refs ? definers(home, s, names[i]) : 0;
        if (!n_home)
            continue;
        if (n_refs > cap) {
            uint32_t *grown = realloc(users, n_refs * sizeof *grown);
            if (!grown) {
                free(users);
                return dr_fail(err, DR_ERR_NOMEM, "out of memory");
            }
            users = grown;
            cap = n_refs;
        }
        for (size_t k = 0; k < n_refs; k++)
            users[k] = refs[k].file;
        qsort(users, n_refs, sizeof *users, by_number);
        const uint64_t weight = (uint64_t)name_weight(names[i]) / (n_home > MANY_DEFINERS ? 10 : 1);
        for (size_t k = 0, run; k < n_refs; k += run) {
            run = 1;
            while (k + run < n_refs && users[k + run] == users[k])
                run++;
            const uint64_t w = weight * isqrt((uint64_t)run << 8) / 16;
            for (size_t d = 0; d < n_home; d++)
                if (home[d] != users[k] && w)
                    see(g, users[k], home[d], w > UINT32_MAX ? UINT32_MAX : (uint32_t)w);
        }
    }
    free(users);
    return DR_OK;
}

static void count_edge(graph *g, uint32_t from, uint32_t to, uint32_t weight)
{
    (void)to;
    g->first[from + 1]++;
    g->total[from] += weight;
}

/* first[] moves along while placing and is moved back after. */
static void place_edge(graph *g, uint32_t from, uint32_t to, uint32_t weight)
{
    g->edges[g->first[from]++] = (edge){to, weight};
}

static dr_status make_graph(graph *g, const dr_symbols *s, size_t n, dr_error *err)
{
    dr_status st = DR_OK;

    g->n = n;
    g->first = calloc(n + 1, sizeof *g->first);
    g->total = calloc(n ? n : 1, sizeof *g->total);
    if (!g->first || !g->total)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if ((st = each_edge(g, s, count_edge, err)) != DR_OK)
        return st;
    for (size_t i = 0; i < n; i++)
        g->first[i + 1] += g->first[i];
    if (!(g->edges = malloc((g->first[n] ? g->first[n] : 1) * sizeof *g->edges)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if ((st = each_edge(g, s, place_edge, err)) != DR_OK)
        return st;
    memmove(g->first + 1, g->first, n * sizeof *g->first);
    g->first[0] = 0;
    return DR_OK;
}

static void graph_fini(graph *g)
{
    free(g->first);
    free(g->edges);
    free(g->total);
}

typedef struct ranked {
    uint64_t rank;
    uint32_t file;
    bool readme;
} ranked;

static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->readme != y->readme)
        return x->readme ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? 1 : -1;
    return (x->file > y->file) - (x->file < y->file);
}

/* Rank mass is 2^40 for all files together. What a file gives for one unit of weight is its rank / total, 2^20 fine and taken
 * once a file, so that an edge costs a multiplication; that times a weight, at most the total, stays below 2^61. */
static void spread(uint64_t *to, const uint64_t *from, const graph *g)
{
    uint64_t idle = 0; /* what files without an edge give to all */

    for (size_t i = 0; i < g->n; i++)
        to[i] = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (!g->total[i]) {
            idle += from[i];
            continue;
        }
        const uint64_t unit = (from[i] << 20) / g->total[i];
        for (uint64_t e = g->first[i]; e < g->first[i + 1]; e++)
            to[g->edges[e].to] += unit * g->edges[e].weight >> 20;
    }
    const uint64_t mass = UINT64_C(1) << 40;
    const uint64_t each = (mass * 15 / 100 + idle * 85 / 100) / g->n;
    for (size_t i = 0; i < g->n; i++)
        to[i] = each + to[i] * 85 / 100;
}

/* Tests, examples and what was copied in from elsewhere are used a lot and asked about little: an eighth of their rank. */
static bool is_aside(const dr_repo_file *f)
{
    static const char *const folders[] = {"test",     "tests",      "testing",     "testdata", "__tests__",    "spec",
                                          "specs",    "fixtures",   "example",     "examples", "bench",        "benchmarks",
                                          "deps",     "vendor",     "third_party", "3rdparty", "thirdparty",   "external",
                                          "externals", "contrib",   "node_modules"};
    const dr_str p = f->path;
    bool found = f->vendored;

    for (size_t at = 0; at < p.n && !found;) {
        const char *slash = memchr(p.s + at, '/', p.n - at);
        if (!slash)
            break;
        const dr_str part = {p.s + at, (size_t)(slash - p.s) - at};
        for (size_t i = 0; i < sizeof folders / sizeof *folders && !found; i++)
            found = dr_str_eq(part, dr_str_of(folders[i]));
        at += part.n + 1;
    }
    return found;
}

static bool is_readme(dr_str path)
{
    return path.n >= 6 && memcmp(path.s, "README", 6) == 0 && !memchr(path.s, '/', path.n);
}

dr_status dr_pack__rank(uint32_t *order, const dr_repo *repo, const dr_symbols *s, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n = dr_repo_n_files(repo);
    graph g = {0};
    uint64_t *rank = NULL, *next = NULL;
    ranked *list = NULL;

    if (!n)
        return DR_OK;
    if ((st = make_graph(&g, s, n, err)) != DR_OK)
        goto done;
    rank = malloc(n * sizeof *rank);
    next = malloc(n * sizeof *next);
    list = malloc(n * sizeof *list);
    if (!rank || !next || !list) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        rank[i] = (UINT64_C(1) << 40) / n;
    for (int r = 0; r < ROUNDS; r++) {
        spread(next, rank, &g);
        uint64_t *t = rank;
        rank = next;
        next = t;
    }
    for (size_t i = 0; i < n; i++) {
        const dr_repo_file *f = dr_repo_file_at(repo, i);
        list[i] = (ranked){is_aside(f) ? rank[i] / 8 : rank[i], (uint32_t)i, is_readme(f->path)};
    }
    qsort(list, n, sizeof *list, by_rank);
    for (size_t i = 0; i < n; i++)
        order[i] = list[i].file;
done:
    free(list);
    free(next);
    free(rank);
    graph_fini(&g);
    return st;
}
