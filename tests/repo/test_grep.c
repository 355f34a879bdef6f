#include "tests/repo/make_repo.h"

#include "base/log.h"
#include "repo/grep.h"

#include <stdio.h>
#include <string.h>

static dr_repo *make(world *w)
{
    *w = world_begin();
    write_text(in(w, "p/a.c"), "int one;\nint two; int two_more;\n\nint last");
    write_text(in(w, "p/b/c.txt"), "two\r\nTwo\n");
    write_file(in(w, "p/bin"), "two\0two\n", 8);
    write_file(in(w, "p/latin.txt"), "caf\xe9 two\n", 9);
    write_text(in(w, "p/utf8.txt"), "caf\xc3\xa9\n");
    write_text(in(w, "p/empty"), "");
    return open_ok(in(w, "p"), NULL);
}

static void assert_hits(const dr_repo *r, const char *pattern, const char *want)
{
    dr_grep_result g;
    dr_error err = {0};
    dr_buf got = {0};
    if (dr_grep(&g, r, dr_str_of(pattern), NULL, &err) != DR_OK)
        fail_msg("%s: %s", pattern, err.msg);
    for (size_t i = 0; i < g.n_hits; i++)
        dr_buf_printf(&got, "%s:%u:%.*s\n", dr_repo_file_at(r, g.hits[i].file)->path.s, g.hits[i].line,
                      (int)g.hits[i].text.n, g.hits[i].text.s);
    assert_int_equal(g.n_total, g.n_hits);
    if (strcmp(got.data ? got.data : "", want) != 0)
        fail_msg("%s found\n%s", pattern, got.data ? got.data : "");
    dr_buf_free(&got);
    dr_grep_result_fini(&g);
}

static void finds_lines(void **state)
{
    world w;
    dr_repo *r = make(&w);
    (void)state;
    assert_hits(r, "two", "a.c:2:int two; int two_more;\nb/c.txt:1:two\r\nlatin.txt:1:caf\xc3\xa9 two\n");
    assert_hits(r, "(?i)^two", "b/c.txt:1:two\r\nb/c.txt:2:Two\n");
    assert_hits(r, "^int \\w+;?$", "a.c:1:int one;\na.c:4:int last\n");
    assert_hits(r, "^$", "a.c:3:\n");
    assert_hits(r, "one;\\nint", "a.c:1:int one;\n"); /* counts for the line it starts on */
    assert_hits(r, "caf.( two)?$", "latin.txt:1:caf\xc3\xa9 two\nutf8.txt:1:caf\xc3\xa9\n");
    assert_hits(r, "nothing here", "");
    assert_hits(r, "^",
                "a.c:1:int one;\na.c:2:int two; int two_more;\na.c:3:\na.c:4:int "
                "last\nb/c.txt:1:two\r\nb/c.txt:2:Two\nlatin.txt:1:caf\xc3\xa9 two\n"
                "utf8.txt:1:caf\xc3\xa9\n");
    dr_repo_close(r);
    world_end(&w);
}

static void bad_pattern__says_where(void **state)
{
    world w;
    dr_repo *r = make(&w);
    dr_grep_result g;
    dr_error err = {0};
    (void)state;
    assert_int_equal(dr_grep(&g, r, DR_STR("ab(c"), NULL, &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "offset 4"));
    assert_non_null(strstr(err.msg, "missing closing parenthesis"));
    assert_int_equal(dr_grep(&g, r, DR_STR("\xff"), NULL, &err), DR_ERR_ARG);
    assert_int_equal(dr_grep(&g, r, DR_STR("a\\Cb"), NULL, &err), DR_ERR_ARG);
    dr_repo_close(r);
    world_end(&w);
}

static void keeps_the_first__counts_all(void **state)
{
    world w;
    dr_repo *r = make(&w);
    dr_pool *pool = NULL;
    dr_grep_result g;
    (void)state;
    assert_int_equal(dr_pool_new(&pool, 2, NULL), DR_OK);
    assert_int_equal(dr_grep(&g, r, DR_STR("two|int"), &(dr_grep_options){.max_hits = 2, .pool = pool}, NULL), DR_OK);
    assert_int_equal(g.n_hits, 2);
    assert_int_equal(g.n_total, 5);
    assert_int_equal(g.hits[1].line, 2);
    assert_true(dr_str_eq(g.hits[1].text, DR_STR("int two; int two_more;")));
    assert_false(g.incomplete);
    dr_grep_result_fini(&g);
    dr_pool_free(pool);
    dr_repo_close(r);
    world_end(&w);
}

static void pattern_without_end__stops(void **state)
{
    world w = world_begin();
    char line[4001];
    dr_grep_result g;
    (void)state;
    for (size_t i = 0; i < sizeof line - 1; i++)
        line[i] = i % 1000 == 999 ? '\n' : 'a';
    line[sizeof line - 1] = 0;
    for (int i = 0; i < 40; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "p/f%d.txt", i);
        write_text(in(&w, name), line);
    }
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    const uint64_t start = dr_clock_us();
    assert_int_equal(dr_grep(&g, r, DR_STR("(a+)+\\d"), &(dr_grep_options){.max_time_us = 200000}, NULL), DR_OK);
    assert_true(g.incomplete);
    assert_true(dr_clock_us() - start < 60u * 1000 * 1000);
    dr_grep_result_fini(&g);
    atomic_bool cancel = true;
    assert_int_equal(dr_grep(&g, r, DR_STR("a"), &(dr_grep_options){.cancel = &cancel}, NULL), DR_ERR_CANCELLED);
    dr_repo_close(r);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_lines),
        cmocka_unit_test(bad_pattern__says_where),
        cmocka_unit_test(keeps_the_first__counts_all),
        cmocka_unit_test(pattern_without_end__stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
