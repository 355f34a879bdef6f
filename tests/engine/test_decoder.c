/* One timeline, whatever way it came to be: the same bits (DESIGN N1, N2). */
#include "engine/decoder.h"
#include "tests/engine/tiny_checkpoint.h"
#include "tests/support/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH = 2200, VOCAB = 80, CHUNK = 256 };

static char folder[64];
static dr_pool *pool;
static dr_queue *queue;
static dr_model *model; /* best level of this machine, one thread */
static int32_t ids[LENGTH + 64];
static float *truth; /* [LENGTH][VOCAB], computed in one go */

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("status %d: %s", st, err->msg);
}

static dr_decoder *fresh(int32_t chunk)
{
    dr_decoder *d;
    dr_error err = {0};
    check(dr_decoder_new(&d, model, queue, chunk, LENGTH + 64, &err), &err);
    return d;
}

static int set_up(void **state)
{
    (void)state;
    const tiny_spec s = tiny_all_kinds();
    tiny *t = tiny_new(&s);
    dr_ops ops;
    dr_error err = {0};
    uint64_t seed = 7;

    tiny_write(t, folder, 1);
    tiny_free(t);
    check(dr_pool_new(&pool, 1, &err), &err);
    check(dr_queue_new(&queue, pool, &err), &err);
    check(dr_ops_init_named(&ops, NULL, &err), &err);
    check(dr_model_open(&model, folder, &ops, queue, &err), &err);
    for (int i = 0; i < LENGTH + 64; i++)
        ids[i] = (int32_t)(tiny_random(&seed) % VOCAB);
    if (!(truth = malloc((size_t)LENGTH * VOCAB * sizeof *truth)))
        return 1;
    dr_decoder *d = fresh(CHUNK);
    check(dr_decoder_logits(d, ids, LENGTH, truth, NULL, &err), &err);
    dr_decoder_free(d);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(truth);
    dr_model_close(model);
    dr_queue_free(queue);
    dr_pool_free(pool);
    tiny_remove_folder(folder);
    return 0;
}

static void same_rows(const float *found, int64_t pos, int64_t n, const char *what)
{
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < VOCAB; k++) {
            const float *expected = truth + (pos + i) * VOCAB;
            if (memcmp(&found[i * VOCAB + k], &expected[k], sizeof(float)) != 0)
                fail_msg("%s: position %lld, logit %d is %.9g, expected %.9g", what, (long long)(pos + i), k,
                         (double)found[i * VOCAB + k], (double)expected[k]);
        }
}

/* The timeline at its position goes on for n tokens with the logits it would have had. */
static void goes_on(dr_decoder *d, int64_t n, const char *what)
{
    float *found = malloc((size_t)(n * VOCAB) * sizeof *found);
    const int64_t pos = dr_decoder_position(d);
    dr_error err = {0};
    assert_non_null(found);
    check(dr_decoder_logits(d, ids + pos, n, found, NULL, &err), &err);
    same_rows(found, pos, n, what);
    assert_int_equal(dr_decoder_position(d), pos + n);
    assert_memory_equal(dr_decoder_tokens(d), ids, (size_t)(pos + n) * sizeof *ids);
    free(found);
}

static void to_position(dr_decoder *d, int64_t pos)
{
    dr_error err = {0};
    const int64_t at = dr_decoder_position(d);
    check(dr_decoder_prefill(d, ids + at, pos - at, NULL, NULL, &err), &err);
}

static void decoder__logits_are_finite_and_differ(void **state)
{
    (void)state;
    int equal = 0;
    for (int64_t i = 0; i < (int64_t)LENGTH * VOCAB; i++)
        assert_true(isfinite(truth[i]));
    for (int64_t i = 1; i < LENGTH; i++)
        equal += memcmp(truth, truth + i * VOCAB, VOCAB * sizeof(float)) == 0;
    assert_int_equal(equal, 0);
}

/* Chunks x threads x levels, over lengths below, at and above the window and with entries really selected. */
static void decoder__bits_do_not_depend_on_chunks_threads_or_level(void **state)
{
    (void)state;
    enum { N = 330 };
    static const char *const levels[] = {"ref", "avx2", "avx512", "amx"};
    static const int64_t steps[] = {1, 7, 64, N};
    float *found = malloc((size_t)N * VOCAB * sizeof *found);
    assert_non_null(found);

    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        dr_ops ops;
        dr_error err = {0};
        const dr_status have = dr_ops_init_named(&ops, levels[l], &err);
        if (have == DR_ERR_DEVICE) {
            print_message("skipped: %s: %s\n", levels[l], err.msg);
            continue;
        }
        check(have, &err);
        for (int threads = 1; threads <= 2; threads++) {
            dr_pool *p;
            dr_queue *q;
            dr_model *m;
            check(dr_pool_new(&p, threads, &err), &err);
            check(dr_queue_new(&q, p, &err), &err);
            check(dr_model_open(&m, folder, &ops, q, &err), &err);
            for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
                dr_decoder *d;
                char what[64];
                check(dr_decoder_new(&d, m, q, s == 3 ? 128 * 3 : 128, N, &err), &err);
                for (int64_t at = 0; at < N; at += steps[s])
                    check(dr_decoder_logits(d, ids + at, at + steps[s] < N ? steps[s] : N - at, found + at * VOCAB,
                                            NULL, &err),
                          &err);
                snprintf(what, sizeof what, "%s, %d threads, chunks of %d", levels[l], threads, (int)steps[s]);
                same_rows(found, 0, N, what);
                dr_decoder_free(d);
            }
            dr_model_close(m);
            dr_queue_free(q);
            dr_pool_free(p);
        }
    }
    free(found);
}

/* The wide table has its own truth: it rounds nothing. */
static void decoder__wide_bits_do_not_depend_on_chunks(void **state)
{
    (void)state;
    enum { N = 150 };
    static float whole[N * VOCAB], found[N * VOCAB];
    dr_model *m;
    dr_decoder *d;
    dr_ops ops;
    dr_error err = {0};

    dr_ops_init_wide(&ops);
    check(dr_model_open(&m, folder, &ops, queue, &err), &err);
    check(dr_decoder_new(&d, m, queue, 256, N, &err), &err);
    check(dr_decoder_logits(d, ids, N, whole, NULL, &err), &err);
    dr_decoder_reset(d);
    for (int64_t at = 0; at < N; at += 7)
        check(dr_decoder_logits(d, ids + at, at + 7 < N ? 7 : N - at, found + at * VOCAB, NULL, &err), &err);
    assert_memory_equal(whole, found, sizeof whole);
    const dr_digest id = dr_decoder_numerics_id(m), other = dr_decoder_numerics_id(model);
    assert_memory_not_equal(&id, &other, sizeof id);
    dr_decoder_free(d);
    dr_model_close(m);
}

static const int64_t borders[] = {0,   1,   3,   4,    5,    39,   40,   41,   63,   64,   68,   71,  127, 128,
                                  129, 131, 500, 1023, 2047, 2048, 2049, 2052, 2060, 2111, 2112, 2190};
enum { N_BORDERS = sizeof borders / sizeof borders[0] };

static void *exported(const dr_decoder *d, size_t *n)
{
    dr_error err = {0};
    *n = dr_decoder_anchor_bytes(model, dr_decoder_position(d));
    void *bytes = malloc(*n); /* exactly: a byte too many is seen under the address sanitizer */
    assert_non_null(bytes);
    check(dr_decoder_export_anchor(d, bytes, &err), &err);
    return bytes;
}

static void decoder__restored_timelines_go_on_alike(void **state)
{
    (void)state;
    const size_t block_bytes = dr_decoder_block_bytes(model);
    dr_decoder *d = fresh(CHUNK), *r = fresh(128);
    void *block = malloc(block_bytes);
    dr_error err = {0};

    assert_non_null(block);
    for (size_t i = 0; i < N_BORDERS; i++) {
        size_t n, again;
        to_position(d, borders[i]);
        void *anchor = exported(d, &n);
        check(dr_decoder_import_begin(r, ids, borders[i], &err), &err);
        if (borders[i] >= DR_BLOCK_TOKENS) {
            check(dr_decoder_export_block(d, 0, block, &err), &err);
            check(dr_decoder_import_block(r, 0, block, block_bytes, &err), &err);
        }
        check(dr_decoder_import_anchor(r, anchor, n, &err), &err);
        assert_int_equal(dr_decoder_position(r), borders[i]);
        void *twice = exported(r, &again);
        assert_int_equal(n, again);
        assert_memory_equal(anchor, twice, n);
        goes_on(r, 10, "restored");
        free(twice);
        free(anchor);
    }
    goes_on(d, 5, "after exports");
    free(block);
    dr_decoder_free(d);
    dr_decoder_free(r);
}

static void decoder__forks_share_a_past_and_nothing_else(void **state)
{
    (void)state;
    dr_decoder *d = fresh(CHUNK);
    dr_error err = {0};
    int32_t other[40];

    for (int i = 0; i < 40; i++)
        other[i] = (ids[i] + 1) % VOCAB;
    for (size_t i = 0; i < N_BORDERS; i++) {
        dr_decoder *a, *b;
        to_position(d, borders[i]);
        check(dr_decoder_fork(&a, d, &err), &err);
        check(dr_decoder_prefill(a, other, 40, NULL, NULL, &err), &err); /* writes what was shared */
        check(dr_decoder_fork(&b, d, &err), &err);
        goes_on(b, 10, "fork");
        dr_decoder_free(b);
        dr_decoder_free(a);
    }
    goes_on(d, 10, "forked from");
    dr_decoder *child;
    check(dr_decoder_fork(&child, d, &err), &err);
    dr_decoder_free(d); /* a fork outlives its origin */
    check(dr_decoder_rewind(child, 2050, &err), &err);
    goes_on(child, 20, "orphaned fork");
    dr_decoder_free(child);
}

/* Forks hold next to nothing until they run; then windows, tails and the page they write are their own, and all are counted. */
static void decoder__forks_share_memory_until_they_run(void **state)
{
    (void)state;
    enum { FORKS = 12, POSITION = 2100 };
    dr_decoder *d = fresh(CHUNK), *f[FORKS];
    size_t shared, before_shared;
    dr_error err = {0};

    to_position(d, POSITION);
    const size_t before = dr_decoder_memory(d, &before_shared), page = dr_decoder_block_bytes(model);
    assert_int_equal(before_shared, 0);
    for (int i = 0; i < FORKS; i++)
        check(dr_decoder_fork(&f[i], d, &err), &err);
    const size_t own = dr_decoder_memory(f[0], &shared);
    assert_true(own < before / 8);
    assert_true(shared > 2 * page && own + shared <= before + before / 8);
    assert_int_equal(dr_decoder_memory(d, &shared) + shared, before);
    for (int i = 0; i < FORKS; i += 2) {
        goes_on(f[i], 7, "one of many forks");
        const size_t grown = dr_decoder_memory(f[i], &shared);
        assert_true(grown >= own + page && shared < before_shared + before);
        assert_true(shared >= page); /* of the first block, which no one writes any more */
    }
    goes_on(d, 7, "what they were forked from");
    for (int i = 1; i < FORKS; i += 2)
        goes_on(f[i], 7, "a fork that waited");
    for (int i = 0; i < FORKS; i++)
        dr_decoder_free(f[i]);
    assert_int_equal(dr_decoder_memory(d, &shared) > 0 && shared == 0, 1);
    dr_decoder_free(d);
}

/* Whatever is done first with what a fork shares leaves the other timeline alone. */
static void decoder__forks_may_begin_with_anything(void **state)
{
    (void)state;
    enum { POSITION = 700, WAYS = 5 };
    dr_error err = {0};
    size_t n, empty;

    for (int way = 0; way < WAYS; way++) {
        dr_decoder *d = fresh(CHUNK), *f;
        to_position(d, 600);
        check(dr_decoder_mark(d, &err), &err);
        to_position(d, POSITION);
        check(dr_decoder_fork(&f, d, &err), &err);
        void *anchor = exported(d, &n);
        switch (way) {
        case 0:
            dr_decoder_reset(f);
            free(exported(f, &empty)); /* of position 0 */
            break;
        case 1:
            check(dr_decoder_rewind(f, POSITION - 20, &err), &err);
            break;
        case 2:
            check(dr_decoder_rewind(f, 610, &err), &err);
            break;
        case 3:
            check(dr_decoder_import_begin(f, ids, POSITION, &err), &err);
            check(dr_decoder_import_anchor(f, anchor, n, &err), &err);
            break;
        default:
            check(dr_decoder_mark(f, &err), &err);
            free(exported(f, &empty));
            break;
        }
        goes_on(f, 30, "a fork");
        void *again = exported(d, &empty);
        assert_int_equal(empty, n);
        assert_memory_equal(again, anchor, n);
        goes_on(d, 30, "what it was forked from");
        free(again);
        free(anchor);
        dr_decoder_free(d);
        dr_decoder_free(f);
    }
}

/* Two timelines that write other tokens at the same positions, in turns. */
static void decoder__forks_take_turns(void **state)
{
    (void)state;
    enum { N = 120 };
    static const int64_t starts[] = {1, 4, 39, 130, 1990};
    static float expected[N * VOCAB], found[N * VOCAB];
    int32_t other[N];
    dr_error err = {0};

    for (int i = 0; i < N; i++)
        other[i] = (ids[i] + 1 + i % 7) % VOCAB;
    for (size_t k = 0; k < sizeof starts / sizeof starts[0]; k++) {
        dr_decoder *d = fresh(CHUNK), *alone = fresh(CHUNK), *f;
        to_position(d, starts[k]);
        to_position(alone, starts[k]);
        check(dr_decoder_logits(alone, other, N, expected, NULL, &err), &err);
        check(dr_decoder_fork(&f, d, &err), &err);
        for (int at = 0, n; at < N; at += n) {
            n = at % 5 + 1 < N - at ? at % 5 + 1 : N - at;
            check(dr_decoder_logits(f, other + at, n, found + at * VOCAB, NULL, &err), &err);
            goes_on(d, n, "in turns with a fork");
        }
        assert_memory_equal(found, expected, sizeof expected);
        dr_decoder_free(f);
        dr_decoder_free(alone);
        dr_decoder_free(d);
    }
}

static void decoder__rewound_timelines_go_on_alike(void **state)
{
    (void)state;
    dr_decoder *d = fresh(CHUNK);
    dr_error err = {0};

    to_position(d, 500);
    check(dr_decoder_mark(d, &err), &err);
    for (size_t i = N_BORDERS; i-- > 0;) {
        if (dr_decoder_position(d) < 2200)
            to_position(d, LENGTH);
        check(dr_decoder_rewind(d, borders[i], &err), &err);
        assert_int_equal(dr_decoder_position(d), borders[i]);
        goes_on(d, 10, "rewound");
    }
    /* A few tokens taken back again and again, as drafting does. */
    to_position(d, 2030);
    for (int i = 0; i < 60; i++) {
        const int64_t pos = dr_decoder_position(d);
        goes_on(d, 1 + i % 9, "drafted");
        check(dr_decoder_rewind(d, pos + 1, &err), &err);
    }
    goes_on(d, 30, "after drafts");
    assert_int_equal(dr_decoder_rewind(d, dr_decoder_position(d) + 1, &err), DR_ERR_ARG);
    assert_int_equal(dr_decoder_rewind(d, -1, &err), DR_ERR_ARG);
    dr_decoder_reset(d);
    assert_int_equal(dr_decoder_position(d), 0);
    goes_on(d, 30, "reset");
    dr_decoder_free(d);
}

static void same_mtp(const float *a, const float *b, int64_t from, int64_t to, const char *what)
{
    for (int64_t i = from; i < to; i++)
        if (memcmp(a + i * VOCAB, b + i * VOCAB, VOCAB * sizeof *a) != 0)
            fail_msg("%s: the MTP row of position %lld differs", what, (long long)i);
}

static void decoder__mtp_bits_do_not_depend_on_chunks(void **state)
{
    (void)state;
    enum { N = 300 };
    static const int64_t steps[] = {1, 7, 64, 150};
    float *logits = malloc((size_t)N * VOCAB * sizeof *logits), *whole = malloc((size_t)N * VOCAB * sizeof *whole);
    float *mtp = malloc((size_t)N * VOCAB * sizeof *mtp);
    dr_error err = {0};

    assert_true(logits && whole && mtp);
    dr_decoder *d = fresh(384);
    check(dr_decoder_logits(d, ids, N, logits, whole, &err), &err);
    same_rows(logits, 0, N, "logits beside MTP");
    for (int i = 0; i < VOCAB; i++)
        assert_true(isnan(whole[(N - 1) * VOCAB + i]) && isfinite(whole[i]));
    dr_decoder_free(d);
    d = fresh(128); /* passes of 128 in one call */
    check(dr_decoder_logits(d, ids, N, logits, mtp, &err), &err);
    same_mtp(mtp, whole, 0, N - 1, "passes of 128");
    dr_decoder_free(d);
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        d = fresh(256);
        for (int64_t at = 0; at < N; at += steps[s]) {
            const int64_t n = at + steps[s] < N ? steps[s] : N - at;
            check(dr_decoder_logits(d, ids + at, n, logits, mtp, &err), &err);
            if (n > 1) /* the last row of a call waits for a token that never comes */
                for (int64_t i = 0; i < n - 1; i++)
                    if (memcmp(mtp + i * VOCAB, whole + (at + i) * VOCAB, VOCAB * sizeof *mtp) != 0)
                        fail_msg("calls of %lld: the MTP row of position %lld differs", (long long)steps[s],
                                 (long long)(at + i));
        }
        dr_decoder_free(d);
    }
    d = fresh(128);
    to_position(d, 5);
    assert_int_equal(dr_decoder_logits(d, ids + 5, 3, logits, mtp, &err), DR_ERR_ARG);
    dr_decoder_free(d);
    free(logits);
    free(whole);
    free(mtp);
}

static void decoder__says_what_it_cannot_do(void **state)
{
    (void)state;
    dr_decoder *d = fresh(128), *none;
    int32_t bad[3] = {1, VOCAB, 2};
    float logits[VOCAB];
    dr_error err = {0};
    size_t n;

    to_position(d, 10);
    assert_int_equal(dr_decoder_prefill(d, bad, 3, logits, NULL, &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "id 80, expected 0 to 79"));
    bad[1] = -1;
    assert_int_equal(dr_decoder_prefill(d, bad, 3, NULL, NULL, &err), DR_ERR_ARG);
    assert_int_equal(dr_decoder_position(d), 10);
    assert_int_equal(dr_decoder_prefill(d, ids, LENGTH + 55, NULL, NULL, &err), DR_ERR_LIMIT);
    assert_int_equal(dr_decoder_new(&none, model, queue, 100, 1000, &err), DR_ERR_ARG);
    assert_null(none);
    assert_int_equal(dr_decoder_export_block(d, 0, logits, &err), DR_ERR_ARG);
    goes_on(d, 5, "after refusals");

    void *anchor = exported(d, &n);
    check(dr_decoder_import_begin(d, ids, 15, &err), &err);
    assert_int_equal(dr_decoder_prefill(d, ids, 1, NULL, NULL, &err), DR_ERR_ARG);
    assert_int_equal(dr_decoder_import_anchor(d, anchor, n - 1, &err), DR_ERR_FORMAT);
    assert_int_equal(dr_decoder_position(d), 0);
    goes_on(d, 5, "after a failed restore");
    check(dr_decoder_import_begin(d, ids, 15, &err), &err);
    memset(anchor, 1, 4);
    assert_int_equal(dr_decoder_import_anchor(d, anchor, n, &err), DR_ERR_FORMAT);
    check(dr_decoder_import_begin(d, ids, 2100, &err), &err);
    assert_int_equal(dr_decoder_import_anchor(d, anchor, n, &err), DR_ERR_ARG); /* its block is missing */
    check(dr_decoder_import_begin(d, ids, 2100, &err), &err);
    assert_int_equal(dr_decoder_import_block(d, 1, anchor, n, &err), DR_ERR_ARG);
    check(dr_decoder_import_begin(d, ids, 2100, &err), &err);
    assert_int_equal(dr_decoder_import_block(d, 0, anchor, n, &err), DR_ERR_FORMAT);
    assert_int_equal(dr_decoder_import_begin(d, ids, LENGTH + 65, &err), DR_ERR_LIMIT);
    goes_on(d, 5, "after failed restores");
    free(anchor);
    dr_decoder_free(d);
}

/* ---- cancelling: a table whose router sets the flag ---- */

static atomic_bool stop;
static int routes_left;
static dr_ops plain;

static void stopping_route(dr_queue *q, int32_t *out, float *g, const float *logits, const float *bias,
                           const int32_t *fixed, const int32_t *tokens, int64_t m, int32_t n_experts, int32_t k,
                           float scale)
{
    if (routes_left-- == 0)
        atomic_store(&stop, true);
    plain.route(q, out, g, logits, bias, fixed, tokens, m, n_experts, k, scale);
}

static void decoder__a_cancelled_pass_leaves_no_trace(void **state)
{
    (void)state;
    dr_model *m;
    dr_error err = {0};
    check(dr_ops_init_named(&plain, NULL, &err), &err);
    dr_ops ops = plain;
    ops.route = stopping_route;
    check(dr_model_open(&m, folder, &ops, queue, &err), &err);
    for (int64_t start = 0; start <= 200; start += 100)
        for (int64_t n = 20; n <= 300; n += 280)
            for (int when = 0; when < 8; when++) { /* 4 layers a pass */
                dr_decoder *d;
                float logits[VOCAB];
                routes_left = -1;
                check(dr_decoder_new(&d, m, queue, 128, LENGTH, &err), &err);
                check(dr_decoder_prefill(d, ids, start, NULL, NULL, &err), &err);
                routes_left = when;
                atomic_store(&stop, false);
                const dr_status st = dr_decoder_prefill(d, ids + start, n, NULL, &stop, &err);
                routes_left = -1;
                const int64_t pos = dr_decoder_position(d);
                const int64_t passes = (when + 1) / 4;
                assert_int_equal(st, n == 20 && when >= 3 ? DR_OK : DR_ERR_CANCELLED);
                assert_int_equal(pos, st == DR_OK ? start + n : start + 128 * passes);
                check(dr_decoder_prefill(d, ids + pos, 9, logits, NULL, &err), &err);
                same_rows(logits, pos + 8, 1, "cancelled");
                dr_decoder_free(d);
            }
    dr_model_close(m);
}

static void decoder__steps_do_not_allocate(void **state)
{
    (void)state;
    dr_decoder *d = fresh(128);
    float logits[VOCAB];
    dr_error err = {0};

    to_position(d, 100);
    check(dr_decoder_prefill(d, ids + 100, 1, logits, NULL, &err), &err);
    const long before = alloc_count();
    for (int i = 101; i < 400; i++)
        check(dr_decoder_prefill(d, ids + i, 1, logits, NULL, &err), &err);
    check(dr_decoder_prefill(d, ids + 400, 700, logits, NULL, &err), &err);
    assert_int_equal(alloc_count(), before);
    dr_decoder_free(d);
}

static void decoder__survives_failing_allocations(void **state)
{
    (void)state;
    dr_error err;
    bool failed = true;

    for (long n = 0; failed; n++) {
        dr_decoder *d = NULL, *f = NULL;
        err = (dr_error){0};
        alloc_fail_at(n);
        dr_status st = dr_decoder_new(&d, model, queue, 128, LENGTH, &err);
        if (st == DR_OK)
            st = dr_decoder_prefill(d, ids, 30, NULL, NULL, &err);
        if (st == DR_OK)
            st = dr_decoder_mark(d, &err);
        if (st == DR_OK)
            st = dr_decoder_fork(&f, d, &err);
        if (st == DR_OK)
            st = dr_decoder_prefill(f, ids + 30, 30, NULL, NULL, &err);
        failed = alloc_fail_off();
        assert_true(failed ? st == DR_ERR_NOMEM : st == DR_OK);
        if (d && dr_decoder_position(d) == 30)
            goes_on(d, 5, "after a failed allocation");
        dr_decoder_free(f);
        dr_decoder_free(d);
    }
}

/* Infinities and NaN travel through routing and selection without harm, on every level. */
static void decoder__absurd_weights_do_no_harm(void **state)
{
    (void)state;
    static const char *const levels[] = {"ref", NULL};
    static const char *const torn[] = {"embed.weight", "layers.1.ffn.gate.weight",
                                       "layers.1.attn.compressor.wgate.weight",
                                       "layers.3.attn.indexer.weights_proj.weight"};
    enum { N = 200 };
    static float logits[N * VOCAB];

    for (size_t l = 0; l < 2; l++)
        for (size_t k = 0; k < sizeof torn / sizeof torn[0]; k++) {
            const tiny_spec s = tiny_all_kinds();
            tiny *t = tiny_new(&s);
            tiny_tensor *x = tiny_find(t, torn[k]);
            char where[64];
            dr_ops ops;
            dr_model *m;
            dr_decoder *d;
            dr_error err = {0};
            uint64_t seed = k;
            for (size_t i = 0; i < x->n_bytes; i++)
                x->data[i] = (uint8_t)tiny_random(&seed); /* one BF16 in 256 is no number, as many are beyond 1e36 */
            tiny_write(t, where, 1);
            tiny_free(t);
            check(dr_ops_init_named(&ops, levels[l], &err), &err);
            const dr_status st = dr_model_open(&m, where, &ops, queue, &err);
            tiny_remove_folder(where);
            if (st == DR_ERR_FORMAT) /* a matrix may be refused at load instead */
                continue;
            check(st, &err);
            check(dr_decoder_new(&d, m, queue, 128, N + 10, &err), &err);
            check(dr_decoder_logits(d, ids, N, logits, NULL, &err), &err);
            for (int i = 0; i < 10; i++)
                check(dr_decoder_prefill(d, ids + N + i, 1, logits, NULL, &err), &err);
            dr_decoder_free(d);
            dr_model_close(m);
        }
}

static void decoder__plan_is_what_is_taken(void **state)
{
    (void)state;
    int64_t kv;
    const size_t n = dr_decoder_plan(model, 128, LENGTH, &kv);
    assert_true(n > 0 && n < 64 << 20);
    /* CSA every 4 tokens, twice, with index rows; HCA every 16: 64 E4M3, 32 BF16, 1 E8M0 padded to 136; 16 + 1 padded
     * to 20 */
    assert_int_equal(kv, 2 * 256 * (136 + 20) + 64 * 136);
    assert_int_equal(dr_decoder_block_bytes(model), 2 * kv);
    const dr_digest id = dr_decoder_numerics_id(model), again = dr_decoder_numerics_id(model);
    assert_memory_equal(&id, &again, sizeof id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoder__logits_are_finite_and_differ),
        cmocka_unit_test(decoder__bits_do_not_depend_on_chunks_threads_or_level),
        cmocka_unit_test(decoder__wide_bits_do_not_depend_on_chunks),
        cmocka_unit_test(decoder__restored_timelines_go_on_alike),
        cmocka_unit_test(decoder__forks_share_a_past_and_nothing_else),
        cmocka_unit_test(decoder__forks_share_memory_until_they_run),
        cmocka_unit_test(decoder__forks_may_begin_with_anything),
        cmocka_unit_test(decoder__forks_take_turns),
        cmocka_unit_test(decoder__rewound_timelines_go_on_alike),
        cmocka_unit_test(decoder__mtp_bits_do_not_depend_on_chunks),
        cmocka_unit_test(decoder__says_what_it_cannot_do),
        cmocka_unit_test(decoder__a_cancelled_pass_leaves_no_trace),
        cmocka_unit_test(decoder__steps_do_not_allocate),
        cmocka_unit_test(decoder__survives_failing_allocations),
        cmocka_unit_test(decoder__absurd_weights_do_no_harm),
        cmocka_unit_test(decoder__plan_is_what_is_taken),
    };
    return cmocka_run_group_tests_name("decoder", tests, set_up, tear_down);
}
