/* How much of what a perfect cache would give back this one does, on made-up traces of agents (trace.h). */
#include "tests/cache/support.h"
#include "tests/cache/trace.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t SEED = 1;

static void trace__is_the_same_from_the_same_seed(void **state)
{
    enum { N = 300 };
    int64_t n_of[TRACE_KINDS] = {0}, n_repo[3] = {0}, longest = 0;
    trace *a = trace_new(SEED), *b = trace_new(SEED), *other = trace_new(SEED + 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trace__is_the_same_from_the_same_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
