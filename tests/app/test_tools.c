/* Tool results, byte for byte as docs/tools.md states them. */
#include "app/tools_parts.h"
#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sample_folder folder, many;

static int set_up(void **state)
{
    (void)state;
    sample_folder_open(&folder);
    sample_folder_open_many(&many);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_close(&folder);
    sample_folder_close(&many);
    return 0;
}

static void expect_in(const sample_folder *f, const char *name, const char *arguments, const char *text, size_t n_places, bool failed)
{
    dr_tool_result r;
    dr_error err = {0};
    const dr_workspace w = sample_folder_workspace(f);
    assert_int_equal(dr_tool_run(&r, &w, dr_str_of(name), dr_str_of(arguments), &err), DR_OK);
    assert_string_equal(r.text.data, text);
    assert_int_equal(r.n_places, n_places);
    assert_int_equal(r.failed, failed);
    dr_tool_result_fini(&r);
}

static void expect(const char *name, const char *arguments, const char *text, size_t n_places, bool failed)
{
    expect_in(&folder, name, arguments, text, n_places, failed);
}

static void tools__find_symbol(void **state)
{
    (void)state;
    expect("find_symbol", "{\"name\": \"list_size\"}",
           "src/list.c:3: function int list_size(const int *l)\nsrc/list.h:3: prototype int list_size(const int *l);", 2, false);
    expect("find_symbol", "{\"name\": \"LIST_MAX\"}", "src/list.h:4: macro #define LIST_MAX 64", 1, false);
    expect("find_symbol", "{\"name\": \"helper\"}",
           "src/main.c:3: function static int helper(int x)\ntool.py:1: function def helper(a):", 2, false);
    expect("find_symbol", "{\"name\": \"list_siz\"}", "no symbol named list_siz\nsimilar: list_size", 0, false);
    expect("find_symbol", "{\"name\": \"zzz\"}", "no symbol named zzz", 0, false);
}

static void tools__find_refs(void **state)
{
    (void)state;
    expect("find_refs", "{\"name\": \"list_size\"}",
           "src/main.c:11: call in main: return helper(list_size(v)) + list_size(v + 1);", 1, false);
    expect("find_refs", "{\"name\": \"helper\"}",
           "src/main.c:11: call in main: return helper(list_size(v)) + list_size(v + 1);\n"
           "tool.py:7: call in open: return helper(self)",
           2, false);
    expect("find_refs", "{\"name\": \"LIST_MAX\"}", "src/list.c:8: use in list_size: return n > LIST_MAX ? LIST_MAX : n;", 1,
           false);
    expect("find_refs", "{\"name\": \"main\"}", "no references to main", 0, false);
    /* Defined nowhere here: searched for, in code only ("of a kind" is a comment). */
    expect("find_refs", "{\"name\": \"v\"}",
           "src/main.c:10: use in main: int v[] = {1, 2, 0};\nsrc/main.c:11: use in main: return helper(list_size(v)) + list_size(v + 1);", 2,
           false);
    expect("find_refs", "{\"name\": \"kind\"}", "no references to kind", 0, false);
    expect("find_refs", "{\"name\": \"two\"}", "no references to two", 0, false);
}

static void tools__grep_and_read(void **state)
{
    (void)state;
    expect("grep", "{\"pattern\": \"^t[wh]\"}", "with space/a b.txt:2: two\nwith space/a b.txt:3: three", 2, false);
    expect("grep", "{\"pattern\": \"nowhere_at_all\"}", "no match for nowhere_at_all", 0, false);
    expect("read", "{\"path\": \"with space/a b.txt\", \"line\": 2}", "1\tone\n2\ttwo\n3\tthree", 3, false);
    expect("read", "{\"path\": \"none.c\", \"line\": 2}", "no file named none.c", 0, false);
    expect("read", "{\"path\": \"tool.py\", \"line\": 9000}", "tool.py has 7 lines", 0, false);
    expect("read", "{\"path\": \"tool.py\", \"line\": -9223372036854775808}",
           "1\tdef helper(a):\n2\t    return a\n3\t\n4\t\n5\tclass Box:\n6\t    def open(self):\n7\t        return helper(self)", 7,
           false);
}

static void tools__describe(void **state)
{
    (void)state;
    expect("describe", "{\"name\": \"list_size\"}",
           "src/list.c:3: function\nsignature: int list_size(const int *l)\nparameters: const int *l\nreturns: int", 1, false);
    expect("describe", "{\"name\": \"LIST_MAX\"}", "src/list.h:4: macro\nvalue: 64\nline: #define LIST_MAX 64", 1, false);
    expect("describe", "{\"name\": \"helper\"}",
           "src/main.c:3: function\nsignature: static int helper(int x)\nparameters: int x\nreturns: int\n\n"
           "tool.py:1: function\nsignature: def helper(a):\nparameters: a\nreturns: not declared",
           2, false);
    expect("describe", "{\"name\": \"main\"}", "src/main.c:8: function\nsignature: int main(void)\nparameters: none\nreturns: int", 1,
           false);
    expect("describe", "{\"name\": \"list_siz\"}", "no symbol named list_siz\nsimilar: list_size", 0, false);
}

static void tools__calls(void **state)
{
    (void)state;
    expect("calls", "{\"caller\": \"main\", \"callee\": \"helper\"}", "src/main.c:11: return helper(list_size(v)) + list_size(v + 1);", 1,
           false);
    expect("calls", "{\"caller\": \"list_size\", \"callee\": \"helper\"}", "list_size does not call helper", 0, false);
    expect("calls", "{\"caller\": \"list_siz\", \"callee\": \"helper\"}", "no symbol named list_siz\nsimilar: list_size", 0, false);
    /* Not defined here, so not in the table: the word is looked for in the caller, and only there. */
    expect("calls", "{\"caller\": \"list_size\", \"callee\": \"l\"}", "src/list.c:3: int list_size(const int *l)\nsrc/list.c:6: while (l[n])", 2,
           false);
    expect("calls", "{\"caller\": \"helper\", \"callee\": \"self\"}", "helper does not call self", 0, false);
}

static void tools__files(void **state)
{
    (void)state;
    expect("find_file", "{\"name\": \"list.c\"}", "src/list.c", 1, false);
    expect("find_file", "{\"name\": \"LIST\"}", "src/list.c\nsrc/list.h", 2, false);
    expect("find_file", "{\"name\": \"SRC/main.C\"}", "src/main.c", 1, false);
    expect("find_file", "{\"name\": \"space\"}", "with space/a b.txt", 1, false);
    expect("find_file", "{\"name\": \"nowhere\"}", "no file named nowhere", 0, false);
    expect("outline", "{\"path\": \"list.h\"}",
           "2: macro #define LIST_H\n3: prototype int list_size(const int *l);\n4: macro #define LIST_MAX 64", 3, false);
    expect("outline", "{\"path\": \"./tool.py\"}", "1: function def helper(a):\n5: class class Box:\n6: method def open(self):", 3, false);
    expect("outline", "{\"path\": \"with space/a b.txt\"}", "no definitions in with space/a b.txt", 0, false);
    expect("outline", "{\"path\": \"ist.h\"}", "no file named ist.h", 0, false); /* not behind a '/' */
    expect("outline", "{\"path\": \"List.h\"}", "no file named List.h", 0, false);
    expect("imports", "{\"path\": \"src/main.c\"}", "1: #include \"list.h\" => src/list.h", 1, false);
    expect("imports", "{\"path\": \"tool.py\"}", "no imports in tool.py", 0, false);
    expect("imports", "{\"path\": \"none\"}", "no file named none", 0, false);
    expect("importers", "{\"name\": \"list.h\"}", "src/list.c:1: #include \"list.h\"\nsrc/main.c:1: #include \"list.h\"", 2, false);
    expect("importers", "{\"name\": \"main.c\"}", "nothing imports main.c", 0, false);
}

static void tools__by_hand(void **state)
{
    (void)state;
    expect("callees", "{\"name\": \"main\"}",
           "src/main.c:11: helper at src/main.c:3 and 1 more\nsrc/main.c:11: list_size at src/list.c:3 and 1 more", 2, false);
    expect("callees", "{\"name\": \"list_size\"}", "list_size calls nothing that is defined here", 0, false);
    expect("callees", "{\"name\": \"LIST_MA\"}", "no symbol named LIST_MA\nsimilar: LIST_MAX", 0, false);
    static const struct {
        const char *text, *said;
    } known[] = {
        {"where is list_size defined?", "known: list_size function"},
        {"who calls LIST_SIZE() in src/main.c?", "known: LIST_SIZE function, src/main.c file"},
        {"does `main` call helper, main or helper?", "known: main function, helper function"},
        {"list.h, LIST.C, tool and ./tool.py; src/, with", "known: list.h file, LIST.C file, tool file, ./tool.py file, src/ folder"},
        {"list_size.x is Box->open", "known: list_size function, Box->open method"},
        {"l a LIS BOX, . ./ with", "known: nothing"}, /* too short to be taken for another */
        {"find operator or open-ended", "known: open method"},
        {"?", "known: nothing"},
        {"main list_size helper Box open LIST_MAX LIST_H main.c list.c list.h tool.py src LIST_max list", /* twelve at most */
         "known: main function, list_size function, helper function, Box class, open method, LIST_MAX macro, LIST_H macro, main.c file, "
         "list.c file, list.h file, tool.py file, src folder"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char arguments[200];
        (void)snprintf(arguments, sizeof arguments, "{\"text\": \"%s\"}", known[i].text);
        expect("known", arguments, known[i].said, 0, false);
    }
    dr_tool_id id;
    assert_true(dr_tool_find(&id, DR_STR("changes")) && id >= DR_N_ROSTER_TOOLS);
}

static void tools__one_part(void **state)
{
    (void)state;
    const char *size = "{\"name\": \"size\"}", *reset = "{\"name\": \"reset\"}";
    /* Without the lines of other parts; a variable among them has no parameters, and is not counted either. */
    expect_in(&many, "parameters", size,
              "lib/net/size.c:3: function\nparameters: int a\n\npy/net/b.py:1: function\nparameters: b\n\n"
              "py/net/b.py:7: method\nparameters: self\nand 1 more",
              3, false);
    expect_in(&many, "parameters", reset, "lib/net/size.c:8: function\nparameters: none", 1, false);
    expect_in(&many, "returns", size,
              "lib/net/size.c:3: function\nreturns: int\n\npy/net/b.py:1: function\nreturns: not declared\n\n"
              "py/net/b.py:7: method\nreturns: not declared\nand 1 more",
              3, false);
    /* The fifth definition, which describe leaves out. */
    expect_in(&many, "value", size, "py/a.py:1: variable\nvalue: 3\nline: size = 3", 1, false);
    expect_in(&many, "value", "{\"name\": \"LIMIT\"}", "lib/net/size.c:1: macro\nvalue: 8\nline: #define LIMIT 8", 1, false);
    expect_in(&many, "comment", size, "lib/net/size.c:3: function\ndoc: Counts them.\n\npy/net/b.py:1: function\ndoc: How big.", 2, false);
    expect_in(&many, "comment", reset, "lib/size.h:3: prototype\ndoc: Back to nothing.", 1, false);
    expect("fields", "{\"name\": \"pair\"}", "src/pair.h:2: struct\nfields: int a; char *b", 1, false);
    expect("returns", "{\"name\": \"swap\"}", "src/pair.h:3: prototype\nreturns: nothing", 1, false);
    static const char *const parts[] = {"parameters", "returns", "fields", "value", "comment"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        expect(parts[i], "{\"name\": \"list_siz\"}", "no symbol named list_siz\nsimilar: list_size", 0, false);
}

/* What a place lets a sentence quote, by name. */
static void expect_holes(const char *name, const char *arguments, const char *holes)
{
    dr_tool_result r;
    char all[200] = "";
    const dr_workspace w = sample_folder_workspace(&many);
    assert_int_equal(dr_tool_run(&r, &w, dr_str_of(name), dr_str_of(arguments), NULL), DR_OK);
    assert_true(r.n_places > 0);
    for (int h = 0; h < DR_N_HOLES; h++)
        if (r.places[0].hole[h].n) {
            (void)strcat(all, all[0] ? " " : "");
            (void)strcat(all, dr_hole_name((dr_hole)h));
        }
    assert_string_equal(all, holes);
    dr_tool_result_fini(&r);
}

static void tools__one_part_has_one_hole(void **state)
{
    (void)state;
    expect_holes("parameters", "{\"name\": \"size\"}", "parameters");
    expect_holes("returns", "{\"name\": \"size\"}", "returns");
    expect_holes("value", "{\"name\": \"size\"}", "value");
    expect_holes("comment", "{\"name\": \"size\"}", "doc");
    expect_holes("fields", "{\"name\": \"size\"}", "parameters returns doc signature"); /* it has none: all there is */
    expect_holes("comment", "{\"name\": \"Box\"}", "signature");
    expect_holes("comment", "{\"name\": \"LIMIT\"}", "value");
    expect_holes("call_sites", "{\"name\": \"size\"}", "enclosing");
    expect_holes("find_symbol_in", "{\"name\": \"size\", \"place\": \"py\"}", "");
}

static void expect_as_described(const sample_folder *f, const char *part, const char *arguments)
{
    dr_tool_result r;
    const dr_workspace w = sample_folder_workspace(f);
    assert_int_equal(dr_tool_run(&r, &w, DR_STR("describe"), dr_str_of(arguments), NULL), DR_OK);
    expect_in(f, part, arguments, r.text.data, r.n_places, r.failed);
    dr_tool_result_fini(&r);
}

static void tools__one_part_that_is_not_there(void **state)
{
    (void)state;
    expect_as_described(&many, "fields", "{\"name\": \"size\"}");
    expect_as_described(&many, "value", "{\"name\": \"reset\"}"); /* with the comment of its declaration */
    expect_as_described(&many, "parameters", "{\"name\": \"LIMIT\"}");
    expect_as_described(&many, "returns", "{\"name\": \"Box\"}");
    expect_as_described(&folder, "value", "{\"name\": \"pair\"}");
    /* Instead of a comment the signature alone, or the value. */
    expect("comment", "{\"name\": \"helper\"}",
           "src/main.c:3: function\nsignature: static int helper(int x)\n\ntool.py:1: function\nsignature: def helper(a):", 2, false);
    expect("comment", "{\"name\": \"LIST_MAX\"}", "src/list.h:4: macro\nvalue: 64\nline: #define LIST_MAX 64", 1, false);
    expect("value", "{\"name\": \"LIST_H\"}", "src/list.h:2: macro\nline: #define LIST_H", 1, false);
}

static void tools__call_sites(void **state)
{
    (void)state;
    expect_in(&many, "call_sites", "{\"name\": \"size\"}",
              "lib/net/size.c:10: LIMIT in reset: return size(LIMIT) + size(1) + twice(2);\n"
              "py/net/b.py:8: self in size: return size(self)", 2,
              false); /* and a use in py/a.py, which is no call */
    expect_in(&many, "call_sites", "{\"name\": \"twice\"}", "lib/net/size.c:10: 2 in reset: return size(LIMIT) + size(1) + twice(2);", 1,
              false); /* defined nowhere here: searched for */
    expect("call_sites", "{\"name\": \"LIST_MAX\"}", "no calls of LIST_MAX", 0, false);
    expect("call_sites", "{\"name\": \"v\"}", "no calls of v", 0, false);
    expect("call_sites", "{\"name\": \"zzz\"}", "no calls of zzz", 0, false);
    /* One line of result: what is left out are calls. */
    dr_tool_result r;
    dr_workspace w = sample_folder_workspace(&many);
    w.result_lines = 1;
    assert_int_equal(dr_tool_run(&r, &w, DR_STR("call_sites"), DR_STR("{\"name\": \"size\"}"), NULL), DR_OK);
    assert_string_equal(r.text.data, "lib/net/size.c:10: LIMIT in reset: return size(LIMIT) + size(1) + twice(2);\nand 1 more");
    dr_tool_result_fini(&r);
}

/* The argument that tells whether a call is bounded. */
static void tools__argument_of_a_call(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *argument;
    } v[] = {
        {"memcpy(a, b, sizeof (a));", "memcpy", "sizeof (a)"},
        {"x = my_memcpy(a); memcpy (b, f(c, d)[1, 2], \"n, m)\" );", "memcpy", "\"n, m)\""},
        {"sprintf(a, \"%s\\\", b\", c);", "sprintf", "\"%s\\\", b\""},
        {"sprintf(a, b, c);", "sprintf", "c"},
        {"snprintf(a, sizeof a, \"%s\", c);", "snprintf", "sizeof a"},
        {"snprintf(a);", "snprintf", "a"},
        {"memcpy(a,\n       b,\n       n + \t 1);", "memcpy", "n + 1"},
        {"f('(', ')');", "f", "')'"},
        {"x = ~f(a);", "f", "a"},
        {"f()", "f", "?"},
        {"f(a, b", "f", "?"},
        {"f(a, \"b", "f", "?"},
        {"f(a]", "f", "a"},
        {"g = f;", "f", "?"},
        {"f", "f", "?"},
        {"f(", "f", "?"},
        {"f(a, 0123456789012345678901234567890123456789012)", "f", "0123456789012345678901234567890123456789"},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        dr_buf got = {0};
        dr_tool__add_argument(&got, dr_str_of(v[i].text), 1, dr_str_of(v[i].name));
        assert_string_equal(got.data, v[i].argument);
        dr_buf_free(&got);
    }
    dr_buf many_of_them = {0}, got = {0};
    dr_buf_str(&many_of_them, "f(");
    for (int i = 0; i < 100; i++)
        dr_buf_printf(&many_of_them, "a%d, ", i);
    dr_buf_str(&many_of_them, "last)\n");
    dr_tool__add_argument(&got, dr_buf_view(&many_of_them), 1, DR_STR("f"));
    dr_tool__add_argument(&got, dr_buf_view(&many_of_them), 7, DR_STR("f")); /* no such line */
    assert_string_equal(got.data, "last?");
    dr_buf_free(&got);
    dr_buf_free(&many_of_them);
}

static void tools__find_symbol_in(void **state)
{
    (void)state;
#define C "lib/net/size.c:3: function int size(int a)"
#define H "lib/size.h:1: prototype int size(int a);"
#define B "py/net/b.py:1: function def size(b):\npy/net/b.py:7: method def size(self):"
#define S "py/size.py:1: function def size():"
#define A "py/a.py:1: variable size = 3"
    static const struct {
        const char *place, *text;
        size_t n;
    } v[] = {
        {"Prototype", H, 1},
        {"FUNCTION", C "\npy/net/b.py:1: function def size(b):\n" S, 3},
        {"py/a.py", A, 1},
        {"./py/a.py", A, 1},
        {"a.py", A, 1},
        {"net/size.c", C, 1},
        {"size.h", H, 1},
        {"size", C "\n" S "\n" H, 3}, /* three files without their endings */
        {"b", B, 2},
        {"net", C "\n" B, 3},
        {"lib", C "\n" H, 2},
        {"lib/", C "\n" H, 2},
        {"./lib", C "\n" H, 2},
        {"py/net/", B, 2},
        {"py", B "\n" S "\n" A, 4},
        {"ne", C "\n" B "\n" S "\n" A "\n" H, 6}, /* from here on: names none of them, so all */
        {"et", C "\n" B "\n" S "\n" A "\n" H, 6},
        {"et/size.c", C "\n" B "\n" S "\n" A "\n" H, 6},
        {"Size.c", C "\n" B "\n" S "\n" A "\n" H, 6},
        {"b.py/", C "\n" B "\n" S "\n" A "\n" H, 6},
        {"macro", C "\n" B "\n" S "\n" A "\n" H, 6},
        {"/", C "\n" B "\n" S "\n" A "\n" H, 6},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        char arguments[100];
        (void)snprintf(arguments, sizeof arguments, "{\"name\": \"size\", \"place\": \"%s\"}", v[i].place);
        expect_in(&many, "find_symbol_in", arguments, v[i].text, v[i].n, false);
    }
    expect_in(&many, "find_symbol_in", "{\"name\": \"siz\", \"place\": \"py\"}", "no symbol named siz\nsimilar: size", 0, false);
    expect_in(&many, "find_symbol_in", "{\"name\": \"size\"}", "find_symbol_in needs \"place\", a text", 0, true);
    dr_tool_result r;
    dr_workspace w = sample_folder_workspace(&many);
    w.result_lines = 1;
    assert_int_equal(dr_tool_run(&r, &w, DR_STR("find_symbol_in"), DR_STR("{\"name\": \"size\", \"place\": \"net\"}"), NULL), DR_OK);
    assert_string_equal(r.text.data, C "\nand 2 more");
    dr_tool_result_fini(&r);
}

/* A qualified name means what lies there; a name that is not there means nothing. */
static void tools__qualified_names(void **state)
{
    (void)state;
    static const char *const joints[] = {".", "::", "#", "->", ":"};
    for (size_t i = 0; i < sizeof joints / sizeof *joints; i++) {
        char arguments[100], text[200];
        (void)snprintf(arguments, sizeof arguments, "{\"name\": \"Box%sopen\"}", joints[i]);
        (void)snprintf(text, sizeof text, "Box%sopen is named open:\ntool.py:6: method def open(self):", joints[i]);
        expect("find_symbol", arguments, text, 1, false);
    }
    expect("parameters", "{\"name\": \"x.y.Box.open\"}", "x.y.Box.open is named open:\ntool.py:6: method\nparameters: self", 1, false);
    expect("find_symbol", "{\"name\": \"tool.helper\"}", "tool.helper is named helper:\ntool.py:1: function def helper(a):", 1, false);
    expect("callees", "{\"name\": \"Box.open\"}", "Box.open is named open:\ntool.py:7: helper at src/main.c:3 and 1 more", 1, false);
    expect("known", "{\"text\": \"x.tool.Box.open, and tool.helper\"}", "known: x.tool.Box.open method, tool.helper function", 0, false);
    expect("find_symbol", "{\"name\": \"Box.close\"}", "no symbol named Box.close", 0, false);
    expect("find_symbol", "{\"name\": \"Boxes.open\"}", "no symbol named Boxes.open", 0, false);
    expect("find_symbol", "{\"name\": \"Box..open\"}", "no symbol named Box..open", 0, false);
    expect("find_symbol", "{\"name\": \".open\"}", "no symbol named .open", 0, false);
    expect("find_symbol", "{\"name\": \"Box.\"}", "no symbol named Box.", 0, false);
    /* of several definitions those of the file or the folder */
    expect_in(&many, "find_symbol", "{\"name\": \"py.size\"}",
              "py.size is named size:\npy/net/b.py:1: function def size(b):\npy/net/b.py:7: method def size(self):\n"
              "py/size.py:1: function def size():\npy/a.py:1: variable size = 3", 4, false);
    expect_in(&many, "find_symbol", "{\"name\": \"Box.size\"}", "Box.size is named size:\npy/net/b.py:7: method def size(self):", 1, false);
    expect_in(&many, "calls", "{\"caller\": \"size.reset\", \"callee\": \"net.size\"}",
              "size.reset is named reset:\nnet.size is named size:\nlib/net/size.c:10: return size(LIMIT) + size(1) + twice(2);", 1, false);
    expect_in(&many, "find_symbol_in", "{\"name\": \"size\", \"place\": \"Box\"}", "py/net/b.py:7: method def size(self):", 1, false);
}

/* Every tool that is given a name answers for the one that is equal to it but for case. */
static void tools__names_in_another_case(void **state)
{
    (void)state;
    expect("find_symbol", "{\"name\": \"List_Size\"}",
           "List_Size is named list_size:\nsrc/list.c:3: function int list_size(const int *l)\nsrc/list.h:3: prototype int list_size(const int *l);", 2,
           false);
    expect("find_symbol_in", "{\"name\": \"LIST_SIZE\", \"place\": \"list.h\"}",
           "LIST_SIZE is named list_size:\nsrc/list.h:3: prototype int list_size(const int *l);", 1, false);
    expect("find_refs", "{\"name\": \"list_max\"}",
           "list_max is named LIST_MAX:\nsrc/list.c:8: use in list_size: return n > LIST_MAX ? LIST_MAX : n;", 1, false);
    expect("find_refs", "{\"name\": \"MAIN\"}", "MAIN is named main:\nno references to main", 0, false);
    expect("call_sites", "{\"name\": \"LIST_SIZE\"}",
           "LIST_SIZE is named list_size:\nsrc/main.c:11: v in main: return helper(list_size(v)) + list_size(v + 1);", 1, false);
    expect("describe", "{\"name\": \"list_max\"}", "list_max is named LIST_MAX:\nsrc/list.h:4: macro\nvalue: 64\nline: #define LIST_MAX 64", 1, false);
    expect("value", "{\"name\": \"list_max\"}", "list_max is named LIST_MAX:\nsrc/list.h:4: macro\nvalue: 64\nline: #define LIST_MAX 64", 1, false);
    expect("callees", "{\"name\": \"List_Size\"}", "List_Size is named list_size:\nlist_size calls nothing that is defined here", 0, false);
    expect("calls", "{\"caller\": \"MAIN\", \"callee\": \"Helper\"}",
           "MAIN is named main:\nHelper is named helper:\nsrc/main.c:11: return helper(list_size(v)) + list_size(v + 1);", 1, false);
    expect("calls", "{\"caller\": \"List_Size\", \"callee\": \"HELPER\"}",
           "List_Size is named list_size:\nHELPER is named helper:\nlist_size does not call helper", 0, false);
    expect("outline", "{\"path\": \"List.h\"}", "no file named List.h", 0, false); /* a path is no name */
    expect_in(&many, "find_refs", "{\"name\": \"TWICE\"}", "no references to TWICE", 0, false);
    dr_tool_result r;
    const dr_workspace w = sample_folder_workspace(&folder);
    assert_int_equal(dr_tool_run(&r, &w, DR_STR("calls"), DR_STR("{\"caller\": \"MAIN\", \"callee\": \"Helper\"}"), NULL), DR_OK);
    assert_string_equal(r.subject.data, "main");
    assert_string_equal(r.object.data, "helper");
    assert_int_equal(r.outcome, DR_TOOL_FOUND);
    dr_tool_result_fini(&r);
}

/* The bundled model was trained on these bytes: a prompt of other ones is another prompt. */
static void tools__first_schemas_never_change(void **state)
{
    (void)state;
    static const char *const frozen[][2] = {
        {"find_symbol",
         "{\"name\": \"find_symbol\", \"description\": \"where a name is defined\", \"parameters\": {\"type\": \"object\", \"properties\": "
         "{\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}"},
        {"find_refs",
         "{\"name\": \"find_refs\", \"description\": \"where a name is used\", \"parameters\": {\"type\": \"object\", \"properties\": "
         "{\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}"},
        {"grep",
         "{\"name\": \"grep\", \"description\": \"lines that match a pattern\", \"parameters\": {\"type\": \"object\", \"properties\": "
         "{\"pattern\": {\"type\": \"string\"}}, \"required\": [\"pattern\"]}}"},
        {"read",
         "{\"name\": \"read\", \"description\": \"lines of a file\", \"parameters\": {\"type\": \"object\", \"properties\": {\"path\": "
         "{\"type\": \"string\"}, \"line\": {\"type\": \"integer\"}}, \"required\": [\"path\", \"line\"]}}"}};
    for (size_t i = 0; i < sizeof frozen / sizeof *frozen; i++) {
        dr_tool_id id;
        assert_true(dr_tool_find(&id, dr_str_of(frozen[i][0])));
        assert_string_equal(dr_tool_schema(id), frozen[i][1]);
    }
}

static void tools__wrong_calls_are_results(void **state)
{
    (void)state;
    expect("delete", "{}", "no tool named delete", 0, true);
    expect("find_symbol", "not json", "the arguments are not a JSON object", 0, true);
    expect("find_symbol", "{\"nom\": \"x\"}", "find_symbol needs \"name\", a text", 0, true);
    expect("edit", "{\"path\": \"tool.py\", \"old\": \"\", \"new\": \"x\"}", "edit needs \"old\", a text", 0, true);
    expect("edit", "{\"path\": \"tool.py\", \"old\": \"x\", \"new\": \"\"}", "nothing can be edited here", 0, false);
    expect("read", "{\"path\": \"tool.py\", \"line\": \"2\"}", "read needs \"line\", a whole number", 0, true);
}

static void tools__schemas_are_the_documented_ones(void **state)
{
    (void)state;
    dr_buf doc = {0};
    assert_int_equal(dr_read_file(&doc, "docs/tools.md", 1 << 20, NULL), DR_OK);
    for (int i = 0; i < DR_N_TOOLS; i++)
        if (!strstr(doc.data, dr_tool_schema((dr_tool_id)i)))
            fail_msg("docs/tools.md does not hold the schema of %s", dr_tool_name((dr_tool_id)i));
    dr_buf_free(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools__find_symbol),
        cmocka_unit_test(tools__find_refs),
        cmocka_unit_test(tools__grep_and_read),
        cmocka_unit_test(tools__describe),
        cmocka_unit_test(tools__calls),
        cmocka_unit_test(tools__files),
        cmocka_unit_test(tools__by_hand),
        cmocka_unit_test(tools__one_part),
        cmocka_unit_test(tools__one_part_has_one_hole),
        cmocka_unit_test(tools__one_part_that_is_not_there),
        cmocka_unit_test(tools__call_sites), cmocka_unit_test(tools__argument_of_a_call),
        cmocka_unit_test(tools__find_symbol_in),
        cmocka_unit_test(tools__names_in_another_case), cmocka_unit_test(tools__qualified_names),
        cmocka_unit_test(tools__first_schemas_never_change),
        cmocka_unit_test(tools__wrong_calls_are_results),
        cmocka_unit_test(tools__schemas_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
