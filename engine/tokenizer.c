#include "engine/tokenizer_parts.h"

#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { WHOLE_BYTES = 32 }; /* longer pieces are hardly ever one token */
enum { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };

static bool ids_reserve(dr_ids *ids, size_t more)
{
    if (ids->failed)
        return false;
    if (ids->cap - ids->n >= more)
        return true;
    size_t cap = ids->cap ? ids->cap : 64;
    while (cap - ids->n < more)
        cap *= 2;
    int32_t *grown = realloc(ids->v, cap * sizeof *grown);
    if (!grown) {
        ids->failed = true;
        return false;
    }
    ids->v = grown;
    ids->cap = cap;
    return true;
}

void dr_ids_add(dr_ids *ids, int32_t id)
{
    if (ids_reserve(ids, 1))
        ids->v[ids->n++] = id;
}

void dr_ids_append(dr_ids *ids, const int32_t *v, size_t n)
{
    if (n == 0 || !ids_reserve(ids, n))
        return;
    memcpy(ids->v + ids->n, v, n * sizeof *v);
    ids->n += n;
}

void dr_ids_free(dr_ids *ids)
{
    free(ids->v);
    *ids = (dr_ids){0};
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = n * 0x9e3779b97f4a7c15u, w = 0;

    for (; n >= sizeof w; s += sizeof w, n -= sizeof w) {
        memcpy(&w, s, sizeof w);
        h = (h ^ w) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)(uint8_t)s[i] << 8 * i;
    h = (h ^ w) * 0xd6e8feb86659fd93u;
    return (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
}

dr_token_slot *dr_tokenizer__slot(const dr_tokenizer *t, dr_str s, uint32_t *tag)
{
    const uint64_t h = hash_bytes(s.s, s.n);
    const size_t mask = SIZE_MAX >> t->slot_shift;

    *tag = (uint32_t)h;
    for (size_t i = h >> t->slot_shift;; i = (i + 1) & mask) {
        dr_token_slot *slot = &t->slots[i];
        if (slot->id < 0)
            return slot;
        const dr_token_span *span = &t->span[slot->id];
        if (slot->tag == *tag && span->n == s.n && memcmp(t->bytes + span->at, s.s, s.n) == 0)
            return slot;
    }
}

void dr_tokenizer_close(dr_tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < 2; i++)
        free(t->added[i].v);
    dr_splitter__free(t->splitter);
    dr_merger__free(t->merger);
    free(t->sorted);
    free(t->begins);
    free(t->whole);
    free(t->slots);
    free(t->span);
    free(t->bytes);
    free(t);
}

typedef struct sink {
    const dr_tokenizer *t;
    dr_ids *out;
} sink;

/* Most pieces of ordinary text are one token: one look-up instead of a chain of merges. */
static void encode_piece(void *arg, dr_str piece)
{
    const sink *to = arg;
    const dr_tokenizer *t = to->t;
    int32_t id = -1;

    if (piece.n == 1) {
        dr_ids_add(to->out, t->byte_ids[(uint8_t)piece.s[0]]);
        return;
    }
    if (piece.n <= WHOLE_BYTES) {
        uint32_t tag;
        id = dr_tokenizer__slot(t, piece, &tag)->id;
        if (id >= 0 && atomic_load_explicit(&t->whole[id], memory_order_relaxed) == WHOLE_YES) {
            dr_ids_add(to->out, id);
            return;
        }
    }
    const size_t before = to->out->n;
    dr_merger__run(t->merger, to->out, piece);
    if (id >= 0 && !to->out->failed)
        atomic_store_explicit(&t->whole[id],
                              to->out->n == before + 1 && to->out->v[before] == id ? WHOLE_YES : WHOLE_NO,
                              memory_order_relaxed);
}

static dr_status encode_plain(const dr_tokenizer *t, dr_ids *out, dr_str text, dr_error *err)
{
    dr_status st = DR_OK;
    sink to = {t, out};

    for (size_t at = 0; at < text.n && st == DR_OK;) {
        const size_t valid = dr_utf8_prefix(text.s + at, text.n - at);
        if (valid > 0)
            st = dr_splitter__run(t->splitter, (dr_str){text.s + at, valid}, encode_piece, &to, err);
        at += valid;
        if (at < text.n)
            dr_ids_add(out, t->byte_ids[(uint8_t)text.s[at++]]);
    }
    return st;
}

/* The longest added token that begins at s, or NULL. */
static const dr_added_token *match_added(const dr_added_set *set, const char *s, size_t n)
{
    const uint8_t c = (uint8_t)s[0];
    size_t lo = set->first[c], hi = set->first[c + 1];
    const dr_added_token *best = NULL;

    for (size_t k = 1; lo < hi; k++) { /* all of [lo, hi) begin with s[0..k) */
        if (set->v[lo].text.n == k)
            best = &set->v[lo++];
        if (k == n)
            break;
        const uint8_t next = (uint8_t)s[k];
        size_t a = lo, b = hi;
        while (a < b) {
            const size_t mid = a + (b - a) / 2;
            if ((uint8_t)set->v[mid].text.s[k] < next)
                a = mid + 1;
            else
                b = mid;
        }
        lo = a;
        for (b = hi; a < b;) {
            const size_t mid = a + (b - a) / 2;
            if ((uint8_t)set->v[mid].text.s[k] <= next)
                a = mid + 1;
            else
                b = mid;
        }
        hi = a;
    }
    return best;
}

static dr_status encode_special(const dr_tokenizer *t, size_t set, dr_ids *out, dr_str text, dr_error *err)
{
    dr_status st = DR_OK;
    size_t gap = 0;

    if (set == 2)
        return encode_plain(t, out, text, err);
    for (size_t at = 0; at < text.n && st == DR_OK;) {
        const dr_added_token *hit = match_added(&t->added[set], text.s + at, text.n - at);
        if (!hit) {
            at++;
            continue;
        }
        if (at > gap)
            st = encode_special(t, set + 1, out, (dr_str){text.s + gap, at - gap}, err);
        dr_ids_add(out, hit->id);
        gap = at += hit->text.n;
    }
    if (st == DR_OK && gap < text.n)
        st = encode_special(t, set + 1, out, (dr_str){text.s + gap, text.n - gap}, err);
    return st;
}

dr_status dr_tokenizer_encode(const dr_tokenizer *t, dr_ids *out, dr_str text, bool special, dr_error *err)
{
    if (text.n >= UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "tokenizer: a text of %zu bytes is too long", text.n);
    const dr_status st = special ? encode_special(t, 0, out, text, err) : encode_plain(t, out, text, err);
    if (st == DR_OK && out->failed)
        return dr_fail(err, DR_ERR_NOMEM, "tokenizer: out of memory");
    return st;
}

dr_str dr_tokenizer_bytes(const dr_tokenizer *t, int32_t id)
{
    if (id < 0 || id >= t->size)
        return (dr_str){"", 0};
    return (dr_str){t->bytes + t->span[id].at, t->span[id].n};
}

bool dr_tokenizer_is_special(const dr_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->size && t->span[id].added;
}

int32_t dr_tokenizer_special(const dr_tokenizer *t, const char *text)
{
    const dr_str want = dr_str_of(text);

    for (size_t i = 0; i < 2 && want.n > 0; i++) {
        const dr_added_token *hit = match_added(&t->added[i], want.s, want.n);
        if (hit && hit->text.n == want.n)
            return hit->id;
    }
    return -1;
}

const int32_t *dr_tokenizer_sorted(const dr_tokenizer *t, const uint32_t **first)
{
    *first = t->sorted_first;
    return t->sorted;
}

const uint16_t *dr_tokenizer_begins(const dr_tokenizer *t)
{
    return t->begins;
}

int32_t dr_tokenizer_size(const dr_tokenizer *t)
{
    return t->size;
}

dr_digest dr_tokenizer_digest(const dr_tokenizer *t)
{
    return t->digest;
}
