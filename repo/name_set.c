#include "repo/name_set.h"

#include "base/hash.h"

#include <stdlib.h>

static size_t find_slot(const dr_name_set *s, dr_str name, uint32_t *tag)
{
    const uint64_t hash = dr_xxh3_128(name.s, name.n).lo;
    size_t i = hash & (s->n_slots - 1);
    *tag = (uint32_t)(hash >> 32);
    while (s->slots[i].number && (s->slots[i].tag != *tag || !dr_str_eq(s->list[s->slots[i].number - 1], name)))
        i = (i + 1) & (s->n_slots - 1);
    return i;
}

static bool grow(dr_name_set *s)
{
    const size_t n = s->n_slots ? 2 * s->n_slots : 1024;
    dr_name_slot *slots = calloc(n, sizeof *slots);
    dr_str *list = realloc(s->list, n / 2 * sizeof *list);
    if (list)
        s->list = list;
    if (!slots || !list) {
        free(slots);
        return false;
    }
    free(s->slots);
    s->slots = slots;
    s->n_slots = n;
    for (size_t i = 0; i < s->n; i++) {
        uint32_t tag;
        const size_t slot = find_slot(s, s->list[i], &tag);
        s->slots[slot] = (dr_name_slot){tag, (uint32_t)i + 1};
    }
    return true;
}

int64_t dr_name_set_add(dr_name_set *s, dr_str name)
{
    uint32_t tag;
    if (s->n * 2 >= s->n_slots && (s->n >= UINT32_MAX / 4 || !grow(s)))
        return DR_NAME_NO_MEMORY;
    const size_t i = find_slot(s, name, &tag);
    if (!s->slots[i].number) {
        s->list[s->n] = name;
        s->slots[i] = (dr_name_slot){tag, (uint32_t)++s->n};
    }
    return (int64_t)s->slots[i].number - 1;
}

int64_t dr_name_set_find(const dr_name_set *s, dr_str name)
{
    uint32_t tag;
    return s->n_slots ? (int64_t)s->slots[find_slot(s, name, &tag)].number - 1 : DR_NAME_MISSING;
}

void dr_name_set_fini(dr_name_set *s)
{
    free(s->list);
    free(s->slots);
    *s = (dr_name_set){0};
}
