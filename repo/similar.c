/* Names like one that is not there. The order is a contract (docs/tools.md): equal but for case, then with it as a prefix,
 * then containing it without case; shorter first, then by bytes. */
#include "repo/index.h"

#include <string.h>

enum { MAX_LIKE = 5, MAX_FEATURES = 64 };

static uint8_t fold(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same_folded(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fold(a[i]) != fold(b[i]))
            return false;
    return true;
}

static bool holds_folded(dr_str text, dr_str part)
{
    const uint8_t first = fold(part.s[0]);
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (fold(text.s[i]) == first && same_folded(text.s + i, part.s, part.n))
            return true;
    return false;
}

/* 0 equal but for case, 2 containing it without case and not as a prefix, -1 neither. */
static int likeness(dr_str candidate, dr_str name)
{
    if (candidate.n < name.n || memcmp(candidate.s, name.s, name.n) == 0)
        return -1;
    if (candidate.n == name.n)
        return same_folded(candidate.s, name.s, name.n) ? 0 : -1;
    return holds_folded(candidate, name) ? 2 : -1;
}

static uint32_t row_of(const char *s, size_t n)
{
    uint32_t h = 2166136261u + (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        h = (h ^ fold(s[i])) * 16777619u;
    return (h ^ h >> 15) % DR_SIMILAR_ROWS;
}

uint32_t dr_similar__row_words(uint32_t n_names)
{
    const uint32_t n_blocks = n_names / DR_SIMILAR_BLOCK + (n_names % DR_SIMILAR_BLOCK != 0);
    return n_names < DR_SIMILAR_FROM ? 0 : (n_blocks + 31) / 32;
}

static dr_str name_at(const dr_table *t, uint32_t i)
{
    return (dr_str){t->text + t->name_at[i], t->name_at[i + 1] - t->name_at[i]};
}

void dr_similar__build(const dr_table *t)
{
    const uint32_t n = t->head->n_names, words = t->head->n_row_words;
    uint32_t at[256] = {0};

    if (words == 0)
        return;
    /* By length, keeping the order of bytes: names are at most 255 bytes (facts.c), longer ones share the last place. */
    for (uint32_t i = 0; i < n; i++) {
        const size_t len = name_at(t, i).n;
        at[len < 255 ? len : 255]++;
    }
    for (uint32_t len = 0, sum = 0; len < 256; len++) {
        const uint32_t count = at[len];
        at[len] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < n; i++) {
        const size_t len = name_at(t, i).n;
        t->by_length[at[len < 255 ? len : 255]++] = i;
    }
    for (uint32_t k = 0; k < n; k++) {
        const dr_str name = name_at(t, t->by_length[k]);
        const uint32_t block = k / DR_SIMILAR_BLOCK;
        for (size_t i = 0; i < name.n; i++)
            for (size_t len = 1; len <= 4 && i + len <= name.n; len *= 2)
                t->rows[(size_t)row_of(name.s + i, len) * words + block / 32] |= 1u << block % 32;
    }
}

typedef struct best {
    dr_str *out;
    int like[MAX_LIKE];
    size_t n;
} best;

/* Candidates of one rank and length come in byte order, so a later one goes behind. */
static void offer(best *b, dr_str name, int like)
{
    size_t at = b->n;
    while (at > 0 && (like < b->like[at - 1] || (like == b->like[at - 1] && name.n < b->out[at - 1].n)))
        at--;
    if (at == MAX_LIKE)
        return;
    b->n += b->n < MAX_LIKE;
    for (size_t k = b->n - 1; k > at; k--) {
        b->out[k] = b->out[k - 1];
        b->like[k] = b->like[k - 1];
    }
    b->out[at] = name;
    b->like[at] = like;
}

static void offer_prefixed(best *b, const dr_table *t, const dr_str *names, dr_str name)
{
    uint32_t low = 0, high = t->head->n_names;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (dr_str_cmp(names[mid], name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < t->head->n_names; low++) {
        const uint32_t n = t->name_at[low + 1] - t->name_at[low];
        if (n < name.n || memcmp(t->text + t->name_at[low], name.s, name.n) != 0)
            break;
        if (n > name.n && (b->n < MAX_LIKE || b->like[MAX_LIKE - 1] > 1 || n < b->out[MAX_LIKE - 1].n))
            offer(b, names[low], 1);
    }
}

/* Blocks whose names hold every feature of the name, shortest names first; stops when no better one can come. */
static void offer_others(best *b, const dr_table *t, const dr_str *names, dr_str name)
{
    const uint32_t n = t->head->n_names, words = t->head->n_row_words;
    const uint32_t *rows[MAX_FEATURES];
    size_t n_rows = 0;

    const size_t len = name.n >= 4 ? 4 : name.n >= 2 ? 2 : 1;
    for (size_t i = 0; i + len <= name.n && n_rows < MAX_FEATURES; i++)
        rows[n_rows++] = t->rows + (size_t)row_of(name.s + i, len) * words;
    for (uint32_t word = 0; word < words; word++) {
        uint32_t bits = UINT32_MAX;
        for (size_t i = 0; i < n_rows && bits; i++)
            bits &= rows[i][word];
        for (; bits; bits &= bits - 1) {
            const uint32_t from = (word * 32 + (uint32_t)__builtin_ctz(bits)) * DR_SIMILAR_BLOCK;
            for (uint32_t k = from; k < n && k < from + DR_SIMILAR_BLOCK; k++) {
                const dr_str candidate = names[t->by_length[k]];
                if (b->n == MAX_LIKE && candidate.n > name.n &&
                    (b->like[MAX_LIKE - 1] < 2 || candidate.n >= b->out[MAX_LIKE - 1].n))
                    return;
                const int like = likeness(candidate, name);
                if (like >= 0)
                    offer(b, candidate, like);
            }
        }
    }
}

size_t dr_similar__find(const dr_table *t, const dr_str *names, dr_str name, dr_str out[5])
{
    best b = {.out = out};

    if (name.n == 0)
        return 0;
    offer_prefixed(&b, t, names, name);
    if (t->head->n_row_words) {
        offer_others(&b, t, names, name);
        return b.n;
    }
    for (uint32_t i = 0; i < t->head->n_names; i++) {
        const int like = likeness(names[i], name);
        if (like >= 0)
            offer(&b, names[i], like);
    }
    return b.n;
}
