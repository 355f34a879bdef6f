/* cache/direct.h: reads of a file past the page cache, so large that one after the other keeps the disk busy. Internal to cache/.
 *
 * A prefix is restored once in a session and fills gigabytes: through the page cache it pushes out the weights that lie there, and pages have
 * to be found for it first. The disk writes straight into a buffer of huge pages (where the system has them), so that a request has few pieces.
 *
 * Measured on two virtual cores and a virtual disk (ext4), records of 7 MiB copied on and checked slab by slab, 2.1 GB: 2.2 to 2.3 GB/s
 * with 0.28 s of CPU time; through the page cache 1.1 to 1.9 GB/s with 0.4 to 1.1 s. The requests alone, one at a time: 3.1 to 3.3 GB/s,
 * in pages of 4 KiB 1.7 to 2.1. Several at once (Linux AIO, threads) were no faster; a second thread that reads or checks made it
 * slower, as waking it takes milliseconds now and then. */
#ifndef DR_CACHE_DIRECT_H
#define DR_CACHE_DIRECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { DR_DIRECT_BYTES = 8 << 20 }; /* at most at once */

typedef struct dr_direct {
    int fd; /* -1: not possible here */
    pthread_mutex_t lock;
    uint8_t *buffer; /* made at the first read, kept; whoever has the lock has it */
    size_t page_bytes;
    atomic_uint_fast64_t n_reads; /* for tests: that succeeded */
} dr_direct;

/* Opens the file of fd once more. That it cannot be read so is no error. page_bytes: a power of two that divides every place. */
void dr_direct__init(dr_direct *d, int fd, size_t page_bytes);
/* Also of a zeroed one. */
void dr_direct__fini(dr_direct *d);

/* The n bytes at `at`, in the buffer until dr_direct__done. NULL: not this way (another thread has the buffer, the file is shorter, the disk
 * failed, no memory); the caller reads through the page cache, which says what is wrong. */
const uint8_t *dr_direct__read(dr_direct *d, uint64_t at, size_t n);
void dr_direct__done(dr_direct *d);

#endif
