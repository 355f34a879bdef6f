/* The program as a user runs it: answers, events, exit codes, restoring, interruption. */
#include "tests/app/program.h"
#include "tests/app/sample_folder.h"

#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static sample_folder folder;
static char cache[64];

static int set_up(void **state)
{
    (void)state;
    sample_folder_open(&folder);
    (void)strcpy(cache, "/tmp/deepread-cache-XXXXXX");
    return mkdtemp(cache) ? setenv("XDG_CACHE_HOME", cache, 1) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    sample_folder_close(&folder);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", cache);
    return system(command) == 0 ? 0 : -1;
}

static run program(const char *arguments, const char *redirect)
{
    return program_run(NULL, folder.path, arguments, redirect);
}

/* The event of a type, or NULL; the reference is the caller's. Every line must be a JSON object. */
static json_t *event(const run *r, const char *type)
{
    json_t *found = NULL;
    for (const char *line = r->out.data; line && *line;) {
        const char *end = strchr(line, '\n');
        const size_t n = end ? (size_t)(end - line) : strlen(line);
        json_t *e = json_loadb(line, n, 0, NULL);
        if (!e)
            fail_msg("not JSON: %.*s", (int)n, line);
        if (!found && strcmp(json_string_value(json_object_get(e, "type")), type) == 0)
            found = json_incref(e);
        json_decref(e);
        line = end ? end + 1 : NULL;
    }
    return found;
}

static json_int_t number(const json_t *e, const char *key)
{
    return json_integer_value(json_object_get(e, key));
}

static void ask__answers_and_restores(void **state)
{
    (void)state;
    const char *ask = "-C %R --json ask 'where is list_size defined?'";
    run first = program(ask, "2>/dev/null"), second = program(ask, "2>/dev/null");

    assert_int_equal(first.exit, 0);
    json_t *answer = event(&first, "answer"), *prefix = event(&first, "prefix"), *call = event(&first, "tool_call"),
           *done = event(&first, "done");
    assert_non_null(answer);
    assert_string_equal(json_string_value(json_object_get(answer, "status")), "answered");
    const json_t *cite = json_array_get(json_object_get(answer, "citations"), 0);
    assert_string_equal(json_string_value(json_object_get(cite, "path")), "src/list.c");
    assert_int_equal(number(cite, "line"), 3);
    assert_string_equal(json_string_value(json_object_get(cite, "check")), "symbol");
    assert_string_equal(json_string_value(json_object_get(call, "name")), "find_symbol");
    assert_int_equal(number(prefix, "restored"), 0);
    assert_int_equal(number(prefix, "tokens"), number(prefix, "computed"));
    assert_int_equal(number(done, "exit"), 0);

    json_t *again = event(&second, "prefix"), *same = event(&second, "answer");
    assert_true(number(again, "restored") > number(again, "tokens") / 2);
    assert_int_equal(number(again, "restored") + number(again, "computed"), number(again, "tokens"));
    assert_string_equal(json_string_value(json_object_get(same, "text")), json_string_value(json_object_get(answer, "text")));

    json_decref(answer);
    json_decref(prefix);
    json_decref(call);
    json_decref(done);
    json_decref(again);
    json_decref(same);
    dr_buf_free(&first.out);
    dr_buf_free(&second.out);
}

static void ask__same_answer_everywhere(void **state)
{
    (void)state;
    static const char *const ways[] = {"--threads 1", "--no-cache", "--isa ref", "--isa avx2", "--isa avx512", "--isa amx"};
    run plain = program("-C %R -q ask who calls helper", "2>/dev/null");
    assert_int_equal(plain.exit, 0);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char arguments[128];
        (void)snprintf(arguments, sizeof arguments, "-C %%R -q %s --no-cache ask who calls helper", ways[i]);
        run other = program(arguments, "2>&1");
        if (other.exit == 2 && strstr(other.out.data, "this machine")) /* has no such instructions */
            print_message("not on this machine: %s\n", ways[i]);
        else
            assert_string_equal(other.out.data, plain.out.data);
        dr_buf_free(&other.out);
    }
    dr_buf_free(&plain.out);
}

/* All events of a run, without the members that say how long it took. */
static char *events_of(const char *arguments, const char *redirect)
{
    run r = program(arguments, redirect);
    dr_buf all = {0};
    for (const char *line = r.out.data; line && *line;) {
        const char *end = strchr(line, '\n');
        json_t *e = json_loadb(line, end ? (size_t)(end - line) : strlen(line), 0, NULL);
        if (!e)
            fail_msg("%s: not JSON: %s", arguments, line);
        (void)json_object_del(e, "seconds");
        char *text = json_dumps(e, JSON_SORT_KEYS);
        dr_buf_printf(&all, "%s\n", text);
        free(text);
        json_decref(e);
        line = end ? end + 1 : NULL;
    }
    dr_buf_printf(&all, "exit %d\n", r.exit);
    dr_buf_free(&r.out);
    return all.data;
}

#define QUESTIONS "<< 'END' 2>/dev/null ; exit $?\nwhere is list_size defined?\nwho calls helper?\nwhere is Box?\nwrite a poem\nEND\n:"

static void ask__drafts_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *redirect;
    } runs[] = {
        {"--no-cache ask 'where is list_size defined?'", "2>/dev/null"},
        {"--no-cache --no-constraints ask who calls helper", "2>/dev/null"},
        {"--no-cache --mode full --budget 4000 ask where is Box", "2>/dev/null"}, /* past a block's end */
        {"--no-cache ask --batch", QUESTIONS},
        {"--no-cache edit 'rename helper to assistant'", "2>/dev/null"},
    };
    static const char *const drafts[] = {"0", "1", "2", "4"};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char *plain = NULL;
        for (size_t k = 0; k < sizeof drafts / sizeof *drafts; k++) {
            char arguments[160];
            (void)snprintf(arguments, sizeof arguments, "-C %%R --json --drafts %s %s", drafts[k], runs[i].arguments);
            char *events = events_of(arguments, runs[i].redirect);
            if (plain)
                assert_string_equal(events, plain);
            else
                plain = events;
            if (events != plain)
                free(events);
        }
        free(plain);
    }
    run r = program("-C %R -v --no-cache --drafts 2 ask who calls helper", "2>&1 >/dev/null");
    if (!strstr(r.out.data, "drafts: ") || strstr(r.out.data, "drafts: 0 "))
        fail_msg("no draft was right: %s", r.out.data);
    dr_buf_free(&r.out);
}

/* What one way of decoding stored, the other goes on from. */
static void ask__drafts_and_the_cache(void **state)
{
    (void)state;
    static const char *const orders[][3] = {{"0", "0", "0"}, {"2", "0", "2"}, {"0", "2", "0"}, {"2", "2", "2"}};
    char *wanted[3] = {0};
    for (size_t i = 0; i < 4; i++) {
        char other[] = "/tmp/deepread-cache-XXXXXX", command[128];
        assert_non_null(mkdtemp(other));
        assert_int_equal(setenv("XDG_CACHE_HOME", other, 1), 0);
        for (int k = 0; k < 3; k++) {
            char arguments[128];
            (void)snprintf(arguments, sizeof arguments, "-C %%R --json --drafts %s ask %s", orders[i][k],
                           k == 2 ? "where is Box" : "who calls helper");
            char *events = events_of(arguments, "2>/dev/null");
            if (i == 0) {
                wanted[k] = events;
                continue;
            }
            assert_string_equal(events, wanted[k]);
            free(events);
        }
        run r = program("--json cache verify", "2>/dev/null");
        json_t *report = event(&r, "cache_verify");
        assert_int_equal(r.exit, 0);
        assert_int_equal(number(report, "bad_records"), 0);
        json_decref(report);
        dr_buf_free(&r.out);
        (void)snprintf(command, sizeof command, "rm -rf '%s'", other);
        assert_int_equal(system(command), 0);
    }
    assert_int_equal(setenv("XDG_CACHE_HOME", cache, 1), 0);
    for (int k = 0; k < 3; k++)
        free(wanted[k]);
}

static void ask__declines_in_one_sentence(void **state)
{
    (void)state;
    run r = program("-C %R --json ask 'please write me a poem about the sea'", "2>/dev/null");
    json_t *answer = event(&r, "answer");
    assert_int_equal(r.exit, 1);
    assert_string_equal(json_string_value(json_object_get(answer, "status")), "declined");
    json_decref(answer);
    dr_buf_free(&r.out);
}

static void program__bad_input_exits_2(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *says;
    } bad[] = {
        {"ask", "ask what?"},
        {"-C /nonexistent ask x", "/nonexistent"},
        {"-C %R --rev main ask x", "rev"},
        {"--model /nonexistent -C %R ask x", "no such model folder"},
        {"--model %R -C %R ask x", "tokenizer.json"},
        {"-C %R --isa mmx ask x", "mmx"},
        {"-C %R --mode half ask x", "full, map or none"},
        {"-C %R --drafts 5 ask x", "--drafts 5: give a whole number from 0 to 4"},
        {"-C %R --drafts 2 pack", "--drafts does not belong to pack"},
        {"cache frob", "stat, verify, gc or purge"},
        {"tool frob", "find_symbol"},
        {"doctor now", "takes no word"},
        {"-C %R tool read tool.py two", "line is a whole number, not \"two\""},
        {"tool --batch find_symbol", "leave out \"find_symbol\""},
        {"frob", "no command named"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        run r = program(bad[i].arguments, "2>&1 >/dev/null");
        if (r.exit != 2 || !strstr(r.out.data, bad[i].says) || strncmp(r.out.data, "deepread: ", 10) != 0)
            fail_msg("\"%s\" exits %d and says: %s", bad[i].arguments, r.exit, r.out.data);
        dr_buf_free(&r.out);
    }
}

static void program__a_full_disk_is_said(void **state)
{
    (void)state;
    run r = program("-C %R pack", "2>&1 >/dev/full");
    assert_int_equal(r.exit, 2);
    assert_non_null(strstr(r.out.data, "standard output could not be written"));
    dr_buf_free(&r.out);
}

/* A name from the repository must not reach the terminal as it is. */
static void pack__shows_refused_names_safely(void **state)
{
    (void)state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/esc\033[31m\nx.c", folder.path);
    assert_int_equal(dr_write_file(path, "int a;\n", 7, NULL), DR_OK);
    run r = program("-C %R -v pack", "2>&1");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(r.exit, 0);
    assert_non_null(strstr(r.out.data, "control character"));
    assert_null(strchr(r.out.data, '\033'));
    dr_buf_free(&r.out);
}

static void tool__batch_names_the_bad_line(void **state)
{
    (void)state;
    /* The here-document is the program's input; the ':' after it takes the /dev/null. */
    run r = program("-C %R tool --batch", "2>&1 << 'END' ; exit $?\n\n{\"name\": \"read\"}\n[]\nEND\n:");
    assert_int_equal(r.exit, 2);
    assert_non_null(strstr(r.out.data, "read needs "));
    assert_non_null(strstr(r.out.data, "line 3 of the batch"));
    dr_buf_free(&r.out);
}

static void program__context_too_small_exits_3(void **state)
{
    (void)state;
    run r = program("-C %R --context 256 --mode full ask x", "2>&1 >/dev/null");
    assert_int_equal(r.exit, 3);
    assert_non_null(strstr(r.out.data, "--budget"));
    dr_buf_free(&r.out);
}

static void ask__without_a_cache_leaves_nothing(void **state)
{
    (void)state;
    char other[] = "/tmp/deepread-cache-XXXXXX";
    assert_non_null(mkdtemp(other));
    assert_int_equal(setenv("XDG_CACHE_HOME", other, 1), 0);
    run r = program("-C %R --no-cache -q ask where is Box", "2>/dev/null");
    assert_int_equal(r.exit, 0);
    assert_int_equal(rmdir(other), 0); /* still empty */
    assert_int_equal(setenv("XDG_CACHE_HOME", cache, 1), 0);
    dr_buf_free(&r.out);
}

static void ask__interrupted_leaves_a_good_cache(void **state)
{
    (void)state;
    for (unsigned wait_us = 20000; wait_us <= 320000; wait_us *= 4) {
        const pid_t pid = fork();
        if (pid == 0) {
            (void)!freopen("/dev/null", "w", stdout);
            (void)!freopen("/dev/null", "w", stderr);
            (void)execl(DR_PROGRAM, "deepread", "-C", ".", "--context", "131072", "--mode", "full", "--budget", "60000", "ask", "where is main?",
                        (char *)NULL);
            _exit(127);
        }
        assert_true(pid > 0);
        (void)usleep(wait_us);
        assert_int_equal(kill(pid, SIGINT), 0);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) || WIFSIGNALED(status)); /* before the handler stands, the signal itself ends it */
        if (WIFEXITED(status))
            assert_int_equal(WEXITSTATUS(status), 130);
        run r = program("--json cache verify", "2>/dev/null");
        json_t *report = event(&r, "cache_verify");
        assert_int_equal(r.exit, 0);
        assert_int_equal(number(report, "bad_records"), 0);
        json_decref(report);
        dr_buf_free(&r.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ask__answers_and_restores),
        cmocka_unit_test(ask__same_answer_everywhere),
        cmocka_unit_test(ask__drafts_change_nothing),
        cmocka_unit_test(ask__drafts_and_the_cache),
        cmocka_unit_test(ask__declines_in_one_sentence),
        cmocka_unit_test(program__bad_input_exits_2),
        cmocka_unit_test(program__a_full_disk_is_said),
        cmocka_unit_test(pack__shows_refused_names_safely),
        cmocka_unit_test(tool__batch_names_the_bad_line),
        cmocka_unit_test(program__context_too_small_exits_3),
        cmocka_unit_test(ask__without_a_cache_leaves_nothing),
        cmocka_unit_test(ask__interrupted_leaves_a_good_cache),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
