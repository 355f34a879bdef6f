#include "repo/attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static bool match(const char *pattern, const char *text)
{
    return dr_attributes__match(dr_str_of(pattern), dr_str_of(text));
}

static void patterns_match_as_git_does(void **state)
{
    (void)state;
    assert_true(match("*.c", "a.c"));
    assert_false(match("*.c", "a.cc"));
    assert_false(match("*.c", "d/a.c"));
    assert_true(match("a?c", "abc"));
    assert_false(match("a?c", "a/c"));
    assert_true(match("**/x", "x"));
    assert_true(match("**/x", "a/b/x"));
    assert_false(match("**/x", "a/bx"));
    assert_true(match("a/**", "a/b/c"));
    assert_false(match("a/**", "a"));
    assert_true(match("a/**/b", "a/b"));
    assert_true(match("a/**/b", "a/x/y/b"));
    assert_true(match("[a-c]x", "bx"));
    assert_false(match("[!a-c]x", "bx"));
    assert_true(match("[]]x", "]x"));
    assert_false(match("[ab", "a"));
    assert_true(match("\\*", "*"));
    assert_false(match("\\*", "a"));
    assert_true(match("", ""));
    assert_false(match("", "a"));
}

static void a_pattern_that_backtracks_gives_up(void **state)
{
    char text[200];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_false(match("*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void later_lines_and_deeper_files_win(void **state)
{
    (void)state;
    dr_attributes *a = dr_attributes__new();
    assert_non_null(a);
    const dr_str root =
        DR_STR("# comment\n*.js linguist-vendored\nlib/*.js -linguist-vendored linguist-generated=true\n"
               "\"with blank.c\" binary\n/only.c binary\n!bad binary\n*.o\tbinary\r\n[attr]mine binary\nempty\n");
    const dr_str deep = DR_STR("x.js linguist-generated=false\ny.js !linguist-generated");
    assert_int_equal(dr_attributes__add(a, DR_STR(""), root, NULL), DR_OK);
    assert_int_equal(dr_attributes__add(a, DR_STR("lib"), deep, NULL), DR_OK);

    dr_attr_set s = dr_attributes__get(a, DR_STR("q/z.js"));
    assert_int_equal(s.vendored, 1);
    assert_int_equal(s.generated, -1);
    s = dr_attributes__get(a, DR_STR("lib/z.js"));
    assert_int_equal(s.vendored, 0);
    assert_int_equal(s.generated, 1);
    assert_int_equal(dr_attributes__get(a, DR_STR("lib/x.js")).generated, 0);
    assert_int_equal(dr_attributes__get(a, DR_STR("lib/y.js")).generated, -1);
    assert_int_equal(dr_attributes__get(a, DR_STR("library/x.js")).generated, -1);
    assert_int_equal(dr_attributes__get(a, DR_STR("d/with blank.c")).binary, 1);
    assert_int_equal(dr_attributes__get(a, DR_STR("only.c")).binary, 1);
    assert_int_equal(dr_attributes__get(a, DR_STR("d/only.c")).binary, -1);
    assert_int_equal(dr_attributes__get(a, DR_STR("a.o")).binary, 1);
    assert_int_equal(dr_attributes__get(a, DR_STR("bad")).binary, -1);
    dr_attributes__free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_git_does),
        cmocka_unit_test(a_pattern_that_backtracks_gives_up),
        cmocka_unit_test(later_lines_and_deeper_files_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
