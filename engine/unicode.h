/* engine/unicode.h: UTF-8 and the character classes that pre-tokenizers ask for.
 *
 * Classes are those of Unicode 16, the version of the engine that Hugging Face tokenizers matches with; unicode_table.c is made by
 * unicode_table.py. The system's PCRE2 may know an older version: code points it has not heard of are then unassigned to it. */
#ifndef DR_ENGINE_UNICODE_H
#define DR_ENGINE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DR_UNICODE_L = 1,
    DR_UNICODE_M = 2,
    DR_UNICODE_N = 4,
    DR_UNICODE_P = 8,
    DR_UNICODE_S = 16,
    DR_UNICODE_SPACE = 32, /* White_Space: what \s means */
    DR_UNICODE_OTHER = 64, /* assigned, and none of L M N P S: controls, separators, private use */
};

/* A set of the bits above; 0 for a code point that is not assigned. */
uint8_t dr_unicode_class(uint32_t code_point);

/* Length of the UTF-8 sequence that starts s (shortest form, no surrogates, at most U+10FFFF), 0 when there is none; n > 0. */
size_t dr_utf8_decode(uint32_t *code_point, const char *s, size_t n);
/* Writes 1 to 4 bytes. */
size_t dr_utf8_encode(char out[4], uint32_t code_point);
/* Length of the longest prefix that is UTF-8. */
size_t dr_utf8_prefix(const char *s, size_t n);

/* The table: runs[i] = first code point << 8 | class, ascending. */
extern const uint32_t dr_unicode__runs[];
extern const size_t dr_unicode__n_runs;

#endif
