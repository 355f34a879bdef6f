#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define DR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DR_ASAN 1
#endif
#endif

#ifdef DR_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
enum { GAP = 64 };
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

enum { ALIGN = 64 };

typedef struct chunk {
    struct chunk *next;
    size_t cap, used;
    uint8_t *data; /* ALIGN-aligned */
} chunk;

struct dr_arena {
    chunk *first, *current;
    size_t used;
};

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static chunk *chunk_new(size_t cap)
{
    chunk *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->cap = round_up(cap ? cap : 1);
    if (!(c->data = aligned_alloc(ALIGN, c->cap))) {
        free(c);
        return NULL;
    }
    POISON(c->data, c->cap);
    return c;
}

static void chunk_free(chunk *c)
{
    if (!c)
        return;
    UNPOISON(c->data, c->cap);
    free(c->data);
    free(c);
}

dr_arena *dr_arena_new(size_t first_bytes)
{
    dr_arena *a = calloc(1, sizeof *a);
    if (a && !(a->first = a->current = chunk_new(first_bytes))) {
        free(a);
        return NULL;
    }
    return a;
}

void dr_arena_free(dr_arena *a)
{
    if (!a)
        return;
    for (chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        chunk_free(c);
    }
    free(a);
}

void *dr_arena_take(dr_arena *a, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX / 2)
        return NULL;
    const size_t need = round_up(n_bytes) + GAP;
    chunk *c = a->current;
    if (c->cap - c->used < need) {
        chunk *grown = chunk_new(need > a->first->cap ? need : a->first->cap);
        if (!grown)
            return NULL;
        c->next = grown;
        a->current = c = grown;
    }
    void *p = c->data + c->used;
    c->used += need;
    a->used += need;
    UNPOISON(p, n_bytes);
    memset(p, 0, n_bytes);
    return p;
}

void dr_arena_rewind(dr_arena *a)
{
    for (chunk *c = a->first->next, *next; c; c = next) {
        next = c->next;
        chunk_free(c);
    }
    a->first->next = NULL;
    a->first->used = 0;
    a->current = a->first;
    a->used = 0;
    POISON(a->first->data, a->first->cap);
}

size_t dr_arena_used(const dr_arena *a)
{
    return a->used;
}
