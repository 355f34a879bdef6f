#include "tests/golden/checkpoint.h"

#include "base/hash.h"
#include "engine/config.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The format of a value and its rule are drawn at the top of checkpoint.py; functions have the same names in both. */
typedef struct writer {
    const char *key;
    dr_buf header, data;
} writer;

enum { PATH_BYTES = 256, NAME_BYTES = 128, MAX_FILE = 64 << 20 };

static uint64_t fnv1a64(const char *key, const char *tensor)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = key; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    h = (h ^ '/') * 0x100000001b3u;
    for (const char *p = tensor; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    return h;
}

static uint64_t word(uint64_t seed, int64_t i)
{
    uint64_t z = seed + (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int half_log2(int64_t k)
{
    int n = 0;
    while (k >>= 1)
        n++;
    return n / 2;
}

/* Writes the header entry; the caller appends n_bytes of data. columns 0: one dimension. */
static void begin(writer *w, const char *tensor, const char *dtype, int64_t rows, int64_t columns, int64_t n_bytes)
{
    dr_buf_printf(&w->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%" PRId64, w->header.n > 1 ? "," : "", tensor, dtype, rows);
    if (columns)
        dr_buf_printf(&w->header, ",%" PRId64, columns);
    dr_buf_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", w->data.n, w->data.n + (size_t)n_bytes);
}

static void add_byte(writer *w, uint64_t byte)
{
    const uint8_t b = (uint8_t)byte;
    dr_buf_add(&w->data, &b, 1);
}

static void real(writer *w, const char *tensor, bool bf16, int64_t rows, int64_t columns, int shift, float offset)
{
    const int64_t n = rows * (columns ? columns : 1);
    const uint64_t seed = fnv1a64(w->key, tensor);
    const float step = 1.0f / (float)(1 << shift);

    begin(w, tensor, bf16 ? "BF16" : "F32", rows, columns, n * (bf16 ? 2 : 4));
    for (int64_t i = 0; i < n; i++) {
        int total = -1020;
        for (uint64_t z = word(seed, i); z; z >>= 8)
            total += (int)(z & 255);
        const float value = (float)total * step + offset;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (bf16)
            bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        for (int b = 0; b < (bf16 ? 2 : 4); b++)
            add_byte(w, bits >> 8 * b);
    }
}

static void matrix(writer *w, const char *tensor, bool bf16, int64_t n, int64_t k)
{
    real(w, tensor, bf16, n, k, 8 + half_log2(k), 0);
}

/* Names are built as prefix + rest. */
static const char *join(char out[NAME_BYTES], const char *prefix, const char *rest)
{
    if (snprintf(out, NAME_BYTES, "%s%s", prefix, rest) >= NAME_BYTES)
        abort();
    return out;
}

static void norm(writer *w, const char *prefix, const char *rest, int64_t n)
{
    char name[NAME_BYTES];
    real(w, join(name, prefix, rest), true, n, 0, 10, 1);
}

static void scale(writer *w, const char *tensor, int64_t rows, int64_t columns, int exponent)
{
    char name[NAME_BYTES];
    const uint64_t seed = fnv1a64(w->key, join(name, tensor, ".scale"));

    begin(w, name, "F8_E8M0", rows, columns, rows * columns);
    for (int64_t i = 0; i < rows * columns; i++)
        add_byte(w, word(seed, i) % 3 + (uint64_t)(127 - 1 - exponent));
}

static void fp8(writer *w, const char *prefix, const char *rest, int64_t n, int64_t k)
{
    char tensor[NAME_BYTES], name[NAME_BYTES];
    const uint64_t seed = fnv1a64(w->key, join(name, join(tensor, prefix, rest), ".weight"));

    begin(w, name, "F8_E4M3", n, k, n * k);
    for (int64_t i = 0; i < n * k; i++) {
        const uint64_t z = word(seed, i);
        const uint64_t code = (z >> 16 & 63) ? 0x38 + (z & 0xffff) % 40 : z >> 24 & 7;
        add_byte(w, code | z >> 63 << 7);
    }
    scale(w, tensor, (n + 127) / 128, (k + 127) / 128, 4 + half_log2(k));
}

static void fp4(writer *w, const char *prefix, const char *rest, int64_t n, int64_t k)
{
    char tensor[NAME_BYTES], name[NAME_BYTES];
    const uint64_t seed = fnv1a64(w->key, join(name, join(tensor, prefix, rest), ".weight"));

    begin(w, name, "I8", n, k / 2, n * k / 2);
    for (int64_t i = 0; i < n * k / 2; i++)
        add_byte(w, word(seed, i) >> 56);
    scale(w, tensor, n, k / 32, 2 + half_log2(k));
}

static void experts_by_token(writer *w, const char *prefix, const dr_config *c)
{
    char name[NAME_BYTES];
    const uint64_t seed = fnv1a64(w->key, join(name, prefix, "gate.tid2eid"));

    begin(w, name, "I64", c->vocab, c->n_active, (int64_t)c->vocab * c->n_active * 8);
    for (int32_t t = 0; t < c->vocab; t++) {
        const uint64_t z = word(seed, t);
        uint64_t taken = 0; /* a bit an expert: the golden models have few */
        for (int32_t j = 0; j < c->n_active; j++) {
            uint64_t e = (z >> 8 * j & 255) % (uint64_t)c->n_experts;
            while (taken >> e & 1)
                e = (e + 1) % (uint64_t)c->n_experts;
            taken |= (uint64_t)1 << e;
            for (int b = 0; b < 8; b++)
                add_byte(w, e >> 8 * b);
        }
    }
}

static void hyper_connection(writer *w, const char *prefix, const char *rest, int64_t rows, int64_t n_scales, int64_t k)
{
    char p[NAME_BYTES], name[NAME_BYTES];

    join(p, prefix, rest);
    matrix(w, join(name, p, "_fn"), false, rows, k);
    real(w, join(name, p, "_base"), false, rows, 0, 9, 0);
    real(w, join(name, p, "_scale"), false, n_scales, 0, 11, 1);
}

static void compressor(writer *w, const char *prefix, const char *rest, int64_t ratio, int64_t e, int64_t d)
{
    const int64_t width = ratio == 4 ? 2 * e : e;
    char p[NAME_BYTES], name[NAME_BYTES];

    join(p, prefix, rest);
    matrix(w, join(name, p, "wkv.weight"), true, width, d);
    matrix(w, join(name, p, "wgate.weight"), true, width, d);
    real(w, join(name, p, "ape"), false, ratio, width, 8, 0);
    norm(w, p, "norm.weight", e);
}

static void layer(writer *w, const char *p, const dr_config *c, const dr_layer_plan *plan, bool fp8_experts)
{
    const int64_t d = c->dim, s = c->hc_mult, f = c->expert_dim;
    void (*const expert)(writer *, const char *, const char *, int64_t, int64_t) = fp8_experts ? fp8 : fp4;
    char a[NAME_BYTES], g[NAME_BYTES], name[NAME_BYTES], rest[32];

    norm(w, p, "attn_norm.weight", d);
    norm(w, p, "ffn_norm.weight", d);
    hyper_connection(w, p, "hc_attn", (2 + s) * s, 3, s * d);
    hyper_connection(w, p, "hc_ffn", (2 + s) * s, 3, s * d);
    join(a, p, "attn.");
    real(w, join(name, a, "attn_sink"), false, c->n_heads, 0, 8, 0);
    fp8(w, a, "wq_a", c->q_rank, d);
    norm(w, a, "q_norm.weight", c->q_rank);
    fp8(w, a, "wq_b", (int64_t)c->n_heads * c->head_dim, c->q_rank);
    fp8(w, a, "wkv", c->head_dim, d);
    norm(w, a, "kv_norm.weight", c->head_dim);
    fp8(w, a, "wo_a", (int64_t)c->o_groups * c->o_rank, (int64_t)c->n_heads * c->head_dim / c->o_groups);
    fp8(w, a, "wo_b", d, (int64_t)c->o_groups * c->o_rank);
    if (plan->ratio)
        compressor(w, a, "compressor.", plan->ratio, c->head_dim, d);
    if (plan->ratio == 4) {
        fp8(w, a, "indexer.wq_b", (int64_t)c->index_heads * c->index_dim, c->q_rank);
        matrix(w, join(name, a, "indexer.weights_proj.weight"), true, c->index_heads, d);
        compressor(w, a, "indexer.compressor.", plan->ratio, c->index_dim, d);
    }
    join(g, p, "ffn.");
    matrix(w, join(name, g, "gate.weight"), true, c->n_experts, d);
    if (plan->hash_routed)
        experts_by_token(w, g, c);
    else
        real(w, join(name, g, "gate.bias"), false, c->n_experts, 0, 11, 0);
    for (int32_t e = 0; e < c->n_experts; e++) {
        snprintf(rest, sizeof rest, "experts.%" PRId32 ".w", e);
        join(name, g, rest);
        expert(w, name, "1", f, d);
        expert(w, name, "2", d, f);
        expert(w, name, "3", f, d);
    }
    fp8(w, g, "shared_experts.w1", f, d);
    fp8(w, g, "shared_experts.w2", d, f);
    fp8(w, g, "shared_experts.w3", f, d);
}

static void all_tensors(writer *w, const dr_config *c, bool fp8_experts)
{
    const int64_t d = c->dim, s = c->hc_mult;
    char p[NAME_BYTES];

    dr_buf_str(&w->header, "{");
    real(w, "embed.weight", true, c->vocab, d, 8, 0);
    matrix(w, "head.weight", true, c->vocab, d);
    norm(w, "", "norm.weight", d);
    hyper_connection(w, "", "hc_head", s, 1, s * d);
    for (int32_t n = 0; n < c->n_layers; n++) {
        snprintf(p, sizeof p, "layers.%" PRId32 ".", n);
        layer(w, p, c, &c->layers[n], fp8_experts);
    }
    if (c->n_mtp) {
        layer(w, "mtp.0.", c, &c->layers[c->n_layers], fp8_experts);
        norm(w, "mtp.0.", "enorm.weight", d);
        norm(w, "mtp.0.", "hnorm.weight", d);
        norm(w, "mtp.0.", "norm.weight", d);
        fp8(w, "mtp.0.", "e_proj", d, d);
        fp8(w, "mtp.0.", "h_proj", d, d);
        hyper_connection(w, "mtp.0.", "hc_head", s, 1, s * d);
    }
    dr_buf_str(&w->header, "}");
    while (w->header.n % 8)
        dr_buf_str(&w->header, " ");
}

void golden_path(char out[PATH_BYTES], const char *name, const char *file)
{
    if (snprintf(out, PATH_BYTES, "tests/golden/data/%s%s%s", name, *name ? "/" : "", file) >= PATH_BYTES)
        abort();
}

/* One line of checkpoints.txt: digest, key and storage of NAME. */
static dr_status find_entry(const char *name, char hex[65], char key[64], bool *fp8_experts, dr_error *err)
{
    char path[PATH_BYTES], a_name[64], storage[8];
    dr_buf list = {0};
    dr_status st;

    golden_path(path, "", "checkpoints.txt");
    if ((st = dr_read_file(&list, path, MAX_FILE, err)) != DR_OK)
        goto done;
    st = DR_ERR_NOT_FOUND;
    for (char *line = strtok(list.data, "\n"); line; line = strtok(NULL, "\n"))
        if (sscanf(line, "%64s %63s %63s %7s", hex, a_name, key, storage) == 4 && strcmp(a_name, name) == 0) {
            *fp8_experts = strcmp(storage, "fp8") == 0;
            st = DR_OK;
            break;
        }
    if (st != DR_OK)
        dr_fail(err, st, "%s: no checkpoint %s", path, name);
done:
    dr_buf_free(&list);
    return st;
}

dr_status golden_write(const char *folder, const char *name, dr_error *err)
{
    char path[PATH_BYTES], expected[65], found[65], key[64];
    bool fp8_experts = false;
    dr_buf json = {0}, file = {0};
    dr_config config = {0};
    writer w = {.key = key};
    uint8_t length[8];
    dr_status st;

    golden_path(path, name, "config.json");
    if ((st = find_entry(name, expected, key, &fp8_experts, err)) != DR_OK ||
        (st = dr_read_file(&json, path, MAX_FILE, err)) != DR_OK ||
        (st = dr_config_parse(&config, dr_buf_view(&json), path, err)) != DR_OK)
        goto done;
    all_tensors(&w, &config, fp8_experts);
    dr_store_u64(length, w.header.n);
    dr_buf_add(&file, length, sizeof length);
    dr_buf_add(&file, w.header.data, w.header.n);
    dr_buf_add(&file, w.data.data, w.data.n);
    if (w.header.failed || w.data.failed || file.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        goto done;
    }
    const dr_digest digest = dr_sha256(file.data, file.n);
    dr_digest_hex(found, &digest);
    if (strcmp(found, expected) != 0) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: the generator makes other bytes: digest %s, expected %s", name, found, expected);
        goto done;
    }
    if ((st = dr_make_dirs(folder, 0700, err)) != DR_OK)
        goto done;
    snprintf(path, sizeof path, "%s/config.json", folder);
    if ((st = dr_write_file(path, json.data, json.n, err)) != DR_OK)
        goto done;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    st = dr_write_file(path, file.data, file.n, err);
done:
    dr_config_fini(&config);
    dr_buf_free(&json);
    dr_buf_free(&w.header);
    dr_buf_free(&w.data);
    dr_buf_free(&file);
    return st;
}

void golden_remove(const char *folder)
{
    char path[2 * PATH_BYTES];
    DIR *dir = opendir(folder);

    for (struct dirent *e; dir && (e = readdir(dir));)
        if (snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < (int)sizeof path)
            unlink(path); /* "." and ".." refuse */
    if (dir)
        closedir(dir);
    rmdir(folder);
}

dr_status golden_tokens(const char *name, int32_t **ids, int64_t *n, dr_error *err)
{
    char path[PATH_BYTES];

    golden_path(path, name, "tokens.json");
    return golden_read_tokens(path, ids, n, err);
}

dr_status golden_read_tokens(const char *path, int32_t **ids, int64_t *n, dr_error *err)
{
    dr_buf text = {0};
    dr_status st;

    *ids = NULL;
    *n = 0;
    if ((st = dr_read_file(&text, path, MAX_FILE, err)) != DR_OK)
        goto done;
    if (!(*ids = malloc(text.n * sizeof **ids))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    for (char *p = text.data; *p;) {
        char *end;
        const long id = strtol(p, &end, 10);
        if (end > p)
            (*ids)[(*n)++] = (int32_t)id;
        p = end > p ? end : p + 1;
    }
done:
    dr_buf_free(&text);
    return st;
}

dr_status golden_npy(const char *path, float **values, int64_t *rows, int64_t *columns, dr_error *err)
{
    dr_buf file = {0};
    const char *shape = NULL;
    dr_status st;

    *values = NULL;
    if ((st = dr_read_file(&file, path, MAX_FILE, err)) != DR_OK)
        goto done;
    const size_t header = file.n > 10 ? (size_t)(uint8_t)file.data[8] + 256u * (uint8_t)file.data[9] : 0;
    if (file.n < 10 + header || memcmp(file.data, "\x93NUMPY\x01\x00", 8) != 0 || !strstr(file.data + 10, "'descr': '<f4'") ||
        !strstr(file.data + 10, "'fortran_order': False") || !(shape = strstr(file.data + 10, "'shape': (")) ||
        sscanf(shape, "'shape': (%" SCNd64 ", %" SCNd64 ")", rows, columns) != 2 ||
        file.n != 10 + header + (size_t)(*rows * *columns) * sizeof **values) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: not a float32 .npy of two dimensions", path);
        goto done;
    }
    if (!(*values = malloc(file.n - 10 - header + 1))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    memcpy(*values, file.data + 10 + header, file.n - 10 - header);
done:
    dr_buf_free(&file);
    return st;
}
