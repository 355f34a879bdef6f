#include "app/pack_view.h"

#include "app/pack_parts.h"
#include "repo/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dr_pack_how_name(dr_pack_how how)
{
    static const char *const names[] = {"out", "map", "signatures", "whole"};
    return names[how];
}

/* A name that is safe to print; a refused one may be any bytes. */
static void print_name(dr_str name)
{
    dr_buf shown = {0};
    dr_text_show(&shown, name, 0);
    fputs(shown.data ? shown.data : "", stdout);
    dr_buf_free(&shown);
}

/* ---- the tree ---- */

typedef struct node {
    size_t begin, end; /* files in path order: all below one folder are neighbours */
    size_t n_prefix;   /* bytes of its path, slash included; 0 for the root */
    int64_t n_tokens;
    int64_t n_in;
} node;

typedef struct tree {
    const dr_output *out;
    const dr_pack *p;
    int64_t least; /* tokens of a folder that is listed */
    size_t n_hidden;
} tree;

static node sum(const dr_pack *p, size_t begin, size_t end, size_t n_prefix)
{
    node n = {.begin = begin, .end = end, .n_prefix = n_prefix};
    for (size_t i = begin; i < end; i++) {
        n.n_tokens += p->files[i].n_tokens;
        n.n_in += p->files[i].how != DR_HOW_OUT && (p->files[i].how != DR_HOW_MAP || p->mode == DR_PACK_MAP);
    }
    return n;
}

static int by_tokens(const void *a, const void *b)
{
    const node *x = a, *y = b;
    if (x->n_tokens != y->n_tokens)
        return x->n_tokens < y->n_tokens ? 1 : -1;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static void print_line(const tree *t, const node *n, int depth, dr_str name, bool folder, const char *remark)
{
    char a[28], b[28];
    printf("%12s  %8s  %*s", n->n_tokens ? dr_output_count(a, n->n_tokens) : "-", folder ? dr_output_count(b, n->n_in) : "",
           2 * depth, "");
    print_name(name);
    printf("%s%s%s%s\n", *remark ? "  " : "", dr_output_dim(t->out), remark, dr_output_plain(t->out));
}

static void print_files(const tree *t, const node *folder, int depth)
{
    for (size_t i = folder->begin; i < folder->end; i++) {
        const dr_str path = dr_repo_file_at(t->p->repo, i)->path;
        const dr_str rest = {path.s + folder->n_prefix, path.n - folder->n_prefix};
        const dr_pack_file *f = &t->p->files[i];
        const node leaf = {.n_tokens = f->n_tokens};
        if (!memchr(rest.s, '/', rest.n))
            print_line(t, &leaf, depth, rest, false, f->why ? f->why : "");
    }
}

static dr_status print_folder(tree *t, const node *folder, int depth, dr_error *err)
{
    dr_status st = DR_OK;
    node *below = NULL;
    size_t n = 0, cap = 0;

    for (size_t i = folder->begin; i < folder->end;) {
        const dr_str path = dr_repo_file_at(t->p->repo, i)->path;
        const char *slash = memchr(path.s + folder->n_prefix, '/', path.n - folder->n_prefix);
        if (!slash) {
            i++;
            continue;
        }
        const size_t prefix = (size_t)(slash + 1 - path.s);
        size_t end = i + 1;
        while (end < folder->end) {
            const dr_str other = dr_repo_file_at(t->p->repo, end)->path;
            if (other.n < prefix || memcmp(other.s, path.s, prefix) != 0)
                break;
            end++;
        }
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            node *grown = realloc(below, cap * sizeof *grown);
            if (!grown) {
                st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
                goto done;
            }
            below = grown;
        }
        below[n++] = sum(t->p, i, end, prefix);
        i = end;
    }
    if (n)
        qsort(below, n, sizeof *below, by_tokens);
    for (size_t k = 0; k < n && st == DR_OK; k++) {
        const dr_str path = dr_repo_file_at(t->p->repo, below[k].begin)->path;
        if (below[k].n_tokens < t->least) {
            t->n_hidden++;
            continue;
        }
        print_line(t, &below[k], depth, (dr_str){path.s + folder->n_prefix, below[k].n_prefix - folder->n_prefix}, true, "");
        st = print_folder(t, &below[k], depth + 1, err);
    }
    if (t->out->verbose)
        print_files(t, folder, depth);
done:
    free(below);
    return st;
}

/* ---- the rest ---- */

static void print_largest(const dr_output *out, const dr_pack *p)
{
    enum { LARGEST = 10 };
    size_t top[LARGEST], n = 0;
    char a[28];

    for (size_t i = 0; i < p->n_files; i++) {
        size_t at = n < LARGEST ? n++ : LARGEST;
        for (; at > 0 && p->files[top[at - 1]].n_tokens < p->files[i].n_tokens; at--)
            if (at < LARGEST)
                top[at] = top[at - 1];
        if (at < LARGEST)
            top[at] = i;
    }
    printf("\n%slargest files%s\n", dr_output_strong(out), dr_output_plain(out));
    for (size_t i = 0; i < n && p->files[top[i]].n_tokens; i++) {
        printf("%12s  %8s  ", dr_output_count(a, p->files[top[i]].n_tokens), "");
        print_name(dr_repo_file_at(p->repo, top[i])->path);
        putchar('\n');
    }
}

static void print_left_out(const dr_output *out, const dr_pack *p)
{
    enum { REASONS = 64 };
    const char *reasons[REASONS];
    int64_t counts[REASONS];
    int n = 0;
    char a[28];

    for (size_t i = 0; i < p->n_files; i++) {
        if (!p->files[i].why)
            continue;
        int r = 0;
        while (r < n && strcmp(reasons[r], p->files[i].why) != 0)
            r++;
        if (r == REASONS)
            continue;
        if (r == n) {
            reasons[n] = p->files[i].why;
            counts[n++] = 0;
        }
        counts[r]++;
    }
    if (n)
        printf("\n%snot in whole%s\n", dr_output_strong(out), dr_output_plain(out));
    for (int r = 0; r < n; r++)
        printf("%12s  %8s  %s\n", dr_output_count(a, counts[r]), counts[r] == 1 ? "file" : "files", reasons[r]);
}

static int64_t count_secrets(const dr_pack *p, int64_t *n_files)
{
    int64_t n = 0;
    *n_files = 0;
    for (size_t i = 0; i < p->n_files; i++) {
        n += dr_repo_file_at(p->repo, i)->n_secrets;
        *n_files += dr_repo_file_at(p->repo, i)->n_secrets != 0;
    }
    return n;
}

static int64_t n_commits(const dr_pack *p)
{
    int64_t n = 0;
    for (size_t i = 0; i < p->n_entries; i++)
        n += *p->entries[i].commit != 0;
    return n;
}

dr_status dr_pack_view(const dr_output *out, const dr_pack *p, dr_error *err)
{
    dr_status st = DR_OK;
    char a[28], b[28], c[28];
    const node root = sum(p, 0, p->n_files, 0);
    tree t = {.out = out, .p = p, .least = out->verbose ? 0 : root.n_tokens / 100 + 1};

    printf("%s%12s  %8s  folder%s\n", dr_output_strong(out), "tokens", "files", dr_output_plain(out));
    print_line(&t, &root, 0, DR_STR("./"), true, "");
    if ((st = print_folder(&t, &root, 1, err)) != DR_OK)
        return st;
    if (t.n_hidden)
        printf("%12s  %8s    %sand %zu smaller folder%s (--verbose lists everything)%s\n", "", "", dr_output_dim(out), t.n_hidden,
               dr_output_s((int64_t)t.n_hidden), dr_output_plain(out));
    if (!out->verbose)
        print_largest(out, p);
    print_left_out(out, p);

    int64_t n_secret_files;
    const int64_t n_secrets = count_secrets(p, &n_secret_files);
    printf("\n%s%s tokens%s, pack \"%s\", %s of %s file%s\n", dr_output_strong(out), dr_output_count(a, p->n_tokens),
           dr_output_plain(out), dr_pack_mode_name(p->mode), dr_output_count(b, p->n_in), dr_output_count(c, (int64_t)p->n_files),
           dr_output_s((int64_t)p->n_files));
    if (p->mode == DR_PACK_FULL && *p->base) {
        printf("base %.12s %s tokens, overlay %s tokens (%s commit%s", p->base, dr_output_count(a, p->n_base),
               dr_output_count(b, p->n_tokens - p->n_base), dr_output_count(c, n_commits(p)), dr_output_s(n_commits(p)));
        printf("%s)%s\n", p->n_entries > (size_t)n_commits(p) ? ", working tree" : "",
               p->repacked ? "; HEAD is the new base" : "");
    }
    if (p->n_unshown)
        printf("%s changed file%s no room in the budget\n", dr_output_count(a, p->n_unshown), p->n_unshown == 1 ? " has" : "s have");
    if (n_secrets)
        printf("%s secret%s masked in %s file%s; --secrets lists them\n", dr_output_count(a, n_secrets), dr_output_s(n_secrets),
               dr_output_count(b, n_secret_files), dr_output_s(n_secret_files));
    return DR_OK;
}

static void print_symbol(const dr_sym_change *c)
{
    printf("%12s  ", dr_sym_change_name(c->kind));
    print_name(c->path);
    printf(":%u: %s ", c->new_line ? c->new_line : c->old_line, dr_sym_kind_name(c->sym));
    print_name(c->name);
    if (c->container.n) {
        fputs(" in ", stdout);
        print_name(c->container);
    }
    putchar('\n');
}

void dr_pack_view_diff(const dr_output *out, const dr_pack *p, const dr_sym_changes *symbols)
{
    enum { MOST = 40 };
    static const uint8_t none[20];
    char a[28], b[28];
    size_t n = 0;

    printf("%s%12s  %-9s  file%s\n", dr_output_strong(out), "tokens", "change", dr_output_plain(out));
    for (size_t i = 0; i < p->n_segs; i++) {
        const dr_pack_segment *s = &p->segs[i];
        if (!s->path_n)
            continue;
        n++;
        dr_buf line = {0};
        if (s->kind == DR_SEG_LINE)
            dr_pack_text(&line, p, s->first, s->n);
        const char *word = s->kind == DR_SEG_DIFF ? "changed" : s->kind == DR_SEG_ADDED && memcmp(s->old_id, none, sizeof none) ? "rewritten"
                           : s->kind == DR_SEG_ADDED                                             ? "added"
                           : line.data ? line.data : "";
        printf("%12s  %-9.*s  ", dr_output_count(a, s->n), (int)strcspn(word, " "), word);
        if (s->renamed) {
            print_name(dr_pack_old_path(p, s));
            fputs(" to ", stdout);
        }
        print_name(dr_pack_path(p, s));
        putchar('\n');
        dr_buf_free(&line);
    }
    printf("%12s  %s file%s changed\n", dr_output_count(a, p->n_tokens), dr_output_count(b, (int64_t)n), dr_output_s((int64_t)n));
    if (symbols->n)
        printf("\n%sdefinitions%s\n", dr_output_strong(out), dr_output_plain(out));
    const size_t shown = out->verbose || symbols->n < MOST ? symbols->n : MOST;
    for (size_t i = 0; i < shown; i++)
        print_symbol(&symbols->v[i]);
    if (shown < symbols->n)
        printf("%12s  %sand %s more (--verbose lists all)%s\n", "", dr_output_dim(out),
               dr_output_count(a, (int64_t)(symbols->n - shown)), dr_output_plain(out));
}

/* Is the segment about a file that is called so now, or was when the segment was made? */
static bool is_about(const dr_pack *p, size_t segment, dr_str path)
{
    const dr_pack_segment *s = &p->segs[segment];
    return s->path_n && (dr_str_eq(dr_pack__path_now(p, segment), path) || dr_str_eq(dr_pack_path(p, s), path) ||
                         (s->renamed && dr_str_eq(dr_pack_old_path(p, s), path)));
}

static int64_t list_segments(dr_buf *out, const dr_pack *p, dr_str path)
{
    char a[28], b[28];
    int64_t n = 0;

    for (size_t i = 0; i < p->n_segs; i++) {
        const dr_pack_segment *s = &p->segs[i];
        if (!is_about(p, i, path))
            continue;
        n += s->n;
        dr_buf_printf(out, "tokens %s to %s: %s ", dr_output_count(a, s->first), dr_output_count(b, s->first + s->n - 1),
                      dr_seg_kind_name((dr_seg_kind)s->kind));
        if (s->entry == DR_PACK_BASE)
            dr_buf_printf(out, "in the base%s%.12s", *p->base ? " " : "", p->base);
        else if (*p->entries[s->entry].commit)
            dr_buf_printf(out, "in the overlay, commit %.12s", p->entries[s->entry].commit);
        else
            dr_buf_str(out, "in the overlay, working tree");
        dr_buf_str(out, "\n");
    }
    return n;
}

void dr_pack_view_gone(dr_buf *out, const dr_pack *p, dr_str path)
{
    dr_buf list = {0};
    if (list_segments(&list, p, path)) {
        dr_buf_str(out, "The pack still shows what was there, and that it went, until HEAD becomes the base (--repack):\n");
        dr_buf_add(out, list.data, list.n);
    }
    dr_buf_free(&list);
}

void dr_pack_view_file(dr_buf *out, const dr_pack *p, size_t file)
{
    char a[28];
    const dr_repo_file *listed = dr_repo_file_at(p->repo, file);
    const dr_pack_file *f = &p->files[file];

    if (p->mode != DR_PACK_NONE && f->how != DR_HOW_OUT)
        dr_buf_printf(out, "pack \"%s\": %s, %s token%s%s%s%s\n", dr_pack_mode_name(p->mode),
                      f->how == DR_HOW_WHOLE        ? "whole"
                      : f->how == DR_HOW_SIGNATURES ? "signatures"
                                                    : "in the map only",
                      dr_output_count(a, f->n_tokens), dr_output_s(f->n_tokens), f->why ? "; " : "", f->why ? f->why : "",
                      dr_pack__shows(listed->cls) ? "" : " now, in by the rules of the base");
    else
        dr_buf_printf(out, "pack \"%s\": out; %s\n", dr_pack_mode_name(p->mode), f->why ? f->why : "");
    (void)list_segments(out, p, listed->path);
}

/* ---- JSON ---- */

static json_t *segment_json(const dr_pack *p, const dr_pack_segment *s)
{
    json_t *x = json_pack("{s:s,s:I,s:I}", "kind", dr_seg_kind_name((dr_seg_kind)s->kind), "first", (json_int_t)s->first,
                          "tokens", (json_int_t)s->n);
    json_object_set_new(x, "in", s->entry == DR_PACK_BASE                ? json_string("base")
                                 : *p->entries[s->entry].commit ? json_string(p->entries[s->entry].commit)
                                                                : json_string("working tree"));
    return x;
}

static json_t *segments_json(const dr_pack *p, dr_str path)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n_segs; i++)
        if (is_about(p, i, path))
            json_array_append_new(list, segment_json(p, &p->segs[i]));
    return list;
}

json_t *dr_pack_file_json(const dr_pack *p, size_t file)
{
    return json_pack("{s:s,s:I,s:o}", "in", dr_pack_how_name(p->files[file].how), "tokens", (json_int_t)p->files[file].n_tokens,
                     "segments", segments_json(p, dr_repo_file_at(p->repo, file)->path));
}

json_t *dr_pack_gone_json(const dr_pack *p, dr_str path)
{
    json_t *list = segments_json(p, path);
    if (json_array_size(list))
        return json_pack("{s:s,s:o}", "in", "gone", "segments", list);
    json_decref(list);
    return NULL;
}

json_t *dr_pack_diff_json(const dr_pack *p, const dr_sym_changes *symbols, const char *ids_sha256)
{
    json_t *list = json_array(), *definitions = json_array();

    for (size_t i = 0; i < symbols->n; i++) {
        const dr_sym_change *c = &symbols->v[i];
        json_array_append_new(definitions,
                              json_pack("{s:s,s:s,s:o,s:o,s:o,s:I,s:I}", "change", dr_sym_change_name(c->kind), "kind",
                                        dr_sym_kind_name(c->sym), "path", dr_output_text(c->path), "name",
                                        dr_output_text(c->name), "container", dr_output_text(c->container), "old_line",
                                        (json_int_t)c->old_line, "new_line", (json_int_t)c->new_line));
    }
    for (size_t i = 0; i < p->n_segs; i++) {
        const dr_pack_segment *s = &p->segs[i];
        if (!s->path_n)
            continue;
        json_t *x = json_pack("{s:o,s:s,s:I}", "path", dr_output_text(dr_pack_path(p, s)), "kind",
                              dr_seg_kind_name((dr_seg_kind)s->kind), "tokens", (json_int_t)s->n);
        if (s->renamed)
            json_object_set_new(x, "old_path", dr_output_text(dr_pack_old_path(p, s)));
        json_array_append_new(list, x);
    }
    return json_pack("{s:s,s:s,s:I,s:s,s:o,s:o}", "from", p->base, "to", p->entries[0].commit, "tokens", (json_int_t)p->n_tokens,
                     "ids_sha256", ids_sha256, "files", list, "definitions", definitions);
}

json_t *dr_pack_json(const dr_pack *p, const char *ids_sha256)
{
    json_t *files = json_array(), *overlay = json_array();
    int64_t n_secret_files;
    const int64_t n_secrets = count_secrets(p, &n_secret_files);

    for (size_t i = 0; i < p->n_files; i++) {
        const dr_repo_file *f = dr_repo_file_at(p->repo, i);
        json_t *x = json_pack("{s:o,s:I,s:s,s:I,s:s}", "path", dr_output_text(f->path), "bytes", (json_int_t)f->size, "class",
                              dr_file_class_name(f->cls), "tokens", (json_int_t)p->files[i].n_tokens, "in",
                              dr_pack_how_name(p->files[i].how));
        if (p->files[i].why)
            json_object_set_new(x, "why_out", json_string(p->files[i].why));
        if (f->n_secrets)
            json_object_set_new(x, "secrets", json_integer((json_int_t)f->n_secrets));
        json_array_append_new(files, x);
    }
    for (size_t i = 0; i < p->n_entries; i++)
        json_array_append_new(overlay, json_pack("{s:s,s:I,s:I}", "commit", p->entries[i].commit, "first",
                                                 (json_int_t)p->entries[i].first, "tokens", (json_int_t)p->entries[i].n));
    return json_pack("{s:s,s:I,s:I,s:s,s:b,s:I,s:I,s:I,s:I,s:s,s:o,s:o}", "mode", dr_pack_mode_name(p->mode), "tokens",
                     (json_int_t)p->n_tokens, "base_tokens", (json_int_t)p->n_base, "base", p->base, "repacked", p->repacked,
                     "files_in", (json_int_t)p->n_in, "files_total", (json_int_t)p->n_files, "secrets", (json_int_t)n_secrets,
                     "unshown", (json_int_t)p->n_unshown, "ids_sha256", ids_sha256, "overlay", overlay, "files", files);
}
