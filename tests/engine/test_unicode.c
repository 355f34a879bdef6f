/* The committed table of classes against the Unicode data that Debian installs, which may be older or newer than the table. */
#include "base/bytes.h"
#include "engine/unicode.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder = "/usr/share/unicode"; /* or the program's argument */

enum { POINTS = 0x110000 };

static uint8_t class_of(char major)
{
    static const char letters[] = "LMNPS";
    const char *at = strchr(letters, major);

    return (uint8_t)(at ? 1 << (at - letters) : DR_UNICODE_OTHER);
}

/* Code, name and category of every line; ranges are given by their first and last. */
static void read_classes(uint8_t *out, dr_str text)
{
    uint32_t first = 0;
    bool in_range = false;

    for (const char *p = text.s, *end = text.s + text.n; p < end;) {
        char *name;
        const uint32_t point = (uint32_t)strtoul(p, &name, 16);
        const char *category = memchr(name + 1, ';', (size_t)(end - name - 1)), *line = memchr(name, '\n', (size_t)(end - name));
        assert_true(point < POINTS && category && *name == ';');
        for (uint32_t c = in_range ? first : point; c <= point; c++)
            out[c] = class_of(category[1]);
        in_range = category - name > 8 && memcmp(category - 8, ", First>", 8) == 0;
        first = point;
        p = line ? line + 1 : end;
    }
}

static void read_spaces(uint8_t *out, dr_str text)
{
    for (const char *p = text.s, *end = text.s + text.n; p < end;) {
        const char *line = memchr(p, '\n', (size_t)(end - p)), *stop = line ? line : end;
        char *after;
        const uint32_t first = (uint32_t)strtoul(p, &after, 16), last = memcmp(after, "..", 2) == 0 ? (uint32_t)strtoul(after + 2, NULL, 16) : first;
        const char *property = memchr(p, ';', (size_t)(stop - p));
        if (after > p && property && stop - property > 13 && memcmp(property + 1, " White_Space", 12) == 0)
            for (uint32_t c = first; c <= last && c < POINTS; c++)
                out[c] |= DR_UNICODE_SPACE;
        p = stop + 1;
    }
}

static bool read_data(dr_buf *out, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return dr_read_file(out, path, 1 << 24, NULL) == DR_OK;
}

static void unicode__table_is_that_of_unicode_data(void **state)
{
    (void)state;
    uint8_t *theirs = calloc(POINTS, 1);
    dr_buf data = {0}, properties = {0};
    int n_same = 0, n_newer_here = 0, n_newer_there = 0;
    assert_non_null(theirs);
    if (!read_data(&data, "UnicodeData.txt") || !read_data(&properties, "PropList.txt")) {
        print_message("skipped: Debian's package unicode-data is not installed\n");
        exit(77);
    }
    read_classes(theirs, dr_buf_view(&data));
    read_spaces(theirs, dr_buf_view(&properties));
    for (uint32_t c = 0; c < POINTS; c++) {
        const uint8_t ours = dr_unicode_class(c);
        n_newer_here += ours && !theirs[c];
        n_newer_there += theirs[c] && !ours;
        if (!ours || !theirs[c])
            continue;
        if (ours != theirs[c])
            print_message("U+%04X: %d here, %d there\n", c, ours, theirs[c]);
        assert_int_equal(ours, theirs[c]);
        n_same++;
    }
    print_message("%d code points alike, %d assigned here only, %d there only\n", n_same, n_newer_here, n_newer_there);
    assert_true(n_same > 280000);
    assert_true(n_newer_here == 0 || n_newer_there == 0); /* one is the newer */
    dr_buf_free(&data);
    dr_buf_free(&properties);
    free(theirs);
}

static void unicode__every_sequence_comes_back(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < POINTS; c++) {
        char s[4];
        uint32_t back = 0;
        const size_t n = dr_utf8_encode(s, c);
        const bool surrogate = c >= 0xd800 && c <= 0xdfff;
        assert_int_equal(dr_utf8_decode(&back, s, n), surrogate ? 0 : n);
        assert_true(surrogate || back == c);
        assert_int_equal(n > 1 ? dr_utf8_decode(&back, s, n - 1) : 0, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unicode__every_sequence_comes_back),
        cmocka_unit_test(unicode__table_is_that_of_unicode_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
