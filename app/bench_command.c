/* app/bench_command.c: `deepread bench WHAT`: figures of this machine, each beside its roof measured in the same run.
 *
 * Wall time depends on neighbours, so CPU time stands beside it; repeated figures are medians. */
#include "app/app.h"
#include "app/bench_ingest.h"
#include "app/setup.h"
#include "cache/anchors.h"
#include "cache/bench.h"
#include "cache/kv_store.h"
#include "engine/bench.h"
#include "engine/constraint_bench.h"
#include "kernels/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void dr_bench_figure(json_t *report, const dr_output *out, const char *key, double value, const char *unit, const char *what)
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

static dr_status bench_cache(json_t *report, const dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    dr_cache_bench b;
    dr_buf folder = {0};
    /* DeepSeek-V4-Flash: 21 CSA layers with a row of 584 and an index row of 68 bytes every 4 tokens, 20 HCA layers with one of 584 every
     * 128; an anchor holds 43 windows of 128 rows and 420 KiB of overlap. In whole slabs. */
    enum {
        BLOCK = DR_CHAIN_BLOCK_TOKENS,
        FLASH_BLOCK = 21 * (584 + 68) * (BLOCK / 4) + 20 * 584 * (BLOCK / 128),
        FLASH_ANCHOR = 43 * 128 * 584 + 420 * 1024,
        SLAB = DR_KV_SLAB_BYTES,
        ON_DISK = SLAB + 16
    };
    static const int64_t BENCH_BYTES = INT64_C(2) << 30, CHURN_BUDGET = INT64_C(256) << 20;
    const double FLASH_BYTES_PER_TOKEN = (double)((FLASH_BLOCK + SLAB - 1) / SLAB * ON_DISK) / BLOCK +
                                         (double)((FLASH_ANCHOR + SLAB - 1) / SLAB * ON_DISK) / DR_ANCHOR_EVERY;

    if ((st = dr_cache_folder_of_user(&folder, err)) == DR_OK &&
        (st = dr_make_dirs(folder.data, 0700, err)) == DR_OK &&
        (st = dr_cache_bench_run(&b, folder.data, BENCH_BYTES, FLASH_BLOCK, 100000, CHURN_BUDGET, err)) == DR_OK) {
        dr_bench_figure(report, out, "memcpy_gb_s", b.memcpy_gb_s, "GB/s", "of the same bytes: the roof of a warm restore");
        dr_bench_figure(report, out, "warm_gb_s", b.warm_gb_s, "GB/s", "restore from the page cache, checksums verified");
        dr_bench_figure(report, out, "raw_cold_gb_s", b.raw_cold_gb_s, "GB/s", "plain reads through the page cache, dropped before");
        dr_bench_figure(report, out, "cold_gb_s", b.cold_gb_s, "GB/s", "restore, page cache dropped (0: cannot be dropped here)");
        dr_bench_figure(report, out, "raw_write_mb_s", b.raw_write_mb_s, "MB/s", "a plain file, synced as often");
        dr_bench_figure(report, out, "write_mb_s", b.write_mb_s, "MB/s", "into the store");
        dr_bench_figure(report, out, "find_us_mean", b.find_us_mean, "us", "one look-up among 100,000 records");
        dr_bench_figure(report, out, "find_us_max", b.find_us_max, "us", "the slowest of them");
        dr_bench_figure(report, out, "churn_raw_mb_s", b.churn_raw_mb_s, "MB/s", "20 times the budget over and over in plain files, synced as often");
        dr_bench_figure(report, out, "churn_mb_s", b.churn_mb_s, "MB/s", "the same into a store that is full, evicting");
        dr_bench_figure(report, out, "churn_raw_worst_ms", b.churn_raw_worst_ms, "ms", "the slowest write and sync of one record's bytes");
        dr_bench_figure(report, out, "churn_raw_p99_ms", b.churn_raw_p99_ms, "ms", "99 of 100 were faster");
        dr_bench_figure(report, out, "churn_raw_p50_ms", b.churn_raw_p50_ms, "ms", "half were faster");
        dr_bench_figure(report, out, "churn_sync_worst_ms", b.churn_sync_worst_ms, "ms", "the slowest single sync of the plain files");
        dr_bench_figure(report, out, "churn_worst_ms", b.churn_worst_ms, "ms", "the slowest record stored");
        dr_bench_figure(report, out, "churn_p99_ms", b.churn_p99_ms, "ms", "99 of 100 were faster");
        dr_bench_figure(report, out, "churn_p50_ms", b.churn_p50_ms, "ms", "half were faster");
        dr_bench_figure(report, out, "churn_txn_worst_ms", b.churn_txn_worst_ms, "ms", "the slowest transaction: what other writers wait for");
        dr_bench_figure(report, out, "churn_file_part", b.churn_file_part, "", "size of the file, of the budget");
        dr_bench_figure(report, out, "flash_bytes_per_token", FLASH_BYTES_PER_TOKEN, "bytes", "on disk, blocks and an anchor every 8,192 tokens");
    }
    dr_buf_free(&folder);
    return st;
}

/* Drafts of this model, and moving timelines of a large one, which takes no weights. */
static dr_status bench_timelines(dr_setup *s, json_t *report, const dr_output *out, dr_error *err)
{
    dr_status st;
    dr_speculation_bench d;
    dr_timeline_bench t;

    if ((st = dr_engine_bench_speculation(&d, s->model, s->queue, err)) != DR_OK ||
        (st = dr_engine_bench_timelines(&t, &s->ops, s->queue, err)) != DR_OK)
        return st;
    dr_bench_figure(report, out, "greedy_tokens_s", d.plain_tokens_s, "tokens/s", "256 greedy tokens behind 512, one a pass");
    dr_bench_figure(report, out, "speculated_tokens_s", d.tokens_s, "tokens/s", "the same tokens, with drafts where they pay");
    dr_bench_figure(report, out, "speculated_tokens_pass", d.tokens_a_pass, "tokens", "a pass, with two drafts in all of them");
    dr_bench_figure(report, out, "speculated_accepted", d.accepted, "", "part of those drafts");
    if (!out->json)
        printf("a timeline of 100,000 tokens in the shapes of DeepSeek-V4-Flash, %.0f MB; no weights\n", t.state_mb);
    dr_bench_figure(report, out, "flash_fork_us", t.fork_us, "us", "a second timeline with the same past");
    dr_bench_figure(report, out, "flash_fork_write_us", t.fork_write_us, "us", "what the first pass of one of the two copies");
    dr_bench_figure(report, out, "flash_fork_own_mb", t.fork_own_mb, "MB", "memory of its own before that");
    dr_bench_figure(report, out, "flash_fork_shared_mb", t.fork_shared_mb, "MB", "memory it shares");
    dr_bench_figure(report, out, "flash_step_back_us", t.step_back_us, "us", "taking 32 tokens back");
    dr_bench_figure(report, out, "flash_snapshot_us", t.snapshot_us, "us", "going back to a snapshot, before the replay");
    dr_bench_figure(report, out, "flash_save_ms", t.save_ms, "ms", "the whole timeline into a buffer");
    dr_bench_figure(report, out, "flash_load_ms", t.load_ms, "ms", "and back");
    return DR_OK;
}

static dr_status bench_engine(dr_setup *s, json_t *report, const dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    dr_engine_bench b;

    if ((st = dr_setup_model(s, err)) != DR_OK || (st = dr_engine_bench_run(&b, s->model, s->queue, 0, err)) != DR_OK)
        return st;
    if (!out->json)
        printf("model %s, kernels %s, %d threads; medians\n", s->profile.name, s->ops.name, dr_pool_size(s->pool));
    dr_bench_figure(report, out, "prefill_512_tokens_s", b.prefill_512.tokens_per_s, "tokens/s", "512 tokens from nothing");
    dr_bench_figure(report, out, "prefill_512_cpu_us", b.prefill_512.cpu_us_per_token, "us", "CPU time a token, all threads");
    dr_bench_figure(report, out, "prefill_2048_tokens_s", b.prefill_2048.tokens_per_s, "tokens/s", "2,048 tokens from nothing");
    dr_bench_figure(report, out, "prefill_2048_cpu_us", b.prefill_2048.cpu_us_per_token, "us", "CPU time a token, all threads");
    dr_bench_figure(report, out, "decode_tokens_s", b.decode.tokens_per_s, "tokens/s", "one token at a time, at 512 to 640");
    dr_bench_figure(report, out, "decode_cpu_us", b.decode.cpu_us_per_token, "us", "CPU time a token, all threads");
    dr_bench_figure(report, out, "decode_gb_s", b.decode.tokens_per_s * b.decode_bytes_per_token * 1e-9, "GB/s",
           "packed weights read while decoding");
    dr_bench_figure(report, out, "state_us", b.state_us, "us", "exporting the anchor of position 512");
    dr_bench_figure(report, out, "restore_us", b.restore_us, "us", "importing it");
    dr_bench_figure(report, out, "peak_mb", peak_mb(), "MB", "most memory");
    return bench_timelines(s, report, out, err);
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

static void constraint_figures(json_t *report, const dr_output *out, const char *of, dr_constraint_cost cost, const char *what)
{
    const struct {
        const char *key;
        double us;
    } figures[] = {{"p50_us", cost.p50_us}, {"p99_us", cost.p99_us}, {"max_us", cost.max_us}};

    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        char key[40];
        (void)snprintf(key, sizeof key, "%s_%s", of, figures[i].key);
        dr_bench_figure(report, out, key, figures[i].us, "us", i ? "" : what);
    }
}

/* --model: with that model's vocabulary. */
static dr_status bench_constraint(const dr_options *opt, json_t *report, const dr_output *out, dr_error *err)
{
    enum { TOKENS = 16000 };
    dr_tokenizer *t = NULL;
    dr_buf path = {0};
    dr_constraint_bench b;
    dr_status st = DR_OK;

    if (opt->model) {
        dr_buf_printf(&path, "%s/tokenizer.json", opt->model);
        st = path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : dr_tokenizer_open(&t, path.data, err);
    }
    if (st == DR_OK)
        st = dr_constraint_bench_run(&b, t, TOKENS, err);
    if (st == DR_OK) {
        if (!out->json)
            printf("%d tokens of tool calls, vocabulary of %d (%s), a set of %d names, lines of a text of %d MiB; CPU time\n", b.n_tokens,
                   b.n_vocab, t ? opt->model : "made up", DR_CONSTRAINT_BENCH_NAMES, DR_CONSTRAINT_BENCH_TEXT >> 20);
        dr_bench_figure(report, out, "text_index_ms", b.text_ms, "ms", "indexing the text for substrings");
        dr_bench_figure(report, out, "grammar_ms", b.grammar_ms, "ms", "building the grammar, the set included");
        dr_bench_figure(report, out, "bare_us", b.bare_us, "us", "picking a token without a grammar: reading the logits");
        constraint_figures(report, out, "token", b.token, "what the grammar adds to a token: half, 99 of 100, all were below");
        constraint_figures(report, out, "known", b.known, "where the model means something legal");
        constraint_figures(report, out, "blind", b.blind, "where its logits are noise");
    }
    dr_buf_free(&path);
    dr_tokenizer_close(t);
    return st;
}

dr_outcome dr_command_bench(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    json_t *report = json_object();
    const char *what = opt->n_words == 1 ? opt->words[0] : "";

    dr_setup_init(&s, opt, out, cancel);
    if (strcmp(what, "ingest") == 0)
        st = dr_bench_ingest(opt, report, out, cancel, err);
    else if (strcmp(what, "engine") == 0)
        st = bench_engine(&s, report, out, err);
    else if (strcmp(what, "kernels") == 0)
        st = bench_kernels(&s, report, out, err);
    else if (strcmp(what, "cache") == 0)
        st = bench_cache(report, out, err);
    else if (strcmp(what, "constraint") == 0)
        st = bench_constraint(opt, report, out, err);
    else
        st = dr_fail(err, DR_ERR_ARG, "bench: say kernels, engine, ingest, cache or constraint");
    if (st == DR_OK)
        dr_output_event(out, json_pack("{s:s,s:i,s:s,s:O}", "type", "bench", "schema", DR_EVENT_SCHEMA, "what", what, "figures",
                                       report));
    json_decref(report);
    dr_setup_fini(&s);
    return dr_outcome_of(st);
}
