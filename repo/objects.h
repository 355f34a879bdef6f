/* repo/objects.h: the object database of a hostile repository, made of two readers of our own.
 *
 * libgit2 1.5 writes past its buffer when a loose object holds more than its header says, does not end on one that is
 * cut off, and follows deltas that lead in a circle for ever. So a repository gets a database in which none of the
 * library's readers stands in the open: packs (packs.c) come first, each object's chain of deltas is looked at before
 * the library unpacks it; then loose objects (loose.c), read by us. Multi-pack indexes and commit graphs are not used:
 * a pack's own index says the same. Nothing can be written. */
#ifndef DR_REPO_OBJECTS_H
#define DR_REPO_OBJECTS_H

#include "base/status.h"

#include <git2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives `git` that database, for everything that is read through it from then on; *out is freed with git_odb_free.
 * Before any object is read. DR_ERR_NOMEM, or DR_ERR_FORMAT with libgit2's reason. */
dr_status dr_objects__open(git_odb **out, git_repository *git, dr_error *err);

/* For the two readers. */

enum { DR_OBJECT_FOLDERS_MAX = 64 };

/* objects/ of the repository, then of its alternates, without links and without doubles. */
typedef struct dr_object_folders {
    char *v[DR_OBJECT_FOLDERS_MAX];
    size_t n;
} dr_object_folders;

/* False: out of memory. Zeroed storage; freed by the caller whatever the result. */
bool dr_object_folders_init(dr_object_folders *f, git_repository *git);
void dr_object_folders_fini(dr_object_folders *f);

/* A regular file of 1 to `most` bytes, mapped to be read. False: there is none. Ends with munmap. */
bool dr_objects__map(const uint8_t **data, size_t *n, const char *path, size_t most);

/* Both take the folders, whatever the result. DR_ERR_NOMEM. */
dr_status dr_loose__new(git_odb_backend **out, dr_object_folders *folders, dr_error *err);
dr_status dr_packs__new(git_odb_backend **out, dr_object_folders *folders, dr_error *err);

#endif
