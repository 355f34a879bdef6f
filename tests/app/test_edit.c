/* Staged changes: what is replaced, what is refused, what a file keeps, and how it is written. */
#include "app/edit.h"
#include "base/threads.h"
#include "repo/repo.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "AKIAQ3EGRZ7PLMWXNTVB" /* of the form that is masked, of nobody */

static char root[] = "/tmp/deepread-test-XXXXXX";
static dr_repo *repo;

static const struct {
    const char *path, *text;
} files[] = {
    {"unix.c", "int a = 1;\nint b = 2;\nint a2 = 1;\n"},
    {"dos.c", "int a = 1;\r\nint b = 2;\r\nint c;\r\n"},
    {"mixed.c", "int a = 1;\r\nint b = 2;\nint c;\r\n"},
    {"open end.c", "int a = 1;\nint b = 2;"},
    {"key.py", "user = 'me'\nkey = '" KEY "'\nport = 80\n"},
    {"many.c", "int f(int x)\n{\n    /* x */\n    return x + g(x, \"x\");\n}\n"},
    {"empty.c", ""},
    {"latin.txt", "caf\xe9 au lait, na\xefve cr\xe8me\n"},
    {"sub/deep.c", "int deep;\n"},
};
enum { N_FILES = sizeof files / sizeof *files };

static void path_of(char out[200], const char *path)
{
    (void)snprintf(out, 200, "%s/%s", root, path);
}

static void write_file(const char *path, const char *text)
{
    char full[200];
    path_of(full, path);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void expect_file(const char *path, const char *text)
{
    char full[200];
    dr_buf got = {0};
    path_of(full, path);
    assert_int_equal(dr_read_file(&got, full, 1 << 20, NULL), DR_OK);
    assert_string_equal(got.n ? got.data : "", text);
    dr_buf_free(&got);
}

static int set_up(void **state)
{
    (void)state;
    char full[200];
    assert_non_null(mkdtemp(root));
    path_of(full, "sub");
    assert_int_equal(mkdir(full, 0700), 0);
    for (int i = 0; i < N_FILES; i++)
        write_file(files[i].path, files[i].text);
    path_of(full, "link.c");
    assert_int_equal(symlink("unix.c", full), 0);
    return dr_repo_open(&repo, root, NULL, NULL) == DR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[100];
    dr_repo_close(repo);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

static size_t file_of(const char *path)
{
    size_t file;
    assert_true(dr_repo_find(repo, dr_str_of(path), &file));
    return file;
}

static dr_edit_outcome replace(dr_edits *e, const char *path, const char *old_text, const char *new_text, size_t *n_places)
{
    dr_edit_report r;
    assert_int_equal(dr_edits_replace(e, &r, file_of(path), dr_str_of(old_text), dr_str_of(new_text), NULL), DR_OK);
    if (n_places)
        *n_places = r.n_places;
    free(r.lines);
    return r.outcome;
}

static void expect_diff(dr_edits *e, const char *wanted)
{
    dr_buf diff = {0};
    assert_int_equal(dr_edits_diff(&diff, e, NULL), DR_OK);
    assert_string_equal(diff.n ? diff.data : "", wanted);
    dr_buf_free(&diff);
}

static void edit__replaces_what_stands_once(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    size_t n;
    assert_int_equal(replace(e, "unix.c", "int b = 2;", "int b = 3;", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "unix.c", "= 1", "= 9", &n), DR_EDIT_SEVERAL);
    assert_int_equal(n, 2);
    assert_int_equal(replace(e, "unix.c", "int z", "", NULL), DR_EDIT_NO_TEXT);
    assert_int_equal(replace(e, "unix.c", "int b", "int b", NULL), DR_EDIT_SAME);
    assert_int_equal(replace(e, "empty.c", "x", "y", NULL), DR_EDIT_NO_TEXT);
    assert_int_equal(replace(e, "unix.c", "int b = 2;", "x", NULL), DR_EDIT_NO_TEXT); /* changed already */
    assert_int_equal(replace(e, "unix.c", "b = 3;\nint a2", "b = 3;\nlong a2", NULL), DR_EDIT_STAGED);
    assert_int_equal(dr_edits_n_files(e), 1);
    assert_true(dr_edits_has(e, file_of("unix.c")) && !dr_edits_has(e, file_of("empty.c")));
    expect_diff(e, "--- a/unix.c\n+++ b/unix.c\n@@ -1,3 +1,3 @@\n int a = 1;\n-int b = 2;\n-int a2 = 1;\n+int b = 3;\n+long a2 = 1;\n");
    expect_file("unix.c", files[0].text); /* nothing is written */
    dr_edits_free(e);
}

static void edit__keeps_line_ends(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    /* The model sees and writes "\n". */
    assert_int_equal(replace(e, "dos.c", "int a = 1;\nint b", "int a = 7;\nlong z;\nint b", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "mixed.c", "int b = 2;", "int b = 3;", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "open end.c", "int b = 2;", "int b = 3;", NULL), DR_EDIT_STAGED);
    expect_diff(e, "--- a/dos.c\n+++ b/dos.c\n@@ -1,3 +1,4 @@\n-int a = 1;\r\n+int a = 7;\r\n+long z;\r\n int b = 2;\r\n int c;\r\n"
                   "--- a/mixed.c\n+++ b/mixed.c\n@@ -1,3 +1,3 @@\n int a = 1;\r\n-int b = 2;\n+int b = 3;\n int c;\r\n"
                   "--- a/open end.c\t\n+++ b/open end.c\t\n@@ -1,2 +1,2 @@\n int a = 1;\n-int b = 2;\n\\ No newline at end of file\n"
                   "+int b = 3;\n\\ No newline at end of file\n");
    assert_int_equal(dr_edits_apply(e, NULL), DR_OK);
    expect_file("dos.c", "int a = 7;\r\nlong z;\r\nint b = 2;\r\nint c;\r\n");
    expect_file("mixed.c", "int a = 1;\r\nint b = 3;\nint c;\r\n");
    expect_file("open end.c", "int a = 1;\nint b = 3;");
    dr_edits_free(e);
    for (int i = 1; i < 4; i++)
        write_file(files[i].path, files[i].text);
}

static void edit__never_touches_a_secret(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    dr_str text;
    dr_buf diff = {0};
    assert_int_equal(dr_edits_text(e, file_of("key.py"), &text, NULL), DR_OK);
    assert_null(strstr(text.s, KEY));
    const char *mask = strstr(text.s, "[masked: ");
    assert_non_null(mask);
    char line[200];
    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(mask, "'"), mask);
    assert_int_equal(replace(e, "key.py", line, "x", NULL), DR_EDIT_MASKED);
    assert_int_equal(replace(e, "key.py", "key = '[mas", "key = 'x", NULL), DR_EDIT_MASKED);
    assert_int_equal(replace(e, "key.py", KEY, "x", NULL), DR_EDIT_NO_TEXT); /* not even to be guessed at */
    assert_int_equal(replace(e, "key.py", "port = 80", line, NULL), DR_EDIT_MASKED);
    /* Before it, behind it, and right beside it. */
    assert_int_equal(replace(e, "key.py", "'me'\nkey = '", "'you'\nkey = '", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "key.py", "'\nport = 80", "'\nport = 8080", NULL), DR_EDIT_STAGED);
    assert_int_equal(dr_edits_diff(&diff, e, NULL), DR_OK);
    assert_null(strstr(diff.data, KEY));
    assert_int_equal(dr_edits_apply(e, NULL), DR_OK);
    expect_file("key.py", "user = 'you'\nkey = '" KEY "'\nport = 8080\n");
    dr_buf_free(&diff);
    dr_edits_free(e);
    write_file("key.py", files[4].text);
}

static dr_edit_outcome replace_at(dr_edits *e, const char *path, const char *at, size_t n, const char *new_text, uint32_t *line)
{
    dr_edit_report r;
    dr_str text;
    assert_int_equal(dr_edits_text(e, file_of(path), &text, NULL), DR_OK);
    const char *found = strstr(text.s, at);
    assert_non_null(found);
    assert_int_equal(dr_edits_replace_at(e, &r, file_of(path), (size_t)(found - text.s), n, dr_str_of(new_text), NULL), DR_OK);
    *line = r.lines[0];
    free(r.lines);
    return r.outcome;
}

static void edit__replaces_at_a_place(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    dr_edit_report r;
    dr_error err = {0};
    uint32_t line;
    /* Places of the text with "\n"; the second of two equal ones; nothing replaced. */
    assert_int_equal(replace_at(e, "dos.c", "2;", 1, "3", &line), DR_EDIT_STAGED);
    assert_int_equal(line, 2);
    assert_int_equal(replace_at(e, "dos.c", "int c", 0, "int z;\nlong y;\r\n", &line), DR_EDIT_STAGED);
    assert_int_equal(line, 3);
    assert_int_equal(replace_at(e, "open end.c", "2;", 2, "2;\nint c;", &line), DR_EDIT_STAGED);
    assert_int_equal(replace_at(e, "dos.c", "3;", 1, "3", &line), DR_EDIT_SAME);
    /* Right in front of a secret and right behind it, not in it. */
    assert_int_equal(replace_at(e, "key.py", "[masked", 0, "a ", &line), DR_EDIT_STAGED);
    assert_int_equal(replace_at(e, "key.py", "'\nport", 0, " b", &line), DR_EDIT_STAGED);
    assert_int_equal(replace_at(e, "key.py", "[masked", 0, "A", &line), DR_EDIT_MASKED); /* then it would be none, and be shown */
    assert_int_equal(replace_at(e, "key.py", "masked", 0, "c", &line), DR_EDIT_MASKED);
    assert_int_equal(replace_at(e, "key.py", " [masked", 2, "c", &line), DR_EDIT_MASKED);
    assert_int_equal(replace_at(e, "key.py", "80", 2, "[masked: x]", &line), DR_EDIT_MASKED);
    assert_int_equal(dr_edits_replace_at(e, &r, file_of("empty.c"), 0, 0, DR_STR("int x;\n"), NULL), DR_OK);
    assert_int_equal(r.outcome, DR_EDIT_STAGED);
    free(r.lines);
    assert_int_equal(dr_edits_replace_at(e, &r, file_of("unix.c"), 3, SIZE_MAX, DR_STR("x"), &err), DR_ERR_ARG);
    assert_string_equal(err.msg, "18446744073709551615 bytes at 3 are not in unix.c");
    assert_int_equal(dr_edits_replace_at(e, &r, file_of("unix.c"), 1000, 0, DR_STR("x"), NULL), DR_ERR_ARG);
    assert_int_equal(dr_edits_replace_at(e, &r, file_of("latin.txt"), 0, 0, DR_STR("x"), NULL), DR_ERR_ARG);
    assert_int_equal(dr_edits_apply(e, NULL), DR_OK);
    expect_file("dos.c", "int a = 1;\r\nint b = 3;\r\nint z;\r\nlong y;\r\nint c;\r\n");
    expect_file("open end.c", "int a = 1;\nint b = 2;\nint c;");
    expect_file("key.py", "user = 'me'\nkey = 'a " KEY " b'\nport = 80\n");
    expect_file("empty.c", "int x;\n");
    expect_file("unix.c", files[0].text);
    dr_edits_free(e);
    for (int i = 1; i < N_FILES; i++)
        write_file(files[i].path, files[i].text);
}

static void edit__a_rename_can_be_looked_at_first(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    static const struct {
        const char *old_name, *new_name;
        dr_edit_outcome outcome;
        size_t n_places;
    } v[] = {{"x", "y", DR_EDIT_STAGED, 3}, {"x", "g", DR_EDIT_TAKEN, 1}, {"z", "y", DR_EDIT_NO_TEXT, 0}, {"x", "1y", DR_EDIT_NO_NAME, 0}, {"x", "x", DR_EDIT_SAME, 0}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        dr_edit_report r;
        assert_int_equal(dr_edits_rename_check(e, &r, file_of("many.c"), dr_str_of(v[i].old_name), dr_str_of(v[i].new_name), NULL), DR_OK);
        assert_int_equal(r.outcome, v[i].outcome);
        assert_int_equal(r.n_places, v[i].n_places);
        free(r.lines);
    }
    assert_int_equal(dr_edits_n_files(e), 0);
    dr_edits_free(e);
}

static void edit__renames_in_code(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    dr_edit_report r;
    const size_t file = file_of("many.c");
    assert_int_equal(dr_edits_rename(e, &r, file, DR_STR("x"), DR_STR("wide"), NULL), DR_OK);
    assert_int_equal(r.outcome, DR_EDIT_STAGED);
    assert_int_equal(r.n_places, 3);
    assert_int_equal(r.n_lines, 2);
    assert_true(r.lines[0] == 1 && r.lines[1] == 4);
    free(r.lines);
    dr_str text;
    assert_int_equal(dr_edits_text(e, file, &text, NULL), DR_OK);
    assert_string_equal(text.s, "int f(int wide)\n{\n    /* x */\n    return wide + g(wide, \"x\");\n}\n");
    static const struct {
        const char *from, *to;
        dr_edit_outcome outcome;
    } bad[] = {{"f", "g", DR_EDIT_TAKEN}, {"f", "2f", DR_EDIT_NO_NAME}, {"f", "a b", DR_EDIT_NO_NAME}, {"f", "f", DR_EDIT_SAME},
               {"h", "k", DR_EDIT_NO_TEXT}, {"f", "", DR_EDIT_NO_NAME}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(dr_edits_rename(e, &r, file, dr_str_of(bad[i].from), dr_str_of(bad[i].to), NULL), DR_OK);
        assert_int_equal(r.outcome, bad[i].outcome);
        free(r.lines);
    }
    dr_edits_free(e);
    /* Names of other lengths, in a file with two bytes at its line ends. */
    e = dr_edits_new(repo);
    assert_int_equal(dr_edits_rename(e, &r, file_of("dos.c"), DR_STR("c"), DR_STR("longer"), NULL), DR_OK);
    free(r.lines);
    expect_diff(e, "--- a/dos.c\n+++ b/dos.c\n@@ -1,3 +1,3 @@\n int a = 1;\r\n int b = 2;\r\n-int c;\r\n+int longer;\r\n");
    dr_edits_free(e);
}

static void edit__what_cannot_be_edited(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    dr_edit_report r;
    dr_error err = {0};
    assert_int_equal(dr_edits_replace(e, &r, file_of("link.c"), DR_STR("int"), DR_STR("x"), &err), DR_ERR_ARG);
    assert_int_equal(dr_edits_replace(e, &r, file_of("latin.txt"), DR_STR("lait"), DR_STR("x"), &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "UTF-8"));
    write_file("sub/deep.c", "int deeper;\n"); /* since the snapshot */
    assert_int_equal(dr_edits_replace(e, &r, file_of("sub/deep.c"), DR_STR("int"), DR_STR("x"), &err), DR_ERR_AGAIN);
    write_file("sub/deep.c", files[8].text);
    dr_edits_free(e);
}

static size_t n_entries(void)
{
    char command[100];
    int n = -1;
    (void)snprintf(command, sizeof command, "find '%s' | wc -l", root);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &n), 1);
    (void)pclose(f);
    return (size_t)n;
}

/* Every refusal leaves the file as it was, and nothing beside it. */
static void apply__refuses(void **state)
{
    (void)state;
    char full[200], other[200];
    dr_error err = {0};
    const size_t before = n_entries();
    dr_edits *e = dr_edits_new(repo);
    assert_int_equal(replace(e, "unix.c", "int b", "long b", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "sub/deep.c", "int", "long", NULL), DR_EDIT_STAGED);

    write_file("sub/deep.c", "int deep; /* since */\n");
    assert_int_equal(dr_edits_apply(e, &err), DR_ERR_AGAIN);
    assert_non_null(strstr(err.msg, "sub/deep.c changed on disk"));
    expect_file("sub/deep.c", "int deep; /* since */\n");
    expect_file("unix.c", files[0].text); /* none or all */
    write_file("sub/deep.c", files[8].text);

    path_of(full, "sub/deep.c");
    assert_int_equal(chmod(full, 0444), 0);
    assert_int_equal(dr_edits_apply(e, &err), DR_ERR_IO);
    assert_non_null(strstr(err.msg, "read-only"));
    assert_int_equal(chmod(full, 0644), 0);

    path_of(other, "sub/real.c");
    assert_int_equal(rename(full, other), 0);
    assert_int_equal(symlink("real.c", full), 0);
    assert_int_equal(dr_edits_apply(e, &err), DR_ERR_IO);
    assert_non_null(strstr(err.msg, "link"));
    assert_int_equal(unlink(full), 0);
    assert_int_equal(rename(other, full), 0);

    /* A folder on the way that became a link. */
    path_of(full, "sub");
    path_of(other, "sub2");
    assert_int_equal(rename(full, other), 0);
    assert_int_equal(symlink("sub2", full), 0);
    assert_int_equal(dr_edits_apply(e, &err), DR_ERR_IO);
    assert_int_equal(unlink(full), 0);
    assert_int_equal(rename(other, full), 0);

    /* A full disk, as far as a test can fill one. */
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    const struct rlimit small = {.rlim_cur = 4, .rlim_max = was.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const dr_status full_disk = dr_edits_apply(e, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(full_disk, DR_ERR_IO);
    expect_file("unix.c", files[0].text);
    expect_file("sub/deep.c", files[8].text);
    assert_int_equal(n_entries(), before);
    dr_edits_free(e);
}

static void apply__keeps_the_mode(void **state)
{
    (void)state;
    char full[200];
    struct stat sb;
    dr_edits *e = dr_edits_new(repo);
    path_of(full, "many.c");
    assert_int_equal(chmod(full, 0751), 0);
    assert_int_equal(replace(e, "many.c", "return x", "return 2 * x", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "many.c", "int f(", "long f(", NULL), DR_EDIT_STAGED);
    assert_int_equal(replace(e, "many.c", "}\n", "}\n\nint last;\n", NULL), DR_EDIT_STAGED);
    assert_int_equal(dr_edits_apply(e, NULL), DR_OK);
    expect_file("many.c", "long f(int x)\n{\n    /* x */\n    return 2 * x + g(x, \"x\");\n}\n\nint last;\n");
    assert_int_equal(stat(full, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0751);
    dr_edits_free(e);
    write_file("many.c", files[5].text);
}

static void edit__more_errors_are_told(void **state)
{
    (void)state;
    dr_edits *e = dr_edits_new(repo);
    dr_buf doubts = {0};
    assert_int_equal(replace(e, "many.c", "return x + g(x, \"x\");", "return x + 1;", NULL), DR_EDIT_STAGED);
    assert_int_equal(dr_edits_check(&doubts, e, NULL), DR_OK);
    assert_int_equal(doubts.n, 0);
    assert_int_equal(replace(e, "many.c", "return x + 1;", "return x + ;", NULL), DR_EDIT_STAGED);
    assert_int_equal(dr_edits_check(&doubts, e, NULL), DR_OK);
    assert_non_null(strstr(doubts.data, "many.c would have "));
    dr_buf_free(&doubts);
    dr_edits_free(e);
}

/* Arguments of any bytes: an answer, and nothing staged that was not there. */
static void edit__hostile_arguments(void **state)
{
    (void)state;
    static const char *const strings[] = {"", "\n", "\r\n", "\xff", "\x01\x02", "int a = 1;\r\nint b", "[masked: ", "[masked: x]", "../unix.c", "{", "\xe2\x80\xae"};
    enum { N = sizeof strings / sizeof *strings };
    for (int f = 0; f < N_FILES; f++)
        for (int a = 0; a < N; a++)
            for (int b = 0; b < N; b++) {
                dr_edits *e = dr_edits_new(repo);
                dr_edit_report r = {0};
                dr_str text;
                if (dr_edits_replace(e, &r, file_of(files[f].path), dr_str_of(strings[a]), dr_str_of(strings[b]), NULL) == DR_OK &&
                    r.outcome == DR_EDIT_STAGED) {
                    assert_int_equal(r.n_places, 1);
                    assert_int_equal(dr_edits_text(e, file_of(files[f].path), &text, NULL), DR_OK);
                }
                free(r.lines);
                if (dr_edits_rename(e, &r, file_of(files[f].path), dr_str_of(strings[a]), dr_str_of(strings[b]), NULL) == DR_OK)
                    assert_int_not_equal(r.outcome, DR_EDIT_STAGED);
                free(r.lines);
                dr_edits_free(e);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edit__replaces_what_stands_once),
        cmocka_unit_test(edit__keeps_line_ends),
        cmocka_unit_test(edit__never_touches_a_secret),
        cmocka_unit_test(edit__replaces_at_a_place),
        cmocka_unit_test(edit__a_rename_can_be_looked_at_first),
        cmocka_unit_test(edit__renames_in_code),
        cmocka_unit_test(edit__what_cannot_be_edited),
        cmocka_unit_test(apply__refuses),
        cmocka_unit_test(apply__keeps_the_mode),
        cmocka_unit_test(edit__more_errors_are_told),
        cmocka_unit_test(edit__hostile_arguments),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
