/* repo/index.h: the halves of making a symbol table: facts of every file (index.c), their join (join.c), and how the
 * table is read (table.c).
 *
 * A table is one run of bytes in host order:
 *
 *   header   dr_table_header
 *   names    u32 name_at[n_names + n_labels + 1]    offsets into text: names sorted by bytes, then labels (what
 *                                                   sections and imports are called) in the order they were met
 *            u32 first_def[n_names + 1]             defs of name i: [first_def[i], first_def[i + 1])
 *            u32 first_ref[n_names + 1]
 *   defs     dr_sym_def[n_defs + n_sections]        by name, rank, file, line; the sections behind, by file, line
 *   refs     dr_sym_ref[n_refs]                     by name, calls first, file, line
 *   imports  dr_sym_import[n_imports]               by file, line
 *   files    u32 first_of_file[n_files + 1], u32 by_file[n_defs + n_sections]     definitions of a file by line
 *            u32 first_import[n_files + 1]
 *            u32 first_importer[n_files + 1], u32 importers[n_importers]          imports by the file they lead to
 *   similar  u32 by_length[n_names], u32 rows[DR_SIMILAR_ROWS][n_row_words]       similar.c; both left out when n_row_words is 0
 *   text     bytes of the names and labels, no gaps */
#ifndef DR_REPO_INDEX_H
#define DR_REPO_INDEX_H

#include "base/arena.h"
#include "repo/facts.h"

/* Facts of every file of a repo. Of a large tree these are hundreds of MB in small pieces, all wanted at once and none
 * needed after the join: so they lie in a few large blocks. Zeroed storage holds none. */
typedef struct dr_tree_facts {
    dr_cspan *files;    /* [n_files]; empty: no known language, or nothing to say */
    dr_arena **workers; /* [n_workers] hold the bytes; NULL: that one took none */
    size_t n_files, n_workers;
} dr_tree_facts;

/* From the store or by parsing; stats are counted. The caller frees, whatever came out. */
dr_status dr_index__facts(dr_tree_facts *out, dr_symbols_stats *stats, const dr_repo *repo,
                          const dr_symbols_options *opt, dr_error *err);
void dr_index__facts_free(dr_tree_facts *f); /* the pages go back to the system at once */

/* Facts of one file. */
dr_status dr_index__one(dr_buf *out, const dr_repo *repo, size_t file, const dr_blob_store *store, dr_error *err);

enum { DR_TABLE_VERSION = 3 };

typedef struct dr_table_header {
    char magic[4];    /* "dsym" */
    uint32_t version; /* also tells the byte order */
    uint32_t n_files, n_names, n_labels, n_defs, n_sections, n_refs, n_imports, n_importers, n_row_words, text_bytes;
    uint32_t n_lang_files, unused;
    uint64_t source_bytes;
    uint64_t check_lo, check_hi; /* XXH3-128 of everything after the header */
} dr_table_header;

/* Where the parts of a table lie. */
typedef struct dr_table {
    dr_table_header *head;
    uint32_t *name_at, *first_def, *first_ref, *first_of_file, *by_file, *first_import, *first_importer, *importers,
        *by_length, *rows;
    dr_sym_def *defs;
    dr_sym_ref *refs;
    dr_sym_import *imports;
    char *text;
} dr_table;

/* The bytes after a header with these counts; points the parts of *t behind it when the header is there to stay. */
uint64_t dr_table__layout(dr_table *t, dr_table_header *head);

/* Replaces out by the table of these facts, which are freed on the way. DR_ERR_NOMEM; DR_ERR_LIMIT past 4 GiB of
 * anything. Facts that do not read well count as none. */
dr_status dr_table__join(dr_buf *out, dr_tree_facts *facts, const dr_repo *repo, const dr_symbols_stats *stats,
                         dr_error *err);

/* False when the bytes are not a whole, sound table for n_files files. Only to be read. */
bool dr_table__view(dr_table *t, dr_cspan bytes, size_t n_files);

/* similar.c: which names hold a run of letters, without looking at every name. The names stand in blocks of
 * DR_SIMILAR_BLOCK, ordered by length, then bytes; row r has the bit of a block when one of its names holds a feature (one,
 * two or four characters, without case) whose hash is r. */
enum { DR_SIMILAR_ROWS = 4096, DR_SIMILAR_BLOCK = 64, DR_SIMILAR_FROM = 16384 /* names; fewer are just read */ };
uint32_t dr_similar__row_words(uint32_t n_names);
void dr_similar__build(const dr_table *t); /* by_length and rows, the latter zeroed before */
size_t dr_similar__find(const dr_table *t, const dr_str *names, dr_str name, dr_str out[5]);

#endif
