/* A completion from anywhere: the result is always JSON, the events are the same in pieces, and each call that is reported stands in the
 * text: its bytes, put alone into a block, are that call, by the letter of the format. */
#include "engine/dialect.h"
#include "engine/dialect_stream.h"
#include "engine/json.h"
#include "tests/engine/strict_completion.h"

#include <stdlib.h>
#include <string.h>

#define D "\xef\xbd\x9c" "DSML\xef\xbd\x9c"
#define EOS "<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"

static void check_call(dr_str text, const dr_completion_event *e, dr_str name)
{
    dr_buf alone = {0};
    strict_completion s;

    if (e->at > text.n || e->n > text.n - e->at)
        abort();
    dr_buf_str(&alone, "\n\n<" D "tool_calls>\n");
    dr_buf_add(&alone, text.s + e->at, e->n);
    dr_buf_str(&alone, "\n</" D "tool_calls>" EOS);
    if (!strict_parse(&s, dr_buf_view(&alone), false) || s.n_calls != 1 || !dr_str_eq(s.calls[0].name, name) ||
        !dr_str_eq(dr_buf_view(&s.calls[0].arguments), e->text))
        abort();
    strict_free(&s);
    dr_buf_free(&alone);
}

/* The events as bytes, neighbours of one kind joined. */
static void read_events(dr_buf *out, dr_str text, const dr_completion_options *options, size_t step)
{
    dr_completion_reader *r;
    dr_completion_event e;
    dr_buf name = {0};
    int last = -1;

    if (dr_completion_reader_new(&r, options, NULL) != DR_OK)
        abort();
    for (size_t at = 0; at <= text.n; at += step) { /* at text.n: the end, once */
        const size_t n = text.n - at < step ? text.n - at : step;
        if ((n ? dr_completion_feed(r, (dr_str){text.s + at, n}, DR_PIECE_BYTES, NULL) : DR_OK) != DR_OK)
            abort();
        const bool end = at + n == text.n;
        for (int round = 0; round < 1 + end; round++) {
            if (round == 1 && dr_completion_end(r, NULL) != DR_OK)
                abort();
            while (dr_completion_next(r, &e)) {
                if ((int)e.kind != last || e.kind > DR_COMPLETION_ARGUMENTS || e.kind == DR_COMPLETION_CALL)
                    dr_buf_printf(out, "\n%d ", (int)e.kind);
                last = (int)e.kind;
                dr_buf_add(out, e.text.s, e.text.n);
                if (e.kind == DR_COMPLETION_CALL) {
                    dr_buf_clear(&name);
                    dr_buf_add(&name, e.text.s, e.text.n);
                } else if (e.kind == DR_COMPLETION_CALL_END)
                    check_call(text, &e, dr_buf_view(&name));
            }
        }
        if (end)
            break;
    }
    if (last != DR_COMPLETION_FINISH)
        abort();
    dr_buf_free(&name);
    dr_completion_reader_free(r);
}

static void check_whole(dr_str text, bool thinking)
{
    dr_completion c;
    dr_buf json = {0};
    dr_json_doc doc;

    if (dr_completion_parse(&c, text, thinking, NULL) != DR_OK || (c.malformed && (c.n_calls > 0 || !dr_str_eq(c.content, text))))
        abort();
    for (size_t i = 0; i < c.n_calls; i++)
        if (c.calls[i].arguments.n < 2 || c.calls[i].name.n == 0)
            abort();
    dr_completion_free(&c);
    if (dr_dialect_parse(NULL, &json, text, thinking, NULL) != DR_OK ||
        dr_json_parse(&doc, dr_buf_view(&json), "result", NULL) != DR_OK)
        abort();
    dr_json_free(&doc);
    dr_buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const dr_str tools[] = {{"f", 1}, {"g", 1}};
    const dr_str text = {(const char *)data, n};

    for (unsigned bits = 0; bits < 4; bits++) {
        const dr_completion_options options = {.thinking = bits & 1, .tools = tools, .n_tools = bits & 2 ? 2 : 0};
        dr_buf whole = {0}, pieces = {0};
        read_events(&whole, text, &options, n + 1);
        read_events(&pieces, text, &options, 1 + n % 7);
        if (!dr_str_eq(dr_buf_view(&whole), dr_buf_view(&pieces)))
            abort();
        dr_buf_free(&whole);
        dr_buf_free(&pieces);
        check_whole(text, bits & 1);
    }
    return 0;
}
