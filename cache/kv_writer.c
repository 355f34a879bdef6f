#include "cache/kv_writer.h"

#include "base/log.h"
#include "cache/kv_put.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Records of one transaction: enough that small ones share the two syncs, few enough that facts are not locked for long. */
enum { MAX_BATCH = 32, BATCH_BYTES = 8 << 20 };

typedef struct job {
    struct job *next;
    dr_kv_label label;
    void *data;
    size_t n;
} job;

struct dr_kv_writer {
    dr_cache *cache; /* NULL: everything is let go */
    size_t max_bytes;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work, moved; /* there is something to do; the queue got shorter */
    job *first, **last;
    size_t bytes;             /* queued or being written */
    uint64_t n_put, n_done;   /* records, for flush */
    bool stop, full;          /* full: the disk is, nothing more is tried */
    dr_kv_writer_stat stat;
    dr_error first_error;
};

static void count(dr_kv_writer *w, const dr_kv_item *items, size_t n, dr_status st, const dr_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (st != DR_OK || items[i].st != DR_OK)
            w->stat.n_lost++;
        else if (!items[i].stored)
            w->stat.n_present++;
        else {
            w->stat.n_stored++;
            w->stat.bytes_stored += (int64_t)items[i].n;
        }
        if (st == DR_OK && items[i].st != DR_OK && w->first_error.code == DR_OK)
            (void)dr_fail(&w->first_error, items[i].st, "cache: a record of %zu bytes is not kept: %s", items[i].n,
                          items[i].why);
    }
    if (st != DR_OK && w->first_error.code == DR_OK)
        w->first_error = *err;
    if (st != DR_OK && st != DR_ERR_AGAIN && !w->full) {
        w->full = true;
        dr_log("cache", "nothing more is stored: %s", err->msg);
    }
}

/* Takes a batch off the queue; lock is held. */
static size_t take_batch(dr_kv_writer *w, job **jobs, dr_kv_item *items, size_t *bytes)
{
    size_t n = 0;

    *bytes = 0;
    while (w->first && n < MAX_BATCH && (n == 0 || *bytes + w->first->n <= BATCH_BYTES)) {
        job *j = w->first;
        if (!(w->first = j->next))
            w->last = &w->first;
        jobs[n] = j;
        items[n++] = (dr_kv_item){.label = &j->label, .data = j->data, .n = j->n};
        *bytes += j->n;
    }
    return n;
}

static void *writer_main(void *arg)
{
    dr_kv_writer *w = arg;
    job *jobs[MAX_BATCH];
    dr_kv_item items[MAX_BATCH];
    size_t bytes;

    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->stop)
            (void)pthread_cond_wait(&w->work, &w->lock);
        if (!w->first)
            break;
        const size_t n = take_batch(w, jobs, items, &bytes);
        const bool full = w->full;
        dr_status st = DR_ERR_LIMIT;
        dr_error err = {.code = DR_ERR_LIMIT};
        (void)pthread_mutex_unlock(&w->lock);

        const uint64_t begin = dr_clock_us();
        if (!full)
            st = dr_kv_put__many(w->cache, items, n, &err);
        for (size_t i = 0; i < n; i++) {
            free(jobs[i]->data);
            free(jobs[i]);
        }

        (void)pthread_mutex_lock(&w->lock);
        w->stat.busy_us += dr_clock_us() - begin;
        count(w, items, n, st, &err);
        w->bytes -= bytes;
        w->n_done += n;
        (void)pthread_cond_broadcast(&w->moved);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

dr_status dr_kv_writer_new(dr_kv_writer **out, dr_cache *c, size_t max_bytes, dr_error *err)
{
    dr_kv_writer *w = calloc(1, sizeof *w);

    *out = NULL;
    if (!w)
        return dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
    w->cache = dr_cache_read_only(c) ? NULL : c;
    w->max_bytes = max_bytes;
    w->last = &w->first;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->work, NULL);
    (void)pthread_cond_init(&w->moved, NULL);
    if (w->cache && pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        dr_kv_writer_free(w, true);
        return dr_fail(err, DR_ERR_NOMEM, "cache: the writer's thread could not be started");
    }
    w->started = w->cache != NULL;
    *out = w;
    return DR_OK;
}

dr_status dr_kv_writer_put(dr_kv_writer *w, const dr_kv_label *label, void *data, size_t n, bool wait)
{
    if ((unsigned)label->kind >= DR_KV_KINDS || label->n_meta > DR_KV_META_BYTES || label->n_tokens < 0)
        return DR_ERR_ARG;
    if (!w->cache) {
        free(data);
        return DR_OK;
    }
    job *j = malloc(sizeof *j);
    if (!j)
        return DR_ERR_NOMEM;
    *j = (job){NULL, *label, data, n};
    (void)pthread_mutex_lock(&w->lock);
    while (wait && w->bytes > 0 && w->bytes + n > w->max_bytes)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    const bool room = w->bytes == 0 || w->bytes + n <= w->max_bytes;
    if (room) {
        *w->last = j;
        w->last = &j->next;
        w->bytes += n;
        w->n_put++;
        (void)pthread_cond_signal(&w->work);
    }
    (void)pthread_mutex_unlock(&w->lock);
    if (!room)
        free(j);
    return room ? DR_OK : DR_ERR_AGAIN;
}

dr_status dr_kv_writer_flush(dr_kv_writer *w, dr_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    const uint64_t until = w->n_put;
    while (w->n_done < until)
        (void)pthread_cond_wait(&w->moved, &w->lock);
    const dr_status st = w->first_error.code;
    if (st != DR_OK && err)
        *err = w->first_error;
    (void)pthread_mutex_unlock(&w->lock);
    return st;
}

void dr_kv_writer_stat_get(dr_kv_writer *w, dr_kv_writer_stat *out)
{
    (void)pthread_mutex_lock(&w->lock);
    *out = w->stat;
    out->bytes_queued = (int64_t)w->bytes;
    (void)pthread_mutex_unlock(&w->lock);
    clockid_t clock;
    struct timespec t;
    if (w->started && pthread_getcpuclockid(w->thread, &clock) == 0 && clock_gettime(clock, &t) == 0)
        out->cpu_us = (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

void dr_kv_writer_free(dr_kv_writer *w, bool abandon)
{
    job *dropped = NULL;

    if (!w)
        return;
    (void)pthread_mutex_lock(&w->lock);
    if (abandon) {
        dropped = w->first;
        w->first = NULL;
        w->last = &w->first;
    }
    w->stop = true;
    (void)pthread_cond_signal(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    if (w->started)
        (void)pthread_join(w->thread, NULL);
    while (dropped) {
        job *next = dropped->next;
        free(dropped->data);
        free(dropped);
        dropped = next;
    }
    (void)pthread_cond_destroy(&w->moved);
    (void)pthread_cond_destroy(&w->work);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}
