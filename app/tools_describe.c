/* app/tools_describe.c: what a name says of itself: all of it, or one part. */
#include "app/tools_parts.h"

#include "repo/details.h"

/* MAX_READ: a name may have thousands of definitions: those behind so many count as having the part when their kind may have it. */
enum { MAX_BLOCKS = 3, MAX_READ = 64 };
#define ALL_PARTS DR_N_TOOLS

typedef struct describer {
    dr_tool_result *r;
    const dr_workspace *w;
    dr_tool_reader read;
    dr_syntax *syntax; /* of the file that was read last; NULL: none yet */
    uint32_t file;
    dr_details parts;
    size_t n_blocks, n_more;
    dr_tool_id only; /* DR_TOOL_DESCRIBE: all parts */
} describer;

/* Only these kinds can have the part (repo/details.h). */
static bool may_have(dr_tool_id part, const dr_sym_def *d)
{
    const bool runs = d->kind == DR_SYM_FUNCTION || d->kind == DR_SYM_METHOD || d->kind == DR_SYM_PROTOTYPE;
    const bool is_value = d->kind == DR_SYM_MACRO || d->kind == DR_SYM_CONSTANT || d->kind == DR_SYM_VARIABLE || d->kind == DR_SYM_FIELD ||
                          d->kind == DR_SYM_MEMBER || d->kind == DR_SYM_ENUMERATOR;
    switch (part) {
    case DR_TOOL_PARAMETERS: return runs || d->kind == DR_SYM_MACRO;
    case DR_TOOL_RETURNS: return runs;
    case DR_TOOL_FIELDS: return !runs && !is_value;
    case DR_TOOL_VALUE: return is_value;
    case DR_TOOL_COMMENT: return d->doc_line > 0;
    default: return true;
    }
}

/* The block of one definition: its parts, a line each. One without the part that is asked for has none. */
static dr_status add_block(describer *x, dr_str name, const dr_sym_def *d, dr_error *err)
{
    dr_status st = DR_OK;
    dr_tool_result *r = x->r;
    const dr_details *parts = &x->parts;
    dr_place *place;
    bool has = x->only == DR_TOOL_DESCRIBE;
    const struct {
        const char *label;
        const dr_buf *part;
        int hole; /* -1: none */
        dr_tool_id tool; /* whose part it is; DR_TOOL_DESCRIBE: of no other */
    } lines[] = {{"signature", &parts->signature, DR_HOLE_SIGNATURE, DR_TOOL_DESCRIBE},
                 {"parameters", &parts->parameters, DR_HOLE_PARAMETERS, DR_TOOL_PARAMETERS},
                 {"returns", &parts->returns, DR_HOLE_RETURNS, DR_TOOL_RETURNS},
                 {"fields", &parts->fields, DR_HOLE_FIELDS, DR_TOOL_FIELDS},
                 {"value", &parts->value, DR_HOLE_VALUE, DR_TOOL_VALUE},
                 {"line", &parts->line, -1, DR_TOOL_VALUE},
                 {"doc", &parts->doc, DR_HOLE_DOC, DR_TOOL_COMMENT}};
    const size_t n_lines = sizeof lines / sizeof *lines;

    if (!x->syntax || x->file != d->file) {
        dr_syntax_close(x->syntax); /* before the text it borrows is another one */
        x->syntax = NULL;
        x->file = d->file;
        const dr_str text = dr_tool__text(&x->read, d->file);
        if ((st = dr_syntax_open(&x->syntax, dr_lang_of(dr_tool__path(x->w, d->file), text), text, err)) != DR_OK)
            return st;
    }
    if ((st = dr_details_read(&x->parts, x->syntax, name, d, err)) != DR_OK)
        return st;
    /* Instead of a comment the signature, or the value of what has none. */
    const dr_tool_id shown = x->only != DR_TOOL_DESCRIBE  ? x->only
                             : r->tool != DR_TOOL_COMMENT ? ALL_PARTS
                             : parts->signature.n         ? DR_TOOL_DESCRIBE
                                                          : DR_TOOL_VALUE;
    for (size_t i = 0; i < n_lines; i++)
        has = has || (lines[i].tool == x->only && lines[i].hole >= 0 && lines[i].part->n);
    if (!has)
        return DR_OK;
    if (x->n_blocks == MAX_BLOCKS) {
        x->n_more++;
        return DR_OK;
    }
    x->n_blocks++;
    if ((st = dr_tool__add_place(r, r->tool, d->file, d->line, &place, err)) != DR_OK)
        return st;
    place->declaration = d->kind == DR_SYM_PROTOTYPE;
    if (r->text.n)
        dr_buf_add(&r->text, "\n\n", 2);
    dr_tool__add_str(&r->text, dr_tool__path(x->w, d->file));
    dr_buf_printf(&r->text, ":%u: %s", d->line, dr_sym_kind_name((dr_sym_kind)d->kind));
    for (size_t i = 0; i < n_lines && st == DR_OK; i++) {
        if (!lines[i].part->n || !(lines[i].tool == shown || shown == ALL_PARTS))
            continue;
        dr_buf_printf(&r->text, "\n%s: ", lines[i].label);
        dr_tool__add_str(&r->text, dr_buf_view(lines[i].part));
        if (lines[i].hole >= 0)
            st = dr_tool__set_hole(r, place, (dr_hole)lines[i].hole, dr_buf_view(lines[i].part), err);
    }
    return st;
}

/* Every part of the first definitions; instead of a comment the signature alone. */
static dr_status describe_all(describer *x, dr_str name, const dr_sym_def *defs, size_t n_all, size_t n, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t shown = n_all < MAX_BLOCKS ? n_all : MAX_BLOCKS;
    bool documented = false;

    x->only = DR_TOOL_DESCRIBE;
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        st = add_block(x, name, &defs[i], err);
        documented = documented || defs[i].doc_line;
    }
    for (size_t i = n_all; i < n && st == DR_OK && !documented && shown < MAX_BLOCKS; i++)
        if (defs[i].doc_line) {
            st = add_block(x, name, &defs[i], err);
            documented = true;
        }
    x->n_more = n_all - shown;
    return st;
}

/* One part of the first definitions that have it. */
static dr_status describe_part(describer *x, dr_str name, const dr_sym_def *defs, size_t n_all, size_t n, dr_error *err)
{
    dr_status st = DR_OK;
    size_t n_read = 0;

    for (size_t i = 0; i < n && st == DR_OK; i++) {
        if (i >= n_all && (x->only != DR_TOOL_COMMENT || n_read))
            break;
        if (!may_have(x->only, &defs[i]))
            continue;
        if (n_read++ < MAX_READ)
            st = add_block(x, name, &defs[i], err);
        else
            x->n_more++;
    }
    return st;
}

/* Declarations say nothing that their definition does not, but for a comment that stands in the header only. */
dr_status dr_tool__describe(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL;
    const size_t n = dr_tool__definitions(&defs, r, w, name);
    describer x = {.r = r, .w = w, .read = {.w = w}, .only = r->tool};
    size_t n_better = 0;

    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, name);
        return DR_OK;
    }
    while (n_better < n && dr_sym_kind_rank((dr_sym_kind)defs[n_better].kind) < 2)
        n_better++;
    const size_t n_all = n_better ? n_better : n;
    if (r->tool != DR_TOOL_DESCRIBE)
        st = describe_part(&x, name, defs, n_all, n, err);
    if (st == DR_OK && x.n_blocks == 0) /* it has no such part: what it has instead */
        st = describe_all(&x, name, defs, n_all, n, err);
    dr_tool__add_more(r, x.n_more);
    dr_details_fini(&x.parts);
    dr_syntax_close(x.syntax);
    dr_buf_free(&x.read.text);
    return st;
}
