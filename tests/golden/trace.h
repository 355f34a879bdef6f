/* tests/golden/trace.h: what a model computes inside, written down while it runs, and what it computes on given streams.
 *
 * A backend's table is wrapped: every pass goes the same way as ever, and the wrapped slots see the streams in front of every
 * sub-layer, what stands between the products inside, the experts chosen and the entries selected. So every step can be compared
 * alone: a reference reads what the engine had in front of it.
 *
 * One trace at a time; one thread. */
#ifndef DR_TESTS_GOLDEN_TRACE_H
#define DR_TESTS_GOLDEN_TRACE_H

#include "engine/decoder.h"

enum { TRACE_BLOCKS = 16 };

typedef struct trace_how {
    /* Values inside block `block` for the traced rows, by the names that reference.py gives them; NULL: not asked for. Called as
     * they are computed; pieces of one stage follow one another. */
    void (*stage)(void *arg, int32_t block, const char *name, const float *values, int64_t n);
    /* Streams in front of block `block` (n_layers: behind the last layer) of positions pos .. pos + n - 1, every pass; or NULL. */
    void (*seen)(void *arg, int32_t block, const float *streams, int64_t pos, int64_t n);
    void *arg;
} trace_how;

/* Of the last n positions; arrays are the trace's. Block n_layers is the MTP block, which has one row less. */
typedef struct trace {
    int64_t n;
    float *streams[TRACE_BLOCKS];     /* behind every block: [n][streams][dim] */
    int32_t *experts[TRACE_BLOCKS];   /* [n][active] */
    int32_t *selected[TRACE_BLOCKS];  /* [n][topk], of CSA layers where all n positions select; else NULL */
    float *logits;                    /* [n][vocab] */
    float *mtp;                       /* [n - 1][vocab]; NULL without an MTP block */
    int64_t n_other;                  /* positions whose logits differ in some bit when a fork decodes them one by one */
} trace;

/* The table to open a model with. The model's own table is `ops`. */
dr_ops trace_ops(const dr_ops *ops);

/* Runs ids through a fresh decoder of a model opened with trace_ops. n: positions traced, at most 128, and no more than lie behind the last
 * border of 2,048 tokens. */
dr_status trace_run(trace *out, const dr_model *model, dr_queue *queue, const int32_t *ids, int64_t n_ids, int64_t n,
                    const trace_how *how, dr_error *err);
void trace_fini(trace *t);

#endif
