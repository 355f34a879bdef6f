/* Attention with a sink over window and entries.
 *
 * Rows are (query, head) pairs, 16 to a tile: 16 / n_heads queries when heads are few, else 16 heads of one query. Both products are
 * dr_product:
 *   logits  [keys][16 rows] = keys x packed queries: the keys lie as they are, lanes are rows, so the softmax has no
 *           reduction across lanes
 *   output  [16 rows][dim] += P [16 rows][keys] x packed values: two neighbouring keys interleaved, which costs two loads and
 *           a store per 32 values
 * P is turned from lanes to rows by a 16 x 16 transposition of (even key, odd key) words.
 *
 * A task is a run of queries that shares gathered and packed keys: the window from the first query's first key to the last one's
 * own, and the entries when there is one list for all (`shared`). Lists of their own (CSA) are gathered per query, used by that query's
 * lanes, and padded to 32 keys with zeros. Which queries share a task cannot be seen in the result: a key that does not count
 * has logit -infinity, probability 0. Bound by exponentials (about 15 instructions per 16 of them) and products alike. */
#include "kernels/queue.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/product.h"
#include "kernels/x86/slots.h"

#include <assert.h>

enum { N_SUMS = 4, TASK_ROWS = 1024 };

/* Keys as rows and as packed values, n of them, n % 32 == 0. */
typedef struct key_block {
    uint16_t *rows;   /* [n][dim] */
    uint16_t *values; /* [dim / 16][n / 2][16][2] */
    int64_t n, capacity;
} key_block;

/* One worker's buffers for one task. */
typedef struct attention_work {
    const dr_attention *a;
    key_block window, shared, own[LANES]; /* own: of every query in the tile */
    int64_t window_first;                 /* position of window.rows[0] */
    uint16_t *query;                      /* [dim / 2][16][2] */
    float *logits;                        /* [keys][16] */
    uint16_t *p;                          /* [32][keys]: 16 rows, and 16 that tiles may read */
    float *out;                           /* [16][dim] */
    float *part;                          /* [16][dim]: rows of one query */
    void *product;
} attention_work;

typedef struct attention_task {
    dr_queue *q;
    const dr_attention *a;
    int64_t task_queries, tile_queries, tile_heads, head_tiles, tasks_of_heads;
    int64_t max_own, max_shared; /* entries, padded */
} attention_task;

static int64_t padded(int64_t n)
{
    return (n + STEP - 1) / STEP * STEP;
}

/* One list of entries for all queries, or none at all. */
static bool one_list(const dr_attention *a)
{
    return !a->n_selected || (!a->selected && a->entries_stride == 0);
}

/* Interleaves neighbouring keys: word j of a row holds value j of the even and of the odd key. */
static void pack_values(key_block *b, int64_t dim)
{
    for (int64_t d = 0; d < dim; d += LANES)
        for (int64_t s = 0; s < b->n; s += 2) {
            const uint16_t *even = b->rows + s * dim + d, *odd = even + dim;
            w_store(b->values + d * b->n + s * LANES, w_or(w_load_u16(even), w_shl(w_load_u16(odd), 16)));
        }
}

/* n rows of keys, taken by index when idx is not NULL, zeros up to a multiple of 32. */
static void gather_keys(key_block *b, const uint16_t *keys, const int32_t *idx, int64_t n, int64_t dim)
{
    b->n = padded(n);
    assert(b->n <= b->capacity);
    for (int64_t s = 0; s < n && idx; s++)
        memcpy(b->rows + s * dim, keys + idx[s] * dim, (size_t)dim * sizeof *keys);
    if (n > 0 && !idx)
        memcpy(b->rows, keys, (size_t)(n * dim) * sizeof *keys);
    memset(b->rows + n * dim, 0, (size_t)((b->n - n) * dim) * sizeof *keys);
    pack_values(b, dim);
}

/* The rows of a tile: lane = query * tile_heads + head. */
typedef struct tile {
    int64_t query, n_queries; /* queries from `query` of the call */
    int64_t head, n_heads;
} tile;

static void pack_queries(uint16_t *packed, const dr_attention *a, const tile *t)
{
    w16 r[LANES];
    for (int64_t d = 0; d < a->dim; d += STEP) {
        for (int64_t lane = 0; lane < LANES; lane++) {
            uint16_t word[STEP] = {0};
            if (lane < t->n_queries * t->n_heads) {
                const int64_t row = (t->query + lane / t->n_heads) * a->n_heads + t->head + lane % t->n_heads;
                v_store_bf16(word, v_load(a->q + row * a->dim + d));
                v_store_bf16(word + LANES, v_load(a->q + row * a->dim + d + LANES));
            }
            r[lane] = w_load(word);
        }
        w_transpose(r);
        UNROLL
        for (int j = 0; j < LANES; j++)
            w_store(packed + (d + 2 * j) * LANES, r[j]);
    }
}

static void multiply_keys(const attention_work *w, float *logits, const uint16_t *rows, int64_t n)
{
    const int64_t dim = w->a->dim;
    const dr_product p = {.y = logits, .y_stride = LANES, .x = rows, .x_stride = dim, .w = w->query, .w_stride = dim * LANES,
                          .m = n, .n_blocks = 1, .k = dim, .scratch = w->product};
    if (n > 0)
        LEVEL(product)(&p);
}

/* out (+)= P [m rows][n keys] x values of keys [first, first + n) of the block. */
static void multiply_values(const attention_work *w, float *out, const uint16_t *p, int64_t p_stride, const key_block *b, int64_t first,
                            int64_t n, int64_t m, bool add)
{
    const int64_t dim = w->a->dim;
    const dr_product job = {.y = out, .y_stride = dim, .x = p, .x_stride = p_stride, .w = b->values + first * LANES,
                            .w_stride = b->n * LANES, .m = m, .n_blocks = dim / LANES, .k = n, .add = add, .scratch = w->product};
    if (n > 0)
        LEVEL(product)(&job);
}

/* Scales n logits of lanes, makes those outside (low, high] by place -infinity, keeps the maximum. */
static v16 mask_logits(float *logits, int64_t n, int64_t place, w16 low, w16 high, v16 scale, v16 max)
{
    for (int64_t s = 0; s < n; s++) {
        const w16 at = w_set((uint32_t)(place + s));
        const v16 l = v_mul(v_load(logits + s * LANES), scale);
        v16 masked = v_select(w_greater(at, low), l, v_set(-INFINITY));
        masked = v_select(w_greater(at, high), v_set(-INFINITY), masked);
        max = v_max(masked, max);
        v_store(logits + s * LANES, masked);
    }
    return max;
}

/* Exponentials of n logits (a multiple of 32), summed, rounded, and turned into rows of P. */
static void exponentials(uint16_t *p, int64_t p_stride, v16 sum[N_SUMS], const float *logits, int64_t n, v16 max)
{
    for (int64_t block = 0; block < n; block += STEP) {
        w16 pair[LANES];
        UNROLL
        for (int j = 0; j < LANES; j++) {
            const float *l = logits + (block + 2 * j) * LANES;
            const v16 even = v_exp(v_sub(v_load(l), max)), odd = v_exp(v_sub(v_load(l + LANES), max));
            sum[2 * j % N_SUMS] = v_add(sum[2 * j % N_SUMS], even);
            sum[(2 * j + 1) % N_SUMS] = v_add(sum[(2 * j + 1) % N_SUMS], odd);
            pair[j] = w_or(w_shr(v_bits(v_round_bf16(even)), 16), v_bits(v_round_bf16(odd)));
        }
        w_transpose(pair);
        for (int lane = 0; lane < LANES; lane++)
            w_store(p + lane * p_stride + block, pair[lane]);
    }
}

/* The logits of every query's own entries, each in its query's lanes. */
static void own_logits(attention_work *w, const tile *t, float *logits, int64_t n)
{
    float *scratch = logits + n * LANES;
    if (t->n_queries == 1) {
        multiply_keys(w, logits, w->own[0].rows, w->own[0].n);
        return;
    }
    for (int64_t i = 0; i < t->n_queries; i++) {
        multiply_keys(w, scratch, w->own[i].rows, w->own[i].n);
        for (int64_t s = 0; s < w->own[i].n; s++)
            memcpy(logits + s * LANES + i * t->n_heads, scratch + s * LANES + i * t->n_heads, (size_t)t->n_heads * sizeof *logits);
    }
}

static void attend_tile(attention_work *w, const tile *t)
{
    const dr_attention *a = w->a;
    const int64_t dim = a->dim, n_lanes = t->n_queries * t->n_heads;
    const int64_t pos = a->pos0 + t->query, last = pos + t->n_queries - 1;
    const int64_t first = pos - a->window_len + 1 > 0 ? (pos - a->window_len + 1) / STEP * STEP : 0;
    const int64_t n_window = padded(last + 1) - first;
    const bool shared = one_list(a);
    int32_t low[LANES], high[LANES], n_entries[LANES];
    float sink[LANES];
    int64_t most = 0;

    for (int64_t lane = 0; lane < LANES; lane++) {
        const int64_t i = lane < n_lanes ? t->query + lane / t->n_heads : 0;
        const int64_t at = a->pos0 + i;
        /* Idle lanes see nothing; their maximum is the sink. */
        high[lane] = lane < n_lanes ? (int32_t)(at - first) : -1;
        low[lane] = lane < n_lanes ? (int32_t)(at - a->window_len - first) : -1;
        n_entries[lane] = lane < n_lanes && a->n_selected ? a->n_selected[i] - 1 : -1;
        sink[lane] = lane < n_lanes ? a->sink[t->head + lane % t->n_heads] : 0.0f;
        most = n_entries[lane] + 1 > most ? n_entries[lane] + 1 : most;
    }
    const int64_t n_listed = padded(most), n_keys = n_window + n_listed;
    float *window_logits = w->logits, *entry_logits = w->logits + n_window * LANES;

    pack_queries(w->query, a, t);
    multiply_keys(w, window_logits, w->window.rows + (first - w->window_first) * dim, n_window);
    if (shared)
        multiply_keys(w, entry_logits, w->shared.rows, n_listed);
    else
        own_logits(w, t, entry_logits, n_listed);

    const v16 scale = v_set(a->scale);
    v16 max = v_load(sink), sum[N_SUMS] = {v_zero(), v_zero(), v_zero(), v_zero()};
    max = mask_logits(window_logits, n_window, 0, w_load(low), w_load(high), scale, max);
    max = mask_logits(entry_logits, n_listed, 0, w_set(UINT32_MAX), w_load(n_entries), scale, max);
    exponentials(w->p, n_keys, sum, w->logits, n_keys, max);
    float total[LANES];
    v_store(total, v_add(v_add(v_add(sum[0], sum[2]), v_add(sum[1], sum[3])), v_exp(v_sub(v_load(sink), max))));

    multiply_values(w, w->out, w->p, n_keys, &w->window, first - w->window_first, n_window, LANES, false);
    if (shared || t->n_queries == 1) {
        multiply_values(w, w->out, w->p + n_window, n_keys, shared ? &w->shared : &w->own[0], 0, n_listed, LANES, true);
    } else {
        for (int64_t i = 0; i < t->n_queries; i++) {
            /* Through a copy: a tile writes 16 rows, and only these are this query's. */
            const size_t bytes = (size_t)(t->n_heads * dim) * sizeof(float);
            float *rows = w->out + i * t->n_heads * dim;
            memcpy(w->part, rows, bytes);
            multiply_values(w, w->part, w->p + i * t->n_heads * n_keys + n_window, n_keys, &w->own[i], 0, w->own[i].n, t->n_heads, true);
            memcpy(rows, w->part, bytes);
        }
    }
    for (int64_t lane = 0; lane < n_lanes; lane++) {
        float *out = a->out + ((t->query + lane / t->n_heads) * a->n_heads + t->head + lane % t->n_heads) * dim;
        const v16 divisor = v_set(total[lane]);
        for (int64_t d = 0; d < dim; d += LANES)
            v_store(out + d, v_round_bf16(v_div(v_load(w->out + lane * dim + d), divisor)));
    }
}

/* Buffers cut from one stretch; without a base only the size counts. */
typedef struct carver {
    uint8_t *base;
    size_t used;
} carver;

static void *carve(carver *c, size_t bytes)
{
    void *p = c->base ? c->base + c->used : NULL;
    c->used += dr_queue__align(bytes);
    return p;
}

static void carve_keys(carver *c, key_block *b, int64_t n, int64_t dim)
{
    *b = (key_block){.capacity = n};
    b->rows = carve(c, (size_t)(n * dim) * sizeof(uint16_t));
    b->values = carve(c, (size_t)(n * dim) * sizeof(uint16_t));
}

/* Lays out one worker's buffers from base (NULL: only sizes) and returns the bytes needed. */
static size_t plan_work(attention_work *w, const attention_task *t, void *base)
{
    const int64_t dim = t->a->dim, n_window = padded(t->a->window_len + t->task_queries) + STEP;
    const int64_t n_listed = t->max_own > t->max_shared ? t->max_own : t->max_shared, n_keys = n_window + n_listed;
    carver c = {base, 0};
    *w = (attention_work){.a = t->a};
    carve_keys(&c, &w->window, n_window, dim);
    carve_keys(&c, &w->shared, t->max_shared, dim);
    for (int64_t i = 0; i < t->tile_queries; i++)
        carve_keys(&c, &w->own[i], t->max_own, dim);
    w->query = carve(&c, (size_t)(dim * LANES) * sizeof(uint16_t));
    w->logits = carve(&c, (size_t)((n_keys + n_listed) * LANES) * sizeof(float));
    w->p = carve(&c, (size_t)(n_keys * 2 * LANES) * sizeof(uint16_t));
    w->out = carve(&c, (size_t)(LANES * dim) * sizeof(float));
    w->part = carve(&c, (size_t)(LANES * dim) * sizeof(float));
    w->product = carve(&c, DR_PRODUCT_SCRATCH(n_keys > dim ? n_keys : dim));
    return c.used;
}

static void attend_queries(attention_work *w, const attention_task *t, int64_t first, int64_t end, int64_t tile_begin, int64_t tile_end)
{
    const dr_attention *a = w->a;
    const int64_t oldest = a->pos0 + first - a->window_len + 1;
    int64_t n_shared = 0;

    w->window_first = oldest > 0 ? oldest / STEP * STEP : 0;
    gather_keys(&w->window, (const uint16_t *)a->window + (w->window_first - a->window_pos0) * a->dim, NULL,
                a->pos0 + end - w->window_first, a->dim);
    if (one_list(a) && t->max_shared > 0) {
        for (int64_t i = first; i < end; i++)
            n_shared = a->n_selected[i] > n_shared ? a->n_selected[i] : n_shared;
        gather_keys(&w->shared, a->entries, NULL, n_shared, a->dim);
    }
    for (int64_t i = first; i < end; i += t->tile_queries) {
        const int64_t n_queries = end - i < t->tile_queries ? end - i : t->tile_queries;
        if (!one_list(a))
            for (int64_t j = 0; j < n_queries; j++)
                gather_keys(&w->own[j], (const uint16_t *)a->entries + (i + j) * a->entries_stride * a->dim,
                            a->selected ? a->selected + (i + j) * a->selected_stride : NULL,
                            a->n_selected[i + j], a->dim);
        for (int64_t h = tile_begin; h < tile_end; h++) {
            const int64_t head = h * t->tile_heads, left = a->n_heads - head;
            const tile one = {i, n_queries, head, left < t->tile_heads ? left : t->tile_heads};
            attend_tile(w, &one);
        }
    }
}

static void attend_tasks(void *arg, int64_t begin, int64_t end, int worker)
{
    const attention_task *t = arg;
    attention_work w;
    const size_t bytes = plan_work(&w, t, NULL);
    plan_work(&w, t, dr_queue__scratch(t->q, worker, bytes));
    for (int64_t task = begin; task < end; task++) {
        const int64_t first = task / t->tasks_of_heads * t->task_queries, last = first + t->task_queries;
        const int64_t part = task % t->tasks_of_heads, n_tiles = t->head_tiles / t->tasks_of_heads;
        attend_queries(&w, t, first, last < t->a->n_q ? last : t->a->n_q, part * n_tiles, (part + 1) * n_tiles);
    }
}

static void attention(dr_queue *q, const dr_attention *a)
{
    const int workers = dr_queue__n_workers(q);
    attention_task t = {.q = q, .a = a};
    int64_t most = 0;
    assert(a->dim % STEP == 0 && a->window_pos0 % STEP == 0);
    if (a->n_q == 0)
        return;
    t.tile_heads = a->n_heads < LANES ? a->n_heads : LANES;
    t.tile_queries = a->n_heads < LANES ? LANES / a->n_heads : 1;
    t.head_tiles = (a->n_heads + t.tile_heads - 1) / t.tile_heads;
    /* About 1,024 rows share their keys; fewer when that would leave a worker idle. */
    const int64_t even_share = (a->n_q + 2 * workers - 1) / (2 * workers);
    t.task_queries = TASK_ROWS / a->n_heads < even_share ? TASK_ROWS / a->n_heads : even_share;
    t.task_queries = (t.task_queries + t.tile_queries - 1) / t.tile_queries * t.tile_queries;
    t.task_queries = t.task_queries > 0 ? t.task_queries : t.tile_queries;
    const int64_t n_groups = (a->n_q + t.task_queries - 1) / t.task_queries;
    t.tasks_of_heads = n_groups < workers ? t.head_tiles : 1;
    for (int64_t i = 0; i < a->n_q && a->n_selected; i++)
        most = a->n_selected[i] > most ? a->n_selected[i] : most;
    t.max_shared = one_list(a) ? padded(most) : 0;
    t.max_own = one_list(a) ? 0 : padded(most);

    const int64_t n = n_groups * t.tasks_of_heads;
    const int64_t work = a->n_q * a->n_heads * (a->window_len + most) * 4;
    dr_queue__run(q, n, dr_slot__grain(n, work), attend_tasks, &t);
}

void LEVEL(table_attention)(dr_ops *ops)
{
    ops->attention = attention;
}
