/* What the bundled model answers to plain questions about a small repository: one of every skill, through the program, with the weights that come
 * with it. How often it is right about others is measured by `./dev eval`; here each skill has to work at all. */
#include "tests/app/program.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/deepread-test-XXXXXX", cache[] = "/tmp/deepread-cache-XXXXXX";

static const struct {
    const char *name, *text;
} files[] = {
    {"include/number_list.h", "/* A list of numbers that grows. */\n"
                              "#ifndef NUMBER_LIST_H\n"
                              "#define NUMBER_LIST_H\n"
                              "#include <stddef.h>\n"
                              "\n"
                              "#define LIST_LIMIT 64\n"
                              "\n"
                              "typedef struct number_list {\n"
                              "    int *items;\n"
                              "    size_t count;\n"
                              "} number_list;\n"
                              "\n"
                              "size_t list_append(number_list *list, int value);\n"
                              "#endif\n"},
    {"src/number_list.c", "#include \"number_list.h\"\n"
                          "\n"
                          "/* Appends a value and returns the new count. */\n"
                          "size_t list_append(number_list *list, int value)\n"
                          "{\n"
                          "    if (list->count < LIST_LIMIT)\n"
                          "        list->items[list->count++] = value;\n"
                          "    return list->count;\n"
                          "}\n"},
    {"src/main.c", "#include <stdio.h>\n"
                   "#include \"number_list.h\"\n"
                   "\n"
                   "static void print_list(const number_list *list)\n"
                   "{\n"
                   "    for (size_t i = 0; i < list->count; i++)\n"
                   "        printf(\"%d\\n\", list->items[i]);\n"
                   "}\n"
                   "\n"
                   "int main(void)\n"
                   "{\n"
                   "    int items[LIST_LIMIT];\n"
                   "    number_list list = {items, 0};\n"
                   "    list_append(&list, 7);\n"
                   "    print_list(&list);\n"
                   "    return 0;\n"
                   "}\n"},
    {"tools/report.py", "import json\n"
                        "\n"
                        "\n"
                        "def make_report(rows, title=\"numbers\"):\n"
                        "    \"\"\"Formats rows under a title.\"\"\"\n"
                        "    return title + json.dumps(rows)\n"},
};

static int set_up(void **state)
{
    (void)state;
    char path[200];
    if (!mkdtemp(folder) || !mkdtemp(cache) || setenv("XDG_CACHE_HOME", cache, 1) != 0)
        return -1;
    (void)snprintf(path, sizeof path, "mkdir '%s/include' '%s/src' '%s/tools'", folder, folder, folder);
    if (system(path) != 0)
        return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        if (dr_write_file(path, files[i].text, strlen(files[i].text), NULL) != DR_OK)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[200];
    (void)snprintf(command, sizeof command, "rm -rf '%s' '%s'", folder, cache);
    return system(command) == 0 ? 0 : -1;
}

/* question, and what has to come: the answer's text, or the lines of a diff that begin with '+' or '-', without those of the head */
typedef struct expected {
    const char *question, *text;
} expected;

static void add_changed_lines(dr_buf *to, const char *diff)
{
    for (const char *line = diff; *line; line += strcspn(line, "\n") + 1)
        if ((*line == '+' || *line == '-') && strncmp(line, "+++", 3) != 0 && strncmp(line, "---", 3) != 0)
            dr_buf_printf(to, "%.*s\n", (int)strcspn(line, "\n"), line);
}

/* All questions in one batch; each is a conversation of its own. */
static void expect_all(const char *command, const expected *v, size_t n)
{
    dr_buf input = {0}, said = {0};
    char arguments[60];
    dr_buf_str(&input, "2>/dev/null << 'END' ; exit $?\n");
    for (size_t i = 0; i < n; i++)
        dr_buf_printf(&input, "%s\n", v[i].question);
    dr_buf_str(&input, "END\n:");
    (void)snprintf(arguments, sizeof arguments, "-C %%R --json --batch %s", command);
    run r = program_run(NULL, folder, arguments, input.data);

    size_t i = 0, wrong = 0;
    for (const char *line = r.out.data; *line; line = strchr(line, '\n') + 1) {
        json_t *e = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        const char *type = json_string_value(json_object_get(e, "type"));
        if (strcmp(type, "answer") == 0)
            dr_buf_str(&said, json_string_value(json_object_get(e, "text")));
        if (strcmp(type, "edit") == 0) { /* behind its answer */
            dr_buf_clear(&said);
            add_changed_lines(&said, json_string_value(json_object_get(e, "diff")));
        }
        if (strcmp(type, "done") == 0) {
            assert_true(i < n);
            dr_buf_str(&said, "");
            if (strcmp(said.data, v[i].text) != 0) {
                print_error("%s: %s\n", v[i].question, said.data);
                wrong++;
            }
            dr_buf_clear(&said);
            i++;
        }
        json_decref(e);
    }
    assert_int_equal(i, n);
    assert_int_equal(wrong, 0);
    dr_buf_free(&r.out);
    dr_buf_free(&said);
    dr_buf_free(&input);
}

static void bundled__answers(void **state)
{
    (void)state;
    static const expected v[] = {
        {"where is list_append defined?", "`list_append` is defined at src/number_list.c:4."},
        {"who calls list_append?", "`list_append` is used at:\n- src/main.c:14 in `main`"},
        {"what parameters does list_append take?", "`list_append` takes `number_list *list, int value` (src/number_list.c:4)."},
        {"what does make_report take?", "`make_report` takes `rows, title=\"numbers\"` (tools/report.py:4)."},
        {"what does list_append return?", "`list_append` returns `size_t` (src/number_list.c:4)."},
        {"which fields does number_list have?", "`number_list` has the fields `int *items; size_t count` (include/number_list.h:8)."},
        {"what is the value of LIST_LIMIT?", "`LIST_LIMIT` is `64` (include/number_list.h:6)."},
        {"what does make_report do?", "`make_report` (tools/report.py:4): Formats rows under a title."},
        {"which file is report.py?", "The file is tools/report.py."},
        {"what does src/main.c define?", "src/main.c defines:\n- `print_list` at src/main.c:4\n- `main` at src/main.c:10"},
        {"what does src/main.c include?",
         "src/main.c imports:\n- `#include <stdio.h>` at src/main.c:1\n- `#include \"number_list.h\"` at src/main.c:2"},
        {"which files include number_list.h?", "`number_list.h` is imported at:\n- src/main.c:2\n- src/number_list.c:1"},
        {"does main call print_list?", "Yes, `main` calls `print_list` at src/main.c:15."},
        {"where is list_remove defined?", "I found no symbol named `list_remove`."},
        {"grep for the text \"new count\"", "`new count` stands at:\n- src/number_list.c:3"},
        {"what is the weather like today?",
         "I can only find names, files, uses and imports, read signatures, fields, values and comments, and make small edits."},
    };
    expect_all("ask", v, sizeof v / sizeof *v);
}

static void bundled__edits(void **state)
{
    (void)state;
    static const expected v[] = {
        {"rename print_list to show_list",
         "-static void print_list(const number_list *list)\n+static void show_list(const number_list *list)\n-    print_list(&list);\n+    show_list(&list);\n"},
        {"rename value to number in src/number_list.c",
         "-size_t list_append(number_list *list, int value)\n+size_t list_append(number_list *list, int number)\n"
         "-        list->items[list->count++] = value;\n+        list->items[list->count++] = number;\n"},
        {"set LIST_LIMIT to 128", "-#define LIST_LIMIT 64\n+#define LIST_LIMIT 128\n"},
        {"set LIST_LIMIT to 20000", "-#define LIST_LIMIT 64\n+#define LIST_LIMIT 20000\n"},
        {"add #include <string.h> to src/main.c", "+#include <string.h>\n"},
        {"add the log line `puts(\"list\");` to print_list", "+    puts(\"list\");\n"},
    };
    expect_all("edit", v, sizeof v / sizeof *v);
}

static void expect_said(const char *arguments, const char *text)
{
    run r = program_run(NULL, folder, arguments, "2>&1");
    if (!strstr(r.out.data, text))
        fail_msg("%s: %s", arguments, r.out.data);
    dr_buf_free(&r.out);
}

/* What the answer alone does not tell: uses in files that a rename leaves alone, and lines that a result had no room for. */
static void bundled__tells_what_is_left(void **state)
{
    (void)state;
    expect_said("-C %R edit 'rename LIST_LIMIT to LIST_MOST in include/number_list.h'", "LIST_LIMIT stands in 2 other files too");
    char text[2000] = "", path[200];
    for (int i = 0; i < 12; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "int user%d(void) { return list_append(0, %d); }\n", i, i);
    (void)snprintf(path, sizeof path, "%s/src/users.c", folder);
    assert_int_equal(dr_write_file(path, text, strlen(text), NULL), DR_OK);
    expect_said("-C %R ask 'who calls list_append?'", "\nand 5 more\n");
    assert_int_equal(unlink(path), 0);
}

/* A pack of whole files and a description: the model reads, and calls nothing. */
static void bundled__reads(void **state)
{
    (void)state;
    static const expected v[] = {
        {"which function does this: make_report puts rows under a title", "That is `make_report` at tools/report.py:4."},
    };
    expect_all("--mode full --budget 0 ask", v, sizeof v / sizeof *v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundled__answers),
        cmocka_unit_test(bundled__edits),
        cmocka_unit_test(bundled__tells_what_is_left),
        cmocka_unit_test(bundled__reads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
