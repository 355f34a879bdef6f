/* cache/cache.h: the folder that keeps what was computed once, in two LMDB environments.
 *
 *   FOLDER/version      the format, one line
 *   FOLDER/kv/          only slabs of DR_KV_SLAB_BYTES: the bytes of stored records (kv_store.h)
 *   FOLDER/facts/       everything small: the records' index, and the facts of blob_store.h (facts.h)
 *   FOLDER/aside/       the last folder that could not be used: another format, or damage
 *
 * All of it can be made again, so damage costs a miss or a fresh start and never an answer. What is kept here is derived from
 * the user's code: folders are 0700, files 0600, and a folder that others own or may write to is refused.
 *
 * Several processes may use one folder at once; within a process it is open once, and not across fork(). All functions of
 * this library may be called from any thread, except open and close, and accept a NULL cache: nothing is found, nothing is kept.
 *
 * A write past RLIMIT_FSIZE raises SIGXFSZ; the program ignores that signal, and then sees an ordinary failed write. */
#ifndef DR_CACHE_CACHE_H
#define DR_CACHE_CACHE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dr_cache dr_cache;

typedef struct dr_cache_options {
    int64_t kv_max_bytes;    /* of stored records, in whole slabs; 0: DR_CACHE_KV_BYTES */
    int64_t facts_max_bytes; /* of facts, the index not counted; 0: DR_CACHE_FACTS_BYTES */
    int64_t kv_day_bytes;    /* of records written in a day of UTC, to spare the disk; 0: DR_CACHE_DAY_BYTES */
    bool read_only;          /* nothing is changed, and what would be stored is let go */
} dr_cache_options;

#define DR_CACHE_KV_BYTES    ((int64_t)16 << 30)
#define DR_CACHE_FACTS_BYTES ((int64_t)4 << 30)
#define DR_CACHE_DAY_BYTES   ((int64_t)64 << 30)

/* Makes the folder (and its parents) when it is not there; options may be NULL. A folder that cannot be written (a read-only
 * mount, no permission) is opened as if read_only were set.
 * DR_ERR_IO      cannot be made or read; a read-only folder without a cache in it
 * DR_ERR_ARG     refused: not the user's own, writable by others, on a network file system, already open in this process
 * DR_ERR_FORMAT  damaged or of another format, and read_only, so it cannot be moved aside
 * In every case the program goes on with a NULL cache; err says why in one sentence. */
dr_status dr_cache_open(dr_cache **out, const char *folder, const dr_cache_options *options, dr_error *err);

/* Flushes and closes. No writer (kv_writer.h) may be left on it. */
void dr_cache_close(dr_cache *c);

/* Writes what is pending: facts, and the counters of hits and uses. */
dr_status dr_cache_flush(dr_cache *c, dr_error *err);

bool dr_cache_read_only(const dr_cache *c); /* true for NULL */
const char *dr_cache_folder(const dr_cache *c);
/* What was done at opening that a person may want to know ("damaged, moved aside: ..."), or "". */
const char *dr_cache_note(const dr_cache *c);

/* The whole cache is deleted from the disk, which is the only way to give its room back. It must not be open in this process; other
 * processes that have it open go on with what they hold until they end. */
dr_status dr_cache_delete(const char *folder, dr_error *err);

#endif
