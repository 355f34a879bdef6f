/* repo/read.c: from an entry or a blob to its bytes, to its facts, to the text that is shown of it. */
#include "repo/disk.h"
#include "repo/snapshot.h"
#include "repo/to_git.h"

#include <stdio.h>
#include <string.h>

/* What was found in a blob, as it is kept.
 *
 *   0  8  size         8  8  LFS size         16  4  secrets         20  1  kind         21  1  bit 0 says generated, 1
 * long lines, 2 a pack
 *
 * Under "cls3", the rules that make text of bytes, the blob, and the name of an encoding when there is one. */
enum { RECORD = 22, KEY_HEAD = 4 + 32 + 20, MAX_KEY = 480 };

static size_t record_key(uint8_t key[MAX_KEY], const dr_repo *r, const uint8_t id[20], dr_str encoding)
{
    const size_t n = encoding.n < MAX_KEY - KEY_HEAD ? encoding.n : MAX_KEY - KEY_HEAD;
    memcpy(key, "cls3", 4);
    memcpy(key + 4, r->text_rules.b, 32);
    memcpy(key + 36, id, 20);
    if (n)
        memcpy(key + KEY_HEAD, encoding.s, n);
    return KEY_HEAD + n;
}

bool dr_snapshot__recall(dr_blob_facts *facts, const dr_blob_store *store, const dr_repo *r, const uint8_t id[20],
                         dr_str encoding)
{
    uint8_t key[MAX_KEY];
    dr_buf value = {0};
    bool ok = false;

    if (store && store->get(store->self, &value, (dr_cspan){key, record_key(key, r, id, encoding)}, NULL) == DR_OK &&
        value.n == RECORD && (uint8_t)value.data[20] < DR_N_CONTENT_KINDS) {
        *facts = (dr_blob_facts){.size = dr_load_u64(value.data),
                                 .lfs_size = dr_load_u64(value.data + 8),
                                 .n_secrets = dr_load_u32(value.data + 16),
                                 .kind = (dr_content_kind)value.data[20],
                                 .says_generated = value.data[21] & 1,
                                 .long_lines = value.data[21] >> 1 & 1,
                                 .is_pack = value.data[21] >> 2 & 1};
        ok = true;
    }
    dr_buf_free(&value);
    return ok;
}

void dr_snapshot__remember(const dr_blob_facts *facts, const dr_blob_store *store, const dr_repo *r,
                           const uint8_t id[20], dr_str encoding)
{
    uint8_t key[MAX_KEY], record[RECORD];

    if (!store)
        return;
    dr_store_u64(record, facts->size);
    dr_store_u64(record + 8, facts->lfs_size);
    dr_store_u32(record + 16, facts->n_secrets);
    record[20] = (uint8_t)facts->kind;
    record[21] = (uint8_t)((facts->says_generated ? 1 : 0) | (facts->long_lines ? 2 : 0) | (facts->is_pack ? 4 : 0));
    (void)store->put(store->self, (dr_cspan){key, record_key(key, r, id, encoding)}, (dr_cspan){record, RECORD}, NULL);
}

dr_status dr_snapshot__look(dr_blob_facts *facts, dr_buf *scratch, const dr_repo *r, dr_str bytes, dr_str encoding,
                            dr_error *err)
{
    dr_status st = DR_OK;
    dr_secrets found = {0};

    *facts = (dr_blob_facts){.size = bytes.n};
    if ((st = dr_content__look(&facts->kind, scratch, bytes, encoding, err)) != DR_OK)
        goto done;
    if (facts->kind == DR_CONTENT_LFS)
        facts->lfs_size = dr_content__lfs_size(bytes);
    if (!dr_content__is_text(facts->kind))
        goto done;
    const dr_str text = dr_content__is_converted(facts->kind) ? dr_buf_view(scratch) : bytes;
    facts->says_generated = dr_classify__says_generated(text);
    facts->long_lines = dr_classify__has_long_lines(text);
    facts->is_pack = dr_classify__is_pack(text);
    if ((st = dr_secrets_scan(&found, text, r->allow, err)) == DR_OK)
        facts->n_secrets = found.n < UINT32_MAX ? (uint32_t)found.n : UINT32_MAX;
done:
    dr_secrets_fini(&found);
    return st;
}

git_odb *dr_snapshot__odb_of(const dr_repo *r, dr_str path)
{
    git_odb *odb = r->odb;
    size_t longest = 0;
    for (size_t i = 0; i < r->n_submodules; i++) {
        const dr_str p = r->submodules[i].path;
        if (p.n > longest && path.n > p.n && memcmp(path.s, p.s, p.n) == 0 && path.s[p.n] == '/') {
            odb = r->submodules[i].odb;
            longest = p.n;
        }
    }
    return odb;
}

static dr_status read_object(git_odb *odb, const uint8_t id[20], const char *path, dr_buf *out, dr_error *err)
{
    git_oid oid;
    git_odb_object *object = NULL;
    dr_status st = DR_OK;

    dr_buf_clear(out);
    memcpy(oid.id, id, 20);
    if (git_odb_read(&object, odb, &oid) < 0)
        return dr_fail(err, DR_ERR_FORMAT, "%s: %s", path, dr_snapshot__git_error());
    if (git_odb_object_type(object) != GIT_OBJECT_BLOB)
        st = dr_fail(err, DR_ERR_FORMAT, "%s: the object is not a file", path);
    else
        dr_buf_add(out, git_odb_object_data(object), git_odb_object_size(object));
    if (st == DR_OK && out->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", path);
    git_odb_object_free(object);
    return st;
}

static git_odb *odb_of_entry(const dr_repo *r, const dr_entry *e)
{
    return e->storage ? r->submodules[e->storage - 1].odb : r->odb;
}

dr_status dr_snapshot__read(const dr_repo *r, const dr_entry *e, dr_buf *out, dr_error *err)
{
    const char *path = e->file.path.s;
    uint8_t id[20];

    if (!e->on_disk)
        return read_object(odb_of_entry(r, e), e->file.id, path, out, err);
    dr_status st = dr_disk__read(out, r->root_fd, path, r->max_file_bytes, err);
    if (st == DR_ERR_NOT_FOUND || st == DR_ERR_LIMIT)
        return dr_fail(err, DR_ERR_AGAIN, "%s changed on disk meanwhile", path);
    if (st == DR_OK && e->to_git) {
        const dr_to_git how =
            dr_to_git__again(e->to_git, dr_attributes__get(r->attributes, e->file.path, false).encoding);
        st = dr_to_git__apply(out, &how, err);
    }
    if (st != DR_OK)
        return st;
    dr_disk__blob_id(id, dr_buf_view(out));
    if (memcmp(id, e->file.id, 20) != 0)
        return dr_fail(err, DR_ERR_AGAIN, "%s changed on disk meanwhile", path);
    return DR_OK;
}

/* Takes what *bytes holds into the shown text. n_secrets 0: known to have none. */
static dr_status show(dr_buf *bytes, const dr_repo *r, dr_buf *converted, bool is_converted, bool has_secrets,
                      dr_error *err)
{
    dr_status st = DR_OK;
    dr_secrets found = {0};
    dr_buf masked = {0};
    dr_buf *text = is_converted ? converted : bytes;

    if (has_secrets) {
        if ((st = dr_secrets_scan(&found, dr_buf_view(text), r->allow, err)) != DR_OK ||
            (st = dr_secrets_mask(&masked, dr_buf_view(text), &found, err)) != DR_OK)
            goto done;
        text = &masked;
    }
    if (text != bytes) {
        const dr_buf kept = *bytes;
        *bytes = *text;
        *text = kept;
    }
done:
    dr_secrets_fini(&found);
    dr_buf_free(&masked);
    return st;
}

static dr_status check_readable(const dr_repo *r, size_t index, dr_error *err)
{
    if (index >= r->n)
        return dr_fail(err, DR_ERR_ARG, "file %zu of %zu", index, r->n);
    const dr_repo_file *f = &r->entries[index].file;
    if (!dr_repo_is_text(f))
        return dr_fail(err, DR_ERR_ARG, "%s is not read: %s", f->cls == DR_FILE_REFUSED ? "a file" : f->path.s, f->why);
    return DR_OK;
}

dr_status dr_repo_read_raw(const dr_repo *r, size_t index, dr_buf *out, dr_error *err)
{
    const dr_status st = check_readable(r, index, err);
    return st == DR_OK ? dr_snapshot__read(r, &r->entries[index], out, err) : st;
}

/* From disk, when the file is still the one that the snapshot saw and git's filters leave it alone. Size and times are
 * what git's own index goes by too; the size of the blob is compared because a filter may stand in between. */
static bool read_unchanged(const dr_repo *r, const dr_entry *e, dr_buf *out)
{
    if (!e->print || r->root_fd < 0 ||
        !dr_disk__read_same(out, r->root_fd, e->file.path.s, e->file.size, e->print))
        return false;
    if (e->on_disk || !dr_attributes__mentions(r->attributes, DR_ATTR_FILTER))
        return true;
    dr_attr_rule filter;
    dr_attributes__why(&filter, r->attributes, DR_ATTR_FILTER, e->file.path, false);
    return filter.state == DR_ATTR_UNSAID || filter.state == DR_ATTR_NO;
}

static dr_status read_shown(const dr_repo *r, size_t index, bool exact, dr_buf *out, dr_error *err)
{
    dr_status st = check_readable(r, index, err);
    dr_buf converted = {0};

    if (st == DR_OK && (exact || !read_unchanged(r, &r->entries[index], out)))
        st = dr_snapshot__read(r, &r->entries[index], out, err);
    if (st != DR_OK)
        return st;
    const dr_repo_file *f = &r->entries[index].file;
    dr_content_kind kind = DR_CONTENT_UTF8;
    if (f->converted) {
        const dr_attr_set attr = dr_attributes__get(r->attributes, f->path, false);
        st = dr_content__look(&kind, &converted, dr_buf_view(out), attr.encoding, err);
    }
    if (st == DR_OK)
        st = show(out, r, &converted, dr_content__is_converted(kind), f->n_secrets != 0, err);
    dr_buf_free(&converted);
    return st;
}

dr_status dr_repo_read(const dr_repo *r, size_t index, dr_buf *out, dr_error *err)
{
    return read_shown(r, index, false, out, err);
}

dr_status dr_repo_read_exact(const dr_repo *r, size_t index, dr_buf *out, dr_error *err)
{
    return read_shown(r, index, true, out, err);
}

dr_status dr_repo_read_link(const dr_repo *r, size_t index, dr_buf *out, dr_error *err)
{
    dr_status st = DR_OK;
    uint8_t id[20];
    const dr_entry *e = index < r->n ? &r->entries[index] : NULL;

    if (!e || e->kind != DR_ENTRY_LINK || e->why != DR_WHY_SYMLINK)
        return dr_fail(err, DR_ERR_ARG, "file %zu is no link that is shown", index);
    if (!e->on_disk)
        st = read_object(odb_of_entry(r, e), e->file.id, e->file.path.s, out, err);
    else if ((st = dr_disk__read_link(out, r->root_fd, e->file.path.s, err)) == DR_OK) {
        dr_disk__blob_id(id, dr_buf_view(out));
        if (memcmp(id, e->file.id, sizeof id) != 0)
            st = dr_fail(err, DR_ERR_AGAIN, "%s changed on disk meanwhile", e->file.path.s);
    }
    return st == DR_OK ? show(out, r, NULL, false, true, err) : st;
}

dr_status dr_repo_read_blob(const dr_repo *r, const uint8_t id[20], dr_str path, dr_buf *out, dr_file_class *cls,
                            dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf converted = {0};
    dr_why why = dr_classify__path(path);
    git_oid oid;
    size_t size;
    git_object_t type;
    dr_blob_facts facts;
    char name[256];

    dr_buf_clear(out);
    memcpy(oid.id, id, 20);
    if (why != DR_WHY_NONE || (why = dr_snapshot__taken_out(r, path, false, NULL)) != DR_WHY_NONE)
        goto done;
    git_odb *odb = dr_snapshot__odb_of(r, path);
    if (!odb || git_odb_read_header(&size, &type, odb, &oid) < 0 || type != GIT_OBJECT_BLOB) {
        why = DR_WHY_MISSING;
        goto done;
    }
    if (size > r->max_file_bytes) {
        why = DR_WHY_TOO_LARGE;
        goto done;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(path.n < 200 ? path.n : 200), path.s);
    const dr_attr_set attr = dr_attributes__get(r->attributes, path, false);
    if ((st = read_object(odb, id, name, out, err)) != DR_OK) {
        if (st == DR_ERR_FORMAT) { /* damaged: as good as not there */
            st = DR_OK;
            why = DR_WHY_MISSING;
        }
        goto done;
    }
    if ((st = dr_snapshot__look(&facts, &converted, r, dr_buf_view(out), attr.encoding, err)) != DR_OK)
        goto done;
    why = dr_classify__verdict(path, &attr, &facts);
    if (why == DR_WHY_NONE || dr_why__class(why) == DR_FILE_GENERATED)
        st = show(out, r, &converted, dr_content__is_converted(facts.kind), facts.n_secrets != 0, err);
done:
    *cls = dr_why__class(why);
    if (st != DR_OK || (*cls != DR_FILE_TEXT && *cls != DR_FILE_GENERATED))
        dr_buf_clear(out);
    dr_buf_free(&converted);
    return st;
}

void dr_repo_text_key(uint8_t key[32], const dr_repo *r, dr_str path, const uint8_t id[20])
{
    const dr_str encoding = dr_attributes__get(r->attributes, path, false).encoding;
    uint8_t room[32 + 20 + 256];
    const size_t n = encoding.n < 256 ? encoding.n : 256;

    memcpy(room, r->text_rules.b, 32);
    memcpy(room + 32, id, 20);
    if (n)
        memcpy(room + 52, encoding.s, n);
    const dr_digest d = dr_sha256(room, 52 + n);
    memcpy(key, d.b, 32);
}
