/* app/pack_view.h: a pack for people: folders with their tokens, the largest files, what is left out and why. */
#ifndef DR_APP_PACK_VIEW_H
#define DR_APP_PACK_VIEW_H

#include "app/output.h"
#include "app/pack.h"
#include "repo/symbol_changes.h"

/* On stdout. Folders below a hundredth of the pack are not listed, nor files but the largest; with --verbose all are. */
dr_status dr_pack_view(const dr_output *out, const dr_pack *p, dr_error *err);

/* The changes of dr_pack_build_diff: a line a file, and a line a definition (the first ones, all with --verbose). */
void dr_pack_view_diff(const dr_output *out, const dr_pack *p, const dr_sym_changes *symbols);

/* "in the base, tokens 120 to 980", one line for every segment about a file; what it says of one that has none. */
void dr_pack_view_file(dr_buf *out, const dr_pack *p, size_t file);

/* The same for a path that the snapshot does not have: nothing, unless the pack still shows what was there. */
void dr_pack_view_gone(dr_buf *out, const dr_pack *p, dr_str path);

/* Both, as JSON: docs/events.md. ids_sha256: 64 hex digits. */
json_t *dr_pack_json(const dr_pack *p, const char *ids_sha256);
json_t *dr_pack_diff_json(const dr_pack *p, const dr_sym_changes *symbols, const char *ids_sha256);
json_t *dr_pack_file_json(const dr_pack *p, size_t file);
json_t *dr_pack_gone_json(const dr_pack *p, dr_str path); /* NULL: the pack shows nothing of it */

/* "whole", "signatures", "map", "out" */
const char *dr_pack_how_name(dr_pack_how how);

#endif
