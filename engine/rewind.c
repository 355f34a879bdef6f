#include "engine/decoder.h"

#include "engine/state.h"
#include "engine/timeline.h"

#include <stdlib.h>
#include <string.h>

/* Snapshots kept without being asked for. Beyond it every second one goes, so memory stays bounded and what has to be
 * replayed grows with the length only. */
enum { MAX_UNASKED = 64 };

/* ---- snapshots ---- */

static void thin_out(dr_decoder *d)
{
    size_t unasked = 0, kept = 0;

    for (size_t i = 0; i < d->n_snapshots; i++)
        unasked += !d->snapshots[i].marked;
    if (unasked <= MAX_UNASKED)
        return;
    unasked = 0;
    for (size_t i = 0; i < d->n_snapshots; i++) {
        if (!d->snapshots[i].marked && unasked++ % 2 == 0)
            dr_page__drop(d->snapshots[i].state);
        else
            d->snapshots[kept++] = d->snapshots[i];
    }
    d->n_snapshots = kept;
}

static dr_status reserve(dr_decoder *d, size_t n, dr_error *err)
{
    if (n <= d->cap_snapshots)
        return DR_OK;
    const size_t cap = n < 8 ? 8 : 2 * n;
    dr_snapshot *grown = realloc(d->snapshots, cap * sizeof *grown);
    if (!grown)
        return dr_fail(err, DR_ERR_NOMEM, "snapshot: out of memory");
    d->snapshots = grown;
    d->cap_snapshots = cap;
    return DR_OK;
}

dr_status dr_snapshot__take(dr_decoder *d, bool marked, dr_error *err)
{
    const size_t n = dr_state__bytes(d->model, d->position);
    dr_snapshot *last = d->n_snapshots ? &d->snapshots[d->n_snapshots - 1] : NULL;

    if (last && last->position == d->position) {
        last->marked |= marked;
        return DR_OK;
    }
    if (reserve(d, d->n_snapshots + 1, err) != DR_OK)
        return DR_ERR_NOMEM;
    dr_page *state = dr_page__new(n);
    if (!state)
        return dr_fail(err, DR_ERR_NOMEM, "snapshot of %zu bytes: out of memory", n);
    dr_state__save(d, state->data);
    d->snapshots[d->n_snapshots++] = (dr_snapshot){d->position, state, marked};
    thin_out(d);
    return DR_OK;
}

void dr_snapshot__drop_after(dr_decoder *d, int64_t position)
{
    while (d->n_snapshots && d->snapshots[d->n_snapshots - 1].position > position)
        dr_page__drop(d->snapshots[--d->n_snapshots].state);
}

dr_status dr_snapshot__share(dr_decoder *d, const dr_decoder *from, dr_error *err)
{
    if (reserve(d, from->n_snapshots, err) != DR_OK)
        return DR_ERR_NOMEM;
    for (size_t i = 0; i < from->n_snapshots; i++) {
        d->snapshots[i] = from->snapshots[i];
        (void)dr_page__share(d->snapshots[i].state);
    }
    d->n_snapshots = from->n_snapshots;
    return DR_OK;
}

dr_status dr_decoder_mark(dr_decoder *d, dr_error *err)
{
    if (d->importing >= 0)
        return dr_fail(err, DR_ERR_ARG, "the decoder is being restored");
    dr_decoder__settle(d);
    return d->position ? dr_snapshot__take(d, true, err) : DR_OK;
}

/* ---- going back ---- */

static bool can_step_back(const dr_decoder *d, int64_t position)
{
    const dr_config *c = &d->model->config;

    for (int32_t i = 0; i < c->n_layers; i++) {
        const dr_layer_state *l = &d->layers[i];
        if (!dr_window__can_rewind(&l->window, position) ||
            (c->layers[i].kind != DR_ATTENTION_SWA && !dr_tail__can_rewind(&l->tail, position)) ||
            (c->layers[i].kind == DR_ATTENTION_CSA && !dr_tail__can_rewind(&l->index_tail, position)))
            return false;
    }
    return true;
}

void dr_decoder__step_back(dr_decoder *d, int64_t end)
{
    for (int32_t i = 0; i < d->model->config.n_layers; i++) {
        d->layers[i].window.end = end;
        d->layers[i].tail.end = end;
        d->layers[i].index_tail.end = end;
    }
}

void dr_decoder__settle(dr_decoder *d)
{
    if (d->n_ahead == 0)
        return;
    dr_decoder__step_back(d, d->position);
    dr_snapshot__drop_after(d, d->position);
    d->n_ahead = 0;
    if (d->mtp.next + d->mtp.n_waiting > d->position)
        d->mtp.n_waiting = d->position > d->mtp.next ? (int32_t)(d->position - d->mtp.next) : 0;
}

static void drop_pages_after(dr_decoder *d, int64_t position)
{
    for (int64_t i = (position + DR_BLOCK_TOKENS - 1) / DR_BLOCK_TOKENS; i < d->n_pages && d->pages[i]; i++) {
        dr_page__drop(d->pages[i]);
        d->pages[i] = NULL;
    }
}

dr_status dr_decoder_rewind(dr_decoder *d, int64_t position, dr_error *err)
{
    size_t from = d->n_snapshots;

    if (d->importing >= 0)
        return dr_fail(err, DR_ERR_ARG, "the decoder is being restored");
    if (position < 0 || position > d->position)
        return dr_fail(err, DR_ERR_ARG, "going back to %lld from %lld", (long long)position, (long long)d->position);
    dr_decoder__settle(d);
    if (position == d->position)
        return DR_OK;
    if (position == 0) {
        dr_decoder_reset(d);
        return DR_OK;
    }
    if (can_step_back(d, position)) {
        dr_decoder__step_back(d, position);
        d->position = position;
        dr_mtp__went_back(d, position);
    } else {
        while (from > 0 && d->snapshots[from - 1].position > position)
            from--;
        const int64_t start = from ? d->snapshots[from - 1].position : 0;
        dr_status st = dr_decoder__own_state(d, err);
        if (st != DR_OK)
            return st;
        /* What can fail comes first: the pages that the replay writes. */
        for (int64_t i = start / DR_BLOCK_TOKENS; i * DR_BLOCK_TOKENS < position && start < position; i++) {
            if ((st = dr_page__own(&d->pages[i], d->model->layout.page_bytes, err)) != DR_OK)
                return st;
        }
        dr_snapshot__drop_after(d, position);
        if (from)
            dr_state__load(d, d->snapshots[from - 1].state->data, start);
        else
            dr_decoder__begin(d);
        dr_mtp__went_back(d, start);
        if ((st = dr_decoder__run(d, d->tokens + start, position - start, 0, NULL, NULL, err)) != DR_OK)
            return st;
    }
    dr_snapshot__drop_after(d, position);
    drop_pages_after(d, position);
    d->mtp.position = -1; /* pairs were lost, or are complete without what MTP logits go on from */
    return DR_OK;
}

/* ---- fork ---- */

dr_status dr_decoder_fork(dr_decoder **out, const dr_decoder *from, dr_error *err)
{
    const dr_config *c = &from->model->config;
    dr_decoder *d = NULL;
    dr_status st;

    *out = NULL;
    if (from->importing >= 0)
        return dr_fail(err, DR_ERR_ARG, "the decoder is being restored");
    if ((st = dr_decoder__new(&d, from->model, from->queue, dr_scratch__share(from->scratch), from->scratch->max_chunk,
                              from->max_tokens, err)) != DR_OK ||
        (st = dr_snapshot__share(d, from, err)) != DR_OK)
        goto done;
    for (int64_t i = 0; i < from->n_pages && from->pages[i]; i++)
        d->pages[i] = dr_page__share(from->pages[i]);
    d->state = dr_page__share(from->state);
    memcpy(d->layers, from->layers, (size_t)(c->n_layers + c->n_mtp) * sizeof *d->layers);
    memcpy(d->tokens, from->tokens, (size_t)from->position * sizeof *d->tokens);
    d->position = from->position;
    d->n_ahead = from->n_ahead; /* drafts of the other timeline: seen as such, and taken back */
    dr_decoder__settle(d);
    dr_mtp__copy(d, from);
    *out = d;
    d = NULL;
done:
    dr_decoder_free(d);
    return st;
}
