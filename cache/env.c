#include "cache/env.h"

#include "base/bytes.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_READERS = 512,
    DIR_PATH = 4096,
    TURN_WAIT_MS = 10000,
    TURN_STUCK_MS = 100,
    TURN_STEP_MS = 1,
    /* The fields of a meta page that are looked at, format 1, 64-bit. */
    META_BYTES = 152,
    META_FLAGS = 10,
    META_MAGIC = 16,
    META_VERSION = 20,
    META_PAGE_BYTES = 40, /* first word of the free list's MDB_db */
    META_LAST_PAGE = 136,
    META_TXN = 144,
    P_META_FLAG = 0x08
};
static const uint32_t MAGIC = 0xBEEFC0DE;
/* Bytes of data.mdb, far behind its end, that stand for the turn and for the place of the one who is next. LMDB locks lock.mdb alone. */
static const off_t TURN = (off_t)1 << 61, NEXT = ((off_t)1 << 61) + 1;
/* Pages that were allocated and freed again in one transaction are never written, so a file may be a little shorter than its last
 * page says; one that lacks more than this was cut. */
static const uint64_t MAX_LACK = (uint64_t)64 << 20;

typedef struct meta {
    bool ok;
    uint64_t page_bytes, last_page;
} meta;

static meta meta_parse(const uint8_t *p)
{
    meta m = {false, dr_load_u32(p + META_PAGE_BYTES), dr_load_u64(p + META_LAST_PAGE)};
    const bool power_of_two = m.page_bytes && !(m.page_bytes & (m.page_bytes - 1));
    m.ok = (p[META_FLAGS] & P_META_FLAG) && dr_load_u32(p + META_MAGIC) == MAGIC && dr_load_u32(p + META_VERSION) == 1 &&
           power_of_two && m.page_bytes >= 512 && m.page_bytes <= 65536 && m.last_page < UINT64_MAX / 2 / m.page_bytes;
    return m;
}

dr_status dr_env__inspect(const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    char file[DIR_PATH];
    uint8_t buf[META_BYTES];
    struct stat sb;
    uint64_t need = 0;
    int fd = -1;

    if ((size_t)snprintf(file, sizeof file, "%s/data.mdb", path) >= sizeof file)
        return dr_fail(err, DR_ERR_ARG, "%s: name too long", path);
    if ((fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0) {
        if (errno != ENOENT)
            st = dr_fail(err, DR_ERR_IO, "%s: %s", file, strerror(errno));
        goto done;
    }
    if (fstat(fd, &sb) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", file, strerror(errno));
        goto done;
    }
    if (sb.st_size == 0)
        goto done;

    meta m[2] = {{false, 0, 0}, {false, 0, 0}};
    if (pread(fd, buf, sizeof buf, 0) == (ssize_t)sizeof buf)
        m[0] = meta_parse(buf);
    if (m[0].ok && pread(fd, buf, sizeof buf, (off_t)m[0].page_bytes) == (ssize_t)sizeof buf)
        m[1] = meta_parse(buf);
    if (!m[0].ok || !m[1].ok || m[0].page_bytes != m[1].page_bytes) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: its first pages are damaged", file);
        goto done;
    }
    for (int i = 0; i < 2; i++)
        need = (m[i].last_page + 1) * m[i].page_bytes > need ? (m[i].last_page + 1) * m[i].page_bytes : need;
    if (need > (uint64_t)sb.st_size + MAX_LACK)
        st = dr_fail(err, DR_ERR_FORMAT, "%s: %lld bytes long, should be %llu", file, (long long)sb.st_size,
                     (unsigned long long)need);
done:
    if (fd >= 0)
        (void)close(fd);
    return st;
}

dr_status dr_env__status(dr_env *e, int rc, const char *what, dr_error *err)
{
    switch (rc) {
    case DR_OK:
        return DR_OK;
    case MDB_NOTFOUND:
        return DR_ERR_NOT_FOUND;
    case ENOMEM:
        return dr_fail(err, DR_ERR_NOMEM, "%s: %s: out of memory", e->path, what);
    case MDB_READERS_FULL:
        return dr_fail(err, DR_ERR_AGAIN, "%s: %s: too many readers at once", e->path, what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        atomic_store(&e->damaged, true);
        return dr_fail(err, DR_ERR_FORMAT, "%s: %s: damaged (%s)", e->path, what, mdb_strerror(rc));
    default:
        if (rc < 0 && rc >= DR_ERR_AGAIN)
            return (dr_status)rc; /* ours, said already */
        return dr_fail(err, DR_ERR_IO, "%s: %s: %s", e->path, what, mdb_strerror(rc));
    }
}

static dr_status check(dr_env *e, dr_error *err)
{
    dr_status st = DR_ERR_AGAIN;
    for (int tries = 0; st == DR_ERR_AGAIN && tries < 10; tries++) {
        MDB_txn *txn = NULL;
        const int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
        if (rc == MDB_MAP_RESIZED && mdb_env_set_mapsize(e->env, 0) == 0)
            continue;
        if (rc != 0)
            return dr_env__status(e, rc, "opening", err);
        st = dr_env__check_trees(e, txn, err);
        mdb_txn_abort(txn);
    }
    return st == DR_ERR_AGAIN ? dr_fail(err, st, "%s: is being written too fast to be checked", e->path) : st;
}

dr_status dr_env__open(dr_env *e, const char *path, unsigned max_dbs, size_t map_bytes, bool read_only, dr_error *err)
{
    MDB_stat ms;
    int rc;

    atomic_init(&e->damaged, false);
    atomic_init(&e->longest_us, 0);
    atomic_init(&e->map_begin, 0);
    atomic_init(&e->map_end, 0);
    e->read_only = read_only;
    e->turn_wait_ms = TURN_WAIT_MS;
    if (!(e->path = strdup(path)) || pthread_rwlock_init(&e->map_lock, NULL) != 0)
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
    (void)pthread_mutex_init(&e->turn_lock, NULL);
    e->has_lock = true;
    if ((rc = mdb_env_create(&e->env)) != 0)
        return dr_env__status(e, rc, "opening", err);
    /* NOMETASYNC: a power cut may lose the last commit but cannot break the file, which suits what can be made again. Never
     * WRITEMAP: a full disk would be a SIGBUS. NOTLS: a read transaction belongs to its caller, not to its thread. */
    const unsigned flags = MDB_NOTLS | MDB_NOMETASYNC | (read_only ? MDB_RDONLY : 0);
    if ((rc = mdb_env_set_maxdbs(e->env, max_dbs)) != 0 || (rc = mdb_env_set_maxreaders(e->env, MAX_READERS)) != 0 ||
        (rc = mdb_env_set_mapsize(e->env, map_bytes)) != 0 || (rc = mdb_env_open(e->env, path, flags, 0600)) != 0 ||
        (rc = mdb_env_stat(e->env, &ms)) != 0 || (rc = mdb_env_get_fd(e->env, &e->fd)) != 0)
        return dr_env__status(e, rc, "opening", err);
    (void)fcntl(e->fd, F_SETFD, FD_CLOEXEC); /* LMDB leaves it to commands that the program starts */
    e->page_bytes = ms.ms_psize;
    dr_env__clear_dead_readers(e);
    return check(e, err);
}

void dr_env__close(dr_env *e)
{
    if (e->env)
        mdb_env_close(e->env);
    if (e->has_lock) {
        (void)pthread_rwlock_destroy(&e->map_lock);
        (void)pthread_mutex_destroy(&e->turn_lock);
    }
    free(e->path);
    *e = (dr_env){0};
}

void dr_env__clear_dead_readers(dr_env *e)
{
    int n_dead = 0;
    if (mdb_reader_check(e->env, &n_dead) == 0 && n_dead > 0)
        dr_log("cache", "%s: cleared %d readers that had died", e->path, n_dead);
}

static int older(const char *line, void *arg)
{
    uint64_t *oldest = arg;
    unsigned long long txn;
    /* A heading, then a line for each slot: pid, thread, transaction or "-". */
    if (sscanf(line, "%*d %*x %llu", &txn) == 1 && txn < *oldest)
        *oldest = txn;
    return 0;
}

uint64_t dr_env__oldest_reader(dr_env *e)
{
    uint64_t oldest = UINT64_MAX / 2;
    (void)mdb_reader_list(e->env, older, &oldest);
    return oldest;
}

/* Takes the size another process gave the map (bytes == 0) or doubles it, unless a thread of ours was quicker. */
static int resize(dr_env *e, bool doubled, size_t seen)
{
    MDB_envinfo info;
    int rc = 0;

    (void)pthread_rwlock_wrlock(&e->map_lock);
    atomic_store(&e->map_begin, 0);
    if (!doubled)
        rc = mdb_env_set_mapsize(e->env, 0);
    else if ((rc = mdb_env_info(e->env, &info)) == 0 && info.me_mapsize == seen) {
        rc = seen > SIZE_MAX / 4 ? ENOMEM : mdb_env_set_mapsize(e->env, seen * 2);
        dr_log("cache", "%s: map grown from %zu MiB", e->path, seen >> 20);
    }
    (void)pthread_rwlock_unlock(&e->map_lock);
    return rc;
}

/* Begins a transaction; on success map_lock is held shared. */
static int begin(dr_env *e, unsigned flags, MDB_txn **txn)
{
    bool cleared = false;
    for (int tries = 0;; tries++) {
        (void)pthread_rwlock_rdlock(&e->map_lock);
        int rc = mdb_txn_begin(e->env, NULL, flags, txn);
        if (rc == 0)
            return 0;
        (void)pthread_rwlock_unlock(&e->map_lock);
        if (rc == MDB_READERS_FULL && !cleared) {
            dr_env__clear_dead_readers(e);
            cleared = true;
        } else if (rc != MDB_MAP_RESIZED || tries > 8 || (rc = resize(e, false, 0)) != 0) {
            return rc;
        }
    }
}

dr_status dr_env__read(dr_env *e, MDB_txn **txn, dr_error *err)
{
    *txn = NULL;
    return dr_env__status(e, begin(e, MDB_RDONLY, txn), "reading", err);
}

void dr_env__read_end(dr_env *e, MDB_txn *txn)
{
    if (!txn)
        return;
    mdb_txn_abort(txn);
    (void)pthread_rwlock_unlock(&e->map_lock);
}

/* LMDB does not say where its map lies; the system does. */
static void find_map(dr_env *e, uintptr_t at)
{
    char line[256];
    FILE *f = fopen("/proc/self/maps", "re");

    while (f && fgets(line, sizeof line, f)) {
        char *rest;
        const uintptr_t begin = (uintptr_t)strtoull(line, &rest, 16), end = *rest == '-' ? (uintptr_t)strtoull(rest + 1, NULL, 16) : 0;
        if (begin <= at && at < end) {
            atomic_store(&e->map_end, end);
            atomic_store(&e->map_begin, begin); /* last: who sees it sees the end */
            break;
        }
    }
    if (f)
        (void)fclose(f);
}

bool dr_env__offset(dr_env *e, const void *at, uint64_t *offset)
{
    const uintptr_t here = (uintptr_t)at;

    if (!atomic_load(&e->map_begin))
        find_map(e, here);
    const uintptr_t begin = atomic_load(&e->map_begin), end = atomic_load(&e->map_end);
    if (!begin || begin > here || here >= end)
        return false;
    *offset = here - begin; /* LMDB maps a file in one piece, from its first byte */
    return true;
}

bool dr_env__is_cached(dr_env *e, uint64_t offset)
{
    unsigned char there = 1;

    (void)pthread_rwlock_rdlock(&e->map_lock);
    const uintptr_t begin = atomic_load(&e->map_begin), end = atomic_load(&e->map_end);
    if (begin && offset < end - begin && mincore((void *)(begin + offset / e->page_bytes * e->page_bytes), 1, &there) < 0)
        there = 1;
    (void)pthread_rwlock_unlock(&e->map_lock);
    return there & 1;
}

bool dr_env__copy(dr_env *e, const void *at, void *head, size_t n_head, void *rest, size_t n_rest)
{
    uint64_t offset;

    /* Smaller ones lie in the leaf that the look-up has touched. */
    if (n_head + n_rest > e->page_bytes / 2 && dr_env__offset(e, at, &offset)) {
        const struct iovec to[2] = {{head, n_head}, {rest, n_rest}};
        return preadv(e->fd, to, 2, (off_t)offset) == (ssize_t)(n_head + n_rest);
    }
    memcpy(head, at, n_head);
    if (n_rest)
        memcpy(rest, (const uint8_t *)at + n_head, n_rest);
    return true;
}

static int set_lock(const dr_env *e, off_t at, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(e->fd, F_OFD_SETLK, &l);
}

/* until: on dr_clock_us; steps of sleep grow long on a busy machine. */
static dr_status wait_for(dr_env *e, off_t at, uint64_t until, dr_error *err)
{
    while (set_lock(e, at, F_WRLCK) < 0) {
        const struct timespec step = {0, TURN_STEP_MS * 1000000L};
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return dr_fail(err, DR_ERR_IO, "%s: %s", e->path, strerror(errno));
        if (dr_clock_us() >= until)
            return dr_fail(err, DR_ERR_AGAIN, "%s: another process has been writing for %d s; nothing is stored until it goes on", e->path,
                           TURN_WAIT_MS / 1000);
        (void)nanosleep(&step, NULL);
    }
    return DR_OK;
}

/* Who is next holds that place until it is his turn: one that writes without a pause is not always first to take it again. */
static dr_status take_turn(dr_env *e, dr_error *err)
{
    (void)pthread_mutex_lock(&e->turn_lock);
    const int most_ms = e->turn_stuck && e->turn_wait_ms > TURN_STUCK_MS ? TURN_STUCK_MS : e->turn_wait_ms;
    const uint64_t until = dr_clock_us() + (uint64_t)most_ms * 1000;
    dr_status st = wait_for(e, NEXT, until, err);
    if (st == DR_OK) {
        st = wait_for(e, TURN, until, err);
        (void)set_lock(e, NEXT, F_UNLCK);
    }
    e->turn_stuck = st == DR_ERR_AGAIN;
    if (st != DR_OK)
        (void)pthread_mutex_unlock(&e->turn_lock);
    return st;
}

static void end_turn(dr_env *e)
{
    (void)set_lock(e, TURN, F_UNLCK);
    (void)pthread_mutex_unlock(&e->turn_lock);
}

dr_status dr_env__update(dr_env *e, dr_env_fn *fn, void *arg, dr_error *err)
{
    dr_status st = take_turn(e, err);

    if (st != DR_OK)
        return st;
    for (;;) {
        MDB_txn *txn = NULL;
        MDB_envinfo info = {0};
        int rc = begin(e, 0, &txn);
        if (rc != 0) {
            st = dr_env__status(e, rc, "writing", err);
            break;
        }
        const uint64_t t = dr_clock_us();
        (void)mdb_env_info(e->env, &info);
        if ((rc = fn(txn, arg, err)) == 0)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
        const uint64_t took = dr_clock_us() - t;
        if (took > atomic_load(&e->longest_us)) /* two threads at once: either is near enough */
            atomic_store(&e->longest_us, took);
        (void)pthread_rwlock_unlock(&e->map_lock);
        if (rc != MDB_MAP_FULL) {
            st = dr_env__status(e, rc, "writing", err);
            break;
        }
        if ((rc = resize(e, true, info.me_mapsize)) != 0) {
            st = dr_env__status(e, rc, "growing the map", err);
            break;
        }
    }
    end_turn(e);
    return st;
}
