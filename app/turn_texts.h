/* app/turn_texts.h: texts of files that old text is copied from, indexed once for as long as they stay the same. */
#ifndef DR_APP_TURN_TEXTS_H
#define DR_APP_TURN_TEXTS_H

#include "app/edit.h"
#include "engine/constraint.h"

/* Owned by one thread. */
typedef struct dr_turn_texts dr_turn_texts;
dr_turn_texts *dr_turn_texts_new(void); /* NULL: out of memory */
void dr_turn_texts_free(dr_turn_texts *t);

enum { DR_TURN_TEXTS = 16 }; /* files of one grammar, at most */

/* A grammar is about to be built: what it asks for stays until the next one is. */
void dr_turn_texts_begin(dr_turn_texts *t);
/* The index of a file's text as it is staged now; NULL: the file cannot be edited, or is empty. DR_ERR_NOMEM, DR_ERR_LIMIT. */
dr_status dr_turn_texts_of(const dr_substrings **out, dr_turn_texts *t, dr_edits *edits, size_t file, dr_error *err);

#endif
