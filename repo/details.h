/* repo/details.h: what one definition says of itself: parameters, result, fields, value, comment; read from its file's tree on demand.
 *
 * Each part is one line, made safe as an excerpt (repo/text.h) with its comments left out, cut at DR_DETAIL_BYTES on a character border. A part
 * that does not apply, or that the tree does not show (an error, no grammar), is empty.
 *
 *   signature   of what is neither a value nor a macro: dr_text_signature
 *   parameters  of a function, method, prototype or a macro with some: what stands between the parentheses; "none" when that is nothing or
 *               a lone void
 *   returns     of a function, method or prototype: the declared type; "nothing" for void, unit, None, and where no result is the way
 *               to say so (Go, Rust); "not declared" where it may be left out and is; empty for constructors
 *   fields      of a struct, union, class, enum, interface or a type made of one: its data members as declared, joined by "; "; members
 *               that are functions only where the type has nothing else to say (an interface)
 *   value       of a macro, constant, variable, field or enumerator that is given one: that text
 *   line        of the same kinds: the line that holds the name, blanks at its ends left out
 *   doc         the comment right above, or the docstring: without comment marks, its first paragraph (DR_DETAIL_DOC_BYTES) */
#ifndef DR_REPO_DETAILS_H
#define DR_REPO_DETAILS_H

#include "repo/syntax.h"

enum { DR_DETAIL_BYTES = 240, DR_DETAIL_DOC_BYTES = 300 };

/* Zero-initialise. */
typedef struct dr_details {
    dr_buf signature, parameters, returns, fields, value, line, doc;
    dr_str whole_value; /* what `value` was made from, neither cut nor joined: of the tree's text; {NULL, 0}: none */
} dr_details;

/* Replaces what *out holds. s: the tree of d's file as it is shown; another text gives nonsense, never a crash. DR_ERR_NOMEM. */
dr_status dr_details_read(dr_details *out, const dr_syntax *s, dr_str name, const dr_sym_def *d, dr_error *err);
void dr_details_fini(dr_details *d);

#endif
