#include "app/tools.h"

#include "app/known.h"
#include "app/tools_parts.h"
#include "repo/grep.h"
#include "repo/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_PATTERN = 1000 };

typedef struct tool_entry {
    const char *name, *schema;
    dr_tool_arg args[DR_TOOL_ARGS];
} tool_entry;

static const tool_entry tools[DR_N_TOOLS] = {
    [DR_TOOL_FIND_SYMBOL] =
        {"find_symbol",
         "{\"name\": \"find_symbol\", \"description\": \"where a name is defined\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_FIND_REFS] =
        {"find_refs",
         "{\"name\": \"find_refs\", \"description\": \"where a name is used\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_DESCRIBE] =
        {"describe",
         "{\"name\": \"describe\", \"description\": \"signature, parameters, fields, value, comment of a name\", "
         "\"parameters\": {\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, "
         "\"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_CALLS] =
        {"calls",
         "{\"name\": \"calls\", \"description\": \"whether one function calls another\", \"parameters\": "
         "{\"type\": \"object\", \"properties\": {\"caller\": {\"type\": \"string\"}, \"callee\": {\"type\": "
         "\"string\"}}, \"required\": [\"caller\", \"callee\"]}}",
         {{"caller", false, false}, {"callee", false, false}}},
    [DR_TOOL_FIND_FILE] =
        {"find_file",
         "{\"name\": \"find_file\", \"description\": \"files by name\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_OUTLINE] =
        {"outline",
         "{\"name\": \"outline\", \"description\": \"what a file defines\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"path\": {\"type\": \"string\"}}, \"required\": [\"path\"]}}",
         {{"path", false, false}}},
    [DR_TOOL_IMPORTS] =
        {"imports",
         "{\"name\": \"imports\", \"description\": \"what a file imports\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"path\": {\"type\": \"string\"}}, \"required\": [\"path\"]}}",
         {{"path", false, false}}},
    [DR_TOOL_IMPORTERS] =
        {"importers",
         "{\"name\": \"importers\", \"description\": \"what imports a file or module\", \"parameters\": "
         "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_GREP] =
        {"grep",
         "{\"name\": \"grep\", \"description\": \"lines that match a pattern\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"pattern\": {\"type\": \"string\"}}, \"required\": [\"pattern\"]}}",
         {{"pattern", false, false}}},
    [DR_TOOL_READ] =
        {"read",
         "{\"name\": \"read\", \"description\": \"lines of a file\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"path\": {\"type\": \"string\"}, \"line\": {\"type\": \"integer\"}}, \"required\": "
         "[\"path\", \"line\"]}}",
         {{"path", false, false}, {"line", true, false}}},
    [DR_TOOL_EDIT] =
        {"edit",
         "{\"name\": \"edit\", \"description\": \"replace text that occurs once\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"path\": {\"type\": \"string\"}, \"old\": {\"type\": \"string\"}, "
         "\"new\": {\"type\": \"string\"}}, \"required\": [\"path\", \"old\", \"new\"]}}",
         {{"path", false, false}, {"old", false, false}, {"new", false, true}}},
    [DR_TOOL_RENAME] =
        {"rename",
         "{\"name\": \"rename\", \"description\": \"rename a name in a file\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"path\": {\"type\": \"string\"}, \"old\": {\"type\": \"string\"}, "
         "\"new\": {\"type\": \"string\"}}, \"required\": [\"path\", \"old\", \"new\"]}}",
         {{"path", false, false}, {"old", false, false}, {"new", false, false}}},
    [DR_TOOL_CALLEES] =
        {"callees",
         "{\"name\": \"callees\", \"description\": \"what a definition calls\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_CHANGES] =
        {"changes",
         "{\"name\": \"changes\", \"description\": \"which definitions changed between two commits\", "
         "\"parameters\": {\"type\": \"object\", \"properties\": {\"range\": {\"type\": \"string\"}}, "
         "\"required\": [\"range\"]}}",
         {{"range", false, false}}},
    [DR_TOOL_KNOWN] =
        {"known",
         "{\"name\": \"known\", \"description\": \"what the index knows of the words of a text\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"text\": {\"type\": \"string\"}}, \"required\": [\"text\"]}}",
         {{"text", false, false}}},
    [DR_TOOL_PARAMETERS] =
        {"parameters",
         "{\"name\": \"parameters\", \"description\": \"parameters of a function\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_RETURNS] =
        {"returns",
         "{\"name\": \"returns\", \"description\": \"what a function returns\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_FIELDS] =
        {"fields",
         "{\"name\": \"fields\", \"description\": \"fields of a type\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_VALUE] =
        {"value",
         "{\"name\": \"value\", \"description\": \"value of a constant\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_COMMENT] =
        {"comment",
         "{\"name\": \"comment\", \"description\": \"comment or signature of a name\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_CALL_SITES] =
        {"call_sites",
         "{\"name\": \"call_sites\", \"description\": \"calls of a function\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false, false}}},
    [DR_TOOL_FIND_SYMBOL_IN] =
        {"find_symbol_in",
         "{\"name\": \"find_symbol_in\", \"description\": \"where a name is defined, of one file, folder or kind\", "
         "\"parameters\": {\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"place\": {\"type\": "
         "\"string\"}}, \"required\": [\"name\", \"place\"]}}",
         {{"name", false, false}, {"place", false, false}}},
    [DR_TOOL_SET_VALUE] =
        {"set_value",
         "{\"name\": \"set_value\", \"description\": \"give a constant another value\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"value\": {\"type\": \"string\"}}, "
         "\"required\": [\"name\", \"value\"]}}",
         {{"name", false, false}, {"value", false, false}}},
    [DR_TOOL_RENAME_EVERYWHERE] =
        {"rename_everywhere",
         "{\"name\": \"rename_everywhere\", \"description\": \"rename a name in all files\", \"parameters\": "
         "{\"type\": \"object\", \"properties\": {\"old\": {\"type\": \"string\"}, \"new\": {\"type\": \"string\"}}, "
         "\"required\": [\"old\", \"new\"]}}",
         {{"old", false, false}, {"new", false, false}}},
    [DR_TOOL_ADD_IMPORT] =
        {"add_import",
         "{\"name\": \"add_import\", \"description\": \"add an import to a file\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"path\": {\"type\": \"string\"}, \"import\": {\"type\": \"string\"}}, "
         "\"required\": [\"path\", \"import\"]}}",
         {{"path", false, false}, {"import", false, false}}},
    [DR_TOOL_ADD_STATEMENT] =
        {"add_statement",
         "{\"name\": \"add_statement\", \"description\": \"add a statement at the start of a function\", \"parameters\": "
         "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"statement\": {\"type\": "
         "\"string\"}}, \"required\": [\"name\", \"statement\"]}}",
         {{"name", false, false}, {"statement", false, false}}},
};

const char *dr_tool_name(dr_tool_id id)
{
    return tools[id].name;
}

bool dr_tool_find(dr_tool_id *out, dr_str name)
{
    for (int i = 0; i < DR_N_TOOLS; i++)
        if (dr_str_eq(name, dr_str_of(tools[i].name))) {
            *out = (dr_tool_id)i;
            return true;
        }
    return false;
}

const char *dr_tool_schema(dr_tool_id id)
{
    return tools[id].schema;
}

bool dr_tool_edits(dr_tool_id id)
{
    return id == DR_TOOL_EDIT || id == DR_TOOL_RENAME || (id >= DR_TOOL_SET_VALUE && id <= DR_TOOL_ADD_STATEMENT);
}

bool dr_tool_describes(dr_tool_id id)
{
    return id == DR_TOOL_DESCRIBE || (id >= DR_TOOL_PARAMETERS && id <= DR_TOOL_COMMENT);
}

const dr_tool_arg *dr_tool_args(dr_tool_id id)
{
    return tools[id].args;
}

const char *dr_hole_name(dr_hole h)
{
    static const char *const names[DR_N_HOLES] = {
        [DR_HOLE_ENCLOSING] = "enclosing", [DR_HOLE_NAME] = "name",   [DR_HOLE_PARAMETERS] = "parameters",
        [DR_HOLE_RETURNS] = "returns",     [DR_HOLE_FIELDS] = "fields", [DR_HOLE_VALUE] = "value",
        [DR_HOLE_DOC] = "doc",             [DR_HOLE_SIGNATURE] = "signature", [DR_HOLE_IMPORT] = "import"};
    return names[h];
}

void dr_tool__begin_line(dr_tool_result *r)
{
    if (r->text.n)
        dr_buf_add(&r->text, "\n", 1);
}

dr_status dr_tool__add_place(dr_tool_result *r, dr_tool_id tool, uint32_t file, uint32_t line, dr_place **place, dr_error *err)
{
    /* Doubling at powers of two: the count alone says how much room there is. */
    if ((r->n_places & (r->n_places - 1)) == 0) {
        dr_place *grown = realloc(r->places, (r->n_places ? 2 * r->n_places : 1) * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        r->places = grown;
    }
    r->places[r->n_places] = (dr_place){.file = file, .line = line, .tool = tool};
    if (place)
        *place = &r->places[r->n_places];
    r->n_places++;
    return DR_OK;
}

dr_status dr_tool__set_hole(dr_tool_result *r, dr_place *place, dr_hole hole, dr_str text, dr_error *err)
{
    char *copy = NULL;
    if (!text.n)
        return DR_OK;
    if ((!r->storage && !(r->storage = dr_arena_new(1024))) || !(copy = dr_arena_take(r->storage, text.n)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    memcpy(copy, text.s, text.n);
    place->hole[hole] = (dr_str){copy, text.n};
    return DR_OK;
}

void dr_tool__add_more(dr_tool_result *r, uint64_t n_left_out)
{
    r->n_left_out = n_left_out;
    if (n_left_out) {
        dr_tool__begin_line(r);
        dr_buf_printf(&r->text, "and %llu more", (unsigned long long)n_left_out);
    }
}

void dr_tool__add_str(dr_buf *b, dr_str s)
{
    dr_buf_add(b, s.s, s.n);
}

void dr_tool__nothing(dr_tool_result *r, const char *what, dr_str name)
{
    r->outcome = DR_TOOL_NOTHING;
    dr_buf_str(&r->text, what);
    dr_buf_add(&r->text, " ", 1);
    dr_tool__add_str(&r->text, name);
}

void dr_tool__wrong(dr_tool_result *r, const char *text)
{
    r->outcome = DR_TOOL_WRONG;
    r->failed = true;
    dr_buf_str(&r->text, text);
}

dr_str dr_tool__text(dr_tool_reader *r, size_t file)
{
    if (!r->loaded || r->file != file) {
        r->file = file;
        r->loaded = true;
        if (dr_repo_read(r->w->repo, file, &r->text, NULL) != DR_OK)
            dr_buf_clear(&r->text); /* changed on disk since the snapshot: its lines have no text to show */
    }
    return dr_buf_view(&r->text);
}

void dr_tool__add_excerpt(dr_buf *out, dr_tool_reader *r, size_t file, uint32_t line)
{
    dr_text_excerpt(out, dr_text_line_at(dr_tool__text(r, file), line), (size_t)r->w->result_columns);
}

static dr_status grep(dr_tool_result *r, const dr_workspace *w, dr_str pattern, dr_error *err)
{
    dr_grep_result found = {0};
    dr_error inner = {0};
    const dr_grep_options opt = {.max_hits = (size_t)w->result_lines, .pool = w->pool, .cancel = w->cancel};
    dr_status st = DR_OK;

    if (pattern.n > MAX_PATTERN) {
        dr_tool__wrong(r, "");
        dr_buf_printf(&r->text, "the pattern is longer than %d bytes", MAX_PATTERN);
        return DR_OK;
    }
    st = dr_grep(&found, w->repo, pattern, &opt, &inner);
    if (st == DR_ERR_ARG) {
        dr_tool__wrong(r, inner.msg);
        return DR_OK;
    }
    if (st != DR_OK)
        return dr_fail(err, st, "%s", inner.msg);
    for (size_t i = 0; i < found.n_hits && st == DR_OK; i++) {
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_tool__path(w, found.hits[i].file));
        dr_buf_printf(&r->text, ":%u: ", found.hits[i].line);
        dr_text_excerpt(&r->text, found.hits[i].text, (size_t)w->result_columns);
        st = dr_tool__add_place(r, DR_TOOL_GREP, found.hits[i].file, found.hits[i].line, NULL, err);
    }
    dr_tool__add_more(r, found.n_total - found.n_hits);
    if (found.n_hits == 0)
        dr_tool__nothing(r, "no match for", pattern);
    if (found.incomplete)
        dr_buf_str(&r->text, "\nsearch incomplete: time ran out or a file could not be read");
    dr_grep_result_fini(&found);
    return st;
}

/* The arguments by the tool's own list. False: the result says what is wrong with them. */
static bool take_arguments(dr_tool_result *r, dr_tool_id id, const json_t *args, dr_str text[DR_TOOL_ARGS], int64_t number[DR_TOOL_ARGS])
{
    for (int i = 0; i < DR_TOOL_ARGS && tools[id].args[i].name; i++) {
        const dr_tool_arg *want = &tools[id].args[i];
        const json_t *v = json_object_get(args, want->name);
        const bool fits = want->integer ? json_is_integer(v) : json_is_string(v);
        if (!fits || (json_is_string(v) && json_string_length(v) == 0 && !want->may_be_empty)) {
            dr_tool__wrong(r, "");
            dr_buf_printf(&r->text, "%s needs \"%s\", a %s", tools[id].name, want->name, want->integer ? "whole number" : "text");
            return false;
        }
        if (want->integer)
            number[i] = json_integer_value(v);
        else
            text[i] = (dr_str){json_string_value(v), json_string_length(v)};
    }
    return true;
}

static dr_status run(dr_tool_result *out, const dr_workspace *w, const dr_str text[DR_TOOL_ARGS], const int64_t number[DR_TOOL_ARGS], dr_error *err)
{
    dr_tool__add_str(&out->subject, text[0]);
    dr_tool__add_str(&out->object, text[1]);
    switch (out->tool) {
    case DR_TOOL_FIND_SYMBOL:
    case DR_TOOL_FIND_SYMBOL_IN: return dr_tool__find_symbol(out, w, text[0], text[1], err);
    case DR_TOOL_FIND_REFS:
    case DR_TOOL_CALL_SITES: return dr_tool__find_refs(out, w, text[0], err);
    case DR_TOOL_DESCRIBE:
    case DR_TOOL_PARAMETERS:
    case DR_TOOL_RETURNS:
    case DR_TOOL_FIELDS:
    case DR_TOOL_VALUE:
    case DR_TOOL_COMMENT: return dr_tool__describe(out, w, text[0], err);
    case DR_TOOL_CALLS: return dr_tool__calls(out, w, text[0], text[1], err);
    case DR_TOOL_FIND_FILE: return dr_tool__find_file(out, w, text[0], err);
    case DR_TOOL_OUTLINE: return dr_tool__outline(out, w, text[0], err);
    case DR_TOOL_IMPORTS: return dr_tool__imports(out, w, text[0], err);
    case DR_TOOL_IMPORTERS: return dr_tool__importers(out, w, text[0], err);
    case DR_TOOL_GREP: return grep(out, w, text[0], err);
    case DR_TOOL_READ: return dr_tool__read(out, w, text[0], number[1], err);
    case DR_TOOL_EDIT: return dr_tool__edit(out, w, text[0], text[1], text[2], err);
    case DR_TOOL_RENAME: return dr_tool__rename(out, w, text[0], text[1], text[2], err);
    case DR_TOOL_CALLEES: return dr_tool__callees(out, w, text[0], err);
    case DR_TOOL_CHANGES: return dr_tool__changes(out, w, text[0], err);
    case DR_TOOL_KNOWN: dr_known_write(&out->text, w, text[0]); return DR_OK;
    case DR_TOOL_SET_VALUE: return dr_tool__set_value(out, w, text[0], text[1], err);
    case DR_TOOL_RENAME_EVERYWHERE: return dr_tool__rename_everywhere(out, w, text[0], text[1], err);
    case DR_TOOL_ADD_IMPORT: return dr_tool__add_import(out, w, text[0], text[1], err);
    case DR_TOOL_ADD_STATEMENT: return dr_tool__add_statement(out, w, text[0], text[1], err);
    case DR_N_TOOLS: break;
    }
    return DR_OK;
}

/* How many of the first arguments are names that are looked up. */
static int n_names(dr_tool_id id)
{
    switch (id) {
    case DR_TOOL_CALLS: return 2;
    case DR_TOOL_FIND_SYMBOL:
    case DR_TOOL_FIND_SYMBOL_IN:
    case DR_TOOL_FIND_REFS:
    case DR_TOOL_CALL_SITES:
    case DR_TOOL_CALLEES:
    case DR_TOOL_SET_VALUE:
    case DR_TOOL_RENAME_EVERYWHERE:
    case DR_TOOL_ADD_STATEMENT: return 1;
    default: return dr_tool_describes(id);
    }
}

static bool same_but_case(dr_str a, dr_str b)
{
    return a.n == b.n && strncasecmp(a.s, b.s, a.n) == 0;
}

/* Those that are equal but for case come first among the similar ones. */
bool dr_tool__in_other_case(dr_str *real, const dr_symbols *symbols, dr_str name)
{
    const dr_sym_def *defs;
    dr_str similar[DR_MAX_SIMILAR];
    const size_t n = dr_symbols_find(symbols, name, &defs) ? 0 : dr_symbols_similar(symbols, name, similar);

    if (n == 0 || !same_but_case(similar[0], name) || (n > 1 && same_but_case(similar[1], name)))
        return false;
    *real = similar[0];
    return true;
}

/* Runs the call; where nothing is found by a name as it is written, with that name in its own case, or with the last part of a qualified one.
 * Searching for a word as it is written thus goes first: strcpy is called that, whatever else is defined. */
static dr_status run_as_meant(dr_tool_result *out, const dr_workspace *w, dr_str text[DR_TOOL_ARGS], const int64_t number[DR_TOOL_ARGS], dr_error *err)
{
    dr_status st = run(out, w, text, number, err);
    dr_buf said = {0};
    dr_str place = {"", 0};

    for (int i = 0; i < n_names(out->tool) && st == DR_OK && (out->outcome == DR_TOOL_NO_SYMBOL || out->outcome == DR_TOOL_NOTHING); i++) {
        const dr_tool_id tool = out->tool;
        dr_str real, qualifier = {"", 0};
        if (!dr_tool__in_other_case(&real, w->symbols, text[i]) && !dr_tool__qualified(&qualifier, &real, w, text[i]))
            continue;
        if (qualifier.n && dr_tool_edits(tool) && !dr_tool__lie_all_there(w, qualifier, real)) {
            out->outcome = DR_TOOL_REFUSED;
            dr_buf_clear(&out->text);
            dr_tool__add_str(&out->text, text[i]);
            dr_buf_str(&out->text, " is one of several definitions of ");
            dr_tool__add_str(&out->text, real);
            dr_buf_str(&out->text, ", which edits do not tell apart");
            break;
        }
        dr_tool__add_str(&said, text[i]);
        dr_buf_str(&said, " is named ");
        dr_tool__add_str(&said, real);
        dr_buf_str(&said, ":\n");
        text[i] = real;
        dr_tool_result_fini(out);
        out->tool = tool;
        out->qualifier = place = i == 0 ? qualifier : place;
        st = run(out, w, text, number, err);
        out->qualifier = (dr_str){"", 0}; /* it borrows the arguments */
    }
    if (said.n) {
        dr_tool__add_str(&said, dr_buf_view(&out->text));
        said.failed |= out->text.failed;
        dr_buf_free(&out->text);
        out->text = said;
    }
    return st;
}

dr_status dr_tool_run(dr_tool_result *out, const dr_workspace *w, dr_str name, dr_str arguments, dr_error *err)
{
    dr_status st = DR_OK;
    json_t *args = NULL;
    dr_str text[DR_TOOL_ARGS] = {{0}};
    int64_t number[DR_TOOL_ARGS] = {0};

    *out = (dr_tool_result){.tool = DR_N_TOOLS};
    if (!dr_tool_find(&out->tool, name)) {
        dr_tool__wrong(out, "no tool named ");
        dr_tool__add_str(&out->text, name);
        goto done;
    }
    if (!(args = json_loadb(arguments.s, arguments.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)) || !json_is_object(args)) {
        dr_tool__wrong(out, "the arguments are not a JSON object");
        goto done;
    }
    if (take_arguments(out, out->tool, args, text, number))
        st = run_as_meant(out, w, text, number, err);
done:
    json_decref(args);
    if (st == DR_OK && (out->text.failed || out->subject.failed || out->object.failed))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    return st;
}

void dr_tool_result_fini(dr_tool_result *r)
{
    dr_buf_free(&r->text);
    dr_buf_free(&r->subject);
    dr_buf_free(&r->object);
    free(r->places);
    dr_arena_free(r->storage);
    *r = (dr_tool_result){0};
}
