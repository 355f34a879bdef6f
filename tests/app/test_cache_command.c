/* `deepread cache`, as a program: what it prints, what it drops, what it refuses, and how a cache that cannot be used is told of. */
#include "base/bytes.h"
#include "tests/app/program.h"
#include "tests/app/sample_folder.h"
#include "tests/cache/support.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sample_folder folder;

/* Both outputs come together. */
static run program(const char *arguments)
{
    return program_run(NULL, folder.path, arguments, "2>&1");
}

static void says(const char *arguments, int exit, const char *part)
{
    run r = program(arguments);
    if (r.exit != exit || !strstr(r.out.data, part))
        fail_msg("%s: exit %d, \"%s\"", arguments, r.exit, r.out.data);
    dr_buf_free(&r.out);
}

/* The one object it prints; the caller's. */
static json_t *object(const char *arguments, const char *type)
{
    run r = program(arguments);
    json_t *o = json_loads(r.out.data, 0, NULL);
    if (r.exit != 0 || !o || strcmp(json_string_value(json_object_get(o, "type")), type) != 0)
        fail_msg("%s: exit %d, \"%s\"", arguments, r.exit, r.out.data);
    dr_buf_free(&r.out);
    return o;
}

static json_int_t number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v))
        fail_msg("no number \"%s\"", key);
    return json_integer_value(v);
}

static int setup(void **state)
{
    (void)state;
    (void)scratch_new();
    sample_folder_open(&folder);
    (void)setenv("XDG_CACHE_HOME", scratch_path(""), 1);
    (void)setenv("XDG_CONFIG_HOME", scratch_path("config"), 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sample_folder_close(&folder);
    scratch_free();
    return 0;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void cache__answers_with_objects(void **state)
{
    (void)state;
    run r = program("-C %R --quiet ask 'Where is main defined?'");
    dr_buf_free(&r.out);
    json_t *o = object("--json cache stat", "cache_stat");
    const json_int_t n = number(o, "anchors");
    assert_true(n > 0);
    assert_true(number(o, "written_today") > 0 && number(o, "written_today") <= number(o, "written_a_day_max"));
    assert_true(number(o, "kv_file_bytes") > 0);
    json_decref(o);
    o = object("--json cache verify", "cache_verify");
    assert_int_equal(number(o, "records"), n);
    json_decref(o);
    o = object("--json cache gc", "cache_gc");
    assert_int_equal(number(o, "evicted"), 0);
    json_decref(o);
    says("cache gc", 0, "0 records evicted");

    /* Another repository's purge drops nothing of this one. */
    assert_int_equal(mkdir(scratch_path("other"), 0700), 0);
    char arguments[300];
    (void)snprintf(arguments, sizeof arguments, "-C %s --json cache purge --repo", scratch_path("other"));
    o = object(arguments, "cache_purge");
    assert_int_equal(number(o, "dropped"), 0);
    json_decref(o);
    o = object("-C %R --json cache purge --repo", "cache_purge");
    assert_int_equal(number(o, "dropped"), n);
    json_decref(o);
    o = object("--json cache purge", "cache_purge");
    assert_non_null(json_object_get(o, "folder"));
    json_decref(o);
    assert_int_not_equal(access(scratch_path("deepread/kv"), F_OK), 0);
}

/* A repository that was deleted is purged by its path, however that is written; another name drops nothing. */
static void cache__purges_what_is_gone(void **state)
{
    static const char *const wrong[] = {"%s", "%s/place/", "%s/place/.."};
    char place[200], arguments[300], path[250];

    (void)state;
    assert_int_equal(mkdir(scratch_path("real"), 0700), 0);
    (void)snprintf(place, sizeof place, "%s", scratch_path("real/place"));
    assert_int_equal(mkdir(place, 0700), 0);
    write_text(scratch_path("real/place/a.c"), "int here;\n");
    assert_int_equal(symlink("real", scratch_path("link")), 0);
    (void)snprintf(arguments, sizeof arguments, "-C %s --quiet ask 'Where is here defined?'", place);
    run r = program(arguments);
    dr_buf_free(&r.out);
    json_t *o = object("--json cache stat", "cache_stat");
    const json_int_t n = number(o, "anchors");
    assert_true(n > 0);
    json_decref(o);
    assert_int_equal(unlink(scratch_path("real/place/a.c")), 0);
    assert_int_equal(rmdir(place), 0);

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)snprintf(path, sizeof path, wrong[i], scratch_path("x"));
        (void)snprintf(arguments, sizeof arguments, "-C %s --json cache purge --repo", path);
        if (strstr(path, "..")) {
            says(arguments, 2, "cannot be told");
            continue;
        }
        o = object(arguments, "cache_purge");
        assert_int_equal(number(o, "dropped"), 0);
        json_decref(o);
    }
    (void)snprintf(path, sizeof path, "%s/link/./place//", scratch_path(""));
    (void)snprintf(arguments, sizeof arguments, "-C %s --json cache purge --repo", path);
    o = object(arguments, "cache_purge");
    assert_int_equal(number(o, "dropped"), n);
    assert_string_equal(json_string_value(json_object_get(o, "repository")), place);
    json_decref(o);
}

static void cache__refuses_what_makes_no_sense(void **state)
{
    (void)state;
    says("cache", 2, "stat, verify, gc or purge");
    says("cache burn", 2, "stat, verify, gc or purge");
    says("cache stat --repo", 2, "--repo goes with purge");
    says("--no-cache cache stat", 2, "exclude each other");
}

static void cache__keeps_to_its_settings(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("config"), 0700), 0);
    assert_int_equal(mkdir(scratch_path("config/deepread"), 0700), 0);
    write_text(scratch_path("config/deepread/cache.json"), "{\"prefix_bytes\": \"3 GiB\", \"bytes_a_day\": \"1 MB\"}");
    json_t *o = object("--json cache stat", "cache_stat");
    assert_int_equal(number(o, "kv_max_bytes"), (json_int_t)3 << 30);
    assert_int_equal(number(o, "written_a_day_max"), 1000000);
    json_decref(o);
    run r = program("doctor");
    assert_non_null(strstr(r.out.data, " of 3221 MB of prefixes"));
    assert_non_null(strstr(r.out.data, " of 1 MB written today"));
    dr_buf_free(&r.out);
    write_text(scratch_path("config/deepread/cache.json"), "{\"prefixbytes\": 5}");
    says("cache stat", 2, "\"prefixbytes\" is none of");
    says("doctor", 1, "\"prefixbytes\" is none of");
    says("-C %R ask hello", 2, "cache.json");
}

/* A folder that is refused is told of once, and the answer comes without it. */
static void cache__that_is_refused_does_not_stop_an_answer(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("deepread"), 0700), 0);
    assert_int_equal(chmod(scratch_path("deepread"), 0777), 0);
    says("-C %R tool find_symbol main", 0, "may be written by others");
    run r = program("-C %R --no-cache tool find_symbol main");
    assert_int_equal(r.exit, 0);
    assert_null(strstr(r.out.data, "written by others"));
    dr_buf_free(&r.out);
    says("cache stat", 2, "no cache");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cache__answers_with_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__purges_what_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__refuses_what_makes_no_sense, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__keeps_to_its_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(cache__that_is_refused_does_not_stop_an_answer, setup, teardown),
    };
    return cmocka_run_group_tests_name("cache command", tests, NULL, NULL);
}
