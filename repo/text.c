#include "repo/text.h"

#include "repo/classify.h"

#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

dr_str dr_text_line_at(dr_str text, uint32_t line)
{
    size_t at = 0;
    for (uint32_t i = 1; at < text.n; i++) {
        const char *nl = memchr(text.s + at, '\n', text.n - at);
        const size_t end = nl ? (size_t)(nl - text.s) : text.n;
        if (i == line)
            return (dr_str){text.s + at, end - at};
        at = end + 1;
    }
    return (dr_str){NULL, 0};
}

uint32_t dr_text_n_lines(dr_str text)
{
    uint32_t n = 0;
    for (size_t at = 0; at < text.n; n++) {
        const char *nl = memchr(text.s + at, '\n', text.n - at);
        at = nl ? (size_t)(nl - text.s) + 1 : text.n;
    }
    return n;
}

dr_status dr_text_lines_init(dr_text_lines *l, dr_str text, dr_error *err)
{
    *l = (dr_text_lines){.text = text};
    if (text.n >= UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "a text of %zu bytes", text.n);
    const uint32_t n = dr_text_n_lines(text);
    if (!(l->starts = malloc((n ? n : 1) * sizeof *l->starts)))
        return dr_fail(err, DR_ERR_NOMEM, "lines: out of memory");
    for (size_t at = 0; at < text.n;) {
        l->starts[l->n++] = (uint32_t)at;
        const char *nl = memchr(text.s + at, '\n', text.n - at);
        at = nl ? (size_t)(nl - text.s) + 1 : text.n;
    }
    return DR_OK;
}

void dr_text_lines_fini(dr_text_lines *l)
{
    free(l->starts);
    *l = (dr_text_lines){.text = {NULL, 0}};
}

dr_str dr_text_lines_get(const dr_text_lines *l, uint32_t line)
{
    if (line == 0 || line > l->n)
        return (dr_str){NULL, 0};
    const size_t at = l->starts[line - 1];
    size_t end = line < l->n ? l->starts[line] : l->text.n;
    if (end > at && l->text.s[end - 1] == '\n')
        end--;
    return (dr_str){l->text.s + at, end - at};
}

bool dr_text_is_utf8(dr_str text)
{
    return dr_classify__is_utf8(text);
}

/* What a terminal or a reader could be misled by: controls of both sets, line separators, marks that turn the
 * direction. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Appends one character if it still fits. False: full. */
static bool add_char(dr_buf *out, size_t from, size_t max, const char *s, size_t n)
{
    if (max && out->n - from + n > max)
        return false;
    dr_buf_add(out, s, n);
    return true;
}

/* The character at s made safe: how many bytes to take, and what to show for them. */
static size_t safe_char(const char **show, size_t *n_show, const char *s, size_t n)
{
    uint32_t code;
    const size_t len = dr_classify__utf8_next(&code, s, n);
    if (len == 0 || is_unsafe(code)) {
        *show = replacement;
        *n_show = 3;
        return len ? len : 1;
    }
    *show = s;
    *n_show = len;
    return len;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

void dr_text_excerpt(dr_buf *out, dr_str line, size_t max_bytes)
{
    const size_t from = out->n;
    bool gap = false;

    for (size_t i = 0; i < line.n && !out->failed;) {
        if (is_blank(line.s[i])) {
            gap = out->n > from;
            i++;
            continue;
        }
        const char *show;
        size_t n_show;
        const size_t n = safe_char(&show, &n_show, line.s + i, line.n - i);
        /* a blank only together with what follows, so a cut leaves none at the end */
        if (gap && max_bytes && out->n - from + 1 + n_show > max_bytes)
            break;
        if (gap)
            dr_buf_add(out, " ", 1);
        gap = false;
        if (!add_char(out, from, max_bytes, show, n_show))
            break;
        i += n;
    }
}

void dr_text_show(dr_buf *out, dr_str line, size_t max_bytes)
{
    const size_t from = out->n;
    size_t end = line.n;
    while (end > 0 && (line.s[end - 1] == '\r' || line.s[end - 1] == '\n'))
        end--;
    for (size_t i = 0; i < end && !out->failed;) {
        const char *show = "\t";
        size_t n_show = 1;
        const size_t n = line.s[i] == '\t' ? 1 : safe_char(&show, &n_show, line.s + i, end - i);
        if (!add_char(out, from, max_bytes, show, n_show))
            break;
        i += n;
    }
}

void dr_text_map_line(dr_buf *out, dr_str path, const dr_symbols *sym, size_t file, size_t max_bytes)
{
    enum { MAX_NAMES = 64 }; /* more cannot fit into a line worth reading */
    const uint32_t *defs;
    const size_t n = dr_symbols_outline(sym, file, &defs), limit = max_bytes ? max_bytes : 100, from = out->n;
    size_t n_all;
    const dr_str *names = dr_symbols_names(sym, &n_all);
    uint32_t seen[MAX_NAMES], top_line = 0, end_line = 0;
    size_t n_seen = 0;

    dr_buf_add(out, path.s, path.n);
    for (size_t i = 0; i < n && n_seen < MAX_NAMES; i++) {
        const dr_sym_def *d = dr_symbols_def(sym, defs[i]);
        if (d->kind == DR_SYM_MODULE || dr_sym_kind_rank((dr_sym_kind)d->kind) != 0)
            continue;
        if (d->first_line < end_line ||
            (d->first_line == end_line && top_line < end_line)) /* inside the one before: not at the top */
            continue;
        top_line = d->first_line;
        end_line = d->end_line;
        bool again = false;
        for (size_t k = 0; k < n_seen && !again; k++)
            again = seen[k] == d->name;
        if (again)
            continue;
        const size_t sep = n_seen ? 1 : 2;
        if (out->n - from + sep + names[d->name].n > limit)
            break;
        dr_buf_add(out, n_seen ? " " : ": ", sep);
        dr_buf_add(out, names[d->name].s, names[d->name].n);
        seen[n_seen++] = d->name;
    }
}

/* Where line `line` starts; text.n past the end. */
static size_t line_start(dr_str text, uint32_t line)
{
    size_t at = 0;
    for (uint32_t i = 1; i < line && at < text.n; i++) {
        const char *nl = memchr(text.s + at, '\n', text.n - at);
        at = nl ? (size_t)(nl - text.s) + 1 : text.n;
    }
    return at;
}

void dr_text_signature(dr_buf *out, dr_str text, const dr_sym_def *d, size_t max_bytes)
{
    const bool value = d->kind == DR_SYM_CONSTANT || d->kind == DR_SYM_VARIABLE || d->kind == DR_SYM_FIELD ||
                       d->kind == DR_SYM_MEMBER || d->kind == DR_SYM_ENUMERATOR;
    const bool has_body = d->body_at != DR_SYM_NO_BODY;
    const size_t from = line_start(text, d->first_line);
    size_t end = from + line_start((dr_str){text.s + from, text.n - from},
                                   (value && !has_body ? d->line : d->end_line) - d->first_line + 2);
    if (has_body && d->body_at > from && d->body_at < end)
        end = d->body_at;
    const dr_str all = {text.s + from, end - from};
    const char *open = d->kind == DR_SYM_TYPE ? memchr(all.s, '{', all.n) : NULL,
               *close = open ? memrchr(all.s, '}', all.n) : NULL;
    if (close && close > open) {
        dr_buf short_form = {0};
        dr_buf_add(&short_form, all.s, (size_t)(open - all.s));
        dr_buf_str(&short_form, "{ ... ");
        dr_buf_add(&short_form, close, (size_t)(all.s + all.n - close));
        out->failed |= short_form.failed;
        dr_text_excerpt(out, dr_buf_view(&short_form), max_bytes);
        dr_buf_free(&short_form);
        return;
    }
    const size_t before = out->n;
    dr_text_excerpt(out, all, max_bytes);
    while (out->n > before && has_body && !out->failed && strchr("{ \\", out->data[out->n - 1]))
        out->data[--out->n] = 0;
}

void dr_text_unit_head(dr_buf *out, dr_str path, uint32_t n_lines)
{
    dr_buf_str(out, "file ");
    dr_buf_add(out, path.s, path.n);
    dr_buf_printf(out, " lines %u", n_lines);
}

void dr_text_unit_body(dr_buf *out, dr_str content)
{
    dr_buf_add(out, "\n", 1);
    for (size_t i = 0; i < content.n && !out->failed;) {
        const size_t start = i;
        while (i < content.n) { /* the longest run that needs no change */
            uint32_t code;
            const size_t len = dr_classify__utf8_next(&code, content.s + i, content.n - i);
            if (len == 0 || code == 0)
                break;
            i += len;
        }
        dr_buf_add(out, content.s + start, i - start);
        if (i < content.n) {
            dr_buf_add(out, replacement, 3);
            i++;
        }
    }
    if (content.n && content.s[content.n - 1] != '\n')
        dr_buf_add(out, "\n", 1);
}
