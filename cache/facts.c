#include "cache/facts.h"

#include "cache/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_BYTES_MAX = 480,
    SUM_BYTES = 8,
    FLUSH_LEAST = 1 << 20,
    FLUSH_MOST = 8 << 20,
    FLUSH_PART = 16,  /* of what this process has written: a small repository is kept with little memory, a large one with few flushes */
    BUDGET_PARTS = 8, /* a batch is at most 3/8 of the budget: an eighth gathered and one value of a quarter */
    FIRST_SLOTS = 256,
    PIECE_BYTES = (256 << 10) - 16 - SUM_BYTES, /* with its checksum and LMDB's page header: 64 pages, none of them part empty */
    PIECE_KEY = 4 + 32 + 4
};

/* A value larger than PIECE_BYTES is kept as facts of their own, one a piece, and under its key stands a head:
 *
 *   head       size of the value 8 | XXH3-128 of it 16: tells apart two values that were put under one key
 *   piece key  "\xff" "big" | SHA-256 of key, then head | number of the piece 4, big-endian
 *
 * So a value is gathered and written with no more memory than small ones take, its pages come in runs of one size, which freed
 * runs fit, and each piece passes from one generation to the other by itself. That a head is one shows in its checksum, so a small
 * value may hold any bytes. */
enum { HEAD_BYTES = 8 + 16 };
static const uint64_t HEAD_MARK = UINT64_C(0x6461656820676962);

typedef enum fact_kind { FACT_DAMAGED, FACT_VALUE, FACT_HEAD } fact_kind;

/* One put: checksum, key, value in one piece; what is stored is the checksum and the value. */
typedef struct fact {
    uint64_t hash; /* of the key */
    size_t n_key, n_value;
    fact_kind kind;
    bool kept; /* found in the old generation: gives way to anything newer */
    uint8_t bytes[]; /* key, then checksum and value */
} fact;

typedef struct fact_table {
    fact **slots; /* open addressing, never more than half full */
    size_t n_slots, n, bytes;
} fact_table;

/* `gathering` takes puts; a flush turns it into `flushing`, which is looked into until it is on disk. */
struct dr_facts {
    pthread_mutex_t lock; /* guards both tables; `flushing` itself only changes under flush_lock */
    fact_table gathering, flushing;
    size_t flush_bytes, flush_most, max_value;
    size_t written; /* by flushes up to now */
};

static const uint8_t *fact_key(const fact *f)
{
    return f->bytes;
}

static const uint8_t *fact_stored(const fact *f)
{
    return f->bytes + f->n_key;
}

/* Room it will take in the file: LMDB gives a large value whole pages, and leaves leaf pages part empty. */
static size_t fact_cost(const fact *f)
{
    const size_t page = 4096, node = f->n_key + SUM_BYTES + f->n_value + 16;
    return node < page / 2 ? node + node / 2 : (node + 2 * page - 1) / page * page;
}

static uint64_t key_hash(dr_cspan key)
{
    return dr_xxh3_128(key.data, key.n).lo;
}

static uint64_t fact_sum(dr_cspan key, const void *value, size_t n)
{
    return dr_xxh3_128(key.data, key.n).hi ^ dr_xxh3_128(value, n).lo;
}

/* The slot that holds key, or the empty one where it belongs. */
static size_t table_slot(const fact_table *t, uint64_t hash, dr_cspan key)
{
    size_t i = hash & (t->n_slots - 1);
    for (;; i = (i + 1) & (t->n_slots - 1)) {
        const fact *f = t->slots[i];
        if (!f || (f->hash == hash && f->n_key == key.n && memcmp(fact_key(f), key.data, key.n) == 0))
            return i;
    }
}

static const fact *table_find(const fact_table *t, uint64_t hash, dr_cspan key)
{
    return t->n ? t->slots[table_slot(t, hash, key)] : NULL;
}

static bool table_grow(fact_table *t)
{
    fact_table wide = {.n_slots = t->n_slots ? t->n_slots * 2 : FIRST_SLOTS, .n = t->n, .bytes = t->bytes};
    if (!(wide.slots = calloc(wide.n_slots, sizeof(fact *))))
        return false;
    for (size_t i = 0; i < t->n_slots; i++) {
        fact *f = t->slots[i];
        if (f)
            wide.slots[table_slot(&wide, f->hash, (dr_cspan){fact_key(f), f->n_key})] = f;
    }
    free(t->slots);
    *t = wide;
    return true;
}

/* Takes f unless it returns false. */
static bool table_put(fact_table *t, fact *f)
{
    if (2 * (t->n + 1) > t->n_slots && !table_grow(t))
        return false;
    fact **slot = &t->slots[table_slot(t, f->hash, (dr_cspan){fact_key(f), f->n_key})];
    if (*slot && f->kept) {
        free(f);
        return true;
    }
    if (*slot)
        t->bytes -= fact_cost(*slot);
    else
        t->n++;
    t->bytes += fact_cost(f);
    free(*slot);
    *slot = f;
    return true;
}

static void table_clear(fact_table *t)
{
    for (size_t i = 0; i < t->n_slots; i++)
        free(t->slots[i]);
    free(t->slots);
    *t = (fact_table){0};
}

/* Keys that LMDB would not take are replaced by a digest of themselves. */
static dr_cspan short_key(dr_cspan key, uint8_t buf[4 + sizeof(dr_digest)])
{
    if (key.n <= KEY_BYTES_MAX)
        return key;
    const dr_digest d = dr_sha256(key.data, key.n);
    memcpy(buf, "\xff" "sha", 4);
    memcpy(buf + 4, d.b, sizeof d.b);
    return (dr_cspan){buf, 4 + sizeof d.b};
}

static fact_kind stored_kind(dr_cspan key, uint64_t sum, const void *value, size_t n)
{
    const uint64_t right = fact_sum(key, value, n);
    if (sum == right)
        return FACT_VALUE;
    return sum == (right ^ HEAD_MARK) && n == HEAD_BYTES ? FACT_HEAD : FACT_DAMAGED;
}

bool dr_facts__ok(dr_cspan key, dr_cspan stored)
{
    return stored.n >= SUM_BYTES &&
           stored_kind(key, dr_load_u64(stored.data), stored.data + SUM_BYTES, stored.n - SUM_BYTES) != FACT_DAMAGED;
}

/* Appends the value when the checksum is right. */
static int take_value(dr_cache *c, MDB_txn *txn, uint64_t generation, dr_cspan key, fact_kind *kind, dr_buf *out)
{
    MDB_val mk = {key.n, (void *)(uintptr_t)key.data}, mv;
    uint8_t sum[SUM_BYTES];
    const size_t before = out->n;
    const int rc = mdb_get(txn, c->generation[generation], &mk, &mv);

    if (rc != 0)
        return rc;
    if (mv.mv_size < SUM_BYTES)
        return MDB_NOTFOUND;
    const size_t n = mv.mv_size - SUM_BYTES;
    uint8_t *value = dr_buf_extend(out, n);
    if (!value)
        return ENOMEM;
    if (dr_env__copy(&c->facts, mv.mv_data, sum, SUM_BYTES, value, n) &&
        (*kind = stored_kind(key, dr_load_u64(sum), value, n)) != FACT_DAMAGED)
        return 0;
    out->n = before;
    return MDB_NOTFOUND;
}

static dr_status put_fact(dr_cache *c, dr_cspan key, dr_cspan value, fact_kind kind, bool kept, dr_error *err);

/* Appends what stands under this key, which is short already: a value, or a head. */
static dr_status get_fact(dr_cache *c, dr_buf *out, dr_cspan key, fact_kind *kind, dr_error *err)
{
    dr_facts *p = c->pending;
    MDB_txn *txn = NULL;
    dr_state s;
    dr_status st;
    bool old = false;
    const size_t before = out->n;

    const uint64_t hash = key_hash(key);
    (void)pthread_mutex_lock(&p->lock);
    const fact *f = table_find(&p->gathering, hash, key);
    if (!f)
        f = table_find(&p->flushing, hash, key);
    if (f) {
        *kind = f->kind;
        dr_buf_add(out, fact_stored(f) + SUM_BYTES, f->n_value);
    }
    (void)pthread_mutex_unlock(&p->lock);
    if (f)
        return out->failed ? dr_fail(err, DR_ERR_NOMEM, "facts: out of memory") : DR_OK;

    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        return st;
    int rc = dr_state__get(c, txn, &s);
    if (rc == 0 && (rc = take_value(c, txn, s.young, key, kind, out)) == MDB_NOTFOUND) {
        rc = take_value(c, txn, 1 - s.young, key, kind, out);
        old = rc == 0;
    }
    st = dr_env__status(&c->facts, rc, "reading a fact", err);
    dr_env__read_end(&c->facts, txn);
    if (st == DR_OK && old && !c->read_only)
        (void)put_fact(c, key, (dr_cspan){(const uint8_t *)out->data + before, out->n - before}, *kind, true, NULL);
    return st;
}

/* Key and value are copied. */
static dr_status put_fact(dr_cache *c, dr_cspan key, dr_cspan value, fact_kind kind, bool kept, dr_error *err)
{
    dr_facts *p = c->pending;

    fact *f = malloc(sizeof *f + key.n + SUM_BYTES + value.n);
    if (!f)
        return dr_fail(err, DR_ERR_NOMEM, "facts: out of memory");
    f->hash = key_hash(key);
    f->n_key = key.n;
    f->n_value = value.n;
    f->kind = kind;
    f->kept = kept;
    memcpy(f->bytes, key.data, key.n);
    if (value.n)
        memcpy(f->bytes + key.n + SUM_BYTES, value.data, value.n);
    const uint64_t sum = fact_sum(key, f->bytes + key.n + SUM_BYTES, value.n);
    dr_store_u64(f->bytes + key.n, kind == FACT_HEAD ? sum ^ HEAD_MARK : sum);

    (void)pthread_mutex_lock(&p->lock);
    const bool put = table_put(&p->gathering, f);
    const bool full = p->gathering.bytes >= p->flush_bytes;
    (void)pthread_mutex_unlock(&p->lock);
    if (!put) {
        free(f);
        return dr_fail(err, DR_ERR_NOMEM, "facts: out of memory");
    }
    return full ? dr_facts__flush(c, err) : DR_OK;
}

/* ---- values in pieces ---- */

/* All of a piece's key but its number. */
static void piece_key(uint8_t to[PIECE_KEY], dr_cspan key, const uint8_t head[HEAD_BYTES])
{
    uint8_t both[KEY_BYTES_MAX + HEAD_BYTES];
    memcpy(both, key.data, key.n);
    memcpy(both + key.n, head, HEAD_BYTES);
    const dr_digest d = dr_sha256(both, key.n + HEAD_BYTES);
    memcpy(to, "\xff" "big", 4);
    memcpy(to + 4, d.b, sizeof d.b);
}

static dr_cspan piece_number(uint8_t key[PIECE_KEY], size_t i)
{
    for (int b = 0; b < 4; b++) /* big-endian: neighbours in the value are neighbours in the tree */
        key[PIECE_KEY - 4 + b] = (uint8_t)(i >> (24 - 8 * b));
    return (dr_cspan){key, PIECE_KEY};
}

/* The head goes last: who finds it finds all pieces, unless their generation went meanwhile. */
static dr_status put_pieces(dr_cache *c, dr_cspan key, dr_cspan value, dr_error *err)
{
    dr_status st = DR_OK;
    uint8_t head[HEAD_BYTES], name[PIECE_KEY];
    const dr_checksum whole = dr_xxh3_128(value.data, value.n);

    dr_store_u64(head, value.n);
    dr_store_u64(head + 8, whole.lo);
    dr_store_u64(head + 16, whole.hi);
    piece_key(name, key, head);
    for (size_t at = 0; at < value.n && st == DR_OK; at += PIECE_BYTES) {
        const size_t n = value.n - at < PIECE_BYTES ? value.n - at : PIECE_BYTES;
        st = put_fact(c, piece_number(name, at / PIECE_BYTES), (dr_cspan){value.data + at, n}, FACT_VALUE, false, err);
    }
    return st == DR_OK ? put_fact(c, key, (dr_cspan){head, sizeof head}, FACT_HEAD, false, err) : st;
}

/* In place of the head, which is the end of *out from `before`. */
static dr_status get_pieces(dr_cache *c, dr_buf *out, size_t before, dr_cspan key, dr_error *err)
{
    dr_status st = DR_OK;
    uint8_t head[HEAD_BYTES], name[PIECE_KEY];

    memcpy(head, out->data + before, sizeof head);
    out->n = before;
    const uint64_t n = dr_load_u64(head);
    piece_key(name, key, head);
    for (uint64_t at = 0; at < n && st == DR_OK; at += PIECE_BYTES) {
        fact_kind kind = FACT_DAMAGED;
        const size_t end = out->n, want = (size_t)(n - at < PIECE_BYTES ? n - at : PIECE_BYTES);
        st = get_fact(c, out, piece_number(name, (size_t)(at / PIECE_BYTES)), &kind, err);
        if (st == DR_OK && (kind != FACT_VALUE || out->n - end != want))
            st = DR_ERR_NOT_FOUND;
    }
    return st;
}

/* ---- the store ---- */

static dr_status facts_get(void *self, dr_buf *out, dr_cspan key, dr_error *err)
{
    dr_cache *c = self;
    uint8_t digest[4 + sizeof(dr_digest)];
    fact_kind kind = FACT_DAMAGED;
    const size_t before = out->n;

    if (key.n == 0)
        return dr_fail(err, DR_ERR_ARG, "facts: an empty key");
    key = short_key(key, digest);
    dr_status st = get_fact(c, out, key, &kind, err);
    if (st == DR_OK && kind == FACT_HEAD)
        st = get_pieces(c, out, before, key, err);
    if (st != DR_OK && out->n > before) {
        out->n = before;
        out->data[before] = 0;
    }
    return st;
}

static dr_status facts_put(void *self, dr_cspan key, dr_cspan value, dr_error *err)
{
    dr_cache *c = self;
    uint8_t digest[4 + sizeof(dr_digest)];

    if (key.n == 0)
        return dr_fail(err, DR_ERR_ARG, "facts: an empty key");
    if (c->read_only)
        return DR_OK;
    if (value.n > c->pending->max_value)
        return dr_fail(err, DR_ERR_LIMIT, "facts: a value of %zu bytes; at most %zu are kept", value.n, c->pending->max_value);
    key = short_key(key, digest);
    return value.n > PIECE_BYTES ? put_pieces(c, key, value, err) : put_fact(c, key, value, FACT_VALUE, false, err);
}

static int by_key(const void *a, const void *b)
{
    const fact *x = *(fact *const *)a, *y = *(fact *const *)b;
    const size_t n = x->n_key < y->n_key ? x->n_key : y->n_key;
    const int d = memcmp(fact_key(x), fact_key(y), n);
    return d ? d : (x->n_key > y->n_key) - (x->n_key < y->n_key);
}

typedef struct batch {
    dr_cache *c;
    const fact **facts; /* sorted: neighbours share pages */
    size_t n, bytes;
} batch;

static int64_t generation_bytes(MDB_txn *txn, MDB_dbi dbi, int *rc)
{
    MDB_stat ms = {0};
    *rc = mdb_stat(txn, dbi, &ms);
    return (int64_t)((ms.ms_branch_pages + ms.ms_leaf_pages + ms.ms_overflow_pages) * ms.ms_psize);
}

static int write_batch(MDB_txn *txn, void *arg, dr_error *err)
{
    const batch *b = arg;
    dr_cache *c = b->c;
    dr_state s;
    int rc;

    (void)err;
    if ((rc = dr_state__get(c, txn, &s)) != 0)
        return rc == MDB_NOTFOUND ? MDB_INVALID : rc;
    const int64_t young = generation_bytes(txn, c->generation[s.young], &rc);
    if (rc != 0)
        return rc;
    if (young > 0 && young + (int64_t)b->bytes > c->facts_max_bytes / 2) {
        s.young = 1 - s.young;
        if ((rc = mdb_drop(txn, c->generation[s.young], 0)) != 0 || (rc = dr_state__put(c, txn, &s)) != 0)
            return rc;
    }
    for (size_t i = 0; i < b->n; i++) {
        const fact *f = b->facts[i];
        MDB_val mk = {f->n_key, (void *)(uintptr_t)fact_key(f)};
        MDB_val mv = {SUM_BYTES + f->n_value, (void *)(uintptr_t)fact_stored(f)};
        rc = mdb_put(txn, c->generation[s.young], &mk, &mv, f->kept ? MDB_NOOVERWRITE : 0);
        if (rc != 0 && rc != MDB_KEYEXIST)
            return rc;
    }
    return 0;
}

/* Before pages of large values are freed: those of the facts that are replaced, and all of the old generation when it is about to
 * go. LMDB takes their number from their headers. */
static int check_freed(dr_cache *c, MDB_txn *txn, const batch *b)
{
    MDB_cursor *young = NULL, *old = NULL;
    MDB_val mk, mv;
    dr_state s;
    int rc;

    if ((rc = dr_state__get(c, txn, &s)) != 0 || (rc = mdb_cursor_open(txn, c->generation[s.young], &young)) != 0 ||
        (rc = mdb_cursor_open(txn, c->generation[1 - s.young], &old)) != 0)
        goto done;
    const int64_t young_bytes = generation_bytes(txn, c->generation[s.young], &rc);
    const bool drops = rc == 0 && young_bytes + (int64_t)b->bytes > c->facts_max_bytes / 2;
    while (rc == 0 && drops && (rc = mdb_cursor_get(old, &mk, &mv, MDB_NEXT)) == 0)
        rc = dr_env__value_sound(&c->facts, &mk, &mv) ? 0 : MDB_CORRUPTED;
    if (rc == MDB_NOTFOUND)
        rc = 0;
    for (size_t i = 0; rc == 0 && i < b->n; i++) {
        mk = (MDB_val){b->facts[i]->n_key, (void *)(uintptr_t)fact_key(b->facts[i])};
        if ((rc = mdb_cursor_get(young, &mk, &mv, MDB_SET_KEY)) == 0)
            rc = dr_env__value_sound(&c->facts, &mk, &mv) ? 0 : MDB_CORRUPTED;
        else if (rc == MDB_NOTFOUND)
            rc = 0;
    }
done:
    if (young)
        mdb_cursor_close(young);
    if (old)
        mdb_cursor_close(old);
    return rc;
}

dr_status dr_facts__may_grow(dr_cache *c, dr_error *err)
{
    enum { MAX_BEHIND = 64 }; /* transactions of others while one is read, without anyone standing still */
    MDB_envinfo info;

    if (mdb_env_info(c->facts.env, &info) != 0 || info.me_last_pgno < c->max_facts_pages)
        return DR_OK;
    dr_env__clear_dead_readers(&c->facts);
    if (dr_env__oldest_reader(&c->facts) + MAX_BEHIND >= info.me_last_txnid)
        return DR_OK;
    return dr_fail(err, DR_ERR_AGAIN, "%s: a process that reads and does not go on keeps old pages; nothing is stored until it ends",
                   c->facts.path);
}

dr_status dr_facts__flush(dr_cache *c, dr_error *err)
{
    dr_facts *p = c->pending;
    dr_status st = DR_OK;
    batch b = {.c = c};

    (void)pthread_mutex_lock(&c->flush_lock);
    (void)pthread_mutex_lock(&p->lock);
    p->flushing = p->gathering;
    p->gathering = (fact_table){0};
    (void)pthread_mutex_unlock(&p->lock);
    if (p->flushing.n == 0)
        goto done;
    if (!(b.facts = calloc(p->flushing.n, sizeof(const fact *)))) {
        st = dr_fail(err, DR_ERR_NOMEM, "facts: out of memory");
        goto done;
    }
    for (size_t i = 0; i < p->flushing.n_slots; i++)
        if (p->flushing.slots[i])
            b.facts[b.n++] = p->flushing.slots[i];
    b.bytes = p->flushing.bytes;
    if ((st = dr_facts__may_grow(c, err)) != DR_OK)
        goto done;
    qsort(b.facts, b.n, sizeof(const fact *), by_key);
    MDB_txn *txn = NULL;
    if ((st = dr_env__read(&c->facts, &txn, err)) != DR_OK)
        goto done;
    st = dr_env__status(&c->facts, check_freed(c, txn, &b), "replacing facts", err);
    dr_env__read_end(&c->facts, txn);
    if (st == DR_OK)
        st = dr_env__update(&c->facts, write_batch, &b, err);
done:
    /* What could not be written is let go: it can be made again, and would only pile up. */
    (void)pthread_mutex_lock(&p->lock);
    fact_table written = p->flushing;
    p->flushing = (fact_table){0};
    p->written += written.bytes;
    if (p->written / FLUSH_PART > p->flush_bytes)
        p->flush_bytes = p->written / FLUSH_PART < p->flush_most ? p->written / FLUSH_PART : p->flush_most;
    (void)pthread_mutex_unlock(&p->lock);
    table_clear(&written);
    free(b.facts);
    (void)pthread_mutex_unlock(&c->flush_lock);
    return st;
}

dr_status dr_facts__new(dr_cache *c, dr_error *err)
{
    dr_facts *p = calloc(1, sizeof *p);
    if (!p)
        return dr_fail(err, DR_ERR_NOMEM, "facts: out of memory");
    const size_t eighth = (size_t)c->facts_max_bytes / BUDGET_PARTS;
    p->flush_most = eighth < FLUSH_MOST ? eighth : FLUSH_MOST;
    p->flush_bytes = p->flush_most < FLUSH_LEAST ? p->flush_most : FLUSH_LEAST;
    p->max_value = 2 * eighth;
    (void)pthread_mutex_init(&p->lock, NULL);
    c->pending = p;
    c->store = (dr_blob_store){c, facts_get, facts_put};
    return DR_OK;
}

void dr_facts__free(dr_cache *c)
{
    if (!c->pending)
        return;
    table_clear(&c->pending->gathering);
    table_clear(&c->pending->flushing);
    (void)pthread_mutex_destroy(&c->pending->lock);
    free(c->pending);
    c->pending = NULL;
}

const dr_blob_store *dr_cache_facts(dr_cache *c)
{
    return c ? &c->store : NULL;
}
