/* app/answer_show.h: what `ask` and `edit` have in common: where their questions come from, and how an answer is shown. */
#ifndef DR_APP_ANSWER_SHOW_H
#define DR_APP_ANSWER_SHOW_H

#include "app/turn.h"

/* The start event, and the same in words. */
void dr_show_start(dr_output *out, const dr_setup *s, dr_pack_mode mode);
/* The answer event; in words only where `text` is set. */
void dr_show_answer(dr_output *out, const dr_setup *s, const dr_answer *a, bool text);

/* Calls answer with the words of the command line, or with every line of standard input (--batch), each then between the events question and done.
 * what: the command's name. *outcome: of the one question; left alone otherwise. In a batch what is too long for one question is said, and the next
 * one comes; any other error ends it. */
dr_status dr_each_question(const dr_options *opt, dr_output *out, const atomic_bool *cancel, const char *what,
                           dr_status (*answer)(void *arg, const char *question, dr_outcome *outcome, dr_error *err), void *arg,
                           dr_outcome *outcome, dr_error *err);

#endif
