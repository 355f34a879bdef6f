#include "app/prefix.h"

#include "base/log.h"
#include "cache/kv_store.h"
#include "cache/kv_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)DR_BLOCK_TOKENS == (int)DR_CHAIN_BLOCK_TOKENS, "what is stored as a block is what the chain calls one");

enum { CHUNK = 512, ANCHOR_EVERY = 8192, QUEUE_BYTES = 256 << 20 };

struct dr_prefix {
    dr_cache *cache;
    dr_kv_writer *writer;
    dr_decoder *decoder;
    const dr_model *model;
    dr_key start;
    uint64_t group;
    dr_error trouble;
};

dr_status dr_prefix_new(dr_prefix **out, dr_cache *cache, dr_decoder *decoder, const dr_model *model,
                        const dr_tokenizer *tokenizer, uint64_t group, dr_error *err)
{
    dr_status st = DR_OK;
    dr_prefix *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    *p = (dr_prefix){.cache = cache, .decoder = decoder, .model = model, .group = group};
    const dr_chain_parts parts = {.checkpoint = dr_model_identity(model),
                                  .tokenizer = dr_tokenizer_digest(tokenizer),
                                  .numerics = dr_decoder_numerics_id(model)};
    p->start = dr_chain_start(&parts);
    if (!dr_cache_read_only(cache) && (st = dr_kv_writer_new(&p->writer, cache, QUEUE_BYTES, err)) != DR_OK)
        goto done;
    *out = p;
    p = NULL;
done:
    dr_prefix_free(p);
    return st;
}

void dr_prefix_free(dr_prefix *p)
{
    if (!p)
        return;
    dr_kv_writer_free(p->writer, false);
    free(p);
}

const char *dr_prefix_trouble(const dr_prefix *p)
{
    return p->trouble.msg;
}

/* Keeps the first thing that went wrong with the cache. */
static void note(dr_prefix *p, const dr_error *e)
{
    if (p->trouble.code == DR_OK && e->code != DR_OK)
        p->trouble = *e;
}

/* Imports the longest stored prefix of ids[0..n - 1) and says how long it is. A failure leaves an empty decoder and -1; what was
 * damaged has then been dropped, so that the next try finds less. */
static int64_t restore_once(dr_prefix *p, const dr_key *keys, const int32_t *ids, int64_t n)
{
    dr_kv_hit hit = {0};
    dr_error e = {0};
    dr_status st = dr_kv_store_resume(p->cache, &hit, keys, ids, n, n - 1, &e);
    const size_t block_bytes = dr_decoder_block_bytes(p->model);
    const size_t most = hit.anchor_bytes > block_bytes ? hit.anchor_bytes : block_bytes;
    uint8_t *data = NULL;

    if (st != DR_OK || hit.n_tokens == 0)
        goto done;
    if (!(data = malloc(most))) {
        st = dr_fail(&e, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_decoder_import_begin(p->decoder, ids, hit.n_tokens, &e)) != DR_OK)
        goto done;
    for (int64_t i = 0; i < hit.n_blocks && st == DR_OK; i++) {
        const dr_key *key = &keys[(i + 1) * (DR_BLOCK_TOKENS / DR_CHAIN_STEP)];
        if ((st = dr_kv_store_get(p->cache, (dr_span){data, block_bytes}, DR_KV_BLOCK, key, &e)) == DR_OK)
            st = dr_decoder_import_block(p->decoder, i, data, block_bytes, &e);
    }
    if (st == DR_OK &&
        (st = dr_kv_store_get(p->cache, (dr_span){data, hit.anchor_bytes}, DR_KV_ANCHOR, &hit.anchor, &e)) == DR_OK)
        st = dr_decoder_import_anchor(p->decoder, data, hit.anchor_bytes, &e);
done:
    free(data);
    if (st != DR_OK) {
        dr_log("prefix", "restore failed: %s", e.msg);
        note(p, &e);
        dr_decoder_reset(p->decoder);
        return -1;
    }
    return hit.n_tokens;
}

static int64_t restore(dr_prefix *p, const dr_key *keys, const int32_t *ids, int64_t n)
{
    enum { TRIES = 4 };
    for (int i = 0; i < TRIES; i++) {
        const int64_t restored = restore_once(p, keys, ids, n);
        if (restored >= 0)
            return restored;
    }
    return 0;
}

/* Stores the block that ends here, or the anchor of here; the writer thread does the waiting. */
static void store(dr_prefix *p, dr_kv_kind kind, const dr_key *keys, const int32_t *ids, int64_t position, uint64_t us)
{
    const int64_t steps = DR_BLOCK_TOKENS / DR_CHAIN_STEP;
    const int64_t block = position / DR_BLOCK_TOKENS; /* whole blocks before an anchor; the block's end border for a block */
    dr_kv_label label = {.kind = kind, .n_tokens = position, .compute_us = us, .group = p->group};
    dr_error e = {0};
    dr_status st = DR_OK;
    void *data = NULL;
    size_t n;

    if (!p->writer)
        return;
    if (kind == DR_KV_BLOCK) {
        label.key = keys[block * steps];
        label.parent = keys[(block - 1) * steps];
        n = dr_decoder_block_bytes(p->model);
    } else {
        label.key = dr_chain_at(keys, ids, position);
        label.parent = keys[block * steps];
        n = dr_decoder_anchor_bytes(p->model, position);
    }
    if (dr_kv_store_find(p->cache, NULL, kind, &label.key, NULL) == DR_OK)
        return;
    if (!(data = malloc(n ? n : 1)))
        st = dr_fail(&e, DR_ERR_NOMEM, "out of memory");
    else if (kind == DR_KV_BLOCK)
        st = dr_decoder_export_block(p->decoder, block - 1, data, &e);
    else
        st = dr_decoder_export_anchor(p->decoder, data, &e);
    if (st == DR_OK && dr_kv_writer_put(p->writer, &label, data, n, true) == DR_OK)
        data = NULL; /* the writer's now */
    note(p, &e);
    free(data);
}

dr_status dr_prefix_run(dr_prefix *p, dr_prefix_stat *stat, float *logits, const int32_t *ids, int64_t n,
                        const int64_t *marks, int n_marks, dr_prefix_progress *progress, void *arg, const atomic_bool *cancel,
                        dr_error *err)
{
    dr_status st = DR_OK;
    const uint64_t t0 = dr_clock_us();
    dr_key *keys = malloc(((size_t)(n / DR_CHAIN_STEP) + 1) * sizeof *keys);
    int next_mark = 0;

    *stat = (dr_prefix_stat){.n_tokens = n};
    if (!keys)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    dr_chain_extend(keys, &p->start, ids, n);
    int64_t at = restore(p, keys, ids, n);
    const int64_t from = at;
    stat->n_restored = at;
    stat->restore_us = dr_clock_us() - t0;

    const uint64_t t1 = dr_clock_us();
    uint64_t block_start = t1;
    while (at < n) {
        while (next_mark < n_marks && marks[next_mark] <= at)
            next_mark++;
        int64_t end = at + CHUNK;
        const int64_t borders[] = {n, next_mark < n_marks ? marks[next_mark] : n,
                                   (at / DR_BLOCK_TOKENS + 1) * DR_BLOCK_TOKENS};
        for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
            end = borders[i] < end ? borders[i] : end;
        if ((st = dr_decoder_prefill(p->decoder, ids + at, end - at, end == n ? logits : NULL, cancel, err)) != DR_OK)
            break;
        at = end;
        const uint64_t now = dr_clock_us();
        if (at % DR_BLOCK_TOKENS == 0) {
            store(p, DR_KV_BLOCK, keys, ids, at, now - block_start);
            block_start = now;
        }
        if ((next_mark < n_marks && marks[next_mark] == at) || at % ANCHOR_EVERY == 0)
            store(p, DR_KV_ANCHOR, keys, ids, at, now - t1);
        if (progress)
            progress(arg, at - from, n - from, now - t1);
    }
    stat->n_computed = at - from;
    stat->compute_us = dr_clock_us() - t1;
    free(keys);
    return st;
}
