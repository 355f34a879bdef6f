/* The streaming reader: the same events however the bytes are cut, what is tolerated and what is not, and thousands of damaged
 * completions against a parser that goes by the letter (strict_completion.h). */
#include "engine/dialect_parts.h"
#include "engine/dialect_stream.h"
#include "engine/unicode.h"
#include "tests/engine/strict_completion.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define D DR_LITERAL_DSML
#define BOS DR_LITERAL_BOS
#define EOS DR_LITERAL_EOS
#define THINK DR_LITERAL_THINK
#define END_THINK DR_LITERAL_END_THINK
#define INVOKE(name, parameters) "<" D "invoke name=\"" name "\">\n" parameters "\n</" D "invoke>\n"
#define PARAMETER(key, string, value) "<" D "parameter name=\"" key "\" string=\"" string "\">" value "</" D "parameter>"
#define CALLS(invokes) "\n\n<" D "tool_calls>\n" invokes "</" D "tool_calls>"
#define CALL_F INVOKE("f", PARAMETER("s", "true", "x"))

static const dr_str tools[] = {DR_STR("f"), DR_STR("g")};

/* ---- reading into one transcript ---- */

typedef struct found_call {
    size_t at, n;
    dr_str name, arguments; /* in transcript.calls_text */
    size_t name_at, arguments_at;
} found_call;

/* The events with neighbours of one kind joined, one after the other: a letter, the length, ':', the text. */
typedef struct transcript {
    dr_buf events;
    dr_buf reasoning, content, calls_text;
    found_call *calls; /* ended ones, withdrawn or not */
    size_t n_calls, cap;
    const char *malformed;
    bool complete, finished;
} transcript;

typedef struct collector {
    transcript *out;
    dr_buf joined;
    dr_completion_event_kind kind;
    bool any;
    dr_buf name, arguments; /* as the pieces told them */
    bool utf8; /* the input is, so every text has to be */
} collector;

static void close_run(collector *c)
{
    if (c->any)
        dr_buf_printf(&c->out->events, "%c%zu:%s\n", "RCNAEMF"[c->kind], c->joined.n, "");
    if (c->any && c->joined.n)
        dr_buf_add(&c->out->events, c->joined.data, c->joined.n);
    dr_buf_clear(&c->joined);
    c->any = false;
}

static void add_found(transcript *t, const collector *c, const dr_completion_event *e)
{
    if (t->n_calls == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 8;
        t->calls = realloc(t->calls, t->cap * sizeof *t->calls);
        assert_non_null(t->calls);
    }
    found_call *f = &t->calls[t->n_calls++];
    *f = (found_call){.at = e->at, .n = e->n, .name_at = t->calls_text.n, .name.n = c->name.n, .arguments.n = e->text.n};
    dr_buf_add(&t->calls_text, c->name.data, c->name.n);
    f->arguments_at = t->calls_text.n;
    dr_buf_add(&t->calls_text, e->text.s, e->text.n);
}

static void take_event(collector *c, const dr_completion_event *e)
{
    transcript *t = c->out;

    assert_false(t->finished);
    if (c->utf8)
        assert_int_equal(dr_utf8_prefix(e->text.s, e->text.n), e->text.n);
    if (c->any && (e->kind != c->kind || e->kind > DR_COMPLETION_ARGUMENTS || e->kind == DR_COMPLETION_CALL))
        close_run(c);
    c->any = true;
    c->kind = e->kind;
    dr_buf_add(&c->joined, e->text.s, e->text.n);
    switch (e->kind) {
    case DR_COMPLETION_REASONING:
        assert_null(t->malformed);
        dr_buf_add(&t->reasoning, e->text.s, e->text.n);
        break;
    case DR_COMPLETION_CONTENT: dr_buf_add(&t->content, e->text.s, e->text.n); break;
    case DR_COMPLETION_CALL:
        assert_null(t->malformed);
        dr_buf_clear(&c->name);
        dr_buf_clear(&c->arguments);
        dr_buf_add(&c->name, e->text.s, e->text.n);
        break;
    case DR_COMPLETION_ARGUMENTS: dr_buf_add(&c->arguments, e->text.s, e->text.n); break;
    case DR_COMPLETION_CALL_END:
        assert_null(t->malformed);
        assert_true(dr_str_eq(dr_buf_view(&c->arguments), e->text)); /* the pieces are the whole */
        dr_buf_printf(&c->joined, "@%zu+%zu", e->at, e->n);
        add_found(t, c, e);
        break;
    case DR_COMPLETION_MALFORMED:
        assert_null(t->malformed);
        t->malformed = e->text.s;
        break;
    case DR_COMPLETION_FINISH:
        t->finished = true;
        t->complete = e->complete;
        dr_buf_str(&c->joined, e->complete ? "stop" : "length");
        break;
    }
}

static void take_events(collector *c, dr_completion_reader *r)
{
    dr_completion_event e;
    while (dr_completion_next(r, &e))
        take_event(c, &e);
}

/* cuts: ascending places inside the text. step > 0: a cut every so many bytes as well. */
static void read_cut(transcript *out, dr_str text, bool thinking, bool with_tools, const size_t *cuts, size_t n_cuts, size_t step)
{
    const dr_completion_options options = {.thinking = thinking, .tools = tools, .n_tools = with_tools ? 2 : 0};
    collector c = {.out = out, .utf8 = dr_utf8_prefix(text.s, text.n) == text.n};
    dr_completion_reader *r;

    *out = (transcript){0};
    assert_int_equal(dr_completion_reader_new(&r, &options, NULL), DR_OK);
    for (size_t at = 0, cut = 0; at < text.n;) {
        size_t n = step ? step : text.n;
        if (cut < n_cuts)
            n = cuts[cut++] - at;
        n = n < text.n - at ? n : text.n - at;
        char *piece = malloc(n ? n : 1); /* so that reading past it, or later, is noticed */
        memcpy(piece, text.s + at, n);
        assert_int_equal(dr_completion_feed(r, (dr_str){piece, n}, DR_PIECE_BYTES, NULL), DR_OK);
        free(piece);
        take_events(&c, r);
        at += n;
    }
    assert_int_equal(dr_completion_end(r, NULL), DR_OK);
    take_events(&c, r);
    close_run(&c);
    assert_true(out->finished);
    for (size_t i = 0; i < out->n_calls; i++) {
        out->calls[i].name.s = out->calls_text.data + out->calls[i].name_at;
        out->calls[i].arguments.s = out->calls_text.data + out->calls[i].arguments_at;
    }
    dr_buf_free(&c.joined);
    dr_buf_free(&c.name);
    dr_buf_free(&c.arguments);
    dr_completion_reader_free(r);
}

static void transcript_free(transcript *t)
{
    dr_buf_free(&t->events);
    dr_buf_free(&t->reasoning);
    dr_buf_free(&t->content);
    dr_buf_free(&t->calls_text);
    free(t->calls);
}

static void expect_same(const transcript *whole, dr_str text, bool thinking, bool with_tools, const size_t *cuts, size_t n_cuts, size_t step)
{
    transcript t;
    read_cut(&t, text, thinking, with_tools, cuts, n_cuts, step);
    if (!dr_str_eq(dr_buf_view(&t.events), dr_buf_view(&whole->events)))
        fail_msg("cut at %zu and %zu, every %zu:\n%s\n---\n%s\n---\n%s", n_cuts ? cuts[0] : 0, n_cuts > 1 ? cuts[1] : 0, step, text.s,
                 whole->events.data, t.events.data);
    transcript_free(&t);
}

static void cut_everywhere(const char *s, size_t n, bool thinking, bool with_tools)
{
    enum { PAIRS = 180 };
    const dr_str text = {s, n};
    transcript whole;
    size_t cuts[2];

    read_cut(&whole, text, thinking, with_tools, NULL, 0, 0);
    for (cuts[0] = 0; cuts[0] <= n; cuts[0]++)
        expect_same(&whole, text, thinking, with_tools, cuts, 1, 0);
    for (cuts[0] = 0; cuts[0] <= n && n <= PAIRS; cuts[0]++)
        for (cuts[1] = cuts[0]; cuts[1] <= n; cuts[1]++)
            expect_same(&whole, text, thinking, with_tools, cuts, 2, 0);
    for (size_t step = 1; step <= 8; step++)
        expect_same(&whole, text, thinking, with_tools, NULL, 0, step);
    transcript_free(&whole);
}

/* ---- the completions ---- */

typedef struct sample {
    const char *text;
    bool thinking;
    int n_calls;               /* -1: malformed */
    const char *says;          /* what is wrong, or the content */
} sample;

static const sample well_formed[] = {
    {"", false, 0, ""},
    {"A1" EOS, false, 0, "A1"},
    {"R" END_THINK "A1" EOS, true, 0, "A1"},
    {END_THINK EOS, true, 0, ""},
    {"a < b <\n<t> \n\n\n<｜D \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82" EOS, false, 0, "a < b <\n<t> \n\n\n<｜D \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82"},
    {"half \xf0\x9f\x99 utf8 \xff\xc3" EOS, false, 0, "half \xf0\x9f\x99 utf8 \xff\xc3"},
    {"C\n" CALLS(CALL_F) EOS, false, 1, "C\n"},
    {"R" END_THINK "C" CALLS(CALL_F INVOKE("g", "")) EOS, true, 2, "C"},
    {CALLS("") EOS, false, 0, ""},
    {CALLS(INVOKE("f", PARAMETER("a\" b", "true", "l1\nl2</x></" "\xef\xbd\x9c" "DSM</" D "param <" D "invoke name=\"g\">") "\n" PARAMETER(
         "n", "false", "[1, {\"k\": null}]") "\n" PARAMETER("e", "true", ""))) EOS,
     false, 1, ""},
    {"Why, because.\n" END_THINK "Looking." CALLS(INVOKE("f", PARAMETER("path", "true", "src/a b.c") "\n" PARAMETER("line", "false", "12"))
                                                   INVOKE("g", "") INVOKE("f", PARAMETER("old", "true", "int x;\n\n\treturn x;\n") "\n" PARAMETER(
                                                       "new", "true", "<T> y\xe2\x80\x94\n"))) EOS,
     true, 3, "Looking."},
    {CALLS(INVOKE("f", PARAMETER("s", "true", "\xc3\xa9\"\\\x01\xff\xe2\x82 " EOS END_THINK))) EOS, false, 1, ""},
};

static const sample tolerated[] = {
    {"R" CALLS(CALL_F) EOS, true, 1, ""},                                                                        /* T1 */
    {"C\n<" D "tool_calls>\n" CALL_F "</" D "tool_calls>" EOS, false, 1, "C"},                                   /* T2 */
    {"R\n<" D "tool_calls>\n" CALL_F "</" D "tool_calls>" EOS, true, 1, ""},                                     /* T1 T2 */
    {CALLS("\n \t\n" CALL_F "\n\n " INVOKE("g", "") "\n") EOS, false, 2, ""},                                     /* T3 */
    {"\n\n<" D "tool_calls>\n" CALL_F EOS, false, 1, ""},                                                        /* T4 */
    {"R", true, 0, ""},                                                                                           /* T6 */
    {"C\n\n<\xef\xbd\x9c" "DS", false, 0, "C\n\n<\xef\xbd\x9c" "DS"},
    {CALLS(CALL_F), false, 1, ""},
};

/* T5: with the tools' names, and malformed without. */
static const sample with_names[] = {
    {"C\n\n<" D "toolcalls>\n" CALL_F "</" D "toolcalls>" EOS, false, 1, "C"},
    {"R\n\n<" D "function_calls>\n" CALL_F "</" D "tool_calls>" EOS, true, 1, ""},
    {"C\n\n" CALL_F INVOKE("g", "") EOS, false, 2, "C"},
    {"C\n\n" CALL_F "</" D "tool_calls>" EOS, false, 1, "C"},
    {"\n\n<" D "tool_calls>\n" CALL_F "</" D "function_calls>" EOS, false, 1, ""},
};

static const sample refused[] = {
    {"R" EOS, true, -1, "the reasoning does not end"},
    {"Write <" D "tool_calls> like this" EOS, false, -1, "a control token"},
    {"R <" D "tool_calls>", true, -1, "a control token"},
    {"C\n\n<" D "\xef\xbd\x9ctool_calls>\n" CALL_F "</" D "tool_calls>" EOS, false, -1, "a control token"},
    {"C\n\n<\xef\xbd\x9c" D "tool_calls>\n" CALL_F "</" D "tool_calls>" EOS, false, -1, "a control token"},
    {CALLS("<" D "invoke name=\xe2\x80\x9c" "f\xe2\x80\x9d>\n\n</" D "invoke>\n") EOS, false, -1, "a call without a name"},
    {CALLS(INVOKE("f", PARAMETER("s", "true", "x") "</parameter>")) EOS, false, -1, "text between parameters"},
    {CALLS(INVOKE("f", "<" D "parameter name=\"s\" string=\"true\">x</parameter>")) EOS, false, -1, "a parameter does not end"},
    {CALLS(CALL_F) EOS EOS, false, -1, "text after the end"},
    {"C\n\n<" D "tool_calls>\n" INVOKE("h", "") CALL_F, false, -1, "the block of calls does not end"},
};

static void check_sample(const sample *s, bool with_tools)
{
    transcript t;
    read_cut(&t, dr_str_of(s->text), s->thinking, with_tools, NULL, 0, 0);
    if (s->n_calls < 0) {
        if (!t.malformed || !strstr(t.malformed, s->says))
            fail_msg("%s\n---\n%s", s->text, t.events.data);
    } else {
        if (t.malformed || t.n_calls != (size_t)s->n_calls || !dr_str_eq(dr_buf_view(&t.content), dr_str_of(s->says)))
            fail_msg("%s\n---\n%s", s->text, t.events.data);
    }
    transcript_free(&t);
}

#define N(array) (sizeof(array) / sizeof *(array))
#define EACH(s, array) for (const sample *s = array; s < array + N(array); s++)

static void dialect_stream__reads_what_is_well_formed_and_what_is_tolerated(void **state)
{
    (void)state;
    for (int with_tools = 0; with_tools < 2; with_tools++) {
        EACH(s, well_formed) check_sample(s, with_tools);
        EACH(s, tolerated) check_sample(s, with_tools);
        EACH(s, refused) check_sample(s, with_tools);
    }
    EACH(s, with_names) {
        check_sample(s, true);
        const sample without = {s->text, s->thinking, -1, ""};
        check_sample(&without, false);
    }
    /* Another block only for calls to tools that exist. */
    check_sample(&(sample){"C\n\n<" D "toolcalls>\n" INVOKE("h", "") "</" D "toolcalls>" EOS, false, -1, "no known tool"}, true);
    check_sample(&(sample){"C\n\n" CALL_F INVOKE("h", "") EOS, false, -1, "no known tool"}, true);
}

static void dialect_stream__a_cut_changes_nothing(void **state)
{
    (void)state;
    EACH(s, well_formed) cut_everywhere(s->text, strlen(s->text), s->thinking, false);
    EACH(s, tolerated) cut_everywhere(s->text, strlen(s->text), s->thinking, false);
    EACH(s, refused) cut_everywhere(s->text, strlen(s->text), s->thinking, true);
    EACH(s, with_names) cut_everywhere(s->text, strlen(s->text), s->thinking, true);
}

/* Every completion that stands in the official vectors: from a generation marker to EOS, or to the end. */
typedef void vector_completion(dr_str text, bool thinking, void *arg);
static int each_vector(vector_completion *take, void *arg)
{
    dr_buf file = {0};
    dr_json_doc doc;
    int n = 0;

    assert_int_equal(dr_read_file(&file, "tests/golden/dialect/vectors.json", 1 << 20, NULL), DR_OK);
    assert_int_equal(dr_json_parse(&doc, dr_buf_view(&file), "vectors", NULL), DR_OK);
    for (const dr_json *v = dr_json_first(doc.root), *end = dr_json_end(doc.root); v != end; v = dr_json_after(v)) {
        const dr_str prompt = dr_json_text(dr_json_get(v, "prompt"));
        const char *at = prompt.s, *const prompt_end = prompt.s + prompt.n;
        while ((at = memmem(at, (size_t)(prompt_end - at), DR_LITERAL_ASSISTANT, strlen(DR_LITERAL_ASSISTANT)))) {
            at += strlen(DR_LITERAL_ASSISTANT);
            const bool thinking = memcmp(at, THINK, strlen(THINK)) == 0;
            at += thinking ? strlen(THINK) : strlen(END_THINK);
            const char *eos = memmem(at, (size_t)(prompt_end - at), EOS, strlen(EOS));
            const char *stop = eos ? eos + strlen(EOS) : prompt_end;
            take((dr_str){at, (size_t)(stop - at)}, thinking, arg);
            n++;
        }
    }
    dr_json_free(&doc);
    dr_buf_free(&file);
    return n;
}

static void cut_vector(dr_str text, bool thinking, void *arg)
{
    (void)arg;
    cut_everywhere(text.s, text.n, thinking, false);
}

static void dialect_stream__vectors_cut_at_every_byte(void **state)
{
    (void)state;
    assert_true(each_vector(cut_vector, NULL) >= 19);
}

/* ---- tokens ---- */

typedef struct token {
    const char *text;
    bool control;
} token;

static void read_tokens(transcript *out, const token *v, size_t n)
{
    const dr_completion_options options = {.thinking = true};
    collector c = {.out = out, .utf8 = true};
    dr_completion_reader *r;

    *out = (transcript){0};
    assert_int_equal(dr_completion_reader_new(&r, &options, NULL), DR_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(dr_completion_feed(r, dr_str_of(v[i].text), v[i].control ? DR_PIECE_CONTROL : DR_PIECE_TEXT, NULL), DR_OK);
        take_events(&c, r);
    }
    assert_int_equal(dr_completion_end(r, NULL), DR_OK);
    take_events(&c, r);
    close_run(&c);
    dr_buf_free(&c.joined);
    dr_buf_free(&c.name);
    dr_buf_free(&c.arguments);
    dr_completion_reader_free(r);
}

/* What the model writes in ordinary tokens is text, whatever it looks like. */
static void dialect_stream__quoted_markup_is_text(void **state)
{
    (void)state;
    static const token quoting[] = {{"It ends in </th", false}, {"ink>.", false}, {END_THINK, true}, {"Write:\n\n<" D "tool_calls>\n", false},
                                    {CALL_F, false}, {"</" D "tool_calls>" EOS BOS, false}, {DR_LITERAL_USER, true}, {EOS, true}};
    static const token calling[] = {{"R", false},  {END_THINK, true},          {"\n\n<", false},
                                    {D, true},     {"tool_calls>\n<", false},  {D, true},
                                    {"invoke name=\"f\">\n<", false},          {D, true},
                                    {"parameter name=\"s\" string=\"true\">a</" D "parameter>\n</", false}, {D, true},
                                    {"parameter>\n</", false},                 {D, true},
                                    {"invoke>\n</", false},                    {D, true},
                                    {"tool_calls>", false},                    {EOS, true}};
    transcript t;
    read_tokens(&t, quoting, N(quoting));
    assert_null(t.malformed);
    assert_true(t.complete);
    assert_int_equal(t.n_calls, 0);
    assert_string_equal(t.reasoning.data, "It ends in </think>.");
    assert_string_equal(t.content.data, "Write:\n\n<" D "tool_calls>\n" CALL_F "</" D "tool_calls>" EOS BOS DR_LITERAL_USER);
    transcript_free(&t);
    read_tokens(&t, calling, N(calling));
    assert_null(t.malformed);
    assert_int_equal(t.n_calls, 1);
    assert_non_null(strstr(t.calls_text.data, "{\"s\": \"a</" D "parameter>\\n\"}"));
    transcript_free(&t);
}

/* ---- damage ---- */

static uint64_t random_state;

static size_t below(size_t n)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return n ? (size_t)((z ^ z >> 31) % n) : 0;
}

/* No invented call: the bytes a call is said to stand in, put alone into a block, are well-formed and are that call. */
static void check_calls(const transcript *t, dr_str text)
{
    size_t from = 0;

    for (size_t i = 0; i < t->n_calls; i++) {
        const found_call *f = &t->calls[i];
        dr_buf alone = {0};
        strict_completion s;
        assert_true(f->at >= from && f->n <= text.n && f->at <= text.n - f->n);
        from = f->at + f->n;
        dr_buf_str(&alone, "\n\n<" D "tool_calls>\n");
        dr_buf_add(&alone, text.s + f->at, f->n);
        dr_buf_str(&alone, "\n</" D "tool_calls>" EOS);
        if (!strict_parse(&s, dr_buf_view(&alone), false) || s.n_calls != 1 || !dr_str_eq(s.calls[0].name, f->name) ||
            !dr_str_eq(dr_buf_view(&s.calls[0].arguments), f->arguments))
            fail_msg("call %zu is not in the text:\n%.*s", i, (int)text.n, text.s);
        strict_free(&s);
        dr_buf_free(&alone);
    }
}

static void check_against_strict(const transcript *t, dr_str text, bool thinking, int *n_well_formed)
{
    strict_completion s;

    if (strict_parse(&s, text, thinking)) {
        ++*n_well_formed;
        if (t->malformed || !t->complete || t->n_calls != s.n_calls || !dr_str_eq(dr_buf_view(&t->content), s.content) ||
            !dr_str_eq(dr_buf_view(&t->reasoning), s.reasoning))
            fail_msg("well-formed, and read as:\n%s\n---\n%.*s", t->events.data, (int)text.n, text.s);
        for (size_t i = 0; i < s.n_calls; i++)
            if (!dr_str_eq(t->calls[i].name, s.calls[i].name) || !dr_str_eq(t->calls[i].arguments, dr_buf_view(&s.calls[i].arguments)))
                fail_msg("call %zu differs:\n%.*s", i, (int)text.n, text.s);
    }
    strict_free(&s);
}

/* Nothing is lost: the reasoning starts the text, and what a malformed one leaves as content ends it, up to EOS. */
static void check_conserved(const transcript *t, dr_str text)
{
    const dr_str reasoning = dr_buf_view(&t->reasoning), content = dr_buf_view(&t->content);
    size_t n = text.n;

    assert_true(reasoning.n <= n && (reasoning.n == 0 || memcmp(text.s, reasoning.s, reasoning.n) == 0));
    if (t->malformed) {
        n -= t->complete ? strlen(EOS) : 0;
        assert_true(content.n <= n && (content.n == 0 || memcmp(text.s + n - content.n, content.s, content.n) == 0));
        const size_t between = n - content.n - reasoning.n;
        assert_true(between == 0 || between == strlen(END_THINK));
    } else
        assert_true(content.n == 0 || memmem(text.s, n, content.s, content.n));
}

static void damage(dr_buf *out, dr_str text)
{
    static const char *const pieces[] = {"\n", "\n\n", "<", "</", "/", D, EOS, BOS, THINK, END_THINK, "\xef\xbd", "\xbd\x9c", "\xf0\x9f", "\xff", "\"", ">",
                                         ">\n", "\r\n", " ", "tool_calls>", "toolcalls>", "function_calls>", "invoke name=\"g\">\n",
                                         "\n</" D "invoke>\n", "<" D "tool_calls>\n", "</" D "tool_calls>", CALL_F, CALLS(CALL_F),
                                         PARAMETER("k", "false", "1"), "</" D "parameter>", "/" D "parameter", "\" string=\"true\">", "\0x"};
    dr_buf now = {0}, next = {0};

    dr_buf_add(&now, text.s, text.n);
    for (size_t turns = below(2) ? 1 : 1 + below(3); turns > 0; turns--) {
        const size_t a = below(now.n + 1), most = now.n - a, n = below(1 + (most < 12 ? most : below(4) ? 12 : most)), b = below(now.n + 1);
        const size_t roll = below(16), kind = roll < 4 ? 0 : roll == 4 ? 1 : roll < 8 ? 2 : roll < 12 ? 3 : roll == 12 ? 4 : 5;
        dr_buf_clear(&next);
        dr_buf_add(&next, now.data, kind == 4 && b < a ? b : a);
        if (kind == 0) { /* delete */
            dr_buf_add(&next, now.data + a + n, most - n);
        } else if (kind == 1) { /* cut off */
        } else if (kind == 2) { /* twice */
            dr_buf_add(&next, now.data + a, n);
            dr_buf_add(&next, now.data + a, most);
        } else if (kind == 3) { /* something put in */
            const char *p = pieces[below(N(pieces))];
            dr_buf_add(&next, p, *p ? strlen(p) : 2);
            dr_buf_add(&next, now.data + a, most);
        } else if (kind == 4 && b < a) { /* a part moved forward */
            dr_buf_add(&next, now.data + a, n);
            dr_buf_add(&next, now.data + b, a - b);
            dr_buf_add(&next, now.data + a + n, most - n);
        } else if (most > 0) { /* one byte changed */
            static const char bytes[] = "\n<>/\" \xef\xff" "ae";
            dr_buf_add(&next, &bytes[below(sizeof bytes - 1)], 1);
            dr_buf_add(&next, now.data + a + 1, most - 1);
        }
        const dr_buf swap = now;
        now = next;
        next = swap;
    }
    dr_buf_clear(out);
    dr_buf_add(out, now.data, now.n);
    dr_buf_free(&now);
    dr_buf_free(&next);
}

typedef struct collection {
    dr_str v[128];
    bool thinking[128];
    size_t n;
    dr_buf texts[128];
} collection;

static void collect(dr_str text, bool thinking, void *arg)
{
    collection *c = arg;
    assert_true(c->n < N(c->v));
    dr_buf_add(&c->texts[c->n], text.s, text.n);
    c->v[c->n] = dr_buf_view(&c->texts[c->n]);
    c->thinking[c->n++] = thinking;
}

static void dialect_stream__damage_invents_no_call(void **state)
{
    (void)state;
    enum { RUNS = 10000 };
    static collection all;
    dr_buf text = {0};
    int n_well_formed = 0, n_calls = 0, n_malformed = 0;

    random_state = 7;
    (void)each_vector(collect, &all);
    EACH(s, well_formed) collect(dr_str_of(s->text), s->thinking, &all);
    EACH(s, tolerated) collect(dr_str_of(s->text), s->thinking, &all);
    EACH(s, with_names) collect(dr_str_of(s->text), s->thinking, &all);
    for (int run = 0; run < RUNS; run++) {
        const size_t long_ones = below(2) ? 80 : 0; /* half of the time something with calls in it */
        size_t i = below(all.n);
        while (all.v[i].n < long_ones)
            i = below(all.n);
        const bool with_tools = below(2);
        transcript t;
        damage(&text, all.v[i]);
        const dr_str s = dr_buf_view(&text);
        read_cut(&t, s, all.thinking[i], with_tools, NULL, 0, 0);
        check_calls(&t, s);
        check_against_strict(&t, s, all.thinking[i], &n_well_formed);
        check_conserved(&t, s);
        n_calls += t.malformed ? 0 : (int)t.n_calls;
        n_malformed += t.malformed != NULL;
        expect_same(&t, s, all.thinking[i], with_tools, NULL, 0, 1 + below(5));
        transcript_free(&t);
    }
    print_message("%d completions: %d well-formed, %d malformed, %d calls\n", RUNS, n_well_formed, n_malformed, n_calls);
    /* The damage must leave enough of everything for the comparison to mean something. */
    assert_true(n_well_formed > RUNS / 50 && n_malformed > RUNS / 10 && n_calls > RUNS / 20);
    for (size_t i = 0; i < all.n; i++)
        dr_buf_free(&all.texts[i]);
    dr_buf_free(&text);
}

/* A reader whose cost grew with the square of the length would not get through this in the test's time. */
static void dialect_stream__thousands_of_calls_byte_by_byte(void **state)
{
    (void)state;
    enum { CALLS_MADE = 4096 };
    dr_buf text = {0};
    transcript t;

    dr_buf_str(&text, "\n\n<" D "tool_calls>\n");
    for (int i = 0; i < CALLS_MADE; i++)
        dr_buf_printf(&text, "<" D "invoke name=\"f\">\n" PARAMETER("s", "true", "%d\n<<//") "\n" PARAMETER("n", "false", "[%d]") "\n</" D "invoke>\n", i, i);
    dr_buf_str(&text, "</" D "tool_calls>" EOS);
    read_cut(&t, dr_buf_view(&text), false, false, NULL, 0, 1);
    assert_null(t.malformed);
    assert_int_equal(t.n_calls, CALLS_MADE);
    assert_true(dr_str_eq(t.calls[CALLS_MADE - 1].arguments, DR_STR("{\"s\": \"4095\\n<<//\", \"n\": [4095]}")));
    transcript_free(&t);
    /* One value of a megabyte, and a megabyte of what may begin markup. */
    dr_buf_clear(&text);
    dr_buf_str(&text, "\n\n<" D "tool_calls>\n<" D "invoke name=\"f\">\n<" D "parameter name=\"s\" string=\"true\">");
    for (int i = 0; i < 1 << 16; i++)
        dr_buf_str(&text, "</" D "param\n\n<\xef\xbd");
    dr_buf_str(&text, "</" D "parameter>\n</" D "invoke>\n</" D "tool_calls>" EOS);
    read_cut(&t, dr_buf_view(&text), false, false, NULL, 0, 7);
    assert_null(t.malformed);
    assert_int_equal(t.n_calls, 1);
    transcript_free(&t);
    dr_buf_free(&text);
}

static void many_parameters(dr_buf *out, int n, int n_name)
{
    dr_buf_clear(out);
    dr_buf_str(out, "\n\n<" D "tool_calls>\n<" D "invoke name=\"");
    for (int i = 0; i < n_name; i++)
        dr_buf_str(out, "n");
    dr_buf_str(out, "\">\n");
    for (int i = 0; i < n; i++)
        dr_buf_printf(out, "%s<" D "parameter name=\"k%d\" string=\"false\">%d</" D "parameter>", i ? "\n" : "", i, i);
    dr_buf_str(out, "\n</" D "invoke>\n</" D "tool_calls>" EOS);
}

static void dialect_stream__calls_have_bounds(void **state)
{
    (void)state;
    dr_buf text = {0};
    many_parameters(&text, 256, 4000);
    check_sample(&(sample){text.data, false, 1, ""}, false);
    many_parameters(&text, 257, 1);
    check_sample(&(sample){text.data, false, -1, "too many parameters"}, false);
    many_parameters(&text, 1, 5000);
    check_sample(&(sample){text.data, false, -1, "a call's name does not end"}, false);
    dr_buf_free(&text);
}

static void dialect_stream__failed_allocations_are_reported(void **state)
{
    (void)state;
    static const char text[] = "R" END_THINK "C\xe4" CALLS(CALL_F INVOKE("g", PARAMETER("s", "true", "\n\xf0\x9f"))) EOS "x";
    bool failed = true;
    for (long at = 0; failed; at++) {
        const dr_completion_options options = {.thinking = true};
        dr_completion_reader *r = NULL;
        dr_status st;
        alloc_fail_at(at);
        st = dr_completion_reader_new(&r, &options, NULL);
        for (size_t i = 0; i < sizeof text - 1 && st == DR_OK; i++)
            st = dr_completion_feed(r, (dr_str){text + i, 1}, DR_PIECE_BYTES, NULL);
        if (st == DR_OK)
            st = dr_completion_end(r, NULL);
        failed = alloc_fail_off();
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        dr_completion_reader_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialect_stream__reads_what_is_well_formed_and_what_is_tolerated),
        cmocka_unit_test(dialect_stream__a_cut_changes_nothing),
        cmocka_unit_test(dialect_stream__vectors_cut_at_every_byte),
        cmocka_unit_test(dialect_stream__quoted_markup_is_text),
        cmocka_unit_test(dialect_stream__damage_invents_no_call),
        cmocka_unit_test(dialect_stream__thousands_of_calls_byte_by_byte),
        cmocka_unit_test(dialect_stream__calls_have_bounds),
        cmocka_unit_test(dialect_stream__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
