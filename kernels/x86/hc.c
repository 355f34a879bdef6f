/* Hyper-connections. The mixing products run over one token's streams with lanes along the values (order R), several outputs
 * at once for the sake of the chains; everything after them has the lanes of 16 tokens side by side, since a token's few
 * mixing weights would leave most lanes empty. */
#include "kernels/queue.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/slots.h"

#include <assert.h>

enum { MAX_STREAMS = 8, MAX_MIX = (2 + MAX_STREAMS) * MAX_STREAMS };

#ifdef __AVX512F__
enum { OUTPUTS = 8 };
#else
enum { OUTPUTS = 4 };
#endif

typedef struct hc_task {
    float *x, *post, *comb;
    const float *X;
    const dr_hc *hc;
    int n_mix; /* without post and comb: the head */
} hc_task;

/* mix[o * LANES] for n_outputs rows of fn: R(fn . u) * f. */
INLINE void mix_outputs(float *mix, const float *fn, const float *u, int64_t n, float f, const int n_outputs)
{
    v16 sum[OUTPUTS];
    const int64_t whole = n / LANES * LANES;
    UNROLL
    for (int o = 0; o < n_outputs; o++)
        sum[o] = v_zero();
    for (int64_t i = 0; i < whole; i += LANES) {
        const v16 v = v_load(u + i);
        UNROLL
        for (int o = 0; o < n_outputs; o++)
            sum[o] = v_fma(v_load(fn + o * n + i), v, sum[o]);
    }
    if (whole < n) {
        const v16 v = v_load_n(u + whole, n - whole);
        UNROLL
        for (int o = 0; o < n_outputs; o++)
            sum[o] = v_fma(v_load_n(fn + o * n + whole, n - whole), v, sum[o]);
    }
    for (int o = 0; o < n_outputs; o++)
        mix[o * LANES] = v_fold(sum[o]) * f;
}

/* One token's logits into its lane. */
static void mix_token(float *mix, const float *u, const dr_hc *hc, int n_mix)
{
    const int64_t n = hc->n_streams * hc->d, whole = n / LANES * LANES;
    v16 square = v_zero();
    for (int64_t i = 0; i < whole; i += LANES) {
        const v16 v = v_load(u + i);
        square = v_fma(v, v, square);
    }
    if (whole < n) {
        const v16 v = v_load_n(u + whole, n - whole);
        square = v_fma(v, v, square);
    }
    const float f = 1.0f / sqrtf(v_fold(square) / (float)n + hc->norm_eps);
    int o = 0;
    for (; o + OUTPUTS <= n_mix; o += OUTPUTS)
        mix_outputs(mix + o * LANES, hc->fn + o * n, u, n, f, OUTPUTS);
    for (; o < n_mix; o++)
        mix_outputs(mix + o * LANES, hc->fn + o * n, u, n, f, 1);
}

/* c[j][k] of 16 tokens at once; the steps of ref. */
static void sinkhorn(v16 c[MAX_STREAMS * MAX_STREAMS], int n, int n_iters, float eps)
{
    const v16 e = v_set(eps);
    for (int j = 0; j < n; j++) {
        v16 max = c[j * n], sum = v_zero();
        for (int k = 1; k < n; k++)
            max = v_max(c[j * n + k], max);
        for (int k = 0; k < n; k++) {
            c[j * n + k] = v_exp(v_sub(c[j * n + k], max));
            sum = v_add(sum, c[j * n + k]);
        }
        for (int k = 0; k < n; k++)
            c[j * n + k] = v_add(v_div(c[j * n + k], sum), e);
    }
    for (int it = 0; it < n_iters; it++) {
        for (int j = 0; j < n && it > 0; j++) {
            v16 sum = v_zero();
            for (int k = 0; k < n; k++)
                sum = v_add(sum, c[j * n + k]);
            sum = v_add(sum, e);
            for (int k = 0; k < n; k++)
                c[j * n + k] = v_div(c[j * n + k], sum);
        }
        for (int k = 0; k < n; k++) {
            v16 sum = v_zero();
            for (int j = 0; j < n; j++)
                sum = v_add(sum, c[j * n + k]);
            sum = v_add(sum, e);
            for (int j = 0; j < n; j++)
                c[j * n + k] = v_div(c[j * n + k], sum);
        }
    }
}

/* x = rounded( sum_i pre[i] X[i] ), pre LANES apart. */
static void read_streams(float *x, const float *X, const float *pre, int n_streams, int64_t d)
{
    for (int64_t j = 0; j < d; j += LANES) {
        const int64_t n = d - j < LANES ? d - j : LANES;
        v16 sum = v_zero();
        for (int s = 0; s < n_streams; s++)
            sum = v_fma(v_set(pre[s * LANES]), v_load_n(X + s * d + j, n), sum);
        v_store_n(x + j, v_round_bf16(sum), n);
    }
}

/* At most 16 tokens from token i. */
static void hc_group(const hc_task *t, int64_t i, int n_tokens)
{
    const dr_hc *hc = t->hc;
    const int n = hc->n_streams;
    const int64_t size = n * hc->d;
    float mix[MAX_MIX * LANES] = {0}, pre[MAX_STREAMS * LANES];

    for (int lane = 0; lane < n_tokens; lane++)
        mix_token(mix + lane, t->X + (i + lane) * size, hc, t->n_mix);
    for (int s = 0; s < n; s++) {
        const v16 z = v_fma(v_set(hc->scale[0]), v_load(mix + s * LANES), v_set(hc->base[s]));
        v_store(pre + s * LANES, v_add(v_sigmoid(z), v_set(hc->hc_eps)));
    }
    for (int lane = 0; lane < n_tokens; lane++)
        read_streams(t->x + (i + lane) * hc->d, t->X + (i + lane) * size, pre + lane, n, hc->d);
    if (!t->post)
        return;

    float out[MAX_STREAMS * MAX_STREAMS * LANES];
    v16 c[MAX_STREAMS * MAX_STREAMS];
    for (int s = 0; s < n; s++) {
        const v16 z = v_fma(v_set(hc->scale[1]), v_load(mix + (n + s) * LANES), v_set(hc->base[n + s]));
        v_store(out + s * LANES, v_mul(v_set(2.0f), v_sigmoid(z)));
    }
    for (int lane = 0; lane < n_tokens; lane++)
        for (int s = 0; s < n; s++)
            t->post[(i + lane) * n + s] = out[s * LANES + lane];
    for (int s = 0; s < n * n; s++)
        c[s] = v_fma(v_set(hc->scale[2]), v_load(mix + (2 * n + s) * LANES), v_set(hc->base[2 * n + s]));
    sinkhorn(c, n, hc->sinkhorn_iters, hc->hc_eps);
    for (int s = 0; s < n * n; s++)
        v_store(out + s * LANES, c[s]);
    for (int lane = 0; lane < n_tokens; lane++)
        for (int s = 0; s < n * n; s++)
            t->comb[(i + lane) * n * n + s] = out[s * LANES + lane];
}

static void hc_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i += LANES)
        hc_group(arg, i, (int)(end - i < LANES ? end - i : LANES));
}

static void run_hc(dr_queue *q, hc_task *t, int64_t m)
{
    const int64_t n = t->hc->n_streams, work = m * (n * t->hc->d * (t->n_mix + n) / 8 + 256);
    const int64_t grain = dr_slot__grain(m, work);
    assert(n >= 1 && n <= MAX_STREAMS);
    /* Whole groups of 16, or the lanes after the products are wasted. */
    dr_queue__run(q, m, (grain + LANES - 1) / LANES * LANES, hc_rows, t);
}

static void hc_pre(dr_queue *q, float *x, float *post, float *comb, const float *X, const dr_hc *hc, int64_t m)
{
    hc_task t = {x, post, comb, X, hc, (2 + hc->n_streams) * hc->n_streams};
    run_hc(q, &t, m);
}

static void hc_head(dr_queue *q, float *x, const float *X, const dr_hc *hc, int64_t m)
{
    hc_task t = {.x = x, .X = X, .hc = hc, .n_mix = hc->n_streams};
    run_hc(q, &t, m);
}

typedef struct post_task {
    float *X;
    const float *y, *post, *comb;
    int64_t d;
    int32_t n_streams;
} post_task;

/* n is a constant where this is inlined for the common counts. */
INLINE void post_token(float *X, const float *y, const float *post, const float *comb, int64_t d, const int n)
{
    for (int64_t j = 0; j < d; j += LANES) {
        const int64_t lanes = d - j < LANES ? d - j : LANES;
        const v16 out = v_load_n(y + j, lanes);
        v16 old[MAX_STREAMS];
        for (int s = 0; s < n; s++)
            old[s] = v_load_n(X + s * d + j, lanes);
        for (int k = 0; k < n; k++) {
            v16 sum = v_mul(v_set(post[k]), out);
            for (int s = 0; s < n; s++)
                sum = v_fma(v_set(comb[s * n + k]), old[s], sum);
            v_store_n(X + k * d + j, v_round_bf16(sum), lanes);
        }
    }
}

static void post_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const post_task *t = arg;
    const int n = t->n_streams;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *X = t->X + i * n * t->d;
        const float *y = t->y + i * t->d, *post = t->post + i * n, *comb = t->comb + i * n * n;
        if (n == 2)
            post_token(X, y, post, comb, t->d, 2);
        else if (n == 4)
            post_token(X, y, post, comb, t->d, 4);
        else
            post_token(X, y, post, comb, t->d, n);
    }
}

static void hc_post(dr_queue *q, float *X, const float *y, const float *post, const float *comb, int64_t m, int64_t d,
                    int32_t n_streams)
{
    post_task t = {X, y, post, comb, d, n_streams};
    dr_queue__run(q, m, dr_slot__grain(m, m * d * n_streams), post_rows, &t);
}

void LEVEL(table_hc)(dr_ops *ops)
{
    ops->hc_pre = hc_pre;
    ops->hc_post = hc_post;
    ops->hc_head = hc_head;
}
