#include "engine/plan.h"

#include "engine/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes that the rows below name. */
typedef enum dim {
    NONE, /* a vector has no second size */
    ONE,
    THREE,
    DIM,
    VOCAB,
    N_ACTIVE,
    N_EXPERTS,
    EXPERT_DIM,
    SHARED_DIM,
    STREAMS_DIM, /* hc_mult * dim */
    HC_ROWS,     /* (2 + hc_mult) * hc_mult */
    HC_MULT,
    N_HEADS,
    HEADS_DIM, /* n_heads * head_dim */
    HEAD_DIM,
    Q_RANK,
    O_RANKS,   /* o_groups * o_rank */
    GROUP_DIM, /* what one group of heads puts out */
    RATIO,
    ENTRY_WIDTH, /* twice head_dim when blocks overlap (spec 3.7) */
    INDEX_DIM,
    INDEX_WIDTH,
    INDEX_HEADS,
    INDEX_HEADS_DIM,
    TARGETS_DIM, /* draft_targets * dim */
    DRAFT_RANK,
    DIM_AND_RANK, /* dim + draft_rank */
    N_DIMS,
} dim;

/* Blocks that have a weight. */
enum {
    COMPRESSED = 1,
    INDEXED = 2,
    HASHED = 4,
    SCORED = 8,
    MTP = 16,
    FIRST_DRAFT = 32,
    LAST_DRAFT = 64,
    EVERY = 128,
};

typedef struct row {
    dr_slot slot;
    const char *name;
    dr_form form;
    dim n, k;
    unsigned blocks;
} row;

/* spec 2.3, in the order of the forward pass. */
static const row before_experts[] = {
    {DR_SLOT_ATTN_NORM, "attn_norm.weight", DR_FORM_BF16, DIM, NONE, EVERY},
    {DR_SLOT_HC_ATTN_FN, "hc_attn_fn", DR_FORM_F32, HC_ROWS, STREAMS_DIM, EVERY},
    {DR_SLOT_HC_ATTN_BASE, "hc_attn_base", DR_FORM_F32, HC_ROWS, NONE, EVERY},
    {DR_SLOT_HC_ATTN_SCALE, "hc_attn_scale", DR_FORM_F32, THREE, NONE, EVERY},
    {DR_SLOT_WQ_A, "attn.wq_a", DR_FORM_LINEAR, Q_RANK, DIM, EVERY},
    {DR_SLOT_Q_NORM, "attn.q_norm.weight", DR_FORM_BF16, Q_RANK, NONE, EVERY},
    {DR_SLOT_WQ_B, "attn.wq_b", DR_FORM_LINEAR, HEADS_DIM, Q_RANK, EVERY},
    {DR_SLOT_WKV, "attn.wkv", DR_FORM_LINEAR, HEAD_DIM, DIM, EVERY},
    {DR_SLOT_KV_NORM, "attn.kv_norm.weight", DR_FORM_BF16, HEAD_DIM, NONE, EVERY},
    {DR_SLOT_ATTN_SINK, "attn.attn_sink", DR_FORM_F32, N_HEADS, NONE, EVERY},
    {DR_SLOT_COMPRESSOR_WKV, "attn.compressor.wkv.weight", DR_FORM_PLAIN, ENTRY_WIDTH, DIM, COMPRESSED},
    {DR_SLOT_COMPRESSOR_WGATE, "attn.compressor.wgate.weight", DR_FORM_PLAIN, ENTRY_WIDTH, DIM, COMPRESSED},
    {DR_SLOT_COMPRESSOR_APE, "attn.compressor.ape", DR_FORM_F32, RATIO, ENTRY_WIDTH, COMPRESSED},
    {DR_SLOT_COMPRESSOR_NORM, "attn.compressor.norm.weight", DR_FORM_BF16, HEAD_DIM, NONE, COMPRESSED},
    {DR_SLOT_INDEX_WKV, "attn.indexer.compressor.wkv.weight", DR_FORM_PLAIN, INDEX_WIDTH, DIM, INDEXED},
    {DR_SLOT_INDEX_WGATE, "attn.indexer.compressor.wgate.weight", DR_FORM_PLAIN, INDEX_WIDTH, DIM, INDEXED},
    {DR_SLOT_INDEX_APE, "attn.indexer.compressor.ape", DR_FORM_F32, RATIO, INDEX_WIDTH, INDEXED},
    {DR_SLOT_INDEX_NORM, "attn.indexer.compressor.norm.weight", DR_FORM_BF16, INDEX_DIM, NONE, INDEXED},
    {DR_SLOT_INDEX_WQ_B, "attn.indexer.wq_b", DR_FORM_LINEAR, INDEX_HEADS_DIM, Q_RANK, INDEXED},
    {DR_SLOT_INDEX_WEIGHTS, "attn.indexer.weights_proj.weight", DR_FORM_PLAIN, INDEX_HEADS, DIM, INDEXED},
    {DR_SLOT_WO_A, "attn.wo_a", DR_FORM_LINEAR, O_RANKS, GROUP_DIM, EVERY},
    {DR_SLOT_WO_B, "attn.wo_b", DR_FORM_LINEAR, DIM, O_RANKS, EVERY},
    {DR_SLOT_FFN_NORM, "ffn_norm.weight", DR_FORM_BF16, DIM, NONE, EVERY},
    {DR_SLOT_HC_FFN_FN, "hc_ffn_fn", DR_FORM_F32, HC_ROWS, STREAMS_DIM, EVERY},
    {DR_SLOT_HC_FFN_BASE, "hc_ffn_base", DR_FORM_F32, HC_ROWS, NONE, EVERY},
    {DR_SLOT_HC_FFN_SCALE, "hc_ffn_scale", DR_FORM_F32, THREE, NONE, EVERY},
    {DR_SLOT_GATE, "ffn.gate.weight", DR_FORM_PLAIN, N_EXPERTS, DIM, EVERY},
    {DR_SLOT_TID2EID, "ffn.gate.tid2eid", DR_FORM_IDS, VOCAB, N_ACTIVE, HASHED},
    {DR_SLOT_GATE_BIAS, "ffn.gate.bias", DR_FORM_F32, N_EXPERTS, NONE, SCORED},
};
/* ffn.experts.E.NAME, once for each E, side by side: decoding reads the three of an expert together. */
static const row of_an_expert[] = {
    {DR_SLOT_W1, "w1", DR_FORM_EXPERT, EXPERT_DIM, DIM, EVERY},
    {DR_SLOT_W3, "w3", DR_FORM_EXPERT, EXPERT_DIM, DIM, EVERY},
    {DR_SLOT_W2, "w2", DR_FORM_EXPERT, DIM, EXPERT_DIM, EVERY},
};
static const row after_experts[] = {
    {DR_SLOT_SHARED_W1, "ffn.shared_experts.w1", DR_FORM_LINEAR, SHARED_DIM, DIM, EVERY},
    {DR_SLOT_SHARED_W3, "ffn.shared_experts.w3", DR_FORM_LINEAR, SHARED_DIM, DIM, EVERY},
    {DR_SLOT_SHARED_W2, "ffn.shared_experts.w2", DR_FORM_LINEAR, DIM, SHARED_DIM, EVERY},
    {DR_SLOT_ENORM, "enorm.weight", DR_FORM_BF16, DIM, NONE, MTP},
    {DR_SLOT_HNORM, "hnorm.weight", DR_FORM_BF16, DIM, NONE, MTP},
    {DR_SLOT_E_PROJ, "e_proj", DR_FORM_LINEAR, DIM, DIM, MTP},
    {DR_SLOT_H_PROJ, "h_proj", DR_FORM_LINEAR, DIM, DIM, MTP},
    {DR_SLOT_MAIN_PROJ, "main_proj", DR_FORM_LINEAR, DIM, TARGETS_DIM, FIRST_DRAFT},
    {DR_SLOT_MAIN_NORM, "main_norm.weight", DR_FORM_BF16, DIM, NONE, FIRST_DRAFT},
    {DR_SLOT_MARKOV_W1, "markov_head.markov_w1.weight", DR_FORM_PLAIN, VOCAB, DRAFT_RANK, LAST_DRAFT},
    {DR_SLOT_MARKOV_W2, "markov_head.markov_w2.weight", DR_FORM_PLAIN, VOCAB, DRAFT_RANK, LAST_DRAFT},
    {DR_SLOT_CONFIDENCE, "confidence_head.proj.weight", DR_FORM_PLAIN, ONE, DIM_AND_RANK, LAST_DRAFT},
};
static const row output[] = {
    {DR_SLOT_OUT_HC_FN, "hc_head_fn", DR_FORM_F32, HC_MULT, STREAMS_DIM, EVERY},
    {DR_SLOT_OUT_HC_BASE, "hc_head_base", DR_FORM_F32, HC_MULT, NONE, EVERY},
    {DR_SLOT_OUT_HC_SCALE, "hc_head_scale", DR_FORM_F32, ONE, NONE, EVERY},
    {DR_SLOT_OUT_NORM, "norm.weight", DR_FORM_BF16, DIM, NONE, EVERY},
};
static const row embedding = {DR_SLOT_EMBED, "embed.weight", DR_FORM_TABLE, VOCAB, DIM, EVERY};
static const row head = {DR_SLOT_HEAD, "head.weight", DR_FORM_PLAIN, VOCAB, DIM, EVERY};

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

/* The plan being written. */
typedef struct planner {
    dr_plan *plan;
    int64_t dims[N_DIMS];
    char prefix[24];
    dr_plan_part part;
    int32_t layer;
} planner;

static void set_dims(int64_t d[N_DIMS], const dr_config *c, const dr_layer_plan *l)
{
    const int64_t overlap = l && l->kind == DR_ATTENTION_CSA ? 2 : 1, s = c->hc_mult;
    const int64_t sizes[N_DIMS] = {
        [NONE] = -1,
        [ONE] = 1,
        [THREE] = 3,
        [DIM] = c->dim,
        [VOCAB] = c->vocab,
        [N_ACTIVE] = c->n_active,
        [N_EXPERTS] = c->n_experts,
        [EXPERT_DIM] = c->expert_dim,
        [SHARED_DIM] = (int64_t)c->n_shared * c->expert_dim,
        [STREAMS_DIM] = s * c->dim,
        [HC_ROWS] = (2 + s) * s,
        [HC_MULT] = s,
        [N_HEADS] = c->n_heads,
        [HEADS_DIM] = (int64_t)c->n_heads * c->head_dim,
        [HEAD_DIM] = c->head_dim,
        [Q_RANK] = c->q_rank,
        [O_RANKS] = (int64_t)c->o_groups * c->o_rank,
        [GROUP_DIM] = (int64_t)c->n_heads * c->head_dim / c->o_groups,
        [RATIO] = l ? l->ratio : 0,
        [ENTRY_WIDTH] = overlap * c->head_dim,
        [INDEX_DIM] = c->index_dim,
        [INDEX_WIDTH] = 2 * (int64_t)c->index_dim,
        [INDEX_HEADS] = c->index_heads,
        [INDEX_HEADS_DIM] = (int64_t)c->index_heads * c->index_dim,
        [TARGETS_DIM] = (int64_t)c->draft_targets * c->dim,
        [DRAFT_RANK] = c->draft_rank,
        [DIM_AND_RANK] = (int64_t)c->dim + c->draft_rank,
    };
    memcpy(d, sizes, sizeof sizes);
}

static void add(planner *p, const row *r, int32_t expert)
{
    dr_plan_weight *w = &p->plan->weights[p->plan->n++];
    char of[24] = "";

    if (expert >= 0)
        (void)snprintf(of, sizeof of, "ffn.experts.%d.", expert);
    *w = (dr_plan_weight){.slot = r->slot,
                          .form = r->form,
                          .part = p->part,
                          .layer = p->layer,
                          .expert = expert,
                          .n = p->dims[r->n],
                          .k = p->dims[r->k]};
    const int n = snprintf(w->name, sizeof w->name, "%s%s%s", p->prefix, of, r->name);
    assert(n < (int)sizeof w->name);
    (void)n;
}

static void add_rows(planner *p, const row *rows, size_t n, unsigned blocks)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].blocks & blocks)
            add(p, &rows[i], -1);
}

static void add_block(planner *p, const dr_config *c, const dr_layer_plan *l, unsigned also)
{
    const unsigned blocks = EVERY | also | (l->kind != DR_ATTENTION_SWA ? COMPRESSED : 0) |
                            (l->kind == DR_ATTENTION_CSA ? INDEXED : 0) | (l->hash_routed ? HASHED : SCORED);

    set_dims(p->dims, c, l);
    add_rows(p, before_experts, COUNT(before_experts), blocks);
    for (int32_t e = 0; e < c->n_experts; e++)
        for (size_t i = 0; i < COUNT(of_an_expert); i++)
            add(p, &of_an_expert[i], e);
    add_rows(p, after_experts, COUNT(after_experts), blocks);
    if (also & (MTP | LAST_DRAFT))
        add_rows(p, output, COUNT(output), EVERY);
}

dr_status dr_plan_new(dr_plan *out, const dr_config *c, dr_error *err)
{
    const int64_t blocks = (int64_t)c->n_layers + c->n_mtp + c->n_drafts;
    const int64_t most = blocks * (int64_t)(COUNT(before_experts) + COUNT(after_experts) + COUNT(output) +
                                            COUNT(of_an_expert) * (size_t)c->n_experts) +
                         (int64_t)COUNT(output) + 2;
    planner p = {.plan = out, .layer = -1};

    *out = (dr_plan){0};
    if (most > DR_PLAN_MAX_WEIGHTS)
        return dr_fail(err, DR_ERR_FORMAT, "%lld blocks of %d experts: more than %d weights, which no checkpoint has",
                       (long long)blocks, c->n_experts, DR_PLAN_MAX_WEIGHTS);
    if (!(out->weights = malloc((size_t)most * sizeof *out->weights)))
        return dr_fail(err, DR_ERR_NOMEM, "the plan of a checkpoint: out of memory");
    set_dims(p.dims, c, NULL);
    add(&p, &embedding, -1);
    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++) {
        const bool mtp = i >= c->n_layers;
        (void)snprintf(p.prefix, sizeof p.prefix, "%s.%d.", mtp ? "mtp" : "layers", mtp ? i - c->n_layers : i);
        p.part = mtp ? DR_PART_MTP : DR_PART_BACKBONE;
        p.layer = i;
        add_block(&p, c, &c->layers[i], mtp ? MTP : 0);
    }
    for (int32_t i = 0; i < c->n_drafts; i++) {
        const dr_layer_plan window_only = {0};
        (void)snprintf(p.prefix, sizeof p.prefix, "mtp.%d.", i);
        p.part = DR_PART_DRAFT;
        p.layer = i;
        add_block(&p, c, &window_only, (i == 0 ? FIRST_DRAFT : 0) | (i + 1 == c->n_drafts ? LAST_DRAFT : 0));
    }
    p = (planner){.plan = out, .layer = -1};
    set_dims(p.dims, c, NULL);
    add_rows(&p, output, COUNT(output), EVERY);
    add(&p, &head, -1);
    return DR_OK;
}

void dr_plan_fini(dr_plan *p)
{
    free(p->weights);
    *p = (dr_plan){0};
}

int64_t dr_plan_values(const dr_plan_weight *w)
{
    return w->k < 0 ? w->n : w->n * w->k;
}

uint64_t dr_dtype_bytes(dr_dtype dtype, uint64_t n_values)
{
    switch (dtype) {
    case DR_F32: return 4 * n_values;
    case DR_BF16: return 2 * n_values;
    case DR_F8_E4M3: return n_values;
    case DR_F8_E8M0: return n_values;
    case DR_FP4: return n_values / 2;
    case DR_I64: return 8 * n_values;
    }
    return 0;
}

static dr_plan_tensor tensor(const char *name, const char *ending, dr_dtype dtype, int64_t n, int64_t k)
{
    dr_plan_tensor t = {.dtype = dtype, .n_dims = k < 0 ? 1 : 2, .shape = {n, k < 0 ? 0 : k}};

    (void)snprintf(t.name, sizeof t.name, "%s%s", name, ending);
    t.n_bytes = dr_dtype_bytes(dtype, (uint64_t)n * (uint64_t)(k < 0 ? 1 : k));
    if (dtype == DR_FP4)
        t.shape[1] = k / 2;
    return t;
}

int dr_plan_tensors(dr_plan_tensor out[2], const dr_plan_weight *w, dr_storage as)
{
    const int64_t tiles_n = (w->n + DR_SCALE_TILE - 1) / DR_SCALE_TILE, tiles_k = (w->k + DR_SCALE_TILE - 1) / DR_SCALE_TILE;

    switch (w->form) {
    case DR_FORM_F32: out[0] = tensor(w->name, "", DR_F32, w->n, w->k); return 1;
    case DR_FORM_IDS: out[0] = tensor(w->name, "", DR_I64, w->n, w->k); return 1;
    case DR_FORM_BF16:
    case DR_FORM_TABLE:
    case DR_FORM_PLAIN: out[0] = tensor(w->name, "", DR_BF16, w->n, w->k); return 1;
    case DR_FORM_LINEAR:
    case DR_FORM_EXPERT: break;
    }
    if (as == DR_STORED_BF16) {
        out[0] = tensor(w->name, ".weight", DR_BF16, w->n, w->k);
        return 1;
    }
    if (as == DR_STORED_FP8) {
        out[0] = tensor(w->name, ".weight", DR_F8_E4M3, w->n, w->k);
        out[1] = tensor(w->name, ".scale", DR_F8_E8M0, tiles_n, tiles_k);
    } else {
        out[0] = tensor(w->name, ".weight", DR_FP4, w->n, w->k);
        out[1] = tensor(w->name, ".scale", DR_F8_E8M0, w->n, w->k / DR_SCALE_GROUP);
    }
    return 2;
}

dr_storage dr_plan_storage(const dr_config *c, const dr_plan_weight *w)
{
    return w->form == DR_FORM_EXPERT ? c->experts_as : w->form == DR_FORM_LINEAR ? c->linears_as : DR_STORED_BF16;
}

void dr_plan_total(const dr_plan *p, const dr_config *c, uint64_t *n_tensors, uint64_t *n_bytes)
{
    *n_tensors = *n_bytes = 0;
    for (size_t i = 0; i < p->n; i++) {
        dr_plan_tensor t[2];
        const int n = dr_plan_tensors(t, &p->weights[i], dr_plan_storage(c, &p->weights[i]));
        *n_tensors += (uint64_t)n;
        for (int j = 0; j < n; j++)
            *n_bytes += t[j].n_bytes;
    }
}

void dr_plan_parameters(const dr_plan *p, const dr_config *c, int64_t *total, int64_t *active)
{
    int64_t routed = 0;

    *total = 0;
    for (size_t i = 0; i < p->n; i++) {
        const dr_plan_weight *w = &p->weights[i];
        if (w->part != DR_PART_BACKBONE || w->form == DR_FORM_IDS)
            continue;
        *total += dr_plan_values(w);
        routed += w->form == DR_FORM_EXPERT ? dr_plan_values(w) : 0;
    }
    *active = *total - routed / c->n_experts * (c->n_experts - c->n_active) - (int64_t)c->vocab * c->dim;
}

int dr_plan_header_entry(char out[DR_HEADER_ENTRY], const dr_plan_tensor *t, uint64_t begin)
{
    char second[32] = "";

    if (t->n_dims == 2)
        (void)snprintf(second, sizeof second, ",%" PRId64, t->shape[1]);
    return snprintf(out, DR_HEADER_ENTRY,
                    "\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRId64 "%s],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->name,
                    dr_dtype_name(t->dtype), t->shape[0], second, begin, begin + t->n_bytes);
}

uint64_t dr_plan_header_bytes(const dr_plan *p, const dr_config *c)
{
    enum { OF_A_FILE = 10 }; /* its length, and the braces */
    char entry[DR_HEADER_ENTRY];
    uint64_t at = 0, n = OF_A_FILE;

    for (size_t i = 0; i < p->n; i++) {
        dr_plan_tensor t[2];
        const int parts = dr_plan_tensors(t, &p->weights[i], dr_plan_storage(c, &p->weights[i]));
        for (int j = 0; j < parts; j++) {
            if (at && at + t[j].n_bytes > DR_SHARD_BYTES) {
                at = 0;
                n += OF_A_FILE;
            }
            n += (uint64_t)dr_plan_header_entry(entry, &t[j], at) + 1;
            at += t[j].n_bytes;
        }
    }
    return n;
}

const char *dr_storage_name(dr_storage s)
{
    return s == DR_STORED_FP8 ? "FP8" : s == DR_STORED_FP4 ? "FP4" : "BF16";
}
