/* Router, gated activation, sum of the experts' parts, MTP input: elementwise, bound by reading and writing the rows. */
#include "kernels/queue.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/slots.h"

#include <assert.h>

enum { MAX_EXPERTS = 4096 };

INLINE int64_t lanes_at(int64_t i, int64_t n)
{
    return n - i < LANES ? n - i : LANES;
}

typedef struct route_task {
    int32_t *ids;
    float *g;
    const float *logits, *bias;
    const int32_t *fixed, *tokens;
    int32_t n_experts, k;
    float scale;
} route_task;

/* The k largest, ties to the lower id, ids ascending. No value is NaN. */
static void select_experts(int32_t *ids, const float *value, int32_t n, int32_t k)
{
    uint8_t taken[MAX_EXPERTS];
    memset(taken, 0, (size_t)n);
    for (int32_t j = 0; j < k; j++) {
        int32_t best = -1;
        for (int32_t e = 0; e < n; e++)
            if (!taken[e] && (best < 0 || value[e] > value[best]))
                best = e;
        taken[best] = 1;
    }
    for (int32_t e = 0; e < n; e++)
        if (taken[e])
            *ids++ = e;
}

static void fixed_experts(int32_t *ids, const int32_t *fixed, int32_t k)
{
    for (int32_t i = 0; i < k; i++) {
        int32_t j = i;
        for (; j > 0 && ids[j - 1] > fixed[i]; j--)
            ids[j] = ids[j - 1];
        ids[j] = fixed[i];
    }
}

static void route_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const route_task *t = arg;
    const int32_t n = t->n_experts, k = t->k;
    float s[MAX_EXPERTS], value[MAX_EXPERTS];
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int32_t *ids = t->ids + i * k;
        float sum = 0.0f;
        for (int32_t e = 0; e < n; e += LANES) {
            const int64_t lanes = lanes_at(e, n);
            const v16 v = v_sqrt(v_softplus(v_load_n(t->logits + i * n + e, lanes)));
            v_store_n(s + e, v, lanes);
            if (!t->fixed) {
                const v16 biased = v_add(v, v_load_n(t->bias + e, lanes));
                v_store_n(value + e, v_select(v_is_nan(biased), v_set(-INFINITY), biased), lanes);
            }
        }
        if (t->fixed)
            fixed_experts(ids, t->fixed + (int64_t)t->tokens[i] * k, k);
        else
            select_experts(ids, value, n, k);
        for (int32_t j = 0; j < k; j++)
            sum = sum + s[ids[j]];
        for (int32_t j = 0; j < k; j++)
            t->g[i * k + j] = s[ids[j]] / sum * t->scale;
    }
}

static void route(dr_queue *q, int32_t *ids, float *g, const float *logits, const float *bias, const int32_t *fixed,
                  const int32_t *tokens, int64_t m, int32_t n_experts, int32_t k, float scale)
{
    route_task t = {ids, g, logits, bias, fixed, tokens, n_experts, k, scale};
    assert(n_experts <= MAX_EXPERTS && k <= n_experts);
    dr_queue__run(q, m, dr_slot__grain(m, m * n_experts * (k + 4)), route_rows, &t);
}

typedef struct swiglu_task {
    float *y;
    const float *a, *u, *g;
    int64_t k;
    float limit;
} swiglu_task;

static void swiglu_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const swiglu_task *t = arg;
    const v16 limit = v_set(t->limit), lowest = v_set(-t->limit);
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < t->k; j += LANES) {
            const int64_t at = i * t->k + j, lanes = lanes_at(j, t->k);
            v16 gate = v_load_n(t->a + at, lanes), up = v_load_n(t->u + at, lanes);
            if (t->limit > 0.0f) { /* the value second: a NaN stays */
                gate = v_min(limit, gate);
                up = v_max(lowest, v_min(limit, up));
            }
            const v16 negative = w_value(w_xor(v_bits(gate), w_set(0x80000000u)));
            v16 h = v_mul(v_div(gate, v_add(v_set(1.0f), v_exp(negative))), up);
            if (t->g)
                h = v_mul(h, v_set(t->g[i]));
            v_store_n(t->y + at, v_round_bf16(h), lanes);
        }
}

static void swiglu(dr_queue *q, float *y, const float *a, const float *u, const float *g, int64_t m, int64_t k, float limit)
{
    swiglu_task t = {y, a, u, g, k, limit};
    dr_queue__run(q, m, dr_slot__grain(m, m * k), swiglu_rows, &t);
}

typedef struct combine_task {
    float *y;
    const float *parts, *shared;
    const int32_t *place;
    int32_t k;
    int64_t d;
} combine_task;

static void combine_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const combine_task *t = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t c = 0; c < t->d; c += LANES) {
            const int64_t lanes = lanes_at(c, t->d);
            v16 sum = v_zero();
            for (int32_t j = 0; j < t->k; j++)
                sum = v_add(sum, v_load_n(t->parts + t->place[i * t->k + j] * t->d + c, lanes));
            if (t->shared)
                sum = v_add(sum, v_load_n(t->shared + i * t->d + c, lanes));
            v_store_n(t->y + i * t->d + c, v_round_bf16(sum), lanes);
        }
}

static void combine(dr_queue *q, float *y, const float *parts, const int32_t *place, const float *shared, int64_t m, int32_t k,
                    int64_t d)
{
    combine_task t = {y, parts, shared, place, k, d};
    dr_queue__run(q, m, dr_slot__grain(m, m * d * (k + 2) / 4), combine_rows, &t);
}

typedef struct add_task {
    float *y;
    const float *a, *b;
    int64_t d;
    int32_t n_streams;
} add_task;

static void add_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const add_task *t = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t c = 0; c < t->d; c += LANES) {
            const int64_t lanes = lanes_at(c, t->d);
            const v16 a = v_load_n(t->a + i / t->n_streams * t->d + c, lanes), b = v_load_n(t->b + i * t->d + c, lanes);
            v_store_n(t->y + i * t->d + c, v_round_bf16(v_add(a, b)), lanes);
        }
}

static void add_streams(dr_queue *q, float *y, const float *a, const float *b, int64_t m, int64_t d, int32_t n_streams)
{
    add_task t = {y, a, b, d, n_streams};
    dr_queue__run(q, m * n_streams, dr_slot__grain(m * n_streams, m * n_streams * d / 2), add_rows, &t);
}

void LEVEL(table_moe)(dr_ops *ops)
{
    ops->route = route;
    ops->swiglu = swiglu;
    ops->combine = combine;
    ops->add_streams = add_streams;
}
