#include "repo/disk.h"
#include "repo/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DEPTH = 512 };

dr_status dr_snapshot__from_disk(bool *there, dr_repo *r, dr_entry *e, dr_error *err)
{
    dr_status st = DR_OK;
    struct stat sb;
    dr_buf content = {0};

    *there = false;
    e->on_disk = true;
    e->kind = DR_ENTRY_FILE;
    if (!dr_disk__stat(&sb, r->root_fd, e->file.path.s) || S_ISDIR(sb.st_mode))
        goto done;
    *there = true;
    memset(e->file.id, 0, 20);
    e->file.size = 0;
    if (S_ISLNK(sb.st_mode)) {
        e->kind = DR_ENTRY_LINK;
        if (dr_disk__read_link(&content, r->root_fd, e->file.path.s, NULL) != DR_OK) {
            e->why = DR_WHY_UNREADABLE;
            goto done;
        }
    } else if (!S_ISREG(sb.st_mode)) {
        e->why = DR_WHY_SPECIAL;
        goto done;
    } else {
        e->file.size = (uint64_t)sb.st_size;
        if (e->file.size > r->max_file_bytes) /* not worth hashing: its size stands for it */
            goto done;
        st = dr_disk__read(&content, r->root_fd, e->file.path.s, r->max_file_bytes, NULL);
        if (st == DR_ERR_NOMEM) {
            st = dr_fail(err, st, "%s: out of memory", e->file.path.s);
            goto done;
        }
        if (st != DR_OK) { /* no permission, or gone or grown since the look above */
            st = DR_OK;
            e->why = DR_WHY_UNREADABLE;
            goto done;
        }
    }
    e->file.size = content.n;
    dr_disk__blob_id(e->file.id, dr_buf_view(&content));
done:
    dr_buf_free(&content);
    return st;
}

static bool is_vcs_folder(const char *name)
{
    static const char *const names[] = {".git", ".hg", ".svn", ".bzr", ".jj", "CVS", "_darcs", ".pijul"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Takes dir_fd. prefix: the folder's path with a final slash, or nothing; restored on return. */
static dr_status walk_folder(dr_repo *r, int dir_fd, dr_buf *prefix, int depth, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t keep = prefix->n;
    DIR *dir = fdopendir(dir_fd);

    if (!dir) {
        close(dir_fd);
        return dr_fail(err, DR_ERR_IO, "%s: %s", keep ? prefix->data : r->id.root.s, strerror(errno));
    }
    for (const struct dirent *d; st == DR_OK && (d = readdir(dir));) {
        struct stat sb;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        prefix->n = keep;
        dr_buf_str(prefix, d->d_name);
        if (prefix->failed) {
            st = dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory");
            break;
        }
        if (fstatat(dir_fd, d->d_name, &sb, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(sb.st_mode)) {
            if (is_vcs_folder(d->d_name) || depth == MAX_DEPTH)
                continue;
            const int fd = openat(dir_fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd < 0)
                continue; /* a folder we may not read is not part of the snapshot */
            dr_buf_str(prefix, "/");
            st = walk_folder(r, fd, prefix, depth + 1, err);
            continue;
        }
        dr_entry *e;
        if ((st = dr_snapshot__add(&e, r, dr_buf_view(prefix), DR_ENTRY_FILE, err)) != DR_OK)
            break;
        e->on_disk = true;
        if (e->why == DR_WHY_NONE) {
            bool there;
            st = dr_snapshot__from_disk(&there, r, e, err);
            e->gone = !there;
        }
    }
    prefix->n = keep;
    closedir(dir);
    return st;
}

dr_status dr_snapshot__list_folder(dr_repo *r, dr_error *err)
{
    dr_buf prefix = {0};
    const int fd = openat(r->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const dr_status st =
        fd < 0 ? dr_fail(err, DR_ERR_IO, "%s: %s", r->id.root.s, strerror(errno)) : walk_folder(r, fd, &prefix, 0, err);
    dr_buf_free(&prefix);
    return st;
}
