/* The reference slots against values worked out by hand or stated in the specification. */
#include "kernels/formats.h"
#include "kernels/ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static dr_pool *pool;
static dr_queue *queue;
static dr_ops ref, wide;

static void near(float got, double want, double tolerance)
{
    if (!(fabs((double)got - want) <= tolerance))
        fail_msg("%.9g, wanted %.9g within %g", (double)got, want, tolerance);
}

/* Order G on numbers where any other order shows: 2^24 swallows a 1 that is added alone, but not a 2. */
static void ref__gemm_follows_order_g(void **state)
{
    enum { N = 3, K = 64 };
    uint16_t weights[N * K] = {0}, x[K];
    (void)state;
    for (int k = 0; k < K; k++)
        x[k] = dr_bf16__of(1.0f);
    weights[0] = dr_bf16__of(16777216.0f);     /* row 0: even chain starts at 2^24 */
    weights[2] = dr_bf16__of(1.0f);            /* even: lost */
    weights[1] = weights[3] = dr_bf16__of(1.0f); /* odd: 1 + 1 = 2, survives the fold */
    weights[K + 0] = dr_bf16__of(16777216.0f); /* row 1: a one in the next step is lost */
    weights[K + 32] = dr_bf16__of(1.0f);
    weights[2 * K + 32] = weights[2 * K + 34] = dr_bf16__of(1.0f); /* row 2: the second step's two ones join first */
    weights[2 * K] = dr_bf16__of(16777216.0f);

    const dr_weight w = {.dtype = DR_BF16, .data = weights, .n = N, .k = K};
    void *packed = aligned_alloc(64, ref.pack_bytes(N, K));
    assert_int_equal(ref.pack(queue, packed, &w, NULL), DR_OK);
    const dr_matrix matrix = {packed, N, K};
    float y[N];
    const dr_gemm job = {.y = y, .y_stride = N, .x = x, .w = &matrix, .m = 1};
    ref.gemm(queue, &job, 1);
    assert_true(y[0] == 16777218.0f);
    assert_true(y[1] == 16777216.0f);
    assert_true(y[2] == 16777218.0f);
    free(packed);
}

static void ref__pack_reads_every_weight_format(void **state)
{
    enum { N = 2, K = 64 };
    uint8_t fp8[N * K], fp4[N * K / 2], scale8[1] = {128}, scale4[N * K / 32] = {127, 126, 128, 127};
    (void)state;
    for (int i = 0; i < N * K; i++)
        fp8[i] = (uint8_t)(i % 120);
    for (int i = 0; i < N * K / 2; i++)
        fp4[i] = (uint8_t)(i * 7);
    const dr_weight w8 = {DR_F8_E4M3, fp8, scale8, N, K, 128, 128}, w4 = {DR_FP4, fp4, scale4, N, K, 1, 32};
    void *packed = aligned_alloc(64, ref.pack_bytes(N, K));
    uint16_t x[K];
    float y[N];
    const dr_matrix matrix = {packed, N, K};
    const dr_gemm job = {.y = y, .y_stride = N, .x = x, .w = &matrix, .m = 1};
    for (int k = 0; k < K; k++) {
        memset(x, 0, sizeof x);
        x[k] = dr_bf16__of(1.0f); /* reads out one column */
        assert_int_equal(ref.pack(queue, packed, &w8, NULL), DR_OK);
        ref.gemm(queue, &job, 1);
        for (int o = 0; o < N; o++)
            assert_true(y[o] == 2.0f * dr_e4m3__value(fp8[o * K + k]));
        assert_int_equal(ref.pack(queue, packed, &w4, NULL), DR_OK);
        ref.gemm(queue, &job, 1);
        for (int o = 0; o < N; o++) {
            const unsigned nibble = (unsigned)fp4[o * (K / 2) + k / 2] >> (k % 2 ? 4 : 0) & 15u;
            assert_true(y[o] == dr_e2m1__value(nibble) * dr_f32__exp2i(scale4[o * 2 + k / 32] - 127));
        }
    }
    free(packed);
}

static void ref__pack_refuses_what_bf16_cannot_hold(void **state)
{
    enum { N = 1, K = 32 };
    uint8_t fp8[K], scale[1] = {127};
    float f32[K] = {0};
    dr_error err;
    void *packed = aligned_alloc(64, ref.pack_bytes(N, K));
    (void)state;
    memset(fp8, 0x38, sizeof fp8); /* 1.0 */
    dr_weight w = {DR_F8_E4M3, fp8, scale, N, K, 128, 128};
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_OK);
    scale[0] = 255;
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_ERR_FORMAT);
    scale[0] = 1; /* 2^-126: held; one less would be a denormal */
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_OK);
    scale[0] = 0;
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_ERR_FORMAT);
    memset(fp8, 0x7e, sizeof fp8); /* 448 * 2^127 */
    scale[0] = 254;
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_ERR_FORMAT);
    scale[0] = 127;
    fp8[5] = 0x7f;
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "row 0, column 5"));
    f32[7] = 1.0f + 0x1p-10f;
    w = (dr_weight){.dtype = DR_F32, .data = f32, .n = N, .k = K};
    assert_int_equal(ref.pack(queue, packed, &w, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "column 7"));
    free(packed);
}

/* Spec 13.2: logits 2 sin(1 + 4j + k), fed through the bias with zero fn. */
static void ref__sinkhorn_golden(void **state)
{
    static const double once[16] = {0.309447, 0.407957, 0.138807, 0.021347, 0.009475, 0.042452, 0.436776, 0.786653,
                                    0.554702, 0.094338, 0.059933, 0.140284, 0.126375, 0.455252, 0.364483, 0.051715};
    static const double all[16] = {0.315977, 0.455644, 0.193185, 0.035193, 0.004932, 0.024168, 0.309853, 0.661046,
                                   0.574182, 0.106812, 0.084557, 0.234448, 0.104908, 0.413375, 0.412403, 0.069312};
    enum { S = 4, D = 32, MIX = 24 };
    static float fn[MIX * S * D], X[S * D];
    float base[MIX] = {0}, scale[3] = {1, 1, 1}, x[D], post[S], comb[S * S];
    (void)state;
    for (int i = 0; i < 16; i++)
        base[8 + i] = (float)(2.0 * sin(1.0 + i));
    for (int i = 0; i < S * D; i++)
        X[i] = 1.0f;
    dr_hc hc = {.fn = fn, .base = base, .scale = scale, .n_streams = S, .sinkhorn_iters = 1, .d = D, .norm_eps = 1e-6f, .hc_eps = 1e-6f};
    ref.hc_pre(queue, x, post, comb, X, &hc, 1);
    for (int i = 0; i < 16; i++)
        near(comb[i], once[i], 1e-6);
    hc.sinkhorn_iters = 20;
    ref.hc_pre(queue, x, post, comb, X, &hc, 1);
    for (int i = 0; i < 16; i++)
        near(comb[i], all[i], 1e-6);
    for (int k = 0; k < S; k++) { /* ends with a column step */
        near(comb[k] + comb[4 + k] + comb[8 + k] + comb[12 + k], 1.0, 2e-6);
        near(post[k], 1.0, 1e-7);
    }
    near(x[0], 2.0, 1e-6); /* four streams of 1, each read with 0.5 + eps, rounded */
}

static void ref__hc_post_contracts_the_first_index(void **state)
{
    float X[2] = {1, 10}, y[1] = {100};
    const float post[2] = {1, 2}, comb[4] = {0.5f, 0, 0.25f, 1}; /* comb[0][0], [0][1], [1][0], [1][1] */
    (void)state;
    ref.hc_post(queue, X, y, post, comb, 1, 1, 2);
    assert_true(X[0] == dr_round_bf16(100.0f + 0.5f * 1 + 0.25f * 10));
    assert_true(X[1] == dr_round_bf16(200.0f + 0.0f * 1 + 1.0f * 10));
}

static void ref__hadamard_golden(void **state)
{
    enum { DIM = 128 };
    float x[2 * DIM] = {0};
    uint16_t y[2 * DIM], stored[2 * DIM];
    uint8_t rows[2 * 68];
    (void)state;
    x[0] = 1;       /* e_0: all outputs equal */
    x[DIM + 1] = 1; /* e_1: alternating signs */
    ref.index_quant(queue, y, x, 2, DIM);
    /* 0.0883883 rounds to 0.08837890625; its scale is 2^-6, in units of which it is 5.65625, rounded to 6. */
    for (int i = 0; i < DIM; i++) {
        assert_true(dr_bf16__value(y[i]) == 6.0f * 0x1p-6f);
        assert_true(dr_bf16__value(y[DIM + i]) == (i % 2 ? -6.0f : 6.0f) * 0x1p-6f);
    }
    assert_int_equal(ref.index_row_bytes(DIM), 68);
    ref.index_pack(queue, rows, x, 2, DIM);
    ref.index_unpack(queue, stored, rows, 2, DIM);
    assert_memory_equal(stored, y, sizeof y);
}

static void ref__kv_row_layout(void **state)
{
    enum { DIM = 512, ROPE = 64, ROW = 584 };
    float x[DIM];
    uint8_t row[ROW];
    uint16_t y[DIM], v;
    (void)state;
    assert_int_equal(ref.kv_row_bytes(DIM, ROPE), ROW);
    assert_int_equal(ref.kv_row_bytes(160, 32), 128 + 64 + 2 + 6);
    for (int i = 0; i < DIM; i++)
        x[i] = i < 64 ? 0.0f : i < 128 ? 896.0f : (float)(i % 16) + 0.0078125f;
    x[128 + 15] = 300.0f;
    ref.kv_pack(queue, row, x, 1, DIM, ROPE);
    assert_int_equal(row[448 + 128], 127 - 22); /* a zero block keeps the least scale */
    assert_int_equal(row[448 + 129], 127 + 1);
    assert_int_equal(row[448 + 130], 127);
    assert_int_equal(row[583], 0);
    assert_int_equal(row[64], 0x7e); /* 896 = 448 * 2 */
    memcpy(&v, row + 448, 2);
    assert_int_equal(v, dr_bf16__of(x[448]));
    const int32_t idx[1] = {0};
    ref.kv_unpack(queue, y, row, idx, 1, DIM, ROPE);
    for (int i = 0; i < DIM; i++) {
        const float want = i < 64 ? 0.0f : i < 128 ? 896.0f : i >= 448 ? dr_round_bf16(x[i]) : dr_bf16__value(y[i]);
        assert_true(dr_bf16__value(y[i]) == want);
    }
    assert_true(dr_bf16__value(y[129]) == 1.0f); /* 1.0078125 to three bits */
}

static void ref__to_operand_rounds_blocks_of_128(void **state)
{
    enum { K = 160 };
    float x[K] = {0};
    uint16_t y[K];
    (void)state;
    x[0] = 448.0f;
    x[1] = 17.0f;   /* step 2 at this scale: a tie, to the even 16 */
    x[128] = 17.0f; /* its block's largest: scale 2^-4, 272 in units of it: a tie again, 256 */
    x[129] = 1.0625f;
    ref.to_operand(queue, y, x, 1, K, DR_QUANT_FP8_128);
    assert_true(dr_bf16__value(y[0]) == 448.0f && dr_bf16__value(y[1]) == 16.0f);
    assert_true(dr_bf16__value(y[128]) == 16.0f && dr_bf16__value(y[129]) == 1.0f);
    ref.to_operand(queue, y, x, 1, K, DR_QUANT_NONE);
    assert_true(dr_bf16__value(y[1]) == 17.0f);
}

/* Keys are one-hot in their own dimension, all logits 0: the output shows which keys were seen and with what weight. */
static void ref__attention_sees_window_and_entries(void **state)
{
    enum { DIM = 96, WINDOW = 3, N = 6, HEADS = 2, ENTRIES = 4 };
    static float out[N * HEADS * DIM], query[N * HEADS * DIM];
    static uint16_t window[N * DIM], entries[ENTRIES * DIM];
    const float sink[HEADS] = {0.0f, -INFINITY};
    const int32_t selected[N * 2] = {0, 0, 1, 0, 0, 2, 1, 3, 0, 3, 2, 3}, n_selected[N] = {0, 1, 2, 2, 2, 2};
    (void)state;
    for (int p = 0; p < N; p++)
        window[p * DIM + p] = dr_bf16__of(1.0f);
    for (int e = 0; e < ENTRIES; e++)
        entries[e * DIM + 40 + e] = dr_bf16__of(1.0f);
    const dr_attention a = {.out = out, .q = query, .sink = sink, .n_q = N, .pos0 = 0, .n_heads = HEADS, .dim = DIM, .scale = 1.0f,
                            .window = window, .window_pos0 = 0, .window_len = WINDOW, .entries = entries,
                            .selected = selected, .selected_stride = 2, .n_selected = n_selected};
    ref.attention(queue, &a);
    for (int t = 0; t < N; t++)
        for (int h = 0; h < HEADS; h++) {
            const int first = t - WINDOW + 1 > 0 ? t - WINDOW + 1 : 0;
            const float weight = dr_round_bf16(1.0f / (float)(t - first + 1 + n_selected[t] + (h == 0)));
            const float *o = out + (t * HEADS + h) * DIM;
            for (int d = 0; d < DIM; d++) {
                bool seen = d >= first && d <= t;
                for (int s = 0; s < n_selected[t]; s++)
                    seen = seen || d == 40 + selected[t * 2 + s];
                assert_true(o[d] == (seen ? weight : 0.0f));
            }
        }
}

static void ref__attention_survives_a_huge_sink(void **state)
{
    enum { DIM = 32 };
    float out[DIM], query[DIM] = {0};
    uint16_t window[DIM];
    const float sink = 1000.0f;
    (void)state;
    for (int d = 0; d < DIM; d++)
        window[d] = dr_bf16__of(1.0f);
    const dr_attention a = {.out = out, .q = query, .sink = &sink, .n_q = 1, .n_heads = 1, .dim = DIM, .scale = 1.0f, .window = window,
                            .window_len = 128};
    ref.attention(queue, &a);
    for (int d = 0; d < DIM; d++)
        assert_true(out[d] == 0.0f);
}

static void ref__topk_breaks_ties_by_lower_index(void **state)
{
    const float scores[8] = {1, 3, NAN, 3, -0.0f, 3, 0.0f, -INFINITY};
    const int32_t n = 8;
    int32_t idx[8], n_out;
    (void)state;
    ref.topk(queue, idx, &n_out, scores, 8, &n, 1, 2);
    assert_int_equal(n_out, 2);
    assert_true(idx[0] == 1 && idx[1] == 3);
    ref.topk(queue, idx, &n_out, scores, 8, &n, 1, 5);
    assert_true(idx[0] == 0 && idx[1] == 1 && idx[2] == 3 && idx[3] == 4 && idx[4] == 5);
    ref.topk(queue, idx, &n_out, scores, 8, &n, 1, 7); /* NaN counts as -inf, and comes before the later -inf */
    assert_true(n_out == 7 && idx[2] == 2 && idx[6] == 6);
    const int32_t few = 3;
    ref.topk(queue, idx, &n_out, scores, 8, &few, 1, 8);
    assert_true(n_out == 3 && idx[0] == 0 && idx[2] == 2);
}

static void ref__route_selects_by_bias_and_weighs_without(void **state)
{
    const float logits[4] = {5, 1, -1, 0}, bias[4] = {-10, 0, 10, 0};
    const int32_t fixed[2 * 2] = {0, 1, 3, 0}, token = 1;
    int32_t ids[2];
    float g[2];
    (void)state;
    ref.route(queue, ids, g, logits, bias, NULL, NULL, 1, 4, 2, 1.5f);
    assert_true(ids[0] == 1 && ids[1] == 2);
    near(g[0], 1.5 * 1.1459763 / (1.1459763 + 0.5596979), 1e-6);
    near(g[0] + g[1], 1.5, 1e-6);
    ref.route(queue, ids, g, logits, NULL, fixed, &token, 1, 4, 2, 1.5f); /* row {3, 0}, ascending */
    assert_true(ids[0] == 0 && ids[1] == 3);
    near(g[1], 1.5 * 0.8325546 / (0.8325546 + 2.2375691), 1e-6);
}

static void ref__pool_overlaps_and_starts_without_predecessor(void **state)
{
    enum { R = 2, E = 1 };
    /* Rows of [previous-half, own-half]; entry 0 has no predecessor. */
    const float k[3 * R * 2] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    float z[3 * R * 2] = {-INFINITY, 0, -INFINITY, 0, 0, 0, 0, 0, 0, 0, 0, 0}, y[2];
    (void)state;
    ref.pool(queue, y, k, z, 2, R, E, true);
    near(y[0], (2 + 4) / 2.0, 0);
    near(y[1], (1 + 3 + 6 + 8) / 4.0, 0);
    const float kh[4] = {1, 2, 3, 8}, zh[4] = {0, 0, 0, logf(3.0f)};
    ref.pool(queue, y, kh, zh, 1, 4, 1, false);
    near(y[0], (1 + 2 + 3 + 24) / 6.0, 0.02);
}

static void ref__swiglu_clamps_one_sided_and_weighs_last(void **state)
{
    const float a[3] = {20, -20, 1}, u[3] = {-30, 30, 2}, g[1] = {0.5f};
    float y[3];
    (void)state;
    ref.swiglu(queue, y, a, u, g, 1, 3, 10.0f);
    assert_true(y[0] == dr_round_bf16(0.5f * -10.0f * 10.0f / (1.0f + dr_expf(-10.0f))));
    near(y[1], 0.5 * -20.0 / (1 + exp(20.0)) * 10.0, 1e-9);
    near(y[2], 0.5 * 2.0 / (1 + exp(-1.0)), 0.004);
    ref.swiglu(queue, y, a, u, NULL, 1, 3, 0.0f);
    assert_true(y[0] == -600.0f);
}

/* Two heads with weights w and -w' leave only what a rounding changed: of the dot product, of its product with w, of the sum. */
static void ref__index_scores_round_three_times(void **state)
{
    enum { DIM = 32, HEADS = 2, CASES = 4 };
    static const struct {
        float q[HEADS], w[HEADS], want;
    } cases[CASES] = {
        {{1.0f + 3 * 0x1p-9f, 1.0f}, {1.0f, -1.0f}, 0x1p-7f}, /* the dot product goes to 1 + 2^-7; exact: 3 * 2^-9 */
        {{1.0f + 0x1p-7f, 1.0f}, {3.0f, -3.0f}, 0x1p-5f},     /* 3 + 3 * 2^-7 goes to 3 + 2^-5; exact: 3 * 2^-7 */
        {{1.0f, 1.0f}, {1.0f, 0x1p-9f}, 1.0f},                /* the sum goes to 1; exact: 1 + 2^-9 */
        {{1.0f, -3.0f}, {1.0f, -1.0f}, 1.0f},                 /* a negative product counts as zero, whatever its weight */
    };
    (void)state;
    for (int c = 0; c < CASES; c++) {
        uint16_t q[HEADS * DIM] = {0}, keys[DIM] = {0};
        const int32_t n_visible = 1;
        float score = -1.0f;
        for (int h = 0; h < HEADS; h++) { /* in two parts that BF16 holds: the even and the odd chain */
            q[h * DIM] = dr_bf16__of(cases[c].q[h] < 0.0f ? cases[c].q[h] : 1.0f);
            q[h * DIM + 1] = dr_bf16__of(cases[c].q[h] < 0.0f ? 0.0f : cases[c].q[h] - 1.0f);
        }
        keys[0] = keys[1] = dr_bf16__of(1.0f);
        ref.index_scores(queue, &score, 1, q, cases[c].w, keys, &n_visible, 1, HEADS, DIM);
        assert_true(score == cases[c].want);
    }
}

static void ref__norms(void **state)
{
    enum { K = 40 };
    float x[K], y[K], w[K], heads[K];
    double sum = 0;
    (void)state;
    for (int i = 0; i < K; i++) {
        x[i] = heads[i] = dr_round_bf16(sinf((float)i));
        w[i] = 1.0f + (float)i / 64.0f;
        sum += (double)x[i] * (double)x[i];
    }
    ref.rms_norm(queue, y, x, w, 1, K, 1e-6f);
    ref.head_norm(queue, heads, 1, K, 1e-6f);
    for (int i = 0; i < K; i++) {
        near(y[i], (double)w[i] * (double)x[i] / sqrt(sum / K + 1e-6), 0.008);
        near(heads[i], (double)x[i] / sqrt(sum / K + 1e-6), 0.016);
    }
}

static void ref__rope_turns_pairs_of_the_tail_and_back(void **state)
{
    float x[2 * 6] = {9, 9, 1, 0, 0, 1, 9, 9, 2, 0, 0, 2};
    const float cos_sin[4] = {0.6f, 0.8f, 0, 1};
    (void)state;
    ref.rope(queue, x, cos_sin, 1, 2, 6, 4, false);
    assert_true(x[0] == 9 && x[1] == 9);
    assert_true(x[2] == dr_round_bf16(0.6f) && x[3] == dr_round_bf16(0.8f));
    assert_true(x[4] == -1 && x[5] == 0);
    assert_true(x[8] == dr_round_bf16(1.2f) && x[10] == -2);
    ref.rope(queue, x, cos_sin, 1, 2, 6, 4, true);
    near(x[2], 1.0, 0.01);
    near(x[3], 0.0, 0.01);
    assert_true(x[4] == 0 && x[5] == 1);
}

static void wide__rounds_nothing(void **state)
{
    enum { K = 64 }; /* kv_pack takes whole blocks */
    float x[K], y[K], w[K];
    (void)state;
    for (int i = 0; i < K; i++) {
        x[i] = 1.0f + (float)i * 0x1p-20f;
        w[i] = 1.0f;
    }
    wide.to_operand(queue, y, x, 1, K, DR_QUANT_FP8_128);
    assert_memory_equal(x, y, sizeof x);
    wide.kv_pack(queue, y, x, 1, K, 0);
    assert_memory_equal(x, y, sizeof x);
    wide.rms_norm(queue, y, x, w, 1, K, 0.0f);
    assert_true(y[1] != dr_round_bf16(y[1]));
    assert_int_equal(wide.operand_bytes, 4);
}

static int setup(void **state)
{
    (void)state;
    dr_ops_init_ref(&ref);
    dr_ops_init_wide(&wide);
    return dr_pool_new(&pool, 2, NULL) != DR_OK || dr_queue_new(&queue, pool, NULL) != DR_OK;
}

static int teardown(void **state)
{
    (void)state;
    dr_queue_free(queue);
    dr_pool_free(pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ref__gemm_follows_order_g),
        cmocka_unit_test(ref__pack_reads_every_weight_format),
        cmocka_unit_test(ref__pack_refuses_what_bf16_cannot_hold),
        cmocka_unit_test(ref__sinkhorn_golden),
        cmocka_unit_test(ref__hc_post_contracts_the_first_index),
        cmocka_unit_test(ref__hadamard_golden),
        cmocka_unit_test(ref__kv_row_layout),
        cmocka_unit_test(ref__to_operand_rounds_blocks_of_128),
        cmocka_unit_test(ref__attention_sees_window_and_entries),
        cmocka_unit_test(ref__attention_survives_a_huge_sink),
        cmocka_unit_test(ref__topk_breaks_ties_by_lower_index),
        cmocka_unit_test(ref__route_selects_by_bias_and_weighs_without),
        cmocka_unit_test(ref__pool_overlaps_and_starts_without_predecessor),
        cmocka_unit_test(ref__swiglu_clamps_one_sided_and_weighs_last),
        cmocka_unit_test(ref__index_scores_round_three_times),
        cmocka_unit_test(ref__norms),
        cmocka_unit_test(ref__rope_turns_pairs_of_the_tail_and_back),
        cmocka_unit_test(wide__rounds_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
