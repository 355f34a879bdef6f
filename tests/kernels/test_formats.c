/* Every code and every tie of the storage formats, against a search over all values of the format. */
#include "kernels/formats.h"
#include "kernels/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Nearest of `values` (ascending magnitudes by code) to |v|, ties to the even code. */
static unsigned nearest(const double *values, unsigned n, double v)
{
    unsigned best = 0;
    for (unsigned c = 1; c < n; c++) {
        const double d = fabs(values[c] - v), least = fabs(values[best] - v);
        if (d < least || (d == least && c % 2 == 0))
            best = c;
    }
    return best;
}

static double e4m3_magnitude(unsigned c)
{
    const int e = (int)(c >> 3);
    return e == 0 ? (c & 7u) * 0x1p-9 : (1.0 + (c & 7u) / 8.0) * pow(2.0, e - 7);
}

static void formats__e4m3_codes_round_trip(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const float v = dr_e4m3__value((uint8_t)c);
        if ((c & 127u) == 127u) {
            assert_true(v != v);
            continue;
        }
        assert_true((double)fabsf(v) == e4m3_magnitude(c & 127u));
        assert_int_equal(signbit(v) != 0, c >> 7);
        assert_int_equal(dr_e4m3__code(dr_e4m3__round(v)), c);
    }
}

static void formats__e4m3_rounds_to_nearest_even(void **state)
{
    double values[127];
    (void)state;
    for (unsigned c = 0; c < 127; c++)
        values[c] = e4m3_magnitude(c);
    /* All BF16 values in range, and around every tie the neighbouring f32 values. */
    for (uint32_t b = 0x0080; b < 0x10000; b++) {
        const float v = dr_bf16__value((uint16_t)b);
        if (!(fabsf(v) <= 448.0f) || (b & 0x7fffu) < 0x80u)
            continue;
        assert_int_equal(dr_e4m3__code(dr_e4m3__round(v)), nearest(values, 127, fabs((double)v)) | (b >> 15 << 7));
    }
    for (unsigned c = 0; c < 126; c++) {
        const float tie = (float)((values[c] + values[c + 1]) / 2);
        const float around[3] = {nextafterf(tie, 0.0f), tie, nextafterf(tie, 500.0f)};
        for (int i = 0; i < 3; i++) {
            assert_int_equal(dr_e4m3__code(dr_e4m3__round(around[i])), nearest(values, 127, (double)around[i]));
            assert_int_equal(dr_e4m3__code(dr_e4m3__round(-around[i])), nearest(values, 127, (double)around[i]) | 128u);
        }
    }
}

static void formats__e2m1_rounds_to_nearest_even(void **state)
{
    static const double values[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    (void)state;
    for (unsigned c = 0; c < 16; c++) {
        assert_true(fabs((double)dr_e2m1__value(c)) == values[c & 7u]);
        assert_int_equal(dr_e2m1__code(dr_e2m1__round(dr_e2m1__value(c))), c);
    }
    for (uint32_t b = 0x0080; b < 0x10000; b++) {
        const float v = dr_bf16__value((uint16_t)b);
        if (!(fabsf(v) <= 6.0f) || (b & 0x7fffu) < 0x80u)
            continue;
        assert_int_equal(dr_e2m1__code(dr_e2m1__round(v)), nearest(values, 8, fabs((double)v)) | (b >> 15 << 3));
    }
    /* The ties of spec 5.4 by name. */
    static const float ties[7][2] = {{0.25f, 0}, {0.75f, 1}, {1.25f, 1}, {1.75f, 2}, {2.5f, 2}, {3.5f, 4}, {5, 4}};
    for (int i = 0; i < 7; i++)
        assert_true(dr_e2m1__round(ties[i][0]) == ties[i][1]);
}

static void formats__bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x10000; b++) {
        const float v = dr_bf16__value((uint16_t)b);
        if (v != v) {
            assert_int_equal(dr_bf16__of(v), b | 0x40u); /* quiet */
            continue;
        }
        assert_int_equal(dr_bf16__of(v), b);
        const uint32_t u = b << 16;
        if ((b & 0x7fffu) < 0x7f80u) { /* not infinity, whose larger neighbours are NaN */
            assert_int_equal(dr_bf16__of(dr_f32__of_bits(u | 0x7fffu)), b);
            assert_int_equal(dr_bf16__of(dr_f32__of_bits(u | 0x8000u)), b + (b & 1u));
            assert_int_equal(dr_bf16__of(dr_f32__of_bits(u | 0x8001u)), b + 1);
        }
    }
}

static void formats__scale_exponent_is_the_ceiling(void **state)
{
    (void)state;
    for (uint32_t b = 0x0080; b < 0x7f80; b++) {
        const float amax = dr_bf16__value((uint16_t)b);
        const double ratio8 = (double)amax / 448.0, ratio4 = (double)amax / 6.0;
        if (ratio8 >= 0x1p-126)
            assert_int_equal(dr_scale__exponent(amax, 1.0f / 448.0f), (int)ceil(log2(ratio8)));
        if (ratio4 >= 0x1p-126)
            assert_int_equal(dr_scale__exponent(amax, 1.0f / 6.0f), (int)ceil(log2(ratio4)));
    }
    assert_int_equal(dr_scale__exponent(300.0f, 1.0f / 448.0f), 0);
    assert_int_equal(dr_scale__exponent(896.0f, 1.0f / 448.0f), 1);
    assert_int_equal(dr_scale__exponent(1e-4f, 1.0f / 448.0f), -22);
    assert_int_equal(dr_scale__exponent(3.1f, 1.0f / 6.0f), 0);
    assert_int_equal(dr_scale__exponent(6.0f, 1.0f / 6.0f), 0);
    assert_int_equal(dr_scale__exponent(6.5f, 1.0f / 6.0f), 1);
    assert_int_equal(dr_scale__exponent(6.0f * 0x1p-126f, 1.0f / 6.0f), -126);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats__e4m3_codes_round_trip),
        cmocka_unit_test(formats__e4m3_rounds_to_nearest_even),
        cmocka_unit_test(formats__e2m1_rounds_to_nearest_even),
        cmocka_unit_test(formats__bf16_rounds_to_nearest_even),
        cmocka_unit_test(formats__scale_exponent_is_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
