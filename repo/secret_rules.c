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

enum { ISSUED_SURPRISE = 6 }; /* the form is evidence enough; this leaves out words and drawings */

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
    while (to > end && (text.s[to - 1] == '.' || text.s[to - 1] == '-')) /* the end of a sentence, a rule of dashes */
        to--;
    if (to - end < rule->min || to - end > rule->max || (to < text.n && dr_secret__is(text.s[to], DR_CH_WORD)))
        return false;
    /* What a person would have made up is in the part behind the prefix; "sk_test_" itself is no reason. */
    const size_t prefix = end - at > 8 || rule->back ? 0 : end - at;
    const dr_str drawn = {text.s + at + prefix, to - at - prefix};
    if (dr_secret__is_placeholder(drawn) || dr_secret__surprise(drawn) < ISSUED_SURPRISE)
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

/* anchor, bucket, kind, alphabet, least and most bytes behind the anchor */
#define ISSUED(anchor, bucket, kind, alphabet, min, max)                                                              \
    {anchor, bucket, false, kind, match_issued, alphabet, min, max, 0}
#define BEFORE(anchor, bucket, kind, alphabet, min, max, back)                                                         \
    {anchor, bucket, false, kind, match_issued, alphabet, min, max, back}
#define FORM(anchor, bucket, kind, fn)        {anchor, bucket, false, kind, fn, 0, 0, 0, 0}
#define FORM_MIN(anchor, bucket, kind, fn, n) {anchor, bucket, false, kind, fn, 0, n, 0, 0}
/* word, bucket, kind, least length of a value, least surprise in bits, whether the word may also end another one */
#define NAMED(anchor, bucket, kind, min, surprise, loose)                                                              \
    {anchor, bucket, true, kind, dr_secret__match_assigned, 0, min, surprise, loose}

#define HEX_ANY (DR_CH_HEX | DR_CH_HEXU)

const dr_secret_rule dr_secret__rules[] = {
    /* key blocks */
    FORM("VATE KEY", 0, "private key", dr_secret__match_private_key),
    FORM("-Lines: ", 0, "private key", dr_secret__match_putty_key),
    ISSUED("AGE-SECR", 0, "age key", DR_CH_UPPER | DR_CH_DIGIT | DR_CH_DASH, 60, 70),

    /* clouds */
    ISSUED("AKIA", 1, "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("ASIA", 1, "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("ABIA", 1, "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("ACCA", 1, "aws access key", DR_CH_BASE32, 16, 16),
    ISSUED("LTAI", 1, "alibaba access key", DR_CH_ALNUM, 16, 20),
    ISSUED("AKID", 1, "tencent secret id", DR_CH_ALNUM, 32, 32),
    ISSUED("AIza", 1, "google api key", DR_CH_URL64, 35, 35),
    ISSUED("GOCSPX-", 0, "google client secret", DR_CH_URL64, 28, 28),
    ISSUED("ya29.", 3, "google oauth token", DR_CH_URL64, 30, 1024),
    ISSUED("1//0", 3, "google refresh token", DR_CH_URL64, 40, 256),
    BEFORE("\2Q~", 4, "azure client secret", DR_CH_URL64 | DR_CH_DOT | DR_CH_TILDE, 31, 34, 3),
    ISSUED("dop_v1_", 2, "digitalocean token", DR_CH_HEX, 64, 64),
    ISSUED("doo_v1_", 2, "digitalocean token", DR_CH_HEX, 64, 64),
    ISSUED("dor_v1_", 2, "digitalocean token", DR_CH_HEX, 64, 64),
    ISSUED("dapi\1\1\1\1", 2, "databricks token", DR_CH_HEX, 28, 28),
    ISSUED("HRKU-", 1, "heroku api key", DR_CH_URL64, 36, 64),
    ISSUED("FlyV1 fm", 0, "fly.io token", DR_CH_BASE64 | DR_CH_URL64 | DR_CH_EQUALS, 60, 1024),
    ISSUED("nfp_", 2, "netlify token", DR_CH_ALNUM, 36, 40),
    ISSUED("sbp_", 2, "supabase token", DR_CH_HEX, 40, 40),
    ISSUED("pul-", 2, "pulumi token", DR_CH_HEX, 40, 40),
    ISSUED("pscale_", 2, "planetscale token", DR_CH_URL64 | DR_CH_DOT, 36, 72),
    ISSUED("tskey-", 2, "tailscale key", DR_CH_URL64, 20, 80),
    ISSUED("hvs.\3\3", 3, "vault token", DR_CH_URL64, 22, 256),
    ISSUED("hvb.\3\3", 3, "vault token", DR_CH_URL64, 22, 256),
    BEFORE(".atlasv1", 0, "terraform token", DR_CH_URL64 | DR_CH_DOT, 60, 80, 14),
    ISSUED("dp.pt.\3\3", 3, "doppler token", DR_CH_ALNUM, 38, 44),

    /* hosts of code and of packages */
    ISSUED("ghp_", 2, "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("gho_", 2, "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("ghu_", 2, "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("ghs_", 2, "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("ghr_", 2, "github token", DR_CH_ALNUM, 36, 251),
    ISSUED("github_p", 0, "github token", DR_CH_WORD, 85, 85), /* github_pat_ */
    ISSUED("glpat-", 2, "gitlab token", DR_CH_URL64 | DR_CH_DOT, 20, 64),
    ISSUED("gldt-", 2, "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glrt-", 2, "gitlab token", DR_CH_URL64 | DR_CH_DOT, 20, 64),
    ISSUED("glcbt-", 2, "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glptt-", 2, "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glft-", 2, "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glsoat-", 2, "gitlab token", DR_CH_URL64, 20, 64),
    ISSUED("glagent-", 2, "gitlab token", DR_CH_URL64, 40, 64),
    ISSUED("GR134894", 1, "gitlab token", DR_CH_URL64, 21, 32),
    ISSUED("ATBB", 1, "bitbucket token", DR_CH_ALNUM, 24, 36),
    ISSUED("ATATT3xF", 0, "atlassian token", DR_CH_URL64 | DR_CH_EQUALS, 100, 256),
    ISSUED("npm_", 2, "npm token", DR_CH_ALNUM, 36, 36),
    ISSUED("pypi-AgE", 0, "pypi token", DR_CH_URL64, 50, 256),
    ISSUED("rubygems", 0, "rubygems key", DR_CH_HEX | DR_CH_UNDER, 49, 49),
    ISSUED("CLOJARS_", 0, "clojars token", DR_CH_ALNUM, 60, 60),
    ISSUED("dckr_pat", 0, "docker token", DR_CH_URL64, 25, 36),
    ISSUED("oy2\3\3\3\3\3", 5, "nuget key", DR_CH_LOWER | DR_CH_DIGIT, 38, 38),
    ISSUED("AKCp\3\3\3\3", 1, "artifactory key", DR_CH_ALNUM, 60, 72),
    ISSUED("lin_api_", 0, "linear key", DR_CH_ALNUM, 40, 40),
    ISSUED("PMAK-", 1, "postman key", DR_CH_URL64, 59, 59),
    ISSUED("sgp_", 2, "sourcegraph token", DR_CH_HEX | DR_CH_UNDER, 40, 64),

    /* messages, mail and payment */
    ISSUED("xoxb-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxp-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxa-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxr-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxs-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxe-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxe.", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxc-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    ISSUED("xoxd-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH | DR_CH_PERCENT, 24, 400),
    ISSUED("xapp-", 2, "slack token", DR_CH_ALNUM | DR_CH_DASH, 24, 256),
    FORM_MIN("ervices/", 0, "slack webhook", dr_secret__match_webhook, 24),
    FORM_MIN("ebhooks/", 0, "discord webhook", dr_secret__match_webhook, 60),
    FORM("\2:AA", 4, "telegram bot token", dr_secret__match_telegram),
    ISSUED("sk_live_", 0, "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("sk_test_", 0, "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("rk_live_", 0, "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("rk_test_", 0, "stripe key", DR_CH_ALNUM, 16, 250),
    ISSUED("whsec_", 2, "stripe webhook secret", DR_CH_BASE64, 32, 64),
    ISSUED("rzp_live", 0, "razorpay key", DR_CH_WORD, 15, 15),
    ISSUED("sq0atp-", 2, "square token", DR_CH_URL64, 22, 22),
    ISSUED("sq0csp-", 2, "square secret", DR_CH_URL64, 43, 43),
    ISSUED("SK\1\1\1\1\1\1", 5, "twilio api key", DR_CH_HEX, 26, 26),
    ISSUED("SG.\3", 4, "sendgrid key", DR_CH_URL64 | DR_CH_DOT, 60, 70),
    ISSUED("key-\1\1\1\1", 2, "mailgun key", DR_CH_HEX, 28, 28),
    BEFORE("\1\1-us\2", 4, "mailchimp key", DR_CH_HEX, 0, 1, 30),
    ISSUED("xkeysib-", 0, "brevo key", DR_CH_ALNUM | DR_CH_DASH, 80, 90),
    ISSUED("shpat_", 2, "shopify token", HEX_ANY, 32, 32),
    ISSUED("shpca_", 2, "shopify token", HEX_ANY, 32, 32),
    ISSUED("shppa_", 2, "shopify token", HEX_ANY, 32, 32),
    ISSUED("shpss_", 2, "shopify secret", HEX_ANY, 32, 32),
    ISSUED("figd_", 2, "figma token", DR_CH_URL64, 38, 48),
    ISSUED("ntn_\3\3\3\3", 2, "notion token", DR_CH_ALNUM, 40, 46),

    /* models and measurements */
    ISSUED("sk-ant-\3", 3, "anthropic key", DR_CH_URL64, 60, 160),
    ISSUED("sk-proj-", 3, "openai key", DR_CH_URL64, 40, 200),
    ISSUED("sk-svcac", 3, "openai key", DR_CH_URL64, 40, 200),
    ISSUED("sk-admin", 3, "openai key", DR_CH_URL64, 40, 200),
    ISSUED("sk-or-v1", 3, "openrouter key", DR_CH_HEX | DR_CH_DASH, 65, 65),
    ISSUED("sk-\3\3\3\3\3", 3, "model api key", DR_CH_ALNUM, 27, 59),
    ISSUED("hf_\3\3\3\3\3", 5, "hugging face token", DR_CH_ALNUM, 29, 35),
    ISSUED("r8_\3\3\3\3\3", 5, "replicate token", DR_CH_ALNUM, 32, 32),
    ISSUED("gsk_", 2, "groq key", DR_CH_ALNUM, 52, 52),
    ISSUED("xai-", 2, "xai key", DR_CH_ALNUM, 80, 80),
    ISSUED("pplx-", 2, "perplexity key", DR_CH_ALNUM, 40, 56),
    ISSUED("nvapi-", 2, "nvidia key", DR_CH_URL64, 60, 70),
    ISSUED("NRAK-", 1, "new relic key", DR_CH_UPPER | DR_CH_DIGIT, 27, 27),
    ISSUED("glsa_", 2, "grafana token", DR_CH_WORD, 40, 44),
    ISSUED("glc_eyJ", 2, "grafana token", DR_CH_BASE64 | DR_CH_EQUALS, 60, 400),
    ISSUED("sntrys_e", 0, "sentry token", DR_CH_BASE64 | DR_CH_EQUALS | DR_CH_UNDER, 60, 400),
    ISSUED("sntryu_", 2, "sentry token", DR_CH_HEX, 64, 64),
    ISSUED("sk.eyJ\3\3", 3, "mapbox token", DR_CH_URL64 | DR_CH_DOT, 60, 400),

    /* inside something larger */
    FORM("eyJ\3", 4, "json web token", dr_secret__match_jwt),
    FORM("://\3", 4, "password in an address", dr_secret__match_address),
    FORM("://:", 4, "password in an address", dr_secret__match_address),
    {"bearer ", 6, true, "bearer token", dr_secret__match_bearer, 0, 16, 14, 0},
    {"basic ", 6, true, "basic authorization", dr_secret__match_basic, 0, 0, 0, 0},
    {"\"auth\"", 6, true, "basic authorization", dr_secret__match_basic, 0, 0, 0, 0},
    {"_auth=", 6, true, "basic authorization", dr_secret__match_basic, 0, 0, 0, 0},

    /* names */
    NAMED("password", 6, "password", 6, 2, false),
    NAMED("passwd", 6, "password", 6, 2, false),
    NAMED("passphra", 6, "passphrase", 6, 2, false),
    NAMED("pass\4", 7, "password", 6, 4, true),
    NAMED("pwd\4", 7, "password", 6, 4, true),
    NAMED("fied by\4", 6, "password", 6, 4, false), /* IDENTIFIED BY '...' */
    NAMED("secret", 7, "secret", 10, 12, false),
    NAMED("token", 7, "token", 12, 14, false),
    NAMED("api_key", 6, "api key", 12, 12, false),
    NAMED("api-key", 6, "api key", 12, 12, false),
    NAMED("apikey", 6, "api key", 12, 12, false),
    NAMED("cess_key", 6, "access key", 12, 12, false),
    NAMED("cess-key", 6, "access key", 12, 12, false),
    NAMED("cesskey", 6, "access key", 12, 12, false),
    NAMED("vate_key", 6, "private key", 16, 16, false),
    NAMED("vatekey", 6, "private key", 16, 16, false),
    NAMED("ount_key", 6, "account key", 16, 16, false),
    NAMED("ountkey", 6, "account key", 16, 16, false),
    NAMED("tion_key", 6, "encryption key", 16, 16, false),
    NAMED("tionkey", 6, "encryption key", 16, 16, false),
    NAMED("ning_key", 6, "signing key", 16, 16, false),
    NAMED("auth_key", 6, "auth key", 12, 14, false),
    NAMED("authkey", 6, "auth key", 12, 14, false),
    NAMED("ster_key", 6, "master key", 16, 16, false),
    NAMED("sumerkey", 6, "consumer key", 12, 14, false),
    NAMED("umer_key", 6, "consumer key", 12, 14, false),
    NAMED("app_key", 6, "app key", 16, 14, false),
    NAMED("edential", 6, "credential", 10, 14, false),
};
const size_t dr_secret__n_rules = sizeof dr_secret__rules / sizeof dr_secret__rules[0];
