#include "app/pack_text.h"

#include "repo/text.h"

#include <string.h>

/* Where a text of more than DR_PACK_LINE_BYTES may be cut: not inside a UTF-8 character. */
static size_t char_border(const char *s, size_t at)
{
    for (int i = 0; i < 3 && at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80; i++)
        at--;
    return at;
}

/* A NUL would end the text for whoever prints it; it has no other meaning in source. */
static void add_without_nul(dr_buf *out, const char *s, size_t n)
{
    while (n) {
        const char *nul = memchr(s, 0, n);
        const size_t run = nul ? (size_t)(nul - s) : n;
        dr_buf_add(out, s, run);
        if (!nul)
            return;
        dr_buf_str(out, "\xef\xbf\xbd");
        s += run + 1;
        n -= run + 1;
    }
}

uint32_t dr_pack_text_cut(dr_buf *out, dr_str text)
{
    uint32_t n_lines = 0, n_cut = 0;
    size_t from = 0; /* start of what is copied as it is */
    size_t stop = text.n;

    for (size_t at = 0; at < text.n;) {
        const char *nl = memchr(text.s + at, '\n', text.n - at);
        const size_t end = nl ? (size_t)(nl - text.s) : text.n, next = nl ? end + 1 : end;

        n_lines++;
        if (next > DR_PACK_TEXT_BYTES && at > 0) { /* a first line is shown, however long: the line cut bounds it */
            if (!n_cut++)
                stop = at;
        } else if (end - at > DR_PACK_LINE_BYTES) {
            const size_t keep = char_border(text.s, at + DR_PACK_LINE_BYTES);
            add_without_nul(out, text.s + from, keep - from);
            dr_buf_printf(out, " [cut: %zu bytes]", end - keep);
            from = end;
        }
        at = next;
    }
    add_without_nul(out, text.s + from, stop - from);
    if (n_cut)
        dr_buf_printf(out, "[cut: %u lines, %zu bytes]\n", n_cut, text.n - stop);
    return n_lines;
}

uint32_t dr_pack_text_body(dr_buf *out, dr_str text)
{
    dr_buf_add(out, "\n", 1);
    const uint32_t n_lines = dr_pack_text_cut(out, text);
    if (text.n && !out->failed && out->data[out->n - 1] != '\n')
        dr_buf_add(out, "\n", 1);
    return n_lines;
}

void dr_pack_text_head(dr_buf *out, const char *verb, dr_str path, uint32_t n_lines)
{
    dr_buf_str(out, verb);
    dr_buf_add(out, " ", 1);
    dr_buf_add(out, path.s, path.n);
    dr_buf_printf(out, " lines %u", n_lines);
}

/* What says how to use a file: not what lies inside a function, no enumerators, and fields only as part of their struct. */
static bool worth_showing(const dr_sym_def *d, uint32_t function_end)
{
    if (d->first_line <= function_end)
        return false;
    switch ((dr_sym_kind)d->kind) {
    case DR_SYM_VARIABLE:
    case DR_SYM_FIELD:
    case DR_SYM_MEMBER:
    case DR_SYM_ENUMERATOR: return false;
    default: return true;
    }
}

void dr_pack_text_signatures(dr_buf *out, dr_str text, const dr_symbols *s, size_t file)
{
    enum { MAX_BYTES = 200 };
    const uint32_t *defs = NULL;
    const size_t n = dr_symbols_outline(s, file, &defs);
    uint32_t function_end = 0, last = 0;

    dr_buf_add(out, "\n", 1);
    for (size_t i = 0; i < n; i++) {
        const dr_sym_def *d = dr_symbols_def(s, defs[i]);
        if (!worth_showing(d, function_end) || d->line == last)
            continue;
        last = d->line;
        if (d->kind == DR_SYM_FUNCTION || d->kind == DR_SYM_METHOD)
            function_end = d->end_line;
        dr_buf_printf(out, "%u: ", d->line);
        dr_text_signature(out, text, d, MAX_BYTES);
        dr_buf_add(out, "\n", 1);
    }
}

void dr_pack_text_commit(dr_buf *out, const char *hex)
{
    dr_buf_add(out, hex, strnlen(hex, 12));
}

void dr_pack_text_name(dr_buf *out, dr_str name)
{
    const bool quoted = memchr(name.s, ' ', name.n) != NULL;
    if (quoted)
        dr_buf_add(out, "\"", 1);
    dr_buf_add(out, name.s, name.n);
    if (quoted)
        dr_buf_add(out, "\"", 1);
}
