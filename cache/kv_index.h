/* cache/kv_index.h: entries, links and slab ids, inside a transaction on facts/. Internal to cache/.
 *
 * An entry, little-endian:
 *
 *     0  checksum  of the key and of all that follows (low half of XXH3-128)
 *     8  sequence   another number for every entry ever written
 *    16  n_bytes     24 n_tokens    32 compute_us   40 group
 *    48  stored_s    56 used_s      64 n_hits
 *    72  parent key, 32 bytes
 *   104  n_slabs; n_meta, with the highest bit for pinned: 32-bit words
 *   112  meta, n_meta bytes
 *        n_slabs times: slab id (32 bits), XXH3-128 of the bytes in it (padding not counted)
 *
 * A link's key is parent, kind, position (big-endian, so that LMDB sorts by it), key; it has no value.
 * Functions return an int as explained in env.h. */
#ifndef DR_CACHE_KV_INDEX_H
#define DR_CACHE_KV_INDEX_H

#include "cache/internal.h"

enum { DR_SLAB_REF_BYTES = 20, DR_INDEX_KEY_BYTES = 33, DR_LINK_KEY_BYTES = 73, DR_ENTRY_HEAD_BYTES = 112 };

typedef struct dr_entry {
    uint64_t sequence;
    dr_kv_info info;
    uint32_t n_slabs;
    const uint8_t *refs; /* n_slabs * DR_SLAB_REF_BYTES, borrowed from the transaction or the caller */
} dr_entry;

typedef struct dr_slab_ref {
    uint32_t id;
    dr_checksum sum;
} dr_slab_ref;

dr_slab_ref dr_slab_ref_load(const dr_entry *e, uint32_t i);
void dr_slab_ref_store(uint8_t *refs, uint32_t i, const dr_slab_ref *r);
uint64_t dr_slabs_of(uint64_t n_bytes);

/* Every length is checked against the value's. False: damaged. */
bool dr_entry_decode(dr_entry *e, dr_cspan key, dr_cspan value);

/* MDB_NOTFOUND: none, or a damaged one. */
int dr_entry__get(dr_cache *c, MDB_txn *txn, dr_entry *e, dr_kv_kind kind, const dr_key *key);
/* Writes the entry under info.label's kind and key. */
int dr_entry__put(dr_cache *c, MDB_txn *txn, const dr_entry *e);

/* Links it to its parent as well. */
int dr_entry__insert(dr_cache *c, MDB_txn *txn, const dr_entry *e);
/* Removes one record, gives its slabs back, counts. A damaged entry goes too (its slabs are found by verify). *n may be NULL. */
int dr_entry__remove(dr_cache *c, MDB_txn *txn, dr_kv_kind kind, const dr_key *key, int64_t *bytes);
/* The same for it and everything below it. */
int dr_entry__remove_tree(dr_cache *c, MDB_txn *txn, dr_kv_kind kind, const dr_key *key, int64_t *n_removed, int64_t *bytes);

int dr_link__has_any(dr_cache *c, MDB_txn *txn, const dr_key *parent, bool *any);
/* The child of this kind with the highest position <= *position: MDB_NOTFOUND when there is none. */
int dr_link__last(dr_cache *c, MDB_txn *txn, const dr_key *parent, dr_kv_kind kind, int64_t *position);

/* Takes the ids that an entry names off the free list, or from those never used. DR_ERR_AGAIN (without a message) when one of them is neither:
 * then none is taken. */
int dr_slabs__take(dr_cache *c, MDB_txn *txn, dr_state *s, const dr_entry *e);
/* How many could be taken. */
int dr_slabs__room(dr_cache *c, MDB_txn *txn, const dr_state *s, uint64_t *n);

/* Forgets all records: every id is free again. */
int dr_index__clear(dr_cache *c, MDB_txn *txn, dr_state *s);

void dr_index_key(uint8_t out[DR_INDEX_KEY_BYTES], dr_kv_kind kind, const dr_key *key);
void dr_link_key(uint8_t out[DR_LINK_KEY_BYTES], const dr_kv_label *label);

#endif
