/* app/tools_names.c: tools that are given a name: where it is defined and used, who calls whom. */
#include "app/tools_parts.h"

#include "repo/syntax.h"
#include "repo/text.h"
#include "repo/word_uses.h"

#include <stdlib.h>
#include <string.h>

void dr_tool__no_symbol(dr_tool_result *r, const dr_symbols *symbols, dr_str name)
{
    r->outcome = DR_TOOL_NO_SYMBOL;
    r->n_similar = dr_symbols_similar(symbols, name, r->similar);
    dr_buf_str(&r->text, "no symbol named ");
    dr_tool__add_str(&r->text, name);
    for (size_t i = 0; i < r->n_similar; i++) {
        dr_buf_str(&r->text, i ? ", " : "\nsimilar: ");
        dr_tool__add_str(&r->text, r->similar[i]);
    }
}

dr_status dr_tool__find_symbol(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str place, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL;
    size_t n = dr_tool__definitions(&defs, r, w, name), i;
    dr_tool_reader read = {.w = w};

    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, name);
        return DR_OK;
    }
    if (place.n)
        n = dr_tool__definitions_in(&defs, r, w, n, place);
    for (i = 0; i < n && i < (size_t)w->result_lines && st == DR_OK; i++) {
        dr_place *at;
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_tool__path(w, defs[i].file));
        dr_buf_printf(&r->text, ":%u: %s ", defs[i].line, dr_sym_kind_name((dr_sym_kind)defs[i].kind));
        dr_tool__add_excerpt(&r->text, &read, defs[i].file, defs[i].line);
        if ((st = dr_tool__add_place(r, r->tool, defs[i].file, defs[i].line, &at, err)) == DR_OK)
            at->declaration = defs[i].kind == DR_SYM_PROTOTYPE;
    }
    dr_tool__add_more(r, n - i);
    dr_buf_free(&read.text);
    return st;
}

/* Uses by the symbol table; of a name that is defined nowhere here, by a search for the word. *uses: to be freed. */
static dr_status uses_of(dr_word_use **uses, size_t *n, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_ref *refs = NULL;
    const dr_sym_def *defs = NULL;

    *n = dr_symbols_refs(w->symbols, name, &refs);
    if (*n == 0 && dr_symbols_find(w->symbols, name, &defs) == 0)
        st = dr_word_uses(uses, n, w->repo, name, w->pool, w->cancel, err);
    else if (*n && !(*uses = calloc(*n, sizeof **uses)))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; st == DR_OK && refs && *uses && i < *n; i++)
        (*uses)[i] = (dr_word_use){refs[i].file, refs[i].line, refs[i].is_call};
    return st;
}

dr_status dr_tool__find_refs(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const bool calls_only = r->tool == DR_TOOL_CALL_SITES;
    dr_word_use *uses = NULL;
    size_t n = 0, n_names;
    const dr_str *names = dr_symbols_names(w->symbols, &n_names);
    dr_tool_reader read = {.w = w};

    if ((st = uses_of(&uses, &n, w, name, err)) != DR_OK)
        goto done;
    while (calls_only && n && !uses[n - 1].is_call) /* calls come first */
        n--;
    const size_t shown = n < (size_t)w->result_lines ? n : (size_t)w->result_lines;
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        const dr_sym_def *around = dr_symbols_enclosing(w->symbols, uses[i].file, uses[i].line);
        const dr_str enclosing = around ? names[around->name] : DR_STR("(top level)");
        dr_place *place;
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_tool__path(w, uses[i].file));
        dr_buf_printf(&r->text, ":%u: ", uses[i].line);
        if (calls_only)
            dr_tool__add_argument(&r->text, dr_tool__text(&read, uses[i].file), uses[i].line, name);
        else
            dr_buf_str(&r->text, uses[i].is_call ? "call" : "use");
        dr_buf_str(&r->text, " in ");
        dr_tool__add_str(&r->text, enclosing);
        dr_buf_str(&r->text, ": ");
        dr_tool__add_excerpt(&r->text, &read, uses[i].file, uses[i].line);
        if ((st = dr_tool__add_place(r, r->tool, uses[i].file, uses[i].line, &place, err)) == DR_OK)
            place->hole[DR_HOLE_ENCLOSING] = enclosing;
    }
    dr_tool__add_more(r, n - shown);
    if (n == 0)
        dr_tool__nothing(r, calls_only ? "no calls of" : "no references to", name);
done:
    free(uses);
    dr_buf_free(&read.text);
    return st;
}

/* ---- calls ---- */

typedef struct call_line {
    uint32_t file, line;
    bool is_call;
} call_line;

static int by_kind_and_place(const void *a, const void *b)
{
    const call_line *x = a, *y = b;
    if (x->is_call != y->is_call)
        return x->is_call ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static dr_status add_call(call_line **v, size_t *n, call_line one, dr_error *err)
{
    if ((*n & (*n - 1)) == 0) {
        call_line *grown = realloc(*v, (*n ? 2 * *n : 1) * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        *v = grown;
    }
    (*v)[(*n)++] = one;
    return DR_OK;
}

static bool within(const dr_sym_def *d, uint32_t file, uint32_t line)
{
    return d->file == file && line > 0 && line >= d->first_line && line <= d->end_line && dr_sym_kind_rank((dr_sym_kind)d->kind) == 0;
}

/* A name that this snapshot does not define has no recorded uses: the caller's own file is searched for the word. */
static dr_status search_word(call_line **v, size_t *n, const dr_workspace *w, dr_tool_reader *read, const dr_sym_def *d, dr_str callee,
                             dr_error *err)
{
    dr_status st = DR_OK;
    dr_syntax *syntax = NULL;
    dr_syntax_place *places = NULL;
    size_t n_places = 0;
    const dr_str text = dr_tool__text(read, d->file);

    if ((st = dr_syntax_open(&syntax, dr_lang_of(dr_tool__path(w, d->file), text), text, err)) != DR_OK ||
        (st = dr_syntax_names(&places, &n_places, syntax, callee, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < n_places && st == DR_OK; i++) {
        const size_t end = places[i].at + callee.n;
        if (within(d, d->file, places[i].line) && !(*n && (*v)[*n - 1].file == d->file && (*v)[*n - 1].line == places[i].line))
            st = add_call(v, n, (call_line){d->file, places[i].line, end < text.n && text.s[end] == '('}, err);
    }
done:
    free(places);
    dr_syntax_close(syntax);
    return st;
}

dr_status dr_tool__calls(dr_tool_result *r, const dr_workspace *w, dr_str caller, dr_str callee, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL, *other = NULL;
    const dr_sym_ref *refs = NULL;
    const size_t n_defs = dr_tool__definitions(&defs, r, w, caller), n_refs = dr_symbols_refs(w->symbols, callee, &refs);
    const bool known = dr_symbols_find(w->symbols, callee, &other) > 0;
    dr_tool_reader read = {.w = w};
    call_line *found = NULL;
    size_t n = 0;

    if (n_defs == 0) {
        dr_tool__no_symbol(r, w->symbols, caller);
        return DR_OK;
    }
    for (size_t i = 0; i < n_refs && st == DR_OK; i++)
        for (size_t k = 0; k < n_defs; k++)
            if (within(&defs[k], refs[i].file, refs[i].line)) {
                st = add_call(&found, &n, (call_line){refs[i].file, refs[i].line, refs[i].is_call}, err);
                break;
            }
    for (size_t k = 0; k < n_defs && !known && st == DR_OK; k++)
        if (dr_sym_kind_rank((dr_sym_kind)defs[k].kind) == 0)
            st = search_word(&found, &n, w, &read, &defs[k], callee, err);
    if (n)
        qsort(found, n, sizeof *found, by_kind_and_place);
    size_t kept = 0; /* definitions may lie in one another */
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_kind_and_place(&found[kept - 1], &found[i]) != 0)
            found[kept++] = found[i];
    n = kept;
    const size_t shown = n < (size_t)w->result_lines ? n : (size_t)w->result_lines;
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_tool__path(w, found[i].file));
        dr_buf_printf(&r->text, ":%u: ", found[i].line);
        dr_tool__add_excerpt(&r->text, &read, found[i].file, found[i].line);
        st = dr_tool__add_place(r, DR_TOOL_CALLS, found[i].file, found[i].line, NULL, err);
    }
    dr_tool__add_more(r, n - shown);
    if (n == 0 && st == DR_OK) {
        r->outcome = DR_TOOL_NOTHING;
        dr_tool__add_str(&r->text, caller);
        dr_buf_str(&r->text, " does not call ");
        dr_tool__add_str(&r->text, callee);
    }
    free(found);
    dr_buf_free(&read.text);
    return st;
}
