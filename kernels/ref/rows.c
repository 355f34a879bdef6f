/* Cache rows: the main row of a key (FP8 and BF16) and the index row (Hadamard, FP4). Layouts in kernels/ops.h. */
#include "kernels/ref/mode.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { KV_BLOCK = 64, INDEX_BLOCK = 32, MAX_INDEX_DIM = 512 };

static float absolute_max(const float *x, int64_t n, float least)
{
    float amax = least;
    for (int64_t i = 0; i < n; i++) {
        const float a = dr_f32__of_bits(dr_f32__bits(x[i]) & 0x7fffffffu);
        amax = a > amax ? a : amax;
    }
    return amax;
}

static size_t kv_row_bytes(int32_t dim, int32_t rope_dim)
{
    if (IS_WIDE)
        return (size_t)dim * sizeof(float);
    const size_t n = (size_t)(dim - rope_dim);
    return (n + (size_t)rope_dim * 2 + n / KV_BLOCK + 7) & ~(size_t)7;
}

static void kv_pack_row(uint8_t *row, const float *x, int64_t n_fp8, int64_t n_rope, size_t row_bytes)
{
    uint8_t *scales = row + n_fp8 + n_rope * 2;
    memset(scales, 0, (size_t)(row + row_bytes - scales));
    for (int64_t b = 0; b < n_fp8 / KV_BLOCK; b++) {
        const float *v = x + b * KV_BLOCK;
        const int e = dr_scale__exponent(absolute_max(v, KV_BLOCK, 1e-4f), 1.0f / 448.0f);
        const float inverse = 1.0f / dr_f32__exp2i(e);
        scales[b] = (uint8_t)(e + 127);
        for (int64_t i = 0; i < KV_BLOCK; i++) {
            float s = v[i] * inverse;
            s = s > 448.0f ? 448.0f : s < -448.0f ? -448.0f : s;
            row[b * KV_BLOCK + i] = dr_e4m3__code(dr_e4m3__round(s));
        }
    }
    for (int64_t i = 0; i < n_rope; i++) {
        const uint16_t v = dr_bf16__of(x[n_fp8 + i]);
        memcpy(row + n_fp8 + i * 2, &v, 2);
    }
}

static void kv_pack(dr_queue *q, void *rows, const float *kv, int64_t m, int32_t dim, int32_t rope_dim)
{
    const size_t row_bytes = kv_row_bytes(dim, rope_dim);
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    assert((dim - rope_dim) % KV_BLOCK == 0);
    for (int64_t i = 0; i < m; i++) {
        uint8_t *row = (uint8_t *)rows + (size_t)i * row_bytes;
        if (IS_WIDE)
            memcpy(row, kv + i * dim, row_bytes);
        else
            kv_pack_row(row, kv + i * dim, dim - rope_dim, rope_dim, row_bytes);
    }
    dr_flush_denormals_restore(mode);
}

static void kv_unpack(dr_queue *q, void *y, const void *rows, const int32_t *idx, int64_t m, int32_t dim, int32_t rope_dim)
{
    const size_t row_bytes = kv_row_bytes(dim, rope_dim);
    const int64_t n_fp8 = dim - rope_dim;
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const uint8_t *row = (const uint8_t *)rows + (size_t)(idx ? idx[i] : i) * row_bytes;
        operand *dst = (operand *)y + i * dim;
        if (IS_WIDE) {
            memcpy(dst, row, row_bytes);
            continue;
        }
        const uint8_t *scales = row + n_fp8 + rope_dim * 2;
        for (int64_t j = 0; j < n_fp8; j++)
            dst[j] = operand_of(dr_e4m3__value(row[j]) * dr_f32__of_bits((uint32_t)scales[j / KV_BLOCK] << 23));
        for (int64_t j = 0; j < rope_dim; j++) {
            uint16_t v;
            memcpy(&v, row + n_fp8 + j * 2, 2);
            dst[n_fp8 + j] = operand_of(dr_bf16__value(v));
        }
    }
    dr_flush_denormals_restore(mode);
}

/* y = H x / sqrt(dim), H in natural order: strides 1, 2, 4, .., (a, b) -> (a + b, a - b). */
static void hadamard(float *y, const float *x, int32_t dim)
{
    const float factor = 1.0f / sqrtf((float)dim);
    memcpy(y, x, (size_t)dim * sizeof *y);
    for (int32_t stride = 1; stride < dim; stride *= 2)
        for (int32_t i = 0; i < dim; i++)
            if (!(i & stride)) {
                const float a = y[i], b = y[i + stride];
                y[i] = a + b;
                y[i + stride] = a - b;
            }
    for (int32_t i = 0; i < dim; i++)
        y[i] = rounded(y[i] * factor);
}

/* FP4 in blocks of 32: q[dim] E2M1 values, one exponent a block. */
static void fp4_blocks(float *q, int exponent[], const float *x, int32_t dim)
{
    for (int32_t b = 0; b < dim / INDEX_BLOCK; b++) {
        const float *v = x + b * INDEX_BLOCK;
        exponent[b] = dr_scale__exponent(absolute_max(v, INDEX_BLOCK, 6.0f * 0x1p-126f), 1.0f / 6.0f);
        const float inverse = 1.0f / dr_f32__exp2i(exponent[b]);
        for (int32_t i = 0; i < INDEX_BLOCK; i++) {
            float s = v[i] * inverse;
            s = s > 6.0f ? 6.0f : s < -6.0f ? -6.0f : s;
            q[b * INDEX_BLOCK + i] = dr_e2m1__round(s);
        }
    }
}

static size_t index_row_bytes(int32_t dim)
{
    return IS_WIDE ? (size_t)dim * sizeof(float) : ((size_t)dim / 2 + (size_t)dim / INDEX_BLOCK + 3) & ~(size_t)3;
}

static void index_pack(dr_queue *q, void *rows, const float *k, int64_t m, int32_t dim)
{
    const size_t row_bytes = index_row_bytes(dim);
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    assert(dim >= INDEX_BLOCK && dim <= MAX_INDEX_DIM && (dim & (dim - 1)) == 0);
    for (int64_t i = 0; i < m; i++) {
        uint8_t *row = (uint8_t *)rows + (size_t)i * row_bytes;
        float turned[MAX_INDEX_DIM], v[MAX_INDEX_DIM];
        int exponent[MAX_INDEX_DIM / INDEX_BLOCK];
        if (IS_WIDE) {
            memcpy(row, k + i * dim, row_bytes);
            continue;
        }
        hadamard(turned, k + i * dim, dim);
        fp4_blocks(v, exponent, turned, dim);
        memset(row, 0, row_bytes);
        for (int32_t j = 0; j < dim; j++)
            row[j / 2] = (uint8_t)(row[j / 2] | dr_e2m1__code(v[j]) << (j % 2 * 4));
        for (int32_t b = 0; b < dim / INDEX_BLOCK; b++)
            row[dim / 2 + b] = (uint8_t)(exponent[b] + 127);
    }
    dr_flush_denormals_restore(mode);
}

static void index_unpack(dr_queue *q, void *y, const void *rows, int64_t m, int32_t dim)
{
    const size_t row_bytes = index_row_bytes(dim);
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const uint8_t *row = (const uint8_t *)rows + (size_t)i * row_bytes;
        operand *dst = (operand *)y + i * dim;
        if (IS_WIDE) {
            memcpy(dst, row, row_bytes);
            continue;
        }
        for (int32_t j = 0; j < dim; j++) {
            const uint8_t scale = row[dim / 2 + j / INDEX_BLOCK];
            dst[j] = operand_of(dr_e2m1__value((unsigned)row[j / 2] >> (j % 2 * 4)) *
                                dr_f32__of_bits((uint32_t)scale << 23));
        }
    }
    dr_flush_denormals_restore(mode);
}

static void index_quant(dr_queue *q, void *y, const float *x, int64_t m, int32_t dim)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    assert(dim >= INDEX_BLOCK && dim <= MAX_INDEX_DIM && (dim & (dim - 1)) == 0);
    for (int64_t i = 0; i < m; i++) {
        operand *dst = (operand *)y + i * dim;
        float turned[MAX_INDEX_DIM], v[MAX_INDEX_DIM];
        int exponent[MAX_INDEX_DIM / INDEX_BLOCK];
        if (IS_WIDE) {
            memcpy(dst, x + i * dim, (size_t)dim * sizeof(float));
            continue;
        }
        hadamard(turned, x + i * dim, dim);
        fp4_blocks(v, exponent, turned, dim);
        for (int32_t j = 0; j < dim; j++)
            dst[j] = operand_of(v[j] * dr_f32__exp2i(exponent[j / INDEX_BLOCK]));
    }
    dr_flush_denormals_restore(mode);
}

void SLOT(table_rows)(dr_ops *ops)
{
    ops->kv_row_bytes = kv_row_bytes;
    ops->kv_pack = kv_pack;
    ops->kv_unpack = kv_unpack;
    ops->index_row_bytes = index_row_bytes;
    ops->index_pack = index_pack;
    ops->index_unpack = index_unpack;
    ops->index_quant = index_quant;
}
