/* The automaton against a matcher that knows nothing of threads, on random grammars; then JSON, sets, and the tool-call grammar. */
#include "engine/constraint_parts.h"
#include "engine/json.h"
#include "tests/engine/byte_tokenizer.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 7;

static uint32_t below(uint32_t n)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

/* ---- the reference: a description of a grammar, matched by sets of end positions ---- */

enum { MAX_RULES = 64, MAX_INPUT = 24, CONTROL_BASE = 1000 };

typedef struct rule {
    enum { R_LITERAL, R_CONTROL, R_SEQUENCE, R_CHOICE, R_REPEAT, R_SET, R_BYTES, R_TEXT, R_UTF8, R_SWITCH, R_EACH, R_NEST } kind;
    int child[4], n;
    int min, max;
    char text[4];
    dr_str strings[8];
    char room[8][4];
} rule;

typedef struct spec {
    rule v[MAX_RULES];
    int n;
} spec;

/* Positions reached, as bits, from each position of `from`; *open: input ran out where the rule still wants some. */
static uint32_t match(const spec *s, int at, const int *in, int len, uint32_t from, bool *open);

static uint32_t match_text(dr_str text, const int *in, int len, int pos, bool *open)
{
    size_t i = 0;
    while (i < text.n && pos + (int)i < len && in[pos + (int)i] == (unsigned char)text.s[i])
        i++;
    if (i == text.n)
        return UINT32_C(1) << (pos + (int)i);
    *open |= pos + (int)i == len;
    return 0;
}

/* Items not used yet, in any order; the required ones are the bits of min. */
static uint32_t match_items(const spec *s, const rule *r, const int *in, int len, int pos, uint32_t used, bool *open)
{
    uint32_t out = ((uint32_t)r->min & ~used) == 0 ? UINT32_C(1) << pos : 0;
    for (int i = 0; i < r->n; i++) {
        if (used >> i & 1)
            continue;
        uint32_t key = 0, end;
        const uint32_t begin = used ? match_text(DR_STR("b"), in, len, pos, open) : UINT32_C(1) << pos;
        for (int p = 0; p <= len; p++)
            if (begin >> p & 1)
                key |= match_text(r->strings[i], in, len, p, open);
        end = match(s, r->child[i], in, len, key, open);
        for (int p = 0; p <= len; p++)
            if (end >> p & 1)
                out |= match_items(s, r, in, len, p, used | UINT32_C(1) << i, open);
    }
    return out;
}

static uint32_t match_at(const spec *s, int at, const int *in, int len, int pos, bool *open)
{
    const rule *r = &s->v[at];
    const uint32_t here = UINT32_C(1) << pos;
    uint32_t out = 0, now = here;
    switch (r->kind) {
    case R_LITERAL: return match_text(dr_str_of(r->text), in, len, pos, open);
    case R_CONTROL:
        if (pos == len)
            *open = true;
        return pos < len && in[pos] == CONTROL_BASE + r->n ? here << 1 : 0;
    case R_BYTES:
        if (pos == len)
            *open = true;
        return pos < len && in[pos] < CONTROL_BASE && strchr(r->text, in[pos]) ? here << 1 : 0;
    case R_SET:
        for (int i = 0; i < r->n; i++)
            out |= match_text(r->strings[i], in, len, pos, open);
        return out;
    case R_TEXT: {
        const int n_stop = (int)strlen(r->text);
        for (int end = pos;; end++) {
            bool hit = n_stop > 0 && end - pos >= n_stop;
            for (int k = 0; k < n_stop && hit; k++)
                hit = in[end - n_stop + k] == r->text[k];
            if (hit)
                return out;
            out |= UINT32_C(1) << end;
            if (end == len) {
                *open = true;
                return out;
            }
            if (in[end] >= CONTROL_BASE)
                return out;
        }
    }
    case R_UTF8:
        for (int end = pos; r->max < 0 || end - pos <= r->max; end++) {
            if (end - pos >= r->min)
                out |= UINT32_C(1) << end;
            *open |= end == len && (r->max < 0 || end - pos < r->max);
            if (end == len || in[end] >= CONTROL_BASE)
                break;
        }
        return out;
    case R_SWITCH:
        for (int i = 0; i < r->n; i++)
            out |= match(s, r->child[i], in, len, match_text(r->strings[i], in, len, pos, open), open);
        return out;
    case R_EACH: return match_items(s, r, in, len, pos, 0, open);
    case R_SEQUENCE:
        for (int i = 0; i < r->n; i++)
            now = match(s, r->child[i], in, len, now, open);
        return now;
    case R_CHOICE:
        for (int i = 0; i < r->n; i++)
            out |= match(s, r->child[i], in, len, here, open);
        return out;
    case R_REPEAT:
        for (int round = 0; (r->max < 0 || round <= r->max) && now; round++) {
            if (round >= r->min)
                out |= now;
            if (round > MAX_INPUT + 8 + r->min)
                break;
            if (r->max < 0 || round < r->max)
                now = match(s, r->child[0], in, len, now, open);
        }
        return out;
    case R_NEST: /* x | child x child: the recursion takes input before it nests */
        return match(s, r->child[0], in, len, here, open) |
               match(s, r->child[1], in, len, match(s, at, in, len, match(s, r->child[1], in, len, here, open), open), open);
    }
    return 0;
}

static uint32_t match(const spec *s, int at, const int *in, int len, uint32_t from, bool *open)
{
    uint32_t out = 0;
    for (int pos = 0; pos <= len; pos++)
        if (from >> pos & 1)
            out |= match_at(s, at, in, len, pos, open);
    return out;
}

/* ---- random grammars, in both forms ---- */

static int by_str(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

static void random_word(char out[4], uint32_t shortest, uint32_t letters)
{
    const uint32_t n = shortest + below(4 - shortest);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (char)('a' + below(letters));
    out[n] = 0;
}

/* Different words, none empty. */
static void random_words(rule *r, uint32_t most)
{
    for (uint32_t i = 1 + below(most); i > 0; i--) {
        random_word(r->room[r->n], 1, 3);
        r->strings[r->n] = dr_str_of(r->room[r->n]);
        bool twice = false;
        for (int k = 0; k < r->n; k++)
            twice |= dr_str_eq(r->strings[k], r->strings[r->n]);
        r->n += !twice;
    }
}

static int new_rule(spec *s, int depth)
{
    const int at = s->n++;
    rule *r = &s->v[at];
    memset(r, 0, sizeof *r);
    const uint32_t leaf = depth == 0 || s->n > MAX_RULES - 8;
    switch (leaf ? below(6) : 3 + below(10)) {
    case 0:
        r->kind = R_LITERAL;
        random_word(r->text, 0, 2);
        break;
    case 1:
        r->kind = R_CONTROL;
        r->n = (int)below(2);
        break;
    case 2:
        r->kind = R_BYTES;
        random_word(r->text, 1, 3);
        break;
    case 3:
        r->kind = R_SET;
        random_words(r, 7);
        qsort(r->strings, (size_t)r->n, sizeof *r->strings, by_str);
        break;
    case 4:
        r->kind = R_TEXT;
        random_word(r->text, 0, 2);
        break;
    case 5:
        r->kind = R_UTF8;
        r->min = (int)below(3);
        r->max = below(2) ? -1 : r->min + (int)below(3);
        break;
    case 6:
    case 7:
        r->kind = R_SEQUENCE;
        r->n = 1 + (int)below(3);
        for (int i = 0; i < r->n; i++) {
            const int child = new_rule(s, depth - 1);
            s->v[at].child[i] = child;
        }
        break;
    case 8:
        r->kind = R_CHOICE;
        r->n = 1 + (int)below(3);
        for (int i = 0; i < r->n; i++) {
            const int child = new_rule(s, depth - 1);
            s->v[at].child[i] = child;
        }
        break;
    case 9:
    case 10: {
        const bool each = below(2);
        r->kind = each ? R_EACH : R_SWITCH;
        random_words(r, 4);
        for (int i = 0; i < r->n; i++) {
            const int child = new_rule(s, depth - 1);
            s->v[at].child[i] = child;
        }
        r->min = each ? (int)below(1u << r->n) : 0;
        break;
    }
    case 11: {
        const int child = new_rule(s, depth - 1);
        r->kind = R_REPEAT;
        r->child[0] = child;
        r->min = (int)below(3);
        r->max = below(2) ? -1 : r->min + (int)below(3);
        break;
    }
    default: {
        const int inner = new_rule(s, depth - 1), wrap = s->n++;
        memset(&s->v[wrap], 0, sizeof s->v[wrap]);
        s->v[wrap].kind = R_BYTES;
        random_word(s->v[wrap].text, 1, 2);
        r->kind = R_NEST;
        r->child[0] = inner;
        r->child[1] = wrap;
        break;
    }
    }
    return at;
}

static dr_node build(dr_grammar *g, const spec *s, int at, int32_t first_control)
{
    const rule *r = &s->v[at];
    dr_node child[4];
    uint64_t mask[4] = {0};
    switch (r->kind) {
    case R_LITERAL: return dr_grammar_literal(g, dr_str_of(r->text));
    case R_CONTROL: return dr_grammar_control(g, first_control + r->n);
    case R_SET: return dr_grammar_set(g, r->strings, (size_t)r->n, false);
    case R_TEXT: return dr_grammar_text(g, dr_str_of(r->text));
    case R_BYTES:
        for (const char *p = r->text; *p; p++)
            mask[*p / 64] |= UINT64_C(1) << *p % 64;
        return dr_grammar_bytes(g, mask);
    case R_UTF8: return dr_grammar_utf8(g, r->min, r->max);
    case R_SWITCH:
        for (int i = 0; i < r->n; i++)
            child[i] = build(g, s, r->child[i], first_control);
        return dr_grammar_switch(g, r->strings, child, (size_t)r->n);
    case R_EACH: {
        dr_grammar_item items[4];
        for (int i = 0; i < r->n; i++)
            items[i] = (dr_grammar_item){r->strings[i], build(g, s, r->child[i], first_control), (uint8_t)(60 + i), r->min >> i & 1};
        return dr_grammar_each(g, dr_grammar_literal(g, DR_STR("")), dr_grammar_literal(g, DR_STR("b")), items, (size_t)r->n);
    }
    case R_SEQUENCE:
    case R_CHOICE:
        for (int i = 0; i < r->n; i++)
            child[i] = build(g, s, r->child[i], first_control);
        return r->kind == R_SEQUENCE ? dr_grammar_sequence(g, child, (size_t)r->n) : dr_grammar_choice(g, child, (size_t)r->n);
    case R_REPEAT: return dr_grammar_repeat(g, build(g, s, r->child[0], first_control), r->min, r->max);
    case R_NEST: {
        const dr_node self = dr_grammar_forward(g), inner = build(g, s, r->child[0], first_control);
        const dr_node wrap = build(g, s, r->child[1], first_control);
        const dr_node nested[] = {wrap, self, wrap};
        const dr_node either[] = {inner, dr_grammar_sequence(g, nested, 3)};
        dr_grammar_define(g, self, dr_grammar_choice(g, either, 2));
        return self;
    }
    }
    return -1;
}

static const char *const control_names[] = {"<x>", "<y>"};

/* All words of one to three letters over abc. */
static dr_tokenizer *small_tokenizer(void)
{
    static char room[27 + 9][4];
    dr_str longer[36];
    size_t n = 0;
    for (int len = 2; len <= 3; len++)
        for (int i = 0; i < (len == 2 ? 9 : 27); i++) {
            for (int k = 0, v = i; k < len; k++, v /= 3)
                room[n][k] = (char)('a' + v % 3);
            longer[n] = (dr_str){room[n], (size_t)len};
            n++;
        }
    return byte_tokenizer(longer, n, control_names, 2);
}

static void constraint__agrees_with_a_plain_matcher(void **state)
{
    (void)state;
    dr_tokenizer *t = small_tokenizer();
    const int32_t first_control = dr_tokenizer_special(t, "<x>");
    static spec s;
    long n_checked = 0, n_legal = 0, n_limited = 0;
    for (int round = 0; round < 400; round++) {
        dr_grammar *g = dr_grammar_new();
        dr_constraint *c;
        int in[MAX_INPUT + 8], len = 0;
        bool open = false;
        s.n = 0;
        const int root = new_rule(&s, 3);
        const dr_node node = build(g, &s, root, first_control);
        assert_true(dr_grammar_ok(g, node));
        const dr_status st = dr_constraint_new(&c, g, node, NULL);
        if (st == DR_ERR_LIMIT) { /* said so; nothing to compare */
            n_limited++;
            dr_grammar_free(g);
            continue;
        }
        assert_int_equal(st, DR_OK);
        while (len < MAX_INPUT) {
            int32_t legal[400], listed[400];
            size_t n = 0;
            if (!dr_constraint__cut(c))
                assert_int_equal(dr_constraint_done(c), match(&s, root, in, len, 1, &open) >> len & 1);
            for (int32_t id = 'a'; id < dr_tokenizer_size(t); id = id == 'd' ? LONGER_TOKENS : id + 1) {
                const dr_str bytes = dr_tokenizer_bytes(t, id);
                int more = 0;
                if (dr_tokenizer_is_special(t, id))
                    in[len + more++] = CONTROL_BASE + id - first_control;
                else
                    for (; more < (int)bytes.n; more++)
                        in[len + more] = bytes.s[more];
                open = false;
                const bool complete = match(&s, root, in, len + more, 1, &open) >> (len + more) & 1;
                const bool want = open || complete, got = dr_constraint_allows(c, t, id);
                if (want && !got && dr_constraint__cut(c)) {
                    n_limited++;
                    continue;
                }
                if (want != got)
                    print_message("grammar %d, after %d symbols, token \"%.*s\"\n", round, len, (int)bytes.n, bytes.s);
                assert_int_equal(got, want);
                n_checked++;
                if (got)
                    legal[n++] = id;
            }
            const size_t n_listed = dr_constraint_legal(c, t, listed, 400);
            size_t n_known = 0;
            for (size_t i = 0; i < n_listed; i++) {
                assert_true(dr_constraint_allows(c, t, listed[i]));
                for (size_t k = 0; k < n; k++)
                    n_known += legal[k] == listed[i];
            }
            assert_int_equal(n_known, n); /* each legal token once; others are bytes that TEXT takes */
            n_legal += (long)n;
            if (n == 0)
                break;
            const int32_t id = legal[below((uint32_t)n)];
            const dr_str bytes = dr_tokenizer_bytes(t, id);
            assert_int_equal(dr_constraint_advance(c, t, id, NULL), DR_OK);
            if (dr_tokenizer_is_special(t, id))
                in[len++] = CONTROL_BASE + id - first_control;
            else
                for (size_t i = 0; i < bytes.n; i++)
                    in[len++] = bytes.s[i];
        }
        dr_constraint_free(c);
        dr_grammar_free(g);
    }
    print_message("%ld tokens tested, %ld of them legal, %ld limited\n", n_checked, n_legal, n_limited);
    assert_true(n_legal > 20000 && n_checked - n_legal > 20000 && n_limited < 2000);
    dr_tokenizer_close(t);
}

/* ---- helpers for written-out cases: text taken byte by byte ---- */

/* How many bytes of the text can be taken; the constraint stands behind them. */
static size_t take(dr_constraint *c, const dr_tokenizer *t, const char *text)
{
    size_t n = 0;
    while (text[n] && dr_constraint_advance(c, t, (uint8_t)text[n], NULL) == DR_OK)
        n++;
    return n;
}

static bool accepts(const dr_grammar *g, dr_node root, const dr_tokenizer *t, const char *text)
{
    dr_constraint *c;
    assert_int_equal(dr_constraint_new(&c, g, root, NULL), DR_OK);
    const bool yes = take(c, t, text) == strlen(text) && dr_constraint_done(c);
    dr_constraint_free(c);
    return yes;
}

static dr_node words(dr_grammar *g, const char *s)
{
    return dr_grammar_literal(g, dr_str_of(s));
}

static void constraint__once_means_once(void **state)
{
    (void)state;
    static const dr_str names[] = {{"a", 1}, {"ab", 2}, {"abc", 3}, {"b", 1}};
    dr_tokenizer *t = small_tokenizer();
    dr_grammar *g = dr_grammar_new();
    const dr_node set = dr_grammar_set(g, names, 4, true);
    const dr_node item[] = {words(g, ","), set};
    const dr_node list[] = {set, dr_grammar_repeat(g, dr_grammar_sequence(g, item, 2), 0, -1), words(g, ".")};
    const dr_node root = dr_grammar_sequence(g, list, 3);
    /* Every list of names without repetition, and none with. */
    for (int code = 0; code < 5 * 5 * 5 * 5 * 5; code++) {
        char text[32] = "";
        bool used[4] = {0}, fresh = true;
        int n = 0;
        for (int v = code; v % 5 && n < 5; v /= 5, n++) {
            fresh = fresh && !used[v % 5 - 1];
            used[v % 5 - 1] = true;
            strcat(text, n ? "," : "");
            strcat(text, names[v % 5 - 1].s);
        }
        strcat(text, ".");
        assert_int_equal(accepts(g, root, t, text), n > 0 && fresh);
    }
    /* Where only taken names could follow, the way there is closed at its first byte. */
    dr_constraint *c;
    assert_int_equal(dr_constraint_new(&c, g, root, NULL), DR_OK);
    assert_int_equal(take(c, t, "b,a,abc,"), 8);
    assert_int_equal(take(c, t, "b"), 0);
    assert_int_equal(take(c, t, "abc"), 2);
    assert_int_equal(take(c, t, ","), 0); /* nothing is left after it */
    assert_int_equal(take(c, t, "."), 1);
    assert_true(dr_constraint_done(c));
    dr_constraint_free(c);
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void constraint__large_sets_are_narrowed(void **state)
{
    (void)state;
    enum { N = 20000 };
    static char room[N][12];
    static dr_str names[N];
    dr_tokenizer *t = small_tokenizer();
    size_t n = 0;
    for (int i = 0; i < N; i++) {
        (void)snprintf(room[i], sizeof room[i], "%c%d", 'a' + i % 3, i * 7 % 100003);
        names[i] = dr_str_of(room[i]);
    }
    qsort(names, N, sizeof *names, by_str);
    for (int i = 0; i < N; i++)
        if (i == 0 || !dr_str_eq(names[i], names[n - 1]))
            names[n++] = names[i];
    dr_grammar *g = dr_grammar_new();
    const dr_node root = dr_grammar_set(g, names, n, false);
    for (size_t i = 0; i < n; i += 17)
        assert_true(accepts(g, root, t, names[i].s));
    for (int i = 0; i < 3000; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%c%u", 'a' + (int)below(3), below(110000));
        const dr_str key = dr_str_of(text);
        assert_int_equal(accepts(g, root, t, text), bsearch(&key, names, n, sizeof *names, by_str) != NULL);
    }
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void random_json(dr_buf *b, int depth)
{
    static const char *const leaves[] = {"null", "true", "false", "0", "-1", "12.5", "1e-07", "3e+20", "\"\"", "\"a\\n\\\"\\u001f\"", "\"\xc3\xa9\xf0\x9f\x99\x82\"", "[]", "{}"};
    const uint32_t kind = depth ? below(4) : 0;
    if (kind < 2) {
        dr_buf_str(b, leaves[below(sizeof leaves / sizeof leaves[0])]);
        return;
    }
    dr_buf_str(b, kind == 2 ? "[" : "{");
    for (uint32_t n = 1 + below(3), i = 0; i < n; i++) {
        dr_buf_printf(b, kind == 2 ? "%s" : "%s\"k%u\": ", i ? ", " : "", i);
        random_json(b, depth - 1);
    }
    dr_buf_str(b, kind == 2 ? "]" : "}");
}

static void constraint__json_is_what_the_writer_writes(void **state)
{
    (void)state;
    dr_tokenizer *t = small_tokenizer();
    dr_grammar *g = dr_grammar_new();
    const dr_node root = dr_grammar_json(g);
    assert_int_equal(dr_grammar_json(g), root);
    dr_buf text = {0};
    int n_refused = 0;
    for (int round = 0; round < 1500; round++) {
        dr_json_doc doc;
        dr_buf_clear(&text);
        random_json(&text, 4);
        assert_true(accepts(g, root, t, text.data));
        /* Damaged at one place: if it passes, it is JSON still. */
        text.data[below((uint32_t)text.n)] = (char)(1 + below(255));
        if (accepts(g, root, t, text.data)) {
            assert_int_equal(dr_json_parse(&doc, dr_buf_view(&text), "text", NULL), DR_OK);
            dr_json_free(&doc);
        } else
            n_refused++;
    }
    assert_true(n_refused > 500);
    for (int depth = 16; depth <= 17; depth++) {
        char nested[40];
        memset(nested, '[', (size_t)depth);
        memset(nested + depth, ']', (size_t)depth);
        nested[2 * depth] = 0;
        assert_int_equal(accepts(g, root, t, nested), depth == 16);
    }
    static const char *const bad[] = {"01", "1.", "+1", "[1,2]", "{\"a\":1}", "\"\\x\"", "\"\xff\"", "\"\xed\xa0\x80\"", "[1, ]", "nul", "\"a\nb\"", "{1: 2}", "\"\\u0041\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(accepts(g, root, t, bad[i]));
    dr_buf_free(&text);
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

/* ---- the tool calls of the official format, as a program builds them ---- */

typedef struct call_grammar {
    dr_grammar *g;
    int32_t dsml;
} call_grammar;

static dr_node tag(call_grammar *b, const char *open, const char *rest)
{
    const dr_node v[] = {words(b->g, open), dr_grammar_control(b->g, b->dsml), words(b->g, rest)};
    return dr_grammar_sequence(b->g, v, 3);
}

/* One call of a tool with one text parameter, whose value comes from `value`. */
static dr_node invoke(call_grammar *b, const char *tool, const char *key, dr_node value)
{
    const dr_node v[] = {tag(b, "<", "invoke name=\""), words(b->g, tool), words(b->g, "\">\n"),
                         tag(b, "<", "parameter name=\""), words(b->g, key), words(b->g, "\" string=\"true\">"), value,
                         tag(b, "</", "parameter>"), tag(b, "\n</", "invoke>\n")};
    return dr_grammar_sequence(b->g, v, sizeof v / sizeof *v);
}

static void constraint__tool_calls_follow_the_format(void **state)
{
    (void)state;
    static const char *const controls[] = {"\xef\xbd\x9c" "DSML\xef\xbd\x9c", "<eos>"};
    static const dr_str names[] = {{"dr_arena_new", 12}, {"dr_arena_take", 13}, {"dr_log", 6}};
    const dr_str longer[] = {DR_STR("arena"), DR_STR("dr_"), DR_STR("name=")};
    dr_tokenizer *t = byte_tokenizer(longer, 3, controls, 2);
    const int32_t dsml = dr_tokenizer_special(t, controls[0]), eos = dr_tokenizer_special(t, "<eos>");
    call_grammar b = {dr_grammar_new(), dsml};
    const dr_node calls[] = {invoke(&b, "find_symbol", "name", dr_grammar_set(b.g, names, 3, false)),
                             invoke(&b, "grep", "pattern", dr_grammar_text(b.g, DR_STR("</")))};
    const dr_node all[] = {tag(&b, "\n\n<", "tool_calls>\n"), dr_grammar_repeat(b.g, dr_grammar_choice(b.g, calls, 2), 1, 2),
                           tag(&b, "</", "tool_calls>"), dr_grammar_control(b.g, eos)};
    dr_constraint *c, *copy;
    char forced[64];
    dr_error err;
    assert_int_equal(dr_constraint_new(&c, b.g, dr_grammar_sequence(b.g, all, 4), &err), DR_OK);

    assert_int_equal(dr_constraint_forced(c, forced, sizeof forced), 3);
    assert_memory_equal(forced, "\n\n<", 3);
    assert_int_equal(dr_constraint_forced(c, forced, 2), 2);
    assert_int_equal(take(c, t, "\n\n<"), 3);
    assert_int_equal(take(c, t, "t"), 0); /* the control token, not its text nor what follows it */
    assert_int_equal(dr_constraint_forced(c, forced, sizeof forced), 0);
    assert_int_equal(dr_constraint_advance(c, t, eos, &err), DR_ERR_ARG);
    assert_non_null(strstr(err.msg, "not legal"));
    assert_int_equal(dr_constraint_advance(c, t, dsml, NULL), DR_OK);
    assert_int_equal(take(c, t, "tool_calls>\n<"), 13);
    assert_int_equal(dr_constraint_advance(c, t, dsml, NULL), DR_OK);
    assert_int_equal(dr_constraint_forced(c, forced, sizeof forced), 13);
    assert_memory_equal(forced, "invoke name=\"", 13);
    assert_int_equal(take(c, t, "invoke "), 7);
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 2, NULL), DR_OK); /* name= */
    assert_int_equal(take(c, t, "\"f"), 2);
    assert_int_equal(dr_constraint_clone(&copy, c, NULL), DR_OK);
    assert_int_equal(take(c, t, "ind_symbol\">\n<"), 14);
    assert_int_equal(dr_constraint_advance(c, t, dsml, NULL), DR_OK);
    assert_int_equal(take(c, t, "parameter name=\"name\" string=\"true\">"), 36);
    assert_int_equal(dr_constraint_forced(c, forced, sizeof forced), 3);
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 1, NULL), DR_OK); /* dr_ */
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS, NULL), DR_OK);     /* arena */
    assert_int_equal(dr_constraint_advance(c, t, LONGER_TOKENS + 1, NULL), DR_ERR_ARG);
    assert_int_equal(take(c, t, "_taker"), 5);
    assert_int_equal(take(c, t, "</"), 2);
    assert_int_equal(dr_constraint_advance(c, t, dsml, NULL), DR_OK);
    assert_int_equal(take(c, t, "parameter>\n</"), 13);
    assert_int_equal(dr_constraint_advance(c, t, dsml, NULL), DR_OK);
    assert_int_equal(take(c, t, "invoke>\n<"), 9); /* another call, or the end */
    assert_int_equal(dr_constraint_forced(c, forced, sizeof forced), 0);
    assert_int_equal(take(c, t, "/"), 1);
    assert_int_equal(dr_constraint_advance(c, t, dsml, NULL), DR_OK);
    assert_int_equal(take(c, t, "tool_calls>"), 11);
    assert_false(dr_constraint_done(c));
    assert_int_equal(dr_constraint_advance(c, t, eos, NULL), DR_OK);
    assert_true(dr_constraint_done(c));

    /* The copy stayed where it was taken. */
    assert_int_equal(take(copy, t, "ind_symbol"), 10);
    dr_constraint_free(copy);
    dr_constraint_free(c);
    dr_grammar_free(b.g);
    dr_tokenizer_close(t);
}

static void constraint__text_ends_at_its_stop(void **state)
{
    (void)state;
    dr_tokenizer *t = small_tokenizer();
    dr_grammar *g = dr_grammar_new();
    const dr_node v[] = {dr_grammar_text(g, DR_STR("aab")), words(g, "aab")};
    const dr_node root = dr_grammar_sequence(g, v, 2);
    assert_true(accepts(g, root, t, "aab"));
    assert_true(accepts(g, root, t, "aaab"));
    assert_true(accepts(g, root, t, "abaaaab"));
    assert_false(accepts(g, root, t, "aabaab"));
    assert_false(accepts(g, root, t, "ab"));
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void constraint__bad_grammars_are_refused(void **state)
{
    (void)state;
    dr_error err;
    dr_constraint *c;
    for (int kind = 0; kind < 9; kind++) {
        dr_grammar *g = dr_grammar_new();
        dr_node root = words(g, "a");
        static const dr_str many[65];
        switch (kind) {
        case 0: root = dr_grammar_repeat(g, root, 2, 1); break;
        case 1: root = dr_grammar_choice(g, NULL, 0); break;
        case 2: root = dr_grammar_set(g, NULL, 0, false); break;
        case 3: root = dr_grammar_set(g, many, 65, true); break;
        case 4: root = dr_grammar_control(g, -1); break;
        case 5: root = dr_grammar_forward(g); break;
        case 6: { /* x = x | a */
            const dr_node x = dr_grammar_forward(g), v[] = {x, root};
            dr_grammar_define(g, x, dr_grammar_choice(g, v, 2));
            root = x;
            break;
        }
        case 7: { /* x = a* x b: nothing need be taken before x again */
            const dr_node x = dr_grammar_forward(g), v[] = {dr_grammar_repeat(g, root, 0, -1), x, words(g, "b")};
            dr_grammar_define(g, x, dr_grammar_sequence(g, v, 3));
            root = x;
            break;
        }
        default: dr_grammar_define(g, root, root); break;
        }
        root = dr_grammar_repeat(g, root, 0, 1); /* failures are passed on */
        assert_false(dr_grammar_ok(g, root));
        assert_int_equal(dr_constraint_new(&c, g, root, &err), DR_ERR_ARG);
        assert_null(c);
        dr_grammar_free(g);
    }
    dr_grammar_free(NULL);
}

static void constraint__ambiguity_is_bounded(void **state)
{
    (void)state;
    dr_tokenizer *t = small_tokenizer();
    dr_grammar *g = dr_grammar_new();
    dr_constraint *c;
    dr_node v[70];
    for (int i = 0; i < 70; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "a%02d", i);
        v[i] = words(g, text);
    }
    const dr_node many = dr_grammar_choice(g, v, 70), later[] = {words(g, "x"), many};
    assert_int_equal(dr_constraint_new(&c, g, many, NULL), DR_ERR_LIMIT);
    assert_null(c);
    /* Reached later: the first ones stay, nothing wrong gets in. */
    const dr_node root = dr_grammar_sequence(g, later, 2);
    assert_true(accepts(g, root, t, "xa00"));
    assert_true(accepts(g, root, t, "xa63"));
    assert_false(accepts(g, root, t, "xa64"));
    assert_false(accepts(g, root, t, "xa99"));
    /* Empty alternatives inside one another end, too. */
    dr_node empty = words(g, "");
    for (int i = 0; i < 12; i++) {
        const dr_node two[] = {empty, empty, words(g, "a")};
        empty = dr_grammar_repeat(g, dr_grammar_choice(g, two, 3), 0, -1);
    }
    if (dr_constraint_new(&c, g, empty, NULL) == DR_OK) {
        (void)take(c, t, "aaaa");
        dr_constraint_free(c);
    }
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void constraint__deep_recursion_at_the_end_costs_nothing(void **state)
{
    (void)state;
    dr_tokenizer *t = small_tokenizer();
    dr_grammar *g = dr_grammar_new();
    const dr_node x = dr_grammar_forward(g), more[] = {words(g, "a"), x};
    const dr_node v[] = {words(g, "b"), dr_grammar_sequence(g, more, 2)};
    dr_grammar_define(g, x, dr_grammar_choice(g, v, 2));
    char text[5001];
    memset(text, 'a', sizeof text);
    text[4999] = 'b';
    text[5000] = 0;
    assert_true(accepts(g, x, t, text));
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void constraint__testing_allocates_nothing(void **state)
{
    (void)state;
    static const dr_str names[] = {{"ab", 2}, {"abc", 3}};
    dr_tokenizer *t = small_tokenizer();
    dr_grammar *g = dr_grammar_new();
    const dr_node v[] = {dr_grammar_set(g, names, 2, true), dr_grammar_json(g)};
    dr_constraint *c;
    int32_t ids[400];
    assert_int_equal(dr_constraint_new(&c, g, dr_grammar_sequence(g, v, 2), NULL), DR_OK);
    const long before = alloc_count();
    for (const char *p = "ab[1, \"x\"]"; *p; p++) {
        (void)dr_constraint_allows(c, t, LONGER_TOKENS);
        (void)dr_constraint_legal(c, t, ids, 400);
        assert_int_equal(dr_constraint_advance(c, t, (uint8_t)*p, NULL), DR_OK);
    }
    assert_int_equal(alloc_count(), before);
    dr_constraint_free(c);
    dr_grammar_free(g);
    dr_tokenizer_close(t);
}

static void constraint__failed_allocations_are_reported(void **state)
{
    (void)state;
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_constraint *c = NULL, *d = NULL;
        alloc_fail_at(at);
        dr_grammar *g = dr_grammar_new();
        bool ok = g != NULL;
        if (ok) {
            const dr_node v[] = {dr_grammar_text(g, DR_STR("x")), dr_grammar_json(g)};
            ok = dr_constraint_new(&c, g, dr_grammar_sequence(g, v, 2), NULL) == DR_OK && dr_constraint_clone(&d, c, NULL) == DR_OK;
        }
        failed = alloc_fail_off();
        assert_int_equal(failed, !ok);
        dr_constraint_free(c);
        dr_constraint_free(d);
        dr_grammar_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constraint__agrees_with_a_plain_matcher),
        cmocka_unit_test(constraint__once_means_once),
        cmocka_unit_test(constraint__large_sets_are_narrowed),
        cmocka_unit_test(constraint__json_is_what_the_writer_writes),
        cmocka_unit_test(constraint__tool_calls_follow_the_format),
        cmocka_unit_test(constraint__text_ends_at_its_stop),
        cmocka_unit_test(constraint__bad_grammars_are_refused),
        cmocka_unit_test(constraint__ambiguity_is_bounded),
        cmocka_unit_test(constraint__deep_recursion_at_the_end_costs_nothing),
        cmocka_unit_test(constraint__testing_allocates_nothing),
        cmocka_unit_test(constraint__failed_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
