#include "engine/safetensors.h"
#include "tests/engine/tiny_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A file of this header and n_data bytes; length: what the prefix says, or -1 for the truth. */
static uint8_t *file_of(size_t *n, const char *header, long long length, size_t n_data)
{
    const size_t h = strlen(header);
    uint8_t *f = calloc(1, 8 + h + n_data + 1);
    assert_non_null(f);
    const uint64_t told = length < 0 ? h : (uint64_t)length;
    for (int i = 0; i < 8; i++)
        f[i] = (uint8_t)(told >> (8 * i));
    memcpy(f + 8, header, h);
    for (size_t i = 0; i < n_data; i++)
        f[8 + h + i] = (uint8_t)i;
    *n = 8 + h + n_data;
    return f;
}

static void open_bytes(const uint8_t *bytes, size_t n, dr_status expected, const char *says)
{
    char folder[64];
    dr_safetensors *s;
    dr_error err = {0};
    tiny_write_raw(folder, bytes, n, NULL);
    const dr_status st = dr_safetensors_open(&s, folder, &err);
    if (st != expected || (says && !strstr(err.msg, says)))
        fail_msg("status %d, expected %d with \"%s\": %s", st, expected, says ? says : "", err.msg);
    assert_true((s != NULL) == (expected == DR_OK));
    dr_safetensors_close(s);
    tiny_remove_folder(folder);
}

static void refuse(const char *header, size_t n_data, const char *says)
{
    size_t n;
    uint8_t *f = file_of(&n, header, -1, n_data);
    open_bytes(f, n, DR_ERR_FORMAT, says);
    free(f);

    dr_error err = {0};
    assert_int_equal(dr_safetensors_check_header(dr_str_of(header), n_data, &n, "header", &err), DR_ERR_FORMAT);
}

static void safetensors__reads_a_file(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[4,8]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"none\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[8,8]}}   ";
    char folder[64];
    size_t n;
    dr_safetensors *s;
    dr_error err = {0};
    uint8_t *f = file_of(&n, header, -1, 8);
    tiny_write_raw(folder, f, n, NULL);
    if (dr_safetensors_open(&s, folder, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(dr_safetensors_count(s), 3);
    assert_true(dr_str_eq(dr_safetensors_at(s, 0)->name, DR_STR("a")));
    const dr_tensor *b = dr_safetensors_find(s, "b");
    assert_non_null(b);
    assert_int_equal(b->dtype, DR_BF16);
    assert_int_equal(b->n_dims, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(((const uint8_t *)b->data)[1], 5);
    assert_null(dr_safetensors_find(s, "c"));
    dr_safetensors_close(s);
    tiny_remove_folder(folder);
    free(f);
}

static void safetensors__refuses_lying_headers(void **state)
{
    (void)state;
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", 8, "header");
    refuse("[]", 0, "not an object");
    refuse("{\"a\":3}", 0, "a: not an object");
    refuse("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "a: dtype F16");
    refuse("{\"a\":{\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "dtype missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "dimension 0");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "dimension 0");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}", 8, "at most 4");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, "overflows");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "4 bytes, expected 8");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "data_offsets");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, "data_offsets");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "data_offsets");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "the file holds 7 bytes");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "1 bytes after the last tensor");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "4 bytes before it");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
           "\"data_offsets\":[4,12]}}",
           12, "b: overlaps");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
           "\"data_offsets\":[0,4]}}",
           4, "header");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", 4, "header");
    refuse("{}", 1, "1 bytes after");
}

static void safetensors__refuses_lying_lengths(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    const long long lengths[] = {(long long)sizeof header - 1 + 9, 1LL << 40, INT64_MAX, 0, 5};
    size_t n;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t *f = file_of(&n, header, lengths[i], 8);
        open_bytes(f, n, DR_ERR_FORMAT, "eader");
        free(f);
    }
    uint8_t *f = file_of(&n, header, -1, 8);
    for (size_t cut = 0; cut < n; cut++)
        open_bytes(f, cut, DR_ERR_FORMAT, NULL);
    open_bytes(f, n, DR_OK, NULL);
    free(f);
}

static void write_text(const char *folder, const char *file, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void safetensors__shards_are_plain_names_that_hold_what_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *index, *says;
        dr_status st;
    } cases[] = {
        {"{\"weight_map\":{\"x\":\"../model.safetensors\"}}", "not a plain file name", DR_ERR_FORMAT},
        {"{\"weight_map\":{\"x\":\"/etc/passwd\"}}", "not a plain file name", DR_ERR_FORMAT},
        {"{\"weight_map\":{\"x\":\"..\"}}", "not a plain file name", DR_ERR_FORMAT},
        {"{\"weight_map\":{\"x\":\"\"}}", "not a plain file name", DR_ERR_FORMAT},
        {"{\"weight_map\":{\"x\":3}}", "not a plain file name", DR_ERR_FORMAT},
        {"{\"weight_map\":[]}", "no object", DR_ERR_FORMAT},
        {"{", "index.json", DR_ERR_FORMAT},
        {"{\"weight_map\":{\"x\":\"absent.safetensors\"}}", "absent.safetensors", DR_ERR_NOT_FOUND},
        {"{\"weight_map\":{\"embed.weight\":\"model-00002-of-00002.safetensors\"}}", "not in", DR_ERR_FORMAT},
    };
    const tiny_spec spec = tiny_all_kinds();
    tiny *t = tiny_new(&spec);
    char folder[64];
    dr_safetensors *s;
    dr_error err = {0};

    tiny_write(t, folder, 2);
    if (dr_safetensors_open(&s, folder, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(dr_safetensors_count(s), t->n);
    assert_string_equal(dr_safetensors_find(s, t->tensors[1].name)->file, "model-00002-of-00002.safetensors");
    dr_safetensors_close(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(folder, "model.safetensors.index.json", cases[i].index);
        const dr_status st = dr_safetensors_open(&s, folder, &err);
        if (st != cases[i].st || !strstr(err.msg, cases[i].says))
            fail_msg("status %d, expected %d with \"%s\": %s", st, cases[i].st, cases[i].says, err.msg);
    }
    tiny_remove_folder(folder);
    tiny_free(t);
    assert_int_equal(dr_safetensors_open(&s, "/tmp/deepread-there-is-no-such-folder", &err), DR_ERR_NOT_FOUND);
}

static dr_digest identity_of(const tiny *t, int n_shards)
{
    char folder[64];
    dr_safetensors *s;
    dr_error err = {0};
    tiny_write(t, folder, n_shards);
    if (dr_safetensors_open(&s, folder, &err) != DR_OK)
        fail_msg("%s", err.msg);
    const dr_digest d = dr_safetensors_identity(s);
    dr_safetensors_close(s);
    tiny_remove_folder(folder);
    return d;
}

static void safetensors__identity_follows_content(void **state)
{
    (void)state;
    const tiny_spec spec = tiny_all_kinds();
    tiny *t = tiny_new(&spec);
    const dr_digest a = identity_of(t, 1), again = identity_of(t, 1);
    assert_memory_equal(&a, &again, sizeof a);
    t->tensors[t->n - 1].data[0] ^= 1;
    const dr_digest changed = identity_of(t, 1);
    assert_memory_not_equal(&a, &changed, sizeof a);
    snprintf(t->tensors[0].name, sizeof t->tensors[0].name, "embed.weighs");
    const dr_digest renamed = identity_of(t, 1);
    assert_memory_not_equal(&changed, &renamed, sizeof a);
    tiny_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors__reads_a_file),
        cmocka_unit_test(safetensors__refuses_lying_headers),
        cmocka_unit_test(safetensors__refuses_lying_lengths),
        cmocka_unit_test(safetensors__shards_are_plain_names_that_hold_what_they_should),
        cmocka_unit_test(safetensors__identity_follows_content),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
