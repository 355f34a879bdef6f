#include "repo/repo.h"

#include "repo/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 1000000, DEFAULT_MAX_FILE_BYTES = 16 << 20 };

dr_status dr_snapshot__add(dr_entry **out, dr_repo *r, dr_str path, dr_entry_kind kind, dr_error *err)
{
    *out = NULL;
    if (r->n == MAX_FILES)
        return dr_fail(err, DR_ERR_LIMIT, "%s: more than %d files", r->id.root.s, MAX_FILES);
    if (r->n == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 256;
        dr_entry *grown = realloc(r->entries, cap * sizeof *grown);
        if (!grown)
            goto no_memory;
        r->entries = grown;
        r->cap = cap;
    }
    char *copy = dr_arena_take(r->text, path.n + 1);
    if (!copy)
        goto no_memory;
    memcpy(copy, path.s, path.n);
    dr_entry *e = &r->entries[r->n++];
    *e = (dr_entry){.file.path = {copy, path.n}, .kind = (uint8_t)kind, .why = (uint8_t)dr_classify__path(path)};
    *out = e;
    return DR_OK;
no_memory:
    return dr_fail(err, DR_ERR_NOMEM, "listing files: out of memory");
}

static int by_path(const void *a, const void *b)
{
    return dr_str_cmp(((const dr_entry *)a)->file.path, ((const dr_entry *)b)->file.path);
}

void dr_snapshot__settle(dr_repo *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!r->entries[i].gone)
            r->entries[n++] = r->entries[i];
    r->n = n;
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++)
        sorted = by_path(&r->entries[i - 1], &r->entries[i]) <= 0;
    if (!sorted)
        qsort(r->entries, n, sizeof *r->entries, by_path);
    for (size_t i = 1; i < n; i++)
        if (dr_str_eq(r->entries[i - 1].file.path, r->entries[i].file.path))
            r->entries[i].why = DR_WHY_NAME_TWICE;
}

static dr_digest digest_of(const dr_repo *r)
{
    static const uint8_t none[20];
    dr_sha256_stream *s = dr_sha256_new();
    for (size_t i = 0; i < r->n; i++) {
        const dr_entry *e = &r->entries[i];
        uint8_t head[9] = {e->kind};
        dr_store_u64(head + 1, e->file.path.n);
        dr_sha256_update(s, head, sizeof head);
        dr_sha256_update(s, e->file.path.s, e->file.path.n);
        dr_sha256_update(s, e->file.id, 20);
        if (memcmp(e->file.id, none, 20) == 0) { /* not hashed: too large or unreadable */
            uint8_t size[8];
            dr_store_u64(size, e->file.size);
            dr_sha256_update(s, size, sizeof size);
        }
    }
    return dr_sha256_finish(s);
}

/* What is known without content. True: the content decides. */
static bool needs_content(dr_entry *e)
{
    if (e->why != DR_WHY_NONE)
        return false;
    e->why = e->kind == DR_ENTRY_LINK      ? DR_WHY_SYMLINK
             : e->kind == DR_ENTRY_GITLINK ? DR_WHY_SUBMODULE
             : e->kind == DR_ENTRY_FOLDER  ? DR_WHY_MISSING_FOLDER
                                           : DR_WHY_NONE;
    return e->why == DR_WHY_NONE;
}

/* Sizes from the object's header first: what is too large is never unpacked. */
static bool find_size(const dr_repo *r, dr_entry *e)
{
    size_t size;
    git_object_t type;
    git_oid id;
    git_odb *odb = e->storage ? r->submodules[e->storage - 1].odb : r->odb;

    if (e->on_disk)
        return true;
    memcpy(id.id, e->file.id, 20);
    /* Without looking for new packs, which for every object that a partial clone lacks would be one look each. */
    if (!git_odb_exists_ext(odb, &id, GIT_ODB_LOOKUP_NO_REFRESH) || git_odb_read_header(&size, &type, odb, &id) < 0 ||
        type != GIT_OBJECT_BLOB)
        return false;
    e->file.size = size;
    return true;
}

typedef struct classify_job {
    dr_repo *r;
    const dr_blob_store *store;
} classify_job;

static void classify_entry(const classify_job *job, dr_entry *e, dr_buf *content, dr_buf *scratch)
{
    static const uint8_t none[20];
    const dr_repo *r = job->r;
    dr_blob_facts facts;

    if (!needs_content(e))
        return;
    const dr_attr_set attr = dr_attributes__get(r->attributes, e->file.path, false);
    const bool hashed = memcmp(e->file.id, none, 20) != 0;
    e->file.vendored = attr.vendored == 1;
    if (!hashed || !dr_snapshot__recall(&facts, job->store, r, e->file.id, attr.encoding)) {
        if (!find_size(r, e)) {
            e->why = DR_WHY_MISSING;
            return;
        }
        if (!hashed || e->file.size > r->max_file_bytes) {
            e->why = DR_WHY_TOO_LARGE;
            return;
        }
        if (dr_snapshot__read(r, e, content, NULL) != DR_OK ||
            dr_snapshot__look(&facts, scratch, r, dr_buf_view(content), attr.encoding, NULL) != DR_OK) {
            e->why = e->on_disk ? DR_WHY_UNREADABLE : DR_WHY_MISSING;
            return;
        }
        dr_snapshot__remember(&facts, job->store, r, e->file.id, attr.encoding);
    }
    e->file.size = facts.size;
    e->why = (uint8_t)(facts.size > r->max_file_bytes ? DR_WHY_TOO_LARGE
                                                      : dr_classify__verdict(e->file.path, &attr, &facts));
    if (e->why == DR_WHY_OWN_PACK)
        e->file.size = 0;
    if (e->why == DR_WHY_LFS)
        e->file.size = facts.lfs_size;
    const dr_file_class cls = dr_why__class((dr_why)e->why);
    if (cls == DR_FILE_TEXT || cls == DR_FILE_GENERATED) {
        e->file.converted = dr_content__is_converted(facts.kind);
        e->file.n_secrets = facts.n_secrets;
    }
}

static void classify_range(void *arg, int64_t begin, int64_t end, int worker)
{
    const classify_job *job = arg;
    dr_buf content = {0}, scratch = {0};
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        classify_entry(job, &job->r->entries[i], &content, &scratch);
    dr_buf_free(&content);
    dr_buf_free(&scratch);
}

static void classify(dr_repo *r, const dr_repo_options *opt)
{
    classify_job job = {r, opt->store};
    if (opt->pool)
        dr_pool_run(opt->pool, (int64_t)r->n, 16, classify_range, &job);
    else
        classify_range(&job, 0, (int64_t)r->n, 0);
    for (size_t i = 0; i < r->n; i++) {
        dr_entry *e = &r->entries[i];
        e->file.cls = dr_why__class((dr_why)e->why);
        e->file.why = dr_why__text((dr_why)e->why);
    }
}

/* What makes shown text of bytes, but for the encoding that a path's attributes may name. */
static dr_digest text_rules(const dr_secret_allow *allow)
{
    uint8_t room[4 + 8 + 32];
    const dr_digest allowed = dr_secret_allow_digest(allow);
    memcpy(room, "text", 4);
    dr_store_u32(room + 4, DR_CONTENT_VERSION);
    dr_store_u32(room + 8, DR_SECRETS_VERSION);
    memcpy(room + 12, allowed.b, 32);
    return dr_sha256(room, sizeof room);
}

dr_status dr_repo_open(dr_repo **out, const char *path, const dr_repo_options *opt, dr_error *err)
{
    static const dr_repo_options defaults;
    dr_status st = DR_OK;
    struct stat sb;
    dr_repo *r = NULL;

    *out = NULL;
    opt = opt ? opt : &defaults;
    if (stat(path, &sb) < 0) {
        st = dr_fail(err, errno == ENOENT || errno == ENOTDIR ? DR_ERR_NOT_FOUND : DR_ERR_IO, "%s: %s", path,
                     strerror(errno));
        goto done;
    }
    if (!S_ISDIR(sb.st_mode)) {
        st = dr_fail(err, DR_ERR_NOT_FOUND, "%s is not a folder", path);
        goto done;
    }
    if (!(r = calloc(1, sizeof *r)) || !(r->text = dr_arena_new(65536))) {
        st = dr_fail(err, DR_ERR_NOMEM, "repository: out of memory");
        goto done;
    }
    r->root_fd = -1;
    r->id.root = r->id.name = r->id.warning = DR_STR("");
    r->allow = opt->allow;
    r->text_rules = text_rules(opt->allow);
    r->max_file_bytes = opt->max_file_bytes ? opt->max_file_bytes : DEFAULT_MAX_FILE_BYTES;
    if (git_libgit2_init() < 0) {
        st = dr_fail(err, DR_ERR_NOMEM, "libgit2: %s", dr_snapshot__git_error());
        goto done;
    }
    r->counted = true;
    if ((st = dr_snapshot__locate(r, path, opt, err)) != DR_OK)
        goto done;
    r->id.digest = digest_of(r);
    dr_snapshot__take_out(r);
    classify(r, opt);
    *out = r;
    r = NULL;
done:
    dr_repo_close(r);
    return st;
}

void dr_repo_close(dr_repo *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_submodules; i++) {
        git_odb_free(r->submodules[i].odb);
        git_repository_free(r->submodules[i].git);
    }
    free(r->submodules);
    git_odb_free(r->odb);
    git_repository_free(r->git);
    if (r->counted)
        (void)git_libgit2_shutdown();
    if (r->root_fd >= 0)
        close(r->root_fd);
    dr_attributes__free(r->attributes);
    dr_ignore__free(r->deepread);
    dr_ignore__free(r->untracked);
    dr_ignore__free(r->include);
    dr_ignore__free(r->exclude);
    free(r->entries);
    dr_arena_free(r->text);
    free(r);
}

size_t dr_repo_n_files(const dr_repo *r)
{
    return r->n;
}

const dr_repo_file *dr_repo_file_at(const dr_repo *r, size_t index)
{
    return &r->entries[index].file;
}

bool dr_repo_find(const dr_repo *r, dr_str path, size_t *index)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (dr_str_cmp(r->entries[mid].file.path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *index = low;
    return low < r->n && dr_str_eq(r->entries[low].file.path, path);
}

bool dr_repo_is_text(const dr_repo_file *f)
{
    return f->cls == DR_FILE_TEXT || f->cls == DR_FILE_GENERATED;
}

const dr_repo_id *dr_repo_identity(const dr_repo *r)
{
    return &r->id;
}
