/* app/pack_command.c: `deepread pack`: what goes into the context, in tokens; and why, what changed, what is masked. */
#include "app/app.h"
#include "app/pack_view.h"
#include "app/setup.h"
#include "repo/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fields that every object of this command begins with. */
static json_t *begin_json(const dr_setup *s, const char *type)
{
    const dr_repo_id *id = dr_repo_identity(s->repo);
    return json_pack("{s:s,s:i,s:o,s:s}", "type", type, "schema", DR_EVENT_SCHEMA, "repository", dr_output_text(id->root), "commit",
                     id->commit);
}

/* ---- where the ids go ---- */

/* Ids are digested, and written as text, as they come: a pack may be longer than memory. A file is written beside its name and
 * takes it at the end. */
typedef struct writing {
    const dr_tokenizer *t;
    dr_sha256_stream *sha; /* NULL: nobody asked */
    FILE *to;              /* NULL: no text is wanted */
    const char *path;
    dr_buf part, text;     /* the name while it is written; one batch */
} writing;

static dr_status begin_writing(writing *w, const dr_setup *s, dr_error *err)
{
    *w = (writing){.t = s->tokenizer, .path = s->opt->out};
    if (s->opt->json && !(w->sha = dr_sha256_new()))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (!w->path)
        return DR_OK;
    if (strcmp(w->path, "-") == 0) {
        w->to = stdout;
        return DR_OK;
    }
    /* A regular file is replaced when all is written; what a link leads to, a pipe or a device is written as it stands. */
    struct stat sb;
    const bool in_place = lstat(w->path, &sb) == 0 && !S_ISREG(sb.st_mode);
    if (!in_place)
        dr_buf_printf(&w->part, "%s.part", w->path);
    if (w->part.failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (!(w->to = fopen(in_place ? w->path : w->part.data, "w")))
        return dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
    return DR_OK;
}

static dr_status write_ids(void *arg, const int32_t *ids, size_t n, dr_error *err)
{
    enum { STEP = 1 << 16 };
    writing *w = arg;

    if (w->sha)
        dr_sha256_update(w->sha, ids, n * sizeof *ids);
    for (size_t at = 0; w->to && at < n; at += STEP) {
        const size_t end = n - at < STEP ? n : at + STEP;
        dr_buf_clear(&w->text);
        for (size_t i = at; i < end; i++) {
            const dr_str bytes = dr_tokenizer_bytes(w->t, ids[i]);
            dr_buf_add(&w->text, bytes.s, bytes.n);
        }
        if (w->text.failed)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        if (fwrite(w->text.data, 1, w->text.n, w->to) != w->text.n)
            return dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
    }
    return DR_OK;
}

/* What was written counts only when st is DR_OK. */
static dr_status end_writing(char hex[65], writing *w, dr_status st, dr_error *err)
{
    const bool file = w->to && w->to != stdout;

    if (file) {
        const bool whole = fflush(w->to) == 0; /* not synced: it can be made again */
        if (fclose(w->to) != 0 || !whole || (st == DR_OK && w->part.n && rename(w->part.data, w->path) != 0))
            st = st != DR_OK ? st : dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
        if (st != DR_OK && w->part.n)
            (void)unlink(w->part.data);
    }
    const dr_digest digest = w->sha ? dr_sha256_finish(w->sha) : (dr_digest){{0}};
    dr_digest_hex(hex, &digest);
    dr_buf_free(&w->part);
    dr_buf_free(&w->text);
    *w = (writing){0};
    return st;
}

/* ---- what is masked ---- */

typedef struct secret_list {
    dr_output *out;
    json_t *json;
    size_t n;
} secret_list;

static void add_secret(secret_list *l, dr_str path, uint32_t line, dr_str kind, const char *fingerprint)
{
    l->n++;
    if (l->out->json) {
        json_t *x = json_pack("{s:o,s:I,s:o}", "path", dr_output_text(path), "line", (json_int_t)line, "kind", dr_output_text(kind));
        if (*fingerprint)
            json_object_set_new(x, "fingerprint", json_string(fingerprint));
        json_array_append_new(l->json, x);
    } else
        printf("%s:%u %.*s %s\n", path.s, line, (int)kind.n, kind.s, *fingerprint ? fingerprint : "(in converted text)");
}

/* A file that was converted has no secret in its bytes as they are that could be named: only the masks can be listed. */
static void list_masks(secret_list *l, const dr_repo_file *f, dr_str shown)
{
    static const char mask[] = "[masked: ";
    uint32_t line = 1;
    for (const char *p = shown.s, *end = shown.s + shown.n; p < end; p++) {
        line += *p == '\n';
        if (*p != '[' || (size_t)(end - p) < sizeof mask - 1 || memcmp(p, mask, sizeof mask - 1) != 0)
            continue;
        const char *kind = p + sizeof mask - 1, *close = memchr(kind, ']', (size_t)(end - kind));
        if (close)
            add_secret(l, f->path, line, (dr_str){kind, (size_t)(close - kind)}, "");
    }
}

static dr_status list_secrets(dr_setup *s, dr_output *out, dr_error *err)
{
    dr_status st = DR_OK;
    secret_list list = {.out = out, .json = json_array()};
    dr_buf text = {0}, allow = {0};

    for (size_t i = 0; i < dr_repo_n_files(s->repo) && st == DR_OK; i++) {
        const dr_repo_file *f = dr_repo_file_at(s->repo, i);
        dr_secrets found = {0};
        if (!f->n_secrets)
            continue;
        if (f->converted) {
            if ((st = dr_repo_read(s->repo, i, &text, err)) == DR_OK)
                list_masks(&list, f, dr_buf_view(&text));
        } else if ((st = dr_repo_read_raw(s->repo, i, &text, err)) == DR_OK &&
                   (st = dr_secrets_scan(&found, dr_buf_view(&text), s->allow, err)) == DR_OK)
            for (size_t k = 0; k < found.n; k++)
                add_secret(&list, f->path, found.v[k].line, dr_str_of(found.v[k].kind), found.v[k].fingerprint);
        dr_secrets_fini(&found);
    }
    if (st != DR_OK)
        goto done;
    (void)dr_config_file_of_user(&allow, DR_ALLOWED_SECRETS, NULL);
    const char *file = allow.data ? allow.data : "$XDG_CONFIG_HOME/" DR_ALLOWED_SECRETS;
    if (out->json) {
        json_t *event = begin_json(s, "secrets");
        json_object_set_new(event, "allow_file", dr_output_text(dr_str_of(file)));
        json_object_set(event, "secrets", list.json);
        dr_output_event(out, event);
    } else {
        (void)fflush(stdout);
        if (list.n)
            dr_output_note(out, "%zu masked. To show one after all, write its fingerprint on a line of its own into %s", list.n, file);
        else
            dr_output_note(out, "nothing is masked here");
    }
done:
    json_decref(list.json);
    dr_buf_free(&allow);
    dr_buf_free(&text);
    return st;
}

/* ---- why a file is in or out ---- */

static dr_status explain(dr_setup *s, dr_output *out, const char *word, const dr_pack *p, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf path = {0}, text = {0}, where = {0};
    size_t file;

    if ((st = dr_setup_path(&path, s, word, err)) != DR_OK)
        return st;
    const bool there = dr_repo_find(s->repo, dr_buf_view(&path), &file);
    if ((st = dr_repo_explain(&text, s->repo, dr_buf_view(&path), err)) != DR_OK)
        goto done;
    if (there)
        dr_pack_view_file(&where, p, file);
    else
        dr_pack_view_gone(&where, p, dr_buf_view(&path));
    if (text.failed || where.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if (out->json) {
        json_t *event = begin_json(s, "explain");
        json_t *place = there ? dr_pack_file_json(p, file) : dr_pack_gone_json(p, dr_buf_view(&path));
        json_object_set_new(event, "path", dr_output_text(dr_buf_view(&path)));
        json_object_set_new(event, "text", dr_output_text(dr_buf_view(&text)));
        if (place)
            json_object_set_new(event, "pack", place);
        dr_output_event(out, event);
    } else
        printf("%s%s%s", text.data ? text.data : "", text.n && text.data[text.n - 1] != '\n' ? "\n" : "",
               where.data ? where.data : "");
done:
    dr_buf_free(&path);
    dr_buf_free(&where);
    dr_buf_free(&text);
    return st;
}

/* ---- between two commits ---- */

static dr_status show_diff(dr_setup *s, dr_output *out, const char *range, dr_error *err)
{
    dr_status st = DR_OK;
    dr_pack pack = {0};
    dr_sym_changes symbols = {0};
    const char *dots = strstr(range, "..");
    const dr_pack_options how = dr_setup_pack_options(s, DR_PACK_FULL, 0);
    char *from = NULL, hex[65];
    writing w = {0};

    if (!dots || dots == range || dots[2] == '.')
        return dr_fail(err, DR_ERR_ARG, "--diff %s: give two commits as A..B, or A.. for what changed up to HEAD", range);
    if (!(from = strndup(range, (size_t)(dots - range))))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if ((st = dr_pack_build_diff(&pack, s->repo, from, dots[2] ? dots + 2 : "HEAD", s->tokenizer, &how, err)) != DR_OK)
        goto done;
    if ((st = begin_writing(&w, s, err)) == DR_OK)
        st = write_ids(&w, pack.ids.v, pack.ids.n, err);
    if ((st = end_writing(hex, &w, st, err)) != DR_OK)
        goto done;
    if ((st = dr_symbol_changes_between(&symbols, s->repo, pack.base, pack.entries[0].commit, err)) != DR_OK)
        goto done;
    if (out->json) {
        json_t *event = begin_json(s, "pack_diff"), *more = dr_pack_diff_json(&pack, &symbols, hex);
        json_object_update(event, more);
        json_decref(more);
        dr_output_event(out, event);
    } else if (!out->quiet && !(s->opt->out && strcmp(s->opt->out, "-") == 0))
        dr_pack_view_diff(out, &pack, &symbols);
done:
    dr_symbol_changes_fini(&symbols);
    free(from);
    dr_pack_fini(&pack);
    return st;
}

/* ---- the pack ---- */

static dr_status show_pack(dr_setup *s, dr_output *out, const dr_pack *p, const char *hex, dr_error *err)
{
    const bool to_stdout = s->opt->out && strcmp(s->opt->out, "-") == 0;

    if (out->json) {
        json_t *event = begin_json(s, "pack"), *more = dr_pack_json(p, hex);
        json_object_update(event, more);
        json_decref(more);
        dr_output_event(out, event);
    } else if (!out->quiet && !to_stdout)
        return dr_pack_view(out, p, err);
    return DR_OK;
}

dr_outcome dr_command_pack(const dr_options *opt, dr_output *out, const atomic_bool *cancel, dr_error *err)
{
    dr_status st = DR_OK;
    dr_setup s;
    dr_pack pack = {0};
    writing w = {0};
    dr_pack_mode mode;
    int64_t budget;
    char hex[65];

    dr_setup_init(&s, opt, out, cancel);
    if (opt->n_words) {
        st = dr_fail(err, DR_ERR_ARG, "pack takes no word \"%s\"; the repository is named with -C PATH", opt->words[0]);
        goto done;
    }
    if (opt->json && opt->out && strcmp(opt->out, "-") == 0) {
        st = dr_fail(err, DR_ERR_ARG, "--json and --out - both want standard output; give --out a file");
        goto done;
    }
    if ((st = dr_setup_model_files(&s, err)) != DR_OK || (st = dr_setup_pack_asked(&mode, &budget, &s, err)) != DR_OK ||
        (st = dr_setup_snapshot(&s, err)) != DR_OK)
        goto done;
    if (opt->secrets || opt->diff) {
        st = opt->secrets ? list_secrets(&s, out, err) : show_diff(&s, out, opt->diff, err);
        goto done;
    }
    if (mode == DR_PACK_MAP && (st = dr_setup_repo(&s, err)) != DR_OK)
        goto done;
    dr_pack_options how = dr_setup_pack_options(&s, mode, budget < 0 ? 0 : budget);
    how.sink = write_ids;
    how.sink_arg = &w;
    if ((st = begin_writing(&w, &s, err)) == DR_OK)
        st = dr_pack_build(&pack, s.repo, s.symbols, s.tokenizer, &how, err);
    dr_output_progress_end(out);
    if ((st = end_writing(hex, &w, st, err)) == DR_OK)
        st = opt->explain ? explain(&s, out, opt->explain, &pack, err) : show_pack(&s, out, &pack, hex, err);
done:
    dr_output_progress_end(out);
    dr_pack_fini(&pack);
    dr_setup_fini(&s);
    return dr_outcome_of(st);
}
