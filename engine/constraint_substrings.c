/* The suffixes of a text in order, by induced sorting (SA-IS; Nong, Zhang, Chan, 2009): linear whatever the text repeats, and a file
 * that a model edits may well be a megabyte of one byte.
 *
 * A suffix is of type S when it is less than the one a byte later, else L (the last one is). "Leftmost S" are the S behind an L: when
 * those are in order, one pass up and one down put all others behind them. They are ordered by naming the stretches from each to the
 * next, and, where two have one name, by sorting the text of names in the same way. */
#include "engine/constraint_parts.h"

#include <stdlib.h>
#include <string.h>

enum { FREE = -1 };

typedef struct order {
    const int32_t *s; /* values below k */
    int32_t n, k;
    int32_t *sa;
    uint8_t *is_small; /* type S, by place */
    int32_t *bucket;   /* [k] */
} order;

static bool is_leftmost(const order *o, int32_t i)
{
    return i > 0 && o->is_small[i] && !o->is_small[i - 1];
}

/* Where the suffixes that begin with each value start in sa, or end. */
static void find_buckets(const order *o, bool ends)
{
    int32_t sum = 0;

    memset(o->bucket, 0, (size_t)o->k * sizeof *o->bucket);
    for (int32_t i = 0; i < o->n; i++)
        o->bucket[o->s[i]]++;
    for (int32_t c = 0; c < o->k; c++) {
        const int32_t count = o->bucket[c];
        sum += count;
        o->bucket[c] = ends ? sum : sum - count;
    }
}

/* From the leftmost S in the order given to the order of all: exact when theirs is, else by stretches at least. */
static void induce(const order *o, const int32_t *leftmost, int32_t n_leftmost)
{
    for (int32_t i = 0; i < o->n; i++)
        o->sa[i] = FREE;
    find_buckets(o, true);
    for (int32_t i = n_leftmost; i-- > 0;)
        o->sa[--o->bucket[o->s[leftmost[i]]]] = leftmost[i];
    find_buckets(o, false);
    o->sa[o->bucket[o->s[o->n - 1]]++] = o->n - 1; /* as if the end of the text were the least suffix */
    for (int32_t i = 0; i < o->n; i++) {
        const int32_t at = o->sa[i] - 1;
        if (at >= 0 && !o->is_small[at])
            o->sa[o->bucket[o->s[at]]++] = at;
    }
    find_buckets(o, true);
    for (int32_t i = o->n; i-- > 0;) {
        const int32_t at = o->sa[i] - 1;
        if (at >= 0 && o->is_small[at])
            o->sa[--o->bucket[o->s[at]]] = at;
    }
}

/* Are the stretches from two leftmost S to the next ones equal? */
static bool same_stretch(const order *o, int32_t a, int32_t b)
{
    for (int32_t i = 0; a + i < o->n && b + i < o->n; i++) {
        const bool ends = i > 0 && is_leftmost(o, a + i);
        if (o->s[a + i] != o->s[b + i] || ends != (i > 0 && is_leftmost(o, b + i)))
            return false;
        if (ends)
            return true;
    }
    return false; /* the last one goes to the end of the text, as no other */
}

static bool sort_suffixes(int32_t *sa, const int32_t *s, int32_t n, int32_t k);

/* Puts the leftmost S in order; all of them are in `leftmost`, and o->sa has them by stretches. */
static bool sort_leftmost(const order *o, int32_t *leftmost, int32_t m)
{
    bool ok = false;
    int32_t n_names = 0, last = -1;
    /* Two leftmost S are never neighbours: half of their place is their own. */
    int32_t *name = malloc(((size_t)o->n / 2 + 1) * sizeof *name), *names = malloc((size_t)m * sizeof *names);
    int32_t *sorted = malloc((size_t)m * sizeof *sorted);

    if (!name || !names || !sorted)
        goto done;
    for (int32_t i = 0; i < o->n; i++) {
        const int32_t at = o->sa[i];
        if (!is_leftmost(o, at))
            continue;
        n_names += last < 0 || !same_stretch(o, last, at);
        name[at / 2] = n_names - 1;
        last = at;
    }
    for (int32_t i = 0; i < m; i++)
        names[i] = name[leftmost[i] / 2];
    if (n_names < m) {
        if (!sort_suffixes(sorted, names, m, n_names))
            goto done;
    } else
        for (int32_t i = 0; i < m; i++)
            sorted[names[i]] = i;
    for (int32_t i = 0; i < m; i++)
        names[i] = leftmost[sorted[i]];
    memcpy(leftmost, names, (size_t)m * sizeof *names);
    ok = true;
done:
    free(name);
    free(names);
    free(sorted);
    return ok;
}

/* n > 0. False: out of memory. Nests log2(n) deep at most: each text of names is half as long. */
static bool sort_suffixes(int32_t *sa, const int32_t *s, int32_t n, int32_t k)
{
    bool ok = false;
    int32_t m = 0;
    order o = {.s = s, .n = n, .k = k, .sa = sa};
    int32_t *leftmost = calloc((size_t)n / 2 + 1, sizeof *leftmost);

    o.is_small = calloc((size_t)n, 1);
    o.bucket = malloc((size_t)k * sizeof *o.bucket);
    if (!leftmost || !o.is_small || !o.bucket)
        goto done;
    for (int32_t i = n - 1; i-- > 0;)
        o.is_small[i] = s[i] < s[i + 1] || (s[i] == s[i + 1] && o.is_small[i + 1]);
    for (int32_t i = 0; i < n; i++)
        if (is_leftmost(&o, i))
            leftmost[m++] = i;
    induce(&o, leftmost, m);
    if (m > 1) {
        if (!sort_leftmost(&o, leftmost, m))
            goto done;
        induce(&o, leftmost, m);
    }
    ok = true;
done:
    free(leftmost);
    free(o.is_small);
    free(o.bucket);
    return ok;
}

/* The length of the longest end of the text that stands somewhere else in it too: the longest border of any beginning of the text
 * read backwards (Knuth, Morris, Pratt). False: out of memory. */
static bool repeated_end(uint32_t *longest, dr_str text)
{
    uint32_t *border = malloc(text.n * sizeof *border);
    const char *last = text.s + text.n - 1;

    *longest = 0;
    if (!border)
        return false;
    border[0] = 0;
    for (size_t i = 1; i < text.n; i++) {
        uint32_t k = border[i - 1];
        while (k && *(last - k) != *(last - i))
            k = border[k - 1];
        border[i] = k + (*(last - k) == *(last - i));
        *longest = border[i] > *longest ? border[i] : *longest;
    }
    free(border);
    return true;
}

static bool mark_suffixes(const dr_substrings *x, dr_marks *m, dr_str text, uint32_t end)
{
    const size_t words = text.n / 64 + 1;
    uint32_t n = 0;

    m->bits = calloc(words, sizeof *m->bits);
    m->before = malloc(words * sizeof *m->before);
    if (!m->bits || !m->before)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        const uint32_t at = x->suffix[i];
        if (at < end && (at == 0 || text.s[at - 1] == '\n'))
            m->bits[i / 64] |= UINT64_C(1) << i % 64;
    }
    for (size_t w = 0; w < words; w++) {
        m->before[w] = n;
        n += (uint32_t)__builtin_popcountll(m->bits[w]);
    }
    return true;
}

static uint32_t marks_before(const dr_marks *m, uint32_t i)
{
    return m->before[i / 64] + (uint32_t)__builtin_popcountll(m->bits[i / 64] & ((UINT64_C(1) << i % 64) - 1));
}

uint32_t dr_marks__count(const dr_marks *m, uint32_t lo, uint32_t hi)
{
    return marks_before(m, hi) - marks_before(m, lo);
}

dr_status dr_substrings_new(dr_substrings **out, dr_str text, dr_error *err)
{
    dr_status st = DR_OK;
    dr_substrings *x = NULL;
    int32_t *values = NULL;
    uint32_t repeated = 0;

    *out = NULL;
    if (text.n >= INT32_MAX)
        return dr_fail(err, DR_ERR_LIMIT, "substrings: a text of %zu bytes is too long", text.n);
    x = calloc(1, sizeof *x);
    values = malloc((text.n + 1) * sizeof *values);
    if (!x || !values || !(x->suffix = malloc((text.n + 1) * sizeof *x->suffix))) {
        st = dr_fail(err, DR_ERR_NOMEM, "substrings: out of memory");
        goto done;
    }
    for (size_t i = 0; i < text.n; i++)
        values[i] = (uint8_t)text.s[i];
    /* Places are below 2^31: the same bits in either sign. */
    if (text.n && (!sort_suffixes((int32_t *)x->suffix, values, (int32_t)text.n, 256) || !repeated_end(&repeated, text))) {
        st = dr_fail(err, DR_ERR_NOMEM, "substrings: out of memory");
        goto done;
    }
    x->n_alone = (uint32_t)text.n - repeated;
    if (!mark_suffixes(x, &x->line, text, (uint32_t)text.n) || !mark_suffixes(x, &x->alone, text, x->n_alone)) {
        st = dr_fail(err, DR_ERR_NOMEM, "substrings: out of memory");
        goto done;
    }
    x->rows = (dr_rows){.text = text, .suffix = x->suffix, .n = (uint32_t)text.n};
    if (!(x->forks = dr_forks__new(&x->rows))) {
        st = dr_fail(err, DR_ERR_NOMEM, "substrings: out of memory");
        goto done;
    }
    *out = x;
    x = NULL;
done:
    free(values);
    dr_substrings_free(x);
    return st;
}

void dr_substrings_free(dr_substrings *x)
{
    if (!x)
        return;
    dr_forks__free(x->forks);
    free(x->suffix);
    free(x->line.bits);
    free(x->line.before);
    free(x->alone.bits);
    free(x->alone.before);
    free(x);
}
