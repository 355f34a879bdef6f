/* base/threads.h: a fixed pool of workers for data-parallel loops.
 *
 * The caller's thread is worker 0, so a pool of 1 starts no thread. Workers spin briefly between loops and
 * then sleep, so an idle program uses no CPU. They run what they are given and never call back out.
 *
 * Every worker, the caller's thread included while inside dr_pool_run, runs with floating-point denormals flushed
 * (FTZ and DAZ): the tile instructions flush them whatever MXCSR says, and N2 wants one answer on
 * every instruction set. The caller's mode is restored on return.
 *
 * One thread at a time may call dr_pool_run on a pool. */
#ifndef DR_BASE_THREADS_H
#define DR_BASE_THREADS_H

#include "base/status.h"

#include <stdint.h>

typedef struct dr_pool dr_pool;

/* n_threads 0: one per CPU this process may use. At most 256. */
dr_status dr_pool_new(dr_pool **out, int n_threads, dr_error *err);
void dr_pool_free(dr_pool *p);
int dr_pool_size(const dr_pool *p);

/* Calls fn(arg, begin, end, worker) over [0, n) in contiguous ranges of at least `grain` items (the last may
 * be shorter), each range exactly once, and returns when all are done. Ranges depend on n, grain and the pool size
 * only, so a result must not depend on how [0, n) is cut. worker is in [0, size). */
typedef void dr_range_fn(void *arg, int64_t begin, int64_t end, int worker);
void dr_pool_run(dr_pool *p, int64_t n, int64_t grain, dr_range_fn *fn, void *arg);

/* Sets FTZ and DAZ on this thread, returns what dr_flush_denormals_restore wants. For a kernel called without a pool. */
uint32_t dr_flush_denormals(void);
void dr_flush_denormals_restore(uint32_t saved);

#endif
