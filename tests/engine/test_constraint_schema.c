/* Grammars from schemas: what they take and refuse, what they say, and that whatever they let through is a call that reads back. */
#include "engine/constraint_parts.h"
#include "engine/constraint_schema.h"
#include "engine/dialect.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DSML "\xef\xbd\x9c" "DSML\xef\xbd\x9c"
#define EOS "<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"

static uint64_t random_state = 11;

static uint32_t below(uint32_t n)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

static dr_tokenizer *new_tokenizer(void)
{
    static const char *const controls[] = {DSML, EOS};
    const dr_str longer[] = {DR_STR("</"), DR_STR(">\\n<"), DR_STR("parameter"), DR_STR("name=\\\""), DR_STR("invoke"), DR_STR("true"), DR_STR("abc"),
                             DR_STR("<|DSML|"), DR_STR("\\\"}")};
    return byte_tokenizer(longer, sizeof longer / sizeof longer[0], controls, 2);
}

/* Takes the text, whose markers stand for control tokens. How many bytes were legal. */
static size_t feed(dr_constraint *c, const dr_tokenizer *t, const char *text)
{
    size_t at = 0;
    while (text[at]) {
        const bool dsml = strncmp(text + at, DSML, strlen(DSML)) == 0;
        if (dr_constraint_advance(c, t, dsml ? dr_tokenizer_special(t, DSML) : (uint8_t)text[at], NULL) != DR_OK)
            return at;
        at += dsml ? strlen(DSML) : 1;
    }
    return at;
}

static bool takes(const dr_grammar *g, dr_node root, const dr_tokenizer *t, const char *text)
{
    dr_constraint *c;
    assert_int_equal(dr_constraint_new(&c, g, root, NULL), DR_OK);
    const bool yes = feed(c, t, text) == strlen(text) && dr_constraint_done(c);
    dr_constraint_free(c);
    return yes;
}

static void schema__takes_what_it_describes(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *good[8], *bad[9];
    } cases[] = {
        {"{\"type\":\"string\"}", {"\"\"", "\"a\\n\xc3\xa9\""}, {"1", "a", "\"\xff\"", "\"a"}},
        {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", {"\"ab\"", "\"\xc3\xa9\\n\xf0\x9f\x99\x82\""}, {"\"a\"", "\"abcd\"", "\"\""}},
        {"{\"type\":\"integer\"}", {"0", "-12", "9007199254740993"}, {"01", "1.5", "1e3", "-", "\"1\""}},
        {"{\"type\":\"integer\",\"minimum\":0}", {"0", "12"}, {"-1"}},
        {"{\"type\":\"number\"}", {"0", "-1.5e-7", "2"}, {".5", "1.", "+1"}},
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "True"}},
        {"{\"type\":[\"string\",\"null\"]}", {"\"a\"", "null"}, {"1", "true"}},
        {"{\"type\":\"integer\",\"nullable\":true}", {"1", "null"}, {"\"a\""}},
        {"{\"enum\":[\"a\",\"ab\",1,null,\"a\",{\"k\":[1]}]}", {"\"a\"", "\"ab\"", "1", "null", "{\"k\": [1]}"}, {"\"b\"", "2", "\"abc\"", "{\"k\":[1]}"}},
        {"{\"const\":\"x\"}", {"\"x\""}, {"\"y\"", "x"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":2}", {"[1]", "[1, 2]"}, {"[]", "[1, 2, 3]", "[1,2]", "[\"a\"]"}},
        {"{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]"}},
        {"{\"type\":\"array\"}", {"[]", "[1, \"a\", {\"k\": null}]"}, {"[1,2]", "{}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"boolean\"},\"c\\\"\":{\"type\":\"null\"}},\"required\":[\"b\"]}",
         {"{\"b\": true}", "{\"a\": 1, \"b\": false}", "{\"b\": true, \"a\": 1}", "{\"c\\\"\": null, \"a\": 2, \"b\": true}"},
         {"{}", "{\"a\": 1}", "{\"b\": true, \"b\": true}", "{\"b\": 1}", "{\"d\": 1, \"b\": true}", "{\"b\":true}", "{\"b\": true,\"a\": 1}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}", {"{}", "{\"a\": [1]}"}, {"{\"b\": 1}"}},
        {"{\"type\":\"object\",\"required\":[\"a\"]}", {"{\"a\": 1}"}, {"{}"}},
        {"{\"type\":\"object\"}", {"{}", "{\"x\": 1, \"y\": []}"}, {"{1: 2}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", {"{}", "{\"x\": 1, \"y\": 2}"}, {"{\"x\": \"a\"}"}},
        {"{\"type\":\"object\",\"additionalProperties\":false}", {"{}"}, {"{\"x\": 1}"}},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}", {"\"a\"", "[\"a\"]"}, {"1", "[1]"}},
        {"{\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
         "tree\"}}},\"required\":[\"v\"]}},\"$ref\":\"#/$defs/tree\"}",
         {"{\"v\": 1}", "{\"kids\": [{\"v\": 2, \"kids\": []}, {\"v\": 3}], \"v\": 1}"},
         {"{\"kids\": []}", "{\"v\": 1, \"kids\": [1]}"}},
        {"{\"properties\":{\"a~/b\":{\"type\":\"integer\"},\"c\":{\"$ref\":\"#/properties/a~0~1b\"}}}", {"{\"c\": 1}"}, {"{\"c\": \"a\"}"}},
        {"true", {"1", "\"a\"", "{}"}, {"a"}},
        {"{}", {"1", "\"a\"", "{}"}, {"a"}},
    };
    dr_tokenizer *t = new_tokenizer();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dr_grammar *g = dr_grammar_new();
        dr_json_doc doc;
        dr_buf notes = {0};
        dr_error err = {0};
        dr_node root;
        assert_int_equal(dr_json_parse(&doc, dr_str_of(cases[i].schema), "schema", &err), DR_OK);
        if (dr_grammar_schema(&root, g, doc.root, doc.root, "x", &notes, &err) != DR_OK)
            fail_msg("%s: %s", cases[i].schema, err.msg);
        dr_json_free(&doc); /* nothing of it is borrowed */
        assert_int_equal(notes.n, 0);
        for (size_t k = 0; cases[i].good[k]; k++)
            if (!takes(g, root, t, cases[i].good[k]))
                fail_msg("%s refuses %s", cases[i].schema, cases[i].good[k]);
        for (size_t k = 0; cases[i].bad[k]; k++)
            if (takes(g, root, t, cases[i].bad[k]))
                fail_msg("%s takes %s", cases[i].schema, cases[i].bad[k]);
        dr_buf_free(&notes);
        dr_grammar_free(g);
    }
    dr_tokenizer_close(t);
}

static void schema__says_what_it_does_not_enforce(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"{\"type\":\"string\",\"pattern\":\"^a\",\"format\":\"uri\",\"description\":\"d\"}", "x: \"pattern\" is not enforced\n"},
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":5,\"multipleOf\":2}",
         "x: \"minimum\" is not enforced\nx: \"maximum\" is not enforced\nx: \"multipleOf\" is not enforced\n"},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0}", "x: \"exclusiveMinimum\" is not enforced\n"},
        {"{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"type\":\"string\",\"pattern\":\"a\"}}",
         "x.items: \"pattern\" is not enforced\nx: \"uniqueItems\" is not enforced\n"},
        {"{\"type\":\"array\",\"items\":[{},{}]}", "x: \"items\" is not enforced\n"},
        {"{\"properties\":{\"a\":{\"not\":{}}},\"minProperties\":1}", "x.a: \"not\" is not enforced\nx: \"minProperties\" is not enforced\n"},
        {"{\"oneOf\":[{\"type\":\"string\"}]}", "x: \"oneOf (that the others do not hold)\" is not enforced\n"},
        {"{\"anyOf\":[{\"type\":\"string\"}],\"maxLength\":3}", "x: \"maxLength\" is not enforced\n"},
        {"{\"allOf\":[{\"type\":\"string\"}]}", "x: \"allOf\" is not enforced\n"},
        {"{\"enum\":[1],\"type\":\"integer\",\"maximum\":3}", "x: \"maximum\" is not enforced\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dr_grammar *g = dr_grammar_new();
        dr_json_doc doc;
        dr_buf notes = {0};
        dr_node root;
        assert_int_equal(dr_json_parse(&doc, dr_str_of(cases[i].schema), "schema", NULL), DR_OK);
        assert_int_equal(dr_grammar_schema(&root, g, doc.root, doc.root, "x", &notes, NULL), DR_OK);
        assert_string_equal(notes.data, cases[i].says);
        dr_buf_free(&notes);
        dr_json_free(&doc);
        dr_grammar_free(g);
    }
}

static void schema__what_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"1", "x: a schema is an object, true or false"},
        {"false", "x: a schema that nothing satisfies"},
        {"{\"type\":\"text\"}", "\"type\" names no type"},
        {"{\"type\":1}", "\"type\" names no type"},
        {"{\"type\":[1]}", "\"type\" names no type"},
        {"{\"type\":[]}", "nothing satisfies"},
        {"{\"enum\":[]}", "an enum without values"},
        {"{\"enum\":1}", "\"enum\" is no list"},
        {"{\"anyOf\":[]}", "is no list, or is empty"},
        {"{\"anyOf\":[false]}", "nothing satisfies"},
        {"{\"type\":\"string\",\"minLength\":-1}", "no whole number"},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "a maximum below the minimum"},
        {"{\"properties\":[]}", "\"properties\" is no object"},
        {"{\"required\":[1]}", "holds something that is no name"},
        {"{\"properties\":{\"a\":{\"properties\":{\"b\":3}}}}", "x.a.b: a schema is an object"},
        {"{\"$ref\":\"#/no\"}", "leads to nothing"},
        {"{\"$ref\":\"http://a/b\"}", "leads to nothing"},
        {"{\"$ref\":\"#\"}", "leads back to itself"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "leads back to itself"},
    };
    dr_buf deep = {0};
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0] + 1; i++) {
        dr_grammar *g = dr_grammar_new();
        dr_json_doc doc;
        dr_error err = {0};
        dr_node root;
        dr_status want = DR_ERR_FORMAT;
        const char *says = "nest too deep";
        dr_buf_clear(&deep);
        if (i < sizeof cases / sizeof cases[0]) {
            dr_buf_str(&deep, cases[i].schema);
            says = cases[i].says;
        } else if (i == sizeof cases / sizeof cases[0]) {
            dr_buf_str(&deep, "{\"properties\":{");
            for (int k = 0; k < 65; k++)
                dr_buf_printf(&deep, "%s\"p%d\":{}", k ? "," : "", k);
            dr_buf_str(&deep, "}}");
            says = "x: more than 64 properties";
            want = DR_ERR_LIMIT;
        } else
            for (int k = 0; k < 131; k++)
                dr_buf_str(&deep, k == 65 ? "{}" : k < 65 ? "{\"items\":" : "}");
        assert_int_equal(dr_json_parse(&doc, dr_buf_view(&deep), "schema", NULL), DR_OK);
        const dr_status st = dr_grammar_schema(&root, g, doc.root, doc.root, "x", NULL, &err);
        if (st != want || !strstr(err.msg, says))
            fail_msg("%s: %d %s", deep.data, st, err.msg);
        dr_json_free(&doc);
        dr_grammar_free(g);
    }
    dr_buf_free(&deep);
}

/* ---- tool calls ---- */

static const char roster[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"read\",\"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},"
    "\"from\":{\"type\":\"integer\"},\"mode\":{\"enum\":[\"a\",\"b\",3]},\"note\":{\"type\":[\"string\",\"null\"]}},\"required\":[\"path\"]}}},"
    "{\"name\":\"reads\",\"parameters\":{\"type\":\"object\",\"properties\":{\"all\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":"
    "{\"p\":{\"type\":\"string\"},\"n\":{\"type\":\"number\"}},\"required\":[\"p\"]}},\"any\":{}},\"required\":[\"all\",\"any\"]}},"
    "{\"name\":\"stop\"}]";

static dr_node build_roster(dr_grammar *g, const dr_tokenizer *t, const dr_schema_value *values, size_t n_values)
{
    dr_json_doc doc;
    dr_buf notes = {0};
    dr_error err;
    dr_node calls;
    assert_int_equal(dr_json_parse(&doc, DR_STR(roster), "tools", &err), DR_OK);
    if (dr_grammar_tool_calls(&calls, g, doc.root, dr_tokenizer_special(t, DSML), 3, values, n_values, &notes, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(notes.n, 0);
    dr_json_free(&doc);
    return calls;
}

#define P(name, string, text) "<" DSML "parameter name=\"" name "\" string=\"" string "\">" text "</" DSML "parameter>"
#define CALL(name, params) "<" DSML "invoke name=\"" name "\">\n" params "\n</" DSML "invoke>\n"
#define BLOCK(calls) "\n\n<" DSML "tool_calls>\n" calls "</" DSML "tool_calls>"

static void tool_calls__follow_the_roster(void **state)
{
    (void)state;
    static const char *const good[] = {
        BLOCK(CALL("read", P("path", "true", "a b\n</x>"))),
        BLOCK(CALL("read", P("path", "true", ""))),
        BLOCK(CALL("read", P("from", "false", "-3") "\n" P("path", "true", "x"))),
        BLOCK(CALL("read", P("mode", "false", "3") "\n" P("path", "true", "x") "\n" P("note", "false", "null"))),
        BLOCK(CALL("read", P("mode", "true", "b") "\n" P("note", "true", "null") "\n" P("path", "true", "x"))),
        BLOCK(CALL("stop", "")),
        BLOCK(CALL("stop", "") CALL("reads", P("all", "false", "[{\"p\": \"x\"}]") "\n" P("any", "true", "free")) CALL("stop", "")),
        BLOCK(CALL("reads", P("any", "false", "{\"k\": [1]}") "\n" P("all", "false", "[]"))),
    };
    static const char *const bad[] = {
        BLOCK(""),
        BLOCK(CALL("read", "")),
        BLOCK(CALL("write", P("path", "true", "x"))),
        BLOCK(CALL("read", P("path", "false", "\"x\""))),
        BLOCK(CALL("read", P("path", "true", "x") "\n" P("path", "true", "y"))),
        BLOCK(CALL("read", P("path", "true", "x") P("from", "false", "1"))),
        BLOCK(CALL("read", P("path", "true", "x") "\n" P("from", "true", "1"))),
        BLOCK(CALL("read", P("path", "true", "x") "\n" P("mode", "true", "3"))),
        BLOCK(CALL("read", P("path", "true", "x") "\n" P("note", "true", "x") "\n" P("note", "false", "null"))),
        BLOCK(CALL("reads", P("all", "false", "[{\"n\": 1}]") "\n" P("any", "true", ""))),
        BLOCK(CALL("stop", "") CALL("stop", "") CALL("stop", "") CALL("stop", "")),
        BLOCK(CALL("stop", P("path", "true", "x"))),
    };
    dr_tokenizer *t = new_tokenizer();
    dr_grammar *g = dr_grammar_new();
    const dr_node calls = build_roster(g, t, NULL, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!takes(g, calls, t, good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (takes(g, calls, t, bad[i]))
            fail_msg("taken: %s", bad[i]);
    dr_grammar_free(g);
    /* A parameter whose values the program knows: lines of a file. */
    dr_substrings *text;
    g = dr_grammar_new();
    assert_int_equal(dr_substrings_new(&text, DR_STR("one\ntwo\n"), NULL), DR_OK);
    const dr_schema_value value = {DR_STR("read"), DR_STR("path"), dr_grammar_substring(g, text, DR_SUBSTRING_LINES)};
    const dr_node closed = build_roster(g, t, &value, 1);
    assert_true(takes(g, closed, t, BLOCK(CALL("read", P("path", "true", "one\ntwo")))));
    assert_false(takes(g, closed, t, BLOCK(CALL("read", P("path", "true", "wo")))));
    dr_grammar_free(g);
    dr_substrings_free(text);
    dr_tokenizer_close(t);
}

/* Whatever is decoded under the grammar reads back as calls of the roster with the keys that are required. */
static void tool_calls__random_decodes_read_back(void **state)
{
    (void)state;
    dr_tokenizer *t = new_tokenizer();
    const int32_t dsml = dr_tokenizer_special(t, DSML), eos = dr_tokenizer_special(t, EOS);
    dr_grammar *g = dr_grammar_new();
    const dr_node parts[] = {build_roster(g, t, NULL, 0), dr_grammar_control(g, eos)};
    const dr_node root = dr_grammar_sequence(g, parts, 2);
    int n_calls = 0, n_whole = 0;
    for (int round = 0; round < 400; round++) {
        dr_constraint *c;
        dr_buf text = {0};
        dr_completion back;
        int32_t ids[600];
        assert_int_equal(dr_constraint_new(&c, g, root, NULL), DR_OK);
        for (int n = 0; n < 1200 && !dr_constraint_done(c); n++) {
            const size_t n_legal = dr_constraint_legal(c, t, ids, 600);
            assert_true(n_legal > 0);
            int32_t id = ids[below((uint32_t)n_legal)];
            static const char closing[] = "\"]}</"; /* a model that never ends a value would only show that it can be long */
            if (below(3) == 0)
                for (const char *p = closing; *p; p++)
                    if (dr_constraint_allows(c, t, *p))
                        id = *p;
            if (n > 5 && dr_constraint_allows(c, t, dsml))
                id = dsml;
            assert_int_equal(dr_constraint_advance(c, t, id, NULL), DR_OK);
            const dr_str bytes = dr_tokenizer_bytes(t, id);
            dr_buf_add(&text, bytes.s, bytes.n);
        }
        if (dr_constraint_done(c)) {
            assert_int_equal(dr_completion_parse(&back, dr_buf_view(&text), false, NULL), DR_OK);
            if (back.malformed)
                fail_msg("%s: %s", back.malformed, text.data);
            n_whole++;
            for (size_t i = 0; i < back.n_calls; i++, n_calls++) {
                dr_json_doc doc;
                dr_error err;
                if (dr_json_parse(&doc, back.calls[i].arguments, "arguments", &err) != DR_OK)
                    fail_msg("%s in %s", err.msg, text.data);
                if (dr_str_eq(back.calls[i].name, DR_STR("read")))
                    assert_int_equal(dr_json_get(doc.root, "path")->type, DR_JSON_STRING);
                else if (dr_str_eq(back.calls[i].name, DR_STR("reads"))) {
                    assert_int_equal(dr_json_get(doc.root, "all")->type, DR_JSON_ARRAY);
                    assert_non_null(dr_json_get(doc.root, "any"));
                } else
                    assert_true(dr_str_eq(back.calls[i].name, DR_STR("stop")));
                dr_json_free(&doc);
            }
            dr_completion_free(&back);
        }
        dr_buf_free(&text);
        dr_constraint_free(c);
    }
    print_message("%d of 400 decodes came to their end, with %d calls\n", n_whole, n_calls);
    assert_true(n_whole > 200 && n_calls > 300);
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

/* Rosters as large as programs have them stay far from the limits. */
static void tool_calls__large_rosters_fit(void **state)
{
    (void)state;
    dr_tokenizer *t = new_tokenizer();
    dr_grammar *g = dr_grammar_new();
    dr_buf json = {0};
    dr_json_doc doc;
    dr_error err;
    dr_node calls;
    dr_constraint *c;
    for (int tool = 0; tool < 128; tool++) {
        dr_buf_printf(&json, "%s{\"name\":\"tool_%d\",\"parameters\":{\"type\":\"object\",\"properties\":{", tool ? "," : "[", tool);
        for (int p = 0; p < 40; p++)
            dr_buf_printf(&json, "%s\"parameter_%d\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":"
                                 "\"integer\"}}}},{\"type\":\"null\"}]}", p ? "," : "", p);
        dr_buf_str(&json, "},\"required\":[\"parameter_7\",\"parameter_39\"]}}");
    }
    dr_buf_str(&json, "]");
    assert_int_equal(dr_json_parse(&doc, dr_buf_view(&json), "tools", &err), DR_OK);
    if (dr_grammar_tool_calls(&calls, g, doc.root, dr_tokenizer_special(t, DSML), -1, NULL, 0, NULL, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(dr_constraint_new(&c, g, calls, &err), DR_OK);
    dr_buf_clear(&json);
    dr_buf_str(&json, "\n\n<" DSML "tool_calls>\n");
    for (int tool = 0; tool < 128; tool += 5) {
        dr_buf_printf(&json, "<" DSML "invoke name=\"tool_%d\">\n", tool);
        for (int p = 39; p >= 0; p--)
            dr_buf_printf(&json, "<" DSML "parameter name=\"parameter_%d\" string=\"%s</" DSML "parameter>%s", p,
                          p % 3 ? "true\">text" : "false\">{\"a\": [1, 2]}", p ? "\n" : "");
        dr_buf_str(&json, "\n</" DSML "invoke>\n");
    }
    dr_buf_str(&json, "</" DSML "tool_calls>");
    assert_int_equal(feed(c, t, json.data), json.n);
    assert_true(dr_constraint_done(c));
    assert_false(dr_constraint__cut(c));
    dr_constraint_free(c);
    dr_buf_free(&json);
    dr_json_free(&doc);
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void tool_calls__bad_rosters_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *tools, *says;
    } cases[] = {
        {"{}", "a list of tools"},
        {"[]", "a list of tools"},
        {"[{\"name\":1}]", "without a name that can be written"},
        {"[{\"name\":\"a\\\"b\"}]", "without a name that can be written"},
        {"[{\"name\":\"a\"},{\"name\":\"a\"}]", "two tools of one name"},
        {"[{\"name\":\"a\",\"parameters\":1}]", "a: the parameters are not described"},
        {"[{\"name\":\"a\",\"parameters\":{\"properties\":{\"b\\nc\":{}}}}]", "cannot be written"},
        {"[{\"name\":\"a\",\"parameters\":{\"properties\":{\"b\":{\"type\":\"x\"}}}}]", "a.b: \"type\" names no type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dr_grammar *g = dr_grammar_new();
        dr_json_doc doc;
        dr_error err = {0};
        dr_node out;
        assert_int_equal(dr_json_parse(&doc, dr_str_of(cases[i].tools), "tools", NULL), DR_OK);
        assert_int_equal(dr_grammar_tool_calls(&out, g, doc.root, 300, 1, NULL, 0, NULL, &err), DR_ERR_FORMAT);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].tools, err.msg);
        dr_json_free(&doc);
        dr_grammar_free(g);
    }
}

static void tool_calls__failed_allocations_are_reported(void **state)
{
    (void)state;
    bool failed = true;
    dr_json_doc doc;
    assert_int_equal(dr_json_parse(&doc, DR_STR(roster), "tools", NULL), DR_OK);
    for (long at = 0; failed; at += 1 + at / 50) {
        dr_buf notes = {0};
        dr_node out;
        dr_error err;
        alloc_fail_at(at);
        dr_grammar *g = dr_grammar_new();
        const dr_status st = g ? dr_grammar_tool_calls(&out, g, doc.root, 300, 1, NULL, 0, &notes, &err) : DR_ERR_NOMEM;
        failed = alloc_fail_off();
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        dr_buf_free(&notes);
        dr_grammar_free(g);
    }
    dr_json_free(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema__takes_what_it_describes),
        cmocka_unit_test(schema__says_what_it_does_not_enforce),
        cmocka_unit_test(schema__what_is_none_is_refused),
        cmocka_unit_test(tool_calls__follow_the_roster),
        cmocka_unit_test(tool_calls__random_decodes_read_back),
        cmocka_unit_test(tool_calls__large_rosters_fit),
        cmocka_unit_test(tool_calls__bad_rosters_are_refused),
        cmocka_unit_test(tool_calls__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
