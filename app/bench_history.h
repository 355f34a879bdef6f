/* app/bench_history.h: `deepread bench ingest --history`: what one more commit costs, on the repository's own past.
 *
 * The last N first-parent commits of --rev (HEAD when none is given; fewer when there are fewer) are packed in full one after the
 * other, starting with an empty cache one commit before them, as if someone had asked a question after each. The base commit
 * is chosen by the rules of app/pack.h: the first one, until the overlay outgrows it or the rules of the repository change.
 *
 *   after     bytes of a pack from its first token on that differs from the pack before, in percent of all its bytes: what a
 *             prefix cache computes again. A repack counts with all that it changes.
 *   times     of reading the commit and building its pack with everything known about the commit before: wall and CPU of all
 *             threads. Opening the tokenizer and the cache is not in them, nor is writing new facts to disk.
 *
 * Percentiles are of the commits; the 90th is the smallest value that 90 % of them do not exceed. */
#ifndef DR_APP_BENCH_HISTORY_H
#define DR_APP_BENCH_HISTORY_H

#include "app/bench.h"

#include <stdatomic.h>

enum { DR_BENCH_HISTORY_COMMITS = 200 };

/* folder: of a cache that is empty or not there yet; the caller deletes it. The figures go into `report`, with one member
 * "commits" more: a list of {commit, tokens, bytes, after_bytes, repacked, wall_ms, cpu_ms}.
 * DR_ERR_NOT_FOUND: no history here, or one commit only. DR_ERR_CANCELLED. */
dr_status dr_bench_history(const dr_options *opt, size_t n_commits, const char *folder, json_t *report, dr_output *out,
                           const atomic_bool *cancel, dr_error *err);

#endif
