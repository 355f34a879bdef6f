#include "repo/loose.h"

#include "base/bytes.h"

#include <dirent.h>
#include <fcntl.h>
#include <git2/sys/odb_backend.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    PRIORITY = 2, /* that of libgit2's packs, behind which it is then sorted; its loose reader has 1 */
    FOLDERS_MAX = 64,
    ALTERNATES_DEPTH = 5,         /* as git's own limit */
    ALTERNATES_BYTES = 1 << 20,
    HEADER_MAX = 64,              /* "commit 18446744073709551615" and its end */
};

typedef struct guard {
    git_odb_backend base;
    char *folders[FOLDERS_MAX]; /* objects/ of the repository and of its alternates */
    size_t n_folders;
} guard;

/* A regular file, mapped. False: not there, empty or no file. */
static bool map_file(const char *path, const uint8_t **data, size_t *n, size_t most)
{
    struct stat sb;
    void *p = MAP_FAILED;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return false;
    if (fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && sb.st_size > 0 && (uint64_t)sb.st_size <= most)
        p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    *data = p;
    *n = p == MAP_FAILED ? 0 : (size_t)sb.st_size;
    return p != MAP_FAILED;
}

/* "TYPE SIZE\0" at the start of what a stream holds. Returns the header's length, 0 when it is none. */
static size_t parse_header(git_object_t *type, size_t *size, const uint8_t *head, size_t n)
{
    const uint8_t *end = memchr(head, 0, n), *blank = end ? memchr(head, ' ', (size_t)(end - head)) : NULL;
    char name[16];
    size_t v = 0;

    if (!blank || blank == head || blank + 1 == end || (size_t)(blank - head) >= sizeof name)
        return 0;
    memcpy(name, head, (size_t)(blank - head));
    name[blank - head] = 0;
    *type = git_object_string2type(name);
    for (const uint8_t *p = blank + 1; p < end; p++) {
        if (*p < '0' || *p > '9' || v > (SIZE_MAX - 9) / 10)
            return 0;
        v = v * 10 + (size_t)(*p - '0');
    }
    *size = v;
    return git_object_typeisloose(*type) ? (size_t)(end - head) + 1 : 0;
}

static int damaged(void)
{
    git_error_set_str(GIT_ERROR_ODB, "a loose object is damaged");
    return GIT_ERROR;
}

/* data NULL: the header only. The stream must end exactly where the header says. */
static int read_file(guard *g, void **data, size_t *size, git_object_t *type, const char *path)
{
    uint8_t head[HEADER_MAX];
    const uint8_t *stored;
    size_t n_stored;
    int error = GIT_ERROR;
    void *out = NULL;

    if (access(path, F_OK) != 0)
        return GIT_ENOTFOUND;
    z_stream z = {0};
    if (!map_file(path, &stored, &n_stored, UINT_MAX))
        return damaged();
    if (inflateInit(&z) != Z_OK) {
        (void)munmap((void *)(uintptr_t)stored, n_stored);
        git_error_set_oom();
        return GIT_ERROR;
    }
    z.next_in = (Bytef *)(uintptr_t)stored;
    z.avail_in = (uInt)n_stored;
    z.next_out = head;
    z.avail_out = sizeof head;
    int st = inflate(&z, Z_SYNC_FLUSH);
    const size_t n_head = sizeof head - z.avail_out, n_header = parse_header(type, size, head, n_head);
    if ((st != Z_OK && st != Z_STREAM_END && st != Z_BUF_ERROR) || n_header == 0 || n_head - n_header > *size)
        goto done;
    if (!data) {
        error = 0;
        goto done;
    }
    /* No more than 1,032 times what is stored can come out: a size beyond that is a lie, and is not allocated. */
    if (*size / 1032 > n_stored + 1 || !(out = git_odb_backend_data_alloc(&g->base, *size + 1)))
        goto done;
    memcpy(out, head + n_header, n_head - n_header);
    size_t done = n_head - n_header;
    while (st == Z_OK || st == Z_BUF_ERROR) {
        const size_t room = *size + 1 - done; /* one byte more than there may be */
        const uInt before = z.avail_in;
        z.next_out = (Bytef *)out + done;
        z.avail_out = room > UINT_MAX ? UINT_MAX : (uInt)room;
        const uInt asked = z.avail_out;
        st = inflate(&z, Z_SYNC_FLUSH);
        done += asked - z.avail_out;
        if (done > *size || (asked == z.avail_out && before == z.avail_in))
            break;
    }
    if (st == Z_STREAM_END && done == *size) {
        ((char *)out)[done] = 0;
        *data = out;
        out = NULL;
        error = 0;
    }
done:
    if (out)
        git_odb_backend_data_free(&g->base, out);
    (void)inflateEnd(&z);
    (void)munmap((void *)(uintptr_t)stored, n_stored);
    return error ? damaged() : 0;
}

static int find_and_read(guard *g, void **data, size_t *size, git_object_t *type, const git_oid *id)
{
    char hex[GIT_OID_HEXSZ + 1], path[PATH_MAX];

    git_oid_tostr(hex, sizeof hex, id);
    for (size_t i = 0; i < g->n_folders; i++) {
        const int n = snprintf(path, sizeof path, "%s/%.2s/%s", g->folders[i], hex, hex + 2);
        const int error = n > 0 && (size_t)n < sizeof path ? read_file(g, data, size, type, path) : GIT_ENOTFOUND;
        if (error != GIT_ENOTFOUND)
            return error;
    }
    return GIT_ENOTFOUND;
}

static int guard_read(void **data, size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    return find_and_read((guard *)b, data, size, type, id);
}

static int guard_read_header(size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    return find_and_read((guard *)b, NULL, size, type, id);
}

/* An abbreviated name: whatever loose object it fits is looked at here first. */
static int guard_read_prefix(git_oid *found, void **data, size_t *size, git_object_t *type, git_odb_backend *b,
                             const git_oid *id, size_t n_hex)
{
    guard *g = (guard *)b;
    char hex[GIT_OID_HEXSZ + 1], name[GIT_OID_HEXSZ + 1], path[PATH_MAX];
    size_t n_found = 0;

    git_oid_tostr(hex, sizeof hex, id);
    for (size_t i = 0; n_hex >= 2 && i < g->n_folders; i++) {
        const int n = snprintf(path, sizeof path, "%s/%.2s", g->folders[i], hex);
        DIR *d = n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
        for (struct dirent *e; d && (e = readdir(d));) {
            git_oid candidate;
            if (strlen(e->d_name) != GIT_OID_HEXSZ - 2 || strncmp(e->d_name, hex + 2, n_hex - 2) != 0)
                continue;
            (void)snprintf(name, sizeof name, "%.2s%.38s", hex, e->d_name);
            if (git_oid_fromstr(&candidate, name) != 0 || (n_found && git_oid_equal(&candidate, found)))
                continue;
            *found = candidate;
            n_found++;
        }
        if (d)
            (void)closedir(d);
    }
    return n_found == 0 ? GIT_ENOTFOUND : n_found > 1 ? GIT_EAMBIGUOUS : find_and_read(g, data, size, type, found);
}

static int guard_exists(git_odb_backend *b, const git_oid *id)
{
    size_t size;
    git_object_t type;
    return find_and_read((guard *)b, NULL, &size, &type, id) == 0;
}

static void guard_free(git_odb_backend *b)
{
    guard *g = (guard *)b;
    for (size_t i = 0; i < g->n_folders; i++)
        free(g->folders[i]);
    free(g);
}

/* Takes a folder and the alternates it names. False: out of memory. */
static bool add_folder(guard *g, const char *folder, unsigned depth)
{
    char path[PATH_MAX];
    const uint8_t *text;
    size_t n;

    for (size_t i = 0; i < g->n_folders; i++)
        if (strcmp(g->folders[i], folder) == 0)
            return true;
    if (g->n_folders == FOLDERS_MAX)
        return true;
    if (!(g->folders[g->n_folders] = strdup(folder)))
        return false;
    g->n_folders++;
    const int length = snprintf(path, sizeof path, "%s/info/alternates", folder);
    if (depth == ALTERNATES_DEPTH || length < 0 || (size_t)length >= sizeof path ||
        !map_file(path, &text, &n, ALTERNATES_BYTES))
        return true;
    bool ok = true;
    for (size_t at = 0, next; at < n && ok; at = next) {
        const uint8_t *eol = memchr(text + at, '\n', n - at);
        const size_t line = eol ? (size_t)(eol - (text + at)) : n - at;
        next = at + line + 1;
        if (line == 0 || line >= PATH_MAX || text[at] == '#' || memchr(text + at, 0, line))
            continue;
        char real[PATH_MAX];
        const int m = text[at] == '/' ? snprintf(path, sizeof path, "%.*s", (int)line, (const char *)text + at)
                                      : snprintf(path, sizeof path, "%s/%.*s", folder, (int)line, (const char *)text + at);
        if (m > 0 && (size_t)m < sizeof path && realpath(path, real))
            ok = add_folder(g, real, depth + 1);
    }
    (void)munmap((void *)(uintptr_t)text, n);
    return ok;
}

dr_status dr_loose__guard(git_odb *odb, git_repository *git, dr_error *err)
{
    dr_status st = DR_OK;
    git_buf folder = {0};
    char real[PATH_MAX];
    guard *g = calloc(1, sizeof *g);

    if (!g || git_odb_init_backend(&g->base, GIT_ODB_BACKEND_VERSION) < 0) {
        st = dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
        goto done;
    }
    g->base.read = guard_read;
    g->base.read_header = guard_read_header;
    g->base.read_prefix = guard_read_prefix;
    g->base.exists = guard_exists;
    g->base.free = guard_free;
    if (git_repository_item_path(&folder, git, GIT_REPOSITORY_ITEM_OBJECTS) == 0 && realpath(folder.ptr, real) &&
        !add_folder(g, real, 0)) {
        st = dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
        goto done;
    }
    if (git_odb_add_backend(odb, &g->base, PRIORITY) < 0) {
        const git_error *e = git_error_last();
        st = dr_fail(err, DR_ERR_FORMAT, "objects: %s", e ? e->message : "no backend can be added");
        goto done;
    }
    g = NULL; /* the object database owns it */
done:
    if (g)
        guard_free(&g->base);
    git_buf_dispose(&folder);
    return st;
}
