#include "app/bench_ingest.h"

#include "app/bench_history.h"
#include "app/pack.h"
#include "app/setup.h"
#include "base/log.h"
#include "cache/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COLD_RUNS = 3,
    WARM_RUNS = 7,
    COMMITS = 10,
    LOOK_UPS = 5000,
    TOOL_CALLS = 300,
    SPEED_BYTES = 64 << 20, /* of text read and tokenised on one thread */
    LONG_US = 20000000      /* what takes longer is run once */
};

/* What one child does, and what it says about it. Plain data: it comes back through a pipe. */
typedef struct job {
    const char *rev, *folder;
    bool pack, symbols, look_ups, speed;
} job;

typedef struct told {
    dr_status st;
    dr_error err;
    uint64_t files_us, pack_us, symbols_us; /* wall */
    int64_t n_files, n_bytes, n_tokens, n_defs, n_refs;
    double find_hit_us, find_miss_us, find_worst_us; /* the table */
    double tool_hit_us, tool_miss_us, tool_worst_us; /* the tool */
    double read_mb_s, tokenize_mb_s, tokenize_tokens_s;
} told;

typedef struct run {
    told t;
    double wall_ms, cpu_ms, peak_mb; /* of the whole process */
} run;

/* ---- in the child ---- */

static double per(uint64_t us, int64_t n)
{
    return n > 0 ? (double)us / (double)n : 0;
}

/* i-th of n look-ups, spread over all names; a miss is a name with an ending that none has. */
static dr_str name_at(dr_buf *buf, const dr_symbols *s, int i, int n, bool miss)
{
    size_t n_names;
    const dr_str *names = dr_symbols_names(s, &n_names);
    const dr_str name = names[(size_t)i * n_names / (size_t)n];
    dr_buf_clear(buf);
    dr_buf_add(buf, name.s, name.n);
    if (miss)
        dr_buf_str(buf, "_zq9");
    return dr_buf_view(buf);
}

static void look_up(told *t, const dr_symbols *s)
{
    dr_buf buf = {0};
    size_t n_names;
    uint64_t sum[2] = {0, 0}, worst = 0;

    (void)dr_symbols_names(s, &n_names);
    for (int i = 0; n_names && i < LOOK_UPS; i++)
        for (int miss = 0; miss < 2; miss++) {
            const dr_sym_def *defs;
            dr_str like[5];
            const dr_str name = name_at(&buf, s, i, LOOK_UPS, miss);
            const uint64_t from = dr_clock_us();
            if (dr_symbols_find(s, name, &defs) == 0)
                (void)dr_symbols_similar(s, name, like);
            const uint64_t us = dr_clock_us() - from;
            sum[miss] += us;
            worst = us > worst ? us : worst;
        }
    t->find_hit_us = per(sum[0], LOOK_UPS);
    t->find_miss_us = per(sum[1], LOOK_UPS);
    t->find_worst_us = (double)worst;
    dr_buf_free(&buf);
}

static dr_status call_tool(told *t, const dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf buf = {0};
    size_t n_names;
    uint64_t sum[2] = {0, 0}, worst = 0;
    const dr_workspace w = dr_setup_workspace(s);

    (void)dr_symbols_names(s->symbols, &n_names);
    for (int i = 0; n_names && st == DR_OK && i < TOOL_CALLS; i++)
        for (int miss = 0; st == DR_OK && miss < 2; miss++) {
            dr_tool_result r = {0};
            json_t *arguments = json_pack("{s:o}", "name", dr_output_text(name_at(&buf, s->symbols, i, TOOL_CALLS, miss)));
            char *text = json_dumps(arguments, JSON_COMPACT);
            const uint64_t from = dr_clock_us();
            st = text ? dr_tool_run(&r, &w, dr_str_of(dr_tool_name(DR_TOOL_FIND_SYMBOL)), dr_str_of(text), err)
                      : dr_fail(err, DR_ERR_NOMEM, "out of memory");
            const uint64_t us = dr_clock_us() - from;
            sum[miss] += us;
            worst = us > worst ? us : worst;
            dr_tool_result_fini(&r);
            free(text);
            json_decref(arguments);
        }
    t->tool_hit_us = per(sum[0], TOOL_CALLS);
    t->tool_miss_us = per(sum[1], TOOL_CALLS);
    t->tool_worst_us = (double)worst;
    dr_buf_free(&buf);
    return st;
}

/* CPU time, one thread. */
static dr_status speed(told *t, const dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0};
    dr_ids ids = {0};
    uint64_t read_us = 0, tokenize_us = 0, n_bytes = 0, n_tokens = 0;

    for (size_t i = 0; i < dr_repo_n_files(s->repo) && n_bytes < SPEED_BYTES; i++) {
        if (!dr_repo_is_text(dr_repo_file_at(s->repo, i)))
            continue;
        const uint64_t from = dr_cpu_us();
        if (dr_repo_read_exact(s->repo, i, &text, NULL) != DR_OK)
            continue;
        const uint64_t mid = dr_cpu_us();
        ids.n = 0;
        if ((st = dr_tokenizer_encode(s->tokenizer, &ids, dr_buf_view(&text), false, err)) != DR_OK)
            break;
        read_us += mid - from;
        tokenize_us += dr_cpu_us() - mid;
        n_bytes += text.n;
        n_tokens += ids.n;
    }
    t->read_mb_s = read_us ? (double)n_bytes / (double)read_us : 0;
    t->tokenize_mb_s = tokenize_us ? (double)n_bytes / (double)tokenize_us : 0;
    t->tokenize_tokens_s = tokenize_us ? (double)n_tokens / (double)tokenize_us * 1e6 : 0;
    dr_ids_free(&ids);
    dr_buf_free(&text);
    return st;
}

static dr_status work(told *t, const job *j, const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    dr_pack pack = {0};
    dr_options mine = *opt;

    mine.rev = j->rev;
    dr_setup_init(&s, &mine, out, cancel);
    if ((st = dr_setup_pool(&s, err)) != DR_OK || (st = dr_setup_model_files(&s, err)) != DR_OK ||
        (st = dr_cache_open(&s.cache, j->folder, NULL, err)) != DR_OK)
        goto done;
    s.facts = dr_cache_facts(s.cache);

    uint64_t from = dr_clock_us();
    if ((st = dr_setup_snapshot(&s, err)) != DR_OK)
        goto done;
    t->files_us = dr_clock_us() - from;
    t->n_files = (int64_t)dr_repo_n_files(s.repo);
    for (size_t i = 0; i < dr_repo_n_files(s.repo); i++)
        t->n_bytes += (int64_t)dr_repo_file_at(s.repo, i)->size;

    from = dr_clock_us();
    const dr_pack_options how = dr_setup_pack_options(&s, DR_PACK_FULL, mine.budget > 0 ? mine.budget : 0);
    if (j->pack && (st = dr_pack_build(&pack, s.repo, NULL, s.tokenizer, &how, err)) != DR_OK)
        goto done;
    t->pack_us = dr_clock_us() - from;
    t->n_tokens = (int64_t)pack.ids.n;

    from = dr_clock_us();
    if (j->symbols && (st = dr_setup_repo(&s, err)) != DR_OK)
        goto done;
    t->symbols_us = dr_clock_us() - from;
    if (s.symbols) {
        t->n_defs = dr_symbols_get_stats(s.symbols)->n_defs;
        t->n_refs = dr_symbols_get_stats(s.symbols)->n_refs;
    }
    if (j->look_ups) {
        look_up(t, s.symbols);
        st = call_tool(t, &s, err);
    }
    if (st == DR_OK && j->speed)
        st = speed(t, &s, err);
done:
    dr_pack_fini(&pack);
    dr_setup_fini(&s);
    return st;
}

/* ---- in the parent ---- */

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec * 1e-6;
}

static dr_status run_child(run *r, const job *j, const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    int pipes[2] = {-1, -1}, status = 0;
    struct rusage used;
    size_t got = 0;

    *r = (run){0};
    (void)fflush(NULL); /* or the child would write it once more */
    if (pipe(pipes) < 0)
        return dr_fail(err, DR_ERR_IO, "bench: %s", strerror(errno));
    const uint64_t from = dr_clock_us();
    const pid_t pid = fork();
    if (pid < 0) {
        st = dr_fail(err, DR_ERR_IO, "bench: %s", strerror(errno));
        goto done;
    }
    if (pid == 0) {
        told t = {0};
        (void)close(pipes[0]);
        t.st = work(&t, j, opt, out, cancel, &t.err);
        const ssize_t n = write(pipes[1], &t, sizeof t); /* less than PIPE_BUF: at once */
        _exit(n == (ssize_t)sizeof t ? 0 : 1);
    }
    (void)close(pipes[1]);
    pipes[1] = -1;
    while (got < sizeof r->t) {
        const ssize_t n = read(pipes[0], (char *)&r->t + got, sizeof r->t - got);
        if (n <= 0 && errno != EINTR)
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    while (wait4(pid, &status, 0, &used) < 0 && errno == EINTR)
        ;
    r->wall_ms = (double)(dr_clock_us() - from) * 1e-3;
    r->cpu_ms = (seconds(&used.ru_utime) + seconds(&used.ru_stime)) * 1e3;
    r->peak_mb = (double)used.ru_maxrss / 1024.0;
    if (got < sizeof r->t)
        st = dr_fail(err, DR_ERR_IO, "bench: a measuring process ended early (status %d)", status);
    else if (r->t.st != DR_OK)
        st = dr_fail(err, r->t.st, "%s", r->t.err.msg);
done:
    for (int i = 0; i < 2; i++)
        if (pipes[i] >= 0)
            (void)close(pipes[i]);
    return st;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Runs of one kind, gathered. */
typedef struct series {
    double wall[WARM_RUNS + COMMITS], cpu[WARM_RUNS + COMMITS], files[WARM_RUNS + COMMITS], pack[WARM_RUNS + COMMITS],
        symbols[WARM_RUNS + COMMITS];
    double peak_mb;
    int n;
} series;

static void series_add(series *s, const run *r)
{
    s->wall[s->n] = r->wall_ms;
    s->cpu[s->n] = r->cpu_ms;
    s->files[s->n] = (double)r->t.files_us * 1e-3;
    s->pack[s->n] = (double)r->t.pack_us * 1e-3;
    s->symbols[s->n] = (double)r->t.symbols_us * 1e-3;
    s->n++;
    s->peak_mb = r->peak_mb > s->peak_mb ? r->peak_mb : s->peak_mb;
}

static void show(json_t *report, const dr_output *out, const char *name, series *s, const job *j, const char *what)
{
    char key[64];
    if (s->n == 0)
        return;
    (void)snprintf(key, sizeof key, "%s_wall_ms", name);
    dr_bench_figure(report, out, key, median(s->wall, s->n), "ms", what);
    (void)snprintf(key, sizeof key, "%s_cpu_ms", name);
    dr_bench_figure(report, out, key, median(s->cpu, s->n), "ms", "CPU time, all threads");
    (void)snprintf(key, sizeof key, "%s_peak_mb", name);
    dr_bench_figure(report, out, key, s->peak_mb, "MB", "most memory");
    (void)snprintf(key, sizeof key, "%s_files_ms", name);
    dr_bench_figure(report, out, key, median(s->files, s->n), "ms", "of it the snapshot");
    if (j->pack) {
        (void)snprintf(key, sizeof key, "%s_pack_ms", name);
        dr_bench_figure(report, out, key, median(s->pack, s->n), "ms", "of it the pack");
    }
    if (j->symbols) {
        (void)snprintf(key, sizeof key, "%s_table_ms", name);
        dr_bench_figure(report, out, key, median(s->symbols, s->n), "ms", "of it the symbols");
    }
    (void)snprintf(key, sizeof key, "%s_runs", name);
    dr_bench_figure(report, out, key, s->n, "", "");
}

typedef struct ingest {
    const dr_options *opt;
    json_t *report;
    dr_output *out;
    const atomic_bool *cancel;
    char *folder;
} ingest;

static dr_status cold_and_warm(const ingest *b, run *last, bool symbols, dr_error *err)
{
    dr_status st = DR_OK;
    const job j = {.rev = b->opt->rev, .folder = b->folder, .pack = true, .symbols = symbols};
    series cold = {0}, warm = {0};

    for (int i = 0; i < COLD_RUNS && (i == 0 || cold.wall[0] * 1e3 < LONG_US); i++) {
        if ((st = dr_cache_delete(b->folder, err)) != DR_OK || (st = run_child(last, &j, b->opt, b->out, b->cancel, err)) != DR_OK)
            return st;
        series_add(&cold, last);
    }
    show(b->report, b->out, symbols ? "cold_symbols" : "cold", &cold, &j,
         symbols ? "the same with symbols" : "nothing known: files, secrets, tokens, pack");
    for (int i = 0; i < WARM_RUNS && (i == 0 || warm.wall[0] * 1e3 < LONG_US); i++) {
        if ((st = run_child(last, &j, b->opt, b->out, b->cancel, err)) != DR_OK)
            return st;
        series_add(&warm, last);
    }
    show(b->report, b->out, symbols ? "warm_symbols" : "warm", &warm, &j, "the same once more");
    return DR_OK;
}

/* The last commits one after the other, from a cache that begins with the one before them. */
static dr_status commits(const ingest *b, bool symbols, dr_error *err)
{
    dr_status st = DR_OK;
    char rev[512];
    series s = {0};
    run r;
    int back = COMMITS;
    job j = {.rev = rev, .folder = b->folder, .pack = true, .symbols = symbols};

    if ((st = dr_cache_delete(b->folder, err)) != DR_OK)
        return st;
    for (; back > 0; back--) { /* a history may be shorter, or none */
        (void)snprintf(rev, sizeof rev, "%s~%d", b->opt->rev ? b->opt->rev : "HEAD", back);
        if (run_child(&r, &j, b->opt, b->out, b->cancel, NULL) == DR_OK)
            break;
    }
    for (back--; back >= 0; back--) {
        (void)snprintf(rev, sizeof rev, "%s~%d", b->opt->rev ? b->opt->rev : "HEAD", back);
        if ((st = run_child(&r, &j, b->opt, b->out, b->cancel, err)) != DR_OK)
            return st;
        series_add(&s, &r);
    }
    show(b->report, b->out, symbols ? "commit_symbols" : "commit", &s, &j,
         symbols ? "the same with symbols" : "warm, one commit later");
    return DR_OK;
}

static dr_status look_ups(const ingest *b, dr_error *err)
{
    run r;
    const job j = {.rev = b->opt->rev, .folder = b->folder, .symbols = true, .look_ups = true};
    const dr_status st = run_child(&r, &j, b->opt, b->out, b->cancel, err);
    if (st != DR_OK || r.t.n_defs == 0)
        return st;
    dr_bench_figure(b->report, b->out, "find_hit_us", r.t.find_hit_us, "us", "the table: a name that is there, mean");
    dr_bench_figure(b->report, b->out, "find_miss_us", r.t.find_miss_us, "us", "one that is not, names like it included");
    dr_bench_figure(b->report, b->out, "find_worst_us", r.t.find_worst_us, "us", "the slowest of both");
    dr_bench_figure(b->report, b->out, "tool_hit_us", r.t.tool_hit_us, "us", "the tool find_symbol: the same, with the lines it shows");
    dr_bench_figure(b->report, b->out, "tool_miss_us", r.t.tool_miss_us, "us", "");
    dr_bench_figure(b->report, b->out, "tool_worst_us", r.t.tool_worst_us, "us", "");
    return DR_OK;
}

static dr_status speeds(const ingest *b, dr_error *err)
{
    run r;
    const job j = {.rev = b->opt->rev, .folder = b->folder, .speed = true};
    const dr_status st = run_child(&r, &j, b->opt, b->out, b->cancel, err);
    if (st != DR_OK)
        return st;
    dr_bench_figure(b->report, b->out, "read_mb_s", r.t.read_mb_s, "MB/s", "one thread, CPU time: object database to shown text");
    dr_bench_figure(b->report, b->out, "tokenize_mb_s", r.t.tokenize_mb_s, "MB/s", "one thread, CPU time: the tokenizer");
    dr_bench_figure(b->report, b->out, "tokenize_tokens_s", r.t.tokenize_tokens_s, "tokens/s", "");
    return DR_OK;
}

/* Beside the user's own, so that it lies on the same disk. */
static dr_status fresh_folder(dr_buf *out, dr_error *err)
{
    const dr_status st = dr_cache_folder_of_user(out, err);
    if (st != DR_OK)
        return st;
    char *slash = out->failed ? NULL : strrchr(out->data, '/');
    if (slash) {
        *slash = 0;
        const dr_status made = dr_make_dirs(out->data, 0700, err);
        if (made != DR_OK)
            return made;
        *slash = '/';
    }
    dr_buf_str(out, "-bench-XXXXXX");
    if (out->failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    return mkdtemp(out->data) ? DR_OK : dr_fail(err, DR_ERR_IO, "%s: %s", out->data, strerror(errno));
}

static double plain_cold_us(const json_t *report)
{
    return json_real_value(json_object_get(report, "cold_wall_ms")) * 1e3;
}

/* A deleted cache leaves the file by which processes wait for one another. */
static void remove_folder(dr_buf *folder)
{
    if (!folder->data)
        return;
    (void)dr_cache_delete(folder->data, NULL);
    const size_t n = folder->n;
    dr_buf_str(folder, "/open.lock");
    if (folder->failed)
        return;
    (void)unlink(folder->data);
    folder->data[n] = 0;
    (void)rmdir(folder->data);
}

dr_status dr_bench_ingest(const dr_options *opt, json_t *report, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf folder = {0};
    run plain, full;

    if ((st = fresh_folder(&folder, err)) != DR_OK)
        goto done;
    if (opt->history) {
        st = dr_bench_history(opt, DR_BENCH_HISTORY_COMMITS, folder.data, report, out, cancel, err);
        goto done;
    }
    const ingest b = {opt, report, out, cancel, folder.data};
    /* A large tree is read from nothing three times, not four: its pack is chosen by its symbols, so they are there anyway. */
    if ((st = cold_and_warm(&b, &plain, false, err)) != DR_OK ||
        (plain_cold_us(report) < LONG_US && (st = commits(&b, false, err)) != DR_OK) || (st = commits(&b, true, err)) != DR_OK ||
        (st = cold_and_warm(&b, &full, true, err)) != DR_OK || (st = look_ups(&b, err)) != DR_OK || (st = speeds(&b, err)) != DR_OK)
        goto done;
    dr_bench_figure(report, out, "files", (double)plain.t.n_files, "", "");
    dr_bench_figure(report, out, "bytes", (double)plain.t.n_bytes, "", "");
    dr_bench_figure(report, out, "tokens", (double)plain.t.n_tokens, "", "of the full pack");
    dr_bench_figure(report, out, "symbols", (double)full.t.n_defs, "", "definitions");
    dr_bench_figure(report, out, "uses", (double)full.t.n_refs, "", "");
done:
    remove_folder(&folder);
    dr_buf_free(&folder);
    return st;
}
