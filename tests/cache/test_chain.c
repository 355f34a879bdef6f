#include "tests/cache/support.h"

#include "base/bytes.h"
#include "cache/chain.h"

#include <stdlib.h>
#include <string.h>

enum { N = 1000 };
static int32_t ids[N];
static dr_key start, keys[N / DR_CHAIN_STEP + 1];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        ids[i] = i * 7919 % 100003;
    start = dr_chain_start(&(dr_chain_parts){.salt = "s", .n_salt = 1});
    dr_chain_extend(keys, &start, ids, N);
    return 0;
}

/* The formula of the header, computed the long way round. */
static void chain__is_the_documented_hash(void **state)
{
    uint8_t in[32 + 4 * DR_CHAIN_STEP], tail[1 + 32 + 4 + 4 * DR_CHAIN_STEP];
    (void)state;
    memcpy(in, keys[2].b, 32);
    for (size_t i = 0; i < DR_CHAIN_STEP; i++)
        dr_store_u32(in + 32 + 4 * i, (uint32_t)ids[256 + i]);
    dr_key want = dr_sha256(in, sizeof in);
    assert_memory_equal(want.b, keys[3].b, 32);

    tail[0] = 't';
    memcpy(tail + 1, keys[3].b, 32);
    dr_store_u32(tail + 33, 5);
    for (size_t i = 0; i < 5; i++)
        dr_store_u32(tail + 37 + 4 * i, (uint32_t)ids[384 + i]);
    want = dr_sha256(tail, 37 + 20);
    const dr_key got = dr_chain_at(keys, ids, 389);
    assert_memory_equal(want.b, got.b, 32);
}

static void chain__every_position_has_its_own_key(void **state)
{
    dr_key at[N + 1];
    (void)state;
    for (int p = 0; p <= N; p++) {
        at[p] = dr_chain_at(keys, ids, p);
        for (int q = 0; q < p; q++)
            assert_false(dr_key_eq(&at[p], &at[q]));
    }
    assert_true(dr_key_eq(&at[0], &start));
    assert_true(dr_key_eq(&at[256], &keys[2]));
}

static void chain__any_changed_id_changes_all_later_keys(void **state)
{
    dr_key other[N / DR_CHAIN_STEP + 1];
    (void)state;
    for (int p = 0; p < N; p += 37) {
        ids[p] ^= 1;
        dr_chain_extend(other, &start, ids, N);
        for (int k = 0; k <= N / DR_CHAIN_STEP; k++)
            assert_int_equal(dr_key_eq(&other[k], &keys[k]), k * DR_CHAIN_STEP <= p);
        const dr_key end = dr_chain_at(other, ids, N);
        ids[p] ^= 1;
        const dr_key before = dr_chain_at(keys, ids, N);
        assert_false(dr_key_eq(&end, &before));
    }
}

static void chain__any_changed_part_changes_the_start(void **state)
{
    dr_chain_parts p = {.salt = "s", .n_salt = 1};
    dr_key k;
    (void)state;
    p.checkpoint.b[31] = 1;
    k = dr_chain_start(&p);
    assert_false(dr_key_eq(&k, &start));
    p = (dr_chain_parts){.salt = "s", .n_salt = 1};
    p.tokenizer.b[31] = 1; /* the same bit one field on is another chain */
    const dr_key k2 = dr_chain_start(&p);
    assert_false(dr_key_eq(&k2, &start));
    assert_false(dr_key_eq(&k2, &k));
    p = (dr_chain_parts){.salt = "s", .n_salt = 1};
    p.numerics.b[0] = 1;
    k = dr_chain_start(&p);
    assert_false(dr_key_eq(&k, &start));
    k = dr_chain_start(&(dr_chain_parts){.salt = NULL});
    assert_false(dr_key_eq(&k, &start));
}

/* Going on from the last border gives what the whole gives. */
static void chain__extends_from_a_border(void **state)
{
    dr_key other[N / DR_CHAIN_STEP + 1];
    (void)state;
    dr_chain_extend(other, &start, ids, 300);
    dr_chain_extend(other + 2, &other[2], ids + 256, N - 256);
    assert_memory_equal(other, keys, sizeof keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain__is_the_documented_hash),
        cmocka_unit_test(chain__every_position_has_its_own_key),
        cmocka_unit_test(chain__any_changed_id_changes_all_later_keys),
        cmocka_unit_test(chain__any_changed_part_changes_the_start),
        cmocka_unit_test(chain__extends_from_a_border),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
