/* Facts of every file to one table: names get their numbers, then every record goes to its place. */
#include "repo/imports.h"
#include "repo/index.h"
#include "repo/name_set.h"

#include "base/arena.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* One file's facts, opened. */
typedef struct opened {
    dr_str *texts; /* [n_names] as they stand in the facts */
    dr_facts_def *defs;
    size_t cap_names, cap_defs;
    dr_facts_reader r; /* stands at the imports */
} opened;

/* What is known of a file between the passes. */
typedef struct joined_file {
    uint32_t *names; /* [n_names] sorted number of a defined name, or DR_SYM_NONE */
    size_t refs_at;  /* bytes of the facts */
    uint32_t n_refs;
} joined_file;

typedef struct pending_import {
    uint32_t file, line, label, target;
    dr_import_form form;
} pending_import;

typedef struct joiner {
    dr_file_facts *facts;
    size_t n_files;
    dr_name_set names;  /* defined by somebody */
    dr_name_set labels; /* of sections and imports */
    uint32_t *order;    /* number of a name as found -> sorted number */
    uint32_t *def_at;   /* [3 * n_names + 1] next place by name and rank */
    uint32_t *ref_at;   /* [2 * n_names + 1] by name, calls first */
    joined_file *files;
    dr_arena *arena;
    pending_import *imports;
    size_t n_imports, cap_imports;
    uint64_t n_sections;
    uint32_t n_names; /* once they are all known: the set is gone before the records are placed */
    opened o;
} joiner;

static bool reserve(opened *o, uint32_t n_names, uint32_t n_defs)
{
    if (n_names > o->cap_names) {
        dr_str *texts = realloc(o->texts, n_names * sizeof *texts);
        if (!texts)
            return false;
        o->texts = texts;
        o->cap_names = n_names;
    }
    if (n_defs > o->cap_defs) {
        dr_facts_def *defs = realloc(o->defs, n_defs * sizeof *defs);
        if (!defs)
            return false;
        o->defs = defs;
        o->cap_defs = n_defs;
    }
    return true;
}

/* False: out of memory. Bad facts read as none. */
static bool open_facts(opened *o, const dr_file_facts *f)
{
    o->r = dr_facts__open((dr_cspan){(const uint8_t *)f->bytes.data, f->bytes.n});
    if (!o->r.bad) {
        if (!reserve(o, o->r.n_names, o->r.n_defs))
            return false;
        for (uint32_t i = 0; i < o->r.n_names; i++)
            o->texts[i] = dr_facts__name(&o->r);
        for (uint32_t i = 0; i < o->r.n_defs; i++)
            o->defs[i] = dr_facts__def(&o->r);
    }
    if (o->r.bad)
        o->r.n_names = o->r.n_defs = o->r.n_imports = o->r.n_refs = 0;
    return true;
}

static bool add_import(joiner *j, pending_import m)
{
    if (j->n_imports == j->cap_imports) {
        const size_t cap = j->cap_imports ? 2 * j->cap_imports : 1024;
        pending_import *grown = realloc(j->imports, cap * sizeof *grown);
        if (!grown)
            return false;
        j->imports = grown;
        j->cap_imports = cap;
    }
    j->imports[j->n_imports++] = m;
    return true;
}

/* First pass over a file: what it defines, its sections and imports. */
static bool collect(joiner *j, size_t file)
{
    opened *o = &j->o;
    if (!open_facts(o, &j->facts[file]))
        return false;
    for (uint32_t i = 0; i < o->r.n_defs; i++) {
        const dr_facts_def *d = &o->defs[i];
        const bool section = d->kind == DR_SYM_SECTION;
        j->n_sections += section;
        if (dr_name_set_add(section ? &j->labels : &j->names, o->texts[d->name]) < 0 ||
            (section && d->container != DR_SYM_NONE && dr_name_set_add(&j->labels, o->texts[d->container]) < 0))
            return false;
    }
    for (uint32_t i = 0, n = o->r.n_imports; i < n; i++) {
        pending_import m = {.file = (uint32_t)file, .target = DR_SYM_NONE};
        const uint32_t name = dr_facts__import(&o->r, &m.line, &m.form);
        const int64_t label = o->r.bad ? 0 : dr_name_set_add(&j->labels, o->texts[name]);
        m.label = (uint32_t)label;
        if (label < 0 || (!o->r.bad && !add_import(j, m)))
            return false;
    }
    j->files[file].refs_at = (size_t)(o->r.p - (const uint8_t *)j->facts[file].bytes.data);
    j->files[file].n_refs = o->r.bad ? 0 : o->r.n_refs;
    return true;
}

static dr_status resolve_imports(joiner *j, const dr_repo *repo, dr_error *err)
{
    dr_paths *paths = NULL;
    size_t n = 0;
    if (j->n_imports == 0)
        return DR_OK;
    const dr_status st = dr_paths_new(&paths, repo, err);
    if (st != DR_OK)
        return st;
    for (size_t i = 0; i < j->n_imports; i++) {
        pending_import m = j->imports[i];
        m.target = dr_paths_resolve(paths, m.file, j->labels.list[m.label], m.form);
        if (m.target != DR_SYM_NONE || m.form != DR_IMPORT_PYTHON_MAYBE)
            j->imports[n++] = m;
    }
    j->n_imports = n;
    dr_paths_free(paths);
    return DR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

static bool sort_names(joiner *j)
{
    const size_t n = j->names.n;
    dr_str *sorted = malloc((n + 1) * sizeof *sorted);
    if (!sorted || !(j->order = malloc((n + 1) * sizeof *j->order))) {
        free(sorted);
        return false;
    }
    if (n) {
        memcpy(sorted, j->names.list, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_bytes);
    }
    for (size_t i = 0; i < n; i++)
        j->order[dr_name_set_find(&j->names, sorted[i])] = (uint32_t)i;
    free(sorted);
    return true;
}

/* Stands a reader at a file's references. */
static dr_facts_reader at_refs(const joiner *j, size_t file)
{
    const dr_buf *b = &j->facts[file].bytes;
    dr_facts_reader r = {.p = (const uint8_t *)b->data + j->files[file].refs_at, .end = (const uint8_t *)b->data + b->n};
    r.n_names = UINT32_MAX >> 1; /* checked against the file's own below */
    return r;
}

/* Second pass: how many of each; the names of every file are looked up once, here. */
static bool count_all(joiner *j)
{
    for (size_t f = 0; f < j->n_files; f++) {
        opened *o = &j->o;
        joined_file *file = &j->files[f];
        if (!j->facts[f].bytes.n)
            continue;
        if (!open_facts(o, &j->facts[f]) ||
            !(file->names = dr_arena_take(j->arena, (o->r.n_names + 1) * sizeof *file->names)))
            return false;
        for (uint32_t i = 0; i < o->r.n_names; i++) {
            const int64_t number = dr_name_set_find(&j->names, o->texts[i]);
            file->names[i] = number >= 0 ? j->order[number] : DR_SYM_NONE;
        }
        for (uint32_t i = 0; i < o->r.n_defs; i++)
            if (o->defs[i].kind != DR_SYM_SECTION)
                j->def_at[3 * (size_t)file->names[o->defs[i].name] +
                          (size_t)dr_sym_kind_rank((dr_sym_kind)o->defs[i].kind)]++;
        dr_facts_reader r = at_refs(j, f);
        const uint32_t n_names = o->r.n_names;
        uint32_t n = 0;
        for (; n < file->n_refs; n++) {
            uint32_t line;
            bool is_call;
            const uint32_t name = dr_facts__ref(&r, &line, &is_call);
            if (r.bad || name >= n_names)
                break;
            if (file->names[name] != DR_SYM_NONE)
                j->ref_at[2 * (size_t)file->names[name] + !is_call]++;
        }
        file->n_refs = n; /* what reads well */
    }
    return true;
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

static uint32_t label_number(const joiner *j, dr_str text)
{
    const int64_t number = dr_name_set_find(&j->labels, text);
    return number >= 0 ? j->n_names + (uint32_t)number : DR_SYM_NONE;
}

/* Third pass: everything to its place. Files come in path order and facts by line, so each bucket fills up sorted. */
static bool place_all(joiner *j, const dr_table *t)
{
    uint32_t n = 0, n_sections = 0;
    for (size_t f = 0; f < j->n_files; f++) {
        const joined_file *file = &j->files[f];
        t->first_of_file[f] = n;
        if (!j->facts[f].bytes.n)
            continue;
        if (!open_facts(&j->o, &j->facts[f]))
            return false;
        for (uint32_t i = 0; i < j->o.r.n_defs; i++) {
            const dr_facts_def *d = &j->o.defs[i];
            const bool section = d->kind == DR_SYM_SECTION;
            const uint32_t name = section ? label_number(j, j->o.texts[d->name]) : file->names[d->name];
            uint32_t container = DR_SYM_NONE;
            if (d->container != DR_SYM_NONE)
                container = section ? label_number(j, j->o.texts[d->container]) : file->names[d->container];
            const uint32_t at = section ? t->head->n_defs + n_sections++
                                        : j->def_at[3 * (size_t)name + (size_t)dr_sym_kind_rank((dr_sym_kind)d->kind)]++;
            t->defs[at] = (dr_sym_def){.name = name,
                                       .file = (uint32_t)f,
                                       .line = d->line,
                                       .first_line = d->first_line,
                                       .end_line = d->end_line,
                                       .container = container,
                                       .doc_line = d->doc_line,
                                       .body_at = d->body_at,
                                       .kind = d->kind};
            t->by_file[n++] = at;
        }
        dr_facts_reader r = at_refs(j, f);
        for (uint32_t i = 0; i < file->n_refs; i++) {
            uint32_t line;
            bool is_call;
            const uint32_t name = file->names[dr_facts__ref(&r, &line, &is_call)];
            if (name != DR_SYM_NONE)
                t->refs[j->ref_at[2 * (size_t)name + !is_call]++] =
                    (dr_sym_ref){.file = (uint32_t)f, .line = line & INT32_MAX, .is_call = is_call};
        }
        dr_buf_free(&j->facts[f].bytes);
    }
    t->first_of_file[j->n_files] = n;
    return true;
}

static void place_imports(const joiner *j, const dr_table *t)
{
    for (size_t i = 0; i < j->n_imports; i++) {
        const pending_import *m = &j->imports[i];
        t->imports[i] = (dr_sym_import){m->file, m->line, j->n_names + m->label, m->target};
        t->first_import[m->file]++;
        if (m->target != DR_SYM_NONE)
            t->first_importer[m->target]++;
    }
    (void)sum_up(t->first_import, j->n_files);
    (void)sum_up(t->first_importer, j->n_files);
    for (size_t i = 0; i < j->n_imports; i++)
        if (j->imports[i].target != DR_SYM_NONE)
            t->importers[t->first_importer[j->imports[i].target]++] = (uint32_t)i;
    for (size_t f = j->n_files; f > 0; f--) /* filling moved every place to the next one's */
        t->first_importer[f] = t->first_importer[f - 1];
    t->first_importer[0] = 0;
}

/* From here on labels are looked up in the table's own text, and nothing points into the facts. A large tree has four
 * million names: the set would be 200 MB at the moment when most is held. */
static void place_names(joiner *j, const dr_table *t)
{
    const size_t n_names = j->n_names, n_labels = j->labels.n;
    for (size_t i = 0; i <= n_names; i++) {
        t->first_def[i] = j->def_at[3 * i];
        t->first_ref[i] = j->ref_at[2 * i];
    }
    for (size_t i = 0; i < n_names; i++) /* lengths first, by sorted number */
        t->name_at[j->order[i]] = (uint32_t)j->names.list[i].n;
    for (size_t i = 0; i < n_labels; i++)
        t->name_at[n_names + i] = (uint32_t)j->labels.list[i].n;
    (void)sum_up(t->name_at, n_names + n_labels);
    for (size_t i = 0; i < n_names; i++)
        memcpy(t->text + t->name_at[j->order[i]], j->names.list[i].s, j->names.list[i].n);
    for (size_t i = 0; i < n_labels; i++) {
        memcpy(t->text + t->name_at[n_names + i], j->labels.list[i].s, j->labels.list[i].n);
        j->labels.list[i].s = t->text + t->name_at[n_names + i];
    }
    dr_name_set_fini(&j->names);
    free(j->order);
    j->order = NULL;
}

/* Everything counted, the table's storage taken. */
static dr_status lay_out(dr_buf *out, joiner *j, const dr_symbols_stats *stats, dr_error *err)
{
    const size_t n_names = j->names.n;
    uint64_t text_bytes = 0, n_importers = 0;

    for (size_t i = 0; i < n_names; i++)
        text_bytes += j->names.list[i].n;
    for (size_t i = 0; i < j->labels.n; i++)
        text_bytes += j->labels.list[i].n;
    for (size_t i = 0; i < j->n_imports; i++)
        n_importers += j->imports[i].target != DR_SYM_NONE;
    const uint64_t n_defs = sum_up(j->def_at, 3 * n_names), n_refs = sum_up(j->ref_at, 2 * n_names);
    if (text_bytes >= UINT32_MAX || n_defs + j->n_sections >= UINT32_MAX || n_refs >= UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "symbols: more than a table can hold");
    dr_table_header head = {.magic = {'d', 's', 'y', 'm'},
                            .version = DR_TABLE_VERSION,
                            .n_files = (uint32_t)j->n_files,
                            .n_names = (uint32_t)n_names,
                            .n_labels = (uint32_t)j->labels.n,
                            .n_defs = (uint32_t)n_defs,
                            .n_sections = (uint32_t)j->n_sections,
                            .n_refs = (uint32_t)n_refs,
                            .n_imports = (uint32_t)j->n_imports,
                            .n_importers = (uint32_t)n_importers,
                            .n_row_words = dr_similar__row_words((uint32_t)n_names),
                            .text_bytes = (uint32_t)text_bytes,
                            .n_lang_files = stats->n_files,
                            .source_bytes = stats->bytes};
    dr_table t;
    const uint64_t body = dr_table__layout(&t, &head);
    if (body >= UINT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "symbols: a table of %llu bytes is too large", (unsigned long long)body);
    dr_buf_free(out);
    if (!(out->data = calloc(1, sizeof head + body + 1))) /* all at once: appending would hold it twice */
        return dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
    out->n = sizeof head + body;
    out->cap = out->n + 1;
    memcpy(out->data, &head, sizeof head);
    return DR_OK;
}

dr_status dr_table__join(dr_buf *out, dr_file_facts *facts, const dr_repo *repo, const dr_symbols_stats *stats,
                         dr_error *err)
{
    dr_status st = DR_OK;
    joiner j = {.facts = facts, .n_files = dr_repo_n_files(repo)};
    dr_table t;

    if (!(j.files = calloc(j.n_files + 1, sizeof *j.files)) || !(j.arena = dr_arena_new(1 << 20)))
        goto no_memory;
    for (size_t f = 0; f < j.n_files; f++)
        if (facts[f].bytes.n && !collect(&j, f))
            goto no_memory;
    if ((st = resolve_imports(&j, repo, err)) != DR_OK)
        goto done;
    if (!(j.def_at = calloc(3 * j.names.n + 1, sizeof *j.def_at)) ||
        !(j.ref_at = calloc(2 * j.names.n + 1, sizeof *j.ref_at)) || !sort_names(&j) || !count_all(&j))
        goto no_memory;
    j.n_names = (uint32_t)j.names.n;
    if ((st = lay_out(out, &j, stats, err)) != DR_OK)
        goto done;
    dr_table_header *head = (dr_table_header *)(void *)out->data;
    (void)dr_table__layout(&t, head);
    place_names(&j, &t);
    place_imports(&j, &t);
    if (!place_all(&j, &t))
        goto no_memory;
    dr_similar__build(&t);
    const dr_checksum sum = dr_xxh3_128(out->data + sizeof *head, out->n - sizeof *head);
    head->check_lo = sum.lo;
    head->check_hi = sum.hi;
    goto done;
no_memory:
    st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
done:
    dr_name_set_fini(&j.names);
    dr_name_set_fini(&j.labels);
    free(j.order);
    free(j.def_at);
    free(j.ref_at);
    free(j.files);
    dr_arena_free(j.arena);
    free(j.imports);
    free(j.o.texts);
    free(j.o.defs);
    return st;
}
