/* app/turn_prompt.c: what stands before the first sampled token, most of it the same for every question. */
#include "app/known.h"
#include "app/turn_parts.h"

#include <stdlib.h>
#include <string.h>

/* The roster as the dialect wants it: a JSON array of {"type": "function", "function": ...}. */
static void write_tools(dr_session *session)
{
    const dr_profile *p = &session->s->profile;
    dr_buf_str(&session->tools_json, "[");
    for (int i = 0; i < p->n_tools; i++) {
        dr_tool_id id;
        if (!dr_tool_find(&id, dr_str_of(p->tools[i])))
            continue;
        dr_buf_printf(&session->tools_json, "%s{\"type\": \"function\", \"function\": %s}", i ? ", " : "", dr_tool_schema(id));
    }
    dr_buf_str(&session->tools_json, "]");
}

static dr_message system_of(const dr_session *session)
{
    return (dr_message){.role = DR_SYSTEM,
                        .content = dr_buf_view(&session->instructions),
                        .tools = session->s->profile.n_tools ? dr_buf_view(&session->tools_json) : (dr_str){0}};
}

size_t dr_turn__opening(const dr_turn *t, dr_message out[DR_TURN_OPENING])
{
    size_t n = 0;
    out[n++] = system_of(t->session);
    if (t->known.n)
        out[n++] = (dr_message){.role = DR_REMINDER, .content = dr_buf_view(&t->known)};
    out[n++] = (dr_message){.role = DR_USER, .content = dr_str_of(t->question)};
    return n;
}

/* The longest timeline that a turn may have. */
static int64_t context_of(const dr_setup *s)
{
    const dr_config *c = dr_model_config(s->model);
    const int64_t wanted = s->opt->context ? s->opt->context : s->profile.context ? s->profile.context : c->max_context;
    return wanted < c->max_context ? wanted : c->max_context;
}

/* What the context leaves for a full pack beside instructions, a question and its reminder, the answer and the tools' results. The same for every
 * question: another budget would be another pack, and nothing of it could be restored. */
static dr_status room_for_pack(int64_t *room, const dr_session *session, dr_error *err)
{
    enum { QUESTION = 1024, BYTES_A_TOKEN = 3 /* of results: paths, names, punctuation */, REMINDER = DR_KNOWN_FUNCTION_BYTES / 2 };
    dr_status st = DR_OK;
    const dr_profile *p = &session->s->profile;
    const dr_render_options render = {.thinking = p->thinking, .effort = p->effort};
    const dr_workspace w = dr_setup_workspace(session->s);
    const dr_message messages[] = {system_of(session), {.role = DR_USER, .content = DR_STR("?")}};
    const int64_t results = (int64_t)p->max_calls * w.result_lines * w.result_columns / BYTES_A_TOKEN;
    dr_prompt prompt = {0};
    dr_ids ids = {0};

    if ((st = dr_dialect_render(session->s->dialect, &prompt, messages, 2, &render, err)) == DR_OK)
        st = dr_prompt_ids(&prompt, session->s->tokenizer, &ids, err);
    *room = session->most - (int64_t)ids.n - QUESTION - (p->known ? REMINDER : 0) - (int64_t)p->max_tokens - results;
    dr_prompt_free(&prompt);
    dr_ids_free(&ids);
    if (st == DR_OK && *room < DR_PACK_LEAST)
        return dr_fail(err, DR_ERR_LIMIT,
                       "a context of %lld tokens leaves no room for a full pack: give it less with --budget, or more with --context, "
                       "or choose --mode map",
                       (long long)session->most);
    return st;
}

/* Every function and method of the files that stand in the pack as they are. */
static dr_status reading_places(dr_session *session, dr_error *err)
{
    const dr_symbols *symbols = session->s->symbols;
    const dr_profile *p = &session->s->profile;
    const dr_symbols_stats *stats = dr_symbols_get_stats(symbols);
    size_t n_names, n = 0;
    const dr_str *names = dr_symbols_names(symbols, &n_names);
    bool asked = false;

    for (int i = 0; i < p->n_forms; i++)
        asked = asked || p->forms[i].check == DR_CHECK_READING;
    if (!asked || session->pack.mode != DR_PACK_FULL)
        return DR_OK;
    if (!(session->reading = calloc(stats->n_defs ? stats->n_defs : 1, sizeof *session->reading)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t f = 0; f < session->pack.n_files; f++) {
        const uint32_t *defs;
        const size_t n_defs = session->pack.files[f].how == DR_HOW_WHOLE ? dr_symbols_outline(symbols, f, &defs) : 0;
        for (size_t i = 0; i < n_defs; i++) {
            const dr_sym_def *d = dr_symbols_def(symbols, defs[i]);
            if (d->kind == DR_SYM_FUNCTION || d->kind == DR_SYM_METHOD)
                session->reading[n++] = (dr_place){.file = d->file, .line = d->line, .hole = {[DR_HOLE_NAME] = names[d->name]}};
        }
    }
    session->n_reading = n;
    return DR_OK;
}

dr_status dr_turn__prepare(dr_session *session, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup *s = session->s;
    int64_t budget = session->opt.budget;

    session->most = context_of(s);
    write_tools(session);
    dr_buf_printf(&session->instructions, "%s%s", session->opt.mode == DR_PACK_NONE ? "" : "\n\n", s->profile.instructions);
    if (session->tools_json.failed || session->instructions.failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (budget < 0 && (st = room_for_pack(&budget, session, err)) != DR_OK)
        return st;
    const dr_pack_options how = dr_setup_pack_options(s, session->opt.mode, budget);
    if ((st = dr_pack_build(&session->pack, s->repo, s->symbols, s->tokenizer, &how, err)) != DR_OK)
        return st;
    return reading_places(session, err);
}

/* The rendered system text opens with the instructions; the pack's ids, which stand for themselves (docs/pack.md), go in front of
 * them. */
dr_status dr_turn__prompt(dr_turn *t, dr_ids *ids, int64_t marks[DR_N_MARKS], dr_error *err)
{
    dr_status st = DR_OK;
    dr_session *session = t->session;
    dr_setup *s = session->s;
    const dr_pack *pack = &session->pack;
    dr_prompt prompt = {0};
    dr_message messages[DR_TURN_OPENING];
    const dr_render_options render = {.thinking = s->profile.thinking, .effort = s->profile.effort};

    if (s->profile.known) {
        const dr_workspace w = dr_setup_workspace(s);
        if (pack->mode == DR_PACK_FULL)
            dr_known_functions(&t->known, session->reading, session->n_reading);
        else
            dr_known_write(&t->known, &w, dr_str_of(t->question));
        if (t->known.failed) {
            st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
            goto done;
        }
    }
    if ((st = dr_dialect_render(s->dialect, &prompt, messages, dr_turn__opening(t, messages), &render, err)) != DR_OK)
        goto done;
    bool placed = false;
    for (size_t i = 0; i < prompt.n_segments; i++) {
        const dr_str text = {prompt.text.data + prompt.segments[i].at, prompt.segments[i].n};
        if (prompt.segments[i].control) {
            char name[64];
            (void)snprintf(name, sizeof name, "%.*s", (int)text.n, text.s);
            const int32_t id = dr_tokenizer_special(s->tokenizer, name);
            if (marks[DR_MARK_ROSTER] == 0 && (strcmp(name, "<｜User｜>") == 0 || strcmp(name, "<｜latest_reminder｜>") == 0))
                marks[DR_MARK_ROSTER] = (int64_t)ids->n;
            if (id < 0) {
                st = dr_fail(err, DR_ERR_FORMAT, "%s: the tokenizer has no token %s", s->model_dir, name);
                goto done;
            }
            dr_ids_add(ids, id);
            continue;
        }
        size_t head = 0; /* an effort text comes before the pack */
        if (!placed) {
            const char *at = memmem(text.s, text.n, session->instructions.data, session->instructions.n);
            head = at ? (size_t)(at - text.s) : 0;
            if (head && (st = dr_tokenizer_encode(s->tokenizer, ids, (dr_str){text.s, head}, false, err)) != DR_OK)
                goto done;
            marks[DR_MARK_BASE] = pack->n_base ? (int64_t)ids->n + pack->n_base : 0;
            /* The next commit's pack parts here, or at the base's end when there are no commits yet. */
            marks[DR_MARK_COMMITS] = marks[DR_MARK_BASE];
            for (size_t k = 0; k < pack->n_entries && *pack->entries[k].commit; k++)
                marks[DR_MARK_COMMITS] = (int64_t)ids->n + pack->entries[k].first + pack->entries[k].n;
            dr_ids_append(ids, pack->ids.v, pack->ids.n);
            marks[DR_MARK_PACK] = (int64_t)ids->n;
        }
        if ((st = dr_tokenizer_encode(s->tokenizer, ids, (dr_str){text.s + head, text.n - head}, false, err)) != DR_OK)
            goto done;
        placed = true;
    }
    if (ids->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_prompt_free(&prompt);
    return st;
}
