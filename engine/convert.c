#include "engine/convert.h"

#include "engine/binding.h"
#include "engine/check.h"
#include "engine/convert_parts.h"
#include "engine/foreign.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A checkpoint on its way. */
typedef struct converter {
    const char *from;
    dr_buf json;
    dr_config config;
    dr_safetensors *files;
    dr_plan plan;
    bool *used; /* [tensors] */
    dr_convert_piece *pieces;
    size_t n_pieces, n_shards, n_rounded;
    uint64_t n_bytes;
    bool without_mtp, storage_known[2]; /* linears, experts */
    dr_problems problems;
} converter;

/* ---- what goes where ---- */

static void shape_text(char out[64], int32_t n_dims, const int64_t *shape)
{
    size_t at = 0;
    out[0] = 0;
    for (int32_t i = 0; i < n_dims && at < 48; i++)
        at += (size_t)snprintf(out + at, 64 - at, "%s%lld", i ? "x" : "", (long long)shape[i]);
}

static bool has_shape(const dr_tensor *t, int32_t n_dims, const int64_t *shape)
{
    return t->n_dims == n_dims && memcmp(t->shape, shape, (size_t)n_dims * sizeof *shape) == 0;
}

static bool is_power_of_two(float v)
{
    int e;
    return isfinite(v) && v > 0 && frexpf(v, &e) == 0.5f && e - 1 >= -127 && e - 1 <= 127;
}

/* The values of `to` out of the tensor at `place`; `to` has the official name and shape, dtype is what is written. */
static void add_piece(converter *x, dr_plan_tensor to, const dr_plan_weight *w, dr_foreign_place place, dr_convert_how how)
{
    const dr_tensor *t = place.tensor;
    const int64_t halves = place.fused && w->slot != DR_SLOT_W2 ? 2 : 1; /* gate and up, on top of each other */
    const int64_t fused[3] = {x->config.n_experts, halves * to.shape[0], to.shape[1]};
    char found[64], expected[64];

    x->used[t - dr_safetensors_at(x->files, 0)] = true;
    if (place.fused ? !has_shape(t, 3, fused) : !has_shape(t, to.n_dims, to.shape)) {
        shape_text(found, t->n_dims, t->shape);
        shape_text(expected, place.fused ? 3 : to.n_dims, place.fused ? fused : to.shape);
        dr_problems_add(&x->problems, DR_PROBLEM_SHAPE, t->file, "%s: %s %s, expected %s", t->name.s, dr_dtype_name(t->dtype),
                        found, expected);
        return;
    }
    const uint64_t slices = place.fused ? (uint64_t)(fused[0] * halves) : 1, each = t->n_bytes / slices;
    const uint64_t slice = place.fused ? (uint64_t)(place.expert * halves + place.second_half) : 0;
    const uint8_t *from = (const uint8_t *)t->data + slice * each;
    for (uint64_t i = 0; how == DR_CONVERT_EXPONENT && i < each / sizeof(float); i++) {
        float v;
        memcpy(&v, from + i * sizeof v, sizeof v);
        if (!is_power_of_two(v)) {
            dr_problems_add(&x->problems, DR_PROBLEM_CONTENT, t->file, "%s: scale %llu is %g, expected a power of two", t->name.s,
                            (unsigned long long)i, (double)v);
            return;
        }
    }
    x->n_rounded += how == DR_CONVERT_ROUND;
    x->n_bytes += to.n_bytes;
    x->pieces[x->n_pieces++] = (dr_convert_piece){.to = to, .from = from, .how = how};
}

/* Written as F32 instead of BF16, or the other way round. */
static dr_plan_tensor as_dtype(dr_plan_tensor t, dr_dtype dtype)
{
    t.n_bytes = t.n_bytes / dr_dtype_bytes(t.dtype, 1) * dr_dtype_bytes(dtype, 1);
    t.dtype = dtype;
    return t;
}

static void wrong_dtype(converter *x, const dr_tensor *t, const char *expected)
{
    x->used[t - dr_safetensors_at(x->files, 0)] = true;
    dr_problems_add(&x->problems, DR_PROBLEM_SHAPE, t->file, "%s: %s, expected %s", t->name.s, dr_dtype_name(t->dtype), expected);
}

static void missing(converter *x, const char *official)
{
    char names[DR_FOREIGN_NAMES][DR_FOREIGN_NAME];
    (void)dr_foreign_names(names, official);
    dr_problems_add(&x->problems, DR_PROBLEM_MISSING, NULL, "%s: missing (%s in transformers' names)", official, names[0]);
}

static void place_scale(converter *x, const dr_plan_tensor *to, const dr_plan_weight *w)
{
    const dr_foreign_place place = dr_foreign_find(x->files, to->name);
    const bool halves_share_tiles = place.fused && w->slot != DR_SLOT_W2 && to->shape[0] != w->n && w->n % DR_SCALE_TILE != 0;

    if (!place.tensor)
        missing(x, to->name);
    else if (place.tensor->dtype != DR_F8_E8M0 && place.tensor->dtype != DR_F32)
        wrong_dtype(x, place.tensor, "F8_E8M0 or F32");
    else if (halves_share_tiles)
        dr_problems_add(&x->problems, DR_PROBLEM_SHAPE, place.tensor->file,
                        "%s: one scale covers rows of both halves, which cannot be taken apart", place.tensor->name.s);
    else
        add_piece(x, *to, w, place, place.tensor->dtype == DR_F32 ? DR_CONVERT_EXPONENT : DR_CONVERT_COPY);
}

/* The configuration is to say what the tensors are, as far as all of a form are alike. */
static void note_storage(converter *x, const dr_plan_weight *w, dr_storage as)
{
    const bool expert = w->form == DR_FORM_EXPERT;
    if (x->storage_known[expert] || w->slot == DR_SLOT_WO_A) /* which may be dequantised alone */
        return;
    x->storage_known[expert] = true;
    *(expert ? &x->config.experts_as : &x->config.linears_as) = as;
}

static void place_matrix(converter *x, const dr_plan_weight *w)
{
    dr_plan_tensor t[2];

    (void)dr_plan_tensors(t, w, DR_STORED_BF16);
    const dr_foreign_place place = dr_foreign_find(x->files, t[0].name);
    if (!place.tensor) {
        missing(x, t[0].name);
        return;
    }
    const dr_dtype dtype = place.tensor->dtype;
    if (dtype != DR_F8_E4M3 && dtype != DR_FP4 && dtype != DR_BF16 && dtype != DR_F32) {
        wrong_dtype(x, place.tensor, "F8_E4M3, I8, BF16 or F32");
        return;
    }
    const dr_storage as = dtype == DR_F8_E4M3 ? DR_STORED_FP8 : dtype == DR_FP4 ? DR_STORED_FP4 : DR_STORED_BF16;
    const int n = dr_plan_tensors(t, w, as);
    note_storage(x, w, as);
    add_piece(x, t[0], w, place, dtype == DR_F32 ? DR_CONVERT_ROUND : DR_CONVERT_COPY);
    if (n == 2)
        place_scale(x, &t[1], w);
}

static void place_weight(converter *x, const dr_plan_weight *w)
{
    dr_plan_tensor t[2];

    if (w->form == DR_FORM_LINEAR || w->form == DR_FORM_EXPERT) {
        place_matrix(x, w);
        return;
    }
    (void)dr_plan_tensors(t, w, DR_STORED_BF16);
    const dr_foreign_place place = dr_foreign_find(x->files, t[0].name);
    if (!place.tensor)
        missing(x, t[0].name);
    else if (w->form == DR_FORM_IDS && place.tensor->dtype == DR_I64)
        add_piece(x, t[0], w, place, DR_CONVERT_COPY);
    else if (w->form == DR_FORM_IDS || (place.tensor->dtype != DR_F32 && place.tensor->dtype != DR_BF16))
        wrong_dtype(x, place.tensor, w->form == DR_FORM_IDS ? "I64" : "BF16 or F32");
    else if (w->form == DR_FORM_TABLE && place.tensor->dtype == DR_F32)
        add_piece(x, t[0], w, place, DR_CONVERT_ROUND);
    else
        add_piece(x, as_dtype(t[0], place.tensor->dtype), w, place, DR_CONVERT_COPY);
}

static bool may_be_left_out(const char *name)
{
    return strstr(name, "rotary_emb") || strstr(name, "inv_freq") || strstr(name, "freqs_cis");
}

static dr_status place_all(converter *x, uint64_t shard_bytes, dr_error *err)
{
    dr_status st;
    const size_t n_tensors = dr_safetensors_count(x->files);
    uint64_t in_shard = 0;

    if (!dr_foreign_find(x->files, "mtp.0.attn.wkv.weight").tensor) {
        x->without_mtp = x->config.n_mtp + x->config.n_drafts > 0;
        x->config.n_mtp = x->config.n_drafts = 0;
    }
    if ((st = dr_plan_new(&x->plan, &x->config, err)) != DR_OK)
        return st;
    x->used = calloc(n_tensors + 1, sizeof *x->used);
    x->pieces = calloc(2 * x->plan.n + 1, sizeof *x->pieces);
    if (!x->used || !x->pieces)
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", x->from);
    for (size_t i = 0; i < x->plan.n; i++)
        place_weight(x, &x->plan.weights[i]);
    for (size_t i = 0; i < n_tensors; i++) {
        const dr_tensor *t = dr_safetensors_at(x->files, i);
        if (!x->used[i] && !may_be_left_out(t->name.s))
            dr_problems_add(&x->problems, DR_PROBLEM_EXTRA, t->file, "%s: what it is is not known", t->name.s);
    }
    for (size_t i = 0; i < x->n_pieces; i++) {
        if (i == 0 || in_shard + x->pieces[i].to.n_bytes > shard_bytes) {
            x->n_shards++;
            in_shard = 0;
        }
        x->pieces[i].shard = x->n_shards - 1;
        in_shard += x->pieces[i].to.n_bytes;
    }
    return DR_OK;
}

/* ---- the folder ---- */

static dr_status check_target(const char *to, dr_error *err)
{
    struct stat sb;
    size_t n = 0;

    if (lstat(to, &sb) < 0)
        return errno == ENOENT ? DR_OK : dr_fail(err, DR_ERR_IO, "%s: %s", to, strerror(errno));
    DIR *d = S_ISDIR(sb.st_mode) ? opendir(to) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return d && n == 0 ? DR_OK : dr_fail(err, DR_ERR_ARG, "%s is there already: name a folder that is not, or an empty one", to);
}

static dr_status check_space(const char *folder, const char *to, uint64_t need, dr_error *err)
{
    struct statvfs fs;
    const double gib = 1024.0 * 1024 * 1024;

    if (statvfs(folder, &fs) < 0)
        return DR_OK; /* writing will tell */
    const uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (need <= left)
        return DR_OK;
    return dr_fail(err, DR_ERR_LIMIT, "%s: the checkpoint takes %.2f GiB, %.2f GiB are free there", to, (double)need / gib,
                   (double)left / gib);
}

/* What else a model folder holds; each is copied when it is there. */
static dr_status copy_others(const char *from, const char *to, dr_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "dialect.json",
                                        "deepread.json",  "LICENSE",               "encoding/encoding_dsv4.py"};
    enum { MOST = 256 << 20 };
    dr_status st = DR_OK;
    char source[PATH_MAX], target[PATH_MAX];

    for (size_t i = 0; i < sizeof names / sizeof *names && st == DR_OK; i++) {
        dr_buf data = {0};
        dr_error why = {0};
        if ((size_t)snprintf(source, sizeof source, "%s/%s", from, names[i]) >= sizeof source ||
            (size_t)snprintf(target, sizeof target, "%s/%s", to, names[i]) >= sizeof target)
            return dr_fail(err, DR_ERR_ARG, "%.100s...: path too long", to);
        st = dr_read_file(&data, source, MOST, &why);
        if (st == DR_OK && strchr(names[i], '/')) {
            char *slash = strrchr(target, '/');
            *slash = 0;
            st = dr_make_dirs(target, 0777, err);
            *slash = '/';
        }
        if (st == DR_OK)
            st = dr_write_file(target, data.data ? data.data : "", data.n, err);
        else if (st == DR_ERR_NOT_FOUND)
            st = DR_OK;
        else
            (void)dr_fail(err, st, "%.*s", 1024, why.msg);
        dr_buf_free(&data);
    }
    return st;
}

/* A folder that this run made, and one folder below it. */
static void remove_folder(const char *folder, int depth)
{
    char path[PATH_MAX];
    DIR *d = opendir(folder);

    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path)
            continue;
        if (unlink(path) < 0 && depth > 0)
            remove_folder(path, depth - 1);
    }
    if (d)
        closedir(d);
    (void)rmdir(folder);
}

/* A conversion that does not load is a fault of ours: better found here than by whoever loads it. */
static dr_status check_result(const char *folder, dr_error *err)
{
    dr_buf report = {0};
    dr_problems problems = {0};
    dr_error why = {0};
    const dr_status st = dr_model_check(folder, false, &report, &problems, &why);

    if (st != DR_OK)
        (void)dr_fail(err, st, "the converted checkpoint is not sound, it is left out: %.1000s%s%.500s", why.msg,
                      problems.n ? ": " : "", problems.n ? problems.items[0].text : "");
    dr_problems_fini(&problems);
    dr_buf_free(&report);
    return st;
}

static dr_status write_folder(converter *x, const char *to, const dr_convert_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    char partial[PATH_MAX];
    dr_buf config = {0};
    bool made = false;

    if ((size_t)snprintf(partial, sizeof partial, "%s.partial.%ld", to, (long)getpid()) >= sizeof partial) {
        st = dr_fail(err, DR_ERR_ARG, "%.100s...: path too long", to);
        goto done;
    }
    if (mkdir(partial, 0777) < 0) {
        st = dr_fail(err, DR_ERR_IO, "%s: %s", to, strerror(errno));
        goto done;
    }
    made = true;
    if ((st = check_space(partial, to, x->n_bytes, err)) != DR_OK ||
        (st = dr_convert__config(&config, dr_buf_view(&x->json), &x->config, err)) != DR_OK ||
        (st = dr_convert__write(partial, x->pieces, x->n_pieces, x->n_shards, x->n_bytes, dr_buf_view(&config), opt, err)) !=
            DR_OK ||
        (st = copy_others(x->from, partial, err)) != DR_OK || (st = check_result(partial, err)) != DR_OK)
        goto done;
    if (rename(partial, to) < 0)
        st = dr_fail(err, DR_ERR_IO, "%s: %s", to, strerror(errno));
    else
        made = false;
done:
    if (made)
        remove_folder(partial, 1);
    dr_buf_free(&config);
    return st;
}

dr_status dr_convert_run(dr_convert_report *out, const char *from, const char *to, const dr_convert_options *opt,
                         dr_error *err)
{
    dr_status st;
    dr_error found = {0};
    char target[PATH_MAX];
    converter x = {.from = from};
    size_t n = strlen(to);

    *out = (dr_convert_report){0};
    while (n > 1 && to[n - 1] == '/') /* what is written beside it must not lie in it */
        n--;
    if ((size_t)snprintf(target, sizeof target, "%.*s", (int)(n < PATH_MAX ? n : PATH_MAX), to) >= sizeof target) {
        st = dr_fail(&found, DR_ERR_ARG, "%.100s...: path too long", to);
        goto done;
    }
    if ((st = check_target(target, &found)) != DR_OK || (st = dr_model__read_config(&x.json, &x.config, from, &found)) != DR_OK ||
        (st = dr_safetensors_survey(&x.files, from, &x.problems, &found)) != DR_OK ||
        (st = dr_problems_fail(&x.problems, NULL, &found)) != DR_OK)
        goto done;
    if (!dr_foreign_is(x.files)) {
        st = dr_fail(&found, DR_ERR_ARG, "%s: the tensors do not have transformers' names; there is nothing to convert", from);
        goto done;
    }
    if ((st = place_all(&x, opt->shard_bytes ? opt->shard_bytes : DR_SHARD_BYTES, &found)) != DR_OK ||
        (st = dr_problems_fail(&x.problems, NULL, &found)) != DR_OK || (st = write_folder(&x, target, opt, &found)) != DR_OK)
        goto done;
    *out = (dr_convert_report){.n_tensors = x.n_pieces,
                               .n_shards = x.n_shards,
                               .n_rounded = x.n_rounded,
                               .n_bytes = x.n_bytes,
                               .without_mtp = x.without_mtp};
done:
    if (st != DR_OK && err)
        *err = found;
    dr_problems_fini(&x.problems);
    free(x.used);
    free(x.pieces);
    dr_plan_fini(&x.plan);
    dr_safetensors_close(x.files);
    dr_config_fini(&x.config);
    dr_buf_free(&x.json);
    return st;
}
