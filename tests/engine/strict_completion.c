#include "tests/engine/strict_completion.h"

#include "engine/dialect_parts.h"

#include <stdlib.h>
#include <string.h>

#define D DR_LITERAL_DSML

typedef struct cursor {
    const char *at, *end;
} cursor;

static const char *find(const char *at, const char *end, const char *what)
{
    return at < end ? memmem(at, (size_t)(end - at), what, strlen(what)) : NULL;
}

static bool starts(const char *at, const char *end, const char *what)
{
    return (size_t)(end - at) >= strlen(what) && memcmp(at, what, strlen(what)) == 0;
}

/* The text up to the nearer of two marks; *which tells it. The cursor ends up behind the mark. */
static bool until(cursor *c, dr_str *skipped, int *which, const char *a, const char *b)
{
    const char *const x = find(c->at, c->end, a), *const y = find(c->at, c->end, b);

    if (!x && !y)
        return false;
    *which = x && (!y || x < y) ? 0 : 1;
    const char *const mark = *which == 0 ? x : y;
    *skipped = (dr_str){c->at, (size_t)(mark - c->at)};
    c->at = mark + strlen(*which == 0 ? a : b);
    return true;
}

static bool has_control(dr_str s)
{
    static const char *const literals[] = {DR_LITERAL_BOS, DR_LITERAL_EOS, DR_LITERAL_THINK, DR_LITERAL_END_THINK, DR_LITERAL_DSML};

    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++)
        if (find(s.s, s.s + s.n, literals[i]))
            return true;
    return false;
}

static bool parse_name(dr_str *name, dr_str head)
{
    const char *at = head.s, *const end = head.s + head.n;

    while (at < end && *at && strchr(" \t\n\r\f\v", *at))
        at++;
    if (!starts(at, end, "name=\""))
        return false;
    at += strlen("name=\"");
    const char *const close = find(at, end, "\">\n");
    if (!close || close == at)
        return false;
    *name = (dr_str){at, (size_t)(close - at)};
    const size_t rest = (size_t)(end - close) - strlen("\">\n");
    return (rest == 0 || (rest == 1 && end[-1] == '\n')) && !has_control(*name);
}

static bool parse_parameter(cursor *c, dr_buf *json, bool first, dr_str *keys, size_t n_keys)
{
    const char *const close = find(c->at, c->end, "/" D "parameter");

    if (!close || close[-1] != '<' || !starts(c->at, close, " name=\""))
        return false;
    const char *const key = c->at + strlen(" name=\""), *const value_end = close - 1;
    const char *const yes = find(key, value_end, "\" string=\"true\">"), *const no = find(key, value_end, "\" string=\"false\">");
    if (!yes && !no)
        return false;
    const bool string = yes && (!no || yes < no);
    const char *const value = string ? yes + strlen("\" string=\"true\">") : no + strlen("\" string=\"false\">");
    keys[n_keys] = (dr_str){key, (size_t)((string ? yes : no) - key)};
    if (has_control(keys[n_keys]))
        return false;
    for (size_t i = 0; i < n_keys; i++)
        if (dr_str_eq(keys[i], keys[n_keys]))
            return false;
    dr_buf_str(json, first ? "" : ", ");
    dr_json_write_string(json, keys[n_keys]);
    dr_buf_str(json, ": ");
    if (string)
        dr_json_write_string(json, (dr_str){value, (size_t)(value_end - value)});
    else
        dr_buf_add(json, value, (size_t)(value_end - value));
    c->at = close + strlen("/" D "parameter");
    return true;
}

static bool parse_call(strict_completion *out, cursor *c)
{
    enum { MAX_KEYS = 256 };
    dr_str skipped, keys[MAX_KEYS];
    size_t n_keys = 0;
    int which;

    out->calls = realloc(out->calls, (out->n_calls + 1) * sizeof *out->calls);
    strict_call *call = &out->calls[out->n_calls++];
    *call = (strict_call){0};
    if (!until(c, &skipped, &which, "<" D "parameter", "</" D "invoke") || !parse_name(&call->name, skipped))
        return false;
    dr_buf_str(&call->arguments, "{");
    for (; which == 0; n_keys++)
        if (n_keys == MAX_KEYS || !parse_parameter(c, &call->arguments, n_keys == 0, keys, n_keys) ||
            !until(c, &skipped, &which, "<" D "parameter", "</" D "invoke") || !dr_str_eq(skipped, DR_STR(">\n")))
            return false;
    dr_buf_str(&call->arguments, "}");
    return true;
}

bool strict_parse(strict_completion *out, dr_str text, bool thinking)
{
    cursor c = {text.s, text.s + text.n};
    dr_str skipped;
    int which = 0;

    *out = (strict_completion){.reasoning = {text.s, 0}};
    if (thinking) {
        if (!until(&c, &out->reasoning, &which, DR_LITERAL_END_THINK, "\n\n<" D "tool_calls") || which == 1)
            return false;
    }
    if (!until(&c, &out->content, &which, DR_LITERAL_EOS, "\n\n<" D "tool_calls") || has_control(out->content) ||
        has_control(out->reasoning))
        return false;
    if (which == 0)
        return c.at == c.end;
    for (;;) {
        if (!until(&c, &skipped, &which, "<" D "invoke", "</" D "tool_calls>") || !dr_str_eq(skipped, DR_STR(">\n")))
            return false;
        if (which == 1)
            return starts(c.at, c.end, DR_LITERAL_EOS) && c.at + strlen(DR_LITERAL_EOS) == c.end;
        if (!parse_call(out, &c))
            return false;
    }
}

void strict_free(strict_completion *c)
{
    for (size_t i = 0; i < c->n_calls; i++)
        dr_buf_free(&c->calls[i].arguments);
    free(c->calls);
    *c = (strict_completion){0};
}
