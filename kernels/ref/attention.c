/* Attention with a sink over window and entries: logits, maximum, probabilities, value product (docs/numerics.md). */
#include "kernels/queue.h"
#include "kernels/ref/mode.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 32, N_SUMS = 4 };

/* The keys of one query, block by block: keys[b * 32 + j] is the row, or NULL where there is none or it does not count. */
typedef struct key_list {
    const operand **rows;
    int64_t n; /* a multiple of 32 */
} key_list;

static int64_t blocks_of(int64_t n)
{
    return (n + BLOCK - 1) / BLOCK;
}

static void collect_keys(key_list *list, const dr_attention *a, int64_t i)
{
    const int64_t pos = a->pos0 + i;
    const int64_t first = pos - a->window_len + 1 > 0 ? pos - a->window_len + 1 : 0;
    list->n = 0;
    for (int64_t p = first / BLOCK * BLOCK; p < (pos / BLOCK + 1) * BLOCK; p++)
        list->rows[list->n++] =
            p >= first && p <= pos ? (const operand *)a->window + (p - a->window_pos0) * a->dim : NULL;

    const int64_t n_entries = a->n_selected ? a->n_selected[i] : 0;
    const operand *entries = (const operand *)a->entries + i * a->entries_stride * a->dim;
    for (int64_t s = 0; s < blocks_of(n_entries) * BLOCK; s++) {
        const int64_t row = a->selected && s < n_entries ? a->selected[i * a->selected_stride + s] : s;
        list->rows[list->n++] = s < n_entries ? entries + row * a->dim : NULL;
    }
}

static void attend(float *out, const float *query, float sink, const key_list *keys, const dr_attention *a, float *p, operand *q)
{
    for (int64_t d = 0; d < a->dim; d++)
        q[d] = operand_of(query[d]);
    float max = sink;
    for (int64_t s = 0; s < keys->n; s++) {
        if (!keys->rows[s])
            continue;
        p[s] = SLOT(chain)(0.0f, q, keys->rows[s], a->dim) * a->scale;
        max = p[s] > max ? p[s] : max;
    }

    float part[N_SUMS] = {0};
    for (int64_t s = 0; s < keys->n; s++) {
        const float e = keys->rows[s] ? dr_expf(p[s] - max) : 0.0f;
        part[s % N_SUMS] = part[s % N_SUMS] + e;
        p[s] = rounded(e);
    }
    const float sum = ((part[0] + part[2]) + (part[1] + part[3])) + dr_expf(sink - max);

    for (int64_t d = 0; d < a->dim; d++) {
        float c = 0.0f;
        for (int64_t b = 0; b < keys->n; b += BLOCK) {
            float even = 0.0f, odd = 0.0f;
            for (int64_t s = b; s < b + BLOCK; s += 2) {
                even = fma_operand(p[s], keys->rows[s] ? value_of(keys->rows[s][d]) : 0.0f, even);
                odd = fma_operand(p[s + 1], keys->rows[s + 1] ? value_of(keys->rows[s + 1][d]) : 0.0f, odd);
            }
            c = c + (even + odd);
        }
        out[d] = rounded(c / sum);
    }
}

typedef struct attention_task {
    dr_queue *q;
    const dr_attention *a;
} attention_task;

static void attend_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    const attention_task *t = arg;
    const dr_attention *a = t->a;
    for (int64_t i = begin; i < end; i++) {
        const size_t n_max = (size_t)(blocks_of(a->window_len) + 1 + blocks_of(a->n_selected ? a->n_selected[i] : 0)) * BLOCK;
        const size_t rows_bytes = dr_queue__align(n_max * sizeof(operand *)), p_bytes = dr_queue__align(n_max * sizeof(float));
        uint8_t *scratch = dr_queue__scratch(t->q, worker, rows_bytes + p_bytes + (size_t)a->dim * sizeof(operand));
        key_list keys = {.rows = (const operand **)(void *)scratch};
        float *p = (float *)(void *)(scratch + rows_bytes);
        operand *query = (operand *)(void *)(scratch + rows_bytes + p_bytes);

        collect_keys(&keys, a, i);
        for (int64_t h = 0; h < a->n_heads; h++) {
            const int64_t at = (i * a->n_heads + h) * a->dim;
            attend(a->out + at, a->q + at, a->sink[h], &keys, a, p, query);
        }
    }
}

static void attention(dr_queue *q, const dr_attention *a)
{
    attention_task t = {q, a};
    assert(a->dim % BLOCK == 0 && a->window_pos0 % BLOCK == 0);
    dr_queue__run(q, a->n_q, 1, attend_rows, &t);
}

void SLOT(table_attention)(dr_ops *ops)
{
    ops->attention = attention;
}
