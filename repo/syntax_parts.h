/* repo/syntax_parts.h: the inside of a dr_syntax, for what looks at its tree. */
#ifndef DR_REPO_SYNTAX_PARTS_H
#define DR_REPO_SYNTAX_PARTS_H

#include "repo/extract.h"
#include "repo/syntax.h"

struct dr_syntax {
    dr_walk walk;
    dr_lang lang;
    dr_str text;
    TSTree *tree; /* NULL: none */
};

bool dr_syntax__is_comment(TSNode node);

#endif
