/* app/known.h: what the index knows of the words of a question, told to a model before it. */
#ifndef DR_APP_KNOWN_H
#define DR_APP_KNOWN_H

#include "app/tools.h"

enum { DR_KNOWN_MOST = 12 };

/* Appends "known: NAME KIND, PATH file, FOLDER folder", each as the text writes it, in its order, once, DR_KNOWN_MOST at most; "known: nothing"
 * when there is none. A NAME of two bytes or more is a word that is defined, or that one defined name is equal to but for case (then of four
 * bytes or more); KIND is that of the first definition. PATH and FOLDER
 * are what tools take for one; of four bytes or more PATH may be in another case, and a base name without its ending. out->failed tells that memory ran out. */
void dr_known_write(dr_buf *out, const dr_workspace *w, dr_str text);

#endif
