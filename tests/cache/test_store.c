#include "tests/cache/support.h"

#include "cache/kv_slabs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t BIG = (int64_t)1 << 30;

static int setup(void **state)
{
    (void)state;
    (void)scratch_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free();
    return 0;
}

static const size_t sizes[] = {0, 1, SLAB - 1, SLAB, SLAB + 1, 2 * SLAB, 3 * SLAB + 77, 40 * SLAB + 1};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static void store__gives_back_what_was_put_at_every_size(void **state)
{
    dr_cache *c = cache_at(BIG);
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < N_SIZES; i++) {
            if (round == 0) {
                assert_int_equal(get_number(c, DR_KV_BLOCK, i + 1, sizes[i]), DR_ERR_NOT_FOUND);
                assert_int_equal(put_number(c, DR_KV_BLOCK, i + 1, i, sizes[i], NULL), DR_OK);
            }
            assert_int_equal(get_number(c, DR_KV_BLOCK, i + 1, sizes[i]), DR_OK);
            assert_int_equal(get_number(c, DR_KV_ANCHOR, i + 1, sizes[i]), DR_ERR_NOT_FOUND);
            assert_int_equal(get_number(c, DR_KV_BLOCK, i + 1, sizes[i] + 1), DR_ERR_ARG);
        }
        assert_clean(c);
        dr_cache_close(c);
        c = cache_at(BIG);
    }
    dr_cache_close(c);
}

static void store__find_tells_what_was_said_of_a_record(void **state)
{
    dr_cache *c = cache_at(BIG);
    dr_kv_label l = label_number(DR_KV_ANCHOR, 9, 4);
    dr_kv_info info;
    bool stored = false;
    (void)state;

    l.group = 77;
    l.compute_us = 123456789;
    l.n_meta = DR_KV_META_BYTES;
    memset(l.meta, 0x5a, sizeof l.meta);
    assert_int_equal(dr_kv_store_put(c, &stored, &l, "abc", 3, NULL), DR_OK);
    assert_true(stored);
    /* Create if absent: the second put changes nothing. */
    dr_kv_label again = l;
    again.group = 78;
    assert_int_equal(dr_kv_store_put(c, &stored, &again, "abc", 3, NULL), DR_OK);
    assert_false(stored);
    assert_int_equal(dr_kv_store_find(c, &info, DR_KV_ANCHOR, &l.key, NULL), DR_OK);
    assert_int_equal(info.n_bytes, 3);
    assert_int_equal(info.label.group, 77);
    assert_int_equal(info.label.compute_us, 123456789);
    assert_int_equal(info.label.n_tokens, 9);
    assert_int_equal(info.label.n_meta, DR_KV_META_BYTES);
    assert_memory_equal(info.label.meta, l.meta, sizeof l.meta);
    assert_memory_equal(info.label.parent.b, l.parent.b, 32);
    assert_int_equal(dr_kv_store_find(c, &info, DR_KV_BLOCK, &l.key, NULL), DR_ERR_NOT_FOUND);
    dr_cache_close(c);
}

static void store__refuses_labels_it_cannot_keep(void **state)
{
    dr_cache *c = cache_at(BIG);
    dr_kv_label l = label_number(DR_KV_BLOCK, 1, 0);
    (void)state;
    l.kind = (dr_kv_kind)DR_KV_KINDS;
    assert_int_equal(dr_kv_store_put(c, NULL, &l, "", 0, NULL), DR_ERR_ARG);
    l = label_number(DR_KV_BLOCK, 1, 0);
    l.n_meta = DR_KV_META_BYTES + 1;
    assert_int_equal(dr_kv_store_put(c, NULL, &l, "", 0, NULL), DR_ERR_ARG);
    dr_cache_close(c);
}

static void store__without_a_cache_finds_nothing_and_keeps_nothing(void **state)
{
    const dr_key k = key_number(1);
    const dr_kv_label l = label_number(DR_KV_BLOCK, 1, 0);
    uint8_t byte;
    bool stored = true;
    dr_kv_hit hit;
    dr_cache_stat s;
    int64_t a, b;
    (void)state;
    assert_int_equal(dr_kv_store_put(NULL, &stored, &l, "x", 1, NULL), DR_OK);
    assert_false(stored);
    assert_int_equal(dr_kv_store_find(NULL, NULL, DR_KV_BLOCK, &k, NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_kv_store_get(NULL, (dr_span){&byte, 1}, DR_KV_BLOCK, &k, NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_kv_store_drop(NULL, DR_KV_BLOCK, &k, NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_kv_store_resume(NULL, &hit, &k, NULL, 0, 0, NULL), DR_OK);
    assert_int_equal(hit.n_tokens, 0);
    assert_int_equal(dr_cache_stat_get(NULL, &s, NULL), DR_OK);
    assert_int_equal(dr_cache_gc(NULL, &a, &b, NULL), DR_OK);
    assert_int_equal(dr_cache_purge(NULL, 1, &a, NULL), DR_OK);
    assert_int_equal(dr_cache_flush(NULL, NULL), DR_OK);
    assert_true(dr_cache_read_only(NULL));
    dr_cache_close(NULL);
}

/* 1 <- 2 <- 3, anchors 12 and 13 on 2 and 3. */
static void store__a_dropped_block_takes_its_descendants_along(void **state)
{
    dr_cache *c = cache_at(BIG);
    dr_cache_stat s;
    const dr_key two = key_number(2);
    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, i, i - 1, 2 * SLAB, NULL), DR_OK);
    for (uint64_t i = 2; i <= 3; i++)
        assert_int_equal(put_number(c, DR_KV_ANCHOR, 10 + i, i, 100, NULL), DR_OK);
    assert_int_equal(dr_kv_store_drop(c, DR_KV_BLOCK, &two, NULL), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 1, 2 * SLAB), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 2, 2 * SLAB), DR_ERR_NOT_FOUND);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 3, 2 * SLAB), DR_ERR_NOT_FOUND);
    assert_int_equal(get_number(c, DR_KV_ANCHOR, 12, 100), DR_ERR_NOT_FOUND);
    assert_int_equal(get_number(c, DR_KV_ANCHOR, 13, 100), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_kv_store_drop(c, DR_KV_BLOCK, &two, NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_int_equal(s.slabs_used, 2);
    assert_int_equal(s.slabs_free, 6);
    assert_clean(c);
    /* Freed ids are taken again before new ones. */
    assert_int_equal(put_number(c, DR_KV_BLOCK, 4, 1, 4 * SLAB, NULL), DR_OK);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_int_equal(s.slabs_free, 2);
    assert_int_equal(s.slabs_used, 6);
    dr_cache_close(c);
}

static void store__purges_by_group(void **state)
{
    dr_cache *c = cache_at(BIG);
    int64_t n = 0;
    (void)state;
    for (uint64_t i = 1; i <= 6; i++) {
        dr_kv_label l = label_number(DR_KV_BLOCK, i, 0);
        l.group = i % 2;
        assert_int_equal(dr_kv_store_put(c, NULL, &l, "x", 1, NULL), DR_OK);
    }
    assert_int_equal(dr_cache_purge(c, 1, &n, NULL), DR_OK);
    assert_int_equal(n, 3);
    for (uint64_t i = 1; i <= 6; i++) {
        const dr_key k = key_number(i);
        assert_int_equal(dr_kv_store_find(c, NULL, DR_KV_BLOCK, &k, NULL), i % 2 ? DR_ERR_NOT_FOUND : DR_OK);
    }
    assert_clean(c);
    dr_cache_close(c);
}

/* The budget holds whatever is put. Chains of five blocks. */
static void store__stays_within_its_budget(void **state)
{
    const int64_t budget = 40 * (SLAB + 16);
    dr_cache *c = cache_at(budget);
    dr_cache_stat s;
    (void)state;
    for (uint64_t i = 1; i <= 60; i++) {
        assert_int_equal(put_number(c, DR_KV_BLOCK, i, i % 5 == 1 ? 0 : i - 1, 2 * SLAB, NULL), DR_OK);
        assert_int_equal(get_number(c, DR_KV_BLOCK, i, 2 * SLAB), DR_OK);
        assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
        assert_true(s.slabs_used <= 40);
    }
    assert_true(s.n_evicted > 0);
    assert_clean(c);
    /* Larger than everything: refused, and nothing was thrown out for it. */
    const int64_t before = s.slabs_used;
    assert_int_equal(put_number(c, DR_KV_BLOCK, 99, 0, 41 * SLAB, NULL), DR_ERR_LIMIT);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_int_equal(s.slabs_used, before);
    dr_cache_close(c);
    /* A smaller budget is reached by gc. */
    c = cache_at(budget / 2);
    int64_t n, bytes;
    assert_int_equal(dr_cache_gc(c, &n, &bytes, NULL), DR_OK);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_true(n > 0 && s.slabs_used <= 20);
    assert_clean(c);
    dr_cache_close(c);
}

/* Of a prefix longer than the budget the beginning is kept: the end is of no use without it. */
static void store__keeps_the_beginning_of_too_long_a_prefix(void **state)
{
    dr_cache *c = cache_at(10 * (SLAB + 16));
    dr_kv_info info;
    uint8_t *p = calloc(1, SLAB);
    (void)state;
    for (uint64_t i = 1; i <= 15; i++) {
        dr_kv_label l = label_number(DR_KV_BLOCK, i, i - 1);
        l.n_tokens = (int64_t)i * DR_CHAIN_BLOCK_TOKENS;
        assert_int_equal(dr_kv_store_put(c, NULL, &l, p, SLAB, NULL), i <= 10 ? DR_OK : DR_ERR_LIMIT);
    }
    for (uint64_t i = 1; i <= 10; i++) {
        const dr_key k = key_number(i);
        assert_int_equal(dr_kv_store_find(c, &info, DR_KV_BLOCK, &k, NULL), DR_OK);
    }
    free(p);
    assert_clean(c);
    dr_cache_close(c);
}

/* A chain whose end is dear and a single record that was cheap: the cheap one goes, and no block goes before its child. */
static void store__evicts_what_is_worth_least_and_leaves_first(void **state)
{
    dr_cache *c = cache_at(20 * (SLAB + 16));
    (void)state;
    for (uint64_t i = 1; i <= 8; i++) {
        dr_kv_label l = label_number(DR_KV_BLOCK, i, i - 1);
        uint8_t *p = calloc(1, SLAB);
        l.compute_us = i == 8 ? 1000000000 : 1;
        assert_int_equal(dr_kv_store_put(c, NULL, &l, p, SLAB, NULL), DR_OK);
        free(p);
    }
    for (uint64_t i = 101; i <= 112; i++)
        assert_int_equal(put_number(c, DR_KV_ANCHOR, i, 0, SLAB, NULL), DR_OK);
    for (uint64_t i = 201; i <= 212; i++)
        assert_int_equal(put_number(c, DR_KV_ANCHOR, i, 0, SLAB, NULL), DR_OK);
    for (uint64_t i = 1; i <= 8; i++) {
        const dr_key k = key_number(i);
        assert_int_equal(dr_kv_store_find(c, NULL, DR_KV_BLOCK, &k, NULL), DR_OK);
    }
    dr_cache_stat s;
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_int_equal(s.kv[DR_KV_ANCHOR].n_records, 12);
    assert_int_equal(s.n_evicted, 12);
    dr_cache_close(c);
}

enum { T = 5 * DR_CHAIN_BLOCK_TOKENS };
static int32_t ids[T];
static dr_key keys[T / DR_CHAIN_STEP + 1];

static void put_expecting(dr_status expected, dr_cache *c, dr_kv_kind kind, int64_t position, const dr_key *chain,
                          const int32_t *tokens)
{
    const int64_t floor = kind == DR_KV_BLOCK ? position - DR_CHAIN_BLOCK_TOKENS
                                              : position / DR_CHAIN_BLOCK_TOKENS * DR_CHAIN_BLOCK_TOKENS;
    const dr_kv_label l = {.kind = kind,
                           .key = dr_chain_at(chain, tokens, position),
                           .parent = chain[floor / DR_CHAIN_STEP],
                           .n_tokens = position};
    assert_int_equal(dr_kv_store_put(c, NULL, &l, "anchor", 6, NULL), expected);
}

static void put_at(dr_cache *c, dr_kv_kind kind, int64_t position, const dr_key *chain, const int32_t *tokens)
{
    put_expecting(DR_OK, c, kind, position, chain, tokens);
}

static int64_t resume(dr_cache *c, int64_t n, int64_t limit)
{
    dr_kv_hit hit;
    assert_int_equal(dr_kv_store_resume(c, &hit, keys, ids, n, limit, NULL), DR_OK);
    if (hit.n_tokens) {
        const dr_key want = dr_chain_at(keys, ids, hit.n_tokens);
        assert_true(dr_key_eq(&hit.anchor, &want));
        assert_int_equal(hit.anchor_bytes, 6);
        assert_int_equal(hit.n_blocks, hit.n_tokens / DR_CHAIN_BLOCK_TOKENS);
    }
    return hit.n_tokens;
}

static void resume__takes_the_newest_anchor_that_can_be_reached(void **state)
{
    dr_cache *c = cache_at(BIG);
    const dr_key start = dr_chain_start(&(dr_chain_parts){.salt = NULL});
    (void)state;
    for (int i = 0; i < T; i++)
        ids[i] = i % 999;
    dr_chain_extend(keys, &start, ids, T);
    assert_int_equal(resume(c, T, T - 1), 0);
    put_at(c, DR_KV_ANCHOR, 1, keys, ids);
    assert_int_equal(resume(c, T, T - 1), 1);
    put_at(c, DR_KV_ANCHOR, 2047, keys, ids);
    assert_int_equal(resume(c, T, T - 1), 2047);
    assert_int_equal(resume(c, T, 2046), 1);
    assert_int_equal(resume(c, T, 0), 0);
    assert_int_equal(resume(c, 0, -1), 0);
    /* Behind a block that is not stored an anchor is of no use, nor is another block. */
    put_expecting(DR_ERR_LIMIT, c, DR_KV_ANCHOR, 2048, keys, ids);
    put_expecting(DR_ERR_LIMIT, c, DR_KV_BLOCK, 4096, keys, ids);
    put_at(c, DR_KV_BLOCK, 2048, keys, ids);
    put_at(c, DR_KV_ANCHOR, 2048, keys, ids);
    put_at(c, DR_KV_ANCHOR, 2049, keys, ids);
    put_expecting(DR_ERR_LIMIT, c, DR_KV_ANCHOR, 6000, keys, ids);
    assert_int_equal(resume(c, T, T - 1), 2049);
    assert_int_equal(resume(c, T, 2048), 2048);
    assert_int_equal(resume(c, 2048, 2048), 2048);
    assert_int_equal(resume(c, T, 2047), 2047);
    put_at(c, DR_KV_BLOCK, 4096, keys, ids);
    put_at(c, DR_KV_BLOCK, 6144, keys, ids);
    assert_int_equal(resume(c, T, T - 1), 2049);
    put_at(c, DR_KV_ANCHOR, 6000, keys, ids);
    assert_int_equal(resume(c, T, T - 1), 6000);
    assert_int_equal(resume(c, T, 5999), 2049);

    /* Another prefix that parts from this one at 5,000 leaves anchors at the same places. */
    static int32_t other[T];
    static dr_key other_keys[T / DR_CHAIN_STEP + 1];
    memcpy(other, ids, sizeof ids);
    other[5000] ^= 1;
    dr_chain_extend(other_keys, &start, other, T);
    for (int64_t p = 5001; p < 5200; p += 3)
        put_at(c, DR_KV_ANCHOR, p, other_keys, other);
    put_at(c, DR_KV_ANCHOR, 4999, other_keys, other); /* before they part: shared */
    assert_int_equal(resume(c, T, 5999), 4999);
    assert_int_equal(resume(c, T, T - 1), 6000);
    assert_clean(c);

    const dr_key middle = keys[4096 / DR_CHAIN_STEP];
    assert_int_equal(dr_kv_store_drop(c, DR_KV_BLOCK, &middle, NULL), DR_OK);
    assert_int_equal(resume(c, T, T - 1), 2049);
    dr_cache_close(c);
}

enum { N_SHARED = 30 };

static void child_of_two(int role)
{
    dr_cache *c = cache_at(BIG);
    int wrong = 0;
    for (uint64_t round = 0; round < 3; round++)
        for (uint64_t i = 1; i <= N_SHARED; i++) {
            const uint64_t at = role ? N_SHARED + 1 - i : i;
            const size_t n = (size_t)(at % 5) * SLAB / 2 + at;
            wrong += put_number(c, DR_KV_BLOCK, at, 0, n, NULL) != DR_OK;
            wrong += get_number(c, DR_KV_BLOCK, at, n) != DR_OK;
        }
    dr_cache_close(c);
    _exit(wrong ? 1 : 0);
}

static void store__is_shared_by_two_processes(void **state)
{
    pid_t pid[2];
    (void)state;
    for (int i = 0; i < 2; i++)
        if ((pid[i] = fork()) == 0) {
            as_child();
            child_of_two(i);
        }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    dr_cache *c = cache_at(BIG);
    for (uint64_t at = 1; at <= N_SHARED; at++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, at, (size_t)(at % 5) * SLAB / 2 + at), DR_OK);
    dr_cache_stat s;
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_int_equal(s.n_stored, N_SHARED); /* each once */
    assert_clean(c);
    dr_cache_close(c);
}

/* Holds the slab lock as one that stores without a pause does: free for microseconds only. */
static void child_that_writes(int ready, int go_on)
{
    dr_cache *c = cache_at(BIG);
    char byte = 0;
    const struct timespec busy = {0, 20000000};
    bool good = write(ready, &byte, 1) == 1;
    while (good && read(go_on, &byte, 1) < 0) { /* until the pipe is closed */
        good = dr_slabs__lock(c, NULL) == DR_OK;
        (void)nanosleep(&busy, NULL);
        dr_slabs__unlock(c);
    }
    dr_cache_close(c);
    _exit(good ? 0 : 1);
}

static void store__a_busy_writer_lets_others_in(void **state)
{
    enum { N = 20, MOST_S = 8 };
    int ready[2], go_on[2], status = -1;
    char byte = 0;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go_on), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        as_child();
        (void)close(go_on[1]);
        assert_int_equal(fcntl(go_on[0], F_SETFL, O_NONBLOCK), 0);
        child_that_writes(ready[1], go_on[0]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    dr_cache *c = cache_at(BIG);
    const time_t begin = time(NULL);
    for (uint64_t i = 1; i <= N; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, i, 0, SLAB, NULL), DR_OK);
    assert_true(time(NULL) - begin <= MOST_S); /* twenty times as long as it takes by turns */
    for (int i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(go_on[i]);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_clean(c);
    dr_cache_close(c);
}

/* Records are replaced all the time by one thread while others read: a miss or the right bytes, and never "damaged". */
typedef struct churn {
    dr_cache *c;
    atomic_bool stop;
    atomic_int n_damaged, n_hits;
} churn;

static void *churn_reader(void *arg)
{
    churn *t = arg;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    while (!atomic_load(&t->stop)) {
        const uint64_t i = 1 + random_next(&seed) % 40;
        const dr_status st = get_number(t->c, DR_KV_BLOCK, i, 2 * SLAB);
        if (st == DR_ERR_FORMAT)
            atomic_fetch_add(&t->n_damaged, 1);
        else if (st == DR_OK)
            atomic_fetch_add(&t->n_hits, 1);
    }
    return NULL;
}

static void store__readers_see_right_bytes_while_records_are_replaced(void **state)
{
    churn t = {.c = cache_at(16 * (SLAB + 16))};
    pthread_t th[2];
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&th[i], NULL, churn_reader, &t), 0);
    for (uint64_t k = 0; k < 120; k++)
        assert_int_equal(put_number(t.c, DR_KV_BLOCK, 1 + k % 40, 0, 2 * SLAB, NULL), DR_OK);
    atomic_store(&t.stop, true);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(th[i], NULL);
    assert_int_equal(atomic_load(&t.n_damaged), 0);
    assert_clean(t.c);
    dr_cache_close(t.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(store__gives_back_what_was_put_at_every_size, setup, teardown),
        cmocka_unit_test_setup_teardown(store__find_tells_what_was_said_of_a_record, setup, teardown),
        cmocka_unit_test_setup_teardown(store__refuses_labels_it_cannot_keep, setup, teardown),
        cmocka_unit_test_setup_teardown(store__without_a_cache_finds_nothing_and_keeps_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(store__a_dropped_block_takes_its_descendants_along, setup, teardown),
        cmocka_unit_test_setup_teardown(store__purges_by_group, setup, teardown),
        cmocka_unit_test_setup_teardown(store__stays_within_its_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(store__keeps_the_beginning_of_too_long_a_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(store__evicts_what_is_worth_least_and_leaves_first, setup, teardown),
        cmocka_unit_test_setup_teardown(resume__takes_the_newest_anchor_that_can_be_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(store__is_shared_by_two_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(store__a_busy_writer_lets_others_in, setup, teardown),
        cmocka_unit_test_setup_teardown(store__readers_see_right_bytes_while_records_are_replaced, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
