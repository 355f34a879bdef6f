/* app/pack.h: the part of a snapshot that opens the prompt, as text and as token ids.
 *
 *   full   every text file, head and body (repo/text.h), each tokenised apart; the ids are those of the whole text
 *   map    one line a file with the names it defines, the most used files first in, printed by path, within a budget
 *   none   nothing
 *
 * Same snapshot, options and tokenizer: same bytes and ids, whatever the threads. Ids of a body are kept in the store by blob,
 * tokenizer and pack format. */
#ifndef DR_APP_PACK_H
#define DR_APP_PACK_H

#include "app/profile.h"
#include "engine/tokenizer.h"
#include "repo/symbols.h"

typedef struct dr_pack_file {
    uint32_t file;
    int64_t first, n_tokens; /* of its head and body, or of its map line; n_tokens 0: left out */
    const char *why;         /* why it is left out: a phrase, NULL when in */
} dr_pack_file;

typedef struct dr_pack {
    dr_pack_mode mode;
    dr_ids ids;
    dr_buf text;         /* filled on request */
    dr_pack_file *files; /* every file of the snapshot, in path order */
    size_t n_files;
    int64_t n_in;        /* files in the pack */
} dr_pack;

typedef struct dr_pack_options {
    dr_pack_mode mode;
    int64_t budget;       /* tokens; 0: no limit */
    bool with_text;
    const dr_blob_store *store; /* NULL: ids are not kept */
    dr_pool *pool;
} dr_pack_options;

/* symbols may be NULL for `full`. */
dr_status dr_pack_build(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                        const dr_pack_options *opt, dr_error *err);
void dr_pack_fini(dr_pack *p);

#endif
