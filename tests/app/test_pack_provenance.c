/* Provenance: every token resolves to the text it stands for, every line of the present is found where the pack shows it. */
#include "app/provenance.h"
#include "repo/text.h"
#include "tests/app/pack_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill(pack_world *p)
{
    pack_world_fill(p);
    pack_world_write(p, "src/list.h", "/* lists */\nint list_size(void);\nint list_full(void);\n");
    pack_world_write(p, "src/new.c", "int fresh;\nint fresher;\n");
    pack_world_write(p, "notes.txt", "not committed\n");
    pack_world_remove(p, "COPYING");
}

/* The blob's text as the pack has it: shown text is plain here. */
static void text_of(dr_buf *out, const dr_repo *repo, const uint8_t id[20], dr_str path)
{
    dr_file_class cls;
    size_t file;
    if (dr_repo_find(repo, path, &file) && memcmp(dr_repo_file_at(repo, file)->id, id, 20) == 0)
        assert_int_equal(dr_repo_read(repo, file, out, NULL), DR_OK);
    else
        assert_int_equal(dr_repo_read_blob(repo, id, path, out, &cls, NULL), DR_OK);
}

/* A token may begin before the line and end behind it: some run of it without a newline stands in the line, but for the mark
 * that a line of a diff begins with. */
static bool token_fits(dr_str token, dr_str line)
{
    for (size_t at = 0; at < token.n;) {
        const char *nl = memchr(token.s + at, '\n', token.n - at);
        const size_t n = nl ? (size_t)(nl - token.s) - at : token.n - at;
        if (n < 2 || memmem(line.s, line.n, token.s + at, n) || memmem(line.s, line.n, token.s + at + 1, n - 1))
            return true;
        at += n + 1;
    }
    return false;
}

static void locate__every_token(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    dr_error err = {0};
    size_t n_lines = 0, n_now = 0, n_gone = 0;

    pack_world_begin(&p);
    fill(&p);
    const dr_pack_options opt = {.base = p.commits[0]};
    packed_open(&got, &p, p.path, NULL, &opt);
    for (int64_t t = 0; t < (int64_t)got.pack.ids.n; t++) {
        dr_pack_place place;
        dr_buf text = {0}, now = {0};
        const dr_str token = dr_tokenizer_bytes(p.tokenizer, got.pack.ids.v[t]);
        if (dr_pack_locate(&place, &got.pack, t, &err) != DR_OK)
            fail_msg("%s", err.msg);
        assert_true(place.seg->first <= t && t < place.seg->first + place.seg->n);
        if (!place.line)
            continue;
        n_lines++;
        n_gone += place.gone;
        assert_true(place.end >= place.line);
        text_of(&text, got.repo, place.gone ? place.seg->old_id : place.seg->id, place.path);
        const dr_str line = dr_text_line_at(dr_buf_view(&text), place.line);
        assert_true(token_fits(token, line));
        if (place.same) {
            n_now++;
            assert_true(place.now > 0 && place.file != DR_SYM_NONE);
            assert_int_equal(dr_repo_read(got.repo, place.file, &now, NULL), DR_OK);
            assert_true(dr_str_eq(dr_text_line_at(dr_buf_view(&now), place.now), line));
        }
        dr_buf_free(&text);
        dr_buf_free(&now);
    }
    assert_true(n_lines > 100 && n_now > 80 && n_gone > 2);
    dr_pack_place place;
    assert_int_equal(dr_pack_locate(&place, &got.pack, (int64_t)got.pack.ids.n, NULL), DR_ERR_ARG);
    packed_close(&got);
    pack_world_end(&p);
}

static void find__every_line(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    pack_world_begin(&p);
    fill(&p);
    const dr_pack_options opt = {.base = p.commits[0]};
    packed_open(&got, &p, p.path, NULL, &opt);
    for (uint32_t f = 0; f < got.pack.n_files; f++) {
        dr_buf text = {0};
        assert_int_equal(dr_repo_read(got.repo, f, &text, NULL), DR_OK);
        for (uint32_t line = 1; line <= dr_text_n_lines(dr_buf_view(&text)); line++) {
            dr_pack_ranges found = {0};
            const dr_str want = dr_text_line_at(dr_buf_view(&text), line);
            assert_int_equal(dr_pack_find(&found, &got.pack, f, line, NULL), DR_OK);
            assert_true(found.n > 0);
            for (size_t i = 0; i < found.n; i++) {
                dr_buf shown = {0};
                dr_pack_place back;
                dr_pack_text(&shown, &got.pack, found.v[i].first, found.v[i].n);
                assert_non_null(memmem(shown.data, shown.n, want.s, want.n));
                /* and back: some token of it says that it is this line */
                bool said = false;
                for (int64_t t = found.v[i].first; t < found.v[i].first + found.v[i].n; t++) {
                    assert_int_equal(dr_pack_locate(&back, &got.pack, t, NULL), DR_OK);
                    said |= back.file == f && back.now <= line && line <= back.now + (back.end - back.line) && !back.gone;
                }
                assert_true(said || want.n == 0);
                dr_buf_free(&shown);
            }
            dr_pack_ranges_fini(&found);
        }
        dr_buf_free(&text);
    }
    packed_close(&got);
    pack_world_end(&p);
}

static void locate__follows_a_rename(void **state)
{
    (void)state;
    pack_world p;
    packed got;
    dr_pack_ranges found = {0};
    size_t file;

    pack_world_begin(&p);
    pack_world_fill(&p);
    const dr_pack_options opt = {.base = p.commits[0]};
    packed_open(&got, &p, p.path, NULL, &opt);
    assert_true(dr_repo_find(got.repo, DR_STR("docs/README.md"), &file));
    assert_int_equal(dr_pack_find(&found, &got.pack, (uint32_t)file, 1, NULL), DR_OK);
    assert_int_equal(found.n, 2); /* the base, where it was README.md, and the text that replaced it */
    assert_string_equal(dr_seg_kind_name((dr_seg_kind)found.v[0].seg->kind), "file");
    assert_true(dr_str_eq(dr_pack_path(&got.pack, found.v[0].seg), DR_STR("README.md")));
    assert_string_equal(dr_seg_kind_name((dr_seg_kind)found.v[1].seg->kind), "added");
    assert_true(got.pack.files[file].n_tokens > found.v[0].seg->n);
    dr_pack_ranges_fini(&found);
    packed_close(&got);
    pack_world_end(&p);
}

/* Random edits, commit by commit: a line that says it is the same is the same. */
static void locate__random_histories(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 6; round++) {
        pack_world p;
        packed got;
        char lines[40][24];
        int n = 30;

        pack_world_begin(&p);
        for (int i = 0; i < n; i++)
            (void)snprintf(lines[i], sizeof lines[i], "line %d of it", i);
        for (int c = 0; c < 8; c++) {
            dr_buf text = {0};
            for (int i = 0; i < n; i++)
                dr_buf_printf(&text, "%s\n", lines[i]);
            pack_world_write(&p, "file.txt", text.data);
            (void)pack_world_commit(&p, "next");
            dr_buf_free(&text);
            for (int e = 0; e < 3; e++) { /* change, remove or insert one */
                seed = seed * 1664525u + 1013904223u;
                const int at = (int)(seed >> 8) % n, what = (int)(seed >> 24) % 3;
                if (what == 1 && n > 10) {
                    memmove(lines[at], lines[at + 1], (size_t)(n - at - 1) * sizeof *lines);
                    n--;
                } else if (what == 2 && n < 40) {
                    memmove(lines[at + 1], lines[at], (size_t)(n - at) * sizeof *lines);
                    n++;
                }
                (void)snprintf(lines[at], sizeof lines[at], "new %u", seed >> 4);
            }
        }
        const dr_pack_options opt = {.base = p.commits[0]};
        packed_open(&got, &p, p.path, NULL, &opt);
        dr_buf now = {0};
        assert_int_equal(dr_repo_read(got.repo, 0, &now, NULL), DR_OK);
        size_t n_same = 0;
        for (int64_t t = 0; t < (int64_t)got.pack.ids.n; t++) {
            dr_pack_place place;
            dr_buf then = {0};
            assert_int_equal(dr_pack_locate(&place, &got.pack, t, NULL), DR_OK);
            if (place.line && place.same) {
                n_same++;
                text_of(&then, got.repo, place.gone ? place.seg->old_id : place.seg->id, place.path);
                assert_true(dr_str_eq(dr_text_line_at(dr_buf_view(&then), place.line),
                                      dr_text_line_at(dr_buf_view(&now), place.now)));
            }
            dr_buf_free(&then);
        }
        assert_true(n_same > 20);
        for (uint32_t line = 1; line <= dr_text_n_lines(dr_buf_view(&now)); line++) {
            dr_pack_ranges found = {0};
            assert_int_equal(dr_pack_find(&found, &got.pack, 0, line, NULL), DR_OK);
            assert_true(found.n > 0); /* base and hunks together show every line of the present */
            dr_pack_ranges_fini(&found);
        }
        dr_buf_free(&now);
        packed_close(&got);
        pack_world_end(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locate__every_token),
        cmocka_unit_test(find__every_line),
        cmocka_unit_test(locate__follows_a_rename),
        cmocka_unit_test(locate__random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
