/* repo/submodules.c: the files of submodules, each at the commit that the tree above it names.
 *
 * A submodule's objects are looked for in two places: a repository in the working tree (a real .git folder there, not a
 * file that says where to look: it could name any repository of the machine), and the modules/ folder of the repository
 * above it, under the name that .gitmodules gives the path. Neither may lead out through a link. */
#include "repo/disk.h"
#include "repo/objects.h"
#include "repo/snapshot.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SUBMODULES = 1000, MAX_GITMODULES = 1 << 20 };

static dr_str trim(dr_str s)
{
    while (s.n && (s.s[0] == ' ' || s.s[0] == '\t'))
        s = (dr_str){s.s + 1, s.n - 1};
    while (s.n && (s.s[s.n - 1] == ' ' || s.s[s.n - 1] == '\t' || s.s[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* The name that a .gitmodules file gives a path: of the section `[submodule "NAME"]` with `path = PATH`. Escapes and
 * quotes in values are left out: nobody has them there. */
static dr_str name_of(dr_str gitmodules, dr_str path)
{
    static const char head[] = "[submodule \"";
    dr_str name = {"", 0};

    for (size_t at = 0; at < gitmodules.n;) {
        const char *nl = memchr(gitmodules.s + at, '\n', gitmodules.n - at);
        const size_t end = nl ? (size_t)(nl - gitmodules.s) : gitmodules.n;
        const dr_str line = trim((dr_str){gitmodules.s + at, end - at});
        at = end + 1;
        if (line.n > sizeof head + 1 && memcmp(line.s, head, sizeof head - 1) == 0 && line.s[line.n - 1] == ']' &&
            line.s[line.n - 2] == '"')
            name = (dr_str){line.s + sizeof head - 1, line.n - sizeof head - 1};
        else if (line.n && line.s[0] == '[')
            name.n = 0;
        const char *eq = line.n ? memchr(line.s, '=', line.n) : NULL;
        if (name.n && eq && dr_str_eq(trim((dr_str){line.s, (size_t)(eq - line.s)}), DR_STR("path")) &&
            dr_str_eq(trim((dr_str){eq + 1, line.n - (size_t)(eq + 1 - line.s)}), path))
            return name;
    }
    return (dr_str){"", 0};
}

/* The repository in this folder, if it is one and the folder lies in `within` whatever links there are on the way. */
static git_repository *open_at(const char *folder, const char *within)
{
    char real[PATH_MAX], outer[PATH_MAX];
    git_repository *git = NULL;

    if (!realpath(folder, real) || !realpath(within, outer))
        return NULL;
    const size_t n = strlen(outer);
    if (strncmp(real, outer, n) != 0 || (real[n] != '/' && n > 1) ||
        git_repository_open_ext(
            &git, real, GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_NO_DOTGIT | GIT_REPOSITORY_OPEN_BARE,
            NULL) < 0)
        return NULL;
    return git;
}

static int by_path(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_entry *)a)->file.path, ((const dr_entry *)b)->file.path);
}

/* above: the number of the submodule that holds the gitlink, + 1; 0: the repository itself. The first n_sorted entries
 * are in path order. */
static git_repository *find_repository(const dr_repo *r, size_t n_sorted, dr_str path, uint16_t above)
{
    git_repository *outer = above ? r->submodules[above - 1].git : r->git, *git = NULL;
    const dr_str outer_path = above ? r->submodules[above - 1].path : DR_STR("");
    const size_t skip = outer_path.n ? outer_path.n + 1 : 0;
    const dr_str inner = {path.s + skip, path.n - skip};
    dr_buf name = {0}, text = {0};
    struct stat sb;

    dr_buf_printf(&name, "%.*s/.git", (int)path.n, path.s);
    if (r->root_fd >= 0 && !name.failed && dr_disk__stat(&sb, r->root_fd, name.data) && S_ISDIR(sb.st_mode)) {
        dr_buf_clear(&name);
        dr_buf_printf(&name, "%s/%.*s/.git", r->id.root.s, (int)path.n, path.s);
        git = name.failed ? NULL : open_at(name.data, r->id.root.s);
    }
    if (git)
        goto done;
    dr_buf_clear(&name);
    dr_buf_add(&name, outer_path.s, outer_path.n);
    dr_buf_str(&name, outer_path.n ? "/.gitmodules" : ".gitmodules");
    const dr_entry key = {.file.path = dr_buf_view(&name)};
    const dr_entry *e = name.failed ? NULL : bsearch(&key, r->entries, n_sorted, sizeof key, by_path);
    if (!e || e->kind != DR_ENTRY_FILE || e->why != DR_WHY_NONE)
        goto done;
    size_t size;
    git_object_t type;
    git_oid id;
    memcpy(id.id, e->file.id, 20);
    if (git_odb_read_header(&size, &type, dr_snapshot__odb_of(r, e->file.path), &id) < 0 || size > MAX_GITMODULES ||
        dr_snapshot__read(r, e, &text, NULL) != DR_OK)
        goto done;
    const dr_str module = name_of(dr_buf_view(&text), inner);
    if (module.n == 0 || dr_classify__path(module) != DR_WHY_NONE)
        goto done;
    dr_buf_clear(&name);
    dr_buf_printf(&name, "%smodules/%.*s", git_repository_commondir(outer), (int)module.n, module.s);
    git = name.failed ? NULL : open_at(name.data, git_repository_commondir(outer));
done:
    dr_buf_free(&name);
    dr_buf_free(&text);
    return git;
}

static dr_status read_submodule(dr_repo *r, size_t n_sorted, size_t index, dr_error *err)
{
    dr_status st = DR_OK;
    dr_entry *e = &r->entries[index];
    dr_submodule sub = {.path = e->file.path, .git = find_repository(r, n_sorted, e->file.path, e->storage)};
    git_commit *commit = NULL;
    git_oid id;
    dr_buf prefix = {0};

    memcpy(id.id, e->file.id, 20);
    if (!sub.git || dr_objects__open(&sub.odb, sub.git, NULL) != DR_OK ||
        git_commit_lookup(&commit, sub.git, &id) < 0) {
        e->why = DR_WHY_SUBMODULE_ABSENT;
        goto done;
    }
    dr_submodule *grown = realloc(r->submodules, (r->n_submodules + 1) * sizeof *grown);
    dr_buf_printf(&prefix, "%s/", e->file.path.s);
    if (grown)
        r->submodules = grown;
    if (!grown || prefix.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "submodules: out of memory");
        goto done;
    }
    e->why = DR_WHY_SUBMODULE_READ;
    r->submodules[r->n_submodules++] = sub;
    sub = (dr_submodule){.path = {"", 0}};
    st = dr_snapshot__list_tree(r, r->submodules[r->n_submodules - 1].git, git_commit_tree_id(commit),
                                dr_buf_view(&prefix), (uint16_t)r->n_submodules, err);
done:
    git_commit_free(commit);
    git_odb_free(sub.odb);
    git_repository_free(sub.git);
    dr_buf_free(&prefix);
    return st;
}

void dr_snapshot__move_submodules(dr_repo *r)
{
    for (size_t i = 0, n = 0; i < r->n && n < MAX_SUBMODULES; i++) {
        dr_entry *e = &r->entries[i];
        git_oid head;
        if (e->kind != DR_ENTRY_GITLINK || e->storage || (e->why != DR_WHY_NONE && e->why != DR_WHY_SUBMODULE_READ))
            continue;
        n++;
        git_repository *git = find_repository(r, r->n, e->file.path, 0);
        if (git && git_reference_name_to_id(&head, git, "HEAD") == 0 && memcmp(head.id, e->file.id, sizeof head.id) != 0) {
            memcpy(e->file.id, head.id, sizeof head.id);
            e->file.dirty = true;
            r->id.n_dirty++;
        }
        git_repository_free(git);
    }
}

/* Round by round, so that the .gitmodules of one level is in the settled list when the next looks for it. */
dr_status dr_snapshot__list_submodules(dr_repo *r, dr_error *err)
{
    dr_status st = DR_OK;

    for (bool more = true; more && st == DR_OK;) {
        const size_t n = r->n;
        more = false;
        for (size_t i = 0; i < n && st == DR_OK && r->n_submodules < MAX_SUBMODULES; i++)
            if (r->entries[i].kind == DR_ENTRY_GITLINK && r->entries[i].why == DR_WHY_NONE) {
                more = true;
                st = read_submodule(r, n, i, err);
            }
        dr_snapshot__settle(r);
        more &= r->n_submodules < MAX_SUBMODULES;
    }
    return st;
}
