/* repo/secrets.h: keys, tokens and passwords that stand in a text, found and masked before anything is kept or shown.
 *
 * Three kinds of evidence, strongest first:
 *   - a form that only one issuer's keys have (prefix, alphabet, length), or a private key block;
 *   - a credential inside something larger: user:password@ in an address, the key of a Sentry address, an Authorization header, a signed token;
 *   - a value given to a name that says what it is (`api_key = "..."`, `PASSWORD=...`, `<secret>...</secret>`), when the
 *     value is neither a placeholder nor a word nor code.
 * Left alone: placeholders (example, changeme, ${VAR}, <password>, xxxx, 12345678), names and calls, checksums and git ids,
 * UUIDs, public keys, certificates, encrypted values. A password made of words is missed: masking every word after
 * "password:" would hide more of a repository than it protects.
 *
 * What is found depends on the text and the allow-list only; the time is linear in the text whatever it holds (every
 * look back and ahead is bounded). Any thread. */
#ifndef DR_REPO_SECRETS_H
#define DR_REPO_SECRETS_H

#include "base/bytes.h"
#include "base/hash.h"

#include <stdint.h>

/* Raised whenever the same text may give other places: part of every key of something made from masked text. */
enum { DR_SECRETS_VERSION = 3 };

typedef struct dr_secret {
    size_t at, n;         /* bytes of the text */
    uint32_t line;        /* of its first byte, from 1 */
    const char *kind;     /* "aws access key", "private key", "password", ...: static */
    char fingerprint[17]; /* first 16 hex digits of SHA-256 over a tag, the kind and the secret */
} dr_secret;

/* Zero-initialise. */
typedef struct dr_secrets {
    dr_secret *v;
    size_t n, cap;
} dr_secrets;

/* Fingerprints that the user accepts: these places are not found. Immutable after open. */
typedef struct dr_secret_allow dr_secret_allow;

/* A text file with one fingerprint a line; '#' starts a comment. A file that does not exist is an empty list.
 * DR_ERR_FORMAT with the line when one is not 16 hex digits, or above 1 MiB; DR_ERR_IO. */
dr_status dr_secret_allow_open(dr_secret_allow **out, const char *path, dr_error *err);
void dr_secret_allow_close(dr_secret_allow *a);

/* Of the set: order, case, comments and repetition do not matter. NULL and the empty list have the same digest. */
dr_digest dr_secret_allow_digest(const dr_secret_allow *a);

/* Replaces what *out holds by the places of the text, ascending, not overlapping, never empty. allow may be NULL.
 * DR_ERR_NOMEM only. */
dr_status dr_secrets_scan(dr_secrets *out, dr_str text, const dr_secret_allow *allow, dr_error *err);
void dr_secrets_fini(dr_secrets *s);

/* Appends the text with each place replaced by "[masked: KIND]" and the newlines that stood in it, so line numbers stay.
 * The fingerprint is not written: a weak password could be guessed from it. A masked place
 * is not found again. s must come from a scan of this very text. */
dr_status dr_secrets_mask(dr_buf *out, dr_str text, const dr_secrets *s, dr_error *err);

#endif
