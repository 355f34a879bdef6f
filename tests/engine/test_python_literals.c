/* Texts out of Python files: what Python would make of each form, what is not read and why, and files that are broken or too much. */
#include "engine/python_literals.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dr_python_texts read_ok(const char *source, size_t n)
{
    dr_python_texts t;
    dr_error err = {0};
    if (dr_python_texts_read(&t, (dr_str){source, n}, "file", &err) != DR_OK)
        fail_msg("%s\n---\n%s", source, err.msg);
    return t;
}

/* A file that ends in `A = value`: the text of A. NULL: not read, for a reason that contains why. */
static void expect(const char *source, const char *text, size_t n_text, const char *why)
{
    dr_python_texts t = read_ok(source, strlen(source));
    const dr_python_text *a = dr_python_text_get(&t, "A", NULL);
    if (text) {
        if (!a || a->text.n != n_text || memcmp(a->text.s, text, n_text) != 0)
            fail_msg("%s\n---\n%s", source, a ? a->text.s : "not read");
    } else {
        assert_null(a);
        const char *got = NULL;
        for (size_t i = 0; i < t.n; i++)
            got = t.v[i].name.n == 1 && t.v[i].name.s[0] == 'A' ? t.v[i].why : got;
        if (!got || !strstr(got, why))
            fail_msg("%s\n---\n%s", source, got ? got : "nothing");
    }
    dr_python_texts_free(&t);
}

#define SAME(source, text) expect(source, text, sizeof(text) - 1, NULL)
#define UNREAD(source, why) expect(source, NULL, 0, why)

static void python_literals__every_form_of_text(void **state)
{
    (void)state;
    SAME("A = 'x'", "x");
    SAME("A = \"it's\"\n", "it's");
    SAME("A: str = 'x' # why\n", "x");
    SAME("A: Dict[str, 'a=b'] = 'x'", "x");
    SAME("A = ''", "");
    SAME("A = ''''''", "");
    SAME("A = '''a\n'b''c\"\"\"\n'''", "a\n'b''c\"\"\"\n");
    SAME("A = \"\"\"a\\\nb\"\"\"", "ab");
    SAME("A = 'a\\\nb'", "ab");
    SAME("A = '\\\\ \\' \\\" \\a\\b\\f\\n\\r\\t\\v'", "\\ ' \" \a\b\f\n\r\t\v");
    SAME("A = '\\0\\101\\18\\x41\\u00e9\\U0001f642'", "\0A\1"
                                                       "8A\xc3\xa9\xf0\x9f\x99\x82");
    SAME("A = '\\q\\8'", "\\q\\8");
    SAME("A = r'\\n\\''", "\\n\\'");
    SAME("A = R\"\"\"\\\n\"\"\"", "\\\n");
    SAME("A = u'x'", "x");
    SAME("A = 'a' \"b\" '''c'''", "abc");
    SAME("A = ('a'\n  # a comment, with ' in it\n  'b'\n)", "ab");
    SAME("A = 'a' \\\n  'b'", "ab");
    SAME("A = ('a' + ('b' 'c')) + 'd'", "abcd");
    SAME("B = 'b'\nA = 'a' + B + \"c\"", "abc");
    SAME("B = 'b'\nA = f'a{B}{{}}' 'c{B}'", "ab{}c{B}");
    SAME("B = 'b'\nA = rf'\\{B}\\n'", "\\b\\n");
    SAME("A = 'old'\nA = 'new'", "new");
    SAME("A = 'a'\nA = A + A", "aa");
    SAME("B = 'x'; A = 'y'; C = 'z'", "y");
    SAME("\xef\xbb\xbf" "A = '\xc3\xa9'", "\xc3\xa9");
    SAME("A = '''a\r\nb\rc'''\r\n", "a\nb\nc");
    SAME("A = '{x} {{y}}'", "{x} {{y}}");
}

static void python_literals__all_else_is_stepped_over(void **state)
{
    (void)state;
    SAME("'''A = 'doc''' \nimport re\ndef f(x='''\nA = 'no'\n''', *, y={'k': [1, 2]}):\n    A = 'inside'\n    return f\"{x!r:>{10}} {d['A = 1']} {{\" + \"'\"\n"
         "class C:\n\n    '''A'''\n\nif x == '(':\n    pass\nA = 'yes'\nprint(A, '''\nA = 'no'\n''')\n",
         "yes");
    SAME("B = [\n'x',\nA\n]\nA = 'yes'\nC = f(\nA = 'no'\n)\n", "yes");
    SAME("x = f'{f\"{f'{1}'}\"}'\nA = 'yes'", "yes");
    SAME("A = 'yes'\nAA = 'no'\nA.b = 'no'\nA['x'] = 'no'\nA == 'no'", "yes");
    SAME("lambda: ')'\n)\nA = 'yes'", "yes");
    SAME("\n\n  # indented\n\tB = 'x'\nA = 'yes'", "yes");
}

static void python_literals__dicts(void **state)
{
    (void)state;
    static const char source[] = "T = 'max text'\nD: Dict[str, str] = {\n    'low': '', # nothing\n    \"none\": None,\n    'max': (T +\n        '.'),\n}\n"
                                 "E = {'a': 1}\nF = {'a'}\nG = {'a': 'b'}['a']\nH = {}\nD2 = {'k': 'v', **D}\nK = {'k': '1', 'k': '2'}";
    dr_python_texts t = read_ok(source, sizeof source - 1);
    assert_string_equal(dr_python_text_get(&t, "D", "low")->text.s, "");
    assert_string_equal(dr_python_text_get(&t, "D", "none")->text.s, "");
    assert_string_equal(dr_python_text_get(&t, "D", "max")->text.s, "max text.");
    assert_int_equal(dr_python_text_get(&t, "D", "max")->line, 2);
    assert_null(dr_python_text_get(&t, "D", NULL));
    assert_null(dr_python_text_get(&t, "D", "high"));
    assert_string_equal(dr_python_text_get(&t, "K", "k")->text.s, "2");
    size_t n_unread = 0;
    for (size_t i = 0; i < t.n; i++) {
        n_unread += t.v[i].why != NULL;
        assert_true(t.v[i].why == NULL || t.v[i].key.s == NULL);
    }
    assert_int_equal(n_unread, 4); /* E F G D2 */
    dr_python_texts_free(&t);
}

static void python_literals__what_is_not_read_says_why(void **state)
{
    (void)state;
    UNREAD("A = 'a'.strip()", "more than a text");
    UNREAD("A = f()", "no text");
    UNREAD("A = 3", "no text");
    UNREAD("A = b'x'", "bytes");
    UNREAD("A = '\\N{BULLET}'", "\\N{...}");
    UNREAD("A = '\\ud83d\\ude42'", "no character");
    UNREAD("A = '\\U00110000'", "no character");
    UNREAD("A = '\\x4'", "hexadecimal");
    UNREAD("A = f'{1 + 1}'", "more than names");
    UNREAD("A = f'{B}'", "no text assigned above");
    UNREAD("A = ('a', 'b')", "more than a text in parentheses");
    UNREAD("A = 'a' % 'b'", "more than a text");
    UNREAD("A = 'a'\nA += 'b'", "changed in place");
    UNREAD("A = 'a'\nA = [A]", "no text"); /* the old value is gone */
    UNREAD("A = 'a' if x else 'b'\nB = 'c'", "more than a text");
}

static void python_literals__broken_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        dr_status st;
        const char *says;
    } cases[] = {
        {"\nA = 'x\n'", DR_ERR_FORMAT, "file: line 2: a string does not end"},
        {"A = '''x\n", DR_ERR_FORMAT, "a string does not end"},
        {"A = 'x\\", DR_ERR_FORMAT, "a string does not end"},
        {"A = f'{x", DR_ERR_FORMAT, "braces"},
        {"A = f'}'", DR_ERR_FORMAT, "'}' alone"},
        {"A = '\xff'", DR_ERR_FORMAT, "UTF-8"},
        {"x = f'{a)}'", DR_ERR_FORMAT, "brackets"},
    };
    dr_python_texts t;
    dr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(dr_python_texts_read(&t, dr_str_of(cases[i].source), "file", &err), cases[i].st);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s\n---\n%s", cases[i].source, err.msg);
        assert_null(t.storage);
    }
    assert_int_equal(dr_python_texts_read(&t, (dr_str){"A = 'a\0b'", 10}, "file", &err), DR_ERR_FORMAT);
}

static void expect_limit(const dr_buf *source, const char *says)
{
    dr_python_texts t;
    dr_error err;
    assert_int_equal(dr_python_texts_read(&t, dr_buf_view(source), "file", &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, says));
}

static void python_literals__hostile_files_meet_bounds(void **state)
{
    (void)state;
    dr_buf b = {0};
    dr_buf_str(&b, "A0 = '0123456789abcdef'\n");
    for (int i = 1; i < 40; i++)
        dr_buf_printf(&b, "A%d = A%d + A%d\n", i, i - 1, i - 1);
    expect_limit(&b, "too many bytes");
    dr_buf_clear(&b);
    dr_buf_str(&b, "A = ");
    for (int i = 0; i < 100000; i++)
        dr_buf_str(&b, "(");
    expect_limit(&b, "nested too deep");
    dr_buf_clear(&b);
    dr_buf_str(&b, "print(");
    for (int i = 0; i < 1000; i++)
        dr_buf_str(&b, "f'{");
    expect_limit(&b, "nested too deep");
    dr_buf_clear(&b);
    for (int i = 0; i <= DR_PYTHON_ENTRIES; i++)
        dr_buf_printf(&b, "A%d=''\n", i);
    expect_limit(&b, "too many assignments");
    dr_buf_clear(&b);
    for (int i = 0; i < 1 << 17; i++)
        dr_buf_str(&b, "12345678\n");
    expect_limit(&b, "more than");
    dr_buf_free(&b);
}

static void python_literals__failed_allocations_are_reported(void **state)
{
    (void)state;
    static const char source[] = "B = 'b'\nA = f'{B}' + 'x'\nD = {'k': A, 'l': None}\nE = f(x)\n";
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_python_texts t;
        alloc_fail_at(at);
        const dr_status st = dr_python_texts_read(&t, DR_STR(source), "file", NULL);
        failed = alloc_fail_off();
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        dr_python_texts_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(python_literals__every_form_of_text),
        cmocka_unit_test(python_literals__all_else_is_stepped_over),
        cmocka_unit_test(python_literals__dicts),
        cmocka_unit_test(python_literals__what_is_not_read_says_why),
        cmocka_unit_test(python_literals__broken_files_are_refused),
        cmocka_unit_test(python_literals__hostile_files_meet_bounds),
        cmocka_unit_test(python_literals__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
