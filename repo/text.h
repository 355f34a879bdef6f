/* repo/text.h: source text as it is shown and packed: lines, one-line excerpts, map lines, units.
 *
 * Lines are separated by '\n' only, as git and tree-sitter count them; a '\r' before it is a blank. Everything appends
 * to a dr_buf (check `failed` at the end of a run of appends). No state: any thread. */
#ifndef DR_REPO_TEXT_H
#define DR_REPO_TEXT_H

#include "repo/symbols.h"

/* Line `line` (from 1) without its newline; {NULL, 0} past the end. An end of file after a newline starts no line. */
dr_str dr_text_line_at(dr_str text, uint32_t line);
uint32_t dr_text_n_lines(dr_str text);

/* Where every line starts, for many look-ups in one text. Borrows the text. */
typedef struct dr_text_lines {
    dr_str text;
    uint32_t *starts; /* [n] byte offsets */
    uint32_t n;
} dr_text_lines;
dr_status dr_text_lines_init(dr_text_lines *l, dr_str text, dr_error *err); /* DR_ERR_LIMIT past 4 GiB */
void dr_text_lines_fini(dr_text_lines *l);
dr_str dr_text_lines_get(const dr_text_lines *l, uint32_t line); /* as dr_text_line_at */

/* The TEXT of docs/tools.md: blanks trimmed at both ends, runs of blanks one space, cut at max_bytes on a character
 * border (0: not cut). A control character (C1 and bidirectional ones too) or a byte that is not UTF-8 becomes U+FFFD.
 */
void dr_text_excerpt(dr_buf *out, dr_str line, size_t max_bytes);

/* A whole line for `read`: blanks kept, tabs kept, otherwise made safe as above; cut at max_bytes (0: not cut). */
void dr_text_show(dr_buf *out, dr_str line, size_t max_bytes);

bool dr_text_is_utf8(dr_str text);

/* A file's line in the directory map, without a newline: "PATH: name name name": names of its top-level definitions (no
 * members, no declarations), each once, in line order; at most max_bytes (0: 100), cut after a whole name. "PATH" alone
 * when no name fits; the path is never cut. */
void dr_text_map_line(dr_buf *out, dr_str path, const dr_symbols *sym, size_t file, size_t max_bytes);

/* A definition without its body, on one line made safe as an excerpt: from its first line to where the body begins, or to
 * its end. A typedef's braces become "{ ... }"; of a variable or constant only the line with its name is shown. text: the
 * shown text the definition's lines and offset are of; others give nonsense, never a crash. At most max_bytes (0: all). */
void dr_text_signature(dr_buf *out, dr_str text, const dr_sym_def *d, size_t max_bytes);

/* A file in a full pack is a head and a body, tokenised apart: the head starts with a letter and ends with a digit, the
 * body starts and ends with a newline, so that ids of the whole are the ids of the parts:
 *
 *   file src/a.c lines 3
 *   int main(void)
 *   ...
 *
 * head:  "file PATH lines N"
 * body:  "\n", the content as valid UTF-8 (bad bytes and NUL become U+FFFD), "\n" unless it ended with one.
 * An empty file's body is "\n". */
void dr_text_unit_head(dr_buf *out, dr_str path, uint32_t n_lines);
void dr_text_unit_body(dr_buf *out, dr_str content);

#endif
