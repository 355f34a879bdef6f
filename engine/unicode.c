#include "engine/unicode.h"

#include <string.h>

uint8_t dr_unicode_class(uint32_t code_point)
{
    size_t lo = 0, hi = dr_unicode__n_runs;

    /* Most of what is asked beyond ASCII: one test instead of eleven. */
    if (code_point >= 0x4e00 && code_point <= 0x9fff)
        return DR_UNICODE_L;
    while (hi - lo > 1) {
        const size_t mid = lo + (hi - lo) / 2;
        if (dr_unicode__runs[mid] >> 8 <= code_point)
            lo = mid;
        else
            hi = mid;
    }
    return (uint8_t)(dr_unicode__runs[lo] & 0xff);
}

size_t dr_utf8_decode(uint32_t *code_point, const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    const uint8_t lead = p[0];

    if (lead < 0x80) {
        *code_point = lead;
        return 1;
    }
    /* The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF. */
    if (n < 2 || lead < 0xc2 || lead > 0xf4)
        return 0;
    const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    if (lead < 0xe0) {
        *code_point = (uint32_t)(lead & 0x1f) << 6 | (p[1] & 0x3f);
        return 2;
    }
    if (n < 3 || (p[2] & 0xc0) != 0x80)
        return 0;
    if (lead < 0xf0) {
        *code_point = (uint32_t)(lead & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        return 3;
    }
    if (n < 4 || (p[3] & 0xc0) != 0x80)
        return 0;
    *code_point = (uint32_t)(lead & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
                  (p[3] & 0x3f);
    return 4;
}

size_t dr_utf8_encode(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t dr_utf8_prefix(const char *s, size_t n)
{
    size_t at = 0;

    while (at < n) {
        uint64_t eight;
        uint32_t ignored;
        while (n - at >= sizeof eight) {
            memcpy(&eight, s + at, sizeof eight);
            if (eight & 0x8080808080808080u)
                break;
            at += sizeof eight;
        }
        if (at == n)
            break;
        const size_t len = dr_utf8_decode(&ignored, s + at, n - at);
        if (len == 0)
            break;
        at += len;
    }
    return at;
}
