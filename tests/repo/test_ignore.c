#include "tests/repo/git_oracle.h"

#include "repo/ignore.h"
#include "repo/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* libgit2 1.5 forgets what its regular expressions allocated when it checks a repository's extensions. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2";
}

static bool match(const char *pattern, const char *path)
{
    const dr_pattern p = dr_pattern__parse(dr_str_of(pattern));
    const char *slash = strrchr(path, '/');
    return dr_pattern__match(&p, dr_str_of(path), slash ? (size_t)(slash + 1 - path) : 0, false);
}

static void patterns_match_as_git_does(void **state)
{
    (void)state;
    assert_true(match("*.c", "a.c"));
    assert_false(match("*.c", "a.cc"));
    assert_true(match("*.c", "d/a.c"));
    assert_false(match("/*.c", "d/a.c"));
    assert_false(match("d/?c", "d//c"));
    assert_true(match("a?c", "abc"));
    assert_true(match("**/x", "x"));
    assert_true(match("**/x", "a/b/x"));
    assert_false(match("**/x", "a/bx"));
    assert_true(match("a/**", "a/b/c"));
    assert_false(match("a/**", "a"));
    assert_true(match("a/**/b", "a/b"));
    assert_true(match("a/**/b", "a/x/y/b"));
    assert_false(match("a/**/b", "a/xb"));
    assert_true(match("a**/b", "a/x/b")); /* what git makes of it */
    assert_false(match("*a**/b", "ca/x/b"));
    assert_true(match("d/[a-c]x", "d/bx"));
    assert_false(match("[!a-c]x", "bx"));
    assert_true(match("[]]x", "]x"));
    assert_false(match("[ab", "a"));
    assert_false(match("[[:nope:]]", "a"));
    assert_true(match("[[:digit:]a]", "7"));
    assert_true(match("\\*", "*"));
    assert_false(match("\\*", "a"));
    assert_false(match("a\\", "a\\"));
    assert_true(match("*a*b*c", "xaybzc"));
    assert_false(match("*a/b*c", "xa/y/bc"));
    assert_true(match("/**/a*/b", "x/y/az/b"));
}

static void hostile_patterns_end_soon(void **state)
{
    enum { N = 4000 };
    static char text[N + 1], pattern[N + 1];
    (void)state;
    memset(text, 'a', N);
    for (size_t i = 0; i < N; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[N - 1] = 'b';
    assert_false(match(pattern, text));
    for (size_t i = 0; i < N; i++)
        text[i] = i % 3 == 2 ? '/' : 'a';
    for (size_t i = 0; i + 4 <= N; i += 4)
        memcpy(pattern + i, "**/a", 4);
    assert_false(match(pattern, text));
}

static void files_have_an_order(void **state)
{
    (void)state;
    dr_ignore *g = dr_ignore__new();
    dr_ignore_rule rule;
    assert_non_null(g);
    assert_true(dr_ignore__is_empty(g));
    assert_int_equal(dr_ignore__add(g, DR_STR("sub"), DR_STR("sub/.gitignore"), DR_STR(""), NULL), DR_OK);
    assert_true(dr_ignore__is_empty(g));
    assert_int_equal(dr_ignore__add(g, DR_STR(""), DR_STR("user"), DR_STR("*.o\n*.u\n"), NULL), DR_OK);
    assert_int_equal(dr_ignore__add(g, DR_STR(""), DR_STR(".gitignore"),
                                    DR_STR("\xef\xbb\xbf# comment\n\nbuild/\r\n!keep.o\n\\#x\nend\\ \nsp  \n!\n/\n"),
                                    NULL),
                     DR_OK);
    assert_int_equal(dr_ignore__add(g, DR_STR("sub"), DR_STR("sub/.gitignore"), DR_STR("keep.o\n!sub.o\n/x/y"), NULL),
                     DR_OK);
    assert_false(dr_ignore__is_empty(g));
    assert_true(dr_ignore__has(g, DR_STR("a.o"), false, &rule));
    assert_true(dr_str_eq(rule.file, DR_STR("user")));
    assert_int_equal(rule.line, 1);
    assert_true(dr_str_eq(rule.text, DR_STR("*.o")));
    assert_false(dr_ignore__has(g, DR_STR("keep.o"), false, &rule));
    assert_true(dr_str_eq(rule.text, DR_STR("!keep.o")));
    assert_int_equal(rule.line, 4);
    assert_true(dr_ignore__has(g, DR_STR("sub/keep.o"), false, NULL));
    assert_true(dr_ignore__has(g, DR_STR("sub/d/keep.o"), false, NULL));
    assert_false(dr_ignore__has(g, DR_STR("sub/sub.o"), false, NULL));
    assert_true(dr_ignore__has(g, DR_STR("sub.o"), false, NULL));
    assert_true(dr_ignore__has(g, DR_STR("sub/x/y"), false, NULL));
    assert_false(dr_ignore__has(g, DR_STR("x/y"), false, &rule));
    assert_int_equal(rule.file.n, 0);
    assert_false(dr_ignore__has(g, DR_STR("build"), false, NULL));
    assert_true(dr_ignore__has(g, DR_STR("build"), true, NULL));
    assert_true(
        dr_ignore__has(g, DR_STR("build/keep.o"), false, &rule)); /* nothing comes back from an ignored folder */
    assert_true(dr_str_eq(rule.folder, DR_STR("build")));
    assert_true(dr_ignore__has(g, DR_STR("#x"), false, NULL));
    assert_true(dr_ignore__has(g, DR_STR("end "), false, NULL));
    assert_true(dr_ignore__has(g, DR_STR("sp"), false, NULL));
    dr_ignore__free(g);
}

/* Random files under random .gitignore files: for every path, the rule that git names is the rule that we name. */
static void random_trees__as_git_check_ignore(void **state)
{
    enum { ROUNDS = 120, FILES = 40, MAX_PATHS = 400 };
    world w;
    dice d = {0x9e3779b97f4a7c15};
    dr_buf said = {0}, input = {0}, text = {0};
    static char paths[MAX_PATHS][128];
    size_t n_paths = 0;
    (void)state;

    if (!git_is_here()) {
        print_message("skipped: git is not installed\n");
        skip();
    }
    w = world_begin();
    git_repository_free(new_repo(in(&w, "p"), false));
    for (int i = 0; i < FILES; i++) {
        char path[160] = "p";
        const uint32_t depth = 1 + roll(&d, 4);
        for (uint32_t k = 0; k < depth; k++) {
            struct stat sb;
            const size_t n = strlen(path);
            (void)snprintf(path + n, sizeof path - n, "/%s", random_name(&d));
            if (k + 1 < depth && stat(in(&w, path), &sb) == 0 && !S_ISDIR(sb.st_mode))
                break;
        }
        struct stat sb;
        if (stat(in(&w, path), &sb) == 0)
            continue;
        write_text(in(&w, path), "x");
        for (char *slash = strchr(path + 2, '/');; slash = strchr(slash + 1, '/')) {
            if (slash)
                *slash = 0;
            bool known = false;
            for (size_t k = 0; k < n_paths && !known; k++)
                known = strcmp(paths[k], path + 2) == 0;
            if (!known && n_paths < MAX_PATHS)
                (void)snprintf(paths[n_paths++], sizeof paths[0], "%.120s", path + 2);
            if (!slash)
                break;
            *slash = '/';
        }
    }
    for (size_t i = 0; i < n_paths; i++)
        dr_buf_add(&input, paths[i], strlen(paths[i]) + 1);

    size_t n_ignored = 0, n_checked = 0;
    for (int round = 0; round < ROUNDS; round++) {
        static const char *const places[] = {"", "a", "foo", "a/b", "bar"};
        dr_ignore *g = dr_ignore__new();
        for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
            char name[64];
            struct stat sb;
            (void)snprintf(name, sizeof name, "p/%s%s.gitignore", places[p], *places[p] ? "/" : "");
            (void)remove(in(&w, name));
            char folder[64];
            (void)snprintf(folder, sizeof folder, "p/%s", places[p]);
            if (stat(in(&w, folder), &sb) != 0 || !S_ISDIR(sb.st_mode) || (p && roll(&d, 2)))
                continue;
            dr_buf_clear(&text);
            /* Long lists have an index. */
            for (uint32_t k = round % 3 ? 1 + roll(&d, 6) : 40; k > 0; k--)
                dr_buf_printf(&text, "%s%s", random_pattern(&d), roll(&d, 10) ? "\n" : "\r\n");
            write_file(in(&w, name), text.data, text.n);
            assert_int_equal(dr_ignore__add(g, dr_str_of(places[p]), dr_str_of(name + 2), dr_buf_view(&text), NULL),
                             DR_OK);
        }
        git_says(&said, &w, "p", "check-ignore --no-index -v -n -z --stdin", dr_buf_view(&input), 1);
        const char *at = said.data, *end = said.data + said.n;
        for (size_t i = 0; i < n_paths; i++) {
            const char *field[4];
            for (int k = 0; k < 4; k++) {
                assert_true(at < end);
                field[k] = at;
                at += strlen(at) + 1;
            }
            assert_string_equal(field[3], paths[i]);
            struct stat sb;
            char full[160];
            dr_ignore_rule rule;
            (void)snprintf(full, sizeof full, "p/%s", paths[i]);
            assert_int_equal(lstat(in(&w, full), &sb), 0);
            const bool ours = dr_ignore__has(g, dr_str_of(paths[i]), S_ISDIR(sb.st_mode), &rule);
            const bool theirs = *field[0] && field[2][0] != '!';
            if (ours != theirs || rule.file.n != strlen(field[0]) || memcmp(rule.file.s, field[0], rule.file.n) != 0 ||
                (rule.file.n && rule.line != (uint32_t)atoi(field[1])))
                fail_msg("round %d, %s: git says %s:%s:%s, we say %.*s:%u:%.*s", round, paths[i], field[0], field[1],
                         field[2], (int)rule.file.n, rule.file.s, rule.line, (int)rule.text.n, rule.text.s);
            n_ignored += ours;
            n_checked++;
        }
        dr_ignore__free(g);
    }
    print_message("%zu paths, %zu ignored\n", n_checked, n_ignored);
    assert_true(n_ignored > n_checked / 20 && n_ignored < n_checked);
    dr_buf_free(&said);
    dr_buf_free(&input);
    dr_buf_free(&text);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_git_does),
        cmocka_unit_test(hostile_patterns_end_soon),
        cmocka_unit_test(files_have_an_order),
        cmocka_unit_test(random_trees__as_git_check_ignore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
