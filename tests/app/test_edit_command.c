/* `deepread edit`, and `deepread ask` where little is left to choose, as a user runs them. The model has the bundled one's weights under a profile of
 * one tool and a handful of words: where it still can choose, the seed does, so every outcome comes up, and each has to be told as it is. */
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

enum { SEEDS = 60 };

static const char profile[] =
    "{\"name\": \"renamer\", \"pack\": {\"mode\": \"none\"}, \"tools\": [\"rename\"], \"max_calls\": 1, \"mode\": \"chat\", \"instructions\": \"Rename.\", "
    "\"sampling\": {\"temperature\": 10}, \"answers\": [{\"text\": \"Done.\", \"status\": \"answered\", \"check\": \"edited\"}, "
    "{\"text\": \"I could not make that edit.\", \"status\": \"declined\", \"check\": \"not_edited\"}]}";

static char folder[] = "/tmp/deepread-test-XXXXXX", model[] = "/tmp/deepread-test-XXXXXX", cache[] = "/tmp/deepread-cache-XXXXXX";

static void write_text(const char *in, const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", in, name);
    assert_int_equal(dr_write_file(path, text, strlen(text), NULL), DR_OK);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const parts[] = {"config.json", "model.safetensors", "tokenizer.json", "dialect.json"};
    char here[1000], from[1200], to[200];
    if (!mkdtemp(folder) || !mkdtemp(model) || !mkdtemp(cache) || !getcwd(here, sizeof here) || setenv("XDG_CACHE_HOME", cache, 1) != 0)
        return -1;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        (void)snprintf(from, sizeof from, "%s/models/nano/%s", here, parts[i]);
        (void)snprintf(to, sizeof to, "%s/%s", model, parts[i]);
        if (symlink(from, to) != 0)
            return -1;
    }
    write_text(model, "deepread.json", profile);
    write_text(folder, "old", "say old\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[200];
    (void)snprintf(command, sizeof command, "rm -rf '%s' '%s' '%s'", folder, model, cache);
    return system(command) == 0 ? 0 : -1;
}

static run edit(const char *more, int seed, const char *redirect)
{
    char arguments[400];
    (void)snprintf(arguments, sizeof arguments, "-C %%R --model %s --seed %d %s edit old fresh", model, seed, more);
    return program_run(NULL, folder, arguments, redirect);
}

static void expect_file(const char *text)
{
    char path[200];
    dr_buf got = {0};
    (void)snprintf(path, sizeof path, "%s/old", folder);
    assert_int_equal(dr_read_file(&got, path, 1000, NULL), DR_OK);
    assert_string_equal(got.data, text);
    dr_buf_free(&got);
}

static const char diff[] = "--- a/old\n+++ b/old\n@@ -1,1 +1,1 @@\n-say old\n+say fresh\n";

/* The first seed that gives the wanted exit code; every run is held to what it says. */
static int seed_for(int wanted)
{
    for (int seed = 0; seed < SEEDS; seed++) {
        run r = edit("", seed, "2>/dev/null");
        const int code = r.exit;
        assert_true(code == 0 || code == 1);
        assert_string_equal(r.out.data, code == 0 ? diff : "");
        dr_buf_free(&r.out);
        if (code == wanted)
            return seed;
    }
    fail_msg("none of %d seeds gives exit %d", SEEDS, wanted);
    return -1;
}

static json_t *event(const run *r, const char *type)
{
    json_t *found = NULL;
    for (const char *line = r->out.data; *line && !found; line = strchr(line, '\n') + 1) {
        json_t *e = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        assert_non_null(e);
        if (strcmp(json_string_value(json_object_get(e, "type")), type) == 0)
            found = json_incref(e);
        json_decref(e);
    }
    return found;
}

static void edit__proposes_and_applies(void **state)
{
    (void)state;
    const int good = seed_for(0), bad = seed_for(1);
    expect_file("say old\n"); /* without --apply nothing is written */

    run r = edit("--json", good, "2>/dev/null");
    assert_int_equal(r.exit, 0);
    json_t *e = event(&r, "edit");
    assert_string_equal(json_string_value(json_object_get(e, "path")), "old");
    assert_string_equal(json_string_value(json_object_get(e, "diff")), diff);
    assert_true(json_is_false(json_object_get(e, "applied")));
    json_decref(e);
    dr_buf_free(&r.out);

    r = edit("--json --apply", bad, "2>/dev/null");
    assert_int_equal(r.exit, 1);
    assert_null(event(&r, "edit"));
    dr_buf_free(&r.out);
    expect_file("say old\n");

    r = edit("--json --apply", good, "2>/dev/null");
    assert_int_equal(r.exit, 0);
    e = event(&r, "edit");
    assert_true(json_is_true(json_object_get(e, "applied")));
    json_decref(e);
    e = event(&r, "done");
    assert_int_equal(json_integer_value(json_object_get(e, "exit")), 0);
    json_decref(e);
    dr_buf_free(&r.out);
    expect_file("say fresh\n");
    write_text(folder, "old", "say old\n");
}

static void edit__bad_usage_exits_2(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"edit", "edit what?"},
                                         {"--rev HEAD --apply edit x", "leave out --rev"},
                                         {"--batch --apply edit", "leave out --apply"},
                                         {"--batch edit x", "leave out \"x\""},
                                         {"--apply ask x", "does not belong"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run r = program_run(NULL, folder, bad[i][0], "2>&1");
        assert_int_equal(r.exit, 2);
        if (!strstr(r.out.data, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], r.out.data);
        dr_buf_free(&r.out);
    }
}

/* In `ask` the same call ends the turn. */
static void ask__sends_edits_elsewhere(void **state)
{
    (void)state;
    char arguments[300];
    (void)snprintf(arguments, sizeof arguments, "-C %%R --model %s -q ask old fresh", model);
    run r = program_run(NULL, folder, arguments, "2>/dev/null");
    assert_int_equal(r.exit, 1);
    assert_string_equal(r.out.data, "That is an edit: `deepread edit 'old fresh'` proposes it.\n");
    dr_buf_free(&r.out);
    expect_file("say old\n");
}

/* One tool, one sentence and a repository of one name leave a model nothing to choose: so every step from the call to the verdict is seen, with any
 * weights. */
static void ask__one_way_to_answer(void **state)
{
    (void)state;
    static const char own[] = "/* One, see no.c:9. */\nint only(void) { return 1; }\n";
    static const struct {
        const char *source, *header; /* NULL: the usual one; none */
        const char *pack, *tool, *question, *sentence, *check, *answer, *status;
    } v[] = {
        {NULL, NULL, "none", "\"describe\"", "only", "`{symbol}` takes no parameters ({cite}).", "no_parameters",
         "`only` takes no parameters (one.c:2).", "answered"},
        {NULL, NULL, "none", "\"describe\"", "only", "`{symbol}` ({cite}): {doc}", "described", "`only` (one.c:2): One, see no.c:9.", "answered"},
        {NULL, NULL, "none", "\"find_refs\"", "only", "I found no references to `{symbol}`.", "unused",
         "I found no references to `only`.", "answered"},
        {NULL, NULL, "none", "\"outline\"", "one.c", "{path} defines:{\\n- `{name}` at {cite}}", "outline",
         "one.c defines:\n- `only` at one.c:2", "answered"},
        /* Found by a name like it, in a second call: true, and not what was asked. */
        {NULL, NULL, "none", "\"find_symbol\"", "onl", "`{symbol}` is defined at {cite}.", "defined", "`only` is defined at one.c:2.", "unverified"},
        {NULL, NULL, "none", "\"calls\"", "only", "No, `{symbol}` does not call `{callee}`.", "no_calls",
         "No, `only` does not call `only`.", "answered"},
        {NULL, NULL, "full", "", "gives one", "That is `{symbol}` at {cite}.", "reading", "That is `only` at one.c:2.", "answered"},
        {NULL, NULL, "none", "\"parameters\"", "only", "`{symbol}` takes no parameters ({cite}).", "no_parameters",
         "`only` takes no parameters (one.c:2).", "answered"},
        {NULL, NULL, "none", "\"call_sites\"", "only", "I found no calls of `{symbol}`.", "no_call_sites",
         "I found no calls of `only`.", "answered"},
        {"int only(void) { return only(); }\n", NULL, "none", "\"call_sites\"", "only",
         "`{symbol}` is called at:{\\n- {cite}}", "judged", "`only` is called at:\n- one.c:1", "answered"},
        {NULL, NULL, "none", "\"find_symbol_in\"", "only", "`{symbol}` is defined at {cite}.", "one_definition",
         "`only` is defined at one.c:2.", "answered"},
        /* Name and place are one word: the name of a kind, so that the declaration is what was asked for. */
        {"int prototype(void) { return 1; }\n", "int prototype(void);\n", "none", "\"find_symbol_in\"", "prototype",
         "`{symbol}` is defined at {cite}.", "one_definition", "`prototype` is defined at one.h:1.", "answered"},
    };
    char small[] = "/tmp/deepread-test-XXXXXX", text[800], arguments[300], command[100];
    assert_non_null(mkdtemp(small));
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"name\": \"narrow\", \"mode\": \"chat\", \"pack\": {\"mode\": \"%s\"}, \"tools\": [%s], \"max_calls\": %d, "
                       "\"answers\": [{\"text\": \"%s\", \"status\": \"answered\", \"check\": \"%s\"}]}",
                       v[i].pack, v[i].tool, strcmp(v[i].status, "answered") == 0 ? 1 : 2, v[i].sentence, v[i].check);
        write_text(model, "deepread.json", text);
        write_text(small, "one.c", v[i].source ? v[i].source : own);
        if (v[i].header)
            write_text(small, "one.h", v[i].header);
        (void)snprintf(arguments, sizeof arguments, "-C %%R --model %s --json ask '%s'", model, v[i].question);
        run r = program_run(NULL, small, arguments, "2>/dev/null");
        json_t *e = event(&r, "answer");
        if (!e)
            fail_msg("%s: %s", text, r.out.data);
        assert_string_equal(json_string_value(json_object_get(e, "text")), v[i].answer);
        assert_string_equal(json_string_value(json_object_get(e, "status")), v[i].status);
        assert_int_equal(r.exit, strcmp(v[i].status, "answered") == 0 ? 0 : 1);
        json_decref(e);
        dr_buf_free(&r.out);
    }
    write_text(model, "deepread.json", profile);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", small);
    assert_int_equal(system(command), 0);
}

/* A profile that asks for it gets a reminder of what the index knows before the question; with a full pack of the functions that the pack holds, where
 * they may be an answer; what all questions share ends before it. */
static void ask__known_names_come_before_the_question(void **state)
{
    (void)state;
    static const struct {
        const char *pack, *answer;
        json_int_t least, most; /* tokens of the reminder */
    } v[] = {
        {"none", "{\"text\": \"No.\", \"status\": \"declined\"}", 4, 200}, /* the control token, "known: ", a name and a kind */
        {"full", "{\"text\": \"No.\", \"status\": \"declined\"}", 0, 0},
        {"full", "{\"text\": \"That is `{symbol}` at {cite}.\", \"status\": \"answered\", \"check\": \"reading\"}, "
                 "{\"text\": \"No.\", \"status\": \"declined\"}", 4, 200},
    };
    char text[800], arguments[300];
    write_text(folder, "first.c", "int first(void)\n{\n    return 1;\n}\n");
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        json_int_t tokens[2];
        for (int known = 0; known < 2; known++) {
            (void)snprintf(text, sizeof text,
                           "{\"name\": \"narrow\", \"mode\": \"chat\", \"pack\": {\"mode\": \"%s\"}, \"tools\": [\"find_symbol\"], \"known\": %s, "
                           "\"max_calls\": 1, \"answers\": [%s]}", v[i].pack, known ? "true" : "false", v[i].answer);
            write_text(model, "deepread.json", text);
            (void)snprintf(arguments, sizeof arguments, "-C %%R --model %s --json ask old", model);
            run r = program_run(NULL, folder, arguments, "2>/dev/null");
            json_t *e = event(&r, "prefix");
            assert_non_null(e);
            tokens[known] = json_integer_value(json_object_get(e, "tokens"));
            json_decref(e);
            dr_buf_free(&r.out);
            (void)snprintf(arguments, sizeof arguments, "-C %%R --model %s --json --batch ask", model);
            r = program_run(NULL, folder, arguments, "2>/dev/null << 'END' ; exit $?\nold\nfresh\nEND\n:");
            assert_int_equal(r.exit, 0);
            dr_buf_free(&r.out);
        }
        assert_in_range(tokens[1] - tokens[0], v[i].least, v[i].most);
    }
    (void)snprintf(text, sizeof text, "%s/first.c", folder);
    assert_int_equal(unlink(text), 0);
    write_text(model, "deepread.json", profile);
}

/* The same of edits: a name of one letter is all that there is to copy. */
static void edit__one_way_to_do_it(void **state)
{
    (void)state;
    static const struct {
        const char *tool, *source, *diff, *said; /* said: on standard error; NULL: anything */
    } v[] = {
        {"set_value", "#define k 1\n", "--- a/k.c\n+++ b/k.c\n@@ -1,1 +1,1 @@\n-#define k 1\n+#define k k\n", NULL},
        {"set_value", "int k(void);\n", "", "k has no value"},
        {"rename_everywhere", "int k;\n", "", "old and new are the same"},
        {"add_statement", "#define k 1\n", "", "k has no body"},
    };
    char small[] = "/tmp/deepread-test-XXXXXX", text[800], arguments[300], command[100];
    assert_non_null(mkdtemp(small));
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"name\": \"narrow\", \"mode\": \"chat\", \"pack\": {\"mode\": \"none\"}, \"tools\": [\"%s\"], \"max_calls\": 1, \"answers\": ["
                       "{\"text\": \"Done.\", \"status\": \"answered\", \"check\": \"edited\"}, "
                       "{\"text\": \"Not so.\", \"status\": \"declined\", \"check\": \"not_edited\"}]}", v[i].tool);
        write_text(model, "deepread.json", text);
        write_text(small, "k.c", v[i].source);
        (void)snprintf(arguments, sizeof arguments, "-C %%R --model %s edit k", model);
        run r = program_run(NULL, small, arguments, v[i].said ? "2>&1 >/dev/null" : "2>/dev/null");
        if (v[i].said ? !strstr(r.out.data, v[i].said) : strcmp(r.out.data, v[i].diff) != 0)
            fail_msg("%s: %s", text, r.out.data);
        assert_int_equal(r.exit, v[i].said ? 1 : 0);
        dr_buf_free(&r.out);
    }
    write_text(model, "deepread.json", profile);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", small);
    assert_int_equal(system(command), 0);
}

/* Without the grammar anything may come, but it ends, and is counted. */
static void ask__without_constraints(void **state)
{
    (void)state;
    run r = program_run(NULL, folder, "-C %R --json --no-constraints ask where is main", "2>/dev/null");
    assert_true(r.exit == 0 || r.exit == 1 || r.exit == 3);
    json_t *e = event(&r, "answer");
    assert_true(json_is_integer(json_object_get(e, "malformed")));
    json_decref(e);
    dr_buf_free(&r.out);
}

/* Questions of a batch do not see one another: each is answered as if it were alone. */
static void ask__a_batch_is_many_single_questions(void **state)
{
    (void)state;
    static const char *const questions[] = {"where is old defined?", "who calls fresh?", "what is the weather?"};
    run all = program_run(NULL, folder, "-C %R --json --batch ask",
                          "2>/dev/null << 'END' ; exit $?\n"
                          "where is old defined?\n\nwho calls fresh?\n  \nwhat is the weather?\nwhere is old defined?\nEND\n:");
    assert_int_equal(all.exit, 0);
    const char *line = all.out.data;
    size_t n = 0, n_done = 0;
    for (; *line; line = strchr(line, '\n') + 1) {
        json_t *e = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        const char *type = json_string_value(json_object_get(e, "type"));
        n_done += strcmp(type, "done") == 0;
        if (strcmp(type, "answer") == 0) {
            char arguments[200];
            (void)snprintf(arguments, sizeof arguments, "-C %%R --json ask '%s'", questions[n % 3]);
            run one = program_run(NULL, folder, arguments, "2>/dev/null");
            json_t *alone = event(&one, "answer");
            assert_string_equal(json_string_value(json_object_get(e, "text")), json_string_value(json_object_get(alone, "text")));
            assert_string_equal(json_string_value(json_object_get(e, "status")), json_string_value(json_object_get(alone, "status")));
            assert_int_equal(json_integer_value(json_object_get(e, "tokens")), json_integer_value(json_object_get(alone, "tokens")));
            json_decref(alone);
            dr_buf_free(&one.out);
            n++;
        }
        json_decref(e);
    }
    assert_int_equal(n, 4);
    assert_int_equal(n_done, 4);
    dr_buf_free(&all.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edit__proposes_and_applies),
        cmocka_unit_test(edit__bad_usage_exits_2),
        cmocka_unit_test(ask__sends_edits_elsewhere),
        cmocka_unit_test(ask__one_way_to_answer),
        cmocka_unit_test(ask__known_names_come_before_the_question),
        cmocka_unit_test(edit__one_way_to_do_it),
        cmocka_unit_test(ask__without_constraints),
        cmocka_unit_test(ask__a_batch_is_many_single_questions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
