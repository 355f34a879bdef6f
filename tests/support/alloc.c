#include "tests/support/alloc.h"

#include <errno.h>
#include <stdatomic.h>

/* The names are the linker's: --wrap=malloc sends calls of malloc here. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
int __real_posix_memalign(void **out, size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
int __wrap_posix_memalign(void **out, size_t align, size_t n);

static atomic_long calls;
static atomic_long left = -1; /* allocations until the one that fails; negative: none will */
static atomic_bool failed;

void alloc_fail_at(long n)
{
    atomic_store(&failed, false);
    atomic_store(&left, n);
}

bool alloc_fail_off(void)
{
    atomic_store(&left, -1);
    return atomic_load(&failed);
}

long alloc_count(void)
{
    return atomic_load(&calls);
}

static bool fails(void)
{
    atomic_fetch_add(&calls, 1);
    if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) != 0)
        return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails() ? NULL : __real_aligned_alloc(align, n);
}

int __wrap_posix_memalign(void **out, size_t align, size_t n)
{
    return fails() ? ENOMEM : __real_posix_memalign(out, align, n);
}
