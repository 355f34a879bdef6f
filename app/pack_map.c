/* app/pack_map.c: the pack's mode `map`. A model is trained on these bytes: which lines, in which order, by which budget rule. */
#include "app/pack_map.h"

#include "app/pack_parts.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

/* Tokens of the budget that are kept for the last line. */
enum { TAIL = 16 };

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

dr_status dr_pack__build_map(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                             const dr_pack_options *opt, dr_error *err)
{
    enum { MISSES = 16 }; /* lines tried after the first that did not fit */
    dr_status st = DR_OK;
    const dr_maker maker = {.t = t, .opt = opt};
    dr_buf line = {0};
    dr_ids ids = {0};
    ranked *order = calloc(out->n_files ? out->n_files : 1, sizeof *order);
    size_t n = 0, n_text = 0;
    int misses = 0;

    if (!order)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    dr_buf_printf(&line, "repository %.*s, %zu files\n", (int)dr_repo_identity(repo)->name.n,
                  dr_repo_identity(repo)->name.s, out->n_files);
    if ((st = dr_pack__line(out, &maker, DR_SEG_MAP, DR_PACK_BASE, DR_STR(""), dr_buf_view(&line), err)) != DR_OK)
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
        f->how = DR_HOW_MAP;
        if ((st = dr_pack__line(out, &maker, DR_SEG_MAP, DR_PACK_BASE, dr_repo_file_at(repo, i)->path, dr_buf_view(&line), err)) !=
            DR_OK)
            goto done;
        out->n_in++;
    }
    dr_buf_clear(&line);
    dr_buf_printf(&line, "and %zu more files", out->n_files - (size_t)out->n_in);
    st = dr_pack__line(out, &maker, DR_SEG_END, DR_PACK_BASE, DR_STR(""), dr_buf_view(&line), err);
done:
    dr_ids_free(&ids);
    dr_buf_free(&line);
    free(order);
    return st;
}
