/* The three splits of DeepSeek-V4 by hand. What each function matches is the regex above it; letters below mean sets of
 * dr_unicode_class. Text is UTF-8, checked by the caller. */
#include "engine/tokenizer_parts.h"
#include "engine/unicode.h"

enum {
    L = DR_UNICODE_L,
    M = DR_UNICODE_M,
    N = DR_UNICODE_N,
    P = DR_UNICODE_P,
    S = DR_UNICODE_S,
    SPACE = DR_UNICODE_SPACE,
    OTHER = DR_UNICODE_OTHER,
    BLANK = SPACE | OTHER,
};

static const uint8_t ascii_class[128] = {
    OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, BLANK, BLANK, BLANK, BLANK, BLANK, OTHER, OTHER,
    OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER,
    BLANK, P, P, P, S, P, P, P, P, P, P, S, P, P, P, P, /* !"#$%&'()*+,-./ */
    N, N, N, N, N, N, N, N, N, N, P, P, S, S, S, P,     /* 0-9:;<=>? */
    P, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,     /* @A-O */
    L, L, L, L, L, L, L, L, L, L, L, P, P, P, S, P,     /* P-Z[\]^_ */
    S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,     /* `a-o */
    L, L, L, L, L, L, L, L, L, L, L, P, S, P, S, OTHER, /* p-z{|}~ */
};

/* Class and length of the character at p. */
static inline uint8_t class_at(const char *p, const char *end, size_t *len)
{
    const uint8_t c = (uint8_t)*p;
    uint32_t code_point = 0;

    if (c < 0x80) {
        *len = 1;
        return ascii_class[c];
    }
    *len = dr_utf8_decode(&code_point, p, (size_t)(end - p));
    return dr_unicode_class(code_point);
}

/* The end of the run of characters of the given classes that starts at p. */
static inline const char *run_of(const char *p, const char *end, uint8_t classes)
{
    size_t len;

    while (p < end && class_at(p, end, &len) & classes)
        p += len;
    return p;
}

static inline bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

static inline bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+
 * |[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
 * | ?[\p{P}\p{S}]+[\r\n]*
 * |\s*[\r\n]+
 * |\s+(?!\S)
 * |\s+
 * The end of the match that starts at p, or p when there is none. */
static const char *match_words(const char *p, const char *end)
{
    size_t len;
    const uint8_t class = class_at(p, end, &len);
    const char *after = p + len;

    if (class & L)
        return run_of(after, end, L | M);
    if (class & (P | S)) {
        if (len == 1 && after < end && is_ascii_letter(*after)) {
            while (after < end && is_ascii_letter(*after))
                after++;
            return after;
        }
        for (after = run_of(after, end, P | S); after < end && is_newline(*after); after++)
            ;
        return after;
    }
    if (!is_newline(*p)) {
        const char *word = run_of(after, end, L | M);
        if (word > after || class & M)
            return word;
    }
    if (*p == ' ') {
        const char *signs = run_of(after, end, P | S);
        if (signs > after) {
            while (signs < end && is_newline(*signs))
                signs++;
            return signs;
        }
    }
    if (!(class & SPACE))
        return p;
    const char *last = p, *newline = NULL; /* last: where the run's last character starts */
    for (after = p; after < end && class_at(after, end, &len) & SPACE; after += len) {
        last = after;
        if (is_newline(*after))
            newline = after;
    }
    if (newline)
        return newline + 1;
    return after == end || last == p ? after : last; /* the look-ahead leaves one blank to what follows */
}

static void split_words(const char *p, const char *end, dr_piece_fn *fn, void *arg)
{
    const char *gap = p; /* from here on nothing has matched */

    while (p < end) {
        const char *after = match_words(p, end);
        if (after == p) {
            size_t len;
            (void)class_at(p, end, &len);
            p += len;
            continue;
        }
        if (p > gap)
            fn(arg, (dr_str){gap, (size_t)(p - gap)});
        fn(arg, (dr_str){p, (size_t)(after - p)});
        p = gap = after;
    }
    if (p > gap)
        fn(arg, (dr_str){gap, (size_t)(p - gap)});
}

typedef enum kind { NUMBER, ASIAN, REST } kind;

static inline kind kind_at(const char *p, const char *end, size_t *len)
{
    const uint8_t c = (uint8_t)*p;
    uint32_t code_point = 0;

    if (c < 0x80) {
        *len = 1;
        return c >= '0' && c <= '9' ? NUMBER : REST;
    }
    *len = dr_utf8_decode(&code_point, p, (size_t)(end - p));
    if ((code_point >= 0x4e00 && code_point <= 0x9fa5) || (code_point >= 0x3040 && code_point <= 0x30ff))
        return ASIAN;
    return dr_unicode_class(code_point) & N ? NUMBER : REST;
}

/* \p{N}{1,3}, then [一-龥぀-ゟ゠-ヿ]+, whose sets have no character in common: one pass finds both. A number is a piece (no
 * alternative of the third regex matches inside it), a run of either other kind is cut by the third. */
void dr_split_v4(dr_str text, dr_piece_fn *fn, void *arg)
{
    const char *p = text.s, *end = text.s + text.n;

    while (p < end) {
        const char *from = p;
        size_t len;
        const kind k = kind_at(p, end, &len);
        int n = 0;
        do {
            p += len;
            n++;
        } while (p < end && !(k == NUMBER && n == 3) && kind_at(p, end, &len) == k);
        if (k == NUMBER)
            fn(arg, (dr_str){from, (size_t)(p - from)});
        else
            split_words(from, p, fn, arg);
    }
}
