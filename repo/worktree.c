/* repo/worktree.c: what lies on disk, over the files of HEAD.
 *
 * One walk looks at every file once. A tracked file whose times, size and inode are those in git's index holds the blob
 * that the index says, unless it was written as late as the index itself ("racily clean"). What else is tracked,
 * changed or new is known from the stat cache or read and hashed, on all threads, after the rules have been read:
 * attributes may change what git would store of a file. */
#include "repo/disk.h"
#include "repo/snapshot.h"
#include "repo/stat_cache.h"
#include "repo/to_git.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DEPTH = 512, MAX_IGNORE_BYTES = 16 << 20 };

/* A path of HEAD or of the index. */
typedef struct tracked {
    dr_str path;
    dr_entry *head;               /* NULL: only in the index */
    const git_index_entry *index; /* NULL: only in HEAD, or in conflict */
    bool seen;
} tracked;

/* Something on disk that HEAD does not have like that, as far as can be told without reading it. */
typedef struct found {
    dr_str path;
    struct stat sb;
    const git_index_entry *index;
    uint8_t id[20];
    uint8_t kind, why, to_git;
    uint32_t how; /* what its id depends on besides its bytes */
    bool known;   /* id is right */
    bool done;
} found;

typedef struct overlay {
    dr_repo *r;
    const dr_repo_options *opt;
    git_index *index;
    struct timespec index_time;
    bool sparse; /* what is not on disk need not be deleted */
    tracked *tracked;
    size_t n_tracked;
    found *found;
    size_t n_found, cap_found;
    dr_stat_cache *cache;
} overlay;

static dr_status no_memory(dr_error *err)
{
    return dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory");
}

/* The paths of HEAD and of the index in one list; both are in path order. */
static dr_status list_tracked(overlay *o, dr_error *err)
{
    const size_t n_head = o->r->n, n_index = o->index ? git_index_entrycount(o->index) : 0;
    size_t h = 0, i = 0;

    if (!(o->tracked = malloc((n_head + n_index + 1) * sizeof *o->tracked)))
        return no_memory(err);
    while (h < n_head || i < n_index) {
        const git_index_entry *ie = i < n_index ? git_index_get_byindex(o->index, i) : NULL;
        dr_entry *he = h < n_head ? &o->r->entries[h] : NULL;
        if (he && he->storage) { /* of a submodule */
            h++;
            continue;
        }
        const int order = !ie ? -1 : !he ? 1 : dr_str_cmp(he->file.path, dr_str_of(ie->path));
        tracked *t = &o->tracked[o->n_tracked];
        *t = (tracked){.path = order <= 0 ? he->file.path : dr_str_of(ie->path), .head = order <= 0 ? he : NULL};
        h += order <= 0;
        if (order >= 0) {
            t->index = git_index_entry_stage(ie) == 0 ? ie : NULL;
            i++;
        }
        /* The stages of a conflict, and hostile trees, name a path more than once. */
        if (o->n_tracked && dr_str_eq(t->path, t[-1].path))
            t[-1].head = t[-1].head ? t[-1].head : t->head;
        else
            o->n_tracked++;
    }
    return DR_OK;
}

/* The first of tracked[low, high) whose path is not below (prefix, suffix). All share `prefix` with it. */
static size_t lower_bound(const overlay *o, size_t low, size_t high, size_t n_prefix, dr_str rest)
{
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const dr_str p = o->tracked[mid].path;
        if (dr_str_cmp((dr_str){p.s + n_prefix, p.n - n_prefix}, rest) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool same_time(const git_index_time *a, const struct timespec *b)
{
    return (uint32_t)a->seconds == (uint32_t)b->tv_sec &&
           (a->nanoseconds == 0 || a->nanoseconds == (uint32_t)b->tv_nsec);
}

/* Whether the index vouches for what lies on disk. */
static bool is_as_indexed(const overlay *o, const git_index_entry *e, const struct stat *sb)
{
    const bool link = S_ISLNK(sb->st_mode);

    if ((e->mode & 0170000) != (link ? GIT_FILEMODE_LINK : 0100000u) || e->file_size != (uint32_t)sb->st_size ||
        !same_time(&e->mtime, &sb->st_mtim) || !same_time(&e->ctime, &sb->st_ctim) ||
        (e->ino && e->ino != (uint32_t)sb->st_ino) || (e->flags_extended & GIT_INDEX_ENTRY_INTENT_TO_ADD))
        return false;
    const int64_t s = (int64_t)sb->st_mtim.tv_sec - (int64_t)o->index_time.tv_sec;
    return s < 0 || (s == 0 && e->mtime.nanoseconds && sb->st_mtim.tv_nsec < o->index_time.tv_nsec);
}

static uint64_t print_of(const struct stat *sb)
{
    return S_ISREG(sb->st_mode) && dr_disk__is_settled(sb) ? dr_disk__print(sb) : 0;
}

static dr_status add_found(overlay *o, dr_str path, const struct stat *sb, const tracked *t, dr_error *err)
{
    const uint8_t kind = S_ISLNK(sb->st_mode) ? DR_ENTRY_LINK : DR_ENTRY_FILE;
    const git_index_entry *index = t ? t->index : NULL;
    const bool known = index && is_as_indexed(o, index, sb);

    if (known && t->head && t->head->kind == kind && memcmp(t->head->file.id, index->id.id, 20) == 0) {
        t->head->print = print_of(sb);
        return DR_OK; /* as it is in HEAD: nearly all files of nearly all working trees */
    }
    if (o->n_found == o->cap_found) {
        const size_t cap = o->cap_found ? 2 * o->cap_found : 64;
        found *grown = realloc(o->found, cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        o->found = grown;
        o->cap_found = cap;
    }
    found *f = &o->found[o->n_found++];
    *f = (found){
        .path = dr_snapshot__keep_text(o->r, path.s, path.n), .sb = *sb, .index = index, .kind = kind, .known = known};
    if (f->path.n != path.n)
        return no_memory(err);
    f->why = S_ISLNK(sb->st_mode) || S_ISREG(sb->st_mode) ? (uint8_t)dr_classify__path(path) : DR_WHY_SPECIAL;
    if (known)
        memcpy(f->id, index->id.id, 20);
    return DR_OK;
}

static bool is_vcs_folder(const char *name, bool in_git)
{
    static const char *const names[] = {".git", ".hg", ".svn", ".bzr", ".jj", "CVS", "_darcs", ".pijul"};
    for (size_t i = 0; i < (in_git ? 1 : sizeof names / sizeof *names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* The ignore file `name` of the folder whose path with a slash is in prefix. */
static dr_status load_ignore(overlay *o, dr_buf *prefix, const char *name, dr_error *err)
{
    const size_t keep = prefix->n;
    dr_buf content = {0};
    dr_status st = DR_OK;

    dr_buf_str(prefix, name);
    if (prefix->failed)
        st = no_memory(err);
    else if (dr_disk__read(&content, o->r->root_fd, prefix->data, MAX_IGNORE_BYTES, NULL) == DR_OK)
        st = dr_ignore__add(o->r->untracked, (dr_str){prefix->data, keep ? keep - 1 : 0}, dr_buf_view(prefix),
                            dr_buf_view(&content), err);
    prefix->n = keep;
    dr_buf_free(&content);
    return st;
}

/* What a folder holds: its names, each ended by a NUL. */
static dr_status read_names(dr_buf *names, bool *has_git, bool *has_ignore, bool *has_deepread, DIR *dir, dr_error *err)
{
    for (const struct dirent *d; (d = readdir(dir));) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        *has_git |= strcmp(d->d_name, ".git") == 0;
        *has_ignore |= strcmp(d->d_name, ".gitignore") == 0;
        *has_deepread |= strcmp(d->d_name, ".deepreadignore") == 0;
        dr_buf_add(names, d->d_name, strlen(d->d_name) + 1);
    }
    return names->failed ? no_memory(err) : DR_OK;
}

/* Takes dir_fd. prefix: the folder's path with a final slash, or nothing; restored on return. tracked[low, high) lie in
 * it. */
static dr_status walk(overlay *o, int dir_fd, dr_buf *prefix, int depth, size_t low, size_t high, bool ignored,
                      dr_error *err)
{
    dr_status st = DR_OK;
    const size_t keep = prefix->n;
    const bool in_git = o->r->git != NULL;
    bool has_git = false, has_ignore = false, has_deepread = false;
    dr_buf names = {0};
    DIR *dir = fdopendir(dir_fd);

    if (!dir) {
        close(dir_fd);
        return dr_fail(err, DR_ERR_IO, "%s: %s", keep ? prefix->data : o->r->id.root.s, strerror(errno));
    }
    if ((st = read_names(&names, &has_git, &has_ignore, &has_deepread, dir, err)) != DR_OK)
        goto done;
    if (keep && in_git && has_git && low == high)
        goto done; /* a repository inside this one, which is not ours to read */
    if ((has_ignore && !ignored && (st = load_ignore(o, prefix, ".gitignore", err)) != DR_OK) ||
        (has_deepread && !ignored && (st = load_ignore(o, prefix, ".deepreadignore", err)) != DR_OK))
        goto done;
    for (const char *name = names.data, *end = name + names.n; name < end && st == DR_OK; name += strlen(name) + 1) {
        struct stat sb;
        if (fstatat(dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        prefix->n = keep;
        dr_buf_str(prefix, name);
        if (prefix->failed) {
            st = no_memory(err);
            break;
        }
        const dr_str path = dr_buf_view(prefix);
        const dr_str rest = {path.s + keep, path.n - keep};
        const size_t at = lower_bound(o, low, high, keep, rest);
        tracked *t = at < high && dr_str_eq(o->tracked[at].path, path) ? &o->tracked[at] : NULL;
        if (!S_ISDIR(sb.st_mode)) {
            if (strcmp(name, ".git") == 0)
                continue; /* the way to a repository that lies elsewhere */
            if (t)
                t->seen = true;
            else if (ignored || dr_ignore__says(o->r->untracked, path, false, NULL))
                continue;
            st = add_found(o, path, &sb, t, err);
            continue;
        }
        if (is_vcs_folder(name, in_git) || depth == MAX_DEPTH)
            continue;
        if (t && ((t->head && t->head->kind == DR_ENTRY_GITLINK) ||
                  (t->index && (t->index->mode & 0170000) == GIT_FILEMODE_COMMIT)))
            continue; /* a submodule's own changes are its own business */
        const bool now_ignored = ignored || dr_ignore__says(o->r->untracked, path, true, NULL);
        dr_buf_str(prefix, "/");
        const dr_str below = {prefix->data + keep, prefix->n - keep};
        const size_t first = lower_bound(o, low, high, keep, below);
        prefix->data[prefix->n - 1]++; /* '0' comes right after '/' */
        const size_t last = lower_bound(o, first, high, keep, below);
        prefix->data[prefix->n - 1]--;
        if (now_ignored && first == last)
            continue;
        const int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0) /* a folder we may not read is not part of the snapshot */
            st = walk(o, fd, prefix, depth + 1, first, last, now_ignored, err);
    }
done:
    prefix->n = keep;
    dr_buf_free(&names);
    closedir(dir);
    return st;
}

/* Whether the version in the index has CRLF line ends: then git leaves them alone when it has to guess. */
static bool index_has_crlf(const overlay *o, const git_index_entry *e)
{
    git_odb_object *object = NULL;
    bool has = false;

    if (e && git_odb_read(&object, o->r->odb, &e->id) == 0)
        has = memmem(git_odb_object_data(object), git_odb_object_size(object), "\r\n", 2) != NULL;
    git_odb_object_free(object);
    return has;
}

/* Finds the id of one file. */
static void resolve(const overlay *o, found *f, dr_buf *content, const dr_attr_set *attr)
{
    const dr_repo *r = o->r;
    dr_to_git how = dr_to_git__of(attr, r->autocrlf);

    f->how = dr_to_git__digest(&how);
    if (f->known || f->why != DR_WHY_NONE)
        return;
    if (f->kind == DR_ENTRY_LINK) {
        if (dr_disk__read_link(content, r->root_fd, f->path.s, NULL) != DR_OK)
            f->why = DR_WHY_UNREADABLE;
        else
            dr_disk__blob_id(f->id, dr_buf_view(content));
        return;
    }
    if ((uint64_t)f->sb.st_size > r->max_file_bytes) { /* not worth hashing: its size stands for it */
        f->why = how.lfs ? DR_WHY_LFS : DR_WHY_NONE;
        return;
    }
    if (dr_stat_cache__find(o->cache, f->id, &f->to_git, f->path, &f->sb, f->how))
        return;
    if (dr_disk__read(content, r->root_fd, f->path.s, r->max_file_bytes, NULL) != DR_OK) {
        f->why = DR_WHY_UNREADABLE; /* no permission, or gone or grown since the walk */
        return;
    }
    f->sb.st_size = (off_t)content->n;
    if (how.guess)
        how.line_ends |= dr_to_git__guesses_text(dr_buf_view(content)) && !index_has_crlf(o, f->index);
    if (dr_to_git__apply(content, &how, NULL) != DR_OK) {
        f->why = DR_WHY_UNREADABLE;
        return;
    }
    dr_disk__blob_id(f->id, dr_buf_view(content));
    f->to_git = dr_to_git__done(&how);
}

static bool is_rules_file(dr_str path)
{
    size_t at = path.n;
    while (at > 0 && path.s[at - 1] != '/')
        at--;
    const dr_str name = {path.s + at, path.n - at};
    return dr_str_eq(name, DR_STR(".gitattributes")) || dr_str_eq(name, DR_STR(".deepreadignore"));
}

static void resolve_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const overlay *o = arg;
    dr_buf content = {0};
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        found *f = &o->found[i];
        const dr_attr_set attr = f->done ? (dr_attr_set){0} : dr_attributes__get(o->r->attributes, f->path, false);
        if (!f->done)
            resolve(o, f, &content, &attr);
    }
    dr_buf_free(&content);
}

static int by_path(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_entry *)a)->file.path, ((const dr_entry *)b)->file.path);
}

/* Puts it into the snapshot, where the first n_listed entries are in path order. */
static dr_status apply(overlay *o, found *f, size_t n_listed, dr_error *err)
{
    static const uint8_t none[20];
    dr_repo *r = o->r;
    const dr_entry key = {.file.path = f->path};
    dr_entry *e = n_listed ? bsearch(&key, r->entries, n_listed, sizeof key, by_path) : NULL;
    dr_status st = DR_OK;

    f->done = true;
    if (e && (e->kind == DR_ENTRY_GITLINK || e->why != DR_WHY_NONE))
        return DR_OK;
    if (e && e->kind == f->kind && f->why == DR_WHY_NONE && memcmp(e->file.id, f->id, 20) == 0) {
        e->print = f->to_git ? 0 : print_of(&f->sb);
        return DR_OK; /* touched, or changed and changed back */
    }
    if (!e && (st = dr_snapshot__add(&e, r, f->path, (dr_entry_kind)f->kind, err)) != DR_OK)
        return st;
    r->id.n_dirty += r->git != NULL;
    e->kind = f->kind;
    e->why = f->why;
    e->on_disk = !f->known; /* what the index vouches for is in the object database */
    e->to_git = f->to_git;
    e->print = f->to_git ? 0 : print_of(&f->sb);
    e->file.size = (uint64_t)f->sb.st_size;
    e->file.dirty = r->git != NULL;
    memcpy(e->file.id, f->why == DR_WHY_NONE ? f->id : none, 20);
    return DR_OK;
}

/* What HEAD has and the disk has not. */
static void mark_gone(overlay *o)
{
    for (size_t i = 0; i < o->n_tracked && !o->sparse; i++) {
        const tracked *t = &o->tracked[i];
        if (t->seen || !t->head || t->head->kind == DR_ENTRY_GITLINK || t->head->kind == DR_ENTRY_FOLDER ||
            t->head->why != DR_WHY_NONE || (t->index && (t->index->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE)))
            continue;
        t->head->gone = true;
        o->r->id.n_dirty++;
    }
}

/* What is said about untracked files outside the tree itself, lowest first. */
static dr_status load_outer_ignores(overlay *o, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf content = {0};

    if (o->opt->user_ignore && dr_read_file(&content, o->opt->user_ignore, MAX_IGNORE_BYTES, NULL) == DR_OK)
        st = dr_ignore__add(o->r->untracked, DR_STR(""), dr_str_of(o->opt->user_ignore), dr_buf_view(&content), err);
    if (st == DR_OK && o->r->git &&
        dr_disk__read_below(&content, git_repository_commondir(o->r->git), "info/exclude", MAX_IGNORE_BYTES, NULL) ==
            DR_OK)
        st = dr_ignore__add(o->r->untracked, DR_STR(""), DR_STR("info/exclude"), dr_buf_view(&content), err);
    dr_buf_free(&content);
    return st;
}

/* An index that cannot be read (split, sparse, damaged) vouches for nothing: everything is hashed then. If folders may
 * have been left out of the working tree, only such an index would say which. */
static void open_index(overlay *o)
{
    struct stat sb;

    if (!o->r->git)
        return;
    if (git_repository_index(&o->index, o->r->git) == 0) {
        if (git_index_path(o->index) && stat(git_index_path(o->index), &sb) == 0)
            o->index_time = sb.st_mtim;
        return;
    }
    dr_buf path = {0};
    o->index = NULL;
    dr_buf_printf(&path, "%sinfo/sparse-checkout", git_repository_path(o->r->git));
    o->sparse = !path.failed && lstat(path.data, &sb) == 0;
    dr_buf_free(&path);
}

dr_status dr_snapshot__overlay(dr_repo *r, const dr_repo_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    overlay o = {.r = r, .opt = opt};
    dr_buf prefix = {0}, content = {0};
    const dr_attr_set plain = {0};
    int fd = -1;

    if (!(r->untracked = dr_ignore__new()) || !(o.cache = dr_stat_cache__open(opt->store, r->id.root))) {
        st = no_memory(err);
        goto done;
    }
    open_index(&o);
    if ((st = list_tracked(&o, err)) != DR_OK || (st = load_outer_ignores(&o, err)) != DR_OK)
        goto done;
    if ((fd = openat(r->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", r->id.root.s, strerror(errno));
        goto done;
    }
    if ((st = walk(&o, fd, &prefix, 0, 0, o.n_tracked, false, err)) != DR_OK)
        goto done;
    mark_gone(&o);

    const size_t n_head = r->n;
    for (size_t i = 0; i < o.n_found && st == DR_OK; i++)
        if (is_rules_file(o.found[i].path)) {
            resolve(&o, &o.found[i], &content, &plain);
            st = apply(&o, &o.found[i], n_head, err);
        }
    if (st != DR_OK)
        goto done;
    dr_snapshot__settle(r);
    if ((st = dr_snapshot__load_rules(r, opt, err)) != DR_OK)
        goto done;
    if (opt->pool)
        dr_pool_run(opt->pool, (int64_t)o.n_found, 16, resolve_range, &o);
    else
        resolve_range(&o, 0, (int64_t)o.n_found, 0);
    const size_t n_settled = r->n;
    for (size_t i = 0; i < o.n_found && st == DR_OK; i++) {
        found *f = &o.found[i];
        if (!f->known && f->why == DR_WHY_NONE && f->kind == DR_ENTRY_FILE &&
            (uint64_t)f->sb.st_size <= r->max_file_bytes)
            dr_stat_cache__keep(o.cache, f->path, &f->sb, f->how, f->to_git, f->id);
        if (!f->done)
            st = apply(&o, f, n_settled, err);
    }
    dr_snapshot__settle(r);
    if (st == DR_OK && r->git)
        dr_snapshot__move_submodules(r);
done:
    dr_stat_cache__close(o.cache, st == DR_OK);
    dr_buf_free(&prefix);
    dr_buf_free(&content);
    git_index_free(o.index);
    free(o.tracked);
    free(o.found);
    return st;
}
