/* tests/cache/io_fault.h: makes calls that write, sync or read files fail, for the code under test and for LMDB alike.
 *
 * The program's own pwrite, pwritev, writev, write, fdatasync, fsync, pread and preadv stand in front of the C library's. Any thread. */
#ifndef DR_TESTS_CACHE_IO_FAULT_H
#define DR_TESTS_CACHE_IO_FAULT_H

#include <stdbool.h>

typedef enum io_kind { IO_WRITES = 1, IO_SYNCS = 2, IO_READS = 4 } io_kind;

/* The calls of these kinds (or-ed) from the n-th on (0 is the next), `times` of them, fail with `code`, an errno; code 0: a write takes only half of
 * its bytes, a read gives only half. */
void io_fail(int kinds, long n, long times, int code);
/* No call fails. Returns how many did. */
long io_fail_off(void);

#endif
