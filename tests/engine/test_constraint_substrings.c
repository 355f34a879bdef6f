/* Substrings of a text against a list of all of them, and the order of suffixes against plain comparison. */
#include "engine/constraint_parts.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 3;

static uint32_t below(uint32_t n)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

/* ---- what may be taken, by looking at every place ---- */

static size_t occurrences(dr_str text, dr_str s)
{
    size_t n = 0;
    for (size_t at = 0; at + s.n <= text.n; at++)
        n += memcmp(text.s + at, s.s, s.n) == 0;
    return n;
}

static bool is_line_start(dr_str text, size_t at)
{
    return at == 0 || text.s[at - 1] == '\n';
}

static bool is_line_end(dr_str text, size_t at)
{
    const bool before_newline = at < text.n && text.s[at] == '\n';
    const bool before_both = at + 1 < text.n && text.s[at] == '\r' && text.s[at + 1] == '\n';
    return at == text.n || text.s[at - 1] == '\n' || before_both || (before_newline && text.s[at - 1] != '\r');
}

/* Is s of the kind, and does anything of the kind begin with it? */
static bool may_be_taken(dr_str text, dr_str s, unsigned how, bool *begins)
{
    bool whole = false;
    *begins = false;
    for (size_t at = 0; at < text.n; at++) {
        if (at + s.n > text.n || memcmp(text.s + at, s.s, s.n) != 0 || ((how & DR_SUBSTRING_LINES) && !is_line_start(text, at)))
            continue;
        for (size_t end = at + (s.n ? s.n : 1); end <= text.n; end++) {
            const dr_str taken = {text.s + at, end - at};
            if (((how & DR_SUBSTRING_LINES) && !is_line_end(text, end)) ||
                ((how & DR_SUBSTRING_UNIQUE) && occurrences(text, taken) != 1))
                continue;
            *begins = true;
            whole |= end - at == s.n;
        }
    }
    return whole;
}

typedef struct walk {
    const dr_tokenizer *t;
    dr_str text;
    unsigned how;
    char taken[32];
    long n;
} walk;

static void compare_from(walk *w, const dr_constraint *c, size_t depth)
{
    static const char letters[] = "ab\n\rc";
    bool begins;
    assert_int_equal(dr_constraint_done(c), may_be_taken(w->text, (dr_str){w->taken, depth}, w->how, &begins));
    for (const char *p = letters; *p; p++) {
        w->taken[depth] = *p;
        w->n++;
        (void)may_be_taken(w->text, (dr_str){w->taken, depth + 1}, w->how, &begins);
        assert_int_equal(dr_constraint_allows(c, w->t, *p), begins);
        if (!begins)
            continue;
        dr_constraint *next;
        assert_int_equal(dr_constraint_clone(&next, c, NULL), DR_OK);
        assert_int_equal(dr_constraint_advance(next, w->t, *p, NULL), DR_OK);
        compare_from(w, next, depth + 1);
        dr_constraint_free(next);
    }
}

static void substrings__are_those_that_a_search_finds(void **state)
{
    (void)state;
    static const char letters[] = "aab\n\r";
    dr_tokenizer *t = byte_tokenizer(NULL, 0, NULL, 0);
    long n = 0;
    for (int round = 0; round < 500; round++) {
        char room[12];
        const dr_str text = {room, 1 + below(sizeof room)};
        dr_substrings *x;
        for (size_t i = 0; i < text.n; i++)
            room[i] = letters[below(round % 2 ? 5 : 3)];
        assert_int_equal(dr_substrings_new(&x, text, NULL), DR_OK);
        for (unsigned how = 0; how < 4; how++) {
            dr_grammar *g = dr_grammar_new();
            dr_constraint *c;
            walk w = {.t = t, .text = text, .how = how};
            assert_int_equal(dr_constraint_new(&c, g, dr_grammar_substring(g, x, how), NULL), DR_OK);
            compare_from(&w, c, 0);
            n += w.n;
            dr_constraint_free(c);
            dr_grammar_free(g);
        }
        dr_substrings_free(x);
    }
    print_message("%ld beginnings compared\n", n);
    dr_tokenizer_close(t);
}

/* Inside a grammar: a token may carry the end of the text taken and what follows, and the text itself may hold what follows. */
static void substrings__tokens_straddle_the_end(void **state)
{
    (void)state;
    const dr_str longer[] = {DR_STR("b</"), DR_STR("</a"), DR_STR("ab"), DR_STR("</")};
    static const char *const controls[] = {"<end>"};
    dr_tokenizer *t = byte_tokenizer(longer, 4, controls, 1);
    const int32_t end = dr_tokenizer_special(t, "<end>");
    dr_grammar *g = dr_grammar_new();
    dr_substrings *x;
    dr_constraint *c;
    assert_int_equal(dr_substrings_new(&x, DR_STR("ab</ab"), NULL), DR_OK);
    const dr_node v[] = {dr_grammar_substring(g, x, DR_SUBSTRING_UNIQUE), dr_grammar_literal(g, DR_STR("</")), dr_grammar_control(g, end)};
    assert_int_equal(dr_constraint_new(&c, g, dr_grammar_sequence(g, v, 3), NULL), DR_OK);
    assert_true(dr_constraint_allows(c, t, LONGER_TOKENS + 3));
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 2, NULL), DR_OK); /* ab: stands twice */
    assert_false(dr_constraint_allows(c, t, end));
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 3, NULL), DR_OK); /* as text: behind "ab" nothing could follow yet */
    assert_false(dr_constraint_allows(c, t, end));
    assert_true(dr_constraint_allows(c, t, LONGER_TOKENS + 3));
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 2, NULL), DR_OK);
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 3, NULL), DR_OK);
    assert_int_equal(dr_constraint_advance(c, t, end, NULL), DR_OK);
    assert_true(dr_constraint_done(c));
    dr_constraint_free(c);
    dr_grammar_free(g);
    dr_substrings_free(x);
    dr_tokenizer_close(t);
}

static int compare_suffixes(dr_str text, uint32_t a, uint32_t b)
{
    return dr_str_cmp((dr_str){text.s + a, text.n - a}, (dr_str){text.s + b, text.n - b});
}

static void substrings__suffixes_are_in_order(void **state)
{
    (void)state;
    enum { N = 30000 };
    static char room[N];
    for (int kind = 0; kind < 12; kind++) {
        const dr_str text = {room, kind < 9 ? N : below(300)};
        dr_substrings *x;
        uint64_t sum = 0;
        for (size_t i = 0; i < text.n; i++)
            switch (kind) {
            case 0: room[i] = 'a'; break;
            case 1: room[i] = "ab"[i % 2]; break;
            case 2: room[i] = "ba"[__builtin_popcountll(i) % 2]; break; /* Thue, Morse: no overlap at any length */
            case 3: room[i] = i % 1000 ? 'b' : 'a'; break;
            case 4: room[i] = (char)below(256); break;
            case 5: room[i] = "ab"[below(2)]; break;
            case 6: room[i] = i < 100 ? (char)below(256) : room[i - 97]; break;
            case 7: room[i] = (char)(255 - i * 256 / N); break;
            case 8: room[i] = (char)(i * 256 / N); break;
            default: room[i] = "ab"[below(2)]; break;
            }
        assert_int_equal(dr_substrings_new(&x, text, NULL), DR_OK);
        for (size_t i = 0; i < text.n; i++) {
            sum += x->suffix[i];
            assert_in_range(x->suffix[i], 0, text.n - 1);
            if (i && (kind > 3 || i % 50 == 0))
                assert_true(compare_suffixes(text, x->suffix[i - 1], x->suffix[i]) < 0);
        }
        assert_int_equal(sum, text.n ? text.n * (text.n - 1) / 2 : 0);
        dr_substrings_free(x);
    }
}

static void substrings__an_empty_text_has_none(void **state)
{
    (void)state;
    dr_substrings *x;
    dr_grammar *g = dr_grammar_new();
    assert_int_equal(dr_substrings_new(&x, DR_STR(""), NULL), DR_OK);
    assert_int_equal(dr_grammar_substring(g, x, 0), -1);
    dr_grammar_free(g);
    dr_substrings_free(x);
    dr_substrings_free(NULL);
}

static void substrings__failed_allocations_are_reported(void **state)
{
    (void)state;
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_substrings *x;
        dr_error err;
        alloc_fail_at(at);
        const dr_status st = dr_substrings_new(&x, DR_STR("abababcabcabc\nab"), &err);
        failed = alloc_fail_off();
        assert_int_equal(st, failed ? DR_ERR_NOMEM : DR_OK);
        assert_int_equal(x == NULL, failed);
        dr_substrings_free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(substrings__are_those_that_a_search_finds),
        cmocka_unit_test(substrings__tokens_straddle_the_end),
        cmocka_unit_test(substrings__suffixes_are_in_order),
        cmocka_unit_test(substrings__an_empty_text_has_none),
        cmocka_unit_test(substrings__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
