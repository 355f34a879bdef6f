/* A made-up past: what the report says of it is what two packs compared byte by byte say. */
#include "app/bench_history.h"
#include "app/pack.h"
#include "tests/repo/make_repo.h"

#include <stdlib.h>
#include <string.h>

enum { N_COMMITS = 14, RULES_CHANGE = 9 };

static git_oid commits[N_COMMITS];
static world w;

static int set_up(void **state)
{
    (void)state;
    w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    for (int i = 0; i < N_COMMITS; i++) {
        dr_buf text = {0};
        for (int line = 0; line < 400; line++)
            dr_buf_printf(&text, "int value_%d = %d;\n", line, line % N_COMMITS == i ? -line : line);
        write_file(in(&w, "r/src/values.c"), text.data, text.n);
        dr_buf_free(&text);
        if (i == 0)
            write_text(in(&w, "r/README"), "A program without a purpose.\n");
        if (i == 4)
            write_text(in(&w, "r/docs/new.md"), "# New\n\nA file more.\n");
        if (i == RULES_CHANGE)
            write_text(in(&w, "r/.gitattributes"), "docs/** linguist-generated\n");
        commits[i] = commit_all(git, "step");
    }
    git_repository_free(git);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static void text_at(dr_buf *out, const dr_tokenizer *t, const git_oid *commit, const git_oid *base)
{
    char hex[41], base_hex[41];
    dr_error err = {0};
    dr_pack p;
    git_oid_tostr(hex, sizeof hex, commit);
    git_oid_tostr(base_hex, sizeof base_hex, base);
    dr_repo *r = open_ok(in(&w, "r"), &(dr_repo_options){.rev = hex});
    if (dr_pack_build(&p, r, NULL, t, &(dr_pack_options){.mode = DR_PACK_FULL, .base = base_hex}, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_buf_clear(out);
    dr_pack_text(out, &p, 0, (int64_t)p.ids.n);
    dr_pack_fini(&p);
    dr_repo_close(r);
}

static json_int_t number(json_t *list, size_t i, const char *key)
{
    return json_integer_value(json_object_get(json_array_get(list, i), key));
}

static void bench_history__counts_what_changed(void **state)
{
    (void)state;
    enum { N = 10, FIRST = N_COMMITS - 1 - N, LONGEST_TOKEN = 256 };
    dr_error err = {0};
    dr_output out = {.json = true};
    json_t *report = json_object();
    const dr_options opt = {.path = in(&w, "r"), .model = "models/nano", .budget = -1, .seed = -1, .threads = 1};
    if (dr_bench_history(&opt, N, in(&w, "cache"), report, &out, NULL, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(err.code, DR_OK);
    json_t *list = json_object_get(report, "commits");
    assert_int_equal(json_array_size(list), N + 1);
    assert_true(json_real_value(json_object_get(report, "history_commits")) == N);

    dr_tokenizer *t = NULL;
    assert_int_equal(dr_tokenizer_open(&t, "models/nano/tokenizer.json", &err), DR_OK);
    dr_buf before = {0}, now = {0};
    const git_oid *base = &commits[FIRST];
    double sum = 0;
    int n_repacks = 0;
    for (size_t i = 0; i <= N; i++) {
        const git_oid *commit = &commits[FIRST + i];
        char hex[41];
        git_oid_tostr(hex, sizeof hex, commit);
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "commit")), hex);
        const bool repacked = json_is_true(json_object_get(json_array_get(list, i), "repacked"));
        if (FIRST + i == RULES_CHANGE)
            assert_true(repacked);
        n_repacks += repacked;
        base = repacked ? commit : base;
        text_at(&now, t, commit, base);
        assert_int_equal(number(list, i, "bytes"), now.n);
        size_t same = 0;
        while (same < before.n && same < now.n && before.data[same] == now.data[same])
            same++;
        /* Counted from the token that the first different byte is in. */
        assert_true(number(list, i, "after_bytes") >= (json_int_t)(now.n - same));
        assert_true(number(list, i, "after_bytes") <= (json_int_t)(now.n - same) + LONGEST_TOKEN);
        if (i)
            sum += 100.0 * (double)number(list, i, "after_bytes") / (double)now.n;
        dr_buf_clear(&before);
        dr_buf_add(&before, now.data, now.n);
    }
    assert_true(n_repacks >= 1);
    assert_true(json_real_value(json_object_get(report, "history_repacks")) == n_repacks);
    const double mean = json_real_value(json_object_get(report, "history_after_mean"));
    assert_true(mean > sum / N - 1e-9 && mean < sum / N + 1e-9);
    assert_true(json_real_value(json_object_get(report, "history_after_max")) >= mean);
    dr_tokenizer_close(t);
    dr_buf_free(&before);
    dr_buf_free(&now);
    json_decref(report);
}

static void bench_history__takes_what_there_is(void **state)
{
    (void)state;
    dr_error err = {0};
    dr_output out = {.json = true};
    json_t *report = json_object();
    dr_options opt = {.path = in(&w, "r"), .model = "models/nano", .budget = -1, .seed = -1, .threads = 1};
    assert_int_equal(dr_bench_history(&opt, 1000, in(&w, "cache_long"), report, &out, NULL, &err), DR_OK);
    assert_true(json_real_value(json_object_get(report, "history_commits")) == N_COMMITS - 1);
    json_decref(report);
    report = json_object();

    char first[41];
    git_oid_tostr(first, sizeof first, &commits[0]);
    opt.rev = first;
    assert_int_equal(dr_bench_history(&opt, 10, in(&w, "cache_one"), report, &out, NULL, &err), DR_ERR_NOT_FOUND);
    opt.rev = NULL;
    write_text(in(&w, "plain/a.c"), "int a;\n");
    opt.path = in(&w, "plain");
    assert_int_equal(dr_bench_history(&opt, 10, in(&w, "cache_plain"), report, &out, NULL, &err), DR_ERR_NOT_FOUND);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_history__counts_what_changed),
        cmocka_unit_test(bench_history__takes_what_there_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
