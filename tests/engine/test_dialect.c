/* Rendering against the vectors of the official renderer, parsing against what it writes, and both against what they must refuse.
 *
 * The trained texts of the official checkpoints are not ours to keep. DR_OFFICIAL_MODEL names a folder that holds the April release's
 * (encoding/encoding_dsv4.py, or a dialect.json made of it): vectors 11 and 12 are then checked by hash as well. */
#include "engine/dialect_import.h"
#include "engine/dialect_parts.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/dialect"
#define BOS DR_LITERAL_BOS
#define EOS DR_LITERAL_EOS
#define USER DR_LITERAL_USER
#define ASST DR_LITERAL_ASSISTANT
#define THINK DR_LITERAL_THINK
#define END_THINK DR_LITERAL_END_THINK
#define D DR_LITERAL_DSML

static dr_dialect *dialect;

static int open_dialect(void **state)
{
    (void)state;
    return dr_dialect_open(&dialect, GOLDEN, NULL) == DR_OK ? 0 : -1;
}

static int close_dialect(void **state)
{
    (void)state;
    dr_dialect_close(dialect);
    return 0;
}

/* Segments cover the text, none is empty, ordinary ones never touch, and control ones are control tokens. */
static void check_segments(const dr_prompt *p)
{
    size_t at = 0;
    for (size_t i = 0; i < p->n_segments; i++) {
        const dr_segment *s = &p->segments[i];
        assert_int_equal(s->at, at);
        assert_true(s->n > 0);
        assert_false(i > 0 && !s->control && !p->segments[i - 1].control);
        if (s->control)
            assert_int_equal(dr_dialect__control_at((dr_str){p->text.data + at, s->n}).n, s->n);
        at += s->n;
    }
    assert_int_equal(at, p->text.n);
}

static void expect_prompt(const char *messages_json, const dr_render_options *options, const char *want)
{
    dr_messages m;
    dr_prompt p;
    dr_error err = {0};
    if (dr_messages_parse(&m, dr_str_of(messages_json), "messages", &err) != DR_OK)
        fail_msg("%s", err.msg);
    if (dr_dialect_render(dialect, &p, m.v, m.n, options, &err) != DR_OK)
        fail_msg("%s", err.msg);
    check_segments(&p);
    assert_string_equal(p.text.data ? p.text.data : "", want);
    dr_prompt_free(&p);
    dr_messages_free(&m);
}

static void dialect__renders_the_official_vectors(void **state)
{
    (void)state;
    dr_buf file = {0}, messages = {0};
    dr_json_doc doc;
    int n = 0;
    assert_int_equal(dr_read_file(&file, GOLDEN "/vectors.json", 1 << 20, NULL), DR_OK);
    assert_int_equal(dr_json_parse(&doc, dr_buf_view(&file), "vectors", NULL), DR_OK);
    for (const dr_json *v = dr_json_first(doc.root), *end = dr_json_end(doc.root); v != end; v = dr_json_after(v), n++) {
        const dr_json *effort = dr_json_get(v, "effort");
        char *name = effort ? strndup(effort->text, effort->n) : NULL;
        const dr_render_options options = {.thinking = dr_str_eq(dr_json_text(dr_json_get(v, "mode")), DR_STR("thinking")),
                                           .keep_reasoning = dr_json_get(v, "keep") != NULL,
                                           .effort = name};
        const dr_str want = dr_json_text(dr_json_get(v, "prompt"));
        char *terminated = strndup(want.s, want.n);
        dr_buf_clear(&messages);
        dr_json_write(&messages, dr_json_get(v, "messages"));
        expect_prompt(messages.data, &options, terminated);
        free(terminated);
        free(name);
    }
    assert_int_equal(n, 21); /* 11 and 12 with our own texts; below, with the official ones */
    dr_json_free(&doc);
    dr_buf_free(&messages);
    dr_buf_free(&file);
}

static const char vector_11[] =
    "[{\"role\":\"system\",\"content\":\"SYS\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\"}}}}}]},{\"role\":\"user\",\"content\":\"Q1\"}]";
static const char vector_12[] = "[{\"role\":\"system\",\"content\":\"SYS\"},{\"role\":\"user\",\"content\":\"Q1\"}]";
#define SCHEMA \
    "{\"name\": \"f\", \"description\": \"d\", \"parameters\": {\"type\": \"object\", \"properties\": {\"s\": {\"type\": \"string\"}}}}"

static void dialect__tools_and_effort_stand_where_they_were_trained(void **state)
{
    (void)state;
    const char *head = "## Tools\n\nHEAD\n\n<" D "tool_calls>\n<" D "invoke name=\"NAME\">\n</" D "invoke>\n</" D
                       "tool_calls>\n\n### Available Tool Schemas\n\n";
    dr_buf want = {0};
    dr_buf_printf(&want, BOS "SYS\n\n%s" SCHEMA "\n\nTAIL after </think> only.\n" USER "Q1" ASST THINK, head);
    expect_prompt(vector_11, &(dr_render_options){.thinking = true}, want.data);
    expect_prompt(vector_12, &(dr_render_options){.thinking = true, .effort = "max"},
                  BOS "One.\nTwo.\nThree.\n\nSYS" USER "Q1" ASST THINK);
    expect_prompt(vector_12, &(dr_render_options){.thinking = true, .effort = "high"}, BOS "SYS" USER "Q1" ASST THINK);
    expect_prompt(vector_12, &(dr_render_options){.effort = "max"}, BOS "SYS" USER "Q1" ASST END_THINK);
    /* Tools beside the messages go to the system message, or make one. */
    dr_buf_clear(&want);
    dr_buf_printf(&want, BOS "\n\n%s{\"name\": \"g\"}\n{\"n\": 1.0}\n\nTAIL after </think> only.\n" USER "Q" ASST END_THINK, head);
    expect_prompt("{\"messages\":[{\"role\":\"user\",\"content\":\"Q\"}],\"tools\":[{\"function\":{\"name\":\"g\"}},{\"function\":{\"n\":1.0}}]}",
                  &(dr_render_options){0}, want.data);
    /* An empty list is no tools. */
    expect_prompt("{\"messages\":[{\"role\":\"system\",\"content\":\"S\",\"response_format\":{}},{\"role\":\"user\",\"content\":\"Q\"}],\"tools\":[]}",
                  &(dr_render_options){0}, BOS "S" USER "Q" ASST END_THINK);
    dr_buf_free(&want);
}

static void expect_hash(const dr_dialect *d, const char *messages, const dr_render_options *options, size_t n, const char *hash)
{
    dr_messages m;
    dr_prompt p;
    char hex[65];
    assert_int_equal(dr_messages_parse(&m, dr_str_of(messages), "messages", NULL), DR_OK);
    assert_int_equal(dr_dialect_render(d, &p, m.v, m.n, options, NULL), DR_OK);
    assert_int_equal(p.text.n, n);
    const dr_digest digest = dr_sha256(p.text.data, p.text.n);
    dr_digest_hex(hex, &digest);
    assert_string_equal(hex, hash);
    dr_prompt_free(&p);
    dr_messages_free(&m);
}

static void dialect__official_texts_give_the_official_hashes(void **state)
{
    (void)state;
    const char *dir = getenv("DR_OFFICIAL_MODEL");
    dr_dialect *d = NULL;
    dr_error err;
    if (!dir) { /* their sizes at least: 890 and 99 bytes around the schema, 476 in front */
        assert_int_equal(sizeof(BOS "SYS\n\n" SCHEMA USER "Q1" ASST THINK) - 1 + 890 + 99, 1169);
        assert_int_equal(sizeof SCHEMA - 1 + 890 + 99, 1097);
        assert_int_equal(sizeof(BOS "SYS" USER "Q1" ASST THINK) - 1 + 476, 546);
        return;
    }
    dr_buf path = {0}, python = {0};
    dr_import import = {0};
    dr_buf_printf(&path, "%s/encoding/encoding_dsv4.py", dir);
    if (dr_read_file(&python, path.data, 1 << 20, NULL) != DR_OK) {
        if (dr_dialect_open(&d, dir, &err) != DR_OK)
            fail_msg("%s", err.msg);
    } else if (dr_dialect_import(&import, dr_buf_view(&python), path.data, false, &err) != DR_OK ||
               dr_dialect_parse_file(&d, dr_buf_view(&import.json), path.data, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_import_fini(&import);
    dr_buf_free(&python);
    dr_buf_free(&path);
    expect_hash(d, vector_11, &(dr_render_options){.thinking = true}, 1169,
                "2dcfab2167aa87b05242f3092cf89820c23ba2f3904746c22c03d0f877e6366d");
    expect_hash(d, vector_12, &(dr_render_options){.thinking = true, .effort = "max"}, 546,
                "7b5804f6d124c5021ebefa2a29e10382ab209fa235cefaada691c3671ff258b2");
    dr_dialect_close(d);
}

#define MSG(role, content) "{\"role\":\"" role "\",\"content\":\"" content "\"}"
#define CALL(id, name, args) "{\"id\":\"" id "\",\"function\":{\"name\":\"" name "\",\"arguments\":\"" args "\"}}"
#define RESULT(id, content) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":" content "}"

static void dialect__results_follow_the_calls(void **state)
{
    (void)state;
    /* Unknown ids count as the first call; text stays where it stands. */
    expect_prompt("[" MSG("user", "Q") ",{\"role\":\"assistant\",\"tool_calls\":[" CALL("a", "f", "{}") "," CALL("b", "g", "{}") "]}," RESULT("b", "\"RB\"") "," MSG(
                      "user", "mid") "," RESULT("?", "\"RX\"") "," RESULT("a", "\"RA\"") "]",
                  &(dr_render_options){0},
                  BOS USER "Q" ASST END_THINK "\n\n<" D "tool_calls>\n<" D "invoke name=\"f\">\n\n</" D "invoke>\n<" D "invoke name=\"g\">\n\n</" D
                           "invoke>\n</" D "tool_calls>" EOS USER "<tool_result>RX</tool_result>\n\nmid\n\n<tool_result>RA</tool_result>\n\n"
                           "<tool_result>RB</tool_result>" ASST END_THINK);
    /* No ids among the calls: nothing is sorted. */
    expect_prompt("[" MSG("user", "Q") ",{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]}," RESULT(
                      "b", "\"RB\"") "," RESULT("a", "[{\"type\":\"text\",\"text\":\"p\"},{\"type\":\"image_url\"},{\"type\":\"text\",\"text\":\"q\"}]") "]",
                  &(dr_render_options){0},
                  BOS USER "Q" ASST END_THINK "x\n\n<" D "tool_calls>\n<" D "invoke name=\"f\">\n<" D
                           "parameter name=\"arguments\" string=\"true\">[1]</" D "parameter>\n</" D "invoke>\n</" D "tool_calls>" EOS USER
                           "<tool_result>RB</tool_result>\n\n<tool_result>p\n\n[Unsupported image_url]\n\nq</tool_result>" ASST END_THINK);
    /* A task closes its user turn for user messages, not for tool results. */
    expect_prompt("[{\"role\":\"user\",\"content\":\"Q\",\"task\":\"query\"}," MSG("user", "R") "]", &(dr_render_options){0},
                  BOS USER "Q" USER "R" ASST END_THINK);
}

static void dialect__arguments_keep_their_order_and_numbers(void **state)
{
    (void)state;
    expect_prompt("[" MSG("user", "Q") ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL(
                      "a", "f",
                      "{\\\"z\\\": 12345678901234567890123, \\\"a\\\":1.50,\\\"n\\\":null,\\\"z\\\":[1e2,{\\\"k\\\":\\\"\\\\u00e9\\\\n\\\"}],\\\"s\\\":\\\"l1\\\\nl2\\\"}") "]}]",
                  &(dr_render_options){0},
                  BOS USER "Q" ASST END_THINK "\n\n<" D "tool_calls>\n<" D "invoke name=\"f\">\n<" D
                           "parameter name=\"z\" string=\"false\">[100.0, {\"k\": \"\xc3\xa9\\n\"}]</" D "parameter>\n<" D
                           "parameter name=\"a\" string=\"false\">1.5</" D "parameter>\n<" D "parameter name=\"n\" string=\"false\">null</" D
                           "parameter>\n<" D "parameter name=\"s\" string=\"true\">l1\nl2</" D "parameter>\n</" D "invoke>\n</" D "tool_calls>" EOS);
}

/* Rendering in steps, each with what came before as context, gives the same as all at once when nothing is dropped. */
static void dialect__a_context_is_only_looked_at(void **state)
{
    (void)state;
    const char *json = "[" MSG("system", "S") "," MSG("user", "Q1") ",{\"role\":\"assistant\",\"content\":\"A1\",\"reasoning_content\":\"R1\","
                       "\"tool_calls\":[" CALL("a", "f", "{}") "," CALL("b", "g", "{}") "]}," RESULT("b", "\"RB\"") "," RESULT("a", "\"RA\"") ","
                       "{\"role\":\"assistant\",\"content\":\"A2\",\"reasoning_content\":\"R2\"}," MSG("user", "Q2") "]";
    static const size_t cuts[] = {2, 3, 5, 6, 7}; /* never between a message and its own generation marker */
    dr_messages m;
    dr_prompt whole, part;
    dr_buf joined = {0};
    dr_render_options options = {.thinking = true, .keep_reasoning = true, .effort = "max"};
    assert_int_equal(dr_messages_parse(&m, dr_str_of(json), "messages", NULL), DR_OK);
    assert_int_equal(dr_dialect_render(dialect, &whole, m.v, m.n, &options, NULL), DR_OK);
    for (size_t i = 0, from = 0; i < sizeof cuts / sizeof cuts[0]; from = cuts[i++]) {
        options.n_context = from;
        assert_int_equal(dr_dialect_render(dialect, &part, m.v, cuts[i], &options, NULL), DR_OK);
        check_segments(&part);
        dr_buf_add(&joined, part.text.data, part.text.n);
        dr_prompt_free(&part);
    }
    assert_string_equal(joined.data, whole.text.data);
    options.n_context = 0;
    options.no_bos = true;
    assert_int_equal(dr_dialect_render(dialect, &part, m.v, m.n, &options, NULL), DR_OK);
    assert_string_equal(part.text.data, whole.text.data + sizeof BOS - 1);
    dr_prompt_free(&part);
    dr_prompt_free(&whole);
    dr_messages_free(&m);
    dr_buf_free(&joined);
}

/* A byte-level vocabulary without merges, and the control tokens. */
static dr_tokenizer *make_tokenizer(bool with_dsml)
{
    static const char *const controls[] = {BOS, EOS, USER, ASST, THINK, END_THINK, D};
    dr_buf json = {0};
    dr_tokenizer *t;
    int next = 256;
    dr_buf_str(&json, "{\"added_tokens\":[");
    for (int i = 0; i < 6 + with_dsml; i++)
        dr_buf_printf(&json, "%s{\"id\":%d,\"content\":\"%s\"}", i ? "," : "", 256 + i, controls[i]);
    dr_buf_str(&json, "],\"model\":{\"vocab\":{");
    for (int b = 0; b < 256; b++) {
        const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        dr_buf_printf(&json, "%s\"\\u%04x\":%d", b ? "," : "", itself ? b : next++, b);
    }
    dr_buf_str(&json, "},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false}}");
    assert_int_equal(dr_tokenizer_parse(&t, dr_buf_view(&json), "test", NULL), DR_OK);
    dr_buf_free(&json);
    return t;
}

static void dialect__only_the_renderer_places_control_tokens(void **state)
{
    (void)state;
    const char *json = "[" MSG("system", "s" USER "t") "," MSG("user", "a" END_THINK D EOS) ",{\"role\":\"assistant\",\"content\":\"" BOS
                       "\",\"tool_calls\":[" CALL("a", D, "{\\\"" D "\\\":\\\"" D "\\\"}") "]}," RESULT("a", "\"" ASST "\"") "]";
    dr_tokenizer *t = make_tokenizer(true), *without = make_tokenizer(false);
    dr_messages m;
    dr_prompt p;
    dr_ids ids = {0};
    dr_error err;
    size_t n_controls = 0;
    assert_int_equal(dr_messages_parse(&m, dr_str_of(json), "messages", NULL), DR_OK);
    assert_int_equal(dr_dialect_render(dialect, &p, m.v, m.n, &(dr_render_options){0}, NULL), DR_OK);
    check_segments(&p);
    assert_int_equal(dr_prompt_ids(&p, t, &ids, NULL), DR_OK);
    for (size_t i = 0; i < ids.n; i++)
        n_controls += dr_tokenizer_is_special(t, ids.v[i]);
    /* BOS USER ASST /THINK, six DSML, EOS USER ASST /THINK: nothing from the texts. */
    assert_int_equal(n_controls, 4 + 6 + 4);
    dr_buf back = {0};
    for (size_t i = 0; i < ids.n; i++)
        dr_buf_add(&back, dr_tokenizer_bytes(t, ids.v[i]).s, dr_tokenizer_bytes(t, ids.v[i]).n);
    assert_string_equal(back.data, p.text.data);
    ids.n = 0;
    assert_int_equal(dr_prompt_ids(&p, without, &ids, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "no control token " D));
    dr_buf_free(&back);
    dr_ids_free(&ids);
    dr_prompt_free(&p);
    dr_messages_free(&m);
    dr_tokenizer_close(t);
    dr_tokenizer_close(without);
}

static void dialect__bad_messages_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"1", "a list of messages"},
        {"{\"messages\":1}", "a list of messages"},
        {"[1]", "message 0 is not an object"},
        {"[" MSG("user", "a") ",{}]", "message 1: role"},
        {"[" MSG("boss", "a") "]", "message 0: role"},
        {"[{\"role\":\"user\"}]", "message 0: content: missing"},
        {"[{\"role\":\"user\",\"content\":null}]", "message 0: content: missing"},
        {"[{\"role\":\"user\",\"content\":[]}]", "message 0: content: a text"},
        {"[{\"role\":\"tool\",\"content\":[{}]}]", "a part without a type"},
        {"[{\"role\":\"user\",\"content\":\"a\",\"task\":\"dance\"}]", "message 0: task"},
        {"[{\"role\":\"system\",\"content\":\"a\",\"tools\":{}}]", "message 0: tools"},
        {"[{\"role\":\"assistant\",\"tool_calls\":{}}]", "tool_calls: a list"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "without a function"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":\"\"}}]}]", "without a name"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}]", "without arguments"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}]", "arguments: a text"},
        {"{\"messages\":[],\"tools\":1}", "tools: a list"},
        {"{\"messages\":[{\"role\":\"system\",\"tools\":[1]}],\"tools\":[1]}", "both beside"},
        {"[", "line 1"},
    };
    static const struct {
        const char *json, *effort, *says;
        dr_status st;
    } renders[] = {
        {"[{\"role\":\"system\",\"content\":\"a\",\"tools\":[1]}]", NULL, "no \"function\" object", DR_ERR_FORMAT},
        {"[{\"role\":\"developer\",\"content\":\"\"}]", NULL, "developer", DR_ERR_FORMAT},
        {"[" MSG("user", "a") "]", "most", "it has: none, high, max", DR_ERR_ARG},
    };
    dr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dr_messages m;
        assert_int_equal(dr_messages_parse(&m, dr_str_of(cases[i].json), "file", &err), DR_ERR_FORMAT);
        if (!strstr(err.msg, cases[i].says))
            print_message("case %zu: %s\n", i, err.msg);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_null(m.storage);
    }
    for (size_t i = 0; i < sizeof renders / sizeof renders[0]; i++) {
        dr_messages m;
        dr_prompt p;
        assert_int_equal(dr_messages_parse(&m, dr_str_of(renders[i].json), "file", &err), DR_OK);
        assert_int_equal(dr_dialect_render(dialect, &p, m.v, m.n, &(dr_render_options){.effort = renders[i].effort}, &err), renders[i].st);
        assert_non_null(strstr(err.msg, renders[i].says));
        assert_null(p.text.data);
        dr_messages_free(&m);
    }
}

static void dialect__bad_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"[]", "\"format\": 1"},
        {"{\"format\":2}", "\"format\": 1"},
        {"{\"format\":1}", "\"tools_head\" is not a text"},
        {"{\"format\":1,\"tools_head\":\"\"}", "\"tools_tail\" is not a text"},
        {"{\"format\":1,\"tools_head\":\"\",\"tools_tail\":\"\"}", "\"effort\" is not"},
        {"{\"format\":1,\"tools_head\":\"\",\"tools_tail\":\"\",\"effort\":{\"max\":1}}", "effort \"max\" is not a text"},
        {"{\"format\":1,\"tools_heads\":\"\"}", "unknown key \"tools_heads\""},
    };
    dr_dialect *d;
    dr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(dr_dialect_parse_file(&d, dr_str_of(cases[i].json), "file", &err), DR_ERR_FORMAT);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_null(d);
    }
    assert_int_equal(dr_dialect_open(&d, "tests/golden", &err), DR_ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "docs/model-folder.md"));
}

/* ---- completions ---- */

static char *parse(const char *completion, bool thinking)
{
    dr_buf out = {0};
    dr_json_doc doc;
    assert_int_equal(dr_dialect_parse(dialect, &out, dr_str_of(completion), thinking, NULL), DR_OK);
    assert_int_equal(dr_json_parse(&doc, dr_buf_view(&out), "result", NULL), DR_OK);
    dr_json_free(&doc);
    return out.data;
}

static void expect_parse(const char *completion, bool thinking, const char *want)
{
    char *got = parse(completion, thinking);
    assert_string_equal(got, want);
    free(got);
}

#define INVOKE(name, parameters) "<" D "invoke name=\"" name "\">\n" parameters "\n</" D "invoke>\n"
#define PARAMETER(key, string, value) "<" D "parameter name=\"" key "\" string=\"" string "\">" value "</" D "parameter>"
#define CALLS(invokes) "\n\n<" D "tool_calls>\n" invokes "</" D "tool_calls>"

static void dialect__completions_are_read_back(void **state)
{
    (void)state;
    expect_parse("A1" EOS, false, "{\"content\": \"A1\", \"reasoning_content\": \"\", \"tool_calls\": [], \"finish\": \"stop\", \"malformed\": null}");
    expect_parse("A1", false, "{\"content\": \"A1\", \"reasoning_content\": \"\", \"tool_calls\": [], \"finish\": \"length\", \"malformed\": null}");
    expect_parse("R" END_THINK "A" EOS, true,
                 "{\"content\": \"A\", \"reasoning_content\": \"R\", \"tool_calls\": [], \"finish\": \"stop\", \"malformed\": null}");
    expect_parse("R" END_THINK CALLS(INVOKE("f", PARAMETER("s", "true", "x\"\n") "\n" PARAMETER("n", "false", "3") "\n" PARAMETER("l", "false", "[1, \"\xc3\xa9\"]"))
                                         INVOKE("g", "")) EOS,
                 true,
                 "{\"content\": \"\", \"reasoning_content\": \"R\", \"tool_calls\": [{\"name\": \"f\", \"arguments\": \"{\\\"s\\\": \\\"x\\\\\\\"\\\\n\\\", "
                 "\\\"n\\\": 3, \\\"l\\\": [1, \\\"\xc3\xa9\\\"]}\"}, {\"name\": \"g\", \"arguments\": \"{}\"}], \"finish\": \"stop\", \"malformed\": null}");
    expect_parse("C" CALLS("") EOS, false,
                 "{\"content\": \"C\", \"reasoning_content\": \"\", \"tool_calls\": [], \"finish\": \"stop\", \"malformed\": null}");
    expect_parse("bad \xff byte" EOS, false,
                 "{\"content\": \"bad \xef\xbf\xbd byte\", \"reasoning_content\": \"\", \"tool_calls\": [], \"finish\": \"stop\", \"malformed\": null}");
    expect_parse("", false, "{\"content\": \"\", \"reasoning_content\": \"\", \"tool_calls\": [], \"finish\": \"length\", \"malformed\": null}");
}

static const char full_call[] = "R" END_THINK "C" CALLS(INVOKE("f", PARAMETER("s", "true", "a</x>b") "\n" PARAMETER("n", "false", "[3]"))
                                                             INVOKE("g", "")) EOS;

static void dialect__malformed_completions_give_raw_text_and_no_call(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool thinking;
        const char *says;
    } cases[] = {
        {"R" EOS, true, "the reasoning does not end"},
        {"R" CALLS("") END_THINK "A" EOS, true, "text after the block"},
        {"A<" D "tool_calls>\n</" D "tool_calls>" EOS, false, "a control token"},
        {"A\n<" D "toolcalls>\n" INVOKE("f", "") "</" D "toolcalls>" EOS, false, "a control token"},
        {"A\n\n<" D "invoke name=\"f\">\n\n</" D "invoke>" EOS, false, "a control token"},
        {CALLS(INVOKE("", "")) EOS, false, "a call without a name"},
        {CALLS(INVOKE("f", PARAMETER("a", "true", "1"))) "\n" EOS, false, "text after the block"},
        {"\n\n<" D "tool_calls>\n" INVOKE("f", ""), false, "the block of calls does not end"},
        {"\n\n<" D "tool_calls>\n" EOS, false, "the block of calls does not end"},
        {"A" THINK EOS, false, "a control token"},
        {"A" END_THINK EOS, false, "a control token"},
        {"A" BOS "R" END_THINK "A" EOS, true, "a control token"},
        {"A" EOS "more", false, "text after the end"},
        {CALLS("") "more" EOS, false, "text after the block"},
        {CALLS("x"), false, "text between calls"},
        {"\n\n<" D "tool_calls", false, "the block of calls does not end"},
        {CALLS("<" D "invoke name=\"f\">\n"), false, "a call does not end"},
        {CALLS("<" D "invoke nam=\"f\">\n\n</" D "invoke>\n"), false, "a call without a name"},
        {CALLS("<" D "invoke name=\"f\">\n\n\n</" D "invoke>\n"), false, "a call's name"},
        {CALLS("<" D "invoke name=\"f\"></" D "invoke>\n"), false, "a call's name"},
        {CALLS(INVOKE("f", PARAMETER("a", "maybe", "1"))) EOS, false, "whether it is a string"},
        {CALLS(INVOKE("f", PARAMETER("a", "true", "1") PARAMETER("b", "true", "1"))) EOS, false, "text between parameters"},
        {CALLS(INVOKE("f", PARAMETER("a", "true", "1") "\n" PARAMETER("a", "true", "1"))) EOS, false, "stands twice"},
        {CALLS(INVOKE("f", "<" D "parameter name=\"a\" string=\"true\">1")) EOS, false, "a parameter does not end"},
        {CALLS(INVOKE("f", "<" D "parameter  name=\"a\" string=\"true\">1</" D "parameter>")) EOS, false, "a parameter is not written"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dr_completion c;
        const dr_str text = dr_str_of(cases[i].text);
        assert_int_equal(dr_completion_parse(&c, text, cases[i].thinking, NULL), DR_OK);
        if (!c.malformed || !strstr(c.malformed, cases[i].says))
            print_message("case %zu: %s\n", i, c.malformed ? c.malformed : "accepted");
        assert_non_null(c.malformed);
        assert_non_null(strstr(c.malformed, cases[i].says));
        assert_true(dr_str_eq(c.content, text));
        assert_int_equal(c.reasoning.n, 0);
        assert_int_equal(c.n_calls, 0);
        dr_completion_free(&c);
    }
}

/* Cut anywhere, a completion never yields a call its block has not closed. */
static void dialect__a_cut_completion_invents_no_call(void **state)
{
    (void)state;
    const size_t n = sizeof full_call - 1, closed = n - (sizeof EOS - 1);
    for (size_t cut = 0; cut <= n; cut++) {
        dr_completion c;
        char *exact = malloc(cut + 1); /* so that reading past the end is noticed */
        memcpy(exact, full_call, cut);
        assert_int_equal(dr_completion_parse(&c, (dr_str){exact, cut}, true, NULL), DR_OK);
        assert_int_equal(c.n_calls, cut == closed || cut == n ? 2 : 0);
        assert_int_equal(c.complete, cut == n);
        free(exact);
        dr_completion_free(&c);
    }
}

/* What is rendered for an assistant turn reads back as that turn. */
static void dialect__rendered_calls_read_back(void **state)
{
    (void)state;
    const char *json = "[" MSG("user", "Q") ",{\"role\":\"assistant\",\"content\":\"some text\",\"reasoning_content\":\"why\\n\",\"tool_calls\":[" CALL(
        "a", "f", "{\\\"path\\\": \\\"a b/<c>.py\\\", \\\"line\\\": 7, \\\"deep\\\": {\\\"k\\\": [true, null, \\\"\\\\n\\\"]}}") "," CALL("b", "g", "{}") "]}]";
    dr_messages m;
    dr_prompt p;
    dr_completion c;
    assert_int_equal(dr_messages_parse(&m, dr_str_of(json), "messages", NULL), DR_OK);
    assert_int_equal(dr_dialect_render(dialect, &p, m.v, m.n, &(dr_render_options){.thinking = true}, NULL), DR_OK);
    const char *completion = strstr(p.text.data, THINK) + sizeof THINK - 1;
    assert_int_equal(dr_completion_parse(&c, dr_str_of(completion), true, NULL), DR_OK);
    assert_null(c.malformed);
    assert_true(c.complete);
    assert_true(dr_str_eq(c.content, m.v[1].content));
    assert_true(dr_str_eq(c.reasoning, m.v[1].reasoning));
    assert_int_equal(c.n_calls, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(dr_str_eq(c.calls[i].name, m.v[1].calls[i].name));
        assert_true(dr_str_eq(c.calls[i].arguments, m.v[1].calls[i].arguments));
    }
    dr_completion_free(&c);
    dr_prompt_free(&p);
    dr_messages_free(&m);
}

/* The arguments as they read back: an object in the official layout; anything else as one text (5.1). */
static void expect_arguments(dr_str got, dr_str sent)
{
    dr_json_doc doc = {0};
    dr_buf want = {0};
    if (dr_json_parse(&doc, sent, "arguments", NULL) == DR_OK && doc.root->type == DR_JSON_OBJECT)
        dr_json_write(&want, doc.root);
    else {
        dr_buf_str(&want, "{\"arguments\": ");
        dr_json_write_string(&want, sent);
        dr_buf_str(&want, "}");
    }
    assert_true(dr_str_eq(got, dr_buf_view(&want)));
    dr_json_free(&doc);
    dr_buf_free(&want);
}

/* Every assistant turn of the vectors, rendered with its reasoning and read back. */
static void dialect__vectors_read_back(void **state)
{
    (void)state;
    dr_buf file = {0}, messages = {0};
    dr_json_doc doc;
    int n_turns = 0, n_calls = 0;
    assert_int_equal(dr_read_file(&file, GOLDEN "/vectors.json", 1 << 20, NULL), DR_OK);
    assert_int_equal(dr_json_parse(&doc, dr_buf_view(&file), "vectors", NULL), DR_OK);
    for (const dr_json *v = dr_json_first(doc.root), *end = dr_json_end(doc.root); v != end; v = dr_json_after(v)) {
        dr_messages m;
        dr_prompt p;
        dr_buf_clear(&messages);
        dr_json_write(&messages, dr_json_get(v, "messages"));
        assert_int_equal(dr_messages_parse(&m, dr_buf_view(&messages), "messages", NULL), DR_OK);
        assert_int_equal(dr_dialect_render(dialect, &p, m.v, m.n, &(dr_render_options){.thinking = true, .keep_reasoning = true}, NULL), DR_OK);
        const char *at = p.text.data;
        for (size_t i = 0; i < m.n; i++) {
            dr_completion c;
            if (m.v[i].role != DR_ASSISTANT)
                continue;
            assert_non_null(at = strstr(at, ASST THINK));
            at += sizeof ASST THINK - 1;
            const char *eos = strstr(at, EOS);
            const size_t n = eos ? (size_t)(eos - at) + sizeof EOS - 1 : strlen(at);
            assert_int_equal(dr_completion_parse(&c, (dr_str){at, n}, true, NULL), DR_OK);
            assert_null(c.malformed);
            assert_int_equal(c.complete, !m.v[i].wo_eos);
            assert_true(dr_str_eq(c.content, m.v[i].content));
            assert_true(dr_str_eq(c.reasoning, m.v[i].reasoning));
            assert_int_equal(c.n_calls, m.v[i].n_calls);
            for (size_t k = 0; k < c.n_calls; k++, n_calls++) {
                assert_true(dr_str_eq(c.calls[k].name, m.v[i].calls[k].name));
                expect_arguments(c.calls[k].arguments, m.v[i].calls[k].arguments);
            }
            dr_completion_free(&c);
            n_turns++;
        }
        dr_prompt_free(&p);
        dr_messages_free(&m);
    }
    assert_int_equal(n_turns, 10);
    assert_int_equal(n_calls, 4);
    dr_json_free(&doc);
    dr_buf_free(&messages);
    dr_buf_free(&file);
}

static void dialect__failed_allocations_are_reported(void **state)
{
    (void)state;
    dr_tokenizer *t = make_tokenizer(true);
    dr_buf tools = {0}, file = {0};
    assert_int_equal(dr_read_file(&file, GOLDEN "/dialect.json", 1 << 20, NULL), DR_OK);
    dr_buf_printf(&tools, "{\"messages\":[" MSG("user", "Q") ",{\"role\":\"assistant\",\"tool_calls\":[" CALL("a", "f", "{\\\"x\\\":[1]}") "," CALL(
                               "b", "f", "x") "]}," RESULT("b", "[{\"type\":\"text\",\"text\":\"p\"}]") "," RESULT("a", "\"RA\"") "],\"tools\":[{\"function\":{\"n\":1.5}}]}");
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_dialect *d = NULL;
        dr_messages m = {0};
        dr_prompt p = {0};
        dr_ids ids = {0};
        dr_buf json = {0};
        dr_error err = {0};
        alloc_fail_at(at);
        dr_status st = dr_dialect_parse_file(&d, dr_buf_view(&file), "file", &err);
        if (st == DR_OK)
            st = dr_messages_parse(&m, dr_buf_view(&tools), "messages", &err);
        if (st == DR_OK)
            st = dr_dialect_render(d, &p, m.v, m.n, &(dr_render_options){.thinking = true}, &err);
        if (st == DR_OK)
            st = dr_prompt_ids(&p, t, &ids, &err);
        if (st == DR_OK)
            st = dr_dialect_parse(d, &json, (dr_str){full_call, sizeof full_call - 1}, true, &err);
        failed = alloc_fail_off();
        if (st != (failed ? DR_ERR_NOMEM : DR_OK))
            print_message("allocation %ld: %s\n", at, err.msg);
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        dr_buf_free(&json);
        dr_ids_free(&ids);
        dr_prompt_free(&p);
        dr_messages_free(&m);
        dr_dialect_close(d);
    }
    dr_buf_free(&file);
    dr_buf_free(&tools);
    dr_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialect__renders_the_official_vectors),
        cmocka_unit_test(dialect__tools_and_effort_stand_where_they_were_trained),
        cmocka_unit_test(dialect__official_texts_give_the_official_hashes),
        cmocka_unit_test(dialect__results_follow_the_calls),
        cmocka_unit_test(dialect__arguments_keep_their_order_and_numbers),
        cmocka_unit_test(dialect__a_context_is_only_looked_at),
        cmocka_unit_test(dialect__only_the_renderer_places_control_tokens),
        cmocka_unit_test(dialect__bad_messages_are_named),
        cmocka_unit_test(dialect__bad_files_are_named),
        cmocka_unit_test(dialect__completions_are_read_back),
        cmocka_unit_test(dialect__malformed_completions_give_raw_text_and_no_call),
        cmocka_unit_test(dialect__a_cut_completion_invents_no_call),
        cmocka_unit_test(dialect__rendered_calls_read_back),
        cmocka_unit_test(dialect__vectors_read_back),
        cmocka_unit_test(dialect__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, open_dialect, close_dialect);
}
