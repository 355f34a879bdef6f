#include "tests/repo/make_repo.h"

#include "repo/text.h"

#include <string.h>

#define BAD "\xef\xbf\xbd"

static void assert_excerpt(const char *line, size_t n, size_t max, const char *want)
{
    dr_buf b = {0};
    dr_text_excerpt(&b, (dr_str){line, n}, max);
    assert_string_equal(b.data ? b.data : "", want);
    dr_buf_free(&b);
}

static void excerpt__one_safe_line(void **state)
{
    (void)state;
#define LINE(s) s, sizeof s - 1
    assert_excerpt(LINE("  int \t x  =  1;\r"), 0, "int x = 1;");
    assert_excerpt(LINE(""), 60, "");
    assert_excerpt(LINE(" \t "), 60, "");
    assert_excerpt(LINE("abcdef"), 4, "abcd");
    assert_excerpt(LINE("abc def"), 4, "abc"); /* no blank at the end */
    assert_excerpt(LINE("abc def"), 5, "abc d");
    assert_excerpt(LINE("ab\xc3\xa9z"), 3, "ab"); /* not half a character */
    assert_excerpt(LINE("ab\xc3\xa9z"), 4, "ab\xc3\xa9");
    assert_excerpt(LINE("a\x1b[31mb"), 0, "a" BAD "[31mb");
    assert_excerpt(LINE("caf\xe9 x"), 0, "caf" BAD " x");
    assert_excerpt(LINE("a\0b"), 0, "a" BAD "b");
    assert_excerpt(LINE("a\xe2\x80\xae"
                        "b"),
                   0, "a" BAD "b");
    assert_excerpt(LINE("\xed\xa0\x80"), 0, BAD BAD BAD);
    assert_excerpt(LINE("\xc2\x9b"), 0, BAD);
    dr_buf b = {0};
    dr_text_show(&b, DR_STR("\t  if (x)\x07 \r\n"), 0);
    assert_string_equal(b.data, "\t  if (x)" BAD " ");
    dr_buf_free(&b);
}

static void lines__as_git_counts_them(void **state)
{
    static const char text[] = "one\n\nthree\r\nlast";
    dr_text_lines l;
    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        const dr_str t = {text, cut};
        assert_int_equal(dr_text_lines_init(&l, t, NULL), DR_OK);
        assert_int_equal(l.n, dr_text_n_lines(t));
        for (uint32_t i = 0; i < 7; i++) {
            const dr_str a = dr_text_lines_get(&l, i), b = dr_text_line_at(t, i);
            assert_true(dr_str_eq(a, b));
            assert_true((a.s == NULL) == (i == 0 || i > l.n));
        }
        dr_text_lines_fini(&l);
    }
    assert_int_equal(dr_text_n_lines(DR_STR(text)), 4);
    assert_true(dr_str_eq(dr_text_line_at(DR_STR(text), 3), DR_STR("three\r")));
    assert_int_equal(dr_text_n_lines(DR_STR("a\n")), 1);
    assert_int_equal(dr_text_n_lines(DR_STR("\n\n")), 2);
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void unit__borders_never_merge(void **state)
{
    (void)state;
    static const char *const paths[] = {"src/a.c", "odd_", "x+", "caf\xc3\xa9", "a b/c-"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        dr_buf b = {0};
        dr_text_unit_head(&b, dr_str_of(paths[i]), 12);
        assert_true(is_alnum(b.data[0]) && is_alnum(b.data[b.n - 1]));
        dr_buf_free(&b);
    }
    static const struct {
        dr_str in;
        const char *out;
    } bodies[] = {{{"a\n", 2}, "\na\n"},
                  {{"a", 1}, "\na\n"},
                  {{"", 0}, "\n"},
                  {{"\n", 1}, "\n\n"},
                  {{"a\xff"
                    "b\0",
                    4},
                   "\na" BAD "b" BAD "\n"},
                  {{"\xc3", 1}, "\n" BAD "\n"},
                  {{"\xc3\xa9\r\n", 4}, "\n\xc3\xa9\r\n"}};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        dr_buf b = {0};
        dr_text_unit_body(&b, bodies[i].in);
        assert_string_equal(b.data, bodies[i].out);
        assert_true(dr_text_is_utf8(dr_buf_view(&b)));
        dr_buf_free(&b);
    }
}

static void assert_map(const dr_repo *r, const dr_symbols *s, const char *path, size_t max, const char *want)
{
    dr_buf b = {0};
    size_t i;
    assert_true(dr_repo_find(r, dr_str_of(path), &i));
    dr_text_map_line(&b, dr_str_of(path), s, i, max);
    assert_string_equal(b.data, want);
    dr_buf_free(&b);
}

static void map_line__top_level_names(void **state)
{
    world w = world_begin();
    dr_symbols *s = NULL;
    (void)state;
    write_text(in(&w, "p/a.c"), "struct one { int member; };\nint proto(void);\nint two(int a)\n{\n    return "
                                "a;\n}\n#define THREE 3\nint two(void) { return 0; }\n");
    write_text(in(&w, "p/b.cc"), "namespace n {\nclass Box {\n public:\n  int inside() { return 1; }\n};\n}\nint "
                                 "n::Box::outside() { return 2; }\n");
    write_text(in(&w, "p/c.py"), "class A:\n    def m(self):\n        pass\ndef f():\n    def g(): pass\n");
    write_text(in(&w, "p/readme"), "text\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_symbols_open(&s, r, NULL, NULL), DR_OK);
    assert_map(r, s, "a.c", 0, "a.c: one two THREE");
    assert_map(r, s, "a.c", 12, "a.c: one two");
    assert_map(r, s, "a.c", 11, "a.c: one");
    assert_map(r, s, "a.c", 5, "a.c");
    assert_map(r, s, "b.cc", 0, "b.cc: Box outside");
    assert_map(r, s, "c.py", 0, "c.py: A f");
    assert_map(r, s, "readme", 0, "readme");
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(excerpt__one_safe_line),
        cmocka_unit_test(lines__as_git_counts_them),
        cmocka_unit_test(unit__borders_never_merge),
        cmocka_unit_test(map_line__top_level_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
