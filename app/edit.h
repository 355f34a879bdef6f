/* app/edit.h: changes to a snapshot's files, staged in memory: checked one by one, shown as a diff, written only when told to.
 *
 * What the model reads of a file is its shown text (secrets masked) with "\n" line ends; what is changed is the file's own bytes, so a file keeps
 * its line ends, its missing last newline and its secrets. A change that touches a masked place, would write a
 * mask, or would leave a secret that is no longer known for one (its name is changed, a letter is put right before it), is refused.
 *
 * Owned by one thread. */
#ifndef DR_APP_EDIT_H
#define DR_APP_EDIT_H

#include "base/bytes.h"
#include "repo/repo.h"

typedef struct dr_edits dr_edits;

dr_edits *dr_edits_new(const dr_repo *repo); /* borrows it; NULL: out of memory */
void dr_edits_free(dr_edits *e);

/* Is there a staged change of the file? */
bool dr_edits_has(const dr_edits *e, size_t file);
/* How many files have one. */
size_t dr_edits_n_files(const dr_edits *e);
size_t dr_edits_file_at(const dr_edits *e, size_t i); /* i < n_files; by path */

/* The text the model sees, staged changes and all; until the next change of it. DR_ERR_ARG: the file cannot be edited (no text, converted from
 * another encoding); DR_ERR_AGAIN: it changed on disk since the snapshot; DR_ERR_IO, DR_ERR_FORMAT, DR_ERR_NOMEM. */
dr_status dr_edits_text(dr_edits *e, size_t file, dr_str *text, dr_error *err);

typedef enum dr_edit_outcome {
    DR_EDIT_STAGED,
    DR_EDIT_NO_TEXT,  /* the old text, or name, is not there */
    DR_EDIT_SEVERAL,  /* the old text stands there more than once: lines */
    DR_EDIT_SAME,     /* old and new are the same */
    DR_EDIT_MASKED,   /* the old text touches a masked secret, the new one would write a mask, or the change show a secret */
    DR_EDIT_NO_NAME,  /* rename: the new name is none */
    DR_EDIT_TAKEN,    /* rename: the new name stands in the file already: lines */
} dr_edit_outcome;

typedef struct dr_edit_report {
    dr_edit_outcome outcome;
    uint32_t *lines; /* ascending, each once; owned: free() it. STAGED: where the change begins, or every renamed place */
    size_t n_lines;
    size_t n_places;
} dr_edit_report;

/* Replaces what stands exactly once. */
dr_status dr_edits_replace(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_text, dr_str new_text, dr_error *err);
/* Replaces the n bytes at `at` of dr_edits_text; n 0 inserts. DR_ERR_ARG: they lie outside. */
dr_status dr_edits_replace_at(dr_edits *e, dr_edit_report *out, size_t file, size_t at, size_t n, dr_str new_text, dr_error *err);
/* Replaces a name in code: not in comments and strings (repo/syntax.h). */
dr_status dr_edits_rename(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_name, dr_str new_name, dr_error *err);
/* What dr_edits_rename would report; nothing is staged. */
dr_status dr_edits_rename_check(dr_edits *e, dr_edit_report *out, size_t file, dr_str old_name, dr_str new_name, dr_error *err);

/* Appends the staged changes of one file, or of all, as git prints them (--- a/PATH, +++ b/PATH, three lines around), secrets masked. */
dr_status dr_edits_diff_file(dr_buf *out, dr_edits *e, size_t file, dr_error *err);
dr_status dr_edits_diff(dr_buf *out, dr_edits *e, dr_error *err);

/* Appends a sentence for every file that the parser makes less of than before; nothing when there is none. */
dr_status dr_edits_check(dr_buf *out, dr_edits *e, dr_error *err);

/* Writes every file, or none where that can be helped: all are written beside their places first, then renamed one by one.
 * DR_ERR_ARG: not a working tree; DR_ERR_AGAIN: a file changed since it was read; DR_ERR_IO with the file and the reason. */
dr_status dr_edits_apply(dr_edits *e, dr_error *err);

#endif
