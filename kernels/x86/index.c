/* Index scores and the choice of the best.
 *
 * Scores: a task takes a stretch of keys, turns it into packed blocks once (keys become outputs, so lanes are keys), and
 * multiplies the heads of all queries that see it, 64 rows at a time; then heads are weighed and summed in order, lane by lane. */
#include "kernels/queue.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/product.h"
#include "kernels/x86/slots.h"

enum { STRETCH = 256, ROWS_AT_ONCE = 64 };

typedef struct scores_task {
    dr_queue *q;
    float *scores;
    int64_t stride;
    const uint16_t *queries, *keys;
    const float *w;
    const int32_t *n_visible;
    int64_t n_q, n_keys;
    int32_t n_heads, dim;
} scores_task;

/* 16 keys to one packed block: words of two neighbouring values, transposed. Keys from n on are zero. */
static void pack_keys(uint16_t *packed, const uint16_t *keys, int64_t n, int32_t dim)
{
    for (int32_t i = 0; i < dim; i += STEP) {
        w16 r[LANES];
        UNROLL
        for (int j = 0; j < LANES; j++)
            r[j] = j < n ? w_load(keys + j * dim + i) : w_set(0);
        w_transpose(r);
        UNROLL
        for (int j = 0; j < LANES; j++)
            w_store(packed + (i + 2 * j) * LANES, r[j]);
    }
}

/* One query against 16 keys: dots [n_heads][STRETCH]. */
static void weigh_heads(float *scores, const float *dots, const float *w, int32_t n_heads, int64_t n)
{
    v16 sum = v_zero();
    for (int32_t h = 0; h < n_heads; h++) {
        const v16 dot = v_max(v_zero(), v_round_bf16(v_load(dots + h * STRETCH)));
        sum = v_add(sum, v_round_bf16(v_mul(dot, v_set(w[h]))));
    }
    v_store_n(scores, v_round_bf16(sum), n);
}

static void score_stretch(void *arg, int64_t begin, int64_t end, int worker)
{
    const scores_task *t = arg;
    const int64_t at_once = t->n_heads < ROWS_AT_ONCE ? ROWS_AT_ONCE / t->n_heads : 1; /* queries */
    const size_t dim = (size_t)t->dim, max_rows = (size_t)(at_once * t->n_heads + LANES);
    const size_t packed_bytes = STRETCH * dim * sizeof(uint16_t), dots_bytes = max_rows * STRETCH * sizeof(float);
    const size_t tail_bytes = max_rows * dim * sizeof(uint16_t);
    uint8_t *scratch = dr_queue__scratch(t->q, worker, packed_bytes + dots_bytes + tail_bytes + DR_PRODUCT_SCRATCH(dim));
    uint16_t *packed = (uint16_t *)(void *)scratch, *tail = (uint16_t *)(void *)(scratch + packed_bytes + dots_bytes);
    float *dots = (float *)(void *)(scratch + packed_bytes);

    for (int64_t key = begin; key < end; key += STRETCH) {
        const int64_t n = end - key < STRETCH ? end - key : STRETCH;
        for (int64_t b = 0; b < n; b += LANES)
            pack_keys(packed + b * t->dim, t->keys + (key + b) * t->dim, n - b, t->dim);
        for (int64_t i = 0; i < t->n_q; i += at_once) {
            const int64_t n_q = t->n_q - i < at_once ? t->n_q - i : at_once, m = n_q * t->n_heads;
            int64_t most = 0;
            for (int64_t j = 0; j < n_q; j++)
                most = t->n_visible[i + j] - key > most ? t->n_visible[i + j] - key : most;
            most = most < n ? most : n;
            if (most == 0)
                continue;
            const uint16_t *x = t->queries + i * t->n_heads * t->dim;
            if (m % LANES) /* a tile would read past the end */
                x = memcpy(tail, x, (size_t)m * dim * sizeof *x);
            const dr_product p = {.y = dots, .y_stride = STRETCH, .x = x, .x_stride = t->dim, .w = packed, .w_stride = LANES * t->dim,
                                  .m = m, .n_blocks = (most + LANES - 1) / LANES, .k = t->dim,
                                  .scratch = scratch + packed_bytes + dots_bytes + dr_queue__align(tail_bytes)};
            LEVEL(product)(&p);
            for (int64_t j = 0; j < n_q; j++) {
                const int64_t visible = t->n_visible[i + j] - key < n ? t->n_visible[i + j] - key : n;
                for (int64_t s = 0; s < visible; s += LANES)
                    weigh_heads(t->scores + (i + j) * t->stride + key + s, dots + j * t->n_heads * STRETCH + s,
                                t->w + (i + j) * t->n_heads, t->n_heads, visible - s < LANES ? visible - s : LANES);
            }
        }
    }
}

static void index_scores(dr_queue *q, float *scores, int64_t stride, const void *queries, const float *w, const void *keys,
                         const int32_t *n_visible, int64_t n_q, int32_t n_heads, int32_t dim)
{
    scores_task t = {q, scores, stride, queries, keys, w, n_visible, n_q, 0, n_heads, dim};
    for (int64_t i = 0; i < n_q; i++)
        t.n_keys = n_visible[i] > t.n_keys ? n_visible[i] : t.n_keys;
    if (t.n_keys == 0)
        return;
    const int64_t rows = n_q * n_heads / LANES + 1;
    const int64_t grain = dr_slot__grain(t.n_keys, t.n_keys * dim * rows);
    dr_queue__run(q, t.n_keys, (grain + LANES - 1) / LANES * LANES, score_stretch, &t);
}

typedef struct topk_task {
    dr_queue *q;
    int32_t *idx, *n_out;
    const float *scores;
    int64_t stride;
    const int32_t *n;
    int32_t k;
} topk_task;

/* Signed numbers that order as the scores do: NaN as -infinity, both zeros equal. */
INLINE w16 order(v16 score)
{
    const v16 s = v_select(v_is_nan(score), v_set(-INFINITY), v_add(score, v_zero())); /* -0 + 0 is +0 */
    const w16 u = v_bits(s);
    return w_xor(u, w_shr(w_sar(u, 31), 1));
}

static int64_t count_at_least(const int32_t *keys, int64_t n, int32_t least)
{
    const w16 below = w_set((uint32_t)least - 1u);
    int64_t count = 0;
    if (least == INT32_MIN)
        return n;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        count += __builtin_popcount(m_bits(w_greater(w_load(keys + i), below)));
    for (; i < n; i++)
        count += keys[i] >= least;
    return count;
}

static void topk_row(int32_t *idx, int32_t *n_out, const float *scores, int64_t n, int32_t k, int32_t *keys)
{
    if (n <= k) {
        for (int32_t s = 0; s < n; s++)
            idx[s] = s;
        *n_out = (int32_t)n;
        return;
    }
    for (int64_t i = 0; i < n; i += LANES)
        w_store(keys + i, order(v_load_n(scores + i, n - i < LANES ? n - i : LANES)));
    /* The k-th largest key, bit by bit from the top (the top one is the sign: 0 beats 1). */
    int32_t threshold = INT32_MIN;
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
        const int32_t candidate = (int32_t)((uint32_t)threshold ^ bit);
        if (count_at_least(keys, n, candidate) >= k)
            threshold = candidate;
    }
    int64_t n_equal = threshold == INT32_MAX ? k : k - count_at_least(keys, n, threshold + 1);
    int32_t n_taken = 0;
    for (int32_t s = 0; n_taken < k; s++)
        if (keys[s] > threshold || (keys[s] == threshold && n_equal-- > 0))
            idx[n_taken++] = s;
    *n_out = n_taken;
}

static void topk_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const topk_task *t = arg;
    int64_t n_max = 0;
    for (int64_t i = begin; i < end; i++)
        n_max = t->n[i] > n_max ? t->n[i] : n_max;
    int32_t *keys = dr_queue__scratch(t->q, worker, ((size_t)n_max + LANES) * sizeof *keys);
    for (int64_t i = begin; i < end; i++)
        topk_row(t->idx + i * t->k, t->n_out + i, t->scores + i * t->stride, t->n[i], t->k, keys);
}

static void topk(dr_queue *q, int32_t *idx, int32_t *n_out, const float *scores, int64_t stride, const int32_t *n, int64_t m,
                 int32_t k)
{
    topk_task t = {q, idx, n_out, scores, stride, n, k};
    int64_t work = 0;
    for (int64_t i = 0; i < m; i++)
        work += n[i] <= k ? k / 4 : n[i] * 2 + k;
    dr_queue__run(q, m, dr_slot__grain(m, work), topk_rows, &t);
}

void LEVEL(table_index)(dr_ops *ops)
{
    ops->index_scores = index_scores;
    ops->topk = topk;
}
