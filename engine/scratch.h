/* engine/scratch.h: every buffer of a forward pass, planned in one table (scratch.c). Internal to engine.
 *
 * Contents live no longer than one pass. Timelines of one queue share one scratch, since only one of them can run at a
 * time. `void *` buffers hold operands (dr_ops.operand_bytes a value). C: rows of a chunk. */
#ifndef DR_ENGINE_SCRATCH_H
#define DR_ENGINE_SCRATCH_H

#include "base/arena.h"
#include "engine/weights.h"

#include <stdatomic.h>

typedef struct dr_scratch {
    atomic_int refs;
    dr_arena *arena;
    int32_t max_chunk;
    int64_t entry_rows; /* rows that `entries` holds */
    int64_t score_values;
    int64_t key_rows;

    /* streams and sub-layer rows */
    float *streams;                 /* [1 + C][hc_mult][dim]; row 0 is the last token of the chunk before (MTP) */
    float *x, *y;                   /* [C][dim] */
    float *post, *comb;             /* [C][hc_mult], [C][hc_mult][hc_mult] */
    void *x_plain, *x_fp8;          /* [C][dim] operands of one x */
    float *cos_main, *cos_compress; /* [C][rope_dim] */

    /* attention */
    float *qr; /* [C][q_rank] */
    void *qr_plain, *qr_fp8;
    float *q, *out; /* [C][n_heads][head_dim] */
    void *out_operand;
    float *kv;                /* [C][head_dim] */
    float *k, *z;             /* [C][2 * head_dim] */
    float *index_k, *index_z; /* [C][2 * index_dim] */
    float *index_q;           /* [C][index_heads][index_dim] */
    void *index_q_operand;
    float *index_w;      /* [C][index_heads] */
    float *group;        /* [C][o_groups][o_rank] */
    int32_t *group_rows; /* [o_groups][C] */
    void *group_operand;
    float *pooled;                               /* [DR_PIECE][head_dim] */
    float *cos_entries;                          /* [DR_PIECE][rope_dim] */
    void *entries;                               /* [entry_rows][head_dim] */
    void *keys;                                  /* [key_rows][index_dim] */
    float *scores;                               /* [score_values] */
    int32_t *n_visible, *n_selected, *n_clipped; /* [DR_PIECE] */
    int32_t *selected;                           /* [DR_PIECE][index_topk] */

    /* experts: slot s of the rows sorted by expert */
    float *gate;               /* [C][n_experts] */
    int32_t *ids;              /* [C][n_active] */
    float *g, *slot_g;         /* [C][n_active] */
    int32_t *slot_row, *place; /* [C * n_active]; [C][n_active] */
    int32_t *first_slot;       /* [n_experts + 1] */
    float *a, *u;              /* [C * n_active][expert_dim] */
    void *h;
    float *parts;               /* [C * n_active][dim] */
    float *shared_a, *shared_u; /* [C][n_shared * expert_dim] */
    void *shared_h;
    float *shared_y; /* [C][dim] */
    dr_gemm *jobs;   /* [2 * n_experts + o_groups + 8] */

    /* MTP */
    float *mtp_h; /* [C][hc_mult][dim] */
    void *mtp_operand;
    float *mtp_streams; /* [C][hc_mult][dim] */
    int32_t *mtp_ids;   /* [C] */

    uint8_t *guard; /* the state before a pass, for a pass that is cancelled */
} dr_scratch;

/* a == NULL: size only. Otherwise carves every buffer from `a`. Returns the bytes needed. */
size_t dr_scratch__plan(dr_scratch *s, dr_arena *a, const dr_model *m, int32_t max_chunk, int64_t max_tokens);

/* One reference. NULL when out of memory. */
dr_scratch *dr_scratch__new(const dr_model *m, int32_t max_chunk, int64_t max_tokens);
dr_scratch *dr_scratch__share(dr_scratch *s);
void dr_scratch__drop(dr_scratch *s);

#endif
