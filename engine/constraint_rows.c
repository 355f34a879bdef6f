/* Where the widest ranges of sorted strings divide. A range is known by where it begins and how many bytes it agrees on; those of more
 * than DR_FORK_ROWS rows stand in a table, with their parts one after another. */
#include "engine/constraint_parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct slot {
    uint64_t key; /* first row << 32 | bytes agreed on; FREE */
    uint32_t at, n; /* parts */
} slot;

#define FREE UINT64_MAX

struct dr_forks {
    uint8_t *bytes;
    uint32_t *starts;
    size_t n, cap; /* parts */
    slot *slots;   /* at most half full */
    size_t n_slots, used;
};

typedef struct range {
    uint32_t lo, hi, at;
} range;

uint32_t dr_rows__lower_bound(const dr_rows *r, uint32_t lo, uint32_t hi, size_t at, unsigned b)
{
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (dr_rows__byte(r, mid, at) < b)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static size_t place_of(const dr_forks *f, uint64_t key)
{
    size_t i = (size_t)((key ^ key >> 31) * 0x9e3779b97f4a7c15u >> 20) & (f->n_slots - 1);

    while (f->slots[i].key != FREE && f->slots[i].key != key)
        i = (i + 1) & (f->n_slots - 1);
    return i;
}

static bool grow_slots(dr_forks *f)
{
    const size_t before = f->n_slots;
    slot *const old = f->slots;

    if (before && 2 * (f->used + 1) <= before)
        return true;
    f->n_slots = before ? 2 * before : 256;
    if (!(f->slots = malloc(f->n_slots * sizeof *f->slots))) {
        f->slots = old;
        f->n_slots = before;
        return false;
    }
    for (size_t i = 0; i < f->n_slots; i++)
        f->slots[i].key = FREE;
    for (size_t i = 0; i < before; i++)
        if (old[i].key != FREE)
            f->slots[place_of(f, old[i].key)] = old[i];
    free(old);
    return true;
}

static bool add_part(dr_forks *f, uint8_t byte, uint32_t start)
{
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 1024;
        uint8_t *const bytes = realloc(f->bytes, cap);
        if (bytes)
            f->bytes = bytes;
        uint32_t *const starts = realloc(f->starts, cap * sizeof *starts);
        if (starts)
            f->starts = starts;
        if (!bytes || !starts || cap > UINT32_MAX)
            return false;
        f->cap = cap;
    }
    f->bytes[f->n] = byte;
    f->starts[f->n++] = start;
    return true;
}

/* Where the rows that go on with the byte of row lo end: most parts are short beside the range, so it is looked for from lo. */
static uint32_t part_end(const dr_rows *r, uint32_t lo, uint32_t hi, uint32_t at)
{
    const uint8_t b = dr_rows__byte(r, lo, at);
    uint32_t step = 1;

    while (hi - lo > step && dr_rows__byte(r, lo + step, at) == b) {
        lo += step;
        step *= 2;
    }
    return dr_rows__lower_bound(r, lo + 1, hi - lo > step ? lo + step : hi, at, b + 1u);
}

dr_forks *dr_forks__new(const dr_rows *r)
{
    enum { PENDING = 256 * DR_FORK_DEPTH }; /* each level leaves all its parts but one behind */
    dr_forks *f = calloc(1, sizeof *f);
    range *pending = malloc(PENDING * sizeof *pending);
    size_t n_pending = 0;
    bool ok = f && pending && grow_slots(f);

    if (ok && r->n > DR_FORK_ROWS)
        pending[n_pending++] = (range){0, r->n, 0};
    while (ok && n_pending > 0) {
        const range now = pending[--n_pending];
        if (!(ok = grow_slots(f)))
            break;
        slot *const to = &f->slots[place_of(f, (uint64_t)now.lo << 32 | now.at)];
        *to = (slot){(uint64_t)now.lo << 32 | now.at, (uint32_t)f->n, 0};
        f->used++;
        for (uint32_t lo = now.lo + (dr_rows__length(r, now.lo) == now.at); lo < now.hi && ok;) {
            const uint32_t end = part_end(r, lo, now.hi, now.at);
            ok = add_part(f, dr_rows__byte(r, lo, now.at), lo);
            to->n++;
            if (end - lo > DR_FORK_ROWS && now.at + 1 < DR_FORK_DEPTH)
                pending[n_pending++] = (range){lo, end, now.at + 1};
            lo = end;
        }
        ok = ok && add_part(f, 0, now.hi);
    }
    free(pending);
    if (!ok) {
        dr_forks__free(f);
        f = NULL;
    }
    return f;
}

void dr_forks__free(dr_forks *f)
{
    if (!f)
        return;
    free(f->bytes);
    free(f->starts);
    free(f->slots);
    free(f);
}

bool dr_forks__find(dr_fork *out, const dr_forks *f, uint32_t lo, size_t at)
{
    if (!f || at >= DR_FORK_DEPTH)
        return false;
    const slot *const s = &f->slots[place_of(f, (uint64_t)lo << 32 | at)];
    *out = (dr_fork){f->bytes + s->at, f->starts + s->at, s->n};
    return s->key != FREE;
}
