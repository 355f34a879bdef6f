#include "engine/config.h"

#include "engine/config_check.h"

#include <jansson.h>

#include <math.h>
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
    {"qk_rope_head_dim", "rope_head_dim", AT(rope_dim), INT32, REQUIRED, 2, 4096, 0},
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
    {"num_hash_layers", "n_hash_layers", AT(n_hash_layers), INT32, REQUIRED, 0, 1024, 0},
    {"routed_scaling_factor", "route_scale", AT(route_scale), FLOAT, REQUIRED, 0, 1e6, 0},
    {"swiglu_limit", "swiglu_limit", AT(swiglu_limit), FLOAT, REQUIRED, 0, 1e6, 0},
    {"hc_mult", "hc_mult", AT(hc_mult), INT32, REQUIRED, 1, 16, 0},
    {"hc_sinkhorn_iters", "hc_sinkhorn_iters", AT(sinkhorn_iters), INT32, REQUIRED, 1, 1000, 0},
    {"hc_eps", "hc_eps", AT(hc_eps), FLOAT, OPTIONAL, 0, 1, 1e-6},
    {"rms_norm_eps", "norm_eps", AT(norm_eps), FLOAT, OPTIONAL, 0, 1, 1e-6},
    {"rope_theta", "rope_theta", AT(rope_theta), DOUBLE, REQUIRED, 1.0001, 1e12, 0},
    {"compress_rope_theta", "compress_rope_theta", AT(compress_rope_theta), DOUBLE, REQUIRED, 1.0001, 1e12, 0},
    {"max_position_embeddings", "max_seq_len", AT(max_context), INT64, OPTIONAL, 1, 1 << 24, 1048576},
    {"num_nextn_predict_layers", "n_mtp_layers", AT(n_mtp), INT32, OPTIONAL, 0, 16, 0},
    {"bos_token_id", "bos_token_id", AT(bos_id), INT32, OPTIONAL, 0, 1 << 24, 0},
    {"eos_token_id", "eos_token_id", AT(eos_id), INT32, OPTIONAL, 0, 1 << 24, 1},
};

/* Flat in the reference's config, inside "rope_scaling" in the other family. */
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

static dr_status read_key(dr_config *c, const json_t *from, const config_key *k, const char *name, dr_error *err)
{
    const bool whole = k->kind == INT32 || k->kind == INT64;
    const json_t *v = json_object_get(from, k->name);

    if (!v && k->reference_name)
        v = json_object_get(from, k->reference_name);
    if (!v || json_is_null(v)) {
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

static dr_status read_keys(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    const json_t *scaling = json_object_get(root, "rope_scaling");
    const bool flat = json_object_get(root, "rope_factor") != NULL;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (read_key(c, root, &keys[i], name, err) != DR_OK)
            st = DR_ERR_FORMAT;

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

/* The ratio of a layer's kind as transformers names it; -1 when the name is unknown. */
static int64_t ratio_of_name(const char *kind)
{
    return !kind                                               ? -1
           : strcmp(kind, "sliding_attention") == 0            ? 0
           : strcmp(kind, "compressed_sparse_attention") == 0  ? DR_CSA_RATIO
           : strcmp(kind, "heavily_compressed_attention") == 0 ? 128
                                                               : -1;
}

static dr_status read_layer(dr_layer_plan *l, const json_t *v, int32_t i, const char *name, dr_error *err)
{
    int64_t ratio = json_integer_value(v);

    if (json_is_string(v) && (ratio = ratio_of_name(json_string_value(v))) < 0)
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

/* spec 1.2: one entry a layer, then the MTP entry (SWA). Entries of further draft blocks may follow; they are not run
 * here. */
static dr_status read_layers(dr_config *c, const json_t *root, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    const json_t *list = json_object_get(root, "compress_ratios");
    const char *key = "compress_ratios";

    if (!list) {
        list = json_object_get(root, "layer_types");
        key = "layer_types";
    }
    if (!(c->layers = calloc((size_t)(c->n_layers + c->n_mtp), sizeof *c->layers)))
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
        dr_layer_plan *l = i < (size_t)(c->n_layers + c->n_mtp) ? &c->layers[i] : &draft;
        if (read_layer(l, json_array_get(list, i), (int32_t)i, name, err) != DR_OK)
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
    st = dr_config__check_kind(root, name, &found);
    if ((more = read_keys(out, root, name, &found)) != DR_OK)
        st = more;
    /* The DSpark drafts (spec 12) are not V4's MTP block: they are left alone. */
    if (json_object_get(root, "dspark_block_size"))
        out->n_mtp = 0;
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
