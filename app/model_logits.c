/* app/model_logits.c: `deepread model logits`: token ids in, a matrix of logits out, for comparison with other engines. */
#include "app/model_parts.h"
#include "app/npy.h"

#include "base/log.h"
#include "engine/decoder.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CHUNK = 512, CHUNK_STEP = 128 };

static dr_status choose_ops(dr_ops *ops, const dr_options *opt, dr_error *err)
{
    const bool ref = opt->backend && strcmp(opt->backend, "ref") == 0;

    if (opt->backend && !ref && strcmp(opt->backend, "x86") != 0)
        return dr_fail(err, DR_ERR_ARG, "--backend %s: give ref or x86", opt->backend);
    if (opt->wide && (opt->isa || opt->backend))
        return dr_fail(err, DR_ERR_ARG, "--wide is a backend of its own: leave out --backend and --isa");
    if (ref && opt->isa && strcmp(opt->isa, "ref") != 0)
        return dr_fail(err, DR_ERR_ARG, "--backend ref has no instruction set %s", opt->isa);
    if (opt->backend && !ref && opt->isa && strcmp(opt->isa, "ref") == 0)
        return dr_fail(err, DR_ERR_ARG, "--backend x86 has no instruction set ref");
    if (opt->wide) {
        dr_ops_init_wide(ops);
        return DR_OK;
    }
    return dr_ops_init_named(ops, ref ? "ref" : opt->isa, err);
}

/* "a.npy" -> "a.mtp.npy"; a name without the ending gets ".mtp.npy". */
static void mtp_name(dr_buf *out, const char *path)
{
    const size_t n = strlen(path), suffix = strlen(".npy");
    const bool ends = n >= suffix && strcmp(path + n - suffix, ".npy") == 0;

    dr_buf_add(out, path, ends ? n - suffix : n);
    dr_buf_str(out, ".mtp.npy");
}

/* Feeds the ids in runs of `chunk` and writes the rows of each run. */
static dr_status write_logits(dr_npy *logits, dr_npy *mtp, dr_decoder *d, const dr_ids *ids, int64_t chunk, int32_t vocab,
                              const dr_model_command *c, dr_error *err)
{
    dr_status st = DR_OK;
    const int64_t n = (int64_t)ids->n;
    const size_t values = (size_t)(chunk < n ? chunk : n) * (size_t)vocab;
    float *rows = malloc(values * sizeof *rows), *mtp_rows = mtp ? malloc(values * sizeof *rows) : NULL;
    const uint64_t start = dr_clock_us();

    if (n && (!rows || (mtp && !mtp_rows))) {
        st = dr_fail(err, DR_ERR_NOMEM, "logits: no memory for %zu values at once; a smaller --chunk needs less", values);
        goto done;
    }
    for (int64_t at = 0; at < n; at += chunk) {
        const int64_t m = n - at < chunk ? n - at : chunk;
        if (atomic_load_explicit(c->cancel, memory_order_relaxed)) {
            st = dr_fail(err, DR_ERR_CANCELLED, "interrupted");
            goto done;
        }
        if ((st = dr_decoder_logits(d, ids->v + at, m, rows, mtp_rows, err)) != DR_OK ||
            (st = dr_npy_write(logits, rows, m, err)) != DR_OK ||
            (mtp && (st = dr_npy_write(mtp, mtp_rows, m, err)) != DR_OK))
            goto done;
        dr_output_progress(c->out, "logits:", "tokens", at + m, n, dr_clock_us() - start);
    }
done:
    dr_output_progress_end(c->out);
    free(rows);
    free(mtp_rows);
    return st;
}

dr_status dr_model_part__logits(const dr_model_command *c, dr_error *err)
{
    const dr_options *opt = c->opt;
    dr_pool *pool = NULL;
    dr_queue *queue = NULL;
    dr_model *model = NULL;
    dr_decoder *decoder = NULL;
    dr_npy *file = NULL, *mtp_file = NULL;
    dr_ops ops;
    dr_buf json = {0}, mtp_path = {0};
    dr_ids ids = {0};
    dr_status st;

    if (!opt->tokens || !opt->out) {
        st = dr_fail(err, DR_ERR_ARG, "model logits needs --tokens FILE.json and --out FILE.npy");
        goto done;
    }
    if ((st = choose_ops(&ops, opt, err)) != DR_OK || (st = dr_model_part__file(&json, opt->tokens, err)) != DR_OK ||
        (st = dr_pool_new(&pool, opt->threads, err)) != DR_OK || (st = dr_queue_new(&queue, pool, err)) != DR_OK ||
        (st = dr_model_open(&model, c->dir, &ops, queue, err)) != DR_OK)
        goto done;
    const dr_config *config = dr_model_config(model);
    if ((st = dr_model_part__ids(&ids, dr_buf_view(&json), opt->tokens, config->vocab, err)) != DR_OK)
        goto done;
    if (opt->mtp && !config->n_mtp) {
        st = dr_fail(err, DR_ERR_ARG, "--mtp: %s has no MTP block", c->dir);
        goto done;
    }
    /* A row of the MTP block needs the token after it, so a run of its own would lose its last row. */
    const int64_t n = (int64_t)ids.n, chunk = opt->mtp ? (n ? n : 1) : opt->chunk ? opt->chunk : DEFAULT_CHUNK;
    const int64_t pass = opt->chunk ? opt->chunk : DEFAULT_CHUNK, longest = pass < n ? pass : n;
    const int32_t max_chunk = (int32_t)((longest + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP);
    if ((st = dr_decoder_new(&decoder, model, queue, max_chunk ? max_chunk : CHUNK_STEP, n ? n : 1, err)) != DR_OK ||
        (st = dr_npy_open(&file, opt->out, n, config->vocab, err)) != DR_OK)
        goto done;
    if (opt->mtp) {
        mtp_name(&mtp_path, opt->out);
        st = mtp_path.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory")
                             : dr_npy_open(&mtp_file, mtp_path.data, n, config->vocab, err);
        if (st != DR_OK)
            goto done;
    }
    if ((st = write_logits(file, mtp_file, decoder, &ids, chunk, config->vocab, c, err)) != DR_OK)
        goto done;
    st = dr_npy_finish(file, err);
    file = NULL;
    if (mtp_file && st == DR_OK) {
        st = dr_npy_finish(mtp_file, err);
        mtp_file = NULL;
    }
done:
    dr_npy_discard(file);
    dr_npy_discard(mtp_file);
    dr_ids_free(&ids);
    dr_buf_free(&json);
    dr_buf_free(&mtp_path);
    dr_decoder_free(decoder);
    dr_model_close(model);
    dr_queue_free(queue);
    dr_pool_free(pool);
    return st;
}
