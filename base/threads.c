#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MAX_THREADS = 256, SPINS = 2000 };

typedef struct worker {
    struct dr_pool *pool;
    pthread_t thread;
    int index;
} worker;

/* A loop is open from the moment its fields are written until the caller has run out of ranges. A worker joins by counting itself
 * active and then finding the loop open; the caller closes it and then waits for active ones. Both pairs are sequentially
 * consistent, so either the worker sees the loop closed, or the caller sees the worker. A worker that never got the
 * processor is thus never waited for: on a busy machine the caller simply does all the work. */
struct dr_pool {
    int n_threads, n_started;
    worker *workers; /* [n_threads]; 0 is the caller and has no thread */

    pthread_mutex_t lock; /* guards the two conditions, for those who sleep */
    pthread_cond_t work_ready, work_done;
    atomic_uint epoch; /* one more for every loop */
    atomic_int n_sleeping;
    atomic_int n_active;
    atomic_bool open, stop;

    dr_range_fn *fn; /* the loop: written while it is closed and nobody is active */
    void *arg;
    int64_t n, chunk;
    atomic_int_fast64_t next;
};

uint32_t dr_flush_denormals(void)
{
#if defined(__x86_64__)
    const uint32_t saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040u); /* FTZ | DAZ */
    return saved;
#else
    return 0;
#endif
}

void dr_flush_denormals_restore(uint32_t saved)
{
#if defined(__x86_64__)
    _mm_setcsr(saved);
#else
    (void)saved;
#endif
}

static void run_ranges(dr_pool *p, int index)
{
    for (;;) {
        const int64_t begin = atomic_fetch_add_explicit(&p->next, p->chunk, memory_order_relaxed);
        if (begin >= p->n)
            return;
        const int64_t end = p->n - begin < p->chunk ? p->n : begin + p->chunk;
        p->fn(p->arg, begin, end, index);
    }
}

static void relax(void)
{
#if defined(__x86_64__)
    _mm_pause();
#endif
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    dr_pool *p = w->pool;
    unsigned seen = 0;

    (void)dr_flush_denormals();
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&p->epoch) == seen; i++)
            relax();
        if (atomic_load(&p->epoch) == seen) {
            pthread_mutex_lock(&p->lock);
            atomic_fetch_add(&p->n_sleeping, 1);
            while (atomic_load(&p->epoch) == seen)
                pthread_cond_wait(&p->work_ready, &p->lock);
            atomic_fetch_sub(&p->n_sleeping, 1);
            pthread_mutex_unlock(&p->lock);
        }
        seen = atomic_load(&p->epoch);
        if (atomic_load(&p->stop))
            return NULL;
        atomic_fetch_add(&p->n_active, 1);
        if (atomic_load(&p->open))
            run_ranges(p, w->index);
        if (atomic_fetch_sub(&p->n_active, 1) == 1 && !atomic_load(&p->open)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->work_done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

/* Tells every worker that there is something new: a loop, or the end. */
static void wake(dr_pool *p)
{
    atomic_fetch_add(&p->epoch, 1);
    if (atomic_load(&p->n_sleeping) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->work_ready);
        pthread_mutex_unlock(&p->lock);
    }
}

dr_status dr_pool_new(dr_pool **out, int n_threads, dr_error *err)
{
    dr_status st = DR_OK;
    dr_pool *p = NULL;

    *out = NULL;
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return dr_fail(err, DR_ERR_ARG, "%d threads: give 1 to %d", n_threads, MAX_THREADS);
    if (n_threads == 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        n_threads = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
        n_threads = n_threads < 1 ? 1 : n_threads > MAX_THREADS ? MAX_THREADS : n_threads;
    }
    if (!(p = calloc(1, sizeof *p)) || !(p->workers = calloc((size_t)n_threads, sizeof *p->workers))) {
        free(p);
        return dr_fail(err, DR_ERR_NOMEM, "threads: out of memory");
    }
    p->n_threads = n_threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work_ready, NULL);
    pthread_cond_init(&p->work_done, NULL);
    for (int i = 1; i < n_threads; i++) {
        p->workers[i] = (worker){.pool = p, .index = i};
        const int e = pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]);
        if (e) {
            st = dr_fail(err, DR_ERR_NOMEM, "starting thread %d of %d: %s", i + 1, n_threads, strerror(e));
            goto done;
        }
        p->n_started++;
    }
    *out = p;
    p = NULL;
done:
    dr_pool_free(p);
    return st;
}

void dr_pool_free(dr_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    wake(p);
    for (int i = 1; i <= p->n_started; i++)
        (void)pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->work_done);
    pthread_cond_destroy(&p->work_ready);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

int dr_pool_size(const dr_pool *p)
{
    return p->n_threads;
}

void dr_pool_run(dr_pool *p, int64_t n, int64_t grain, dr_range_fn *fn, void *arg)
{
    if (n <= 0)
        return;
    if (grain < 1)
        grain = 1;
    const uint32_t saved = dr_flush_denormals();
    if (p->n_started == 0 || n <= grain) {
        fn(arg, 0, n, 0);
        dr_flush_denormals_restore(saved);
        return;
    }
    /* A few ranges per worker, so that one slowed by a neighbour does not hold up the rest. */
    int64_t chunk = (n + 4 * (int64_t)p->n_threads - 1) / (4 * (int64_t)p->n_threads);
    chunk = chunk < grain ? grain : (chunk + grain - 1) / grain * grain;

    p->fn = fn;
    p->arg = arg;
    p->n = n;
    p->chunk = chunk;
    atomic_store(&p->next, 0);
    atomic_store(&p->open, true);
    wake(p);
    run_ranges(p, 0);
    atomic_store(&p->open, false);
    for (int i = 0; i < SPINS && atomic_load(&p->n_active) > 0; i++)
        relax();
    if (atomic_load(&p->n_active) > 0) {
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->n_active) > 0)
            pthread_cond_wait(&p->work_done, &p->lock);
        pthread_mutex_unlock(&p->lock);
    }
    dr_flush_denormals_restore(saved);
}
