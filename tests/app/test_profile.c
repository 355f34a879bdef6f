/* deepread.json: the bundled one reads, a folder without one gets defaults, mistakes are named. */
#include "app/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void profile__bundled(void **state)
{
    (void)state;
    dr_profile p;
    dr_error err = {0};
    if (dr_profile_open(&p, "models/nano", &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(p.name, "nano");
    assert_int_equal(p.pack_mode, DR_PACK_MAP);
    assert_false(p.thinking);
    assert_true(p.known);
    assert_int_equal(p.n_tools, 20);
    assert_true(p.n_forms >= 3);
    assert_true(p.sampling.temperature == 0.0f);
    dr_profile_fini(&p);
}

static dr_status open_text(dr_profile *p, const char *json, dr_error *err)
{
    char dir[] = "/tmp/deepread-test-XXXXXX", path[80];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/deepread.json", dir);
    if (json)
        assert_int_equal(dr_write_file(path, json, strlen(json), NULL), DR_OK);
    const dr_status st = dr_profile_open(p, dir, err);
    (void)unlink(path);
    (void)rmdir(dir);
    return st;
}

static void profile__defaults_without_a_file(void **state)
{
    (void)state;
    dr_profile p;
    assert_int_equal(open_text(&p, NULL, NULL), DR_OK);
    assert_int_equal(p.pack_mode, DR_PACK_FULL);
    assert_int_equal(p.n_forms, 0);
    assert_int_equal(p.n_tools, 12);
    assert_int_equal(p.drafts, 1);
    dr_profile_fini(&p);
}

static void profile__known(void **state)
{
    (void)state;
    dr_profile p;
    assert_int_equal(open_text(&p, "{}", NULL), DR_OK);
    assert_false(p.known);
    dr_profile_fini(&p);
    assert_int_equal(open_text(&p, "{\"known\": true}", NULL), DR_OK);
    assert_true(p.known);
    dr_profile_fini(&p);
}

static void profile__drafts(void **state)
{
    (void)state;
    dr_profile p;
    assert_int_equal(open_text(&p, "{\"drafts\": 4}", NULL), DR_OK);
    assert_int_equal(p.drafts, 4);
    dr_profile_fini(&p);
    assert_int_equal(open_text(&p, "{\"drafts\": 0}", NULL), DR_OK);
    assert_int_equal(p.drafts, 0);
    dr_profile_fini(&p);
}

#define ANSWER(text) "{\"answers\": [{\"text\": \"" text "\", \"status\": \"answered\"}]}"

static void profile__mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } bad[] = {
        {"[]", "one JSON object"},
        {"{\"format\": 2}", "\"format\""},
        {"{\"colour\": 1}", "\"colour\""},
        {"{\"pack\": {\"mode\": \"half\"}}", "full, map or none"},
        {"{\"pack\": {\"size\": 1}}", "\"size\""},
        {"{\"tools\": [\"rm\"]}", "\"rm\" is not a tool"},
        {"{\"sampling\": {\"temperature\": -1}}", "temperature"},
        {"{\"sampling\": {\"top_p\": 2}}", "top_p"},
        {"{\"result_lines\": 0}", "result_lines"},
        {"{\"known\": 1}", "\"known\" is true or false"},
        {"{\"drafts\": 5}", "\"drafts\": expected a whole number from 0 to 4"},
        {"{\"answers\": [{\"text\": \"x\"}]}", "needs \"text\" and \"status\""},
        {"{\"answers\": [{\"text\": \"x\", \"status\": \"answered\", \"check\": \"never\"}]}", "is called \"never\""},
        {"{\"answers\": [{\"text\": \"x\", \"status\": \"answered\", \"check\": 5}]}", "\"check\" is a text"},
        {ANSWER("at {plaec}"), "unknown hole {plaec}"},
        {ANSWER("at {cite"), "unbalanced braces"},
        {ANSWER("at cite}"), "unbalanced braces"},
        {ANSWER("{\\n- {cite}} and {\\n- {cite}}"), "more than one group"},
        {ANSWER("{\\n- {yes|no}}"), "without a hole"},
        {ANSWER("{yes||no}"), "an empty word"},
        {ANSWER("{yes|no} {yes|no}"), "more than one choice"},
        {ANSWER("{a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q}"), "more than 16 words"},
        {ANSWER("{}"), "unknown hole {}"},
        {"{\"answers\": [{\"text\": \"x\", \"status\": \"answered\", \"chek\": \"used\"}]}", "has a key other"},
        {"{\"answers\": [{\"text\": \"x\", \"status\": \"declined\"}]}", "\"mode\": \"chat\""},
        {"{\"pack\": 5}", "\"pack\": expected an object"},
        {"{\"sampling\": []}", "\"sampling\": expected an object"},
        {"{\"name\": \"a\", \"name\": \"b\"}", "duplicate"},
        {"{", "deepread.json"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dr_profile p;
        dr_error err = {0};
        assert_int_equal(open_text(&p, bad[i].json, &err), DR_ERR_FORMAT);
        if (!strstr(err.msg, bad[i].says))
            fail_msg("%s gave \"%s\", not \"... %s ...\"", bad[i].json, err.msg, bad[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile__bundled),
        cmocka_unit_test(profile__defaults_without_a_file),
        cmocka_unit_test(profile__known),
        cmocka_unit_test(profile__drafts),
        cmocka_unit_test(profile__mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
