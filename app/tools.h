/* app/tools.h: the tools a model may call, and the exact bytes they answer with (docs/tools.md is the contract).
 *
 * A result is text for the model plus what it says as data: the places it names, each with the texts that a sentence may quote, so that
 * citations and the sampler's constraint need not read the text back. Tools only look at a snapshot: nothing is written, nothing outside it
 * is read; edits are staged in memory (app/edit.h). */
#ifndef DR_APP_TOOLS_H
#define DR_APP_TOOLS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "repo/symbols.h"

#include <stdatomic.h>

typedef enum dr_tool_id {
    DR_TOOL_FIND_SYMBOL,
    DR_TOOL_FIND_REFS,
    DR_TOOL_DESCRIBE,
    DR_TOOL_CALLS,
    DR_TOOL_FIND_FILE,
    DR_TOOL_OUTLINE,
    DR_TOOL_IMPORTS,
    DR_TOOL_IMPORTERS,
    DR_TOOL_GREP,
    DR_TOOL_READ,
    DR_TOOL_EDIT,
    DR_TOOL_RENAME,
    DR_N_ROSTER_TOOLS, /* up to here in a profile that names none; the rest where a profile names them, and by hand */
    DR_TOOL_CALLEES = DR_N_ROSTER_TOOLS,
    DR_TOOL_CHANGES,
    DR_TOOL_KNOWN,
    DR_TOOL_PARAMETERS, /* from here to DR_TOOL_COMMENT: describe, one part of it */
    DR_TOOL_RETURNS,
    DR_TOOL_FIELDS,
    DR_TOOL_VALUE,
    DR_TOOL_COMMENT,
    DR_TOOL_CALL_SITES,
    DR_TOOL_FIND_SYMBOL_IN,
    DR_TOOL_SET_VALUE, /* from here on edits whose arguments stand in the question */
    DR_TOOL_RENAME_EVERYWHERE,
    DR_TOOL_ADD_IMPORT,
    DR_TOOL_ADD_STATEMENT,
    DR_N_TOOLS
} dr_tool_id;

const char *dr_tool_name(dr_tool_id id);
bool dr_tool_find(dr_tool_id *out, dr_str name);
/* The schema line as the tools block carries it: one JSON object. */
const char *dr_tool_schema(dr_tool_id id);
/* Does it stage changes? Then it needs a workspace with edits. */
bool dr_tool_edits(dr_tool_id id);
/* Does it say what a name says of itself, all or a part? */
bool dr_tool_describes(dr_tool_id id);

/* An argument: all are required. */
typedef struct dr_tool_arg {
    const char *name; /* NULL: no such argument */
    bool integer;
    bool may_be_empty;
} dr_tool_arg;
enum { DR_TOOL_ARGS = 3 };
const dr_tool_arg *dr_tool_args(dr_tool_id id); /* [DR_TOOL_ARGS] */

/* What the tools look at. Borrowed. */
typedef struct dr_workspace {
    const dr_repo *repo;
    const dr_symbols *symbols;
    dr_pool *pool;
    int32_t result_columns, result_lines;
    const atomic_bool *cancel;
    struct dr_edits *edits; /* NULL: nothing may be edited here; else what read and edit see is the staged text */
} dr_workspace;

/* What a sentence may quote of a place (docs/tools.md). */
typedef enum dr_hole {
    DR_HOLE_ENCLOSING, /* find_refs, call_sites: name of the definition around it or "(top level)" */
    DR_HOLE_NAME,      /* outline, reading */
    DR_HOLE_PARAMETERS, /* from here to the signature: describe, and the tools of one part of it */
    DR_HOLE_RETURNS,
    DR_HOLE_FIELDS,
    DR_HOLE_VALUE,
    DR_HOLE_DOC,
    DR_HOLE_SIGNATURE,
    DR_HOLE_IMPORT, /* imports: the line's text */
    DR_N_HOLES
} dr_hole;
const char *dr_hole_name(dr_hole h); /* "enclosing", "parameters", ... */

typedef struct dr_place {
    uint32_t file, line; /* line 0: the file as a whole */
    dr_tool_id tool;     /* that found it */
    bool declaration;    /* tools that find definitions: a prototype; these come last */
    dr_str hole[DR_N_HOLES]; /* empty: it has none. Borrowed from the symbols, or from the result */
} dr_place;

typedef enum dr_tool_outcome {
    DR_TOOL_FOUND,
    DR_TOOL_NOTHING,       /* looked, and there is none */
    DR_TOOL_NO_SYMBOL,     /* no symbol has the name that was looked up */
    DR_TOOL_NO_FILE,       /* no file is called so */
    DR_TOOL_SEVERAL_FILES, /* the path could be several: the places are they */
    DR_TOOL_DONE,          /* staged */
    DR_TOOL_REFUSED,       /* not staged; the text says why */
    DR_TOOL_WRONG,         /* the call itself was wrong (unknown tool, missing argument, bad pattern): the text says how */
} dr_tool_outcome;

enum { DR_MAX_SIMILAR = 5 };

typedef struct dr_tool_result {
    dr_buf text;
    dr_tool_id tool; /* DR_N_TOOLS for a name of none */
    dr_tool_outcome outcome;
    bool failed;           /* the outcome is DR_TOOL_WRONG */
    dr_buf subject, object; /* the first argument and the second, where they are texts; empty for a wrong call */
    dr_str path;            /* the file that a path argument meant; empty: none. Borrowed from the repository */
    dr_place *places;       /* in the order of the text's lines; owned */
    size_t n_places;
    dr_str similar[DR_MAX_SIMILAR]; /* of DR_TOOL_NO_SYMBOL. Borrowed from the symbols */
    size_t n_similar;
    uint64_t n_left_out; /* lines beyond result_lines */
    dr_str qualifier;    /* of the name that is looked up, while the call runs; empty: any */
    dr_arena *storage;   /* of the places' texts; NULL: none */
} dr_tool_result;

/* Runs one call. arguments: a JSON object. A wrong call is a result, not an error: the model reads what was wrong with it. A name that there is not,
 * where exactly one of the index is equal to it but for case, means that one; a qualified one (Class.name) means its last part, and of several
 * definitions those that lie there: a first line of the text says so, and subject or object is the real name.
 * DR_ERR_CANCELLED, DR_ERR_NOMEM, DR_ERR_IO otherwise. Free with dr_tool_result_fini in any case. */
dr_status dr_tool_run(dr_tool_result *out, const dr_workspace *w, dr_str name, dr_str arguments, dr_error *err);
void dr_tool_result_fini(dr_tool_result *r);

#endif
