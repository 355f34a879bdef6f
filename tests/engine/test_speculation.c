/* Speculated tokens are those of plain decoding, bit for bit, whatever is drafted, accepted and taken back. */
#include "engine/sampler.h"
#include "engine/speculation.h"
#include "engine/timeline.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/engine/tiny_checkpoint.h"
#include "tests/support/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH = 2300, VOCAB = 300, CHUNK = 256 };

static char folder[64];
static dr_pool *pool;
static dr_queue *queue;
static dr_model *model;
static int32_t ids[LENGTH];
static float *truth; /* [LENGTH][VOCAB]: logits along ids */

/* The first borders of windows (40), blocks of 4, 16, 128 and 2,048 tokens, and of where selecting begins (68). */
static const int64_t borders[] = {1, 3, 4, 5, 15, 16, 39, 40, 41, 67, 68, 127, 128, 129, 255, 2040, 2045, 2047, 2048, 2049};
enum { N_BORDERS = sizeof borders / sizeof borders[0] };

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("status %d: %s", st, err->msg);
}

static dr_model *open_model(const char *level, dr_queue *q)
{
    dr_model *m;
    dr_ops ops;
    dr_error err = {0};
    const dr_status st = dr_ops_init_named(&ops, level, &err);

    if (st == DR_ERR_DEVICE)
        return NULL;
    check(st, &err);
    check(dr_model_open(&m, folder, &ops, q, &err), &err);
    return m;
}

static dr_decoder *fresh(void)
{
    dr_decoder *d;
    dr_error err = {0};
    check(dr_decoder_new(&d, model, queue, CHUNK, LENGTH, &err), &err);
    return d;
}

static dr_speculation *drafting(dr_decoder *d, int32_t n)
{
    dr_speculation *s;
    dr_error err = {0};
    check(dr_speculation_new(&s, d, n, false, &err), &err);
    return s;
}

static int set_up(void **state)
{
    (void)state;
    tiny_spec spec = tiny_all_kinds();
    spec.vocab = VOCAB;
    tiny *t = tiny_new(&spec);
    dr_error err = {0};
    uint64_t seed = 3;

    tiny_write(t, folder, 1);
    tiny_free(t);
    check(dr_pool_new(&pool, 1, &err), &err);
    check(dr_queue_new(&queue, pool, &err), &err);
    model = open_model(NULL, queue);
    for (int i = 0; i < LENGTH; i++)
        ids[i] = (int32_t)(tiny_random(&seed) % VOCAB);
    if (!model || !(truth = malloc((size_t)LENGTH * VOCAB * sizeof *truth)))
        return 1;
    dr_decoder *d = fresh();
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

static void same(const float *found, const float *expected, int64_t pos, const char *what)
{
    for (int k = 0; k < VOCAB; k++)
        if (memcmp(&found[k], &expected[k], sizeof *found) != 0)
            fail_msg("%s: position %lld, logit %d is %.9g, expected %.9g", what, (long long)pos, k, (double)found[k],
                     (double)expected[k]);
}

static int32_t likeliest(const float *logits)
{
    int32_t best = 0;
    for (int32_t i = 1; i < VOCAB; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* A random model hardly ever agrees with its MTP block, so the caller's will is what is drafted, most of the time. */
static int32_t will(const dr_decoder *d, uint64_t *seed, unsigned part)
{
    const uint64_t r = tiny_random(seed);
    return d->n_ahead > 0 && r % 8 < part ? d->tokens[d->position] : (int32_t)((r >> 8) % VOCAB);
}

/* Steps of which `part` in 8 agree with the draft, against the same tokens in one plain pass. */
static void follows_will(int64_t start, int32_t n_drafts, unsigned part, int64_t n)
{
    dr_decoder *d = fresh(), *plain = fresh();
    dr_speculation *s = drafting(d, n_drafts);
    float *found = malloc((size_t)n * VOCAB * sizeof *found), *expected = malloc((size_t)n * VOCAB * sizeof *found);
    uint64_t seed = (uint64_t)start;
    char what[64];
    dr_error err = {0};

    assert_true(found && expected);
    check(dr_decoder_prefill(d, ids, start, NULL, NULL, &err), &err);
    for (int64_t i = 0; i < n; i++) {
        check(dr_speculation_step(s, will(d, &seed, part), found + i * VOCAB, NULL, NULL, NULL, &err), &err);
        assert_int_equal(dr_decoder_position(d), start + i + 1);
    }
    check(dr_decoder_prefill(plain, ids, start, NULL, NULL, &err), &err);
    check(dr_decoder_logits(plain, dr_decoder_tokens(d) + start, n, expected, NULL, &err), &err);
    snprintf(what, sizeof what, "from %d, %d drafts, %u of 8", (int)start, (int)n_drafts, part);
    for (int64_t i = 0; i < n; i++)
        same(found + i * VOCAB, expected + i * VOCAB, start + i, what);
    const dr_speculation_stat stat = dr_speculation_stats(s);
    assert_int_equal(stat.n_tokens, n);
    assert_int_equal(stat.n_passes + stat.n_accepted, n);
    if (n_drafts && part == 8)
        assert_true(stat.n_accepted > n / 3);
    dr_speculation_free(s);
    dr_decoder_free(d);
    dr_decoder_free(plain);
    free(found);
    free(expected);
}

static void speculation__logits_are_those_of_plain_decoding(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BORDERS; i++)
        for (int32_t n = 0; n <= DR_DRAFTS_AT_MOST; n++)
            for (unsigned part = 4; part <= 8; part += 4)
                follows_will(borders[i], n, part, 24);
    follows_will(1, DR_DRAFTS_AT_MOST, 7, LENGTH - 1); /* through every border there is, up to the last place */
    follows_will(60, 2, 0, 400);
}

/* Greedy to the end, with and without drafts, on every level and with two threads. */
static void speculation__greedy_tokens_are_those_of_plain_decoding(void **state)
{
    (void)state;
    enum { START = 30, N = 200 };
    static const char *const levels[] = {"ref", "avx2", "avx512", "amx"};
    static float logits[VOCAB], all[N][VOCAB];
    int32_t expected[N];
    dr_decoder *d = fresh();
    dr_error err = {0};

    check(dr_decoder_prefill(d, ids, START, logits, NULL, &err), &err);
    for (int i = 0; i < N; i++) {
        expected[i] = likeliest(logits);
        check(dr_decoder_prefill(d, &expected[i], 1, logits, NULL, &err), &err);
        memcpy(all[i], logits, sizeof logits);
    }
    dr_decoder_free(d);
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++)
        for (int32_t n = 1; n <= 2; n++) {
            dr_pool *p;
            dr_queue *q;
            dr_speculation *s;
            check(dr_pool_new(&p, n, &err), &err);
            check(dr_queue_new(&q, p, &err), &err);
            dr_model *m = open_model(levels[l], q);
            if (m) {
                check(dr_decoder_new(&d, m, q, 128, LENGTH, &err), &err);
                check(dr_speculation_new(&s, d, n, l % 2 == 0, &err), &err);
                check(dr_decoder_prefill(d, ids, START, logits, NULL, &err), &err);
                for (int i = 0; i < N; i++) {
                    assert_int_equal(likeliest(logits), expected[i]);
                    check(dr_speculation_step(s, expected[i], logits, NULL, NULL, NULL, &err), &err);
                    same(logits, all[i], START + i, levels[l]);
                }
                dr_speculation_free(s);
                dr_decoder_free(d);
                dr_model_close(m);
            } else {
                print_message("skipped: %s: not on this machine\n", levels[l]);
            }
            dr_queue_free(q);
            dr_pool_free(p);
        }
}

/* The drafts are what the block says by dr_decoder_logits: within a window from the start, and behind one when every pair was
 * followed. */
static void speculation__drafts_are_the_blocks(void **state)
{
    (void)state;
    enum { N = 140 };
    static float logits[N * VOCAB], mtp[N * VOCAB], draft[VOCAB];
    dr_decoder *d = fresh();
    dr_error err = {0};

    check(dr_decoder_logits(d, ids, N, logits, mtp, &err), &err);
    for (int64_t step = 1; step <= 40; step += 13) {
        dr_decoder *f = fresh();
        dr_speculation *s = drafting(f, 1);
        for (int64_t at = 0; at + step < N; at += step) {
            dr_decoder *g;
            check(dr_decoder_prefill(f, ids + at, step, NULL, NULL, &err), &err);
            check(dr_decoder_fork(&g, f, &err), &err);
            check(dr_decoder__own_state(g, &err), &err);
            assert_true(dr_mtp__draft(g, draft, ids[at + step]));
            same(draft, mtp + (at + step - 1) * VOCAB, at + step - 1, "draft");
            dr_decoder_free(g);
        }
        dr_speculation_free(s);
        dr_decoder_free(f);
    }
    dr_decoder_free(d);
}

/* Whatever is called between two steps sees the timeline of the tokens stepped. */
static void speculation__other_calls_take_drafts_back(void **state)
{
    (void)state;
    enum { CALLS = 7 };
    static float logits[VOCAB], rows[8 * VOCAB];
    dr_error err = {0};

    for (size_t b = 0; b < N_BORDERS; b++)
        for (int call = 0; call < CALLS; call++) {
            const int64_t pos = borders[b];
            dr_decoder *d = fresh(), *other = NULL;
            dr_speculation *s = drafting(d, 3);
            check(dr_decoder_prefill(d, ids, pos, NULL, NULL, &err), &err);
            check(dr_speculation_step(s, ids[pos], logits, NULL, NULL, NULL, &err), &err);
            same(logits, truth + pos * VOCAB, pos, "before a call");
            assert_int_equal(d->n_ahead, 3);
            int64_t at = pos + 1;
            size_t n;
            void *bytes;
            switch (call) {
            case 0:
                check(dr_decoder_prefill(d, ids + at, 5, logits, NULL, &err), &err);
                at += 5;
                same(logits, truth + (at - 1) * VOCAB, at - 1, "prefill");
                break;
            case 1:
                check(dr_decoder_logits(d, ids + at, 8, rows, NULL, &err), &err);
                for (int i = 0; i < 8; i++)
                    same(rows + i * VOCAB, truth + (at + i) * VOCAB, at + i, "logits");
                at += 8;
                break;
            case 2:
                check(dr_decoder_mark(d, &err), &err);
                break;
            case 3:
                check(dr_decoder_rewind(d, at - 1, &err), &err);
                at--;
                break;
            case 4: /* the other timeline, which drafts too, goes on first */
                check(dr_decoder_fork(&other, d, &err), &err);
                break;
            case 5:
                n = dr_decoder_anchor_bytes(model, at);
                assert_non_null(bytes = malloc(n));
                check(dr_decoder_export_anchor(d, bytes, &err), &err);
                other = fresh();
                check(dr_decoder_import_begin(other, ids, at, &err), &err);
                if (at >= DR_BLOCK_TOKENS) {
                    void *block = malloc(dr_decoder_block_bytes(model));
                    assert_non_null(block);
                    check(dr_decoder_export_block(d, 0, block, &err), &err);
                    check(dr_decoder_import_block(other, 0, block, dr_decoder_block_bytes(model), &err), &err);
                    free(block);
                }
                check(dr_decoder_import_anchor(other, bytes, n, &err), &err);
                free(bytes);
                break;
            default: /* a step on another token than drafted */
                break;
            }
            if (other) {
                dr_speculation *o = drafting(other, 2);
                for (int64_t i = at; i < at + 12; i++) {
                    check(dr_speculation_step(o, ids[i], logits, NULL, NULL, NULL, &err), &err);
                    same(logits, truth + i * VOCAB, i, "the other timeline");
                }
                dr_speculation_free(o);
                dr_decoder_free(other);
            }
            for (int64_t i = at; i < at + 12; i++) {
                check(dr_speculation_step(s, ids[i], logits, NULL, NULL, NULL, &err), &err);
                same(logits, truth + i * VOCAB, i, "after a call");
            }
            dr_speculation_free(s);
            assert_int_equal(dr_decoder_position(d), at + 12);
            check(dr_decoder_prefill(d, ids + at + 12, 3, logits, NULL, &err), &err);
            same(logits, truth + (at + 14) * VOCAB, at + 14, "without a speculation again");
            dr_decoder_free(d);
        }
}

/* The grammar of the caller decides; drafts are legal where it stands. */
static void speculation__drafts_keep_to_the_grammar(void **state)
{
    (void)state;
    enum { START = 50, N = 120 };
    static const char *const controls[] = {"<end>"};
    static const dr_str longer[] = {{"ab", 2}, {"abc", 3}, {"ba", 2}, {"(a", 2}};
    dr_tokenizer *t = byte_tokenizer(longer, 4, controls, 1);
    dr_grammar *g = dr_grammar_new();
    uint64_t mask[4] = {0};
    static float logits[VOCAB];
    int32_t expected[N], id;
    dr_error err = {0};

    for (const char *p = "abc"; *p; p++)
        mask[*p / 64] |= (uint64_t)1 << *p % 64;
    const dr_node word = dr_grammar_repeat(g, dr_grammar_bytes(g, mask), 1, 5);
    const dr_node parts[] = {dr_grammar_literal(g, (dr_str){"(", 1}), word, dr_grammar_literal(g, (dr_str){")", 1})};
    const dr_node root = dr_grammar_repeat(g, dr_grammar_sequence(g, parts, 3), 1, -1);
    const dr_sampling how = {.temperature = 0, .top_p = 1};
    for (int32_t n_drafts = 0; n_drafts <= DR_DRAFTS_AT_MOST; n_drafts++) {
        dr_constraint *c;
        dr_sampler *sampler;
        dr_decoder *d = fresh();
        dr_speculation *s = drafting(d, n_drafts);
        check(dr_constraint_new(&c, g, root, &err), &err);
        check(dr_sampler_new(&sampler, how, VOCAB, &err), &err);
        check(dr_decoder_prefill(d, ids, START, logits, NULL, &err), &err);
        for (int i = 0; i < N; i++) {
            check(dr_sampler_pick(sampler, &id, logits, c, t, &err), &err);
            if (n_drafts == 0)
                expected[i] = id;
            assert_int_equal(id, expected[i]);
            check(dr_constraint_advance(c, t, id, &err), &err);
            check(dr_speculation_step(s, id, logits, c, t, NULL, &err), &err);
            if (d->n_ahead > 0)
                assert_true(dr_constraint_allows(c, t, d->tokens[d->position]));
            dr_constraint *along;
            check(dr_constraint_clone(&along, c, &err), &err);
            for (int64_t k = 0; k < d->n_ahead; k++)
                check(dr_constraint_advance(along, t, d->tokens[d->position + k], &err), &err);
            dr_constraint_free(along);
        }
        if (n_drafts)
            assert_true(dr_speculation_stats(s).n_drafted > 0);
        dr_speculation_free(s);
        dr_sampler_free(sampler);
        dr_constraint_free(c);
        dr_decoder_free(d);
    }
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

/* After a restore or a rewind the block's window begins anew; drafts come back with the first token whose streams are
 * known. */
static void speculation__drafts_again_after_going_back(void **state)
{
    (void)state;
    static float logits[VOCAB];
    dr_decoder *d = fresh();
    dr_speculation *s = drafting(d, 1);
    dr_error err = {0};

    check(dr_decoder_prefill(d, ids, 300, NULL, NULL, &err), &err);
    check(dr_decoder_mark(d, &err), &err);
    check(dr_decoder_prefill(d, ids + 300, 200, NULL, NULL, &err), &err);
    for (int64_t to = 495; to >= 250; to -= 49) {
        check(dr_decoder_rewind(d, to, &err), &err);
        const int64_t before = dr_speculation_stats(s).n_drafted;
        for (int64_t i = to; i < to + 6; i++) {
            check(dr_speculation_step(s, ids[i], logits, NULL, NULL, NULL, &err), &err);
            same(logits, truth + i * VOCAB, i, "after going back");
        }
        assert_true(dr_speculation_stats(s).n_drafted >= before + 5);
        assert_true(d->mtp.n_pairs >= 5);
    }
    dr_decoder_reset(d);
    check(dr_speculation_step(s, ids[0], logits, NULL, NULL, NULL, &err), &err);
    same(logits, truth, 0, "after a reset");
    dr_speculation_free(s);
    dr_decoder_free(d);
}

static void speculation__says_what_it_cannot_do(void **state)
{
    (void)state;
    static float logits[VOCAB], mtp[VOCAB];
    dr_decoder *d = fresh();
    dr_speculation *s = drafting(d, 2), *none;
    atomic_bool stop = true;
    dr_error err = {0};

    assert_int_equal(dr_speculation_new(&none, d, 2, false, &err), DR_ERR_ARG);
    assert_null(none);
    assert_int_equal(dr_decoder_logits(d, ids, 1, logits, mtp, &err), DR_ERR_ARG); /* the window is the drafts' */
    assert_int_equal(dr_speculation_step(s, VOCAB, logits, NULL, NULL, NULL, &err), DR_ERR_ARG);
    assert_int_equal(dr_speculation_step(s, -1, logits, NULL, NULL, NULL, &err), DR_ERR_ARG);
    check(dr_decoder_prefill(d, ids, 100, NULL, NULL, &err), &err);
    for (int i = 100; i < 140; i++) {
        assert_int_equal(dr_speculation_step(s, ids[i], logits, NULL, NULL, &stop, &err), DR_ERR_CANCELLED);
        assert_int_equal(dr_decoder_position(d), i);
        check(dr_speculation_step(s, ids[i], logits, NULL, NULL, NULL, &err), &err);
        same(logits, truth + i * VOCAB, i, "after a cancelled step");
        check(dr_decoder_rewind(d, i + 1, &err), &err); /* so that the next step is a pass */
    }
    check(dr_decoder_prefill(d, ids + 140, LENGTH - 140, NULL, NULL, &err), &err);
    assert_int_equal(dr_speculation_step(s, 0, logits, NULL, NULL, NULL, &err), DR_ERR_LIMIT);
    dr_speculation_free(s);
    assert_int_equal(dr_speculation_new(&none, d, DR_DRAFTS_AT_MOST + 1, false, &err), DR_ERR_ARG);
    assert_int_equal(dr_speculation_new(&none, d, -1, false, &err), DR_ERR_ARG);
    dr_decoder_free(d);
}

static void speculation__steps_do_not_allocate(void **state)
{
    (void)state;
    static float logits[VOCAB];
    dr_decoder *d = fresh();
    dr_speculation *s = drafting(d, DR_DRAFTS_AT_MOST);
    uint64_t seed = 5;
    dr_error err = {0};

    check(dr_decoder_prefill(d, ids, 100, NULL, NULL, &err), &err);
    check(dr_speculation_step(s, ids[100], logits, NULL, NULL, NULL, &err), &err);
    const long before = alloc_count();
    for (int i = 0; i < 300; i++)
        check(dr_speculation_step(s, will(d, &seed, 5), logits, NULL, NULL, NULL, &err), &err);
    assert_int_equal(alloc_count(), before);
    dr_speculation_free(s);
    dr_decoder_free(d);
}

static void speculation__survives_failing_allocations(void **state)
{
    (void)state;
    static float logits[VOCAB];
    dr_decoder *d = fresh();
    bool failed = true;
    dr_error err = {0};

    check(dr_decoder_prefill(d, ids, 60, NULL, NULL, &err), &err);
    for (long n = 0; failed; n++) {
        dr_decoder *f = NULL;
        dr_speculation *s = NULL;
        alloc_fail_at(n);
        dr_status st = dr_decoder_fork(&f, d, &err);
        if (st == DR_OK)
            st = dr_speculation_new(&s, f, 3, true, &err);
        if (st == DR_OK)
            st = dr_speculation_step(s, ids[60], logits, NULL, NULL, NULL, &err);
        failed = alloc_fail_off();
        assert_true(failed ? st == DR_ERR_NOMEM : st == DR_OK);
        if (s)
            for (int64_t i = dr_decoder_position(f); i < 70; i++) {
                check(dr_speculation_step(s, ids[i], logits, NULL, NULL, NULL, &err), &err);
                same(logits, truth + i * VOCAB, i, "after a failed allocation");
            }
        dr_speculation_free(s);
        dr_decoder_free(f);
    }
    dr_decoder_free(d);
}

/* Without an MTP block steps are plain ones. */
static void speculation__does_without_a_block(void **state)
{
    (void)state;
    tiny_spec spec = tiny_all_kinds();
    spec.n_mtp = 0;
    tiny *t = tiny_new(&spec);
    char where[64];
    float a[300], b[300];
    dr_ops ops;
    dr_model *m;
    dr_decoder *d, *plain;
    dr_speculation *s;
    dr_error err = {0};

    tiny_write(t, where, 1);
    tiny_free(t);
    check(dr_ops_init_named(&ops, NULL, &err), &err);
    check(dr_model_open(&m, where, &ops, queue, &err), &err);
    tiny_remove_folder(where);
    check(dr_decoder_new(&d, m, queue, 128, 200, &err), &err);
    check(dr_decoder_new(&plain, m, queue, 128, 200, &err), &err);
    check(dr_speculation_new(&s, d, 2, true, &err), &err);
    for (int i = 0; i < 100; i++) {
        const int32_t id = ids[i] % spec.vocab;
        check(dr_speculation_step(s, id, a, NULL, NULL, NULL, &err), &err);
        check(dr_decoder_prefill(plain, &id, 1, b, NULL, &err), &err);
        assert_memory_equal(a, b, (size_t)spec.vocab * sizeof *a);
    }
    assert_int_equal(dr_speculation_stats(s).n_passes, 100);
    dr_speculation_free(s);
    dr_decoder_free(d);
    dr_decoder_free(plain);
    dr_model_close(m);
}

/* The bundled model, which was trained with its block: behind a question, the text it knows, drafts are accepted, and nothing else changes. */
static void speculation__of_the_bundled_model(void **state)
{
    (void)state;
    enum { START = 600, N = 160 };
    dr_model *m;
    dr_decoder *d, *plain;
    dr_speculation *s;
    dr_ops ops;
    int32_t prompt[START];
    uint64_t seed = 1;
    dr_tokenizer *tokenizer;
    dr_ids question = {0};
    dr_error err = {0};

    check(dr_ops_init_named(&ops, NULL, &err), &err);
    check(dr_model_open(&m, "models/nano", &ops, queue, &err), &err);
    check(dr_tokenizer_open(&tokenizer, "models/nano/tokenizer.json", &err), &err);
    check(dr_tokenizer_encode(tokenizer, &question, DR_STR("<｜User｜>where is list_append defined?<｜Assistant｜></think>"), true, &err), &err);
    assert_true(question.n < START);
    const int32_t vocab = dr_model_config(m)->vocab;
    float *a = malloc((size_t)vocab * sizeof *a), *b = malloc((size_t)vocab * sizeof *b);
    assert_true(a && b);
    for (int i = 0; i < START; i++)
        prompt[i] = (int32_t)(tiny_random(&seed) % (uint64_t)vocab);
    memcpy(prompt + START - question.n, question.v, question.n * sizeof *prompt);
    check(dr_decoder_new(&plain, m, queue, 256, 2000, &err), &err);
    check(dr_decoder_prefill(plain, prompt, START, b, NULL, &err), &err);
    for (int32_t n = 1; n <= DR_DRAFTS_AT_MOST; n += 3) {
        check(dr_decoder_new(&d, m, queue, 256, 2000, &err), &err);
        check(dr_speculation_new(&s, d, n, false, &err), &err);
        check(dr_decoder_prefill(d, prompt, START, a, NULL, &err), &err);
        check(dr_decoder_rewind(plain, START - 1, &err), &err);
        check(dr_decoder_prefill(plain, prompt + START - 1, 1, b, NULL, &err), &err);
        for (int i = 0; i < N; i++) {
            int32_t id = 0;
            assert_memory_equal(a, b, (size_t)vocab * sizeof *a);
            for (int32_t k = 1; k < vocab; k++)
                id = a[k] > a[id] ? k : id;
            check(dr_speculation_step(s, id, a, NULL, NULL, NULL, &err), &err);
            check(dr_decoder_prefill(plain, &id, 1, b, NULL, &err), &err);
        }
        const dr_speculation_stat stat = dr_speculation_stats(s);
        print_message("%d drafts: %d tokens in %d passes, %d of %d drafts accepted\n", (int)n, (int)stat.n_tokens,
                      (int)stat.n_passes, (int)stat.n_accepted, (int)stat.n_drafted);
        assert_true(stat.n_accepted > 0);
        dr_speculation_free(s);
        dr_decoder_free(d);
    }
    dr_decoder_free(plain);
    dr_model_close(m);
    dr_ids_free(&question);
    dr_tokenizer_close(tokenizer);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speculation__logits_are_those_of_plain_decoding),
        cmocka_unit_test(speculation__greedy_tokens_are_those_of_plain_decoding),
        cmocka_unit_test(speculation__drafts_are_the_blocks),
        cmocka_unit_test(speculation__other_calls_take_drafts_back),
        cmocka_unit_test(speculation__drafts_keep_to_the_grammar),
        cmocka_unit_test(speculation__drafts_again_after_going_back),
        cmocka_unit_test(speculation__says_what_it_cannot_do),
        cmocka_unit_test(speculation__steps_do_not_allocate),
        cmocka_unit_test(speculation__survives_failing_allocations),
        cmocka_unit_test(speculation__does_without_a_block),
        cmocka_unit_test(speculation__of_the_bundled_model),
    };
    return cmocka_run_group_tests_name("speculation", tests, set_up, tear_down);
}
