#include "repo/working_file.h"

#include "repo/disk.h"
#include "repo/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TRIES = 100 };

struct dr_working_write {
    int dir;         /* the folder of the file */
    const char *path; /* of the snapshot: for messages */
    const char *last; /* its last part */
    char name[48];   /* what was written; empty once it took the file's place */
    struct stat was;
};

static bool on_disk(const dr_repo *r)
{
    return r->root_fd >= 0 && r->id.from_disk;
}

dr_status dr_working_file_read(dr_buf *out, const dr_repo *r, size_t index, dr_error *err)
{
    if (index >= r->n || !dr_repo_is_text(&r->entries[index].file) || !on_disk(r))
        return dr_repo_read_raw(r, index, out, err);
    const dr_status st = dr_disk__read(out, r->root_fd, r->entries[index].file.path.s, r->max_file_bytes, err);
    return st == DR_ERR_NOT_FOUND || st == DR_ERR_LIMIT
               ? dr_fail(err, DR_ERR_AGAIN, "%s changed on disk meanwhile", r->entries[index].file.path.s)
               : st;
}

dr_status dr_working_file_secrets(dr_secrets *out, const dr_repo *r, dr_str text, dr_error *err)
{
    return dr_secrets_scan(out, text, r->allow, err);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_mode == b->st_mode;
}

static dr_status write_all(int fd, dr_str bytes)
{
    for (size_t at = 0; at < bytes.n;) {
        const ssize_t n = write(fd, bytes.s + at, bytes.n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return DR_ERR_IO;
        at += (size_t)n;
    }
    return DR_OK;
}

dr_status dr_working_write_new(dr_working_write **out, const dr_repo *r, size_t index, dr_str was, dr_str becomes, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf now = {0};
    int fd = -1;
    dr_working_write *w = NULL;

    *out = NULL;
    if (index >= r->n || !on_disk(r))
        return dr_fail(err, DR_ERR_ARG, "only a working tree can be written, not a revision or a bare repository");
    if (!(w = calloc(1, sizeof *w)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    w->path = r->entries[index].file.path.s;
    if ((w->dir = dr_disk__open_parent(r->root_fd, w->path, &w->last)) < 0 || fstatat(w->dir, w->last, &w->was, AT_SYMLINK_NOFOLLOW) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(w->was.st_mode)) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s, which is not written through", w->path,
                     S_ISLNK(w->was.st_mode) ? "a link" : "not a regular file");
        goto done;
    }
    if (!(w->was.st_mode & 0222) || faccessat(w->dir, w->last, W_OK, 0) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s is read-only", w->path);
        goto done;
    }
    if ((st = dr_disk__read(&now, r->root_fd, w->path, r->max_file_bytes, err)) != DR_OK)
        goto done;
    if (!dr_str_eq(dr_buf_view(&now), was)) {
        st = dr_fail(err, DR_ERR_AGAIN, "%s changed on disk since it was read: ask again", w->path);
        goto done;
    }
    for (int i = 0; i < MAX_TRIES && fd < 0; i++) {
        (void)snprintf(w->name, sizeof w->name, ".deepread-edit-%ld-%d", (long)getpid(), i);
        fd = openat(w->dir, w->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        w->name[0] = 0;
        st = dr_fail(err, DR_ERR_IO, "%s: no file can be written beside it: %s", w->path, strerror(errno));
        goto done;
    }
    struct stat sb;
    if (write_all(fd, becomes) != DR_OK || fstat(fd, &sb) < 0 ||
        ((sb.st_uid != w->was.st_uid || sb.st_gid != w->was.st_gid) && fchown(fd, w->was.st_uid, w->was.st_gid) < 0) ||
        fchmod(fd, w->was.st_mode & 07777) < 0 || fsync(fd) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
        goto done;
    }
    if (close(fd) < 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
    fd = -1;
    if (st == DR_OK) {
        *out = w;
        w = NULL;
    }
done:
    if (fd >= 0)
        close(fd);
    dr_buf_free(&now);
    dr_working_write_free(w);
    return st;
}

dr_status dr_working_write_commit(dr_working_write *w, dr_error *err)
{
    struct stat sb;

    if (fstatat(w->dir, w->last, &sb, AT_SYMLINK_NOFOLLOW) < 0 || !same_file(&sb, &w->was))
        return dr_fail(err, DR_ERR_AGAIN, "%s changed on disk since it was read: ask again", w->path);
    if (renameat(w->dir, w->name, w->dir, w->last) < 0)
        return dr_fail(err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
    w->name[0] = 0;
    (void)fsync(w->dir); /* the new bytes are on disk; that their name is too is more than a file system need promise */
    return DR_OK;
}

void dr_working_write_free(dr_working_write *w)
{
    if (!w)
        return;
    if (w->dir >= 0) {
        if (w->name[0])
            (void)unlinkat(w->dir, w->name, 0);
        close(w->dir);
    }
    free(w);
}
