/* repo/snapshot.h: the inside of a dr_repo, and the two ways to fill it. Shared by the files that open one. */
#ifndef DR_REPO_SNAPSHOT_H
#define DR_REPO_SNAPSHOT_H

#include "base/arena.h"
#include "repo/attributes.h"
#include "repo/classify.h"
#include "repo/repo.h"

#include <git2.h>

typedef enum dr_entry_kind {
    DR_ENTRY_FILE = 1,
    DR_ENTRY_LINK,
    DR_ENTRY_GITLINK,
    DR_ENTRY_FOLDER, /* only one that is missing */
} dr_entry_kind;

typedef struct dr_entry {
    dr_repo_file file;
    uint8_t kind;
    uint8_t why;
    bool on_disk; /* content comes from the root folder, not from the object database */
    bool gone;    /* deleted by the overlay, dropped before anyone sees it */
} dr_entry;

struct dr_repo {
    git_repository *git; /* NULL: a plain folder */
    git_odb *odb;        /* shared by all threads: it has its own locks */
    int root_fd;         /* the folder on disk; -1: nothing is read from there */
    uint64_t max_file_bytes;
    dr_attributes *attributes;
    const dr_secret_allow *allow;
    dr_digest text_rules; /* what makes shown text of bytes */
    dr_digest rules;      /* dr_repo_rules_digest */
    dr_arena *text;       /* paths */
    dr_entry *entries;
    size_t n, cap;
    size_t n_trees; /* walked so far */
    bool counted;   /* this dr_repo holds a reference on libgit2 */
    dr_repo_id id;
};

/* Appends an entry with a copy of the path; its why is set when the path is not safe. *out: until the next one is
 * added. */
dr_status dr_snapshot__add(dr_entry **out, dr_repo *r, dr_str path, dr_entry_kind kind, dr_error *err);

/* What libgit2 says about its last failure on this thread; never NULL. */
const char *dr_snapshot__git_error(void);

/* Every entry of a commit's tree, in path order. */
dr_status dr_snapshot__list_commit(dr_repo *r, git_commit *commit, dr_error *err);

/* The differences between HEAD and disk, over entries already listed in path order (none before the first commit). */
dr_status dr_snapshot__overlay(dr_repo *r, dr_error *err);

/* Every file under root_fd outside git, hashed. */
dr_status dr_snapshot__list_folder(dr_repo *r, dr_error *err);

/* Fills kind, size and id of an entry from what lies on disk at its path now. False: nothing there that could be
 * listed. */
dr_status dr_snapshot__from_disk(bool *there, dr_repo *r, dr_entry *e, dr_error *err);

/* The bytes of an entry, replacing what *out holds; those on disk only if they still have the entry's id. */
dr_status dr_snapshot__read(const dr_repo *r, const dr_entry *e, dr_buf *out, dr_error *err);

/* What is in these bytes; their text, when they are to be shown, replaces what *text holds. scratch: for this
 * function. */
dr_status dr_snapshot__look(dr_blob_facts *facts, dr_buf *scratch, const dr_repo *r, dr_str bytes, dr_str encoding,
                            dr_error *err);

/* The same as an earlier look found, from the store. */
bool dr_snapshot__recall(dr_blob_facts *facts, const dr_blob_store *store, const dr_repo *r, const uint8_t id[20],
                         dr_str encoding);
void dr_snapshot__remember(const dr_blob_facts *facts, const dr_blob_store *store, const dr_repo *r,
                           const uint8_t id[20], dr_str encoding);

#endif
