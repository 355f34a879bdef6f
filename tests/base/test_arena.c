#include "base/arena.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

static void arena__blocks_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    dr_arena *a = dr_arena_new(256);
    enum { N = 200 };
    uint8_t *block[N];
    assert_non_null(a);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++) {
            block[i] = dr_arena_take(a, i * 3);
            assert_non_null(block[i]);
            assert_int_equal((uintptr_t)block[i] % 64, 0);
            for (size_t k = 0; k < i * 3; k++)
                assert_int_equal(block[i][k], 0);
            memset(block[i], (int)i, i * 3);
        }
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k < i * 3; k++)
                assert_int_equal(block[i][k], i);
        dr_arena_rewind(a);
        assert_int_equal(dr_arena_used(a), 0);
    }
    dr_arena_free(a);
    dr_arena_free(NULL);
}

static void arena__first_chunk_is_reused_without_allocating(void **state)
{
    (void)state;
    dr_arena *a = dr_arena_new(1 << 16);
    void *first = dr_arena_take(a, 100);
    const long before = alloc_count();
    for (int i = 0; i < 1000; i++) {
        dr_arena_rewind(a);
        assert_ptr_equal(dr_arena_take(a, 100), first);
        assert_non_null(dr_arena_take(a, 30000));
    }
    assert_int_equal(alloc_count(), before);
    dr_arena_free(a);
}

static void arena__used_counts_every_block(void **state)
{
    (void)state;
    dr_arena *a = dr_arena_new(64);
    size_t last = dr_arena_used(a);
    assert_int_equal(last, 0);
    for (int i = 0; i < 50; i++) {
        assert_non_null(dr_arena_take(a, 1000));
        assert_in_range(dr_arena_used(a), last + 1000, last + 1200);
        last = dr_arena_used(a);
    }
    dr_arena_free(a);
}

static void arena__out_of_memory_is_null_and_harmless(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        alloc_fail_at(n);
        dr_arena *a = dr_arena_new(64);
        uint8_t *p = a ? dr_arena_take(a, 10000) : NULL;
        uint8_t *q = a ? dr_arena_take(a, 10) : NULL;
        const int failed = alloc_fail_off();
        if (a)
            assert_int_equal((p == NULL) + (q == NULL), failed); /* one failure, and there is room again */
        if (q)
            q[9] = 1;
        dr_arena_free(a);
        if (!failed)
            break;
    }
    dr_arena *a = dr_arena_new(64);
    assert_null(dr_arena_take(a, SIZE_MAX));
    assert_non_null(dr_arena_take(a, 0));
    dr_arena_free(a);
}

static void arena__gaps_are_poisoned_under_asan(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    dr_arena *a = dr_arena_new(4096);
    char *p = dr_arena_take(a, 10);
    char *q = dr_arena_take(a, 10);
    assert_false(__asan_address_is_poisoned(p + 9));
    assert_true(__asan_address_is_poisoned(p + 10));
    assert_true(__asan_address_is_poisoned(q - 1));
    dr_arena_rewind(a);
    assert_true(__asan_address_is_poisoned(p));
    dr_arena_free(a);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena__blocks_are_aligned_zeroed_and_apart),
        cmocka_unit_test(arena__first_chunk_is_reused_without_allocating),
        cmocka_unit_test(arena__used_counts_every_block),
        cmocka_unit_test(arena__out_of_memory_is_null_and_harmless),
        cmocka_unit_test(arena__gaps_are_poisoned_under_asan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
