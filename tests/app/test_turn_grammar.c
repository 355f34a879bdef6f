/* What a turn may say: calls, sentences and lists, before and after results, for closed and for open models. */
#include "app/turn_grammar.h"
#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CALL(name, key, value)                                                                                             \
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"" name "\">\n<｜DSML｜parameter name=\"" key "\" string=\"true\">" value      \
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"
#define EOS "<｜end▁of▁sentence｜>"

static sample_folder folder;
static dr_tokenizer *tokenizer;
static dr_profile nano, open_model;

static int set_up(void **state)
{
    (void)state;
    dr_error err = {0};
    sample_folder_open(&folder);
    if (dr_tokenizer_open(&tokenizer, "models/nano/tokenizer.json", &err) != DR_OK ||
        dr_profile_open(&nano, "models/nano", &err) != DR_OK || dr_profile_open(&open_model, folder.path, &err) != DR_OK)
        fail_msg("%s", err.msg);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dr_profile_fini(&nano);
    dr_profile_fini(&open_model);
    dr_tokenizer_close(tokenizer);
    sample_folder_close(&folder);
    return 0;
}

typedef struct scene {
    const dr_profile *profile;
    const char *question;
    const char *tool, *arguments; /* one call that was made, or NULL */
    bool may_call;
} scene;

/* Can the text be sampled whole, from the first token to the end of the grammar? */
static bool says(const scene *sc, const char *text)
{
    dr_error err = {0};
    dr_words words;
    dr_tool_result result = {0};
    dr_turn_grammar g;
    dr_constraint *c = NULL;
    dr_ids ids = {0};
    const dr_workspace w = sample_folder_workspace(&folder);
    const dr_str paths[] = {DR_STR("src/list.c"), DR_STR("src/list.h"), DR_STR("src/main.c"), DR_STR("tool.py")};

    assert_int_equal(dr_words_init(&words, dr_str_of(sc->question), &err), DR_OK);
    if (sc->tool)
        assert_int_equal(dr_tool_run(&result, &w, dr_str_of(sc->tool), dr_str_of(sc->arguments), &err), DR_OK);
    const dr_turn_context context = {.profile = sc->profile,
                                     .tokenizer = tokenizer,
                                     .workspace = &w,
                                     .words = &words,
                                     .paths = paths,
                                     .n_paths = 4,
                                     .eos_id = dr_tokenizer_special(tokenizer, EOS),
                                     .results = &result,
                                     .n_results = sc->tool ? 1 : 0,
                                     .may_call = sc->may_call};
    if (dr_turn_grammar_build(&g, &context, &err) != DR_OK ||
        dr_constraint_new(&c, g.grammar, g.root, &err) != DR_OK ||
        dr_tokenizer_encode(tokenizer, &ids, dr_str_of(text), true, &err) != DR_OK)
        fail_msg("%s", err.msg);
    bool legal = true;
    for (size_t i = 0; i < ids.n && legal; i++) {
        legal = dr_constraint_allows(c, tokenizer, ids.v[i]);
        if (legal)
            assert_int_equal(dr_constraint_advance(c, tokenizer, ids.v[i], &err), DR_OK);
    }
    legal = legal && dr_constraint_done(c);
    dr_ids_free(&ids);
    dr_constraint_free(c);
    dr_turn_grammar_fini(&g);
    dr_tool_result_fini(&result);
    dr_words_fini(&words);
    return legal;
}

static void grammar__calls_of_a_closed_model(void **state)
{
    (void)state;
    const scene sc = {.profile = &nano, .question = "where is frobnicate?", .may_call = true};
    assert_true(says(&sc, CALL("find_symbol", "name", "list_size") EOS));
    assert_true(says(&sc, CALL("find_refs", "name", "list_size") EOS));
    assert_true(says(&sc, CALL("find_symbol", "name", "frobnicate") EOS)); /* a word of the question */
    assert_true(says(&sc, CALL("find_symbol", "name", "where") EOS));      /* any word: choosing is the model's work */
    assert_false(says(&sc, CALL("find_symbol", "name", "list_siz") EOS));
    assert_false(says(&sc, CALL("find_symbol", "nom", "list_size") EOS));
    assert_false(says(&sc, CALL("remove", "name", "list_size") EOS));
    assert_false(says(&sc, CALL("find_symbol", "name", "list_size")));
    const scene spent = {.profile = &nano, .question = "where is main?", .may_call = false};
    assert_false(says(&spent, CALL("find_symbol", "name", "main") EOS));
}

static void grammar__sentences_need_results(void **state)
{
    (void)state;
    const scene before = {.profile = &nano, .question = "where is list_size?", .may_call = true};
    const scene after = {.profile = &nano,
                         .question = "where is list_size?",
                         .tool = "find_symbol",
                         .arguments = "{\"name\": \"list_size\"}",
                         .may_call = true};
    const char *found = "`list_size` is defined at src/list.c:3." EOS;
    assert_false(says(&before, found));
    assert_true(says(&after, found));
    assert_false(says(&after, "`list_size` is defined at src/list.h:3." EOS)); /* a declaration */
    assert_false(says(&after, "`helper` is defined at src/list.c:3." EOS));    /* was not looked up */
    assert_false(says(&after, "`list_size` is defined at src/list.c:4." EOS));
    assert_false(says(&after, "`list_size` is defined at src/list.c:3" EOS));
    assert_false(says(&before, "I found no symbol named `list_size`." EOS));
    assert_true(says(&after, "I found no symbol named `list_size`." EOS));
    assert_true(says(&before, "I can only say where a name is defined and where it is used." EOS));
    assert_false(says(&before, "Hello." EOS));
}

static void grammar__lists_take_each_line_once(void **state)
{
    (void)state;
    const scene sc = {.profile = &nano,
                      .question = "who calls helper?",
                      .tool = "find_refs",
                      .arguments = "{\"name\": \"helper\"}",
                      .may_call = true};
    assert_true(says(&sc, "`helper` is used at:\n- src/main.c:11 in `main`\n- tool.py:7 in `open`" EOS));
    assert_true(says(&sc, "`helper` is used at:\n- tool.py:7 in `open`\n- src/main.c:11 in `main`" EOS));
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `open`" EOS)); /* a list is whole */
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `open`\n- tool.py:7 in `open`" EOS));
    assert_false(says(&sc, "`helper` is used at:" EOS));
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `main`" EOS));
}

static void grammar__open_models_write_freely(void **state)
{
    (void)state;
    const scene sc = {.profile = &open_model, .question = "what is this?", .may_call = true};
    assert_true(says(&sc, "Let me look.</think>It is a list, see src/list.c:3.\n\nMore.</b>" EOS));
    assert_true(says(&sc, "hm</think>I look." CALL("grep", "pattern", "a</b>.*<c") EOS));
    assert_false(says(&sc, "hm</think>" CALL("remove", "pattern", "x") EOS));
    assert_false(says(&sc, "no end of thought" EOS));
}

static void words__are_all_runs(void **state)
{
    (void)state;
    dr_words w;
    assert_int_equal(dr_words_init(&w, dr_str_of("Where's `foo_bar2()`, foo-bar? foo"), NULL), DR_OK);
    const char *wanted[] = {"Where", "bar", "foo", "foo_bar2", "s"};
    assert_int_equal(w.n, 5);
    for (size_t i = 0; i < w.n; i++)
        assert_true(dr_str_eq(w.v[i], dr_str_of(wanted[i])));
    dr_words_fini(&w);
}

static void grammar__nothing_to_say_is_the_profiles_fault(void **state)
{
    (void)state;
    char text[] = "at {cite}.";
    const dr_profile mute = {.forms = {{.text = text, .status = DR_ANSWERED}}, .n_forms = 1};
    const dr_workspace w = sample_folder_workspace(&folder);
    const dr_words none = {0};
    const dr_turn_context context = {.profile = &mute, .tokenizer = tokenizer, .workspace = &w, .words = &none};
    dr_turn_grammar g;
    dr_error err = {0};
    assert_int_equal(dr_turn_grammar_build(&g, &context, &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "can be said"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar__calls_of_a_closed_model),   cmocka_unit_test(grammar__sentences_need_results),
        cmocka_unit_test(grammar__lists_take_each_line_once), cmocka_unit_test(grammar__open_models_write_freely),
        cmocka_unit_test(words__are_all_runs),
        cmocka_unit_test(grammar__nothing_to_say_is_the_profiles_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
