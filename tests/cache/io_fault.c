#include "tests/cache/io_fault.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int wanted, fail_code;
static long countdown, left, n_failed;

void io_fail(int kinds, long n, long times, int code)
{
    (void)pthread_mutex_lock(&lock);
    wanted = kinds;
    countdown = n;
    left = times;
    fail_code = code;
    n_failed = 0;
    (void)pthread_mutex_unlock(&lock);
}

long io_fail_off(void)
{
    (void)pthread_mutex_lock(&lock);
    const long n = n_failed;
    wanted = 0;
    (void)pthread_mutex_unlock(&lock);
    return n;
}

/* Whether this call is one that fails, and how. */
static bool fails(io_kind kind, int *code)
{
    bool yes = false;
    (void)pthread_mutex_lock(&lock);
    if ((wanted & (int)kind) && countdown-- <= 0 && left > 0) {
        left--;
        n_failed++;
        *code = fail_code;
        yes = true;
    }
    (void)pthread_mutex_unlock(&lock);
    return yes;
}

static ssize_t failed(int code)
{
    errno = code;
    return -1;
}

VISIBLE ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    int code;
    if (fails(IO_WRITES, &code)) {
        if (code)
            return failed(code);
        n /= 2;
    }
    return syscall(SYS_pwrite64, fd, p, n, at);
}

VISIBLE ssize_t write(int fd, const void *p, size_t n)
{
    int code;
    if (fd > STDERR_FILENO && fails(IO_WRITES, &code)) {
        if (code)
            return failed(code);
        n /= 2;
    }
    return syscall(SYS_write, fd, p, n);
}

VISIBLE ssize_t writev(int fd, const struct iovec *v, int n)
{
    int code;
    if (fd > STDERR_FILENO && fails(IO_WRITES, &code)) {
        if (code)
            return failed(code);
        return syscall(SYS_write, fd, v[0].iov_base, v[0].iov_len / 2);
    }
    return syscall(SYS_writev, fd, v, n);
}

VISIBLE ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    int code;
    if (fails(IO_WRITES, &code)) {
        if (code)
            return failed(code);
        return syscall(SYS_pwrite64, fd, v[0].iov_base, v[0].iov_len / 2, at);
    }
    return syscall(SYS_pwritev, fd, v, n, at, 0);
}

VISIBLE ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    int code;
    if (fails(IO_READS, &code)) {
        if (code)
            return failed(code);
        n /= 2;
    }
    return syscall(SYS_pread64, fd, p, n, at);
}

VISIBLE ssize_t preadv(int fd, const struct iovec *v, int n, off_t at)
{
    int code;
    if (fails(IO_READS, &code)) {
        if (code)
            return failed(code);
        return syscall(SYS_pread64, fd, v[0].iov_base, v[0].iov_len / 2, at);
    }
    return syscall(SYS_preadv, fd, v, n, at, 0);
}

VISIBLE int fdatasync(int fd)
{
    int code;
    if (fails(IO_SYNCS, &code))
        return (int)failed(code ? code : EIO);
    return (int)syscall(SYS_fdatasync, fd);
}

VISIBLE int fsync(int fd)
{
    int code;
    if (fails(IO_SYNCS, &code))
        return (int)failed(code ? code : EIO);
    return (int)syscall(SYS_fsync, fd);
}
