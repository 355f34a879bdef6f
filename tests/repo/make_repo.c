#include "tests/repo/make_repo.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t store_lock = PTHREAD_MUTEX_INITIALIZER;

world world_begin(void)
{
    world w;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(w.path, sizeof w.path, "%s/deepread-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w.path));
    assert_true(git_libgit2_init() > 0);
    return w;
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    (void)sb;
    (void)type;
    (void)ftw;
    return remove(path);
}

void world_end(world *w)
{
    (void)nftw(w->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)git_libgit2_shutdown();
}

const char *in(const world *w, const char *name)
{
    static char rooms[8][4096];
    static int next;
    char *room = rooms[next++ % 8];
    (void)snprintf(room, sizeof rooms[0], "%s/%s", w->path, name);
    return room;
}

void write_file(const char *path, const char *text, size_t n)
{
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *p = folder + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        assert_true(mkdir(folder, 0755) == 0 || errno == EEXIST);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

git_repository *new_repo(const char *path, bool bare)
{
    git_repository *repo = NULL;
    git_repository_init_options opt;
    assert_int_equal(git_repository_init_options_init(&opt, GIT_REPOSITORY_INIT_OPTIONS_VERSION), 0);
    opt.flags = GIT_REPOSITORY_INIT_MKPATH | (bare ? GIT_REPOSITORY_INIT_BARE : 0u);
    opt.initial_head = "main";
    assert_int_equal(git_repository_init_ext(&repo, path, &opt), 0);
    return repo;
}

static git_oid commit_with(git_repository *repo, git_tree *tree, const char *message)
{
    git_oid id, parent_id;
    git_signature *who = NULL;
    git_commit *parent = NULL;
    assert_int_equal(git_signature_new(&who, "Test", "test@example.org", 1700000000, 0), 0);
    if (git_reference_name_to_id(&parent_id, repo, "HEAD") == 0)
        assert_int_equal(git_commit_lookup(&parent, repo, &parent_id), 0);
    const git_commit *parents[1] = {parent};
    assert_int_equal(git_commit_create(&id, repo, "HEAD", who, who, NULL, message, tree, parent ? 1 : 0, parents), 0);
    git_commit_free(parent);
    git_signature_free(who);
    return id;
}

git_oid commit_all(git_repository *repo, const char *message)
{
    git_index *index = NULL;
    git_oid tree_id;
    git_tree *tree = NULL;
    assert_int_equal(git_repository_index(&index, repo), 0);
    assert_int_equal(git_index_add_all(index, NULL, GIT_INDEX_ADD_DEFAULT, NULL, NULL), 0);
    assert_int_equal(git_index_update_all(index, NULL, NULL, NULL), 0);
    assert_int_equal(git_index_write(index), 0);
    assert_int_equal(git_index_write_tree(&tree_id, index), 0);
    assert_int_equal(git_tree_lookup(&tree, repo, &tree_id), 0);
    const git_oid id = commit_with(repo, tree, message);
    git_tree_free(tree);
    git_index_free(index);
    return id;
}

git_oid write_blob(git_repository *repo, const char *text, size_t n)
{
    git_oid id;
    assert_int_equal(git_blob_create_from_buffer(&id, repo, text, n), 0);
    return id;
}

git_oid write_raw_tree(git_repository *repo, const raw_entry *entries, size_t n)
{
    dr_buf raw = {0};
    git_odb *odb = NULL;
    git_oid id;
    for (size_t i = 0; i < n; i++) {
        dr_buf_printf(&raw, "%s %s", entries[i].mode, entries[i].name);
        dr_buf_add(&raw, "", 1);
        dr_buf_add(&raw, entries[i].id.id, 20);
    }
    assert_int_equal(git_repository_odb(&odb, repo), 0);
    assert_int_equal(git_odb_write(&id, odb, raw.data, raw.n, GIT_OBJECT_TREE), 0);
    git_odb_free(odb);
    dr_buf_free(&raw);
    return id;
}

git_oid commit_tree(git_repository *repo, git_oid tree)
{
    /* By hand: libgit2 would refuse to look some of these trees up. */
    dr_buf raw = {0};
    git_odb *odb = NULL;
    git_oid id;
    git_reference *ref = NULL;
    char hex[41];
    git_oid_tostr(hex, sizeof hex, &tree);
    dr_buf_printf(&raw, "tree %s\nauthor T <t@e.org> 1700000000 +0000\ncommitter T <t@e.org> 1700000000 +0000\n\nraw\n",
                  hex);
    assert_int_equal(git_repository_odb(&odb, repo), 0);
    assert_int_equal(git_odb_write(&id, odb, raw.data, raw.n, GIT_OBJECT_COMMIT), 0);
    assert_int_equal(git_reference_create(&ref, repo, "refs/heads/main", &id, 1, NULL), 0);
    git_reference_free(ref);
    git_odb_free(odb);
    dr_buf_free(&raw);
    return id;
}

static dr_status memory_get(void *self, dr_buf *out, dr_cspan key, dr_error *err)
{
    memory_store *m = self;
    dr_status st = DR_ERR_NOT_FOUND;
    pthread_mutex_lock(&store_lock);
    for (size_t i = m->n_items; i-- > 0 && st != DR_OK;)
        if (m->items[i].n_key == key.n && memcmp(m->items[i].key, key.data, key.n) == 0) {
            dr_buf_add(out, m->items[i].value, m->items[i].n_value);
            st = DR_OK;
        }
    m->n_hits += st == DR_OK;
    m->n_misses += st != DR_OK;
    pthread_mutex_unlock(&store_lock);
    return st == DR_OK ? DR_OK : dr_fail(err, st, "not there");
}

static dr_status memory_put(void *self, dr_cspan key, dr_cspan value, dr_error *err)
{
    memory_store *m = self;
    (void)err;
    pthread_mutex_lock(&store_lock);
    assert_true(key.n <= 480);
    if (m->n_items == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->items = realloc(m->items, m->cap * sizeof *m->items);
        assert_non_null(m->items);
    }
    m->items[m->n_items].key = malloc(key.n);
    m->items[m->n_items].value = malloc(value.n + 1);
    memcpy(m->items[m->n_items].key, key.data, key.n);
    memcpy(m->items[m->n_items].value, value.data, value.n);
    m->items[m->n_items].n_key = key.n;
    m->items[m->n_items++].n_value = value.n;
    pthread_mutex_unlock(&store_lock);
    return DR_OK;
}

void memory_store_init(memory_store *m)
{
    memset(m, 0, sizeof *m);
    m->store = (dr_blob_store){m, memory_get, memory_put};
}

void memory_store_cut(memory_store *m, size_t n_keep)
{
    for (; m->n_items > n_keep; m->n_items--) {
        free(m->items[m->n_items - 1].key);
        free(m->items[m->n_items - 1].value);
    }
}

void memory_store_fini(memory_store *m)
{
    memory_store_cut(m, 0);
    free(m->items);
    m->items = NULL;
    m->cap = 0;
}

dr_repo *open_ok(const char *path, const dr_repo_options *opt)
{
    dr_repo *r = NULL;
    dr_error err = {0};
    if (dr_repo_open(&r, path, opt, &err) != DR_OK)
        fail_msg("%s: %s", path, err.msg);
    return r;
}

const dr_repo_file *file_named(const dr_repo *r, const char *path)
{
    size_t i;
    return dr_repo_find(r, dr_str_of(path), &i) ? dr_repo_file_at(r, i) : NULL;
}

void assert_class(const dr_repo *r, const char *path, dr_file_class cls, const char *why)
{
    const dr_repo_file *f = file_named(r, path);
    if (!f)
        fail_msg("%s is not listed", path);
    if (f->cls != cls || (why && (!f->why || !strstr(f->why, why))))
        fail_msg("%s is %s (%s)", path, dr_file_class_name(f->cls), f->why ? f->why : "");
    assert_true((f->why == NULL) == (cls == DR_FILE_TEXT));
}

void assert_content(const dr_repo *r, const char *path, const char *text)
{
    size_t i;
    dr_buf b = {0};
    dr_error err = {0};
    assert_true(dr_repo_find(r, dr_str_of(path), &i));
    if (dr_repo_read(r, i, &b, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(b.n, strlen(text));
    assert_memory_equal(b.data, text, b.n);
    dr_buf_free(&b);
}
