/* engine/tokenizer_parts.h: what a tokenizer is made of, for its own files and their tests: a splitter cuts text into pieces, a merger
 * turns each piece into ids, a vocabulary knows the bytes of ids.
 *
 * Immutable after they are built; any thread. */
#ifndef DR_ENGINE_TOKENIZER_PARTS_H
#define DR_ENGINE_TOKENIZER_PARTS_H

#include "engine/tokenizer.h"

#include <stdatomic.h>

/* ---- splitter: regexes one after another, each cutting every piece of the one before ---- */

typedef struct dr_splitter dr_splitter;
typedef void dr_piece_fn(void *arg, dr_str piece);

/* patterns are copied. use_fast: those of DeepSeek-V4 and of this project's own tokenizers run as hand-written code; false only in tests. label(i) in messages is
 * "NAME: pre_tokenizer: regex I+1". DR_ERR_FORMAT for a regex PCRE2 refuses, or one that it reads differently from the engine of the
 * Hugging Face tokenizers (\w, \b, nested classes, ...). */
dr_status dr_splitter__new(dr_splitter **out, const dr_str *patterns, size_t n, bool use_fast, const char *name, dr_error *err);
void dr_splitter__free(dr_splitter *s);
bool dr_splitter__is_fast(const dr_splitter *s);

/* Calls fn for every piece, in order; the pieces together are the text, none is empty. text is UTF-8.
 * DR_ERR_LIMIT when a regex backtracks beyond PCRE2's limits. */
dr_status dr_splitter__run(const dr_splitter *s, dr_str text, dr_piece_fn *fn, void *arg, dr_error *err);

/* The hand-written path: the result of the three regexes of spec/deepseek-v4 section 8 in sequence. */
void dr_split_v4(dr_str text, dr_piece_fn *fn, void *arg);

/* Our own tokenizers' splits (tokenizer_cased.c). NULL: the patterns are others, or out of memory. */
typedef struct dr_cased dr_cased;
dr_cased *dr_cased__new(const dr_str *patterns, size_t n);
void dr_cased__free(dr_cased *c);
/* The end of the piece that starts at p < end. NULL: it may hang on a character beyond ASCII, ask the regex. */
const char *dr_cased__match(const dr_cased *c, const char *p, const char *end);

/* ---- merger: byte-pair merges inside a piece, lowest rank first, leftmost first ---- */

typedef struct dr_merge {
    int32_t left, right, id;
} dr_merge;

typedef struct dr_merger dr_merger;

/* byte_ids: the id of every single byte. merges by rank; when a pair stands twice the later rank holds (as Hugging Face loads it).
 * NULL: out of memory. */
dr_merger *dr_merger__new(const int32_t byte_ids[256], const dr_merge *merges, size_t n);
void dr_merger__free(dr_merger *m);

/* Appends the ids of one piece; piece.n < 2^32. */
void dr_merger__run(const dr_merger *m, dr_ids *out, dr_str piece);

/* ---- vocabulary and the tokenizer itself ---- */

typedef struct dr_added_token {
    dr_str text; /* in dr_tokenizer.bytes */
    int32_t id;
} dr_added_token;

/* Added tokens sorted by text; first[c] .. first[c + 1] begin with byte c. */
typedef struct dr_added_set {
    dr_added_token *v;
    size_t n;
    uint32_t first[257];
} dr_added_set;

typedef struct dr_token_span {
    size_t at; /* in dr_tokenizer.bytes */
    uint32_t n; /* 0: no such token */
    bool added;
} dr_token_span;

typedef struct dr_token_slot {
    uint32_t tag; /* of the hash; tells most strangers apart without touching their bytes */
    int32_t id;   /* -1: free */
} dr_token_slot;

struct dr_tokenizer {
    int32_t size; /* highest id + 1 */
    char *bytes;  /* of all tokens, one after another */
    dr_token_span *span; /* by id */
    dr_token_slot *slots; /* the tokens of byte-level text, by their bytes; at most half full */
    unsigned slot_shift;  /* 64 - log2(slots) */
    int32_t byte_ids[256];
    /* Hugging Face looks for those that ignore the normalizer in the whole text first, for the others in what is left. */
    dr_added_set added[2];
    int32_t *sorted; /* ids of tokens that are not added, by bytes */
    uint32_t sorted_first[257]; /* where those that begin with a byte are */
    uint16_t *begins; /* by id, as dr_tokenizer_begins says */
    dr_splitter *splitter;
    dr_merger *merger;
    /* By id: whether the token's bytes, as a piece, are merged into just this token. Found out when first asked for; whichever
     * thread does, the answer is the same. */
    _Atomic uint8_t *whole;
    dr_digest digest;
};

/* The slot with these bytes, or the free one where they belong; *tag is what goes with them. */
dr_token_slot *dr_tokenizer__slot(const dr_tokenizer *t, dr_str bytes, uint32_t *tag);

#endif
