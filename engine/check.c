#include "engine/check.h"

#include "engine/binding.h"
#include "engine/foreign.h"

#include <jansson.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A folder being checked. */
typedef struct checker {
    const char *dir;
    dr_buf json; /* config.json */
    dr_config config;
    dr_safetensors *files;
    dr_binding binding;
    dr_problems *problems;
    json_t *notes; /* strings: what is remarkable, and no fault */
    bool scales_read;
} checker;

static void note(checker *x, const char *fmt, ...) DR_PRINTF(2, 3);
static void note(checker *x, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)json_array_append_new(x->notes, json_string(text)); /* NULL, left out, when it is not UTF-8 */
}

/* ---- what the tensors that are there say of storage ---- */

/* The storage of the first matrix of this form that was found, else what the configuration says. */
static dr_storage storage_of(const checker *x, dr_form form)
{
    for (size_t i = 0; i < x->binding.plan.n; i++)
        if (x->binding.plan.weights[i].form == form && x->binding.bound[i].tensor &&
            x->binding.plan.weights[i].slot != DR_SLOT_WO_A)
            return x->binding.bound[i].as;
    return form == DR_FORM_EXPERT ? x->config.experts_as : x->config.linears_as;
}

static void note_storage(checker *x)
{
    const dr_storage experts = storage_of(x, DR_FORM_EXPERT);

    if (!x->config.experts_told)
        note(x, "config.json does not say how the experts are stored; the tensors say %s", dr_storage_name(experts));
    else if (experts != x->config.experts_as)
        note(x, "config.json says that the experts are %s, the tensors are %s; the tensors count",
             dr_storage_name(x->config.experts_as), dr_storage_name(experts));
    x->config.experts_as = experts;
    x->config.linears_as = storage_of(x, DR_FORM_LINEAR);
}

static void note_strays(checker *x)
{
    const size_t suffix = strlen(".safetensors");
    DIR *d = opendir(x->dir);

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        const size_t n = strlen(e->d_name);
        bool known = n <= suffix || strcmp(e->d_name + n - suffix, ".safetensors") != 0;
        for (size_t i = 0; i < dr_safetensors_n_shards(x->files) && !known; i++)
            known = strcmp(dr_safetensors_shard(x->files, i)->name, e->d_name) == 0;
        if (!known)
            note(x, "%.100s is not part of the checkpoint", e->d_name);
    }
    closedir(d);
}

/* ---- the report ---- */

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

/* Bytes that the plan expects in each shard, by what the index puts there: *of is [shards]. */
static void planned_bytes(const checker *x, uint64_t *of)
{
    for (size_t i = 0; i < x->binding.plan.n; i++) {
        const dr_plan_weight *w = &x->binding.plan.weights[i];
        dr_plan_tensor t[2];
        const int n = dr_plan_tensors(t, w, dr_plan_storage(&x->config, w));
        for (int j = 0; j < n; j++) {
            const dr_shard *s = dr_safetensors_indexed(x->files, t[j].name);
            for (size_t k = 0; s && k < dr_safetensors_n_shards(x->files); k++)
                if (dr_safetensors_shard(x->files, k) == s)
                    of[k] += t[j].n_bytes;
        }
    }
}

static json_t *shard_list(const checker *x, uint64_t *n_missing_bytes, size_t *n_missing)
{
    const size_t n = dr_safetensors_n_shards(x->files);
    json_t *list = json_array();
    uint64_t *planned = calloc(n + 1, sizeof *planned);

    *n_missing_bytes = *n_missing = 0;
    for (size_t i = 0; i < n && !*n_missing; i++)
        *n_missing += !dr_safetensors_shard(x->files, i)->there;
    if (planned && *n_missing)
        planned_bytes(x, planned);
    *n_missing = 0;
    for (size_t i = 0; i < n && planned; i++) {
        const dr_shard *s = dr_safetensors_shard(x->files, i);
        const char *state = !s->there                ? "missing"
                            : !s->readable           ? "unreadable"
                            : s->n_told > s->n_bytes ? "truncated"
                                                     : "there";
        json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "file", s->name, "state", state, "bytes", (json_int_t)s->n_bytes,
                              "tensors", (json_int_t)(s->there ? s->n_tensors : s->n_index));
        if (s->readable && s->n_told != s->n_bytes)
            (void)json_object_set_new(o, "expected_bytes", json_integer((json_int_t)s->n_told));
        if (!s->there) {
            (void)json_object_set_new(o, "expected_bytes", json_integer((json_int_t)planned[i]));
            *n_missing_bytes += planned[i];
            (*n_missing)++;
        } else if (s->n_told > s->n_bytes)
            *n_missing_bytes += s->n_told - s->n_bytes;
        (void)json_array_append_new(list, o);
    }
    free(planned);
    return list;
}

static json_t *problem_list(const dr_problems *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->n; i++)
        (void)json_array_append_new(list, json_pack("{s:s*, s:s*}", "file", *p->items[i].file ? p->items[i].file : NULL,
                                                    "text", p->items[i].text));
    return list;
}

static void write_bytes(char out[32], uint64_t n)
{
    if (n < 1 << 20)
        (void)snprintf(out, 32, "%llu bytes", (unsigned long long)n);
    else
        (void)snprintf(out, 32, n < 1 << 30 ? "%.2f MiB" : "%.2f GiB", (double)n / (n < 1 << 30 ? 1 << 20 : 1 << 30));
}

/* "3 of 46 shards are missing (9.71 GiB), 2 tensors are of another shape". */
static dr_status summarise(const checker *x, size_t n_missing, uint64_t missing_bytes, dr_error *err)
{
    const size_t *n = x->problems->counts;
    const struct {
        size_t n;
        const char *one, *many;
    } parts[] = {{n[DR_PROBLEM_FILE_CUT], "shard is truncated", "shards are truncated"},
                 {n[DR_PROBLEM_FILE] + n[DR_PROBLEM_FILE_MISSING] - n_missing, "problem with a file", "problems with files"},
                 {n[DR_PROBLEM_MISSING], "tensor is missing", "tensors are missing"},
                 {n[DR_PROBLEM_EXTRA], "tensor is not of this configuration", "tensors are not of this configuration"},
                 {n[DR_PROBLEM_SHAPE], "tensor has another shape or dtype", "tensors have another shape or dtype"},
                 {n[DR_PROBLEM_CONTENT], "tensor holds impossible values", "tensors hold impossible values"}};
    char text[1024], bytes[32];
    size_t at = 0;

    text[0] = 0;
    if (n_missing)
        at += (size_t)snprintf(text, sizeof text, "%zu of %zu shards %s missing", n_missing, dr_safetensors_n_shards(x->files),
                               n_missing == 1 ? "is" : "are");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i].n)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%zu %s", at ? ", " : "", parts[i].n,
                                   parts[i].n == 1 ? parts[i].one : parts[i].many);
    write_bytes(bytes, missing_bytes);
    if (missing_bytes)
        (void)snprintf(text + at, sizeof text - at, "; %s are still to come", bytes);
    return dr_fail(err, n[DR_PROBLEM_FILE_MISSING] == dr_problems_count(x->problems) ? DR_ERR_NOT_FOUND : DR_ERR_FORMAT, "%.200s: %s",
                   x->dir, text);
}

static dr_status write_report(checker *x, dr_buf *report, dr_error *err)
{
    dr_status st = DR_OK;
    char hex[65];
    char *text = NULL;
    size_t n_missing;
    uint64_t missing_bytes, n_planned, planned;
    int64_t parameters, active;
    const dr_config *c = &x->config;
    const bool good = dr_problems_count(x->problems) == 0;
    json_t *shards = shard_list(x, &missing_bytes, &n_missing);
    json_t *o = json_pack("{s:o?, s:b}", "model", json_string(x->dir) /* NULL, told as null, when the path is not UTF-8 */, "good",
                          good);

    if (good) {
        const dr_digest id = dr_model__identity(x->files, dr_buf_view(&x->json));
        dr_digest_hex(hex, &id);
        (void)json_object_set_new(o, "identity", json_string(hex));
    }
    dr_plan_total(&x->binding.plan, c, &n_planned, &planned);
    (void)json_object_set_new(o, "tensors", json_integer((json_int_t)dr_safetensors_count(x->files)));
    (void)json_object_set_new(o, "planned", json_pack("{s:I, s:I}", "tensors", (json_int_t)n_planned, "bytes", (json_int_t)planned));
    dr_plan_parameters(&x->binding.plan, c, &parameters, &active);
    (void)json_object_set_new(o, "parameters", json_integer(parameters));
    (void)json_object_set_new(o, "active_parameters", json_integer(active));
    (void)json_object_update_new(
        o, json_pack("{s:i, s:i, s:i, s:{s:s, s:s}, s:o, s:o, s:b, s:o, s:O}", "layers", c->n_layers, "mtp_blocks", c->n_mtp,
                     "vocab", c->vocab, "stored", "linears", dr_storage_name(c->linears_as), "experts",
                     dr_storage_name(c->experts_as), "bytes", bytes_by_dtype(x->files), "plan", layer_kinds(c), "scales_read",
                     x->scales_read, "shards", shards, "notes", x->notes));
    if (c->n_drafts)
        (void)json_object_set_new(o, "drafts", json_pack("{s:i, s:b}", "stages", c->n_drafts, "used", false));
    if (!good) {
        (void)json_object_set_new(o, "missing_bytes", json_integer((json_int_t)missing_bytes));
        (void)json_object_set_new(o, "n_problems", json_integer((json_int_t)dr_problems_count(x->problems)));
        (void)json_object_set_new(o, "problems", problem_list(x->problems));
        st = summarise(x, n_missing, missing_bytes, err);
    }
    if (!o || !(text = json_dumps(o, JSON_COMPACT)))
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", x->dir);
    else
        dr_buf_str(report, text);
    if (report->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", x->dir);
    free(text);
    json_decref(o);
    return st;
}

dr_status dr_model_check(const char *dir, bool all, dr_buf *report, dr_problems *problems, dr_error *err)
{
    dr_status st = DR_OK;
    dr_error found = {0}; /* problems are appended: start from an empty message */
    checker x = {.dir = dir, .problems = problems, .notes = json_array()};

    if (!x.notes) {
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
        goto done;
    }
    if ((st = dr_model__read_config(&x.json, &x.config, dir, &found)) != DR_OK ||
        (st = dr_safetensors_survey(&x.files, dir, problems, &found)) != DR_OK ||
        (st = dr_foreign_refuse(x.files, dir, &found)) != DR_OK ||
        (st = dr_binding__match(&x.binding, &x.config, x.files, problems, problems, &found)) != DR_OK)
        goto done;
    note_storage(&x);
    note_strays(&x);
    x.scales_read = all || dr_binding__scale_bytes(&x.binding) <= DR_CHECK_SCALE_BYTES;
    dr_binding__check(&x.binding, &x.config, x.scales_read, problems);
    if (x.config.n_drafts)
        note(&x, "%d draft stages (DSpark) are known by name and shape; drafting with them is not built", x.config.n_drafts);
    if (problems->failed)
        st = dr_fail(&found, DR_ERR_NOMEM, "%s: out of memory", dir);
    else
        st = write_report(&x, report, &found);
done:
    if (st != DR_OK && err)
        *err = found;
    json_decref(x.notes);
    dr_binding__fini(&x.binding);
    dr_safetensors_close(x.files);
    dr_config_fini(&x.config);
    dr_buf_free(&x.json);
    return st;
}
