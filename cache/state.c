/* cache/state.c: the state record of facts/, and the uses and counters that gather between flushes. */
#include "cache/internal.h"
#include "cache/kv_index.h"

#include <string.h>
#include <time.h>

static char STATE_KEY[] = "state";

uint64_t dr_now_s(void)
{
    const time_t t = time(NULL);
    return t > 0 ? (uint64_t)t : 0;
}

int dr_state__get(dr_cache *c, MDB_txn *txn, dr_state *s)
{
    MDB_val mk = {sizeof STATE_KEY - 1, STATE_KEY}, mv;
    uint64_t words[DR_STATE_WORDS] = {0};
    const int rc = mdb_get(txn, c->state, &mk, &mv);

    if (rc != 0)
        return rc;
    const size_t n_words = mv.mv_size / 8 - (mv.mv_size > 0);
    if (mv.mv_size % 8 != 0 || n_words < DR_STATE_WORDS_1 || n_words > DR_STATE_WORDS)
        return MDB_NOTFOUND;
    const uint8_t *p = mv.mv_data;
    if (dr_load_u64(p) != dr_xxh3_128(p + 8, n_words * 8).lo)
        return MDB_NOTFOUND;
    for (size_t i = 0; i < n_words; i++)
        words[i] = dr_load_u64(p + 8 + 8 * i);
    memcpy(s, words, sizeof *s);
    return s->young < DR_N_GENERATIONS && s->next_slab <= UINT32_MAX ? 0 : MDB_NOTFOUND;
}

int dr_state__put(dr_cache *c, MDB_txn *txn, const dr_state *s)
{
    MDB_val mk = {sizeof STATE_KEY - 1, STATE_KEY}, mv;
    uint64_t words[DR_STATE_WORDS];
    uint8_t p[8 + sizeof words];

    memcpy(words, s, sizeof words);
    for (int i = 0; i < DR_STATE_WORDS; i++)
        dr_store_u64(p + 8 + 8 * i, words[i]);
    dr_store_u64(p, dr_xxh3_128(p + 8, sizeof words).lo);
    mv = (MDB_val){sizeof p, p};
    return mdb_put(txn, c->state, &mk, &mv, 0);
}

void dr_uses__add(dr_cache *c, dr_kv_kind kind, const dr_key *key, uint64_t bytes)
{
    (void)pthread_mutex_lock(&c->use_lock);
    c->n_hits++;
    c->bytes_read += bytes;
    if (c->n_uses < DR_MAX_USES && !c->read_only)
        c->uses[c->n_uses++] = (dr_use){kind, *key};
    (void)pthread_mutex_unlock(&c->use_lock);
}

void dr_uses__miss(dr_cache *c)
{
    (void)pthread_mutex_lock(&c->use_lock);
    c->n_misses++;
    (void)pthread_mutex_unlock(&c->use_lock);
}

int dr_uses__write(dr_cache *c, MDB_txn *txn, dr_state *s, dr_uses *taken)
{
    const uint64_t now = dr_now_s();
    int rc = 0;

    (void)pthread_mutex_lock(&c->use_lock);
    *taken = (dr_uses){c->n_uses, c->n_hits, c->n_misses, c->bytes_read};
    (void)pthread_mutex_unlock(&c->use_lock);
    s->n_hits += taken->n_hits;
    s->n_misses += taken->n_misses;
    s->bytes_read += taken->bytes_read;
    /* The first n_uses do not move until they are forgotten: others are only added behind them. */
    for (int i = 0; i < taken->n; i++) {
        dr_entry e;
        const dr_use u = c->uses[i];
        if ((rc = dr_entry__get(c, txn, &e, u.kind, &u.key)) == MDB_NOTFOUND)
            continue;
        if (rc != 0)
            return rc;
        e.info.n_hits++;
        e.info.used_s = now;
        if ((rc = dr_entry__put(c, txn, &e)) != 0)
            return rc;
    }
    return 0;
}

void dr_uses__forget(dr_cache *c, const dr_uses *taken)
{
    (void)pthread_mutex_lock(&c->use_lock);
    c->n_hits -= taken->n_hits;
    c->n_misses -= taken->n_misses;
    c->bytes_read -= taken->bytes_read;
    c->n_uses -= taken->n;
    memmove(c->uses, c->uses + taken->n, (size_t)c->n_uses * sizeof *c->uses);
    (void)pthread_mutex_unlock(&c->use_lock);
}
