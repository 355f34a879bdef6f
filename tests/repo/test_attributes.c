#include "tests/repo/git_oracle.h"

#include "repo/attributes.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* libgit2 1.5 forgets what its regular expressions allocated when it checks a repository's extensions. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2";
}

static dr_attr_set get(const dr_attributes *a, const char *path)
{
    return dr_attributes__get(a, dr_str_of(path), false);
}

static void later_lines_and_deeper_files_win(void **state)
{
    (void)state;
    dr_attributes *a = dr_attributes__new();
    assert_non_null(a);
    const dr_str root =
        DR_STR("# comment\n*.js linguist-vendored\nlib/*.js -linguist-vendored linguist-generated=true\n"
               "\"with blank.c\" binary\n/only.c binary\n!bad binary\n*.o\tbinary\r\nempty\n"
               "two linguist-generated bad/name\n\"oct\\141l\" binary\n*.w working-tree-encoding=UTF-16LE\n"
               "*.t text eol=crlf\n*.auto text=auto\n*.lfs filter=lfs diff=lfs merge=lfs -text\n*.pdf -diff -text\n"
               "gone/ export-ignore\n");
    const dr_str deep = DR_STR("x.js linguist-generated=false\ny.js !linguist-generated\n[attr]mine binary\nz mine\n");
    assert_int_equal(dr_attributes__add(a, DR_STR(""), DR_STR(".gitattributes"), false, root, NULL), DR_OK);
    assert_int_equal(dr_attributes__add(a, DR_STR("lib"), DR_STR("lib/.gitattributes"), false, deep, NULL), DR_OK);
    assert_int_equal(
        dr_attributes__add(a, DR_STR(""), DR_STR("info/attributes"), true, DR_STR("top.js -linguist-vendored\n"), NULL),
        DR_OK);
    assert_int_equal(dr_attributes__finish(a, NULL), DR_OK);

    dr_attr_set s = get(a, "q/z.js");
    assert_int_equal(s.vendored, 1);
    assert_int_equal(s.generated, -1);
    s = get(a, "lib/z.js");
    assert_int_equal(s.vendored, 0);
    assert_int_equal(s.generated, 1);
    assert_int_equal(get(a, "lib/x.js").generated, 0);
    assert_int_equal(get(a, "lib/y.js").generated, -1);
    assert_int_equal(get(a, "library/x.js").generated, -1);
    assert_int_equal(get(a, "d/with blank.c").binary, 1);
    assert_int_equal(get(a, "octal").binary, 1);
    assert_int_equal(get(a, "only.c").binary, 1);
    assert_int_equal(get(a, "d/only.c").binary, -1);
    assert_int_equal(get(a, "a.o").binary, 1);
    assert_int_equal(get(a, "bad").binary, -1);
    assert_int_equal(get(a, "two").generated, -1);
    assert_int_equal(get(a, "lib/z").binary, -1); /* macros belong into the root file */
    assert_int_equal(get(a, "top.js").vendored, 0);
    assert_true(dr_str_eq(get(a, "d/a.w").encoding, DR_STR("UTF-16LE")));
    assert_true(get(a, "a.t").text_yes);
    assert_true(get(a, "a.auto").text_auto);
    assert_true(get(a, "a.lfs").lfs);
    assert_int_equal(get(a, "a.lfs").binary, -1);
    assert_int_equal(get(a, "a.pdf").binary, 1);
    assert_false(get(a, "gone").export_ignore);
    assert_true(dr_attributes__get(a, DR_STR("gone"), true).export_ignore);
    assert_true(dr_attributes__mentions(a, DR_ATTR_EXPORT_IGNORE));

    dr_attr_rule rule;
    dr_attributes__why(&rule, a, DR_ATTR_GENERATED, DR_STR("lib/z.js"), false);
    assert_true(dr_str_eq(rule.file, DR_STR(".gitattributes")));
    assert_int_equal(rule.line, 3);
    assert_true(dr_str_eq(rule.text, DR_STR("lib/*.js -linguist-vendored linguist-generated=true")));
    dr_attributes__why(&rule, a, DR_ATTR_GENERATED, DR_STR("none"), false);
    assert_int_equal(rule.file.n, 0);
    dr_attributes__free(a);
}

static void hostile_macros_end(void **state)
{
    dr_buf text = {0};
    (void)state;
    for (int i = 0; i < 6000; i++) /* each names the next, the last the first */
        dr_buf_printf(&text, "[attr]m%d m%d -diff\n", i, (i + 1) % 6000);
    dr_buf_str(&text, "* m0\n");
    dr_attributes *a = dr_attributes__new();
    assert_int_equal(dr_attributes__add(a, DR_STR(""), DR_STR(".gitattributes"), false, dr_buf_view(&text), NULL),
                     DR_OK);
    assert_int_equal(dr_attributes__finish(a, NULL), DR_OK);
    (void)get(a, "x");
    dr_attributes__free(a);
    dr_buf_free(&text);
}

static const struct {
    const char *name;
    dr_attr attr;
} asked[] = {{"binary", DR_ATTR_BINARY},
             {"diff", DR_ATTR_DIFF},
             {"text", DR_ATTR_TEXT},
             {"linguist-generated", DR_ATTR_GENERATED},
             {"export-ignore", DR_ATTR_EXPORT_IGNORE},
             {"working-tree-encoding", DR_ATTR_ENCODING}};

static void random_line(dr_buf *out, dice *d, bool root)
{
    static const char *const words[] = {"binary",
                                        "-binary",
                                        "!binary",
                                        "diff",
                                        "-diff",
                                        "!diff",
                                        "text",
                                        "-text",
                                        "text=auto",
                                        "m1",
                                        "-m1",
                                        "m2",
                                        "!m2",
                                        "m3",
                                        "linguist-generated",
                                        "-linguist-generated",
                                        "linguist-generated=false",
                                        "export-ignore",
                                        "!export-ignore",
                                        "working-tree-encoding=UTF-16",
                                        "-working-tree-encoding",
                                        "m1=x",
                                        "other=thing",
                                        "no/name",
                                        "=x"};
    if (root && roll(d, 4) == 0) {
        dr_buf_printf(out, "[attr]m%u", 1 + roll(d, 3));
    } else if (roll(d, 8) == 0) {
        dr_buf_str(out, "[attr]binary");
    } else {
        /* A blank ends a pattern here. */
        const char *p = random_pattern(d);
        char clean[256];
        size_t n = 0;
        for (; *p; p++)
            if (*p != ' ' && *p != '\t')
                clean[n++] = *p;
        clean[n] = 0;
        dr_buf_str(out, n ? clean : "*");
    }
    for (uint32_t k = 1 + roll(d, 3); k > 0; k--)
        if (roll(d, 10) || k > 1)
            dr_buf_printf(out, "%s%s", roll(d, 5) ? " " : "\t", words[roll(d, roll(d, 6) ? 22 : 25)]);
    dr_buf_str(out, roll(d, 10) ? "\n" : "\r\n");
}

/* Random attributes files over random paths: every answer is the one of git check-attr. */
static void random_files__as_git_check_attr(void **state)
{
    enum { ROUNDS = 120, PATHS = 60 };
    static const char *const places[] = {"", "a", "foo", "a/b", ".git/info"};
    world w;
    dice d = {0x2545f4914f6cdd1d};
    dr_buf said = {0}, input = {0}, text = {0};
    static char paths[PATHS][128];
    size_t n_paths = 0, n_said = 0;
    (void)state;

    if (!git_is_here()) {
        print_message("skipped: git is not installed\n");
        skip();
    }
    w = world_begin();
    git_repository_free(new_repo(in(&w, "p"), false));
    while (n_paths < PATHS) { /* they need not exist */
        char *p = paths[n_paths];
        *p = 0;
        for (uint32_t depth = 1 + roll(&d, 4); depth > 0; depth--) {
            const size_t n = strlen(p);
            (void)snprintf(p + n, sizeof paths[0] - n, "%s%s", n ? "/" : "", random_name(&d));
        }
        dr_buf_add(&input, p, strlen(p) + 1);
        n_paths++;
    }
    for (int round = 0; round < ROUNDS; round++) {
        dr_attributes *a = dr_attributes__new();
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            const bool info = p == 4;
            char name[64], shown[64];
            (void)snprintf(name, sizeof name, "p/%s%s%s", places[p], *places[p] ? "/" : "",
                           info ? "attributes" : ".gitattributes");
            (void)snprintf(shown, sizeof shown, "%s", info ? "info/attributes" : name + 2);
            (void)remove(in(&w, name));
            if (p && roll(&d, 2))
                continue;
            dr_buf_clear(&text);
            /* Long lists have an index. */
            for (uint32_t k = round % 3 ? 1 + roll(&d, 8) : 40; k > 0; k--)
                random_line(&text, &d, p == 0 || info);
            write_file(in(&w, name), text.data, text.n);
            assert_int_equal(dr_attributes__add(a, info ? DR_STR("") : dr_str_of(places[p]), dr_str_of(shown), info,
                                                dr_buf_view(&text), NULL),
                             DR_OK);
        }
        assert_int_equal(dr_attributes__finish(a, NULL), DR_OK);
        git_says(&said, &w, "p",
                 "check-attr -z --stdin binary diff text linguist-generated export-ignore working-tree-encoding",
                 dr_buf_view(&input), 0);
        const char *at = said.data, *end = said.data + said.n;
        for (size_t i = 0; i < n_paths; i++)
            for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
                const char *field[3];
                for (int f = 0; f < 3; f++) {
                    assert_true(at < end);
                    field[f] = at;
                    at += strlen(at) + 1;
                }
                assert_string_equal(field[0], paths[i]);
                assert_string_equal(field[1], asked[k].name);
                dr_attr_rule rule;
                dr_attributes__why(&rule, a, asked[k].attr, dr_str_of(paths[i]), false);
                const dr_str ours = rule.state == DR_ATTR_UNSAID ? DR_STR("unspecified")
                                    : rule.state == DR_ATTR_NO   ? DR_STR("unset")
                                    : rule.state == DR_ATTR_YES  ? DR_STR("set")
                                                                 : rule.value;
                if (!dr_str_eq(ours, dr_str_of(field[2])))
                    fail_msg("round %d, %s of %s: git says %s, we say %.*s by %.*s:%u %.*s", round, field[1], field[0],
                             field[2], (int)ours.n, ours.s, (int)rule.file.n, rule.file.s, rule.line, (int)rule.text.n,
                             rule.text.s);
                n_said += rule.state != DR_ATTR_UNSAID;
            }
        dr_attributes__free(a);
    }
    print_message("%zu answers other than unspecified\n", n_said);
    assert_true(n_said > 1000);
    dr_buf_free(&said);
    dr_buf_free(&input);
    dr_buf_free(&text);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_lines_and_deeper_files_win),
        cmocka_unit_test(hostile_macros_end),
        cmocka_unit_test(random_files__as_git_check_attr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
