/* cache/chain.h: names for prefixes of token ids. Equal keys mean equal tokens under equal computation.
 *
 *   K_0     = SHA-256(SHA-256(format version, checkpoint, tokenizer, numerics), SHA-256(salt))
 *   K_i     = SHA-256(K_{i-1}, 128 ids as little-endian 32-bit words)           position 128 i
 *   K_i + r = SHA-256('t', K_i, r, r ids)   for 0 < r < 128                     position 128 i + r
 *
 * Inputs of the second kind are 544 bytes, of the third 4 r + 37: they never have the same length, so neither can stand for the other.
 * A chain over n tokens is the array of its n / 128 + 1 border keys. Pure functions, any thread. */
#ifndef DR_CACHE_CHAIN_H
#define DR_CACHE_CHAIN_H

#include "base/hash.h"

#include <stdbool.h>

enum {
    DR_CHAIN_STEP = 128,         /* tokens between two border keys */
    DR_CHAIN_BLOCK_TOKENS = 2048 /* tokens of a stored block: 16 borders */
};

typedef dr_digest dr_key;

typedef struct dr_chain_parts {
    dr_digest checkpoint, tokenizer, numerics;
    const void *salt; /* keeps tenants apart; may be NULL with n_salt 0 */
    size_t n_salt;
} dr_chain_parts;

dr_key dr_chain_start(const dr_chain_parts *parts);

/* Exactly DR_CHAIN_STEP ids. */
dr_key dr_chain_next(const dr_key *key, const int32_t *ids);

/* keys[0..n / 128] over ids[0..n), keys[0] = *start. Going on from known borders: the same call on the rest, from the last one. */
void dr_chain_extend(dr_key *keys, const dr_key *start, const int32_t *ids, int64_t n);

/* The key of any position <= n of the chain above; at a border it is the border's. */
dr_key dr_chain_at(const dr_key *keys, const int32_t *ids, int64_t position);

bool dr_key_eq(const dr_key *a, const dr_key *b);

#endif
