/* engine/binding.h: gives every weight of the plan its tensors. Internal to engine.
 *
 *   match   names, dtypes and shapes, from the headers alone: nothing of the data is touched
 *   check   values that cannot be: NaN vectors, expert tables out of range, NaN scales
 *   take    small vectors and tables into the model's arena, matrices listed as jobs
 *   pack    the listed matrices into the backend's layout
 *
 * so that nothing large is allocated for a checkpoint that cannot be used, and so that a folder can be checked without
 * being read. */
#ifndef DR_ENGINE_BINDING_H
#define DR_ENGINE_BINDING_H

#include "engine/plan.h"
#include "engine/problems.h"
#include "engine/weights.h"

/* Where a weight of the plan lies; tensor NULL: nowhere, or in a form that does not fit. */
typedef struct dr_bound {
    const dr_tensor *tensor, *scale;
    dr_storage as;
} dr_bound;

/* A matrix waiting to be packed. */
typedef struct dr_binding_job {
    dr_linear *to;
    dr_weight from;
    const dr_tensor *tensor;
    int64_t first_row; /* of the tensor, for messages */
} dr_binding_job;

typedef struct dr_binding {
    dr_plan plan;
    dr_bound *bound; /* [plan.n] */
    dr_binding_job *jobs;
    size_t n_jobs, cap_jobs;
} dr_binding;

/* The plan of c, matched with the tensors that are there. What is wrong with the weights that are run goes to
 * `problems`, what is wrong with the draft stages (which are not) to `unused`. A tensor whose shard is missing is not told
 * again. DR_ERR_NOMEM, DR_ERR_FORMAT (plan.h). */
dr_status dr_binding__match(dr_binding *b, const dr_config *c, const dr_safetensors *files, dr_problems *problems,
                            dr_problems *unused, dr_error *err);
void dr_binding__fini(dr_binding *b);

/* Reads every small tensor, and the scales too when asked: those are a seventeenth of an FP4 checkpoint. */
void dr_binding__check(const dr_binding *b, const dr_config *c, bool scales, dr_problems *problems);
/* Bytes of E8M0 scales that are there. */
uint64_t dr_binding__scale_bytes(const dr_binding *b);

/* Bytes that a model of this plan takes in memory: its packed matrices (each on a 64-byte border, a group of wo_a for
 * itself), and what `take` puts into the arena. The one place that knows how large a packed matrix is. */
size_t dr_binding__packed_bytes(const dr_plan *p, const dr_config *c, const dr_ops *ops);
size_t dr_binding__arena_bytes(const dr_plan *p, const dr_config *c);

/* Fills m's vectors and layer tables (m has config, files and arena) and b's jobs; everything is matched and checked.
 * DR_ERR_NOMEM. */
dr_status dr_binding__take(dr_binding *b, dr_model *m, dr_error *err);
/* Packs into `block` (64-byte aligned). Jobs keep their order, so an expert's matrices lie side by side. Values that the
 * backend cannot hold go to `problems`. */
void dr_binding__pack(const dr_binding *b, void *block, const dr_ops *ops, dr_queue *queue, dr_problems *problems);

#endif
