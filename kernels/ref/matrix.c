/* Packing, matrix products, operands, embedding.
 *
 * Packed layout, shared by all levels: [ceil(n / 16)][k / 2][16][2], rows past n zero: 16 outputs side by side, two
 * neighbouring inputs together. 32 inputs of one such block are the 1 KiB that a tile product reads as its second operand. */
#include "kernels/queue.h"
#include "kernels/ref/mode.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum { LANES = 16, STEP = 32 };

static size_t pack_bytes(int64_t n, int64_t k)
{
    return (size_t)((n + LANES - 1) / LANES * LANES) * (size_t)k * sizeof(operand);
}

typedef struct pack_task {
    dr_queue *q;
    const dr_weight *w;
    operand *packed;
    uint32_t codes[256];            /* f32 bits of every E4M3 or (first 16) E2M1 code */
    atomic_int_fast64_t first_bad;  /* row * k + column, the smallest */
} pack_task;

/* f32 bits of v * 2^(scale - 127), v given by its bits. False when BF16 cannot hold it as a normal value. */
static bool scale_bits(uint32_t *out, uint32_t v, uint8_t scale)
{
    const int32_t e = (int32_t)((v >> 23) & 255u), scaled = e + (int32_t)scale - 127;
    if ((v & 0x7fffffffu) == 0) {
        *out = v;
        return scale != 255;
    }
    *out = (v & 0x807fffffu) | (uint32_t)scaled << 23;
    return scale != 255 && e != 255 && scaled >= 1 && scaled <= 254;
}

/* Row o of the weight as f32 bits, columns [0, k). Returns the first column that cannot be held, or -1. */
static int64_t read_row(uint32_t *row, const pack_task *t, int64_t o)
{
    const dr_weight *w = t->w;
    int64_t bad = -1;
    if (w->dtype == DR_BF16 || w->dtype == DR_F32) {
        for (int64_t k = 0; k < w->k; k++) {
            if (w->dtype == DR_BF16)
                row[k] = (uint32_t)((const uint16_t *)w->data)[o * w->k + k] << 16;
            else
                memcpy(&row[k], (const uint8_t *)w->data + (size_t)(o * w->k + k) * 4, 4);
            if (!IS_WIDE && bad < 0 && (row[k] & 0xffffu))
                bad = k;
        }
        return bad;
    }
    const int64_t scale_columns = (w->k + w->scale_cols - 1) / w->scale_cols;
    const uint8_t *scales = w->scale + o / w->scale_rows * scale_columns;
    const uint8_t *bytes = (const uint8_t *)w->data + (w->dtype == DR_FP4 ? o * (w->k / 2) : o * w->k);
    for (int64_t k = 0; k < w->k; k++) {
        const unsigned code = w->dtype == DR_FP4 ? (unsigned)(bytes[k / 2] >> (k % 2 * 4)) & 15u : bytes[k];
        if (!scale_bits(&row[k], t->codes[code], scales[k / w->scale_cols]) && bad < 0)
            bad = k;
    }
    return bad;
}

static void pack_blocks(void *arg, int64_t begin, int64_t end, int worker)
{
    pack_task *t = arg;
    const int64_t n = t->w->n, k = t->w->k;
    uint32_t *row = dr_queue__scratch(t->q, worker, (size_t)k * sizeof *row);
    for (int64_t block = begin; block < end; block++) {
        operand *dst = t->packed + block * LANES * k;
        for (int64_t lane = 0; lane < LANES; lane++) {
            const int64_t o = block * LANES + lane;
            int64_t bad = -1;
            if (o < n)
                bad = read_row(row, t, o);
            else
                memset(row, 0, (size_t)k * sizeof *row);
            for (int64_t i = 0; i < k; i++)
                dst[(i / 2 * LANES + lane) * 2 + i % 2] = operand_of(dr_f32__of_bits(row[i]));
            if (bad >= 0) {
                int64_t first = atomic_load(&t->first_bad);
                while (o * k + bad < first && !atomic_compare_exchange_weak(&t->first_bad, &first, o * k + bad))
                    ;
            }
        }
    }
}

static dr_status pack(dr_queue *q, void *packed, const dr_weight *w, dr_error *err)
{
    pack_task t = {.q = q, .w = w, .packed = packed};

    assert(w->k % STEP == 0 && w->dtype != DR_I64 && w->dtype != DR_F8_E8M0);
    if (w->dtype == DR_F8_E4M3)
        for (unsigned c = 0; c < 256; c++)
            t.codes[c] = dr_f32__bits(dr_e4m3__value((uint8_t)c));
    if (w->dtype == DR_FP4)
        for (unsigned c = 0; c < 16; c++)
            t.codes[c] = dr_f32__bits(dr_e2m1__value(c));
    atomic_init(&t.first_bad, INT64_MAX);
    dr_queue__run(q, (w->n + LANES - 1) / LANES, 4, pack_blocks, &t);
    const int64_t bad = atomic_load(&t.first_bad);
    if (bad != INT64_MAX)
        return dr_fail(err, DR_ERR_FORMAT, "row %lld, column %lld: the value (with its scale) is NaN or out of the range of BF16",
                       (long long)(bad / w->k), (long long)(bad % w->k));
    return DR_OK;
}

float SLOT(chain)(float c, const operand *a, const operand *b, int64_t k)
{
    for (int64_t i = 0; i < k; i += STEP) {
        float even = 0.0f, odd = 0.0f;
        for (int64_t p = i; p < i + STEP; p += 2) {
            even = fma_operand(value_of(a[p]), value_of(b[p]), even);
            odd = fma_operand(value_of(a[p + 1]), value_of(b[p + 1]), odd);
        }
        c = c + (even + odd);
    }
    return c;
}

/* The same chain for the 16 outputs of a packed block. */
static void chain16(float c[LANES], const operand *x, const operand *w, int64_t k)
{
    for (int j = 0; j < LANES; j++)
        c[j] = 0.0f;
    for (int64_t i = 0; i < k; i += STEP) {
        float even[LANES] = {0}, odd[LANES] = {0};
        for (int64_t p = i; p < i + STEP; p += 2) {
            const float x0 = value_of(x[p]), x1 = value_of(x[p + 1]);
            for (int j = 0; j < LANES; j++) {
                even[j] = fma_operand(x0, value_of(w[p * LANES + 2 * j]), even[j]);
                odd[j] = fma_operand(x1, value_of(w[p * LANES + 2 * j + 1]), odd[j]);
            }
        }
        for (int j = 0; j < LANES; j++)
            c[j] = c[j] + (even[j] + odd[j]);
    }
}

static void gemm_blocks(void *arg, int64_t begin, int64_t end, int worker)
{
    const dr_gemm *g = arg;
    const int64_t n = g->w->n, k = g->w->k;
    (void)worker;
    for (int64_t block = begin; block < end; block++) {
        const operand *w = (const operand *)g->w->packed + block * LANES * k;
        const int64_t lanes = n - block * LANES < LANES ? n - block * LANES : LANES;
        for (int64_t i = 0; i < g->m; i++) {
            float c[LANES];
            chain16(c, (const operand *)g->x + (g->rows ? g->rows[i] : i) * k, w, k);
            for (int64_t j = 0; j < lanes; j++)
                g->y[i * g->y_stride + block * LANES + j] = g->round_out ? rounded(c[j]) : c[j];
        }
    }
}

static void gemm(dr_queue *q, const dr_gemm *jobs, int n_jobs)
{
    for (int i = 0; i < n_jobs; i++) {
        dr_gemm job = jobs[i];
        assert(job.w->k % STEP == 0);
        if (job.m > 0)
            dr_queue__run(q, (job.w->n + LANES - 1) / LANES, 1, gemm_blocks, &job);
    }
}

/* FP8 with one scale for n values (spec 5.2): y = q * scale, x and y in the operand's format. */
static void fp8_block(operand *y, const float *x, int64_t n)
{
    float amax = 1e-4f;
    for (int64_t i = 0; i < n; i++) {
        const float a = dr_f32__of_bits(dr_f32__bits(x[i]) & 0x7fffffffu);
        amax = a > amax ? a : amax; /* a NaN spoils itself, not its block */
    }
    const float scale = dr_f32__exp2i(dr_scale__exponent(amax, 1.0f / 448.0f));
    const float inverse = 1.0f / scale;
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] * inverse;
        v = v > 448.0f ? 448.0f : v < -448.0f ? -448.0f : v;
        y[i] = operand_of(dr_e4m3__round(v) * scale);
    }
}

static void to_operand(dr_queue *q, void *y, const float *x, int64_t m, int64_t k, dr_quant quant)
{
    enum { BLOCK = 128 };
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const float *row = x + i * k;
        operand *dst = (operand *)y + i * k;
        if (quant == DR_QUANT_FP8_128 && !IS_WIDE) {
            for (int64_t at = 0; at < k; at += BLOCK)
                fp8_block(dst + at, row + at, k - at < BLOCK ? k - at : BLOCK);
        } else {
            for (int64_t j = 0; j < k; j++)
                dst[j] = operand_of(row[j]);
        }
    }
    dr_flush_denormals_restore(mode);
}

static void embed(dr_queue *q, float *X, const uint16_t *table, const int32_t *ids, int64_t m, int64_t d, int32_t n_streams)
{
    (void)q;
    for (int64_t i = 0; i < m; i++)
        for (int64_t s = 0; s < n_streams; s++)
            for (int64_t j = 0; j < d; j++)
                X[(i * n_streams + s) * d + j] = dr_bf16__value(table[(int64_t)ids[i] * d + j]);
}

void SLOT(table_matrix)(dr_ops *ops)
{
    ops->pack_bytes = pack_bytes;
    ops->pack = pack;
    ops->gemm = gemm;
    ops->to_operand = to_operand;
    ops->embed = embed;
}
