/* Texts made to keep a parser busy: each ends within its budget, and what is found does not depend on what the walk has
 * seen before. Without the budgets the first of them takes minutes. */
#include "repo/extract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { N = 60000 };

static void repeat(dr_buf *out, const char *head, const char *piece, size_t n)
{
    dr_buf_clear(out);
    dr_buf_str(out, head);
    while (n--)
        dr_buf_str(out, piece);
    assert_false(out->failed);
}

typedef struct outcome {
    size_t n_defs, n_refs;
    uint64_t steps, n_pieces;
} outcome;

static outcome extract(dr_walk *w, dr_lang lang, dr_str text)
{
    assert_int_equal(dr_walk_extract(w, lang, text), DR_OK);
    return (outcome){w->n_defs, w->n_refs, w->steps, w->n_pieces};
}

static const struct {
    dr_lang lang;
    const char *head, *piece;
    bool cut; /* over budget: lexical facts only */
} hostile[] = {
    {DR_LANG_HTML, "", "<div>", true},      {DR_LANG_HTML, "", "<a ", true},     {DR_LANG_BASH, "", "$(", false},
    {DR_LANG_BASH, "", "\"$(", false},      {DR_LANG_CPP, "", "A<", false},      {DR_LANG_TOML, "a = ", "[", false},
    {DR_LANG_SCALA, "val x: ", "A[", true}, {DR_LANG_KOTLIN, "", "/*", true},    {DR_LANG_JAVASCRIPT, "", "x=/[", true},
    {DR_LANG_YAML, "", "- ", false},        {DR_LANG_MARKDOWN, "", "> ", false},
};

static void nesting_without_end(void **state)
{
    dr_walk used = {0};
    dr_buf text = {0}, code = {0};
    (void)state;
    assert_true(dr_walk_init(&used));
    repeat(&code, "", "int f(int a) { return g(a) + (1 <2; }\n", 500);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        dr_walk fresh = {0};
        assert_true(dr_walk_init(&fresh));
        repeat(&text, hostile[i].head, hostile[i].piece, N);
        const outcome first = extract(&fresh, hostile[i].lang, dr_buf_view(&text));
        assert_int_equal(first.steps > fresh.max_steps, hostile[i].cut);
        if (hostile[i].lang == DR_LANG_HTML || hostile[i].lang == DR_LANG_TOML) { /* where memory counts */
            (void)extract(&used, DR_LANG_C, dr_buf_view(&code));
            const outcome again = extract(&used, hostile[i].lang, dr_buf_view(&text));
            assert_memory_equal(&first, &again, sizeof first);
        }
        dr_walk_fini(&fresh);
    }
    dr_walk_fini(&used);
    dr_buf_free(&text);
    dr_buf_free(&code);
}

/* As deep as pages are, and as large as a lock file is: nothing is cut. */
static void real_sizes_are_parsed(void **state)
{
    dr_walk w = {0};
    dr_buf text = {0};
    (void)state;
    assert_true(dr_walk_init(&w));
    repeat(&text, "", "<div>", 200);
    dr_buf_str(&text, "<h1 id=\"deep\">Deep</h1>");
    for (int i = 0; i < 200; i++)
        dr_buf_str(&text, "</div>");
    assert_true(extract(&w, DR_LANG_HTML, dr_buf_view(&text)).n_defs > 0);
    repeat(&text, "",
           "[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\ndependencies = [\n \"a\",\n \"b 1.2\",\n]\n\n", 4000);
    assert_true(extract(&w, DR_LANG_TOML, dr_buf_view(&text)).n_defs > 0);
    assert_true(w.steps <= w.max_steps);
    dr_walk_fini(&w);
    dr_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_without_end),
        cmocka_unit_test(real_sizes_are_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
