/* The map grows, in one process and under another's feet; readers that died do not hold pages for ever. */
#include "tests/cache/support.h"

#include "cache/env.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAP = 256 << 10, VALUE = 100000 };

static int setup(void **state)
{
    (void)state;
    (void)scratch_new();
    return mkdir(scratch_path("e"), 0700);
}

static int teardown(void **state)
{
    (void)state;
    scratch_free();
    return 0;
}

static void open_env(dr_env *e)
{
    dr_error err = {0};
    *e = (dr_env){0};
    if (dr_env__open(e, scratch_path("e"), 1, MAP, false, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

typedef struct put {
    int key, n_runs;
    size_t n;
} put;

static int put_value(MDB_txn *txn, void *arg, dr_error *err)
{
    static uint8_t value[VALUE];
    put *p = arg;
    MDB_dbi dbi;
    MDB_val k = {sizeof p->key, &p->key}, v = {p->n, value};
    (void)err;
    p->n_runs++;
    memset(value, p->key, sizeof value);
    const int rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    return rc ? rc : mdb_put(txn, dbi, &k, &v, 0);
}

static int fail_after_put(MDB_txn *txn, void *arg, dr_error *err)
{
    const int rc = put_value(txn, arg, err);
    return rc ? rc : dr_fail(err, DR_ERR_LIMIT, "said so");
}

static dr_status get_value(dr_env *e, int key)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    MDB_val k = {sizeof key, &key}, v;
    assert_int_equal(dr_env__read(e, &txn, NULL), DR_OK);
    int rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    if (rc == 0 && (rc = mdb_get(txn, dbi, &k, &v)) == 0) {
        assert_int_equal(v.mv_size, VALUE);
        assert_int_equal(((const uint8_t *)v.mv_data)[VALUE - 1], key);
    }
    const dr_status st = dr_env__status(e, rc, "reading", NULL);
    dr_env__read_end(e, txn);
    return st;
}

static void env__grows_its_map(void **state)
{
    dr_env e;
    bool grew = false;
    (void)state;
    open_env(&e);
    for (int i = 1; i <= 40; i++) {
        put p = {i, 0, VALUE};
        assert_int_equal(dr_env__update(&e, put_value, &p, NULL), DR_OK);
        grew = grew || p.n_runs > 1; /* done again in the larger map */
    }
    assert_true(grew);
    for (int i = 1; i <= 40; i++)
        assert_int_equal(get_value(&e, i), DR_OK);
    dr_env__close(&e);
}

static void env__undoes_a_write_that_fails(void **state)
{
    dr_env e;
    put p = {1, 0, VALUE};
    dr_error err = {0};
    (void)state;
    open_env(&e);
    assert_int_equal(dr_env__update(&e, fail_after_put, &p, &err), DR_ERR_LIMIT);
    assert_string_equal(err.msg, "said so");
    assert_int_equal(get_value(&e, 1), DR_ERR_NOT_FOUND);
    dr_env__close(&e);
}

static void env__notices_that_another_process_grew_the_map(void **state)
{
    dr_env e;
    int go[2], done[2], status = -1;
    char c = 0;
    (void)state;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(done), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        as_child();
        open_env(&e);
        (void)!write(done[1], "o", 1);
        (void)!read(go[0], &c, 1);
        /* Our map is the small one still. */
        for (int i = 1; i <= 40; i++)
            if (get_value(&e, i) != DR_OK)
                _exit(1);
        put p = {41, 0, VALUE};
        const dr_status st = dr_env__update(&e, put_value, &p, NULL);
        dr_env__close(&e);
        _exit(st == DR_OK ? 0 : 2);
    }
    open_env(&e);
    (void)!read(done[0], &c, 1);
    for (int i = 1; i <= 40; i++) {
        put p = {i, 0, VALUE};
        assert_int_equal(dr_env__update(&e, put_value, &p, NULL), DR_OK);
    }
    (void)!write(go[1], "g", 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(get_value(&e, 41), DR_OK);
    dr_env__close(&e);
    for (int i = 0; i < 2; i++) {
        (void)close(go[i]);
        (void)close(done[i]);
    }
}

/* A process dies inside a read transaction. Until its slot is cleared no page it could see is used again, and the file grows. */
static void env__frees_what_a_dead_reader_held(void **state)
{
    dr_env e;
    int done[2], status = -1, n_dead = -1;
    char c = 0;
    struct stat before, after;
    (void)state;
    assert_int_equal(pipe(done), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        MDB_txn *txn = NULL;
        as_child();
        open_env(&e);
        put p = {1, 0, VALUE};
        if (dr_env__update(&e, put_value, &p, NULL) != DR_OK || dr_env__read(&e, &txn, NULL) != DR_OK)
            _exit(1);
        (void)!write(done[1], "r", 1);
        (void)pause();
    }
    (void)!read(done[0], &c, 1);
    open_env(&e); /* while it lives, so that the lock file is not made anew */
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    dr_env__clear_dead_readers(&e);
    assert_int_equal(mdb_reader_check(e.env, &n_dead), 0);
    assert_int_equal(n_dead, 0);
    put p = {1, 0, VALUE};
    for (int i = 0; i < 4; i++)
        assert_int_equal(dr_env__update(&e, put_value, &p, NULL), DR_OK);
    assert_int_equal(fstat(e.fd, &before), 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(dr_env__update(&e, put_value, &p, NULL), DR_OK);
    assert_int_equal(fstat(e.fd, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    dr_env__close(&e);
    (void)close(done[0]);
    (void)close(done[1]);
}

static int wait_inside(MDB_txn *txn, void *arg, dr_error *err)
{
    const int *pipes = arg; /* ready, go on */
    char byte = 0;
    (void)txn;
    (void)err;
    return write(pipes[0], &byte, 1) == 1 && read(pipes[1], &byte, 1) >= 0 ? 0 : EIO;
}

/* A process stands still inside a write: others are told after a while, and read. */
static void env__waits_for_its_turn_but_not_for_ever(void **state)
{
    enum { WAIT_MS = 50 };
    dr_env e;
    int ready[2], go[2], status = -1;
    char byte = 0;
    dr_error err = {0};
    put p = {1, 0, VALUE};
    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        int pipes[2] = {ready[1], go[0]};
        as_child();
        (void)close(go[1]);
        open_env(&e);
        if (dr_env__update(&e, put_value, &p, NULL) != DR_OK || dr_env__update(&e, wait_inside, pipes, NULL) != DR_OK)
            _exit(1);
        dr_env__close(&e);
        _exit(0);
    }
    (void)!read(ready[0], &byte, 1);
    open_env(&e);
    e.turn_wait_ms = WAIT_MS;
    for (int i = 0; i < 2; i++) {
        put q = {2, 0, VALUE};
        assert_int_equal(dr_env__update(&e, put_value, &q, &err), DR_ERR_AGAIN);
        assert_int_equal(q.n_runs, 0);
        assert_non_null(strstr(err.msg, "another process has been writing"));
        assert_int_equal(get_value(&e, 1), DR_OK);
    }
    (void)close(go[1]); /* and it goes on */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    p = (put){2, 0, VALUE};
    assert_int_equal(dr_env__update(&e, put_value, &p, NULL), DR_OK);
    assert_int_equal(get_value(&e, 2), DR_OK);
    dr_env__close(&e);
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(go[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(env__grows_its_map, setup, teardown),
        cmocka_unit_test_setup_teardown(env__undoes_a_write_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(env__notices_that_another_process_grew_the_map, setup, teardown),
        cmocka_unit_test_setup_teardown(env__waits_for_its_turn_but_not_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(env__frees_what_a_dead_reader_held, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
