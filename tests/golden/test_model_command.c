/* `deepread model ...` as other programs see it: files and standard streams of the program named by the first argument. */
#include "tests/golden/checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;
static char folder[64]; /* checkpoint "mtp", with a small tokenizer and the bundled model's dialect */

enum { COMMAND = 1024 };

static int copy(const char *from, const char *name)
{
    char to[128];
    dr_buf file = {0};
    dr_error err = {0};

    snprintf(to, sizeof to, "%s/%s", folder, name);
    const bool good = dr_read_file(&file, from, 64 << 20, &err) == DR_OK && dr_write_file(to, file.data, file.n, &err) == DR_OK;
    if (!good)
        print_error("%s\n", err.msg);
    dr_buf_free(&file);
    return good ? 0 : -1;
}

static int set_up(void **state)
{
    char tokens[256];
    dr_error err = {0};

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/deepread-model-XXXXXX");
    if (!mkdtemp(folder) || golden_write(folder, "mtp", &err) != DR_OK) {
        print_error("%s\n", err.msg);
        return -1;
    }
    golden_path(tokens, "mtp", "tokens.json");
    return copy(tokens, "tokens.json") || copy("tests/golden/tokenizer/tokenizer.json", "tokenizer.json") ||
                   copy("models/nano/dialect.json", "dialect.json")
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    (void)state;
    golden_remove(folder);
    return 0;
}

static void put(const char *name, const void *data, size_t n)
{
    char path[128];
    dr_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (dr_write_file(path, data, n, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static dr_buf get(const char *name)
{
    char path[128];
    dr_buf b = {0};
    dr_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (dr_read_file(&b, path, 64 << 20, &err) != DR_OK)
        fail_msg("%s", err.msg);
    return b;
}

/* Runs "deepread model ARGUMENTS" in the folder; standard input, output and errors are the files in, out and err there. */
static int run(const char *fmt, ...) DR_PRINTF(1, 2);
static int run(const char *fmt, ...)
{
    char command[COMMAND];
    va_list ap;
    int n = snprintf(command, sizeof command, "cd '%s' && '%s' model ", folder, program);

    va_start(ap, fmt);
    n += vsnprintf(command + n, sizeof command - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(command + n, sizeof command - (size_t)n, " <in >out 2>err");
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void done(int code)
{
    if (code != 0) {
        dr_buf err = get("err");
        fail_msg("exit %d: %s", code, err.data);
    }
}

static void assert_output(const char *expected)
{
    dr_buf out = get("out");
    assert_string_equal(out.data, expected);
    dr_buf_free(&out);
}

static void assert_same_files(const char *a, const char *b)
{
    dr_buf x = get(a), y = get(b);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.data, y.data, x.n);
    dr_buf_free(&x);
    dr_buf_free(&y);
}

static void logits__every_way_gives_the_same_file(void **state)
{
    static const char *const ways[] = {"--backend ref --chunk 1",  "--backend ref --chunk 7", "--backend ref --chunk 4096",
                                       "--backend x86 --chunk 64", "--threads 2",             "--backend x86 --isa avx2"};

    (void)state;
    put("in", "", 0);
    done(run("logits . --tokens tokens.json --out ref.npy --backend ref --threads 1"));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        const int code = run("logits . --tokens tokens.json --out a.npy %s", ways[i]);
        if (code == 2 && strstr(ways[i], "avx2"))
            continue; /* not on this machine */
        done(code);
        assert_same_files("a.npy", "ref.npy");
    }
}

static void logits__mtp_file_beside(void **state)
{
    char path[128];
    float *values;
    int64_t rows, columns;
    dr_error err = {0};

    (void)state;
    put("in", "", 0);
    done(run("logits . --tokens tokens.json --out a.npy --wide --mtp"));
    snprintf(path, sizeof path, "%s/a.mtp.npy", folder);
    if (golden_npy(path, &values, &rows, &columns, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(rows, 160);
    assert_int_equal(columns, 96);
    assert_true(!isnan(values[(rows - 2) * columns]));
    assert_true(isnan(values[(rows - 1) * columns]) != 0); /* no token follows the last */
    free(values);
}

static void logits__no_tokens_give_an_empty_matrix(void **state)
{
    (void)state;
    put("in", "", 0);
    put("tokens.json", "[]", 2);
    done(run("logits . --tokens tokens.json --out a.npy"));
    dr_buf file = get("a.npy");
    assert_int_equal(file.n, 128);
    assert_non_null(strstr(file.data + 10, "'shape': (0, 96)"));
    dr_buf_free(&file);
}

static void logits__a_failed_run_leaves_no_file(void **state)
{
    char path[128];

    (void)state;
    put("in", "", 0);
    put("tokens.json", "[5, 96]", 7);
    assert_int_equal(run("logits . --tokens tokens.json --out a.npy"), 2);
    snprintf(path, sizeof path, "%s/a.npy", folder);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(run("logits . --tokens tokens.json --out nowhere/a.npy"), 2);
}

static void tokenize__bytes_come_back(void **state)
{
    char text[512];

    (void)state;
    for (int i = 0; i < 512; i++) /* every byte, and not UTF-8 */
        text[i] = (char)(i * 7);
    put("in", text, sizeof text);
    done(run("tokenize . --ids"));
    dr_buf ids = get("out");
    put("in", ids.data, ids.n);
    dr_buf_free(&ids);
    done(run("tokenize . --decode"));
    dr_buf out = get("out");
    assert_int_equal(out.n, sizeof text);
    assert_memory_equal(out.data, text, sizeof text);
    dr_buf_free(&out);
}

static void tokenize__lines_show_every_token(void **state)
{
    (void)state;
    put("in", "", 0);
    done(run("tokenize ."));
    assert_output("");
    done(run("tokenize . --ids"));
    assert_output("[]\n");
    put("in", "\"\xff", 2);
    done(run("tokenize ."));
    dr_buf out = get("out");
    assert_non_null(strstr(out.data, "\t\"\\\"\"\n"));
    assert_non_null(strstr(out.data, "\t0xff\n")); /* half a character is shown by its bytes */
    dr_buf_free(&out);
}

static void render_and_parse__are_reachable(void **state)
{
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"hi\"}]";

    (void)state;
    put("in", "", 0);
    put("messages.json", messages, sizeof messages - 1);
    done(run("render . --messages messages.json"));
    dr_buf out = get("out");
    assert_non_null(strstr(out.data, "hi"));
    dr_buf_free(&out);
    put("in", "yes", 3);
    done(run("parse ."));
    assert_output("{\"content\": \"yes\", \"reasoning_content\": \"\", \"tool_calls\": [], \"finish\": \"length\", "
                  "\"malformed\": null}\n");
}

static void check__full_adds_digests(void **state)
{
    char expected[256], text[256] = "";
    FILE *list = NULL;

    (void)state;
    put("in", "", 0);
    done(run("check . --full"));
    golden_path(expected, "", "checkpoints.txt");
    assert_non_null(list = fopen(expected, "r"));
    while (fgets(text, sizeof text, list) && !strstr(text, " mtp "))
        ;
    fclose(list);
    text[64] = 0;
    snprintf(expected, sizeof expected, "\"model.safetensors\":\"%s\"", text);
    dr_buf out = get("out");
    assert_non_null(strstr(out.data, expected));
    dr_buf_free(&out);
}

static void put_config(const char *name, const char *from)
{
    dr_buf file = {0};
    dr_error err = {0};
    if (dr_read_file(&file, from, 1 << 20, &err) != DR_OK)
        fail_msg("%s", err.msg);
    put(name, file.data, file.n);
    dr_buf_free(&file);
}

/* The folder's own tensors are those of its plan: as many lines as `check` counts tensors. */
static void plan__lists_every_tensor(void **state)
{
    (void)state;
    put("in", "", 0);
    done(run("plan ."));
    dr_buf out = get("out");
    size_t lines = 0;
    for (const char *at = out.data; (at = strchr(at, '\n')); at++)
        lines++;
    assert_non_null(strstr(out.data, "embed.weight\tBF16\t96x128\t24576\n"));
    assert_non_null(strstr(out.data, "mtp.0.e_proj.scale\tF8_E8M0\t1x1\t1\n"));
    dr_buf_free(&out);
    done(run("check ."));
    out = get("out");
    char tensors[64];
    snprintf(tensors, sizeof tensors, "\"tensors\":%zu,", lines - 1);
    assert_non_null(strstr(out.data, tensors));
    dr_buf_free(&out);

    put_config("flash.json", "tests/engine/configs/flash.json");
    done(run("plan flash.json"));
    out = get("out");
    assert_non_null(strstr(out.data, "\n69,187 tensors, 148.66 GiB with the headers of their files (linears FP8, experts FP4)\n"));
    dr_buf_free(&out);
    done(run("plan flash.json --json"));
    out = get("out");
    assert_non_null(strstr(out.data, "{\"type\":\"tensor\",\"name\":\"layers.42.attn.indexer.wq_b.scale\",\"dtype\":\"F8_E8M0\","
                                     "\"shape\":[64,8],\"bytes\":512}"));
    assert_non_null(strstr(out.data, "\"type\":\"plan\",\"schema\":1,\"tensors\":69187,"));
    dr_buf_free(&out);
}

static void cost__says_what_a_token_takes(void **state)
{
    (void)state;
    put("in", "", 0);
    put_config("pro.json", "tests/engine/configs/pro.json");
    done(run("cost pro.json"));
    dr_buf out = get("out");
    assert_non_null(strstr(out.data, "145,116 tensors, 805.33 GiB of files; context 1,048,576 tokens"));
    assert_non_null(strstr(out.data, "compute 26.2 %, in FP8 equivalents 26.5 %, KV 10.5 %"));
    assert_non_null(strstr(out.data, "NVIDIA H200"));
    dr_buf_free(&out);
    done(run("cost pro.json --context 4096 --chunk 1000 --json"));
    out = get("out");
    assert_non_null(strstr(out.data, "\"context\":4096,\"chunk\":1024,"));
    assert_non_null(strstr(out.data, "\"per_token\":5031.4375"));
    dr_buf_free(&out);
    assert_int_equal(run("cost pro.json --context 2000000"), 2);
    done(run("cost"));  /* the bundled model */
    done(run("cost ."));
}

static void assert_error(const char *says)
{
    dr_buf err = get("err");
    if (!strstr(err.data, says))
        fail_msg("expected \"%s\": %s", says, err.data);
    dr_buf_free(&err);
}

/* What transformers wrote is refused with the command that converts it; that command asks where to, and tells what is missing. */
static void tokenize__one_object_for_programs(void **state)
{
    (void)state;
    put("in", "[1, 2]", 6);
    done(run("tokenize . --decode --json"));
    assert_output("{\"type\":\"tokens\",\"schema\":1,\"ids\":[1,2],\"text\":\"\\\"#\"}\n");
    put("in", "", 0);
    done(run("tokenize . --json"));
    assert_output("{\"type\":\"tokens\",\"schema\":1,\"ids\":[],\"text\":\"\"}\n");
    assert_int_equal(run("check config.json"), 2);
    assert_error("config.json is a file: model check takes the folder");
}

static void import__of_foreign_names(void **state)
{
    static const char header[] = "{\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}} ";
    char file[8 + sizeof header - 1 + 4] = {0}, path[128];

    (void)state;
    put("in", "", 0);
    dr_store_u64(file, sizeof header - 1);
    memcpy(file + 8, header, sizeof header - 1);
    put("model.safetensors", file, sizeof file);
    assert_int_equal(run("check ."), 2);
    assert_error("\"deepread model import . --out FOLDER\"");
    assert_int_equal(run("import ."), 2);
    assert_error("--out FOLDER");
    assert_int_equal(run("import . --out elsewhere"), 2);
    assert_error("embed.weight: missing (model.embed_tokens.weight in transformers' names)");
    snprintf(path, sizeof path, "%s/elsewhere", folder);
    assert_int_equal(access(path, F_OK), -1);
}

static void usage__is_refused_with_a_sentence(void **state)
{
    static const char *const wrong[] = {"", "frob", "check a b", "plan nowhere", "cost nowhere.json", "plan a b", "logits .", "logits . --tokens tokens.json",
                                        "logits . --tokens tokens.json --out a.npy --backend cuda",
                                        "logits . --tokens tokens.json --out a.npy --backend ref --isa amx",
                                        "logits . --tokens tokens.json --out a.npy --wide --isa ref",
                                        "logits . --tokens missing.json --out a.npy", "tokenize . --decode --ids",
                                        "render .", "render . --messages tokens.json", "parse . --mode loud",
                                        "render . --messages tokens.json --drop --no-drop"};

    (void)state;
    put("in", "", 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (run("%s", wrong[i]) != 2)
            fail_msg("model %s: not refused", wrong[i]);
        dr_buf err = get("err");
        assert_int_equal(strncmp(err.data, "deepread: ", 10), 0);
        dr_buf_free(&err);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(logits__every_way_gives_the_same_file), CASE(logits__mtp_file_beside),
        CASE(logits__no_tokens_give_an_empty_matrix), CASE(logits__a_failed_run_leaves_no_file),
        CASE(tokenize__bytes_come_back), CASE(tokenize__lines_show_every_token), CASE(render_and_parse__are_reachable),
        CASE(check__full_adds_digests), CASE(plan__lists_every_tensor), CASE(cost__says_what_a_token_takes),
        CASE(import__of_foreign_names), CASE(tokenize__one_object_for_programs), CASE(usage__is_refused_with_a_sentence),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: %s PROGRAM\n", argv[0]);
        return 1;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
