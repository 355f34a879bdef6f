/* kernels/elementary.h: constants of the elementary functions, shared by the scalar and the vector code, and the
 * functions that only kernels use. docs/numerics.md states the steps. Internal to kernels. */
#ifndef DR_KERNELS_ELEMENTARY_H
#define DR_KERNELS_ELEMENTARY_H

#include "kernels/ops.h"

/* exp: zero below LOW, infinity above HIGH: inside, neither the polynomial nor the power of two leaves the normal range. */
#define DR_EXP_LOW (-87.0f)
#define DR_EXP_HIGH 88.0f
#define DR_EXP_LOG2E 0x1.715476p+0f
#define DR_EXP_MAGIC 12582912.0f
#define DR_LN2_HI 0x1.63p-1f /* nine bits: n * HI is exact */
#define DR_LN2_LO (-0x1.bd0106p-13f)
/* 1 + r + C2 r^2 + .. + C6 r^6: least maximal relative error on |r| <= ln(2)/2 with f32 coefficients, 3.2e-9. */
#define DR_EXP_C2 0x1.fffffcp-2f
#define DR_EXP_C3 0x1.55548cp-3f
#define DR_EXP_C4 0x1.555858p-5f
#define DR_EXP_C5 0x1.123dep-7f
#define DR_EXP_C6 0x1.6ac74cp-10f

/* log: the series of 2 atanh(s) = 2s + s z (2/3 + z (2/5 + ..)), z = s^2 <= 0.0295. */
#define DR_LOG_SQRT_HALF 0x3f3504f3u
#define DR_LOG_C3 0.666666687f
#define DR_LOG_C5 0.4f
#define DR_LOG_C7 0.285714298f
#define DR_LOG_C9 0.222222224f

/* log(1 + e^z); z itself above 20. */
float dr_softplus__f32(float z);

/* 1 / (1 + e^-x) */
static inline float dr_sigmoid__f32(float x)
{
    return 1.0f / (1.0f + dr_expf(-x));
}

#endif
