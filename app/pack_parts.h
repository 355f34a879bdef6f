/* app/pack_parts.h: what the files that build a full pack share.
 *
 *   pack_text    text of the parts          pack_ids       ids of a body, from the store or by encoding
 *   pack_rank    which files matter most    pack_plan      what the base holds, in which order
 *   pack_folders the directory map          pack_base      the base's ids
 *   pack_overlay entries of the overlay     pack_choice    which commit is c0
 *
 * A dr_pack also serves as a piece: ids and segments that are put together apart and appended. */
#ifndef DR_APP_PACK_PARTS_H
#define DR_APP_PACK_PARTS_H

#include "app/pack.h"
#include "repo/history.h"

/* One build of a pack at one c0. Borrows everything. */
typedef struct dr_maker {
    const dr_repo *repo;    /* the snapshot asked about */
    const dr_repo *base;    /* the snapshot at c0; equal to repo where that is the same thing */
    dr_history *history;    /* of repo; NULL outside git */
    const dr_repo *rules;   /* whose attributes and ignore files hold for every commit: repo; NULL: each commit's own */
    const char *c0, *head;  /* 40 hex digits, or "" */
    const dr_tokenizer *t;
    dr_digest tokenizer;
    const dr_pack_options *opt;
    int64_t budget; /* at a border; 0: none */
} dr_maker;

/* ---- pieces ---- */

/* How many tokens there are, those already handed over included: where the next one goes. */
int64_t dr_pack__end(const dr_pack *p);
/* Hands what is there to the sink, when there is one. */
dr_status dr_pack__hand_over(dr_pack *p, const dr_pack_options *opt, dr_error *err);

/* Adds a segment that covers the ids from `first` to the end. */
dr_status dr_pack__segment(dr_pack *p, dr_pack_segment seg, int64_t first, dr_str path, dr_error *err);
/* Encodes one line and makes it a segment. */
dr_status dr_pack__line(dr_pack *p, const dr_maker *m, dr_seg_kind kind, uint32_t entry, dr_str path, dr_str line,
                        dr_error *err);
/* Appends everything of a piece; its segments get `entry`. */
dr_status dr_pack__append(dr_pack *to, const dr_pack *piece, uint32_t entry, dr_error *err);
/* Appends one segment with its ids. */
dr_status dr_pack__append_segment(dr_pack *to, const dr_pack *from, const dr_pack_segment *seg, uint32_t entry, dr_error *err);
/* Opens an entry at the end of the ids. */
dr_status dr_pack__entry(dr_pack *p, const char *commit, dr_error *err);

/* The path that a file of segment `at` has in the snapshot: later renames followed. */
dr_str dr_pack__path_now(const dr_pack *p, size_t at);

/* ---- ids of bodies ---- */

/* One side of a file: where its text comes from. */
typedef struct dr_pack_side {
    const dr_repo *repo;
    size_t index; /* in that repo, or SIZE_MAX: a blob of the object database */
    dr_str path;
    const uint8_t *id; /* [20] */
} dr_pack_side;

/* The shown text, with the class that decides whether there is one; replaces what *text holds. */
dr_status dr_pack__read(dr_buf *text, dr_file_class *cls, const dr_pack_side *side, dr_error *err);

/* Appends the ids of the body of a side's text; *n_lines as dr_pack_text_body. Kept in the store. *cls says TEXT, or why
 * there is no text, and then nothing is appended. Any thread. */
dr_status dr_pack__body(dr_ids *ids, uint32_t *n_lines, dr_file_class *cls, const dr_maker *m, const dr_pack_side *side,
                        dr_error *err);
/* The same from the store only, in two steps, so that a known file costs one copy of its ids and no allocation: room, used
 * again and again, gets the kept value and *n says how many ids it has; then they are copied out. False: not kept. */
bool dr_pack__find_body(dr_buf *room, size_t *n, uint32_t *n_lines, const dr_maker *m, const dr_pack_side *side);
void dr_pack__take_body(int32_t *to, const dr_buf *room, size_t n, const dr_tokenizer *t);
/* ... of a file in signatures. */
dr_status dr_pack__signatures(dr_ids *ids, uint32_t *n_lines, const dr_maker *m, const dr_symbols *s, size_t file,
                              dr_error *err);

/* Does a full pack show text of that class? */
bool dr_pack__shows(dr_file_class cls);

/* Runs on the pool, or here when there is none. */
void dr_pack__run(dr_pool *pool, int64_t n, dr_range_fn *fn, void *arg);

/* ---- the base ---- */

/* order[0 .. n) are the files of the snapshot with their importance, most important first. */
dr_status dr_pack__rank(uint32_t *order, const dr_repo *repo, const dr_symbols *s, dr_error *err);

typedef struct dr_plan_unit {
    uint32_t file;     /* in the base's snapshot */
    uint32_t n_tokens; /* head and body; 0: not known yet */
    uint32_t n_head, n_lines; /* of signatures; of a whole file they are found with its ids */
    uint32_t ids_at;   /* of signatures: where their ids are in dr_plan.ids */
    dr_pack_how how;   /* WHOLE, SIGNATURES, or OUT: could not be read */
} dr_plan_unit;

/* What the base consists of. */
typedef struct dr_plan {
    dr_plan_unit *units; /* in the order of the pack */
    size_t n;
    dr_ids front;        /* first line and map */
    dr_ids ids;          /* heads and bodies of units in signatures */
    int64_t n_tokens;    /* of the whole base; 0: not known yet */
    bool kept;           /* came from the store */
} dr_plan;

/* A unit's ids: head, then body. */
typedef struct dr_unit_ids {
    dr_ids head, body;
    uint32_t n_lines;
    dr_file_class cls; /* TEXT, or there is no text to show */
    dr_status st;
} dr_unit_ids;
void dr_unit_ids__fini(dr_unit_ids *u);

/* out[i]: units[i] as whole files, in parallel. A file that cannot be read has its st set and no ids; DR_ERR_NOMEM is the only
 * failure of the call. */
dr_status dr_pack__whole_units(dr_unit_ids *out, const dr_maker *m, const dr_plan_unit *units, size_t n, dr_error *err);

/* From the store, else made: order, and under a budget the choice. DR_ERR_CANCELLED. */
dr_status dr_plan__make(dr_plan *out, const dr_maker *m, dr_error *err);
/* From the store only; DR_ERR_NOT_FOUND. */
dr_status dr_plan__load(dr_plan *out, const dr_maker *m, dr_error *err);
void dr_plan__keep(const dr_plan *plan, const dr_maker *m);
void dr_plan__fini(dr_plan *plan);

/* First line and directory map; room 0: no limit. order: files by importance, may be NULL without a limit. */
dr_status dr_pack__front(dr_ids *ids, const dr_maker *m, int64_t room, const uint32_t *order, dr_error *err);

/* "link PATH to TARGET", "submodule PATH at C", "pointer PATH to N bytes", by class, with its newline. */
void dr_pack__apart_line(dr_buf *out, const dr_repo *repo, dr_file_class cls, dr_str path, const uint8_t id[20], uint64_t size);
/* Appends where a symbolic link points, made safe to show. False: that cannot be read. */
bool dr_pack__link_target(dr_buf *out, const dr_repo *repo, dr_str path, const uint8_t id[20]);

/* The end-of-base line. */
void dr_pack__end_line(dr_buf *out, const dr_maker *m);

/* Everything up to and with the end-of-base line. Fills in the plan's token counts. */
dr_status dr_pack__base(dr_pack *out, const dr_maker *m, dr_plan *plan, dr_error *err);

/* ---- the overlay ---- */

/* Entries from c0 to the snapshot, as a piece. most: DR_ERR_LIMIT as soon as there are more tokens (0: no limit). */
dr_status dr_pack__overlay(dr_pack *out, const dr_maker *m, int64_t most, dr_error *err);

/* One entry with the difference between two commits. */
dr_status dr_pack__changes(dr_pack *out, const dr_maker *m, const char *from, const char *to, dr_str title, dr_error *err);

/* The overlay piece into the pack, cut to `room` tokens (0: no limit). */
dr_status dr_pack__fit_overlay(dr_pack *out, const dr_pack *overlay, const dr_maker *m, int64_t room, dr_error *err);

/* ---- c0 ---- */

typedef struct dr_choice {
    char c0[4][41]; /* recorded, the latest first; unused ones are empty */
} dr_choice;
void dr_choice__load(dr_choice *out, const dr_maker *m);
/* Puts c0 in front of what is recorded. */
void dr_choice__keep(const dr_choice *was, const dr_maker *m, const char *c0);

#endif
