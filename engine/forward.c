#include "engine/forward.h"

/* spec 3.4: one block, in place on streams [n][hc_mult][dim]. */
static void run_block(dr_decoder *d, int32_t layer, float *streams, const int32_t *ids, int64_t pos0, int64_t n)
{
    const dr_model *m = d->model;
    const dr_config *c = &m->config;
    const dr_ops *ops = &m->ops;
    const dr_layer *l = &m->layers[layer];
    dr_scratch *s = d->scratch;
    dr_queue *q = d->queue;

    ops->hc_pre(q, s->x, s->post, s->comb, streams, &l->hc_attn, n);
    ops->rms_norm(q, s->x, s->x, l->attn_norm, n, c->dim, c->norm_eps);
    dr_forward__attention(d, layer, pos0, n);
    ops->hc_post(q, streams, s->y, s->post, s->comb, n, c->dim, c->hc_mult);

    ops->hc_pre(q, s->x, s->post, s->comb, streams, &l->hc_ffn, n);
    ops->rms_norm(q, s->x, s->x, l->ffn_norm, n, c->dim, c->norm_eps);
    dr_forward__experts(d, l, ids, n);
    ops->hc_post(q, streams, s->y, s->post, s->comb, n, c->dim, c->hc_mult);
}

bool dr_forward__backbone(dr_decoder *d, const int32_t *ids, int64_t n, const atomic_bool *cancel)
{
    const dr_model *m = d->model;
    const dr_config *c = &m->config;
    dr_scratch *s = d->scratch;
    float *streams = s->streams + (int64_t)c->hc_mult * c->dim;

    dr_rope__angles(s->cos_main, &m->rope, false, d->position, 1, n);
    dr_rope__angles(s->cos_compress, &m->rope, true, d->position, 1, n);
    m->ops.embed(d->queue, streams, m->embed, ids, n, c->dim, c->hc_mult);
    for (int32_t i = 0; i < c->n_layers; i++) {
        if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
            return false;
        run_block(d, i, streams, ids, d->position, n);
    }
    return true;
}

void dr_forward__head(dr_decoder *d, float *logits, const dr_head_weights *h, const float *streams, int64_t n)
{
    const dr_model *m = d->model;
    const dr_config *c = &m->config;
    const dr_ops *ops = &m->ops;
    dr_scratch *s = d->scratch;

    ops->hc_head(d->queue, s->x, streams, &h->hc, n);
    ops->rms_norm(d->queue, s->x, s->x, h->norm, n, c->dim, c->norm_eps);
    ops->to_operand(d->queue, s->x_plain, s->x, n, c->dim, DR_QUANT_NONE);
    const dr_gemm job = dr_gemm__job(logits, c->vocab, s->x_plain, &m->head, n, false);
    ops->gemm(d->queue, &job, 1);
}

/* The block's input streams, into scratch->mtp_streams. */
static void join_pairs(dr_decoder *d, const float *streams, const int32_t *next_ids, int64_t first, int64_t n)
{
    const dr_model *m = d->model;
    const dr_config *c = &m->config;
    const dr_ops *ops = &m->ops;
    const dr_mtp_weights *w = &m->mtp;
    const int64_t rows = n * c->hc_mult;
    dr_scratch *s = d->scratch;
    dr_queue *q = d->queue;

    dr_rope__angles(s->cos_main, &m->rope, false, first, 1, n);
    ops->embed(q, s->x, m->embed, next_ids, n, c->dim, 1);
    ops->rms_norm(q, s->x, s->x, w->enorm, n, c->dim, c->norm_eps);
    ops->to_operand(q, s->x_plain, s->x, n, c->dim, w->e_proj.quant);
    ops->rms_norm(q, s->mtp_h, streams, w->hnorm, rows, c->dim, c->norm_eps);
    ops->to_operand(q, s->mtp_operand, s->mtp_h, rows, c->dim, w->h_proj.quant);
    const dr_gemm jobs[] = {
        dr_gemm__job(s->y, c->dim, s->x_plain, &w->e_proj, n, true),
        dr_gemm__job(s->mtp_h, c->dim, s->mtp_operand, &w->h_proj, rows, true),
    };
    ops->gemm(q, jobs, 2);
    ops->add_streams(q, s->mtp_streams, s->y, s->mtp_h, n, c->dim, c->hc_mult);
}

void dr_forward__mtp(dr_decoder *d, const float *streams, const int32_t *next_ids, int64_t first, int64_t n)
{
    join_pairs(d, streams, next_ids, first, n);
    run_block(d, d->model->config.n_layers, d->scratch->mtp_streams, next_ids, first, n);
}

void dr_forward__mtp_rows(dr_decoder *d, const float *streams, const int32_t *next_ids, int64_t first, int64_t n)
{
    const dr_model *m = d->model;
    const dr_config *c = &m->config;
    const dr_layer *l = &m->layers[c->n_layers];
    dr_scratch *s = d->scratch;

    join_pairs(d, streams, next_ids, first, n);
    m->ops.hc_pre(d->queue, s->x, s->post, s->comb, s->mtp_streams, &l->hc_attn, n);
    m->ops.rms_norm(d->queue, s->x, s->x, l->attn_norm, n, c->dim, c->norm_eps);
    dr_forward__window_rows(d, c->n_layers, first, n);
}
