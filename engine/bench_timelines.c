/* The two parts of `deepread bench engine` about timelines: moving them, and running ahead on them. */
#include "engine/bench.h"

#include "engine/speculation.h"
#include "engine/state.h"
#include "engine/timeline.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 9 };

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double v[ROUNDS])
{
    qsort(v, ROUNDS, sizeof *v, ascending);
    return v[ROUNDS / 2];
}

static double since(uint64_t start)
{
    return (double)(dr_clock_us() - start);
}

/* ---- timelines of a large model ---- */

/* Copying is one thread's work, so CPU time is what it takes where no neighbour disturbs. */
static double cpu_since(uint64_t start)
{
    return (double)(dr_cpu_us() - start);
}

enum { TOKENS = 100000, CAPACITY = 1 << 17, CHUNK = 128 };

/* DeepSeek-V4-Flash (spec 1.1); the vocabulary is cut, which no timeline knows. */
static const char flash_config[] =
    "{\"vocab_size\": 1024, \"hidden_size\": 4096, \"num_hidden_layers\": 43, \"num_attention_heads\": 64, \"head_dim\": 512,"
    " \"qk_rope_head_dim\": 64, \"q_lora_rank\": 1024, \"o_lora_rank\": 1024, \"o_groups\": 8, \"sliding_window\": 128,"
    " \"compress_ratios\": [0, 0, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128,"
    " 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 128, 4, 0],"
    " \"compress_rope_theta\": 160000, \"rope_theta\": 10000, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 16,"
    " \"original_max_position_embeddings\": 65536, \"beta_fast\": 32, \"beta_slow\": 1}, \"max_position_embeddings\": 1048576,"
    " \"index_n_heads\": 64, \"index_head_dim\": 128, \"index_topk\": 512, \"n_routed_experts\": 256, \"n_shared_experts\": 1,"
    " \"num_experts_per_tok\": 6, \"moe_intermediate_size\": 2048, \"num_hash_layers\": 3, \"scoring_func\": \"sqrtsoftplus\","
    " \"topk_method\": \"noaux_tc\", \"norm_topk_prob\": true, \"routed_scaling_factor\": 1.5, \"swiglu_limit\": 10.0,"
    " \"hc_mult\": 4, \"hc_sinkhorn_iters\": 20, \"hc_eps\": 1e-6, \"rms_norm_eps\": 1e-6, \"num_nextn_predict_layers\": 1,"
    " \"bos_token_id\": 0, \"eos_token_id\": 1}";

static dr_status save(const dr_decoder *d, uint8_t *to, dr_error *err)
{
    dr_status st = DR_OK;
    for (int64_t i = 0; i < TOKENS / DR_BLOCK_TOKENS && st == DR_OK; i++, to += dr_decoder_block_bytes(d->model))
        st = dr_decoder_export_block(d, i, to, err);
    return st == DR_OK ? dr_decoder_export_anchor(d, to, err) : st;
}

static dr_status load(dr_decoder *d, const int32_t *ids, const uint8_t *from, dr_error *err)
{
    const size_t n = dr_decoder_block_bytes(d->model);
    dr_status st = dr_decoder_import_begin(d, ids, TOKENS, err);

    for (int64_t i = 0; i < TOKENS / DR_BLOCK_TOKENS && st == DR_OK; i++, from += n)
        st = dr_decoder_import_block(d, i, from, n, err);
    return st == DR_OK ? dr_decoder_import_anchor(d, from, dr_decoder_anchor_bytes(d->model, TOKENS), err) : st;
}

/* A stored timeline of TOKENS tokens: zeros, and the heads of an anchor. */
static void synthesise(uint8_t *bytes, const dr_model *m)
{
    uint8_t *anchor = bytes + TOKENS / DR_BLOCK_TOKENS * dr_decoder_block_bytes(m);

    dr_store_u32(anchor, DR_ANCHOR_MAGIC);
    dr_store_u32(anchor + 4, DR_ANCHOR_VERSION);
    dr_store_u64(anchor + 8, TOKENS);
    dr_store_u64(anchor + 16, dr_decoder_anchor_bytes(m, TOKENS));
}

static dr_status measure_forks(dr_timeline_bench *out, dr_decoder *d, dr_error *err)
{
    double fork_us[ROUNDS], write_us[ROUNDS], back_us[ROUNDS], snapshot_us[ROUNDS];
    const size_t page_bytes = d->model->layout.page_bytes;

    for (int i = 0; i < ROUNDS; i++) {
        dr_decoder *f;
        uint64_t start = dr_cpu_us();
        dr_status st = dr_decoder_fork(&f, d, err);
        fork_us[i] = cpu_since(start);
        if (st != DR_OK)
            return st;
        size_t shared;
        out->fork_own_mb = (double)dr_decoder_memory(f, &shared) * 1e-6;
        out->fork_shared_mb = (double)shared * 1e-6;
        start = dr_cpu_us();
        if ((st = dr_decoder__own_state(f, err)) == DR_OK)
            st = dr_page__own(&f->pages[TOKENS / DR_BLOCK_TOKENS], page_bytes, err);
        write_us[i] = cpu_since(start);
        start = dr_cpu_us();
        if (st == DR_OK)
            dr_state__load(f, f->snapshots[f->n_snapshots - 1].state->data, TOKENS);
        snapshot_us[i] = cpu_since(start);
        for (int32_t k = 0; k < f->model->config.n_layers; k++) { /* as if 32 tokens had been run */
            dr_layer_state *l = &f->layers[k];
            dr_window__reserve(&l->window, DR_SPARE_ROWS);
            if (l->tail.k)
                dr_tail__reserve(&l->tail, DR_SPARE_ROWS);
            if (l->index_tail.k)
                dr_tail__reserve(&l->index_tail, DR_SPARE_ROWS);
        }
        dr_decoder__step_back(f, TOKENS + DR_SPARE_ROWS);
        f->position = TOKENS + DR_SPARE_ROWS;
        start = dr_cpu_us();
        if (st == DR_OK)
            st = dr_decoder_rewind(f, TOKENS, err);
        back_us[i] = cpu_since(start);
        dr_decoder_free(f);
        if (st != DR_OK)
            return st;
    }
    out->fork_us = median(fork_us);
    out->fork_write_us = median(write_us);
    out->snapshot_us = median(snapshot_us);
    out->step_back_us = median(back_us);
    return DR_OK;
}

dr_status dr_engine_bench_timelines(dr_timeline_bench *out, const dr_ops *ops, dr_queue *queue, dr_error *err)
{
    dr_status st = DR_OK;
    dr_model m = {.ops = *ops};
    dr_decoder *d = NULL;
    int32_t *ids = calloc(TOKENS, sizeof *ids);
    uint8_t *bytes = NULL;
    double save_ms[ROUNDS], load_ms[ROUNDS];

    *out = (dr_timeline_bench){0};
    if (!ids) {
        st = dr_fail(err, DR_ERR_NOMEM, "bench: out of memory");
        goto done;
    }
    if ((st = dr_config_parse(&m.config, dr_str_of(flash_config), "DeepSeek-V4-Flash", err)) != DR_OK ||
        (st = dr_layout__init(&m.layout, &m.config, &m.ops, err)) != DR_OK ||
        (st = dr_decoder_new(&d, &m, queue, CHUNK, CAPACITY, err)) != DR_OK)
        goto done;
    const size_t n = TOKENS / DR_BLOCK_TOKENS * dr_decoder_block_bytes(&m) + dr_decoder_anchor_bytes(&m, TOKENS);
    if (!(bytes = calloc(1, n))) {
        st = dr_fail(err, DR_ERR_NOMEM, "bench: out of memory");
        goto done;
    }
    synthesise(bytes, &m);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = dr_cpu_us();
        if ((st = load(d, ids, bytes, err)) != DR_OK)
            goto done;
        load_ms[i] = cpu_since(start) * 1e-3;
        start = dr_cpu_us();
        if ((st = save(d, bytes, err)) != DR_OK)
            goto done;
        save_ms[i] = cpu_since(start) * 1e-3;
    }
    out->save_ms = median(save_ms);
    out->load_ms = median(load_ms);
    out->state_mb = (double)n * 1e-6;
    st = measure_forks(out, d, err);
done:
    free(bytes);
    free(ids);
    dr_decoder_free(d);
    dr_layout__fini(&m.layout);
    dr_config_fini(&m.config);
    return st;
}

/* ---- speculation ---- */

enum { PROMPT = 512, DECODED = 256, DRAFTS = 2, TURNS = 3, PASS = 512 };

static int32_t likeliest(const float *logits, int32_t vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* DECODED greedy tokens behind the prompt; drafts 0: plain. */
static dr_status decode(double *us, dr_speculation_stat *stat, dr_decoder *d, const int32_t *prompt, float *logits, int32_t drafts,
                        bool adaptive, dr_error *err)
{
    const int32_t vocab = d->model->config.vocab;
    dr_speculation *s = NULL;
    dr_status st;

    dr_decoder_reset(d);
    if ((st = dr_speculation_new(&s, d, drafts, adaptive, err)) != DR_OK ||
        (st = dr_decoder_prefill(d, prompt, PROMPT, logits, NULL, err)) != DR_OK)
        goto done;
    const uint64_t start = dr_clock_us();
    for (int i = 0; i < DECODED && st == DR_OK; i++)
        st = dr_speculation_step(s, likeliest(logits, vocab), logits, NULL, NULL, NULL, err);
    *us = since(start);
    *stat = dr_speculation_stats(s);
done:
    dr_speculation_free(s);
    return st;
}

dr_status dr_engine_bench_speculation(dr_speculation_bench *out, const dr_model *model, dr_queue *queue, dr_error *err)
{
    const int32_t vocab = model->config.vocab;
    int32_t *prompt = malloc(PROMPT * sizeof *prompt);
    float *logits = malloc((size_t)vocab * sizeof *logits);
    double plain_us = 0, us = 0, one;
    dr_speculation_stat stat;
    dr_decoder *d = NULL;
    dr_status st;

    *out = (dr_speculation_bench){0};
    if (!prompt || !logits) {
        st = dr_fail(err, DR_ERR_NOMEM, "bench: out of memory");
        goto done;
    }
    uint32_t x = 1;
    for (int i = 0; i < PROMPT; i++) {
        x = x * 1664525u + 1013904223u;
        prompt[i] = (int32_t)((x >> 8) % (uint32_t)vocab);
    }
    if ((st = dr_decoder_new(&d, model, queue, PASS, PROMPT + DECODED, err)) != DR_OK || !model->config.n_mtp)
        goto done;
    for (int i = 0; i < TURNS; i++) {
        if ((st = decode(&one, &stat, d, prompt, logits, 0, false, err)) != DR_OK)
            goto done;
        plain_us += one;
        if ((st = decode(&one, &stat, d, prompt, logits, DRAFTS, true, err)) != DR_OK)
            goto done;
        us += one;
    }
    if ((st = decode(&one, &stat, d, prompt, logits, DRAFTS, false, err)) != DR_OK)
        goto done;
    out->plain_tokens_s = TURNS * DECODED * 1e6 / plain_us;
    out->tokens_s = TURNS * DECODED * 1e6 / us;
    out->drafts = DRAFTS;
    out->tokens_a_pass = (double)stat.n_tokens / (double)stat.n_passes;
    out->accepted = stat.n_drafted ? (double)stat.n_accepted / (double)stat.n_drafted : 0;
done:
    dr_decoder_free(d);
    free(logits);
    free(prompt);
    return st;
}
