/* app/pack_folders.c: the first line of a full pack and its directory map (docs/pack.md). */
#include "app/pack_parts.h"
#include "app/pack_text.h"

#include <stdlib.h>
#include <string.h>

typedef struct member {
    dr_str dir, line; /* its folder, and the folder in whose line it is named or counted: dir or one above */
    uint32_t file;
} member;

typedef struct folder {
    dr_str dir;
    size_t first, n; /* its own files among the members */
    size_t n_below;  /* files of deeper folders that are counted here */
    uint32_t best;   /* importance of its best own file: place in the order */
    bool listed;     /* with names; otherwise counted */
} folder;

typedef struct folders {
    const dr_maker *m;
    member *members;
    folder *v;
    uint32_t *place; /* [n_files] of a file in the order of importance; NULL: no limit */
    size_t n_members, n;
    int depth; /* of the deepest */
} folders;

static dr_str dir_of(dr_str path)
{
    const char *slash = memrchr(path.s, '/', path.n);
    return (dr_str){path.s, slash ? (size_t)(slash - path.s) : 0};
}

static dr_str name_of(dr_str path)
{
    const dr_str dir = dir_of(path);
    const size_t skip = dir.n ? dir.n + 1 : 0;
    return (dr_str){path.s + skip, path.n - skip};
}

static int by_line(const void *a, const void *b)
{
    const member *x = a, *y = b;
    int c = dr_str_cmp(x->line, y->line);
    if (!c)
        c = dr_str_cmp(x->dir, y->dir); /* the line's own folder before deeper ones */
    return c ? c : (x->file > y->file) - (x->file < y->file);
}

static int depth_of(dr_str dir)
{
    int depth = dir.n ? 1 : 0;
    for (size_t i = 0; i < dir.n; i++)
        depth += dir.s[i] == '/';
    return depth;
}

/* The first `depth` parts of a folder's path. */
static dr_str above(dr_str dir, int depth)
{
    size_t at = 0;
    if (depth == 0)
        return (dr_str){dir.s, 0};
    for (; at < dir.n; at++)
        if (dir.s[at] == '/' && --depth == 0)
            break;
    return (dr_str){dir.s, at};
}

/* What has a line of its own in the map, not a name in a folder's line. */
static bool apart(const dr_repo_file *f)
{
    return f->cls == DR_FILE_SYMLINK || f->cls == DR_FILE_SUBMODULE || f->cls == DR_FILE_LFS_POINTER;
}

static dr_status gather(folders *fs, const uint32_t *order, dr_error *err)
{
    const dr_repo *repo = fs->m->base;
    const size_t n = dr_repo_n_files(repo);

    fs->members = malloc((n ? n : 1) * sizeof *fs->members);
    fs->v = malloc((n ? n : 1) * sizeof *fs->v);
    fs->place = order ? malloc((n ? n : 1) * sizeof *fs->place) : NULL;
    if (!fs->members || !fs->v || (order && !fs->place))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; order && i < n; i++)
        fs->place[order[i]] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        const dr_repo_file *f = dr_repo_file_at(repo, i);
        if (f->cls == DR_FILE_REFUSED || apart(f))
            continue;
        const dr_str dir = dir_of(f->path);
        const int depth = depth_of(dir);
        fs->depth = depth > fs->depth ? depth : fs->depth;
        fs->members[fs->n_members++] = (member){.dir = dir, .file = (uint32_t)i};
    }
    return DR_OK;
}

/* Folders deeper than `depth` are counted in the one above. */
static void fold(folders *fs, int depth, bool listed)
{
    fs->n = 0;
    for (size_t i = 0; i < fs->n_members; i++)
        fs->members[i].line = above(fs->members[i].dir, depth);
    qsort(fs->members, fs->n_members, sizeof *fs->members, by_line);
    for (size_t i = 0; i < fs->n_members; i++) {
        const member *x = &fs->members[i];
        if (!fs->n || !dr_str_eq(fs->v[fs->n - 1].dir, x->line))
            fs->v[fs->n++] = (folder){.dir = x->line, .first = i, .best = UINT32_MAX, .listed = listed};
        folder *f = &fs->v[fs->n - 1];
        if (x->dir.n != x->line.n) {
            f->n_below++;
            continue;
        }
        f->n++;
        if (fs->place && fs->place[x->file] < f->best)
            f->best = fs->place[x->file];
    }
}

static void add_dir(dr_buf *out, dr_str dir)
{
    if (dir.n)
        dr_pack_text_name(out, dir);
    else
        dr_buf_add(out, ".", 1);
}

/* The names of a folder's files that are shown, or of the others, in lines that begin with `label`. */
static void list_names(dr_buf *out, const folders *fs, const folder *f, const char *label, bool shown)
{
    size_t line = 0; /* where the open one starts */
    bool open = false;

    for (size_t i = 0; i < f->n; i++) {
        const dr_repo_file *file = dr_repo_file_at(fs->m->base, fs->members[f->first + i].file);
        if (dr_pack__shows(file->cls) != shown)
            continue;
        if (open && out->n - line >= DR_PACK_LINE_BYTES) {
            dr_buf_add(out, "\n", 1);
            open = false;
        }
        if (!open) {
            line = out->n;
            dr_buf_str(out, label);
            add_dir(out, f->dir);
            dr_buf_add(out, ":", 1);
            open = true;
        }
        dr_buf_add(out, " ", 1);
        dr_pack_text_name(out, name_of(file->path));
    }
    if (open)
        dr_buf_add(out, "\n", 1);
}

static void count_line(dr_buf *out, dr_str dir, size_t n)
{
    dr_buf_str(out, "folder ");
    add_dir(out, dir);
    dr_buf_printf(out, ", %zu files\n", n);
}

static void folder_lines(dr_buf *out, const folders *fs, const folder *f)
{
    if (f->listed) {
        list_names(out, fs, f, "folder ", true);
        list_names(out, fs, f, "not shown in ", false);
    }
    const size_t counted = f->n_below + (f->listed ? 0 : f->n);
    if (counted)
        count_line(out, f->dir, counted);
}

void dr_pack__apart_line(dr_buf *out, const dr_repo *repo, dr_file_class cls, dr_str path, const uint8_t id[20], uint64_t size)
{
    dr_buf target = {0};

    switch (cls) {
    case DR_FILE_SYMLINK:
        dr_buf_str(out, "link ");
        dr_pack_text_name(out, path);
        if (dr_pack__link_target(&target, repo, path, id) && target.n) {
            dr_buf_str(out, " to ");
            dr_pack_text_name(out, dr_buf_view(&target));
        }
        break;
    case DR_FILE_SUBMODULE:
        dr_buf_str(out, "submodule ");
        dr_pack_text_name(out, path);
        dr_buf_printf(out, " at %02x%02x%02x%02x%02x%02x", id[0], id[1], id[2], id[3], id[4], id[5]);
        break;
    default:
        dr_buf_str(out, "pointer ");
        dr_pack_text_name(out, path);
        dr_buf_printf(out, " to %llu bytes", (unsigned long long)size);
        break;
    }
    dr_buf_add(out, "\n", 1);
    dr_buf_free(&target);
}

static size_t n_tokens(const folders *fs, const dr_buf *text, dr_ids *scratch, dr_status *st, dr_error *err)
{
    scratch->n = 0;
    if (*st == DR_OK)
        *st = text->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory")
                           : dr_tokenizer_encode(fs->m->t, scratch, dr_buf_view(text), false, err);
    return scratch->n;
}

static int by_best(const void *a, const void *b)
{
    const folder *x = *(folder *const *)a, *y = *(folder *const *)b;
    return x->best != y->best ? (x->best < y->best ? -1 : 1) : dr_str_cmp(x->dir, y->dir);
}

/* Finds what fits: the depth at which counting all folders takes at most half of the room, then names, best folders first. */
static dr_status fit(folders *fs, int64_t room, dr_error *err)
{
    enum { MISSES = 16 };
    dr_status st = DR_OK;
    dr_buf text = {0};
    dr_ids scratch = {0};
    int64_t used = 0;
    folder **best = NULL;

    for (int depth = fs->depth; depth >= 0 && st == DR_OK; depth--) {
        fold(fs, depth, false);
        dr_buf_clear(&text);
        for (size_t i = 0; i < fs->n; i++)
            folder_lines(&text, fs, &fs->v[i]);
        used = (int64_t)n_tokens(fs, &text, &scratch, &st, err);
        if (used <= room / 2)
            break;
    }
    if (st != DR_OK)
        goto done;
    if (used > room) {
        fs->n = 0; /* not even the root's count */
        goto done;
    }
    if (!(best = malloc((fs->n ? fs->n : 1) * sizeof(folder *)))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < fs->n; i++)
        best[i] = &fs->v[i];
    qsort(best, fs->n, sizeof(folder *), by_best);
    int misses = 0;
    for (size_t i = 0; i < fs->n && misses < MISSES && st == DR_OK; i++) {
        dr_buf_clear(&text);
        folder_lines(&text, fs, best[i]);
        const int64_t counted = (int64_t)n_tokens(fs, &text, &scratch, &st, err);
        best[i]->listed = true;
        dr_buf_clear(&text);
        folder_lines(&text, fs, best[i]);
        const int64_t listed = (int64_t)n_tokens(fs, &text, &scratch, &st, err);
        if (used - counted + listed > room) {
            best[i]->listed = false;
            misses++;
        } else
            used += listed - counted;
    }
done:
    free(best);
    dr_ids_free(&scratch);
    dr_buf_free(&text);
    return st;
}

dr_status dr_pack__front(dr_ids *ids, const dr_maker *m, int64_t room, const uint32_t *order, dr_error *err)
{
    dr_status st = DR_OK;
    folders fs = {.m = m};
    dr_buf text = {0}, line = {0};
    dr_ids scratch = {0};
    const size_t n = dr_repo_n_files(m->base);

    dr_buf_printf(&text, "repository of %zu files", n);
    if (*m->c0) {
        dr_buf_str(&text, " at ");
        dr_pack_text_commit(&text, m->c0);
    }
    dr_buf_str(&text, "\n");
    const int64_t left = room - (int64_t)n_tokens(&fs, &text, &scratch, &st, err);
    int64_t left_apart = left / 8; /* links and the like have an eighth of the room */
    if (st != DR_OK || (st = gather(&fs, order, err)) != DR_OK)
        goto done;
    if (!room)
        fold(&fs, fs.depth, true);
    else if ((st = fit(&fs, left - left / 8, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < fs.n; i++)
        folder_lines(&text, &fs, &fs.v[i]);
    for (size_t i = 0; i < n && st == DR_OK; i++) {
        const dr_repo_file *f = dr_repo_file_at(m->base, i);
        if (!apart(f))
            continue;
        dr_buf_clear(&line);
        dr_pack__apart_line(&line, m->base, f->cls, f->path, f->id, f->size);
        if (room && (left_apart -= (int64_t)n_tokens(&fs, &line, &scratch, &st, err)) < 0)
            break;
        dr_buf_add(&text, line.data, line.n);
    }
    if (st == DR_OK && text.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (st == DR_OK)
        st = dr_tokenizer_encode(m->t, ids, dr_buf_view(&text), false, err);
done:
    dr_ids_free(&scratch);
    dr_buf_free(&line);
    dr_buf_free(&text);
    free(fs.place);
    free(fs.v);
    free(fs.members);
    return st;
}
