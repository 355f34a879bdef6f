#include "base/threads.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <float.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int sizes[] = {1, 2, 3, 8};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

typedef struct loop {
    int64_t n, grain;
    int size;
    atomic_int *seen; /* [n] */
    atomic_bool bad;
    atomic_int_fast64_t n_short; /* ranges shorter than the grain */
} loop;

static void mark(void *arg, int64_t begin, int64_t end, int worker)
{
    loop *l = arg;
    if (begin < 0 || begin >= end || end > l->n || worker < 0 || worker >= l->size)
        atomic_store(&l->bad, true);
    if (end - begin < l->grain)
        atomic_fetch_add(&l->n_short, 1);
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&l->seen[i], 1);
}

static void threads__every_index_is_visited_once(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, 1, 2, 7, 64, 1000, 4097};
    static const int64_t grains[] = {0, 1, 5, 64, 10000};
    for (int s = 0; s < N_SIZES; s++) {
        dr_pool *p = NULL;
        assert_int_equal(dr_pool_new(&p, sizes[s], NULL), DR_OK);
        assert_int_equal(dr_pool_size(p), sizes[s]);
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
            for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
                loop l = {.n = counts[c], .grain = grains[g], .size = sizes[s]};
                l.seen = calloc((size_t)l.n + 1, sizeof *l.seen);
                assert_non_null(l.seen);
                dr_pool_run(p, l.n, l.grain, mark, &l);
                for (int64_t i = 0; i < l.n; i++)
                    assert_int_equal(l.seen[i], 1);
                assert_false(l.bad);
                assert_true(l.n_short <= 1);
                free(l.seen);
            }
        dr_pool_free(p);
    }
}

static void threads__many_short_loops(void **state)
{
    (void)state;
    dr_pool *p = NULL;
    enum { N = 16 };
    atomic_int seen[N] = {0};
    loop l = {.n = N, .grain = 1, .size = 4, .seen = seen};
    assert_int_equal(dr_pool_new(&p, 4, NULL), DR_OK);
    for (int i = 1; i <= 3000; i++) {
        dr_pool_run(p, N, 1, mark, &l);
        for (int k = 0; k < N; k++)
            assert_int_equal(seen[k], i);
        if (i % 500 == 0)
            (void)usleep(2000); /* long enough for the workers to go to sleep */
    }
    assert_false(l.bad);
    dr_pool_free(p);
}

static void write_plain(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    int64_t *data = arg;
    for (int64_t i = begin; i < end; i++)
        data[i] += i;
}

/* Plain memory written in one loop is read in the next by whichever thread gets the range: the thread sanitizer watches. */
static void threads__a_loop_sees_what_the_last_one_wrote(void **state)
{
    (void)state;
    dr_pool *p = NULL;
    enum { N = 1000, LOOPS = 50 };
    int64_t *data = calloc(N, sizeof *data);
    assert_int_equal(dr_pool_new(&p, 3, NULL), DR_OK);
    for (int i = 0; i < LOOPS; i++)
        dr_pool_run(p, N, 7 + i, write_plain, data);
    for (int64_t i = 0; i < N; i++)
        assert_true(data[i] == i * LOOPS);
    dr_pool_free(p);
    free(data);
}

static void flush_check(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)begin;
    (void)end;
    (void)worker;
    volatile float tiny = FLT_MIN;
    volatile float half = tiny * 0.5f; /* a denormal, unless flushed */
    if (half != 0.0f)
        atomic_store((atomic_bool *)arg, true);
}

static void threads__denormals_are_flushed_inside_and_only_there(void **state)
{
    (void)state;
    for (int s = 0; s < N_SIZES; s++) {
        dr_pool *p = NULL;
        atomic_bool kept = false;
        assert_int_equal(dr_pool_new(&p, sizes[s], NULL), DR_OK);
        dr_pool_run(p, 100, 1, flush_check, &kept);
#if defined(__x86_64__)
        assert_false(kept);
#endif
        atomic_store(&kept, false);
        flush_check(&kept, 0, 1, 0);
        assert_true(kept);
        dr_pool_free(p);
    }
}

static void threads__idle_pool_uses_no_cpu(void **state)
{
    (void)state;
    dr_pool *p = NULL;
    atomic_int seen[8] = {0};
    loop l = {.n = 8, .grain = 1, .size = 4, .seen = seen};
    assert_int_equal(dr_pool_new(&p, 4, NULL), DR_OK);
    dr_pool_run(p, 8, 1, mark, &l);
    (void)usleep(20000);
    const uint64_t before = dr_cpu_us();
    (void)usleep(200000);
    assert_true(dr_cpu_us() - before < 20000);
    dr_pool_free(p);
}

static void threads__size_is_checked(void **state)
{
    (void)state;
    dr_pool *p = NULL;
    dr_error err = {0};
    assert_int_equal(dr_pool_new(&p, -1, &err), DR_ERR_ARG);
    assert_null(p);
    assert_int_equal(dr_pool_new(&p, 257, &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "257"));
    assert_int_equal(dr_pool_new(&p, 0, &err), DR_OK);
    assert_in_range(dr_pool_size(p), 1, 256);
    dr_pool_free(p);
    dr_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads__every_index_is_visited_once),
        cmocka_unit_test(threads__many_short_loops),
        cmocka_unit_test(threads__a_loop_sees_what_the_last_one_wrote),
        cmocka_unit_test(threads__denormals_are_flushed_inside_and_only_there),
        cmocka_unit_test(threads__idle_pool_uses_no_cpu),
        cmocka_unit_test(threads__size_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
