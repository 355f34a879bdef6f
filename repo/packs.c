/* repo/packs.c: packs, each object's chain of deltas looked at before libgit2 unpacks it.
 *
 * An object is found in the pack's index here, and from its place the headers of its deltas are followed: each must lie
 * in the pack, each base must be there, and after CHAIN_MAX of them there must be an end. A delta that names its base
 * by distance leads towards the pack's front and so always ends; one that names it by id can lead anywhere, in a circle
 * too. Then the library reads that one pack. What is not strictly in order in an index is not found in it, so that the
 * library and this file never mean different entries.
 *
 * Cost: one read of 32 bytes for each object on a chain, kept in a table of what is known. A cold full pack of redis
 * with all its history in one pack of 200,000 objects: 0.88 s of CPU as before, 5 MB more memory for its index. */
#include "repo/objects.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <git2/sys/odb_backend.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHAIN_MAX = 4096, /* git makes none of more than 4,095 */
    PACKS_MAX = 10000,
    OPEN_MAX = 64, /* files that stay open */
    N_KNOWN = 1 << 14,
    ID_BYTES = 20,
    PACK_HEADER = 12,
    FAN_BYTES = 256 * 4,
    LINK_BYTES = 32, /* the longest header of an object: 10 bytes of size, 20 of an id */
};

typedef struct pack {
    char *path; /* of its index */
    enum { PACK_UNSEEN, PACK_USABLE, PACK_BROKEN } state;
    const uint8_t *index;
    size_t n_index;
    const uint8_t *fan, *ids, *offsets, *large; /* in the index */
    size_t id_step, offset_step;
    uint32_t n, n_large;
    uint64_t end; /* of the last object's bytes */
    int fd;       /* of the pack; -1: opened when needed */
    enum { ORDER_UNSEEN, ORDER_GOOD, ORDER_BAD } order[256];
    git_odb_backend *reader;
} pack;

enum { KNOWN_NOTHING, KNOWN_LINKS, KNOWN_AT_LEAST, KNOWN_CIRCLE, KNOWN_NONSENSE };

/* What is known of the object at a place of a pack: one for each hash of the place, the last to come stays. */
typedef struct known {
    uint64_t at;
    uint32_t pack;
    uint16_t links; /* deltas from here to a whole object */
    uint8_t what;
} known;

typedef struct packs {
    git_odb_backend base;
    dr_object_folders folders;
    struct timespec seen[DR_OBJECT_FOLDERS_MAX]; /* when each pack/ had changed last */
    pthread_mutex_t lock;                        /* of all that follows */
    pack *v;
    size_t n, cap;
    size_t last; /* where the last object was */
    size_t n_open;
    known *known; /* [N_KNOWN] */
} packs;

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- indexes ---- */

/* Versions 1 and 2. False: it is not what it claims to be. */
static bool parse_index(pack *p)
{
    static const uint8_t second[8] = {0xFF, 't', 'O', 'c', 0, 0, 0, 2};
    const bool two = p->n_index >= sizeof second && memcmp(p->index, second, sizeof second) == 0;
    const size_t head = two ? sizeof second : 0;

    if (p->n_index < head + FAN_BYTES)
        return false;
    p->fan = p->index + head;
    for (size_t i = 1; i < 256; i++)
        if (be32(p->fan + 4 * i) < be32(p->fan + 4 * (i - 1)))
            return false;
    p->n = be32(p->fan + FAN_BYTES - 4);
    const size_t row = two ? ID_BYTES + 4 + 4 : ID_BYTES + 4, tail = 2 * ID_BYTES;
    const size_t least = head + FAN_BYTES + p->n * row + tail;
    if (p->n_index < least || (p->n_index - least) / 8 > p->n || (!two && p->n_index != least))
        return false;
    p->n_large = (uint32_t)((p->n_index - least) / 8);
    p->ids = p->fan + FAN_BYTES + (two ? 0 : 4);
    p->id_step = two ? ID_BYTES : row;
    p->offsets = two ? p->ids + (size_t)p->n * (ID_BYTES + 4) : p->fan + FAN_BYTES;
    p->offset_step = two ? 4 : row;
    p->large = two ? p->offsets + (size_t)p->n * 4 : NULL;
    return true;
}

static int open_pack_file(const pack *p, uint64_t *end)
{
    char path[PATH_MAX];
    struct stat sb;
    const size_t n = strlen(p->path) - strlen(".idx");

    (void)snprintf(path, sizeof path, "%.*s.pack", (int)n, p->path);
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode) || sb.st_size <= PACK_HEADER + ID_BYTES)) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        *end = (uint64_t)sb.st_size - ID_BYTES;
    return fd;
}

static bool open_pack(packs *s, pack *p)
{
    if (p->state != PACK_UNSEEN)
        return p->state == PACK_USABLE;
    p->state = PACK_BROKEN;
    if (!dr_objects__map(&p->index, &p->n_index, p->path, SIZE_MAX / 2) || !parse_index(p) ||
        (p->fd = open_pack_file(p, &p->end)) < 0)
        return false;
    if (s->n_open == OPEN_MAX) {
        close(p->fd);
        p->fd = -1;
    } else {
        s->n_open++;
    }
    p->state = PACK_USABLE;
    return true;
}

/* The ids that start with one byte: entries *from to *to. False: they are not in order. */
static bool find_range(pack *p, uint8_t first, uint32_t *from, uint32_t *to)
{
    *from = first ? be32(p->fan + 4 * ((size_t)first - 1)) : 0;
    *to = be32(p->fan + 4 * (size_t)first);
    if (p->order[first] == ORDER_UNSEEN) {
        p->order[first] = ORDER_GOOD;
        for (uint32_t i = *from; i < *to; i++) {
            const uint8_t *id = p->ids + i * p->id_step;
            if (*id != first || (i > *from && memcmp(id - p->id_step, id, ID_BYTES) >= 0))
                p->order[first] = ORDER_BAD;
        }
    }
    return p->order[first] == ORDER_GOOD;
}

/* The first entry of that range whose id is not before this one. */
static uint32_t lower_bound(const pack *p, uint32_t from, uint32_t to, const uint8_t *id)
{
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        if (memcmp(p->ids + middle * p->id_step, id, ID_BYTES) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool find_entry(pack *p, uint32_t *entry, const uint8_t *id)
{
    uint32_t from, to;
    if (!find_range(p, id[0], &from, &to))
        return false;
    *entry = lower_bound(p, from, to, id);
    return *entry < to && memcmp(p->ids + *entry * p->id_step, id, ID_BYTES) == 0;
}

/* Where an entry's object begins; 0: nowhere. */
static uint64_t place_of(const pack *p, uint32_t entry)
{
    const uint32_t v = be32(p->offsets + entry * p->offset_step), i = v & 0x7FFFFFFF;
    if (!p->large || !(v & 0x80000000))
        return v;
    return i < p->n_large ? (uint64_t)be32(p->large + 8 * (size_t)i) << 32 | be32(p->large + 8 * (size_t)i + 4) : 0;
}

/* ---- chains ---- */

/* Where the base of the object at a place is; 0: it is whole. False: that makes no sense. */
static bool read_link(uint64_t *base, pack *p, int fd, uint64_t at)
{
    uint8_t h[LINK_BYTES];
    size_t i = 0;

    if (at < PACK_HEADER || at >= p->end)
        return false;
    const size_t n = p->end - at < sizeof h ? (size_t)(p->end - at) : sizeof h;
    if (pread(fd, h, n, (off_t)at) != (ssize_t)n)
        return false;
    while (h[i] & 0x80)
        if (++i == 10 || i == n)
            return false;
    i++;
    *base = 0;
    switch (h[0] >> 4 & 7) {
    case GIT_OBJECT_COMMIT:
    case GIT_OBJECT_TREE:
    case GIT_OBJECT_BLOB:
    case GIT_OBJECT_TAG: return true;
    case GIT_OBJECT_OFS_DELTA: {
        uint64_t distance = 0;
        for (size_t k = 0;; k++) {
            if (i == n || k == 8)
                return false;
            distance = distance << 7 | (h[i] & 0x7F);
            if (!(h[i++] & 0x80))
                break;
            distance++;
        }
        if (distance == 0 || distance > at - PACK_HEADER)
            return false;
        *base = at - distance;
        return true;
    }
    case GIT_OBJECT_REF_DELTA: {
        uint32_t entry;
        if (i + ID_BYTES > n || !find_entry(p, &entry, h + i))
            return false;
        *base = place_of(p, entry);
        return *base != 0;
    }
    default: return false;
    }
}

static known *known_of(packs *s, uint32_t number, uint64_t at)
{
    return &s->known[(at * 0x9E3779B97F4A7C15u + number * 0xC2B2AE3D27D4EB4Fu) >> 50];
}

static_assert(N_KNOWN == 1 << (64 - 50), "the hash's upper bits are the index");

static const char *reason_of(int what)
{
    return what == KNOWN_CIRCLE     ? "a pack is damaged: its deltas lead in a circle"
           : what == KNOWN_NONSENSE ? "a pack is damaged: an object or what it is a delta of is not there"
                                    : "a pack holds a chain of more than 4096 deltas";
}

/* NULL: the object at a place can be unpacked in CHAIN_MAX steps at most. Otherwise why not. What is found of one
 * object holds for all on its chain, and does not depend on what is known. */
static const char *check_chain(packs *s, uint32_t number, uint64_t at)
{
    pack *p = &s->v[number];
    uint64_t path[CHAIN_MAX + 1], unused;
    uint32_t n = 0, links = 0;
    int what = KNOWN_NOTHING;
    const int fd = p->fd >= 0 ? p->fd : open_pack_file(p, &unused);

    while (what == KNOWN_NOTHING) {
        const known *k = known_of(s, number, at);
        const bool is_known = k->what != KNOWN_NOTHING && k->pack == number && k->at == at;
        if (is_known && (k->what != KNOWN_AT_LEAST || n + k->links > CHAIN_MAX)) {
            what = k->what;
            links = k->links;
        } else if (n > CHAIN_MAX) {
            what = KNOWN_AT_LEAST;
            for (uint32_t i = 0; i + 1 < n; i++)
                if (path[i] == path[n - 1])
                    what = KNOWN_CIRCLE;
        } else {
            path[n++] = at;
            if (fd < 0 || !read_link(&at, p, fd, at))
                what = KNOWN_NONSENSE;
            else if (at == 0) {
                n--; /* is itself the end */
                at = path[n];
                *known_of(s, number, at) = (known){.at = at, .pack = number, .what = KNOWN_LINKS};
                what = KNOWN_LINKS;
            }
        }
    }
    if (fd >= 0 && fd != p->fd)
        close(fd);
    for (uint32_t i = n; i-- > 0;) { /* from the end, so that of a place met twice the larger number stays */
        const bool counted = what == KNOWN_LINKS || what == KNOWN_AT_LEAST;
        const uint32_t from_here = !counted ? 0 : links + (n - i) > CHAIN_MAX + 1 ? CHAIN_MAX + 1 : links + (n - i);
        *known_of(s, number, path[i]) =
            (known){.at = path[i],
                    .pack = number,
                    .links = (uint16_t)from_here,
                    .what = (uint8_t)(what == KNOWN_LINKS && from_here > CHAIN_MAX ? KNOWN_AT_LEAST : what)};
    }
    return what == KNOWN_LINKS && links + n <= CHAIN_MAX ? NULL
                                                         : reason_of(what == KNOWN_LINKS ? KNOWN_AT_LEAST : what);
}

/* ---- the library's side ---- */

/* The library's reader of a pack that holds the object and can give it out. GIT_ENOTFOUND; GIT_ERROR: damaged wherever
 * it is. reader NULL: whether some pack names it. */
static int find_reader(git_odb_backend **reader, packs *s, const git_oid *id)
{
    const char *why = NULL;
    int error = GIT_ENOTFOUND;

    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i <= s->n && error == GIT_ENOTFOUND; i++) {
        const size_t at = i == 0 ? s->last : i - 1; /* most objects are where the one before was */
        uint32_t entry;
        if (at >= s->n || !open_pack(s, &s->v[at]) || !find_entry(&s->v[at], &entry, id->id))
            continue;
        if (reader && (why = check_chain(s, (uint32_t)at, place_of(&s->v[at], entry))))
            continue;
        if (reader && !s->v[at].reader && git_odb_backend_one_pack(&s->v[at].reader, s->v[at].path) < 0) {
            s->v[at].reader = NULL;
            why = "a pack cannot be opened";
            continue;
        }
        if (reader)
            *reader = s->v[at].reader;
        s->last = at;
        error = 0;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!error || !why)
        return error;
    git_error_set_str(GIT_ERROR_ODB, why);
    return GIT_ERROR;
}

static int packs_read(void **data, size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    git_odb_backend *reader;
    const int error = find_reader(&reader, (packs *)b, id);
    return error ? error : reader->read(data, size, type, reader, id);
}

static int packs_read_header(size_t *size, git_object_t *type, git_odb_backend *b, const git_oid *id)
{
    git_odb_backend *reader;
    const int error = find_reader(&reader, (packs *)b, id);
    return error ? error : reader->read_header(size, type, reader, id);
}

static int packs_exists(git_odb_backend *b, const git_oid *id)
{
    return find_reader(NULL, (packs *)b, id) == 0;
}

/* An abbreviated name. */
static int packs_read_prefix(git_oid *found, void **data, size_t *size, git_object_t *type, git_odb_backend *b,
                             const git_oid *id, size_t n_hex)
{
    packs *s = (packs *)b;
    git_oid key = {{0}}, candidate;
    size_t n_found = 0;

    for (size_t i = 0; i < n_hex && i < GIT_OID_HEXSZ; i++)
        key.id[i / 2] |= (uint8_t)(id->id[i / 2] & (i % 2 ? 0x0F : 0xF0));
    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n && n_hex >= 2; i++) {
        uint32_t from, to;
        if (!open_pack(s, &s->v[i]) || !find_range(&s->v[i], key.id[0], &from, &to))
            continue;
        for (uint32_t at = lower_bound(&s->v[i], from, to, key.id); at < to && n_found < 2; at++) {
            memcpy(candidate.id, s->v[i].ids + at * s->v[i].id_step, ID_BYTES);
            if (git_oid_ncmp(&candidate, &key, n_hex) != 0)
                break;
            if (n_found && git_oid_equal(&candidate, found))
                continue;
            *found = candidate;
            n_found++;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return n_found == 0 ? GIT_ENOTFOUND : n_found > 1 ? GIT_EAMBIGUOUS : packs_read(data, size, type, b, found);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const pack *)a)->path, ((const pack *)b)->path);
}

/* The packs of a folder that are not known yet, behind the others. False: out of memory. */
static bool scan_folder(packs *s, const char *folder)
{
    char path[PATH_MAX];
    const size_t n_before = s->n;
    bool ok = true;
    const int length = snprintf(path, sizeof path, "%s/pack", folder);
    DIR *d = length > 0 && (size_t)length < sizeof path ? opendir(path) : NULL;

    for (struct dirent *e; d && ok && s->n < PACKS_MAX && (e = readdir(d));) {
        const size_t n = strlen(e->d_name);
        if (n <= 4 || strcmp(e->d_name + n - 4, ".idx") != 0)
            continue;
        const int m = snprintf(path, sizeof path, "%s/pack/%s", folder, e->d_name);
        if (m < 0 || (size_t)m + 1 >= sizeof path) /* one more for .pack */
            continue;
        bool is_known = false;
        for (size_t i = 0; i < n_before && !is_known; i++)
            is_known = strcmp(s->v[i].path, path) == 0;
        if (is_known)
            continue;
        if (s->n == s->cap) {
            const size_t cap = s->cap ? 2 * s->cap : 8;
            pack *grown = realloc(s->v, cap * sizeof *grown);
            if (!(ok = grown != NULL))
                break;
            s->v = grown;
            s->cap = cap;
        }
        s->v[s->n] = (pack){.path = strdup(path), .fd = -1};
        if ((ok = s->v[s->n].path != NULL))
            s->n++;
    }
    if (d)
        (void)closedir(d);
    if (s->n > n_before)
        qsort(s->v + n_before, s->n - n_before, sizeof *s->v, by_path);
    return ok;
}

static int packs_refresh(git_odb_backend *b)
{
    packs *s = (packs *)b;
    bool ok = true;

    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->folders.n && ok; i++) {
        char path[PATH_MAX];
        struct stat sb;
        const int n = snprintf(path, sizeof path, "%s/pack", s->folders.v[i]);
        if (n < 0 || (size_t)n >= sizeof path || stat(path, &sb) < 0 ||
            memcmp(&sb.st_mtim, &s->seen[i], sizeof sb.st_mtim) == 0)
            continue;
        s->seen[i] = sb.st_mtim;
        ok = scan_folder(s, s->folders.v[i]);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (!ok)
        git_error_set_oom();
    return ok ? 0 : GIT_ERROR;
}

static void packs_free(git_odb_backend *b)
{
    packs *s = (packs *)b;
    for (size_t i = 0; i < s->n; i++) {
        pack *p = &s->v[i];
        if (p->reader)
            p->reader->free(p->reader);
        if (p->index)
            (void)munmap((void *)(uintptr_t)p->index, p->n_index);
        if (p->fd >= 0)
            close(p->fd);
        free(p->path);
    }
    free(s->v);
    free(s->known);
    dr_object_folders_fini(&s->folders);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

dr_status dr_packs__new(git_odb_backend **out, dr_object_folders *folders, dr_error *err)
{
    packs *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s || git_odb_init_backend(&s->base, GIT_ODB_BACKEND_VERSION) < 0 || pthread_mutex_init(&s->lock, NULL) != 0) {
        dr_object_folders_fini(folders);
        free(s);
        return dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
    }
    s->folders = *folders;
    folders->n = 0;
    s->base.read = packs_read;
    s->base.read_header = packs_read_header;
    s->base.read_prefix = packs_read_prefix;
    s->base.exists = packs_exists;
    s->base.refresh = packs_refresh;
    s->base.free = packs_free;
    if (!(s->known = calloc(N_KNOWN, sizeof *s->known)) || packs_refresh(&s->base) < 0) {
        packs_free(&s->base);
        return dr_fail(err, DR_ERR_NOMEM, "objects: out of memory");
    }
    *out = &s->base;
    return DR_OK;
}
