/* Changes, chains and orders: against what git prints for made-up histories, and for trees that no git would write. */
#include "repo/history.h"
#include "tests/repo/make_repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *hex_of(const git_oid *id)
{
    static char rooms[8][41];
    static int next;
    char *room = rooms[next++ % 8];
    git_oid_tostr(room, 41, id);
    return room;
}

static dr_history *history_of(const dr_repo *r)
{
    dr_history *h = NULL;
    assert_int_equal(dr_history_open(&h, r, NULL), DR_OK);
    return h;
}

static dr_repo *open_commit(const world *w, const char *rev)
{
    return open_ok(in(w, "r"), &(dr_repo_options){.rev = rev});
}

/* One line a change: "A path", "D path", "M path", "R old -> new". */
static void expect_changes(dr_history *h, const char *from, const char *to, const char *want)
{
    static const char letters[] = "ADMR";
    dr_changes c;
    dr_error err = {0};
    dr_buf got = {0};

    if (dr_history_changes(&c, h, from, to, &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_buf_add(&got, "", 0);
    for (size_t i = 0; i < c.n; i++) {
        dr_buf_printf(&got, "%c ", letters[c.v[i].kind]);
        if (c.v[i].kind == DR_CHANGE_RENAMED)
            dr_buf_printf(&got, "%s -> ", c.v[i].old_path.s);
        else
            assert_true(dr_str_eq(c.v[i].path, c.v[i].old_path));
        dr_buf_printf(&got, "%s\n", c.v[i].path.s);
        assert_int_equal(c.v[i].old_type == DR_TYPE_NONE, c.v[i].kind == DR_CHANGE_ADDED);
        assert_int_equal(c.v[i].new_type == DR_TYPE_NONE, c.v[i].kind == DR_CHANGE_DELETED);
    }
    assert_string_equal(got.data ? got.data : "", want);
    dr_buf_free(&got);
    dr_changes_fini(&c);
}

/* ---- by hand ---- */

static void history_changes__of_every_kind(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    write_text(in(&w, "r/a.c"), "int a;\n");
    write_text(in(&w, "r/b/one.c"), "int one;\n");
    write_text(in(&w, "r/b/two.c"), "int two;\n");
    write_text(in(&w, "r/b.c"), "int b;\n");
    assert_int_equal(symlink("a.c", in(&w, "r/link")), 0);
    const git_oid first = commit_all(git, "first");

    write_text(in(&w, "r/a.c"), "int a = 1;\n");
    assert_int_equal(unlink(in(&w, "r/b.c")), 0);
    assert_int_equal(rename(in(&w, "r/b/one.c"), in(&w, "r/z.c")), 0);
    write_text(in(&w, "r/new/deep/x.c"), "int x;\n");
    assert_int_equal(unlink(in(&w, "r/link")), 0);
    write_text(in(&w, "r/link"), "now a file\n");
    const git_oid second = commit_all(git, "second");

    /* A file becomes a folder and a folder a file: neither is a change of the other. */
    assert_int_equal(unlink(in(&w, "r/a.c")), 0);
    write_text(in(&w, "r/a.c/in"), "in\n");
    assert_int_equal(unlink(in(&w, "r/new/deep/x.c")), 0);
    assert_int_equal(rmdir(in(&w, "r/new/deep")), 0);
    write_text(in(&w, "r/new/deep"), "file\n");
    const git_oid third = commit_all(git, "third");

    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    expect_changes(h, "", hex_of(&first), "A a.c\nA b.c\nA b/one.c\nA b/two.c\nA link\n");
    expect_changes(h, hex_of(&first), hex_of(&second),
                   "M a.c\nD b.c\nM link\nA new/deep/x.c\nR b/one.c -> z.c\n");
    expect_changes(h, hex_of(&second), hex_of(&third), "D a.c\nA a.c/in\nA new/deep\nD new/deep/x.c\n");
    expect_changes(h, hex_of(&third), hex_of(&third), "");
    /* Back again gives the mirror image. */
    expect_changes(h, hex_of(&second), hex_of(&first),
                   "M a.c\nA b.c\nR z.c -> b/one.c\nM link\nD new/deep/x.c\n");

    dr_changes c;
    assert_int_equal(dr_history_changes(&c, h, hex_of(&first), hex_of(&second), NULL), DR_OK);
    assert_int_equal(c.v[2].old_type, DR_TYPE_LINK);
    assert_int_equal(c.v[2].new_type, DR_TYPE_FILE);
    assert_false(c.incomplete);
    dr_changes_fini(&c);
    assert_int_equal(dr_history_changes(&c, h, "0123456789012345678901234567890123456789", hex_of(&first), NULL),
                     DR_ERR_NOT_FOUND);
    assert_int_equal(dr_history_changes(&c, h, "HEAD", hex_of(&first), NULL), DR_ERR_NOT_FOUND);

    char hex[41];
    assert_int_equal(dr_history_resolve(hex, h, "HEAD~1", NULL), DR_OK);
    assert_string_equal(hex, hex_of(&second));
    assert_int_equal(dr_history_resolve(hex, h, "nowhere", NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_history_resolve(hex, h, "HEAD:a.c/in", NULL), DR_ERR_NOT_FOUND);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

static void history_changes__renames_are_one_to_one(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    /* Two with the same content move: each goes with its own name. A third copy is only removed. */
    write_text(in(&w, "r/p/__init__.py"), "same\n");
    write_text(in(&w, "r/p/other.py"), "same\n");
    write_text(in(&w, "r/p/third.py"), "same\n");
    write_text(in(&w, "r/q/left.py"), "different\n");
    const git_oid first = commit_all(git, "first");
    assert_int_equal(unlink(in(&w, "r/p/__init__.py")), 0);
    assert_int_equal(unlink(in(&w, "r/p/other.py")), 0);
    assert_int_equal(unlink(in(&w, "r/p/third.py")), 0);
    write_text(in(&w, "r/a/other.py"), "same\n");
    write_text(in(&w, "r/z/__init__.py"), "same\n");
    const git_oid second = commit_all(git, "second");
    /* One removed, two added: one rename, the other is new. A copy beside the original is new too. */
    assert_int_equal(unlink(in(&w, "r/a/other.py")), 0);
    write_text(in(&w, "r/m/1.py"), "same\n");
    write_text(in(&w, "r/m/2.py"), "same\n");
    write_text(in(&w, "r/q/copy.py"), "different\n");
    const git_oid third = commit_all(git, "third");

    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    expect_changes(h, hex_of(&first), hex_of(&second),
                   "R p/other.py -> a/other.py\nD p/third.py\nR p/__init__.py -> z/__init__.py\n");
    expect_changes(h, hex_of(&second), hex_of(&third), "R a/other.py -> m/1.py\nA m/2.py\nA q/copy.py\n");
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

static void history_changes__of_submodules_and_modes(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), true);
    const git_oid text = write_blob(git, "text\n", 5);
    git_oid one, two;
    assert_int_equal(git_oid_fromstr(&one, "1111111111111111111111111111111111111111"), 0);
    assert_int_equal(git_oid_fromstr(&two, "2222222222222222222222222222222222222222"), 0);
    const raw_entry before[] = {{"100644", "run.sh", text}, {"160000", "sub", one}};
    const raw_entry after[] = {{"100755", "run.sh", text}, {"160000", "sub", two}};
    const git_oid a = commit_tree(git, write_raw_tree(git, before, 2));
    const git_oid b = commit_tree(git, write_raw_tree(git, after, 2));
    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    expect_changes(h, hex_of(&a), hex_of(&b), "M sub\n");
    dr_changes c;
    assert_int_equal(dr_history_changes(&c, h, hex_of(&a), hex_of(&b), NULL), DR_OK);
    assert_int_equal(c.v[0].new_type, DR_TYPE_SUBMODULE);
    assert_memory_equal(c.v[0].old_id, one.id, 20);
    assert_memory_equal(c.v[0].new_id, two.id, 20);
    dr_changes_fini(&c);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

/* ---- hostile trees ---- */

static void history_changes__of_hostile_trees(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), true);
    const git_oid one = write_blob(git, "one\n", 4), two = write_blob(git, "two\n", 4);
    const raw_entry plain[] = {{"100644", "a", one}, {"100644", "b", one}, {"100644", "c", two}};
    const git_oid first = commit_tree(git, write_raw_tree(git, plain, 3));
    /* Out of order: the same files, one of them changed. */
    const raw_entry shuffled[] = {{"100644", "c", two}, {"100644", "b", two}, {"100644", "a", one}};
    const git_oid second = commit_tree(git, write_raw_tree(git, shuffled, 3));
    /* Names that lead elsewhere, and one name twice. */
    const raw_entry bad[] = {{"100644", "..", one},    {"100644", ".git", one}, {"100644", "a", one},
                             {"100644", "b\nb", one},  {"100644", "c", two},    {"100644", "twice", one},
                             {"100644", "twice", two}, {"100644", "x/../y", one}};
    const git_oid third = commit_tree(git, write_raw_tree(git, bad, 8));
    /* A folder that is not there, one that is a file, and a tree object that is cut off. */
    git_oid gone, cut;
    git_odb *odb = NULL;
    assert_int_equal(git_oid_fromstr(&gone, "3333333333333333333333333333333333333333"), 0);
    assert_int_equal(git_repository_odb(&odb, git), 0);
    assert_int_equal(git_odb_write(&cut, odb, "100644 ok\0aaaaaaaaaaaaaaaaaaaa100644 no\0aaaa", 44, GIT_OBJECT_TREE), 0);
    git_odb_free(odb);
    const raw_entry broken[] = {{"100644", "a", two}, {"40000", "cut", cut}, {"40000", "file", one}, {"40000", "gone", gone}};
    const git_oid fourth = commit_tree(git, write_raw_tree(git, broken, 4));

    dr_repo *r = open_commit(&w, hex_of(&first));
    dr_history *h = history_of(r);
    dr_changes c;
    expect_changes(h, hex_of(&first), hex_of(&second), "M b\n");
    expect_changes(h, hex_of(&second), hex_of(&first), "M b\n");
    assert_int_equal(dr_history_changes(&c, h, hex_of(&first), hex_of(&third), NULL), DR_OK);
    assert_int_equal(c.n, 1); /* b became one of the two */
    assert_int_equal(c.v[0].kind, DR_CHANGE_RENAMED);
    assert_string_equal(c.v[0].path.s, "twice");
    assert_int_equal(c.n_refused, 5);
    assert_false(c.incomplete);
    dr_changes_fini(&c);
    assert_int_equal(dr_history_changes(&c, h, hex_of(&first), hex_of(&fourth), NULL), DR_OK);
    assert_true(c.incomplete);
    assert_int_equal(c.n, 4);
    assert_string_equal(c.v[3].path.s, "cut/ok");
    dr_changes_fini(&c);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

/* Sixteen trees, each naming the next one many times over, make billions of folders. */
static void history_changes__of_a_tree_bomb_end(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), true);
    git_oid tree = write_blob(git, "x\n", 2);
    const raw_entry leaf = {"100644", "x", tree};
    const git_oid plain = commit_tree(git, tree = write_raw_tree(git, &leaf, 1));
    for (int i = 0; i < 16; i++) {
        raw_entry e[16];
        char names[16][2];
        for (int k = 0; k < 16; k++) {
            names[k][0] = (char)('a' + k);
            names[k][1] = 0;
            e[k] = (raw_entry){"40000", names[k], tree};
        }
        tree = write_raw_tree(git, e, 16);
    }
    const git_oid bomb = commit_tree(git, tree);
    dr_repo *r = open_commit(&w, hex_of(&plain));
    dr_history *h = history_of(r);
    dr_changes c;
    assert_int_equal(dr_history_changes(&c, h, hex_of(&plain), hex_of(&bomb), NULL), DR_ERR_LIMIT);
    dr_changes_fini(&c);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

/* A thousand folders in one another: past the longest path nothing is looked at, and the stack holds. */
static void history_changes__of_very_deep_folders(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), true);
    const git_oid blob = write_blob(git, "x\n", 2);
    const raw_entry leaf = {"100644", "x", blob};
    git_oid tree = write_raw_tree(git, &leaf, 1);
    const git_oid plain = commit_tree(git, tree);
    for (int i = 0; i < 20000; i++) {
        const raw_entry up = {"40000", "d", tree};
        tree = write_raw_tree(git, &up, 1);
    }
    const git_oid deep = commit_tree(git, tree);
    dr_repo *r = open_commit(&w, hex_of(&plain));
    dr_history *h = history_of(r);
    dr_changes c;
    assert_int_equal(dr_history_changes(&c, h, hex_of(&plain), hex_of(&deep), NULL), DR_OK);
    assert_true(c.incomplete);
    assert_int_equal(c.n, 1);
    dr_changes_fini(&c);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

/* ---- commits ---- */

static git_oid raw_commit(git_repository *git, const char *text)
{
    git_odb *odb = NULL;
    git_oid id;
    assert_int_equal(git_repository_odb(&odb, git), 0);
    assert_int_equal(git_odb_write(&id, odb, text, strlen(text), GIT_OBJECT_COMMIT), 0);
    git_odb_free(odb);
    return id;
}

static void history_commit__tells_parents_time_and_subject(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    write_text(in(&w, "r/a"), "a\n");
    const git_oid first = commit_all(git, "  Add a\tfile\n\nBody.\n");
    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    dr_commit_info c;
    assert_int_equal(dr_history_commit(&c, h, hex_of(&first), NULL), DR_OK);
    assert_string_equal(c.subject, "Add a file");
    assert_string_equal(c.parent, "");
    assert_int_equal(c.n_parents, 0);
    assert_int_equal(c.time, 1700000000);

    char text[1024];
    const char *tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    (void)snprintf(text, sizeof text,
                   "tree %s\nparent %s\nparent %s\nauthor A <a@b> 5 +0000\ncommitter C> x <a@b> 1234567890 -0700\n"
                   "gpgsig fake\n committer no <a@b> 7 +0000\n\n\n\nA \x1b[31m red \xff subject",
                   tree, hex_of(&first), tree);
    git_oid id = raw_commit(git, text);
    assert_int_equal(dr_history_commit(&c, h, hex_of(&id), NULL), DR_OK);
    assert_int_equal(c.n_parents, 2);
    assert_string_equal(c.parent, hex_of(&first));
    assert_int_equal(c.time, 1234567890);
    assert_string_equal(c.subject, "A \xef\xbf\xbd[31m red \xef\xbf\xbd subject");

    (void)snprintf(text, sizeof text, "tree %s\ncommitter nobody\n\n", tree);
    id = raw_commit(git, text);
    assert_int_equal(dr_history_commit(&c, h, hex_of(&id), NULL), DR_OK);
    assert_int_equal(c.time, 0);
    assert_string_equal(c.subject, "");
    (void)snprintf(text, sizeof text, "tree %s\ncommitter X <> 99999999999999999999999999 +0000", tree);
    id = raw_commit(git, text);
    assert_int_equal(dr_history_commit(&c, h, hex_of(&id), NULL), DR_OK);
    assert_true(c.time > 0);

    static const char *const damaged[] = {"", "tree", "tree 12\n", "parent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n",
                                          "tree 4b825dc642cb6eb9a060e54bf8d69288fbee490x\n\nx"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        id = raw_commit(git, damaged[i]);
        assert_int_equal(dr_history_commit(&c, h, hex_of(&id), NULL), DR_ERR_FORMAT);
    }
    assert_int_equal(dr_history_commit(&c, h, "", NULL), DR_ERR_NOT_FOUND);
    assert_int_equal(dr_history_commit(&c, h, tree, NULL), DR_ERR_NOT_FOUND);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

static void history_chain__goes_by_first_parents(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    git_oid id[6];
    char text[512];
    for (int i = 0; i < 5; i++) {
        write_text(in(&w, "r/a"), (const char *const[]){"0\n", "1\n", "2\n", "3\n", "4\n"}[i]);
        id[i] = commit_all(git, "step");
    }
    /* A merge whose first parent is 1 and whose second is 4. */
    (void)snprintf(text, sizeof text,
                   "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent %s\nparent %s\nauthor A <a> 5 +0000\n"
                   "committer A <a> 5 +0000\n\nMerge\n",
                   hex_of(&id[1]), hex_of(&id[4]));
    id[5] = raw_commit(git, text);
    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    dr_chain c;
    assert_int_equal(dr_history_chain(&c, h, hex_of(&id[1]), hex_of(&id[4]), 10, NULL), DR_OK);
    assert_true(c.found && !c.cut_off);
    assert_int_equal(c.n, 3);
    assert_string_equal(c.commits[0], hex_of(&id[2]));
    assert_string_equal(c.commits[2], hex_of(&id[4]));
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, hex_of(&id[1]), hex_of(&id[4]), 3, NULL), DR_OK);
    assert_true(c.found);
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, hex_of(&id[1]), hex_of(&id[4]), 2, NULL), DR_OK);
    assert_false(c.found);
    assert_int_equal(c.n, 0);
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, hex_of(&id[4]), hex_of(&id[4]), 0, NULL), DR_OK);
    assert_true(c.found);
    assert_int_equal(c.n, 0);
    dr_chain_fini(&c);
    /* The second parent's side is not on the chain of a merge. */
    assert_int_equal(dr_history_chain(&c, h, hex_of(&id[3]), hex_of(&id[5]), 10, NULL), DR_OK);
    assert_false(c.found || c.cut_off);
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, "", hex_of(&id[5]), 10, NULL), DR_OK);
    assert_int_equal(c.n, 3);
    assert_string_equal(c.commits[0], hex_of(&id[0]));
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, "", hex_of(&id[4]), 2, NULL), DR_OK);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.commits[0], hex_of(&id[3]));
    dr_chain_fini(&c);

    /* Shallow: the parent of the oldest one is not there. */
    (void)snprintf(text, sizeof text,
                   "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 5555555555555555555555555555555555555555\n"
                   "author A <a> 5 +0000\ncommitter A <a> 5 +0000\n\nshallow\n");
    const git_oid shallow = raw_commit(git, text);
    assert_int_equal(dr_history_chain(&c, h, hex_of(&id[0]), hex_of(&shallow), 10, NULL), DR_OK);
    assert_true(c.cut_off && !c.found);
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, "", hex_of(&shallow), 10, NULL), DR_OK);
    assert_true(c.cut_off && c.found);
    assert_int_equal(c.n, 1);
    dr_chain_fini(&c);
    assert_int_equal(dr_history_chain(&c, h, "", "5555555555555555555555555555555555555555", 10, NULL), DR_ERR_NOT_FOUND);
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

static void expect_order(const dr_repo *r, dr_history *h, size_t max_commits, const char *want)
{
    uint32_t order[16];
    dr_buf got = {0};
    assert_true(dr_repo_n_files(r) <= 16);
    assert_int_equal(dr_history_order(order, h, NULL, max_commits, NULL), DR_OK);
    for (size_t i = 0; i < dr_repo_n_files(r); i++)
        dr_buf_printf(&got, "%s%s", i ? " " : "", dr_repo_file_at(r, order[i])->path.s);
    assert_string_equal(got.data, want);
    dr_buf_free(&got);
}

static void history_order__least_recently_changed_first(void **arg)
{
    (void)arg;
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    write_text(in(&w, "r/d/old"), "1\n");
    write_text(in(&w, "r/d/hot"), "1\n");
    write_text(in(&w, "r/e/older"), "1\n");
    write_text(in(&w, "r/z"), "1\n");
    (void)commit_all(git, "one");
    write_text(in(&w, "r/z"), "2\n");
    (void)commit_all(git, "two");
    write_text(in(&w, "r/d/hot"), "2\n");
    write_text(in(&w, "r/b"), "1\n");
    (void)commit_all(git, "three");
    write_text(in(&w, "r/d/hot"), "3\n");
    assert_int_equal(unlink(in(&w, "r/b")), 0);
    write_text(in(&w, "r/a"), "1\n");
    (void)commit_all(git, "four");

    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    expect_order(r, h, 100, "d/old e/older z a d/hot");
    expect_order(r, h, 3, "d/old e/older z a d/hot"); /* the same: not seen comes first */
    expect_order(r, h, 2, "d/old e/older z a d/hot");
    expect_order(r, h, 0, "a d/hot d/old e/older z");
    dr_history_close(h);
    dr_repo_close(r);

    /* The working tree has a file that no commit has. */
    write_text(in(&w, "r/y"), "new\n");
    r = open_commit(&w, NULL);
    h = history_of(r);
    expect_order(r, h, 100, "y d/old e/older z a d/hot");
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

static void history_open__wants_git(void **arg)
{
    (void)arg;
    world w = world_begin();
    write_text(in(&w, "plain/a"), "a\n");
    dr_repo *r = open_ok(in(&w, "plain"), NULL);
    dr_history *h = NULL;
    assert_int_equal(dr_history_open(&h, r, NULL), DR_ERR_NOT_FOUND);
    dr_repo_close(r);

    git_repository *git = new_repo(in(&w, "r"), false); /* no commit yet */
    write_text(in(&w, "r/b"), "b\n");
    write_text(in(&w, "r/a"), "a\n");
    r = open_ok(in(&w, "r"), NULL);
    h = history_of(r);
    char hex[41];
    assert_int_equal(dr_history_resolve(hex, h, "HEAD", NULL), DR_ERR_NOT_FOUND);
    expect_order(r, h, 10, "a b");
    dr_history_close(h);
    dr_repo_close(r);
    git_repository_free(git);
    world_end(&w);
}

/* ---- against git ---- */

static void run_git(const world *w, const char *rest)
{
    dr_buf command = {0};
    dr_buf_printf(&command, "cd '%s' && git -c core.quotePath=false %s", w->path, rest);
    const int rc = system(command.data);
    if (!WIFEXITED(rc) || WEXITSTATUS(rc) != 0)
        fail_msg("%s", command.data);
    dr_buf_free(&command);
}

static void expect_same_as_git(const world *w, dr_history *h, const char *from, const char *to)
{
    dr_buf command = {0}, want = {0};
    dr_changes c;
    dr_buf_printf(&command, "-C r diff-tree -r --raw --no-abbrev --no-renames %s %s > out", *from ? from : "4b825dc642cb6eb9a060e54bf8d69288fbee4904", to);
    run_git(w, command.data);
    assert_int_equal(dr_read_file(&want, in(w, "out"), 1 << 24, NULL), DR_OK);
    assert_int_equal(dr_history_changes(&c, h, from, to, NULL), DR_OK);
    /* Renames taken apart again, by path. */
    char **lines = calloc(2 * c.n + 1, sizeof *lines);
    size_t n = 0;
    for (size_t i = 0; i < c.n; i++) {
        const dr_change *x = &c.v[i];
        char old[41], new[41];
        git_oid id;
        memcpy(id.id, x->old_id, 20);
        git_oid_tostr(old, 41, &id);
        memcpy(id.id, x->new_id, 20);
        git_oid_tostr(new, 41, &id);
        const char *zero = "0000000000000000000000000000000000000000";
        if (x->kind == DR_CHANGE_RENAMED) {
            assert_true(asprintf(&lines[n++], "%s\t%s %s D", x->old_path.s, old, zero) > 0);
            assert_true(asprintf(&lines[n++], "%s\t%s %s A", x->path.s, zero, new) > 0);
        } else {
            assert_true(asprintf(&lines[n++], "%s\t%s %s %c", x->path.s, old, new, "ADM"[x->kind]) > 0);
        }
    }
    size_t n_git = 0;
    for (char *p = want.data, *end; p && *p; p = end + 1) {
        /* ":MODE MODE OLD NEW S\tPATH" */
        char line[1024];
        assert_non_null(end = strchr(p, '\n'));
        *end = 0;
        char *tab = strchr(p, '\t');
        assert_non_null(tab);
        const char status = tab[-1] == 'T' ? 'M' : tab[-1];
        tab[-1] = 0;
        (void)snprintf(line, sizeof line, "%s\t%.81s %c", tab + 1, p + 15, status);
        if (status == 'M' && memcmp(p + 15, p + 15 + 41, 40) == 0)
            continue; /* only a mode */
        size_t i = 0;
        while (i < n && (!lines[i] || strcmp(lines[i], line) != 0))
            i++;
        if (i == n)
            fail_msg("%s..%s: git says %s", from, to, line);
        free(lines[i]);
        lines[i] = NULL;
        n_git++;
    }
    assert_int_equal(n_git, n);
    free(lines);
    dr_changes_fini(&c);
    dr_buf_free(&command);
    dr_buf_free(&want);
}

static uint64_t state = 7;

static uint32_t below(uint32_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

/* A seeded history with folders, moves, merges, links; every neighbouring pair and some far apart, against diff-tree, and
 * the first-parent list against rev-list. */
static void history__is_what_git_says(void **arg)
{
    (void)arg;
    if (system("git --version >/dev/null 2>&1") != 0) {
        print_message("skipped: git is not here\n");
        skip();
    }
    world w = world_begin();
    git_repository *git = new_repo(in(&w, "r"), false);
    static const char *const names[] = {"a", "a.c", "a-b/x", "a/x", "a/y/z", "b/\xc3\xa9", "b/x", "lib/q.c", "lib.c", "z/1/2/3"};
    enum { N_NAMES = sizeof names / sizeof *names, N_COMMITS = 40 };
    for (int i = 0; i < N_COMMITS; i++) {
        char path[64], text[32];
        for (uint32_t k = 0, n = 1 + below(4); k < n; k++) {
            const char *name = names[below(N_NAMES)];
            (void)snprintf(path, sizeof path, "r/%s", name);
            (void)snprintf(text, sizeof text, "%u\n", below(6)); /* few contents, so that moves happen */
            dr_buf command = {0};
            dr_buf_printf(&command, "cd '%s/r' && rm -rf '%s'", w.path, name);
            /* "a" and "a/x" cannot both be. */
            if (strncmp(name, "a/", 2) == 0)
                dr_buf_str(&command, " && { [ -d a ] || rm -rf a; }");
            assert_int_equal(system(command.data), 0);
            dr_buf_free(&command);
            if (below(4) == 0)
                continue;
            if (below(8) == 0 && !strchr(name, '/'))
                assert_int_equal(symlink("lib.c", in(&w, path)), 0);
            else
                write_text(in(&w, path), text);
        }
        run_git(&w, "-C r add -A && git -C r -c user.name=T -c user.email=t@e -c commit.gpgsign=false commit -q --allow-empty -m step");
        if (i % 10 == 5)
            run_git(&w, "-C r branch -q side");
        if (i % 10 == 9) {
            run_git(&w, "-C r -c user.name=T -c user.email=t@e merge -q -s ours --no-ff -m merge side; git -C r branch -q -D side");
        }
    }
    run_git(&w, "-C r rev-list --first-parent --reverse HEAD > list");
    dr_buf list = {0};
    assert_int_equal(dr_read_file(&list, in(&w, "list"), 1 << 20, NULL), DR_OK);
    dr_repo *r = open_commit(&w, "HEAD");
    dr_history *h = history_of(r);
    dr_chain c;
    assert_int_equal(dr_history_chain(&c, h, "", dr_repo_identity(r)->commit, 1000, NULL), DR_OK);
    assert_int_equal(c.n * 41, list.n);
    for (size_t i = 0; i < c.n; i++) {
        assert_memory_equal(c.commits[i], list.data + 41 * i, 40);
        expect_same_as_git(&w, h, i ? c.commits[i - 1] : "", c.commits[i]);
        if (i % 7 == 0)
            expect_same_as_git(&w, h, c.commits[below((uint32_t)c.n)], c.commits[i]);
    }
    dr_chain_fini(&c);
    dr_history_close(h);
    dr_repo_close(r);

    /* A shallow clone has the same newest commits and says where it ends. */
    run_git(&w, "clone -q --depth 5 \"file://$PWD/r\" shallow 2>/dev/null");
    r = open_ok(in(&w, "shallow"), &(dr_repo_options){.rev = "HEAD"});
    h = history_of(r);
    assert_int_equal(dr_history_chain(&c, h, "", dr_repo_identity(r)->commit, 1000, NULL), DR_OK);
    assert_int_equal(c.n, 5);
    assert_true(c.cut_off);
    assert_memory_equal(c.commits[4], list.data + list.n - 41, 40);
    uint32_t *order = calloc(dr_repo_n_files(r) + 1, sizeof *order);
    assert_int_equal(dr_history_order(order, h, NULL, 100, NULL), DR_OK);
    free(order);
    dr_chain_fini(&c);
    dr_history_close(h);
    dr_repo_close(r);
    dr_buf_free(&list);
    git_repository_free(git);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_changes__of_every_kind),
        cmocka_unit_test(history_changes__renames_are_one_to_one),
        cmocka_unit_test(history_changes__of_submodules_and_modes),
        cmocka_unit_test(history_changes__of_hostile_trees),
        cmocka_unit_test(history_changes__of_a_tree_bomb_end),
        cmocka_unit_test(history_changes__of_very_deep_folders),
        cmocka_unit_test(history_commit__tells_parents_time_and_subject),
        cmocka_unit_test(history_chain__goes_by_first_parents),
        cmocka_unit_test(history_order__least_recently_changed_first),
        cmocka_unit_test(history_open__wants_git),
        cmocka_unit_test(history__is_what_git_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
