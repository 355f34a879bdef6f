#include "tests/repo/make_repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libgit2 1.5 forgets what its regular expressions allocated when it checks a repository's extensions. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2";
}

/* A repository whose tree has these files, and a submodule `lib` at that commit. */
static void make_outer(const char *path, git_oid commit, const char *gitmodules)
{
    git_repository *g = new_repo(path, false);
    const raw_entry files[] = {{"100644", ".gitmodules", write_blob(g, gitmodules, strlen(gitmodules))},
                               {"100644", "a.c", write_blob(g, "int a;\n", 7)},
                               {"160000", "lib", commit}};
    (void)commit_tree(g, write_raw_tree(g, files, 3));
    git_repository_free(g);
    char file[4200];
    (void)snprintf(file, sizeof file, "%s/a.c", path);
    write_text(file, "int a;\n");
    (void)snprintf(file, sizeof file, "%s/.gitmodules", path);
    write_text(file, gitmodules);
}

static git_oid make_inner(const char *path, bool bare)
{
    git_repository *g = new_repo(path, bare);
    const raw_entry deep[] = {{"100644", "l.c", write_blob(g, "int l;\n", 7)}};
    const raw_entry files[] = {{"100644", ".gitattributes", write_blob(g, "gen.c linguist-generated\n", 25)},
                               {"100644", "gen.c", write_blob(g, "int g;\n", 7)},
                               {"40000", "src", write_raw_tree(g, deep, 1)}};
    const git_oid commit = commit_tree(g, write_raw_tree(g, files, 3));
    git_repository_free(g);
    return commit;
}

static const char named_lib[] = "[submodule \"the lib\"]\n\tpath = lib\n\turl = ../lib\n";

static void submodules__listed_or_read(void **state)
{
    world w = world_begin();
    (void)state;
    const git_oid commit = make_inner(in(&w, "inner.git"), true);
    make_outer(in(&w, "p"), commit, named_lib);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_repo_n_files(r), 3);
    assert_class(r, "lib", DR_FILE_SUBMODULE, "a submodule");
    assert_memory_equal(file_named(r, "lib")->id, commit.id, 20);
    dr_repo_close(r);
    r = open_ok(in(&w, "p"), &(dr_repo_options){.submodules = true});
    assert_class(r, "lib", DR_FILE_SUBMODULE, "not here");
    dr_repo_close(r);

    assert_int_equal(mkdir(in(&w, "p/.git/modules"), 0755), 0); /* where git keeps it, under its name */
    assert_int_equal(rename(in(&w, "inner.git"), in(&w, "p/.git/modules/the lib")), 0);
    for (int from_disk = 0; from_disk < 2; from_disk++) {
        r = open_ok(in(&w, "p"), &(dr_repo_options){.submodules = true, .rev = from_disk ? NULL : "HEAD"});
        assert_class(r, "lib", DR_FILE_SUBMODULE, "its files are listed");
        assert_class(r, "lib/src/l.c", DR_FILE_TEXT, NULL);
        assert_class(r, "lib/gen.c", DR_FILE_GENERATED, NULL); /* by its own rules */
        assert_content(r, "lib/src/l.c", "int l;\n");
        assert_int_equal(dr_repo_identity(r)->n_dirty, 0);
        dr_buf text = {0};
        dr_file_class cls;
        assert_int_equal(dr_repo_read_blob(r, file_named(r, "lib/src/l.c")->id, DR_STR("lib/x.c"), &text, &cls, NULL),
                         DR_OK);
        assert_int_equal(cls, DR_FILE_TEXT);
        dr_buf_free(&text);
        dr_repo_close(r);
    }
    world_end(&w);
}

static void submodules__a_repository_in_the_working_tree(void **state)
{
    world w = world_begin();
    (void)state;
    const git_oid commit = make_inner(in(&w, "inner"), false);
    make_outer(in(&w, "p"), commit, "");
    assert_int_equal(rename(in(&w, "inner"), in(&w, "p/lib")), 0);
    dr_repo *r = open_ok(in(&w, "p"), &(dr_repo_options){.submodules = true});
    assert_class(r, "lib/src/l.c", DR_FILE_TEXT, NULL);
    dr_repo_close(r);
    world_end(&w);
}

/* Ways to another repository of the machine: none is taken. */
static void submodules__never_lead_outside(void **state)
{
    static const char *const names[] = {"../../other.git", "/etc", "x/../../../other.git", "link", ".git"};
    world w = world_begin();
    (void)state;
    const git_oid commit = make_inner(in(&w, "other.git"), true);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[32], modules[200];
        (void)snprintf(path, sizeof path, "p%zu", i);
        (void)snprintf(modules, sizeof modules, "[submodule \"%s\"]\n\tpath = lib\n", names[i]);
        make_outer(in(&w, path), commit, modules);
        char at[64];
        (void)snprintf(at, sizeof at, "p%zu/.git/modules/link", i);
        write_text(in(&w, at), "");
        assert_int_equal(unlink(in(&w, at)), 0);
        assert_int_equal(symlink(in(&w, "other.git"), in(&w, at)), 0);
        (void)snprintf(at, sizeof at, "p%zu/lib/.git", i);
        char where[4200];
        (void)snprintf(where, sizeof where, "gitdir: %s\n", in(&w, "other.git"));
        write_text(in(&w, at), where);
        dr_repo *r = open_ok(in(&w, path), &(dr_repo_options){.submodules = true});
        assert_class(r, "lib", DR_FILE_SUBMODULE, "not here");
        assert_null(file_named(r, "lib/src/l.c"));
        dr_repo_close(r);
    }
    world_end(&w);
}

static void partial_and_shallow_clones(void **state)
{
    world w = world_begin();
    git_oid missing;
    (void)state;
    git_repository *g = new_repo(in(&w, "p.git"), true);
    assert_int_equal(git_oid_fromstr(&missing, "0123456789012345678901234567890123456789"), 0);
    const raw_entry files[] = {
        {"100644", "a.c", write_blob(g, "int a;\n", 7)}, {"100644", "lost.c", missing}, {"40000", "lost", missing}};
    (void)commit_tree(g, write_raw_tree(g, files, 3));
    git_repository_free(g);
    write_text(in(&w, "p.git/config"),
               "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tpartialClone = origin\n"
               "[remote \"origin\"]\n\turl = x\n\tpromisor = true\n\tpartialclonefilter = blob:none\n");
    write_text(in(&w, "p.git/shallow"), "0123456789012345678901234567890123456789\n");
    dr_repo *r = open_ok(in(&w, "p.git"), NULL);
    assert_class(r, "a.c", DR_FILE_TEXT, NULL);
    assert_class(r, "lost.c", DR_FILE_MISSING, NULL);
    assert_class(r, "lost", DR_FILE_MISSING, "folder");
    dr_repo_close(r);
    world_end(&w);
}

static void alternates__cyclic_ones_too(void **state)
{
    world w = world_begin();
    char line[4200];
    (void)state;
    git_repository *g = new_repo(in(&w, "one.git"), true), *h = new_repo(in(&w, "two.git"), true);
    const raw_entry files[] = {{"100644", "a.c", write_blob(g, "int a;\n", 7)}};
    const git_oid tree = write_raw_tree(g, files, 1);
    (void)commit_tree(h, tree); /* its tree is in the other one */
    git_repository_free(g);
    git_repository_free(h);
    (void)snprintf(line, sizeof line, "%s\n", in(&w, "one.git/objects"));
    write_text(in(&w, "two.git/objects/info/alternates"), line);
    (void)snprintf(line, sizeof line, "%s\n%s\n", in(&w, "two.git/objects"), in(&w, "one.git/objects"));
    write_text(in(&w, "one.git/objects/info/alternates"), line);
    dr_repo *r = open_ok(in(&w, "two.git"), NULL);
    assert_content(r, "a.c", "int a;\n");
    dr_repo_close(r);
    world_end(&w);
}

static void hash_is_checked(void **state)
{
    world w = world_begin();
    char path[4200];
    git_oid wrong;
    (void)state;
    git_repository *g = new_repo(in(&w, "p.git"), true);
    const git_oid good = write_blob(g, "int good;\n", 10);
    assert_int_equal(git_oid_fromstr(&wrong, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
    const raw_entry files[] = {{"100644", "bad.c", wrong}, {"100644", "good.c", good}};
    (void)commit_tree(g, write_raw_tree(g, files, 2));
    git_repository_free(g);
    char hex[41];
    git_oid_tostr(hex, sizeof hex, &good);
    (void)snprintf(path, sizeof path, "p.git/objects/%.2s/%s", hex, hex + 2);
    assert_int_equal(mkdir(in(&w, "p.git/objects/aa"), 0755), 0);
    assert_int_equal(link(in(&w, path), in(&w, "p.git/objects/aa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")), 0);
    dr_repo *r = open_ok(in(&w, "p.git"), NULL);
    assert_class(r, "good.c", DR_FILE_TEXT, NULL);
    assert_class(r, "bad.c", DR_FILE_MISSING, NULL);
    dr_repo_close(r);
    world_end(&w);
}

static void hostile__deep_and_long_names(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "p.git"), true);
    const git_oid blob = write_blob(g, "x", 1);
    const raw_entry leaf[] = {{"100644", "leaf", blob}};
    git_oid tree = write_raw_tree(g, leaf, 1);
    for (int i = 0; i < 5000; i++) { /* deeper than any name may be long */
        const raw_entry one[] = {{"40000", "d", tree}};
        tree = write_raw_tree(g, one, 1);
    }
    static char longest[4097];
    memset(longest, 'n', sizeof longest - 1);
    const raw_entry top[] = {{"100644", "a.c", blob}, {"40000", "d", tree}, {"100644", longest, blob}};
    (void)commit_tree(g, write_raw_tree(g, top, 3));
    git_repository_free(g);
    dr_repo *r = open_ok(in(&w, "p.git"), NULL);
    assert_int_equal(dr_repo_n_files(r), 3);
    assert_class(r, "a.c", DR_FILE_TEXT, NULL);
    assert_class(r, longest, DR_FILE_REFUSED, "too long");
    assert_int_equal(dr_repo_file_at(r, 1)->cls, DR_FILE_REFUSED);
    dr_repo_close(r);
    world_end(&w);
}

static void hostile__100k_files_in_a_folder(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "p.git"), true);
    const git_oid blob = write_blob(g, "int x;\n", 7);
    enum { N = 100000 };
    raw_entry *entries = calloc(N, sizeof *entries);
    char(*names)[16] = calloc(N, sizeof *names);
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%06d.c", i);
        entries[i] = (raw_entry){"100644", names[i], blob};
    }
    (void)commit_tree(g, write_raw_tree(g, entries, N));
    git_repository_free(g);
    dr_repo *r = open_ok(in(&w, "p.git"), NULL);
    assert_int_equal(dr_repo_n_files(r), N);
    assert_class(r, "f099999.c", DR_FILE_TEXT, NULL);
    dr_repo_close(r);
    free(entries);
    free(names);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submodules__listed_or_read),
        cmocka_unit_test(submodules__a_repository_in_the_working_tree),
        cmocka_unit_test(submodules__never_lead_outside),
        cmocka_unit_test(partial_and_shallow_clones),
        cmocka_unit_test(alternates__cyclic_ones_too),
        cmocka_unit_test(hash_is_checked),
        cmocka_unit_test(hostile__deep_and_long_names),
        cmocka_unit_test(hostile__100k_files_in_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
