/* cache/upkeep.h: what `deepread cache` shows and does: figures, a full check, tidying, purging. */
#ifndef DR_CACHE_UPKEEP_H
#define DR_CACHE_UPKEEP_H

#include "cache/kv_store.h"

#include <stdatomic.h>

typedef struct dr_cache_stat {
    struct {
        int64_t n_records, n_bytes, n_slabs;
        uint64_t n_hits;
    } kv[DR_KV_KINDS];
    int64_t kv_max_bytes, kv_file_bytes, slabs_used, slabs_free;
    int64_t n_facts, facts_bytes, facts_max_bytes, facts_file_bytes;
    int64_t aside_bytes; /* in the folder moved aside */
    /* Since the cache was made, by all processes up to their last flush. */
    uint64_t n_hits, n_misses, n_damaged, n_stored, n_evicted, bytes_stored, bytes_read;
    int64_t day_bytes, day_max_bytes; /* of records written today */
} dr_cache_stat;

/* Reads the whole index (some milliseconds at 100,000 records). All zero for a NULL cache. */
dr_status dr_cache_stat_get(dr_cache *c, dr_cache_stat *out, dr_error *err);

typedef struct dr_cache_report {
    int64_t n_records, n_bytes, n_facts; /* looked at */
    int64_t n_bad_records, n_bad_facts;  /* damaged, now dropped */
    int64_t n_lost_slabs;                /* ids that neither an entry nor the free list knew, now free again */
    int64_t n_bad_links;                 /* index and links disagreed, now they agree */
} dr_cache_report;

/* Reads every stored byte and checks it, and that every slab is used once or free. Repairs what it finds unless the cache is
 * read-only. progress (may be NULL) is called now and then; *cancel (may be NULL) ends it with DR_ERR_CANCELLED. */
dr_status dr_cache_verify(dr_cache *c, dr_cache_report *out, void (*progress)(void *arg, int64_t done, int64_t total), void *arg,
                          const atomic_bool *cancel, dr_error *err);

/* Brings the cache under its budget, clears readers that died, and deletes what was moved aside. */
dr_status dr_cache_gc(dr_cache *c, int64_t *n_evicted, int64_t *bytes_freed, dr_error *err);

/* Drops the records first stored for this group, and their descendants. */
dr_status dr_cache_purge(dr_cache *c, uint64_t group, int64_t *n_dropped, dr_error *err);

#endif
