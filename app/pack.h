/* app/pack.h: the part of a snapshot that opens the prompt, as token ids, and what every token stands for.
 *
 *   full   base + overlay (docs/pack.md has every byte): the files of a base commit c0, then what changed from c0 to the
 *          snapshot, appended commit by commit, so that a prefix stays a prefix when the repository moves on
 *   map    one line a file with the names it defines, the most used files first in, printed by path, within a budget
 *   none   nothing
 *
 * The bytes depend on (c0, HEAD, tree state, options, tokenizer) only: not on threads, folder, store or clock. Which c0 is
 * taken when the caller names none depends on what was recorded in the store (dr_pack_options.base).
 *
 * Immutable after dr_pack_build. Borrows the repo until dr_pack_fini. */
#ifndef DR_APP_PACK_H
#define DR_APP_PACK_H

#include "app/profile.h"
#include "engine/tokenizer.h"
#include "repo/symbols.h"

/* What a run of tokens is. A unit has a head line and a body; everything else is one line. */
typedef enum dr_seg_kind {
    DR_SEG_MAP,        /* first line and directory map; in mode `map` the line of one file */
    DR_SEG_FILE,       /* a whole file of c0: head, body */
    DR_SEG_SIGNATURES, /* a file of c0: head, one line a definition */
    DR_SEG_END,        /* end of base, closing line */
    DR_SEG_ENTRY,      /* "commit ...", "changes ...", "working tree" */
    DR_SEG_DIFF,       /* a file whose text changed: head, hunks */
    DR_SEG_ADDED,      /* a file that is new: head, body */
    DR_SEG_LINE,       /* deleted, renamed, linked, or not shown */
    DR_N_SEG_KINDS
} dr_seg_kind;
const char *dr_seg_kind_name(dr_seg_kind k); /* "map", "file", "signatures", "end", "entry", "diff", "added", "line" */

#define DR_PACK_BASE UINT32_MAX /* dr_pack_segment.entry of the base */

typedef struct dr_pack_segment {
    int64_t first, n;  /* tokens */
    uint32_t path_at;  /* dr_pack_path; empty for lines about no file */
    uint32_t path_n;
    uint32_t old_path_n; /* of a rename: dr_pack_old_path */
    uint32_t n_head;   /* tokens of the head; 0 where there is none */
    uint32_t n_lines;  /* of the file as a whole at that version; 0 where there is no text */
    uint32_t entry;    /* index into dr_pack.entries, or DR_PACK_BASE */
    uint8_t kind;      /* dr_seg_kind */
    bool renamed;      /* DR_SEG_LINE: "renamed OLD to NEW"; the path is NEW, the text is that of OLD before */
    uint8_t id[20];    /* blob whose lines the segment shows (a diff: its new side); zero: none */
    uint8_t old_id[20];
} dr_pack_segment;

/* One step of the overlay. */
typedef struct dr_pack_entry {
    char commit[41]; /* empty: the working tree */
    int64_t first, n;
} dr_pack_entry;

/* How a file of the snapshot is in the pack. */
typedef enum dr_pack_how {
    DR_HOW_OUT,        /* `why` says why */
    DR_HOW_MAP,        /* its name only (mode map: its line) */
    DR_HOW_SIGNATURES, /* signatures in the base */
    DR_HOW_WHOLE,      /* its text, from the base, the overlay or both together */
} dr_pack_how;

typedef struct dr_pack_file {
    int64_t n_tokens; /* of all segments about it; of its map line */
    dr_pack_how how;
    const char *why; /* a phrase, NULL when whole */
} dr_pack_file;

typedef struct dr_pack {
    dr_pack_mode mode;
    dr_ids ids;        /* empty when a sink took them */
    int64_t n_tokens;
    int64_t n_base;    /* tokens of the base, end-of-base line included; 0 in other modes than full */
    char base[41];     /* c0, empty for a snapshot without commits */
    dr_pack_segment *segs; /* ascending, without gaps, from token 0 to n_tokens */
    size_t n_segs;
    dr_pack_entry *entries;
    size_t n_entries;
    dr_pack_file *files; /* every file of the snapshot, in path order */
    size_t n_files;
    int64_t n_in;      /* files with their text or map line in the pack */
    int64_t n_unshown; /* changed files that the budget had no room for */
    bool repacked;     /* this call moved c0 to HEAD and recorded it */

    /* inside: app/pack_parts.h */
    const dr_repo *repo;
    const dr_tokenizer *tokenizer;
    dr_buf names;
    int64_t n_gone; /* tokens that a sink took */
    size_t cap_segs, cap_entries;
    size_t *renames, n_renames; /* segments with `renamed`, ascending */
} dr_pack;

/* Called on the thread that called dr_pack_build; false cancels. */
typedef bool dr_pack_progress(void *arg, int64_t done_bytes, int64_t total_bytes);

/* Takes the ids as they come, in order. Called on the thread that called dr_pack_build; an error ends the build. */
typedef dr_status dr_pack_sink(void *arg, const int32_t *ids, size_t n, dr_error *err);

enum { DR_PACK_BORDER = 128, DR_PACK_LEAST = 256 };

typedef struct dr_pack_options {
    dr_pack_mode mode;
    int64_t budget; /* tokens, rounded down to a multiple of DR_PACK_BORDER for `full`; 0: no limit */
    /* full: the base commit, any revision git understands. NULL: of the last four recorded in the store the first whose
     * overlay stays within a quarter of its base, fits the budget, and has no rules file (.gitattributes, .deepreadignore,
     * .gitmodules) changed since; else HEAD, which is then recorded. */
    const char *base;
    bool repack;                    /* base NULL: take HEAD and record it */
    const dr_repo_options *reading; /* how the snapshot was opened: c0 is opened likewise; NULL: all defaults */
    const dr_blob_store *store;     /* NULL: nothing is kept, c0 is HEAD */
    dr_pool *pool;
    dr_pack_progress *progress;
    void *progress_arg;
    /* Given: ids are handed over and not kept, so that a pack of any length takes little memory. Without them dr_pack_text
     * and provenance (app/provenance.h) have nothing to work on. */
    dr_pack_sink *sink;
    void *sink_arg;
} dr_pack_options;

/* symbols: of the snapshot; needed for mode map only (a full pack under a budget opens those of c0 itself).
 * DR_ERR_ARG: a full pack with a budget below DR_PACK_LEAST. DR_ERR_NOT_FOUND: no such base. */
dr_status dr_pack_build(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                        const dr_pack_options *opt, dr_error *err);

/* Only what changed between two commits: one entry and a closing line. No file list. opt->base, repack: not looked at. */
dr_status dr_pack_build_diff(dr_pack *out, const dr_repo *repo, const char *from, const char *to, const dr_tokenizer *t,
                             const dr_pack_options *opt, dr_error *err);
void dr_pack_fini(dr_pack *p);

dr_str dr_pack_path(const dr_pack *p, const dr_pack_segment *s); /* until dr_pack_fini */
dr_str dr_pack_old_path(const dr_pack *p, const dr_pack_segment *s); /* of a rename; else empty */

/* Appends the text of tokens [first, first + n). Not after a sink. */
void dr_pack_text(dr_buf *out, const dr_pack *p, int64_t first, int64_t n);

#endif
