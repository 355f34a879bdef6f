/* The MTP block beside a timeline (spec 3.12): a window that follows, and drafts. What it knows is in dr_mtp_state. */
#include "engine/forward.h"

#include <assert.h>
#include <string.h>

static int64_t token_values(const dr_decoder *d)
{
    return (int64_t)d->model->config.hc_mult * d->model->config.dim;
}

static dr_window *window_of(dr_decoder *d)
{
    return &d->layers[d->model->config.n_layers].window;
}

static void forget_pairs(dr_decoder *d)
{
    if (d->model->config.n_mtp && d->state)
        dr_window__reset(window_of(d), 0); /* empty: touches no rows, which forks may share */
    d->mtp.n_pairs = 0;
}

void dr_mtp__reset(dr_decoder *d)
{
    forget_pairs(d);
    d->mtp.position = d->position ? -1 : 0;
    d->mtp.next = d->position;
    d->mtp.n_waiting = 0;
}

void dr_mtp__copy(dr_decoder *d, const dr_decoder *from)
{
    float *waiting = d->mtp.waiting;

    d->mtp = from->mtp;
    d->mtp.waiting = waiting;
    if (d->mtp.n_waiting)
        memcpy(waiting, from->mtp.waiting, (size_t)(d->mtp.n_waiting * token_values(d)) * sizeof *waiting);
}

/* Pairs of consecutive tokens into the window; next_ids are the tokens behind theirs. */
static void append_pairs(dr_decoder *d, const float *streams, const int32_t *next_ids, int64_t n)
{
    if (n == 0)
        return;
    dr_forward__mtp_rows(d, streams, next_ids, d->mtp.n_pairs, n);
    d->mtp.n_pairs += n;
}

void dr_mtp__follow(dr_decoder *d, int64_t n, int64_t n_left)
{
    const int64_t token = token_values(d), length = d->model->config.window, pos = d->position;
    const int64_t wanted = length > n_left ? length - n_left : 0; /* what is still in the window at the end of the call */
    const int64_t fresh = n - 1 < wanted ? n - 1 : wanted;
    const float *streams = d->scratch->streams + token;
    dr_mtp_state *m = &d->mtp;
    const bool goes_on = m->next + m->n_waiting == pos;

    if (goes_on && m->n_waiting + n <= DR_MTP_WAITING) {
        dr_mtp__wait(d, n);
        return;
    }
    if (fresh < n - 1)
        forget_pairs(d);
    else if (m->n_waiting && goes_on)
        append_pairs(d, m->waiting, d->tokens + m->next + 1, m->n_waiting);
    append_pairs(d, streams + (n - 1 - fresh) * token, d->tokens + pos + n - fresh, fresh);
    memcpy(m->waiting, streams + (n - 1) * token, (size_t)token * sizeof *streams);
    m->next = pos + n - 1;
    m->n_waiting = 1;
}

void dr_mtp__wait(dr_decoder *d, int64_t n)
{
    const int64_t token = token_values(d);
    dr_mtp_state *m = &d->mtp;

    if (m->next + m->n_waiting != d->position) { /* streams before these are not known */
        m->next = d->position;
        m->n_waiting = 0;
    }
    assert(m->n_waiting + n <= DR_MTP_WAITING);
    memcpy(m->waiting + m->n_waiting * token, d->scratch->streams + token, (size_t)(n * token) * sizeof *m->waiting);
    m->n_waiting += (int32_t)n;
}

void dr_mtp__went_back(dr_decoder *d, int64_t position)
{
    dr_mtp_state *m = &d->mtp;

    m->position = -1;
    if (m->next <= position) {
        if (m->n_waiting > position - m->next)
            m->n_waiting = (int32_t)(position - m->next);
        return;
    }
    /* Pairs from position - 1 on hold tokens that are gone; they are the last ones of the window. */
    const int64_t n = m->n_pairs - (m->next - (position - 1));
    if (n > 0 && dr_window__can_rewind(window_of(d), n)) {
        m->n_pairs = n;
        window_of(d)->end = n;
    } else {
        forget_pairs(d);
    }
    m->next = position;
    m->n_waiting = 0;
}

/* Of the pair that went through the block; its streams stay, and stand in for the backbone's when it goes on. */
static void draft_logits(dr_decoder *d, float *logits)
{
    dr_forward__head(d, logits, &d->model->mtp.head, d->scratch->mtp_streams, 1);
}

bool dr_mtp__draft(dr_decoder *d, float *logits, int32_t id)
{
    dr_mtp_state *m = &d->mtp;
    const int64_t n = d->position - m->next;

    if (n <= 0 || n > m->n_waiting)
        return false;
    append_pairs(d, m->waiting, d->tokens + m->next + 1, n - 1);
    dr_forward__mtp(d, m->waiting + (n - 1) * token_values(d), &id, m->n_pairs, 1);
    draft_logits(d, logits);
    m->n_pairs++;
    m->next = d->position;
    m->n_waiting = 0;
    return true;
}

void dr_mtp__draft_on(dr_decoder *d, float *logits, int32_t draft, int64_t n)
{
    dr_forward__mtp(d, d->scratch->mtp_streams, &draft, d->mtp.n_pairs + n - 1, 1);
    draft_logits(d, logits);
}

void dr_mtp__drop_drafts(dr_decoder *d)
{
    window_of(d)->end = d->mtp.n_pairs;
}
