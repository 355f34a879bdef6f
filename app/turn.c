#include "app/turn.h"

#include "app/turn_parts.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* ---- sampling ---- */

/* constraint: behind the last of them; NULL without the grammar. */
static dr_status feed_pending(dr_turn *t, const dr_constraint *constraint, dr_error *err)
{
    dr_session *session = t->session;
    dr_setup *s = t->s;
    dr_status st;
    if (t->pending.failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (t->pending.n == 1 && session->opt.many)
        st = dr_speculation_step(t->speculation, t->pending.v[0], session->logits, constraint, s->tokenizer, s->cancel, err);
    else if (t->pending.n == 1)
        st = dr_prefix_step(session->prefix, t->speculation, t->pending.v[0], session->logits, constraint, s->tokenizer, s->cancel, err);
    else if (session->opt.many)
        st = dr_decoder_prefill(t->decoder, t->pending.v, (int64_t)t->pending.n, session->logits, s->cancel, err);
    else
        st = dr_prefix_feed(session->prefix, t->pending.v, (int64_t)t->pending.n, session->logits, s->cancel, err);
    t->pending.n = 0;
    return st;
}

dr_turn_context dr_turn__context(dr_turn *t, const dr_workspace *workspace)
{
    return (dr_turn_context){
        .profile = &t->s->profile,
        .tokenizer = t->s->tokenizer,
        .workspace = workspace,
        .words = &t->words,
        .eos_id = dr_model_config(t->s->model)->eos_id,
        .results = t->results,
        .n_results = t->n_results,
        .reading = t->session->reading,
        .n_reading = t->session->n_reading,
        .texts = t->texts,
        .may_call = t->answer->n_calls < t->s->profile.max_calls && t->n_results < DR_TURN_RESULTS,
    };
}

static dr_workspace workspace_of(const dr_turn *t)
{
    dr_workspace w = dr_setup_workspace(t->s);
    w.edits = t->edits;
    return w;
}

/* Samples one completion, EOS included, into text. *stopped is false when tokens ran out first. */
static dr_status sample(dr_turn *t, dr_buf *text, bool *stopped, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup *s = t->s;
    dr_turn_grammar grammar = {0};
    dr_constraint *constraint = NULL;
    const dr_workspace workspace = workspace_of(t);
    const dr_turn_context context = dr_turn__context(t, &workspace);

    *stopped = false;
    if (!t->session->opt.free && ((st = dr_turn_grammar_build(&grammar, &context, err)) != DR_OK ||
                                  (st = dr_constraint_new(&constraint, grammar.grammar, grammar.root, err)) != DR_OK))
        goto done;
    while (t->answer->n_decoded < s->profile.max_tokens) {
        int32_t id;
        if (t->pending.n && (st = feed_pending(t, constraint, err)) != DR_OK)
            goto done;
        if ((st = dr_sampler_pick(t->sampler, &id, t->session->logits, constraint, s->tokenizer, err)) != DR_OK ||
            (constraint && (st = dr_constraint_advance(constraint, s->tokenizer, id, err)) != DR_OK))
            goto done;
        const dr_str bytes = dr_tokenizer_bytes(s->tokenizer, id);
        dr_buf_add(text, bytes.s, bytes.n);
        dr_ids_add(&t->pending, id);
        t->answer->n_decoded++;
        if (id == context.eos_id) {
            *stopped = true;
            break;
        }
    }
    if (text->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_constraint_free(constraint);
    dr_turn_grammar_fini(&grammar);
    return st;
}

/* ---- tools ---- */

static void show_call(dr_turn *t, const dr_tool_call *call)
{
    json_t *args = json_loadb(call->arguments.s, call->arguments.n, 0, NULL);
    dr_output_event(t->s->out, json_pack("{s:s,s:o,s:o}", "type", "tool_call", "name", dr_output_text(call->name),
                                         "arguments", args ? args : dr_output_text(call->arguments)));
    dr_output_note(t->s->out, "%s %.*s %.*s", t->s->out->utf8 ? "\u25b8" : ">", (int)call->name.n, call->name.s,
                   (int)call->arguments.n, call->arguments.s);
}

static void show_result(dr_turn *t, const dr_tool_call *call, const dr_tool_result *r)
{
    dr_output_event(t->s->out, json_pack("{s:s,s:o,s:o,s:I,s:b}", "type", "tool_result", "name",
                                         dr_output_text(call->name), "text", dr_output_text(dr_buf_view(&r->text)), "left_out",
                                         (json_int_t)r->n_left_out, "failed", r->failed));
    if (t->s->out->verbose || r->outcome == DR_TOOL_REFUSED || (dr_tool_edits(r->tool) && r->outcome != DR_TOOL_DONE)) /* why it cannot be made is the answer */
        dr_output_note(t->s->out, "%s", r->text.n ? r->text.data : "");
}

/* A rename of one file leaves the name elsewhere as it is: said, for the code may not compile any more. */
static dr_status show_rest(dr_turn *t, const dr_tool_result *r, dr_error *err)
{
    const dr_symbols *symbols = t->s->symbols;
    const dr_str name = dr_buf_view(&r->object);
    const dr_sym_def *defs = NULL;
    const dr_sym_ref *refs = NULL;
    const size_t n_defs = dr_symbols_find(symbols, name, &defs), n_refs = dr_symbols_refs(symbols, name, &refs);
    size_t n = 0;

    if (r->tool != DR_TOOL_RENAME || r->outcome != DR_TOOL_DONE)
        return DR_OK;
    bool *seen = calloc(dr_repo_n_files(t->s->repo) + 1, sizeof *seen);
    if (!seen)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n_defs + n_refs; i++) {
        const uint32_t file = i < n_defs ? defs[i].file : refs[i - n_defs].file;
        n += !seen[file] && !dr_str_eq(dr_repo_file_at(t->s->repo, file)->path, r->path);
        seen[file] = true;
    }
    free(seen);
    if (n)
        dr_output_note(t->s->out, "%.*s stands in %zu other file%s too", (int)name.n, name.s, n, n == 1 ? "" : "s");
    return DR_OK;
}

/* Runs the calls of a completion and appends their results to the timeline. */
static dr_status run_calls(dr_turn *t, const dr_completion *c, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_workspace workspace = workspace_of(t);
    enum { MOST = 16 };
    const size_t n_calls = c->n_calls < MOST ? c->n_calls : MOST;
    dr_message messages[DR_TURN_OPENING + 1 + MOST];
    dr_prompt prompt = {0};
    size_t n = dr_turn__opening(t, messages);

    messages[n++] = (dr_message){.role = DR_ASSISTANT, .content = c->content, .calls = c->calls, .n_calls = n_calls};
    const dr_render_options render = {.thinking = t->s->profile.thinking, .effort = t->s->profile.effort, .n_context = n};

    for (size_t i = 0; i < n_calls && t->n_results < DR_TURN_RESULTS; i++) {
        dr_tool_id id;
        show_call(t, &c->calls[i]);
        if (!t->edits && dr_tool_find(&id, c->calls[i].name) && dr_tool_edits(id)) {
            t->ended = true;
            goto done;
        }
        dr_tool_result *r = &t->results[t->n_results++];
        if ((st = dr_tool_run(r, &workspace, c->calls[i].name, c->calls[i].arguments, err)) != DR_OK)
            goto done;
        show_result(t, &c->calls[i], r);
        if ((st = show_rest(t, r, err)) != DR_OK)
            goto done;
        t->answer->n_calls++;
        t->answer->n_malformed += r->failed;
        messages[n++] = (dr_message){.role = DR_TOOL, .content = dr_buf_view(&r->text), .tool_call_id = c->calls[i].id};
    }
    if ((st = dr_dialect_render(t->s->dialect, &prompt, messages, n, &render, err)) == DR_OK)
        st = dr_prompt_ids(&prompt, t->s->tokenizer, &t->pending, err);
done:
    dr_prompt_free(&prompt);
    return st;
}

/* ---- the turn ---- */

static void show_prefill(void *arg, int64_t done, int64_t total, uint64_t us)
{
    const dr_session *session = arg;
    char what[64] = "prefix";
    const int64_t written = dr_prefix_written(session->prefix);
    if (written)
        (void)snprintf(what, sizeof what, "prefix (%.1f MB stored)", (double)written * 1e-6);
    dr_output_progress(session->s->out, what, "tokens", done, total, us);
}

static void show_prefix(dr_turn *t)
{
    const dr_prefix_stat *p = &t->answer->prefix;
    char a[28], b[28], c[28];
    dr_output_progress_end(t->s->out);
    dr_output_event(t->s->out, json_pack("{s:s,s:I,s:I,s:I,s:f}", "type", "prefix", "tokens", (json_int_t)p->n_tokens,
                                         "restored", (json_int_t)p->n_restored, "computed", (json_int_t)p->n_computed,
                                         "seconds", (double)(p->restore_us + p->compute_us) * 1e-6));
    dr_output_note(t->s->out, "prefix: %s tokens, %s restored, %s computed at %lld tokens/s",
                   dr_output_count(a, p->n_tokens), dr_output_count(b, p->n_restored), dr_output_count(c, p->n_computed),
                   p->compute_us ? (long long)((uint64_t)p->n_computed * 1000000u / p->compute_us) : 0LL);
}

static void show_drafts(const dr_turn *t)
{
    const dr_speculation_stat d = dr_speculation_stats(t->speculation);
    if (t->s->out->verbose && d.n_drafted)
        dr_output_note(t->s->out, "drafts: %lld of %lld right, %lld tokens in %lld passes", (long long)d.n_accepted,
                       (long long)d.n_drafted, (long long)d.n_tokens, (long long)d.n_passes);
}

static dr_status too_long(const dr_session *session, int64_t n_prompt, dr_error *err)
{
    if (n_prompt + 1 <= session->most)
        return DR_OK;
    return dr_fail(err, DR_ERR_LIMIT,
                   "the prompt has %lld tokens, the context %lld: give the pack less with --budget or --mode map, or ask more shortly",
                   (long long)n_prompt, (long long)session->most);
}

/* Brings the turn's decoder to the prompt's end. Of many questions the first computes what all share, and each goes on from there in a fork. */
static dr_status run_prompt(dr_turn *t, const dr_ids *ids, const int64_t marks[DR_N_MARKS], dr_error *err)
{
    dr_status st = DR_OK;
    dr_session *session = t->session;
    dr_prefix_stat *stat = &t->answer->prefix;
    const int64_t n = (int64_t)ids->n, shared = marks[DR_MARK_ROSTER];

    if (!session->opt.many) {
        t->decoder = session->decoder;
        t->speculation = session->speculation;
        return dr_prefix_run(session->prefix, stat, session->logits, ids->v, n, marks, DR_N_MARKS, show_prefill, session, t->s->cancel, err);
    }
    if (session->n_shared == 0) {
        if ((st = dr_prefix_run(session->prefix, stat, session->logits, ids->v, shared, marks, DR_N_MARKS - 1, show_prefill, session,
                                t->s->cancel, err)) != DR_OK)
            return st;
        dr_prefix_turn_end(session->prefix);
        session->n_shared = shared;
    } else {
        stat->n_restored = shared;
    }
    if (shared != session->n_shared || memcmp(dr_decoder_tokens(session->decoder), ids->v, (size_t)shared * sizeof *ids->v) != 0)
        return dr_fail(err, DR_ERR_ARG, "the questions do not share a prefix");
    const uint64_t before = dr_clock_us();
    if ((st = dr_decoder_fork(&t->decoder, session->decoder, err)) == DR_OK &&
        (st = dr_speculation_new(&t->speculation, t->decoder, session->drafts, true, err)) == DR_OK)
        st = dr_decoder_prefill(t->decoder, ids->v + shared, n - shared, session->logits, t->s->cancel, err);
    stat->n_tokens = n;
    stat->n_computed += n - shared;
    stat->compute_us += dr_clock_us() - before;
    return st;
}

/* Of a name that was described, beside those that are told: declarations of a definition are no others. */
static size_t other_definitions(const dr_tool_result *r, size_t n_told)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_places; i++)
        n += !r->places[i].declaration || r->places[0].declaration;
    return n > n_told ? n - n_told : 0;
}

/* Bytes in front of a call that was cut, which is no answer, and of the newlines before it. */
static size_t before_call(dr_str text)
{
    const char *markup = memmem(text.s, text.n, "\n\n<｜DSML｜", strlen("\n\n<｜DSML｜"));
    const size_t n = markup ? (size_t)(markup - text.s) : text.n;
    return n >= 3 && memcmp(text.s + n - 3, "\n\n<", 3) == 0 ? n - 3 : n;
}

/* In quotes that no shell looks into. */
static void add_edit_command(dr_buf *text, const char *question)
{
    dr_buf_str(text, "That is an edit: `deepread edit '");
    for (const char *c = question; *c; c++)
        if (*c == '\'')
            dr_buf_str(text, "'\\''");
        else
            dr_buf_add(text, c, 1);
    dr_buf_str(text, "'` proposes it.");
}

/* Completions and calls, until one is the answer. */
static dr_status converse(dr_turn *t, dr_error *err)
{
    dr_status st = DR_OK;
    dr_answer *out = t->answer;
    dr_buf text = {0};
    dr_completion completion = {0};

    for (;;) {
        const uint64_t before = dr_clock_us();
        dr_buf_clear(&text);
        dr_completion_free(&completion);
        completion = (dr_completion){0};
        st = sample(t, &text, &out->complete, err);
        out->decode_us += dr_clock_us() - before;
        if (st != DR_OK || (st = dr_completion_parse(&completion, dr_buf_view(&text), t->s->profile.thinking, err)) != DR_OK)
            goto done;
        out->n_malformed += completion.malformed && out->complete;
        /* Without the grammar nothing keeps a model from calling on and on. */
        const bool spent = out->n_calls >= t->s->profile.max_calls || t->n_results >= DR_TURN_RESULTS;
        if (!out->complete || completion.n_calls == 0 || spent)
            break;
        if ((st = run_calls(t, &completion, err)) != DR_OK)
            goto done;
        if (t->ended)
            break;
    }
    if (t->ended)
        add_edit_command(&out->text, t->question);
    else
        dr_buf_add(&out->text, completion.content.s, out->complete ? completion.content.n : before_call(completion.content));
    const dr_tool_result *last = t->n_results ? &t->results[t->n_results - 1] : NULL;
    if (last)
        out->n_left_out = last->n_left_out;
    if (out->text.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    else if (t->ended)
        out->status = DR_ANSWER_DECLINED;
    else
        st = dr_turn__judge(t, err);
    if (st == DR_OK && out->status == DR_ANSWERED && last && dr_tool_describes(last->tool))
        out->n_left_out += other_definitions(last, out->citations.n);
done:
    dr_completion_free(&completion);
    dr_buf_free(&text);
    return st;
}

dr_status dr_session_ask(dr_session *session, dr_answer *out, const char *question, dr_edits *edits, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup *s = session->s;
    dr_turn *t = calloc(1, sizeof *t);
    dr_ids ids = {0};
    int64_t marks[DR_N_MARKS] = {0};
    dr_sampling how = s->profile.sampling;

    *out = (dr_answer){0};
    if (!t)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    t->session = session;
    t->s = s;
    t->answer = out;
    t->question = question;
    t->edits = edits;
    if (s->opt->seed >= 0)
        how.seed = (uint64_t)s->opt->seed;
    if (edits && !(t->texts = dr_turn_texts_new())) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_words_init(&t->words, dr_str_of(question), err)) != DR_OK ||
        (st = dr_sampler_new(&t->sampler, how, dr_model_config(s->model)->vocab, err)) != DR_OK ||
        (st = dr_turn__prompt(t, &ids, marks, err)) != DR_OK || (st = too_long(session, (int64_t)ids.n, err)) != DR_OK ||
        (st = run_prompt(t, &ids, marks, err)) != DR_OK)
        goto done;
    show_prefix(t);
    st = converse(t, err);
    show_drafts(t);
done:
    dr_output_progress_end(s->out);
    if (session->opt.many) {
        dr_speculation_free(t->speculation);
        dr_decoder_free(t->decoder);
    } else if (session->prefix) {
        dr_prefix_turn_end(session->prefix);
    }
    dr_ids_free(&ids);
    for (size_t i = 0; i < t->n_results; i++)
        dr_tool_result_fini(&t->results[i]);
    dr_ids_free(&t->pending);
    dr_buf_free(&t->known);
    dr_words_fini(&t->words);
    dr_turn_texts_free(t->texts);
    dr_sampler_free(t->sampler);
    free(t);
    return st;
}

void dr_answer_fini(dr_answer *a)
{
    dr_buf_free(&a->text);
    dr_citations_fini(&a->citations);
    *a = (dr_answer){0};
}

/* ---- the session ---- */

dr_status dr_session_open(dr_session **out, dr_setup *s, const dr_session_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    dr_session *session = calloc(1, sizeof *session);
    const dr_str root = dr_repo_identity(s->repo)->root;
    const uint64_t group = dr_xxh3_128(root.s, root.n).lo; /* purge knows the records by the repository's root */

    *out = NULL;
    if (!session)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    session->s = s;
    session->opt = *opt;
    session->drafts = s->opt->drafts >= 0 ? s->opt->drafts : s->profile.drafts;
    if ((st = dr_turn__prepare(session, err)) != DR_OK || (st = too_long(session, session->pack.n_tokens, err)) != DR_OK)
        goto done;
    if (!(session->logits = malloc((size_t)dr_model_config(s->model)->vocab * sizeof *session->logits))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_decoder_new(&session->decoder, s->model, s->queue, DR_TURN_CHUNK, session->most, err)) != DR_OK ||
        (st = dr_speculation_new(&session->speculation, session->decoder, session->drafts, true, err)) != DR_OK ||
        (st = dr_prefix_new(&session->prefix, s->cache, session->decoder, s->model, s->tokenizer, group, err)) != DR_OK)
        goto done;
    *out = session;
    session = NULL;
done:
    dr_output_progress_end(s->out);
    dr_session_close(session);
    return st;
}

void dr_session_close(dr_session *session)
{
    if (!session)
        return;
    if (session->prefix) {
        /* What goes wrong with the cache while writing is known late: told once, behind all else. */
        dr_prefix_finish(session->prefix);
        if (*dr_prefix_trouble(session->prefix))
            dr_output_warning(session->s->out, "cache: %s", dr_prefix_trouble(session->prefix));
    }
    dr_prefix_free(session->prefix);
    dr_speculation_free(session->speculation);
    dr_decoder_free(session->decoder);
    free(session->logits);
    free(session->reading);
    dr_pack_fini(&session->pack);
    dr_buf_free(&session->tools_json);
    dr_buf_free(&session->instructions);
    free(session);
}
