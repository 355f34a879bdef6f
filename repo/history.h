/* repo/history.h: the commits behind a snapshot: which there are, what each changed, which files rest longest.
 *
 * Reads commits and trees from the object database and nothing else: no blob, no working tree, no settings. Two trees
 * are compared from the root down, and a folder with the same id on both sides is never opened; what was read lately is
 * kept, so that a walk along a history reads each folder once.
 *
 * Everything is hostile here too: a path that is not safe to use (repo.h) is left out and counted; a tree that is
 * missing (partial clone, damage) or not well formed makes the answer incomplete and not an error; objects are hashed
 * as they are read. Modes are not content: a file that only became executable has not changed.
 *
 * A dr_history belongs to one thread at a time and borrows the dr_repo. Several may be open on one dr_repo, but
 * only one thread at a time may call dr_history_resolve on it. Commits are named by 40 hex digits. */
#ifndef DR_REPO_HISTORY_H
#define DR_REPO_HISTORY_H

#include "repo/repo.h"

typedef struct dr_history dr_history;

/* DR_ERR_NOT_FOUND: the snapshot is of a folder outside git. */
dr_status dr_history_open(dr_history **out, const dr_repo *r, dr_error *err);
void dr_history_close(dr_history *h);

/* The commit of any revision git understands. DR_ERR_NOT_FOUND: there is none, or it is no commit. */
dr_status dr_history_resolve(char hex[41], dr_history *h, const char *rev, dr_error *err);

typedef struct dr_commit_info {
    char parent[41];   /* the first; empty: none */
    uint32_t n_parents;
    int64_t time;      /* of the committer, seconds since 1970; 0 when it says none */
    char subject[201]; /* the message's first line as repo/text.h excerpts it; may be empty */
} dr_commit_info;

/* DR_ERR_NOT_FOUND: no such commit in the object database (shallow, partial). DR_ERR_FORMAT: not a commit. */
dr_status dr_history_commit(dr_commit_info *out, dr_history *h, const char *hex, dr_error *err);

typedef enum dr_change_kind {
    DR_CHANGE_ADDED = 0,
    DR_CHANGE_DELETED,
    DR_CHANGE_MODIFIED, /* other content, or another type, or both */
    DR_CHANGE_RENAMED,  /* same content under another path */
} dr_change_kind;

typedef enum dr_change_type {
    DR_TYPE_NONE = 0, /* this side has nothing at that path */
    DR_TYPE_FILE,
    DR_TYPE_LINK,      /* id: the blob that holds the target */
    DR_TYPE_SUBMODULE, /* id: the commit */
} dr_change_type;

typedef struct dr_change {
    dr_change_kind kind;
    dr_change_type old_type, new_type;
    dr_str path;     /* terminated; of the new side, or of the old one when DELETED */
    dr_str old_path; /* of RENAMED; otherwise the same as path */
    uint8_t old_id[20], new_id[20]; /* zero where the type is NONE */
} dr_change;

typedef struct dr_changes {
    dr_change *v; /* in the order of path bytes */
    size_t n;
    uint32_t n_refused; /* changes under names that are not safe to use, left out */
    bool incomplete;    /* some tree could not be read: changes below it are not listed */
    char *storage;      /* of the paths */
} dr_changes;

/* What turns the tree of `from` into that of `to`; from "": everything in `to` is added. Submodules' own content is not
 * looked into. A path removed and a path added with the same id and type are one rename, one to one: those with the
 * same last name first, then the rest in path order.
 * DR_ERR_NOT_FOUND: a commit is not there. DR_ERR_LIMIT: more than a million folders or changes. */
dr_status dr_history_changes(dr_changes *out, dr_history *h, const char *from, const char *to, dr_error *err);
void dr_changes_fini(dr_changes *c);

typedef struct dr_chain {
    char (*commits)[41]; /* oldest first */
    size_t n;
    bool found;   /* `from` is on the chain */
    bool cut_off; /* the history ends at a commit that is not there (shallow, partial) */
} dr_chain;

/* The first-parent commits after `from` up to and with `to`: none when they are the same. Found false, and no commits,
 * when `from` is not among the first parents of `to` or is more than max steps away. from "": the last max commits, and
 * found is true. DR_ERR_NOT_FOUND: `to` is not there. */
dr_status dr_history_chain(dr_chain *out, dr_history *h, const char *from, const char *to, size_t max, dr_error *err);
void dr_chain_fini(dr_chain *c);

/* The files of r by their last change on the first-parent history of `commit` (of r's own commit when NULL), looking at
 * max_commits of it: first those not seen to change, then the least recently changed, ...; ties by path. order[i] is a
 * file's index in r; [dr_repo_n_files(r)]. A shallow history's last commit changes nothing. A snapshot without a commit
 * gives path order. */
dr_status dr_history_order(uint32_t *order, dr_history *h, const char *commit, size_t max_commits, dr_error *err);

#endif
