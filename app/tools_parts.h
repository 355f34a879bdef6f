/* app/tools_parts.h: what the tools' files share. A result is written line by line, each with the place it names. */
#ifndef DR_APP_TOOLS_PARTS_H
#define DR_APP_TOOLS_PARTS_H

#include "app/tools.h"

struct dr_edit_report; /* app/edit.h */

void dr_tool__begin_line(dr_tool_result *r);
/* *place (may be NULL): until the next one is added. */
dr_status dr_tool__add_place(dr_tool_result *r, dr_tool_id tool, uint32_t file, uint32_t line, dr_place **place, dr_error *err);
/* A copy that lives as long as the result, as a hole of the place. */
dr_status dr_tool__set_hole(dr_tool_result *r, dr_place *place, dr_hole hole, dr_str text, dr_error *err);
void dr_tool__add_more(dr_tool_result *r, uint64_t n_left_out);
void dr_tool__add_str(dr_buf *b, dr_str s);
void dr_tool__no_symbol(dr_tool_result *r, const dr_symbols *symbols, dr_str name);
void dr_tool__nothing(dr_tool_result *r, const char *what, dr_str name); /* "what NAME" */
void dr_tool__wrong(dr_tool_result *r, const char *text);
static inline dr_str dr_tool__path(const dr_workspace *w, size_t file)
{
    return dr_repo_file_at(w->repo, file)->path;
}

/* The file that a path argument means: exactly that path, else the one file whose path ends in it at a '/'. False: the result says that there
 * is none, or lists the several. A "./" in front is left out. */
dr_status dr_tool__find_path(bool *found, size_t *file, dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err);
/* Is it one that tools can name: no folder of another repository? */
bool dr_tool__is_file(const dr_repo_file *f);
/* Does the path end in it, or its base name without the ending equal it? Whatever the case. */
bool dr_tool__names_file(dr_str path, dr_str name);
/* Every file (up to max) that a name means by the same rule; exact: the path itself, alone. */
size_t dr_tool__files_named(const dr_workspace *w, dr_str name, size_t *files, size_t max);

/* The one name of the index that a name which is not there is equal to but for case. */
bool dr_tool__in_other_case(dr_str *real, const dr_symbols *symbols, dr_str name);

/* tools_definitions.c */
/* The definitions of a name: those at r->qualifier, where it is one and any lie there. How many. r keeps what it narrows; when memory runs out its
 * text has failed. */
size_t dr_tool__definitions(const dr_sym_def **defs, dr_tool_result *r, const dr_workspace *w, dr_str name);
/* Of n definitions those at a place: a kind, what is around them, a file or a folder, the first of these that any has; all when none has. */
size_t dr_tool__definitions_in(const dr_sym_def **defs, dr_tool_result *r, const dr_workspace *w, size_t n, dr_str place);
/* Is it a qualified name ("Class.name", "ns::Class::name", "file.name", "Class#name", "thing->name")? The first definition of its last part that
 * lies in what stands before: in something of that name, or in a file or a folder; NULL: there is none. Parts have two bytes or more. */
const dr_sym_def *dr_tool__qualified(dr_str *qualifier, dr_str *bare, const dr_workspace *w, dr_str name);
/* Does every definition of the bare name, declarations aside, lie in what the qualifier means? */
bool dr_tool__lie_all_there(const dr_workspace *w, dr_str qualifier, dr_str bare);

/* tools_argument.c: appends, cut, the argument by which one tells whether the first call of a name on a line is bounded: the second of a function of
 * the C library that is given a size there, else a format, else the last; "?" when it has none or does not end within 2,000 bytes. */
void dr_tool__add_argument(dr_buf *out, dr_str text, uint32_t line, dr_str name);

/* Text of files for lines of results, read once for a run of lines of the same file; zero-initialise but for w. */
typedef struct dr_tool_reader {
    const dr_workspace *w;
    dr_buf text;
    size_t file;
    bool loaded;
} dr_tool_reader;
/* The shown text of a file, empty when it changed on disk since; until the next file is asked for. */
dr_str dr_tool__text(dr_tool_reader *r, size_t file);
void dr_tool__add_excerpt(dr_buf *out, dr_tool_reader *r, size_t file, uint32_t line);

/* tools_names.c; r->tool says which of several tools it is */
/* place: empty, or the file, folder or kind of find_symbol_in */
dr_status dr_tool__find_symbol(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str place, dr_error *err);
dr_status dr_tool__find_refs(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err);
dr_status dr_tool__calls(dr_tool_result *r, const dr_workspace *w, dr_str caller, dr_str callee, dr_error *err);

/* tools_describe.c: of r->tool, describe or one of its parts */
dr_status dr_tool__describe(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err);

/* tools_files.c */
dr_status dr_tool__find_file(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err);
dr_status dr_tool__outline(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err);
dr_status dr_tool__imports(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_error *err);
dr_status dr_tool__importers(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err);
dr_status dr_tool__read(dr_tool_result *r, const dr_workspace *w, dr_str path, int64_t line, dr_error *err);

/* tools_edit.c */
dr_status dr_tool__edit(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_str old_text, dr_str new_text, dr_error *err);
dr_status dr_tool__rename(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_str old_name, dr_str new_name, dr_error *err);
/* False: this workspace has no edits; the result says so. */
bool dr_tool__may_edit(dr_tool_result *r, const dr_workspace *w);
/* A file that cannot be edited is a refusal like any other: the model may choose another. */
dr_status dr_tool__refused(dr_tool_result *r, dr_status st, const dr_error *inner, dr_error *err);
/* "lines 3, 9, 12", as many as a result has lines. */
void dr_tool__add_lines(dr_tool_result *r, const dr_workspace *w, const struct dr_edit_report *report);

/* tools_change.c */
dr_status dr_tool__set_value(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str value, dr_error *err);
dr_status dr_tool__rename_everywhere(dr_tool_result *r, const dr_workspace *w, dr_str old_name, dr_str new_name, dr_error *err);
dr_status dr_tool__add_import(dr_tool_result *r, const dr_workspace *w, dr_str path, dr_str import, dr_error *err);
dr_status dr_tool__add_statement(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_str statement, dr_error *err);

/* tools_by_hand.c: for a person at a command line, in no profile's default roster. */
dr_status dr_tool__callees(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err);
dr_status dr_tool__changes(dr_tool_result *r, const dr_workspace *w, dr_str range, dr_error *err);

#endif
