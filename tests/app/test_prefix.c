/* A restored prefix goes on with the bits of a cold run: at every border a state can be cut at, after turns, forks, rewinds,
 * interruptions and damage, over restarts, threads, chunks and instruction sets. */
#include "app/prefix.h"
#include "cache/upkeep.h"
#include "tests/cache/support.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/engine/tiny_checkpoint.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VOCAB = 80, LENGTH = 9000, TAIL = 40 };

/* One way to compute. */
typedef struct machine {
    dr_pool *pool;
    dr_queue *queue;
    dr_model *model;
    int32_t chunk;
} machine;

static char folder[64];
static dr_tokenizer *tokenizer;
static machine usual;
static int32_t ids[LENGTH];

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("status %d: %s", st, err->msg);
}

/* False when this processor lacks the level. */
static bool machine_init(machine *m, const char *isa, int threads, int32_t chunk)
{
    dr_error err = {0};
    dr_ops ops;

    *m = (machine){.chunk = chunk};
    const dr_status st = dr_ops_init_named(&ops, isa, &err);
    if (st == DR_ERR_DEVICE)
        return false;
    check(st, &err);
    check(dr_pool_new(&m->pool, threads, &err), &err);
    check(dr_queue_new(&m->queue, m->pool, &err), &err);
    check(dr_model_open(&m->model, folder, &ops, m->queue, &err), &err);
    return true;
}

static void machine_fini(machine *m)
{
    dr_model_close(m->model);
    dr_queue_free(m->queue);
    dr_pool_free(m->pool);
}

static int set_up(void **state)
{
    tiny_spec s = tiny_all_kinds();
    uint64_t seed = 5;

    (void)state;
    s.ratios[2] = 128; /* as in the real ones: what a border of 128 tokens leaves empty is then empty here too */
    s.window = 128;
    s.experts_as = TINY_FP8;
    tiny *t = tiny_new(&s);
    tiny_write(t, folder, 1);
    tiny_free(t);
    tokenizer = byte_tokenizer(NULL, 0, NULL, 0);
    for (int i = 0; i < LENGTH; i++)
        ids[i] = (int32_t)(tiny_random(&seed) % VOCAB);
    assert_true(machine_init(&usual, NULL, 2, 512));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    machine_fini(&usual);
    dr_tokenizer_close(tokenizer);
    tiny_remove_folder(folder);
    return 0;
}

static int scratch_begin(void **state)
{
    (void)state;
    (void)scratch_new();
    return 0;
}

static int scratch_end(void **state)
{
    (void)state;
    scratch_free();
    return 0;
}

static void cold(const machine *m, float *logits, const int32_t *v, int64_t n)
{
    dr_decoder *d = NULL;
    dr_error err = {0};
    check(dr_decoder_new(&d, m->model, m->queue, m->chunk, LENGTH, &err), &err);
    check(dr_decoder_prefill(d, v, n, logits, NULL, &err), &err);
    dr_decoder_free(d);
}

/* A decoder with its prefix, as a turn has them. */
typedef struct line {
    dr_decoder *d;
    dr_prefix *p;
    dr_prefix_stat stat;
} line;

static line line_open(const machine *m, dr_cache *c)
{
    line l = {0};
    dr_error err = {0};
    check(dr_decoder_new(&l.d, m->model, m->queue, m->chunk, LENGTH, &err), &err);
    check(dr_prefix_new(&l.p, c, l.d, m->model, tokenizer, 7, &err), &err);
    return l;
}

static void line_run(line *l, float *logits, const int32_t *v, int64_t n, int64_t mark)
{
    dr_error err = {0};
    check(dr_prefix_run(l->p, &l->stat, logits, v, n, &mark, mark > 0, NULL, NULL, NULL, &err), &err);
}

static void line_close(line *l)
{
    dr_prefix_finish(l->p);
    assert_string_equal(dr_prefix_trouble(l->p), "");
    dr_prefix_free(l->p);
    dr_decoder_free(l->d);
}

/* The prompt that shares its first `at` ids with ids[] and no more. */
static void branch(int32_t *v, int64_t at, int64_t n, uint64_t seed)
{
    memcpy(v, ids, (size_t)at * sizeof *v);
    for (int64_t i = at; i < n; i++)
        v[i] = (int32_t)(tiny_random(&seed) % VOCAB);
    if (at < n)
        v[at] = (ids[at] + 1) % VOCAB;
}

/* A stored prefix of `at` tokens is restored by m in a process that knows nothing else, and goes on as a cold run does: after a whole
 * continuation, token by token, and as a fork. */
static void restores(const machine *m, const int32_t *v, int64_t at, int64_t n, const char *what)
{
    static float found[VOCAB], truth[VOCAB];
    dr_error err = {0};
    dr_cache *c = cache_at(0);
    line l = line_open(m, c);

    cold(&usual, truth, v, n - 9);
    line_run(&l, found, v, n - 9, 0);
    if (l.stat.n_restored != at)
        fail_msg("%s: restored %lld of %lld", what, (long long)l.stat.n_restored, (long long)at);
    if (memcmp(found, truth, sizeof found) != 0)
        fail_msg("%s: other logits", what);
    dr_decoder *fork = NULL;
    check(dr_decoder_fork(&fork, l.d, &err), &err);
    for (int64_t i = n - 9; i < n; i++)
        check(dr_prefix_feed(l.p, v + i, 1, found, NULL, &err), &err);
    cold(&usual, truth, v, n);
    if (memcmp(found, truth, sizeof found) != 0)
        fail_msg("%s: other logits further on", what);
    check(dr_decoder_prefill(fork, v + n - 9, 9, found, NULL, &err), &err);
    if (memcmp(found, truth, sizeof found) != 0)
        fail_msg("%s: other logits in a fork", what);
    dr_decoder_free(fork);
    line_close(&l);
    assert_clean(c);
    dr_cache_close(c);
}

static void prefix__is_exact_at_every_border(void **state)
{
    static const int64_t borders[] = {1,    3,    4,    5,    40,   127,  128,  129,  132,  1000,
                                      2047, 2048, 2049, 2176, 4099, 8191, 8192, 8193, 8320, 8700};
    static float logits[VOCAB];
    static int32_t v[LENGTH];

    (void)state;
    for (size_t i = 0; i < sizeof borders / sizeof borders[0]; i++) {
        const int64_t at = borders[i];
        char what[32];
        (void)snprintf(what, sizeof what, "border %lld", (long long)at);
        dr_cache *c = cache_at(0);
        line l = line_open(&usual, c);
        line_run(&l, logits, ids, at + 1, at);
        line_close(&l);
        dr_cache_close(c);
        branch(v, at, at + TAIL, (uint64_t)at);
        restores(&usual, v, at, at + TAIL, what);
        assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
    }
}

/* Stored by one kind of machine, restored by another. */
static void prefix__is_exact_over_levels_threads_and_chunks(void **state)
{
    static const struct {
        const char *isa;
        int threads;
        int32_t chunk;
    } kinds[] = {{"ref", 1, 128}, {"avx2", 2, 512}, {"avx512", 1, 256}, {"amx", 3, 1024}};
    enum { AT = 2199, N_KINDS = sizeof kinds / sizeof kinds[0] };
    static float logits[VOCAB];
    static int32_t v[LENGTH];

    (void)state;
    branch(v, AT, AT + TAIL, 3);
    for (size_t i = 0; i < N_KINDS; i++) {
        machine writer, reader;
        char what[64];
        const size_t k = (i + 1) % N_KINDS;
        if (!machine_init(&writer, kinds[i].isa, kinds[i].threads, kinds[i].chunk)) {
            print_message("skipped: %s\n", kinds[i].isa);
            continue;
        }
        dr_cache *c = cache_at(0);
        line l = line_open(&writer, c);
        line_run(&l, logits, ids, AT + 1, AT);
        line_close(&l);
        dr_cache_close(c);
        (void)snprintf(what, sizeof what, "stored by %s, restored by %s", kinds[i].isa, kinds[k].isa);
        if (machine_init(&reader, kinds[k].isa, kinds[k].threads, kinds[k].chunk)) {
            restores(&reader, v, AT, AT + TAIL, what);
            machine_fini(&reader);
        }
        machine_fini(&writer);
        assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
    }
}

/* Answers are fed token by token over a block's end; the next prompt begins where the turn ended. */
static void prefix__goes_on_from_the_end_of_a_turn(void **state)
{
    enum { PROMPT = 2000, ANSWER = 120, NEXT = PROMPT + ANSWER + TAIL };
    static float logits[VOCAB];
    dr_error err = {0};

    (void)state;
    dr_cache *c = cache_at(0);
    line l = line_open(&usual, c);
    line_run(&l, logits, ids, PROMPT, 100);
    for (int64_t i = PROMPT; i < PROMPT + ANSWER; i++)
        check(dr_prefix_feed(l.p, ids + i, 1, logits, NULL, &err), &err);
    dr_prefix_turn_end(l.p);
    line_close(&l);
    dr_cache_close(c);
    restores(&usual, ids, PROMPT + ANSWER, NEXT, "after a turn");
    /* And the prompt itself, asked again: all but its last token. */
    c = cache_at(0);
    l = line_open(&usual, c);
    line_run(&l, logits, ids, PROMPT, 0);
    assert_int_equal(l.stat.n_restored, PROMPT - 1);
    line_close(&l);
    dr_cache_close(c);
}

static void prefix__is_exact_after_forks_and_rewinds(void **state)
{
    enum { AT = 4500, BACK = 3000, FORK_END = 6400, BACK_END = 5300 };
    static float logits[VOCAB];
    static int32_t forked[LENGTH], back[LENGTH];
    dr_error err = {0};
    dr_decoder *fork = NULL;
    dr_prefix *of_fork = NULL;

    (void)state;
    branch(forked, AT, LENGTH, 21);
    branch(back, BACK, LENGTH, 22);
    dr_cache *c = cache_at(0);
    line l = line_open(&usual, c);
    line_run(&l, logits, ids, AT, 0);
    check(dr_decoder_fork(&fork, l.d, &err), &err);
    check(dr_prefix_new(&of_fork, c, fork, usual.model, tokenizer, 7, &err), &err);
    check(dr_prefix_feed(of_fork, forked + AT, FORK_END - AT, logits, NULL, &err), &err);
    dr_prefix_turn_end(of_fork);
    dr_prefix_free(of_fork);
    dr_decoder_free(fork);

    dr_prefix_free(l.p);
    check(dr_decoder_rewind(l.d, BACK, &err), &err);
    check(dr_prefix_new(&l.p, c, l.d, usual.model, tokenizer, 7, &err), &err);
    check(dr_prefix_feed(l.p, back + BACK, BACK_END - BACK, logits, NULL, &err), &err);
    dr_prefix_turn_end(l.p);
    line_close(&l);
    dr_cache_close(c);

    restores(&usual, forked, FORK_END, FORK_END + TAIL, "after a fork");
    restores(&usual, back, BACK_END, BACK_END + TAIL, "after a rewind");
}

typedef struct stopper {
    int64_t at;
    dr_prefix *finish; /* what was stored is on disk before it stops; may be NULL */
    atomic_bool cancel;
} stopper;

static void stop_there(void *arg, int64_t done, int64_t total, uint64_t us)
{
    stopper *s = arg;
    (void)total;
    (void)us;
    if (s->finish)
        dr_prefix_finish(s->finish);
    if (done >= s->at)
        atomic_store(&s->cancel, true);
}

/* With passing anchors each chunk's end has one already when it stops. */
static void go_on_after_interruptions(bool passing)
{
    enum { N = 5000 };
    static float logits[VOCAB];
    const int64_t stops[] = {700, 1400, 2900};
    int64_t at = 0;

    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        stopper s = {.at = stops[i] - at};
        dr_error err = {0};
        dr_cache *c = cache_at(0);
        line l = line_open(&usual, c);
        atomic_init(&s.cancel, false);
        if (passing) {
            s.finish = l.p;
            dr_prefix_max_loss(l.p, 1);
        }
        assert_int_equal(dr_prefix_run(l.p, &l.stat, logits, ids, N, NULL, 0, stop_there, &s, &s.cancel, &err), DR_ERR_CANCELLED);
        assert_int_equal(l.stat.n_restored, at);
        at += l.stat.n_computed;
        assert_true(at >= stops[i] && at < N);
        line_close(&l);
        dr_cache_close(c);
    }
    restores(&usual, ids, at, N, "after interruptions");
}

static void prefix__goes_on_where_it_was_interrupted(void **state)
{
    (void)state;
    go_on_after_interruptions(false);
}

static void prefix__keeps_the_passing_anchor_it_was_interrupted_at(void **state)
{
    (void)state;
    go_on_after_interruptions(true);
}

/* What another process would find if this one were killed at a chunk's end. */
typedef struct witness {
    dr_cache *c;
    line *of;
    int64_t from;
    int n_seen;
} witness;

static void look(void *arg, int64_t done, int64_t total, uint64_t us)
{
    enum { EVERY = 3 };
    static float logits[VOCAB];
    witness *w = arg;
    const int64_t at = w->from + done;

    (void)us;
    if (done == total || ++w->n_seen % EVERY != 0)
        return;
    dr_prefix_finish(w->of->p); /* what a kill may take beyond the bound is still in the queue */
    line l = line_open(&usual, w->c);
    line_run(&l, logits, ids, at + 1, 0);
    assert_int_equal(l.stat.n_restored, at);
    line_close(&l);
}

/* A slow model's anchors follow the clock: a kill loses no more than was allowed, and what was only there for one goes again. */
static void prefix__loses_no_more_than_allowed_when_killed(void **state)
{
    enum { N = 6000, PLANNED = 1 };
    static float logits[VOCAB];
    dr_cache_stat stat;
    dr_error err = {0};

    (void)state;
    dr_cache *c = cache_at(0);
    line l = line_open(&usual, c);
    witness w = {.c = c, .of = &l};
    dr_prefix_max_loss(l.p, 1);
    check(dr_prefix_run(l.p, &l.stat, logits, ids, N, NULL, 0, look, &w, NULL, &err), &err);
    assert_true(w.n_seen >= N / 512);
    line_close(&l);
    check(dr_cache_stat_get(c, &stat, &err), &err);
    assert_int_equal(stat.kv[DR_KV_BLOCK].n_records, N / DR_BLOCK_TOKENS);
    assert_int_equal(stat.kv[DR_KV_ANCHOR].n_records, PLANNED);
    assert_clean(c);
    dr_cache_close(c);
    restores(&usual, ids, N - 1, N + TAIL, "after passing anchors");
}

/* Whatever byte of the records is changed: the answer is a cold run's. */
static void prefix__is_exact_after_damage(void **state)
{
    enum { N = 4300, ROUNDS = 12 };
    static float found[VOCAB], truth[VOCAB];
    uint64_t seed = 77;

    (void)state;
    cold(&usual, truth, ids, N);
    for (int r = 0; r < ROUNDS; r++) {
        dr_cache *c = cache_at(0);
        line l = line_open(&usual, c);
        line_run(&l, found, ids, N, 4200);
        line_close(&l);
        dr_cache_close(c);
        assert_memory_equal(found, truth, sizeof found);

        const int fd = open(scratch_path("c/kv/data.mdb"), O_RDWR);
        const off_t n = lseek(fd, 0, SEEK_END);
        for (int k = 0; k < 40; k++) {
            uint8_t byte = 0;
            const off_t at = 8192 + (off_t)(tiny_random(&seed) % (uint64_t)(n - 8192));
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            byte ^= 0x10;
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        (void)close(fd);
        c = cache_at(0);
        l = line_open(&usual, c);
        line_run(&l, found, ids, N, 4200);
        assert_memory_equal(found, truth, sizeof found);
        dr_prefix_free(l.p);
        dr_decoder_free(l.d);
        dr_cache_close(c);
    }
}

static void prefix__without_a_cache_or_a_writable_one_computes(void **state)
{
    enum { N = 2300 };
    static float found[VOCAB], truth[VOCAB];
    const dr_cache_options only_read = {.read_only = true};
    dr_error err = {0};
    dr_cache *c;

    (void)state;
    cold(&usual, truth, ids, N);
    line l = line_open(&usual, NULL);
    line_run(&l, found, ids, N, 100);
    dr_prefix_turn_end(l.p);
    assert_int_equal(l.stat.n_restored, 0);
    assert_int_equal(dr_prefix_written(l.p), 0);
    assert_memory_equal(found, truth, sizeof found);
    line_close(&l);

    c = cache_at(0);
    l = line_open(&usual, c);
    line_run(&l, found, ids, 2200, 2100);
    dr_prefix_finish(l.p);
    assert_true(dr_prefix_written(l.p) > 0);
    line_close(&l);
    dr_cache_close(c);
    check(dr_cache_open(&c, scratch_path("c"), &only_read, &err), &err);
    l = line_open(&usual, c);
    line_run(&l, found, ids, N, 100);
    assert_int_equal(l.stat.n_restored, 2100);
    assert_int_equal(dr_prefix_written(l.p), 0);
    assert_memory_equal(found, truth, sizeof found);
    line_close(&l);
    dr_cache_close(c);
}

static size_t heap_bytes(void)
{
    const struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* What a fork of a restored timeline takes does not grow with its length (a sanitizer's heap counts nothing, and passes). */
static void prefix__shares_restored_pages_with_forks(void **state)
{
    static const int64_t lengths[] = {2049, 8193};
    static float logits[VOCAB];
    size_t took[2];
    dr_error err = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        dr_decoder *fork = NULL;
        dr_cache *c = cache_at(0);
        line l = line_open(&usual, c);
        line_run(&l, logits, ids, lengths[i] + 1, lengths[i]);
        line_close(&l);
        l = line_open(&usual, c);
        line_run(&l, logits, ids, lengths[i] + 1, 0);
        assert_int_equal(l.stat.n_restored, lengths[i]);
        const size_t before = heap_bytes();
        check(dr_decoder_fork(&fork, l.d, &err), &err);
        took[i] = heap_bytes() - before;
        dr_decoder_free(fork);
        line_close(&l);
        dr_cache_close(c);
    }
    if (took[1] > took[0] + dr_decoder_block_bytes(usual.model))
        fail_msg("a fork takes %zu bytes at %lld tokens and %zu at %lld", took[0], (long long)lengths[0], took[1],
                 (long long)lengths[1]);
}

/* A disk that takes nothing more: the answer stands, and the trouble is told once it is known. */
static void prefix__tells_of_late_write_errors(void **state)
{
    static float logits[VOCAB];
    const dr_cache_options small = {.kv_max_bytes = 2 * (SLAB + 16)};
    dr_error err = {0};
    dr_cache *c;

    (void)state;
    check(dr_cache_open(&c, scratch_path("c"), &small, &err), &err);
    line l = line_open(&usual, c);
    line_run(&l, logits, ids, 8600, 0);
    dr_prefix_finish(l.p);
    assert_non_null(strstr(dr_prefix_trouble(l.p), "is not kept"));
    dr_prefix_free(l.p);
    dr_decoder_free(l.d);
    dr_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prefix__is_exact_at_every_border, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__is_exact_over_levels_threads_and_chunks, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__goes_on_from_the_end_of_a_turn, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__is_exact_after_forks_and_rewinds, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__goes_on_where_it_was_interrupted, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__keeps_the_passing_anchor_it_was_interrupted_at, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__loses_no_more_than_allowed_when_killed, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__is_exact_after_damage, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__without_a_cache_or_a_writable_one_computes, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__shares_restored_pages_with_forks, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(prefix__tells_of_late_write_errors, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests_name("prefix", tests, set_up, tear_down);
}
