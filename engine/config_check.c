#include "engine/config_check.h"

#include "engine/plan.h"

#include <string.h>

static dr_status want_string(const json_t *root, const char *key, const char *want, const char *name, dr_error *err)
{
    const json_t *v = json_object_get(root, key);
    if (!v || json_is_null(v) || (json_is_string(v) && strcmp(json_string_value(v), want) == 0))
        return DR_OK;
    return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"%s\" is %.60s%s%s, expected \"%s\"", name, key,
                        json_is_string(v) ? "\"" : "not a string", json_is_string(v) ? json_string_value(v) : "",
                        json_is_string(v) ? "\"" : "", want);
}

static dr_status want_bool(const json_t *root, const char *key, bool want, const char *name, dr_error *err)
{
    const json_t *v = json_object_get(root, key);
    if (!v || json_is_null(v) || (json_is_boolean(v) && json_is_true(v) == want))
        return DR_OK;
    return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"%s\" is not %s", name, key, want ? "true" : "false");
}

/* What the tensors of another scheme mean could not be told from their names and shapes. */
static dr_status check_quantisation(const json_t *quant, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    const json_t *block = json_object_get(quant, "weight_block_size");

    if (want_string(quant, "quant_method", "fp8", name, err) != DR_OK ||
        want_string(quant, "fmt", "e4m3", name, err) != DR_OK ||
        want_string(quant, "scale_fmt", "ue8m0", name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    if (block && (json_array_size(block) != 2 || json_integer_value(json_array_get(block, 0)) != DR_SCALE_TILE ||
                  json_integer_value(json_array_get(block, 1)) != DR_SCALE_TILE))
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: \"weight_block_size\" is not [%d, %d]", name, DR_SCALE_TILE,
                          DR_SCALE_TILE);
    return st;
}

dr_status dr_config__check_kind(const json_t *root, const char *name, dr_error *err)
{
    static const struct {
        const char *key, *want;
    } strings[] = {
        {"model_type", "deepseek_v4"}, {"scoring_func", "sqrtsoftplus"}, {"score_func", "sqrtsoftplus"},
        {"topk_method", "noaux_tc"},   {"hidden_act", "silu"},
    };
    static const struct {
        const char *key;
        bool want;
    } bools[] = {
        {"norm_topk_prob", true}, {"attention_bias", false}, {"mlp_bias", false}, {"tie_word_embeddings", false}};
    const json_t *quant = json_object_get(root, "quantization_config");
    const char *model = json_string_value(json_object_get(root, "model_type"));
    dr_status st = DR_OK;

    if (model && strcmp(model, "deepseek_v41") == 0) {
        (void)dr_fail(err, DR_ERR_FORMAT,
                      "%s: \"model_type\" is \"deepseek_v41\": DeepSeek-V4.1 is another architecture, which this program "
                      "does not run; it runs V4 (Flash, Pro, 0731)",
                      name);
        return DR_ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        if (want_string(root, strings[i].key, strings[i].want, name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    for (size_t i = 0; i < sizeof bools / sizeof bools[0]; i++)
        if (want_bool(root, bools[i].key, bools[i].want, name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    const json_t *kv_heads = json_object_get(root, "num_key_value_heads");
    if (kv_heads && (!json_is_integer(kv_heads) || json_integer_value(kv_heads) != 1))
        st = dr_fail_more(err, DR_ERR_FORMAT,
                          "%s: \"num_key_value_heads\" is not 1: keys and values are one vector shared by all heads",
                          name);
    const json_t *scaling = json_object_get(root, "rope_scaling");
    if (json_is_object(scaling) && want_string(scaling, "type", "yarn", name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    if (json_is_object(quant) && check_quantisation(quant, name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    return st;
}

static dr_status multiple(int64_t v, const char *what, int64_t of, const char *name, dr_error *err)
{
    if (v % of == 0)
        return DR_OK;
    return dr_fail_more(err, DR_ERR_FORMAT, "%s: %s is %lld, expected a multiple of %lld", name, what, (long long)v,
                        (long long)of);
}

dr_status dr_config__check_sizes(const dr_config *c, const char *name, dr_error *err)
{
    const int64_t plain_dim = (int64_t)c->head_dim - c->rope_dim;
    const struct {
        int64_t v;
        const char *what;
        int64_t of;
    } multiples[] = {
        {c->dim, "hidden_size", 32}, /* every inner dimension of a product is walked in steps of 32 */
        {c->head_dim, "head_dim", 32},
        {c->q_rank, "q_lora_rank", 32},
        {(int64_t)c->o_groups * c->o_rank, "o_groups * o_lora_rank", 32},
        {c->expert_dim, "moe_intermediate_size", 32},
        {c->rope_dim, "qk_rope_head_dim", 2},
        {plain_dim, "head_dim - qk_rope_head_dim", 64}, /* a KV row holds it in FP8 blocks of 64 */
        {c->n_heads, "num_attention_heads", c->o_groups},
    };
    dr_status st = DR_OK;

    for (size_t i = 0; i < sizeof multiples / sizeof multiples[0]; i++)
        if (multiple(multiples[i].v, multiples[i].what, multiples[i].of, name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    if (plain_dim <= 0)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: qk_rope_head_dim is %d, expected less than head_dim %d", name,
                          c->rope_dim, c->head_dim);
    if ((c->index_dim & (c->index_dim - 1)) != 0)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: index_head_dim is %d, expected a power of two", name, c->index_dim);
    if (c->rope_dim > c->index_dim)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: index_head_dim is %d, expected at least qk_rope_head_dim %d", name,
                          c->index_dim, c->rope_dim);
    if (c->n_active > c->n_experts)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: num_experts_per_tok is %d, expected at most n_routed_experts %d",
                          name, c->n_active, c->n_experts);
    if (c->n_hash_layers > c->n_layers)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: num_hash_layers is %d, expected at most num_hidden_layers %d", name,
                          c->n_hash_layers, c->n_layers);
    if (c->n_mtp > 1)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: num_nextn_predict_layers is %d, expected 0 or 1", name, c->n_mtp);
    if (c->bos_id >= c->vocab || c->eos_id >= c->vocab)
        st = dr_fail_more(err, DR_ERR_FORMAT,
                          "%s: bos_token_id %d and eos_token_id %d, expected less than vocab_size %d", name, c->bos_id,
                          c->eos_id, c->vocab);
    return st;
}
