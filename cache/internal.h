/* cache/internal.h: what the files of cache/ share: the open cache, and its state record. */
#ifndef DR_CACHE_INTERNAL_H
#define DR_CACHE_INTERNAL_H

#include "cache/direct.h"
#include "cache/env.h"
#include "cache/facts.h"
#include "cache/folder.h"
#include "cache/kv_store.h"

/* Figures that live in the state record of facts/ and change in the transaction that makes them true. Little-endian words in
 * this order behind a checksum of them; a record with fewer words is of an earlier version, and the rest are 0. */
typedef struct dr_state {
    uint64_t next_slab; /* ids from here up were never used */
    uint64_t sequence;  /* of the newest index entry */
    uint64_t young;     /* generation that facts are written to: 0 or 1 */
    uint64_t n_hits, n_misses, n_damaged, n_stored, n_evicted, bytes_stored, bytes_read;
    uint64_t day, day_bytes; /* days since 1970, and bytes of slabs written on that one */
} dr_state;

enum {
    DR_STATE_WORDS = sizeof(dr_state) / sizeof(uint64_t),
    DR_STATE_WORDS_1 = 10, /* the first version's */
    DR_N_GENERATIONS = 2,
    DR_MAX_USES = 4096
};

typedef struct dr_use {
    dr_kv_kind kind;
    dr_key key;
} dr_use;

typedef struct dr_facts dr_facts; /* puts not yet on disk (facts.c) */

struct dr_cache {
    dr_folder folder;
    char note[512];
    bool read_only;
    struct dr_cache *next_open; /* in the list of those open in this process */

    dr_env kv, facts; /* a write transaction on one is never open while one on the other is */
    dr_direct direct; /* of kv/data.mdb */
    MDB_dbi slabs;
    MDB_dbi state, index, links, free_ids, generation[DR_N_GENERATIONS];
    uint64_t max_slabs;
    int64_t kv_max_bytes, facts_max_bytes, kv_day_bytes;
    uint64_t max_facts_pages; /* of facts/data.mdb; a longer one is a sign of a reader that stands still */

    dr_blob_store store;
    dr_facts *pending;

    pthread_mutex_t slab_lock;  /* this process's part of the slab lock (kv_slabs.h); taken before flush_lock */
    bool slab_lock_stuck;       /* waited for in vain the last time; guarded by slab_lock */
    pthread_mutex_t flush_lock; /* one flush at a time; taken before any transaction */

    /* Since the last flush; guarded by use_lock. */
    pthread_mutex_t use_lock;
    dr_use *uses;
    int n_uses;
    uint64_t n_hits, n_misses, bytes_read;
};

/* Inside a transaction on facts. A missing or damaged record: MDB_NOTFOUND. */
int dr_state__get(dr_cache *c, MDB_txn *txn, dr_state *s);
int dr_state__put(dr_cache *c, MDB_txn *txn, const dr_state *s);

/* Uses gather in memory. A transaction on facts takes those there are (write) and, once it has committed, they are forgotten. Only
 * one thread at a time does that: flush_lock is held around the whole. */
typedef struct dr_uses {
    int n;
    uint64_t n_hits, n_misses, bytes_read;
} dr_uses;

void dr_uses__add(dr_cache *c, dr_kv_kind kind, const dr_key *key, uint64_t bytes);
void dr_uses__miss(dr_cache *c);
int dr_uses__write(dr_cache *c, MDB_txn *txn, dr_state *s, dr_uses *taken);
void dr_uses__forget(dr_cache *c, const dr_uses *taken);

uint64_t dr_now_s(void); /* seconds since 1970 */

dr_status dr_facts__new(dr_cache *c, dr_error *err);
void dr_facts__free(dr_cache *c);
dr_status dr_facts__flush(dr_cache *c, dr_error *err);
/* While a reader stands still, no page of facts/ that it may look at is used again, and the file would grow without end: DR_ERR_AGAIN when
 * it has grown enough. (kv/ frees no pages.) */
dr_status dr_facts__may_grow(dr_cache *c, dr_error *err);
/* Whether a stored value is what was put under this key. */
bool dr_facts__ok(dr_cspan key, dr_cspan stored);

#endif
