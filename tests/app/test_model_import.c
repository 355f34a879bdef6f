/* `deepread model import` as a user runs it. The encoding file has texts of its own, so it is of no published release. */
#include "tests/app/program.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char encoding[] = "dsml_token = \"\xef\xbd\x9c" "DSML\xef\xbd\x9c\"\n"
                               "TOOLS_TEMPLATE = \"\"\"## Tools\n\n<{dsml_token}tool_calls>\n\n{tool_schemas}\n\nAfter.\n\"\"\"\n"
                               "REASONING_EFFORT_PROMPTS = {\"low\": \"\", \"high\": \"Think.\\n\\n\"}\n";

static void write_text(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(dr_write_file(path, text, strlen(text), NULL), DR_OK);
}

static bool is_there(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
    (void)state;
    char path[128];
    (void)strcpy(folder, "/tmp/deepread-import-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/encoding", folder);
    if (mkdir(path, 0700) != 0)
        return -1;
    write_text("encoding/encoding_dsv4.py", encoding);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

/* "%R" stands for the model folder. */
static void expect(const char *arguments, int exit, const char *says)
{
    run r = program_run(NULL, folder, arguments, "2>&1");
    if (r.exit != exit || !strstr(r.out.data, says))
        fail_msg("%s: exit %d\n%s", arguments, r.exit, r.out.data);
    dr_buf_free(&r.out);
}

static void model_import__unknown_texts_are_written_only_when_accepted(void **state)
{
    (void)state;
    expect("model import %R", 2, "encoding_dsv4.py: line 2: TOOLS_TEMPLATE (SHA-256 ");
    expect("model import %R", 2, "--accept takes the file's own texts");
    assert_false(is_there("dialect.json"));
    expect("model import --accept %R", 0, "/dialect.json: of a release that is not known here, efforts low, high\n");
    assert_true(is_there("dialect.json"));
    expect("model import --accept --model %R", 0, "it was there already");
    /* It is what render uses from now on. */
    write_text("messages.json", "[{\"role\": \"user\", \"content\": \"Q\"}]");
    expect("model render %R --messages %R/messages.json --mode thinking --effort high", 0, "Think.\n\n<\xef\xbd\x9cUser\xef\xbd\x9c>Q");
    expect("model render %R --messages %R/messages.json --effort max", 2, "this model (unknown) has no effort \"max\"; it has: low, high");
}

static void model_import__a_dialect_of_other_words_is_not_overwritten(void **state)
{
    (void)state;
    write_text("dialect.json", "{\"mine\": 1}");
    expect("model import --accept %R", 2, "is there and says something else");
    expect("model import --accept %R --out %R/new/folder", 0, "/new/folder/dialect.json: ");
    assert_true(is_there("new/folder/dialect.json"));
    expect("model import --accept %R --out %R/dialect.json", 2, "not a folder");
}

static void model_import__one_object_for_programs(void **state)
{
    (void)state;
    run r = program_run(NULL, folder, "model import --json --accept %R", "2>/dev/null");
    json_t *o = json_loads(r.out.data, 0, NULL);
    const char *type = NULL, *file = NULL, *release = NULL;
    int known = 1, written = 0;
    json_t *efforts = NULL;
    assert_int_equal(r.exit, 0);
    assert_int_equal(json_unpack(o, "{s:s,s:s,s:s,s:b,s:b,s:o}", "type", &type, "file", &file, "release", &release, "known", &known,
                                 "written", &written, "efforts", &efforts),
                     0);
    assert_string_equal(type, "import");
    assert_string_equal(release, "unknown");
    assert_true(!known && written);
    assert_int_equal(json_array_size(efforts), 2);
    assert_int_equal(access(file, F_OK), 0);
    json_decref(o);
    dr_buf_free(&r.out);
}

static void model_import__says_what_is_missing_or_broken(void **state)
{
    (void)state;
    expect("model import %R/encoding", 2, "no encoding/encoding_dsv4.py");
    expect("model import %R/encoding", 2, "docs/model-folder.md");
    expect("model import %R/missing", 2, "/missing: No such file or directory");
    write_text("encoding/dialect.json", "{}");
    expect("model import %R/encoding", 2, "/encoding: dialect.json is there already, and no encoding/encoding_dsv4.py");
    write_text("encoding/encoding_dsv4.py", "x = '\n");
    expect("model import --accept %R", 2, "encoding_dsv4.py: line 1: a string does not end");
    write_text("encoding/encoding_dsv4.py", "dsml_token = '<|DSML|>'\n");
    expect("model import --accept %R", 2, "the file describes another prompt format");
    assert_false(is_there("dialect.json"));
    expect("model import --special --wrong %R", 2, "--wrong");
}

/* A folder is whatever was downloaded: what is no regular file is refused, never waited for. */
static void model__a_fifo_in_a_folder_is_not_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *file, *command;
    } cases[] = {
        {"config.json", "plan"},    {"config.json", "check"},   {"encoding/encoding_dsv4.py", "import"}, {"tokenizer.json", "tokenize"},
        {"dialect.json", "parse"},  {"deepread.json", "list"},
    };
    char path[256], arguments[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, cases[i].file);
        (void)unlink(path);
        assert_int_equal(mkfifo(path, 0600), 0);
        (void)snprintf(arguments, sizeof arguments, "model %s %%R", cases[i].command);
        (void)alarm(60);
        expect(arguments, 2, "not a regular file");
        (void)alarm(0);
        assert_int_equal(unlink(path), 0);
    }
    /* What the user names may be a pipe. */
    write_text("encoding/encoding_dsv4.py", encoding);
    expect("model import --accept %R", 0, "dialect.json");
    write_text("messages.json", "[{\"role\": \"user\", \"content\": \"Question\"}]");
    (void)snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)snprintf(path, sizeof path, "cat '%s/messages.json' >'%s/pipe' &", folder, folder);
    assert_int_equal(system(path), 0);
    expect("model render %R --messages %R/pipe", 0, "Question");
}

/* 2 is a bad input, however large; 3 would say that more memory, time or context helps. */
static void model__too_large_a_file_is_bad_input(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "encoding/encoding_dsv4.py", "dialect.json"};
    static const char *const commands[] = {"plan", "cost", "check", "import", "parse"};
    static const int of[] = {0, 0, 0, 1, 2};
    char path[256], arguments[128];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[of[i]]);
        write_text(files[of[i]], "");
        assert_int_equal(truncate(path, (off_t)1 << 30), 0);
        (void)snprintf(arguments, sizeof arguments, "model %s %%R", commands[i]);
        expect(arguments, 2, "bytes, at most");
        assert_int_equal(unlink(path), 0);
    }
    dr_buf many = {0};
    for (int i = 0; i < 2000; i++)
        dr_buf_printf(&many, "A%d = 'x'\n", i);
    write_text("encoding/encoding_dsv4.py", many.data);
    dr_buf_free(&many);
    expect("model import %R", 2, "encoding_dsv4.py: line ");
}

/* A name out of a file cannot command the terminal or turn its writing around. */
static void model__names_are_shown_without_controls(void **state)
{
    (void)state;
    write_text("encoding/encoding_dsv4.py", "TOOLS_TEMPLATE = 'a{tool_schemas}b'\n"
                                            "REASONING_EFFORT_PROMPTS = {'lo\\x1b[31mw': '', 'a\xe2\x80\xae" "b': '', 'c\xe2\x81\xa6" "d': '', 'e\xd8\x9c" "f': ''}\n");
    run r = program_run(NULL, folder, "model import --accept %R", "2>&1");
    assert_int_equal(r.exit, 0);
    assert_null(strchr(r.out.data, 0x1b));
    assert_non_null(strstr(r.out.data, "lo?[31mw"));
    assert_non_null(strstr(r.out.data, "a???b, c???d, e??f"));
    dr_buf_free(&r.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(model_import__unknown_texts_are_written_only_when_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model_import__a_dialect_of_other_words_is_not_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model_import__one_object_for_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model_import__says_what_is_missing_or_broken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model__a_fifo_in_a_folder_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model__too_large_a_file_is_bad_input, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model__names_are_shown_without_controls, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
