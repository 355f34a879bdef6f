/* The order of K1, in one go for several records:
 *
 *   facts: begin    ids for every record (evicting when there are too few)
 *     kv:  begin    up to SLABS_PER_TXN slabs     commit, on disk       ... again until all are written
 *          entries, links, state
 *   facts: commit   from here on the records exist
 *
 * What was used since the last time is written along. The write lock of facts is held throughout, in whatever process, so
 * ids cannot be taken twice. Checksums are computed before it is taken. */
#include "cache/kv_put.h"

#include "cache/kv_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 8 MiB: about 10 ms of a disk that writes 800 MB/s, and as much memory while it lasts. */
enum {
    SLABS_PER_TXN = 32,
    DAY_S = 24 * 3600,
    MAX_BEHIND = 16 /* transactions on kv while a record is read, without anyone standing still */
};

typedef struct slab_write {
    uint32_t id;
    uint32_t n;
    const uint8_t *data;
} slab_write;

typedef struct put_job {
    dr_cache *c;
    dr_kv_item *items;
    size_t n_items;
    uint8_t *refs; /* of all items, one behind the other; ids are filled in inside the transaction */
    slab_write *writes;
    size_t n_writes;
    dr_uses uses;
} put_job;

typedef struct slab_batch {
    dr_cache *c;
    const slab_write *writes;
    size_t n;
} slab_batch;

static int write_slabs(MDB_txn *txn, void *arg, dr_error *err)
{
    const slab_batch *b = arg;

    (void)err;
    for (size_t i = 0; i < b->n; i++) {
        uint32_t id = b->writes[i].id;
        MDB_val mk = {sizeof id, &id}, mv = {DR_KV_SLAB_BYTES, NULL};
        const int rc = mdb_put(txn, b->c->slabs, &mk, &mv, MDB_RESERVE);
        if (rc != 0)
            return rc;
        memcpy(mv.mv_data, b->writes[i].data, b->writes[i].n);
        memset((uint8_t *)mv.mv_data + b->writes[i].n, 0, DR_KV_SLAB_BYTES - b->writes[i].n);
    }
    return 0;
}

/* Slabs about to be replaced: LMDB takes the number of pages to free from the slab's header, so that must be right. */
static dr_status check_replaced(dr_cache *c, const slab_write *writes, size_t n, dr_error *err)
{
    MDB_cursor *cur = NULL;
    MDB_txn *txn = NULL;
    dr_status st = dr_env__read(&c->kv, &txn, err);
    int rc;

    if (st != DR_OK)
        return st;
    rc = mdb_cursor_open(txn, c->slabs, &cur);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        uint32_t id = writes[i].id;
        MDB_val mk = {sizeof id, &id}, mv;
        if ((rc = mdb_cursor_get(cur, &mk, &mv, MDB_SET_KEY)) == 0)
            rc = dr_env__value_sound(&c->kv, &mk, &mv) ? 0 : MDB_CORRUPTED;
        else if (rc == MDB_NOTFOUND)
            rc = 0;
    }
    if (cur)
        mdb_cursor_close(cur);
    dr_env__read_end(&c->kv, txn);
    return dr_env__status(&c->kv, rc, "replacing slabs", err);
}

static bool exists(dr_cache *c, MDB_txn *txn, const dr_kv_label *l, int *rc)
{
    dr_entry e;
    *rc = dr_entry__get(c, txn, &e, l->kind, &l->key);
    return *rc == 0;
}

/* K5: the block that this record stands on is there, or it is at the chain's start. */
static int has_parent(dr_cache *c, MDB_txn *txn, const dr_kv_label *l, bool *has)
{
    dr_entry e;
    int rc;

    *has = l->kind == DR_KV_BLOCK ? l->n_tokens <= DR_CHAIN_BLOCK_TOKENS : l->n_tokens < DR_CHAIN_BLOCK_TOKENS;
    if (*has)
        return 0;
    rc = dr_entry__get(c, txn, &e, DR_KV_BLOCK, &l->parent);
    *has = rc == 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Entry and ids of one item; its slabs are listed for writing. */
static int place_item(put_job *j, MDB_txn *txn, dr_state *s, dr_kv_item *it, uint8_t *refs, uint64_t first_sequence)
{
    dr_cache *c = j->c;
    const uint64_t n_slabs = dr_slabs_of(it->n);
    const uint8_t *data = it->data;
    int64_t n_removed = 0, bytes = 0;
    uint32_t *ids = NULL;
    uint64_t room;
    int rc;

    it->stored = false;
    it->st = DR_OK;
    it->why = "";
    if (exists(c, txn, it->label, &rc))
        return 0;
    if (rc != MDB_NOTFOUND)
        return rc;
    bool useful;
    if ((rc = has_parent(c, txn, it->label, &useful)) != 0)
        return rc;
    const uint64_t day = dr_now_s() / DAY_S;
    if (day != s->day) {
        s->day = day;
        s->day_bytes = 0;
    }
    const uint64_t n_written = n_slabs * (DR_KV_SLAB_BYTES + 16), most = (uint64_t)c->kv_day_bytes;
    if (!useful)
        it->why = "the record before it is not stored";
    else if (n_slabs > c->max_slabs)
        it->why = "it is larger than the budget";
    else if (n_written > 0 && s->day_bytes + n_written > most)
        it->why = "the bytes that may be written in a day are used up";
    if (*it->why) {
        it->st = DR_ERR_LIMIT;
        return 0;
    }
    /* One that is damaged is in the way. */
    if ((rc = dr_entry__remove(c, txn, it->label->kind, &it->label->key, NULL)) != 0 && rc != MDB_NOTFOUND)
        return rc;
    if ((rc = dr_slabs__room(c, txn, s, &room)) != 0)
        return rc;
    if (room < n_slabs) {
        if ((rc = dr_evict__for(c, txn, s, n_slabs, &it->label->parent, first_sequence, &n_removed, &bytes)) != 0)
            return rc;
        s->n_evicted += (uint64_t)n_removed;
    }
    if (n_slabs && !(ids = malloc(n_slabs * sizeof *ids)))
        return ENOMEM;
    if ((rc = dr_slabs__take(c, txn, s, ids, n_slabs)) == DR_ERR_LIMIT) {
        it->st = DR_ERR_LIMIT;
        it->why = "the budget is full of what is worth more";
        rc = 0;
        goto done;
    }
    if (rc != 0)
        goto done;
    for (uint64_t i = 0; i < n_slabs; i++) {
        const size_t at = (size_t)i * DR_KV_SLAB_BYTES, left = it->n - at;
        dr_store_u32(refs + i * DR_SLAB_REF_BYTES, ids[i]);
        j->writes[j->n_writes++] =
            (slab_write){ids[i], (uint32_t)(left < DR_KV_SLAB_BYTES ? left : DR_KV_SLAB_BYTES), data + at};
    }
    const uint64_t now = dr_now_s();
    const dr_entry e = {
        .sequence = ++s->sequence,
        .info = {.label = *it->label, .n_bytes = it->n, .stored_s = now, .used_s = now},
        .n_slabs = (uint32_t)n_slabs,
        .refs = refs,
    };
    if ((rc = dr_entry__insert(c, txn, &e)) != 0)
        goto done;
    it->stored = true;
    s->n_stored++;
    s->day_bytes += n_written;
    s->bytes_stored += it->n;
done:
    free(ids);
    return rc;
}

static int put_items(MDB_txn *txn, void *arg, dr_error *err)
{
    put_job *j = arg;
    dr_cache *c = j->c;
    dr_state s;
    uint8_t *refs = j->refs;
    int rc;

    j->n_writes = 0;
    if ((rc = dr_state__get(c, txn, &s)) != 0)
        return rc == MDB_NOTFOUND ? MDB_INVALID : rc;
    /* First, so that eviction knows what was used, and a record that comes back does not inherit its former self's uses. */
    if ((rc = dr_uses__write(c, txn, &s, &j->uses)) != 0)
        return rc;
    const uint64_t first_sequence = s.sequence + 1;
    for (size_t i = 0; i < j->n_items; i++) {
        if ((rc = place_item(j, txn, &s, &j->items[i], refs, first_sequence)) != 0)
            return rc;
        refs += dr_slabs_of(j->items[i].n) * DR_SLAB_REF_BYTES;
    }
    for (size_t at = 0; at < j->n_writes; at += SLABS_PER_TXN) {
        const size_t left = j->n_writes - at;
        slab_batch b = {c, j->writes + at, left < SLABS_PER_TXN ? left : SLABS_PER_TXN};
        dr_status st = check_replaced(c, b.writes, b.n, err);
        if (st == DR_OK)
            st = dr_env__update(&c->kv, write_slabs, &b, err);
        if (st != DR_OK)
            return st;
    }
    return dr_state__put(c, txn, &s);
}

/* While a reader stands still, no page it may look at is used again, and the file would grow without end. */
static bool may_grow(dr_cache *c)
{
    MDB_envinfo info;
    if (mdb_env_info(c->kv.env, &info) != 0 || info.me_last_pgno < c->max_kv_pages)
        return true;
    dr_env__clear_dead_readers(&c->kv);
    return dr_env__oldest_reader(&c->kv) + MAX_BEHIND >= info.me_last_txnid;
}

dr_status dr_kv_put__many(dr_cache *c, dr_kv_item *items, size_t n_items, dr_error *err)
{
    put_job j = {.c = c, .items = items, .n_items = n_items};
    uint64_t n_slabs = 0;
    dr_status st = DR_OK;

    for (size_t i = 0; i < n_items; i++) {
        items[i].stored = false;
        n_slabs += dr_slabs_of(items[i].n);
    }
    if (!may_grow(c))
        return dr_fail(err, DR_ERR_AGAIN, "%s: a process that reads and does not go on keeps old pages; nothing is stored until it ends",
                       c->kv.path);
    if (n_slabs > UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "cache: too much to store at once");
    j.refs = malloc(n_slabs ? n_slabs * DR_SLAB_REF_BYTES : 1);
    j.writes = malloc(n_slabs ? n_slabs * sizeof *j.writes : 1);
    if (!j.refs || !j.writes) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    uint8_t *refs = j.refs;
    for (size_t i = 0; i < n_items; i++) {
        const uint8_t *data = items[i].data;
        const uint32_t n = (uint32_t)dr_slabs_of(items[i].n);
        for (uint32_t k = 0; k < n; k++) {
            const size_t at = (size_t)k * DR_KV_SLAB_BYTES, left = items[i].n - at;
            const dr_slab_ref r = {0, dr_xxh3_128(data + at, left < DR_KV_SLAB_BYTES ? left : DR_KV_SLAB_BYTES)};
            dr_slab_ref_store(refs, k, &r);
        }
        refs += (size_t)n * DR_SLAB_REF_BYTES;
    }
    (void)pthread_mutex_lock(&c->flush_lock);
    if ((st = dr_env__update(&c->facts, put_items, &j, err)) == DR_OK)
        dr_uses__forget(c, &j.uses);
    (void)pthread_mutex_unlock(&c->flush_lock);
    if (st != DR_OK)
        for (size_t i = 0; i < n_items; i++)
            items[i].stored = false;
done:
    free(j.refs);
    free(j.writes);
    return st;
}
