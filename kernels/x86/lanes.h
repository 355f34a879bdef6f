/* kernels/x86/lanes.h: sixteen lanes, the unit in which docs/numerics.md counts, as one AVX-512 register or two AVX2 ones.
 *
 * Sources that include this are compiled once per level (kernels/CMakeLists.txt); LEVEL(name) is the level's symbol. Every
 * function is one IEEE operation a lane unless its comment says more, so a source that follows the order of ref gives the bits of ref.
 *
 *   v16    16 f32      w16    16 x 32 bits      m16    16 truths
 *   v_max(a, b): b when either is NaN, as `a > b ? a : b` */
#ifndef DR_KERNELS_X86_LANES_H
#define DR_KERNELS_X86_LANES_H

#include "kernels/elementary.h"
#include "kernels/formats.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define LEVEL_PASTE(name, level) dr_##name##__##level
#define LEVEL_EXPAND(name, level) LEVEL_PASTE(name, level)
#define LEVEL(name) LEVEL_EXPAND(name, DR_LEVEL)

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline, unused))

enum { LANES = 16, STEP = 32 };

#ifdef __AVX512F__

typedef __m512 v16;
typedef __m512i w16;
typedef __mmask16 m16;

INLINE m16 first_lanes(int64_t n)
{
    return (m16)((1u << n) - 1u);
}

INLINE v16 v_zero(void) { return _mm512_setzero_ps(); }
INLINE v16 v_set(float x) { return _mm512_set1_ps(x); }
INLINE v16 v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, v16 v) { _mm512_storeu_ps(p, v); }
INLINE v16 v_load_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void v_store_n(float *p, v16 v, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
INLINE v16 v_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
INLINE v16 v_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
INLINE v16 v_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
INLINE v16 v_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
INLINE v16 v_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
INLINE v16 v_sqrt(v16 a) { return _mm512_sqrt_ps(a); }
INLINE v16 v_max(v16 a, v16 b) { return _mm512_max_ps(a, b); }
INLINE v16 v_min(v16 a, v16 b) { return _mm512_min_ps(a, b); }
INLINE m16 v_greater(v16 a, v16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
INLINE m16 v_equal(v16 a, v16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
INLINE m16 v_is_nan(v16 a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
INLINE v16 v_select(m16 m, v16 yes, v16 no) { return _mm512_mask_blend_ps(m, no, yes); }

INLINE w16 v_bits(v16 v) { return _mm512_castps_si512(v); }
INLINE v16 w_value(w16 w) { return _mm512_castsi512_ps(w); }
INLINE v16 w_to_float(w16 w) { return _mm512_cvtepi32_ps(w); }
INLINE w16 w_set(uint32_t x) { return _mm512_set1_epi32((int)x); }
INLINE w16 w_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE void w_store(void *p, w16 w) { _mm512_storeu_si512(p, w); }
INLINE w16 w_and(w16 a, w16 b) { return _mm512_and_si512(a, b); }
INLINE w16 w_or(w16 a, w16 b) { return _mm512_or_si512(a, b); }
INLINE w16 w_xor(w16 a, w16 b) { return _mm512_xor_si512(a, b); }
INLINE w16 w_add(w16 a, w16 b) { return _mm512_add_epi32(a, b); }
INLINE w16 w_sub(w16 a, w16 b) { return _mm512_sub_epi32(a, b); }
INLINE w16 w_max(w16 a, w16 b) { return _mm512_max_epi32(a, b); } /* signed */
#define w_shl(w, n) _mm512_slli_epi32(w, n)
#define w_shr(w, n) _mm512_srli_epi32(w, n)
#define w_sar(w, n) _mm512_srai_epi32(w, n)
INLINE m16 w_greater(w16 a, w16 b) { return _mm512_cmpgt_epi32_mask(a, b); } /* signed */
INLINE m16 w_equal(w16 a, w16 b) { return _mm512_cmpeq_epi32_mask(a, b); }
INLINE w16 w_select(m16 m, w16 yes, w16 no) { return _mm512_mask_blend_epi32(m, no, yes); }
INLINE m16 m_and(m16 a, m16 b) { return (m16)(a & b); }
INLINE unsigned m_bits(m16 m) { return m; }

/* 16 x 16 bits, zero-extended; and back, keeping the low halves. 16 bytes, zero-extended; and back. */
INLINE w16 w_load_u16(const void *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
INLINE void w_store_u16(void *p, w16 w) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(w)); }
INLINE w16 w_load_u8(const void *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
INLINE void w_store_u8(void *p, w16 w) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(w)); }

/* Lane j takes entry w[j] & 7 of an eight-entry table. */
INLINE v16 v_table8(const float *table, w16 w)
{
    return _mm512_permutexvar_ps(_mm512_and_si512(w, _mm512_set1_epi32(7)),
                                 _mm512_castps256_ps512(_mm256_loadu_ps(table)));
}

/* Order R's fold of the lanes. */
INLINE float v_fold(v16 v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

INLINE float v_largest(v16 v) /* of values that are not NaN */
{
    return _mm512_reduce_max_ps(v);
}

/* Swaps neighbours at a distance of 1, 2, 4 or 8 lanes. */
INLINE v16 v_swap1(v16 v) { return _mm512_permute_ps(v, 0xb1); }
INLINE v16 v_swap2(v16 v) { return _mm512_permute_ps(v, 0x4e); }
INLINE v16 v_swap4(v16 v) { return _mm512_shuffle_f32x4(v, v, 0xb1); }
INLINE v16 v_swap8(v16 v) { return _mm512_shuffle_f32x4(v, v, 0x4e); }

/* Even lanes (0, 2, ..) of lo then hi; odd lanes of lo then hi; and the inverse. */
INLINE void v_unzip(v16 *even, v16 *odd, v16 lo, v16 hi)
{
    const w16 e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const w16 o = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    *even = _mm512_permutex2var_ps(lo, e, hi);
    *odd = _mm512_permutex2var_ps(lo, o, hi);
}

/* r[i][j] becomes r[j][i]. */
INLINE void w_transpose(w16 r[LANES])
{
    w16 t[LANES];
    UNROLL
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#else /* AVX2 */

typedef struct v16 {
    __m256 lo, hi;
} v16;
typedef struct w16 {
    __m256i lo, hi;
} w16;
typedef w16 m16; /* all ones or all zeros a lane */


INLINE v16 v_pair(__m256 lo, __m256 hi) { return (v16){lo, hi}; }
INLINE w16 w_pair(__m256i lo, __m256i hi) { return (w16){lo, hi}; }

INLINE v16 v_zero(void) { return v_pair(_mm256_setzero_ps(), _mm256_setzero_ps()); }
INLINE v16 v_set(float x) { return v_pair(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
INLINE v16 v_load(const float *p) { return v_pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
INLINE void v_store(float *p, v16 v)
{
    _mm256_storeu_ps(p, v.lo);
    _mm256_storeu_ps(p + 8, v.hi);
}
INLINE v16 v_load_n(const float *p, int64_t n)
{
    float t[LANES] = {0};
    memcpy(t, p, (size_t)n * sizeof t[0]);
    return v_load(t);
}
INLINE void v_store_n(float *p, v16 v, int64_t n)
{
    float t[LANES];
    v_store(t, v);
    memcpy(p, t, (size_t)n * sizeof t[0]);
}
INLINE v16 v_add(v16 a, v16 b) { return v_pair(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)); }
INLINE v16 v_sub(v16 a, v16 b) { return v_pair(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)); }
INLINE v16 v_mul(v16 a, v16 b) { return v_pair(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)); }
INLINE v16 v_div(v16 a, v16 b) { return v_pair(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)); }
INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
    return v_pair(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi));
}
INLINE v16 v_sqrt(v16 a) { return v_pair(_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)); }
INLINE v16 v_max(v16 a, v16 b) { return v_pair(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)); }
INLINE v16 v_min(v16 a, v16 b) { return v_pair(_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)); }

INLINE w16 v_bits(v16 v) { return w_pair(_mm256_castps_si256(v.lo), _mm256_castps_si256(v.hi)); }
INLINE v16 w_value(w16 w) { return v_pair(_mm256_castsi256_ps(w.lo), _mm256_castsi256_ps(w.hi)); }
INLINE v16 w_to_float(w16 w) { return v_pair(_mm256_cvtepi32_ps(w.lo), _mm256_cvtepi32_ps(w.hi)); }
INLINE w16 w_set(uint32_t x) { return w_pair(_mm256_set1_epi32((int)x), _mm256_set1_epi32((int)x)); }
INLINE w16 w_load(const void *p)
{
    return w_pair(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1));
}
INLINE void w_store(void *p, w16 w)
{
    _mm256_storeu_si256((__m256i *)p, w.lo);
    _mm256_storeu_si256((__m256i *)p + 1, w.hi);
}
INLINE w16 w_and(w16 a, w16 b) { return w_pair(_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)); }
INLINE w16 w_or(w16 a, w16 b) { return w_pair(_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)); }
INLINE w16 w_xor(w16 a, w16 b) { return w_pair(_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)); }
INLINE w16 w_add(w16 a, w16 b) { return w_pair(_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)); }
INLINE w16 w_sub(w16 a, w16 b) { return w_pair(_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)); }
INLINE w16 w_max(w16 a, w16 b) { return w_pair(_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)); }
#define w_shl(w, n) w_pair(_mm256_slli_epi32((w).lo, n), _mm256_slli_epi32((w).hi, n))
#define w_shr(w, n) w_pair(_mm256_srli_epi32((w).lo, n), _mm256_srli_epi32((w).hi, n))
#define w_sar(w, n) w_pair(_mm256_srai_epi32((w).lo, n), _mm256_srai_epi32((w).hi, n))
INLINE m16 w_greater(w16 a, w16 b) { return w_pair(_mm256_cmpgt_epi32(a.lo, b.lo), _mm256_cmpgt_epi32(a.hi, b.hi)); }
INLINE m16 w_equal(w16 a, w16 b) { return w_pair(_mm256_cmpeq_epi32(a.lo, b.lo), _mm256_cmpeq_epi32(a.hi, b.hi)); }
INLINE w16 w_select(m16 m, w16 yes, w16 no)
{
    return w_pair(_mm256_blendv_epi8(no.lo, yes.lo, m.lo), _mm256_blendv_epi8(no.hi, yes.hi, m.hi));
}
INLINE m16 v_compared(__m256 lo, __m256 hi) { return v_bits(v_pair(lo, hi)); }
INLINE m16 v_greater(v16 a, v16 b)
{
    return v_compared(_mm256_cmp_ps(a.lo, b.lo, _CMP_GT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_GT_OQ));
}
INLINE m16 v_equal(v16 a, v16 b)
{
    return v_compared(_mm256_cmp_ps(a.lo, b.lo, _CMP_EQ_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_EQ_OQ));
}
INLINE m16 v_is_nan(v16 a)
{
    return v_compared(_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q), _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q));
}
INLINE v16 v_select(m16 m, v16 yes, v16 no)
{
    const v16 mask = w_value(m);
    return v_pair(_mm256_blendv_ps(no.lo, yes.lo, mask.lo), _mm256_blendv_ps(no.hi, yes.hi, mask.hi));
}
INLINE m16 m_and(m16 a, m16 b) { return w_and(a, b); }
INLINE unsigned m_bits(m16 m)
{
    const v16 v = w_value(m);
    return (unsigned)_mm256_movemask_ps(v.lo) | (unsigned)_mm256_movemask_ps(v.hi) << 8;
}

INLINE w16 w_load_u16(const void *p)
{
    return w_pair(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)),
                  _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p + 1)));
}
INLINE __m256i low_halves(w16 w)
{
    const __m256i mask = _mm256_set1_epi32(0xffff);
    const __m256i p = _mm256_packus_epi32(_mm256_and_si256(w.lo, mask), _mm256_and_si256(w.hi, mask));
    return _mm256_permute4x64_epi64(p, 0xd8);
}
INLINE void w_store_u16(void *p, w16 w) { _mm256_storeu_si256((__m256i *)p, low_halves(w)); }
INLINE w16 w_load_u8(const void *p)
{
    const __m128i b = _mm_loadu_si128((const __m128i *)p);
    return w_pair(_mm256_cvtepu8_epi32(b), _mm256_cvtepu8_epi32(_mm_srli_si128(b, 8)));
}
INLINE void w_store_u8(void *p, w16 w)
{
    const __m256i h = _mm256_and_si256(low_halves(w), _mm256_set1_epi16(0xff));
    _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1)));
}

INLINE v16 v_table8(const float *table, w16 w)
{
    const __m256 t = _mm256_loadu_ps(table);
    return v_pair(_mm256_permutevar8x32_ps(t, w.lo), _mm256_permutevar8x32_ps(t, w.hi));
}

INLINE float v_fold(v16 v)
{
    const __m256 a = _mm256_add_ps(v.lo, v.hi);
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

INLINE float v_largest(v16 v)
{
    const __m256 a = _mm256_max_ps(v.lo, v.hi);
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

INLINE v16 v_swap1(v16 v) { return v_pair(_mm256_permute_ps(v.lo, 0xb1), _mm256_permute_ps(v.hi, 0xb1)); }
INLINE v16 v_swap2(v16 v) { return v_pair(_mm256_permute_ps(v.lo, 0x4e), _mm256_permute_ps(v.hi, 0x4e)); }
INLINE v16 v_swap4(v16 v)
{
    return v_pair(_mm256_permute2f128_ps(v.lo, v.lo, 1), _mm256_permute2f128_ps(v.hi, v.hi, 1));
}
INLINE v16 v_swap8(v16 v) { return v_pair(v.hi, v.lo); }

INLINE __m256 even_lanes(__m256 a, __m256 b)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
}
INLINE __m256 odd_lanes(__m256 a, __m256 b)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8));
}
INLINE void v_unzip(v16 *even, v16 *odd, v16 lo, v16 hi)
{
    *even = v_pair(even_lanes(lo.lo, lo.hi), even_lanes(hi.lo, hi.hi));
    *odd = v_pair(odd_lanes(lo.lo, lo.hi), odd_lanes(hi.lo, hi.hi));
}

INLINE void transpose8(__m256i r[8])
{
    __m256i t[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    }
    memcpy(r, t, sizeof t);
}
INLINE void w_transpose(w16 r[LANES])
{
    __m256i q[4][8]; /* quarters: top left, top right, bottom left, bottom right */
    UNROLL
    for (int i = 0; i < 8; i++) {
        q[0][i] = r[i].lo;
        q[1][i] = r[i].hi;
        q[2][i] = r[i + 8].lo;
        q[3][i] = r[i + 8].hi;
    }
    UNROLL
    for (int i = 0; i < 4; i++)
        transpose8(q[i]);
    UNROLL
    for (int i = 0; i < 8; i++) {
        r[i] = w_pair(q[0][i], q[2][i]);
        r[i + 8] = w_pair(q[1][i], q[3][i]);
    }
}

#endif

INLINE v16 v_abs(v16 v) { return w_value(w_and(v_bits(v), w_set(0x7fffffffu))); }

/* BF16: the value of the upper half, rounded ties to even, lower half zero; NaN quiet. */
INLINE v16 v_round_bf16(v16 v)
{
    const w16 u = v_bits(v);
    const w16 odd = w_and(w_shr(u, 16), w_set(1));
    const w16 r = w_add(w_add(u, w_set(0x7fff)), odd);
    const w16 r_or_nan = w_select(v_is_nan(v), w_or(u, w_set(0x400000)), r);
    return w_value(w_and(r_or_nan, w_set(0xffff0000u)));
}

INLINE v16 v_load_bf16(const uint16_t *p) { return w_value(w_shl(w_load_u16(p), 16)); }
INLINE void v_store_bf16(uint16_t *p, v16 v) { w_store_u16(p, w_shr(v_bits(v_round_bf16(v)), 16)); }

/* dr_expf, lane by lane. */
INLINE v16 v_exp(v16 x)
{
    const v16 t = v_fma(x, v_set(DR_EXP_LOG2E), v_set(DR_EXP_MAGIC));
    const v16 n = v_sub(t, v_set(DR_EXP_MAGIC));
    const v16 r = v_fma(n, v_set(-DR_LN2_LO), v_fma(n, v_set(-DR_LN2_HI), x));
    v16 p = v_set(DR_EXP_C6);
    p = v_fma(p, r, v_set(DR_EXP_C5));
    p = v_fma(p, r, v_set(DR_EXP_C4));
    p = v_fma(p, r, v_set(DR_EXP_C3));
    p = v_fma(p, r, v_set(DR_EXP_C2));
    p = v_fma(p, r, v_set(1.0f));
    p = v_fma(p, r, v_set(1.0f));
    p = v_mul(p, w_value(w_add(w_shl(v_bits(t), 23), w_set(0x3f800000u))));
    p = v_select(v_greater(x, v_set(DR_EXP_HIGH)), v_set(INFINITY), p);
    return v_select(v_greater(v_set(DR_EXP_LOW), x), v_zero(), p);
}

/* dr_logf for normal x (and infinity or NaN when the caller replaces the result). */
INLINE v16 v_log_normal(v16 x)
{
    const w16 u = w_sub(v_bits(x), w_set(DR_LOG_SQRT_HALF));
    const v16 e = w_to_float(w_sar(u, 23));
    const v16 m = w_value(w_add(w_and(u, w_set(0x7fffffu)), w_set(DR_LOG_SQRT_HALF)));
    const v16 f = v_sub(m, v_set(1.0f));
    const v16 s = v_div(f, v_add(v_set(2.0f), f));
    const v16 z = v_mul(s, s);
    v16 p = v_set(DR_LOG_C9);
    p = v_fma(p, z, v_set(DR_LOG_C7));
    p = v_fma(p, z, v_set(DR_LOG_C5));
    p = v_fma(p, z, v_set(DR_LOG_C3));
    const v16 negative_f = w_value(w_xor(v_bits(f), w_set(0x80000000u)));
    const v16 tail = v_fma(e, v_set(DR_LN2_LO), v_mul(s, v_fma(p, z, negative_f)));
    return v_fma(e, v_set(DR_LN2_HI), v_add(f, tail));
}

/* dr_softplus__f32, lane by lane: 1 + e^z is at least 1, so the logarithm sees normal numbers. */
INLINE v16 v_softplus(v16 z)
{
    const v16 w = v_exp(z);
    const v16 u = v_add(v_set(1.0f), w);
    const v16 lost = v_sub(w, v_sub(u, v_set(1.0f)));
    const v16 s = v_add(v_log_normal(u), v_div(lost, u));
    return v_select(v_greater(z, v_set(20.0f)), z, s);
}

INLINE v16 v_sigmoid(v16 x)
{
    const v16 negative = w_value(w_xor(v_bits(x), w_set(0x80000000u)));
    return v_div(v_set(1.0f), v_add(v_set(1.0f), v_exp(negative)));
}

/* To E4M3 (lowest -6, steps an eighth of the binade) or E2M1 (lowest 0, steps a half): dr_f32__to_step with dr_f32__binade. */
INLINE v16 v_round_steps(v16 v, int lowest, int mantissa_bits)
{
    const w16 exponent = w_and(v_bits(v), w_set(0x7f800000u));
    const w16 binade = w_max(exponent, w_set((uint32_t)(lowest + 127) << 23));
    const v16 step = w_value(w_sub(binade, w_set((uint32_t)mantissa_bits << 23)));
    const v16 magic = v_mul(v_set(12582912.0f), step);
    const v16 r = v_sub(v_add(v, magic), magic);
    const w16 sign = w_set(0x80000000u);
    const w16 bits = w_or(w_and(v_bits(r), w_set(0x7fffffffu)), w_and(v_bits(v), sign));
    return v_select(v_is_nan(v), v, w_value(bits));
}

#endif
