#include "tests/cache/support.h"

#include "base/bytes.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char root[256];

const char *scratch_new(void)
{
    static const uint64_t ENOUGH = (uint64_t)1 << 30;
    const char *tmp = getenv("TMPDIR");
    struct statvfs fs;

    /* Memory, when there is some to spare: what is tested is not the disk, and thousands of small syncs wear it. */
    if (!tmp || strlen(tmp) > 200)
        tmp = statvfs("/dev/shm", &fs) == 0 && fs.f_bavail * fs.f_frsize > ENOUGH && access("/dev/shm", W_OK) == 0
                  ? "/dev/shm"
                  : "/tmp";
    (void)snprintf(root, sizeof root, "%s/deepread-cache-XXXXXX", tmp);
    assert_non_null(mkdtemp(root));
    return root;
}

static int delete_one(const char *path, const struct stat *sb, int type, struct FTW *at)
{
    (void)sb;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

static int open_one(const char *path, const struct stat *sb, int type, struct FTW *at)
{
    (void)sb;
    (void)at;
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, 0700);
    return 0;
}

void scratch_free(void)
{
    if (!root[0])
        return;
    (void)nftw(root, open_one, 16, FTW_PHYS);
    (void)nftw(root, delete_one, 16, FTW_DEPTH | FTW_PHYS);
    root[0] = 0;
}

const char *scratch_path(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

dr_cache *cache_at(int64_t kv_max_bytes)
{
    const dr_cache_options o = {.kv_max_bytes = kv_max_bytes};
    dr_cache *c = NULL;
    dr_error err = {0};
    if (dr_cache_open(&c, scratch_path("c"), &o, &err) != DR_OK)
        fail_msg("%s", err.msg);
    return c;
}

dr_key key_number(uint64_t i)
{
    if (i == 0)
        return (dr_key){{0}};
    return dr_sha256(&i, sizeof i);
}

void fill_bytes(uint8_t *p, size_t n, uint64_t i)
{
    uint64_t z = i * 0x9e3779b97f4a7c15u + 12345;
    for (size_t at = 0; at < n; at += 8) {
        uint8_t word[8];
        dr_store_u64(word, random_next(&z));
        memcpy(p + at, word, n - at < 8 ? n - at : 8);
    }
}

dr_kv_label label_number(dr_kv_kind kind, uint64_t i, uint64_t parent)
{
    return (dr_kv_label){.kind = kind, .key = key_number(i), .parent = key_number(parent), .n_tokens = (int64_t)i, .compute_us = 1000};
}

dr_status put_number(dr_cache *c, dr_kv_kind kind, uint64_t i, uint64_t parent, size_t n, dr_error *err)
{
    const dr_kv_label label = label_number(kind, i, parent);
    uint8_t *p = malloc(n + 1);
    assert_non_null(p);
    fill_bytes(p, n, i);
    const dr_status st = dr_kv_store_put(c, NULL, &label, p, n, err);
    free(p);
    return st;
}

dr_status get_number(dr_cache *c, dr_kv_kind kind, uint64_t i, size_t n)
{
    const dr_key key = key_number(i);
    uint8_t *got = malloc(n + 1), *want = malloc(n + 1);
    dr_error err = {0};

    assert_non_null(got);
    assert_non_null(want);
    got[n] = 0xA5; /* nothing is written behind the end */
    const dr_status st = dr_kv_store_get(c, (dr_span){got, n}, kind, &key, &err);
    if (st == DR_OK) {
        fill_bytes(want, n, i);
        if (memcmp(got, want, n) != 0)
            fail_msg("record %llu: wrong bytes", (unsigned long long)i);
    }
    assert_int_equal(got[n], 0xA5);
    free(got);
    free(want);
    return st;
}

void assert_clean(dr_cache *c)
{
    dr_cache_report r;
    dr_error err = {0};
    if (dr_cache_verify(c, &r, NULL, NULL, NULL, &err) != DR_OK)
        fail_msg("verify: %s", err.msg);
    if (r.n_bad_records || r.n_bad_facts || r.n_lost_slabs || r.n_bad_links)
        fail_msg("verify: %lld bad records, %lld bad facts, %lld lost slabs, %lld bad links", (long long)r.n_bad_records,
                 (long long)r.n_bad_facts, (long long)r.n_lost_slabs, (long long)r.n_bad_links);
}

void as_child(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL);
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
}

uint64_t random_next(uint64_t *state)
{
    /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
