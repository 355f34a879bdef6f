/* repo/edit_points.h: where in one file's text a change belongs that is told what, not where: another value of a constant, one more import, a
 * first statement of a function. Nothing is changed here: a point says which bytes give way to which text.
 *
 * The text may be another one than the snapshot's (an edit is staged): everything is read from the tree that is given. Of a text without a tree no
 * point is known. Owned by one thread. */
#ifndef DR_REPO_EDIT_POINTS_H
#define DR_REPO_EDIT_POINTS_H

#include "repo/syntax.h"

typedef struct dr_edit_span {
    uint32_t at, n, line; /* line: of the definition's name */
} dr_edit_span;

/* What the definitions of a name are given as a value (repo/details.h: whole_value), in text order. *out is the caller's to free, NULL when *n is 0;
 * *n_defs: how many definitions of the name there are, with a value or without. DR_ERR_NOMEM. */
dr_status dr_edit_points_values(dr_edit_span **out, size_t *n, size_t *n_defs, const dr_syntax *s, dr_str name, dr_error *err);

typedef enum dr_edit_point_kind {
    DR_POINT_FOUND,
    DR_POINT_NONE,    /* no such place: a function without a body of statements, a language without imports */
    DR_POINT_SEVERAL, /* more than one function has the name */
    DR_POINT_THERE,   /* that import stands there: line */
    DR_POINT_UNCLEAR, /* only what is imported, in a language where that does not say how */
} dr_edit_point_kind;

/* Zero-initialise. */
typedef struct dr_edit_point {
    dr_edit_point_kind kind;
    uint32_t at, n; /* these bytes of the text ... */
    dr_buf text;    /* ... become this */
    uint32_t n_lines_before; /* of the new text, in front of what was to be added */
    uint32_t line;  /* DR_POINT_THERE */
    size_t n_functions; /* dr_edit_point_statement: of that name with a body */
} dr_edit_point;

/* A line behind the file's last import, in the manner of that one, or where the first one belongs. import: a whole line, or what is imported.
 * Counted are imports at the top level (of C in an include guard; before the first function), not those under a condition. DR_ERR_NOMEM. */
dr_status dr_edit_point_import(dr_edit_point *out, const dr_syntax *s, dr_str import, dr_error *err);

/* A first statement, of one line or several, in the body of the one function or method of that name; behind a docstring, a directive ("use strict") and
 * the call of another constructor that has to be first; with the ';' that its language ends it with. DR_ERR_NOMEM. */
dr_status dr_edit_point_statement(dr_edit_point *out, const dr_syntax *s, dr_str name, dr_str statement, dr_error *err);

void dr_edit_point_fini(dr_edit_point *p);

#endif
