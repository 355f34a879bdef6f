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

/* Greedy decoding of 256 tokens behind 512 pseudo-random ones, plain and speculated (speculation.h, adaptive), in turns. What a
 * text gains depends on the text: a model that repeats itself is easy to guess. */
typedef struct dr_speculation_bench {
    double plain_tokens_s, tokens_s;
    double drafts;         /* at most, a pass */
    double tokens_a_pass;  /* of one round without back-off, with so many drafts */
    double accepted;       /* part of its drafts */
} dr_speculation_bench;

/* A checkpoint without an MTP block gives zeros. */
dr_status dr_engine_bench_speculation(dr_speculation_bench *out, const dr_model *model, dr_queue *queue, dr_error *err);

/* What moving a timeline of 100,000 tokens costs in CPU time with the shapes of DeepSeek-V4-Flash. No weights are needed: the state has the
 * sizes of a real one and zeros in it. Takes 800 MB for a second. */
typedef struct dr_timeline_bench {
    double fork_us;                     /* dr_decoder_fork */
    double fork_write_us;               /* what the first pass behind a fork copies before it runs: windows, tails, one page */
    double fork_own_mb, fork_shared_mb; /* memory of the fork before that */
    double step_back_us;                /* rewind over 32 tokens */
    double snapshot_us;                 /* going back to a kept snapshot, before anything is replayed */
    double save_ms, load_ms;            /* all blocks and the anchor, into and out of one buffer */
    double state_mb;                    /* how much that is */
} dr_timeline_bench;

dr_status dr_engine_bench_timelines(dr_timeline_bench *out, const dr_ops *ops, dr_queue *queue, dr_error *err);

#endif
