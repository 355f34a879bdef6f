#include "engine/safetensors_header.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    dr_dtype dtype;
    uint64_t bytes;
} dtypes[] = {
    {"F32", DR_F32, 4},         {"BF16", DR_BF16, 2}, {"F8_E4M3", DR_F8_E4M3, 1},
    {"F8_E8M0", DR_F8_E8M0, 1}, {"I8", DR_FP4, 1},    {"I64", DR_I64, 8},
};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

const char *dr_dtype_name(dr_dtype dtype)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].name;
    return "unknown";
}

static bool list_grow(dr_tensor_list *l)
{
    if (l->n < l->cap)
        return true;
    const size_t cap = l->cap ? 2 * l->cap : 256;
    dr_tensor *grown = realloc(l->items, cap * sizeof *grown);
    if (!grown)
        return false;
    l->items = grown;
    l->cap = cap;
    return true;
}

static bool refuse(dr_problems *problems, const char *file, const char *name, const char *what)
{
    dr_problems_add(problems, DR_PROBLEM_FILE, file, "%.100s: %s", name, what);
    return false;
}

/* Shape and dtype give the size; begin and end, relative to the data, must agree with it. */
static bool read_tensor(dr_tensor *t, uint64_t *begin, const json_t *v, const char *name, const char *file,
                        dr_problems *problems)
{
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    const json_t *shape = json_object_get(v, "shape");
    const json_t *offsets = json_object_get(v, "data_offsets");
    size_t d = 0;
    uint64_t bytes;
    char what[128];

    if (!json_is_object(v))
        return refuse(problems, file, name, "not an object");
    while (d < N_DTYPES && (!dtype || strcmp(dtypes[d].name, dtype) != 0))
        d++;
    if (d == N_DTYPES) {
        (void)snprintf(what, sizeof what, "dtype %.20s, expected F8_E4M3, F8_E8M0, I8, BF16, F32 or I64",
                       dtype ? dtype : "missing");
        return refuse(problems, file, name, what);
    }
    if (!json_is_array(shape) || json_array_size(shape) > DR_TENSOR_DIMS) {
        (void)snprintf(what, sizeof what, "no shape of at most %d dimensions", DR_TENSOR_DIMS);
        return refuse(problems, file, name, what);
    }
    t->dtype = dtypes[d].dtype;
    t->n_dims = (int32_t)json_array_size(shape);
    bytes = dtypes[d].bytes;
    for (int32_t i = 0; i < t->n_dims; i++) {
        const json_t *n = json_array_get(shape, (size_t)i);
        t->shape[i] = json_integer_value(n);
        if (!json_is_integer(n) || t->shape[i] < 0) {
            (void)snprintf(what, sizeof what, "dimension %d is not a count", i);
            return refuse(problems, file, name, what);
        }
        if (__builtin_mul_overflow(bytes, (uint64_t)t->shape[i], &bytes))
            return refuse(problems, file, name, "the shape overflows");
    }
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to) ||
        json_integer_value(from) < 0 || json_integer_value(to) < json_integer_value(from))
        return refuse(problems, file, name, "data_offsets are not two increasing offsets");
    *begin = (uint64_t)json_integer_value(from);
    const uint64_t found = (uint64_t)json_integer_value(to) - *begin;
    if (found != bytes) {
        (void)snprintf(what, sizeof what, "%llu bytes, expected %llu for its shape and dtype", (unsigned long long)found,
                       (unsigned long long)bytes);
        return refuse(problems, file, name, what);
    }
    t->n_bytes = (size_t)bytes;
    return true;
}

typedef struct extent {
    uint64_t begin, end;
    const char *name;
} extent;

static int by_begin(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* an empty tensor before the one that begins at the same byte */
}

/* The format wants the tensors to cover the data without overlaps or holes. e is sorted. */
static void check_cover(const extent *e, size_t n, uint64_t data_bytes, const char *file, dr_problems *problems)
{
    uint64_t at = 0;
    bool good = true;

    for (size_t i = 0; i < n; i++) {
        if (e[i].begin < at)
            dr_problems_add(problems, DR_PROBLEM_FILE, file, "%.100s: overlaps the tensor before it by %llu bytes", e[i].name,
                            (unsigned long long)(at - e[i].begin));
        else if (e[i].begin > at)
            dr_problems_add(problems, DR_PROBLEM_FILE, file, "%.100s: %llu bytes before it belong to no tensor", e[i].name,
                            (unsigned long long)(e[i].begin - at));
        good = good && e[i].begin == at;
        at = e[i].end > at ? e[i].end : at;
    }
    if (good && at < data_bytes)
        dr_problems_add(problems, DR_PROBLEM_FILE, file, "%llu bytes after the last tensor",
                        (unsigned long long)(data_bytes - at));
}

/* One problem for a file that ends too early, not one for every tensor behind its end. */
static void check_end(const extent *e, size_t n, uint64_t data_bytes, const char *file, dr_problems *problems)
{
    size_t cut = 0;
    const char *first = NULL;
    uint64_t told = 0;

    for (size_t i = 0; i < n; i++) {
        told = e[i].end > told ? e[i].end : told;
        if (e[i].end <= data_bytes)
            continue;
        first = first ? first : e[i].name;
        cut++;
    }
    if (cut)
        dr_problems_add(problems, DR_PROBLEM_FILE_CUT, file,
                        "truncated: the file holds %llu bytes of data, its header describes %llu; %zu tensor%s cut, the "
                        "first is %.100s",
                        (unsigned long long)data_bytes, (unsigned long long)told, cut, cut == 1 ? " is" : "s are", first);
}

dr_status dr_safetensors__parse_header(dr_tensor_list *out, uint64_t *told, dr_arena *names, dr_str header,
                                       const uint8_t *data, uint64_t data_bytes, const char *file, dr_problems *problems)
{
    dr_status st = DR_OK;
    json_error_t je;
    json_t *root = json_loadb(header.s, header.n, JSON_REJECT_DUPLICATES, &je);
    extent *extents = NULL;
    size_t n = 0, before = dr_problems_count(problems);
    const char *name;
    json_t *v;

    *told = 0;
    if (!json_is_object(root)) {
        dr_problems_add(problems, DR_PROBLEM_FILE, file, "header: %s", root ? "not an object" : je.text);
        st = DR_ERR_FORMAT;
        goto done;
    }
    if (!(extents = calloc(json_object_size(root) + 1, sizeof *extents))) {
        st = DR_ERR_NOMEM;
        goto done;
    }
    json_object_foreach(root, name, v)
    {
        dr_tensor t = {.file = file};
        uint64_t begin = 0;
        if (strcmp(name, "__metadata__") == 0 || !read_tensor(&t, &begin, v, name, file, problems))
            continue;
        const size_t n_name = strlen(name);
        char *kept = dr_arena_take(names, n_name + 1);
        if (!kept || !list_grow(out)) {
            st = DR_ERR_NOMEM;
            goto done;
        }
        memcpy(kept, name, n_name);
        t.name = (dr_str){kept, n_name};
        t.data = data && begin + t.n_bytes <= data_bytes ? data + begin : NULL;
        *told = begin + t.n_bytes > *told ? begin + t.n_bytes : *told;
        extents[n++] = (extent){begin, begin + t.n_bytes, kept};
        out->items[out->n++] = t;
    }
    if (n)
        qsort(extents, n, sizeof *extents, by_begin);
    if (dr_problems_count(problems) == before)
        check_cover(extents, n, data_bytes, file, problems);
    check_end(extents, n, data_bytes, file, problems);
done:
    free(extents);
    json_decref(root);
    return st;
}

dr_status dr_safetensors_check_header(dr_str header, uint64_t data_bytes, size_t *n, const char *name, dr_error *err)
{
    dr_tensor_list list = {0};
    dr_arena *names = dr_arena_new(4096);
    dr_problems problems = {0};
    uint64_t told;
    dr_status st = DR_ERR_NOMEM;

    *n = 0;
    if (names)
        st = dr_safetensors__parse_header(&list, &told, names, header, NULL, data_bytes, name, &problems);
    if (st == DR_ERR_NOMEM)
        (void)dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    else
        st = dr_problems_fail(&problems, NULL, err);
    if (st == DR_OK)
        *n = list.n;
    dr_problems_fini(&problems);
    free(list.items);
    dr_arena_free(names);
    return st;
}
