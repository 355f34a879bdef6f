/* The list of fingerprints that a user accepts: sorted 64-bit numbers. */
#include "repo/secret_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ALLOW_BYTES_MAX = 1 << 20, FINGERPRINT_DIGITS = 16 };

struct dr_secret_allow {
    uint64_t *v; /* ascending, each once */
    size_t n;
};

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The 16 hex digits at s, either case. */
static bool parse_fingerprint(uint64_t *out, const char *s, size_t n)
{
    uint64_t v = 0;

    if (n != FINGERPRINT_DIGITS)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char c = s[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return false;
        v = v << 4 | (uint64_t)digit;
    }
    *out = v;
    return true;
}

static dr_status parse_list(dr_secret_allow *a, const char *path, dr_str text, dr_error *err)
{
    /* A line takes at least 16 bytes, so this is enough for all of them. */
    if (!(a->v = malloc((text.n / FINGERPRINT_DIGITS + 1) * sizeof *a->v)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
    size_t line = 1;
    for (size_t at = 0; at < text.n; line++) {
        const char *eol = memchr(text.s + at, '\n', text.n - at);
        const size_t next = eol ? (size_t)(eol - text.s) + 1 : text.n;
        size_t from = at, to = eol ? next - 1 : next;
        const char *comment = memchr(text.s + from, '#', to - from);
        if (comment)
            to = (size_t)(comment - text.s);
        while (from < to && strchr(" \t\r", text.s[from]) && text.s[from])
            from++;
        while (from < to && strchr(" \t\r", text.s[to - 1]) && text.s[to - 1])
            to--;
        if (from < to && !parse_fingerprint(&a->v[a->n], text.s + from, to - from))
            return dr_fail(err, DR_ERR_FORMAT, "%s:%zu: a fingerprint has 16 hex digits", path, line);
        a->n += from < to;
        at = next;
    }
    qsort(a->v, a->n, sizeof *a->v, by_value);
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        if (n == 0 || a->v[n - 1] != a->v[i])
            a->v[n++] = a->v[i];
    a->n = n;
    return DR_OK;
}

dr_status dr_secret_allow_open(dr_secret_allow **out, const char *path, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0};
    dr_secret_allow *a = NULL;
    struct stat sb;

    *out = NULL;
    if (!(a = calloc(1, sizeof *a))) {
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
        goto done;
    }
    if (stat(path, &sb) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
        if ((st = dr_read_file(&text, path, ALLOW_BYTES_MAX, err)) != DR_OK ||
            (st = parse_list(a, path, dr_buf_view(&text), err)) != DR_OK)
            goto done;
    }
    *out = a;
    a = NULL;
done:
    dr_buf_free(&text);
    dr_secret_allow_close(a);
    return st;
}

void dr_secret_allow_close(dr_secret_allow *a)
{
    if (!a)
        return;
    free(a->v);
    free(a);
}

dr_digest dr_secret_allow_digest(const dr_secret_allow *a)
{
    static const char tag[] = "deepread allowed secrets 1";
    dr_sha256_stream *s = dr_sha256_new();

    dr_sha256_update(s, tag, sizeof tag);
    for (size_t i = 0; a && i < a->n; i++) {
        uint8_t bytes[8];
        dr_store_u64(bytes, a->v[i]);
        dr_sha256_update(s, bytes, sizeof bytes);
    }
    return dr_sha256_finish(s);
}

bool dr_secret_allow__has(const dr_secret_allow *a, const char *fingerprint)
{
    uint64_t v;

    return a && a->n && parse_fingerprint(&v, fingerprint, FINGERPRINT_DIGITS) &&
           bsearch(&v, a->v, a->n, sizeof v, by_value);
}
