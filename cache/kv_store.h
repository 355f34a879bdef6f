/* cache/kv_store.h: records of up to some hundred megabytes under 256-bit keys: blocks and anchors.
 *
 * A record is cut into slabs of DR_KV_SLAB_BYTES, the last one padded, each with its XXH3-128 in the record's index entry:
 *
 *   facts/  index   kind, key           -> sizes, times, hits, parent, meta, n x (slab id, checksum)
 *           links   parent, kind, position, key                    a block's children, newest position last
 *           free    slab id             ids that may be used again; ids never used lie above the state's next_slab
 *   kv/             slab id             -> 262,128 bytes
 *
 *  K1 Who holds the slab lock chooses ids that are free, writes the slabs, and only then takes the ids and writes the entry, in one
 *     transaction of facts. A crash in between leaves slabs that no entry names and whose ids are still free: they are simply written over.
 *  K2 Bytes are handed out only after the checksum of every slab was found right on the copy itself. So a slab that was written
 *     over, lost or damaged is a miss, never a wrong byte.
 *  K3 Slab ids stay below the budget, so the file does: room is made before anything is written.
 *  K4 Nothing points into the database after a call returns, and no read transaction outlives one call.
 *  K5 A record is stored only while the block before it is: without it, it could never be reached.
 *
 * Parents: the parent of block i is block i - 1, of an anchor the last whole block before or at its position, and of those in front of the
 * first block the chain's start. A dropped block takes its descendants with it. When the budget is full, records go by seconds saved x decayed
 * hits / bytes, and never before their descendants; of a prefix longer than the budget the beginning stays. */
#ifndef DR_CACHE_KV_STORE_H
#define DR_CACHE_KV_STORE_H

#include "base/bytes.h"
#include "cache/cache.h"
#include "cache/chain.h"

enum {
    DR_KV_SLAB_BYTES = 256 * 1024 - 16, /* with LMDB's page header exactly 64 pages */
    DR_KV_META_BYTES = 256
};

typedef enum dr_kv_kind { DR_KV_BLOCK = 0, DR_KV_ANCHOR = 1, DR_KV_KINDS } dr_kv_kind;

/* What the caller says of a record. */
typedef struct dr_kv_label {
    dr_kv_kind kind;
    dr_key key, parent;
    int64_t n_tokens;     /* position reached: tokens of the prefix, this record's included */
    uint64_t compute_us;  /* what computing it took: eviction weighs by it */
    uint64_t group;       /* for purge: the repository it was made for first */
    bool pinned;          /* part of what many prompts begin with: eviction spares it longer (evict.c) */
    uint8_t meta[DR_KV_META_BYTES]; /* the caller's own, given back by find */
    size_t n_meta;
} dr_kv_label;

typedef struct dr_kv_info {
    dr_kv_label label;
    size_t n_bytes;
    uint64_t stored_s, used_s; /* seconds since 1970 */
    uint64_t n_hits;
} dr_kv_info;

/* Keeps a record unless there is one under this key already (equal keys mean equal bytes). On DR_OK *stored (may be NULL) says
 * whether it was written now; false also for a NULL or read-only cache. n == 0 is a record without slabs. Returns when it is on
 * disk: see kv_writer.h for a caller that must not wait.
 * DR_ERR_LIMIT: no room can be made, today's bytes are used up, or its parent is not stored (K5). DR_ERR_AGAIN: a reader or a
 * writer of another process stands still. DR_ERR_IO: the disk is full or broken; what was there before is unharmed. */
dr_status dr_kv_store_put(dr_cache *c, bool *stored, const dr_kv_label *label, const void *data, size_t n, dr_error *err);

/* Looks a record up; counts neither as a hit nor as a miss. DR_ERR_NOT_FOUND (no message) when there is none; info may be NULL. */
dr_status dr_kv_store_find(dr_cache *c, dr_kv_info *info, dr_kv_kind kind, const dr_key *key, dr_error *err);

/* Copies a record into dst, which has exactly its n_bytes (DR_ERR_ARG otherwise, nothing done).
 * DR_ERR_NOT_FOUND: none, or replaced meanwhile. DR_ERR_FORMAT: damaged; it and its descendants have been dropped. DR_ERR_IO: the
 * disk could not be read. All three are misses; dst then holds nothing of use. */
dr_status dr_kv_store_get(dr_cache *c, dr_span dst, dr_kv_kind kind, const dr_key *key, dr_error *err);

/* Drops a record and its descendants. DR_ERR_NOT_FOUND when there is none. */
dr_status dr_kv_store_drop(dr_cache *c, dr_kv_kind kind, const dr_key *key, dr_error *err);

/* From where a prefix can be resumed. */
typedef struct dr_kv_hit {
    int64_t n_tokens;  /* position of the anchor; 0: nothing to restore */
    int64_t n_blocks;  /* n_tokens / 2048 blocks in front of it, under keys[16], keys[32], ... */
    dr_key anchor;     /* its key, of kind DR_KV_ANCHOR */
    size_t anchor_bytes;
    int64_t chain_tokens; /* tokens in whole blocks that are stored from the start, whether or not an anchor follows */
} dr_kv_hit;

/* The newest anchor at a position <= limit, all blocks in front of which are stored, of the chain keys (chain.h) over ids[0..n).
 * limit is usually n - 1: the last token is computed, for its logits. A miss is DR_OK with n_tokens 0. */
dr_status dr_kv_store_resume(dr_cache *c, dr_kv_hit *hit, const dr_key *keys, const int32_t *ids, int64_t n, int64_t limit,
                             dr_error *err);

#endif
