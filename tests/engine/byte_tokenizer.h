/* tests/engine/byte_tokenizer.h: a tokenizer made for a test: one token a byte, whose id is the byte, then
 * longer tokens, then control tokens, in the order given. No merges: a test picks ids itself. */
#ifndef DR_TESTS_ENGINE_BYTE_TOKENIZER_H
#define DR_TESTS_ENGINE_BYTE_TOKENIZER_H

#include "engine/tokenizer.h"

enum { LONGER_TOKENS = 256 }; /* first id of them */

/* Fails the test when it cannot be made. longer: printable ASCII without blanks, quotes and backslashes. */
dr_tokenizer *byte_tokenizer(const dr_str *longer, size_t n_longer, const char *const *controls, size_t n_controls);

#endif
