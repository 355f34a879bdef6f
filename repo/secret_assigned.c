/* A value given to a name that says it is a secret.
 *
 *   api_key = "..."   "password": "..."   PASSWORD=...   password: ...   <secret>...</secret>   setToken("...")
 *   #define TOKEN "..."   --password ...   machine m login l password ...   {name: DB_PASSWORD, value: ...}
 *
 * The name must end with the word (`password_length` and `tokenize` say something else), the value must be surprising
 * (secret_value.c). How surprising depends on how sure the place is: least for a quoted value right behind the name, more
 * where code, prose or a call could stand. */
#include "repo/secret_rules.h"

#include <string.h>

enum {
    NAME_BACK = 64,  /* bytes of a name looked at before the anchor */
    BLANKS_MAX = 24, /* between a name, its sign and the value */
    TYPE_MAX = 32,   /* `: &'static str`, `string` between a name and '=' */

    /* Bits beyond the rule's own threshold. */
    DOUBT_CALL = 4,     /* setPassword("..."), ("password", "...") */
    DOUBT_BARE = 2,     /* no quotes, alone on its line */
    DOUBT_INSIDE = 5,   /* no quotes, among other things of a line: a query, a connection string */
    DOUBT_COMPARED = 4, /* password == "..." */
    VALUE_BYTES_MAX = 256,

    SURPRISE_PASSWORD = 4, /* rules that ask for no more than this are about passwords */
    CHOSEN_MIN = 8,
    CHOSEN_MAX = 40,
    CHOSEN_ODDITY = 10,
};

typedef struct name {
    size_t at, end; /* of the whole name, the anchor's word included */
    char quote;     /* the quote that closes it right behind, or 0 */
    size_t next;    /* what follows the name and its closing quote and brackets */
} name;

static bool one_of(char c, const char *signs)
{
    return c && strchr(signs, c);
}

static size_t skip(dr_str text, size_t at, unsigned classes, size_t most)
{
    const size_t stop = text.n - at < most ? text.n : at + most;
    while (at < stop && dr_secret__is(text.s[at], classes))
        at++;
    return at;
}

static bool starts_folded(dr_str text, size_t at, const char *word)
{
    const size_t n = strlen(word);

    if (at > text.n || text.n - at < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text.s[at + i] != word[i] && (text.s[at + i] | 0x20) != word[i])
            return false;
    return true;
}

static bool has_folded(dr_str text, size_t at, size_t end, const char *word)
{
    const dr_str part = {text.s, end};
    for (size_t i = at; i < end; i++)
        if (starts_folded(part, i, word))
            return true;
    return false;
}

/* What may follow the word within the name without changing what it says. */
static bool is_harmless_tail(dr_str tail)
{
    static const char *const tails[] = {"key",   "accesskey", "key_base", "keybase", "value", "val",     "str",   "string",
                                        "text",  "plain",     "raw",      "base64",  "b64",   "prod",    "production",
                                        "dev",   "staging",   "live",     "default", "word",  "phrase"};

    while (tail.n && one_of(tail.s[0], "_-"))
        tail.s++, tail.n--;
    while (tail.n && dr_secret__is(tail.s[tail.n - 1], DR_CH_DIGIT | DR_CH_UNDER))
        tail.n--;
    if (tail.n == 0 || (starts_folded(tail, 0, "access") && tail.n == 10 && starts_folded(tail, 7, "key")))
        return true;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
        if (strlen(tails[i]) == tail.n && starts_folded(tail, 0, tails[i]))
            return true;
    return false;
}

/* Names of things that are random but no secret: pages of a listing, sums, public halves. */
static bool is_innocent_name(dr_str text, size_t at, size_t end)
{
    static const char *const words[] = {"public", "publish", "hash",   "digest", "sha1",   "sha2",  "sha5",  "md5",
                                        "checksum", "finger", "next",  "page",   "contin", "cursor", "etag", "nonce",
                                        "csrf",   "xsrf",   "cancel",  "sync",   "resum",  "idempot", "encrypted",
                                        "invalid", "wrong", "fake",    "dummy",  "example", "no_", "mock", "expected"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (has_folded(text, at, end, words[i]))
            return true;
    return false;
}

/* The name around the anchor's word, or false when the word is only part of another one. */
static bool read_name(name *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at, size_t end)
{
    size_t from = at;

    /* "pass" and "pwd" are also ends of other words: a border or a change of case must stand before them. */
    if (rule->back && at > floor && dr_secret__is(text.s[at - 1], DR_CH_ALNUM) &&
        !(dr_secret__is(text.s[at - 1], DR_CH_LOWER) && dr_secret__is(text.s[at], DR_CH_UPPER)))
        return false;
    while (from > floor && at - from < NAME_BACK && dr_secret__is(text.s[from - 1], DR_CH_URL64))
        from--;
    const size_t tail = skip(text, end, DR_CH_URL64, 24);
    if (!is_harmless_tail((dr_str){text.s + end, tail - end}) || is_innocent_name(text, from, tail))
        return false;
    size_t next = tail;
    out->quote = 0;
    if (next + 1 < text.n && text.s[next] == '\\' && one_of(text.s[next + 1], "\"'"))
        next++;
    if (next < text.n && one_of(text.s[next], "\"'`"))
        out->quote = text.s[next++];
    while (next < text.n && next - tail < 4 && one_of(text.s[next], "])"))
        next++;
    out->at = from;
    out->end = tail;
    out->next = next;
    return next < text.n;
}

/* [*at, *end): what stands between quotes that open at p; false when no quote opens there or none closes on the line. */
static bool read_quoted(dr_str text, size_t p, size_t *at, size_t *end)
{
    bool escaped = false;

    /* r"", b'', f"", L"", @"": letters of the language */
    if (p + 1 < text.n && one_of(text.s[p], "rbfuLR@") && one_of(text.s[p + 1], "\"'"))
        p++;
    if (p + 1 < text.n && text.s[p] == '\\' && one_of(text.s[p + 1], "\"'")) {
        escaped = true;
        p++;
    }
    if (p >= text.n || !one_of(text.s[p], "\"'`"))
        return false;
    const char quote = text.s[p];
    while (p < text.n && text.s[p] == quote && p < text.n - 1 && text.s[p + 1] == quote) /* """ */
        p++;
    *at = ++p;
    for (; p < text.n && p - *at <= VALUE_BYTES_MAX; p++) {
        const char c = text.s[p];
        if (c == quote || (escaped && c == '\\')) {
            *end = p;
            return p > *at;
        }
        if (c == '\n' || c == '\\')
            return false;
    }
    return false;
}

/* A value without quotes: to a blank, a quote, a comma or what would be code. */
static size_t bare_end(dr_str text, size_t at)
{
    size_t p = at;
    while (p < text.n && p - at <= VALUE_BYTES_MAX && (uint8_t)text.s[p] > ' ' && (uint8_t)text.s[p] < 0x7f &&
           !one_of(text.s[p], "\"'`,;&<>(){}[]|\\"))
        p++;
    return p;
}

static bool at_line_end(dr_str text, size_t p)
{
    p = skip(text, p, DR_CH_BLANK, BLANKS_MAX);
    return p == text.n || one_of(text.s[p], "\r\n#");
}

/* Is there nothing before the name on its line but what may stand before a setting? */
static bool opens_line(dr_str text, size_t floor, size_t at)
{
    static const char *const words[] = {"export ", "set ", "setx ", "env ", "arg ", "declare ", "environment="};
    size_t from = at;

    while (from > floor && at - from < 40 && text.s[from - 1] != '\n')
        from--;
    if (from != 0 && text.s[from - 1] != '\n')
        return false;
    if (from == 0 && text.n >= 3 && memcmp(text.s, "\xef\xbb\xbf", 3) == 0)
        from = 3; /* a byte order mark */
    from = skip(text, from, DR_CH_BLANK, 40);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (starts_folded(text, from, words[i]))
            from += strlen(words[i]);
    if (from < at && text.s[from] == '-' && dr_secret__is(text.s[from + 1], DR_CH_BLANK))
        from = skip(text, from + 1, DR_CH_BLANK, 40);
    while (from < at && (one_of(text.s[from], "\"'$@./:") || dr_secret__is(text.s[from], DR_CH_WORD | DR_CH_DOT)))
        from++; /* a quoted or dotted name: spring.datasource.password */
    return from >= at;
}

/* Characters that a quoted secret does not hold: they make it a template, a sentence, a pattern or code. */
static bool is_plain(dr_str v)
{
    for (size_t i = 0; i < v.n; i++)
        if ((uint8_t)v.s[i] <= ' ' || (uint8_t)v.s[i] >= 0x7f || one_of(v.s[i], "<>{}[]()`\"'|"))
            return false;
    return !one_of(v.s[0], "$%&*?:,;@") || !(v.n > 1 && dr_secret__is(v.s[1], DR_CH_WORD));
}

static bool judge(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t at, size_t end, int doubt)
{
    const dr_str v = {text.s + at, end - at};

    if (v.n < rule->min || v.n > VALUE_BYTES_MAX || !is_plain(v))
        return false;
    /* An issuer's key has a better name than "token": its own rule comes next. */
    if (dr_secret__issued_at(text, at))
        return false;
    bool digits_only = true;
    for (size_t i = 0; i < v.n && digits_only; i++)
        digits_only = dr_secret__is(v.s[i], DR_CH_DIGIT | DR_CH_DOT | DR_CH_DASH);
    /* People choose passwords, machines draw the rest. */
    const bool chosen = rule->max <= SURPRISE_PASSWORD && v.n >= CHOSEN_MIN && v.n <= CHOSEN_MAX &&
                        dr_secret__oddity(v) >= CHOSEN_ODDITY + doubt;
    if (digits_only || (!chosen && dr_secret__surprise(v) < rule->max + doubt) || dr_secret__is_placeholder(v) ||
        dr_secret__is_public(v))
        return false;
    /* addresses and paths have their own rules or are none */
    if (one_of(v.s[0], "/~.") || (v.n > 3 && has_folded(text, at, end, "://")))
        return false;
    *out = (dr_secret_place){at, v.n, rule->kind};
    return true;
}

/* `"value"` / `value=` / a next line `value: `, behind a name that is itself a value. Returns where the value's sign stands. */
static size_t value_hop(dr_str text, size_t p)
{
    const size_t from = p;
    bool newline = false;

    while (p < text.n && p - from < 80) {
        const char c = text.s[p];
        if (c == '\n' ? newline : !dr_secret__is(c, DR_CH_BLANK | DR_CH_EOL) && c != ',')
            break;
        newline |= c == '\n';
        p++;
    }
    if (p == from)
        return 0;
    const bool quoted = p < text.n && one_of(text.s[p], "\"'");
    p += quoted;
    if (!starts_folded(text, p, "value"))
        return 0;
    p += 5;
    if (quoted && p < text.n && one_of(text.s[p], "\"'"))
        p++;
    p = skip(text, p, DR_CH_BLANK, 4);
    return p < text.n && one_of(text.s[p], ":=") ? p : 0;
}

/* --password */
static bool is_option(dr_str text, const name *nm)
{
    return nm->end - nm->at > 2 && text.s[nm->at] == '-' && text.s[nm->at + 1] == '-';
}

/* Behind a sign that assigns: quoted, or alone on its line, or inside a larger text. */
static bool match_value(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, const name *nm,
                        size_t sign_end, bool hopped)
{
    size_t at, end;
    const size_t p = skip(text, sign_end, DR_CH_BLANK, BLANKS_MAX);
    const bool tight = p == sign_end && nm->end + 1 == sign_end;

    if (p == text.n)
        return false;
    if (read_quoted(text, p, &at, &end))
        return judge(out, rule, text, at, end, 0);
    end = bare_end(text, p);
    if (end == p)
        return false;
    if (at_line_end(text, end) && (hopped || opens_line(text, floor, nm->at)))
        return judge(out, rule, text, p, end, DOUBT_BARE);
    /* the name itself opens a quotation that the value closes: "X-Api-Key: ..." */
    const char before = nm->at > floor ? text.s[nm->at - 1] : '\n';
    if (end < text.n && one_of(before, "\"'`") && text.s[end] == before)
        return judge(out, rule, text, p, end, DOUBT_BARE);
    if (tight && one_of(before, "\"'`;&? -,\n") && end < text.n &&
        (one_of(text.s[end], ";&\"'`") || at_line_end(text, end) || (is_option(text, nm) && text.s[end] == ' ')))
        return judge(out, rule, text, p, end, DOUBT_INSIDE);
    return false;
}

/* `: TYPE =` behind a name: where the '=' stands, or 0. */
static size_t typed_sign(dr_str text, size_t p)
{
    const size_t from = p;
    while (p < text.n && p - from < TYPE_MAX &&
           (dr_secret__is(text.s[p], DR_CH_WORD | DR_CH_BLANK | DR_CH_DOT) || one_of(text.s[p], ":&'?<>*")))
        p++;
    return p > from && p + 1 < text.n && text.s[p] == '=' && text.s[p + 1] != '=' ? p : 0;
}

/* Does a blank after this name give it a value? Prose has names before quotations as well. */
static bool is_statement(dr_str text, size_t floor, const name *nm)
{
    static const char *const before[] = {"#define ", "identi"};

    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        const size_t n = strlen(before[i]);
        if (nm->at - floor >= n && starts_folded(text, nm->at - n, before[i]))
            return true;
        if (nm->end - nm->at > n && starts_folded(text, nm->at, before[i]))
            return true;
    }
    return opens_line(text, floor, nm->at);
}

/* The anchor is the last part of the word. */
bool dr_secret__match_assigned(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                               size_t end)
{
    name nm;
    size_t from, to;

    if (rule->anchor[strlen(rule->anchor) - 1] == '\4') /* the border behind the word is no part of it */
        end--;
    if (!read_name(&nm, rule, text, floor, at, end))
        return false;
    size_t p = skip(text, nm.next, DR_CH_BLANK, BLANKS_MAX);
    if (p == text.n)
        return false;
    const char before = nm.at > floor ? text.s[nm.at - 1] : '\n';
    const char c = text.s[p];
    const char c1 = p + 1 < text.n ? text.s[p + 1] : 0;

    if (c == '>' && one_of(before, "<:") && p == nm.end) { /* <password>...</ */
        to = bare_end(text, p + 1);
        return to < text.n && text.s[to] == '<' && to > p + 1 && judge(out, rule, text, p + 1, to, 0);
    }
    const size_t hop = nm.quote || dr_secret__is(c, DR_CH_EOL) ? value_hop(text, nm.next) : 0;
    if (hop)
        return match_value(out, rule, text, floor, &nm, hop + 1, true);
    if ((c == '=' || c == '!') && c1 == '=') { /* compared */
        p += p + 2 < text.n && text.s[p + 2] == '=' ? 3 : 2;
        p = skip(text, p, DR_CH_BLANK, BLANKS_MAX);
        return read_quoted(text, p, &from, &to) && judge(out, rule, text, from, to, DOUBT_COMPARED);
    }
    if ((c == ':' && c1 == '=') || (c == '=' && c1 == '>') || (c == '?' && c1 == '=') || (c == '+' && c1 == '='))
        return match_value(out, rule, text, floor, &nm, p + 2, false);
    if (c == '=')
        return match_value(out, rule, text, floor, &nm, p + 1, false);
    if (c == ':') {
        const size_t typed = nm.quote ? 0 : typed_sign(text, p + 1);
        return match_value(out, rule, text, floor, &nm, typed ? typed + 1 : p + 1, false);
    }
    if (c == '(' || (c == ',' && nm.quote)) {
        p = skip(text, p + 1, DR_CH_BLANK | DR_CH_EOL, BLANKS_MAX);
        return read_quoted(text, p, &from, &to) && judge(out, rule, text, from, to, DOUBT_CALL);
    }
    if (p == nm.next)
        return false;
    if (read_quoted(text, p, &from, &to)) /* #define TOKEN "...", IDENTIFIED BY '...', password "..." in a block */
        return !nm.quote && is_statement(text, floor, &nm) && judge(out, rule, text, from, to, DOUBT_BARE);
    to = bare_end(text, p);
    if (is_option(text, &nm)) /* --password X */
        return judge(out, rule, text, p, to, DOUBT_INSIDE);
    if (nm.end - nm.at == 8 && at_line_end(text, to)) { /* netrc: `login NAME` stands before `password` */
        const size_t back = nm.at - floor < 120 ? floor : nm.at - 120;
        return has_folded(text, back, nm.at, "login ") && judge(out, rule, text, p, to, 0);
    }
    const size_t typed = typed_sign(text, p); /* Go: `var apiKey string = "..."` */
    return typed && match_value(out, rule, text, floor, &nm, typed + 1, false);
}
