/* What a turn may say: calls, sentences and lists, before and after results, for closed and for open models. */
#include "app/edit.h"
#include "app/turn_grammar.h"
#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CALL(name, key, value)                                                                                             \
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"" name "\">\n<｜DSML｜parameter name=\"" key "\" string=\"true\">" value      \
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"
#define EOS "<｜end▁of▁sentence｜>"

#define CALL3(name, path, old, new)                                                                                        \
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"" name "\">\n<｜DSML｜parameter name=\"path\" string=\"true\">" path     \
    "</｜DSML｜parameter>\n<｜DSML｜parameter name=\"old\" string=\"true\">" old                                                \
    "</｜DSML｜parameter>\n<｜DSML｜parameter name=\"new\" string=\"true\">" new                                                \
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"

/* Every sentence there is a check for. */
static const char skills[] = "{\"name\": \"skills\", \"mode\": \"chat\", \"tools\": [\"find_symbol\", \"find_refs\", \"describe\", \"calls\", \"find_file\", \"outline\", \"imports\", "
    "\"importers\", \"grep\", \"read\", \"edit\", \"rename\"], \"result_columns\": 60, \"result_lines\": 8, \"answers\": ["
    "{\"text\": \"`{symbol}` is defined at {cite}.\", \"status\": \"answered\", \"check\": \"defined\"}, "
    "{\"text\": \"`{symbol}` is defined at:{\\n- {cite}}\", \"status\": \"answered\", \"check\": \"defined\"}, "
    "{\"text\": \"`{symbol}` is used at:{\\n- {cite} in `{enclosing}`}\", \"status\": \"answered\", \"check\": \"used\"}, "
    "{\"text\": \"`{symbol}` is called at:{\\n- {cite} in `{enclosing}`: {bounded|unbounded|unclear}}\", \"status\": \"answered\", \"check\": \"used\"}, "
    "{\"text\": \"I found no symbol named `{symbol}`.\", \"status\": \"answered\", \"check\": \"absent\"}, "
    "{\"text\": \"I found no symbol named `{symbol}`. Similar: {similar}.\", \"status\": \"answered\", \"check\": \"absent\"}, "
    "{\"text\": \"I found no references to `{symbol}`.\", \"status\": \"answered\", \"check\": \"unused\"}, "
    "{\"text\": \"`{symbol}` takes `{parameters}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` takes no parameters ({cite}).\", \"status\": \"answered\", \"check\": \"no_parameters\"}, "
    "{\"text\": \"`{symbol}` returns `{returns}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` returns nothing ({cite}).\", \"status\": \"answered\", \"check\": \"returns_nothing\"}, "
    "{\"text\": \"`{symbol}` does not declare what it returns ({cite}).\", \"status\": \"answered\", \"check\": \"returns_undeclared\"}, "
    "{\"text\": \"`{symbol}` has the fields `{fields}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` is `{value}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` ({cite}): {doc}\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` has no comment. Its signature ({cite}): `{signature}`\", \"status\": \"answered\", \"check\": \"no_comment\"}, "
    "{\"text\": \"The file is {path}.\", \"status\": \"answered\", \"check\": \"file\"}, "
    "{\"text\": \"The files are:{\\n- {path}}\", \"status\": \"answered\", \"check\": \"file\"}, "
    "{\"text\": \"I found no file named `{symbol}`.\", \"status\": \"answered\", \"check\": \"no_file\"}, "
    "{\"text\": \"{path} defines:{\\n- `{name}` at {cite}}\", \"status\": \"answered\", \"check\": \"outline\"}, "
    "{\"text\": \"{path} defines nothing that I know.\", \"status\": \"answered\", \"check\": \"no_outline\"}, "
    "{\"text\": \"{path} imports:{\\n- `{import}` at {cite}}\", \"status\": \"answered\", \"check\": \"imports\"}, "
    "{\"text\": \"{path} imports nothing.\", \"status\": \"answered\", \"check\": \"no_imports\"}, "
    "{\"text\": \"`{symbol}` is imported at:{\\n- {cite}}\", \"status\": \"answered\", \"check\": \"importers\"}, "
    "{\"text\": \"I found nothing that imports `{symbol}`.\", \"status\": \"answered\", \"check\": \"no_importers\"}, "
    "{\"text\": \"Yes, `{symbol}` calls `{callee}` at {cite}.\", \"status\": \"answered\", \"check\": \"calls\"}, "
    "{\"text\": \"No, `{symbol}` does not call `{callee}`.\", \"status\": \"answered\", \"check\": \"no_calls\"}, "
    "{\"text\": \"`{symbol}` stands at:{\\n- {cite}}\", \"status\": \"answered\", \"check\": \"grep\"}, "
    "{\"text\": \"I found no line with `{symbol}`.\", \"status\": \"answered\", \"check\": \"no_match\"}, "
    "{\"text\": \"That is `{symbol}` at {cite}.\", \"status\": \"answered\", \"check\": \"reading\"}, "
    "{\"text\": \"Done.\", \"status\": \"answered\", \"check\": \"edited\"}, "
    "{\"text\": \"I could not make that edit.\", \"status\": \"declined\", \"check\": \"not_edited\"}, "
    "{\"text\": \"I can only find names, files, uses and imports, read signatures, fields, values and comments, and make small edits.\", \"status\": \"declined\"}"
    "]}";

/* Tools of one question each. */
static const char questions[] = "{\"name\": \"questions\", \"mode\": \"chat\", \"tools\": [\"find_symbol\", \"find_symbol_in\", \"find_refs\", "
    "\"call_sites\", \"parameters\", \"returns\", \"fields\", \"value\", \"comment\"], \"result_columns\": 60, \"result_lines\": 8, \"answers\": ["
    "{\"text\": \"`{symbol}` is defined at {cite}.\", \"status\": \"answered\", \"check\": \"one_definition\"}, "
    "{\"text\": \"`{symbol}` is defined at:{\\n- {cite}}\", \"status\": \"answered\", \"check\": \"defined\"}, "
    "{\"text\": \"`{symbol}` is used at:{\\n- {cite} in `{enclosing}`}\", \"status\": \"answered\", \"check\": \"used\"}, "
    "{\"text\": \"I found no references to `{symbol}`.\", \"status\": \"answered\", \"check\": \"unused\"}, "
    "{\"text\": \"`{symbol}` is called at:{\\n- {cite} in `{enclosing}`: {bounded|unbounded|unclear}}\", \"status\": \"answered\", \"check\": \"judged\"}, "
    "{\"text\": \"I found no calls of `{symbol}`.\", \"status\": \"answered\", \"check\": \"no_call_sites\"}, "
    "{\"text\": \"I found no symbol named `{symbol}`.\", \"status\": \"answered\", \"check\": \"absent\"}, "
    "{\"text\": \"`{symbol}` takes `{parameters}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` takes no parameters ({cite}).\", \"status\": \"answered\", \"check\": \"no_parameters\"}, "
    "{\"text\": \"`{symbol}` returns `{returns}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` returns nothing ({cite}).\", \"status\": \"answered\", \"check\": \"returns_nothing\"}, "
    "{\"text\": \"`{symbol}` does not declare what it returns ({cite}).\", \"status\": \"answered\", \"check\": \"returns_undeclared\"}, "
    "{\"text\": \"`{symbol}` has the fields `{fields}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` is `{value}` ({cite}).\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` ({cite}): {doc}\", \"status\": \"answered\", \"check\": \"described\"}, "
    "{\"text\": \"`{symbol}` has no comment ({cite}).\", \"status\": \"answered\", \"check\": \"no_comment\"}, "
    "{\"text\": \"I cannot say.\", \"status\": \"declined\"}"
    "]}";

static sample_folder folder, many;
static dr_tokenizer *tokenizer;
static dr_profile nano, open_model, closed, single;
static dr_place reading[3];

static void open_profile(dr_profile *out, const char *json)
{
    dr_error err = {0};
    char dir[] = "/tmp/deepread-test-XXXXXX", path[80];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/deepread.json", dir);
    assert_int_equal(dr_write_file(path, json, strlen(json), &err), DR_OK);
    const dr_status st = dr_profile_open(out, dir, &err);
    (void)unlink(path);
    (void)rmdir(dir);
    if (st != DR_OK)
        fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
    (void)state;
    dr_error err = {0};
    sample_folder_open(&folder);
    sample_folder_open_many(&many);
    if (dr_tokenizer_open(&tokenizer, "models/nano/tokenizer.json", &err) != DR_OK ||
        dr_profile_open(&nano, "models/nano", &err) != DR_OK || dr_profile_open(&open_model, folder.path, &err) != DR_OK)
        fail_msg("%s", err.msg);
    open_profile(&closed, skills);
    open_profile(&single, questions);
    size_t file;
    assert_true(dr_repo_find(folder.repo, DR_STR("src/main.c"), &file));
    reading[0] = (dr_place){.file = (uint32_t)file, .line = 3, .hole = {[DR_HOLE_NAME] = DR_STR("helper")}};
    reading[1] = (dr_place){.file = (uint32_t)file, .line = 8, .hole = {[DR_HOLE_NAME] = DR_STR("main")}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dr_profile_fini(&nano);
    dr_profile_fini(&closed);
    dr_profile_fini(&single);
    dr_profile_fini(&open_model);
    dr_tokenizer_close(tokenizer);
    sample_folder_close(&folder);
    sample_folder_close(&many);
    return 0;
}

typedef struct scene {
    const dr_profile *profile;
    const char *question;
    const char *tool, *arguments;   /* one call that was made, or NULL */
    const char *tool2, *arguments2; /* and another */
    bool may_call, reads, edits;    /* reads: a full pack stands before the question */
    bool in_many;                   /* of the two folders */
} scene;

/* Can the text be sampled whole, from the first token to the end of the grammar? */
static bool says(const scene *sc, const char *text)
{
    dr_error err = {0};
    dr_words words;
    dr_tool_result results[2] = {0};
    size_t n_results = 0;
    dr_turn_grammar g;
    dr_constraint *c = NULL;
    dr_ids ids = {0};
    dr_turn_texts *texts = sc->edits ? dr_turn_texts_new() : NULL;
    dr_workspace w = sample_folder_workspace(sc->in_many ? &many : &folder);

    w.edits = sc->edits ? dr_edits_new(w.repo) : NULL;
    assert_int_equal(dr_words_init(&words, dr_str_of(sc->question), &err), DR_OK);
    if (sc->tool)
        assert_int_equal(dr_tool_run(&results[n_results++], &w, dr_str_of(sc->tool), dr_str_of(sc->arguments), &err), DR_OK);
    if (sc->tool2)
        assert_int_equal(dr_tool_run(&results[n_results++], &w, dr_str_of(sc->tool2), dr_str_of(sc->arguments2), &err), DR_OK);
    const dr_turn_context context = {.profile = sc->profile,
                                     .tokenizer = tokenizer,
                                     .workspace = &w,
                                     .words = &words,
                                     .eos_id = dr_tokenizer_special(tokenizer, EOS),
                                     .results = results,
                                     .n_results = n_results,
                                     .reading = reading,
                                     .n_reading = sc->reads ? 2 : 0,
                                     .texts = texts,
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
    /* What is judged must be what could be sampled. */
    const dr_moment m = dr_turn_moment(&context);
    const size_t n_text = strlen(text), n_eos = strlen(EOS);
    if (sc->profile->n_forms && !strstr(text, "DSML") && n_text > n_eos && strcmp(text + n_text - n_eos, EOS) == 0) {
        bool sayable = false;
        for (int i = 0; i < sc->profile->n_forms; i++)
            sayable = sayable || dr_sentence_says(&sc->profile->forms[i], &m, (dr_str){text, n_text - n_eos});
        assert_int_equal(sayable, legal);
    }
    dr_ids_free(&ids);
    dr_constraint_free(c);
    dr_turn_grammar_fini(&g);
    for (size_t i = 0; i < n_results; i++)
        dr_tool_result_fini(&results[i]);
    dr_words_fini(&words);
    dr_turn_texts_free(texts);
    dr_edits_free(w.edits);
    return legal;
}

static void grammar__calls_of_a_closed_model(void **state)
{
    (void)state;
    const scene sc = {.profile = &nano, .question = "where is frobnicate, and list_size?", .may_call = true};
    assert_true(says(&sc, CALL("find_symbol", "name", "list_size") EOS));
    assert_true(says(&sc, CALL("find_refs", "name", "list_size") EOS));
    assert_false(says(&sc, CALL("find_symbol", "name", "helper") EOS)); /* a name of the index, which nobody asked for */
    assert_false(says(&sc, CALL("find_symbol", "name", "frobnicate") EOS)); /* beside what looks like a name words must be in the index */
    assert_false(says(&sc, CALL("find_symbol", "name", "list_siz") EOS));
    assert_false(says(&sc, CALL("find_symbol", "nom", "list_size") EOS));
    assert_false(says(&sc, CALL("remove", "name", "list_size") EOS));
    assert_false(says(&sc, CALL("find_symbol", "name", "list_size")));
    const scene plain = {.profile = &nano, .question = "where is frobnicate? see src/list_2.c", .may_call = true};
    assert_true(says(&plain, CALL("find_symbol", "name", "frobnicate") EOS)); /* a word of the question */
    assert_true(says(&plain, CALL("find_symbol", "name", "where") EOS));      /* any word: choosing is the model's work */
    const scene spent = {.profile = &nano, .question = "where is main?", .may_call = false};
    assert_false(says(&spent, CALL("find_symbol", "name", "main") EOS));
}

#define OUT_OF_SKILL                                                                                                       \
    "I can only find names, files, uses and imports, read signatures, fields, values and comments, and make small edits."

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
    assert_false(says(&after, "I found no symbol named `list_size`." EOS)); /* there is one */
    assert_true(says(&before, OUT_OF_SKILL EOS));
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
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `open`\n- src/main.c:11 in `main`" EOS)); /* in the result's order */
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `open`" EOS)); /* a list is whole */
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `open`\n- tool.py:7 in `open`" EOS));
    assert_false(says(&sc, "`helper` is used at:" EOS));
    assert_false(says(&sc, "`helper` is used at:\n- tool.py:7 in `main`" EOS));
}

/* After this call the text may be said (+) or not (-). */
typedef struct line_said {
    const char *tool, *arguments;
    bool may;
    const char *text;
} line_said;

static void expect_lines(const dr_profile *profile, bool in_many, const line_said *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[400];
        const scene sc = {.profile = profile,
                          .question = "x",
                          .tool = lines[i].tool,
                          .arguments = lines[i].arguments,
                          .may_call = true,
                          .edits = true,
                          .in_many = in_many};
        (void)snprintf(text, sizeof text, "%s" EOS, lines[i].text);
        if (says(&sc, text) != lines[i].may)
            fail_msg("after %s %s: \"%s\" %s", lines[i].tool ? lines[i].tool : "nothing", lines[i].arguments ? lines[i].arguments : "",
                     lines[i].text, lines[i].may ? "cannot be said" : "can be said");
    }
}

static void grammar__every_sentence_when_it_holds(void **state)
{
    (void)state;
    static const line_said lines[] = {
        {NULL, NULL, true, OUT_OF_SKILL},
        {NULL, NULL, false, "Done."},
        {NULL, NULL, false, "That is `helper` at src/main.c:3."}, /* no full pack */
        {"find_symbol", "{\"name\": \"helper\"}", true, "`helper` is defined at src/main.c:3."},
        {"find_symbol", "{\"name\": \"helper\"}", true, "`helper` is defined at tool.py:1."},
        {"find_symbol", "{\"name\": \"helper\"}", true, "`helper` is defined at:\n- src/main.c:3\n- tool.py:1"},
        {"find_symbol", "{\"name\": \"helper\"}", false, "`helper` is defined at:\n- tool.py:1\n- src/main.c:3"},
        {"find_symbol", "{\"name\": \"helper\"}", false, "`helper` is defined at:\n- src/main.c:3"},
        {"find_symbol", "{\"name\": \"list_size\"}", false, "`list_size` is defined at:\n- src/list.c:3"}, /* one, and a prototype */
        {"find_symbol", "{\"name\": \"list_size\"}", false, "`list_size` is used at:\n- src/list.c:3 in `list_size`"},
        {"find_symbol", "{\"name\": \"zzz\"}", true, "I found no symbol named `zzz`."},
        {"find_symbol", "{\"name\": \"zzz\"}", false, "I found no symbol named `zzz`. Similar: ."},
        {"find_symbol", "{\"name\": \"list_siz\"}", true, "I found no symbol named `list_siz`. Similar: list_size."},
        {"find_symbol", "{\"name\": \"list_siz\"}", false, "I found no symbol named `list_siz`."},
        {"describe", "{\"name\": \"zzz\"}", true, "I found no symbol named `zzz`."},
        {"find_refs", "{\"name\": \"helper\"}", true,
         "`helper` is called at:\n- src/main.c:11 in `main`: bounded\n- tool.py:7 in `open`: unclear"},
        {"find_refs", "{\"name\": \"helper\"}", false,
         "`helper` is called at:\n- src/main.c:11 in `main`: maybe\n- tool.py:7 in `open`: unclear"},
        {"find_refs", "{\"name\": \"helper\"}", false, "`helper` is called at:\n- src/main.c:11 in `main`: bounded"},
        {"find_refs", "{\"name\": \"main\"}", true, "I found no references to `main`."},
        {"find_refs", "{\"name\": \"helper\"}", false, "I found no references to `helper`."},
        {"describe", "{\"name\": \"helper\"}", true, "`helper` takes `int x` (src/main.c:3)."},
        {"describe", "{\"name\": \"helper\"}", true, "`helper` takes `a` (tool.py:1)."},
        {"describe", "{\"name\": \"helper\"}", false, "`helper` takes `a` (src/main.c:3)."}, /* of one place */
        {"describe", "{\"name\": \"helper\"}", true, "`helper` returns `int` (src/main.c:3)."},
        {"describe", "{\"name\": \"helper\"}", true, "`helper` does not declare what it returns (tool.py:1)."},
        {"describe", "{\"name\": \"helper\"}", false, "`helper` does not declare what it returns (src/main.c:3)."},
        {"describe", "{\"name\": \"helper\"}", false, "`helper` returns `not declared` (tool.py:1)."},
        {"describe", "{\"name\": \"helper\"}", false, "`helper` takes no parameters (src/main.c:3)."},
        {"describe", "{\"name\": \"main\"}", true, "`main` takes no parameters (src/main.c:8)."},
        {"describe", "{\"name\": \"main\"}", false, "`main` takes `none` (src/main.c:8)."},
        {"describe", "{\"name\": \"main\"}", true, "`main` has no comment. Its signature (src/main.c:8): `int main(void)`"},
        {"describe", "{\"name\": \"main\"}", false, "`main` returns nothing (src/main.c:8)."},
        {"describe", "{\"name\": \"LIST_MAX\"}", true, "`LIST_MAX` is `64` (src/list.h:4)."},
        {"describe", "{\"name\": \"LIST_MAX\"}", false, "`LIST_MAX` is `65` (src/list.h:4)."},
        {"describe", "{\"name\": \"LIST_MAX\"}", false, "`main` is `64` (src/list.h:4)."},
        {"describe", "{\"name\": \"pair\"}", true, "`pair` has the fields `int a; char *b` (src/pair.h:2)."},
        {"describe", "{\"name\": \"pair\"}", true, "`pair` (src/pair.h:2): Two of a kind."},
        {"describe", "{\"name\": \"pair\"}", false, "`pair` has no comment. Its signature (src/pair.h:2): `struct pair`"},
        {"describe", "{\"name\": \"swap\"}", true, "`swap` returns nothing (src/pair.h:3)."},
        {"find_file", "{\"name\": \"list.c\"}", true, "The file is src/list.c."},
        {"find_file", "{\"name\": \"list\"}", true, "The files are:\n- src/list.c\n- src/list.h"},
        {"find_file", "{\"name\": \"list.c\"}", false, "The files are:\n- src/list.c"},
        {"find_file", "{\"name\": \"zzz\"}", true, "I found no file named `zzz`."},
        {"outline", "{\"path\": \"zzz.c\"}", true, "I found no file named `zzz.c`."},
        {"outline", "{\"path\": \"tool.py\"}", true,
         "tool.py defines:\n- `helper` at tool.py:1\n- `Box` at tool.py:5\n- `open` at tool.py:6"},
        {"outline", "{\"path\": \"a b.txt\"}", true, "with space/a b.txt defines nothing that I know."},
        {"imports", "{\"path\": \"main.c\"}", true, "src/main.c imports:\n- `#include \"list.h\"` at src/main.c:1"},
        {"imports", "{\"path\": \"tool.py\"}", true, "tool.py imports nothing."},
        {"imports", "{\"path\": \"main.c\"}", false, "src/main.c imports nothing."},
        {"importers", "{\"name\": \"list.h\"}", true, "`list.h` is imported at:\n- src/list.c:1\n- src/main.c:1"},
        {"importers", "{\"name\": \"main.c\"}", true, "I found nothing that imports `main.c`."},
        {"calls", "{\"caller\": \"main\", \"callee\": \"helper\"}", true, "Yes, `main` calls `helper` at src/main.c:11."},
        {"calls", "{\"caller\": \"main\", \"callee\": \"helper\"}", false, "No, `main` does not call `helper`."},
        {"calls", "{\"caller\": \"helper\", \"callee\": \"main\"}", true, "No, `helper` does not call `main`."},
        {"grep", "{\"pattern\": \"three\"}", true, "`three` stands at:\n- with space/a b.txt:3"},
        {"grep", "{\"pattern\": \"seven\"}", true, "I found no line with `seven`."},
        {"read", "{\"path\": \"tool.py\", \"line\": 1}", false, "tool.py imports nothing."},
        {"edit", "{\"path\": \"tool.py\", \"old\": \"class Box\", \"new\": \"class Bag\"}", true, "Done."},
        {"edit", "{\"path\": \"tool.py\", \"old\": \"class Box\", \"new\": \"class Bag\"}", false, "I could not make that edit."},
        {"edit", "{\"path\": \"tool.py\", \"old\": \"nowhere\", \"new\": \"x\"}", true, "I could not make that edit."},
        {"edit", "{\"path\": \"tool.py\", \"old\": \"nowhere\", \"new\": \"x\"}", false, "Done."},
        {"rename", "{\"path\": \"main.c\", \"old\": \"helper\", \"new\": \"aid\"}", true, "Done."},
    };
    static const line_said twice[] = {
        {"calls", "{\"caller\": \"again\", \"callee\": \"go\"}", true, "Yes, `again` calls `go` at py/a.py:9."},
        {"calls", "{\"caller\": \"again\", \"callee\": \"go\"}", false, "Yes, `again` calls `go` at py/a.py:10."}, /* not the first */
    };
    expect_lines(&closed, false, lines, sizeof lines / sizeof *lines);
    expect_lines(&closed, true, twice, sizeof twice / sizeof *twice);
}

static void grammar__tools_of_one_question(void **state)
{
    (void)state;
    static const line_said small[] = {
        {"find_symbol", "{\"name\": \"list_size\"}", true, "`list_size` is defined at src/list.c:3."}, /* and declared elsewhere */
        {"find_symbol", "{\"name\": \"list_size\"}", false, "`list_size` is defined at src/list.h:3."},
        {"find_symbol", "{\"name\": \"swap\"}", true, "`swap` is defined at src/pair.h:3."}, /* nothing better */
        {"find_symbol", "{\"name\": \"helper\"}", false, "`helper` is defined at src/main.c:3."},
        {"find_symbol", "{\"name\": \"helper\"}", false, "`helper` is defined at tool.py:1."},
        {"find_symbol", "{\"name\": \"helper\"}", true, "`helper` is defined at:\n- src/main.c:3\n- tool.py:1"},
        {"find_symbol_in", "{\"name\": \"helper\", \"place\": \"src\"}", true, "`helper` is defined at src/main.c:3."},
        {"find_symbol_in", "{\"name\": \"helper\", \"place\": \"tool\"}", true, "`helper` is defined at tool.py:1."},
        {"find_symbol_in", "{\"name\": \"helper\", \"place\": \"tool\"}", false, "`helper` is defined at src/main.c:3."},
        {"find_symbol_in", "{\"name\": \"helper\", \"place\": \"lib\"}", false, "`helper` is defined at src/main.c:3."},
        {"find_symbol_in", "{\"name\": \"helper\", \"place\": \"lib\"}", true, "`helper` is defined at:\n- src/main.c:3\n- tool.py:1"},
        {"find_symbol_in", "{\"name\": \"list_size\", \"place\": \"list.h\"}", true, "`list_size` is defined at src/list.h:3."},
        {"find_symbol_in", "{\"name\": \"zzz\", \"place\": \"src\"}", true, "I found no symbol named `zzz`."},
        {"find_refs", "{\"name\": \"list_size\"}", false, "`list_size` is defined at src/list.c:3."},
        {"parameters", "{\"name\": \"main\"}", true, "`main` takes no parameters (src/main.c:8)."},
        {"parameters", "{\"name\": \"main\"}", false, "`main` takes `none` (src/main.c:8)."},
        {"parameters", "{\"name\": \"main\"}", false, "`main` returns `int` (src/main.c:8)."},
        {"parameters", "{\"name\": \"main\"}", false, "`main` has no comment (src/main.c:8)."}, /* it has none, but nobody looked */
        {"parameters", "{\"name\": \"LIST_MAX\"}", true, "`LIST_MAX` is `64` (src/list.h:4)."},   /* without parameters: what it has */
        {"parameters", "{\"name\": \"pair\"}", true, "`pair` (src/pair.h:2): Two of a kind."},
        {"returns", "{\"name\": \"swap\"}", true, "`swap` returns nothing (src/pair.h:3)."},
        {"returns", "{\"name\": \"swap\"}", false, "`swap` takes `struct pair *p` (src/pair.h:3)."},
        {"returns", "{\"name\": \"helper\"}", true, "`helper` returns `int` (src/main.c:3)."},
        {"returns", "{\"name\": \"helper\"}", true, "`helper` does not declare what it returns (tool.py:1)."},
        {"returns", "{\"name\": \"LIST_MAX\"}", false, "`LIST_MAX` has no comment (src/list.h:4)."},
        {"fields", "{\"name\": \"pair\"}", true, "`pair` has the fields `int a; char *b` (src/pair.h:2)."},
        {"fields", "{\"name\": \"pair\"}", false, "`pair` (src/pair.h:2): Two of a kind."},
        {"fields", "{\"name\": \"pair\"}", false, "`pair` has no comment (src/pair.h:2)."},
        {"fields", "{\"name\": \"main\"}", false, "`main` has no comment (src/main.c:8)."}, /* a whole result, of another question */
        {"value", "{\"name\": \"LIST_MAX\"}", true, "`LIST_MAX` is `64` (src/list.h:4)."},
        {"value", "{\"name\": \"LIST_MAX\"}", false, "`LIST_MAX` has no comment (src/list.h:4)."},
        {"comment", "{\"name\": \"pair\"}", true, "`pair` (src/pair.h:2): Two of a kind."},
        {"comment", "{\"name\": \"pair\"}", false, "`pair` has the fields `int a; char *b` (src/pair.h:2)."},
        {"comment", "{\"name\": \"pair\"}", false, "`pair` has no comment (src/pair.h:2)."},
        {"comment", "{\"name\": \"main\"}", true, "`main` has no comment (src/main.c:8)."},
        {"comment", "{\"name\": \"main\"}", false, "`main` takes no parameters (src/main.c:8)."},
        {"comment", "{\"name\": \"LIST_MAX\"}", true, "`LIST_MAX` is `64` (src/list.h:4)."},
        {"comment", "{\"name\": \"LIST_MAX\"}", false, "`LIST_MAX` has no comment (src/list.h:4)."},
        {"comment", "{\"name\": \"zzz\"}", true, "I found no symbol named `zzz`."},
        {"call_sites", "{\"name\": \"helper\"}", true, "`helper` is called at:\n- src/main.c:11 in `main`: bounded\n- tool.py:7 in `open`: unclear"},
        {"call_sites", "{\"name\": \"helper\"}", false, "`helper` is called at:\n- src/main.c:11 in `main`: bounded"},
        {"call_sites", "{\"name\": \"helper\"}", false, "`helper` is used at:\n- src/main.c:11 in `main`\n- tool.py:7 in `open`"},
        {"call_sites", "{\"name\": \"LIST_MAX\"}", true, "I found no calls of `LIST_MAX`."},
        {"call_sites", "{\"name\": \"LIST_MAX\"}", false, "I found no references to `LIST_MAX`."}, /* there is one */
        {"call_sites", "{\"name\": \"helper\"}", false, "I found no calls of `helper`."},
        {"find_refs", "{\"name\": \"main\"}", false, "I found no calls of `main`."},
        {"find_refs", "{\"name\": \"helper\"}", false, "`helper` is called at:\n- src/main.c:11 in `main`: bounded\n- tool.py:7 in `open`: unclear"},
    };
    static const line_said large[] = {
        {"comment", "{\"name\": \"reset\"}", true, "`reset` (lib/size.h:3): Back to nothing."}, /* of its declaration */
        {"comment", "{\"name\": \"reset\"}", false, "`reset` has no comment (lib/net/size.c:8)."},
        {"value", "{\"name\": \"reset\"}", false, "`reset` has no comment (lib/net/size.c:8)."},
        {"comment", "{\"name\": \"size\"}", false, "`size` has no comment (py/net/b.py:7)."}, /* only those with one are shown */
        {"value", "{\"name\": \"size\"}", true, "`size` is `3` (py/a.py:1)."},
        {"find_symbol_in", "{\"name\": \"size\", \"place\": \"lib\"}", true, "`size` is defined at lib/net/size.c:3."},
        {"find_symbol_in", "{\"name\": \"size\", \"place\": \"net\"}", true,
         "`size` is defined at:\n- lib/net/size.c:3\n- py/net/b.py:1\n- py/net/b.py:7"},
        {"find_symbol_in", "{\"name\": \"size\", \"place\": \"net\"}", false, "`size` is defined at lib/net/size.c:3."},
    };
    expect_lines(&single, false, small, sizeof small / sizeof *small);
    expect_lines(&single, true, large, sizeof large / sizeof *large);
}

/* What does not fit into the result is a definition too. */
static void grammar__one_definition_is_not_the_first_of_many(void **state)
{
    (void)state;
    const dr_answer_form *form = &single.forms[0];
    static const struct {
        const char *arguments;
        int32_t lines;
        bool may;
    } v[] = {{"{\"name\": \"size\", \"place\": \"py\"}", 1, false},
             {"{\"name\": \"size\", \"place\": \"lib\"}", 1, false}, /* nothing shows that the other one is a declaration */
             {"{\"name\": \"size\", \"place\": \"lib\"}", 2, true},
             {"{\"name\": \"reset\", \"place\": \"lib\"}", 2, true}, /* what is left out is another declaration */
             {"{\"name\": \"size\", \"place\": \"a.py\"}", 1, true}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        dr_tool_result r;
        dr_workspace w = sample_folder_workspace(&many);
        dr_buf way = {0};
        w.result_lines = v[i].lines;
        assert_int_equal(dr_tool_run(&r, &w, DR_STR("find_symbol_in"), dr_str_of(v[i].arguments), NULL), DR_OK);
        const dr_moment m = {.repo = w.repo, .last = &r};
        assert_int_equal(dr_sentence_n_ways(form, &m) > 0 && dr_sentence_way(&way, form, &m, 0), v[i].may);
        dr_buf_free(&way);
        dr_tool_result_fini(&r);
    }
}

#define CALL_IN(name, place)                                                                                               \
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"find_symbol_in\">\n<｜DSML｜parameter name=\"name\" string=\"true\">" name   \
    "</｜DSML｜parameter>\n<｜DSML｜parameter name=\"place\" string=\"true\">" place                                            \
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"

static void grammar__places_of_the_question(void **state)
{
    (void)state;
    const scene sc = {.profile = &single, .question = "where in lib/net/ and py/a.py is the macro size?", .may_call = true, .in_many = true};
    assert_true(says(&sc, CALL_IN("size", "lib/net/") EOS));
    assert_true(says(&sc, CALL_IN("size", "lib/net") EOS)); /* with or without its last slash */
    assert_true(says(&sc, CALL_IN("size", "py/a.py") EOS));
    assert_true(says(&sc, CALL_IN("size", "macro") EOS));
    assert_true(says(&sc, CALL_IN("macro", "lib") EOS)); /* any word */
    assert_false(says(&sc, CALL_IN("size", "py/a.py/") EOS));
    assert_false(says(&sc, CALL_IN("size", "py/size.py") EOS)); /* a path of the snapshot, which nobody asked for */
    assert_false(says(&sc, CALL_IN("size", "src/list.c") EOS));
    assert_false(says(&sc, CALL_IN("size", "reset") EOS)); /* a name is no place */
    assert_false(says(&sc, CALL_IN("size", "lib/n") EOS));
    assert_false(says(&sc, CALL("find_symbol_in", "name", "size") EOS));
}

/* Only the last result counts: what was looked up before it has been thought better of. */
static void grammar__sentences_are_about_the_last_result(void **state)
{
    (void)state;
    const scene sc = {.profile = &closed,
                      .question = "where is list_siz?",
                      .tool = "find_symbol",
                      .arguments = "{\"name\": \"list_siz\"}",
                      .tool2 = "find_symbol",
                      .arguments2 = "{\"name\": \"list_size\"}",
                      .may_call = true};
    assert_true(says(&sc, "`list_size` is defined at src/list.c:3." EOS));
    assert_false(says(&sc, "`list_siz` is defined at src/list.c:3." EOS));
    assert_false(says(&sc, "I found no symbol named `list_siz`. Similar: list_size." EOS));
}

static void grammar__reading_names_what_the_pack_holds(void **state)
{
    (void)state;
    const scene before = {.profile = &closed, .question = "adds one", .may_call = true, .reads = true};
    const scene after = {.profile = &closed,
                         .question = "adds one",
                         .tool = "find_symbol",
                         .arguments = "{\"name\": \"helper\"}",
                         .may_call = true,
                         .reads = true};
    assert_true(says(&before, "That is `helper` at src/main.c:3." EOS));
    assert_true(says(&before, "That is `main` at src/main.c:8." EOS));
    assert_false(says(&before, "That is `helper` at src/main.c:8." EOS));
    assert_false(says(&before, "That is `list_size` at src/list.c:3." EOS));
    assert_false(says(&after, "That is `helper` at src/main.c:3." EOS));
}

static void grammar__edits_copy_from_the_file(void **state)
{
    (void)state;
    const scene sc = {.profile = &closed, .question = "in main.c, rename helper to aid", .may_call = true, .edits = true};
    assert_true(says(&sc, CALL3("edit", "src/main.c", "return x + 1;", "return x + 2;\n    /* <b> */") EOS));
    assert_true(says(&sc, CALL3("edit", "src/main.c", "{\n    return x", "") EOS));
    assert_false(says(&sc, CALL3("edit", "src/main.c", "return", "y") EOS)); /* stands twice */
    assert_false(says(&sc, CALL3("edit", "src/main.c", "return z", "y") EOS));
    assert_false(says(&sc, CALL3("edit", "src/list.c", "int n = 0;", "y") EOS)); /* neither asked for nor found */
    assert_false(says(&sc, CALL3("edit", "main.c", "return x + 1;", "y") EOS));
    assert_true(says(&sc, CALL3("rename", "main.c", "helper", "aid") EOS));
    assert_false(says(&sc, CALL3("rename", "main.c", "helper", "aide") EOS)); /* no word of the question */
    assert_false(says(&sc, CALL3("rename", "src/main.c", "helper", "aid") EOS)); /* the question calls it otherwise */
    const scene found = {.profile = &closed,
                         .question = "rename it",
                         .tool = "find_symbol",
                         .arguments = "{\"name\": \"list_size\"}",
                         .may_call = true,
                         .edits = true};
    assert_true(says(&found, CALL3("edit", "src/list.c", "int n = 0;", "int n = 1;") EOS)); /* a result stands there */
    const scene changed = {.profile = &closed,
                           .question = "in main.c",
                           .tool = "edit",
                           .arguments = "{\"path\": \"src/main.c\", \"old\": \"x + 1\", \"new\": \"x + 22\"}",
                           .may_call = true,
                           .edits = true};
    assert_true(says(&changed, CALL3("edit", "src/main.c", "x + 22", "x") EOS)); /* the text as it is staged */
    assert_false(says(&changed, CALL3("edit", "src/main.c", "x + 1;", "x") EOS));
    const scene none = {.profile = &closed, .question = "fix it", .may_call = true, .edits = true};
    assert_false(says(&none, CALL3("edit", "src/main.c", "return x + 1;", "y") EOS));
    const scene asked = {.profile = &closed, .question = "in main.c", .may_call = true};
    assert_true(says(&asked, CALL3("edit", "src/main.c", "return x + 1;", "y") EOS)); /* legal, and ends the turn (turn.c) */
}

static void grammar__paths_of_the_question(void **state)
{
    (void)state;
    const scene sc = {.profile = &closed, .question = "what does ./list.c import? and Makefile.", .may_call = true};
    assert_true(says(&sc, CALL("imports", "path", "./list.c") EOS));
    assert_false(says(&sc, CALL("imports", "path", "src/list.c") EOS));
    assert_false(says(&sc, CALL("imports", "path", "list.h") EOS));
    assert_false(says(&sc, CALL("imports", "path", "Makefile") EOS)); /* no file here is called so */
    assert_true(says(&sc, CALL("importers", "name", "Makefile") EOS));
    assert_true(says(&sc, CALL("find_file", "name", "Makefile") EOS));
    assert_false(says(&sc, CALL("imports", "path", "Makefile.") EOS));
}

#define CALL2(name, key, value, key2, value2)                                                                             \
    "\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"" name "\">\n<｜DSML｜parameter name=\"" key "\" string=\"true\">" value      \
    "</｜DSML｜parameter>\n<｜DSML｜parameter name=\"" key2 "\" string=\"true\">" value2                                           \
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"

static void grammar__names_of_the_question_and_of_results(void **state)
{
    (void)state;
    const scene odd = {.profile = &single, .question = "where's full?, really-full?", .may_call = true, .in_many = true};
    assert_true(says(&odd, CALL("find_symbol", "name", "full?") EOS)); /* the index knows it */
    assert_true(says(&odd, CALL("find_symbol", "name", "full") EOS));
    assert_false(says(&odd, CALL("find_symbol", "name", "full?,") EOS));
    assert_false(says(&odd, CALL("find_symbol", "name", "really-full?") EOS));
    const scene like = {.profile = &closed,
                        .question = "where is list_siz?",
                        .tool = "find_symbol",
                        .arguments = "{\"name\": \"list_siz\"}",
                        .may_call = true};
    assert_true(says(&like, CALL("find_symbol", "name", "list_size") EOS));
    assert_false(says(&like, CALL("find_symbol", "name", "list_siz") EOS)); /* would say the same again */
    assert_false(says(&like, CALL("find_symbol", "name", "helper") EOS));
    const scene found = {.profile = &closed,
                         .question = "what is in the file list?",
                         .tool = "find_file",
                         .arguments = "{\"name\": \"list\"}",
                         .may_call = true};
    assert_true(says(&found, CALL("outline", "path", "src/list.c") EOS));
    assert_true(says(&found, CALL("outline", "path", "src/list.h") EOS));
    assert_false(says(&found, CALL("outline", "path", "src/main.c") EOS));
    assert_false(says(&found, CALL("outline", "path", "what") EOS));
    const scene none = {.profile = &closed, .question = "what is in the file list?", .may_call = true};
    assert_true(says(&none, CALL("outline", "path", "list") EOS)); /* no path stands there: any word */
    const scene quoted = {.profile = &closed, .question = "what's with \"no such file\" or 'it isn''t'? don't say", .may_call = true};
    assert_true(says(&quoted, CALL("grep", "pattern", "no such file") EOS));
    assert_false(says(&quoted, CALL("grep", "pattern", "no such") EOS));
    assert_false(says(&quoted, CALL("find_symbol", "name", "no such file") EOS));
    static const char *const marked[] = {"does the tail of Main call 'frob' in the end?", "does the tail of Main call frob() in the end?"};
    for (size_t i = 0; i < 2; i++) {
        const scene sc = {.profile = &closed, .question = marked[i], .may_call = true};
        assert_true(says(&sc, CALL("find_symbol", "name", "frob") EOS));
        assert_true(says(&sc, CALL("find_symbol", "name", "Main") EOS)); /* main is in the index */
        assert_false(says(&sc, CALL("find_symbol", "name", "tail") EOS));
        assert_false(says(&sc, CALL2("calls", "caller", "tail", "callee", "Main") EOS));
        assert_true(says(&sc, CALL2("calls", "caller", "Main", "callee", "tail") EOS));
    }
    static const char *const unmarked[] = {"which functions return -1, frobnicate?", "where’s frobnicate used?", "where is frobnicate — in größe?",
                                           "where is frobnicate in list_2.c?", ":8080 frobnicate"};
    for (size_t i = 0; i < sizeof unmarked / sizeof *unmarked; i++) {
        const scene sc = {.profile = &closed, .question = unmarked[i], .may_call = true};
        assert_true(says(&sc, CALL("find_symbol", "name", "frobnicate") EOS));
    }
    const scene library = {.profile = &closed, .question = "who uses strcpy in copy_name?", .may_call = true};
    assert_true(says(&library, CALL("find_refs", "name", "strcpy") EOS));
    assert_false(says(&library, CALL("find_symbol", "name", "strcpy") EOS));
    const scene file = {.profile = &closed, .question = "is there a Makefile or a readme, or list_2 beside main.c?", .may_call = true};
    assert_true(says(&file, CALL("find_file", "name", "Makefile") EOS));
    assert_true(says(&file, CALL("find_file", "name", "list_2") EOS));
    assert_false(says(&file, CALL("find_file", "name", "beside") EOS));
    assert_true(says(&file, CALL("importers", "name", "readme") EOS));
    const scene qualified = {.profile = &closed, .question = "what is main.main, and list.c, and list.main?", .may_call = true};
    assert_true(says(&qualified, CALL("find_symbol", "name", "main.main") EOS)); /* a function of the file main */
    assert_false(says(&qualified, CALL("find_symbol", "name", "list.main") EOS));
    const scene mute = {.profile = &closed, .question = "?", .may_call = true};
    assert_true(says(&mute, CALL("outline", "path", "anything") EOS));
}

static void grammar__two_arguments_are_two_words(void **state)
{
    (void)state;
    const scene once = {.profile = &closed, .question = "does main call helper? main2", .may_call = true};
    assert_true(says(&once, CALL2("calls", "caller", "main", "callee", "helper") EOS));
    assert_true(says(&once, CALL2("calls", "caller", "main", "callee", "main2") EOS));
    assert_false(says(&once, CALL2("calls", "caller", "main", "callee", "main") EOS));
    assert_false(says(&once, CALL2("calls", "caller", "main", "callee", "other") EOS));
    const scene twice = {.profile = &closed, .question = "does main call main?", .may_call = true};
    assert_true(says(&twice, CALL2("calls", "caller", "main", "callee", "main") EOS));
    const scene in = {.profile = &single, .question = "the function size", .may_call = true, .in_many = true};
    assert_true(says(&in, CALL_IN("size", "function") EOS));
    assert_false(says(&in, CALL_IN("size", "size") EOS));
    const scene rename = {.profile = &closed, .question = "rename helper to aid in main.c", .may_call = true, .edits = true};
    assert_true(says(&rename, CALL3("rename", "main.c", "helper", "aid") EOS));
    assert_false(says(&rename, CALL3("rename", "main.c", "helper", "helper") EOS));
    const scene alone = {.profile = &closed, .question = "main", .may_call = true};
    assert_true(says(&alone, CALL2("calls", "caller", "main", "callee", "main") EOS)); /* there is no other */
}

/* What an edit puts in is cut where a person would cut it. */
static void grammar__parts_of_the_question_are_whole(void **state)
{
    (void)state;
    static const struct {
        bool may;
        const char *question, *value;
    } v[] = {
        {true, "set LIST_MAX to 20000", "20000"},
        {false, "set LIST_MAX to 20000", "200"},
        {false, "set LIST_MAX to 20000", "0000"},
        {false, "set LIST_MAX to 20000", " 20000"},
        {true, "LIST_MAX=1_000_000.", "1_000_000"},
        {false, "LIST_MAX=1_000_000.", "1_000"},
        {true, "LIST_MAX should be 1.5e3, or -4", "1.5e3"},
        {false, "LIST_MAX should be 1.5e3, or -4", "1"},
        {false, "LIST_MAX should be 1.5e3, or -4", "1."},
        {false, "LIST_MAX should be 1.5e3, or -4", "5e3"},
        {true, "LIST_MAX should be 1.5e3, or -4", "-4"},
        {true, "make LIST_MAX (1024 * f(128))", "(1024 * f(128))"},
        {false, "make LIST_MAX (1024 * f(128))", "1024 * f(128)"},
        {false, "make LIST_MAX (1024 * f(128))", "(1024"},
        {false, "make LIST_MAX (1024 * f(128))", "1024 * f(128))"},
        {true, "don't make it \"a (b\" but `c` in LIST_MAX's", "\"a (b\""},
        {true, "don't make it \"a (b\" but `c` in LIST_MAX's", "c"},
        {false, "don't make it \"a (b\" but `c` in LIST_MAX's", "\"a"},
        {true, "s/64/128/ in LIST_MAX, or (1024*64)?", "128"},
        {true, "s/64/128/ in LIST_MAX, or (1024*64)?", "(1024*64)"},
        {false, "s/64/128/ in LIST_MAX, or (1024*64)?", "1024*64"},
        {false, "s/64/128/ in LIST_MAX, or (1024*64)?", "1024"},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        char call[500];
        const scene sc = {.profile = &nano, .question = v[i].question, .may_call = true, .edits = true};
        (void)snprintf(call, sizeof call, CALL2("set_value", "name", "LIST_MAX", "value", "%s") EOS, v[i].value);
        if (says(&sc, call) != v[i].may)
            fail_msg("%s: \"%s\" %s", v[i].question, v[i].value, v[i].may ? "cannot be put in" : "can be put in");
    }
    dr_buf question = {0}; /* of many words the shorter parts */
    for (int i = 0; i < 300; i++)
        dr_buf_str(&question, "so it is ");
    dr_buf_str(&question, "that LIST_MAX becomes f(20000, 1) + 2 at last");
    const scene long_one = {.profile = &nano, .question = question.data, .may_call = true, .edits = true};
    assert_true(says(&long_one, CALL2("set_value", "name", "LIST_MAX", "value", "f(20000, 1) + 2") EOS));
    assert_false(says(&long_one, CALL2("set_value", "name", "LIST_MAX", "value", "2000") EOS));
    assert_false(says(&long_one, CALL2("set_value", "name", "LIST_MAX", "value", "(20000, 1)") EOS));
    dr_buf_free(&question);
    const scene contracted = {.profile = &closed, .question = "where's main? s", .may_call = true};
    assert_true(says(&contracted, CALL("find_symbol", "name", "s") EOS)); /* it stands alone too */
    const scene only = {.profile = &closed, .question = "where's main?", .may_call = true};
    assert_false(says(&only, CALL("find_symbol", "name", "s") EOS));
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
    assert_int_equal(dr_words_init(&w, dr_str_of("In src/a.c: does std::sort, ./b/c.h. or .gitignore-- (a-b) end in x... -"), NULL), DR_OK);
    const char *paths[] = {"./b/c.h", ".gitignore", "a-b", "src/a.c", "std::sort"};
    assert_int_equal(w.n_paths, 5);
    for (size_t i = 0; i < w.n_paths; i++)
        assert_true(dr_str_eq(w.paths[i], dr_str_of(paths[i])));
    dr_words_fini(&w);
    assert_int_equal(dr_words_init(&w, dr_str_of("What's `a b`, 'it's so', \"x\"y\", \"\", 'open and\n\"shut' \"in\""), NULL), DR_OK);
    const char *quoted[] = {"a b", "it's so", "shut' \"in", "x\"y"};
    assert_int_equal(w.n_quoted, 4);
    for (size_t i = 0; i < w.n_quoted; i++)
        assert_true(dr_str_eq(w.quoted[i], dr_str_of(quoted[i])));
    dr_words_fini(&w);
}

static void grammar__nothing_to_say_is_the_profiles_fault(void **state)
{
    (void)state;
    char text[] = "at {cite}.";
    dr_profile mute = {.forms = {{.text = text, .status = DR_ANSWERED}}, .n_forms = 1};
    assert_int_equal(dr_answer_form_parse(&mute.forms[0], NULL), DR_OK);
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
        cmocka_unit_test(grammar__parts_of_the_question_are_whole),
        cmocka_unit_test(grammar__every_sentence_when_it_holds),
        cmocka_unit_test(grammar__tools_of_one_question),
        cmocka_unit_test(grammar__one_definition_is_not_the_first_of_many),
        cmocka_unit_test(grammar__places_of_the_question),
        cmocka_unit_test(grammar__sentences_are_about_the_last_result),
        cmocka_unit_test(grammar__reading_names_what_the_pack_holds),
        cmocka_unit_test(grammar__edits_copy_from_the_file),
        cmocka_unit_test(grammar__paths_of_the_question),
        cmocka_unit_test(grammar__names_of_the_question_and_of_results),
        cmocka_unit_test(grammar__two_arguments_are_two_words),
        cmocka_unit_test(words__are_all_runs),
        cmocka_unit_test(grammar__nothing_to_say_is_the_profiles_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
