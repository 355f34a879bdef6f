/* golden_trace FOLDER OUT ISA THREADS: runs FOLDER/tokens.json through the checkpoint in FOLDER and writes into the folder OUT what
 * tests/tools/compare_slice.py compares with the reference; ISA "best" is the best of this machine.
 *
 *   in.K.bf16        streams in front of layer K of all positions, [tokens][streams][dim]; K = layers: behind the last one
 *   out.K.f32        streams behind block K of the last 64 positions (one less for K = layers, the MTP block)
 *   experts.K.i32    experts chosen there, [64][active];  selected.K.i32: entries, of layers that select
 *   stage.K.NAME.f32 what stands between two products in block K, by the names of reference.py
 *   logits.f32, mtp.f32
 *
 * Exit status 0 when decoding the 64 one by one gives the same bits, 77 when this machine lacks ISA. */
#include "tests/golden/checkpoint.h"
#include "tests/golden/trace.h"

#include "base/bytes.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACED = 64, PATH_BYTES = 1024 };

typedef struct files {
    FILE *in[TRACE_BLOCKS];
    const char *folder;
    uint16_t *row;
    int64_t token;
    const dr_config *c;
    bool failed;
} files;

static void path_of(char path[PATH_BYTES], const char *folder, const char *what, int32_t k, const char *end)
{
    if (k < 0)
        snprintf(path, PATH_BYTES, "%s/%s%s", folder, what, end);
    else
        snprintf(path, PATH_BYTES, "%s/%s.%d%s", folder, what, k, end);
}

static void seen(void *arg, int32_t block, const float *streams, int64_t pos, int64_t n)
{
    files *f = arg;

    (void)pos; /* passes come in order */
    for (int64_t t = 0; t < n; t++) {
        for (int64_t i = 0; i < f->token; i++) {
            uint32_t bits;
            memcpy(&bits, &streams[t * f->token + i], sizeof bits);
            f->row[i] = (uint16_t)(bits >> 16); /* streams are BF16 values */
        }
        f->failed |= fwrite(f->row, sizeof *f->row, (size_t)f->token, f->in[block]) != (size_t)f->token;
    }
}

static void stage(void *arg, int32_t block, const char *name, const float *values, int64_t n)
{
    files *f = arg;
    char path[PATH_BYTES], what[64];
    FILE *to;

    snprintf(what, sizeof what, ".%s.f32", name);
    path_of(path, f->folder, "stage", block, what);
    if (!(to = fopen(path, "ab"))) { /* pieces are appended */
        f->failed = true;
        return;
    }
    f->failed |= fwrite(values, sizeof *values, (size_t)n, to) != (size_t)n;
    f->failed |= fclose(to) != 0;
}

static bool write_all(const char *folder, const char *what, int32_t k, const char *end, const void *data, size_t bytes)
{
    char path[PATH_BYTES];
    dr_error err = {0};

    path_of(path, folder, what, k, end);
    if (!data || dr_write_file(path, data, bytes, &err) == DR_OK)
        return true;
    fprintf(stderr, "%s\n", err.msg);
    return false;
}

static bool write_trace(const trace *t, const dr_config *c, const char *folder)
{
    const size_t n = (size_t)t->n, token = (size_t)c->hc_mult * (size_t)c->dim, vocab = (size_t)c->vocab;
    bool ok = write_all(folder, "logits", -1, ".f32", t->logits, n * vocab * sizeof *t->logits) &&
              write_all(folder, "mtp", -1, ".f32", t->mtp, (n - 1) * vocab * sizeof *t->mtp);

    for (int32_t i = 0; ok && i < c->n_layers + c->n_mtp; i++) {
        const size_t rows = i < c->n_layers ? n : n - 1;
        ok = write_all(folder, "out", i, ".f32", t->streams[i], rows * token * sizeof(float)) &&
             write_all(folder, "experts", i, ".i32", t->experts[i], rows * (size_t)c->n_active * sizeof(int32_t)) &&
             write_all(folder, "selected", i, ".i32", t->selected[i], rows * (size_t)c->index_topk * sizeof(int32_t));
    }
    return ok;
}

int main(int argc, char **argv)
{
    dr_status st;
    dr_error err = {0};
    dr_ops ops;
    dr_pool *pool = NULL;
    dr_queue *queue = NULL;
    dr_model *model = NULL;
    int32_t *ids = NULL;
    int64_t n_ids = 0;
    char path[PATH_BYTES];
    files f = {0};
    trace t = {0};

    if (argc != 5) {
        fprintf(stderr, "usage: golden_trace FOLDER OUT ISA THREADS\n");
        return 2;
    }
    const char *folder = argv[1], *out = argv[2], *isa = strcmp(argv[3], "best") == 0 ? NULL : argv[3];
    path_of(path, folder, "tokens", -1, ".json");
    if ((st = golden_read_tokens(path, &ids, &n_ids, &err)) != DR_OK ||
        (st = dr_ops_init_named(&ops, isa, &err)) != DR_OK ||
        (st = dr_pool_new(&pool, atoi(argv[4]), &err)) != DR_OK || (st = dr_queue_new(&queue, pool, &err)) != DR_OK)
        goto done;
    const dr_ops seeing = trace_ops(&ops);
    uint64_t start = dr_clock_us();
    if ((st = dr_model_open(&model, folder, &seeing, queue, &err)) != DR_OK)
        goto done;
    printf("%s, %s threads: packed %.1f GB in %.1f s\n", ops.name, argv[4], (double)dr_model_bytes(model) * 1e-9,
           (double)(dr_clock_us() - start) * 1e-6);
    f.c = dr_model_config(model);
    f.token = (int64_t)f.c->hc_mult * f.c->dim;
    f.failed = !(f.row = malloc((size_t)f.token * sizeof *f.row));
    for (int32_t k = 0; k <= f.c->n_layers && !f.failed; k++) {
        path_of(path, out, "in", k, ".bf16");
        f.failed = !(f.in[k] = fopen(path, "wb"));
    }
    f.folder = out;
    const trace_how how = {.stage = stage, .seen = seen, .arg = &f};
    start = dr_clock_us();
    if (f.failed || (st = trace_run(&t, model, queue, ids, n_ids, TRACED, &how, &err)) != DR_OK)
        goto done;
    printf("%lld tokens in %.1f s; %lld of %d decoded one by one have other bits\n", (long long)n_ids,
           (double)(dr_clock_us() - start) * 1e-6, (long long)t.n_other, TRACED);
    f.failed |= !write_trace(&t, f.c, out);
done:
    for (int k = 0; k < TRACE_BLOCKS; k++)
        if (f.in[k])
            f.failed |= fclose(f.in[k]) != 0;
    if (st != DR_OK || f.failed)
        fprintf(stderr, "golden_trace: %s\n", st != DR_OK ? err.msg : "what was traced could not be written");
    const bool good = st == DR_OK && !f.failed && t.n_other == 0;
    trace_fini(&t);
    free(f.row);
    free(ids);
    dr_model_close(model);
    dr_queue_free(queue);
    dr_pool_free(pool);
    return st == DR_ERR_DEVICE ? 77 : good ? 0 : 1;
}
