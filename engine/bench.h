/* engine/bench.h: how fast a model runs on this machine, for `deepread bench engine`.
 *
 * Medians over repetitions, in wall time (what a user waits) and in CPU time of all threads (what neighbours cannot
 * stretch). */
#ifndef DR_ENGINE_BENCH_H
#define DR_ENGINE_BENCH_H

#include "engine/model.h"

typedef struct dr_engine_rate {
    double tokens_per_s;     /* by the wall clock */
    double cpu_us_per_token; /* summed over threads, waiting workers included */
} dr_engine_rate;

typedef struct dr_engine_bench {
    dr_engine_rate prefill_512, prefill_2048; /* from position 0 */
    dr_engine_rate decode;                    /* steps at positions 512 .. 639 */
    double state_us, restore_us;              /* exporting and importing the anchor of position 512 */
    double decode_bytes_per_token;            /* of packed weights read */
} dr_engine_bench;

/* The tokens are pseudo-random ids, the same every time. n_rounds: 0 for the usual number (5). Takes n_rounds times the
 * work of 3,200 tokens. */
dr_status dr_engine_bench_run(dr_engine_bench *out, const dr_model *model, dr_queue *queue, int n_rounds,
                              dr_error *err);

#endif
