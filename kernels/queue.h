/* kernels/queue.h: what slots take from their queue: parallel loops and scratch. Internal to kernels.
 *
 * Scratch is address space reserved when the queue is made; pages appear when first touched and stay. So a slot never
 * allocates, cannot fail, and steady state costs nothing. */
#ifndef DR_KERNELS_QUEUE_H
#define DR_KERNELS_QUEUE_H

#include "kernels/ops.h"

/* dr_pool_run on the queue's pool: denormals are flushed inside, also when all runs on the caller. */
void dr_queue__run(dr_queue *q, int64_t n, int64_t grain, dr_range_fn *fn, void *arg);
int dr_queue__n_workers(const dr_queue *q);

/* 64-byte aligned, the worker's own, uninitialised, valid until the slot returns. */
void *dr_queue__scratch(dr_queue *q, int worker, size_t bytes);

/* The same, one for all workers: written by the caller before the loop, read inside it. */
void *dr_queue__shared(dr_queue *q, size_t bytes);

/* Rounds up, so that buffers carved one after the other stay aligned. */
static inline size_t dr_queue__align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
