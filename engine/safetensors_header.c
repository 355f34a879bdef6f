#include "engine/safetensors_header.h"

#include <jansson.h>

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

/* Shape and dtype give the size; begin and end, relative to the data, must agree with it. */
static dr_status read_tensor(dr_tensor *t, uint64_t *begin, const json_t *v, const char *name, uint64_t data_bytes,
                             const char *file, dr_error *err)
{
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    const json_t *shape = json_object_get(v, "shape");
    const json_t *offsets = json_object_get(v, "data_offsets");
    size_t d = 0;
    uint64_t bytes;

    if (!json_is_object(v))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: not an object", file, name);
    while (d < N_DTYPES && (!dtype || strcmp(dtypes[d].name, dtype) != 0))
        d++;
    if (d == N_DTYPES)
        return dr_fail_more(err, DR_ERR_FORMAT,
                            "%s: %.100s: dtype %.20s, expected F8_E4M3, F8_E8M0, I8, BF16, F32 or I64", file, name,
                            dtype ? dtype : "missing");
    if (!json_is_array(shape) || json_array_size(shape) > DR_TENSOR_DIMS)
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: no shape of at most %d dimensions", file, name,
                            DR_TENSOR_DIMS);
    t->dtype = dtypes[d].dtype;
    t->n_dims = (int32_t)json_array_size(shape);
    bytes = dtypes[d].bytes;
    for (int32_t i = 0; i < t->n_dims; i++) {
        const json_t *n = json_array_get(shape, (size_t)i);
        t->shape[i] = json_integer_value(n);
        if (!json_is_integer(n) || t->shape[i] < 0)
            return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: dimension %d is not a count", file, name, i);
        if (__builtin_mul_overflow(bytes, (uint64_t)t->shape[i], &bytes))
            return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: the shape overflows", file, name);
    }
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to) ||
        json_integer_value(from) < 0 || json_integer_value(to) < json_integer_value(from))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: data_offsets are not two increasing offsets", file, name);
    const uint64_t end = (uint64_t)json_integer_value(to);
    *begin = (uint64_t)json_integer_value(from);
    if (end > data_bytes)
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: ends at byte %llu, but the file holds %llu bytes of data",
                            file, name, (unsigned long long)end, (unsigned long long)data_bytes);
    if (end - *begin != bytes)
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: %llu bytes, expected %llu for its shape and dtype", file,
                            name, (unsigned long long)(end - *begin), (unsigned long long)bytes);
    t->n_bytes = (size_t)bytes;
    return DR_OK;
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

/* The format wants the tensors to cover the data without overlaps or holes. */
static dr_status check_cover(extent *e, size_t n, uint64_t data_bytes, const char *file, dr_error *err)
{
    dr_status st = DR_OK;
    uint64_t at = 0;

    if (n)
        qsort(e, n, sizeof *e, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (e[i].begin < at)
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: overlaps the tensor before it by %llu bytes", file,
                              e[i].name, (unsigned long long)(at - e[i].begin));
        else if (e[i].begin > at)
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %.100s: %llu bytes before it belong to no tensor", file,
                              e[i].name, (unsigned long long)(e[i].begin - at));
        at = e[i].end > at ? e[i].end : at;
    }
    if (st == DR_OK && at != data_bytes)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: %llu bytes after the last tensor", file,
                          (unsigned long long)(data_bytes - at));
    return st;
}

dr_status dr_safetensors__parse_header(dr_tensor_list *out, dr_arena *names, dr_str header, const uint8_t *data,
                                       uint64_t data_bytes, const char *file, dr_error *err)
{
    dr_status st = DR_OK;
    json_error_t je;
    json_t *root = json_loadb(header.s, header.n, JSON_REJECT_DUPLICATES, &je);
    extent *extents = NULL;
    size_t n = 0;
    const char *name;
    json_t *v;

    if (!json_is_object(root)) {
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: header: %s", file, root ? "not an object" : je.text);
        goto done;
    }
    if (!(extents = calloc(json_object_size(root) + 1, sizeof *extents))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", file);
        goto done;
    }
    json_object_foreach(root, name, v)
    {
        dr_tensor t = {.file = file};
        uint64_t begin = 0;
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (read_tensor(&t, &begin, v, name, data_bytes, file, err) != DR_OK) {
            st = DR_ERR_FORMAT;
            continue;
        }
        const size_t n_name = strlen(name);
        char *kept = dr_arena_take(names, n_name + 1);
        if (!kept || !list_grow(out)) {
            st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", file);
            goto done;
        }
        memcpy(kept, name, n_name);
        t.name = (dr_str){kept, n_name};
        t.data = data ? data + begin : NULL;
        extents[n++] = (extent){begin, begin + t.n_bytes, kept};
        out->items[out->n++] = t;
    }
    if (st == DR_OK)
        st = check_cover(extents, n, data_bytes, file, err);
done:
    free(extents);
    json_decref(root);
    return st;
}

dr_status dr_safetensors_check_header(dr_str header, uint64_t data_bytes, size_t *n, const char *name, dr_error *err)
{
    dr_tensor_list list = {0};
    dr_arena *names = dr_arena_new(4096);
    dr_error found = {0};
    dr_status st;

    *n = 0;
    if (!names)
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    st = dr_safetensors__parse_header(&list, names, header, NULL, data_bytes, name, &found);
    if (st == DR_OK)
        *n = list.n;
    else if (err)
        *err = found;
    free(list.items);
    dr_arena_free(names);
    return st;
}
