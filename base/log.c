#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards file and start */
static FILE *file;
static uint64_t start_us;

static uint64_t clock_us(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t dr_clock_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

uint64_t dr_cpu_us(void)
{
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

dr_status dr_log_open(const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    FILE *f = NULL;
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || !(f = fdopen(fd, "a"))) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return st;
    }
    pthread_mutex_lock(&lock);
    if (file)
        (void)fclose(file);
    file = f;
    start_us = dr_clock_us();
    pthread_mutex_unlock(&lock);
    return DR_OK;
}

void dr_log_close(void)
{
    pthread_mutex_lock(&lock);
    if (file)
        (void)fclose(file);
    file = NULL;
    pthread_mutex_unlock(&lock);
}

void dr_log(const char *module, const char *fmt, ...)
{
    pthread_mutex_lock(&lock);
    if (file) {
        const uint64_t t = dr_clock_us() - start_us;
        va_list ap;
        va_start(ap, fmt);
        (void)fprintf(file, "%4llu.%06llu %-8s ", (unsigned long long)(t / 1000000),
                      (unsigned long long)(t % 1000000), module);
        (void)vfprintf(file, fmt, ap);
        (void)fputc('\n', file);
        (void)fflush(file);
        va_end(ap);
    }
    pthread_mutex_unlock(&lock);
}
