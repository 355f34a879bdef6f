/* Is a value drawn at random, or written by a person?
 *
 * Two models of how the value came about are compared. Written: letters follow each other as they do in names and words
 * (a table of pairs), case changes where words begin, digits come in runs. Drawn: every byte is independent and uniform
 * over the smallest usual alphabet that holds them all. The difference of the two costs, in bits, is the surprise: a random
 * key of 20 letters and digits has about +50, `my_password_field2` about -40. Length needs no rule of its own: short
 * values simply cannot gather many bits. */
#include "repo/secret_rules.h"

#include <string.h>

enum { VALUE_MAX = 256 };

/* -log2 of the chance of the second letter after the first, in source text, rounded: tests/tools/letter_pairs.py over
 * sixteen projects in seven languages. */
static const char letter_pair[26][27] = {
    "75448759596353959343567769", /* a */
    "36563789458279489555399949", /* b */
    "38673793594479289573599989", /* c */
    "46642678298577479547588769", /* d */
    "47435579699553756234866569", /* e */
    "37664489299577389464499959", /* f */
    "58782764499564389446486989", /* g */
    "28782899399878389563599989", /* h */
    "55455559998442369543969796", /* i */
    "27662878676767476737377877", /* j */
    "37761668398684678746687979", /* k */
    "37752799299388379855578949", /* l */
    "25872999399648439957499989", /* m */
    "48433639496685479933569969", /* n */
    "76557669687542549354455899", /* o */
    "39763887598399349353499959", /* p */
    "67776777787677777677077778", /* q */
    "38662759397555479444568959", /* r */
    "59582794397677459832487969", /* s */
    "48572793399677459445596959", /* t */
    "55564669499353849333999999", /* u */
    "28791989399989489888899989", /* v */
    "28674893298784489355894899", /* w */
    "47363687489757629762888559", /* x */
    "66675777498554328333785988", /* y */
    "37771677487667677657677755", /* z */
};

/* Costs of the written model, in bits: of a change between runs, on top of the letter or digit itself. */
enum {
    COST_LETTER = 5, /* the first letter of a run: log2(26) */
    COST_DIGIT = 3,
    COST_TO_DIGIT = 5,
    COST_FROM_DIGIT = 3,
    COST_CAMEL = 4,   /* an upper-case letter after a lower-case one */
    COST_UNCAMEL = 5, /* a lower-case letter after two upper-case ones: rare in names, half of all in random text */
    COST_MARK = 3,    /* a sign other than _ - . / */
    COST_JOINT = 2,   /* one of these */
};

static int written_cost(dr_str v)
{
    int cost = 0;
    unsigned prev = 0, before = 0; /* classes of the last two bytes */

    for (size_t i = 0; i < v.n; i++) {
        const char c = v.s[i];
        const unsigned cls = dr_secret__class[(uint8_t)c];
        if (cls & DR_CH_ALPHA) {
            if (i > 0 && c == v.s[i - 1])
                cost += 1; /* drawings: xxxx, AAAA */
            else if (prev & DR_CH_ALPHA)
                cost += letter_pair[(v.s[i - 1] | 0x20) - 'a'][(c | 0x20) - 'a'] - '0';
            else
                cost += COST_LETTER + (prev & DR_CH_DIGIT ? COST_FROM_DIGIT : 0);
            if ((prev & DR_CH_LOWER) && (cls & DR_CH_UPPER))
                cost += COST_CAMEL;
            else if ((prev & DR_CH_UPPER) && (before & DR_CH_UPPER) && (cls & DR_CH_LOWER))
                cost += COST_UNCAMEL;
        } else if (cls & DR_CH_DIGIT) {
            cost += COST_DIGIT + (prev & DR_CH_ALPHA ? COST_TO_DIGIT : 0);
        } else {
            cost += memchr("_-./", c, 4) ? COST_JOINT : COST_JOINT + COST_MARK;
        }
        before = prev;
        prev = cls;
    }
    return cost;
}

/* Of the smallest usual alphabet that holds the value. */
static int drawn_cost(dr_str v)
{
    /* log2 of the number of signs, in tenths of a bit, by which classes occur: lower, upper, digits, six others. */
    static const uint8_t tenths[16] = {0, 47, 47, 57, 33, 52, 52, 60, 26, 50, 50, 59, 40, 54, 54, 61};
    bool lower = false, upper = false, digit = false, beyond_hex = false, other = false;

    for (size_t i = 0; i < v.n; i++) {
        const unsigned cls = dr_secret__class[(uint8_t)v.s[i]];
        lower |= (cls & DR_CH_LOWER) != 0;
        upper |= (cls & DR_CH_UPPER) != 0;
        digit |= (cls & DR_CH_DIGIT) != 0;
        beyond_hex |= !(cls & (DR_CH_HEX | DR_CH_HEXU));
        other |= !(cls & DR_CH_ALNUM);
    }
    const int bits10 = !beyond_hex && lower != upper ? 40 : tenths[lower | upper << 1 | digit << 2 | other << 3];
    return bits10 * (int)v.n / 10;
}

int dr_secret__surprise(dr_str v)
{
    if (v.n == 0)
        return 0;
    if (v.n > VALUE_MAX)
        v.n = VALUE_MAX;
    return written_cost(v) - drawn_cost(v);
}

int dr_secret__oddity(dr_str v)
{
    int cost = 0;

    for (size_t i = 0; i < v.n && i < VALUE_MAX; i++) {
        const unsigned cls = dr_secret__class[(uint8_t)v.s[i]];
        const unsigned prev = i ? dr_secret__class[(uint8_t)v.s[i - 1]] : 0;
        if (!(cls & DR_CH_ALNUM) && !memchr("_-./: ", v.s[i], 6))
            cost += COST_MARK + 2;
        else if ((cls & DR_CH_DIGIT) && (prev & DR_CH_ALPHA))
            cost += COST_TO_DIGIT;
        else if ((cls & DR_CH_ALPHA) && (prev & DR_CH_DIGIT))
            cost += COST_FROM_DIGIT;
        else if ((cls & DR_CH_UPPER) && (prev & DR_CH_LOWER))
            cost += COST_CAMEL - 1;
    }
    return cost;
}

/* Folded search for a word of lower-case letters and other bytes. */
static bool has_word(dr_str v, const char *word)
{
    const size_t n = strlen(word);

    for (size_t i = 0; i + n <= v.n; i++) {
        size_t k = 0;
        while (k < n && (v.s[i + k] == word[k] || (v.s[i + k] | 0x20) == word[k]))
            k++;
        if (k == n)
            return true;
    }
    return false;
}

/* Longest run in which each byte follows the one before it by the same step (0: repeated, 1: counted up, -1: down). */
static size_t longest_run(dr_str v, int step)
{
    size_t best = 1, run = 1;

    for (size_t i = 1; i < v.n; i++) {
        run = v.s[i] - v.s[i - 1] == step ? run + 1 : 1;
        best = run > best ? run : best;
    }
    return best;
}

static bool is_periodic(dr_str v)
{
    for (size_t period = 1; period <= 10 && 2 * period <= v.n; period++)
        if (memcmp(v.s, v.s + period, v.n - period) == 0)
            return true;
    return false;
}

size_t dr_secret__n_distinct(dr_str v)
{
    bool seen[256] = {false};
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++) {
        n += !seen[(uint8_t)v.s[i]];
        seen[(uint8_t)v.s[i]] = true;
    }
    return n;
}

bool dr_secret__is_placeholder(dr_str v)
{
    /* Four letters come about by chance once in 30,000 random keys of 40, so a shorter word would hide real ones. */
    static const char *const words[] = {
        "example", "sample", "dummy", "placeholder", "changeme", "change_", "change-", "replace", "your", "insert",
        "redacted", "masked", "hidden", "removed", "fake", "test", "mock", "demo", "todo", "fixme", "xxxx", "....",
        "****", "____", "----", "foobar", "foo_", "foo-", "qwerty", "asdf", "deadbeef", "cafebabe", "badc0ffee", "abc123",
        "abcabc", "123123", "112233", "none", "null", "undefined", "default", "secret", "password", "passwd", "passw0rd",
        "p4ssw0rd", "p@ssw", "pa$$w", "token", "hunter2", "letmein", "hello", "invalid", "incorrect", "wrong",
        "value", "string", "variable", "env.", "ENV[", "process.", "config", "apikey", "api_key", "api-key", "some",
        "correct", "horse", "quux", "bazbar", "lorem", "ipsum", "bogus", "stuff", "blah", "user", "admin", "guest", "generated",
    };

    if (v.n > VALUE_MAX)
        v.n = VALUE_MAX;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (has_word(v, words[i]))
            return true;
    for (size_t i = 0; i + 1 < v.n; i++)
        if (memchr("$#%@{<", v.s[i], 6) && memchr("{(<%[", v.s[i + 1], 5))
            return true; /* an expansion or template: ${VAR}, $(cmd), #{ruby}, {{x}}, <%= %>, %{x}, @(cs) */
    if (v.n >= 4 && has_word((dr_str){v.s, 4}, "pass"))
        return true;
    return longest_run(v, 0) >= 5 || longest_run(v, 1) >= 6 || longest_run(v, -1) >= 6 || is_periodic(v) ||
           dr_secret__n_distinct(v) < (v.n < 20 ? v.n / 3 + 1 : 7);
}

static bool is_uuid(dr_str v)
{
    if (v.n != 36)
        return false;
    for (size_t i = 0; i < v.n; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? v.s[i] != '-' : !dr_secret__is(v.s[i], DR_CH_HEX | DR_CH_HEXU))
            return false;
    return true;
}

bool dr_secret__is_public(dr_str v)
{
    static const char *const openings[] = {"sha1", "sha2", "sha3", "sha5", "sha-", "md5", "pbkdf2", "bcrypt", "scrypt",
                                           "argon2", "{sha", "{ssha", "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$",
                                           "$argon", "ssh-", "ecdsa-", "urn:", "data:", "aqicah", "enc["};

    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        const size_t n = strlen(openings[i]);
        if (v.n >= n && has_word((dr_str){v.s, n}, openings[i]))
            return true;
    }
    return is_uuid(v);
}

static int sextet(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

bool dr_secret__is_basic_login(dr_str v)
{
    char login[VALUE_MAX];
    size_t n = 0, colon = 0;
    unsigned bits = 0, n_bits = 0;

    while (v.n && v.s[v.n - 1] == '=')
        v.n--;
    if (v.n > VALUE_MAX)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        const int s = sextet(v.s[i]);
        if (s < 0)
            return false;
        bits = bits << 6 | (unsigned)s;
        if ((n_bits += 6) >= 8) {
            const char c = (char)(bits >> (n_bits -= 8) & 0xff);
            if (c < ' ' || c > '~')
                return false;
            if (c == ':' && !colon)
                colon = n;
            login[n++] = c;
        }
    }
    if (colon == 0 || n - colon - 1 < 5)
        return false;
    const dr_str password = {login + colon + 1, n - colon - 1};
    return !dr_secret__is_placeholder(password) &&
           (dr_secret__surprise(password) >= 4 || dr_secret__oddity(password) >= 10);
}
