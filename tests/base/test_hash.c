#include "base/hash.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

/* The examples of FIPS 180-2. */
static void hash__sha256_matches_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        char hex[65];
        const dr_digest d = dr_sha256(examples[i].text, strlen(examples[i].text));
        dr_digest_hex(hex, &d);
        assert_string_equal(hex, examples[i].hex);
    }
}

static void hash__pieces_and_whole_agree(void **state)
{
    (void)state;
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * i);
    const dr_digest whole = dr_sha256(data, sizeof data);
    for (size_t step = 1; step < sizeof data; step = step * 3 + 1) {
        dr_sha256_stream *s = dr_sha256_new();
        assert_non_null(s);
        for (size_t at = 0; at < sizeof data; at += step)
            dr_sha256_update(s, data + at, sizeof data - at < step ? sizeof data - at : step);
        const dr_digest d = dr_sha256_finish(s);
        assert_memory_equal(d.b, whole.b, sizeof d.b);
    }
}

static void hash__no_stream_gives_zeros(void **state)
{
    (void)state;
    const dr_digest zero = {{0}};
    dr_sha256_update(NULL, "x", 1);
    const dr_digest d = dr_sha256_finish(NULL);
    assert_memory_equal(d.b, zero.b, sizeof d.b);
}

/* XXH3-128 with seed 0 of nothing, as its authors publish it; stored caches depend on the value. */
static void hash__checksum_is_xxh3_128(void **state)
{
    (void)state;
    const dr_checksum empty = dr_xxh3_128("", 0);
    assert_true(empty.hi == 0x99aa06d3014798d8u && empty.lo == 0x6001c324468d497fu);
    char data[300] = {0};
    const dr_checksum before = dr_xxh3_128(data, sizeof data);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = 1;
        const dr_checksum c = dr_xxh3_128(data, sizeof data);
        assert_true(c.lo != before.lo || c.hi != before.hi);
        data[i] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__sha256_matches_the_standard),
        cmocka_unit_test(hash__pieces_and_whole_agree),
        cmocka_unit_test(hash__no_stream_gives_zeros),
        cmocka_unit_test(hash__checksum_is_xxh3_128),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
