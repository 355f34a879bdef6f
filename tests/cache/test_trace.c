/* How much of what a perfect cache would give back this one does, on made-up traces of agents (trace.h).
 *
 *   test_cache_trace [REQUESTS] [SEED] [SLABS]
 *
 * With SLABS every record takes one slab of a budget of so many, requests come 40 seconds apart, and what is evicted shows in the hits. */
#include "tests/cache/support.h"
#include "tests/cache/trace.h"

#include "cache/anchors.h"
#include "cache/kv_put.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUEST_S = 40, US_PER_TOKEN = 10000 };
static int n_requests = 600, n_slabs;
static uint64_t seed = 1;
static time_t now = 1800000000;

/* Stands in front of the C library's. */
__attribute__((visibility("default"))) time_t time(time_t *t)
{
    if (t)
        *t = now;
    return now;
}

static void trace__is_the_same_from_the_same_seed(void **state)
{
    enum { N = 300 };
    int64_t n_of[TRACE_KINDS] = {0}, n_repo[3] = {0}, longest = 0;
    trace *a = trace_new(1), *b = trace_new(1), *other = trace_new(2);
    bool differs = false;

    (void)state;
    for (int i = 0; i < N; i++) {
        trace_request x, y, z;
        trace_next(a, &x);
        trace_next(b, &y);
        trace_next(other, &z);
        assert_int_equal(x.n, y.n);
        assert_int_equal(x.n_out, y.n_out);
        assert_int_equal(x.kind, y.kind);
        assert_memory_equal(x.ids, y.ids, (size_t)(x.n + x.n_out) * sizeof *x.ids);
        differs = differs || x.n != z.n || memcmp(x.ids, z.ids, (size_t)x.n * sizeof *x.ids) != 0;
        for (int k = 0; k < TRACE_MARKS; k++)
            assert_true(x.marks[k] > 0 && x.marks[k] < x.n && (k == 0 || x.marks[k] >= x.marks[k - 1]));
        assert_true(x.n_out > 0);
        n_of[x.kind]++;
        n_repo[x.repo]++;
        longest = x.n > longest ? x.n : longest;
    }
    assert_true(differs);
    for (int k = 0; k < TRACE_KINDS; k++) {
        print_message("%-10s %lld\n", trace_kind_name((trace_kind)k), (long long)n_of[k]);
        assert_true(n_of[k] > 0);
    }
    for (int r = 0; r < 3; r++)
        assert_true(n_repo[r] > 0);
    assert_true(longest > 100000);
    trace_free(a);
    trace_free(b);
    trace_free(other);
}

/* A cache that forgets nothing and can resume at every border of 128 tokens: the keys of all borders there have been. */
typedef struct ideal {
    dr_key *at;
    size_t n, cap; /* open addressing; never more than half full */
} ideal;

static dr_key *ideal_slot(const ideal *d, const dr_key *key)
{
    uint64_t h;
    memcpy(&h, key->b, sizeof h);
    static const dr_key empty;
    for (size_t i = h & (d->cap - 1);; i = (i + 1) & (d->cap - 1))
        if (dr_key_eq(&d->at[i], &empty) || dr_key_eq(&d->at[i], key))
            return &d->at[i];
}

static bool ideal_has(const ideal *d, const dr_key *key)
{
    return dr_key_eq(ideal_slot(d, key), key);
}

static void ideal_add(ideal *d, const dr_key *key)
{
    if (ideal_has(d, key))
        return;
    assert_true(++d->n * 2 < d->cap);
    *ideal_slot(d, key) = *key;
}

typedef struct score {
    int64_t n_requests, n_tokens, ideal, real;
} score;

/* Reads what would be restored, so that it counts as used. */
static void use(dr_cache *c, const dr_kv_hit *hit, const dr_key *keys)
{
    uint8_t byte;
    for (int64_t i = 1; i <= hit->n_blocks; i++)
        assert_int_equal(dr_kv_store_get(c, (dr_span){&byte, 1}, DR_KV_BLOCK, &keys[i * (DR_CHAIN_BLOCK_TOKENS / DR_CHAIN_STEP)], NULL), DR_OK);
    if (hit->n_tokens)
        assert_int_equal(dr_kv_store_get(c, (dr_span){&byte, 1}, DR_KV_ANCHOR, &hit->anchor, NULL), DR_OK);
}

/* What the program does with a prompt: restore, then store what it passes. Without SLABS records have no bytes, so that no budget is felt. */
static int64_t run(dr_cache *c, const trace_request *q, const dr_key *keys)
{
    enum { MOST = 1024 };
    static dr_kv_label labels[MOST];
    static dr_kv_item items[MOST];
    const int64_t end = q->n + q->n_out, steps = DR_CHAIN_BLOCK_TOKENS / DR_CHAIN_STEP;
    size_t n = 0;
    dr_kv_hit hit;

    assert_int_equal(dr_kv_store_resume(c, &hit, keys, q->ids, q->n, q->n - 1, NULL), DR_OK);
    if (n_slabs)
        use(c, &hit, keys);
    int64_t last_anchor = hit.n_tokens;
    const dr_anchor_plan plan = {q->marks, TRACE_MARKS, q->n, hit.n_tokens, hit.chain_tokens};
    for (int64_t at = hit.n_tokens; at < end;) {
        const int64_t block_end = (at / DR_CHAIN_BLOCK_TOKENS + 1) * DR_CHAIN_BLOCK_TOKENS;
        const int64_t planned = dr_anchor_next(&plan, at);
        const int64_t anchor = planned < q->n ? planned : end;
        at = block_end < anchor ? block_end : anchor;
        const int64_t block = at / DR_CHAIN_BLOCK_TOKENS;
        assert_true(n + 2 < MOST);
        if (at == block_end)
            labels[n++] = (dr_kv_label){.kind = DR_KV_BLOCK, .key = keys[block * steps], .parent = keys[(block - 1) * steps], .n_tokens = at,
                                        .compute_us = DR_CHAIN_BLOCK_TOKENS * US_PER_TOKEN, .pinned = at <= q->marks[0]};
        if (at == anchor) {
            labels[n++] = (dr_kv_label){.kind = DR_KV_ANCHOR, .key = dr_chain_at(keys, q->ids, at), .parent = keys[block * steps], .n_tokens = at,
                                        .compute_us = (uint64_t)(at - last_anchor) * US_PER_TOKEN, .pinned = at <= q->marks[0]};
            last_anchor = at;
        }
    }
    for (size_t i = 0; i < n; i++)
        items[i] = (dr_kv_item){.label = &labels[i], .data = "", .n = n_slabs ? 1 : 0};
    assert_int_equal(dr_kv_put__many(c, items, n, NULL), DR_OK);
    return hit.n_tokens;
}

static void trace__hits_are_near_those_of_a_perfect_cache(void **state)
{
    static const dr_chain_parts parts;
    const dr_key start = dr_chain_start(&parts);
    score of[TRACE_KINDS] = {{0}}, all = {0};
    ideal d = {.cap = (size_t)1 << 18};
    trace *t = trace_new(seed);
    dr_key *keys = NULL;

    (void)state;
    (void)scratch_new();
    const dr_cache_options o = {.kv_max_bytes = n_slabs * (int64_t)(SLAB + 16), .kv_day_bytes = INT64_MAX};
    dr_cache *c = NULL;
    assert_int_equal(dr_cache_open(&c, scratch_path("c"), &o, NULL), DR_OK);
    d.at = calloc(d.cap, sizeof *d.at);
    assert_non_null(d.at);
    for (int i = 0; i < n_requests; i++) {
        trace_request q;
        trace_next(t, &q);
        now += REQUEST_S;
        const int64_t end = q.n + q.n_out;
        keys = realloc(keys, (size_t)(end / DR_CHAIN_STEP + 1) * sizeof *keys);
        assert_non_null(keys);
        dr_chain_extend(keys, &start, q.ids, end);
        int64_t best = (q.n - 1) / DR_CHAIN_STEP;
        while (best > 0 && !ideal_has(&d, &keys[best]))
            best--;
        for (int64_t k = 1; k <= end / DR_CHAIN_STEP; k++)
            ideal_add(&d, &keys[k]);
        const int64_t real = run(c, &q, keys);
        score *both[] = {&of[q.kind], &all};
        for (int k = 0; k < 2; k++) {
            both[k]->n_requests++;
            both[k]->n_tokens += q.n;
            both[k]->ideal += best * DR_CHAIN_STEP;
            both[k]->real += real;
        }
    }
    for (int k = 0; k <= TRACE_KINDS; k++) {
        const score *s = k < TRACE_KINDS ? &of[k] : &all;
        print_message("%-10s %6lld requests %10lld tokens, a perfect cache hits %6.2f %%, this one %6.2f %% of that\n",
                      k < TRACE_KINDS ? trace_kind_name((trace_kind)k) : "all", (long long)s->n_requests, (long long)s->n_tokens,
                      100.0 * (double)s->ideal / (double)s->n_tokens, s->ideal ? 100.0 * (double)s->real / (double)s->ideal : 0.0);
    }
    dr_cache_stat s;
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    print_message("%llu records stored, %llu evicted\n", (unsigned long long)s.n_stored, (unsigned long long)s.n_evicted);
    if (!n_slabs)
        assert_true((double)all.real >= 0.99 * (double)all.ideal);
    free(keys);
    free(d.at);
    trace_free(t);
    dr_cache_close(c);
    scratch_free();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace__is_the_same_from_the_same_seed),
        cmocka_unit_test(trace__hits_are_near_those_of_a_perfect_cache),
    };
    if (argc > 1)
        n_requests = atoi(argv[1]);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    if (argc > 3)
        n_slabs = atoi(argv[3]);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
