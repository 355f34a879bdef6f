/* A disk that fails: each call that writes, syncs or reads in turn, once or from then on, with EIO, ENOSPC or by taking only half. A
 * failure is a miss or an error, never a wrong byte; with the disk well again the cache is sound, or says it was damaged and begins anew. */
#include "tests/cache/support.h"

#include "cache/facts.h"
#include "cache/kv_writer.h"
#include "tests/cache/io_fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { N_RECORDS = 12, FOREVER = 1 << 30 };
static const int64_t BUDGET = 24 * (SLAB + 16); /* less than the records take: some are evicted on the way */
static int stride = 7;

static int setup(void **state)
{
    (void)state;
    (void)scratch_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)io_fail_off();
    scratch_free();
    return 0;
}

static size_t size_of(uint64_t i)
{
    return (size_t)(i * 104729 % (4 * SLAB));
}

static uint64_t parent_of(uint64_t i)
{
    return i % 4 == 1 ? 0 : i - 1;
}

static int read_all(dr_cache *c)
{
    int n = 0;
    for (uint64_t i = 1; i <= N_RECORDS; i++)
        n += get_number(c, DR_KV_BLOCK, i, size_of(i)) == DR_OK;
    return n;
}

/* A day's work, whatever comes back: opening, storing at once and by the writer, facts, dropping, reading, checking. */
static void work(void)
{
    const dr_cache_options o = {.kv_max_bytes = BUDGET};
    dr_cache *c = NULL;
    dr_kv_writer *w = NULL;
    dr_cache_report r;
    dr_error err;

    if (dr_cache_open(&c, scratch_path("c"), &o, &err) != DR_OK) {
        assert_true(err.msg[0] != 0);
        return;
    }
    const dr_blob_store *s = dr_cache_facts(c);
    for (uint64_t i = 1; i <= N_RECORDS / 2; i++) {
        const dr_key k = key_number(i);
        (void)put_number(c, DR_KV_BLOCK, i, parent_of(i), size_of(i), NULL);
        (void)s->put(s->self, (dr_cspan){k.b, sizeof k.b}, (dr_cspan){k.b, sizeof k.b}, NULL);
    }
    (void)read_all(c);
    if (dr_kv_writer_new(&w, c, (size_t)SLAB * 8, NULL) == DR_OK) {
        for (uint64_t i = N_RECORDS / 2 + 1; i <= N_RECORDS; i++) {
            const dr_kv_label l = label_number(DR_KV_BLOCK, i, parent_of(i));
            uint8_t *p = malloc(size_of(i) + 1);
            fill_bytes(p, size_of(i), i);
            if (dr_kv_writer_put(w, &l, p, size_of(i), true) != DR_OK)
                free(p);
        }
        (void)dr_kv_writer_flush(w, NULL);
        dr_kv_writer_free(w, false);
    }
    const dr_key first = key_number(1);
    (void)dr_kv_store_drop(c, DR_KV_BLOCK, &first, NULL);
    (void)read_all(c);
    (void)dr_cache_verify(c, &r, NULL, NULL, NULL, NULL);
    dr_cache_close(c);
}

static void recovers(const char *what, long n)
{
    dr_cache *c = cache_at(BUDGET);
    (void)read_all(c);
    assert_clean(c);
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        const dr_status st = put_number(c, DR_KV_BLOCK, i, parent_of(i), size_of(i), NULL);
        if (st != DR_OK && st != DR_ERR_LIMIT) /* the parent may have been evicted */
            fail_msg("%s, call %ld: record %d cannot be stored afterwards: %d", what, n, (int)i, st);
    }
    assert_true(read_all(c) > 0);
    assert_clean(c);
    dr_cache_close(c);
}

static void every_call_fails(int kinds, int code, long times, const char *what)
{
    long n = 0;
    for (;; n += stride) {
        /* Every other round begins with a cache that has a past. */
        const bool fresh = n / stride % 2 == 0;
        if (fresh)
            assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
        io_fail(kinds, n, times, code);
        work();
        const long failed = io_fail_off();
        recovers(what, n);
        if (!failed && fresh)
            break;
    }
    assert_true(n > 0);
    print_message("%s: every %d. of %ld calls\n", what, stride, n);
}

static void disk__one_write_that_fails_is_survived(void **state)
{
    (void)state;
    every_call_fails(IO_WRITES, EIO, 1, "one write, EIO");
}

static void disk__a_disk_that_turns_full_is_survived(void **state)
{
    (void)state;
    every_call_fails(IO_WRITES, ENOSPC, FOREVER, "all writes, ENOSPC");
}

static void disk__short_writes_are_survived(void **state)
{
    (void)state;
    every_call_fails(IO_WRITES, 0, 1, "one write, half of it");
}

static void disk__syncs_that_fail_are_survived(void **state)
{
    (void)state;
    every_call_fails(IO_SYNCS, EIO, 1, "one sync, EIO");
    every_call_fails(IO_SYNCS, EIO, FOREVER, "all syncs, EIO");
}

static void disk__reads_that_fail_are_survived(void **state)
{
    (void)state;
    every_call_fails(IO_READS, EIO, 1, "one read, EIO");
    every_call_fails(IO_READS, 0, 1, "one read, half of it");
}

static void disk__that_fails_in_everything_is_survived(void **state)
{
    (void)state;
    every_call_fails(IO_READS | IO_WRITES | IO_SYNCS, EIO, FOREVER, "everything, EIO");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(disk__one_write_that_fails_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(disk__a_disk_that_turns_full_is_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(disk__short_writes_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(disk__syncs_that_fail_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(disk__reads_that_fail_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(disk__that_fails_in_everything_is_survived, setup, teardown),
    };
    if (argc > 1)
        stride = atoi(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
