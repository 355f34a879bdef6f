/* cache/kv_slabs.h: slabs in kv/, written by one writer at a time and read by anybody. Internal to cache/.
 *
 * A slab gets its pages when its id is used first, in a transaction of LMDB's; from then on they stay where they are, as nothing deletes a slab
 * or puts one anew, and what comes later under the same id is written into them in place: one copy, no transaction, no page that is
 * freed, and no lock of LMDB's while the disk works. A reader that is still reading what was there before sees it in the checksums (K2).
 *
 * The slab lock says who may take ids and write slabs; giving ids back needs the write lock of facts alone. It ends with the process that
 * holds it. */
#ifndef DR_CACHE_KV_SLABS_H
#define DR_CACHE_KV_SLABS_H

#include "cache/internal.h"
#include "cache/kv_index.h"

typedef struct dr_slab_write {
    uint32_t id;
    uint32_t n; /* bytes, at most DR_KV_SLAB_BYTES */
    const uint8_t *data;
    dr_checksum sum; /* result, of the n bytes */
} dr_slab_write;

/* Waits for another thread, or some seconds for another process: DR_ERR_AGAIN when that does not go on. Taken before any transaction. */
dr_status dr_slabs__lock(dr_cache *c, dr_error *err);
void dr_slabs__unlock(dr_cache *c);

/* On DR_OK all are on the disk. Otherwise what the slabs hold is not known, and no entry may name them. */
dr_status dr_slabs__write(dr_cache *c, dr_slab_write *writes, size_t n, dr_error *err);

/* Copies the slabs that e names to dst, one behind the other (K2), or only checks them when dst is NULL. No transaction is open while
 * the disk works. Long runs that are not in the page cache are read past it (direct.h). What LMDB keeps in front of a slab is not looked
 * at, so damage to it costs nothing.
 * DR_ERR_NOT_FOUND (no message): one is missing or not what the entry says. */
dr_status dr_slabs__read(dr_cache *c, uint8_t *dst, const dr_entry *e, dr_error *err);

#endif
