/* cache/env.h: one LMDB environment, with what every use of one must remember. Internal to cache/; nothing above sees LMDB.
 *
 *  - The map may only be resized while this process has no transaction on it: transactions hold map_lock shared, resizing
 *    holds it alone.
 *  - A write that finds the map full is rolled back, the map doubled, and the write done again: so a write is a function
 *    that may run more than once and must start from nothing each time.
 *  - Another process may have grown the map (MDB_MAP_RESIZED), and readers that died leave their slots taken.
 *  - LMDB waits for its write lock without end, also for one whom a stopped process has. So who wants to write takes his turn first, a
 *    lock of ours for which he waits some seconds: whoever writes holds it, and it ends with the process.
 *
 * Codes: LMDB's are below -30000, errno's above zero, dr_status between: one int carries any of them. A function that
 * returns a dr_status has written err itself. */
#ifndef DR_CACHE_ENV_H
#define DR_CACHE_ENV_H

#include "base/status.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct dr_env {
    MDB_env *env;
    char *path; /* the folder, for messages */
    pthread_rwlock_t map_lock;
    bool has_lock, read_only;
    pthread_mutex_t turn_lock; /* this process's part of the turn; guards the two below; taken before map_lock */
    bool turn_stuck;           /* waited for in vain the last time: then little, as others wait behind this one */
    int turn_wait_ms;          /* for the first time */
    atomic_bool damaged; /* LMDB met a page that makes no sense */
    uint32_t page_bytes;
    int fd; /* of data.mdb, LMDB's own */
    atomic_uint_fast64_t longest_us;     /* that a write transaction of this process has been open */
    atomic_uintptr_t map_begin, map_end; /* where the map lies, 0: not known; forgotten under map_lock alone */
} dr_env;

/* Looks at the meta pages of data.mdb before LMDB maps it. DR_ERR_FORMAT: damaged. A missing or empty file is fine. */
dr_status dr_env__inspect(const char *path, dr_error *err);

/* Walks all trees as txn (a read transaction) sees them, through read() and with every number checked (tree_check.c): afterwards
 * LMDB may follow them. DR_ERR_FORMAT: damaged. DR_ERR_AGAIN: others were writing too fast to tell; again with a new transaction. */
dr_status dr_env__check_trees(dr_env *e, MDB_txn *txn, dr_error *err);

/* Whether the header before a large value says what LMDB will believe when it frees or replaces the value's pages; the walk does
 * not read those. key and value as a cursor gives them in a read transaction. */
bool dr_env__value_sound(const dr_env *e, const MDB_val *key, const MDB_val *value);

enum { DR_ENV_HEADER = 16 }; /* bytes in front of a value that has pages to itself */

/* Where in data.mdb the bytes of a value lie that has pages to itself, going by its leaf alone: what is in front of them may be damaged.
 * key and value as a cursor gives them in a read transaction. 0 or MDB_CORRUPTED. */
int dr_env__place(dr_env *e, const MDB_val *key, const MDB_val *value, uint64_t *at);
/* Whether such a value may be written over with dr_env__header before it: whatever is in front of it, it is no page of a tree. 0,
 * MDB_CORRUPTED or an errno. */
int dr_env__may_write(const dr_env *e, uint64_t at);
/* What LMDB writes before a value of n bytes that lies at `at`. */
void dr_env__header(const dr_env *e, uint64_t at, size_t n, uint8_t header[DR_ENV_HEADER]);

/* Zero-initialised e; close accepts what a failed open left. Checks the trees. DR_ERR_FORMAT: damaged, or not a database this
 * version can read. */
dr_status dr_env__open(dr_env *e, const char *path, unsigned max_dbs, size_t map_bytes, bool read_only, dr_error *err);
void dr_env__close(dr_env *e);

/* A read transaction. Never begun by a thread that is inside a transaction on the same environment. */
dr_status dr_env__read(dr_env *e, MDB_txn **txn, dr_error *err);
void dr_env__read_end(dr_env *e, MDB_txn *txn);

/* Inside a read transaction: copies what begins at `at` in the map, n_head bytes of it to head, then n_rest to rest. With pread where that
 * can be told: what is touched through the map costs a fault and counts as this program's memory until it ends, with all that Linux
 * maps around it. False: the file is shorter than its trees say. */
bool dr_env__copy(dr_env *e, const void *at, void *head, size_t n_head, void *rest, size_t n_rest);

/* Where in data.mdb this byte of the map lies; false: it cannot be told. */
bool dr_env__offset(dr_env *e, const void *at, uint64_t *offset);

/* Whether the page that holds this byte of data.mdb is in the page cache, or it cannot be told. In no transaction of the calling thread's. */
bool dr_env__is_cached(dr_env *e, uint64_t offset);

/* fn in a write transaction, committed when it returns 0, else rolled back. May run fn more than once. DR_ERR_AGAIN: another process has
 * been writing for turn_wait_ms, or stands still. */
typedef int dr_env_fn(MDB_txn *txn, void *arg, dr_error *err);
dr_status dr_env__update(dr_env *e, dr_env_fn *fn, void *arg, dr_error *err);

/* rc as a dr_status, with a message unless rc is one already or means "not found". */
dr_status dr_env__status(dr_env *e, int rc, const char *what, dr_error *err);

void dr_env__clear_dead_readers(dr_env *e);
/* The transaction that the slowest reader of any process looks at; UINT64_MAX / 2 when nobody reads. */
uint64_t dr_env__oldest_reader(dr_env *e);

#endif
