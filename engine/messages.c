/* Conversations from JSON: spec/deepseek-v4-encoding section 2. */
#include "engine/dialect_parts.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

typedef struct storage {
    char *text; /* the document points into it */
    dr_json_doc doc;
    dr_arena *arena;
    dr_message *v;
} storage;

typedef struct reader {
    storage *keep;
    const char *name;
    size_t index; /* of the message, for messages to people */
    dr_error *err;
} reader;

void dr_messages_free(dr_messages *m)
{
    storage *keep = m->storage;

    if (keep) {
        dr_json_free(&keep->doc);
        dr_arena_free(keep->arena);
        free(keep->text);
        free(keep->v);
        free(keep);
    }
    *m = (dr_messages){0};
}

static dr_status bad(const reader *r, const char *key, const char *what)
{
    return dr_fail(r->err, DR_ERR_FORMAT, "%s: message %zu: %s: %s", r->name, r->index, key, what);
}

static bool is_null(const dr_json *v)
{
    return !v || v->type == DR_JSON_NULL;
}

/* Moves what was written into the arena; b is freed either way. */
static dr_status keep_text(const reader *r, dr_str *out, dr_buf *b)
{
    char *copy = b->failed ? NULL : dr_arena_take(r->keep->arena, b->n + 1);
    dr_status st = DR_OK;

    if (!copy)
        st = dr_fail(r->err, DR_ERR_NOMEM, "%s: out of memory", r->name);
    else {
        if (b->n)
            memcpy(copy, b->data, b->n);
        *out = (dr_str){copy, b->n};
    }
    dr_buf_free(b);
    return st;
}

/* Null and absent leave *out without a pointer. */
static dr_status take_text(const reader *r, dr_str *out, const dr_json *m, const char *key)
{
    const dr_json *v = dr_json_get(m, key);

    if (is_null(v))
        return DR_OK;
    if (v->type != DR_JSON_STRING)
        return bad(r, key, "a text is expected");
    *out = dr_json_text(v);
    return DR_OK;
}

/* The value as JSON text; null and absent leave *out empty. */
static dr_status take_json(const reader *r, dr_str *out, const dr_json *v)
{
    dr_buf text = {0};

    if (is_null(v))
        return DR_OK;
    dr_json_write(&text, v);
    return keep_text(r, out, &text);
}

/* 4.1: the text parts of a tool's result, and a note for each other part. */
static dr_status join_parts(const reader *r, dr_str *out, const dr_json *parts)
{
    dr_buf text = {0};

    for (const dr_json *p = dr_json_first(parts), *end = dr_json_end(parts); p != end; p = dr_json_after(p)) {
        const dr_json *type = dr_json_get(p, "type"), *content = dr_json_get(p, "text");
        if (!type || type->type != DR_JSON_STRING) {
            dr_buf_free(&text);
            return bad(r, "content", "a part without a type");
        }
        if (p != dr_json_first(parts))
            dr_buf_str(&text, "\n\n");
        if (!dr_str_eq(dr_json_text(type), DR_STR("text")))
            dr_buf_printf(&text, "[Unsupported %.*s]", (int)type->n, type->text);
        else if (content && content->type == DR_JSON_STRING)
            dr_buf_add(&text, content->text, content->n);
    }
    return keep_text(r, out, &text);
}

static dr_status take_calls(const reader *r, dr_message *out, const dr_json *calls)
{
    dr_status st;
    size_t i = 0;

    if (is_null(calls))
        return DR_OK;
    if (calls->type != DR_JSON_ARRAY)
        return bad(r, "tool_calls", "a list is expected");
    dr_tool_call *v = dr_arena_take(r->keep->arena, calls->n * sizeof *v);
    if (!v)
        return dr_fail(r->err, DR_ERR_NOMEM, "%s: out of memory", r->name);
    for (const dr_json *c = dr_json_first(calls), *end = dr_json_end(calls); c != end; c = dr_json_after(c), i++) {
        const dr_json *function = dr_json_get(c, "function");
        if (!function || function->type != DR_JSON_OBJECT)
            return bad(r, "tool_calls", "a call without a function object");
        if ((st = take_text(r, &v[i].id, c, "id")) != DR_OK || (st = take_text(r, &v[i].name, function, "name")) != DR_OK ||
            (st = take_text(r, &v[i].arguments, function, "arguments")) != DR_OK)
            return st;
        if (v[i].name.n == 0)
            return bad(r, "tool_calls", "a call without a name");
        if (!v[i].arguments.s)
            return bad(r, "tool_calls", "a call without arguments (a JSON text)");
    }
    out->calls = v;
    out->n_calls = i;
    return DR_OK;
}

static dr_status read_message(const reader *r, dr_message *out, const dr_json *m)
{
    static const struct {
        const char *name;
        dr_role role;
    } roles[] = {{"system", DR_SYSTEM}, {"user", DR_USER},           {"assistant", DR_ASSISTANT},
                 {"tool", DR_TOOL},     {"developer", DR_DEVELOPER}, {"latest_reminder", DR_REMINDER}};
    enum { N_ROLES = sizeof roles / sizeof roles[0] };
    const dr_json *content = dr_json_get(m, "content"), *wo_eos = dr_json_get(m, "wo_eos"), *tools = dr_json_get(m, "tools");
    dr_str role = {0};
    dr_status st;
    size_t i = 0;

    if (m->type != DR_JSON_OBJECT)
        return dr_fail(r->err, DR_ERR_FORMAT, "%s: message %zu is not an object", r->name, r->index);
    if ((st = take_text(r, &role, m, "role")) != DR_OK)
        return st;
    while (i < N_ROLES && !dr_str_eq(role, dr_str_of(roles[i].name)))
        i++;
    if (i == N_ROLES)
        return bad(r, "role", "system, user, assistant, tool, developer or latest_reminder is expected");
    out->role = roles[i].role;
    if (out->role == DR_TOOL && content && content->type == DR_JSON_ARRAY)
        st = join_parts(r, &out->content, content);
    else
        st = take_text(r, &out->content, m, "content");
    if (st != DR_OK || (st = take_text(r, &out->reasoning, m, "reasoning_content")) != DR_OK ||
        (st = take_text(r, &out->tool_call_id, m, "tool_call_id")) != DR_OK ||
        (st = take_text(r, &out->task, m, "task")) != DR_OK ||
        (st = take_calls(r, out, dr_json_get(m, "tool_calls"))) != DR_OK)
        return st;
    if ((out->role == DR_USER || out->role == DR_TOOL) && !out->content.s)
        return bad(r, "content", "missing");
    if (out->task.n > 0 && dr_dialect__task_token(out->task).n == 0)
        return bad(r, "task", "action, query, authority, domain, title or read_url is expected");
    if (!is_null(tools) && tools->type != DR_JSON_ARRAY)
        return bad(r, "tools", "a list is expected");
    if ((st = take_json(r, &out->tools, tools)) != DR_OK ||
        (st = take_json(r, &out->response_format, dr_json_get(m, "response_format"))) != DR_OK)
        return st;
    out->wo_eos = wo_eos && wo_eos->type == DR_JSON_TRUE;
    return DR_OK;
}

/* Tools given beside the messages belong to the first system message; without one, one is put in front. */
static dr_status add_tools(reader *r, dr_messages *out, const dr_json *tools)
{
    size_t i = 0;

    if (is_null(tools))
        return DR_OK;
    if (tools->type != DR_JSON_ARRAY)
        return dr_fail(r->err, DR_ERR_FORMAT, "%s: tools: a list is expected", r->name);
    while (i < out->n && out->v[i].role != DR_SYSTEM)
        i++;
    if (i == out->n) {
        memmove(out->v + 1, out->v, out->n * sizeof *out->v); /* room for one more was made */
        out->v[0] = (dr_message){.role = DR_SYSTEM, .content = DR_STR("")};
        out->n++;
        i = 0;
    }
    if (out->v[i].tools.n > 0)
        return dr_fail(r->err, DR_ERR_FORMAT, "%s: tools stand both beside the messages and in message %zu", r->name, i);
    return take_json(r, &out->v[i].tools, tools);
}

dr_status dr_messages_parse(dr_messages *out, dr_str json, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    storage *keep = calloc(1, sizeof *keep);
    reader r = {keep, name, 0, err};

    *out = (dr_messages){0};
    if (!keep)
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    out->storage = keep;
    if (!(keep->text = malloc(json.n + 1)) || !(keep->arena = dr_arena_new(4096))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        goto done;
    }
    if (json.n)
        memcpy(keep->text, json.s, json.n);
    if ((st = dr_json_parse(&keep->doc, (dr_str){keep->text, json.n}, name, err)) != DR_OK)
        goto done;
    const dr_json *root = keep->doc.root;
    const dr_json *list = root->type == DR_JSON_OBJECT ? dr_json_get(root, "messages") : root;
    if (!list || list->type != DR_JSON_ARRAY) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: a list of messages, or an object with \"messages\", is expected", name);
        goto done;
    }
    if (!(keep->v = calloc(list->n + 1u, sizeof *keep->v))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        goto done;
    }
    out->v = keep->v;
    for (const dr_json *m = dr_json_first(list), *end = dr_json_end(list); m != end; m = dr_json_after(m), r.index++, out->n++)
        if ((st = read_message(&r, &out->v[out->n], m)) != DR_OK)
            goto done;
    if (root->type == DR_JSON_OBJECT)
        st = add_tools(&r, out, dr_json_get(root, "tools"));
done:
    if (st != DR_OK)
        dr_messages_free(out);
    return st;
}
