/* app/setup.h: opens what a command needs, and closes it in the right order.
 *
 * Commands ask for parts; each part opens those it stands on. A cache that cannot be used is said once and done without. */
#ifndef DR_APP_SETUP_H
#define DR_APP_SETUP_H

#include "app/options.h"
#include "app/output.h"
#include "app/pack.h"
#include "app/profile.h"
#include "app/tools.h"
#include "cache/cache.h"
#include "engine/dialect.h"
#include "engine/model.h"
#include "engine/tokenizer.h"
#include "repo/symbols.h"

#include <stdatomic.h>

typedef struct dr_setup {
    const dr_options *opt;
    dr_output *out;
    const atomic_bool *cancel;

    dr_pool *pool;
    dr_cache *cache;               /* NULL: none */
    const dr_blob_store *facts;    /* NULL: none */
    dr_repo *repo;
    dr_repo_options reading; /* how the snapshot was opened */
    dr_secret_allow *allow;
    char *user_ignore;
    dr_symbols *symbols;
    char *model_dir;
    dr_profile profile;
    dr_tokenizer *tokenizer;
    dr_dialect *dialect;
    dr_ops ops;
    dr_queue *queue;
    dr_model *model;
} dr_setup;

void dr_setup_init(dr_setup *s, const dr_options *opt, dr_output *out, const atomic_bool *cancel);
void dr_setup_fini(dr_setup *s);

dr_status dr_setup_pool(dr_setup *s, dr_error *err);
/* Never fails for want of a cache, only for settings of it (cache_settings.h) that make no sense. */
dr_status dr_setup_cache(dr_setup *s, dr_error *err);
/* The snapshot, and all that reading it takes. */
dr_status dr_setup_snapshot(dr_setup *s, dr_error *err);
/* ... and its symbols. */
dr_status dr_setup_repo(dr_setup *s, dr_error *err);
/* The folder of --model, else of the bundled model; its profile, tokenizer and dialect. */
dr_status dr_setup_model_files(dr_setup *s, dr_error *err);
/* ... and its weights on the chosen instruction set. */
dr_status dr_setup_model(dr_setup *s, dr_error *err);

/* A path as a user writes it, as one from the root of the snapshot: absolute, or from the folder that -C names (this one without
 * it), or, when that is nothing, from the root. Replaces what *out holds. Nothing need be there. DR_ERR_NOMEM. */
dr_status dr_setup_path(dr_buf *out, const dr_setup *s, const char *word, dr_error *err);

/* Which pack --mode and --budget ask for, the profile deciding what they leave open. Needs the model's files. *budget: tokens, 0 no
 * limit, -1 when neither names one for a full pack. DR_ERR_ARG: no such mode, or options that the mode would ignore. */
dr_status dr_setup_pack_asked(dr_pack_mode *mode, int64_t *budget, const dr_setup *s, dr_error *err);

/* How a pack of the snapshot is built: --base and --repack, store, threads, progress. Borrows the setup. */
dr_pack_options dr_setup_pack_options(dr_setup *s, dr_pack_mode mode, int64_t budget);

/* What the tools look at. */
dr_workspace dr_setup_workspace(const dr_setup *s);

/* Folder of the cache: $XDG_CACHE_HOME/deepread, else ~/.cache/deepread. DR_ERR_NOT_FOUND when neither is set. */
dr_status dr_cache_folder_of_user(dr_buf *out, dr_error *err);
/* A file of the user's settings: $XDG_CONFIG_HOME/NAME, else ~/.config/NAME. DR_ERR_NOT_FOUND when neither is set. */
dr_status dr_config_file_of_user(dr_buf *out, const char *name, dr_error *err);
/* Where fingerprints of secrets stand that may be shown, one a line. */
#define DR_ALLOWED_SECRETS "deepread/allowed-secrets"
/* Folder of the bundled model: share/deepread/models/nano beside the program's own bin folder. */
dr_status dr_bundled_model_folder(dr_buf *out, dr_error *err);

#endif
