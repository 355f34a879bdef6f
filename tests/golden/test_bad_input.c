/* Damaged model folders through the program itself: exit code 2 and one message that names the file, the tensor and what was
 * expected. Under the address sanitizer a crash shows as another exit code. The program's path is the first argument. */
#include "tests/golden/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;
static char folder[64], output[80]; /* a sound copy of the checkpoint "hash"; the program's messages */

enum { TEXT = 1 << 16, EXIT_BAD_INPUT = 2 };

static const char *in_folder(const char *file)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

static int set_up(void **state)
{
    dr_error err = {0};

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/deepread-bad-XXXXXX");
    if (!mkdtemp(folder) || golden_write(folder, "hash", &err) != DR_OK) {
        print_error("%s\n", err.msg);
        return -1;
    }
    snprintf(output, sizeof output, "%s.txt", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    golden_remove(folder);
    unlink(output);
    return 0;
}

static dr_buf load(const char *file)
{
    dr_buf b = {0};
    dr_error err = {0};
    if (dr_read_file(&b, in_folder(file), 64 << 20, &err) != DR_OK)
        fail_msg("%s", err.msg);
    return b;
}

static void save(const char *file, const void *data, size_t n)
{
    dr_error err = {0};
    if (dr_write_file(in_folder(file), data, n, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static void save_text(const char *file, const char *text)
{
    save(file, text, strlen(text));
}

/* Replaces the first `from` of a text file. */
static void edit(const char *file, const char *from, const char *to)
{
    dr_buf before = load(file), after = {0};
    const char *at = strstr(before.data, from);

    assert_non_null(at);
    dr_buf_add(&after, before.data, (size_t)(at - before.data));
    dr_buf_str(&after, to);
    dr_buf_str(&after, at + strlen(from));
    save(file, after.data, after.n);
    dr_buf_free(&before);
    dr_buf_free(&after);
}

/* The same in the header of model.safetensors; the data follow as they were. */
static void edit_header(const char *from, const char *to)
{
    dr_buf before = load("model.safetensors"), after = {0};
    const size_t n = (size_t)dr_load_u64(before.data);
    char *header = strndup(before.data + 8, n), *at = strstr(header, from);
    uint8_t length[8];

    assert_non_null(at);
    dr_store_u64(length, n - strlen(from) + strlen(to));
    dr_buf_add(&after, length, sizeof length);
    dr_buf_add(&after, header, (size_t)(at - header));
    dr_buf_str(&after, to);
    dr_buf_str(&after, at + strlen(from));
    dr_buf_add(&after, before.data + 8 + n, before.n - 8 - n);
    save("model.safetensors", after.data, after.n);
    free(header);
    dr_buf_free(&before);
    dr_buf_free(&after);
}

/* The place of a tensor's data in the file. */
static size_t data_of(const dr_buf *file, const char *tensor)
{
    const size_t n = (size_t)dr_load_u64(file->data);
    char *header = strndup(file->data + 8, n), *at = strstr(header, tensor);
    size_t offset = 0;

    assert_non_null(at);
    assert_int_equal(sscanf(strstr(at, "data_offsets"), "data_offsets\":[%zu", &offset), 1);
    free(header);
    return 8 + n + offset;
}

static void edit_data(const char *tensor, size_t at, uint8_t byte)
{
    dr_buf file = load("model.safetensors");
    file.data[data_of(&file, tensor) + at] = (char)byte;
    save("model.safetensors", file.data, file.n);
    dr_buf_free(&file);
}

static void shorten(long bytes)
{
    dr_buf file = load("model.safetensors");
    save("model.safetensors", file.data, bytes < 0 ? file.n - (size_t)-bytes : (size_t)bytes);
    dr_buf_free(&file);
}

/* Runs "deepread model WHAT FOLDER ...", all output into text. Returns the exit code, 128 + signal when killed. */
static int run(char text[TEXT], const char *what)
{
    char command[1024];
    dr_buf found = {0};

    if (strcmp(what, "logits") == 0)
        snprintf(command, sizeof command,
                 "'%s' model logits '%s' --backend ref --tokens '%s/tokens.json' --out '%s/out.npy' >'%s' 2>&1", program,
                 folder, folder, folder, output);
    else
        snprintf(command, sizeof command, "'%s' model %s '%s' >'%s' 2>&1", program, what, folder, output);
    const int status = system(command);
    assert_int_equal(dr_read_file(&found, output, TEXT - 1, NULL), DR_OK);
    memcpy(text, found.data, found.n);
    text[found.n] = 0;
    dr_buf_free(&found);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The program refuses, and its message holds every one of the words. */
static void refused(const char *what, int n_words, ...)
{
    char text[TEXT];
    const int code = run(text, what);
    va_list words;

    if (code != EXIT_BAD_INPUT)
        fail_msg("model %s: exit %d, expected %d:\n%s", what, code, EXIT_BAD_INPUT, text);
    va_start(words, n_words);
    for (int i = 0; i < n_words; i++) {
        const char *word = va_arg(words, const char *);
        if (!strstr(text, word))
            fail_msg("model %s: \"%s\" is not in the message:\n%s", what, word, text);
    }
    va_end(words);
}

/* ---- the folder and its configuration ---- */

static void bad_input__sound_folder_is_accepted(void **state)
{
    char text[TEXT];
    struct stat sb;

    (void)state;
    save_text("tokens.json", "[1, 2, 3]");
    if (run(text, "check") != 0 || run(text, "logits") != 0)
        fail_msg("%s", text);
    assert_int_equal(stat(in_folder("out.npy"), &sb), 0);
    assert_int_equal(sb.st_size, 128 + 3 * 96 * 4);
}

static void bad_input__missing_files(void **state)
{
    (void)state;
    unlink(in_folder("model.safetensors"));
    refused("check", 1, "model.safetensors");
    refused("logits", 1, "tokens.json");
    unlink(in_folder("config.json"));
    refused("check", 1, "config.json");
    rmdir(folder);
    refused("check", 1, folder);
}

static void bad_input__config_is_not_json(void **state)
{
    (void)state;
    save_text("config.json", "{\"hidden_size\": 128,");
    refused("check", 1, "config.json");
    save_text("config.json", "");
    refused("check", 1, "config.json");
    save_text("config.json", "[]");
    refused("check", 1, "config.json");
}

static void bad_input__config_values(void **state)
{
    (void)state;
    edit("config.json", "\"hidden_size\": 128", "\"hidden_size\": \"wide\"");
    edit("config.json", "\"head_dim\": 96", "\"head_dim\": -96");
    edit("config.json", "\"hc_mult\": 4", "\"hc_molt\": 4");
    refused("check", 4, "config.json", "hidden_size", "head_dim", "hc_mult"); /* all at once */
}

static void bad_input__unknown_layer_kind(void **state)
{
    (void)state;
    edit("config.json", "\"compress_ratios\": [\n    0", "\"compress_ratios\": [\n    -4");
    refused("check", 3, "config.json", "layer 0", "ratio -4");
    edit("config.json", "\"compress_ratios\": [\n    -4", "\"layer_types\": [\n    \"linear_attention\"");
    refused("check", 2, "config.json", "linear_attention");
}

/* Plan and cost need no weights; what they cannot make sense of they refuse as `check` does. */
static void bad_input__configs_to_plan_and_cost(void **state)
{
    static const char *const whats[] = {"plan", "cost"};

    (void)state;
    unlink(in_folder("model.safetensors"));
    for (size_t i = 0; i < 2; i++) {
        char text[TEXT];
        if (run(text, whats[i]) != 0)
            fail_msg("model %s: %s", whats[i], text);
    }
    edit("config.json", "\"n_routed_experts\": 8", "\"n_routed_experts\": 65536");
    edit("config.json", "\"num_hidden_layers\": 1", "\"num_hidden_layers\": 1000");
    for (size_t i = 0; i < 2; i++)
        refused(whats[i], 2, "config.json", "entries");
    edit("config.json", "\"model_type\": \"deepseek_v4\"", "\"model_type\": \"deepseek_v41\"");
    for (size_t i = 0; i < 2; i++)
        refused(whats[i], 2, "config.json", "DeepSeek-V4.1 is another architecture");
    unlink(in_folder("config.json"));
    for (size_t i = 0; i < 2; i++)
        refused(whats[i], 1, "config.json");
}

static void bad_input__dims_of_another_model(void **state)
{
    (void)state;
    edit("config.json", "\"moe_intermediate_size\": 64", "\"moe_intermediate_size\": 128");
    refused("check", 3, "layers.0.ffn.experts.7.w2.weight", "model.safetensors", "expected"); /* every tensor, not the first */
}

/* ---- the header ---- */

static void bad_input__truncated_file(void **state)
{
    (void)state;
    shorten(-1);
    refused("check", 2, "model.safetensors", "layers.0.ffn.shared_experts.w3.scale");
    shorten(100);
    refused("check", 1, "model.safetensors");
    shorten(7);
    refused("check", 1, "model.safetensors");
    shorten(0);
    refused("check", 1, "model.safetensors");
}

static void bad_input__bytes_after_the_last_tensor(void **state)
{
    dr_buf file = load("model.safetensors");

    (void)state;
    dr_buf_str(&file, "more");
    save("model.safetensors", file.data, file.n);
    dr_buf_free(&file);
    refused("check", 1, "model.safetensors");
}

static void bad_input__header_length_lies(void **state)
{
    static const uint64_t lengths[] = {0, 1, 1 << 30, UINT64_MAX, UINT64_MAX - 7, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        dr_buf file = load("model.safetensors");
        dr_store_u64(file.data, lengths[i]);
        save("model.safetensors", file.data, file.n);
        dr_buf_free(&file);
        refused("check", 1, "model.safetensors");
    }
}

static void bad_input__header_is_not_json(void **state)
{
    (void)state;
    edit_header("{\"embed", "{\"embed\x01");
    refused("check", 1, "model.safetensors");
    edit_header("{\"embed\x01", "[\"embed");
    refused("check", 1, "model.safetensors");
}

static void bad_input__overlapping_tensors(void **state)
{
    (void)state;
    edit_header("\"head.weight\":{\"dtype\":\"BF16\",\"shape\":[96,128],\"data_offsets\":[24576,49152]",
                "\"head.weight\":{\"dtype\":\"BF16\",\"shape\":[96,128],\"data_offsets\":[24574,49150]");
    refused("check", 3, "model.safetensors", "head.weight", "overlap");
}

static void bad_input__offsets_lie(void **state)
{
    static const char *const offsets[] = {"[24576,1099511627776]", "[49152,24576]", "[-1,49151]", "[24576,49151]", "[24576]",
                                          "[24576,9223372036854775807]", "[24576,1e30]", "\"all\""};
    char before[64] = "[24576,49152]";

    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        edit_header(before, offsets[i]);
        refused("check", 2, "model.safetensors", "head.weight");
        snprintf(before, sizeof before, "%s", offsets[i]);
    }
}

static void bad_input__unknown_dtype(void **state)
{
    (void)state;
    edit_header("\"head.weight\":{\"dtype\":\"BF16\"", "\"head.weight\":{\"dtype\":\"Q4_K\"");
    refused("check", 4, "model.safetensors", "head.weight", "Q4_K", "expected");
}

static void bad_input__shape_overflows(void **state)
{
    (void)state;
    edit_header("\"shape\":[96,128]", "\"shape\":[4294967296,4294967297]");
    refused("check", 2, "model.safetensors", "embed.weight");
}

static void bad_input__tensor_twice(void **state)
{
    (void)state;
    edit_header("\"head.weight\"", "\"embed.weight\"");
    refused("check", 2, "model.safetensors", "embed.weight");
}

/* ---- names, shapes, values ---- */

static void bad_input__wrong_shape_and_dtype(void **state)
{
    (void)state;
    edit_header("wq_a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[64,128]", "wq_a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[128,64]");
    edit_header("wkv.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[96,128]", "wkv.weight\":{\"dtype\":\"BF16\",\"shape\":[48,128]");
    edit_header("hc_attn_base\":{\"dtype\":\"F32\",\"shape\":[24]", "hc_attn_base\":{\"dtype\":\"F32\",\"shape\":[4,6]");
    refused("check", 6, "model.safetensors", "layers.0.attn.wq_a.weight", "128x64", "64x128", "layers.0.attn.wkv.weight",
            "layers.0.hc_attn_base");
}

static void bad_input__missing_and_unknown_tensors(void **state)
{
    (void)state;
    edit_header("attn.q_norm.weight", "attn.r_norm.weight");
    edit_header("experts.3.w1.weight", "experts.9.w1.weight");
    refused("check", 4, "layers.0.attn.q_norm.weight", "layers.0.attn.r_norm.weight", "layers.0.ffn.experts.3.w1.weight",
            "layers.0.ffn.experts.9.w1.weight");
}

static void bad_input__nan_scale(void **state)
{
    (void)state;
    save_text("tokens.json", "[1, 2, 3]");
    edit_data("layers.0.ffn.experts.5.w2.scale", 7, 255);
    refused("check", 5, "model.safetensors", "layers.0.ffn.experts.5.w2.", "row 3", "column 32", "NaN");
    refused("logits", 3, "model.safetensors", "layers.0.ffn.experts.5.w2.", "NaN");
}

static void bad_input__scale_out_of_range(void **state)
{
    (void)state;
    save_text("tokens.json", "[1, 2, 3]");
    edit_data("layers.0.attn.wq_a.scale", 0, 0); /* 2^-127: the products are below what BF16 can hold */
    refused("logits", 2, "model.safetensors", "layers.0.attn.wq_a.weight");
}

static void bad_input__expert_table_out_of_range(void **state)
{
    (void)state;
    edit_data("layers.0.ffn.gate.tid2eid", 8, 8); /* experts are 0 to 7 */
    refused("check", 2, "model.safetensors", "layers.0.ffn.gate.tid2eid");
    edit_data("layers.0.ffn.gate.tid2eid", 15, 255);
    refused("check", 2, "model.safetensors", "layers.0.ffn.gate.tid2eid");
}

/* ---- shards, tokens ---- */

static void bad_input__index_of_shards(void **state)
{
    (void)state;
    assert_int_equal(rename(in_folder("model.safetensors"), output), 0);
    save_text("model.safetensors.index.json", "{\"weight_map\": {\"embed.weight\": \"../elsewhere.safetensors\"}}");
    refused("check", 2, "model.safetensors.index.json", "elsewhere");
    save_text("model.safetensors.index.json", "{\"weight_map\": {\"embed.weight\": \"a.safetensors\"}}");
    refused("check", 2, "a.safetensors", "1 of 1 shards is missing");
    refused("check --json", 5, "{\"type\":\"check\",\"schema\":1,\"model\":", "\"good\":false", "\"state\":\"missing\"", "\"missing_bytes\":24576", "a.safetensors");
    save_text("model.safetensors.index.json", "{\"weight_map\": []}");
    refused("check", 1, "model.safetensors.index.json");
    save_text("model.safetensors.index.json", "{");
    refused("check", 1, "model.safetensors.index.json");
}

static void bad_input__tokens(void **state)
{
    static const char *const lists[] = {"[1, 96]", "[-1]", "[1, 2.5]", "[1, \"a\"]", "{\"ids\": [1]}", "[1, 2", "", "[4294967297]"};

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        save_text("tokens.json", lists[i]);
        refused("logits", 1, "tokens.json");
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(bad_input__##name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(sound_folder_is_accepted), CASE(missing_files), CASE(config_is_not_json), CASE(config_values),
        CASE(unknown_layer_kind), CASE(configs_to_plan_and_cost), CASE(dims_of_another_model), CASE(truncated_file), CASE(bytes_after_the_last_tensor),
        CASE(header_length_lies), CASE(header_is_not_json), CASE(overlapping_tensors), CASE(offsets_lie),
        CASE(unknown_dtype), CASE(shape_overflows), CASE(tensor_twice), CASE(wrong_shape_and_dtype),
        CASE(missing_and_unknown_tensors), CASE(nan_scale), CASE(scale_out_of_range), CASE(expert_table_out_of_range),
        CASE(index_of_shards), CASE(tokens),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: %s PROGRAM\n", argv[0]);
        return 1;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
