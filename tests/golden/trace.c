#include "tests/golden/trace.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 512, PIECE = 128 };

static struct {
    dr_ops ops;
    const dr_config *c;
    const trace_how *how;
    trace *out;
    int64_t pos, m;   /* of the pass under way */
    int32_t n_sub;    /* sub-layers begun in it */
    int32_t n_heads;  /* heads begun in it */
    int32_t n_norms, n_turns, n_after; /* norms and rotations in the sub-layer; operands behind the inverse one */
    const float *h;
    bool recording, again;
    int64_t n_selected; /* rows of the layer under way */
} now;

static int32_t block_now(void)
{
    return (now.n_sub - 1) / 2;
}

/* The streams in front of block k. */
static void in_front(const float *streams, int32_t k)
{
    if (now.how->seen && !now.again)
        now.how->seen(now.how->arg, k, streams, now.pos, now.m);
}

static bool staging(void)
{
    return now.recording && now.how->stage;
}

static void stage(const char *name, const float *values, int64_t n)
{
    if (staging())
        now.how->stage(now.how->arg, block_now(), name, values, n);
}

/* The same of operands. */
static void stage_operand(const char *name, const void *operand, int64_t n)
{
    enum { PART = 512 };
    float values[PART];

    for (int64_t at = 0; staging() && at < n; at += PART) {
        const int64_t m = n - at < PART ? n - at : PART;
        for (int64_t i = 0; i < m; i++) {
            if (now.ops.operand_bytes == sizeof(float)) {
                memcpy(&values[i], (const uint8_t *)operand + (size_t)(at + i) * sizeof(float), sizeof(float));
            } else {
                uint16_t half;
                memcpy(&half, (const uint8_t *)operand + (size_t)(at + i) * sizeof half, sizeof half);
                const uint32_t bits = (uint32_t)half << 16;
                memcpy(&values[i], &bits, sizeof bits);
            }
        }
        stage(name, values, m);
    }
}

static bool in_attention(void)
{
    return now.n_sub % 2 == 1;
}

static void keep_streams(const float *streams, int32_t block, int64_t rows)
{
    const int64_t token = (int64_t)now.c->hc_mult * now.c->dim;
    if (now.recording)
        memcpy(now.out->streams[block], streams, (size_t)(rows * token) * sizeof *streams);
}

static void seen_hc_pre(dr_queue *q, float *x, float *post, float *comb, const float *X, const dr_hc *hc, int64_t m)
{
    const int32_t block = now.n_sub / 2;

    now.n_norms = now.n_turns = now.n_after = 0;
    if (now.n_sub++ % 2 == 0) {
        now.n_selected = 0;
        if (block == now.c->n_layers)
            stage("joined", X, m * hc->n_streams * hc->d);
        if (block > 0 && block < now.c->n_layers)
            keep_streams(X, block - 1, m);
        if (block < now.c->n_layers)
            in_front(X, block);
    } else {
        stage("mid", X, m * hc->n_streams * hc->d);
    }
    now.ops.hc_pre(q, x, post, comb, X, hc, m);
}

/* Behind the last layer, and behind the MTP block. */
static void seen_hc_head(dr_queue *q, float *x, const float *X, const dr_hc *hc, int64_t m)
{
    if (now.n_heads++ == 0) {
        keep_streams(X, now.c->n_layers - 1, m);
        in_front(X, now.c->n_layers);
    } else {
        keep_streams(X, now.c->n_layers, m);
    }
    now.ops.hc_head(q, x, X, hc, m);
}

static void seen_hc_post(dr_queue *q, float *X, const float *y, const float *post, const float *comb, int64_t m, int64_t d,
                         int32_t n_streams)
{
    stage(in_attention() ? "y" : "y_ffn", y, m * d);
    now.ops.hc_post(q, X, y, post, comb, m, d, n_streams);
    if (!in_attention())
        stage("behind", X, m * d * n_streams);
}

/* A sub-layer's norms: of its input, then of the latent query; those of keys and entries are seen where they are stored. */
static void seen_rms_norm(dr_queue *q, float *y, const float *x, const float *w, int64_t m, int64_t k, float eps)
{
    now.ops.rms_norm(q, y, x, w, m, k, eps);
    if (now.n_sub == 0 || now.n_heads > (block_now() == now.c->n_layers))
        return;
    now.n_norms++;
    if (now.n_norms == 1)
        stage(in_attention() ? "x" : "x_ffn", y, m * k);
    else if (now.n_norms == 2 && in_attention())
        stage("qr", y, m * k);
}

static void seen_rope(dr_queue *q, float *x, const float *cos_sin, int64_t m, int32_t n_heads, int32_t dim, int32_t rope_dim,
                      bool inverse)
{
    now.ops.rope(q, x, cos_sin, m, n_heads, dim, rope_dim, inverse);
    if (inverse || now.n_turns++ == 0)
        stage(inverse ? "out" : "q", x, m * n_heads * dim);
    now.n_after = inverse ? 1 : 0;
}

/* Behind the heads' outputs comes what the groups make of them. */
static void seen_to_operand(dr_queue *q, void *y, const float *x, int64_t m, int64_t k, dr_quant quant)
{
    if (now.n_after > 0 && now.n_after++ == 2)
        stage("v", x, m * k);
    now.ops.to_operand(q, y, x, m, k, quant);
}

static void seen_index_quant(dr_queue *q, void *y, const float *x, int64_t m, int32_t dim)
{
    now.ops.index_quant(q, y, x, m, dim);
    stage_operand("index_q", y, m * dim);
}

static void seen_scale(dr_queue *q, float *x, int64_t n, float s)
{
    now.ops.scale(q, x, n, s);
    stage("index_w", x, n);
}

static void seen_index_unpack(dr_queue *q, void *y, const void *rows, int64_t m, int32_t dim)
{
    now.ops.index_unpack(q, y, rows, m, dim);
    stage_operand("keys", y, m * dim);
}

static void seen_attention(dr_queue *q, const dr_attention *a)
{
    const int64_t back = a->pos0 + 1 < a->window_len ? a->pos0 : a->window_len - 1, first = a->pos0 - back;

    stage_operand("window", (const uint8_t *)a->window + (size_t)((first - a->window_pos0) * a->dim) * now.ops.operand_bytes,
                  (a->n_q + back) * a->dim);
    if (a->entries && a->entries_stride == 0)
        stage_operand("entries", a->entries, (a->pos0 + a->n_q) / now.c->layers[block_now()].ratio * a->dim);
    now.ops.attention(q, a);
}

static void seen_swiglu(dr_queue *q, float *y, const float *a, const float *u, const float *g, int64_t m, int64_t k, float limit)
{
    now.ops.swiglu(q, y, a, u, g, m, k, limit);
    if (g)
        now.h = y; /* rows in the order of experts: their places are known when they are added up */
    else
        stage("h_shared", y, m * k);
}

static void seen_combine(dr_queue *q, float *y, const float *parts, const int32_t *place, const float *shared, int64_t m, int32_t k,
                         int64_t d)
{
    for (int64_t i = 0; staging() && i < m * k; i++)
        stage("h", now.h + place[i] * (int64_t)now.c->expert_dim, now.c->expert_dim);
    now.ops.combine(q, y, parts, place, shared, m, k, d);
}

static void seen_route(dr_queue *q, int32_t *ids, float *g, const float *logits, const float *bias, const int32_t *fixed,
                       const int32_t *tokens, int64_t m, int32_t n_experts, int32_t k, float scale)
{
    now.ops.route(q, ids, g, logits, bias, fixed, tokens, m, n_experts, k, scale);
    stage("g", g, m * k);
    if (!now.recording)
        return;
    /* The MTP block's first pair of a pass belongs to the token before it: it is one of the rows not traced. */
    const int64_t skip = block_now() == now.c->n_layers ? m - (now.out->n - 1) : 0;
    memcpy(now.out->experts[block_now()], ids + skip * k, (size_t)((m - skip) * k) * sizeof *ids);
}

static void seen_topk(dr_queue *q, int32_t *idx, int32_t *n_out, const float *scores, int64_t stride, const int32_t *n, int64_t m,
                      int32_t k)
{
    now.ops.topk(q, idx, n_out, scores, stride, n, m, k);
    for (int64_t i = 0; i < m; i++)
        stage("score", scores + i * stride, n[i]);
    int32_t *to = now.out->selected[block_now()];
    if (now.recording && to && now.n_selected + m <= now.out->n) {
        memcpy(to + now.n_selected * k, idx, (size_t)(m * k) * sizeof *idx);
        now.n_selected += m;
    }
}

dr_ops trace_ops(const dr_ops *ops)
{
    dr_ops seen = *ops;
    now.ops = *ops;
    seen.hc_pre = seen_hc_pre;
    seen.hc_head = seen_hc_head;
    seen.route = seen_route;
    seen.topk = seen_topk;
    seen.hc_post = seen_hc_post;
    seen.rms_norm = seen_rms_norm;
    seen.rope = seen_rope;
    seen.to_operand = seen_to_operand;
    seen.index_quant = seen_index_quant;
    seen.index_unpack = seen_index_unpack;
    seen.scale = seen_scale;
    seen.attention = seen_attention;
    seen.swiglu = seen_swiglu;
    seen.combine = seen_combine;
    return seen;
}

static dr_status take_buffers(trace *t, const dr_config *c, int64_t n_ids, dr_error *err)
{
    const size_t n = (size_t)t->n, token = (size_t)c->hc_mult * (size_t)c->dim;
    bool ok = (t->logits = malloc(n * (size_t)c->vocab * sizeof *t->logits)) != NULL;

    if (c->n_mtp)
        ok = (t->mtp = malloc(n * (size_t)c->vocab * sizeof *t->mtp)) && ok;
    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++) {
        const dr_layer_plan *p = &c->layers[i];
        const bool selects = p->kind == DR_ATTENTION_CSA && (n_ids - t->n + 1) / p->ratio > c->index_topk;
        ok = (t->streams[i] = malloc(n * token * sizeof(float))) && ok;
        ok = (t->experts[i] = malloc(n * (size_t)c->n_active * sizeof(int32_t))) && ok;
        if (selects)
            ok = (t->selected[i] = malloc(n * (size_t)c->index_topk * sizeof(int32_t))) && ok;
    }
    return ok ? DR_OK : dr_fail(err, DR_ERR_NOMEM, "trace: out of memory");
}

static void begin_pass(int64_t pos, int64_t m, bool recording, bool again)
{
    now.pos = pos;
    now.m = m;
    now.n_sub = now.n_heads = 0;
    now.recording = recording;
    now.again = again;
}

dr_status trace_run(trace *out, const dr_model *model, dr_queue *queue, const int32_t *ids, int64_t n_ids, int64_t n,
                    const trace_how *how, dr_error *err)
{
    const dr_config *c = dr_model_config(model);
    dr_decoder *d = NULL, *fork = NULL;
    float *logits = NULL, *mtp = NULL;
    dr_status st;

    *out = (trace){.n = n};
    if (n < 2 || n > PIECE || n > n_ids || (n_ids - n) / DR_BLOCK_TOKENS != (n_ids - 1) / DR_BLOCK_TOKENS ||
        c->n_layers + c->n_mtp > TRACE_BLOCKS)
        return dr_fail(err, DR_ERR_ARG, "trace: %lld of %lld positions", (long long)n, (long long)n_ids);
    now.c = c;
    now.how = how;
    now.out = out;
    if (!(logits = malloc((size_t)CHUNK * (size_t)c->vocab * sizeof *logits)) ||
        !(mtp = malloc((size_t)CHUNK * (size_t)c->vocab * sizeof *mtp))) {
        st = dr_fail(err, DR_ERR_NOMEM, "trace: out of memory");
        goto done;
    }
    if ((st = take_buffers(out, c, n_ids, err)) != DR_OK ||
        (st = dr_decoder_new(&d, model, queue, CHUNK, n_ids, err)) != DR_OK)
        goto done;
    for (int64_t at = 0, m; at < n_ids; at += m) { /* one call, one pass: calls end at page borders and before the traced rows */
        const int64_t page = (at / DR_BLOCK_TOKENS + 1) * DR_BLOCK_TOKENS, end = at < n_ids - n ? n_ids - n : n_ids;
        m = end - at < CHUNK ? end - at : CHUNK;
        m = m < page - at ? m : page - at;
        if (at == n_ids - n && (st = dr_decoder_fork(&fork, d, err)) != DR_OK)
            goto done;
        begin_pass(at, m, at == n_ids - n, false);
        if ((st = dr_decoder_logits(d, ids + at, m, logits, c->n_mtp ? mtp : NULL, err)) != DR_OK)
            goto done;
    }
    memcpy(out->logits, logits, (size_t)(n * c->vocab) * sizeof *logits);
    if (c->n_mtp)
        memcpy(out->mtp, mtp, (size_t)((n - 1) * c->vocab) * sizeof *mtp);
    for (int64_t i = 0; i < n; i++) {
        begin_pass(n_ids - n + i, 1, false, true);
        if ((st = dr_decoder_prefill(fork, ids + n_ids - n + i, 1, logits, NULL, err)) != DR_OK)
            goto done;
        out->n_other += memcmp(logits, out->logits + i * c->vocab, (size_t)c->vocab * sizeof *logits) != 0;
    }
done:
    dr_decoder_free(fork);
    dr_decoder_free(d);
    free(mtp);
    free(logits);
    if (st != DR_OK)
        trace_fini(out);
    return st;
}

void trace_fini(trace *t)
{
    for (int i = 0; i < TRACE_BLOCKS; i++) {
        free(t->streams[i]);
        free(t->experts[i]);
        free(t->selected[i]);
    }
    free(t->logits);
    free(t->mtp);
    *t = (trace){0};
}
