/* engine/binding.h: gives every weight of the plan its tensor (spec 2.3). Internal to engine.
 *
 * Two passes, so that nothing large is allocated for a checkpoint that cannot be used: `bind` looks every name up,
 * checks shape and dtype, converts the small vectors and lists the matrices; `pack` turns the listed matrices into the
 * backend's layout. */
#ifndef DR_ENGINE_BINDING_H
#define DR_ENGINE_BINDING_H

#include "engine/weights.h"

/* A matrix waiting to be packed. */
typedef struct dr_binding_job {
    dr_linear *to;
    dr_weight from;
    const dr_tensor *tensor;
    int64_t first_row; /* of the tensor, for messages */
} dr_binding_job;

typedef struct dr_binding {
    dr_binding_job *jobs;
    size_t n_jobs, cap_jobs;
    bool *used; /* [tensors] */
} dr_binding;

/* Fills m's vectors and layer tables (m has config, files and arena) and b's jobs. All problems at once. */
dr_status dr_binding__bind(dr_binding *b, dr_model *m, dr_error *err);
void dr_binding__fini(dr_binding *b);

/* Bytes of all packed matrices; each starts on a 64-byte border. */
size_t dr_binding__packed_bytes(const dr_binding *b, const dr_ops *ops);
/* Packs into `block` (64-byte aligned). Jobs keep their order, so an expert's matrices lie side by side. */
dr_status dr_binding__pack(const dr_binding *b, void *block, const dr_ops *ops, dr_queue *queue, dr_error *err);

/* Scales that are NaN, all of them. Packing would find the first of a matrix; `check` does not pack. */
dr_status dr_binding__check_scales(const dr_binding *b, dr_error *err);

#endif
