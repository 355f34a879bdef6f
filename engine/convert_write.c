#include "engine/convert_parts.h"

#include <jansson.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PART = 4 << 20 }; /* bytes of the result between two looks at progress */

/* ---- config.json ---- */

static json_t *number(double v)
{
    return v == (double)(json_int_t)v ? json_integer((json_int_t)v) : json_real(v);
}

static void set_storage(json_t *o, const dr_config *c)
{
    static const char *const names[] = {[DR_STORED_BF16] = "bf16", [DR_STORED_FP8] = "fp8", [DR_STORED_FP4] = "fp4"};

    (void)json_object_set_new(o, "expert_dtype", json_string(names[c->experts_as]));
    if (c->linears_as == DR_STORED_BF16)
        (void)json_object_del(o, "quantization_config");
    else
        (void)json_object_set_new(o, "quantization_config",
                                  json_pack("{s:s, s:s, s:s, s:s, s:[i, i]}", "quant_method", "fp8", "fmt", "e4m3",
                                            "activation_scheme", "dynamic", "scale_fmt", "ue8m0", "weight_block_size",
                                            DR_SCALE_TILE, DR_SCALE_TILE));
}

dr_status dr_convert__config(dr_buf *out, dr_str json, const dr_config *c, dr_error *err)
{
    static const char *const theirs[] = {"layer_types",           "mlp_layer_types", "compress_rates", "rope_parameters",
                                         "partial_rotary_factor", "dtype",           "compress_rate_csa", "compress_rate_hca"};
    json_t *o = json_loadb(json.s, json.n, 0, NULL), *ratios = json_array();
    char *text = NULL;

    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        (void)json_object_del(o, theirs[i]);
    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++)
        (void)json_array_append_new(ratios, json_integer(c->layers[i].ratio));
    for (int32_t i = 0; i < c->n_drafts; i++)
        (void)json_array_append_new(ratios, json_integer(0));
    (void)json_object_set_new(o, "compress_ratios", ratios);
    (void)json_object_set_new(o, "torch_dtype", json_string("bfloat16"));
    (void)json_object_set_new(o, "num_hash_layers", json_integer(c->n_hash_layers));
    (void)json_object_set_new(o, "qk_rope_head_dim", json_integer(c->rope_dim));
    (void)json_object_set_new(o, "num_nextn_predict_layers", json_integer(c->n_drafts ? 1 : c->n_mtp));
    (void)json_object_set_new(o, "rope_theta", number(c->rope_theta));
    (void)json_object_set_new(o, "compress_rope_theta", number(c->compress_rope_theta));
    if (c->rope_factor > 1)
        (void)json_object_set_new(o, "rope_scaling",
                                  json_pack("{s:s, s:o, s:I, s:o, s:o}", "type", "yarn", "factor", number(c->rope_factor),
                                            "original_max_position_embeddings", (json_int_t)c->original_context, "beta_fast",
                                            number(c->beta_fast), "beta_slow", number(c->beta_slow)));
    set_storage(o, c);
    if (c->n_drafts == 0)
        (void)json_object_del(o, "dspark_block_size"); /* its presence alone asks for drafts */
    if (o && (text = json_dumps(o, JSON_INDENT(2)))) {
        dr_buf_str(out, text);
        dr_buf_str(out, "\n");
    }
    free(text);
    json_decref(o);
    return out->n && !out->failed ? DR_OK : dr_fail(err, DR_ERR_NOMEM, "config.json: out of memory");
}

/* ---- shards ---- */

typedef struct writer {
    int fd;
    char path[PATH_MAX];
    const dr_convert_options *opt;
    uint64_t done, total;
    dr_error *err;
} writer;

static dr_status put(writer *w, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        const ssize_t one = write(w->fd, p, n);
        if (one < 0 && errno == EINTR)
            continue;
        if (one < 0)
            return dr_fail(w->err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
        p += one;
        n -= (size_t)one;
    }
    return DR_OK;
}

/* n values from `from`, in the dtype of the result. */
static void round_values(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = dr_load_u32(from + 4 * i);
        const bool nan = (bits & 0x7fffffff) > 0x7f800000;
        bits = nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1); /* to nearest, ties to even; a NaN stays one */
        to[2 * i] = (uint8_t)(bits >> 16);
        to[2 * i + 1] = (uint8_t)(bits >> 24);
    }
}

/* Powers of two, checked before: the exponent is the byte, and 2^-127 is a denormal whose byte is 0. */
static void take_exponents(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(dr_load_u32(from + 4 * i) >> 23);
}

static dr_status put_piece(writer *w, const dr_convert_piece *p, uint8_t *part)
{
    dr_status st;

    for (uint64_t at = 0; at < p->to.n_bytes; at += PART) {
        const size_t n = p->to.n_bytes - at < PART ? (size_t)(p->to.n_bytes - at) : PART;
        const void *data = part;
        if (p->how == DR_CONVERT_ROUND)
            round_values(part, p->from + 2 * at, n / 2);
        else if (p->how == DR_CONVERT_EXPONENT)
            take_exponents(part, p->from + 4 * at, n);
        else
            data = p->from + at;
        if ((st = put(w, data, n)) != DR_OK)
            return st;
        w->done += n;
        if (w->opt->progress && !w->opt->progress(w->opt->arg, w->done, w->total))
            return dr_fail(w->err, DR_ERR_CANCELLED, "interrupted");
    }
    return DR_OK;
}

static dr_status header_of(dr_buf *out, const dr_convert_piece *p, size_t n)
{
    char entry[DR_HEADER_ENTRY];
    uint64_t at = 0;
    uint8_t length[8];

    dr_buf_add(out, "\0\0\0\0\0\0\0", sizeof length);
    dr_buf_str(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        (void)dr_plan_header_entry(entry, &p[i].to, at);
        dr_buf_str(out, ",");
        dr_buf_str(out, entry);
        at += p[i].to.n_bytes;
    }
    dr_buf_str(out, "}");
    while (out->n % sizeof length != 0 && !out->failed)
        dr_buf_str(out, " ");
    if (out->failed)
        return DR_ERR_NOMEM;
    dr_store_u64(length, out->n - sizeof length);
    memcpy(out->data, length, sizeof length);
    return DR_OK;
}

static void shard_name(char out[64], size_t shard, size_t n_shards)
{
    (void)snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, n_shards);
}

static dr_status put_shard(writer *w, const char *folder, size_t n_shards, const dr_convert_piece *p, size_t n, uint8_t *part)
{
    dr_status st = DR_OK;
    char name[64];
    dr_buf header = {0};

    shard_name(name, p->shard, n_shards);
    w->fd = -1;
    if ((size_t)snprintf(w->path, sizeof w->path, "%s/%s", folder, name) >= sizeof w->path) {
        st = dr_fail(w->err, DR_ERR_ARG, "%.100s...: path too long", folder);
        goto done;
    }
    if (header_of(&header, p, n) != DR_OK) {
        st = dr_fail(w->err, DR_ERR_NOMEM, "%s: out of memory", w->path);
        goto done;
    }
    if ((w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) < 0) {
        st = dr_fail(w->err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
        goto done;
    }
    st = put(w, header.data, header.n);
    for (size_t i = 0; i < n && st == DR_OK; i++)
        st = put_piece(w, &p[i], part);
    if (st == DR_OK && fsync(w->fd) < 0)
        st = dr_fail(w->err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
done:
    if (w->fd >= 0 && close(w->fd) < 0 && st == DR_OK)
        st = dr_fail(w->err, DR_ERR_IO, "%s: %s", w->path, strerror(errno));
    dr_buf_free(&header);
    return st;
}

static dr_status put_index(const char *folder, const dr_convert_piece *p, size_t n, size_t n_shards, uint64_t n_bytes,
                           dr_error *err)
{
    dr_status st;
    dr_buf text = {0}, path = {0};
    char name[64];

    dr_buf_printf(&text, "{\"metadata\": {\"total_size\": %llu}, \"weight_map\": {", (unsigned long long)n_bytes);
    for (size_t i = 0; i < n; i++) {
        shard_name(name, p[i].shard, n_shards);
        dr_buf_printf(&text, "%s\n\"%s\": \"%s\"", i ? "," : "", p[i].to.name, name);
    }
    dr_buf_str(&text, "\n}}\n");
    dr_buf_printf(&path, "%s/model.safetensors.index.json", folder);
    st = text.failed || path.failed ? dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", folder)
                                    : dr_write_file(path.data, text.data, text.n, err);
    dr_buf_free(&text);
    dr_buf_free(&path);
    return st;
}

dr_status dr_convert__write(const char *folder, const dr_convert_piece *pieces, size_t n, size_t n_shards, uint64_t n_bytes,
                            dr_str config, const dr_convert_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    writer w = {.opt = opt, .total = n_bytes, .err = err};
    dr_buf path = {0};
    uint8_t *part = malloc(PART);

    dr_buf_printf(&path, "%s/config.json", folder);
    if (!part || path.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", folder);
        goto done;
    }
    for (size_t i = 0, end; i < n && st == DR_OK; i = end) {
        for (end = i; end < n && pieces[end].shard == pieces[i].shard;)
            end++;
        st = put_shard(&w, folder, n_shards, pieces + i, end - i, part);
    }
    if (st != DR_OK || (st = put_index(folder, pieces, n, n_shards, n_bytes, err)) != DR_OK)
        goto done;
    st = dr_write_file(path.data, config.s, config.n, err);
done:
    free(part);
    dr_buf_free(&path);
    return st;
}
