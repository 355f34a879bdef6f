/* repo/edit_points_parts.h: what the files of dr_edit_point share: texts, lines and nodes. */
#ifndef DR_REPO_EDIT_POINTS_PARTS_H
#define DR_REPO_EDIT_POINTS_PARTS_H

#include "repo/edit_points.h"
#include "repo/syntax_parts.h"

dr_str dr_edit_points__trimmed(dr_str t);
dr_str dr_edit_points__text(const dr_syntax *s, TSNode node);
bool dr_edit_points__is(TSNode node, const char *type);
/* Its last byte's place + 1: some grammars count the line's end in. */
uint32_t dr_edit_points__end(const dr_syntax *s, TSNode node);
/* Where the line around `at` begins, and where the next one does; the end of the text where there is none. */
uint32_t dr_edit_points__line_start(dr_str text, uint32_t at);
uint32_t dr_edit_points__next_line(dr_str text, uint32_t at);
/* The blanks that the line around `at` begins with. */
dr_str dr_edit_points__indent(dr_str text, uint32_t at);
/* Counts n_lines_before: newlines up to byte `from` of the new text, and those right there. */
void dr_edit_points__count_lines(dr_edit_point *out, size_t from);
void dr_edit_points__add(dr_buf *out, dr_str text);

#endif
