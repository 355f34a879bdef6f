/* Each predicate on a few lines of JSON, whose grammar is small; and what is refused. What a query finds is written as
 * "PATTERN CAPTURE=TEXT CAPTURE=TEXT {KEY=VALUE}", one match a line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "repo/tag_query.h"

#include <stdlib.h>
#include <string.h>

const TSLanguage *tree_sitter_json(void);
const TSLanguage *tree_sitter_c(void);

typedef struct found {
    const dr_tag_query *q;
    dr_buf text;
    size_t n, at_most;
} found;

static bool on_match(void *arg, const dr_tag_match *m)
{
    found *f = arg;
    dr_buf_printf(&f->text, "%u", m->pattern);
    for (size_t i = 0; i < m->n_captures; i++) {
        const dr_str name = dr_tag_query_capture(f->q, m->captures[i].index);
        dr_buf_printf(&f->text, " %.*s=%.*s", (int)name.n, name.s, (int)m->captures[i].text.n, m->captures[i].text.s);
    }
    for (size_t i = 0; i < m->n_properties; i++)
        dr_buf_printf(&f->text, " {%.*s=%.*s}", (int)m->properties[i].key.n, m->properties[i].key.s,
                      (int)m->properties[i].value.n, m->properties[i].value.s);
    dr_buf_str(&f->text, "\n");
    return ++f->n < f->at_most;
}

static void expect_found(const TSLanguage *language, const char *query, const char *text, size_t at_most,
                         const char *want)
{
    dr_error err = {0};
    found f = {.at_most = at_most};
    dr_tag_query *q = NULL;
    TSParser *parser = ts_parser_new();

    assert_non_null(parser);
    assert_true(ts_parser_set_language(parser, language));
    TSTree *tree = ts_parser_parse_string(parser, NULL, text, (uint32_t)strlen(text));
    if (dr_tag_query_new(&q, language, dr_str_of(query), &err) != DR_OK)
        fail_msg("%s", err.msg);
    f.q = q;
    assert_int_equal(dr_tag_query_run(q, ts_tree_root_node(tree), dr_str_of(text), on_match, &f, &err), DR_OK);
    assert_string_equal(f.text.data ? f.text.data : "", want);
    dr_buf_free(&f.text);
    dr_tag_query_free(q);
    ts_tree_delete(tree);
    ts_parser_delete(parser);
}

static void expect_json(const char *query, const char *text, const char *want)
{
    expect_found(tree_sitter_json(), query, text, 1000, want);
}

static const char pairs[] = "{\"a\": \"x\", \"b\": \"y\", \"c\": \"c\"}";

#define PAIR "(pair key: (string (string_content) @k) value: (string (string_content) @v))"

static void eq__compares_with_a_text_and_with_a_capture(void **state)
{
    (void)state;
    expect_json("(" PAIR " (#eq? @k \"a\"))", pairs, "0 k=a v=x\n");
    expect_json("(" PAIR " (#not-eq? @k \"a\"))", pairs, "0 k=b v=y\n0 k=c v=c\n");
    expect_json("(" PAIR " (#eq? @k @v))", pairs, "0 k=c v=c\n");
    expect_json("(" PAIR " (#not-eq? @k @v))", pairs, "0 k=a v=x\n0 k=b v=y\n");
}

static void several_predicates__all_hold(void **state)
{
    (void)state;
    expect_json("(" PAIR " (#not-eq? @k \"a\") (#not-eq? @v \"c\"))", pairs, "0 k=b v=y\n");
}

static void match__searches_with_pcre2(void **state)
{
    (void)state;
    expect_json("(" PAIR " (#match? @v \"^[xc]$\"))", pairs, "0 k=a v=x\n0 k=c v=c\n");
    expect_json("(" PAIR " (#not-match? @v \"^[xc]$\"))", pairs, "0 k=b v=y\n");
    expect_json("((string_content) @s (#match? @s \"^\\\\p{Lu}\"))", "[\"\303\204\", \"\303\244\"]",
                "0 s=\303\204\n"); /* letters beyond ASCII */
}

static void any_of__one_of_several_texts(void **state)
{
    (void)state;
    expect_json("(" PAIR " (#any-of? @k \"a\" \"c\" \"z\"))", pairs, "0 k=a v=x\n0 k=c v=c\n");
    expect_json("(" PAIR " (#not-any-of? @k \"a\" \"c\" \"z\"))", pairs, "0 k=b v=y\n");
}

/* A repeated capture holds several nodes: all must fulfil a predicate, or with any- at least one. */
static void any__one_node_is_enough(void **state)
{
    static const char lists[] = "[[1, 2], [2, 2], [3, 4]]";
    (void)state;
    expect_json("((array . (number) @n (number)+ @n .) (#eq? @n \"2\"))", lists, "0 n=2 n=2\n");
    expect_json("((array . (number) @n (number)+ @n .) (#any-eq? @n \"2\"))", lists, "0 n=1 n=2\n0 n=2 n=2\n");
    expect_json("((array . (number) @n (number)+ @n .) (#any-not-eq? @n \"2\"))", lists, "0 n=1 n=2\n0 n=3 n=4\n");
    expect_json("((array . (number) @n (number)+ @n .) (#any-match? @n \"[34]\"))", lists, "0 n=3 n=4\n");
    expect_json("((array . (number) @n (number)+ @n .) (#not-eq? @n \"1\"))", lists, "0 n=2 n=2\n0 n=3 n=4\n");
}

static void missing_capture__fulfils_everything(void **state)
{
    (void)state;
    expect_json("((pair key: (_) @k value: [(null) (string (string_content) @v)]) (#eq? @v \"x\"))",
                "{\"a\": null, \"b\": \"x\", \"c\": \"y\"}", "0 k=\"a\"\n0 k=\"b\" v=x\n");
    expect_json("((pair key: (_) @k value: [(null) (string (string_content) @v)]) (#any-eq? @v \"x\"))",
                "{\"a\": null, \"c\": \"y\"}", "0 k=\"a\"\n");
}

static void strip__takes_out_what_is_found(void **state)
{
    (void)state;
    expect_json("((pair key: (string) @k) (#strip! @k \"^\\\"|\\\"$\"))", pairs, "0 k=a\n0 k=b\n0 k=c\n");
    expect_json("((string_content) @s (#strip! @s \"-\"))", "[\"a-b-c\", \"-\", \"d\"]", "0 s=abc\n0 s=\n0 s=d\n");
    expect_json("((string_content) @s (#strip! @s \"x*\"))", "[\"axxb\"]", "0 s=ab\n"); /* matches nothing, too */
    /* Predicates see the text as it was. */
    expect_json("((string_content) @s (#strip! @s \"a\") (#eq? @s \"ab\"))", "[\"ab\", \"b\"]", "0 s=b\n");
}

static void select_adjacent__keeps_what_leads_up(void **state)
{
    static const char c[] = "// far\n"
                            "\n"
                            "// one\n"
                            "// two\n"
                            "int f(void);\n"
                            "// behind\n";
    static const char query[] = "((comment)* @doc . (declaration) @d (#select-adjacent! @doc @d))";
    static const char older[] = "((comment)* @doc . (declaration) @d (#set-adjacent! @doc @d))";
    (void)state;
    expect_found(tree_sitter_c(), query, c, 1, "0 doc=// one doc=// two d=int f(void);\n");
    expect_found(tree_sitter_c(), older, c, 1, "0 doc=// one doc=// two d=int f(void);\n");
}

static void set__gives_properties(void **state)
{
    (void)state;
    expect_json("((null) @n (#set! kind \"nothing\") (#set! flag))\n(true) @t", "[null, true]",
                "0 n=null {kind=nothing} {flag=}\n1 t=true\n");
}

static void callback__can_stop(void **state)
{
    (void)state;
    expect_found(tree_sitter_json(), "(number) @n", "[1, 2, 3]", 2, "0 n=1\n0 n=2\n");
}

/* A regex that would take for ever finds nothing, and soon. */
static void hostile_regex__is_given_up(void **state)
{
    dr_buf text = {0};
    (void)state;
    dr_buf_str(&text, "[\"");
    for (int i = 0; i < 5000; i++)
        dr_buf_str(&text, "a");
    dr_buf_str(&text, "!\"]");
    expect_json("((string_content) @s (#match? @s \"^(a+)+$\"))", text.data, "");
    dr_buf_free(&text);
}

static void bad_queries__are_refused(void **state)
{
    static const char *const bad[] = {
        "(no_such_node) @a",
        "(pair key: @a",
        "(pair no_such_field: (_)) @a",
        "((null) @a (#no-such? @a \"x\"))",
        "((null) @a (#eq? @b \"x\"))",
        "((null) @a (#eq? @a))",
        "((null) @a (#eq? \"x\" @a))",
        "((null) @a (#eq? @a \"x\" \"y\"))",
        "((null) @a (#match? @a \"(\"))",
        "((null) @a (#match? @a @a))",
        "((null) @a (#any-of? @a))",
        "((null) @a (#strip! @a))",
        "((null) @a (#select-adjacent! @a \"x\"))",
        "((null) @a (#set!))",
        "((null) @a (#set! @a))",
        "((null) @a (#eq? @a \"x\") (#match? @a \"x\") (#match? @a \"[\"))",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dr_error err = {0};
        dr_tag_query *q = NULL;
        if (dr_tag_query_new(&q, tree_sitter_json(), dr_str_of(bad[i]), &err) != DR_ERR_FORMAT)
            fail_msg("not refused: %s", bad[i]);
        assert_null(q);
        assert_true(strncmp(err.msg, "query: ", 7) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eq__compares_with_a_text_and_with_a_capture),
        cmocka_unit_test(several_predicates__all_hold),
        cmocka_unit_test(match__searches_with_pcre2),
        cmocka_unit_test(any_of__one_of_several_texts),
        cmocka_unit_test(any__one_node_is_enough),
        cmocka_unit_test(missing_capture__fulfils_everything),
        cmocka_unit_test(strip__takes_out_what_is_found),
        cmocka_unit_test(select_adjacent__keeps_what_leads_up),
        cmocka_unit_test(set__gives_properties),
        cmocka_unit_test(callback__can_stop),
        cmocka_unit_test(hostile_regex__is_given_up),
        cmocka_unit_test(bad_queries__are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
