/* app/model_parts.h: the parts of `deepread model`, one function each. Internal to app's model_*.c.
 *
 * A part prints its result on standard output and returns what dr_outcome_of turns into an exit code. */
#ifndef DR_APP_MODEL_PARTS_H
#define DR_APP_MODEL_PARTS_H

#include "app/app.h"

#include "engine/tokenizer.h"

enum { DR_MODEL_TEXT_MAX = 1 << 30 }; /* bytes of standard input, or of a file of tokens or messages */

typedef struct dr_model_command {
    const dr_options *opt;
    dr_output *out;
    const atomic_bool *cancel;
    const char *dir; /* the model folder; plan and cost also take its config.json alone */
} dr_model_command;

typedef dr_status dr_model_part(const dr_model_command *c, dr_error *err);

dr_model_part dr_model_part__list, dr_model_part__check;                            /* model_files.c */
dr_model_part dr_model_part__plan, dr_model_part__cost;                             /* model_cost.c */
dr_model_part dr_model_part__convert;                                               /* model_convert.c */
dr_model_part dr_model_part__tokenize, dr_model_part__render, dr_model_part__parse; /* model_text.c */
dr_model_part dr_model_part__import;                                                /* model_import.c */
dr_model_part dr_model_part__logits;                                                /* model_logits.c */

/* The file that an option named: it may be a pipe. */
dr_status dr_model_part__file(dr_buf *out, const char *path, dr_error *err);

/* A JSON list of ids in [0, n_ids); name stands in messages. */
dr_status dr_model_part__ids(dr_ids *out, dr_str json, const char *name, int32_t n_ids, dr_error *err);

#endif
