/* 128k tokens of a real repository's text through the bundled model: computed without a cache, with one, and by processes that are killed at
 * random points one after the other. What is restored at the end gives the same logits, bit for bit.
 *
 *   test_app_prefix_long [TOKENS] [KILLS] [FOLDER] [ROUNDS]
 *
 * FOLDER: by default this source tree, from the top of it. ROUNDS: how often computing with and without storing is timed, by turns. */
#include "app/prefix.h"
#include "base/log.h"
#include "cache/kv_store.h"
#include "tests/cache/support.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t n_tokens = 128 * 1024;
enum { MOST_ROUNDS = 25 };
static int n_kills = 6, n_rounds = 1;
static const char *source = ".";
static dr_ids ids;
static dr_tokenizer *tokenizer;

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("status %d: %s", st, err->msg);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Sources below a folder in order of their names, until there are enough tokens. */
static void read_tree(const char *path, int depth)
{
    struct dirent **names = NULL;
    const int n = scandir(path, &names, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char at[4096];
        struct stat sb;
        const char *name = names[i]->d_name, *dot = strrchr(name, '.');
        const bool is_code = dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h") || !strcmp(dot, ".py") || !strcmp(dot, ".md"));
        (void)snprintf(at, sizeof at, "%s/%s", path, name);
        if (name[0] != '.' && strcmp(name, "build") != 0 && strcmp(name, "node_modules") != 0 && (int64_t)ids.n < n_tokens &&
            lstat(at, &sb) == 0) {
            if (S_ISDIR(sb.st_mode) && depth < 8)
                read_tree(at, depth + 1);
            else if (S_ISREG(sb.st_mode) && is_code && sb.st_size < 1 << 20) {
                char *text = malloc((size_t)sb.st_size + 1);
                FILE *f = fopen(at, "r");
                dr_error err = {0};
                assert_non_null(text);
                assert_non_null(f);
                const size_t got = fread(text, 1, (size_t)sb.st_size, f);
                (void)fclose(f);
                check(dr_tokenizer_encode(tokenizer, &ids, (dr_str){text, got}, false, &err), &err);
                free(text);
            }
        }
        free(names[i]);
    }
    free(names);
}

typedef struct result {
    dr_prefix_stat stat;
    float *logits;
    int32_t vocab;
    double cpu_s, store_s; /* of the whole, and of storing alone */
    int64_t written;
} result;

/* One process's life: opens all, runs the prompt, closes. */
static result run(bool with_cache)
{
    result r = {.logits = NULL};
    dr_error err = {0};
    dr_ops ops;
    dr_pool *pool;
    dr_queue *queue;
    dr_model *model;
    dr_decoder *d;
    dr_prefix *p;
    const int64_t mark = n_tokens - 300;

    check(dr_pool_new(&pool, 2, &err), &err);
    check(dr_queue_new(&queue, pool, &err), &err);
    check(dr_ops_init_named(&ops, NULL, &err), &err);
    check(dr_model_open(&model, "models/nano", &ops, queue, &err), &err);
    check(dr_decoder_new(&d, model, queue, 512, n_tokens + 1, &err), &err);
    dr_cache *c = with_cache ? cache_at(0) : NULL;
    check(dr_prefix_new(&p, c, d, model, tokenizer, 1, &err), &err);
    r.vocab = dr_model_config(model)->vocab;
    r.logits = malloc((size_t)r.vocab * sizeof *r.logits);
    assert_non_null(r.logits);
    const uint64_t cpu = dr_cpu_us();
    check(dr_prefix_run(p, &r.stat, r.logits, ids.v, n_tokens, &mark, 1, NULL, NULL, NULL, &err), &err);
    dr_prefix_finish(p);
    r.cpu_s = (double)(dr_cpu_us() - cpu) * 1e-6;
    assert_string_equal(dr_prefix_trouble(p), "");
    r.written = dr_prefix_written(p);
    r.store_s = (double)dr_prefix_store_us(p) * 1e-6;
    dr_prefix_free(p);
    dr_cache_close(c);
    dr_decoder_free(d);
    dr_model_close(model);
    dr_queue_free(queue);
    dr_pool_free(pool);
    return r;
}

static void show(const char *what, const result *r)
{
    print_message("%-28s %lld tokens restored in %.3f s, %lld computed in %.1f s (CPU %.1f s), %.1f MB stored\n", what,
                  (long long)r->stat.n_restored, (double)r->stat.restore_us * 1e-6, (long long)r->stat.n_computed,
                  (double)r->stat.compute_us * 1e-6, r->cpu_s, (double)r->written * 1e-6);
}

static void same(const result *a, const result *b)
{
    assert_int_equal(a->vocab, b->vocab);
    assert_memory_equal(a->logits, b->logits, (size_t)a->vocab * sizeof *a->logits);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* Without and with storing, by turns, which of them first changes. Returns one without. */
static result measure(void)
{
    double cpu_s[2][MOST_ROUNDS], part[MOST_ROUNDS];
    result first[2] = {{.logits = NULL}, {.logits = NULL}};

    for (int k = 0; k < 2 * n_rounds; k++) {
        const int round = k / 2, with = (k + 1) / 2 % 2;
        result r = run(with);
        show(with ? "storing" : "without a cache", &r);
        cpu_s[with][round] = r.cpu_s;
        if (with) {
            part[round] = r.store_s / r.cpu_s;
            assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
        }
        if (first[0].logits)
            same(&first[0], &r);
        if (!first[with].logits)
            first[with] = r;
        else
            free(r.logits);
    }
    print_message("storing takes %.1f %% of the CPU time more (medians of %d); counted by itself %.2f %%\n",
                  100 * (median(cpu_s[1], n_rounds) / median(cpu_s[0], n_rounds) - 1), n_rounds, 100 * median(part, n_rounds));
    free(first[1].logits);
    return first[0];
}

static void prefix__killed_again_and_again_gets_there(void **state)
{
    dr_error err = {0};
    uint64_t seed = 9;
    double longest = 0;

    (void)state;
    check(dr_tokenizer_open(&tokenizer, "models/nano/tokenizer.json", &err), &err);
    read_tree(source, 0);
    if ((int64_t)ids.n < n_tokens)
        fail_msg("%s has %zu tokens only", source, ids.n);
    (void)scratch_new();

    const result plain = measure();

    /* A little further every time: each life lasts a random part of what the whole takes. */
    const double whole_s = (double)plain.stat.compute_us * 1e-6;
    int64_t reached = 0;
    for (int k = 0; k < n_kills; k++) {
        const pid_t pid = fork();
        if (pid == 0) {
            as_child();
            (void)run(true);
            _exit(0);
        }
        const double s = whole_s * (0.1 + 0.3 * (double)(random_next(&seed) % 1000) / 1000.0);
        const struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
        int status = 0;
        longest = s > longest ? s : longest;
        (void)nanosleep(&t, NULL);
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        dr_cache *c = cache_at(0);
        assert_string_equal(dr_cache_note(c), "");
        assert_clean(c);
        dr_cache_stat stat;
        assert_int_equal(dr_cache_stat_get(c, &stat, NULL), DR_OK);
        const int64_t now = stat.kv[DR_KV_BLOCK].n_records * DR_CHAIN_BLOCK_TOKENS;
        print_message("killed after %.1f s: %lld tokens in stored blocks\n", s, (long long)now);
        assert_true(now >= reached);
        reached = now;
        dr_cache_close(c);
    }
    const result last = run(true);
    show("after the last kill", &last);
    same(&plain, &last);
    assert_true(last.stat.n_restored > 0 || longest < 1);
    const result again = run(true);
    show("restored", &again);
    same(&plain, &again);
    assert_true(again.stat.n_restored >= n_tokens - 300);
    assert_true(again.stat.restore_us <= 1000000);
    scratch_free();
    dr_tokenizer_close(tokenizer);
    dr_ids_free(&ids);
    free(plain.logits);
    free(last.logits);
    free(again.logits);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(prefix__killed_again_and_again_gets_there)};
    if (argc > 1)
        n_tokens = atoll(argv[1]);
    if (argc > 2)
        n_kills = atoi(argv[2]);
    if (argc > 3)
        source = argv[3];
    if (argc > 4)
        n_rounds = atoi(argv[4]);
    if (n_rounds < 1 || n_rounds > MOST_ROUNDS)
        return 2;
    return cmocka_run_group_tests_name("long prefix", tests, NULL, NULL);
}
