#include "engine/sampler.h"

#include "kernels/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 64, /* logits with one maximum kept; and blocks with one */
    LANES = 16,
    TRIES = 16, /* likeliest tokens tested one by one */
    FEW = 32,   /* legal tokens that are rather listed than searched for among the likely ones */
    MANY = 1024, /* candidates of a draw beyond which listing is cheaper than testing */
    CROWD = 8192, /* likely tokens that are gathered at most, before the legal ones are listed */
};
static const float TAIL = 0x1p-24f;

enum { UNKNOWN = -2, NONE = -1 };

struct dr_sampler {
    dr_sampling how;
    int32_t vocab, n_blocks, n_groups;
    uint64_t count; /* draws so far */
    float *top;     /* [n_blocks] largest logit not handed out yet */
    int32_t *best;  /* [n_blocks] its id; UNKNOWN until looked for, NONE when all were handed out */
    int32_t *group; /* [n_groups] the block of the largest of these, of BLOCK blocks; NONE when all were handed out */
    int32_t *ids;   /* [vocab] candidates of a draw */
    float *weights; /* [vocab] */
};

dr_status dr_sampler_new(dr_sampler **out, dr_sampling how, int32_t vocab, dr_error *err)
{
    dr_sampler *s = NULL;

    *out = NULL;
    if (vocab < 1 || !(how.temperature >= 0) || isinf(how.temperature) || !(how.top_p >= 0 && how.top_p <= 1) ||
        !(how.min_p >= 0 && how.min_p <= 1))
        return dr_fail(err, DR_ERR_ARG, "sampling: temperature %g, top-p %g, min-p %g over %d tokens", (double)how.temperature,
                       (double)how.top_p, (double)how.min_p, vocab);
    if (!(s = calloc(1, sizeof *s)))
        return dr_fail(err, DR_ERR_NOMEM, "sampling: out of memory");
    s->how = how;
    s->vocab = vocab;
    s->n_blocks = (vocab - 1) / BLOCK + 1;
    s->n_groups = (s->n_blocks - 1) / BLOCK + 1;
    s->top = malloc((size_t)s->n_blocks * sizeof *s->top);
    s->group = malloc((size_t)s->n_groups * sizeof *s->group);
    s->best = malloc((size_t)s->n_blocks * sizeof *s->best);
    s->ids = malloc((size_t)vocab * sizeof *s->ids);
    s->weights = malloc((size_t)vocab * sizeof *s->weights);
    if (!s->top || !s->best || !s->group || !s->ids || !s->weights) {
        dr_sampler_free(s);
        return dr_fail(err, DR_ERR_NOMEM, "sampling: out of memory");
    }
    *out = s;
    return DR_OK;
}

void dr_sampler_free(dr_sampler *s)
{
    if (!s)
        return;
    free(s->top);
    free(s->best);
    free(s->group);
    free(s->ids);
    free(s->weights);
    free(s);
}

static float value(const float *logits, int32_t id)
{
    return logits[id] > -INFINITY ? logits[id] : -INFINITY; /* NaN compares false */
}

static bool comes_before(const float *logits, int32_t a, int32_t b)
{
    const float x = value(logits, a), y = value(logits, b);

    return x > y || (x == y && a < b);
}

/* ---- ids in order of descending logit, without sorting: the maximum of every block, and inside a block on demand ---- */

static void find_best_block(dr_sampler *s, int32_t g)
{
    const int32_t from = g * BLOCK, end = s->n_blocks - from < BLOCK ? s->n_blocks : from + BLOCK;

    s->group[g] = NONE;
    for (int32_t b = from; b < end; b++)
        if (s->best[b] != NONE && (s->group[g] == NONE || s->top[b] > s->top[s->group[g]]))
            s->group[g] = b;
}

static void start(dr_sampler *s, const float *logits)
{
    for (int32_t b = 0; b < s->n_blocks; b++) {
        const int32_t from = b * BLOCK, n = s->vocab - from < BLOCK ? s->vocab - from : BLOCK;
        float lane[LANES];
        for (int k = 0; k < LANES; k++)
            lane[k] = -INFINITY;
        int32_t i = 0;
        for (; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++) {
                const float v = logits[from + i + k];
                lane[k] = v > lane[k] ? v : lane[k];
            }
        for (; i < n; i++)
            lane[0] = logits[from + i] > lane[0] ? logits[from + i] : lane[0];
        float top = lane[0];
        for (int k = 1; k < LANES; k++)
            top = lane[k] > top ? lane[k] : top;
        s->top[b] = top;
        s->best[b] = UNKNOWN;
    }
    for (int32_t g = 0; g < s->n_groups; g++)
        find_best_block(s, g);
}

/* The next id, or NONE. */
static int32_t next_best(dr_sampler *s, const float *logits)
{
    int32_t b = NONE;

    for (int32_t g = 0; g < s->n_groups; g++)
        if (s->group[g] != NONE && (b == NONE || s->top[s->group[g]] > s->top[b]))
            b = s->group[g];
    if (b == NONE)
        return NONE;
    const int32_t from = b * BLOCK, end = s->vocab - from < BLOCK ? s->vocab : from + BLOCK;
    int32_t id = s->best[b], after = NONE;
    if (id == UNKNOWN)
        for (id = from; value(logits, id) != s->top[b]; id++)
            ;
    for (int32_t i = from; i < end; i++)
        if (comes_before(logits, id, i) && (after == NONE || comes_before(logits, i, after)))
            after = i;
    s->best[b] = after;
    if (after != NONE)
        s->top[b] = value(logits, after);
    find_best_block(s, b / BLOCK);
    return id;
}

/* ---- a heap of ids, the likeliest on top ---- */

static void swap(dr_sampler *s, int32_t a, int32_t b)
{
    const int32_t id = s->ids[a];
    const float w = s->weights[a];

    s->ids[a] = s->ids[b];
    s->weights[a] = s->weights[b];
    s->ids[b] = id;
    s->weights[b] = w;
}

static bool is_above(const dr_sampler *s, const float *logits, int32_t a, int32_t b)
{
    return comes_before(logits, s->ids[a], s->ids[b]);
}

static void sift(dr_sampler *s, const float *logits, int32_t n, int32_t at)
{
    for (;;) {
        int32_t best = at;
        for (int32_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (is_above(s, logits, child, best))
                best = child;
        if (best == at)
            return;
        swap(s, at, best);
        at = best;
    }
}

/* ---- the likeliest legal token ---- */

/* The k-th largest (from 0) of v, which is reordered. */
static float largest(float *v, int32_t n, int32_t k)
{
    for (int32_t lo = 0, hi = n - 1; lo < hi;) {
        const float pivot = v[lo + (hi - lo) / 2];
        int32_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i <= j) {
                const float t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return v[k];
}

/* Of the likeliest two hundredth or so of all tokens the best legal one, or NONE: where one token in a few hundred is legal (numbers),
 * that is quicker than to list the legal ones. Those that begin with a wrong byte are left out before any are put in order. */
static int32_t best_of_crowd(dr_sampler *s, const float *logits, const dr_constraint *c, const dr_tokenizer *t)
{
    const uint16_t *begins = dr_tokenizer_begins(t);
    const int32_t known = dr_tokenizer_size(t);
    uint64_t mask[4];
    int32_t n = 0, seen = 0;

    dr_constraint_first(c, mask);
    memcpy(s->weights, s->top, (size_t)s->n_blocks * sizeof *s->top);
    const float least = largest(s->weights, s->n_blocks, s->n_blocks / 4);
    if (!(least > -INFINITY))
        return NONE;
    for (int32_t b = 0; b < s->n_blocks; b++) {
        const int32_t from = b * BLOCK, end = s->vocab - from < BLOCK ? s->vocab : from + BLOCK;
        if (s->best[b] == NONE || s->top[b] < least)
            continue;
        for (int32_t id = from; id < end; id++) {
            if (!(logits[id] >= least))
                continue;
            const uint16_t byte = id < known ? begins[id] : 257;
            if (++seen == CROWD)
                return NONE;
            if (byte == 256 || (byte < 256 && (mask[byte / 64] >> byte % 64 & 1)))
                s->ids[n++] = id;
        }
    }
    for (int32_t i = n / 2; i-- > 0;)
        sift(s, logits, n, i);
    while (n > 0) {
        const int32_t id = s->ids[0];
        if (dr_constraint_allows(c, t, id))
            return id;
        swap(s, 0, --n);
        sift(s, logits, n, 0);
    }
    return NONE;
}

/* The likeliest legal token, or NONE. When the legal ones were listed to find it, *n_listed of them are in s->ids. */
static int32_t best_legal(dr_sampler *s, const float *logits, const dr_constraint *c, const dr_tokenizer *t, int32_t *n_listed)
{
    int32_t best = NONE;

    *n_listed = 0;
    start(s, logits);
    for (int i = 0; i < TRIES; i++) {
        const int32_t id = next_best(s, logits);
        if (id == NONE || !c || dr_constraint_allows(c, t, id))
            return id;
    }
    size_t n = dr_constraint_legal(c, t, s->ids, FEW);
    if (n == FEW) {
        if ((best = best_of_crowd(s, logits, c, t)) != NONE)
            return best;
        n = dr_constraint_legal(c, t, s->ids, (size_t)s->vocab);
    }
    for (size_t i = 0; i < n; i++) {
        if (s->ids[i] >= s->vocab) /* a token the model has no logit for */
            continue;
        s->ids[(*n_listed)++] = s->ids[i];
        if (best == NONE || comes_before(logits, s->ids[i], best))
            best = s->ids[i];
    }
    return best;
}

/* ---- drawing ---- */

/* splitmix64 of seed and counter, as a number in [0, 1). */
static double draw(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

/* Leaves in ids the candidates whose weight exp((logit - best) / temperature) is at least `least`, with their weights. listed: the legal
 * tokens stand in ids already; else all are asked about that are likely enough. */
static int32_t weigh(dr_sampler *s, const float *logits, int32_t best, float least, const dr_constraint *c, const dr_tokenizer *t,
                     int32_t n_listed)
{
    /* A little below the logarithm of `least`: the exact comparison is of the weights. */
    const float low = logits[best] + s->how.temperature * (dr_logf(least) - 0.01f);
    bool listed = n_listed > 0;
    int32_t n = 0, n_likely = 0;

    if (c && !listed) {
        for (int32_t i = 0; i < s->vocab; i++)
            n_likely += logits[i] >= low;
        if (n_likely > MANY) {
            n_listed = (int32_t)dr_constraint_legal(c, t, s->ids, (size_t)s->vocab);
            listed = true;
        }
    }
    const int32_t n_asked = listed ? n_listed : s->vocab;
    for (int32_t i = 0; i < n_asked; i++) {
        const int32_t id = listed ? s->ids[i] : i;
        if (id >= s->vocab || !(logits[id] >= low))
            continue;
        const float w = dr_expf((logits[id] - logits[best]) / s->how.temperature);
        if (w < least || w > 1 || (c && !listed && !dr_constraint_allows(c, t, id)))
            continue; /* more likely than the best legal token: not legal */
        s->ids[n] = id;
        s->weights[n++] = w;
    }
    return n;
}

/* Moves the likeliest candidates that top_p and min_p leave to the end of ids; returns where they begin. */
static int32_t cut(dr_sampler *s, const float *logits, int32_t n)
{
    double total = 0, got = 0;
    int32_t left = n;

    for (int32_t i = 0; i < n; i++)
        total += (double)s->weights[i];
    for (int32_t i = n / 2; i-- > 0;)
        sift(s, logits, n, i);
    do { /* heap sort, stopped early; at least one is kept */
        swap(s, 0, --left);
        got += (double)s->weights[left];
        sift(s, logits, left, 0);
    } while (left > 0 && got < (double)s->how.top_p * total && s->weights[0] >= s->how.min_p);
    return left;
}

dr_status dr_sampler_pick(dr_sampler *s, int32_t *id, const float *logits, const dr_constraint *constraint,
                          const dr_tokenizer *t, dr_error *err)
{
    int32_t n_listed;
    const int32_t best = best_legal(s, logits, constraint, t, &n_listed);

    if (best == NONE)
        return dr_fail(err, DR_ERR_NOT_FOUND, "sampling: no token is legal here");
    *id = best;
    if (s->how.temperature == 0)
        return DR_OK;
    const double u = draw(s->how.seed, s->count++);
    if (!isfinite(logits[best])) /* nothing is likely, or one thing infinitely so */
        return DR_OK;
    const bool all = s->how.top_p >= 1;
    const int32_t n = weigh(s, logits, best, all && s->how.min_p > TAIL ? s->how.min_p : TAIL, constraint, t, n_listed);
    int32_t i = all ? 0 : cut(s, logits, n);
    double sum = 0;
    for (int32_t k = i; k < n; k++)
        sum += (double)s->weights[k];
    for (double got = 0; i < n; i++) {
        got += (double)s->weights[i];
        *id = s->ids[i];
        if (u * sum < got)
            break;
    }
    return DR_OK;
}
