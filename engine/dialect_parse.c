/* Completions back to messages: spec/deepseek-v4-encoding section 5.2. Strict, but for a missing EOS (a length limit ended the
 * generation). A block that is not exactly as written there gives no call at all: better a visible failure than an invented one. */
#include "engine/dialect_parts.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_START "\n\n<" DR_LITERAL_DSML "tool_calls"
#define CALLS_END "</" DR_LITERAL_DSML "tool_calls>"
#define INVOKE_START "<" DR_LITERAL_DSML "invoke"
#define INVOKE_END "</" DR_LITERAL_DSML "invoke"
#define PARAMETER_START "<" DR_LITERAL_DSML "parameter"
#define PARAMETER_END "/" DR_LITERAL_DSML "parameter"

typedef struct storage {
    char *text; /* a copy of the completion */
    dr_tool_call *calls;
    dr_buf *arguments; /* of each call */
    size_t n_arguments, cap;
} storage;

typedef struct reader {
    dr_str s; /* not read yet */
    storage *keep;
    dr_completion *out;
    const char *problem;
    bool nomem;
} reader;

void dr_completion_free(dr_completion *c)
{
    storage *keep = c->storage;

    if (keep) {
        for (size_t i = 0; i < keep->n_arguments; i++)
            dr_buf_free(&keep->arguments[i]);
        free(keep->arguments);
        free(keep->calls);
        free(keep->text);
        free(keep);
    }
    *c = (dr_completion){0};
}

/* Place of the first occurrence, s.n when there is none. */
static size_t find(dr_str s, dr_str what)
{
    const char *hit = s.n ? memmem(s.s, s.n, what.s, what.n) : NULL;

    return hit ? (size_t)(hit - s.s) : s.n;
}

static bool starts_with(dr_str s, dr_str prefix)
{
    return s.n >= prefix.n && memcmp(s.s, prefix.s, prefix.n) == 0;
}

static bool ends_with(dr_str s, dr_str suffix)
{
    return s.n >= suffix.n && memcmp(s.s + s.n - suffix.n, suffix.s, suffix.n) == 0;
}

static void skip(dr_str *s, size_t n)
{
    s->s += n;
    s->n -= n;
}

static bool stop(reader *r, const char *problem)
{
    r->problem = problem;
    return false;
}

/* Reads up to whichever of two marks comes first, and over it. -1: neither. */
static int read_to(reader *r, dr_str *skipped, dr_str first, dr_str second)
{
    const size_t a = find(r->s, first), b = find(r->s, second);

    if (a == r->s.n && b == r->s.n)
        return -1;
    *skipped = (dr_str){r->s.s, a < b ? a : b};
    skip(&r->s, skipped->n + (a < b ? first.n : second.n));
    return a < b ? 0 : 1;
}

/* ` name="KEY" string="true|false">VALUE<`, up to PARAMETER_END. */
static bool read_parameter(reader *r, dr_str *key, bool *string, dr_str *value)
{
    const size_t end = find(r->s, DR_STR(PARAMETER_END));
    dr_str text = {r->s.s, end};

    if (end == r->s.n)
        return stop(r, "a parameter does not end");
    skip(&r->s, end + sizeof PARAMETER_END - 1);
    if (!starts_with(text, DR_STR(" name=\"")) || !ends_with(text, DR_STR("<")))
        return stop(r, "a parameter is not written as it should be");
    skip(&text, sizeof " name=\"" - 1);
    text.n--;
    const size_t yes = find(text, DR_STR("\" string=\"true\">")), no = find(text, DR_STR("\" string=\"false\">"));
    if (yes == text.n && no == text.n)
        return stop(r, "a parameter does not say whether it is a string");
    *string = yes < no;
    *key = (dr_str){text.s, *string ? yes : no};
    skip(&text, key->n + (*string ? sizeof "\" string=\"true\">" : sizeof "\" string=\"false\">") - 1);
    *value = text;
    return true;
}

/* White space, `name="`, the shortest name, `">`, newline, and at most one newline more. */
static bool read_name(reader *r, dr_str text, dr_str *name)
{
    while (text.n > 0 && strchr(" \t\n\r\f\v", text.s[0]) && text.s[0])
        skip(&text, 1);
    if (!starts_with(text, DR_STR("name=\"")))
        return stop(r, "a call without a name");
    skip(&text, sizeof "name=\"" - 1);
    const size_t tail = ends_with(text, DR_STR("\">\n\n")) ? 4 : ends_with(text, DR_STR("\">\n")) ? 3 : 0;
    if (tail == 0)
        return stop(r, "a call's name does not end as it should");
    *name = (dr_str){text.s, text.n - tail};
    return true;
}

static bool new_call(reader *r, dr_str name)
{
    storage *keep = r->keep;

    if (keep->n_arguments == keep->cap) {
        const size_t cap = keep->cap ? 2 * keep->cap : 4;
        dr_tool_call *calls = realloc(keep->calls, cap * sizeof *calls);
        if (calls)
            keep->calls = calls;
        dr_buf *arguments = realloc(keep->arguments, cap * sizeof *arguments);
        if (arguments)
            keep->arguments = arguments;
        if (!calls || !arguments) {
            r->nomem = true;
            return false;
        }
        keep->cap = cap;
    }
    keep->calls[keep->n_arguments] = (dr_tool_call){.name = name};
    keep->arguments[keep->n_arguments++] = (dr_buf){0};
    return true;
}

static bool is_repeated(const dr_str *keys, size_t n, dr_str key)
{
    for (size_t i = 0; i < n; i++)
        if (dr_str_eq(keys[i], key))
            return true;
    return false;
}

/* Behind INVOKE_START, to behind INVOKE_END. */
static bool read_invoke(reader *r)
{
    enum { MAX_KEYS = 256 };
    dr_str keys[MAX_KEYS], head, name, key, value;
    size_t n = 0;
    bool string;

    int mark = read_to(r, &head, DR_STR(PARAMETER_START), DR_STR(INVOKE_END));
    if (mark < 0)
        return stop(r, "a call does not end");
    if (!read_name(r, head, &name) || !new_call(r, name))
        return false;
    dr_buf *json = &r->keep->arguments[r->keep->n_arguments - 1];
    dr_buf_str(json, "{");
    while (mark == 0) {
        dr_str between;
        if (!read_parameter(r, &key, &string, &value))
            return false;
        if (is_repeated(keys, n, key))
            return stop(r, "a parameter stands twice");
        if (n == MAX_KEYS)
            return stop(r, "too many parameters");
        dr_buf_str(json, n ? ", " : "");
        keys[n++] = key;
        dr_json_write_string(json, key);
        dr_buf_str(json, ": ");
        if (string)
            dr_json_write_string(json, value);
        else
            dr_buf_add(json, value.s, value.n);
        if ((mark = read_to(r, &between, DR_STR(PARAMETER_START), DR_STR(INVOKE_END))) < 0)
            return stop(r, "a call does not end");
        if (!dr_str_eq(between, DR_STR(">\n")))
            return stop(r, "text between parameters");
    }
    dr_buf_str(json, "}");
    return true;
}

/* Behind CALLS_START, to behind CALLS_END. */
static bool read_calls(reader *r)
{
    for (;;) {
        dr_str between;
        const int mark = read_to(r, &between, DR_STR(INVOKE_START), DR_STR(CALLS_END));
        if (mark < 0)
            return stop(r, "the block of calls does not end");
        if (!dr_str_eq(between, DR_STR(">\n")))
            return stop(r, "text between calls");
        if (mark == 1)
            return true;
        if (!read_invoke(r))
            return false;
    }
}

static bool has_control(dr_str s)
{
    static const char *const literals[] = {DR_LITERAL_BOS, DR_LITERAL_EOS, DR_LITERAL_THINK, DR_LITERAL_END_THINK, DR_LITERAL_DSML};

    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++)
        if (find(s, dr_str_of(literals[i])) < s.n)
            return true;
    return false;
}

static bool read_completion(reader *r, bool thinking)
{
    dr_completion *c = r->out;

    if (thinking) {
        const size_t end = find(r->s, DR_STR(DR_LITERAL_END_THINK));
        if (end == r->s.n || find((dr_str){r->s.s, end}, DR_STR(CALLS_START)) < end)
            return stop(r, "the reasoning does not end");
        c->reasoning = (dr_str){r->s.s, end};
        skip(&r->s, end + sizeof DR_LITERAL_END_THINK - 1);
    }
    const size_t eos = find(r->s, DR_STR(DR_LITERAL_EOS)), calls = find(r->s, DR_STR(CALLS_START));
    c->content = (dr_str){r->s.s, eos < calls ? eos : calls};
    skip(&r->s, c->content.n);
    if (calls < eos) {
        skip(&r->s, sizeof CALLS_START - 1);
        if (!read_calls(r))
            return false;
    }
    c->complete = starts_with(r->s, DR_STR(DR_LITERAL_EOS));
    if (r->s.n > 0 && !c->complete)
        return stop(r, "text after the block of calls");
    if (r->s.n > sizeof DR_LITERAL_EOS - 1)
        return stop(r, "text after the end");
    if (has_control(c->content) || has_control(c->reasoning))
        return stop(r, "a control token inside the text");
    return true;
}

dr_status dr_completion_parse(dr_completion *out, dr_str completion, bool thinking, dr_error *err)
{
    storage *keep = calloc(1, sizeof *keep);
    reader r = {.keep = keep, .out = out};
    bool failed = !keep;

    *out = (dr_completion){0};
    out->storage = keep;
    if (!keep || !(keep->text = malloc(completion.n + 1)))
        goto nomem;
    if (completion.n)
        memcpy(keep->text, completion.s, completion.n);
    const dr_str whole = r.s = (dr_str){keep->text, completion.n};
    if (read_completion(&r, thinking)) {
        out->calls = keep->calls;
        out->n_calls = keep->n_arguments;
        for (size_t i = 0; i < out->n_calls; i++) {
            failed = failed || keep->arguments[i].failed;
            out->calls[i].arguments = dr_buf_view(&keep->arguments[i]);
        }
    } else if (!r.nomem) {
        out->malformed = r.problem;
        out->complete = ends_with(whole, DR_STR(DR_LITERAL_EOS));
        out->content = whole;
        out->reasoning = (dr_str){0};
    }
    if (!failed && !r.nomem)
        return DR_OK;
nomem:
    dr_completion_free(out);
    return dr_fail(err, DR_ERR_NOMEM, "completion: out of memory");
}

dr_status dr_dialect_parse(const dr_dialect *d, dr_buf *json_out, dr_str completion, bool thinking, dr_error *err)
{
    dr_completion c;
    const dr_status st = dr_completion_parse(&c, completion, thinking, err);

    (void)d; /* the markup is the same in all releases; only the trained texts differ */
    if (st != DR_OK)
        return st;
    dr_buf_str(json_out, "{\"content\": ");
    dr_json_write_string(json_out, c.content);
    dr_buf_str(json_out, ", \"reasoning_content\": ");
    dr_json_write_string(json_out, c.reasoning);
    dr_buf_str(json_out, ", \"tool_calls\": [");
    for (size_t i = 0; i < c.n_calls; i++) {
        dr_buf_str(json_out, i ? ", {\"name\": " : "{\"name\": ");
        dr_json_write_string(json_out, c.calls[i].name);
        dr_buf_str(json_out, ", \"arguments\": ");
        dr_json_write_string(json_out, c.calls[i].arguments);
        dr_buf_str(json_out, "}");
    }
    dr_buf_str(json_out, "], \"finish\": ");
    dr_buf_str(json_out, c.complete ? "\"stop\"" : "\"length\"");
    dr_buf_str(json_out, ", \"malformed\": ");
    if (c.malformed)
        dr_json_write_string(json_out, dr_str_of(c.malformed));
    else
        dr_buf_str(json_out, "null");
    dr_buf_str(json_out, "}");
    dr_completion_free(&c);
    return json_out->failed ? dr_fail(err, DR_ERR_NOMEM, "completion: out of memory") : DR_OK;
}
