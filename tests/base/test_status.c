#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

static void status__fail_records_code_and_message(void **state)
{
    (void)state;
    dr_error err = {0};
    assert_int_equal(dr_fail(&err, DR_ERR_FORMAT, "layer %d: %s", 12, "wrong shape"), DR_ERR_FORMAT);
    assert_int_equal(err.code, DR_ERR_FORMAT);
    assert_string_equal(err.msg, "layer 12: wrong shape");
    assert_int_equal(dr_fail(NULL, DR_ERR_IO, "nobody listens"), DR_ERR_IO);
    assert_int_equal(dr_fail_more(NULL, DR_ERR_IO, "nobody listens"), DR_ERR_IO);
}

static void status__long_message_is_cut(void **state)
{
    (void)state;
    dr_error err = {0};
    char text[2 * DR_ERROR_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    (void)dr_fail(&err, DR_ERR_ARG, "%s", text);
    assert_int_equal(strlen(err.msg), DR_ERROR_BYTES - 1);
}

static void status__problems_are_listed_line_by_line(void **state)
{
    (void)state;
    dr_error err = {.msg = "left over"}; /* code DR_OK: the text means nothing */
    (void)dr_fail_more(&err, DR_ERR_FORMAT, "first");
    (void)dr_fail_more(&err, DR_ERR_FORMAT, "second %d", 2);
    assert_string_equal(err.msg, "first\nsecond 2");
}

static void status__full_list_ends_with_dots_once(void **state)
{
    (void)state;
    dr_error err = {0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(dr_fail_more(&err, DR_ERR_FORMAT, "problem number %d", i), DR_ERR_FORMAT);
    const size_t n = strlen(err.msg);
    assert_in_range(n, DR_ERROR_BYTES / 2, DR_ERROR_BYTES - 1);
    assert_string_equal(err.msg + n - 4, "\n...");
    assert_ptr_equal(strstr(err.msg, "\n..."), err.msg + n - 4);
    assert_non_null(strstr(err.msg, "problem number 100\n"));
}

static void status__every_code_has_a_name(void **state)
{
    (void)state;
    for (int code = DR_ERR_AGAIN; code <= DR_OK; code++)
        assert_string_not_equal(dr_status_name((dr_status)code), "unknown status");
    assert_string_equal(dr_status_name((dr_status)-1000), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status__fail_records_code_and_message),
        cmocka_unit_test(status__long_message_is_cut),
        cmocka_unit_test(status__problems_are_listed_line_by_line),
        cmocka_unit_test(status__full_list_ends_with_dots_once),
        cmocka_unit_test(status__every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
