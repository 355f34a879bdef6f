#include "app/provenance.h"

#include "app/pack_parts.h"
#include "app/pack_text.h"
#include "repo/line_diff.h"

#include <stdlib.h>
#include <string.h>

/* ---- a segment's text, line by line ---- */

typedef struct seg_text {
    dr_buf text;
    size_t body;  /* where its first line starts: after the head and a newline */
} seg_text;

static dr_status open_text(seg_text *t, const dr_pack *p, const dr_pack_segment *s, dr_error *err)
{
    *t = (seg_text){0};
    dr_pack_text(&t->text, p, s->first, s->n_head);
    t->body = t->text.n + 1;
    dr_pack_text(&t->text, p, s->first + s->n_head, s->n - s->n_head);
    return t->text.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}

typedef struct seg_line {
    size_t at, n;    /* bytes of the segment's text, newline included */
    uint32_t line;   /* of the version shown; 0: a notice or a hunk's head */
    bool gone;       /* line of the old side */
} seg_line;

typedef struct line_walk {
    const seg_text *t;
    const dr_pack_segment *s;
    size_t at;
    uint32_t old_line, new_line; /* the next ones */
} line_walk;

static line_walk walk_lines(const seg_text *t, const dr_pack_segment *s)
{
    return (line_walk){.t = t, .s = s, .at = t->body, .old_line = 1, .new_line = 1};
}

/* A number at *p, moving on; 0 when there is none. */
static uint32_t number(const char **p, const char *end)
{
    uint32_t v = 0;
    while (*p < end && **p >= '0' && **p <= '9')
        v = v * 10 + (uint32_t)(*(*p)++ - '0');
    return v;
}

static void number_diff_line(seg_line *out, line_walk *w, const char *line, const char *end)
{
    const char *p;
    switch (*line) {
    case '@': /* "@@ -a,b +c,d @@": a count of 0 names the line before */
        p = line + 4;
        w->old_line = number(&p, end);
        p++;
        w->old_line += number(&p, end) == 0;
        p += 2;
        w->new_line = number(&p, end);
        p++;
        w->new_line += number(&p, end) == 0;
        break;
    case ' ':
        w->old_line++;
        out->line = w->new_line++;
        break;
    case '-':
        out->gone = true;
        out->line = w->old_line++;
        break;
    case '+': out->line = w->new_line++; break;
    default: break; /* "\ No newline at end of file" */
    }
}

/* False: no more lines. */
static bool next_line(seg_line *out, line_walk *w)
{
    const dr_buf *b = &w->t->text;
    if (w->at >= b->n)
        return false;
    const char *line = b->data + w->at, *end = b->data + b->n;
    const char *nl = memchr(line, '\n', (size_t)(end - line));
    *out = (seg_line){.at = w->at, .n = (size_t)((nl ? nl + 1 : end) - line)};
    w->at += out->n;
    switch ((dr_seg_kind)w->s->kind) {
    case DR_SEG_FILE:
    case DR_SEG_ADDED:
        /* the notice in place of the rest stands where a line would */
        if (w->at < b->n || w->new_line > w->s->n_lines || b->n < DR_PACK_TEXT_BYTES / 2 || out->n < 6 ||
            memcmp(line, "[cut: ", 6) != 0)
            out->line = w->new_line++;
        break;
    case DR_SEG_SIGNATURES: {
        const char *p = line;
        out->line = number(&p, end);
        break;
    }
    case DR_SEG_DIFF: number_diff_line(out, w, line, end); break;
    default: break;
    }
    return true;
}

static bool has_lines(const dr_pack_segment *s)
{
    return s->kind == DR_SEG_FILE || s->kind == DR_SEG_ADDED || s->kind == DR_SEG_SIGNATURES || s->kind == DR_SEG_DIFF;
}

/* ---- versions ---- */

/* The shown text of a version of a file of the snapshot. *there false: it cannot be read. */
static dr_status version_text(dr_buf *text, bool *there, const dr_pack *p, const uint8_t id[20], dr_str path, size_t file,
                              dr_error *err)
{
    const dr_repo_file *f = file == DR_SYM_NONE ? NULL : dr_repo_file_at(p->repo, file);
    dr_file_class cls = DR_FILE_MISSING;
    dr_status st;

    if (f && memcmp(f->id, id, 20) == 0) {
        cls = f->cls;
        st = dr_pack__shows(cls) ? dr_repo_read(p->repo, file, text, err) : DR_OK;
    } else
        st = dr_repo_read_blob(p->repo, id, path, text, &cls, err);
    *there = st == DR_OK && dr_pack__shows(cls);
    return st == DR_ERR_NOMEM ? st : DR_OK;
}

/* Maps a line from one version to another. *to 0: one of them cannot be read. */
static dr_status map_line(uint32_t *to, bool *same, const dr_pack *p, const uint8_t from_id[20], dr_str from_path,
                          const uint8_t to_id[20], dr_str to_path, size_t file, uint32_t line, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf a = {0}, b = {0};
    dr_hunks hunks = {0};
    bool there = false;

    *to = line;
    *same = true;
    if (memcmp(from_id, to_id, 20) == 0)
        return DR_OK;
    *to = 0;
    *same = false;
    if ((st = version_text(&a, &there, p, from_id, from_path, file, err)) != DR_OK || !there ||
        (st = version_text(&b, &there, p, to_id, to_path, file, err)) != DR_OK || !there ||
        (st = dr_line_diff(&hunks, dr_buf_view(&a), dr_buf_view(&b), err)) != DR_OK)
        goto done;
    *same = dr_line_map(to, &hunks, line);
done:
    dr_hunks_fini(&hunks);
    dr_buf_free(&b);
    dr_buf_free(&a);
    return st;
}

/* ---- token to place ---- */

static const dr_pack_segment *segment_of(const dr_pack *p, int64_t token)
{
    size_t lo = 0, hi = p->n_segs;
    while (hi - lo > 1) {
        const size_t mid = lo + (hi - lo) / 2;
        if (p->segs[mid].first <= token)
            lo = mid;
        else
            hi = mid;
    }
    return &p->segs[lo];
}

dr_status dr_pack_locate(dr_pack_place *out, const dr_pack *p, int64_t token, dr_error *err)
{
    dr_status st = DR_OK;
    seg_text t = {0};
    seg_line line;
    size_t file = DR_SYM_NONE;

    *out = (dr_pack_place){.file = DR_SYM_NONE};
    if (token < 0 || token >= (int64_t)p->ids.n || !p->n_segs)
        return dr_fail(err, DR_ERR_ARG, "token %lld of a pack of %zu", (long long)token, p->ids.n);
    const dr_pack_segment *s = segment_of(p, token);
    out->seg = s;
    out->path = dr_pack_path(p, s);
    if (s->path_n && dr_repo_find(p->repo, dr_pack__path_now(p, (size_t)(s - p->segs)), &file))
        out->file = (uint32_t)file;
    if (!has_lines(s) || token < s->first + s->n_head)
        return DR_OK;
    if ((st = open_text(&t, p, s, err)) != DR_OK)
        goto done;

    size_t at = 0;
    for (int64_t i = s->first; i < token; i++)
        at += dr_tokenizer_bytes(p->tokenizer, p->ids.v[i]).n;
    const size_t end = at + dr_tokenizer_bytes(p->tokenizer, p->ids.v[token]).n;
    line_walk w = walk_lines(&t, s);
    while (next_line(&line, &w) && line.at < end) {
        if (line.at + line.n <= at || !line.line || (out->line && out->gone != line.gone))
            continue;
        if (!out->line)
            out->line = line.line;
        out->end = line.line;
        out->gone = line.gone;
    }
    if (out->line && out->file != DR_SYM_NONE) {
        const dr_repo_file *f = dr_repo_file_at(p->repo, out->file);
        const uint8_t *id = out->gone ? s->old_id : s->id;
        if (dr_pack__shows(f->cls))
            st = map_line(&out->now, &out->same, p, id, out->path, f->id, f->path, out->file, out->line, err);
    }
done:
    dr_buf_free(&t.text);
    return st;
}

/* ---- line to tokens ---- */

void dr_pack_ranges_fini(dr_pack_ranges *r)
{
    free(r->v);
    *r = (dr_pack_ranges){0};
}

static dr_status add_range(dr_pack_ranges *out, dr_pack_range r, dr_error *err)
{
    dr_pack_range *grown = realloc(out->v, (out->n + 1) * sizeof *grown);
    if (!grown)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    out->v = grown;
    out->v[out->n++] = r;
    return DR_OK;
}

/* The tokens of a segment that have a byte of [at, at + n). */
static dr_pack_range tokens_of(const dr_pack *p, const dr_pack_segment *s, const seg_line *line)
{
    dr_pack_range r = {.first = -1, .seg = s, .line = line->line};
    size_t at = 0;
    for (int64_t i = s->first; i < s->first + s->n && at < line->at + line->n; i++) {
        at += dr_tokenizer_bytes(p->tokenizer, p->ids.v[i]).n;
        if (at <= line->at)
            continue;
        r.first = r.first < 0 ? i : r.first;
        r.n = i + 1 - r.first;
    }
    return r;
}

dr_status dr_pack_find(dr_pack_ranges *out, const dr_pack *p, uint32_t file, uint32_t line, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_repo_file *f = dr_repo_file_at(p->repo, file);

    dr_pack_ranges_fini(out);
    for (size_t i = 0; i < p->n_segs && st == DR_OK; i++) {
        const dr_pack_segment *s = &p->segs[i];
        seg_text t = {0};
        seg_line l;
        uint32_t there = 0;
        bool same = false;

        if (!has_lines(s) || !dr_str_eq(dr_pack__path_now(p, i), f->path))
            continue;
        st = map_line(&there, &same, p, f->id, f->path, s->id, dr_pack_path(p, s), file, line, err);
        if (st != DR_OK || !same || (st = open_text(&t, p, s, err)) != DR_OK) {
            dr_buf_free(&t.text);
            continue;
        }
        line_walk w = walk_lines(&t, s);
        while (next_line(&l, &w) && st == DR_OK)
            if (l.line == there && !l.gone)
                st = add_range(out, tokens_of(p, s, &l), err);
        dr_buf_free(&t.text);
    }
    return st;
}
