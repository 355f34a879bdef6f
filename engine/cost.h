/* engine/cost.h: what a configuration costs to hold and to run, from its plan alone: no weights are needed.
 *
 * FLOPs count a multiply-add as two. One token at context N (spec 7):
 *
 *   F(N) = 2 P + sum over layers 4 H c n_kv + n_CSA 2 h_i c_i floor(N / r)
 *   n_kv = min(N, window) + { 0 | min(K, floor(N / r)) | floor(N / r) }
 *
 * P: matrix parameters that one token meets. KV rows are those the backend stores (584 and 68 bytes at official sizes).
 * Predictions are roofs of named devices times an efficiency that is said, no measurements. */
#ifndef DR_ENGINE_COST_H
#define DR_ENGINE_COST_H

#include "engine/config.h"
#include "kernels/ops.h"

typedef struct dr_cost_flops {
    double linear, attention, indexer;
} dr_cost_flops;

/* Values a token meets; embedding, mtp and drafts lie beside the backbone's sum. */
typedef struct dr_cost_parameters {
    int64_t total, active;
    int64_t attention, routed, shared, hyper, head; /* of the active ones: matrices only */
    int64_t embedding, mtp, drafts;
} dr_cost_parameters;

/* Bytes of weights that one token reads at batch 1, as the checkpoint stores them. */
typedef struct dr_cost_bytes {
    double fp8, fp4, bf16, f32;
} dr_cost_bytes;

/* Key-value rows. */
typedef struct dr_cost_kv {
    int32_t n_swa, n_csa, n_hca;      /* layers */
    double csa, csa_index, hca;       /* bytes a token leaves behind, all layers of the kind */
    uint64_t window;                  /* rings of all layers, whatever the length */
    uint64_t total;                   /* at the context */
    double read;                      /* bytes one decoded token reads at the context */
} dr_cost_kv;

/* What this program allocates on the CPU. */
typedef struct dr_cost_memory {
    uint64_t packed;  /* matrices in the backend's layout */
    uint64_t vectors; /* small tensors and tables */
    uint64_t kv;      /* pages of rows at the context */
    uint64_t scratch; /* buffers of a pass, windows, the token list */
    uint64_t total;
} dr_cost_memory;

typedef struct dr_cost {
    int64_t context;
    int32_t chunk;
    uint64_t n_tensors, tensor_bytes, file_bytes;
    dr_cost_parameters parameters;
    dr_cost_flops decode, prefill; /* of a token at the context; the mean over a prompt of that length, without the head */
    dr_cost_bytes weights;
    double packed_read; /* bytes of packed matrices one token reads here */
    dr_cost_kv kv;
    dr_cost_memory memory;
    /* DeepSeek-V3.2 at the same context, and this model's share of it; fp8: BF16 attention counted twice and an FP4
     * indexer half, as the published comparison does (spec 7) */
    dr_cost_flops v32_decode;
    uint64_t v32_kv;
    double flops_share, fp8_share, kv_share;
} dr_cost;

/* chunk: tokens of one prefill pass, a multiple of 128. DR_ERR_FORMAT for an absurd configuration, DR_ERR_NOMEM. */
dr_status dr_cost_compute(dr_cost *out, const dr_config *c, const dr_ops *ops, int64_t context, int32_t chunk,
                          dr_error *err);

/* A device by its data sheet. */
typedef struct dr_cost_device {
    const char *name, *source;
    double bandwidth;    /* bytes a second */
    double flops;        /* dense, in the form named by `form` */
    double memory;       /* bytes; 0: as fitted */
    bool cpu;            /* runs this program today: weights as packed here; otherwise as stored */
} dr_cost_device;

typedef struct dr_cost_speed {
    int32_t n_devices; /* that hold weights and KV; 0: memory as fitted */
    double decode, prefill; /* tokens a second, one stream, on that many devices */
} dr_cost_speed;

#define DR_COST_BANDWIDTH_SHARE 0.65 /* of the roof that decoding reaches */
#define DR_COST_FLOPS_SHARE 0.50     /* ... that prefill does */

const dr_cost_device *dr_cost_devices(size_t *n);
dr_cost_speed dr_cost_predict(const dr_cost *c, const dr_cost_device *d);

double dr_cost_flops_sum(const dr_cost_flops *f);
double dr_cost_bytes_sum(const dr_cost_bytes *b);

#endif
