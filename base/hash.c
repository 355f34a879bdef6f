#include "base/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <xxhash.h>

struct dr_sha256_stream {
    EVP_MD_CTX *ctx;
};

dr_sha256_stream *dr_sha256_new(void)
{
    dr_sha256_stream *s = calloc(1, sizeof *s);
    if (s && (!(s->ctx = EVP_MD_CTX_new()) || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1)) {
        EVP_MD_CTX_free(s->ctx);
        free(s);
        return NULL;
    }
    return s;
}

void dr_sha256_update(dr_sha256_stream *s, const void *data, size_t n)
{
    if (s)
        (void)EVP_DigestUpdate(s->ctx, data, n);
}

dr_digest dr_sha256_finish(dr_sha256_stream *s)
{
    dr_digest d = {{0}};
    if (s) {
        (void)EVP_DigestFinal_ex(s->ctx, d.b, NULL);
        EVP_MD_CTX_free(s->ctx);
        free(s);
    }
    return d;
}

dr_digest dr_sha256(const void *data, size_t n)
{
    dr_digest d = {{0}};
    (void)EVP_Digest(data, n, d.b, NULL, EVP_sha256(), NULL);
    return d;
}

void dr_digest_hex(char out[65], const dr_digest *d)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[d->b[i] >> 4];
        out[2 * i + 1] = digits[d->b[i] & 15];
    }
    out[64] = 0;
}

dr_checksum dr_xxh3_128(const void *data, size_t n)
{
    const XXH128_hash_t h = XXH3_128bits(data, n);
    return (dr_checksum){h.low64, h.high64};
}
