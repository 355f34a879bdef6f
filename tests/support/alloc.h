/* tests/support/alloc.h: counts the allocations of the code under test, and makes one of them fail.
 *
 * Linked with -Wl,--wrap, so it sees calls made by our own objects, not those inside shared libraries. Any thread;
 * arm and read it while no other thread allocates. */
#ifndef DR_TESTS_SUPPORT_ALLOC_H
#define DR_TESTS_SUPPORT_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now (0 is the next) returns NULL, and only that one. */
void alloc_fail_at(long n);
/* No allocation fails. Returns whether one did since alloc_fail_at. */
bool alloc_fail_off(void);

/* Calls of malloc, calloc, realloc, aligned_alloc and posix_memalign so far. */
long alloc_count(void);

#endif
