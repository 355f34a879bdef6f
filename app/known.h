/* app/known.h: what the index knows of the words of a question, told to a model before it. */
#ifndef DR_APP_KNOWN_H
#define DR_APP_KNOWN_H

#include "app/tools.h"

enum { DR_KNOWN_MOST = 12, DR_KNOWN_WORDS = 256, DR_KNOWN_FUNCTION_BYTES = 8192 };

/* Appends "known: NAME KIND, PATH file, FOLDER folder", as the text writes them, in its order, each once; "known: nothing" when there is none.
 *
 * NAME, of two bytes or more: a word that is defined, or that one defined name is equal to but for case (then of four or more); also what begins
 * with a word, goes on without a blank and is defined (full?, operator==); the longest qualified name (Class.name, as docs/tools.md says) in place of
 * its words. KIND: of its first definition. A word that is no name, and what could be
 * a path: PATH when find_file would take it for the end of a path or a base name without its ending (in another case of four bytes or more), FOLDER
 * when a path leads through it. Of more than DR_KNOWN_MOST, members (dr_sym_kind_rank) are left out first, then the last. Words behind the first
 * DR_KNOWN_WORDS are not looked at. out->failed tells that memory ran out. */
void dr_known_write(dr_buf *out, const dr_workspace *w, dr_str text);

/* Appends "functions: NAME NAME ...", the names of these places in their order (their hole DR_HOLE_NAME); nothing when there are none, or more than
 * DR_KNOWN_FUNCTION_BYTES of them. What a full pack defines is thus told once more, shortly, before the question. */
void dr_known_functions(dr_buf *out, const dr_place *v, size_t n);

#endif
