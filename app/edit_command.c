/* app/edit_command.c: `deepread edit "INSTRUCTION"`: proposes a diff; --apply writes it.
 *
 * The diff alone goes to standard output. Nothing is written but by --apply, and then nothing that would leave a file with more syntax errors than
 * it has: what the parser makes less of is shown, for a person to apply. */
#include "app/answer_show.h"
#include "app/app.h"

#include <string.h>

typedef struct editing {
    dr_setup *s;
    const dr_options *opt;
    dr_output *out;
    dr_session *session;
} editing;

/* One event a file. */
static dr_status show_files(const editing *e, dr_edits *edits, bool applied, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf diff = {0};
    for (size_t i = 0; i < dr_edits_n_files(edits) && st == DR_OK; i++) {
        const size_t file = dr_edits_file_at(edits, i);
        dr_buf_clear(&diff);
        if ((st = dr_edits_diff_file(&diff, edits, file, err)) == DR_OK)
            dr_output_event(e->out, json_pack("{s:s,s:o,s:o,s:b}", "type", "edit", "path",
                                              dr_output_text(dr_repo_file_at(e->s->repo, file)->path), "diff",
                                              dr_output_text(dr_buf_view(&diff)), "applied", applied));
    }
    dr_buf_free(&diff);
    return st;
}

/* Shows what was staged, and writes it when that is asked for and sound. */
static dr_status propose(const editing *e, dr_edits *edits, dr_outcome *outcome, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf diff = {0}, doubts = {0};
    bool applied = false;

    if ((st = dr_edits_diff(&diff, edits, err)) != DR_OK || (st = dr_edits_check(&doubts, edits, err)) != DR_OK)
        goto done;
    if (!diff.n) {
        dr_output_note(e->out, "nothing would change");
        *outcome = DR_DECLINED;
        goto done;
    }
    *outcome = doubts.n ? DR_DECLINED : DR_DONE;
    if (!e->out->json) {
        dr_output_diff(dr_buf_view(&diff));
        (void)fflush(stdout);
    }
    if (e->opt->apply && !doubts.n) {
        st = dr_edits_apply(edits, err);
        applied = st == DR_OK;
    }
    if (e->out->json) {
        const dr_status shown = show_files(e, edits, applied, st == DR_OK ? err : NULL);
        st = st == DR_OK ? shown : st;
    }
    if (doubts.n)
        (void)dr_fail(err, DR_ERR_FORMAT, "%s%s", doubts.data, e->opt->apply ? " It was not applied." : "");
    else if (applied)
        dr_output_note(e->out, "applied");
    if (memmem(diff.data, diff.n, "[masked: ", strlen("[masked: ")))
        dr_output_note(e->out, "secrets are masked in the diff: --apply keeps them, patch would not");
done:
    dr_buf_free(&diff);
    dr_buf_free(&doubts);
    return st;
}

static dr_status edit_one(void *arg, const char *instruction, dr_outcome *outcome, dr_error *err)
{
    const editing *e = arg;
    dr_status st = DR_OK;
    dr_answer answer = {0};
    dr_edits *edits = dr_edits_new(e->s->repo);

    if (!edits) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_session_ask(e->session, &answer, instruction, edits, err)) != DR_OK)
        goto done;
    dr_show_answer(e->out, e->s, &answer, false);
    *outcome = DR_DECLINED;
    if (!answer.complete) {
        *outcome = DR_INCOMPLETE;
        (void)dr_fail(err, DR_ERR_LIMIT, "the answer was cut after %lld tokens", (long long)answer.n_decoded);
        goto done;
    }
    dr_output_note(e->out, "%s", answer.text.n ? answer.text.data : "the model said nothing");
    /* A closed model that says it could not has not: what it staged on the way is dropped. */
    const bool meant = e->s->profile.n_forms == 0 || answer.status == DR_ANSWERED;
    if (meant && dr_edits_n_files(edits))
        st = propose(e, edits, outcome, err);
done:
    dr_answer_fini(&answer);
    dr_edits_free(edits);
    return st;
}

dr_outcome dr_command_edit(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_outcome outcome = DR_DONE;
    dr_setup s;
    editing e = {.s = &s, .opt = opt, .out = out};
    dr_session_options how = {.many = opt->batch, .free = opt->no_constraints};

    dr_setup_init(&s, opt, out, cancel);
    if (opt->apply && opt->rev)
        st = dr_fail(err, DR_ERR_ARG, "--apply writes the working tree: leave out --rev");
    else if (opt->apply && opt->batch)
        st = dr_fail(err, DR_ERR_ARG, "--batch proposes, each line for itself: leave out --apply");
    else if (!opt->batch && opt->n_words == 0)
        st = dr_each_question(opt, out, cancel, "edit", edit_one, &e, &outcome, err); /* says what is missing */
    else if ((st = dr_setup_model_files(&s, err)) == DR_OK && (st = dr_setup_pack_asked(&how.mode, &how.budget, &s, err)) == DR_OK &&
             (st = dr_setup_repo(&s, err)) == DR_OK && (st = dr_setup_model(&s, err)) == DR_OK) {
        dr_show_start(out, &s, how.mode);
        if ((st = dr_session_open(&e.session, &s, &how, err)) == DR_OK)
            st = dr_each_question(opt, out, cancel, "edit", edit_one, &e, &outcome, err);
    }
    if (st != DR_OK)
        outcome = dr_outcome_of(st);
    dr_session_close(e.session);
    dr_setup_fini(&s);
    return outcome;
}
