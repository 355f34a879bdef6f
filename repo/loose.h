/* repo/loose.h: loose objects of a hostile repository, read by our own reader.
 *
 * libgit2 1.5 writes past its buffer when a loose object holds more than its header says, and does not end on one that is
 * cut off. A backend is put in front of its own: it reads every loose object there is (of the repository and of its
 * alternates), in bounds, and turns a damaged one into an error, so that the library's reader never sees it. Packs are
 * asked first, as before, so packed repositories pay nothing. */
#ifndef DR_REPO_LOOSE_H
#define DR_REPO_LOOSE_H

#include "base/status.h"

#include <git2.h>

/* odb is the repository's own; it keeps the backend. DR_ERR_NOMEM, or DR_ERR_FORMAT with libgit2's reason. Before any
 * object is read through it. */
dr_status dr_loose__guard(git_odb *odb, git_repository *git, dr_error *err);

#endif
