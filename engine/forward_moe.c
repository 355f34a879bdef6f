#include "engine/forward.h"

#include <string.h>

/* Puts the rows of each expert side by side: slots first_slot[e] .. first_slot[e + 1] - 1, tokens ascending inside. */
static void sort_rows(dr_scratch *s, const dr_config *c, int64_t n)
{
    const int64_t slots = n * c->n_active;

    memset(s->first_slot, 0, (size_t)(c->n_experts + 1) * sizeof *s->first_slot);
    for (int64_t i = 0; i < slots; i++)
        s->first_slot[s->ids[i] + 1]++;
    for (int32_t e = 0; e < c->n_experts; e++)
        s->first_slot[e + 1] += s->first_slot[e];
    for (int64_t i = 0; i < slots; i++) { /* first_slot[e] walks to the start of e + 1 ... */
        const int32_t slot = s->first_slot[s->ids[i]]++;
        s->slot_row[slot] = (int32_t)(i / c->n_active);
        s->slot_g[slot] = s->g[i];
        s->place[i] = slot;
    }
    for (int32_t e = c->n_experts; e > 0; e--) /* ... and is put back */
        s->first_slot[e] = s->first_slot[e - 1];
    s->first_slot[0] = 0;
}

/* The two projections into every expert that has rows, and into the shared one, as one loop. */
static void project_in(dr_decoder *d, const dr_layer *l, dr_operands x, int64_t n)
{
    const dr_config *c = &d->model->config;
    const int64_t f = c->expert_dim, fs = f * c->n_shared;
    dr_scratch *s = d->scratch;
    int n_jobs = 0;

    s->jobs[n_jobs++] = dr_gemm__job(s->shared_a, fs, dr_operand__for(&l->shared_w1, x), &l->shared_w1, n, true);
    s->jobs[n_jobs++] = dr_gemm__job(s->shared_u, fs, dr_operand__for(&l->shared_w3, x), &l->shared_w3, n, true);
    for (int32_t e = 0; e < c->n_experts; e++) {
        const int32_t first = s->first_slot[e], rows = s->first_slot[e + 1] - first;
        if (rows == 0)
            continue;
        s->jobs[n_jobs] = dr_gemm__job(s->a + first * f, f, dr_operand__for(&l->w1[e], x), &l->w1[e], rows, true);
        s->jobs[n_jobs++].rows = s->slot_row + first;
        s->jobs[n_jobs] = dr_gemm__job(s->u + first * f, f, dr_operand__for(&l->w3[e], x), &l->w3[e], rows, true);
        s->jobs[n_jobs++].rows = s->slot_row + first;
    }
    d->model->ops.gemm(d->queue, s->jobs, n_jobs);
}

static void project_out(dr_decoder *d, const dr_layer *l, int64_t n)
{
    const dr_config *c = &d->model->config;
    const dr_ops *ops = &d->model->ops;
    dr_scratch *s = d->scratch;
    int n_jobs = 0;

    s->jobs[n_jobs++] = dr_gemm__job(s->shared_y, c->dim, s->shared_h, &l->shared_w2, n, true);
    for (int32_t e = 0; e < c->n_experts; e++) {
        const int32_t first = s->first_slot[e], rows = s->first_slot[e + 1] - first;
        if (rows)
            s->jobs[n_jobs++] =
                dr_gemm__job(s->parts + (int64_t)first * c->dim, c->dim,
                             dr_operand__at(ops, s->h, (int64_t)first * c->expert_dim), &l->w2[e], rows, true);
    }
    ops->gemm(d->queue, s->jobs, n_jobs);
}

void dr_forward__experts(dr_decoder *d, const dr_layer *l, const int32_t *ids, int64_t n)
{
    const dr_config *c = &d->model->config;
    const dr_ops *ops = &d->model->ops;
    const int64_t f = c->expert_dim, fs = f * c->n_shared, slots = n * c->n_active;
    const dr_operands x = {d->scratch->x_plain, d->scratch->x_fp8};
    dr_scratch *s = d->scratch;
    dr_queue *q = d->queue;

    ops->to_operand(q, x.plain, s->x, n, c->dim, DR_QUANT_NONE);
    if (l->w1[0].quant != DR_QUANT_NONE || l->shared_w1.quant != DR_QUANT_NONE || l->shared_w3.quant != DR_QUANT_NONE)
        ops->to_operand(q, x.fp8, s->x, n, c->dim, DR_QUANT_FP8_128);
    const dr_gemm gate = dr_gemm__job(s->gate, c->n_experts, x.plain, &l->gate, n, false);
    ops->gemm(q, &gate, 1);
    ops->route(q, s->ids, s->g, s->gate, l->gate_bias, l->tid2eid, ids, n, c->n_experts, c->n_active, c->route_scale);
    sort_rows(s, c, n);

    project_in(d, l, x, n);
    /* The routing weight goes in before w2, as the reference does (spec 3.10). */
    ops->swiglu(q, s->a, s->a, s->u, s->slot_g, slots, f, c->swiglu_limit);
    ops->to_operand(q, s->h, s->a, slots, f, l->w2[0].quant);
    ops->swiglu(q, s->shared_a, s->shared_a, s->shared_u, NULL, n, fs, c->swiglu_limit);
    ops->to_operand(q, s->shared_h, s->shared_a, n, fs, l->shared_w2.quant);
    project_out(d, l, n);
    /* Ids ascend, so the sum runs over ascending experts; the shared one comes last. */
    ops->combine(q, s->y, s->parts, s->place, s->shared_y, n, c->n_active, c->dim);
}
