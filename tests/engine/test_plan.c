#include "engine/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <cmocka.h>

/* The configurations of the published checkpoints, from the key tables of spec 1.1 and 12. */
static json_t *published(const char *name)
{
    char path[128];
    json_error_t e;
    snprintf(path, sizeof path, "tests/engine/configs/%s.json", name);
    json_t *o = json_load_file(path, 0, &e);
    if (!o)
        fail_msg("%s: %s", path, e.text);
    return o;
}

static void parse(dr_config *c, json_t *o)
{
    dr_error err = {0};
    char *text = json_dumps(o, 0);
    if (dr_config_parse(c, dr_str_of(text), "config.json", &err) != DR_OK)
        fail_msg("%s", err.msg);
    free(text);
    json_decref(o);
}

static void make(dr_plan *p, dr_config *c, json_t *o)
{
    dr_error err = {0};
    parse(c, o);
    if (dr_plan_new(p, c, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static void drop(dr_plan *p, dr_config *c)
{
    dr_plan_fini(p);
    dr_config_fini(c);
}

static void totals(json_t *o, uint64_t n_expected, double gib_expected)
{
    dr_config c;
    dr_plan p;
    uint64_t n, bytes;

    make(&p, &c, o);
    dr_plan_total(&p, &c, &n, &bytes);
    assert_int_equal(n, n_expected);
    const double gib = (double)(bytes + dr_plan_header_bytes(&p, &c)) / (1 << 30);
    if (gib_expected > 0 && !(gib > gib_expected - 0.005 && gib < gib_expected + 0.005))
        fail_msg("%.4f GiB, expected %.2f", gib, gib_expected);
    drop(&p, &c);
}

/* spec 2.1: what was published. The bytes are those of the files, headers included. */
static void plan__counts_and_bytes_of_the_published_checkpoints(void **state)
{
    (void)state;
    totals(published("flash"), 69187, 148.66);
    totals(published("pro"), 145116, 805.33);
    /* spec 12 gives no count: 69,187 less the MTP block's 1,575, plus three blocks of 1,565 and ten tensors of the stages. */
    totals(published("flash-0731"), 69187 - 1575 + 3 * 1565 + 10, 0);
}

/* spec 13.4 */
static void plan__tensors_by_kind_of_layer(void **state)
{
    static const struct {
        const char *name;
        uint64_t plain;
    } cases[] = {{"flash", 1564}, {"pro", 2332}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        dr_config c;
        dr_plan p;
        uint64_t at[64] = {0};
        make(&p, &c, published(cases[i].name));
        for (size_t k = 0; k < p.n; k++) {
            dr_plan_tensor t[2];
            if (p.weights[k].layer >= 0)
                at[p.weights[k].layer] += (uint64_t)dr_plan_tensors(t, &p.weights[k], dr_plan_storage(&c, &p.weights[k]));
        }
        for (int32_t l = 0; l < c.n_layers + c.n_mtp; l++) {
            const dr_attention_kind kind = c.layers[l].kind;
            const uint64_t more = kind == DR_ATTENTION_CSA ? 11 : kind == DR_ATTENTION_HCA ? 4 : 0;
            assert_int_equal(at[l], cases[i].plain + (l == c.n_layers ? 11 : 1 + more));
        }
        drop(&p, &c);
    }
}

static const dr_plan_weight *find(const dr_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->weights[i].name, name) == 0)
            return &p->weights[i];
    fail_msg("no %s", name);
    return NULL;
}

static void expect(const dr_plan *p, dr_storage as, const char *weight, int which, const char *name, dr_dtype dtype, int64_t n,
                   int64_t k, uint64_t bytes)
{
    dr_plan_tensor t[2];
    assert_true(dr_plan_tensors(t, find(p, weight), as) > which);
    assert_string_equal(t[which].name, name);
    assert_int_equal(t[which].dtype, dtype);
    assert_int_equal(t[which].n_dims, k < 0 ? 1 : 2);
    assert_int_equal(t[which].shape[0], n);
    if (k >= 0)
        assert_int_equal(t[which].shape[1], k);
    assert_int_equal(t[which].n_bytes, bytes);
}

/* Shapes of spec 2.3, one of each form. */
static void plan__shapes_as_stored(void **state)
{
    dr_config c;
    dr_plan p;

    (void)state;
    make(&p, &c, published("pro"));
    expect(&p, DR_STORED_FP8, "layers.0.attn.wq_b", 0, "layers.0.attn.wq_b.weight", DR_F8_E4M3, 65536, 1536, 65536 * 1536);
    expect(&p, DR_STORED_FP8, "layers.0.attn.wq_b", 1, "layers.0.attn.wq_b.scale", DR_F8_E8M0, 512, 12, 512 * 12);
    expect(&p, DR_STORED_FP4, "layers.7.ffn.experts.383.w2", 0, "layers.7.ffn.experts.383.w2.weight", DR_FP4, 7168, 1536,
           7168 * 1536);
    expect(&p, DR_STORED_FP4, "layers.7.ffn.experts.383.w2", 1, "layers.7.ffn.experts.383.w2.scale", DR_F8_E8M0, 7168, 96,
           7168 * 96);
    expect(&p, DR_STORED_FP8, "layers.7.ffn.experts.0.w1", 1, "layers.7.ffn.experts.0.w1.scale", DR_F8_E8M0, 24, 56, 24 * 56);
    expect(&p, DR_STORED_BF16, "layers.7.ffn.experts.0.w1", 0, "layers.7.ffn.experts.0.w1.weight", DR_BF16, 3072, 7168,
           2 * 3072 * 7168);
    expect(&p, DR_STORED_BF16, "layers.0.attn.compressor.ape", 0, "layers.0.attn.compressor.ape", DR_F32, 128, 512,
           4 * 128 * 512);
    expect(&p, DR_STORED_BF16, "layers.2.attn.compressor.ape", 0, "layers.2.attn.compressor.ape", DR_F32, 4, 1024,
           4 * 4 * 1024);
    expect(&p, DR_STORED_BF16, "layers.2.ffn.gate.tid2eid", 0, "layers.2.ffn.gate.tid2eid", DR_I64, 129280, 6, 8 * 129280 * 6);
    expect(&p, DR_STORED_BF16, "mtp.0.hc_head_fn", 0, "mtp.0.hc_head_fn", DR_F32, 4, 28672, 4 * 4 * 28672);
    expect(&p, DR_STORED_BF16, "hc_head_scale", 0, "hc_head_scale", DR_F32, 1, -1, 4);
    drop(&p, &c);
    make(&p, &c, published("flash-0731"));
    assert_int_equal(c.n_drafts, 3);
    expect(&p, DR_STORED_FP8, "mtp.0.main_proj", 0, "mtp.0.main_proj.weight", DR_F8_E4M3, 4096, 12288, 4096 * 12288);
    expect(&p, DR_STORED_BF16, "mtp.2.confidence_head.proj.weight", 0, "mtp.2.confidence_head.proj.weight", DR_BF16, 1, 4352,
           2 * 4352);
    expect(&p, DR_STORED_BF16, "mtp.2.markov_head.markov_w2.weight", 0, "mtp.2.markov_head.markov_w2.weight", DR_BF16, 129280,
           256, 2 * 129280 * 256);
    drop(&p, &c);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const dr_plan_weight *)a)->name, ((const dr_plan_weight *)b)->name);
}

static void plan__no_name_twice(void **state)
{
    static const char *const names[] = {"flash", "pro", "flash-0731"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        dr_config c;
        dr_plan p;
        make(&p, &c, published(names[i]));
        qsort(p.weights, p.n, sizeof *p.weights, by_name);
        for (size_t k = 1; k < p.n; k++)
            assert_string_not_equal(p.weights[k - 1].name, p.weights[k].name);
        drop(&p, &c);
    }
}

/* Base checkpoints hold the experts as FP8; the first upload of Flash lacks the key and holds FP4 (spec 1.1, 2.2). */
static void plan__follows_what_the_config_says_of_storage(void **state)
{
    json_t *o = published("flash");
    dr_config c;
    dr_plan p;
    uint64_t n, fp4, fp8;

    (void)state;
    json_object_del(o, "expert_dtype");
    make(&p, &c, o);
    assert_false(c.experts_told);
    dr_plan_total(&p, &c, &n, &fp4);
    assert_int_equal(n, 69187);
    drop(&p, &c);

    o = published("flash");
    (void)json_object_set_new(o, "expert_dtype", json_string("fp8"));
    make(&p, &c, o);
    dr_plan_total(&p, &c, &n, &fp8);
    assert_int_equal(n, 69187);
    assert_true(fp8 > fp4 + (100ULL << 30));
    drop(&p, &c);

    o = published("flash");
    json_object_del(o, "expert_dtype");
    json_object_del(o, "quantization_config");
    make(&p, &c, o);
    assert_int_equal(c.linears_as, DR_STORED_BF16);
    dr_plan_total(&p, &c, &n, &fp8);
    assert_true(n < 69187 / 2 + 2000); /* no scales */
    drop(&p, &c);
}

static void plan__refuses_absurd_sizes(void **state)
{
    json_t *o = published("flash");
    dr_config c;
    dr_plan p;
    dr_error err = {0};

    (void)state;
    (void)json_object_set_new(o, "n_routed_experts", json_integer(65536));
    parse(&c, o);
    assert_int_equal(dr_plan_new(&p, &c, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "44 blocks of 65536 experts"));
    assert_null(p.weights);
    drop(&p, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan__counts_and_bytes_of_the_published_checkpoints),
        cmocka_unit_test(plan__tensors_by_kind_of_layer),
        cmocka_unit_test(plan__shapes_as_stored),
        cmocka_unit_test(plan__no_name_twice),
        cmocka_unit_test(plan__follows_what_the_config_says_of_storage),
        cmocka_unit_test(plan__refuses_absurd_sizes),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
