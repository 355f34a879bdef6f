#include "engine/bench.h"

#include "engine/decoder.h"

#include "base/log.h"

#include <stdlib.h>

enum { SHORT = 512, LONG = 2048, STEPS = 128, CHUNK = 512, USUAL_ROUNDS = 5, MAX_ROUNDS = 64 };

typedef struct sample {
    double wall_us, cpu_us;
} sample;

typedef struct clocks {
    uint64_t wall, cpu;
} clocks;

static clocks now(void)
{
    return (clocks){dr_clock_us(), dr_cpu_us()};
}

static sample since(clocks start)
{
    return (sample){(double)(dr_clock_us() - start.wall), (double)(dr_cpu_us() - start.cpu)};
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static dr_engine_rate rate_of(const sample *s, int n, int tokens)
{
    double wall[MAX_ROUNDS], cpu[MAX_ROUNDS];
    for (int i = 0; i < n; i++) {
        wall[i] = s[i].wall_us;
        cpu[i] = s[i].cpu_us;
    }
    const double w = median(wall, n);
    return (dr_engine_rate){w > 0 ? tokens * 1e6 / w : 0, median(cpu, n) / tokens};
}

static dr_status prefill(sample *out, dr_decoder *d, const int32_t *ids, int n, float *logits, dr_error *err)
{
    dr_decoder_reset(d);
    const clocks start = now();
    const dr_status st = dr_decoder_prefill(d, ids, n, logits, NULL, err);
    *out = since(start);
    return st;
}

static dr_status steps(sample *out, dr_decoder *d, const int32_t *ids, float *logits, dr_error *err)
{
    dr_status st = DR_OK;
    const clocks start = now();
    for (int i = 0; i < STEPS && st == DR_OK; i++)
        st = dr_decoder_prefill(d, ids + i, 1, logits, NULL, err);
    *out = since(start);
    return st;
}

static dr_status move(double *out_us, double *in_us, dr_decoder *d, const int32_t *ids, void *anchor, size_t n,
                      dr_error *err)
{
    const uint64_t start = dr_clock_us();
    dr_status st = dr_decoder_export_anchor(d, anchor, err);
    const uint64_t half = dr_clock_us();
    if (st == DR_OK)
        st = dr_decoder_import_begin(d, ids, SHORT, err);
    if (st == DR_OK)
        st = dr_decoder_import_anchor(d, anchor, n, err);
    *out_us = (double)(half - start);
    *in_us = (double)(dr_clock_us() - half);
    return st;
}

dr_status dr_engine_bench_run(dr_engine_bench *out, const dr_model *model, dr_queue *queue, int n_rounds, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_config *c = dr_model_config(model);
    const int n = n_rounds <= 0 ? USUAL_ROUNDS : n_rounds > MAX_ROUNDS ? MAX_ROUNDS : n_rounds;
    sample short_s[MAX_ROUNDS], long_s[MAX_ROUNDS], step_s[MAX_ROUNDS];
    double export_us[MAX_ROUNDS], import_us[MAX_ROUNDS];
    dr_decoder *d = NULL;
    int32_t *ids = malloc(LONG * sizeof *ids);
    float *logits = malloc((size_t)c->vocab * sizeof *logits);
    const size_t anchor_bytes = dr_decoder_anchor_bytes(model, SHORT);
    void *anchor = malloc(anchor_bytes);
    int64_t total, active;

    *out = (dr_engine_bench){0};
    if (!ids || !logits || !anchor) {
        st = dr_fail(err, DR_ERR_NOMEM, "bench: out of memory");
        goto done;
    }
    uint32_t x = 1;
    for (int i = 0; i < LONG; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % (uint32_t)c->vocab);
    }
    if ((st = dr_decoder_new(&d, model, queue, CHUNK, LONG, err)) != DR_OK)
        goto done;
    for (int i = -1; i < n; i++) { /* the first round warms up */
        const int k = i < 0 ? 0 : i;
        if ((st = prefill(&long_s[k], d, ids, LONG, logits, err)) != DR_OK ||
            (st = prefill(&short_s[k], d, ids, SHORT, logits, err)) != DR_OK ||
            (st = move(&export_us[k], &import_us[k], d, ids, anchor, anchor_bytes, err)) != DR_OK ||
            (st = steps(&step_s[k], d, ids + SHORT, logits, err)) != DR_OK)
            goto done;
    }
    dr_model_parameters(model, &total, &active);
    *out = (dr_engine_bench){
        .prefill_512 = rate_of(short_s, n, SHORT),
        .prefill_2048 = rate_of(long_s, n, LONG),
        .decode = rate_of(step_s, n, STEPS),
        .state_us = median(export_us, n),
        .restore_us = median(import_us, n),
        .decode_bytes_per_token = (double)active * (double)dr_model_ops(model)->operand_bytes,
    };
done:
    dr_decoder_free(d);
    free(anchor);
    free(logits);
    free(ids);
    return st;
}
