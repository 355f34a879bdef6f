/* engine/rope.h: the two tables of rotary frequencies and the angles made from them (spec 3.5).
 *
 *   main      w_i = theta^(-2i/rope_dim)
 *   compress  w_i = compress_theta^(-2i/rope_dim), blended YaRN-style between w_i and w_i / factor; no amplitude factor
 *
 * Frequencies are computed in double and rounded to f32 once. An angle is the f32 product (float)pos * w_i; its cosine
 * and sine are computed in double and rounded to f32, so they do not depend on the C library's float functions.
 * Immutable once made. */
#ifndef DR_ENGINE_ROPE_H
#define DR_ENGINE_ROPE_H

#include "engine/config.h"

typedef struct dr_rope {
    int32_t rope_dim;
    float *main;     /* [rope_dim / 2] */
    float *compress; /* [rope_dim / 2] */
} dr_rope;

dr_status dr_rope__init(dr_rope *r, const dr_config *c, dr_error *err);
void dr_rope__fini(dr_rope *r);

/* cos_sin f32 [n][rope_dim / 2][2] for positions first, first + step, ... */
void dr_rope__angles(float *cos_sin, const dr_rope *r, bool compressed, int64_t first, int64_t step, int64_t n);

#endif
