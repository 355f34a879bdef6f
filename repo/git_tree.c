#include "repo/disk.h"
#include "repo/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_PATH = 65536,    /* longer ones are cut off with the folder that holds them */
    MAX_TREES = 1000000, /* a handful of trees can name each other into billions of folders */
};

const char *dr_snapshot__git_error(void)
{
    const git_error *e = git_error_last();
    return e && e->message ? e->message : "unknown error";
}

/* prefix holds the folder's path with a final slash (or nothing) and is restored on return. */
static dr_status walk_tree(dr_repo *r, const git_oid *id, dr_buf *prefix, dr_error *err)
{
    dr_status st = DR_OK;
    git_tree *tree = NULL;
    const size_t keep = prefix->n;

    if (++r->n_trees > MAX_TREES)
        return dr_fail(err, DR_ERR_LIMIT, "more than %d folders", MAX_TREES);
    if (git_tree_lookup(&tree, r->git, id) < 0) {
        /* A partial clone, or damage: said in the list, not fatal. */
        const dr_str folder = {prefix->data, keep ? keep - 1 : 0};
        dr_entry *e;
        if ((st = dr_snapshot__add(&e, r, keep ? folder : DR_STR("(root)"), DR_ENTRY_FOLDER, err)) != DR_OK)
            return st;
        memcpy(e->file.id, id->id, 20);
        if (e->why == DR_WHY_NONE)
            e->why = DR_WHY_MISSING_FOLDER;
        return DR_OK;
    }
    const size_t n = git_tree_entrycount(tree);
    for (size_t i = 0; i < n && st == DR_OK; i++) {
        const git_tree_entry *te = git_tree_entry_byindex(tree, i);
        const git_filemode_t mode = git_tree_entry_filemode_raw(te);
        prefix->n = keep;
        dr_buf_str(prefix, git_tree_entry_name(te));
        if (prefix->failed) {
            st = dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory");
        } else if ((mode & 0170000) == GIT_FILEMODE_TREE && prefix->n < MAX_PATH) {
            dr_buf_str(prefix, "/");
            st = prefix->failed ? dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory")
                                : walk_tree(r, git_tree_entry_id(te), prefix, err);
        } else {
            const dr_entry_kind kind = (mode & 0170000) == GIT_FILEMODE_COMMIT ? DR_ENTRY_GITLINK
                                       : (mode & 0170000) == GIT_FILEMODE_LINK ? DR_ENTRY_LINK
                                                                               : DR_ENTRY_FILE;
            dr_entry *e;
            if ((st = dr_snapshot__add(&e, r, dr_buf_view(prefix), kind, err)) == DR_OK)
                memcpy(e->file.id, git_tree_entry_id(te)->id, 20);
        }
    }
    prefix->n = keep;
    git_tree_free(tree);
    return st;
}

dr_status dr_snapshot__list_commit(dr_repo *r, git_commit *commit, dr_error *err)
{
    dr_buf prefix = {0};
    const dr_status st = walk_tree(r, git_commit_tree_id(commit), &prefix, err);
    dr_buf_free(&prefix);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_entry *)a)->file.path, ((const dr_entry *)b)->file.path);
}

/* One path that differs between HEAD, index and disk: what lies on disk is the truth. n_listed entries came from HEAD.
 */
static dr_status overlay_path(dr_repo *r, size_t n_listed, dr_str path, dr_error *err)
{
    bool there = false;
    dr_status st = DR_OK;
    const dr_entry key = {.file.path = path};
    dr_entry *old = n_listed ? bsearch(&key, r->entries, n_listed, sizeof key, by_path) : NULL;

    if (old && old->kind == DR_ENTRY_GITLINK)
        return DR_OK; /* a submodule's own changes are its own business */
    if (dr_classify__path(path) != DR_WHY_NONE)
        return DR_OK; /* never looked for on disk; if HEAD has it, it is listed as refused */
    dr_entry now = {.file.path = path};
    if ((st = dr_snapshot__from_disk(&there, r, &now, err)) != DR_OK)
        return st;
    if (there && old && old->kind == now.kind && memcmp(old->file.id, now.file.id, 20) == 0)
        return DR_OK; /* changed and changed back, or only in the index */
    if (!there && !old)
        return DR_OK;
    r->id.n_dirty++;
    if (!there) {
        old->gone = true;
        return DR_OK;
    }
    dr_entry *e = old;
    if (!e && (st = dr_snapshot__add(&e, r, path, (dr_entry_kind)now.kind, err)) != DR_OK)
        return st;
    e->kind = now.kind;
    e->why = now.why;
    e->on_disk = true;
    e->file.size = now.file.size;
    e->file.dirty = true;
    memcpy(e->file.id, now.file.id, 20);
    return DR_OK;
}

dr_status dr_snapshot__overlay(dr_repo *r, dr_error *err)
{
    dr_status st = DR_OK;
    git_status_list *list = NULL;
    git_status_options opt;
    const size_t n_listed = r->n;

    (void)git_status_options_init(&opt, GIT_STATUS_OPTIONS_VERSION);
    /* Modification time and size against the index first, content only where those differ. */
    opt.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
    opt.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_RECURSE_UNTRACKED_DIRS |
                GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
    if (git_status_list_new(&list, r->git, &opt) < 0) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: comparing the working tree with HEAD: %s", r->id.root.s,
                     dr_snapshot__git_error());
        goto done;
    }
    dr_str last = {NULL, 0};
    for (size_t i = 0; i < git_status_list_entrycount(list) && st == DR_OK; i++) {
        const git_status_entry *s = git_status_byindex(list, i);
        const git_diff_delta *deltas[2] = {s->head_to_index, s->index_to_workdir};
        for (int k = 0; k < 2 && st == DR_OK; k++) {
            if (!deltas[k])
                continue;
            const dr_str path =
                dr_str_of(deltas[k]->new_file.path ? deltas[k]->new_file.path : deltas[k]->old_file.path);
            /* A final slash: a repository inside this one, which is not ours to read. */
            if (path.n == 0 || path.s[path.n - 1] == '/' || dr_str_eq(path, last))
                continue;
            last = path;
            st = overlay_path(r, n_listed, path, err);
        }
    }
done:
    git_status_list_free(list);
    return st;
}
