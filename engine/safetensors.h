/* engine/safetensors.h: tensors of a checkpoint folder, mapped read-only.
 *
 * One file `model.safetensors`, or shards named by `model.safetensors.index.json` (a shard is a plain file name in the
 * same folder; nothing else is followed). A header is trusted for nothing: its length, every offset, overlap, shape
 * product and dtype size is checked against the file. Immutable once open; any thread may read. */
#ifndef DR_ENGINE_SAFETENSORS_H
#define DR_ENGINE_SAFETENSORS_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "engine/problems.h"
#include "kernels/ops.h"

enum { DR_TENSOR_DIMS = 4 };

typedef struct dr_tensor {
    dr_str name;
    const char *file; /* the shard it lies in, for messages */
    dr_dtype dtype;   /* I8 in the file is DR_FP4: two values a byte; shape is as stored */
    int32_t n_dims;
    int64_t shape[DR_TENSOR_DIMS];
    const void *data; /* mapped; at any alignment; NULL in a survey when the file ends before it does */
    size_t n_bytes;
} dr_tensor;

/* One file of a checkpoint. */
typedef struct dr_shard {
    const char *name;
    bool there;                /* it could be opened */
    bool readable;             /* ... and its header read: its tensors are known */
    uint64_t n_bytes, n_told;  /* of the file, and what its header says it should be (0: not known) */
    size_t n_tensors, n_index; /* in its header; that the index puts there (0 without an index) */
} dr_shard;

typedef struct dr_safetensors dr_safetensors;

/* Every problem is an error, all of them told. */
dr_status dr_safetensors_open(dr_safetensors **out, const char *folder, dr_error *err);
/* Opens what can be opened of a folder that may be incomplete, and lists the problems. Fails when there is neither a
 * weights file nor an index that can be read. Tensors behind the end of a cut file have data NULL. */
dr_status dr_safetensors_survey(dr_safetensors **out, const char *folder, dr_problems *problems, dr_error *err);
void dr_safetensors_close(dr_safetensors *s);

/* In order of name. */
size_t dr_safetensors_n_shards(const dr_safetensors *s);
const dr_shard *dr_safetensors_shard(const dr_safetensors *s, size_t i);
/* The shard that the index puts a tensor into, whether it is there or not; NULL without an index or when it names none. */
const dr_shard *dr_safetensors_indexed(const dr_safetensors *s, const char *tensor);
/* The index's metadata.total_size, -1 when it has none. */
int64_t dr_safetensors_index_bytes(const dr_safetensors *s);

/* NULL when there is none of that name. Tensors are sorted by name. */
const dr_tensor *dr_safetensors_find(const dr_safetensors *s, const char *name);
size_t dr_safetensors_count(const dr_safetensors *s);
const dr_tensor *dr_safetensors_at(const dr_safetensors *s, size_t i);

/* Identity of a whole checkpoint: headers, sizes and sampled content (64 KiB at 64 evenly spaced places a file), so it is
 * cheap at any size. Two checkpoints that differ only between samples share it; `model check --full` hashes everything.
 */
dr_digest dr_safetensors_identity(const dr_safetensors *s);

/* "F8_E4M3", ... as the file spells it. */
const char *dr_dtype_name(dr_dtype dtype);

/* Parses one header only, for fuzzing and for tools: `header` is the JSON, `data_bytes` what follows it in the file.
 * Returns the number of tensors through *n. */
dr_status dr_safetensors_check_header(dr_str header, uint64_t data_bytes, size_t *n, const char *name, dr_error *err);

#endif
