/* The table of issuers' forms, and the matchers that need nothing but the form. */
#include "repo/secret_rules.h"

#include <string.h>

#define D (DR_CH_DIGIT | DR_CH_HEX)
#define H (DR_CH_LOWER | DR_CH_HEX)
#define L DR_CH_LOWER
#define U (DR_CH_UPPER | DR_CH_BASE32)
const uint16_t dr_secret__class[256] = {
    ['0'] = D, ['1'] = D, ['8'] = D, ['9'] = D,
    ['2'] = D | DR_CH_BASE32, ['3'] = D | DR_CH_BASE32, ['4'] = D | DR_CH_BASE32,
    ['5'] = D | DR_CH_BASE32, ['6'] = D | DR_CH_BASE32, ['7'] = D | DR_CH_BASE32,
    ['a'] = H, ['b'] = H, ['c'] = H, ['d'] = H, ['e'] = H, ['f'] = H,
    ['g'] = L, ['h'] = L, ['i'] = L, ['j'] = L, ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L, ['o'] = L, ['p'] = L,
    ['q'] = L, ['r'] = L, ['s'] = L, ['t'] = L, ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L, ['y'] = L, ['z'] = L,
    ['A'] = U, ['B'] = U, ['C'] = U, ['D'] = U, ['E'] = U, ['F'] = U, ['G'] = U, ['H'] = U, ['I'] = U, ['J'] = U,
    ['K'] = U, ['L'] = U, ['M'] = U, ['N'] = U, ['O'] = U, ['P'] = U, ['Q'] = U, ['R'] = U, ['S'] = U, ['T'] = U,
    ['U'] = U, ['V'] = U, ['W'] = U, ['X'] = U, ['Y'] = U, ['Z'] = U,
    ['_'] = DR_CH_UNDER, ['-'] = DR_CH_DASH, ['.'] = DR_CH_DOT, ['+'] = DR_CH_B64, ['/'] = DR_CH_B64,
    ['='] = DR_CH_EQUALS, ['%'] = DR_CH_PERCENT, [' '] = DR_CH_BLANK, ['\t'] = DR_CH_BLANK,
    ['\n'] = DR_CH_EOL, ['\r'] = DR_CH_EOL,
};
#undef D
#undef H
#undef L
#undef U

bool dr_secret__anchor_has(const dr_secret_rule *rule, size_t i, uint8_t byte)
{
    const char want = rule->anchor[i];

    switch (want) {
    case '\1': return dr_secret__is((char)byte, DR_CH_HEX);
    case '\2': return dr_secret__is((char)byte, DR_CH_DIGIT);
    case '\3': return dr_secret__is((char)byte, DR_CH_ALNUM);
    case '\4': return !dr_secret__is((char)byte, DR_CH_URL64);
    default: break;
    }
    if (rule->fold && want >= 'a' && want <= 'z' && (byte | 0x20) == (uint8_t)want)
        return true;
    return byte == (uint8_t)want;
}

/* May a key begin here? Not inside a longer word; "\nKEY" written as an escape in a string counts as a border. */
static bool border_before(dr_str text, size_t at)
{
    if (at == 0 || !dr_secret__is(text.s[at - 1], DR_CH_URL64 | DR_CH_B64))
        return true;
    return at >= 2 && text.s[at - 2] == '\\' && strchr("nrt", text.s[at - 1]);
}

/* PREFIX and then [min, max] bytes of an alphabet, and no word goes on behind them. */
static bool match_prefixed(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                           size_t end)
{
    size_t to = end;

    (void)floor;
    if (!border_before(text, at))
        return false;
    while (to < text.n && to - end <= rule->max && dr_secret__is(text.s[to], rule->alphabet))
        to++;
    if (to - end < rule->min || to - end > rule->max ||
        (to < text.n && dr_secret__is(text.s[to], DR_CH_WORD)))
        return false;
    *out = (dr_secret_place){at, to - at, rule->kind};
    return true;
}

#define PREFIXED(anchor, bucket, kind, alphabet, min, max)                                                             \
    {anchor, bucket, false, kind, match_prefixed, alphabet, min, max}

const dr_secret_rule dr_secret__rules[] = {
    PREFIXED("AKIA", 0, "aws access key", DR_CH_BASE32, 16, 16),
    PREFIXED("ASIA", 0, "aws access key", DR_CH_BASE32, 16, 16),
    PREFIXED("ghp_", 1, "github token", DR_CH_ALNUM, 36, 36),
};
const size_t dr_secret__n_rules = sizeof dr_secret__rules / sizeof dr_secret__rules[0];
