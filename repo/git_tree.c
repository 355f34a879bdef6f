#include "repo/snapshot.h"

#include <string.h>

enum {
    MAX_PATH = 4096,           /* longer ones are cut off with the folder that holds them: the names would be refused */
    MAX_TREES = 1000000,       /* a handful of trees can name each other into billions of folders */
    MAX_TREE_BYTES = 64 << 20, /* a few packed kilobytes can unpack to gigabytes; a million files take 40 MB */
};

const char *dr_snapshot__git_error(void)
{
    const git_error *e = git_error_last();
    return e && e->message ? e->message : "unknown error";
}

typedef struct listing {
    dr_repo *r;
    git_repository *git;
    uint16_t storage;
} listing;

/* By its header: what is too large is never unpacked. */
static bool is_too_large(const listing *l, const git_oid *id)
{
    git_odb *odb = l->storage ? l->r->submodules[l->storage - 1].odb : l->r->odb;
    git_object_t type;
    size_t size;
    return git_odb_read_header(&size, &type, odb, id) == 0 && size > MAX_TREE_BYTES;
}

/* prefix holds the folder's path with a final slash (or nothing) and is restored on return. */
static dr_status walk_tree(const listing *l, const git_oid *id, dr_buf *prefix, dr_error *err)
{
    dr_repo *r = l->r;
    dr_status st = DR_OK;
    git_tree *tree = NULL;
    const size_t keep = prefix->n;

    if (++r->n_trees > MAX_TREES)
        return dr_fail(err, DR_ERR_LIMIT, "more than %d folders", MAX_TREES);
    if (is_too_large(l, id) || git_tree_lookup(&tree, l->git, id) < 0) {
        /* A partial clone, or damage: said in the list, not fatal. */
        const dr_str folder = {prefix->data, keep ? keep - 1 : 0};
        dr_entry *e;
        if ((st = dr_snapshot__add(&e, r, keep ? folder : DR_STR("(root)"), DR_ENTRY_FOLDER, err)) != DR_OK)
            return st;
        memcpy(e->file.id, id->id, 20);
        e->storage = l->storage;
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
                                : walk_tree(l, git_tree_entry_id(te), prefix, err);
        } else {
            const dr_entry_kind kind = (mode & 0170000) == GIT_FILEMODE_COMMIT ? DR_ENTRY_GITLINK
                                       : (mode & 0170000) == GIT_FILEMODE_LINK ? DR_ENTRY_LINK
                                       : (mode & 0170000) == GIT_FILEMODE_TREE ? DR_ENTRY_FOLDER
                                                                               : DR_ENTRY_FILE;
            dr_entry *e;
            if ((st = dr_snapshot__add(&e, r, dr_buf_view(prefix), kind, err)) == DR_OK) {
                memcpy(e->file.id, git_tree_entry_id(te)->id, 20);
                e->storage = l->storage;
            }
        }
    }
    prefix->n = keep;
    git_tree_free(tree);
    return st;
}

dr_status dr_snapshot__list_tree(dr_repo *r, git_repository *git, const git_oid *tree, dr_str prefix, uint16_t storage,
                                 dr_error *err)
{
    const listing l = {r, git, storage};
    dr_buf path = {0};

    dr_buf_add(&path, prefix.s, prefix.n);
    const dr_status st =
        path.failed ? dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory") : walk_tree(&l, tree, &path, err);
    dr_buf_free(&path);
    return st;
}
