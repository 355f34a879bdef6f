#include "engine/window.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SLACK = 256 }; /* rows appended between two slides */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int64_t round_down(int64_t v, int64_t step)
{
    return v > 0 ? v / step * step : 0;
}

/* ---- window ---- */

size_t dr_window__plan(dr_window *w, uint8_t *at, int32_t length, size_t row_bytes, size_t operand_row_bytes)
{
    const int64_t cap = length + DR_SPARE_ROWS + DR_KEY_BLOCK + DR_PIECE + SLACK;
    /* Kernels read whole key blocks: there is one behind the last row. */
    const size_t rows = aligned((size_t)cap * row_bytes),
                 operand = aligned((size_t)(cap + DR_KEY_BLOCK) * operand_row_bytes);

    if (at)
        *w = (dr_window){.rows = at,
                         .operand = at + rows,
                         .row_bytes = row_bytes,
                         .operand_row_bytes = operand_row_bytes,
                         .cap = cap,
                         .length = length};
    return rows + operand;
}

void dr_window__copy(dr_window *w, const dr_window *from)
{
    /* What can be gone back to is kept too. */
    const int64_t oldest = dr_window__first(w, from->end - DR_SPARE_ROWS - 1);

    w->base = oldest > from->base ? oldest : from->base;
    w->end = from->end;
    w->from = from->from > w->base ? from->from : w->base;
    memcpy(w->rows, dr_window__row(from, w->base), (size_t)(w->end - w->base) * w->row_bytes);
    memcpy(w->operand, dr_window__operand(from, w->base), (size_t)(w->end - w->base) * w->operand_row_bytes);
}

int64_t dr_window__first(const dr_window *w, int64_t pos)
{
    return round_down(pos - w->length + 1, DR_KEY_BLOCK);
}

void dr_window__reset(dr_window *w, int64_t end)
{
    /* A snapshot keeps one row more than attention needs, and that row may lie in the block before. */
    w->base = round_down(end - w->length, DR_KEY_BLOCK);
    w->end = end;
    w->from = end > w->length ? end - w->length : 0;
    /* Rows between the border of the block and the window count with probability 0: they only have to be finite. */
    memset(w->rows, 0, (size_t)(end - w->base) * w->row_bytes);
    memset(w->operand, 0, (size_t)(end - w->base) * w->operand_row_bytes);
}

void dr_window__reserve(dr_window *w, int64_t n)
{
    assert(n <= DR_PIECE);
    if (w->end - w->base + n <= w->cap)
        return;
    const int64_t first = dr_window__first(w, w->end - DR_SPARE_ROWS), base = first > w->base ? first : w->base;
    memmove(w->rows, dr_window__row(w, base), (size_t)(w->end - base) * w->row_bytes);
    memmove(w->operand, dr_window__operand(w, base), (size_t)(w->end - base) * w->operand_row_bytes);
    w->base = base;
    w->from = w->from > base ? w->from : base;
}

bool dr_window__can_rewind(const dr_window *w, int64_t to)
{
    const int64_t oldest = to - w->length; /* one more than attention needs: what a snapshot keeps */
    return to <= w->end && dr_window__first(w, to) >= w->base && (oldest > 0 ? oldest : 0) >= w->from;
}

/* ---- tail ---- */

size_t dr_tail__plan(dr_tail *t, uint8_t *at, int32_t ratio, int32_t width, bool overlap)
{
    const int64_t cap = 2 * (int64_t)ratio + DR_SPARE_ROWS + DR_PIECE;
    const size_t bytes = aligned((size_t)cap * (size_t)width * sizeof(float));

    if (at)
        *t = (dr_tail){.k = (float *)(void *)at,
                       .z = (float *)(void *)(at + bytes),
                       .cap = cap,
                       .ratio = ratio,
                       .width = width,
                       .overlap = overlap};
    return 2 * bytes;
}

void dr_tail__copy(dr_tail *t, const dr_tail *from)
{
    const int64_t oldest = dr_tail__first(t, from->end > DR_SPARE_ROWS ? from->end - DR_SPARE_ROWS : 0);

    t->base = oldest > from->base ? oldest : from->base;
    t->end = from->end;
    const size_t n = (size_t)((t->end - t->base) * t->width) * sizeof(float);
    memcpy(t->k, dr_tail__k(from, t->base), n);
    memcpy(t->z, dr_tail__z(from, t->base), n);
}

int64_t dr_tail__first(const dr_tail *t, int64_t pos)
{
    return round_down(pos, t->ratio) - (t->overlap ? t->ratio : 0);
}

void dr_tail__reset(dr_tail *t, int64_t end)
{
    t->base = dr_tail__first(t, end);
    t->end = end;
    for (int64_t i = 0; i < (end - t->base) * t->width; i++) {
        t->k[i] = 0;
        t->z[i] = -INFINITY;
    }
}

void dr_tail__reserve(dr_tail *t, int64_t n)
{
    assert(n <= DR_PIECE);
    if (t->end - t->base + n <= t->cap)
        return;
    const int64_t first = dr_tail__first(t, t->end > DR_SPARE_ROWS ? t->end - DR_SPARE_ROWS : 0),
                  base = first > t->base ? first : t->base;
    const size_t bytes = (size_t)((t->end - base) * t->width) * sizeof(float);
    memmove(t->k, dr_tail__k(t, base), bytes);
    memmove(t->z, dr_tail__z(t, base), bytes);
    t->base = base;
}

bool dr_tail__can_rewind(const dr_tail *t, int64_t to)
{
    return to <= t->end && dr_tail__first(t, to) >= t->base;
}
