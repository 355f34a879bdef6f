#include "app/turn.h"

#include "app/pack.h"
#include "app/turn_grammar.h"
#include "base/log.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_CHUNK = 512, MAX_RESULTS = 64 };

typedef struct turn {
    dr_setup *s;
    dr_answer *answer;
    const char *question;
    dr_decoder *decoder;
    dr_prefix *prefix;
    dr_sampler *sampler;
    float *logits;  /* [vocab], of the last token in the decoder */
    dr_ids pending; /* sampled or rendered, not yet in the decoder */
    dr_words words;
    dr_str *paths;
    size_t n_paths;
    dr_buf tools_json;
    dr_buf instructions;
    dr_tool_result results[MAX_RESULTS];
    size_t n_results;
} turn;

/* ---- the prompt ---- */

/* The roster as the dialect wants it: a JSON array of {"type": "function", "function": ...}. */
static void write_tools(turn *t)
{
    dr_buf_str(&t->tools_json, "[");
    for (int i = 0; i < t->s->profile.n_tools; i++) {
        dr_tool_id id;
        if (!dr_tool_find(&id, dr_str_of(t->s->profile.tools[i])))
            continue;
        dr_buf_printf(&t->tools_json, "%s{\"type\": \"function\", \"function\": %s}", i ? ", " : "", dr_tool_schema(id));
    }
    dr_buf_str(&t->tools_json, "]");
}

static dr_message system_message(const turn *t)
{
    return (dr_message){.role = DR_SYSTEM,
                        .content = dr_buf_view(&t->instructions),
                        .tools = t->s->profile.n_tools ? dr_buf_view(&t->tools_json) : (dr_str){0}};
}

/* Where the prefix is worth an anchor: end of base, end of the pack, end of the roster. A base that no pack has is a mark at 0. */
enum { MARK_BASE, MARK_COMMITS, MARK_PACK, MARK_ROSTER, N_MARKS };

/* The longest timeline that this turn may have. */
static int64_t context_of(const dr_setup *s)
{
    const dr_config *c = dr_model_config(s->model);
    const int64_t wanted = s->opt->context ? s->opt->context : s->profile.context ? s->profile.context : c->max_context;
    return wanted < c->max_context ? wanted : c->max_context;
}

/* What the context leaves for a full pack beside instructions, a question, the answer and the tools' results. The same for every
 * question: another budget would be another pack, and nothing of it could be restored. */
static dr_status room_for_pack(int64_t *room, const turn *t, const dr_render_options *render, dr_error *err)
{
    enum { QUESTION = 1024, BYTES_A_TOKEN = 3 }; /* of results: paths, names, punctuation */
    dr_status st = DR_OK;
    const dr_profile *p = &t->s->profile;
    const dr_workspace w = dr_setup_workspace(t->s);
    const dr_message messages[] = {system_message(t), {.role = DR_USER, .content = DR_STR("?")}};
    const int64_t results = (int64_t)p->max_calls * w.result_lines * w.result_columns / BYTES_A_TOKEN;
    dr_prompt prompt = {0};
    dr_ids ids = {0};

    if ((st = dr_dialect_render(t->s->dialect, &prompt, messages, 2, render, err)) == DR_OK)
        st = dr_prompt_ids(&prompt, t->s->tokenizer, &ids, err);
    *room = context_of(t->s) - (int64_t)ids.n - QUESTION - (int64_t)p->max_tokens - results;
    dr_prompt_free(&prompt);
    dr_ids_free(&ids);
    if (st == DR_OK && *room < DR_PACK_LEAST)
        return dr_fail(err, DR_ERR_LIMIT,
                       "a context of %lld tokens leaves no room for a full pack: give it less with --budget, or more with --context, "
                       "or choose --mode map",
                       (long long)context_of(t->s));
    return st;
}

/* BOS, pack, instructions and roster, question. The rendered system text opens with the instructions; the pack's ids, which
 * stand for themselves (docs/pack.md), go in front of them. */
static dr_status build_prompt(turn *t, dr_ids *ids, int64_t marks[N_MARKS], dr_pack_mode mode, int64_t budget, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup *s = t->s;
    dr_pack pack = {0};
    dr_prompt prompt = {0};

    write_tools(t);
    dr_buf_printf(&t->instructions, "%s%s", mode == DR_PACK_NONE ? "" : "\n\n", s->profile.instructions);
    if (t->tools_json.failed || t->instructions.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    const dr_message messages[] = {system_message(t), {.role = DR_USER, .content = dr_str_of(t->question)}};
    const dr_render_options render = {.thinking = s->profile.thinking, .effort = s->profile.effort};
    if ((st = dr_dialect_render(s->dialect, &prompt, messages, 2, &render, err)) != DR_OK ||
        (budget < 0 && (st = room_for_pack(&budget, t, &render, err)) != DR_OK))
        goto done;
    const dr_pack_options how = dr_setup_pack_options(s, mode, budget);
    if ((st = dr_pack_build(&pack, s->repo, s->symbols, s->tokenizer, &how, err)) != DR_OK)
        goto done;

    bool placed = false;
    for (size_t i = 0; i < prompt.n_segments; i++) {
        const dr_str text = {prompt.text.data + prompt.segments[i].at, prompt.segments[i].n};
        if (prompt.segments[i].control) {
            char name[64];
            (void)snprintf(name, sizeof name, "%.*s", (int)text.n, text.s);
            const int32_t id = dr_tokenizer_special(s->tokenizer, name);
            if (marks[MARK_ROSTER] == 0 && strcmp(name, "<｜User｜>") == 0)
                marks[MARK_ROSTER] = (int64_t)ids->n;
            if (id < 0) {
                st = dr_fail(err, DR_ERR_FORMAT, "%s: the tokenizer has no token %s", s->model_dir, name);
                goto done;
            }
            dr_ids_add(ids, id);
            continue;
        }
        size_t head = 0; /* an effort text comes before the pack */
        if (!placed) {
            const char *at = memmem(text.s, text.n, t->instructions.data, t->instructions.n);
            head = at ? (size_t)(at - text.s) : 0;
            if (head && (st = dr_tokenizer_encode(s->tokenizer, ids, (dr_str){text.s, head}, false, err)) != DR_OK)
                goto done;
            marks[MARK_BASE] = pack.n_base ? (int64_t)ids->n + pack.n_base : 0;
            /* The next commit's pack parts here, or at the base's end when there are no commits yet. */
            marks[MARK_COMMITS] = marks[MARK_BASE];
            for (size_t k = 0; k < pack.n_entries && *pack.entries[k].commit; k++)
                marks[MARK_COMMITS] = (int64_t)ids->n + pack.entries[k].first + pack.entries[k].n;
            dr_ids_append(ids, pack.ids.v, pack.ids.n);
            marks[MARK_PACK] = (int64_t)ids->n;
        }
        if ((st = dr_tokenizer_encode(s->tokenizer, ids, (dr_str){text.s + head, text.n - head}, false, err)) != DR_OK)
            goto done;
        placed = true;
    }
    if (ids->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_prompt_free(&prompt);
    dr_pack_fini(&pack);
    return st;
}

/* ---- sampling ---- */

static dr_status feed_pending(turn *t, dr_error *err)
{
    if (t->pending.failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    const dr_status st = dr_prefix_feed(t->prefix, t->pending.v, (int64_t)t->pending.n, t->logits, t->s->cancel, err);
    t->pending.n = 0;
    return st;
}

/* Samples one completion, EOS included, into text. *stopped is false when tokens ran out first. */
static dr_status sample(turn *t, dr_buf *text, bool *stopped, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup *s = t->s;
    dr_turn_grammar grammar = {0};
    dr_constraint *constraint = NULL;
    const int32_t eos = dr_model_config(s->model)->eos_id;
    const dr_workspace workspace = dr_setup_workspace(s);
    const dr_turn_context context = {
        .profile = &s->profile,
        .tokenizer = s->tokenizer,
        .workspace = &workspace,
        .words = &t->words,
        .paths = t->paths,
        .n_paths = t->n_paths,
        .eos_id = eos,
        .results = t->results,
        .n_results = t->n_results,
        .may_call = t->answer->n_calls < s->profile.max_calls && t->n_results < MAX_RESULTS,
    };

    *stopped = false;
    if ((st = dr_turn_grammar_build(&grammar, &context, err)) != DR_OK ||
        (st = dr_constraint_new(&constraint, grammar.grammar, grammar.root, err)) != DR_OK)
        goto done;
    while (t->answer->n_decoded < s->profile.max_tokens) {
        int32_t id;
        if (t->pending.n && (st = feed_pending(t, err)) != DR_OK)
            goto done;
        if ((st = dr_sampler_pick(t->sampler, &id, t->logits, constraint, s->tokenizer, err)) != DR_OK ||
            (st = dr_constraint_advance(constraint, s->tokenizer, id, err)) != DR_OK)
            goto done;
        const dr_str bytes = dr_tokenizer_bytes(s->tokenizer, id);
        dr_buf_add(text, bytes.s, bytes.n);
        dr_ids_add(&t->pending, id);
        t->answer->n_decoded++;
        if (id == eos) {
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

static void show_call(turn *t, const dr_tool_call *call)
{
    json_t *args = json_loadb(call->arguments.s, call->arguments.n, 0, NULL);
    dr_output_event(t->s->out, json_pack("{s:s,s:o,s:o}", "type", "tool_call", "name", dr_output_text(call->name),
                                         "arguments", args ? args : dr_output_text(call->arguments)));
    dr_output_note(t->s->out, "%s %.*s %.*s", t->s->out->utf8 ? "\u25b8" : ">", (int)call->name.n, call->name.s,
                   (int)call->arguments.n, call->arguments.s);
}

static void show_result(turn *t, const dr_tool_call *call, const dr_tool_result *r)
{
    dr_output_event(t->s->out, json_pack("{s:s,s:o,s:o,s:I,s:b}", "type", "tool_result", "name",
                                         dr_output_text(call->name), "text", dr_output_text(dr_buf_view(&r->text)), "left_out",
                                         (json_int_t)r->n_left_out, "failed", r->failed));
    if (t->s->out->verbose)
        dr_output_note(t->s->out, "%s", r->text.n ? r->text.data : "");
}

/* Runs the calls of a completion and appends their results to the timeline. */
static dr_status run_calls(turn *t, const dr_completion *c, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_workspace workspace = dr_setup_workspace(t->s);
    enum { FIXED = 3, MOST = 16 };
    const size_t n_calls = c->n_calls < MOST ? c->n_calls : MOST;
    dr_message messages[FIXED + MOST] = {
        system_message(t),
        {.role = DR_USER, .content = dr_str_of(t->question)},
        {.role = DR_ASSISTANT, .content = c->content, .calls = c->calls, .n_calls = n_calls}};
    dr_prompt prompt = {0};
    size_t n = FIXED;

    for (size_t i = 0; i < n_calls && t->n_results < MAX_RESULTS; i++) {
        dr_tool_result *r = &t->results[t->n_results++];
        show_call(t, &c->calls[i]);
        if ((st = dr_tool_run(r, &workspace, c->calls[i].name, c->calls[i].arguments, err)) != DR_OK)
            goto done;
        show_result(t, &c->calls[i], r);
        t->answer->n_calls++;
        messages[n++] = (dr_message){.role = DR_TOOL, .content = dr_buf_view(&r->text), .tool_call_id = c->calls[i].id};
    }
    const dr_render_options render = {.thinking = t->s->profile.thinking, .effort = t->s->profile.effort, .n_context = FIXED};
    if ((st = dr_dialect_render(t->s->dialect, &prompt, messages, n, &render, err)) == DR_OK)
        st = dr_prompt_ids(&prompt, t->s->tokenizer, &t->pending, err);
done:
    dr_prompt_free(&prompt);
    return st;
}

/* ---- the answer ---- */

/* A closed model's sentence that matches the text's fixed parts, or NULL. */
static const dr_answer_form *form_of(const dr_profile *p, dr_str text)
{
    for (int i = 0; i < p->n_forms; i++) {
        const char *form = p->forms[i].text;
        const char *at = text.s, *end = text.s + text.n;
        bool fits = true;
        for (const char *f = form; *f && fits;) {
            const size_t len = strcspn(f, "{");
            const char *found = len ? memmem(at, (size_t)(end - at), f, len) : at;
            fits = found && (f != form || found == text.s);
            at = found ? found + len : at;
            f += len;
            int depth = 0;
            while (*f) { /* over a hole or a group */
                depth += *f == '{' ? 1 : *f == '}' ? -1 : 0;
                f++;
                if (depth <= 0)
                    break;
            }
        }
        if (fits)
            return &p->forms[i];
    }
    return NULL;
}

/* Does the sentence say what the symbol table says? */
static bool holds(const turn *t, dr_answer_check check, dr_str name)
{
    const dr_sym_def *defs;
    const dr_sym_ref *refs;
    const dr_citations *c = &t->answer->citations;
    dr_cite_check least = DR_CITE_EXISTS;

    switch (check) {
    case DR_CHECK_ABSENT: return dr_symbols_find(t->s->symbols, name, &defs) == 0;
    case DR_CHECK_UNUSED: return dr_symbols_refs(t->s->symbols, name, &refs) == 0;
    case DR_CHECK_DEFINED: least = DR_CITE_SYMBOL; break;
    case DR_CHECK_USED: least = DR_CITE_USED; break;
    case DR_CHECK_NONE: break;
    }
    /* By this name alone: another one in backticks, such as the function around a use, proves nothing about it. */
    for (size_t i = 0; i < c->n; i++)
        if (dr_citation_check_name(&c->v[i], name, t->s->symbols) < least)
            return false;
    return check == DR_CHECK_NONE || c->n > 0;
}

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Does the name stand in the question, by itself and but for case? An answer about another name is true and still no answer. */
static bool asked_for(dr_str question, dr_str name)
{
    for (size_t i = 0; name.n && i + name.n <= question.n; i++)
        if (strncasecmp(question.s + i, name.s, name.n) == 0 && !(i && word_byte(question.s[i - 1])) &&
            !(i + name.n < question.n && word_byte(question.s[i + name.n])))
            return true;
    return false;
}

/* Status of an answer from what could be checked in it. */
static dr_status judge(turn *t, dr_error *err)
{
    dr_answer *a = t->answer;
    const dr_str text = dr_buf_view(&a->text);
    const dr_answer_form *form = form_of(&t->s->profile, text);
    const dr_status st = dr_citations_scan(&a->citations, text, t->s->repo, t->s->symbols, err);

    if (st != DR_OK)
        return st;
    a->status = form ? form->status : a->citations.n ? DR_ANSWERED : DR_ANSWER_UNVERIFIED;
    for (size_t i = 0; i < a->citations.n; i++)
        if (a->citations.v[i].check == DR_CITE_FAILED)
            a->status = DR_ANSWER_UNVERIFIED;
    if (form && form->check != DR_CHECK_NONE &&
        !(holds(t, form->check, dr_quoted_name(text)) && asked_for(dr_str_of(t->question), dr_quoted_name(text))))
        a->status = DR_ANSWER_UNVERIFIED;
    return DR_OK;
}

/* ---- the turn ---- */

static void show_prefill(void *arg, int64_t done, int64_t total, uint64_t us)
{
    const turn *t = arg;
    char what[64] = "prefix";
    const int64_t written = dr_prefix_written(t->prefix);
    if (written)
        (void)snprintf(what, sizeof what, "prefix (%.1f MB stored)", (double)written * 1e-6);
    dr_output_progress(t->s->out, what, "tokens", done, total, us);
}

static dr_status text_paths(turn *t, dr_error *err)
{
    const size_t n = dr_repo_n_files(t->s->repo);
    if (!(t->paths = calloc(n ? n : 1, sizeof *t->paths)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const dr_repo_file *f = dr_repo_file_at(t->s->repo, i);
        if (dr_repo_is_text(f))
            t->paths[t->n_paths++] = f->path;
    }
    return DR_OK;
}

static dr_status open_timeline(turn *t, int64_t n_prompt, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup *s = t->s;
    const dr_config *c = dr_model_config(s->model);
    const int64_t most = context_of(s);
    dr_sampling how = s->profile.sampling;
    uint64_t group;

    if (s->opt->seed >= 0)
        how.seed = (uint64_t)s->opt->seed;
    if (n_prompt + 1 > most)
        return dr_fail(err, DR_ERR_LIMIT,
                       "the prompt has %lld tokens, the context %lld: give the pack less with --budget or --mode map, or ask more shortly",
                       (long long)n_prompt, (long long)most);
    /* Purge knows the records by the repository's root. */
    const dr_str root = dr_repo_identity(s->repo)->root;
    group = dr_xxh3_128(root.s, root.n).lo;
    if (!(t->logits = malloc((size_t)c->vocab * sizeof *t->logits)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if ((st = dr_decoder_new(&t->decoder, s->model, s->queue, MAX_CHUNK, most, err)) != DR_OK ||
        (st = dr_prefix_new(&t->prefix, s->cache, t->decoder, s->model, s->tokenizer, group, err)) != DR_OK)
        return st;
    return dr_sampler_new(&t->sampler, how, c->vocab, err);
}

static void show_prefix(turn *t)
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

/* What goes wrong with the cache while writing is known late: told once, behind all else. */
static void end_prefix(turn *t)
{
    if (!t->prefix)
        return;
    dr_prefix_turn_end(t->prefix);
    dr_prefix_finish(t->prefix);
    if (*dr_prefix_trouble(t->prefix))
        dr_output_note(t->s->out, "cache: %s", dr_prefix_trouble(t->prefix));
}

dr_status dr_turn_run(dr_answer *out, dr_setup *s, dr_pack_mode mode, int64_t budget, const char *question, dr_error *err)
{
    dr_status st = DR_OK;
    turn *t = calloc(1, sizeof *t);
    dr_ids ids = {0};
    int64_t marks[N_MARKS] = {0};
    dr_buf text = {0};
    dr_completion completion = {0};

    *out = (dr_answer){0};
    if (!t)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    t->s = s;
    t->answer = out;
    t->question = question;
    if ((st = dr_words_init(&t->words, dr_str_of(question), err)) != DR_OK || (st = text_paths(t, err)) != DR_OK ||
        (st = build_prompt(t, &ids, marks, mode, budget, err)) != DR_OK ||
        (st = open_timeline(t, (int64_t)ids.n, err)) != DR_OK)
        goto done;
    st = dr_prefix_run(t->prefix, &out->prefix, t->logits, ids.v, (int64_t)ids.n, marks, N_MARKS, show_prefill, t, s->cancel,
                       err);
    if (st != DR_OK)
        goto done;
    show_prefix(t);

    for (;;) {
        const uint64_t before = dr_clock_us();
        dr_buf_clear(&text);
        dr_completion_free(&completion);
        completion = (dr_completion){0};
        st = sample(t, &text, &out->complete, err);
        out->decode_us += dr_clock_us() - before;
        if (st != DR_OK || (st = dr_completion_parse(&completion, dr_buf_view(&text), s->profile.thinking, err)) != DR_OK)
            goto done;
        if (!out->complete || completion.n_calls == 0)
            break;
        if ((st = run_calls(t, &completion, err)) != DR_OK)
            goto done;
    }
    dr_buf_add(&out->text, completion.content.s, completion.content.n);
    if (t->n_results)
        out->n_left_out = t->results[t->n_results - 1].n_left_out;
    if (out->text.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    else
        st = judge(t, err);
done:
    dr_output_progress_end(s->out);
    end_prefix(t);
    dr_completion_free(&completion);
    dr_buf_free(&text);
    dr_ids_free(&ids);
    for (size_t i = 0; i < t->n_results; i++)
        dr_tool_result_fini(&t->results[i]);
    dr_buf_free(&t->tools_json);
    dr_buf_free(&t->instructions);
    dr_ids_free(&t->pending);
    dr_words_fini(&t->words);
    free(t->paths);
    free(t->logits);
    dr_sampler_free(t->sampler);
    dr_prefix_free(t->prefix);
    dr_decoder_free(t->decoder);
    free(t);
    return st;
}

void dr_answer_fini(dr_answer *a)
{
    dr_buf_free(&a->text);
    dr_citations_fini(&a->citations);
    *a = (dr_answer){0};
}
