/* LMDB follows page numbers, offsets and sizes without looking at them twice: a flipped bit in a page of its trees can send it
 * outside its map. So before it walks a tree, this does, through read(), with every number checked. What is read is small: the
 * values of slabs and of larger facts lie in overflow pages, of which only the place is checked here.
 *
 * On disk (format 1, 64-bit, little-endian):
 *
 *   page      number 8, pad 2, flags 2, lower 2, upper 2 | offsets of nodes, 2 each, up to `lower` | ... | nodes from `upper` to the end
 *   node      low 2, high 2, flags 2, key size 2, key, data; nodes are even-sized and leave no gaps
 *             branch: child page = low, high, flags        leaf: data size = low, high
 *   database  pad 4, flags 2, depth 2, branch pages 8, leaf pages 8, overflow pages 8, entries 8, root 8
 *   meta      page header, magic 4, version 4, address 8, map size 8, database of free pages, main database, last page 8, transaction 8
 *
 * The values of the free database are lists of page numbers: their count, then the numbers, descending. Every page is used at most
 * once, or free: a page that was both would be written over. Keys are in order, within pages and below branches. */
#include "cache/env.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER = DR_ENV_HEADER,
    NODE = 8,
    DATABASE = 48,
    META_BYTES = HEADER + 24 + 2 * DATABASE + 16,
    MAX_DEPTH = 20,
    MAX_KEY = 511,
    BRANCH = 0x01,
    LEAF = 0x02,
    OVERFLOW = 0x04,
    META = 0x08,
    BIG_DATA = 0x01,
    SUB_DATA = 0x02,
    INTEGER_KEY = 0x08
};
static const uint64_t NO_PAGE = UINT64_MAX;

typedef struct database {
    unsigned flags, depth;
    uint64_t n_branch, n_leaf, n_overflow, n_entries, root;
} database;

typedef struct check {
    int fd;
    uint64_t page_bytes, n_pages;
    uint64_t n_written; /* pages that the file has; free ones may lie behind them */
    uint64_t *taken; /* a bit for every page */
    uint8_t *cells;  /* page_bytes / 2: which pairs of bytes of the page under way belong to a node */
    uint8_t *pages;  /* one page for every level of two nested trees */
    bool failed_io;
} check;

typedef enum tree_role { TREE_FREE, TREE_MAIN, TREE_NAMED } tree_role;

static database database_load(const uint8_t *p)
{
    const uint32_t word = dr_load_u32(p + 4);
    return (database){word & 0xffff,       word >> 16,           dr_load_u64(p + 8), dr_load_u64(p + 16),
                      dr_load_u64(p + 24), dr_load_u64(p + 32), dr_load_u64(p + 40)};
}

static unsigned load_u16(const uint8_t *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static bool read_at(check *k, uint8_t *dst, uint64_t n, uint64_t at)
{
    while (n > 0) {
        const ssize_t got = pread(k->fd, dst, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            k->failed_io = got < 0;
            return false;
        }
        dst += got;
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return true;
}

/* Marks n pages from `page` on, all below `end`; false when one of them does not exist or is marked already. */
static bool take(check *k, uint64_t page, uint64_t n, uint64_t end)
{
    if (page < 2 || page >= end || n > end - page)
        return false;
    while (n > 0) {
        const uint64_t bit = page % 64, here = 64 - bit < n ? 64 - bit : n;
        const uint64_t mask = (here == 64 ? UINT64_MAX : ((uint64_t)1 << here) - 1) << bit;
        if (k->taken[page / 64] & mask)
            return false;
        k->taken[page / 64] |= mask;
        page += here;
        n -= here;
    }
    return true;
}

static bool check_free_list(check *k, const uint8_t *list, uint64_t n_bytes)
{
    uint64_t above = NO_PAGE;
    if (n_bytes < 8 || dr_load_u64(list) > n_bytes / 8 - 1)
        return false;
    const uint64_t n = dr_load_u64(list);
    for (uint64_t i = 1; i <= n; i++) {
        const uint64_t page = dr_load_u64(list + 8 * i);
        if (page >= above || !take(k, page, 1, k->n_pages))
            return false;
        above = page;
    }
    return true;
}

static bool check_tree(check *k, const database *d, tree_role role, uint8_t *pages);

/* A leaf's node whose data was found to lie where it should. */
static bool check_value(check *k, tree_role role, unsigned flags, const uint8_t *data, uint64_t n, database *seen, uint8_t *pages)
{
    if (flags & BIG_DATA) {
        const uint64_t first = dr_load_u64(data), n_pages = (HEADER + n + k->page_bytes - 1) / k->page_bytes;
        seen->n_overflow += n_pages;
        if (role == TREE_MAIN && flags & SUB_DATA)
            return false;
        if (!take(k, first, n_pages, k->n_written))
            return false;
        if (role != TREE_FREE)
            return true;
        uint8_t *list = malloc(n);
        const bool good =
            list && read_at(k, list, n, first * k->page_bytes + HEADER) && check_free_list(k, list, n);
        free(list);
        return good;
    }
    if (role == TREE_FREE)
        return check_free_list(k, data, n);
    if (!(flags & SUB_DATA))
        return true;
    if (role != TREE_MAIN || n != DATABASE)
        return false;
    const database sub = database_load(data);
    return check_tree(k, &sub, TREE_NAMED, pages);
}

/* Claims the bytes of a node; false when they reach out of the page or into another node. */
static bool claim(check *k, uint64_t at, uint64_t n)
{
    n += n & 1;
    if (at % 2 != 0 || n > k->page_bytes - at)
        return false;
    for (uint64_t i = at / 2; i < (at + n) / 2; i++) {
        if (k->cells[i])
            return false;
        k->cells[i] = 1;
    }
    return true;
}

/* Header and nodes of one page, without what they point to. */
static bool check_page(check *k, const uint8_t *p, uint64_t number, unsigned kind, unsigned db_flags, unsigned *n_nodes)
{
    const uint64_t lower = load_u16(p + 12), upper = load_u16(p + 14);
    uint64_t claimed = 0;

    if (dr_load_u64(p) != number || load_u16(p + 10) != kind || lower < HEADER + 2 || lower % 2 != 0 || upper < lower ||
        upper > k->page_bytes)
        return false;
    *n_nodes = (unsigned)((lower - HEADER) / 2);
    memset(k->cells, 0, k->page_bytes / 2);
    for (unsigned i = 0; i < *n_nodes; i++) {
        const uint64_t at = load_u16(p + HEADER + 2 * (size_t)i);
        if (at < upper || at > k->page_bytes - NODE)
            return false;
        const uint8_t *node = p + at;
        const uint64_t key = load_u16(node + 6), data = dr_load_u32(node);
        const unsigned flags = load_u16(node + 4);
        const bool nameless = kind == BRANCH && i == 0; /* the first key of a branch is not looked at */
        if (key > MAX_KEY || (key == 0 && !nameless) || (db_flags & INTEGER_KEY && key != 4 && key != 8 && !nameless))
            return false;
        uint64_t n = NODE + key;
        if (kind == LEAF) {
            if (flags & ~(unsigned)(BIG_DATA | SUB_DATA))
                return false;
            n += flags & BIG_DATA ? 8 : data;
        }
        if (!claim(k, at, n))
            return false;
        claimed += n + (n & 1);
    }
    return claimed == k->page_bytes - upper;
}

/* LMDB's order of keys. */
static bool before(dr_cspan a, dr_cspan b, unsigned db_flags)
{
    if (db_flags & INTEGER_KEY) {
        if (a.n != b.n)
            return false;
        return a.n == 4 ? dr_load_u32(a.data) < dr_load_u32(b.data) : dr_load_u64(a.data) < dr_load_u64(b.data);
    }
    const int d = memcmp(a.data, b.data, a.n < b.n ? a.n : b.n);
    return d < 0 || (d == 0 && a.n < b.n);
}

/* The keys below one branch's node: not before its own key, all before the next one's. No data: no bound. */
typedef struct bounds {
    dr_cspan from, to;
} bounds;

static dr_cspan key_at(const uint8_t *page, unsigned i)
{
    const uint8_t *node = page + load_u16(page + HEADER + 2 * (size_t)i);
    return (dr_cspan){node + NODE, load_u16(node + 6)};
}

/* Where keys are out of order, what is there is not found, and what is put again is there twice. */
static bool in_order(const uint8_t *p, unsigned n_nodes, unsigned first, bounds within, unsigned db_flags)
{
    for (unsigned i = first; i < n_nodes; i++) {
        const dr_cspan key = key_at(p, i);
        if ((within.from.data && before(key, within.from, db_flags)) || (within.to.data && !before(key, within.to, db_flags)) ||
            (i > first && !before(key_at(p, i - 1), key, db_flags)))
            return false;
    }
    return true;
}

static bool check_below(check *k, uint64_t number, unsigned depth, bounds within, tree_role role, const database *d, database *seen,
                        uint8_t *pages)
{
    uint8_t *p = pages + (depth - 1) * k->page_bytes;
    unsigned n_nodes;

    if (!take(k, number, 1, k->n_written) || !read_at(k, p, k->page_bytes, number * k->page_bytes) ||
        !check_page(k, p, number, depth > 1 ? BRANCH : LEAF, d->flags, &n_nodes) ||
        !in_order(p, n_nodes, depth > 1, within, d->flags))
        return false;
    if (depth == 1) {
        seen->n_leaf++;
        seen->n_entries += n_nodes;
    } else {
        seen->n_branch++;
    }
    for (unsigned i = 0; i < n_nodes; i++) {
        const uint8_t *node = p + load_u16(p + HEADER + 2 * (size_t)i);
        const uint8_t *data = node + NODE + load_u16(node + 6);
        const uint64_t low = dr_load_u32(node), flags = load_u16(node + 4);
        const bounds part = {depth > 1 && i > 0 ? key_at(p, i) : within.from, depth > 1 && i + 1 < n_nodes ? key_at(p, i + 1) : within.to};
        if (depth > 1 ? !check_below(k, low | flags << 32, depth - 1, part, role, d, seen, pages)
                      : !check_value(k, role, (unsigned)flags, data, low, seen, pages + MAX_DEPTH * k->page_bytes))
            return false;
    }
    return true;
}

static bool check_tree(check *k, const database *d, tree_role role, uint8_t *pages)
{
    database seen = {0};

    if (d->flags & ~(unsigned)INTEGER_KEY || (role == TREE_FREE && d->flags != INTEGER_KEY) || d->depth > MAX_DEPTH)
        return false;
    if (d->root == NO_PAGE)
        return d->depth == 0 && d->n_entries == 0 && d->n_branch == 0 && d->n_leaf == 0 && d->n_overflow == 0;
    return d->depth > 0 && check_below(k, d->root, d->depth, (bounds){{0}, {0}}, role, d, &seen, pages) && seen.n_branch == d->n_branch &&
           seen.n_leaf == d->n_leaf && seen.n_entries == d->n_entries && seen.n_overflow <= d->n_overflow &&
           d->n_overflow <= k->n_pages;
}

dr_status dr_env__check_trees(dr_env *e, MDB_txn *txn, dr_error *err)
{
    const uint64_t wanted = mdb_txn_id(txn);
    uint8_t meta[META_BYTES];
    check k = {.fd = e->fd, .page_bytes = e->page_bytes};
    dr_status st = DR_OK;
    bool found = false;

    for (uint64_t i = 0; i < 2 && !found; i++)
        found = read_at(&k, meta, sizeof meta, i * k.page_bytes) && dr_load_u64(meta + META_BYTES - 8) == wanted;
    /* Two commits of others since this transaction began, and no meta page speaks of it any more: nothing to go by. */
    if (!found)
        return DR_ERR_AGAIN;
    const database free_db = database_load(meta + HEADER + 24), main_db = database_load(meta + HEADER + 24 + DATABASE);
    k.n_pages = dr_load_u64(meta + META_BYTES - 16) + 1;
    struct stat sb;
    if (fstat(k.fd, &sb) < 0)
        return dr_fail(err, DR_ERR_IO, "%s/data.mdb: %s", e->path, strerror(errno));
    k.n_written = (uint64_t)sb.st_size / k.page_bytes < k.n_pages ? (uint64_t)sb.st_size / k.page_bytes : k.n_pages;
    k.taken = calloc(k.n_pages / 64 + 1, sizeof *k.taken);
    k.cells = malloc(k.page_bytes / 2);
    k.pages = malloc(2 * (size_t)MAX_DEPTH * k.page_bytes);
    if (!k.taken || !k.cells || !k.pages)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", e->path);
    else if (!check_tree(&k, &free_db, TREE_FREE, k.pages) || !check_tree(&k, &main_db, TREE_MAIN, k.pages))
        st = k.failed_io ? dr_fail(err, DR_ERR_IO, "%s/data.mdb: %s", e->path, strerror(errno))
                         : dr_fail(err, DR_ERR_FORMAT, "%s/data.mdb is damaged", e->path);
    free(k.taken);
    free(k.cells);
    free(k.pages);
    return st;
}

/* The number of the page at whose beginning a value lies, as its leaf has it: the leaf's own number, and how far apart the two are. */
static uint64_t page_of(const dr_env *e, const MDB_val *key, const MDB_val *value)
{
    const uintptr_t page = e->page_bytes;
    const uint8_t *header = (const uint8_t *)value->mv_data - HEADER;
    const uint8_t *leaf = (const uint8_t *)key->mv_data - (uintptr_t)key->mv_data % page;
    return dr_load_u64(leaf) + (uint64_t)((header - leaf) / (ptrdiff_t)page);
}

static bool header_sound(const dr_env *e, const uint8_t *header, uint64_t number, size_t n)
{
    return dr_load_u64(header) == number && load_u16(header + 10) == OVERFLOW &&
           dr_load_u32(header + 12) == (HEADER + n + e->page_bytes - 1) / e->page_bytes;
}

bool dr_env__value_sound(const dr_env *e, const MDB_val *key, const MDB_val *value)
{
    if ((uintptr_t)value->mv_data % e->page_bytes != HEADER)
        return true; /* among its neighbours in a leaf */
    return header_sound(e, (const uint8_t *)value->mv_data - HEADER, page_of(e, key, value), value->mv_size);
}

int dr_env__place(dr_env *e, const MDB_val *key, const MDB_val *value, uint64_t *at)
{
    uint64_t in_map;

    if ((uintptr_t)value->mv_data % e->page_bytes != HEADER)
        return MDB_CORRUPTED;
    *at = page_of(e, key, value) * e->page_bytes + HEADER;
    /* Two that know independently. */
    return dr_env__offset(e, value->mv_data, &in_map) && in_map != *at ? MDB_CORRUPTED : 0;
}

int dr_env__may_write(const dr_env *e, uint64_t at)
{
    uint8_t header[HEADER];
    ssize_t got;

    /* Through the file: of a slab not used for long one page comes from the disk, and not all that a fault in the map brings along. */
    do
        got = pread(e->fd, header, sizeof header, (off_t)(at - HEADER));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno;
    const unsigned flags = load_u16(header + 10);
    const bool of_a_tree = dr_load_u64(header) == at / e->page_bytes && !(flags & OVERFLOW) && (flags & (BRANCH | LEAF | META)) != 0;
    return got == (ssize_t)sizeof header && !of_a_tree ? 0 : MDB_CORRUPTED;
}

void dr_env__header(const dr_env *e, uint64_t at, size_t n, uint8_t header[DR_ENV_HEADER])
{
    memset(header, 0, HEADER);
    dr_store_u64(header, at / e->page_bytes);
    header[10] = OVERFLOW;
    dr_store_u32(header + 12, (uint32_t)((HEADER + n + e->page_bytes - 1) / e->page_bytes));
}
