/* The table of issuers' forms, and the matchers that need nothing but the form. */
#include "repo/secret_rules.h"

#include <string.h>

#define D (DR_CH_DIGIT | DR_CH_HEX)
#define H (DR_CH_LOWER | DR_CH_HEX)
#define L DR_CH_LOWER
#define U (DR_CH_UPPER | DR_CH_BASE32)
#define X (DR_CH_UPPER | DR_CH_BASE32 | DR_CH_HEXU)
const uint16_t dr_secret__class[256] = {
    ['0'] = D, ['1'] = D, ['8'] = D, ['9'] = D,
    ['2'] = D | DR_CH_BASE32, ['3'] = D | DR_CH_BASE32, ['4'] = D | DR_CH_BASE32,
    ['5'] = D | DR_CH_BASE32, ['6'] = D | DR_CH_BASE32, ['7'] = D | DR_CH_BASE32,
    ['a'] = H, ['b'] = H, ['c'] = H, ['d'] = H, ['e'] = H, ['f'] = H,
    ['g'] = L, ['h'] = L, ['i'] = L, ['j'] = L, ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L, ['o'] = L, ['p'] = L,
    ['q'] = L, ['r'] = L, ['s'] = L, ['t'] = L, ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L, ['y'] = L, ['z'] = L,
    ['A'] = X, ['B'] = X, ['C'] = X, ['D'] = X, ['E'] = X, ['F'] = X, ['G'] = U, ['H'] = U, ['I'] = U, ['J'] = U,
    ['K'] = U, ['L'] = U, ['M'] = U, ['N'] = U, ['O'] = U, ['P'] = U, ['Q'] = U, ['R'] = U, ['S'] = U, ['T'] = U,
    ['U'] = U, ['V'] = U, ['W'] = U, ['X'] = U, ['Y'] = U, ['Z'] = U,
    ['_'] = DR_CH_UNDER, ['-'] = DR_CH_DASH, ['.'] = DR_CH_DOT, ['+'] = DR_CH_B64, ['/'] = DR_CH_B64,
    ['='] = DR_CH_EQUALS, ['~'] = DR_CH_TILDE, ['%'] = DR_CH_PERCENT, [' '] = DR_CH_BLANK, ['\t'] = DR_CH_BLANK,
    ['\n'] = DR_CH_EOL, ['\r'] = DR_CH_EOL,
};
#undef D
#undef H
#undef L
#undef U
#undef X

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

bool dr_secret__anchor_ends(const dr_secret_rule *rule, dr_str text, size_t floor, size_t end)
{
    const size_t n = strlen(rule->anchor);

    if (end - floor < n)
        return false;
    for (size_t i = n; i-- > 0;) /* the last byte differs most often: the buckets are cut by openings */
        if (!dr_secret__anchor_has(rule, i, (uint8_t)text.s[end - n + i]))
            return false;
    return true;
}

/* May a key begin here? Not inside a longer word; "\nKEY" written as an escape in a string counts as a border. */
static bool border_before(dr_str text, size_t at)
{
    if (at == 0 || !dr_secret__is(text.s[at - 1], DR_CH_URL64 | DR_CH_B64))
        return true;
    if (text.s[at - 1] == '/') /* https://KEY@host: in base64 a slash has letters before it */
        return at >= 2 && text.s[at - 2] == '/';
    return at >= 2 && text.s[at - 2] == '\\' && memchr("nrt", text.s[at - 1], 3);
}

enum { ISSUED_SURPRISE = -8 }; /* the form is evidence enough; this leaves out words and drawings */

/* Slack's keys are numbers of ten digits and more, which look chosen, and then the part that was drawn. */
static bool drawn_at_the_end(dr_str s)
{
    size_t at = s.n;
    while (at > 0 && s.s[at - 1] != '-')
        at--;
    const dr_str last = {s.s + at, s.n - at};
    return at > 0 && last.n >= 16 && !dr_secret__is_placeholder(last) && dr_secret__surprise(last) >= ISSUED_SURPRISE;
}

/* BACK bytes, PREFIX and then [min, max] bytes of an alphabet, and no word goes on behind them. */
static bool match_issued(dr_secret_place *out, const dr_secret_rule *rule, dr_str text, size_t floor, size_t at,
                         size_t end)
{
    size_t to = end;

    if (at - floor < rule->back)
        return false;
    for (size_t i = 1; i <= rule->back; i++)
        if (!dr_secret__is(text.s[at - i], rule->alphabet))
            return false;
    at -= rule->back;
    if (!border_before(text, at))
        return false;
    while (to < text.n && to - end <= rule->max && dr_secret__is(text.s[to], rule->alphabet))
        to++;
    while (to - end > rule->min && (text.s[to - 1] == '.' || text.s[to - 1] == '-')) /* the end of a sentence */
        to--;
    if (to - end < rule->min || to - end > rule->max || (to < text.n && dr_secret__is(text.s[to], DR_CH_WORD)))
        return false;
    /* What a person would have made up is in the part behind the prefix; "sk_test_" itself is no reason. */
    dr_str drawn = rule->back >= rule->min ? (dr_str){text.s + at, rule->back} : (dr_str){text.s + end, to - end};
    while (drawn.n && dr_secret__is(drawn.s[0], DR_CH_UNDER | DR_CH_DASH))
        drawn.s++, drawn.n--;
    if (dr_secret__is_placeholder(drawn) || (dr_secret__surprise(drawn) < ISSUED_SURPRISE && !drawn_at_the_end(drawn)))
        return false;
    *out = (dr_secret_place){at, to - at, rule->kind};
    return true;
}

bool dr_secret__issued_at(dr_str text, size_t at)
{
    dr_secret_place p;

    for (size_t i = 0; i < dr_secret__n_rules; i++) {
        const dr_secret_rule *rule = &dr_secret__rules[i];
        const size_t end = at + rule->back + strlen(rule->anchor);
        if ((rule->match == match_issued || rule->match == dr_secret__match_jwt) && end <= text.n &&
            dr_secret__anchor_ends(rule, text, at, end) && rule->match(&p, rule, text, at, at + rule->back, end) &&
            p.at == at)
            return true;
    }
    return false;
}

/* anchor, kind, alphabet, least and most bytes behind the anchor */
#define ISSUED(anchor, kind, alphabet, min, max)                                                              \
    {anchor, false, kind, match_issued, alphabet, min, max, 0}
#define BEFORE(anchor, kind, alphabet, min, max, back)                                                         \
    {anchor, false, kind, match_issued, alphabet, min, max, back}
#define FORM(anchor, kind, fn)        {anchor, false, kind, fn, 0, 0, 0, 0}
#define FORM_MIN(anchor, kind, fn, n) {anchor, false, kind, fn, 0, n, 0, 0}
/* word, kind, least length of a value, least surprise in bits, whether the word may also end another one */
#define NAMED(anchor, kind, min, surprise, loose)                                                              \
    {anchor, true, kind, dr_secret__match_assigned, 0, min, surprise, loose}

#define HEX_ANY (DR_CH_HEX | DR_CH_HEXU)

const dr_secret_rule dr_secret__rules[] = {
    /* key blocks */
    FORM("VATE KEY", "private key", dr_secret__match_private_key),
    FORM("-Lines: ", "private key", dr_secret__match_putty_key),
    ISSUED("AGE-SECR", "age key", DR_CH_UPPER | DR_CH_DIGIT | DR_CH_DASH, 60, 70),

    /* clouds */
    ISSUED("AKIA", "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("ASIA", "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("ABIA", "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("ACCA", "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("LTAI", "alibaba access key", DR_CH_ALNUM, 16, 20),
    ISSUED("AKID", "tencent secret id", DR_CH_ALNUM, 32, 32),
    ISSUED("AIza", "google api key", DR_CH_URL64, 35, 35),
    ISSUED("GOCSPX-", "google client secret", DR_CH_URL64, 28, 28),
    ISSUED("ya29.", "google oauth token", DR_CH_URL64, 30, 1024),
    ISSUED("1//0", "google refresh token", DR_CH_URL64, 40, 256),
    BEFORE("\2Q~", "azure client secret", DR_CH_URL64 | DR_CH_DOT | DR_CH_TILDE, 31, 34, 3),
    ISSUED("dop_v1_", "digitalocean token", DR_CH_HEX, 64, 64),
    ISSUED("doo_v1_", "digitalocean token", DR_CH_HEX, 64, 64),
    ISSUED("dor_v1_", "digitalocean token", DR_CH_HEX, 64, 64),
    ISSUED("dapi\1\1\1\1", "databricks token", DR_CH_HEX, 28, 28),
    ISSUED("HRKU-", "heroku api key", DR_CH_URL64, 36, 64),
    ISSUED("FlyV1 fm", "fly.io token", DR_CH_BASE64 | DR_CH_URL64 | DR_CH_EQUALS, 60, 1024),
    ISSUED("nfp_", "netlify token", DR_CH_ALNUM, 36, 40),
    ISSUED("sbp_", "supabase token", DR_CH_HEX, 40, 40),
    ISSUED("pul-", "pulumi token", DR_CH_HEX, 40, 40),
    ISSUED("pscale_", "planetscale token", DR_CH_URL64 | DR_CH_DOT, 36, 72),
    ISSUED("tskey-", "tailscale key", DR_CH_URL64, 20, 80),
    ISSUED("hvs.\3\3", "vault token", DR_CH_URL64, 22, 256),
    ISSUED("hvb.\3\3", "vault token", DR_CH_URL64, 22, 256),
    BEFORE(".atlasv1", "terraform token", DR_CH_URL64 | DR_CH_DOT, 60, 80, 14),
    ISSUED("dp.pt.\3\3", "doppler token", DR_CH_ALNUM, 38, 44),

    /* hosts of code and of packages */
    ISSUED("ghp_", "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("gho_", "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("ghu_", "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("ghs_", "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("ghr_", "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("github_p", "github token", DR_CH_WORD, 85, 85), /* github_pat_ */
    ISSUED("glpat-", "gitlab token", DR_CH_URL64 | DR_CH_DOT, 20, 64),
    ISSUED("gldt-", "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glrt-", "gitlab token", DR_CH_URL64 | DR_CH_DOT, 20, 64),
    ISSUED("glcbt-", "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glptt-", "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glft-", "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glsoat-", "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glagent-", "gitlab token", DR_CH_URL64, 40, 64),
    ISSUED("GR134894", "gitlab token", DR_CH_URL64, 21, 32),
    ISSUED("ATBB", "bitbucket token", DR_CH_ALNUM, 24, 36),
    ISSUED("ATATT3xF", "atlassian token", DR_CH_URL64 | DR_CH_EQUALS, 100, 256),
    ISSUED("npm_", "npm token", DR_CH_ALNUM, 36, 36),
    ISSUED("pypi-AgE", "pypi token", DR_CH_URL64, 50, 256),
    ISSUED("rubygems", "rubygems key", DR_CH_HEX | DR_CH_UNDER, 49, 49),
    ISSUED("CLOJARS_", "clojars token", DR_CH_ALNUM, 60, 60),
    ISSUED("dckr_pat", "docker token", DR_CH_URL64, 25, 36),
    ISSUED("oy2\3\3\3\3\3", "nuget key", DR_CH_LOWER | DR_CH_DIGIT, 38, 38),
    ISSUED("AKCp\3\3\3\3", "artifactory key", DR_CH_ALNUM, 60, 72),
    ISSUED("lin_api_", "linear key", DR_CH_ALNUM, 40, 40),
    ISSUED("PMAK-", "postman key", DR_CH_URL64, 59, 59),
    ISSUED("sgp_", "sourcegraph token", DR_CH_HEX | DR_CH_UNDER, 40, 64),

    /* messages, mail and payment */
    ISSUED("xoxb-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxp-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxa-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxr-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxs-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxe-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxe.", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxc-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxd-", "slack token", DR_CH_ALNUM | DR_CH_DASH | DR_CH_PERCENT, 24, 400),
    ISSUED("xapp-", "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    FORM_MIN("ervices/", "slack webhook", dr_secret__match_webhook, 24),
    FORM_MIN("ebhooks/", "discord webhook", dr_secret__match_webhook, 60),
    FORM("\2:AA", "telegram bot token", dr_secret__match_telegram),
    ISSUED("sk_live_", "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("sk_test_", "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("rk_live_", "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("rk_test_", "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("whsec_", "stripe webhook secret", DR_CH_BASE64, 32, 64),
    ISSUED("rzp_live", "razorpay key", DR_CH_WORD, 15, 15),
    ISSUED("sq0atp-", "square token", DR_CH_URL64, 22, 22),
    ISSUED("sq0csp-", "square secret", DR_CH_URL64, 43, 43),
    ISSUED("SK\1\1\1\1\1\1", "twilio api key", DR_CH_HEX, 26, 26),
    ISSUED("SG.\3", "sendgrid key", DR_CH_URL64 | DR_CH_DOT, 60, 70),
    ISSUED("key-\1\1\1\1", "mailgun key", DR_CH_HEX, 28, 28),
    BEFORE("\1\1-us\2", "mailchimp key", DR_CH_HEX, 0, 1, 30),
    ISSUED("xkeysib-", "brevo key", DR_CH_ALNUM | DR_CH_DASH, 80, 90),
    ISSUED("shpat_", "shopify token", HEX_ANY, 32, 32),
    ISSUED("shpca_", "shopify token", HEX_ANY, 32, 32),
    ISSUED("shppa_", "shopify token", HEX_ANY, 32, 32),
    ISSUED("shpss_", "shopify secret", HEX_ANY, 32, 32),
    ISSUED("figd_", "figma token", DR_CH_URL64, 38, 48),
    ISSUED("ntn_\3\3\3\3", "notion token", DR_CH_ALNUM, 40, 46),

    /* models and measurements */
    ISSUED("sk-ant-\3", "anthropic key", DR_CH_URL64, 60, 160),
    ISSUED("sk-proj-", "openai key", DR_CH_URL64, 40, 200),
    ISSUED("sk-svcac", "openai key", DR_CH_URL64, 40, 200),
    ISSUED("sk-admin", "openai key", DR_CH_URL64, 40, 200),
    ISSUED("sk-or-v1", "openrouter key", DR_CH_HEX | DR_CH_DASH, 65, 65),
    ISSUED("sk-\3\3\3\3\3", "model api key", DR_CH_ALNUM, 27, 59),
    ISSUED("hf_\3\3\3\3\3", "hugging face token", DR_CH_ALNUM, 29, 35),
    ISSUED("r8_\3\3\3\3\3", "replicate token", DR_CH_ALNUM, 32, 32),
    ISSUED("gsk_", "groq key", DR_CH_ALNUM, 52, 52),
    ISSUED("xai-", "xai key", DR_CH_ALNUM, 80, 80),
    ISSUED("pplx-", "perplexity key", DR_CH_ALNUM, 40, 56),
    ISSUED("nvapi-", "nvidia key", DR_CH_URL64, 60, 70),
    ISSUED("NRAK-", "new relic key", DR_CH_UPPER | DR_CH_DIGIT, 27, 27),
    ISSUED("glsa_", "grafana token", DR_CH_WORD, 40, 44),
    ISSUED("glc_eyJ", "grafana token", DR_CH_BASE64 | DR_CH_EQUALS, 60, 400),
    ISSUED("sntrys_e", "sentry token", DR_CH_BASE64 | DR_CH_EQUALS | DR_CH_UNDER, 60, 400),
    ISSUED("sntryu_", "sentry token", DR_CH_HEX, 64, 64),
    ISSUED("sk.eyJ\3\3", "mapbox token", DR_CH_URL64 | DR_CH_DOT, 60, 400),

    /* inside something larger */
    FORM("eyJ\3", "json web token", dr_secret__match_jwt),
    FORM("://\3", "password in an address", dr_secret__match_address),
    FORM("://:", "password in an address", dr_secret__match_address),
    {"bearer ", true, "bearer token", dr_secret__match_bearer, 0, 16, 5, 0},
    {"basic ", true, "basic authorization", dr_secret__match_basic, 0, 0, 0, 0},
    {"\"auth\"", true, "basic authorization", dr_secret__match_basic, 0, 0, 0, 0},
    {"_auth=", true, "basic authorization", dr_secret__match_basic, 0, 0, 0, 0},

    /* names */
    NAMED("password", "password", 6, 2, false),
    NAMED("passwd", "password", 6, 2, false),
    NAMED("passphra", "passphrase", 6, 2, false),
    NAMED("pass\4", "password", 6, 4, true),
    NAMED("pwd\4", "password", 6, 4, true),
    NAMED("fied by\4", "password", 6, 4, false), /* IDENTIFIED BY '...' */
    NAMED("secret", "secret", 10, 5, false),
    NAMED("token", "token", 12, 5, false),
    NAMED("api_key", "api key", 12, 5, false),
    NAMED("api-key", "api key", 12, 5, false),
    NAMED("apikey", "api key", 12, 5, false),
    NAMED("cess_key", "access key", 12, 5, false),
    NAMED("cess-key", "access key", 12, 5, false),
    NAMED("cesskey", "access key", 12, 5, false),
    NAMED("vate_key", "private key", 16, 5, false),
    NAMED("vatekey", "private key", 16, 5, false),
    NAMED("ount_key", "account key", 16, 5, false),
    NAMED("ountkey", "account key", 16, 5, false),
    NAMED("tion_key", "encryption key", 16, 5, false),
    NAMED("tionkey", "encryption key", 16, 5, false),
    NAMED("ning_key", "signing key", 16, 5, false),
    NAMED("auth_key", "auth key", 12, 5, false),
    NAMED("authkey", "auth key", 12, 5, false),
    NAMED("ster_key", "master key", 16, 5, false),
    NAMED("sumerkey", "consumer key", 12, 5, false),
    NAMED("umer_key", "consumer key", 12, 5, false),
    NAMED("app_key", "app key", 16, 5, false),
    NAMED("edential", "credential", 10, 5, false),
};
const size_t dr_secret__n_rules = sizeof dr_secret__rules / sizeof dr_secret__rules[0];
