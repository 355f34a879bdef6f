/* engine/convert_parts.h: what convert.c and convert_write.c share. */
#ifndef DR_ENGINE_CONVERT_PARTS_H
#define DR_ENGINE_CONVERT_PARTS_H

#include "engine/convert.h"
#include "engine/plan.h"
#include "engine/safetensors.h"

typedef enum dr_convert_how {
    DR_CONVERT_COPY,
    DR_CONVERT_ROUND,    /* F32 to BF16 */
    DR_CONVERT_EXPONENT, /* F32 powers of two to E8M0 */
} dr_convert_how;

/* A tensor to be written, and where its values come from. */
typedef struct dr_convert_piece {
    dr_plan_tensor to;
    const uint8_t *from;
    dr_convert_how how;
    size_t shard;
} dr_convert_piece;

/* config.json for the official layout: json with the keys of c instead of transformers' own. */
dr_status dr_convert__config(dr_buf *out, dr_str json, const dr_config *c, dr_error *err);

/* Shards, index and config.json into a folder that is there and empty. pieces are in order of shard. */
dr_status dr_convert__write(const char *folder, const dr_convert_piece *pieces, size_t n, size_t n_shards, uint64_t n_bytes,
                            dr_str config, const dr_convert_options *opt, dr_error *err);

#endif
