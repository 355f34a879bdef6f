#include "engine/cost.h"

#include "engine/binding.h"
#include "engine/decoder.h"

#include <stdlib.h>
#include <string.h>

/* DeepSeek-V3.2, from its published sizes: 61 layers of width 7168 (3 dense of 18432, 58 of 8 + 1 experts of 2048), 128
 * heads, latent 512 + 64, the best 2,048 tokens chosen by an indexer of 64 heads of 128; KV 656 + 132 bytes a token and
 * layer. The active matrices follow: attention and indexer 201.06 M a layer, experts and gate 398.2 M, dense 396.4 M, head
 * 926.7 M. */
static const struct {
    double layers, matrices, heads, latent, value, topk, index_heads, index_dim, kv_bytes;
} v32 = {61, 37.477e9, 128, 576, 512, 2048, 64, 128, 656 + 132};

double dr_cost_flops_sum(const dr_cost_flops *f)
{
    return f->linear + f->attention + f->indexer;
}

double dr_cost_bytes_sum(const dr_cost_bytes *b)
{
    return b->fp8 + b->fp4 + b->bf16 + b->f32;
}

static double at_most(double a, double b)
{
    return a < b ? a : b;
}

/* ---- weights ---- */

static int64_t *part_of(dr_cost_parameters *p, const dr_plan_weight *w)
{
    switch (w->slot) {
    case DR_SLOT_HEAD: return &p->head;
    case DR_SLOT_W1:
    case DR_SLOT_W2:
    case DR_SLOT_W3: return &p->routed;
    case DR_SLOT_GATE:
    case DR_SLOT_SHARED_W1:
    case DR_SLOT_SHARED_W2:
    case DR_SLOT_SHARED_W3: return &p->shared;
    case DR_SLOT_HC_ATTN_FN:
    case DR_SLOT_HC_FFN_FN:
    case DR_SLOT_OUT_HC_FN: return &p->hyper;
    case DR_SLOT_COMPRESSOR_APE:
    case DR_SLOT_INDEX_APE: return NULL; /* added, not multiplied */
    default: return w->k > 0 ? &p->attention : NULL;
    }
}

static void add_bytes(dr_cost_bytes *b, const dr_plan_tensor *t, dr_storage as, double share)
{
    const double n = share * (double)t->n_bytes;
    if (t->dtype == DR_F32)
        b->f32 += n;
    else if (as == DR_STORED_FP8)
        b->fp8 += n; /* scales with what they scale */
    else if (as == DR_STORED_FP4)
        b->fp4 += n;
    else
        b->bf16 += n;
}

static void count_weights(dr_cost *out, const dr_plan *p, const dr_config *c, const dr_ops *ops)
{
    dr_cost_parameters *n = &out->parameters;

    dr_plan_parameters(p, c, &n->total, &n->active);
    for (size_t i = 0; i < p->n; i++) {
        const dr_plan_weight *w = &p->weights[i];
        const dr_storage as = dr_plan_storage(c, w);
        const bool expert = w->form == DR_FORM_EXPERT;
        dr_plan_tensor t[2];
        if (w->part != DR_PART_BACKBONE) {
            if (w->form != DR_FORM_IDS)
                *(w->part == DR_PART_MTP ? &n->mtp : &n->drafts) += dr_plan_values(w);
            continue;
        }
        if (w->form == DR_FORM_TABLE || w->form == DR_FORM_IDS) { /* one row of it a token */
            n->embedding += w->form == DR_FORM_TABLE ? dr_plan_values(w) : 0;
            continue;
        }
        if (expert && w->expert >= c->n_active) /* all experts have the same size: the first stand for those chosen */
            continue;
        int64_t *part = part_of(n, w);
        if (part)
            *part += dr_plan_values(w);
        if (w->form == DR_FORM_PLAIN || w->form == DR_FORM_LINEAR || expert)
            out->packed_read += (double)ops->pack_bytes(w->n, w->k);
        const int tensors = dr_plan_tensors(t, w, as);
        for (int j = 0; j < tensors; j++)
            add_bytes(&out->weights, &t[j], as, 1);
    }
}

/* ---- attention ---- */

/* Entries of ratio r that a token at context n sees. */
static double visible(int64_t n, int32_t r)
{
    const int64_t entries = n / r;
    return (double)entries;
}

/* sum of floor(t / r) for t = 1 .. n */
static double sum_visible(double n, double r)
{
    const double q = (double)(int64_t)(n / r);
    return r * q * (q - 1) / 2 + q * (n - r * q + 1);
}

/* sum of min(limit, floor(t / r)) for t = 1 .. n */
static double sum_clipped(double n, double r, double limit)
{
    const double below = at_most(n, r * limit - 1);
    return sum_visible(below, r) + limit * (n - below);
}

static void count_attention(dr_cost *out, const dr_config *c)
{
    const double n = (double)out->context, row = 4.0 * c->n_heads * c->head_dim;
    const double key = 2.0 * c->index_heads * c->index_dim;
    const int64_t window_rows = (int64_t)at_most(n, c->window);

    for (int32_t i = 0; i < c->n_layers; i++) {
        const dr_layer_plan *l = &c->layers[i];
        double now = (double)window_rows, all = sum_clipped(n, 1, c->window);
        if (l->kind == DR_ATTENTION_CSA) {
            now += at_most(c->index_topk, visible(out->context, l->ratio));
            all += sum_clipped(n, l->ratio, c->index_topk);
            out->decode.indexer += key * visible(out->context, l->ratio);
            out->prefill.indexer += key * sum_visible(n, l->ratio) / n;
        } else if (l->kind == DR_ATTENTION_HCA) {
            now += visible(out->context, l->ratio);
            all += sum_visible(n, l->ratio);
        }
        out->decode.attention += row * now;
        out->prefill.attention += row * all / n;
    }
}

/* ---- rows ---- */

static void count_kv(dr_cost *out, const dr_config *c, const dr_ops *ops)
{
    dr_cost_kv *kv = &out->kv;
    const size_t row = ops->kv_row_bytes(c->head_dim, c->rope_dim), index_row = ops->index_row_bytes(c->index_dim);
    const int64_t window_rows = (int64_t)at_most((double)out->context, c->window);

    kv->window = (uint64_t)c->n_layers * (uint64_t)c->window * row;
    kv->total = kv->window;
    for (int32_t i = 0; i < c->n_layers; i++) {
        const dr_layer_plan *l = &c->layers[i];
        const double entries = l->ratio ? visible(out->context, l->ratio) : 0;
        double read = (double)window_rows * (double)row;
        kv->n_swa += l->kind == DR_ATTENTION_SWA;
        kv->n_csa += l->kind == DR_ATTENTION_CSA;
        kv->n_hca += l->kind == DR_ATTENTION_HCA;
        if (l->kind == DR_ATTENTION_CSA) {
            kv->csa += (double)row / l->ratio;
            kv->csa_index += (double)index_row / l->ratio;
            kv->total += (uint64_t)entries * (row + index_row);
            read += at_most(c->index_topk, entries) * (double)row + entries * (double)index_row;
        } else if (l->kind == DR_ATTENTION_HCA) {
            kv->hca += (double)row / l->ratio;
            kv->total += (uint64_t)entries * row;
            read += entries * (double)row;
        }
        kv->read += read;
    }
}

static dr_status count_memory(dr_cost *out, const dr_plan *p, const dr_config *c, const dr_ops *ops, dr_error *err)
{
    dr_model *shell = calloc(1, sizeof *shell); /* sizes only: a decoder's plan asks for nothing else of it */
    dr_status st;

    if (!shell)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    shell->config = *c;
    shell->ops = *ops;
    if ((st = dr_layout__init(&shell->layout, c, ops, err)) == DR_OK) {
        const uint64_t pages = ((uint64_t)out->context + DR_BLOCK_TOKENS - 1) / DR_BLOCK_TOKENS;
        out->memory.packed = dr_binding__packed_bytes(p, c, ops);
        out->memory.vectors = dr_binding__arena_bytes(p, c);
        out->memory.kv = pages * shell->layout.page_bytes;
        out->memory.scratch = dr_decoder_plan(shell, out->chunk, out->context, NULL);
        out->memory.total = out->memory.packed + out->memory.vectors + out->memory.kv + out->memory.scratch;
        dr_layout__fini(&shell->layout);
    }
    free(shell);
    return st;
}

static void compare(dr_cost *out)
{
    const double n = (double)out->context, seen = at_most(n, v32.topk);
    dr_cost_flops *f = &out->v32_decode;

    f->linear = 2 * v32.matrices;
    f->attention = v32.layers * v32.heads * 2 * (v32.latent + v32.value) * seen;
    f->indexer = v32.layers * 2 * v32.index_heads * v32.index_dim * n;
    out->v32_kv = (uint64_t)(v32.layers * v32.kv_bytes * n);
    out->flops_share = dr_cost_flops_sum(&out->decode) / dr_cost_flops_sum(f);
    out->fp8_share = (out->decode.linear + 2 * out->decode.attention + out->decode.indexer / 2) /
                     (f->linear + 2 * f->attention + f->indexer);
    out->kv_share = (double)out->kv.total / (double)out->v32_kv;
}

dr_status dr_cost_compute(dr_cost *out, const dr_config *c, const dr_ops *ops, int64_t context, int32_t chunk,
                          dr_error *err)
{
    dr_status st;
    dr_plan p;

    *out = (dr_cost){.context = context, .chunk = chunk};
    if ((st = dr_plan_new(&p, c, err)) != DR_OK)
        return st;
    dr_plan_total(&p, c, &out->n_tensors, &out->tensor_bytes);
    out->file_bytes = out->tensor_bytes + dr_plan_header_bytes(&p, c);
    count_weights(out, &p, c, ops);
    const dr_cost_parameters *n = &out->parameters;
    out->prefill.linear = 2.0 * (double)(n->attention + n->routed + n->shared + n->hyper);
    out->decode.linear = out->prefill.linear + 2.0 * (double)n->head;
    count_attention(out, c);
    count_kv(out, c, ops);
    compare(out);
    st = count_memory(out, &p, c, ops, err);
    dr_plan_fini(&p);
    return st;
}

/* ---- devices ---- */

/* Makers' data sheets: memory, memory bandwidth, and the dense rate in FP8 (GPUs) or BF16 (processors: instructions a cycle
 * times cores times a sustained clock). */
static const dr_cost_device devices[] = {
    {"NVIDIA H100 SXM", "data sheet: 80 GB, 3.35 TB/s, 1,979 TFLOP/s FP8 dense", 3.35e12, 1979e12, 80e9, false},
    {"NVIDIA H200", "data sheet: 141 GB, 4.8 TB/s, 1,979 TFLOP/s FP8 dense", 4.8e12, 1979e12, 141e9, false},
    {"NVIDIA B200", "data sheet: 180 GB, 7.7 TB/s, 4,500 TFLOP/s FP8 dense", 7.7e12, 4500e12, 180e9, false},
    {"NVIDIA RTX PRO 6000", "data sheet: 96 GB, 1.79 TB/s, 1,000 TFLOP/s FP8 dense", 1.79e12, 1000e12, 96e9, false},
    {"NVIDIA DGX Spark", "data sheet: 128 GB, 273 GB/s, 250 TFLOP/s FP8 dense", 273e9, 250e12, 128e9, false},
    {"Xeon 6980P, 12 MRDIMM-8800", "844.8 GB/s; AMX BF16: 2,048 a cycle, 128 cores, 2.0 GHz", 844.8e9, 524e12, 0, true},
    {"EPYC 9755, 12 DDR5-6000", "576 GB/s; AVX-512 BF16: 128 a cycle, 128 cores, 2.7 GHz", 576e9, 44e12, 0, true},
    {"desktop, 2 DDR5-5600", "89.6 GB/s; AVX2 in F32: 32 a cycle, 16 cores, 4.5 GHz", 89.6e9, 2.3e12, 0, true},
};

const dr_cost_device *dr_cost_devices(size_t *n)
{
    *n = sizeof devices / sizeof devices[0];
    return devices;
}

dr_cost_speed dr_cost_predict(const dr_cost *c, const dr_cost_device *d)
{
    const double stored = (double)c->tensor_bytes + (double)c->kv.total;
    const int32_t n = d->memory > 0 ? (int32_t)(stored / d->memory) + 1 : 0;
    const double devices_used = n ? n : 1;
    const double bytes = (d->cpu ? c->packed_read : dr_cost_bytes_sum(&c->weights)) + c->kv.read;
    const double flops = d->flops * devices_used * DR_COST_FLOPS_SHARE;
    const double reading = bytes / (d->bandwidth * devices_used * DR_COST_BANDWIDTH_SHARE),
                 computing = dr_cost_flops_sum(&c->decode) / flops;

    return (dr_cost_speed){.n_devices = n,
                           .decode = 1 / (reading > computing ? reading : computing),
                           .prefill = flops / dr_cost_flops_sum(&c->prefill)};
}
