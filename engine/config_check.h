/* engine/config_check.h: what this engine cannot run, told at load. Internal to config.c. */
#ifndef DR_ENGINE_CONFIG_CHECK_H
#define DR_ENGINE_CONFIG_CHECK_H

#include "engine/config.h"

#include <jansson.h>

enum {
    DR_CSA_RATIO = 4,        /* the ratio whose entries overlap and have an indexer */
    DR_LARGEST_RATIO = 2048, /* a page of entries holds whole blocks of every ratio */
};

/* Keys that name an architecture or a variant other than the one implemented. DR_ERR_NOT_FOUND: another architecture as
 * a whole (V4.1), of which the rest need not be read. */
dr_status dr_config__check_kind(const json_t *root, const char *name, dr_error *err);

/* Sizes against each other and against what the kernels ask for. */
dr_status dr_config__check_sizes(const dr_config *c, const char *name, dr_error *err);

#endif
