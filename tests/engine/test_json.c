#include "engine/json.h"
#include "engine/unicode.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a text is written back as, or NULL when it is refused. */
static const char *rewrite(dr_buf *out, dr_str text, dr_error *err)
{
    dr_json_doc doc;

    dr_buf_clear(out);
    if (dr_json_parse(&doc, text, "text", err) != DR_OK)
        return NULL;
    dr_json_write(out, doc.root);
    dr_json_free(&doc);
    return out->data;
}

static void json__is_written_as_python_writes_it(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {" { \"b\" : [ 1 , 2 ] ,\t\"a\" : { } , \"c\":[]}\n", "{\"b\": [1, 2], \"a\": {}, \"c\": []}"},
        {"[true,false,null]", "[true, false, null]"},
        {"\"\\u00e9\\/\\\"\\\\\\n\\r\\t\\b\\f\\u001f\\u007f\\ud83d\\ude42\"", "\"\xc3\xa9/\\\"\\\\\\n\\r\\t\\b\\f\\u001f\x7f\xf0\x9f\x99\x82\""},
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\": 3, \"b\": 2}"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"-0", "0"},
        {"-0.0", "-0.0"},
        {"1.0", "1.0"},
        {"1.50", "1.5"},
        {"0.1", "0.1"},
        {"1e2", "100.0"},
        {"1E20", "1e+20"},
        {"1e16", "1e+16"},
        {"1e15", "1000000000000000.0"},
        {"123456789012345680.0", "1.2345678901234568e+17"},
        {"1234567890123456.7", "1234567890123456.8"},
        {"0.0001", "0.0001"},
        {"0.00001", "1e-05"},
        {"1.5e-7", "1.5e-07"},
        {"5e-324", "5e-324"},
        {"2.2250738585072014e-308", "2.2250738585072014e-308"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"1e400", "Infinity"},
        {"-1e400", "-Infinity"},
        {"9007199254740993.0", "9007199254740992.0"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"-12.75", "-12.75"},
    };
    dr_buf out = {0};
    dr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = rewrite(&out, dr_str_of(cases[i].in), &err);
        assert_non_null(got);
        assert_string_equal(got, cases[i].out);
    }
    dr_buf_free(&out);
}

static void json__floats_survive_any_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C.UTF-8"};
    dr_buf out = {0};
    dr_error err;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)setlocale(LC_ALL, names[i]); /* where it is not installed nothing changes */
        assert_string_equal(rewrite(&out, DR_STR("[1.5,2.25e-9]"), &err), "[1.5, 2.25e-09]");
    }
    (void)setlocale(LC_ALL, "C");
    dr_buf_free(&out);
}

/* Any double written with 17 digits comes back as a shorter text of the same double. */
static void json__floats_round_trip(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    dr_buf out = {0};
    dr_error err;
    char text[64];
    for (int i = 0; i < 20000; i++) {
        double v, back;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(&v, &x, sizeof v);
        if (v != v || v - v != 0)
            continue;
        (void)snprintf(text, sizeof text, "%.17e", v);
        const char *got = rewrite(&out, dr_str_of(text), &err);
        back = strtod(got, NULL);
        assert_memory_equal(&back, &v, sizeof v);
        assert_true(strlen(got) <= strlen(text));
    }
    dr_buf_free(&out);
}

static void json__bad_text_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        dr_str in;
        const char *says;
    } cases[] = {
        {DR_STR(""), "a value is expected"},
        {DR_STR("[1,]"), "a value is expected"},
        {DR_STR("{\"a\":1,}"), "a key in quotes"},
        {DR_STR("{\"a\" 1}"), "':' is expected"},
        {DR_STR("{\"a\":1]"), "',' or '}'"},
        {DR_STR("[1 2]"), "',' or ']'"},
        {DR_STR("[1"), "',' or ']'"},
        {DR_STR("01"), "not a number"},
        {DR_STR("1."), "not a number"},
        {DR_STR("-"), "not a number"},
        {DR_STR("1e"), "not a number"},
        {DR_STR("+1"), "a value is expected"},
        {DR_STR("NaN"), "a value is expected"},
        {DR_STR("tru"), "a value is expected"},
        {DR_STR("\"a"), "does not end"},
        {DR_STR("\"a\nb\""), "control character"},
        {DR_STR("\"\\x\""), "no such escape"},
        {DR_STR("\"\\u12x4\""), "hexadecimal"},
        {DR_STR("\"\\u12"), "cut off"},
        {DR_STR("\"\\ud800\""), "lone surrogate"},
        {DR_STR("\"\\udc00\""), "lone surrogate"},
        {DR_STR("\"\\ud800\\u0041\""), "lone surrogate"},
        {DR_STR("\"\xff\""), "not UTF-8"},
        {DR_STR("\"\xed\xa0\x80\""), "not UTF-8"},
        {DR_STR("\xef\xbb\xbf{}"), "a value is expected"},
        {DR_STR("1 1"), "text after the end"},
        {DR_STR("[\n\n x]"), "line 3"},
    };
    dr_buf out = {0};
    dr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(rewrite(&out, cases[i].in, &err));
        assert_int_equal(err.code, DR_ERR_FORMAT);
        assert_non_null(strstr(err.msg, cases[i].says));
    }
    dr_buf_free(&out);
}

static void json__depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * (DR_JSON_DEPTH + 1) + 1];
    dr_buf out = {0};
    dr_error err;
    for (int depth = DR_JSON_DEPTH; depth <= DR_JSON_DEPTH + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(rewrite(&out, (dr_str){text, 2 * (size_t)depth}, &err) != NULL, depth == DR_JSON_DEPTH);
    }
    dr_buf_free(&out);
}

static void json__members_and_whole_numbers_are_found(void **state)
{
    (void)state;
    dr_json_doc doc;
    int64_t v;
    assert_int_equal(dr_json_parse(&doc,
                                   DR_STR("{\"a\":{\"x\":[1,[2]]},\"b\":9223372036854775807,\"c\":-9223372036854775808,"
                                          "\"d\":9223372036854775808,\"e\":1.0,\"b\":7,\"f\":\"1\"}"),
                                   "text", NULL),
                     DR_OK);
    assert_int_equal(dr_json_get(dr_json_get(doc.root, "a"), "x")->n, 2);
    assert_null(dr_json_get(doc.root, "x"));
    assert_null(dr_json_get(dr_json_get(doc.root, "b"), "x"));
    assert_null(dr_json_get(NULL, "x"));
    assert_true(dr_json_int(dr_json_get(doc.root, "b"), &v) && v == 7); /* the last one counts */
    assert_true(dr_json_int(dr_json_get(doc.root, "c"), &v) && v == INT64_MIN);
    assert_false(dr_json_int(dr_json_get(doc.root, "d"), &v));
    assert_false(dr_json_int(dr_json_get(doc.root, "e"), &v));
    assert_false(dr_json_int(dr_json_get(doc.root, "f"), &v));
    assert_false(dr_json_int(NULL, &v));
    dr_json_free(&doc);
    assert_int_equal(dr_json_parse(&doc, DR_STR("9223372036854775807"), "text", NULL), DR_OK);
    assert_true(dr_json_int(doc.root, &v) && v == INT64_MAX);
    dr_json_free(&doc);
}

static void json__written_strings_are_always_json(void **state)
{
    (void)state;
    dr_buf out = {0};
    dr_json_write_string(&out, DR_STR("a\xff\xe4\xb8z\"\x01"));
    assert_string_equal(out.data, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\\\"\\u0001\"");
    dr_buf_clear(&out);
    dr_json_write_string(&out, DR_STR(""));
    assert_string_equal(out.data, "\"\"");
    dr_buf_free(&out);
}

static void json__failed_allocations_are_reported(void **state)
{
    (void)state;
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_buf out = {0};
        dr_json_doc doc;
        dr_error err;
        alloc_fail_at(at);
        const dr_status st = dr_json_parse(&doc, DR_STR("{\"a\":[1,2.5e0,\"\\n\"],\"b\":{}}"), "text", &err);
        if (st == DR_OK)
            dr_json_write(&out, doc.root);
        failed = alloc_fail_off();
        assert_int_equal(failed, st == DR_ERR_NOMEM || out.failed);
        dr_json_free(&doc);
        dr_buf_free(&out);
    }
}

static void unicode__only_shortest_forms_decode(void **state)
{
    (void)state;
    uint32_t c;
    char text[4];
    for (uint32_t want = 0; want <= 0x110000; want++) {
        if (want >= 0xd800 && want < 0xe000)
            continue;
        const size_t n = dr_utf8_encode(text, want);
        assert_int_equal(dr_utf8_decode(&c, text, n), want < 0x110000 ? n : 0);
        if (want == 0x110000)
            break;
        assert_int_equal(c, want);
        if (n > 1)
            assert_int_equal(dr_utf8_decode(&c, text, n - 1), 0);
    }
    static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe4z", "\xe4\xb8z", "\xf0\x9f\x99z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(dr_utf8_decode(&c, bad[i], strlen(bad[i])), 0);
    assert_int_equal(dr_utf8_prefix("0123456789abcdef\xc3\xa9ghijklmnop\xff", 29), 28);
    assert_int_equal(dr_utf8_prefix("", 0), 0);
}

static void unicode__classes_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        uint32_t c;
        uint8_t class;
    } cases[] = {
        {'A', DR_UNICODE_L}, {'5', DR_UNICODE_N}, {'_', DR_UNICODE_P}, {'~', DR_UNICODE_S}, {0x300, DR_UNICODE_M},
        {' ', DR_UNICODE_SPACE | DR_UNICODE_OTHER}, {'\n', DR_UNICODE_SPACE | DR_UNICODE_OTHER}, {0, DR_UNICODE_OTHER},
        {0x85, DR_UNICODE_SPACE | DR_UNICODE_OTHER}, {0x180e, DR_UNICODE_OTHER}, {0x378, 0}, {0x4e00, DR_UNICODE_L},
        {0x9fff, DR_UNICODE_L}, {0x30fb, DR_UNICODE_P}, {0x3007, DR_UNICODE_N}, {0x1f642, DR_UNICODE_S}, {0x10ffff, 0},
        {0x10fffd, DR_UNICODE_OTHER}, {0x1c89, DR_UNICODE_L}, /* new in Unicode 16 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(dr_unicode_class(cases[i].c), cases[i].class);
    for (size_t i = 1; i < dr_unicode__n_runs; i++)
        assert_true(dr_unicode__runs[i - 1] >> 8 < dr_unicode__runs[i] >> 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__is_written_as_python_writes_it),
        cmocka_unit_test(json__floats_survive_any_locale),
        cmocka_unit_test(json__floats_round_trip),
        cmocka_unit_test(json__bad_text_is_refused_with_its_line),
        cmocka_unit_test(json__depth_is_bounded),
        cmocka_unit_test(json__members_and_whole_numbers_are_found),
        cmocka_unit_test(json__written_strings_are_always_json),
        cmocka_unit_test(json__failed_allocations_are_reported),
        cmocka_unit_test(unicode__only_shortest_forms_decode),
        cmocka_unit_test(unicode__classes_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
