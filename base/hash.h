/* base/hash.h: identity and checksum.
 *
 * Identity is SHA-256 (OpenSSL): equal digests are taken to mean equal bytes, so nothing weaker will do.
 * XXH3-128 is a checksum against damage, never an identity. */
#ifndef DR_BASE_HASH_H
#define DR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct dr_digest {
    uint8_t b[32];
} dr_digest;

/* SHA-256 of a run of bytes. */
dr_digest dr_sha256(const void *data, size_t n);

/* Incremental: new, any number of updates, finish (which frees). NULL when out of memory; update and
 * finish accept NULL (the digest is then all zero). Owned by one thread. */
typedef struct dr_sha256_stream dr_sha256_stream;
dr_sha256_stream *dr_sha256_new(void);
void dr_sha256_update(dr_sha256_stream *s, const void *data, size_t n);
dr_digest dr_sha256_finish(dr_sha256_stream *s);

/* 64 lower-case hex digits and a NUL. */
void dr_digest_hex(char out[65], const dr_digest *d);

typedef struct dr_checksum {
    uint64_t lo, hi;
} dr_checksum;

dr_checksum dr_xxh3_128(const void *data, size_t n);

#endif
