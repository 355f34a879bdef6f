#include "engine/config.h"

#include "engine/config_check.h"

#include <jansson.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One key of config.json: its two names, where it goes, and what is allowed. */
typedef enum number { INT32, INT64, FLOAT, DOUBLE } number;
typedef enum need { REQUIRED, OPTIONAL } need;

typedef struct config_key {
    const char *name, *reference_name; /* Hugging Face, the reference's own config */
    size_t at;
    number kind;
    need need;
    double low, high;
    double otherwise; /* the value of an absent OPTIONAL key, that of every official checkpoint */
} config_key;

#define AT(field) offsetof(dr_config, field)

static const config_key keys[] = {
    {"vocab_size", "vocab_size", AT(vocab), INT32, REQUIRED, 1, 1 << 24, 0},
    {"hidden_size", "dim", AT(dim), INT32, REQUIRED, 32, 1 << 16, 0},
    {"num_hidden_layers", "n_layers", AT(n_layers), INT32, REQUIRED, 1, 1024, 0},
    {"num_attention_heads", "n_heads", AT(n_heads), INT32, REQUIRED, 1, 1024, 0},
    {"head_dim", "head_dim", AT(head_dim), INT32, REQUIRED, 32, 4096, 0},
    {"q_lora_rank", "q_lora_rank", AT(q_rank), INT32, REQUIRED, 32, 1 << 16, 0},
    {"o_lora_rank", "o_lora_rank", AT(o_rank), INT32, REQUIRED, 1, 1 << 16, 0},
    {"o_groups", "o_groups", AT(o_groups), INT32, REQUIRED, 1, 1024, 0},
    {"sliding_window", "window_size", AT(window), INT32, REQUIRED, 1, 1 << 20, 0},
    {"index_n_heads", "index_n_heads", AT(index_heads), INT32, REQUIRED, 1, 1024, 0},
    {"index_head_dim", "index_head_dim", AT(index_dim), INT32, REQUIRED, 32, 1024, 0},
    {"index_topk", "index_topk", AT(index_topk), INT32, REQUIRED, 1, 1 << 20, 0},
    {"n_routed_experts", "n_routed_experts", AT(n_experts), INT32, REQUIRED, 1, 1 << 16, 0},
    {"num_experts_per_tok", "n_activated_experts", AT(n_active), INT32, REQUIRED, 1, 256, 0},
    {"n_shared_experts", "n_shared_experts", AT(n_shared), INT32, OPTIONAL, 1, 64, 1},
    {"moe_intermediate_size", "moe_inter_dim", AT(expert_dim), INT32, REQUIRED, 32, 1 << 16, 0},
    {"routed_scaling_factor", "route_scale", AT(route_scale), FLOAT, REQUIRED, 0, 1e6, 0},
    {"swiglu_limit", "swiglu_limit", AT(swiglu_limit), FLOAT, REQUIRED, 0, 1e6, 0},
    {"hc_mult", "hc_mult", AT(hc_mult), INT32, REQUIRED, 1, 16, 0},
    {"hc_sinkhorn_iters", "hc_sinkhorn_iters", AT(sinkhorn_iters), INT32, REQUIRED, 1, 1000, 0},
    {"hc_eps", "hc_eps", AT(hc_eps), FLOAT, OPTIONAL, 0, 1, 1e-6},
    {"rms_norm_eps", "norm_eps", AT(norm_eps), FLOAT, OPTIONAL, 0, 1, 1e-6},
    {"max_position_embeddings", "max_seq_len", AT(max_context), INT64, OPTIONAL, 1, 1 << 24, 1048576},
    {"num_nextn_predict_layers", "n_mtp_layers", AT(n_mtp), INT32, OPTIONAL, 0, 16, 0},
    {"bos_token_id", "bos_token_id", AT(bos_id), INT32, OPTIONAL, 0, 1 << 24, 0},
    {"eos_token_id", "eos_token_id", AT(eos_id), INT32, OPTIONAL, 0, 1 << 24, 1},
};

/* Keys that transformers writes in another form too. */
static const config_key rope_dim_key = {"qk_rope_head_dim", "rope_head_dim", AT(rope_dim), INT32, REQUIRED, 2, 4096, 0};
static const config_key hash_key = {"num_hash_layers", "n_hash_layers", AT(n_hash_layers), INT32, REQUIRED, 0, 1024, 0};
static const config_key main_theta = {"rope_theta", NULL, AT(rope_theta), DOUBLE, REQUIRED, 1.0001, 1e12, 0};
static const config_key compress_theta = {
    "compress_rope_theta", NULL, AT(compress_rope_theta), DOUBLE, REQUIRED, 1.0001, 1e12, 0};
static const config_key nested_theta = {"rope_theta", NULL, AT(compress_rope_theta), DOUBLE, REQUIRED, 1.0001, 1e12, 0};

static const config_key draft_keys[] = {
    {"dspark_markov_rank", NULL, AT(draft_rank), INT32, REQUIRED, 1, 1 << 16, 0},
};

/* Flat in the reference's config, inside "rope_scaling" in the other family and "rope_parameters" in the third. */
static const config_key rope_keys[] = {
    {"factor", "rope_factor", AT(rope_factor), DOUBLE, REQUIRED, 1, 1e6, 0},
    {"original_max_position_embeddings", "original_seq_len", AT(original_context), INT64, REQUIRED, 1, 1 << 24, 0},
    {"beta_fast", "beta_fast", AT(beta_fast), DOUBLE, OPTIONAL, 1e-3, 1e6, 32},
    {"beta_slow", "beta_slow", AT(beta_slow), DOUBLE, OPTIONAL, 1e-3, 1e6, 1},
};

static void store(dr_config *c, const config_key *k, double v)
{
    char *to = (char *)c + k->at;
    switch (k->kind) {
    case INT32: {
        const int32_t x = (int32_t)v;
        memcpy(to, &x, sizeof x);
        break;
    }
    case INT64: {
        const int64_t x = (int64_t)v;
        memcpy(to, &x, sizeof x);
        break;
    }
    case FLOAT: {
        const float x = (float)v;
        memcpy(to, &x, sizeof x);
        break;
    }
    case DOUBLE: memcpy(to, &v, sizeof v); break;
    }
}

/* null is as good as absent: so transformers writes what is not set. */
static const json_t *given(const json_t *from, const char *key)
{
    const json_t *v = key ? json_object_get(from, key) : NULL;
    return json_is_null(v) ? NULL : v;
}

/* One setting under two names: neither given, one, or both with one value. */
static dr_status agree(const json_t *a, const char *a_name, const json_t *b, const char *b_name, const char *name, dr_error *err)
{
    const bool numbers = json_is_number(a) && json_is_number(b);

    if (!a || !b || (numbers ? json_number_value(a) == json_number_value(b) : json_equal(a, b)))
        return DR_OK;
    if (!numbers)
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"%s\" and \"%s\" mean the same and differ", name, a_name, b_name);
    return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"%s\" is %.10g and \"%s\" is %.10g: both mean the same and differ", name, a_name,
                        json_number_value(a), b_name, json_number_value(b));
}

static dr_status read_key(dr_config *c, const json_t *from, const config_key *k, const char *name, dr_error *err)
{
    const bool whole = k->kind == INT32 || k->kind == INT64;
    const json_t *v = given(from, k->name), *other = given(from, k->reference_name);

    if (agree(v, k->name, other, k->reference_name, name, err) != DR_OK) {
        store(c, k, k->low);
        return DR_ERR_FORMAT;
    }
    v = v ? v : other;
    if (!v) {
        store(c, k, k->need == OPTIONAL ? k->otherwise : k->low); /* in range, so that later checks can run */
        if (k->need == OPTIONAL)
            return DR_OK;
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: no \"%s\"", name, k->name);
    }
    const double x = json_number_value(v);
    store(c, k, k->low);
    if (whole ? !json_is_integer(v) : !json_is_number(v))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"%s\" is not %s", name, k->name,
                            whole ? "a whole number" : "a number");
    if (!(x >= k->low && x <= k->high))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"%s\" is %.17g, expected %.17g to %.17g", name, k->name, x,
                            k->low, k->high);
    store(c, k, x);
    return DR_OK;
}

/* What stands in "rope_scaling", flat in the root and in "rope_parameters" is the same. main, compress: of the last, or NULL. */
static dr_status rope_agrees(const json_t *root, const json_t *scaling, const json_t *main, const json_t *compress, const char *name,
                             dr_error *err)
{
    dr_status st = DR_OK;

    for (size_t i = 0; i < sizeof rope_keys / sizeof rope_keys[0]; i++) {
        const config_key *k = &rope_keys[i];
        const json_t *flat = given(root, k->reference_name), *nested = given(compress, k->name), *in = given(scaling, k->name);
        char of_scaling[64], of_compress[64];
        (void)snprintf(of_scaling, sizeof of_scaling, "rope_scaling.%s", k->name);
        (void)snprintf(of_compress, sizeof of_compress, "rope_parameters.compress.%s", k->name);
        if (agree(in, of_scaling, flat, k->reference_name, name, err) != DR_OK ||
            agree(in, of_scaling, nested, of_compress, name, err) != DR_OK ||
            agree(flat, k->reference_name, nested, of_compress, name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    }
    if (agree(given(root, "rope_theta"), "rope_theta", given(main, "rope_theta"), "rope_parameters.main.rope_theta", name, err) != DR_OK ||
        agree(given(root, "compress_rope_theta"), "compress_rope_theta", given(compress, "rope_theta"),
              "rope_parameters.compress.rope_theta", name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    return st;
}

/* Where the two bases and the blend of the compressed layers stand. */
static dr_status read_rope(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    const json_t *both = json_object_get(root, "rope_parameters"), *scaling = json_object_get(root, "rope_scaling");
    const json_t *main = json_object_get(both, "main"), *compress = json_object_get(both, "compress");
    const bool nested = main && compress;

    if (read_key(c, nested ? main : root, &main_theta, name, err) != DR_OK ||
        read_key(c, nested ? compress : root, nested ? &nested_theta : &compress_theta, name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    if (rope_agrees(root, scaling, nested ? main : NULL, nested ? compress : NULL, name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    if (nested)
        scaling = json_object_get(compress, "factor") ? compress : NULL;
    const bool flat = given(root, "rope_factor") && !json_is_object(scaling);
    if (!flat && (!scaling || json_is_null(scaling))) { /* no scaling: the blend is the identity */
        c->rope_factor = 1;
        c->original_context = 65536;
        c->beta_fast = 32;
        c->beta_slow = 1;
        return st;
    }
    if (!flat && !json_is_object(scaling))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"rope_scaling\" is not an object", name);
    for (size_t i = 0; i < sizeof rope_keys / sizeof rope_keys[0]; i++)
        if (read_key(c, flat ? root : scaling, &rope_keys[i], name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    return st;
}

/* "mlp_layer_types": hash_moe for the first layers, then moe. */
static dr_status read_hash_layers(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    const json_t *list = json_object_get(root, "mlp_layer_types"), *v;
    size_t i;

    if (given(root, hash_key.name) || given(root, hash_key.reference_name) || !json_is_array(list))
        return read_key(c, root, &hash_key, name, err);
    json_array_foreach((json_t *)(uintptr_t)list, i, v)
    {
        const char *kind = json_string_value(v);
        const bool hash = kind && strcmp(kind, "hash_moe") == 0;
        if (!hash && (!kind || strcmp(kind, "moe") != 0))
            return dr_fail_more(err, DR_ERR_FORMAT, "%s: entry %zu of \"mlp_layer_types\" is neither hash_moe nor moe",
                                name, i);
        if (hash && c->n_hash_layers != (int32_t)i)
            return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"mlp_layer_types\": hash_moe after moe at entry %zu", name, i);
        c->n_hash_layers += hash;
    }
    return DR_OK;
}

static dr_status read_rope_dim(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    const json_t *part = json_object_get(root, "partial_rotary_factor");
    const double share = json_number_value(part);

    if (json_object_get(root, "qk_rope_head_dim") || json_object_get(root, "rope_head_dim") || !json_is_number(part))
        return read_key(c, root, &rope_dim_key, name, err);
    if (!(share > 0 && share < 1))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"partial_rotary_factor\" is %g, expected a share of head_dim", name,
                            share);
    c->rope_dim = (int32_t)(share * c->head_dim + 0.5); /* the share was made by dividing */
    return DR_OK;
}

static dr_status read_keys(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    dr_status st = DR_OK;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (read_key(c, root, &keys[i], name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    if (read_rope_dim(c, root, name, err) != DR_OK || read_hash_layers(c, root, name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    if (read_rope(c, root, name, err) != DR_OK)
        st = DR_ERR_FORMAT;
    return st;
}

/* The ratio of a layer's kind as transformers names it; -1 when the name is unknown. rates: its "compress_rates". */
static int64_t ratio_of_name(const char *kind, const json_t *rates)
{
    enum { HCA_RATIO = 128 };
    const json_t *told = kind ? json_object_get(rates, kind) : NULL;

    return !kind                                               ? -1
           : strcmp(kind, "sliding_attention") == 0            ? 0
           : json_is_integer(told)                             ? json_integer_value(told)
           : strcmp(kind, "compressed_sparse_attention") == 0  ? DR_CSA_RATIO
           : strcmp(kind, "heavily_compressed_attention") == 0 ? HCA_RATIO
                                                               : -1;
}

static dr_status read_layer(dr_layer_plan *l, const json_t *v, const json_t *rates, int32_t i, const char *name,
                            dr_error *err)
{
    int64_t ratio = json_integer_value(v);

    if (json_is_string(v) && (ratio = ratio_of_name(json_string_value(v), rates)) < 0)
        return dr_fail_more(
            err, DR_ERR_FORMAT,
            "%s: layer %d is of unknown kind \"%.60s\", expected sliding_attention, compressed_sparse_attention or "
            "heavily_compressed_attention",
            name, i, json_string_value(v));
    if (!json_is_string(v) && !json_is_integer(v))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: the kind of layer %d is neither a ratio nor a name", name, i);
    if (ratio < 0 || ratio == 1 || (ratio != 0 && (ratio > DR_LARGEST_RATIO || DR_LARGEST_RATIO % ratio != 0)))
        return dr_fail_more(
            err, DR_ERR_FORMAT,
            "%s: layer %d is of unknown kind: compress ratio %lld, expected 0, %d or another divisor of %d", name, i,
            (long long)ratio, DR_CSA_RATIO, DR_LARGEST_RATIO);
    l->ratio = (int32_t)ratio;
    l->kind = ratio == 0 ? DR_ATTENTION_SWA : ratio == DR_CSA_RATIO ? DR_ATTENTION_CSA : DR_ATTENTION_HCA;
    l->compress_rope = ratio != 0;
    return DR_OK;
}

/* spec 12: the DSpark drafts are not V4's MTP block. How many stages there are is told by the entries behind the
 * layers; num_nextn_predict_layers says 1 in one family of names and 3 in the other. */
static dr_status read_drafts(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n = json_array_size(json_object_get(root, "compress_ratios"));
    const json_t *targets = json_object_get(root, "dspark_target_layer_ids");

    if (!json_object_get(root, "dspark_block_size"))
        return DR_OK;
    c->n_drafts = n > (size_t)c->n_layers ? (int32_t)(n - (size_t)c->n_layers) : c->n_mtp;
    c->n_mtp = 0;
    if (c->n_drafts < 1 || c->n_drafts > DR_MAX_DRAFTS)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: \"dspark_block_size\" with %d draft stages, expected 1 to %d", name,
                          c->n_drafts, DR_MAX_DRAFTS);
    for (size_t i = 0; i < sizeof draft_keys / sizeof draft_keys[0]; i++)
        if (read_key(c, root, &draft_keys[i], name, err) != DR_OK)
            st = DR_ERR_FORMAT;
    c->draft_targets = (int32_t)(json_array_size(targets) < 1024 ? json_array_size(targets) : 1024);
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *t = json_array_get(targets, i);
        if (!json_is_integer(t) || json_integer_value(t) < 0 || json_integer_value(t) >= c->n_layers) {
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: entry %zu of \"dspark_target_layer_ids\" is not a layer, expected 0 to %d", name,
                              i, c->n_layers - 1);
            break; /* a list of any length has one message */
        }
    }
    if (c->draft_targets < 1 || c->draft_targets > c->n_layers)
        st = dr_fail_more(err, DR_ERR_FORMAT, "%s: \"dspark_target_layer_ids\" names %d layers, expected 1 to %d", name,
                          c->draft_targets, c->n_layers);
    return st;
}

/* quantization_config in one family, "dtype" in the other; the experts' own key in either, or inside the first. */
static dr_status read_storage(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    const json_t *quant = json_object_get(root, "quantization_config");
    const char *method = json_string_value(json_object_get(quant, "quant_method"));
    const char *dtype = json_string_value(json_object_get(root, "dtype"));
    const json_t *told = json_object_get(root, "expert_dtype");
    const char *experts;

    if (!told)
        told = json_object_get(quant, "expert_dtype");
    experts = json_string_value(told);
    c->linears_as = (method && strcmp(method, "fp8") == 0) || (dtype && strcmp(dtype, "fp8") == 0) ? DR_STORED_FP8
                                                                                                   : DR_STORED_BF16;
    c->experts_told = experts != NULL;
    c->experts_as = c->linears_as == DR_STORED_FP8 ? DR_STORED_FP4 : DR_STORED_BF16;
    if (!told || json_is_null(told))
        return DR_OK;
    if (!experts)
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"expert_dtype\" is not a string", name);
    if (strcmp(experts, "fp4") == 0)
        c->experts_as = DR_STORED_FP4;
    else if (strcmp(experts, "fp8") == 0)
        c->experts_as = DR_STORED_FP8;
    else if (strcmp(experts, "bf16") == 0 || strcmp(experts, "bfloat16") == 0)
        c->experts_as = DR_STORED_BF16;
    else
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: \"expert_dtype\" is \"%.60s\", expected fp4, fp8 or bf16", name,
                            experts);
    return DR_OK;
}

/* spec 1.2: one entry a layer, then the MTP entry (SWA), or those of the drafts. */
static dr_status read_layers(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    const json_t *list = json_object_get(root, "compress_ratios");
    const json_t *rates = json_object_get(root, "compress_rates");
    const char *key = "compress_ratios";

    if (!list) {
        list = json_object_get(root, "layer_types");
        key = "layer_types";
    }
    if (!(c->layers = calloc((size_t)c->n_layers + (size_t)c->n_mtp, sizeof *c->layers)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    if (!json_is_array(list))
        return dr_fail_more(err, DR_ERR_FORMAT, "%s: no list \"compress_ratios\"", name);
    const size_t n = json_array_size(list);
    if (n < (size_t)c->n_layers)
        return dr_fail_more(err, DR_ERR_FORMAT,
                            "%s: \"%s\" has %zu entries, expected one for each of %d layers and %d MTP blocks", name,
                            key, n, c->n_layers, c->n_mtp);
    for (size_t i = 0; i < n; i++) {
        dr_layer_plan draft = {0};
        const bool backbone = i < (size_t)c->n_layers;
        dr_layer_plan *l = i < (size_t)c->n_layers + (size_t)c->n_mtp ? &c->layers[i] : &draft;
        if (read_layer(l, json_array_get(list, i), rates, (int32_t)i, name, err) != DR_OK)
            st = DR_ERR_FORMAT;
        else if (!backbone && l->kind != DR_ATTENTION_SWA)
            st = dr_fail_more(err, DR_ERR_FORMAT, "%s: MTP entry %zu of \"%s\" is %d, expected 0 (window only)", name,
                              i, key, l->ratio);
        l->hash_routed = backbone && i < (size_t)c->n_hash_layers;
    }
    return st;
}

dr_status dr_config_parse(dr_config *out, dr_str json, const char *name, dr_error *err)
{
    dr_status st = DR_OK, more;
    json_error_t je;
    dr_error found = {0}; /* every problem so far; err itself may be NULL or hold an older message */
    json_t *root = json_loadb(json.s ? json.s : "", json.n, JSON_REJECT_DUPLICATES, &je);

    *out = (dr_config){0};
    if (!root) {
        st = dr_fail(&found, DR_ERR_FORMAT, "%s: line %d: %s", name, je.line, je.text);
        goto done;
    }
    if (!json_is_object(root)) {
        st = dr_fail(&found, DR_ERR_FORMAT, "%s: not an object", name);
        goto done;
    }
    if ((st = dr_config__check_kind(root, name, &found)) == DR_ERR_NOT_FOUND) {
        st = DR_ERR_FORMAT; /* of another architecture nothing else need be told */
        goto done;
    }
    if ((more = read_keys(out, root, name, &found)) != DR_OK)
        st = more;
    if ((more = read_drafts(out, root, name, &found)) != DR_OK)
        st = more;
    if ((more = read_storage(out, root, name, &found)) != DR_OK)
        st = more;
    if ((more = read_layers(out, root, name, &found)) != DR_OK)
        st = more;
    if (st == DR_OK)
        st = dr_config__check_sizes(out, name, &found);
done:
    json_decref(root);
    if (st != DR_OK) {
        dr_config_fini(out);
        if (err)
            *err = found;
    }
    return st;
}

void dr_config_fini(dr_config *c)
{
    free(c->layers);
    *c = (dr_config){0};
}
