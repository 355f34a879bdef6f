/* Router, gated activation, sum of the experts' parts, MTP input (spec 3.10, 3.12). */
#include "kernels/elementary.h"
#include "kernels/ref/mode.h"

#include <assert.h>
#include <math.h>

enum { MAX_EXPERTS = 4096, MAX_SELECTED = 64 };

/* Does expert a come before b? Larger first, NaN last, ties to the lower id. */
static bool comes_before(const float *value, int a, int b)
{
    const float x = value[a] != value[a] ? -INFINITY : value[a], y = value[b] != value[b] ? -INFINITY : value[b];
    return x > y || (x == y && a < b);
}

/* The k first of n, ids ascending. */
static void select_experts(int32_t *ids, const float *value, int32_t n, int32_t k)
{
    bool taken[MAX_EXPERTS] = {false};
    for (int32_t j = 0; j < k; j++) {
        int best = -1;
        for (int e = 0; e < n; e++)
            if (!taken[e] && (best < 0 || comes_before(value, e, best)))
                best = e;
        taken[best] = true;
    }
    for (int e = 0; e < n; e++)
        if (taken[e])
            *ids++ = e;
}

/* Ascending, as the experts' parts are added. */
static void sort_ids(int32_t *ids, int32_t k)
{
    for (int32_t i = 1; i < k; i++)
        for (int32_t j = i; j > 0 && ids[j - 1] > ids[j]; j--) {
            const int32_t t = ids[j];
            ids[j] = ids[j - 1];
            ids[j - 1] = t;
        }
}

static void route(dr_queue *q, int32_t *ids, float *g, const float *logits, const float *bias, const int32_t *fixed,
                  const int32_t *tokens, int64_t m, int32_t n_experts, int32_t k, float scale)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    assert(n_experts <= MAX_EXPERTS && k <= n_experts);
    for (int64_t i = 0; i < m; i++) {
        float s[MAX_EXPERTS], value[MAX_EXPERTS], sum = 0.0f;
        int32_t *row = ids + i * k;
        for (int e = 0; e < n_experts; e++)
            s[e] = sqrtf(dr_softplus__f32(logits[i * n_experts + e]));
        if (fixed) {
            for (int32_t j = 0; j < k; j++)
                row[j] = fixed[(int64_t)tokens[i] * k + j];
            sort_ids(row, k);
        } else {
            for (int e = 0; e < n_experts; e++)
                value[e] = s[e] + bias[e];
            select_experts(row, value, n_experts, k);
        }
        for (int32_t j = 0; j < k; j++)
            sum = sum + s[row[j]];
        for (int32_t j = 0; j < k; j++)
            g[i * k + j] = s[row[j]] / sum * scale;
    }
    dr_flush_denormals_restore(mode);
}

static void swiglu(dr_queue *q, float *y, const float *a, const float *u, const float *g, int64_t m, int64_t k, float limit)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++) {
            float gate = a[i * k + j], up = u[i * k + j];
            if (limit > 0.0f) { /* comparisons, not fminf: fminf would hide a NaN */
                gate = gate > limit ? limit : gate;
                up = up > limit ? limit : up < -limit ? -limit : up;
            }
            const float h = gate / (1.0f + dr_expf(-gate)) * up;
            y[i * k + j] = rounded(g ? h * g[i] : h);
        }
    dr_flush_denormals_restore(mode);
}

static void combine(dr_queue *q, float *y, const float *parts, const int32_t *place, const float *shared, int64_t m, int32_t k,
                    int64_t d)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++)
        for (int64_t c = 0; c < d; c++) {
            float sum = 0.0f;
            for (int32_t j = 0; j < k; j++)
                sum = sum + parts[place[i * k + j] * d + c];
            y[i * d + c] = rounded(shared ? sum + shared[i * d + c] : sum);
        }
    dr_flush_denormals_restore(mode);
}

static void add_streams(dr_queue *q, float *y, const float *a, const float *b, int64_t m, int64_t d, int32_t n_streams)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m * n_streams; i++)
        for (int64_t c = 0; c < d; c++)
            y[i * d + c] = rounded(a[i / n_streams * d + c] + b[i * d + c]);
    dr_flush_denormals_restore(mode);
}

void SLOT(table_moe)(dr_ops *ops)
{
    ops->route = route;
    ops->swiglu = swiglu;
    ops->combine = combine;
    ops->add_streams = add_streams;
}
