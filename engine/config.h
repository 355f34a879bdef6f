/* engine/config.h: config.json as an immutable plan, one entry per layer. No model size is known anywhere else.
 *
 * Source: spec 1.1, 1.2. Both naming families of keys are read (the Hugging Face one and the reference's own). */
#ifndef DR_ENGINE_CONFIG_H
#define DR_ENGINE_CONFIG_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum dr_attention_kind { DR_ATTENTION_SWA, DR_ATTENTION_CSA, DR_ATTENTION_HCA } dr_attention_kind;

/* CSA is ratio 4 with an indexer; any other non-zero ratio is HCA. */
typedef struct dr_layer_plan {
    dr_attention_kind kind;
    int32_t ratio;      /* 0 for SWA */
    bool hash_routed;   /* experts by token id (tid2eid) instead of by score */
    bool compress_rope; /* which of the two rope tables: ratio != 0 (spec 3.5) */
} dr_layer_plan;

typedef struct dr_config {
    int32_t vocab, dim, n_layers, n_heads, head_dim, rope_dim;
    int32_t q_rank, o_rank, o_groups;
    int32_t window;
    int32_t index_heads, index_dim, index_topk;
    int32_t n_experts, n_active, n_shared, expert_dim, n_hash_layers;
    float route_scale, swiglu_limit;
    int32_t hc_mult, sinkhorn_iters;
    float hc_eps, norm_eps;
    double rope_theta, compress_rope_theta, rope_factor, beta_fast, beta_slow;
    int64_t original_context, max_context;
    int32_t n_mtp; /* MTP blocks; 0 or 1 here */
    int32_t bos_id, eos_id;
    dr_layer_plan *layers; /* [n_layers + n_mtp]; MTP entries last */
} dr_config;

/* json: the text of config.json; `name` stands in messages. Every problem is reported at once (dr_fail_more): missing
 * keys, values out of range, unknown layer kinds, dims the kernels cannot run (head_dim, q_rank ... not a multiple of
 * 32). DR_ERR_FORMAT. */
dr_status dr_config_parse(dr_config *out, dr_str json, const char *name, dr_error *err);
void dr_config_fini(dr_config *c);

#endif
