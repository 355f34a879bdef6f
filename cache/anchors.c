#include "cache/anchors.h"

int64_t dr_anchor_next(const dr_anchor_plan *p, int64_t at)
{
    const int64_t start = at > p->from ? at : p->from;
    int64_t next = (start / DR_ANCHOR_EVERY + 1) * DR_ANCHOR_EVERY;
    int64_t before = p->from; /* the last anchor in front of the prompt's last token, marks and multiples counted */

    for (int i = 0; i < p->n_marks; i++) {
        if (p->marks[i] > start && p->marks[i] < next)
            next = p->marks[i];
        if (p->marks[i] > before && p->marks[i] < p->n)
            before = p->marks[i];
    }
    if (p->chain_tokens > start && p->chain_tokens < next)
        next = p->chain_tokens;
    const int64_t multiple = (p->n - 1) / DR_ANCHOR_EVERY * DR_ANCHOR_EVERY;
    before = multiple > before ? multiple : before;
    if (p->n - 1 > start && p->n - 1 < next && p->n - 1 - before >= DR_ANCHOR_LAST)
        next = p->n - 1;
    return next < p->n ? next : p->n;
}
