/* engine/window.h: rows of the recent past, addressed by position. Internal to engine.
 *
 * Both kinds are one linear buffer that slides: rows are appended until the buffer is full, then what is still needed
 * moves to its front. So rows of consecutive positions always lie side by side, and going back a few positions (at most
 * DR_SPARE_ROWS, to take back drafted tokens) is nothing but a smaller `end`.
 *
 *   dr_window  KV rows of the sliding window, in native form and unpacked for the products
 *   dr_tail    a compressor's pairs (K, Z + ape) of the blocks not finished yet, and for CSA of the block before
 * (spec 6.3)
 *
 * Owned by one decoder. */
#ifndef DR_ENGINE_WINDOW_H
#define DR_ENGINE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DR_PIECE = 128,     /* most rows appended at once */
    DR_SPARE_ROWS = 32, /* what can be taken back without a snapshot */
    DR_KEY_BLOCK = 32,  /* windows are attended in blocks that begin at multiples of this */
};

typedef struct dr_window {
    uint8_t *rows, *operand;
    size_t row_bytes, operand_row_bytes;
    int64_t cap, base, end; /* rows [base, end) are there; base is a multiple of DR_KEY_BLOCK */
    int64_t from;           /* rows before it are zeros, not the past: nothing before end - length is kept by a reset */
    int32_t length;         /* of the window */
} dr_window;

/* at == NULL: size only; w is not touched then. Else the buffers lie there, which is zeroed and 64-byte aligned. Returns
 * the bytes needed, a multiple of 64. */
size_t dr_window__plan(dr_window *w, uint8_t *at, int32_t length, size_t row_bytes, size_t operand_row_bytes);
void dr_window__reset(dr_window *w, int64_t end);
/* The rows of another window of the same plan, which may end at w->end instead of its own end. */
void dr_window__copy(dr_window *w, const dr_window *from);
/* Makes room for n <= DR_PIECE more rows; the caller fills them and adds n to end. */
void dr_window__reserve(dr_window *w, int64_t n);
/* First position whose row must lie before a query at pos (a multiple of DR_KEY_BLOCK). */
int64_t dr_window__first(const dr_window *w, int64_t pos);
/* Whether position `to` can be the end again. */
bool dr_window__can_rewind(const dr_window *w, int64_t to);

static inline uint8_t *dr_window__row(const dr_window *w, int64_t pos)
{
    return w->rows + (size_t)(pos - w->base) * w->row_bytes;
}
static inline uint8_t *dr_window__operand(const dr_window *w, int64_t pos)
{
    return w->operand + (size_t)(pos - w->base) * w->operand_row_bytes;
}

typedef struct dr_tail {
    float *k, *z; /* [cap][width] */
    int64_t cap, base, end;
    int32_t ratio, width;
    bool overlap; /* the block before the unfinished one is kept too */
} dr_tail;

size_t dr_tail__plan(dr_tail *t, uint8_t *at, int32_t ratio, int32_t width, bool overlap);
void dr_tail__copy(dr_tail *t, const dr_tail *from);
/* Empty at `end`; with overlap the block before has K = 0, Z = -infinity, as before the first token. */
void dr_tail__reset(dr_tail *t, int64_t end);
void dr_tail__reserve(dr_tail *t, int64_t n);
/* First position needed to go on from pos. */
int64_t dr_tail__first(const dr_tail *t, int64_t pos);
bool dr_tail__can_rewind(const dr_tail *t, int64_t to);

static inline float *dr_tail__k(const dr_tail *t, int64_t pos)
{
    return t->k + (pos - t->base) * t->width;
}
static inline float *dr_tail__z(const dr_tail *t, int64_t pos)
{
    return t->z + (pos - t->base) * t->width;
}

#endif
