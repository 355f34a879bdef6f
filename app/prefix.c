#include "app/prefix.h"

#include "base/log.h"
#include "cache/anchors.h"
#include "cache/kv_store.h"
#include "cache/kv_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static_assert((int)DR_BLOCK_TOKENS == (int)DR_CHAIN_BLOCK_TOKENS, "what is stored as a block is what the chain calls one");

enum {
    CHUNK = 512,
    QUEUE_BYTES = 256 << 20,
    BLOCK_STEPS = DR_BLOCK_TOKENS / DR_CHAIN_STEP,
    MAX_LOSS_US = 60 * 1000000
};

/* An anchor that is there for a kill alone, and what follows it. */
typedef struct passing {
    bool is_set;
    dr_key key;
} passing;

struct dr_prefix {
    dr_cache *cache;
    dr_kv_writer *writer; /* NULL: nothing is stored */
    dr_decoder *decoder;
    const dr_model *model;
    uint64_t group;
    dr_error trouble;

    dr_key *keys; /* of the borders of the decoder's tokens */
    int64_t n_keys, cap_keys;
    int64_t base;                 /* end of the pack's base, 0: not known */
    uint64_t block_us, anchor_us; /* computing since the last block's end, since the last anchor */
    uint64_t max_loss_us, store_us;
    passing last, stale; /* the last anchor, if it is a passing one; one that goes when `follower` is on disk */
    dr_key follower;
};

dr_status dr_prefix_new(dr_prefix **out, dr_cache *cache, dr_decoder *decoder, const dr_model *model,
                        const dr_tokenizer *tokenizer, uint64_t group, dr_error *err)
{
    dr_status st = DR_OK;
    dr_prefix *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p || !(p->keys = malloc(sizeof *p->keys))) {
        free(p);
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    p->cache = cache;
    p->decoder = decoder;
    p->model = model;
    p->group = group;
    p->max_loss_us = MAX_LOSS_US;
    const dr_chain_parts parts = {.checkpoint = dr_model_identity(model),
                                  .tokenizer = dr_tokenizer_digest(tokenizer),
                                  .numerics = dr_decoder_numerics_id(model)};
    p->keys[0] = dr_chain_start(&parts);
    p->n_keys = p->cap_keys = 1;
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
    free(p->keys);
    free(p);
}

void dr_prefix_max_loss(dr_prefix *p, uint64_t us)
{
    p->max_loss_us = us;
}

uint64_t dr_prefix_store_us(const dr_prefix *p)
{
    dr_kv_writer_stat s = {0};
    if (p->writer)
        dr_kv_writer_stat_get(p->writer, &s);
    return p->store_us + s.cpu_us;
}

const char *dr_prefix_trouble(const dr_prefix *p)
{
    return p->trouble.msg;
}

int64_t dr_prefix_written(const dr_prefix *p)
{
    dr_kv_writer_stat s = {0};
    if (p->writer)
        dr_kv_writer_stat_get(p->writer, &s);
    return s.bytes_stored;
}

/* Keeps the first thing that went wrong with the cache. */
static void note(dr_prefix *p, const dr_error *e)
{
    if (p->trouble.code == DR_OK && e->code != DR_OK)
        p->trouble = *e;
}

static void drop_stale(dr_prefix *p)
{
    if (!p->stale.is_set || dr_kv_store_find(p->cache, NULL, DR_KV_ANCHOR, &p->follower, NULL) != DR_OK)
        return;
    p->stale.is_set = false;
    (void)dr_kv_store_drop(p->cache, DR_KV_ANCHOR, &p->stale.key, NULL); /* else it is evicted one day */
}

void dr_prefix_finish(dr_prefix *p)
{
    dr_error e = {0};
    if (p->writer && dr_kv_writer_flush(p->writer, &e) != DR_OK)
        note(p, &e);
    drop_stale(p);
}

/* Keys of all borders of ids[0..n); those there are belong to the same ids. */
static dr_status extend_keys(dr_prefix *p, const int32_t *ids, int64_t n, dr_error *err)
{
    const int64_t wanted = n / DR_CHAIN_STEP + 1, last = p->n_keys - 1;
    if (wanted <= p->n_keys)
        return DR_OK;
    if (wanted > p->cap_keys) {
        const int64_t cap = wanted + wanted / 2;
        dr_key *keys = realloc(p->keys, (size_t)cap * sizeof *keys);
        if (!keys)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        p->keys = keys;
        p->cap_keys = cap;
    }
    const dr_key from = p->keys[last];
    dr_chain_extend(p->keys + last, &from, ids + last * DR_CHAIN_STEP, n - last * DR_CHAIN_STEP);
    p->n_keys = wanted;
    return DR_OK;
}

/* Imports the longest stored prefix of ids[0..n - 1) and says how long it is. A failure leaves an empty decoder and -1; what was
 * damaged has then been dropped, so that the next try finds less. */
static int64_t restore_once(dr_prefix *p, int64_t *chain_tokens, const int32_t *ids, int64_t n)
{
    dr_kv_hit hit = {0};
    dr_error e = {0};
    dr_status st = dr_kv_store_resume(p->cache, &hit, p->keys, ids, n, n - 1, &e);
    const size_t block_bytes = dr_decoder_block_bytes(p->model);
    const size_t most = hit.anchor_bytes > block_bytes ? hit.anchor_bytes : block_bytes;
    uint8_t *data = NULL;

    *chain_tokens = hit.chain_tokens;
    if (st != DR_OK || hit.n_tokens == 0)
        goto done;
    if (!(data = malloc(most))) {
        st = dr_fail(&e, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_decoder_import_begin(p->decoder, ids, hit.n_tokens, &e)) != DR_OK)
        goto done;
    for (int64_t i = 0; i < hit.n_blocks && st == DR_OK; i++) {
        const dr_key *key = &p->keys[(i + 1) * BLOCK_STEPS];
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

static int64_t restore(dr_prefix *p, int64_t *chain_tokens, const int32_t *ids, int64_t n)
{
    enum { TRIES = 4 };
    for (int i = 0; i < TRIES; i++) {
        const int64_t restored = restore_once(p, chain_tokens, ids, n);
        if (restored >= 0)
            return restored;
    }
    *chain_tokens = 0;
    return 0;
}

static uint64_t thread_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

typedef enum stored { NOT_STORED, STORED_BEFORE, STORED_NOW } stored;

/* Stores the block that ends at the decoder's position, or the anchor of it; the writer thread does the waiting, unless its queue is full and
 * `wait` is set. */
static stored store(dr_prefix *p, dr_key *key, dr_kv_kind kind, uint64_t us, bool wait)
{
    const uint64_t begin = thread_us();
    const int64_t position = dr_decoder_position(p->decoder);
    const int32_t *ids = dr_decoder_tokens(p->decoder);
    const int64_t block = position / DR_BLOCK_TOKENS; /* whole blocks before an anchor; the block's end border for a block */
    dr_kv_label label = {
        .kind = kind, .n_tokens = position, .compute_us = us, .group = p->group, .pinned = position <= p->base};
    stored how = NOT_STORED;
    dr_error e = {0};
    dr_status st = DR_OK;
    void *data = NULL;
    size_t n;

    if (!p->writer)
        return how;
    if (kind == DR_KV_BLOCK) {
        label.key = p->keys[block * BLOCK_STEPS];
        label.parent = p->keys[(block - 1) * BLOCK_STEPS];
        n = dr_decoder_block_bytes(p->model);
    } else {
        label.key = dr_chain_at(p->keys, ids, position);
        label.parent = p->keys[block * BLOCK_STEPS];
        n = dr_decoder_anchor_bytes(p->model, position);
    }
    *key = label.key;
    if (dr_kv_store_find(p->cache, NULL, kind, &label.key, NULL) == DR_OK) {
        how = STORED_BEFORE;
        goto done;
    }
    if (!(data = malloc(n ? n : 1)))
        st = dr_fail(&e, DR_ERR_NOMEM, "out of memory");
    else if (kind == DR_KV_BLOCK)
        st = dr_decoder_export_block(p->decoder, block - 1, data, &e);
    else
        st = dr_decoder_export_anchor(p->decoder, data, &e);
    if (st == DR_OK && dr_kv_writer_put(p->writer, &label, data, n, wait) == DR_OK) {
        data = NULL; /* the writer's now */
        how = STORED_NOW;
    }
done:
    note(p, &e);
    free(data);
    p->store_us += thread_us() - begin;
    return how;
}

/* for_kill: it is of use until the next one is there, and no longer, as nothing parts or ends here. */
static void store_anchor(dr_prefix *p, bool for_kill, bool wait)
{
    dr_key key;
    const stored how = store(p, &key, DR_KV_ANCHOR, p->anchor_us, wait);

    p->anchor_us = 0;
    if (how == NOT_STORED)
        return;
    if (p->last.is_set && !dr_key_eq(&p->last.key, &key)) { /* the same: a prefill interrupted right behind it keeps it */
        p->stale = p->last;
        p->follower = key;
    }
    if (p->stale.is_set && dr_key_eq(&p->stale.key, &key)) /* wanted again */
        p->stale.is_set = false;
    p->last = (passing){for_kill && how == STORED_NOW, key};
}

/* The decoder went on, or failed to, since `begin`: a block that is finished by it is stored. */
static void moved(dr_prefix *p, bool ok, uint64_t begin, bool wait)
{
    const uint64_t us = dr_clock_us() - begin;
    const int64_t at = dr_decoder_position(p->decoder);
    dr_error e = {0};
    dr_key key;

    if (wait) /* dropping may wait for other processes: decoding leaves it to the turn's end */
        drop_stale(p);
    p->block_us += us;
    p->anchor_us += us;
    if (ok && at % DR_BLOCK_TOKENS == 0) {
        if (extend_keys(p, dr_decoder_tokens(p->decoder), at, &e) == DR_OK)
            (void)store(p, &key, DR_KV_BLOCK, p->block_us, wait);
        p->block_us = 0;
    }
    note(p, &e);
}

/* One pass, never across a block's end. */
static dr_status advance(dr_prefix *p, const int32_t *ids, int64_t n, float *logits, bool wait, const atomic_bool *cancel,
                         dr_error *err)
{
    const uint64_t begin = dr_clock_us();
    const dr_status st = dr_decoder_prefill(p->decoder, ids, n, logits, cancel, err);
    moved(p, st == DR_OK, begin, wait);
    return st;
}

dr_status dr_prefix_run(dr_prefix *p, dr_prefix_stat *stat, float *logits, const int32_t *ids, int64_t n,
                        const int64_t *marks, int n_marks, dr_prefix_progress *progress, void *arg, const atomic_bool *cancel,
                        dr_error *err)
{
    dr_status st = DR_OK;
    const uint64_t t0 = dr_clock_us();
    int64_t chain_tokens = 0;

    *stat = (dr_prefix_stat){.n_tokens = n};
    p->n_keys = 1;
    drop_stale(p);
    p->block_us = p->anchor_us = 0;
    p->last.is_set = p->stale.is_set = false;
    p->base = n_marks ? marks[0] : 0;
    if ((st = extend_keys(p, ids, n, err)) != DR_OK)
        return st;
    int64_t at = restore(p, &chain_tokens, ids, n);
    const int64_t from = at;
    const dr_anchor_plan plan = {marks, n_marks, n, from, chain_tokens};
    stat->n_restored = at;
    stat->restore_us = dr_clock_us() - t0;

    const uint64_t t1 = dr_clock_us();
    while (at < n) {
        const int64_t anchor = dr_anchor_next(&plan, at), block_end = (at / DR_BLOCK_TOKENS + 1) * DR_BLOCK_TOKENS;
        int64_t end = at + CHUNK;
        end = anchor < end ? anchor : end;
        end = block_end < end ? block_end : end;
        st = advance(p, ids + at, end - at, end == n ? logits : NULL, true, cancel, err);
        at = dr_decoder_position(p->decoder);
        if (st != DR_OK)
            break;
        if (at < n && (at == anchor || p->anchor_us >= p->max_loss_us))
            store_anchor(p, at != anchor, true);
        if (progress)
            progress(arg, at - from, n - from, dr_clock_us() - t1);
    }
    if (st == DR_ERR_CANCELLED && at > from)
        store_anchor(p, false, true);
    stat->n_computed = at - from;
    stat->compute_us = dr_clock_us() - t1;
    return st;
}

dr_status dr_prefix_feed(dr_prefix *p, const int32_t *ids, int64_t n, float *logits, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;

    for (int64_t done = 0; done < n && st == DR_OK;) {
        const int64_t at = dr_decoder_position(p->decoder);
        const int64_t to_border = DR_BLOCK_TOKENS - at % DR_BLOCK_TOKENS, left = n - done;
        const int64_t step = left < to_border ? left : to_border;
        st = advance(p, ids + done, step, done + step == n ? logits : NULL, false, cancel, err);
        done += step;
    }
    return st;
}

dr_status dr_prefix_step(dr_prefix *p, dr_speculation *speculation, int32_t id, float *logits, const dr_constraint *constraint,
                         const dr_tokenizer *t, const atomic_bool *cancel, dr_error *err)
{
    const uint64_t begin = dr_clock_us();
    const dr_status st = dr_speculation_step(speculation, id, logits, constraint, t, cancel, err);
    moved(p, st == DR_OK, begin, false);
    return st;
}

void dr_prefix_turn_end(dr_prefix *p)
{
    dr_error e = {0};
    const int64_t at = dr_decoder_position(p->decoder);

    if (!p->writer || at == 0)
        return;
    if (extend_keys(p, dr_decoder_tokens(p->decoder), at, &e) == DR_OK)
        store_anchor(p, false, false);
    note(p, &e);
}
