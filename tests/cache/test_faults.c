/* What happens to machines: processes killed at any point, bits flipped, files cut, disks full, memory short. Afterwards a record is
 * right or missing, never wrong, and the cache goes on.
 *
 *   test_cache_faults [ROUNDS]    of each kind; more in the long suite */
#include "tests/cache/support.h"

#include "tests/support/alloc.h"
#include "base/bytes.h"
#include "cache/env.h"
#include "cache/facts.h"
#include "cache/kv_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, N_RECORDS = 24 };
static const int64_t BUDGET = 80 * (SLAB + 16), ROOMY = 2000 * (SLAB + 16), TIGHT = 24 * (SLAB + 16);
static int64_t busy_budget; /* of a busy life */
static int rounds = 24;
static uint64_t seed = 20260401;

static int setup(void **state)
{
    (void)state;
    (void)scratch_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free();
    return 0;
}

static size_t size_of(uint64_t i)
{
    return (size_t)(i * 104729 % (4 * SLAB));
}

/* Chains of four, each block with an anchor beside it. */
static uint64_t parent_of(uint64_t i)
{
    return i % 4 == 1 ? 0 : i - 1;
}

static dr_status fact(dr_cache *c, uint64_t i, bool put)
{
    const dr_blob_store *s = dr_cache_facts(c);
    const dr_key k = key_number(i);
    static uint8_t value[3 * SLAB];
    const size_t n = i % 8 ? (size_t)(i * 31 % 3000) : (size_t)(i * 40009 % sizeof value); /* some are kept in pieces */
    dr_buf out = {0};
    dr_status st;

    fill_bytes(value, n, i);
    if (put)
        return s->put(s->self, (dr_cspan){k.b, sizeof k.b}, (dr_cspan){value, n}, NULL);
    st = s->get(s->self, &out, (dr_cspan){k.b, sizeof k.b}, NULL);
    if (st == DR_OK && (out.n != n || memcmp(out.data, value, n) != 0))
        fail_msg("fact %llu: wrong bytes", (unsigned long long)i);
    dr_buf_free(&out);
    return st;
}

static void fill_cache(void)
{
    dr_cache *c = cache_at(BUDGET);
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        assert_int_equal(put_number(c, DR_KV_BLOCK, i, parent_of(i), size_of(i), NULL), DR_OK);
        assert_int_equal(fact(c, i, true), DR_OK);
    }
    dr_cache_close(c);
}

/* Everything is right or missing. Returns how many records were found. */
static int read_everything(dr_cache *c)
{
    int n = 0;
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        n += get_number(c, DR_KV_BLOCK, i, size_of(i)) == DR_OK;
        (void)fact(c, i, false);
    }
    return n;
}

/* In a process of its own, so that a crash is told apart from a failure. */
static void in_child(int (*fn)(uint64_t arg), uint64_t arg, const char *what)
{
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) {
        as_child();
        _exit(fn(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s: %s %d", what, WIFSIGNALED(status) ? "killed by signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int busy_life(uint64_t arg)
{
    uint64_t s = arg;
    dr_cache *c = cache_at(busy_budget);
    dr_kv_writer *w = NULL;
    if (dr_kv_writer_new(&w, c, 8 << 20, NULL) != DR_OK)
        return 2;
    for (;;) {
        const uint64_t i = 1 + random_next(&s) % N_RECORDS;
        const dr_key k = key_number(i);
        switch (random_next(&s) % 8) {
        case 0:
            (void)dr_kv_store_drop(c, DR_KV_BLOCK, &k, NULL);
            break;
        case 1:
            (void)dr_cache_flush(c, NULL);
            break;
        case 2:
            if (get_number(c, DR_KV_BLOCK, i, size_of(i)) == DR_ERR_FORMAT)
                return 3;
            break;
        case 3:
            (void)fact(c, i, true);
            break;
        default: {
            const dr_kv_label l = label_number(DR_KV_BLOCK, i, parent_of(i));
            uint8_t *p = malloc(size_of(i) + 1);
            fill_bytes(p, size_of(i), i);
            if (dr_kv_writer_put(w, &l, p, size_of(i), true) != DR_OK)
                return 4;
        }
        }
    }
}

static void faults__a_killed_process_leaves_a_sound_cache(void **state)
{
    int n_found = 0;
    (void)state;
    for (int r = 0; r < rounds; r++) {
        pid_t pid[2];
        const int n = 1 + r % 2; /* now and then two at once */
        busy_budget = r % 3 == 0 ? BUDGET : TIGHT; /* mostly in the middle of evicting */
        for (int k = 0; k < n; k++) {
            const uint64_t arg = random_next(&seed);
            if ((pid[k] = fork()) == 0) {
                as_child();
                _exit(busy_life(arg));
            }
        }
        const struct timespec t = {0, (long)(random_next(&seed) % 120000000)};
        (void)nanosleep(&t, NULL);
        for (int k = 0; k < n; k++) {
            int status = -1;
            (void)kill(pid[k], SIGKILL);
            assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        }
        dr_cache *c = cache_at(busy_budget);
        assert_string_equal(dr_cache_note(c), "");
        assert_clean(c);
        n_found += read_everything(c);
        dr_cache_close(c);
    }
    assert_true(n_found > 0 || rounds < 10);
}

/* A page's first bytes: its number, padding, flags, and for an overflow page the count of pages. */
static bool is_slab_page(const uint8_t *page)
{
    return (page[10] & 0x04) && dr_load_u32(page + 12) == 64;
}

/* What a page holds, by its flags; behind the first page of a large value, whatever its bytes look like. */
typedef enum page_class { PAGE_META, PAGE_BRANCH, PAGE_LEAF, PAGE_LARGE, PAGE_OTHER, PAGE_CLASSES } page_class;

static page_class class_of(const uint8_t *page, uint64_t number)
{
    if (dr_load_u64(page) != number && number > 1)
        return PAGE_OTHER;
    return (page[10] & 0x08) ? PAGE_META : (page[10] & 0x01) ? PAGE_BRANCH : (page[10] & 0x02) ? PAGE_LEAF : (page[10] & 0x04) ? PAGE_LARGE : PAGE_OTHER;
}

/* One bit of one page of this class, in the first bytes of it (its header and what points about) or anywhere. False: there is none. */
static bool flip_class(const char *file, page_class wanted, bool header, uint64_t *s)
{
    struct stat sb;
    uint8_t page[PAGE];
    uint64_t n_fit = 0, chosen = 0;
    const int fd = open(file, O_RDWR);
    if (fd < 0 || fstat(fd, &sb) < 0) {
        fail_msg("%s cannot be opened", file);
        return false;
    }
    for (uint64_t i = 0; i < (uint64_t)sb.st_size / PAGE; i++)
        if (pread(fd, page, PAGE, (off_t)i * PAGE) == PAGE && class_of(page, i) == wanted && random_next(s) % ++n_fit == 0)
            chosen = i;
    if (n_fit) {
        const off_t at = (off_t)chosen * PAGE + (off_t)(random_next(s) % (header ? 48 : PAGE));
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << random_next(s) % 8);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
    return n_fit > 0;
}

static void flip(const char *file, bool slabs, uint64_t *s)
{
    struct stat sb;
    const int fd = open(file, O_RDWR);
    if (fd < 0 || fstat(fd, &sb) < 0 || sb.st_size == 0) {
        fail_msg("%s cannot be opened", file);
        return;
    }
    for (;;) {
        uint8_t page[PAGE], byte = 0;
        const off_t at = (off_t)(random_next(s) % (uint64_t)sb.st_size);
        bool wanted = !slabs;
        for (off_t back = 0; slabs && back < 64 && back * PAGE <= at && !wanted; back++) {
            assert_int_equal(pread(fd, page, PAGE, (at / PAGE - back) * PAGE), PAGE);
            wanted = at / PAGE >= 2 && is_slab_page(page) && dr_load_u64(page) == (uint64_t)(at / PAGE - back);
        }
        if (!wanted)
            continue;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << random_next(s) % 8);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        break;
    }
    (void)close(fd);
}

static int read_and_go_on(uint64_t arg)
{
    dr_cache *c = cache_at(BUDGET);
    dr_cache_report r;
    (void)arg;
    (void)read_everything(c);
    if (dr_cache_verify(c, &r, NULL, NULL, NULL, NULL) != DR_OK) {
        /* Pages of the tree make no sense: then it says so, and is moved aside when it is opened next. */
        dr_cache_close(c);
        c = cache_at(BUDGET);
        assert_true(dr_cache_note(c)[0] != 0);
    }
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        (void)put_number(c, DR_KV_BLOCK, i, parent_of(i), size_of(i), NULL);
        (void)fact(c, i, true);
    }
    (void)read_everything(c);
    /* A second look finds nothing any more, unless the tree itself turned out broken only now. */
    if (dr_cache_verify(c, &r, NULL, NULL, NULL, NULL) == DR_OK)
        assert_clean(c);
    dr_cache_close(c);
    return 0;
}

static void faults__a_flipped_bit_in_a_slab_is_a_miss(void **state)
{
    (void)state;
    for (int r = 0; r < 2 * rounds; r++) {
        fill_cache();
        flip(scratch_path("c/kv/data.mdb"), true, &seed);
        dr_cache *c = cache_at(BUDGET);
        int n_damaged = 0;
        uint64_t bad = 0;
        for (uint64_t i = 1; i <= N_RECORDS; i++) {
            const dr_status st = get_number(c, DR_KV_BLOCK, i, size_of(i));
            n_damaged += st == DR_ERR_FORMAT;
            if (st == DR_ERR_FORMAT)
                bad = i;
            else if (bad && (i - 1) / 4 == (bad - 1) / 4)
                assert_int_equal(st, DR_ERR_NOT_FOUND); /* its descendants went along */
            else if (!bad)
                assert_int_equal(st, DR_OK);
        }
        assert_true(n_damaged <= 1); /* none: the bit lay in padding */
        if (bad)
            assert_int_equal(get_number(c, DR_KV_BLOCK, bad, size_of(bad)), DR_ERR_NOT_FOUND);
        assert_clean(c);
        for (uint64_t i = 1; i <= N_RECORDS; i++)
            assert_int_equal(put_number(c, DR_KV_BLOCK, i, parent_of(i), size_of(i), NULL), DR_OK);
        assert_int_equal(read_everything(c), N_RECORDS);
        dr_cache_close(c);
    }
}

/* What LMDB keeps in front of a slab is not looked at when it is read, and written anew with it. */
static void faults__a_flipped_bit_before_a_slab_heals(void **state)
{
    enum { BITS = 128, STEP = 5 };
    (void)state;
    for (int bit = 0; bit < BITS; bit += STEP) {
        uint8_t header[DR_ENV_HEADER];
        fill_cache();
        const int fd = open(scratch_path("c/kv/data.mdb"), O_RDWR);
        off_t at = 2 * PAGE;
        while (pread(fd, header, sizeof header, at) == (ssize_t)sizeof header &&
               !(is_slab_page(header) && dr_load_u64(header) == (uint64_t)(at / PAGE)))
            at += PAGE;
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(pwrite(fd, header, sizeof header, at), sizeof header);
        dr_cache *c = cache_at(BUDGET);
        assert_int_equal(read_everything(c), N_RECORDS);
        for (uint64_t i = 1; i <= N_RECORDS; i++) {
            const dr_key k = key_number(i);
            (void)dr_kv_store_drop(c, DR_KV_BLOCK, &k, NULL);
        }
        for (uint64_t i = 0; i < 26; i++) /* each slab is used again */
            assert_int_equal(put_number(c, DR_KV_BLOCK, 1000 + i, 0, 3 * SLAB, NULL), DR_OK);
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
        uint8_t healed[DR_ENV_HEADER];
        assert_int_equal(pread(fd, healed, sizeof healed, at), sizeof healed);
        assert_memory_equal(healed, header, 8);
        assert_memory_equal(healed + 10, header + 10, sizeof healed - 10);
        (void)close(fd);
        dr_cache_close(c);
        c = cache_at(BUDGET);
        assert_string_equal(dr_cache_note(c), "");
        assert_clean(c);
        dr_cache_close(c);
        assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
    }
}

static void faults__a_flipped_bit_anywhere_is_never_a_wrong_byte(void **state)
{
    (void)state;
    for (int r = 0; r < 3 * rounds; r++) {
        fill_cache();
        uint64_t s = seed;
        flip(scratch_path(r % 2 ? "c/kv/data.mdb" : "c/facts/data.mdb"), false, &seed);
        char what[80];
        (void)snprintf(what, sizeof what, "flip %d (seed %llu)", r, (unsigned long long)s);
        in_child(read_and_go_on, 0, what);
        assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
    }
}

/* Enough small records that the index has branch pages. */
static void faults__a_flipped_bit_in_every_class_of_page(void **state)
{
    int n_flipped[PAGE_CLASSES] = {0};
    (void)state;
    for (int r = 0; r < rounds; r++) {
        const page_class wanted = (page_class)(r % PAGE_CLASSES);
        const bool header = r / PAGE_CLASSES % 2 == 0;
        for (int kv = 0; kv < 2; kv++) {
            char what[80];
            dr_cache *c = cache_at(ROOMY);
            for (uint64_t i = 1000; i < 1120; i++)
                assert_int_equal(put_number(c, DR_KV_ANCHOR, i, 0, kv ? 1 : 0, NULL), DR_OK);
            dr_cache_close(c);
            fill_cache();
            (void)snprintf(what, sizeof what, "%s, class %d, round %d (seed %llu)", kv ? "kv" : "facts", (int)wanted, r,
                           (unsigned long long)seed);
            n_flipped[wanted] += flip_class(scratch_path(kv ? "c/kv/data.mdb" : "c/facts/data.mdb"), wanted, header, &seed);
            in_child(read_and_go_on, 0, what);
            assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
        }
    }
    for (int k = 0; k < PAGE_CLASSES; k++)
        assert_true(n_flipped[k] > 0);
}

static void faults__a_cut_file_is_never_a_wrong_byte(void **state)
{
    (void)state;
    for (int r = 0; r < rounds; r++) {
        struct stat sb;
        fill_cache();
        const char *file = scratch_path(r % 2 ? "c/kv/data.mdb" : "c/facts/data.mdb");
        assert_int_equal(stat(file, &sb), 0);
        off_t to = (off_t)(random_next(&seed) % (uint64_t)sb.st_size);
        if (r % 3 == 0)
            to = to / PAGE * PAGE;
        if (r % 7 == 0)
            to = r % 2 ? 0 : 100;
        assert_int_equal(truncate(file, to), 0);
        char what[80];
        (void)snprintf(what, sizeof what, "cut %d to %lld of %lld", r, (long long)to, (long long)sb.st_size);
        in_child(read_and_go_on, 0, what);
        assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
    }
}

static void faults__noise_in_place_of_a_database_is_moved_aside(void **state)
{
    (void)state;
    for (int r = 0; r < 4; r++) {
        uint8_t noise[3 * PAGE];
        fill_cache();
        fill_bytes(noise, sizeof noise, (uint64_t)r);
        const int fd = open(scratch_path(r % 2 ? "c/kv/data.mdb" : "c/facts/data.mdb"), O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, noise, sizeof noise), sizeof noise);
        (void)close(fd);
        dr_cache *c = cache_at(BUDGET);
        assert_non_null(strstr(dr_cache_note(c), "damaged"));
        assert_int_equal(read_everything(c), 0);
        dr_cache_close(c);
        fill_cache();
        c = cache_at(BUDGET);
        assert_int_equal(read_everything(c), N_RECORDS);
        dr_cache_close(c);
    }
}

/* Puts until the disk is full; what was there stays, and with room again everything works. */
static int until_full(uint64_t arg)
{
    dr_cache *c = cache_at(BUDGET);
    dr_error err = {0};
    bool full = false;
    int n_found = 0;

    (void)arg;
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        const dr_status st = put_number(c, DR_KV_BLOCK, i, 0, size_of(i), &err);
        if (st != DR_OK) {
            full = true;
            if (st != DR_ERR_IO || !err.msg[0])
                return 2;
        }
        (void)fact(c, i, true);
        (void)dr_cache_flush(c, NULL);
    }
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        const dr_status st = get_number(c, DR_KV_BLOCK, i, size_of(i));
        n_found += st == DR_OK;
        if (st != DR_OK && st != DR_ERR_NOT_FOUND)
            return 3;
    }
    dr_cache_close(c);
    c = cache_at(BUDGET);
    if (dr_cache_note(c)[0] || read_everything(c) != n_found)
        return 4;
    dr_cache_close(c);
    return full && n_found > 0 && n_found < N_RECORDS ? 0 : 5;
}

static int with_file_limit(uint64_t bytes)
{
    const struct rlimit r = {bytes, bytes};
    (void)signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &r) == 0 ? until_full(0) : 9;
}

static void after_full(void)
{
    dr_cache *c = cache_at(BUDGET);
    assert_clean(c);
    for (uint64_t i = 1; i <= N_RECORDS; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, i, 0, size_of(i), NULL), DR_OK);
    assert_int_equal(read_everything(c), N_RECORDS);
    assert_clean(c);
    dr_cache_close(c);
}

static void faults__a_limit_on_files_leaves_a_sound_cache(void **state)
{
    (void)state;
    in_child(with_file_limit, 10 * SLAB + 5000, "a file size limit");
    after_full();
}

static void faults__a_full_disk_leaves_a_sound_cache(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("c"), 0700), 0);
    if (mount("deepread-test", scratch_path("c"), "tmpfs", 0, "size=4m,mode=0700") != 0) {
        print_message("skipped: a small tmpfs cannot be mounted: %s\n", strerror(errno));
        skip();
    }
    int status = -1;
    const pid_t pid = fork();
    if (pid == 0) {
        as_child();
        _exit(until_full(0));
    }
    (void)waitpid(pid, &status, 0);
    const bool grown = mount("deepread-test", scratch_path("c"), "tmpfs", MS_REMOUNT, "size=64m,mode=0700") == 0;
    if (status == 0 && grown)
        after_full();
    assert_int_equal(umount(scratch_path("c")), 0);
    assert_int_equal(status, 0);
}

/* Each allocation of ours in turn fails: an error or a miss, and nothing leaks (the address sanitizer looks). */
static void faults__failed_allocations_are_survived(void **state)
{
    (void)state;
    bool failed = true;
    dr_cache *first = cache_at(ROOMY);
    for (uint64_t i = 1; i <= 2; i++)
        assert_int_equal(put_number(first, DR_KV_BLOCK, i, parent_of(i), size_of(i), NULL), DR_OK);
    dr_cache_close(first);
    for (long n = 0; failed && n < 1000; n++) {
        const dr_cache_options o = {.kv_max_bytes = ROOMY};
        dr_cache *c = NULL;
        dr_kv_writer *w = NULL;
        dr_cache_report r;
        uint8_t *p = malloc(SLAB);
        uint8_t *got = malloc(size_of(1));
        const dr_kv_label l = label_number(DR_KV_BLOCK, 1000 + (uint64_t)n, 0);
        const dr_key one = key_number(1);
        const dr_blob_store *s;
        dr_buf out = {0};

        fill_bytes(p, SLAB, 1000 + (uint64_t)n);
        alloc_fail_at(n);
        if (dr_cache_open(&c, scratch_path("c"), &o, NULL) == DR_OK) {
            (void)dr_kv_store_put(c, NULL, &l, p, SLAB, NULL);
            (void)dr_kv_store_get(c, (dr_span){got, size_of(1)}, DR_KV_BLOCK, &one, NULL);
            s = dr_cache_facts(c);
            (void)s->put(s->self, (dr_cspan){p, 20}, (dr_cspan){p, 100}, NULL);
            (void)s->put(s->self, (dr_cspan){p, 21}, (dr_cspan){p, SLAB}, NULL); /* two pieces */
            (void)dr_cache_flush(c, NULL);
            (void)s->get(s->self, &out, (dr_cspan){p, 20}, NULL);
            (void)s->get(s->self, &out, (dr_cspan){p, 21}, NULL);
            (void)dr_kv_store_drop(c, DR_KV_BLOCK, &l.key, NULL);
            (void)dr_cache_verify(c, &r, NULL, NULL, NULL, NULL);
            if (dr_kv_writer_new(&w, c, SLAB, NULL) == DR_OK && dr_kv_writer_put(w, &l, p, SLAB, true) == DR_OK)
                p = NULL;
            if (w)
                (void)dr_kv_writer_flush(w, NULL);
            dr_kv_writer_free(w, false);
            w = NULL;
        }
        failed = alloc_fail_off();
        (void)dr_kv_store_drop(c, DR_KV_BLOCK, &l.key, NULL); /* every round begins with the same two records */
        dr_cache_close(c);
        dr_buf_free(&out);
        free(p);
        free(got);
    }
    assert_false(failed);
    dr_cache *c = cache_at(ROOMY);
    assert_int_equal(read_everything(c), 2);
    assert_clean(c);
    dr_cache_close(c);
}

/* Stands still in a process of its own until the pipe is closed: while it reads, or with the slab lock. */
typedef struct still {
    pid_t pid;
    int hold;
} still;

typedef enum still_in { STILL_KV, STILL_FACTS, STILL_WRITING } still_in;

static void stand_still(still_in in, int ready, int hold)
{
    dr_env e = {0};
    MDB_txn *txn = NULL;
    char byte = 0;
    const char *path = scratch_path(in == STILL_FACTS ? "c/facts" : "c/kv");
    bool good = dr_env__open(&e, path, 8, (size_t)1 << 32, false, NULL) == DR_OK;
    good = good && (in == STILL_WRITING ? flock(e.fd, LOCK_EX) == 0 : dr_env__read(&e, &txn, NULL) == DR_OK);
    if (!good || write(ready, &byte, 1) != 1 || read(hold, &byte, 1) < 0)
        _exit(1);
    dr_env__read_end(&e, txn);
    dr_env__close(&e);
    _exit(0);
}

static still still_new(still_in in)
{
    int ready[2], hold[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(hold), 0);
    const still s = {fork(), hold[1]};
    if (s.pid == 0) {
        as_child();
        (void)close(hold[1]);
        stand_still(in, ready[1], hold[0]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(hold[0]);
    return s;
}

static void still_end(const still *s)
{
    int status = -1;
    (void)close(s->hold);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    assert_int_equal(status, 0);
}

/* Slabs are written in place: that somebody reads older ones costs nothing. */
static void faults__a_stuck_reader_of_slabs_changes_nothing(void **state)
{
    struct stat before, after;
    (void)state;
    fill_cache();
    const still s = still_new(STILL_KV);
    dr_cache *c = cache_at(BUDGET);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, 1000 + i, 0, 3 * SLAB, NULL), DR_OK);
    assert_int_equal(stat(scratch_path("c/kv/data.mdb"), &before), 0);
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, 1100 + i, 0, 3 * SLAB, NULL), DR_OK);
    assert_int_equal(stat(scratch_path("c/kv/data.mdb"), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_true(after.st_size <= BUDGET + BUDGET / 20);
    assert_clean(c);
    still_end(&s);
    dr_cache_close(c);
}

/* Others go on, the file stays within bounds, and once it ends all is as before. */
static void faults__a_stuck_reader_of_facts_stops_storing_and_no_more(void **state)
{
    enum { MOST = 20000, KEPT = 1 };
    const int64_t facts = 1 << 20, bound = facts + facts / 4 + 80 * 2048 + ((int64_t)64 << 20);
    const dr_cache_options o = {.kv_max_bytes = BUDGET, .facts_max_bytes = facts};
    struct stat sb;
    dr_error err = {0};
    dr_cache *c = NULL;
    int n_refused = 0;

    (void)state;
    fill_cache();
    const still s = still_new(STILL_FACTS);
    assert_int_equal(dr_cache_open(&c, scratch_path("c"), &o, &err), DR_OK);
    for (uint64_t i = 0; i < MOST && n_refused < 50; i++) {
        const dr_status st = put_number(c, DR_KV_ANCHOR, 1000 + i, 0, KEPT, &err);
        n_refused += st == DR_ERR_AGAIN;
        if (st != DR_OK && st != DR_ERR_AGAIN)
            fail_msg("put: %d %s", st, err.msg);
        (void)fact(c, i % N_RECORDS, true);
        const dr_status flushed = dr_cache_flush(c, &err);
        assert_true(flushed == DR_OK || (flushed == DR_ERR_AGAIN && strstr(err.msg, "a process that reads")));
    }
    assert_int_equal(n_refused, 50);
    assert_int_equal(stat(scratch_path("c/facts/data.mdb"), &sb), 0);
    assert_true(sb.st_size >= bound - ((int64_t)1 << 20) && sb.st_size <= bound + ((int64_t)4 << 20));
    (void)read_everything(c);
    still_end(&s);
    assert_int_equal(put_number(c, DR_KV_BLOCK, 900, 0, 3 * SLAB, &err), DR_OK);
    assert_clean(c);
    dr_cache_close(c);
}

/* Ten seconds once, then hardly any more waiting; with the lock free again all is as before. */
static void faults__a_stuck_writer_stops_storing_and_no_more(void **state)
{
    enum { LONG_ROUNDS = 100 };
    dr_error err = {0};
    (void)state;
    if (rounds < LONG_ROUNDS)
        skip();
    fill_cache();
    const still s = still_new(STILL_WRITING);
    dr_cache *c = cache_at(BUDGET);
    const time_t begin = time(NULL);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, 1000 + i, 0, 3 * SLAB, &err), DR_ERR_AGAIN);
    assert_non_null(strstr(err.msg, "another process has been writing"));
    assert_true(time(NULL) - begin < 60);
    assert_int_equal(read_everything(c), N_RECORDS);
    assert_int_equal(fact(c, 1, true), DR_OK);
    assert_int_equal(dr_cache_flush(c, &err), DR_OK); /* facts are not held up */
    still_end(&s);
    assert_int_equal(put_number(c, DR_KV_BLOCK, 1000, 0, 3 * SLAB, &err), DR_OK);
    assert_clean(c);
    dr_cache_close(c);
}

/* Everything once, beside a process that does not go on: done, or let go with a sentence. */
static int beside_a_stopped_one(uint64_t arg)
{
    enum { MOST_S = 50 }; /* ten seconds for each of the two locks, twice at most */
    dr_cache *c = NULL;
    const dr_cache_options o = {.kv_max_bytes = TIGHT};
    const dr_key k = key_number(1);
    dr_error err = {0};

    (void)arg;
    (void)alarm(MOST_S);
    dr_status st = dr_cache_open(&c, scratch_path("c"), &o, &err);
    if (st != DR_OK)
        return st == DR_ERR_AGAIN && err.msg[0] ? 0 : 2; /* stopped while it opened */
    (void)read_everything(c);
    st = put_number(c, DR_KV_BLOCK, 500, 0, 3 * SLAB, &err);
    if (st != DR_OK && (st != DR_ERR_AGAIN || !strstr(err.msg, "another process has been writing")))
        return 3;
    (void)fact(c, 1, true);
    st = dr_cache_flush(c, &err);
    if (st != DR_OK && (st != DR_ERR_AGAIN || !strstr(err.msg, "another process has been writing")))
        return 4;
    st = dr_kv_store_drop(c, DR_KV_BLOCK, &k, &err);
    if (st != DR_OK && st != DR_ERR_NOT_FOUND && st != DR_ERR_AGAIN)
        return 5;
    dr_cache_close(c);
    return 0;
}

static void faults__a_process_stopped_at_any_moment_holds_nobody_up_for_long(void **state)
{
    enum { LONG_ROUNDS = 100, STOPS = 24 };
    (void)state;
    if (rounds < LONG_ROUNDS)
        skip();
    busy_budget = TIGHT;
    for (int r = 0; r < STOPS; r++) {
        const uint64_t arg = random_next(&seed);
        int status = -1;
        const pid_t pid = fork();
        if (pid == 0) {
            as_child();
            _exit(busy_life(arg));
        }
        const struct timespec t = {0, 100000000 + (long)(random_next(&seed) % 200000000)};
        (void)nanosleep(&t, NULL);
        (void)kill(pid, SIGSTOP);
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        in_child(beside_a_stopped_one, 0, "beside a stopped process");
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        dr_cache *c = cache_at(TIGHT);
        assert_string_equal(dr_cache_note(c), "");
        assert_clean(c);
        assert_int_equal(put_number(c, DR_KV_BLOCK, 501, 0, 3 * SLAB, NULL), DR_OK);
        dr_cache_close(c);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(faults__a_killed_process_leaves_a_sound_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_flipped_bit_in_a_slab_is_a_miss, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_flipped_bit_before_a_slab_heals, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_flipped_bit_anywhere_is_never_a_wrong_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_flipped_bit_in_every_class_of_page, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_stuck_reader_of_slabs_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_stuck_reader_of_facts_stops_storing_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_stuck_writer_stops_storing_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_process_stopped_at_any_moment_holds_nobody_up_for_long, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_cut_file_is_never_a_wrong_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__noise_in_place_of_a_database_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_limit_on_files_leaves_a_sound_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__a_full_disk_leaves_a_sound_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(faults__failed_allocations_are_survived, setup, teardown),
    };
    if (argc > 1)
        rounds = atoi(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
