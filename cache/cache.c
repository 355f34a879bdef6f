#include "cache/cache.h"

#include "base/log.h"
#include "cache/internal.h"
#include "cache/kv_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_DBS = 8,
    KV_DBS = 1,
    SLACK_BYTES = 64 << 20,
    INDEX_PER_SLAB = 2048 /* bytes, of entries, links and free ids in pages half full; a record of one slab takes a quarter of it */
};
/* The map is address space, not memory or disk: room for growth that hardly ever has to be asked for again. */
static const size_t FACTS_MAP = (size_t)16 << 30;
static const int64_t MAX_KV_BYTES = (int64_t)DR_KV_SLAB_BYTES * UINT32_MAX;

/* LMDB's locks break when one process opens a file twice (closing either drops both), so it is refused. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static dr_cache *open_caches;

static bool list_add(dr_cache *c)
{
    bool fresh = true;
    (void)pthread_mutex_lock(&open_lock);
    for (const dr_cache *o = open_caches; o; o = o->next_open)
        fresh = fresh && !(o->folder.dev == c->folder.dev && o->folder.ino == c->folder.ino);
    if (fresh) {
        c->next_open = open_caches;
        open_caches = c;
    }
    (void)pthread_mutex_unlock(&open_lock);
    return fresh;
}

static void list_remove(dr_cache *c)
{
    (void)pthread_mutex_lock(&open_lock);
    for (dr_cache **at = &open_caches; *at; at = &(*at)->next_open)
        if (*at == c) {
            *at = c->next_open;
            break;
        }
    (void)pthread_mutex_unlock(&open_lock);
}

typedef struct opening {
    dr_cache *c;
    bool create;
} opening;

/* MDB_NOTFOUND: it has to be created. */
static int open_kv_db(MDB_txn *txn, void *arg, dr_error *err)
{
    const opening *o = arg;
    unsigned flags = 0;
    int rc = mdb_dbi_open(txn, NULL, o->create ? MDB_INTEGERKEY | MDB_CREATE : 0, &o->c->slabs);

    (void)err;
    if (rc == 0 && (rc = mdb_dbi_flags(txn, o->c->slabs, &flags)) == 0 && !(flags & MDB_INTEGERKEY))
        rc = MDB_NOTFOUND;
    return rc;
}

static int open_facts_dbs(MDB_txn *txn, void *arg, dr_error *err)
{
    const opening *o = arg;
    dr_cache *c = o->c;
    const unsigned create = o->create ? MDB_CREATE : 0;
    int rc;

    (void)err;
    if ((rc = mdb_dbi_open(txn, "state", create, &c->state)) != 0 ||
        (rc = mdb_dbi_open(txn, "index", create, &c->index)) != 0 ||
        (rc = mdb_dbi_open(txn, "links", create, &c->links)) != 0 ||
        (rc = mdb_dbi_open(txn, "free", create | MDB_INTEGERKEY, &c->free_ids)) != 0 ||
        (rc = mdb_dbi_open(txn, "facts0", create, &c->generation[0])) != 0 ||
        (rc = mdb_dbi_open(txn, "facts1", create, &c->generation[1])) != 0)
        return rc;
    return 0;
}

/* Without a state record nothing says which ids are in use, and without slabs no entry can be right. */
static int settle_state(MDB_txn *txn, void *arg, dr_error *err)
{
    dr_cache *c = arg;
    dr_state s;
    MDB_stat slabs, index;
    int rc;

    (void)err;
    if ((rc = mdb_stat(txn, c->index, &index)) != 0 || (rc = mdb_env_stat(c->kv.env, &slabs)) != 0)
        return rc;
    rc = dr_state__get(c, txn, &s);
    if (rc == 0 && !(slabs.ms_entries == 0 && s.next_slab > 0))
        return 0;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (rc == MDB_NOTFOUND) {
        s = (dr_state){0};
        if ((rc = mdb_drop(txn, c->generation[0], 0)) != 0 || (rc = mdb_drop(txn, c->generation[1], 0)) != 0)
            return rc;
    }
    if ((rc = dr_index__clear(c, txn, &s)) != 0)
        return rc;
    return dr_state__put(c, txn, &s);
}

/* Whether settle_state has something to do, without the write lock that it needs. */
static int is_settled(dr_cache *c, MDB_txn *txn)
{
    MDB_stat slabs;
    dr_state s;
    int rc = mdb_env_stat(c->kv.env, &slabs);

    if (rc == 0)
        rc = dr_state__get(c, txn, &s);
    return rc == 0 && slabs.ms_entries == 0 && s.next_slab > 0 ? MDB_NOTFOUND : rc;
}

/* Opens what is there in a read transaction, so that a writer who stands still does not keep others from reading; only what is not there
 * needs a write. */
static dr_status open_dbs(dr_cache *c, dr_env *e, dr_env_fn *fn, dr_error *err)
{
    opening o = {.c = c};
    MDB_txn *txn = NULL;
    dr_status st = dr_env__read(e, &txn, err);

    if (st != DR_OK)
        return st;
    const int rc = fn(txn, &o, err);
    if (rc != 0) {
        dr_env__read_end(e, txn);
        o.create = true;
        return rc == MDB_NOTFOUND && !c->read_only ? dr_env__update(e, fn, &o, err) : dr_env__status(e, rc, "opening", err);
    }
    /* Handles opened in a read transaction become usable by others when it commits. */
    st = dr_env__status(e, mdb_txn_commit(txn), "opening", err);
    (void)pthread_rwlock_unlock(&e->map_lock);
    return st;
}

static dr_status settle(dr_cache *c, dr_error *err)
{
    MDB_txn *txn = NULL;
    const dr_status st = dr_env__read(&c->facts, &txn, err);

    if (st != DR_OK)
        return st;
    const int rc = is_settled(c, txn);
    dr_env__read_end(&c->facts, txn);
    return rc == MDB_NOTFOUND ? dr_env__update(&c->facts, settle_state, c, err) : dr_env__status(&c->facts, rc, "opening", err);
}

static dr_status open_parts(dr_cache *c, dr_error *err)
{
    dr_status st;
    char kv[4096], facts[4096];

    if ((size_t)snprintf(kv, sizeof kv, "%s/kv", c->folder.path) >= sizeof kv ||
        (size_t)snprintf(facts, sizeof facts, "%s/facts", c->folder.path) >= sizeof facts)
        return dr_fail(err, DR_ERR_ARG, "%s: name too long", c->folder.path);
    const size_t kv_map = (size_t)c->kv_max_bytes + (size_t)c->kv_max_bytes / 2 + ((size_t)1 << 30);
    if ((st = dr_env__inspect(kv, err)) != DR_OK || (st = dr_env__inspect(facts, err)) != DR_OK ||
        (st = dr_env__open(&c->kv, kv, KV_DBS, kv_map, c->read_only, err)) != DR_OK ||
        (st = dr_env__open(&c->facts, facts, MAX_DBS, FACTS_MAP, c->read_only, err)) != DR_OK ||
        (st = open_dbs(c, &c->kv, open_kv_db, err)) != DR_OK ||
        (st = open_dbs(c, &c->facts, open_facts_dbs, err)) != DR_OK)
        return st == DR_ERR_NOT_FOUND ? dr_fail(err, DR_ERR_FORMAT, "%s: incomplete", c->folder.path) : st;
    dr_direct__init(&c->direct, c->kv.fd, c->kv.page_bytes);
    if (c->read_only)
        return DR_OK;
    /* A budget made smaller leaves the file as large as it was. */
    MDB_envinfo info;
    const uint64_t bytes = (uint64_t)c->facts_max_bytes + (uint64_t)c->facts_max_bytes / 4 + c->max_slabs * INDEX_PER_SLAB + SLACK_BYTES;
    (void)mdb_env_info(c->facts.env, &info);
    c->max_facts_pages = bytes / c->facts.page_bytes > info.me_last_pgno ? bytes / c->facts.page_bytes : info.me_last_pgno + 1;
    return settle(c, err);
}

static void close_parts(dr_cache *c)
{
    dr_direct__fini(&c->direct);
    dr_env__close(&c->facts);
    dr_env__close(&c->kv);
}

static dr_status open_or_renew(dr_cache *c, dr_error *err)
{
    dr_status st;
    dr_folder_state state;
    dr_error why = {0};

    for (int tries = 0;; tries++) {
        if ((st = dr_folder__state(&c->folder, &state, err)) != DR_OK)
            return st;
        if (c->read_only && state != DR_FOLDER_OURS)
            return state == DR_FOLDER_EMPTY
                       ? dr_fail(err, DR_ERR_IO, "%s holds no cache and cannot be written", c->folder.path)
                       : dr_fail(err, DR_ERR_FORMAT, "%s is damaged, or a cache of another version", c->folder.path);
        if (state == DR_FOLDER_OTHER_FORMAT) {
            st = dr_fail(&why, DR_ERR_FORMAT, "%s is damaged, or a cache of another version", c->folder.path);
        } else {
            if (!c->read_only && (st = dr_folder__prepare(&c->folder, state, err)) != DR_OK)
                return st;
            if ((st = open_parts(c, &why)) == DR_OK)
                return DR_OK;
            close_parts(c);
        }
        if (st != DR_ERR_FORMAT || c->read_only || tries > 0)
            return dr_fail(err, st, "%s", why.msg);
        (void)snprintf(c->note, sizeof c->note, "moved aside and started anew: %.400s", why.msg);
        dr_log("cache", "%s", c->note);
        if ((st = dr_folder__move_aside(&c->folder, err)) != DR_OK)
            return st;
    }
}

dr_status dr_cache_open(dr_cache **out, const char *folder, const dr_cache_options *options, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_cache_options o = options ? *options : (dr_cache_options){0};
    dr_cache *c = NULL;

    *out = NULL;
    if (o.kv_max_bytes < 0 || o.facts_max_bytes < 0 || o.kv_day_bytes < 0 || o.kv_max_bytes > MAX_KV_BYTES)
        return dr_fail(err, DR_ERR_ARG, "cache: a budget of %lld and %lld bytes, %lld a day", (long long)o.kv_max_bytes,
                       (long long)o.facts_max_bytes, (long long)o.kv_day_bytes);
    if (!(c = calloc(1, sizeof *c)) || !(c->uses = calloc(DR_MAX_USES, sizeof *c->uses))) {
        free(c);
        return dr_fail(err, DR_ERR_NOMEM, "cache: out of memory");
    }
    c->kv_max_bytes = o.kv_max_bytes ? o.kv_max_bytes : DR_CACHE_KV_BYTES;
    c->facts_max_bytes = o.facts_max_bytes ? o.facts_max_bytes : DR_CACHE_FACTS_BYTES;
    c->kv_day_bytes = o.kv_day_bytes ? o.kv_day_bytes : DR_CACHE_DAY_BYTES;
    c->max_slabs = (uint64_t)c->kv_max_bytes / (DR_KV_SLAB_BYTES + 16);
    (void)pthread_mutex_init(&c->use_lock, NULL);
    (void)pthread_mutex_init(&c->slab_lock, NULL);
    (void)pthread_mutex_init(&c->flush_lock, NULL);

    if ((st = dr_folder__open(&c->folder, folder, o.read_only, err)) != DR_OK)
        goto done;
    c->read_only = c->folder.read_only;
    if (!list_add(c)) {
        st = dr_fail(err, DR_ERR_ARG, "%s is open in this process already", folder);
        goto done;
    }
    if ((st = open_or_renew(c, err)) != DR_OK || (st = dr_facts__new(c, err)) != DR_OK)
        goto done;
    dr_folder__unlock(&c->folder);
    *out = c;
    c = NULL;
done:
    dr_cache_close(c);
    return st;
}

typedef struct flush_job {
    dr_cache *c;
    dr_uses taken;
} flush_job;

static int flush_uses(MDB_txn *txn, void *arg, dr_error *err)
{
    flush_job *j = arg;
    dr_state s;
    int rc;

    (void)err;
    if ((rc = dr_state__get(j->c, txn, &s)) != 0 || (rc = dr_uses__write(j->c, txn, &s, &j->taken)) != 0)
        return rc;
    return dr_state__put(j->c, txn, &s);
}

dr_status dr_cache_flush(dr_cache *c, dr_error *err)
{
    flush_job j = {.c = c};
    dr_status st;

    if (!c || c->read_only)
        return DR_OK;
    if ((st = dr_facts__flush(c, err)) != DR_OK)
        return st;
    (void)pthread_mutex_lock(&c->use_lock);
    const bool any = c->n_uses || c->n_hits || c->n_misses;
    (void)pthread_mutex_unlock(&c->use_lock);
    if (!any)
        return DR_OK;
    (void)pthread_mutex_lock(&c->flush_lock);
    if ((st = dr_env__update(&c->facts, flush_uses, &j, err)) == DR_OK)
        dr_uses__forget(c, &j.taken);
    (void)pthread_mutex_unlock(&c->flush_lock);
    return st;
}

/* False when another process has moved what this one has open aside, and begun anew. */
static bool is_in_place(const dr_cache *c)
{
    struct stat ours, named;
    return c->kv.env && fstat(c->kv.fd, &ours) == 0 && fstatat(c->folder.fd, "kv/data.mdb", &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

void dr_cache_close(dr_cache *c)
{
    dr_error err;

    if (!c)
        return;
    if (c->facts.env && c->pending && dr_cache_flush(c, &err) != DR_OK)
        dr_log("cache", "at closing: %s", err.msg);
    dr_facts__free(c);
    /* Pages that made no sense turned up: without its version the folder is moved aside when it is opened next. */
    if (!c->read_only && (atomic_load(&c->kv.damaged) || atomic_load(&c->facts.damaged)) && is_in_place(c))
        (void)unlinkat(c->folder.fd, "version", 0);
    close_parts(c);
    list_remove(c);
    dr_folder__close(&c->folder);
    (void)pthread_mutex_destroy(&c->use_lock);
    (void)pthread_mutex_destroy(&c->slab_lock);
    (void)pthread_mutex_destroy(&c->flush_lock);
    free(c->uses);
    free(c);
}

bool dr_cache_read_only(const dr_cache *c)
{
    return !c || c->read_only;
}

const char *dr_cache_folder(const dr_cache *c)
{
    return c ? c->folder.path : "";
}

const char *dr_cache_note(const dr_cache *c)
{
    return c ? c->note : "";
}

dr_status dr_cache_delete(const char *folder, dr_error *err)
{
    static const char *const names[] = {"kv", "facts", "aside", "version"};
    dr_cache probe = {0};
    dr_status st;

    if (access(folder, F_OK) < 0 && errno == ENOENT)
        return DR_OK;
    st = dr_folder__open(&probe.folder, folder, false, err);
    if (st == DR_OK && probe.folder.read_only)
        st = dr_fail(err, DR_ERR_IO, "%s cannot be written", folder);
    if (st == DR_OK && !list_add(&probe))
        st = dr_fail(err, DR_ERR_ARG, "%s is open in this process", folder);
    for (size_t i = 0; st == DR_OK && i < sizeof names / sizeof names[0]; i++)
        st = dr_folder__delete(&probe.folder, names[i], err);
    list_remove(&probe);
    dr_folder__close(&probe.folder);
    return st;
}
