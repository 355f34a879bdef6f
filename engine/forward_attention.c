#include "engine/forward.h"

#include <math.h>
#include <string.h>

/* One attention sub-layer under way. */
typedef struct pass {
    dr_decoder *d;
    const dr_config *c;
    const dr_ops *ops;
    dr_scratch *s;
    const dr_layer *l;
    dr_layer_state *state;
    const dr_layer_layout *at; /* NULL for the MTP block, which has no entries */
    const float *cos_sin;
    int64_t pos0, n;
    int64_t n_unpacked; /* entries 0 .. n_unpacked - 1 lie in scratch->entries */
    bool selecting;     /* some query sees more entries than it may attend to */
} pass;

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* spec 3.6: queries in s->q, KV vectors in s->kv, the compressors' and the indexer's projections; all rows of the
 * chunk. */
static void project(pass *p)
{
    const dr_config *c = p->c;
    const dr_ops *ops = p->ops;
    const dr_layer *l = p->l;
    dr_scratch *s = p->s;
    dr_queue *q = p->d->queue;
    const int64_t n = p->n, heads_dim = (int64_t)c->n_heads * c->head_dim,
                  index_dim = (int64_t)c->index_heads * c->index_dim;
    const dr_operands x = {s->x_plain, s->x_fp8}, qr = {s->qr_plain, s->qr_fp8};
    dr_gemm jobs[7];
    int n_jobs = 0;

    if (l->plan.kind != DR_ATTENTION_SWA || l->wq_a.quant == DR_QUANT_NONE || l->wkv.quant == DR_QUANT_NONE)
        ops->to_operand(q, x.plain, s->x, n, c->dim, DR_QUANT_NONE);
    if (l->wq_a.quant != DR_QUANT_NONE || l->wkv.quant != DR_QUANT_NONE)
        ops->to_operand(q, x.fp8, s->x, n, c->dim, DR_QUANT_FP8_128);
    jobs[n_jobs++] = dr_gemm__job(s->qr, c->q_rank, dr_operand__for(&l->wq_a, x), &l->wq_a, n, true);
    jobs[n_jobs++] = dr_gemm__job(s->kv, c->head_dim, dr_operand__for(&l->wkv, x), &l->wkv, n, true);
    if (l->plan.kind != DR_ATTENTION_SWA) { /* f32 results: the compressors work unrounded (spec 5.3) */
        jobs[n_jobs++] = dr_gemm__job(s->k, l->compressor.wkv.w.n, x.plain, &l->compressor.wkv, n, false);
        jobs[n_jobs++] = dr_gemm__job(s->z, l->compressor.wgate.w.n, x.plain, &l->compressor.wgate, n, false);
    }
    if (l->plan.kind == DR_ATTENTION_CSA) {
        jobs[n_jobs++] =
            dr_gemm__job(s->index_k, l->index_compressor.wkv.w.n, x.plain, &l->index_compressor.wkv, n, false);
        jobs[n_jobs++] =
            dr_gemm__job(s->index_z, l->index_compressor.wgate.w.n, x.plain, &l->index_compressor.wgate, n, false);
    }
    if (p->selecting)
        jobs[n_jobs++] = dr_gemm__job(s->index_w, c->index_heads, x.plain, &l->index_weights, n, true);
    ops->gemm(q, jobs, n_jobs);

    ops->rms_norm(q, s->qr, s->qr, l->q_norm, n, c->q_rank, c->norm_eps);
    if (l->wq_b.quant == DR_QUANT_NONE || (p->selecting && l->index_wq_b.quant == DR_QUANT_NONE))
        ops->to_operand(q, qr.plain, s->qr, n, c->q_rank, DR_QUANT_NONE);
    if (l->wq_b.quant != DR_QUANT_NONE || (p->selecting && l->index_wq_b.quant != DR_QUANT_NONE))
        ops->to_operand(q, qr.fp8, s->qr, n, c->q_rank, DR_QUANT_FP8_128);
    n_jobs = 0;
    jobs[n_jobs++] = dr_gemm__job(s->q, heads_dim, dr_operand__for(&l->wq_b, qr), &l->wq_b, n, true);
    if (p->selecting)
        jobs[n_jobs++] =
            dr_gemm__job(s->index_q, index_dim, dr_operand__for(&l->index_wq_b, qr), &l->index_wq_b, n, true);
    ops->gemm(q, jobs, n_jobs);

    ops->head_norm(q, s->q, n * c->n_heads, c->head_dim, c->norm_eps);
    ops->rope(q, s->q, p->cos_sin, n, c->n_heads, c->head_dim, c->rope_dim, false);
    ops->rms_norm(q, s->kv, s->kv, l->kv_norm, n, c->head_dim, c->norm_eps);
    ops->rope(q, s->kv, p->cos_sin, n, 1, c->head_dim, c->rope_dim, false);
    if (p->selecting) { /* spec 3.8 */
        ops->rope(q, s->index_q, p->cos_sin, n, c->index_heads, c->index_dim, c->rope_dim, false);
        ops->index_quant(q, s->index_q_operand, s->index_q, n * c->index_heads, c->index_dim);
        ops->scale(q, s->index_w, n * c->index_heads, (float)(1 / sqrt((double)c->index_dim * c->index_heads)));
    }
}

static uint8_t *page_row(const pass *p, size_t section, size_t row_bytes, int64_t entry)
{
    const int64_t per_page = p->at->entries_per_page;
    return p->d->pages[entry / per_page]->data + section + (size_t)(entry % per_page) * row_bytes;
}

/* Appends rows of the chunk to the window; attention reads them back from their stored form, so that a restored row is
 * the same row. */
static void append_window(pass *p, int64_t first, int64_t m)
{
    const dr_config *c = p->c;
    dr_window *w = &p->state->window;

    dr_window__reserve(w, m);
    uint8_t *rows = dr_window__row(w, w->end);
    p->ops->kv_pack(p->d->queue, rows, p->s->kv + first * c->head_dim, m, c->head_dim, c->rope_dim);
    p->ops->kv_unpack(p->d->queue, dr_window__operand(w, w->end), rows, NULL, m, c->head_dim, c->rope_dim);
    w->end += m;
}

/* Angles of the positions entries first .. first + n - 1 stand at (spec 3.7: the first token of the own block). */
static void entry_angles(pass *p, int64_t first, int64_t n)
{
    const dr_config *c = p->c;
    const int32_t ratio = p->l->plan.ratio;

    for (int64_t i = 0; i < n; i++) {
        const int64_t pos = (first + i) * ratio;
        float *to = p->s->cos_entries + i * c->rope_dim;
        if (pos >= p->pos0)
            memcpy(to, p->s->cos_compress + (pos - p->pos0) * c->rope_dim, (size_t)c->rope_dim * sizeof *to);
        else
            dr_rope__angles(to, &p->d->model->rope, true, pos, ratio, 1);
    }
}

/* Appends rows to a compressor's tail and stores the entries they finish: n of them from `*first` on, rotated, in
 * s->pooled. */
static int64_t compress(pass *p, dr_tail *t, const dr_compressor *w, const float *k, const float *z, int64_t m,
                        int64_t *first)
{
    const dr_config *c = p->c;
    const int32_t dim = t->overlap ? t->width / 2 : t->width;

    dr_tail__reserve(t, m);
    float *to_k = dr_tail__k(t, t->end), *to_z = dr_tail__z(t, t->end);
    memcpy(to_k, k, (size_t)(m * t->width) * sizeof *k);
    for (int64_t i = 0; i < m; i++) {
        const float *ape = w->ape + (t->end + i) % t->ratio * t->width;
        for (int32_t j = 0; j < t->width; j++)
            to_z[i * t->width + j] = z[i * t->width + j] + ape[j];
    }
    *first = t->end / t->ratio;
    t->end += m;
    const int64_t n = t->end / t->ratio - *first, from = (*first - t->overlap) * t->ratio;
    if (n == 0)
        return 0;
    p->ops->pool(p->d->queue, p->s->pooled, dr_tail__k(t, from), dr_tail__z(t, from), n, t->ratio, dim, t->overlap);
    p->ops->rms_norm(p->d->queue, p->s->pooled, p->s->pooled, w->norm, n, dim, c->norm_eps);
    entry_angles(p, *first, n);
    p->ops->rope(p->d->queue, p->s->pooled, p->s->cos_entries, n, 1, dim, c->rope_dim, false);
    return n;
}

static void append_entries(pass *p, int64_t at, int64_t m)
{
    const dr_config *c = p->c;
    const dr_layout *layout = &p->d->model->layout;
    dr_scratch *s = p->s;
    dr_layer_state *st = p->state;
    int64_t first;

    int64_t n =
        compress(p, &st->tail, &p->l->compressor, s->k + at * st->tail.width, s->z + at * st->tail.width, m, &first);
    if (n)
        p->ops->kv_pack(p->d->queue, page_row(p, p->at->entries_at, layout->row_bytes, first), s->pooled, n,
                        c->head_dim, c->rope_dim);
    if (p->l->plan.kind != DR_ATTENTION_CSA)
        return;
    n = compress(p, &st->index_tail, &p->l->index_compressor, s->index_k + at * st->index_tail.width,
                 s->index_z + at * st->index_tail.width, m, &first);
    if (n)
        p->ops->index_pack(p->d->queue, page_row(p, p->at->index_at, layout->index_row_bytes, first), s->pooled, n,
                           c->index_dim);
}

/* Entries first .. end - 1 into their places of s->entries, page by page. */
static void unpack_entries(pass *p, int64_t first, int64_t end)
{
    const dr_config *c = p->c;
    while (first < end) {
        const int64_t per_page = p->at->entries_per_page, m = at_most(end - first, per_page - first % per_page);
        p->ops->kv_unpack(p->d->queue, dr_operand__at(p->ops, p->s->entries, first * c->head_dim),
                          page_row(p, p->at->entries_at, p->d->model->layout.row_bytes, first), NULL, m, c->head_dim,
                          c->rope_dim);
        first += m;
    }
}

static void unpack_keys(pass *p, int64_t first, int64_t end)
{
    const dr_config *c = p->c;
    uint8_t *to = p->s->keys;
    while (first < end) {
        const int64_t per_page = p->at->entries_per_page, m = at_most(end - first, per_page - first % per_page);
        p->ops->index_unpack(p->d->queue, to, page_row(p, p->at->index_at, p->d->model->layout.index_row_bytes, first),
                             m, c->index_dim);
        to += (size_t)(m * c->index_dim) * p->ops->operand_bytes;
        first += m;
    }
}

/* spec 3.8: the entries that each of m queries attends to, ascending, into s->selected and s->n_selected. Scores of as
 * many queries at a time as the buffer holds, against as many keys at a time as are unpacked; neither shows in the
 * result. */
static void select_entries(pass *p, int64_t at, int64_t m, int64_t n_entries)
{
    const dr_config *c = p->c;
    dr_scratch *s = p->s;
    const int64_t query_dim = (int64_t)c->index_heads * c->index_dim;
    const int64_t rows = at_most(m, s->score_values / n_entries);
    int64_t unpacked = -1;

    for (int64_t q0 = 0; q0 < m; q0 += rows) {
        const int64_t nq = at_most(rows, m - q0);
        for (int64_t k0 = 0; k0 < n_entries; k0 += s->key_rows) {
            const int64_t nk = at_most(s->key_rows, n_entries - k0);
            if (unpacked != k0)
                unpack_keys(p, k0, k0 + nk);
            unpacked = k0;
            for (int64_t i = 0; i < nq; i++) {
                const int64_t visible = s->n_visible[q0 + i] - k0;
                s->n_clipped[i] = (int32_t)(visible < 0 ? 0 : at_most(visible, nk));
            }
            p->ops->index_scores(p->d->queue, s->scores + k0, n_entries,
                                 dr_operand__at(p->ops, s->index_q_operand, (at + q0) * query_dim),
                                 s->index_w + (at + q0) * c->index_heads, s->keys, s->n_clipped, nq, c->index_heads,
                                 c->index_dim);
        }
        p->ops->topk(p->d->queue, s->selected + q0 * c->index_topk, s->n_selected + q0, s->scores, n_entries,
                     s->n_visible + q0, nq, c->index_topk);
    }
}

/* Selected rows of one query side by side. Rows of one page go in one call; the list is rewritten to places in the
 * page. */
static void gather(pass *p, int64_t to_row, int32_t *selected, int32_t n)
{
    const dr_config *c = p->c;
    const int32_t per_page = p->at->entries_per_page;

    for (int32_t i = 0, end; i < n; i = end) {
        const int32_t page = selected[i] / per_page;
        for (end = i; end < n && selected[end] / per_page == page; end++)
            selected[end] -= page * per_page;
        p->ops->kv_unpack(p->d->queue, dr_operand__at(p->ops, p->s->entries, (to_row + i) * c->head_dim),
                          page_row(p, p->at->entries_at, p->d->model->layout.row_bytes, (int64_t)page * per_page),
                          selected + i, end - i, c->head_dim, c->rope_dim);
    }
}

/* Attention with entries gathered a few queries at a time: for a long past, where a query attends to a small part of
 * it. */
static void attend_gathered(pass *p, dr_attention a, int64_t m)
{
    const int64_t topk = p->c->index_topk, rows = p->s->entry_rows / topk;
    const int64_t heads_dim = (int64_t)a.n_heads * a.dim;
    const int64_t pos = a.pos0;

    p->n_unpacked = 0;
    a.entries_stride = topk;
    for (int64_t q0 = 0; q0 < m; q0 += rows) {
        dr_attention part = a;
        part.n_q = at_most(rows, m - q0);
        part.pos0 = pos + q0;
        part.q = a.q + q0 * heads_dim;
        part.out = a.out + q0 * heads_dim;
        part.n_selected = p->s->n_selected + q0;
        for (int64_t i = 0; i < part.n_q; i++)
            gather(p, i * topk, p->s->selected + (q0 + i) * topk, p->s->n_selected[q0 + i]);
        p->ops->attention(p->d->queue, &part);
    }
}

/* spec 3.9 and 4 for queries `at` .. at + m - 1 of the chunk; their rows are in the window, their entries in the page.
 */
static void attend(pass *p, int64_t at, int64_t m)
{
    const dr_config *c = p->c;
    dr_scratch *s = p->s;
    const int64_t pos = p->pos0 + at, heads_dim = (int64_t)c->n_heads * c->head_dim;
    const dr_window *w = &p->state->window;
    dr_attention a = {
        .out = s->out + at * heads_dim,
        .q = s->q + at * heads_dim,
        .sink = p->l->attn_sink,
        .n_q = m,
        .pos0 = pos,
        .n_heads = c->n_heads,
        .dim = c->head_dim,
        .scale = (float)(1 / sqrt((double)c->head_dim)),
        .window_pos0 = dr_window__first(w, pos),
        .window_len = c->window,
    };
    a.window = dr_window__operand(w, a.window_pos0);
    if (p->l->plan.kind == DR_ATTENTION_SWA) {
        p->ops->attention(p->d->queue, &a);
        return;
    }
    const int32_t ratio = p->l->plan.ratio;
    const int64_t n_entries = (pos + m) / ratio;
    const bool select = p->l->plan.kind == DR_ATTENTION_CSA && n_entries > c->index_topk;
    for (int64_t i = 0; i < m; i++)
        s->n_visible[i] = (int32_t)((pos + i + 1) / ratio);
    a.entries = s->entries;
    a.n_selected = s->n_visible;
    if (select) {
        select_entries(p, at, m, n_entries);
        a.n_selected = s->n_selected;
        if (n_entries > s->entry_rows || n_entries - p->n_unpacked > m * c->index_topk) {
            attend_gathered(p, a, m);
            return;
        }
        a.selected = s->selected;
        a.selected_stride = c->index_topk;
    }
    unpack_entries(p, p->n_unpacked, n_entries);
    p->n_unpacked = n_entries;
    p->ops->attention(p->d->queue, &a);
}

/* spec 3.9: back by the query's angle, one product a group, then the joint one. */
static void project_out(pass *p)
{
    const dr_config *c = p->c;
    const dr_ops *ops = p->ops;
    dr_scratch *s = p->s;
    dr_queue *q = p->d->queue;
    const int64_t n = p->n, groups = c->o_groups, wide = groups * c->o_rank,
                  group_dim = (int64_t)c->n_heads * c->head_dim / groups;

    ops->rope(q, s->out, p->cos_sin, n, c->n_heads, c->head_dim, c->rope_dim, true);
    ops->to_operand(q, s->out_operand, s->out, n * groups, group_dim, DR_QUANT_NONE);
    for (int64_t g = 0; g < groups; g++) { /* row t * groups + g is what group g sees of token t */
        int32_t *rows = s->group_rows + g * n;
        for (int64_t t = 0; t < n; t++)
            rows[t] = (int32_t)(t * groups + g);
        s->jobs[g] = dr_gemm__job(s->group + g * c->o_rank, wide, s->out_operand, &p->l->wo_a[g], n, true);
        s->jobs[g].rows = rows;
    }
    ops->gemm(q, s->jobs, (int)groups);
    ops->to_operand(q, s->group_operand, s->group, n, wide, p->l->wo_b.quant);
    const dr_gemm job = dr_gemm__job(s->y, c->dim, s->group_operand, &p->l->wo_b, n, true);
    ops->gemm(q, &job, 1);
}

static pass begin(dr_decoder *d, int32_t layer, int64_t pos0, int64_t n)
{
    const dr_model *m = d->model;
    const dr_layer *l = &m->layers[layer];
    return (pass){
        .d = d,
        .c = &m->config,
        .ops = &m->ops,
        .s = d->scratch,
        .l = l,
        .state = &d->layers[layer],
        .at = layer < m->config.n_layers ? &m->layout.layers[layer] : NULL,
        .cos_sin = l->plan.compress_rope ? d->scratch->cos_compress : d->scratch->cos_main,
        .pos0 = pos0,
        .n = n,
        .selecting = l->plan.kind == DR_ATTENTION_CSA && (pos0 + n) / l->plan.ratio > m->config.index_topk,
    };
}

void dr_forward__window_rows(dr_decoder *d, int32_t layer, int64_t pos0, int64_t n)
{
    pass p = begin(d, layer, pos0, n);
    const dr_linear *wkv = &p.l->wkv;
    const dr_config *c = p.c;
    const dr_ops *ops = p.ops;
    dr_scratch *s = p.s;
    dr_queue *q = d->queue;

    ops->to_operand(q, s->x_plain, s->x, n, c->dim, wkv->quant);
    const dr_gemm job = dr_gemm__job(s->kv, c->head_dim, s->x_plain, wkv, n, true);
    ops->gemm(q, &job, 1);
    ops->rms_norm(q, s->kv, s->kv, p.l->kv_norm, n, c->head_dim, c->norm_eps);
    ops->rope(q, s->kv, p.cos_sin, n, 1, c->head_dim, c->rope_dim, false);
    for (int64_t at = 0; at < n; at += DR_PIECE)
        append_window(&p, at, at_most(DR_PIECE, n - at));
}

void dr_forward__attention(dr_decoder *d, int32_t layer, int64_t pos0, int64_t n)
{
    pass p = begin(d, layer, pos0, n);
    const int32_t ratio = p.l->plan.ratio;

    project(&p);
    /* A piece at a time, because windows and tails are short: rows in, entries out, then the queries that see them. */
    for (int64_t at = 0; at < n; at += DR_PIECE) {
        const int64_t rows = at_most(DR_PIECE, n - at);
        append_window(&p, at, rows);
        if (ratio)
            append_entries(&p, at, rows);
        attend(&p, at, rows);
    }
    project_out(&p);
}
