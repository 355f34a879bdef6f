#include "base/bytes.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <signal.h>

/* A folder of its own for each test, below the current one's temporary place. */
static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/deepread-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static const char *in_folder(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void bytes__order_is_by_unsigned_byte_then_length(void **state)
{
    (void)state;
    const dr_str sorted[] = {DR_STR(""), DR_STR("a"), DR_STR("a\0"), DR_STR("aa"), DR_STR("b"), DR_STR("\x7f"), DR_STR("\x80")};
    const int n = (int)(sizeof sorted / sizeof sorted[0]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            const int c = dr_str_cmp(sorted[i], sorted[j]);
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
            assert_int_equal(dr_str_eq(sorted[i], sorted[j]), i == j);
        }
    assert_true(dr_str_eq(dr_str_of(NULL), dr_str_of("")));
    assert_int_equal(dr_str_cmp(dr_str_of(NULL), dr_str_of("")), 0);
}

static void bytes__buffer_grows_and_stays_terminated(void **state)
{
    (void)state;
    dr_buf b = {0};
    assert_int_equal(dr_buf_view(&b).n, 0);
    for (int i = 0; i < 1000; i++) {
        dr_buf_printf(&b, "%d,", i);
        assert_int_equal(b.data[b.n], 0);
    }
    dr_buf_add(&b, "\0x", 2);
    dr_buf_str(&b, "end");
    dr_buf_add(&b, NULL, 0);
    assert_false(b.failed);
    assert_int_equal(b.n, 10 * 2 + 90 * 3 + 900 * 4 + 5);
    assert_memory_equal(b.data + b.n - 5, "\0xend", 6);
    const char *storage = b.data;
    dr_buf_clear(&b);
    assert_int_equal(b.n, 0);
    dr_buf_str(&b, "again");
    assert_ptr_equal(b.data, storage);
    assert_string_equal(b.data, "again");
    char *room = dr_buf_extend(&b, 300);
    assert_non_null(room);
    memset(room, 'y', 300);
    assert_int_equal(b.n, 305);
    assert_memory_equal(b.data, "againyyy", 8);
    assert_int_equal(b.data[305], 0);
    dr_buf_free(&b);
    assert_null(b.data);
    dr_buf_free(&b);
}

static void bytes__failed_append_sticks_and_keeps_what_was_there(void **state)
{
    (void)state;
    dr_buf b = {0};
    dr_buf_str(&b, "kept");
    alloc_fail_at(0);
    char large[200] = {0};
    dr_buf_add(&b, large, sizeof large);
    assert_true(alloc_fail_off());
    assert_true(b.failed);
    dr_buf_str(&b, "x"); /* there would be room */
    assert_null(dr_buf_extend(&b, 1));
    dr_buf_printf(&b, "%d", 1);
    assert_true(b.failed);
    assert_int_equal(b.n, 4);
    assert_string_equal(b.data, "kept");
    dr_buf_clear(&b);
    dr_buf_str(&b, "usable");
    assert_false(b.failed);
    assert_string_equal(b.data, "usable");
    dr_buf_free(&b);

    dr_buf_add(&b, large, SIZE_MAX - 1); /* refused before anything is read */
    assert_true(b.failed);
    dr_buf_free(&b);
}

static void bytes__fields_are_little_endian_at_any_alignment(void **state)
{
    (void)state;
    uint8_t raw[16] = {0};
    for (size_t at = 0; at < 8; at++) {
        dr_store_u64(raw + at, 0x0123456789abcdefu);
        assert_int_equal(raw[at], 0xef);
        assert_int_equal(raw[at + 7], 0x01);
        assert_true(dr_load_u64(raw + at) == 0x0123456789abcdefu);
        dr_store_u32(raw + at, 0xfedcba98u);
        assert_int_equal(raw[at], 0x98);
        assert_int_equal(dr_load_u32(raw + at), 0xfedcba98u);
    }
}

static void bytes__file_comes_back_as_written(void **state)
{
    (void)state;
    dr_error err = {0};
    dr_buf in = {0};
    static uint8_t data[100000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 >> 3);
    for (size_t n = 0; n <= sizeof data; n = n ? n * 10 : 1) {
        assert_int_equal(dr_write_file(in_folder("f"), data, n, &err), DR_OK);
        assert_int_equal(dr_read_file(&in, in_folder("f"), sizeof data, &err), DR_OK);
        assert_int_equal(in.n, n);
        assert_memory_equal(in.data, data, n);
        assert_int_equal(in.data[n], 0);
        dr_buf_free(&in);
    }
}

static void bytes__reading_says_what_is_wrong(void **state)
{
    (void)state;
    dr_error err = {0};
    dr_buf in = {0};
    assert_int_equal(dr_read_file(&in, in_folder("missing"), 10, &err), DR_ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "missing: "));
    assert_int_equal(dr_read_file(&in, folder, 10, &err), DR_ERR_IO);
    assert_non_null(strstr(err.msg, "not a regular file"));
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    (void)alarm(60); /* nobody writes into it */
    assert_int_equal(dr_read_file(&in, in_folder("fifo"), 10, &err), DR_ERR_IO);
    (void)alarm(0);
    assert_non_null(strstr(err.msg, "not a regular file"));
    assert_int_equal(unlink(in_folder("fifo")), 0);
    assert_int_equal(dr_write_file(in_folder("f"), "12345678901", 11, &err), DR_OK);
    assert_int_equal(dr_read_file(&in, in_folder("f"), 10, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "11 bytes"));
    assert_null(in.data);
    assert_int_equal(dr_read_file(&in, in_folder("f"), 11, &err), DR_OK);
    dr_buf_free(&in);
    alloc_fail_at(0);
    assert_int_equal(dr_read_file(&in, in_folder("f"), 11, &err), DR_ERR_NOMEM);
    assert_true(alloc_fail_off());
    assert_null(in.data);
}

/* Files of /proc say they are empty, and are not. */
static void bytes__file_larger_than_it_says_is_read_whole(void **state)
{
    (void)state;
    dr_error err = {0};
    dr_buf in = {0};
    assert_int_equal(dr_read_file(&in, "/proc/self/status", 1 << 20, &err), DR_OK);
    assert_true(in.n > 100);
    assert_int_equal(in.data[in.n - 1], '\n');
    dr_buf_free(&in);
}

static void bytes__failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    dr_error err = {0};
    dr_buf in = {0};
    static uint8_t data[1 << 16];
    const struct rlimit small = {4096, RLIM_INFINITY};
    struct rlimit before;

    assert_int_equal(dr_write_file(in_folder("f"), "old", 3, &err), DR_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const dr_status st = dr_write_file(in_folder("f"), data, sizeof data, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(st, DR_ERR_IO);
    assert_int_equal(dr_read_file(&in, in_folder("f"), 10, &err), DR_OK);
    assert_string_equal(in.data, "old");
    dr_buf_free(&in);
    assert_int_equal(unlink(in_folder("f")), 0);
    assert_int_equal(rmdir(folder), 0); /* so no temporary file is left behind */
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void bytes__folders_are_made_with_their_parents(void **state)
{
    (void)state;
    dr_error err = {0};
    struct stat sb;
    const mode_t mask = umask(0);
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(dr_make_dirs(in_folder("a/b//c/"), 0700, &err), DR_OK);
    (void)umask(mask);
    assert_int_equal(stat(in_folder("a/b/c"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    assert_int_equal(dr_make_dirs("/", 0700, &err), DR_OK);
    assert_int_equal(dr_make_dirs("", 0700, &err), DR_ERR_ARG);
    assert_int_equal(dr_write_file(in_folder("file"), "", 0, &err), DR_OK);
    assert_int_equal(dr_make_dirs(in_folder("file/x"), 0700, &err), DR_ERR_IO);
    assert_int_equal(dr_make_dirs(in_folder("file"), 0700, &err), DR_ERR_IO);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes__order_is_by_unsigned_byte_then_length),
        cmocka_unit_test(bytes__buffer_grows_and_stays_terminated),
        cmocka_unit_test(bytes__failed_append_sticks_and_keeps_what_was_there),
        cmocka_unit_test(bytes__fields_are_little_endian_at_any_alignment),
        WITH_FOLDER(bytes__file_comes_back_as_written),
        WITH_FOLDER(bytes__reading_says_what_is_wrong),
        cmocka_unit_test(bytes__file_larger_than_it_says_is_read_whole),
        WITH_FOLDER(bytes__failed_write_leaves_the_old_file),
        WITH_FOLDER(bytes__folders_are_made_with_their_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
