/* engine/decoder.h: one mutable timeline of a model: tokens in, logits out, state that can be moved.
 *
 *   d = new(model)          position 0
 *   prefill(d, ids, n, l)   position += n; l: logits after the last token
 *   step(d, id, l)          prefill of one token
 *   fork / rewind / mark    other timelines, earlier positions
 *   export / import         state as bytes, in native KV precision (584-byte rows at official dims)
 *
 * The logits at a position are the same bits whatever the chunking, the threads, the instruction set, and whether the
 * prefix was computed, imported, forked or replayed (DESIGN N1, N2). Prefill and decode are one function with different
 * row counts.
 *
 * State at position T (spec 6.3), per layer: window rows of the last window_len tokens; floor(T/ratio) entry rows (and
 * index rows); the compressor tail of T mod ratio rows and, for CSA, the overlap rows of the last finished block. Entry
 * rows live in pages of 2,048 tokens, reference counted and copied on first write, as windows and tails are: what a
 * fork costs, when it goes on, is windows, tails and at most one page.
 *
 * A decoder is owned by one thread at a time; its queue too. The token loop neither allocates nor frees (pages are
 * taken when a 2,048-token border is crossed, and by the first pass after a fork). Every call that fails leaves the decoder at the position it had. */
#ifndef DR_ENGINE_DECODER_H
#define DR_ENGINE_DECODER_H

#include "engine/model.h"

#include <stdatomic.h>

enum { DR_BLOCK_TOKENS = 2048 }; /* page and stored block */

typedef struct dr_decoder dr_decoder;

/* max_chunk: rows of one pass, a multiple of 128 (scratch is sized by it; 512 suits the CPU). max_tokens: the longest
 * timeline, DR_ERR_LIMIT beyond it. Borrows model and queue. */
dr_status dr_decoder_new(dr_decoder **out, const dr_model *model, dr_queue *queue, int32_t max_chunk,
                         int64_t max_tokens, dr_error *err);
void dr_decoder_free(dr_decoder *d);

/* Bytes dr_decoder_new will take, and bytes of KV a token adds (asymptotically, times 1024). */
size_t dr_decoder_plan(const dr_model *model, int32_t max_chunk, int64_t max_tokens, int64_t *kv_bytes_per_1024);

/* Bytes that this timeline holds alone; *shared (may be NULL) counts what it shares with others, which each of them
 * counts. */
size_t dr_decoder_memory(const dr_decoder *d, size_t *shared);

int64_t dr_decoder_position(const dr_decoder *d);
/* The tokens so far, [position]; borrowed until the next call. */
const int32_t *dr_decoder_tokens(const dr_decoder *d);

/* Appends n tokens. logits f32 [vocab] of the last one, or NULL. `cancel` (may be NULL) is polled between layers: when
 * it is set the call returns DR_ERR_CANCELLED and the position is that of the last finished chunk. Ids out of range:
 * DR_ERR_ARG, nothing done. */
dr_status dr_decoder_prefill(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, const atomic_bool *cancel,
                             dr_error *err);

/* As prefill, with the logits of every token: logits f32 [n][vocab]. mtp f32 [n][vocab] or NULL: row t is the MTP
 * block's prediction of token t + 2 from the streams of t and the embedding of t + 1 (spec 3.12), at position t; the
 * last row has no t + 1 yet and is filled with NaN. mtp must be asked for from position 0 on (the block has a window of
 * its own), so not after a restore or a rewind. */
dr_status dr_decoder_logits(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, float *mtp, dr_error *err);

/* A second timeline with the same past, on the same queue. Takes microseconds whatever the length: windows, tails and
 * pages are shared, and the first of the two that goes on copies what it writes. */
dr_status dr_decoder_fork(dr_decoder **out, const dr_decoder *d, dr_error *err);

/* Keeps a snapshot of the current position for rewind (besides those kept every 2,048 tokens); turns call it. */
dr_status dr_decoder_mark(dr_decoder *d, dr_error *err);
/* Goes back to position <= current: at once when it is at most 32 tokens back (drafts), else the nearest snapshot at or
 * before it, then a replay. */
dr_status dr_decoder_rewind(dr_decoder *d, int64_t position, dr_error *err);
/* Back to position 0, everything released. */
void dr_decoder_reset(dr_decoder *d);

/* A stored block holds the entry and index rows of tokens [i * 2048, (i + 1) * 2048) of all compressed layers; an
 * anchor holds what else is needed to go on from one position: window rows, tails, overlap, and the rows since the last
 * whole block. Layouts are drawn in layout.h (blocks), state.h and transfer.c (anchors); they are native to this
 * build's numerics id and config, little-endian. */
size_t dr_decoder_block_bytes(const dr_model *model);
size_t dr_decoder_anchor_bytes(const dr_model *model, int64_t position);
/* Block i must lie wholly before the position. dst has block_bytes. */
dr_status dr_decoder_export_block(const dr_decoder *d, int64_t i, void *dst, dr_error *err);
/* The anchor of the current position. */
dr_status dr_decoder_export_anchor(const dr_decoder *d, void *dst, dr_error *err);

/* Restores: begin (position 0, the tokens of the prefix are told), every whole block once in any order, then the
 * anchor, which sets the position to n_tokens. DR_ERR_FORMAT on sizes that do not fit; then the decoder is empty, never
 * half restored. */
dr_status dr_decoder_import_begin(dr_decoder *d, const int32_t *tokens, int64_t n_tokens, dr_error *err);
dr_status dr_decoder_import_block(dr_decoder *d, int64_t i, const void *src, size_t n_bytes, dr_error *err);
dr_status dr_decoder_import_anchor(dr_decoder *d, const void *src, size_t n_bytes, dr_error *err);

/* Names everything that the bytes of a block depend on besides tokens and checkpoint: format, numerics, rope and KV
 * configuration. */
dr_digest dr_decoder_numerics_id(const dr_model *model);

#endif
