/* engine/check.h: a checkpoint folder against its configuration, offline: what `model check` says. */
#ifndef DR_ENGINE_CHECK_H
#define DR_ENGINE_CHECK_H

#include "base/bytes.h"
#include "engine/problems.h"

/* Reads config.json, the index, every header and every small tensor; scales too when they are few (DR_CHECK_SCALE_BYTES)
 * or `all`, because those of an FP4 checkpoint are gigabytes. Nothing of the matrices is read but what the identity
 * samples.
 *
 * *report: one JSON object, also when the checkpoint is bad; empty when it could not even be looked at (no config.json, no
 * weights file or index). Every problem is in `problems`. DR_ERR_FORMAT (DR_ERR_NOT_FOUND when whole shards are missing
 * and nothing else is wrong) with a sentence that counts them. */
enum { DR_CHECK_SCALE_BYTES = 256 << 20 };
dr_status dr_model_check(const char *dir, bool all, dr_buf *report, dr_problems *problems, dr_error *err);

#endif
