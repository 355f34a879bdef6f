#include "engine/check.h"
#include "engine/model.h"
#include "tests/engine/tiny_checkpoint.h"
#include "tests/support/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static dr_pool *pool;
static dr_queue *queue;
static dr_ops ops;

static int set_up(void **state)
{
    (void)state;
    dr_ops_init_ref(&ops);
    return dr_pool_new(&pool, 1, NULL) != DR_OK || dr_queue_new(&queue, pool, NULL) != DR_OK;
}

static int tear_down(void **state)
{
    (void)state;
    dr_queue_free(queue);
    dr_pool_free(pool);
    return 0;
}

static bool told(const dr_problems *p, const char *says)
{
    for (size_t i = 0; i < p->n; i++)
        if (strstr(p->items[i].text, says))
            return true;
    return false;
}

/* Opening and checking both refuse it, and what they tell holds `says` (and `also`, when given). */
static void refuse_shards(tiny *t, int n_shards, const char *says, const char *also)
{
    char folder[64];
    dr_model *m;
    dr_buf report = {0};
    dr_problems problems = {0};
    dr_error err = {0};

    tiny_write(t, folder, n_shards);
    dr_status st = dr_model_open(&m, folder, &ops, queue, &err);
    if (st != DR_ERR_FORMAT || !strstr(err.msg, says) || (also && !strstr(err.msg, also)) || !strstr(err.msg, folder))
        fail_msg("open: status %d, expected \"%s\" and \"%s\" in: %s", st, says, also ? also : "", err.msg);
    assert_null(m);
    st = dr_model_check(folder, false, &report, &problems, &err);
    if (st != DR_ERR_FORMAT || !told(&problems, says) || (also && !told(&problems, also)))
        fail_msg("check: status %d, expected \"%s\" and \"%s\": %s", st, says, also ? also : "", err.msg);
    json_t *o = json_loadb(report.data, report.n, 0, NULL);
    assert_true(json_is_false(json_object_get(o, "good")));
    assert_int_equal(json_array_size(json_object_get(o, "problems")), problems.n);
    json_decref(o);
    dr_problems_fini(&problems);
    dr_buf_free(&report);
    tiny_remove_folder(folder);
    tiny_free(t);
}

static void refuse(tiny *t, const char *says, const char *also)
{
    refuse_shards(t, 1, says, also);
}

static tiny *fresh(void)
{
    const tiny_spec s = tiny_all_kinds();
    return tiny_new(&s);
}

static void model__opens_every_storage(void **state)
{
    (void)state;
    for (int as = TINY_FP4; as <= TINY_BF16; as++) {
        tiny_spec s = tiny_all_kinds();
        s.experts_as = (tiny_storage)as;
        s.linears_as = as == TINY_BF16 ? TINY_BF16 : TINY_FP8;
        s.shared = as == TINY_FP8 ? 2 : 1;
        tiny *t = tiny_new(&s);
        char folder[64];
        dr_model *m;
        dr_error err = {0};
        int64_t total, active;
        tiny_write(t, folder, as == TINY_FP8 ? 3 : 1);
        if (dr_model_open(&m, folder, &ops, queue, &err) != DR_OK)
            fail_msg("%s", err.msg);
        dr_model_parameters(m, &total, &active);
        const int64_t routed = 4 * 4 * 3 * 64 * 32; /* layers, experts, matrices */
        assert_int_equal(total - active, routed / 2 + 80 * 64);
        assert_true(dr_model_bytes(m) > 0);
        assert_int_equal(dr_model_config(m)->n_layers, 4);
        dr_model_close(m);
        tiny_remove_folder(folder);
        tiny_free(t);
    }
}

static void model__check_reports_one_object(void **state)
{
    (void)state;
    tiny *t = fresh();
    char folder[64];
    dr_buf report = {0};
    dr_problems problems = {0};
    dr_error err = {0};
    tiny_write(t, folder, 1);
    if (dr_model_check(folder, false, &report, &problems, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(dr_problems_count(&problems), 0);
    dr_problems_fini(&problems);
    json_t *o = json_loadb(report.data, report.n, 0, NULL);
    assert_non_null(o);
    assert_int_equal(json_integer_value(json_object_get(o, "tensors")), t->n);
    assert_int_equal(json_array_size(json_object_get(o, "plan")), 5);
    json_decref(o);
    dr_buf_free(&report);
    tiny_remove_folder(folder);
    tiny_free(t);
}

static void model__tells_every_problem_of_binding(void **state)
{
    (void)state;
    tiny *t = fresh();
    tiny_remove(t, "layers.1.attn.wkv.weight");
    tiny_find(t, "layers.2.attn.compressor.ape")->shape[0] = 8;
    tiny_find(t, "layers.2.attn.compressor.ape")->shape[1] = 192;
    (void)tiny_add(t, "layers.9.attn.wkv.weight", "BF16", 2, (int64_t[]){2, 2});
    refuse(t, "layers.1.attn.wkv.weight: missing, expected F8_E4M3 or BF16 96x64",
           "model.safetensors: layers.2.attn.compressor.ape: F32 8x192, expected F32 or BF16 16x96");
    t = fresh();
    (void)tiny_add(t, "layers.9.attn.wkv.weight", "BF16", 2, (int64_t[]){2, 2});
    refuse(t, "model.safetensors: layers.9.attn.wkv.weight: not a tensor of this configuration", NULL);
}

static void model__refuses_wrong_dtypes_and_scales(void **state)
{
    (void)state;
    tiny *t = fresh();
    tiny_find(t, "layers.0.ffn.experts.1.w1.weight")->dtype = "F8_E4M3";
    refuse(t,
           "model.safetensors: layers.0.ffn.experts.1.w1.weight: F8_E4M3 32x32, expected F8_E4M3 or BF16 32x64 or I8 "
           "32x32",
           NULL);
    t = fresh();
    tiny_remove(t, "layers.0.attn.wq_a.scale");
    refuse(t, "layers.0.attn.wq_a.scale: missing, expected F8_E8M0 1x1", NULL);
    t = fresh();
    tiny_find(t, "layers.0.ffn.experts.3.w2.scale")->data[5] = 255;
    refuse(t, "model.safetensors: layers.0.ffn.experts.3.w2.weight: ", "row 5, column 0");
}

static void model__refuses_nan_vectors_and_bad_ids(void **state)
{
    (void)state;
    tiny *t = fresh();
    const float nan = NAN;
    memcpy(tiny_find(t, "layers.1.hc_ffn_scale")->data + 4, &nan, 4);
    refuse(t, "model.safetensors: layers.1.hc_ffn_scale: value 1 is NaN", NULL);
    t = fresh();
    tiny_find(t, "layers.0.ffn.gate.tid2eid")->data[8 * 7] = 4;
    refuse(t, "model.safetensors: layers.0.ffn.gate.tid2eid: token 3: expert 4, expected 0 to 3", NULL);
    t = fresh();
    memset(tiny_find(t, "layers.0.ffn.gate.tid2eid")->data + 8 * 6, 0xff, 8);
    refuse(t, "token 3: expert -1", NULL);
    t = fresh();
    tiny_tensor *ids = tiny_find(t, "layers.0.ffn.gate.tid2eid");
    memcpy(ids->data + 8 * 10, ids->data + 8 * 11, 8);
    refuse(t, "token 5: expert", "twice");
}

static void model__leaves_alone_what_uploads_carry_besides(void **state)
{
    (void)state;
    tiny *t = fresh();
    char folder[64];
    dr_model *m;
    dr_error err = {0};
    (void)tiny_add(t, "mtp.0.emb.tok_emb.weight", "BF16", 2, (int64_t[]){80, 64});
    (void)tiny_add(t, "mtp.0.head.weight", "BF16", 2, (int64_t[]){80, 64});
    (void)tiny_add(t, "layers.0.attn.freqs_cis", "F32", 1, (int64_t[]){8});
    tiny_write(t, folder, 1);
    if (dr_model_open(&m, folder, &ops, queue, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_model_close(m);
    tiny_remove_folder(folder);
    tiny_free(t);
}

/* Every tensor in turn. */
static void model__misses_any_tensor(void **state)
{
    (void)state;
    tiny *all = fresh();
    for (size_t i = 0; i < all->n; i++) {
        tiny *t = fresh();
        tiny_remove(t, all->tensors[i].name);
        refuse(t, all->tensors[i].name, "missing");
    }
    tiny_free(all);
}

/* The DSpark revision: three draft blocks in place of the MTP block (spec 12). They are checked by name and shape, and not
 * run: what is wrong with them keeps nobody from running the rest. */
static tiny *with_drafts(void)
{
    tiny_spec s = tiny_all_kinds();
    tiny *plain = tiny_new(&s), *t;
    char from[32], name[96];

    t = tiny_new(&s);
    (void)json_object_set_new(t->config, "dspark_block_size", json_integer(5));
    (void)json_object_set_new(t->config, "dspark_markov_rank", json_integer(8));
    (void)json_object_set_new(t->config, "dspark_target_layer_ids", json_pack("[i, i]", 2, 3));
    for (int i = 0; i < 2; i++)
        (void)json_array_append_new(json_object_get(t->config, "compress_ratios"), json_integer(0));
    static const char *const gone[] = {"e_proj.weight", "e_proj.scale", "h_proj.weight", "h_proj.scale", "enorm.weight",
                                       "hnorm.weight", "norm.weight", "hc_head_fn", "hc_head_base", "hc_head_scale"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        snprintf(name, sizeof name, "mtp.0.%s", gone[i]);
        tiny_remove(t, name);
    }
    for (size_t i = 0; i < plain->n; i++) { /* two more blocks like the first */
        const tiny_tensor *x = &plain->tensors[i];
        snprintf(from, sizeof from, "mtp.0.");
        if (strncmp(x->name, from, strlen(from)) != 0)
            continue;
        bool of_mtp = false;
        for (size_t k = 0; k < sizeof gone / sizeof gone[0]; k++)
            of_mtp = of_mtp || strcmp(x->name + strlen(from), gone[k]) == 0;
        for (int stage = 1; stage < 3 && !of_mtp; stage++) {
            snprintf(name, sizeof name, "mtp.%d.%s", stage, x->name + strlen(from));
            (void)tiny_add(t, name, x->dtype, x->n_dims, x->shape);
        }
    }
    (void)tiny_add(t, "mtp.0.main_proj.weight", "F8_E4M3", 2, (int64_t[]){64, 128});
    (void)tiny_add(t, "mtp.0.main_proj.scale", "F8_E8M0", 2, (int64_t[]){1, 1});
    (void)tiny_add(t, "mtp.0.main_norm.weight", "BF16", 1, (int64_t[]){64});
    (void)tiny_add(t, "mtp.2.norm.weight", "BF16", 1, (int64_t[]){64});
    (void)tiny_add(t, "mtp.2.hc_head_fn", "F32", 2, (int64_t[]){s.streams, (int64_t)s.streams * 64});
    (void)tiny_add(t, "mtp.2.hc_head_base", "F32", 1, (int64_t[]){s.streams});
    (void)tiny_add(t, "mtp.2.hc_head_scale", "F32", 1, (int64_t[]){1});
    (void)tiny_add(t, "mtp.2.markov_head.markov_w1.weight", "BF16", 2, (int64_t[]){80, 8});
    (void)tiny_add(t, "mtp.2.markov_head.markov_w2.weight", "BF16", 2, (int64_t[]){80, 8});
    (void)tiny_add(t, "mtp.2.confidence_head.proj.weight", "BF16", 2, (int64_t[]){1, 72});
    tiny_free(plain);
    return t;
}

static void model__knows_the_draft_stages(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        tiny *t = with_drafts();
        char folder[64];
        dr_model *m;
        dr_error err = {0};
        dr_buf report = {0};
        dr_problems problems = {0};
        if (bad) {
            tiny_remove(t, "mtp.1.attn.wkv.weight");
            tiny_find(t, "mtp.2.markov_head.markov_w1.weight")->shape[0] = 8;
            tiny_find(t, "mtp.2.markov_head.markov_w1.weight")->shape[1] = 80;
            (void)tiny_add(t, "mtp.0.e_proj.weight", "BF16", 2, (int64_t[]){64, 64});
        }
        tiny_write(t, folder, 1);
        if (dr_model_open(&m, folder, &ops, queue, &err) != DR_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(dr_model_config(m)->n_mtp, 0);
        assert_int_equal(dr_model_config(m)->n_drafts, 3);
        dr_model_close(m);
        const dr_status st = dr_model_check(folder, false, &report, &problems, &err);
        if (st != (bad ? DR_ERR_FORMAT : DR_OK))
            fail_msg("%s", err.msg);
        if (bad) {
            assert_int_equal(dr_problems_count(&problems), 3);
            assert_true(told(&problems, "mtp.1.attn.wkv.weight: missing"));
            assert_true(told(&problems, "mtp.2.markov_head.markov_w1.weight: BF16 8x80, expected BF16 80x8"));
            assert_true(told(&problems, "mtp.0.e_proj.weight: not a tensor of this configuration"));
        } else
            assert_non_null(strstr(report.data, "\"drafts\":{\"stages\":3,\"used\":false}"));
        dr_problems_fini(&problems);
        dr_buf_free(&report);
        tiny_remove_folder(folder);
        tiny_free(t);
    }
}

/* A checkpoint whose MTP block was stripped is told once, with what to do. */
static void model__tells_a_stripped_mtp_block_once(void **state)
{
    (void)state;
    tiny *t = fresh();
    for (size_t i = t->n; i-- > 0;)
        if (strncmp(t->tensors[i].name, "mtp.", 4) == 0) {
            char name[96];
            snprintf(name, sizeof name, "%s", t->tensors[i].name);
            tiny_remove(t, name);
        }
    refuse(t, "mtp.*: no tensor of the MTP block; \"num_nextn_predict_layers\": 0", NULL);
}

/* Transformers' own names: the message names the conversion. */
static void model__names_the_conversion(void **state)
{
    (void)state;
    tiny *t = fresh();
    char folder[64];
    dr_model *m;
    dr_error err = {0};
    snprintf(tiny_find(t, "embed.weight")->name, 96, "model.embed_tokens.weight");
    tiny_write(t, folder, 1);
    assert_int_equal(dr_model_open(&m, folder, &ops, queue, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "deepread model import"));
    assert_null(m);
    tiny_remove_folder(folder);
    tiny_free(t);
}

/* ---- incomplete downloads ---- */

static void remove_file(const char *folder, const char *file)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(unlink(path), 0);
}

static json_t *check_bad(const char *folder, dr_problems *problems, dr_status expected, const char *sentence)
{
    dr_buf report = {0};
    dr_error err = {0};
    const dr_status st = dr_model_check(folder, false, &report, problems, &err);
    if (st != expected || !strstr(err.msg, sentence))
        fail_msg("status %d: %s", st, err.msg);
    json_t *o = json_loadb(report.data, report.n, 0, NULL);
    assert_non_null(o);
    dr_buf_free(&report);
    return o;
}

static void model__says_which_shards_are_still_to_come(void **state)
{
    (void)state;
    tiny *t = fresh();
    char folder[64], path[160];
    dr_problems problems = {0};
    int64_t planned = 0;
    tiny_write(t, folder, 5);
    remove_file(folder, "model-00002-of-00005.safetensors");
    remove_file(folder, "model-00004-of-00005.safetensors");
    char says[96]; /* the sizes of this checkpoint are told in bytes */
    for (size_t i = 1; i < t->n; i += i % 5 == 1 ? 2 : 3) /* places 1 and 3 of every five */
        planned += (int64_t)t->tensors[i].n_bytes;
    snprintf(says, sizeof says, "2 of 5 shards are missing; %lld bytes are still to come", (long long)planned);
    json_t *o = check_bad(folder, &problems, DR_ERR_NOT_FOUND, says);
    assert_int_equal(dr_problems_count(&problems), 2);
    assert_true(told(&problems, "model-00004-of-00005.safetensors: missing; the index puts"));
    assert_int_equal(json_integer_value(json_object_get(o, "missing_bytes")), planned);
    const json_t *shard = json_array_get(json_object_get(o, "shards"), 1);
    assert_string_equal(json_string_value(json_object_get(shard, "state")), "missing");
    json_decref(o);
    dr_problems_fini(&problems);

    /* One more is cut, one has a tensor too few: each told by its file. */
    snprintf(path, sizeof path, "%s/model-00001-of-00005.safetensors", folder);
    struct stat sb;
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(truncate(path, sb.st_size - 1000), 0);
    o = check_bad(folder, &problems, DR_ERR_FORMAT, "2 of 5 shards are missing, 1 shard is truncated; ");
    assert_int_equal(dr_problems_count(&problems), 3);
    assert_true(told(&problems, "model-00001-of-00005.safetensors: truncated"));
    shard = json_array_get(json_object_get(o, "shards"), 0);
    assert_int_equal(json_integer_value(json_object_get(shard, "expected_bytes")), sb.st_size);
    assert_int_equal(json_integer_value(json_object_get(o, "missing_bytes")), planned + 1000);
    json_decref(o);
    dr_problems_fini(&problems);
    tiny_remove_folder(folder);
    tiny_free(t);
}

static void model__tells_problems_by_shard(void **state)
{
    (void)state;
    tiny *t = fresh();
    tiny_tensor *x = tiny_find(t, "layers.1.attn.q_norm.weight");
    char says[128];
    x->shape[0] = 16;
    x->shape[1] = (int64_t)x->n_bytes / 2 / 16;
    x->n_dims = 2;
    snprintf(says, sizeof says, "model-%05d-of-00004.safetensors: layers.1.attn.q_norm.weight: BF16 16x",
             (int)((size_t)(x - t->tensors) % 4) + 1);
    refuse_shards(t, 4, says, NULL);
}

/* Without an index, the one file that cannot be read is one problem, not one a tensor behind it. */
static void model__tells_an_unreadable_file_once(void **state)
{
    (void)state;
    static const off_t lengths[] = {7, 100};
    for (size_t i = 0; i < 2; i++) {
        tiny *t = fresh();
        char folder[64], path[160];
        dr_problems problems = {0};
        tiny_write(t, folder, 1);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        assert_int_equal(truncate(path, lengths[i]), 0);
        json_t *o = check_bad(folder, &problems, DR_ERR_FORMAT, folder);
        if (dr_problems_count(&problems) != 1 || !told(&problems, "model.safetensors"))
            fail_msg("%zu problems, the first: %s", dr_problems_count(&problems), problems.n ? problems.items[0].text : "");
        json_decref(o);
        dr_problems_fini(&problems);
        tiny_remove_folder(folder);
        tiny_free(t);
    }
}

static size_t enormous(int64_t n, int64_t k)
{
    (void)n;
    (void)k;
    return (size_t)1 << 40;
}

static void model__says_how_much_memory_is_missing(void **state)
{
    (void)state;
    tiny *t = fresh();
    char folder[64];
    dr_model *m;
    dr_error err = {0};
    dr_ops large = ops;
    large.pack_bytes = enormous;
    tiny_write(t, folder, 1);
    assert_int_equal(dr_model_open(&m, folder, &large, queue, &err), DR_ERR_LIMIT);
    assert_null(m);
    assert_non_null(strstr(err.msg, "GiB of memory"));
    assert_non_null(strstr(err.msg, "GiB are free"));
    assert_non_null(strstr(err.msg, "deepread model cost"));
    tiny_remove_folder(folder);
    tiny_free(t);
}

static void model__survives_failing_allocations(void **state)
{
    (void)state;
    tiny *t = fresh();
    char folder[64];
    dr_model *m;
    dr_error err;
    bool failed = true;
    tiny_write(t, folder, 2);
    for (long n = 0; failed; n += 1 + n / 16) {
        err = (dr_error){0};
        alloc_fail_at(n);
        const dr_status st = dr_model_open(&m, folder, &ops, queue, &err);
        failed = alloc_fail_off();
        if (failed && st == DR_OK) /* what failed could be done without */
            dr_model_close(m);
        else if (failed)
            assert_null(m);
        else
            assert_int_equal(st, DR_OK);
    }
    dr_model_close(m);
    tiny_remove_folder(folder);
    tiny_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model__opens_every_storage),
        cmocka_unit_test(model__check_reports_one_object),
        cmocka_unit_test(model__tells_every_problem_of_binding),
        cmocka_unit_test(model__refuses_wrong_dtypes_and_scales),
        cmocka_unit_test(model__refuses_nan_vectors_and_bad_ids),
        cmocka_unit_test(model__leaves_alone_what_uploads_carry_besides),
        cmocka_unit_test(model__knows_the_draft_stages),
        cmocka_unit_test(model__tells_a_stripped_mtp_block_once),
        cmocka_unit_test(model__names_the_conversion),
        cmocka_unit_test(model__says_which_shards_are_still_to_come),
        cmocka_unit_test(model__tells_an_unreadable_file_once), cmocka_unit_test(model__tells_problems_by_shard),
        cmocka_unit_test(model__says_how_much_memory_is_missing),
        cmocka_unit_test(model__misses_any_tensor),
        cmocka_unit_test(model__survives_failing_allocations),
    };
    return cmocka_run_group_tests_name("model", tests, set_up, tear_down);
}
