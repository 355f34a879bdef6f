/* The power fails. Of what was written to the two databases and not synced, each page is on the disk as it was at some moment since its last
 * sync, whichever; what was synced is there. Afterwards the trees are whole, no byte is wrong, and a record that was stored and not
 * dropped is there unless its own commit was the last.
 *
 *   test_cache_power [ROUNDS]
 *
 * The program's own pwrite, pwritev, writev and fdatasync stand in front of the C library's and keep account. */
#include "tests/cache/support.h"

#include "cache/facts.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

enum { PAGE = 4096, N_FILES = 2, N_RECORDS = 60 };
static const char *const names[N_FILES] = {"kv/data.mdb", "facts/data.mdb"};
static int rounds = 40;
static uint64_t seed = 20260712;

typedef struct change {
    off_t at;
    size_t n;
    uint8_t *data;
} change;

/* One file: what is on the disk for sure, and what may be. */
typedef struct image {
    ino_t ino;
    uint8_t *sure;
    size_t n;
    change *pending;
    size_t n_pending, cap;
} image;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static image images[N_FILES];
static bool recording;
static long calls_left; /* until the power fails */

static image *image_of(int fd)
{
    struct stat sb;
    if (!recording || fstat(fd, &sb) < 0)
        return NULL;
    for (int i = 0; i < N_FILES; i++)
        if (images[i].ino == sb.st_ino)
            return &images[i];
    return NULL;
}

/* Grows with zeros, as files do. */
static void image_put(image *m, off_t at, const uint8_t *p, size_t n)
{
    const size_t end = (size_t)at + n;
    if (end > m->n) {
        m->sure = realloc(m->sure, end);
        assert_non_null(m->sure);
        memset(m->sure + m->n, 0, end - m->n);
        m->n = end;
    }
    memcpy(m->sure + at, p, n);
}

static void wrote(int fd, off_t at, const void *p, size_t n)
{
    (void)pthread_mutex_lock(&lock);
    image *m = image_of(fd);
    if (m && calls_left-- > 0) {
        if (m->n_pending == m->cap) {
            m->cap = m->cap ? 2 * m->cap : 64;
            m->pending = realloc(m->pending, m->cap * sizeof *m->pending);
            assert_non_null(m->pending);
        }
        uint8_t *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, p, n);
        m->pending[m->n_pending++] = (change){at, n, copy};
    }
    (void)pthread_mutex_unlock(&lock);
}

static void forget_pending(image *m)
{
    for (size_t i = 0; i < m->n_pending; i++)
        free(m->pending[i].data);
    m->n_pending = 0;
}

VISIBLE ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    const ssize_t done = syscall(SYS_pwrite64, fd, p, n, at);
    if (done > 0)
        wrote(fd, at, p, (size_t)done);
    return done;
}

VISIBLE ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    const ssize_t done = syscall(SYS_pwritev, fd, v, n, at, 0);
    size_t left = done > 0 ? (size_t)done : 0;
    for (int i = 0; i < n && left > 0; i++) {
        const size_t part = left < v[i].iov_len ? left : v[i].iov_len;
        wrote(fd, at, v[i].iov_base, part);
        at += (off_t)part;
        left -= part;
    }
    return done;
}

VISIBLE ssize_t writev(int fd, const struct iovec *v, int n)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    const ssize_t done = syscall(SYS_writev, fd, v, n);
    size_t left = done > 0 && at >= 0 ? (size_t)done : 0;
    for (int i = 0; i < n && left > 0; i++) {
        const size_t part = left < v[i].iov_len ? left : v[i].iov_len;
        wrote(fd, at, v[i].iov_base, part);
        at += (off_t)part;
        left -= part;
    }
    return done;
}

VISIBLE int fdatasync(int fd)
{
    (void)pthread_mutex_lock(&lock);
    image *m = image_of(fd);
    if (m && calls_left-- > 0) {
        for (size_t i = 0; i < m->n_pending; i++)
            image_put(m, m->pending[i].at, m->pending[i].data, m->pending[i].n);
        forget_pending(m);
    }
    (void)pthread_mutex_unlock(&lock);
    return (int)syscall(SYS_fdatasync, fd);
}

static uint8_t *read_whole(const char *path, size_t *n)
{
    struct stat sb;
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &sb) == 0);
    uint8_t *p = malloc((size_t)sb.st_size + 1);
    assert_non_null(p);
    assert_int_equal(read(fd, p, (size_t)sb.st_size), sb.st_size);
    (void)close(fd);
    *n = (size_t)sb.st_size;
    return p;
}

static void write_whole(const char *path, const uint8_t *p, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    for (size_t at = 0; at < n;) {
        const ssize_t done = syscall(SYS_write, fd, p + at, n - at);
        assert_true(done > 0);
        at += (size_t)done;
    }
    (void)close(fd);
}

static void begin_recording(long n_calls)
{
    for (int i = 0; i < N_FILES; i++) {
        char path[64];
        struct stat sb;
        (void)snprintf(path, sizeof path, "c/%s", names[i]);
        assert_int_equal(stat(scratch_path(path), &sb), 0);
        images[i] = (image){.ino = sb.st_ino};
        images[i].sure = read_whole(scratch_path(path), &images[i].n);
    }
    calls_left = n_calls;
    recording = true;
}

/* Of the pending changes of a page, a random number of the first ones reached the disk. */
static void fail_power(void)
{
    char path[64];
    size_t n;

    recording = false;
    assert_int_equal(mkdir(scratch_path("after"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("after/kv"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("after/facts"), 0700), 0);
    uint8_t *version = read_whole(scratch_path("c/version"), &n);
    write_whole(scratch_path("after/version"), version, n);
    free(version);
    for (int i = 0; i < N_FILES; i++) {
        image *m = &images[i];
        const uint64_t salt = random_next(&seed);
        for (size_t k = 0; k < m->n_pending; k++) {
            const change *x = &m->pending[k];
            for (size_t done = 0; done < x->n;) {
                const uint64_t page = ((uint64_t)x->at + done) / PAGE;
                const size_t to_end = PAGE - ((size_t)x->at + done) % PAGE, part = to_end < x->n - done ? to_end : x->n - done;
                uint64_t s = salt ^ page;
                if (random_next(&s) % (m->n_pending + 1) > k)
                    image_put(m, x->at + (off_t)done, x->data + done, part);
                done += part;
            }
        }
        (void)snprintf(path, sizeof path, "after/%s", names[i]);
        write_whole(scratch_path(path), m->sure, m->n);
        forget_pending(m);
        free(m->pending);
        free(m->sure);
    }
}

static size_t size_of(uint64_t i)
{
    return (size_t)(i * 104729 % (4 * SLAB));
}

typedef enum fate { NEVER, STORED, DROPPED } fate;

/* Stores and drops until the power has failed; every record is put once. What happened after that never happened. */
static int live(dr_cache *c, fate *fates, bool evicts)
{
    const dr_blob_store *s = dr_cache_facts(c);
    int n = 0;

    for (uint64_t i = 1; i <= N_RECORDS && calls_left > 0; i++) {
        const dr_status st = put_number(c, DR_KV_BLOCK, i, 0, size_of(i), NULL);
        assert_int_equal(st, DR_OK);
        if (calls_left <= 0)
            break; /* in the middle of it */
        fates[i] = STORED;
        n++;
        const uint64_t victim = 1 + random_next(&seed) % i;
        const dr_key k = key_number(victim);
        if (!evicts && random_next(&seed) % 2 && fates[victim] == STORED) {
            fates[victim] = DROPPED; /* perhaps: the call may be cut */
            (void)dr_kv_store_drop(c, DR_KV_BLOCK, &k, NULL);
        }
        (void)s->put(s->self, (dr_cspan){k.b, sizeof k.b}, (dr_cspan){k.b, sizeof k.b}, NULL);
        if (random_next(&seed) % 4 == 0)
            (void)dr_cache_flush(c, NULL);
    }
    return n;
}

static void power__leaves_whole_trees_and_right_bytes(void **state)
{
    int n_cut = 0, n_kept = 0, n_old = 0;
    (void)state;
    for (int r = 0; r < rounds; r++) {
        const bool evicts = r % 2;
        const dr_cache_options o = {.kv_max_bytes = (evicts ? 30 : 400) * (int64_t)(SLAB + 16)};
        fate fates[N_RECORDS + 1] = {NEVER};
        dr_error err = {0};
        dr_cache *c = NULL;
        dr_cache_report report;
        int n_missing = 0;

        (void)scratch_new();
        assert_int_equal(dr_cache_open(&c, scratch_path("c"), &o, &err), DR_OK);
        begin_recording((long)(1 + random_next(&seed) % 900));
        const int n = live(c, fates, evicts);
        n_cut += calls_left <= 0;
        fail_power();
        dr_cache_close(c);

        if (dr_cache_open(&c, scratch_path("after"), &o, &err) != DR_OK)
            fail_msg("round %d: %s", r, err.msg);
        if (dr_cache_note(c)[0])
            fail_msg("round %d: %s", r, dr_cache_note(c));
        for (uint64_t i = 1; i <= N_RECORDS; i++) {
            const dr_status st = get_number(c, DR_KV_BLOCK, i, size_of(i));
            n_kept += st == DR_OK;
            n_old += st == DR_ERR_FORMAT; /* its drop was the last commit, and its slabs were in use again */
            if (st == DR_OK || evicts)
                continue;
            if (st == DR_ERR_FORMAT && fates[i] != DROPPED)
                fail_msg("round %d: record %d of %d has lost its bytes", r, (int)i, n);
            n_missing += fates[i] == STORED;
        }
        assert_true(n_missing <= 1); /* the last one */
        assert_int_equal(dr_cache_verify(c, &report, NULL, NULL, NULL, &err), DR_OK);
        assert_clean(c);
        for (uint64_t i = 1; i <= N_RECORDS; i++)
            assert_int_equal(put_number(c, DR_KV_BLOCK, i, 0, size_of(i), &err), DR_OK);
        assert_clean(c);
        dr_cache_close(c);
        scratch_free();
    }
    print_message("%d rounds, the power failed in %d of them: %d records kept, %d of an older commit recognized\n", rounds, n_cut, n_kept, n_old);
    assert_true(n_kept > 0 && 2 * n_cut > rounds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(power__leaves_whole_trees_and_right_bytes)};
    if (argc > 1)
        rounds = atoi(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
