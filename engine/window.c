#include "engine/window.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SLACK = 256 }; /* rows appended between two slides */

static int64_t round_down(int64_t v, int64_t step)
{
    return v > 0 ? v / step * step : 0;
}

/* ---- window ---- */

size_t dr_window__plan(dr_window *w, dr_arena *a, int32_t length, size_t row_bytes, size_t operand_row_bytes)
{
    const int64_t cap = length + DR_SPARE_ROWS + DR_KEY_BLOCK + DR_PIECE + SLACK;
    /* Kernels read whole key blocks: there is one behind the last row. */
    const size_t rows = (size_t)cap * row_bytes, operand = (size_t)(cap + DR_KEY_BLOCK) * operand_row_bytes;

    if (a) {
        *w = (dr_window){.row_bytes = row_bytes, .operand_row_bytes = operand_row_bytes, .cap = cap, .length = length};
        w->rows = dr_arena_take(a, rows);
        w->operand = dr_arena_take(a, operand);
    }
    return rows + operand;
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

size_t dr_tail__plan(dr_tail *t, dr_arena *a, int32_t ratio, int32_t width, bool overlap)
{
    const int64_t cap = 2 * (int64_t)ratio + DR_SPARE_ROWS + DR_PIECE;
    const size_t bytes = (size_t)cap * (size_t)width * sizeof(float);

    if (a) {
        *t = (dr_tail){.cap = cap, .ratio = ratio, .width = width, .overlap = overlap};
        t->k = dr_arena_take(a, bytes);
        t->z = dr_arena_take(a, bytes);
    }
    return 2 * bytes;
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
