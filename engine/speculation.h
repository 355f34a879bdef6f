/* engine/speculation.h: several tokens a pass, guessed by the MTP block and never believed (spec 3.12, 6.3).
 *
 *   s = new(decoder, 2, true, &err)
 *   loop:  pick id from logits as ever;  step(s, id, logits)
 *
 * A step appends one token and gives the logits behind it, exactly the bits that dr_decoder_prefill(d, &id, 1, logits)
 * gives. Behind the scenes one pass runs the token together with drafts of those that may follow; while the caller's ids
 * are the drafted ones, steps cost no pass; the first other id takes the rest back (spare rows of windows and tails, no
 * copy). So whoever picks decides: greedy or drawn, under a grammar or not, the tokens are those of plain decoding, and
 * bad drafts cost time only.
 *
 * Drafts are the block's likeliest tokens; the first one is legal under the constraint given, later ones too (a copy of
 * the constraint goes along). The block needs the streams of recent tokens. While a speculation exists the decoder's
 * prefill keeps them for the window at its end, in native rows, at the cost of two small products a token. They are not
 * part of anchors: after a restore or a rewind the block's window begins anew and grows with what is computed from there
 * on, which only makes drafts worse for a while.
 *
 * The decoder may be used as ever between steps: whatever is called on it, it is at the position of the tokens stepped,
 * and drafts are taken back. A fork of it needs a speculation of its own. Owned by the decoder's thread. */
#ifndef DR_ENGINE_SPECULATION_H
#define DR_ENGINE_SPECULATION_H

#include "engine/constraint.h"
#include "engine/decoder.h"

enum { DR_DRAFTS_AT_MOST = 4 };

typedef struct dr_speculation dr_speculation;

typedef struct dr_speculation_stat {
    int64_t n_tokens, n_passes;    /* steps, and passes of the backbone for them */
    int64_t n_drafted, n_accepted; /* drafts that were run, and those that were stepped on */
} dr_speculation_stat;

/* max_drafts: 0 to DR_DRAFTS_AT_MOST a pass. With 0, or a checkpoint without an MTP block, steps are plain ones. adaptive: the
 * number is chosen by what was gained lately, by the clock, and is 0 while nothing is; the clock never shows in results.
 * Else always max_drafts. Borrows the decoder, which must outlive it and have no other speculation (DR_ERR_ARG). */
dr_status dr_speculation_new(dr_speculation **out, dr_decoder *d, int32_t max_drafts, bool adaptive, dr_error *err);
/* Takes back what is ahead. */
void dr_speculation_free(dr_speculation *s);

/* logits f32 [vocab]. constraint: the state behind `id`, which it has taken already, or NULL: drafts are free; it is not
 * changed. Second and later drafts under a constraint allocate (a copy of it). cancel and errors as
 * dr_decoder_prefill; after an error the position is that before the call. */
dr_status dr_speculation_step(dr_speculation *s, int32_t id, float *logits, const dr_constraint *constraint,
                              const dr_tokenizer *t, const atomic_bool *cancel, dr_error *err);

dr_speculation_stat dr_speculation_stats(const dr_speculation *s);

#endif
