#include "cache/kv_index.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = sizeof(dr_key), LINK_POSITION = KEY_BYTES + 1, LINK_CHILD = LINK_POSITION + 8 };
static const uint32_t PINNED = UINT32_C(1) << 31;

void dr_index_key(uint8_t out[DR_INDEX_KEY_BYTES], dr_kv_kind kind, const dr_key *key)
{
    out[0] = (uint8_t)kind;
    memcpy(out + 1, key->b, KEY_BYTES);
}

void dr_link_key(uint8_t out[DR_LINK_KEY_BYTES], const dr_kv_label *label)
{
    const uint64_t position = htobe64((uint64_t)label->n_tokens);
    memcpy(out, label->parent.b, KEY_BYTES);
    out[KEY_BYTES] = (uint8_t)label->kind;
    memcpy(out + LINK_POSITION, &position, sizeof position);
    memcpy(out + LINK_CHILD, label->key.b, KEY_BYTES);
}

uint64_t dr_slabs_of(uint64_t n_bytes)
{
    return n_bytes / DR_KV_SLAB_BYTES + (n_bytes % DR_KV_SLAB_BYTES != 0);
}

dr_slab_ref dr_slab_ref_load(const dr_entry *e, uint32_t i)
{
    const uint8_t *p = e->refs + (size_t)i * DR_SLAB_REF_BYTES;
    return (dr_slab_ref){dr_load_u32(p), {dr_load_u64(p + 4), dr_load_u64(p + 12)}};
}

void dr_slab_ref_store(uint8_t *refs, uint32_t i, const dr_slab_ref *r)
{
    uint8_t *p = refs + (size_t)i * DR_SLAB_REF_BYTES;
    dr_store_u32(p, r->id);
    dr_store_u64(p + 4, r->sum.lo);
    dr_store_u64(p + 12, r->sum.hi);
}

static uint64_t entry_sum(dr_cspan key, const uint8_t *value, size_t n)
{
    return dr_xxh3_128(key.data, key.n).hi ^ dr_xxh3_128(value + 8, n - 8).lo;
}

bool dr_entry_decode(dr_entry *e, dr_cspan key, dr_cspan value)
{
    const uint8_t *p = value.data;
    dr_kv_label *l = &e->info.label;

    if (key.n != DR_INDEX_KEY_BYTES || key.data[0] >= DR_KV_KINDS || value.n < DR_ENTRY_HEAD_BYTES)
        return false;
    const uint32_t n_slabs = dr_load_u32(p + 104), meta_word = dr_load_u32(p + 108), n_meta = meta_word & ~PINNED;
    const uint64_t n_bytes = dr_load_u64(p + 16);
    if (n_meta > DR_KV_META_BYTES || n_slabs != dr_slabs_of(n_bytes) ||
        value.n != DR_ENTRY_HEAD_BYTES + (uint64_t)n_meta + (uint64_t)n_slabs * DR_SLAB_REF_BYTES ||
        dr_load_u64(p) != entry_sum(key, p, value.n))
        return false;
    *l = (dr_kv_label){
        .kind = (dr_kv_kind)key.data[0],
        .n_tokens = (int64_t)dr_load_u64(p + 24),
        .compute_us = dr_load_u64(p + 32),
        .group = dr_load_u64(p + 40),
        .pinned = (meta_word & PINNED) != 0,
        .n_meta = n_meta,
    };
    memcpy(l->key.b, key.data + 1, KEY_BYTES);
    memcpy(l->parent.b, p + 72, KEY_BYTES);
    memcpy(l->meta, p + DR_ENTRY_HEAD_BYTES, n_meta);
    e->sequence = dr_load_u64(p + 8);
    e->info.n_bytes = n_bytes;
    e->info.stored_s = dr_load_u64(p + 48);
    e->info.used_s = dr_load_u64(p + 56);
    e->info.n_hits = dr_load_u64(p + 64);
    e->n_slabs = n_slabs;
    e->refs = p + DR_ENTRY_HEAD_BYTES + n_meta;
    return true;
}

int dr_entry__get(dr_cache *c, MDB_txn *txn, dr_entry *e, dr_kv_kind kind, const dr_key *key)
{
    uint8_t k[DR_INDEX_KEY_BYTES];
    MDB_val mk = {sizeof k, k}, mv;

    dr_index_key(k, kind, key);
    const int rc = mdb_get(txn, c->index, &mk, &mv);
    if (rc != 0)
        return rc;
    return dr_entry_decode(e, (dr_cspan){k, sizeof k}, (dr_cspan){mv.mv_data, mv.mv_size}) ? 0 : MDB_NOTFOUND;
}

int dr_entry__put(dr_cache *c, MDB_txn *txn, const dr_entry *e)
{
    const dr_kv_label *l = &e->info.label;
    const size_t refs_bytes = (size_t)e->n_slabs * DR_SLAB_REF_BYTES;
    const size_t n = DR_ENTRY_HEAD_BYTES + l->n_meta + refs_bytes;
    uint8_t k[DR_INDEX_KEY_BYTES];
    MDB_val mk = {sizeof k, k}, mv = {n, NULL};
    int rc;

    /* Not into the page at once: refs may be borrowed from the very page that this put moves. */
    uint8_t *p = malloc(n);
    if (!p)
        return ENOMEM;
    dr_index_key(k, l->kind, &l->key);
    dr_store_u64(p + 8, e->sequence);
    dr_store_u64(p + 16, e->info.n_bytes);
    dr_store_u64(p + 24, (uint64_t)l->n_tokens);
    dr_store_u64(p + 32, l->compute_us);
    dr_store_u64(p + 40, l->group);
    dr_store_u64(p + 48, e->info.stored_s);
    dr_store_u64(p + 56, e->info.used_s);
    dr_store_u64(p + 64, e->info.n_hits);
    memcpy(p + 72, l->parent.b, KEY_BYTES);
    dr_store_u32(p + 104, e->n_slabs);
    dr_store_u32(p + 108, (uint32_t)l->n_meta | (l->pinned ? PINNED : 0));
    memcpy(p + DR_ENTRY_HEAD_BYTES, l->meta, l->n_meta);
    if (refs_bytes)
        memcpy(p + DR_ENTRY_HEAD_BYTES + l->n_meta, e->refs, refs_bytes);
    dr_store_u64(p, entry_sum((dr_cspan){k, sizeof k}, p, n));
    mv.mv_data = p;
    rc = mdb_put(txn, c->index, &mk, &mv, 0);
    free(p);
    return rc;
}

int dr_entry__insert(dr_cache *c, MDB_txn *txn, const dr_entry *e)
{
    uint8_t k[DR_LINK_KEY_BYTES];
    MDB_val mk = {sizeof k, k}, mv = {0, k};
    const int rc = dr_entry__put(c, txn, e);

    if (rc != 0)
        return rc;
    dr_link_key(k, &e->info.label);
    return mdb_put(txn, c->links, &mk, &mv, 0);
}

static int slab_give(dr_cache *c, MDB_txn *txn, uint32_t id)
{
    MDB_val mk = {sizeof id, &id}, mv = {0, &id};
    return mdb_put(txn, c->free_ids, &mk, &mv, 0);
}

int dr_entry__remove(dr_cache *c, MDB_txn *txn, dr_kv_kind kind, const dr_key *key, int64_t *bytes)
{
    uint8_t k[DR_INDEX_KEY_BYTES], link[DR_LINK_KEY_BYTES];
    MDB_val mk = {sizeof k, k}, ml = {sizeof link, link}, mv;
    uint8_t *value = NULL;
    dr_entry e;
    int rc;

    dr_index_key(k, kind, key);
    if ((rc = mdb_get(txn, c->index, &mk, &mv)) != 0)
        return rc;
    /* A copy: what LMDB lends inside a write transaction is good until the next write only. */
    if (!(value = malloc(mv.mv_size ? mv.mv_size : 1)))
        return ENOMEM;
    memcpy(value, mv.mv_data, mv.mv_size);
    if (dr_entry_decode(&e, (dr_cspan){k, sizeof k}, (dr_cspan){value, mv.mv_size})) {
        for (uint32_t i = 0; rc == 0 && i < e.n_slabs; i++)
            rc = slab_give(c, txn, dr_slab_ref_load(&e, i).id);
        dr_link_key(link, &e.info.label);
        if (rc == 0 && (rc = mdb_del(txn, c->links, &ml, NULL)) == MDB_NOTFOUND)
            rc = 0;
        if (bytes)
            *bytes += (int64_t)e.info.n_bytes;
    }
    if (rc == 0)
        rc = mdb_del(txn, c->index, &mk, NULL);
    free(value);
    return rc;
}

typedef struct key_list {
    dr_use *at;
    size_t n, cap;
} key_list;

static int key_list_add(key_list *l, dr_kv_kind kind, const dr_key *key)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap ? l->cap * 2 : 64;
        dr_use *at = realloc(l->at, cap * sizeof *at);
        if (!at)
            return ENOMEM;
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = (dr_use){kind, *key};
    return 0;
}

static int add_children(dr_cache *c, MDB_txn *txn, key_list *l, const dr_key *parent)
{
    MDB_cursor *cur = NULL;
    dr_key from = *parent;
    MDB_val mk = {KEY_BYTES, from.b}, mv;
    int rc = mdb_cursor_open(txn, c->links, &cur);

    for (int first = 1; rc == 0; first = 0) {
        if ((rc = mdb_cursor_get(cur, &mk, &mv, first ? MDB_SET_RANGE : MDB_NEXT)) != 0)
            break;
        const uint8_t *p = mk.mv_data;
        if (mk.mv_size != DR_LINK_KEY_BYTES || memcmp(p, parent->b, KEY_BYTES) != 0)
            break;
        if (p[KEY_BYTES] < DR_KV_KINDS) {
            dr_key child;
            memcpy(child.b, p + LINK_CHILD, KEY_BYTES);
            rc = key_list_add(l, (dr_kv_kind)p[KEY_BYTES], &child);
        }
    }
    if (cur)
        mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int dr_entry__remove_tree(dr_cache *c, MDB_txn *txn, dr_kv_kind kind, const dr_key *key, int64_t *n_removed, int64_t *bytes)
{
    key_list l = {0};
    int rc = key_list_add(&l, kind, key);

    for (size_t i = 0; rc == 0 && i < l.n; i++) {
        const dr_use one = l.at[i];
        if (one.kind == DR_KV_BLOCK && (rc = add_children(c, txn, &l, &one.key)) != 0)
            break;
        rc = dr_entry__remove(c, txn, one.kind, &one.key, bytes);
        if (rc == 0)
            (*n_removed)++;
        else if (rc == MDB_NOTFOUND && i > 0)
            rc = 0; /* a link to nothing */
    }
    free(l.at);
    return rc;
}

int dr_link__has_any(dr_cache *c, MDB_txn *txn, const dr_key *parent, bool *any)
{
    MDB_cursor *cur = NULL;
    dr_key from = *parent;
    MDB_val mk = {KEY_BYTES, from.b}, mv;
    int rc = mdb_cursor_open(txn, c->links, &cur);

    *any = false;
    if (rc == 0 && (rc = mdb_cursor_get(cur, &mk, &mv, MDB_SET_RANGE)) == 0)
        *any = mk.mv_size == DR_LINK_KEY_BYTES && memcmp(mk.mv_data, parent->b, KEY_BYTES) == 0;
    if (cur)
        mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int dr_link__last(dr_cache *c, MDB_txn *txn, const dr_key *parent, dr_kv_kind kind, int64_t *position)
{
    uint8_t k[DR_LINK_KEY_BYTES];
    dr_kv_label after = {.kind = kind, .parent = *parent, .n_tokens = *position + 1};
    MDB_cursor *cur = NULL;
    MDB_val mk = {sizeof k, k}, mv;
    int rc = mdb_cursor_open(txn, c->links, &cur);

    /* The first link behind all those wanted, then one back. */
    dr_link_key(k, &after);
    if (rc == 0) {
        rc = mdb_cursor_get(cur, &mk, &mv, MDB_SET_RANGE);
        rc = mdb_cursor_get(cur, &mk, &mv, rc == 0 ? MDB_PREV : MDB_LAST);
    }
    if (rc == 0) {
        const uint8_t *p = mk.mv_data;
        uint64_t at = 0;
        if (mk.mv_size == DR_LINK_KEY_BYTES && memcmp(p, k, LINK_POSITION) == 0) {
            memcpy(&at, p + LINK_POSITION, sizeof at);
            *position = (int64_t)be64toh(at);
        } else {
            rc = MDB_NOTFOUND;
        }
    }
    if (cur)
        mdb_cursor_close(cur);
    return rc;
}

int dr_slabs__room(dr_cache *c, MDB_txn *txn, const dr_state *s, uint64_t *n)
{
    MDB_stat ms;
    const int rc = mdb_stat(txn, c->free_ids, &ms);
    if (rc != 0)
        return rc;
    if (ms.ms_entries > s->next_slab)
        return MDB_CORRUPTED;
    const uint64_t used = s->next_slab - ms.ms_entries;
    *n = used < c->max_slabs ? c->max_slabs - used : 0;
    return 0;
}

int dr_slabs__take(dr_cache *c, MDB_txn *txn, dr_state *s, const dr_entry *e)
{
    const uint64_t first_new = s->next_slab;
    MDB_val mv;
    int rc = 0;

    for (uint32_t i = 0; i < e->n_slabs && rc == 0; i++) {
        uint32_t id = dr_slab_ref_load(e, i).id;
        MDB_val mk = {sizeof id, &id};
        if (id < first_new && (rc = mdb_get(txn, c->free_ids, &mk, &mv)) == MDB_NOTFOUND)
            return DR_ERR_AGAIN;
    }
    for (uint32_t i = 0; i < e->n_slabs && rc == 0; i++) {
        uint32_t id = dr_slab_ref_load(e, i).id;
        MDB_val mk = {sizeof id, &id};
        if (id < first_new) {
            rc = mdb_del(txn, c->free_ids, &mk, NULL);
            continue;
        }
        /* Those before it were meant for a record that is not kept after all. */
        for (; rc == 0 && s->next_slab < id; s->next_slab++)
            rc = slab_give(c, txn, (uint32_t)s->next_slab);
        s->next_slab = (uint64_t)id + 1;
    }
    return rc;
}

int dr_index__clear(dr_cache *c, MDB_txn *txn, dr_state *s)
{
    int rc;
    if ((rc = mdb_drop(txn, c->index, 0)) != 0 || (rc = mdb_drop(txn, c->links, 0)) != 0 ||
        (rc = mdb_drop(txn, c->free_ids, 0)) != 0)
        return rc;
    s->next_slab = 0;
    return 0;
}
