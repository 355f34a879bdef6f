#include "repo/index.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(dr_sym_def) == 28 && sizeof(dr_sym_ref) == 16 && sizeof(dr_table_header) == 56,
               "layout of the stored table");

/* Defined names of the whole snapshot, by content. Slots hold index + 1. */
typedef struct name_set {
    dr_str *list;
    uint32_t *slots;
    size_t n, n_slots;
} name_set;

static size_t find_slot(const name_set *s, dr_str name)
{
    size_t i = dr_xxh3_128(name.s, name.n).lo & (s->n_slots - 1);
    while (s->slots[i] && !dr_str_eq(s->list[s->slots[i] - 1], name))
        i = (i + 1) & (s->n_slots - 1);
    return i;
}

static bool add_name(name_set *s, dr_str name)
{
    if (s->n * 2 >= s->n_slots) {
        const size_t n = s->n_slots ? 2 * s->n_slots : 4096;
        uint32_t *slots = calloc(n, sizeof *slots);
        dr_str *list = realloc(s->list, n * sizeof *list);
        if (list)
            s->list = list;
        if (!slots || !list) {
            free(slots);
            return false;
        }
        free(s->slots);
        s->slots = slots;
        s->n_slots = n;
        for (size_t i = 0; i < s->n; i++)
            slots[find_slot(s, s->list[i])] = (uint32_t)i + 1;
    }
    const size_t i = find_slot(s, name);
    if (!s->slots[i]) {
        s->list[s->n] = name;
        s->slots[i] = (uint32_t)++s->n;
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

/* One file's facts, opened: its names (global number, or DR_SYM_NONE if nobody defines it) and definitions. */
typedef struct opened {
    uint32_t *names;
    dr_facts_def *defs;
    uint32_t *def_index; /* in the table */
    uint32_t *by_start;  /* functions, methods, classes by first line, the larger first */
    size_t cap_names, cap_defs;
    size_t n_by_start;
    dr_facts_reader r; /* stands at the references */
} opened;

static bool is_enclosing(uint32_t kind)
{
    return kind == DR_SYM_FUNCTION || kind == DR_SYM_METHOD || kind == DR_SYM_CLASS;
}

static bool reserve(opened *o, uint32_t n_names, uint32_t n_defs)
{
    if (n_names > o->cap_names) {
        uint32_t *names = realloc(o->names, n_names * sizeof *names);
        if (!names)
            return false;
        o->names = names;
        o->cap_names = n_names;
    }
    if (n_defs > o->cap_defs) {
        dr_facts_def *defs = realloc(o->defs, n_defs * sizeof *defs);
        o->defs = defs ? defs : o->defs;
        uint32_t *index = realloc(o->def_index, n_defs * sizeof *index);
        o->def_index = index ? index : o->def_index;
        uint32_t *start = realloc(o->by_start, n_defs * sizeof *start);
        o->by_start = start ? start : o->by_start;
        if (!defs || !index || !start)
            return false;
        o->cap_defs = n_defs;
    }
    return true;
}

/* set NULL: names are not looked up. False: out of memory. Bad facts read as none. */
static bool open_facts(opened *o, const dr_file_facts *f, const name_set *set, const uint32_t *order)
{
    o->r = dr_facts__open((dr_cspan){(const uint8_t *)f->bytes.data, f->bytes.n});
    if (o->r.bad)
        o->r.n_names = o->r.n_defs = o->r.n_refs = 0;
    if (!reserve(o, o->r.n_names, o->r.n_defs))
        return false;
    for (uint32_t i = 0; i < o->r.n_names; i++) {
        const dr_str name = dr_facts__name(&o->r);
        if (set) {
            const uint32_t at = set->n_slots ? set->slots[find_slot(set, name)] : 0;
            o->names[i] = at ? order[at - 1] : DR_SYM_NONE;
        }
    }
    for (uint32_t i = 0; i < o->r.n_defs; i++)
        o->defs[i] = dr_facts__def(&o->r);
    if (o->r.bad)
        o->r.n_defs = o->r.n_refs = 0;
    return true;
}

/* First pass over one file: its names, and which of them it defines. */
static bool collect(name_set *set, opened *o, const dr_file_facts *f)
{
    dr_str *names = NULL;
    bool ok = false;

    o->r = dr_facts__open((dr_cspan){(const uint8_t *)f->bytes.data, f->bytes.n});
    if (o->r.bad || o->r.n_defs == 0)
        return true;
    if (!reserve(o, o->r.n_names, o->r.n_defs) || !(names = malloc(o->r.n_names * sizeof *names)))
        return false;
    for (uint32_t i = 0; i < o->r.n_names; i++)
        names[i] = dr_facts__name(&o->r);
    for (uint32_t i = 0; i < o->r.n_defs; i++)
        o->defs[i] = dr_facts__def(&o->r);
    if (o->r.bad) {
        ok = true;
        goto done;
    }
    for (uint32_t i = 0; i < o->r.n_defs; i++)
        if (!add_name(set, names[o->defs[i].name]))
            goto done;
    ok = true;
done:
    free(names);
    return ok;
}

typedef struct joiner {
    name_set set;
    uint32_t *order;  /* found order -> sorted number */
    uint32_t *def_at; /* [3 * n_names + 1] next place by name and rank */
    uint32_t *ref_at; /* [2 * n_names + 1] by name, calls first */
    opened o;
} joiner;

static int by_start(const void *a, const void *b, void *arg)
{
    const dr_facts_def *defs = arg, *x = &defs[*(const uint32_t *)a], *y = &defs[*(const uint32_t *)b];
    if (x->first_line != y->first_line)
        return x->first_line < y->first_line ? -1 : 1;
    if (x->end_line != y->end_line)
        return x->end_line > y->end_line ? -1 : 1;
    return (*(const uint32_t *)a > *(const uint32_t *)b) - (*(const uint32_t *)a < *(const uint32_t *)b);
}

/* Counts become first places. Returns the total. */
static uint64_t sum_up(uint32_t *counts, size_t n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t c = counts[i];
        counts[i] = (uint32_t)total;
        total += c;
    }
    counts[n] = (uint32_t)total;
    return total;
}

static bool count_all(joiner *j, const dr_file_facts *files, size_t n_files)
{
    for (size_t f = 0; f < n_files; f++) {
        if (!files[f].bytes.n)
            continue;
        if (!open_facts(&j->o, &files[f], &j->set, j->order))
            return false;
        for (uint32_t i = 0; i < j->o.r.n_defs; i++)
            j->def_at[3 * j->o.names[j->o.defs[i].name] + (uint32_t)dr_sym_kind_rank((dr_sym_kind)j->o.defs[i].kind)]++;
        for (uint32_t i = 0, n = j->o.r.n_refs; i < n && !j->o.r.bad; i++) {
            uint32_t line;
            bool is_call;
            const uint32_t name = dr_facts__ref(&j->o.r, &line, &is_call);
            if (!j->o.r.bad && j->o.names[name] != DR_SYM_NONE)
                j->ref_at[2 * j->o.names[name] + !is_call]++;
        }
    }
    return true;
}

/* The innermost of the file's functions, methods and classes around each reference: both lists by line, so one sweep
 * with a stack. */
static void place_refs(joiner *j, dr_sym_ref *refs, uint32_t file)
{
    enum { DEEPEST = 64 };
    opened *o = &j->o;
    uint32_t stack[DEEPEST], depth = 0, next = 0;

    o->n_by_start = 0;
    for (uint32_t i = 0; i < o->r.n_defs; i++)
        if (is_enclosing(o->defs[i].kind))
            o->by_start[o->n_by_start++] = i;
    if (o->n_by_start)
        qsort_r(o->by_start, o->n_by_start, sizeof *o->by_start, by_start, o->defs);
    for (uint32_t i = 0, n = o->r.n_refs; i < n && !o->r.bad; i++) {
        uint32_t line;
        bool is_call;
        const uint32_t name = dr_facts__ref(&o->r, &line, &is_call);
        if (o->r.bad || o->names[name] == DR_SYM_NONE)
            continue;
        for (; next < o->n_by_start && o->defs[o->by_start[next]].first_line <= line; next++) {
            while (depth && o->defs[stack[depth - 1]].end_line < o->defs[o->by_start[next]].first_line)
                depth--;
            if (depth < DEEPEST)
                stack[depth++] = o->by_start[next];
        }
        while (depth && o->defs[stack[depth - 1]].end_line < line)
            depth--;
        refs[j->ref_at[2 * o->names[name] + !is_call]++] =
            (dr_sym_ref){file, line, depth ? o->def_index[stack[depth - 1]] : DR_SYM_NONE, is_call};
    }
}

/* Second pass: everything to its place. Files come in path order and facts by line, so each bucket fills up sorted. */
static bool place_all(joiner *j, dr_sym_def *defs, dr_sym_ref *refs, uint32_t *first_of_file, uint32_t *by_file,
                      const dr_file_facts *files, size_t n_files)
{
    uint32_t n = 0;
    for (size_t f = 0; f < n_files; f++) {
        first_of_file[f] = n;
        if (!files[f].bytes.n)
            continue;
        if (!open_facts(&j->o, &files[f], &j->set, j->order))
            return false;
        for (uint32_t i = 0; i < j->o.r.n_defs; i++) {
            const dr_facts_def *d = &j->o.defs[i];
            const uint32_t name = j->o.names[d->name];
            const uint32_t at = j->def_at[3 * name + (uint32_t)dr_sym_kind_rank((dr_sym_kind)d->kind)]++;
            defs[at] = (dr_sym_def){.name = name,
                                    .file = (uint32_t)f,
                                    .line = d->line,
                                    .first_line = d->first_line,
                                    .end_line = d->end_line,
                                    .container = d->container == DR_SYM_NONE ? DR_SYM_NONE : j->o.names[d->container],
                                    .kind = d->kind};
            j->o.def_index[i] = at;
            by_file[n++] = at;
        }
        place_refs(j, refs, (uint32_t)f);
    }
    first_of_file[n_files] = n;
    return true;
}

static bool sort_names(joiner *j)
{
    const size_t n = j->set.n;
    dr_str *sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted)
        return false;
    if (n) {
        memcpy(sorted, j->set.list, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_bytes);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t slot = find_slot(&j->set, sorted[i]);
        j->order[j->set.slots[slot] - 1] = (uint32_t)i;
    }
    /* The list must keep its order for the slots; the sorted one goes out through `order`. */
    free(sorted);
    return true;
}

dr_status dr_table__join(dr_buf *out, const dr_file_facts *files, size_t n_files, const dr_symbols_stats *stats,
                         dr_error *err)
{
    dr_status st = DR_OK;
    joiner j = {0};
    uint64_t text_bytes = 0;
    char *block = NULL;

    for (size_t f = 0; f < n_files; f++)
        if (files[f].bytes.n && !collect(&j.set, &j.o, &files[f]))
            goto no_memory;
    const size_t n_names = j.set.n;
    if (!(j.order = calloc(n_names + 1, sizeof *j.order)) || !(j.def_at = calloc(3 * n_names + 1, sizeof *j.def_at)) ||
        !(j.ref_at = calloc(2 * n_names + 1, sizeof *j.ref_at)) || !sort_names(&j) || !count_all(&j, files, n_files))
        goto no_memory;
    for (size_t i = 0; i < n_names; i++)
        text_bytes += j.set.list[i].n;
    const uint64_t n_defs = sum_up(j.def_at, 3 * n_names), n_refs = sum_up(j.ref_at, 2 * n_names);
    const uint64_t body = 3 * 4 * ((uint64_t)n_names + 1) + sizeof(dr_sym_def) * n_defs + sizeof(dr_sym_ref) * n_refs +
                          4 * ((uint64_t)n_files + 1) + 4 * n_defs + text_bytes;
    if (text_bytes >= UINT32_MAX || n_defs >= UINT32_MAX || n_refs >= UINT32_MAX || body >= UINT32_MAX) {
        st = dr_fail(err, DR_ERR_LIMIT, "symbols: a table of %llu bytes is too large", (unsigned long long)body);
        goto done;
    }
    if (!(block = calloc(1, sizeof(dr_table_header) + body)))
        goto no_memory;
    dr_table_header *head = (dr_table_header *)block;
    *head = (dr_table_header){.magic = {'d', 's', 'y', 'm'},
                              .version = DR_TABLE_VERSION,
                              .n_files = (uint32_t)n_files,
                              .n_names = (uint32_t)n_names,
                              .n_defs = (uint32_t)n_defs,
                              .n_refs = (uint32_t)n_refs,
                              .text_bytes = (uint32_t)text_bytes,
                              .n_lang_files = stats->n_files,
                              .source_bytes = stats->bytes};
    uint32_t *name_at = (uint32_t *)(block + sizeof *head), *first_def = name_at + n_names + 1,
             *first_ref = first_def + n_names + 1;
    dr_sym_def *defs = (dr_sym_def *)(first_ref + n_names + 1);
    dr_sym_ref *refs = (dr_sym_ref *)(defs + n_defs);
    uint32_t *first_of_file = (uint32_t *)(refs + n_refs), *by_file = first_of_file + n_files + 1;
    char *text = (char *)(by_file + n_defs);

    for (size_t i = 0; i <= n_names; i++) {
        first_def[i] = j.def_at[3 * i];
        first_ref[i] = j.ref_at[2 * i];
    }
    for (size_t i = 0; i < n_names; i++) /* lengths first, by sorted number */
        name_at[j.order[i]] = (uint32_t)j.set.list[i].n;
    (void)sum_up(name_at, n_names);
    for (size_t i = 0; i < n_names; i++)
        memcpy(text + name_at[j.order[i]], j.set.list[i].s, j.set.list[i].n);
    if (!place_all(&j, defs, refs, first_of_file, by_file, files, n_files))
        goto no_memory;
    const dr_checksum sum = dr_xxh3_128(block + sizeof *head, body);
    head->check_lo = sum.lo;
    head->check_hi = sum.hi;
    dr_buf_add(out, block, sizeof *head + body);
    if (!out->failed)
        goto done;
no_memory:
    st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
done:
    free(block);
    free(j.set.list);
    free(j.set.slots);
    free(j.order);
    free(j.def_at);
    free(j.ref_at);
    free(j.o.names);
    free(j.o.defs);
    free(j.o.def_index);
    free(j.o.by_start);
    return st;
}

/* n + 1 places that never go back and end at total. */
static bool is_index(const uint32_t *at, uint32_t n, uint32_t total)
{
    for (uint32_t i = 0; i < n; i++)
        if (at[i] > at[i + 1])
            return false;
    return at[0] == 0 && at[n] == total;
}

bool dr_table__view(dr_table *t, dr_cspan bytes, size_t n_files)
{
    const dr_table_header *h = (const dr_table_header *)(const void *)bytes.data;
    if (bytes.n < sizeof *h || memcmp(h->magic, "dsym", 4) != 0 || h->version != DR_TABLE_VERSION ||
        h->n_files != n_files)
        return false;
    const uint64_t body = 3 * 4 * ((uint64_t)h->n_names + 1) + sizeof(dr_sym_def) * (uint64_t)h->n_defs +
                          sizeof(dr_sym_ref) * (uint64_t)h->n_refs + 4 * ((uint64_t)h->n_files + 1) +
                          4 * (uint64_t)h->n_defs + h->text_bytes;
    if (bytes.n != sizeof *h + body)
        return false;
    const dr_checksum sum = dr_xxh3_128(bytes.data + sizeof *h, body);
    if (sum.lo != h->check_lo || sum.hi != h->check_hi)
        return false;
    t->head = h;
    t->name_at = (const uint32_t *)(const void *)(bytes.data + sizeof *h);
    t->first_def = t->name_at + h->n_names + 1;
    t->first_ref = t->first_def + h->n_names + 1;
    t->defs = (const dr_sym_def *)(t->first_ref + h->n_names + 1);
    t->refs = (const dr_sym_ref *)(t->defs + h->n_defs);
    t->first_of_file = (const uint32_t *)(t->refs + h->n_refs);
    t->by_file = t->first_of_file + h->n_files + 1;
    t->text = (const char *)(t->by_file + h->n_defs);

    /* A checksum is against damage; a table made to lie must not lead outside either. */
    if (!is_index(t->name_at, h->n_names, h->text_bytes) || !is_index(t->first_def, h->n_names, h->n_defs) ||
        !is_index(t->first_ref, h->n_names, h->n_refs) || !is_index(t->first_of_file, h->n_files, h->n_defs))
        return false;
    for (uint32_t i = 0; i < h->n_defs; i++) {
        const dr_sym_def *d = &t->defs[i];
        if (d->name >= h->n_names || d->file >= h->n_files ||
            (d->container != DR_SYM_NONE && d->container >= h->n_names) || d->kind >= DR_N_SYM_KINDS ||
            t->by_file[i] >= h->n_defs)
            return false;
    }
    for (uint32_t i = 0; i < h->n_refs; i++)
        if (t->refs[i].file >= h->n_files || (t->refs[i].enclosing != DR_SYM_NONE && t->refs[i].enclosing >= h->n_defs))
            return false;
    return true;
}
