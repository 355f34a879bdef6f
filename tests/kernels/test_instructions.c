/* The experiment on which order G rests: TDPBF16PS on random tiles over several exponent ranges against the chain of
 * docs/numerics.md, and the proof that the order matters: a plain chain differs. Skipped without AMX. */
#include "kernels/formats.h"
#include "kernels/ops.h"

#include <immintrin.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { N = 16, STEP = 32 };

static uint64_t seed = 20261122;

static uint32_t random32(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}

/* BF16 with an exponent in [lowest, highest], any sign and mantissa. */
static uint16_t random_bf16(int lowest, int highest)
{
    const uint32_t u = random32(), e = (uint32_t)(127 + lowest) + u % (uint32_t)(highest - lowest + 1);
    return (uint16_t)((u >> 31) << 15 | e << 7 | (u >> 8 & 127u));
}

__attribute__((target("amx-tile,amx-bf16"))) static void tile_step(float c[N][N], uint16_t a[N][STEP], uint16_t b[N][N][2])
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t n_rows[16];
    } config = {.palette = 1, .row_bytes = {64, 64, 64}, .n_rows = {16, 16, 16}};
    _tile_loadconfig(&config);
    _tile_loadd(0, c, 64);
    _tile_loadd(1, a, 64);
    _tile_loadd(2, b, 64);
    _tile_dpbf16ps(0, 1, 2);
    _tile_stored(0, c, 64);
    _tile_release();
}

static bool same(float x, float y)
{
    return x != x ? y != y : dr_f32__bits(x) == dr_f32__bits(y);
}

static void instructions__tile_product_is_order_g(void **state)
{
    static const int ranges[4][2] = {{-4, 4}, {-20, 20}, {-80, -40}, {40, 70}};
    int64_t n_outputs = 0, n_plain_differs = 0;
    (void)state;
    if (!(dr_cpu_features() & DR_CPU_AMX)) {
        printf("skipped: this machine has no AMX\n");
        skip();
    }
    const uint32_t mode = dr_flush_denormals();
    for (int range = 0; range < 4; range++)
        for (int round = 0; round < 2000; round++) {
            uint16_t a[N][STEP], b[N][N][2];
            float c[N][N], want[N][N];
            for (int i = 0; i < N; i++)
                for (int k = 0; k < STEP; k++) {
                    a[i][k] = random_bf16(ranges[range][0], ranges[range][1]);
                    b[k / 2][i][k % 2] = random_bf16(ranges[range][0], ranges[range][1]);
                }
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) {
                    c[i][j] = dr_bf16__value(random_bf16(ranges[range][0], ranges[range][1]));
                    float even = 0, odd = 0, plain = c[i][j];
                    for (int p = 0; p < N; p++) {
                        const float a0 = dr_bf16__value(a[i][2 * p]), a1 = dr_bf16__value(a[i][2 * p + 1]);
                        const float b0 = dr_bf16__value(b[p][j][0]), b1 = dr_bf16__value(b[p][j][1]);
                        even = fmaf(a0, b0, even);
                        odd = fmaf(a1, b1, odd);
                        plain = fmaf(a1, b1, fmaf(a0, b0, plain));
                    }
                    want[i][j] = c[i][j] + (even + odd);
                    n_plain_differs += !same(want[i][j], plain);
                }
            tile_step(c, a, b);
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) {
                    n_outputs++;
                    if (!same(c[i][j], want[i][j]))
                        fail_msg("exponents %d..%d, round %d, output %d,%d: %a, order G gives %a", ranges[range][0], ranges[range][1],
                                 round, i, j, (double)c[i][j], (double)want[i][j]);
                }
        }
    dr_flush_denormals_restore(mode);
    print_message("%lld outputs equal; a plain chain differs in %lld\n", (long long)n_outputs, (long long)n_plain_differs);
    assert_true(n_plain_differs > n_outputs / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(instructions__tile_product_is_order_g)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : dr_cpu_features() & DR_CPU_AMX ? 0 : 77;
}
