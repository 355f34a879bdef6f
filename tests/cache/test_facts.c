#include "tests/cache/support.h"

#include "base/hash.h"
#include "cache/facts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static dr_cache *open_facts(int64_t max_bytes)
{
    const dr_cache_options o = {.kv_max_bytes = 1 << 24, .facts_max_bytes = max_bytes};
    dr_cache *c = NULL;
    dr_error err = {0};
    if (dr_cache_open(&c, scratch_path("c"), &o, &err) != DR_OK)
        fail_msg("%s", err.msg);
    return c;
}

static dr_status put(dr_cache *c, uint64_t i, size_t n_key, size_t n)
{
    const dr_blob_store *s = dr_cache_facts(c);
    uint8_t *key = malloc(n_key), *value = malloc(n + 1);
    fill_bytes(key, n_key, i);
    fill_bytes(value, n, i + 1000000);
    const dr_status st = s->put(s->self, (dr_cspan){key, n_key}, (dr_cspan){value, n}, NULL);
    free(key);
    free(value);
    return st;
}

static dr_status get(dr_cache *c, uint64_t i, size_t n_key, size_t n)
{
    const dr_blob_store *s = dr_cache_facts(c);
    uint8_t *key = malloc(n_key), *value = malloc(n + 1);
    dr_buf out = {0};
    fill_bytes(key, n_key, i);
    fill_bytes(value, n, i + 1000000);
    dr_buf_str(&out, "before ");
    const dr_status st = s->get(s->self, &out, (dr_cspan){key, n_key}, NULL);
    assert_memory_equal(out.data, "before ", 7); /* appended, not replaced */
    if (st == DR_OK) {
        assert_int_equal(out.n, 7 + n);
        assert_memory_equal(out.data + 7, value, n);
    } else {
        assert_int_equal(out.n, 7);
    }
    dr_buf_free(&out);
    free(key);
    free(value);
    return st;
}

/* What fits 64 pages of 4 KiB beside a page header and a checksum: more is kept in pieces. */
enum { PIECE = (256 << 10) - 24 };

static const struct {
    size_t n_key, n;
} shapes[] = {{1, 0}, {8, 1}, {36, 100}, {480, 2000}, {481, 3000}, {511, 50}, {512, 50}, {5000, 60}, {20, 4096}, {21, 300000}, {22, 5000000},
              {23, PIECE}, {24, PIECE + 1}, {25, 2 * PIECE}, {26, 2 * PIECE + 1}, {2000, 900000}, {27, 40000000}};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static void facts__are_found_before_and_after_they_are_written(void **state)
{
    dr_cache *c = open_facts(0);
    (void)state;
    for (uint64_t i = 0; i < N_SHAPES; i++) {
        assert_int_equal(get(c, i, shapes[i].n_key, shapes[i].n), DR_ERR_NOT_FOUND);
        assert_int_equal(put(c, i, shapes[i].n_key, shapes[i].n), DR_OK);
        assert_int_equal(get(c, i, shapes[i].n_key, shapes[i].n), DR_OK);
    }
    assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
    for (uint64_t i = 0; i < N_SHAPES; i++)
        assert_int_equal(get(c, i, shapes[i].n_key, shapes[i].n), DR_OK);
    dr_cache_close(c);
    c = open_facts(0);
    for (uint64_t i = 0; i < N_SHAPES; i++)
        assert_int_equal(get(c, i, shapes[i].n_key, shapes[i].n), DR_OK);
    assert_clean(c);
    dr_cache_close(c);
}

static void facts__a_later_put_replaces(void **state)
{
    dr_cache *c = open_facts(0);
    const dr_blob_store *s = dr_cache_facts(c);
    const dr_cspan key = {(const uint8_t *)"k", 1};
    (void)state;
    for (int round = 0; round < 4; round++) {
        const uint8_t v = (uint8_t)round;
        dr_buf out = {0};
        assert_int_equal(s->put(s->self, key, (dr_cspan){&v, 1}, NULL), DR_OK);
        if (round & 1)
            assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
        assert_int_equal(s->get(s->self, &out, key, NULL), DR_OK);
        assert_int_equal(out.n, 1);
        assert_int_equal(out.data[0], v);
        dr_buf_free(&out);
    }
    dr_cache_close(c);
}

/* Sizes on both sides of the border, and the same size with other bytes. */
static void facts__a_later_put_replaces_whatever_its_size(void **state)
{
    static const size_t sizes[] = {PIECE + 1, 10, 3 * PIECE, 3 * PIECE, PIECE, 2 * PIECE, 0, 2 * PIECE + 5};
    dr_cache *c = open_facts(0);
    const dr_blob_store *s = dr_cache_facts(c);
    const dr_cspan key = {(const uint8_t *)"k", 1};
    uint8_t *value = malloc(3 * PIECE);
    (void)state;
    for (uint64_t round = 0; round < 24; round++) {
        const size_t n = sizes[round % 8];
        dr_buf out = {0};
        fill_bytes(value, n, round);
        assert_int_equal(s->put(s->self, key, (dr_cspan){value, n}, NULL), DR_OK);
        if (round % 3 == 1)
            assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
        assert_int_equal(s->get(s->self, &out, key, NULL), DR_OK);
        assert_int_equal(out.n, n);
        if (n)
            assert_memory_equal(out.data, value, n);
        dr_buf_free(&out);
    }
    assert_clean(c);
    dr_cache_close(c);
    free(value);
}

/* Where in the file the first of `n` bytes stands, or -1. */
static long find_in_file(const char *path, const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const size_t size = (size_t)ftell(f);
    uint8_t *all = malloc(size);
    rewind(f);
    assert_int_equal(fread(all, 1, size, f), size);
    (void)fclose(f);
    const uint8_t *at = memmem(all, size, bytes, n);
    const long where = at ? (long)(at - all) : -1;
    free(all);
    return where;
}

static void facts__a_large_one_with_a_damaged_piece_is_not_found(void **state)
{
    enum { N = 5 * PIECE };
    dr_cache *c = open_facts(0);
    dr_cache_report r;
    uint8_t *value = malloc(N);
    (void)state;
    fill_bytes(value, N, 1 + 1000000);
    assert_int_equal(put(c, 1, 8, N), DR_OK);
    assert_int_equal(put(c, 2, 8, N), DR_OK);
    dr_cache_close(c);

    const char *file = scratch_path("c/facts/data.mdb");
    const long at = find_in_file(file, value + 3 * PIECE + 1000, 64);
    assert_true(at > 0);
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(value[3 * PIECE + 1000] ^ 1, f), value[3 * PIECE + 1000] ^ 1);
    assert_int_equal(fclose(f), 0);

    c = open_facts(0);
    assert_int_equal(get(c, 1, 8, N), DR_ERR_NOT_FOUND);
    assert_int_equal(get(c, 2, 8, N), DR_OK);
    assert_int_equal(dr_cache_verify(c, &r, NULL, NULL, NULL, NULL), DR_OK);
    assert_int_equal(r.n_bad_facts, 1);
    assert_int_equal(r.n_facts, 2 * (5 + 1));
    assert_int_equal(put(c, 1, 8, N), DR_OK); /* heals */
    assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
    assert_int_equal(get(c, 1, 8, N), DR_OK);
    assert_clean(c);
    dr_cache_close(c);
    free(value);
}

/* What the store itself writes under the key of a large value, put as a value of one's own. */
static void facts__a_value_may_look_like_a_head(void **state)
{
    dr_cache *c = open_facts(0);
    const dr_blob_store *s = dr_cache_facts(c);
    const dr_cspan key = {(const uint8_t *)"k", 1};
    uint8_t *value = malloc(2 * PIECE), head[24];
    dr_buf out = {0};
    (void)state;
    fill_bytes(value, 2 * PIECE, 9);
    assert_int_equal(s->put(s->self, key, (dr_cspan){value, 2 * PIECE}, NULL), DR_OK);
    const dr_checksum sum = dr_xxh3_128(value, 2 * PIECE);
    dr_store_u64(head, 2 * PIECE);
    dr_store_u64(head + 8, sum.lo);
    dr_store_u64(head + 16, sum.hi);
    assert_int_equal(s->put(s->self, key, (dr_cspan){head, sizeof head}, NULL), DR_OK);
    for (int written = 0; written < 2; written++) {
        dr_buf_clear(&out);
        assert_int_equal(s->get(s->self, &out, key, NULL), DR_OK);
        assert_int_equal(out.n, sizeof head);
        assert_memory_equal(out.data, head, sizeof head);
        assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
    }
    dr_buf_free(&out);
    free(value);
    dr_cache_close(c);
}

static void facts__large_ones_stay_within_the_budget_too(void **state)
{
    const int64_t budget = 32 << 20;
    dr_cache *c = open_facts(budget);
    dr_cache_stat s;
    (void)state;
    assert_int_equal(put(c, 0, 16, (size_t)budget / 4 + 1), DR_ERR_LIMIT);
    assert_int_equal(put(c, 0, 16, 3 << 20), DR_OK);
    for (uint64_t i = 1; i < 40; i++) {
        assert_int_equal(put(c, i, 16, ((i * 37) % 8) << 20), DR_OK);
        assert_int_equal(get(c, i, 16, ((i * 37) % 8) << 20), DR_OK);
        assert_int_equal(get(c, 0, 16, 3 << 20), DR_OK); /* used all the time */
        assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
        assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
        if (s.facts_bytes > budget)
            fail_msg("%lld bytes of facts, %lld allowed", (long long)s.facts_bytes, (long long)budget);
    }
    assert_int_equal(get(c, 1, 16, (37 % 8) << 20), DR_ERR_NOT_FOUND);
    assert_clean(c);
    dr_cache_close(c);
}

static void facts__too_large_or_nameless_ones_are_refused(void **state)
{
    dr_cache *c = open_facts(1 << 20);
    (void)state;
    assert_int_equal(put(c, 1, 8, 1 << 18), DR_OK);
    assert_int_equal(put(c, 1, 8, (1 << 18) + 1), DR_ERR_LIMIT);
    const dr_blob_store *s = dr_cache_facts(c);
    assert_int_equal(s->put(s->self, (dr_cspan){NULL, 0}, (dr_cspan){NULL, 0}, NULL), DR_ERR_ARG);
    dr_cache_close(c);
    assert_null(dr_cache_facts(NULL));
}

/* Ten times the budget goes in; one fact is used all the time and must survive, and the file must not grow with what goes in. */
static void facts__stay_within_the_budget_and_keep_what_is_used(void **state)
{
    const int64_t budget = 8 << 20;
    dr_cache *c = open_facts(budget);
    dr_cache_stat s;
    uint64_t seed = 1;
    (void)state;
    assert_int_equal(put(c, 0, 16, 5000), DR_OK);
    int64_t put_bytes = 0;
    for (uint64_t i = 1; put_bytes < 10 * budget; i++) {
        const size_t n = random_next(&seed) % 12000;
        assert_int_equal(put(c, i, 16, n), DR_OK);
        put_bytes += (int64_t)n;
        if (i % 50 == 0)
            assert_int_equal(get(c, 0, 16, 5000), DR_OK);
        if (i % 500 == 0) {
            assert_int_equal(dr_cache_flush(c, NULL), DR_OK);
            assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
            if (s.facts_bytes > budget)
                fail_msg("%lld bytes of facts, %lld allowed", (long long)s.facts_bytes, (long long)budget);
        }
    }
    assert_int_equal(get(c, 1, 16, 0), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    if (s.facts_file_bytes > 2 * budget)
        fail_msg("the file has %lld bytes", (long long)s.facts_file_bytes);
    assert_clean(c);
    dr_cache_close(c);
}

static void *many_puts(void *arg)
{
    dr_cache *c = arg;
    static atomic_uint next;
    const uint64_t role = atomic_fetch_add(&next, 1);
    for (uint64_t i = 0; i < 2000; i++) {
        const uint64_t at = (i * 7 + role * 1000) % 3000;
        const size_t n = at % 500 ? at % 4000 : 2 * PIECE + at;
        if (put(c, at, 12, n) != DR_OK || get(c, at, 12, n) != DR_OK)
            return c;
    }
    return NULL;
}

static void facts__may_be_put_and_got_by_several_threads(void **state)
{
    dr_cache *c = open_facts(16 << 20);
    pthread_t th[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&th[i], NULL, many_puts, c), 0);
    for (int i = 0; i < 3; i++) {
        void *bad = c;
        assert_int_equal(pthread_join(th[i], &bad), 0);
        assert_null(bad);
    }
    assert_clean(c);
    dr_cache_close(c);
}

static void facts__of_another_process_are_seen(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        as_child();
        dr_cache *c = open_facts(0);
        const bool ok = put(c, 5, 30, 1234) == DR_OK;
        dr_cache_close(c);
        _exit(ok ? 0 : 1);
    }
    dr_cache *c = open_facts(0);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(get(c, 5, 30, 1234), DR_OK);
    dr_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(facts__are_found_before_and_after_they_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__a_later_put_replaces, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__a_later_put_replaces_whatever_its_size, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__a_large_one_with_a_damaged_piece_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__a_value_may_look_like_a_head, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__large_ones_stay_within_the_budget_too, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__too_large_or_nameless_ones_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__stay_within_the_budget_and_keep_what_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__may_be_put_and_got_by_several_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__of_another_process_are_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
