/* app/pack_text.h: the text of a full pack's parts (docs/pack.md), before they become tokens.
 *
 * Everything appends to a dr_buf; check `failed` at the end of a run of appends. No state: any thread. */
#ifndef DR_APP_PACK_TEXT_H
#define DR_APP_PACK_TEXT_H

#include "base/bytes.h"
#include "repo/symbols.h"

enum { DR_PACK_LINE_BYTES = 4096, DR_PACK_TEXT_BYTES = 1 << 20 };

/* Raised whenever the bytes of any part change for the same content: part of every key. */
enum { DR_PACK_FORMAT = 2 };

/* The text with long lines and its end cut, each with its notice. Lines keep their numbers. Returns how many lines the
 * whole text has. */
uint32_t dr_pack_text_cut(dr_buf *out, dr_str text);

/* A unit's body: "\n", the cut text, "\n" unless it ended with one. Returns as above. */
uint32_t dr_pack_text_body(dr_buf *out, dr_str text);

/* "VERB PATH lines N" */
void dr_pack_text_head(dr_buf *out, const char *verb, dr_str path, uint32_t n_lines);

/* "\nLINE: declaration\nLINE: ...\n" for every definition of a file that is not inside a function and no member that only
 * names a value. "\n" when there is none. */
void dr_pack_text_signatures(dr_buf *out, dr_str text, const dr_symbols *s, size_t file);

/* First 12 hex digits of a commit. */
void dr_pack_text_commit(dr_buf *out, const char *hex);

/* A path, or a name: in double quotes when it holds a blank. */
void dr_pack_text_name(dr_buf *out, dr_str name);

#endif
