/* engine/safetensors_header.h: one header, checked against the bytes that follow it. Internal to safetensors.c. */
#ifndef DR_ENGINE_SAFETENSORS_HEADER_H
#define DR_ENGINE_SAFETENSORS_HEADER_H

#include "base/arena.h"
#include "engine/problems.h"
#include "engine/safetensors.h"

typedef struct dr_tensor_list {
    dr_tensor *items;
    size_t n, cap;
} dr_tensor_list;

/* Appends the tensors of one header; names live in `names`, data points into `data` (which may be NULL: checks only).
 * A tensor that the file is too short for has data NULL. `file` is kept. *told: bytes of data that the header
 * describes. Every problem of the header goes to `problems`; DR_ERR_FORMAT when the header cannot be read at all,
 * DR_ERR_NOMEM. On failure what was appended is unspecified. */
dr_status dr_safetensors__parse_header(dr_tensor_list *out, uint64_t *told, dr_arena *names, dr_str header,
                                       const uint8_t *data, uint64_t data_bytes, const char *file, dr_problems *problems);

#endif
