/* repo/syntax.h: one file's syntax tree, asked on demand: for what the symbol table does not keep.
 *
 * A text without a grammar, or one that is over its parse budget, has no tree: its names are then found word by word, and it has no
 * errors. The answer depends on language and text only. Owned by one thread. */
#ifndef DR_REPO_SYNTAX_H
#define DR_REPO_SYNTAX_H

#include "repo/symbols.h"

typedef struct dr_syntax dr_syntax;

/* Borrows the text. DR_ERR_NOMEM only. */
dr_status dr_syntax_open(dr_syntax **out, dr_lang lang, dr_str text, dr_error *err);
void dr_syntax_close(dr_syntax *s);

/* Places that the parser could make no sense of: at most 65,535 are counted. */
uint32_t dr_syntax_n_errors(const dr_syntax *s);

typedef struct dr_syntax_place {
    uint32_t at, line;
} dr_syntax_place;

/* Where the name stands as a whole word in code: not in comments, not in strings (in what a string interpolates, yes), in the text of a
 * macro, yes. Ascending. *out is the caller's to free, NULL when *n is 0. Every place of the tree is looked at with the same eyes: that two
 * variables of one name are not the same is not known here. */
dr_status dr_syntax_names(dr_syntax_place **out, size_t *n, const dr_syntax *s, dr_str name, dr_error *err);

/* Could it be a name: letters, digits, '_' and '$' (and anything past ASCII), no digit first. Reserved words are not told apart. */
bool dr_syntax_is_name(dr_str s);

#endif
