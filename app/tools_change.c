/* app/tools_change.c: edits of one call whose arguments stand in the question: where the change belongs is found here. Staged like any other. */
#include "app/edit.h"
#include "app/tools_parts.h"
#include "repo/edit_points.h"

#include <stdlib.h>
#include <string.h>

/* MAX_READ: a name may have thousands of definitions: those in files behind so many count as having a value. */
enum { MAX_READ = 256 };

/* "FILE:LINE", and its place. */
static dr_status add_place(dr_tool_result *r, const dr_workspace *w, uint32_t file, uint32_t line, dr_error *err)
{
    dr_tool__add_str(&r->text, dr_tool__path(w, file));
    dr_buf_printf(&r->text, ":%u", line);
    return dr_tool__add_place(r, r->tool, file, line, NULL, err);
}

static dr_status add_definition(dr_tool_result *r, const dr_workspace *w, uint32_t file, uint32_t line, dr_error *err)
{
    dr_tool__begin_line(r);
    return add_place(r, w, file, line, err);
}

/* What a change of this file sees: its staged text, or that of the snapshot. */
static dr_status text_of(dr_str *text, dr_tool_reader *read, uint32_t file, dr_error *err)
{
    if (dr_edits_has(read->w->edits, file))
        return dr_edits_text(read->w->edits, file, text, err);
    *text = dr_tool__text(read, file);
    return DR_OK;
}

static dr_status open_text(dr_syntax **out, const dr_workspace *w, size_t file, dr_str text, dr_error *err)
{
    return dr_syntax_open(out, dr_lang_of(dr_tool__path(w, file), text), text, err);
}

/* The text that can be edited, and its tree. False: the result says why there is none. */
static dr_status open_staged(bool *open, dr_syntax **syntax, dr_tool_result *r, const dr_workspace *w, size_t file, dr_error *err)
{
    dr_str text;
    dr_error inner = {0};
    const dr_status st = dr_edits_text(w->edits, file, &text, &inner);

    *open = st == DR_OK;
    return st == DR_OK ? open_text(syntax, w, file, text, err) : dr_tool__refused(r, st, &inner, err);
}

/* The outcome of a replacement, in the words of `edit`. n_before: lines of what was put there that are none of the change. */
static dr_status say_replaced(dr_tool_result *r, const dr_workspace *w, uint32_t file, const dr_edit_report *report, uint32_t n_before, dr_error *err)
{
    r->outcome = report->outcome == DR_EDIT_STAGED ? DR_TOOL_DONE : DR_TOOL_REFUSED;
    switch (report->outcome) {
    case DR_EDIT_STAGED:
        dr_buf_str(&r->text, "edited ");
        return add_place(r, w, file, report->lines[0] + n_before, err);
    case DR_EDIT_SAME: dr_buf_str(&r->text, "old and new are the same"); break;
    default:
        dr_buf_str(&r->text, "that text holds a masked secret in ");
        dr_tool__add_str(&r->text, dr_tool__path(w, file));
        break;
    }
    return DR_OK;
}

/* Replaces, and says what came of it. The syntax that the place is from borrows the text: closed here before that goes. */
static dr_status replace(dr_tool_result *r, const dr_workspace *w, uint32_t file, dr_syntax **syntax, size_t at, size_t n, dr_str text,
                         uint32_t n_before, dr_error *err)
{
    dr_status st = DR_OK;
    dr_edit_report report = {0};
    dr_error inner = {0};

    dr_syntax_close(*syntax);
    *syntax = NULL;
    if ((st = dr_edits_replace_at(w->edits, &report, file, at, n, text, &inner)) != DR_OK)
        st = dr_tool__refused(r, st, &inner, err);
    else
        st = say_replaced(r, w, file, &report, n_before, err);
    free(report.lines);
    return st;
}

static void not_as_staged(dr_tool_result *r, const dr_workspace *w, dr_str name, uint32_t file)
{
    r->outcome = DR_TOOL_REFUSED;
    dr_buf_str(&r->text, "no definition of ");
    dr_tool__add_str(&r->text, name);
    dr_buf_str(&r->text, " in ");
    dr_tool__add_str(&r->text, dr_tool__path(w, file));
    dr_buf_str(&r->text, " as it is staged");
}

typedef struct file_set {
    uint32_t v[MAX_READ];
    size_t n;
} file_set;

static bool has_file(const file_set *s, uint32_t file)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i] == file)
            return true;
    return false;
}

/* ---- set_value ---- */

static bool may_have_value(const dr_sym_def *d)
{
    return d->kind == DR_SYM_MACRO || d->kind == DR_SYM_CONSTANT || d->kind == DR_SYM_VARIABLE || d->kind == DR_SYM_FIELD ||
           d->kind == DR_SYM_MEMBER || d->kind == DR_SYM_ENUMERATOR;
}

typedef struct value_place {
    uint32_t file, line;
} value_place;

typedef struct values {
    value_place *v; /* the first result_lines of them */
    size_t n, n_shown;
    uint32_t gone; /* a file whose staged text does not define the name any more; DR_SYM_NONE: none */
} values;

static dr_status add_values(values *out, dr_tool_reader *read, dr_str name, uint32_t file, dr_error *err)
{
    dr_status st = DR_OK;
    dr_syntax *syntax = NULL;
    dr_edit_span *spans = NULL;
    size_t n = 0, n_defs = 0;
    dr_str text = {"", 0};

    if ((st = text_of(&text, read, file, err)) != DR_OK || (st = open_text(&syntax, read->w, file, text, err)) != DR_OK ||
        (st = dr_edit_points_values(&spans, &n, &n_defs, syntax, name, err)) != DR_OK)
        goto done;
    if (n_defs == 0 && out->gone == DR_SYM_NONE && dr_edits_has(read->w->edits, file))
        out->gone = file;
    for (size_t i = 0; i < n; i++, out->n++)
        if (out->n_shown < (size_t)read->w->result_lines)
            out->v[out->n_shown++] = (value_place){file, spans[i].line};
done:
    free(spans);
    dr_syntax_close(syntax);
    return st;
}

static dr_status set_the_one(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str value, uint32_t file, dr_error *err)
{
    dr_status st = DR_OK;
    dr_syntax *syntax = NULL;
    dr_edit_span *spans = NULL;
    size_t n = 0, n_defs = 0;
    bool open;

    if ((st = open_staged(&open, &syntax, r, w, file, err)) != DR_OK || !open ||
        (st = dr_edit_points_values(&spans, &n, &n_defs, syntax, name, err)) != DR_OK)
        goto done;
    if (n == 1)
        st = replace(r, w, file, &syntax, spans[0].at, spans[0].n, value, 0, err);
    else
        not_as_staged(r, w, name, file);
done:
    free(spans);
    dr_syntax_close(syntax);
    return st;
}

dr_status dr_tool__set_value(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str value, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL;
    const size_t n = dr_symbols_find(w->symbols, name, &defs);
    dr_tool_reader read = {.w = w};
    values found = {.gone = DR_SYM_NONE};
    file_set files = {.n = 0};

    if (!dr_tool__may_edit(r, w))
        return DR_OK;
    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, name);
        return DR_OK;
    }
    if (!(found.v = calloc((size_t)w->result_lines, sizeof *found.v)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n && st == DR_OK; i++) {
        if (!may_have_value(&defs[i]) || has_file(&files, defs[i].file))
            continue;
        if (files.n < MAX_READ) {
            files.v[files.n++] = defs[i].file;
            st = add_values(&found, &read, name, defs[i].file, err);
        } else {
            found.n++;
        }
    }
    if (st != DR_OK)
        goto done;
    if (found.n == 1 && found.n_shown == 1) {
        st = set_the_one(r, w, name, value, found.v[0].file, err);
        goto done;
    }
    r->outcome = DR_TOOL_REFUSED;
    if (found.n == 0 && found.gone != DR_SYM_NONE) {
        not_as_staged(r, w, name, found.gone);
    } else if (found.n == 0) {
        dr_tool__add_str(&r->text, name);
        dr_buf_str(&r->text, " has no value");
    } else {
        dr_buf_printf(&r->text, "%zu definitions of ", found.n);
        dr_tool__add_str(&r->text, name);
        dr_buf_str(&r->text, " have a value:");
        for (size_t i = 0; i < found.n_shown && st == DR_OK; i++)
            st = add_definition(r, w, found.v[i].file, found.v[i].line, err);
        dr_tool__add_more(r, found.n - found.n_shown);
    }
done:
    free(found.v);
    dr_buf_free(&read.text);
    return st;
}

/* ---- rename_everywhere ---- */

/* Definitions in more files than one, declarations aside, are several things of one name. False: the result says so. */
static dr_status is_one_thing(bool *one, dr_tool_result *r, const dr_workspace *w, dr_str name, const dr_sym_def *defs, size_t n, dr_error *err)
{
    dr_status st = DR_OK;
    uint32_t file = DR_SYM_NONE;
    size_t n_real = 0, shown = 0;

    *one = true;
    for (size_t i = 0; i < n; i++)
        if (defs[i].kind != DR_SYM_PROTOTYPE) {
            n_real++;
            *one = *one && (file == DR_SYM_NONE || file == defs[i].file);
            file = defs[i].file;
        }
    if (*one)
        return DR_OK;
    r->outcome = DR_TOOL_REFUSED;
    dr_buf_printf(&r->text, "%zu definitions of ", n_real);
    dr_tool__add_str(&r->text, name);
    dr_buf_str(&r->text, " in different files:");
    for (size_t i = 0; i < n && shown < (size_t)w->result_lines && st == DR_OK; i++)
        if (defs[i].kind != DR_SYM_PROTOTYPE) {
            st = add_definition(r, w, defs[i].file, defs[i].line, err);
            shown++;
        }
    dr_tool__add_more(r, n_real - shown);
    return st;
}

/* Looks at one file, and puts `true` in *takes_part when the name stands there. Any refusal is the result's. */
static dr_status check_file(bool *takes_part, dr_tool_result *r, const dr_workspace *w, size_t file, dr_str old_name, dr_str new_name, dr_error *err)
{
    dr_edit_report report = {0};
    dr_error inner = {0};
    const dr_status st = dr_edits_rename_check(w->edits, &report, file, old_name, new_name, &inner);

    *takes_part = st == DR_OK && report.outcome == DR_EDIT_STAGED;
    if (st == DR_OK && report.outcome == DR_EDIT_TAKEN) {
        r->outcome = DR_TOOL_REFUSED;
        dr_tool__add_str(&r->text, new_name);
        dr_buf_str(&r->text, " stands already in ");
        dr_tool__add_str(&r->text, dr_tool__path(w, file));
        dr_buf_str(&r->text, ": ");
        dr_tool__add_lines(r, w, &report);
    }
    if (st == DR_OK && report.outcome == DR_EDIT_MASKED) {
        r->outcome = DR_TOOL_REFUSED;
        dr_buf_str(&r->text, "that would show a masked secret in ");
        dr_tool__add_str(&r->text, dr_tool__path(w, file));
    }
    free(report.lines);
    return st == DR_OK ? DR_OK : dr_tool__refused(r, st, &inner, err);
}

static dr_status rename_file(dr_tool_result *r, const dr_workspace *w, size_t file, dr_str old_name, dr_str new_name, bool show, dr_error *err)
{
    dr_status st = DR_OK;
    dr_edit_report report = {0};

    if ((st = dr_edits_rename(w->edits, &report, file, old_name, new_name, err)) != DR_OK || !show)
        goto done;
    dr_tool__begin_line(r);
    dr_buf_printf(&r->text, "renamed %zu places in ", report.n_places);
    dr_tool__add_str(&r->text, dr_tool__path(w, file));
    dr_buf_str(&r->text, ": ");
    dr_tool__add_lines(r, w, &report);
    for (size_t i = 0; i < report.n_lines && st == DR_OK; i++)
        st = dr_tool__add_place(r, r->tool, (uint32_t)file, report.lines[i], NULL, err);
done:
    free(report.lines);
    return st;
}

/* Every file that defines, declares or uses it; then all are changed, or none. */
static dr_status rename_in_files(dr_tool_result *r, const dr_workspace *w, dr_str old_name, dr_str new_name, const dr_sym_def *defs, size_t n_defs,
                                 dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_ref *refs = NULL;
    const size_t n_refs = dr_symbols_refs(w->symbols, old_name, &refs), n_files = dr_repo_n_files(w->repo);
    bool *in = calloc(n_files ? n_files : 1, sizeof *in);
    size_t n = 0;

    if (!in)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n_defs; i++)
        in[defs[i].file] = true;
    for (size_t i = 0; i < n_refs; i++)
        in[refs[i].file] = true;
    for (size_t i = 0; i < n_files; i++) {
        if (!in[i])
            continue;
        if ((st = check_file(&in[i], r, w, i, old_name, new_name, err)) != DR_OK || r->outcome == DR_TOOL_REFUSED)
            goto done;
    }
    for (size_t i = 0; i < n_files && st == DR_OK; i++)
        if (in[i])
            st = rename_file(r, w, i, old_name, new_name, n++ < (size_t)w->result_lines, err);
    if (n == 0)
        not_as_staged(r, w, old_name, defs[0].file);
    else
        r->outcome = DR_TOOL_DONE;
    if (n > (size_t)w->result_lines)
        dr_tool__add_more(r, n - (size_t)w->result_lines);
done:
    free(in);
    return st;
}

dr_status dr_tool__rename_everywhere(dr_tool_result *r, const dr_workspace *w, dr_str old_name, dr_str new_name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL, *other = NULL;
    const size_t n = dr_symbols_find(w->symbols, old_name, &defs);
    bool one;

    if (!dr_tool__may_edit(r, w))
        return DR_OK;
    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, old_name);
        return DR_OK;
    }
    r->outcome = DR_TOOL_REFUSED;
    if (dr_str_eq(old_name, new_name)) {
        dr_buf_str(&r->text, "old and new are the same");
        return DR_OK;
    }
    if (!dr_syntax_is_name(new_name)) {
        dr_tool__add_str(&r->text, new_name);
        dr_buf_str(&r->text, " is not a name");
        return DR_OK;
    }
    if ((st = is_one_thing(&one, r, w, old_name, defs, n, err)) != DR_OK || !one)
        return st;
    if (dr_symbols_find(w->symbols, new_name, &other)) {
        dr_tool__add_str(&r->text, new_name);
        dr_buf_str(&r->text, " is defined already: ");
        return add_place(r, w, other->file, other->line, err);
    }
    r->outcome = DR_TOOL_FOUND;
    return rename_in_files(r, w, old_name, new_name, defs, n, err);
}

/* ---- add_import ---- */

/* A bare name of a C header as this repository includes it: in quotes what is a file of it, in brackets what it includes elsewhere and is none. */
static dr_str as_included(dr_buf *line, const dr_workspace *w, dr_str path, dr_str name)
{
    const dr_lang lang = dr_lang_of(path, DR_STR(""));
    size_t file;
    bool outside = false;

    if ((lang != DR_LANG_C && lang != DR_LANG_CPP && lang != DR_LANG_CUDA) || name.n == 0 || strchr("#<\"", name.s[0]) || memchr(name.s, ' ', name.n))
        return name;
    const bool own = dr_tool__files_named(w, name, &file, 1) > 0;
    size_t n_names;
    const dr_str *names = dr_symbols_names(w->symbols, &n_names);
    const uint32_t n = dr_symbols_get_stats(w->symbols)->n_imports;
    for (uint32_t i = 0; i < n && !own && !outside; i++)
        outside = dr_str_eq(names[dr_symbols_import(w->symbols, i)->name], name);
    if (!own && !outside)
        return name;
    dr_buf_str(line, own ? "\"" : "<");
    dr_tool__add_str(line, name);
    dr_buf_str(line, own ? "\"" : ">");
    return dr_buf_view(line);
}

/* #include "server.h" in src/server.h */
static bool includes_itself(dr_str path, dr_str import)
{
    size_t first = 0, end;
    while (first < import.n && import.s[first] != '"' && import.s[first] != '<')
        first++;
    for (end = ++first; end < import.n && import.s[end] != '"' && import.s[end] != '>';)
        end++;
    const size_t n = end < import.n ? end - first : 0;
    return n && n <= path.n && memcmp(path.s + path.n - n, import.s + first, n) == 0 && (n == path.n || path.s[path.n - n - 1] == '/');
}

dr_status dr_tool__add_import(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_str import, dr_error *err)
{
    dr_status st = DR_OK;
    dr_syntax *syntax = NULL;
    dr_edit_point point = {0};
    dr_buf line = {0};
    bool found, open;
    size_t file;

    if (!dr_tool__may_edit(r, w))
        return DR_OK;
    if ((st = dr_tool__find_path(&found, &file, r, w, path, err)) != DR_OK || !found || (st = open_staged(&open, &syntax, r, w, file, err)) != DR_OK ||
        !open)
        goto done;
    import = as_included(&line, w, r->path, import);
    if (line.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if (includes_itself(r->path, import)) {
        r->outcome = DR_TOOL_REFUSED;
        dr_tool__add_str(&r->text, r->path);
        dr_buf_str(&r->text, " would include itself");
        goto done;
    }
    if ((st = dr_edit_point_import(&point, syntax, import, err)) != DR_OK)
        goto done;
    if (point.kind == DR_POINT_FOUND) {
        st = replace(r, w, (uint32_t)file, &syntax, point.at, point.n, dr_buf_view(&point.text), point.n_lines_before, err);
        goto done;
    }
    r->outcome = DR_TOOL_REFUSED;
    switch (point.kind) {
    case DR_POINT_THERE:
        dr_tool__add_str(&r->text, r->path);
        dr_buf_printf(&r->text, " imports that already: line %u", point.line);
        st = dr_tool__add_place(r, r->tool, (uint32_t)file, point.line, NULL, err);
        break;
    case DR_POINT_UNCLEAR: dr_buf_str(&r->text, "write the whole import line"); break;
    default:
        dr_buf_str(&r->text, "no import can be added to ");
        dr_tool__add_str(&r->text, r->path);
        break;
    }
done:
    dr_buf_free(&line);
    dr_edit_point_fini(&point);
    dr_syntax_close(syntax);
    return st;
}

/* ---- add_statement ---- */

/* A function or method that may have a body: of an empty one these two languages show none. */
static bool has_body(const dr_workspace *w, const dr_sym_def *d)
{
    const dr_lang lang = dr_lang_of(dr_tool__path(w, d->file), DR_STR(""));
    return (d->kind == DR_SYM_FUNCTION || d->kind == DR_SYM_METHOD) &&
           (d->body_at != DR_SYM_NO_BODY || lang == DR_LANG_RUBY || lang == DR_LANG_LUA);
}

static dr_status state_the_one(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str statement, uint32_t file, dr_error *err)
{
    dr_status st = DR_OK;
    dr_syntax *syntax = NULL;
    dr_edit_point point = {0};
    bool open;

    if ((st = open_staged(&open, &syntax, r, w, file, err)) != DR_OK || !open ||
        (st = dr_edit_point_statement(&point, syntax, name, statement, err)) != DR_OK)
        goto done;
    if (point.kind == DR_POINT_FOUND) {
        st = replace(r, w, file, &syntax, point.at, point.n, dr_buf_view(&point.text), point.n_lines_before, err);
    } else if (point.n_functions == 0) {
        not_as_staged(r, w, name, file);
    } else if (point.kind == DR_POINT_SEVERAL) { /* an edit of this turn has made another one */
        r->outcome = DR_TOOL_REFUSED;
        dr_buf_printf(&r->text, "%zu functions are called ", point.n_functions);
        dr_tool__add_str(&r->text, name);
        dr_buf_str(&r->text, " in ");
        dr_tool__add_str(&r->text, dr_tool__path(w, file));
        dr_buf_str(&r->text, " as it is staged");
    } else {
        r->outcome = DR_TOOL_REFUSED;
        dr_tool__add_str(&r->text, name);
        dr_buf_str(&r->text, " has no body");
    }
done:
    dr_edit_point_fini(&point);
    dr_syntax_close(syntax);
    return st;
}

dr_status dr_tool__add_statement(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str statement, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL;
    const size_t n = dr_symbols_find(w->symbols, name, &defs);
    size_t n_bodies = 0, shown = 0, blanks = 0;
    uint32_t file = 0;

    if (!dr_tool__may_edit(r, w))
        return DR_OK;
    while (blanks < statement.n && strchr(" \t\r\n", statement.s[blanks]))
        blanks++;
    if (blanks == statement.n) {
        dr_tool__wrong(r, "add_statement needs \"statement\", a text");
        return DR_OK;
    }
    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, name);
        return DR_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (has_body(w, &defs[i])) {
            n_bodies++;
            file = defs[i].file;
        }
    if (n_bodies == 1)
        return state_the_one(r, w, name, statement, file, err);
    r->outcome = DR_TOOL_REFUSED;
    if (n_bodies == 0) {
        dr_tool__add_str(&r->text, name);
        dr_buf_str(&r->text, " has no body");
        return DR_OK;
    }
    dr_buf_printf(&r->text, "%zu functions are called ", n_bodies);
    dr_tool__add_str(&r->text, name);
    dr_buf_str(&r->text, ":");
    for (size_t i = 0; i < n && shown < (size_t)w->result_lines && st == DR_OK; i++)
        if (has_body(w, &defs[i])) {
            st = add_definition(r, w, defs[i].file, defs[i].line, err);
            shown++;
        }
    dr_tool__add_more(r, n_bodies - shown);
    return st;
}
