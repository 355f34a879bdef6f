/* kernels/x86/codes.h: E4M3 and E2M1 codes, sixteen at a time, as kernels/formats.h defines them. Internal to kernels/x86. */
#ifndef DR_KERNELS_X86_CODES_H
#define DR_KERNELS_X86_CODES_H

#include "kernels/x86/lanes.h"

/* E4M3 codes of values that v_round_steps(-6, 3) gave. */
INLINE w16 e4m3_codes(v16 r)
{
    const w16 u = v_bits(r), sign = w_shl(w_shr(u, 31), 7), magnitude = w_and(u, w_set(0x7fffffffu));
    const w16 normal = w_sub(w_shr(magnitude, 20), w_set(120u << 3));
    /* Below 2^-6 the value plus 2^-6 has the step in its lowest kept bits: the code is the mantissa field of the sum. */
    const w16 sum = v_bits(v_add(w_value(magnitude), v_set(0x1p-6f)));
    const w16 small = w_sub(w_shr(sum, 20), w_set(121u << 3));
    const w16 code = w_select(w_greater(w_set(0x3c800000u), magnitude), small, normal);
    return w_or(w_select(w_greater(magnitude, w_set(0x7f800000u)), w_set(0x7f), code), sign);
}

/* E4M3 codes to values. */
INLINE v16 e4m3_values(w16 code)
{
    const w16 sign = w_shl(w_and(code, w_set(0x80)), 24), magnitude = w_and(code, w_set(0x7f));
    const w16 normal = w_add(w_shl(magnitude, 20), w_set(120u << 23));
    const w16 small = v_bits(v_mul(w_to_float(magnitude), v_set(0x1p-9f)));
    const w16 bits = w_select(w_greater(w_set(8), magnitude), small, normal);
    return w_value(w_or(w_select(w_equal(magnitude, w_set(0x7f)), w_set(0x7fc00000u), bits), sign));
}

/* E2M1 codes of values that v_round_steps(0, 1) gave. */
INLINE w16 e2m1_codes(v16 r)
{
    const w16 u = v_bits(r), sign = w_shl(w_shr(u, 31), 3), magnitude = w_and(u, w_set(0x7fffffffu));
    const w16 normal = w_sub(w_shr(magnitude, 22), w_set(126u << 1));
    const w16 half = w_select(w_equal(magnitude, w_set(0)), w_set(0), w_set(1));
    const w16 code = w_select(w_greater(w_set(0x3f800000u), magnitude), half, normal);
    return w_or(w_select(w_greater(magnitude, w_set(0x7f800000u)), w_set(7), code), sign);
}

/* E2M1 codes (bits above the fourth do not count) to values: magnitude by table, sign from the code's bit 3. */
INLINE v16 e2m1_values(w16 code)
{
    static const float magnitude[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
    const w16 table_bits = v_bits(v_table8(magnitude, w_and(code, w_set(7))));
    return w_value(w_or(table_bits, w_shl(w_and(code, w_set(8)), 28)));
}

#endif
