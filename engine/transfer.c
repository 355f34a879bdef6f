/* Stored forms of a timeline. All fields little-endian.
 *
 *   block i    the page of tokens [2048 i, 2048 (i + 1)), as it lies in memory (layout.h)
 *
 *   anchor of position T
 *     0   u32  magic "DRA1"
 *     4   u32  version
 *     8   u64  T
 *     16  u64  bytes of the whole anchor
 *     24  u64  0
 *     32  state of T (state.h)
 *         for every compressed layer: entry rows, then for CSA index rows, of tokens [T - T mod 2048, T) */
#include "engine/decoder.h"

#include "engine/state.h"
#include "engine/timeline.h"

#include "base/hash.h"

#include <string.h>

enum { ANCHOR_HEADER = 32 };

/* What a block's bytes mean changes with this: layouts above and the canonical order of docs/numerics.md. */
#define NUMERICS "deepread kv 1, numerics 1"

/* The used part of a layer's rows in a page of n tokens. */
typedef struct part {
    size_t at, n;
} part;

static int parts_of(part out[2], const dr_model *m, int32_t layer, int64_t tokens)
{
    const dr_layer_plan *p = &m->config.layers[layer];
    const dr_layer_layout *l = &m->layout.layers[layer];

    if (p->kind == DR_ATTENTION_SWA)
        return 0;
    out[0] = (part){l->entries_at, (size_t)(tokens / p->ratio) * m->layout.row_bytes};
    if (p->kind != DR_ATTENTION_CSA)
        return 1;
    out[1] = (part){l->index_at, (size_t)(tokens / p->ratio) * m->layout.index_row_bytes};
    return 2;
}

size_t dr_decoder_block_bytes(const dr_model *model)
{
    return model->layout.page_bytes;
}

size_t dr_decoder_anchor_bytes(const dr_model *model, int64_t position)
{
    size_t n = ANCHOR_HEADER + dr_state__bytes(model, position);
    part parts[2];

    for (int32_t i = 0; i < model->config.n_layers; i++)
        for (int k = parts_of(parts, model, i, position % DR_BLOCK_TOKENS); k-- > 0;)
            n += parts[k].n;
    return n;
}

dr_status dr_decoder_export_block(const dr_decoder *d, int64_t i, void *dst, dr_error *err)
{
    if (i < 0 || d->importing >= 0 || i >= d->position / DR_BLOCK_TOKENS)
        return dr_fail(err, DR_ERR_ARG, "block %lld of a timeline of %lld tokens", (long long)i,
                       (long long)d->position);
    memcpy(dst, d->pages[i]->data, d->model->layout.page_bytes);
    return DR_OK;
}

dr_status dr_decoder_export_anchor(const dr_decoder *d, void *dst, dr_error *err)
{
    const int64_t tokens = d->position % DR_BLOCK_TOKENS;
    uint8_t *at = dst;
    part parts[2];

    if (d->importing >= 0)
        return dr_fail(err, DR_ERR_ARG, "the decoder is being restored");
    if (!d->state)
        return dr_fail(err, DR_ERR_NOMEM, "anchor: no memory for the state of an empty timeline");
    memset(at, 0, ANCHOR_HEADER);
    dr_store_u32(at, DR_ANCHOR_MAGIC);
    dr_store_u32(at + 4, DR_ANCHOR_VERSION);
    dr_store_u64(at + 8, (uint64_t)d->position);
    dr_store_u64(at + 16, dr_decoder_anchor_bytes(d->model, d->position));
    at += ANCHOR_HEADER;
    dr_state__save(d, at);
    at += dr_state__bytes(d->model, d->position);
    for (int32_t i = 0; tokens && i < d->model->config.n_layers; i++) {
        const int n = parts_of(parts, d->model, i, tokens);
        for (int k = 0; k < n; at += parts[k++].n)
            memcpy(at, d->pages[d->position / DR_BLOCK_TOKENS]->data + parts[k].at, parts[k].n);
    }
    return DR_OK;
}

/* ---- restoring ---- */

/* A restore that failed leaves an empty decoder. */
static dr_status give_up(dr_decoder *d, dr_status st)
{
    dr_decoder_reset(d);
    return st;
}

dr_status dr_decoder_import_begin(dr_decoder *d, const int32_t *tokens, int64_t n_tokens, dr_error *err)
{
    const int32_t vocab = d->model->config.vocab;

    dr_decoder_reset(d);
    if (n_tokens < 0 || n_tokens > d->max_tokens)
        return dr_fail(err, DR_ERR_LIMIT, "restoring %lld tokens: the decoder holds %lld", (long long)n_tokens,
                       (long long)d->max_tokens);
    for (int64_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= vocab)
            return dr_fail(err, DR_ERR_ARG, "token %lld has id %d, expected 0 to %d", (long long)i, tokens[i],
                           vocab - 1);
    if (n_tokens)
        memcpy(d->tokens, tokens, (size_t)n_tokens * sizeof *tokens);
    d->importing = n_tokens;
    return DR_OK;
}

dr_status dr_decoder_import_block(dr_decoder *d, int64_t i, const void *src, size_t n_bytes, dr_error *err)
{
    if (d->importing < 0)
        return dr_fail(err, DR_ERR_ARG, "no restore has begun");
    if (i < 0 || i >= d->importing / DR_BLOCK_TOKENS || d->pages[i])
        return give_up(d, dr_fail(err, DR_ERR_ARG, "block %lld of a prefix of %lld tokens is not expected",
                                  (long long)i, (long long)d->importing));
    if (n_bytes != d->model->layout.page_bytes)
        return give_up(d, dr_fail(err, DR_ERR_FORMAT, "stored block %lld has %zu bytes, expected %zu", (long long)i,
                                  n_bytes, d->model->layout.page_bytes));
    const dr_status st = dr_page__own(&d->pages[i], n_bytes, err);
    if (st != DR_OK)
        return give_up(d, st);
    memcpy(d->pages[i]->data, src, n_bytes);
    return DR_OK;
}

static dr_status check_anchor(const dr_decoder *d, const uint8_t *src, size_t n_bytes, dr_error *err)
{
    const int64_t position = d->importing;
    const size_t expected = dr_decoder_anchor_bytes(d->model, position);

    for (int64_t i = 0; i < position / DR_BLOCK_TOKENS; i++)
        if (!d->pages[i])
            return dr_fail(err, DR_ERR_ARG, "block %lld was not restored before its anchor", (long long)i);
    if (n_bytes != expected)
        return dr_fail(err, DR_ERR_FORMAT, "stored anchor of position %lld has %zu bytes, expected %zu",
                       (long long)position, n_bytes, expected);
    if (dr_load_u32(src) != DR_ANCHOR_MAGIC || dr_load_u32(src + 4) != DR_ANCHOR_VERSION ||
        dr_load_u64(src + 8) != (uint64_t)position || dr_load_u64(src + 16) != expected)
        return dr_fail(err, DR_ERR_FORMAT, "stored anchor is not one of position %lld", (long long)position);
    return DR_OK;
}

dr_status dr_decoder_import_anchor(dr_decoder *d, const void *src, size_t n_bytes, dr_error *err)
{
    const uint8_t *at = src;
    part parts[2];
    dr_status st;

    if (d->importing < 0)
        return dr_fail(err, DR_ERR_ARG, "no restore has begun");
    const int64_t position = d->importing, page = position / DR_BLOCK_TOKENS, tokens = position % DR_BLOCK_TOKENS;
    if ((st = check_anchor(d, at, n_bytes, err)) != DR_OK || (st = dr_decoder__own_state(d, err)) != DR_OK ||
        (tokens && (st = dr_page__own(&d->pages[page], d->model->layout.page_bytes, err)) != DR_OK))
        return give_up(d, st);
    at += ANCHOR_HEADER;
    dr_state__load(d, at, position);
    at += dr_state__bytes(d->model, position);
    for (int32_t i = 0; tokens && i < d->model->config.n_layers; i++) {
        const int n = parts_of(parts, d->model, i, tokens);
        for (int k = 0; k < n; at += parts[k++].n)
            memcpy(d->pages[page]->data + parts[k].at, at, parts[k].n);
    }
    d->importing = -1;
    dr_mtp__reset(d);
    if (position) /* so that going back a little later does not replay the whole prefix; without memory it does */
        (void)dr_snapshot__take(d, false, NULL);
    return DR_OK;
}

/* ---- identity ---- */

dr_digest dr_decoder_numerics_id(const dr_model *model)
{
    const dr_config *c = &model->config;
    dr_buf b = {0};

    dr_buf_printf(&b,
                  "%s; operand %zu; row %zu, index row %zu, page %zu; window %d; dims %d %d %d; streams %d; rope %.17g "
                  "%.17g %.17g "
                  "%.17g %.17g %lld; kinds",
                  NUMERICS, model->ops.operand_bytes, model->layout.row_bytes, model->layout.index_row_bytes,
                  model->layout.page_bytes, c->window, c->head_dim, c->rope_dim, c->index_dim, c->hc_mult,
                  c->rope_theta, c->compress_rope_theta, c->rope_factor, c->beta_fast, c->beta_slow,
                  (long long)c->original_context);
    for (int32_t i = 0; i < c->n_layers; i++)
        dr_buf_printf(&b, " %d", c->layers[i].ratio);
    const dr_digest id = dr_sha256(b.data, b.n);
    dr_buf_free(&b);
    return id;
}
