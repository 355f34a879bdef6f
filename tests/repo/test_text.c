#include "tests/repo/make_repo.h"

#include "repo/text.h"

#include <stdio.h>
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

/* Every definition's signature, comment and kind, of one made-up file. */
static void assert_signatures(const char *path, const char *text, const char *want)
{
    world w = world_begin();
    dr_symbols *s = NULL;
    dr_buf got = {0};
    const uint32_t *defs;
    char full[64];
    size_t file;

    (void)snprintf(full, sizeof full, "p/%s", path);
    write_text(in(&w, full), text);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_symbols_open(&s, r, NULL, NULL), DR_OK);
    assert_true(dr_repo_find(r, dr_str_of(path), &file));
    const size_t n = dr_symbols_outline(s, file, &defs);
    for (size_t i = 0; i < n; i++) {
        const dr_sym_def *d = dr_symbols_def(s, defs[i]);
        dr_text_signature(&got, dr_str_of(text), d, 80);
        if (d->doc_line)
            dr_buf_printf(&got, " [%u]", d->doc_line);
        dr_buf_str(&got, "\n");
    }
    assert_string_equal(got.data ? got.data : "", want);
    dr_buf_free(&got);
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

static void signature__without_the_body_with_its_comment(void **state)
{
    (void)state;
    assert_signatures("a.c",
                      "/* License. */\n\n/* Adds.\n * Two lines. */\nstatic int\nadd(int a,\n    int b)\n{\n    return a + b;\n}\n"
                      "int shared; /* of somebody */\nint next;\n// one\n// two\n#define TWICE(x) \\\n  ((x) * 2)\n"
                      "typedef struct {\n    int inner; // not a comment above\n} boxed;\nstruct pair { int left; };\n"
                      "static const int table[] = {\n    1,\n    2,\n};\nint proto(int a,\n          int b);\n",
                      "static int add(int a, int b) [3]\nint shared; /* of somebody */\nint next;\n#define TWICE(x) [13]\n"
                      "int inner; // not a comment above\ntypedef struct { ... } boxed;\nstruct pair\n"
                      "struct pair { int left; };\nstatic const int table[] = {\nint proto(int a, int b);\n");
    assert_signatures("a.py",
                      "#!/usr/bin/env python\n# about f\n@cached\ndef f(a,\n      b=1):\n    \"\"\"Says f.\"\"\"\n    return a\n"
                      "# about Box\nclass Box(Base):\n    x = 1\n    async def g(self): pass\nLIMIT = [\n  1]\n",
                      "@cached def f(a, b=1): [6]\nclass Box(Base): [8]\nx = 1\nasync def g(self):\nLIMIT = [\n");
    assert_signatures("a.js",
                      "/** Doc. */\nexport const f = (a) => {\n  return a;\n};\nclass A extends B {\n  // m\n  get m() { return 1; }\n}\n"
                      "exports.g = async function (b) {\n};\n",
                      "export const f = (a) => [1]\nclass A extends B\nget m() [6]\nexports.g = async function (b)\n");
    assert_signatures("a.go",
                      "package a\n// S is.\ntype S struct {\n\tx int\n}\n\n// F does\n// it.\nfunc (s *S) F(a int) error {\n\treturn nil\n}\n",
                      "type S struct [2]\nx int\nfunc (s *S) F(a int) error [7]\n");
    assert_signatures("a.rs",
                      "/// A point.\n#[derive(Debug)]\npub struct P { x: i32 }\nimpl P {\n    /// New.\n    pub fn new() -> P { P { x: 1 } }\n}\n",
                      "pub struct P [1]\npub struct P { x: i32 }\npub fn new() -> P [5]\n");
    assert_signatures("A.java",
                      "/** Doc\n * of A. */\n@Entity\npublic class A {\n  @Override\n  public int f(int a) throws E {\n    return a;\n  }\n}\n",
                      "@Entity public class A [1]\n@Override public int f(int a) throws E\n");
}

/* Offsets and lines of another text: nonsense, but nothing outside is read. */
static void signature__of_a_text_it_is_not_of(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 1, 2, 7, 4000, UINT32_MAX - 1, UINT32_MAX};
    const dr_str texts[] = {{"", 0}, DR_STR("x"), DR_STR("{\n}\n"), DR_STR("a\nb\nc")};
    enum { N = sizeof numbers / sizeof *numbers };
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (int i = 0; i < N * N * N * DR_N_SYM_KINDS; i++) {
            const uint32_t first = numbers[i % N], line = first + numbers[i / N % N] % 9, body = numbers[i / (N * N) % N];
            const dr_sym_def d = {.first_line = first,
                                  .line = line,
                                  .end_line = line,
                                  .body_at = body,
                                  .kind = (uint32_t)(i / (N * N * N) % DR_N_SYM_KINDS)};
            dr_buf out = {0};
            dr_text_signature(&out, texts[t], &d, 20);
            assert_true(out.n <= 20);
            dr_buf_free(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(excerpt__one_safe_line),
        cmocka_unit_test(lines__as_git_counts_them),
        cmocka_unit_test(unit__borders_never_merge),
        cmocka_unit_test(map_line__top_level_names),
        cmocka_unit_test(signature__without_the_body_with_its_comment),
        cmocka_unit_test(signature__of_a_text_it_is_not_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
