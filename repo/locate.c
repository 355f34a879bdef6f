/* repo/locate.c: from a path to a repository or folder, and to the list of its files. */
#include "repo/objects.h"
#include "repo/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

dr_str dr_snapshot__keep_text(dr_repo *r, const char *s, size_t n)
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
    r->id.root = dr_snapshot__keep_text(r, root, n);
    size_t at = n;
    while (at > 0 && root[at - 1] != '/')
        at--;
    size_t n_name = n - at;
    if (bare && n_name > 4 && memcmp(root + n - 4, ".git", 4) == 0)
        n_name -= 4;
    r->id.name = dr_snapshot__keep_text(r, root + at, n_name);
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

static bool converts_line_ends(git_repository *git)
{
    git_config *config = NULL;
    const char *value = NULL;
    bool yes = false;

    if (git_repository_config_snapshot(&config, git) == 0 &&
        git_config_get_string(&value, config, "core.autocrlf") == 0)
        yes = strcmp(value, "true") == 0 || strcmp(value, "input") == 0;
    git_config_free(config);
    return yes;
}

static dr_status open_git(dr_repo *r, const dr_repo_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    git_commit *commit = NULL;
    const bool worktree = owns_worktree(r->git);

    r->id.in_git = true;
    r->id.shallow = git_repository_is_shallow(r->git) == 1;
    name_root(r, worktree ? git_repository_workdir(r->git) : git_repository_path(r->git), !worktree);
    r->id.from_disk = worktree && !opt->rev;
    r->autocrlf = r->id.from_disk && converts_line_ends(r->git);
    if ((st = dr_objects__open(&r->odb, r->git, err)) != DR_OK)
        goto done;
    if (worktree && (r->root_fd = open(r->id.root.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", r->id.root.s, strerror(errno));
        goto done;
    }
    if ((st = find_commit(&commit, r, opt->rev, worktree, err)) != DR_OK)
        goto done;
    if (commit) {
        git_oid_tostr(r->id.commit, sizeof r->id.commit, git_commit_id(commit));
        if ((st = dr_snapshot__list_tree(r, r->git, git_commit_tree_id(commit), DR_STR(""), 0, err)) != DR_OK)
            goto done;
        dr_snapshot__settle(r);
        if (opt->submodules && (st = dr_snapshot__list_submodules(r, err)) != DR_OK)
            goto done;
    }
    st = r->id.from_disk ? dr_snapshot__overlay(r, opt, err) : dr_snapshot__load_rules(r, opt, err);
done:
    git_commit_free(commit);
    return st;
}

static dr_status open_folder(dr_repo *r, const char *path, const dr_repo_options *opt, dr_error *err)
{
    char *root = realpath(path, NULL);
    dr_status st = DR_OK;

    if (opt->rev) {
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s is not in a git repository, or in a damaged one, so it has no revision %s", path,
                     opt->rev);
        goto done;
    }
    if (!root || (r->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    name_root(r, root, false);
    r->id.from_disk = true;
    st = dr_snapshot__overlay(r, opt, err);
done:
    free(root);
    return st;
}

static bool has(const char *folder, const char *name)
{
    dr_buf path = {0};
    struct stat sb;
    dr_buf_printf(&path, "%s/%s", folder, name);
    const bool there = !path.failed && lstat(path.data, &sb) == 0;
    dr_buf_free(&path);
    return there;
}

/* The nearest folder at or above path, on its file system, with a .git in it: in storage for free(), NULL when there is none. */
static char *nearest_dot_git(const char *path)
{
    char *at = realpath(path, NULL);
    struct stat start, sb;

    if (!at || stat(at, &start) < 0)
        goto none;
    while (!has(at, ".git")) {
        if (strcmp(at, "/") == 0)
            goto none;
        char *slash = strrchr(at, '/');
        slash[slash == at] = 0;
        if (stat(at, &sb) < 0 || sb.st_dev != start.st_dev)
            goto none;
    }
    return at;
none:
    free(at);
    return NULL;
}

/* git passes over a .git that is none without a word, and so does libgit2: whoever pointed at it would not know why its
 * commits are not there. Nothing to say when the nearest .git is that of the repository which was found. */
static void warn_of_broken(dr_repo *r, const char *path)
{
    const size_t n_root = r->id.root.n;
    dr_buf text = {0};
    char *where = nearest_dot_git(path);
    const size_t n = where ? strlen(where) : 0;

    if (r->git) {
        if (n > n_root && memcmp(where, r->id.root.s, n_root) == 0 && (where[n_root] == '/' || n_root == 1))
            dr_buf_printf(&text, "%s/.git is not a git repository (damaged or empty?): read as a part of %s", where, r->id.root.s);
    } else if (where)
        dr_buf_printf(&text, "%s/.git is not a git repository (damaged or empty?): %s is read as a plain folder, without commits",
                      where, r->id.root.s);
    else if (has(path, "objects/info") && has(path, "refs/heads"))
        dr_buf_printf(&text, "%s looks like a damaged git repository (has it lost its HEAD?): read as a plain folder, without commits",
                      r->id.root.s);
    if (text.n && !text.failed)
        r->id.warning = dr_snapshot__keep_text(r, text.data, text.n);
    dr_buf_free(&text);
    free(where);
}

/* Extensions of a repository that change nothing of what is read here: a partial clone's objects may be missing, which
 * is listed, and a worktree's own settings are not used. */
static void allow_extensions(void)
{
    const char *known[] = {"partialclone", "worktreeconfig", "preciousobjects"};
    (void)git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, known, sizeof known / sizeof *known);
}

dr_status dr_snapshot__locate(dr_repo *r, const char *path, const dr_repo_options *opt, dr_error *err)
{
    allow_extensions();
    /* Who owns the repository does not matter here: nothing that its settings name is run, and owns_worktree guards the
     * rest. Without this, a checkout mounted into a container could not be read. */
    (void)git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    /* Packs are mapped whole by default, and what was touched of them counts as memory until the end. Reading all of
     * Linux 6.1: 148 MB at most instead of 303, in the same CPU time; with windows of 1 MiB 6 % slower. */
    (void)git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, (size_t)4 << 20);
    (void)git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, (size_t)24 << 20);
    const int found = git_repository_open_ext(&r->git, path, 0, NULL);
    if (found == GIT_ENOTFOUND || found == 0) {
        r->git = found == 0 ? r->git : NULL;
        const dr_status st = r->git ? open_git(r, opt, err) : open_folder(r, path, opt, err);
        if (st == DR_OK)
            warn_of_broken(r, path);
        return st;
    }
    const char *why = dr_snapshot__git_error();
    return strstr(why, "objectformat")
               ? dr_fail(err, DR_ERR_FORMAT, "%s: a repository with SHA-256 object names, which are not read yet", path)
               : dr_fail(err, DR_ERR_FORMAT, "%s: %s", path, why);
}
