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
    write_text("encoding/encoding_dsv4.py", "x = '\n");
    expect("model import --accept %R", 2, "encoding_dsv4.py: line 1: a string does not end");
    write_text("encoding/encoding_dsv4.py", "dsml_token = '<|DSML|>'\n");
    expect("model import --accept %R", 2, "the file describes another prompt format");
    assert_false(is_there("dialect.json"));
    expect("model import --special --wrong %R", 2, "--wrong");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(model_import__unknown_texts_are_written_only_when_accepted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model_import__a_dialect_of_other_words_is_not_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model_import__one_object_for_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(model_import__says_what_is_missing_or_broken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
