#include "engine/sampler.h"

#include "kernels/ops.h"

#include <math.h>
#include <stdlib.h>

/* Tokens less likely than this share of the likeliest legal one are never drawn: beyond it every token's legality would have to
 * be tested for a mass that cannot be noticed. */
#define TAIL 1e-6f

struct dr_sampler {
    dr_sampling how;
    int32_t vocab, n_heap;
    uint64_t count; /* draws so far: the generator's counter */
    int32_t *heap;  /* ids, best logit first */
    int32_t *ids;   /* legal candidates, descending */
    float *p;
};

dr_status dr_sampler_new(dr_sampler **out, dr_sampling how, int32_t vocab, dr_error *err)
{
    dr_sampler *s = NULL;

    *out = NULL;
    if (vocab < 1 || !(how.temperature >= 0) || !(how.top_p >= 0 && how.top_p <= 1) || !(how.min_p >= 0 && how.min_p <= 1))
        return dr_fail(err, DR_ERR_ARG, "sampling: temperature %g, top-p %g, min-p %g over %d tokens", (double)how.temperature,
                       (double)how.top_p, (double)how.min_p, vocab);
    if (!(s = calloc(1, sizeof *s)) || !(s->heap = malloc((size_t)vocab * sizeof *s->heap)) ||
        !(s->ids = malloc((size_t)vocab * sizeof *s->ids)) || !(s->p = malloc((size_t)vocab * sizeof *s->p))) {
        dr_sampler_free(s);
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    s->how = how;
    s->vocab = vocab;
    *out = s;
    return DR_OK;
}

void dr_sampler_free(dr_sampler *s)
{
    if (!s)
        return;
    free(s->heap);
    free(s->ids);
    free(s->p);
    free(s);
}

/* Larger logit first, ties to the lower id; NaN never. */
static bool before(const float *l, int32_t a, int32_t b)
{
    const float x = isnan(l[a]) ? -INFINITY : l[a], y = isnan(l[b]) ? -INFINITY : l[b];
    return x > y || (x == y && a < b);
}

static void sift(int32_t *h, int32_t n, int32_t at, const float *l)
{
    for (;;) {
        int32_t best = at;
        for (int32_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
            if (before(l, h[child], h[best]))
                best = child;
        if (best == at)
            return;
        const int32_t t = h[at];
        h[at] = h[best];
        h[best] = t;
        at = best;
    }
}

static void heap_fill(dr_sampler *s, const float *l)
{
    s->n_heap = s->vocab;
    for (int32_t i = 0; i < s->vocab; i++)
        s->heap[i] = i;
    for (int32_t i = s->vocab / 2 - 1; i >= 0; i--)
        sift(s->heap, s->n_heap, i, l);
}

/* The next best legal token, or -1. */
static int32_t heap_next(dr_sampler *s, const float *l, const dr_constraint *c, const dr_tokenizer *t)
{
    while (s->n_heap > 0) {
        const int32_t id = s->heap[0];
        s->heap[0] = s->heap[--s->n_heap];
        sift(s->heap, s->n_heap, 0, l);
        if (!c || dr_constraint_allows(c, t, id))
            return id;
    }
    return -1;
}

/* splitmix64 of seed and counter, as a number in [0, 1). */
static float draw(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (float)(z >> 40) * 0x1p-24f;
}

static int32_t best_of_all(const dr_sampler *s, const float *l)
{
    int32_t best = 0;
    for (int32_t i = 1; i < s->vocab; i++)
        if (before(l, i, best))
            best = i;
    return best;
}

dr_status dr_sampler_pick(dr_sampler *s, int32_t *id, const float *logits, const dr_constraint *constraint,
                          const dr_tokenizer *t, dr_error *err)
{
    int32_t first = best_of_all(s, logits); /* mostly legal: then greedy needs no heap */
    const bool greedy = s->how.temperature == 0;

    if (!greedy || (constraint && !dr_constraint_allows(constraint, t, first))) {
        heap_fill(s, logits);
        first = heap_next(s, logits, constraint, t);
    }
    if (first < 0)
        return dr_fail(err, DR_ERR_NOT_FOUND, "no token is legal here");
    if (greedy) {
        *id = first;
        return DR_OK;
    }

    /* Candidates in descending order, unnormalised: exp((l - l_first) / temperature). */
    const float least = s->how.min_p > TAIL ? s->how.min_p : TAIL;
    int32_t n = 0;
    float sum = 0;
    for (int32_t next = first; next >= 0; next = heap_next(s, logits, constraint, t)) {
        const float p = n ? dr_expf((logits[next] - logits[first]) / s->how.temperature) : 1.0f;
        if (!(p >= least))
            break;
        s->ids[n] = next;
        s->p[n++] = p;
        sum += p;
    }
    if (s->how.top_p < 1) {
        const float wanted = s->how.top_p * sum;
        float got = 0;
        for (int32_t i = 0; i < n; i++) {
            got += s->p[i];
            if (got >= wanted) {
                n = i + 1;
                break;
            }
        }
        sum = 0;
        for (int32_t i = 0; i < n; i++)
            sum += s->p[i];
    }
    float u = draw(s->how.seed, s->count++) * sum;
    int32_t i = 0;
    while (i + 1 < n && u >= s->p[i]) {
        u -= s->p[i];
        i++;
    }
    *id = s->ids[i];
    return DR_OK;
}
