/* app/provenance.h: from a token of a full pack to a place in a file, and back.
 *
 * The pack shows a file as it was at c0 or at some commit after it, so a place has two sides: the line in the version that
 * the segment shows, and the line in the snapshot asked about (HEAD or the working tree), found through the difference
 * between the two texts. A path that was renamed after the segment is followed to its present name.
 *
 * Reads blobs when it needs their text: not for a loop over millions of tokens. One thread at a time per pack. */
#ifndef DR_APP_PROVENANCE_H
#define DR_APP_PROVENANCE_H

#include "app/pack.h"

typedef struct dr_pack_place {
    const dr_pack_segment *seg;
    dr_str path;          /* as the segment calls it; empty: the token is about no file */
    uint32_t line, end;   /* lines of the version shown that the token has bytes of; 0: head, map or notice */
    bool gone;            /* a removed line of a diff: `line` counts in the old side */
    uint32_t file;        /* in the snapshot, or DR_SYM_NONE: the file is no longer there */
    uint32_t now;         /* the line there, the nearest one when the same line is not there; 0 without one */
    bool same;            /* the line stands unchanged at `now` */
} dr_pack_place;

/* token: 0 <= token < ids.n. */
dr_status dr_pack_locate(dr_pack_place *out, const dr_pack *p, int64_t token, dr_error *err);

typedef struct dr_pack_range {
    int64_t first, n; /* tokens that have a byte of the line */
    const dr_pack_segment *seg;
    uint32_t line;    /* in the version the segment shows */
} dr_pack_range;

typedef struct dr_pack_ranges {
    dr_pack_range *v;
    size_t n;
} dr_pack_ranges;

/* Where the pack shows a line of the snapshot, by segment: base text, diff hunks (unchanged lines around them too), new
 * files. Empty when the budget left it out. Zero-initialise; replaces what *out holds. */
dr_status dr_pack_find(dr_pack_ranges *out, const dr_pack *p, uint32_t file, uint32_t line, dr_error *err);
void dr_pack_ranges_fini(dr_pack_ranges *r);

#endif
