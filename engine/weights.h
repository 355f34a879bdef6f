/* engine/weights.h: the bound weights, laid out as the forward pass reads them. Internal to engine.
 *
 * A field keeps the checkpoint's name; the key is written once, where it is bound (binding.c). Matrices point into one
 * packed block of the model, vectors into its arena. Immutable after dr_model_open. */
#ifndef DR_ENGINE_WEIGHTS_H
#define DR_ENGINE_WEIGHTS_H

#include "base/arena.h"
#include "engine/layout.h"
#include "engine/model.h"
#include "engine/rope.h"

/* quant is what the checkpoint's dtype asks of the input (spec 5.3): FP8 and FP4 weights were trained on FP8
 * activations; a linear stored as BF16 takes them unquantised. */
typedef struct dr_linear {
    dr_matrix w;
    dr_quant quant;
} dr_linear;

typedef struct dr_compressor {
    dr_linear wkv, wgate; /* [width][dim]; width is dim of an entry, twice that for CSA */
    const float *ape;     /* [ratio][width] */
    const float *norm;    /* [entry dim] */
} dr_compressor;

typedef struct dr_layer {
    dr_layer_plan plan;
    dr_hc hc_attn, hc_ffn;
    const float *attn_norm, *ffn_norm;

    dr_linear wq_a, wq_b, wkv, wo_b;
    dr_linear *wo_a; /* [o_groups]: one block of the block-diagonal product (spec 2.4) */
    const float *q_norm, *kv_norm, *attn_sink;
    dr_compressor compressor, index_compressor;
    dr_linear index_wq_b, index_weights;

    dr_linear gate;
    const float *gate_bias;  /* scored layers */
    const int32_t *tid2eid;  /* hash layers: [vocab][n_active] */
    dr_linear *w1, *w2, *w3; /* [n_experts]; all of a layer take the same quant */
    dr_linear shared_w1, shared_w2, shared_w3;
} dr_layer;

typedef struct dr_head_weights {
    dr_hc hc;
    const float *norm;
} dr_head_weights;

typedef struct dr_mtp_weights {
    const float *enorm, *hnorm;
    dr_linear e_proj, h_proj;
    dr_head_weights head;
} dr_mtp_weights;

struct dr_model {
    dr_config config;
    dr_rope rope;
    dr_layout layout;
    dr_ops ops;
    dr_safetensors *files; /* stay mapped: the embedding is read in place */
    dr_arena *arena;
    void *packed;
    size_t packed_bytes;
    dr_digest identity;
    int64_t n_total, n_active;

    const uint16_t *embed; /* [vocab][dim] BF16; copied when the file has it at an odd address */
    dr_linear head;
    dr_head_weights out;
    dr_layer *layers; /* [n_layers + n_mtp] */
    dr_mtp_weights mtp;
};

enum { DR_CONFIG_BYTES = 1 << 20 };
/* DIR/config.json, its bytes and what they mean. */
dr_status dr_model__read_config(dr_buf *json, dr_config *c, const char *dir, dr_error *err);
/* Names weights and configuration together. */
dr_digest dr_model__identity(const dr_safetensors *files, dr_str config);

#endif
