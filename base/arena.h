/* base/arena.h: one allocation carved into many, all freed together.
 *
 * Two uses: a fixed arena that holds buffers whose total was planned beforehand, and a growing one for
 * parsing and text, rewound per turn. Blocks are 64-byte aligned. Under AddressSanitizer poisoned gaps lie
 * between blocks. Owned by one thread. */
#ifndef DR_BASE_ARENA_H
#define DR_BASE_ARENA_H

#include <stddef.h>

typedef struct dr_arena dr_arena;

/* first_bytes: size of the first chunk; further chunks are made on demand (at least as large).
 * NULL when out of memory. */
dr_arena *dr_arena_new(size_t first_bytes);
void dr_arena_free(dr_arena *a);

/* Zeroed. NULL when out of memory. n_bytes == 0 gives a valid pointer that must not be read. */
void *dr_arena_take(dr_arena *a, size_t n_bytes);

/* Everything taken so far is gone; the first chunk is kept for reuse. */
void dr_arena_rewind(dr_arena *a);

size_t dr_arena_used(const dr_arena *a);

#endif
