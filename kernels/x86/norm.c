/* Norms, a scaled rounding, rotary embedding, compressor pooling: one row at a time in vectors of 16; bound by reading and writing the rows. */
#include "kernels/queue.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/slots.h"

typedef struct norm_task {
    float *y;
    const float *x, *w;
    int64_t k;
    float eps;
} norm_task;

/* Lanes left at k. */
static inline int64_t lanes_at(int64_t i, int64_t k)
{
    return k - i < LANES ? k - i : LANES;
}

static void rms_norm_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const norm_task *t = arg;
    const int64_t k = t->k, whole = k / LANES * LANES;
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        const float *x = t->x + row * k;
        float *y = t->y + row * k;
        v16 sum = v_zero();
        for (int64_t i = 0; i < whole; i += LANES) {
            const v16 v = v_load(x + i);
            sum = v_fma(v, v, sum);
        }
        if (whole < k) {
            const v16 v = v_load_n(x + whole, k - whole);
            sum = v_fma(v, v, sum);
        }
        const v16 f = v_set(1.0f / sqrtf(v_fold(sum) / (float)k + t->eps));
        for (int64_t i = 0; i < whole; i += LANES)
            v_store(y + i, v_round_bf16(v_mul(v_load(t->w + i), v_mul(v_load(x + i), f))));
        if (whole < k) {
            const int64_t n = k - whole;
            v_store_n(y + whole, v_round_bf16(v_mul(v_load_n(t->w + whole, n), v_mul(v_load_n(x + whole, n), f))), n);
        }
    }
}

static void rms_norm(dr_queue *q, float *y, const float *x, const float *w, int64_t m, int64_t k, float eps)
{
    norm_task t = {y, x, w, k, eps};
    dr_queue__run(q, m, dr_slot__grain(m, m * k / 2), rms_norm_rows, &t);
}

typedef struct scale_task {
    float *x;
    float s;
} scale_task;

static void scale_values(void *arg, int64_t begin, int64_t end, int worker)
{
    const scale_task *t = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i += LANES)
        v_store_n(t->x + i, v_round_bf16(v_mul(v_load_n(t->x + i, lanes_at(i, end)), v_set(t->s))), lanes_at(i, end));
}

static void scale(dr_queue *q, float *x, int64_t n, float s)
{
    scale_task t = {x, s};
    dr_queue__run(q, n, dr_slot__grain(n, n / 2), scale_values, &t);
}

static void head_norm_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const norm_task *t = arg;
    const int64_t k = t->k;
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        float *x = t->y + row * k;
        v16 sum = v_zero();
        for (int64_t i = 0; i < k; i += LANES) {
            const v16 v = v_load_n(x + i, lanes_at(i, k));
            sum = v_add(sum, v_round_bf16(v_mul(v, v)));
        }
        const float mean = dr_bf16__value(dr_bf16__of(v_fold(sum) / (float)k));
        const float root = sqrtf(dr_bf16__value(dr_bf16__of(mean + t->eps)));
        const v16 f = v_set(dr_bf16__value(dr_bf16__of(1.0f / root)));
        for (int64_t i = 0; i < k; i += LANES)
            v_store_n(x + i, v_round_bf16(v_mul(v_load_n(x + i, lanes_at(i, k)), f)), lanes_at(i, k));
    }
}

static void head_norm(dr_queue *q, float *x, int64_t m, int64_t dim, float eps)
{
    norm_task t = {.y = x, .k = dim, .eps = eps};
    dr_queue__run(q, m, dr_slot__grain(m, m * dim / 2), head_norm_rows, &t);
}

typedef struct rope_task {
    float *x;
    const float *cos_sin;
    int32_t n_heads, dim, rope_dim;
    bool inverse;
} rope_task;

/* Eight pairs a vector. With c and s doubled into both lanes of a pair: (a, b) c -+ (b, a) s, the sign on the first lane:
 * a c - b s and b c + a s, each one product, one product, one sum as in ref (sums commute bit for bit). */
static void rope_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const rope_task *t = arg;
    static const uint32_t sign_of_first[LANES] = {1u << 31, 0, 1u << 31, 0, 1u << 31, 0, 1u << 31, 0,
                                                  1u << 31, 0, 1u << 31, 0, 1u << 31, 0, 1u << 31, 0};
    const w16 first = w_load(sign_of_first);
    const m16 is_first = w_equal(first, w_set(1u << 31));
    const w16 turn = t->inverse ? w_xor(first, w_set(1u << 31)) : first;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const float *angle = t->cos_sin + i * t->rope_dim;
        for (int64_t p = 0; p < t->rope_dim; p += LANES) {
            const int64_t n = lanes_at(p, t->rope_dim);
            const v16 cs = v_load_n(angle + p, n), sc = v_swap1(cs);
            const v16 c = v_select(is_first, cs, sc);
            const v16 s = w_value(w_xor(v_bits(v_select(is_first, sc, cs)), turn));
            float *x = t->x + i * t->n_heads * t->dim + (t->dim - t->rope_dim) + p;
            for (int64_t h = 0; h < t->n_heads; h++, x += t->dim) {
                const v16 v = v_load_n(x, n);
                v_store_n(x, v_round_bf16(v_add(v_mul(v, c), v_mul(v_swap1(v), s))), n);
            }
        }
    }
}

static void rope(dr_queue *q, float *x, const float *cos_sin, int64_t m, int32_t n_heads, int32_t dim, int32_t rope_dim,
                 bool inverse)
{
    rope_task t = {x, cos_sin, n_heads, dim, rope_dim, inverse};
    dr_queue__run(q, m, dr_slot__grain(m, m * n_heads * rope_dim), rope_rows, &t);
}

typedef struct pool_task {
    float *y;
    const float *k, *z;
    int32_t r, e;
    bool overlap;
} pool_task;

/* Lanes are channels. The slots of an entry: r rows from `first`, then (overlapping) r rows from `own`. */
static void pool_lanes(float *y, const pool_task *t, int64_t first, int64_t own, int64_t width, int64_t n)
{
    const int n_runs = t->overlap ? 2 : 1;
    const int64_t start[2] = {first, own};
    v16 max = v_load_n(t->z + first, n);
    for (int run = 0; run < n_runs; run++)
        for (int64_t s = 0; s < t->r; s++)
            max = v_max(v_load_n(t->z + start[run] + s * width, n), max);
    v16 sum = v_zero(), o = v_zero();
    for (int run = 0; run < n_runs; run++)
        for (int64_t s = 0; s < t->r; s++) {
            const int64_t at = start[run] + s * width;
            const v16 e = v_exp(v_sub(v_load_n(t->z + at, n), max));
            sum = v_add(sum, e);
            o = v_fma(e, v_load_n(t->k + at, n), o);
        }
    v_store_n(y, v_round_bf16(v_div(o, sum)), n);
}

static void pool_entries(void *arg, int64_t begin, int64_t end, int worker)
{
    const pool_task *t = arg;
    const int64_t width = t->overlap ? 2 * (int64_t)t->e : t->e;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int64_t c = 0; c < t->e; c += LANES)
            pool_lanes(t->y + i * t->e + c, t, i * t->r * width + c, (i + 1) * t->r * width + t->e + c, width, lanes_at(c, t->e));
}

static void pool(dr_queue *q, float *y, const float *k, const float *z, int64_t n, int32_t r, int32_t e, bool overlap)
{
    pool_task t = {y, k, z, r, e, overlap};
    dr_queue__run(q, n, dr_slot__grain(n, n * r * e * 2), pool_entries, &t);
}

void LEVEL(table_norm)(dr_ops *ops)
{
    ops->rms_norm = rms_norm;
    ops->head_norm = head_norm;
    ops->scale = scale;
    ops->rope = rope;
    ops->pool = pool;
}
