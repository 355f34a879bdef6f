/* Messages to a prompt: spec/deepseek-v4-encoding sections 3 and 4, in that order: merge, sort, drop, render. */
#include "engine/dialect_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
    bool result; /* a tool's, else text */
    dr_str text, id;
} block;

/* A message after merging. User turns are made of blocks [at, at + n_blocks); all else is the message itself. */
typedef struct turn {
    const dr_message *m;
    dr_role role;
    size_t at, n_blocks;
    dr_str task, reasoning;
    bool wo_eos;
    bool is_new; /* not part of the context */
} turn;

typedef struct renderer {
    const dr_dialect *d;
    const dr_render_options *options;
    dr_prompt *out;
    dr_error *err;
    turn *turns;
    size_t n;
    block *blocks;
    size_t n_blocks;
    bool drop;
    ptrdiff_t last_user; /* "L": index of the last user or developer turn, -1 if none */
} renderer;

void dr_prompt_free(dr_prompt *p)
{
    dr_buf_free(&p->text);
    free(p->segments);
    *p = (dr_prompt){0};
}

/* ---- the prompt as segments; running out of memory is kept in text.failed ---- */

static void put(dr_prompt *p, dr_str s, bool control)
{
    if (s.n == 0 || p->text.failed)
        return;
    dr_segment *last = p->n_segments ? &p->segments[p->n_segments - 1] : NULL;
    if (last && !control && !last->control) {
        last->n += s.n;
    } else {
        if (p->n_segments == p->cap) {
            const size_t cap = p->cap ? 2 * p->cap : 32;
            dr_segment *grown = realloc(p->segments, cap * sizeof *grown);
            if (!grown) {
                p->text.failed = true;
                return;
            }
            p->segments = grown;
            p->cap = cap;
        }
        p->segments[p->n_segments++] = (dr_segment){control, p->text.n, s.n};
    }
    dr_buf_add(&p->text, s.s, s.n);
}

static void put_text(dr_prompt *p, dr_str s)
{
    put(p, s, false);
}

static void put_control(dr_prompt *p, dr_str s)
{
    put(p, s, true);
}

/* A text that came with the checkpoint: literals of control tokens inside it are meant. */
static void put_trained_text(dr_prompt *p, dr_str s)
{
    size_t plain = 0;

    for (size_t at = 0; at < s.n;) {
        const dr_str control = dr_dialect__control_at((dr_str){s.s + at, s.n - at});
        if (control.n == 0) {
            at++;
            continue;
        }
        put_text(p, (dr_str){s.s + plain, at - plain});
        put_control(p, control);
        plain = at += control.n;
    }
    if (plain < s.n)
        put_text(p, (dr_str){s.s + plain, s.n - plain});
}

/* ---- section 3: preprocessing ---- */

static size_t count_results(const renderer *r, const turn *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_blocks; i++)
        n += r->blocks[t->at + i].result;
    return n;
}

/* 3.1. Blocks of a turn lie together, since only the last turn is ever added to. */
static dr_status merge(renderer *r, const dr_message *messages, size_t from, size_t to, bool is_new)
{
    const size_t first = r->n; /* the context's last turn is not continued */

    for (size_t i = from; i < to; i++) {
        const dr_message *m = &messages[i];
        turn *last = r->n > first ? &r->turns[r->n - 1] : NULL;
        if (m->role != DR_TOOL && m->role != DR_USER) {
            r->turns[r->n++] = (turn){m, m->role, 0, 0, m->task, m->reasoning, m->wo_eos, is_new};
            continue;
        }
        if (!m->content.s)
            return dr_fail(r->err, DR_ERR_FORMAT, "message %zu: it has no content", i);
        if (!last || last->role != DR_USER || (m->role == DR_USER && last->task.n > 0)) {
            last = &r->turns[r->n++];
            *last = (turn){.m = m, .role = DR_USER, .at = r->n_blocks, .is_new = is_new};
            if (m->role == DR_USER) {
                last->task = m->task;
                last->wo_eos = m->wo_eos;
            }
        }
        r->blocks[r->n_blocks++] = (block){m->role == DR_TOOL, m->content, m->tool_call_id};
        last->n_blocks++;
    }
    return DR_OK;
}

static size_t call_index(const dr_message *caller, dr_str id)
{
    for (size_t i = caller->n_calls; i-- > 0;)
        if (caller->calls[i].id.n > 0 && dr_str_eq(caller->calls[i].id, id))
            return i;
    return 0;
}

/* 3.2. Results go in the order of the calls; places that hold text keep it. */
static dr_status sort_results(renderer *r)
{
    const dr_message *caller = NULL; /* whose calls have ids */

    for (size_t i = 0; i < r->n; i++) {
        turn *t = &r->turns[i];
        if (t->role == DR_ASSISTANT && t->m->n_calls > 0) {
            caller = NULL;
            for (size_t c = 0; c < t->m->n_calls; c++)
                if (t->m->calls[c].id.n > 0)
                    caller = t->m;
        }
        if (t->role != DR_USER || !caller || count_results(r, t) < 2)
            continue;
        block *blocks = r->blocks + t->at, *sorted = malloc(t->n_blocks * sizeof *sorted);
        size_t n = 0;
        if (!sorted)
            return dr_fail(r->err, DR_ERR_NOMEM, "render: out of memory");
        for (size_t call = 0; call < caller->n_calls; call++) /* stable: block order inside one call */
            for (size_t b = 0; b < t->n_blocks; b++)
                if (blocks[b].result && call_index(caller, blocks[b].id) == call)
                    sorted[n++] = blocks[b];
        for (size_t b = 0, s = 0; b < t->n_blocks; b++)
            if (blocks[b].result)
                blocks[b] = sorted[s++];
        free(sorted);
    }
    return DR_OK;
}

static bool is_asking(const turn *t)
{
    return t->role == DR_USER || t->role == DR_DEVELOPER;
}

static void find_last_user(renderer *r)
{
    r->last_user = -1;
    for (size_t i = 0; i < r->n; i++)
        if (is_asking(&r->turns[i]))
            r->last_user = (ptrdiff_t)i;
}

static bool is_empty_value(const dr_json *v)
{
    switch ((dr_json_type)v->type) {
    case DR_JSON_NULL:
    case DR_JSON_FALSE: return true;
    case DR_JSON_STRING:
    case DR_JSON_ARRAY:
    case DR_JSON_OBJECT: return v->n == 0;
    default: return false;
    }
}

static dr_status has_tools(bool *some, const dr_message *m, dr_error *err)
{
    dr_json_doc doc;

    *some = false;
    if (m->tools.n == 0)
        return DR_OK;
    const dr_status st = dr_json_parse(&doc, m->tools, "tools", err);
    if (st == DR_OK)
        *some = !is_empty_value(doc.root);
    dr_json_free(&doc);
    return st;
}

/* 3.3 and 3.4. */
static dr_status drop_thoughts(renderer *r)
{
    size_t kept = 0;

    r->drop = !r->options->keep_reasoning;
    for (size_t i = 0; i < r->n; i++) {
        bool some = false;
        dr_status st;
        if (r->turns[i].role == DR_USER) /* its tools were lost in merging */
            continue;
        if ((st = has_tools(&some, r->turns[i].m, r->err)) != DR_OK)
            return st;
        r->drop = r->drop && !some;
    }
    find_last_user(r);
    if (!r->options->thinking || !r->drop)
        return DR_OK;
    for (size_t i = 0; i < r->n; i++) {
        turn t = r->turns[i];
        if ((ptrdiff_t)i < r->last_user) {
            if (t.role == DR_DEVELOPER)
                continue;
            t.reasoning = (dr_str){0};
        }
        r->turns[kept++] = t;
    }
    r->n = kept;
    find_last_user(r);
    return DR_OK;
}

/* ---- section 4: rendering ---- */

static dr_status put_tools(renderer *r, dr_str tools)
{
    dr_prompt *out = r->out;
    dr_buf line = {0};
    dr_json_doc doc = {0};
    dr_status st = DR_OK;

    if (tools.n == 0)
        return DR_OK;
    if ((st = dr_json_parse(&doc, tools, "tools", r->err)) != DR_OK || is_empty_value(doc.root))
        goto done;
    if (doc.root->type != DR_JSON_ARRAY) {
        st = dr_fail(r->err, DR_ERR_FORMAT, "tools: a list is expected");
        goto done;
    }
    put_text(out, DR_STR("\n\n"));
    put_trained_text(out, r->d->tools_head);
    for (const dr_json *tool = dr_json_first(doc.root), *end = dr_json_end(doc.root); tool != end; tool = dr_json_after(tool)) {
        const dr_json *function = dr_json_get(tool, "function");
        if (!function || function->type != DR_JSON_OBJECT) {
            st = dr_fail(r->err, DR_ERR_FORMAT, "tools: an entry has no \"function\" object");
            goto done;
        }
        dr_buf_clear(&line);
        dr_buf_str(&line, tool == dr_json_first(doc.root) ? "" : "\n");
        dr_json_write(&line, function);
        put_text(out, dr_buf_view(&line));
        out->text.failed |= line.failed;
    }
    put_trained_text(out, r->d->tools_tail);
done:
    dr_json_free(&doc);
    dr_buf_free(&line);
    return st;
}

static dr_status put_format(renderer *r, dr_str format)
{
    dr_buf text = {0};
    dr_json_doc doc = {0};
    dr_status st = DR_OK;

    if (format.n == 0)
        return DR_OK;
    if ((st = dr_json_parse(&doc, format, "response_format", r->err)) == DR_OK && !is_empty_value(doc.root)) {
        dr_json_write(&text, doc.root);
        put_text(r->out, DR_STR("\n\n" DR_FORMAT_HEAD));
        put_text(r->out, dr_buf_view(&text));
        r->out->text.failed |= text.failed;
    }
    dr_json_free(&doc);
    dr_buf_free(&text);
    return st;
}

static void put_tag(dr_prompt *out, const char *open, const char *rest)
{
    put_text(out, dr_str_of(open));
    put_control(out, DR_STR(DR_LITERAL_DSML));
    put_text(out, dr_str_of(rest));
}

static void put_parameter(dr_prompt *out, bool first, dr_str key, bool string, dr_str value)
{
    put_tag(out, first ? "<" : "\n<", "parameter name=\"");
    put_text(out, key);
    put_text(out, string ? DR_STR("\" string=\"true\">") : DR_STR("\" string=\"false\">"));
    put_text(out, value);
    put_tag(out, "</", "parameter>");
}

/* 5.1. What is not a JSON object goes as one text named "arguments". */
static dr_status put_arguments(renderer *r, dr_str arguments)
{
    dr_json_doc doc = {0}, once = {0};
    dr_buf text = {0}, value = {0};
    dr_status st = dr_json_parse(&doc, arguments, "arguments", r->err);

    if (st == DR_ERR_NOMEM)
        return st;
    st = DR_OK;
    if (!doc.root || doc.root->type != DR_JSON_OBJECT) {
        put_parameter(r->out, true, DR_STR("arguments"), true, arguments);
        goto done;
    }
    dr_json_write(&text, doc.root); /* and read again: the writer settles repeated keys */
    if (text.failed) {
        r->out->text.failed = true;
        goto done;
    }
    if ((st = dr_json_parse(&once, dr_buf_view(&text), "arguments", r->err)) != DR_OK)
        goto done;
    for (const dr_json *k = dr_json_first(once.root), *end = dr_json_end(once.root); k != end; k = dr_json_after(k + 1)) {
        const bool string = k[1].type == DR_JSON_STRING;
        dr_buf_clear(&value);
        if (!string)
            dr_json_write(&value, k + 1);
        put_parameter(r->out, k == dr_json_first(once.root), dr_json_text(k), string,
                      string ? dr_json_text(k + 1) : dr_buf_view(&value));
        r->out->text.failed |= value.failed;
    }
done:
    dr_json_free(&doc);
    dr_json_free(&once);
    dr_buf_free(&text);
    dr_buf_free(&value);
    return st;
}

static dr_status put_calls(renderer *r, const dr_message *m)
{
    dr_status st = DR_OK;

    if (m->n_calls == 0)
        return DR_OK;
    put_tag(r->out, "\n\n<", "tool_calls>\n");
    for (size_t i = 0; i < m->n_calls && st == DR_OK; i++) {
        put_tag(r->out, "<", "invoke name=\"");
        put_text(r->out, m->calls[i].name);
        put_text(r->out, DR_STR("\">\n"));
        st = put_arguments(r, m->calls[i].arguments);
        put_tag(r->out, "\n</", "invoke>\n");
    }
    put_tag(r->out, "</", "tool_calls>");
    return st;
}

static dr_status put_body(renderer *r, size_t i)
{
    const turn *t = &r->turns[i];
    dr_prompt *out = r->out;
    dr_status st = DR_OK;

    switch (t->role) {
    case DR_DEVELOPER:
        if (t->m->content.n == 0)
            return dr_fail(r->err, DR_ERR_FORMAT, "a developer message has no content");
        put_control(out, DR_STR(DR_LITERAL_USER));
        /* fall through */
    case DR_SYSTEM:
        put_text(out, t->m->content);
        if ((st = put_tools(r, t->m->tools)) == DR_OK)
            st = put_format(r, t->m->response_format);
        break;
    case DR_REMINDER:
        put_control(out, DR_STR(DR_LITERAL_REMINDER));
        put_text(out, t->m->content);
        break;
    case DR_USER:
        put_control(out, DR_STR(DR_LITERAL_USER));
        for (size_t b = 0; b < t->n_blocks; b++) {
            const block *part = &r->blocks[t->at + b];
            put_text(out, b ? DR_STR("\n\n") : DR_STR(""));
            put_text(out, part->result ? DR_STR("<tool_result>") : DR_STR(""));
            put_text(out, part->text);
            put_text(out, part->result ? DR_STR("</tool_result>") : DR_STR(""));
        }
        break;
    case DR_ASSISTANT:
        if (r->options->thinking && (i == 0 || r->turns[i - 1].task.n == 0) && (!r->drop || (ptrdiff_t)i > r->last_user)) {
            put_text(out, t->reasoning);
            put_control(out, DR_STR(DR_LITERAL_END_THINK));
        }
        put_text(out, t->m->content);
        st = put_calls(r, t->m);
        if (!t->wo_eos)
            put_control(out, DR_STR(DR_LITERAL_EOS));
        break;
    case DR_TOOL: break; /* merged into a user turn */
    }
    return st;
}

/* 4.2: what makes the model speak. */
static void put_tail(renderer *r, size_t i)
{
    const turn *t = &r->turns[i];
    const bool thinking = r->options->thinking;

    if (i + 1 < r->n && r->turns[i + 1].role != DR_ASSISTANT && r->turns[i + 1].role != DR_REMINDER)
        return;
    if (t->task.n > 0) {
        if (dr_str_eq(t->task, DR_STR("action"))) {
            put_control(r->out, DR_STR(DR_LITERAL_ASSISTANT));
            put_control(r->out, thinking ? DR_STR(DR_LITERAL_THINK) : DR_STR(DR_LITERAL_END_THINK));
        }
        put_control(r->out, dr_dialect__task_token(t->task));
    } else if (is_asking(t)) {
        put_control(r->out, DR_STR(DR_LITERAL_ASSISTANT));
        put_control(r->out, thinking && (!r->drop || (ptrdiff_t)i >= r->last_user) ? DR_STR(DR_LITERAL_THINK)
                                                                                     : DR_STR(DR_LITERAL_END_THINK));
    }
}

/* The prefix text of an effort. */
static dr_status find_effort(dr_str *text, const dr_dialect *d, const char *name, dr_error *err)
{
    char names[256] = "";
    size_t n = 0;

    *text = (dr_str){0};
    if (!name)
        return DR_OK;
    for (size_t i = 0; i < d->n_efforts; i++) {
        const dr_effort *e = &d->efforts[i];
        if (dr_str_eq(e->name, dr_str_of(name))) {
            *text = e->text;
            return DR_OK;
        }
        if (n + e->name.n + 3 < sizeof names) {
            memcpy(names + n, i ? ", " : "", i ? 2 : 0);
            n += i ? 2 : 0;
            memcpy(names + n, e->name.s, e->name.n);
            n += e->name.n;
            names[n] = 0;
        }
    }
    return dr_fail(err, DR_ERR_ARG, "this model%s%.*s%s has no effort \"%s\"; it has: %s", d->release.n ? " (" : "", (int)d->release.n,
                   d->release.n ? d->release.s : "", d->release.n ? ")" : "", name, names);
}

dr_status dr_dialect_render(const dr_dialect *d, dr_prompt *out, const dr_message *messages, size_t n,
                            const dr_render_options *options, dr_error *err)
{
    dr_status st = DR_OK;
    renderer r = {.d = d, .options = options, .out = out, .err = err};
    dr_str effort;
    const size_t n_context = options->n_context < n ? options->n_context : n;

    *out = (dr_prompt){0};
    for (size_t i = 0; i < n; i++)
        if (messages[i].task.n > 0 && dr_dialect__task_token(messages[i].task).n == 0)
            return dr_fail(err, DR_ERR_FORMAT, "message %zu: there is no task \"%.*s\"", i, (int)messages[i].task.n,
                           messages[i].task.s);
    r.turns = malloc((n + 1) * sizeof *r.turns);
    r.blocks = malloc((n + 1) * sizeof *r.blocks);
    if (!r.turns || !r.blocks) {
        st = dr_fail(err, DR_ERR_NOMEM, "render: out of memory");
        goto done;
    }
    if ((st = find_effort(&effort, d, options->effort, err)) != DR_OK || (st = merge(&r, messages, 0, n_context, false)) != DR_OK ||
        (st = merge(&r, messages, n_context, n, true)) != DR_OK || (st = sort_results(&r)) != DR_OK ||
        (st = drop_thoughts(&r)) != DR_OK)
        goto done;
    if (!options->no_bos && n_context == 0)
        put_control(out, DR_STR(DR_LITERAL_BOS));
    for (size_t i = 0; i < r.n && st == DR_OK; i++) {
        if (!r.turns[i].is_new)
            continue;
        if (i == 0 && options->thinking)
            put_trained_text(out, effort);
        if ((st = put_body(&r, i)) == DR_OK)
            put_tail(&r, i);
    }
    if (st == DR_OK && out->text.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "render: out of memory");
done:
    if (st != DR_OK)
        dr_prompt_free(out);
    free(r.turns);
    free(r.blocks);
    return st;
}

dr_status dr_prompt_ids(const dr_prompt *p, const dr_tokenizer *t, dr_ids *out, dr_error *err)
{
    char literal[64];

    for (size_t i = 0; i < p->n_segments; i++) {
        const dr_segment *s = &p->segments[i];
        const dr_str text = {p->text.data + s->at, s->n};
        if (!s->control) {
            const dr_status st = dr_tokenizer_encode(t, out, text, false, err);
            if (st != DR_OK)
                return st;
            continue;
        }
        int32_t id = -1;
        if (text.n < sizeof literal) {
            memcpy(literal, text.s, text.n);
            literal[text.n] = 0;
            id = dr_tokenizer_special(t, literal);
        }
        if (id < 0)
            return dr_fail(err, DR_ERR_FORMAT, "the tokenizer has no control token %.*s", (int)text.n, text.s);
        dr_ids_add(out, id);
    }
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "render: out of memory") : DR_OK;
}
