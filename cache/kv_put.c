/* Storing several records in one go. Slabs are written while no transaction is open:
 *
 *   slab lock       one writer of slabs at a time, in whatever process
 *   facts: read     which records are wanted, and an id for each of their slabs
 *   facts: write    only when there are too few ids: what is worth least is dropped, then all is looked at again
 *   kv              slabs, until they are on the disk (kv_slabs.c)
 *   facts: write    ids taken, entries, links, state: from here on the records exist
 *
 * Meanwhile others may drop records and give ids back, but only the holder of the slab lock takes any. What was dropped for its room is gone
 * before its slabs are written over, so a process killed at any point leaves no entry whose bytes are another's. */
#include "cache/kv_put.h"

#include "cache/kv_index.h"
#include "cache/kv_slabs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Evictions for one call: others may meanwhile drop what an item stands on, or what was not wanted before. */
enum { DAY_S = 24 * 3600, MAX_EVICTIONS = 3 };

typedef struct placed {
    uint8_t *refs; /* ids when it is planned, checksums once its slabs are written */
    uint64_t n_slabs;
    bool wanted;  /* it is not there, and nothing but room could be in its way */
    bool planned; /* there is room too */
} placed;

typedef struct put_job {
    dr_cache *c;
    dr_kv_item *items;
    placed *placed; /* one for each item */
    dr_key *parents;
    size_t n_items, n_planned;
    uint8_t *refs;
    dr_slab_write *writes;
    size_t n_writes;
    uint64_t n_wanted; /* slabs, whether or not there is room */
    bool is_short;
    int64_t n_removed;
    dr_uses uses;
} put_job;

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

/* The item before i that is wanted under this key, or NULL. */
static const placed *find_wanted(const put_job *j, size_t i, dr_kv_kind kind, const dr_key *key)
{
    while (i-- > 0)
        if (j->placed[i].wanted && j->items[i].label->kind == kind && dr_key_eq(&j->items[i].label->key, key))
            return &j->placed[i];
    return NULL;
}

static uint64_t bytes_today(const dr_state *s)
{
    return s->day == dr_now_s() / DAY_S ? s->day_bytes : 0;
}

static void refuse(dr_kv_item *it, dr_status st, const char *why)
{
    it->st = st;
    it->why = why;
}

/* Ids for one slab after the other: from the free list, lowest first, then those never used. */
typedef struct id_source {
    MDB_cursor *cur;
    bool exhausted;
    uint64_t next;
} id_source;

static int next_id(id_source *s, uint32_t *id)
{
    MDB_val mk, mv;
    const int rc = s->exhausted ? MDB_NOTFOUND : mdb_cursor_get(s->cur, &mk, &mv, MDB_NEXT);

    if (rc == 0) {
        if (mk.mv_size != sizeof *id)
            return MDB_CORRUPTED;
        memcpy(id, mk.mv_data, sizeof *id);
        return 0;
    }
    if (rc != MDB_NOTFOUND)
        return rc;
    s->exhausted = true;
    *id = (uint32_t)s->next++;
    return 0;
}

static int plan_item(put_job *j, MDB_txn *txn, size_t i, id_source *ids, uint64_t *room, uint64_t *day_bytes)
{
    dr_kv_item *it = &j->items[i];
    placed *p = &j->placed[i];
    const uint64_t n_written = p->n_slabs * (DR_KV_SLAB_BYTES + 16);
    const placed *parent = NULL;
    bool useful;
    dr_entry e;
    int rc = dr_entry__get(j->c, txn, &e, it->label->kind, &it->label->key);

    if (rc != MDB_NOTFOUND)
        return rc; /* there already, mostly */
    if (find_wanted(j, i, it->label->kind, &it->label->key))
        return 0;
    if ((rc = has_parent(j->c, txn, it->label, &useful)) != 0)
        return rc;
    if (!useful && !(parent = find_wanted(j, i, DR_KV_BLOCK, &it->label->parent)))
        refuse(it, DR_ERR_LIMIT, "the record before it is not stored");
    else if (p->n_slabs > j->c->max_slabs)
        refuse(it, DR_ERR_LIMIT, "it is larger than the budget");
    else if (n_written > 0 && *day_bytes + n_written > (uint64_t)j->c->kv_day_bytes)
        refuse(it, DR_ERR_LIMIT, "the bytes that may be written in a day are used up");
    if (it->st != DR_OK)
        return 0;
    p->wanted = true;
    j->n_wanted += p->n_slabs;
    *day_bytes += n_written;
    if (p->n_slabs > *room || (parent && !parent->planned)) {
        j->is_short = true;
        refuse(it, DR_ERR_LIMIT, "the budget is full of what is worth more");
        return 0;
    }
    for (uint64_t k = 0; k < p->n_slabs; k++) {
        const size_t at = (size_t)k * DR_KV_SLAB_BYTES, left = it->n - at;
        dr_slab_write *w = &j->writes[j->n_writes];
        *w = (dr_slab_write){.n = (uint32_t)(left < DR_KV_SLAB_BYTES ? left : DR_KV_SLAB_BYTES), .data = (const uint8_t *)it->data + at};
        if ((rc = next_id(ids, &w->id)) != 0)
            return rc;
        j->n_writes++;
    }
    *room -= p->n_slabs;
    p->planned = true;
    j->n_planned++;
    return 0;
}

static int plan(put_job *j, MDB_txn *txn)
{
    id_source ids = {0};
    dr_state s;
    uint64_t room;
    int rc;

    j->n_writes = j->n_planned = 0;
    j->n_wanted = 0;
    j->is_short = false;
    for (size_t i = 0; i < j->n_items; i++) {
        j->placed[i].wanted = j->placed[i].planned = false;
        refuse(&j->items[i], DR_OK, "");
    }
    if ((rc = dr_state__get(j->c, txn, &s)) != 0)
        return rc == MDB_NOTFOUND ? MDB_INVALID : rc;
    if ((rc = dr_slabs__room(j->c, txn, &s, &room)) != 0 || (rc = mdb_cursor_open(txn, j->c->free_ids, &ids.cur)) != 0)
        return rc;
    ids.next = s.next_slab;
    uint64_t day_bytes = bytes_today(&s);
    for (size_t i = 0; rc == 0 && i < j->n_items; i++)
        rc = plan_item(j, txn, i, &ids, &room, &day_bytes);
    mdb_cursor_close(ids.cur);
    return rc;
}

static int make_room(MDB_txn *txn, void *arg, dr_error *err)
{
    put_job *j = arg;
    dr_state s;
    int64_t bytes = 0;
    int rc;

    (void)err;
    j->n_removed = 0;
    if ((rc = dr_state__get(j->c, txn, &s)) != 0)
        return rc == MDB_NOTFOUND ? MDB_INVALID : rc;
    /* First, so that what was used is known. */
    if ((rc = dr_uses__write(j->c, txn, &s, &j->uses)) != 0 ||
        (rc = dr_evict__for(j->c, txn, &s, j->n_wanted, j->parents, j->n_items, &j->n_removed, &bytes)) != 0)
        return rc;
    s.n_evicted += (uint64_t)j->n_removed;
    return dr_state__put(j->c, txn, &s);
}

static int publish(MDB_txn *txn, void *arg, dr_error *err)
{
    put_job *j = arg;
    dr_cache *c = j->c;
    const uint64_t now = dr_now_s();
    dr_state s;
    int rc;

    (void)err;
    if ((rc = dr_state__get(c, txn, &s)) != 0)
        return rc == MDB_NOTFOUND ? MDB_INVALID : rc;
    /* First, so that a record that comes back does not inherit its former self's uses. */
    if ((rc = dr_uses__write(c, txn, &s, &j->uses)) != 0)
        return rc;
    s.day_bytes = bytes_today(&s);
    s.day = now / DAY_S;
    for (size_t i = 0; i < j->n_items; i++) {
        dr_kv_item *it = &j->items[i];
        const placed *p = &j->placed[i];
        bool useful;
        it->stored = false;
        if (!p->planned)
            continue;
        s.day_bytes += p->n_slabs * (DR_KV_SLAB_BYTES + 16); /* written, whether or not it can be entered */
        if ((rc = has_parent(c, txn, it->label, &useful)) != 0)
            return rc;
        if (!useful) {
            refuse(it, DR_ERR_LIMIT, "the record before it is not stored");
            continue;
        }
        const dr_entry e = {
            .sequence = ++s.sequence,
            .info = {.label = *it->label, .n_bytes = it->n, .stored_s = now, .used_s = now},
            .n_slabs = (uint32_t)p->n_slabs,
            .refs = p->refs,
        };
        if ((rc = dr_slabs__take(c, txn, &s, &e)) == DR_ERR_AGAIN) {
            refuse(it, DR_ERR_AGAIN, "the index was begun anew meanwhile");
            continue;
        }
        /* One that is damaged is in the way. */
        if (rc != 0 || ((rc = dr_entry__remove(c, txn, it->label->kind, &it->label->key, NULL)) != 0 && rc != MDB_NOTFOUND) ||
            (rc = dr_entry__insert(c, txn, &e)) != 0)
            return rc;
        it->stored = true;
        s.n_stored++;
        s.bytes_stored += it->n;
    }
    return dr_state__put(c, txn, &s);
}

/* fn in a transaction on facts, which takes what was used along. */
static dr_status update(put_job *j, dr_env_fn *fn, dr_error *err)
{
    (void)pthread_mutex_lock(&j->c->flush_lock);
    const dr_status st = dr_env__update(&j->c->facts, fn, j, err);
    if (st == DR_OK)
        dr_uses__forget(j->c, &j->uses);
    (void)pthread_mutex_unlock(&j->c->flush_lock);
    return st;
}

/* The slab lock is held. */
static dr_status put_items(put_job *j, dr_error *err)
{
    dr_cache *c = j->c;
    dr_status st;

    for (int evictions = 0;; evictions++) {
        MDB_txn *txn = NULL;
        if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
            return st;
        const int rc = plan(j, txn);
        dr_env__read_end(&c->facts, txn);
        if (rc != 0)
            return dr_env__status(&c->facts, rc, "looking for room", err);
        if (!j->is_short || evictions == MAX_EVICTIONS)
            break;
        if ((st = update(j, make_room, err)) != DR_OK)
            return st;
        if (j->n_removed == 0)
            break;
    }
    if (j->n_planned == 0)
        return DR_OK;
    if ((st = dr_slabs__write(c, j->writes, j->n_writes, err)) != DR_OK)
        return st;
    const dr_slab_write *w = j->writes;
    for (size_t i = 0; i < j->n_items; i++)
        for (uint64_t k = 0; j->placed[i].planned && k < j->placed[i].n_slabs; k++, w++) {
            const dr_slab_ref r = {w->id, w->sum};
            dr_slab_ref_store(j->placed[i].refs, (uint32_t)k, &r);
        }
    return update(j, publish, err);
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
    if (n_slabs > UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "cache: too much to store at once");
    if ((st = dr_facts__may_grow(c, err)) != DR_OK)
        return st;
    j.placed = calloc(n_items ? n_items : 1, sizeof *j.placed);
    j.parents = calloc(n_items ? n_items : 1, sizeof *j.parents);
    j.refs = malloc(n_slabs ? n_slabs * DR_SLAB_REF_BYTES : 1);
    j.writes = malloc(n_slabs ? n_slabs * sizeof *j.writes : 1);
    if (!j.placed || !j.parents || !j.refs || !j.writes) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    uint8_t *refs = j.refs;
    for (size_t i = 0; i < n_items; i++) {
        j.placed[i] = (placed){.refs = refs, .n_slabs = dr_slabs_of(items[i].n)};
        j.parents[i] = items[i].label->parent;
        refs += j.placed[i].n_slabs * DR_SLAB_REF_BYTES;
    }
    if ((st = dr_slabs__lock(c, err)) != DR_OK)
        goto done;
    st = put_items(&j, err);
    dr_slabs__unlock(c);
    if (st != DR_OK)
        for (size_t i = 0; i < n_items; i++)
            items[i].stored = false;
done:
    free(j.placed);
    free(j.parents);
    free(j.refs);
    free(j.writes);
    return st;
}
