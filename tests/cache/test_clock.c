/* Clocks that jump, and what hangs on the clock: the bytes of a day, and how long a repository's base is spared. */
#include "tests/cache/support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DAY = 24 * 3600, SLABS = 40 };
static const int64_t BUDGET = SLABS * (int64_t)(SLAB + 16);
static const time_t BEGIN = 1800000000 / DAY * DAY;
static time_t now;

/* Stands in front of the C library's. */
__attribute__((visibility("default"))) time_t time(time_t *t)
{
    if (t)
        *t = now;
    return now;
}

static int setup(void **state)
{
    (void)state;
    now = BEGIN;
    (void)scratch_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free();
    return 0;
}

static dr_status put_pinned(dr_cache *c, uint64_t i, size_t n)
{
    dr_kv_label l = label_number(DR_KV_BLOCK, i, 0);
    l.pinned = true;
    uint8_t *p = malloc(n);
    assert_non_null(p);
    fill_bytes(p, n, i);
    const dr_status st = dr_kv_store_put(c, NULL, &l, p, n, NULL);
    free(p);
    return st;
}

static void clock__jumps_do_no_harm(void **state)
{
    const time_t jumps[] = {BEGIN, BEGIN + 100 * 365 * (time_t)DAY, 0, -5, BEGIN - 3650 * DAY, INT64_MAX - 400 * (time_t)DAY, BEGIN + 1};
    uint64_t i = 1;

    (void)state;
    for (int round = 0; round < 3; round++)
        for (size_t k = 0; k < sizeof jumps / sizeof jumps[0]; k++) {
            now = jumps[k];
            dr_cache *c = cache_at(BUDGET);
            for (int n = 0; n < 30; n++, i++) {
                now += n % 7 == 3 ? -DAY : n % 5;
                assert_int_equal(put_number(c, DR_KV_BLOCK, i, 0, SLAB + 1, NULL), DR_OK);
                assert_int_equal(get_number(c, DR_KV_BLOCK, i, SLAB + 1), DR_OK);
            }
            dr_cache_stat s;
            assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
            assert_true(s.slabs_used <= SLABS);
            assert_clean(c);
            dr_cache_close(c);
        }
}

/* What was used while the clock ran ahead is old once it runs right again. */
static void clock__the_future_is_forgotten(void **state)
{
    (void)state;
    now = BEGIN + 1000 * (time_t)DAY;
    dr_cache *c = cache_at(BUDGET);
    assert_int_equal(put_number(c, DR_KV_BLOCK, 1, 0, 4 * SLAB, NULL), DR_OK);
    now = BEGIN;
    for (uint64_t i = 2; i <= 12; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, i, 0, 4 * SLAB, NULL), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 1, 4 * SLAB), DR_ERR_NOT_FOUND);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 12, 4 * SLAB), DR_OK);
    dr_cache_close(c);
}

static void clock__bytes_of_a_day_are_bounded(void **state)
{
    const dr_cache_options o = {.kv_max_bytes = BUDGET, .kv_day_bytes = 10 * (SLAB + 16)};
    dr_error err = {0};
    dr_cache *c = NULL;
    dr_cache_stat s;

    (void)state;
    for (int day = 0; day < 3; day++) {
        now = BEGIN + day * DAY + DAY / 2;
        for (uint64_t i = 1; i <= 10; i++) {
            assert_int_equal(dr_cache_open(&c, scratch_path("c"), &o, &err), DR_OK); /* counted over restarts */
            assert_int_equal(put_number(c, DR_KV_BLOCK, 100 * (uint64_t)day + i, 0, SLAB, &err), DR_OK);
            dr_cache_close(c);
        }
        assert_int_equal(dr_cache_open(&c, scratch_path("c"), &o, &err), DR_OK);
        assert_int_equal(put_number(c, DR_KV_BLOCK, 50, 0, 1, &err), DR_ERR_LIMIT);
        assert_non_null(strstr(err.msg, "in a day"));
        assert_int_equal(get_number(c, DR_KV_BLOCK, 100 * (uint64_t)day + 10, SLAB), DR_OK);
        assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
        assert_int_equal(s.day_bytes, 10 * (SLAB + 16));
        assert_int_equal(s.day_max_bytes, o.kv_day_bytes);
        dr_cache_close(c);
    }
    /* A clock that went back begins a day too. */
    now = BEGIN - 100 * DAY;
    assert_int_equal(dr_cache_open(&c, scratch_path("c"), &o, &err), DR_OK);
    assert_int_equal(put_number(c, DR_KV_BLOCK, 50, 0, 1, &err), DR_OK);
    dr_cache_close(c);
}

static void clock__a_pinned_base_outlives_what_is_used_later(void **state)
{
    (void)state;
    dr_cache *c = cache_at(BUDGET);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_int_equal(put_pinned(c, i, 4 * SLAB), DR_OK);
        assert_int_equal(put_number(c, DR_KV_BLOCK, 10 + i, 0, 4 * SLAB, NULL), DR_OK);
    }
    /* Ten days of others' records. */
    for (uint64_t i = 0; i < 60; i++) {
        now += DAY / 6;
        assert_int_equal(put_number(c, DR_KV_BLOCK, 100 + i, 0, 4 * SLAB, NULL), DR_OK);
    }
    for (uint64_t i = 1; i <= 4; i++) {
        assert_int_equal(get_number(c, DR_KV_BLOCK, i, 4 * SLAB), DR_OK);
        assert_int_equal(get_number(c, DR_KV_BLOCK, 10 + i, 4 * SLAB), DR_ERR_NOT_FOUND);
    }
    dr_cache_close(c);
    c = cache_at(BUDGET);
    dr_kv_info info;
    const dr_key one = key_number(1);
    assert_int_equal(dr_kv_store_find(c, &info, DR_KV_BLOCK, &one, NULL), DR_OK);
    assert_true(info.label.pinned);
    /* But not for ever: a year without a question, and the newer go before it no more. */
    now += 365 * DAY;
    for (uint64_t i = 0; i < 60; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, 200 + i, 0, 4 * SLAB, NULL), DR_OK);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, i, 4 * SLAB), DR_ERR_NOT_FOUND);
    dr_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clock__jumps_do_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(clock__the_future_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(clock__bytes_of_a_day_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(clock__a_pinned_base_outlives_what_is_used_later, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
