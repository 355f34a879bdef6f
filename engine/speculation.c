#include "engine/speculation.h"

#include "engine/sampler.h"
#include "engine/timeline.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* A number of drafts is an arm; what it gains is measured in tokens and time a pass. */
enum {
    ARMS = DR_DRAFTS_AT_MOST + 1,
    TRIALS = 3,  /* passes of every arm before the best one is believed */
    EXPLORE = 48 /* passes between two looks at an arm that is not the best */
};
static const double FORGET = 0.125; /* weight of the newest pass in an average */

typedef struct arm {
    double tokens, us; /* a pass, averaged */
    int64_t n;
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
    int32_t now; /* arm of the pass under way, -1 before the first */
    int64_t pass_tokens;
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
    const double weight = a->n < 1 / FORGET ? 1.0 / (double)(a->n + 1) : FORGET;
    a->tokens += weight * ((double)s->pass_tokens - a->tokens);
    a->us += weight * ((double)s->pass_us - a->us);
    a->n++;
    s->now = -1;
}

static int32_t choose_arm(const dr_speculation *s)
{
    int32_t best = 0, rarest = 0;

    if (!s->adaptive)
        return s->max_drafts;
    for (int32_t k = 0; k <= s->max_drafts; k++) {
        const arm *a = &s->arms[k], *b = &s->arms[best];
        if (a->n < TRIALS)
            return k;
        if (a->tokens * b->us > b->tokens * a->us)
            best = k;
        if (a->n < s->arms[rarest].n)
            rarest = k;
    }
    return s->stat.n_passes % EXPLORE == 0 ? rarest : best;
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
        s->pass_tokens++;
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
    s->pass_tokens = 1;
    s->pass_us = dr_clock_us() - start;
    s->stat.n_tokens++;
    s->stat.n_passes++;
    s->stat.n_drafted += n;
    return DR_OK;
}
