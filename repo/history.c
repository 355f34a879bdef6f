#include "repo/history.h"

#include "repo/snapshot.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_FOLDERS = 1000000,        /* a handful of trees can name each other into billions of folders */
    MAX_CHANGES = 1000000,
    MAX_PATH_BYTES = 4096,        /* below a longer path nothing is looked at: also bounds the depth */
    MAX_OBJECT_BYTES = 256 << 20, /* a larger tree or commit counts as damaged */
    KEEP_BYTES = 32 << 20,        /* objects kept */
    N_SLOTS = 1 << 14,            /* a power of two */
};

typedef struct kept {
    git_odb_object *object; /* NULL: free */
} kept;

struct dr_history {
    const dr_repo *repo;
    /* Objects read lately, at most half the slots. When they are too many or too large, all go: what is in use next is
     * read once more, and a walk along a history does that every few hundred commits. */
    kept slots[N_SLOTS];
    size_t n_kept, kept_bytes;
};

dr_status dr_history_open(dr_history **out, const dr_repo *r, dr_error *err)
{
    *out = NULL;
    if (!r->odb)
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s is not in a git repository, so it has no history", r->id.root.s);
    if (!(*out = calloc(1, sizeof **out)))
        return dr_fail(err, DR_ERR_NOMEM, "history: out of memory");
    (*out)->repo = r;
    return DR_OK;
}

static void forget(dr_history *h)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        git_odb_object_free(h->slots[i].object);
        h->slots[i].object = NULL;
    }
    h->n_kept = h->kept_bytes = 0;
}

void dr_history_close(dr_history *h)
{
    if (h)
        forget(h);
    free(h);
}

/* A reference to the object, or NULL: not there, not of that type, too large. Freed by git_odb_object_free. */
static git_odb_object *read_object(dr_history *h, const git_oid *id, git_object_t type)
{
    size_t at = dr_load_u32(id->id) & (N_SLOTS - 1), size;
    git_object_t is;
    git_odb_object *object = NULL;

    for (; h->slots[at].object; at = (at + 1) & (N_SLOTS - 1))
        if (git_oid_equal(git_odb_object_id(h->slots[at].object), id)) {
            git_odb_object *const known = h->slots[at].object;
            return git_odb_object_type(known) == type && git_odb_object_dup(&object, known) == 0 ? object : NULL;
        }
    if (git_odb_read_header(&size, &is, h->repo->odb, id) < 0 || is != type || size > MAX_OBJECT_BYTES ||
        git_odb_read(&object, h->repo->odb, id) < 0)
        return NULL;
    git_odb_object *mine;
    if (git_odb_object_dup(&mine, object) == 0) {
        if (2 * h->n_kept >= N_SLOTS || h->kept_bytes + size > KEEP_BYTES) {
            forget(h);
            at = dr_load_u32(id->id) & (N_SLOTS - 1);
        }
        h->slots[at].object = mine;
        h->n_kept++;
        h->kept_bytes += size;
    }
    return object;
}

static bool parse_id(git_oid *id, const char *hex)
{
    return strlen(hex) == 40 && git_oid_fromstr(id, hex) == 0;
}

/* ---- commits ---- */

dr_status dr_history_resolve(char hex[41], dr_history *h, const char *rev, dr_error *err)
{
    dr_status st = DR_OK;
    git_object *object = NULL, *commit = NULL;

    hex[0] = 0;
    if (git_revparse_single(&object, h->repo->git, rev) < 0)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: no revision %s", h->repo->id.root.s, rev);
    else if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) < 0)
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: %s is not a commit", h->repo->id.root.s, rev);
    else
        git_oid_tostr(hex, 41, git_object_id(commit));
    git_object_free(commit);
    git_object_free(object);
    return st;
}

typedef struct commit {
    git_oid tree, parent;
    uint32_t n_parents;
    dr_str rest; /* after the parents: author, committer, message */
} commit;

/* "tree HEX\n", "parent HEX\n" as often as there are parents, then the rest. */
static bool parse_commit(commit *c, dr_str text)
{
    enum { TREE = 46, PARENT = 48 };
    const char *p = text.s;
    size_t left = text.n;

    *c = (commit){0};
    if (left < TREE || memcmp(p, "tree ", 5) != 0 || p[TREE - 1] != '\n' || git_oid_fromstrn(&c->tree, p + 5, 40) < 0)
        return false;
    p += TREE;
    left -= TREE;
    for (; left >= PARENT && memcmp(p, "parent ", 7) == 0; p += PARENT, left -= PARENT) {
        git_oid id;
        if (p[PARENT - 1] != '\n' || git_oid_fromstrn(&id, p + 7, 40) < 0)
            return false;
        if (c->n_parents++ == 0)
            c->parent = id;
    }
    c->rest = (dr_str){p, left};
    return true;
}

/* Where *object points to is borrowed by *c. */
static dr_status read_commit(commit *c, git_odb_object **object, dr_history *h, const git_oid *id, dr_error *err)
{
    char hex[41];
    git_oid_tostr(hex, sizeof hex, id);
    if (!(*object = read_object(h, id, GIT_OBJECT_COMMIT)))
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s: commit %s is not there", h->repo->id.root.s, hex);
    if (!parse_commit(c, (dr_str){git_odb_object_data(*object), git_odb_object_size(*object)}))
        return dr_fail(err, DR_ERR_FORMAT, "%s: commit %s is damaged", h->repo->id.root.s, hex);
    return DR_OK;
}

/* The number after the '>' of a "committer NAME <MAIL> SECONDS ZONE" line; 0 when there is none. */
static int64_t parse_time(dr_str header)
{
    static const char key[] = "committer ";
    const char *p = header.s, *const end = header.s + header.n;
    int64_t seconds = 0;

    while (p < end && *p != '\n') {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *const stop = newline ? newline : end;
        if ((size_t)(stop - p) > sizeof key - 1 && memcmp(p, key, sizeof key - 1) == 0) {
            const char *at = memrchr(p, '>', (size_t)(stop - p));
            if (!at || ++at == stop || *at++ != ' ')
                return 0;
            for (; at < stop && *at >= '0' && *at <= '9' && seconds < INT64_MAX / 16; at++)
                seconds = 10 * seconds + (*at - '0');
            return seconds;
        }
        p = newline ? newline + 1 : end;
    }
    return 0;
}

dr_status dr_history_commit(dr_commit_info *out, dr_history *h, const char *hex, dr_error *err)
{
    dr_status st = DR_OK;
    git_oid id;
    git_odb_object *object = NULL;
    commit c;
    dr_buf subject = {0};

    *out = (dr_commit_info){0};
    if (!parse_id(&id, hex))
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s: \"%s\" does not name a commit", h->repo->id.root.s, hex);
    if ((st = read_commit(&c, &object, h, &id, err)) != DR_OK)
        goto done;
    out->n_parents = c.n_parents;
    if (c.n_parents)
        git_oid_tostr(out->parent, sizeof out->parent, &c.parent);
    out->time = parse_time(c.rest);
    const char *message = memmem(c.rest.s, c.rest.n, "\n\n", 2), *const end = c.rest.s + c.rest.n;
    while (message && message < end && *message == '\n')
        message++;
    if (message && message < end) {
        const char *newline = memchr(message, '\n', (size_t)(end - message));
        dr_text_excerpt(&subject, (dr_str){message, (size_t)((newline ? newline : end) - message)},
                        sizeof out->subject - 1);
        if (subject.failed) {
            st = dr_fail(err, DR_ERR_NOMEM, "history: out of memory");
            goto done;
        }
        memcpy(out->subject, subject.data, subject.n);
    }
done:
    dr_buf_free(&subject);
    git_odb_object_free(object);
    return st;
}

dr_status dr_history_chain(dr_chain *out, dr_history *h, const char *from, const char *to, size_t max, dr_error *err)
{
    dr_status st = DR_OK;
    git_oid stop = {{0}}, at;
    size_t cap = 0;

    *out = (dr_chain){0};
    if (!parse_id(&at, to) || (*from && !parse_id(&stop, from)))
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s: \"%s\" and \"%s\" do not name commits", h->repo->id.root.s, from, to);
    for (;;) {
        commit c;
        git_odb_object *object = NULL;
        if (*from && git_oid_equal(&at, &stop)) {
            out->found = true;
            break;
        }
        if (out->n == max)
            break;
        dr_error why;
        st = read_commit(&c, &object, h, &at, &why);
        git_odb_object_free(object);
        if (st == DR_ERR_NOT_FOUND && out->n) {
            out->cut_off = true;
            st = DR_OK;
            break;
        }
        if (st != DR_OK) {
            st = dr_fail(err, st, "%s", why.msg);
            goto done;
        }
        if (out->n == cap) {
            cap = cap ? 2 * cap : 64;
            char (*grown)[41] = realloc(out->commits, cap * sizeof *grown);
            if (!grown) {
                st = dr_fail(err, DR_ERR_NOMEM, "history: out of memory");
                goto done;
            }
            out->commits = grown;
        }
        git_oid_tostr(out->commits[out->n++], 41, &at);
        if (c.n_parents == 0)
            break;
        at = c.parent;
    }
    if (!*from)
        out->found = true;
    if (!out->found)
        out->n = 0;
    for (size_t i = 0; i < out->n / 2; i++) {
        char swap[41];
        memcpy(swap, out->commits[i], 41);
        memcpy(out->commits[i], out->commits[out->n - 1 - i], 41);
        memcpy(out->commits[out->n - 1 - i], swap, 41);
    }
done:
    if (st != DR_OK)
        dr_chain_fini(out);
    return st;
}

void dr_chain_fini(dr_chain *c)
{
    free(c->commits);
    *c = (dr_chain){0};
}

/* ---- two trees ---- */

/* One entry of a tree object: "MODE NAME\0" and the 20 bytes of its id. */
typedef struct tree_entry {
    const char *start, *name; /* start NULL: past the end */
    size_t n_name;
    const uint8_t *id;
    bool is_folder;
    dr_change_type type;
} tree_entry;

typedef struct tree_reader {
    const char *p, *end;
    tree_entry now;
    bool bad; /* not well formed: stopped there */
} tree_reader;

static void advance(tree_reader *t)
{
    uint32_t mode = 0;
    const char *p = t->p;

    t->now = (tree_entry){0};
    if (p == t->end)
        return;
    for (; p < t->end && *p >= '0' && *p <= '7'; p++)
        mode = mode * 8 + (uint32_t)(*p - '0');
    const char *const name = p + 1;
    const char *const nul = p < t->end && *p == ' ' ? memchr(name, 0, (size_t)(t->end - name)) : NULL;
    if (!nul || t->end - nul < 21) {
        t->bad = true;
        t->p = t->end;
        return;
    }
    mode &= 0170000;
    t->now = (tree_entry){.start = t->p,
                          .name = name,
                          .n_name = (size_t)(nul - name),
                          .id = (const uint8_t *)nul + 1,
                          .is_folder = mode == 0040000,
                          .type = mode == 0120000   ? DR_TYPE_LINK
                                  : mode == 0160000 ? DR_TYPE_SUBMODULE
                                                    : DR_TYPE_FILE};
    t->p = nul + 21;
}

/* git's order of entries: that of paths, a folder's name followed by a slash. */
static int compare_entries(const tree_entry *a, const tree_entry *b)
{
    if (!a->start || !b->start)
        return (a->start == NULL) - (b->start == NULL);
    const size_t n = a->n_name < b->n_name ? a->n_name : b->n_name;
    const int c = memcmp(a->name, b->name, n);
    if (c)
        return c;
    const int x = a->n_name > n ? (unsigned char)a->name[n] : a->is_folder ? '/' : 0;
    const int y = b->n_name > n ? (unsigned char)b->name[n] : b->is_folder ? '/' : 0;
    return x - y;
}

typedef struct walk {
    dr_history *h;
    /* One entry that is not a folder and differs; old or new is NULL when it is not on that side. */
    dr_status (*visit)(void *arg, dr_str path, const tree_entry *old, const tree_entry *new, dr_error *err);
    /* Whether anything under a folder matters; path ends with a slash. NULL: everything does. */
    bool (*wanted)(void *arg, dr_str path);
    void *arg;
    dr_buf path;
    size_t n_folders;
    bool incomplete;
} walk;

/* A folder on either side, or on both; NULL: not there. path holds its name with a slash, and is restored. */
static dr_status walk_folders(walk *w, const uint8_t *old_id, const uint8_t *new_id, dr_error *err)
{
    dr_status st = DR_OK;
    git_odb_object *objects[2] = {NULL, NULL};
    tree_reader sides[2] = {0};
    const uint8_t *const ids[2] = {old_id, new_id};
    const size_t keep = w->path.n;

    if (++w->n_folders > MAX_FOLDERS)
        return dr_fail(err, DR_ERR_LIMIT, "comparing commits: more than %d folders", MAX_FOLDERS);
    for (int i = 0; i < 2; i++) {
        git_oid id;
        if (!ids[i])
            continue;
        memcpy(id.id, ids[i], 20);
        if (!(objects[i] = read_object(w->h, &id, GIT_OBJECT_TREE))) {
            w->incomplete = true;
            goto done;
        }
        sides[i].p = git_odb_object_data(objects[i]);
        sides[i].end = sides[i].p + git_odb_object_size(objects[i]);
    }
    tree_entry *const a = &sides[0].now, *const b = &sides[1].now;
    advance(&sides[0]);
    advance(&sides[1]);
    while (st == DR_OK && (a->start || b->start)) {
        const int c = compare_entries(a, b);
        const tree_entry *const old = c <= 0 ? a : NULL, *const new = c >= 0 ? b : NULL;
        const tree_entry *const e = old ? old : new;
        if (c != 0 || memcmp(a->id, b->id, 20) != 0 || a->type != b->type) {
            dr_buf_add(&w->path, e->name, e->n_name);
            if (e->is_folder)
                dr_buf_add(&w->path, "/", 1);
            if (w->path.failed)
                st = dr_fail(err, DR_ERR_NOMEM, "comparing commits: out of memory");
            else if (!e->is_folder)
                st = w->visit(w->arg, dr_buf_view(&w->path), old, new, err);
            else if (w->path.n > MAX_PATH_BYTES)
                w->incomplete = true;
            else if (!w->wanted || w->wanted(w->arg, dr_buf_view(&w->path)))
                st = walk_folders(w, old ? old->id : NULL, new ? new->id : NULL, err);
            w->path.n = keep;
        }
        if (c <= 0)
            advance(&sides[0]);
        if (c >= 0)
            advance(&sides[1]);
    }
    w->incomplete = w->incomplete || sides[0].bad || sides[1].bad;
done:
    git_odb_object_free(objects[0]);
    git_odb_object_free(objects[1]);
    return st;
}

static dr_status walk_trees(walk *w, const git_oid *old, const git_oid *new, dr_error *err)
{
    if (old && git_oid_equal(old, new))
        return DR_OK;
    return walk_folders(w, old ? old->id : NULL, new->id, err);
}

/* ---- changes ---- */

typedef struct found {
    dr_change c; /* paths not yet set */
    size_t path_at, n_path, old_at, n_old;
    bool gone; /* became part of another one */
} found;

typedef struct finding {
    found *v;
    size_t n, cap;
    dr_buf paths;
    uint32_t n_refused;
} finding;

static dr_status add_change(void *arg, dr_str path, const tree_entry *old, const tree_entry *new, dr_error *err)
{
    finding *f = arg;

    if (dr_classify__path(path) != DR_WHY_NONE) {
        f->n_refused++;
        return DR_OK;
    }
    if (f->n == MAX_CHANGES)
        return dr_fail(err, DR_ERR_LIMIT, "comparing commits: more than %d changes", MAX_CHANGES);
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 16;
        found *grown = realloc(f->v, cap * sizeof *grown);
        if (!grown)
            goto no_memory;
        f->v = grown;
        f->cap = cap;
    }
    found *x = &f->v[f->n++];
    *x = (found){.path_at = f->paths.n, .n_path = path.n, .old_at = f->paths.n, .n_old = path.n};
    x->c.kind = !old ? DR_CHANGE_ADDED : !new ? DR_CHANGE_DELETED : DR_CHANGE_MODIFIED;
    if (old) {
        x->c.old_type = old->type;
        memcpy(x->c.old_id, old->id, 20);
    }
    if (new) {
        x->c.new_type = new->type;
        memcpy(x->c.new_id, new->id, 20);
    }
    dr_buf_add(&f->paths, path.s, path.n);
    dr_buf_add(&f->paths, "", 1);
    if (f->paths.failed)
        goto no_memory;
    return DR_OK;
no_memory:
    return dr_fail(err, DR_ERR_NOMEM, "comparing commits: out of memory");
}

static void set_paths(finding *f)
{
    for (size_t i = 0; i < f->n; i++) {
        f->v[i].c.path = (dr_str){f->paths.data + f->v[i].path_at, f->v[i].n_path};
        f->v[i].c.old_path = (dr_str){f->paths.data + f->v[i].old_at, f->v[i].n_old};
    }
}

/* Twins in the order in which they were found. */
static int by_path(const void *a, const void *b)
{
    const found *x = a, *y = b;
    int c = dr_str_cmp(x->c.path, y->c.path);
    if (c == 0)
        c = (x->c.kind > y->c.kind) - (x->c.kind < y->c.kind);
    return c ? c : (x->path_at > y->path_at) - (x->path_at < y->path_at);
}

/* A tree that is not in order gives a path twice, removed and added; one that has a name twice is refused the second. */
static void join_twins(finding *f)
{
    bool sorted = true;
    for (size_t i = 1; i < f->n && sorted; i++)
        sorted = dr_str_cmp(f->v[i - 1].c.path, f->v[i].c.path) < 0;
    if (sorted)
        return;
    qsort(f->v, f->n, sizeof *f->v, by_path);
    for (size_t i = 1; i < f->n; i++) {
        dr_change *a = &f->v[i - 1].c, *b = &f->v[i].c;
        if (!dr_str_eq(a->path, b->path))
            continue;
        if (a->kind != DR_CHANGE_ADDED || b->kind != DR_CHANGE_DELETED) {
            f->v[i].gone = true;
            f->n_refused++;
            continue;
        }
        a->kind = DR_CHANGE_MODIFIED;
        a->old_type = b->old_type;
        memcpy(a->old_id, b->old_id, 20);
        f->v[i - 1].gone = a->old_type == a->new_type && memcmp(a->old_id, a->new_id, 20) == 0;
        f->v[i].gone = true;
    }
}

static dr_str last_name(dr_str path)
{
    const char *slash = memrchr(path.s, '/', path.n);
    return slash ? (dr_str){slash + 1, (size_t)(path.s + path.n - slash - 1)} : path;
}

static const uint8_t *moved_id(const dr_change *c)
{
    return c->kind == DR_CHANGE_DELETED ? c->old_id : c->new_id;
}

static dr_change_type moved_type(const dr_change *c)
{
    return c->kind == DR_CHANGE_DELETED ? c->old_type : c->new_type;
}

static int by_content(const dr_change *a, const dr_change *b)
{
    const int c = memcmp(moved_id(a), moved_id(b), 20);
    return c ? c : (moved_type(a) > moved_type(b)) - (moved_type(a) < moved_type(b));
}

/* What was moved together stands together; in it the removed ones first. */
static int by_move(const void *a, const void *b)
{
    const dr_change *x = &(*(found *const *)a)->c, *y = &(*(found *const *)b)->c;
    int c = by_content(x, y);
    if (c == 0)
        c = (y->kind == DR_CHANGE_DELETED) - (x->kind == DR_CHANGE_DELETED);
    return c ? c : dr_str_cmp(x->path, y->path);
}

static int by_name(const void *a, const void *b)
{
    const dr_change *x = &(*(found *const *)a)->c, *y = &(*(found *const *)b)->c;
    const int c = dr_str_cmp(last_name(x->path), last_name(y->path));
    return c ? c : dr_str_cmp(x->path, y->path);
}

static void join_pair(found *from, found *to)
{
    to->c.kind = DR_CHANGE_RENAMED;
    to->c.old_type = from->c.old_type;
    memcpy(to->c.old_id, from->c.old_id, 20);
    to->old_at = from->path_at;
    to->n_old = from->n_path;
    from->gone = true;
}

/* v: the removed ones, then the added ones, of one content, each in path order. */
static void join_group(found **v, size_t n_removed, size_t n_added)
{
    found **const removed = v, **const added = v + n_removed;
    size_t i = 0, k = 0;

    if (n_removed > 1 || n_added > 1) {
        qsort(removed, n_removed, sizeof *v, by_name);
        qsort(added, n_added, sizeof *v, by_name);
        while (i < n_removed && k < n_added) {
            const int c = dr_str_cmp(last_name(removed[i]->c.path), last_name(added[k]->c.path));
            if (c == 0)
                join_pair(removed[i], added[k]);
            i += c <= 0;
            k += c >= 0;
        }
        qsort(v, n_removed, sizeof *v, by_move);
        qsort(added, n_added, sizeof *v, by_move);
    }
    for (i = k = 0; i < n_removed && k < n_added;) {
        if (removed[i]->gone)
            i++;
        else if (added[k]->c.kind == DR_CHANGE_RENAMED)
            k++;
        else
            join_pair(removed[i++], added[k++]);
    }
}

static bool join_renames(finding *f)
{
    size_t n = 0, n_removed = 0;
    found **moved = NULL;

    for (size_t i = 0; i < f->n; i++) {
        if (f->v[i].gone || f->v[i].c.kind == DR_CHANGE_MODIFIED)
            continue;
        n++;
        n_removed += f->v[i].c.kind == DR_CHANGE_DELETED;
    }
    if (n_removed == 0 || n_removed == n)
        return true;
    if (!(moved = malloc(n * sizeof *moved)))
        return false;
    n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (!f->v[i].gone && f->v[i].c.kind != DR_CHANGE_MODIFIED)
            moved[n++] = &f->v[i];
    qsort(moved, n, sizeof *moved, by_move);
    for (size_t i = 0, end; i < n; i = end) {
        size_t removed = 0;
        for (end = i; end < n && by_content(&moved[i]->c, &moved[end]->c) == 0; end++)
            removed += moved[end]->c.kind == DR_CHANGE_DELETED;
        if (removed && removed < end - i)
            join_group(moved + i, removed, end - i - removed);
    }
    free(moved);
    return true;
}

dr_status dr_history_changes(dr_changes *out, dr_history *h, const char *from, const char *to, dr_error *err)
{
    dr_status st = DR_OK;
    finding f = {0};
    walk w = {.h = h, .visit = add_change, .arg = &f};
    git_oid ids[2];
    commit commits[2];
    git_odb_object *object = NULL;
    const char *const names[2] = {from, to};

    *out = (dr_changes){0};
    for (int i = *from ? 0 : 1; i < 2; i++) {
        if (!parse_id(&ids[i], names[i])) {
            st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: \"%s\" does not name a commit", h->repo->id.root.s, names[i]);
            goto done;
        }
        st = read_commit(&commits[i], &object, h, &ids[i], err);
        git_odb_object_free(object);
        if (st != DR_OK)
            goto done;
    }
    if ((st = walk_trees(&w, *from ? &commits[0].tree : NULL, &commits[1].tree, err)) != DR_OK)
        goto done;
    set_paths(&f);
    join_twins(&f);
    if (!join_renames(&f) || (f.n && !(out->v = malloc(f.n * sizeof *out->v)))) {
        st = dr_fail(err, DR_ERR_NOMEM, "comparing commits: out of memory");
        goto done;
    }
    set_paths(&f);
    for (size_t i = 0; i < f.n; i++)
        if (!f.v[i].gone)
            out->v[out->n++] = f.v[i].c;
    out->n_refused = f.n_refused;
    out->incomplete = w.incomplete;
    out->storage = f.paths.data;
    f.paths = (dr_buf){0};
done:
    free(f.v);
    dr_buf_free(&f.paths);
    dr_buf_free(&w.path);
    return st;
}

void dr_changes_fini(dr_changes *c)
{
    free(c->v);
    free(c->storage);
    *c = (dr_changes){0};
}

/* ---- order ---- */

typedef struct dating {
    const dr_repo *repo;
    uint32_t *age;  /* [n] steps back from the newest commit to the one that changed the file; UINT32_MAX: not seen */
    uint32_t *next; /* [n + 1] a chain to the next file not dated yet; itself when it is not */
    uint32_t step;
    size_t n_left;
} dating;

static uint32_t next_undated(dating *d, uint32_t i)
{
    uint32_t root = i;
    while (d->next[root] != root)
        root = d->next[root];
    while (d->next[i] != root) {
        const uint32_t up = d->next[i];
        d->next[i] = root;
        i = up;
    }
    return root;
}

static dr_status date_file(void *arg, dr_str path, const tree_entry *old, const tree_entry *new, dr_error *err)
{
    dating *d = arg;
    size_t i;
    (void)old;
    (void)err;

    if (new && dr_repo_find(d->repo, path, &i) && d->age[i] == UINT32_MAX) {
        d->age[i] = d->step;
        d->next[i] = (uint32_t)i + 1;
        d->n_left--;
    }
    return DR_OK;
}

/* Whether a file below the folder is not dated yet: in path order they stand together. */
static bool has_undated(void *arg, dr_str folder)
{
    dating *d = arg;
    size_t i;

    (void)dr_repo_find(d->repo, folder, &i);
    i = next_undated(d, (uint32_t)i);
    if (i >= dr_repo_n_files(d->repo))
        return false;
    const dr_str path = dr_repo_file_at(d->repo, i)->path;
    return path.n > folder.n && memcmp(path.s, folder.s, folder.n) == 0;
}

static dr_status date_files(dating *d, dr_history *h, const git_oid *newest, size_t max_commits, dr_error *err)
{
    dr_status st = DR_OK;
    walk w = {.h = h, .visit = date_file, .wanted = has_undated, .arg = d};
    git_odb_object *object = NULL;
    commit now, before;

    st = read_commit(&now, &object, h, newest, err);
    git_odb_object_free(object);
    for (; st == DR_OK && d->step < max_commits && d->n_left; d->step++) {
        w.n_folders = 0;
        if (now.n_parents == 0) {
            st = walk_trees(&w, NULL, &now.tree, err);
            break;
        }
        const dr_status parent = read_commit(&before, &object, h, &now.parent, NULL);
        git_odb_object_free(object);
        if (parent != DR_OK)
            break;
        st = walk_trees(&w, &before.tree, &now.tree, err);
        now = before;
    }
    dr_buf_free(&w.path);
    return st;
}

typedef struct dated {
    uint32_t age, file;
} dated;

static int oldest_first(const void *a, const void *b)
{
    const dated *x = a, *y = b;
    if (x->age != y->age)
        return x->age > y->age ? -1 : 1;
    return (x->file > y->file) - (x->file < y->file);
}

dr_status dr_history_order(uint32_t *order, dr_history *h, const char *commit_hex, size_t max_commits, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n = dr_repo_n_files(h->repo);
    const char *const hex = commit_hex ? commit_hex : h->repo->id.commit;
    dating d = {.repo = h->repo, .n_left = n};
    dated *list = NULL;
    git_oid newest;

    if (!(d.age = malloc((n + 1) * sizeof *d.age)) || !(d.next = malloc((n + 1) * sizeof *d.next)) ||
        !(list = malloc((n + 1) * sizeof *list))) {
        st = dr_fail(err, DR_ERR_NOMEM, "history: out of memory");
        goto done;
    }
    for (size_t i = 0; i <= n; i++) {
        d.age[i] = UINT32_MAX;
        d.next[i] = (uint32_t)i;
    }
    if (*hex) {
        if (!parse_id(&newest, hex)) {
            st = dr_fail(err, DR_ERR_NOT_FOUND, "%s: \"%s\" does not name a commit", h->repo->id.root.s, hex);
            goto done;
        }
        if ((st = date_files(&d, h, &newest, max_commits, err)) != DR_OK)
            goto done;
    }
    for (size_t i = 0; i < n; i++)
        list[i] = (dated){d.age[i], (uint32_t)i};
    qsort(list, n, sizeof *list, oldest_first);
    for (size_t i = 0; i < n; i++)
        order[i] = list[i].file;
done:
    free(list);
    free(d.age);
    free(d.next);
    return st;
}
