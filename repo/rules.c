/* repo/rules.c: which files of a snapshot are in: its attributes and .deepreadignore files, and the caller's patterns.
 */
#include "repo/disk.h"
#include "repo/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_RULES_BYTES = 16 << 20 };

static const char attributes_name[] = ".gitattributes", ignore_name[] = ".deepreadignore";

/* The folder of a path whose last part is `name`. */
static bool is_named(dr_str path, const char *name, dr_str *folder)
{
    const size_t n = strlen(name);
    if (path.n < n || memcmp(path.s + path.n - n, name, n) != 0 || (path.n > n && path.s[path.n - n - 1] != '/'))
        return false;
    *folder = (dr_str){path.s, path.n > n ? path.n - n - 1 : 0};
    return true;
}

typedef struct rules_file {
    const dr_entry *entry;
    dr_str folder;
    size_t depth;
    bool is_attributes;
} rules_file;

/* Shallow folders first; their paths tell the others apart. */
static int by_depth(const void *a, const void *b)
{
    const rules_file *x = a, *y = b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return dr_str_cmp(x->entry->file.path, y->entry->file.path);
}

static dr_status find_files(rules_file **out, size_t *n_out, const dr_repo *r, dr_error *err)
{
    rules_file *files = NULL;
    size_t n = 0, cap = 0;

    for (size_t i = 0; i < r->n; i++) {
        const dr_entry *e = &r->entries[i];
        rules_file f = {.entry = e};
        f.is_attributes = is_named(e->file.path, attributes_name, &f.folder);
        if (e->kind != DR_ENTRY_FILE || e->why != DR_WHY_NONE ||
            (!f.is_attributes && !is_named(e->file.path, ignore_name, &f.folder)))
            continue;
        for (size_t k = 0; k < f.folder.n; k++)
            f.depth += f.folder.s[k] == '/';
        f.depth += f.folder.n > 0;
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            rules_file *grown = realloc(files, cap * sizeof *grown);
            if (!grown) {
                free(files);
                return dr_fail(err, DR_ERR_NOMEM, "rules: out of memory");
            }
            files = grown;
        }
        files[n++] = f;
    }
    if (n)
        qsort(files, n, sizeof *files, by_depth);
    *out = files;
    *n_out = n;
    return DR_OK;
}

static void digest_text(dr_sha256_stream *d, dr_str s)
{
    uint8_t n[8];
    dr_store_u64(n, s.n);
    dr_sha256_update(d, n, sizeof n);
    dr_sha256_update(d, s.s, s.n);
}

/* The caller's patterns as the one file of an evaluator. */
static dr_status load_patterns(dr_ignore **out, dr_sha256_stream *d, const char *const *patterns, size_t n,
                               const char *name, dr_error *err)
{
    dr_buf text = {0};

    for (size_t i = 0; i < n; i++)
        dr_buf_printf(&text, "%s\n", patterns[i]);
    digest_text(d, dr_buf_view(&text));
    dr_status st = text.failed || !(*out = dr_ignore__new())
                       ? dr_fail(err, DR_ERR_NOMEM, "rules: out of memory")
                       : dr_ignore__add(*out, DR_STR(""), dr_str_of(name), dr_buf_view(&text), err);
    dr_buf_free(&text);
    return st;
}

/* from: the snapshot that has the file. */
static dr_status load_file(dr_repo *r, const dr_repo *from, dr_sha256_stream *d, const rules_file *f, dr_buf *content,
                           dr_error *err)
{
    const dr_str path = f->entry->file.path;
    size_t size = f->entry->file.size;
    git_object_t type;
    git_oid id;

    memcpy(id.id, f->entry->file.id, 20);
    if (!f->entry->on_disk && git_odb_read_header(&size, &type, dr_snapshot__odb_of(from, path), &id) < 0)
        return DR_OK; /* listed as missing */
    if (size > MAX_RULES_BYTES || dr_snapshot__read(from, f->entry, content, NULL) != DR_OK)
        return DR_OK;
    digest_text(d, path);
    dr_sha256_update(d, f->entry->file.id, 20);
    return f->is_attributes ? dr_attributes__add(r->attributes, f->folder, path, false, dr_buf_view(content), err)
                            : dr_ignore__add(r->deepread, f->folder, path, dr_buf_view(content), err);
}

dr_status dr_snapshot__load_rules(dr_repo *r, const dr_repo_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_repo *from = opt->rules_of ? opt->rules_of : r;
    rules_file *files = NULL;
    size_t n = 0;
    dr_buf content = {0};
    dr_sha256_stream *d = dr_sha256_new();
    uint8_t head[9];

    dr_store_u64(head, r->max_file_bytes);
    head[8] = opt->submodules;
    dr_sha256_update(d, r->text_rules.b, 32);
    dr_sha256_update(d, head, sizeof head);
    if (!(r->attributes = dr_attributes__new()) || !(r->deepread = dr_ignore__new())) {
        st = dr_fail(err, DR_ERR_NOMEM, "rules: out of memory");
        goto done;
    }
    if ((st = load_patterns(&r->include, d, opt->include, opt->n_include, "--include", err)) != DR_OK ||
        (st = load_patterns(&r->exclude, d, opt->exclude, opt->n_exclude, "--exclude", err)) != DR_OK ||
        (st = find_files(&files, &n, from, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < n; i++)
        if ((st = load_file(r, from, d, &files[i], &content, err)) != DR_OK)
            goto done;
    if (r->git && dr_disk__read_below(&content, git_repository_commondir(r->git), "info/attributes", MAX_RULES_BYTES,
                                      NULL) == DR_OK) {
        digest_text(d, dr_buf_view(&content));
        st = dr_attributes__add(r->attributes, DR_STR(""), DR_STR("info/attributes"), true, dr_buf_view(&content), err);
    }
    if (st == DR_OK)
        st = dr_attributes__finish(r->attributes, err);
done:
    r->rules = dr_sha256_finish(d);
    dr_buf_free(&content);
    free(files);
    return st;
}

void dr_repo_rules_digest(dr_digest *out, const dr_repo *r)
{
    *out = r->rules;
}

/* The path itself, the folders above it left aside. */
static dr_why says(const dr_repo *r, dr_str path, bool is_folder)
{
    if (dr_ignore__says(r->deepread, path, is_folder, NULL))
        return DR_WHY_DEEPREADIGNORE;
    if (dr_attributes__mentions(r->attributes, DR_ATTR_EXPORT_IGNORE) &&
        dr_attributes__get(r->attributes, path, is_folder).export_ignore)
        return DR_WHY_EXPORT_IGNORE;
    if (dr_ignore__says(r->exclude, path, is_folder, NULL))
        return DR_WHY_EXCLUDED;
    return DR_WHY_NONE;
}

static dr_why folders_say(const dr_repo *r, dr_str path, dr_str *at)
{
    dr_why why = DR_WHY_NONE;
    for (size_t i = 0; i < path.n && why == DR_WHY_NONE; i++)
        if (path.s[i] == '/' && (why = says(r, *at = (dr_str){path.s, i}, true)) != DR_WHY_NONE)
            break;
    return why;
}

dr_why dr_snapshot__taken_out(const dr_repo *r, dr_str path, bool is_folder, dr_str *at)
{
    dr_str where = path;
    dr_why why = folders_say(r, path, &where);

    if (why == DR_WHY_NONE)
        why = says(r, where = path, is_folder);
    if (why == DR_WHY_NONE && !is_folder && !dr_ignore__is_empty(r->include) &&
        !dr_ignore__has(r->include, path, false, NULL))
        why = DR_WHY_NOT_INCLUDED;
    if (at)
        *at = where;
    return why;
}

void dr_snapshot__take_out(dr_repo *r)
{
    dr_str folder = {"", 0}; /* of the entry before, with its final slash */
    dr_why folder_why = DR_WHY_NONE;

    if (dr_ignore__is_empty(r->deepread) && dr_ignore__is_empty(r->exclude) && dr_ignore__is_empty(r->include) &&
        !dr_attributes__mentions(r->attributes, DR_ATTR_EXPORT_IGNORE))
        return;
    for (size_t i = 0; i < r->n; i++) {
        dr_entry *e = &r->entries[i];
        const dr_str path = e->file.path;
        if (e->why != DR_WHY_NONE)
            continue;
        size_t n = path.n;
        while (n > 0 && path.s[n - 1] != '/')
            n--;
        const bool is_folder = e->kind == DR_ENTRY_GITLINK;
        if (!dr_str_eq(folder, (dr_str){path.s, n})) {
            dr_str at;
            folder = (dr_str){path.s, n};
            folder_why = folders_say(r, path, &at);
        }
        dr_why why = folder_why != DR_WHY_NONE ? folder_why : says(r, path, is_folder);
        if (why == DR_WHY_NONE && !dr_ignore__is_empty(r->include) &&
            !dr_ignore__has(r->include, path, is_folder, NULL))
            why = DR_WHY_NOT_INCLUDED;
        e->why = (uint8_t)why;
        if (why != DR_WHY_NONE)
            e->file.size = 0;
    }
}
