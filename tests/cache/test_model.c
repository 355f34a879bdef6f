/* Random operations on the store, beside a model that is a few arrays. The store may forget under pressure of its budget, and says so
 * in its counters; otherwise it must agree with the model in everything, and after every reopening.
 *
 *   test_cache_model [OPERATIONS] [SEED] */
#include "tests/cache/support.h"

#include "cache/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 60, N_GROUPS = 3, SLABS = 40 };
static const int64_t BUDGET = SLABS * (int64_t)(SLAB + 16);
static long n_operations = 3000;
static uint64_t seed = 7;

typedef struct record {
    bool stored;
    uint64_t hits; /* counted by find after the next flush */
} record;

static record records[DR_KV_KINDS][N + 1];

/* A forest: blocks 1 to 7 stand at the start, block i on block i / 2, anchor i on block i. Depth gives the position. */
static uint64_t parent_of(dr_kv_kind kind, uint64_t i)
{
    return kind == DR_KV_ANCHOR ? i : i < 8 ? 0 : i / 2;
}

static int64_t position_of(dr_kv_kind kind, uint64_t i)
{
    int64_t depth = 0;
    for (; i > 0; i = parent_of(DR_KV_BLOCK, i))
        depth++;
    return depth * DR_CHAIN_BLOCK_TOKENS + (kind == DR_KV_ANCHOR ? 5 : 0);
}

static size_t size_of(dr_kv_kind kind, uint64_t i)
{
    static const size_t edges[] = {0, 1, SLAB - 1, SLAB, SLAB + 1};
    return i % 7 < 5 ? edges[i % 7] : (i * 31337 + kind * 777) % (4 * SLAB);
}

static dr_kv_label label_of(dr_kv_kind kind, uint64_t i)
{
    dr_kv_label l = label_number(kind, i, parent_of(kind, i));
    l.n_tokens = position_of(kind, i);
    l.group = i % N_GROUPS;
    return l;
}

static void forget(dr_kv_kind kind, uint64_t i)
{
    records[kind][i] = (record){0};
    if (kind == DR_KV_ANCHOR)
        return;
    if (records[DR_KV_ANCHOR][i].stored)
        forget(DR_KV_ANCHOR, i);
    for (uint64_t k = 8; k <= N; k++)
        if (parent_of(DR_KV_BLOCK, k) == i && records[DR_KV_BLOCK][k].stored)
            forget(DR_KV_BLOCK, k);
}

/* What was evicted is learnt from the store; what is left must still hang together. */
static void learn(dr_cache *c)
{
    for (int kind = 0; kind < DR_KV_KINDS; kind++)
        for (uint64_t i = 1; i <= N; i++) {
            const dr_key k = key_number(i);
            const dr_status st = dr_kv_store_find(c, NULL, (dr_kv_kind)kind, &k, NULL);
            if (st == DR_OK)
                assert_true(records[kind][i].stored);
            else
                records[kind][i] = (record){0};
        }
    for (int kind = 0; kind < DR_KV_KINDS; kind++)
        for (uint64_t i = 1; i <= N; i++)
            if (records[kind][i].stored && parent_of((dr_kv_kind)kind, i))
                assert_true(records[DR_KV_BLOCK][parent_of((dr_kv_kind)kind, i)].stored);
}

static uint64_t evicted(dr_cache *c)
{
    dr_cache_stat s;
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_true(s.slabs_used <= SLABS);
    return s.n_evicted;
}

static void put(dr_cache *c, dr_kv_kind kind, uint64_t i)
{
    const dr_kv_label l = label_of(kind, i);
    const size_t n = size_of(kind, i);
    const uint64_t parent = parent_of(kind, i), before = evicted(c);
    const bool possible = parent == 0 || records[DR_KV_BLOCK][parent].stored;
    uint8_t *p = malloc(n + 1);
    bool stored = true;

    fill_bytes(p, n, i);
    const dr_status st = dr_kv_store_put(c, &stored, &l, p, n, NULL);
    free(p);
    if (records[kind][i].stored) {
        assert_int_equal(st, DR_OK);
        assert_false(stored);
        return;
    }
    /* A chain that fills the budget is the only reason not to take what has its parent. */
    if (st == DR_OK) {
        assert_true(possible && stored);
        records[kind][i].stored = true;
    } else {
        assert_int_equal(st, DR_ERR_LIMIT);
        assert_false(possible);
    }
    if (evicted(c) != before)
        learn(c);
    if (st == DR_OK)
        assert_true(records[kind][i].stored);
}

static void get(dr_cache *c, dr_kv_kind kind, uint64_t i)
{
    const dr_status st = get_number(c, kind, i, size_of(kind, i));
    assert_int_equal(st, records[kind][i].stored ? DR_OK : DR_ERR_NOT_FOUND);
    records[kind][i].hits += st == DR_OK;
}

static void drop(dr_cache *c, dr_kv_kind kind, uint64_t i)
{
    const dr_key k = key_number(i);
    assert_int_equal(dr_kv_store_drop(c, kind, &k, NULL), records[kind][i].stored ? DR_OK : DR_ERR_NOT_FOUND);
    forget(kind, i);
}

static void purge(dr_cache *c, uint64_t group)
{
    int64_t n = -1, expected = 0;
    record before[DR_KV_KINDS][N + 1];
    memcpy(before, records, sizeof before);
    for (int kind = 0; kind < DR_KV_KINDS; kind++)
        for (uint64_t i = 1; i <= N; i++)
            if (i % N_GROUPS == group && records[kind][i].stored)
                forget((dr_kv_kind)kind, i);
    for (int kind = 0; kind < DR_KV_KINDS; kind++)
        for (uint64_t i = 1; i <= N; i++)
            expected += before[kind][i].stored && !records[kind][i].stored;
    assert_int_equal(dr_cache_purge(c, group, &n, NULL), DR_OK);
    assert_int_equal(n, expected);
}

static void check_totals(dr_cache *c)
{
    dr_cache_stat s;
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    for (int kind = 0; kind < DR_KV_KINDS; kind++) {
        int64_t n = 0, bytes = 0;
        for (uint64_t i = 1; i <= N; i++) {
            dr_kv_info info;
            const dr_key k = key_number(i);
            if (!records[kind][i].stored)
                continue;
            n++;
            bytes += (int64_t)size_of((dr_kv_kind)kind, i);
            assert_int_equal(dr_kv_store_find(c, &info, (dr_kv_kind)kind, &k, NULL), DR_OK);
            assert_int_equal(info.n_hits, records[kind][i].hits);
        }
        assert_int_equal(s.kv[kind].n_records, n);
        assert_int_equal(s.kv[kind].n_bytes, bytes);
    }
}

static void store__agrees_with_a_model(void **state)
{
    (void)state;
    (void)scratch_new();
    memset(records, 0, sizeof records);
    dr_cache *c = cache_at(BUDGET);
    for (long op = 0; op < n_operations; op++) {
        const dr_kv_kind kind = (dr_kv_kind)(random_next(&seed) % DR_KV_KINDS);
        const uint64_t i = 1 + random_next(&seed) % N, what = random_next(&seed) % 1000;
        if (what < 500)
            put(c, kind, i);
        else if (what < 900)
            get(c, kind, i);
        else if (what < 930)
            drop(c, kind, i);
        else if (what < 932)
            purge(c, i % N_GROUPS);
        else if (what < 980) {
            assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
            check_totals(c);
        } else if (what < 995) {
            assert_clean(c);
        } else {
            dr_cache_close(c);
            c = cache_at(BUDGET);
            assert_string_equal(dr_cache_note(c), "");
            check_totals(c);
        }
    }
    assert_clean(c);
    assert_true(evicted(c) > 0);
    dr_cache_close(c);
    scratch_free();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(store__agrees_with_a_model)};
    if (argc > 1)
        n_operations = atol(argv[1]);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
