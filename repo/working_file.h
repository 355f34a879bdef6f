/* repo/working_file.h: a file of the working tree as it lies on disk, and its replacement: whole or not at all.
 *
 * The file is reached from the root folder part by part without following a link. What takes its place has its owner and its mode; it is
 * written beside it, synced, and renamed over it. Other names of the same file (hard links) keep the old bytes. */
#ifndef DR_REPO_WORKING_FILE_H
#define DR_REPO_WORKING_FILE_H

#include "repo/repo.h"

/* The bytes of a text file: on disk when the working tree or a folder was opened (line ends as they are there), else of the revision. Secrets are in
 * there: never to be stored or shown. Errors of dr_repo_read_raw; DR_ERR_IO when what lies there is no regular file. */
dr_status dr_working_file_read(dr_buf *out, const dr_repo *r, size_t index, dr_error *err);

/* The secrets of a text as this snapshot masks them. */
dr_status dr_working_file_secrets(dr_secrets *out, const dr_repo *r, dr_str text, dr_error *err);

typedef struct dr_working_write dr_working_write;

/* Writes the new bytes beside the file; nothing anyone looks at has changed then.
 * DR_ERR_ARG: a revision was opened, or a bare repository: there is nothing to write to. DR_ERR_AGAIN: the file's bytes are no
 * longer `was`. DR_ERR_IO: a link or no regular file stands there, the file is read-only, its owner cannot be kept, the disk is full. */
dr_status dr_working_write_new(dr_working_write **out, const dr_repo *r, size_t index, dr_str was, dr_str becomes, dr_error *err);
/* Takes the file's place. DR_ERR_AGAIN when it was touched meanwhile. */
dr_status dr_working_write_commit(dr_working_write *w, dr_error *err);
/* Without a commit before it: the new bytes are removed. NULL is fine. */
void dr_working_write_free(dr_working_write *w);

#endif
