/* Splitting by regex: PCRE2 with JIT, or the hand-written path when the regexes are exactly those it was written for. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/tokenizer_parts.h"

#include <assert.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERNS = 16 };

struct dr_splitter {
    bool fast;       /* DeepSeek-V4's */
    dr_cased *cased; /* our own, or NULL */
    size_t n;
    pcre2_code *code[MAX_PATTERNS];
    bool jit[MAX_PATTERNS];
};

/* spec/deepseek-v4 section 8. tokenizer.json holds carriage return and newline themselves; the spelling with \r and \n means the same. */
static const char *const v4_patterns[] = {
    "\\p{N}{1,3}",
    "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+",
    ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
};
enum { N_V4 = sizeof v4_patterns / sizeof v4_patterns[0] };

static bool same_pattern(dr_str given, const char *ours)
{
    size_t at = 0;

    for (; *ours; ours++) {
        if (at == given.n)
            return false;
        if (ours[0] == '\\' && (ours[1] == 'r' || ours[1] == 'n') && given.s[at] == (ours[1] == 'r' ? '\r' : '\n'))
            ours++;
        else if (given.s[at] != *ours)
            return false;
        at++;
    }
    return at == given.n;
}

/* Oniguruma's \s is White_Space; PCRE2's has U+180E besides. Both spellings below go inside a class. */
static const char space_class[] = "\\x{9}-\\x{d} \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
static const char not_space_class[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}"
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{d7ff}\\x{e000}-\\x{10ffff}";

/* After "(": what both engines read alike, an ordinary group included. */
static bool known_group(dr_str rest)
{
    static const char *const openings[] = {"?:", "?i:", "?i)", "?=", "?!", "?<=", "?<!", "?>"};

    if (rest.n == 0 || (rest.s[0] != '?' && rest.s[0] != '*'))
        return true;
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++)
        if (rest.n >= strlen(openings[i]) && memcmp(rest.s, openings[i], strlen(openings[i])) == 0)
            return true;
    return false;
}

/* Copies a regex, \s and \S spelled out. Returns what the two engines would read differently, or NULL. */
static const char *translate(dr_buf *out, dr_str regex)
{
    bool in_class = false;

    for (size_t i = 0; i < regex.n; i++) {
        const char c = regex.s[i], next = i + 1 < regex.n ? regex.s[i + 1] : 0;
        if (c == '\\') {
            i++;
            if (next == 's' || next == 'S') {
                dr_buf_str(out, in_class ? "" : "[");
                dr_buf_str(out, next == 's' ? space_class : not_space_class);
                dr_buf_str(out, in_class ? "" : "]");
                continue;
            }
            if (next == 0 || strchr("bBwWhHRXKGyYOMCQEzZN", next))
                return next ? "an escape whose meaning differs between regex engines" : "a last backslash";
            dr_buf_add(out, regex.s + i - 1, 2);
            if (strchr("pPx", next) && i + 1 < regex.n && regex.s[i + 1] == '{') /* its "}" ends no count */
                while (i + 1 < regex.n && regex.s[i] != '}')
                    dr_buf_add(out, regex.s + ++i, 1);
            continue;
        }
        if (in_class) {
            if (c == '[' || (c == '&' && next == '&'))
                return "a class inside a class";
            in_class = c != ']';
        } else if (c == '[') {
            dr_buf_str(out, next == '^' ? "[^" : "[");
            i += next == '^';
            if (i + 1 < regex.n && regex.s[i + 1] == ']')
                return "an empty class";
            in_class = true;
            continue;
        } else if (c == '(' && !known_group((dr_str){regex.s + i + 1, regex.n - i - 1}))
            return "a group of a kind";
        else if (c == '}' && next == '+')
            return "a possessive count";
        dr_buf_add(out, &c, 1);
    }
    return NULL;
}

static dr_status compile(pcre2_code **code, bool *jit, dr_str regex, size_t index, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0};
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    int number = 0;
    PCRE2_SIZE at = 0;

    const char *differs = translate(&text, regex);
    if (differs) {
        st = dr_fail(err, DR_ERR_FORMAT, "%s: pre_tokenizer: regex %zu has %s that is not supported", name, index + 1, differs);
        goto done;
    }
    if (text.failed || !context) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        goto done;
    }
    /* The Ruby syntax that the tokenizers library compiles with: ^ and $ at every newline, which is \n alone. */
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    *code = pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), text.n, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &number, &at,
                          context);
    if (!*code) {
        char why[128] = "";
        (void)pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
        st = dr_fail(err, DR_ERR_FORMAT, "%s: pre_tokenizer: regex %zu: %s (near byte %zu)", name, index + 1, why, (size_t)at);
        goto done;
    }
    *jit = pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE) == 0; /* refused on machines that forbid new code: the interpreter then */
done:
    pcre2_compile_context_free(context);
    dr_buf_free(&text);
    return st;
}

dr_status dr_splitter__new(dr_splitter **out, const dr_str *patterns, size_t n, bool use_fast, const char *name, dr_error *err)
{
    dr_status st = DR_OK;
    dr_splitter *s = NULL;

    *out = NULL;
    if (n > MAX_PATTERNS)
        return dr_fail(err, DR_ERR_FORMAT, "%s: pre_tokenizer: %zu regexes are too many", name, n);
    if (!(s = calloc(1, sizeof *s)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    s->n = n;
    s->fast = use_fast && n == N_V4;
    for (size_t i = 0; i < N_V4 && s->fast; i++)
        s->fast = same_pattern(patterns[i], v4_patterns[i]);
    s->cased = use_fast ? dr_cased__new(patterns, n) : NULL;
    for (size_t i = 0; i < n && !s->fast; i++)
        if ((st = compile(&s->code[i], &s->jit[i], patterns[i], i, name, err)) != DR_OK)
            goto done;
    *out = s;
    s = NULL;
done:
    dr_splitter__free(s);
    return st;
}

void dr_splitter__free(dr_splitter *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        pcre2_code_free(s->code[i]);
    dr_cased__free(s->cased);
    free(s);
}

bool dr_splitter__is_fast(const dr_splitter *s)
{
    return s->fast || s->cased;
}

static int match(const dr_splitter *s, size_t i, dr_str text, size_t from, pcre2_match_data *data)
{
    return s->jit[i] ? pcre2_jit_match(s->code[i], (PCRE2_SPTR)text.s, text.n, from, 0, data, NULL)
                     : pcre2_match(s->code[i], (PCRE2_SPTR)text.s, text.n, from, PCRE2_NO_UTF_CHECK, data, NULL);
}

static dr_status gives_up(size_t i, size_t n, int rc, dr_error *err)
{
    return dr_fail(err, DR_ERR_LIMIT, "tokenizer: regex %zu gives up on a text of %zu bytes (PCRE2 error %d)", i + 1, n, rc);
}

static size_t next_character(dr_str text, size_t at)
{
    do
        at++;
    while (at < text.n && ((uint8_t)text.s[at] & 0xc0) == 0x80);
    return at;
}

/* Regex i and those after it, on one piece. An empty match cuts where it stands, unless right behind another match. */
static dr_status run_from(const dr_splitter *s, size_t i, dr_str text, pcre2_match_data *data, dr_piece_fn *fn, void *arg,
                          dr_error *err)
{
    dr_status st = DR_OK;
    size_t gap = 0; /* end of the last match */

    if (i == s->n) {
        fn(arg, text);
        return DR_OK;
    }
    for (size_t from = 0; from <= text.n && st == DR_OK;) {
        const int rc = match(s, i, text, from, data);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        if (rc < 0)
            return gives_up(i, text.n, rc, err);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
        const size_t begin = span[0], end = span[1]; /* the recursion below reuses data */
        if (begin > gap)
            st = run_from(s, i + 1, (dr_str){text.s + gap, begin - gap}, data, fn, arg, err);
        if (st == DR_OK && end > begin)
            st = run_from(s, i + 1, (dr_str){text.s + begin, end - begin}, data, fn, arg, err);
        gap = end;
        from = end > begin ? end : next_character(text, end);
    }
    if (st == DR_OK && gap < text.n)
        st = run_from(s, i + 1, (dr_str){text.s + gap, text.n - gap}, data, fn, arg, err);
    return st;
}

/* The second regex has a match at every character, so it never looks beyond the place it is asked about. */
static dr_status run_cased(const dr_splitter *s, dr_str text, pcre2_match_data *data, dr_piece_fn *fn, void *arg, dr_error *err)
{
    for (const char *p = text.s, *end = p + text.n; p < end;) {
        const char *after = dr_cased__match(s->cased, p, end);
        if (!after) {
            const int rc = match(s, 1, text, (size_t)(p - text.s), data);
            if (rc < 0)
                return gives_up(1, text.n, rc, err);
            after = text.s + pcre2_get_ovector_pointer(data)[1];
        }
        fn(arg, (dr_str){p, (size_t)(after - p)});
        p = after;
    }
    return DR_OK;
}

dr_status dr_splitter__run(const dr_splitter *s, dr_str text, dr_piece_fn *fn, void *arg, dr_error *err)
{
    if (text.n == 0)
        return DR_OK;
    if (s->fast) {
        dr_split_v4(text, fn, arg);
        return DR_OK;
    }
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data)
        return dr_fail(err, DR_ERR_NOMEM, "tokenizer: out of memory");
    const dr_status st = s->cased ? run_cased(s, text, data, fn, arg, err) : run_from(s, 0, text, data, fn, arg, err);
    pcre2_match_data_free(data);
    return st;
}
