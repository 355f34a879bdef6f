#include "tests/cache/support.h"

#include "cache/kv_writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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

static void *bytes_number(uint64_t i, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    fill_bytes(p, n, i);
    return p;
}

static size_t size_of(uint64_t i)
{
    return (size_t)(i * 7919 % (3 * SLAB));
}

static void put_all(dr_kv_writer *w, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        const dr_kv_label l = label_number(DR_KV_BLOCK, i, 0);
        assert_int_equal(dr_kv_writer_put(w, &l, bytes_number(i, size_of(i)), size_of(i), true), DR_OK);
    }
}

static void writer__stores_all_that_was_put(void **state)
{
    dr_cache *c = cache_at((int64_t)1 << 28);
    dr_kv_writer *w = NULL;
    dr_kv_writer_stat s;
    (void)state;
    assert_int_equal(dr_kv_writer_new(&w, c, 2 << 20, NULL), DR_OK);
    put_all(w, 1, 101);
    assert_int_equal(dr_kv_writer_flush(w, NULL), DR_OK);
    for (uint64_t i = 1; i < 101; i++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, i, size_of(i)), DR_OK);
    put_all(w, 51, 151);
    dr_kv_writer_stat_get(w, &s);
    dr_kv_writer_free(w, false); /* writes what is queued */
    for (uint64_t i = 1; i < 151; i++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, i, size_of(i)), DR_OK);
    assert_true(s.n_stored >= 100 && s.n_lost == 0);
    assert_clean(c);
    dr_cache_close(c);
}

static void writer__refuses_when_full_and_leaves_the_bytes(void **state)
{
    dr_cache *c = cache_at((int64_t)1 << 28);
    dr_kv_writer *w = NULL;
    int n_again = 0;
    (void)state;
    assert_int_equal(dr_kv_writer_new(&w, c, SLAB, NULL), DR_OK);
    for (uint64_t i = 1; i <= 200; i++) {
        const dr_kv_label l = label_number(DR_KV_BLOCK, i, 0);
        void *p = bytes_number(i, SLAB);
        const dr_status st = dr_kv_writer_put(w, &l, p, SLAB, false);
        if (st == DR_ERR_AGAIN) {
            n_again++;
            free(p);
        } else {
            assert_int_equal(st, DR_OK);
        }
    }
    assert_true(n_again > 0);
    /* Larger than the queue passes alone. */
    const dr_kv_label l = label_number(DR_KV_BLOCK, 999, 0);
    assert_int_equal(dr_kv_writer_put(w, &l, bytes_number(999, 3 * SLAB), 3 * SLAB, true), DR_OK);
    assert_int_equal(dr_kv_writer_flush(w, NULL), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 999, 3 * SLAB), DR_OK);
    dr_kv_writer_free(w, false);
    dr_cache_close(c);
}

static void writer__abandons(void **state)
{
    dr_cache *c = cache_at((int64_t)1 << 28);
    dr_kv_writer *w = NULL;
    (void)state;
    assert_int_equal(dr_kv_writer_new(&w, c, (size_t)1 << 30, NULL), DR_OK);
    put_all(w, 1, 200);
    dr_kv_writer_free(w, true);
    assert_clean(c);
    dr_cache_close(c);
}

static void writer__remembers_the_first_error_and_goes_on(void **state)
{
    dr_cache *c = cache_at(4 * (SLAB + 16));
    dr_kv_writer *w = NULL;
    dr_kv_writer_stat s;
    dr_error err = {0};
    (void)state;
    assert_int_equal(dr_kv_writer_new(&w, c, 16 << 20, NULL), DR_OK);
    dr_kv_label l = label_number(DR_KV_BLOCK, 1, 0);
    assert_int_equal(dr_kv_writer_put(w, &l, bytes_number(1, 5 * SLAB), 5 * SLAB, true), DR_OK);
    l = label_number(DR_KV_BLOCK, 2, 0);
    assert_int_equal(dr_kv_writer_put(w, &l, bytes_number(2, SLAB), SLAB, true), DR_OK);
    assert_int_equal(dr_kv_writer_flush(w, &err), DR_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "larger than the budget"));
    assert_int_equal(get_number(c, DR_KV_BLOCK, 2, SLAB), DR_OK);
    dr_kv_writer_stat_get(w, &s);
    assert_int_equal(s.n_lost, 1);
    assert_int_equal(s.n_stored, 1);
    dr_kv_writer_free(w, false);
    dr_cache_close(c);
}

static void writer__without_a_cache_lets_everything_go(void **state)
{
    dr_kv_writer *w = NULL;
    const dr_kv_label l = label_number(DR_KV_BLOCK, 1, 0);
    (void)state;
    assert_int_equal(dr_kv_writer_new(&w, NULL, 100, NULL), DR_OK);
    assert_int_equal(dr_kv_writer_put(w, &l, bytes_number(1, 1000), 1000, false), DR_OK);
    assert_int_equal(dr_kv_writer_flush(w, NULL), DR_OK);
    dr_kv_writer_free(w, false);
    dr_kv_writer_free(NULL, true);
}

typedef struct putter {
    dr_kv_writer *w;
    uint64_t from;
} putter;

static void *put_some(void *arg)
{
    const putter *p = arg;
    put_all(p->w, p->from, p->from + 40);
    return NULL;
}

/* Two threads put, and a third looks, while the writer writes. */
static void writer__is_fed_by_several_threads(void **state)
{
    dr_cache *c = cache_at((int64_t)1 << 28);
    dr_kv_writer *w = NULL;
    pthread_t th[2];
    (void)state;
    assert_int_equal(dr_kv_writer_new(&w, c, 4 << 20, NULL), DR_OK);
    putter p[2] = {{w, 1}, {w, 31}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&th[i], NULL, put_some, &p[i]), 0);
    for (uint64_t i = 1; i < 71; i++)
        (void)get_number(c, DR_KV_BLOCK, i, size_of(i));
    for (int i = 0; i < 2; i++)
        (void)pthread_join(th[i], NULL);
    assert_int_equal(dr_kv_writer_flush(w, NULL), DR_OK);
    for (uint64_t i = 1; i < 71; i++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, i, size_of(i)), DR_OK);
    dr_kv_writer_free(w, false);
    assert_clean(c);
    dr_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writer__stores_all_that_was_put, setup, teardown),
        cmocka_unit_test_setup_teardown(writer__refuses_when_full_and_leaves_the_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(writer__abandons, setup, teardown),
        cmocka_unit_test_setup_teardown(writer__remembers_the_first_error_and_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(writer__without_a_cache_lets_everything_go, setup, teardown),
        cmocka_unit_test_setup_teardown(writer__is_fed_by_several_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
