/* Sizes as people write them, and the settings file: each fault of it is named. */
#include "app/cache_settings.h"
#include "tests/cache/support.h"

#include <stdio.h>
#include <string.h>

static void settings__sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"1", 1},
                {"16 GiB", INT64_C(16) << 30},
                {"16G", INT64_C(16) << 30},
                {"500 MB", 500000000},
                {"500mb", 500000000},
                {"1.5K", 1536},
                {"2T", INT64_C(2) << 40},
                {"77 B", 77}};
    static const char *const bad[] = {"", "x", "-1", "0", "5 X", "5 GiBs", "1e30", "9999999T", "G", "5 i", " 5", "inf", "nan"};
    int64_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!dr_parse_bytes(&n, good[i].text) || n != good[i].bytes)
            fail_msg("%s: %lld", good[i].text, (long long)n);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (dr_parse_bytes(&n, bad[i]))
            fail_msg("\"%s\" was taken for %lld", bad[i], (long long)n);
}

static dr_status read_text(dr_cache_options *o, const char *text, dr_error *err)
{
    FILE *f = fopen(scratch_path("cache.json"), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return dr_cache_settings_read(o, scratch_path("cache.json"), err);
}

static void settings__are_read_or_refused_by_name(void **state)
{
    static const struct {
        const char *text, *part;
    } bad[] = {{"[]", "not an object"},
               {"{\"prefix_bytes\": \n x", ":2:"},
               {"{\"prefix\": 5}", "\"prefix\" is none of"},
               {"{\"prefix_bytes\": -5}", "must be a size"},
               {"{\"bytes_a_day\": \"much\"}", "\"bytes_a_day\" must be a size"},
               {"{\"fact_bytes\": 1.5}", "must be a size"},
               {"{\"fact_bytes\": 5, \"fact_bytes\": 6}", "duplicate"}};
    dr_cache_options o = {.kv_max_bytes = 9};
    dr_error err = {0};

    (void)state;
    (void)scratch_new();
    assert_int_equal(dr_cache_settings_read(&o, scratch_path("none.json"), &err), DR_OK);
    assert_int_equal(o.kv_max_bytes, 0);
    assert_int_equal(read_text(&o, "{\"prefix_bytes\": \"2 GiB\", \"bytes_a_day\": 1000}", &err), DR_OK);
    assert_int_equal(o.kv_max_bytes, INT64_C(2) << 30);
    assert_int_equal(o.kv_day_bytes, 1000);
    assert_int_equal(o.facts_max_bytes, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.kv_max_bytes = 9;
        assert_int_equal(read_text(&o, bad[i].text, &err), DR_ERR_ARG);
        if (!strstr(err.msg, bad[i].part) || !strstr(err.msg, "cache.json"))
            fail_msg("%s: %s", bad[i].text, err.msg);
        assert_int_equal(o.kv_max_bytes, 0);
    }
    scratch_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(settings__sizes_are_read), cmocka_unit_test(settings__are_read_or_refused_by_name)};
    return cmocka_run_group_tests_name("cache settings", tests, NULL, NULL);
}
