#include "engine/sampler.h"
#include "kernels/ops.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 99;

static uint32_t below(uint32_t n)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

static float random_logit(void)
{
    return (float)below(4000) / 200.0f - 10.0f;
}

static dr_sampler *new_sampler(float temperature, float top_p, float min_p, uint64_t seed, int32_t vocab)
{
    dr_sampler *s;
    assert_int_equal(dr_sampler_new(&s, (dr_sampling){temperature, top_p, min_p, seed}, vocab, NULL), DR_OK);
    return s;
}

static int32_t pick(dr_sampler *s, const float *logits, const dr_constraint *c, const dr_tokenizer *t)
{
    int32_t id = -1;
    assert_int_equal(dr_sampler_pick(s, &id, logits, c, t, NULL), DR_OK);
    return id;
}

static void sampler__greedy_takes_the_largest_and_ties_go_low(void **state)
{
    (void)state;
    enum { N = 1000 };
    float l[N];
    for (int round = 0; round < 300; round++) {
        const int32_t n = 1 + (int32_t)below(N);
        dr_sampler *s = new_sampler(0, 1, 0, 0, n);
        int32_t want = 0;
        for (int32_t i = 0; i < n; i++) {
            l[i] = (float)below(round % 2 ? 5 : 100000);
            if (below(50) == 0)
                l[i] = NAN;
        }
        for (int32_t i = 1; i < n; i++)
            if (l[i] > (isnan(l[want]) ? -INFINITY : l[want]))
                want = i;
        if (!isnan(l[want]))
            assert_int_equal(pick(s, l, NULL, NULL), want);
        dr_sampler_free(s);
    }
    dr_sampler *s = new_sampler(0, 1, 0, 0, 3);
    assert_int_equal(pick(s, (float[]){-INFINITY, -INFINITY, -INFINITY}, NULL, NULL), 0);
    assert_int_equal(pick(s, (float[]){-INFINITY, -1e30f, -INFINITY}, NULL, NULL), 1);
    assert_int_equal(pick(s, (float[]){1, INFINITY, 2}, NULL, NULL), 1);
    dr_sampler_free(s);
}

/* Legal: the digits, one letter in eight of the longer tokens' first letters, and a control token. */
typedef struct place {
    dr_tokenizer *t;
    dr_grammar *g;
    dr_constraint *c;
    int32_t n;
} place;

enum { LONGER = 700 };

static place new_place(uint64_t letters)
{
    static const char *const controls[] = {"<eos>"};
    static char room[LONGER][4];
    dr_str longer[LONGER];
    place p;
    for (int i = 0; i < LONGER; i++) {
        room[i][0] = (char)('a' + i % 26);
        room[i][1] = (char)('a' + i / 26);
        longer[i] = (dr_str){room[i], 2};
    }
    p.t = byte_tokenizer(longer, LONGER - 26, controls, 1);
    p.n = dr_tokenizer_size(p.t);
    p.g = dr_grammar_new();
    const uint64_t first[4] = {0, letters << ('a' - 64)}, any[4] = {~UINT64_C(0), ~UINT64_C(0)};
    const dr_node word[] = {dr_grammar_bytes(p.g, first), dr_grammar_repeat(p.g, dr_grammar_bytes(p.g, any), 0, 1)};
    const dr_node either[] = {dr_grammar_sequence(p.g, word, 2), dr_grammar_control(p.g, dr_tokenizer_special(p.t, "<eos>"))};
    assert_int_equal(dr_constraint_new(&p.c, p.g, dr_grammar_choice(p.g, either, 2), NULL), DR_OK);
    return p;
}

static void free_place(place *p)
{
    dr_constraint_free(p->c);
    dr_grammar_free(p->g);
    dr_tokenizer_close(p->t);
}

static void sampler__only_legal_tokens_are_picked(void **state)
{
    (void)state;
    static const uint64_t masks[] = {1, 0x11111, 0x3ffffff}; /* narrow places are listed, wide ones tested in order */
    for (size_t m = 0; m < 3; m++) {
        place p = new_place(masks[m]);
        float *l = malloc((size_t)p.n * sizeof *l);
        for (int round = 0; round < 200; round++) {
            dr_sampler *greedy = new_sampler(0, 1, 0, 0, p.n), *warm = new_sampler(1, 0.9f, 0.01f, (uint64_t)round, p.n);
            int32_t want = -1;
            for (int32_t i = 0; i < p.n; i++) {
                l[i] = random_logit();
                if (dr_constraint_allows(p.c, p.t, i) && (want < 0 || l[i] > l[want]))
                    want = i;
            }
            assert_int_equal(pick(greedy, l, p.c, p.t), want);
            assert_true(dr_constraint_allows(p.c, p.t, pick(warm, l, p.c, p.t)));
            dr_sampler_free(greedy);
            dr_sampler_free(warm);
        }
        free(l);
        free_place(&p);
    }
}

/* Probabilities by the definition, in double, by sorting. */
static void exact(double *p, const float *l, int32_t n, const place *where, double temperature, double top_p, double min_p)
{
    double sum = 0, largest = 0, got = 0;
    float top = -INFINITY;
    bool *kept = calloc((uint32_t)n, sizeof *kept);
    for (int32_t i = 0; i < n; i++)
        if ((!where || dr_constraint_allows(where->c, where->t, i)) && l[i] > top)
            top = l[i];
    for (int32_t i = 0; i < n; i++) {
        p[i] = !where || dr_constraint_allows(where->c, where->t, i) ? exp(((double)l[i] - (double)top) / temperature) : 0;
        sum += p[i];
    }
    for (int32_t i = 0; i < n; i++) {
        p[i] /= sum;
        largest = p[i] > largest ? p[i] : largest;
    }
    while (got < top_p) { /* the next largest, ties to the lower id */
        int32_t best = -1;
        for (int32_t i = 0; i < n; i++)
            if (!kept[i] && p[i] > 0 && (best < 0 || p[i] > p[best]))
                best = i;
        if (best < 0 || p[best] < min_p * largest)
            break;
        kept[best] = true;
        got += p[best];
    }
    for (int32_t i = 0; i < n; i++)
        p[i] = kept[i] ? p[i] / got : 0;
    free(kept);
}

static void sampler__draws_follow_the_distribution(void **state)
{
    (void)state;
    static const struct {
        float temperature, top_p, min_p;
    } how[] = {{1, 1, 0}, {0.7f, 1, 0}, {1.5f, 0.8f, 0}, {1, 1, 0.1f}, {1, 0.9f, 0.05f}, {1, 0.3f, 0.5f}, {2, 0.999f, 0}};
    enum { DRAWS = 2000 };
    for (int constrained = 0; constrained < 3; constrained++) {
        place p = new_place(constrained == 1 ? 3 : 0x155555);
        float *l = malloc((size_t)p.n * sizeof *l);
        double *want = malloc((size_t)p.n * sizeof *want);
        int *seen = malloc((size_t)p.n * sizeof *seen);
        for (size_t h = 0; h < sizeof how / sizeof how[0]; h++) {
            dr_sampler *s = new_sampler(how[h].temperature, how[h].top_p, how[h].min_p, h, p.n);
            for (int32_t i = 0; i < p.n; i++) {
                l[i] = random_logit() / 3;
                seen[i] = 0;
            }
            exact(want, l, p.n, constrained ? &p : NULL, (double)how[h].temperature, (double)how[h].top_p, (double)how[h].min_p);
            for (int i = 0; i < DRAWS; i++)
                seen[pick(s, l, constrained ? p.c : NULL, p.t)]++;
            double chi = 0;
            int cells = 0;
            for (int32_t i = 0; i < p.n; i++) {
                const double expected = want[i] * DRAWS;
                if (want[i] == 0)
                    assert_int_equal(seen[i], 0);
                if (expected < 5)
                    continue;
                chi += (seen[i] - expected) * (seen[i] - expected) / expected;
                cells++;
            }
            /* Five standard deviations of a chi-square with so many cells. */
            if (chi > cells + 5 * sqrt(2.0 * cells) + 5)
                print_message("setting %zu, constrained %d: chi %.1f over %d cells\n", h, constrained, chi, cells);
            assert_true(chi <= cells + 5 * sqrt(2.0 * cells) + 5);
            dr_sampler_free(s);
        }
        free(seen);
        free(want);
        free(l);
        free_place(&p);
    }
}

static void sampler__the_seed_decides(void **state)
{
    (void)state;
    enum { N = 500 };
    float l[N];
    int32_t drawn[3][40];
    for (int i = 0; i < N; i++)
        l[i] = (float)((i * 7919) % 101) / 20.0f;
    for (int run = 0; run < 3; run++) {
        dr_sampler *s = new_sampler(1, 0.95f, 0, run == 2 ? 6 : 5, N);
        for (int i = 0; i < 40; i++)
            drawn[run][i] = pick(s, l, NULL, NULL);
        dr_sampler_free(s);
    }
    assert_memory_equal(drawn[0], drawn[1], sizeof drawn[0]);
    assert_memory_not_equal(drawn[0], drawn[2], sizeof drawn[0]);
    /* The same on every machine: written down once. */
    static const int32_t first[] = {172, 293, 428, 36, 152, 374, 133, 214, 310, 219, 379, 482};
assert_memory_equal(drawn[0], first, sizeof first);
}

static void sampler__bad_settings_and_dead_ends_are_errors(void **state)
{
    (void)state;
    static const dr_sampling bad[] = {{-1, 1, 0, 0}, {NAN, 1, 0, 0}, {INFINITY, 1, 0, 0}, {1, 1.5f, 0, 0}, {1, NAN, 0, 0}, {1, 1, -0.1f, 0}, {1, 1, 2, 0}};
    dr_sampler *s;
    dr_error err;
    int32_t id;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(dr_sampler_new(&s, bad[i], 10, &err), DR_ERR_ARG);
        assert_null(s);
    }
    assert_int_equal(dr_sampler_new(&s, (dr_sampling){0, 1, 0, 0}, 0, &err), DR_ERR_ARG);
    place p = new_place(1);
    float *l = calloc((size_t)p.n, sizeof *l);
    s = new_sampler(0, 1, 0, 0, p.n);
    assert_int_equal(dr_constraint_advance(p.c, p.t, dr_tokenizer_special(p.t, "<eos>"), NULL), DR_OK);
    assert_int_equal(dr_sampler_pick(s, &id, l, p.c, p.t, &err), DR_ERR_NOT_FOUND);
    dr_sampler_free(s);
    free(l);
    free_place(&p);
}

static void sampler__picking_allocates_nothing(void **state)
{
    (void)state;
    place p = new_place(1);
    float *l = malloc((size_t)p.n * sizeof *l);
    for (int32_t i = 0; i < p.n; i++)
        l[i] = random_logit();
    dr_sampler *greedy = new_sampler(0, 1, 0, 0, p.n), *warm = new_sampler(1, 0.9f, 0, 0, p.n);
    const long before = alloc_count();
    for (int i = 0; i < 10; i++) {
        (void)pick(greedy, l, p.c, p.t);
        (void)pick(warm, l, p.c, p.t);
    }
    assert_int_equal(alloc_count(), before);
    dr_sampler_free(greedy);
    dr_sampler_free(warm);
    free(l);
    free_place(&p);
}

static void sampler__failed_allocations_are_reported(void **state)
{
    (void)state;
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_sampler *s;
        alloc_fail_at(at);
        const dr_status st = dr_sampler_new(&s, (dr_sampling){1, 1, 0, 0}, 100, NULL);
        failed = alloc_fail_off();
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        dr_sampler_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampler__greedy_takes_the_largest_and_ties_go_low),
        cmocka_unit_test(sampler__only_legal_tokens_are_picked),
        cmocka_unit_test(sampler__draws_follow_the_distribution),
        cmocka_unit_test(sampler__the_seed_decides),
        cmocka_unit_test(sampler__bad_settings_and_dead_ends_are_errors),
        cmocka_unit_test(sampler__picking_allocates_nothing),
        cmocka_unit_test(sampler__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
