#include "repo/disk.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SETTLED_S = 2 }; /* more than the grain of any file system's clock */

int dr_disk__open_parent(int root_fd, const char *path, const char **last)
{
    char part[NAME_MAX + 1];
    int dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);

    for (const char *slash; dir >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        const size_t n = (size_t)(slash - path);
        if (n == 0 || n > NAME_MAX || (n <= 2 && memcmp(path, "..", n) == 0)) {
            close(dir);
            errno = EINVAL;
            return -1;
        }
        memcpy(part, path, n);
        part[n] = 0;
        const int next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        const int keep = errno;
        close(dir);
        errno = keep;
        dir = next;
    }
    *last = path;
    return dir;
}

bool dr_disk__stat(struct stat *sb, int root_fd, const char *path)
{
    const char *last;
    const int dir = dr_disk__open_parent(root_fd, path, &last);
    const bool ok = dir >= 0 && fstatat(dir, last, sb, AT_SYMLINK_NOFOLLOW) == 0;

    if (dir >= 0)
        close(dir);
    return ok;
}

dr_status dr_disk__read(dr_buf *out, int root_fd, const char *path, uint64_t max_bytes, dr_error *err)
{
    dr_status st = DR_OK;
    struct stat sb;
    const char *last;
    int dir = -1, fd = -1;

    dr_buf_clear(out);
    /* O_NONBLOCK: a pipe that took the file's place must not hold us up. */
    if ((dir = dr_disk__open_parent(root_fd, path, &last)) < 0 ||
        (fd = openat(dir, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0 || fstat(fd, &sb) < 0) {
        st = dr_fail(err, errno == ENOENT ? DR_ERR_NOT_FOUND : DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_IO, "%s: not a regular file", path);
        goto done;
    }
    char chunk[65536];
    for (;;) {
        const ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
            goto done;
        }
        if (got == 0)
            break;
        if (out->n + (size_t)got > max_bytes) {
            st = dr_fail(err, DR_ERR_LIMIT, "%s: more than %llu bytes", path, (unsigned long long)max_bytes);
            goto done;
        }
        dr_buf_add(out, chunk, (size_t)got);
    }
    dr_buf_add(out, "", 0); /* an empty file has data too */
    if (out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
done:
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    return st;
}

uint64_t dr_disk__print(const struct stat *sb)
{
    const uint64_t fields[] = {(uint64_t)sb->st_dev,          (uint64_t)sb->st_ino,
                               (uint64_t)sb->st_size,         (uint64_t)sb->st_mtim.tv_sec,
                               (uint64_t)sb->st_mtim.tv_nsec, (uint64_t)sb->st_ctim.tv_sec,
                               (uint64_t)sb->st_ctim.tv_nsec};
    const uint64_t h = dr_xxh3_128(fields, sizeof fields).lo;
    return h ? h : 1;
}

bool dr_disk__is_settled(const struct stat *sb)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const int64_t before = (int64_t)now.tv_sec - SETTLED_S;
    return (int64_t)sb->st_mtim.tv_sec < before && (int64_t)sb->st_ctim.tv_sec < before;
}

bool dr_disk__read_same(dr_buf *out, int root_fd, const char *path, uint64_t size, uint64_t print)
{
    struct stat sb;
    const char *last;
    bool same = false;
    int fd = -1;
    const int dir = dr_disk__open_parent(root_fd, path, &last);

    dr_buf_clear(out);
    if (dir < 0 || (fd = openat(dir, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) < 0 ||
        fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode) || (uint64_t)sb.st_size != size || dr_disk__print(&sb) != print)
        goto done;
    const size_t n = (size_t)size;
    char *to = dr_buf_extend(out, n);
    size_t got = 0;
    for (ssize_t more = 1; to && got < n && more > 0; got += more > 0 ? (size_t)more : 0)
        while ((more = read(fd, to + got, n - got)) < 0 && errno == EINTR)
            ;
    same = to && got == n && fstat(fd, &sb) == 0 && dr_disk__print(&sb) == print;
done:
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    return same;
}

dr_status dr_disk__read_below(dr_buf *out, const char *folder, const char *path, uint64_t max_bytes, dr_error *err)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    dr_buf_clear(out);
    if (fd < 0)
        return dr_fail(err, errno == ENOENT ? DR_ERR_NOT_FOUND : DR_ERR_IO, "%s: %s", folder, strerror(errno));
    const dr_status st = dr_disk__read(out, fd, path, max_bytes, err);
    close(fd);
    return st;
}

dr_status dr_disk__read_link(dr_buf *out, int root_fd, const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    char target[PATH_MAX];
    const char *last;
    ssize_t n = -1;
    const int dir = dr_disk__open_parent(root_fd, path, &last);

    dr_buf_clear(out);
    if (dir < 0 || (n = readlinkat(dir, last, target, sizeof target)) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    dr_buf_add(out, target, (size_t)n);
    if (out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
done:
    if (dir >= 0)
        close(dir);
    return st;
}

void dr_disk__blob_id(uint8_t id[20], dr_str content)
{
    git_oid oid = {{0}};
    (void)git_odb_hash(&oid, content.n ? content.s : "", content.n, GIT_OBJECT_BLOB);
    memcpy(id, oid.id, 20);
}
