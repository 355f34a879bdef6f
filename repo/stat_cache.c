#include "repo/stat_cache.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The stored value: records in the order of their first field, which makes it a function of what they hold.
 *
 *   0  16 hash of the path     16  8 device    24  8 inode    32  8 size    40  8 modified, ns    48  8 changed, ns
 *   56  4 how                  60 20 id        80  1 done
 *
 * Under "sta1" and a digest of the root's path. */
enum { RECORD = 81, COMPARED = 60, GRACE_S = 2 };

struct dr_stat_cache {
    const dr_blob_store *store;
    uint8_t key[4 + 32];
    dr_buf old, now;
    int64_t settled_before; /* seconds: what changed later may change again unseen */
};

dr_stat_cache *dr_stat_cache__open(const dr_blob_store *store, dr_str root)
{
    dr_stat_cache *c = calloc(1, sizeof *c);
    struct timespec now;

    if (!c)
        return NULL;
    c->store = store;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    c->settled_before = (int64_t)now.tv_sec - GRACE_S;
    if (store) {
        const dr_digest d = dr_sha256(root.s, root.n);
        memcpy(c->key, "sta1", 4);
        memcpy(c->key + 4, d.b, 32);
        if (store->get(store->self, &c->old, (dr_cspan){c->key, sizeof c->key}, NULL) != DR_OK ||
            c->old.n % RECORD != 0)
            dr_buf_clear(&c->old);
    }
    return c;
}

static void make_record(uint8_t record[RECORD], dr_str path, const struct stat *sb, uint32_t how)
{
    const dr_checksum h = dr_xxh3_128(path.s, path.n);
    dr_store_u64(record, h.lo);
    dr_store_u64(record + 8, h.hi);
    dr_store_u64(record + 16, (uint64_t)sb->st_dev);
    dr_store_u64(record + 24, (uint64_t)sb->st_ino);
    dr_store_u64(record + 32, (uint64_t)sb->st_size);
    dr_store_u64(record + 40, (uint64_t)sb->st_mtim.tv_sec * 1000000000u + (uint64_t)sb->st_mtim.tv_nsec);
    dr_store_u64(record + 48, (uint64_t)sb->st_ctim.tv_sec * 1000000000u + (uint64_t)sb->st_ctim.tv_nsec);
    dr_store_u32(record + 56, how);
}

static int by_path_hash(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

bool dr_stat_cache__find(const dr_stat_cache *c, uint8_t id[20], uint8_t *done, dr_str path, const struct stat *sb,
                         uint32_t how)
{
    uint8_t want[RECORD];

    if (c->old.n == 0)
        return false;
    make_record(want, path, sb, how);
    const uint8_t *hit = bsearch(want, c->old.data, c->old.n / RECORD, RECORD, by_path_hash);
    if (!hit || memcmp(hit, want, COMPARED) != 0)
        return false;
    memcpy(id, hit + COMPARED, 20);
    *done = hit[COMPARED + 20];
    return true;
}

void dr_stat_cache__keep(dr_stat_cache *c, dr_str path, const struct stat *sb, uint32_t how, uint8_t done,
                         const uint8_t id[20])
{
    uint8_t record[RECORD];

    if (!c->store || sb->st_mtim.tv_sec >= c->settled_before || sb->st_ctim.tv_sec >= c->settled_before)
        return;
    make_record(record, path, sb, how);
    memcpy(record + COMPARED, id, 20);
    record[COMPARED + 20] = done;
    dr_buf_add(&c->now, record, RECORD);
}

void dr_stat_cache__close(dr_stat_cache *c, bool store)
{
    if (!c)
        return;
    if (store && c->store && !c->now.failed) {
        if (c->now.n)
            qsort(c->now.data, c->now.n / RECORD, RECORD, by_path_hash);
        if (c->now.n != c->old.n || (c->now.n && memcmp(c->now.data, c->old.data, c->now.n) != 0))
            (void)c->store->put(c->store->self, (dr_cspan){c->key, sizeof c->key},
                                (dr_cspan){(const uint8_t *)c->now.data, c->now.n}, NULL);
    }
    dr_buf_free(&c->old);
    dr_buf_free(&c->now);
    free(c);
}
