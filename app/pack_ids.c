/* app/pack_ids.c: ids of bodies. In the store under "tok", format, tokenizer and text: u32 lines, then u32 an id. */
#include "app/pack_parts.h"
#include "app/pack_text.h"
#include "repo/text.h"

#include <string.h>

enum { KEY_BYTES = 4 + 2 * 32 };

bool dr_pack__shows(dr_file_class cls)
{
    return cls == DR_FILE_TEXT;
}

void dr_pack__run(dr_pool *pool, int64_t n, dr_range_fn *fn, void *arg)
{
    if (pool)
        dr_pool_run(pool, n, 1, fn, arg);
    else if (n > 0)
        fn(arg, 0, n, 0);
}

static void make_key(uint8_t key[KEY_BYTES], const dr_maker *m, const dr_pack_side *side)
{
    const char tag[] = {'t', 'o', 'k', '0' + DR_PACK_FORMAT};
    memcpy(key, tag, 4);
    memcpy(key + 4, m->tokenizer.b, 32);
    dr_repo_text_key(key + 36, side->repo, side->path, side->id);
}

dr_status dr_pack__read(dr_buf *text, dr_file_class *cls, const dr_pack_side *side, dr_error *err)
{
    if (side->index == SIZE_MAX)
        return dr_repo_read_blob(side->repo, side->id, side->path, text, cls, err);
    *cls = dr_repo_file_at(side->repo, side->index)->cls;
    return dr_pack__shows(*cls) ? dr_repo_read(side->repo, side->index, text, err) : DR_OK;
}

bool dr_pack__link_target(dr_buf *out, const dr_repo *repo, dr_str path, const uint8_t id[20])
{
    dr_buf text = {0};
    dr_file_class cls;
    const bool there = dr_repo_read_blob(repo, id, path, &text, &cls, NULL) == DR_OK && dr_pack__shows(cls);
    if (there)
        dr_text_excerpt(out, dr_buf_view(&text), 0);
    dr_buf_free(&text);
    return there;
}

/* True: *kept holds a value of this program. */
static bool load(dr_buf *kept, size_t *n, uint32_t *n_lines, const dr_blob_store *store, dr_cspan key)
{
    if (store->get(store->self, kept, key, NULL) != DR_OK || kept->failed || kept->n < 4 || kept->n % 4 != 0)
        return false;
    *n_lines = dr_load_u32(kept->data);
    *n = kept->n / 4 - 1;
    return true;
}

void dr_pack__take_body(int32_t *to, const dr_buf *room, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, room->data + 4, n * sizeof *to);
#else
    for (size_t i = 0; i < n; i++)
        to[i] = (int32_t)dr_load_u32(room->data + 4 + 4 * i);
#endif
}

bool dr_pack__find_body(dr_buf *room, size_t *n, uint32_t *n_lines, const dr_maker *m, const dr_pack_side *side)
{
    uint8_t key[KEY_BYTES];

    make_key(key, m, side);
    dr_buf_clear(room);
    return m->opt->store && load(room, n, n_lines, m->opt->store, (dr_cspan){key, sizeof key});
}

/* True: found and appended. */
static bool get(dr_ids *ids, uint32_t *n_lines, const dr_blob_store *store, dr_cspan key)
{
    dr_buf kept = {0};
    size_t n;
    const bool found = load(&kept, &n, n_lines, store, key);
    if (found) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        dr_ids_append(ids, (const int32_t *)(const void *)(kept.data + 4), n);
#else
        for (size_t i = 0; i < n; i++)
            dr_ids_add(ids, (int32_t)dr_load_u32(kept.data + 4 + 4 * i));
#endif
    }
    dr_buf_free(&kept);
    return found;
}

static void put(const dr_blob_store *store, dr_cspan key, uint32_t n_lines, const int32_t *v, size_t n)
{
    dr_buf value = {0};
    uint8_t word[4];

    dr_store_u32(word, n_lines);
    dr_buf_add(&value, word, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    dr_buf_add(&value, v, n * sizeof *v);
#else
    for (size_t i = 0; i < n; i++) {
        dr_store_u32(word, (uint32_t)v[i]);
        dr_buf_add(&value, word, sizeof word);
    }
#endif
    if (!value.failed)
        (void)store->put(store->self, key, (dr_cspan){(const uint8_t *)value.data, value.n}, NULL);
    dr_buf_free(&value);
}

dr_status dr_pack__body(dr_ids *ids, uint32_t *n_lines, dr_file_class *cls, const dr_maker *m, const dr_pack_side *side,
                        dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0}, body = {0};
    const size_t before = ids->n;
    uint8_t key[KEY_BYTES];
    const dr_cspan k = {key, sizeof key};
    const dr_blob_store *store = m->opt->store;

    make_key(key, m, side);
    /* The class is the path's as well as the text's: only a listed file's is known without reading it. */
    const bool listed = side->index != SIZE_MAX;
    if (listed)
        *cls = dr_repo_file_at(side->repo, side->index)->cls;
    else if ((st = dr_pack__read(&text, cls, side, err)) != DR_OK)
        goto done;
    if (!dr_pack__shows(*cls))
        goto done;
    if (store && get(ids, n_lines, store, k)) {
        st = ids->failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
        goto done;
    }
    if (listed && (st = dr_pack__read(&text, cls, side, err)) != DR_OK)
        goto done;
    *n_lines = dr_pack_text_body(&body, dr_buf_view(&text));
    dr_buf_free(&text); /* encoding has the largest peak */
    if (body.failed) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_tokenizer_encode(m->t, ids, dr_buf_view(&body), false, err)) != DR_OK)
        goto done;
    if (ids->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    else if (store)
        put(store, k, *n_lines, ids->v + before, ids->n - before);
done:
    dr_buf_free(&body);
    dr_buf_free(&text);
    return st;
}

dr_status dr_pack__signatures(dr_ids *ids, uint32_t *n_lines, const dr_maker *m, const dr_symbols *s, size_t file, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0}, body = {0};

    if ((st = dr_repo_read(m->base, file, &text, err)) != DR_OK)
        goto done;
    *n_lines = dr_text_n_lines(dr_buf_view(&text));
    dr_pack_text_signatures(&body, dr_buf_view(&text), s, file);
    st = body.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory")
                     : dr_tokenizer_encode(m->t, ids, dr_buf_view(&body), false, err);
    if (st == DR_OK && ids->failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_buf_free(&body);
    dr_buf_free(&text);
    return st;
}
