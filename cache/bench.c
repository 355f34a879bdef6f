/* CPU time where a neighbour on the machine would falsify wall time (copying and looking up), wall time where the disk is what is
 * measured (writing, cold reads). Copying and reading are the best of PASSES, the store and its peer by turns. */
#include "cache/bench.h"

#include "base/bytes.h"
#include "base/log.h"
#include "cache/internal.h"
#include "cache/kv_put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PASSES = 3, INDEX_BATCH = 2000, N_LOOKUPS = 100000, RAW_INDEX = 6 * 4096 };
/* More than any cache of a processor: memcpy then reads from memory, as a restore does. */
static const size_t SOURCE_BYTES = (size_t)1 << 30;

typedef struct bench {
    dr_cache_bench *out;
    dr_folder folder; /* the bench's own */
    char path[3500], raw_path[4096];
    dr_cache *c;
    int raw_fd, raw_index_fd;
    uint8_t *record, *source;
    size_t n_record, n_source;
    int64_t n_records;
} bench;

static dr_key key_of(int64_t i)
{
    return dr_sha256(&i, sizeof i);
}

/* Bytes that no two records share and that do not compress. */
static void fill(uint8_t *p, size_t n, uint64_t seed)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        z ^= z << 13;
        z ^= z >> 7;
        z ^= z << 17;
        dr_store_u64(p + i, z);
    }
}

static double per_second(double n, uint64_t us)
{
    return us ? n / ((double)us * 1e-6) : 0;
}

static dr_status open_cache(bench *b, dr_error *err)
{
    const dr_cache_options o = {.kv_max_bytes = b->out->n_bytes + b->out->n_bytes / 4 + ((int64_t)64 << 20), .kv_day_bytes = INT64_MAX};
    return dr_cache_open(&b->c, b->path, &o, err);
}

static dr_status write_all(bench *b, dr_error *err)
{
    uint64_t store_us = 0, raw_us = 0;
    const double total = (double)b->n_records * (double)b->n_record;
    dr_status st;

    for (int64_t i = 0; i < b->n_records; i++) {
        dr_kv_label label = {.key = key_of(i), .n_tokens = (i + 1) * DR_CHAIN_BLOCK_TOKENS, .compute_us = 1000000};
        if (i > 0)
            label.parent = key_of(i - 1);
        fill(b->record, b->n_record, (uint64_t)i + 1);
        uint64_t t = dr_clock_us();
        if ((st = dr_kv_store_put(b->c, NULL, &label, b->record, b->n_record, err)) != DR_OK)
            return st;
        store_us += dr_clock_us() - t;
        t = dr_clock_us();
        for (size_t at = 0; at < b->n_record;) {
            const ssize_t n = write(b->raw_fd, b->record + at, b->n_record - at);
            if (n <= 0)
                return dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno));
            at += (size_t)n;
        }
        if (fdatasync(b->raw_fd) < 0)
            return dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno));
        raw_us += dr_clock_us() - t;
    }
    b->out->write_mb_s = per_second(total, store_us) * 1e-6;
    b->out->raw_write_mb_s = per_second(total, raw_us) * 1e-6;
    return DR_OK;
}

static dr_status read_all(bench *b, dr_error *err)
{
    dr_status st = DR_OK;
    for (int64_t i = 0; st == DR_OK && i < b->n_records; i++) {
        const dr_key key = key_of(i);
        st = dr_kv_store_get(b->c, (dr_span){b->record, b->n_record}, DR_KV_BLOCK, &key, err);
    }
    return st == DR_ERR_NOT_FOUND ? dr_fail(err, st, "cache: a record of the bench is gone") : st;
}

/* Records as long as these are read past the page cache when they are not in it, so reading them does not bring them there. */
static dr_status fill_page_cache(bench *b, dr_error *err)
{
    const int fd = openat(b->folder.fd, "cache/kv/data.mdb", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0)
        n = read(fd, b->record, b->n_record);
    const dr_status st = n < 0 ? dr_fail(err, DR_ERR_IO, "%s: %s", b->path, strerror(errno)) : DR_OK;
    if (fd >= 0)
        (void)close(fd);
    return st;
}

static dr_status warm(bench *b, dr_error *err)
{
    const double total = (double)b->n_records * (double)b->n_record;
    dr_status st = fill_page_cache(b, err);

    if (st != DR_OK)
        return st;
    for (int pass = 0; pass < PASSES; pass++) {
        uint64_t t = dr_cpu_us();
        for (int64_t i = 0; i < b->n_records; i++) {
            const size_t at = ((size_t)i * b->n_record) % (b->n_source - b->n_record + 1);
            memcpy(b->record, b->source + at, b->n_record);
            __asm__ volatile("" : : "r"(b->record) : "memory");
        }
        const double copied = per_second(total, dr_cpu_us() - t) * 1e-9;
        t = dr_cpu_us();
        if ((st = read_all(b, err)) != DR_OK)
            return st;
        const double restored = per_second(total, dr_cpu_us() - t) * 1e-9;
        b->out->memcpy_gb_s = copied > b->out->memcpy_gb_s ? copied : b->out->memcpy_gb_s;
        b->out->warm_gb_s = restored > b->out->warm_gb_s ? restored : b->out->warm_gb_s;
    }
    return DR_OK;
}

/* Drops a file's pages from the page cache; false where that does not work (a file system in memory). */
static bool drop_pages(int fd)
{
    const off_t n = lseek(fd, 0, SEEK_END);
    size_t resident = 0;
    const size_t page = 4096;

    if (n <= 0 || fdatasync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        return false;
    const size_t n_pages = ((size_t)n + page - 1) / page;
    void *map = mmap(NULL, (size_t)n, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return false;
    uint8_t *in_core = malloc(n_pages);
    if (in_core && mincore(map, (size_t)n, in_core) == 0)
        for (size_t i = 0; i < n_pages; i++)
            resident += in_core[i] & 1;
    else
        resident = n_pages;
    free(in_core);
    (void)munmap(map, (size_t)n);
    return resident < n_pages / 20 + 1;
}

static dr_status read_raw(bench *b, dr_error *err)
{
    ssize_t n = 1;
    if (lseek(b->raw_fd, 0, SEEK_SET) < 0)
        n = -1;
    while (n > 0)
        n = read(b->raw_fd, b->record, b->n_record);
    return n < 0 ? dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno)) : DR_OK;
}

/* Both from the disk, which of them first changes: a disk that is lent out lets the first GiB through faster than the next. */
static dr_status cold(bench *b, dr_error *err)
{
    const double total = (double)b->n_records * (double)b->n_record;
    double *const best[2] = {&b->out->cold_gb_s, &b->out->raw_cold_gb_s};
    dr_status st = DR_OK;

    for (int pass = 0; pass < 2 * PASSES && st == DR_OK; pass++) {
        const bool raw = (pass + 1) / 2 % 2 != 0; /* store, raw, raw, store, store, raw */
        dr_cache_close(b->c); /* mapped pages would stay */
        b->c = NULL;
        const int fd = openat(b->folder.fd, "cache/kv/data.mdb", O_RDONLY | O_CLOEXEC);
        const bool possible = fd >= 0 && drop_pages(fd) && drop_pages(b->raw_fd);
        if (fd >= 0)
            (void)close(fd);
        if ((st = open_cache(b, err)) != DR_OK || !possible)
            return st;
        uint64_t t = dr_clock_us();
        st = raw ? read_raw(b, err) : read_all(b, err);
        t = dr_clock_us() - t;
        *best[raw] = per_second(total, t) * 1e-9 > *best[raw] ? per_second(total, t) * 1e-9 : *best[raw];
        dr_log("cache", "bench: %s, page cache dropped: %.2f GB/s", raw ? "plain reads" : "restore", per_second(total, t) * 1e-9);
    }
    return st;
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static dr_status lookups(bench *b, dr_error *err)
{
    dr_kv_item *items = calloc(INDEX_BATCH, sizeof *items);
    dr_kv_label *labels = calloc(INDEX_BATCH, sizeof *labels);
    dr_status st = DR_OK;
    uint64_t total = 0, worst = 0;

    if (!items || !labels) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    for (int64_t i = b->n_records; st == DR_OK && i < b->out->n_index;) {
        size_t n = 0;
        for (; n < INDEX_BATCH && i < b->out->n_index; n++, i++) {
            labels[n] = (dr_kv_label){.key = key_of(i), .parent = key_of(i - 1), .n_tokens = i};
            items[n] = (dr_kv_item){.label = &labels[n]};
        }
        st = dr_kv_put__many(b->c, items, n, err);
    }
    for (int64_t k = 0; st == DR_OK && k < N_LOOKUPS; k++) {
        const dr_key key = key_of((k * 7919) % b->out->n_index);
        const uint64_t t = now_ns();
        st = dr_kv_store_find(b->c, NULL, DR_KV_BLOCK, &key, err);
        const uint64_t took = now_ns() - t;
        total += took;
        worst = took > worst ? took : worst;
    }
    b->out->find_us_mean = (double)total / N_LOOKUPS * 1e-3;
    b->out->find_us_max = (double)worst * 1e-3;
done:
    free(items);
    free(labels);
    return st;
}

static int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static dr_status raw_sync(const bench *b, int fd, uint64_t *worst, dr_error *err)
{
    uint64_t t = dr_clock_us();
    if (fdatasync(fd) < 0)
        return dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno));
    t = dr_clock_us() - t;
    *worst = t > *worst ? t : *worst;
    return DR_OK;
}

/* What the store has to do at least: a record into a plain file, where the oldest one is, and a few pages into another, each synced. */
static dr_status raw_over(const bench *b, int64_t i, int64_t n_fit, uint64_t *worst_sync, dr_error *err)
{
    const size_t n_index = b->n_record < RAW_INDEX ? b->n_record : RAW_INDEX;
    dr_status st;

    for (size_t done = 0; done < b->n_record;) {
        const off_t at = (off_t)(i % n_fit * (int64_t)b->n_record) + (off_t)done;
        const ssize_t n = pwrite(b->raw_fd, b->record + done, b->n_record - done, at);
        if (n <= 0)
            return dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno));
        done += (size_t)n;
    }
    if ((st = raw_sync(b, b->raw_fd, worst_sync, err)) != DR_OK)
        return st;
    if (pwrite(b->raw_index_fd, b->record, n_index, (off_t)(i % n_fit) * RAW_INDEX) != (ssize_t)n_index)
        return dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno));
    return raw_sync(b, b->raw_index_fd, worst_sync, err);
}

/* By turns, so that a neighbour on the disk slows both. Three records in four belong to chains of up to eight, the rest stand alone. */
static dr_status churn(bench *b, dr_error *err)
{
    enum { TIMES = 20, CHAIN = 8 };
    dr_cache_bench *o = b->out;
    const dr_cache_options how = {.kv_max_bytes = o->churn_budget, .kv_day_bytes = INT64_MAX};
    const int64_t n = TIMES * o->churn_budget / (int64_t)b->n_record, n_fit = o->churn_budget / (int64_t)b->n_record;
    uint64_t *took = calloc((size_t)n + 1, sizeof *took), *raw_took = calloc((size_t)n + 1, sizeof *raw_took);
    uint64_t raw_us = 0, worst_sync = 0, store_us = 0;
    struct stat sb;
    dr_status st = DR_OK;
    dr_key parent = {{0}};
    int64_t depth = 0, n_stored = n;

    if (!took || !raw_took) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    dr_cache_close(b->c);
    b->c = NULL;
    if ((st = dr_folder__delete(&b->folder, "cache", err)) != DR_OK || (st = dr_cache_open(&b->c, b->path, &how, err)) != DR_OK)
        goto done;
    if (ftruncate(b->raw_fd, 0) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", b->raw_path, strerror(errno));
        goto done;
    }
    for (int64_t i = 0; i < n; i++) {
        dr_kv_label label = {.key = key_of(i), .compute_us = (uint64_t)(1 + i * 7919 % 1000) * 1000};
        depth = i % CHAIN < CHAIN * 3 / 4 && i % CHAIN > 0 ? depth + 1 : 1;
        if (depth > 1)
            label.parent = parent;
        label.n_tokens = depth * DR_CHAIN_BLOCK_TOKENS;
        fill(b->record, b->n_record, (uint64_t)i + 1);
        if (i == n_fit) { /* full: from here on it is churn */
            atomic_store(&b->c->kv.longest_us, 0);
            atomic_store(&b->c->facts.longest_us, 0);
        }
        uint64_t t = dr_clock_us();
        st = dr_kv_store_put(b->c, NULL, &label, b->record, b->n_record, err);
        took[i] = dr_clock_us() - t;
        if (st == DR_ERR_LIMIT) { /* its chain's beginning has been evicted */
            depth = 0;
            n_stored--;
            st = DR_OK;
        }
        if (st != DR_OK)
            goto done;
        parent = label.key;
        store_us += took[i];
        t = dr_clock_us();
        if ((st = raw_over(b, i, n_fit, &worst_sync, err)) != DR_OK)
            goto done;
        raw_took[i] = dr_clock_us() - t;
        raw_us += raw_took[i];
    }
    qsort(took, (size_t)n, sizeof *took, by_time);
    qsort(raw_took, (size_t)n, sizeof *raw_took, by_time);
    o->churn_bytes = n * (int64_t)b->n_record;
    o->churn_mb_s = per_second((double)(n_stored * (int64_t)b->n_record), store_us) * 1e-6;
    o->churn_raw_mb_s = per_second((double)o->churn_bytes, raw_us) * 1e-6;
    o->churn_worst_ms = (double)took[n - 1] * 1e-3;
    o->churn_p99_ms = (double)took[n - 1 - n / 100] * 1e-3;
    o->churn_p50_ms = (double)took[n / 2] * 1e-3;
    o->churn_raw_worst_ms = (double)raw_took[n - 1] * 1e-3;
    o->churn_raw_p99_ms = (double)raw_took[n - 1 - n / 100] * 1e-3;
    o->churn_raw_p50_ms = (double)raw_took[n / 2] * 1e-3;
    o->churn_sync_worst_ms = (double)worst_sync * 1e-3;
    const uint64_t kv_us = atomic_load(&b->c->kv.longest_us), facts_us = atomic_load(&b->c->facts.longest_us);
    o->churn_txn_worst_ms = (double)(kv_us > facts_us ? kv_us : facts_us) * 1e-3;
    if (fstatat(b->folder.fd, "cache/kv/data.mdb", &sb, 0) == 0)
        o->churn_file_part = (double)sb.st_size / (double)o->churn_budget;
done:
    free(took);
    free(raw_took);
    return st;
}

dr_status dr_cache_bench_run(dr_cache_bench *out, const char *folder, int64_t n_bytes, int64_t record_bytes, int64_t n_index,
                             int64_t churn_budget, dr_error *err)
{
    dr_status st = DR_OK;
    char path[3000];
    bench b = {.out = out, .raw_fd = -1, .raw_index_fd = -1, .folder = {.fd = -1, .lock_fd = -1}};

    if (record_bytes < 1 || n_bytes < record_bytes || n_index < 1 || (churn_budget && churn_budget < 4 * record_bytes))
        return dr_fail(err, DR_ERR_ARG, "cache: a bench of %lld bytes in records of %lld", (long long)n_bytes,
                       (long long)record_bytes);
    b.n_record = (size_t)record_bytes;
    b.n_records = n_bytes / record_bytes;
    *out = (dr_cache_bench){.n_bytes = b.n_records * record_bytes, .record_bytes = record_bytes, .churn_budget = churn_budget};
    out->n_index = n_index > b.n_records ? n_index : b.n_records;
    if ((size_t)snprintf(path, sizeof path, "%s/bench-%ld", folder, (long)getpid()) >= sizeof path)
        return dr_fail(err, DR_ERR_ARG, "%s: name too long", folder);
    (void)snprintf(b.path, sizeof b.path, "%s/cache", path);
    (void)snprintf(b.raw_path, sizeof b.raw_path, "%s/raw", path);
    b.n_source = SOURCE_BYTES < (size_t)out->n_bytes ? SOURCE_BYTES : (size_t)out->n_bytes;
    b.n_source = b.n_source < b.n_record ? b.n_record : b.n_source;

    if ((st = dr_folder__open(&b.folder, path, false, err)) != DR_OK || (st = open_cache(&b, err)) != DR_OK)
        goto done;
    if ((b.raw_fd = openat(b.folder.fd, "raw", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0 ||
        (b.raw_index_fd = openat(b.folder.fd, "raw-index", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", b.raw_path, strerror(errno));
        goto done;
    }
    b.record = malloc(b.n_record);
    b.source = malloc(b.n_source);
    if (!b.record || !b.source) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    if ((st = write_all(&b, err)) != DR_OK || (st = cold(&b, err)) != DR_OK)
        goto done;
    fill(b.source, b.n_source, 1);
    if ((st = warm(&b, err)) == DR_OK && (st = lookups(&b, err)) == DR_OK && churn_budget)
        st = churn(&b, err);
done:
    dr_cache_close(b.c);
    if (b.raw_fd >= 0)
        (void)close(b.raw_fd);
    if (b.raw_index_fd >= 0)
        (void)close(b.raw_index_fd);
    if (b.folder.fd >= 0) {
        (void)dr_folder__delete(&b.folder, "cache", NULL);
        (void)dr_folder__delete(&b.folder, "raw", NULL);
        (void)dr_folder__delete(&b.folder, "raw-index", NULL);
        (void)dr_folder__delete(&b.folder, "open.lock", NULL);
    }
    dr_folder__close(&b.folder);
    (void)rmdir(path);
    free(b.record);
    free(b.source);
    return st;
}
