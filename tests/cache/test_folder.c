/* Whose folder, on which file system, in which format, and how often open. */
#include "tests/cache/support.h"

#include "base/bytes.h"
#include "cache/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const int64_t BIG = (int64_t)1 << 26;
enum { NOBODY = 65534 };

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

static dr_status try_open(dr_cache **c, bool read_only, dr_error *err)
{
    const dr_cache_options o = {.kv_max_bytes = BIG, .read_only = read_only};
    return dr_cache_open(c, scratch_path("c"), &o, err);
}

static void assert_refused(dr_status want, const char *word)
{
    dr_cache *c = NULL;
    dr_error err = {0};
    const dr_status st = try_open(&c, false, &err);
    dr_cache_close(c);
    assert_int_equal(st, want);
    assert_null(c);
    if (!strstr(err.msg, word))
        fail_msg("'%s' is not in: %s", word, err.msg);
}

static void folder__is_for_the_user_alone(void **state)
{
    static const char *const names[] = {"c", "c/kv", "c/facts", "c/kv/data.mdb", "c/facts/data.mdb", "c/facts/lock.mdb", "c/version", "c/open.lock"};
    struct stat sb;
    (void)state;
    (void)umask(0);
    dr_cache *c = cache_at(BIG);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(stat(scratch_path(names[i]), &sb), 0);
        assert_int_equal(sb.st_mode & 0777, S_ISDIR(sb.st_mode) ? 0700 : 0600);
    }
    dr_cache_close(c);
    (void)umask(022);
}

static void folder__that_others_may_write_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("c"), 0700), 0);
    assert_int_equal(chmod(scratch_path("c"), 0770), 0);
    assert_refused(DR_ERR_ARG, "written by others");
    /* Readable ones are closed. */
    assert_int_equal(chmod(scratch_path("c"), 0755), 0);
    dr_cache_close(cache_at(BIG));
    struct stat sb;
    assert_int_equal(stat(scratch_path("c"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    assert_int_equal(chmod(scratch_path("c/kv/data.mdb"), 0620), 0);
    assert_refused(DR_ERR_ARG, "written by others");
}

static void folder__of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: giving a folder to another user takes root\n");
        skip();
    }
    assert_int_equal(mkdir(scratch_path("c"), 0700), 0);
    assert_int_equal(chown(scratch_path("c"), NOBODY, NOBODY), 0);
    assert_refused(DR_ERR_ARG, "belongs to user");
    assert_int_equal(chown(scratch_path("c"), 0, 0), 0);
    dr_cache_close(cache_at(BIG));
    assert_int_equal(chown(scratch_path("c/facts/data.mdb"), NOBODY, NOBODY), 0);
    assert_refused(DR_ERR_ARG, "belongs to user");
}

static void folder__with_a_link_in_place_of_a_file_is_refused(void **state)
{
    char target[512];
    (void)state;
    dr_cache_close(cache_at(BIG));
    (void)snprintf(target, sizeof target, "%s", scratch_path("c/elsewhere"));
    assert_int_equal(rename(scratch_path("c/kv/data.mdb"), target), 0);
    assert_int_equal(symlink(target, scratch_path("c/kv/data.mdb")), 0);
    assert_refused(DR_ERR_ARG, "plain file");
}

static void folder__on_a_network_is_named(void **state)
{
    (void)state;
    assert_string_equal(dr_folder__remote_kind(0x6969), "NFS");
    assert_string_equal(dr_folder__remote_kind(0xFF534D42), "CIFS");
    assert_string_equal(dr_folder__remote_kind(0x01021997), "9P");
    assert_null(dr_folder__remote_kind(0xEF53));     /* ext4 */
    assert_null(dr_folder__remote_kind(0x01021994)); /* tmpfs */
}

static void cache__opens_once_in_a_process(void **state)
{
    dr_cache *c = cache_at(BIG);
    (void)state;
    assert_refused(DR_ERR_ARG, "already");
    assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_ERR_ARG);
    dr_cache_close(c);
    dr_cache_close(cache_at(BIG));
}

static void cache__of_another_version_is_moved_aside(void **state)
{
    dr_cache *c = cache_at(BIG);
    dr_cache_stat s;
    int64_t n, bytes;
    (void)state;
    assert_int_equal(put_number(c, DR_KV_BLOCK, 1, 0, 1000, NULL), DR_OK);
    assert_string_equal(dr_cache_note(c), "");
    dr_cache_close(c);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(dr_write_file(scratch_path("c/version"), "deepread cache 0\n", 17, NULL), DR_OK);
        dr_error err = {0};
        assert_int_equal(try_open(&c, true, &err), DR_ERR_FORMAT); /* nothing is moved for one who only reads */
        assert_null(c);
        c = cache_at(BIG);
        assert_non_null(strstr(dr_cache_note(c), "version"));
        assert_int_equal(get_number(c, DR_KV_BLOCK, 1, 1000), DR_ERR_NOT_FOUND);
        assert_int_equal(put_number(c, DR_KV_BLOCK, 1, 0, 1000, NULL), DR_OK);
        assert_int_equal(access(scratch_path("c/aside/kv/data.mdb"), F_OK), 0);
        dr_cache_close(c);
    }
    c = cache_at(BIG);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 1, 1000), DR_OK);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_true(s.aside_bytes > 0);
    assert_int_equal(dr_cache_gc(c, &n, &bytes, NULL), DR_OK);
    assert_true(bytes > 0);
    assert_int_equal(access(scratch_path("c/aside"), F_OK), -1);
    dr_cache_close(c);
}

static void cache__without_a_version_is_moved_aside(void **state)
{
    (void)state;
    dr_cache_close(cache_at(BIG));
    assert_int_equal(unlink(scratch_path("c/version")), 0);
    dr_cache *c = cache_at(BIG);
    assert_true(dr_cache_note(c)[0] != 0);
    dr_cache_close(c);
}

static void cache__is_deleted_whole(void **state)
{
    dr_cache *c = cache_at(BIG);
    (void)state;
    assert_int_equal(put_number(c, DR_KV_BLOCK, 1, 0, 1000, NULL), DR_OK);
    dr_cache_close(c);
    assert_int_equal(dr_cache_delete(scratch_path("c"), NULL), DR_OK);
    assert_int_equal(access(scratch_path("c/kv"), F_OK), -1);
    c = cache_at(BIG);
    assert_string_equal(dr_cache_note(c), "");
    assert_int_equal(get_number(c, DR_KV_BLOCK, 1, 1000), DR_ERR_NOT_FOUND);
    dr_cache_close(c);
    assert_int_equal(dr_cache_delete(scratch_path("never/was"), NULL), DR_OK);
    assert_int_equal(access(scratch_path("never"), F_OK), -1);
}

static void cache__read_only_reads_and_lets_go(void **state)
{
    dr_cache *c = cache_at(BIG);
    dr_cache_stat s;
    (void)state;
    assert_int_equal(put_number(c, DR_KV_BLOCK, 1, 0, 1000, NULL), DR_OK);
    dr_cache_close(c);
    assert_int_equal(try_open(&c, true, NULL), DR_OK);
    assert_true(dr_cache_read_only(c));
    assert_int_equal(get_number(c, DR_KV_BLOCK, 1, 1000), DR_OK);
    assert_int_equal(put_number(c, DR_KV_BLOCK, 2, 0, 1000, NULL), DR_OK);
    assert_int_equal(get_number(c, DR_KV_BLOCK, 2, 1000), DR_ERR_NOT_FOUND);
    assert_clean(c);
    assert_int_equal(dr_cache_stat_get(c, &s, NULL), DR_OK);
    assert_int_equal(s.kv[DR_KV_BLOCK].n_records, 1);
    dr_cache_close(c);
}

/* A folder that the file system keeps from being written: as the user nobody, since root may write anywhere. */
static int as_nobody(void)
{
    dr_cache *c = NULL;
    dr_error err = {0};
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return 2;
    c = cache_at(BIG);
    if (put_number(c, DR_KV_BLOCK, 1, 0, 1000, &err) != DR_OK)
        return 3;
    dr_cache_close(c);
    if (chmod(scratch_path("c"), 0500) != 0 || try_open(&c, false, &err) != DR_OK)
        return 4;
    const bool ok = dr_cache_read_only(c) && get_number(c, DR_KV_BLOCK, 1, 1000) == DR_OK &&
                    put_number(c, DR_KV_BLOCK, 2, 0, 1000, &err) == DR_OK && get_number(c, DR_KV_BLOCK, 2, 1000) == DR_ERR_NOT_FOUND;
    dr_cache_close(c);
    /* One that is empty and cannot be written is no cache. */
    if (mkdir(scratch_path("d"), 0500) != 0 || dr_cache_open(&c, scratch_path("d"), NULL, &err) != DR_ERR_IO)
        return 5;
    return ok ? 0 : 6;
}

static void cache__in_a_read_only_folder_is_read(void **state)
{
    int status = -1;
    (void)state;
    if (geteuid() == 0)
        assert_int_equal(chown(scratch_path("."), NOBODY, NOBODY), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        as_child();
        _exit(as_nobody());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folder__is_for_the_user_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(folder__that_others_may_write_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(folder__of_another_user_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(folder__with_a_link_in_place_of_a_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(folder__on_a_network_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__opens_once_in_a_process, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__of_another_version_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__without_a_version_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__is_deleted_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__read_only_reads_and_lets_go, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__in_a_read_only_folder_is_read, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
