/* engine/timeline.h: what a decoder is made of. Internal to engine.
 *
 * T tokens are processed: every layer's window and tails end at T + n_ahead, the page of T + n_ahead - 1 is there. Rows
 * ahead are those of drafted tokens: n_ahead is 0 but between two steps of a speculation, and every call that is not one
 * of its steps takes them back first. Snapshots are ordered by position. */
#ifndef DR_ENGINE_TIMELINE_H
#define DR_ENGINE_TIMELINE_H

#include "engine/decoder.h"
#include "engine/pages.h"
#include "engine/speculation.h"
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

/* What the MTP block knows of the timeline. Its window rows are those of pairs (streams of t, id of t + 1), in order, at
 * places of their own 0, 1, ..: only distances count in a window (spec 3.12), so it may begin anywhere and lack a pair. */
typedef struct dr_mtp_state {
    int64_t position; /* all pairs so far are there and place = token: up to this position; -1: not so */
    int64_t n_pairs;  /* in the window: its end */
    int64_t next;     /* first token whose pair is not in the window ... */
    int32_t n_waiting;
    float *waiting; /* ... [DR_MTP_WAITING][hc_mult][dim]: streams of tokens next .. next + n_waiting - 1 */
} dr_mtp_state;

/* Plain steps are cheap beside drafting because their pairs enter the window many at a time. */
enum { DR_MTP_WAITING = 32 };

struct dr_decoder {
    const dr_model *model;
    dr_queue *queue;
    dr_scratch *scratch;
    dr_arena *arena; /* holds what follows up to mtp */
    int64_t max_tokens, position, n_ahead;
    int64_t importing; /* tokens told by import_begin, or -1 */
    int32_t *tokens;
    dr_page **pages; /* [ceil(max_tokens / DR_BLOCK_TOKENS)] */
    int64_t n_pages;
    dr_layer_state *layers; /* [n_layers + n_mtp] */
    dr_mtp_state mtp;
    bool drafting;  /* the MTP block follows, so that it can draft */
    dr_page *state; /* what the layers point into; forks share it until one of them runs. NULL: of position 0, not made yet */
    dr_snapshot *snapshots;
    size_t n_snapshots, cap_snapshots;
};

/* A decoder at position 0 with every buffer but its state, which dr_decoder__own_state makes. scratch: one reference is taken over, also on failure; NULL makes a new
 * one. */
dr_status dr_decoder__new(dr_decoder **out, const dr_model *model, dr_queue *queue, dr_scratch *scratch,
                          int32_t max_chunk, int64_t max_tokens, dr_error *err);
/* Windows and tails as before the first token; pages and snapshots stay. */
void dr_decoder__begin(dr_decoder *d);
/* Makes windows and tails writable: the decoder's own, copied when they were shared. On failure they are as before. */
dr_status dr_decoder__own_state(dr_decoder *d, dr_error *err);
/* Takes back what was computed ahead. */
void dr_decoder__settle(dr_decoder *d);
/* Makes `end`, at most DR_SPARE_ROWS back, the end of every window and tail of the backbone. */
void dr_decoder__step_back(dr_decoder *d, int64_t end);
/* Runs ids through the timeline, whose pages are taken as needed; head_rows: 0, 1 (the last token's logits) or n (all).
 */
dr_status dr_decoder__run(dr_decoder *d, const int32_t *ids, int64_t n, int64_t head_rows, float *logits,
                          const atomic_bool *cancel, dr_error *err);
/* The same with the logits of all, ahead of the position: all n tokens are n_ahead afterwards, none when it fails. */
dr_status dr_decoder__run_ahead(dr_decoder *d, const int32_t *ids, int64_t n, float *logits, const atomic_bool *cancel,
                                dr_error *err);
/* What a call must keep to: ids in range, room for them, no restore under way. */
dr_status dr_decoder__check(const dr_decoder *d, const int32_t *ids, int64_t n, dr_error *err);

/* ---- mtp.c ---- */

void dr_mtp__reset(dr_decoder *d);
void dr_mtp__copy(dr_decoder *d, const dr_decoder *from);
/* Behind a pass of n tokens at the decoder's position, whose ids are in d->tokens already; n_left more follow in this
 * call. Gives the block's window the pairs that are complete now. */
void dr_mtp__follow(dr_decoder *d, int64_t n, int64_t n_left);
/* Behind a pass over tokens of which some may be taken back: keeps their streams until it is known. */
void dr_mtp__wait(dr_decoder *d, int64_t n);
/* The timeline went back to position. */
void dr_mtp__went_back(dr_decoder *d, int64_t position);
/* Logits of the token behind `id`, which stands at the decoder's position; the pairs before it enter the window. false
 * when the streams of the token before are not known. */
bool dr_mtp__draft(dr_decoder *d, float *logits, int32_t id);
/* Logits of the token behind `draft`, n = 1, 2, .. behind those of dr_mtp__draft, from the block's own streams. */
void dr_mtp__draft_on(dr_decoder *d, float *logits, int32_t draft, int64_t n);
/* Takes the rows of drafts out of the window. */
void dr_mtp__drop_drafts(dr_decoder *d);

enum { DR_ANCHOR_MAGIC = 0x31415244, DR_ANCHOR_VERSION = 1 }; /* transfer.c */

/* Keeps the state of the current position. marked: until the timeline goes back before it. */
dr_status dr_snapshot__take(dr_decoder *d, bool marked, dr_error *err);
void dr_snapshot__drop_after(dr_decoder *d, int64_t position);
/* Takes over references to another timeline's snapshots; d has none. */
dr_status dr_snapshot__share(dr_decoder *d, const dr_decoder *from, dr_error *err);

#endif
