#include "engine/config.h"
#include "engine/rope.h"
#include "tests/engine/tiny_checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The sizes of the published checkpoint, for what depends on them. */
static const char flash[] =
    "{\"architectures\": [\"DeepseekV4ForCausalLM\"], \"model_type\": \"deepseek_v4\", \"vocab_size\": 129280, "
    "\"hidden_size\": 4096,"
    "\"num_hidden_layers\": 4, \"num_attention_heads\": 64, \"num_key_value_heads\": 1, \"head_dim\": 512, "
    "\"qk_rope_head_dim\": 64,"
    "\"q_lora_rank\": 1024, \"o_lora_rank\": 1024, \"o_groups\": 8, \"sliding_window\": 128, \"compress_ratios\": [0, "
    "0, 4, 128, 0],"
    "\"compress_rope_theta\": 160000, \"rope_theta\": 10000, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 16,"
    "\"original_max_position_embeddings\": 65536, \"beta_fast\": 32, \"beta_slow\": 1}, \"max_position_embeddings\": "
    "1048576,"
    "\"index_n_heads\": 64, \"index_head_dim\": 128, \"index_topk\": 512, \"n_routed_experts\": 256, "
    "\"n_shared_experts\": 1,"
    "\"num_experts_per_tok\": 6, \"moe_intermediate_size\": 2048, \"num_hash_layers\": 3, \"scoring_func\": "
    "\"sqrtsoftplus\","
    "\"topk_method\": \"noaux_tc\", \"norm_topk_prob\": true, \"routed_scaling_factor\": 1.5, \"swiglu_limit\": 10.0, "
    "\"hidden_act\":"
    "\"silu\", \"hc_mult\": 4, \"hc_sinkhorn_iters\": 20, \"hc_eps\": 1e-06, \"rms_norm_eps\": 1e-06, "
    "\"num_nextn_predict_layers\": 1,"
    "\"tie_word_embeddings\": false, \"attention_bias\": false, \"bos_token_id\": 0, \"eos_token_id\": 1}";

/* The same in the reference's own names. */
static const char reference[] =
    "{\"vocab_size\": 129280, \"dim\": 4096, \"n_layers\": 4, \"n_heads\": 64, \"head_dim\": 512, \"rope_head_dim\": "
    "64,"
    "\"q_lora_rank\": 1024, \"o_lora_rank\": 1024, \"o_groups\": 8, \"window_size\": 128, \"compress_ratios\": [0, 0, "
    "4, 128, 0],"
    "\"compress_rope_theta\": 160000.0, \"rope_theta\": 10000.0, \"rope_factor\": 16, \"original_seq_len\": 65536, "
    "\"beta_fast\": 32,"
    "\"beta_slow\": 1, \"index_n_heads\": 64, \"index_head_dim\": 128, \"index_topk\": 512, \"n_routed_experts\": 256,"
    "\"n_shared_experts\": 1, \"n_activated_experts\": 6, \"moe_inter_dim\": 2048, \"n_hash_layers\": 3, "
    "\"score_func\":"
    "\"sqrtsoftplus\", \"route_scale\": 1.5, \"swiglu_limit\": 10.0, \"hc_mult\": 4, \"hc_sinkhorn_iters\": 20, "
    "\"n_mtp_layers\": 1}";

static void parse(dr_config *c, const char *json)
{
    dr_error err = {0};
    if (dr_config_parse(c, dr_str_of(json), "config.json", &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static void config__becomes_a_layer_plan(void **state)
{
    (void)state;
    dr_config c;
    parse(&c, flash);
    assert_int_equal(c.n_layers, 4);
    assert_int_equal(c.n_mtp, 1);
    assert_int_equal(c.layers[0].kind, DR_ATTENTION_SWA);
    assert_true(c.layers[0].hash_routed && !c.layers[0].compress_rope);
    assert_int_equal(c.layers[2].kind, DR_ATTENTION_CSA);
    assert_true(c.layers[2].hash_routed && c.layers[2].compress_rope && c.layers[2].ratio == 4);
    assert_int_equal(c.layers[3].kind, DR_ATTENTION_HCA);
    assert_true(!c.layers[3].hash_routed && c.layers[3].ratio == 128);
    assert_int_equal(c.layers[4].kind, DR_ATTENTION_SWA);
    assert_false(c.layers[4].hash_routed);
    dr_config_fini(&c);
}

static void config__reads_both_families_of_names(void **state)
{
    (void)state;
    dr_config a, b;
    parse(&a, flash);
    parse(&b, reference);
    dr_layer_plan *la = a.layers, *lb = b.layers;
    assert_memory_equal(la, lb, 5 * sizeof *la);
    a.layers = b.layers = NULL;
    assert_memory_equal(&a, &b, sizeof a);
    free(la);
    free(lb);
}

static void config__names_of_layers_are_read_too(void **state)
{
    (void)state;
    dr_config c;
    json_t *o = json_loads(flash, 0, NULL);
    (void)json_object_del(o, "compress_ratios");
    (void)json_object_set_new(o, "layer_types",
                              json_pack("[s, s, s, s]", "sliding_attention", "sliding_attention",
                                        "compressed_sparse_attention", "heavily_compressed_attention"));
    char *text = json_dumps(o, 0);
    parse(&c, text);
    assert_int_equal(c.layers[2].ratio, 4);
    assert_int_equal(c.layers[3].ratio, 128);
    assert_int_equal(c.layers[4].kind, DR_ATTENTION_SWA);
    dr_config_fini(&c);
    free(text);
    json_decref(o);
}

/* flash with one key replaced (value NULL: removed) must be refused with a message that holds `says`. */
static void refuse(const char *key, json_t *value, const char *says)
{
    dr_config c;
    dr_error err = {0};
    json_t *o = json_loads(flash, 0, NULL);
    if (value)
        (void)json_object_set_new(o, key, value);
    else
        (void)json_object_del(o, key);
    char *text = json_dumps(o, 0);
    assert_int_equal(dr_config_parse(&c, dr_str_of(text), "DIR/config.json", &err), DR_ERR_FORMAT);
    if (!strstr(err.msg, says) || !strstr(err.msg, "DIR/config.json"))
        fail_msg("\"%s\" is not in: %s", says, err.msg);
    free(text);
    json_decref(o);
}

static void config__refuses_what_it_cannot_run(void **state)
{
    (void)state;
    refuse("hidden_size", NULL, "no \"hidden_size\"");
    refuse("hidden_size", json_string("big"), "\"hidden_size\" is not a whole number");
    refuse("hidden_size", json_integer(-4096), "\"hidden_size\" is -4096");
    refuse("hidden_size", json_integer(4100), "multiple of 32");
    refuse("vocab_size", json_integer(1LL << 40), "\"vocab_size\"");
    refuse("head_dim", json_integer(520), "multiple of 32");
    refuse("qk_rope_head_dim", json_integer(512), "less than head_dim");
    refuse("index_head_dim", json_integer(96), "power of two");
    refuse("num_experts_per_tok", json_integer(257), "\"num_experts_per_tok\"");
    refuse("n_routed_experts", json_integer(4), "at most n_routed_experts");
    refuse("o_groups", json_integer(7), "multiple of 7");
    refuse("compress_ratios", json_pack("[i, i, i]", 0, 0, 4), "has 3 entries");
    refuse("compress_ratios", json_pack("[i, i, i, i, i]", 0, 0, 3, 4, 0),
           "layer 2 is of unknown kind: compress ratio 3");
    refuse("compress_ratios", json_pack("[i, i, i, i, i]", 0, 0, -4, 4, 0), "layer 2 is of unknown kind");
    refuse("compress_ratios", json_pack("[i, i, i, i, i]", 0, 0, 4096, 4, 0), "layer 2 is of unknown kind");
    refuse("compress_ratios", json_pack("[i, i, s, i, i]", 0, 0, "linear_attention", 4, 0),
           "unknown kind \"linear_attention\"");
    refuse("compress_ratios", json_pack("[i, i, i, i, i]", 0, 0, 4, 128, 4), "MTP entry 4");
    refuse("compress_ratios", json_integer(4), "no list");
    refuse("model_type", json_string("deepseek_v41"), "\"model_type\" is \"deepseek_v41\"");
    refuse("scoring_func", json_string("sigmoid"), "\"scoring_func\"");
    refuse("attention_bias", json_true(), "\"attention_bias\" is not false");
    refuse("num_key_value_heads", json_integer(8), "\"num_key_value_heads\"");
    refuse("rope_scaling", json_pack("{s:s}", "type", "linear"), "\"type\" is \"linear\"");
    refuse("rope_scaling", json_integer(3), "\"rope_scaling\" is not an object");
    refuse("num_nextn_predict_layers", json_integer(3), "num_nextn_predict_layers is 3");
    refuse("eos_token_id", json_integer(129280), "eos_token_id 129280");
}

/* Both families in one file: with equal values it is read, with different ones both keys are named. */
static void config__one_setting_has_one_value(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        double same, other;
        const char *first;
    } keys[] = {
        {"dim", 4096, 5000, "\"hidden_size\" is 4096"},
        {"n_layers", 4, 7, "\"num_hidden_layers\" is 4"},
        {"n_hash_layers", 3, 2, "\"num_hash_layers\" is 3"},
        {"rope_head_dim", 64, 32, "\"qk_rope_head_dim\" is 64"},
        {"norm_eps", 1e-6, 1e-5, "\"rms_norm_eps\" is 1e-06"},
        {"n_mtp_layers", 1, 0, "\"num_nextn_predict_layers\" is 1"},
        {"rope_factor", 16, 8, "\"rope_scaling.factor\" is 16"},
        {"original_seq_len", 65536, 4096, "\"rope_scaling.original_max_position_embeddings\" is 65536"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        dr_config c;
        json_t *o = json_loads(flash, 0, NULL);
        (void)json_object_set_new(o, keys[i].key, keys[i].same < 1 ? json_real(keys[i].same) : json_integer((json_int_t)keys[i].same));
        char *text = json_dumps(o, 0);
        parse(&c, text);
        dr_config_fini(&c);
        free(text);
        json_decref(o);
        json_t *const other = keys[i].same < 1 ? json_real(keys[i].other) : json_integer((json_int_t)keys[i].other);
        char says[64];
        (void)snprintf(says, sizeof says, "\"%s\" is %g", keys[i].key, keys[i].other);
        refuse(keys[i].key, json_incref(other), keys[i].first);
        refuse(keys[i].key, other, says);
    }
    refuse("dim", json_string("big"), "\"hidden_size\" and \"dim\" mean the same and differ");
    refuse("rope_parameters", json_pack("{s:{s:i}, s:{s:i}}", "main", "rope_theta", 10000, "compress", "rope_theta", 5),
           "\"compress_rope_theta\" is 160000 and \"rope_parameters.compress.rope_theta\" is 5");
}

static void config__drafts_listen_to_layers_there_are(void **state)
{
    (void)state;
    static const int targets[] = {-1, 4, 1 << 20};
    for (size_t i = 0; i < 4; i++) {
        dr_config c;
        dr_error err = {0};
        json_t *o = json_loads(flash, 0, NULL);
        (void)json_object_set_new(o, "dspark_block_size", json_integer(5));
        (void)json_object_set_new(o, "dspark_markov_rank", json_integer(256));
        (void)json_object_set_new(o, "dspark_target_layer_ids", json_pack("[i, i]", 3, i < 3 ? targets[i] : 0));
        char *text = json_dumps(o, 0);
        const dr_status st = dr_config_parse(&c, dr_str_of(text), "config.json", &err);
        if (st != (i < 3 ? DR_ERR_FORMAT : DR_OK) || (i < 3 && !strstr(err.msg, "entry 1 of \"dspark_target_layer_ids\" is not a layer, expected 0 to 3")))
            fail_msg("%zu: %d %s", i, st, err.msg);
        dr_config_fini(&c);
        free(text);
        json_decref(o);
    }
}

static void config__tells_all_problems_at_once(void **state)
{
    (void)state;
    dr_config c;
    dr_error err = {0};
    static const char bad[] = "{\"hidden_size\": 1, \"model_type\": \"gpt2\", \"compress_ratios\": [7]}";
    assert_int_equal(dr_config_parse(&c, DR_STR(bad), "c", &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "hidden_size"));
    assert_non_null(strstr(err.msg, "gpt2"));
    assert_non_null(strstr(err.msg, "vocab_size"));
    assert_non_null(strstr(err.msg, "ratio 7"));
    assert_int_equal(dr_config_parse(&c, DR_STR("[1"), "c", NULL), DR_ERR_FORMAT);
    assert_int_equal(dr_config_parse(&c, DR_STR("[1]"), "c", &err), DR_ERR_FORMAT);
    assert_int_equal(dr_config_parse(&c, (dr_str){NULL, 0}, "c", &err), DR_ERR_FORMAT);
}

static void near(float found, double expected)
{
    if (fabs(found - expected) > fabs(expected) * 3e-7) /* the printed values were blended in f32 */
        fail_msg("%.9g, expected %.9g", (double)found, expected);
}

/* spec 13.1 */
static void rope__golden_frequencies(void **state)
{
    (void)state;
    static const struct {
        int i;
        double w;
    } compress[] = {{0, 1},
                    {1, 0.687656045},
                    {8, 0.05},
                    {15, 3.63553851e-3},
                    {16, 2.26562493e-3},
                    {17, 1.39680132e-3},
                    {18, 8.49689706e-4},
                    {19, 5.08081983e-4},
                    {20, 2.96977785e-4},
                    {21, 1.68179977e-4},
                    {22, 9.08678412e-5},
                    {23, 4.54442306e-5},
                    {24, 1.95312532e-5},
                    {25, 5.37231244e-6},
                    {31, 5.68052940e-7}};
    dr_config c;
    dr_rope r;
    parse(&c, flash);
    assert_int_equal(dr_rope__init(&r, &c, NULL), DR_OK);
    near(r.main[0], 1);
    near(r.main[1], 0.749894202);
    near(r.main[8], 0.1);
    near(r.main[16], 0.01);
    near(r.main[31], 1.33352150e-4);
    for (size_t k = 0; k < sizeof compress / sizeof compress[0]; k++)
        near(r.compress[compress[k].i], compress[k].w);
    dr_rope__fini(&r);
    dr_config_fini(&c);
}

static void rope__angles_are_rounded_once(void **state)
{
    (void)state;
    dr_config c;
    dr_rope r;
    float a[3][32][2], b[32][2];
    parse(&c, flash);
    assert_int_equal(dr_rope__init(&r, &c, NULL), DR_OK);
    dr_rope__angles(&a[0][0][0], &r, true, 1000000, 128, 3);
    for (int i = 0; i < 32; i++) {
        const float angle = 1000128.0f * r.compress[i];
        assert_true(a[1][i][0] == (float)cos((double)angle));
        assert_true(a[1][i][1] == (float)sin((double)angle));
    }
    dr_rope__angles(&b[0][0], &r, true, 1000256, 1, 1);
    assert_memory_equal(a[2], b, sizeof b);
    dr_rope__angles(&b[0][0], &r, false, 0, 1, 1);
    assert_true(b[5][0] == 1 && b[5][1] == 0);
    dr_rope__fini(&r);
    dr_config_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config__becomes_a_layer_plan),         cmocka_unit_test(config__reads_both_families_of_names),
        cmocka_unit_test(config__names_of_layers_are_read_too), cmocka_unit_test(config__refuses_what_it_cannot_run),
        cmocka_unit_test(config__one_setting_has_one_value),    cmocka_unit_test(config__drafts_listen_to_layers_there_are),
        cmocka_unit_test(config__tells_all_problems_at_once),   cmocka_unit_test(rope__golden_frequencies),
        cmocka_unit_test(rope__angles_are_rounded_once),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
