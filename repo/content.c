#include "repo/content.h"

#include "repo/classify.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

enum {
    BINARY_WINDOW = 8000, /* git's own: buffer_is_binary looks this far */
    LFS_MAX_BYTES = 1024, /* by its specification */
    MAX_ENCODING_NAME = 40,
};

static const char lfs_start[] = "version https://git-lfs.github.com/spec/";

bool dr_content__is_text(dr_content_kind kind)
{
    return kind <= DR_CONTENT_NAMED;
}

bool dr_content__is_converted(dr_content_kind kind)
{
    return kind >= DR_CONTENT_UTF16 && kind <= DR_CONTENT_NAMED;
}

static bool starts_with(dr_str s, const char *start, size_t n)
{
    return s.n >= n && memcmp(s.s, start, n) == 0;
}

uint64_t dr_content__lfs_size(dr_str pointer)
{
    static const char field[] = "\nsize ";
    const char *at = pointer.n ? memmem(pointer.s, pointer.n, field, sizeof field - 1) : NULL;
    uint64_t size = 0;

    if (!at)
        return 0;
    const char *end = pointer.s + pointer.n;
    for (at += sizeof field - 1; at < end && *at >= '0' && *at <= '9' && size < UINT64_MAX / 16; at++)
        size = 10 * size + (uint64_t)(*at - '0');
    return size;
}

/* Converted text gathers here, so that the buffer grows in steps worth their call. */
typedef struct sink {
    dr_buf *out;
    char room[4096];
    size_t n;
} sink;

static void flush(sink *s)
{
    dr_buf_add(s->out, s->room, s->n);
    s->n = 0;
}

static void put(sink *s, uint32_t c)
{
    if (s->n + 4 > sizeof s->room)
        flush(s);
    char *p = s->room + s->n;
    if (c < 0x80) {
        p[0] = (char)c;
        s->n += 1;
    } else if (c < 0x800) {
        p[0] = (char)(0xc0 | c >> 6);
        p[1] = (char)(0x80 | (c & 0x3f));
        s->n += 2;
    } else if (c < 0x10000) {
        p[0] = (char)(0xe0 | c >> 12);
        p[1] = (char)(0x80 | (c >> 6 & 0x3f));
        p[2] = (char)(0x80 | (c & 0x3f));
        s->n += 3;
    } else {
        p[0] = (char)(0xf0 | c >> 18);
        p[1] = (char)(0x80 | (c >> 12 & 0x3f));
        p[2] = (char)(0x80 | (c >> 6 & 0x3f));
        p[3] = (char)(0x80 | (c & 0x3f));
        s->n += 4;
    }
}

/* False: an odd number of bytes, half of a surrogate pair, or a NUL: whatever it is, it is not text. */
static bool from_utf16(dr_buf *out, dr_str bytes)
{
    const uint8_t *b = (const uint8_t *)bytes.s;
    const size_t high = b[0] == 0xfe ? 0 : 1; /* of the two bytes of a unit */
    sink s = {.out = out};

    if (bytes.n % 2)
        return false;
    for (size_t i = 2; i < bytes.n; i += 2) {
        uint32_t c = (uint32_t)b[i + high] << 8 | b[i + 1 - high];
        if (c == 0 || (c >= 0xdc00 && c < 0xe000))
            return false;
        if (c >= 0xd800 && c < 0xdc00) {
            if (i + 4 > bytes.n)
                return false;
            const uint32_t low = (uint32_t)b[i + 2 + high] << 8 | b[i + 3 - high];
            if (low < 0xdc00 || low >= 0xe000)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        put(&s, c);
    }
    flush(&s);
    return true;
}

/* 0x80 to 0x9f; 0: not assigned. Above, a byte is its own code point. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

/* Bytes of 0x80 to 0x9f that people do write: euro, ellipsis, quotes, bullet, dashes, trade mark. The rest of that
 * range is where Shift-JIS, GBK and KOI8 text has much of its bytes. */
static bool is_common_mark(uint8_t b)
{
    return b == 0x80 || b == 0x85 || (b >= 0x91 && b <= 0x97) || b == 0x99;
}

/* Whether bytes that are not UTF-8 read like text of Western Europe. The shares were chosen on the strings of the
 * test: French and German lists of words stay under a tenth on both counts, the others are above a half on one. */
static bool reads_like_1252(dr_str bytes)
{
    size_t n_high = 0, n_odd = 0, n_in_runs = 0, run = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        const uint8_t b = (uint8_t)bytes.s[i];
        if (b < 0x80) {
            if ((b < 0x20 && !(b >= '\t' && b <= '\r') && b != 0x1b && b != 0x1a) || b == 0x7f)
                return false;
            run = 0;
            continue;
        }
        if (b < 0xa0 && windows_1252[b - 0x80] == 0)
            return false;
        n_high++;
        n_odd += b < 0xa0 && !is_common_mark(b);
        run++;
        n_in_runs += run == 3 ? 3 : run > 3;
    }
    return n_odd * 5 <= n_high && n_in_runs * 4 <= n_high;
}

static void from_1252(dr_buf *out, dr_str bytes)
{
    sink s = {.out = out};
    for (size_t i = 0; i < bytes.n; i++) {
        const uint8_t b = (uint8_t)bytes.s[i];
        put(&s, b >= 0x80 && b < 0xa0 ? windows_1252[b - 0x80] : b);
    }
    flush(&s);
}

/* The system's converter, for an encoding that somebody wrote down. *ok false: it does not know the name, or the bytes
 * are not in it, or what comes out is no text. */
static dr_status from_named(bool *ok, dr_buf *out, dr_str bytes, dr_str encoding, dr_error *err)
{
    dr_status st = DR_OK;
    char name[MAX_ENCODING_NAME + 1], room[16384];
    char *in = (char *)(uintptr_t)bytes.s; /* iconv's own signature; it does not write there */
    size_t n_in = bytes.n;
    iconv_t cd = (iconv_t)-1;

    *ok = false;
    if (encoding.n == 0 || encoding.n > MAX_ENCODING_NAME)
        return DR_OK;
    for (size_t i = 0; i < encoding.n; i++) /* a name, not the options that may follow one after slashes */
        if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+", encoding.s[i], 67))
            return DR_OK;
    memcpy(name, encoding.s, encoding.n);
    name[encoding.n] = 0;
    if ((cd = iconv_open("UTF-8", name)) == (iconv_t)-1)
        return DR_OK;
    for (bool more = true; more;) {
        char *to = room;
        size_t n_room = sizeof room;
        const size_t got = iconv(cd, &in, &n_in, &to, &n_room);
        dr_buf_add(out, room, sizeof room - n_room);
        if (got == (size_t)-1 && errno != E2BIG)
            goto done;
        more = got == (size_t)-1;
        if (out->n > 4 * bytes.n + 64)
            goto done;
    }
    if (out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "converting from %s: out of memory", name);
    *ok = st == DR_OK && dr_classify__is_utf8(dr_buf_view(out)) && (out->n == 0 || !memchr(out->data, 0, out->n));
done:
    iconv_close(cd);
    return st;
}

dr_status dr_content__look(dr_content_kind *kind, dr_buf *utf8, dr_str bytes, dr_str encoding, dr_error *err)
{
    const uint8_t *b = (const uint8_t *)bytes.s;
    const bool starts_nul = bytes.n && memchr(bytes.s, 0, bytes.n < BINARY_WINDOW ? bytes.n : BINARY_WINDOW);
    dr_status st = DR_OK;
    bool ok = false;

    dr_buf_clear(utf8);
    if (bytes.n < LFS_MAX_BYTES && starts_with(bytes, lfs_start, sizeof lfs_start - 1)) {
        *kind = DR_CONTENT_LFS;
        return DR_OK;
    }
    if (bytes.n >= 2 && ((b[0] == 0xff && b[1] == 0xfe) || (b[0] == 0xfe && b[1] == 0xff))) {
        *kind = from_utf16(utf8, bytes) ? DR_CONTENT_UTF16 : DR_CONTENT_WIDE;
        goto done;
    }
    const bool is_utf8 = dr_classify__is_utf8(bytes);
    if (encoding.n && (starts_nul || !is_utf8)) {
        st = from_named(&ok, utf8, bytes, encoding, err);
        *kind = ok ? DR_CONTENT_NAMED : starts_nul ? DR_CONTENT_NUL : DR_CONTENT_OTHER;
        goto done;
    }
    if (starts_nul) {
        *kind = DR_CONTENT_NUL;
    } else if (is_utf8) {
        *kind = DR_CONTENT_UTF8;
    } else if (reads_like_1252(bytes)) {
        *kind = DR_CONTENT_WINDOWS_1252;
        from_1252(utf8, bytes);
    } else {
        *kind = DR_CONTENT_OTHER;
    }
done:
    if (st == DR_OK && utf8->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "converting to UTF-8: out of memory");
    if (st != DR_OK || !dr_content__is_converted(*kind))
        dr_buf_clear(utf8);
    return st;
}
