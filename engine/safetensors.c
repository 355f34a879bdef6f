#include "engine/safetensors.h"

#include "engine/safetensors_header.h"

#include <jansson.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* File: u64 length of the header, header (JSON), data. The largest real header (a 3 GB shard of small experts) is under
 * 1 MiB. */
enum { PREFIX_BYTES = 8, MAX_HEADER_BYTES = 100 << 20, MAX_INDEX_BYTES = 256 << 20, MAX_SHARDS = 4096 };
enum { SAMPLES = 64, SAMPLE_BYTES = 64 << 10 };

typedef struct shard {
    const char *name;
    uint8_t *map;
    size_t n_bytes, header_bytes;
} shard;

struct dr_safetensors {
    shard *shards;
    size_t n_shards;
    dr_tensor_list tensors; /* sorted by name */
    dr_arena *names;
};

static const char *keep_name(dr_safetensors *s, const char *name)
{
    const size_t n = strlen(name);
    char *kept = dr_arena_take(s->names, n + 1);
    if (kept)
        memcpy(kept, name, n);
    return kept;
}

static dr_status open_shard(dr_safetensors *s, shard *sh, const char *folder, dr_error *err)
{
    dr_status st = DR_OK;
    char path[PATH_MAX];
    struct stat sb;
    int fd = -1;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, sh->name) >= sizeof path) {
        st = dr_fail_more(err, DR_ERR_ARG, "%s: path too long", sh->name);
        goto done;
    }
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(fd, &sb) < 0) {
        st = dr_fail_more(err, errno == ENOENT ? DR_ERR_NOT_FOUND : DR_ERR_IO, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(sb.st_mode) || sb.st_size < PREFIX_BYTES) {
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %s", path,
                          S_ISREG(sb.st_mode) ? "too short for a header" : "not a regular file");
        goto done;
    }
    void *map = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        st = dr_fail_more(err, DR_ERR_IO, "%s: cannot be mapped: %s", path, strerror(errno));
        goto done;
    }
    sh->map = map;
    sh->n_bytes = (size_t)sb.st_size;
    const uint64_t room = sh->n_bytes - PREFIX_BYTES, n = dr_load_u64(sh->map);
    if (n > room || n > MAX_HEADER_BYTES) {
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: header of %llu bytes, expected at most %llu", path,
                          (unsigned long long)n,
                          (unsigned long long)(room < MAX_HEADER_BYTES ? room : MAX_HEADER_BYTES));
        goto done;
    }
    sh->header_bytes = (size_t)n;
    const uint8_t *data = sh->map + PREFIX_BYTES + n;
    st = dr_safetensors__parse_header(&s->tensors, s->names, (dr_str){(const char *)sh->map + PREFIX_BYTES, (size_t)n},
                                      data, room - n, sh->name, err);
done:
    if (fd >= 0)
        close(fd);
    return st;
}

static bool is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

/* The distinct shards that weight_map names, in order of name. */
static dr_status list_shards(dr_safetensors *s, const json_t *map, const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    const char *tensor;
    const json_t *v;

    json_object_foreach((json_t *)(uintptr_t)map, tensor, v)
    {
        const char *file = json_string_value(v);
        size_t i = 0;
        if (!file || !is_plain_name(file)) {
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: \"%.100s\" is not a plain file name", path, tensor,
                              file ? file : "");
            continue;
        }
        /* Names come grouped by shard or nearly so: the last one first. */
        while (i < s->n_shards && strcmp(s->shards[s->n_shards - 1 - i].name, file) != 0)
            i++;
        if (i < s->n_shards)
            continue;
        if (s->n_shards == MAX_SHARDS)
            return dr_fail_more(err, DR_ERR_FORMAT, "%s: more than %d shards", path, MAX_SHARDS);
        shard *grown = realloc(s->shards, (s->n_shards + 1) * sizeof *grown);
        if (!grown ||
            !(grown[s->n_shards] = (shard){.name = keep_name(s, file)}, s->shards = grown, grown[s->n_shards].name))
            return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        s->n_shards++;
    }
    return st;
}

static int by_shard_name(const void *a, const void *b)
{
    return strcmp(((const shard *)a)->name, ((const shard *)b)->name);
}

static int by_tensor_name(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_tensor *)a)->name, ((const dr_tensor *)b)->name);
}

static dr_status check_map(const dr_safetensors *s, const json_t *map, const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    const char *name;
    const json_t *v;

    json_object_foreach((json_t *)(uintptr_t)map, name, v)
    {
        const dr_tensor *t = dr_safetensors_find(s, name);
        if (!t || strcmp(t->file, json_string_value(v)) != 0)
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: not in %.100s, where the index puts it", path, name,
                              json_string_value(v));
    }
    for (size_t i = 0; i < s->tensors.n; i++)
        if (!json_object_get(map, s->tensors.items[i].name.s))
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: not in the index", s->tensors.items[i].file,
                              s->tensors.items[i].name.s);
    return st;
}

static dr_status open_shards(dr_safetensors *s, const char *folder, dr_error *err)
{
    dr_status st = DR_OK;

    qsort(s->shards, s->n_shards, sizeof *s->shards, by_shard_name);
    for (size_t i = 0; i < s->n_shards; i++) {
        const dr_status one = open_shard(s, &s->shards[i], folder, err);
        if (one == DR_ERR_NOMEM)
            return one;
        if (one != DR_OK)
            st = one;
    }
    if (st != DR_OK)
        return st;
    if (s->tensors.n)
        qsort(s->tensors.items, s->tensors.n, sizeof *s->tensors.items, by_tensor_name);
    for (size_t i = 1; i < s->tensors.n; i++) {
        const dr_tensor *a = &s->tensors.items[i - 1], *b = &s->tensors.items[i];
        if (dr_str_eq(a->name, b->name))
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s and %s: both hold %.100s", a->file, b->file, a->name.s);
    }
    return st;
}

static dr_status open_index(dr_safetensors *s, const char *folder, const char *path, dr_error *err)
{
    dr_status st;
    json_error_t je;
    json_t *root = NULL;
    dr_buf text = {0};

    if ((st = dr_read_file(&text, path, MAX_INDEX_BYTES, err)) != DR_OK)
        goto done;
    root = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, &je);
    const json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map)) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: %s", path, root ? "no object \"weight_map\"" : je.text);
        goto done;
    }
    if ((st = list_shards(s, map, path, err)) != DR_OK || (st = open_shards(s, folder, err)) != DR_OK)
        goto done;
    st = check_map(s, map, path, err);
done:
    json_decref(root);
    dr_buf_free(&text);
    return st;
}

dr_status dr_safetensors_open(dr_safetensors **out, const char *folder, dr_error *err)
{
    dr_status st = DR_OK;
    char path[PATH_MAX];
    dr_error found = {0};
    dr_safetensors *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s || !(s->names = dr_arena_new(1 << 16))) {
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", folder);
        goto done;
    }
    if ((size_t)snprintf(path, sizeof path, "%s/model.safetensors", folder) >= sizeof path - sizeof ".index.json") {
        st = dr_fail(&found, DR_ERR_ARG, "%.100s...: path too long", folder);
        goto done;
    }
    if (access(path, F_OK) == 0) {
        if (!(s->shards = calloc(1, sizeof *s->shards))) {
            st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", folder);
            goto done;
        }
        s->shards[0].name = "model.safetensors";
        s->n_shards = 1;
        st = open_shards(s, folder, &found);
    } else {
        memcpy(path + strlen(path), ".index.json", sizeof ".index.json");
        if ((st = open_index(s, folder, path, &found)) == DR_ERR_NOT_FOUND && s->n_shards == 0)
            st = dr_fail(&found, DR_ERR_NOT_FOUND, "%s: neither model.safetensors nor model.safetensors.index.json",
                         folder);
    }
    if (st == DR_OK) {
        *out = s;
        s = NULL;
    }
done:
    if (st != DR_OK && err)
        *err = found;
    dr_safetensors_close(s);
    return st;
}

void dr_safetensors_close(dr_safetensors *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_shards; i++)
        if (s->shards[i].map)
            munmap(s->shards[i].map, s->shards[i].n_bytes);
    free(s->shards);
    free(s->tensors.items);
    dr_arena_free(s->names);
    free(s);
}

const dr_tensor *dr_safetensors_find(const dr_safetensors *s, const char *name)
{
    const dr_tensor key = {.name = dr_str_of(name)};
    return s->tensors.n ? bsearch(&key, s->tensors.items, s->tensors.n, sizeof key, by_tensor_name) : NULL;
}

size_t dr_safetensors_count(const dr_safetensors *s)
{
    return s->tensors.n;
}

const dr_tensor *dr_safetensors_at(const dr_safetensors *s, size_t i)
{
    return &s->tensors.items[i];
}

dr_digest dr_safetensors_identity(const dr_safetensors *s)
{
    dr_sha256_stream *h = dr_sha256_new();

    for (size_t i = 0; i < s->n_shards; i++) {
        const shard *sh = &s->shards[i];
        const size_t head = PREFIX_BYTES + sh->header_bytes, data = sh->n_bytes - head;
        uint8_t size[8];
        dr_store_u64(size, sh->n_bytes);
        dr_sha256_update(h, size, sizeof size);
        dr_sha256_update(h, sh->map, head);
        if (data <= (size_t)SAMPLES * SAMPLE_BYTES) {
            dr_sha256_update(h, sh->map + head, data);
            continue;
        }
        for (size_t k = 0; k < SAMPLES; k++) /* from the first byte to the last */
            dr_sha256_update(h, sh->map + head + (data - SAMPLE_BYTES) * k / (SAMPLES - 1), SAMPLE_BYTES);
    }
    return dr_sha256_finish(h);
}
