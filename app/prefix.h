/* app/prefix.h: brings a decoder along a timeline, restoring what the cache holds and storing what it lacked.
 *
 * The result has the bits of a cold run either way (DESIGN N1). Blocks of 2,048 tokens are stored as they are passed, anchors where
 * cache/anchors.h says, and wherever a prefill was interrupted, so that the next one goes on from there. A cache that fails costs time,
 * never the answer: its first error is kept for the caller to show.
 *
 * Owned by one thread, together with its decoder; nobody else moves the decoder while this lives. */
#ifndef DR_APP_PREFIX_H
#define DR_APP_PREFIX_H

#include "cache/cache.h"
#include "engine/decoder.h"
#include "engine/speculation.h"
#include "engine/tokenizer.h"

typedef struct dr_prefix dr_prefix;

/* Borrows all; cache may be NULL. group: what `cache purge` knows these records by. */
dr_status dr_prefix_new(dr_prefix **out, dr_cache *cache, dr_decoder *decoder, const dr_model *model,
                        const dr_tokenizer *tokenizer, uint64_t group, dr_error *err);
/* Waits until what was stored is on disk. */
void dr_prefix_free(dr_prefix *p);

typedef struct dr_prefix_stat {
    int64_t n_tokens, n_restored, n_computed;
    uint64_t restore_us, compute_us;
} dr_prefix_stat;

/* How much computing a process that is killed in the middle of a prompt may lose, beyond what had not left the writer's queue: an anchor is
 * stored at the first chunk's end where so much has passed since the last one, and goes again when the next one is on disk. A minute
 * unless this is called. */
void dr_prefix_max_loss(dr_prefix *p, uint64_t us);

/* Called between chunks; done and total are tokens that have to be computed. */
typedef void dr_prefix_progress(void *arg, int64_t done, int64_t total, uint64_t elapsed_us);

/* From an empty decoder to ids[0..n), n >= 1: logits f32 [vocab] of the last token. marks: ascending positions < n; the first is the end
 * of the pack's base, which eviction spares longer. DR_ERR_CANCELLED: what was computed so far is stored. */
dr_status dr_prefix_run(dr_prefix *p, dr_prefix_stat *stat, float *logits, const int32_t *ids, int64_t n,
                        const int64_t *marks, int n_marks, dr_prefix_progress *progress, void *arg, const atomic_bool *cancel,
                        dr_error *err);

/* Appends n tokens to the timeline, as dr_decoder_prefill does, storing the blocks that are finished by it. Never waits for the disk: when it is
 * too slow, what follows is not stored. */
dr_status dr_prefix_feed(dr_prefix *p, const int32_t *ids, int64_t n, float *logits, const atomic_bool *cancel, dr_error *err);

/* dr_speculation_step on a speculation of the same decoder, storing like dr_prefix_feed. */
dr_status dr_prefix_step(dr_prefix *p, dr_speculation *speculation, int32_t id, float *logits, const dr_constraint *constraint,
                         const dr_tokenizer *t, const atomic_bool *cancel, dr_error *err);

/* A turn ends here: the next prompt may go on from this very position. Does not wait either. */
void dr_prefix_turn_end(dr_prefix *p);

/* Waits until all that was stored is on disk or let go: then dr_prefix_trouble knows of late errors too. */
void dr_prefix_finish(dr_prefix *p);

/* What went wrong with the cache while the answer went on, or "". */
const char *dr_prefix_trouble(const dr_prefix *p);

/* Bytes written to the cache so far. */
int64_t dr_prefix_written(const dr_prefix *p);
/* CPU time that storing has taken so far: this thread's part (keys, copies) and the writer's. */
uint64_t dr_prefix_store_us(const dr_prefix *p);

#endif
