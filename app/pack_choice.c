/* app/pack_choice.c: the commits that were taken as c0 lately, for one repository and one way of packing it.
 *
 *   key    "c0s1", SHA-256 over root, tokenizer, budget and filters
 *   value  up to four commits, 40 hex digits each, the latest first */
#include "app/pack_parts.h"

#include <string.h>

enum { N_KEPT = 4, HEX = 40 };

static void make_key(uint8_t key[36], const dr_maker *m)
{
    dr_sha256_stream *s = dr_sha256_new();
    const dr_repo_options *r = m->opt->reading;
    const dr_str root = dr_repo_identity(m->repo)->root;
    uint8_t word[8];

    dr_sha256_update(s, root.s, root.n + 1);
    dr_sha256_update(s, m->tokenizer.b, sizeof m->tokenizer.b);
    dr_store_u64(word, (uint64_t)m->budget);
    dr_sha256_update(s, word, sizeof word);
    for (size_t i = 0; r && i < r->n_include; i++) {
        dr_sha256_update(s, "+", 1);
        dr_sha256_update(s, r->include[i], strlen(r->include[i]) + 1);
    }
    for (size_t i = 0; r && i < r->n_exclude; i++) {
        dr_sha256_update(s, "-", 1);
        dr_sha256_update(s, r->exclude[i], strlen(r->exclude[i]) + 1);
    }
    if (r && r->submodules)
        dr_sha256_update(s, "s", 1);
    const dr_digest d = dr_sha256_finish(s);
    memcpy(key, "c0s1", 4);
    memcpy(key + 4, d.b, sizeof d.b);
}

void dr_choice__load(dr_choice *out, const dr_maker *m)
{
    uint8_t key[36];
    dr_buf value = {0};

    *out = (dr_choice){0};
    if (!m->opt->store)
        return;
    make_key(key, m);
    if (m->opt->store->get(m->opt->store->self, &value, (dr_cspan){key, sizeof key}, NULL) == DR_OK && value.n % HEX == 0 &&
        strspn(value.data, "0123456789abcdef") == value.n)
        for (size_t i = 0; i < N_KEPT && (i + 1) * HEX <= value.n; i++)
            memcpy(out->c0[i], value.data + i * HEX, HEX);
    dr_buf_free(&value);
}

void dr_choice__keep(const dr_choice *was, const dr_maker *m, const char *c0)
{
    uint8_t key[36];
    dr_buf value = {0};

    if (!m->opt->store || strcmp(was->c0[0], c0) == 0)
        return;
    make_key(key, m);
    dr_buf_str(&value, c0);
    for (int i = 0; i < N_KEPT && value.n < (size_t)N_KEPT * HEX; i++)
        if (*was->c0[i] && strcmp(was->c0[i], c0) != 0)
            dr_buf_str(&value, was->c0[i]);
    if (!value.failed)
        (void)m->opt->store->put(m->opt->store->self, (dr_cspan){key, sizeof key},
                                 (dr_cspan){(const uint8_t *)value.data, value.n}, NULL);
    dr_buf_free(&value);
}
