/* repo/stat_cache.h: which blob a file on disk holds, known from its inode, size and times.
 *
 * For files that git's own index does not vouch for: changed ones, untracked ones, folders outside git. A file is
 * taken as unchanged when device, inode, size, modification and change time are the same to the nanosecond; it is
 * only remembered when those times were at least two seconds past, so that a second write within the clock's grain
 * cannot hide. One value of the store per root. Owned by one thread. */
#ifndef DR_REPO_STAT_CACHE_H
#define DR_REPO_STAT_CACHE_H

#include "base/blob_store.h"

#include <sys/stat.h>

typedef struct dr_stat_cache dr_stat_cache;

/* NULL when out of memory; a cache without a store forgets everything. */
dr_stat_cache *dr_stat_cache__open(const dr_blob_store *store, dr_str root);

/* how: of dr_to_git__digest. *done: what was kept with the id. Any thread, until the first keep. */
bool dr_stat_cache__find(const dr_stat_cache *c, uint8_t id[20], uint8_t *done, dr_str path, const struct stat *sb,
                         uint32_t how);

/* What is true now. Everything that is not kept again in this session is forgotten at the end of it. */
void dr_stat_cache__keep(dr_stat_cache *c, dr_str path, const struct stat *sb, uint32_t how, uint8_t done,
                         const uint8_t id[20]);

/* store: puts what was kept into the store, when it differs from what was there. NULL is fine. */
void dr_stat_cache__close(dr_stat_cache *c, bool store);

#endif
