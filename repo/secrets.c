#include "repo/secrets.h"

#include "repo/secret_rules.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One pass looks for every anchor at once. Rules are put into 8 buckets; the state is a 64-bit word whose byte k has bit
 * b clear while the last k + 1 bytes read agree with the first k + 1 bytes (of 8, filled up in front by "any byte") of
 * some anchor of bucket b. A byte of text shifts the state by one place and ORs in its row. When the top byte has a
 * clear bit, a rule of that bucket may end here and its anchor is compared in full. About two cycles a byte, and no
 * byte is looked at twice before that. */
enum { ANCHOR_MAX = 8 };

static uint64_t filter[256];
static pthread_once_t filter_once = PTHREAD_ONCE_INIT;

static void filter_init(void)
{
    memset(filter, 0xff, sizeof filter);
    for (size_t i = 0; i < dr_secret__n_rules; i++) {
        const dr_secret_rule *rule = &dr_secret__rules[i];
        const size_t n = strlen(rule->anchor);
        for (size_t k = 0; k < ANCHOR_MAX; k++)
            for (unsigned byte = 0; byte < 256; byte++)
                if (k < ANCHOR_MAX - n || dr_secret__anchor_has(rule, k - (ANCHOR_MAX - n), (uint8_t)byte))
                    filter[byte] &= ~(UINT64_C(1) << (8 * k + rule->bucket));
    }
}

/* The first rule, in the table's order, whose anchor ends here and whose matcher agrees. */
static bool match_here(dr_secret_place *out, dr_str text, size_t floor, size_t end, unsigned open_buckets)
{
    for (size_t i = 0; i < dr_secret__n_rules; i++) {
        const dr_secret_rule *rule = &dr_secret__rules[i];
        if ((open_buckets >> rule->bucket & 1) && dr_secret__anchor_ends(rule, text, floor, end) &&
            rule->match(out, rule, text, floor, end - strlen(rule->anchor), end))
            return true;
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
        const unsigned open_buckets = (unsigned)(~state >> 56);
        dr_secret_place p;
        if (__builtin_expect(open_buckets == 0, 1) || !match_here(&p, text, floor, i + 1, open_buckets))
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
