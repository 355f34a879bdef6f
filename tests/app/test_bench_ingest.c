/* What the report of `bench ingest` must hold on a made-up repository, and that nothing of it stays behind. */
#include "app/bench_ingest.h"
#include "tests/repo/make_repo.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { N_COMMITS = 4 };

static world w;

static int set_up(void **state)
{
    (void)state;
    w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    for (int i = 0; i < N_COMMITS; i++) {
        dr_buf text = {0};
        for (int line = 0; line < 50 + i; line++)
            dr_buf_printf(&text, "int value_%d(void)\n{\n    return %d;\n}\n", line, line);
        write_file(in(&w, "r/values.c"), text.data, text.n);
        dr_buf_free(&text);
        (void)commit_all(git, "step");
    }
    git_repository_free(git);
    assert_int_equal(setenv("XDG_CACHE_HOME", in(&w, "cache"), 1), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static double figure(const json_t *report, const char *key)
{
    const json_t *v = json_object_get(report, key);
    if (!v)
        fail_msg("no figure %s", key);
    return json_real_value(v);
}

static int n_left(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(d);
    return n;
}

static void bench_ingest__measures_every_case_and_leaves_nothing(void **state)
{
    static const char *const cases[] = {"cold", "warm", "commit", "cold_symbols", "warm_symbols", "commit_symbols"};
    (void)state;
    dr_error err = {0};
    dr_output out = {.json = true};
    json_t *report = json_object();
    char path[300];
    (void)snprintf(path, sizeof path, "%s", in(&w, "r"));
    const dr_options opt = {.path = path, .model = "models/nano", .budget = -1, .seed = -1, .threads = 2};
    if (dr_bench_ingest(&opt, report, &out, NULL, &err) != DR_OK)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s_wall_ms", cases[i]);
        const double wall = figure(report, key);
        (void)snprintf(key, sizeof key, "%s_files_ms", cases[i]);
        assert_true(figure(report, key) > 0 && figure(report, key) < wall);
        (void)snprintf(key, sizeof key, "%s_peak_mb", cases[i]);
        assert_true(figure(report, key) > 1);
        (void)snprintf(key, sizeof key, "%s_runs", cases[i]);
        assert_true(figure(report, key) >= 1);
    }
    assert_true(figure(report, "commit_runs") == N_COMMITS - 1); /* the first has none before it */
    assert_true(figure(report, "files") == 1);
    assert_true(figure(report, "symbols") == 50 + N_COMMITS - 1);
    assert_true(figure(report, "tokens") > 500);
    assert_true(figure(report, "tokenize_mb_s") > 0);
    assert_true(figure(report, "tool_hit_us") > 0);
    assert_int_equal(n_left(in(&w, "cache")), 0);
    json_decref(report);
}

static void bench_ingest__says_what_failed(void **state)
{
    (void)state;
    dr_error err = {0};
    dr_output out = {.json = true};
    json_t *report = json_object();
    char path[300];
    (void)snprintf(path, sizeof path, "%s", in(&w, "nowhere"));
    const dr_options opt = {.path = path, .model = "models/nano", .budget = -1, .seed = -1, .threads = 1};
    assert_int_equal(dr_bench_ingest(&opt, report, &out, NULL, &err), DR_ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "nowhere"));
    assert_int_equal(n_left(in(&w, "cache")), 0);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bench_ingest__measures_every_case_and_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bench_ingest__says_what_failed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
