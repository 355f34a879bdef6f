#include "tests/cache/support.h"

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

static const struct {
    size_t n_key, n;
} shapes[] = {{1, 0}, {8, 1}, {36, 100}, {480, 2000}, {481, 3000}, {511, 50}, {512, 50}, {5000, 60}, {20, 4096}, {21, 300000}, {22, 5000000}};
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
        if (put(c, at, 12, at % 4000) != DR_OK || get(c, at, 12, at % 4000) != DR_OK)
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
        cmocka_unit_test_setup_teardown(facts__too_large_or_nameless_ones_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__stay_within_the_budget_and_keep_what_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__may_be_put_and_got_by_several_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(facts__of_another_process_are_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
