#include "engine/model.h"

#include "engine/binding.h"
#include "engine/foreign.h"
#include "engine/memory.h"

#include "base/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, HEADING = 256 };

/* The same weights under another configuration are another checkpoint. */
dr_digest dr_model__identity(const dr_safetensors *files, dr_str config)
{
    const dr_digest weights = dr_safetensors_identity(files);
    dr_sha256_stream *h = dr_sha256_new();

    dr_sha256_update(h, weights.b, sizeof weights.b);
    dr_sha256_update(h, config.s, config.n);
    return dr_sha256_finish(h);
}

dr_status dr_model__read_config(dr_buf *json, dr_config *c, const char *dir, dr_error *err)
{
    dr_status st;
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/config.json", dir) >= sizeof path)
        return dr_fail(err, DR_ERR_ARG, "%.100s...: path too long", dir);
    if ((st = dr_read_file(json, path, DR_CONFIG_BYTES, err)) != DR_OK)
        return st;
    return dr_config_parse(c, dr_buf_view(json), path, err);
}

/* Before anything large is allocated. Pages of the mapped files are not counted: they go when memory is needed. */
static dr_status check_memory(const dr_model *m, const dr_plan *p, const char *dir, dr_error *err)
{
    const dr_memory memory = dr_memory_look("");
    const double gib = 1024.0 * 1024 * 1024;
    const uint64_t need = (uint64_t)m->packed_bytes + dr_binding__arena_bytes(p, &m->config);

    if (!memory.available || need <= memory.available)
        return DR_OK;
    return dr_fail(err, DR_ERR_LIMIT,
                   "%.200s: %.1f billion parameters need %.1f GiB of memory once unpacked (%zu bytes a value), %.1f GiB are free "
                   "of %.1f%s; a machine with more of it, or a smaller checkpoint, is needed (\"deepread model cost %.200s\" "
                   "shows the plan)",
                   dir, (double)m->n_total / 1e9, (double)need / gib, m->ops.operand_bytes, (double)memory.available / gib,
                   (double)memory.total / gib, memory.limited ? " that its control group allows" : "", dir);
}

static void write_heading(char heading[HEADING], const char *dir)
{
    (void)snprintf(heading, HEADING, "%.200s cannot be used:", dir);
}

/* Config, files, binding: all that can be known without allocating much. */
static dr_status open_files(dr_model *m, dr_binding *b, const char *dir, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf json = {0};
    dr_problems problems = {0}, unused = {0};
    char heading[HEADING];

    write_heading(heading, dir);
    if ((st = dr_model__read_config(&json, &m->config, dir, err)) != DR_OK ||
        (st = dr_safetensors_survey(&m->files, dir, &problems, err)) != DR_OK ||
        (st = dr_foreign_refuse(m->files, dir, err)) != DR_OK ||
        (st = dr_problems_fail(&problems, heading, err)) != DR_OK ||
        (st = dr_binding__match(b, &m->config, m->files, &problems, &unused, err)) != DR_OK ||
        (st = dr_problems_fail(&problems, heading, err)) != DR_OK)
        goto done;
    dr_plan_parameters(&b->plan, &m->config, &m->n_total, &m->n_active);
    m->packed_bytes = dr_binding__packed_bytes(&b->plan, &m->config, &m->ops);
    if ((st = check_memory(m, &b->plan, dir, err)) != DR_OK)
        goto done;
    dr_binding__check(b, &m->config, false, &problems); /* packing finds NaN scales by itself */
    if ((st = dr_problems_fail(&problems, heading, err)) != DR_OK)
        goto done;
    if (m->config.n_drafts)
        dr_log("engine", "%s: %d draft stages are there, %zu problems in them; drafting with them is not built", dir,
               m->config.n_drafts, dr_problems_count(&unused));
    m->identity = dr_model__identity(m->files, dr_buf_view(&json));
done:
    dr_problems_fini(&problems);
    dr_problems_fini(&unused);
    dr_buf_free(&json);
    return st;
}

static dr_status pack(dr_model *m, const dr_binding *b, dr_queue *queue, const char *dir, dr_error *err)
{
    dr_problems problems = {0};
    char heading[HEADING];
    const size_t rounded = (m->packed_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (!(m->packed = aligned_alloc(HUGE_PAGE, rounded ? rounded : HUGE_PAGE)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: no memory for %.2f GiB of unpacked weights", dir,
                       (double)m->packed_bytes / (1 << 30));
    (void)madvise(m->packed, rounded,
                  MADV_HUGEPAGE); /* decoding walks all of it: fewer TLB misses; a refusal costs only speed */
    write_heading(heading, dir);
    dr_binding__pack(b, m->packed, &m->ops, queue, &problems);
    const dr_status st = dr_problems_fail(&problems, heading, err);
    dr_problems_fini(&problems);
    return st;
}

dr_status dr_model_open(dr_model **out, const char *dir, const dr_ops *ops, dr_queue *queue, dr_error *err)
{
    dr_status st = DR_OK;
    dr_binding b = {0};
    dr_error found = {0}; /* problems are appended: start from an empty message */
    dr_model *m = calloc(1, sizeof *m);

    *out = NULL;
    if (!m || !(m->arena = dr_arena_new(1 << 20))) {
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
        goto done;
    }
    m->ops = *ops;
    if ((st = open_files(m, &b, dir, &found)) != DR_OK || (st = dr_binding__take(&b, m, &found)) != DR_OK ||
        (st = pack(m, &b, queue, dir, &found)) != DR_OK ||
        (st = dr_rope__init(&m->rope, &m->config, &found)) != DR_OK ||
        (st = dr_layout__init(&m->layout, &m->config, &m->ops, &found)) != DR_OK)
        goto done;
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
