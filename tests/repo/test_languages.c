/* What is found in a sample of each language, and which language a file is in.
 *
 * tests/repo/languages/NAME.txt is a text, NAME.facts what must be found in it: definitions by place, with lines, what
 * is around, where the comment above and the body begin; imports; uses of names that the sample itself defines.
 * GENERATE=1 in the environment rewrites the second file, to be read before it is kept. */
#include "tests/repo/make_repo.h"

#include "repo/extract.h"
#include "repo/facts.h"
#include "repo/tags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    dr_lang lang;
    const char *name;
} samples[] = {
    {DR_LANG_CUDA, "cuda"},         {DR_LANG_CSHARP, "csharp"}, {DR_LANG_RUBY, "ruby"},   {DR_LANG_PHP, "php"},
    {DR_LANG_KOTLIN, "kotlin"},     {DR_LANG_SWIFT, "swift"},   {DR_LANG_SCALA, "scala"}, {DR_LANG_LUA, "lua"},
    {DR_LANG_BASH, "bash"},         {DR_LANG_ELIXIR, "elixir"}, {DR_LANG_ZIG, "zig"},     {DR_LANG_HTML, "html"},
    {DR_LANG_CSS, "css"},           {DR_LANG_JSON, "json"},     {DR_LANG_YAML, "yaml"},   {DR_LANG_TOML, "toml"},
    {DR_LANG_MARKDOWN, "markdown"}, {DR_LANG_MAKE, "make"},
};

/* What is found, as text. */
static void describe(dr_buf *out, dr_lang lang, dr_str text)
{
    dr_buf bytes = {0};
    dr_walk walk;

    assert_true(dr_walk_init(&walk));
    assert_int_equal(dr_walk_extract(&walk, lang, text), DR_OK);
    assert_true(walk.steps <= walk.max_steps);
    assert_true(dr_facts__encode(&bytes, &walk));
    dr_walk_fini(&walk);
    dr_facts_reader r = dr_facts__open((dr_cspan){(const uint8_t *)bytes.data, bytes.n});
    dr_str *names = calloc(r.n_names + 1, sizeof *names);
    bool *defined = calloc(r.n_names + 1, sizeof *defined);
    assert_non_null(names);
    assert_non_null(defined);
    for (uint32_t i = 0; i < r.n_names; i++)
        names[i] = dr_facts__name(&r);
    for (uint32_t i = 0; i < r.n_defs; i++) {
        const dr_facts_def d = dr_facts__def(&r);
        defined[d.name] |= d.kind != DR_SYM_SECTION;
        dr_buf_printf(out, "%u %s %.*s", d.line, dr_sym_kind_name((dr_sym_kind)d.kind), (int)names[d.name].n,
                      names[d.name].s);
        if (d.container != DR_SYM_NONE)
            dr_buf_printf(out, " in %.*s", (int)names[d.container].n, names[d.container].s);
        dr_buf_printf(out, " lines %u-%u", d.first_line, d.end_line);
        if (d.doc_line)
            dr_buf_printf(out, " doc %u", d.doc_line);
        if (d.body_at != DR_SYM_NO_BODY) {
            size_t n = 0;
            while (n < 12 && d.body_at + n < text.n && text.s[d.body_at + n] != '\n')
                n++;
            dr_buf_printf(out, " body `%.*s`", (int)n, text.s + d.body_at);
        }
        dr_buf_str(out, "\n");
    }
    for (uint32_t i = 0; i < r.n_imports; i++) {
        uint32_t line;
        dr_import_form form;
        const dr_str name = names[dr_facts__import(&r, &line, &form)];
        dr_buf_printf(out, "%u imports %.*s form %d\n", line, (int)name.n, name.s, (int)form);
    }
    for (uint32_t i = 0; i < r.n_refs; i++) {
        uint32_t line;
        bool is_call;
        const uint32_t name = dr_facts__ref(&r, &line, &is_call);
        if (defined[name])
            dr_buf_printf(out, "%u %s %.*s\n", line, is_call ? "calls" : "uses", (int)names[name].n, names[name].s);
    }
    assert_false(r.bad);
    assert_ptr_equal(r.p, r.end);
    free(names);
    free(defined);
    dr_buf_free(&bytes);
}

static void read_sample(dr_buf *out, const char *name, const char *ending)
{
    char path[128];
    dr_error err = {0};
    (void)snprintf(path, sizeof path, "tests/repo/languages/%s.%s", name, ending);
    if (dr_read_file(out, path, 1 << 20, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static void samples__are_understood(void **state)
{
    int n_bad = 0;
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        dr_buf text = {0}, want = {0}, got = {0};
        read_sample(&text, samples[i].name, "txt");
        describe(&got, samples[i].lang, dr_buf_view(&text));
        if (getenv("GENERATE")) {
            char path[128];
            (void)snprintf(path, sizeof path, "tests/repo/languages/%s.facts", samples[i].name);
            FILE *f = fopen(path, "wb");
            assert_non_null(f);
            assert_int_equal(fwrite(got.data ? got.data : "", 1, got.n, f), got.n);
            assert_int_equal(fclose(f), 0);
        }
        read_sample(&want, samples[i].name, "facts");
        if (!dr_str_eq(dr_buf_view(&got), dr_buf_view(&want))) {
            print_error("%s: found\n%.*s", samples[i].name, (int)got.n, got.data ? got.data : "");
            n_bad++;
        }
        dr_buf_free(&text);
        dr_buf_free(&want);
        dr_buf_free(&got);
    }
    assert_int_equal(n_bad, 0);
}

/* Every language after the first nine has a sample, and every one with a query one that fits its grammar. */
static void every_query__fits_its_grammar(void **state)
{
    static const struct {
        dr_lang lang;
        const dr_grammar *grammar;
    } queries[] = {
        {DR_LANG_KOTLIN, &dr_grammar__kotlin},     {DR_LANG_SWIFT, &dr_grammar__swift},
        {DR_LANG_SCALA, &dr_grammar__scala},       {DR_LANG_LUA, &dr_grammar__lua},
        {DR_LANG_BASH, &dr_grammar__bash},         {DR_LANG_ELIXIR, &dr_grammar__elixir},
        {DR_LANG_ZIG, &dr_grammar__zig},           {DR_LANG_HTML, &dr_grammar__html},
        {DR_LANG_CSS, &dr_grammar__css},           {DR_LANG_JSON, &dr_grammar__json},
        {DR_LANG_YAML, &dr_grammar__yaml},         {DR_LANG_TOML, &dr_grammar__toml},
        {DR_LANG_MARKDOWN, &dr_grammar__markdown}, {DR_LANG_MAKE, &dr_grammar__make},
    };
    dr_error err = {0};
    (void)state;
    assert_int_equal(sizeof samples / sizeof *samples, DR_N_LANGS - DR_LANG_CUDA);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        if (dr_tags__check(queries[i].lang, queries[i].grammar, &err) != DR_OK)
            fail_msg("%s: %s", dr_lang_name(queries[i].lang), err.msg);
    assert_int_equal(dr_tags__check(DR_LANG_C, &dr_grammar__c, &err), DR_ERR_NOT_FOUND);
}

static size_t count_sections(dr_lang lang, dr_str text, uint32_t *first_line_of_last)
{
    dr_walk walk;
    assert_true(dr_walk_init(&walk));
    assert_int_equal(dr_walk_extract(&walk, lang, text), DR_OK);
    const size_t n = walk.n_defs;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(walk.defs[i].kind, DR_SYM_SECTION);
    assert_int_equal(walk.n_refs, 0);
    *first_line_of_last = n ? walk.defs[n - 1].first_line : 0;
    dr_walk_fini(&walk);
    return n;
}

/* However large a file, its outline is short: deep levels go first, then what comes last. */
static void outline__is_short(void **state)
{
    dr_buf text = {0};
    uint32_t last;
    (void)state;
    dr_buf_str(&text, "{\n");
    for (int i = 0; i < 300; i++)
        dr_buf_printf(&text, "\"top%d\": {\"inner%d\": 1, \"other%d\": {\"deep\": 2}},\n", i, i, i);
    dr_buf_str(&text, "\"last\": 1}\n");
    assert_int_equal(count_sections(DR_LANG_JSON, dr_buf_view(&text), &last), 301);
    assert_int_equal(last, 302);
    dr_buf_clear(&text);
    dr_buf_str(&text, "{\n");
    for (int i = 0; i < 20000; i++)
        dr_buf_printf(&text, "\"top%d\": [{\"a\": 1}, {\"a\": 2}],\n", i);
    dr_buf_str(&text, "\"last\": 1}\n");
    assert_int_equal(count_sections(DR_LANG_JSON, dr_buf_view(&text), &last), 400);
    assert_int_equal(last, 401);
    dr_buf_clear(&text);
    for (int i = 0; i < 5000; i++)
        dr_buf_printf(&text, "key%d: value\n", i);
    assert_int_equal(count_sections(DR_LANG_YAML, dr_buf_view(&text), &last), 400);
    dr_buf_free(&text);
}

static void expect_lang(const char *path, const char *text, const char *want)
{
    const dr_lang lang = dr_lang_of(dr_str_of(path), dr_str_of(text));
    if (strcmp(dr_lang_name(lang), want) != 0)
        fail_msg("%s with \"%s\" is %s, not %s", path, text, dr_lang_name(lang), want);
}

static void language__by_ending_and_name(void **state)
{
    (void)state;
    expect_lang("a/b.kt", "", "kotlin");
    expect_lang("build.gradle.kts", "", "kotlin");
    expect_lang("x.cuh", "", "cuda");
    expect_lang("x.cs", "", "c#");
    expect_lang("x.gemspec", "", "ruby");
    expect_lang("a/Rakefile", "", "ruby");
    expect_lang("Makefile", "", "make");
    expect_lang("src/Makefile.am", "", "make");
    expect_lang("rules.mk", "", "make");
    expect_lang("home/.bashrc", "", "bash");
    expect_lang(".profile", "", "bash");
    expect_lang("README.md", "", "markdown");
    expect_lang(".github/workflows/ci.yml", "", "yaml");
    expect_lang("Cargo.toml", "", "toml");
    expect_lang("x.h", "", "c");
    expect_lang("x.h", "namespace a {", "c++");
    expect_lang("Dockerfile", "FROM x\n", "");
    expect_lang("a.b/c", "", "");
    expect_lang(".json", "", ""); /* a name, not an ending */
    expect_lang("x.unknown", "#!/bin/sh\n", "");
    expect_lang("", "", "");
}

static void language__by_first_line(void **state)
{
    (void)state;
    expect_lang("bin/run", "#!/bin/sh\n", "bash");
    expect_lang("bin/run", "#! /usr/bin/env bash\n", "bash");
    expect_lang("bin/run", "#!/usr/bin/env -S python3.11 -u\n", "python");
    expect_lang("bin/run", "#!/usr/bin/env A=b ruby\n", "ruby");
    expect_lang("bin/run", "#!/usr/local/bin/node", "javascript");
    expect_lang("bin/run", "#!/usr/bin/make -f\n", "make");
    expect_lang("bin/run", "#!/usr/bin/perl\n", "");
    expect_lang("bin/run", "#!\n/bin/sh\n", "");
    expect_lang("bin/run", "#!/usr/bin/env", "");
    expect_lang("bin/run", " #!/bin/sh\n", "");
    assert_true(dr_lang_needs_text(DR_STR("bin/run")));
    assert_false(dr_lang_needs_text(DR_STR("bin/run.sh")));
    assert_false(dr_lang_needs_text(DR_STR("Makefile")));
    assert_false(dr_lang_needs_text(DR_STR(".gitignore")));
}

/* A script without an ending is found through the snapshot as well. */
static void scripts__are_indexed(void **state)
{
    world w = world_begin();
    dr_error err = {0};
    dr_repo *repo = NULL;
    dr_symbols *s = NULL;
    const dr_sym_def *defs;
    const dr_sym_ref *refs;
    const uint32_t *outline;
    (void)state;
    write_text(in(&w, "tool"), "#!/bin/sh\ngreet() {\n  echo hi\n}\ngreet\n");
    write_text(in(&w, "LICENSE"), "greet() { this is not code }\n");
    write_text(in(&w, "data.json"), "{\"greet\": 1}\n");
    assert_int_equal(dr_repo_open(&repo, w.path, NULL, &err), DR_OK);
    assert_int_equal(dr_symbols_open(&s, repo, NULL, &err), DR_OK);
    assert_int_equal(dr_symbols_find(s, DR_STR("greet"), &defs), 1);
    assert_int_equal(defs[0].line, 2);
    assert_int_equal(dr_symbols_refs(s, DR_STR("greet"), &refs), 1);
    assert_int_equal(refs[0].line, 5);
    for (size_t i = 0; i < dr_repo_n_files(repo); i++)
        if (dr_str_eq(dr_repo_file_at(repo, i)->path, DR_STR("data.json"))) {
            assert_int_equal(dr_symbols_outline(s, i, &outline), 1);
            assert_int_equal(dr_symbols_def(s, outline[0])->kind, DR_SYM_SECTION);
        }
    dr_symbols_close(s);
    dr_repo_close(repo);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples__are_understood), cmocka_unit_test(every_query__fits_its_grammar),
        cmocka_unit_test(outline__is_short),       cmocka_unit_test(language__by_ending_and_name),
        cmocka_unit_test(language__by_first_line), cmocka_unit_test(scripts__are_indexed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
