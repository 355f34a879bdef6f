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
    dr_shard told;
    uint8_t *map;
    size_t header_bytes;
} shard;

struct dr_safetensors {
    shard *shards; /* sorted by name */
    size_t n_shards;
    dr_tensor_list tensors; /* sorted by name */
    dr_arena *names;
    const char *folder;
    json_t *index; /* NULL: one file without an index */
};

static const char *keep_name(dr_safetensors *s, const char *name)
{
    const size_t n = strlen(name);
    char *kept = dr_arena_take(s->names, n + 1);
    if (kept)
        memcpy(kept, name, n);
    return kept;
}

/* Only running out of memory is a failure; everything else is a problem of the folder. */
static dr_status open_shard(dr_safetensors *s, shard *sh, const char *folder, dr_problems *problems)
{
    dr_status st = DR_OK;
    char path[PATH_MAX];
    struct stat sb;
    uint64_t data_bytes = 0;
    int fd = -1;
    const char *name = sh->told.name;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
        dr_problems_add(problems, DR_PROBLEM_FILE, name, "path too long");
        goto done;
    }
    if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || fstat(fd, &sb) < 0) {
        if (errno == ENOENT && sh->told.n_index)
            dr_problems_add(problems, DR_PROBLEM_FILE_MISSING, name, "missing; the index puts %zu tensors there",
                            sh->told.n_index);
        else
            dr_problems_add(problems, errno == ENOENT ? DR_PROBLEM_FILE_MISSING : DR_PROBLEM_FILE, name, "%s",
                            strerror(errno));
        goto done;
    }
    if (!S_ISREG(sb.st_mode) || sb.st_size < PREFIX_BYTES) {
        dr_problems_add(problems, S_ISREG(sb.st_mode) ? DR_PROBLEM_FILE_CUT : DR_PROBLEM_FILE, name, "%s",
                        S_ISREG(sb.st_mode) ? "truncated: too short for a header" : "not a regular file");
        goto done;
    }
    sh->told.there = true;
    sh->told.n_bytes = (uint64_t)sb.st_size;
    void *map = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        dr_problems_add(problems, DR_PROBLEM_FILE, name, "cannot be mapped: %s", strerror(errno));
        goto done;
    }
    sh->map = map;
    const uint64_t room = sh->told.n_bytes - PREFIX_BYTES, n = dr_load_u64(sh->map);
    if (n > room || n > MAX_HEADER_BYTES) {
        dr_problems_add(problems, n > MAX_HEADER_BYTES ? DR_PROBLEM_FILE : DR_PROBLEM_FILE_CUT, name,
                        "header of %llu bytes, expected at most %llu", (unsigned long long)n,
                        (unsigned long long)(room < MAX_HEADER_BYTES ? room : MAX_HEADER_BYTES));
        goto done;
    }
    sh->header_bytes = (size_t)n;
    const size_t before = s->tensors.n;
    st = dr_safetensors__parse_header(&s->tensors, &data_bytes, s->names,
                                      (dr_str){(const char *)sh->map + PREFIX_BYTES, (size_t)n}, sh->map + PREFIX_BYTES + n,
                                      room - n, name, problems);
    if (st == DR_OK) {
        sh->told.readable = true;
        sh->told.n_tensors = s->tensors.n - before;
        sh->told.n_told = PREFIX_BYTES + n + data_bytes;
    } else if (st == DR_ERR_FORMAT) {
        s->tensors.n = before;
        st = DR_OK;
    }
done:
    if (fd >= 0)
        close(fd);
    return st;
}

static bool is_plain_name(const char *name)
{
    return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

static int by_shard_name(const void *a, const void *b)
{
    return strcmp(((const shard *)a)->told.name, ((const shard *)b)->told.name);
}

static shard *find_shard(const dr_safetensors *s, const char *name)
{
    const shard key = {.told = {.name = name}};
    return s->n_shards ? bsearch(&key, s->shards, s->n_shards, sizeof key, by_shard_name) : NULL;
}

/* The distinct shards that weight_map names, in order of name. */
static dr_status list_shards(dr_safetensors *s, const json_t *map, const char *path, dr_problems *problems)
{
    const char *tensor;
    const json_t *v;

    json_object_foreach((json_t *)(uintptr_t)map, tensor, v)
    {
        const char *file = json_string_value(v);
        size_t i = 0;
        if (!file || !is_plain_name(file)) {
            dr_problems_add(problems, DR_PROBLEM_FILE, path, "%.100s: \"%.100s\" is not a plain file name", tensor,
                            file ? file : "");
            continue;
        }
        /* Names come grouped by shard or nearly so: the last one first. */
        while (i < s->n_shards && strcmp(s->shards[s->n_shards - 1 - i].told.name, file) != 0)
            i++;
        if (i < s->n_shards) {
            s->shards[s->n_shards - 1 - i].told.n_index++;
            continue;
        }
        if (s->n_shards == MAX_SHARDS) {
            dr_problems_add(problems, DR_PROBLEM_FILE, path, "more than %d shards", MAX_SHARDS);
            break;
        }
        shard *grown = realloc(s->shards, (s->n_shards + 1) * sizeof *grown);
        if (!grown)
            return DR_ERR_NOMEM;
        s->shards = grown;
        grown[s->n_shards] = (shard){.told = {.name = keep_name(s, file), .n_index = 1}};
        if (!grown[s->n_shards].told.name)
            return DR_ERR_NOMEM;
        s->n_shards++;
    }
    if (s->n_shards)
        qsort(s->shards, s->n_shards, sizeof *s->shards, by_shard_name);
    return DR_OK;
}

static int by_tensor_name(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_tensor *)a)->name, ((const dr_tensor *)b)->name);
}

/* Index and headers against each other, as far as headers could be read. */
static void check_map(const dr_safetensors *s, const json_t *map, dr_problems *problems)
{
    const char *name;
    const json_t *v;

    json_object_foreach((json_t *)(uintptr_t)map, name, v)
    {
        const char *file = json_string_value(v);
        const shard *sh = file ? find_shard(s, file) : NULL;
        const dr_tensor *t = sh && sh->told.readable ? dr_safetensors_find(s, name) : NULL;
        if (sh && sh->told.readable && (!t || strcmp(t->file, file) != 0))
            dr_problems_add(problems, DR_PROBLEM_MISSING, file, "%.100s: not there, where the index puts it", name);
    }
    for (size_t i = 0; i < s->tensors.n; i++)
        if (!json_object_get(map, s->tensors.items[i].name.s))
            dr_problems_add(problems, DR_PROBLEM_FILE, s->tensors.items[i].file, "%.100s: not in the index",
                            s->tensors.items[i].name.s);
}

static dr_status open_shards(dr_safetensors *s, const char *folder, dr_problems *problems)
{
    dr_status st;

    for (size_t i = 0; i < s->n_shards; i++)
        if ((st = open_shard(s, &s->shards[i], folder, problems)) != DR_OK)
            return st;
    if (s->tensors.n)
        qsort(s->tensors.items, s->tensors.n, sizeof *s->tensors.items, by_tensor_name);
    for (size_t i = 1; i < s->tensors.n; i++) {
        const dr_tensor *a = &s->tensors.items[i - 1], *b = &s->tensors.items[i];
        if (dr_str_eq(a->name, b->name))
            dr_problems_add(problems, DR_PROBLEM_FILE, b->file, "%.100s: %s holds it too", b->name.s, a->file);
    }
    return DR_OK;
}

static dr_status open_index(dr_safetensors *s, const char *folder, const char *path, dr_problems *problems, dr_error *err)
{
    dr_status st;
    json_error_t je;
    dr_buf text = {0};

    if ((st = dr_read_file(&text, path, MAX_INDEX_BYTES, err)) != DR_OK)
        goto done;
    s->index = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, &je);
    const json_t *map = json_object_get(s->index, "weight_map");
    if (!json_is_object(map)) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: %s", path, s->index ? "no object \"weight_map\"" : je.text);
        goto done;
    }
    if ((st = list_shards(s, map, path, problems)) != DR_OK || (st = open_shards(s, folder, problems)) != DR_OK) {
        (void)dr_fail(err, st, "%s: out of memory", folder);
        goto done;
    }
    check_map(s, map, problems);
done:
    dr_buf_free(&text);
    return st;
}

dr_status dr_safetensors_survey(dr_safetensors **out, const char *folder, dr_problems *problems, dr_error *err)
{
    dr_status st = DR_OK;
    char path[PATH_MAX];
    dr_safetensors *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s || !(s->names = dr_arena_new(1 << 16)) || !(s->folder = keep_name(s, folder))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", folder);
        goto done;
    }
    if ((size_t)snprintf(path, sizeof path, "%s/model.safetensors", folder) >= sizeof path - sizeof ".index.json") {
        st = dr_fail(err, DR_ERR_ARG, "%.100s...: path too long", folder);
        goto done;
    }
    if (access(path, F_OK) == 0) {
        if (!(s->shards = calloc(1, sizeof *s->shards))) {
            st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", folder);
            goto done;
        }
        s->shards[0].told.name = "model.safetensors";
        s->n_shards = 1;
        if ((st = open_shards(s, folder, problems)) != DR_OK)
            (void)dr_fail(err, st, "%s: out of memory", folder);
    } else {
        memcpy(path + strlen(path), ".index.json", sizeof ".index.json");
        if ((st = open_index(s, folder, path, problems, err)) == DR_ERR_NOT_FOUND && s->n_shards == 0)
            st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: neither model.safetensors nor model.safetensors.index.json", folder);
    }
    if (st == DR_OK) {
        *out = s;
        s = NULL;
    }
done:
    dr_safetensors_close(s);
    return st;
}

dr_status dr_safetensors_open(dr_safetensors **out, const char *folder, dr_error *err)
{
    dr_problems problems = {0};
    dr_error found = {0};
    dr_safetensors *s = NULL;
    dr_status st = dr_safetensors_survey(&s, folder, &problems, &found);

    if (st == DR_OK)
        st = dr_problems_fail(&problems, NULL, &found);
    if (st != DR_OK) {
        dr_safetensors_close(s);
        s = NULL;
        if (err)
            *err = found;
    } else if (s) { /* only a survey looks tensors up in it */
        json_decref(s->index);
        s->index = NULL;
    }
    *out = s;
    dr_problems_fini(&problems);
    return st;
}

void dr_safetensors_close(dr_safetensors *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_shards; i++)
        if (s->shards[i].map)
            munmap(s->shards[i].map, (size_t)s->shards[i].told.n_bytes);
    free(s->shards);
    json_decref(s->index);
    free(s->tensors.items);
    dr_arena_free(s->names);
    free(s);
}

const dr_tensor *dr_safetensors_find(const dr_safetensors *s, const char *name)
{
    const dr_tensor key = {.name = dr_str_of(name)};
    return s->tensors.n ? bsearch(&key, s->tensors.items, s->tensors.n, sizeof key, by_tensor_name) : NULL;
}

size_t dr_safetensors_n_shards(const dr_safetensors *s)
{
    return s->n_shards;
}

const dr_shard *dr_safetensors_shard(const dr_safetensors *s, size_t i)
{
    return &s->shards[i].told;
}

const dr_shard *dr_safetensors_indexed(const dr_safetensors *s, const char *tensor)
{
    const char *file = json_string_value(json_object_get(json_object_get(s->index, "weight_map"), tensor));
    const shard *sh = file ? find_shard(s, file) : NULL;
    return sh ? &sh->told : NULL;
}

int64_t dr_safetensors_index_bytes(const dr_safetensors *s)
{
    const json_t *n = json_object_get(json_object_get(s->index, "metadata"), "total_size");
    return json_is_number(n) && json_number_value(n) >= 0 && json_number_value(n) < 9e18 ? (int64_t)json_number_value(n) : -1;
}

size_t dr_safetensors_count(const dr_safetensors *s)
{
    return s->tensors.n;
}

const dr_tensor *dr_safetensors_at(const dr_safetensors *s, size_t i)
{
    return &s->tensors.items[i];
}

/* n bytes of a shard into `to`, read rather than mapped: a fault far from the last one makes the system read much more than it is
 * asked for (64 samples of a sparse 13 GB file: 0.40 s mapped, 0.004 s read). fd < 0, or a file that changed: the mapping. */
static const uint8_t *sample(uint8_t *to, const shard *sh, int fd, size_t at, size_t n)
{
    return fd >= 0 && pread(fd, to, n, (off_t)at) == (ssize_t)n ? to : sh->map + at;
}

static int open_again(const dr_safetensors *s, const shard *sh)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", s->folder, sh->told.name) >= sizeof path)
        return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

dr_digest dr_safetensors_identity(const dr_safetensors *s)
{
    dr_sha256_stream *h = dr_sha256_new();
    uint8_t part[SAMPLE_BYTES];

    for (size_t i = 0; i < s->n_shards; i++) {
        const shard *sh = &s->shards[i];
        const size_t head = PREFIX_BYTES + sh->header_bytes, data = (size_t)sh->told.n_bytes - head;
        uint8_t size[8];
        dr_store_u64(size, sh->told.n_bytes);
        dr_sha256_update(h, size, sizeof size);
        dr_sha256_update(h, sh->map, head);
        if (data <= (size_t)SAMPLES * SAMPLE_BYTES) {
            dr_sha256_update(h, sh->map + head, data);
            continue;
        }
        const int fd = open_again(s, sh);
        for (size_t k = 0; k < SAMPLES; k++) /* from the first byte to the last */
            dr_sha256_update(h, sample(part, sh, fd, head + (data - SAMPLE_BYTES) * k / (SAMPLES - 1), SAMPLE_BYTES), SAMPLE_BYTES);
        if (fd >= 0)
            close(fd);
    }
    return dr_sha256_finish(h);
}
