/* app/tool_command.c: `deepread tool NAME ARGUMENT...`: what the model would get to read.
 *
 * --batch reads one call a line, {"name": ..., "arguments": {...}}, and answers one line each, {"text": ..., "places": [[path, line],
 * ...]}; {"name": "symbols"} lists every defined name with its places, {"name": "files"} the paths of all files, {"name": "map"}
 * the pack in map mode (the training data is made of these). */
#include "app/app.h"
#include "app/edit.h"
#include "app/pack.h"
#include "app/setup.h"
#include "app/tools_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a sentence may quote of each place, or NULL when none has anything. */
static json_t *holes_json(const dr_tool_result *r)
{
    json_t *list = json_array();
    bool any = false;
    for (size_t i = 0; i < r->n_places; i++) {
        json_t *one = json_object();
        for (int h = 0; h < DR_N_HOLES; h++)
            if (r->places[i].hole[h].n) {
                json_object_set_new(one, dr_hole_name((dr_hole)h), dr_output_text(r->places[i].hole[h]));
                any = true;
            }
        json_array_append_new(list, one);
    }
    if (any)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *similar_json(const dr_tool_result *r)
{
    json_t *list = r->n_similar ? json_array() : NULL;
    for (size_t i = 0; i < r->n_similar; i++)
        json_array_append_new(list, dr_output_text(r->similar[i]));
    return list;
}

/* What the call staged, as a diff; NULL when it staged nothing. */
static json_t *diff_json(dr_edits *edits)
{
    dr_buf text = {0};
    json_t *out = dr_edits_diff(&text, edits, NULL) == DR_OK && text.n ? dr_output_text(dr_buf_view(&text)) : NULL;
    dr_buf_free(&text);
    return out;
}

static json_t *places_json(const dr_setup *s, const dr_tool_result *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_places; i++)
        json_array_append_new(list, json_pack("[o,I]", dr_output_text(dr_repo_file_at(s->repo, r->places[i].file)->path),
                                              (json_int_t)r->places[i].line));
    return list;
}

/* Every name: [name, number of uses, [[path, line, kind, what is around it or ""], ...]]. */
static json_t *symbols_json(const dr_setup *s)
{
    size_t n;
    const dr_str *names = dr_symbols_names(s->symbols, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const dr_sym_def *defs = NULL;
        const dr_sym_ref *refs = NULL;
        const size_t n_defs = dr_symbols_find(s->symbols, names[i], &defs);
        json_t *places = json_array();
        for (size_t j = 0; j < n_defs; j++)
            json_array_append_new(places, json_pack("[o,I,s,o]", dr_output_text(dr_repo_file_at(s->repo, defs[j].file)->path),
                                                    (json_int_t)defs[j].line, dr_sym_kind_name((dr_sym_kind)defs[j].kind),
                                                    dr_output_text(defs[j].container == DR_SYM_NONE ? DR_STR("") : names[defs[j].container])));
        json_array_append_new(list, json_pack("[o,I,o]", dr_output_text(names[i]),
                                              (json_int_t)dr_symbols_refs(s->symbols, names[i], &refs), places));
    }
    return list;
}

static json_t *files_json(const dr_setup *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < dr_repo_n_files(s->repo); i++)
        if (dr_tool__is_file(dr_repo_file_at(s->repo, i)))
            json_array_append_new(list, dr_output_text(dr_repo_file_at(s->repo, i)->path));
    return list;
}

static dr_status answer_line(dr_setup *s, const char *line, size_t n, int64_t number, dr_error *err)
{
    dr_status st = DR_OK;
    dr_tool_result r = {0};
    dr_pack pack = {0};
    char *args = NULL;
    json_error_t where;
    json_t *call = json_loadb(line, n, JSON_REJECT_DUPLICATES, &where), *reply = NULL;
    const char *name = json_string_value(json_object_get(call, "name"));
    dr_workspace w = dr_setup_workspace(s);

    if (!(w.edits = dr_edits_new(s->repo))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if (!name) {
        st = dr_fail(err, DR_ERR_FORMAT, "line %lld of the batch is not {\"name\": ..., \"arguments\": {...}}%s%s", (long long)number,
                     call ? "" : ": ", call ? "" : where.text);
        goto done;
    }
    if (strcmp(name, "symbols") == 0)
        reply = json_pack("{s:o}", "symbols", symbols_json(s));
    else if (strcmp(name, "files") == 0)
        reply = json_pack("{s:o}", "files", files_json(s));
    else if (strcmp(name, "map") == 0) {
        const dr_pack_options how = {
            .mode = DR_PACK_MAP, .budget = s->profile.pack_budget, .store = s->facts, .pool = s->pool};
        dr_buf map = {0};
        if ((st = dr_pack_build(&pack, s->repo, s->symbols, s->tokenizer, &how, err)) != DR_OK)
            goto done;
        dr_pack_text(&map, &pack, 0, (int64_t)pack.ids.n);
        reply = json_pack("{s:o}", "text", dr_output_text(dr_buf_view(&map)));
        dr_buf_free(&map);
    } else {
        args = json_dumps(json_object_get(call, "arguments"), JSON_COMPACT);
        if ((st = dr_tool_run(&r, &w, dr_str_of(name), dr_str_of(args ? args : "{}"), err)) != DR_OK)
            goto done;
        reply = json_pack("{s:o,s:b,s:o,s:o*,s:o*,s:o*}", "text", dr_output_text(dr_buf_view(&r.text)), "failed", r.failed, "places",
                          places_json(s, &r), "holes", holes_json(&r), "similar", similar_json(&r), "diff", diff_json(w.edits));
    }
    char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
    if (text)
        puts(text);
    else
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    free(text);
done:
    free(args);
    json_decref(call);
    json_decref(reply);
    dr_tool_result_fini(&r);
    dr_edits_free(w.edits);
    dr_pack_fini(&pack);
    return st;
}

static dr_status batch(dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    for (int64_t number = 1; st == DR_OK && (n = getline(&line, &cap, stdin)) > 0; number++)
        if (strspn(line, " \t\r\n") < (size_t)n)
            st = answer_line(s, line, (size_t)n, number, err);
    /* A signal ends the reading like an end of file, but is not one. */
    if (st == DR_OK && s->cancel && atomic_load(s->cancel))
        st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
    else if (st == DR_OK && ferror(stdin))
        st = dr_fail(err, DR_ERR_IO, "standard input: %s", strerror(errno));
    free(line);
    return st;
}

/* "path, line" or "caller and callee". */
static void name_arguments(dr_buf *out, const dr_tool_arg *want, int n)
{
    for (int i = 0; i < n; i++)
        dr_buf_printf(out, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", want[i].name);
}

static dr_status no_such_tool(dr_error *err)
{
    dr_buf names = {0};
    for (int i = 0; i < DR_N_TOOLS; i++)
        dr_buf_printf(&names, "%s%s", i ? ", " : "", dr_tool_name((dr_tool_id)i));
    const dr_status st = dr_fail(err, DR_ERR_ARG, "tool: name one of %s", names.failed ? "the tools" : names.data);
    dr_buf_free(&names);
    return st;
}

/* The words of the command line as the arguments of a call. */
static dr_status take_words(json_t *args, const dr_setup *s, dr_tool_id id, dr_error *err)
{
    const dr_options *opt = s->opt;
    const dr_tool_arg *want = dr_tool_args(id);
    int n_args = 0;

    while (n_args < DR_TOOL_ARGS && want[n_args].name)
        n_args++;
    if (opt->n_words != 1 + n_args) {
        dr_buf names = {0};
        name_arguments(&names, want, n_args);
        const dr_status st = dr_fail(err, DR_ERR_ARG, "tool %s takes %s", opt->words[0], names.failed ? "other arguments" : names.data);
        dr_buf_free(&names);
        return st;
    }
    for (int i = 0; i < n_args; i++) {
        const char *word = opt->words[i + 1];
        char *end = NULL;
        errno = 0;
        const long long whole = want[i].integer ? strtoll(word, &end, 10) : 0;
        if (want[i].integer && (errno || end == word || *end))
            return dr_fail(err, DR_ERR_ARG, "tool %s: %s is a whole number, not \"%s\"", opt->words[0], want[i].name, word);
        dr_buf path = {0};
        if (strcmp(want[i].name, "path") == 0 && dr_setup_path(&path, s, word, NULL) == DR_OK)
            word = path.data;
        json_object_set_new(args, want[i].name, want[i].integer ? json_integer(whole) : dr_output_text(dr_str_of(word)));
        dr_buf_free(&path);
    }
    return DR_OK;
}

/* One call from the words of the command line. A list is longer for a person than for a model, where nothing else changes by it. */
static dr_status one(dr_setup *s, const dr_options *opt, dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    dr_tool_id id;
    json_t *args = json_object();
    char *text = NULL;
    dr_tool_result r = {0};
    dr_buf diff = {0};
    dr_workspace w = dr_setup_workspace(s);

    if (opt->n_words < 1 || !dr_tool_find(&id, dr_str_of(opt->words[0]))) {
        st = no_such_tool(err);
        goto done;
    }
    if ((st = take_words(args, s, id, err)) != DR_OK)
        goto done;
    if (id == DR_TOOL_OUTLINE || id == DR_TOOL_IMPORTS || id == DR_TOOL_IMPORTERS || id == DR_TOOL_FIND_FILE) {
        w.result_lines = 2000;
        w.result_columns = 160;
    }
    if (!(w.edits = dr_edits_new(s->repo)) || !(text = json_dumps(args, JSON_COMPACT))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_tool_run(&r, &w, dr_str_of(opt->words[0]), dr_str_of(text), err)) != DR_OK ||
        (st = dr_edits_diff(&diff, w.edits, err)) != DR_OK)
        goto done;
    if (out->json)
        dr_output_event(out, json_pack("{s:s,s:s,s:o,s:b,s:o,s:o*}", "type", "tool_result", "name", opt->words[0], "text",
                                       dr_output_text(dr_buf_view(&r.text)), "failed", r.failed, "places", places_json(s, &r), "diff",
                                       diff.n ? dr_output_text(dr_buf_view(&diff)) : NULL));
    else {
        printf("%s\n", r.text.data ? r.text.data : "");
        dr_output_diff(dr_buf_view(&diff));
    }
    if (r.failed)
        st = dr_fail(err, DR_ERR_ARG, "tool %s: the call was wrong", opt->words[0]);
done:
    free(text);
    json_decref(args);
    dr_buf_free(&diff);
    dr_tool_result_fini(&r);
    dr_edits_free(w.edits);
    return st;
}

dr_outcome dr_command_tool(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;

    dr_setup_init(&s, opt, out, cancel);
    if (opt->batch && opt->n_words)
        st = dr_fail(err, DR_ERR_ARG, "tool --batch reads its calls from standard input: leave out \"%s\"", opt->words[0]);
    else if ((st = dr_setup_model_files(&s, err)) == DR_OK && (st = dr_setup_repo(&s, err)) == DR_OK)
        st = opt->batch ? batch(&s, err) : one(&s, opt, out, err);
    dr_setup_fini(&s);
    return dr_outcome_of(st);
}
