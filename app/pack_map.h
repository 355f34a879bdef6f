/* app/pack_map.h: the pack's mode `map`: "repository NAME, N files", one line a file (dr_text_map_line), "and N more files". */
#ifndef DR_APP_PACK_MAP_H
#define DR_APP_PACK_MAP_H

#include "app/pack.h"

/* Into a pack whose file list is there, with `why` set for files that have no text to show. */
dr_status dr_pack__build_map(dr_pack *out, const dr_repo *repo, const dr_symbols *symbols, const dr_tokenizer *t,
                             const dr_pack_options *opt, dr_error *err);

#endif
