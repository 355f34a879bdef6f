#include "app/answer_show.h"

#include "app/app.h"
#include "repo/text.h"

#include <errno.h>
#include <stdlib.h>
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

void dr_show_answer(dr_output *out, const dr_setup *s, const dr_answer *a, bool text)
{
    size_t n_checked = 0;

    dr_output_event(out, json_pack("{s:s,s:o,s:s,s:o,s:I,s:I,s:i,s:i,s:f}", "type", "answer", "text",
                                   dr_output_text(dr_buf_view(&a->text)), "status", dr_answer_status_name(a->status),
                                   "citations", citations_json(s, a), "left_out", (json_int_t)a->n_left_out, "tokens",
                                   (json_int_t)a->n_decoded, "calls", a->n_calls, "malformed", a->n_malformed, "seconds",
                                   (double)a->decode_us * 1e-6));
    if (out->json || !text)
        return;
    printf("%s\n", a->text.data ? a->text.data : "");
    if (a->n_left_out && a->status == DR_ANSWERED)
        printf("and %llu more\n", (unsigned long long)a->n_left_out);
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
}

void dr_show_start(dr_output *out, const dr_setup *s, dr_pack_mode mode)
{
    const dr_repo_id *id = dr_repo_identity(s->repo);
    const dr_symbols_stats *stats = dr_symbols_get_stats(s->symbols);
    const int64_t n_files = (int64_t)dr_repo_n_files(s->repo);
    char a[28], b[28];

    dr_output_event(out, json_pack("{s:s,s:i,s:s,s:s,s:o,s:s,s:I,s:I}", "type", "start", "schema", DR_EVENT_SCHEMA, "version",
                                   DR_VERSION, "model", s->profile.name, "repository", dr_output_text(id->root), "commit",
                                   id->commit, "files", (json_int_t)n_files, "symbols", (json_int_t)stats->n_defs));
    if (*s->profile.limits && mode == s->profile.pack_mode)
        dr_output_note(out, "%s", s->profile.limits);
    dr_output_note(out, "%.*s%s%.8s%s: %s file%s, %s symbol%s; model %s on %s", (int)id->name.n, id->name.s,
                   *id->commit ? " @ " : "", id->commit, id->n_dirty ? " + working tree" : "", dr_output_count(a, n_files),
                   dr_output_s(n_files), dr_output_count(b, stats->n_defs), dr_output_s(stats->n_defs), s->profile.name,
                   s->ops.name);
}

/* The next line of standard input that is not blank, without its newline. */
static bool next_line(dr_buf *out, int64_t *number)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool found = false;

    dr_buf_clear(out);
    while (!found && (n = getline(&line, &cap, stdin)) > 0) {
        ++*number;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        found = strspn(line, " \t") < (size_t)n;
        if (found)
            dr_buf_add(out, line, (size_t)n);
    }
    free(line);
    return found;
}

dr_status dr_each_question(const dr_options *opt, dr_output *out, const atomic_bool *cancel, const char *what,
                           dr_status (*answer)(void *arg, const char *question, dr_outcome *outcome, dr_error *err), void *arg,
                           dr_outcome *outcome, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf question = {0};
    int64_t number = 0;

    if (opt->batch && opt->n_words) {
        st = dr_fail(err, DR_ERR_ARG, "%s --batch reads standard input: leave out \"%s\"", what, opt->words[0]);
        goto done;
    }
    for (int i = 0; i < opt->n_words; i++)
        dr_buf_printf(&question, "%s%s", i ? " " : "", opt->words[i]);
    if (!opt->batch && !question.n) {
        st = dr_fail(err, DR_ERR_ARG, strcmp(what, "ask") == 0 ? "ask what? deepread ask \"where is main defined?\""
                                                             : "edit what? deepread edit \"rename foo to bar in src/a.c\"");
        goto done;
    }
    while (st == DR_OK && (!opt->batch || next_line(&question, &number))) {
        dr_outcome its = DR_DONE;
        dr_error inner = {0};
        if (question.failed)
            st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        else if (!dr_text_is_utf8(dr_buf_view(&question)))
            st = dr_fail(err, DR_ERR_ARG, "%s is not UTF-8 text", opt->batch ? "a line of standard input" : "the question");
        if (st != DR_OK)
            break;
        if (opt->batch)
            dr_output_event(out, json_pack("{s:s,s:I,s:o}", "type", "question", "line", (json_int_t)number, "text",
                                           dr_output_text(dr_buf_view(&question))));
        st = answer(arg, question.data, &its, &inner);
        if (!opt->batch) {
            *err = inner;
            *outcome = st == DR_OK ? its : dr_outcome_of(st);
            break;
        }
        /* A question that is too long, or an answer that was cut, is no reason to leave the others out. */
        if (inner.code != DR_OK && (st == DR_OK || st == DR_ERR_LIMIT)) {
            dr_output_error(out, &inner);
            its = DR_INCOMPLETE;
            st = DR_OK;
        } else if (st != DR_OK) {
            *err = inner;
        }
        if (st == DR_OK)
            dr_output_event(out, json_pack("{s:s,s:I,s:i}", "type", "done", "line", (json_int_t)number, "exit", dr_outcome_exit(its)));
        if (!out->json)
            (void)fflush(stdout);
    }
    /* A signal ends the reading like an end of file, but is not one. */
    if (st == DR_OK && opt->batch && cancel && atomic_load(cancel))
        st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
    else if (st == DR_OK && opt->batch && ferror(stdin))
        st = dr_fail(err, DR_ERR_IO, "standard input: %s", strerror(errno));
done:
    dr_buf_free(&question);
    return st;
}
