/* app/pack_ids.c: ids of bodies. In the store under "ids", format, tokenizer and text: u32 lines, then the ids, each in as many
 * bytes as the tokenizer needs: two below 65,536 tokens, else three. */
#include "app/pack_parts.h"
#include "app/pack_text.h"
#include "repo/text.h"

#include <stdlib.h>
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
    const char tag[] = {'i', 'd', 's', '0' + DR_PACK_FORMAT};
    memcpy(key, tag, 4);
    memcpy(key + 4, m->tokenizer.b, 32);
    dr_repo_text_key(key + 36, side->repo, side->path, side->id);
}

dr_status dr_pack__read(dr_buf *text, dr_file_class *cls, const dr_pack_side *side, dr_error *err)
{
    if (side->index == SIZE_MAX)
        return dr_repo_read_blob(side->repo, side->id, side->path, text, cls, err);
    *cls = dr_repo_file_at(side->repo, side->index)->cls;
    return dr_pack__shows(*cls) ? dr_repo_read_exact(side->repo, side->index, text, err) : DR_OK;
}

bool dr_pack__link_target(dr_buf *out, const dr_repo *repo, dr_str path, const uint8_t id[20])
{
    dr_buf text = {0};
    dr_file_class cls;
    size_t i;
    /* Of the snapshot itself it may lie on disk only. */
    const bool listed = dr_repo_find(repo, path, &i) && memcmp(dr_repo_file_at(repo, i)->id, id, 20) == 0;
    const bool there = (listed && dr_repo_read_link(repo, i, &text, NULL) == DR_OK) ||
                       (dr_repo_read_blob(repo, id, path, &text, &cls, NULL) == DR_OK && dr_pack__shows(cls));
    if (there)
        dr_text_excerpt(out, dr_buf_view(&text), 0);
    dr_buf_free(&text);
    return there;
}

static size_t width(const dr_tokenizer *t)
{
    return dr_tokenizer_size(t) <= 1 << 16 ? 2 : dr_tokenizer_size(t) <= 1 << 24 ? 3 : 4;
}

void dr_pack__take_body(int32_t *to, const dr_buf *room, size_t n, const dr_tokenizer *t)
{
    const uint8_t *p = (const uint8_t *)room->data + 4;
    switch (width(t)) {
    case 2:
        for (size_t i = 0; i < n; i++, p += 2)
            to[i] = p[0] | p[1] << 8;
        break;
    case 3:
        for (size_t i = 0; i < n; i++, p += 3)
            to[i] = p[0] | p[1] << 8 | p[2] << 16;
        break;
    default:
        for (size_t i = 0; i < n; i++, p += 4)
            to[i] = (int32_t)dr_load_u32(p);
    }
}

static bool find(dr_buf *room, size_t *n, uint32_t *n_lines, const dr_maker *m, dr_cspan key)
{
    const dr_blob_store *store = m->opt->store;
    const size_t w = width(m->t);

    if (!store || store->get(store->self, room, key, NULL) != DR_OK || room->failed || room->n < 4 || (room->n - 4) % w != 0)
        return false;
    *n_lines = dr_load_u32(room->data);
    *n = (room->n - 4) / w;
    return true;
}

bool dr_pack__find_body(dr_buf *room, size_t *n, uint32_t *n_lines, const dr_maker *m, const dr_pack_side *side)
{
    uint8_t key[KEY_BYTES];

    make_key(key, m, side);
    dr_buf_clear(room);
    return find(room, n, n_lines, m, (dr_cspan){key, sizeof key});
}

/* True: found and appended. */
static bool get(dr_ids *ids, uint32_t *n_lines, const dr_maker *m, dr_cspan key)
{
    dr_buf kept = {0};
    size_t n = 0;
    const bool found = find(&kept, &n, n_lines, m, key);
    int32_t *room = found && n ? malloc(n * sizeof *room) : NULL;
    if (room) {
        dr_pack__take_body(room, &kept, n, m->t);
        dr_ids_append(ids, room, n);
    } else if (found && n)
        ids->failed = true;
    free(room);
    dr_buf_free(&kept);
    return found;
}

static void put(const dr_maker *m, dr_cspan key, uint32_t n_lines, const int32_t *v, size_t n)
{
    const size_t w = width(m->t);
    uint8_t *value = malloc(4 + n * w);

    if (!value)
        return; /* what is not kept is made again */
    dr_store_u32(value, n_lines);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < w; k++)
            value[4 + i * w + k] = (uint8_t)((uint32_t)v[i] >> 8 * k);
    (void)m->opt->store->put(m->opt->store->self, key, (dr_cspan){value, 4 + n * w}, NULL);
    free(value);
}

dr_status dr_pack__body(dr_ids *ids, uint32_t *n_lines, dr_file_class *cls, const dr_maker *m, const dr_pack_side *side,
                        dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0}, body = {0};
    const size_t before = ids->n;
    uint8_t key[KEY_BYTES];
    const dr_cspan k = {key, sizeof key};

    make_key(key, m, side);
    /* The class is the path's as well as the text's: only a listed file's is known without reading it. */
    const bool listed = side->index != SIZE_MAX;
    if (listed)
        *cls = dr_repo_file_at(side->repo, side->index)->cls;
    else if ((st = dr_pack__read(&text, cls, side, err)) != DR_OK)
        goto done;
    if (!dr_pack__shows(*cls))
        goto done;
    if (get(ids, n_lines, m, k)) {
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
    else if (m->opt->store)
        put(m, k, *n_lines, ids->v + before, ids->n - before);
done:
    dr_buf_free(&body);
    dr_buf_free(&text);
    return st;
}

dr_status dr_pack__signatures(dr_ids *ids, uint32_t *n_lines, const dr_maker *m, const dr_symbols *s, size_t file, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf text = {0}, body = {0};

    if ((st = dr_repo_read_exact(m->base, file, &text, err)) != DR_OK)
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
