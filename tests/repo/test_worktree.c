#include "tests/repo/git_oracle.h"

#include "repo/stat_cache.h"

#include <fcntl.h>
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

static const char *random_content(const char *path, dice *d, size_t *n)
{
    static const char *const contents[] = {"one\n", "two\n", "one\r\ntwo\r\n", "a\rb\r\n", "long\nlines\r\n", "", "x"};
    const uint32_t k = roll(d, 8);
    if (strstr(path, ".wide")) { /* git refuses what is not in the encoding */
        *n = 2 * roll(d, 4);
        return "h\0\r\0\n\0";
    }
    if (k == 7) {
        *n = 4;
        return "a\0\r\n";
    }
    *n = strlen(contents[k]);
    return contents[k];
}

static void random_path(char out[200], dice *d)
{
    static const char *const ends[] = {"", ".txt", ".bat", ".auto", ".wide", ".o", ".raw"};
    (void)snprintf(out, 200, "p");
    for (uint32_t depth = roll(d, 3); depth > 0; depth--) {
        const size_t n = strlen(out);
        (void)snprintf(out + n, 200 - n, "/%s", random_name(d));
    }
    const size_t n = strlen(out);
    (void)snprintf(out + n, 200 - n, "/%s%s", random_name(d), ends[roll(d, 7)]);
}

/* Writes unless a file stands where a folder is needed, or the other way round. */
static void put(const world *w, const char *path, const char *text, size_t n)
{
    char part[200];
    struct stat sb;
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = part; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        if (lstat(in(w, part), &sb) == 0 && !S_ISDIR(sb.st_mode))
            return;
    }
    if (lstat(in(w, path), &sb) == 0 && !S_ISREG(sb.st_mode))
        return;
    write_file(in(w, path), text, n);
}

/* What git would commit of the working tree, from an index of its own. */
static void check(const world *w, int round, const dr_repo *r)
{
    dr_buf said = {0};
    size_t n = 0;
    git_says(&said, w, "p", "config core.safecrlf false && cp .git/index ../other.index", DR_STR(""), 0);
    assert_int_equal(setenv("GIT_INDEX_FILE", in(w, "other.index"), 1), 0);
    git_says(&said, w, "p", "add -A", DR_STR(""), 0);
    git_says(&said, w, "p", "ls-files -s -z", DR_STR(""), 0);
    assert_int_equal(unsetenv("GIT_INDEX_FILE"), 0);
    for (const char *at = said.data, *end = at + said.n; at < end; at += strlen(at) + 1, n++) {
        char hex[41] = "";
        const char *path = strchr(at, '\t') + 1;
        const dr_repo_file *f = file_named(r, path);
        git_oid id;
        if (!f)
            fail_msg("round %d: git has %s, we have not", round, path);
        memcpy(id.id, f->id, 20);
        git_oid_tostr(hex, sizeof hex, &id);
        if (strncmp(hex, at + 7, 40) != 0)
            fail_msg("round %d: %s: git says %.40s, we say %s", round, path, at + 7, hex);
        assert_int_equal(f->cls == DR_FILE_SYMLINK, strncmp(at, "120000", 6) == 0);
    }
    if (n != dr_repo_n_files(r)) {
        for (size_t i = 0; i < dr_repo_n_files(r); i++)
            print_message("  ours: %s\n", dr_repo_file_at(r, i)->path.s);
        fail_msg("round %d: git has %zu files, we have %zu", round, n, dr_repo_n_files(r));
    }
    /* What is dirty reads back, too: through the same changes. */
    for (size_t i = 0; i < dr_repo_n_files(r); i++) {
        dr_buf text = {0};
        dr_error err = {0};
        if (dr_repo_is_text(dr_repo_file_at(r, i)) && dr_repo_read(r, i, &text, &err) != DR_OK)
            fail_msg("round %d: %s", round, err.msg);
        dr_buf_free(&text);
    }
    dr_buf_free(&said);
}

static void random_changes__as_git_would_commit_them(void **state)
{
    enum { ROUNDS = 25 };
    dice d = {0x853c49e6748fea9b};
    dr_buf said = {0};
    size_t n_dirty = 0;
    (void)state;

    if (!git_is_here()) {
        print_message("skipped: git is not installed\n");
        skip();
    }
    for (int round = 0; round < ROUNDS; round++) {
        world w = world_begin();
        char path[200];
        size_t n;
        git_repository_free(new_repo(in(&w, "p"), false));
        write_text(in(&w, "p/.gitattributes"),
                   "*.txt text\n*.bat eol=crlf\n*.auto text=auto\n*.wide working-tree-encoding=UTF-16LE\n"
                   "*.raw -text\n");
        write_text(in(&w, "p/.gitignore"), roll(&d, 2) ? "*.o\n/foo/\n!keep.o\n" : "ab\n*.raw\n");
        if (roll(&d, 3) == 0)
            git_says(&said, &w, "p", "config core.autocrlf input", DR_STR(""), 0);
        for (int i = 0; i < 30; i++) {
            random_path(path, &d);
            const char *text = random_content(path, &d, &n);
            put(&w, path, text, n);
        }
        git_says(&said, &w, "p", roll(&d, 2) ? "add -A" : "add -f .", DR_STR(""), 0);
        git_says(&said, &w, "p", "-c user.name=t -c user.email=t@e.org commit -q -m one", DR_STR(""), 0);
        for (int i = 0; i < 15; i++) {
            struct stat sb;
            random_path(path, &d);
            const bool there = lstat(in(&w, path), &sb) == 0 && S_ISREG(sb.st_mode);
            switch (roll(&d, 5)) {
            case 0: (void)unlink(in(&w, path)); break;
            case 1:
                if (there && unlink(in(&w, path)) == 0)
                    assert_int_equal(symlink("a", in(&w, path)), 0);
                break;
            default: {
                const char *text = random_content(path, &d, &n);
                put(&w, path, text, n);
            }
            }
            if (roll(&d, 5) == 0)
                git_says(&said, &w, "p", "add -A", DR_STR(""), 0);
        }
        dr_repo *r = open_ok(in(&w, "p"), NULL);
        check(&w, round, r);
        n_dirty += dr_repo_identity(r)->n_dirty;
        dr_repo_close(r);
        world_end(&w);
    }
    print_message("%zu dirty files\n", n_dirty);
    assert_true(n_dirty > ROUNDS);
    dr_buf_free(&said);
}

static void line_ends_and_encodings__do_not_make_a_file_dirty(void **state)
{
    world w = world_begin();
    dr_buf text = {0};
    size_t i;
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    static const char attributes[] = "*.bat eol=crlf\n*.w working-tree-encoding=UTF-16LE\n";
    const raw_entry files[] = {{"100644", ".gitattributes", write_blob(g, attributes, sizeof attributes - 1)},
                               {"100644", "a.bat", write_blob(g, "echo\nexit\n", 10)},
                               {"100644", "b.w", write_blob(g, "hi\n", 3)},
                               {"100644", "c.bat", write_blob(g, "x\n", 2)}};
    (void)commit_tree(g, write_raw_tree(g, files, 4));
    write_text(in(&w, "p/.gitattributes"), attributes);
    write_text(in(&w, "p/a.bat"), "echo\r\nexit\r\n");
    write_file(in(&w, "p/b.w"), "h\0i\0\n\0", 6);
    write_text(in(&w, "p/c.bat"), "changed\r\ntwice\r\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL); /* without an index: everything is read */
    assert_false(file_named(r, "a.bat")->dirty);
    assert_false(file_named(r, "b.w")->dirty);
    assert_true(file_named(r, "c.bat")->dirty);
    assert_int_equal(dr_repo_identity(r)->n_dirty, 1);
    assert_true(dr_repo_find(r, DR_STR("c.bat"), &i));
    assert_int_equal(dr_repo_read(r, i, &text, NULL), DR_OK);
    assert_string_equal(text.data, "changed\ntwice\n");
    dr_repo_close(r);
    dr_buf_free(&text);
    git_repository_free(g);
    world_end(&w);
}

/* git guesses by what it has: a file that was committed with CRLF keeps them. */
static void guessed_line_ends__ask_the_index(void **state)
{
    world w = world_begin();
    dr_buf text = {0};
    size_t i;
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    const raw_entry files[] = {{"100644", ".gitattributes", write_blob(g, "* text=auto\n", 12)},
                               {"100644", "dos", write_blob(g, "a\r\n", 3)},
                               {"100644", "unix", write_blob(g, "a\n", 2)}};
    const git_oid tree_id = write_raw_tree(g, files, 3);
    (void)commit_tree(g, tree_id);
    git_tree *tree = NULL;
    git_index *index = NULL;
    assert_int_equal(git_tree_lookup(&tree, g, &tree_id), 0);
    assert_int_equal(git_repository_index(&index, g), 0);
    assert_int_equal(git_index_read_tree(index, tree), 0);
    assert_int_equal(git_index_write(index), 0);
    git_index_free(index);
    git_tree_free(tree);
    write_text(in(&w, "p/.gitattributes"), "* text=auto\n");
    write_text(in(&w, "p/dos"), "a\r\nb\r\n");
    write_text(in(&w, "p/unix"), "a\r\nb\r\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_true(dr_repo_find(r, DR_STR("dos"), &i));
    assert_int_equal(dr_repo_read(r, i, &text, NULL), DR_OK);
    assert_string_equal(text.data, "a\r\nb\r\n");
    assert_true(dr_repo_find(r, DR_STR("unix"), &i));
    assert_int_equal(dr_repo_read(r, i, &text, NULL), DR_OK);
    assert_string_equal(text.data, "a\nb\n");
    dr_repo_close(r);
    dr_buf_free(&text);
    git_repository_free(g);
    world_end(&w);
}

/* 1: there and this text; 0: cannot be read. */
static int reads(dr_status read(const dr_repo *, size_t, dr_buf *, dr_error *), const dr_repo *r, const char *path, const char *text)
{
    dr_buf got = {0};
    size_t i;
    assert_true(dr_repo_find(r, dr_str_of(path), &i));
    const bool ok = read(r, i, &got, NULL) == DR_OK;
    if (ok)
        assert_string_equal(got.data, text);
    dr_buf_free(&got);
    return ok;
}

/* The object database is emptied behind a snapshot: what can still be read came from disk. */
static void unchanged_files__are_read_from_disk(void **state)
{
    world w = world_begin();
    memory_store store;
    dr_buf said = {0};
    (void)state;
    memory_store_init(&store);
    const dr_repo_options opt = {.store = &store.store};
    write_text(in(&w, "p/.gitattributes"), "filtered.c filter=mine\n");
    write_text(in(&w, "p/a.c"), "int a;\n");
    write_text(in(&w, "p/b.c"), "int b;\n");
    write_text(in(&w, "p/filtered.c"), "int f;\n");
    git_says(&said, &w, "p", "init -q . && git add -A && git -c user.name=n -c user.email=e commit -q -m c", DR_STR(""), 0);
    dr_repo_close(open_ok(in(&w, "p"), &opt));
    write_text(in(&w, "p/new.c"), "int n;\n");
    assert_int_equal(sleep(3), 0); /* what was written less than two seconds ago may be written once more unseen */
    git_says(&said, &w, "p", "update-index --refresh -q", DR_STR(""), 0);
    write_text(in(&w, "p/late.c"), "int l;\n");
    dr_repo *r = open_ok(in(&w, "p"), &opt);
    git_says(&said, &w, "p", "count-objects && rm -rf .git/objects/??", DR_STR(""), 0);
    assert_true(reads(dr_repo_read, r, "a.c", "int a;\n"));
    assert_false(reads(dr_repo_read_exact, r, "a.c", ""));
    assert_false(reads(dr_repo_read, r, "filtered.c", "")); /* who knows what the filter did */
    assert_true(reads(dr_repo_read, r, "new.c", "int n;\n"));
    assert_true(reads(dr_repo_read, r, "late.c", "int l;\n"));
    write_text(in(&w, "p/a.c"), "int x;\n");
    write_text(in(&w, "p/new.c"), "int m;\n");
    write_text(in(&w, "p/late.c"), "int k;\n");
    assert_false(reads(dr_repo_read, r, "a.c", ""));
    assert_false(reads(dr_repo_read, r, "new.c", ""));
    assert_false(reads(dr_repo_read, r, "late.c", ""));
    assert_int_equal(remove(in(&w, "p/b.c")), 0);
    assert_int_equal(symlink("a.c", in(&w, "p/b.c")), 0);
    assert_false(reads(dr_repo_read, r, "b.c", ""));
    dr_repo_close(r);
    memory_store_fini(&store);
    dr_buf_free(&said);
    world_end(&w);
}

/* An index that says of changed bytes, with their very times, that they are the old ones: believed when it was written
 * later than the file, because then git would have seen the change. */
static void racily_clean__is_read(void **state)
{
    world w = world_begin();
    struct stat sb;
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    write_text(in(&w, "p/a.c"), "int a;\n");
    (void)commit_all(g, "one");
    write_text(in(&w, "p/a.c"), "int b;\n");
    assert_int_equal(stat(in(&w, "p/a.c"), &sb), 0);
    git_index *index = NULL;
    assert_int_equal(git_repository_index(&index, g), 0);
    const git_oid old = write_blob(g, "int a;\n", 7);
    const git_index_entry e = {.mode = 0100644,
                               .path = "a.c",
                               .id = old,
                               .file_size = (uint32_t)sb.st_size,
                               .ino = (uint32_t)sb.st_ino,
                               .mtime = {(int32_t)sb.st_mtim.tv_sec, (uint32_t)sb.st_mtim.tv_nsec},
                               .ctime = {(int32_t)sb.st_ctim.tv_sec, (uint32_t)sb.st_ctim.tv_nsec}};
    assert_int_equal(git_index_add(index, &e), 0);
    /* Written with a time of its own first: libgit2 forgets the size of an entry as new as the index. */
    assert_int_equal(git_index_write(index), 0);
    git_index_free(index);
    struct timespec times[2] = {sb.st_mtim, sb.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, in(&w, "p/.git/index"), times, 0), 0);
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_true(file_named(r, "a.c")->dirty);
    dr_repo_close(r);
    times[0].tv_sec = times[1].tv_sec += 10;
    assert_int_equal(utimensat(AT_FDCWD, in(&w, "p/.git/index"), times, 0), 0);
    r = open_ok(in(&w, "p"), NULL);
    const bool believed = !file_named(r, "a.c")->dirty;
    dr_repo_close(r);
    if (!believed)
        print_message("libgit2 forgot the entry's size\n");
    git_repository_free(g);
    world_end(&w);
}

/* A tree in conflict, and one whose index is not one: the disk is the truth. */
static void conflicts_and_damaged_index(void **state)
{
    world w = world_begin();
    (void)state;
    git_repository *g = new_repo(in(&w, "p"), false);
    write_text(in(&w, "p/a.c"), "int a;\n");
    write_text(in(&w, "p/b.c"), "int b;\n");
    (void)commit_all(g, "one");
    git_index *index = NULL;
    const git_oid blob = write_blob(g, "int c;\n", 7);
    git_index_entry e = {.mode = 0100644, .path = "a.c", .id = blob};
    assert_int_equal(git_repository_index(&index, g), 0);
    assert_int_equal(git_index_conflict_add(index, &e, &e, &e), 0);
    assert_int_equal(git_index_write(index), 0);
    git_index_free(index);
    write_text(in(&w, "p/a.c"), "<<<<<<<\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_repo_n_files(r), 2);
    assert_true(file_named(r, "a.c")->dirty);
    assert_false(file_named(r, "b.c")->dirty);
    dr_repo_close(r);
    write_text(in(&w, "p/.git/index"), "DIRC nonsense");
    r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_repo_n_files(r), 2);
    assert_true(file_named(r, "a.c")->dirty);
    assert_false(file_named(r, "b.c")->dirty);
    dr_repo_close(r);
    git_repository_free(g);
    world_end(&w);
}

/* Files that git was told not to check out are not deleted ones; the index may be one that cannot be read. */
static void sparse_checkouts__and_linked_worktrees(void **state)
{
    world w;
    dr_buf said = {0};
    (void)state;
    if (!git_is_here()) {
        print_message("skipped: git is not installed\n");
        skip();
    }
    w = world_begin();
    git_repository *g = new_repo(in(&w, "p"), false);
    write_text(in(&w, "p/a.c"), "int a;\n");
    write_text(in(&w, "p/in/b.c"), "int b;\n");
    write_text(in(&w, "p/out/c.c"), "int c;\n");
    (void)commit_all(g, "one");
    git_repository_free(g);
    static const char *const ways[] = {"sparse-checkout set --no-cone /in/",
                                       "sparse-checkout set --cone --sparse-index in"};
    for (size_t i = 0; i < 2; i++) {
        git_says(&said, &w, "p", ways[i], DR_STR(""), 0);
        assert_int_not_equal(access(in(&w, "p/out/c.c"), F_OK), 0);
        write_text(in(&w, "p/in/b.c"), i ? "int b;\n" : "int changed;\n");
        dr_repo *r = open_ok(in(&w, "p"), NULL);
        assert_int_equal(dr_repo_n_files(r), 3);
        assert_int_equal(dr_repo_identity(r)->n_dirty, i ? 0 : 1);
        dr_repo_close(r);
        write_text(in(&w, "p/in/b.c"), "int b;\n");
    }
    git_says(&said, &w, "p", "sparse-checkout disable", DR_STR(""), 0);
    git_says(&said, &w, "p", "update-index --split-index", DR_STR(""), 0);
    write_text(in(&w, "p/a.c"), "int split;\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_repo_n_files(r), 3);
    assert_int_equal(dr_repo_identity(r)->n_dirty, 1);
    dr_repo_close(r);
    git_says(&said, &w, "p", "worktree add -q --detach ../side", DR_STR(""), 0);
    write_text(in(&w, "side/new.c"), "int n;\n");
    r = open_ok(in(&w, "side"), NULL);
    assert_int_equal(dr_repo_n_files(r), 4); /* not its .git file */
    assert_int_equal(dr_repo_identity(r)->n_dirty, 1);
    dr_repo_close(r);
    dr_buf_free(&said);
    world_end(&w);
}

static void user_ignore_and_info_exclude(void **state)
{
    world w = world_begin();
    (void)state;
    write_text(in(&w, "user"), "*.mine\n*.log\n");
    write_text(in(&w, "p/.gitignore"), "!kept.log\n");
    write_text(in(&w, "p/sub/.deepreadignore"), "*.big\n!back.mine\n");
    write_text(in(&w, "p/a.mine"), "x");
    write_text(in(&w, "p/kept.log"), "x");
    write_text(in(&w, "p/lost.log"), "x");
    write_text(in(&w, "p/x.excluded"), "x");
    write_text(in(&w, "p/sub/a.big"), "x");
    write_text(in(&w, "p/sub/back.mine"), "x");
    dr_repo *r = open_ok(in(&w, "p"), &(dr_repo_options){.user_ignore = in(&w, "user")}); /* a folder outside git */
    assert_null(file_named(r, "a.mine"));
    assert_non_null(file_named(r, "kept.log"));
    assert_null(file_named(r, "lost.log"));
    assert_null(file_named(r, "sub/a.big"));
    assert_non_null(file_named(r, "sub/back.mine"));
    assert_non_null(file_named(r, "x.excluded"));
    dr_repo_close(r);
    git_repository_free(new_repo(in(&w, "p"), false));
    write_text(in(&w, "p/.git/info/exclude"), "*.excluded\n");
    r = open_ok(in(&w, "p"), &(dr_repo_options){.user_ignore = in(&w, "user")});
    assert_null(file_named(r, "a.mine"));
    assert_non_null(file_named(r, "kept.log"));
    assert_null(file_named(r, "x.excluded"));
    assert_non_null(file_named(r, "sub/back.mine"));
    dr_repo_close(r);
    r = open_ok(in(&w, "p"), &(dr_repo_options){.user_ignore = in(&w, "nowhere")});
    assert_non_null(file_named(r, "a.mine"));
    dr_repo_close(r);
    world_end(&w);
}

static void stat_cache__knows_what_has_not_changed(void **state)
{
    memory_store store;
    const uint8_t id[20] = {1, 2, 3};
    uint8_t got[20], done;
    struct stat old = {.st_dev = 1, .st_ino = 2, .st_size = 3, .st_mtim = {100, 5}, .st_ctim = {100, 6}}, other = old,
                fresh = old;
    (void)state;
    memory_store_init(&store);
    dr_stat_cache *c = dr_stat_cache__open(&store.store, DR_STR("/root"));
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("a"), &old, 0));
    dr_stat_cache__keep(c, DR_STR("a"), &old, 0, 7, id);
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    fresh.st_ctim = now; /* may change again within the same tick */
    dr_stat_cache__keep(c, DR_STR("fresh"), &fresh, 0, 0, id);
    dr_stat_cache__close(c, true);
    assert_int_equal(store.n_items, 1);

    c = dr_stat_cache__open(&store.store, DR_STR("/root"));
    assert_true(dr_stat_cache__find(c, got, &done, DR_STR("a"), &old, 0));
    assert_memory_equal(got, id, 20);
    assert_int_equal(done, 7);
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("fresh"), &fresh, 0));
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("b"), &old, 0));
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("a"), &old, 1));
    other.st_mtim.tv_nsec++;
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("a"), &other, 0));
    other = old;
    other.st_ctim.tv_sec++;
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("a"), &other, 0));
    other = old;
    other.st_ino++;
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("a"), &other, 0));
    dr_stat_cache__keep(c, DR_STR("a"), &old, 0, 7, id);
    dr_stat_cache__close(c, true);
    assert_int_equal(store.n_items, 1); /* nothing new, nothing stored */

    c = dr_stat_cache__open(&store.store, DR_STR("/elsewhere"));
    assert_false(dr_stat_cache__find(c, got, &done, DR_STR("a"), &old, 0));
    dr_stat_cache__close(c, true);
    memory_store_fini(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes__as_git_would_commit_them),
        cmocka_unit_test(line_ends_and_encodings__do_not_make_a_file_dirty),
        cmocka_unit_test(guessed_line_ends__ask_the_index),
        cmocka_unit_test(unchanged_files__are_read_from_disk),
        cmocka_unit_test(racily_clean__is_read),
        cmocka_unit_test(conflicts_and_damaged_index),
        cmocka_unit_test(sparse_checkouts__and_linked_worktrees),
        cmocka_unit_test(user_ignore_and_info_exclude),
        cmocka_unit_test(stat_cache__knows_what_has_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
