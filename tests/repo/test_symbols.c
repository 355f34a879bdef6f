/* What each language's extractor finds. A fixture is a source text; what it defines is written as "LINE KIND NAME [in
 * CONTAINER]", in order of place, and must be exactly what is found. */
#include "tests/repo/make_repo.h"

#include "repo/extract.h"
#include "repo/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct facts {
    dr_buf bytes;
    dr_str names[1024];
    dr_facts_def defs[512];
    struct {
        uint32_t name, line;
        bool is_call;
    } refs[2048];
    struct {
        uint32_t name, line;
        dr_import_form form;
    } imports[256];
    uint32_t n_names, n_defs, n_refs, n_imports;
} facts;

static void extract(facts *f, dr_lang lang, dr_str text)
{
    dr_walk walk;
    memset(f, 0, sizeof *f);
    assert_true(dr_walk_init(&walk));
    assert_int_equal(dr_walk_extract(&walk, lang, text), DR_OK);
    assert_true(dr_facts__encode(&f->bytes, &walk));
    dr_walk_fini(&walk);
    dr_facts_reader r = dr_facts__open((dr_cspan){(const uint8_t *)f->bytes.data, f->bytes.n});
    assert_true(r.n_names <= 1024 && r.n_defs <= 512 && r.n_refs <= 2048 && r.n_imports <= 256);
    for (; f->n_names < r.n_names; f->n_names++)
        f->names[f->n_names] = dr_facts__name(&r);
    for (; f->n_defs < r.n_defs; f->n_defs++)
        f->defs[f->n_defs] = dr_facts__def(&r);
    for (; f->n_imports < r.n_imports; f->n_imports++) {
        f->imports[f->n_imports].name =
            dr_facts__import(&r, &f->imports[f->n_imports].line, &f->imports[f->n_imports].form);
    }
    for (; f->n_refs < r.n_refs; f->n_refs++)
        f->refs[f->n_refs].name = dr_facts__ref(&r, &f->refs[f->n_refs].line, &f->refs[f->n_refs].is_call);
    assert_false(r.bad);
    assert_ptr_equal(r.p, r.end);
}

static void expect_defs(dr_lang lang, const char *text, const char *want)
{
    static facts f;
    dr_buf got = {0};
    extract(&f, lang, dr_str_of(text));
    for (uint32_t i = 0; i < f.n_defs; i++) {
        const dr_facts_def *d = &f.defs[i];
        dr_buf_printf(&got, "%u %s %.*s", d->line, dr_sym_kind_name((dr_sym_kind)d->kind), (int)f.names[d->name].n,
                      f.names[d->name].s);
        if (d->container != DR_SYM_NONE)
            dr_buf_printf(&got, " in %.*s", (int)f.names[d->container].n, f.names[d->container].s);
        dr_buf_str(&got, "\n");
    }
    assert_string_equal(got.data ? got.data : "", want);
    dr_buf_free(&got);
    dr_buf_free(&f.bytes);
}

/* "LINE call" or "LINE use" of one name, in order. */
static void expect_refs(dr_lang lang, const char *text, const char *name, const char *want)
{
    static facts f;
    dr_buf got = {0};
    extract(&f, lang, dr_str_of(text));
    for (uint32_t i = 0; i < f.n_refs; i++)
        if (dr_str_eq(f.names[f.refs[i].name], dr_str_of(name)))
            dr_buf_printf(&got, "%s%u %s", got.n ? ", " : "", f.refs[i].line, f.refs[i].is_call ? "call" : "use");
    if (strcmp(got.data ? got.data : "", want) != 0)
        fail_msg("%s: found \"%s\", not \"%s\"", name, got.data ? got.data : "", want);
    dr_buf_free(&got);
    dr_buf_free(&f.bytes);
}

static const char c_text[] = "#include <stdio.h>\n" /* 1 */
                             "#define LIMIT 10\n"
                             "#define TWICE(x) (helper(x) + LIMIT)\n"
                             "struct forward;\n"
                             "struct pair {\n" /* 5 */
                             "    int left, *right;\n"
                             "    int (*compare)(int, int);\n"
                             "};\n"
                             "typedef struct { int inner; } boxed;\n"
                             "typedef int (*callback)(void *);\n" /* 10 */
                             "enum color { RED, GREEN = 2 };\n"
                             "union both { int i; float f; };\n"
                             "static int helper(int n);\n"
                             "extern int shared;\n"
                             "int counter = 3, table[4];\n" /* 15 */
                             "int (*hook)(void) = 0;\n"
                             "static const char *\n"
                             "name_of(struct pair *p, int left)\n"
                             "{\n"
                             "    int local = helper(left);\n" /* 20 */
                             "    p->left = left;\n"
                             "    p->compare(local, LIMIT);\n"
                             "    return hook() ? \"helper\" : (boxed *)0;\n"
                             "}\n"
                             "int old_style(a, b)\n" /* 25 */
                             "    int a, b;\n"
                             "{\n"
                             "    return a + b; /* helper */\n"
                             "}\n";

static void c__definitions(void **state)
{
    (void)state;
    expect_defs(
        DR_LANG_C, c_text,
        "2 macro LIMIT\n3 macro TWICE\n5 struct pair\n6 member left in pair\n6 member right in pair\n7 member compare "
        "in pair\n"
        "9 member inner in boxed\n9 type boxed\n10 type callback\n11 enum color\n11 enumerator RED in color\n"
        "11 enumerator GREEN in color\n12 union both\n12 member i in both\n12 member f in both\n13 prototype helper\n"
        "14 prototype shared\n15 variable counter\n15 variable table\n16 variable hook\n18 function name_of\n25 "
        "function old_style\n");
}

static void c__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_C, c_text, "helper", "3 call, 20 call");
    expect_refs(DR_LANG_C, c_text, "LIMIT", "3 use, 22 use");
    expect_refs(DR_LANG_C, c_text, "left", "21 use"); /* the member, not the parameter of that name */
    expect_refs(DR_LANG_C, c_text, "compare", "22 call");
    expect_refs(DR_LANG_C, c_text, "hook", "23 call");
    expect_refs(DR_LANG_C, c_text, "boxed", "23 use");
    expect_refs(DR_LANG_C, c_text, "pair", "18 use");
    expect_refs(DR_LANG_C, c_text, "forward", "");
    expect_refs(DR_LANG_C, c_text, "x",
                "3 use"); /* a macro's parameter: kept out of the index because nobody defines it */
}

static void c__ranges(void **state)
{
    static facts f;
    (void)state;
    extract(&f, DR_LANG_C, DR_STR(c_text));
    for (uint32_t i = 0; i < f.n_defs; i++)
        if (dr_str_eq(f.names[f.defs[i].name], DR_STR("name_of"))) {
            assert_int_equal(f.defs[i].first_line, 17);
            assert_int_equal(f.defs[i].line, 18);
            assert_int_equal(f.defs[i].end_line, 24);
        } else if (dr_str_eq(f.names[f.defs[i].name], DR_STR("LIMIT"))) {
            assert_int_equal(f.defs[i].end_line, 2);
        }
    dr_buf_free(&f.bytes);
}

static void c__macros_in_the_way(void **state)
{
    (void)state;
    expect_defs(DR_LANG_C,
                "LIB_API int exported(int a);\n"
                "ATTR_PURE(1) static int *pure(void)\n{\n    return 0;\n}\n"
                "struct PACKED wire { int len; };\n"
                "DWORD plain;\n"
                "static INLINE_HINT unsigned hinted(void) { return 1; }\n",
                "1 prototype exported\n2 function pure\n6 struct wire\n6 member len in wire\n7 variable plain\n8 "
                "function hinted\n");
    expect_refs(DR_LANG_C, "LIB_API int exported(int a);\n", "LIB_API", "1 use");
    expect_refs(DR_LANG_C, "\n\nATTR(one) static int f(void) { return 0; }\n", "ATTR", "3 call");
    expect_refs(DR_LANG_C, "\n\nATTR(one) static int f(void) { return 0; }\n", "one", "3 use");
}

static void c__macros_at_work(void **state)
{
    (void)state;
    expect_defs(DR_LANG_C, "TEST_BEGIN(one) {\n    f();\n}\nint SHA1(int a) { return a; }\n", "4 function SHA1\n");
    expect_defs(
        DR_LANG_CPP,
        "class BOX {\n  BOX() {}\n};\nvoid A::f() const\n    LOCK_EXCLUDED_(m_) {\n  g();\n}\nVISIBLE(\"hidden\") {}\n"
        "template <typename T>\n// Because of\n// Other() it is so.\nstruct Made : T {\n};\n",
        "1 class BOX\n2 method BOX in BOX\n4 method f in A\n12 struct Made\n");
    expect_defs(DR_LANG_CPP,
                "void f() {\n  TRY { g(); }\n  CATCH_ALL(...) {}\n  if LIB_CONSTEXPR (a) {\n  }\n}\n"
                "CATCH(std::out_of_range&) {\n}\n"
                "TEST(group, name) {\n  g();\n}\n",
                "1 function f\n9 function TEST\n");
    expect_defs(DR_LANG_CPP,
                "class API(\"x\") Box {\n  API operator text<R(A)>() { return t_; }\n  API ~Box() { g(); }\n"
                "  NON_NULL(3)\n  Box(int a) : Base(a) {}\n};\n",
                "1 class Box\n2 method operator text<R(A)> in Box\n3 method ~Box in Box\n5 method Box in Box\n");
    expect_defs(DR_LANG_CPP, "class A {\n  enum : ulong { ONE = 1ULL };\n};\n", "1 class A\n2 enumerator ONE in A\n");
    expect_defs(DR_LANG_CPP, "#define MANY(s) \\\n  { \\\n  /* why */ \\\n  struct API(\"x\") s { } \\\n  }\n",
                "1 macro MANY\n");
}

static void c__dead_code(void **state)
{
    (void)state;
    static const char text[] = "#if 0\n#ifdef A\nint no(int a) { return used(a); }\n#else\n#endif\n#else\n"
                               "int yes(void) { return 1; }\n#endif\n"
                               "/*\n#if 0\n*/\nint also(void) { return 2; }\n# if 0 // why\nint not(void) {\n#endif\n"
                               "int last(void) { return 3; }\n#if 0\nint unended(void) { return 4; }\n";
    expect_defs(DR_LANG_C, text, "7 function yes\n12 function also\n16 function last\n18 function unended\n");
    expect_refs(DR_LANG_C, text, "used", "3 call");
}

static void c__what_the_parser_gives_up_on(void **state)
{
    (void)state;
    /* Branches that open one brace twice: no grammar can follow. */
    expect_defs(DR_LANG_C,
                "#ifdef A\n"
                "int split(int a) {\n"
                "#else\n"
                "int split(int a, int b) {\n"
                "#endif\n"
                "    return a;\n"
                "}\n"
                "int after(void)\n{\n    return 1;\n}\n"
                "#define LAST 1\n",
                "2 function split\n4 function split\n8 function after\n12 macro LAST\n");
    expect_defs(DR_LANG_CPP,
                "#ifdef A\nint split(int a) {\n#else\nint split(int a, int b) {\n#endif\n"
                "/*\nclass prose {\nsee f(a) {\n*/\nTEST(group, template) {\n  g();\n}\n"
                "template <> auto bits<int128>() -> int { return 128; }\nBox::~Box() {\n  g();\n}\n",
                "2 function split\n4 function split\n10 function TEST\n13 function bits\n14 function ~Box\n");
}

static const char cpp_text[] = "namespace outer { namespace deep {\n" /* 1 */
                               "class Widget final : public Base {\n"
                               " public:\n"
                               "  Widget();\n"
                               "  ~Widget() {}\n" /* 5 */
                               "  int size() const { return size_; }\n"
                               "  bool operator==(const Widget& o) const;\n"
                               "  operator bool() const { return true; }\n"
                               "  template <typename T> T as() { return T(); }\n"
                               "  static const int kMax = 4;\n" /* 10 */
                               " private:\n"
                               "  int size_;\n"
                               "};\n"
                               "enum class Mode { Fast, Slow };\n"
                               "using Table = int;\n" /* 15 */
                               "class Later;\n"
                               "}}\n"
                               "outer::deep::Widget::Widget() : size_(0) {}\n"
                               "template <class T>\n"
                               "T largest(T a, T b) { auto f = [](int q) { return q; }; return f(a); }\n" /* 20 */
                               "int use() {\n"
                               "  outer::deep::Widget w;\n"
                               "  auto* p = new Widget();\n"
                               "  for (auto& size : list) size.touch();\n"
                               "  return w.size() + largest<int>(1, 2);\n" /* 25 */
                               "}\n";

static void cpp__definitions(void **state)
{
    (void)state;
    expect_defs(
        DR_LANG_CPP, cpp_text,
        "1 module outer\n1 module deep in outer\n2 class Widget in deep\n4 prototype Widget in Widget\n5 method "
        "~Widget in Widget\n"
        "6 method size in Widget\n7 prototype operator == in Widget\n8 method operator bool in Widget\n9 method as in "
        "Widget\n"
        "10 member kMax in Widget\n12 member size_ in Widget\n14 enum Mode in deep\n14 enumerator Fast in Mode\n"
        "14 enumerator Slow in Mode\n15 type Table in deep\n18 method Widget in Widget\n20 function largest\n21 "
        "function use\n");
    expect_defs(DR_LANG_CPP, "class LIB_API Shown : public Base {\n  LIB_INLINE int f() { return 0; }\n};\n",
                "1 class Shown\n2 method f in Shown\n");
    expect_defs(DR_LANG_CPP, "class Lock {\n  void take() EXCLUSIVE_LOCK() { m_.lock(); }\n};\n",
                "1 class Lock\n2 method take in Lock\n");
}

static void cpp__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_CPP, cpp_text, "largest", "25 call");
    expect_refs(DR_LANG_CPP, cpp_text, "size", "25 call"); /* not the loop's variable */
    expect_refs(DR_LANG_CPP, cpp_text, "size_", "6 use, 18 use");
    expect_refs(DR_LANG_CPP, cpp_text, "Base", "2 use");
    expect_refs(DR_LANG_CPP, cpp_text, "Widget", "7 use, 18 use, 22 use, 23 call");
    expect_refs(DR_LANG_CPP, cpp_text, "Later", "");
}

static const char python_text[] = "import os\n" /* 1 */
                                  "from .store import Cache as Kept, load\n"
                                  "LIMIT = 10\n"
                                  "state, other = {}, None\n"
                                  "@decorated\n" /* 5 */
                                  "class Box(Base):\n"
                                  "    kind = 'box'\n"
                                  "    def open(self, path, *rest, mode=LIMIT):\n"
                                  "        local = load(path)\n"
                                  "        def inner():\n" /* 10 */
                                  "            return local\n"
                                  "        return self.open(kind=mode), path.kind\n"
                                  "    async def close(self): pass\n"
                                  "def main(load=None):\n"
                                  "    box = Box()\n" /* 15 */
                                  "    with open('x') as state:\n"
                                  "        print(f'{LIMIT} {main()}', state)\n"
                                  "    return [LIMIT for LIMIT in ()]\n"
                                  "LIMIT = 11\n";

static void python__definitions(void **state)
{
    (void)state;
    expect_defs(
        DR_LANG_PYTHON, python_text,
        "3 constant LIMIT\n4 variable state\n4 variable other\n6 class Box\n7 field kind in Box\n8 method open in Box\n"
        "10 function inner in open\n13 method close in Box\n14 function main\n");
}

static void python__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_PYTHON, python_text, "load", "2 use, 9 call");
    expect_refs(DR_LANG_PYTHON, python_text, "open", "12 call, 16 call");
    expect_refs(DR_LANG_PYTHON, python_text, "kind", "12 use"); /* the attribute, not the keyword */
    expect_refs(DR_LANG_PYTHON, python_text, "Box", "15 call");
    expect_refs(DR_LANG_PYTHON, python_text, "main", "17 call");
    expect_refs(DR_LANG_PYTHON, python_text, "state", "");
    expect_refs(DR_LANG_PYTHON, python_text, "decorated", "5 use");
    expect_refs(DR_LANG_PYTHON, python_text, "Cache", "2 use");
}

static const char js_text[] = "const fs = require('fs'), { join, sep: slash } = require('path');\n" /* 1 */
                              "let count = 0;\n"
                              "function top(a, { b }) {\n"
                              "  const inner = () => a;\n"
                              "  let i = 0;\n" /* 5 */
                              "  return inner(b, count, i);\n"
                              "}\n"
                              "const arrow = async (x) => top(x);\n"
                              "class Shape extends Base {\n"
                              "  #hidden = 1;\n" /* 10 */
                              "  static of(...args) { return new Shape(args); }\n"
                              "  get area() { return this.#hidden; }\n"
                              "  handler = () => {};\n"
                              "}\n"
                              "exports.run = function () {};\n" /* 15 */
                              "Shape.prototype.grow = function grow() { this.area; };\n"
                              "var options = { size: 1, make() {}, act: function () {} };\n"
                              "module.exports = { top, arrow };\n"
                              "label: for (const k of list) { top?.(k); }\n";

static void javascript__definitions(void **state)
{
    (void)state;
    expect_defs(DR_LANG_JAVASCRIPT, js_text,
                "1 constant fs\n1 constant join\n1 constant slash\n2 variable count\n3 function top\n4 function inner "
                "in top\n8 function arrow\n"
                "9 class Shape\n10 field #hidden in Shape\n11 method of in Shape\n12 method area in Shape\n13 method "
                "handler in Shape\n"
                "15 function run\n16 method grow in Shape\n16 function grow\n17 variable options\n17 field size\n17 "
                "method make\n"
                "17 method act\n");
}

static void javascript__names_given_by_assignment(void **state)
{
    (void)state;
    expect_defs(
        DR_LANG_JAVASCRIPT,
        "T.prototype.has = hasOwn;\n" /* 1 */
        "T.prototype.size = 0;\n"
        "T.prototype.a = T.prototype.b = function () {};\n"
        "module.exports = { 'one-two': function () {}, 'x y': function () {}, ['no']: () => {}, 7: () => {} };\n"
        "exports.settings = { deep: 1 };\n" /* 5 */
        "exports.again = again;\n"
        "later = async () => {};\n"
        "lib.part = { run() {} };\n"
        "function f(a) {\n"
        "  a.data = { x: 1 };\n" /* 10 */
        "  a.hooks = { on: () => {} };\n"
        "  call({ key: 1, tools: { go: function () {} } });\n"
        "  var made = (function () { return 1; }()), plain = call();\n"
        "}\n",
        "1 method has in T\n2 field size in T\n3 method a in T\n3 method b in T\n4 method one-two\n"
        "5 variable settings\n5 field deep\n7 function later\n8 field part in lib\n8 method run\n9 function f\n"
        "11 field hooks in a\n11 method on in f\n12 field tools in f\n12 method go in f\n13 variable made in f\n");
}

static void javascript__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_JAVASCRIPT, js_text, "top", "8 call, 18 use, 19 call");
    expect_refs(DR_LANG_JAVASCRIPT, js_text, "Shape", "11 call, 16 use");
    expect_refs(DR_LANG_JAVASCRIPT, js_text, "area", "16 use");
    expect_refs(DR_LANG_JAVASCRIPT, js_text, "count", "6 use");
    expect_refs(DR_LANG_JAVASCRIPT, js_text, "i", "");
    expect_refs(DR_LANG_JAVASCRIPT, "function f() { return <Panel onClick={go} />; }\n", "Panel", "1 use");
}

static void typescript__definitions(void **state)
{
    (void)state;
    expect_defs(DR_LANG_TYPESCRIPT,
                "export interface Shape { area: number; grow(by: number): void }\n"
                "export type Id = string | number;\n"
                "enum Color { Red, Green = 2 }\n"
                "abstract class Box<T> implements Shape {\n"
                "  private size: number = 1;\n"
                "  constructor(readonly name: string) { super(); }\n"
                "  abstract grow(by: number): void;\n"
                "}\n"
                "declare function later(a: Id): void;\n"
                "namespace Inner { export const deep = 1; }\n"
                "export const make = <T,>(x: T): Box<T> => later(x);\n",
                "1 interface Shape\n1 field area in Shape\n1 method grow in Shape\n2 type Id\n3 enum Color\n3 "
                "enumerator Red in Color\n"
                "3 enumerator Green in Color\n4 class Box\n5 field size in Box\n6 method constructor in Box\n7 method "
                "grow in Box\n"
                "9 prototype later\n10 module Inner\n10 constant deep in Inner\n11 function make\n");
    expect_refs(DR_LANG_TYPESCRIPT, "type Id = string;\nfunction f(id: Id, x = g(id)): Id { return id; }\n", "Id",
                "2 use");
    expect_defs(DR_LANG_TSX, "const App = () => <Page title={t} />;\n", "1 function App\n");
}

static const char go_text[] = "package main\n" /* 1 */
                              "import \"fmt\"\n"
                              "const Limit, second = 1, 2\n"
                              "var ErrBad = fmt.Errorf(\"bad\")\n"
                              "type Store struct {\n" /* 5 */
                              "\tname, path string\n"
                              "\tStart func()\n"
                              "}\n"
                              "type Reader interface { Read(p []byte) (int, error) }\n"
                              "type Alias = Store\n" /* 10 */
                              "type Kind int\n"
                              "func New(name string) *Store { return &Store{name: name} }\n"
                              "func (s *Store) Open(n Kind) (err error) {\n"
                              "\tfor i, name := range list { use(i, name, Limit) }\n"
                              "\ts.name = s.Path()\n" /* 15 */
                              "\tconst local = 1\n"
                              "\treturn pkg.New(local).Open(Kind(2))\n"
                              "}\n";

static void go__definitions(void **state)
{
    (void)state;
    expect_defs(DR_LANG_GO, go_text,
                "3 constant Limit\n3 constant second\n4 variable ErrBad\n5 struct Store\n6 field name in Store\n6 "
                "field path in Store\n"
                "7 field Start in Store\n9 interface Reader\n9 method Read in Reader\n10 type Alias\n11 type Kind\n12 "
                "function New\n"
                "13 method Open in Store\n");
}

static void go__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_GO, go_text, "name",
                "12 use, 15 use"); /* the field, twice; the local and the parameter are not it */
    expect_refs(DR_LANG_GO, go_text, "New", "17 call");
    expect_refs(DR_LANG_GO, go_text, "Open", "17 call");
    expect_refs(DR_LANG_GO, go_text, "Limit", "14 use");
    expect_refs(DR_LANG_GO, go_text, "Store", "10 use, 12 use, 13 use");
    expect_refs(DR_LANG_GO, go_text, "Kind", "13 use, 17 call");
}

static const char rust_text[] =
    "use crate::store::{Cache, load as fetch};\n" /* 1 */
    "pub const LIMIT: usize = 10;\n"
    "static mut COUNT: u32 = 0;\n"
    "pub struct Point { pub x: i32, y: i32 }\n"
    "enum Shape { Dot, Line { a: Point }, Of(i32) }\n" /* 5 */
    "trait Draw { type Out; fn draw(&self) -> Self::Out; }\n"
    "impl Draw for Point {\n"
    "    type Out = ();\n"
    "    fn draw(&self) { let x = self.x; helper(x); }\n"
    "}\n" /* 10 */
    "impl Point { pub fn new(x: i32) -> Self { Point { x, y: LIMIT as i32 } } }\n"
    "macro_rules! twice { ($e:expr) => { $e; $e } }\n"
    "type Id = u64;\n"
    "mod tests { fn check() { twice!(Point::new(1)); } }\n"
    "fn helper<T>(n: i32) -> Option<Id> { match n { LIMIT => None, other => Some(other) } }\n"; /* 15 */

static void rust__definitions(void **state)
{
    (void)state;
    expect_defs(
        DR_LANG_RUST, rust_text,
        "2 constant LIMIT\n3 variable COUNT\n4 struct Point\n4 field x in Point\n4 field y in Point\n5 enum Shape\n"
        "5 enumerator Dot in Shape\n5 enumerator Line in Shape\n5 field a in Shape\n5 enumerator Of in Shape\n6 trait "
        "Draw\n"
        "6 type Out in Draw\n6 method draw in Draw\n8 type Out in Point\n9 method draw in Point\n11 method new in "
        "Point\n"
        "12 macro twice\n13 type Id\n14 module tests\n14 function check in tests\n15 function helper\n");
}

static void rust__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_RUST, rust_text, "helper", "9 call");
    expect_refs(DR_LANG_RUST, rust_text, "new", "14 call"); /* inside a macro's arguments */
    expect_refs(DR_LANG_RUST, rust_text, "twice", "14 call");
    expect_refs(DR_LANG_RUST, rust_text, "LIMIT", "11 use, 15 use");
    expect_refs(DR_LANG_RUST, rust_text, "other", "");
    expect_refs(DR_LANG_RUST, rust_text, "load", "1 use");
    expect_refs(DR_LANG_RUST, rust_text, "fetch", "");
}

static const char java_text[] =
    "package a.b;\n" /* 1 */
    "import java.util.List;\n"
    "@Deprecated\n"
    "public class Box<T> extends Base implements Shape {\n"
    "    public static final int LIMIT = 3, MORE = 4;\n" /* 5 */
    "    private int size;\n"
    "    enum Color { RED, GREEN }\n"
    "    interface Grow { int BY = 1; void grow(int by); }\n"
    "    Box(int size) { this.size = size; }\n"
    "    @Override public int area() {\n" /* 10 */
    "        int local = LIMIT;\n"
    "        for (int i : list) local += i;\n"
    "        return helper(x -> x + local).size;\n"
    "    }\n"
    "    static Box make() { return new a.Box<Integer>(2) { int extra; void more() { area(); } }; }\n" /* 15 */
    "}\n"
    "@interface Marker { int value() default 0; }\n"
    "record Pair(int left, int right) {}\n";

static void java__definitions(void **state)
{
    (void)state;
    expect_defs(
        DR_LANG_JAVA, java_text,
        "4 class Box\n5 constant LIMIT in Box\n5 constant MORE in Box\n6 field size in Box\n7 enum Color in Box\n"
        "7 enumerator RED in Color\n7 enumerator GREEN in Color\n8 interface Grow in Box\n8 constant BY in Grow\n8 "
        "method grow in Grow\n"
        "9 method Box in Box\n10 method area in Box\n15 method make in Box\n15 field extra in make\n15 method more in "
        "make\n"
        "17 interface Marker\n17 method value in Marker\n18 class Pair\n");
}

static void java__uses(void **state)
{
    (void)state;
    expect_refs(DR_LANG_JAVA, java_text, "size", "9 use, 13 use");
    expect_refs(DR_LANG_JAVA, java_text, "Box", "15 call");
    expect_refs(DR_LANG_JAVA, java_text, "area", "15 call");
    expect_refs(DR_LANG_JAVA, java_text, "LIMIT", "11 use");
    expect_refs(DR_LANG_JAVA, java_text, "Base", "4 use");
    expect_refs(DR_LANG_JAVA, java_text, "local", "");
}

static void languages__by_name_and_smell(void **state)
{
    (void)state;
    assert_int_equal(dr_lang_of(DR_STR("a/b.c"), DR_STR("")), DR_LANG_C);
    assert_int_equal(dr_lang_of(DR_STR("b.hpp"), DR_STR("")), DR_LANG_CPP);
    assert_int_equal(dr_lang_of(DR_STR("x.tsx"), DR_STR("")), DR_LANG_TSX);
    assert_int_equal(dr_lang_of(DR_STR("c"), DR_STR("")), DR_LANG_NONE);
    assert_int_equal(dr_lang_of(DR_STR("d.c/readme"), DR_STR("")), DR_LANG_NONE);
    assert_int_equal(dr_lang_of(DR_STR("a.h"), DR_STR("int f(void);\n")), DR_LANG_C);
    assert_int_equal(
        dr_lang_of(DR_STR("a.h"), DR_STR("#ifdef __cplusplus\nextern \"C\" {\nclass X {\n#endif\nint f(void);\n")),
        DR_LANG_C);
    assert_int_equal(dr_lang_of(DR_STR("a.h"), DR_STR("/* class of\n class things */\nint f(void);\n")), DR_LANG_C);
    assert_int_equal(dr_lang_of(DR_STR("a.h"), DR_STR("#pragma once\nclass X {\n};\n")), DR_LANG_CPP);
    assert_int_equal(dr_lang_of(DR_STR("a.h"), DR_STR("std::string f();\n")), DR_LANG_CPP);
}

/* Nothing here is valid; what counts is that every extractor comes back, with sound facts. */
static void every_language__survives_nonsense(void **state)
{
    static facts f;
    dr_buf deep = {0};
    (void)state;
    for (int i = 0; i < 20000; i++)
        dr_buf_str(&deep, "({[");
    const dr_str texts[] = {DR_STR(""),
                            DR_STR("\n"),
                            DR_STR("\0\xff\xfe("),
                            DR_STR("\"unterminated"),
                            DR_STR("/* unterminated"),
                            DR_STR("#define"),
                            DR_STR("operator"),
                            DR_STR("struct {"),
                            DR_STR("class"),
                            DR_STR("def (:\n\tclass:"),
                            DR_STR("ABC(def"),
                            DR_STR("ABC ("),
                            dr_buf_view(&deep),
                            DR_STR(c_text),
                            DR_STR(js_text),
                            DR_STR(rust_text),
                            DR_STR(python_text)};
    for (int lang = DR_LANG_C; lang < DR_N_LANGS; lang++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            extract(&f, (dr_lang)lang, texts[i]);
            dr_buf_free(&f.bytes);
        }
    dr_buf_free(&deep);
}

static void facts__damaged_bytes_are_refused(void **state)
{
    static facts f;
    (void)state;
    extract(&f, DR_LANG_C, DR_STR(c_text));
    for (size_t cut = 0; cut < f.bytes.n; cut++)
        for (int flip = 0; flip < 2; flip++) {
            dr_buf copy = {0};
            dr_buf_add(&copy, f.bytes.data, flip ? f.bytes.n : cut);
            if (flip)
                copy.data[cut] = (char)(copy.data[cut] ^ 0x95);
            dr_facts_reader r = dr_facts__open((dr_cspan){(const uint8_t *)copy.data, copy.n});
            for (uint32_t i = 0; i < r.n_names; i++)
                (void)dr_facts__name(&r);
            for (uint32_t i = 0; i < r.n_defs; i++) {
                const dr_facts_def d = dr_facts__def(&r);
                assert_true(r.bad || (d.name < r.n_names && d.kind < DR_N_SYM_KINDS && d.first_line <= d.line &&
                                      d.line <= d.end_line));
            }
            for (uint32_t i = 0; i < r.n_imports; i++) {
                uint32_t line;
                dr_import_form form;
                assert_true(dr_facts__import(&r, &line, &form) < r.n_names || r.bad);
            }
            for (uint32_t i = 0; i < r.n_refs; i++) {
                uint32_t line;
                bool is_call;
                assert_true(dr_facts__ref(&r, &line, &is_call) < r.n_names || r.bad);
            }
            assert_true(flip || r.bad);
            dr_buf_free(&copy);
        }
    dr_buf_free(&f.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c__definitions),
        cmocka_unit_test(c__uses),
        cmocka_unit_test(c__ranges),
        cmocka_unit_test(c__macros_in_the_way),
        cmocka_unit_test(c__macros_at_work),
        cmocka_unit_test(c__dead_code),
        cmocka_unit_test(c__what_the_parser_gives_up_on),
        cmocka_unit_test(cpp__definitions),
        cmocka_unit_test(cpp__uses),
        cmocka_unit_test(python__definitions),
        cmocka_unit_test(python__uses),
        cmocka_unit_test(javascript__definitions),
        cmocka_unit_test(javascript__names_given_by_assignment),
        cmocka_unit_test(javascript__uses),
        cmocka_unit_test(typescript__definitions),
        cmocka_unit_test(go__definitions),
        cmocka_unit_test(go__uses),
        cmocka_unit_test(rust__definitions),
        cmocka_unit_test(rust__uses),
        cmocka_unit_test(java__definitions),
        cmocka_unit_test(java__uses),
        cmocka_unit_test(languages__by_name_and_smell),
        cmocka_unit_test(every_language__survives_nonsense),
        cmocka_unit_test(facts__damaged_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
