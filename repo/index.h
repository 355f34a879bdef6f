/* repo/index.h: the two halves of making a symbol table: facts of every file (index.c), and their join (table.c).
 *
 * A table is one run of bytes in host order:
 *
 *   header   dr_table_header
 *   names    u32 name_at[n_names + 1]      offsets into text, sorted by bytes
 *            u32 first_def[n_names + 1]    defs of name i: [first_def[i], first_def[i + 1])
 *            u32 first_ref[n_names + 1]
 *   defs     dr_sym_def[n_defs]            by name, rank, file, line
 *   refs     dr_sym_ref[n_refs]            by name, calls first, file, line
 *   files    u32 first_of_file[n_files + 1], u32 by_file[n_defs]    definitions of a file by line
 *   text     bytes of the names, no gaps */
#ifndef DR_REPO_INDEX_H
#define DR_REPO_INDEX_H

#include "repo/facts.h"

typedef struct dr_file_facts {
    dr_buf bytes; /* empty: no known language, or nothing to say */
} dr_file_facts;

/* Facts of every file, from the store or by parsing; stats are counted. files: [n_files of repo], zeroed; the caller
 * frees each. */
dr_status dr_index__facts(dr_file_facts *files, dr_symbols_stats *stats, const dr_repo *repo,
                          const dr_symbols_options *opt, dr_error *err);

enum { DR_TABLE_VERSION = 1 };

typedef struct dr_table_header {
    char magic[4];    /* "dsym" */
    uint32_t version; /* also tells the byte order */
    uint32_t n_files, n_names, n_defs, n_refs, text_bytes;
    uint32_t n_lang_files;
    uint64_t source_bytes;
    uint64_t check_lo, check_hi; /* XXH3-128 of everything after the header */
} dr_table_header;

/* Appends the table. DR_ERR_NOMEM; DR_ERR_LIMIT past 4 GiB of anything. Facts that do not read well count as none. */
dr_status dr_table__join(dr_buf *out, const dr_file_facts *files, size_t n_files, const dr_symbols_stats *stats,
                         dr_error *err);

/* Where the parts of a table lie; false when the bytes are not a whole, sound table for n_files files. */
typedef struct dr_table {
    const dr_table_header *head;
    const uint32_t *name_at, *first_def, *first_ref, *first_of_file, *by_file;
    const dr_sym_def *defs;
    const dr_sym_ref *refs;
    const char *text;
} dr_table;
bool dr_table__view(dr_table *t, dr_cspan bytes, size_t n_files);

#endif
