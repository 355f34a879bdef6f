/* kernels/formats.h: one value at a time between f32 and the storage formats, the definition of every rounding.
 *
 *   BF16   upper half of an f32; nearest, ties to even; NaN becomes quiet
 *   E4M3   sign, 4 bits of exponent (bias 7), 3 of mantissa; step 2^-9 below 2^-6; largest 448; 0x7f and 0xff are NaN
 *   E2M1   sign, magnitudes 0 0.5 1 1.5 2 3 4 6
 *   E8M0   byte e means 2^(e - 127); 255 is NaN
 *
 * Shared by the reference and by tails of the vector code. Internal to kernels. */
#ifndef DR_KERNELS_FORMATS_H
#define DR_KERNELS_FORMATS_H

#include <stdint.h>
#include <string.h>

static inline uint32_t dr_f32__bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float dr_f32__of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float dr_bf16__value(uint16_t b)
{
    return dr_f32__of_bits((uint32_t)b << 16);
}

static inline uint16_t dr_bf16__of(float x)
{
    const uint32_t u = dr_f32__bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/* 2^e for e in [-126, 127]; 128 gives infinity. */
static inline float dr_f32__exp2i(int e)
{
    return dr_f32__of_bits((uint32_t)(e + 127) << 23);
}

/* |v| < 2^22 * step, step a power of two: v to the nearest multiple of step, ties to the even multiple. The sum lands where
 * one unit in the last place is the step, so the addition itself rounds. Keeps the sign of zero. */
static inline float dr_f32__to_step(float v, float step)
{
    const float magic = 12582912.0f * step; /* 1.5 * 2^23 steps */
    const float r = (v + magic) - magic;
    return dr_f32__of_bits((dr_f32__bits(r) & 0x7fffffffu) | (dr_f32__bits(v) & 0x80000000u));
}

/* Exponent of the power-of-two scale that brings amax to at most max: ceil(log2(amax / max)), by the bits of
 * amax * (1/max) (spec 5.1). 128 when amax is infinite. */
static inline int dr_scale__exponent(float amax, float inv_max)
{
    const uint32_t u = dr_f32__bits(amax * inv_max);
    return (int)(u >> 23) - 127 + ((u & 0x7fffffu) != 0);
}

/* Floor of the base-2 logarithm of |v|, at least `lowest`, as a power of two. */
static inline float dr_f32__binade(float v, int lowest)
{
    const int e = (int)((dr_f32__bits(v) >> 23) & 255u) - 127;
    return dr_f32__exp2i(e < lowest ? lowest : e);
}

/* v in [-448, 448] or NaN, to the nearest E4M3 value. */
static inline float dr_e4m3__round(float v)
{
    return v != v ? v : dr_f32__to_step(v, dr_f32__binade(v, -6) * 0.125f);
}

/* The code of a value that is one (dr_e4m3__round gave it). */
static inline uint8_t dr_e4m3__code(float r)
{
    const uint32_t u = dr_f32__bits(r), sign = u >> 31 << 7, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint8_t)(sign | 0x7fu);
    if (magnitude < 0x3c800000u) /* below 2^-6: multiples of 2^-9 */
        return (uint8_t)(sign | (uint32_t)(dr_f32__of_bits(magnitude) * 512.0f));
    return (uint8_t)(sign | ((magnitude >> 20) - (120u << 3)));
}

static inline float dr_e4m3__value(uint8_t code)
{
    const uint32_t sign = (uint32_t)(code >> 7) << 31, e = (code >> 3) & 15u, m = code & 7u;
    if ((code & 0x7fu) == 0x7fu)
        return dr_f32__of_bits(sign | 0x7fc00000u);
    if (e == 0)
        return dr_f32__of_bits(sign | dr_f32__bits((float)m * 0.001953125f));
    return dr_f32__of_bits(sign | (e + 120u) << 23 | m << 20);
}

/* v in [-6, 6] or NaN, to the nearest E2M1 value. */
static inline float dr_e2m1__round(float v)
{
    return v != v ? v : dr_f32__to_step(v, dr_f32__binade(v, 0) * 0.5f);
}

/* The code of an E2M1 value; the format has no NaN, which becomes 6. */
static inline unsigned dr_e2m1__code(float r)
{
    const uint32_t u = dr_f32__bits(r), sign = u >> 31 << 3, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return sign | 7u;
    if (magnitude < 0x3f800000u) /* 0 or 0.5 */
        return sign | (magnitude != 0);
    return sign | ((magnitude >> 22) - (126u << 1));
}

static inline float dr_e2m1__value(unsigned code)
{
    static const float magnitude[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    const float m = magnitude[code & 7u];
    return code & 8u ? -m : m;
}

#endif
