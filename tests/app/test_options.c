/* The command line: what parses, what is refused with a sentence, and that the man page knows every option. */
#include "app/options.h"
#include "app/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_ARGS = 16 };

/* Splits a line at blanks; "" is the empty argument. */
static dr_status parse(dr_options *o, const char *line, dr_error *err)
{
    static char text[512];
    char program[] = "deepread", *argv[MAX_ARGS + 1] = {program};
    int argc = 1;

    (void)strcpy(text, line);
    for (char *p = strtok(text, " "); p && argc < MAX_ARGS; p = strtok(NULL, " "))
        argv[argc++] = p;
    return dr_options_parse(o, argc, argv, err);
}

static void options__command_and_words(void **state)
{
    (void)state;
    dr_options o;
    assert_int_equal(parse(&o, "ask -C /tmp --threads=3 who calls main", NULL), DR_OK);
    assert_int_equal(o.command, DR_CMD_ASK);
    assert_string_equal(o.path, "/tmp");
    assert_int_equal(o.threads, 3);
    assert_int_equal(o.n_words, 3);
    assert_string_equal(o.words[1], "calls");
    dr_options_fini(&o);

    assert_int_equal(parse(&o, "--json ask -- --strange", NULL), DR_OK);
    assert_true(o.json);
    assert_string_equal(o.words[0], "--strange");
    dr_options_fini(&o);

    assert_int_equal(parse(&o, "-C/x doctor", NULL), DR_OK);
    assert_string_equal(o.path, "/x");
    assert_int_equal(o.seed, -1);
    assert_int_equal(o.budget, -1);
    dr_options_fini(&o);

    assert_int_equal(parse(&o, "pack --include *.c --exclude=a/ --include *.h --submodules", NULL), DR_OK);
    assert_int_equal(o.include.n, 2);
    assert_string_equal(o.include.v[0], "*.c");
    assert_string_equal(o.include.v[1], "*.h");
    assert_int_equal(o.exclude.n, 1);
    assert_true(o.submodules);
    dr_options_fini(&o);
}

static void options__refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } bad[] = {
        {"frobnicate", "no command named"},
        {"ask --nope", "no option --nope"},
        {"ask -Z", "no option -Z"},
        {"ask --threads zero", "whole number from 1 to 256"},
        {"ask --threads 0", "whole number from 1 to 256"},
        {"ask --threads 99999999999999999999", "whole number"},
        {"ask --rev", "needs REV"},
        {"ask --json=yes", "takes no value"},
        {"ask --model=", "empty DIR"},
        {"ask --mtp what", "does not belong to ask"},
        {"model render --drop --no-drop", "exclude each other"},
        {"pack --include=", "empty PATTERN"},
        {"doctor --include x", "does not belong to doctor"},
        {"pack --base a --repack", "exclude each other"},
        {"pack --explain a --secrets", "give one of"},
        {"pack --explain a --out b", "prints"},
        {"pack --secrets --out b", "prints"},
        {"pack --diff a..b --budget 300", "no base and no budget"},
        {"pack --diff a..b --repack", "no base and no budget"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dr_options o;
        dr_error err = {0};
        assert_int_equal(parse(&o, bad[i].line, &err), DR_ERR_ARG);
        if (!strstr(err.msg, bad[i].says))
            fail_msg("\"%s\" gave \"%s\", not \"... %s ...\"", bad[i].line, err.msg, bad[i].says);
    }
}

static void options__man_page_names_everything(void **state)
{
    (void)state;
    dr_buf man = {0};
    assert_int_equal(dr_read_file(&man, "docs/man/deepread.1", 1 << 20, NULL), DR_OK);
    /* \- is troff's minus */
    dr_buf plain = {0};
    for (size_t i = 0; i < man.n; i++)
        if (man.data[i] != '\\')
            dr_buf_add(&plain, man.data + i, 1);
    for (int i = 0; dr_options_name_at(i); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "--%s", dr_options_name_at(i));
        if (!strstr(plain.data, name))
            fail_msg("the man page does not mention %s", name);
    }
    for (int i = 0; dr_options_command_at(i); i++)
        if (!strstr(plain.data, dr_options_command_at(i)))
            fail_msg("the man page does not mention the command %s", dr_options_command_at(i));
    dr_buf_free(&man);
    dr_buf_free(&plain);
}

static void outcome__exit_codes(void **state)
{
    (void)state;
    assert_int_equal(dr_outcome_exit(DR_DONE), 0);
    assert_int_equal(dr_outcome_exit(DR_DECLINED), 1);
    assert_int_equal(dr_outcome_exit(dr_outcome_of(DR_ERR_ARG)), 2);
    assert_int_equal(dr_outcome_exit(dr_outcome_of(DR_ERR_FORMAT)), 2);
    assert_int_equal(dr_outcome_exit(dr_outcome_of(DR_ERR_LIMIT)), 3);
    assert_int_equal(dr_outcome_exit(dr_outcome_of(DR_ERR_NOMEM)), 4);
    assert_int_equal(dr_outcome_exit(dr_outcome_of(DR_ERR_AGAIN)), 75);
    assert_int_equal(dr_outcome_exit(dr_outcome_of(DR_ERR_CANCELLED)), 130);
    assert_int_equal(dr_outcome_exit(DR_TERMINATED), 143);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options__command_and_words),
        cmocka_unit_test(options__refused_with_a_sentence),
        cmocka_unit_test(options__man_page_names_everything),
        cmocka_unit_test(outcome__exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
