/* Checking folders of the published sizes: every header and every small tensor is there, the matrices are holes of sparse
 * files. The time of each check is printed, not asserted. */
#include "base/bytes.h"
#include "base/log.h"
#include "engine/check.h"
#include "engine/plan.h"
#include "tests/engine/tiny_checkpoint.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include <cmocka.h>

typedef struct sparse {
    char folder[64];
    dr_config config;
    dr_plan plan;
    dr_buf index;
    int n_shards;
    size_t n_tensors;
} sparse;

static void write_at(int fd, const void *data, size_t n, off_t at)
{
    assert_int_equal(pwrite(fd, data, n, at), (ssize_t)n);
}

static void shard_path(char out[160], const sparse *s, int i)
{
    snprintf(out, 160, "%s/model-%05d-of-%05d.safetensors", s->folder, i + 1, s->n_shards);
}

/* Ids that every row may hold. */
static void write_ids(int fd, const sparse *s, off_t at)
{
    const size_t n = (size_t)s->config.vocab * (size_t)s->config.n_active;
    uint8_t *ids = malloc(8 * n);
    assert_non_null(ids);
    for (size_t i = 0; i < n; i++)
        dr_store_u64(ids + 8 * i, i % (size_t)s->config.n_active);
    write_at(fd, ids, 8 * n, at);
    free(ids);
}

/* Weights first .. last - 1 as one file: header, zeros, and expert tables. */
static void write_shard(sparse *s, int shard, size_t first, size_t last)
{
    dr_buf header = {0};
    char entry[DR_HEADER_ENTRY], path[160];
    uint8_t length[8];
    uint64_t at = 0;

    shard_path(path, s, shard);
    for (int pass = 0; pass < 2; pass++) {
        const int fd = pass ? open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) : -1;
        const uint64_t head = 8 + header.n;
        assert_true(!pass || fd >= 0);
        at = 0;
        for (size_t i = first; i < last; i++) {
            dr_plan_tensor t[2];
            const dr_plan_weight *w = &s->plan.weights[i];
            const int n = dr_plan_tensors(t, w, dr_plan_storage(&s->config, w));
            for (int j = 0; j < n; j++) {
                if (!pass) {
                    (void)dr_plan_header_entry(entry, &t[j], at);
                    dr_buf_printf(&header, "%s%s", header.n ? "," : "{", entry);
                    dr_buf_printf(&s->index, "%s\"%s\":\"%s\"", s->n_tensors++ ? "," : "{\"weight_map\":{", t[j].name,
                                  strrchr(path, '/') + 1);
                } else if (w->form == DR_FORM_IDS)
                    write_ids(fd, s, (off_t)(head + at));
                at += t[j].n_bytes;
            }
        }
        if (!pass) {
            dr_buf_str(&header, "}");
            assert_false(header.failed);
            continue;
        }
        dr_store_u64(length, header.n);
        write_at(fd, length, sizeof length, 0);
        write_at(fd, header.data, header.n, sizeof length);
        assert_int_equal(ftruncate(fd, (off_t)(head + at)), 0);
        assert_int_equal(close(fd), 0);
    }
    dr_buf_free(&header);
}

static void make(sparse *s, const char *name, int n_shards)
{
    char path[160];
    dr_buf json = {0};
    dr_error err = {0};
    uint64_t n, total, in_shard = 0;
    size_t first = 0;
    int shard = 0;

    *s = (sparse){.n_shards = n_shards};
    snprintf(s->folder, sizeof s->folder, "/tmp/deepread-sparse-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(path, sizeof path, "tests/engine/configs/%s.json", name);
    if (dr_read_file(&json, path, 1 << 20, &err) != DR_OK || dr_config_parse(&s->config, dr_buf_view(&json), path, &err) != DR_OK ||
        dr_plan_new(&s->plan, &s->config, &err) != DR_OK)
        fail_msg("%s", err.msg);
    snprintf(path, sizeof path, "%s/config.json", s->folder);
    assert_int_equal(dr_write_file(path, json.data, json.n, &err), DR_OK);
    dr_plan_total(&s->plan, &s->config, &n, &total);
    for (size_t i = 0; i < s->plan.n; i++) {
        dr_plan_tensor t[2];
        const int parts = dr_plan_tensors(t, &s->plan.weights[i], dr_plan_storage(&s->config, &s->plan.weights[i]));
        for (int j = 0; j < parts; j++)
            in_shard += t[j].n_bytes;
        if (in_shard >= total / (uint64_t)n_shards + 1 && shard + 1 < n_shards) {
            write_shard(s, shard++, first, i + 1);
            first = i + 1;
            in_shard = 0;
        }
    }
    write_shard(s, shard, first, s->plan.n);
    assert_int_equal(shard + 1, n_shards);
    dr_buf_str(&s->index, "}}");
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", s->folder);
    assert_int_equal(dr_write_file(path, s->index.data, s->index.n, &err), DR_OK);
    dr_buf_free(&json);
}

static void drop(sparse *s)
{
    tiny_remove_folder(s->folder);
    dr_plan_fini(&s->plan);
    dr_config_fini(&s->config);
    dr_buf_free(&s->index);
}

static json_t *check(const sparse *s, dr_problems *problems, dr_status expected, const char *sentence)
{
    dr_buf report = {0};
    dr_error err = {0};
    const uint64_t start = dr_clock_us();
    const dr_status st = dr_model_check(s->folder, false, &report, problems, &err);
    print_message("%zu tensors in %d files: %.2f s\n", s->n_tensors, s->n_shards, (double)(dr_clock_us() - start) * 1e-6);
    if (st != expected || (sentence && !strstr(err.msg, sentence)))
        fail_msg("status %d: %s", st, err.msg);
    json_t *o = json_loadb(report.data, report.n, 0, NULL);
    assert_non_null(o);
    dr_buf_free(&report);
    return o;
}

static void whole(const char *name, int n_shards, size_t n_tensors)
{
    sparse s;
    dr_problems problems = {0};
    char path[160];
    struct stat sb;

    make(&s, name, n_shards);
    assert_int_equal(s.n_tensors, n_tensors);
    json_t *o = check(&s, &problems, DR_OK, NULL);
    assert_int_equal(json_integer_value(json_object_get(o, "tensors")), n_tensors);
    assert_int_equal(json_array_size(json_object_get(o, "shards")), n_shards);
    assert_true(json_is_false(json_object_get(o, "scales_read"))); /* gigabytes of them */
    json_decref(o);

    /* The first half has come so far, and of the last of them only a part. */
    for (int i = n_shards / 2; i < n_shards; i++) {
        shard_path(path, &s, i);
        assert_int_equal(unlink(path), 0);
    }
    shard_path(path, &s, n_shards / 2 - 1);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(truncate(path, sb.st_size / 2), 0);
    char sentence[64];
    snprintf(sentence, sizeof sentence, "%d of %d shards are missing, 1 shard is truncated; ", n_shards - n_shards / 2, n_shards);
    o = check(&s, &problems, DR_ERR_FORMAT, sentence);
    assert_int_equal(dr_problems_count(&problems), n_shards - n_shards / 2 + 1); /* one line a shard, none a tensor */
    json_decref(o);
    dr_problems_fini(&problems);
    drop(&s);
}

static void full_index__flash(void **state)
{
    (void)state;
    whole("flash", 46, 69187);
}

static void full_index__flash_0731(void **state)
{
    (void)state;
    whole("flash-0731", 48, 72317);
}

static void full_index__pro(void **state)
{
    (void)state;
    whole("pro", 64, 145116);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_index__flash),
        cmocka_unit_test(full_index__flash_0731),
        cmocka_unit_test(full_index__pro),
    };
    return cmocka_run_group_tests_name("full_index", tests, NULL, NULL);
}
