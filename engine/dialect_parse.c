/* Whole completions: the reader of dialect_stream.h, fed once. */
#include "engine/dialect_parts.h"
#include "engine/dialect_stream.h"

#include <stdlib.h>
#include <string.h>

typedef struct storage {
    char *text; /* a copy of the completion, for when it is malformed */
    dr_completion_reader *reader; /* the events' texts, until it is freed */
    dr_buf content, reasoning, strings; /* strings: names and arguments of the calls, one behind the other */
    dr_tool_call *calls;
    size_t n_calls, cap;
} storage;

void dr_completion_free(dr_completion *c)
{
    storage *keep = c->storage;

    if (keep) {
        dr_completion_reader_free(keep->reader);
        dr_buf_free(&keep->content);
        dr_buf_free(&keep->reasoning);
        dr_buf_free(&keep->strings);
        free(keep->calls);
        free(keep->text);
        free(keep);
    }
    *c = (dr_completion){0};
}

/* Names and arguments as lengths; the strings may still move. */
static bool add_call(storage *keep, dr_str name)
{
    if (keep->n_calls == keep->cap) {
        const size_t cap = keep->cap ? 2 * keep->cap : 4;
        dr_tool_call *grown = realloc(keep->calls, cap * sizeof *grown);
        if (!grown)
            return false;
        keep->calls = grown;
        keep->cap = cap;
    }
    keep->calls[keep->n_calls++] = (dr_tool_call){.name = {NULL, name.n}};
    dr_buf_add(&keep->strings, name.s, name.n);
    return true;
}

static bool take_events(dr_completion *out, storage *keep)
{
    dr_completion_event e;

    while (dr_completion_next(keep->reader, &e))
        switch (e.kind) {
        case DR_COMPLETION_REASONING: dr_buf_add(&keep->reasoning, e.text.s, e.text.n); break;
        case DR_COMPLETION_CONTENT: dr_buf_add(&keep->content, e.text.s, e.text.n); break;
        case DR_COMPLETION_CALL:
            if (!add_call(keep, e.text))
                return false;
            break;
        case DR_COMPLETION_ARGUMENTS: break; /* the end of the call brings them all */
        case DR_COMPLETION_CALL_END:
            keep->calls[keep->n_calls - 1].arguments.n = e.text.n;
            dr_buf_add(&keep->strings, e.text.s, e.text.n);
            break;
        case DR_COMPLETION_MALFORMED: out->malformed = e.text.s; break;
        case DR_COMPLETION_FINISH: out->complete = e.complete; break;
        }
    return !keep->content.failed && !keep->reasoning.failed && !keep->strings.failed;
}

dr_status dr_completion_parse(dr_completion *out, dr_str completion, bool thinking, dr_error *err)
{
    const dr_completion_options options = {.thinking = thinking};
    storage *keep = calloc(1, sizeof *keep);

    *out = (dr_completion){.storage = keep};
    if (!keep || !(keep->text = malloc(completion.n + 1)) ||
        dr_completion_reader_new(&keep->reader, &options, err) != DR_OK ||
        dr_completion_feed(keep->reader, completion, DR_PIECE_BYTES, err) != DR_OK || !take_events(out, keep) ||
        dr_completion_end(keep->reader, err) != DR_OK || !take_events(out, keep)) {
        dr_completion_free(out);
        return dr_fail(err, DR_ERR_NOMEM, "completion: out of memory");
    }
    dr_completion_reader_free(keep->reader);
    keep->reader = NULL;
    if (out->malformed) {
        if (completion.n)
            memcpy(keep->text, completion.s, completion.n);
        out->content = (dr_str){keep->text, completion.n};
        return DR_OK;
    }
    out->content = (dr_str){keep->content.n ? keep->content.data : "", keep->content.n};
    out->reasoning = (dr_str){keep->reasoning.n ? keep->reasoning.data : "", keep->reasoning.n};
    out->calls = keep->calls;
    out->n_calls = keep->n_calls;
    const char *at = keep->strings.data;
    for (size_t i = 0; i < out->n_calls; i++) {
        out->calls[i].name.s = at;
        out->calls[i].arguments.s = at += out->calls[i].name.n;
        at += out->calls[i].arguments.n;
    }
    return DR_OK;
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
