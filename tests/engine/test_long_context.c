/* A timeline long enough that index keys, scores and entries no longer fit their buffers at once: more than 8,192
 * entries of the 4-token layers. How a pass is cut then must not show either. */
#include "engine/decoder.h"
#include "tests/engine/tiny_checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH = 36000, VOCAB = 80, TAIL = 200 };

static void check(dr_status st, const dr_error *err)
{
    if (st != DR_OK)
        fail_msg("status %d: %s", st, err->msg);
}

static void long_context__cuts_do_not_show(void **state)
{
    (void)state;
    tiny_spec s = tiny_all_kinds();
    s.experts_as = TINY_FP8;
    tiny *t = tiny_new(&s);
    char folder[64];
    static float whole[TAIL * VOCAB], found[TAIL * VOCAB];
    static int32_t ids[LENGTH];
    dr_pool *pool;
    dr_queue *queue;
    dr_model *m;
    dr_decoder *a, *b;
    dr_ops ops;
    dr_error err = {0};
    uint64_t seed = 11;

    for (int i = 0; i < LENGTH; i++)
        ids[i] = (int32_t)(tiny_random(&seed) % VOCAB);
    tiny_write(t, folder, 1);
    tiny_free(t);
    check(dr_pool_new(&pool, 2, &err), &err);
    check(dr_queue_new(&queue, pool, &err), &err);
    check(dr_ops_init_named(&ops, NULL, &err), &err);
    check(dr_model_open(&m, folder, &ops, queue, &err), &err);
    check(dr_decoder_new(&a, m, queue, 512, LENGTH, &err), &err);
    check(dr_decoder_new(&b, m, queue, 128, LENGTH, &err), &err);
    check(dr_decoder_prefill(a, ids, LENGTH - TAIL, NULL, NULL, &err), &err);
    check(dr_decoder_logits(a, ids + LENGTH - TAIL, TAIL, whole, NULL, &err), &err);

    /* Other chunks, then one token at a time. */
    for (int64_t at = 0; at < LENGTH - TAIL; at += 93)
        check(dr_decoder_prefill(b, ids + at, at + 93 < LENGTH - TAIL ? 93 : LENGTH - TAIL - at, NULL, NULL, &err),
              &err);
    for (int i = 0; i < TAIL; i++)
        check(dr_decoder_prefill(b, ids + LENGTH - TAIL + i, 1, found + i * VOCAB, NULL, &err), &err);
    assert_memory_equal(whole, found, sizeof whole);

    /* Restored from stored blocks, which then are not in the order they were computed in. */
    const size_t n_block = dr_decoder_block_bytes(m), n_anchor = dr_decoder_anchor_bytes(m, LENGTH - 100);
    uint8_t *bytes = malloc(n_block > n_anchor ? n_block : n_anchor);
    assert_non_null(bytes);
    check(dr_decoder_rewind(a, LENGTH - 100, &err), &err);
    check(dr_decoder_import_begin(b, ids, LENGTH - 100, &err), &err);
    for (int64_t i = (LENGTH - 100) / DR_BLOCK_TOKENS; i-- > 0;) {
        check(dr_decoder_export_block(a, i, bytes, &err), &err);
        check(dr_decoder_import_block(b, i, bytes, n_block, &err), &err);
    }
    check(dr_decoder_export_anchor(a, bytes, &err), &err);
    check(dr_decoder_import_anchor(b, bytes, n_anchor, &err), &err);
    check(dr_decoder_logits(b, ids + LENGTH - 100, 100, found, NULL, &err), &err);
    assert_memory_equal(whole + (TAIL - 100) * VOCAB, found, 100 * VOCAB * sizeof *found);
    free(bytes);
    dr_decoder_free(a);
    dr_decoder_free(b);
    dr_model_close(m);
    dr_queue_free(queue);
    dr_pool_free(pool);
    tiny_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(long_context__cuts_do_not_show)};
    return cmocka_run_group_tests_name("long context", tests, NULL, NULL);
}
