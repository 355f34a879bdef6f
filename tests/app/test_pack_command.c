/* `deepread pack` as a user runs it: what it shows, writes, explains and lists, and how it refuses. */
#include "tests/app/pack_world.h"
#include "tests/app/program.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pack_world p;

/* A key that no one has: made here, so that it stands in no file of this repository. */
static const char *made_key(void)
{
    static char key[24];
    (void)snprintf(key, sizeof key, "AK%s%s", "IAQ4ZT7XN2", "WVRB5KMC");
    return key;
}

static int set_up(void **state)
{
    (void)state;
    char text[200], at[400];
    pack_world_begin(&p);
    pack_world_fill(&p);
    (void)snprintf(text, sizeof text, "region = here\naws_access_key_id = %s\n", made_key());
    pack_world_write(&p, "deploy.conf", text);
    pack_world_write(&p, ".gitattributes", "*.pb.c linguist-generated\n");
    pack_world_write(&p, "src/wire.pb.c", "int wire;\n");
    pack_world_write(&p, ".gitignore", "*.o\n");
    (void)pack_world_commit(&p, "deploy");
    pack_world_write(&p, "src/list.o", "object\n");
    (void)snprintf(at, sizeof at, "%s/cache", p.w.path);
    if (setenv("XDG_CACHE_HOME", at, 1) != 0)
        return -1;
    (void)snprintf(at, sizeof at, "%s/config", p.w.path);
    return setenv("XDG_CONFIG_HOME", at, 1);
}

static int tear_down(void **state)
{
    (void)state;
    pack_world_end(&p);
    return 0;
}

/* In the world's folder. Both outputs come together. */
static run program(const char *arguments)
{
    return program_run(p.w.path, p.path, arguments, "2>&1");
}

static void expect(const char *arguments, int exit, const char *const *says, size_t n)
{
    run r = program(arguments);
    for (size_t i = 0; i < n; i++)
        if (!r.out.data || !strstr(r.out.data, says[i]))
            fail_msg("\"%s\" printed\n%s\nnot \"%s\"", arguments, r.out.data ? r.out.data : "", says[i]);
    if (r.exit != exit)
        fail_msg("\"%s\" ended with %d, not %d:\n%s", arguments, r.exit, exit, r.out.data ? r.out.data : "");
    dr_buf_free(&r.out);
}
#define EXPECT(arguments, exit, ...)                                                                                   \
    do {                                                                                                               \
        static const char *const says[] = {__VA_ARGS__};                                                               \
        expect(arguments, exit, says, sizeof says / sizeof *says);                                                     \
    } while (0)

static json_t *object(const char *arguments)
{
    run r = program(arguments);
    json_t *v = json_loads(r.out.data ? r.out.data : "", 0, NULL);
    if (!v || r.exit != 0)
        fail_msg("\"%s\" printed %s", arguments, r.out.data ? r.out.data : "");
    dr_buf_free(&r.out);
    return v;
}

static const char *text_of(const json_t *v, const char *key)
{
    const char *s = json_string_value(json_object_get(v, key));
    return s ? s : "";
}

static json_int_t number_of(const json_t *v, const char *key)
{
    return json_integer_value(json_object_get(v, key));
}

static void pack__shows_folders(void **state)
{
    (void)state;
    EXPECT("-C %R pack --mode full", 0, "tokens     files  folder\n", "  ./\n", "    src/\n", "largest files\n", " src/list.c\n",
           "not in whole\n", "pack \"full\", ", "base ", "1 secret masked in 1 file; --secrets lists them\n");
    EXPECT("-C %R pack --mode full --verbose", 0, "      list.h\n", "wire.pb.c  marked linguist-generated\n");
    EXPECT("-C %R -q pack --mode full --out pack.txt", 0, "");
    dr_buf text = {0};
    char at[400];
    (void)snprintf(at, sizeof at, "%s/pack.txt", p.w.path);
    assert_int_equal(dr_read_file(&text, at, 1 << 20, NULL), DR_OK);
    assert_non_null(strstr(text.data, "aws_access_key_id = [masked: "));
    assert_null(strstr(text.data, made_key()));
    run r = program("-C %R pack --mode full --out -");
    assert_string_equal(r.out.data, text.data);
    dr_buf_free(&r.out);
    dr_buf_free(&text);

    /* What a link leads to is written; the link stays. */
    char link_at[400], to[400];
    struct stat sb;
    (void)snprintf(link_at, sizeof link_at, "%s/link.txt", p.w.path);
    (void)snprintf(to, sizeof to, "%s/behind.txt", p.w.path);
    assert_int_equal(symlink(to, link_at), 0);
    EXPECT("-C %R -q pack --mode full --out link.txt", 0, "");
    assert_int_equal(lstat(link_at, &sb), 0);
    assert_true(S_ISLNK(sb.st_mode));
    assert_int_equal(dr_read_file(&text, to, 1 << 20, NULL), DR_OK);
    assert_non_null(strstr(text.data, "end of repository"));
    dr_buf_free(&text);

    EXPECT("-C %R pack --base HEAD", 2, "add --mode full");
}

static void pack__json(void **state)
{
    (void)state;
    json_t *v = object("-C %R --json pack --mode full --base HEAD~1");
    assert_string_equal(text_of(v, "type"), "pack");
    assert_string_equal(text_of(v, "mode"), "full");
    assert_string_equal(text_of(v, "base"), p.commits[3]);
    assert_int_equal(number_of(v, "secrets"), 1);
    assert_true(number_of(v, "base_tokens") > 0 && number_of(v, "base_tokens") < number_of(v, "tokens"));
    assert_int_equal(json_array_size(json_object_get(v, "overlay")), 1);
    assert_int_equal(strlen(text_of(v, "ids_sha256")), 64);
    json_decref(v);
    v = object("-C %R --json pack --mode full --base HEAD");
    bool generated = false;
    json_int_t n_in = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(v, "files")); i++) {
        const json_t *f = json_array_get(json_object_get(v, "files"), i);
        n_in += strcmp(text_of(f, "in"), "whole") == 0;
        generated |= strcmp(text_of(f, "path"), "src/wire.pb.c") == 0 && strcmp(text_of(f, "in"), "out") == 0 && *text_of(f, "why_out");
    }
    assert_true(generated);
    assert_int_equal(number_of(v, "files_in"), n_in);
    json_decref(v);
}

/* The same (c0, HEAD, tree state, options), the same digest. */
static void pack__same_everywhere(void **state)
{
    (void)state;
    char command[1600], first[65] = "";
    (void)snprintf(command, sizeof command, "cp -a '%s' '%s/another name'", p.path, p.w.path);
    assert_int_equal(system(command), 0);
    static const char *const ways[] = {
        "-C %R --no-cache --threads 1 --json pack --mode full --base HEAD~2",
        "-C %R --no-cache --threads 2 --json pack --mode full --base HEAD~2",
        "-C %R --threads 2 --json pack --mode full --base HEAD~2",
        "-C %R --threads 1 --json pack --mode full --base HEAD~2",
        "-C 'another name' --no-cache --threads 2 --json pack --mode full --base HEAD~2",
        "-C 'another name' --threads 1 --json pack --mode full --base HEAD~2",
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        json_t *v = object(ways[i]);
        if (i == 0)
            (void)snprintf(first, sizeof first, "%s", text_of(v, "ids_sha256"));
        assert_string_equal(text_of(v, "ids_sha256"), first);
        json_decref(v);
    }
}

static void pack__explains(void **state)
{
    (void)state;
    EXPECT("-C %R pack --mode full --explain src/list.c", 0, "src/list.c", "whole, ", "file in the base ");
    EXPECT("-C %R pack --mode full --base HEAD~4 --explain ./src/list.c", 0, "diff in the overlay, commit ");
    EXPECT("-C %R pack --mode full --explain src/wire.pb.c", 0, ".gitattributes:1", "out; ");
    EXPECT("-C %R pack --mode full --explain src/list.o", 0, ".gitignore:1");
    EXPECT("-C %R pack --mode full --explain src/wire.pb.c", 0, "is left to the tools, out of packs: text, generated by ");
    EXPECT("-C %R pack --mode full --explain nowhere", 0, "nowhere");
    EXPECT("-C %R/src pack --mode full --explain list.c", 0, "src/list.c is in: text");
    EXPECT("-C %R/src pack --mode full --explain ../src/./list.c", 0, "src/list.c is in: text");
    EXPECT("-C %R/src pack --mode full --explain src/list.c", 0, "src/list.c is in: text");
    EXPECT("-C %R/src pack --mode full --explain %R/COPYING", 0, "COPYING is in: text");
    EXPECT("-C %R/docs pack --mode full --explain ..", 0, ". is a folder: 10 files listed, 9 in.");
    EXPECT("-C %R/src pack --mode full --explain list.o", 0, "src/list.o is out: not tracked");

    EXPECT("-C %R/src tool read list.h 1", 0, "1\t");
    EXPECT("-C %R/src tool outline new.c", 0, ": ");

    /* Gone since the base, and still shown there. */
    pack_world_remove(&p, "COPYING");
    EXPECT("-C %R pack --mode full --explain COPYING", 0, "COPYING is out: there is no such file", "The pack still shows what was there",
           "file in the base ", "line in the overlay, working tree");
    pack_world_write(&p, "COPYING", "You may.\nYou must not.\n");

    /* A rules file that is not committed yet holds for the base too. */
    pack_world_write(&p, ".deepreadignore", "list.h\n");
    EXPECT("-C %R pack --mode full --explain src/list.h", 0, "taken out by .deepreadignore:1 `list.h`", "out; by .deepreadignore\n");
    run r = program("-C %R pack --mode full --out -");
    assert_null(strstr(r.out.data, "file src/list.h"));
    assert_null(strstr(r.out.data, "src/list.h"));
    assert_non_null(strstr(r.out.data, "added .deepreadignore lines 1"));
    dr_buf_free(&r.out);
    EXPECT("-C %R pack --mode full --base HEAD~2 --explain src/list.h", 0, "; by .deepreadignore now, in by the rules of the base\n",
           "file in the base ");
    pack_world_remove(&p, ".deepreadignore");
    json_t *v = object("-C %R --json pack --mode full --explain src/list.c");
    assert_string_equal(text_of(v, "type"), "explain");
    assert_string_equal(text_of(json_object_get(v, "pack"), "in"), "whole");
    json_decref(v);
}

static void pack__lists_and_allows_secrets(void **state)
{
    (void)state;
    EXPECT("-C %R pack --secrets", 0, "deploy.conf:2 aws access key ", "config/deepread/allowed-secrets");
    json_t *v = object("-C %R --json pack --secrets");
    const json_t *one = json_array_get(json_object_get(v, "secrets"), 0);
    char at[400], line[64];
    assert_int_equal(number_of(one, "line"), 2);
    (void)snprintf(line, sizeof line, "%s\n", text_of(one, "fingerprint"));
    (void)snprintf(at, sizeof at, "%s/config/deepread/allowed-secrets", p.w.path);
    write_text(at, line);
    run r = program("-C %R pack --mode full --out -");
    assert_non_null(strstr(r.out.data, made_key()));
    EXPECT("-C %R pack --secrets", 0, "nothing is masked here");
    assert_int_equal(remove(at), 0);
    dr_buf_free(&r.out);
    json_decref(v);
}

static void pack__between_commits(void **state)
{
    (void)state;
    EXPECT("-C %R pack --diff HEAD~4..HEAD~3", 0, "changed    src/list.c\n", "added      src/new.c\n", "2 files changed",
           "body  src/list.c:3: function list_size\n");
    EXPECT("-C %R pack --diff HEAD~2.. --out -", 0, "changes ", "rewritten docs/README.md lines 2\n", "end of repository");
    json_t *v = object("-C %R --json pack --diff HEAD~1..HEAD");
    assert_string_equal(text_of(v, "type"), "pack_diff");
    assert_string_equal(text_of(v, "to"), p.commits[4]);
    json_decref(v);
}

static void pack__takes_patterns(void **state)
{
    (void)state;
    EXPECT("-C %R pack --mode full --include 'src/*.c' --include COPYING --exclude new.c --out -", 0, "file src/list.c lines",
           "file COPYING lines");
    run r = program("-C %R pack --mode full --include 'src/*.c' --include COPYING --exclude new.c --out -");
    assert_null(strstr(r.out.data, "file src/new.c"));
    assert_null(strstr(r.out.data, "file src/list.h"));
    dr_buf_free(&r.out);
}

/* A pack written into the repository is not packed again: neither while it is new nor once it is committed. */
static void pack__leaves_out_packs(void **state)
{
    (void)state;
    static const char *const ways[] = {"-C %R -q pack --mode full --out repo/whole.txt", "-C %R -q pack --mode map --out repo/map.txt",
                                       "-C %R -q pack --diff HEAD~1..HEAD --out repo/diff.txt"};
    run before = program("-C %R pack --mode full --out -");
    for (size_t i = 0; i < 3; i++)
        EXPECT(ways[i], 0, "");
    run after = program("-C %R pack --mode full --out -");
    assert_string_equal(before.out.data, after.out.data);
    dr_buf_free(&after.out);
    EXPECT("-C %R pack --mode full --explain whole.txt", 0, "is out: a pack that this program wrote");
    pack_world_write(&p, ".gitattributes", "*.pb.c linguist-generated\ndiff.txt -linguist-generated\n");
    after = program("-C %R pack --mode full --out -");
    assert_non_null(strstr(after.out.data, "added diff.txt lines"));
    assert_null(strstr(after.out.data, "added map.txt lines"));
    pack_world_write(&p, ".gitattributes", "*.pb.c linguist-generated\n");
    pack_world_remove(&p, "whole.txt");
    pack_world_remove(&p, "map.txt");
    pack_world_remove(&p, "diff.txt");
    dr_buf_free(&before.out);
    dr_buf_free(&after.out);
}

static void pack__refuses(void **state)
{
    (void)state;
    EXPECT("-C %R pack --mode full --budget 100", 2, "at least 256 tokens; 0 is no limit");
    EXPECT("-C %R pack --mode full --base nope", 2, "nope");
    EXPECT("-C %R pack --diff HEAD", 2, "give two commits as A..B");
    EXPECT("-C %R pack --diff A...B", 2, "give two commits as A..B");
    EXPECT("-C %R pack --base HEAD --repack", 2, "exclude each other");
    EXPECT("-C %R pack --secrets --diff A..B", 2, "give one of");
    EXPECT("-C %R --json pack --out -", 2, "both want standard output");
    EXPECT("-C %R pack --out /nonexistent/pack.txt", 2, "/nonexistent");
    EXPECT("-C %R ask --base HEAD where", 2, "--base is about the base of a full pack: add --mode full");
    EXPECT("-C %R ask --mode half where", 2, "--mode half: give full, map or none");

    /* A .git that is none is said, and what is there is read all the same. */
    char at[400];
    (void)snprintf(at, sizeof at, "%s/bad/.git/config", p.w.path);
    write_text(at, "");
    EXPECT("-C bad pack", 0, "warning: ", "bad/.git is not a git repository");
    EXPECT("-C bad --json pack", 0, "warning: ", "\"commit\":\"\"");
    EXPECT("-C bad --rev HEAD pack", 2, "in a damaged one");

    /* Also when the command line itself cannot be read. */
    run r = program_run(p.w.path, p.path, "--json pack --nope", "2>/dev/null");
    json_t *v = json_loads(r.out.data, 0, NULL);
    assert_string_equal(text_of(v, "type"), "error");
    assert_non_null(strstr(text_of(v, "message"), "--nope"));
    assert_int_equal(r.exit, 2);
    json_decref(v);
    dr_buf_free(&r.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack__shows_folders),
        cmocka_unit_test(pack__json),
        cmocka_unit_test(pack__same_everywhere),
        cmocka_unit_test(pack__explains),
        cmocka_unit_test(pack__lists_and_allows_secrets),
        cmocka_unit_test(pack__between_commits),
        cmocka_unit_test(pack__takes_patterns),
        cmocka_unit_test(pack__leaves_out_packs),
        cmocka_unit_test(pack__refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
