/* Accuracy and edges of our exp, log and softplus, against libm in double. */
#include "kernels/elementary.h"
#include "kernels/formats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Distance in units of the last place of the exact result. */
static double ulps(float got, double exact)
{
    const double ulp = exp2(floor(log2(fabs(exact))) - 23);
    return fabs((double)got - exact) / ulp;
}

static void elementary__exp_is_within_one_ulp(void **state)
{
    double worst = 0;
    (void)state;
    for (float x = -87.0f; x <= 88.0f; x += 1.0f / 4096.0f)
        worst = fmax(worst, ulps(dr_expf(x), exp((double)x)));
    for (uint32_t u = 0; u < 0x3f800000u; u += 3001) { /* towards zero, both signs */
        worst = fmax(worst, ulps(dr_expf(dr_f32__of_bits(u)), exp((double)dr_f32__of_bits(u))));
        worst = fmax(worst, ulps(dr_expf(-dr_f32__of_bits(u)), exp(-(double)dr_f32__of_bits(u))));
    }
    print_message("exp: at most %.3f ulp\n", worst);
    assert_true(worst < 1.0);
}

static void elementary__exp_edges(void **state)
{
    (void)state;
    assert_true(dr_expf(0.0f) == 1.0f && dr_expf(-0.0f) == 1.0f);
    assert_true(dr_expf(-INFINITY) == 0.0f && !signbit(dr_expf(-INFINITY)));
    assert_true(dr_expf(INFINITY) == INFINITY);
    assert_true(dr_expf(NAN) != dr_expf(NAN));
    assert_true(dr_expf(-87.5f) == 0.0f && dr_expf(-87.0f) > 1.17549435e-38f);
    assert_true(dr_expf(88.5f) == INFINITY && dr_expf(88.0f) < INFINITY);
}

static void elementary__log_is_within_one_ulp(void **state)
{
    double worst = 0;
    (void)state;
    for (uint32_t u = 0x00800000u; u < 0x7f800000u; u += 4099) {
        const float x = dr_f32__of_bits(u);
        if (x != 1.0f)
            worst = fmax(worst, ulps(dr_logf(x), log((double)x)));
    }
    print_message("log: at most %.3f ulp\n", worst);
    assert_true(worst < 1.1);
    assert_true(dr_logf(1.0f) == 0.0f);
    assert_true(dr_logf(0.0f) == -INFINITY && dr_logf(-0.0f) == -INFINITY);
    assert_true(dr_logf(INFINITY) == INFINITY);
    assert_true(dr_logf(-1.0f) != dr_logf(-1.0f) && dr_logf(NAN) != dr_logf(NAN));
}

static void elementary__softplus_golden(void **state)
{
    static const float golden[6][2] = {{-5, 0.0819472f},      {-1, 0.5596979f},    {0, 0.8325546f},
                                       {1, 1.1459763f}, {5, 2.2375691f}, {25, 5.0f}};
    double worst = 0;
    (void)state;
    for (int i = 0; i < 6; i++)
        assert_true(fabsf(sqrtf(dr_softplus__f32(golden[i][0])) - golden[i][1]) < 2e-7f * (1.0f + golden[i][1]));
    for (float z = -86.0f; z <= 20.0f; z += 1.0f / 1024.0f)
        worst = fmax(worst, ulps(dr_softplus__f32(z), log1p(exp((double)z))));
    print_message("softplus: at most %.3f ulp\n", worst);
    assert_true(worst < 3.0);
    assert_true(dr_softplus__f32(1e30f) == 1e30f && dr_softplus__f32(-1e30f) == 0.0f);
    assert_true(dr_softplus__f32(NAN) != dr_softplus__f32(NAN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementary__exp_is_within_one_ulp),
        cmocka_unit_test(elementary__exp_edges),
        cmocka_unit_test(elementary__log_is_within_one_ulp),
        cmocka_unit_test(elementary__softplus_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
