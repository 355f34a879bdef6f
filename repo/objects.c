#include "repo/objects.h"

#include <fcntl.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PRIORITY_PACKS = 2,
    PRIORITY_LOOSE = 1,
    ALTERNATES_DEPTH = 5, /* as git's own limit */
    ALTERNATES_BYTES = 1 << 20,
};

bool dr_objects__map(const uint8_t **data, size_t *n, const char *path, size_t most)
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

/* Takes a folder and the alternates it names. False: out of memory. */
static bool add_folder(dr_object_folders *f, const char *folder, unsigned depth)
{
    char path[PATH_MAX];
    const uint8_t *text;
    size_t n;

    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i], folder) == 0)
            return true;
    if (f->n == DR_OBJECT_FOLDERS_MAX)
        return true;
    if (!(f->v[f->n] = strdup(folder)))
        return false;
    f->n++;
    const int length = snprintf(path, sizeof path, "%s/info/alternates", folder);
    if (depth == ALTERNATES_DEPTH || length < 0 || (size_t)length >= sizeof path ||
        !dr_objects__map(&text, &n, path, ALTERNATES_BYTES))
        return true;
    bool ok = true;
    for (size_t at = 0, next; at < n && ok; at = next) {
        const uint8_t *eol = memchr(text + at, '\n', n - at);
        const size_t line = eol ? (size_t)(eol - (text + at)) : n - at;
        next = at + line + 1;
        if (line == 0 || line >= PATH_MAX || text[at] == '#' || memchr(text + at, 0, line))
            continue;
        char real[PATH_MAX];
        const int m = text[at] == '/'
                          ? snprintf(path, sizeof path, "%.*s", (int)line, (const char *)text + at)
                          : snprintf(path, sizeof path, "%s/%.*s", folder, (int)line, (const char *)text + at);
        if (m > 0 && (size_t)m < sizeof path && realpath(path, real))
            ok = add_folder(f, real, depth + 1);
    }
    (void)munmap((void *)(uintptr_t)text, n);
    return ok;
}

bool dr_object_folders_init(dr_object_folders *f, git_repository *git)
{
    git_buf folder = {0};
    char real[PATH_MAX];
    const bool ok = git_repository_item_path(&folder, git, GIT_REPOSITORY_ITEM_OBJECTS) < 0 ||
                    !realpath(folder.ptr, real) || add_folder(f, real, 0);
    git_buf_dispose(&folder);
    return ok;
}

void dr_object_folders_fini(dr_object_folders *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->v[i]);
    *f = (dr_object_folders){.n = 0};
}

typedef dr_status new_reader(git_odb_backend **out, dr_object_folders *folders, dr_error *err);

static dr_status add_reader(git_odb *odb, git_repository *git, new_reader *make, int priority, dr_error *err)
{
    dr_object_folders folders = {.n = 0};
    git_odb_backend *b = NULL;
    dr_status st;

    if (!dr_object_folders_init(&folders, git)) {
        dr_object_folders_fini(&folders);
        return dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
    }
    if ((st = make(&b, &folders, err)) != DR_OK)
        return st;
    if (git_odb_add_backend(odb, b, priority) == 0)
        return DR_OK;
    const git_error *e = git_error_last();
    st = dr_fail(err, DR_ERR_FORMAT, "objects: %s", e ? e->message : "no reader can be added");
    b->free(b);
    return st;
}

dr_status dr_objects__open(git_odb **out, git_repository *git, dr_error *err)
{
    dr_status st;
    git_odb *odb = NULL;

    *out = NULL;
    if (git_odb_new(&odb) < 0)
        return dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
    if ((st = add_reader(odb, git, dr_packs__new, PRIORITY_PACKS, err)) != DR_OK ||
        (st = add_reader(odb, git, dr_loose__new, PRIORITY_LOOSE, err)) != DR_OK)
        goto done;
    if (git_repository_set_odb(git, odb) < 0) {
        st = dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
        goto done;
    }
    *out = odb;
    odb = NULL;
done:
    git_odb_free(odb);
    return st;
}
