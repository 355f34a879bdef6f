/* cache/kv_put.h: storing several records in one transaction, for kv_store.c and kv_writer.c. Internal to cache/. */
#ifndef DR_CACHE_KV_PUT_H
#define DR_CACHE_KV_PUT_H

#include "cache/internal.h"

typedef struct dr_kv_item {
    const dr_kv_label *label;
    const void *data;
    size_t n;
    /* results */
    bool stored;  /* false with DR_OK: there already */
    dr_status st; /* DR_ERR_LIMIT: not for this one */
    const char *why; /* why not */
} dr_kv_item;

/* On DR_OK each item has its own result; otherwise none was stored. */
dr_status dr_kv_put__many(dr_cache *c, dr_kv_item *items, size_t n_items, dr_error *err);

/* Drops records, the least worth first, until n_slabs can be taken; never the blocks `keep` (those about to get a child), nor what they stand
 * on. Returns 0 also when there was not enough to drop. */
int dr_evict__for(dr_cache *c, MDB_txn *txn, dr_state *s, uint64_t n_slabs, const dr_key *keep, size_t n_keep, int64_t *n_removed,
                  int64_t *bytes);

/* What dr_kv_store_get would say of a record, without its bytes and without counting as a use. */
dr_status dr_kv_store__check(dr_cache *c, dr_kv_kind kind, const dr_key *key, dr_error *err);

#endif
