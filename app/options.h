/* app/options.h: the command line, from one table of commands and one of options.
 *
 * The same two tables parse arguments, print help, check the man page (a test) and write the shell completion. */
#ifndef DR_APP_OPTIONS_H
#define DR_APP_OPTIONS_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum dr_command_id {
    DR_CMD_NONE,
    DR_CMD_ASK,
    DR_CMD_EDIT,
    DR_CMD_PACK,
    DR_CMD_MODEL,
    DR_CMD_TOOL,
    DR_CMD_CACHE,
    DR_CMD_BENCH,
    DR_CMD_DOCTOR,
    DR_CMD_COMPLETION,
    DR_N_COMMANDS
} dr_command_id;

/* An option that may be given again and again; borrowed from argv. */
typedef struct dr_option_list {
    const char **v;
    size_t n;
} dr_option_list;

typedef struct dr_options {
    dr_command_id command;
    /* everywhere */
    const char *path;  /* -C; NULL: this folder */
    const char *rev;
    const char *model; /* NULL: the bundled model */
    int64_t context;   /* 0: the profile's or the model's */
    int32_t threads;   /* 0: one per CPU */
    int64_t seed;      /* -1: the profile's */
    bool no_cache, json, quiet, verbose, help, version;
    const char *isa; /* NULL: the best */
    /* of single commands */
    const char *out, *mode, *effort, *tokens, *messages, *backend, *base, *diff, *explain;
    int64_t budget; /* -1: the profile's */
    int32_t chunk, drafts; /* drafts -1: the profile's */
    bool ids, decode, special, wide, mtp, drop, no_drop, full, batch, apply, no_constraints, repack, secrets, submodules, history, of_repo, accept;
    dr_option_list include, exclude;
    /* positional words, in order; borrowed from argv */
    const char **words;
    int n_words;
} dr_options;

/* Parses argv[1..]. DR_ERR_ARG with one sentence and what to do. Free with dr_options_fini. */
dr_status dr_options_parse(dr_options *out, int argc, char **argv, dr_error *err);
void dr_options_fini(dr_options *o);

/* Help of the whole program (DR_CMD_NONE) or of one command. */
void dr_options_help(FILE *to, dr_command_id command);
/* A completion script for bash, from the same tables. */
void dr_options_completion(FILE *to);

/* For the man page test: option i's long name without dashes, NULL past the end; likewise command names. */
const char *dr_options_name_at(int i);
const char *dr_options_command_at(int i);

#endif
