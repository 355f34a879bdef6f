/* engine/config.h: config.json as an immutable plan, one entry per layer. No model size is known anywhere else.
 *
 * Source: spec 1.1, 1.2, 12. Both naming families of keys are read (the Hugging Face one and the reference's own), and
 * what transformers makes of the first when it saves (rope_parameters, layer_types, mlp_layer_types, spec 2.6). A setting
 * that stands there twice has one value: where two names of it differ, nobody could say which of them made the weights. */
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

/* How the matrices of a checkpoint are stored (spec 2.2). What config.json says of it is an expectation: binding goes
 * by the tensors' own dtypes, because the first upload of Flash lacks the key (spec 1.1). */
typedef enum dr_storage { DR_STORED_BF16, DR_STORED_FP8, DR_STORED_FP4 } dr_storage;

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
    /* The DSpark drafts of 0731 (spec 12), in place of the MTP block. They are known by name and shape, not run. */
    int32_t n_drafts, draft_rank, draft_targets; /* stages, rank of the Markov head, layers they listen to */
    int32_t bos_id, eos_id;
    dr_storage linears_as, experts_as;
    bool experts_told;     /* config.json names experts_as; otherwise it is what the first upload of Flash holds */
    dr_layer_plan *layers; /* [n_layers + n_mtp]; MTP entries last */
} dr_config;

enum { DR_MAX_DRAFTS = 8 };

/* json: the text of config.json; `name` stands in messages. Every problem is reported at once (dr_fail_more): missing
 * keys, values out of range, one setting under two names with two values, unknown layer kinds, dims the kernels cannot run (head_dim, q_rank ... not a multiple of
 * 32). DR_ERR_FORMAT. */
dr_status dr_config_parse(dr_config *out, dr_str json, const char *name, dr_error *err);
void dr_config_fini(dr_config *c);

#endif
