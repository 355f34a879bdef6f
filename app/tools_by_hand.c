#include "app/tools_parts.h"

#include "repo/history.h"
#include "repo/symbol_changes.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 2000 };

dr_status dr_tool__callees(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL, *callee;
    const size_t n = dr_tool__definitions(&defs, r, w, name);
    size_t n_names, n_lines = 0;
    const dr_str *names = dr_symbols_names(w->symbols, &n_names);

    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, name);
        return DR_OK;
    }
    for (size_t i = 0; i < n && st == DR_OK; i++) {
        dr_sym_call *calls = NULL;
        size_t n_calls = 0;
        dr_error inner = {0};
        const dr_status read = dr_sym_kind_rank((dr_sym_kind)defs[i].kind) == 0
                                   ? dr_symbols_callees(&calls, &n_calls, w->symbols, w->repo, NULL, &defs[i], &inner)
                                   : DR_OK;
        if (read == DR_ERR_NOMEM)
            st = dr_fail(err, read, "%s", inner.msg);
        for (size_t k = 0; k < n_calls && n_lines < MAX_LINES && st == DR_OK; k++, n_lines++) {
            const size_t n_defs = dr_symbols_find(w->symbols, names[calls[k].name], &callee);
            dr_tool__begin_line(r);
            dr_tool__add_str(&r->text, dr_repo_file_at(w->repo, defs[i].file)->path);
            dr_buf_printf(&r->text, ":%u: ", calls[k].line);
            dr_tool__add_str(&r->text, names[calls[k].name]);
            dr_buf_str(&r->text, " at ");
            dr_tool__add_str(&r->text, dr_repo_file_at(w->repo, callee->file)->path);
            dr_buf_printf(&r->text, ":%u", callee->line);
            if (n_defs > 1)
                dr_buf_printf(&r->text, " and %zu more", n_defs - 1);
            st = dr_tool__add_place(r, DR_TOOL_CALLEES, defs[i].file, calls[k].line, NULL, err);
        }
        free(calls);
    }
    if (n_lines == 0 && st == DR_OK) {
        r->outcome = DR_TOOL_NOTHING;
        dr_tool__add_str(&r->text, name);
        dr_buf_str(&r->text, " calls nothing that is defined here");
    }
    return st;
}

/* "A..B", "A.." and "A" to two commits; what is left out is the snapshot's own. */
static dr_status resolve(char from[41], char to[41], dr_history *h, const dr_repo *repo, dr_str range, dr_error *err)
{
    char text[512];
    if (range.n >= sizeof text || memchr(range.s, 0, range.n))
        return dr_fail(err, DR_ERR_NOT_FOUND, "no such commits");
    memcpy(text, range.s, range.n);
    text[range.n] = 0;
    char *dots = strstr(text, "..");
    const char *last = dots ? dots + 2 : "";
    if (dots)
        *dots = 0;
    if (!*last)
        last = dr_repo_identity(repo)->commit;
    const dr_status st = dr_history_resolve(from, h, text, err);
    return st == DR_OK ? dr_history_resolve(to, h, last, err) : st;
}

dr_status dr_tool__changes(dr_tool_result *r, const dr_workspace *w, dr_str range, dr_error *err)
{
    dr_status st = DR_OK;
    dr_history *history = NULL;
    dr_sym_changes c = {0};
    dr_error inner = {0};
    char from[41], to[41];

    if ((st = dr_history_open(&history, w->repo, &inner)) != DR_OK ||
        (st = resolve(from, to, history, w->repo, range, &inner)) != DR_OK ||
        (st = dr_symbol_changes_between(&c, w->repo, from, to, &inner)) != DR_OK) {
        if (st == DR_ERR_NOMEM || st == DR_ERR_CANCELLED) {
            st = dr_fail(err, st, "%s", inner.msg);
        } else {
            dr_tool__wrong(r, inner.msg);
            st = DR_OK;
        }
        goto done;
    }
    const size_t shown = c.n < MAX_LINES ? c.n : MAX_LINES;
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        const dr_sym_change *x = &c.v[i];
        const uint32_t line = x->new_line ? x->new_line : x->old_line;
        size_t file;
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, x->path);
        dr_buf_printf(&r->text, ":%u: %s %s ", line, dr_sym_change_name(x->kind), dr_sym_kind_name(x->sym));
        dr_tool__add_str(&r->text, x->name);
        if (x->container.n) {
            dr_buf_str(&r->text, " in ");
            dr_tool__add_str(&r->text, x->container);
        }
        if (x->new_line && dr_repo_find(w->repo, x->path, &file))
            st = dr_tool__add_place(r, DR_TOOL_CHANGES, (uint32_t)file, line, NULL, err);
    }
    dr_tool__add_more(r, c.n - shown);
    if (c.n == 0) {
        r->outcome = DR_TOOL_NOTHING;
        dr_buf_str(&r->text, "no definition changed");
    }
    if (c.n_unread)
        dr_buf_printf(&r->text, "\n%u file%s could not be read on one side", c.n_unread, c.n_unread == 1 ? "" : "s");
done:
    dr_symbol_changes_fini(&c);
    dr_history_close(history);
    return st;
}
