/* app/pack_overlay.c: what changed from c0 to the snapshot: an entry for each commit, then one for the working tree.
 *
 * An entry of a commit never changes, so it is kept in the store as it is:
 *   key    "ovl", format, tokenizer, digest of the base's rules, from, to
 *   value  u32 segments, u32 bytes of names, u32 ids; the segments (SEG_BYTES each), names, ids */
#include "app/pack_parts.h"
#include "app/pack_text.h"
#include "repo/line_diff.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 3, MAX_CHAIN = 4096, BATCH = 256, SUBJECT_BYTES = 100, SEG_BYTES = 72 };

/* ---- one change ---- */

typedef struct delta {
    dr_change_kind kind;
    dr_change_type old_type, new_type;
    dr_pack_side old_side, new_side;
} delta;

typedef struct delta_out {
    dr_ids head, body; /* body empty: a line */
    dr_pack_segment seg;
    bool nothing;
    dr_status st;
} delta_out;

static void line_of(dr_buf *out, const char *verb, dr_str path, const char *rest)
{
    dr_buf_str(out, verb);
    dr_buf_add(out, " ", 1);
    dr_pack_text_name(out, path);
    dr_buf_str(out, rest);
    dr_buf_add(out, "\n", 1);
}

/* Reads one side; class MISSING when the side has no file. */
static dr_status read_side(dr_buf *text, dr_file_class *cls, const dr_pack_side *side, dr_change_type type)
{
    *cls = DR_FILE_MISSING;
    return type == DR_TYPE_FILE ? dr_pack__read(text, cls, side, NULL) : DR_OK;
}

typedef enum shown_as { AS_NOTHING, AS_HUNKS, AS_WHOLE } shown_as;

/* Hunks of what the pack shows of both sides. *as: nothing of the change is shown; or the new text is shorter than the hunks, and
 * then there are no ids either. */
static dr_status diff_body(dr_ids *ids, shown_as *as, const dr_maker *m, dr_str old_text, dr_str new_text)
{
    dr_status st = DR_OK;
    dr_buf a = {0}, b = {0}, body = {0};
    dr_hunks hunks = {0};

    (void)dr_pack_text_cut(&a, old_text);
    (void)dr_pack_text_cut(&b, new_text);
    if (a.failed || b.failed) {
        st = DR_ERR_NOMEM;
        goto done;
    }
    if ((st = dr_line_diff(&hunks, dr_buf_view(&a), dr_buf_view(&b), NULL)) != DR_OK)
        goto done;
    *as = hunks.n == 0 ? AS_NOTHING : AS_HUNKS;
    dr_buf_add(&body, "\n", 1);
    if (!hunks.n || (st = dr_line_diff_print(&body, &hunks, dr_buf_view(&a), dr_buf_view(&b), CONTEXT, NULL)) != DR_OK)
        goto done;
    if (body.n > b.n + 2) {
        *as = AS_WHOLE;
        goto done;
    }
    st = body.failed ? DR_ERR_NOMEM : dr_tokenizer_encode(m->t, ids, dr_buf_view(&body), false, NULL);
done:
    dr_hunks_fini(&hunks);
    dr_buf_free(&body);
    dr_buf_free(&b);
    dr_buf_free(&a);
    return st;
}

/* A path that has text after the change. */
static dr_status show_text(delta_out *o, dr_buf *head, const dr_maker *m, const delta *d, bool was_shown, dr_str old_text,
                           dr_str new_text)
{
    dr_status st = DR_OK;
    shown_as as = AS_WHOLE;
    dr_file_class cls;

    if (was_shown && d->kind == DR_CHANGE_RENAMED) {
        o->seg.renamed = true;
        dr_buf_str(head, "renamed ");
        dr_pack_text_name(head, d->old_side.path);
        dr_buf_str(head, " to ");
        dr_pack_text_name(head, d->new_side.path);
        dr_buf_add(head, "\n", 1);
        return DR_OK;
    }
    if (was_shown) {
        if ((st = diff_body(&o->body, &as, m, old_text, new_text)) != DR_OK)
            return st;
        o->seg.n_lines = dr_text_n_lines(new_text);
        if (as == AS_NOTHING)
            line_of(head, "changed", d->new_side.path, " in what is cut");
        if (as == AS_HUNKS) {
            o->seg.kind = DR_SEG_DIFF;
            dr_pack_text_head(head, "changed", d->new_side.path, o->seg.n_lines);
        }
        if (as != AS_WHOLE)
            return DR_OK;
    }
    if ((st = dr_pack__body(&o->body, &o->seg.n_lines, &cls, m, &d->new_side, NULL)) == DR_OK) {
        o->seg.kind = DR_SEG_ADDED;
        dr_pack_text_head(head, was_shown ? "rewritten" : "added", d->new_side.path, o->seg.n_lines);
    }
    return st;
}

static dr_status show_change(delta_out *o, dr_buf *head, const dr_maker *m, const delta *d)
{
    dr_status st = DR_OK;
    dr_buf old_text = {0}, new_text = {0};
    dr_file_class old_cls, new_cls;

    if (d->new_type == DR_TYPE_LINK || d->new_type == DR_TYPE_SUBMODULE) {
        dr_pack__apart_line(head, d->new_side.repo, d->new_type == DR_TYPE_LINK ? DR_FILE_SYMLINK : DR_FILE_SUBMODULE,
                            d->new_side.path, d->new_side.id, 0);
        return DR_OK;
    }
    if ((st = read_side(&old_text, &old_cls, &d->old_side, d->old_type)) != DR_OK ||
        (st = read_side(&new_text, &new_cls, &d->new_side, d->new_type)) != DR_OK)
        goto done;
    const bool hidden = (d->old_type != DR_TYPE_FILE || old_cls == DR_FILE_IGNORED || old_cls == DR_FILE_REFUSED) &&
                        (d->new_type != DR_TYPE_FILE || new_cls == DR_FILE_IGNORED || new_cls == DR_FILE_REFUSED);
    if (d->new_type == DR_TYPE_FILE && dr_pack__shows(new_cls))
        st = show_text(o, head, m, d, d->old_type == DR_TYPE_FILE && dr_pack__shows(old_cls), dr_buf_view(&old_text),
                       dr_buf_view(&new_text));
    else if (hidden && (d->old_type == DR_TYPE_FILE || d->new_type == DR_TYPE_FILE))
        o->nothing = true;
    else if (d->new_type == DR_TYPE_NONE)
        line_of(head, "deleted", d->old_side.path, "");
    else
        line_of(head, "changed", d->new_side.path, ", not text");
done:
    dr_buf_free(&old_text);
    dr_buf_free(&new_text);
    return st;
}

typedef struct delta_job {
    const dr_maker *m;
    const delta *deltas;
    delta_out *out;
} delta_job;

static void make_deltas(void *arg, int64_t begin, int64_t end, int worker)
{
    const delta_job *j = arg;
    (void)worker;

    for (int64_t i = begin; i < end; i++) {
        const delta *d = &j->deltas[i];
        delta_out *o = &j->out[i];
        dr_buf head = {0};

        *o = (delta_out){.seg = {.kind = DR_SEG_LINE}};
        if (d->new_type != DR_TYPE_NONE)
            memcpy(o->seg.id, d->new_side.id, sizeof o->seg.id);
        if (d->old_type != DR_TYPE_NONE)
            memcpy(o->seg.old_id, d->old_side.id, sizeof o->seg.old_id);
        o->st = show_change(o, &head, j->m, d);
        if (o->st != DR_OK && o->st != DR_ERR_NOMEM) { /* damaged or gone: the pack says so and goes on */
            o->st = DR_OK;
            o->body.n = 0;
            o->seg.kind = DR_SEG_LINE;
            dr_buf_clear(&head);
            line_of(&head, "changed", d->new_type != DR_TYPE_NONE ? d->new_side.path : d->old_side.path, ", not readable");
        }
        if (o->st == DR_OK && head.failed)
            o->st = DR_ERR_NOMEM;
        if (o->st == DR_OK && !o->nothing)
            o->st = dr_tokenizer_encode(j->m->t, &o->head, dr_buf_view(&head), false, NULL);
        dr_buf_free(&head);
    }
}

static dr_status add_deltas(dr_pack *out, const dr_maker *m, const delta *deltas, size_t n, uint32_t entry, dr_error *err)
{
    dr_status st = DR_OK;
    delta_out *made = calloc(BATCH, sizeof *made);

    if (!made)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t at = 0; at < n && st == DR_OK; at += BATCH) {
        const size_t n_batch = n - at < BATCH ? n - at : BATCH;
        delta_job j = {.m = m, .deltas = deltas + at, .out = made};
        dr_pack__run(m->opt->pool, (int64_t)n_batch, make_deltas, &j);
        for (size_t i = 0; i < n_batch; i++) {
            delta_out *o = &made[i];
            const delta *d = &deltas[at + i];
            const int64_t first = dr_pack__end(out);
            if (st == DR_OK && (o->st != DR_OK || o->head.failed || o->body.failed))
                st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
            if (st == DR_OK && !o->nothing) {
                dr_ids_append(&out->ids, o->head.v, o->head.n);
                dr_ids_append(&out->ids, o->body.v, o->body.n);
                o->seg.entry = entry;
                o->seg.n_head = o->seg.kind == DR_SEG_LINE ? 0 : (uint32_t)o->head.n;
                st = dr_pack__segment(out, o->seg, first, d->new_type != DR_TYPE_NONE ? d->new_side.path : d->old_side.path, err);
                if (st == DR_OK && o->seg.renamed) {
                    out->segs[out->n_segs - 1].old_path_n = (uint32_t)d->old_side.path.n;
                    dr_buf_add(&out->names, d->old_side.path.s, d->old_side.path.n);
                }
            }
            dr_ids_free(&o->head);
            dr_ids_free(&o->body);
        }
    }
    free(made);
    return st;
}

/* ---- between commits ---- */

dr_status dr_pack__changes(dr_pack *out, const dr_maker *m, const char *from, const char *to, dr_str title, dr_error *err)
{
    dr_status st = DR_OK;
    dr_changes changes = {0};
    delta *deltas = NULL;
    const uint32_t entry = (uint32_t)out->n_entries;

    if ((st = dr_history_changes(&changes, m->history, from, to, err)) != DR_OK ||
        (st = dr_pack__entry(out, to, err)) != DR_OK ||
        (st = dr_pack__line(out, m, DR_SEG_ENTRY, entry, DR_STR(""), title, err)) != DR_OK)
        goto done;
    if (!(deltas = calloc(changes.n ? changes.n : 1, sizeof *deltas))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < changes.n; i++) {
        const dr_change *c = &changes.v[i];
        deltas[i] = (delta){.kind = c->kind, .old_type = c->old_type, .new_type = c->new_type,
                            .old_side = {m->base, SIZE_MAX, c->old_path, c->old_id},
                            .new_side = {m->base, SIZE_MAX, c->path, c->new_id}};
    }
    if ((st = add_deltas(out, m, deltas, changes.n, entry, err)) == DR_OK && changes.incomplete)
        st = dr_pack__line(out, m, DR_SEG_LINE, entry, DR_STR(""), DR_STR("and changes that could not be read\n"), err);
    out->entries[entry].n = (int64_t)out->ids.n - out->entries[entry].first;
done:
    free(deltas);
    dr_changes_fini(&changes);
    return st;
}

/* "commit C SUBJECT\n" */
static dr_status commit_title(dr_buf *out, const dr_maker *m, const char *commit, dr_error *err)
{
    dr_status st = DR_OK;
    dr_commit_info info = {0};
    dr_secrets secrets = {0};
    dr_buf masked = {0};

    if ((st = dr_history_commit(&info, m->history, commit, err)) != DR_OK)
        return st;
    const dr_str subject = dr_str_of(info.subject);
    if ((st = dr_secrets_scan(&secrets, subject, m->opt->reading ? m->opt->reading->allow : NULL, err)) == DR_OK &&
        (st = dr_secrets_mask(&masked, subject, &secrets, err)) == DR_OK) {
        dr_buf_str(out, "commit ");
        dr_pack_text_commit(out, commit);
        if (masked.n) {
            dr_buf_add(out, " ", 1);
            dr_text_excerpt(out, dr_buf_view(&masked), SUBJECT_BYTES);
        }
        dr_buf_add(out, "\n", 1);
        if (out->failed)
            st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    dr_buf_free(&masked);
    dr_secrets_fini(&secrets);
    return st;
}

/* ---- kept entries ---- */

static void make_key(dr_buf *key, const dr_maker *m, const char *from, const char *to)
{
    dr_digest rules;
    dr_repo_rules_digest(&rules, m->base);
    dr_buf_printf(key, "ovl%d", DR_PACK_FORMAT);
    dr_buf_add(key, m->tokenizer.b, sizeof m->tokenizer.b);
    dr_buf_add(key, rules.b, sizeof rules.b);
    dr_buf_str(key, from);
    dr_buf_str(key, to);
}

static void add_u32(dr_buf *b, uint32_t v)
{
    uint8_t word[4];
    dr_store_u32(word, v);
    dr_buf_add(b, word, sizeof word);
}

static void keep_entry(const dr_pack *piece, const dr_maker *m, dr_cspan key)
{
    dr_buf value = {0};

    add_u32(&value, (uint32_t)piece->n_segs);
    add_u32(&value, (uint32_t)piece->names.n);
    add_u32(&value, (uint32_t)piece->ids.n);
    for (size_t i = 0; i < piece->n_segs; i++) {
        const dr_pack_segment *s = &piece->segs[i];
        const uint32_t fields[] = {(uint32_t)s->first, (uint32_t)s->n, s->path_at, s->path_n, s->old_path_n, s->n_head,
                                   s->n_lines, (uint32_t)s->kind | (s->renamed ? 256u : 0u)};
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            add_u32(&value, fields[k]);
        dr_buf_add(&value, s->id, sizeof s->id);
        dr_buf_add(&value, s->old_id, sizeof s->old_id);
    }
    dr_buf_add(&value, piece->names.data, piece->names.n);
    for (size_t i = 0; i < piece->ids.n; i++)
        add_u32(&value, (uint32_t)piece->ids.v[i]);
    if (!value.failed)
        (void)m->opt->store->put(m->opt->store->self, key, (dr_cspan){(const uint8_t *)value.data, value.n}, NULL);
    dr_buf_free(&value);
}

/* False: not kept, or not what this program writes. */
static bool load_entry(dr_pack *piece, const dr_maker *m, const char *commit, dr_cspan key, dr_error *err)
{
    bool good = false;
    dr_buf value = {0};
    int64_t at = 0;

    if (m->opt->store->get(m->opt->store->self, &value, key, NULL) != DR_OK || value.n < 12)
        goto done;
    const size_t n_segs = dr_load_u32(value.data), n_names = dr_load_u32(value.data + 4), n_ids = dr_load_u32(value.data + 8);
    if (value.n != 12 + n_segs * SEG_BYTES + n_names + 4 * n_ids || dr_pack__entry(piece, commit, err) != DR_OK)
        goto done;
    const char *p = value.data + 12, *names = p + n_segs * SEG_BYTES, *ids = names + n_names;
    for (size_t i = 0; i < n_ids; i++)
        dr_ids_add(&piece->ids, (int32_t)dr_load_u32(ids + 4 * i));
    dr_buf_add(&piece->names, names, n_names);
    if (piece->ids.failed || piece->names.failed || !(piece->segs = calloc(n_segs ? n_segs : 1, sizeof *piece->segs)))
        goto done;
    piece->cap_segs = n_segs ? n_segs : 1;
    for (size_t i = 0; i < n_segs; i++, p += SEG_BYTES) {
        dr_pack_segment *s = &piece->segs[piece->n_segs++];
        const uint32_t kind = dr_load_u32(p + 28);
        *s = (dr_pack_segment){.first = dr_load_u32(p), .n = dr_load_u32(p + 4), .path_at = dr_load_u32(p + 8),
                               .path_n = dr_load_u32(p + 12), .old_path_n = dr_load_u32(p + 16), .n_head = dr_load_u32(p + 20),
                               .n_lines = dr_load_u32(p + 24), .kind = (uint8_t)kind, .renamed = (kind & 256u) != 0};
        memcpy(s->id, p + 32, sizeof s->id);
        memcpy(s->old_id, p + 52, sizeof s->old_id);
        if (s->first != at || (uint64_t)s->path_at + s->path_n + s->old_path_n > n_names || s->kind >= DR_N_SEG_KINDS ||
            s->n_head > s->n)
            goto done;
        at += s->n;
    }
    good = at == (int64_t)n_ids;
    piece->entries[0].n = at;
done:
    dr_buf_free(&value);
    return good;
}

/* One commit of the chain, from the store or made. */
static dr_status commit_entry(dr_pack *out, const dr_maker *m, const char *from, const char *to, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf key = {0}, title = {0};
    dr_pack piece = {0};

    make_key(&key, m, from, to);
    const dr_cspan k = {(const uint8_t *)key.data, key.n};
    if (key.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if (!m->opt->store || !load_entry(&piece, m, to, k, err)) {
        dr_pack_fini(&piece);
        if ((st = commit_title(&title, m, to, err)) != DR_OK ||
            (st = dr_pack__changes(&piece, m, from, to, dr_buf_view(&title), err)) != DR_OK)
            goto done;
        if (m->opt->store)
            keep_entry(&piece, m, k);
    }
    st = dr_pack__append(out, &piece, (uint32_t)out->n_entries, err);
done:
    dr_pack_fini(&piece);
    dr_buf_free(&title);
    dr_buf_free(&key);
    return st;
}

/* ---- the working tree ---- */

static dr_change_type type_of(const dr_repo_file *f)
{
    return f->cls == DR_FILE_SYMLINK ? DR_TYPE_LINK : f->cls == DR_FILE_SUBMODULE ? DR_TYPE_SUBMODULE : DR_TYPE_FILE;
}

/* Two lists in path order, walked side by side. */
static size_t compare(delta *out, const dr_repo *old_repo, const dr_repo *new_repo)
{
    const size_t n_old = dr_repo_n_files(old_repo), n_new = dr_repo_n_files(new_repo);
    size_t a = 0, b = 0, n = 0;

    while (a < n_old || b < n_new) {
        const dr_repo_file *x = a < n_old ? dr_repo_file_at(old_repo, a) : NULL;
        const dr_repo_file *y = b < n_new ? dr_repo_file_at(new_repo, b) : NULL;
        const int c = !x ? 1 : !y ? -1 : dr_str_cmp(x->path, y->path);
        delta d = {.kind = c < 0 ? DR_CHANGE_DELETED : c > 0 ? DR_CHANGE_ADDED : DR_CHANGE_MODIFIED};
        if (c <= 0) {
            d.old_type = type_of(x);
            d.old_side = (dr_pack_side){old_repo, a++, x->path, x->id};
        }
        if (c >= 0) {
            d.new_type = type_of(y);
            d.new_side = (dr_pack_side){new_repo, b++, y->path, y->id};
        }
        const dr_repo_file *f = c <= 0 ? x : y;
        if (f->cls == DR_FILE_REFUSED || (c == 0 && d.old_type == d.new_type && memcmp(x->id, y->id, sizeof x->id) == 0))
            continue;
        out[n++] = d;
    }
    return n;
}

static dr_str last_name(dr_str path)
{
    const char *slash = memrchr(path.s, '/', path.n);
    return slash ? (dr_str){slash + 1, path.n - (size_t)(slash + 1 - path.s)} : path;
}

static int by_old_id(const void *a, const void *b)
{
    const delta *x = *(delta *const *)a, *y = *(delta *const *)b;
    const int c = memcmp(x->old_side.id, y->old_side.id, 20);
    return c ? c : dr_str_cmp(x->old_side.path, y->old_side.path);
}

/* Something deleted with the same content and type: with the same last name, if asked. NULL: none is left. */
static delta *find_origin(delta *const *gone, size_t n_gone, const delta *d, bool same_name)
{
    size_t low = 0, high = n_gone;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (memcmp(gone[mid]->old_side.id, d->new_side.id, 20) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < n_gone && memcmp(gone[low]->old_side.id, d->new_side.id, 20) == 0; low++)
        if (gone[low]->kind == DR_CHANGE_DELETED && gone[low]->old_type == d->new_type &&
            (!same_name || dr_str_eq(last_name(gone[low]->old_side.path), last_name(d->new_side.path))))
            return gone[low];
    return NULL;
}

/* Pairs what is gone with what is new as dr_history_changes does between commits. Returns how many changes are left. */
static size_t pair_renames(delta *deltas, size_t n, dr_status *st, dr_error *err)
{
    static const uint8_t none[20]; /* of what is not hashed */
    delta **gone = malloc((n ? n : 1) * sizeof *gone);
    size_t n_gone = 0, n_left = 0;

    if (!gone) {
        *st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        return n;
    }
    for (size_t i = 0; i < n; i++)
        if (deltas[i].kind == DR_CHANGE_DELETED && deltas[i].old_type == DR_TYPE_FILE &&
            memcmp(deltas[i].old_side.id, none, sizeof none) != 0)
            gone[n_gone++] = &deltas[i];
    if (n_gone)
        qsort(gone, n_gone, sizeof *gone, by_old_id);
    for (int same_name = 1; same_name >= 0 && n_gone; same_name--)
        for (size_t i = 0; i < n; i++) {
            delta *d = &deltas[i], *from = NULL;
            if (d->kind != DR_CHANGE_ADDED || !(from = find_origin(gone, n_gone, d, same_name)))
                continue;
            d->kind = DR_CHANGE_RENAMED;
            d->old_type = from->old_type;
            d->old_side = from->old_side;
            from->kind = DR_CHANGE_RENAMED;
            from->new_type = DR_TYPE_NONE; /* and so it is known from the other half */
        }
    for (size_t i = 0; i < n; i++)
        if (deltas[i].kind != DR_CHANGE_RENAMED || deltas[i].new_type != DR_TYPE_NONE)
            deltas[n_left++] = deltas[i];
    free(gone);
    return n_left;
}

static dr_status working_tree(dr_pack *out, const dr_maker *m, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_repo *head = m->base;
    dr_repo *opened = NULL;
    delta *deltas = NULL;
    const uint32_t entry = (uint32_t)out->n_entries;
    const size_t n_segs = out->n_segs;

    if (strcmp(m->c0, m->head) != 0) {
        dr_repo_options how = m->opt->reading ? *m->opt->reading : (dr_repo_options){0};
        how.rev = m->head;
        how.rules_of = m->rules;
        if ((st = dr_repo_open(&opened, dr_repo_identity(m->repo)->root.s, &how, err)) != DR_OK)
            return st;
        head = opened;
    }
    if (!(deltas = calloc(dr_repo_n_files(head) + dr_repo_n_files(m->repo) + 1, sizeof *deltas))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    const size_t n = pair_renames(deltas, compare(deltas, head, m->repo), &st, err);
    if (st != DR_OK || n == 0)
        goto done;
    if ((st = dr_pack__entry(out, "", err)) != DR_OK ||
        (st = dr_pack__line(out, m, DR_SEG_ENTRY, entry, DR_STR(""), DR_STR("working tree\n"), err)) != DR_OK ||
        (st = add_deltas(out, m, deltas, n, entry, err)) != DR_OK)
        goto done;
    if (out->n_segs == n_segs + 1) { /* nothing of it is shown: as if nothing had changed */
        out->ids.n = (size_t)out->entries[entry].first;
        out->n_segs--;
        out->n_entries--;
        goto done;
    }
    out->entries[entry].n = (int64_t)out->ids.n - out->entries[entry].first;
done:
    free(deltas);
    dr_repo_close(opened);
    return st;
}

/* ---- the overlay ---- */

dr_status dr_pack__overlay(dr_pack *out, const dr_maker *m, int64_t most, dr_error *err)
{
    dr_status st = DR_OK;
    dr_chain chain = {0};
    dr_buf title = {0};

    if (!*m->c0)
        return DR_OK;
    if (strcmp(m->c0, m->head) != 0) {
        if ((st = dr_history_chain(&chain, m->history, m->c0, m->head, MAX_CHAIN, err)) != DR_OK)
            goto done;
        for (size_t i = 0; i < chain.n && st == DR_OK; i++) {
            st = commit_entry(out, m, i ? chain.commits[i - 1] : m->c0, chain.commits[i], err);
            if (st == DR_OK && most && (int64_t)out->ids.n > most)
                st = dr_fail(err, DR_ERR_LIMIT, "the changes since %.12s take more than %lld tokens", m->c0, (long long)most);
        }
        if (st == DR_OK && !chain.found) {
            dr_buf_printf(&title, "changes %.12s to %.12s\n", m->c0, m->head);
            st = title.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory")
                              : dr_pack__changes(out, m, m->c0, m->head, dr_buf_view(&title), err);
        }
        if (st != DR_OK)
            goto done;
    }
    const dr_repo_id *id = dr_repo_identity(m->repo);
    if (id->from_disk && id->n_dirty)
        st = working_tree(out, m, err);
    if (st == DR_OK && most && (int64_t)out->ids.n > most)
        st = dr_fail(err, DR_ERR_LIMIT, "the changes since %.12s take more than %lld tokens", m->c0, (long long)most);
done:
    dr_buf_free(&title);
    dr_chain_fini(&chain);
    return st;
}

/* ---- under a budget ---- */

dr_status dr_pack__fit_overlay(dr_pack *out, const dr_pack *overlay, const dr_maker *m, int64_t room, dr_error *err)
{
    enum { LAST_LINE = 24 };
    dr_status st = DR_OK;
    dr_buf line = {0};
    int64_t n_more = 0;

    if (!room || (int64_t)overlay->ids.n <= room) {
        for (size_t e = 0; e < overlay->n_entries && st == DR_OK; e++)
            st = dr_pack__entry(out, overlay->entries[e].commit, err);
        for (size_t i = 0; i < overlay->n_segs && st == DR_OK; i++)
            st = dr_pack__append_segment(out, overlay, &overlay->segs[i], overlay->segs[i].entry, err);
        goto done;
    }
    int64_t left = room - LAST_LINE;
    const int64_t for_lines = room / 4; /* so that one large change does not hide the names of all that follow */
    for (size_t i = 0; i < overlay->n_segs && st == DR_OK; i++) {
        const dr_pack_segment *s = &overlay->segs[i];
        const bool last = i + 1 == overlay->n_segs, short_one = s->kind == DR_SEG_LINE || s->kind == DR_SEG_ENTRY;
        const size_t before = out->ids.n;
        while (out->n_entries <= s->entry && st == DR_OK)
            st = dr_pack__entry(out, overlay->entries[out->n_entries].commit, err);
        if (st != DR_OK)
            break;
        if (s->n <= left - (last || short_one ? 0 : for_lines)) {
            st = dr_pack__append_segment(out, overlay, s, s->entry, err);
        } else if (s->kind != DR_SEG_ENTRY) {
            dr_ids ids = {0};
            dr_buf_clear(&line);
            line_of(&line, "changed", dr_pack_path(overlay, s), ", not shown");
            st = line.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory")
                             : dr_tokenizer_encode(m->t, &ids, dr_buf_view(&line), false, err);
            out->n_unshown++;
            if ((int64_t)ids.n > left)
                n_more++;
            else if (st == DR_OK)
                st = dr_pack__line(out, m, DR_SEG_LINE, s->entry, dr_pack_path(overlay, s), dr_buf_view(&line), err);
            dr_ids_free(&ids);
        }
        left -= (int64_t)(out->ids.n - before);
    }
    if (st == DR_OK && n_more) {
        dr_buf_clear(&line);
        dr_buf_printf(&line, "and %lld more files changed, not shown\n", (long long)n_more);
        st = dr_pack__line(out, m, DR_SEG_LINE, (uint32_t)overlay->n_entries - 1, DR_STR(""), dr_buf_view(&line), err);
    }
done:
    for (size_t i = 0; i < out->n_segs && st == DR_OK; i++) {
        const dr_pack_segment *s = &out->segs[i];
        if (s->entry >= out->n_entries)
            continue;
        dr_pack_entry *e = &out->entries[s->entry];
        e->first = e->n ? e->first : s->first;
        e->n = s->first + s->n - e->first;
    }
    dr_buf_free(&line);
    return st;
}
