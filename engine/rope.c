#include "engine/rope.h"

#include <math.h>
#include <stdlib.h>

/* The frequency index at which a wave makes `turns` turns over the original context. */
static double place_of(const dr_config *c, double turns)
{
    const double two_pi = 6.283185307179586476925286766559;
    return c->rope_dim * log((double)c->original_context / (turns * two_pi)) / (2 * log(c->compress_rope_theta));
}

static void compress_frequencies(float *w, const dr_config *c)
{
    const int32_t n = c->rope_dim;
    const double low = fmax(floor(place_of(c, c->beta_fast)), 0);
    const double high = fmin(ceil(place_of(c, c->beta_slow)), n - 1);
    const double width = fmax(high - low, 0.001); /* the two borders may coincide in a small rope */

    for (int32_t i = 0; i < n / 2; i++) {
        const double plain = pow(c->compress_rope_theta, -2.0 * i / n);
        const double ramp = fmin(fmax((i - low) / width, 0), 1);
        w[i] = (float)(plain / c->rope_factor * ramp + plain * (1 - ramp));
    }
}

dr_status dr_rope__init(dr_rope *r, const dr_config *c, dr_error *err)
{
    const int32_t half = c->rope_dim / 2;

    *r = (dr_rope){.rope_dim = c->rope_dim};
    if (!(r->main = calloc((size_t)half * 2 + 1, sizeof *r->main)))
        return dr_fail(err, DR_ERR_NOMEM, "rope tables: out of memory");
    r->compress = r->main + half;
    for (int32_t i = 0; i < half; i++)
        r->main[i] = (float)pow(c->rope_theta, -2.0 * i / c->rope_dim);
    compress_frequencies(r->compress, c);
    return DR_OK;
}

void dr_rope__fini(dr_rope *r)
{
    free(r->main);
    *r = (dr_rope){0};
}

void dr_rope__angles(float *cos_sin, const dr_rope *r, bool compressed, int64_t first, int64_t step, int64_t n)
{
    const float *w = compressed ? r->compress : r->main;
    const int32_t half = r->rope_dim / 2;

    for (int64_t t = 0; t < n; t++) {
        const float pos = (float)(first + t * step);
        for (int32_t i = 0; i < half; i++) {
            const float angle = pos * w[i];
            *cos_sin++ = (float)cos((double)angle);
            *cos_sin++ = (float)sin((double)angle);
        }
    }
}
