/* app/model_cost.c: `deepread model plan` and `cost`: what a configuration implies, without any weights. */
#include "app/model_parts.h"

#include "engine/cost.h"
#include "engine/memory.h"
#include "engine/plan.h"
#include "engine/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_CONFIG = 1 << 20, DEFAULT_CHUNK = 512, CHUNK_STEP = 128 };

static const double gib = 1024.0 * 1024 * 1024;

/* The config.json that was named, or that of the folder. */
static dr_status read_config(dr_config *config, const char *path, dr_error *err)
{
    struct stat sb;
    dr_buf file = {0}, json = {0};
    dr_status st;

    dr_buf_str(&file, path);
    if (stat(path, &sb) == 0 && S_ISDIR(sb.st_mode))
        dr_buf_str(&file, "/config.json");
    if (file.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    else if ((st = dr_read_file(&json, file.data, MAX_CONFIG, err)) == DR_OK)
        st = dr_config_parse(config, dr_buf_view(&json), file.data, err);
    dr_buf_free(&file);
    dr_buf_free(&json);
    return st;
}

/* ---- plan ---- */

static void show_tensor(const dr_model_command *c, const dr_plan_tensor *t)
{
    if (c->opt->json) {
        json_t *shape = json_array();
        for (int32_t i = 0; i < t->n_dims; i++)
            (void)json_array_append_new(shape, json_integer(t->shape[i]));
        dr_output_event(c->out, json_pack("{s:s, s:s, s:s, s:o, s:I}", "type", "tensor", "name", t->name, "dtype",
                                          dr_dtype_name(t->dtype), "shape", shape, "bytes", (json_int_t)t->n_bytes));
        return;
    }
    printf("%s\t%s\t%" PRId64, t->name, dr_dtype_name(t->dtype), t->shape[0]);
    if (t->n_dims == 2)
        printf("x%" PRId64, t->shape[1]);
    printf("\t%" PRIu64 "\n", t->n_bytes);
}

dr_status dr_model_part__plan(const dr_model_command *c, dr_error *err)
{
    dr_config config = {0};
    dr_plan plan = {0};
    uint64_t n, bytes;
    dr_status st;

    if ((st = read_config(&config, c->dir, err)) != DR_OK || (st = dr_plan_new(&plan, &config, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < plan.n; i++) {
        dr_plan_tensor t[2];
        const int parts = dr_plan_tensors(t, &plan.weights[i], dr_plan_storage(&config, &plan.weights[i]));
        for (int j = 0; j < parts; j++)
            show_tensor(c, &t[j]);
    }
    dr_plan_total(&plan, &config, &n, &bytes);
    const uint64_t files = bytes + dr_plan_header_bytes(&plan, &config);
    dr_output_event(c->out, json_pack("{s:s, s:i, s:I, s:I, s:I, s:s, s:s, s:b, s:i, s:i}", "type", "plan", "schema",
                                      DR_EVENT_SCHEMA, "tensors", (json_int_t)n, "bytes", (json_int_t)bytes, "file_bytes",
                                      (json_int_t)files, "linears", dr_storage_name(config.linears_as), "experts",
                                      dr_storage_name(config.experts_as), "experts_told", config.experts_told, "mtp_blocks",
                                      config.n_mtp, "draft_stages", config.n_drafts));
    if (!c->opt->json) {
        char count[28];
        printf("%s tensors, %.2f GiB with the headers of their files (linears %s, experts %s%s)\n",
               dr_output_count(count, (int64_t)n), (double)files / gib, dr_storage_name(config.linears_as),
               dr_storage_name(config.experts_as),
               config.experts_told || config.linears_as == DR_STORED_BF16 ? "" : ": config.json does not say, FP4 is assumed");
    }
done:
    dr_plan_fini(&plan);
    dr_config_fini(&config);
    return st;
}

/* ---- cost ---- */

static json_t *flops_json(const dr_cost_flops *f)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "linear", f->linear, "attention", f->attention, "indexer", f->indexer, "total",
                     dr_cost_flops_sum(f));
}

static json_t *speeds_json(const dr_cost *cost)
{
    size_t n;
    const dr_cost_device *d = dr_cost_devices(&n);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        const dr_cost_speed s = dr_cost_predict(cost, &d[i]);
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:f, s:f, s:I, s:i, s:s, s:f, s:f}", "device", d[i].name, "source", d[i].source,
                            "bytes_per_s", d[i].bandwidth, "flops_per_s", d[i].flops, "memory", (json_int_t)d[i].memory, "devices",
                            s.n_devices, "weights", d[i].cpu ? "packed here" : "as stored", "decode_per_s", s.decode,
                            "prefill_per_s", s.prefill));
    }
    return list;
}

static void show_json(const dr_model_command *c, const dr_cost *cost, const dr_memory *here)
{
    const dr_cost_parameters *p = &cost->parameters;
    const dr_cost_kv *kv = &cost->kv;
    json_t *o = json_pack("{s:s, s:i, s:I, s:i, s:I, s:I, s:I}", "type", "cost", "schema", DR_EVENT_SCHEMA, "context",
                          (json_int_t)cost->context, "chunk", cost->chunk, "tensors", (json_int_t)cost->n_tensors, "bytes",
                          (json_int_t)cost->tensor_bytes, "file_bytes", (json_int_t)cost->file_bytes);

    (void)json_object_set_new(
        o, "parameters",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "total", (json_int_t)p->total, "active",
                  (json_int_t)p->active, "attention", (json_int_t)p->attention, "routed", (json_int_t)p->routed, "shared",
                  (json_int_t)p->shared, "hyper", (json_int_t)p->hyper, "head", (json_int_t)p->head, "embedding",
                  (json_int_t)p->embedding, "mtp", (json_int_t)p->mtp, "drafts", (json_int_t)p->drafts));
    (void)json_object_set_new(o, "decode_flops", flops_json(&cost->decode));
    (void)json_object_set_new(o, "prefill_flops", flops_json(&cost->prefill));
    (void)json_object_set_new(o, "weight_bytes_per_token",
                              json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "FP8", cost->weights.fp8, "FP4", cost->weights.fp4,
                                        "BF16", cost->weights.bf16, "F32", cost->weights.f32, "total",
                                        dr_cost_bytes_sum(&cost->weights), "packed_here", cost->packed_read));
    (void)json_object_set_new(
        o, "kv",
        json_pack("{s:{s:i, s:i, s:i}, s:f, s:f, s:f, s:f, s:I, s:I, s:f}", "layers", "SWA", kv->n_swa, "CSA", kv->n_csa, "HCA",
                  kv->n_hca, "csa_per_token", kv->csa, "csa_index_per_token", kv->csa_index, "hca_per_token", kv->hca, "per_token",
                  kv->csa + kv->csa_index + kv->hca, "window", (json_int_t)kv->window, "total", (json_int_t)kv->total,
                  "read_per_token", kv->read));
    (void)json_object_set_new(
        o, "of_v32", json_pack("{s:f, s:f, s:f, s:o, s:I}", "flops", cost->flops_share, "flops_fp8_equivalent", cost->fp8_share, "kv",
                               cost->kv_share, "v32_flops", flops_json(&cost->v32_decode), "v32_kv", (json_int_t)cost->v32_kv));
    (void)json_object_set_new(
        o, "memory", json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "packed", (json_int_t)cost->memory.packed, "vectors",
                               (json_int_t)cost->memory.vectors, "kv", (json_int_t)cost->memory.kv, "scratch",
                               (json_int_t)cost->memory.scratch, "total", (json_int_t)cost->memory.total, "available_here",
                               (json_int_t)here->available, "fits_here",
                               here->available == 0 || cost->memory.total <= here->available));
    (void)json_object_set_new(o, "assumed",
                              json_pack("{s:f, s:f}", "bandwidth_share", DR_COST_BANDWIDTH_SHARE, "flops_share", DR_COST_FLOPS_SHARE));
    (void)json_object_set_new(o, "speeds", speeds_json(cost));
    dr_output_event(c->out, o);
}

static void show_flops(const char *what, const dr_cost_flops *f)
{
    printf("  %-22s%9.2f GFLOP a token: linear %.2f, attention %.2f, indexer %.2f\n", what, dr_cost_flops_sum(f) / 1e9,
           f->linear / 1e9, f->attention / 1e9, f->indexer / 1e9);
}

static void show_speeds(const dr_cost *cost)
{
    size_t n;
    const dr_cost_device *d = dr_cost_devices(&n);

    printf("\npredicted, one stream (no measurement: %.0f %% of the bandwidth below decodes, %.0f %% of the FLOP rate prefills)\n",
           100 * DR_COST_BANDWIDTH_SHARE, 100 * DR_COST_FLOPS_SHARE);
    printf("  %-28s%8s%14s%15s\n", "device", "number", "decode tok/s", "prefill tok/s");
    for (size_t i = 0; i < n; i++) {
        const dr_cost_speed s = dr_cost_predict(cost, &d[i]);
        char number[16] = "-";
        if (s.n_devices)
            (void)snprintf(number, sizeof number, "%d", s.n_devices);
        printf("  %-28s%8s%14.1f%15.0f  %s\n", d[i].name, number, s.decode, s.prefill, d[i].source);
    }
    puts("  number: as many as hold weights and KV, perfectly split. GPUs read the weights as stored (this version runs on\n"
         "  processors only); processors read them as packed here, two bytes a value.");
}

static void show_memory(const dr_cost *cost, const dr_memory *here)
{
    const dr_cost_memory *m = &cost->memory;

    printf("\nmemory here, in GiB: %.2f\n", (double)m->total / gib);
    printf("  packed weights %.2f, small tensors %.2f, KV at the context %.2f, buffers %.2f (passes of %d tokens)\n",
           (double)m->packed / gib, (double)m->vectors / gib, (double)m->kv / gib, (double)m->scratch / gib, cost->chunk);
    if (!here->available)
        return;
    printf("  %.2f of %.2f are free on this machine%s: ", (double)here->available / gib, (double)here->total / gib,
           here->limited ? " (its control group's limit)" : "");
    if (m->total <= here->available)
        puts("it fits");
    else if (m->packed + m->vectors + m->scratch <= here->available)
        printf("it fits with a context of about %.0f tokens (--context)\n",
               floor((double)(here->available - m->packed - m->vectors - m->scratch) / ((double)m->kv / (double)cost->context)));
    else
        printf("it does not fit, %.2f are missing\n", (double)(m->total - here->available) / gib);
}

static void show_text(const dr_cost *cost, const dr_memory *here)
{
    const dr_cost_parameters *p = &cost->parameters;
    const dr_cost_bytes *b = &cost->weights;
    const dr_cost_kv *kv = &cost->kv;
    char n[28], context[28];

    printf("%s tensors, %.2f GiB of files; context %s tokens\n", dr_output_count(n, (int64_t)cost->n_tensors),
           (double)cost->file_bytes / gib, dr_output_count(context, cost->context));
    printf("\nparameters, in millions: %.1f, %.1f active a token\n", (double)p->total / 1e6, (double)p->active / 1e6);
    printf("  active: attention %.1f, routed experts %.1f, shared and gate %.1f, hyper-connections %.1f, head %.1f\n",
           (double)p->attention / 1e6, (double)p->routed / 1e6, (double)p->shared / 1e6, (double)p->hyper / 1e6,
           (double)p->head / 1e6);
    printf("  beside them: embedding %.1f, MTP block %.1f, draft stages %.1f\n", (double)p->embedding / 1e6,
           (double)p->mtp / 1e6, (double)p->drafts / 1e6);
    puts("\ncompute");
    show_flops("decode at the context", &cost->decode);
    show_flops("prefill, mean", &cost->prefill);
    puts("\nbytes a decoded token reads, in MB");
    printf("  weights as stored %.1f: FP8 %.1f, FP4 %.1f, BF16 %.1f, F32 %.1f; as packed here %.1f\n",
           dr_cost_bytes_sum(b) / 1e6, b->fp8 / 1e6, b->fp4 / 1e6, b->bf16 / 1e6, b->f32 / 1e6, cost->packed_read / 1e6);
    printf("  KV %.1f\n", kv->read / 1e6);
    printf("\nKV, in MiB: %.2f at the context\n", (double)kv->total / (1 << 20));
    printf("  a token leaves %.2f bytes: %d CSA layers %.2f and index %.2f, %d HCA layers %.2f, %d SWA layers nothing\n",
           kv->csa + kv->csa_index + kv->hca, kv->n_csa, kv->csa, kv->csa_index, kv->n_hca, kv->hca, kv->n_swa);
    printf("  windows of all layers %.2f\n", (double)kv->window / (1 << 20));
    printf("\nshare of DeepSeek-V3.2 at this context: compute %.1f %%, in FP8 equivalents %.1f %%, KV %.1f %%\n",
           100 * cost->flops_share, 100 * cost->fp8_share, 100 * cost->kv_share);
    show_memory(cost, here);
    show_speeds(cost);
}

dr_status dr_model_part__cost(const dr_model_command *c, dr_error *err)
{
    dr_config config = {0};
    dr_cost cost;
    dr_ops ops;
    dr_status st;

    if ((st = read_config(&config, c->dir, err)) != DR_OK || (st = dr_ops_init_named(&ops, c->opt->isa, err)) != DR_OK)
        goto done;
    const int64_t context = c->opt->context ? c->opt->context : config.max_context;
    const int32_t pass = c->opt->chunk ? c->opt->chunk : DEFAULT_CHUNK;
    const int32_t chunk = (pass + CHUNK_STEP - 1) / CHUNK_STEP * CHUNK_STEP;
    if (context > config.max_context) {
        st = dr_fail(err, DR_ERR_ARG, "--context %" PRId64 ": the configuration goes to %" PRId64 " tokens", context,
                     config.max_context);
        goto done;
    }
    if ((st = dr_cost_compute(&cost, &config, &ops, context, chunk, err)) != DR_OK)
        goto done;
    const dr_memory here = dr_memory_look("");
    if (c->opt->json)
        show_json(c, &cost, &here);
    else
        show_text(&cost, &here);
done:
    dr_config_fini(&config);
    return st;
}
