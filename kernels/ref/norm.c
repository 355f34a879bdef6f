/* Norms, a scaled rounding, rotary embedding, compressor pooling. */
#include "kernels/ref/mode.h"

#include <math.h>

/* Reduction R of x^2. */
static float sum_of_squares(const float *x, int64_t k)
{
    float lane[16] = {0};
    for (int64_t j = 0; j < k; j++)
        lane[j % 16] = fmaf(x[j], x[j], lane[j % 16]);
    return fold16(lane);
}

static void rms_norm(dr_queue *q, float *y, const float *x, const float *w, int64_t m, int64_t k, float eps)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const float *row = x + i * k;
        const float f = 1.0f / sqrtf(sum_of_squares(row, k) / (float)k + eps);
        for (int64_t j = 0; j < k; j++)
            y[i * k + j] = rounded(w[j] * (row[j] * f));
    }
    dr_flush_denormals_restore(mode);
}

static void scale(dr_queue *q, float *x, int64_t n, float s)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < n; i++)
        x[i] = rounded(x[i] * s);
    dr_flush_denormals_restore(mode);
}

static void head_norm(dr_queue *q, float *x, int64_t m, int64_t dim, float eps)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        float *row = x + i * dim;
        float lane[16] = {0};
        for (int64_t j = 0; j < dim; j++)
            lane[j % 16] = lane[j % 16] + rounded(row[j] * row[j]);
        const float mean = rounded(fold16(lane) / (float)dim);
        const float f = rounded(1.0f / sqrtf(rounded(mean + eps)));
        for (int64_t j = 0; j < dim; j++)
            row[j] = rounded(row[j] * f);
    }
    dr_flush_denormals_restore(mode);
}

static void rope(dr_queue *q, float *x, const float *cos_sin, int64_t m, int32_t n_heads, int32_t dim, int32_t rope_dim,
                 bool inverse)
{
    const uint32_t mode = dr_flush_denormals();
    (void)q;
    for (int64_t i = 0; i < m; i++) {
        const float *angle = cos_sin + i * rope_dim;
        for (int64_t h = 0; h < n_heads; h++) {
            float *v = x + (i * n_heads + h) * dim + (dim - rope_dim);
            for (int64_t p = 0; p < rope_dim; p += 2) {
                const float a = v[p], b = v[p + 1], c = angle[p], s = inverse ? -angle[p + 1] : angle[p + 1];
                v[p] = rounded(a * c - b * s);
                v[p + 1] = rounded(a * s + b * c);
            }
        }
    }
    dr_flush_denormals_restore(mode);
}

/* One channel of one entry: n_slots values at k[slot * stride], scores at z, from two runs of r slots each when overlapping. */
static float pool_channel(const float *const k[2], const float *const z[2], int n_runs, int32_t r, int64_t stride)
{
    float max = z[0][0];
    for (int run = 0; run < n_runs; run++)
        for (int64_t s = 0; s < r; s++)
            max = z[run][s * stride] > max ? z[run][s * stride] : max;
    float sum = 0.0f, o = 0.0f;
    for (int run = 0; run < n_runs; run++)
        for (int64_t s = 0; s < r; s++) {
            const float e = dr_expf(z[run][s * stride] - max);
            sum = sum + e;
            o = fmaf(e, k[run][s * stride], o);
        }
    return o / sum;
}

static void pool(dr_queue *q, float *y, const float *k, const float *z, int64_t n, int32_t r, int32_t e, bool overlap)
{
    const uint32_t mode = dr_flush_denormals();
    const int64_t width = overlap ? 2 * (int64_t)e : e;
    (void)q;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < e; c++) {
            const int64_t own = overlap ? (i + 1) * r * width + e + c : 0;
            const int64_t first = i * r * width + c;
            const float *const kk[2] = {k + first, k + own}, *const zz[2] = {z + first, z + own};
            y[i * e + c] = rounded(pool_channel(kk, zz, overlap ? 2 : 1, r, width));
        }
    dr_flush_denormals_restore(mode);
}

void SLOT(table_norm)(dr_ops *ops)
{
    ops->rms_norm = rms_norm;
    ops->head_norm = head_norm;
    ops->scale = scale;
    ops->rope = rope;
    ops->pool = pool;
}
