#include "engine/decoder.h"

#include "engine/forward.h"
#include "engine/state.h"
#include "engine/timeline.h"

#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- construction ---- */

/* Windows and tails. at == NULL: size only. */
static size_t plan_layers(dr_layer_state *layers, uint8_t *at, const dr_model *m)
{
    const dr_config *c = &m->config;
    const size_t operand_row = (size_t)c->head_dim * m->ops.operand_bytes;
    size_t n = 0;

    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++) {
        const dr_layer_plan *p = &c->layers[i];
        dr_layer_state *l = layers ? &layers[i] : NULL;
        const bool overlap = p->kind == DR_ATTENTION_CSA;
        n += dr_window__plan(l ? &l->window : NULL, at ? at + n : NULL, c->window, m->layout.row_bytes, operand_row);
        if (p->kind != DR_ATTENTION_SWA)
            n += dr_tail__plan(l ? &l->tail : NULL, at ? at + n : NULL, p->ratio, (overlap ? 2 : 1) * c->head_dim, overlap);
        if (overlap)
            n += dr_tail__plan(l ? &l->index_tail : NULL, at ? at + n : NULL, p->ratio, 2 * c->index_dim, true);
    }
    return n;
}

static int64_t pages_for(int64_t tokens)
{
    return (tokens + DR_BLOCK_TOKENS - 1) / DR_BLOCK_TOKENS;
}

/* Everything of a decoder but scratch, state and pages. */
static size_t plan_decoder(dr_decoder *d, dr_arena *a, const dr_model *m, int64_t max_tokens)
{
    enum { SLACK = 1024 };
    const dr_config *c = &m->config;
    const size_t tokens = (size_t)max_tokens * sizeof(int32_t),
                 pages = (size_t)pages_for(max_tokens) * sizeof(dr_page *);
    const size_t layers = (size_t)(c->n_layers + c->n_mtp) * sizeof(dr_layer_state);
    const size_t waiting =
        c->n_mtp ? (size_t)DR_MTP_WAITING * (size_t)c->hc_mult * (size_t)c->dim * sizeof(float) : 0;

    if (a) {
        d->tokens = dr_arena_take(a, tokens);
        d->pages = dr_arena_take(a, pages);
        d->layers = dr_arena_take(a, layers);
        d->mtp.waiting = dr_arena_take(a, waiting);
    }
    return tokens + pages + layers + waiting + SLACK;
}

/* A state of position 0. */
static dr_status make_state(dr_decoder *d, dr_error *err)
{
    const size_t n = plan_layers(NULL, NULL, d->model);

    if (!(d->state = dr_page__new(n)))
        return dr_fail(err, DR_ERR_NOMEM, "decoder: no memory for %zu MiB of windows", n >> 20);
    (void)plan_layers(d->layers, d->state->data, d->model);
    dr_decoder__begin(d);
    return DR_OK;
}

/* The place in another block of the same plan. */
static void *moved(const void *p, const dr_page *from, const dr_page *to)
{
    return to->data + ((const uint8_t *)p - from->data);
}

static void move_tail(dr_tail *t, const dr_page *from, const dr_page *to)
{
    const dr_tail old = *t;

    if (!old.k)
        return;
    t->k = moved(old.k, from, to);
    t->z = moved(old.z, from, to);
    dr_tail__copy(t, &old);
}

dr_status dr_decoder__own_state(dr_decoder *d, dr_error *err)
{
    const dr_config *c = &d->model->config;

    if (!d->state)
        return make_state(d, err);
    if (!dr_page__is_shared(d->state))
        return DR_OK;
    dr_page *own = dr_page__new(d->state->bytes);
    if (!own)
        return dr_fail(err, DR_ERR_NOMEM, "decoder: no memory for %zu MiB of windows", d->state->bytes >> 20);
    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++) {
        dr_layer_state *l = &d->layers[i];
        const dr_window old = l->window;
        l->window.rows = moved(old.rows, d->state, own);
        l->window.operand = moved(old.operand, d->state, own);
        dr_window__copy(&l->window, &old);
        move_tail(&l->tail, d->state, own);
        move_tail(&l->index_tail, d->state, own);
    }
    dr_page__drop(d->state);
    d->state = own;
    return DR_OK;
}

dr_status dr_decoder__new(dr_decoder **out, const dr_model *model, dr_queue *queue, dr_scratch *scratch,
                          int32_t max_chunk, int64_t max_tokens, dr_error *err)
{
    dr_status st = DR_OK;
    dr_decoder *d = NULL;

    *out = NULL;
    if (max_chunk <= 0 || max_chunk % DR_PIECE != 0 || max_tokens <= 0 || max_tokens > INT32_MAX) {
        st = dr_fail(err, DR_ERR_ARG, "a decoder for chunks of %d and %lld tokens: chunks are multiples of %d",
                     max_chunk, (long long)max_tokens, DR_PIECE);
        goto done;
    }
    if (!(d = calloc(1, sizeof *d))) {
        st = dr_fail(err, DR_ERR_NOMEM, "decoder: out of memory");
        goto done;
    }
    d->model = model;
    d->queue = queue;
    d->max_tokens = max_tokens;
    d->n_pages = pages_for(max_tokens);
    d->scratch = scratch ? scratch : dr_scratch__new(model, max_chunk, max_tokens);
    scratch = NULL;
    if (!d->scratch || !(d->arena = dr_arena_new(plan_decoder(NULL, NULL, model, max_tokens)))) {
        st = dr_fail(err, DR_ERR_NOMEM, "decoder: no memory for %zu MiB",
                     dr_decoder_plan(model, max_chunk, max_tokens, NULL) >> 20);
        goto done;
    }
    (void)plan_decoder(d, d->arena, model, max_tokens);
    d->importing = -1;
    *out = d;
    d = NULL;
done:
    dr_scratch__drop(scratch);
    dr_decoder_free(d);
    return st;
}

dr_status dr_decoder_new(dr_decoder **out, const dr_model *model, dr_queue *queue, int32_t max_chunk,
                         int64_t max_tokens, dr_error *err)
{
    dr_status st = dr_decoder__new(out, model, queue, NULL, max_chunk, max_tokens, err);
    int64_t kv;
    if (st == DR_OK && (st = dr_decoder__own_state(*out, err)) != DR_OK) {
        dr_decoder_free(*out);
        *out = NULL;
    }
    if (st == DR_OK) {
        const size_t n = dr_decoder_plan(model, max_chunk, max_tokens, &kv);
        dr_log("engine", "decoder: chunks of %d, %lld tokens at most, %.1f MiB and %lld bytes of KV a 1024 tokens",
               max_chunk, (long long)max_tokens, (double)n / (1 << 20), (long long)kv);
    }
    return st;
}

size_t dr_decoder_plan(const dr_model *model, int32_t max_chunk, int64_t max_tokens, int64_t *kv_bytes_per_1024)
{
    if (kv_bytes_per_1024)
        *kv_bytes_per_1024 = (int64_t)model->layout.page_bytes * 1024 / DR_BLOCK_TOKENS;
    return dr_scratch__plan(NULL, NULL, model, max_chunk, max_tokens) + plan_decoder(NULL, NULL, model, max_tokens) +
           plan_layers(NULL, NULL, model);
}

/* Adds a page to what is held alone or together with other timelines. */
static void count_page(size_t *own, size_t *shared, const dr_page *p)
{
    if (p)
        *(dr_page__is_shared(p) ? shared : own) += p->bytes;
}

size_t dr_decoder_memory(const dr_decoder *d, size_t *shared)
{
    size_t own = dr_arena_used(d->arena), common = 0;
    const size_t scratch = dr_arena_used(d->scratch->arena);

    *(atomic_load_explicit(&d->scratch->refs, memory_order_relaxed) > 1 ? &common : &own) += scratch;
    count_page(&own, &common, d->state);
    for (int64_t i = 0; i < d->n_pages; i++)
        count_page(&own, &common, d->pages[i]);
    for (size_t i = 0; i < d->n_snapshots; i++)
        count_page(&own, &common, d->snapshots[i].state);
    if (shared)
        *shared = common;
    return own;
}

void dr_decoder_free(dr_decoder *d)
{
    if (!d)
        return;
    if (d->arena)
        for (int64_t i = 0; i < d->n_pages; i++)
            dr_page__drop(d->pages[i]);
    dr_snapshot__drop_after(d, -1);
    free(d->snapshots);
    dr_page__drop(d->state);
    dr_scratch__drop(d->scratch);
    dr_arena_free(d->arena);
    free(d);
}

void dr_decoder__begin(dr_decoder *d)
{
    const dr_config *c = &d->model->config;

    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++) {
        dr_window__reset(&d->layers[i].window, 0);
        if (c->layers[i].kind != DR_ATTENTION_SWA)
            dr_tail__reset(&d->layers[i].tail, 0);
        if (c->layers[i].kind == DR_ATTENTION_CSA)
            dr_tail__reset(&d->layers[i].index_tail, 0);
    }
    d->position = 0;
    d->n_ahead = 0;
    dr_mtp__reset(d);
}

void dr_decoder_reset(dr_decoder *d)
{
    for (int64_t i = 0; i < d->n_pages; i++) {
        dr_page__drop(d->pages[i]);
        d->pages[i] = NULL;
    }
    dr_snapshot__drop_after(d, -1);
    d->importing = -1;
    if (d->state && !dr_page__is_shared(d->state)) {
        dr_decoder__begin(d);
        return;
    }
    dr_page__drop(d->state); /* the other timelines still need what is in it */
    d->state = NULL;
    d->position = 0;
    d->n_ahead = 0;
    dr_mtp__reset(d);
    (void)make_state(d, NULL); /* without memory now, the next run asks again */
}

int64_t dr_decoder_position(const dr_decoder *d)
{
    return d->position;
}

const int32_t *dr_decoder_tokens(const dr_decoder *d)
{
    return d->tokens;
}

/* ---- running ---- */

dr_status dr_decoder__check(const dr_decoder *d, const int32_t *ids, int64_t n, dr_error *err)
{
    const int32_t vocab = d->model->config.vocab;

    if (d->importing >= 0)
        return dr_fail(err, DR_ERR_ARG, "the decoder is being restored");
    if (n < 0)
        return dr_fail(err, DR_ERR_ARG, "%lld tokens", (long long)n);
    if (n > d->max_tokens - d->position)
        return dr_fail(err, DR_ERR_LIMIT, "%lld tokens after %lld: the decoder holds %lld", (long long)n,
                       (long long)d->position, (long long)d->max_tokens);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return dr_fail(err, DR_ERR_ARG, "token %lld has id %d, expected 0 to %d", (long long)i, ids[i], vocab - 1);
    return DR_OK;
}

/* Puts windows and tails back to the position, which a pass that was cut short has left behind. */
static void undo_pass(dr_decoder *d, bool guarded)
{
    if (guarded) {
        dr_state__load(d, d->scratch->guard, d->position);
        return;
    }
    dr_decoder__step_back(d, d->position);
}

/* The MTP block over what this chunk completes: the last token before it (its streams were kept) and all but the last
 * of its own. logits: row of the first token of the call, which stood at call_pos. */
static void follow_with_mtp(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, int64_t call_pos)
{
    const dr_config *c = &d->model->config;
    const int64_t token = (int64_t)c->hc_mult * c->dim, first = d->position > 0 ? d->position - 1 : 0,
                  n_pairs = d->position + n - 1 - first;
    float *streams = d->scratch->streams;

    if (d->position > 0)
        memcpy(streams, d->mtp.waiting, (size_t)token * sizeof *streams);
    if (n_pairs > 0)
        dr_forward__mtp(d, d->position > 0 ? streams : streams + token, d->position > 0 ? ids : ids + 1, first,
                        n_pairs);
    const int64_t skip = first < call_pos ? call_pos - first : 0; /* that row was the end of an earlier call */
    if (n_pairs > skip)
        dr_forward__head(d, logits + (first + skip - call_pos) * c->vocab, &d->model->mtp.head,
                         d->scratch->mtp_streams + skip * token, n_pairs - skip);
    memcpy(d->mtp.waiting, streams + n * token, (size_t)token * sizeof *streams);
    d->mtp.n_pairs = d->mtp.next = d->position + n - 1;
    d->mtp.n_waiting = 1;
}

static dr_status run(dr_decoder *d, const int32_t *ids, int64_t n, int64_t head_rows, float *logits, float *mtp, bool ahead,
                     const atomic_bool *cancel, dr_error *err)
{
    const dr_config *c = &d->model->config;
    const int64_t token = (int64_t)c->hc_mult * c->dim, call_pos = d->position;
    dr_scratch *s = d->scratch;
    dr_status st;

    if ((st = dr_decoder__own_state(d, err)) != DR_OK)
        return st;
    for (int64_t done = 0, m; done < n; done += m) {
        const int64_t page = d->position / DR_BLOCK_TOKENS;
        m = at_most(at_most(n - done, s->max_chunk), (page + 1) * DR_BLOCK_TOKENS - d->position);
        if ((st = dr_page__own(&d->pages[page], d->model->layout.page_bytes, err)) != DR_OK)
            return st;
        const bool guarded = cancel && m > DR_SPARE_ROWS;
        if (guarded)
            dr_state__save(d, s->guard);
        if (!dr_forward__backbone(d, ids + done, m, cancel)) {
            undo_pass(d, guarded);
            return dr_fail(err, DR_ERR_CANCELLED, "cancelled after %lld of %lld tokens", (long long)done, (long long)n);
        }
        if (head_rows == n && n > 1)
            dr_forward__head(d, logits + done * c->vocab, &d->model->out, s->streams + token, m);
        else if (head_rows && done + m == n)
            dr_forward__head(d, logits, &d->model->out, s->streams + m * token, 1);
        if (mtp)
            follow_with_mtp(d, ids + done, m, mtp, call_pos);
        memmove(d->tokens + d->position, ids + done, (size_t)m * sizeof *ids); /* a replay reads them from there */
        if (d->drafting && ahead)
            dr_mtp__wait(d, m);
        else if (d->drafting)
            dr_mtp__follow(d, m, n - done - m);
        d->position += m;
        d->mtp.position = mtp ? d->position : -1;
        /* A snapshot that finds no memory is not an error: going back then replays more. */
        if (d->position % DR_BLOCK_TOKENS == 0)
            (void)dr_snapshot__take(d, false, NULL);
    }
    return DR_OK;
}

dr_status dr_decoder__run(dr_decoder *d, const int32_t *ids, int64_t n, int64_t head_rows, float *logits,
                          const atomic_bool *cancel, dr_error *err)
{
    return run(d, ids, n, head_rows, logits, NULL, false, cancel, err);
}

dr_status dr_decoder__run_ahead(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, const atomic_bool *cancel,
                                dr_error *err)
{
    const int64_t position = d->position;
    const dr_status st = run(d, ids, n, n, logits, NULL, true, cancel, err);

    d->n_ahead = d->position - position;
    d->position = position;
    if (st != DR_OK)
        dr_decoder__settle(d);
    return st;
}

dr_status dr_decoder_prefill(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, const atomic_bool *cancel,
                             dr_error *err)
{
    const dr_status st = dr_decoder__check(d, ids, n, err);

    if (st != DR_OK)
        return st;
    dr_decoder__settle(d);
    return dr_decoder__run(d, ids, n, logits ? 1 : 0, logits, cancel, err);
}

dr_status dr_decoder_logits(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, float *mtp, dr_error *err)
{
    const int32_t vocab = d->model->config.vocab;
    dr_status st = dr_decoder__check(d, ids, n, err);

    if (st != DR_OK)
        return st;
    if (mtp && d->model->config.n_mtp == 0)
        return dr_fail(err, DR_ERR_ARG, "this checkpoint has no MTP block");
    if (mtp && (d->drafting || d->mtp.position != d->position))
        return dr_fail(err, DR_ERR_ARG, "MTP logits have to be asked for from the first token on%s",
                       d->drafting ? ", and not of a timeline that drafts" : "");
    dr_decoder__settle(d);
    if ((st = run(d, ids, n, logits ? n : 0, logits, mtp, false, NULL, err)) == DR_OK && mtp && n > 0)
        for (int32_t i = 0; i < vocab; i++)
            mtp[(n - 1) * vocab + i] = NAN;
    return st;
}
