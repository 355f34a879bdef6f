/* Citations: what counts as one, and what each check finds. */
#include "app/citation.h"
#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sample_folder folder;

static int set_up(void **state)
{
    (void)state;
    sample_folder_open(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sample_folder_close(&folder);
    return 0;
}

/* The citations of text as "path:line-end check" lines. */
static void expect(const char *text, const char *wanted)
{
    dr_citations c = {0};
    dr_buf got = {0};
    assert_int_equal(dr_citations_scan(&c, dr_str_of(text), folder.repo, folder.symbols, NULL), DR_OK);
    dr_buf_str(&got, "");
    for (size_t i = 0; i < c.n; i++) {
        dr_buf_add(&got, text + c.v[i].at, c.v[i].n);
        dr_buf_printf(&got, " %u-%u %s%s\n", c.v[i].line, c.v[i].end, dr_cite_check_name(c.v[i].check),
                      c.v[i].check == DR_CITE_USED ? " used" : "");
    }
    assert_string_equal(got.data ? got.data : "", wanted);
    dr_buf_free(&got);
    dr_citations_fini(&c);
}

static void citation__definition_and_use(void **state)
{
    (void)state;
    expect("`list_size` is defined at src/list.c:3.", "src/list.c:3 3-3 symbol\n");
    expect("`list_size` is defined at src/list.h:3.", "src/list.h:3 3-3 symbol used\n"); /* a declaration */
    expect("`list_size` is used at:\n- src/main.c:11 in `main`", "src/main.c:11 11-11 symbol used\n");
    expect("`list_size` is defined at src/list.c:4.", "src/list.c:4 4-4 exists\n");
    expect("See (src/list.c:1-9), and `tool.py:5`!", "src/list.c:1-9 1-9 exists\ntool.py:5 5-5 exists\n");
}

static void citation__failed(void **state)
{
    (void)state;
    expect("at src/list.c:10.", "src/list.c:10 10-10 failed\n");
    expect("at src/list.c:0.", "src/list.c:0 0-0 failed\n");
    expect("at src/list.c:5-4.", "src/list.c:5-4 5-4 failed\n");
    expect("at src/none.c:1.", "src/none.c:1 1-1 failed\n");
    expect("at src/list.c:99999999999999999999.", "src/list.c:99999999999999999999 0-0 failed\n");
}

static void citation__prose_is_not_one(void **state)
{
    (void)state;
    expect("At 12:30, ratio 3:4, note: 5.", "");
    expect("", "");
    expect(":3", "");
    expect("a:", "");
}

static void citation__path_with_a_blank(void **state)
{
    (void)state;
    expect("in with space/a b.txt:2 it says two", "with space/a b.txt:2 2-2 exists\n");
}

/* `main` is defined on the line; that says nothing of `list_size`. */
static void citation__one_name_does_not_vouch_for_another(void **state)
{
    (void)state;
    const dr_str text = DR_STR("`list_size` is used at:\n- src/main.c:8 in `main`");
    dr_citations c = {0};
    assert_int_equal(dr_citations_scan(&c, text, folder.repo, folder.symbols, NULL), DR_OK);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.v[0].check, DR_CITE_SYMBOL);
    assert_int_equal(dr_citation_check_name(&c.v[0], DR_STR("main"), folder.symbols), DR_CITE_SYMBOL);
    assert_int_equal(dr_citation_check_name(&c.v[0], DR_STR("list_size"), folder.symbols), DR_CITE_EXISTS);
    c.v[0].check = DR_CITE_FAILED;
    assert_int_equal(dr_citation_check_name(&c.v[0], DR_STR("main"), folder.symbols), DR_CITE_FAILED);
    dr_citations_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(citation__definition_and_use),
        cmocka_unit_test(citation__failed),
        cmocka_unit_test(citation__prose_is_not_one),
        cmocka_unit_test(citation__path_with_a_blank),
        cmocka_unit_test(citation__one_name_does_not_vouch_for_another),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
