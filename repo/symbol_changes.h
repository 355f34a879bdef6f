/* repo/symbol_changes.h: what changed between two texts or two commits, by symbol.
 *
 * A definition is the same one on both sides when its name, its container and its kind are; several of the same (overloads,
 * branches of #if) are paired in order. Then its text is compared: the signature (all before the body, blanks collapsed)
 * and the rest. Declarations count, sections do not. Members whose line alone changed are their own entries, and the type
 * around them has changed too. A definition that moved to another file was removed and added. */
#ifndef DR_REPO_SYMBOL_CHANGES_H
#define DR_REPO_SYMBOL_CHANGES_H

#include "base/arena.h"
#include "repo/symbols.h"

typedef enum dr_sym_change_kind {
    DR_SYM_ADDED = 0,
    DR_SYM_REMOVED,
    DR_SYM_SIGNATURE, /* and maybe the body */
    DR_SYM_BODY,
} dr_sym_change_kind;

const char *dr_sym_change_name(dr_sym_change_kind kind); /* "added", "removed", "signature", "body" */

typedef struct dr_sym_change {
    dr_sym_change_kind kind;
    dr_sym_kind sym;
    dr_str path, name, container; /* container may be empty */
    uint32_t old_line, new_line;  /* 0 on the side that has none */
} dr_sym_change;

/* Zeroed storage is an empty list. */
typedef struct dr_sym_changes {
    dr_sym_change *v; /* by file as they were added, then by place (removed ones where they were) */
    size_t n, cap;
    uint32_t n_files;  /* compared */
    uint32_t n_unread; /* files of a known language that could not be read on one side */
    dr_arena *text;
} dr_sym_changes;

/* Appends the changes of one file. An empty text: the file is not there on that side. */
dr_status dr_symbol_changes_add(dr_sym_changes *out, dr_str path, dr_str old_text, dr_str new_text, dr_error *err);

/* The changes from one commit to another (40 hex digits), in path order; `repo` gives the objects and the rules by which
 * texts are shown. DR_ERR_NOT_FOUND: no such commit, or a folder outside git. */
dr_status dr_symbol_changes_between(dr_sym_changes *out, const dr_repo *repo, const char *from, const char *to,
                                    dr_error *err);
void dr_symbol_changes_fini(dr_sym_changes *c);

#endif
