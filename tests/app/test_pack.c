/* Packs of a plain folder: parts tokenised apart are the whole tokenised at once; the map's bytes; threads do not matter. */
#include "app/pack.h"
#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sample_folder folder;
static dr_tokenizer *tokenizer;

static int set_up(void **state)
{
    (void)state;
    dr_error err = {0};
    sample_folder_open(&folder);
    if (dr_tokenizer_open(&tokenizer, "models/nano/tokenizer.json", &err) != DR_OK)
        fail_msg("%s", err.msg);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dr_tokenizer_close(tokenizer);
    sample_folder_close(&folder);
    return 0;
}

static void build(dr_pack *p, dr_pack_mode mode, int64_t budget, dr_pool *pool)
{
    dr_error err = {0};
    const dr_pack_options how = {.mode = mode, .budget = budget, .pool = pool};
    if (dr_pack_build(p, folder.repo, folder.symbols, tokenizer, &how, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

static void pack__parts_are_the_whole(void **state)
{
    (void)state;
    const dr_pack_mode modes[] = {DR_PACK_FULL, DR_PACK_MAP};
    for (int i = 0; i < 2; i++) {
        dr_pack p;
        dr_ids whole = {0};
        dr_buf followed = {0};
        build(&p, modes[i], 0, folder.pool);
        assert_true(p.ids.n > 20);
        dr_pack_text(&followed, &p, 0, (int64_t)p.ids.n);
        dr_buf_str(&followed, "\n\nAnswer"); /* what the prompt goes on with */
        assert_int_equal(dr_tokenizer_encode(tokenizer, &whole, dr_buf_view(&followed), false, NULL), DR_OK);
        assert_true(whole.n > p.ids.n);
        assert_memory_equal(whole.v, p.ids.v, p.ids.n * sizeof *p.ids.v);
        dr_ids_free(&whole);
        dr_buf_free(&followed);
        dr_pack_fini(&p);
    }
}

static void pack__map_text(void **state)
{
    (void)state;
    dr_pack p;
    dr_buf text = {0};
    build(&p, DR_PACK_MAP, 0, folder.pool);
    dr_pack_text(&text, &p, 0, (int64_t)p.ids.n);
    assert_non_null(strstr(text.data, ", 6 files\nsrc/list.c: list_size\nsrc/list.h: "));
    assert_non_null(strstr(text.data, "\ntool.py: helper Box\nand 1 more files"));
    assert_int_equal(p.n_in, 5);
    dr_buf_free(&text);
    dr_pack_fini(&p);
}

static void pack__budget_holds(void **state)
{
    (void)state;
    for (int64_t budget = 60; budget < 300; budget += 40) {
        dr_pack p;
        build(&p, DR_PACK_MAP, budget, folder.pool);
        assert_true((int64_t)p.ids.n <= budget);
        dr_pack_fini(&p);
    }
}

static void pack__threads_do_not_matter(void **state)
{
    (void)state;
    dr_pool *one = NULL;
    dr_pack a, b;
    assert_int_equal(dr_pool_new(&one, 1, NULL), DR_OK);
    build(&a, DR_PACK_FULL, 0, one);
    build(&b, DR_PACK_FULL, 0, folder.pool);
    assert_int_equal(a.ids.n, b.ids.n);
    assert_memory_equal(a.ids.v, b.ids.v, a.ids.n * sizeof *a.ids.v);
    dr_pack_fini(&a);
    dr_pack_fini(&b);
    dr_pool_free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack__parts_are_the_whole),
        cmocka_unit_test(pack__map_text),
        cmocka_unit_test(pack__budget_holds),
        cmocka_unit_test(pack__threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
