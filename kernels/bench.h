/* kernels/bench.h: how fast the slots are on this machine, beside what the machine can do.
 *
 * One thread, CPU time of the thread (neighbours take wall time, not this), the best of several rounds. The roofs are
 * measured in the same call: reads from a buffer beyond the second-level cache, and the level's multiply-add with all operands in
 * registers. Takes a few seconds and about 300 MB. */
#ifndef DR_KERNELS_BENCH_H
#define DR_KERNELS_BENCH_H

#include "kernels/ops.h"

typedef struct dr_bench_line {
    const char *name; /* "gemm m=512 n=640 k=256"; valid during the call */
    const char *unit; /* "GFLOP/s", "GB/s", "ns a row" */
    double value;
    double roof;      /* in the same unit; 0: none */
} dr_bench_line;

/* Called once a line, in a fixed order. */
typedef void dr_bench_fn(void *arg, const dr_bench_line *line);

/* n_rounds: 0 for the usual number. DR_ERR_NOMEM. */
dr_status dr_bench_kernels(const dr_ops *ops, int n_rounds, dr_bench_fn *fn, void *arg, dr_error *err);

#endif
