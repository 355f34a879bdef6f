/* repo/explain.c: why a path is in a snapshot, or why not. */
#include "repo/disk.h"
#include "repo/snapshot.h"

#include <string.h>

static void add_shown(dr_buf *out, dr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        dr_buf_add(out, (uint8_t)s.s[i] < 0x20 || s.s[i] == 0x7f ? "?" : s.s + i, 1);
}

static void add_rule(dr_buf *out, dr_str file, uint32_t line, dr_str text)
{
    dr_buf_str(out, " by ");
    add_shown(out, file);
    dr_buf_printf(out, ":%u `", line);
    add_shown(out, text);
    dr_buf_str(out, "`");
}

static void add_attribute(dr_buf *out, const dr_repo *r, dr_attr attr, dr_str path, bool is_folder)
{
    dr_attr_rule rule;
    dr_attributes__why(&rule, r->attributes, attr, path, is_folder);
    if (rule.file.n)
        add_rule(out, rule.file, rule.line, rule.text);
}

/* The rule behind what a path, or a folder above it, is taken out for. */
static void add_taken_out(dr_buf *out, const dr_repo *r, dr_str path, bool is_folder)
{
    dr_ignore_rule rule;
    dr_str at;
    const dr_why why = dr_snapshot__taken_out(r, path, is_folder, &at);
    const bool at_folder = is_folder || at.n < path.n;

    switch (why) {
    case DR_WHY_DEEPREADIGNORE:
    case DR_WHY_EXCLUDED:
        (void)dr_ignore__says(why == DR_WHY_EXCLUDED ? r->exclude : r->deepread, at, at_folder, &rule);
        dr_buf_str(out, "taken out");
        add_rule(out, rule.file, rule.line, rule.text);
        break;
    case DR_WHY_EXPORT_IGNORE:
        dr_buf_str(out, "marked export-ignore");
        add_attribute(out, r, DR_ATTR_EXPORT_IGNORE, at, at_folder);
        break;
    default: dr_buf_str(out, dr_why__text(why) ? dr_why__text(why) : "taken out"); break;
    }
    if (at.n < path.n) {
        dr_buf_str(out, ", as all of the folder ");
        add_shown(out, at);
    }
}

static void explain_file(dr_buf *out, const dr_repo *r, const dr_entry *e)
{
    const dr_repo_file *f = &e->file;

    dr_buf_str(out, f->cls == DR_FILE_GENERATED ? " is left to the tools, out of packs: "
                    : f->cls == DR_FILE_TEXT    ? " is in: "
                                                : " is out: ");
    switch ((dr_why)e->why) {
    case DR_WHY_NONE: dr_buf_str(out, "text"); break;
    case DR_WHY_ATTR_GENERATED:
        dr_buf_str(out, "text, generated");
        add_attribute(out, r, DR_ATTR_GENERATED, f->path, false);
        break;
    case DR_WHY_ATTR_BINARY:
        dr_buf_str(out, "binary");
        add_attribute(out, r, DR_ATTR_DIFF, f->path, false);
        break;
    case DR_WHY_DEEPREADIGNORE:
    case DR_WHY_EXPORT_IGNORE:
    case DR_WHY_EXCLUDED:
    case DR_WHY_NOT_INCLUDED: add_taken_out(out, r, f->path, e->kind == DR_ENTRY_GITLINK); break;
    case DR_WHY_TOO_LARGE:
        dr_buf_printf(out, "%llu bytes, more than the %llu that are read of a file", (unsigned long long)f->size,
                      (unsigned long long)r->max_file_bytes);
        break;
    default: dr_buf_printf(out, "%s%s", dr_repo_is_text(f) ? "text, generated: " : "", f->why); break;
    }
    if (f->converted)
        dr_buf_str(out, ", converted to UTF-8");
    if (f->vendored) {
        dr_buf_str(out, ", vendored");
        add_attribute(out, r, DR_ATTR_VENDORED, f->path, false);
    }
    if (f->n_secrets)
        dr_buf_printf(out, ", %u secret%s masked", f->n_secrets, f->n_secrets == 1 ? "" : "s");
    if (f->dirty)
        dr_buf_str(out, ", changed since HEAD");
    dr_buf_str(out, ".");
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_but_for_case(dr_str a, dr_str b)
{
    if (a.n != b.n || memcmp(a.s, b.s, a.n) == 0)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.s[i]) != lower(b.s[i]))
            return false;
    return true;
}

/* Names that some file systems take for one. */
static void add_collision(dr_buf *out, const dr_repo *r, dr_str path)
{
    for (size_t i = 0; i < r->n; i++)
        if (same_but_for_case(r->entries[i].file.path, path)) {
            dr_buf_str(out, "\nIts name differs only in case from ");
            add_shown(out, r->entries[i].file.path);
            dr_buf_str(out, ".");
            return;
        }
}

/* entries[first] and those after it may lie in the folder; path empty: all of them. */
static bool explain_folder(dr_buf *out, const dr_repo *r, size_t first, dr_str path)
{
    size_t n = 0, n_in = 0;
    for (size_t i = first; i < r->n; i++) {
        const dr_str p = r->entries[i].file.path;
        if (p.n < path.n || memcmp(p.s, path.s, path.n) != 0)
            break; /* names of the same start come together, "a-b" before "a/b" */
        if (path.n && (p.n == path.n || p.s[path.n] != '/'))
            continue;
        n++;
        n_in += r->entries[i].file.cls == DR_FILE_TEXT;
    }
    if (n)
        dr_buf_printf(out, " is a folder: %zu file%s listed, %zu in.", n, n == 1 ? "" : "s", n_in);
    return n > 0;
}

/* A path that no file of the snapshot has. */
static void explain_absent(dr_buf *out, const dr_repo *r, dr_str path)
{
    const dr_why name = dr_classify__path(path);
    dr_buf terminated = {0};
    dr_ignore_rule rule;
    struct stat sb;

    if (name != DR_WHY_NONE) {
        dr_buf_printf(out, " is out: %s.", dr_why__text(name));
        return;
    }
    for (size_t i = 0; i < r->n; i++) {
        const dr_entry *e = &r->entries[i];
        const size_t n = e->file.path.n;
        if (e->kind == DR_ENTRY_GITLINK && path.n > n && memcmp(path.s, e->file.path.s, n) == 0 && path.s[n] == '/') {
            dr_buf_printf(out, " is out: in %s, %s.", e->file.path.s, e->file.why ? e->file.why : "a submodule");
            return;
        }
    }
    dr_buf_add(&terminated, path.s, path.n);
    const bool there = !terminated.failed && r->root_fd >= 0 && dr_disk__stat(&sb, r->root_fd, terminated.data);
    dr_buf_free(&terminated);
    if (!r->id.from_disk || !there) {
        dr_buf_str(out, r->id.from_disk ? " is out: there is no such file." : " is out: not in this commit.");
        return;
    }
    if (dr_ignore__has(r->untracked, path, S_ISDIR(sb.st_mode), &rule)) {
        dr_buf_str(out, r->git ? " is out: not tracked, and ignored" : " is out: ignored");
        add_rule(out, rule.file, rule.line, rule.text);
        if (rule.folder.n < path.n) {
            dr_buf_str(out, ", as all of the folder ");
            add_shown(out, rule.folder);
        }
        dr_buf_str(out, ".");
    } else if (S_ISDIR(sb.st_mode)) {
        dr_buf_str(out, " is out: a folder without files that are listed.");
    } else {
        dr_buf_str(out, " is out: it came after the snapshot, or lies in a repository of its own.");
    }
}

dr_status dr_repo_explain(dr_buf *out, const dr_repo *r, dr_str path, dr_error *err)
{
    size_t i;

    while (path.n > 2 && path.s[0] == '.' && path.s[1] == '/')
        path = (dr_str){path.s + 2, path.n - 2};
    while (path.n > 1 && path.s[path.n - 1] == '/')
        path.n--;
    add_shown(out, path);
    if (dr_str_eq(path, DR_STR(".")) && explain_folder(out, r, 0, DR_STR("")))
        return out->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
    if (dr_repo_find(r, path, &i)) {
        explain_file(out, r, &r->entries[i]);
        add_collision(out, r, path);
    } else if (!explain_folder(out, r, i, path)) {
        explain_absent(out, r, path);
    }
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}
