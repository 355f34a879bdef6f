#include "engine/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *keep(dr_problems *p, const char *text)
{
    const size_t n = strlen(text) + 1;
    char *kept = p->arena || (p->arena = dr_arena_new(1 << 12)) ? dr_arena_take(p->arena, n) : NULL;

    if (!kept) {
        p->failed = true;
        return NULL;
    }
    return memcpy(kept, text, n);
}

void dr_problems_add(dr_problems *p, dr_problem_kind kind, const char *file, const char *fmt, ...)
{
    char text[512];
    const int n = file ? snprintf(text, sizeof text, "%.120s: ", file) : 0;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    p->counts[kind]++;
    if (p->n == DR_PROBLEMS_KEPT)
        return;
    if (p->n == p->cap) {
        const size_t cap = p->cap ? 2 * p->cap : 64;
        dr_problem *grown = realloc(p->items, cap * sizeof *grown);
        if (!grown) {
            p->failed = true;
            return;
        }
        p->items = grown;
        p->cap = cap;
    }
    const char *kept = keep(p, text), *of = file ? keep(p, file) : "";
    if (kept && of)
        p->items[p->n++] = (dr_problem){kind, kept, of};
}

size_t dr_problems_count(const dr_problems *p)
{
    size_t n = 0;
    for (int i = 0; i < DR_N_PROBLEM_KINDS; i++)
        n += p->counts[i];
    return n;
}

dr_status dr_problems_fail(const dr_problems *p, const char *heading, dr_error *err)
{
    if (p->failed)
        return dr_fail(err, DR_ERR_NOMEM, "checking a checkpoint: out of memory");
    if (dr_problems_count(p) == 0)
        return DR_OK;
    const bool absent = p->counts[DR_PROBLEM_FILE_MISSING] == dr_problems_count(p);
    const dr_status st = absent ? DR_ERR_NOT_FOUND : DR_ERR_FORMAT;
    if (err)
        *err = (dr_error){0};
    if (heading)
        (void)dr_fail(err, st, "%s", heading);
    for (size_t i = 0; i < p->n; i++)
        (void)dr_fail_more(err, st, "%s", p->items[i].text);
    return st;
}

void dr_problems_fini(dr_problems *p)
{
    free(p->items);
    dr_arena_free(p->arena);
    *p = (dr_problems){0};
}
