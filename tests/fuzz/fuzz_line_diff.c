/* Any two texts: the first byte says where the rest is cut in two. The hunks must be in order and turn one text into the
 * other; the printed form must do so too, read by its prefixes alone. */
#include "repo/line_diff.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static dr_str take_line(dr_str *rest)
{
    const char *newline = rest->n ? memchr(rest->s, '\n', rest->n) : NULL;
    const dr_str line = {rest->s, newline ? (size_t)(newline - rest->s) + 1 : rest->n};
    rest->s += line.n;
    rest->n -= line.n;
    return line;
}

static void check_hunks(const dr_hunks *h, dr_str a, dr_str b)
{
    uint32_t i = 1, k = 1;
    for (size_t x = 0; x < h->n; x++) {
        const dr_hunk *u = &h->v[x];
        require(u->old_n + u->new_n > 0 && (x == 0 || u->old_line > i));
        for (; i < u->old_line; i++, k++) {
            uint32_t line;
            require(a.n && dr_str_eq(take_line(&a), take_line(&b)));
            require(dr_line_map(&line, h, i) && line == k);
        }
        require(k == u->new_line);
        for (uint32_t y = 0; y < u->old_n; y++, i++)
            require(take_line(&a).n > 0);
        for (uint32_t y = 0; y < u->new_n; y++, k++)
            require(take_line(&b).n > 0);
    }
    require(dr_str_eq(a, b));
}

/* With all lines as context there is one hunk, whose '-' side is the old text and whose '+' side is the new one. */
static void check_whole(const dr_buf *patch, dr_str a, dr_str b)
{
    dr_str rest = dr_buf_view(patch), line = take_line(&rest);
    require(line.n > 2 && memcmp(line.s, "@@", 2) == 0);
    while (rest.n) {
        line = take_line(&rest);
        const bool cut = rest.n && rest.s[0] == '\\';
        const dr_str content = {line.s + 1, line.n - 1 - cut};
        require(line.s[0] == ' ' || line.s[0] == '-' || line.s[0] == '+');
        if (line.s[0] != '+')
            require(dr_str_eq(take_line(&a), content));
        if (line.s[0] != '-')
            require(dr_str_eq(take_line(&b), content));
        if (cut)
            (void)take_line(&rest);
    }
    require(a.n == 0 && b.n == 0);
}

static char *copy_of(const uint8_t *data, size_t n)
{
    char *copy = malloc(n ? n : 1); /* exactly this size, so that reading one byte too many is seen */
    if (copy && n)
        memcpy(copy, data, n);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dr_hunks h = {0};
    dr_buf patch = {0};

    if (size == 0)
        return 0;
    const size_t cut = (size - 1) * data[0] / 255;
    char *old = copy_of(data + 1, cut), *new = copy_of(data + 1 + cut, size - 1 - cut);
    const dr_str a = {old, cut}, b = {new, size - 1 - cut};
    if (!old || !new || dr_line_diff(&h, a, b, NULL) != DR_OK)
        goto done;
    require((h.n == 0) == dr_str_eq(a, b));
    check_hunks(&h, a, b);
    require(dr_line_diff_print(&patch, &h, a, b, data[0] % 5u, NULL) == DR_OK);
    if (h.n) {
        dr_buf_clear(&patch);
        require(dr_line_diff_print(&patch, &h, a, b, UINT32_MAX, NULL) == DR_OK);
        check_whole(&patch, a, b);
    }
done:
    dr_hunks_fini(&h);
    dr_buf_free(&patch);
    free(old);
    free(new);
    return 0;
}
