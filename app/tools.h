/* app/tools.h: the tools a model may call, and the exact bytes they answer with (docs/tools.md is the contract).
 *
 * A result is text for the model plus the places it names, so that citations and the sampler's constraint need not read the
 * text back. Tools only look at a snapshot: nothing is written, nothing outside it is read. */
#ifndef DR_APP_TOOLS_H
#define DR_APP_TOOLS_H

#include "base/bytes.h"
#include "repo/symbols.h"

#include <stdatomic.h>

typedef enum dr_tool_id {
    DR_TOOL_FIND_SYMBOL,
    DR_TOOL_FIND_REFS,
    DR_TOOL_GREP,
    DR_TOOL_READ,
    DR_N_ROSTER_TOOLS, /* up to here in a profile that names none; the rest are for `deepread tool`, by hand */
    DR_TOOL_OUTLINE = DR_N_ROSTER_TOOLS,
    DR_TOOL_IMPORTS,
    DR_TOOL_CALLEES,
    DR_TOOL_CHANGES,
    DR_N_TOOLS
} dr_tool_id;

const char *dr_tool_name(dr_tool_id id);
bool dr_tool_find(dr_tool_id *out, dr_str name);
/* The schema line as the tools block carries it: one JSON object. */
const char *dr_tool_schema(dr_tool_id id);

/* An argument: every tool has at most two, all required. */
typedef struct dr_tool_arg {
    const char *name; /* NULL: no such argument */
    bool integer;
} dr_tool_arg;
enum { DR_TOOL_ARGS = 2 };
const dr_tool_arg *dr_tool_args(dr_tool_id id); /* [DR_TOOL_ARGS] */

/* What the tools look at. Borrowed. */
typedef struct dr_workspace {
    const dr_repo *repo;
    const dr_symbols *symbols;
    dr_pool *pool;
    int32_t result_columns, result_lines;
    const atomic_bool *cancel;
} dr_workspace;

typedef struct dr_place {
    uint32_t file, line;
    dr_tool_id tool;  /* that found it */
    bool declaration; /* find_symbol: a prototype; these come last */
    dr_str enclosing; /* find_refs: name of the definition around it or "(top level)"; else empty. Borrowed from the symbols */
} dr_place;

typedef struct dr_tool_result {
    dr_buf text;
    dr_buf subject;   /* the name, pattern or path that was looked up; empty for a wrong call */
    dr_place *places; /* in the order of the text's lines; owned */
    size_t n_places;
    uint64_t n_left_out; /* lines beyond result_lines */
    bool failed; /* the call itself was wrong (unknown tool, missing argument, bad pattern): the text says how */
} dr_tool_result;

/* Runs one call. arguments: a JSON object. A wrong call is a result, not an error: the model reads what was wrong with it.
 * DR_ERR_CANCELLED, DR_ERR_NOMEM, DR_ERR_IO otherwise. Free with dr_tool_result_fini in any case. */
dr_status dr_tool_run(dr_tool_result *out, const dr_workspace *w, dr_str name, dr_str arguments, dr_error *err);
void dr_tool_result_fini(dr_tool_result *r);

#endif
