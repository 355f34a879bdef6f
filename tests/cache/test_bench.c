/* The bench runs on little and gives figures that can be. */
#include "tests/cache/support.h"

#include "cache/bench.h"

#include <stdlib.h>
#include <unistd.h>

static void bench__measures_and_leaves_nothing(void **state)
{
    dr_cache_bench b;
    dr_error err = {0};
    (void)state;
    (void)scratch_new();
    if (dr_cache_bench_run(&b, scratch_path("."), 16 << 20, 1 << 20, 3000, 8 << 20, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(b.n_bytes, 16 << 20);
    assert_int_equal(b.n_index, 3000);
    assert_true(b.memcpy_gb_s > 0 && b.warm_gb_s > 0 && b.write_mb_s > 0 && b.raw_write_mb_s > 0);
    assert_true(b.find_us_mean > 0 && b.find_us_max >= b.find_us_mean);
    assert_true(b.churn_bytes >= 19 * (int64_t)(8 << 20) && b.churn_mb_s > 0 && b.churn_raw_mb_s > 0);
    assert_true(b.churn_worst_ms >= b.churn_p99_ms && b.churn_p99_ms > 0);
    assert_true(b.churn_txn_worst_ms > 0);
    assert_true(b.churn_file_part > 0.5 && b.churn_file_part < 1.3);
    char path[4096];
    assert_non_null(realpath(scratch_path("."), path));
    assert_int_equal(rmdir(path), 0); /* it is empty */
    assert_int_equal(dr_cache_bench_run(&b, "/tmp", 10, 20, 1, 0, NULL), DR_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bench__measures_and_leaves_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
