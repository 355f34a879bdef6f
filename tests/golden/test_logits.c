/* Logits of the golden checkpoints against independent implementations (DESIGN N3), and every instruction set against ref (N2).
 *
 *   wide   whole models, largest absolute difference to transformers in FP32
 *   real   one layer of every kind, relative distance of a position to reference.py: rounding flips make a few positions differ,
 *          so the median and the share of bad positions are judged. Limits as in mistakes.py. */
#include "engine/decoder.h"
#include "tests/golden/checkpoint.h"
#include "tests/golden/trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double wide_limit = 2e-4, real_median = 1e-6, real_bad = 1e-3, real_bad_share = 0.02;

enum { CHUNK = 128, MAX_TOKENS = 1024 };

typedef struct result {
    int64_t n, vocab;
    float *logits, *mtp; /* [n][vocab]; mtp NULL when not asked for */
} result;

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("%s", err->msg);
}

/* Runs checkpoint NAME's tokens (the first n_first of them when that is not 0). */
static result run(const char *folder, const char *name, const dr_ops *ops, int threads, int64_t n_first, bool mtp)
{
    dr_pool *pool = NULL;
    dr_queue *queue = NULL;
    dr_model *model = NULL;
    dr_decoder *decoder = NULL;
    int32_t *ids;
    result r = {0};
    dr_error err = {0};

    check(golden_tokens(name, &ids, &r.n, &err), &err);
    if (n_first)
        r.n = n_first;
    check(dr_pool_new(&pool, threads, &err), &err);
    check(dr_queue_new(&queue, pool, &err), &err);
    check(dr_model_open(&model, folder, ops, queue, &err), &err);
    check(dr_decoder_new(&decoder, model, queue, CHUNK, MAX_TOKENS, &err), &err);
    r.vocab = dr_model_config(model)->vocab;
    const size_t n = (size_t)(r.n * r.vocab);
    assert_non_null(r.logits = malloc(n * sizeof *r.logits));
    if (mtp)
        assert_non_null(r.mtp = malloc(n * sizeof *r.mtp));
    check(dr_decoder_logits(decoder, ids, r.n, r.logits, r.mtp, &err), &err);
    dr_decoder_free(decoder);
    dr_model_close(model);
    dr_queue_free(queue);
    dr_pool_free(pool);
    free(ids);
    return r;
}

static void result_free(result *r)
{
    free(r->logits);
    free(r->mtp);
}

/* Makes the checkpoint in a folder of its own. */
static void make(char folder[64], const char *name)
{
    dr_error err = {0};

    snprintf(folder, 64, "%s", "/tmp/deepread-golden-XXXXXX");
    assert_non_null(mkdtemp(folder));
    check(golden_write(folder, name, &err), &err);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Expected logits of data/NAME/FILE against `found`, the first rows of both. */
static void compare_wide(const char *name, const char *file, const float *found, int64_t n, int64_t vocab)
{
    char path[256];
    float *expected;
    int64_t rows, columns;
    double worst = 0;
    dr_error err = {0};

    golden_path(path, name, file);
    check(golden_npy(path, &expected, &rows, &columns, &err), &err);
    assert_int_equal(columns, vocab);
    assert_true(rows == n || rows == n - 1); /* the MTP block has no last row */
    for (int64_t i = 0; i < rows * columns; i++) {
        const double off = fabs((double)found[i] - (double)expected[i]);
        worst = off >= worst || isnan(off) ? off : worst;
    }
    printf("%-6s %-12s largest difference %.1e\n", name, file, worst);
    free(expected);
    if (!(worst <= wide_limit))
        fail_msg("%s %s: largest difference %g, allowed %g", name, file, worst, wide_limit);
}

static void compare_real(const char *name, const char *file, const float *found, int64_t n, int64_t vocab,
                         double bad_share)
{
    char path[256];
    float *expected;
    int64_t rows, columns, n_bad = 0, first_bad = -1;
    double *distance;
    dr_error err = {0};

    golden_path(path, name, file);
    check(golden_npy(path, &expected, &rows, &columns, &err), &err);
    assert_int_equal(columns, vocab);
    assert_true(rows == n || rows == n - 1);
    assert_non_null(distance = malloc((size_t)rows * sizeof *distance));
    for (int64_t t = 0; t < rows; t++) {
        double off = 0, size = 0;
        for (int64_t v = 0; v < vocab; v++) {
            const double e = (double)expected[t * vocab + v], d = (double)found[t * vocab + v] - e;
            off += d * d;
            size += e * e;
        }
        distance[t] = sqrt(off / size);
        if (!(distance[t] <= real_bad)) {
            n_bad++;
            first_bad = first_bad < 0 ? t : first_bad;
            if (isnan(distance[t]))
                fail_msg("%s %s: NaN at position %ld", name, file, (long)t);
        }
    }
    qsort(distance, (size_t)rows, sizeof *distance, ascending);
    const double median = distance[rows / 2], share = (double)n_bad / (double)rows;
    printf("%-6s %-12s median %.1e, worst %.1e, above %.0e: %.1f %% (first at %ld)\n", name, file, median, distance[rows - 1],
           real_bad, 100 * share, (long)first_bad);
    free(distance);
    free(expected);
    if (!(median <= real_median) || !(share <= bad_share))
        fail_msg("%s %s: median distance %g (allowed %g), %.1f %% of positions above %g (allowed %.0f %%), the first at %ld", name,
                 file, median, real_median, 100 * share, real_bad, 100 * bad_share, (long)first_bad);
}

/* Every named instruction set that this machine has gives ref's bits; the first of them on two threads. */
static void compare_levels(const char *folder, const char *name, const result *ref, int64_t n_first)
{
    static const char *const levels[] = {"avx2", "avx512", "amx"};

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        dr_ops ops;
        dr_error err = {0};
        const dr_status st = dr_ops_init_named(&ops, levels[i], &err);
        if (st == DR_ERR_DEVICE)
            continue;
        check(st, &err);
        result r = run(folder, name, &ops, i == 0 ? 2 : 1, n_first, ref->mtp != NULL);
        for (int64_t j = 0; j < r.n * r.vocab; j++)
            if (memcmp(&r.logits[j], &ref->logits[j], sizeof(float)) != 0 ||
                (r.mtp && j < (r.n - 1) * r.vocab && memcmp(&r.mtp[j], &ref->mtp[j], sizeof(float)) != 0))
                fail_msg("%s on %s: position %ld, token %ld differs from ref", name, levels[i], (long)(j / r.vocab),
                         (long)(j % r.vocab));
        result_free(&r);
    }
}

static void in_real_mode(const char *name, bool mtp)
{
    char folder[64];
    dr_ops ops;

    make(folder, name);
    dr_ops_init_ref(&ops);
    result r = run(folder, name, &ops, 1, 0, mtp);
    compare_levels(folder, name, &r, 0);
    golden_remove(folder);
    compare_real(name, "real.npy", r.logits, r.n, r.vocab, real_bad_share);
    if (mtp) /* two blocks deep: a flip in the first reaches a whole window of the second, so the median alone is judged */
        compare_real(name, "real.mtp.npy", r.mtp, r.n, r.vocab, 0.5);
    result_free(&r);
}

static void in_wide_mode(const char *name, bool mtp)
{
    char folder[64];
    dr_ops ops;

    make(folder, name);
    dr_ops_init_wide(&ops);
    result r = run(folder, name, &ops, 1, 0, mtp);
    golden_remove(folder);
    compare_wide(name, "wide.npy", r.logits, r.n, r.vocab);
    if (mtp)
        compare_wide(name, "wide.mtp.npy", r.mtp, r.n, r.vocab);
    result_free(&r);
}

/* A text shorter than the window, as long as it, and one longer: the same bits as the beginning of a longer text. */
static void shorter_texts(const char *name, int64_t window)
{
    char folder[64];
    dr_ops ops;

    make(folder, name);
    dr_ops_init_ref(&ops);
    result whole = run(folder, name, &ops, 1, window + 8, false);
    for (int64_t n = window - 1; n <= window + 1; n++) {
        result r = run(folder, name, &ops, 1, n, false);
        assert_memory_equal(r.logits, whole.logits, (size_t)(n * r.vocab) * sizeof *r.logits);
        result_free(&r);
    }
    golden_remove(folder);
    result_free(&whole);
}

#define REAL(kind, mtp)                                                                                                              \
    static void logits__real_##kind(void **state)                                                                                    \
    {                                                                                                                                \
        (void)state;                                                                                                                 \
        in_real_mode(#kind, mtp);                                                                                                    \
    }
#define WIDE(kind, mtp)                                                                                                              \
    static void logits__wide_##kind(void **state)                                                                                    \
    {                                                                                                                                \
        (void)state;                                                                                                                 \
        in_wide_mode(#kind, mtp);                                                                                                    \
    }
REAL(swa, false)
REAL(hash, false)
REAL(csa, false)
REAL(hca, false)
REAL(fp8, false)
REAL(mtp, true)
WIDE(swa, false)
WIDE(hash, false)
WIDE(csa, false)
WIDE(hca, false)
WIDE(fp8, false)
WIDE(mtp, true)
WIDE(flash, false)
WIDE(pro, false)
WIDE(odd, false)

/* Deep models in the real mode have no fair expectation, but the instruction sets must agree there too. */
static void logits__levels_agree_on_deep_models(void **state)
{
    enum { N = 2 * 128 + 16 }; /* two entries of ratio 128 */
    static const char *const names[] = {"flash", "pro", "odd"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[64];
        dr_ops ops;
        make(folder, names[i]);
        dr_ops_init_ref(&ops);
        result r = run(folder, names[i], &ops, 1, N, strcmp(names[i], "odd") != 0);
        compare_levels(folder, names[i], &r, N);
        golden_remove(folder);
        result_free(&r);
    }
}

/* The layers of the official plans: what prefill gives for the last positions, a fork that decodes them one by one gives too, and what a
 * trace sees on the way is the same on every level. */
static void logits__decoded_one_by_one(void **state)
{
    enum { N = 64 };
    static const char *const names[] = {"flash", "pro"}, *const levels[] = {"ref", "avx2", "avx512", "amx"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char folder[64];
        trace first = {0};
        make(folder, names[i]);
        for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
            dr_pool *pool;
            dr_queue *queue;
            dr_model *model;
            dr_ops ops;
            int32_t *ids;
            int64_t n_ids;
            trace t;
            dr_error err = {0};
            const trace_how how = {0};
            const dr_status st = dr_ops_init_named(&ops, levels[l], &err);
            if (st == DR_ERR_DEVICE)
                continue;
            check(st, &err);
            check(golden_tokens(names[i], &ids, &n_ids, &err), &err);
            check(dr_pool_new(&pool, 1, &err), &err);
            check(dr_queue_new(&queue, pool, &err), &err);
            const dr_ops seeing = trace_ops(&ops);
            check(dr_model_open(&model, folder, &seeing, queue, &err), &err);
            const dr_config *c = dr_model_config(model);
            check(trace_run(&t, model, queue, ids, n_ids, N, &how, &err), &err);
            assert_int_equal(t.n_other, 0);
            if (l == 0) {
                first = t;
            } else {
                const size_t token = (size_t)c->hc_mult * (size_t)c->dim * sizeof(float);
                for (int32_t k = 0; k < c->n_layers + c->n_mtp; k++) {
                    const size_t rows = k < c->n_layers ? N : N - 1;
                    assert_memory_equal(t.streams[k], first.streams[k], rows * token);
                    assert_memory_equal(t.experts[k], first.experts[k], rows * (size_t)c->n_active * sizeof(int32_t));
                    if (first.selected[k])
                        assert_memory_equal(t.selected[k], first.selected[k], rows * (size_t)c->index_topk * sizeof(int32_t));
                }
                assert_memory_equal(t.mtp, first.mtp, (N - 1) * (size_t)c->vocab * sizeof(float));
                trace_fini(&t);
            }
            dr_model_close(model);
            dr_queue_free(queue);
            dr_pool_free(pool);
            free(ids);
        }
        trace_fini(&first);
        golden_remove(folder);
    }
}

static void logits__text_around_window_length(void **state)
{
    (void)state;
    shorter_texts("csa", 128);
    shorter_texts("hca", 128);
    shorter_texts("odd", 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits__wide_swa),   cmocka_unit_test(logits__wide_hash), cmocka_unit_test(logits__wide_csa),
        cmocka_unit_test(logits__wide_hca),   cmocka_unit_test(logits__wide_fp8),  cmocka_unit_test(logits__wide_mtp),
        cmocka_unit_test(logits__wide_flash), cmocka_unit_test(logits__wide_pro),  cmocka_unit_test(logits__wide_odd),
        cmocka_unit_test(logits__real_swa),   cmocka_unit_test(logits__real_hash), cmocka_unit_test(logits__real_csa),
        cmocka_unit_test(logits__real_hca),   cmocka_unit_test(logits__real_fp8),  cmocka_unit_test(logits__real_mtp),
        cmocka_unit_test(logits__levels_agree_on_deep_models), cmocka_unit_test(logits__decoded_one_by_one),
        cmocka_unit_test(logits__text_around_window_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
