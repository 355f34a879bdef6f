/* Every slot of every level this machine has against ref, bit for bit: a grid of shapes and fills, guard bytes around every
 * output, one thread and two. A failure prints level, slot, seed, shape and the first bad place. */
#include "kernels/formats.h"
#include "kernels/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef enum fill { FILL_RANDOM, FILL_EXTREME, FILL_TIES, FILL_DENORMAL, FILL_NAN, N_FILLS } fill;
static const char *const fill_names[N_FILLS] = {"random", "extreme", "ties", "denormal", "nan"};

static dr_queue *queue; /* of the run under way */
static dr_ops ref, tested;
static const dr_ops *const level = &tested;
static uint64_t seed, state_of_random;
static char context[256];
static fill filled; /* how the case under way was */
static int64_t n_compared; /* values and bytes, for the report */
static uint64_t digest;    /* of all that ref computed */

/* What ref computes on this grid, whichever compiler built it. Another value means that the canonical order has changed: then
 * cached prefixes of earlier builds must not be used (the engine's numerics id) and docs/numerics.md must say so. A change of
 * the grid changes it too. */
static const uint64_t DIGEST_OF_REF = 0x2c6501a96e6c6d64u;

static void add_to_digest(uint32_t bits)
{
    digest = (digest ^ bits) * 0x100000001b3u;
    digest ^= digest >> 29;
}

static uint32_t random32(void)
{
    state_of_random = state_of_random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state_of_random >> 32);
}

static int64_t random_below(int64_t n)
{
    return (int64_t)(random32() % (uint64_t)n);
}

static float random_value(fill how)
{
    static const float ties[12] = {0.0f, -0.0f, 0.25f, 0.75f, 1.25f, -1.75f, 2.5f, 3.5f, 5.0f, 17.0f, 1.0f + 0x1p-8f, -1.0f - 0x1p-8f};
    const uint32_t u = random32();
    const float unit = (float)(int32_t)u * 0x1p-31f;
    switch (how) {
    case FILL_EXTREME: /* sixty binades each way */
        return unit * dr_f32__exp2i((int)(random32() % 121u) - 60);
    case FILL_TIES:
        return ties[u % 12u] * dr_f32__exp2i((int)(u >> 8) % 3);
    case FILL_DENORMAL:
        return u % 3u == 0 ? dr_f32__of_bits((u & 0x80000000u) | (u >> 9 & 0x7fffffu)) : unit * 0x1p-64f;
    case FILL_NAN:
        return u % 97u == 0 ? NAN : unit;
    default:
        return unit * 3.0f;
    }
}

/* A buffer with guards on both sides; size 0 is allowed. */
typedef struct guarded {
    uint8_t *bytes;
    size_t size;
} guarded;

enum { GUARD = 256, GUARD_BYTE = 0xa5 };

static guarded guarded_new(size_t size)
{
    guarded g = {NULL, size};
    uint8_t *base = aligned_alloc(64, (GUARD + size + GUARD + 63) / 64 * 64);
    assert_non_null(base);
    memset(base, GUARD_BYTE, GUARD + size + GUARD);
    g.bytes = base + GUARD;
    return g;
}

static void guarded_free(guarded *g)
{
    free(g->bytes - GUARD);
}

static void guarded_check(const guarded *g, const char *what)
{
    for (size_t i = 0; i < GUARD; i++) {
        if (g->bytes[-1 - (ptrdiff_t)i] != GUARD_BYTE)
            fail_msg("%s: %s: wrote %zu bytes before the start", context, what, i + 1);
        if (g->bytes[g->size + i] != GUARD_BYTE)
            fail_msg("%s: %s: wrote %zu bytes past the end", context, what, i + 1);
    }
}

static float *floats(int64_t n, fill how)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = random_value(how);
    return x;
}

static float *rounded_floats(int64_t n, fill how)
{
    float *x = floats(n, how);
    for (int64_t i = 0; i < n; i++)
        x[i] = dr_round_bf16(x[i]);
    return x;
}

static uint16_t *operands(int64_t n, fill how)
{
    uint16_t *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = dr_bf16__of(random_value(how));
    return x;
}

static void compare_floats(const guarded *got, const guarded *want, const char *what)
{
    const float *a = (const float *)(const void *)got->bytes, *b = (const float *)(const void *)want->bytes;
    guarded_check(got, what);
    n_compared += (int64_t)(want->size / sizeof(float));
    for (size_t i = 0; i < want->size / sizeof(float); i++) {
        add_to_digest(b[i] != b[i] ? 0x7fc00000u : dr_f32__bits(b[i]));
        if (dr_f32__bits(a[i]) != dr_f32__bits(b[i]) && !(a[i] != a[i] && b[i] != b[i]))
            fail_msg("%s: %s[%zu] is %a (%08x), ref has %a (%08x)", context, what, i, (double)a[i], dr_f32__bits(a[i]), (double)b[i],
                     dr_f32__bits(b[i]));
    }
}

static void compare_operands(const guarded *got, const guarded *want, const char *what)
{
    const uint16_t *a = (const uint16_t *)(const void *)got->bytes, *b = (const uint16_t *)(const void *)want->bytes;
    guarded_check(got, what);
    n_compared += (int64_t)(want->size / 2);
    for (size_t i = 0; i < want->size / 2; i++) {
        const float x = dr_bf16__value(a[i]), y = dr_bf16__value(b[i]);
        add_to_digest(y != y ? 0x7fc0u : b[i]);
        if (a[i] != b[i] && !(x != x && y != y))
            fail_msg("%s: %s[%zu] is %a, ref has %a", context, what, i, (double)x, (double)y);
    }
}

static void compare_bytes(const guarded *got, const guarded *want, const char *what)
{
    guarded_check(got, what);
    n_compared += (int64_t)want->size;
    for (size_t i = 0; i < want->size; i++) {
        if (filled != FILL_NAN) /* a NaN's sign and payload are in here */
            add_to_digest(want->bytes[i]);
        if (got->bytes[i] != want->bytes[i])
            fail_msg("%s: %s[%zu] is %02x, ref has %02x", context, what, i, got->bytes[i], want->bytes[i]);
    }
}

/* An output of the level and the same of ref. */
typedef struct output {
    guarded got, want;
} output;

static output output_new(size_t size)
{
    return (output){guarded_new(size), guarded_new(size)};
}

static void output_free(output *o)
{
    guarded_free(&o->got);
    guarded_free(&o->want);
}

static void begin(const char *slot, fill how, const char *fmt, ...) DR_PRINTF(3, 4);
static void begin(const char *slot, fill how, const char *fmt, ...)
{
    va_list args;
    int n;
    state_of_random = ++seed;
    filled = how;
    n = snprintf(context, sizeof context, "%s %s, %s, seed %llu, ", level->name, slot, fill_names[how], (unsigned long long)seed);
    va_start(args, fmt);
    vsnprintf(context + n, sizeof context - (size_t)n, fmt, args);
    va_end(args);
}

static void check_gemm(fill how, int64_t m, int64_t n, int64_t k, bool gather, bool round_out)
{
    begin("gemm", how, "m %lld, n %lld, k %lld, gather %d, round %d", (long long)m, (long long)n, (long long)k, gather, round_out);
    const int64_t n_rows = gather ? 2 * m + 1 : m, stride = n + 3;
    uint16_t *x = operands(n_rows * k, how), *weights = operands(n * k, how == FILL_NAN ? FILL_RANDOM : how);
    int32_t *rows = malloc((size_t)(m + 1) * sizeof *rows);
    void *packed = aligned_alloc(64, ref.pack_bytes(n, k) + 64);
    const dr_weight w = {.dtype = DR_BF16, .data = weights, .n = n, .k = k};
    output y = output_new((size_t)(m * stride) * sizeof(float)), y2 = output_new((size_t)(m * stride) * sizeof(float));
    for (int64_t i = 0; i < m; i++)
        rows[i] = (int32_t)random_below(n_rows);
    assert_int_equal(ref.pack(queue, packed, &w, NULL), DR_OK);
    const dr_matrix matrix = {packed, n, k};
    for (int side = 0; side < 2; side++) { /* two jobs that share x, and an empty one between them */
        const dr_gemm job = {.y = (float *)(void *)(side ? y.want.bytes : y.got.bytes), .y_stride = stride, .x = x,
                             .rows = gather ? rows : NULL, .w = &matrix, .m = m, .round_out = round_out};
        dr_gemm jobs[3] = {job, job, job};
        jobs[1].m = 0;
        jobs[2].y = (float *)(void *)(side ? y2.want.bytes : y2.got.bytes);
        jobs[2].round_out = !round_out;
        (side ? &ref : level)->gemm(queue, jobs, 3);
    }
    compare_floats(&y.got, &y.want, "y");
    compare_floats(&y2.got, &y2.want, "y of the second job");
    output_free(&y);
    output_free(&y2);
    free(packed);
    free(rows);
    free(weights);
    free(x);
}

/* Every dtype; `spoil` puts in what BF16 cannot hold, and both must say so in the same words. */
static void check_pack(int64_t n, int64_t k, dr_dtype dtype, bool spoil)
{
    begin("pack", FILL_RANDOM, "n %lld, k %lld, dtype %d, spoilt %d", (long long)n, (long long)k, dtype, spoil);
    const int64_t scale_cols = dtype == DR_FP4 ? 32 : 128, scale_rows = dtype == DR_FP4 ? 1 : 128;
    const int64_t n_scales = (n + scale_rows - 1) / scale_rows * ((k + scale_cols - 1) / scale_cols);
    const size_t bytes = (size_t)(n * k) * (dtype == DR_F32 ? 4 : dtype == DR_BF16 ? 2 : 1) / (dtype == DR_FP4 ? 2 : 1);
    uint8_t *data = malloc(bytes + 1), *scale = malloc((size_t)n_scales + 1);
    output packed = output_new(ref.pack_bytes(n, k));
    dr_error got = {0}, want = {0};
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)random32();
    for (size_t i = 0; i < bytes && dtype == DR_F8_E4M3; i++)
        data[i] = (data[i] & 0x7fu) == 0x7fu ? 0x80 : data[i]; /* no NaN */
    for (size_t i = 0; i < bytes / 4 && dtype == DR_F32; i++) {
        const float v = dr_round_bf16(random_value(FILL_EXTREME));
        memcpy(data + i * 4, &v, 4);
    }
    for (int64_t i = 0; i < n_scales; i++) /* 0 and 1: a denormal for small codes, held for large ones */
        scale[i] = (uint8_t)(i % 9 == 8 && dtype == DR_F8_E4M3 && spoil ? random_below(2) : 100 + random_below(50));
    if (spoil && bytes > 0 && dtype == DR_F32)
        data[(size_t)random_below((int64_t)bytes / 4) * 4] = 1;
    if (spoil && n_scales > 0 && dtype != DR_F32)
        scale[random_below(n_scales)] = (uint8_t)(random32() % 2 ? 255 : 0);
    const dr_weight w = {dtype, data, dtype == DR_F32 || dtype == DR_BF16 ? NULL : scale, n, k, scale_rows, scale_cols};
    const dr_status a = level->pack(queue, packed.got.bytes, &w, &got), b = ref.pack(queue, packed.want.bytes, &w, &want);
    assert_int_equal(a, b);
    assert_string_equal(got.msg, want.msg);
    if (b == DR_OK)
        compare_operands(&packed.got, &packed.want, "packed");
    output_free(&packed);
    free(data);
    free(scale);
}

static void check_packs(void)
{
    static const dr_dtype dtypes[] = {DR_F32, DR_BF16, DR_F8_E4M3, DR_FP4};
    static const int64_t ns[] = {0, 1, 16, 24, 130}, ks[] = {32, 160, 256};
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++)
        for (size_t i = 0; i < sizeof ns / sizeof ns[0]; i++)
            for (size_t j = 0; j < sizeof ks / sizeof ks[0]; j++)
                for (int spoil = 0; spoil < (dtypes[d] == DR_BF16 ? 1 : 4); spoil++)
                    check_pack(ns[i], ks[j], dtypes[d], spoil > 0);
}

static void check_to_operand(fill how, int64_t m, int64_t k, dr_quant quant)
{
    begin("to_operand", how, "m %lld, k %lld, quant %d", (long long)m, (long long)k, quant);
    float *x = floats(m * k, how);
    output y = output_new((size_t)(m * k) * 2);
    level->to_operand(queue, y.got.bytes, x, m, k, quant);
    ref.to_operand(queue, y.want.bytes, x, m, k, quant);
    compare_operands(&y.got, &y.want, "y");
    output_free(&y);
    free(x);
}

static void check_embed(int64_t m, int64_t d, int32_t n_streams)
{
    begin("embed", FILL_RANDOM, "m %lld, d %lld, streams %d", (long long)m, (long long)d, n_streams);
    uint16_t *table = operands(50 * d, FILL_RANDOM);
    int32_t ids[200];
    output X = output_new((size_t)(m * n_streams * d) * sizeof(float));
    for (int64_t i = 0; i < m; i++)
        ids[i] = (int32_t)random_below(50);
    level->embed(queue, (float *)(void *)X.got.bytes, table, ids, m, d, n_streams);
    ref.embed(queue, (float *)(void *)X.want.bytes, table, ids, m, d, n_streams);
    compare_floats(&X.got, &X.want, "X");
    output_free(&X);
    free(table);
}

static void check_norms(fill how, int64_t m, int64_t k)
{
    begin("rms_norm, head_norm, scale", how, "m %lld, k %lld", (long long)m, (long long)k);
    float *x = rounded_floats(m * k, how), *w = floats(k, FILL_RANDOM);
    output y = output_new((size_t)(m * k) * sizeof(float));
    for (int in_place = 0; in_place < 2; in_place++) {
        float *got = (float *)(void *)y.got.bytes;
        if (in_place)
            memcpy(got, x, y.got.size);
        level->rms_norm(queue, got, in_place ? got : x, w, m, k, 1e-6f);
        ref.rms_norm(queue, (float *)(void *)y.want.bytes, x, w, m, k, 1e-6f);
        compare_floats(&y.got, &y.want, "rms_norm");
    }
    memcpy(y.got.bytes, x, y.got.size);
    memcpy(y.want.bytes, x, y.got.size);
    level->head_norm(queue, (float *)(void *)y.got.bytes, m, k, 1e-6f);
    ref.head_norm(queue, (float *)(void *)y.want.bytes, m, k, 1e-6f);
    compare_floats(&y.got, &y.want, "head_norm");
    level->scale(queue, (float *)(void *)y.got.bytes, m * k, 0.011048543f);
    ref.scale(queue, (float *)(void *)y.want.bytes, m * k, 0.011048543f);
    compare_floats(&y.got, &y.want, "scale");
    output_free(&y);
    free(x);
    free(w);
}

static void check_rope(fill how, int64_t m, int32_t n_heads, int32_t dim, int32_t rope_dim)
{
    begin("rope", how, "m %lld, heads %d, dim %d, rope %d", (long long)m, n_heads, dim, rope_dim);
    const size_t bytes = (size_t)(m * n_heads * dim) * sizeof(float);
    float *x = rounded_floats(m * n_heads * dim, how), *cos_sin = floats(m * rope_dim, FILL_RANDOM);
    output y = output_new(bytes);
    for (int inverse = 0; inverse < 2; inverse++) {
        memcpy(y.got.bytes, x, bytes);
        memcpy(y.want.bytes, x, bytes);
        level->rope(queue, (float *)(void *)y.got.bytes, cos_sin, m, n_heads, dim, rope_dim, inverse);
        ref.rope(queue, (float *)(void *)y.want.bytes, cos_sin, m, n_heads, dim, rope_dim, inverse);
        compare_floats(&y.got, &y.want, inverse ? "inverse" : "forward");
    }
    output_free(&y);
    free(x);
    free(cos_sin);
}

static void check_kv_rows(fill how, int64_t m, int32_t dim, int32_t rope_dim)
{
    begin("kv_pack, kv_unpack", how, "m %lld, dim %d, rope %d", (long long)m, dim, rope_dim);
    const size_t row_bytes = ref.kv_row_bytes(dim, rope_dim);
    float *x = rounded_floats(m * dim, how);
    int32_t idx[200];
    output rows = output_new((size_t)m * row_bytes), y = output_new((size_t)(m * dim) * 2);
    level->kv_pack(queue, rows.got.bytes, x, m, dim, rope_dim);
    ref.kv_pack(queue, rows.want.bytes, x, m, dim, rope_dim);
    if (how == FILL_NAN) /* the payload and sign of a NaN are nobody's promise */
        memcpy(rows.got.bytes, rows.want.bytes, rows.got.size);
    compare_bytes(&rows.got, &rows.want, "rows");
    for (int64_t i = 0; i < m; i++)
        idx[i] = (int32_t)random_below(m);
    for (int gather = 0; gather < 2; gather++) {
        level->kv_unpack(queue, y.got.bytes, rows.want.bytes, gather ? idx : NULL, m, dim, rope_dim);
        ref.kv_unpack(queue, y.want.bytes, rows.want.bytes, gather ? idx : NULL, m, dim, rope_dim);
        compare_operands(&y.got, &y.want, gather ? "gathered" : "unpacked");
    }
    output_free(&rows);
    output_free(&y);
    free(x);
}

static void check_index_rows(fill how, int64_t m, int32_t dim)
{
    begin("index_pack, index_unpack, index_quant", how, "m %lld, dim %d", (long long)m, dim);
    const size_t row_bytes = ref.index_row_bytes(dim);
    float *x = rounded_floats(m * dim, how);
    output rows = output_new((size_t)m * row_bytes), y = output_new((size_t)(m * dim) * 2), z = output_new((size_t)(m * dim) * 2);
    level->index_pack(queue, rows.got.bytes, x, m, dim);
    ref.index_pack(queue, rows.want.bytes, x, m, dim);
    if (how == FILL_NAN)
        memcpy(rows.got.bytes, rows.want.bytes, rows.got.size);
    compare_bytes(&rows.got, &rows.want, "rows");
    level->index_unpack(queue, y.got.bytes, rows.want.bytes, m, dim);
    ref.index_unpack(queue, y.want.bytes, rows.want.bytes, m, dim);
    compare_operands(&y.got, &y.want, "unpacked");
    level->index_quant(queue, z.got.bytes, x, m, dim);
    ref.index_quant(queue, z.want.bytes, x, m, dim);
    compare_operands(&z.got, &z.want, "quantised");
    if (how != FILL_NAN)
        compare_operands(&z.got, &y.want, "quantised and stored");
    output_free(&rows);
    output_free(&y);
    output_free(&z);
    free(x);
}

static void check_pool(fill how, int64_t n, int32_t r, int32_t e, bool overlap)
{
    begin("pool", how, "n %lld, r %d, e %d, overlap %d", (long long)n, r, e, overlap);
    const int64_t rows = overlap ? (n + 1) * r : n * r, width = overlap ? 2 * e : e;
    float *k = floats(rows * width, how), *z = floats(rows * width, how);
    output y = output_new((size_t)(n * e) * sizeof(float));
    for (int64_t i = 0; overlap && i < r * width; i++) { /* no predecessor */
        k[i] = 0.0f;
        z[i] = -INFINITY;
    }
    level->pool(queue, (float *)(void *)y.got.bytes, k, z, n, r, e, overlap);
    ref.pool(queue, (float *)(void *)y.want.bytes, k, z, n, r, e, overlap);
    compare_floats(&y.got, &y.want, "y");
    output_free(&y);
    free(k);
    free(z);
}

static void check_index_scores(fill how, int64_t n_q, int64_t n_keys, int32_t n_heads, int32_t dim)
{
    begin("index_scores", how, "queries %lld, keys %lld, heads %d, dim %d", (long long)n_q, (long long)n_keys, n_heads, dim);
    uint16_t *q = operands(n_q * n_heads * dim, how), *keys = operands(n_keys * dim, how);
    float *w = rounded_floats(n_q * n_heads, how);
    int32_t *n_visible = malloc((size_t)(n_q + 1) * sizeof *n_visible);
    output scores = output_new((size_t)(n_q * (n_keys + 1)) * sizeof(float)); /* places not visible stay guard bytes */
    for (int64_t i = 0; i < n_q; i++)
        n_visible[i] = (int32_t)(i % 3 == 2 ? n_keys : random_below(n_keys + 1));
    level->index_scores(queue, (float *)(void *)scores.got.bytes, n_keys + 1, q, w, keys, n_visible, n_q, n_heads, dim);
    ref.index_scores(queue, (float *)(void *)scores.want.bytes, n_keys + 1, q, w, keys, n_visible, n_q, n_heads, dim);
    compare_floats(&scores.got, &scores.want, "scores");
    output_free(&scores);
    free(q);
    free(keys);
    free(w);
    free(n_visible);
}

static void check_topk(fill how, int64_t m, int64_t n_max, int32_t k)
{
    begin("topk", how, "m %lld, n %lld, k %d", (long long)m, (long long)n_max, k);
    float *scores = rounded_floats(m * (n_max + 1), how);
    int32_t *n = malloc((size_t)(m + 1) * sizeof *n);
    output idx = output_new((size_t)(m * k) * 4), n_out = output_new((size_t)m * 4);
    for (int64_t i = 0; i < m; i++)
        n[i] = (int32_t)(i % 2 ? n_max : random_below(n_max + 1));
    level->topk(queue, (int32_t *)(void *)idx.got.bytes, (int32_t *)(void *)n_out.got.bytes, scores, n_max + 1, n, m, k);
    ref.topk(queue, (int32_t *)(void *)idx.want.bytes, (int32_t *)(void *)n_out.want.bytes, scores, n_max + 1, n, m, k);
    compare_bytes(&n_out.got, &n_out.want, "counts");
    compare_bytes(&idx.got, &idx.want, "indices");
    output_free(&idx);
    output_free(&n_out);
    free(scores);
    free(n);
}

typedef struct attention_shape {
    int64_t n_q, pos0;
    int32_t n_heads, dim, window_len;
    int32_t n_entries, k; /* k 0: all visible; else selected lists */
    bool own_lists;       /* every query has its own stretch of entries */
} attention_shape;

static void check_attention(fill how, const attention_shape *s)
{
    begin("attention", how, "queries %lld from %lld, heads %d, dim %d, window %d, entries %d, k %d, own %d", (long long)s->n_q,
          (long long)s->pos0, s->n_heads, s->dim, s->window_len, s->n_entries, s->k, s->own_lists);
    const int64_t oldest = s->pos0 - s->window_len + 1 > 0 ? (s->pos0 - s->window_len + 1) / 32 * 32 : 0;
    const int64_t n_window = s->pos0 + s->n_q - oldest, n_lists = s->own_lists ? s->n_q : 1;
    const int64_t row = (int64_t)s->n_heads * s->dim;
    float *q = rounded_floats(s->n_q * row, how), *sink = floats(s->n_heads, FILL_RANDOM);
    uint16_t *window = operands(n_window * s->dim, how), *entries = operands(n_lists * s->n_entries * s->dim, how);
    int32_t *n_selected = malloc((size_t)(s->n_q + 1) * 4), *selected = malloc((size_t)(s->n_q * (s->k + 1) + 1) * 4);
    output out = output_new((size_t)(s->n_q * row) * sizeof(float));
    for (int64_t i = 0; i < s->n_q; i++) {
        n_selected[i] = (int32_t)((int64_t)s->n_entries * (i + 1) / s->n_q);
        if (s->k == 0)
            continue;
        n_selected[i] = n_selected[i] < s->k ? n_selected[i] : (int32_t)(s->k - random_below(2));
        int32_t next = 0;
        for (int32_t j = 0; j < n_selected[i]; j++) { /* ascending, with gaps while there is room */
            const int32_t room = s->n_entries - next - (n_selected[i] - j);
            next += (int32_t)random_below(room < 3 ? room + 1 : 3);
            selected[i * s->k + j] = next++;
        }
    }
    dr_attention a = {.q = q, .sink = sink, .n_q = s->n_q, .pos0 = s->pos0, .n_heads = s->n_heads, .dim = s->dim,
                      .scale = 1.0f / sqrtf((float)s->dim), .window = window, .window_pos0 = oldest, .window_len = s->window_len};
    if (s->n_entries > 0) {
        a.entries = entries;
        a.entries_stride = s->own_lists ? s->n_entries : 0;
        a.selected = s->k ? selected : NULL;
        a.selected_stride = s->k;
        a.n_selected = n_selected;
    }
    a.out = (float *)(void *)out.got.bytes;
    level->attention(queue, &a);
    a.out = (float *)(void *)out.want.bytes;
    ref.attention(queue, &a);
    compare_floats(&out.got, &out.want, "out");

    /* The cut into calls does not show: the last query alone. */
    if (s->n_q > 1 && s->pos0 == 0) {
        const int64_t last = s->n_q - 1, pos = s->pos0 + last;
        const int64_t first = pos - s->window_len + 1 > 0 ? (pos - s->window_len + 1) / 32 * 32 : 0;
        guarded alone = guarded_new((size_t)row * sizeof(float));
        guarded tail = {out.want.bytes + (size_t)(last * row) * sizeof(float), (size_t)row * sizeof(float)};
        dr_attention one = a;
        one.out = (float *)(void *)alone.bytes;
        one.q = q + last * row;
        one.n_q = 1;
        one.pos0 = pos;
        one.window = window + (first - oldest) * s->dim;
        one.window_pos0 = first;
        if (s->n_entries > 0) {
            one.entries = entries + last * a.entries_stride * s->dim;
            one.selected = s->k ? selected + last * s->k : NULL;
            one.n_selected = n_selected + last;
        }
        level->attention(queue, &one);
        compare_floats(&alone, &tail, "the last query alone");
        guarded_free(&alone);
    }
    output_free(&out);
    free(q);
    free(sink);
    free(window);
    free(entries);
    free(n_selected);
    free(selected);
}

static void check_hc(fill how, int64_t m, int64_t d, int32_t n_streams)
{
    begin("hc_pre, hc_post, hc_head", how, "m %lld, d %lld, streams %d", (long long)m, (long long)d, n_streams);
    const int64_t n_mix = (2 + n_streams) * n_streams, size = n_streams * d;
    float *fn = floats(n_mix * size, FILL_RANDOM), *base = floats(n_mix, FILL_RANDOM), *scale = floats(3, FILL_RANDOM);
    float *X = rounded_floats(m * size, how), *y = rounded_floats(m * d, how);
    const dr_hc hc = {fn, base, scale, n_streams, 20, d, 1e-6f, 1e-6f};
    output x = output_new((size_t)(m * d) * 4), post = output_new((size_t)(m * n_streams) * 4);
    output comb = output_new((size_t)(m * n_streams * n_streams) * 4), streams = output_new((size_t)(m * size) * 4);
    for (int side = 0; side < 2; side++) {
        const dr_ops *ops = side ? &ref : level;
        float *xs = (float *)(void *)(side ? x.want.bytes : x.got.bytes), *ps = (float *)(void *)(side ? post.want.bytes : post.got.bytes);
        float *cs = (float *)(void *)(side ? comb.want.bytes : comb.got.bytes);
        float *Xs = (float *)(void *)(side ? streams.want.bytes : streams.got.bytes);
        ops->hc_pre(queue, xs, ps, cs, X, &hc, m);
        memcpy(Xs, X, streams.got.size);
        ops->hc_post(queue, Xs, y, ps, cs, m, d, n_streams);
    }
    compare_floats(&x.got, &x.want, "x");
    compare_floats(&post.got, &post.want, "post");
    compare_floats(&comb.got, &comb.want, "comb");
    compare_floats(&streams.got, &streams.want, "X");
    level->hc_head(queue, (float *)(void *)x.got.bytes, X, &hc, m);
    ref.hc_head(queue, (float *)(void *)x.want.bytes, X, &hc, m);
    compare_floats(&x.got, &x.want, "head");
    output_free(&x);
    output_free(&post);
    output_free(&comb);
    output_free(&streams);
    free(fn);
    free(base);
    free(scale);
    free(X);
    free(y);
}

static void check_route(fill how, int64_t m, int32_t n_experts, int32_t k, bool hashed)
{
    begin("route", how, "m %lld, experts %d, k %d, hashed %d", (long long)m, n_experts, k, hashed);
    float *logits = floats(m * n_experts, how), *bias = floats(n_experts, FILL_TIES);
    int32_t fixed[10 * 16], tokens[200];
    output ids = output_new((size_t)(m * k) * 4), g = output_new((size_t)(m * k) * 4);
    for (int64_t t = 0; t < 10; t++)
        for (int32_t j = 0; j < k; j++)
            fixed[t * k + j] = (int32_t)((t * 7 + j * 5) % n_experts);
    for (int64_t i = 0; i < m; i++)
        tokens[i] = (int32_t)random_below(10);
    level->route(queue, (int32_t *)(void *)ids.got.bytes, (float *)(void *)g.got.bytes, logits, bias, hashed ? fixed : NULL, tokens, m,
                 n_experts, k, 1.5f);
    ref.route(queue, (int32_t *)(void *)ids.want.bytes, (float *)(void *)g.want.bytes, logits, bias, hashed ? fixed : NULL, tokens, m,
              n_experts, k, 1.5f);
    compare_bytes(&ids.got, &ids.want, "ids");
    compare_floats(&g.got, &g.want, "g");
    output_free(&ids);
    output_free(&g);
    free(logits);
    free(bias);
}

static void check_elementwise(fill how, int64_t m, int64_t d)
{
    begin("swiglu, combine, add_streams", how, "m %lld, d %lld", (long long)m, (long long)d);
    enum { K = 3, S = 2 };
    float *a = floats(m * d, how), *u = floats(m * d, how), *g = floats(m, FILL_RANDOM), *parts = rounded_floats(m * K * d, how);
    float *b = rounded_floats(m * S * d, how);
    int32_t *place = malloc((size_t)(m * K + 1) * 4);
    output y = output_new((size_t)(m * d) * 4), wide = output_new((size_t)(m * S * d) * 4);
    float *got = (float *)(void *)y.got.bytes, *want = (float *)(void *)y.want.bytes;
    for (int64_t i = 0; i < m * K; i++)
        place[i] = (int32_t)(m * K - 1 - i);
    level->swiglu(queue, got, a, u, g, m, d, 10.0f);
    ref.swiglu(queue, want, a, u, g, m, d, 10.0f);
    compare_floats(&y.got, &y.want, "swiglu");
    memcpy(got, a, y.got.size);
    level->swiglu(queue, got, got, u, NULL, m, d, 0.0f);
    ref.swiglu(queue, want, a, u, NULL, m, d, 0.0f);
    compare_floats(&y.got, &y.want, "swiglu in place, without limit and weight");
    for (int shared = 0; shared < 2; shared++) {
        level->combine(queue, got, parts, place, shared ? a : NULL, m, K, d);
        ref.combine(queue, want, parts, place, shared ? a : NULL, m, K, d);
        compare_floats(&y.got, &y.want, "combine");
    }
    level->add_streams(queue, (float *)(void *)wide.got.bytes, a, b, m, d, S);
    ref.add_streams(queue, (float *)(void *)wide.want.bytes, a, b, m, d, S);
    compare_floats(&wide.got, &wide.want, "add_streams");
    output_free(&y);
    output_free(&wide);
    free(a);
    free(u);
    free(g);
    free(parts);
    free(b);
    free(place);
}

static void check_matrix_products(void)
{
    static const int64_t ms[] = {0, 1, 2, 3, 4, 5, 15, 16, 17, 33, 64, 65, 130}, ns[] = {1, 16, 24, 64, 130, 200}, ks[] = {32, 128, 160};
    for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
        for (size_t j = 0; j < sizeof ns / sizeof ns[0]; j++)
            for (size_t l = 0; l < sizeof ks / sizeof ks[0]; l++)
                check_gemm((fill)((i + j + l) % N_FILLS), ms[i], ns[j], ks[l], (i + l) % 2, (j + l) % 2);
    check_gemm(FILL_RANDOM, 1, 512, 4096, false, true);
    check_gemm(FILL_RANDOM, 130, 48, 4096, true, false);
    check_gemm(FILL_EXTREME, 40, 640, 256, false, true);
}

static void check_attentions(void)
{
    static const attention_shape shapes[] = {
        {1, 0, 4, 160, 256, 0, 0, false},    {1, 700, 4, 160, 256, 40, 0, false},  {7, 0, 4, 160, 256, 1, 0, false},
        {70, 0, 4, 160, 16, 20, 0, false},   {130, 0, 4, 160, 64, 65, 16, false},  {33, 100, 4, 160, 64, 200, 50, false},
        {5, 40, 1, 32, 8, 9, 3, false},      {40, 3, 1, 32, 8, 9, 3, false},       {20, 31, 3, 64, 32, 70, 33, false},
        {9, 64, 5, 96, 128, 33, 0, true},    {12, 10, 8, 128, 20, 64, 0, true},    {6, 500, 16, 512, 128, 40, 32, false},
        {3, 1000, 64, 512, 128, 130, 0, false}, {2, 77, 20, 64, 40, 10, 4, false}, {1, 4095, 64, 512, 128, 96, 64, false},
        {34, 0, 4, 160, 256, 40, 12, true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int how = 0; how < N_FILLS; how++)
            if (how == FILL_RANDOM || shapes[i].dim < 512) {
                /* A key that does not count must be finite (docs/numerics.md), so NaN only where all keys count. */
                if (how == FILL_NAN && !(shapes[i].n_q == 1))
                    continue;
                check_attention((fill)how, &shapes[i]);
            }
}

/* With several threads only the sizes that are shared out. */
static void check_all_slots(bool threaded)
{
    static const int64_t ms[] = {130, 33, 3, 1, 0}, ks[] = {16, 100, 160, 256, 1000};
    check_packs();
    check_matrix_products();
    check_attentions();
    for (size_t i = 0; i < (threaded ? 2 : sizeof ms / sizeof ms[0]); i++) {
        const int64_t m = ms[i];
        for (int f = 0; f < N_FILLS; f++) {
            const fill how = (fill)f;
            for (size_t j = 0; j < sizeof ks / sizeof ks[0]; j++) {
                check_to_operand(how, m, ks[j], j % 2 ? DR_QUANT_FP8_128 : DR_QUANT_NONE);
                check_to_operand(how, m, ks[j], j % 2 ? DR_QUANT_NONE : DR_QUANT_FP8_128);
                check_norms(how, m, ks[j]);
                check_elementwise(how, m, ks[j]);
            }
            check_rope(how, m, 4, 160, 32);
            check_rope(how, m, 1, 512, 64);
            check_rope(how, m, 3, 40, 8);
            check_kv_rows(how, m, 160, 32);
            check_kv_rows(how, m, 512, 64);
            check_kv_rows(how, m, 72, 8);
            for (int32_t dim = 32; dim <= 256; dim *= 2)
                check_index_rows(how, m, dim);
            check_pool(how, m, 4, 160, true);
            check_pool(how, m, 4, 20, true);
            check_pool(how, (m + 7) / 8, 128, 160, false);
            check_hc(how, m, 256, 2);
            check_hc(how, m, 40, 4);
            check_hc(how, m, 32, 3);
            check_route(how, m, 16, 4, false);
            check_route(how, m, 16, 4, true);
            check_route(how, m, 40, 6, false);
            check_index_scores(how, m, 1, 8, 64);
            check_index_scores(how, m, 70, 8, 64);
            check_index_scores(how, m, 300, 3, 32);
            check_topk(how, m, 200, 128);
            check_topk(how, m, 50, 1);
            check_topk(how, m, 7, 16);
        }
        check_embed(m, 256, 2);
        check_embed(m, 40, 4);
    }
    check_index_scores(FILL_RANDOM, 5, 600, 64, 128);
    check_hc(FILL_RANDOM, 2, 4096, 4);
    check_topk(FILL_RANDOM, 3, 5000, 512);
}

static void check_level(const char *name)
{
    dr_error err;
    if (dr_ops_init_named(&tested, name, &err) == DR_ERR_DEVICE) {
        printf("skipped: %s: %s\n", name, err.msg);
        skip();
    }
    assert_string_equal(tested.name, name);
    dr_ops_init_ref(&ref);
    seed = digest = 0; /* the same grid at every level */
    n_compared = 0;
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        dr_pool *pool = NULL;
        assert_int_equal(dr_pool_new(&pool, n_threads, NULL), DR_OK);
        assert_int_equal(dr_queue_new(&queue, pool, NULL), DR_OK);
        check_all_slots(n_threads > 1);
        dr_queue_free(queue);
        dr_pool_free(pool);
    }
    print_message("%s: %lld values equal those of ref, digest %016llx\n", name, (long long)n_compared, (unsigned long long)digest);
    assert_true(digest == DIGEST_OF_REF);
}

static void levels__avx2_equals_ref(void **state)
{
    (void)state;
    check_level("avx2");
}

static void levels__avx512_equals_ref(void **state)
{
    (void)state;
    check_level("avx512");
}

static void levels__amx_equals_ref(void **state)
{
    (void)state;
    check_level("amx");
}

static void levels__names_are_checked(void **state)
{
    dr_ops ops;
    (void)state;
    assert_int_equal(dr_ops_init_named(&ops, "sse9", NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_ops_init_named(&ops, "ref", NULL), DR_OK);
    assert_string_equal(ops.name, "ref");
    assert_int_equal(dr_ops_init_named(&ops, NULL, NULL), DR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels__avx2_equals_ref),
        cmocka_unit_test(levels__avx512_equals_ref),
        cmocka_unit_test(levels__amx_equals_ref),
        cmocka_unit_test(levels__names_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
