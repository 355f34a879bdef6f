/* Elementary functions: the same bits at every level, because every step is one IEEE operation in a stated order. The vector
 * code repeats these steps lane by lane (x86/lanes.h). Errors are measured in tests/kernels/test_elementary.c. */
#include "kernels/elementary.h"

#include "kernels/formats.h"
#include "kernels/ops.h"

#include <math.h>

float dr_expf(float x)
{
    if (x > DR_EXP_HIGH)
        return INFINITY;
    if (x < DR_EXP_LOW)
        return 0.0f;
    /* x = n ln 2 + r. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
    const float t = fmaf(x, DR_EXP_LOG2E, DR_EXP_MAGIC);
    const float n = t - DR_EXP_MAGIC;
    const float r = fmaf(n, -DR_LN2_LO, fmaf(n, -DR_LN2_HI, x));
    float p = DR_EXP_C6;
    p = fmaf(p, r, DR_EXP_C5);
    p = fmaf(p, r, DR_EXP_C4);
    p = fmaf(p, r, DR_EXP_C3);
    p = fmaf(p, r, DR_EXP_C2);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    return p * dr_f32__of_bits((dr_f32__bits(t) << 23) + 0x3f800000u);
}

float dr_logf(float x)
{
    if (!(x >= 1.17549435e-38f)) /* zero, denormal (counts as zero), negative, NaN */
        return x != x ? x : x > -1.17549435e-38f ? -INFINITY : NAN;
    if (x == INFINITY)
        return x;
    /* x = 2^e * m, m in [0.7071, 1.4142); ln m = 2 atanh(s), s = (m - 1) / (m + 1). */
    const uint32_t u = dr_f32__bits(x) - DR_LOG_SQRT_HALF;
    const float e = (float)((int32_t)u >> 23);
    const float m = dr_f32__of_bits((u & 0x7fffffu) + DR_LOG_SQRT_HALF);
    const float f = m - 1.0f;
    const float s = f / (2.0f + f);
    const float z = s * s;
    float p = DR_LOG_C9;
    p = fmaf(p, z, DR_LOG_C7);
    p = fmaf(p, z, DR_LOG_C5);
    p = fmaf(p, z, DR_LOG_C3);
    /* 2s = f - s f keeps the exact f in front: the correction terms are small beside it. */
    const float tail = fmaf(e, DR_LN2_LO, s * fmaf(p, z, -f));
    return fmaf(e, DR_LN2_HI, f + tail);
}

float dr_softplus__f32(float z)
{
    if (z > 20.0f)
        return z;
    /* log(1 + w): what 1 + w lost is put back in first order, so that a small w comes out as w. */
    const float w = dr_expf(z);
    const float u = 1.0f + w;
    return dr_logf(u) + (w - (u - 1.0f)) / u;
}

float dr_round_bf16(float x)
{
    return dr_bf16__value(dr_bf16__of(x));
}
