/* Index scores and the choice of the best. */
#include "kernels/queue.h"
#include "kernels/ref/mode.h"

#include <math.h>

typedef struct scores_task {
    float *scores;
    int64_t stride;
    const operand *queries, *keys;
    const float *w;
    const int32_t *n_visible;
    int32_t n_heads, dim;
} scores_task;

static void score_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const scores_task *t = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t s = 0; s < t->n_visible[i]; s++) {
            float sum = 0.0f;
            for (int64_t h = 0; h < t->n_heads; h++) {
                const int64_t head = i * t->n_heads + h;
                const float dot = rounded(SLOT(chain)(0.0f, t->queries + head * t->dim, t->keys + s * t->dim, t->dim));
                sum = sum + rounded((dot < 0.0f ? 0.0f : dot) * t->w[head]);
            }
            t->scores[i * t->stride + s] = rounded(sum);
        }
}

static void index_scores(dr_queue *q, float *scores, int64_t stride, const void *queries, const float *w, const void *keys,
                         const int32_t *n_visible, int64_t n_q, int32_t n_heads, int32_t dim)
{
    scores_task t = {scores, stride, queries, keys, w, n_visible, n_heads, dim};
    dr_queue__run(q, n_q, 1, score_rows, &t);
}

/* A whole number that orders as the score does: NaN as -infinity, zeros (and denormals, flushed) equal. */
static uint32_t order(float score)
{
    if (score != score)
        score = -INFINITY;
    const uint32_t u = dr_f32__bits(score == 0.0f ? 0.0f : score);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static int64_t count_at_least(const float *scores, int64_t n, uint32_t least)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += order(scores[i]) >= least;
    return count;
}

static void topk(dr_queue *q, int32_t *idx, int32_t *n_out, const float *scores, int64_t stride, const int32_t *n, int64_t m,
                 int32_t k)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const float *row = scores + i * stride;
        const int32_t wanted = n[i] < k ? n[i] : k;
        /* The order of the last one taken, bit by bit from the top. */
        uint32_t threshold = 0;
        for (uint32_t bit = 0x80000000u; bit; bit >>= 1)
            if (count_at_least(row, n[i], threshold | bit) >= wanted)
                threshold |= bit;
        /* All above it, and of those equal to it the first ones. */
        int64_t n_equal = threshold == UINT32_MAX ? wanted : wanted - count_at_least(row, n[i], threshold + 1);
        int32_t n_taken = 0;
        for (int32_t s = 0; s < n[i] && n_taken < wanted; s++)
            if (order(row[s]) > threshold || (order(row[s]) == threshold && n_equal-- > 0))
                idx[i * k + n_taken++] = s;
        n_out[i] = n_taken;
    }
    dr_flush_denormals_restore(mode);
}

void SLOT(table_index)(dr_ops *ops)
{
    ops->index_scores = index_scores;
    ops->topk = topk;
}
