/* repo/details_parts.h: what the files of dr_details share. */
#ifndef DR_REPO_DETAILS_PARTS_H
#define DR_REPO_DETAILS_PARTS_H

#include "repo/details.h"
#include "repo/syntax_parts.h"

/* Null in, null out. */
TSNode dr_details__field(TSNode node, const char *name);
bool dr_details__is(TSNode node, const char *type);

/* Appends the text of [begin, end) below `top` without its comments. */
void dr_details__code(dr_buf *out, const dr_syntax *s, TSNode top, uint32_t begin, uint32_t end);

/* details_members.c: the members of the type whose name is `leaf`, joined. */
void dr_details__members(dr_buf *out, const dr_syntax *s, TSNode leaf, dr_sym_kind kind);

/* details_doc.c: the first paragraph of the definition's comment or docstring. */
void dr_details__doc(dr_buf *out, dr_lang lang, dr_str text, const dr_sym_def *d);

#endif
