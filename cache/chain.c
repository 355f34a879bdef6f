#include "cache/chain.h"

#include "base/bytes.h"

#include <assert.h>
#include <string.h>

enum { KEY_BYTES = sizeof(dr_key), ID_BYTES = 4 };

/* Part of every key: another layout of what is stored under them gets another number. */
static const char FORMAT[] = "deepread kv 1";

dr_key dr_chain_start(const dr_chain_parts *parts)
{
    /* Fixed sizes first and the salt last, so that no two different parts give the same bytes. */
    uint8_t head[sizeof FORMAT + 3 * KEY_BYTES];
    memcpy(head, FORMAT, sizeof FORMAT);
    memcpy(head + sizeof FORMAT, parts->checkpoint.b, KEY_BYTES);
    memcpy(head + sizeof FORMAT + KEY_BYTES, parts->tokenizer.b, KEY_BYTES);
    memcpy(head + sizeof FORMAT + 2 * (size_t)KEY_BYTES, parts->numerics.b, KEY_BYTES);

    const dr_digest salt = dr_sha256(parts->salt ? parts->salt : "", parts->n_salt);
    uint8_t both[2 * KEY_BYTES];
    const dr_digest fixed = dr_sha256(head, sizeof head);
    memcpy(both, fixed.b, KEY_BYTES);
    memcpy(both + KEY_BYTES, salt.b, KEY_BYTES);
    return dr_sha256(both, sizeof both);
}

static void put_ids(uint8_t *at, const int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dr_store_u32(at + ID_BYTES * i, (uint32_t)ids[i]);
}

dr_key dr_chain_next(const dr_key *key, const int32_t *ids)
{
    uint8_t in[KEY_BYTES + DR_CHAIN_STEP * ID_BYTES];
    memcpy(in, key->b, KEY_BYTES);
    put_ids(in + KEY_BYTES, ids, DR_CHAIN_STEP);
    return dr_sha256(in, sizeof in);
}

void dr_chain_extend(dr_key *keys, const dr_key *start, const int32_t *ids, int64_t n)
{
    keys[0] = *start;
    for (int64_t i = 0; i < n / DR_CHAIN_STEP; i++)
        keys[i + 1] = dr_chain_next(&keys[i], ids + i * DR_CHAIN_STEP);
}

dr_key dr_chain_at(const dr_key *keys, const int32_t *ids, int64_t position)
{
    const int64_t border = position / DR_CHAIN_STEP, rest = position % DR_CHAIN_STEP;
    uint8_t in[1 + KEY_BYTES + ID_BYTES + (DR_CHAIN_STEP - 1) * ID_BYTES];

    assert(position >= 0);
    if (rest == 0)
        return keys[border];
    in[0] = 't';
    memcpy(in + 1, keys[border].b, KEY_BYTES);
    dr_store_u32(in + 1 + KEY_BYTES, (uint32_t)rest);
    put_ids(in + 1 + KEY_BYTES + ID_BYTES, ids + border * DR_CHAIN_STEP, rest);
    return dr_sha256(in, 1 + KEY_BYTES + ID_BYTES + (size_t)rest * ID_BYTES);
}

bool dr_key_eq(const dr_key *a, const dr_key *b)
{
    return memcmp(a->b, b->b, KEY_BYTES) == 0;
}
