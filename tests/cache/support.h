/* tests/cache/support.h: a scratch folder per test, records whose bytes follow from their key, and a seeded random source. */
#ifndef DR_TESTS_CACHE_SUPPORT_H
#define DR_TESTS_CACHE_SUPPORT_H

#include "cache/kv_store.h"
#include "cache/upkeep.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SLAB = DR_KV_SLAB_BYTES };

/* A new folder below $TMPDIR, /dev/shm or /tmp, deleted by scratch_free with all that is in it. The path is static. */
const char *scratch_new(void);
void scratch_free(void);
/* scratch/NAME, static, until the next call. */
const char *scratch_path(const char *name);

/* The cache at scratch/c. Fails the test when it does not open. */
dr_cache *cache_at(int64_t kv_max_bytes);

dr_key key_number(uint64_t i);
/* n bytes that follow from i. */
void fill_bytes(uint8_t *p, size_t n, uint64_t i);

/* A block of n bytes under key_number(i), child of key_number(parent) (0: of none). */
dr_kv_label label_number(dr_kv_kind kind, uint64_t i, uint64_t parent);
dr_status put_number(dr_cache *c, dr_kv_kind kind, uint64_t i, uint64_t parent, size_t n, dr_error *err);
/* What get says; fails the test when it says DR_OK and the bytes are wrong. n: the size it must have. */
dr_status get_number(dr_cache *c, dr_kv_kind kind, uint64_t i, size_t n);

/* dr_cache_verify must find nothing wrong. */
void assert_clean(dr_cache *c);

/* Called first in a forked process: a failed check ends it with a signal, instead of going on with the parent's tests. */
void as_child(void);

uint64_t random_next(uint64_t *state);

#endif
