/* engine/timeline.h: what a decoder is made of. Internal to engine.
 *
 * T tokens are processed: every layer's window and tails end at T, the page of T - 1 is there. Snapshots are ordered by
 * position. */
#ifndef DR_ENGINE_TIMELINE_H
#define DR_ENGINE_TIMELINE_H

#include "engine/decoder.h"
#include "engine/pages.h"
#include "engine/scratch.h"
#include "engine/window.h"

typedef struct dr_layer_state {
    dr_window window;
    dr_tail tail, index_tail; /* compressed layers; CSA */
} dr_layer_state;

typedef struct dr_snapshot {
    int64_t position;
    dr_page *state; /* dr_state__bytes(position), shared between forks */
    bool marked;    /* asked for: never thinned out */
} dr_snapshot;

struct dr_decoder {
    const dr_model *model;
    dr_queue *queue;
    dr_scratch *scratch;
    dr_arena *arena; /* holds what follows */
    int64_t max_tokens, position;
    int64_t importing; /* tokens told by import_begin, or -1 */
    int32_t *tokens;
    dr_page **pages; /* [ceil(max_tokens / DR_BLOCK_TOKENS)] */
    int64_t n_pages;
    dr_layer_state *layers; /* [n_layers + n_mtp] */
    int64_t mtp_position;   /* how far the MTP block has followed; -1: it has not */
    float *mtp_pending;     /* [hc_mult][dim]: the streams of the last token, waiting for the next id */
    dr_snapshot *snapshots;
    size_t n_snapshots, cap_snapshots;
};

/* A decoder with every buffer, at position 0. scratch: one reference is taken over, also on failure; NULL makes a new
 * one. */
dr_status dr_decoder__new(dr_decoder **out, const dr_model *model, dr_queue *queue, dr_scratch *scratch,
                          int32_t max_chunk, int64_t max_tokens, dr_error *err);
/* Windows and tails as before the first token; pages and snapshots stay. */
void dr_decoder__begin(dr_decoder *d);
/* Runs ids through the timeline, whose pages are taken as needed; head_rows: 0, 1 (the last token's logits) or n (all).
 */
dr_status dr_decoder__run(dr_decoder *d, const int32_t *ids, int64_t n, int64_t head_rows, float *logits, float *mtp,
                          const atomic_bool *cancel, dr_error *err);

/* Keeps the state of the current position. marked: until the timeline goes back before it. */
dr_status dr_snapshot__take(dr_decoder *d, bool marked, dr_error *err);
void dr_snapshot__drop_after(dr_decoder *d, int64_t position);
/* Takes over references to another timeline's snapshots; d has none. */
dr_status dr_snapshot__share(dr_decoder *d, const dr_decoder *from, dr_error *err);

#endif
