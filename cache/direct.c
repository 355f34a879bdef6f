#include "cache/direct.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t HUGE_PAGE = (size_t)2 << 20;

void dr_direct__init(dr_direct *d, int fd, size_t page_bytes)
{
    char path[64];

    /* By its number: under its name there may be another by now. */
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    d->fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    d->page_bytes = page_bytes;
    d->buffer = NULL;
    atomic_init(&d->n_reads, 0);
    (void)pthread_mutex_init(&d->lock, NULL);
}

void dr_direct__fini(dr_direct *d)
{
    if (!d->page_bytes)
        return;
    if (d->fd >= 0)
        (void)close(d->fd);
    free(d->buffer);
    (void)pthread_mutex_destroy(&d->lock);
    *d = (dr_direct){0};
}

const uint8_t *dr_direct__read(dr_direct *d, uint64_t at, size_t n)
{
    const size_t whole = (n + d->page_bytes - 1) / d->page_bytes * d->page_bytes;

    if (d->fd < 0 || whole > DR_DIRECT_BYTES || pthread_mutex_trylock(&d->lock) != 0)
        return NULL;
    if (!d->buffer && (d->buffer = aligned_alloc(HUGE_PAGE, DR_DIRECT_BYTES)))
        (void)madvise(d->buffer, DR_DIRECT_BYTES, MADV_HUGEPAGE);
    const ssize_t got = d->buffer ? pread(d->fd, d->buffer, whole, (off_t)at) : -1;
    if (got >= 0 && (size_t)got >= n) {
        (void)atomic_fetch_add(&d->n_reads, 1);
        return d->buffer;
    }
    (void)pthread_mutex_unlock(&d->lock);
    return NULL;
}

void dr_direct__done(dr_direct *d)
{
    (void)pthread_mutex_unlock(&d->lock);
}
