/* engine/safetensors_header.h: one header, checked against the bytes that follow it. Internal to safetensors.c. */
#ifndef DR_ENGINE_SAFETENSORS_HEADER_H
#define DR_ENGINE_SAFETENSORS_HEADER_H

#include "base/arena.h"
#include "engine/safetensors.h"

typedef struct dr_tensor_list {
    dr_tensor *items;
    size_t n, cap;
} dr_tensor_list;

/* Appends the tensors of one header; names live in `names`, data points into `data` (which may be NULL: checks only,
 * the data pointers then mean nothing). `file` is kept. Every problem of the header is reported at once (dr_fail_more).
 * On failure what was appended is unspecified. */
dr_status dr_safetensors__parse_header(dr_tensor_list *out, dr_arena *names, dr_str header, const uint8_t *data,
                                       uint64_t data_bytes, const char *file, dr_error *err);

#endif
