#include "repo/symbols.h"

#include "repo/index.h"

#include <stdlib.h>
#include <string.h>

struct dr_symbols {
    dr_buf bytes; /* the table */
    dr_table t;
    dr_str *names;
    dr_symbols_stats stats;
};

const char *dr_sym_kind_name(dr_sym_kind kind)
{
    static const char *const names[DR_N_SYM_KINDS] = {
        "function", "method",   "class",  "struct",   "union", "enum",   "interface",  "trait",     "type",
        "macro",    "constant", "module", "variable", "field", "member", "enumerator", "prototype",
        "section",
    };
    return (unsigned)kind < DR_N_SYM_KINDS ? names[kind] : "";
}

int dr_sym_kind_rank(dr_sym_kind kind)
{
    return kind == DR_SYM_SECTION ? 3 : kind == DR_SYM_PROTOTYPE ? 2 : kind >= DR_SYM_VARIABLE ? 1 : 0;
}

uint32_t dr_symbols_version(void)
{
    return (uint32_t)DR_FACTS_VERSION << 16 | DR_TABLE_VERSION;
}

/* Everything a table depends on: the files (paths, kinds, ids), the rules that say which are read and how they are shown,
 * and both versions. */
enum { KEY_BYTES = 4 + 2 + 32 };

static void table_key(uint8_t key[KEY_BYTES], const dr_repo *repo)
{
    dr_digest rules;
    dr_sha256_stream *s = dr_sha256_new();
    for (size_t i = 0; i < dr_repo_n_files(repo); i++) {
        const uint8_t cls = (uint8_t)dr_repo_file_at(repo, i)->cls;
        dr_sha256_update(s, &cls, 1);
    }
    dr_repo_rules_digest(&rules, repo);
    dr_sha256_update(s, rules.b, sizeof rules.b);
    dr_sha256_update(s, dr_repo_identity(repo)->digest.b, sizeof dr_repo_identity(repo)->digest.b);
    const dr_digest all = dr_sha256_finish(s);
    memcpy(key, "syt2", 4);
    key[4] = DR_FACTS_VERSION;
    key[5] = DR_TABLE_VERSION;
    memcpy(key + 6, all.b, sizeof all.b);
}

/* Takes over the table in s->bytes. */
static dr_status adopt(dr_symbols *s, size_t n_files, dr_error *err)
{
    if (!dr_table__view(&s->t, (dr_cspan){(const uint8_t *)s->bytes.data, s->bytes.n}, n_files))
        return dr_fail(err, DR_ERR_FORMAT, "symbols: the stored table is damaged");
    const uint32_t n = s->t.head->n_names, n_texts = n + s->t.head->n_labels;
    free(s->names);
    if (!(s->names = malloc((n_texts ? n_texts : 1) * sizeof *s->names)))
        return dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
    for (uint32_t i = 0; i < n_texts; i++)
        s->names[i] = (dr_str){s->t.text + s->t.name_at[i], s->t.name_at[i + 1] - s->t.name_at[i]};
    for (uint32_t i = 1; i < n; i++)
        if (dr_str_cmp(s->names[i - 1], s->names[i]) >= 0)
            return dr_fail(err, DR_ERR_FORMAT, "symbols: the stored table is not sorted");
    s->stats.n_files = s->t.head->n_lang_files;
    s->stats.bytes = s->t.head->source_bytes;
    s->stats.n_names = n;
    s->stats.n_defs = s->t.head->n_defs;
    s->stats.n_refs = s->t.head->n_refs;
    s->stats.n_sections = s->t.head->n_sections;
    s->stats.n_imports = s->t.head->n_imports;
    return DR_OK;
}

dr_status dr_symbols_open(dr_symbols **out, const dr_repo *repo, const dr_symbols_options *opt, dr_error *err)
{
    static const dr_symbols_options defaults;
    dr_status st = DR_OK;
    const size_t n_files = dr_repo_n_files(repo);
    uint8_t key[KEY_BYTES];
    dr_tree_facts facts = {0};
    dr_symbols *s = NULL;

    *out = NULL;
    opt = opt ? opt : &defaults;
    if (!(s = calloc(1, sizeof *s))) {
        st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
        goto done;
    }
    table_key(key, repo);
    if (opt->store && opt->store->get(opt->store->self, &s->bytes, (dr_cspan){key, sizeof key}, NULL) == DR_OK &&
        adopt(s, n_files, NULL) == DR_OK) {
        s->stats.restored = true;
        goto ready;
    }
    dr_buf_clear(&s->bytes);
    if ((st = dr_index__facts(&facts, &s->stats, repo, opt, err)) != DR_OK ||
        (st = dr_table__join(&s->bytes, &facts, repo, &s->stats, err)) != DR_OK ||
        (st = adopt(s, n_files, err)) != DR_OK)
        goto done;
    /* A file that changed under us must not be missing from this snapshot's table for good. */
    if (opt->store && s->stats.n_failed == 0)
        (void)opt->store->put(opt->store->self, (dr_cspan){key, sizeof key},
                              (dr_cspan){(const uint8_t *)s->bytes.data, s->bytes.n}, NULL);
ready:
    *out = s;
    s = NULL;
done:
    dr_index__facts_free(&facts);
    dr_symbols_close(s);
    return st;
}

void dr_symbols_close(dr_symbols *s)
{
    if (!s)
        return;
    dr_buf_free(&s->bytes);
    free(s->names);
    free(s);
}

static bool find_name(const dr_symbols *s, dr_str name, uint32_t *index)
{
    uint32_t low = 0, high = s->stats.n_names;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (dr_str_cmp(s->names[mid], name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *index = low;
    return low < s->stats.n_names && dr_str_eq(s->names[low], name);
}

size_t dr_symbols_find(const dr_symbols *s, dr_str name, const dr_sym_def **defs)
{
    uint32_t i;
    if (!find_name(s, name, &i)) {
        *defs = NULL;
        return 0;
    }
    *defs = s->t.defs + s->t.first_def[i];
    return s->t.first_def[i + 1] - s->t.first_def[i];
}

size_t dr_symbols_refs(const dr_symbols *s, dr_str name, const dr_sym_ref **refs)
{
    uint32_t i;
    if (!find_name(s, name, &i)) {
        *refs = NULL;
        return 0;
    }
    *refs = s->t.refs + s->t.first_ref[i];
    return s->t.first_ref[i + 1] - s->t.first_ref[i];
}

size_t dr_symbols_similar(const dr_symbols *s, dr_str name, dr_str out[5])
{
    return dr_similar__find(&s->t, s->names, name, out);
}

const dr_str *dr_symbols_names(const dr_symbols *s, size_t *n)
{
    *n = s->stats.n_names;
    return s->names;
}

const dr_sym_def *dr_symbols_def(const dr_symbols *s, uint32_t index)
{
    return &s->t.defs[index];
}

const dr_sym_def *dr_symbols_enclosing(const dr_symbols *s, size_t file, uint32_t line)
{
    const dr_sym_def *best = NULL;
    const uint32_t *defs;
    const size_t n = dr_symbols_outline(s, file, &defs);

    for (size_t i = 0; i < n; i++) {
        const dr_sym_def *d = &s->t.defs[defs[i]];
        if ((d->kind == DR_SYM_FUNCTION || d->kind == DR_SYM_METHOD || d->kind == DR_SYM_CLASS) &&
            d->first_line <= line && line <= d->end_line &&
            (!best || d->first_line > best->first_line ||
             (d->first_line == best->first_line && d->end_line <= best->end_line)))
            best = d;
    }
    return best;
}

size_t dr_symbols_outline(const dr_symbols *s, size_t file, const uint32_t **defs)
{
    if (file >= s->t.head->n_files) {
        *defs = NULL;
        return 0;
    }
    *defs = s->t.by_file + s->t.first_of_file[file];
    return s->t.first_of_file[file + 1] - s->t.first_of_file[file];
}

size_t dr_symbols_imports(const dr_symbols *s, size_t file, const dr_sym_import **imports)
{
    if (file >= s->t.head->n_files) {
        *imports = NULL;
        return 0;
    }
    *imports = s->t.imports + s->t.first_import[file];
    return s->t.first_import[file + 1] - s->t.first_import[file];
}

size_t dr_symbols_importers(const dr_symbols *s, size_t file, const uint32_t **imports)
{
    if (file >= s->t.head->n_files) {
        *imports = NULL;
        return 0;
    }
    *imports = s->t.importers + s->t.first_importer[file];
    return s->t.first_importer[file + 1] - s->t.first_importer[file];
}

const dr_sym_import *dr_symbols_import(const dr_symbols *s, uint32_t index)
{
    return &s->t.imports[index];
}

static int by_line_then_name(const void *a, const void *b)
{
    const dr_sym_call *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name);
}

dr_status dr_symbols_callees(dr_sym_call **out, size_t *n, const dr_symbols *s, const dr_repo *repo,
                             const dr_blob_store *store, const dr_sym_def *def, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf bytes = {0};
    uint32_t *numbers = NULL; /* of the file's names in the table; DR_SYM_NONE: not defined, or listed already */
    size_t cap = 0;

    *out = NULL;
    *n = 0;
    if ((st = dr_index__one(&bytes, repo, def->file, store, err)) != DR_OK)
        goto done;
    dr_facts_reader r = dr_facts__open((dr_cspan){(const uint8_t *)bytes.data, bytes.n});
    if (!(numbers = malloc(((size_t)r.n_names + 1) * sizeof *numbers))) {
        st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < r.n_names; i++)
        if (!find_name(s, dr_facts__name(&r), &numbers[i]))
            numbers[i] = DR_SYM_NONE;
    for (uint32_t i = 0; i < r.n_defs; i++)
        (void)dr_facts__def(&r);
    for (uint32_t i = 0, line; i < r.n_imports; i++) {
        dr_import_form form;
        (void)dr_facts__import(&r, &line, &form);
    }
    for (uint32_t i = 0, line; i < r.n_refs; i++) {
        bool is_call;
        const uint32_t name = dr_facts__ref(&r, &line, &is_call);
        if (r.bad || line > def->end_line)
            break;
        if (!is_call || line < def->first_line || numbers[name] == DR_SYM_NONE)
            continue;
        if (*n == cap) {
            cap = cap ? 2 * cap : 16;
            dr_sym_call *grown = realloc(*out, cap * sizeof *grown);
            if (!grown) {
                st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
                goto done;
            }
            *out = grown;
        }
        (*out)[(*n)++] = (dr_sym_call){numbers[name], line};
        numbers[name] = DR_SYM_NONE;
    }
    if (*n)
        qsort(*out, *n, sizeof **out, by_line_then_name);
done:
    if (st != DR_OK) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    free(numbers);
    dr_buf_free(&bytes);
    return st;
}

const dr_symbols_stats *dr_symbols_get_stats(const dr_symbols *s)
{
    return &s->stats;
}
