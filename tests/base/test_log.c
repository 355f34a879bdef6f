#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 4, LINES = 200 };

static char path[64];

static int make_file(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/deepread-log-XXXXXX");
    const int fd = mkstemp(path);
    return fd >= 0 && close(fd) == 0 && unlink(path) == 0 ? 0 : -1;
}

static int remove_file(void **state)
{
    (void)state;
    dr_log_close();
    (void)unlink(path);
    return 0;
}

static void log__is_silent_until_opened(void **state)
{
    (void)state;
    dr_log("test", "into the void %d", 1);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void log__lines_have_time_module_and_text(void **state)
{
    (void)state;
    dr_error err = {0};
    struct stat sb;
    char line[200], module[32], text[64];
    double before = -1, seconds;

    assert_int_equal(dr_log_open(path, &err), DR_OK);
    dr_log("engine", "loaded %s", "nano");
    dr_log("cache", "second");
    dr_log_close();
    dr_log("cache", "after the end");
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);

    FILE *f = fopen(path, "r");
    assert_non_null(f);
    static const char *const want[][2] = {{"engine", "loaded nano"}, {"cache", "second"}};
    for (int i = 0; i < 2; i++) {
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(sscanf(line, "%lf %31s %63[^\n]", &seconds, module, text), 3);
        assert_true(seconds >= before && seconds < 60);
        before = seconds;
        assert_string_equal(module, want[i][0]);
        assert_string_equal(text, want[i][1]);
    }
    assert_null(fgets(line, sizeof line, f));
    (void)fclose(f);
}

static void log__cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    dr_error err = {0};
    assert_int_equal(dr_log_open("/nonexistent/log", &err), DR_ERR_IO);
    assert_non_null(strstr(err.msg, "/nonexistent/log"));
    dr_log("test", "still silent");
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        dr_log("thread", "%s %d of a line long enough to be torn apart", (const char *)arg, i);
    return NULL;
}

static void log__lines_of_several_threads_stay_whole(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREADS];
    int next[THREADS] = {0};
    char line[200], name;
    int number, n = 0;

    assert_int_equal(dr_log_open(path, NULL), DR_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    dr_log_close();

    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f); n++) {
        assert_int_equal(sscanf(line, "%*f thread %c %d of a line long enough to be torn apart\n", &name, &number), 2);
        assert_int_equal(number, next[name - 'a']++);
    }
    (void)fclose(f);
    assert_int_equal(n, THREADS * LINES);
}

static void log__clocks_move_forward(void **state)
{
    (void)state;
    const uint64_t wall = dr_clock_us(), cpu = dr_cpu_us();
    unsigned turns = 0;
    while (dr_cpu_us() - cpu < 2000)
        turns++;
    assert_true(dr_clock_us() - wall >= 1000 && turns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log__is_silent_until_opened, make_file, remove_file),
        cmocka_unit_test_setup_teardown(log__lines_have_time_module_and_text, make_file, remove_file),
        cmocka_unit_test(log__cannot_be_opened_is_an_error),
        cmocka_unit_test_setup_teardown(log__lines_of_several_threads_stay_whole, make_file, remove_file),
        cmocka_unit_test(log__clocks_move_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
