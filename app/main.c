/* app/main.c: reads the command line, runs one command, turns its outcome into an exit code. */
#include "app/app.h"

#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_bool cancelled;
static volatile sig_atomic_t stopped_by;

/* The first signal asks for an orderly end; a second one does not wait for it. */
static void on_signal(int sig)
{
    if (atomic_exchange(&cancelled, true))
        _exit(128 + sig);
    stopped_by = sig;
}

static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a full quota is an ordinary failed write (cache.h) */
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

int main(int argc, char **argv)
{
    static dr_command_fn *const commands[DR_N_COMMANDS] = {
        [DR_CMD_ASK] = dr_command_ask,     [DR_CMD_EDIT] = dr_command_edit,   [DR_CMD_PACK] = dr_command_pack,   [DR_CMD_MODEL] = dr_command_model,
        [DR_CMD_TOOL] = dr_command_tool,   [DR_CMD_CACHE] = dr_command_cache, [DR_CMD_BENCH] = dr_command_bench,
        [DR_CMD_DOCTOR] = dr_command_doctor};
    dr_options opt;
    dr_output out;
    dr_error err = {0};
    dr_outcome outcome = DR_DONE;

    (void)setlocale(LC_CTYPE, "");
    if (dr_options_parse(&opt, argc, argv, &err) != DR_OK) {
        /* How far the options were read is not known: whoever wrote --json anywhere reads events. */
        opt = (dr_options){0};
        for (int i = 1; i < argc; i++)
            opt.json |= strcmp(argv[i], "--json") == 0;
        dr_output_init(&out, &opt);
        dr_output_error(&out, &err);
        return dr_outcome_exit(DR_BAD_INPUT);
    }
    dr_output_init(&out, &opt);
    catch_signals();
    if (opt.version)
        puts("deepread " DR_VERSION);
    else if (opt.help)
        dr_options_help(stdout, opt.command);
    else if (opt.command == DR_CMD_COMPLETION) {
        if (opt.n_words == 0 || (opt.n_words == 1 && strcmp(opt.words[0], "bash") == 0))
            dr_options_completion(stdout);
        else {
            outcome = DR_BAD_INPUT;
            (void)dr_fail(&err, DR_ERR_ARG, "completion: only bash is known");
        }
    } else if (opt.command == DR_CMD_NONE) {
        dr_options_help(stderr, DR_CMD_NONE);
        outcome = DR_BAD_INPUT;
    } else
        outcome = commands[opt.command](&opt, &out, &cancelled, &err);

    if (atomic_load(&cancelled) && outcome != DR_DONE) {
        outcome = stopped_by == SIGTERM ? DR_TERMINATED : DR_INTERRUPTED;
        if (!err.code)
            (void)dr_fail(&err, DR_ERR_CANCELLED, "interrupted");
    }
    if (err.code != DR_OK)
        dr_output_error(&out, &err);
    const int code = dr_outcome_exit(outcome);
    const bool asked = opt.command == DR_CMD_ASK || opt.command == DR_CMD_EDIT;
    if (asked && !opt.help && !opt.version && !(opt.batch && outcome == DR_DONE)) /* a batch has said it for every line */
        dr_output_event(&out, json_pack("{s:s,s:i}", "type", "done", "exit", code));
    dr_options_fini(&opt);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    /* A reader that has seen enough (`| head`) knows it; a full disk has to be said. */
    struct pollfd reader = {.fd = STDOUT_FILENO};
    if (poll(&reader, 1, 0) < 1 || !(reader.revents & POLLERR))
        (void)fputs("deepread: standard output could not be written: is it closed, or the disk full?\n", stderr);
    return dr_outcome_exit(outcome == DR_DONE ? DR_BAD_INPUT : outcome);
}
