#include "app/bench_history.h"

#include "app/setup.h"
#include "base/log.h"
#include "cache/facts.h"
#include "repo/history.h"

#include <stdlib.h>
#include <string.h>

/* One commit's pack, beside the one before. */
typedef struct step {
    const char *commit;
    int64_t n_tokens, n_bytes, n_after; /* n_after: bytes from the first token on that differs */
    double wall_ms, cpu_ms;
    bool repacked;
} step;

typedef struct past {
    dr_setup *s;
    const char *path;
    dr_chain chain;
    step *steps; /* [chain.n] the first has nothing before it */
    dr_ids last;
    int64_t last_bytes;
} past;

static int64_t text_bytes(const dr_pack *p, size_t first)
{
    dr_buf text = {0};
    dr_pack_text(&text, p, (int64_t)first, (int64_t)(p->ids.n - first));
    const int64_t n = text.failed ? -1 : (int64_t)text.n;
    dr_buf_free(&text);
    return n;
}

static int64_t bytes_of(const past *h, const dr_ids *ids, size_t first)
{
    const dr_pack like = {.ids = *ids, .tokenizer = h->s->tokenizer};
    return text_bytes(&like, first);
}

static size_t equal_tokens(const dr_ids *a, const dr_ids *b)
{
    enum { STEP = 4096 };
    const size_t n = a->n < b->n ? a->n : b->n;
    size_t i = 0;
    while (i + STEP <= n && memcmp(a->v + i, b->v + i, STEP * sizeof *a->v) == 0)
        i += STEP;
    while (i < n && a->v[i] == b->v[i])
        i++;
    return i;
}

/* Fills in n_bytes and n_after, and takes the pack's ids as the last ones. Only what differs is turned into text. */
static dr_status compare(past *h, step *x, dr_pack *pack, dr_error *err)
{
    const size_t same = equal_tokens(&h->last, &pack->ids);
    const int64_t gone = bytes_of(h, &h->last, same);

    x->n_tokens = (int64_t)pack->ids.n;
    x->n_after = text_bytes(pack, same);
    if (gone < 0 || x->n_after < 0)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    x->n_bytes = h->last_bytes - gone + x->n_after;
    h->last_bytes = x->n_bytes;
    dr_ids_free(&h->last);
    h->last = pack->ids;
    pack->ids = (dr_ids){0};
    return DR_OK;
}

static dr_status pack_commit(past *h, size_t i, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_setup *s = h->s;
    dr_repo *repo = NULL;
    dr_pack pack = {0};
    step *x = &h->steps[i];
    dr_repo_options reading = s->reading;

    x->commit = reading.rev = h->chain.commits[i];
    const dr_pack_options full = {.mode = DR_PACK_FULL,
                                  .budget = s->opt->budget > 0 ? s->opt->budget : 0,
                                  .reading = &reading,
                                  .store = s->facts,
                                  .pool = s->pool};
    const uint64_t wall = dr_clock_us(), cpu = dr_cpu_us();
    if ((st = dr_repo_open(&repo, h->path, &reading, err)) != DR_OK ||
        (st = dr_pack_build(&pack, repo, NULL, s->tokenizer, &full, err)) != DR_OK)
        goto done;
    x->wall_ms = (double)(dr_clock_us() - wall) * 1e-3;
    x->cpu_ms = (double)(dr_cpu_us() - cpu) * 1e-3;
    x->repacked = pack.repacked;
    if ((st = compare(h, x, &pack, err)) == DR_OK)
        st = dr_cache_flush(s->cache, err);
done:
    dr_pack_fini(&pack);
    dr_repo_close(repo);
    return st;
}

/* ---- the figures ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double share(const step *x)
{
    return x->n_bytes ? 100.0 * (double)x->n_after / (double)x->n_bytes : 0;
}

static double wall(const step *x)
{
    return x->wall_ms;
}

static double cpu(const step *x)
{
    return x->cpu_ms;
}

/* The smallest value that `percent` of the steps do not exceed. steps[0] is not one: nothing came before it. */
static double percentile(double *room, const step *steps, size_t n, double (*of)(const step *), size_t percent)
{
    for (size_t i = 1; i < n; i++)
        room[i - 1] = of(&steps[i]);
    qsort(room, n - 1, sizeof *room, by_value);
    const size_t rank = (percent * (n - 1) + 99) / 100;
    return room[rank ? rank - 1 : 0];
}

static dr_status show(const past *h, json_t *report, const dr_output *out, dr_error *err)
{
    const step *v = h->steps;
    const size_t n = h->chain.n;
    double *room = malloc(n * sizeof *room), sum = 0, repack_ms = 0;
    int n_repacks = 0;
    json_t *list = json_array();

    if (!room) {
        json_decref(list);
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        sum += i ? share(&v[i]) : 0;
        n_repacks += v[i].repacked;
        repack_ms = v[i].repacked && v[i].wall_ms > repack_ms ? v[i].wall_ms : repack_ms;
        json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:I,s:b,s:f,s:f}", "commit", v[i].commit, "tokens",
                                              (json_int_t)v[i].n_tokens, "bytes", (json_int_t)v[i].n_bytes, "after_bytes",
                                              (json_int_t)v[i].n_after, "repacked", v[i].repacked, "wall_ms", v[i].wall_ms,
                                              "cpu_ms", v[i].cpu_ms));
    }
    dr_bench_figure(report, out, "history_commits", (double)(n - 1), "", "packed one after the other");
    dr_bench_figure(report, out, "history_after_mean", sum / (double)(n - 1), "%", "of a pack's bytes after the first difference");
    dr_bench_figure(report, out, "history_after_median", percentile(room, v, n, share, 50), "%", "");
    dr_bench_figure(report, out, "history_after_p90", percentile(room, v, n, share, 90), "%", "");
    dr_bench_figure(report, out, "history_after_max", percentile(room, v, n, share, 100), "%", "");
    dr_bench_figure(report, out, "history_repacks", n_repacks, "", "the base moved to the newest commit");
    dr_bench_figure(report, out, "history_wall_ms", percentile(room, v, n, wall, 50), "ms", "warm, one commit later: median");
    dr_bench_figure(report, out, "history_wall_p90_ms", percentile(room, v, n, wall, 90), "ms", "");
    dr_bench_figure(report, out, "history_wall_max_ms", percentile(room, v, n, wall, 100), "ms", "");
    dr_bench_figure(report, out, "history_cpu_ms", percentile(room, v, n, cpu, 50), "ms", "CPU time, all threads: median");
    dr_bench_figure(report, out, "history_cpu_p90_ms", percentile(room, v, n, cpu, 90), "ms", "");
    if (n_repacks)
        dr_bench_figure(report, out, "history_repack_ms", repack_ms, "ms", "the slowest repack, wall");
    dr_bench_figure(report, out, "history_first_ms", v[0].wall_ms, "ms", "the first pack, nothing known, wall");
    dr_bench_figure(report, out, "history_tokens", (double)v[n - 1].n_tokens, "", "of the last pack");
    json_object_set_new(report, "commits", list);
    free(room);
    return DR_OK;
}

/* ---- the run ---- */

static dr_status list_commits(past *h, size_t n_commits, dr_error *err)
{
    dr_status st = DR_OK;
    dr_history *history = NULL;
    char newest[41];

    if ((st = dr_history_open(&history, h->s->repo, err)) != DR_OK)
        return st;
    if ((st = dr_history_resolve(newest, history, h->s->opt->rev, err)) == DR_OK)
        st = dr_history_chain(&h->chain, history, "", newest, n_commits + 1, err);
    dr_history_close(history);
    if (st == DR_OK && h->chain.n < 2)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: one commit only, so nothing came before it", h->path);
    return st;
}

dr_status dr_bench_history(const dr_options *opt, size_t n_commits, const char *folder, json_t *report, dr_output *out,
                           const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_options mine = *opt;
    dr_setup s;
    past h = {.s = &s, .path = opt->path ? opt->path : "."};
    const uint64_t from = dr_clock_us();

    /* Once without a store, for the ways of reading and the list of commits: the first pack finds nothing known. */
    mine.no_cache = true;
    mine.rev = opt->rev ? opt->rev : "HEAD";
    dr_setup_init(&s, &mine, out, cancel);
    if ((st = dr_setup_model_files(&s, err)) != DR_OK || (st = dr_setup_snapshot(&s, err)) != DR_OK ||
        (st = list_commits(&h, n_commits, err)) != DR_OK || (st = dr_cache_open(&s.cache, folder, NULL, err)) != DR_OK)
        goto done;
    s.facts = dr_cache_facts(s.cache);
    s.reading.store = s.facts;
    if (!(h.steps = calloc(h.chain.n, sizeof *h.steps))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < h.chain.n && st == DR_OK; i++) {
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
            st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
        else
            st = pack_commit(&h, i, err);
        dr_output_progress(out, "packing:", "commits", (int64_t)i + 1, (int64_t)h.chain.n, dr_clock_us() - from);
    }
    dr_output_progress_end(out);
    if (st == DR_OK)
        st = show(&h, report, out, err);
done:
    free(h.steps);
    dr_chain_fini(&h.chain);
    dr_ids_free(&h.last);
    dr_setup_fini(&s);
    return st;
}
