/* app/tools_files.c: tools that are given a file: which it is, what it defines and imports, what imports it, its lines. */
#include "app/edit.h"
#include "app/tools_parts.h"

#include "repo/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { READ_LINES = 12, READ_BEFORE = 2, READ_COLUMNS = 400 };

bool dr_tool__is_file(const dr_repo_file *f)
{
    return f->cls <= DR_FILE_LFS_POINTER || f->cls == DR_FILE_SYMLINK;
}

static dr_str base_of(dr_str path)
{
    const char *slash = path.n ? memrchr(path.s, '/', path.n) : NULL;
    return slash ? (dr_str){slash + 1, (size_t)(path.s + path.n - slash) - 1} : path;
}

static bool same_but_case(dr_str a, dr_str b)
{
    return a.n == b.n && strncasecmp(a.s, b.s, a.n) == 0;
}

/* `tail` is the whole path or stands behind a '/' of it. */
static bool ends_in(dr_str path, dr_str tail, bool any_case)
{
    if (tail.n == 0 || tail.n > path.n || (tail.n < path.n && path.s[path.n - tail.n - 1] != '/'))
        return false;
    const dr_str end = {path.s + path.n - tail.n, tail.n};
    return any_case ? same_but_case(end, tail) : dr_str_eq(end, tail);
}

static dr_str without_dot(dr_str path)
{
    return path.n > 2 && path.s[0] == '.' && path.s[1] == '/' ? (dr_str){path.s + 2, path.n - 2} : path;
}

size_t dr_tool__files_named(const dr_workspace *w, dr_str name, size_t *files, size_t max)
{
    size_t n = 0, exact;
    name = without_dot(name);
    if (dr_repo_find(w->repo, name, &exact) && dr_tool__is_file(dr_repo_file_at(w->repo, exact))) {
        files[0] = exact;
        return 1;
    }
    for (size_t i = 0; i < dr_repo_n_files(w->repo) && n < max; i++)
        if (dr_tool__is_file(dr_repo_file_at(w->repo, i)) && ends_in(dr_tool__path(w, i), name, false))
            files[n++] = i;
    return n;
}

/* Lines that are paths. */
static dr_status list_files(dr_tool_result *r, const dr_workspace *w, dr_tool_id tool, const size_t *files, size_t n, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t shown = n < (size_t)w->result_lines ? n : (size_t)w->result_lines;
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_tool__path(w, files[i]));
        st = dr_tool__add_place(r, tool, (uint32_t)files[i], 0, NULL, err);
    }
    dr_tool__add_more(r, n - shown);
    return st;
}

dr_status dr_tool__find_path(bool *found, size_t *file, dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t max = dr_repo_n_files(w->repo);
    size_t *files = calloc(max ? max : 1, sizeof *files);

    *found = false;
    if (!files)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    const size_t n = dr_tool__files_named(w, path, files, max);
    if (n == 1) {
        *found = true;
        *file = files[0];
        r->path = dr_tool__path(w, files[0]);
    } else if (n == 0) {
        dr_tool__nothing(r, "no file named", path);
        r->outcome = DR_TOOL_NO_FILE;
    } else {
        r->outcome = DR_TOOL_SEVERAL_FILES;
        dr_buf_str(&r->text, "several files end in ");
        dr_tool__add_str(&r->text, path);
        dr_buf_str(&r->text, ":");
        st = list_files(r, w, r->tool, files, n, err);
    }
    free(files);
    return st;
}

/* ---- find_file ---- */

/* Is the base name without its ending this, whatever the case? */
static bool has_stem(dr_str path, dr_str name)
{
    const dr_str base = base_of(path);
    const char *dot = base.n > 1 ? memrchr(base.s + 1, '.', base.n - 1) : NULL;
    return dot && same_but_case((dr_str){base.s, (size_t)(dot - base.s)}, name);
}

bool dr_tool__names_file(dr_str path, dr_str name)
{
    return ends_in(path, name, true) || has_stem(path, name);
}

/* How a path answers to a name: 0 ends in it, 1 its base name without an ending is it, 2 contains it; 3 not at all. Without case. */
static int rank_of(dr_str path, dr_str name)
{
    if (ends_in(path, name, true))
        return 0;
    if (has_stem(path, name))
        return 1;
    for (size_t i = 0; name.n && i + name.n <= path.n; i++)
        if (strncasecmp(path.s + i, name.s, name.n) == 0)
            return 2;
    return 3;
}

typedef struct candidate {
    dr_str path;
    size_t file;
} candidate;

static int shorter_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->path.n != y->path.n)
        return x->path.n < y->path.n ? -1 : 1;
    return dr_str_cmp(x->path, y->path);
}

dr_status dr_tool__find_file(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t max = dr_repo_n_files(w->repo);
    candidate *best = calloc(max ? max : 1, sizeof *best);
    size_t *files = calloc(max ? max : 1, sizeof *files), n = 0;
    int rank = 2;

    if (!best || !files) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    name = without_dot(name);
    for (size_t i = 0; i < max; i++) {
        const dr_repo_file *f = dr_repo_file_at(w->repo, i);
        const int its = dr_tool__is_file(f) ? rank_of(f->path, name) : 3;
        if (its < rank) {
            rank = its;
            n = 0;
        }
        if (its == rank)
            best[n++] = (candidate){f->path, i};
    }
    if (n == 0) {
        dr_tool__nothing(r, "no file named", name);
        r->outcome = DR_TOOL_NO_FILE;
        goto done;
    }
    qsort(best, n, sizeof *best, shorter_first);
    for (size_t i = 0; i < n; i++)
        files[i] = best[i].file;
    st = list_files(r, w, DR_TOOL_FIND_FILE, files, n, err);
done:
    free(best);
    free(files);
    return st;
}

/* ---- outline, imports, importers ---- */

dr_status dr_tool__outline(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err)
{
    dr_status st = DR_OK;
    bool found;
    size_t file, n_names;
    const uint32_t *defs;
    const dr_str *names = dr_symbols_names(w->symbols, &n_names);
    dr_tool_reader read = {.w = w};
    const size_t columns = (size_t)w->result_columns;

    if ((st = dr_tool__find_path(&found, &file, r, w, path, err)) != DR_OK || !found)
        return st;
    const size_t n = dr_symbols_outline(w->symbols, file, &defs), most = (size_t)w->result_lines, shown = n < most ? n : most;
    const dr_str text = n ? dr_tool__text(&read, file) : DR_STR("");
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        const dr_sym_def *d = dr_symbols_def(w->symbols, defs[i]);
        dr_place *place;
        dr_tool__begin_line(r);
        dr_buf_printf(&r->text, "%u: %s ", d->line, dr_sym_kind_name((dr_sym_kind)d->kind));
        if (text.n && d->kind != DR_SYM_SECTION)
            dr_text_signature(&r->text, text, d, columns);
        else
            dr_text_excerpt(&r->text, names[d->name], columns);
        if ((st = dr_tool__add_place(r, DR_TOOL_OUTLINE, (uint32_t)file, d->line, &place, err)) == DR_OK)
            place->hole[DR_HOLE_NAME] = names[d->name];
    }
    dr_tool__add_more(r, n - shown);
    if (n == 0)
        dr_tool__nothing(r, "no definitions in", r->path);
    dr_buf_free(&read.text);
    return st;
}

dr_status dr_tool__imports(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err)
{
    dr_status st = DR_OK;
    bool found;
    size_t file, n_lines = 0;
    const dr_sym_import *imports;
    dr_tool_reader read = {.w = w};
    dr_buf line = {0};

    if ((st = dr_tool__find_path(&found, &file, r, w, path, err)) != DR_OK || !found)
        return st;
    const size_t n = dr_symbols_imports(w->symbols, file, &imports);
    /* One line of source gives one line of result: of `from . import a, b` the first that leads to a file is followed. */
    for (size_t i = 0; i < n && st == DR_OK; n_lines++) {
        const uint32_t at = imports[i].line;
        uint32_t target = DR_SYM_NONE;
        for (; i < n && imports[i].line == at; i++)
            if (target == DR_SYM_NONE)
                target = imports[i].target;
        if (n_lines >= (size_t)w->result_lines)
            continue;
        dr_place *place;
        dr_buf_clear(&line);
        dr_tool__add_excerpt(&line, &read, file, at);
        dr_tool__begin_line(r);
        dr_buf_printf(&r->text, "%u: ", at);
        dr_tool__add_str(&r->text, dr_buf_view(&line));
        if (target != DR_SYM_NONE) {
            dr_buf_str(&r->text, " => ");
            dr_tool__add_str(&r->text, dr_tool__path(w, target));
        }
        if ((st = dr_tool__add_place(r, DR_TOOL_IMPORTS, (uint32_t)file, at, &place, err)) == DR_OK)
            st = dr_tool__set_hole(r, place, DR_HOLE_IMPORT, dr_buf_view(&line), err);
    }
    dr_tool__add_more(r, n_lines - r->n_places);
    if (n_lines == 0)
        dr_tool__nothing(r, "no imports in", r->path);
    if (st == DR_OK && line.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    dr_buf_free(&line);
    dr_buf_free(&read.text);
    return st;
}

/* The written name is NAME, or ends in it behind a '/', '.' or "::". */
static bool written_as(dr_str written, dr_str name)
{
    if (name.n == 0 || name.n > written.n || memcmp(written.s + written.n - name.n, name.s, name.n) != 0)
        return false;
    return name.n == written.n || strchr("/.:\\", written.s[written.n - name.n - 1]) != NULL;
}

/* What leads to a file is told by the file, what leads nowhere by its name. */
dr_status dr_tool__importers(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n_files = dr_repo_n_files(w->repo);
    size_t n_names, n_meant, n_lines = 0;
    const dr_str *names = dr_symbols_names(w->symbols, &n_names);
    size_t *files = calloc(n_files ? n_files : 1, sizeof *files);
    bool *meant = calloc(n_files ? n_files : 1, sizeof *meant);
    dr_tool_reader read = {.w = w};
    uint32_t last_file = DR_SYM_NONE, last_line = 0;

    if (!files || !meant) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    n_meant = dr_tool__files_named(w, name, files, n_files);
    for (size_t i = 0; i < n_meant; i++)
        meant[files[i]] = true;
    const uint32_t n = dr_symbols_get_stats(w->symbols)->n_imports;
    for (uint32_t i = 0; i < n && st == DR_OK; i++) {
        const dr_sym_import *m = dr_symbols_import(w->symbols, i);
        const bool is = n_meant && m->target != DR_SYM_NONE ? meant[m->target] : written_as(names[m->name], name);
        if (!is || (m->file == last_file && m->line == last_line))
            continue;
        last_file = m->file;
        last_line = m->line;
        if (n_lines++ >= (size_t)w->result_lines)
            continue;
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_tool__path(w, m->file));
        dr_buf_printf(&r->text, ":%u: ", m->line);
        dr_tool__add_excerpt(&r->text, &read, m->file, m->line);
        st = dr_tool__add_place(r, DR_TOOL_IMPORTERS, m->file, m->line, NULL, err);
    }
    dr_tool__add_more(r, n_lines - r->n_places);
    if (n_lines == 0 && st == DR_OK)
        dr_tool__nothing(r, "nothing imports", name);
done:
    free(files);
    free(meant);
    dr_buf_free(&read.text);
    return st;
}

/* ---- read ---- */

/* The file's text as the turn has it: with what was staged so far. */
static dr_status text_of(dr_buf *out, const dr_workspace *w, size_t file, dr_error *err)
{
    dr_str staged;
    if (!w->edits || !dr_edits_has(w->edits, file))
        return dr_repo_read(w->repo, file, out, err);
    const dr_status st = dr_edits_text(w->edits, file, &staged, err);
    if (st == DR_OK)
        dr_buf_add(out, staged.s, staged.n);
    return st;
}

dr_status dr_tool__read(dr_tool_result *r, const dr_workspace *w, dr_str path, int64_t line, dr_error *err)
{
    dr_status st = DR_OK;
    bool found;
    size_t file;
    dr_buf text = {0};
    dr_error inner = {0};

    if ((st = dr_tool__find_path(&found, &file, r, w, path, err)) != DR_OK || !found)
        return st;
    if ((st = text_of(&text, w, file, &inner)) != DR_OK) {
        dr_tool__wrong(r, inner.msg);
        st = st == DR_ERR_NOMEM ? dr_fail(err, st, "%s", inner.msg) : DR_OK;
        goto done;
    }
    const uint32_t n = dr_text_n_lines(dr_buf_view(&text));
    const int64_t first = line <= READ_BEFORE ? 1 : line > (int64_t)n + READ_BEFORE ? (int64_t)n + 1 : line - READ_BEFORE;
    for (int64_t at = first; at < first + READ_LINES && at <= n && st == DR_OK; at++) {
        dr_tool__begin_line(r);
        dr_buf_printf(&r->text, "%lld\t", (long long)at);
        dr_text_show(&r->text, dr_text_line_at(dr_buf_view(&text), (uint32_t)at), READ_COLUMNS);
        st = dr_tool__add_place(r, DR_TOOL_READ, (uint32_t)file, (uint32_t)at, NULL, err);
    }
    if (first > n) {
        r->outcome = DR_TOOL_NOTHING;
        dr_tool__add_str(&r->text, r->path);
        dr_buf_printf(&r->text, " has %u lines", n);
    }
done:
    dr_buf_free(&text);
    return st;
}
