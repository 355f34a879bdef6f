/* Secrets that are known by what surrounds them: key blocks, signed tokens, addresses, headers. */
#include "repo/secret_rules.h"

#include <string.h>

enum {
    KEY_BLOCK_MAX = 1 << 16, /* a 16,384-bit RSA key has 13 KB */
    KEY_RUN_MIN = 24,        /* letters of the first run of a block: shorter is a drawing of one */
    KEY_BYTES_MIN = 40,      /* an Ed25519 key has 64 */
    KEY_DISTINCT_MIN = 16,   /* different signs: less is a drawing too */
};

static bool one_of(char c, const char *signs)
{
    return c && strchr(signs, c);
}

static bool starts(dr_str text, size_t at, const char *what)
{
    const size_t n = strlen(what);
    return at <= text.n && text.n - at >= n && memcmp(text.s + at, what, n) == 0;
}

static size_t run_end(dr_str text, size_t at, unsigned classes, size_t most)
{
    const size_t stop = text.n - at < most ? text.n : at + most;
    while (at < stop && dr_secret__is(text.s[at], classes))
        at++;
    return at;
}

static bool border_before(dr_str text, size_t at)
{
    return at == 0 || !dr_secret__is(text.s[at - 1], DR_CH_URL64);
}

/* Where the armour's base64 ends, from `at`: runs between line ends, quotes, escapes and comment signs, as they stand in
 * files, strings and lists. Stops at the closing line, at a word, and after too many signs. *first is where it begins;
 * returns `at` when there is none. */
static size_t armour_end(dr_str text, size_t at, size_t *first)
{
    const size_t stop = text.n - at < KEY_BLOCK_MAX ? text.n : at + KEY_BLOCK_MAX;
    size_t end = at, signs = 0, headers = 0, total = 0;

    for (size_t p = at; p < stop && signs < 96;) {
        const char c = text.s[p];
        if (starts(text, p, "----"))
            break;
        if (c == '\\' && p + 1 < stop && one_of(text.s[p + 1], "nrt")) {
            p += 2;
            signs++;
        } else if (dr_secret__is(c, DR_CH_BASE64 | DR_CH_EQUALS) && !(c == '/' && total == 0)) {
            const size_t to = run_end(text, p, DR_CH_BASE64 | DR_CH_EQUALS, stop - p);
            if (to < text.n && text.s[to] == ':') { /* a header of the block: Proc-Type, DEK-Info, Version */
                const char *eol = memchr(text.s + to, '\n', stop - to < 128 ? stop - to : 128);
                if (!eol || total || ++headers > 8)
                    break;
                p = (size_t)(eol - text.s) + 1;
                continue;
            }
            if (to < text.n && text.s[to] == '-' && !starts(text, to, "----")) { /* "Proc-", "DEK-" */
                p = to + 1;
                signs++;
                continue;
            }
            if (total == 0 && to - p < KEY_RUN_MIN)
                break;
            if (total == 0)
                *first = p;
            /* After a short line only the checksum of an armoured block may follow ("=AbCd"). */
            total += to - p;
            end = to;
            signs = 0;
            p = to;
        } else if (dr_secret__is(c, DR_CH_BLANK | DR_CH_EOL) || one_of(c, "\"'`+#*/>|,;().\\")) {
            p++;
            signs++;
        } else {
            break;
        }
    }
    return total < KEY_BYTES_MIN ? at : end;
}

/* "-----BEGIN ... PRIVATE KEY-----": the anchor is "PRIVATE KEY"'s end. The markers stay, the body goes. */
bool dr_secret__match_private_key(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                                  size_t end)
{
    size_t first = 0;

    /* On the same line, up to 40 bytes back, stands the opening. */
    size_t from = at;
    while (from > floor && at - from < 40 && text.s[from - 1] != '-' && text.s[from - 1] != '\n')
        from--;
    if (from == floor || text.s[from - 1] != '-' || !(starts(text, from, "BEGIN ") || starts(text, from, " BEGIN ")))
        return false;
    if (starts(text, end, " BLOCK"))
        end += 6;
    if (starts(text, end, " ----"))
        end++;
    const size_t body = run_end(text, end, DR_CH_DASH, 6);
    if (body - end < 4)
        return false;
    const size_t stop = armour_end(text, body, &first);
    if (stop == body || dr_secret__n_distinct((dr_str){text.s + first, stop - first < 256 ? stop - first : 256}) < KEY_DISTINCT_MIN)
        return false;
    *out = (dr_secret_place){first, stop - first, rule->kind};
    return true;
}

/* A PuTTY key: "Private-Lines: N" and N lines of base64. The anchor ends behind the blank. */
bool dr_secret__match_putty_key(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                                size_t end)
{
    size_t first = 0;

    (void)floor;
    (void)at;
    const size_t digits = run_end(text, end, DR_CH_DIGIT, 4);
    const size_t stop = armour_end(text, digits, &first);
    if (digits == end || stop == digits)
        return false;
    /* armour_end may take the next header's first word along: its line ends with a colon, so it does not. */
    *out = (dr_secret_place){first, stop - first, rule->kind};
    return true;
}

/* eyJ... "." ... "." ...: header and payload are base64 of objects, so the second part begins with "ey" as well. Tokens of
 * five parts are encrypted ones. */
bool dr_secret__match_jwt(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                          size_t end)
{
    size_t part_min = 16, to = end, parts = 0, last = end;

    (void)floor;
    if (!border_before(text, at))
        return false;
    for (size_t from = at; parts < 5; parts++) {
        /* A border stands before each run, so only the parts of one token are read again by the next. */
        to = run_end(text, from, DR_CH_URL64, text.n);
        if (to - from < part_min || (parts == 1 && to - from < 40 && !starts(text, from, "ey")))
            break;
        last = to;
        if (to == text.n || text.s[to] != '.') {
            parts++;
            break;
        }
        from = to + 1;
    }
    if (parts < 3)
        return false;
    /* The example of the standard's own site, which stands in a thousand documents. */
    const char *known = "eyJzdWIiOiIxMjM0NTY3ODkwI";
    const size_t second = run_end(text, at, DR_CH_URL64, text.n) + 1;
    if (starts(text, second, known))
        return false;
    *out = (dr_secret_place){at, last - at, rule->kind};
    return true;
}

/* Hosts that nothing is kept on: a password for them is an example unless it could hardly be one. */
static bool is_example_host(dr_str text, size_t at)
{
    static const char *const hosts[] = {"example", "localhost", "127.", "host", "server", "0.0.0.0", "[::1]",
                                        "foo", "bar", "test", "some", "my", "your", "domain", "{", "$", "<", "%"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (starts(text, at, hosts[i]))
            return true;
    const size_t end = run_end(text, at, DR_CH_URL64 | DR_CH_DOT, 80);
    for (size_t p = at; p + 8 <= end; p++)
        if (starts(text, p, ".example") || starts(text, p, "example."))
            return true;
    return false;
}

/* The key of a Sentry address, SCHEME://KEY@HOST/PROJECT: 32 hex digits alone before the host, a number at the end. */
static bool is_sentry_key(dr_str text, size_t from, size_t at_sign)
{
    const dr_str key = {text.s + from, at_sign - from};

    if (key.n != 32 || run_end(text, from, DR_CH_HEX, 32) != at_sign || dr_secret__is_placeholder(key) ||
        dr_secret__surprise(key) < 4)
        return false;
    const size_t host = run_end(text, at_sign + 1, DR_CH_URL64 | DR_CH_DOT, 256);
    const size_t port = host < text.n && text.s[host] == ':' ? run_end(text, host + 1, DR_CH_DIGIT, 5) : host;
    const size_t end = run_end(text, port, DR_CH_URL64 | DR_CH_B64, 256);
    return host > at_sign + 1 && end > port && text.s[port] == '/' && dr_secret__is(text.s[end - 1], DR_CH_DIGIT);
}

/* SCHEME://USER:PASSWORD@HOST, or the key of a Sentry address; the anchor is "://". For a host where something may be kept, a
 * short password is one that has more than letters or more than digits: words before a host are names and ports as often. */
bool dr_secret__match_address(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                              size_t end)
{
    const size_t start = at + 3;
    size_t p = start;

    (void)floor;
    (void)end;
    if (at == 0 || !dr_secret__is(text.s[at - 1], DR_CH_ALNUM))
        return false;
    while (p < text.n && p - start < 64 && dr_secret__is(text.s[p], DR_CH_URL64 | DR_CH_DOT | DR_CH_PERCENT))
        p++;
    const dr_str user = {text.s + start, p - start};
    if (p < text.n && text.s[p] == '@' && is_sentry_key(text, start, p)) {
        *out = (dr_secret_place){start, p - start, "sentry key"};
        return true;
    }
    if (p == text.n || text.s[p] != ':')
        return false;
    const size_t from = ++p;
    /* What an address may hold there, short of its own delimiters and of what a shell or a template would expand. */
    while (p < text.n && p - from < 160 && (uint8_t)text.s[p] > ' ' && (uint8_t)text.s[p] < 0x7f &&
           !one_of(text.s[p], "@/\\\"'`<>{}[]()|"))
        p++;
    if (p == text.n || text.s[p] != '@' || p - from < 3 || p + 1 == text.n ||
        !(dr_secret__is(text.s[p + 1], DR_CH_ALNUM) || text.s[p + 1] == '['))
        return false;
    const dr_str password = {text.s + from, p - from};
    const bool example = is_example_host(text, p + 1);
    const bool drawn = password.n >= 5 && dr_secret__surprise(password) >= (example ? 24 : 4);
    const bool chosen = !example && dr_secret__oddity(password) >= 5 && !memchr(password.s, '%', password.n);
    if (password.s[0] == '$' || password.s[0] == '%' || dr_secret__is_placeholder(password) || dr_str_eq(user, password) ||
        !(drawn || chosen))
        return false;
    *out = (dr_secret_place){from, p - from, rule->kind};
    return true;
}

/* "Bearer " and a token; the anchor ends behind the blank. */
bool dr_secret__match_bearer(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                             size_t end)
{
    (void)floor;
    if (!border_before(text, at) || dr_secret__issued_at(text, end))
        return false;
    size_t to = run_end(text, end, DR_CH_BASE64 | DR_CH_URL64 | DR_CH_DOT | DR_CH_TILDE | DR_CH_EQUALS, DR_SECRET_REACH);
    while (to > end && text.s[to - 1] == '.')
        to--;
    const dr_str token = {text.s + end, to - end};
    if (token.n < rule->min || (to < text.n && one_of(text.s[to], "(<{[$:")) || dr_secret__is_placeholder(token) ||
        dr_secret__is_public(token) || dr_secret__surprise(token) < rule->max)
        return false;
    *out = (dr_secret_place){end, to - end, rule->kind};
    return true;
}

/* base64 of user:password behind "Basic " or after `"auth":` / `_auth=`. */
bool dr_secret__match_basic(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                            size_t end)
{
    (void)floor;
    if (dr_secret__is(rule->anchor[0], DR_CH_ALNUM) && !border_before(text, at))
        return false;
    size_t from = end;
    while (from < text.n && from - end < 8 && one_of(text.s[from], " \t:=\"'"))
        from++;
    size_t to = run_end(text, from, DR_CH_BASE64, DR_SECRET_REACH);
    to = run_end(text, to, DR_CH_EQUALS, 2);
    if (to - from < 12 || !dr_secret__is_basic_login((dr_str){text.s + from, to - from}))
        return false;
    *out = (dr_secret_place){from, to - from, rule->kind};
    return true;
}

/* An address whose path is the secret: the anchor ends where the path begins, at least two parts follow, the last of
 * them `min` bytes or more. */
bool dr_secret__match_webhook(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                              size_t end)
{
    (void)floor;
    (void)at;
    const size_t to = run_end(text, end, DR_CH_URL64 | DR_CH_B64, DR_SECRET_REACH);
    size_t last = to;
    while (last > end && text.s[last - 1] != '/')
        last--;
    const dr_str key = {text.s + last, to - last};
    if (last == end || key.n < rule->min || dr_secret__is_placeholder(key) || dr_secret__surprise(key) < 0)
        return false;
    *out = (dr_secret_place){end, to - end, rule->kind};
    return true;
}

/* DIGITS:AA... (a bot's number and its key); the anchor is the last digit, ":AA". */
bool dr_secret__match_telegram(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                               size_t end)
{
    size_t from = at;

    while (from > floor && at - from < 12 && dr_secret__is(text.s[from - 1], DR_CH_DIGIT))
        from--;
    const size_t to = run_end(text, end, DR_CH_URL64, 64);
    if (at - from < 7 || at - from > 10 || !(from == 0 || !dr_secret__is(text.s[from - 1], DR_CH_WORD)) || to - end != 33)
        return false;
    *out = (dr_secret_place){from, to - from, rule->kind};
    return true;
}
