/* Hyper-connections: mixing weights, read, write, head (spec 3.2, 3.3, 3.11). */
#include "kernels/elementary.h"
#include "kernels/ref/mode.h"

#include <assert.h>
#include <math.h>

enum { MAX_STREAMS = 8, MAX_MIX = (2 + MAX_STREAMS) * MAX_STREAMS };

/* mix[o] = (fn[o] . u) / sqrt(mean(u^2) + eps), u all streams of one token; reduction R for every sum. */
static void mix_logits(float *mix, const float *u, const dr_hc *hc, int n_mix)
{
    const int64_t n = hc->n_streams * hc->d;
    float lane[16] = {0};
    for (int64_t j = 0; j < n; j++)
        lane[j % 16] = fmaf(u[j], u[j], lane[j % 16]);
    const float f = 1.0f / sqrtf(fold16(lane) / (float)n + hc->norm_eps);
    for (int o = 0; o < n_mix; o++) {
        const float *row = hc->fn + o * n;
        float sum[16] = {0};
        for (int64_t j = 0; j < n; j++)
            sum[j % 16] = fmaf(row[j], u[j], sum[j % 16]);
        mix[o] = fold16(sum) * f;
    }
}

/* C [S][S] from logits A, in place: softmax of rows plus eps, then columns and rows in turn, a column step last. */
static void sinkhorn(float *c, int n, int n_iters, float eps)
{
    for (int j = 0; j < n; j++) {
        float max = c[j * n], sum = 0.0f;
        for (int k = 1; k < n; k++)
            max = c[j * n + k] > max ? c[j * n + k] : max;
        for (int k = 0; k < n; k++) {
            c[j * n + k] = dr_expf(c[j * n + k] - max);
            sum = sum + c[j * n + k];
        }
        for (int k = 0; k < n; k++)
            c[j * n + k] = c[j * n + k] / sum + eps;
    }
    for (int it = 0; it < n_iters; it++) {
        for (int j = 0; j < n && it > 0; j++) {
            float sum = 0.0f;
            for (int k = 0; k < n; k++)
                sum = sum + c[j * n + k];
            for (int k = 0; k < n; k++)
                c[j * n + k] = c[j * n + k] / (sum + eps);
        }
        for (int k = 0; k < n; k++) {
            float sum = 0.0f;
            for (int j = 0; j < n; j++)
                sum = sum + c[j * n + k];
            for (int j = 0; j < n; j++)
                c[j * n + k] = c[j * n + k] / (sum + eps);
        }
    }
}

/* x = rounded( sum_i pre[i] X[i] ) */
static void read_streams(float *x, const float *X, const float *pre, int n_streams, int64_t d)
{
    for (int64_t j = 0; j < d; j++) {
        float sum = 0.0f;
        for (int i = 0; i < n_streams; i++)
            sum = fmaf(pre[i], X[i * d + j], sum);
        x[j] = rounded(sum);
    }
}

static void hc_pre(dr_queue *q, float *x, float *post, float *comb, const float *X, const dr_hc *hc, int64_t m)
{
    const int n = hc->n_streams;
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    assert(n >= 1 && n <= MAX_STREAMS);
    for (int64_t i = 0; i < m; i++) {
        const float *u = X + i * n * hc->d;
        float mix[MAX_MIX], pre[MAX_STREAMS];
        mix_logits(mix, u, hc, (2 + n) * n);
        for (int s = 0; s < n; s++) {
            pre[s] = dr_sigmoid__f32(fmaf(hc->scale[0], mix[s], hc->base[s])) + hc->hc_eps;
            post[i * n + s] = 2.0f * dr_sigmoid__f32(fmaf(hc->scale[1], mix[n + s], hc->base[n + s]));
        }
        float *c = comb + i * n * n;
        for (int s = 0; s < n * n; s++)
            c[s] = fmaf(hc->scale[2], mix[2 * n + s], hc->base[2 * n + s]);
        sinkhorn(c, n, hc->sinkhorn_iters, hc->hc_eps);
        read_streams(x + i * hc->d, u, pre, n, hc->d);
    }
    dr_flush_denormals_restore(mode);
}

static void hc_post(dr_queue *q, float *X, const float *y, const float *post, const float *comb, int64_t m, int64_t d,
                    int32_t n_streams)
{
    const int n = n_streams;
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        float *streams = X + i * n * d;
        const float *c = comb + i * n * n;
        for (int64_t j = 0; j < d; j++) {
            float old[MAX_STREAMS];
            for (int s = 0; s < n; s++)
                old[s] = streams[s * d + j];
            for (int k = 0; k < n; k++) {
                float sum = post[i * n + k] * y[i * d + j];
                for (int s = 0; s < n; s++)
                    sum = fmaf(c[s * n + k], old[s], sum);
                streams[k * d + j] = rounded(sum);
            }
        }
    }
    dr_flush_denormals_restore(mode);
}

static void hc_head(dr_queue *q, float *x, const float *X, const dr_hc *hc, int64_t m)
{
    const int n = hc->n_streams;
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const float *u = X + i * n * hc->d;
        float mix[MAX_STREAMS], pre[MAX_STREAMS];
        mix_logits(mix, u, hc, n);
        for (int s = 0; s < n; s++)
            pre[s] = dr_sigmoid__f32(fmaf(hc->scale[0], mix[s], hc->base[s])) + hc->hc_eps;
        read_streams(x + i * hc->d, u, pre, n, hc->d);
    }
    dr_flush_denormals_restore(mode);
}

void SLOT(table_hc)(dr_ops *ops)
{
    ops->hc_pre = hc_pre;
    ops->hc_post = hc_post;
    ops->hc_head = hc_head;
}
