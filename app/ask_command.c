/* app/ask_command.c: `deepread ask "QUESTION"`: one turn, shown. */
#include "app/app.h"
#include "app/turn.h"
#include "repo/text.h"

#include <string.h>

/* The source line a citation names, for people who want to see it without opening the file. */
static void show_source(const dr_output *out, const dr_setup *s, const dr_citation *c)
{
    dr_buf text = {0}, line = {0};
    if (dr_repo_read(s->repo, c->file, &text, NULL) == DR_OK) {
        dr_text_excerpt(&line, dr_text_line_at(dr_buf_view(&text), c->line), 100);
        printf("  %s%s:%u%s  %s\n", dr_output_strong(out), dr_repo_file_at(s->repo, c->file)->path.s, c->line,
               dr_output_plain(out), line.data ? line.data : "");
    }
    dr_buf_free(&line);
    dr_buf_free(&text);
}

static json_t *citations_json(const dr_setup *s, const dr_answer *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->citations.n; i++) {
        const dr_citation *c = &a->citations.v[i];
        const dr_str shown = {a->text.data + c->at, c->n};
        const dr_str path = c->file == DR_SYM_NONE ? shown : dr_repo_file_at(s->repo, c->file)->path;
        json_array_append_new(list, json_pack("{s:o,s:I,s:I,s:s}", "path", dr_output_text(path), "line",
                                              (json_int_t)c->line, "end", (json_int_t)c->end, "check",
                                              dr_cite_check_name(c->check)));
    }
    return list;
}

static void show_answer(dr_output *out, const dr_setup *s, const dr_answer *a)
{
    size_t n_checked = 0;

    dr_output_event(out, json_pack("{s:s,s:o,s:s,s:o,s:I,s:I,s:f}", "type", "answer", "text",
                                   dr_output_text(dr_buf_view(&a->text)), "status", dr_answer_status_name(a->status),
                                   "citations", citations_json(s, a), "left_out", (json_int_t)a->n_left_out, "tokens", (json_int_t)a->n_decoded, "seconds",
                                   (double)a->decode_us * 1e-6));
    if (out->json)
        return;
    printf("%s\n", a->text.data ? a->text.data : "");
    for (size_t i = 0; i < a->citations.n; i++)
        n_checked += a->citations.v[i].check != DR_CITE_FAILED;
    if (!out->quiet && n_checked) {
        putchar('\n');
        for (size_t i = 0; i < a->citations.n; i++)
            if (a->citations.v[i].check != DR_CITE_FAILED)
                show_source(out, s, &a->citations.v[i]);
    }
    (void)fflush(stdout);
    for (size_t i = 0; i < a->citations.n; i++)
        if (a->citations.v[i].check == DR_CITE_FAILED)
            dr_output_note(out, "not in this repository: %.*s", (int)a->citations.v[i].n, a->text.data + a->citations.v[i].at);
    const char *tick = out->utf8 ? "\u2713" : "ok";
    const long long rate = a->decode_us ? (long long)((uint64_t)a->n_decoded * 1000000u / a->decode_us) : 0;
    if (a->status == DR_ANSWERED && n_checked)
        dr_output_note(out, "%s %zu of %zu citations checked; %lld tokens at %lld tokens/s", tick, n_checked,
                       a->citations.n, (long long)a->n_decoded, rate);
    else
        dr_output_note(out, "%s; %lld tokens at %lld tokens/s", dr_answer_status_name(a->status),
                       (long long)a->n_decoded, rate);
    if (a->n_left_out)
        dr_output_note(out, "the list is cut: %llu more", (unsigned long long)a->n_left_out);
}

dr_outcome dr_command_ask(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_outcome outcome = DR_DONE;
    dr_setup s;
    dr_answer answer = {0};
    dr_buf question = {0};
    dr_pack_mode mode;
    int64_t budget;
    char a[28], b[28];

    dr_setup_init(&s, opt, out, cancel);
    for (int i = 0; i < opt->n_words; i++)
        dr_buf_printf(&question, "%s%s", i ? " " : "", opt->words[i]);
    if (!question.n) {
        st = dr_fail(err, DR_ERR_ARG, "ask what? deepread ask \"where is main defined?\"");
        goto done;
    }
    if (question.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if (!dr_text_is_utf8(dr_buf_view(&question))) {
        st = dr_fail(err, DR_ERR_ARG, "the question is not UTF-8 text");
        goto done;
    }
    if ((st = dr_setup_model_files(&s, err)) != DR_OK || (st = dr_setup_pack_asked(&mode, &budget, &s, err)) != DR_OK ||
        (st = dr_setup_repo(&s, err)) != DR_OK || (st = dr_setup_model(&s, err)) != DR_OK)
        goto done;
    const dr_repo_id *id = dr_repo_identity(s.repo);
    const dr_symbols_stats *stats = dr_symbols_get_stats(s.symbols);
    dr_output_event(out, json_pack("{s:s,s:i,s:s,s:s,s:o,s:s,s:I,s:I}", "type", "start", "schema", DR_EVENT_SCHEMA, "version",
                                   DR_VERSION, "model", s.profile.name, "repository", dr_output_text(id->root), "commit",
                                   id->commit, "files", (json_int_t)dr_repo_n_files(s.repo), "symbols",
                                   (json_int_t)stats->n_defs));
    if (*s.profile.limits && mode == s.profile.pack_mode)
        dr_output_note(out, "%s", s.profile.limits);
    const int64_t n_files = (int64_t)dr_repo_n_files(s.repo);
    dr_output_note(out, "%.*s%s%.8s%s: %s file%s, %s symbol%s; model %s on %s", (int)id->name.n, id->name.s,
                   *id->commit ? " @ " : "", id->commit, id->n_dirty ? " + working tree" : "", dr_output_count(a, n_files),
                   dr_output_s(n_files), dr_output_count(b, stats->n_defs), dr_output_s(stats->n_defs), s.profile.name,
                   s.ops.name);
    if ((st = dr_turn_run(&answer, &s, mode, budget, question.data, err)) != DR_OK)
        goto done;
    show_answer(out, &s, &answer);
    outcome = answer.status == DR_ANSWERED ? DR_DONE : DR_DECLINED;
    if (!answer.complete) {
        outcome = DR_INCOMPLETE;
        (void)dr_fail(err, DR_ERR_LIMIT, "the answer was cut after %lld tokens", (long long)answer.n_decoded);
    }
done:
    if (st != DR_OK)
        outcome = dr_outcome_of(st);
    dr_answer_fini(&answer);
    dr_buf_free(&question);
    dr_setup_fini(&s);
    return outcome;
}
