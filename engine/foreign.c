#include "engine/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
    const char *ours, *theirs;
} pair;

static const pair top[] = {
    {"embed.weight", "model.embed_tokens.weight"}, {"head.weight", "lm_head.weight"},
    {"norm.weight", "model.norm.weight"},          {"hc_head_fn", "model.hc_head.hc_fn"},
    {"hc_head_base", "model.hc_head.hc_base"},     {"hc_head_scale", "model.hc_head.hc_scale"},
};

/* Whole names below a layer, without ".weight" and ".scale". spec 2.6. */
static const pair in_layer[] = {
    {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"hc_attn_fn", "attn_hc.fn"},
    {"hc_attn_base", "attn_hc.base"},
    {"hc_attn_scale", "attn_hc.scale"},
    {"hc_ffn_fn", "ffn_hc.fn"},
    {"hc_ffn_base", "ffn_hc.base"},
    {"hc_ffn_scale", "ffn_hc.scale"},
    {"attn.attn_sink", "self_attn.sinks"},
    {"attn.wq_a", "self_attn.q_a_proj"},
    {"attn.q_norm", "self_attn.q_a_norm"},
    {"attn.wq_b", "self_attn.q_b_proj"},
    {"attn.wkv", "self_attn.kv_proj"},
    {"attn.kv_norm", "self_attn.kv_norm"},
    {"attn.wo_a", "self_attn.o_a_proj"},
    {"attn.wo_b", "self_attn.o_b_proj"},
    {"attn.compressor.wkv", "self_attn.compressor.kv_proj"},
    {"attn.compressor.wgate", "self_attn.compressor.gate_proj"},
    {"attn.compressor.ape", "self_attn.compressor.position_bias"},
    {"attn.compressor.norm", "self_attn.compressor.kv_norm"},
    {"attn.indexer.wq_b", "self_attn.compressor.indexer.q_b_proj"},
    {"attn.indexer.weights_proj", "self_attn.compressor.indexer.scorer.weights_proj"},
    {"attn.indexer.weights_proj", "self_attn.compressor.indexer.weights_proj"}, /* before `scorer` */
    {"attn.indexer.compressor.wkv", "self_attn.compressor.indexer.kv_proj"},
    {"attn.indexer.compressor.wgate", "self_attn.compressor.indexer.gate_proj"},
    {"attn.indexer.compressor.ape", "self_attn.compressor.indexer.position_bias"},
    {"attn.indexer.compressor.norm", "self_attn.compressor.indexer.kv_norm"},
    {"ffn.gate", "mlp.gate"},
    {"ffn.gate.bias", "mlp.gate.e_score_correction_bias"},
    {"ffn.gate.tid2eid", "mlp.gate.tid2eid"},
    {"ffn.shared_experts.w1", "mlp.shared_experts.gate_proj"},
    {"ffn.shared_experts.w2", "mlp.shared_experts.down_proj"},
    {"ffn.shared_experts.w3", "mlp.shared_experts.up_proj"},
    {"attn.kv_norm", "attn.norm"}, /* half translated back */
};

typedef struct names {
    char (*out)[DR_FOREIGN_NAME];
    int n;
} names;

static void add(names *x, const char *a, const char *b, const char *c)
{
    const int n = x->n < DR_FOREIGN_NAMES ? snprintf(x->out[x->n], DR_FOREIGN_NAME, "%s%s%s", a, b, c) : -1;
    if (n > 0 && n < DR_FOREIGN_NAME) /* a name that long is none of the plan's */
        x->n++;
}

/* Cuts ".weight" or ".scale" off; returns it. "hc_attn_scale" has neither. */
static const char *cut_ending(char base[DR_FOREIGN_NAME], const char *name)
{
    static const char *const endings[] = {".weight", ".scale"};

    (void)snprintf(base, DR_FOREIGN_NAME, "%s", name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(base), e = strlen(endings[i]);
        if (n > e && strcmp(base + n - e, endings[i]) == 0) {
            base[n - e] = 0;
            return endings[i];
        }
    }
    return "";
}

/* "layers.12.": its length, 0 when the name does not begin so. */
static size_t layer_prefix(const char *name)
{
    int n = 0;
    return sscanf(name, "layers.%*d.%n", &n) == 0 && n > 0 ? (size_t)n : 0;
}

int dr_foreign_names(char out[DR_FOREIGN_NAMES][DR_FOREIGN_NAME], const char *official)
{
    names x = {.out = out};
    char base[DR_FOREIGN_NAME], prefix[DR_FOREIGN_NAME];
    const size_t at = layer_prefix(official);

    for (size_t i = 0; i < sizeof top / sizeof *top; i++)
        if (strcmp(top[i].ours, official) == 0)
            add(&x, top[i].theirs, "", "");
    if (at) {
        const char *ending = cut_ending(base, official + at);
        const bool scale = strcmp(ending, ".scale") == 0;
        (void)snprintf(prefix, sizeof prefix, "model.%.*s", (int)at, official);
        for (size_t i = 0; i < sizeof in_layer / sizeof *in_layer; i++)
            if (strcmp(in_layer[i].ours, base) == 0)
                add(&x, prefix, in_layer[i].theirs, scale ? ".weight_scale_inv" : ending);
        add(&x, prefix, base, scale ? ".weight_scale_inv" : ending);
    }
    add(&x, "model.", official, "");
    add(&x, "", official, "");
    return x.n;
}

/* layers.N.ffn.experts.E.wI.{weight,scale} as a slice of a layer's own tensor. */
static bool fused_place(dr_foreign_place *to, const dr_safetensors *s, const char *official)
{
    int layer, expert, which, n = 0;
    char name[DR_FOREIGN_NAME];

    if (sscanf(official, "layers.%d.ffn.experts.%d.w%d.%n", &layer, &expert, &which, &n) != 3 || !n)
        return false;
    (void)snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s%s", layer, which == 2 ? "down_proj" : "gate_up_proj",
                   strcmp(official + n, "scale") == 0 ? "_scale_inv" : "");
    *to = (dr_foreign_place){
        .tensor = dr_safetensors_find(s, name), .fused = true, .expert = expert, .second_half = which == 3};
    return to->tensor != NULL;
}

dr_foreign_place dr_foreign_find(const dr_safetensors *s, const char *official)
{
    char list[DR_FOREIGN_NAMES][DR_FOREIGN_NAME];
    const int n = dr_foreign_names(list, official);
    dr_foreign_place place = {0};

    for (int i = 0; i < n && !place.tensor; i++)
        place.tensor = dr_safetensors_find(s, list[i]);
    if (!place.tensor && !fused_place(&place, s, official))
        place = (dr_foreign_place){0};
    return place;
}

bool dr_foreign_is(const dr_safetensors *s)
{
    return !dr_safetensors_find(s, "embed.weight") &&
           (dr_safetensors_find(s, "model.embed_tokens.weight") || dr_safetensors_find(s, "model.norm.weight"));
}

bool dr_foreign_folder(const char *dir)
{
    dr_problems problems = {0};
    dr_safetensors *s;
    const bool foreign = dr_safetensors_survey(&s, dir, &problems, NULL) == DR_OK && dr_foreign_is(s);

    dr_safetensors_close(s);
    dr_problems_fini(&problems);
    return foreign;
}

dr_status dr_foreign_refuse(const dr_safetensors *s, const char *dir, dr_error *err)
{
    if (!dr_foreign_is(s))
        return DR_OK;
    return dr_fail(err, DR_ERR_FORMAT,
                   "%.200s: the tensors have transformers' names; \"deepread model import %.200s --out FOLDER\" writes the "
                   "checkpoint in the official layout",
                   dir, dir);
}
