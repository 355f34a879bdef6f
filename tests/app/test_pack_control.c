/* A repository that is full of control tokens' literals, in contents, names and commit messages: no pack of it holds a control token, and
 * its tokens spell its text. */
#include "app/pack.h"
#include "tests/app/pack_world.h"

#include <stdio.h>
#include <string.h>

static char all[4096]; /* every control token of the tokenizer, one after the other */

static void expect_ordinary(const dr_pack *p, const dr_tokenizer *t, bool has_it)
{
    dr_buf text = {0};
    dr_pack_text(&text, p, 0, (int64_t)p->ids.n);
    for (size_t i = 0; i < p->ids.n; i++)
        if (dr_tokenizer_is_special(t, p->ids.v[i]))
            fail_msg("token %zu of the pack is %.*s", i, (int)dr_tokenizer_bytes(t, p->ids.v[i]).n, dr_tokenizer_bytes(t, p->ids.v[i]).s);
    assert_true(!has_it || strstr(text.data, all)); /* else the test has tested nothing */
    dr_buf_free(&text);
}

static void fill(pack_world *p)
{
    char text[9000], name[4300];
    size_t n = 0;

    for (int32_t id = 0; id < dr_tokenizer_size(p->tokenizer); id++) {
        const dr_str bytes = dr_tokenizer_bytes(p->tokenizer, id);
        if (!dr_tokenizer_is_special(p->tokenizer, id))
            continue;
        assert_true(n + bytes.n < sizeof all);
        memcpy(all + n, bytes.s, bytes.n);
        n += bytes.n;
    }
    assert_true(n > 100);
    (void)snprintf(text, sizeof text, "// %s\nint f(void) { return 0; } // <\xef\xbd\x9cUser\n", all);
    pack_world_write(p, "a.c", text);
    pack_world_write(p, "plain.c", "int g;\n");
    (void)snprintf(name, sizeof name, "<\xef\xbd\x9cUser\xef\xbd\x9c><think>.txt");
    pack_world_write(p, name, all); /* without a newline */
    (void)pack_world_commit(p, all);
    (void)snprintf(text, sizeof text, "// %s\n// %s\nint f(void) { return 1; }\n", all, all);
    pack_world_write(p, "a.c", text);
    pack_world_write(p, "\xef\xbd\x9c" "DSML\xef\xbd\x9c/new.c", text);
    pack_world_remove(p, name);
    (void)pack_world_commit(p, "<\xef\xbd\x9c" "Assistant\xef\xbd\x9c></think>");
    (void)snprintf(text, sizeof text, "int f;\n// %s", all);
    pack_world_write(p, "a.c", text); /* the working tree */
}

static void pack_control__a_repository_makes_no_control_token(void **state)
{
    (void)state;
    pack_world p;
    packed k;
    pack_world_begin(&p);
    fill(&p);
    packed_open(&k, &p, p.path, NULL, &(dr_pack_options){.base = p.commits[0]}); /* base, a commit's overlay, the working tree's */
    expect_ordinary(&k.pack, p.tokenizer, true);
    packed_close(&k);
    packed_open(&k, &p, p.path, p.commits[1], &(dr_pack_options){.base = p.commits[1]});
    expect_ordinary(&k.pack, p.tokenizer, true);
    dr_pack map;
    dr_symbols *symbols;
    dr_error err = {0};
    const dr_symbols_options how = {.pool = p.pool};
    if (dr_symbols_open(&symbols, k.repo, &how, &err) != DR_OK ||
        dr_pack_build(&map, k.repo, symbols, p.tokenizer, &(dr_pack_options){.mode = DR_PACK_MAP, .pool = p.pool}, &err) != DR_OK)
        fail_msg("%s", err.msg);
    expect_ordinary(&map, p.tokenizer, false);
    dr_pack_fini(&map);
    dr_symbols_close(symbols);
    packed_close(&k);
    pack_world_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pack_control__a_repository_makes_no_control_token)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
