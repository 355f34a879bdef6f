#include "app/pack.h"

#include "app/pack_map.h"
#include "app/pack_parts.h"
#include "repo/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char closing[] = "end of repository";

const char *dr_seg_kind_name(dr_seg_kind k)
{
    static const char *const names[DR_N_SEG_KINDS] = {"map", "file", "signatures", "end", "entry", "diff", "added", "line"};
    return names[k];
}

/* ---- pieces ---- */

int64_t dr_pack__end(const dr_pack *p)
{
    return p->n_gone + (int64_t)p->ids.n;
}

dr_status dr_pack__hand_over(dr_pack *p, const dr_pack_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    if (opt->sink && p->ids.n) {
        st = opt->sink(opt->sink_arg, p->ids.v, p->ids.n, err);
        p->n_gone += (int64_t)p->ids.n;
        p->ids.n = 0;
    }
    return st;
}

dr_status dr_pack__segment(dr_pack *p, dr_pack_segment seg, int64_t first, dr_str path, dr_error *err)
{
    if (p->n_segs == p->cap_segs) {
        const size_t cap = p->cap_segs ? 2 * p->cap_segs : 64;
        dr_pack_segment *grown = realloc(p->segs, cap * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        p->segs = grown;
        p->cap_segs = cap;
    }
    seg.first = first;
    seg.n = dr_pack__end(p) - first;
    seg.path_at = (uint32_t)p->names.n;
    seg.path_n = (uint32_t)path.n;
    dr_buf_add(&p->names, path.s, path.n);
    p->segs[p->n_segs++] = seg;
    return p->ids.failed || p->names.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}

dr_status dr_pack__line(dr_pack *p, const dr_maker *m, dr_seg_kind kind, uint32_t entry, dr_str path, dr_str line, dr_error *err)
{
    const int64_t first = dr_pack__end(p);
    const dr_status st = dr_tokenizer_encode(m->t, &p->ids, line, false, err);
    return st != DR_OK ? st
                       : dr_pack__segment(p, (dr_pack_segment){.kind = (uint8_t)kind, .entry = entry}, first, path, err);
}

dr_status dr_pack__entry(dr_pack *p, const char *commit, dr_error *err)
{
    if (p->n_entries == p->cap_entries) {
        const size_t cap = p->cap_entries ? 2 * p->cap_entries : 16;
        dr_pack_entry *grown = realloc(p->entries, cap * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        p->entries = grown;
        p->cap_entries = cap;
    }
    dr_pack_entry *e = &p->entries[p->n_entries++];
    *e = (dr_pack_entry){.first = dr_pack__end(p)};
    (void)snprintf(e->commit, sizeof e->commit, "%s", commit);
    return DR_OK;
}

dr_status dr_pack__append_segment(dr_pack *to, const dr_pack *from, const dr_pack_segment *seg, uint32_t entry, dr_error *err)
{
    dr_pack_segment s = *seg;
    const dr_str old_path = dr_pack_old_path(from, seg);
    const int64_t first = dr_pack__end(to);

    s.entry = entry;
    dr_ids_append(&to->ids, from->ids.v + seg->first, (size_t)seg->n);
    const dr_status st = dr_pack__segment(to, s, first, dr_pack_path(from, seg), err);
    if (st == DR_OK)
        dr_buf_add(&to->names, old_path.s, old_path.n);
    return st;
}

dr_status dr_pack__append(dr_pack *to, const dr_pack *piece, uint32_t entry, dr_error *err)
{
    dr_status st = DR_OK;
    for (size_t e = 0; e < piece->n_entries && st == DR_OK; e++) {
        st = dr_pack__entry(to, piece->entries[e].commit, err);
        if (st == DR_OK)
            to->entries[to->n_entries - 1].n = piece->entries[e].n;
    }
    for (size_t i = 0; i < piece->n_segs && st == DR_OK; i++)
        st = dr_pack__append_segment(to, piece, &piece->segs[i], entry, err);
    return st;
}

dr_str dr_pack_path(const dr_pack *p, const dr_pack_segment *s)
{
    return (dr_str){p->names.data ? p->names.data + s->path_at : "", s->path_n};
}

dr_str dr_pack_old_path(const dr_pack *p, const dr_pack_segment *s)
{
    return (dr_str){p->names.data ? p->names.data + s->path_at + s->path_n : "", s->old_path_n};
}

dr_str dr_pack__path_now(const dr_pack *p, size_t at)
{
    dr_str path = dr_pack_path(p, &p->segs[at]);
    for (size_t i = 0; i < p->n_renames; i++) {
        const dr_pack_segment *s = &p->segs[p->renames[i]];
        if (p->renames[i] > at && dr_str_eq(dr_pack_old_path(p, s), path))
            path = dr_pack_path(p, s);
    }
    return path;
}

void dr_pack_text(dr_buf *out, const dr_pack *p, int64_t first, int64_t n)
{
    for (int64_t i = first; i < first + n; i++) {
        const dr_str bytes = dr_tokenizer_bytes(p->tokenizer, p->ids.v[i]);
        dr_buf_add(out, bytes.s, bytes.n);
    }
}

/* What an attempt built is gone; the list of files stays. */
static void reset(dr_pack *p)
{
    dr_ids_free(&p->ids);
    free(p->segs);
    free(p->entries);
    dr_buf_free(&p->names);
    p->segs = NULL;
    p->entries = NULL;
    p->n_segs = p->cap_segs = p->n_entries = p->cap_entries = 0;
    p->n_base = p->n_unshown = p->n_gone = 0;
}

/* ---- full ---- */

/* One c0 that is tried. */
typedef struct attempt {
    dr_maker m;
    dr_repo *opened; /* the snapshot at c0 where it is not the one asked about */
    dr_plan plan;
    dr_pack overlay;
} attempt;

static void attempt_fini(attempt *a)
{
    dr_pack_fini(&a->overlay);
    dr_plan__fini(&a->plan);
    dr_repo_close(a->opened);
    a->opened = NULL;
}

/* Has a file changed that decides how others are read, or with submodules read, one of them moved? */
static dr_status rules_changed(bool *changed, const dr_maker *m, dr_error *err)
{
    static const char *const rules[] = {".gitattributes", ".deepreadignore", ".gitmodules"};
    dr_changes changes = {0};
    const dr_status st = dr_history_changes(&changes, m->history, m->c0, m->head, err);
    const bool submodules = m->opt->reading && m->opt->reading->submodules;

    *changed = false;
    for (size_t i = 0; st == DR_OK && i < changes.n; i++) {
        const dr_change *c = &changes.v[i];
        const dr_str paths[] = {c->path, c->old_path};
        for (size_t k = 0; k < 2; k++)
            for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
                const size_t n = strlen(rules[r]);
                const dr_str p = paths[k];
                *changed |= p.n >= n && memcmp(p.s + p.n - n, rules[r], n) == 0 && (p.n == n || p.s[p.n - n - 1] == '/');
            }
        *changed |= submodules && (c->old_type == DR_TYPE_SUBMODULE || c->new_type == DR_TYPE_SUBMODULE);
    }
    dr_changes_fini(&changes);
    return st;
}

static dr_status open_base(attempt *a, dr_error *err)
{
    const dr_maker *m = &a->m;
    const dr_repo_id *id = dr_repo_identity(m->repo);
    dr_repo_options how = m->opt->reading ? *m->opt->reading : (dr_repo_options){0};

    a->m.base = m->repo;
    if (!*m->c0 || (strcmp(m->c0, m->head) == 0 && !(id->from_disk && id->n_dirty)))
        return DR_OK;
    how.rev = m->c0;
    how.rules_of = m->rules;
    how.store = m->opt->store;
    how.pool = m->opt->pool;
    const dr_status st = dr_repo_open(&a->opened, id->root.s, &how, err);
    a->m.base = a->opened;
    return st;
}

static void reserve(dr_ids *ids, int64_t n)
{
    int32_t *v = n > 0 ? malloc((size_t)n * sizeof *v) : NULL;
    if (v)
        *ids = (dr_ids){.v = v, .cap = (size_t)n};
}

static dr_status let_go(void *arg, const int32_t *ids, size_t n, dr_error *err)
{
    (void)arg, (void)ids, (void)n, (void)err;
    return DR_OK;
}

/* The base's tokens, where no plan in the store says them. */
static dr_status count_base(attempt *a, dr_error *err)
{
    dr_pack counted = {.repo = a->m.repo, .tokenizer = a->m.t};
    dr_pack_options opt = *a->m.opt;
    dr_maker m = a->m;

    opt.sink = let_go;
    m.opt = &opt;
    const dr_status st = dr_pack__base(&counted, &m, &a->plan, err);
    dr_pack_fini(&counted);
    return st;
}

/* Builds everything on a->m.c0. strict: DR_ERR_LIMIT when the rules for a recorded c0 do not hold. */
static dr_status build_on(dr_pack *out, attempt *a, bool strict, dr_error *err)
{
    enum { QUARTER = 4 };
    dr_status st = DR_OK;
    dr_maker *m = &a->m;
    bool changed = false;
    const bool at_head = strcmp(m->c0, m->head) == 0;

    if (!at_head && (st = rules_changed(&changed, m, err)) != DR_OK)
        return st;
    if (changed && strict)
        return dr_fail(err, DR_ERR_LIMIT, "the rules changed since %.12s", m->c0);
    if (changed && m->opt->reading && m->opt->reading->submodules)
        return dr_fail(err, DR_ERR_ARG, "--base %.12s: a submodule or a rules file changed since; leave --base away, or --submodules",
                       m->c0);
    /* What a commit says is the same as what the snapshot says but for a rules file that is changed and not committed: who
     * takes a file out expects it gone at once. */
    m->rules = changed ? NULL : m->repo;
    if ((st = open_base(a, err)) != DR_OK)
        return st;
    st = dr_plan__load(&a->plan, m, err);
    if (st != DR_OK && st != DR_ERR_NOT_FOUND)
        return st;
    if (strict && !a->plan.kept && ((st = dr_plan__make(&a->plan, m, err)) != DR_OK || (st = count_base(a, err)) != DR_OK))
        return st;
    if ((st = dr_pack__overlay(&a->overlay, m, strict ? a->plan.n_tokens / QUARTER : 0, err)) != DR_OK)
        return st;

    dr_ids end = {0};
    st = dr_tokenizer_encode(m->t, &end, DR_STR(closing), false, err);
    const int64_t n_end = (int64_t)end.n, n_overlay = (int64_t)a->overlay.ids.n;
    dr_ids_free(&end);
    if (st != DR_OK)
        return st;
    if (strict && m->budget && n_overlay > m->budget - a->plan.n_tokens - n_end)
        return dr_fail(err, DR_ERR_LIMIT, "the changes since %.12s take %lld tokens", m->c0, (long long)n_overlay);
    if (!a->plan.units && (st = dr_plan__make(&a->plan, m, err)) != DR_OK)
        return st;
    if (a->plan.n_tokens && !m->opt->sink)
        reserve(&out->ids, a->plan.n_tokens + n_overlay + n_end);
    if ((st = dr_pack__base(out, m, &a->plan, err)) != DR_OK)
        return st;
    dr_plan__keep(&a->plan, m);
    const int64_t room = m->budget ? m->budget - out->n_base - n_end : 0;
    if (m->budget && room < 0)
        return dr_fail(err, DR_ERR_LIMIT, "a budget of %lld tokens is too small for this repository's first and last lines",
                       (long long)m->budget);
    if ((st = dr_pack__fit_overlay(out, &a->overlay, m, m->budget ? (room ? room : 1) : 0, err)) != DR_OK)
        return st;
    (void)snprintf(out->base, sizeof out->base, "%s", m->c0);
    return dr_pack__line(out, m, DR_SEG_END, DR_PACK_BASE, DR_STR(""), DR_STR(closing), err);
}

static dr_status find_renames(dr_pack *p, dr_error *err)
{
    for (size_t i = 0; i < p->n_segs; i++)
        p->n_renames += p->segs[i].renamed;
    if (!(p->renames = malloc((p->n_renames ? p->n_renames : 1) * sizeof *p->renames)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0, k = 0; i < p->n_segs; i++)
        if (p->segs[i].renamed)
            p->renames[k++] = i;
    return DR_OK;
}

/* What each file of the snapshot got. */
static void fill_files(dr_pack *p)
{
    for (size_t i = 0; i < p->n_segs; i++) {
        const dr_pack_segment *s = &p->segs[i];
        size_t file;
        if (!s->path_n || !dr_repo_find(p->repo, dr_pack__path_now(p, i), &file))
            continue;
        dr_pack_file *f = &p->files[file];
        f->n_tokens += s->n;
        const dr_pack_how how = s->kind == DR_SEG_FILE || s->kind == DR_SEG_ADDED || s->kind == DR_SEG_DIFF ? DR_HOW_WHOLE
                                : s->kind == DR_SEG_SIGNATURES                                              ? DR_HOW_SIGNATURES
                                                                                                            : f->how;
        /* a diff of a file that is in by its signatures only does not make it whole */
        if (s->kind == DR_SEG_DIFF && f->how != DR_HOW_WHOLE)
            continue;
        f->how = how > f->how ? how : f->how;
    }
    for (size_t i = 0; i < p->n_files; i++) {
        dr_pack_file *f = &p->files[i];
        if (f->how == DR_HOW_OUT && !f->why) {
            f->how = DR_HOW_MAP;
            f->why = "over the budget";
        } else if (f->how == DR_HOW_SIGNATURES)
            f->why = "over the budget: signatures only";
        p->n_in += f->how >= DR_HOW_SIGNATURES;
    }
}

static dr_status build_full(dr_pack *out, const dr_repo *repo, const dr_tokenizer *t, const dr_pack_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_repo_id *id = dr_repo_identity(repo);
    attempt a = {.m = {.repo = repo, .c0 = "", .head = id->commit, .t = t, .tokenizer = dr_tokenizer_digest(t), .opt = opt,
                       .budget = opt->budget / DR_PACK_BORDER * DR_PACK_BORDER}};
    dr_history *history = NULL;
    dr_choice recorded = {0};
    char named[41];
    bool done = false;

    if (opt->budget && opt->budget < DR_PACK_LEAST)
        return dr_fail(err, DR_ERR_ARG, "--budget %lld: a full pack needs at least %d tokens; 0 is no limit",
                       (long long)opt->budget, DR_PACK_LEAST);
    if (opt->base && !*id->commit)
        return dr_fail(err, DR_ERR_NOT_FOUND, "--base %s: there is no commit here", opt->base);
    if (*id->commit && (st = dr_history_open(&history, repo, err)) != DR_OK)
        return st;
    a.m.history = history;
    if (opt->base) {
        a.m.c0 = named;
        if ((st = dr_history_resolve(named, history, opt->base, err)) == DR_OK)
            st = build_on(out, &a, false, err);
        goto done;
    }
    if (*id->commit) {
        dr_choice__load(&recorded, &a.m);
        for (int i = 0; i < 4 && *recorded.c0[i] && !opt->repack && !done; i++) {
            dr_error why = {0}; /* of no interest when the next one will do */
            a.m.c0 = recorded.c0[i];
            st = build_on(out, &a, strcmp(a.m.c0, a.m.head) != 0, &why);
            done = st == DR_OK;
            if (done)
                continue;
            attempt_fini(&a);
            reset(out);
            if (st != DR_ERR_LIMIT && st != DR_ERR_NOT_FOUND && st != DR_ERR_FORMAT) {
                st = dr_fail(err, st, "%s", why.msg);
                goto done;
            }
        }
        a.m.c0 = a.m.head;
    }
    if (!done) {
        st = build_on(out, &a, false, err);
        if (st == DR_OK && *a.m.c0) {
            out->repacked = *recorded.c0[0] && strcmp(recorded.c0[0], a.m.c0) != 0;
            dr_choice__keep(&recorded, &a.m, a.m.c0);
        }
    }
done:
    attempt_fini(&a);
    dr_history_close(history);
    return st;
}

/* ---- all modes ---- */

dr_status dr_pack_build(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                        const dr_pack_options *opt, dr_error *err)
{
    dr_status st = DR_OK;

    *out = (dr_pack){.mode = opt->mode, .n_files = dr_repo_n_files(repo), .repo = repo, .tokenizer = t};
    if (!(out->files = calloc(out->n_files ? out->n_files : 1, sizeof *out->files))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < out->n_files; i++) {
        const dr_repo_file *f = dr_repo_file_at(repo, i);
        if (opt->mode == DR_PACK_NONE)
            out->files[i].why = "the pack is empty";
        else if (!dr_pack__shows(f->cls))
            out->files[i].why = f->why;
    }
    if (opt->mode == DR_PACK_FULL) {
        if ((st = build_full(out, repo, t, opt, err)) == DR_OK && (st = find_renames(out, err)) == DR_OK)
            fill_files(out);
    } else if (opt->mode == DR_PACK_MAP)
        st = dr_pack__build_map(out, repo, symbols, t, opt, err);
    if (st == DR_OK && (out->ids.failed || out->names.failed))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    out->n_tokens = dr_pack__end(out);
    if (st == DR_OK)
        st = dr_pack__hand_over(out, opt, err);
done:
    if (st != DR_OK)
        dr_pack_fini(out);
    return st;
}

dr_status dr_pack_build_diff(dr_pack *out, const dr_repo *repo, const char *from, const char *to, const dr_tokenizer *t,
                             const dr_pack_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    char a[41], b[41];
    dr_buf title = {0};
    dr_maker m = {.repo = repo, .base = repo, .c0 = a, .head = b, .t = t, .tokenizer = dr_tokenizer_digest(t), .opt = opt};

    *out = (dr_pack){.mode = DR_PACK_FULL, .repo = repo, .tokenizer = t};
    if ((st = dr_history_open(&m.history, repo, err)) != DR_OK || (st = dr_history_resolve(a, m.history, from, err)) != DR_OK ||
        (st = dr_history_resolve(b, m.history, to, err)) != DR_OK)
        goto done;
    dr_buf_printf(&title, "changes %.12s to %.12s\n", a, b);
    if (title.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    (void)snprintf(out->base, sizeof out->base, "%s", a);
    if ((st = dr_pack__changes(out, &m, a, b, dr_buf_view(&title), err)) == DR_OK &&
        (st = dr_pack__line(out, &m, DR_SEG_END, DR_PACK_BASE, DR_STR(""), DR_STR(closing), err)) == DR_OK)
        st = find_renames(out, err);
    out->n_tokens = dr_pack__end(out);
    if (st == DR_OK)
        st = dr_pack__hand_over(out, opt, err);
done:
    dr_buf_free(&title);
    dr_history_close(m.history);
    if (st != DR_OK)
        dr_pack_fini(out);
    return st;
}

void dr_pack_fini(dr_pack *p)
{
    reset(p);
    free(p->renames);
    free(p->files);
    *p = (dr_pack){0};
}
