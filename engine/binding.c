#include "engine/binding.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- match: headers against the plan ---- */

typedef struct matcher {
    dr_binding *b;
    const dr_config *c;
    const dr_safetensors *files;
    dr_problems *problems; /* of the weight under way */
    bool *used;            /* [tensors] */
} matcher;

static void shape_text(char out[64], int32_t n_dims, const int64_t *shape)
{
    size_t at = 0;
    out[0] = 0;
    for (int32_t i = 0; i < n_dims && at < 48; i++)
        at += (size_t)snprintf(out + at, 64 - at, "%s%lld", i ? "x" : "", (long long)shape[i]);
}

static const dr_tensor *find(const matcher *x, const char *name)
{
    const dr_tensor *t = dr_safetensors_find(x->files, name);
    if (t)
        x->used[t - dr_safetensors_at(x->files, 0)] = true;
    return t;
}

/* Is the file that has to hold it missing or unreadable? That has been told. Without an index there is one file. */
static bool is_unseen(const matcher *x, const char *name)
{
    const dr_shard *s = dr_safetensors_indexed(x->files, name);
    if (!s && dr_safetensors_n_shards(x->files) == 1)
        s = dr_safetensors_shard(x->files, 0);
    return s && !s->readable;
}

static void missing(const matcher *x, const char *name, const char *expected)
{
    const dr_shard *s = dr_safetensors_indexed(x->files, name);
    if (!is_unseen(x, name))
        dr_problems_add(x->problems, DR_PROBLEM_MISSING, s ? s->name : NULL, "%s: missing, expected %s", name, expected);
}

static bool has_shape(const dr_tensor *t, const dr_plan_tensor *want)
{
    if (t->n_dims != want->n_dims)
        return false;
    for (int32_t i = 0; i < t->n_dims; i++)
        if (t->shape[i] != want->shape[i])
            return false;
    return true;
}

/* The tensor when it is there in this shape and one of these dtypes (a mask of 1 << dr_dtype), or NULL and a problem. */
static const dr_tensor *want(const matcher *x, const dr_plan_tensor *want, unsigned dtypes, const char *dtype_names)
{
    const dr_tensor *t = find(x, want->name);
    char shape[64], found[64], expected[128];

    shape_text(shape, want->n_dims, want->shape);
    (void)snprintf(expected, sizeof expected, "%s %s", dtype_names, shape);
    if (!t) {
        missing(x, want->name, expected);
        return NULL;
    }
    if (has_shape(t, want) && (dtypes >> t->dtype & 1))
        return t;
    shape_text(found, t->n_dims, t->shape);
    dr_problems_add(x->problems, DR_PROBLEM_SHAPE, t->file, "%s: %s %s, expected %s", want->name, dr_dtype_name(t->dtype),
                    found, expected);
    return NULL;
}

/* A matrix goes by its own dtype, whatever the configuration says (spec 1.1). */
static void match_matrix(const matcher *x, const dr_plan_weight *w, dr_bound *to)
{
    static const struct {
        dr_dtype dtype;
        dr_storage as;
    } forms[] = {{DR_F8_E4M3, DR_STORED_FP8}, {DR_FP4, DR_STORED_FP4}, {DR_BF16, DR_STORED_BF16}};
    dr_plan_tensor t[2];
    char expected[128], found[64];

    (void)snprintf(expected, sizeof expected, "F8_E4M3 or BF16 %lldx%lld or I8 %lldx%lld", (long long)w->n, (long long)w->k,
                   (long long)w->n, (long long)(w->k / 2));
    (void)dr_plan_tensors(t, w, DR_STORED_FP8);
    const dr_tensor *weight = find(x, t[0].name), *scale = find(x, t[1].name);
    if (!weight) {
        missing(x, t[0].name, expected);
        return;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (weight->dtype != forms[i].dtype)
            continue;
        const int n = dr_plan_tensors(t, w, forms[i].as);
        if (!has_shape(weight, &t[0]))
            break;
        if (n == 2 && !(to->scale = want(x, &t[1], 1u << DR_F8_E8M0, "F8_E8M0")))
            return;
        if (n == 1 && scale)
            dr_problems_add(x->problems, DR_PROBLEM_EXTRA, scale->file, "%.*s: a scale of a matrix that is not quantised",
                            (int)scale->name.n, scale->name.s);
        to->tensor = weight;
        to->as = forms[i].as;
        return;
    }
    shape_text(found, weight->n_dims, weight->shape);
    dr_problems_add(x->problems, DR_PROBLEM_SHAPE, weight->file, "%s: %s %s, expected %s", t[0].name,
                    dr_dtype_name(weight->dtype), found, expected);
}

static void match_weight(const matcher *x, const dr_plan_weight *w, dr_bound *to)
{
    const unsigned small = 1u << DR_F32 | 1u << DR_BF16;
    dr_plan_tensor t[2];

    (void)dr_plan_tensors(t, w, DR_STORED_BF16);
    switch (w->form) {
    case DR_FORM_F32:
    case DR_FORM_BF16: to->tensor = want(x, &t[0], small, "F32 or BF16"); break;
    case DR_FORM_PLAIN: to->tensor = want(x, &t[0], small, "BF16"); break;
    case DR_FORM_TABLE: to->tensor = want(x, &t[0], 1u << DR_BF16, "BF16"); break;
    case DR_FORM_IDS: to->tensor = want(x, &t[0], 1u << DR_I64, "I64"); break;
    case DR_FORM_LINEAR:
    case DR_FORM_EXPERT: match_matrix(x, w, to); break;
    }
}

/* The experts of a layer are multiplied in one call, so their inputs are quantised alike or not at all. */
static void match_experts(const matcher *x, const dr_plan_weight *w, const dr_bound *found, size_t first)
{
    enum { W2_AFTER_W1 = 2 }; /* w2 has inputs of its own */
    const dr_bound *like = &x->b->bound[w->slot == DR_SLOT_W2 ? first + W2_AFTER_W1 : first];
    if (found->tensor && like->tensor && (found->as != DR_STORED_BF16) != (like->as != DR_STORED_BF16))
        dr_problems_add(x->problems, DR_PROBLEM_SHAPE, found->tensor->file,
                        "%s: quantised unlike expert 0, expected all experts of a layer stored alike", w->name);
}

/* What uploads carry beside the model: rotary buffers, copies of embedding and head in the MTP block (spec 2.3), and
 * blocks of drafts that the configuration does not ask for. */
static bool may_be_left_over(const dr_config *c, const char *name)
{
    const size_t n = strlen(name), head_n = sizeof "head.weight" - 1;
    const bool mtp = strncmp(name, "mtp.", 4) == 0;
    return strstr(name, "freqs_cis") || strstr(name, "inv_freq") || (mtp && c->n_mtp + c->n_drafts == 0) ||
           (mtp && strstr(name, "emb")) || (mtp && n >= head_n && strcmp(name + n - head_n, "head.weight") == 0);
}

static bool holds_any(const dr_safetensors *files, const char *prefix)
{
    const dr_str p = dr_str_of(prefix);
    size_t low = 0, high = dr_safetensors_count(files);

    while (low < high) { /* the first name that is not before the prefix */
        const size_t middle = low + (high - low) / 2;
        if (dr_str_cmp(dr_safetensors_at(files, middle)->name, p) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < dr_safetensors_count(files) && dr_safetensors_at(files, low)->name.n >= p.n &&
           memcmp(dr_safetensors_at(files, low)->name.s, p.s, p.n) == 0;
}

/* A checkpoint stripped of what it drafts with is told once, not once for each of 1,575 tensors. */
static bool stripped(const matcher *x, const dr_plan_weight *w)
{
    dr_plan_tensor t[2];

    if (w->part == DR_PART_BACKBONE || holds_any(x->files, "mtp."))
        return false;
    (void)dr_plan_tensors(t, w, DR_STORED_BF16);
    return !dr_safetensors_indexed(x->files, t[0].name) && !is_unseen(x, t[0].name); /* its shard is yet to come */
}

dr_status dr_binding__match(dr_binding *b, const dr_config *c, const dr_safetensors *files, dr_problems *problems,
                            dr_problems *unused, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n_tensors = dr_safetensors_count(files);
    matcher x = {.b = b, .c = c, .files = files, .problems = problems};
    size_t first_expert = 0;
    bool told_stripped = false;

    *b = (dr_binding){0};
    if ((st = dr_plan_new(&b->plan, c, err)) != DR_OK)
        goto done;
    b->bound = calloc(b->plan.n, sizeof *b->bound);
    x.used = calloc(n_tensors + 1, sizeof *x.used);
    if (!b->bound || !x.used) {
        st = dr_fail(err, DR_ERR_NOMEM, "binding the checkpoint: out of memory");
        goto done;
    }
    for (size_t i = 0; i < b->plan.n; i++) {
        const dr_plan_weight *w = &b->plan.weights[i];
        x.problems = w->part == DR_PART_DRAFT ? unused : problems;
        if (stripped(&x, w)) {
            if (!told_stripped)
                dr_problems_add(x.problems, DR_PROBLEM_MISSING, NULL,
                                "mtp.*: no tensor of the %s; \"num_nextn_predict_layers\": 0 in config.json runs without",
                                w->part == DR_PART_MTP ? "MTP block" : "draft stages");
            told_stripped = true;
            continue;
        }
        match_weight(&x, w, &b->bound[i]);
        if (w->slot == DR_SLOT_W1 && w->expert == 0)
            first_expert = i;
        if (w->form == DR_FORM_EXPERT)
            match_experts(&x, w, &b->bound[i], first_expert);
    }
    for (size_t i = 0; i < n_tensors; i++) {
        const dr_tensor *t = dr_safetensors_at(files, i);
        const bool draft = c->n_drafts && strncmp(t->name.s, "mtp.", 4) == 0;
        if (!x.used[i] && !may_be_left_over(c, t->name.s))
            dr_problems_add(draft ? unused : problems, DR_PROBLEM_EXTRA, t->file, "%s: not a tensor of this configuration",
                            t->name.s);
    }
done:
    free(x.used);
    return st;
}

void dr_binding__fini(dr_binding *b)
{
    dr_plan_fini(&b->plan);
    free(b->bound);
    free(b->jobs);
    *b = (dr_binding){0};
}

/* ---- check: values ---- */

static float f32_at(const dr_tensor *t, int64_t i)
{
    const uint8_t *p = t->data;
    uint32_t bits;
    if (t->dtype == DR_BF16)
        bits = ((uint32_t)p[2 * i] | (uint32_t)p[2 * i + 1] << 8) << 16;
    else
        bits = dr_load_u32(p + 4 * i);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void check_vector(const dr_tensor *t, int64_t n, dr_problems *problems)
{
    for (int64_t i = 0; i < n; i++)
        if (isnan(f32_at(t, i))) {
            dr_problems_add(problems, DR_PROBLEM_CONTENT, t->file, "%s: value %lld is NaN", t->name.s, (long long)i);
            return;
        }
}

/* spec 2.5: int64 in the file, int32 here; every id is checked, so that routing has nothing left to check. */
static void check_ids(const dr_tensor *t, const dr_config *c, dr_problems *problems)
{
    const uint8_t *p = t->data;

    for (int64_t token = 0; token < c->vocab; token++)
        for (int64_t i = token * c->n_active; i < (token + 1) * c->n_active; i++) {
            const uint64_t id = dr_load_u64(p + 8 * i);
            if (id >= (uint64_t)c->n_experts) {
                dr_problems_add(problems, DR_PROBLEM_CONTENT, t->file, "%s: token %lld: expert %lld, expected 0 to %d",
                                t->name.s, (long long)token, (long long)id, c->n_experts - 1);
                return;
            }
            for (int64_t j = token * c->n_active; j < i; j++)
                if (dr_load_u64(p + 8 * j) == id) {
                    dr_problems_add(problems, DR_PROBLEM_CONTENT, t->file, "%s: token %lld: expert %lld twice", t->name.s,
                                    (long long)token, (long long)id);
                    return;
                }
        }
}

static void check_scales(const dr_bound *b, dr_problems *problems)
{
    enum { NAN_SCALE = 255 };
    const uint8_t *scales = b->scale->data, *bad = memchr(scales, NAN_SCALE, b->scale->n_bytes);
    const int64_t cols = b->scale->shape[1], rows = b->as == DR_STORED_FP4 ? 1 : DR_SCALE_TILE,
                  width = b->as == DR_STORED_FP4 ? DR_SCALE_GROUP : DR_SCALE_TILE;

    if (!bad)
        return;
    const int64_t at = bad - scales;
    dr_problems_add(problems, DR_PROBLEM_CONTENT, b->scale->file, "%s: the scale of row %" PRId64 ", column %" PRId64 " is NaN",
                    b->tensor->name.s, at / cols * rows, at % cols * width);
}

void dr_binding__check(const dr_binding *b, const dr_config *c, bool scales, dr_problems *problems)
{
    for (size_t i = 0; i < b->plan.n; i++) {
        const dr_plan_weight *w = &b->plan.weights[i];
        const dr_bound *at = &b->bound[i];
        if (w->part == DR_PART_DRAFT || !at->tensor || !at->tensor->data)
            continue;
        if (w->form == DR_FORM_F32 || w->form == DR_FORM_BF16)
            check_vector(at->tensor, dr_plan_values(w), problems);
        else if (w->form == DR_FORM_IDS)
            check_ids(at->tensor, c, problems);
        else if (scales && at->scale && at->scale->data)
            check_scales(at, problems);
    }
}

uint64_t dr_binding__scale_bytes(const dr_binding *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->plan.n; i++)
        n += b->bound[i].scale ? b->bound[i].scale->n_bytes : 0;
    return n;
}

/* ---- sizes ---- */

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static bool is_matrix(const dr_plan_weight *w)
{
    return w->form == DR_FORM_PLAIN || w->form == DR_FORM_LINEAR || w->form == DR_FORM_EXPERT;
}

size_t dr_binding__packed_bytes(const dr_plan *p, const dr_config *c, const dr_ops *ops)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        const dr_plan_weight *w = &p->weights[i];
        if (w->part == DR_PART_DRAFT || !is_matrix(w))
            continue;
        const int64_t groups = w->slot == DR_SLOT_WO_A ? c->o_groups : 1;
        n += (size_t)groups * align64(ops->pack_bytes(w->n / groups, w->k));
    }
    return n;
}

size_t dr_binding__arena_bytes(const dr_plan *p, const dr_config *c)
{
    const size_t n_blocks = (size_t)c->n_layers + (size_t)c->n_mtp,
                 tables = (3 * (size_t)c->n_experts + (size_t)c->o_groups) * sizeof(dr_linear);
    size_t n = n_blocks * (sizeof(dr_layer) + tables);

    for (size_t i = 0; i < p->n; i++) {
        const dr_plan_weight *w = &p->weights[i];
        if (w->part != DR_PART_DRAFT && w->form != DR_FORM_TABLE && !is_matrix(w))
            n += align64((size_t)dr_plan_values(w) * 4); /* f32 and int32 alike */
    }
    return n;
}

/* ---- take: the model's tables ---- */

typedef struct taker {
    dr_binding *b;
    dr_model *m;
    dr_status st;
    dr_error *err;
} taker;

static void out_of_memory(taker *x)
{
    x->st = dr_fail(x->err, DR_ERR_NOMEM, "binding the checkpoint: out of memory");
}

static void *take(taker *x, size_t count, size_t each)
{
    void *p = x->st == DR_OK ? dr_arena_take(x->m->arena, count * each) : NULL;
    if (!p && x->st == DR_OK)
        out_of_memory(x);
    return p;
}

static dr_head_weights *head_of(dr_model *m, const dr_plan_weight *w)
{
    return w->layer < 0 ? &m->out : &m->mtp.head;
}

/* Where a vector or small table goes, NULL for what is none. */
static const float **vector_place(dr_model *m, const dr_plan_weight *w)
{
    dr_layer *l = &m->layers[w->layer >= 0 ? w->layer : 0];

    switch (w->slot) {
    case DR_SLOT_ATTN_NORM: return &l->attn_norm;
    case DR_SLOT_HC_ATTN_FN: return &l->hc_attn.fn;
    case DR_SLOT_HC_ATTN_BASE: return &l->hc_attn.base;
    case DR_SLOT_HC_ATTN_SCALE: return &l->hc_attn.scale;
    case DR_SLOT_Q_NORM: return &l->q_norm;
    case DR_SLOT_KV_NORM: return &l->kv_norm;
    case DR_SLOT_ATTN_SINK: return &l->attn_sink;
    case DR_SLOT_COMPRESSOR_APE: return &l->compressor.ape;
    case DR_SLOT_COMPRESSOR_NORM: return &l->compressor.norm;
    case DR_SLOT_INDEX_APE: return &l->index_compressor.ape;
    case DR_SLOT_INDEX_NORM: return &l->index_compressor.norm;
    case DR_SLOT_FFN_NORM: return &l->ffn_norm;
    case DR_SLOT_HC_FFN_FN: return &l->hc_ffn.fn;
    case DR_SLOT_HC_FFN_BASE: return &l->hc_ffn.base;
    case DR_SLOT_HC_FFN_SCALE: return &l->hc_ffn.scale;
    case DR_SLOT_GATE_BIAS: return &l->gate_bias;
    case DR_SLOT_ENORM: return &m->mtp.enorm;
    case DR_SLOT_HNORM: return &m->mtp.hnorm;
    case DR_SLOT_OUT_HC_FN: return &head_of(m, w)->hc.fn;
    case DR_SLOT_OUT_HC_BASE: return &head_of(m, w)->hc.base;
    case DR_SLOT_OUT_HC_SCALE: return &head_of(m, w)->hc.scale;
    case DR_SLOT_OUT_NORM: return &head_of(m, w)->norm;
    default: return NULL;
    }
}

/* Where a matrix goes, NULL for what is none. wo_a: its first group. */
static dr_linear *matrix_place(dr_model *m, const dr_plan_weight *w)
{
    dr_layer *l = &m->layers[w->layer >= 0 ? w->layer : 0];

    switch (w->slot) {
    case DR_SLOT_WQ_A: return &l->wq_a;
    case DR_SLOT_WQ_B: return &l->wq_b;
    case DR_SLOT_WKV: return &l->wkv;
    case DR_SLOT_COMPRESSOR_WKV: return &l->compressor.wkv;
    case DR_SLOT_COMPRESSOR_WGATE: return &l->compressor.wgate;
    case DR_SLOT_INDEX_WKV: return &l->index_compressor.wkv;
    case DR_SLOT_INDEX_WGATE: return &l->index_compressor.wgate;
    case DR_SLOT_INDEX_WQ_B: return &l->index_wq_b;
    case DR_SLOT_INDEX_WEIGHTS: return &l->index_weights;
    case DR_SLOT_WO_A: return l->wo_a;
    case DR_SLOT_WO_B: return &l->wo_b;
    case DR_SLOT_GATE: return &l->gate;
    case DR_SLOT_W1: return &l->w1[w->expert];
    case DR_SLOT_W3: return &l->w3[w->expert];
    case DR_SLOT_W2: return &l->w2[w->expert];
    case DR_SLOT_SHARED_W1: return &l->shared_w1;
    case DR_SLOT_SHARED_W3: return &l->shared_w3;
    case DR_SLOT_SHARED_W2: return &l->shared_w2;
    case DR_SLOT_E_PROJ: return &m->mtp.e_proj;
    case DR_SLOT_H_PROJ: return &m->mtp.h_proj;
    case DR_SLOT_HEAD: return &m->head;
    default: return NULL;
    }
}

static void take_vector(taker *x, const float **to, const dr_plan_weight *w, const dr_tensor *t)
{
    const int64_t n = dr_plan_values(w);
    float *v = take(x, (size_t)n, sizeof *v);

    if (!v)
        return;
    for (int64_t i = 0; i < n; i++)
        v[i] = f32_at(t, i);
    *to = v;
}

static void take_ids(taker *x, const dr_plan_weight *w, const dr_tensor *t)
{
    const int64_t n = dr_plan_values(w);
    int32_t *ids = take(x, (size_t)n, sizeof *ids);

    if (!ids)
        return;
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)dr_load_u64((const uint8_t *)t->data + 8 * i);
    x->m->layers[w->layer].tid2eid = ids;
}

/* Read in place; copied when the file has it at an odd address. */
static void take_embedding(taker *x, const dr_tensor *t)
{
    if ((uintptr_t)t->data % sizeof(uint16_t) == 0) {
        x->m->embed = t->data;
        return;
    }
    uint16_t *copy = take(x, t->n_bytes, 1);
    if (copy)
        x->m->embed = memcpy(copy, t->data, t->n_bytes);
}

static void add_job(taker *x, dr_binding_job job)
{
    dr_binding *b = x->b;
    if (b->n_jobs == b->cap_jobs) {
        const size_t cap = b->cap_jobs ? 2 * b->cap_jobs : 256;
        dr_binding_job *grown = realloc(b->jobs, cap * sizeof *grown);
        if (!grown) {
            out_of_memory(x);
            return;
        }
        b->jobs = grown;
        b->cap_jobs = cap;
    }
    b->jobs[b->n_jobs++] = job;
}

static dr_weight stored_weight(const dr_plan_weight *w, const dr_bound *at)
{
    const bool fp4 = at->as == DR_STORED_FP4;
    return (dr_weight){.dtype = at->tensor->dtype,
                       .data = at->tensor->data,
                       .scale = at->scale ? at->scale->data : NULL,
                       .n = w->n,
                       .k = w->k,
                       .scale_rows = !at->scale ? 0 : fp4 ? 1 : DR_SCALE_TILE,
                       .scale_cols = !at->scale ? 0 : fp4 ? DR_SCALE_GROUP : DR_SCALE_TILE};
}

/* wo_a: rows g * o_rank .. belong to group g. It is one BF16 product a group whatever its storage: the reference
 * dequantises it at load (spec 2.4, 5.3), so its input is never quantised. */
static void take_groups(taker *x, dr_linear *to, const dr_plan_weight *planned, const dr_bound *at)
{
    const dr_weight all = stored_weight(planned, at);
    const int64_t groups = x->m->config.o_groups, n = all.n / groups, k = all.k;
    const int64_t scale_stride = all.scale ? (k + all.scale_cols - 1) / all.scale_cols : 0;
    const int64_t row_bytes = all.dtype == DR_BF16 ? 2 * k : all.dtype == DR_FP4 ? k / 2 : k;

    for (int64_t g = 0; g < groups; g++) {
        dr_weight w = all;
        w.n = n;
        w.data = (const uint8_t *)all.data + g * n * row_bytes;
        if (all.scale && g * n % all.scale_rows == 0) {
            w.scale = all.scale + g * n / all.scale_rows * scale_stride;
        } else if (all.scale) { /* a group begins inside a scale tile: one row of scales a row of weights */
            uint8_t *rows = take(x, (size_t)(n * scale_stride), 1);
            if (!rows)
                return;
            for (int64_t o = 0; o < n; o++)
                memcpy(rows + o * scale_stride, all.scale + (g * n + o) / all.scale_rows * scale_stride,
                       (size_t)scale_stride);
            w.scale = rows;
            w.scale_rows = 1;
        }
        to[g].quant = DR_QUANT_NONE;
        add_job(x, (dr_binding_job){&to[g], w, at->tensor, g * n});
    }
}

static void set_hc(dr_hc *hc, const dr_config *c)
{
    *hc = (dr_hc){.n_streams = c->hc_mult,
                  .sinkhorn_iters = c->sinkhorn_iters,
                  .d = c->dim,
                  .norm_eps = c->norm_eps,
                  .hc_eps = c->hc_eps};
}

/* The tables that weights are put into. */
static void take_layers(taker *x)
{
    const dr_config *c = &x->m->config;
    const size_t n_blocks = (size_t)c->n_layers + (size_t)c->n_mtp, n_experts = (size_t)c->n_experts;

    x->m->layers = take(x, n_blocks, sizeof *x->m->layers);
    for (size_t i = 0; i < n_blocks && x->st == DR_OK; i++) {
        dr_layer *l = &x->m->layers[i];
        l->plan = c->layers[i];
        set_hc(&l->hc_attn, c);
        set_hc(&l->hc_ffn, c);
        l->wo_a = take(x, (size_t)c->o_groups, sizeof *l->wo_a);
        l->w1 = take(x, n_experts, sizeof *l->w1);
        l->w2 = take(x, n_experts, sizeof *l->w2);
        l->w3 = take(x, n_experts, sizeof *l->w3);
    }
    set_hc(&x->m->out.hc, c);
    set_hc(&x->m->mtp.head.hc, c);
}

dr_status dr_binding__take(dr_binding *b, dr_model *m, dr_error *err)
{
    taker x = {.b = b, .m = m, .err = err};

    take_layers(&x);
    for (size_t i = 0; i < b->plan.n && x.st == DR_OK; i++) {
        const dr_plan_weight *w = &b->plan.weights[i];
        const dr_bound *at = &b->bound[i];
        if (w->part == DR_PART_DRAFT)
            continue;
        const float **vector = vector_place(m, w);
        dr_linear *matrix = matrix_place(m, w);
        if (vector)
            take_vector(&x, vector, w, at->tensor);
        else if (w->slot == DR_SLOT_TID2EID)
            take_ids(&x, w, at->tensor);
        else if (w->slot == DR_SLOT_EMBED)
            take_embedding(&x, at->tensor);
        else if (w->slot == DR_SLOT_WO_A)
            take_groups(&x, matrix, w, at);
        else {
            matrix->quant = at->scale ? DR_QUANT_FP8_128 : DR_QUANT_NONE;
            add_job(&x, (dr_binding_job){matrix, stored_weight(w, at), at->tensor, 0});
        }
    }
    return x.st;
}

/* ---- pack ---- */

/* A file may put a tensor at an odd address; backends read whole values. */
static dr_status pack_one(void *to, const dr_binding_job *j, const dr_ops *ops, dr_queue *queue, dr_error *err)
{
    const size_t each = j->from.dtype == DR_F32 ? sizeof(float) : j->from.dtype == DR_BF16 ? sizeof(uint16_t) : 1;
    dr_weight w = j->from;

    if ((uintptr_t)w.data % each == 0)
        return ops->pack(queue, to, &w, err);
    const size_t n = (size_t)w.n * (size_t)w.k * each;
    void *copy = malloc(n);
    if (!copy)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    memcpy(copy, w.data, n);
    w.data = copy;
    const dr_status st = ops->pack(queue, to, &w, err);
    free(copy);
    return st;
}

void dr_binding__pack(const dr_binding *b, void *block_bytes, const dr_ops *ops, dr_queue *queue, dr_problems *problems)
{
    uint8_t *at = block_bytes;

    for (size_t i = 0; i < b->n_jobs; i++) {
        const dr_binding_job *j = &b->jobs[i];
        dr_error one = {0};
        if (pack_one(at, j, ops, queue, &one) != DR_OK)
            dr_problems_add(problems, DR_PROBLEM_CONTENT, j->tensor->file, "%s%s: %.200s", j->tensor->name.s,
                            j->first_row ? " (rows counted from its group)" : "", one.msg);
        j->to->w = (dr_matrix){at, j->from.n, j->from.k};
        at += align64(ops->pack_bytes(j->from.n, j->from.k));
    }
}
