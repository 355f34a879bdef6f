/* app/bench_ingest.h: `deepread bench ingest`: what it takes to read one repository.
 *
 * Every figure comes from child processes that do one thing each and end, so that wall time, CPU time and the most memory are
 * those of a command that does it, tokenizer and cache opened and closed included. The cache is a fresh folder beside the user's own,
 * deleted afterwards; "cold" means that this cache is empty (the system's page cache is not dropped), "warm" that the command
 * ran once before. Wall and CPU times are medians, memory is the most of all runs.
 *
 *   cold, warm                   files, secrets, tokens, the full pack (--budget N, without one everything)
 *   cold_symbols, warm_symbols   the same, then definitions and uses
 *   commit, commit_symbols       the same again with a cache that knows the commit before: the last commits of HEAD's
 *                                first-parent history one by one, each read from the object database (without symbols
 *                                only where a cold run takes less than 20 s)
 *   find_symbol                  look-ups in the warm table, and whole calls of the tool, of names there are and names there are not
 *   read, tokenize               MB a second on one thread: object database, classes, secrets; the tokenizer alone */
#ifndef DR_APP_BENCH_INGEST_H
#define DR_APP_BENCH_INGEST_H

#include "app/bench.h"

#include <stdatomic.h>

/* Called before this process has started a thread or opened a cache: it forks. */
dr_status dr_bench_ingest(const dr_options *opt, json_t *report, dr_output *out, const atomic_bool *cancel, dr_error *err);

#endif
