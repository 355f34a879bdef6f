#include "engine/state.h"

#include "engine/timeline.h"

#include <string.h>

static int64_t window_rows(const dr_config *c, int64_t position)
{
    return position < c->window ? position : c->window;
}

static size_t tail_bytes(int64_t ratio, int64_t entry_dim, bool overlap, int64_t unfinished)
{
    const int64_t width = overlap ? 2 * entry_dim : entry_dim;
    return (size_t)(2 * ((overlap ? ratio * entry_dim : 0) + unfinished * width)) * sizeof(float);
}

/* unfinished < 0: the most there can be. */
static size_t state_bytes(const dr_model *m, int64_t n_window, int64_t position)
{
    const dr_config *c = &m->config;
    size_t n = (size_t)c->n_layers * (size_t)n_window * m->layout.row_bytes;

    for (int32_t i = 0; i < c->n_layers; i++) {
        const dr_layer_plan *p = &c->layers[i];
        if (p->kind == DR_ATTENTION_SWA)
            continue;
        const bool overlap = p->kind == DR_ATTENTION_CSA;
        const int64_t unfinished = position < 0 ? p->ratio - 1 : position % p->ratio;
        n += tail_bytes(p->ratio, c->head_dim, overlap, unfinished);
        if (overlap)
            n += tail_bytes(p->ratio, c->index_dim, overlap, unfinished);
    }
    return n;
}

size_t dr_state__bytes(const dr_model *m, int64_t position)
{
    return state_bytes(m, window_rows(&m->config, position), position);
}

size_t dr_state__max_bytes(const dr_model *m)
{
    return state_bytes(m, m->config.window, -1);
}

static uint8_t *save(uint8_t *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    return to + n;
}

static const uint8_t *load(void *to, const uint8_t *from, size_t n)
{
    memcpy(to, from, n);
    return from + n;
}

static uint8_t *save_tail(uint8_t *dst, const dr_tail *t, int64_t position)
{
    const int64_t block = position / t->ratio * t->ratio;
    const size_t half = (size_t)t->width / 2 * sizeof(float),
                 whole = (size_t)((position - block) * t->width) * sizeof(float);

    if (t->overlap) {
        for (int64_t p = block - t->ratio; p < block; p++)
            dst = save(dst, dr_tail__k(t, p), half);
        for (int64_t p = block - t->ratio; p < block; p++)
            dst = save(dst, dr_tail__z(t, p), half);
    }
    dst = save(dst, dr_tail__k(t, block), whole);
    return save(dst, dr_tail__z(t, block), whole);
}

static const uint8_t *load_tail(dr_tail *t, const uint8_t *src, int64_t position)
{
    const int64_t block = position / t->ratio * t->ratio;
    const size_t half = (size_t)t->width / 2 * sizeof(float),
                 whole = (size_t)((position - block) * t->width) * sizeof(float);

    dr_tail__reset(t, position);
    if (t->overlap) {
        for (int64_t p = block - t->ratio; p < block; p++)
            src = load(dr_tail__k(t, p), src, half);
        for (int64_t p = block - t->ratio; p < block; p++)
            src = load(dr_tail__z(t, p), src, half);
    }
    src = load(dr_tail__k(t, block), src, whole);
    return load(dr_tail__z(t, block), src, whole);
}

void dr_state__save(const dr_decoder *d, uint8_t *dst)
{
    const dr_config *c = &d->model->config;
    const int64_t n = window_rows(c, d->position);

    for (int32_t i = 0; i < c->n_layers; i++) {
        const dr_layer_state *l = &d->layers[i];
        dst = save(dst, dr_window__row(&l->window, d->position - n), (size_t)n * l->window.row_bytes);
        if (c->layers[i].kind != DR_ATTENTION_SWA)
            dst = save_tail(dst, &l->tail, d->position);
        if (c->layers[i].kind == DR_ATTENTION_CSA)
            dst = save_tail(dst, &l->index_tail, d->position);
    }
}

void dr_state__load(dr_decoder *d, const uint8_t *src, int64_t position)
{
    const dr_config *c = &d->model->config;
    const int64_t n = window_rows(c, position);

    for (int32_t i = 0; i < c->n_layers; i++) {
        dr_layer_state *l = &d->layers[i];
        dr_window__reset(&l->window, position);
        src = load(dr_window__row(&l->window, position - n), src, (size_t)n * l->window.row_bytes);
        d->model->ops.kv_unpack(d->queue, dr_window__operand(&l->window, position - n),
                                dr_window__row(&l->window, position - n), NULL, n, c->head_dim, c->rope_dim);
        if (c->layers[i].kind != DR_ATTENTION_SWA)
            src = load_tail(&l->tail, src, position);
        if (c->layers[i].kind == DR_ATTENTION_CSA)
            src = load_tail(&l->index_tail, src, position);
    }
    d->position = position;
}
