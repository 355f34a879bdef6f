/* Records that are not in the page cache, on a real disk: skipped where there is none. */
#include "base/bytes.h"
#include "cache/internal.h"
#include "tests/cache/io_fault.h"
#include "tests/cache/support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, SMALL = 7 * SLAB };
static const int64_t BUDGET = (int64_t)512 << 20;
/* Around a whole run, the least and the most that is read at once; all but the first are long enough. */
static const size_t sizes[] = {SMALL, 16 * SLAB, 16 * SLAB + 1, 32 * SLAB, 33 * SLAB - 5, 64 * SLAB + 1, 70 * SLAB};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static int setup(void **state)
{
    (void)state;
    (void)setenv("TMPDIR", "/var/tmp", 0); /* support.c's own choice is memory */
    (void)scratch_new();
    dr_cache *c = cache_at(BUDGET);
    for (uint64_t i = 0; i < N_SIZES; i++)
        assert_int_equal(put_number(c, DR_KV_BLOCK, i + 1, 0, sizes[i], NULL), DR_OK);
    dr_cache_close(c);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free();
    return 0;
}

/* The slabs leave the page cache; skips the test where they do not. The cache is closed: mapped pages would stay. */
static void drop_pages(void)
{
    struct stat sb;
    const int fd = open(scratch_path("c/kv/data.mdb"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &sb) == 0);
    const size_t n = (size_t)sb.st_size, n_pages = (n + PAGE - 1) / PAGE;
    size_t n_there = 0;
    unsigned char *there = malloc(n_pages);
    const bool dropped = fdatasync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
    void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(there && map != MAP_FAILED);
    assert_int_equal(mincore(map, n, there), 0);
    for (size_t i = 0; i < n_pages; i++)
        n_there += there[i] & 1;
    (void)munmap(map, n);
    free(there);
    (void)close(fd);
    if (!dropped || n_there > n_pages / 20)
        skip();
}

static dr_cache *cold_cache(void)
{
    drop_pages();
    dr_cache *c = cache_at(BUDGET);
    if (c->direct.fd < 0) {
        dr_cache_close(c);
        skip();
    }
    return c;
}

static unsigned long n_direct(dr_cache *c)
{
    return (unsigned long)atomic_load(&c->direct.n_reads);
}

static void direct__gives_back_what_is_not_in_the_page_cache(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < N_SIZES; i++) {
        dr_cache *c = cold_cache();
        assert_int_equal(get_number(c, DR_KV_BLOCK, i + 1, sizes[i]), DR_OK);
        assert_true(sizes[i] == SMALL ? n_direct(c) == 0 : n_direct(c) > 0);
        dr_cache_close(c);
    }
    dr_cache *c = cold_cache();
    assert_clean(c); /* it reads everything too */
    assert_true(n_direct(c) > 0);
    dr_cache_close(c);
}

static void direct__is_not_used_for_what_is_there(void **state)
{
    (void)state;
    drop_pages();
    const int fd = open(scratch_path("c/kv/data.mdb"), O_RDONLY | O_CLOEXEC);
    uint8_t page[PAGE];
    for (off_t at = 0; pread(fd, page, sizeof page, at) == (ssize_t)sizeof page; at += PAGE)
        ;
    (void)close(fd);
    dr_cache *c = cache_at(BUDGET);
    for (uint64_t i = 0; i < N_SIZES; i++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, i + 1, sizes[i]), DR_OK);
    assert_int_equal(n_direct(c), 0);
    dr_cache_close(c);
}

/* Flips a bit `back` bytes behind the header of the n-th slab in the file. */
static void flip_in_slab(int n, off_t back)
{
    const int fd = open(scratch_path("c/kv/data.mdb"), O_RDWR | O_CLOEXEC);
    uint8_t header[DR_ENV_HEADER], byte;
    off_t at = 2 * PAGE;

    assert_true(fd >= 0);
    for (;; at += PAGE) {
        assert_int_equal(pread(fd, header, sizeof header, at), sizeof header);
        if (dr_load_u64(header) == (uint64_t)(at / PAGE) && (header[10] & 0x04) && dr_load_u32(header + 12) == 64 && n-- == 0)
            break;
    }
    assert_int_equal(pread(fd, &byte, 1, at + back), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at + back), 1);
    (void)close(fd);
}

static void direct__a_flipped_bit_is_a_miss_and_one_before_the_slab_is_none(void **state)
{
    enum { FIRST_LONG = 7 }; /* slabs of the first record */
    dr_cache *c;
    (void)state;
    flip_in_slab(FIRST_LONG + 3, 0);
    flip_in_slab(FIRST_LONG + 16 + 5, DR_ENV_HEADER + 1234);
    c = cold_cache();
    assert_int_equal(get_number(c, DR_KV_BLOCK, 2, sizes[1]), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 3, sizes[2]), DR_ERR_FORMAT);
    assert_true(n_direct(c) >= 2);
    for (uint64_t i = 3; i < N_SIZES; i++)
        assert_int_equal(get_number(c, DR_KV_BLOCK, i + 1, sizes[i]), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 3, sizes[2]), DR_ERR_NOT_FOUND);
    dr_cache_close(c);
}

static void direct__a_read_that_fails_is_done_the_other_way(void **state)
{
    dr_cache *c = cold_cache();
    (void)state;
    io_fail(IO_READS, 0, 1, EIO);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 2, sizes[1]), DR_OK);
    assert_int_equal(io_fail_off(), 1);
    assert_int_equal(n_direct(c), 0);
    io_fail(IO_READS, 0, 1, 0);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 4, sizes[3]), DR_OK);
    assert_int_equal(io_fail_off(), 1);
    assert_int_equal(n_direct(c), 0);
    /* Nothing can be read: an error, and the record stays. */
    io_fail(IO_READS, 0, LONG_MAX, EIO);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 6, sizes[5]), DR_ERR_IO);
    (void)io_fail_off();
    assert_int_equal(get_number(c, DR_KV_BLOCK, 6, sizes[5]), DR_OK);
    assert_true(n_direct(c) > 0);
    dr_cache_close(c);
}

static void *read_all(void *arg)
{
    for (uint64_t i = 1; i < N_SIZES; i++)
        if (get_number(arg, DR_KV_BLOCK, i + 1, sizes[i]) != DR_OK)
            return NULL;
    return arg;
}

static void direct__several_threads_read_at_once(void **state)
{
    enum { N_THREADS = 4 };
    pthread_t threads[N_THREADS];
    dr_cache *c = cold_cache();
    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, c), 0);
    for (int i = 0; i < N_THREADS; i++) {
        void *good = NULL;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_non_null(good);
    }
    assert_true(n_direct(c) > 0);
    dr_cache_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(direct__gives_back_what_is_not_in_the_page_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(direct__is_not_used_for_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(direct__a_flipped_bit_is_a_miss_and_one_before_the_slab_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(direct__a_read_that_fails_is_done_the_other_way, setup, teardown),
        cmocka_unit_test_setup_teardown(direct__several_threads_read_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
