/* tests/repo/make_repo.h: made-up repositories and folders for tests, built with libgit2 in a temporary folder.
 * Everything asserts: a test that cannot build its world fails. */
#ifndef DR_TESTS_REPO_MAKE_REPO_H
#define DR_TESTS_REPO_MAKE_REPO_H

#include "base/blob_store.h"
#include "repo/repo.h"

#include <git2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

/* A new temporary folder; world_end removes it and all below. */
typedef struct world {
    char path[256];
} world;
world world_begin(void);
void world_end(world *w);

/* "%s/name" in storage that lives until the next 8 calls. */
const char *in(const world *w, const char *name);

void write_file(const char *path, const char *text, size_t n); /* makes folders on the way */
void write_text(const char *path, const char *text);

/* An empty repository at path (bare or with a working tree). */
git_repository *new_repo(const char *path, bool bare);

/* Adds everything in the working tree and commits it. */
git_oid commit_all(git_repository *repo, const char *message);

/* A commit of a tree given as raw entries: mode, name, id. No check that libgit2 would make. Becomes HEAD. */
typedef struct raw_entry {
    const char *mode, *name;
    git_oid id;
} raw_entry;
git_oid write_blob(git_repository *repo, const char *text, size_t n);
git_oid write_raw_tree(git_repository *repo, const raw_entry *entries, size_t n);
git_oid commit_tree(git_repository *repo, git_oid tree);

/* A store in memory that counts. The latest value of a key is the one that is found. */
typedef struct memory_item {
    char *key;
    size_t n_key;
    char *value;
    size_t n_value;
} memory_item;
typedef struct memory_store {
    dr_blob_store store;
    memory_item *items; /* in the order they were put */
    size_t n_items, cap, n_hits, n_misses;
} memory_store;
void memory_store_init(memory_store *m);
void memory_store_cut(memory_store *m, size_t n_keep); /* only the oldest stay */
void memory_store_fini(memory_store *m);

dr_repo *open_ok(const char *path, const dr_repo_options *opt);
const dr_repo_file *file_named(const dr_repo *r, const char *path); /* NULL when not listed */

/* why: a part of the reason; NULL: any. */
void assert_class(const dr_repo *r, const char *path, dr_file_class cls, const char *why);
/* The shown text, whole. */
void assert_content(const dr_repo *r, const char *path, const char *text);

#endif
