#include "app/tools.h"

#include "app/tools_parts.h"
#include "repo/grep.h"
#include "repo/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { READ_LINES = 12, READ_BEFORE = 2, MAX_PATTERN = 1000 };

typedef struct tool_entry {
    const char *name, *schema;
    dr_tool_arg args[DR_TOOL_ARGS];
} tool_entry;

static const tool_entry tools[DR_N_TOOLS] = {
    [DR_TOOL_FIND_SYMBOL] =
        {"find_symbol",
         "{\"name\": \"find_symbol\", \"description\": \"where a name is defined\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false}}},
    [DR_TOOL_FIND_REFS] =
        {"find_refs",
         "{\"name\": \"find_refs\", \"description\": \"where a name is used\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false}}},
    [DR_TOOL_GREP] =
        {"grep",
         "{\"name\": \"grep\", \"description\": \"lines that match a pattern\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"pattern\": {\"type\": \"string\"}}, \"required\": [\"pattern\"]}}",
         {{"pattern", false}}},
    [DR_TOOL_READ] =
        {"read",
         "{\"name\": \"read\", \"description\": \"lines of a file\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"path\": {\"type\": \"string\"}, \"line\": {\"type\": \"integer\"}}, \"required\": [\"path\", "
         "\"line\"]}}",
         {{"path", false}, {"line", true}}},
    [DR_TOOL_OUTLINE] =
        {"outline",
         "{\"name\": \"outline\", \"description\": \"what a file defines\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"path\": {\"type\": \"string\"}}, \"required\": [\"path\"]}}",
         {{"path", false}}},
    [DR_TOOL_IMPORTS] =
        {"imports",
         "{\"name\": \"imports\", \"description\": \"what a file imports and what imports it\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"path\": {\"type\": \"string\"}}, \"required\": [\"path\"]}}",
         {{"path", false}}},
    [DR_TOOL_CALLEES] =
        {"callees",
         "{\"name\": \"callees\", \"description\": \"what a definition calls\", \"parameters\": {\"type\": \"object\", "
         "\"properties\": {\"name\": {\"type\": \"string\"}}, \"required\": [\"name\"]}}",
         {{"name", false}}},
    [DR_TOOL_CHANGES] =
        {"changes",
         "{\"name\": \"changes\", \"description\": \"which definitions changed between two commits\", \"parameters\": {\"type\": "
         "\"object\", \"properties\": {\"range\": {\"type\": \"string\"}}, \"required\": [\"range\"]}}",
         {{"range", false}}},
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

const dr_tool_arg *dr_tool_args(dr_tool_id id)
{
    return tools[id].args;
}

void dr_tool__begin_line(dr_tool_result *r)
{
    if (r->text.n)
        dr_buf_add(&r->text, "\n", 1);
}

dr_status dr_tool__add_place(dr_tool_result *r, dr_tool_id tool, uint32_t file, uint32_t line, dr_str enclosing, dr_error *err)
{
    dr_place *grown = realloc(r->places, (r->n_places + 1) * sizeof *grown);
    if (!grown)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    r->places = grown;
    r->places[r->n_places++] = (dr_place){.file = file, .line = line, .tool = tool, .enclosing = enclosing};
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

/* The text of one line of a file, read once for a run of lines of the same file. */
typedef struct reader {
    const dr_workspace *w;
    dr_buf text;
    size_t file;
    bool loaded;
} reader;

static void add_excerpt(dr_buf *out, reader *r, uint32_t file, uint32_t line)
{
    if (!r->loaded || r->file != file) {
        r->file = file;
        r->loaded = true;
        if (dr_repo_read(r->w->repo, file, &r->text, NULL) != DR_OK)
            dr_buf_clear(&r->text); /* changed on disk since the snapshot: the line has no text to show */
    }
    dr_text_excerpt(out, dr_text_line_at(dr_buf_view(&r->text), line), (size_t)r->w->result_columns);
}

void dr_tool__no_symbol(dr_tool_result *r, const dr_symbols *symbols, dr_str name)
{
    dr_str like[5];
    const size_t n_like = dr_symbols_similar(symbols, name, like);
    dr_buf_str(&r->text, "no symbol named ");
    dr_tool__add_str(&r->text, name);
    for (size_t i = 0; i < n_like; i++) {
        dr_buf_str(&r->text, i ? ", " : "\nsimilar: ");
        dr_tool__add_str(&r->text, like[i]);
    }
}

static dr_status find_symbol(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs = NULL;
    const size_t n = dr_symbols_find(w->symbols, name, &defs);
    const size_t shown = n < (size_t)w->result_lines ? n : (size_t)w->result_lines;
    reader read = {.w = w};

    if (n == 0) {
        dr_tool__no_symbol(r, w->symbols, name);
        return DR_OK;
    }
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_repo_file_at(w->repo, defs[i].file)->path);
        dr_buf_printf(&r->text, ":%u: %s ", defs[i].line, dr_sym_kind_name((dr_sym_kind)defs[i].kind));
        add_excerpt(&r->text, &read, defs[i].file, defs[i].line);
        st = dr_tool__add_place(r, DR_TOOL_FIND_SYMBOL, defs[i].file, defs[i].line, DR_STR(""), err);
        if (st == DR_OK)
            r->places[i].declaration = defs[i].kind == DR_SYM_PROTOTYPE;
    }
    dr_tool__add_more(r, n - shown);
    dr_buf_free(&read.text);
    return st;
}

static dr_status find_refs(dr_tool_result *r, const dr_workspace *w, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_ref *refs = NULL;
    const size_t n = dr_symbols_refs(w->symbols, name, &refs);
    const size_t shown = n < (size_t)w->result_lines ? n : (size_t)w->result_lines;
    size_t n_names;
    const dr_str *names = dr_symbols_names(w->symbols, &n_names);
    reader read = {.w = w};

    if (n == 0) {
        dr_buf_str(&r->text, "no references to ");
        dr_tool__add_str(&r->text, name);
        return DR_OK;
    }
    for (size_t i = 0; i < shown && st == DR_OK; i++) {
        const dr_sym_def *around = dr_symbols_enclosing(w->symbols, refs[i].file, refs[i].line);
        const dr_str enclosing = around ? names[around->name] : DR_STR("(top level)");
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_repo_file_at(w->repo, refs[i].file)->path);
        dr_buf_printf(&r->text, ":%u: %s in ", (unsigned)refs[i].line, refs[i].is_call ? "call" : "use");
        dr_tool__add_str(&r->text, enclosing);
        dr_buf_str(&r->text, ": ");
        add_excerpt(&r->text, &read, refs[i].file, refs[i].line);
        st = dr_tool__add_place(r, DR_TOOL_FIND_REFS, refs[i].file, refs[i].line, enclosing, err);
    }
    dr_tool__add_more(r, n - shown);
    dr_buf_free(&read.text);
    return st;
}

static dr_status grep(dr_tool_result *r, const dr_workspace *w, dr_str pattern, dr_error *err)
{
    dr_grep_result found = {0};
    dr_error inner = {0};
    const dr_grep_options opt = {.max_hits = (size_t)w->result_lines, .pool = w->pool, .cancel = w->cancel};
    dr_status st = DR_OK;

    if (pattern.n > MAX_PATTERN) {
        dr_buf_printf(&r->text, "the pattern is longer than %d bytes", MAX_PATTERN);
        r->failed = true;
        return DR_OK;
    }
    st = dr_grep(&found, w->repo, pattern, &opt, &inner);
    if (st == DR_ERR_ARG) {
        dr_buf_str(&r->text, inner.msg);
        r->failed = true;
        return DR_OK;
    }
    if (st != DR_OK)
        return dr_fail(err, st, "%s", inner.msg);
    for (size_t i = 0; i < found.n_hits && st == DR_OK; i++) {
        dr_tool__begin_line(r);
        dr_tool__add_str(&r->text, dr_repo_file_at(w->repo, found.hits[i].file)->path);
        dr_buf_printf(&r->text, ":%u: ", found.hits[i].line);
        dr_text_excerpt(&r->text, found.hits[i].text, (size_t)w->result_columns);
        st = dr_tool__add_place(r, DR_TOOL_GREP, found.hits[i].file, found.hits[i].line, DR_STR(""), err);
    }
    dr_tool__add_more(r, found.n_total - found.n_hits);
    if (found.n_hits == 0) {
        dr_buf_str(&r->text, "no match for ");
        dr_tool__add_str(&r->text, pattern);
    }
    if (found.incomplete)
        dr_buf_str(&r->text, "\nsearch incomplete: time ran out or a file could not be read");
    dr_grep_result_fini(&found);
    return st;
}

static dr_status read_lines(dr_tool_result *r, const dr_workspace *w, dr_str path, int64_t line, dr_error *err)
{
    dr_status st = DR_OK;
    size_t file;
    dr_buf text = {0};
    dr_error inner = {0};

    if (!dr_repo_find(w->repo, path, &file)) {
        dr_buf_str(&r->text, "no file named ");
        dr_tool__add_str(&r->text, path);
        return DR_OK;
    }
    if ((st = dr_repo_read(w->repo, file, &text, &inner)) != DR_OK) {
        dr_buf_str(&r->text, inner.msg);
        r->failed = true;
        st = st == DR_ERR_NOMEM ? dr_fail(err, st, "%s", inner.msg) : DR_OK;
        goto done;
    }
    const uint32_t n = dr_text_n_lines(dr_buf_view(&text));
    const int64_t first = line <= READ_BEFORE ? 1 : line > (int64_t)n + READ_BEFORE ? (int64_t)n + 1 : line - READ_BEFORE;
    for (int64_t at = first; at < first + READ_LINES && at <= n && st == DR_OK; at++) {
        dr_tool__begin_line(r);
        dr_buf_printf(&r->text, "%lld\t", (long long)at);
        dr_text_show(&r->text, dr_text_line_at(dr_buf_view(&text), (uint32_t)at), 400);
        st = dr_tool__add_place(r, DR_TOOL_READ, (uint32_t)file, (uint32_t)at, DR_STR(""), err);
    }
    if (first > n) {
        dr_tool__add_str(&r->text, path);
        dr_buf_printf(&r->text, " has %u lines", n);
    }
done:
    dr_buf_free(&text);
    return st;
}

dr_status dr_tool_run(dr_tool_result *out, const dr_workspace *w, dr_str name, dr_str arguments, dr_error *err)
{
    dr_status st = DR_OK;
    dr_tool_id id;
    json_t *args = NULL;
    dr_str text[DR_TOOL_ARGS] = {{0}};
    int64_t number[DR_TOOL_ARGS] = {0};

    *out = (dr_tool_result){0};
    if (!dr_tool_find(&id, name)) {
        out->failed = true;
        dr_buf_str(&out->text, "no tool named ");
        dr_tool__add_str(&out->text, name);
        goto done;
    }
    if (!(args = json_loadb(arguments.s, arguments.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)) ||
        !json_is_object(args)) {
        out->failed = true;
        dr_buf_str(&out->text, "the arguments are not a JSON object");
        goto done;
    }
    for (int i = 0; i < DR_TOOL_ARGS && tools[id].args[i].name; i++) {
        const json_t *v = json_object_get(args, tools[id].args[i].name);
        const bool fits = tools[id].args[i].integer ? json_is_integer(v) : json_is_string(v);
        if (!fits || (json_is_string(v) && json_string_length(v) == 0)) {
            out->failed = true;
            dr_buf_printf(&out->text, "%s needs \"%s\", a %s", tools[id].name, tools[id].args[i].name,
                          tools[id].args[i].integer ? "whole number" : "text");
            goto done;
        }
        if (tools[id].args[i].integer)
            number[i] = json_integer_value(v);
        else
            text[i] = (dr_str){json_string_value(v), json_string_length(v)};
    }
    dr_tool__add_str(&out->subject, text[0]);
    switch (id) {
    case DR_TOOL_FIND_SYMBOL: st = find_symbol(out, w, text[0], err); break;
    case DR_TOOL_FIND_REFS: st = find_refs(out, w, text[0], err); break;
    case DR_TOOL_GREP: st = grep(out, w, text[0], err); break;
    case DR_TOOL_READ: st = read_lines(out, w, text[0], number[1], err); break;
    case DR_TOOL_OUTLINE: st = dr_tool__outline(out, w, text[0], err); break;
    case DR_TOOL_IMPORTS: st = dr_tool__imports(out, w, text[0], err); break;
    case DR_TOOL_CALLEES: st = dr_tool__callees(out, w, text[0], err); break;
    case DR_TOOL_CHANGES: st = dr_tool__changes(out, w, text[0], err); break;
    case DR_N_TOOLS: break;
    }
done:
    json_decref(args);
    if (st == DR_OK && (out->text.failed || out->subject.failed))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    return st;
}

void dr_tool_result_fini(dr_tool_result *r)
{
    dr_buf_free(&r->text);
    dr_buf_free(&r->subject);
    free(r->places);
    *r = (dr_tool_result){0};
}
