/* cache/kv_writer.h: a thread that stores records, so that whoever computes them never waits for a disk.
 *
 * Records queue in memory, bounded in bytes, and are written several to a transaction, in the order given. A record that cannot be
 * kept is let go: the first error is remembered for the caller to report when it suits, and a full disk stops the writer from
 * trying for the rest of its life. Any thread may put. */
#ifndef DR_CACHE_KV_WRITER_H
#define DR_CACHE_KV_WRITER_H

#include "cache/kv_store.h"

typedef struct dr_kv_writer dr_kv_writer;

typedef struct dr_kv_writer_stat {
    int64_t n_stored, n_present; /* written; there already */
    int64_t n_lost;              /* could not be kept */
    int64_t bytes_stored, bytes_queued;
    uint64_t busy_us, cpu_us;    /* time the thread spent writing, and CPU time it has taken */
} dr_kv_writer_stat;

/* max_bytes: of the queue; a record larger than that passes alone. A NULL or read-only cache gives a writer that lets everything go. */
dr_status dr_kv_writer_new(dr_kv_writer **out, dr_cache *c, size_t max_bytes, dr_error *err);

/* Takes data (from malloc or aligned_alloc) on DR_OK. When the queue is full: DR_ERR_AGAIN, data stays the caller's; with `wait`, waits
 * for room instead. */
dr_status dr_kv_writer_put(dr_kv_writer *w, const dr_kv_label *label, void *data, size_t n, bool wait);

/* Waits until all that was put so far is on disk or let go; returns the first error there has been (DR_OK when none). */
dr_status dr_kv_writer_flush(dr_kv_writer *w, dr_error *err);

void dr_kv_writer_stat_get(dr_kv_writer *w, dr_kv_writer_stat *out);

/* Writes what is queued, ends the thread. With `abandon` what is queued is let go instead (what is being written is finished). */
void dr_kv_writer_free(dr_kv_writer *w, bool abandon);

#endif
