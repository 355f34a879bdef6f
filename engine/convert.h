/* engine/convert.h: a checkpoint with transformers' names, written again in the official layout.
 *
 * Names, slices of fused experts and the configuration change; values do not, but for matrices and the embedding saved as
 * F32, which the layout holds as BF16 (rounded to nearest, ties to even, counted in the report). Scales saved as F32 become
 * E8M0 when they are powers of two, as all published ones are. An MTP block is not among what transformers saves: without
 * one the configuration says so.
 *
 * The result appears under its name whole or not at all: it is written beside it, checked (check.h), and renamed. */
#ifndef DR_ENGINE_CONVERT_H
#define DR_ENGINE_CONVERT_H

#include "base/bytes.h"

typedef struct dr_convert_options {
    uint64_t shard_bytes; /* 0: DR_SHARD_BYTES. A shard holds at least one tensor */
    /* Called now and then with bytes written; false stops. NULL: none. */
    bool (*progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
} dr_convert_options;

typedef struct dr_convert_report {
    size_t n_tensors, n_shards, n_rounded; /* n_rounded: tensors that were F32 and are BF16 now */
    uint64_t n_bytes;
    bool without_mtp; /* the configuration named an MTP block or drafts, the tensors held none */
} dr_convert_report;

/* `to` must not exist, or be an empty folder. Streams: memory does not grow with the checkpoint, but for the plan.
 * DR_ERR_FORMAT with every tensor that does not fit, DR_ERR_LIMIT when the disk is too small (before anything is written),
 * DR_ERR_IO, DR_ERR_CANCELLED; after a failure nothing is left. */
dr_status dr_convert_run(dr_convert_report *out, const char *from, const char *to, const dr_convert_options *opt,
                         dr_error *err);

#endif
