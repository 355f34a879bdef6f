/* Tool results, byte for byte as docs/tools.md states them. */
#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sample_folder folder;

static int set_up(void **state)
{
    (void)state;
    sample_folder_open(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_close(&folder);
    return 0;
}

static void expect(const char *name, const char *arguments, const char *text, size_t n_places, bool failed)
{
    dr_tool_result r;
    dr_error err = {0};
    const dr_workspace w = sample_folder_workspace(&folder);
    assert_int_equal(dr_tool_run(&r, &w, dr_str_of(name), dr_str_of(arguments), &err), DR_OK);
    assert_string_equal(r.text.data, text);
    assert_int_equal(r.n_places, n_places);
    assert_int_equal(r.failed, failed);
    dr_tool_result_fini(&r);
}

static void tools__find_symbol(void **state)
{
    (void)state;
    expect("find_symbol", "{\"name\": \"list_size\"}",
           "src/list.c:3: function int list_size(const int *l)\nsrc/list.h:3: prototype int list_size(const int *l);", 2, false);
    expect("find_symbol", "{\"name\": \"LIST_MAX\"}", "src/list.h:4: macro #define LIST_MAX 64", 1, false);
    expect("find_symbol", "{\"name\": \"helper\"}",
           "src/main.c:3: function static int helper(int x)\ntool.py:1: function def helper(a):", 2, false);
    expect("find_symbol", "{\"name\": \"List_Size\"}", "no symbol named List_Size\nsimilar: list_size", 0, false);
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
    expect("describe", "{\"name\": \"List_Size\"}", "no symbol named List_Size\nsimilar: list_size", 0, false);
}

static void tools__calls(void **state)
{
    (void)state;
    expect("calls", "{\"caller\": \"main\", \"callee\": \"helper\"}", "src/main.c:11: return helper(list_size(v)) + list_size(v + 1);", 1,
           false);
    expect("calls", "{\"caller\": \"list_size\", \"callee\": \"helper\"}", "list_size does not call helper", 0, false);
    expect("calls", "{\"caller\": \"List_Size\", \"callee\": \"helper\"}", "no symbol named List_Size\nsimilar: list_size", 0, false);
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
    dr_tool_id id;
    assert_true(dr_tool_find(&id, DR_STR("changes")) && id >= DR_N_ROSTER_TOOLS);
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
        cmocka_unit_test(tools__first_schemas_never_change),
        cmocka_unit_test(tools__wrong_calls_are_results),
        cmocka_unit_test(tools__schemas_are_the_documented_ones),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
