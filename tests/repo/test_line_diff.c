/* Hunks turn one text into the other, are as few lines as possible, print as patches that git and patch(1) apply, map
 * lines, and take bounded time whatever the texts. */
#include "repo/line_diff.h"
#include "tests/repo/make_repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t state = 1;

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

/* ---- a second, plain idea of lines ---- */

typedef struct lines {
    dr_str v[4096];
    size_t n;
} lines;

static void split(lines *l, dr_str text)
{
    l->n = 0;
    for (size_t at = 0; at < text.n;) {
        const char *newline = memchr(text.s + at, '\n', text.n - at);
        const size_t n = newline ? (size_t)(newline - text.s) + 1 - at : text.n - at;
        assert_true(l->n < 4096);
        l->v[l->n++] = (dr_str){text.s + at, n};
        at += n;
    }
}

static size_t longest_common(const lines *a, const lines *b)
{
    static uint16_t best[130][130];
    assert_true(a->n < 130 && b->n < 130);
    for (size_t i = 0; i <= a->n; i++)
        for (size_t k = 0; k <= b->n; k++) {
            if (i == 0 || k == 0)
                best[i][k] = 0;
            else if (dr_str_eq(a->v[i - 1], b->v[k - 1]))
                best[i][k] = (uint16_t)(best[i - 1][k - 1] + 1);
            else
                best[i][k] = best[i - 1][k] > best[i][k - 1] ? best[i - 1][k] : best[i][k - 1];
        }
    return best[a->n][b->n];
}

/* Ascending, apart, in range, everything between them equal: then they turn one text into the other. */
static void check_hunks(const dr_hunks *h, const lines *a, const lines *b)
{
    size_t i = 0, k = 0;
    for (size_t x = 0; x <= h->n; x++) {
        const size_t to_old = x < h->n ? h->v[x].old_line - 1 : a->n, to_new = x < h->n ? h->v[x].new_line - 1 : b->n;
        assert_true(to_old >= i && to_old <= a->n && to_new - k == to_old - i);
        assert_true(x == 0 || x == h->n || to_old > i);
        for (; i < to_old; i++, k++) {
            uint32_t line;
            assert_true(dr_str_eq(a->v[i], b->v[k]));
            assert_true(dr_line_map(&line, h, (uint32_t)i + 1));
            assert_int_equal(line, k + 1);
        }
        if (x == h->n)
            break;
        assert_true(h->v[x].old_n + h->v[x].new_n > 0);
        for (uint32_t y = 0; y < h->v[x].old_n; y++) {
            uint32_t line;
            assert_false(dr_line_map(&line, h, h->v[x].old_line + y));
            assert_true(line >= 1 && line + 1 >= h->v[x].new_line && line <= h->v[x].new_line + h->v[x].new_n);
            assert_true(h->v[x].new_n == 0 || line < h->v[x].new_line + h->v[x].new_n);
        }
        i += h->v[x].old_n;
        k += h->v[x].new_n;
        assert_true(i <= a->n && k <= b->n);
    }
}

static size_t n_changed(const dr_hunks *h)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        n += h->v[i].old_n + h->v[i].new_n;
    return n;
}

/* What a reader of the unified form makes of it. */
static void apply(dr_buf *out, dr_str patch, dr_str old_text)
{
    static lines old, p;
    size_t at = 0;

    split(&old, old_text);
    split(&p, patch);
    dr_buf_clear(out);
    for (size_t i = 0; i < p.n; i++) {
        const dr_str l = p.v[i];
        unsigned from, n_old, to, n_new;
        assert_int_equal(l.s[l.n - 1], '\n');
        if (l.s[0] == '@') {
            assert_int_equal(sscanf(l.s, "@@ -%u,%u +%u,%u @@\n", &from, &n_old, &to, &n_new), 4);
            for (const size_t stop = n_old ? from - 1 : from; at < stop; at++)
                dr_buf_add(out, old.v[at].s, old.v[at].n);
            /* The counts are those of the lines that follow. */
            for (size_t k = i + 1; k < p.n && p.v[k].s[0] != '@'; k++) {
                n_old -= p.v[k].s[0] == ' ' || p.v[k].s[0] == '-';
                n_new -= p.v[k].s[0] == ' ' || p.v[k].s[0] == '+';
            }
            assert_int_equal(n_old, 0);
            assert_int_equal(n_new, 0);
            continue;
        }
        const bool cut = i + 1 < p.n && p.v[i + 1].s[0] == '\\';
        const dr_str content = {l.s + 1, l.n - 1 - cut};
        if (l.s[0] == ' ' || l.s[0] == '-') {
            assert_true(at < old.n && dr_str_eq(old.v[at], content));
            at++;
        }
        if (l.s[0] == ' ' || l.s[0] == '+')
            dr_buf_add(out, content.s, content.n);
        if (cut) {
            assert_true(dr_str_eq(p.v[i + 1], DR_STR("\\ No newline at end of file\n")));
            i++;
        }
    }
    for (; at < old.n; at++)
        dr_buf_add(out, old.v[at].s, old.v[at].n);
}

static void random_text(dr_buf *out, uint32_t n_words)
{
    dr_buf_clear(out);
    for (uint32_t i = 0, n = below(40); i < n; i++)
        dr_buf_printf(out, "%c\n", (int)('a' + below(n_words)));
    if (below(4) == 0)
        dr_buf_str(out, "end");
    dr_buf_add(out, "", 0);
}

/* A few lines of the text removed, put in, replaced or moved. */
static void random_edit(dr_buf *out, dr_str text, uint32_t n_words)
{
    static lines l;
    split(&l, text);
    dr_buf_clear(out);
    for (size_t i = 0; i < l.n; i++) {
        const uint32_t what = below(12);
        if (what == 0)
            continue;
        if (what == 1)
            dr_buf_printf(out, "%c\n", (int)('a' + below(n_words)));
        if (what == 2)
            dr_buf_printf(out, "%c\r\n", (int)('a' + below(n_words)));
        else
            dr_buf_add(out, l.v[i].s, l.v[i].n);
    }
    if (below(5) == 0)
        dr_buf_str(out, "tail");
    if (below(9) == 0 && out->n)
        out->n--;
}

static void line_diff__is_right_and_shortest_on_random_texts(void **arg)
{
    (void)arg;
    static lines a, b;
    dr_buf x = {0}, y = {0}, patch = {0}, back = {0};
    for (int round = 0; round < 20000; round++) {
        const uint32_t n_words = 1 + below(12);
        dr_hunks h;
        random_text(&x, n_words);
        if (below(2))
            random_text(&y, n_words);
        else
            random_edit(&y, dr_buf_view(&x), n_words);
        assert_int_equal(dr_line_diff(&h, dr_buf_view(&x), dr_buf_view(&y), NULL), DR_OK);
        split(&a, dr_buf_view(&x));
        split(&b, dr_buf_view(&y));
        check_hunks(&h, &a, &b);
        assert_int_equal(n_changed(&h), a.n + b.n - 2 * longest_common(&a, &b));
        assert_int_equal(h.n == 0, dr_str_eq(dr_buf_view(&x), dr_buf_view(&y)));
        dr_buf_clear(&patch);
        assert_int_equal(dr_line_diff_print(&patch, &h, dr_buf_view(&x), dr_buf_view(&y), below(5), NULL), DR_OK);
        apply(&back, dr_buf_view(&patch), dr_buf_view(&x));
        assert_true(dr_str_eq(dr_buf_view(&back), dr_buf_view(&y)));
        dr_hunks_fini(&h);
    }
    dr_buf_free(&x);
    dr_buf_free(&y);
    dr_buf_free(&patch);
    dr_buf_free(&back);
}

/* ---- git apply and patch(1) ---- */

static int shell(const char *command)
{
    const int rc = system(command);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : 128;
}

static void line_diff__patches_apply_with_other_programs(void **arg)
{
    (void)arg;
    const bool git = shell("git --version >/dev/null 2>&1") == 0, patch = shell("patch --version >/dev/null 2>&1") == 0;
    if (!git && !patch) {
        print_message("skipped: neither git nor patch is here\n");
        skip();
    }
    world w = world_begin();
    dr_buf x = {0}, y = {0}, text = {0}, back = {0}, command = {0};
    for (int round = 0; round < 60; round++) {
        dr_hunks h;
        const uint32_t context = (uint32_t)round % 4;
        random_text(&x, 6);
        random_edit(&y, dr_buf_view(&x), 6);
        if (x.n == 0 || y.n == 0 || dr_str_eq(dr_buf_view(&x), dr_buf_view(&y)))
            continue; /* those need a header that says so */
        assert_int_equal(dr_line_diff(&h, dr_buf_view(&x), dr_buf_view(&y), NULL), DR_OK);
        dr_buf_clear(&text);
        dr_buf_str(&text, "--- a/t\n+++ b/t\n");
        assert_int_equal(dr_line_diff_print(&text, &h, dr_buf_view(&x), dr_buf_view(&y), context, NULL), DR_OK);
        write_file(in(&w, "p"), text.data, text.n);
        for (int program = 0; program < 2; program++) {
            if (program == 0 ? !git : !patch || context == 0)
                continue; /* patch(1) guesses where lines without context go */
            write_file(in(&w, "t"), x.data, x.n);
            dr_buf_clear(&command);
            dr_buf_printf(&command,
                          program == 0 ? "cd '%s' && git apply --unidiff-zero --whitespace=nowarn p"
                                       : "cd '%s' && patch --binary -s -p1 -i p",
                          w.path);
            if (shell(command.data) != 0)
                fail_msg("%s:\n%s", command.data, text.data);
            dr_buf_free(&back);
            assert_int_equal(dr_read_file(&back, in(&w, "t"), 1 << 20, NULL), DR_OK);
            assert_true(dr_str_eq(dr_buf_view(&back), dr_buf_view(&y)));
        }
        dr_hunks_fini(&h);
    }
    dr_buf_free(&x);
    dr_buf_free(&y);
    dr_buf_free(&text);
    dr_buf_free(&back);
    dr_buf_free(&command);
    world_end(&w);
}

/* ---- edge cases ---- */

static void expect(const char *a, const char *b, uint32_t context, const char *patch)
{
    dr_hunks h;
    dr_buf out = {0};
    dr_buf_add(&out, "", 0);
    assert_int_equal(dr_line_diff(&h, dr_str_of(a), dr_str_of(b), NULL), DR_OK);
    assert_int_equal(dr_line_diff_print(&out, &h, dr_str_of(a), dr_str_of(b), context, NULL), DR_OK);
    assert_string_equal(out.data ? out.data : "", patch);
    dr_hunks_fini(&h);
    dr_buf_free(&out);
}

static void line_diff__prints_what_git_prints(void **arg)
{
    (void)arg;
    expect("", "", 3, "");
    expect("a\n", "a\n", 3, "");
    expect("", "a\n", 3, "@@ -0,0 +1,1 @@\n+a\n");
    expect("a\n", "", 3, "@@ -1,1 +0,0 @@\n-a\n");
    expect("a", "a\n", 3, "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n");
    expect("a\n", "a\nb", 3, "@@ -1,1 +1,2 @@\n a\n+b\n\\ No newline at end of file\n");
    expect("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n", 1, "@@ -4,3 +4,3 @@\n 4\n-5\n+X\n 6\n");
    /* Hunks whose context touches are one. */
    expect("1\n2\n3\n4\n", "X\n2\n3\nY\n", 1, "@@ -1,4 +1,4 @@\n-1\n+X\n 2\n 3\n-4\n+Y\n");
    expect("1\n2\n3\n4\n5\n", "X\n2\n3\n4\nY\n", 1, "@@ -1,2 +1,2 @@\n-1\n+X\n 2\n@@ -4,2 +4,2 @@\n 4\n-5\n+Y\n");
    /* A line that repeats is added as late as possible. */
    expect("{\n}\nx\n", "{\n}\n{\n}\nx\n", 0, "@@ -2,0 +3,2 @@\n+{\n+}\n");
    expect("1\na\n{\n}\nx\n2\n", "1!\na\n{\n}\n{\n}\nx\n2!\n", 0,
           "@@ -1,1 +1,1 @@\n-1\n+1!\n@@ -4,0 +5,2 @@\n+{\n+}\n@@ -6,1 +8,1 @@\n-2\n+2!\n");
}

static void line_map__follows_lines(void **arg)
{
    (void)arg;
    dr_hunks h;
    uint32_t line;
    /*        1  2  3  4  5  6          1  2  3  4  5  6 */
    assert_int_equal(dr_line_diff(&h, DR_STR("a\nb\nc\nd\ne\nf\n"), DR_STR("a\nB\nd\nnew\ne\nf\n"), NULL), DR_OK);
    const struct {
        uint32_t old_line, new_line;
        bool same;
    } rows[] = {{1, 1, true}, {2, 2, false}, {3, 2, false}, {4, 3, true}, {5, 5, true}, {6, 6, true}, {9, 9, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(dr_line_map(&line, &h, rows[i].old_line), rows[i].same);
        assert_int_equal(line, rows[i].new_line);
    }
    dr_hunks_fini(&h);
    assert_int_equal(dr_line_diff(&h, DR_STR("a\nb\n"), DR_STR(""), NULL), DR_OK);
    assert_false(dr_line_map(&line, &h, 2));
    assert_int_equal(line, 1);
    dr_hunks_fini(&h);
}

/* ---- hostile texts ---- */

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check_big(const char *what, const dr_buf *a, const dr_buf *b)
{
    dr_hunks h;
    const double t0 = cpu_seconds();
    assert_int_equal(dr_line_diff(&h, dr_buf_view(a), dr_buf_view(b), NULL), DR_OK);
    const double t = cpu_seconds() - t0;
    print_message("%-40s %8zu bytes %6zu hunks %8zu lines changed %.3f s\n", what, a->n, h.n, n_changed(&h), t);
    /* Every hunk and every gap, by walking both texts side by side. */
    const char *p = a->data, *q = b->data, *const p_end = p + a->n, *const q_end = q + b->n;
    uint32_t i = 1, k = 1;
    for (size_t x = 0; x <= h.n; x++) {
        while (x < h.n ? i < h.v[x].old_line : p < p_end) {
            const char *u = memchr(p, '\n', (size_t)(p_end - p)), *v = memchr(q, '\n', (size_t)(q_end - q));
            u = u ? u + 1 : p_end;
            v = v ? v + 1 : q_end;
            assert_true(u - p == v - q && memcmp(p, q, (size_t)(u - p)) == 0);
            p = u;
            q = v;
            i++;
            k++;
        }
        if (x == h.n)
            break;
        assert_int_equal(k, h.v[x].new_line);
        for (uint32_t y = 0; y < h.v[x].old_n; y++, i++) {
            const char *u = memchr(p, '\n', (size_t)(p_end - p));
            p = u ? u + 1 : p_end;
        }
        for (uint32_t y = 0; y < h.v[x].new_n; y++, k++) {
            const char *v = memchr(q, '\n', (size_t)(q_end - q));
            q = v ? v + 1 : q_end;
        }
    }
    assert_true(p == p_end && q == q_end);
    assert_true(t < 5); /* sanitizers included */
    dr_hunks_fini(&h);
}

static void line_diff__takes_bounded_time(void **arg)
{
    (void)arg;
    dr_buf a = {0}, b = {0};

    for (int i = 0; i < 500000; i++)
        dr_buf_str(&a, "x\n");
    for (int i = 0; i < 400000; i++)
        dr_buf_str(&b, "x\n");
    check_big("identical lines, fewer of them", &a, &b);

    dr_buf_clear(&b);
    for (int i = 0; i < 500000; i++)
        dr_buf_str(&b, i % 1000 == 7 ? "y\n" : "x\n");
    check_big("identical lines, some replaced", &a, &b);

    dr_buf_clear(&a);
    dr_buf_clear(&b);
    for (int i = 0; i < 25000; i++) {
        dr_buf_printf(&a, "%032x old %d\n", below(1u << 30), i);
        dr_buf_printf(&b, "%032x new %d\n", below(1u << 30), i);
    }
    check_big("unrelated lines", &a, &b);

    dr_buf_clear(&a);
    dr_buf_clear(&b);
    for (int i = 0; i < 500000; i++) {
        dr_buf_str(&a, below(2) ? "x\n" : "y\n");
        dr_buf_str(&b, below(2) ? "x\n" : "y\n");
    }
    check_big("two words in random order", &a, &b);

    dr_buf_clear(&a);
    dr_buf_clear(&b);
    for (int i = 0; i < 200000; i++) {
        dr_buf_printf(&a, "%u\n", below(5000));
        dr_buf_printf(&b, "%u\n", below(5000));
    }
    check_big("many words in random order", &a, &b);

    dr_buf_clear(&a);
    dr_buf_clear(&b);
    for (int i = 0; i < 150000; i++) {
        dr_buf_printf(&a, "%d\n", i);
        dr_buf_printf(&b, "%d\n", 149999 - i);
    }
    check_big("the same lines backwards", &a, &b);

    dr_buf_clear(&a);
    dr_buf_clear(&b);
    for (int i = 0; i < 1000000; i++) {
        dr_buf_str(&a, "\n");
        dr_buf_str(&b, i & 1 ? "\n" : "");
    }
    dr_buf_str(&a, "a");
    dr_buf_str(&b, "b");
    check_big("newlines only", &a, &b);
    dr_buf_free(&a);
    dr_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_diff__is_right_and_shortest_on_random_texts),
        cmocka_unit_test(line_diff__patches_apply_with_other_programs),
        cmocka_unit_test(line_diff__prints_what_git_prints),
        cmocka_unit_test(line_map__follows_lines),
        cmocka_unit_test(line_diff__takes_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
