/* cache/anchors.h: along a prompt, where anchors are kept, so that the next prompt that shares some of it loses little.
 *
 * Prompts part where one of them ended, or where what the caller marks ended, or (rarely) anywhere:
 *
 *   every DR_ANCHOR_EVERY tokens               bounds what a prompt that parts anywhere loses
 *   at every mark                              end of the base, of the commits, of the pack, of the instructions
 *   at the end of a turn                       the next turn begins there; the caller stores it itself, once the turn is over
 *   one token before the prompt's end          for the same prompt again, when the last anchor is DR_ANCHOR_LAST or more behind: the
 *                                              last token is always computed, for its logits
 *   where the stored blocks of it end          two prompts have parted about there, and a third may
 *
 * Pure functions, any thread. */
#ifndef DR_CACHE_ANCHORS_H
#define DR_CACHE_ANCHORS_H

#include <stdint.h>

enum {
    DR_ANCHOR_EVERY = 8192, /* of Flash's 3.5 KB a token, snapshots are a tenth then */
    DR_ANCHOR_LAST = 1024
};

typedef struct dr_anchor_plan {
    const int64_t *marks; /* ascending */
    int n_marks;
    int64_t n;            /* tokens of the prompt */
    int64_t from;         /* where computing begins: an anchor is there, or nothing at all */
    int64_t chain_tokens; /* of dr_kv_hit: how far whole blocks were found */
} dr_anchor_plan;

/* The first position behind `at` where an anchor belongs, or n when there is none before it. */
int64_t dr_anchor_next(const dr_anchor_plan *p, int64_t at);

#endif
