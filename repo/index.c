#include "repo/index.h"

#include "repo/classify.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

typedef struct item {
    uint32_t file;
    uint64_t size;
    uint8_t lang; /* by name only */
} item;

typedef struct job {
    const dr_repo *repo;
    const dr_symbols_options *opt;
    dr_tree_facts *facts;
    const item *items;
    size_t n_items;
    uint64_t total;
    atomic_size_t next;
    atomic_uint_fast64_t done;
    atomic_uint n_parsed, n_kept, n_cut, n_failed;
    atomic_bool cancel, no_memory;
} job;

enum { BLOCK_BYTES = 1 << 20, LARGE_TREE = 32 << 20 /* bytes of facts */ };

enum { KEY_BYTES = 4 + 2 + 32, LANG_BY_TEXT = 255, LANG_BY_FIRST_LINE = 254 };

/* What determines a blob's facts: this version of the extractors, the language, the text as it is shown. The language
 * of a header, and of a file without an ending, hangs on its text. */
static void blob_key(uint8_t key[KEY_BYTES], const dr_repo *repo, const dr_repo_file *f, uint8_t lang)
{
    memcpy(key, "sym2", 4);
    key[4] = DR_FACTS_VERSION;
    key[5] = lang == DR_LANG_NONE                                               ? LANG_BY_FIRST_LINE
             : f->path.n > 2 && memcmp(f->path.s + f->path.n - 2, ".h", 2) == 0 ? LANG_BY_TEXT
                                                                                : lang;
    dr_repo_text_key(key + 6, repo, f->path, f->id);
}

static bool tick(void *arg)
{
    job *j = arg;
    if (j->opt->progress && !j->opt->progress(j->opt->progress_arg, atomic_load(&j->done), j->total))
        atomic_store(&j->cancel, true);
    return !atomic_load(&j->cancel);
}

static dr_status extract_text(dr_buf *out, dr_walk *walk, dr_str path, dr_str text)
{
    dr_lang lang = dr_lang_of(path, text);
    if (lang >= DR_LANG_JAVASCRIPT && lang <= DR_LANG_TSX && dr_classify__has_long_lines(text))
        lang = DR_LANG_NONE; /* minified: names of one letter */
    dr_status st = dr_walk_extract(walk, lang, text);
    if (st == DR_OK && !dr_facts__encode(out, walk))
        st = DR_ERR_NOMEM;
    if (st != DR_OK)
        dr_buf_clear(out);
    return st;
}

/* What one worker works with. */
typedef struct desk {
    dr_walk walk;
    dr_buf content, out;
    dr_arena **kept; /* of this worker, made when first needed */
} desk;

static dr_status keep(job *j, desk *d, uint32_t file)
{
    uint8_t *bytes;
    if (d->out.n == 0)
        return DR_OK;
    if ((!*d->kept && !(*d->kept = dr_arena_new(BLOCK_BYTES))) || !(bytes = dr_arena_take(*d->kept, d->out.n)))
        return DR_ERR_NOMEM;
    memcpy(bytes, d->out.data, d->out.n);
    j->facts->files[file] = (dr_cspan){bytes, d->out.n};
    return DR_OK;
}

static dr_status one_file(job *j, desk *d, const item *it)
{
    const dr_repo_file *f = dr_repo_file_at(j->repo, it->file);
    const dr_blob_store *store = j->opt->store;
    dr_buf *out = &d->out;
    uint8_t key[KEY_BYTES];

    dr_buf_clear(out);
    blob_key(key, j->repo, f, it->lang);
    if (store && store->get(store->self, out, (dr_cspan){key, sizeof key}, NULL) == DR_OK) {
        atomic_fetch_add(&j->n_kept, 1);
        return keep(j, d, it->file);
    }
    dr_buf_clear(out);
    if (dr_repo_read_exact(j->repo, it->file, &d->content, NULL) != DR_OK) {
        atomic_fetch_add(&j->n_failed, 1);
        return DR_OK;
    }
    const dr_status st = extract_text(out, &d->walk, f->path, dr_buf_view(&d->content));
    if (st != DR_OK)
        return st;
    if (d->walk.steps > d->walk.max_steps)
        atomic_fetch_add(&j->n_cut, 1);
    atomic_fetch_add(&j->n_parsed, 1);
    if (store)
        (void)store->put(store->self, (dr_cspan){key, sizeof key}, (dr_cspan){(const uint8_t *)out->data, out->n},
                         NULL);
    return keep(j, d, it->file);
}

dr_status dr_index__one(dr_buf *out, const dr_repo *repo, size_t file, const dr_blob_store *store, dr_error *err)
{
    const dr_repo_file *f = dr_repo_file_at(repo, file);
    dr_status st = DR_OK;
    dr_buf content = {0};
    dr_walk walk = {0};
    uint8_t key[KEY_BYTES];

    dr_buf_clear(out);
    blob_key(key, repo, f, (uint8_t)dr_lang_of(f->path, DR_STR("")));
    if (store && store->get(store->self, out, (dr_cspan){key, sizeof key}, NULL) == DR_OK)
        return DR_OK;
    dr_buf_clear(out);
    if ((st = dr_repo_read_exact(repo, file, &content, err)) != DR_OK)
        goto done;
    if (!dr_walk_init(&walk) || extract_text(out, &walk, f->path, dr_buf_view(&content)) != DR_OK)
        st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
done:
    dr_walk_fini(&walk);
    dr_buf_free(&content);
    return st;
}

/* Every worker takes the next largest file until none is left, whatever range the pool gave it. */
static void work(void *arg, int64_t begin, int64_t end, int worker)
{
    job *j = arg;
    desk d = {.kept = &j->facts->workers[worker]};
    (void)begin;
    (void)end;

    if (!dr_walk_init(&d.walk)) {
        atomic_store(&j->no_memory, true);
        return;
    }
    d.walk.cancel = &j->cancel;
    if (worker == 0) {
        d.walk.tick = tick;
        d.walk.tick_arg = j;
    }
    while (!atomic_load(&j->cancel) && !atomic_load(&j->no_memory)) {
        const size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->n_items)
            break;
        const dr_status st = one_file(j, &d, &j->items[i]);
        if (st == DR_ERR_NOMEM)
            atomic_store(&j->no_memory, true);
        atomic_fetch_add(&j->done, j->items[i].size);
        if (worker == 0)
            (void)tick(j);
    }
    dr_buf_free(&d.out);
    dr_buf_free(&d.content);
    dr_walk_fini(&d.walk);
}

/* A parser leaves its memory full of holes, and the join that comes next wants large pieces: glibc would keep the one and
 * take the other anew. Costs milliseconds, so not for a small tree. */
static void give_back(size_t held)
{
#ifdef __GLIBC__
    if (held >= LARGE_TREE)
        (void)malloc_trim(0);
#else
    (void)held;
#endif
}

static size_t bytes_held(const dr_tree_facts *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_workers; i++)
        n += f->workers[i] ? dr_arena_used(f->workers[i]) : 0;
    return n;
}

void dr_index__facts_free(dr_tree_facts *f)
{
    const size_t held = bytes_held(f);
    for (size_t i = 0; i < f->n_workers; i++)
        dr_arena_free(f->workers[i]);
    free(f->workers);
    free(f->files);
    *f = (dr_tree_facts){0};
    give_back(held);
}

static int largest_first(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return (x->file > y->file) - (x->file < y->file);
}

dr_status dr_index__facts(dr_tree_facts *out, dr_symbols_stats *stats, const dr_repo *repo,
                          const dr_symbols_options *opt, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n = dr_repo_n_files(repo);
    const size_t n_workers = opt->pool ? (size_t)dr_pool_size(opt->pool) : 1;
    item *items = calloc(n ? n : 1, sizeof *items);
    job j = {.repo = repo, .opt = opt, .facts = out, .items = items};

    *out = (dr_tree_facts){.files = calloc(n ? n : 1, sizeof *out->files),
                           .workers = calloc(n_workers, sizeof(dr_arena *)),
                           .n_files = n};
    if (!items || !out->files || !out->workers) {
        free(items);
        return dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
    }
    out->n_workers = n_workers;
    for (size_t i = 0; i < n; i++) {
        const dr_repo_file *f = dr_repo_file_at(repo, i);
        const dr_lang lang = dr_repo_is_text(f) ? dr_lang_of(f->path, DR_STR("")) : DR_LANG_NONE;
        if (lang == DR_LANG_NONE && !(dr_repo_is_text(f) && dr_lang_needs_text(f->path)))
            continue;
        items[j.n_items++] = (item){(uint32_t)i, f->size, (uint8_t)lang};
        j.total += f->size;
    }
    qsort(items, j.n_items, sizeof *items, largest_first);
    if (opt->pool)
        dr_pool_run(opt->pool, dr_pool_size(opt->pool), 1, work, &j);
    else
        work(&j, 0, 1, 0);
    if (atomic_load(&j.cancel))
        st = dr_fail(err, DR_ERR_CANCELLED, "cancelled");
    else if (atomic_load(&j.no_memory))
        st = dr_fail(err, DR_ERR_NOMEM, "symbols: out of memory");
    stats->n_files = (uint32_t)j.n_items;
    stats->bytes = j.total;
    stats->n_parsed = atomic_load(&j.n_parsed);
    stats->n_kept = atomic_load(&j.n_kept);
    stats->n_cut = atomic_load(&j.n_cut);
    stats->n_failed = atomic_load(&j.n_failed);
    free(items);
    give_back(bytes_held(out));
    return st;
}
