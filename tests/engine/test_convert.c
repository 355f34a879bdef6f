#include "engine/check.h"
#include "engine/convert.h"
#include "engine/foreign.h"
#include "engine/model.h"
#include "engine/plan.h"
#include "tests/engine/tiny_checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* How transformers saves (5.23 was looked at): every name its own and experts fused, or names half translated back. */
typedef enum saving { OWN_NAMES, HALF_BACK } saving;

static tiny *sample(tiny_storage experts)
{
    tiny_spec s = tiny_all_kinds();
    s.experts_as = experts;
    s.linears_as = experts == TINY_BF16 ? TINY_BF16 : TINY_FP8;
    s.expert_dim = 128; /* FP8 halves of gate_up_proj that do not share a tile */
    s.n_mtp = 0;
    return tiny_new(&s);
}

static void rename_own(tiny *t)
{
    char names[DR_FOREIGN_NAMES][DR_FOREIGN_NAME];
    for (size_t i = 0; i < t->n; i++) {
        assert_true(dr_foreign_names(names, t->tensors[i].name) > 0);
        snprintf(t->tensors[i].name, sizeof t->tensors[i].name, "%.95s", names[0]);
    }
}

static bool ends_with(const char *name, const char *ending)
{
    const size_t n = strlen(name), e = strlen(ending);
    return n >= e && strcmp(name + n - e, ending) == 0;
}

/* The experts' matrices of each layer as one tensor, gate and up on top of each other. */
static void fuse(tiny *t)
{
    const tiny_spec s = t->spec;
    static const char *const endings[] = {"weight", "scale"};

    for (int l = 0; l < s.n_layers; l++)
        for (int part = 0; part < (s.experts_as == TINY_BF16 ? 1 : 2); part++)
            for (int down = 0; down < 2; down++) {
                char name[96];
                tiny_tensor *all = NULL;
                for (int e = 0; e < s.experts; e++)
                    for (int half = 0; half < (down ? 1 : 2); half++) {
                        snprintf(name, sizeof name, "layers.%d.ffn.experts.%d.w%d.%s", l, e, down ? 2 : half ? 3 : 1,
                                 endings[part]);
                        const tiny_tensor one = *tiny_find(t, name);
                        const int halves = down ? 1 : 2;
                        if (!all) {
                            snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%s%s", l, down ? "down_proj" : "gate_up_proj",
                                     part ? "_scale_inv" : "");
                            all = tiny_add(t, name, one.dtype, 3, (int64_t[]){s.experts, halves * one.shape[0], one.shape[1]});
                        }
                        memcpy(all->data + (size_t)(e * halves + half) * one.n_bytes, one.data, one.n_bytes);
                    }
            }
    for (size_t i = t->n; i-- > 0;)
        if (strstr(t->tensors[i].name, ".ffn.experts.")) {
            char name[96];
            snprintf(name, sizeof name, "%s", t->tensors[i].name);
            tiny_remove(t, name);
        }
}

static void half_back(tiny *t)
{
    for (size_t i = 0; i < t->n; i++) {
        char name[96];
        tiny_tensor *x = &t->tensors[i];
        if (strcmp(x->name, "head.weight") == 0)
            continue;
        snprintf(name, sizeof name, "%s", x->name);
        if (strncmp(name, "hc_head_", 8) == 0)
            snprintf(x->name, sizeof x->name, "model.hc_head.hc_%.16s", name + 8);
        else if (strcmp(name, "embed.weight") == 0)
            snprintf(x->name, sizeof x->name, "model.embed_tokens.weight");
        else if (ends_with(name, ".attn.kv_norm.weight"))
            snprintf(x->name, sizeof x->name, "model.%.*s.attn.norm.weight", (int)(strlen(name) - strlen(".attn.kv_norm.weight")),
                     name);
        else
            snprintf(x->name, sizeof x->name, "model.%.80s", name);
    }
}

/* config.json as transformers writes it. */
static void their_config(tiny *t)
{
    static const char *const kinds[] = {"sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"};
    json_t *types = json_array(), *mlp = json_array(), *c = t->config;
    int hca = 128;

    for (int i = 0; i < t->spec.n_layers; i++) {
        const int r = t->spec.ratios[i];
        if (r > 4)
            hca = r;
        (void)json_array_append_new(types, json_string(kinds[r == 0 ? 0 : r == 4 ? 1 : 2]));
        (void)json_array_append_new(mlp, json_string(i < t->spec.n_hash ? "hash_moe" : "moe"));
    }
    (void)json_object_set_new(c, "layer_types", types);
    (void)json_object_set_new(c, "mlp_layer_types", mlp);
    (void)json_object_set_new(c, "compress_rates", json_pack("{s:i, s:i}", kinds[1], 4, kinds[2], hca));
    (void)json_object_set_new(c, "partial_rotary_factor", json_real((double)t->spec.rope_dim / t->spec.head_dim));
    (void)json_object_set_new(
        c, "rope_parameters",
        json_pack("{s:{s:s, s:f}, s:{s:s, s:f, s:i, s:i, s:i, s:i, s:f}}", "main", "rope_type", "default", "rope_theta", 10000.0,
                  "compress", "rope_type", "yarn", "rope_theta", 160000.0, "factor", 16, "original_max_position_embeddings", 65536,
                  "beta_fast", 32, "beta_slow", 1, "attention_factor", 1.0));
    (void)json_object_set_new(c, "dtype", json_string("bfloat16"));
    (void)json_object_set_new(c, "num_nextn_predict_layers", json_integer(1)); /* it keeps the key and drops the block */
    static const char *const gone[] = {"compress_ratios", "num_hash_layers", "qk_rope_head_dim", "rope_scaling", "rope_theta",
                                       "compress_rope_theta"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        (void)json_object_del(c, gone[i]);
}

static tiny *saved(tiny_storage experts, saving how)
{
    tiny *t = sample(experts);
    if (how == OWN_NAMES)
        fuse(t);
    their_config(t);
    if (how == HALF_BACK)
        half_back(t);
    else
        for (size_t i = 0; i < t->n; i++)
            if (strncmp(t->tensors[i].name, "model.", 6) != 0) {
                char names[DR_FOREIGN_NAMES][DR_FOREIGN_NAME];
                (void)dr_foreign_names(names, t->tensors[i].name);
                snprintf(t->tensors[i].name, sizeof t->tensors[i].name, "%.95s", names[0]);
            }
    return t;
}

static bool exists(const char *path)
{
    struct stat sb;
    return lstat(path, &sb) == 0;
}

/* Nothing with this name, nor with the name of a part of it. */
static void assert_nothing_left(const char *to)
{
    const char *base = strrchr(to, '/') + 1;
    DIR *d = opendir("/tmp");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, base, strlen(base)) == 0)
            fail_msg("%s is left", e->d_name);
    closedir(d);
}

static void target_of(char to[80], const char *folder)
{
    snprintf(to, 80, "%s-out", folder);
}

static dr_status convert(const char *from, const char *to, uint64_t shard_bytes, dr_convert_report *r, dr_error *err)
{
    const dr_convert_options opt = {.shard_bytes = shard_bytes};
    return dr_convert_run(r, from, to, &opt, err);
}

/* Every tensor of the original, bit for bit, and the same plan. */
static void assert_same_checkpoint(const tiny *original, const char *folder)
{
    dr_safetensors *s;
    dr_error err = {0};
    if (dr_safetensors_open(&s, folder, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(dr_safetensors_count(s), original->n);
    for (size_t i = 0; i < original->n; i++) {
        const tiny_tensor *x = &original->tensors[i];
        const dr_tensor *t = dr_safetensors_find(s, x->name);
        if (!t)
            fail_msg("%s is not there", x->name);
        assert_string_equal(dr_dtype_name(t->dtype), x->dtype);
        assert_int_equal(t->n_bytes, x->n_bytes);
        if (memcmp(t->data, x->data, x->n_bytes) != 0)
            fail_msg("%s: other values", x->name);
    }
    dr_safetensors_close(s);
}

static void assert_same_config(tiny *original, const char *folder)
{
    char path[128];
    dr_config a, b;
    dr_buf json = {0};
    dr_error err = {0};
    char *text = json_dumps(original->config, 0);
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(dr_read_file(&json, path, 1 << 20, &err), DR_OK);
    assert_int_equal(dr_config_parse(&a, dr_str_of(text), "a", &err), DR_OK);
    assert_int_equal(dr_config_parse(&b, dr_buf_view(&json), "b", &err), DR_OK);
    assert_memory_equal(a.layers, b.layers, (size_t)a.n_layers * sizeof *a.layers);
    dr_layer_plan *la = a.layers, *lb = b.layers;
    a.layers = b.layers = NULL;
    a.linears_as = b.linears_as; /* the original's config.json says nothing of storage */
    a.experts_as = b.experts_as;
    a.experts_told = b.experts_told;
    assert_memory_equal(&a, &b, sizeof a);
    free(la);
    free(lb);
    free(text);
    dr_buf_free(&json);
}

static void convert__gives_the_original_back(void **state)
{
    (void)state;
    for (int how = OWN_NAMES; how <= HALF_BACK; how++)
        for (int as = TINY_FP4; as <= TINY_BF16; as++) {
            tiny *original = sample((tiny_storage)as), *t = saved((tiny_storage)as, (saving)how);
            char folder[64], to[80];
            dr_convert_report r;
            dr_error err = {0};
            tiny_write(t, folder, how == OWN_NAMES ? 1 : 3);
            target_of(to, folder);
            if (convert(folder, to, as == TINY_FP8 ? 1 << 16 : 0, &r, &err) != DR_OK)
                fail_msg("saved %d, experts %d: %s", how, as, err.msg);
            assert_int_equal(r.n_tensors, original->n);
            assert_int_equal(r.n_rounded, 0);
            assert_true(r.without_mtp);
            assert_true(as == TINY_FP8 ? r.n_shards > 1 : r.n_shards == 1);
            assert_same_checkpoint(original, to);
            assert_same_config(original, to);
            tiny_remove_folder(folder);
            tiny_remove_folder(to);
            tiny_free(t);
            tiny_free(original);
        }
}

/* A name of another expert, layer or kind would be another tensor's data: every official name has names of its own. */
static void foreign__no_name_is_shared(void **state)
{
    (void)state;
    tiny *t = sample(TINY_FP4);
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < i; k++) {
            char a[DR_FOREIGN_NAMES][DR_FOREIGN_NAME], b[DR_FOREIGN_NAMES][DR_FOREIGN_NAME];
            const int n_a = dr_foreign_names(a, t->tensors[i].name), n_b = dr_foreign_names(b, t->tensors[k].name);
            for (int x = 0; x < n_a; x++)
                for (int y = 0; y < n_b; y++)
                    assert_string_not_equal(a[x], b[y]);
        }
    rename_own(t);
    tiny_free(t);
}

static tiny_tensor *widen(tiny *t, const char *name)
{
    tiny_tensor *x = tiny_find(t, name);
    uint8_t *wide = calloc(1, 2 * x->n_bytes + 1);
    for (size_t i = 0; i < x->n_bytes / 2; i++)
        memcpy(wide + 4 * i + 2, x->data + 2 * i, 2);
    free(x->data);
    x->data = wide;
    x->n_bytes *= 2;
    x->dtype = "F32";
    return x;
}

static void convert__rounds_what_was_saved_in_f32(void **state)
{
    (void)state;
    tiny *t = saved(TINY_BF16, OWN_NAMES);
    char folder[64], to[80];
    dr_convert_report r;
    dr_error err = {0};
    dr_safetensors *s;
    const float values[] = {1.0f + 1.0f / 256, 1.0f + 3.0f / 256, -2.007813f, 3e38f, 0.0f};
    const uint16_t rounded[] = {0x3f80, 0x3f82, 0xc001, 0x7f62, 0x0000};
    tiny_tensor *x = widen(t, "model.layers.1.self_attn.q_a_proj.weight");
    memcpy(x->data, values, sizeof values);
    (void)widen(t, "model.embed_tokens.weight");
    (void)widen(t, "model.layers.1.input_layernorm.weight"); /* taken as it is */
    tiny_write(t, folder, 1);
    target_of(to, folder);
    if (convert(folder, to, 0, &r, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(r.n_rounded, 2);
    assert_int_equal(dr_safetensors_open(&s, to, &err), DR_OK);
    assert_memory_equal(dr_safetensors_find(s, "layers.1.attn.wq_a.weight")->data, rounded, sizeof rounded);
    assert_int_equal(dr_safetensors_find(s, "layers.1.attn_norm.weight")->dtype, DR_F32);
    dr_safetensors_close(s);
    tiny_remove_folder(folder);
    tiny_remove_folder(to);
    tiny_free(t);
}

static void scales_as_f32(tiny *t, float last)
{
    for (size_t i = 0; i < t->n; i++) {
        tiny_tensor *x = &t->tensors[i];
        if (!strstr(x->name, "scale_inv"))
            continue;
        uint8_t *wide = calloc(1, 4 * x->n_bytes + 1);
        for (size_t k = 0; k < x->n_bytes; k++) {
            const float v = ldexpf(1, x->data[k] - 127);
            memcpy(wide + 4 * k, &v, 4);
        }
        if (last > 0 && strstr(x->name, "layers.2.self_attn.kv_proj"))
            memcpy(wide, &last, 4);
        free(x->data);
        x->data = wide;
        x->n_bytes *= 4;
        x->dtype = "F32";
    }
}

static void convert__scales_of_f32_are_powers_of_two(void **state)
{
    (void)state;
    tiny *original = sample(TINY_FP8), *t = saved(TINY_FP8, OWN_NAMES);
    char folder[64], to[80];
    dr_convert_report r;
    dr_error err = {0};
    scales_as_f32(t, 0);
    tiny_write(t, folder, 1);
    target_of(to, folder);
    if (convert(folder, to, 0, &r, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_same_checkpoint(original, to);
    tiny_remove_folder(folder);
    tiny_remove_folder(to);
    tiny_free(t);

    t = saved(TINY_FP8, OWN_NAMES);
    scales_as_f32(t, 0.375f);
    tiny_write(t, folder, 1);
    target_of(to, folder);
    assert_int_equal(convert(folder, to, 0, &r, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "model.layers.2.self_attn.kv_proj.weight_scale_inv: scale 0 is 0.375, expected a power of two"));
    assert_nothing_left(to);
    tiny_remove_folder(folder);
    tiny_free(t);
    tiny_free(original);
}

static void refuse(tiny *t, const char *says)
{
    char folder[64], to[80];
    dr_convert_report r;
    dr_error err = {0};
    tiny_write(t, folder, 1);
    target_of(to, folder);
    const dr_status st = convert(folder, to, 0, &r, &err);
    if (st != DR_ERR_FORMAT || !strstr(err.msg, says))
        fail_msg("status %d, expected \"%s\": %s", st, says, err.msg);
    assert_nothing_left(to);
    tiny_remove_folder(folder);
    tiny_free(t);
}

static void convert__refuses_what_does_not_fit(void **state)
{
    (void)state;
    tiny *t = saved(TINY_FP4, OWN_NAMES);
    tiny_remove(t, "model.layers.1.self_attn.sinks");
    refuse(t, "layers.1.attn.attn_sink: missing (model.layers.1.self_attn.sinks in transformers' names)");
    t = saved(TINY_FP4, OWN_NAMES);
    tiny_find(t, "model.layers.1.mlp.experts.down_proj")->shape[0] *= 2;
    tiny_find(t, "model.layers.1.mlp.experts.down_proj")->shape[1] /= 2;
    refuse(t, "model.layers.1.mlp.experts.down_proj: I8 8x32x64, expected 4x64x64");
    t = saved(TINY_FP4, OWN_NAMES);
    (void)tiny_add(t, "model.layers.1.self_attn.k_proj.weight", "BF16", 2, (int64_t[]){2, 2});
    refuse(t, "model.layers.1.self_attn.k_proj.weight: what it is is not known");
    t = saved(TINY_FP4, OWN_NAMES);
    tiny_find(t, "model.layers.0.mlp.gate.tid2eid")->data[0] = 200;
    refuse(t, "not sound");
}

static bool stop_at_once(void *arg, uint64_t done, uint64_t total)
{
    *(int *)arg += 1;
    assert_true(done <= total);
    return false;
}

static void convert__leaves_nothing_when_it_is_stopped(void **state)
{
    (void)state;
    tiny *t = saved(TINY_FP4, OWN_NAMES);
    char folder[64], to[80], file[128];
    dr_convert_report r;
    dr_error err = {0};
    int calls = 0;
    const dr_convert_options opt = {.progress = stop_at_once, .arg = &calls};
    tiny_write(t, folder, 1);
    target_of(to, folder);
    assert_int_equal(dr_convert_run(&r, folder, to, &opt, &err), DR_ERR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_nothing_left(to);

    /* What is there already is not touched. */
    assert_int_equal(mkdir(to, 0700), 0);
    snprintf(file, sizeof file, "%s/precious", to);
    assert_int_equal(dr_write_file(file, "x", 1, &err), DR_OK);
    assert_int_equal(convert(folder, to, 0, &r, &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "is there already"));
    assert_true(exists(file));
    assert_int_equal(unlink(file), 0);
    if (convert(folder, to, 0, &r, &err) != DR_OK) /* an empty folder will do */
        fail_msg("%s", err.msg);
    tiny_remove_folder(to);

    /* No folder to put it into: told by the name that was given, not that of the unfinished one. */
    char below[160];
    snprintf(below, sizeof below, "%s/no/such", folder);
    assert_int_equal(convert(folder, below, 0, &r, &err), DR_ERR_IO);
    assert_non_null(strstr(err.msg, "/no/such: No such file"));
    assert_null(strstr(err.msg, "partial"));

    /* A folder that cannot be written into. */
    assert_int_equal(convert(folder, "/proc/deepread-out", 0, &r, &err), DR_ERR_IO);
    assert_non_null(strstr(err.msg, "/proc/deepread-out"));
    tiny_remove_folder(folder);
    tiny_free(t);
}

static void convert__official_names_need_none(void **state)
{
    (void)state;
    tiny *t = sample(TINY_FP4);
    char folder[64], to[80];
    dr_convert_report r;
    dr_error err = {0};
    tiny_write(t, folder, 1);
    target_of(to, folder);
    assert_int_equal(convert(folder, to, 0, &r, &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "nothing to convert"));
    assert_false(dr_foreign_folder(folder));
    assert_false(dr_foreign_folder("/tmp/deepread-there-is-no-such-folder"));
    tiny_remove_folder(folder);
    tiny_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign__no_name_is_shared),
        cmocka_unit_test(convert__gives_the_original_back),
        cmocka_unit_test(convert__rounds_what_was_saved_in_f32),
        cmocka_unit_test(convert__scales_of_f32_are_powers_of_two),
        cmocka_unit_test(convert__refuses_what_does_not_fit),
        cmocka_unit_test(convert__leaves_nothing_when_it_is_stopped),
        cmocka_unit_test(convert__official_names_need_none),
    };
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
