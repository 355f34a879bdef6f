/* The joined table: order, kinds of look-up, what is kept and found again. */
#include "tests/repo/make_repo.h"

#include "repo/symbols.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void fill(const world *w)
{
    write_text(in(w, "p/a/use.c"),
               "#include \"z.h\"\n"
               "int run(void)\n{\n    helper(1); helper(2);\n    int (*f)(int) = helper;\n    return MAX;\n}\n"
               "int table[] = { MAX };\n");
    write_text(in(w, "p/b.py"), "class Box:\n    def run(self):\n        return helper(MAX)\n\nhelper(0)\n");
    write_text(in(w, "p/z.c"),
               "#include \"z.h\"\nstruct box { int max; };\nint helper(int n)\n{\n    return n + MAX;\n}\n");
    write_text(in(w, "p/z.h"), "#define MAX 3\nint helper(int n);\nint helperish(void);\nextern int HelperThree;\n");
    write_text(in(w, "p/notes.txt"), "helper helper\n");
    write_file(in(w, "p/data.c"), "int binary;\0", 12);
}

static void assert_def(const dr_symbols *s, const dr_repo *r, const char *name, const char *want)
{
    const dr_sym_def *d;
    dr_buf got = {0};
    const size_t n = dr_symbols_find(s, dr_str_of(name), &d);
    for (size_t i = 0; i < n; i++)
        dr_buf_printf(&got, "%s:%u %s\n", dr_repo_file_at(r, d[i].file)->path.s, d[i].line,
                      dr_sym_kind_name((dr_sym_kind)d[i].kind));
    assert_string_equal(got.data ? got.data : "", want);
    dr_buf_free(&got);
}

static void assert_refs(const dr_symbols *s, const dr_repo *r, const char *name, const char *want)
{
    const dr_sym_ref *f;
    size_t n_names;
    const dr_str *names = dr_symbols_names(s, &n_names);
    dr_buf got = {0};
    const size_t n = dr_symbols_refs(s, dr_str_of(name), &f);
    for (size_t i = 0; i < n; i++) {
        const dr_sym_def *around = dr_symbols_enclosing(s, f[i].file, f[i].line);
        const dr_str in_name = around ? names[around->name] : DR_STR("-");
        dr_buf_printf(&got, "%s:%u %s %.*s\n", dr_repo_file_at(r, f[i].file)->path.s, (unsigned)f[i].line,
                      f[i].is_call ? "call" : "use", (int)in_name.n, in_name.s);
    }
    assert_string_equal(got.data ? got.data : "", want);
    dr_buf_free(&got);
}

static void check(const dr_symbols *s, const dr_repo *r)
{
    assert_def(s, r, "helper", "z.c:3 function\nz.h:2 prototype\n");
    assert_def(s, r, "run", "a/use.c:2 function\nb.py:2 method\n");
    assert_def(s, r, "MAX", "z.h:1 macro\n");
    assert_def(s, r, "max", "z.c:2 member\n");
    assert_def(s, r, "nothing", "");
    assert_def(s, r, "binary", "");
    assert_refs(s, r, "helper", "a/use.c:4 call run\nb.py:3 call run\nb.py:5 call -\na/use.c:5 use run\n");
    assert_refs(s, r, "MAX", "a/use.c:6 use run\na/use.c:8 use -\nb.py:3 use run\nz.c:5 use helper\n");
    assert_refs(s, r, "nothing", "");
    assert_refs(s, r, "n", ""); /* nobody defines it */
}

static dr_symbols *index_of(const dr_repo *r, const dr_symbols_options *opt)
{
    dr_symbols *s = NULL;
    dr_error err = {0};
    if (dr_symbols_open(&s, r, opt, &err) != DR_OK)
        fail_msg("%s", err.msg);
    return s;
}

static void look_ups(void **state)
{
    world w = world_begin();
    (void)state;
    fill(&w);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols *s = index_of(r, NULL);
    check(s, r);

    size_t n, file;
    const dr_str *names = dr_symbols_names(s, &n);
    assert_int_equal(n, dr_symbols_get_stats(s)->n_names);
    for (size_t i = 1; i < n; i++)
        assert_true(dr_str_cmp(names[i - 1], names[i]) < 0);

    dr_str like[5];
    assert_int_equal(dr_symbols_similar(s, DR_STR("help"), like), 3);
    assert_true(dr_str_eq(like[0], DR_STR("helper")));
    assert_true(dr_str_eq(like[1], DR_STR("helperish")));
    assert_true(dr_str_eq(like[2], DR_STR("HelperThree")));
    assert_int_equal(dr_symbols_similar(s, DR_STR("Max"), like), 2); /* both equal but for case */
    assert_true(dr_str_eq(like[0], DR_STR("MAX")));
    assert_true(dr_str_eq(like[1], DR_STR("max")));
    assert_int_equal(dr_symbols_similar(s, DR_STR("qqq"), like), 0);
    assert_int_equal(dr_symbols_similar(s, DR_STR(""), like), 0);

    assert_true(dr_repo_find(r, DR_STR("b.py"), &file));
    const dr_sym_def *around = dr_symbols_enclosing(s, file, 3);
    assert_non_null(around);
    assert_true(dr_str_eq(names[around->name], DR_STR("run")));
    around = dr_symbols_enclosing(s, file, 1);
    assert_true(dr_str_eq(names[around->name], DR_STR("Box")));
    assert_null(dr_symbols_enclosing(s, file, 5));
    assert_null(dr_symbols_enclosing(s, 1000, 1));

    const uint32_t *outline;
    assert_true(dr_repo_find(r, DR_STR("z.h"), &file));
    assert_int_equal(dr_symbols_outline(s, file, &outline), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(dr_symbols_def(s, outline[i])->line, i + 1);
    assert_true(dr_repo_find(r, DR_STR("notes.txt"), &file));
    assert_int_equal(dr_symbols_outline(s, file, &outline), 0);
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

static void callees__each_once_at_its_first_call(void **state)
{
    world w = world_begin();
    memory_store store;
    (void)state;
    memory_store_init(&store);
    write_text(in(&w, "p/a.c"),
               "int one(int n) { return n; }\nint two(void) { return unknown(1); }\n"
               "int all(void)\n{\n    one(two());\n    return one(1) + all() + two();\n}\nint after = one(2);\n");
    const dr_symbols_options opt = {.store = &store.store};
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols *s = index_of(r, &opt);
    size_t n, n_names;
    const dr_str *names = dr_symbols_names(s, &n_names);
    const dr_sym_def *d;
    dr_sym_call *calls;
    for (int kept = 0; kept < 2; kept++) {
        dr_buf got = {0};
        assert_int_equal(dr_symbols_find(s, DR_STR("all"), &d), 1);
        assert_int_equal(dr_symbols_callees(&calls, &n, s, r, kept ? &store.store : NULL, d, NULL), DR_OK);
        for (size_t i = 0; i < n; i++)
            dr_buf_printf(&got, "%u %.*s\n", calls[i].line, (int)names[calls[i].name].n, names[calls[i].name].s);
        assert_string_equal(got.data, "5 one\n5 two\n6 all\n");
        dr_buf_free(&got);
        free(calls);
    }
    assert_int_equal(dr_symbols_find(s, DR_STR("two"), &d), 1);
    assert_int_equal(dr_symbols_callees(&calls, &n, s, r, &store.store, d, NULL), DR_OK);
    assert_int_equal(n, 0);
    assert_null(calls);
    dr_symbols_close(s);
    dr_repo_close(r);
    memory_store_fini(&store);
    world_end(&w);
}

/* What docs/tools.md says, by looking at every name. */
static size_t similar_slowly(const dr_str *names, size_t n_names, dr_str name, dr_str out[5])
{
    size_t n = 0;
    int like[5] = {0};
    for (size_t i = 0; i < n_names; i++) {
        const dr_str c = names[i];
        int l = -1;
        if (c.n < name.n || dr_str_eq(c, name))
            continue;
        if (c.n == name.n)
            l = strncasecmp(c.s, name.s, name.n) == 0 ? 0 : -1;
        else if (memcmp(c.s, name.s, name.n) == 0)
            l = 1;
        for (size_t k = 0; l < 0 && c.n > name.n && k + name.n <= c.n; k++)
            if (strncasecmp(c.s + k, name.s, name.n) == 0)
                l = 2;
        if (l < 0)
            continue;
        size_t at = n;
        while (at > 0 && (l < like[at - 1] || (l == like[at - 1] && c.n < out[at - 1].n)))
            at--;
        if (at == 5)
            continue;
        n += n < 5;
        for (size_t k = n - 1; k > at; k--) {
            out[k] = out[k - 1];
            like[k] = like[k - 1];
        }
        out[at] = c;
        like[at] = l;
    }
    return n;
}

/* More names than are just read through: the index of their letters must find what reading finds. */
static void similar__index_finds_what_reading_finds(void **state)
{
    world w = world_begin();
    dr_buf text = {0};
    uint32_t seed = 7;
    (void)state;
    for (int i = 0; i < 30000; i++) {
        static const char *const parts[] = {"get", "Set", "KEY", "node", "X", "list", "_", "size", "ab", "Q"};
        dr_buf_printf(&text, "#define %s", i % 2 ? "a" : "Z");
        for (int k = 0; k < 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            dr_buf_str(&text, parts[(seed >> 16) % 10]);
        }
        dr_buf_printf(&text, "%x\n", seed >> 20);
    }
    write_file(in(&w, "p/names.h"), text.data, text.n);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols *s = index_of(r, NULL);
    size_t n_names;
    const dr_str *names = dr_symbols_names(s, &n_names);
    assert_true(n_names > 20000);
    for (int i = 0; i < 600; i++) {
        char ask[40];
        seed = seed * 1664525u + 1013904223u;
        const dr_str from = names[(seed >> 8) % n_names];
        const size_t at = i % 3 ? (seed >> 4) % from.n : 0, n_ask = 1 + (seed >> 12) % (from.n - at);
        for (size_t k = 0; k < n_ask && k < sizeof ask; k++) /* now and then in the other case, or a letter wrong */
            ask[k] = (char)(i % 5 == 0 && from.s[at + k] >= 'a' && from.s[at + k] <= 'z' ? from.s[at + k] - 32
                            : i % 7 == 0 && k + 1 == n_ask                                ? '#'
                                                                                          : from.s[at + k]);
        const dr_str name = {ask, n_ask < sizeof ask ? n_ask : sizeof ask};
        dr_str fast[5], slow[5];
        const size_t n = dr_symbols_similar(s, name, fast);
        assert_int_equal(n, similar_slowly(names, n_names, name, slow));
        for (size_t k = 0; k < n; k++)
            if (!dr_str_eq(fast[k], slow[k]))
                fail_msg("%.*s: %.*s, not %.*s", (int)name.n, name.s, (int)fast[k].n, fast[k].s, (int)slow[k].n, slow[k].s);
    }
    dr_symbols_close(s);
    dr_repo_close(r);
    dr_buf_free(&text);
    world_end(&w);
}

/* Headings and keys have a place in the outline and nowhere else. */
static void sections__are_not_names(void **state)
{
    world w = world_begin();
    (void)state;
    write_text(in(&w, "p/a.md"), "# First heading\ntext\n## Second `one`\n");
    write_text(in(&w, "p/b.c"), "int First;\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols *s = index_of(r, NULL);
    size_t n_names, file;
    const dr_str *names = dr_symbols_names(s, &n_names);
    const uint32_t *outline;
    const dr_sym_def *d;
    assert_int_equal(n_names, 1);
    assert_int_equal(dr_symbols_get_stats(s)->n_defs, 1);
    assert_int_equal(dr_symbols_get_stats(s)->n_sections, 2);
    assert_true(dr_repo_find(r, DR_STR("a.md"), &file));
    assert_int_equal(dr_symbols_outline(s, file, &outline), 2);
    d = dr_symbols_def(s, outline[0]);
    assert_int_equal(d->kind, DR_SYM_SECTION);
    assert_true(d->name >= n_names);
    assert_true(dr_str_eq(names[d->name], DR_STR("First heading")));
    assert_int_equal(dr_symbols_find(s, DR_STR("First heading"), &d), 0);
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

static void second_open__neither_reads_nor_parses(void **state)
{
    world w = world_begin();
    memory_store store;
    (void)state;
    memory_store_init(&store);
    fill(&w);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    const dr_symbols_options opt = {.store = &store.store};
    dr_symbols *s = index_of(r, &opt);
    assert_false(dr_symbols_get_stats(s)->restored);
    assert_int_equal(dr_symbols_get_stats(s)->n_parsed, 4);
    dr_symbols_close(s);

    /* Nothing left to read: every file that could be parsed is gone from disk. */
    assert_int_equal(remove(in(&w, "p/a/use.c")), 0);
    assert_int_equal(remove(in(&w, "p/b.py")), 0);
    s = index_of(r, &opt);
    assert_true(dr_symbols_get_stats(s)->restored);
    assert_int_equal(dr_symbols_get_stats(s)->n_parsed, 0);
    assert_int_equal(dr_symbols_get_stats(s)->n_files, 4);
    check(s, r);
    dr_symbols_close(s);
    dr_repo_close(r);
    memory_store_fini(&store);
    world_end(&w);
}

static void one_file_changed__only_it_is_parsed(void **state)
{
    world w = world_begin();
    memory_store store;
    (void)state;
    memory_store_init(&store);
    fill(&w);
    const dr_symbols_options opt = {.store = &store.store};
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols_close(index_of(r, &opt));
    dr_repo_close(r);
    write_text(in(&w, "p/b.py"), "def added():\n    helper(1)\n");
    r = open_ok(in(&w, "p"), NULL);
    dr_symbols *s = index_of(r, &opt);
    assert_int_equal(dr_symbols_get_stats(s)->n_parsed, 1);
    assert_int_equal(dr_symbols_get_stats(s)->n_kept, 3);
    assert_def(s, r, "run", "a/use.c:2 function\n");
    assert_refs(s, r, "helper", "a/use.c:4 call run\nb.py:2 call added\na/use.c:5 use run\n");
    dr_symbols_close(s);
    dr_repo_close(r);
    memory_store_fini(&store);
    world_end(&w);
}

static void damaged_store__is_a_miss(void **state)
{
    world w = world_begin();
    memory_store store;
    (void)state;
    memory_store_init(&store);
    fill(&w);
    const dr_symbols_options opt = {.store = &store.store};
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols_close(index_of(r, &opt));
    for (size_t step = 0; step < 64; step++) {
        for (size_t i = 0; i < store.n_items; i++)
            if (memcmp(store.items[i].key, "syt2", 4) == 0)
                store.items[i].value[(step * 37) % store.items[i].n_value] ^= 1;
        memory_store_cut(&store, 5); /* what the last round stored anew is forgotten */
        dr_symbols *s = index_of(r, &opt);
        assert_false(dr_symbols_get_stats(s)->restored && step == 0);
        check(s, r);
        dr_symbols_close(s);
    }
    dr_repo_close(r);
    memory_store_fini(&store);
    world_end(&w);
}

static void threads__same_table(void **state)
{
    world w = world_begin();
    memory_store one, two;
    dr_pool *pool = NULL;
    (void)state;
    memory_store_init(&one);
    memory_store_init(&two);
    fill(&w);
    assert_int_equal(dr_pool_new(&pool, 2, NULL), DR_OK);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols_close(index_of(r, &(dr_symbols_options){.store = &one.store}));
    dr_symbols_close(index_of(r, &(dr_symbols_options){.store = &two.store, .pool = pool}));
    assert_int_equal(one.n_items, two.n_items);
    size_t n_same = 0;
    for (size_t i = 0; i < one.n_items; i++)
        for (size_t k = 0; k < two.n_items; k++)
            if (one.items[i].n_key == two.items[k].n_key &&
                memcmp(one.items[i].key, two.items[k].key, one.items[i].n_key) == 0) {
                assert_int_equal(one.items[i].n_value, two.items[k].n_value);
                assert_memory_equal(one.items[i].value, two.items[k].value, one.items[i].n_value);
                n_same++;
            }
    assert_int_equal(n_same, one.n_items);
    dr_repo_close(r);
    dr_pool_free(pool);
    memory_store_fini(&one);
    memory_store_fini(&two);
    world_end(&w);
}

typedef struct calls {
    int n, stop_at;
    uint64_t last, total;
} calls;

static bool on_progress(void *arg, uint64_t done, uint64_t total)
{
    calls *c = arg;
    assert_true(done <= total && done >= c->last);
    c->last = done;
    c->total = total;
    return ++c->n != c->stop_at;
}

static void progress__counts_up_and_cancels(void **state)
{
    world w = world_begin();
    (void)state;
    fill(&w);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    calls c = {.stop_at = -1};
    dr_symbols_close(index_of(r, &(dr_symbols_options){.progress = on_progress, .progress_arg = &c}));
    assert_true(c.n >= 4);
    assert_int_equal(c.last, c.total);
    dr_symbols *s = NULL;
    dr_error err;
    c = (calls){.stop_at = 2};
    assert_int_equal(dr_symbols_open(&s, r, &(dr_symbols_options){.progress = on_progress, .progress_arg = &c}, &err),
                     DR_ERR_CANCELLED);
    assert_null(s);
    dr_repo_close(r);
    world_end(&w);
}

static void empty_folder(void **state)
{
    world w = world_begin();
    (void)state;
    write_text(in(&w, "p/README"), "nothing\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    dr_symbols *s = index_of(r, NULL);
    size_t n;
    (void)dr_symbols_names(s, &n);
    assert_int_equal(n, 0);
    assert_def(s, r, "x", "");
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_ups),
        cmocka_unit_test(callees__each_once_at_its_first_call),
        cmocka_unit_test(similar__index_finds_what_reading_finds),
        cmocka_unit_test(sections__are_not_names),
        cmocka_unit_test(second_open__neither_reads_nor_parses),
        cmocka_unit_test(one_file_changed__only_it_is_parsed),
        cmocka_unit_test(damaged_store__is_a_miss),
        cmocka_unit_test(threads__same_table),
        cmocka_unit_test(progress__counts_up_and_cancels),
        cmocka_unit_test(empty_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
