#include "cache/upkeep.h"

#include "cache/kv_index.h"
#include "cache/kv_put.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PROGRESS_STEP = 64, DAY_S = 24 * 3600 };

static int64_t file_bytes(const dr_env *e)
{
    struct stat sb;
    return fstat(e->fd, &sb) == 0 ? (int64_t)sb.st_blocks * 512 : 0;
}

static dr_cspan span_of(const MDB_val *v)
{
    return (dr_cspan){v->mv_data, v->mv_size};
}

/* Calls fn for every pair of a database; stops at the first code that is not 0. */
typedef int pair_fn(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value);
static int for_each(MDB_txn *txn, MDB_dbi dbi, pair_fn *fn, void *arg)
{
    MDB_cursor *cur = NULL;
    MDB_val mk, mv;
    int rc = mdb_cursor_open(txn, dbi, &cur);

    while (rc == 0 && (rc = mdb_cursor_get(cur, &mk, &mv, MDB_NEXT)) == 0)
        rc = fn(arg, cur, &mk, &mv);
    if (cur)
        mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int count_record(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    dr_cache_stat *s = arg;
    dr_entry e;

    (void)cur;
    if (dr_entry_decode(&e, span_of(key), span_of(value))) {
        const dr_kv_kind k = e.info.label.kind;
        s->kv[k].n_records++;
        s->kv[k].n_bytes += (int64_t)e.info.n_bytes;
        s->kv[k].n_slabs += e.n_slabs;
        s->kv[k].n_hits += e.info.n_hits;
    }
    return 0;
}

static int read_stat(dr_cache *c, MDB_txn *txn, dr_cache_stat *out)
{
    MDB_stat ms;
    dr_state s;
    int rc = for_each(txn, c->index, count_record, out);

    for (int g = 0; rc == 0 && g < DR_N_GENERATIONS; g++)
        if ((rc = mdb_stat(txn, c->generation[g], &ms)) == 0) {
            out->n_facts += (int64_t)ms.ms_entries;
            out->facts_bytes += (int64_t)((ms.ms_branch_pages + ms.ms_leaf_pages + ms.ms_overflow_pages) * ms.ms_psize);
        }
    if (rc != 0 || (rc = mdb_stat(txn, c->free_ids, &ms)) != 0 || (rc = dr_state__get(c, txn, &s)) != 0)
        return rc;
    out->slabs_free = (int64_t)ms.ms_entries;
    out->slabs_used = (int64_t)s.next_slab - out->slabs_free;
    out->n_hits = s.n_hits;
    out->n_misses = s.n_misses;
    out->n_damaged = s.n_damaged;
    out->n_stored = s.n_stored;
    out->n_evicted = s.n_evicted;
    out->bytes_stored = s.bytes_stored;
    out->bytes_read = s.bytes_read;
    out->day_bytes = s.day == dr_now_s() / DAY_S ? (int64_t)s.day_bytes : 0;
    return 0;
}

dr_status dr_cache_stat_get(dr_cache *c, dr_cache_stat *out, dr_error *err)
{
    MDB_txn *txn = NULL;
    dr_status st;

    *out = (dr_cache_stat){0};
    if (!c)
        return DR_OK;
    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    st = dr_env__status(&c->facts, read_stat(c, txn, out), "counting", err);
    dr_env__read_end(&c->facts, txn);
    out->kv_max_bytes = c->kv_max_bytes;
    out->day_max_bytes = c->kv_day_bytes;
    out->facts_max_bytes = c->facts_max_bytes;
    out->kv_file_bytes = file_bytes(&c->kv);
    out->facts_file_bytes = file_bytes(&c->facts);
    out->aside_bytes = dr_folder__bytes(&c->folder, "aside");
    (void)pthread_mutex_lock(&c->use_lock);
    out->n_hits += c->n_hits;
    out->n_misses += c->n_misses;
    out->bytes_read += c->bytes_read;
    (void)pthread_mutex_unlock(&c->use_lock);
    return st;
}

/* Keys of records, gathered in one transaction and worked through in others. */
typedef struct record_list {
    dr_use *at;
    size_t n, cap;
    const uint64_t *group; /* NULL: all */
} record_list;

static int list_record(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    record_list *l = arg;
    dr_entry e;

    (void)cur;
    if (!dr_entry_decode(&e, span_of(key), span_of(value)) || (l->group && e.info.label.group != *l->group))
        return 0;
    if (l->n == l->cap) {
        const size_t cap = l->cap ? l->cap * 2 : 256;
        dr_use *at = realloc(l->at, cap * sizeof *at);
        if (!at)
            return ENOMEM;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = (dr_use){e.info.label.kind, e.info.label.key};
    return 0;
}

static dr_status check_records(dr_cache *c, dr_cache_report *out, void (*progress)(void *, int64_t, int64_t), void *arg,
                               const atomic_bool *cancel, dr_error *err)
{
    record_list l = {0};
    MDB_txn *txn = NULL;
    dr_kv_info info;
    dr_status st;

    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    st = dr_env__status(&c->facts, for_each(txn, c->index, list_record, &l), "listing records", err);
    dr_env__read_end(&c->facts, txn);
    for (size_t i = 0; st == DR_OK && i < l.n; i++) {
        if (cancel && atomic_load(cancel)) {
            st = dr_fail(err, DR_ERR_CANCELLED, "cache: the check was cancelled");
            break;
        }
        if (progress && i % PROGRESS_STEP == 0)
            progress(arg, (int64_t)i, (int64_t)l.n);
        const dr_status found = dr_kv_store__check(c, l.at[i].kind, &l.at[i].key, err);
        if (found == DR_ERR_NOT_FOUND)
            continue; /* dropped meanwhile, perhaps below a damaged one */
        out->n_records++;
        if (found == DR_ERR_FORMAT)
            out->n_bad_records++;
        else if (found != DR_OK)
            st = found;
        else if (dr_kv_store_find(c, &info, l.at[i].kind, &l.at[i].key, NULL) == DR_OK)
            out->n_bytes += (int64_t)info.n_bytes;
    }
    if (st == DR_OK && progress)
        progress(arg, (int64_t)l.n, (int64_t)l.n);
    free(l.at);
    return st;
}

static int check_fact(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    dr_cache_report *out = arg;
    (void)cur;
    out->n_facts++;
    out->n_bad_facts += !dr_facts__ok(span_of(key), span_of(value));
    return 0;
}

/* LMDB frees a large value's pages by what stands in front of it: damaged there too, only a new file helps. */
typedef struct fact_drop {
    dr_cache *c;
    int generation;
} fact_drop;

static int check_fact_pages(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    const fact_drop *d = arg;
    (void)cur;
    return dr_facts__ok(span_of(key), span_of(value)) || dr_env__value_sound(&d->c->facts, key, value) ? 0 : MDB_CORRUPTED;
}

static int drop_fact(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    (void)arg;
    return dr_facts__ok(span_of(key), span_of(value)) ? 0 : mdb_cursor_del(cur, 0);
}

static int drop_bad_facts(MDB_txn *txn, void *arg, dr_error *err)
{
    const fact_drop *d = arg;
    (void)err;
    return for_each(txn, d->c->generation[d->generation], drop_fact, NULL);
}

static dr_status check_facts(dr_cache *c, dr_cache_report *out, dr_error *err)
{
    dr_status st = DR_OK;

    for (int g = 0; st == DR_OK && g < DR_N_GENERATIONS; g++) {
        fact_drop d = {c, g};
        const int64_t before = out->n_bad_facts;
        MDB_txn *txn = NULL;
        if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
            return st;
        int rc = for_each(txn, c->generation[g], check_fact, out);
        const bool any = out->n_bad_facts > before && !c->read_only;
        if (rc == 0 && any)
            rc = for_each(txn, c->generation[g], check_fact_pages, &d);
        dr_env__read_end(&c->facts, txn);
        st = dr_env__status(&c->facts, rc, "checking facts", err);
        if (st == DR_OK && any)
            st = dr_env__update(&c->facts, drop_bad_facts, &d, err);
    }
    return st;
}

/* Everything that says who uses which slab, made to agree. The entries are believed first: an id belongs to the first entry that
 * names it. */
typedef struct audit {
    dr_cache *c;
    dr_cache_report found;
    MDB_txn *txn;
    uint8_t *known; /* one byte for every id below n_ids: an entry or the free list has it */
    uint64_t n_ids;
} audit;

static int audit_entry(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    audit *a = arg;
    dr_entry e;
    uint8_t k[DR_LINK_KEY_BYTES];
    MDB_val mk = {sizeof k, k}, mv;

    bool good = dr_entry_decode(&e, span_of(key), span_of(value));
    for (uint32_t i = 0; good && i < e.n_slabs; i++) {
        const uint32_t id = dr_slab_ref_load(&e, i).id;
        good = id < a->n_ids && !a->known[id];
        if (good)
            a->known[id] = 1;
        for (uint32_t back = i; !good && back > 0; back--) /* it claims nothing, then */
            a->known[dr_slab_ref_load(&e, back - 1).id] = 0;
    }
    if (!good) {
        a->found.n_bad_records++;
        return a->c->read_only ? 0 : mdb_cursor_del(cur, 0);
    }
    dr_link_key(k, &e.info.label);
    int rc = mdb_get(a->txn, a->c->links, &mk, &mv);
    if (rc == MDB_NOTFOUND) {
        a->found.n_bad_links++;
        mv = (MDB_val){0, k};
        rc = a->c->read_only ? 0 : mdb_put(a->txn, a->c->links, &mk, &mv, 0);
    }
    return rc;
}

static int audit_free(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    audit *a = arg;
    uint32_t id = UINT32_MAX;

    (void)value;
    if (key->mv_size == sizeof id)
        memcpy(&id, key->mv_data, sizeof id);
    if (id < a->n_ids && !a->known[id]) {
        a->known[id] = 1;
        return 0;
    }
    a->found.n_lost_slabs++;
    return a->c->read_only ? 0 : mdb_cursor_del(cur, 0);
}

static int audit_link(void *arg, MDB_cursor *cur, const MDB_val *key, const MDB_val *value)
{
    audit *a = arg;
    const uint8_t *p = key->mv_data;
    uint8_t k[DR_LINK_KEY_BYTES];
    dr_entry e;

    (void)value;
    if (key->mv_size == DR_LINK_KEY_BYTES && p[sizeof(dr_key)] < DR_KV_KINDS) {
        dr_key child;
        memcpy(child.b, p + DR_LINK_KEY_BYTES - sizeof child, sizeof child);
        const int rc = dr_entry__get(a->c, a->txn, &e, (dr_kv_kind)p[sizeof(dr_key)], &child);
        if (rc == 0) {
            dr_link_key(k, &e.info.label);
            if (memcmp(k, p, sizeof k) == 0)
                return 0;
        } else if (rc != MDB_NOTFOUND) {
            return rc;
        }
    }
    a->found.n_bad_links++;
    return a->c->read_only ? 0 : mdb_cursor_del(cur, 0);
}

static int audit_index(MDB_txn *txn, void *arg, dr_error *err)
{
    audit *a = arg;
    dr_cache *c = a->c;
    dr_state s;
    int rc;

    (void)err;
    a->txn = txn;
    a->found = (dr_cache_report){0};
    free(a->known);
    a->known = NULL;
    if ((rc = dr_state__get(c, txn, &s)) != 0)
        return rc;
    a->n_ids = s.next_slab;
    if (!(a->known = calloc(a->n_ids ? a->n_ids : 1, 1)))
        return ENOMEM;
    if ((rc = for_each(txn, c->index, audit_entry, a)) != 0 || (rc = for_each(txn, c->free_ids, audit_free, a)) != 0 ||
        (rc = for_each(txn, c->links, audit_link, a)) != 0)
        return rc;
    for (uint32_t id = 0; rc == 0 && id < a->n_ids; id++) {
        if (a->known[id])
            continue;
        MDB_val mk = {sizeof id, &id}, mv = {0, &id};
        a->found.n_lost_slabs++;
        rc = c->read_only ? 0 : mdb_put(txn, c->free_ids, &mk, &mv, 0);
    }
    return rc;
}

dr_status dr_cache_verify(dr_cache *c, dr_cache_report *out, void (*progress)(void *arg, int64_t done, int64_t total),
                          void *arg, const atomic_bool *cancel, dr_error *err)
{
    audit a = {.c = c};
    MDB_txn *txn = NULL;
    dr_status st;

    *out = (dr_cache_report){0};
    if (!c)
        return DR_OK;
    if ((st = dr_cache_flush(c, err)) != DR_OK || (st = check_records(c, out, progress, arg, cancel, err)) != DR_OK)
        return st;
    if ((st = check_facts(c, out, err)) != DR_OK || (st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    if (c->read_only)
        st = dr_env__status(&c->facts, audit_index(txn, &a, err), "checking the index", err);
    dr_env__read_end(&c->facts, txn);
    if (st == DR_OK && !c->read_only)
        st = dr_env__update(&c->facts, audit_index, &a, err);
    out->n_bad_records += a.found.n_bad_records;
    out->n_lost_slabs = a.found.n_lost_slabs;
    out->n_bad_links = a.found.n_bad_links;
    free(a.known);
    return st;
}

typedef struct tidy_job {
    dr_cache *c;
    uint64_t group;
    int64_t n_removed, bytes;
} tidy_job;

static int evict_to_budget(MDB_txn *txn, void *arg, dr_error *err)
{
    tidy_job *j = arg;
    MDB_stat ms;
    dr_state s;
    int rc;

    (void)err;
    j->n_removed = j->bytes = 0;
    if ((rc = dr_state__get(j->c, txn, &s)) != 0 || (rc = mdb_stat(txn, j->c->free_ids, &ms)) != 0)
        return rc;
    if (s.next_slab - ms.ms_entries <= j->c->max_slabs)
        return 0;
    if ((rc = dr_evict__for(j->c, txn, &s, 0, NULL, 0, &j->n_removed, &j->bytes)) != 0)
        return rc;
    s.n_evicted += (uint64_t)j->n_removed;
    return dr_state__put(j->c, txn, &s);
}

dr_status dr_cache_gc(dr_cache *c, int64_t *n_evicted, int64_t *bytes_freed, dr_error *err)
{
    tidy_job j = {.c = c};
    dr_status st;

    *n_evicted = *bytes_freed = 0;
    if (!c || c->read_only)
        return DR_OK;
    dr_env__clear_dead_readers(&c->kv);
    dr_env__clear_dead_readers(&c->facts);
    if ((st = dr_env__update(&c->facts, evict_to_budget, &j, err)) != DR_OK)
        return st;
    *n_evicted = j.n_removed;
    *bytes_freed = j.bytes + dr_folder__bytes(&c->folder, "aside");
    return dr_folder__delete(&c->folder, "aside", err);
}

static int purge_group(MDB_txn *txn, void *arg, dr_error *err)
{
    tidy_job *j = arg;
    record_list l = {.group = &j->group};
    int rc = for_each(txn, j->c->index, list_record, &l);

    (void)err;
    j->n_removed = j->bytes = 0;
    for (size_t i = 0; rc == 0 && i < l.n; i++) {
        rc = dr_entry__remove_tree(j->c, txn, l.at[i].kind, &l.at[i].key, &j->n_removed, &j->bytes);
        if (rc == MDB_NOTFOUND)
            rc = 0; /* went with an ancestor */
    }
    free(l.at);
    return rc;
}

dr_status dr_cache_purge(dr_cache *c, uint64_t group, int64_t *n_dropped, dr_error *err)
{
    tidy_job j = {.c = c, .group = group};
    dr_status st;

    *n_dropped = 0;
    if (!c || c->read_only)
        return DR_OK;
    if ((st = dr_env__update(&c->facts, purge_group, &j, err)) == DR_OK)
        *n_dropped = j.n_removed;
    return st;
}
