#include "app/setup.h"

#include "app/cache_settings.h"
#include "base/log.h"
#include "cache/facts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void dr_setup_init(dr_setup *s, const dr_options *opt, dr_output *out, const atomic_bool *cancel)
{
    *s = (dr_setup){.opt = opt, .out = out, .cancel = cancel};
}

void dr_setup_fini(dr_setup *s)
{
    dr_model_close(s->model);
    dr_queue_free(s->queue);
    dr_dialect_close(s->dialect);
    dr_tokenizer_close(s->tokenizer);
    dr_profile_fini(&s->profile);
    free(s->model_dir);
    dr_pool_free(s->pool); /* its threads end before libgit2 does, which keeps an error for each */
    dr_symbols_close(s->symbols);
    dr_repo_close(s->repo);
    dr_secret_allow_close(s->allow);
    free(s->user_ignore);
    dr_cache_close(s->cache);
}

dr_status dr_cache_folder_of_user(dr_buf *out, dr_error *err)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/') /* the convention: a relative value is ignored */
        dr_buf_printf(out, "%s/deepread", xdg);
    else if (home && home[0] == '/')
        dr_buf_printf(out, "%s/.cache/deepread", home);
    else
        return dr_fail(err, DR_ERR_NOT_FOUND, "no cache folder: neither XDG_CACHE_HOME nor HOME is set");
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}

dr_status dr_config_file_of_user(dr_buf *out, const char *name, dr_error *err)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        dr_buf_printf(out, "%s/%s", xdg, name);
    else if (home && home[0] == '/')
        dr_buf_printf(out, "%s/.config/%s", home, name);
    else
        return dr_fail(err, DR_ERR_NOT_FOUND, "no folder for settings: neither XDG_CONFIG_HOME nor HOME is set");
    return out->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}

dr_status dr_bundled_model_folder(dr_buf *out, dr_error *err)
{
    char exe[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return dr_fail(err, DR_ERR_NOT_FOUND, "the program's own folder is unknown; name a model with --model DIR");
    exe[n] = 0;
    for (int up = 0; up < 2; up++) { /* PREFIX/bin/deepread -> PREFIX */
        char *slash = strrchr(exe, '/');
        if (slash)
            *slash = 0;
    }
    dr_buf_printf(out, "%s/share/deepread/models/nano", exe);
    struct stat sb;
    if (out->failed)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (stat(out->data, &sb) < 0)
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s: the bundled model is not there; install the program whole, or name a model with --model DIR",
                       out->data);
    return DR_OK;
}

dr_status dr_setup_pool(dr_setup *s, dr_error *err)
{
    return s->pool ? DR_OK : dr_pool_new(&s->pool, s->opt->threads, err);
}

dr_status dr_setup_cache(dr_setup *s, dr_error *err)
{
    dr_buf folder = {0}, settings = {0};
    dr_cache_options how = {0};
    dr_status st = DR_OK;
    dr_error why = {0};

    if (s->cache || s->opt->no_cache)
        return DR_OK;
    if (dr_config_file_of_user(&settings, "deepread/cache.json", NULL) == DR_OK)
        st = dr_cache_settings_read(&how, settings.data, err);
    dr_buf_free(&settings);
    if (st != DR_OK)
        return st;
    if (dr_cache_folder_of_user(&folder, &why) != DR_OK || dr_cache_open(&s->cache, folder.data, &how, &why) != DR_OK)
        dr_output_note(s->out, "no cache: %s", why.msg);
    else if (*dr_cache_note(s->cache))
        dr_output_note(s->out, "cache: %s", dr_cache_note(s->cache));
    s->facts = dr_cache_facts(s->cache);
    dr_buf_free(&folder);
    return DR_OK;
}

static bool show_symbols(void *arg, uint64_t done, uint64_t total)
{
    const dr_setup *s = arg;
    dr_output_progress(s->out, "reading symbols:", "bytes", (int64_t)done, (int64_t)total, 0);
    return !(s->cancel && atomic_load_explicit(s->cancel, memory_order_relaxed));
}

/* The user's own lists: secrets that may be shown, and patterns that git ignores everywhere. Without a home there are none. */
static dr_status read_user_lists(dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf path = {0};

    if (dr_config_file_of_user(&path, DR_ALLOWED_SECRETS, NULL) == DR_OK)
        st = dr_secret_allow_open(&s->allow, path.data, err);
    dr_buf_clear(&path);
    if (st == DR_OK && dr_config_file_of_user(&path, "git/ignore", NULL) == DR_OK && !(s->user_ignore = strdup(path.data)))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    dr_buf_free(&path);
    return st;
}

dr_status dr_setup_snapshot(dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;

    if (s->repo)
        return DR_OK;
    if ((st = dr_setup_pool(s, err)) != DR_OK || (st = dr_setup_cache(s, err)) != DR_OK || (st = read_user_lists(s, err)) != DR_OK)
        return st;
    s->reading = (dr_repo_options){.rev = s->opt->rev,
                                   .include = s->opt->include.v,
                                   .exclude = s->opt->exclude.v,
                                   .n_include = s->opt->include.n,
                                   .n_exclude = s->opt->exclude.n,
                                   .submodules = s->opt->submodules,
                                   .user_ignore = s->user_ignore,
                                   .allow = s->allow,
                                   .store = s->facts,
                                   .pool = s->pool};
    if ((st = dr_repo_open(&s->repo, s->opt->path ? s->opt->path : ".", &s->reading, err)) == DR_OK &&
        dr_repo_identity(s->repo)->warning.n)
        dr_output_warning(s->out, "%s", dr_repo_identity(s->repo)->warning.s);
    return st;
}

/* folder/word without empty, "." and ".." parts; word alone when it is absolute or folder is empty. */
static void join_path(dr_buf *out, const char *folder, const char *word)
{
    dr_buf whole = {0};

    dr_buf_clear(out);
    dr_buf_printf(&whole, "%s/%s", *word == '/' ? "" : folder, word);
    for (const char *part = whole.failed ? "" : whole.data; *part;) {
        const size_t n = strcspn(part, "/");
        if (n == 2 && memcmp(part, "..", 2) == 0)
            while (out->n && out->data[--out->n] != '/')
                ;
        else if (n && !(n == 1 && *part == '.')) {
            dr_buf_add(out, "/", 1);
            dr_buf_add(out, part, n);
        }
        part += n + (part[n] == '/');
    }
    dr_buf_add(out, "", 0);
    if (out->data)
        out->data[out->n] = 0;
    out->failed |= whole.failed;
    dr_buf_free(&whole);
}

/* A file, or a folder with files. */
static bool is_listed(const dr_repo *r, const char *path)
{
    size_t at;
    dr_buf folder = {0};
    if (dr_repo_find(r, dr_str_of(path), &at))
        return true;
    dr_buf_printf(&folder, "%s/", path);
    (void)dr_repo_find(r, dr_buf_view(&folder), &at);
    const bool yes = !folder.failed && at < dr_repo_n_files(r) && dr_repo_file_at(r, at)->path.n > folder.n &&
                     memcmp(dr_repo_file_at(r, at)->path.s, folder.data, folder.n) == 0;
    dr_buf_free(&folder);
    return yes;
}

dr_status dr_setup_path(dr_buf *out, const dr_setup *s, const char *word, dr_error *err)
{
    const dr_str root = dr_repo_identity(s->repo)->root;
    char *here = realpath(s->opt->path ? s->opt->path : ".", NULL);
    dr_buf from_here = {0}, from_root = {0}, on_disk = {0};
    struct stat sb;

    dr_buf_clear(out);
    join_path(&from_here, here ? here : "", word);
    join_path(&from_root, "", word);
    const char *second = *word == '/' ? word : from_root.n ? from_root.data + 1 : ".";
    const char *first = dr_str_eq(dr_buf_view(&from_here), root) ? "." : second;
    if (from_here.data && from_here.n > root.n && memcmp(from_here.data, root.s, root.n) == 0 && from_here.data[root.n] == '/')
        first = from_here.data + root.n + 1;
    dr_buf_printf(&on_disk, "%s/%s", root.s, second);
    const bool use_first = strcmp(first, ".") == 0 || is_listed(s->repo, first) ||
                           (!is_listed(s->repo, second) && (on_disk.failed || lstat(on_disk.data, &sb) < 0));
    dr_buf_str(out, use_first ? first : second);
    const bool failed = out->failed || from_here.failed || from_root.failed;
    dr_buf_free(&from_here);
    dr_buf_free(&from_root);
    dr_buf_free(&on_disk);
    free(here);
    return failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}

dr_status dr_setup_repo(dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;

    if (s->symbols)
        return DR_OK;
    if ((st = dr_setup_snapshot(s, err)) != DR_OK)
        return st;
    const dr_symbols_options opt = {.store = s->facts, .pool = s->pool, .progress = show_symbols, .progress_arg = s};
    st = dr_symbols_open(&s->symbols, s->repo, &opt, err);
    dr_output_progress_end(s->out);
    return st;
}

dr_status dr_setup_model_files(dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf path = {0};

    if (s->tokenizer)
        return DR_OK;
    if (s->opt->model)
        dr_buf_str(&path, s->opt->model);
    else if ((st = dr_bundled_model_folder(&path, err)) != DR_OK)
        goto done;
    if (path.failed || !(s->model_dir = strdup(path.data))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    struct stat sb;
    if (stat(s->model_dir, &sb) < 0 || !S_ISDIR(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: no such model folder", s->model_dir);
        goto done;
    }
    if ((st = dr_profile_open(&s->profile, s->model_dir, err)) != DR_OK)
        goto done;
    dr_buf_str(&path, "/tokenizer.json");
    if (path.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_tokenizer_open(&s->tokenizer, path.data, err)) != DR_OK)
        goto done;
    st = dr_dialect_open(&s->dialect, s->model_dir, err);
done:
    dr_buf_free(&path);
    return st;
}

dr_status dr_setup_model(dr_setup *s, dr_error *err)
{
    dr_status st = DR_OK;

    if (s->model)
        return DR_OK;
    if ((st = dr_setup_pool(s, err)) != DR_OK || (st = dr_setup_model_files(s, err)) != DR_OK ||
        (st = dr_ops_init_named(&s->ops, s->opt->isa, err)) != DR_OK ||
        (st = dr_queue_new(&s->queue, s->pool, err)) != DR_OK)
        return st;
    const uint64_t t0 = dr_clock_us();
    if ((st = dr_model_open(&s->model, s->model_dir, &s->ops, s->queue, err)) != DR_OK)
        return st;
    const dr_config *c = dr_model_config(s->model);
    if (dr_tokenizer_size(s->tokenizer) > c->vocab)
        return dr_fail(err, DR_ERR_FORMAT, "%s: the tokenizer has %d ids, the model %d", s->model_dir,
                       dr_tokenizer_size(s->tokenizer), c->vocab);
    dr_log("setup", "%s: %zu bytes packed for %s in %llu us", s->profile.name, dr_model_bytes(s->model), s->ops.name,
           (unsigned long long)(dr_clock_us() - t0));
    return DR_OK;
}

static bool show_packing(void *arg, int64_t done, int64_t total)
{
    dr_setup *s = arg;
    dr_output_progress(s->out, "counting tokens:", "bytes", done, total, 0);
    return !(s->cancel && atomic_load_explicit(s->cancel, memory_order_relaxed));
}

dr_status dr_setup_pack_asked(dr_pack_mode *mode, int64_t *budget, const dr_setup *s, dr_error *err)
{
    const dr_options *opt = s->opt;

    *mode = s->profile.pack_mode;
    if (opt->mode && !dr_pack_mode_parse(mode, opt->mode))
        return dr_fail(err, DR_ERR_ARG, "--mode %s: give full, map or none", opt->mode);
    if (*mode != DR_PACK_FULL && (opt->base || opt->repack))
        return dr_fail(err, DR_ERR_ARG, "--%s is about the base of a full pack: add --mode full", opt->base ? "base" : "repack");
    const int64_t of_profile = *mode == s->profile.pack_mode ? s->profile.pack_budget : 0;
    *budget = opt->budget >= 0 ? opt->budget : of_profile || *mode != DR_PACK_FULL ? of_profile : -1;
    return DR_OK;
}

dr_pack_options dr_setup_pack_options(dr_setup *s, dr_pack_mode mode, int64_t budget)
{
    return (dr_pack_options){.mode = mode,
                             .budget = budget,
                             .base = s->opt->base,
                             .repack = s->opt->repack,
                             .reading = &s->reading,
                             .store = s->facts,
                             .pool = s->pool,
                             .progress = show_packing,
                             .progress_arg = s};
}

dr_workspace dr_setup_workspace(const dr_setup *s)
{
    return (dr_workspace){.repo = s->repo,
                          .symbols = s->symbols,
                          .pool = s->pool,
                          .result_columns = s->profile.result_columns ? s->profile.result_columns : 160,
                          .result_lines = s->profile.result_lines ? s->profile.result_lines : 40,
                          .cancel = s->cancel};
}
