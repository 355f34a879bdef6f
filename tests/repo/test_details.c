/* What definitions say of themselves, language by language; names in code; and texts made to mislead both. */
#include "repo/details.h"
#include "repo/extract.h"
#include "repo/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>

typedef struct expected {
    dr_lang lang;
    const char *text, *name;
    const char *parameters, *returns, *fields, *value, *doc; /* "": there is none */
} expected;

/* The nth definition of the name in the text, as the symbol table would have it. False: there is none. */
static bool find_def(dr_sym_def *out, dr_lang lang, dr_str text, dr_str name)
{
    dr_walk w;
    bool found = false;
    assert_true(dr_walk_init(&w));
    assert_int_equal(dr_walk_extract(&w, lang, text), DR_OK);
    for (size_t i = 0; i < w.n_defs && !found; i++) {
        const dr_extract_def *d = &w.defs[i];
        if (!dr_str_eq((dr_str){text.s + d->name_at, d->name_n}, name))
            continue;
        *out = (dr_sym_def){.line = d->line,
                            .first_line = d->first_line,
                            .end_line = d->end_line,
                            .doc_line = d->doc_line,
                            .body_at = d->body_at,
                            .kind = d->kind};
        found = true;
    }
    dr_walk_fini(&w);
    return found;
}

static dr_details read_details(dr_lang lang, const char *source, const char *name)
{
    dr_details parts = {0};
    dr_syntax *syntax = NULL;
    dr_sym_def d;
    dr_error err = {0};
    const dr_str text = dr_str_of(source);

    if (!find_def(&d, lang, text, dr_str_of(name)))
        fail_msg("no definition of %s in: %s", name, source);
    assert_int_equal(dr_syntax_open(&syntax, lang, text, &err), DR_OK);
    assert_int_equal(dr_details_read(&parts, syntax, dr_str_of(name), &d, &err), DR_OK);
    dr_syntax_close(syntax);
    return parts;
}

static void check_part(const expected *e, const char *what, const dr_buf *part, const char *wanted)
{
    const char *got = part->n ? part->data : "";
    if (strcmp(got, wanted) != 0)
        fail_msg("%s of %s in \"%s\": got \"%s\", not \"%s\"", what, e->name, e->text, got, wanted);
}

static void check_all(const expected *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dr_details got = read_details(v[i].lang, v[i].text, v[i].name);
        check_part(&v[i], "parameters", &got.parameters, v[i].parameters);
        check_part(&v[i], "returns", &got.returns, v[i].returns);
        check_part(&v[i], "fields", &got.fields, v[i].fields);
        check_part(&v[i], "value", &got.value, v[i].value);
        check_part(&v[i], "doc", &got.doc, v[i].doc);
        dr_details_fini(&got);
    }
}

static void details__c_and_cpp(void **state)
{
    (void)state;
    static const expected v[] = {
        {DR_LANG_C, "static inline const char *name(struct bar *b, size_t n)\n{\n    return 0;\n}\n", "name", "struct bar *b, size_t n",
         "const char *", "", "", ""},
        {DR_LANG_C, "client *client(void) { return 0; }\n", "client", "none", "client *", "", "", ""},
        {DR_LANG_C, "void f(int a, /* how many */\n       char **b) {}\n", "f", "int a, char **b", "nothing", "", "", ""},
        {DR_LANG_C, "unsigned long *const *g();\n", "g", "none", "unsigned long *const *", "", "", ""},
        {DR_LANG_C, "int (*chosen(int which))(double);\n", "chosen", "int which", "", "", "", ""},
        {DR_LANG_C, "void (*handler)(int) = 0;\n", "handler", "", "", "", "0", ""},
        {DR_LANG_C, "struct pair { int a; /* first */ char *b, c[4]; void (*f)(int); };\n", "pair", "", "",
         "int a; char *b, c[4]; void (*f)(int)", "", ""},
        {DR_LANG_C, "typedef struct { int a;\n#ifdef X\n  int b;\n#endif\n} T;\n", "T", "", "", "int a; int b", "", ""},
        {DR_LANG_C, "enum colour { RED, GREEN = 4, /* no */ BLUE };\n", "colour", "", "", "RED; GREEN = 4; BLUE", "", ""},
        {DR_LANG_C, "enum colour { RED, GREEN = 1 << 2, BLUE };\n", "GREEN", "", "", "", "1 << 2", ""},
        {DR_LANG_C, "enum colour { RED, GREEN = 1 << 2, BLUE };\n", "BLUE", "", "", "", "", ""},
        {DR_LANG_C, "#define LIMIT  (1024 * 2) /* bytes */ // more\n", "LIMIT", "", "", "", "(1024 * 2)", ""},
        {DR_LANG_C, "#define TEXT \"a /* b */  c\" /* d */\n", "TEXT", "", "", "", "\"a /* b */  c\"", ""},
        {DR_LANG_C, "#define MAX(a, b) \\\n    ((a) > (b) ? \\\n     (a) : (b))\n", "MAX", "a, b", "", "", "((a) > (b) ? (a) : (b))", ""},
        {DR_LANG_C, "#define GUARD\n", "GUARD", "", "", "", "", ""},
        {DR_LANG_C, "static int table[] = {1, 2,\n  3};\n", "table", "", "", "", "{1, 2, 3}", ""},
        {DR_LANG_C, "int a, b = 3;\n", "a", "", "", "", "", ""},
        {DR_LANG_C, "int a, b = 3;\n", "b", "", "", "", "3", ""},
        {DR_LANG_C, "/* Frees what\n * b  holds.\n *\n * And more. */\nvoid drop(int b) {}\n", "drop", "int b", "nothing", "", "",
         "Frees what b holds."},
        {DR_LANG_C, "/* ---- tools ---- */\nint f(void);\n", "f", "none", "int", "", "", ""},
        {DR_LANG_C, "/**\n * @brief Adds.\n * @param a one\n */\nint add(int a);\n", "add", "int a", "int", "", "", "Adds."},
        {DR_LANG_C, "////////\n// Two\n// lines.\n////////\nint f(void);\n", "f", "none", "int", "", "", "Two lines."},
        {DR_LANG_CPP, "class Box {\n  int a_ = 0;\n  virtual int size() const;\n  Box();\n public:\n  std::string name;\n};\n", "Box", "", "",
         "int a_ = 0; std::string name", "", ""},
        {DR_LANG_CPP, "auto make(int n) -> std::vector<int> { return {}; }\n", "make", "int n", "std::vector<int>", "", "", ""},
        {DR_LANG_CPP, "const T& Box::at(size_t i) const { return v[i]; }\n", "at", "size_t i", "const T &", "", "", ""},
        {DR_LANG_CPP, "struct A { A(int x) {} };\n", "A", "", "", "", "", ""},
        {DR_LANG_CPP, "constexpr int kMax = 12;\n", "kMax", "", "", "", "12", ""},
        {DR_LANG_CUDA, "__global__ void add(float *x, int n) { }\n", "add", "float *x, int n", "nothing", "", "", ""},
    };
    check_all(v, sizeof v / sizeof *v);
}

static void details__scripts(void **state)
{
    (void)state;
    static const expected v[] = {
        {DR_LANG_PYTHON, "def f(self, a: int = 3, *args, **kw) -> str:\n    \"\"\"Says  it.\n\n    More.\n    \"\"\"\n    pass\n", "f",
         "self, a: int = 3, *args, **kw", "str", "", "", "Says it."},
        {DR_LANG_PYTHON, "async def f(\n    a,  # one\n    b,\n):\n    pass\n", "f", "a, b", "not declared", "", "", ""},
        {DR_LANG_PYTHON, "def f() -> None: pass\n", "f", "none", "nothing", "", "", ""},
        {DR_LANG_PYTHON, "class A:\n    '''Holds.'''\n    x: int = 1\n    y = 'b'\n    def m(self): pass\n", "A", "", "", "x: int = 1; y = 'b'",
         "", "Holds."},
        {DR_LANG_PYTHON, "LIMIT = 10  # most\n", "LIMIT", "", "", "", "10", ""},
        {DR_LANG_PYTHON, "A, B = 1, 2\n", "B", "", "", "", "2", ""},
        {DR_LANG_PYTHON, "A, B = pair()\n", "B", "", "", "", "", ""},
        {DR_LANG_PYTHON, "# Limit of\n# all.\nLIMIT = {\n    'a': 1,\n}\n", "LIMIT", "", "", "", "{ 'a': 1, }", "Limit of all."},
        {DR_LANG_JAVASCRIPT, "function add(a, { b, c } = {}) { }\n", "add", "a, { b, c } = {}", "not declared", "", "", ""},
        {DR_LANG_JAVASCRIPT, "const one = x => x + 1;\n", "one", "x", "not declared", "", "", ""},
        {DR_LANG_JAVASCRIPT, "A.prototype.size = function (all) { };\n", "size", "all", "not declared", "", "", ""},
        {DR_LANG_JAVASCRIPT, "class A { n = 3; constructor(x) { } go() { } }\n", "A", "", "", "n = 3", "", ""},
        {DR_LANG_JAVASCRIPT, "class A { constructor(x) { } }\n", "constructor", "x", "", "", "", ""},
        {DR_LANG_JAVASCRIPT, "const LIMIT = 5; // five\n", "LIMIT", "", "", "", "5", ""},
        {DR_LANG_JAVASCRIPT, "const { a } = require('x');\n", "a", "", "", "", "", ""},
        {DR_LANG_TYPESCRIPT, "export function f(a: string, b?: number): Promise<void> { }\n", "f", "a: string, b?: number",
         "Promise<void>", "", "", ""},
        {DR_LANG_TYPESCRIPT, "function f(): void { }\n", "f", "none", "nothing", "", "", ""},
        {DR_LANG_TYPESCRIPT, "interface P { x: number; y?: string; go(): void }\n", "P", "", "", "x: number; y?: string", "", ""},
        {DR_LANG_TYPESCRIPT, "interface Q { go(): void; stop(n: number): void }\n", "Q", "", "", "go(): void; stop(n: number): void", "", ""},
        {DR_LANG_TYPESCRIPT, "type T = { a: number; b: string };\n", "T", "", "", "a: number; b: string", "", ""},
        {DR_LANG_TYPESCRIPT, "enum E { A, B = 2 }\n", "E", "", "", "A; B = 2", "", ""},
        {DR_LANG_TYPESCRIPT, "enum E { A, B = 2 }\n", "B", "", "", "", "2", ""},
        {DR_LANG_TSX, "const V = (p: Props): JSX.Element => <b>{p.x}</b>;\n", "V", "p: Props", "JSX.Element", "", "", ""},
        {DR_LANG_RUBY, "class A\n  # Adds.\n  def add(a, b = 2)\n  end\n  def size\n  end\nend\n", "add", "a, b = 2", "not declared", "", "",
         "Adds."},
        {DR_LANG_RUBY, "class A\n  def size\n  end\nend\n", "size", "none", "not declared", "", "", ""},
        {DR_LANG_RUBY, "LIMIT = 3\n", "LIMIT", "", "", "", "3", ""},
        {DR_LANG_PHP, "<?php\nfunction f(int $a, ?string $b = null): ?array { }\n", "f", "int $a, ?string $b = null", "?array", "", "", ""},
        {DR_LANG_PHP, "<?php\nclass A { const N = 3; public int $n = 4; function g() { } }\n", "A", "", "", "public int $n = 4", "", ""},
        {DR_LANG_PHP, "<?php\nclass A { const N = 3; }\n", "N", "", "", "", "3", ""},
        {DR_LANG_PHP, "<?php\nclass A { public int $n = 4; }\n", "n", "", "", "", "4", ""},
        {DR_LANG_PHP, "<?php\ndefine('LIMIT', 7);\n", "LIMIT", "", "", "", "7", ""},
    };
    check_all(v, sizeof v / sizeof *v);
}

static void details__other_compiled(void **state)
{
    (void)state;
    static const expected v[] = {
        {DR_LANG_GO, "package a\n\n// Get gets.\nfunc (s *Store) Get(key string, n int) (string, error) { return \"\", nil }\n", "Get",
         "key string, n int", "(string, error)", "", "", "Get gets."},
        {DR_LANG_GO, "package a\nfunc f() { }\n", "f", "none", "nothing", "", "", ""},
        {DR_LANG_GO, "package a\ntype P struct {\n\tA, B int // two\n\tC string `json:\"c\"`\n}\n", "P", "", "",
         "A, B int; C string `json:\"c\"`", "", ""},
        {DR_LANG_GO, "package a\ntype R interface {\n\tRead(p []byte) (int, error)\n}\n", "R", "", "", "Read(p []byte) (int, error)", "", ""},
        {DR_LANG_GO, "package a\nconst A, B = 1, 2\n", "B", "", "", "", "2", ""},
        {DR_LANG_GO, "package a\nvar x = map[string]int{}\n", "x", "", "", "", "map[string]int{}", ""},
        {DR_LANG_RUST, "/// Adds two.\npub fn add<'a>(a: &'a str, n: usize) -> Option<u8> { None }\n", "add", "a: &'a str, n: usize",
         "Option<u8>", "", "", "Adds two."},
        {DR_LANG_RUST, "fn f() { }\n", "f", "none", "nothing", "", "", ""},
        {DR_LANG_RUST, "pub struct P { pub a: u32, b: String }\n", "P", "", "", "pub a: u32; b: String", "", ""},
        {DR_LANG_RUST, "enum E { A, B(u8), C = 3 }\n", "E", "", "", "A; B(u8); C = 3", "", ""},
        {DR_LANG_RUST, "pub const N: usize = 1 << 4;\n", "N", "", "", "", "1 << 4", ""},
        {DR_LANG_RUST, "struct W(pub u8, String);\n", "W", "", "", "u8; String", "", ""},
        {DR_LANG_JAVA, "class A { private int n = 3; A(int x) { } List<String> all(int a, String... b) { return null; } }\n", "all",
         "int a, String... b", "List<String>", "", "", ""},
        {DR_LANG_JAVA, "class A { private int n = 3; static final int MAX = 9; void go() { } }\n", "A", "", "",
         "private int n = 3; static final int MAX = 9", "", ""},
        {DR_LANG_JAVA, "class A { static final int MAX = 9; void go() { } }\n", "MAX", "", "", "", "9", ""},
        {DR_LANG_JAVA, "class A { void go() { } }\n", "go", "none", "nothing", "", "", ""},
        {DR_LANG_JAVA, "enum E { A, B; }\n", "E", "", "", "A; B", "", ""},
        {DR_LANG_CSHARP, "class A { int n = 3; public string Name { get; set; } Task<int> Go(int a, ref int b) { return null; } }\n", "Go",
         "int a, ref int b", "Task<int>", "", "", ""},
        {DR_LANG_CSHARP, "class A { int n = 3; public string Name { get; set; } void Go() { } }\n", "A", "", "",
         "int n = 3; public string Name { get; set; }", "", ""},
        {DR_LANG_CSHARP, "class A { const int Max = 4; }\n", "Max", "", "", "", "4", ""},
        {DR_LANG_CSHARP, "class A {\n /// <summary>\n /// Goes.\n /// </summary>\n void Go() { } }\n", "Go", "none", "nothing", "", "", "Goes."},
        {DR_LANG_CSHARP, "enum E { A, B = 2 }\n", "E", "", "", "A; B = 2", "", ""},
    };
    check_all(v, sizeof v / sizeof *v);
}

static void details__lines_are_kept_and_cut(void **state)
{
    (void)state;
    dr_details got = read_details(DR_LANG_C, "  #define  FOO      128   \n", "FOO");
    assert_string_equal(got.line.data, "#define  FOO      128");
    assert_int_equal(got.signature.n, 0);
    dr_details_fini(&got);

    /* 300 parameters: cut, and nothing behind; a character is never cut in two. */
    dr_buf text = {0};
    dr_buf_str(&text, "int f(int \xc3\xa4");
    for (int i = 0; i < 300; i++)
        dr_buf_printf(&text, ", int \xc3\xa4%d", i);
    dr_buf_str(&text, ");\n");
    got = read_details(DR_LANG_C, text.data, "f");
    assert_in_range(got.parameters.n, DR_DETAIL_BYTES - 4, DR_DETAIL_BYTES);
    assert_in_range(got.signature.n, DR_DETAIL_BYTES - 4, DR_DETAIL_BYTES);
    assert_true(dr_text_is_utf8(dr_buf_view(&got.parameters)));
    dr_details_fini(&got);
    dr_buf_clear(&text);
    dr_buf_str(&text, "/* ");
    for (int i = 0; i < 500; i++)
        dr_buf_str(&text, "word ");
    dr_buf_str(&text, "*/\nint f(void);\n");
    got = read_details(DR_LANG_C, text.data, "f");
    assert_in_range(got.doc.n, DR_DETAIL_DOC_BYTES - 5, DR_DETAIL_DOC_BYTES);
    dr_details_fini(&got);
    dr_buf_free(&text);
}

/* Lines and offsets of another text than the one that is read: nonsense, never a crash. */
static void details__of_another_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "x", "int x(", "def f(", "\xff\xfe\n\n{", "#define", "'''\n'''", "/*", "struct {"};
    static const dr_lang langs[] = {DR_LANG_NONE, DR_LANG_C, DR_LANG_PYTHON, DR_LANG_GO, DR_LANG_RUST, DR_LANG_MARKDOWN};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (size_t l = 0; l < sizeof langs / sizeof *langs; l++)
            for (uint32_t kind = 0; kind < DR_N_SYM_KINDS; kind++)
                for (uint32_t line = 1; line < 4; line++) {
                    dr_details parts = {0};
                    dr_syntax *syntax = NULL;
                    const dr_sym_def d = {.line = line,
                                          .first_line = line,
                                          .end_line = line + 1,
                                          .doc_line = 1,
                                          .body_at = line == 2 ? 3 : DR_SYM_NO_BODY,
                                          .kind = kind};
                    assert_int_equal(dr_syntax_open(&syntax, langs[l], dr_str_of(texts[t]), NULL), DR_OK);
                    assert_int_equal(dr_details_read(&parts, syntax, DR_STR("x"), &d, NULL), DR_OK);
                    dr_details_fini(&parts);
                    dr_syntax_close(syntax);
                }
}

typedef struct named {
    dr_lang lang;
    const char *text;
    size_t n; /* places of "name" in code */
} named;

static void syntax__names_in_code(void **state)
{
    (void)state;
    static const named v[] = {
        {DR_LANG_C, "int name; /* name */ // name\nchar *s = \"name\"; int rename, names, name_; int f(void) { return name; }\n", 2},
        {DR_LANG_C, "#define A name + \"name\" /* name */\n#if 0\nname\n#endif\n#include <name>\n#include \"name\"\n", 2},
        {DR_LANG_C, "char c = 'name'; s.name = p->name;\n", 2},
        {DR_LANG_PYTHON, "name = 1  # name\ns = 'name' + f'{name} name'\n\"\"\"name\"\"\"\n", 2},
        {DR_LANG_JAVASCRIPT, "let name = `${name} name`; // name\nconst r = /name/; o.name = 'name';\n", 3},
        {DR_LANG_RUST, "// name\nfn name() { println!(\"name {}\", name); }\n", 2},
        {DR_LANG_BASH, "name=1 # name\necho \"$name name\" 'name'\n", 2},
        {DR_LANG_RUBY, "name = 1 # name\nputs \"#{name} name\"\n", 2},
        {DR_LANG_NONE, "name, rename \"name\" name.\n", 3},
        {DR_LANG_C, "", 0},
        {DR_LANG_C, "name", 1},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        dr_syntax *syntax = NULL;
        dr_syntax_place *places = NULL;
        size_t n = 99;
        const dr_str text = dr_str_of(v[i].text);
        assert_int_equal(dr_syntax_open(&syntax, v[i].lang, text, NULL), DR_OK);
        assert_int_equal(dr_syntax_names(&places, &n, syntax, DR_STR("name"), NULL), DR_OK);
        if (n != v[i].n)
            fail_msg("%zu places instead of %zu in: %s", n, v[i].n, v[i].text);
        for (size_t k = 0; k < n; k++) {
            assert_memory_equal(text.s + places[k].at, "name", 4);
            uint32_t line = 1;
            for (size_t b = 0; b < places[k].at; b++)
                line += text.s[b] == '\n';
            assert_int_equal(places[k].line, line);
        }
        free(places);
        dr_syntax_close(syntax);
    }
    assert_true(dr_syntax_is_name(DR_STR("a1_$")) && dr_syntax_is_name(DR_STR("\xc3\xa4")));
    assert_false(dr_syntax_is_name(DR_STR("")) || dr_syntax_is_name(DR_STR("1a")) || dr_syntax_is_name(DR_STR("a b")) ||
                 dr_syntax_is_name(DR_STR("a-b")));
}

static uint32_t n_errors(dr_lang lang, const char *text)
{
    dr_syntax *syntax = NULL;
    assert_int_equal(dr_syntax_open(&syntax, lang, dr_str_of(text), NULL), DR_OK);
    const uint32_t n = dr_syntax_n_errors(syntax);
    dr_syntax_close(syntax);
    return n;
}

static void syntax__errors_are_counted(void **state)
{
    (void)state;
    assert_int_equal(n_errors(DR_LANG_C, "int f(void) { return 1; }\n"), 0);
    assert_true(n_errors(DR_LANG_C, "int f(void) { return 1 }\n") > 0); /* something is missing */
    assert_true(n_errors(DR_LANG_C, "int f(void) { return ) 1; }\n") > 0);
    assert_true(n_errors(DR_LANG_PYTHON, "def f(:\n  pass\n") > 0);
    assert_int_equal(n_errors(DR_LANG_NONE, "int f(void {{{"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(details__c_and_cpp),
        cmocka_unit_test(details__scripts),
        cmocka_unit_test(details__other_compiled),
        cmocka_unit_test(details__lines_are_kept_and_cut),
        cmocka_unit_test(details__of_another_text),
        cmocka_unit_test(syntax__names_in_code),
        cmocka_unit_test(syntax__errors_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
