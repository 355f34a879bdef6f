#include "engine/speculation.h"

#include "engine/sampler.h"
#include "engine/timeline.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* How many drafts pay is two questions. How often the j-th draft is right when the ones before it were is the text's, and every
 * pass with drafts tells of it. What a pass with k drafts costs is the machine's: the median of recent ones, because a neighbour
 * makes a few of them many times as long. */
enum {
    ARMS = DR_DRAFTS_AT_MOST + 1,
    RECENT = 9,        /* passes that a median is taken of */
    TRIALS = 4,        /* passes of every arm before the best one is believed, and of one that is looked at again */
    EXPLORE = 32,      /* passes until another than the best arm is looked at ... */
    EXPLORE_MOST = 256 /* ... twice as many each time that it changed nothing */
};
static const double NEWEST = 0.1; /* weight of the newest draft in how often one is right */

typedef struct arm {
    int64_t n; /* passes so far */
    uint64_t us[RECENT];
} arm;

struct dr_speculation {
    dr_decoder *d;
    int32_t max_drafts;
    bool adaptive;
    dr_sampler *greedy;
    float *draft_logits; /* [vocab] */
    float *rows;         /* [DR_DRAFTS_AT_MOST + 1][vocab]: logits of the tokens run in the last pass */
    int64_t first;       /* position of the first of them */
    dr_speculation_stat stat;

    arm arms[ARMS];
    double right[ARMS]; /* [j]: the j-th draft, j = 1, 2, .. */
    int32_t best, trial; /* arm that is looked at, n_trials passes more */
    int32_t n_trials;
    int64_t explore_every, explore_at; /* passes */
    int32_t now, n_now;                /* arm of the pass under way, -1 before the first; its drafts */
    int32_t n_right;                   /* of them, so far */
    uint64_t pass_us;
};

dr_status dr_speculation_new(dr_speculation **out, dr_decoder *d, int32_t max_drafts, bool adaptive, dr_error *err)
{
    const dr_config *c = &d->model->config;
    const size_t vocab = (size_t)c->vocab;
    dr_speculation *s = NULL;
    dr_status st;

    *out = NULL;
    if (max_drafts < 0 || max_drafts > DR_DRAFTS_AT_MOST)
        return dr_fail(err, DR_ERR_ARG, "speculation: %d drafts a pass, expected 0 to %d", max_drafts, DR_DRAFTS_AT_MOST);
    if (d->drafting)
        return dr_fail(err, DR_ERR_ARG, "speculation: the decoder has one already");
    if (!(s = calloc(1, sizeof *s)) || !(s->draft_logits = malloc(vocab * sizeof *s->draft_logits)) ||
        !(s->rows = malloc((DR_DRAFTS_AT_MOST + 1) * vocab * sizeof *s->rows))) {
        st = dr_fail(err, DR_ERR_NOMEM, "speculation: out of memory");
        goto done;
    }
    const dr_sampling how = {.temperature = 0, .top_p = 1, .min_p = 0};
    if ((st = dr_sampler_new(&s->greedy, how, c->vocab, err)) != DR_OK)
        goto done;
    s->d = d;
    s->max_drafts = c->n_mtp ? max_drafts : 0;
    s->adaptive = adaptive;
    s->now = -1;
    s->explore_every = s->explore_at = EXPLORE;
    for (int j = 0; j < ARMS; j++)
        s->right[j] = 0.5;
    dr_decoder__settle(d);
    if (d->mtp.next + d->mtp.n_waiting != d->position)
        dr_mtp__reset(d); /* it has not followed: what its window holds is long past */
    d->drafting = s->max_drafts > 0;
    d->mtp.position = -1;
    *out = s;
    s = NULL;
done:
    if (s) {
        free(s->draft_logits);
        free(s->rows);
        free(s);
    }
    return st;
}

void dr_speculation_free(dr_speculation *s)
{
    if (!s)
        return;
    dr_decoder__settle(s->d);
    s->d->drafting = false;
    dr_sampler_free(s->greedy);
    free(s->draft_logits);
    free(s->rows);
    free(s);
}

dr_speculation_stat dr_speculation_stats(const dr_speculation *s)
{
    return s->stat;
}

/* ---- how many drafts ---- */

static void end_pass(dr_speculation *s)
{
    if (s->now < 0)
        return;
    arm *a = &s->arms[s->now];
    a->us[a->n++ % RECENT] = s->pass_us;
    for (int32_t j = 1; j <= s->n_now && j <= s->n_right + 1; j++)
        s->right[j] += NEWEST * ((j <= s->n_right) - s->right[j]);
    s->now = -1;
}

static double median_us(const arm *a)
{
    const int n = a->n < RECENT ? (int)a->n : RECENT;
    uint64_t sorted[RECENT];

    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && sorted[k - 1] > a->us[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = a->us[i];
    }
    return (double)sorted[n / 2] + 1;
}

/* Tokens a microsecond that k drafts a pass are expected to bring. */
static double rate_of(const dr_speculation *s, int32_t k)
{
    double tokens = 1, reached = 1;

    for (int32_t j = 1; j <= k; j++)
        tokens += reached *= s->right[j];
    return tokens / median_us(&s->arms[k]);
}

static int32_t choose_arm(dr_speculation *s)
{
    int32_t best = 0, rarest = -1;

    if (!s->adaptive)
        return s->max_drafts;
    if (s->n_trials > 0) {
        s->n_trials--;
        return s->trial;
    }
    for (int32_t k = 0; k <= s->max_drafts; k++) {
        if (s->arms[k].n < TRIALS)
            return k;
        if (rate_of(s, k) > rate_of(s, best))
            best = k;
    }
    if (best != s->best)
        s->explore_every = EXPLORE;
    s->best = best;
    if (s->stat.n_passes < s->explore_at)
        return best;
    s->explore_every = 2 * s->explore_every < EXPLORE_MOST ? 2 * s->explore_every : EXPLORE_MOST;
    s->explore_at = s->stat.n_passes + s->explore_every;
    for (int32_t k = 0; k <= s->max_drafts; k++)
        if (k != best && (rarest < 0 || s->arms[k].n < s->arms[rarest].n))
            rarest = k;
    if (rarest < 0)
        return best;
    s->trial = rarest;
    s->n_trials = TRIALS - 1;
    return rarest;
}

/* ---- drafting ---- */

/* The block's choice from draft_logits; false: there is none, or nothing comes behind it. */
static bool pick(dr_speculation *s, int32_t *id, const dr_constraint *c, const dr_tokenizer *t)
{
    return dr_sampler_pick(s->greedy, id, s->draft_logits, c, t, NULL) == DR_OK && *id != s->d->model->config.eos_id;
}

/* Up to n drafts behind `id`; returns how many. */
static int32_t draft(dr_speculation *s, int32_t *drafts, int32_t n, int32_t id, const dr_constraint *c, const dr_tokenizer *t)
{
    dr_constraint *behind = NULL;
    int32_t found = 0;

    if (n == 0 || !dr_mtp__draft(s->d, s->draft_logits, id))
        return 0;
    while (pick(s, &drafts[found], behind ? behind : c, t) && ++found < n) {
        if (c && ((!behind && dr_constraint_clone(&behind, c, NULL) != DR_OK) ||
                  dr_constraint_advance(behind, t, drafts[found - 1], NULL) != DR_OK))
            break;
        dr_mtp__draft_on(s->d, s->draft_logits, drafts[found - 1], found);
    }
    dr_mtp__drop_drafts(s->d);
    dr_constraint_free(behind);
    return found;
}

static void take_row(const dr_speculation *s, float *logits)
{
    const size_t vocab = (size_t)s->d->model->config.vocab;
    memcpy(logits, s->rows + (size_t)(s->d->position - s->first) * vocab, vocab * sizeof *logits);
}

dr_status dr_speculation_step(dr_speculation *s, int32_t id, float *logits, const dr_constraint *constraint,
                              const dr_tokenizer *t, const atomic_bool *cancel, dr_error *err)
{
    dr_decoder *d = s->d;
    int32_t ids[DR_DRAFTS_AT_MOST + 1];
    dr_status st = dr_decoder__check(d, &id, 1, err);

    if (st != DR_OK)
        return st;
    if (d->n_ahead > 0 && d->tokens[d->position] == id) {
        take_row(s, logits);
        d->position++;
        d->n_ahead--;
        s->n_right++;
        s->stat.n_tokens++;
        s->stat.n_accepted++;
        return DR_OK;
    }
    dr_decoder__settle(d);
    end_pass(s);

    const uint64_t start = dr_clock_us();
    const int64_t room = d->max_tokens - d->position - 1;
    const int32_t arm_now = choose_arm(s), wanted = arm_now < room ? arm_now : (int32_t)room;
    if ((st = dr_decoder__own_state(d, err)) != DR_OK)
        return st;
    ids[0] = id;
    const int32_t n = draft(s, ids + 1, wanted, id, constraint, t);
    if (n == 0) {
        if ((st = dr_decoder__run(d, &id, 1, 1, logits, cancel, err)) != DR_OK)
            return st;
    } else {
        s->first = d->position;
        if ((st = dr_decoder__run_ahead(d, ids, n + 1, s->rows, cancel, err)) != DR_OK)
            return st;
        take_row(s, logits);
        d->position++;
        d->n_ahead--;
    }
    s->now = arm_now;
    s->n_now = n;
    s->n_right = 0;
    s->pass_us = dr_clock_us() - start;
    s->stat.n_tokens++;
    s->stat.n_passes++;
    s->stat.n_drafted += n;
    return DR_OK;
}
