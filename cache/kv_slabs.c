#include "cache/kv_slabs.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    SLABS_PER_TXN = 32, /* new ones: 8 MiB of memory while it lasts */
    SLAB_STRIDE = DR_KV_SLAB_BYTES + DR_ENV_HEADER, /* in the file */
    SLABS_PER_READ = DR_DIRECT_BYTES / SLAB_STRIDE,
    /* Shorter runs are read through the page cache, where small models' records may well stay. Restored past it in requests of 1 MiB: 1.7 GB/s;
     * 1.75 MiB: 2.1; 7 MiB: 2.2. */
    LEAST_DIRECT = 8,
    CACHED_STEP = 8, /* slabs: one page stands for 2 MiB */
    MOST_PAGE = 64 << 10,
    LOCK_WAIT_MS = 10000,
    STUCK_WAIT_MS = 100,
    LOCK_STEP_MS = 1
};

/* until: on dr_clock_us; steps of sleep grow long on a busy machine. */
static dr_status wait_for(dr_cache *c, int fd, uint64_t until, dr_error *err)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        const struct timespec step = {0, LOCK_STEP_MS * 1000000L};
        if (errno != EWOULDBLOCK && errno != EINTR)
            return dr_fail(err, DR_ERR_IO, "%s: %s", c->kv.path, strerror(errno));
        if (dr_clock_us() >= until)
            return dr_fail(err, DR_ERR_AGAIN, "%s: another process has been writing for %d s; nothing is stored until it goes on", c->kv.path,
                           LOCK_WAIT_MS / 1000);
        (void)nanosleep(&step, NULL);
    }
    return DR_OK;
}

/* Who wants the slab lock, on kv's file, holds the one on facts' until he has it: a process that stores without a pause frees the slab lock for
 * microseconds only, and would always be first to take it again. */
dr_status dr_slabs__lock(dr_cache *c, dr_error *err)
{
    (void)pthread_mutex_lock(&c->slab_lock);
    /* Who has waited in vain once waits little from then on: a queue of records must not wait long for each of them. */
    const int most_ms = c->slab_lock_stuck ? STUCK_WAIT_MS : LOCK_WAIT_MS;
    const uint64_t until = dr_clock_us() + (uint64_t)most_ms * 1000;
    dr_status st = wait_for(c, c->facts.fd, until, err);
    if (st == DR_OK) {
        st = wait_for(c, c->kv.fd, until, err);
        (void)flock(c->facts.fd, LOCK_UN);
    }
    c->slab_lock_stuck = st == DR_ERR_AGAIN;
    if (st != DR_OK)
        (void)pthread_mutex_unlock(&c->slab_lock);
    return st;
}

void dr_slabs__unlock(dr_cache *c)
{
    (void)flock(c->kv.fd, LOCK_UN);
    (void)pthread_mutex_unlock(&c->slab_lock);
}

typedef struct slab_batch {
    dr_cache *c;
    const dr_slab_write *const *writes;
    size_t n;
} slab_batch;

static int write_new(MDB_txn *txn, void *arg, dr_error *err)
{
    const slab_batch *b = arg;

    (void)err;
    for (size_t i = 0; i < b->n; i++) {
        const dr_slab_write *w = b->writes[i];
        uint32_t id = w->id;
        MDB_val mk = {sizeof id, &id}, mv = {DR_KV_SLAB_BYTES, NULL};
        const int rc = mdb_put(txn, b->c->slabs, &mk, &mv, MDB_RESERVE | MDB_NOOVERWRITE);
        if (rc != 0)
            return rc == MDB_KEYEXIST ? MDB_CORRUPTED : rc;
        memcpy(mv.mv_data, w->data, w->n);
        memset((uint8_t *)mv.mv_data + w->n, 0, DR_KV_SLAB_BYTES - w->n);
    }
    return 0;
}

/* Where the slabs whose ids stand in `at` lie in the file, in their stead; 0: nowhere yet. By the leaves alone: to touch a slab in the map would cost
 * a page fault, and upset what the kernel reads ahead. It holds after the transaction too, as a slab keeps its pages. */
static dr_status find_places(dr_cache *c, uint64_t *at, size_t n, dr_error *err)
{
    MDB_cursor *cur = NULL;
    MDB_txn *txn = NULL;
    dr_status st = dr_env__read(&c->kv, &txn, err);
    int rc;

    if (st != DR_OK)
        return st;
    rc = mdb_cursor_open(txn, c->slabs, &cur);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        uint32_t id = (uint32_t)at[i];
        MDB_val mk = {sizeof id, &id}, mv;
        at[i] = 0;
        if ((rc = mdb_cursor_get(cur, &mk, &mv, MDB_SET_KEY)) == 0)
            rc = mv.mv_size == DR_KV_SLAB_BYTES ? dr_env__place(&c->kv, &mk, &mv, &at[i]) : MDB_CORRUPTED;
        else if (rc == MDB_NOTFOUND)
            rc = 0;
    }
    if (cur)
        mdb_cursor_close(cur);
    dr_env__read_end(&c->kv, txn);
    return dr_env__status(&c->kv, rc, "looking for slabs", err);
}

/* From LMDB's header, which heals one that was damaged, to the end of the last page: no page has to be read for the sake of its rest. The disk
 * is told to begin at once: it works while the next slab is copied. */
static int write_in_place(const dr_env *e, const dr_slab_write *w, uint64_t at)
{
    static const uint8_t zeros[MOST_PAGE];
    enum { N = 3 };
    uint8_t header[DR_ENV_HEADER];
    const size_t tail = (sizeof header + w->n) % e->page_bytes, pad = tail ? e->page_bytes - tail : 0;
    struct iovec v[N] = {{header, sizeof header}, {(void *)(uintptr_t)w->data, w->n}, {(void *)(uintptr_t)zeros, pad}};
    const off_t begin = (off_t)(at - sizeof header);
    const size_t all = sizeof header + w->n + pad;

    dr_env__header(e, at, DR_KV_SLAB_BYTES, header);
    for (size_t done = 0; done < all;) {
        const ssize_t n = pwritev(e->fd, v, N, begin + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        done += (size_t)n;
        for (size_t k = 0, left = (size_t)n; k < N; k++) {
            const size_t part = left < v[k].iov_len ? left : v[k].iov_len;
            v[k].iov_base = (uint8_t *)v[k].iov_base + part;
            v[k].iov_len -= part;
            left -= part;
        }
    }
    (void)sync_file_range(e->fd, begin, (off_t)all, SYNC_FILE_RANGE_WRITE);
    return 0;
}

dr_status dr_slabs__write(dr_cache *c, dr_slab_write *writes, size_t n, dr_error *err)
{
    uint64_t *at = malloc(n ? n * sizeof *at : 1);
    const dr_slab_write **fresh = malloc(n ? n * sizeof(const dr_slab_write *) : 1);
    size_t n_fresh = 0;
    dr_status st = DR_OK;
    int rc = 0;

    if (!at || !fresh) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        at[i] = writes[i].id;
    if ((st = find_places(c, at, n, err)) != DR_OK)
        goto done;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (at[i])
            rc = dr_env__may_write(&c->kv, at[i]);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        /* While its bytes are near: they are read once more right away. */
        writes[i].sum = dr_xxh3_128(writes[i].data, writes[i].n);
        if (at[i])
            rc = write_in_place(&c->kv, &writes[i], at[i]);
        else
            fresh[n_fresh++] = &writes[i];
    }
    st = dr_env__status(&c->kv, rc, "writing slabs", err);
    for (size_t k = 0; st == DR_OK && k < n_fresh; k += SLABS_PER_TXN) {
        slab_batch b = {c, fresh + k, n_fresh - k < SLABS_PER_TXN ? n_fresh - k : SLABS_PER_TXN};
        st = dr_env__update(&c->kv, write_new, &b, err);
    }
    /* Of new ones the pages are synced, but not the meta page that leads to them. */
    if (st == DR_OK && n > 0 && fdatasync(c->kv.fd) < 0)
        st = dr_env__status(&c->kv, errno, "writing slabs", err);
done:
    free(at);
    free(fresh);
    return st;
}

/* Through the file and not the map: a page that the disk cannot read is then an error and not a SIGBUS. */
static int read_file(int fd, uint8_t *to, size_t n, uint64_t at)
{
    while (n > 0) {
        const ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 || errno == EINVAL ? MDB_NOTFOUND : errno;
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* Of n slabs, one behind the other from `at` on, some are not in the page cache, and reading them past it pays. */
static bool is_cold_run(dr_cache *c, uint64_t at, size_t n)
{
    bool cached = true;
    for (size_t i = 0; c->direct.fd >= 0 && n >= LEAST_DIRECT && i < n && cached; i += CACHED_STEP)
        cached = dr_env__is_cached(&c->kv, at + i * SLAB_STRIDE);
    return !cached;
}

/* The slabs first .. first + n of e, which lie one behind the other from `at` on. 0; MDB_NOTFOUND; or could not be read. */
static int copy_run(dr_cache *c, uint8_t *dst, uint8_t *scratch, const dr_entry *e, size_t first, size_t n, uint64_t at)
{
    const size_t begin = first * DR_KV_SLAB_BYTES;
    const size_t n_bytes = e->info.n_bytes - begin < n * DR_KV_SLAB_BYTES ? e->info.n_bytes - begin : n * DR_KV_SLAB_BYTES;
    const uint8_t *run = NULL;
    int rc = 0;

    if (is_cold_run(c, at, n))
        run = dr_direct__read(&c->direct, at - DR_ENV_HEADER, n_bytes + n * DR_ENV_HEADER);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const size_t done = i * DR_KV_SLAB_BYTES, part = n_bytes - done < DR_KV_SLAB_BYTES ? n_bytes - done : DR_KV_SLAB_BYTES;
        uint8_t *slab = dst ? dst + begin + done : scratch;
        if (run)
            memcpy(slab, run + DR_ENV_HEADER + i * SLAB_STRIDE, part);
        else if ((rc = read_file(c->kv.fd, slab, part, at + i * SLAB_STRIDE)) != 0)
            break;
        /* Of the copy, while it is still in the second-level cache. */
        const dr_checksum sum = dr_xxh3_128(slab, part), wanted = dr_slab_ref_load(e, (uint32_t)(first + i)).sum;
        if (sum.lo != wanted.lo || sum.hi != wanted.hi)
            rc = MDB_NOTFOUND;
    }
    if (run)
        dr_direct__done(&c->direct);
    return rc;
}

dr_status dr_slabs__read(dr_cache *c, uint8_t *dst, const dr_entry *e, dr_error *err)
{
    uint64_t *at = malloc(e->n_slabs ? e->n_slabs * sizeof *at : 1);
    uint8_t *scratch = dst ? NULL : malloc(DR_KV_SLAB_BYTES);
    dr_status st = DR_OK;
    int rc = 0;

    if (!at || (!dst && !scratch)) {
        st = dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < e->n_slabs; i++)
        at[i] = dr_slab_ref_load(e, i).id;
    if ((st = find_places(c, at, e->n_slabs, err)) != DR_OK)
        goto done;
    for (size_t i = 0, n; rc == 0 && i < e->n_slabs; i += n) {
        for (n = 1; n < SLABS_PER_READ && i + n < e->n_slabs && at[i + n] == at[i] + n * SLAB_STRIDE;)
            n++;
        rc = at[i] ? copy_run(c, dst, scratch, e, i, n, at[i]) : MDB_NOTFOUND;
    }
    st = dr_env__status(&c->kv, rc, "reading a record", err);
done:
    free(at);
    free(scratch);
    return st;
}
