#include "repo/index.h"

#include "base/hash.h"

#include <string.h>

_Static_assert(sizeof(dr_sym_def) == 36 && sizeof(dr_sym_ref) == 8 && sizeof(dr_sym_import) == 16 &&
                   sizeof(dr_table_header) == 80,
               "layout of the stored table");

uint64_t dr_table__layout(dr_table *t, dr_table_header *head)
{
    const uint64_t n_names = head->n_names, n_files = head->n_files,
                   n_all = (uint64_t)head->n_defs + head->n_sections;
    uint64_t at = 0;

    t->head = head;
#define PART(FIELD, COUNT)                                                                                             \
    do {                                                                                                               \
        t->FIELD = (void *)((char *)(head + 1) + at);                                                                  \
        at += (uint64_t)sizeof *t->FIELD * (COUNT);                                                                    \
    } while (0)
    PART(name_at, n_names + head->n_labels + 1);
    PART(first_def, n_names + 1);
    PART(first_ref, n_names + 1);
    PART(defs, n_all);
    PART(refs, head->n_refs);
    PART(imports, head->n_imports);
    PART(first_of_file, n_files + 1);
    PART(by_file, n_all);
    PART(first_import, n_files + 1);
    PART(first_importer, n_files + 1);
    PART(importers, head->n_importers);
    PART(by_length, head->n_row_words ? n_names : 0);
    PART(rows, (uint64_t)DR_SIMILAR_ROWS * head->n_row_words);
    PART(text, head->text_bytes);
#undef PART
    return at;
}

/* n + 1 places that never go back and end at total. */
static bool is_index(const uint32_t *at, uint32_t n, uint32_t total)
{
    for (uint32_t i = 0; i < n; i++)
        if (at[i] > at[i + 1])
            return false;
    return at[0] == 0 && at[n] == total;
}

static bool all_below(const uint32_t *list, uint32_t n, uint32_t limit)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] >= limit)
            return false;
    return true;
}

static bool sound_records(const dr_table *t, uint32_t n_all)
{
    const dr_table_header *h = t->head;
    const uint32_t n_texts = h->n_names + h->n_labels;

    for (uint32_t i = 0; i < n_all; i++) {
        const dr_sym_def *d = &t->defs[i];
        const bool section = i >= h->n_defs;
        if (d->name >= (section ? n_texts : h->n_names) || d->file >= h->n_files ||
            (d->container != DR_SYM_NONE && d->container >= n_texts) || d->kind >= DR_N_SYM_KINDS ||
            (d->kind == DR_SYM_SECTION) != section)
            return false;
    }
    for (uint32_t i = 0; i < h->n_refs; i++)
        if (t->refs[i].file >= h->n_files)
            return false;
    for (uint32_t i = 0; i < h->n_imports; i++) {
        const dr_sym_import *m = &t->imports[i];
        if (m->file >= h->n_files || m->name >= n_texts || (m->target != DR_SYM_NONE && m->target >= h->n_files))
            return false;
    }
    return true;
}

bool dr_table__view(dr_table *t, dr_cspan bytes, size_t n_files)
{
    /* The parts are never written through a view; the cast spares a second struct of the same pointers. */
    dr_table_header *h = (dr_table_header *)(uintptr_t)bytes.data;
    if (bytes.n < sizeof *h || memcmp(h->magic, "dsym", 4) != 0 || h->version != DR_TABLE_VERSION ||
        h->n_files != n_files || (uint64_t)h->n_names + h->n_labels >= UINT32_MAX ||
        (uint64_t)h->n_defs + h->n_sections >= UINT32_MAX ||
        (h->n_row_words && h->n_row_words != dr_similar__row_words(h->n_names)) ||
        bytes.n - sizeof *h != dr_table__layout(t, h))
        return false;
    const dr_checksum sum = dr_xxh3_128(bytes.data + sizeof *h, bytes.n - sizeof *h);
    if (sum.lo != h->check_lo || sum.hi != h->check_hi)
        return false;

    /* A checksum is against damage; a table made to lie must not lead outside either. */
    const uint32_t n_all = h->n_defs + h->n_sections;
    return is_index(t->name_at, h->n_names + h->n_labels, h->text_bytes) &&
           is_index(t->first_def, h->n_names, h->n_defs) && is_index(t->first_ref, h->n_names, h->n_refs) &&
           is_index(t->first_of_file, h->n_files, n_all) && is_index(t->first_import, h->n_files, h->n_imports) &&
           is_index(t->first_importer, h->n_files, h->n_importers) && all_below(t->by_file, n_all, n_all) &&
           all_below(t->importers, h->n_importers, h->n_imports) &&
           (h->n_row_words == 0 || all_below(t->by_length, h->n_names, h->n_names)) && sound_records(t, n_all);
}
