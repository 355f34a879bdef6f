#include "repo/content.h"
#include "repo/to_git.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void assert_look(const char *bytes, size_t n, const char *encoding, dr_content_kind want, const char *text)
{
    dr_content_kind kind = DR_N_CONTENT_KINDS;
    dr_buf utf8 = {0};
    assert_int_equal(dr_content__look(&kind, &utf8, (dr_str){bytes, n}, dr_str_of(encoding), NULL), DR_OK);
    if (kind != want)
        fail_msg("\"%s\" is of kind %d, not %d", bytes, (int)kind, (int)want);
    assert_int_equal(utf8.n, text ? strlen(text) : 0);
    if (text && utf8.n)
        assert_memory_equal(utf8.data, text, utf8.n);
    dr_buf_free(&utf8);
}

#define LOOK(bytes, kind, text) assert_look(bytes, sizeof(bytes) - 1, "", kind, text)

static void text_binary_and_pointers(void **state)
{
    char late[9000];
    (void)state;
    LOOK("", DR_CONTENT_UTF8, NULL);
    LOOK("plain\n", DR_CONTENT_UTF8, NULL);
    LOOK("caf\xc3\xa9\n", DR_CONTENT_UTF8, NULL);
    LOOK("a\0b", DR_CONTENT_NUL, NULL);
    memset(late, 'x', sizeof late);
    late[8500] = 0;
    assert_look(late, sizeof late, "", DR_CONTENT_UTF8, NULL); /* git looks at the first 8,000 bytes */
    late[7999] = 0;
    assert_look(late, sizeof late, "", DR_CONTENT_NUL, NULL);
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
    LOOK(lfs, DR_CONTENT_LFS, NULL);
    assert_int_equal(dr_content__lfs_size(DR_STR(lfs)), 12345);
    assert_int_equal(dr_content__lfs_size(DR_STR("no such field")), 0);
    assert_true(dr_content__lfs_size(DR_STR("\nsize 99999999999999999999999999")) > 0);
}

static void utf16_with_its_mark(void **state)
{
    (void)state;
    LOOK("\xff\xfeh\0i\0\n\0", DR_CONTENT_UTF16, "hi\n");
    LOOK("\xfe\xff\0h\0i", DR_CONTENT_UTF16, "hi");
    LOOK("\xff\xfe", DR_CONTENT_UTF16, "");
    LOOK("\xff\xfe\xac\x20\x3d\xd8\x00\xde", DR_CONTENT_UTF16, "\xe2\x82\xac\xf0\x9f\x98\x80"); /* euro, a pair */
    LOOK("\xff\xfeh", DR_CONTENT_WIDE, NULL);
    LOOK("\xff\xfe\x3d\xd8", DR_CONTENT_WIDE, NULL);    /* half a pair at the end */
    LOOK("\xff\xfe\x3d\xd8h\0", DR_CONTENT_WIDE, NULL); /* half a pair before a letter */
    LOOK("\xff\xfe\x00\xdeh\0", DR_CONTENT_WIDE, NULL); /* the other half */
    LOOK("\xff\xfe\0\0h\0\0\0", DR_CONTENT_WIDE, NULL); /* UTF-32 */
    LOOK("\xff\xfeh\0\0\0", DR_CONTENT_WIDE, NULL);     /* a NUL */
}

/* The same words in the encodings that they were written in. */
static void western_text_is_converted__others_refused(void **state)
{
    (void)state;
    LOOK("caf\xe9\n", DR_CONTENT_WINDOWS_1252, "caf\xc3\xa9\n");
    LOOK("\x93quoted\x94 \x96 50 \x80\n", DR_CONTENT_WINDOWS_1252,
         "\xe2\x80\x9cquoted\xe2\x80\x9d \xe2\x80\x93 50 \xe2\x82\xac\n");
    LOOK("/* Gr\xfc\xdf"
         "e: \xc4pfel, \xd6l, stra\xdf"
         "e, cr\xe9\xe9"
         "e */",
         DR_CONTENT_WINDOWS_1252,
         "/* Gr\xc3\xbc\xc3\x9f"
         "e: \xc3\x84pfel, \xc3\x96l, stra\xc3\x9f"
         "e, cr\xc3\xa9\xc3\xa9"
         "e */");
    LOOK("Copyright \xa9 1998 Jos\xe9 Nu\xf1"
         "ez",
         DR_CONTENT_WINDOWS_1252,
         "Copyright \xc2\xa9 1998 Jos\xc3\xa9 Nu\xc3\xb1"
         "ez");
    LOOK("caf\xe9 \x81", DR_CONTENT_OTHER, NULL);                                       /* a byte without a meaning */
    LOOK("caf\xe9 \x02", DR_CONTENT_OTHER, NULL);                                       /* control characters */
    LOOK("\xf0\xd2\xc9\xd7\xc5\xd4, \xcd\xc9\xd2! x = 1;", DR_CONTENT_OTHER, NULL);     /* Russian, KOI8-R */
    LOOK("\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0! x = 1;", DR_CONTENT_OTHER, NULL);     /* Russian, Windows-1251 */
    LOOK("// \xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7 int x;", DR_CONTENT_OTHER, NULL); /* Chinese, GBK */
    LOOK("// \x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd int x;", DR_CONTENT_OTHER, NULL); /* Japanese, Shift-JIS */
    LOOK("// \x83\x65\x83\x58\x83\x67 int x;", DR_CONTENT_OTHER, NULL);                 /* the same, katakana */
    LOOK("// \xbe\xc8\xb3\xe7\xc7\xcf\xbc\xbc\xbf\xe4 int x;", DR_CONTENT_OTHER, NULL); /* Korean, EUC-KR */
}

static void an_encoding_that_is_named(void **state)
{
    static const char koi8[] = "\xcd\xc9\xd2\n"; /* "mir" */
    (void)state;
    assert_look(koi8, 4, "KOI8-R", DR_CONTENT_NAMED, "\xd0\xbc\xd0\xb8\xd1\x80\n");
    assert_look(koi8, 4, "no-such-encoding", DR_CONTENT_OTHER, NULL);
    assert_look(koi8, 4, "KOI8-R//TRANSLIT", DR_CONTENT_OTHER, NULL);
    assert_look(koi8, 4, "../../x", DR_CONTENT_OTHER, NULL);
    assert_look("h\0i\0", 4, "UTF-16LE", DR_CONTENT_NAMED, "hi");
    assert_look("h\0i", 3, "UTF-16LE", DR_CONTENT_NUL, NULL);
    assert_look("plain", 5, "KOI8-R", DR_CONTENT_UTF8, NULL); /* git's own form is UTF-8 */
    assert_look("\xff\xfeh\0", 4, "UTF-16", DR_CONTENT_UTF16, "h");
}

static void to_git__line_ends_encoding_lfs(void **state)
{
    dr_buf b = {0};
    (void)state;
    dr_buf_str(&b, "a\r\nb\rc\r\n");
    assert_int_equal(dr_to_git__apply(&b, &(dr_to_git){.line_ends = true}, NULL), DR_OK);
    assert_string_equal(b.data, "a\nb\rc\n");
    assert_true(dr_to_git__guesses_text(DR_STR("a\r\nb\n")));
    assert_false(dr_to_git__guesses_text(DR_STR("a\nb\n")));
    assert_false(dr_to_git__guesses_text(DR_STR("a\r\nb\rc")));
    assert_false(dr_to_git__guesses_text(DR_STR("a\r\n\0")));
    dr_buf_clear(&b);
    dr_buf_add(&b, "h\0i\0", 4);
    assert_int_equal(dr_to_git__apply(&b, &(dr_to_git){.encoding = DR_STR("UTF-16LE")}, NULL), DR_OK);
    assert_string_equal(b.data, "hi");
    dr_buf_clear(&b);
    dr_buf_str(&b, "hello\n"); /* its pointer by the program's specification */
    assert_int_equal(dr_to_git__apply(&b, &(dr_to_git){.lfs = true}, NULL), DR_OK);
    const char *pointer = "version https://git-lfs.github.com/spec/v1\n"
                          "oid sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\nsize 6\n";
    assert_string_equal(b.data, pointer);
    assert_int_equal(dr_to_git__apply(&b, &(dr_to_git){.lfs = true}, NULL), DR_OK); /* a pointer is its own */
    assert_string_equal(b.data, pointer);
    dr_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_binary_and_pointers),
        cmocka_unit_test(utf16_with_its_mark),
        cmocka_unit_test(western_text_is_converted__others_refused),
        cmocka_unit_test(an_encoding_that_is_named),
        cmocka_unit_test(to_git__line_ends_encoding_lfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
