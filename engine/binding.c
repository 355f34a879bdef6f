#include "engine/binding.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 128, TILE = 128, FP4_GROUP = 32 };

/* One checkpoint being bound. `prefix` is that of the block under way: "layers.3.", "mtp.0.", "". */
typedef struct binder {
    dr_binding *b;
    dr_model *m;
    char prefix[32];
    dr_status st;
    dr_error *err;
} binder;

static void problem(binder *x, const char *name, const char *fmt, ...) DR_PRINTF(3, 4);
static void problem(binder *x, const char *name, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    x->st = dr_fail_more(x->err, DR_ERR_FORMAT, "%s%s: %s", x->prefix, name, text);
}

static void out_of_memory(binder *x)
{
    x->st = dr_fail(x->err, DR_ERR_NOMEM, "binding the checkpoint: out of memory");
}

static void *take(binder *x, size_t count, size_t each)
{
    void *p = x->st == DR_ERR_NOMEM ? NULL : dr_arena_take(x->m->arena, count * each);
    if (!p && x->st != DR_ERR_NOMEM)
        out_of_memory(x);
    return p;
}

static const dr_tensor *find(binder *x, const char *name)
{
    char full[2 * NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s%s", x->prefix, name);
    const dr_tensor *t = dr_safetensors_find(x->m->files, full);
    if (t)
        x->b->used[t - dr_safetensors_at(x->m->files, 0)] = true;
    return t;
}

static void shape_text(char out[64], const dr_tensor *t)
{
    size_t at = 0;
    out[0] = 0;
    for (int32_t i = 0; i < t->n_dims && at < 48; i++)
        at += (size_t)snprintf(out + at, 64 - at, "%s%lld", i ? "x" : "", (long long)t->shape[i]);
}

static bool has_shape(const dr_tensor *t, int64_t n, int64_t k)
{
    return k < 0 ? t->n_dims == 1 && t->shape[0] == n : t->n_dims == 2 && t->shape[0] == n && t->shape[1] == k;
}

/* A tensor of exactly this shape (k < 0: one dimension), or NULL and a problem. `dtypes`: a mask of 1 << dr_dtype. */
static const dr_tensor *want(binder *x, const char *name, int64_t n, int64_t k, unsigned dtypes,
                             const char *dtype_names)
{
    const dr_tensor *t = find(x, name);
    char expected[64], found[64];

    if (k < 0)
        (void)snprintf(expected, sizeof expected, "%lld", (long long)n);
    else
        (void)snprintf(expected, sizeof expected, "%lldx%lld", (long long)n, (long long)k);
    if (!t) {
        problem(x, name, "missing, expected %s %s", dtype_names, expected);
        return NULL;
    }
    shape_text(found, t);
    if (!has_shape(t, n, k) || !(dtypes >> t->dtype & 1)) {
        problem(x, name, "%s: %s %s, expected %s %s", t->file, dr_dtype_name(t->dtype), found, dtype_names, expected);
        return NULL;
    }
    return t;
}

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

/* A small tensor as f32, [n] or [n][k]. */
static void vector(binder *x, const float **to, const char *name, int64_t n, int64_t k)
{
    const dr_tensor *t = want(x, name, n, k, 1u << DR_F32 | 1u << DR_BF16, "F32 or BF16");
    const int64_t count = k < 0 ? n : n * k;
    float *v = t ? take(x, (size_t)count, sizeof *v) : NULL;

    if (!v)
        return;
    for (int64_t i = 0; i < count; i++) {
        v[i] = f32_at(t, i);
        if (isnan(v[i])) {
            problem(x, name, "%s: value %lld is NaN", t->file, (long long)i);
            return;
        }
    }
    *to = v;
}

static void add_job(binder *x, dr_binding_job job)
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

/* A linear that is BF16 in every checkpoint: NAME.weight [n][k]. */
static void bf16_linear(binder *x, dr_linear *to, const char *name, int64_t n, int64_t k)
{
    const dr_tensor *t = want(x, name, n, k, 1u << DR_BF16 | 1u << DR_F32, "BF16");
    if (!t)
        return;
    to->quant = DR_QUANT_NONE;
    add_job(x, (dr_binding_job){to, {.dtype = t->dtype, .data = t->data, .n = n, .k = k}, t, 0});
}

/* The weight of a linear that may be quantised: NAME.weight and NAME.scale, FP8 or FP4, or NAME.weight alone in BF16.
 * false: a problem was told. */
static bool quantised(binder *x, dr_weight *w, const dr_tensor **tensor, const char *name, int64_t n, int64_t k)
{
    char weight[NAME_BYTES], scale[NAME_BYTES];
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    (void)snprintf(scale, sizeof scale, "%s.scale", name);
    const dr_tensor *t = find(x, weight);
    char found[64];

    if (!t) {
        problem(x, weight, "missing, expected F8_E4M3 or BF16 %lldx%lld or I8 %lldx%lld", (long long)n, (long long)k,
                (long long)n, (long long)(k / 2));
        (void)find(x, scale); /* one problem, not two */
        return false;
    }
    shape_text(found, t);
    *tensor = t;
    *w = (dr_weight){.dtype = t->dtype, .data = t->data, .n = n, .k = k};
    if (t->dtype == DR_FP4 && has_shape(t, n, k / 2)) {
        w->scale_rows = 1;
        w->scale_cols = FP4_GROUP;
    } else if (t->dtype == DR_F8_E4M3 && has_shape(t, n, k)) {
        w->scale_rows = w->scale_cols = TILE;
    } else if (t->dtype == DR_BF16 && has_shape(t, n, k)) {
        return true;
    } else {
        problem(x, weight, "%s: %s %s, expected F8_E4M3 or BF16 %lldx%lld or I8 %lldx%lld", t->file,
                dr_dtype_name(t->dtype), found, (long long)n, (long long)k, (long long)n, (long long)(k / 2));
        (void)find(x, scale);
        return false;
    }
    const dr_tensor *s = want(x, scale, (n + w->scale_rows - 1) / w->scale_rows,
                              (k + w->scale_cols - 1) / w->scale_cols, 1u << DR_F8_E8M0, "F8_E8M0");
    if (!s)
        return false;
    w->scale = s->data;
    return true;
}

static void linear(binder *x, dr_linear *to, const char *name, int64_t n, int64_t k)
{
    dr_weight w;
    const dr_tensor *t;
    if (!quantised(x, &w, &t, name, n, k))
        return;
    to->quant = w.scale ? DR_QUANT_FP8_128 : DR_QUANT_NONE;
    add_job(x, (dr_binding_job){to, w, t, 0});
}

/* wo_a: rows g * o_rank .. belong to group g. It is one BF16 product a group whatever its storage: the reference
 * dequantises it at load (spec 2.4, 5.3), so its input is never quantised. */
static void grouped_linear(binder *x, dr_linear *to, const char *name, int64_t groups, int64_t n, int64_t k)
{
    dr_weight all;
    const dr_tensor *t;
    if (!quantised(x, &all, &t, name, groups * n, k))
        return;
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
        add_job(x, (dr_binding_job){&to[g], w, t, g * n});
    }
}

static void hyper_connection(binder *x, dr_hc *hc, const char *name, bool head)
{
    const dr_config *c = &x->m->config;
    const int64_t s = c->hc_mult, rows = head ? s : (2 + s) * s;
    char part[NAME_BYTES];

    *hc = (dr_hc){.n_streams = c->hc_mult,
                  .sinkhorn_iters = c->sinkhorn_iters,
                  .d = c->dim,
                  .norm_eps = c->norm_eps,
                  .hc_eps = c->hc_eps};
    (void)snprintf(part, sizeof part, "%s_fn", name);
    vector(x, &hc->fn, part, rows, s * c->dim);
    (void)snprintf(part, sizeof part, "%s_base", name);
    vector(x, &hc->base, part, rows, -1);
    (void)snprintf(part, sizeof part, "%s_scale", name);
    vector(x, &hc->scale, part, head ? 1 : 3, -1);
}

static void compressor(binder *x, dr_compressor *to, const char *name, int32_t ratio, int64_t entry_dim, bool overlap)
{
    const int64_t width = overlap ? 2 * entry_dim : entry_dim, dim = x->m->config.dim;
    char part[NAME_BYTES];

    (void)snprintf(part, sizeof part, "%s.wkv.weight", name);
    bf16_linear(x, &to->wkv, part, width, dim);
    (void)snprintf(part, sizeof part, "%s.wgate.weight", name);
    bf16_linear(x, &to->wgate, part, width, dim);
    (void)snprintf(part, sizeof part, "%s.ape", name);
    vector(x, &to->ape, part, ratio, width);
    (void)snprintf(part, sizeof part, "%s.norm.weight", name);
    vector(x, &to->norm, part, entry_dim, -1);
}

static void attention(binder *x, dr_layer *l)
{
    const dr_config *c = &x->m->config;
    const int64_t heads_dim = (int64_t)c->n_heads * c->head_dim;

    vector(x, &l->attn_norm, "attn_norm.weight", c->dim, -1);
    hyper_connection(x, &l->hc_attn, "hc_attn", false);
    linear(x, &l->wq_a, "attn.wq_a", c->q_rank, c->dim);
    vector(x, &l->q_norm, "attn.q_norm.weight", c->q_rank, -1);
    linear(x, &l->wq_b, "attn.wq_b", heads_dim, c->q_rank);
    linear(x, &l->wkv, "attn.wkv", c->head_dim, c->dim);
    vector(x, &l->kv_norm, "attn.kv_norm.weight", c->head_dim, -1);
    vector(x, &l->attn_sink, "attn.attn_sink", c->n_heads, -1);
    if (l->plan.kind != DR_ATTENTION_SWA)
        compressor(x, &l->compressor, "attn.compressor", l->plan.ratio, c->head_dim, l->plan.kind == DR_ATTENTION_CSA);
    if (l->plan.kind == DR_ATTENTION_CSA) {
        compressor(x, &l->index_compressor, "attn.indexer.compressor", l->plan.ratio, c->index_dim, true);
        linear(x, &l->index_wq_b, "attn.indexer.wq_b", (int64_t)c->index_heads * c->index_dim, c->q_rank);
        bf16_linear(x, &l->index_weights, "attn.indexer.weights_proj.weight", c->index_heads, c->dim);
    }
    grouped_linear(x, l->wo_a, "attn.wo_a", c->o_groups, c->o_rank, heads_dim / c->o_groups);
    linear(x, &l->wo_b, "attn.wo_b", c->dim, (int64_t)c->o_groups * c->o_rank);
}

/* spec 2.5: int64 in the file, int32 here; every id is checked, so that routing has nothing left to check. */
static void hash_table(binder *x, dr_layer *l)
{
    const dr_config *c = &x->m->config;
    const int64_t n = (int64_t)c->vocab * c->n_active;
    const dr_tensor *t = want(x, "ffn.gate.tid2eid", c->vocab, c->n_active, 1u << DR_I64, "I64");
    int32_t *ids = t ? take(x, (size_t)n, sizeof *ids) : NULL;

    if (!ids)
        return;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t id = dr_load_u64((const uint8_t *)t->data + 8 * i);
        if (id >= (uint64_t)c->n_experts) {
            problem(x, "ffn.gate.tid2eid", "%s: token %lld: expert %lld, expected 0 to %d", t->file,
                    (long long)(i / c->n_active), (long long)id, c->n_experts - 1);
            return;
        }
        ids[i] = (int32_t)id;
        for (int64_t j = i / c->n_active * c->n_active; j < i; j++)
            if (ids[j] == ids[i]) {
                problem(x, "ffn.gate.tid2eid", "%s: token %lld: expert %d twice", t->file, (long long)(i / c->n_active),
                        ids[i]);
                return;
            }
    }
    l->tid2eid = ids;
}

static void feed_forward(binder *x, dr_layer *l)
{
    const dr_config *c = &x->m->config;
    const int64_t shared_dim = (int64_t)c->n_shared * c->expert_dim;
    char name[NAME_BYTES];

    vector(x, &l->ffn_norm, "ffn_norm.weight", c->dim, -1);
    hyper_connection(x, &l->hc_ffn, "hc_ffn", false);
    bf16_linear(x, &l->gate, "ffn.gate.weight", c->n_experts, c->dim);
    if (l->plan.hash_routed)
        hash_table(x, l);
    else
        vector(x, &l->gate_bias, "ffn.gate.bias", c->n_experts, -1);
    for (int32_t e = 0; e < c->n_experts; e++) {
        (void)snprintf(name, sizeof name, "ffn.experts.%d.w1", e);
        linear(x, &l->w1[e], name, c->expert_dim, c->dim);
        (void)snprintf(name, sizeof name, "ffn.experts.%d.w3", e);
        linear(x, &l->w3[e], name, c->expert_dim, c->dim);
        (void)snprintf(name, sizeof name, "ffn.experts.%d.w2", e);
        linear(x, &l->w2[e], name, c->dim, c->expert_dim);
        if (l->w1[e].quant != l->w1[0].quant || l->w3[e].quant != l->w1[0].quant || l->w2[e].quant != l->w2[0].quant)
            problem(x, name, "quantised unlike expert 0, expected all experts of a layer stored alike");
    }
    linear(x, &l->shared_w1, "ffn.shared_experts.w1", shared_dim, c->dim);
    linear(x, &l->shared_w3, "ffn.shared_experts.w3", shared_dim, c->dim);
    linear(x, &l->shared_w2, "ffn.shared_experts.w2", c->dim, shared_dim);
}

static void head(binder *x, dr_head_weights *h)
{
    hyper_connection(x, &h->hc, "hc_head", true);
    vector(x, &h->norm, "norm.weight", x->m->config.dim, -1);
}

static void embedding(binder *x)
{
    dr_model *m = x->m;
    const dr_tensor *t = want(x, "embed.weight", m->config.vocab, m->config.dim, 1u << DR_BF16, "BF16");
    if (!t)
        return;
    if ((uintptr_t)t->data % sizeof(uint16_t) == 0) {
        m->embed = t->data;
        return;
    }
    uint16_t *copy = take(x, t->n_bytes, 1);
    if (copy)
        memcpy(copy, t->data, t->n_bytes);
    m->embed = copy;
}

static void block(binder *x, dr_layer *l)
{
    const dr_config *c = &x->m->config;
    dr_linear *experts = take(x, (size_t)c->n_experts * 3, sizeof *experts);
    if (!experts || !(l->wo_a = take(x, (size_t)c->o_groups, sizeof *l->wo_a)))
        return;
    l->w1 = experts;
    l->w2 = experts + c->n_experts;
    l->w3 = experts + 2 * (size_t)c->n_experts;
    attention(x, l);
    feed_forward(x, l);
}

/* What uploads carry beside the model: rotary buffers, the MTP block's copies of embedding and head (spec 2.3), and
 * draft blocks that the config does not ask for. */
static bool may_be_left_over(const dr_config *c, const char *name)
{
    const size_t n = strlen(name), head_n = sizeof "head.weight" - 1;
    const bool mtp = strncmp(name, "mtp.", 4) == 0;
    return strstr(name, "freqs_cis") || strstr(name, "inv_freq") || (mtp && c->n_mtp == 0) ||
           (mtp && strstr(name, "emb")) || (mtp && n >= head_n && strcmp(name + n - head_n, "head.weight") == 0);
}

dr_status dr_binding__bind(dr_binding *b, dr_model *m, dr_error *err)
{
    binder x = {.b = b, .m = m, .err = err};
    const dr_config *c = &m->config;
    const size_t n_tensors = dr_safetensors_count(m->files);
    const int32_t n_blocks = c->n_layers + c->n_mtp;

    *b = (dr_binding){.used = calloc(n_tensors + 1, sizeof *b->used)};
    if (!b->used || !(m->layers = take(&x, (size_t)n_blocks, sizeof *m->layers)))
        return dr_fail(err, DR_ERR_NOMEM, "binding the checkpoint: out of memory");
    embedding(&x);
    for (int32_t i = 0; i < n_blocks && x.st != DR_ERR_NOMEM; i++) {
        const bool mtp = i >= c->n_layers;
        (void)snprintf(x.prefix, sizeof x.prefix, "%s.%d.", mtp ? "mtp" : "layers", mtp ? i - c->n_layers : i);
        m->layers[i].plan = c->layers[i];
        block(&x, &m->layers[i]);
        if (!mtp)
            continue;
        vector(&x, &m->mtp.enorm, "enorm.weight", c->dim, -1);
        vector(&x, &m->mtp.hnorm, "hnorm.weight", c->dim, -1);
        linear(&x, &m->mtp.e_proj, "e_proj", c->dim, c->dim);
        linear(&x, &m->mtp.h_proj, "h_proj", c->dim, c->dim);
        head(&x, &m->mtp.head);
    }
    x.prefix[0] = 0;
    head(&x, &m->out);
    bf16_linear(&x, &m->head, "head.weight", c->vocab, c->dim);
    for (size_t i = 0; i < n_tensors && x.st != DR_ERR_NOMEM; i++) {
        const dr_tensor *t = dr_safetensors_at(m->files, i);
        if (!b->used[i] && !may_be_left_over(c, t->name.s))
            problem(&x, t->name.s, "%s: not a tensor of this configuration", t->file);
    }
    return x.st;
}

void dr_binding__fini(dr_binding *b)
{
    free(b->jobs);
    free(b->used);
    *b = (dr_binding){0};
}

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

size_t dr_binding__packed_bytes(const dr_binding *b, const dr_ops *ops)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_jobs; i++)
        n += align64(ops->pack_bytes(b->jobs[i].from.n, b->jobs[i].from.k));
    return n;
}

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

dr_status dr_binding__pack(const dr_binding *b, void *block_bytes, const dr_ops *ops, dr_queue *queue, dr_error *err)
{
    dr_status st = DR_OK;
    uint8_t *at = block_bytes;

    for (size_t i = 0; i < b->n_jobs; i++) {
        const dr_binding_job *j = &b->jobs[i];
        dr_error one = {0};
        const dr_status failed = pack_one(at, j, ops, queue, &one);
        if (failed != DR_OK)
            st = dr_fail_more(err, failed, "%s: %s%s: %.200s", j->tensor->file, j->tensor->name.s,
                              j->first_row ? " (rows counted from its group)" : "", one.msg);
        j->to->w = (dr_matrix){at, j->from.n, j->from.k};
        at += align64(ops->pack_bytes(j->from.n, j->from.k));
    }
    return st;
}

dr_status dr_binding__check_scales(const dr_binding *b, dr_error *err)
{
    enum { NAN_SCALE = 255 };
    dr_status st = DR_OK;

    for (size_t i = 0; i < b->n_jobs; i++) {
        const dr_weight *w = &b->jobs[i].from;
        if (!w->scale)
            continue;
        const int64_t cols = (w->k + w->scale_cols - 1) / w->scale_cols,
                      rows = (w->n + w->scale_rows - 1) / w->scale_rows;
        const uint8_t *bad = memchr(w->scale, NAN_SCALE, (size_t)(rows * cols));
        if (bad)
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %s: the scale of row %lld, column %lld is NaN",
                              b->jobs[i].tensor->file, b->jobs[i].tensor->name.s,
                              (long long)(b->jobs[i].first_row + (bad - w->scale) / cols * w->scale_rows),
                              (long long)((bad - w->scale) % cols * w->scale_cols));
    }
    return st;
}
