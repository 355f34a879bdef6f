#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

dr_str dr_str_of(const char *terminated)
{
    return (dr_str){terminated, terminated ? strlen(terminated) : 0};
}

bool dr_str_eq(dr_str a, dr_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

int dr_str_cmp(dr_str a, dr_str b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.s, b.s, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* Makes room for n more bytes and the terminator. */
static bool buf_reserve(dr_buf *b, size_t n)
{
    if (b->failed || n > SIZE_MAX / 2 - b->n - 1) {
        b->failed = true;
        return false;
    }
    const size_t need = b->n + n + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    char *grown = realloc(b->data, cap);
    if (!grown) {
        b->failed = true;
        return false;
    }
    b->data = grown;
    b->cap = cap;
    return true;
}

void dr_buf_add(dr_buf *b, const void *data, size_t n)
{
    if (!buf_reserve(b, n))
        return;
    if (n)
        memcpy(b->data + b->n, data, n);
    b->n += n;
    b->data[b->n] = 0;
}

void *dr_buf_extend(dr_buf *b, size_t n)
{
    if (!buf_reserve(b, n))
        return NULL;
    b->n += n;
    b->data[b->n] = 0;
    return b->data + b->n - n;
}

void dr_buf_str(dr_buf *b, const char *terminated)
{
    dr_buf_add(b, terminated, strlen(terminated));
}

void dr_buf_printf(dr_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    else if (buf_reserve(b, (size_t)n)) {
        (void)vsnprintf(b->data + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void dr_buf_clear(dr_buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = 0;
}

void dr_buf_free(dr_buf *b)
{
    free(b->data);
    *b = (dr_buf){0};
}

dr_str dr_buf_view(const dr_buf *b)
{
    return (dr_str){b->data ? b->data : "", b->n};
}

uint32_t dr_load_u32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint64_t dr_load_u64(const void *p)
{
    return (uint64_t)dr_load_u32(p) | (uint64_t)dr_load_u32((const uint8_t *)p + 4) << 32;
}

void dr_store_u32(void *p, uint32_t v)
{
    uint8_t *b = p;
    for (int i = 0; i < 4; i++)
        b[i] = (uint8_t)(v >> (8 * i));
}

void dr_store_u64(void *p, uint64_t v)
{
    dr_store_u32(p, (uint32_t)v);
    dr_store_u32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

dr_status dr_read_file(dr_buf *out, const char *path, size_t max_bytes, dr_error *err)
{
    dr_status st = DR_OK;
    struct stat sb;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer would wait for ever */

    *out = (dr_buf){0};
    if (fd < 0 || fstat(fd, &sb) < 0) {
        st = dr_fail(err, errno == ENOENT ? DR_ERR_NOT_FOUND : DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_IO, "%s: not a regular file", path);
        goto done;
    }
    if ((uint64_t)sb.st_size > max_bytes) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: %lld bytes, at most %zu are read", path, (long long)sb.st_size,
                     max_bytes);
        goto done;
    }
    if (!buf_reserve(out, (size_t)sb.st_size)) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory for %lld bytes", path, (long long)sb.st_size);
        goto done;
    }
    for (;;) { /* to the end, even when the file grew or shrank since fstat */
        if (out->n == max_bytes || !buf_reserve(out, 1))
            break;
        const size_t room = out->cap - out->n - 1;
        const size_t want = room < max_bytes - out->n ? room : max_bytes - out->n;
        const ssize_t got = read(fd, out->data + out->n, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
            goto done;
        }
        if (got == 0)
            break;
        out->n += (size_t)got;
    }
    if (out->failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    out->data[out->n] = 0;
done:
    if (fd >= 0)
        close(fd);
    if (st != DR_OK)
        dr_buf_free(out);
    return st;
}

dr_status dr_write_file(const char *path, const void *data, size_t n, dr_error *err)
{
    dr_status st = DR_OK;
    int fd = -1;
    const char *p = data;
    dr_buf tmp = {0};

    dr_buf_printf(&tmp, "%s.tmp.%ld", path, (long)getpid());
    if (tmp.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    if ((fd = open(tmp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", tmp.data, strerror(errno));
        goto done;
    }
    while (n > 0) {
        const ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
            goto done;
        }
        p += put;
        n -= (size_t)put;
    }
    const bool synced = fsync(fd) == 0;
    if (close(fd) < 0 || !synced) {
        fd = -1;
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    fd = -1;
    if (rename(tmp.data, path) < 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
done:
    if (fd >= 0)
        close(fd);
    if (st != DR_OK && tmp.data)
        (void)unlink(tmp.data);
    dr_buf_free(&tmp);
    return st;
}

dr_status dr_make_dirs(const char *path, unsigned mode, dr_error *err)
{
    char part[PATH_MAX];
    const size_t n = strlen(path);

    if (n == 0 || n >= sizeof part)
        return dr_fail(err, DR_ERR_ARG, "folder name of %zu bytes", n);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        const char keep = part[i];
        part[i] = 0;
        if (mkdir(part, (mode_t)mode) < 0 && errno != EEXIST)
            return dr_fail(err, DR_ERR_IO, "%s: %s", part, strerror(errno));
        part[i] = keep;
    }
    struct stat sb;
    if (stat(path, &sb) < 0 || !S_ISDIR(sb.st_mode))
        return dr_fail(err, DR_ERR_IO, "%s: not a folder", path);
    return DR_OK;
}
