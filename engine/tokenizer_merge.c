/* Byte-pair merging. Short pieces, nearly all of them, are merged in place with a linear search for the lowest rank; from
 * SHORT_PIECE bytes on a heap of (rank, place) keeps long runs (a megabyte of blanks is one piece) at n log n. */
#include "engine/tokenizer_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_PIECE = 48 };
#define NEVER UINT32_MAX

typedef struct pair {
    uint64_t key; /* left << 32 | right; EMPTY: free slot */
    uint32_t rank;
    int32_t id;
} pair;

#define EMPTY UINT64_MAX

struct dr_merger {
    int32_t byte_ids[256];
    uint32_t *byte_pairs; /* [256][256]: rank of two neighbouring bytes, NEVER if none; spares the table most look-ups */
    int32_t *result;      /* id by rank */
    pair *pairs;          /* open addressing, at most half full */
    unsigned shift;       /* 64 - log2(slots) */
};

static size_t slot_of(const dr_merger *m, uint64_t key)
{
    return (size_t)((key ^ key >> 29) * 0x9e3779b97f4a7c15u >> m->shift);
}

static uint32_t rank_of(const dr_merger *m, int32_t left, int32_t right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const size_t mask = (SIZE_MAX >> m->shift);

    for (size_t i = slot_of(m, key);; i = (i + 1) & mask) {
        if (m->pairs[i].key == key)
            return m->pairs[i].rank;
        if (m->pairs[i].key == EMPTY)
            return NEVER;
    }
}

dr_merger *dr_merger__new(const int32_t byte_ids[256], const dr_merge *merges, size_t n)
{
    dr_merger *m = calloc(1, sizeof *m);
    unsigned bits = 4;

    while (((size_t)1 << bits) < 2 * n)
        bits++;
    if (!m)
        return NULL;
    m->shift = 64 - bits;
    const size_t slots = (size_t)1 << bits;
    if (!(m->pairs = malloc(slots * sizeof *m->pairs)) || !(m->result = malloc((n + 1) * sizeof *m->result)) ||
        !(m->byte_pairs = malloc(sizeof(uint32_t) * 256 * 256))) {
        dr_merger__free(m);
        return NULL;
    }
    memcpy(m->byte_ids, byte_ids, sizeof m->byte_ids);
    for (size_t i = 0; i < slots; i++)
        m->pairs[i].key = EMPTY;
    for (size_t rank = 0; rank < n; rank++) {
        const uint64_t key = (uint64_t)(uint32_t)merges[rank].left << 32 | (uint32_t)merges[rank].right;
        size_t i = slot_of(m, key);
        while (m->pairs[i].key != EMPTY && m->pairs[i].key != key)
            i = (i + 1) & (slots - 1);
        m->pairs[i] = (pair){key, (uint32_t)rank, merges[rank].id};
        m->result[rank] = merges[rank].id;
    }
    for (size_t a = 0; a < 256; a++)
        for (size_t b = 0; b < 256; b++)
            m->byte_pairs[256 * a + b] = rank_of(m, byte_ids[a], byte_ids[b]);
    return m;
}

void dr_merger__free(dr_merger *m)
{
    if (!m)
        return;
    free(m->byte_pairs);
    free(m->result);
    free(m->pairs);
    free(m);
}

static void run_short(const dr_merger *m, dr_ids *out, const uint8_t *s, size_t n)
{
    int32_t id[SHORT_PIECE];
    uint32_t rank[SHORT_PIECE]; /* of (i, i + 1) */

    for (size_t i = 0; i < n; i++)
        id[i] = m->byte_ids[s[i]];
    for (size_t i = 0; i + 1 < n; i++)
        rank[i] = m->byte_pairs[256 * s[i] + s[i + 1]];
    while (n > 1) {
        size_t at = 0;
        uint32_t best = NEVER;
        for (size_t i = 0; i + 1 < n; i++)
            if (rank[i] < best) {
                best = rank[i];
                at = i;
            }
        if (best == NEVER)
            break;
        id[at] = m->result[best];
        n--;
        memmove(id + at + 1, id + at + 2, (n - at - 1) * sizeof *id);
        if (at + 1 < n) {
            memmove(rank + at + 1, rank + at + 2, (n - at - 2) * sizeof *rank);
            rank[at] = rank_of(m, id[at], id[at + 1]);
        }
        if (at > 0)
            rank[at - 1] = rank_of(m, id[at - 1], id[at]);
    }
    dr_ids_append(out, id, n);
}

/* A binary heap of rank << 32 | place: the lowest rank first, the leftmost among equals. */
static void heap_push(uint64_t *heap, size_t *n, uint64_t v)
{
    size_t i = (*n)++;

    for (; i > 0 && heap[(i - 1) / 2] > v; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = v;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    const uint64_t top = heap[0], v = heap[--*n];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= v)
            break;
        heap[i] = heap[child];
    }
    heap[i] = v;
    return top;
}

typedef struct symbol {
    int32_t id;
    uint32_t rank;       /* of this one and the next; an entry of the heap with another rank is stale */
    uint32_t prev, next; /* NEVER at the ends */
} symbol;

static void run_long(const dr_merger *m, dr_ids *out, const uint8_t *s, size_t n)
{
    symbol *sym = malloc(n * sizeof *sym);
    uint64_t *heap = malloc(2 * n * sizeof *heap); /* n - 1 at first; each of at most n - 1 merges takes one and adds two */
    size_t n_heap = 0;

    if (!sym || !heap) {
        out->failed = true;
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        sym[i] = (symbol){m->byte_ids[s[i]], NEVER, i ? (uint32_t)i - 1 : NEVER, i + 1 < n ? (uint32_t)i + 1 : NEVER};
    for (size_t i = 0; i + 1 < n; i++)
        if ((sym[i].rank = m->byte_pairs[256 * s[i] + s[i + 1]]) != NEVER)
            heap_push(heap, &n_heap, (uint64_t)sym[i].rank << 32 | i);
    while (n_heap > 0) {
        const uint64_t top = heap_pop(heap, &n_heap);
        symbol *left = &sym[top & UINT32_MAX];
        if (left->rank != top >> 32)
            continue;
        symbol *right = &sym[left->next];
        left->id = m->result[left->rank];
        left->next = right->next;
        right->rank = NEVER;
        left->rank = NEVER;
        if (left->next != NEVER) {
            sym[left->next].prev = (uint32_t)(left - sym);
            if ((left->rank = rank_of(m, left->id, sym[left->next].id)) != NEVER)
                heap_push(heap, &n_heap, (uint64_t)left->rank << 32 | (uint64_t)(left - sym));
        }
        if (left->prev != NEVER) {
            symbol *before = &sym[left->prev];
            if ((before->rank = rank_of(m, before->id, left->id)) != NEVER)
                heap_push(heap, &n_heap, (uint64_t)before->rank << 32 | left->prev);
        }
    }
    for (uint32_t i = 0; i != NEVER; i = sym[i].next)
        dr_ids_add(out, sym[i].id);
done:
    free(heap);
    free(sym);
}

void dr_merger__run(const dr_merger *m, dr_ids *out, dr_str piece)
{
    const uint8_t *s = (const uint8_t *)piece.s;

    assert(piece.n < NEVER);
    if (piece.n == 0)
        return;
    if (piece.n <= SHORT_PIECE)
        run_short(m, out, s, piece.n);
    else
        run_long(m, out, s, piece.n);
}
