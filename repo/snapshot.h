/* repo/snapshot.h: the inside of a dr_repo, and the steps that fill it. Shared by the files that do.
 *
 * A commit: its tree is listed, the rules are read from the files listed, what they take out is marked, every blob is
 * classified. A working tree: between listing and rules stands the walk over the disk. */
#ifndef DR_REPO_SNAPSHOT_H
#define DR_REPO_SNAPSHOT_H

#include "base/arena.h"
#include "repo/attributes.h"
#include "repo/classify.h"
#include "repo/ignore.h"
#include "repo/repo.h"

#include <git2.h>

typedef enum dr_entry_kind {
    DR_ENTRY_FILE = 1,
    DR_ENTRY_LINK,
    DR_ENTRY_GITLINK,
    DR_ENTRY_FOLDER, /* only one that is missing, or too deep */
} dr_entry_kind;

typedef struct dr_entry {
    dr_repo_file file;
    uint8_t kind;
    uint8_t why;
    uint8_t to_git;   /* of content on disk: dr_to_git__done */
    bool on_disk;     /* content comes from the root folder, not from the object database */
    bool gone;        /* deleted on disk, dropped before anyone sees it */
    uint16_t storage; /* whose object database: 0 the repository's own, otherwise a submodule's number + 1 */
    uint64_t print;   /* dr_disk__print of the file on disk that holds these bytes as they are; 0: none is known */
} dr_entry;

typedef struct dr_submodule {
    dr_str path;
    git_repository *git;
    git_odb *odb;
} dr_submodule;

struct dr_repo {
    git_repository *git; /* NULL: a plain folder */
    git_odb *odb;        /* shared by all threads: it has its own locks */
    int root_fd;         /* the folder on disk; -1: nothing is read from there */
    uint64_t max_file_bytes;
    dr_attributes *attributes;
    dr_ignore *deepread;          /* .deepreadignore files, for every file */
    dr_ignore *untracked;         /* .gitignore and its like, for untracked files */
    dr_ignore *include, *exclude; /* of the caller */
    bool autocrlf;
    const dr_secret_allow *allow;
    dr_digest text_rules; /* what makes shown text of bytes */
    dr_digest rules;      /* dr_repo_rules_digest */
    dr_arena *text;       /* paths */
    dr_entry *entries;
    size_t n, cap;
    size_t n_trees; /* walked so far */
    dr_submodule *submodules;
    size_t n_submodules;
    bool counted; /* this dr_repo holds a reference on libgit2 */
    dr_repo_id id;
};

/* Appends an entry with a copy of the path; its why is set when the path is not safe. *out: until the next one is
 * added. */
dr_status dr_snapshot__add(dr_entry **out, dr_repo *r, dr_str path, dr_entry_kind kind, dr_error *err);

/* Path order, without what is gone; a second entry of one name (a hostile tree) is refused. */
void dr_snapshot__settle(dr_repo *r);

/* A copy that lives as long as the snapshot; empty when out of memory. */
dr_str dr_snapshot__keep_text(dr_repo *r, const char *s, size_t n);

/* What libgit2 says about its last failure on this thread; never NULL. */
const char *dr_snapshot__git_error(void);

/* Where the files come from: opens the repository or folder at path and lists them, rules loaded. */
dr_status dr_snapshot__locate(dr_repo *r, const char *path, const dr_repo_options *opt, dr_error *err);

/* Every entry of a commit's tree, in path order, each path after prefix ("" or with a final slash). */
dr_status dr_snapshot__list_tree(dr_repo *r, git_repository *git, const git_oid *tree, dr_str prefix, uint16_t storage,
                                 dr_error *err);

/* The trees of submodules, at the commits that their gitlinks name, under the entries settled so far. */
dr_status dr_snapshot__list_submodules(dr_repo *r, dr_error *err);

/* Gives the gitlinks of a working tree the commits that are checked out there, where their repositories are here and say so. */
void dr_snapshot__move_submodules(dr_repo *r);

/* What lies under root_fd over the entries of HEAD listed and settled so far (none outside git). Loads the rules on the
 * way: which they are is known once the disk has been looked at. */
dr_status dr_snapshot__overlay(dr_repo *r, const dr_repo_options *opt, dr_error *err);

/* The rules of the entries listed so far. */
dr_status dr_snapshot__load_rules(dr_repo *r, const dr_repo_options *opt, dr_error *err);

/* Marks what the rules take out. */
void dr_snapshot__take_out(dr_repo *r);

/* Why a path, or a folder above it, is taken out; DR_WHY_NONE. *at (may be NULL): which of them. */
dr_why dr_snapshot__taken_out(const dr_repo *r, dr_str path, bool is_folder, dr_str *at);

/* The object database that holds a path's blobs. */
git_odb *dr_snapshot__odb_of(const dr_repo *r, dr_str path);

/* The bytes of an entry, replacing what *out holds; those on disk as git would store them, and only if they still have
 * the entry's id. */
dr_status dr_snapshot__read(const dr_repo *r, const dr_entry *e, dr_buf *out, dr_error *err);

/* What is in these bytes; *scratch: their text when it had to be converted. */
dr_status dr_snapshot__look(dr_blob_facts *facts, dr_buf *scratch, const dr_repo *r, dr_str bytes, dr_str encoding,
                            dr_error *err);

/* The same as an earlier look found, from the store. */
bool dr_snapshot__recall(dr_blob_facts *facts, const dr_blob_store *store, const dr_repo *r, const uint8_t id[20],
                         dr_str encoding);
void dr_snapshot__remember(const dr_blob_facts *facts, const dr_blob_store *store, const dr_repo *r,
                           const uint8_t id[20], dr_str encoding);

#endif
