#include "app/pack.h"

#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

/* Tokens of the budget that are kept for the last line. */
enum { TAIL = 16 };

/* Raised whenever the bytes of a body change for the same content. */
#define BODY_FORMAT "tok1"

/* ---- full ---- */

typedef struct unit {
    dr_ids ids;
    dr_buf text;
    dr_status st;
    dr_error err;
} unit;

typedef struct full_job {
    const dr_repo *repo;
    const dr_tokenizer *t;
    const dr_pack_options *opt;
    dr_digest tokenizer;
    dr_pack_file *files;
    unit *units; /* [n_files] */
} full_job;

/* The ids of a body, from the store or by encoding. */
static dr_status body_ids(unit *u, const full_job *j, const dr_repo_file *f, dr_str body, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf kept = {0};
    uint8_t key[sizeof BODY_FORMAT - 1 + sizeof j->tokenizer.b + sizeof f->id];

    memcpy(key, BODY_FORMAT, sizeof BODY_FORMAT - 1);
    memcpy(key + sizeof BODY_FORMAT - 1, j->tokenizer.b, sizeof j->tokenizer.b);
    memcpy(key + sizeof BODY_FORMAT - 1 + sizeof j->tokenizer.b, f->id, sizeof f->id);
    const dr_cspan k = {key, sizeof key};
    const dr_blob_store *store = j->opt->store;

    if (store && store->get(store->self, &kept, k, NULL) == DR_OK && kept.n % 4 == 0) {
        for (size_t i = 0; i < kept.n; i += 4)
            dr_ids_add(&u->ids, (int32_t)dr_load_u32(kept.data + i));
        goto done;
    }
    dr_buf_clear(&kept);
    const size_t before = u->ids.n;
    if ((st = dr_tokenizer_encode(j->t, &u->ids, body, false, err)) != DR_OK)
        goto done;
    if (store && !u->ids.failed) {
        for (size_t i = before; i < u->ids.n; i++) {
            uint8_t word[4];
            dr_store_u32(word, (uint32_t)u->ids.v[i]);
            dr_buf_add(&kept, word, sizeof word);
        }
        if (!kept.failed)
            (void)store->put(store->self, k, (dr_cspan){(const uint8_t *)kept.data, kept.n}, NULL);
    }
done:
    dr_buf_free(&kept);
    return st;
}

static void encode_files(void *arg, int64_t begin, int64_t end, int worker)
{
    full_job *j = arg;
    (void)worker;

    for (int64_t i = begin; i < end; i++) {
        unit *u = &j->units[i];
        const dr_repo_file *f = dr_repo_file_at(j->repo, (size_t)i);
        dr_buf raw = {0}, body = {0};

        if (j->files[i].why)
            continue;
        if (dr_repo_read(j->repo, (size_t)i, &raw, NULL) != DR_OK) {
            j->files[i].why = "could not be read";
            continue;
        }
        dr_text_unit_head(&u->text, f->path, dr_text_n_lines(dr_buf_view(&raw)));
        dr_text_unit_body(&body, dr_buf_view(&raw));
        if (u->text.failed || body.failed)
            u->st = dr_fail(&u->err, DR_ERR_NOMEM, "out of memory");
        else if ((u->st = dr_tokenizer_encode(j->t, &u->ids, dr_buf_view(&u->text), false, &u->err)) == DR_OK)
            u->st = body_ids(u, j, f, dr_buf_view(&body), &u->err);
        if (j->opt->with_text)
            dr_buf_add(&u->text, body.data, body.n);
        dr_buf_free(&raw);
        dr_buf_free(&body);
    }
}

static void unit_fini(unit *u)
{
    dr_ids_free(&u->ids);
    dr_buf_free(&u->text);
}

/* Ids of a text that stands between units. */
static dr_status add_text(dr_pack *out, dr_str text, const dr_tokenizer *t, bool with_text, dr_error *err)
{
    if (with_text)
        dr_buf_add(&out->text, text.s, text.n);
    return dr_tokenizer_encode(t, &out->ids, text, false, err);
}

static dr_status build_full(dr_pack *out, const dr_repo *repo, const dr_tokenizer *t, const dr_pack_options *opt,
                            dr_error *err)
{
    dr_status st = DR_OK;
    full_job j = {.repo = repo, .t = t, .opt = opt, .tokenizer = dr_tokenizer_digest(t), .files = out->files};
    dr_buf line = {0};

    if (!(j.units = calloc(out->n_files ? out->n_files : 1, sizeof *j.units)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    dr_pool_run(opt->pool, (int64_t)out->n_files, 1, encode_files, &j);

    /* The first body follows a head, so this line only has to end where no piece of text goes on: with a newline. */
    dr_buf_printf(&line, "repository %.*s\n", (int)dr_repo_identity(repo)->name.n, dr_repo_identity(repo)->name.s);
    if ((st = add_text(out, dr_buf_view(&line), t, opt->with_text, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < out->n_files; i++) {
        unit *u = &j.units[i];
        dr_pack_file *f = &out->files[i];
        if (u->st != DR_OK) {
            st = dr_fail(err, u->st, "%s: %s", dr_repo_file_at(repo, i)->path.s, u->err.msg);
            goto done;
        }
        if (f->why)
            continue;
        if (opt->budget && (int64_t)(out->ids.n + u->ids.n) + TAIL > opt->budget) {
            f->why = "over the budget";
        } else {
            f->first = (int64_t)out->ids.n;
            f->n_tokens = (int64_t)u->ids.n;
            dr_ids_append(&out->ids, u->ids.v, u->ids.n);
            if (opt->with_text)
                dr_buf_add(&out->text, u->text.data, u->text.n);
            out->n_in++;
        }
        unit_fini(u);
    }
    dr_buf_clear(&line);
    /* Ends with a letter, whatever follows the pack. */
    dr_buf_printf(&line, "%lld files of %zu above", (long long)out->n_in, out->n_files);
    st = add_text(out, dr_buf_view(&line), t, opt->with_text, err);
done:
    for (size_t i = 0; i < out->n_files; i++)
        unit_fini(&j.units[i]);
    free(j.units);
    dr_buf_free(&line);
    return st;
}

/* ---- map ---- */

typedef struct ranked {
    uint32_t file;
    uint64_t weight; /* uses of the names it defines */
} ranked;

static int by_weight(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return (x->file > y->file) - (x->file < y->file);
}

static uint64_t weigh(const dr_symbols *s, size_t file)
{
    const uint32_t *defs = NULL;
    size_t n_names;
    const dr_str *names = dr_symbols_names(s, &n_names);
    const size_t n = dr_symbols_outline(s, file, &defs);
    uint64_t weight = 0;
    for (size_t i = 0; i < n; i++) {
        const dr_sym_def *d = dr_symbols_def(s, defs[i]);
        const dr_sym_ref *refs;
        if (dr_sym_kind_rank((dr_sym_kind)d->kind) == 0)
            weight += 1 + dr_symbols_refs(s, names[d->name], &refs);
    }
    return weight;
}

static dr_status build_map(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                           const dr_pack_options *opt, dr_error *err)
{
    enum { MISSES = 16 }; /* lines tried after the first that did not fit */
    dr_status st = DR_OK;
    dr_buf line = {0};
    dr_ids ids = {0};
    ranked *order = calloc(out->n_files ? out->n_files : 1, sizeof *order);
    size_t n = 0, n_text = 0;
    int misses = 0;

    if (!order)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    dr_buf_printf(&line, "repository %.*s, %zu files\n", (int)dr_repo_identity(repo)->name.n,
                  dr_repo_identity(repo)->name.s, out->n_files);
    if ((st = add_text(out, dr_buf_view(&line), t, opt->with_text, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < out->n_files; i++) {
        if (out->files[i].why)
            continue;
        n_text++;
        const uint64_t weight = weigh(symbols, i);
        if (weight)
            order[n++] = (ranked){(uint32_t)i, weight};
        else
            out->files[i].why = "defines no name";
    }
    qsort(order, n, sizeof *order, by_weight);

    int64_t left = opt->budget ? opt->budget - (int64_t)out->ids.n - TAIL : INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        dr_pack_file *f = &out->files[order[i].file];
        f->why = "over the budget";
        if (misses > MISSES)
            continue;
        dr_buf_clear(&line);
        ids.n = 0;
        dr_text_map_line(&line, dr_repo_file_at(repo, order[i].file)->path, symbols, order[i].file, 0);
        dr_buf_add(&line, "\n", 1);
        if ((st = dr_tokenizer_encode(t, &ids, dr_buf_view(&line), false, err)) != DR_OK)
            goto done;
        if ((int64_t)ids.n > left) {
            misses++;
            continue;
        }
        left -= (int64_t)ids.n;
        f->why = NULL;
        f->n_tokens = (int64_t)ids.n;
    }
    for (size_t i = 0; i < out->n_files; i++) {
        dr_pack_file *f = &out->files[i];
        if (f->why)
            continue;
        dr_buf_clear(&line);
        dr_text_map_line(&line, dr_repo_file_at(repo, i)->path, symbols, i, 0);
        dr_buf_add(&line, "\n", 1);
        f->first = (int64_t)out->ids.n;
        if ((st = add_text(out, dr_buf_view(&line), t, opt->with_text, err)) != DR_OK)
            goto done;
        out->n_in++;
    }
    dr_buf_clear(&line);
    dr_buf_printf(&line, "and %zu more files", out->n_files - (size_t)out->n_in);
    st = add_text(out, dr_buf_view(&line), t, opt->with_text, err);
done:
    dr_ids_free(&ids);
    dr_buf_free(&line);
    free(order);
    return st;
}

dr_status dr_pack_build(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                        const dr_pack_options *opt, dr_error *err)
{
    dr_status st = DR_OK;

    *out = (dr_pack){.mode = opt->mode, .n_files = dr_repo_n_files(repo)};
    if (!(out->files = calloc(out->n_files ? out->n_files : 1, sizeof *out->files))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < out->n_files; i++) {
        const dr_repo_file *f = dr_repo_file_at(repo, i);
        out->files[i].file = (uint32_t)i;
        if (opt->mode == DR_PACK_NONE)
            out->files[i].why = "the pack is empty";
        else if (f->cls != DR_FILE_TEXT)
            out->files[i].why = f->why;
    }
    if (opt->mode == DR_PACK_FULL)
        st = build_full(out, repo, t, opt, err);
    else if (opt->mode == DR_PACK_MAP)
        st = build_map(out, repo, symbols, t, opt, err);
    if (st == DR_OK && (out->ids.failed || out->text.failed))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    if (st != DR_OK)
        dr_pack_fini(out);
    return st;
}

void dr_pack_fini(dr_pack *p)
{
    dr_ids_free(&p->ids);
    dr_buf_free(&p->text);
    free(p->files);
    *p = (dr_pack){0};
}
