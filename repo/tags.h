/* repo/tags.h: definitions, imports and sections by a language's own query (queries/NAME.scm). */
#ifndef DR_REPO_TAGS_H
#define DR_REPO_TAGS_H

#include "repo/extract.h"

/* Everything the query of w->lang says about the tree. */
void dr_tags__define(dr_walk *w, TSNode root);

/* Is there a query, and does it fit its grammar? DR_ERR_NOT_FOUND, DR_ERR_FORMAT with the place. */
dr_status dr_tags__check(dr_lang lang, const dr_grammar *grammar, dr_error *err);

#endif
