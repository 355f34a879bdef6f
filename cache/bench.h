/* cache/bench.h: `deepread bench cache`: the store's figures beside the machine's own, measured in the same run. */
#ifndef DR_CACHE_BENCH_H
#define DR_CACHE_BENCH_H

#include "base/status.h"

#include <stdint.h>

typedef struct dr_cache_bench {
    int64_t n_bytes, record_bytes, n_index; /* what was measured on */
    double memcpy_gb_s;                     /* of the same bytes, from memory that holds all of them */
    double write_mb_s, raw_write_mb_s;      /* into the store; into a plain file with fdatasync as often */
    double warm_gb_s;                       /* restore with everything in the page cache, checksums verified */
    double cold_gb_s, raw_cold_gb_s;        /* page cache dropped for these files; 0 where that is not possible */
    double find_us_mean, find_us_max;       /* one look-up among n_index records */
    /* At a full budget of churn_budget, churn_bytes written into it in records of record_bytes. A record is timed from its checksums to
     * the last of its syncs (the slabs, the index that names them, and before them what is evicted), a transaction from LMDB's write lock
     * to the end of its sync: that is what writers of other processes wait for. Raw: the same bytes over and over in a plain file of that
     * size, and a few pages in another, each synced, as the store cannot do with less. */
    int64_t churn_budget, churn_bytes;
    double churn_mb_s, churn_raw_mb_s;
    double churn_worst_ms, churn_p99_ms, churn_p50_ms;
    double churn_raw_worst_ms, churn_raw_p99_ms, churn_raw_p50_ms;
    double churn_txn_worst_ms;  /* the slowest transaction of the store once it was full */
    double churn_sync_worst_ms; /* the slowest single sync of the plain files: no record can promise less */
    double churn_file_part;     /* size of the file afterwards, of the budget */
} dr_cache_bench;

/* Works in a new folder under `folder`, which is deleted again. n_bytes of records of record_bytes each (a Flash block: 7.9 MB), and
 * n_index records without bytes for the look-ups; churn of 20 times churn_budget (0: none). Takes about
 * (n_bytes + 40 churn_budget) / 200 MB/s. */
dr_status dr_cache_bench_run(dr_cache_bench *out, const char *folder, int64_t n_bytes, int64_t record_bytes, int64_t n_index,
                             int64_t churn_budget, dr_error *err);

#endif
