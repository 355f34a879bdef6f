/* kernels/ops.h: every operation a backend provides, as one table of functions.
 *
 * The forward pass is written once, in engine, against this table. A backend fills every slot: `ref` is the definition (plain
 * loops in the canonical order of docs/numerics.md), the x86 levels override slots and equal ref bit for bit, `wide` is ref
 * without rounding points and without fake quantisation (tests only).
 *
 * Values between operations are f32 arrays, row-major, rows contiguous unless a stride is given. "Rounded" below means: rounded
 * to the nearest BF16 value, ties to even, still stored as f32; in `wide` nothing is rounded. What a matrix product reads is an
 * *operand*: BF16 (2 bytes a value), in `wide` f32 (4 bytes); engine only ever multiplies by `operand_bytes`.
 *
 * Rules for all slots: counts are >= 0 and 0 is a no-op; outputs and inputs are distinct unless said; nothing allocates
 * except pack (never inside the token loop: per-thread scratch belongs to the queue and grows once); NaN in gives NaN out. Shapes
 * come from a checked model, so a violated one is an assert, not a status. Rows of a result depend on their own inputs only:
 * never on the number of rows in the call, on threads, or on the instruction set (N1, N2). One queue: one calling thread. */
#ifndef DR_KERNELS_OPS_H
#define DR_KERNELS_OPS_H

#include "base/status.h"
#include "base/threads.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A pool plus scratch per worker. */
typedef struct dr_queue dr_queue;
dr_status dr_queue_new(dr_queue **out, dr_pool *pool, dr_error *err); /* borrows the pool */
void dr_queue_free(dr_queue *q);

typedef enum dr_dtype { DR_F32, DR_BF16, DR_F8_E4M3, DR_F8_E8M0, DR_FP4, DR_I64 } dr_dtype;

/* A weight as it lies in a checkpoint. value(o, k) = data[o][k] * 2^(scale[o / scale_rows][k / scale_cols] - 127).
 *   DR_BF16, DR_F32   data [n][k], scale NULL
 *   DR_F8_E4M3        data [n][k], scale [ceil(n/128)][ceil(k/128)] E8M0
 *   DR_FP4            data [n][k/2], low nibble first, scale [n][k/32] E8M0 (spec 2.2) */
typedef struct dr_weight {
    dr_dtype dtype;
    const void *data;
    const uint8_t *scale;
    int64_t n, k;                   /* rows (outputs), columns (inputs) */
    int64_t scale_rows, scale_cols; /* what one scale covers: 128, 128 or 1, 32 */
} dr_weight;

/* The same weight packed for products: opaque bytes of dr_ops.pack_bytes(n, k), 64-byte aligned, owned by the caller. */
typedef struct dr_matrix {
    const void *packed;
    int64_t n, k;
} dr_matrix;

/* y[i] = w x[rows ? rows[i] : i]:  y f32 [m][y_stride], x operand [.][k], k % 32 == 0. One K chain per output, canonical order G
 * of docs/numerics.md. round_out: y is rounded. Jobs of one call may share x but not y; they run as one parallel loop. */
typedef struct dr_gemm {
    float *y;
    int64_t y_stride;
    const void *x;
    const int32_t *rows; /* [m] or NULL */
    const dr_matrix *w;
    int64_t m;
    bool round_out;
} dr_gemm;

typedef enum dr_quant { DR_QUANT_NONE, DR_QUANT_FP8_128 } dr_quant;

/* spec 3.9 and 4. Keys of query i (position pos = pos0 + i): window positions max(0, pos - window_len + 1) .. pos, then its
 * entries in the order given (ascending). One softmax over both and the sink. Key blocks of 32: window blocks at absolute
 * positions 32b, entry blocks at list places 32b; a key outside counts with probability 0. Maximum first (sink included), then
 * P = rounded exp(l - max), then sum of P V in block order, divided by the f32 sum of the unrounded exponentials and the sink's. */
typedef struct dr_attention {
    float *out;     /* [n_q][n_heads][dim], rounded */
    const float *q; /* [n_q][n_heads][dim], rounded values */
    const float *sink; /* [n_heads] */
    int64_t n_q, pos0;
    int32_t n_heads, dim; /* dim % 32 == 0 */
    float scale;
    const void *window;  /* operand [..][dim]; row 0 is position window_pos0 (a multiple of 32), last row pos0 + n_q - 1 */
    int64_t window_pos0;
    int32_t window_len;
    const void *entries; /* operand [..][dim]; query i's list starts at row i * entries_stride (0: one list for all) */
    int64_t entries_stride;
    const int32_t *selected;   /* [n_q][selected_stride] rows of the list, ascending, or NULL: rows 0 .. n_selected[i] - 1 */
    int64_t selected_stride;
    const int32_t *n_selected; /* [n_q], or NULL when there are no entries */
} dr_attention;

/* Hyper-connection weights of one sub-layer (spec 3.2, 3.11). S = n_streams. */
typedef struct dr_hc {
    const float *fn;    /* [(2 + S) * S][S * d], or [S][S * d] for the head */
    const float *base;  /* [(2 + S) * S] or [S] */
    const float *scale; /* [3] or [1] */
    int32_t n_streams, sinkhorn_iters;
    int64_t d;
    float norm_eps, hc_eps;
} dr_hc;

typedef struct dr_ops {
    const char *name;     /* "ref", "avx2", "avx512", "amx", "wide" */
    size_t operand_bytes; /* 2, or 4 in wide */

    /* Packing, at load. DR_ERR_FORMAT when a value cannot be held exactly in BF16 (scale out of range) or a scale is 255 (NaN):
     * the message says row and column, the caller adds file and tensor. */
    size_t (*pack_bytes)(int64_t n, int64_t k);
    dr_status (*pack)(dr_queue *q, void *packed, const dr_weight *w, dr_error *err);

    void (*gemm)(dr_queue *q, const dr_gemm *jobs, int n_jobs);

    /* y operand [m][k] from x f32 [m][k]. FP8_128: spec 5.2 with blocks of 128 along k (the last may be shorter), kept as
     * q * scale, which BF16 holds exactly. NONE: rounded. */
    void (*to_operand)(dr_queue *q, void *y, const float *x, int64_t m, int64_t k, dr_quant quant);

    /* X f32 [m][n_streams][d] = n_streams copies of table[ids[i]]; table BF16 as in the checkpoint, [vocab][d]. */
    void (*embed)(dr_queue *q, float *X, const uint16_t *table, const int32_t *ids, int64_t m, int64_t d, int32_t n_streams);

    /* y = rounded( w * x / sqrt(mean(x^2) + eps) ), w f32 [k]. y may be x. */
    void (*rms_norm)(dr_queue *q, float *y, const float *x, const float *w, int64_t m, int64_t k, float eps);

    /* x = rounded( x * s ), n values in place: the constant on the indexer's head weights (spec 3.8.4). */
    void (*scale)(dr_queue *q, float *x, int64_t n, float s);

    /* Weightless norm of every head, each step rounded as the reference does: s = rounded(x*x) summed in f32 and the mean rounded,
     * f = rounded(1 / sqrt(rounded(mean + eps))), x = rounded(x * f). In place, x [m][dim]. (spec 3.6.3) */
    void (*head_norm)(dr_queue *q, float *x, int64_t m, int64_t dim, float eps);

    /* Rotates the last rope_dim of every vector in place: x [m][n_heads][dim], interleaved pairs, angle row i of cos_sin
     * [m][rope_dim/2][2]; inverse: the angle negated. Rotated values are rounded. (spec 3.5) */
    void (*rope)(dr_queue *q, float *x, const float *cos_sin, int64_t m, int32_t n_heads, int32_t dim, int32_t rope_dim,
                 bool inverse);

    /* Main KV row (spec 6.1), bytes of one row for the dims: dim - rope_dim E4M3 values in blocks of 64, rope_dim BF16 values, one
     * E8M0 byte a block, zero padding to a multiple of 8 (448 + 128 + 7 + 1 = 584). wide: dim f32. (dim - rope_dim) % 64 == 0. */
    size_t (*kv_row_bytes)(int32_t dim, int32_t rope_dim);
    void (*kv_pack)(dr_queue *q, void *rows, const float *kv, int64_t m, int32_t dim, int32_t rope_dim);
    /* y operand [m][dim]; row i from rows[idx ? idx[i] : i]. */
    void (*kv_unpack)(dr_queue *q, void *y, const void *rows, const int32_t *idx, int64_t m, int32_t dim, int32_t rope_dim);

    /* Index rows (spec 5.4): Hadamard (times dim^-0.5, result rounded), then FP4 in blocks of 32: dim/2 bytes, low nibble first,
     * dim/32 E8M0 bytes, zero padding to a multiple of 4 (64 + 4 = 68). wide: dim f32, no Hadamard, no FP4. dim: a power of two >= 32. */
    size_t (*index_row_bytes)(int32_t dim);
    void (*index_pack)(dr_queue *q, void *rows, const float *k, int64_t m, int32_t dim);
    void (*index_unpack)(dr_queue *q, void *y, const void *rows, int64_t m, int32_t dim); /* y operand [m][dim] */
    /* The same round trip without storing, for index queries: y operand [m][dim]. */
    void (*index_quant)(dr_queue *q, void *y, const float *x, int64_t m, int32_t dim);

    /* Compressor pooling (spec 3.7), softmax over slots per channel. k, z f32; z holds the position bias already.
     *   overlap false (HCA): rows [n * r][e];          entry i from rows i*r .. i*r + r - 1
     *   overlap true  (CSA): rows [(n + 1) * r][2*e];  entry i: slots 0..r-1 = rows i*r+m, channels [0, e), then slots r..2r-1 =
     *                        rows (i+1)*r+m, channels [e, 2e). A missing predecessor has k = 0, z = -INFINITY.
     * y f32 [n][e], rounded. */
    void (*pool)(dr_queue *q, float *y, const float *k, const float *z, int64_t n, int32_t r, int32_t e, bool overlap);

    /* I[i][s] = sum_h w[i][h] * max(0, q[i][h] . key[s]) for s < n_visible[i] (spec 3.8.6): the dot product, its product with w and the
     * sum over h (f32, ascending h) each rounded. q operand [n_q][n_heads][dim], keys operand [.][dim], w f32 [n_q][n_heads],
     * scores f32 [n_q][stride]; places from n_visible[i] on are not written. */
    void (*index_scores)(dr_queue *q, float *scores, int64_t stride, const void *queries, const float *w, const void *keys,
                         const int32_t *n_visible, int64_t n_q, int32_t n_heads, int32_t dim);

    /* The min(k, n[i]) best of scores[i][0 .. n[i]), ties to the lower index, written ascending by index to idx[i][0..), count to
     * n_out[i]. NaN counts as -infinity. */
    void (*topk)(dr_queue *q, int32_t *idx, int32_t *n_out, const float *scores, int64_t stride, const int32_t *n, int64_t m,
                 int32_t k);

    void (*attention)(dr_queue *q, const dr_attention *a);

    /* spec 3.2: post [m][S], comb [m][S][S] (first index contracted by hc_post), x [m][d] rounded, from X [m][S][d]. */
    void (*hc_pre)(dr_queue *q, float *x, float *post, float *comb, const float *X, const dr_hc *hc, int64_t m);
    /* spec 3.3, in place: X[k] = rounded( post[k] * y + sum_j comb[j][k] * X[j] ), j ascending. y [m][d]. */
    void (*hc_post)(dr_queue *q, float *X, const float *y, const float *post, const float *comb, int64_t m, int64_t d,
                    int32_t n_streams);
    /* spec 3.11: x [m][d] = rounded( sum_i pre_i X[i] ). */
    void (*hc_head)(dr_queue *q, float *x, const float *X, const dr_hc *hc, int64_t m);

    /* Router (spec 3.10): s = sqrt(softplus(logits)); ids [m][k] ascending = fixed[token[i]] when fixed (hash layers: table
     * [vocab][k] of int32, token ids) else the k largest of s + bias, ties to the lower id; g [m][k] = s / sum(selected s, ascending) * scale. */
    void (*route)(dr_queue *q, int32_t *ids, float *g, const float *logits, const float *bias, const int32_t *fixed,
                  const int32_t *tokens, int64_t m, int32_t n_experts, int32_t k, float scale);

    /* y = rounded( g[i] * silu(min(a, limit)) * clamp(u, -limit, limit) ); a, u, y [m][k]; g NULL means 1; limit <= 0: no clamp.
     * silu(a) * u first, then times g. y may be a. */
    void (*swiglu)(dr_queue *q, float *y, const float *a, const float *u, const float *g, int64_t m, int64_t k, float limit);

    /* y[i] = rounded( sum_j parts[place[i][j]] (j ascending, f32, from 0) + shared[i] ); parts [.][d], shared [m][d] or NULL. */
    void (*combine)(dr_queue *q, float *y, const float *parts, const int32_t *place, const float *shared, int64_t m, int32_t k,
                    int64_t d);

    /* y[i][s] = rounded( a[i] + b[i][s] ): a [m][d], b [m][n_streams][d]. The MTP input (spec 3.12). */
    void (*add_streams)(dr_queue *q, float *y, const float *a, const float *b, int64_t m, int64_t d, int32_t n_streams);
} dr_ops;

void dr_ops_init_ref(dr_ops *ops);
void dr_ops_init_wide(dr_ops *ops);

/* CPU features that both the processor and the system grant (AVX-512 state, AMX permission are asked for). */
enum { DR_CPU_AVX2 = 1, DR_CPU_AVX512 = 2, DR_CPU_AMX = 4 }; /* each includes FMA and the levels before it */
uint32_t dr_cpu_features(void);

/* Starts from ref and overrides what `features` allows (mask it in tests). */
void dr_ops_init_x86(dr_ops *ops, uint32_t features);

/* "ref", "avx2", "avx512", "amx" -> table; DR_ERR_NOT_FOUND when unknown, DR_ERR_DEVICE when this machine lacks it. NULL: best. */
dr_status dr_ops_init_named(dr_ops *ops, const char *isa, dr_error *err);

/* Own elementary functions, the same bits everywhere (polynomials in docs/numerics.md): used by the slots and by the sampler. */
float dr_expf(float x);
float dr_logf(float x);
float dr_round_bf16(float x);

#endif
