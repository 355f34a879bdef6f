#include "kernels/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Per worker. The largest user is attention over all HCA entries of a million tokens: 8,192 keys of 512 dims. */
#define SCRATCH_BYTES ((size_t)1 << 28)

struct dr_queue {
    dr_pool *pool;
    uint8_t *base; /* (n_workers + 1) * SCRATCH_BYTES; the last is shared */
    int n_workers;
};

dr_status dr_queue_new(dr_queue **out, dr_pool *pool, dr_error *err)
{
    dr_status st = DR_OK;
    dr_queue *q = NULL;
    void *base;

    *out = NULL;
    if (!(q = calloc(1, sizeof *q))) {
        st = dr_fail(err, DR_ERR_NOMEM, "kernel queue: out of memory");
        goto done;
    }
    q->pool = pool;
    q->n_workers = dr_pool_size(pool);
    base = mmap(NULL, ((size_t)q->n_workers + 1) * SCRATCH_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        st = dr_fail(err, DR_ERR_NOMEM, "kernel queue: cannot reserve %zu MiB of address space: %s",
                     ((size_t)q->n_workers + 1) * SCRATCH_BYTES >> 20, strerror(errno));
        goto done;
    }
    q->base = base;
    *out = q;
    q = NULL;
done:
    dr_queue_free(q);
    return st;
}

void dr_queue_free(dr_queue *q)
{
    if (!q)
        return;
    if (q->base)
        munmap(q->base, ((size_t)q->n_workers + 1) * SCRATCH_BYTES);
    free(q);
}

void dr_queue__run(dr_queue *q, int64_t n, int64_t grain, dr_range_fn *fn, void *arg)
{
    dr_pool_run(q->pool, n, grain, fn, arg);
}

int dr_queue__n_workers(const dr_queue *q)
{
    return q->n_workers;
}

void *dr_queue__scratch(dr_queue *q, int worker, size_t bytes)
{
    assert(worker >= 0 && worker < q->n_workers && bytes <= SCRATCH_BYTES);
    (void)bytes;
    return q->base + (size_t)worker * SCRATCH_BYTES;
}

void *dr_queue__shared(dr_queue *q, size_t bytes)
{
    assert(bytes <= SCRATCH_BYTES);
    (void)bytes;
    return q->base + (size_t)q->n_workers * SCRATCH_BYTES;
}
