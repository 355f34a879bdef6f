/* A dialect out of an encoding file. The published texts are not ours to keep, so the files here have texts of their own: as the published
 * releases they must be refused, and as releases that the test declares they are known. */
#include "engine/dialect_parts.h"
#include "tests/support/alloc.h"

#include "base/hash.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define D DR_LITERAL_DSML
#define TOKENS \
    "dsml_token: str = \"" D "\"\nthinking_end_token = '</think>'\nbos_token = \"" DR_LITERAL_BOS "\"\n" \
    "tool_output_template: str = (\n    '<tool_result>{content}</tool_result>'\n)\n"
#define TEMPLATE \
    "TOOLS_TEMPLATE = \"\"\"## Tools\n\nUse <{dsml_token}tool_calls> {{so}}.\n\n### Available Tool Schemas\n\n{tool_schemas}\n\nAfter " \
    "{thinking_end_token} only.\n\"\"\"\n"
#define HEAD "## Tools\n\nUse <" D "tool_calls> {so}.\n\n### Available Tool Schemas\n\n"
#define TAIL "\n\nAfter </think> only.\n"
#define STRONG "Think.\nHard.\n\n"
#define STRONGER "Think \xe2\x80\x94\nharder.\n\n"

static const char april[] = TOKENS "REASONING_EFFORT_MAX = (\n    'Think.\\n'\n    'Hard.\\n\\n'\n)\n" TEMPLATE
                                   "def render(tools):\n    return TOOLS_TEMPLATE.format(tool_schemas='')\n";
static const char later[] = TOKENS TEMPLATE "DEFAULT_REASONING_EFFORT = 'low'\nREASONING_EFFORT_PROMPTS: Dict[str, str] = {\n    'low': '',\n"
                                            "    'high': 'Think.\\nHard.\\n\\n',\n    'max': 'Think \xe2\x80\x94\\nharder.\\n\\n',\n}\n";

static char hash_head[65], hash_tail[65], hash_strong[65], hash_stronger[65];

static void hash(char hex[65], dr_str s)
{
    const dr_digest digest = dr_sha256(s.s, s.n);
    dr_digest_hex(hex, &digest);
}

static dr_release known[2];

static int declare_releases(void **state)
{
    (void)state;
    hash(hash_head, DR_STR(HEAD));
    hash(hash_tail, DR_STR(TAIL));
    hash(hash_strong, DR_STR(STRONG));
    hash(hash_stronger, DR_STR(STRONGER));
    known[0] = (dr_release){"later", hash_head, hash_tail, {{"low", NULL}, {"high", hash_strong}, {"max", hash_stronger}}};
    known[1] = (dr_release){"first", hash_head, hash_tail, {{"none", NULL}, {"high", NULL}, {"max", hash_strong}}};
    return 0;
}

static void expect_efforts(const dr_import *import, const char *release, bool is_known, const char *const efforts[])
{
    dr_dialect *d;
    dr_error err = {0};
    if (dr_dialect_parse_file(&d, dr_buf_view(&import->json), "written", &err) != DR_OK)
        fail_msg("%s\n%s", err.msg, import->json.data);
    assert_string_equal(import->release, release);
    assert_int_equal(import->known, is_known);
    assert_true(dr_str_eq(dr_dialect_release(d), dr_str_of(release)));
    assert_true(dr_str_eq(d->tools_head, DR_STR(HEAD)));
    assert_true(dr_str_eq(d->tools_tail, DR_STR(TAIL)));
    size_t n = 0;
    for (; efforts[2 * n]; n++) {
        assert_true(dr_str_eq(dr_dialect_effort_at(d, n), dr_str_of(efforts[2 * n])));
        assert_true(dr_str_eq(d->efforts[n].text, dr_str_of(efforts[2 * n + 1])));
    }
    assert_int_equal(dr_dialect_effort_at(d, n).n, 0);
    dr_dialect_close(d);
}

static void expect_import(const char *source, bool accept, const char *release, bool is_known, const char *const efforts[])
{
    dr_import import;
    dr_error err = {0};
    if (dr_dialect__import(&import, known, 2, dr_str_of(source), "file", accept, &err) != DR_OK)
        fail_msg("%s", err.msg);
    expect_efforts(&import, release, is_known, efforts);
    dr_import_fini(&import);
}

static const char *const first_efforts[] = {"none", "", "high", "", "max", STRONG, NULL};
static const char *const later_efforts[] = {"low", "", "high", STRONG, "max", STRONGER, NULL};

static void dialect_import__the_texts_tell_the_release(void **state)
{
    (void)state;
    for (int accept = 0; accept < 2; accept++) {
        expect_import(april, accept, "first", true, first_efforts);
        expect_import(later, accept, "later", true, later_efforts);
    }
    /* The later release's texts as constants, among others; and its dict beside the first's constant. */
    expect_import(TOKENS TEMPLATE "S = 'Think.\\nHard.\\n\\n'\nT = 'Think \xe2\x80\x94\\nharder.\\n\\n'\n", false, "later", true, later_efforts);
}

/* The same name asks for different texts in different releases, and a name of another release is refused with those there are. */
static void dialect_import__effort_names_go_by_release(void **state)
{
    (void)state;
    static const char messages_json[] = "[{\"role\":\"system\",\"content\":\"SYS\"},{\"role\":\"user\",\"content\":\"Q1\"}]";
    static const struct {
        const char *source, *effort, *prefix; /* prefix NULL: refused */
        const char *says;
    } cases[] = {
        {april, NULL, "", NULL},
        {april, "high", "", NULL},
        {april, "max", STRONG, NULL},
        {april, "low", NULL, "this model (first) has no effort \"low\"; it has: none, high, max"},
        {later, NULL, "", NULL},
        {later, "low", "", NULL},
        {later, "high", STRONG, NULL},
        {later, "max", STRONGER, NULL},
        {later, "none", NULL, "this model (later) has no effort \"none\"; it has: low, high, max"},
    };
    dr_messages m;
    assert_int_equal(dr_messages_parse(&m, DR_STR(messages_json), "messages", NULL), DR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dr_import import;
        dr_dialect *d;
        dr_prompt p;
        dr_error err = {0};
        dr_buf want = {0};
        assert_int_equal(dr_dialect__import(&import, known, 2, dr_str_of(cases[i].source), "file", false, NULL), DR_OK);
        assert_int_equal(dr_dialect_parse_file(&d, dr_buf_view(&import.json), "file", NULL), DR_OK);
        const dr_render_options options = {.thinking = true, .effort = cases[i].effort};
        const dr_status st = dr_dialect_render(d, &p, m.v, m.n, &options, &err);
        assert_int_equal(st, cases[i].prefix ? DR_OK : DR_ERR_ARG);
        if (cases[i].prefix) {
            dr_buf_printf(&want, DR_LITERAL_BOS "%sSYS" DR_LITERAL_USER "Q1" DR_LITERAL_ASSISTANT DR_LITERAL_THINK, cases[i].prefix);
            assert_string_equal(p.text.data, want.data);
        } else
            assert_string_equal(err.msg, cases[i].says);
        dr_buf_free(&want);
        dr_prompt_free(&p);
        dr_dialect_close(d);
        dr_import_fini(&import);
    }
    dr_messages_free(&m);
}

static void expect_refused(const char *source, bool accept, bool published, const char *says)
{
    dr_import import;
    dr_error err = {0};
    const dr_status st = published ? dr_dialect_import(&import, dr_str_of(source), "file", accept, &err)
                                   : dr_dialect__import(&import, known, 2, dr_str_of(source), "file", accept, &err);
    if (st != DR_ERR_FORMAT || !strstr(err.msg, says))
        fail_msg("%d %s", st, err.msg);
    dr_import_fini(&import);
}

static void dialect_import__other_texts_need_to_be_accepted(void **state)
{
    (void)state;
    static const char other_tools[] = TOKENS "REASONING_EFFORT_MAX = 'Think.\\nHard.\\n\\n'\nTOOLS_TEMPLATE = 'a{tool_schemas}b'\n";
    static const char other_max[] = TOKENS TEMPLATE "REASONING_EFFORT_MAX = 'Else.\\n'\nREASONING_EFFORT_HIGH = 'High.\\n'\n";
    static const char other_dict[] = TOKENS TEMPLATE "REASONING_EFFORT_PROMPTS = {'low': '', 'high': 'Think.\\nHard.\\n\\n', 'max': 'Else'}\n";
    static const char swapped[] = TOKENS TEMPLATE "REASONING_EFFORT_PROMPTS = {'low': '', 'max': 'Think.\\nHard.\\n\\n', 'high': 'Think \xe2\x80\x94\\nharder.\\n\\n'}\n";
    static const char other_tail[] = TOKENS "REASONING_EFFORT_MAX = 'Think.\\nHard.\\n\\n'\n"
                                            "TOOLS_TEMPLATE = '''## Tools\n\nUse <{dsml_token}tool_calls> {{so}}.\n\n### Available Tool Schemas"
                                            "\n\n{tool_schemas}\n\nBefore.\n'''\n";
    static const char *const own_max[] = {"none", "", "max", "Else.\n", "high", "High.\n", NULL};
    static const char *const own_dict[] = {"low", "", "high", STRONG, "max", "Else", NULL};
    static const char *const none[] = {"none", "", NULL}, *const own_none[] = {"none", "Not.", "max", "b", NULL};
    char says[200], hex[65];

    /* Our own texts are none of the published ones. */
    expect_refused(april, false, true, "file: line 11: TOOLS_TEMPLATE (SHA-256 ");
    expect_refused(later, false, true, "--accept");
    expect_refused(other_tools, false, false, "TOOLS_TEMPLATE (SHA-256 ");
    hash(hex, DR_STR("Else.\n"));
    (void)snprintf(says, sizeof says, "REASONING_EFFORT_MAX (SHA-256 %.12s...) is of no release known here: --accept takes the file's own texts", hex);
    expect_refused(other_max, false, false, says);
    expect_refused(other_tail, false, false, "TOOLS_TEMPLATE (SHA-256 ");
    expect_refused(other_dict, false, false, "REASONING_EFFORT_PROMPTS");
    expect_refused(swapped, false, false, "REASONING_EFFORT_PROMPTS");
    expect_refused(TOKENS TEMPLATE, false, false, "neither REASONING_EFFORT_PROMPTS nor REASONING_EFFORT_MAX");
    expect_refused(TOKENS TEMPLATE "REASONING_EFFORT_MAX = load()\n", false, false, "is no text, but something else: --accept");

    expect_import(other_max, true, "unknown", false, own_max);
    expect_import(other_dict, true, "unknown", false, own_dict);
    expect_import(TOKENS TEMPLATE, true, "unknown", false, none);
    /* A name stands once, whatever its letters: the last text counts. */
    expect_import(TOKENS TEMPLATE "REASONING_EFFORT_NONE = 'Not.'\nREASONING_EFFORT_Max = 'a'\nREASONING_EFFORT_MAX = 'b'\n", true, "unknown", false, own_none);
    expect_import(TOKENS TEMPLATE "REASONING_EFFORT_PROMPTS = {'none': 'x', 'max': 'b', 'none': 'Not.'}\n", true, "unknown", false, own_none);
    dr_import import;
    dr_dialect *d;
    assert_int_equal(dr_dialect__import(&import, known, 2, DR_STR(other_tools), "file", true, NULL), DR_OK);
    assert_int_equal(dr_dialect_parse_file(&d, dr_buf_view(&import.json), "file", NULL), DR_OK);
    assert_false(import.known);
    assert_true(dr_str_eq(d->tools_head, DR_STR("a")) && dr_str_eq(d->tools_tail, DR_STR("b")));
    assert_int_equal(d->n_efforts, 3); /* the efforts are of a known release, names and all */
    dr_dialect_close(d);
    dr_import_fini(&import);
}

static void dialect_import__what_nobody_can_accept(void **state)
{
    (void)state;
    for (int accept = 0; accept < 2; accept++) {
        expect_refused(TOKENS "REASONING_EFFORT_MAX = 'x'\n", accept, false, "no text TOOLS_TEMPLATE with one placeholder");
        expect_refused(TOKENS "TOOLS_TEMPLATE = 'a{x}{y}'\n", accept, false, "no text TOOLS_TEMPLATE with one placeholder");
        expect_refused(TOKENS "TOOLS_TEMPLATE = 'a{x'\n", accept, false, "no text TOOLS_TEMPLATE with one placeholder");
        expect_refused(TOKENS "TOOLS_TEMPLATE = open('x').read()\n", accept, false, "line 7: TOOLS_TEMPLATE is no text, but something else");
        expect_refused("dsml_token = '|DSML|'\n" TEMPLATE, accept, false, "line 1: dsml_token is not what this program writes");
        expect_refused(TOKENS TEMPLATE "tool_calls_block_name = 'function_calls'\n", accept, false, "another prompt format");
        expect_refused("A = '", accept, false, "a string does not end");
    }
}

static void dialect_import__a_name_in_a_template_cannot_blow_it_up(void **state)
{
    (void)state;
    dr_buf b = {0};
    dr_import import;
    dr_error err;
    dr_buf_str(&b, "A = '");
    for (int i = 0; i < 1 << 16; i++)
        dr_buf_str(&b, "aaaaaaaa");
    dr_buf_str(&b, "'\nTOOLS_TEMPLATE = '");
    for (int i = 0; i < 1 << 16; i++)
        dr_buf_str(&b, "{A}");
    dr_buf_str(&b, "{x}'\n");
    assert_int_equal(dr_dialect_import(&import, dr_buf_view(&b), "file", true, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "TOOLS_TEMPLATE"));
    dr_import_fini(&import);
    dr_buf_free(&b);
}

/* What the dialect could not hold is not left out in silence. */
static void dialect_import__every_effort_is_kept_or_refused(void **state)
{
    (void)state;
    for (int n = 16; n <= 17; n++) {
        dr_buf b = {0};
        dr_import import;
        dr_error err = {0};
        dr_buf_str(&b, TOKENS TEMPLATE "REASONING_EFFORT_PROMPTS = {");
        for (int i = 0; i < n; i++)
            dr_buf_printf(&b, "'e%d': 't', ", i);
        dr_buf_str(&b, "}\n");
        if (n == 17)
            expect_refused(b.data, true, false, "file: line 17: at most 16 efforts are kept");
        else
            assert_int_equal(dr_dialect__import(&import, known, 2, dr_buf_view(&b), "file", true, &err), DR_OK);
        if (n == 16)
            dr_import_fini(&import);
        dr_buf_free(&b);
    }
    expect_refused(TOKENS TEMPLATE "REASONING_EFFORT_PROMPTS = {'': 'x'}\n", true, false, "a name of 1 to 31 bytes");
    expect_refused(TOKENS TEMPLATE "REASONING_EFFORT_PROMPTS = {'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa': 'x'}\n", true, false, "a name of 1 to 31 bytes");
    expect_refused(TOKENS TEMPLATE "REASONING_EFFORT_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA = 'x'\n", true, false, "a name of 1 to 31 bytes");
}

/* Texts of names in braces by the thousand: stopped by a count of the work, and the template behind them is still found. */
static void dialect_import__texts_full_of_names_are_bounded(void **state)
{
    (void)state;
    dr_buf b = {0};
    for (int i = 0; i < 900; i++)
        dr_buf_printf(&b, "A%d = ''\n", i);
    dr_buf_str(&b, "B = '");
    for (int i = 0; i < 150000; i++)
        dr_buf_str(&b, "{A9}");
    dr_buf_str(&b, "'\n" TOKENS TEMPLATE);
    expect_import(b.data, true, "unknown", false, (const char *const[]){"none", "", NULL});
    dr_buf_str(&b, "TOOLS_TEMPLATE = B\n");
    expect_refused(b.data, true, false, "no text TOOLS_TEMPLATE with one placeholder");
    dr_buf_free(&b);
}

static void dialect_import__failed_allocations_are_reported(void **state)
{
    (void)state;
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_import import;
        dr_error err = {0};
        alloc_fail_at(at);
        const dr_status st = dr_dialect__import(&import, known, 2, DR_STR(later), "file", at % 2, &err);
        failed = alloc_fail_off();
        if (st != (failed ? DR_ERR_NOMEM : DR_OK))
            fail_msg("allocation %ld: %d %s", at, st, err.msg);
        dr_import_fini(&import);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialect_import__the_texts_tell_the_release),
        cmocka_unit_test(dialect_import__effort_names_go_by_release),
        cmocka_unit_test(dialect_import__other_texts_need_to_be_accepted),
        cmocka_unit_test(dialect_import__what_nobody_can_accept),
        cmocka_unit_test(dialect_import__a_name_in_a_template_cannot_blow_it_up),
        cmocka_unit_test(dialect_import__every_effort_is_kept_or_refused),
        cmocka_unit_test(dialect_import__texts_full_of_names_are_bounded),
        cmocka_unit_test(dialect_import__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, declare_releases, NULL);
}
