/* app/ask_command.c: `deepread ask "QUESTION"`: one turn, shown; with --batch one for every line of standard input. */
#include "app/answer_show.h"
#include "app/app.h"

typedef struct asking {
    dr_setup *s;
    dr_output *out;
    dr_session *session;
    bool again; /* not the first question */
} asking;

static dr_status answer_one(void *arg, const char *question, dr_outcome *outcome, dr_error *err)
{
    asking *a = arg;
    dr_answer answer = {0};
    const dr_status st = dr_session_ask(a->session, &answer, question, NULL, err);

    if (st == DR_OK) {
        if (a->again && !a->out->json)
            putchar('\n');
        a->again = true;
        dr_show_answer(a->out, a->s, &answer, true);
        *outcome = answer.status == DR_ANSWERED ? DR_DONE : DR_DECLINED;
        if (!answer.complete) {
            *outcome = DR_INCOMPLETE;
            (void)dr_fail(err, DR_ERR_LIMIT, "the answer was cut after %lld tokens", (long long)answer.n_decoded);
        }
    }
    dr_answer_fini(&answer);
    return st;
}

dr_outcome dr_command_ask(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_outcome outcome = DR_DONE;
    dr_setup s;
    asking a = {.s = &s, .out = out};
    dr_session_options how = {.many = opt->batch, .free = opt->no_constraints};

    dr_setup_init(&s, opt, out, cancel);
    if (!opt->batch && opt->n_words == 0)
        st = dr_each_question(opt, out, cancel, "ask", answer_one, &a, &outcome, err); /* says what is missing */
    else if ((st = dr_setup_model_files(&s, err)) == DR_OK && (st = dr_setup_pack_asked(&how.mode, &how.budget, &s, err)) == DR_OK &&
             (st = dr_setup_repo(&s, err)) == DR_OK && (st = dr_setup_model(&s, err)) == DR_OK) {
        dr_show_start(out, &s, how.mode);
        if ((st = dr_session_open(&a.session, &s, &how, err)) == DR_OK)
            st = dr_each_question(opt, out, cancel, "ask", answer_one, &a, &outcome, err);
    }
    if (st != DR_OK)
        outcome = dr_outcome_of(st);
    dr_session_close(a.session);
    dr_setup_fini(&s);
    return outcome;
}
