/* The splits of the tokenizers that this project trains, by hand where text is ASCII:
 *
 *   \p{N}                    then, in what is left,
 *   LITERAL|LITERAL|...|\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{Lu}|[\p{L}\p{M}]|\p{N}|_|[ \t]+|[\r\n]+|[^\p{L}\p{M}\p{N}]
 *
 * No literal holds a digit, and no other alternative of the second takes one along, so one pass finds both. Wherever a match could
 * hang on a character beyond ASCII, the caller's regex is asked for that one match. */
#include "engine/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

static const char tail[] =
    "\\p{Lu}?\\p{Ll}+|\\p{Lu}+(?!\\p{Ll})|\\p{Lu}|[\\p{L}\\p{M}]|\\p{N}|_|[ \\t]+|[\\r\\n]+|[^\\p{L}\\p{M}\\p{N}]";

enum { MAX_LITERALS = 256 };

typedef struct literal {
    uint32_t at, n; /* in text */
    int16_t next;   /* of those with the same first byte, as they stand in the regex; -1: the last */
} literal;

struct dr_cased {
    dr_buf text;
    literal v[MAX_LITERALS];
    int n;
    int16_t first[128]; /* by first byte; -1: none */
};

/* Adds the literal that regex.s[*at..] begins with, up to its "|". False: not a plain text of ASCII without digits. */
static bool add_literal(dr_cased *c, dr_str regex, size_t *at)
{
    const size_t start = c->text.n;

    for (; *at < regex.n && regex.s[*at] != '|'; ++*at) {
        char ch = regex.s[*at];
        if (ch == '\\') {
            if (++*at == regex.n)
                return false;
            ch = regex.s[*at];
            if (ch == 'n')
                ch = '\n';
            else if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z'))
                return false;
        } else if (strchr(".^$*+?()[]{}", ch))
            return false;
        if ((uint8_t)ch >= 0x80 || ch == 0 || (ch >= '0' && ch <= '9'))
            return false;
        dr_buf_add(&c->text, &ch, 1);
    }
    if (*at == regex.n || c->n == MAX_LITERALS || c->text.failed || c->text.n == start)
        return false;
    ++*at;
    c->v[c->n] = (literal){(uint32_t)start, (uint32_t)(c->text.n - start), -1};
    int16_t *to = &c->first[(uint8_t)c->text.data[start]];
    while (*to >= 0)
        to = &c->v[*to].next;
    *to = (int16_t)c->n++;
    return true;
}

dr_cased *dr_cased__new(const dr_str *patterns, size_t n)
{
    const size_t n_tail = sizeof tail - 1;
    dr_cased *c = NULL;

    if (n != 2 || !dr_str_eq(patterns[0], DR_STR("\\p{N}")) || patterns[1].n < n_tail ||
        memcmp(patterns[1].s + patterns[1].n - n_tail, tail, n_tail) != 0 || !(c = calloc(1, sizeof *c)))
        return NULL;
    memset(c->first, -1, sizeof c->first);
    const dr_str literals = {patterns[1].s, patterns[1].n - n_tail};
    for (size_t at = 0; at < literals.n;)
        if (!add_literal(c, literals, &at)) {
            dr_cased__free(c);
            return NULL;
        }
    return c;
}

void dr_cased__free(dr_cased *c)
{
    if (c)
        dr_buf_free(&c->text);
    free(c);
}

enum { OTHER, UPPER, LOWER, BLANK, NEWLINE };

static const uint8_t class_of[128] = {
    OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, BLANK, NEWLINE, OTHER, OTHER, NEWLINE, OTHER, OTHER,
    OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER,
    BLANK, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER,
    OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER, OTHER,
    OTHER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER,
    UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, UPPER, OTHER, OTHER, OTHER, OTHER, OTHER,
    OTHER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER,
    LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, LOWER, OTHER, OTHER, OTHER, OTHER, OTHER,
};

/* The end of the run of a class that starts at p. */
static inline const char *run_of(const char *p, const char *end, uint8_t class)
{
    while (p < end && (uint8_t)*p < 0x80 && class_of[(uint8_t)*p] == class)
        p++;
    return p;
}

const char *dr_cased__match(const dr_cased *c, const char *p, const char *end)
{
    const uint8_t byte = (uint8_t)*p;
    const char *after;

    if (byte >= 0x80)
        return NULL;
    for (int16_t i = c->first[byte]; i >= 0; i = c->v[i].next)
        if ((size_t)(end - p) >= c->v[i].n && memcmp(p, c->text.data + c->v[i].at, c->v[i].n) == 0)
            return p + c->v[i].n;
    switch (class_of[byte]) {
    case UPPER:
        after = run_of(p, end, UPPER);
        if (after < end && (uint8_t)*after >= 0x80)
            return NULL;
        if (after == end || class_of[(uint8_t)*after] != LOWER)
            return after;
        if (after - p > 1) /* the last of them goes with the small letters */
            return after - 1;
        after = run_of(after, end, LOWER);
        break;
    case LOWER: after = run_of(p, end, LOWER); break;
    case BLANK: return run_of(p, end, BLANK);
    case NEWLINE: return run_of(p, end, NEWLINE);
    default: return p + 1;
    }
    return after < end && (uint8_t)*after >= 0x80 ? NULL : after;
}
