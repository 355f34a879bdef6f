/* Objects from packs: through alternates, by an abbreviated name, and out of an index that is damaged. Packs that lie
 * outright are in tests/hostile. */
#include "tests/repo/make_repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libgit2 1.5 forgets what its regular expressions allocated when it checks a repository's extensions, and a reference
 * when what it names cannot be read. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2\nleak:libgit2";
}

enum { N_FILES = 60, N_LINES = 400 };

static void text_of(dr_buf *out, int i)
{
    dr_buf_clear(out);
    for (int line = 0; line < N_LINES; line++)
        dr_buf_printf(out, "int a%d = %d;\n", line, line * 7 + (line == i ? 1 : 0));
}

/* A bare repository at `to` that has nothing but one pack: of a commit with N_FILES files that differ in a line each.
 */
static git_oid make_packed(const world *w, const char *to)
{
    static char names[N_FILES][16];
    raw_entry files[N_FILES];
    dr_buf text = {0};
    git_packbuilder *builder;
    git_repository *from = new_repo(in(w, "loose.git"), true), *packed = new_repo(to, true);
    char path[4200];

    for (int i = 0; i < N_FILES; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%02d.c", i);
        text_of(&text, i);
        files[i] = (raw_entry){"100644", names[i], write_blob(from, text.data, text.n)};
    }
    const git_oid commit = commit_tree(from, write_raw_tree(from, files, N_FILES));
    assert_int_equal(git_packbuilder_new(&builder, from), 0);
    (void)git_packbuilder_set_threads(builder, 1);
    assert_int_equal(git_packbuilder_insert_commit(builder, &commit), 0);
    (void)snprintf(path, sizeof path, "%s/objects/pack", to);
    assert_int_equal(git_packbuilder_write(builder, path, 0, NULL, NULL), 0);
    git_packbuilder_free(builder);
    (void)snprintf(path, sizeof path, "%s/HEAD", to);
    write_text(path, git_oid_tostr_s(&commit)); /* detached */
    git_repository_free(from);
    git_repository_free(packed);
    dr_buf_free(&text);
    return commit;
}

static void assert_whole(const dr_repo *r)
{
    dr_buf got = {0}, want = {0};
    dr_error err = {0};
    assert_int_equal(dr_repo_n_files(r), N_FILES);
    for (int i = 0; i < N_FILES; i++) {
        text_of(&want, i);
        if (dr_repo_read(r, (size_t)i, &got, &err) != DR_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.data, want.data, want.n);
    }
    dr_buf_free(&got);
    dr_buf_free(&want);
}

static void packs__deltas_are_followed(void **state)
{
    world w = world_begin();
    (void)state;
    const git_oid commit = make_packed(&w, in(&w, "p.git"));
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof hex, &commit);
    const size_t lengths[] = {40, 39, 8, 7}; /* of the name it is asked for by */
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        hex[lengths[i]] = 0;
        dr_repo *r = open_ok(in(&w, "p.git"), &(dr_repo_options){.rev = hex});
        assert_memory_equal(dr_repo_identity(r)->commit, git_oid_tostr_s(&commit), 40);
        assert_whole(r);
        dr_repo_close(r);
    }
    world_end(&w);
}

static void packs__of_an_alternate(void **state)
{
    world w = world_begin();
    (void)state;
    const git_oid commit = make_packed(&w, in(&w, "p.git"));
    git_repository_free(new_repo(in(&w, "q.git"), true));
    write_text(in(&w, "q.git/objects/info/alternates"), "# kept elsewhere\n../../p.git/objects\n");
    write_text(in(&w, "q.git/HEAD"), git_oid_tostr_s(&commit));
    dr_repo *r = open_ok(in(&w, "q.git"), NULL);
    assert_whole(r);
    dr_repo_close(r);
    world_end(&w);
}

/* The one index of a repository, read or written. */
static void with_index(const world *w, dr_buf *index, bool write)
{
    char command[9000];
    dr_buf path = {0};
    dr_error err = {0};
    (void)snprintf(command, sizeof command, "chmod u+w '%s'/*.idx && ls '%s'/*.idx > '%s'", in(w, "p.git/objects/pack"),
                   in(w, "p.git/objects/pack"), in(w, "list"));
    assert_int_equal(system(command), 0);
    assert_int_equal(dr_read_file(&path, in(w, "list"), 4096, &err), DR_OK);
    path.data[path.n - 1] = 0;
    if (write)
        write_file(path.data, index->data, index->n);
    else
        assert_int_equal(dr_read_file(index, path.data, 1 << 20, &err), DR_OK);
    dr_buf_free(&path);
}

/* Every byte of the index changed in turn (of its checksums only one): nothing is read that is not whole. */
static void packs__no_byte_of_an_index_is_trusted(void **state)
{
    world w = world_begin();
    dr_buf index = {0}, got = {0}, want = {0};
    size_t n_whole = 0, n_missing = 0, n_refused = 0;
    (void)state;
    (void)make_packed(&w, in(&w, "p.git"));
    with_index(&w, &index, false);
    for (size_t at = 0; at < index.n - 40; at += at < 1032 ? 37 : 11) {
        const char kept = index.data[at];
        index.data[at] = (char)(kept ^ (at % 2 ? 0x01 : 0x80));
        with_index(&w, &index, true);
        index.data[at] = kept;
        dr_repo *r = NULL;
        if (dr_repo_open(&r, in(&w, "p.git"), &(dr_repo_options){.rev = "HEAD"}, NULL) != DR_OK) {
            n_refused++;
            continue;
        }
        for (size_t i = 0; i < dr_repo_n_files(r); i++) {
            const dr_repo_file *f = dr_repo_file_at(r, i);
            if (f->cls != DR_FILE_TEXT || f->path.n != 5) {
                n_missing++;
                continue;
            }
            text_of(&want, atoi(f->path.s + 1));
            if (dr_repo_read(r, i, &got, NULL) != DR_OK)
                continue;
            assert_int_equal(got.n, want.n);
            assert_memory_equal(got.data, want.data, want.n);
            n_whole++;
        }
        dr_repo_close(r);
    }
    assert_true(n_whole > 0 && n_missing > 0 && n_refused > 0);
    dr_buf_free(&index);
    dr_buf_free(&got);
    dr_buf_free(&want);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs__deltas_are_followed),
        cmocka_unit_test(packs__of_an_alternate),
        cmocka_unit_test(packs__no_byte_of_an_index_is_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
