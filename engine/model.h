/* engine/model.h: a checkpoint bound to a backend: configuration and packed weights, immutable.
 *
 * Binding is strict: every tensor the plan (plan.h) names must be there with the right shape and a dtype the spec allows,
 * and no unknown tensor may be left over (rotary buffers and `mtp.*` copies of embedding and head excepted, spec 2.3).
 * All problems are reported at once, each with the expected shape. Shared by any number of decoders. */
#ifndef DR_ENGINE_MODEL_H
#define DR_ENGINE_MODEL_H

#include "engine/config.h"
#include "engine/safetensors.h"
#include "kernels/ops.h"

typedef struct dr_model dr_model;

/* Opens DIR/config.json and its weights. The queue is used for packing only; ops is copied. A model that does not fit into
 * the memory that is left (memory.h) is refused with the figures before anything large is allocated: DR_ERR_LIMIT. What is
 * wrong with draft stages (0731) is logged only, because they are not run. */
dr_status dr_model_open(dr_model **out, const char *dir, const dr_ops *ops, dr_queue *queue, dr_error *err);
void dr_model_close(dr_model *m);

const dr_config *dr_model_config(const dr_model *m);
const dr_ops *dr_model_ops(const dr_model *m);
dr_digest dr_model_identity(const dr_model *m);
/* Bytes of packed weights held in memory, and parameters (total, active a token). */
size_t dr_model_bytes(const dr_model *m);
void dr_model_parameters(const dr_model *m, int64_t *total, int64_t *active);

#endif
