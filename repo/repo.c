#include "repo/repo.h"

#include "repo/attributes.h"
#include "repo/disk.h"
#include "repo/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILES = 1000000, DEFAULT_MAX_FILE_BYTES = 16 << 20 };

dr_status dr_snapshot__add(dr_entry **out, dr_repo *r, dr_str path, dr_entry_kind kind, dr_error *err)
{
    *out = NULL;
    if (r->n == MAX_FILES)
        return dr_fail(err, DR_ERR_LIMIT, "%s: more than %d files", r->id.root.s, MAX_FILES);
    if (r->n == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 256;
        dr_entry *grown = realloc(r->entries, cap * sizeof *grown);
        if (!grown)
            goto no_memory;
        r->entries = grown;
        r->cap = cap;
    }
    char *copy = dr_arena_take(r->text, path.n + 1);
    if (!copy)
        goto no_memory;
    memcpy(copy, path.s, path.n);
    dr_entry *e = &r->entries[r->n++];
    *e = (dr_entry){.file.path = {copy, path.n}, .kind = (uint8_t)kind, .why = (uint8_t)dr_classify__path(path)};
    *out = e;
    return DR_OK;
no_memory:
    return dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory");
}

static int by_path(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_entry *)a)->file.path, ((const dr_entry *)b)->file.path);
}

/* Path order, without what is gone; a second entry of one name (a hostile tree) is refused. */
static void settle(dr_repo *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!r->entries[i].gone)
            r->entries[n++] = r->entries[i];
    r->n = n;
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++)
        sorted = by_path(&r->entries[i - 1], &r->entries[i]) <= 0;
    if (!sorted)
        qsort(r->entries, n, sizeof *r->entries, by_path);
    for (size_t i = 1; i < n; i++)
        if (dr_str_eq(r->entries[i - 1].file.path, r->entries[i].file.path))
            r->entries[i].why = DR_WHY_NAME_TWICE;
}

static dr_digest digest_of(const dr_repo *r)
{
    static const uint8_t none[20];
    dr_sha256_stream *s = dr_sha256_new();
    for (size_t i = 0; i < r->n; i++) {
        const dr_entry *e = &r->entries[i];
        uint8_t head[9] = {e->kind};
        dr_store_u64(head + 1, e->file.path.n);
        dr_sha256_update(s, head, sizeof head);
        dr_sha256_update(s, e->file.path.s, e->file.path.n);
        dr_sha256_update(s, e->file.id, 20);
        if (memcmp(e->file.id, none, 20) == 0) { /* not hashed: too large or unreadable */
            uint8_t size[8];
            dr_store_u64(size, e->file.size);
            dr_sha256_update(s, size, sizeof size);
        }
    }
    return dr_sha256_finish(s);
}

/* Everything known without content. True: the content decides. */
static bool classify_without_content(const dr_repo *r, dr_entry *e)
{
    if (e->why != DR_WHY_NONE)
        return false;
    if (e->kind == DR_ENTRY_GITLINK || e->kind == DR_ENTRY_LINK) {
        e->why = e->kind == DR_ENTRY_LINK ? DR_WHY_SYMLINK : DR_WHY_SUBMODULE;
        return false;
    }
    if (!e->on_disk) {
        size_t size;
        git_object_t type;
        git_oid id;
        memcpy(id.id, e->file.id, 20);
        if (git_odb_read_header(&size, &type, r->odb, &id) < 0 || type != GIT_OBJECT_BLOB) {
            e->why = DR_WHY_MISSING;
            return false;
        }
        e->file.size = size;
    }
    if (e->file.size > r->max_file_bytes) {
        e->why = DR_WHY_TOO_LARGE;
        return false;
    }
    return true;
}

typedef struct classify_job {
    dr_repo *r;
    const dr_blob_store *store;
} classify_job;

static void classify_entry(const classify_job *job, dr_entry *e, dr_buf *content, dr_buf *scratch)
{
    const dr_attr_set attr = dr_attributes__get(job->r->attributes, e->file.path);
    dr_blob_facts facts;

    e->file.vendored = attr.vendored == 1;
    if (e->why != DR_WHY_NONE || e->kind != DR_ENTRY_FILE ||
        !dr_snapshot__recall(&facts, job->store, job->r, e->file.id, attr.encoding)) {
        if (!classify_without_content(job->r, e))
            return;
        if (dr_snapshot__read(job->r, e, content, NULL) != DR_OK ||
            dr_snapshot__look(&facts, scratch, job->r, dr_buf_view(content), attr.encoding, NULL) != DR_OK) {
            e->why = e->on_disk ? DR_WHY_UNREADABLE : DR_WHY_MISSING;
            return;
        }
        dr_snapshot__remember(&facts, job->store, job->r, e->file.id, attr.encoding);
    }
    e->file.size = facts.size;
    e->why = (uint8_t)(facts.size > job->r->max_file_bytes ? DR_WHY_TOO_LARGE
                                                           : dr_classify__verdict(e->file.path, &attr, &facts));
    if (e->why == DR_WHY_LFS)
        e->file.size = facts.lfs_size;
    const dr_file_class cls = dr_why__class((dr_why)e->why);
    if (cls == DR_FILE_TEXT || cls == DR_FILE_GENERATED) {
        e->file.converted = dr_content__is_converted(facts.kind);
        e->file.n_secrets = facts.n_secrets;
    }
}

static void classify_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const classify_job *job = arg;
    dr_buf content = {0}, scratch = {0};
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        classify_entry(job, &job->r->entries[i], &content, &scratch);
    dr_buf_free(&content);
    dr_buf_free(&scratch);
}

/* In path order a folder's file comes before those of its folders: "a/.gitattributes" < "a/b/.gitattributes" only if
 * '.' < 'b', which names starting with '!' or '-' break; so by depth. */
static dr_status load_attributes(dr_attributes *a, dr_repo *r, dr_error *err)
{
    static const char name[] = ".gitattributes";
    const size_t n_name = sizeof name - 1;
    dr_status st = DR_OK;
    dr_buf content = {0};
    size_t deepest = 0;
    dr_sha256_stream *rules = dr_sha256_new();
    uint8_t limit[8];

    dr_store_u64(limit, r->max_file_bytes);
    dr_sha256_update(rules, r->text_rules.b, 32);
    dr_sha256_update(rules, limit, 8);
    for (size_t depth = 0; depth <= deepest && st == DR_OK; depth++) {
        for (size_t i = 0; i < r->n && st == DR_OK; i++) {
            const dr_entry *e = &r->entries[i];
            const dr_str p = e->file.path;
            if (p.n < n_name || memcmp(p.s + p.n - n_name, name, n_name) != 0 ||
                (p.n > n_name && p.s[p.n - n_name - 1] != '/') || e->kind != DR_ENTRY_FILE || e->why != DR_WHY_NONE)
                continue;
            size_t slashes = 0;
            for (size_t k = 0; k < p.n; k++)
                slashes += p.s[k] == '/';
            deepest = slashes > deepest ? slashes : deepest;
            dr_entry copy = *e;
            if (slashes != depth || !classify_without_content(r, &copy) ||
                dr_snapshot__read(r, &copy, &content, NULL) != DR_OK)
                continue;
            const dr_str folder = {p.s, p.n > n_name ? p.n - n_name - 1 : 0};
            dr_sha256_update(rules, p.s, p.n + 1);
            dr_sha256_update(rules, e->file.id, 20);
            st = dr_attributes__add(a, folder, dr_buf_view(&content), err);
        }
    }
    r->rules = dr_sha256_finish(rules);
    dr_buf_free(&content);
    return st;
}

static dr_status classify(dr_repo *r, const dr_repo_options *opt, dr_error *err)
{
    dr_status st = DR_OK;

    if (!(r->attributes = dr_attributes__new()))
        return dr_fail(err, DR_ERR_NOMEM, "attributes: out of memory");
    if ((st = load_attributes(r->attributes, r, err)) != DR_OK)
        return st;
    classify_job job = {r, opt->store};
    if (opt->pool)
        dr_pool_run(opt->pool, (int64_t)r->n, 16, classify_range, &job);
    else
        classify_range(&job, 0, (int64_t)r->n, 0);
    for (size_t i = 0; i < r->n; i++) {
        dr_entry *e = &r->entries[i];
        e->file.cls = dr_why__class((dr_why)e->why);
        e->file.why = dr_why__text((dr_why)e->why);
    }
    return st;
}

/* What makes shown text of bytes, but for the encoding that a path's attributes may name. */
static dr_digest text_rules(const dr_secret_allow *allow)
{
    uint8_t room[4 + 8 + 32];
    const dr_digest allowed = dr_secret_allow_digest(allow);
    memcpy(room, "text", 4);
    dr_store_u32(room + 4, DR_CONTENT_VERSION);
    dr_store_u32(room + 8, DR_SECRETS_VERSION);
    memcpy(room + 12, allowed.b, 32);
    return dr_sha256(room, sizeof room);
}

static dr_str keep_text(dr_repo *r, const char *s, size_t n)
{
    char *copy = dr_arena_take(r->text, n + 1);
    if (!copy)
        return (dr_str){"", 0};
    memcpy(copy, s, n);
    return (dr_str){copy, n};
}

/* root, and name: its last part. */
static void name_root(dr_repo *r, const char *root, bool bare)
{
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/')
        n--;
    r->id.root = keep_text(r, root, n);
    size_t at = n;
    while (at > 0 && root[at - 1] != '/')
        at--;
    size_t n_name = n - at;
    if (bare && n_name > 4 && memcmp(root + n - 4, ".git", 4) == 0)
        n_name -= 4;
    r->id.name = keep_text(r, root + at, n_name);
}

/* The working tree counts only if the .git in it is this repository (or a file that leads to it): core.worktree in a
 * repository's own settings may name any folder of the machine. */
static bool owns_worktree(git_repository *git)
{
    const char *workdir = git_repository_workdir(git);
    struct stat there, here;
    dr_buf path = {0}, link = {0};
    bool ok = false;

    if (!workdir)
        return false;
    dr_buf_printf(&path, "%s.git", workdir);
    if (path.failed || lstat(path.data, &there) < 0 || stat(git_repository_path(git), &here) < 0)
        goto done;
    if (S_ISREG(there.st_mode)) {
        static const char start[] = "gitdir: ";
        const size_t n_start = sizeof start - 1;
        if (dr_read_file(&link, path.data, 65536, NULL) != DR_OK || link.n <= n_start ||
            memcmp(link.data, start, n_start) != 0)
            goto done;
        while (link.n && (link.data[link.n - 1] == '\n' || link.data[link.n - 1] == '\r'))
            link.data[--link.n] = 0;
        dr_buf_clear(&path);
        if (link.data[n_start] != '/')
            dr_buf_str(&path, workdir);
        dr_buf_str(&path, link.data + n_start);
        if (path.failed || stat(path.data, &there) < 0)
            goto done;
    } else if (stat(path.data, &there) < 0) {
        goto done;
    }
    ok = there.st_dev == here.st_dev && there.st_ino == here.st_ino;
done:
    dr_buf_free(&path);
    dr_buf_free(&link);
    return ok;
}

/* The commit of rev (HEAD when NULL). *commit stays NULL before the first commit of a repository with a working tree.
 */
static dr_status find_commit(git_commit **commit, dr_repo *r, const char *rev, bool worktree, dr_error *err)
{
    git_object *object = NULL;
    dr_status st = DR_OK;

    *commit = NULL;
    if (git_repository_head_unborn(r->git) == 1 && (!rev || strncmp(rev, "HEAD", 4) == 0)) {
        if (!rev && worktree)
            return DR_OK;
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s has no commit yet", r->id.root.s);
    }
    if (git_revparse_single(&object, r->git, rev ? rev : "HEAD") < 0)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: no revision %s (%s)", r->id.root.s, rev ? rev : "HEAD",
                     dr_snapshot__git_error());
    else if (git_object_peel((git_object **)commit, object, GIT_OBJECT_COMMIT) < 0)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: %s is not a commit", r->id.root.s, rev ? rev : "HEAD");
    git_object_free(object);
    return st;
}

static dr_status open_git(dr_repo *r, const char *rev, dr_error *err)
{
    dr_status st = DR_OK;
    git_commit *commit = NULL;
    const bool worktree = owns_worktree(r->git);

    r->id.in_git = true;
    name_root(r, worktree ? git_repository_workdir(r->git) : git_repository_path(r->git), !worktree);
    r->id.from_disk = worktree && !rev;
    if (git_repository_odb(&r->odb, r->git) < 0) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: %s", r->id.root.s, dr_snapshot__git_error());
        goto done;
    }
    if ((st = find_commit(&commit, r, rev, worktree, err)) != DR_OK)
        goto done;
    if (commit) {
        git_oid_tostr(r->id.commit, sizeof r->id.commit, git_commit_id(commit));
        if ((st = dr_snapshot__list_commit(r, commit, err)) != DR_OK)
            goto done;
        settle(r);
    }
    if (!r->id.from_disk)
        goto done;
    if ((r->root_fd = open(r->id.root.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", r->id.root.s, strerror(errno));
        goto done;
    }
    if ((st = dr_snapshot__overlay(r, err)) == DR_OK)
        settle(r);
done:
    git_commit_free(commit);
    return st;
}

static dr_status open_folder(dr_repo *r, const char *path, const char *rev, dr_error *err)
{
    char *root = realpath(path, NULL);
    dr_status st = DR_OK;

    if (rev) {
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s is not in a git repository, so it has no revision %s", path, rev);
        goto done;
    }
    if (!root || (r->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    name_root(r, root, false);
    r->id.from_disk = true;
    if ((st = dr_snapshot__list_folder(r, err)) == DR_OK)
        settle(r);
done:
    free(root);
    return st;
}

dr_status dr_repo_open(dr_repo **out, const char *path, const dr_repo_options *opt, dr_error *err)
{
    static const dr_repo_options defaults;
    dr_status st = DR_OK;
    struct stat sb;
    dr_repo *r = NULL;

    *out = NULL;
    opt = opt ? opt : &defaults;
    if (stat(path, &sb) < 0) {
        st = dr_fail(err, errno == ENOENT || errno == ENOTDIR ? DR_ERR_NOT_FOUND : DR_ERR_IO, "%s: %s", path,
                     strerror(errno));
        goto done;
    }
    if (!S_ISDIR(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s is not a folder", path);
        goto done;
    }
    if (!(r = calloc(1, sizeof *r)) || !(r->text = dr_arena_new(65536))) {
        st = dr_fail(err, DR_ERR_NOMEM, "repository: out of memory");
        goto done;
    }
    r->root_fd = -1;
    r->id.root = r->id.name = DR_STR("");
    r->allow = opt->allow;
    r->text_rules = text_rules(opt->allow);
    r->max_file_bytes = opt->max_file_bytes ? opt->max_file_bytes : DEFAULT_MAX_FILE_BYTES;
    if (git_libgit2_init() < 0) {
        st = dr_fail(err, DR_ERR_NOMEM, "libgit2: %s", dr_snapshot__git_error());
        goto done;
    }
    r->counted = true;
    /* Who owns the repository does not matter here: nothing that its settings name is run, and owns_worktree guards the
     * rest. Without this, a checkout mounted into a container could not be read. */
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    const int found = git_repository_open_ext(&r->git, path, 0, NULL);
    if (found == GIT_ENOTFOUND) {
        r->git = NULL;
        st = open_folder(r, path, opt->rev, err);
    } else if (found < 0) {
        const char *why = dr_snapshot__git_error();
        st = strstr(why, "objectformat")
                 ? dr_fail(err, DR_ERR_FORMAT, "%s: a repository with SHA-256 object names, which are not read yet",
                           path)
                 : dr_fail(err, DR_ERR_FORMAT, "%s: %s", path, why);
    } else {
        st = open_git(r, opt->rev, err);
    }
    if (st != DR_OK)
        goto done;
    r->id.digest = digest_of(r);
    if ((st = classify(r, opt, err)) != DR_OK)
        goto done;
    *out = r;
    r = NULL;
done:
    dr_repo_close(r);
    return st;
}

void dr_repo_close(dr_repo *r)
{
    if (!r)
        return;
    git_odb_free(r->odb);
    git_repository_free(r->git);
    if (r->counted)
        (void)git_libgit2_shutdown();
    if (r->root_fd >= 0)
        close(r->root_fd);
    dr_attributes__free(r->attributes);
    free(r->entries);
    dr_arena_free(r->text);
    free(r);
}

size_t dr_repo_n_files(const dr_repo *r)
{
    return r->n;
}

const dr_repo_file *dr_repo_file_at(const dr_repo *r, size_t index)
{
    return &r->entries[index].file;
}

bool dr_repo_find(const dr_repo *r, dr_str path, size_t *index)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (dr_str_cmp(r->entries[mid].file.path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *index = low;
    return low < r->n && dr_str_eq(r->entries[low].file.path, path);
}

bool dr_repo_is_text(const dr_repo_file *f)
{
    return f->cls == DR_FILE_TEXT || f->cls == DR_FILE_GENERATED;
}

const dr_repo_id *dr_repo_identity(const dr_repo *r)
{
    return &r->id;
}

void dr_repo_rules_digest(dr_digest *out, const dr_repo *r)
{
    *out = r->rules;
}
