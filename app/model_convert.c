/* app/model_convert.c: `deepread model import DIR --out FOLDER` of a checkpoint that transformers wrote. */
#include "app/model_parts.h"

#include "base/log.h"
#include "engine/convert.h"

typedef struct progress {
    const dr_model_command *c;
    uint64_t start_us;
} progress;

static bool show(void *arg, uint64_t done, uint64_t total)
{
    const progress *p = arg;
    dr_output_progress(p->c->out, "converting:", "bytes", (int64_t)done, (int64_t)total, dr_clock_us() - p->start_us);
    return !atomic_load_explicit(p->c->cancel, memory_order_relaxed);
}

dr_status dr_model_part__convert(const dr_model_command *c, dr_error *err)
{
    progress p = {c, dr_clock_us()};
    const dr_convert_options how = {.progress = show, .arg = &p};
    dr_convert_report r;
    dr_status st;

    if (!c->opt->out)
        return dr_fail(err, DR_ERR_ARG, "%s: the tensors have transformers' names; --out FOLDER says where the checkpoint is "
                       "written in the official layout", c->dir);
    st = dr_convert_run(&r, c->dir, c->opt->out, &how, err);
    dr_output_progress_end(c->out);
    if (st != DR_OK)
        return st;
    dr_output_event(c->out, json_pack("{s:s, s:i, s:o, s:i, s:i, s:I, s:i, s:b}", "type", "convert", "schema", DR_EVENT_SCHEMA, "folder",
                                      dr_output_text(dr_str_of(c->opt->out)), "tensors", (int)r.n_tensors, "shards", (int)r.n_shards,
                                      "bytes", (json_int_t)r.n_bytes, "rounded", (int)r.n_rounded, "without_mtp", r.without_mtp));
    if (!c->opt->json) {
        char n[28];
        printf("%s: %s tensors in %zu file%s, %.2f GiB, checked\n", c->opt->out, dr_output_count(n, (int64_t)r.n_tensors), r.n_shards,
               r.n_shards == 1 ? "" : "s", (double)r.n_bytes / (1 << 30));
        if (r.n_rounded)
            printf("%zu tensors were F32 and are rounded to BF16\n", r.n_rounded);
        if (r.without_mtp)
            puts("there was no MTP block; config.json now says so");
    }
    return DR_OK;
}
