#include "tests/engine/tiny_checkpoint.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

tiny_spec tiny_all_kinds(void)
{
    return (tiny_spec){
        .ratios = {0, 4, 16, 4},
        .n_layers = 4,
        .n_hash = 1,
        .n_mtp = 1,
        .dim = 64,
        .heads = 2,
        .head_dim = 96,
        .rope_dim = 32,
        .window = 40,
        .q_rank = 32,
        .o_rank = 32,
        .o_groups = 2,
        .index_heads = 16,
        .index_dim = 32,
        .topk = 16,
        .experts = 4,
        .active = 2,
        .shared = 1,
        .expert_dim = 32,
        .streams = 2,
        .vocab = 80,
        .experts_as = TINY_FP4,
        .linears_as = TINY_FP8,
        .seed = 1,
    };
}

uint64_t tiny_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In -1 .. 1. */
static float uniform(uint64_t *state)
{
    return (float)((double)(tiny_random(state) >> 11) * 0x1p-52 - 1.0);
}

tiny_tensor *tiny_add(tiny *t, const char *name, const char *dtype, int n_dims, const int64_t *shape)
{
    static const struct {
        const char *name;
        size_t bytes;
    } sizes[] = {{"F32", 4}, {"BF16", 2}, {"F8_E4M3", 1}, {"F8_E8M0", 1}, {"I8", 1}, {"I64", 8}};
    assert_true(t->n < TINY_TENSORS);
    tiny_tensor *x = &t->tensors[t->n++];
    snprintf(x->name, sizeof x->name, "%s", name);
    x->dtype = dtype;
    x->n_dims = n_dims;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (strcmp(sizes[i].name, dtype) == 0)
            x->n_bytes = sizes[i].bytes;
    for (int i = 0; i < n_dims; i++)
        x->n_bytes *= (size_t)(x->shape[i] = shape[i]);
    assert_non_null(x->data = calloc(1, x->n_bytes + 1));
    return x;
}

static tiny_tensor *add2(tiny *t, const char *prefix, const char *name, const char *dtype, int64_t n, int64_t k)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return tiny_add(t, full, dtype, k < 0 ? 1 : 2, (int64_t[]){n, k});
}

static void f32(tiny *t, const char *prefix, const char *name, int64_t n, int64_t k, float mean, float spread)
{
    tiny_tensor *x = add2(t, prefix, name, "F32", n, k);
    for (size_t i = 0; i < x->n_bytes / 4; i++) {
        const float v = mean + spread * uniform(&t->spec.seed);
        memcpy(x->data + 4 * i, &v, 4);
    }
}

static void bf16(tiny *t, const char *prefix, const char *name, int64_t n, int64_t k, float mean, float spread)
{
    tiny_tensor *x = add2(t, prefix, name, "BF16", n, k);
    for (size_t i = 0; i < x->n_bytes / 2; i++) {
        const float v = mean + spread * uniform(&t->spec.seed);
        uint32_t bits;
        memcpy(&bits, &v, 4);
        x->data[2 * i] = (uint8_t)(bits >> 16);
        x->data[2 * i + 1] = (uint8_t)(bits >> 24);
    }
}

/* A linear whose outputs are of the order of its inputs. */
static void linear(tiny *t, const char *prefix, const char *name, tiny_storage as, int64_t n, int64_t k)
{
    char weight[96], scale[96];
    const float spread = 1.7f / sqrtf((float)k);
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(scale, sizeof scale, "%s.scale", name);
    if (as == TINY_BF16) {
        bf16(t, prefix, weight, n, k, 0, spread);
        return;
    }
    tiny_tensor *w =
        as == TINY_FP4 ? add2(t, prefix, weight, "I8", n, k / 2) : add2(t, prefix, weight, "F8_E4M3", n, k);
    tiny_tensor *s = as == TINY_FP4 ? add2(t, prefix, scale, "F8_E8M0", n, k / 32)
                                    : add2(t, prefix, scale, "F8_E8M0", (n + 127) / 128, (k + 127) / 128);
    for (size_t i = 0; i < w->n_bytes; i++) {
        const uint64_t r = tiny_random(&t->spec.seed);
        /* E4M3: exponents 3 to 7 of bias 7, any mantissa and sign: up to 1.875 */
        w->data[i] = (uint8_t)(as == TINY_FP4 ? r : (r & 0x87) | (3 + (r >> 8) % 5) << 3);
    }
    const int e = (int)lroundf(log2f(spread / (as == TINY_FP4 ? 4 : 1.2f)));
    for (size_t i = 0; i < s->n_bytes; i++)
        s->data[i] = (uint8_t)(127 + e + (int)(tiny_random(&t->spec.seed) % 2));
}

static void hyper_connection(tiny *t, const char *prefix, const char *name, bool head)
{
    const int s = t->spec.streams, rows = head ? s : (2 + s) * s;
    char part[96];
    snprintf(part, sizeof part, "%s_fn", name);
    f32(t, prefix, part, rows, s * t->spec.dim, 0, 0.1f);
    snprintf(part, sizeof part, "%s_base", name);
    f32(t, prefix, part, rows, -1, 0, 1);
    snprintf(part, sizeof part, "%s_scale", name);
    f32(t, prefix, part, head ? 1 : 3, -1, 0.7f, 0.3f);
}

static void compressor(tiny *t, const char *prefix, const char *name, int ratio, int e)
{
    const int width = ratio == 4 ? 2 * e : e;
    char part[96];
    snprintf(part, sizeof part, "%s.wkv.weight", name);
    bf16(t, prefix, part, width, t->spec.dim, 0, 0.2f);
    snprintf(part, sizeof part, "%s.wgate.weight", name);
    bf16(t, prefix, part, width, t->spec.dim, 0, 0.2f);
    snprintf(part, sizeof part, "%s.ape", name);
    f32(t, prefix, part, ratio, width, 0, 1);
    snprintf(part, sizeof part, "%s.norm.weight", name);
    bf16(t, prefix, part, e, -1, 1, 0.3f);
}

static void block(tiny *t, const char *p, int ratio, bool hash)
{
    const tiny_spec *s = &t->spec;
    char name[96];

    bf16(t, p, "attn_norm.weight", s->dim, -1, 1, 0.3f);
    bf16(t, p, "ffn_norm.weight", s->dim, -1, 1, 0.3f);
    hyper_connection(t, p, "hc_attn", false);
    hyper_connection(t, p, "hc_ffn", false);
    f32(t, p, "attn.attn_sink", s->heads, -1, 0, 1);
    linear(t, p, "attn.wq_a", s->linears_as, s->q_rank, s->dim);
    bf16(t, p, "attn.q_norm.weight", s->q_rank, -1, 1, 0.3f);
    linear(t, p, "attn.wq_b", s->linears_as, s->heads * s->head_dim, s->q_rank);
    linear(t, p, "attn.wkv", s->linears_as, s->head_dim, s->dim);
    bf16(t, p, "attn.kv_norm.weight", s->head_dim, -1, 1, 0.3f);
    linear(t, p, "attn.wo_a", s->linears_as, s->o_groups * s->o_rank, s->heads * s->head_dim / s->o_groups);
    linear(t, p, "attn.wo_b", s->linears_as, s->dim, s->o_groups * s->o_rank);
    if (ratio)
        compressor(t, p, "attn.compressor", ratio, s->head_dim);
    if (ratio == 4) {
        linear(t, p, "attn.indexer.wq_b", s->linears_as, s->index_heads * s->index_dim, s->q_rank);
        bf16(t, p, "attn.indexer.weights_proj.weight", s->index_heads, s->dim, 0, 0.2f);
        compressor(t, p, "attn.indexer.compressor", 4, s->index_dim);
    }
    bf16(t, p, "ffn.gate.weight", s->experts, s->dim, 0, 0.2f);
    if (hash) {
        tiny_tensor *x = add2(t, p, "ffn.gate.tid2eid", "I64", s->vocab, s->active);
        for (int i = 0; i < s->vocab; i++) {
            const int first = (int)(tiny_random(&t->spec.seed) % (uint64_t)s->experts);
            for (int k = 0; k < s->active; k++)
                x->data[8 * (i * s->active + k)] = (uint8_t)((first + k) % s->experts);
        }
    } else {
        f32(t, p, "ffn.gate.bias", s->experts, -1, 0, 0.1f);
    }
    for (int e = 0; e < s->experts; e++)
        for (int w = 1; w <= 3; w++) {
            snprintf(name, sizeof name, "ffn.experts.%d.w%d", e, w);
            linear(t, p, name, s->experts_as, w == 2 ? s->dim : s->expert_dim, w == 2 ? s->expert_dim : s->dim);
        }
    for (int w = 1; w <= 3; w++) {
        const int f = s->shared * s->expert_dim;
        snprintf(name, sizeof name, "ffn.shared_experts.w%d", w);
        linear(t, p, name, s->linears_as, w == 2 ? s->dim : f, w == 2 ? f : s->dim);
    }
}

static json_t *make_config(const tiny_spec *s)
{
    json_t *ratios = json_array();
    for (int i = 0; i < s->n_layers; i++)
        (void)json_array_append_new(ratios, json_integer(s->ratios[i]));
    for (int i = 0; i < s->n_mtp; i++)
        (void)json_array_append_new(ratios, json_integer(0));
    json_t *c = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:f, s:f, s:{s:s, s:i, s:i, s:i, s:i}}",
        "model_type", "deepseek_v4", "vocab_size", s->vocab, "hidden_size", s->dim, "num_hidden_layers", s->n_layers,
        "num_attention_heads", s->heads, "head_dim", s->head_dim, "qk_rope_head_dim", s->rope_dim, "q_lora_rank",
        s->q_rank, "o_lora_rank", s->o_rank, "o_groups", s->o_groups, "sliding_window", s->window, "compress_ratios",
        ratios, "rope_theta", 10000.0, "compress_rope_theta", 160000.0, "rope_scaling", "type", "yarn", "factor", 16,
        "original_max_position_embeddings", 65536, "beta_fast", 32, "beta_slow", 1);
    json_t *more =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:i, s:i, s:i}", "index_n_heads", s->index_heads,
                  "index_head_dim", s->index_dim, "index_topk", s->topk, "n_routed_experts", s->experts,
                  "num_experts_per_tok", s->active, "n_shared_experts", s->shared, "moe_intermediate_size",
                  s->expert_dim, "num_hash_layers", s->n_hash, "routed_scaling_factor", 1.5, "swiglu_limit", 2.0,
                  "hc_mult", s->streams, "hc_sinkhorn_iters", 20, "num_nextn_predict_layers", s->n_mtp);
    assert_non_null(c);
    assert_non_null(more);
    (void)json_object_update(c, more);
    json_decref(more);
    return c;
}

tiny *tiny_new(const tiny_spec *spec)
{
    tiny *t = calloc(1, sizeof *t);
    char prefix[32];

    assert_non_null(t);
    t->spec = *spec;
    t->config = make_config(spec);
    bf16(t, "", "embed.weight", spec->vocab, spec->dim, 0, 1.7f);
    bf16(t, "", "head.weight", spec->vocab, spec->dim, 0, 0.3f);
    bf16(t, "", "norm.weight", spec->dim, -1, 1, 0.3f);
    hyper_connection(t, "", "hc_head", true);
    for (int i = 0; i < spec->n_layers; i++) {
        snprintf(prefix, sizeof prefix, "layers.%d.", i);
        block(t, prefix, spec->ratios[i], i < spec->n_hash);
    }
    if (spec->n_mtp) {
        const char *p = "mtp.0.";
        block(t, p, 0, false);
        bf16(t, p, "enorm.weight", spec->dim, -1, 1, 0.3f);
        bf16(t, p, "hnorm.weight", spec->dim, -1, 1, 0.3f);
        bf16(t, p, "norm.weight", spec->dim, -1, 1, 0.3f);
        linear(t, p, "e_proj", spec->linears_as, spec->dim, spec->dim);
        linear(t, p, "h_proj", spec->linears_as, spec->dim, spec->dim);
        hyper_connection(t, p, "hc_head", true);
    }
    return t;
}

void tiny_free(tiny *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->tensors[i].data);
    json_decref(t->config);
    free(t);
}

tiny_tensor *tiny_find(tiny *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->tensors[i].name, name) == 0)
            return &t->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

void tiny_remove(tiny *t, const char *name)
{
    tiny_tensor *x = tiny_find(t, name);
    free(x->data);
    *x = t->tensors[--t->n];
}

static void write_bytes(const char *folder, const char *file, const void *data, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void make_folder(char folder[64])
{
    snprintf(folder, 64, "/tmp/deepread-tiny-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

/* Tensors first, first + step, ... as one file. */
static void write_shard(const tiny *t, const char *folder, const char *file, size_t first, size_t step)
{
    json_t *header = json_object();
    size_t at = 0;

    for (size_t i = first; i < t->n; i += step) {
        const tiny_tensor *x = &t->tensors[i];
        json_t *shape = json_array();
        for (int k = 0; k < x->n_dims; k++)
            (void)json_array_append_new(shape, json_integer(x->shape[k]));
        (void)json_object_set_new(header, x->name,
                                  json_pack("{s:s, s:o, s:[I, I]}", "dtype", x->dtype, "shape", shape, "data_offsets",
                                            (json_int_t)at, (json_int_t)(at + x->n_bytes)));
        at += x->n_bytes;
    }
    char *json = json_dumps(header, JSON_COMPACT);
    const size_t n = strlen(json), n_padded = (n + 7) / 8 * 8;
    uint8_t *bytes = calloc(1, 8 + n_padded + at);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(n_padded >> (8 * i));
    memset(bytes + 8, ' ', n_padded);
    memcpy(bytes + 8, json, n);
    at = 8 + n_padded;
    for (size_t i = first; i < t->n; i += step) {
        memcpy(bytes + at, t->tensors[i].data, t->tensors[i].n_bytes);
        at += t->tensors[i].n_bytes;
    }
    write_bytes(folder, file, bytes, at);
    free(bytes);
    free(json);
    json_decref(header);
}

void tiny_write(const tiny *t, char folder[64], int n_shards)
{
    make_folder(folder);
    char *config = json_dumps(t->config, JSON_INDENT(2));
    write_bytes(folder, "config.json", config, strlen(config));
    free(config);
    if (n_shards == 1) {
        write_shard(t, folder, "model.safetensors", 0, 1);
        return;
    }
    json_t *map = json_object();
    for (int k = 0; k < n_shards; k++) {
        char file[64];
        snprintf(file, sizeof file, "model-%05d-of-%05d.safetensors", k + 1, n_shards);
        write_shard(t, folder, file, (size_t)k, (size_t)n_shards);
        for (size_t i = (size_t)k; i < t->n; i += (size_t)n_shards)
            (void)json_object_set_new(map, t->tensors[i].name, json_string(file));
    }
    json_t *index = json_pack("{s:o}", "weight_map", map);
    char *text = json_dumps(index, 0);
    write_bytes(folder, "model.safetensors.index.json", text, strlen(text));
    free(text);
    json_decref(index);
}

void tiny_write_raw(char folder[64], const void *safetensors, size_t n, const char *config)
{
    make_folder(folder);
    write_bytes(folder, "model.safetensors", safetensors, n);
    if (config)
        write_bytes(folder, "config.json", config, strlen(config));
}

void tiny_remove_folder(const char *folder)
{
    char path[512];
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
    }
    closedir(d);
    (void)rmdir(folder);
}
