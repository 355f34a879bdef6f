/* What changed, by symbol: between two texts, and between two commits. */
#include "tests/repo/make_repo.h"

#include "repo/symbol_changes.h"

#include <stdio.h>
#include <string.h>

static void expect(const dr_sym_changes *c, const char *want)
{
    dr_buf got = {0};
    for (size_t i = 0; i < c->n; i++) {
        const dr_sym_change *x = &c->v[i];
        dr_buf_printf(&got, "%.*s %s %s %.*s", (int)x->path.n, x->path.s, dr_sym_change_name(x->kind),
                      dr_sym_kind_name(x->sym), (int)x->name.n, x->name.s);
        if (x->container.n)
            dr_buf_printf(&got, " in %.*s", (int)x->container.n, x->container.s);
        dr_buf_printf(&got, " %u %u\n", x->old_line, x->new_line);
    }
    assert_string_equal(got.data ? got.data : "", want);
    dr_buf_free(&got);
}

static void texts(const char *path, const char *old, const char *new, const char *want)
{
    dr_sym_changes c = {0};
    assert_int_equal(dr_symbol_changes_add(&c, dr_str_of(path), dr_str_of(old), dr_str_of(new), NULL), DR_OK);
    assert_int_equal(c.n_files, 1);
    expect(&c, want);
    dr_symbol_changes_fini(&c);
}

static void texts__added_removed_signature_body(void **state)
{
    (void)state;
    texts("a.c", "int f(int a)\n{\n    return a;\n}\nint g(void);\n#define N 1\n",
          "int f(int a)\n{\n    return a + 1;\n}\n#define N 2\nint h(void) { return 0; }\n",
          "a.c body function f 1 1\na.c signature macro N 6 5\na.c added function h 0 6\na.c removed prototype g 5 0\n");
    texts("a.c", "int f(int a)\n{\n    return a;\n}\n", "int f(int a,\n      int b)\n{\n    return a;\n}\n",
          "a.c signature function f 1 1\n");
    /* moved, or given a comment, is not changed */
    texts("a.c", "int f(void) { return 0; }\nint g(void) { return 1; }\n",
          "/* new */\nint g(void) { return 1; }\n\nint f(void) { return 0; }\n", "");
    texts("a.py", "class A:\n    def f(self):\n        return 1\n", "class A:\n    def f(self):\n        return 2\n",
          "a.py body class A 1 1\na.py body method f in A 2 2\n");
    texts("a.py", "", "def f():\n    pass\n", "a.py added function f 0 1\n");
    texts("a.py", "def f():\n    pass\n", "", "a.py removed function f 1 0\n");
    texts("a.txt", "def f():\n", "def g():\n", "");
}

static void texts__same_names_in_order(void **state)
{
    (void)state;
    texts("a.c", "#if A\nint f(int a) { return a; }\n#else\nint f(int b) { return b; }\n#endif\n",
          "#if A\nint f(int a) { return a; }\n#else\nint f(int b) { return 0; }\n#endif\n", "a.c body function f 4 4\n");
    texts("A.java", "class A {\n  void f(int a) {}\n  void f() {}\n}\n", "class A {\n  void f(int a) {}\n}\n",
          "A.java body class A 1 1\nA.java removed method f in A 3 0\n");
}

static void commits__in_path_order(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    write_text(in(&w, "p/b.c"), "int f(void) { return 1; }\n");
    write_text(in(&w, "p/old.py"), "def gone(): pass\n");
    write_text(in(&w, "p/same.py"), "def same(): pass\n");
    write_text(in(&w, "p/moved.py"), "def moved(): pass\n");
    const git_oid first = commit_all(g, "one");
    write_text(in(&w, "p/b.c"), "int f(void) { return 2; }\n");
    write_text(in(&w, "p/a.c"), "int fresh(void) { return 1; }\n");
    assert_int_equal(remove(in(&w, "p/old.py")), 0);
    assert_int_equal(rename(in(&w, "p/moved.py"), in(&w, "p/there.py")), 0);
    const git_oid second = commit_all(g, "two");
    git_repository_free(g);

    char from[41], to[41];
    assert_int_equal(git_oid_fmt(from, &first) | git_oid_fmt(to, &second), 0);
    from[40] = to[40] = 0;
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_sym_changes c = {0};
    dr_error err = {0};
    if (dr_symbol_changes_between(&c, r, from, to, &err) != DR_OK)
        fail_msg("%s", err.msg);
    expect(&c, "a.c added function fresh 0 1\nb.c body function f 1 1\nold.py removed function gone 1 0\n");
    assert_int_equal(c.n_unread, 0);
    dr_symbol_changes_fini(&c);
    assert_int_equal(dr_symbol_changes_between(&c, r, to, to, &err), DR_OK);
    assert_int_equal(c.n, 0);
    dr_symbol_changes_fini(&c);
    assert_int_equal(dr_symbol_changes_between(&c, r, "0123456789012345678901234567890123456789", to, &err),
                     DR_ERR_NOT_FOUND);
    dr_symbol_changes_fini(&c);
    dr_repo_close(r);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts__added_removed_signature_body),
        cmocka_unit_test(texts__same_names_in_order),
        cmocka_unit_test(commits__in_path_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
