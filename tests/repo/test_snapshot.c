#include "tests/repo/make_repo.h"

#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* libgit2 1.5 forgets what its regular expressions allocated when it checks a repository's extensions. Nothing else
 * here uses PCRE2. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2";
}

static void assert_class(const dr_repo *r, const char *path, dr_file_class cls)
{
    const dr_repo_file *f = file_named(r, path);
    if (!f)
        fail_msg("%s is not listed", path);
    if (f->cls != cls)
        fail_msg("%s is %s, not %s", path, dr_file_class_name(f->cls), dr_file_class_name(cls));
    assert_true((f->why == NULL) == (cls == DR_FILE_TEXT));
}

static void assert_content(const dr_repo *r, const char *path, const char *text)
{
    size_t i;
    dr_buf b = {0};
    dr_error err = {0};
    assert_true(dr_repo_find(r, dr_str_of(path), &i));
    if (dr_repo_read(r, i, &b, &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(b.n, strlen(text));
    assert_memory_equal(b.data, text, b.n);
    dr_buf_free(&b);
}

static dr_status open_fails(const char *path, const char *rev, const char *says)
{
    dr_repo *r = NULL;
    dr_error err = {0};
    const dr_repo_options opt = {.rev = rev};
    const dr_status st = dr_repo_open(&r, path, &opt, &err);
    assert_null(r);
    if (st == DR_OK || !strstr(err.msg, says))
        fail_msg("status %d, message \"%s\" does not say \"%s\"", st, err.msg, says);
    return st;
}

static void warns(const char *path, const char *says)
{
    dr_repo *r = open_ok(path, NULL);
    const dr_str warning = dr_repo_identity(r)->warning;
    if (says ? !strstr(warning.s, says) : warning.n != 0)
        fail_msg("%s: warns \"%s\", not of \"%s\"", path, warning.s, says ? says : "");
    dr_repo_close(r);
}

static void damaged_git_folders__are_said(void **state)
{
    world w = world_begin();
    char command[600];
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    write_text(in(&w, "p/sub/a.c"), "int a;\n");
    (void)commit_all(g, "c");
    git_repository_free(g);
    git_repository_free(new_repo(in(&w, "bare"), true));
    write_text(in(&w, "plain/b.c"), "int b;\n");
    warns(in(&w, "p"), NULL);
    warns(in(&w, "p/sub"), NULL);
    warns(in(&w, "p/.git"), NULL);
    warns(in(&w, "plain"), NULL);
    write_text(in(&w, "p/sub/.git"), "gitdir: nowhere\n");
    warns(in(&w, "p"), NULL);
    assert_int_equal(remove(in(&w, "p/sub/.git")), 0);
    assert_int_equal(mkdir(in(&w, "p/sub/.git"), 0700), 0);
    warns(in(&w, "p/sub"), "read as a part of ");
    assert_int_equal(remove(in(&w, "p/.git/HEAD")), 0);
    warns(in(&w, "p"), "/p is read as a plain folder");
    assert_int_equal(mkdir(in(&w, "plain/.git"), 0700), 0);
    warns(in(&w, "plain"), "plain/.git is not a git repository");
    assert_int_equal(remove(in(&w, "bare/HEAD")), 0);
    (void)snprintf(command, sizeof command, "mkdir -p '%s/bare/objects/info' '%s/bare/refs/heads'", w.path, w.path);
    assert_int_equal(system(command), 0);
    warns(in(&w, "bare"), "lost its HEAD");
    assert_int_equal(open_fails(in(&w, "p"), "HEAD", "or in a damaged one"), DR_ERR_NOT_FOUND);
    world_end(&w);
}

/* The key is put together here, so that it stands in no file of this repository. */
static void names_that_hold_a_key__are_refused(void **state)
{
    world w = world_begin();
    char name[64], at[80];
    (void)state;
    (void)snprintf(name, sizeof name, "keys/AK%s%s.pem", "IAQ4ZT7XN2", "WVRB5KMC");
    (void)snprintf(at, sizeof at, "p/%s", name);
    write_text(in(&w, at), "x\n");
    write_text(in(&w, "p/keys/0123456789abcdef0123456789abcdef01234567.pem"), "y\n");
    for (int in_git = 0; in_git < 2; in_git++) {
        if (in_git) {
            git_repository *g = new_repo(in(&w, "p"), false);
            (void)commit_all(g, "c");
            git_repository_free(g);
        }
        dr_repo *r = open_ok(in(&w, "p"), NULL);
        assert_class(r, name, DR_FILE_REFUSED);
        assert_string_equal(file_named(r, name)->why, "a secret in its name");
        assert_class(r, "keys/0123456789abcdef0123456789abcdef01234567.pem", DR_FILE_TEXT);
        dr_repo_close(r);
    }
    world_end(&w);
}

/* One file of every class that content decides. */
static void fill_with_classes(const world *w, const char *root)
{
    char name[512], big[3000];
    const char *lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n";
#define AT(file) ((void)snprintf(name, sizeof name, "%s/" file, root), in(w, name))
    write_text(AT("src/a.c"), "int main(void)\n{\n    return 0;\n}\n");
    write_text(AT("src/a-b.c"), "int x;\n");
    write_text(AT("src/a/deep.c"), "int y;\n");
    write_file(AT("nul.bin"), "a\0b", 3);
    write_file(AT("wide.txt"), "\xff\xfeh\0i\0", 6);
    write_file(AT("latin.txt"), "caf\xe9\n", 5);
    write_text(AT("made.c"), "/* Generated by a tool. DO NOT EDIT */\nint z;\n");
    write_text(AT("writer.py"), "print('/* DO NOT EDIT */')\n");
    write_text(AT("x.min.js"), "var a;\n");
    write_text(AT("src/uv.lock"), "version = 1\n");
    write_text(AT("src/try.lock"), "a lock of another kind\n");
    write_text(AT("media.dat"), lfs);
    write_text(AT("marked.c"), "int m;\n");
    write_text(AT("vendor/v.c"), "int v;\n");
    write_text(AT("blob.c"), "int b;\n");
    write_text(AT("kept.min.js"), "var b;\n");
    write_text(AT("empty.c"), "");
    write_text(
        AT(".gitattributes"),
        "marked.c linguist-generated\nvendor/** linguist-vendored\nblob.c binary\nkept.min.js -linguist-generated\n");
    memset(big, 'x', sizeof big);
    write_file(AT("big.txt"), big, sizeof big);
    for (size_t i = 9; i < sizeof big; i += 10)
        big[i] = '\n';
    write_file(AT("fits.txt"), big, 1999);
#undef AT
}

static void check_classes(const dr_repo *r)
{
    assert_class(r, "src/a.c", DR_FILE_TEXT);
    assert_class(r, "nul.bin", DR_FILE_BINARY);
    assert_class(r, "wide.txt", DR_FILE_TEXT);
    assert_class(r, "latin.txt", DR_FILE_TEXT);
    assert_true(file_named(r, "latin.txt")->converted);
    assert_false(file_named(r, "src/a.c")->converted);
    assert_class(r, "made.c", DR_FILE_GENERATED);
    assert_class(r, "writer.py", DR_FILE_TEXT);
    assert_class(r, "x.min.js", DR_FILE_GENERATED);
    assert_class(r, "kept.min.js", DR_FILE_TEXT);
    assert_class(r, "src/uv.lock", DR_FILE_GENERATED);
    assert_class(r, "src/try.lock", DR_FILE_TEXT);
    assert_class(r, "media.dat", DR_FILE_LFS_POINTER);
    assert_class(r, "marked.c", DR_FILE_GENERATED);
    assert_class(r, "vendor/v.c", DR_FILE_TEXT);
    assert_class(r, "blob.c", DR_FILE_BINARY);
    assert_class(r, "empty.c", DR_FILE_TEXT);
    assert_class(r, "big.txt", DR_FILE_TOO_LARGE);
    assert_class(r, "fits.txt", DR_FILE_TEXT);
    assert_true(file_named(r, "vendor/v.c")->vendored);
    assert_false(file_named(r, "src/a.c")->vendored);
    assert_int_equal(file_named(r, "big.txt")->size, 3000);
    for (size_t i = 1; i < dr_repo_n_files(r); i++)
        assert_true(dr_str_cmp(dr_repo_file_at(r, i - 1)->path, dr_repo_file_at(r, i)->path) < 0);
    assert_content(r, "src/a.c", "int main(void)\n{\n    return 0;\n}\n");
    assert_content(r, "empty.c", "");
    assert_content(r, "latin.txt", "caf\xc3\xa9\n");
    assert_content(r, "wide.txt", "hi");
}

static void commit__classes_and_order(void **state)
{
    world w = world_begin();
    (void)state;
    fill_with_classes(&w, "proj");
    git_repository *g = new_repo(in(&w, "proj"), false);
    const git_oid id = commit_all(g, "one");
    const dr_repo_options opt = {.max_file_bytes = 2000, .rev = "HEAD"};
    dr_repo *r = open_ok(in(&w, "proj"), &opt);
    char hex[41];

    check_classes(r);
    git_oid_tostr(hex, sizeof hex, &id);
    const dr_repo_id *who = dr_repo_identity(r);
    assert_string_equal(who->commit, hex);
    assert_true(dr_str_eq(who->name, DR_STR("proj")));
    assert_true(who->in_git);
    assert_false(who->from_disk);
    assert_int_equal(who->n_dirty, 0);
    dr_buf b = {0};
    size_t i;
    assert_true(dr_repo_find(r, DR_STR("nul.bin"), &i));
    assert_int_equal(dr_repo_read(r, i, &b, NULL), DR_ERR_ARG);
    assert_false(dr_repo_find(r, DR_STR("nowhere"), &i));
    assert_int_equal(dr_repo_read(r, 1000, &b, NULL), DR_ERR_ARG);
    dr_buf_free(&b);
    dr_repo_close(r);
    git_repository_free(g);
    world_end(&w);
}

static void folder__same_snapshot_as_the_commit(void **state)
{
    world w = world_begin();
    (void)state;
    fill_with_classes(&w, "proj");
    dr_repo *folder = open_ok(in(&w, "proj"), &(dr_repo_options){.max_file_bytes = 4000});
    assert_false(dr_repo_identity(folder)->in_git);
    assert_string_equal(dr_repo_identity(folder)->commit, "");
    assert_content(folder, "src/a-b.c", "int x;\n");
    git_repository *g = new_repo(in(&w, "proj"), false);
    (void)commit_all(g, "one");
    dr_repo *commit = open_ok(in(&w, "proj"), &(dr_repo_options){.max_file_bytes = 4000, .rev = "main"});
    assert_memory_equal(&dr_repo_identity(folder)->digest, &dr_repo_identity(commit)->digest, sizeof(dr_digest));
    assert_int_equal(dr_repo_n_files(folder), dr_repo_n_files(commit));
    dr_repo_close(folder);
    dr_repo_close(commit);
    git_repository_free(g);

    assert_int_equal(open_fails(in(&w, "."), "main", "not in a git repository"), DR_ERR_NOT_FOUND);
    assert_int_equal(open_fails(in(&w, "nowhere"), NULL, "nowhere"), DR_ERR_NOT_FOUND);
    assert_int_equal(open_fails(in(&w, "proj/src/a.c"), NULL, "not a folder"), DR_ERR_NOT_FOUND);
    world_end(&w);
}

static void folder__links_pipes_and_vcs_folders(void **state)
{
    world w = world_begin();
    (void)state;
    write_text(in(&w, "f/a.c"), "int a;\n");
    write_text(in(&w, "f/.hg/store"), "x");
    write_text(in(&w, "f/CVS/Root"), "x");
    write_text(in(&w, "secret"), "secret\n");
    assert_int_equal(symlink("../secret", in(&w, "f/leak")), 0);
    assert_int_equal(symlink(".", in(&w, "f/loop")), 0);
    assert_int_equal(symlink("..", in(&w, "f/up")), 0);
    assert_int_equal(mkfifo(in(&w, "f/pipe"), 0600), 0);
    write_text(in(&w, "f/bad\001name.c"), "int b;\n");
    write_text(in(&w, "f/latin\xe9.c"), "int c;\n");
    dr_repo *r = open_ok(in(&w, "f"), NULL);
    assert_int_equal(dr_repo_n_files(r), 7);
    assert_class(r, "leak", DR_FILE_SYMLINK);
    assert_class(r, "loop", DR_FILE_SYMLINK);
    assert_class(r, "up", DR_FILE_SYMLINK);
    assert_class(r, "pipe", DR_FILE_REFUSED);
    assert_class(r, "bad\001name.c", DR_FILE_REFUSED);
    assert_class(r, "latin\xe9.c", DR_FILE_REFUSED);

    /* A file that a link replaces after the snapshot is not read through the link. */
    size_t i;
    dr_buf b = {0};
    assert_true(dr_repo_find(r, DR_STR("a.c"), &i));
    assert_int_equal(unlink(in(&w, "f/a.c")), 0);
    assert_int_equal(symlink("../secret", in(&w, "f/a.c")), 0);
    assert_int_not_equal(dr_repo_read(r, i, &b, NULL), DR_OK);
    assert_int_equal(unlink(in(&w, "f/a.c")), 0);
    assert_int_equal(dr_repo_read(r, i, &b, NULL), DR_ERR_AGAIN);
    write_text(in(&w, "f/a.c"), "int changed;\n");
    assert_int_equal(dr_repo_read(r, i, &b, NULL), DR_ERR_AGAIN);
    dr_buf_free(&b);
    dr_repo_close(r);
    world_end(&w);
}

static void working_tree__overlays_head(void **state)
{
    world w = world_begin();
    (void)state;
    write_text(in(&w, "p/same.c"), "int same;\n");
    write_text(in(&w, "p/edited.c"), "int old;\n");
    write_text(in(&w, "p/deleted.c"), "int gone;\n");
    write_text(in(&w, "p/d/staged.c"), "int before;\n");
    write_text(in(&w, "p/becomes_link.c"), "int l;\n");
    write_text(in(&w, "p/.gitignore"), "*.o\nbuild/\n");
    git_repository *g = new_repo(in(&w, "p"), false);
    (void)commit_all(g, "one");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    const dr_digest clean = dr_repo_identity(r)->digest;
    assert_int_equal(dr_repo_identity(r)->n_dirty, 0);
    assert_true(dr_repo_identity(r)->from_disk);
    dr_repo_close(r);

    write_text(in(&w, "p/edited.c"), "int new_one;\nint two;\n");
    assert_int_equal(unlink(in(&w, "p/deleted.c")), 0);
    write_text(in(&w, "p/untracked.c"), "int u;\n");
    write_text(in(&w, "p/new/folder/n.c"), "int n;\n");
    write_text(in(&w, "p/x.o"), "object");
    write_text(in(&w, "p/build/out.c"), "int o;\n");
    assert_int_equal(unlink(in(&w, "p/becomes_link.c")), 0);
    assert_int_equal(symlink("same.c", in(&w, "p/becomes_link.c")), 0);
    write_text(in(&w, "p/d/staged.c"), "int after;\n");
    git_index *index = NULL;
    assert_int_equal(git_repository_index(&index, g), 0);
    assert_int_equal(git_index_add_bypath(index, "d/staged.c"), 0);
    assert_int_equal(git_index_write(index), 0);
    git_index_free(index);
    git_repository *inner = new_repo(in(&w, "p/inner"), false); /* someone else's repository inside ours */
    write_text(in(&w, "p/inner/i.c"), "int i;\n");
    (void)commit_all(inner, "inner");
    git_repository_free(inner);

    r = open_ok(in(&w, "p/d"), NULL); /* from a subfolder: the root is found */
    assert_true(dr_str_eq(dr_repo_identity(r)->name, DR_STR("p")));
    assert_content(r, "edited.c", "int new_one;\nint two;\n");
    assert_content(r, "d/staged.c", "int after;\n");
    assert_content(r, "untracked.c", "int u;\n");
    assert_content(r, "new/folder/n.c", "int n;\n");
    assert_content(r, "same.c", "int same;\n");
    assert_null(file_named(r, "deleted.c"));
    assert_null(file_named(r, "x.o"));
    assert_null(file_named(r, "build/out.c"));
    assert_null(file_named(r, "inner/i.c"));
    assert_class(r, "becomes_link.c", DR_FILE_SYMLINK);
    assert_true(file_named(r, "edited.c")->dirty);
    assert_true(file_named(r, "untracked.c")->dirty);
    assert_false(file_named(r, "same.c")->dirty);
    assert_int_equal(dr_repo_identity(r)->n_dirty, 6);
    assert_memory_not_equal(&dr_repo_identity(r)->digest, &clean, sizeof clean);
    for (size_t i = 1; i < dr_repo_n_files(r); i++)
        assert_true(dr_str_cmp(dr_repo_file_at(r, i - 1)->path, dr_repo_file_at(r, i)->path) < 0);
    dr_repo_close(r);

    r = open_ok(in(&w, "p"), &(dr_repo_options){.rev = "HEAD"}); /* the commit, whatever lies on disk */
    assert_content(r, "edited.c", "int old;\n");
    assert_non_null(file_named(r, "deleted.c"));
    assert_memory_equal(&dr_repo_identity(r)->digest, &clean, sizeof clean);
    dr_repo_close(r);

    /* The same bytes again under a new time are not a change. */
    write_text(in(&w, "p/same.c"), "int same;\n");
    r = open_ok(in(&w, "p"), NULL);
    assert_false(file_named(r, "same.c")->dirty);
    dr_repo_close(r);
    git_repository_free(g);
    world_end(&w);
}

static void revisions__branches_tags_ancestors(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    assert_int_equal(open_fails(in(&w, "p"), "HEAD", "no commit yet"), DR_ERR_NOT_FOUND);
    write_text(in(&w, "p/a.c"), "int one;\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL); /* before the first commit: the working tree alone */
    assert_string_equal(dr_repo_identity(r)->commit, "");
    assert_int_equal(dr_repo_n_files(r), 1);
    assert_content(r, "a.c", "int one;\n");
    dr_repo_close(r);

    (void)commit_all(g, "one");
    write_text(in(&w, "p/a.c"), "int two;\n");
    const git_oid second = commit_all(g, "two");
    git_object *target = NULL;
    git_oid tag;
    git_signature *who = NULL;
    assert_int_equal(git_object_lookup(&target, g, &second, GIT_OBJECT_COMMIT), 0);
    assert_int_equal(git_signature_new(&who, "T", "t@e.org", 1700000000, 0), 0);
    assert_int_equal(git_tag_create(&tag, g, "v2", target, who, "tag", 0), 0);
    git_signature_free(who);
    git_object_free(target);
    static const struct {
        const char *rev, *text;
    } good[] = {{"HEAD", "int two;\n"},
                {"HEAD~1", "int one;\n"},
                {"main", "int two;\n"},
                {"v2", "int two;\n"},
                {"v2^", "int one;\n"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        r = open_ok(in(&w, "p"), &(dr_repo_options){.rev = good[i].rev});
        assert_content(r, "a.c", good[i].text);
        dr_repo_close(r);
    }
    assert_int_equal(open_fails(in(&w, "p"), "v3", "no revision v3"), DR_ERR_NOT_FOUND);
    assert_int_equal(open_fails(in(&w, "p"), "HEAD:a.c", "not a commit"), DR_ERR_NOT_FOUND);
    assert_int_equal(git_repository_set_head_detached(g, &second), 0);
    r = open_ok(in(&w, "p"), NULL);
    assert_content(r, "a.c", "int two;\n");
    dr_repo_close(r);
    git_repository_free(g);
    world_end(&w);
}

static void bare_and_worktree(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *bare = new_repo(in(&w, "store.git"), true);
    assert_int_equal(open_fails(in(&w, "store.git"), NULL, "no commit yet"), DR_ERR_NOT_FOUND);
    const raw_entry files[] = {{"100644", "a.c", write_blob(bare, "int a;\n", 7)}};
    (void)commit_tree(bare, write_raw_tree(bare, files, 1));
    dr_repo *r = open_ok(in(&w, "store.git"), NULL);
    assert_true(dr_str_eq(dr_repo_identity(r)->name, DR_STR("store")));
    assert_false(dr_repo_identity(r)->from_disk);
    assert_content(r, "a.c", "int a;\n");
    dr_repo_close(r);
    git_repository_free(bare);

    git_repository *g = new_repo(in(&w, "main"), false);
    write_text(in(&w, "main/a.c"), "int a;\n");
    (void)commit_all(g, "one");
    git_worktree *tree = NULL;
    assert_int_equal(git_worktree_add(&tree, g, "side", in(&w, "side"), NULL), 0);
    git_worktree_free(tree);
    write_text(in(&w, "side/a.c"), "int side;\n");
    r = open_ok(in(&w, "side"), NULL);
    assert_true(dr_repo_identity(r)->from_disk);
    assert_true(dr_str_eq(dr_repo_identity(r)->name, DR_STR("side")));
    assert_content(r, "a.c", "int side;\n");
    dr_repo_close(r);
    git_repository_free(g);
    world_end(&w);
}

static void hostile__tree_entries(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "evil.git"), true);
    const git_oid blob = write_blob(g, "int evil;\n", 10);
    git_oid missing, link = write_blob(g, "/etc/passwd", 11);
    assert_int_equal(git_oid_fromstr(&missing, "0123456789012345678901234567890123456789"), 0);
    const raw_entry inside[] = {{"100644", "ok.c", blob}};
    const git_oid sub = write_raw_tree(g, inside, 1);
    char longest[300];
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const raw_entry entries[] = {
        {"100644", "..", blob},        {"100644", ".git", blob},
        {"40000", ".GIT", sub},        {"100644", "/abs", blob},
        {"100644", "a.c", blob},       {"100644", "a.c", link},
        {"100644", "bad\nname", blob}, {"100644", "b\\ack", blob},
        {"120000", "link", link},      {"100644", "lost.c", missing},
        {"40000", "lostdir", missing}, {"160000", "module", missing},
        {"100644", longest, blob},     {"100644", "rtl\xe2\x80\xae.c", blob},
        {"40000", "sub", sub},         {"100644", "sub/../../x", blob},
        {"100644", "z\xff", blob},
    };
    (void)commit_tree(g, write_raw_tree(g, entries, sizeof entries / sizeof *entries));
    memory_store store;
    memory_store_init(&store);
    dr_repo *r = open_ok(in(&w, "evil.git"), &(dr_repo_options){.store = &store.store});
    static const char *const refused[] = {"..",          ".git", ".GIT/ok.c", "/abs", "bad\nname", "rtl\xe2\x80\xae.c",
                                          "sub/../../x", "z\xff"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_class(r, refused[i], DR_FILE_REFUSED);
    assert_class(r, longest, DR_FILE_REFUSED);
    assert_class(r, "link", DR_FILE_SYMLINK);
    assert_class(r, "lost.c", DR_FILE_MISSING);
    assert_class(r, "lostdir", DR_FILE_MISSING);
    assert_class(r, "module", DR_FILE_SUBMODULE);
    assert_class(r, "sub/ok.c", DR_FILE_TEXT);
    assert_class(r, "b\\ack", DR_FILE_TEXT);
    size_t n_twice = 0;
    for (size_t i = 0; i < dr_repo_n_files(r); i++)
        n_twice += dr_str_eq(dr_repo_file_at(r, i)->path, DR_STR("a.c"));
    assert_int_equal(n_twice, 2);
    const size_t n_kept = store.n_items;
    dr_repo_close(r);
    r = open_ok(in(&w, "evil.git"), &(dr_repo_options){.store = &store.store});
    assert_int_equal(store.n_items, n_kept); /* nothing is kept of what is missing: it may be there next time */
    assert_class(r, "lost.c", DR_FILE_MISSING);
    dr_repo_close(r);
    memory_store_fini(&store);
    git_repository_free(g);
    world_end(&w);
}

static void hostile__tree_bomb_is_a_limit(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "bomb.git"), true);
    const raw_entry leaf[] = {{"100644", "a", write_blob(g, "x", 1)}};
    git_oid tree = write_raw_tree(g, leaf, 1);
    for (int level = 0; level < 8; level++) { /* ten to the eighth files */
        raw_entry wide[10];
        static const char *const names[10] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
        for (int i = 0; i < 10; i++)
            wide[i] = (raw_entry){"40000", names[i], tree};
        tree = write_raw_tree(g, wide, 10);
    }
    (void)commit_tree(g, tree);
    assert_int_equal(open_fails(in(&w, "bomb.git"), NULL, "more than 1000000"), DR_ERR_LIMIT);
    git_repository_free(g);
    world_end(&w);
}

static void hostile__core_worktree_leads_nowhere(void **state)
{
    world w = world_begin();
    (void)state;
    write_text(in(&w, "private/secret.c"), "int secret;\n");
    write_text(in(&w, "p/a.c"), "int a;\n");
    git_repository *g = new_repo(in(&w, "p"), false);
    (void)commit_all(g, "one");
    git_config *config = NULL;
    assert_int_equal(git_repository_config(&config, g), 0);
    assert_int_equal(git_config_set_string(config, "core.worktree", in(&w, "private")), 0);
    git_config_free(config);
    git_repository_free(g);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_null(file_named(r, "secret.c"));
    assert_false(dr_repo_identity(r)->from_disk);
    assert_content(r, "a.c", "int a;\n");
    dr_repo_close(r);
    world_end(&w);
}

static void sha256_repository_is_said(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    git_repository_free(g);
    write_text(in(&w, "p/.git/config"),
               "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectformat = sha256\n");
    assert_int_equal(open_fails(in(&w, "p"), NULL, "SHA-256"), DR_ERR_FORMAT);
    world_end(&w);
}

static void classes__come_back_from_the_store(void **state)
{
    world w = world_begin();
    (void)state;
    fill_with_classes(&w, "proj");
    git_repository *g = new_repo(in(&w, "proj"), false);
    (void)commit_all(g, "one");
    memory_store store;
    memory_store_init(&store);
    const dr_repo_options opt = {.rev = "HEAD", .max_file_bytes = 2000, .store = &store.store};
    dr_repo *first = open_ok(in(&w, "proj"), &opt);
    const size_t n_kept = store.n_items;
    assert_true(n_kept > 10);
    dr_repo *again = open_ok(in(&w, "proj"), &opt);
    assert_int_equal(store.n_items, n_kept);
    check_classes(again);
    for (size_t i = 0; i < dr_repo_n_files(first); i++) {
        assert_int_equal(dr_repo_file_at(first, i)->cls, dr_repo_file_at(again, i)->cls);
        assert_int_equal(dr_repo_file_at(first, i)->size, dr_repo_file_at(again, i)->size);
        assert_int_equal(dr_repo_file_at(first, i)->converted, dr_repo_file_at(again, i)->converted);
        assert_ptr_equal(dr_repo_file_at(first, i)->why, dr_repo_file_at(again, i)->why);
    }
    dr_repo_close(again);
    for (size_t i = 0; i < store.n_items; i++) /* damage: a kind that does not exist, a length that is wrong */
        if (i % 2)
            store.items[i].value[20] = 99;
        else
            store.items[i].n_value--;
    again = open_ok(in(&w, "proj"), &opt);
    check_classes(again);
    dr_repo_close(again);
    write_text(in(&w, "proj/src/a.c"), "int main(void)\n{\n    return 1;\n}\n");
    (void)commit_all(g, "two");
    const size_t n_before = store.n_items;
    again = open_ok(in(&w, "proj"), &opt); /* one changed blob is looked at, the others are known */
    assert_int_equal(store.n_items, n_before + 1);
    dr_repo_close(again);
    dr_repo_close(first);
    memory_store_fini(&store);
    git_repository_free(g);
    world_end(&w);
}

static void classes__same_on_any_number_of_threads(void **state)
{
    world w = world_begin();
    (void)state;
    fill_with_classes(&w, "proj");
    dr_pool *pool = NULL;
    assert_int_equal(dr_pool_new(&pool, 2, NULL), DR_OK);
    dr_repo *one = open_ok(in(&w, "proj"), NULL), *two = open_ok(in(&w, "proj"), &(dr_repo_options){.pool = pool});
    for (size_t i = 0; i < dr_repo_n_files(one); i++)
        assert_int_equal(dr_repo_file_at(one, i)->cls, dr_repo_file_at(two, i)->cls);
    dr_repo_close(one);
    dr_repo_close(two);
    dr_pool_free(pool);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_git_folders__are_said),
        cmocka_unit_test(names_that_hold_a_key__are_refused),
        cmocka_unit_test(commit__classes_and_order),
        cmocka_unit_test(folder__same_snapshot_as_the_commit),
        cmocka_unit_test(folder__links_pipes_and_vcs_folders),
        cmocka_unit_test(working_tree__overlays_head),
        cmocka_unit_test(revisions__branches_tags_ancestors),
        cmocka_unit_test(bare_and_worktree),
        cmocka_unit_test(hostile__tree_entries),
        cmocka_unit_test(hostile__tree_bomb_is_a_limit),
        cmocka_unit_test(hostile__core_worktree_leads_nowhere),
        cmocka_unit_test(sha256_repository_is_said),
        cmocka_unit_test(classes__come_back_from_the_store),
        cmocka_unit_test(classes__same_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
