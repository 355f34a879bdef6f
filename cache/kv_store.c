#include "cache/kv_store.h"

#include "base/log.h"
#include "cache/kv_index.h"
#include "cache/kv_put.h"
#include "cache/kv_slabs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

dr_status dr_kv_store_put(dr_cache *c, bool *stored, const dr_kv_label *label, const void *data, size_t n, dr_error *err)
{
    dr_kv_item item = {.label = label, .data = data, .n = n};
    dr_status st;

    if (stored)
        *stored = false;
    if (!c || c->read_only)
        return DR_OK;
    if ((unsigned)label->kind >= DR_KV_KINDS || label->n_meta > DR_KV_META_BYTES || label->n_tokens < 0)
        return dr_fail(err, DR_ERR_ARG, "cache: a record of kind %d with %zu bytes of meta at position %lld",
                       (int)label->kind, label->n_meta, (long long)label->n_tokens);
    if ((st = dr_kv_put__many(c, &item, 1, err)) != DR_OK)
        return st;
    if (item.st != DR_OK)
        return dr_fail(err, item.st, "cache: a record of %zu bytes is not kept: %s", n, item.why);
    if (stored)
        *stored = item.stored;
    return DR_OK;
}

dr_status dr_kv_store_find(dr_cache *c, dr_kv_info *info, dr_kv_kind kind, const dr_key *key, dr_error *err)
{
    MDB_txn *txn = NULL;
    dr_entry e;
    dr_status st;

    if (!c)
        return DR_ERR_NOT_FOUND;
    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    st = dr_env__status(&c->facts, dr_entry__get(c, txn, &e, kind, key), "looking a record up", err);
    dr_env__read_end(&c->facts, txn);
    if (st == DR_OK && info)
        *info = e.info;
    return st;
}

typedef struct drop_job {
    dr_cache *c;
    dr_kv_kind kind;
    const dr_key *key;
    uint64_t sequence; /* 0: whatever is there */
    bool damaged;
    int64_t n_removed, bytes;
} drop_job;

static int drop_record(MDB_txn *txn, void *arg, dr_error *err)
{
    drop_job *j = arg;
    dr_cache *c = j->c;
    dr_state s;
    dr_entry e;
    int rc;

    (void)err;
    j->n_removed = j->bytes = 0;
    if ((rc = dr_state__get(c, txn, &s)) != 0)
        return rc;
    if (j->sequence) {
        if ((rc = dr_entry__get(c, txn, &e, j->kind, j->key)) != 0)
            return rc;
        if (e.sequence != j->sequence)
            return MDB_NOTFOUND;
    }
    if ((rc = dr_entry__remove_tree(c, txn, j->kind, j->key, &j->n_removed, &j->bytes)) != 0)
        return rc;
    s.n_damaged += j->damaged;
    return dr_state__put(c, txn, &s);
}

/* DR_ERR_NOT_FOUND when the index no longer has this very record. */
static dr_status find_again(const drop_job *j, dr_error *err)
{
    MDB_txn *txn = NULL;
    dr_entry e;
    const dr_status st = dr_env__read(&j->c->facts, &txn, err);
    if (st != DR_OK)
        return st;
    const int rc = dr_entry__get(j->c, txn, &e, j->kind, j->key);
    dr_env__read_end(&j->c->facts, txn);
    return dr_env__status(&j->c->facts, rc == 0 && e.sequence != j->sequence ? MDB_NOTFOUND : rc, "looking a record up", err);
}

/* The slabs were not what the entry said. Either the record was replaced between the two transactions (then its entry has gone: slabs
 * are written over only after that), or it is damaged. */
static dr_status drop_damaged(dr_cache *c, dr_kv_kind kind, const dr_key *key, uint64_t sequence, dr_error *err)
{
    drop_job j = {.c = c, .kind = kind, .key = key, .sequence = sequence, .damaged = true};
    const dr_status st = c->read_only ? find_again(&j, err) : dr_env__update(&c->facts, drop_record, &j, err);
    const bool dropped = !c->read_only && st == DR_OK;
    char hex[65];

    if (st == DR_ERR_NOT_FOUND)
        return st;
    if (st != DR_OK)
        dr_log("cache", "a damaged record could not be dropped");
    dr_digest_hex(hex, key);
    dr_log("cache", "record %.16s is damaged; %lld dropped", hex, (long long)j.n_removed);
    return dr_fail(err, DR_ERR_FORMAT, "cache: record %.16s is damaged%s", hex, dropped ? " and was dropped" : "");
}

/* dst NULL: only checks, and neither needs the size nor counts as a use. */
static dr_status read_record(dr_cache *c, const dr_span *dst, dr_kv_kind kind, const dr_key *key, dr_error *err)
{
    MDB_txn *txn = NULL;
    uint8_t *refs = NULL;
    dr_entry e;
    dr_status st;
    int rc;

    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    rc = dr_entry__get(c, txn, &e, kind, key);
    if (rc == 0) {
        const size_t n = (size_t)e.n_slabs * DR_SLAB_REF_BYTES;
        if ((refs = malloc(n ? n : 1))) {
            memcpy(refs, e.refs, n);
            e.refs = refs;
        }
    }
    dr_env__read_end(&c->facts, txn);
    if (rc == MDB_NOTFOUND && dst)
        dr_uses__miss(c);
    if (rc != 0 || !refs) {
        st = dr_env__status(&c->facts, rc ? rc : ENOMEM, "looking a record up", err);
        goto done;
    }
    if (dst && dst->n != e.info.n_bytes) {
        st = dr_fail(err, DR_ERR_ARG, "cache: room for %zu bytes, the record has %zu", dst->n, e.info.n_bytes);
        goto done;
    }
    st = dr_slabs__read(c, dst ? dst->data : NULL, &e, err);
    if (st == DR_OK && dst)
        dr_uses__add(c, kind, key, e.info.n_bytes);
    else if (st == DR_ERR_NOT_FOUND)
        st = drop_damaged(c, kind, key, e.sequence, err);
done:
    free(refs);
    return st;
}

dr_status dr_kv_store_get(dr_cache *c, dr_span dst, dr_kv_kind kind, const dr_key *key, dr_error *err)
{
    return c ? read_record(c, &dst, kind, key, err) : DR_ERR_NOT_FOUND;
}

dr_status dr_kv_store__check(dr_cache *c, dr_kv_kind kind, const dr_key *key, dr_error *err)
{
    return read_record(c, NULL, kind, key, err);
}

dr_status dr_kv_store_drop(dr_cache *c, dr_kv_kind kind, const dr_key *key, dr_error *err)
{
    drop_job j = {.c = c, .kind = kind, .key = key};
    if (!c || c->read_only)
        return DR_ERR_NOT_FOUND;
    return dr_env__update(&c->facts, drop_record, &j, err);
}

/* The newest anchor whose parent is the block that ends at `floor` (or the chain's start), at most at `limit`. */
static int newest_anchor(dr_cache *c, MDB_txn *txn, const dr_key *keys, const int32_t *ids, int64_t floor, int64_t limit,
                         dr_kv_hit *hit)
{
    const dr_key *parent = &keys[floor / DR_CHAIN_STEP];
    const int64_t last = floor + DR_CHAIN_BLOCK_TOKENS - 1;
    int64_t at = limit < last ? limit : last;
    int rc;

    /* Other prefixes have their anchors here too, so each position that has one is tried with this prefix's key. */
    for (; (rc = dr_link__last(c, txn, parent, DR_KV_ANCHOR, &at)) == 0 && at >= floor && at > 0; at--) {
        const dr_key key = dr_chain_at(keys, ids, at);
        dr_entry e;
        rc = dr_entry__get(c, txn, &e, DR_KV_ANCHOR, &key);
        if (rc == 0) {
            hit->n_tokens = at;
            hit->n_blocks = at / DR_CHAIN_BLOCK_TOKENS;
            hit->anchor = key;
            hit->anchor_bytes = e.info.n_bytes;
            return 0;
        }
        if (rc != MDB_NOTFOUND)
            return rc;
    }
    return rc ? rc : MDB_NOTFOUND;
}

dr_status dr_kv_store_resume(dr_cache *c, dr_kv_hit *hit, const dr_key *keys, const int32_t *ids, int64_t n, int64_t limit,
                             dr_error *err)
{
    MDB_txn *txn = NULL;
    dr_status st;
    int64_t stored = 0;
    int rc = 0;

    *hit = (dr_kv_hit){0};
    if (!c)
        return DR_OK;
    limit = limit < n ? limit : n;
    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    while (stored + DR_CHAIN_BLOCK_TOKENS <= n) {
        dr_entry e;
        rc = dr_entry__get(c, txn, &e, DR_KV_BLOCK, &keys[(stored + DR_CHAIN_BLOCK_TOKENS) / DR_CHAIN_STEP]);
        if (rc != 0)
            break;
        stored += DR_CHAIN_BLOCK_TOKENS;
    }
    hit->chain_tokens = stored;
    if (rc == 0)
        rc = MDB_NOTFOUND;
    int64_t floor = stored < limit ? stored : limit / DR_CHAIN_BLOCK_TOKENS * DR_CHAIN_BLOCK_TOKENS;
    for (; floor >= 0 && rc == MDB_NOTFOUND; floor -= DR_CHAIN_BLOCK_TOKENS)
        rc = newest_anchor(c, txn, keys, ids, floor, limit, hit);
    dr_env__read_end(&c->facts, txn);
    if (rc == MDB_NOTFOUND) {
        dr_uses__miss(c);
        return DR_OK;
    }
    return dr_env__status(&c->facts, rc, "looking for a prefix", err);
}
