/* app/app.h: the commands: each takes the options, shows what it has to show, and says how the run ended.
 *
 * On anything but DR_DONE caused by a failed call, err holds the sentence for the user; main prints it. */
#ifndef DR_APP_APP_H
#define DR_APP_APP_H

#include "app/options.h"
#include "app/outcome.h"
#include "app/output.h"

#include <stdatomic.h>

#define DR_VERSION "0.1.0"

typedef dr_outcome dr_command_fn(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err);

dr_command_fn dr_command_ask;
dr_command_fn dr_command_edit;
dr_command_fn dr_command_pack;
dr_command_fn dr_command_model;
dr_command_fn dr_command_tool;
dr_command_fn dr_command_cache;
dr_command_fn dr_command_bench;
dr_command_fn dr_command_doctor;

#endif
