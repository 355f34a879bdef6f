/* Matrix products of all jobs of a call as one parallel loop over units of 64 rows x 64 outputs (wider when there are few rows).
 *
 * A unit gathers its rows if they are scattered or its last tile would read past them, multiplies into scratch and copies out
 * with rounding: the copy is in cache and keeps tails and rounding out of the products. Rows run fastest, so that the
 * 64 outputs' weights are read from memory once. */
#include "kernels/queue.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/product.h"
#include "kernels/x86/slots.h"

#include <assert.h>

enum { UNIT_ROWS = 64, UNIT_BLOCKS = 4, UNIT_OUTPUTS = UNIT_BLOCKS * LANES };

typedef struct gemm_task {
    dr_queue *q;
    const dr_gemm *jobs;
    const int64_t *first; /* [n_jobs + 1] first unit of every job */
    int n_jobs;
} gemm_task;

static int64_t row_units(const dr_gemm *g)
{
    return (g->m + UNIT_ROWS - 1) / UNIT_ROWS;
}

static void copy_out(const dr_gemm *g, const float *t, int64_t t_stride, int64_t row, int64_t n_rows, int64_t output, int64_t n)
{
    for (int64_t i = 0; i < n_rows; i++) {
        float *y = g->y + (row + i) * g->y_stride + output;
        for (int64_t j = 0; j < n; j += LANES) {
            const v16 v = v_load(t + i * t_stride + j), r = g->round_out ? v_round_bf16(v) : v;
            if (n - j >= LANES)
                v_store(y + j, r);
            else
                v_store_n(y + j, r, n - j);
        }
    }
}

static void gemm_unit(const dr_gemm *g, int64_t unit, float *t, uint16_t *gathered, void *scratch)
{
    const int64_t k = g->w->k, row = unit % row_units(g) * UNIT_ROWS, output = unit / row_units(g) * UNIT_OUTPUTS;
    const int64_t m = g->m - row < UNIT_ROWS ? g->m - row : UNIT_ROWS;
    const int64_t n = g->w->n - output < UNIT_OUTPUTS ? g->w->n - output : UNIT_OUTPUTS;
    const uint16_t *x = (const uint16_t *)g->x + row * k;

    if (g->rows || (m > DR_PRODUCT_FEW && m % LANES)) {
        for (int64_t i = 0; i < m; i++)
            memcpy(gathered + i * k, (const uint16_t *)g->x + (g->rows ? g->rows[row + i] : row + i) * k, (size_t)k * sizeof *x);
        x = gathered;
    }
    /* Two blocks at a time when tiles do the work, so that copying out one pair runs beside the products of the next. */
    const int64_t step = m > DR_PRODUCT_FEW ? 2 * LANES : UNIT_OUTPUTS;
    for (int64_t o = 0; o < n; o += step) {
        const int64_t left = n - o < step ? n - o : step;
        const dr_product p = {.y = t, .y_stride = step, .x = x, .x_stride = k,
                              .w = (const uint16_t *)g->w->packed + (output + o) * k, .w_stride = LANES * k,
                              .m = m, .n_blocks = (left + LANES - 1) / LANES, .k = k, .scratch = scratch};
        LEVEL(product)(&p);
        copy_out(g, t, step, row, m, output + o, left);
    }
}

static void gemm_units(void *arg, int64_t begin, int64_t end, int worker)
{
    const gemm_task *task = arg;
    int64_t k_max = 0;
    int job = 0;
    for (int i = 0; i < task->n_jobs; i++)
        k_max = task->jobs[i].w->k > k_max ? task->jobs[i].w->k : k_max;
    const size_t t_bytes = UNIT_ROWS * UNIT_OUTPUTS * sizeof(float);
    const size_t rows_bytes = dr_queue__align((size_t)k_max * UNIT_ROWS * sizeof(uint16_t));
    uint8_t *scratch = dr_queue__scratch(task->q, worker, t_bytes + rows_bytes + DR_PRODUCT_SCRATCH(k_max));

    for (int64_t unit = begin; unit < end; unit++) {
        while (unit >= task->first[job + 1])
            job++;
        gemm_unit(&task->jobs[job], unit - task->first[job], (float *)(void *)scratch, (uint16_t *)(void *)(scratch + t_bytes),
                  scratch + t_bytes + rows_bytes);
    }
}

static void gemm(dr_queue *q, const dr_gemm *jobs, int n_jobs)
{
    int64_t *first = dr_queue__shared(q, ((size_t)n_jobs + 1) * sizeof *first);
    int64_t work = 0;
    first[0] = 0;
    for (int i = 0; i < n_jobs; i++) {
        const dr_matrix *w = jobs[i].w;
        assert(w->k % STEP == 0 && jobs[i].m >= 0);
        first[i + 1] = first[i] + row_units(&jobs[i]) * ((w->n + UNIT_OUTPUTS - 1) / UNIT_OUTPUTS);
        work += (jobs[i].m < LANES ? jobs[i].m : LANES) * w->n * w->k; /* 16 rows and more go through tiles */
    }
    const int64_t n = first[n_jobs];
    gemm_task task = {q, jobs, first, n_jobs};
    if (n > 0)
        dr_queue__run(q, n, dr_slot__grain(n, work), gemm_units, &task);
}

void LEVEL(table_gemm)(dr_ops *ops)
{
    ops->gemm = gemm;
}
