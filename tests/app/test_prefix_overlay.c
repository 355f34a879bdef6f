/* What was computed for a pack serves the next one: after a commit, and another, and a change that is not committed, the prompt that opens with
 * the new pack goes on from the end of the old one's lasting part, inside the overlay too, with the bits of a cold run. */
#include "app/prefix.h"
#include "tests/app/pack_world.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/engine/tiny_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 288, CONTEXT = 24000, CHUNK = 512, BLOCK = 2048 };

static const char question[] = "\nWhere is list_size defined?\n";

typedef struct bed {
    pack_world p;
    dr_tokenizer *words; /* the world's own, put back at the end */
    char model_folder[64], cache_folder[320];
    dr_ops ops;
    dr_queue *queue;
    dr_model *model;
} bed;

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("status %d: %s", st, err->msg);
}

static void bed_begin(bed *b)
{
    dr_error err = {0};
    tiny_spec s = tiny_all_kinds();

    *b = (bed){0};
    pack_world_begin(&b->p);
    b->words = b->p.tokenizer;
    b->p.tokenizer = byte_tokenizer(NULL, 0, NULL, 0);
    s.ratios[2] = 128;
    s.window = 128;
    s.vocab = VOCAB;
    s.experts_as = TINY_FP8;
    tiny *t = tiny_new(&s);
    tiny_write(t, b->model_folder, 1);
    tiny_free(t);
    check(dr_ops_init_named(&b->ops, NULL, &err), &err);
    check(dr_queue_new(&b->queue, b->p.pool, &err), &err);
    check(dr_model_open(&b->model, b->model_folder, &b->ops, b->queue, &err), &err);
    (void)snprintf(b->cache_folder, sizeof b->cache_folder, "%s/prefixes", b->p.w.path);
}

static void bed_end(bed *b)
{
    dr_model_close(b->model);
    dr_queue_free(b->queue);
    dr_tokenizer_close(b->p.tokenizer);
    b->p.tokenizer = b->words;
    tiny_remove_folder(b->model_folder);
    pack_world_end(&b->p);
}

/* `n` lines that say a number each; no two files have lines in common. */
static void write_lines(const bed *b, const char *name, int n, int from)
{
    dr_buf text = {0};
    for (int i = 0; i < n; i++)
        dr_buf_printf(&text, "int %c%d = %d;\n", name[0], from + i, (from + i) * 7919 % 10007);
    pack_world_write(&b->p, name, text.data);
    dr_buf_free(&text);
}

typedef struct asked {
    dr_ids ids;
    int64_t lasting; /* tokens of the pack without its closing line */
    int64_t n_base;
    dr_prefix_stat stat;
    float logits[VOCAB];
} asked;

/* Packs the snapshot onto the first commit and asks, through the cache; then without one, which must give the same bits. */
static void ask(asked *out, const bed *b, const char *rev)
{
    static float truth[VOCAB];
    const dr_pack_options how = {.base = b->p.commits[0]};
    dr_error err = {0};
    dr_cache *c = NULL;
    dr_decoder *d = NULL;
    dr_prefix *prefix = NULL;
    dr_ids tail = {0};
    packed got;

    *out = (asked){0};
    packed_open(&got, &b->p, b->p.path, rev, &how);
    out->lasting = (int64_t)packed_lasting(&got).n; /* a token is a byte */
    assert_int_equal(got.text.n, got.pack.ids.n);
    out->n_base = got.pack.n_base;
    check(dr_tokenizer_encode(b->p.tokenizer, &tail, dr_str_of(question), false, &err), &err);
    const int64_t n_pack = (int64_t)got.pack.ids.n, n = n_pack + (int64_t)tail.n;
    assert_true(n < CONTEXT);
    out->ids.v = malloc((size_t)n * sizeof *out->ids.v);
    assert_non_null(out->ids.v);
    memcpy(out->ids.v, got.pack.ids.v, got.pack.ids.n * sizeof *out->ids.v);
    memcpy(out->ids.v + n_pack, tail.v, tail.n * sizeof *out->ids.v);
    out->ids.n = (size_t)n;
    packed_close(&got);
    dr_ids_free(&tail);

    const int64_t marks[] = {out->n_base, out->lasting, n_pack};
    const int skip = marks[0] == marks[1];
    check(dr_cache_open(&c, b->cache_folder, NULL, &err), &err);
    check(dr_decoder_new(&d, b->model, b->queue, CHUNK, CONTEXT, &err), &err);
    check(dr_prefix_new(&prefix, c, d, b->model, b->p.tokenizer, 1, &err), &err);
    check(dr_prefix_run(prefix, &out->stat, out->logits, out->ids.v, n, marks + skip, 3 - skip, NULL, NULL, NULL, &err), &err);
    dr_prefix_finish(prefix);
    assert_string_equal(dr_prefix_trouble(prefix), "");
    dr_prefix_free(prefix);
    dr_decoder_free(d);
    dr_cache_close(c);

    check(dr_decoder_new(&d, b->model, b->queue, CHUNK, CONTEXT, &err), &err);
    check(dr_decoder_prefill(d, out->ids.v, n, truth, NULL, &err), &err);
    assert_memory_equal(out->logits, truth, sizeof truth);
    dr_decoder_free(d);
}

/* `now` begins with all that lasts of `before`, and found at least that. */
static void goes_on(const asked *now, const asked *before, const char *what)
{
    if (now->stat.n_restored < before->lasting)
        fail_msg("%s: restored %lld of the %lld tokens that last", what, (long long)now->stat.n_restored, (long long)before->lasting);
    assert_true(now->ids.n > (size_t)before->lasting);
    assert_memory_equal(now->ids.v, before->ids.v, (size_t)before->lasting * sizeof *now->ids.v);
}

static void overlay__goes_on_from_the_pack_before(void **state)
{
    enum { FIRST, COMMIT, DIRTY, NEXT, OLD, N_ASKED };
    static asked a[N_ASKED];
    bed b;

    (void)state;
    bed_begin(&b);
    pack_world_fill(&b.p);
    b.p.n_commits = 0; /* what follows is the base */
    write_lines(&b, "a.c", 300, 0);
    (void)pack_world_commit(&b.p, "lines");
    ask(&a[FIRST], &b, NULL);
    assert_int_equal(a[FIRST].stat.n_restored, 0);
    assert_true(a[FIRST].n_base > 2 * BLOCK);

    write_lines(&b, "b.c", 260, 1000); /* the overlay has whole blocks of its own */
    (void)pack_world_commit(&b.p, "more lines");
    ask(&a[COMMIT], &b, NULL);
    goes_on(&a[COMMIT], &a[FIRST], "after a commit");
    assert_true(a[COMMIT].lasting > a[FIRST].lasting + 2 * BLOCK);

    write_lines(&b, "c.c", 150, 5000);
    ask(&a[DIRTY], &b, NULL);
    goes_on(&a[DIRTY], &a[COMMIT], "with a change that is not committed");

    (void)pack_world_commit(&b.p, "these lines too");
    ask(&a[NEXT], &b, NULL);
    goes_on(&a[NEXT], &a[COMMIT], "after a second commit");
    assert_true(a[NEXT].stat.n_restored > a[NEXT].n_base + 2 * BLOCK); /* inside the overlay */

    /* An older commit again: only the question is computed. */
    ask(&a[OLD], &b, b.p.commits[1]);
    goes_on(&a[OLD], &a[COMMIT], "the first commit again");
    if (a[OLD].stat.n_computed >= (int64_t)sizeof question)
        fail_msg("asked again: computed %lld of %zu", (long long)a[OLD].stat.n_computed, a[OLD].ids.n);
    for (int i = 0; i < N_ASKED; i++)
        free(a[i].ids.v);
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(overlay__goes_on_from_the_pack_before)};
    return cmocka_run_group_tests_name("prefix overlay", tests, NULL, NULL);
}
