#include "app/edit.h"

#include "repo/line_diff.h"
#include "repo/syntax.h"
#include "repo/working_file.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 3 };

/* One file: its bytes on disk before and now, and two views of the latter with "\n" line ends: plain, and as it is shown. Two steps lead from a place
 * of the shown view to its bytes: over the masks before it, then over the carriage returns. */
typedef struct edited {
    size_t file;
    bool staged;
    dr_buf was, now, plain, shown;
    dr_secrets secrets; /* of plain */
    dr_working_write *write; /* while all are written */
} edited;

struct dr_edits {
    const dr_repo *repo;
    edited *files; /* by file */
    size_t n;
};

dr_edits *dr_edits_new(const dr_repo *repo)
{
    dr_edits *e = calloc(1, sizeof *e);
    if (e)
        e->repo = repo;
    return e;
}

static void free_file(edited *f)
{
    dr_buf_free(&f->was);
    dr_buf_free(&f->now);
    dr_buf_free(&f->plain);
    dr_buf_free(&f->shown);
    dr_secrets_fini(&f->secrets);
}

void dr_edits_free(dr_edits *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n; i++)
        free_file(&e->files[i]);
    free(e->files);
    free(e);
}

bool dr_edits_has(const dr_edits *e, size_t file)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->files[i].file == file)
            return e->files[i].staged;
    return false;
}

size_t dr_edits_n_files(const dr_edits *e)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++)
        n += e->files[i].staged;
    return n;
}

size_t dr_edits_file_at(const dr_edits *e, size_t i)
{
    size_t k = 0;
    while (!e->files[k].staged || i-- > 0)
        k++;
    return e->files[k].file;
}

/* ---- views ---- */

static void add_unix_lines(dr_buf *out, dr_str text)
{
    for (size_t i = 0; i < text.n;) {
        const char *cr = memchr(text.s + i, '\r', text.n - i);
        const size_t at = cr ? (size_t)(cr - text.s) : text.n;
        dr_buf_add(out, text.s + i, at - i);
        if (at < text.n && !(at + 1 < text.n && text.s[at + 1] == '\n'))
            dr_buf_add(out, "\r", 1);
        i = at + 1;
    }
    dr_buf_add(out, "", 0);
}

/* Plain and shown of what a file holds now. */
static dr_status look(edited *f, const dr_repo *repo, dr_error *err)
{
    dr_buf_clear(&f->plain);
    dr_buf_clear(&f->shown);
    add_unix_lines(&f->plain, dr_buf_view(&f->now));
    if (f->plain.failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    const dr_status st = dr_working_file_secrets(&f->secrets, repo, dr_buf_view(&f->plain), err);
    return st == DR_OK ? dr_secrets_mask(&f->shown, dr_buf_view(&f->plain), &f->secrets, err) : st;
}

/* A walk along what is on disk: how many bytes of the plain view lie before `at`. */
typedef struct walk {
    size_t at, seen;
} walk;

/* Where a place of the plain view lies on disk, going on from the walk's place. A line end of two bytes begins at its first. */
static size_t on_disk(walk *w, const edited *f, size_t plain)
{
    const dr_str t = dr_buf_view(&f->now);
    for (; w->at < t.n && w->seen < plain; w->at++)
        w->seen += !(t.s[w->at] == '\r' && w->at + 1 < t.n && t.s[w->at + 1] == '\n');
    return w->at;
}

/* What a secret takes in the shown view. */
static size_t mask_bytes(const edited *f, const dr_secret *s)
{
    size_t n = strlen("[masked: ]") + strlen(s->kind);
    for (size_t i = 0; i < s->n; i++)
        n += f->plain.data[s->at + i] == '\n';
    return n;
}

/* The plain place of [at, at + n) of the shown view. False: it touches a mask. */
static bool in_plain(size_t *plain_at, const edited *f, size_t at, size_t n)
{
    size_t before_shown = 0, before_plain = 0; /* where the last mask before it ends, in both */
    for (size_t i = 0; i < f->secrets.n; i++) {
        const dr_secret *s = &f->secrets.v[i];
        const size_t mask = before_shown + (s->at - before_plain), end = mask + mask_bytes(f, s);
        if (at + n <= mask)
            break;
        if (at < end)
            return false;
        before_shown = end;
        before_plain = s->at + s->n;
    }
    *plain_at = before_plain + (at - before_shown);
    return true;
}

/* The file's entry; made, and checked against what the snapshot shows of it, when it is new. */
static dr_status get(edited **out, dr_edits *e, size_t file, dr_error *err)
{
    dr_status st = DR_OK;
    edited fresh = {.file = file};
    dr_buf snapshot = {0}, expected = {0};
    size_t at = 0;

    for (; at < e->n && e->files[at].file <= file; at++)
        if (e->files[at].file == file) {
            *out = &e->files[at];
            return DR_OK;
        }
    const dr_repo_file *f = dr_repo_file_at(e->repo, file);
    if (dr_repo_is_text(f) && f->converted)
        return dr_fail(err, DR_ERR_ARG, "%s is not edited: it is not in UTF-8", f->path.s);
    if ((st = dr_repo_read(e->repo, file, &snapshot, err)) != DR_OK || (st = dr_working_file_read(&fresh.was, e->repo, file, err)) != DR_OK)
        goto done;
    dr_buf_add(&fresh.now, fresh.was.data, fresh.was.n);
    add_unix_lines(&expected, dr_buf_view(&snapshot));
    if (fresh.now.failed || expected.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = look(&fresh, e->repo, err)) != DR_OK)
        goto done;
    if (!dr_str_eq(dr_buf_view(&fresh.shown), dr_buf_view(&expected))) {
        st = dr_fail(err, DR_ERR_AGAIN, "%s changed on disk since it was read: ask again", f->path.s);
        goto done;
    }
    edited *grown = realloc(e->files, (e->n + 1) * sizeof *grown);
    if (!grown) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    e->files = grown;
    memmove(&grown[at + 1], &grown[at], (e->n - at) * sizeof *grown);
    grown[at] = fresh;
    fresh = (edited){0};
    e->n++;
    *out = &grown[at];
done:
    dr_buf_free(&snapshot);
    dr_buf_free(&expected);
    free_file(&fresh);
    return st;
}

dr_status dr_edits_text(dr_edits *e, size_t file, dr_str *text, dr_error *err)
{
    edited *f = NULL;
    const dr_status st = get(&f, e, file, err);
    if (st == DR_OK)
        *text = dr_buf_view(&f->shown);
    return st;
}

/* ---- changing ---- */

static dr_status add_line(dr_edit_report *r, uint32_t line, dr_error *err)
{
    if (r->n_lines && r->lines[r->n_lines - 1] == line)
        return DR_OK;
    if ((r->n_lines & (r->n_lines - 1)) == 0) {
        uint32_t *grown = realloc(r->lines, (r->n_lines ? 2 * r->n_lines : 1) * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        r->lines = grown;
    }
    r->lines[r->n_lines++] = line;
    return DR_OK;
}

static uint32_t n_newlines(dr_str text, size_t from, size_t to)
{
    uint32_t n = 0;
    for (size_t i = from; i < to; i++)
        n += text.s[i] == '\n';
    return n;
}

/* Does the file end most of its lines with two bytes? */
static bool ends_with_cr(const edited *f)
{
    size_t n = 0, n_cr = 0;
    for (size_t i = 0; i < f->was.n; i++)
        if (f->was.data[i] == '\n') {
            n++;
            n_cr += i && f->was.data[i - 1] == '\r';
        }
    return 2 * n_cr > n;
}

/* Appends text with the file's line ends. */
static void add_lines(dr_buf *out, const edited *f, dr_str text)
{
    const bool cr = ends_with_cr(f);
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] == '\n' && cr)
            dr_buf_add(out, "\r", 1);
        dr_buf_add(out, text.s + i, 1);
    }
}

/* `next` becomes what the file holds; not when it is only tried (keep false), nor when a secret would no longer be known for one: so it would be
 * shown (*unmasks). */
static dr_status take(bool *unmasks, edited *f, const dr_repo *repo, dr_buf *next, bool keep, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n_secrets = f->secrets.n;
    const dr_buf before = f->now;

    if (next->failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    f->now = *next;
    *next = before;
    if ((st = look(f, repo, err)) != DR_OK)
        return st;
    *unmasks = f->secrets.n < n_secrets;
    if (keep && !*unmasks) {
        f->staged = true;
        return DR_OK;
    }
    *next = f->now;
    f->now = before;
    return look(f, repo, err);
}

static bool holds(dr_str text, dr_str part)
{
    return part.n && text.n >= part.n && memmem(text.s, text.n, part.s, part.n) != NULL;
}

/* [at, at + n) of the shown text becomes `becomes`, line ends as they are shown. */
static dr_status put(dr_edit_report *out, edited *f, const dr_repo *repo, size_t at, size_t n, dr_str becomes, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf next = {0};
    size_t plain = 0;
    bool unmasks = false;
    const dr_str old_text = {f->shown.n ? f->shown.data + at : "", n};

    if (dr_str_eq(old_text, becomes)) {
        out->outcome = DR_EDIT_SAME;
        return DR_OK;
    }
    if (!in_plain(&plain, f, at, n) || (holds(becomes, DR_STR("[masked: ")) && !holds(old_text, DR_STR("[masked: ")))) {
        out->outcome = DR_EDIT_MASKED;
        return DR_OK;
    }
    walk along = {0};
    const size_t begin = on_disk(&along, f, plain), end = on_disk(&along, f, plain + n);
    dr_buf_add(&next, f->now.data, begin);
    add_lines(&next, f, becomes);
    dr_buf_add(&next, f->now.data + end, f->now.n - end);
    if ((st = take(&unmasks, f, repo, &next, true, err)) == DR_OK)
        out->outcome = unmasks ? DR_EDIT_MASKED : DR_EDIT_STAGED;
    dr_buf_free(&next);
    return st;
}

dr_status dr_edits_replace(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_text, dr_str new_text, dr_error *err)
{
    dr_status st = DR_OK;
    edited *f = NULL;
    dr_buf from = {0}, to = {0};
    size_t first = 0, counted = 0;
    uint32_t line = 1;

    *out = (dr_edit_report){.outcome = DR_EDIT_NO_TEXT};
    if ((st = get(&f, e, file, err)) != DR_OK || !f)
        return st;
    add_unix_lines(&from, old_text);
    add_unix_lines(&to, new_text);
    if (from.failed || to.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    const dr_str shown = dr_buf_view(&f->shown), wanted = dr_buf_view(&from), becomes = dr_buf_view(&to);
    for (size_t i = 0; wanted.n && i + wanted.n <= shown.n && st == DR_OK; out->n_places++) {
        const char *found = memmem(shown.s + i, shown.n - i, wanted.s, wanted.n);
        if (!found)
            break;
        const size_t at = (size_t)(found - shown.s);
        if (out->n_places == 0)
            first = at;
        line += n_newlines(shown, counted, at);
        counted = at;
        st = add_line(out, line, err);
        i = at + 1; /* places may overlap: then it is not said which is meant */
    }
    if (st != DR_OK || out->n_places == 0)
        goto done;
    if (out->n_places > 1) {
        out->outcome = DR_EDIT_SEVERAL;
        goto done;
    }
    st = put(out, f, e->repo, first, wanted.n, becomes, err);
done:
    dr_buf_free(&from);
    dr_buf_free(&to);
    return st;
}

dr_status dr_edits_replace_at(dr_edits *e, dr_edit_report *out, size_t file, size_t at, size_t n, dr_str new_text, dr_error *err)
{
    dr_status st = DR_OK;
    edited *f = NULL;
    dr_buf to = {0};

    *out = (dr_edit_report){.outcome = DR_EDIT_NO_TEXT};
    if ((st = get(&f, e, file, err)) != DR_OK || !f)
        return st;
    if (at > f->shown.n || n > f->shown.n - at)
        return dr_fail(err, DR_ERR_ARG, "%zu bytes at %zu are not in %s", n, at, dr_repo_file_at(e->repo, file)->path.s);
    add_unix_lines(&to, new_text);
    out->n_places = 1;
    if (to.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    else if ((st = add_line(out, 1 + n_newlines(dr_buf_view(&f->shown), 0, at), err)) == DR_OK)
        st = put(out, f, e->repo, at, n, dr_buf_view(&to), err);
    dr_buf_free(&to);
    return st;
}

static dr_status rename_in(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_name, dr_str new_name, bool stage, dr_error *err)
{
    dr_status st = DR_OK;
    edited *f = NULL;
    dr_syntax *syntax = NULL;
    dr_syntax_place *places = NULL, *taken = NULL;
    size_t n = 0, n_taken = 0;
    bool unmasks = false;
    dr_buf next = {0};

    *out = (dr_edit_report){.outcome = DR_EDIT_NO_TEXT};
    if ((st = get(&f, e, file, err)) != DR_OK || !f)
        return st;
    const dr_str plain = dr_buf_view(&f->plain);
    if (dr_str_eq(old_name, new_name)) {
        out->outcome = DR_EDIT_SAME;
        goto done;
    }
    if (!dr_syntax_is_name(new_name)) {
        out->outcome = DR_EDIT_NO_NAME;
        goto done;
    }
    if (!dr_syntax_is_name(old_name))
        goto done;
    if ((st = dr_syntax_open(&syntax, dr_lang_of(dr_repo_file_at(e->repo, file)->path, plain), plain, err)) != DR_OK ||
        (st = dr_syntax_names(&places, &n, syntax, old_name, err)) != DR_OK ||
        (st = dr_syntax_names(&taken, &n_taken, syntax, new_name, err)) != DR_OK || n == 0)
        goto done;
    out->outcome = n_taken ? DR_EDIT_TAKEN : DR_EDIT_STAGED;
    out->n_places = n_taken ? n_taken : n;
    for (size_t i = 0; i < out->n_places && st == DR_OK; i++)
        st = add_line(out, n_taken ? taken[i].line : places[i].line, err);
    if (st != DR_OK || n_taken || !places)
        goto done;
    walk along = {0};
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t begin = on_disk(&along, f, places[i].at);
        dr_buf_add(&next, f->now.data + done, begin - done);
        dr_buf_add(&next, new_name.s, new_name.n);
        done = begin + old_name.n;
    }
    dr_buf_add(&next, f->now.data + done, f->now.n - done);
    dr_syntax_close(syntax); /* before what it borrows goes */
    syntax = NULL;
    if ((st = take(&unmasks, f, e->repo, &next, stage, err)) == DR_OK && unmasks)
        out->outcome = DR_EDIT_MASKED;
done:
    free(places);
    free(taken);
    dr_syntax_close(syntax);
    dr_buf_free(&next);
    return st;
}

dr_status dr_edits_rename(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_name, dr_str new_name, dr_error *err)
{
    return rename_in(e, out, file, old_name, new_name, true, err);
}

dr_status dr_edits_rename_check(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_name, dr_str new_name, dr_error *err)
{
    return rename_in(e, out, file, old_name, new_name, false, err);
}

/* ---- showing and writing ---- */

/* A path in a diff's header: quoted where git would have to. */
static void add_path(dr_buf *out, const char *side, dr_str path)
{
    const bool quote = memchr(path.s, '"', path.n) || memchr(path.s, '\\', path.n);
    dr_buf_printf(out, "%s%s/", quote ? "\"" : "", side);
    for (size_t i = 0; i < path.n; i++) {
        if (path.s[i] == '"' || path.s[i] == '\\')
            dr_buf_add(out, "\\", 1);
        dr_buf_add(out, path.s + i, 1);
    }
    dr_buf_str(out, quote ? "\"" : memchr(path.s, ' ', path.n) ? "\t" : "");
    dr_buf_add(out, "\n", 1);
}

/* Line ends as they are, secrets masked. */
static dr_status masked(dr_buf *out, const dr_edits *e, const dr_buf *bytes, dr_error *err)
{
    dr_secrets found = {0};
    dr_status st = dr_working_file_secrets(&found, e->repo, dr_buf_view(bytes), err);
    if (st == DR_OK)
        st = dr_secrets_mask(out, dr_buf_view(bytes), &found, err);
    dr_secrets_fini(&found);
    return st;
}

static dr_status diff(dr_buf *out, const dr_edits *e, const edited *f, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf old_text = {0}, new_text = {0};
    dr_hunks hunks = {0};
    const dr_str path = dr_repo_file_at(e->repo, f->file)->path;

    if ((st = masked(&old_text, e, &f->was, err)) != DR_OK || (st = masked(&new_text, e, &f->now, err)) != DR_OK ||
        (st = dr_line_diff(&hunks, dr_buf_view(&old_text), dr_buf_view(&new_text), err)) != DR_OK)
        goto done;
    if (hunks.n) {
        dr_buf_str(out, "--- ");
        add_path(out, "a", path);
        dr_buf_str(out, "+++ ");
        add_path(out, "b", path);
        st = dr_line_diff_print(out, &hunks, dr_buf_view(&old_text), dr_buf_view(&new_text), CONTEXT, err);
    }
    if (st == DR_OK && out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_hunks_fini(&hunks);
    dr_buf_free(&old_text);
    dr_buf_free(&new_text);
    return st;
}

dr_status dr_edits_diff_file(dr_buf *out, dr_edits *e, size_t file, dr_error *err)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->files[i].file == file && e->files[i].staged)
            return diff(out, e, &e->files[i], err);
    return DR_OK;
}

dr_status dr_edits_diff(dr_buf *out, dr_edits *e, dr_error *err)
{
    dr_status st = DR_OK;
    for (size_t i = 0; i < e->n && st == DR_OK; i++)
        if (e->files[i].staged)
            st = diff(out, e, &e->files[i], err);
    return st;
}

static dr_status n_errors(uint32_t *out, dr_str path, const dr_buf *bytes, dr_error *err)
{
    dr_syntax *syntax = NULL;
    const dr_str text = dr_buf_view(bytes);
    const dr_status st = dr_syntax_open(&syntax, dr_lang_of(path, text), text, err);
    *out = st == DR_OK ? dr_syntax_n_errors(syntax) : 0;
    dr_syntax_close(syntax);
    return st;
}

dr_status dr_edits_check(dr_buf *out, dr_edits *e, dr_error *err)
{
    dr_status st = DR_OK;
    for (size_t i = 0; i < e->n && st == DR_OK; i++) {
        const edited *f = &e->files[i];
        const dr_str path = dr_repo_file_at(e->repo, f->file)->path;
        uint32_t before, after;
        if (!f->staged)
            continue;
        if ((st = n_errors(&before, path, &f->was, err)) == DR_OK && (st = n_errors(&after, path, &f->now, err)) == DR_OK && after > before)
            dr_buf_printf(out, "%s%s would have %u more syntax error%s than now.", out->n ? " " : "", path.s, after - before,
                          after - before == 1 ? "" : "s");
    }
    return st == DR_OK && out->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : st;
}

dr_status dr_edits_apply(dr_edits *e, dr_error *err)
{
    dr_status st = DR_OK;

    for (size_t i = 0; i < e->n && st == DR_OK; i++) {
        edited *f = &e->files[i];
        if (f->staged)
            st = dr_working_write_new(&f->write, e->repo, f->file, dr_buf_view(&f->was), dr_buf_view(&f->now), err);
    }
    for (size_t i = 0; i < e->n && st == DR_OK; i++)
        if (e->files[i].write)
            st = dr_working_write_commit(e->files[i].write, err);
    for (size_t i = 0; i < e->n; i++) {
        dr_working_write_free(e->files[i].write);
        e->files[i].write = NULL;
    }
    return st;
}
