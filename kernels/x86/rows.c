/* Operands, embedding, cache rows: conversions between f32 and the storage formats, 16 values a step. */
#include "kernels/queue.h"
#include "kernels/x86/codes.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/slots.h"

#include <assert.h>

enum { FP8_BLOCK = 128, KV_BLOCK = 64, INDEX_BLOCK = 32, MAX_INDEX_DIM = 512 };

/* Largest magnitude of x[0, n), at least `least`; NaN does not count. */
INLINE float absolute_max(const float *x, int64_t n, float least)
{
    v16 max = v_set(least);
    for (int64_t i = 0; i < n; i += LANES)
        max = v_max(v_abs(n - i >= LANES ? v_load(x + i) : v_load_n(x + i, n - i)), max);
    return v_largest(max);
}

/* x / scale, clamped. The comparisons keep a NaN. */
INLINE v16 scaled(v16 x, v16 inverse, float limit)
{
    const v16 v = v_mul(x, inverse);
    return v_max(v_set(-limit), v_min(v_set(limit), v));
}

typedef struct operand_task {
    uint16_t *y;
    const float *x;
    int64_t k;
    dr_quant quant;
} operand_task;

static void fp8_block(uint16_t *y, const float *x, int64_t n)
{
    const float scale = dr_f32__exp2i(dr_scale__exponent(absolute_max(x, n, 1e-4f), 1.0f / 448.0f));
    const v16 inverse = v_set(1.0f / scale);
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t lanes = n - i < LANES ? n - i : LANES;
        const v16 v = v_mul(v_round_steps(scaled(v_load_n(x + i, lanes), inverse, 448.0f), -6, 3), v_set(scale));
        if (lanes == LANES) {
            v_store_bf16(y + i, v);
        } else {
            uint16_t t[LANES];
            v_store_bf16(t, v);
            memcpy(y + i, t, (size_t)lanes * sizeof t[0]);
        }
    }
}

static void operand_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const operand_task *t = arg;
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        const float *x = t->x + row * t->k;
        uint16_t *y = t->y + row * t->k;
        if (t->quant == DR_QUANT_FP8_128) {
            for (int64_t i = 0; i < t->k; i += FP8_BLOCK)
                fp8_block(y + i, x + i, t->k - i < FP8_BLOCK ? t->k - i : FP8_BLOCK);
            continue;
        }
        const int64_t whole = t->k / LANES * LANES;
        for (int64_t i = 0; i < whole; i += LANES)
            v_store_bf16(y + i, v_load(x + i));
        for (int64_t i = whole; i < t->k; i++)
            y[i] = dr_bf16__of(x[i]);
    }
}

static void to_operand(dr_queue *q, void *y, const float *x, int64_t m, int64_t k, dr_quant quant)
{
    operand_task t = {y, x, k, quant};
    dr_queue__run(q, m, dr_slot__grain(m, m * k / 2), operand_rows, &t);
}

typedef struct embed_task {
    float *X;
    const uint16_t *table;
    const int32_t *ids;
    int64_t d;
    int32_t n_streams;
} embed_task;

static void embed_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const embed_task *t = arg;
    const int64_t d = t->d, whole = d / LANES * LANES;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const uint16_t *row = t->table + (int64_t)t->ids[i] * d;
        float *first = t->X + i * t->n_streams * d;
        for (int64_t j = 0; j < whole; j += LANES)
            v_store(first + j, v_load_bf16(row + j));
        for (int64_t j = whole; j < d; j++)
            first[j] = dr_bf16__value(row[j]);
        for (int32_t s = 1; s < t->n_streams; s++)
            memcpy(first + s * d, first, (size_t)d * sizeof *first);
    }
}

static void embed(dr_queue *q, float *X, const uint16_t *table, const int32_t *ids, int64_t m, int64_t d, int32_t n_streams)
{
    embed_task t = {X, table, ids, d, n_streams};
    dr_queue__run(q, m, dr_slot__grain(m, m * d * n_streams / 4), embed_rows, &t);
}

typedef struct rows_task {
    void *out;
    const void *in;
    const int32_t *idx;
    size_t row_bytes;
    int32_t dim, rope_dim;
} rows_task;

static void kv_pack_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const rows_task *t = arg;
    const int64_t n_fp8 = t->dim - t->rope_dim;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float *x = (const float *)t->in + i * t->dim;
        uint8_t *row = (uint8_t *)t->out + (size_t)i * t->row_bytes, *scales = row + n_fp8 + t->rope_dim * 2;
        memset(scales, 0, (size_t)(row + t->row_bytes - scales));
        for (int64_t b = 0; b < n_fp8 / KV_BLOCK; b++) {
            const int e = dr_scale__exponent(absolute_max(x + b * KV_BLOCK, KV_BLOCK, 1e-4f), 1.0f / 448.0f);
            const v16 inverse = v_set(1.0f / dr_f32__exp2i(e));
            scales[b] = (uint8_t)(e + 127);
            for (int64_t j = b * KV_BLOCK; j < (b + 1) * KV_BLOCK; j += LANES)
                w_store_u8(row + j, e4m3_codes(v_round_steps(scaled(v_load(x + j), inverse, 448.0f), -6, 3)));
        }
        for (int64_t j = 0; j < t->rope_dim; j++) {
            const uint16_t v = dr_bf16__of(x[n_fp8 + j]);
            memcpy(row + n_fp8 + j * 2, &v, 2);
        }
    }
}

static size_t kv_row_bytes(int32_t dim, int32_t rope_dim)
{
    const size_t n = (size_t)(dim - rope_dim);
    return (n + (size_t)rope_dim * 2 + n / KV_BLOCK + 7) & ~(size_t)7;
}

static void kv_pack(dr_queue *q, void *rows, const float *kv, int64_t m, int32_t dim, int32_t rope_dim)
{
    rows_task t = {.out = rows, .in = kv, .row_bytes = kv_row_bytes(dim, rope_dim), .dim = dim, .rope_dim = rope_dim};
    assert((dim - rope_dim) % KV_BLOCK == 0);
    dr_queue__run(q, m, dr_slot__grain(m, m * dim), kv_pack_rows, &t);
}

static void kv_unpack_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const rows_task *t = arg;
    const int64_t n_fp8 = t->dim - t->rope_dim;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const uint8_t *row = (const uint8_t *)t->in + (size_t)(t->idx ? t->idx[i] : i) * t->row_bytes;
        const uint8_t *scales = row + n_fp8 + t->rope_dim * 2;
        uint16_t *y = (uint16_t *)t->out + i * t->dim;
        for (int64_t j = 0; j < n_fp8; j += LANES) {
            const v16 scale = v_set(dr_f32__of_bits((uint32_t)scales[j / KV_BLOCK] << 23));
            v_store_bf16(y + j, v_mul(e4m3_values(w_load_u8(row + j)), scale));
        }
        memcpy(y + n_fp8, row + n_fp8, (size_t)t->rope_dim * 2);
    }
}

static void kv_unpack(dr_queue *q, void *y, const void *rows, const int32_t *idx, int64_t m, int32_t dim, int32_t rope_dim)
{
    rows_task t = {.out = y, .in = rows, .idx = idx, .row_bytes = kv_row_bytes(dim, rope_dim), .dim = dim, .rope_dim = rope_dim};
    dr_queue__run(q, m, dr_slot__grain(m, m * dim / 2), kv_unpack_rows, &t);
}

/* Butterflies of stride 1, 2, 4, 8 inside a vector: a lane whose number has the stride's bit is the b of its pair. */
INLINE v16 hadamard16(v16 v)
{
    const w16 lane = w_load((const int32_t[LANES]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
    v = v_add(v_swap1(v), w_value(w_xor(v_bits(v), w_shl(w_and(lane, w_set(1)), 31))));
    v = v_add(v_swap2(v), w_value(w_xor(v_bits(v), w_shl(w_and(lane, w_set(2)), 30))));
    v = v_add(v_swap4(v), w_value(w_xor(v_bits(v), w_shl(w_and(lane, w_set(4)), 29))));
    return v_add(v_swap8(v), w_value(w_xor(v_bits(v), w_shl(w_and(lane, w_set(8)), 28))));
}

static void hadamard(float *y, const float *x, int32_t dim)
{
    const v16 factor = v_set(1.0f / sqrtf((float)dim));
    for (int32_t i = 0; i < dim; i += LANES)
        v_store(y + i, hadamard16(v_load(x + i)));
    for (int32_t stride = LANES; stride < dim; stride *= 2)
        for (int32_t i = 0; i < dim; i += LANES)
            if (!(i & stride)) {
                const v16 a = v_load(y + i), b = v_load(y + i + stride);
                v_store(y + i, v_add(a, b));
                v_store(y + i + stride, v_sub(a, b));
            }
    for (int32_t i = 0; i < dim; i += LANES)
        v_store(y + i, v_round_bf16(v_mul(v_load(y + i), factor)));
}

/* One block of 32 to E2M1 values; returns the exponent of its scale. */
INLINE int fp4_block(v16 *lo, v16 *hi, const float *x)
{
    const int e = dr_scale__exponent(absolute_max(x, INDEX_BLOCK, 6.0f * 0x1p-126f), 1.0f / 6.0f);
    const v16 inverse = v_set(1.0f / dr_f32__exp2i(e));
    *lo = v_round_steps(scaled(v_load(x), inverse, 6.0f), 0, 1);
    *hi = v_round_steps(scaled(v_load(x + LANES), inverse, 6.0f), 0, 1);
    return e;
}

static size_t index_row_bytes(int32_t dim)
{
    return ((size_t)dim / 2 + (size_t)dim / INDEX_BLOCK + 3) & ~(size_t)3;
}

static void index_pack_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const rows_task *t = arg;
    float turned[MAX_INDEX_DIM];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        uint8_t *row = (uint8_t *)t->out + (size_t)i * t->row_bytes;
        hadamard(turned, (const float *)t->in + i * t->dim, t->dim);
        memset(row + t->dim / 2, 0, t->row_bytes - (size_t)t->dim / 2);
        for (int32_t b = 0; b < t->dim / INDEX_BLOCK; b++) {
            v16 lo, hi, even, odd;
            row[t->dim / 2 + b] = (uint8_t)(fp4_block(&lo, &hi, turned + b * INDEX_BLOCK) + 127);
            v_unzip(&even, &odd, lo, hi);
            w_store_u8(row + b * (INDEX_BLOCK / 2), w_or(e2m1_codes(even), w_shl(e2m1_codes(odd), 4)));
        }
    }
}

static void index_pack(dr_queue *q, void *rows, const float *k, int64_t m, int32_t dim)
{
    rows_task t = {.out = rows, .in = k, .row_bytes = index_row_bytes(dim), .dim = dim};
    assert(dim >= INDEX_BLOCK && dim <= MAX_INDEX_DIM && (dim & (dim - 1)) == 0);
    dr_queue__run(q, m, dr_slot__grain(m, m * dim), index_pack_rows, &t);
}

static void index_unpack_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const rows_task *t = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const uint8_t *row = (const uint8_t *)t->in + (size_t)i * t->row_bytes;
        uint16_t *y = (uint16_t *)t->out + i * t->dim;
        for (int32_t b = 0; b < t->dim / INDEX_BLOCK; b++) {
            const v16 scale = v_set(dr_f32__of_bits((uint32_t)row[t->dim / 2 + b] << 23));
            const w16 pairs = w_load_u8(row + b * (INDEX_BLOCK / 2));
            const w16 even = w_shr(v_bits(v_mul(e2m1_values(pairs), scale)), 16);
            const w16 odd = v_bits(v_mul(e2m1_values(w_shr(pairs, 4)), scale));
            w_store(y + b * INDEX_BLOCK, w_or(even, odd)); /* exact in BF16: the lower halves are zero */
        }
    }
}

static void index_unpack(dr_queue *q, void *y, const void *rows, int64_t m, int32_t dim)
{
    rows_task t = {.out = y, .in = rows, .row_bytes = index_row_bytes(dim), .dim = dim};
    dr_queue__run(q, m, dr_slot__grain(m, m * dim / 2), index_unpack_rows, &t);
}

static void index_quant_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const rows_task *t = arg;
    float turned[MAX_INDEX_DIM];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        uint16_t *y = (uint16_t *)t->out + i * t->dim;
        hadamard(turned, (const float *)t->in + i * t->dim, t->dim);
        for (int32_t b = 0; b < t->dim; b += INDEX_BLOCK) {
            v16 lo, hi;
            const v16 scale = v_set(dr_f32__exp2i(fp4_block(&lo, &hi, turned + b)));
            v_store_bf16(y + b, v_mul(lo, scale));
            v_store_bf16(y + b + LANES, v_mul(hi, scale));
        }
    }
}

static void index_quant(dr_queue *q, void *y, const float *x, int64_t m, int32_t dim)
{
    rows_task t = {.out = y, .in = x, .dim = dim};
    assert(dim >= INDEX_BLOCK && dim <= MAX_INDEX_DIM && (dim & (dim - 1)) == 0);
    dr_queue__run(q, m, dr_slot__grain(m, m * dim), index_quant_rows, &t);
}

void LEVEL(table_rows)(dr_ops *ops)
{
    ops->to_operand = to_operand;
    ops->embed = embed;
    ops->kv_pack = kv_pack;
    ops->kv_unpack = kv_unpack;
    ops->index_pack = index_pack;
    ops->index_unpack = index_unpack;
    ops->index_quant = index_quant;
}
