#include "cache/folder.h"

#include "base/bytes.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

static const char VERSION_TEXT[] = "deepread cache 1\n";
static const char *const PARTS[] = {"kv", "facts"};
static const char *const FILES[] = {"data.mdb", "lock.mdb"};
enum { N_PARTS = 2, N_FILES = 2, LOCK_WAIT_MS = 10000, LOCK_STEP_MS = 10, MAX_DEPTH = 4, NAME_BYTES = 320 };

const char *dr_folder__remote_kind(uint64_t magic)
{
    static const struct {
        uint64_t magic;
        const char *kind;
    } kinds[] = {
        {0x6969, "NFS"},        {0x517B, "SMB"},         {0xFE534D42, "SMB"},   {0xFF534D42, "CIFS"},
        {0x01021997, "9P"},     {0x65735546, "FUSE"},    {0x5346414F, "AFS"},   {0x6B414653, "AFS"},
        {0x00C36400, "Ceph"},   {0x0BD00BD0, "Lustre"},  {0x47504653, "GPFS"},  {0x7461636F, "OCFS2"},
        {0x01161970, "GFS2"},   {0x73757245, "Coda"},    {0x564C, "NCP"},       {0x19830326, "BeeGFS"},
        {0x786F4256, "VirtualBox shared folder"},        {0xAAD7AAEA, "PanFS"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].magic == magic)
            return kinds[i].kind;
    return NULL;
}

/* Ours, and nobody else may write: else what is in it may be anyone's. */
static dr_status check_owner(const struct stat *sb, const char *path, const char *name, dr_error *err)
{
    const char *slash = *name ? "/" : "";
    if (sb->st_uid != geteuid())
        return dr_fail(err, DR_ERR_ARG, "%s%s%s belongs to user %u, not to you: refused", path, slash, name,
                       (unsigned)sb->st_uid);
    if (sb->st_mode & (S_IWGRP | S_IWOTH))
        return dr_fail(err, DR_ERR_ARG, "%s%s%s may be written by others (mode %o): refused", path, slash, name,
                       (unsigned)sb->st_mode & 07777u);
    return DR_OK;
}

static dr_status take_lock(dr_folder *f, dr_error *err)
{
    if ((f->lock_fd = openat(f->fd, "open.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0) {
        if (errno == EROFS || errno == EACCES || errno == EPERM) {
            f->read_only = true;
            return DR_OK;
        }
        return dr_fail(err, DR_ERR_IO, "%s/open.lock: %s", f->path, strerror(errno));
    }
    const uint64_t until = dr_clock_us() + (uint64_t)LOCK_WAIT_MS * 1000;
    while (flock(f->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return dr_fail(err, DR_ERR_IO, "%s/open.lock: %s", f->path, strerror(errno));
        if (dr_clock_us() >= until)
            return dr_fail(err, DR_ERR_AGAIN, "%s: another process has been opening it for %d s", f->path,
                           LOCK_WAIT_MS / 1000);
        const struct timespec step = {0, LOCK_STEP_MS * 1000000L};
        (void)nanosleep(&step, NULL);
    }
    return DR_OK;
}

dr_status dr_folder__open(dr_folder *f, const char *path, bool read_only, dr_error *err)
{
    dr_status st;
    struct stat sb;
    struct statfs fs;
    dr_error make_err;

    *f = (dr_folder){.fd = -1, .lock_fd = -1, .read_only = read_only};
    if (!(f->path = strdup(path)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
    const dr_status made = read_only ? DR_OK : dr_make_dirs(path, 0700, &make_err);
    if ((f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        if (made != DR_OK)
            return dr_fail(err, made, "%s", make_err.msg);
        return dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (fstat(f->fd, &sb) < 0 || fstatfs(f->fd, &fs) < 0)
        return dr_fail(err, DR_ERR_IO, "%s: %s", path, strerror(errno));
    const char *remote = dr_folder__remote_kind((uint64_t)(uint32_t)fs.f_type);
    if (remote)
        return dr_fail(err, DR_ERR_ARG,
                       "%s is on a network file system (%s), where the cache could be damaged: set XDG_CACHE_HOME to a "
                       "local folder, or go without",
                       path, remote);
    if ((st = check_owner(&sb, path, "", err)) != DR_OK)
        return st;
    f->dev = sb.st_dev;
    f->ino = sb.st_ino;
    if (f->read_only)
        return DR_OK;
    if ((sb.st_mode & 07777) != 0700)
        (void)(sb.st_mode & S_IWUSR ? fchmod(f->fd, 0700) : 0); /* a folder its owner made read-only stays so */
    if (faccessat(f->fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        f->read_only = true;
        return DR_OK;
    }
    return take_lock(f, err);
}

void dr_folder__unlock(dr_folder *f)
{
    if (f->lock_fd >= 0)
        (void)close(f->lock_fd);
    f->lock_fd = -1;
}

void dr_folder__close(dr_folder *f)
{
    dr_folder__unlock(f);
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
    free(f->path);
    f->path = NULL;
}

/* kv/, facts/ and their files: folders and plain files of ours, or not there. */
static dr_status check_parts(dr_folder *f, bool *any, dr_error *err)
{
    dr_status st;
    struct stat sb;
    char name[NAME_BYTES];

    *any = false;
    for (int i = 0; i < N_PARTS; i++)
        for (int j = -1; j < N_FILES; j++) {
            (void)snprintf(name, sizeof name, "%s%s%s", PARTS[i], j < 0 ? "" : "/", j < 0 ? "" : FILES[j]);
            if (fstatat(f->fd, name, &sb, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT)
                    continue;
                return dr_fail(err, DR_ERR_IO, "%s/%s: %s", f->path, name, strerror(errno));
            }
            *any = true;
            if (j < 0 ? !S_ISDIR(sb.st_mode) : !S_ISREG(sb.st_mode))
                return dr_fail(err, DR_ERR_ARG, "%s/%s is not a %s: refused", f->path, name, j < 0 ? "folder" : "plain file");
            if ((st = check_owner(&sb, f->path, name, err)) != DR_OK)
                return st;
        }
    return DR_OK;
}

dr_status dr_folder__state(dr_folder *f, dr_folder_state *state, dr_error *err)
{
    dr_status st;
    char text[sizeof VERSION_TEXT + 1] = "";
    bool any;

    if ((st = check_parts(f, &any, err)) != DR_OK)
        return st;
    const int fd = openat(f->fd, "version", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        if (errno != ENOENT && errno != ELOOP)
            return dr_fail(err, DR_ERR_IO, "%s/version: %s", f->path, strerror(errno));
        *state = any ? DR_FOLDER_OTHER_FORMAT : DR_FOLDER_EMPTY;
        return DR_OK;
    }
    const ssize_t n = read(fd, text, sizeof text);
    (void)close(fd);
    const bool same = n == (ssize_t)sizeof VERSION_TEXT - 1 && memcmp(text, VERSION_TEXT, (size_t)n) == 0;
    *state = same ? DR_FOLDER_OURS : DR_FOLDER_OTHER_FORMAT;
    return DR_OK;
}

dr_status dr_folder__prepare(dr_folder *f, dr_folder_state state, dr_error *err)
{
    for (int i = 0; i < N_PARTS; i++)
        if (mkdirat(f->fd, PARTS[i], 0700) < 0 && errno != EEXIST)
            return dr_fail(err, DR_ERR_IO, "%s/%s: %s", f->path, PARTS[i], strerror(errno));
    if (state == DR_FOLDER_OURS)
        return DR_OK;
    const size_t n = sizeof VERSION_TEXT - 1;
    const int fd = openat(f->fd, "version.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    const bool written = fd >= 0 && write(fd, VERSION_TEXT, n) == (ssize_t)n && fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0)
        (void)close(fd);
    if (!written)
        return dr_fail(err, DR_ERR_IO, "%s/version.tmp: %s", f->path, strerror(why));
    if (renameat(f->fd, "version.tmp", f->fd, "version") < 0)
        return dr_fail(err, DR_ERR_IO, "%s/version: %s", f->path, strerror(errno));
    return DR_OK;
}

/* Depth is bounded: what we made is flat, and what we did not make is not worth following. */
static dr_status delete_below(int parent, const char *name, int depth, const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    DIR *dir = NULL;
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        if (errno == ENOENT || ((errno == ENOTDIR || errno == ELOOP) && unlinkat(parent, name, 0) == 0))
            return DR_OK;
        return dr_fail(err, DR_ERR_IO, "%s: deleting %s: %s", path, name, strerror(errno));
    }
    if (depth == 0 || !(dir = fdopendir(fd))) {
        (void)close(fd);
        return dr_fail(err, DR_ERR_IO, "%s: deleting %s: too deep", path, name);
    }
    for (const struct dirent *d; st == DR_OK && (d = readdir(dir));)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            st = delete_below(fd, d->d_name, depth - 1, path, err);
    (void)closedir(dir);
    if (st == DR_OK && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        st = dr_fail(err, DR_ERR_IO, "%s: deleting %s: %s", path, name, strerror(errno));
    return st;
}

dr_status dr_folder__delete(dr_folder *f, const char *name, dr_error *err)
{
    return delete_below(f->fd, name, MAX_DEPTH, f->path, err);
}

dr_status dr_folder__move_aside(dr_folder *f, dr_error *err)
{
    dr_status st;
    char to[NAME_BYTES];

    if ((st = dr_folder__delete(f, "aside", err)) != DR_OK)
        return st;
    if (mkdirat(f->fd, "aside", 0700) < 0)
        return dr_fail(err, DR_ERR_IO, "%s/aside: %s", f->path, strerror(errno));
    for (int i = 0; i < N_PARTS; i++) {
        (void)snprintf(to, sizeof to, "aside/%s", PARTS[i]);
        if (renameat(f->fd, PARTS[i], f->fd, to) < 0 && errno != ENOENT)
            return dr_fail(err, DR_ERR_IO, "%s/%s: %s", f->path, PARTS[i], strerror(errno));
    }
    if (unlinkat(f->fd, "version", 0) < 0 && errno != ENOENT)
        return dr_fail(err, DR_ERR_IO, "%s/version: %s", f->path, strerror(errno));
    return DR_OK;
}

static int64_t bytes_below(int parent, const char *name, int depth)
{
    struct stat sb;
    DIR *dir = NULL;
    int64_t total = 0;

    if (fstatat(parent, name, &sb, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!S_ISDIR(sb.st_mode) || depth == 0)
        return (int64_t)sb.st_blocks * 512;
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || !(dir = fdopendir(fd))) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    for (const struct dirent *d; (d = readdir(dir));)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            total += bytes_below(fd, d->d_name, depth - 1);
    (void)closedir(dir);
    return total;
}

int64_t dr_folder__bytes(const dr_folder *f, const char *name)
{
    return bytes_below(f->fd, name, MAX_DEPTH);
}
