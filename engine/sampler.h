/* engine/sampler.h: from logits to one token id.
 *
 * temperature 0 is greedy (ties to the lower id). Otherwise p = softmax(logits / temperature) over the legal tokens, cut by min_p (a
 * share of the largest p) and top_p (the smallest set, descending, whose sum reaches it), and one draw from a counter-based generator
 * seeded by `seed`: the same seed, logits and constraint give the same tokens on every machine. Legality is tested lazily
 * in order of descending logit. Owned by one thread. */
#ifndef DR_ENGINE_SAMPLER_H
#define DR_ENGINE_SAMPLER_H

#include "engine/constraint.h"

typedef struct dr_sampling {
    float temperature, top_p, min_p; /* 0, 1, 0: greedy, no cuts */
    uint64_t seed;
} dr_sampling;

typedef struct dr_sampler dr_sampler;
dr_status dr_sampler_new(dr_sampler **out, dr_sampling how, int32_t vocab, dr_error *err);
void dr_sampler_free(dr_sampler *s);

/* constraint NULL: everything is legal. DR_ERR_NOT_FOUND when no token is. The constraint is not advanced. */
dr_status dr_sampler_pick(dr_sampler *s, int32_t *id, const float *logits, const dr_constraint *constraint,
                          const dr_tokenizer *t, dr_error *err);

#endif
