#include "kernels/bench.h"

#include "kernels/x86/roof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Beyond the second-level cache; the read roof and the matrices of one row use the same bytes. */
#define BUFFER_BYTES ((size_t)1 << 28)

typedef struct bench {
    const dr_ops *ops;
    dr_pool *pool;
    dr_queue *q;
    int n_rounds;
    dr_bench_fn *fn;
    void *arg;
    uint16_t *weights; /* BUFFER_BYTES of BF16: read as packed matrices */
    float *f32;        /* SMALL_VALUES each */
    uint16_t *operand;
    double product_roof, read_roof;
} bench;

/* Rows of the widest case: 512 rows of 2,560 values. */
enum { ROWS = 512, WIDTH = 2560, SMALL_VALUES = ROWS * WIDTH };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report(const bench *b, const char *name, const char *unit, double value, double roof)
{
    const dr_bench_line line = {name, unit, value, roof};
    b->fn(b->arg, &line);
}

/* The best time of one call over the rounds; short calls are repeated until the clock can see them. */
#define BEST(b, best, ...)                                         \
    do {                                                           \
        best = 1e30;                                               \
        for (int round_ = 0; round_ < (b)->n_rounds; round_++) {   \
            int64_t n_ = 0;                                        \
            const double start_ = seconds();                       \
            double spent_;                                         \
            do {                                                   \
                __VA_ARGS__;                                       \
                n_++;                                              \
            } while ((spent_ = seconds() - start_) < 2e-3);        \
            best = spent_ / (double)n_ < best ? spent_ / (double)n_ : best; \
        }                                                          \
    } while (0)

static double tile_rounds(const bench *b, int64_t n)
{
#if defined(__x86_64__)
    if (strcmp(b->ops->name, "amx") == 0)
        return dr_roof_products__amx(n);
    if (strcmp(b->ops->name, "avx512") == 0)
        return dr_roof_products__avx512(n);
    if (strcmp(b->ops->name, "avx2") == 0)
        return dr_roof_products__avx2(n);
#endif
    (void)b;
    (void)n;
    return 0;
}

static uint64_t read_once(const bench *b)
{
#if defined(__x86_64__)
    const uint32_t features = dr_cpu_features();
    if (features & DR_CPU_AVX512)
        return dr_roof_read__avx512(b->weights, BUFFER_BYTES);
    if (features & DR_CPU_AVX2)
        return dr_roof_read__avx2(b->weights, BUFFER_BYTES);
#endif
    uint64_t x = 0, word;
    for (size_t i = 0; i < BUFFER_BYTES; i += sizeof word) {
        memcpy(&word, (const uint8_t *)b->weights + i, sizeof word);
        x ^= word;
    }
    return x;
}

static void bench_roofs(bench *b)
{
    double best, flops = 0;
    volatile uint64_t keep = 0; /* so that the reads happen */
    BEST(b, best, flops = tile_rounds(b, 20000));
    b->product_roof = flops / best * 1e-9;
    if (flops > 0)
        report(b, "multiply-add in registers", "GFLOP/s", b->product_roof, 0);
    BEST(b, best, keep = read_once(b));
    (void)keep;
    b->read_roof = (double)BUFFER_BYTES / best * 1e-9;
    report(b, "read from memory", "GB/s", b->read_roof, 0);
}

static void bench_gemm(bench *b, int64_t m, int64_t n, int64_t k)
{
    /* One row: every call another matrix, so that none is still in the cache. */
    const size_t bytes = b->ops->pack_bytes(n, k);
    const int64_t n_matrices = m == 1 && bytes < BUFFER_BYTES ? (int64_t)(BUFFER_BYTES / bytes) : 1;
    int64_t at = 0;
    double best;
    char name[96];
    BEST(b, best, {
        const dr_matrix w = {(const uint8_t *)b->weights + (size_t)at * bytes, n, k};
        const dr_gemm job = {.y = b->f32, .y_stride = n, .x = b->operand, .w = &w, .m = m, .round_out = true};
        b->ops->gemm(b->q, &job, 1);
        at = (at + 1) % n_matrices;
    });
    snprintf(name, sizeof name, "gemm m=%lld n=%lld k=%lld", (long long)m, (long long)n, (long long)k);
    if (m == 1)
        report(b, name, "GB/s", (double)bytes / best * 1e-9, b->read_roof);
    else
        report(b, name, "GFLOP/s", 2.0 * (double)m * (double)n * (double)k / best * 1e-9, b->product_roof);
}

static void bench_attention(bench *b, int64_t n_q, int64_t pos0, int32_t n_selected)
{
    enum { HEADS = 4, DIM = 160, WINDOW = 256 };
    int32_t *counts = malloc((size_t)n_q * sizeof *counts), *selected = malloc((size_t)(n_q * (n_selected + 1)) * sizeof *selected);
    const float sink[HEADS] = {0};
    double best;
    char name[96];
    if (!counts || !selected)
        goto done;
    for (int64_t i = 0; i < n_q; i++) {
        counts[i] = n_selected;
        for (int32_t j = 0; j < n_selected; j++)
            selected[i * n_selected + j] = j * 3;
    }
    const int64_t oldest = (pos0 - WINDOW + 1) / 32 * 32;
    const dr_attention a = {.out = b->f32 + SMALL_VALUES / 2, .q = b->f32, .sink = sink, .n_q = n_q, .pos0 = pos0, .n_heads = HEADS,
                            .dim = DIM, .scale = 0.08f, .window = b->weights, .window_pos0 = oldest > 0 ? oldest : 0,
                            .window_len = WINDOW, .entries = b->weights, .selected = selected, .selected_stride = n_selected,
                            .n_selected = n_selected ? counts : NULL};
    BEST(b, best, b->ops->attention(b->q, &a));
    snprintf(name, sizeof name, "attention %lld x %d heads x %d, window %d, %d selected", (long long)n_q, HEADS, DIM, WINDOW, n_selected);
    report(b, name, "ns a row", best / (double)n_q * 1e9, 0);
done:
    free(counts);
    free(selected);
}

/* The other slots at the shapes of the bundled model: hidden 256, two streams, 4 heads of 160, 16 experts of 128. */
static void bench_rows(bench *b, int64_t m)
{
    enum { D = 256, S = 2, HEADS = 4, DIM = 160, ROPE = 32, EXPERTS = 16, K = 4, EXPERT_DIM = 128, INDEX_HEADS = 8, INDEX_DIM = 64 };
    float *x = b->f32, *y = b->f32 + SMALL_VALUES / 2, base[(2 + S) * S] = {0}, scale[3] = {1, 1, 1}, post[ROWS * S], comb[ROWS * S * S];
    const dr_hc hc = {x, base, scale, S, 20, D, 1e-6f, 1e-6f};
    static int32_t place[ROWS * K], ids[ROWS * K], n_visible[ROWS], n_out[ROWS], best_ids[ROWS * 128];
    static float g[ROWS * K];
    const float bias[EXPERTS] = {0};
    const dr_ops *o = b->ops;
    char name[64];
    double best;
    for (int64_t i = 0; i < m * K; i++)
        place[i] = (int32_t)i;
    for (int64_t i = 0; i < m; i++)
        n_visible[i] = 512;

#define ROW_CASE(what, ...)                                                     \
    do {                                                                        \
        BEST(b, best, __VA_ARGS__);                                             \
        snprintf(name, sizeof name, "%s m=%lld", what, (long long)m);           \
        report(b, name, "ns a row", best / (double)m * 1e9, 0);                 \
    } while (0)
    ROW_CASE("hc_pre", o->hc_pre(b->q, y, post, comb, x, &hc, m));
    ROW_CASE("hc_post", o->hc_post(b->q, y, x, post, comb, m, D, S));
    ROW_CASE("rms_norm", o->rms_norm(b->q, y, x, x, m, D, 1e-6f));
    ROW_CASE("to_operand", o->to_operand(b->q, b->operand, x, m, D, DR_QUANT_FP8_128));
    ROW_CASE("head_norm", o->head_norm(b->q, y, m * HEADS, DIM, 1e-6f));
    ROW_CASE("rope", o->rope(b->q, y, x, m, HEADS, DIM, ROPE, false));
    ROW_CASE("kv_pack", o->kv_pack(b->q, b->operand, x, m, DIM, ROPE));
    ROW_CASE("kv_unpack", o->kv_unpack(b->q, y, b->operand, NULL, m, DIM, ROPE));
    ROW_CASE("index_quant", o->index_quant(b->q, b->operand, x, m * INDEX_HEADS, INDEX_DIM));
    ROW_CASE("index_scores, 512 keys", o->index_scores(b->q, y, 512, b->weights, x, b->weights, n_visible, m, INDEX_HEADS, INDEX_DIM));
    ROW_CASE("topk 128 of 512", o->topk(b->q, best_ids, n_out, x, 512, n_visible, m, 128));
    ROW_CASE("route", o->route(b->q, ids, g, x, bias, NULL, NULL, m, EXPERTS, K, 1.5f));
    ROW_CASE("swiglu, 4 experts", o->swiglu(b->q, y, x, x, NULL, m * K, EXPERT_DIM, 10.0f));
    ROW_CASE("combine", o->combine(b->q, y, x, place, NULL, m, K, D));
#undef ROW_CASE
}

static void fill(bench *b)
{
    uint64_t s = 1;
    for (size_t i = 0; i < BUFFER_BYTES / sizeof *b->weights; i++) {
        s = s * 6364136223846793005u + 1442695040888963407u;
        b->weights[i] = (uint16_t)((s >> 48 & 0x80ffu) | 0x3e00u); /* 0.125 to 0.5, both signs */
    }
    for (int64_t i = 0; i < SMALL_VALUES; i++) {
        b->operand[i] = b->weights[i];
        b->f32[i] = (float)(int16_t)b->weights[i * 3] * 0x1p-15f;
    }
}

dr_status dr_bench_kernels(const dr_ops *ops, int n_rounds, dr_bench_fn *fn, void *arg, dr_error *err)
{
    static const int64_t shapes[][2] = {{640, 128}, {256, 256}, {128, 256}, {6144, 256}, {1024, 4096}, {4096, 2048}};
    bench b = {.ops = ops, .n_rounds = n_rounds > 0 ? n_rounds : 5, .fn = fn, .arg = arg};
    dr_status st = dr_pool_new(&b.pool, 1, err);

    if (st != DR_OK || (st = dr_queue_new(&b.q, b.pool, err)) != DR_OK)
        goto done;
    b.weights = aligned_alloc(64, BUFFER_BYTES);
    /* Outputs of the widest product: 512 x 6,144. */
    b.f32 = aligned_alloc(64, (size_t)ROWS * 6144 * sizeof *b.f32);
    b.operand = aligned_alloc(64, (size_t)ROWS * 4096 * sizeof *b.operand);
    if (!b.weights || !b.f32 || !b.operand) {
        st = dr_fail(err, DR_ERR_NOMEM, "bench: out of memory");
        goto done;
    }
    memset(b.f32, 0, (size_t)ROWS * 6144 * sizeof *b.f32);
    memset(b.operand, 0, (size_t)ROWS * 4096 * sizeof *b.operand);
    fill(&b);
    bench_roofs(&b);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        bench_gemm(&b, 1, shapes[i][0], shapes[i][1]);
        bench_gemm(&b, 16, shapes[i][0], shapes[i][1]);
        bench_gemm(&b, ROWS, shapes[i][0], shapes[i][1]);
    }
    bench_attention(&b, 1, 2000, 0);
    bench_attention(&b, 1, 2000, 128);
    bench_attention(&b, ROWS, 2048, 0);
    bench_attention(&b, ROWS, 2048, 128);
    bench_rows(&b, 1);
    bench_rows(&b, ROWS);
done:
    dr_queue_free(b.q);
    dr_pool_free(b.pool);
    free(b.weights);
    free(b.f32);
    free(b.operand);
    return st;
}
