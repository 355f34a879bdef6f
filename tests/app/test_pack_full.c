/* Full packs: every byte of the layout, append-only, the same whatever the threads, store and folder; which c0; budgets. */
#include "app/pack_text.h"
#include "tests/app/pack_world.h"
#include "tests/engine/byte_tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const dr_pack_options plain = {0};

static dr_digest digest_of(const packed *p)
{
    return dr_sha256(p->pack.ids.v, p->pack.ids.n * sizeof *p->pack.ids.v);
}

static bool starts_with(dr_str text, dr_str prefix)
{
    return text.n >= prefix.n && memcmp(text.s, prefix.s, prefix.n) == 0;
}

/* Segments lie one behind the other and cover everything; entries cover theirs. */
static void check_segments(const dr_pack *p)
{
    int64_t at = 0;
    for (size_t i = 0; i < p->n_segs; i++) {
        assert_int_equal(p->segs[i].first, at);
        assert_true(p->segs[i].n_head <= p->segs[i].n);
        at += p->segs[i].n;
        if (p->segs[i].entry != DR_PACK_BASE) {
            const dr_pack_entry *e = &p->entries[p->segs[i].entry];
            assert_true(p->segs[i].first >= e->first && at <= e->first + e->n);
        }
    }
    assert_int_equal(at, p->ids.n);
}

static void full__every_byte(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    dr_buf want = {0};
    char repo[13], two[13], three[13], four[13];

    pack_world_begin(&p);
    pack_world_fill(&p);
    pack_world_write(&p, "COPYING", "You may.\nYou must.\n");
    pack_world_write(&p, "notes.txt", "");
    (void)snprintf(repo, sizeof repo, "%.12s", p.commits[0]);
    (void)snprintf(two, sizeof two, "%.12s", p.commits[1]);
    (void)snprintf(three, sizeof three, "%.12s", p.commits[2]);
    (void)snprintf(four, sizeof four, "%.12s", p.commits[3]);
    const dr_pack_options opt = {.base = p.commits[0]};
    packed_open(&got, &p, p.path, NULL, &opt);
    dr_buf_printf(&want,
                  "repository of 6 files at %s\n"
                  "folder .: COPYING README.md empty\n"
                  "folder src: list.c list.h\n"
                  "folder \"with space\": \"a b.txt\"\n"
                  "file COPYING lines 2\nYou may.\nYou must not.\n"
                  "file README.md lines 1\nA list.\n"
                  "file empty lines 0\n"
                  "file src/list.c lines 11\n#include \"list.h\"\n\nint list_size(void)\n{\n    return 0;\n}\n\n"
                  "int list_full(void)\n{\n    return list_size() > 9;\n}\n"
                  "file src/list.h lines 1\nint list_size(void);\n"
                  "file with space/a b.txt lines 2\none\ntwo\n"
                  "end of base %s, what follows changes it\n"
                  "commit %s list: count one\n"
                  "changed src/list.c lines 11\n@@ -2,7 +2,7 @@\n \n int list_size(void)\n {\n-    return 0;\n+    return 1;\n }\n \n"
                  " int list_full(void)\n"
                  "added src/new.c lines 1\nint fresh;\n"
                  "commit %s docs: move\n"
                  "renamed README.md to docs/README.md\n"
                  "deleted \"with space/a b.txt\"\n"
                  "commit %s docs: say more.\n"
                  "rewritten docs/README.md lines 2\nA list.\nOf things.\n"
                  "working tree\n"
                  "rewritten COPYING lines 2\nYou may.\nYou must.\n"
                  "added notes.txt lines 0\n"
                  "end of repository",
                  repo, repo, two, three, four);
    assert_string_equal(got.text.data, want.data);
    assert_int_equal(got.pack.n_entries, 4);
    assert_string_equal(got.pack.base, p.commits[0]);
    check_segments(&got.pack);
    dr_buf before = {0};
    dr_pack_text(&before, &got.pack, 0, got.pack.n_base);
    assert_true(before.n > 20 && strcmp(before.data + before.n - 11, "changes it\n") == 0);
    dr_buf_free(&before);
    packed_close(&got);
    dr_buf_free(&want);
    pack_world_end(&p);
}

/* What is moved, linked or checked out elsewhere, and not committed. */
static void full__working_tree_moves(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    char at[400];
    git_oid first, second;

    pack_world_begin(&p);
    pack_world_fill(&p);
    (void)snprintf(at, sizeof at, "%s/lib", p.path);
    git_repository *lib = new_repo(at, false);
    pack_world_write(&p, "lib/l.c", "int l;\n");
    first = commit_all(lib, "l");
    git_index *index = NULL;
    const git_index_entry link = {.path = "lib", .mode = GIT_FILEMODE_COMMIT, .id = first};
    assert_int_equal(git_repository_index(&index, p.git), 0);
    assert_int_equal(git_index_add(index, &link), 0);
    assert_int_equal(git_index_write(index), 0);
    git_index_free(index);
    (void)pack_world_commit(&p, "lib");
    pack_world_write(&p, "lib/l.c", "int more;\n");
    second = commit_all(lib, "more");
    git_repository_free(lib);
    pack_world_remove(&p, "src/new.c");
    pack_world_write(&p, "src/deep/newer.c", "int fresh;\n");
    pack_world_remove(&p, "COPYING");
    pack_world_write(&p, "legal/COPYING", "You may.\nYou must not.\n");
    pack_world_write(&p, "legal/AGAIN", "You may.\nYou must not.\n");
    (void)snprintf(at, sizeof at, "%s/way", p.path);
    assert_int_equal(symlink("src/list.c", at), 0);
    const dr_pack_options opt = {.base = p.commits[4]};
    packed_open(&got, &p, p.path, NULL, &opt);
    const char *tree = strstr(got.text.data, "working tree\n");
    char want[600], a[41];
    assert_non_null(tree);
    (void)git_oid_tostr(a, 13, &second);
    (void)snprintf(want, sizeof want,
                   "working tree\n"
                   "added legal/AGAIN lines 2\nYou may.\nYou must not.\n"
                   "renamed COPYING to legal/COPYING\n"
                   "submodule lib at %s\n"
                   "renamed src/new.c to src/deep/newer.c\n"
                   "link way to src/list.c\n"
                   "end of repository", a);
    assert_string_equal(tree, want);
    check_segments(&got.pack);
    packed_close(&got);
    pack_world_end(&p);
}

static void full__ids_of_the_whole(void **state)
{
    (void)state;
    pack_world p;
    pack_world_begin(&p);
    pack_world_fill(&p);
    pack_world_write(&p, "odd.txt", "\n\n  indented\t\r\n...\n\xc3\xa9t\xc3\xa9 \xe2\x80\xa8 12345 \n\n   ");
    pack_world_write(&p, "punct.c", "};\n");
    pack_world_write(&p, "blank", "   ");
    dr_tokenizer *const own = p.tokenizer, *bytes = byte_tokenizer(NULL, 0, NULL, 0);
    for (int i = 0; i < 2; i++) {
        const int64_t budgets[] = {0, 600};
        for (int b = 0; b < 2; b++) {
            packed got;
            dr_ids whole = {0};
            dr_buf followed = {0};
            p.tokenizer = i ? bytes : own;
            const dr_pack_options opt = {.base = p.commits[1], .budget = budgets[b]};
            packed_open(&got, &p, p.path, NULL, &opt);
            dr_buf_add(&followed, got.text.data, got.text.n);
            dr_buf_str(&followed, "\n\nAnswer"); /* what the prompt goes on with */
            assert_int_equal(dr_tokenizer_encode(p.tokenizer, &whole, dr_buf_view(&followed), false, NULL), DR_OK);
            assert_true(whole.n > got.pack.ids.n);
            assert_memory_equal(whole.v, got.pack.ids.v, got.pack.ids.n * sizeof *got.pack.ids.v);
            check_segments(&got.pack);
            dr_ids_free(&whole);
            dr_buf_free(&followed);
            packed_close(&got);
        }
    }
    p.tokenizer = own;
    dr_tokenizer_close(bytes);
    pack_world_end(&p);
}

static void full__one_more_commit_only_appends(void **state)
{
    (void)state;
    pack_world p;
    dr_buf before = {0};

    pack_world_begin(&p);
    pack_world_fill(&p);
    for (int i = 0; i < p.n_commits; i++) {
        packed got;
        const dr_pack_options opt = {.base = p.commits[0]};
        packed_open(&got, &p, p.path, p.commits[i], &opt);
        const dr_str lasting = packed_lasting(&got);
        assert_true(starts_with(lasting, dr_buf_view(&before)));
        assert_true(i == 0 || lasting.n > before.n);
        dr_buf_clear(&before);
        dr_buf_add(&before, lasting.s, lasting.n);
        packed_close(&got);
    }
    dr_buf_free(&before);
    pack_world_end(&p);
}

static void full__same_bytes_everywhere(void **state)
{
    (void)state;
    pack_world p;
    dr_pool *one = NULL;
    memory_store store;
    char copy[400], command[1600];
    const int64_t budgets[] = {0, 512};

    pack_world_begin(&p);
    pack_world_fill(&p);
    pack_world_write(&p, "src/new.c", "int fresh = 1;\n"); /* and something not committed */
    (void)snprintf(copy, sizeof copy, "%s/elsewhere/under another name", p.w.path);
    (void)snprintf(command, sizeof command, "mkdir -p '%s' && cp -a '%s/.' '%s'", copy, p.path, copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(dr_pool_new(&one, 1, NULL), DR_OK);
    for (int b = 0; b < 2; b++) {
        dr_digest first = {{0}};
        memory_store_init(&store);
        for (int i = 0; i < 6; i++) { /* both threads counts, no store, cold, warm; both folders */
            packed got;
            const dr_pack_options opt = {.base = p.commits[1], .budget = budgets[b], .pool = i % 2 ? one : p.pool,
                                         .store = i < 2 ? NULL : &store.store};
            packed_open(&got, &p, i == 1 || i == 4 ? copy : p.path, NULL, &opt);
            const dr_digest d = digest_of(&got);
            if (i == 0)
                first = d;
            assert_memory_equal(d.b, first.b, sizeof d.b);
            packed_close(&got);
        }
        assert_true(store.n_hits > 0);
        memory_store_fini(&store);
    }
    dr_pool_free(one);
    pack_world_end(&p);
}

/* The store checks its values; should one be something else all the same, nothing breaks and the segments hold. */
static void full__strange_values_in_the_store(void **state)
{
    (void)state;
    pack_world p;
    memory_store store;
    uint32_t seed = 7;

    pack_world_begin(&p);
    pack_world_fill(&p);
    for (int round = 0; round < 40; round++) {
        packed got;
        const dr_pack_options opt = {.base = p.commits[1], .budget = round % 2 ? 512 : 0, .store = &store.store};
        memory_store_init(&store);
        packed_open(&got, &p, p.path, NULL, &opt);
        packed_close(&got);
        for (size_t i = 0; i < store.n_items; i++) {
            seed = seed * 1664525u + 1013904223u;
            char *v = store.items[i].value;
            size_t *n = &store.items[i].n_value;
            static const char *const ours[] = {"ids", "pln", "ovl"};
            bool is_ours = false;
            for (size_t k = 0; k < 3; k++)
                is_ours |= memcmp(store.items[i].key, ours[k], 3) == 0;
            if (*n == 0 || !is_ours)
                continue;
            if (round < 20)
                *n = seed % *n; /* cut */
            else
                v[(seed >> 8) % *n] ^= (char)(1 << (seed >> 29)); /* changed */
        }
        packed_open(&got, &p, p.path, NULL, &opt);
        check_segments(&got.pack);
        packed_close(&got);
        memory_store_fini(&store);
    }
    pack_world_end(&p);
}

/* ---- c0 ---- */

static void expect_base(const pack_world *p, const dr_pack_options *opt, const char *c0, bool repacked)
{
    packed got;
    packed_open(&got, p, p->path, NULL, opt);
    assert_string_equal(got.pack.base, c0);
    assert_int_equal(got.pack.repacked, repacked);
    packed_close(&got);
}

static void full__base_is_recorded_and_kept(void **state)
{
    (void)state;
    pack_world p;
    memory_store store;
    dr_buf big = {0};

    pack_world_begin(&p);
    memory_store_init(&store);
    for (int i = 0; i < 200; i++)
        dr_buf_printf(&big, "line %d of a file that is large enough\n", i);
    pack_world_write(&p, "big.txt", big.data);
    pack_world_write(&p, "a.c", "int a;\n");
    const int first = pack_world_commit(&p, "first");
    const dr_pack_options opt = {.store = &store.store};
    expect_base(&p, &opt, p.commits[first], false);
    pack_world_write(&p, "a.c", "int b;\n");
    const int second = pack_world_commit(&p, "second");
    expect_base(&p, &opt, p.commits[first], false);
    expect_base(&p, &plain, p.commits[second], false); /* nothing is known without a store */

    const dr_pack_options again = {.store = &store.store, .repack = true};
    expect_base(&p, &again, p.commits[second], true);
    expect_base(&p, &opt, p.commits[second], false);

    /* more than a quarter of it changes */
    pack_world_write(&p, "c.txt", big.data);
    const int third = pack_world_commit(&p, "third");
    expect_base(&p, &opt, p.commits[third], true);

    /* a rules file changes */
    pack_world_write(&p, ".gitattributes", "*.txt linguist-generated\n");
    const int fourth = pack_world_commit(&p, "fourth");
    expect_base(&p, &opt, p.commits[fourth], true);

    const dr_pack_options named = {.store = &store.store, .base = p.commits[second]};
    expect_base(&p, &named, p.commits[second], false);
    expect_base(&p, &opt, p.commits[fourth], false); /* naming one does not record it */

    /* off the first-parent line: one entry with the difference */
    packed got;
    const dr_pack_options later = {.base = p.commits[fourth]};
    packed_open(&got, &p, p.path, p.commits[first], &later);
    char title[64];
    (void)snprintf(title, sizeof title, "\nchanges %.12s to %.12s\ndeleted .gitattributes\n", p.commits[fourth], p.commits[first]);
    assert_non_null(strstr(got.text.data, title));
    packed_close(&got);

    memory_store_fini(&store);
    dr_buf_free(&big);
    pack_world_end(&p);
}

static void full__no_commits(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    pack_world_begin(&p);
    pack_world_write(&p, "b.c", "int b;\n");
    pack_world_write(&p, "a.c", "int a;\n");
    packed_open(&got, &p, p.path, NULL, &plain);
    assert_string_equal(got.text.data, "repository of 2 files\nfolder .: a.c b.c\nfile a.c lines 1\nint a;\nfile b.c lines 1\nint b;\n"
                                       "end of base, what follows changes it\nend of repository");
    packed_close(&got);
    const dr_pack_options named = {.mode = DR_PACK_FULL, .base = "HEAD", .pool = p.pool};
    dr_repo *repo = open_ok(p.path, NULL);
    dr_pack pack;
    assert_int_equal(dr_pack_build(&pack, repo, NULL, p.tokenizer, &named, NULL), DR_ERR_NOT_FOUND);
    dr_repo_close(repo);
    pack_world_end(&p);
}

/* ---- what is cut, and what is not text ---- */

static void text__long_lines_and_texts_are_cut(void **state)
{
    (void)state;
    dr_buf in = {0}, out = {0};

    for (int i = 0; i < 5000; i++)
        dr_buf_str(&in, i == 4095 ? "\xc3\xa9" : "x");
    dr_buf_str(&in, "\nshort\n");
    assert_int_equal(dr_pack_text_cut(&out, dr_buf_view(&in)), 2);
    assert_int_equal(strcspn(out.data, " "), 4095); /* not inside the character */
    assert_string_equal(out.data + 4095, " [cut: 906 bytes]\nshort\n");

    dr_buf_clear(&in);
    dr_buf_clear(&out);
    for (int i = 0; i < 200000; i++)
        dr_buf_str(&in, "1234567\n");
    assert_int_equal(dr_pack_text_cut(&out, dr_buf_view(&in)), 200000);
    const size_t kept = DR_PACK_TEXT_BYTES / 8 * 8;
    assert_memory_equal(out.data, in.data, kept);
    assert_string_equal(out.data + kept, "[cut: 68928 lines, 551424 bytes]\n");

    dr_buf_clear(&in);
    dr_buf_clear(&out);
    dr_buf_add(&in, "a\0b\n", 4);
    assert_int_equal(dr_pack_text_body(&out, dr_buf_view(&in)), 1);
    assert_string_equal(out.data, "\na\xef\xbf\xbd" "b\n");
    dr_buf_clear(&out);
    assert_int_equal(dr_pack_text_body(&out, DR_STR("")), 0);
    assert_string_equal(out.data, "\n");
    dr_buf_free(&in);
    dr_buf_free(&out);
}

static void full__what_is_not_text(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    dr_buf line = {0};
    char path[400];

    pack_world_begin(&p);
    for (int i = 0; i < 9000; i++)
        dr_buf_str(&line, i % 7 ? "y" : i < 3000 ? "\n" : " ");
    pack_world_write(&p, "long.txt", line.data);
    (void)snprintf(path, sizeof path, "%s/logo.png", p.path);
    write_file(path, "\0\1\2", 3);
    (void)snprintf(path, sizeof path, "%s/link", p.path);
    assert_int_equal(symlink("src/a.c", path), 0);
    pack_world_write(&p, "big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:"
                                    "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n");
    pack_world_write(&p, "src/a.c", "int a;\n");
    (void)pack_world_commit(&p, "first");
    packed_open(&got, &p, p.path, NULL, &plain);
    assert_non_null(strstr(got.text.data, "folder .: long.txt\nnot shown in .: logo.png\nfolder src: a.c\n"
                                          "pointer big.bin to 12345 bytes\nlink link to src/a.c\nfile long.txt lines 430\n"));
    assert_non_null(strstr(got.text.data, " [cut: 1907 bytes]\n"));
    packed_close(&got);

    /* behind the cut: said, not shown */
    line.data[line.n - 1] = 'z';
    pack_world_write(&p, "long.txt", line.data);
    (void)snprintf(path, sizeof path, "%s/logo.png", p.path);
    write_file(path, "\0\1\3", 3);
    pack_world_write(&p, "src/a.c", "\0");
    (void)pack_world_commit(&p, "second");
    const dr_pack_options opt = {.base = p.commits[0]};
    packed_open(&got, &p, p.path, NULL, &opt);
    assert_non_null(strstr(got.text.data, " second\nchanged logo.png, not text\nchanged long.txt in what is cut\nrewritten src/a.c lines 0\n"));
    packed_close(&got);
    dr_buf_free(&line);
    pack_world_end(&p);
}

/* ---- budgets ---- */

/* Ten files that use one another's names, so that some matter more. */
static void fill_graph(pack_world *p)
{
    for (int i = 0; i < 10; i++) {
        char name[32];
        dr_buf text = {0};
        (void)snprintf(name, sizeof name, "lib/part_%d.c", i);
        dr_buf_printf(&text, "int part_value_%d(int x)\n{\n", i);
        for (int k = 0; k < 12; k++)
            dr_buf_printf(&text, "    x += part_value_3(x + %d);\n", k);
        dr_buf_str(&text, "    return x;\n}\n");
        pack_world_write(p, name, text.data);
        dr_buf_free(&text);
    }
    (void)pack_world_commit(p, "graph");
}

static void full__budget(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    dr_error err = {0};

    pack_world_begin(&p);
    fill_graph(&p);
    for (int64_t budget = 256; budget < 3000; budget += 200) {
        const dr_pack_options opt = {.budget = budget};
        packed_open(&got, &p, p.path, NULL, &opt);
        assert_true((int64_t)got.pack.ids.n <= budget / 128 * 128);
        assert_true(got.pack.n_base <= budget / 128 * 128 / 4 * 3 / 128 * 128);
        for (size_t i = 0; i < got.pack.n_files; i++)
            assert_int_equal(got.pack.files[i].how == DR_HOW_WHOLE, got.pack.files[i].why == NULL);
        packed_close(&got);
    }
    /* the file that all lean on comes first */
    const dr_pack_options some = {.budget = 1024};
    packed_open(&got, &p, p.path, NULL, &some);
    assert_non_null(strstr(got.text.data, "\nfile lib/part_3.c lines 16\n"));
    assert_non_null(strstr(got.text.data, "\nsignatures lib/part_"));
    assert_non_null(strstr(got.text.data, " lines 16\n1: int part_value_"));
    assert_null(strstr(got.text.data, "\nfile lib/part_9.c"));
    dr_buf base = {0};
    dr_pack_text(&base, &got.pack, 0, got.pack.n_base);
    packed_close(&got);

    /* a commit does not reshuffle the base; what does not fit is named */
    dr_buf large = {0};
    for (int i = 0; i < 400; i++)
        dr_buf_printf(&large, "int number_%d;\n", i);
    pack_world_write(&p, "lib/large.c", large.data);
    pack_world_write(&p, "lib/small.c", "int small;\n");
    (void)pack_world_commit(&p, "large");
    const dr_pack_options based = {.budget = 1024, .base = p.commits[0]};
    packed_open(&got, &p, p.path, NULL, &based);
    assert_true((int64_t)got.pack.ids.n <= 1024);
    assert_true(starts_with(dr_buf_view(&got.text), dr_buf_view(&base)));
    assert_non_null(strstr(got.text.data, "\nchanged lib/large.c, not shown\n"));
    assert_non_null(strstr(got.text.data, "\nadded lib/small.c lines 1\n"));
    assert_int_equal(got.pack.n_unshown, 1);
    check_segments(&got.pack);
    packed_close(&got);

    const dr_pack_options tiny = {.mode = DR_PACK_FULL, .budget = 255, .pool = p.pool};
    dr_repo *repo = open_ok(p.path, NULL);
    dr_pack pack;
    assert_int_equal(dr_pack_build(&pack, repo, NULL, p.tokenizer, &tiny, &err), DR_ERR_ARG);
    dr_repo_close(repo);
    dr_buf_free(&base);
    dr_buf_free(&large);
    pack_world_end(&p);
}

static void full__many_folders_under_a_budget(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    char name[64];

    pack_world_begin(&p);
    for (int i = 0; i < 80; i++) {
        (void)snprintf(name, sizeof name, "d%d/e%d/file_number_%d.txt", i % 4, i % 10, i);
        pack_world_write(&p, name, "text text text text text text text text\n");
    }
    (void)pack_world_commit(&p, "first");
    const dr_pack_options opt = {.budget = 2048};
    packed_open(&got, &p, p.path, NULL, &opt);
    assert_true((int64_t)got.pack.ids.n <= 2048);
    assert_non_null(strstr(got.text.data, "\nfolder d0, 20 files\n"));
    packed_close(&got);
    const dr_pack_options all = {.budget = 100000};
    packed_open(&got, &p, p.path, NULL, &all);
    assert_int_equal(got.pack.n_in, 80);
    assert_non_null(strstr(got.text.data, "\nfolder d0/e0: file_number_0.txt file_number_20.txt file_number_40.txt file_number_60.txt\n"));
    packed_close(&got);
    pack_world_end(&p);
}

/* ---- between two commits ---- */

static void diff__between_two_commits(void **state)
{
    (void)state;
    pack_world p;
    dr_pack pack;
    dr_buf text = {0}, want = {0};

    pack_world_begin(&p);
    pack_world_fill(&p);
    dr_repo *repo = open_ok(p.path, NULL);
    const dr_pack_options opt = {.pool = p.pool};
    assert_int_equal(dr_pack_build_diff(&pack, repo, p.commits[2], "HEAD", p.tokenizer, &opt, NULL), DR_OK);
    dr_pack_text(&text, &pack, 0, (int64_t)pack.ids.n);
    dr_buf_printf(&want, "changes %.12s to %.12s\nrewritten docs/README.md lines 2\nA list.\nOf things.\n"
                         "end of repository", p.commits[2], p.commits[3]);
    assert_string_equal(text.data, want.data);
    dr_pack_fini(&pack);
    assert_int_equal(dr_pack_build_diff(&pack, repo, "nope", "HEAD", p.tokenizer, &opt, NULL), DR_ERR_NOT_FOUND);
    dr_repo_close(repo);
    dr_buf_free(&text);
    dr_buf_free(&want);
    pack_world_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full__every_byte),
        cmocka_unit_test(full__working_tree_moves),
        cmocka_unit_test(full__ids_of_the_whole),
        cmocka_unit_test(full__one_more_commit_only_appends),
        cmocka_unit_test(full__same_bytes_everywhere),
        cmocka_unit_test(full__strange_values_in_the_store),
        cmocka_unit_test(full__base_is_recorded_and_kept),
        cmocka_unit_test(full__no_commits),
        cmocka_unit_test(text__long_lines_and_texts_are_cut),
        cmocka_unit_test(full__what_is_not_text),
        cmocka_unit_test(full__budget),
        cmocka_unit_test(full__many_folders_under_a_budget),
        cmocka_unit_test(diff__between_two_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
