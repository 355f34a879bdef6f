/* app/sentence.h: the sentences of a closed model: what their holes mean, and every way each of them can be said now.
 *
 *   `{symbol}` is used at:{\n- {cite} in `{enclosing}`}
 *
 *   {symbol}    the name that was looked up: the first argument of the last call; of a `reading` the place's own name
 *   {callee}    its second argument
 *   {path}      the file that its path argument means; of a `file` the place's path
 *   {similar}   the names of its line `similar:`, joined by ", "
 *   {cite}      PATH:LINE of a place of the last result
 *   {enclosing} {name} {parameters} {returns} {fields} {value} {doc} {signature} {import}     what that place says (app/tools.h)
 *   {a|b|c}     one of these words, the model's choice
 *   {...}       with holes inside, a group: said once for every place the sentence wants, in the result's order
 *
 * All holes outside a group are of one place. The check says which result a sentence is about, which of its places it wants, and when it may
 * be said at all; a sentence with a hole that nothing fills cannot be said. */
#ifndef DR_APP_SENTENCE_H
#define DR_APP_SENTENCE_H

#include "app/profile.h"
#include "app/tools.h"

/* What is known when a sentence would be said. Borrowed. */
typedef struct dr_moment {
    const dr_repo *repo;
    const dr_tool_result *last; /* the last result of the turn; NULL: none yet */
    const dr_place *reading;    /* definitions whose text is in the pack, with DR_HOLE_NAME */
    size_t n_reading;
    bool tells_similar; /* the profile has a sentence with {similar}: then the one without is for names like nothing */
} dr_moment;

/* In how many ways the sentence can be said: at most one for each place. */
size_t dr_sentence_n_ways(const dr_answer_form *form, const dr_moment *m);

/* Appends way i. A choice of words is a NUL and then a byte: 1 + the number of the part in form->sentence. False: a hole has nothing to fill
 * it, and what was appended means nothing. */
bool dr_sentence_way(dr_buf *out, const dr_answer_form *form, const dr_moment *m, size_t i);

/* Is the text one of the ways? */
bool dr_sentence_says(const dr_answer_form *form, const dr_moment *m, dr_str text);

#endif
