#include "engine/model.h"

#include "engine/binding.h"

#include "base/log.h"

#include <jansson.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_CONFIG_BYTES = 1 << 20, HUGE_PAGE = 2 << 20 };

/* What the backbone holds and what one token reads of it, the embedding table apart: as published figures count. The
 * MTP block and scales are not parameters of it. */
static void count_parameters(dr_model *m)
{
    const dr_config *c = &m->config;
    int64_t routed = 0, all = 0;

    for (size_t i = 0; i < dr_safetensors_count(m->files); i++) {
        const dr_tensor *t = dr_safetensors_at(m->files, i);
        int64_t n = t->dtype == DR_FP4 ? 2 : 1;
        if (t->dtype == DR_F8_E8M0 || t->dtype == DR_I64 || strncmp(t->name.s, "mtp.", 4) == 0)
            continue;
        for (int32_t k = 0; k < t->n_dims; k++)
            n *= t->shape[k];
        all += n;
        if (strstr(t->name.s, ".ffn.experts."))
            routed += n;
    }
    m->n_total = all;
    m->n_active = all - routed / c->n_experts * (c->n_experts - c->n_active) - (int64_t)c->vocab * c->dim;
}

/* Bytes the system says it can give; 0 when it does not say. */
static uint64_t memory_available(void)
{
    unsigned long long kib = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");

    if (!f)
        return 0;
    while (fgets(line, sizeof line, f) && sscanf(line, "MemAvailable: %llu kB", &kib) != 1) {
    }
    fclose(f);
    return (uint64_t)kib << 10;
}

/* Config, files, binding and scales: all that can be known without packing. */
static dr_status open_files(dr_model *m, dr_binding *b, const char *dir, dr_error *err)
{
    dr_status st = DR_OK;
    char path[PATH_MAX];
    dr_buf json = {0};

    if ((size_t)snprintf(path, sizeof path, "%s/config.json", dir) >= sizeof path) {
        st = dr_fail(err, DR_ERR_ARG, "%.100s...: path too long", dir);
        goto done;
    }
    if ((st = dr_read_file(&json, path, MAX_CONFIG_BYTES, err)) != DR_OK ||
        (st = dr_config_parse(&m->config, dr_buf_view(&json), path, err)) != DR_OK ||
        (st = dr_safetensors_open(&m->files, dir, err)) != DR_OK)
        goto done;
    if (!(m->arena = dr_arena_new(1 << 20))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", dir);
        goto done;
    }
    if ((st = dr_binding__bind(b, m, err)) != DR_OK || (st = dr_binding__check_scales(b, err)) != DR_OK)
        goto done;
    count_parameters(m);
done:
    dr_buf_free(&json);
    return st;
}

/* The same weights under another configuration are another checkpoint. */
static dr_digest identity_of(const dr_model *m, const char *dir)
{
    const dr_digest files = dr_safetensors_identity(m->files);
    dr_sha256_stream *h = dr_sha256_new();
    char path[PATH_MAX];
    dr_buf json = {0};

    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    (void)dr_read_file(&json, path, MAX_CONFIG_BYTES, NULL);
    dr_sha256_update(h, files.b, sizeof files.b);
    dr_sha256_update(h, json.data, json.n);
    dr_buf_free(&json);
    return dr_sha256_finish(h);
}

static dr_status allocate_packed(dr_model *m, const char *dir, dr_error *err)
{
    const uint64_t available = memory_available();
    const double gib = 1024.0 * 1024 * 1024;

    if (available && m->packed_bytes > available)
        return dr_fail(
            err, DR_ERR_NOMEM,
            "%s: %.1f billion parameters need %.1f GiB of memory once unpacked (%zu bytes a value), %.1f GiB are free",
            dir, (double)m->n_total / 1e9, (double)m->packed_bytes / gib, m->ops.operand_bytes,
            (double)available / gib);
    const size_t rounded = (m->packed_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (!(m->packed = aligned_alloc(HUGE_PAGE, rounded ? rounded : HUGE_PAGE)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: no memory for %.2f GiB of unpacked weights", dir,
                       (double)m->packed_bytes / gib);
    (void)madvise(m->packed, rounded,
                  MADV_HUGEPAGE); /* decoding walks all of it: fewer TLB misses; a refusal costs only speed */
    return DR_OK;
}

dr_status dr_model_open(dr_model **out, const char *dir, const dr_ops *ops, dr_queue *queue, dr_error *err)
{
    dr_status st = DR_OK;
    dr_binding b = {0};
    dr_error found = {0}; /* problems are appended: start from an empty message */
    dr_model *m = calloc(1, sizeof *m);

    *out = NULL;
    if (!m) {
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
        goto done;
    }
    m->ops = *ops;
    if ((st = open_files(m, &b, dir, &found)) != DR_OK)
        goto done;
    m->packed_bytes = dr_binding__packed_bytes(&b, ops);
    if ((st = allocate_packed(m, dir, &found)) != DR_OK ||
        (st = dr_binding__pack(&b, m->packed, ops, queue, &found)) != DR_OK ||
        (st = dr_rope__init(&m->rope, &m->config, &found)) != DR_OK ||
        (st = dr_layout__init(&m->layout, &m->config, &m->ops, &found)) != DR_OK)
        goto done;
    m->identity = identity_of(m, dir);
    dr_log("engine", "%s: %.1f M parameters, %.1f M a token, %.1f MiB packed for %s", dir, (double)m->n_total / 1e6,
           (double)m->n_active / 1e6, (double)m->packed_bytes / (1 << 20), ops->name);
    *out = m;
    m = NULL;
done:
    if (st != DR_OK && err)
        *err = found;
    dr_binding__fini(&b);
    dr_model_close(m);
    return st;
}

void dr_model_close(dr_model *m)
{
    if (!m)
        return;
    free(m->packed);
    dr_layout__fini(&m->layout);
    dr_rope__fini(&m->rope);
    dr_arena_free(m->arena);
    dr_safetensors_close(m->files);
    dr_config_fini(&m->config);
    free(m);
}

static json_t *layer_kinds(const dr_config *c)
{
    static const char *const names[] = {"SWA", "CSA", "HCA"};
    json_t *list = json_array();
    for (int32_t i = 0; i < c->n_layers + c->n_mtp; i++) {
        const dr_layer_plan *l = &c->layers[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "attention", names[l->kind], "ratio", l->ratio,
                                                    "router", l->hash_routed ? "hash" : "score"));
    }
    return list;
}

static json_t *bytes_by_dtype(const dr_safetensors *s)
{
    static const dr_dtype order[] = {DR_F8_E4M3, DR_F8_E8M0, DR_FP4, DR_BF16, DR_F32, DR_I64};
    json_t *o = json_object();
    for (size_t d = 0; d < sizeof order / sizeof order[0]; d++) {
        json_int_t n = 0;
        for (size_t i = 0; i < dr_safetensors_count(s); i++) {
            const dr_tensor *t = dr_safetensors_at(s, i);
            n += t->dtype == order[d] ? (json_int_t)t->n_bytes : 0;
        }
        if (n)
            (void)json_object_set_new(o, dr_dtype_name(order[d]), json_integer(n));
    }
    return o;
}

dr_status dr_model_check(const char *dir, dr_buf *report, dr_error *err)
{
    dr_status st = DR_OK;
    dr_binding b = {0};
    dr_error found = {0};
    char hex[65];
    char *text = NULL;
    json_t *o = NULL;
    dr_model *m = calloc(1, sizeof *m);

    if (!m) {
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
        goto done;
    }
    if ((st = open_files(m, &b, dir, &found)) != DR_OK)
        goto done;
    const dr_digest id = identity_of(m, dir);
    dr_digest_hex(hex, &id);
    o = json_pack("{s:o?, s:s, s:I, s:I, s:I, s:i, s:i, s:i, s:o, s:o}", "model",
                  json_string(dir) /* NULL, told as null, when the path is not UTF-8 */, "identity", hex, "tensors",
                  (json_int_t)dr_safetensors_count(m->files), "parameters", (json_int_t)m->n_total, "active_parameters",
                  (json_int_t)m->n_active, "layers", m->config.n_layers, "mtp_blocks", m->config.n_mtp, "vocab",
                  m->config.vocab, "bytes", bytes_by_dtype(m->files), "plan", layer_kinds(&m->config));
    if (!o || !(text = json_dumps(o, JSON_COMPACT))) {
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
        goto done;
    }
    dr_buf_str(report, text);
    if (report->failed)
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
done:
    if (st != DR_OK && err)
        *err = found;
    free(text);
    json_decref(o);
    dr_binding__fini(&b);
    dr_model_close(m);
    return st;
}

const dr_config *dr_model_config(const dr_model *m)
{
    return &m->config;
}

const dr_ops *dr_model_ops(const dr_model *m)
{
    return &m->ops;
}

dr_digest dr_model_identity(const dr_model *m)
{
    return m->identity;
}

size_t dr_model_bytes(const dr_model *m)
{
    return m->packed_bytes;
}

void dr_model_parameters(const dr_model *m, int64_t *total, int64_t *active)
{
    *total = m->n_total;
    *active = m->n_active;
}
