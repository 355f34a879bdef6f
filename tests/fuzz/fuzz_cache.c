/* A damaged or foreign database: a small cache is made once, and every input is a list of changes to its files (place 3 bytes, value 1,
 * top bit of the place: which of the two). It is opened, read, verified and written to. Whatever it says, it must not crash, and
 * what it gives out must be what was put in. */
#include "cache/facts.h"
#include "cache/upkeep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { N_RECORDS = 4, N_FACTS = 40, PATCH = 4, MAX_PATCHES = 64 };
static char folder[64];
static dr_buf image[2];
static const char *const names[2] = {"kv/data.mdb", "facts/data.mdb"};

static size_t size_of(uint64_t i)
{
    return i % 3 == 0 ? DR_KV_SLAB_BYTES + (size_t)i : (size_t)i * 10;
}

static void fill(uint8_t *p, size_t n, uint64_t i)
{
    for (size_t k = 0; k < n; k++)
        p[k] = (uint8_t)(i * 31 + k * 7 + k / 251);
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

static void put_all(dr_cache *c)
{
    static uint8_t bytes[2 * DR_KV_SLAB_BYTES];
    const dr_blob_store *s = dr_cache_facts(c);
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        const dr_kv_label l = {.kind = DR_KV_BLOCK, .key = dr_sha256(&i, sizeof i), .n_tokens = 1, .n_meta = 3};
        fill(bytes, size_of(i), i);
        (void)dr_kv_store_put(c, NULL, &l, bytes, size_of(i), NULL);
    }
    for (uint64_t i = 1; i <= N_FACTS; i++) {
        fill(bytes, size_of(i) / 64, i);
        (void)s->put(s->self, (dr_cspan){(const uint8_t *)&i, sizeof i}, (dr_cspan){bytes, size_of(i) / 64}, NULL);
    }
    (void)dr_cache_flush(c, NULL);
}

static void get_all(dr_cache *c)
{
    static uint8_t got[2 * DR_KV_SLAB_BYTES], want[2 * DR_KV_SLAB_BYTES];
    const dr_blob_store *s = dr_cache_facts(c);
    for (uint64_t i = 1; i <= N_RECORDS; i++) {
        const dr_key key = dr_sha256(&i, sizeof i);
        fill(want, size_of(i), i);
        if (dr_kv_store_get(c, (dr_span){got, size_of(i)}, DR_KV_BLOCK, &key, NULL) == DR_OK)
            must(memcmp(got, want, size_of(i)) == 0, "wrong bytes in a record");
    }
    for (uint64_t i = 1; i <= N_FACTS; i++) {
        dr_buf out = {0};
        fill(want, size_of(i) / 64, i);
        if (s->get(s->self, &out, (dr_cspan){(const uint8_t *)&i, sizeof i}, NULL) == DR_OK)
            must(out.n == size_of(i) / 64 && memcmp(out.data ? out.data : "", want, out.n) == 0, "wrong bytes in a fact");
        dr_buf_free(&out);
    }
}

static dr_cache *open_cache(void)
{
    const dr_cache_options o = {.kv_max_bytes = 32 * (DR_KV_SLAB_BYTES + 16), .facts_max_bytes = 1 << 20};
    dr_cache *c = NULL;
    dr_error err = {0};
    must(dr_cache_open(&c, folder, &o, &err) == DR_OK || err.msg[0], "refused without a word");
    return c;
}

static void clean_up(void)
{
    char path[128];
    (void)dr_cache_delete(folder, NULL);
    (void)snprintf(path, sizeof path, "%s/open.lock", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void make_image(void)
{
    struct stat sb;
    char path[128];
    (void)snprintf(folder, sizeof folder, "%s/deepread-fuzz-XXXXXX", stat("/dev/shm", &sb) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(folder) != NULL, "no folder to work in");
    (void)atexit(clean_up);
    dr_cache *c = open_cache();
    must(c != NULL, "no cache to begin with");
    put_all(c);
    get_all(c);
    dr_cache_close(c);
    for (int k = 0; k < 2; k++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        must(dr_read_file(&image[k], path, (size_t)1 << 26, NULL) == DR_OK, "the cache cannot be read");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!folder[0])
        make_image();
    for (int k = 0; k < 2; k++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        must(fd >= 0 && write(fd, image[k].data, image[k].n) == (ssize_t)image[k].n, "the cache cannot be put back");
        for (size_t i = 0; i < n / PATCH && i < MAX_PATCHES; i++) {
            const uint8_t *p = data + i * PATCH;
            const size_t at = ((size_t)(p[0] & 0x7f) << 16 | (size_t)p[1] << 8 | p[2]) % image[k].n;
            if (p[0] >> 7 == k)
                must(pwrite(fd, p + 3, 1, (off_t)at) == 1, "the cache cannot be changed");
        }
        (void)close(fd);
    }
    dr_cache *c = open_cache();
    if (c) {
        dr_cache_report r;
        get_all(c);
        (void)dr_cache_verify(c, &r, NULL, NULL, NULL, NULL);
        put_all(c);
        get_all(c);
    }
    dr_cache_close(c);
    return 0;
}
