/* The tokenizer against the Hugging Face one (stored ids), its hand-written splits against PCRE2, its merges against the plain
 * definition, and tokenizer.json files that must be refused. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/json.h"
#include "engine/tokenizer_parts.h"
#include "engine/unicode.h"
#include "tests/support/alloc.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/tokenizer/"

static uint64_t random_state = 20240607;

static uint32_t below(uint32_t n)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % n);
}

/* ---- stored ids ---- */

static void expect_ids(const dr_tokenizer *t, dr_str text, bool special, const dr_json *want)
{
    dr_ids ids = {0};
    size_t i = 0;
    assert_int_equal(dr_tokenizer_encode(t, &ids, text, special, NULL), DR_OK);
    for (const dr_json *v = dr_json_first(want), *end = dr_json_end(want); v != end; v = dr_json_after(v), i++) {
        int64_t id = -1;
        assert_true(dr_json_int(v, &id));
        if (i < ids.n && ids.v[i] != id)
            print_message("\"%.*s\": id %zu\n", (int)text.n, text.s, i);
        assert_true(i < ids.n && ids.v[i] == id);
    }
    assert_int_equal(ids.n, i);
    dr_ids_free(&ids);
}

/* The bytes that hex digits spell, in *out. */
static void unhex(dr_buf *out, dr_str hex)
{
    dr_buf_clear(out);
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        const char digits[] = {hex.s[i], hex.s[i + 1], 0}, byte = (char)strtol(digits, NULL, 16);
        dr_buf_add(out, &byte, 1);
    }
}

static void tokenizer__ids_are_those_of_hugging_face(void **state)
{
    (void)state;
    dr_tokenizer *t;
    dr_buf text = {0}, bytes = {0};
    dr_json_doc doc;
    dr_error err;
    assert_int_equal(dr_tokenizer_open(&t, GOLDEN "tokenizer.json", &err), DR_OK);
    assert_true(dr_splitter__is_fast(t->splitter));
    assert_int_equal(dr_read_file(&text, GOLDEN "cases.json", 1 << 24, &err), DR_OK);
    assert_int_equal(dr_json_parse(&doc, dr_buf_view(&text), "cases", &err), DR_OK);
    assert_true(doc.root->n > 200);
    for (int again = 0; again < 2; again++) /* the second time from what was found out about whole tokens */
        for (const dr_json *c = dr_json_first(doc.root), *end = dr_json_end(doc.root); c != end; c = dr_json_after(c)) {
            const dr_json *plain = dr_json_get(c, "text"), *hex = dr_json_get(c, "hex"), *special = dr_json_get(c, "special");
            if (hex)
                unhex(&bytes, dr_json_text(hex));
            const dr_str s = hex ? dr_buf_view(&bytes) : dr_json_text(plain);
            expect_ids(t, s, false, dr_json_get(c, "ids"));
            if (special)
                expect_ids(t, s, true, special);
        }
    dr_buf_free(&bytes);
    dr_json_free(&doc);
    dr_buf_free(&text);
    dr_tokenizer_close(t);
}

/* ---- splits ---- */

typedef struct pieces {
    const char *from;
    size_t end[20000], n, at;
} pieces;

static void note_piece(void *arg, dr_str piece)
{
    pieces *p = arg;
    assert_true(piece.n > 0);
    assert_ptr_equal(piece.s, p->from + p->at);
    assert_true(p->n < sizeof p->end / sizeof p->end[0]);
    p->at += piece.n;
    p->end[p->n++] = p->at;
}

static void cut(pieces *p, const dr_splitter *s, dr_str text)
{
    p->from = text.s;
    p->n = p->at = 0;
    assert_int_equal(dr_splitter__run(s, text, note_piece, p, NULL), DR_OK);
    assert_int_equal(p->at, text.n);
}

static const char words_pattern[] =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]"
    "+|\\s+(?!\\S)|\\s+";
static const dr_str v4[] = {{"\\p{N}{1,3}", 10},
                            {"[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+", 24},
                            {words_pattern, sizeof words_pattern - 1}};

static uint8_t *agreed; /* by code point: PCRE2's Unicode knows it as ours does */

/* Asks PCRE2 for every code point's class. It may be older than our table, never of another opinion. */
static void tokenizer__classes_agree_with_pcre2(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        uint8_t bit;
    } classes[] = {{"\\p{L}", DR_UNICODE_L}, {"\\p{M}", DR_UNICODE_M}, {"\\p{N}", DR_UNICODE_N},
                   {"\\p{P}", DR_UNICODE_P}, {"\\p{S}", DR_UNICODE_S}, {"\\p{C}|\\p{Z}", DR_UNICODE_OTHER}, {"\\p{Cn}", 128}};
    uint8_t *theirs = calloc(0x110000, 1);
    dr_buf all = {0};
    size_t *at = malloc(0x110001 * sizeof *at);
    char one[4];
    assert_true(theirs && at);
    for (uint32_t c = 0; c < 0x110000; c++) {
        at[c] = all.n;
        if (c < 0xd800 || c > 0xdfff)
            dr_buf_add(&all, one, dr_utf8_encode(one, c));
    }
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        int number;
        PCRE2_SIZE where;
        pcre2_code *code = pcre2_compile((PCRE2_SPTR)classes[i].pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &number, &where, NULL);
        pcre2_match_data *data = pcre2_match_data_create(1, NULL);
        assert_non_null(code);
        (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
        uint32_t c = 0;
        for (size_t from = 0; pcre2_match(code, (PCRE2_SPTR)all.data, all.n, from, PCRE2_NO_UTF_CHECK, data, NULL) > 0;) {
            const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
            while (at[c] < span[0] || (c >= 0xd800 && c <= 0xdfff))
                c++;
            theirs[c] |= classes[i].bit;
            from = span[1];
        }
        pcre2_match_data_free(data);
        pcre2_code_free(code);
    }
    size_t n_agreed = 0;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (theirs[c] & 128)
            continue; /* unassigned to PCRE2; ours may be newer */
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        assert_int_equal(dr_unicode_class(c) & ~DR_UNICODE_SPACE, theirs[c]);
        agreed[c] = 1;
        n_agreed++;
    }
    assert_true(n_agreed > 250000);
    free(at);
    free(theirs);
    dr_buf_free(&all);
}

static void add_random_character(dr_buf *b)
{
    static const char *const nasty[] = {
        "\r", "\n", "\r\n", "\t", " ", "  ", "\xc2\xa0", "\xc2\x85", "\xe1\xa0\x8e", "\xe3\x80\x80", "\xe2\x80\xa8", "\xef\xbb\xbf", "~~~", "::",
        "\xcc\x81", "e\xcc\x81", "\xe3\x83\xbc", "\xe3\x83\xbb", "\xe3\x82\x9b", "\xe3\x82\xa0", "\xe9\xbe\xa5", "\xe9\xbe\xa6", "\xd9\xa1\xd9\xa2",
        "\xc2\xbd", "\xe3\x80\x87", "\xf0\x9f\x99\x82", "\xee\x80\x80", "Word", "_a", "12", "1234567", "'s", "\x01", "\x7f", " .\n", "\xe4\xb8\xad\xe6\x96\x87"};
    char one[4];
    uint32_t c;
    switch (below(4)) {
    case 0: dr_buf_str(b, nasty[below(sizeof nasty / sizeof nasty[0])]); return;
    case 1: c = 32 + below(95); break;
    case 2: c = below(0x500); break;
    default: c = below(4) ? below(0x20000) : below(0x110000); break;
    }
    if (agreed[c])
        dr_buf_add(b, one, dr_utf8_encode(one, c));
}

/* The form of our own tokenizers' splits; the first literal wins, whatever its length. */
static const char cased_pattern[] =
    "` is defined at |\\.\\n|\\.\\n\\n|: use in |\\{\"name\": \"|Word _|~~|~|: |\\p{Lu}?\\p{Ll}+|\\p{Lu}+(?!\\p{Ll})|\\p{Lu}|[\\p{L}\\p{M}]|\\p{N}|_|"
    "[ \\t]+|[\\r\\n]+|[^\\p{L}\\p{M}\\p{N}]";
static const dr_str cased[] = {{"\\p{N}", 5}, {cased_pattern, sizeof cased_pattern - 1}};

static void splits_equal_pcre2(const dr_str *patterns, size_t n_patterns)
{
    static pieces a, b;
    dr_splitter *fast, *slow;
    dr_buf text = {0};
    dr_error err;
    assert_int_equal(dr_splitter__new(&fast, patterns, n_patterns, true, "test", &err), DR_OK);
    assert_int_equal(dr_splitter__new(&slow, patterns, n_patterns, false, "test", &err), DR_OK);
    assert_true(dr_splitter__is_fast(fast));
    assert_false(dr_splitter__is_fast(slow));
    for (int round = 0; round < 20000; round++) {
        dr_buf_clear(&text);
        for (uint32_t n = 1 + below(30); n > 0; n--)
            add_random_character(&text);
        if (text.n == 0)
            continue;
        cut(&a, fast, dr_buf_view(&text));
        cut(&b, slow, dr_buf_view(&text));
        if (a.n != b.n || memcmp(a.end, b.end, a.n * sizeof a.end[0]) != 0)
            print_message("round %d: \"%s\"\n", round, text.data);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.end, b.end, a.n * sizeof a.end[0]);
    }
    dr_splitter__free(fast);
    dr_splitter__free(slow);
    dr_buf_free(&text);
}

static void tokenizer__hand_written_splits_equal_pcre2(void **state)
{
    (void)state;
    splits_equal_pcre2(v4, 3);
    splits_equal_pcre2(cased, 2);
}

/* A regex that only looks like ours is left to PCRE2. */
static void tokenizer__other_splits_are_left_to_pcre2(void **state)
{
    (void)state;
    static const char *const literals[] = {"a.b|", "a|b+|", "x1|", "\\d|", "(a)|", "\xc3\xa9|", "||", "a"};
    dr_buf text = {0};
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        const char *tail = strstr(cased[1].s, "\\p{Lu}?");
        dr_buf_clear(&text);
        dr_buf_printf(&text, "%s%s", literals[i], tail);
        const dr_str patterns[] = {cased[0], dr_buf_view(&text)};
        assert_null(dr_cased__new(patterns, 2));
    }
    dr_buf_free(&text);
}

/* What lets files be tokenised one by one: a text that begins and ends with a newline, between letters or digits, is cut as if alone. */
static void tokenizer__units_are_cut_as_if_alone(void **state)
{
    (void)state;
    static const char *const around[] = {"a", "Z", "7", "x9", "\xc3\xa9", "\xe4\xb8\xad"};
    static pieces whole, part;
    dr_splitter *s;
    dr_error err;
    assert_int_equal(dr_splitter__new(&s, v4, 3, true, "test", &err), DR_OK);
    for (int round = 0; round < 20000; round++) {
        dr_buf text = {0};
        size_t border[4] = {0};
        dr_buf_str(&text, around[below(6)]);
        border[1] = text.n;
        dr_buf_str(&text, "\n");
        for (uint32_t n = below(12); n > 0; n--)
            add_random_character(&text);
        dr_buf_str(&text, "\n");
        border[2] = text.n;
        dr_buf_str(&text, around[below(6)]);
        border[3] = text.n;
        cut(&whole, s, dr_buf_view(&text));
        size_t n = 0;
        for (int i = 0; i < 3; i++) {
            cut(&part, s, (dr_str){text.data + border[i], border[i + 1] - border[i]});
            for (size_t j = 0; j < part.n; j++)
                assert_int_equal(whole.end[n++], border[i] + part.end[j]);
        }
        assert_int_equal(n, whole.n);
        dr_buf_free(&text);
    }
    dr_splitter__free(s);
}

static void tokenizer__regexes_read_alike_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *regex, *says;
    } bad[] = {{"\\w+", "an escape"}, {"a\\b", "an escape"}, {"[a&&b]", "a class inside"}, {"[[:alpha:]]", "a class inside"},
               {"[]a]", "an empty class"}, {"(?m:a)", "a group"}, {"(*UTF)a", "a group"}, {"a{1,2}+", "a possessive count"},
               {"(a", "missing"}, {"a\\", "a last backslash"}};
    static const struct {
        const char *regex, *text, *cut;
    } good[] = {
        {"\\s", "a\xe1\xa0\x8e" "b c", "a\xe1\xa0\x8e" "b| |c"}, /* U+180E is no blank any more */
        {"[^\\S\\r\\n]+", "a \t\nb", "a| \t|\nb"},
        {"x*", "axb", "a|x|b"},
        {"\\p{Lu}?\\p{Ll}+|\\d", "FooBar12", "Foo|Bar|1|2"},
        {"(?i:AB)|(?<=c)d(?=e)|(?>z)", "abcdeAb", "ab|c|d|e|Ab"},
        {"^b$", "a\nb\nc", "a\n|b|\nc"},
    };
    static pieces p;
    dr_splitter *s;
    dr_error err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const dr_str regex = dr_str_of(bad[i].regex);
        assert_int_equal(dr_splitter__new(&s, &regex, 1, true, "file", &err), DR_ERR_FORMAT);
        assert_non_null(strstr(err.msg, bad[i].says));
        assert_non_null(strstr(err.msg, "file: pre_tokenizer: regex 1"));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const dr_str regex = dr_str_of(good[i].regex);
        dr_buf got = {0};
        assert_int_equal(dr_splitter__new(&s, &regex, 1, true, "file", &err), DR_OK);
        cut(&p, s, dr_str_of(good[i].text));
        for (size_t j = 0, from = 0; j < p.n; from = p.end[j++]) {
            dr_buf_str(&got, j ? "|" : "");
            dr_buf_add(&got, good[i].text + from, p.end[j] - from);
        }
        assert_string_equal(got.data, good[i].cut);
        dr_buf_free(&got);
        dr_splitter__free(s);
    }
    assert_int_equal(dr_splitter__new(&s, NULL, 0, true, "file", &err), DR_OK); /* none: the text is one piece */
    cut(&p, s, DR_STR("a b"));
    assert_int_equal(p.n, 1);
    dr_splitter__free(s);
}

/* ---- merges ---- */

/* The definition: of all neighbouring pairs the one of lowest rank, the leftmost such, until none is left. */
static size_t merge_plainly(int32_t *id, size_t n, const dr_merge *merges, size_t n_merges)
{
    for (;;) {
        size_t best = n_merges, at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t r = n_merges; r-- > 0;)
                if (merges[r].left == id[i] && merges[r].right == id[i + 1]) {
                    if (r < best) {
                        best = r;
                        at = i;
                    }
                    break; /* the last one that stands for a pair is the one that counts */
                }
        if (best == n_merges)
            return n;
        id[at] = merges[best].id;
        memmove(id + at + 1, id + at + 2, (n - at - 2) * sizeof *id);
        n--;
    }
}

static void tokenizer__merges_follow_rank_then_place(void **state)
{
    (void)state;
    enum { LETTERS = 4, MERGES = 60, LONGEST = 150 };
    int32_t byte_ids[256];
    for (int i = 0; i < 256; i++)
        byte_ids[i] = 1000 + i;
    for (int grammar = 0; grammar < 60; grammar++) {
        dr_merge merges[MERGES];
        for (int i = 0; i < MERGES; i++) { /* not a trained order: ranks of parts and wholes in any relation */
            const uint32_t n = LETTERS + (uint32_t)i;
            const uint32_t l = below(n), r = below(n);
            merges[i].left = l < LETTERS ? 1000 + 'a' + (int32_t)l : (int32_t)l;
            merges[i].right = r < LETTERS ? 1000 + 'a' + (int32_t)r : (int32_t)r;
            merges[i].id = (int32_t)n;
        }
        for (int i = MERGES - 1; i > 0; i--) {
            const int j = (int)below((uint32_t)i + 1);
            const dr_merge swap = merges[i];
            merges[i] = merges[j];
            merges[j] = swap;
        }
        dr_merger *m = dr_merger__new(byte_ids, merges, MERGES);
        assert_non_null(m);
        for (int round = 0; round < 60; round++) {
            char text[LONGEST];
            int32_t want[LONGEST];
            const size_t n = 1 + below(LONGEST);
            dr_ids ids = {0};
            for (size_t i = 0; i < n; i++) {
                text[i] = (char)('a' + below(LETTERS));
                want[i] = byte_ids[(uint8_t)text[i]];
            }
            dr_merger__run(m, &ids, (dr_str){text, n});
            const size_t n_want = merge_plainly(want, n, merges, MERGES);
            assert_int_equal(ids.n, n_want);
            assert_memory_equal(ids.v, want, n_want * sizeof *want);
            dr_ids_free(&ids);
        }
        dr_merger__free(m);
    }
}

/* ---- whole tokenizers ---- */

static dr_tokenizer *open_golden(void)
{
    dr_tokenizer *t;
    assert_int_equal(dr_tokenizer_open(&t, GOLDEN "tokenizer.json", NULL), DR_OK);
    return t;
}

static void tokenizer__any_bytes_come_back(void **state)
{
    (void)state;
    dr_tokenizer *t = open_golden();
    for (int round = 0; round < 3000; round++) {
        char text[200];
        const size_t n = below(sizeof text);
        dr_ids ids = {0};
        dr_buf back = {0};
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(below(3) ? 32 + below(95) : below(256));
        assert_int_equal(dr_tokenizer_encode(t, &ids, (dr_str){text, n}, below(2), NULL), DR_OK);
        for (size_t i = 0; i < ids.n; i++) {
            const dr_str s = dr_tokenizer_bytes(t, ids.v[i]);
            assert_true(s.n > 0);
            dr_buf_add(&back, s.s, s.n);
        }
        assert_int_equal(back.n, n);
        assert_true(n == 0 || memcmp(back.data, text, n) == 0);
        dr_ids_free(&ids);
        dr_buf_free(&back);
    }
    dr_tokenizer_close(t);
}

static void tokenizer__bad_bytes_stand_alone(void **state)
{
    (void)state;
    dr_tokenizer *t = open_golden();
    dr_ids ids = {0}, parts = {0};
    assert_int_equal(dr_tokenizer_encode(t, &ids, DR_STR("the \xff\xe4\xb8 the"), false, NULL), DR_OK);
    static const struct {
        const char *s;
        size_t n;
    } alone[] = {{"the ", 4}, {"\xff", 1}, {"\xe4", 1}, {"\xb8", 1}, {" the", 4}};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(dr_tokenizer_encode(t, &parts, (dr_str){alone[i].s, alone[i].n}, false, NULL), DR_OK);
    assert_int_equal(ids.n, parts.n);
    assert_memory_equal(ids.v, parts.v, ids.n * sizeof *ids.v);
    dr_ids_free(&ids);
    dr_ids_free(&parts);
    dr_tokenizer_close(t);
}

static void tokenizer__control_tokens_only_on_request(void **state)
{
    (void)state;
    dr_tokenizer *t = open_golden();
    dr_ids ids = {0};
    const int32_t begin = dr_tokenizer_special(t, "<s>"), short_one = dr_tokenizer_special(t, "<s");
    assert_true(begin >= 0 && short_one >= 0 && begin != short_one);
    assert_int_equal(dr_tokenizer_special(t, "the"), -1);
    assert_int_equal(dr_tokenizer_special(t, "<s>x"), -1);
    assert_int_equal(dr_tokenizer_special(t, ""), -1);
    assert_true(dr_tokenizer_is_special(t, begin));
    assert_false(dr_tokenizer_is_special(t, 5));
    assert_false(dr_tokenizer_is_special(t, -1));
    assert_false(dr_tokenizer_is_special(t, dr_tokenizer_size(t)));
    assert_int_equal(dr_tokenizer_bytes(t, -1).n, 0);
    assert_int_equal(dr_tokenizer_bytes(t, dr_tokenizer_size(t)).n, 0);

    /* "<s>" ignores the normalizer, ">x" does not: the first is looked for first, though both would fit. */
    assert_int_equal(dr_tokenizer_encode(t, &ids, DR_STR("<s>x<s"), true, NULL), DR_OK);
    assert_int_equal(ids.n, 3);
    assert_int_equal(ids.v[0], begin);
    assert_int_equal(ids.v[2], short_one);
    ids.n = 0;
    assert_int_equal(dr_tokenizer_encode(t, &ids, DR_STR("<s>x</s>"), false, NULL), DR_OK);
    for (size_t i = 0; i < ids.n; i++)
        assert_false(dr_tokenizer_is_special(t, ids.v[i]));
    dr_ids_free(&ids);
    dr_tokenizer_close(t);
}

/* ---- files that must be refused ---- */

/* The 256 bytes and a few merges, with parts of the file replaced. */
static void make_file(dr_buf *out, const char *top, const char *model, const char *more_vocab, const char *merges,
                      const char *pre_tokenizer)
{
    int next = 256;
    dr_buf_clear(out);
    dr_buf_printf(out, "{%s\"model\":{%s\"vocab\":{", top, model);
    for (int b = 0; b < 256; b++) {
        const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        dr_buf_printf(out, "\"\\u%04x\":%d,", itself ? b : next++, b);
    }
    dr_buf_printf(out, "%s\"ab\":256,\"abc\":257},\"merges\":%s},\"pre_tokenizer\":%s}", more_vocab, merges, pre_tokenizer);
}

static const char merges_text[] = "[\"a b\",\"ab c\"]", byte_level[] = "{\"type\":\"ByteLevel\",\"use_regex\":false}";

static void tokenizer__merges_may_be_texts_or_pairs(void **state)
{
    (void)state;
    static const char *const forms[] = {merges_text, "[[\"a\",\"b\"],[\"ab\",\"c\"]]"};
    dr_buf file = {0};
    for (size_t i = 0; i < 2; i++) {
        dr_tokenizer *t;
        dr_ids ids = {0};
        dr_error err;
        make_file(&file, "\"version\":\"1.0\",\"normalizer\":null,", "\"type\":\"BPE\",\"dropout\":null,\"end_of_word_suffix\":\"\",", "", forms[i],
                  byte_level);
        assert_int_equal(dr_tokenizer_parse(&t, dr_buf_view(&file), "file", &err), DR_OK);
        assert_int_equal(dr_tokenizer_size(t), 258);
        assert_int_equal(dr_tokenizer_encode(t, &ids, DR_STR("abcab a"), true, NULL), DR_OK);
        const int32_t want[] = {257, 256, ' ', 'a'};
        assert_int_equal(ids.n, 4);
        assert_memory_equal(ids.v, want, sizeof want);
        const dr_digest digest = dr_tokenizer_digest(t), whole = dr_sha256(file.data, file.n);
        assert_memory_equal(&digest, &whole, sizeof whole);
        dr_ids_free(&ids);
        dr_tokenizer_close(t);
    }
    dr_buf_free(&file);
}

static void tokenizer__byte_level_alone_splits_as_gpt2(void **state)
{
    (void)state;
    dr_buf file = {0};
    dr_tokenizer *t;
    dr_ids ids = {0};
    make_file(&file, "", "", "\"\xc4\xa0" "a\":258,", "[\"a b\",\"ab c\",\"\xc4\xa0 a\"]", "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}");
    assert_int_equal(dr_tokenizer_parse(&t, dr_buf_view(&file), "file", NULL), DR_OK);
    assert_int_equal(dr_tokenizer_encode(t, &ids, DR_STR("abc a  a1a"), false, NULL), DR_OK);
    const int32_t want[] = {257, 258, ' ', 258, '1', 'a'};
    assert_int_equal(ids.n, 6);
    assert_memory_equal(ids.v, want, sizeof want);
    dr_ids_free(&ids);
    dr_tokenizer_close(t);
    dr_buf_free(&file);
}

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG_TOKEN "\"added_tokens\":[{\"id\":300,\"content\":\"" HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN "abc\"}],"

static void tokenizer__what_is_not_supported_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *top, *model, *vocab, *merges, *pre, *says;
    } cases[] = {
        {"\"truncation\":{},", "", "", merges_text, byte_level, "truncation: not supported"},
        {"\"padding\":{},", "", "", merges_text, byte_level, "padding: not supported"},
        {"\"extra\":1,", "", "", merges_text, byte_level, "\"extra\" is not supported"},
        {"\"normalizer\":{\"type\":\"NFC\"},", "", "", merges_text, byte_level, "normalizer: only"},
        {"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]},", "", "", merges_text, byte_level, "normalizer: only"},
        {"\"decoder\":{\"type\":\"Metaspace\"},", "", "", merges_text, byte_level, "decoder: only"},
        {"\"added_tokens\":{},", "", "", merges_text, byte_level, "added_tokens: a list"},
        {"\"added_tokens\":[{\"id\":300}],", "", "", merges_text, byte_level, "without content"},
        {"\"added_tokens\":[{\"id\":300,\"content\":\"\"}],", "", "", merges_text, byte_level, "without content"},
        {"\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}],", "", "", merges_text, byte_level, "token \"x\": its id"},
        {"\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}],", "", "", merges_text, byte_level, "token \"x\": its id"},
        {"\"added_tokens\":[{\"id\":1.5,\"content\":\"x\"}],", "", "", merges_text, byte_level, "token \"x\": its id"},
        {"\"added_tokens\":[{\"id\":256,\"content\":\"<x>\"}],", "", "", merges_text, byte_level, "another token's"},
        {"\"added_tokens\":[{\"id\":300,\"content\":\"ab\"}],", "", "", merges_text, byte_level, "another token's"},
        {"\"added_tokens\":[{\"id\":300,\"content\":\"<x>\"},{\"id\":301,\"content\":\"<x>\"}],", "", "", merges_text, byte_level, "stands twice"},
        {LONG_TOKEN, "", "", merges_text, byte_level, "more than 512 bytes"},
        {"\"added_tokens\":[{\"id\":300,\"content\":\"<x>\",\"lstrip\":true}],", "", "", merges_text, byte_level, "lstrip is not supported"},
        {"\"added_tokens\":[{\"id\":300,\"content\":\"<x>\",\"odd\":1}],", "", "", merges_text, byte_level, "\"odd\" is not supported"},
        {"", "\"type\":\"WordPiece\",", "", merges_text, byte_level, "model.type"},
        {"", "\"byte_fallback\":true,", "", merges_text, byte_level, "model.byte_fallback: not supported"},
        {"", "\"ignore_merges\":true,", "", merges_text, byte_level, "model.ignore_merges: not supported"},
        {"", "\"dropout\":0.1,", "", merges_text, byte_level, "model.dropout: not supported"},
        {"", "\"continuing_subword_prefix\":\"##\",", "", merges_text, byte_level, "continuing_subword_prefix: not supported"},
        {"", "\"odd\":1,", "", merges_text, byte_level, "\"odd\" is not supported"},
        {"", "", "\"xyz\":256,", merges_text, byte_level, "two tokens have the id 256"},
        {"", "", "\"a\":300,", merges_text, byte_level, "stands twice"},
        {"", "", "\"\":300,", merges_text, byte_level, "an empty token"},
        {"", "", "\"xyz\":\"1\",", merges_text, byte_level, "token \"xyz\": its id"},
        {"", "", "", "{}", byte_level, "model.merges: a list"},
        {"", "", "", "[1]", byte_level, "number 0 is not a pair"},
        {"", "", "", "[\"ab\"]", byte_level, "number 0 is not a pair"},
        {"", "", "", "[\"a b\",\"a zz\"]", byte_level, "number 1 (\"a\" and \"zz\"): the second"},
        {"", "", "", "[\"zz a\"]", byte_level, "the first"},
        {"", "", "", "[\"b a\"]", byte_level, "the result"},
        {"", "", "", "[\" a\"]", byte_level, "the first"},
        {"", "", "", merges_text, "null", "pre_tokenizer: missing"},
        {"", "", "", merges_text, "{\"type\":\"Whitespace\"}", "only Sequence, Split and ByteLevel"},
        {"", "", "", merges_text, "{\"type\":\"Sequence\",\"pretokenizers\":[]}", "ByteLevel is missing"},
        {"", "", "", merges_text, "{\"type\":\"Sequence\"}", "a list is expected"},
        {"", "", "", merges_text, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", "add_prefix_space: not supported"},
        {"", "", "", merges_text, "{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"}}", "only a Regex"},
        {"", "", "", merges_text, "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Removed\"}", "only \"Isolated\""},
        {"", "", "", merges_text, "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Isolated\",\"invert\":true}", "invert: not supported"},
        {"", "", "", merges_text,
         "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"ByteLevel\"}]}", "nothing is supported after"},
    };
    dr_buf file = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dr_tokenizer *t;
        dr_error err;
        make_file(&file, cases[i].top, cases[i].model, cases[i].vocab, cases[i].merges, cases[i].pre);
        assert_int_equal(dr_tokenizer_parse(&t, dr_buf_view(&file), "file", &err), DR_ERR_FORMAT);
        assert_null(t);
        if (!strstr(err.msg, cases[i].says))
            print_message("case %zu: %s\n", i, err.msg);
        assert_non_null(strstr(err.msg, cases[i].says));
        assert_ptr_equal(strstr(err.msg, "file: "), err.msg);
    }
    dr_tokenizer *t;
    dr_error err;
    assert_int_equal(dr_tokenizer_parse(&t, DR_STR("[]"), "file", &err), DR_ERR_FORMAT);
    assert_int_equal(dr_tokenizer_parse(&t, DR_STR("{\"model\":{\"vocab\":{},\"merges\":[]}}"), "file", &err), DR_ERR_FORMAT);
    assert_non_null(strstr(err.msg, "no token for byte"));
    assert_int_equal(dr_tokenizer_open(&t, "no/such/file", &err), DR_ERR_NOT_FOUND);
    assert_null(t);
    dr_buf_free(&file);
}

static void tokenizer__failed_allocations_are_reported(void **state)
{
    (void)state;
    dr_buf file = {0};
    make_file(&file, "\"added_tokens\":[{\"id\":300,\"content\":\"<x>\"}],", "", "", merges_text, byte_level);
    bool failed = true;
    for (long at = 0; failed; at++) {
        dr_tokenizer *t = NULL;
        dr_ids ids = {0};
        dr_error err;
        char text[100];
        memset(text, 'a', sizeof text);
        alloc_fail_at(at);
        dr_status st = dr_tokenizer_parse(&t, dr_buf_view(&file), "file", &err);
        if (st == DR_OK)
            st = dr_tokenizer_encode(t, &ids, (dr_str){text, sizeof text}, false, &err);
        failed = alloc_fail_off();
        assert_int_equal(failed, st == DR_ERR_NOMEM);
        dr_ids_free(&ids);
        dr_tokenizer_close(t);
    }
    dr_buf_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer__ids_are_those_of_hugging_face),
        cmocka_unit_test(tokenizer__classes_agree_with_pcre2),
        cmocka_unit_test(tokenizer__hand_written_splits_equal_pcre2),
        cmocka_unit_test(tokenizer__other_splits_are_left_to_pcre2),
        cmocka_unit_test(tokenizer__units_are_cut_as_if_alone),
        cmocka_unit_test(tokenizer__regexes_read_alike_or_not_at_all),
        cmocka_unit_test(tokenizer__merges_follow_rank_then_place),
        cmocka_unit_test(tokenizer__any_bytes_come_back),
        cmocka_unit_test(tokenizer__bad_bytes_stand_alone),
        cmocka_unit_test(tokenizer__control_tokens_only_on_request),
        cmocka_unit_test(tokenizer__merges_may_be_texts_or_pairs),
        cmocka_unit_test(tokenizer__byte_level_alone_splits_as_gpt2),
        cmocka_unit_test(tokenizer__what_is_not_supported_is_named),
        cmocka_unit_test(tokenizer__failed_allocations_are_reported),
    };
    if (!(agreed = calloc(0x110000, 1)))
        return 1;
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    free(agreed);
    return failures;
}
