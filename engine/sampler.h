/* engine/sampler.h: from logits to one token id.
 *
 * temperature 0 is greedy (ties to the lower id). Otherwise p = softmax(logits / temperature) over the legal tokens; kept are those with
 * p >= min_p * the largest p that also belong to the smallest set, in descending order, whose sum reaches top_p; one is drawn from
 * them by a counter-based generator seeded by `seed`: the same seed, logits and constraint give the same tokens on every machine.
 * A token whose p is less than 2^-24 of the largest legal one counts as 0. NaN counts as -infinity.
 *
 * Legality is tested lazily in order of descending logit; where the likeliest tokens are all refused, the legal ones are listed
 * instead, which is quick where little is legal. Owned by one thread; picking allocates nothing. */
#ifndef DR_ENGINE_SAMPLER_H
#define DR_ENGINE_SAMPLER_H

#include "engine/constraint.h"

typedef struct dr_sampling {
    float temperature, top_p, min_p; /* 0, 1, 0: greedy, no cuts */
    uint64_t seed;
} dr_sampling;

typedef struct dr_sampler dr_sampler;
/* vocab: length of the logits. DR_ERR_ARG for a temperature below 0 or shares outside [0, 1]. */
dr_status dr_sampler_new(dr_sampler **out, dr_sampling how, int32_t vocab, dr_error *err);
void dr_sampler_free(dr_sampler *s);

/* constraint NULL: everything is legal. DR_ERR_NOT_FOUND when no token is. The constraint is not advanced. Every pick that is not greedy
 * takes one number from the generator. */
dr_status dr_sampler_pick(dr_sampler *s, int32_t *id, const float *logits, const dr_constraint *constraint,
                          const dr_tokenizer *t, dr_error *err);

#endif
