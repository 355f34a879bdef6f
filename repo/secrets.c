#include "repo/secrets.h"

#include "repo/secret_rules.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One pass looks for every anchor at once. The rules are dealt into 8 buckets; the state is a 64-bit word whose byte k
 * has bit b clear while the last k + 1 bytes read agree with the first k + 1 bytes (of 8, filled up in front by "any
 * byte") of bucket b. A byte of text shifts the state by one place and ORs in its row: about two cycles. When the top
 * byte has a clear bit, a rule of that bucket may end here; which, four tables of sets of rules by the last four
 * bytes tell, and only then is an anchor compared. */
enum { ANCHOR_MAX = 8, BUCKETS = 8, NEAR = 4, SET_WORDS = 3, RULES_MAX = 64 * SET_WORDS };

static uint64_t filter[256];
static uint64_t rules_by_byte[NEAR][256][SET_WORDS]; /* [0]: by the last byte of the anchor */
static pthread_once_t filter_once = PTHREAD_ONCE_INIT;

/* About how often a byte stands in source text, in thousandths, for dealing out the rules. */
static float byte_weight(unsigned byte)
{
    static const uint8_t letters[26] = {41, 9, 26, 25, 78, 18, 12, 14, 47, 2, 6, 29, 18,
                                        47, 42, 20, 2, 47, 45, 60, 20, 8, 6, 6, 9, 2};
    const char c = (char)byte;

    return dr_secret__is(c, DR_CH_LOWER)               ? (float)letters[byte - 'a']
           : c == ' '                                  ? 150
           : dr_secret__is(c, DR_CH_UPPER)             ? 5
           : dr_secret__is(c, DR_CH_DIGIT | DR_CH_EOL) ? 12
           : dr_secret__is(c, DR_CH_UNDER)             ? 22
           : byte > ' ' && byte < 0x7f                 ? 7
                                                       : 1;
}

/* The bytes that may stand at place i of an anchor. Returns how many. */
static unsigned bytes_at(uint8_t out[256], const dr_secret_rule *rule, size_t i)
{
    const uint8_t want = (uint8_t)rule->anchor[i];
    unsigned n = 0;

    if (want > '\4') { /* nearly all: worth not asking 256 times */
        out[n++] = want;
        if (dr_secret__anchor_has(rule, i, want ^ 0x20))
            out[n++] = want ^ 0x20;
        return n;
    }
    for (unsigned byte = 0; byte < 256; byte++)
        if (dr_secret__anchor_has(rule, i, (uint8_t)byte))
            out[n++] = (uint8_t)byte;
    return n;
}

/* Puts rule i where it adds least to the chance that a bucket takes text for a hit, that is the product over the places
 * of the chance that a byte of any of its anchors stands there. */
static void deal(float chance[BUCKETS][ANCHOR_MAX], const dr_secret_rule *rule)
{
    const size_t pad = ANCHOR_MAX - strlen(rule->anchor);
    float with[BUCKETS][ANCHOR_MAX], best = 2;
    uint8_t bytes[256];
    unsigned to = 0;

    memcpy(with, chance, sizeof with);
    for (size_t k = 0; k < ANCHOR_MAX; k++) {
        const unsigned n = k < pad ? 0 : bytes_at(bytes, rule, k - pad);
        for (unsigned b = 0; b < BUCKETS; b++) {
            for (unsigned i = 0; i < n; i++)
                if (filter[bytes[i]] >> (8 * k + b) & 1)
                    with[b][k] += byte_weight(bytes[i]) / 1000;
            with[b][k] = k < pad || with[b][k] > 1 ? 1 : with[b][k];
        }
    }
    for (unsigned b = 0; b < BUCKETS; b++) {
        float before = 1, after = 1;
        for (size_t k = 0; k < ANCHOR_MAX; k++) {
            before *= chance[b][k];
            after *= with[b][k];
        }
        if (after - before < best) {
            best = after - before;
            to = b;
        }
    }
    memcpy(chance[to], with[to], sizeof with[to]);
    for (size_t k = 0; k < ANCHOR_MAX; k++) {
        const unsigned n = k < pad ? 256 : bytes_at(bytes, rule, k - pad);
        for (unsigned i = 0; i < n; i++)
            filter[k < pad ? i : bytes[i]] &= ~(UINT64_C(1) << (8 * k + to));
    }
}

static void filter_init(void)
{
    float chance[BUCKETS][ANCHOR_MAX] = {{0}}, own[RULES_MAX];
    uint8_t order[RULES_MAX], bytes[256];
    const size_t n_rules = dr_secret__n_rules < RULES_MAX ? dr_secret__n_rules : RULES_MAX;

    memset(filter, 0xff, sizeof filter);
    for (size_t i = 0; i < n_rules; i++) {
        const dr_secret_rule *rule = &dr_secret__rules[i];
        const size_t length = strlen(rule->anchor);
        own[i] = 1;
        for (size_t k = 0; k < ANCHOR_MAX; k++) { /* from the last byte back */
            const unsigned n = k < length ? bytes_at(bytes, rule, length - 1 - k) : 256;
            float chance_here = k < length ? 0 : 1;
            for (unsigned j = 0; j < n; j++) {
                const unsigned byte = k < length ? bytes[j] : j;
                if (k < NEAR)
                    rules_by_byte[k][byte][i / 64] |= UINT64_C(1) << i % 64;
                if (k < length)
                    chance_here += byte_weight(byte) / 1000;
            }
            own[i] *= chance_here;
        }
        size_t at = i;
        for (; at > 0 && own[order[at - 1]] < own[i]; at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
    /* The likeliest rules first: they take a bucket of their own, and the rare ones find the least harm. */
    for (size_t i = 0; i < n_rules; i++)
        deal(chance, &dr_secret__rules[order[i]]);
}

/* The first rule in the table's order whose anchor ends here and whose matcher agrees. */
static bool match_here(dr_secret_place *out, dr_str text, size_t floor, size_t end)
{
    const uint8_t *last = (const uint8_t *)text.s + end - 1;

    if (end - floor < 3)
        return false;
    const unsigned fourth = end >= 4 ? last[-3] : '\n';
    for (unsigned w = 0; w < SET_WORDS; w++) {
        uint64_t set = rules_by_byte[0][last[0]][w] & rules_by_byte[1][last[-1]][w] & rules_by_byte[2][last[-2]][w] &
                       rules_by_byte[3][fourth][w];
        for (; set; set &= set - 1) {
            const dr_secret_rule *rule = &dr_secret__rules[64 * w + (unsigned)__builtin_ctzll(set)];
            if (dr_secret__anchor_ends(rule, text, floor, end) &&
                rule->match(out, rule, text, floor, end - strlen(rule->anchor), end))
                return true;
        }
    }
    return false;
}

static bool fingerprint(char out[17], const char *kind, dr_str secret)
{
    static const char tag[] = "deepread secret 1";
    dr_sha256_stream *s = dr_sha256_new();
    char hex[65];

    if (!s)
        return false;
    dr_sha256_update(s, tag, sizeof tag);
    dr_sha256_update(s, kind, strlen(kind) + 1);
    dr_sha256_update(s, secret.s, secret.n);
    const dr_digest d = dr_sha256_finish(s);
    dr_digest_hex(hex, &d);
    memcpy(out, hex, 16);
    out[16] = 0;
    return true;
}

static uint32_t count_newlines(const char *s, size_t n)
{
    uint32_t lines = 0;
    for (const char *p = s, *e = s + n; p < e && (p = memchr(p, '\n', (size_t)(e - p))); p++)
        lines++;
    return lines;
}

static dr_status add_place(dr_secrets *out, dr_str text, const dr_secret_place *p, uint32_t line, dr_error *err)
{
    if (out->n == out->cap) {
        const size_t cap = out->cap ? 2 * out->cap : 8;
        dr_secret *v = realloc(out->v, cap * sizeof *v);
        if (!v)
            return dr_fail(err, DR_ERR_NOMEM, "secrets: out of memory");
        out->v = v;
        out->cap = cap;
    }
    dr_secret *s = &out->v[out->n++];
    *s = (dr_secret){.at = p->at, .n = p->n, .line = line, .kind = p->kind};
    if (!fingerprint(s->fingerprint, p->kind, (dr_str){text.s + p->at, p->n}))
        return dr_fail(err, DR_ERR_NOMEM, "secrets: out of memory");
    return DR_OK;
}

dr_status dr_secrets_scan(dr_secrets *out, dr_str text, const dr_secret_allow *allow, dr_error *err)
{
    size_t floor = 0, counted = 0; /* places begin at floor or later; newlines are counted up to `counted` */
    uint32_t line = 1;
    uint64_t state = UINT64_MAX;

    out->n = 0;
    (void)pthread_once(&filter_once, filter_init);
    /* As if newlines stood before the text, so that an anchor shorter than 8 bytes can stand at its very start. */
    for (int i = 0; i < ANCHOR_MAX; i++)
        state = state << 8 | filter['\n'];

    for (size_t i = 0; i < text.n; i++) {
        state = state << 8 | filter[(uint8_t)text.s[i]];
        dr_secret_place p;
        if (__builtin_expect(state >> 56 == 0xff, 1) || !match_here(&p, text, floor, i + 1))
            continue;
        line += count_newlines(text.s + counted, p.at - counted);
        counted = p.at;
        floor = p.at + p.n;
        const dr_status st = add_place(out, text, &p, line, err);
        if (st != DR_OK)
            return st;
        if (dr_secret_allow__has(allow, out->v[out->n - 1].fingerprint))
            out->n--;
        if (floor > i + 1) { /* go on behind the place, as if a new text began there */
            i = floor - 1;
            for (int k = 0; k < ANCHOR_MAX; k++)
                state = state << 8 | filter['\n'];
        }
    }
    return DR_OK;
}

void dr_secrets_fini(dr_secrets *s)
{
    free(s->v);
    *s = (dr_secrets){0};
}

dr_status dr_secrets_mask(dr_buf *out, dr_str text, const dr_secrets *s, dr_error *err)
{
    size_t done = 0;

    for (size_t i = 0; i < s->n; i++) {
        const dr_secret *p = &s->v[i];
        dr_buf_add(out, text.s + done, p->at - done);
        dr_buf_str(out, "[masked: ");
        dr_buf_str(out, p->kind);
        dr_buf_str(out, "]");
        for (uint32_t k = count_newlines(text.s + p->at, p->n); k > 0; k--)
            dr_buf_add(out, "\n", 1);
        done = p->at + p->n;
    }
    dr_buf_add(out, text.s + done, text.n - done);
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "secrets: out of memory") : DR_OK;
}
