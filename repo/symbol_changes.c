#include "repo/symbol_changes.h"

#include "repo/extract.h"
#include "repo/facts.h"
#include "repo/history.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

/* One side of a file. */
typedef struct side {
    dr_str text;
    dr_buf facts;
    dr_text_lines lines;
    dr_str *names;
    struct entry {
        dr_facts_def def;
        dr_str name, container;
        uint32_t ordinal; /* among those that are called the same */
        bool paired;
    } *defs; /* by place */
    uint32_t *sorted; /* by what they are called, then ordinal */
    uint32_t n;
} side;

typedef struct entry entry;

const char *dr_sym_change_name(dr_sym_change_kind kind)
{
    static const char *const names[] = {"added", "removed", "signature", "body"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "";
}

static int same_called(const entry *x, const entry *y)
{
    int c = dr_str_cmp(x->name, y->name);
    if (c == 0)
        c = dr_str_cmp(x->container, y->container);
    if (c == 0)
        c = (x->def.kind > y->def.kind) - (x->def.kind < y->def.kind);
    return c;
}

static int by_called(const void *a, const void *b, void *arg)
{
    const entry *defs = arg;
    const uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const int c = same_called(&defs[i], &defs[k]);
    return c ? c : (i > k) - (i < k);
}

static void side_fini(side *s)
{
    dr_buf_free(&s->facts);
    dr_text_lines_fini(&s->lines);
    free(s->names);
    free(s->defs);
    free(s->sorted);
}

static dr_status side_init(side *s, dr_walk *walk, dr_str path, dr_str text, dr_error *err)
{
    dr_status st = dr_text_lines_init(&s->lines, text, err);
    if (st != DR_OK)
        return st;
    s->text = text;
    if (dr_walk_extract(walk, dr_lang_of(path, text), text) != DR_OK || !dr_facts__encode(&s->facts, walk))
        goto no_memory;
    dr_facts_reader r = dr_facts__open((dr_cspan){(const uint8_t *)s->facts.data, s->facts.n});
    if (!(s->names = calloc((size_t)r.n_names + 1, sizeof *s->names)) ||
        !(s->defs = calloc((size_t)r.n_defs + 1, sizeof *s->defs)) ||
        !(s->sorted = calloc((size_t)r.n_defs + 1, sizeof *s->sorted)))
        goto no_memory;
    for (uint32_t i = 0; i < r.n_names; i++)
        s->names[i] = dr_facts__name(&r);
    for (uint32_t i = 0; i < r.n_defs; i++) {
        const dr_facts_def d = dr_facts__def(&r);
        if (d.kind == DR_SYM_SECTION)
            continue;
        s->sorted[s->n] = s->n;
        s->defs[s->n++] = (entry){.def = d,
                                  .name = s->names[d.name],
                                  .container = d.container == DR_SYM_NONE ? DR_STR("") : s->names[d.container]};
    }
    if (s->n)
        qsort_r(s->sorted, s->n, sizeof *s->sorted, by_called, s->defs);
    for (uint32_t i = 1; i < s->n; i++) {
        entry *e = &s->defs[s->sorted[i]];
        const entry *before = &s->defs[s->sorted[i - 1]];
        e->ordinal = same_called(e, before) == 0 ? before->ordinal + 1 : 0;
    }
    return DR_OK;
no_memory:
    return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
}

static dr_status append(dr_sym_changes *out, dr_sym_change c, dr_error *err)
{
    if (!out->text && !(out->text = dr_arena_new(1 << 12)))
        return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
    if (out->n == out->cap) {
        const size_t cap = out->cap ? 2 * out->cap : 64;
        dr_sym_change *grown = realloc(out->v, cap * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
        out->v = grown;
        out->cap = cap;
    }
    dr_str *const texts[] = {&c.name, &c.container};
    for (size_t i = 0; i < 2; i++) { /* the facts they point into go away; the path was copied once for all */
        char *copy = dr_arena_take(out->text, texts[i]->n + 1);
        if (!copy)
            return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
        memcpy(copy, texts[i]->s, texts[i]->n);
        texts[i]->s = copy;
    }
    out->v[out->n++] = c;
    return DR_OK;
}

/* From the first line to the end of the last. */
static dr_str whole_of(const side *s, const entry *e)
{
    const dr_str first = dr_text_lines_get(&s->lines, e->def.first_line), last = dr_text_lines_get(&s->lines, e->def.end_line);
    return first.s && last.s ? (dr_str){first.s, (size_t)(last.s - first.s) + last.n} : (dr_str){"", 0};
}

static bool signature_of(dr_buf *out, const side *s, const entry *e)
{
    const dr_sym_def d = {.line = e->def.line,
                          .first_line = e->def.first_line,
                          .end_line = e->def.end_line,
                          .body_at = e->def.body_at,
                          .kind = e->def.kind};
    dr_buf_clear(out);
    dr_text_signature(out, s->text, &d, 0);
    return !out->failed;
}

static dr_status compare(dr_sym_changes *out, dr_str path, side *old, side *new, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf a = {0}, b = {0};

    for (uint32_t i = 0; i < new->n && st == DR_OK; i++) {
        entry *e = &new->defs[i], *was = NULL;
        uint32_t low = 0, high = old->n;
        while (low < high) {
            const uint32_t mid = low + (high - low) / 2;
            entry *m = &old->defs[old->sorted[mid]];
            int c = same_called(m, e);
            c = c ? c : (m->ordinal > e->ordinal) - (m->ordinal < e->ordinal);
            if (c == 0)
                was = m;
            if (c < 0)
                low = mid + 1;
            else
                high = mid;
        }
        dr_sym_change c = {.kind = DR_SYM_ADDED,
                           .sym = (dr_sym_kind)e->def.kind,
                           .path = path,
                           .name = e->name,
                           .container = e->container,
                           .new_line = e->def.line};
        if (was) {
            was->paired = true;
            c.old_line = was->def.line;
            if (dr_str_eq(whole_of(old, was), whole_of(new, e)))
                continue;
            if (!signature_of(&a, old, was) || !signature_of(&b, new, e)) {
                st = dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
                break;
            }
            c.kind = dr_str_eq(dr_buf_view(&a), dr_buf_view(&b)) ? DR_SYM_BODY : DR_SYM_SIGNATURE;
        }
        st = append(out, c, err);
    }
    for (uint32_t i = 0; i < old->n && st == DR_OK; i++)
        if (!old->defs[i].paired)
            st = append(out,
                        (dr_sym_change){.kind = DR_SYM_REMOVED,
                                        .sym = (dr_sym_kind)old->defs[i].def.kind,
                                        .path = path,
                                        .name = old->defs[i].name,
                                        .container = old->defs[i].container,
                                        .old_line = old->defs[i].def.line},
                        err);
    dr_buf_free(&a);
    dr_buf_free(&b);
    return st;
}

static dr_status add_with(dr_sym_changes *out, dr_walk *walk, dr_str path, dr_str old_text, dr_str new_text, dr_error *err)
{
    side old = {0}, new = {0};
    dr_status st = DR_OK;

    if (!out->text && !(out->text = dr_arena_new(1 << 12)))
        return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
    char *copy = dr_arena_take(out->text, path.n + 1);
    if (!copy)
        return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
    memcpy(copy, path.s, path.n);
    if ((st = side_init(&old, walk, path, old_text, err)) == DR_OK && (st = side_init(&new, walk, path, new_text, err)) == DR_OK)
        st = compare(out, (dr_str){copy, path.n}, &old, &new, err);
    out->n_files += st == DR_OK;
    side_fini(&old);
    side_fini(&new);
    return st;
}

dr_status dr_symbol_changes_add(dr_sym_changes *out, dr_str path, dr_str old_text, dr_str new_text, dr_error *err)
{
    dr_walk walk;
    if (!dr_walk_init(&walk))
        return dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
    const dr_status st = add_with(out, &walk, path, old_text, new_text, err);
    dr_walk_fini(&walk);
    return st;
}

/* The shown text of one side; empty when it is not there or is no text. *unread: it should have been read. */
static dr_status read_side(dr_buf *out, bool *unread, const dr_repo *repo, dr_change_type type, const uint8_t id[20],
                           dr_str path, dr_error *err)
{
    dr_file_class cls = DR_FILE_TEXT;
    dr_buf_clear(out);
    if (type != DR_TYPE_FILE)
        return DR_OK;
    const dr_status st = dr_repo_read_blob(repo, id, path, out, &cls, err);
    *unread |= st == DR_OK && (cls == DR_FILE_MISSING || cls == DR_FILE_TOO_LARGE);
    return st;
}

dr_status dr_symbol_changes_between(dr_sym_changes *out, const dr_repo *repo, const char *from, const char *to,
                                    dr_error *err)
{
    dr_status st = DR_OK;
    dr_history *history = NULL;
    dr_changes changes = {0};
    dr_buf old = {0}, new = {0};
    dr_walk walk = {0};
    bool walking = false;

    if ((st = dr_history_open(&history, repo, err)) != DR_OK ||
        (st = dr_history_changes(&changes, history, from, to, err)) != DR_OK)
        goto done;
    if (!(walking = dr_walk_init(&walk))) {
        st = dr_fail(err, DR_ERR_NOMEM, "changes: out of memory");
        goto done;
    }
    for (size_t i = 0; i < changes.n && st == DR_OK; i++) {
        const dr_change *c = &changes.v[i];
        bool unread = false;
        if (c->kind == DR_CHANGE_RENAMED) /* the same definitions, in a file of another name */
            continue;
        if (dr_lang_of(c->path, DR_STR("")) == DR_LANG_NONE)
            continue;
        if ((st = read_side(&old, &unread, repo, c->old_type, c->old_id, c->old_path, err)) != DR_OK ||
            (st = read_side(&new, &unread, repo, c->new_type, c->new_id, c->path, err)) != DR_OK)
            break;
        out->n_unread += unread;
        st = add_with(out, &walk, c->path, dr_buf_view(&old), dr_buf_view(&new), err);
    }
done:
    if (walking)
        dr_walk_fini(&walk);
    dr_buf_free(&old);
    dr_buf_free(&new);
    dr_changes_fini(&changes);
    dr_history_close(history);
    return st;
}

void dr_symbol_changes_fini(dr_sym_changes *c)
{
    free(c->v);
    dr_arena_free(c->text);
    *c = (dr_sym_changes){0};
}
