/* repo/imports.h: the file that an import means, by the rules that languages have for paths.
 *
 * Only names of files are looked at (and the first line of every go.mod), not the settings of a build: a name that could
 * be several files is the one closest to the importing file, and one that could be a library outside the repository is
 * followed only where the repository lies as that language lays it out. So a target is a good guess, not a proof. */
#ifndef DR_REPO_IMPORTS_H
#define DR_REPO_IMPORTS_H

#include "repo/extract.h"

typedef struct dr_paths dr_paths; /* the files of a snapshot by their last parts; borrows it */

dr_status dr_paths_new(dr_paths **out, const dr_repo *repo, dr_error *err);
void dr_paths_free(dr_paths *p);

/* The file that `name`, imported by file `from`, means; DR_SYM_NONE: none that is known. */
uint32_t dr_paths_resolve(const dr_paths *p, size_t from, dr_str name, dr_import_form form);

#endif
