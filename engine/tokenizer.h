/* engine/tokenizer.h: text to token ids and back, from a Hugging Face tokenizer.json (byte-level BPE).
 *
 * Supported: model BPE without byte fallback; pre-tokenizer a Sequence of Split (regex, behaviour Isolated) and one ByteLevel
 * (add_prefix_space false) at its end, or ByteLevel alone; normalizer null or an empty sequence; added tokens. Anything else
 * is a clear error. Regexes run on PCRE2 (UTF, JIT); the three of spec 8 have a hand-written path with the same result.
 * Merges: lowest rank first, leftmost first, inside each piece. No BOS or EOS is added (a post-processor is not looked at).
 *
 * Bytes that are not UTF-8 are encoded all the same: each such byte is a piece of its own. Decoding gives the exact bytes back.
 * Immutable; any thread. */
#ifndef DR_ENGINE_TOKENIZER_H
#define DR_ENGINE_TOKENIZER_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

typedef struct dr_tokenizer dr_tokenizer;

/* Growable list of token ids. Zero-initialise; `failed` as in dr_buf. */
typedef struct dr_ids {
    int32_t *v;
    size_t n, cap;
    bool failed;
} dr_ids;
void dr_ids_add(dr_ids *ids, int32_t id);
void dr_ids_append(dr_ids *ids, const int32_t *v, size_t n);
void dr_ids_free(dr_ids *ids);

dr_status dr_tokenizer_open(dr_tokenizer **out, const char *path, dr_error *err);
dr_status dr_tokenizer_parse(dr_tokenizer **out, dr_str json, const char *name, dr_error *err);
void dr_tokenizer_close(dr_tokenizer *t);

/* Appends the ids of text, less than 4 GiB. special: added tokens are recognised inside it (leftmost, the longest there; those that
 * ignore the normalizer before the others); false for anything that comes from outside: repository, tool and user text never becomes
 * a control token. DR_ERR_LIMIT also when a regex gives up on the text. */
dr_status dr_tokenizer_encode(const dr_tokenizer *t, dr_ids *out, dr_str text, bool special, dr_error *err);

/* The bytes of a token (an added token's text), borrowed; empty for an id without a token. */
dr_str dr_tokenizer_bytes(const dr_tokenizer *t, int32_t id);
bool dr_tokenizer_is_special(const dr_tokenizer *t, int32_t id); /* any added token */
/* The id of an added token's exact text, or -1. */
int32_t dr_tokenizer_special(const dr_tokenizer *t, const char *text);
/* The ids of all tokens but the added ones, in the order of their bytes; those that begin with byte b are at first[b] .. first[b + 1].
 * Both borrowed. */
const int32_t *dr_tokenizer_sorted(const dr_tokenizer *t, const uint32_t **first);
/* The first byte of every id's token; 256: an added token, 257: none. Borrowed. */
const uint16_t *dr_tokenizer_begins(const dr_tokenizer *t);
int32_t dr_tokenizer_size(const dr_tokenizer *t); /* highest id + 1 */
dr_digest dr_tokenizer_digest(const dr_tokenizer *t);

#endif
