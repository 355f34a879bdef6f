/* repo/loose.c: loose objects, in bounds. A damaged one is an error, not a reason to look elsewhere. */
#include "repo/objects.h"

#include <dirent.h>
#include <git2/sys/odb_backend.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

enum { HEADER_MAX = 64 /* "commit 18446744073709551615" and its end */ };

typedef struct loose {
    git_odb_backend base;
    dr_object_folders folders;
} loose;

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
static int read_file(loose *l, void **data, size_t *size, git_object_t *type, const char *path)
{
    uint8_t head[HEADER_MAX];
    const uint8_t *stored;
    size_t n_stored;
    int error = GIT_ERROR;
    void *out = NULL;

    if (access(path, F_OK) != 0)
        return GIT_ENOTFOUND;
    z_stream z = {0};
    if (!dr_objects__map(&stored, &n_stored, path, UINT_MAX))
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
    if (*size / 1032 > n_stored + 1 || !(out = git_odb_backend_data_alloc(&l->base, *size + 1)))
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
        git_odb_backend_data_free(&l->base, out);
    (void)inflateEnd(&z);
    (void)munmap((void *)(uintptr_t)stored, n_stored);
    return error ? damaged() : 0;
}

static int find_and_read(loose *l, void **data, size_t *size, git_object_t *type, const git_oid *id)
{
    char hex[GIT_OID_HEXSZ + 1], path[PATH_MAX];

    git_oid_tostr(hex, sizeof hex, id);
    for (size_t i = 0; i < l->folders.n; i++) {
        const int n = snprintf(path, sizeof path, "%s/%.2s/%s", l->folders.v[i], hex, hex + 2);
        const int error = n > 0 && (size_t)n < sizeof path ? read_file(l, data, size, type, path) : GIT_ENOTFOUND;
        if (error != GIT_ENOTFOUND)
            return error;
    }
    return GIT_ENOTFOUND;
}

static int loose_read(void **data, size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    return find_and_read((loose *)b, data, size, type, id);
}

static int loose_read_header(size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    return find_and_read((loose *)b, NULL, size, type, id);
}

/* An abbreviated name: whatever loose object it fits is looked at here first. */
static int loose_read_prefix(git_oid *found, void **data, size_t *size, git_object_t *type, git_odb_backend *b,
                             const git_oid *id, size_t n_hex)
{
    loose *l = (loose *)b;
    char hex[GIT_OID_HEXSZ + 1], name[GIT_OID_HEXSZ + 1], path[PATH_MAX];
    size_t n_found = 0;

    git_oid_tostr(hex, sizeof hex, id);
    for (size_t i = 0; n_hex >= 2 && i < l->folders.n; i++) {
        const int n = snprintf(path, sizeof path, "%s/%.2s", l->folders.v[i], hex);
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
    return n_found == 0 ? GIT_ENOTFOUND : n_found > 1 ? GIT_EAMBIGUOUS : find_and_read(l, data, size, type, found);
}

static int loose_exists(git_odb_backend *b, const git_oid *id)
{
    size_t size;
    git_object_t type;
    return find_and_read((loose *)b, NULL, &size, &type, id) == 0;
}

static void loose_free(git_odb_backend *b)
{
    loose *l = (loose *)b;
    dr_object_folders_fini(&l->folders);
    free(l);
}

dr_status dr_loose__new(git_odb_backend **out, dr_object_folders *folders, dr_error *err)
{
    loose *l = calloc(1, sizeof *l);

    *out = NULL;
    if (!l || git_odb_init_backend(&l->base, GIT_ODB_BACKEND_VERSION) < 0) {
        dr_object_folders_fini(folders);
        free(l);
        return dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
    }
    l->folders = *folders;
    folders->n = 0;
    l->base.read = loose_read;
    l->base.read_header = loose_read_header;
    l->base.read_prefix = loose_read_prefix;
    l->base.exists = loose_exists;
    l->base.free = loose_free;
    *out = &l->base;
    return DR_OK;
}
