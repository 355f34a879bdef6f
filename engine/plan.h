/* engine/plan.h: every tensor that a configuration implies, by name, dtype and shape (spec 2.3, 12).
 *
 * The one enumeration of a checkpoint's contents: binding walks it to load, `model check` compares a folder with it,
 * `model plan` prints it, `model cost` adds it up, and a conversion writes it. A weight is what the model computes
 * with; it is stored as one tensor, or as two (NAME.weight and NAME.scale) when it is quantised.
 *
 * Order: embedding; the layers, then the MTP block or the draft stages, each in the order of its forward pass; head.
 * Sizes are bounded by what config.h lets through: no sum of bytes passes 2^62. */
#ifndef DR_ENGINE_PLAN_H
#define DR_ENGINE_PLAN_H

#include "engine/config.h"
#include "kernels/ops.h"

enum {
    DR_SCALE_TILE = 128,         /* one E8M0 scale of an FP8 matrix covers 128 x 128 values */
    DR_SCALE_GROUP = 32,         /* ... of an FP4 matrix 32 values of one row */
    DR_PLAN_MAX_WEIGHTS = 1 << 20, /* Pro has 72,738 */
};

#define DR_SHARD_BYTES UINT64_C(5000000000)

/* What a weight is. Names are those of spec 2.3. */
typedef enum dr_slot {
    DR_SLOT_EMBED,
    DR_SLOT_ATTN_NORM,
    DR_SLOT_HC_ATTN_FN,
    DR_SLOT_HC_ATTN_BASE,
    DR_SLOT_HC_ATTN_SCALE,
    DR_SLOT_WQ_A,
    DR_SLOT_Q_NORM,
    DR_SLOT_WQ_B,
    DR_SLOT_WKV,
    DR_SLOT_KV_NORM,
    DR_SLOT_ATTN_SINK,
    DR_SLOT_COMPRESSOR_WKV,
    DR_SLOT_COMPRESSOR_WGATE,
    DR_SLOT_COMPRESSOR_APE,
    DR_SLOT_COMPRESSOR_NORM,
    DR_SLOT_INDEX_WKV,
    DR_SLOT_INDEX_WGATE,
    DR_SLOT_INDEX_APE,
    DR_SLOT_INDEX_NORM,
    DR_SLOT_INDEX_WQ_B,
    DR_SLOT_INDEX_WEIGHTS,
    DR_SLOT_WO_A,
    DR_SLOT_WO_B,
    DR_SLOT_FFN_NORM,
    DR_SLOT_HC_FFN_FN,
    DR_SLOT_HC_FFN_BASE,
    DR_SLOT_HC_FFN_SCALE,
    DR_SLOT_GATE,
    DR_SLOT_TID2EID,
    DR_SLOT_GATE_BIAS,
    DR_SLOT_W1,
    DR_SLOT_W3,
    DR_SLOT_W2,
    DR_SLOT_SHARED_W1,
    DR_SLOT_SHARED_W3,
    DR_SLOT_SHARED_W2,
    DR_SLOT_ENORM, /* MTP */
    DR_SLOT_HNORM,
    DR_SLOT_E_PROJ,
    DR_SLOT_H_PROJ,
    DR_SLOT_MAIN_PROJ, /* drafts */
    DR_SLOT_MAIN_NORM,
    DR_SLOT_MARKOV_W1,
    DR_SLOT_MARKOV_W2,
    DR_SLOT_CONFIDENCE,
    DR_SLOT_OUT_HC_FN, /* the model's own, that of the MTP block, and that of the last draft stage */
    DR_SLOT_OUT_HC_BASE,
    DR_SLOT_OUT_HC_SCALE,
    DR_SLOT_OUT_NORM,
    DR_SLOT_HEAD,
    DR_N_SLOTS,
} dr_slot;

/* How a weight may be stored. */
typedef enum dr_form {
    DR_FORM_F32,    /* published as F32; BF16 is taken too */
    DR_FORM_BF16,   /* a vector published as BF16; F32 is taken too */
    DR_FORM_TABLE,  /* BF16 only: read in place (the embedding) */
    DR_FORM_IDS,    /* I64 */
    DR_FORM_PLAIN,  /* a matrix that is never quantised: BF16; F32 is taken too */
    DR_FORM_LINEAR, /* a matrix stored as config.linears_as */
    DR_FORM_EXPERT, /* ... as config.experts_as. Of both, any of FP8, FP4 and BF16 is taken */
} dr_form;

typedef enum dr_plan_part { DR_PART_BACKBONE, DR_PART_MTP, DR_PART_DRAFT } dr_plan_part;

enum { DR_WEIGHT_NAME = 64 };

typedef struct dr_plan_weight {
    char name[DR_WEIGHT_NAME]; /* of LINEAR and EXPERT without ".weight" */
    dr_slot slot;
    dr_form form;
    dr_plan_part part;
    int32_t layer;  /* of config.layers (the MTP block: n_layers), a draft's stage, -1 for what belongs to no block */
    int32_t expert; /* -1: none */
    int64_t n, k;   /* values; k < 0: a vector of n */
} dr_plan_weight;

typedef struct dr_plan {
    dr_plan_weight *weights;
    size_t n;
} dr_plan;

/* One tensor of a file: as the safetensors header tells it. */
typedef struct dr_plan_tensor {
    char name[DR_WEIGHT_NAME + 8];
    dr_dtype dtype;
    int32_t n_dims;
    int64_t shape[2]; /* as stored: FP4 has k / 2 */
    uint64_t n_bytes;
} dr_plan_tensor;

/* DR_ERR_FORMAT when the configuration is absurd (more than DR_PLAN_MAX_WEIGHTS), DR_ERR_NOMEM. */
dr_status dr_plan_new(dr_plan *out, const dr_config *c, dr_error *err);
void dr_plan_fini(dr_plan *p);

/* The one or two tensors of w; returns how many. `as` matters to LINEAR and EXPERT only. */
int dr_plan_tensors(dr_plan_tensor out[2], const dr_plan_weight *w, dr_storage as);
/* The storage that the configuration expects of w. */
dr_storage dr_plan_storage(const dr_config *c, const dr_plan_weight *w);
/* All tensors of the plan as the configuration stores them. */
void dr_plan_total(const dr_plan *p, const dr_config *c, uint64_t *n_tensors, uint64_t *n_bytes);
/* What the backbone holds, and what one token reads of it, the embedding table apart: as published figures count. Neither
 * scales nor expert tables are parameters, nor are the MTP block and the drafts of the backbone. */
void dr_plan_parameters(const dr_plan *p, const dr_config *c, int64_t *total, int64_t *active);
/* What the headers of the files take besides, in shards of DR_SHARD_BYTES (the digits of offsets depend on it a little). */
uint64_t dr_plan_header_bytes(const dr_plan *p, const dr_config *c);

/* Values of w: n * k, or n. */
int64_t dr_plan_values(const dr_plan_weight *w);
/* "FP8", "FP4", "BF16". */
const char *dr_storage_name(dr_storage s);
/* Bytes of n_values values of this dtype. */
uint64_t dr_dtype_bytes(dr_dtype dtype, uint64_t n_values);

/* One entry of a safetensors header, `"NAME":{...}`, for data at [begin, begin + n_bytes) of its file. */
enum { DR_HEADER_ENTRY = 256 };
int dr_plan_header_entry(char out[DR_HEADER_ENTRY], const dr_plan_tensor *t, uint64_t begin);

#endif
