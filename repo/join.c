/* Facts of every file to one table: names get their numbers, then every record goes to its place.
 *
 * A large tree has 300 MB of facts and a table of 600 MB, so they never stand side by side: once the names are numbered and
 * their texts are in the table, the records alone are kept of the facts, and those go before the table's next part fills. */
#include "repo/imports.h"
#include "repo/index.h"
#include "repo/name_set.h"

#include "base/arena.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 20 };

/* One file's facts, opened. */
typedef struct opened {
    dr_str *texts; /* [n_names] as they stand in the facts */
    dr_facts_def *defs;
    size_t cap_names, cap_defs;
    dr_cspan def_bytes; /* the definitions as they stand in the facts */
    dr_facts_reader r;  /* stands at the imports */
} opened;

/* What is known of a file between the passes. */
typedef struct joined_file {
    uint32_t *names;  /* [n_names] sorted number of a defined name, or DR_SYM_NONE */
    uint32_t *labels; /* [n_names] number of what sections are called; NULL: it has none */
    dr_cspan defs, refs;
    uint32_t n_names, n_defs, n_refs;
} joined_file;

typedef struct pending_import {
    uint32_t file, line, label, target;
    dr_import_form form;
} pending_import;

typedef struct joiner {
    dr_tree_facts *facts;
    size_t n_files;
    dr_name_set names;  /* defined by somebody */
    dr_name_set labels; /* of sections and imports */
    uint32_t *order;    /* number of a name as found -> sorted number */
    uint32_t *def_at;   /* [3 * n_names + 1] next place by name and rank */
    uint32_t *ref_at;   /* [2 * n_names + 1] by name, calls first */
    joined_file *files;
    dr_arena *arena, *defs, *refs; /* numbers of files; records that outlive the facts */
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
static bool open_facts(opened *o, dr_cspan facts)
{
    o->r = dr_facts__open(facts);
    o->def_bytes = (dr_cspan){0};
    if (!o->r.bad) {
        if (!reserve(o, o->r.n_names, o->r.n_defs))
            return false;
        for (uint32_t i = 0; i < o->r.n_names; i++)
            o->texts[i] = dr_facts__name(&o->r);
        const uint8_t *from = o->r.p;
        for (uint32_t i = 0; i < o->r.n_defs; i++)
            o->defs[i] = dr_facts__def(&o->r);
        o->def_bytes = (dr_cspan){from, (size_t)(o->r.p - from)};
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
    if (!open_facts(o, j->facts->files[file]))
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
    j->files[file].refs = (dr_cspan){o->r.p, (size_t)(o->r.end - o->r.p)};
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

/* Stands a reader at some of a file's records. */
static dr_facts_reader at_records(const joined_file *f, dr_cspan records)
{
    return (dr_facts_reader){.p = records.data, .end = records.data + records.n, .n_names = f->n_names};
}

static uint32_t label_number(const joiner *j, dr_str text)
{
    const int64_t number = dr_name_set_find(&j->labels, text);
    return number >= 0 ? (uint32_t)(j->names.n + (size_t)number) : DR_SYM_NONE;
}

/* A name may be both a definition's and a section's. */
static bool number_label(joiner *j, joined_file *file, uint32_t name)
{
    if (!file->labels && !(file->labels = dr_arena_take(j->arena, file->n_names * sizeof *file->labels)))
        return false;
    file->labels[name] = label_number(j, j->o.texts[name]);
    return true;
}

/* Second pass: how many of each; the names of every file are looked up once, here. */
static bool count_all(joiner *j)
{
    for (size_t f = 0; f < j->n_files; f++) {
        opened *o = &j->o;
        joined_file *file = &j->files[f];
        if (!j->facts->files[f].n)
            continue;
        if (!open_facts(o, j->facts->files[f]) ||
            !(file->names = dr_arena_take(j->arena, (o->r.n_names + 1) * sizeof *file->names)))
            return false;
        for (uint32_t i = 0; i < o->r.n_names; i++) {
            const int64_t number = dr_name_set_find(&j->names, o->texts[i]);
            file->names[i] = number >= 0 ? j->order[number] : DR_SYM_NONE;
        }
        file->n_names = o->r.n_names;
        file->n_defs = o->r.n_defs;
        file->defs = o->def_bytes;
        for (uint32_t i = 0; i < o->r.n_defs; i++) {
            const dr_facts_def *d = &o->defs[i];
            if (d->kind != DR_SYM_SECTION)
                j->def_at[3 * (size_t)file->names[d->name] + (size_t)dr_sym_kind_rank((dr_sym_kind)d->kind)]++;
            else if (!number_label(j, file, d->name) ||
                     (d->container != DR_SYM_NONE && !number_label(j, file, d->container)))
                return false;
        }
        dr_facts_reader r = at_records(file, file->refs);
        uint32_t n = 0;
        for (; n < file->n_refs; n++) {
            uint32_t line;
            bool is_call;
            const uint32_t name = dr_facts__ref(&r, &line, &is_call);
            if (r.bad)
                break;
            if (file->names[name] != DR_SYM_NONE)
                j->ref_at[2 * (size_t)file->names[name] + !is_call]++;
        }
        file->n_refs = n; /* what reads well */
        file->refs.n = (size_t)(r.p - file->refs.data);
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

static bool copy_bytes(dr_cspan *s, dr_arena *to)
{
    uint8_t *copy = dr_arena_take(to, s->n);
    if (!copy)
        return false;
    if (s->n)
        memcpy(copy, s->data, s->n);
    s->data = copy;
    return true;
}

/* Names are numbers by now: of the facts only the records are still wanted, definitions and references apart. */
static bool keep_records(joiner *j)
{
    if (!(j->defs = dr_arena_new(BLOCK_BYTES)) || !(j->refs = dr_arena_new(BLOCK_BYTES)))
        return false;
    for (size_t f = 0; f < j->n_files; f++)
        if (j->files[f].names && (!copy_bytes(&j->files[f].defs, j->defs) || !copy_bytes(&j->files[f].refs, j->refs)))
            return false;
    dr_index__facts_free(j->facts);
    return true;
}

/* Third pass: everything to its place. Files come in path order and facts by line, so each bucket fills up sorted. */
static void place_defs(joiner *j, const dr_table *t)
{
    uint32_t n = 0, n_sections = 0;
    for (size_t f = 0; f < j->n_files; f++) {
        const joined_file *file = &j->files[f];
        dr_facts_reader r = at_records(file, file->defs);
        t->first_of_file[f] = n;
        for (uint32_t i = 0; i < file->n_defs; i++) {
            const dr_facts_def d = dr_facts__def(&r);
            const bool section = d.kind == DR_SYM_SECTION;
            const uint32_t *numbers = section ? file->labels : file->names;
            const uint32_t name = numbers[d.name];
            const uint32_t at = section ? t->head->n_defs + n_sections++
                                        : j->def_at[3 * (size_t)name + (size_t)dr_sym_kind_rank((dr_sym_kind)d.kind)]++;
            t->defs[at] = (dr_sym_def){.name = name,
                                       .file = (uint32_t)f,
                                       .line = d.line,
                                       .first_line = d.first_line,
                                       .end_line = d.end_line,
                                       .container = d.container == DR_SYM_NONE ? DR_SYM_NONE : numbers[d.container],
                                       .doc_line = d.doc_line,
                                       .body_at = d.body_at,
                                       .kind = d.kind};
            t->by_file[n++] = at;
        }
    }
    t->first_of_file[j->n_files] = n;
    dr_arena_free(j->defs);
    free(j->def_at);
    j->defs = NULL;
    j->def_at = NULL;
}

static void place_refs(const joiner *j, const dr_table *t)
{
    for (size_t f = 0; f < j->n_files; f++) {
        const joined_file *file = &j->files[f];
        dr_facts_reader r = at_records(file, file->refs);
        for (uint32_t i = 0; i < file->n_refs; i++) {
            uint32_t line;
            bool is_call;
            const uint32_t name = file->names[dr_facts__ref(&r, &line, &is_call)];
            if (name != DR_SYM_NONE)
                t->refs[j->ref_at[2 * (size_t)name + !is_call]++] =
                    (dr_sym_ref){.file = (uint32_t)f, .line = line & INT32_MAX, .is_call = is_call};
        }
    }
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

/* From here on nothing looks a text up. A large tree has four million names: the set would be 200 MB at the moment when
 * most is held. */
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
    for (size_t i = 0; i < n_labels; i++)
        memcpy(t->text + t->name_at[n_names + i], j->labels.list[i].s, j->labels.list[i].n);
    dr_name_set_fini(&j->names);
    dr_name_set_fini(&j->labels);
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

dr_status dr_table__join(dr_buf *out, dr_tree_facts *facts, const dr_repo *repo, const dr_symbols_stats *stats,
                         dr_error *err)
{
    dr_status st = DR_OK;
    joiner j = {.facts = facts, .n_files = dr_repo_n_files(repo)};
    dr_table t;

    if (!(j.files = calloc(j.n_files + 1, sizeof *j.files)) || !(j.arena = dr_arena_new(BLOCK_BYTES)))
        goto no_memory;
    for (size_t f = 0; f < j.n_files; f++)
        if (facts->files[f].n && !collect(&j, f))
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
    if (!keep_records(&j))
        goto no_memory;
    place_defs(&j, &t);
    place_refs(&j, &t);
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
    dr_arena_free(j.defs);
    dr_arena_free(j.refs);
    free(j.imports);
    free(j.o.texts);
    free(j.o.defs);
    return st;
}
