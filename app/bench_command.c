/* app/bench_command.c: `deepread bench WHAT`: figures of this machine, each beside its roof measured in the same run.
 *
 * Wall time depends on neighbours, so CPU time stands beside it; repeated figures are medians. */
#include "app/app.h"
#include "app/pack.h"
#include "app/setup.h"
#include "base/log.h"
#include "cache/bench.h"
#include "engine/bench.h"
#include "kernels/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* One figure: a line for people, a member of the report for programs. */
static void figure(json_t *report, const dr_output *out, const char *key, double value, const char *unit, const char *what)
{
    json_object_set_new(report, key, json_real(value));
    if (!out->json)
        printf("  %-28s %12.2f %-9s %s\n", key, value, unit, what);
}

static double peak_mb(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024.0;
}

/* ---- ingest ---- */

static dr_status ingest_once(dr_setup *s, json_t *report, const dr_output *out, const dr_blob_store *store, const char *name,
                             dr_error *err)
{
    dr_status st = DR_OK;
    dr_repo *repo = NULL;
    dr_symbols *symbols = NULL;
    dr_pack pack = {0};
    char key[64];
    const uint64_t wall = dr_clock_us(), cpu = dr_cpu_us();
    const dr_repo_options how = {.rev = s->opt->rev, .store = store, .pool = s->pool};
    const dr_symbols_options sym = {.store = store, .pool = s->pool};
    const dr_pack_options full = {.mode = DR_PACK_FULL, .store = store, .pool = s->pool};

    if ((st = dr_repo_open(&repo, s->opt->path ? s->opt->path : ".", &how, err)) != DR_OK)
        goto done;
    if ((st = dr_pack_build(&pack, repo, NULL, s->tokenizer, &full, err)) != DR_OK)
        goto done;
    const uint64_t wall_pack = dr_clock_us() - wall, cpu_pack = dr_cpu_us() - cpu;
    if ((st = dr_symbols_open(&symbols, repo, &sym, err)) != DR_OK)
        goto done;
    (void)snprintf(key, sizeof key, "%s_pack_wall_ms", name);
    figure(report, out, key, (double)wall_pack * 1e-3, "ms", "files, bytes, tokens of the full pack");
    (void)snprintf(key, sizeof key, "%s_pack_cpu_ms", name);
    figure(report, out, key, (double)cpu_pack * 1e-3, "ms", "the same, CPU time");
    (void)snprintf(key, sizeof key, "%s_symbols_wall_ms", name);
    figure(report, out, key, (double)(dr_clock_us() - wall - wall_pack) * 1e-3, "ms", "definitions and uses");
    (void)snprintf(key, sizeof key, "%s_symbols_cpu_ms", name);
    figure(report, out, key, (double)(dr_cpu_us() - cpu - cpu_pack) * 1e-3, "ms", "the same, CPU time");
    if (store == NULL) {
        figure(report, out, "files", (double)dr_repo_n_files(repo), "", "");
        figure(report, out, "tokens", (double)pack.ids.n, "", "of the full pack");
        figure(report, out, "symbols", (double)dr_symbols_get_stats(symbols)->n_defs, "", "definitions");
        figure(report, out, "uses", (double)dr_symbols_get_stats(symbols)->n_refs, "", "");
    }
done:
    dr_pack_fini(&pack);
    dr_symbols_close(symbols);
    dr_repo_close(repo);
    return st;
}

static dr_status bench_ingest(dr_setup *s, json_t *report, const dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;

    if ((st = dr_setup_pool(s, err)) != DR_OK || (st = dr_setup_model_files(s, err)) != DR_OK ||
        (st = dr_setup_cache(s, err)) != DR_OK || (st = ingest_once(s, report, out, NULL, "cold", err)) != DR_OK)
        return st;
    figure(report, out, "cold_peak_mb", peak_mb(), "MB", "most memory so far");
    if (!s->facts)
        return DR_OK;
    if ((st = ingest_once(s, report, out, s->facts, "storing", err)) != DR_OK ||
        (st = dr_cache_flush(s->cache, err)) != DR_OK)
        return st;
    return ingest_once(s, report, out, s->facts, "warm", err);
}

/* ---- the others ---- */

static dr_status bench_cache(json_t *report, const dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    dr_cache_bench b;
    dr_buf folder = {0};

    if ((st = dr_cache_folder_of_user(&folder, err)) == DR_OK &&
        (st = dr_make_dirs(folder.data, 0700, err)) == DR_OK &&
        (st = dr_cache_bench_run(&b, folder.data, INT64_C(512) << 20, 7900000, 100000, err)) == DR_OK) {
        figure(report, out, "memcpy_gb_s", b.memcpy_gb_s, "GB/s", "of the same bytes: the roof of a warm restore");
        figure(report, out, "warm_gb_s", b.warm_gb_s, "GB/s", "restore from the page cache, checksums verified");
        figure(report, out, "raw_cold_gb_s", b.raw_cold_gb_s, "GB/s", "plain reads, page cache dropped: the roof of a cold restore");
        figure(report, out, "cold_gb_s", b.cold_gb_s, "GB/s", "restore, page cache dropped (0: cannot be dropped here)");
        figure(report, out, "raw_write_mb_s", b.raw_write_mb_s, "MB/s", "a plain file, synced as often");
        figure(report, out, "write_mb_s", b.write_mb_s, "MB/s", "into the store");
        figure(report, out, "find_us_mean", b.find_us_mean, "us", "one look-up among 100,000 records");
        figure(report, out, "find_us_max", b.find_us_max, "us", "the slowest of them");
    }
    dr_buf_free(&folder);
    return st;
}

static dr_status bench_engine(dr_setup *s, json_t *report, const dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    dr_engine_bench b;

    if ((st = dr_setup_model(s, err)) != DR_OK || (st = dr_engine_bench_run(&b, s->model, s->queue, 0, err)) != DR_OK)
        return st;
    if (!out->json)
        printf("model %s, kernels %s, %d threads; medians\n", s->profile.name, s->ops.name, dr_pool_size(s->pool));
    figure(report, out, "prefill_512_tokens_s", b.prefill_512.tokens_per_s, "tokens/s", "512 tokens from nothing");
    figure(report, out, "prefill_512_cpu_us", b.prefill_512.cpu_us_per_token, "us", "CPU time a token, all threads");
    figure(report, out, "prefill_2048_tokens_s", b.prefill_2048.tokens_per_s, "tokens/s", "2,048 tokens from nothing");
    figure(report, out, "prefill_2048_cpu_us", b.prefill_2048.cpu_us_per_token, "us", "CPU time a token, all threads");
    figure(report, out, "decode_tokens_s", b.decode.tokens_per_s, "tokens/s", "one token at a time, at 512 to 640");
    figure(report, out, "decode_cpu_us", b.decode.cpu_us_per_token, "us", "CPU time a token, all threads");
    figure(report, out, "decode_gb_s", b.decode.tokens_per_s * b.decode_bytes_per_token * 1e-9, "GB/s",
           "packed weights read while decoding");
    figure(report, out, "state_us", b.state_us, "us", "exporting the anchor of position 512");
    figure(report, out, "restore_us", b.restore_us, "us", "importing it");
    figure(report, out, "peak_mb", peak_mb(), "MB", "most memory");
    return DR_OK;
}

typedef struct kernel_lines {
    json_t *report;
    const dr_output *out;
} kernel_lines;

static void kernel_line(void *arg, const dr_bench_line *l)
{
    const kernel_lines *k = arg;
    json_object_set_new(k->report, l->name,
                        json_pack("{s:f,s:s,s:f}", "value", l->value, "unit", l->unit, "roof", l->roof));
    if (!k->out->json && l->roof > 0)
        printf("  %-44s %10.2f %-8s %5.1f %% of %.1f\n", l->name, l->value, l->unit, 100 * l->value / l->roof, l->roof);
    else if (!k->out->json)
        printf("  %-44s %10.2f %s\n", l->name, l->value, l->unit);
}

static dr_status bench_kernels(dr_setup *s, json_t *report, const dr_output *out, dr_error *err)
{
    dr_ops ops;
    kernel_lines lines = {report, out};
    const dr_status st = dr_ops_init_named(&ops, s->opt->isa, err);
    if (st != DR_OK)
        return st;
    if (!out->json)
        printf("kernels %s, one thread, CPU time\n", ops.name);
    return dr_bench_kernels(&ops, 0, kernel_line, &lines, err);
}

dr_outcome dr_command_bench(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    json_t *report = json_object();
    const char *what = opt->n_words == 1 ? opt->words[0] : "";

    dr_setup_init(&s, opt, out, cancel);
    if (strcmp(what, "ingest") == 0)
        st = bench_ingest(&s, report, out, err);
    else if (strcmp(what, "engine") == 0)
        st = bench_engine(&s, report, out, err);
    else if (strcmp(what, "kernels") == 0)
        st = bench_kernels(&s, report, out, err);
    else if (strcmp(what, "cache") == 0)
        st = bench_cache(report, out, err);
    else
        st = dr_fail(err, DR_ERR_ARG, "bench: say kernels, engine, ingest or cache");
    if (st == DR_OK)
        dr_output_event(out, json_pack("{s:s,s:i,s:s,s:O}", "type", "bench", "schema", DR_EVENT_SCHEMA, "what", what, "figures",
                                       report));
    json_decref(report);
    dr_setup_fini(&s);
    return dr_outcome_of(st);
}
