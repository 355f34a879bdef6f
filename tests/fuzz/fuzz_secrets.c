/* Any bytes as a text: the places lie in order inside it, the masked text keeps its lines, and what was found depends on
 * the bytes only. */
#include "repo/secrets.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static size_t count_lines(const char *s, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dr_secrets s = {0}, again = {0};
    dr_buf out = {0};
    /* A copy of exactly this size, so that reading one byte too many is seen. */
    char *text = malloc(size ? size : 1);

    if (!text)
        return 0;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    const dr_str all = {text, size};
    if (dr_secrets_scan(&s, all, NULL, NULL) == DR_OK && dr_secrets_scan(&again, all, NULL, NULL) == DR_OK) {
        require(s.n == again.n);
        size_t end = 0;
        for (size_t i = 0; i < s.n; i++) {
            require(s.v[i].n > 0 && s.v[i].at >= end && s.v[i].n <= size - s.v[i].at);
            require(s.v[i].line == 1 + count_lines(text, s.v[i].at));
            require(strcmp(s.v[i].fingerprint, again.v[i].fingerprint) == 0);
            end = s.v[i].at + s.v[i].n;
        }
        if (dr_secrets_mask(&out, all, &s, NULL) == DR_OK)
            require(count_lines(out.data, out.n) == count_lines(text, size));
    }
    dr_secrets_fini(&s);
    dr_secrets_fini(&again);
    dr_buf_free(&out);
    free(text);
    return 0;
}
