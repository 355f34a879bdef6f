#include "tests/app/sample_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* An inner folder before the one around it: so they can be removed. */
static const struct {
    const char *path, *text;
} files[2][8] = {
    {
        {"src/list.h", "#ifndef LIST_H\n#define LIST_H\nint list_size(const int *l);\n#define LIST_MAX 64\n#endif\n"},
        {"src/list.c",
         "#include \"list.h\"\n\nint list_size(const int *l)\n{\n    int n = 0;\n    while (l[n])\n        n++;\n"
         "    return n > LIST_MAX ? LIST_MAX : n;\n}\n"},
        {"src/main.c",
         "#include \"list.h\"\n\nstatic int helper(int x)\n{\n    return x + 1;\n}\n\nint main(void)\n{\n    int v[] = {1, 2, 0};\n"
         "    return helper(list_size(v)) + list_size(v + 1);\n}\n"},
        {"tool.py", "def helper(a):\n    return a\n\n\nclass Box:\n    def open(self):\n        return helper(self)\n"},
        {"src/pair.h", "/* Two of a kind. */\nstruct pair { int a; char *b; };\nvoid swap(struct pair *p);\n"},
        {"with space/a b.txt", "one\ntwo\nthree\n"},
    },
    {
        {"lib/net/size.c", "#define LIMIT 8\n/* Counts them. */\nint size(int a)\n{\n    return a;\n}\n\nint reset(void)\n{\n"
                           "    return size(LIMIT) + size(1) + twice(2);\n}\n"},
        {"lib/size.h", "int size(int a);\n/* Back to nothing. */\nint reset(void);\nint reset(void);\n"},
        {"py/net/b.py", "def size(b):\n    \"\"\"How big.\"\"\"\n    return b\n\n\nclass Box:\n    def size(self):\n        return size(self)\n"},
        {"py/a.py", "size = 3\n\n\ndef go(n):\n    return size\n\n\ndef again(n):\n    go(n)\n    return go(n)\n"},
        {"py/size.py", "def size():\n    pass\n"},
        {"rb/crate.rb", "class Crate\n  def full?\n    false\n  end\nend\n"},
    },
};
enum { MAX_FILES = sizeof files[0] / sizeof *files[0] };

static void open_set(sample_folder *s, int set)
{
    dr_error err = {0};
    char path[160];

    s->set = set;
    (void)strcpy(s->path, "/tmp/deepread-test-XXXXXX");
    assert_non_null(mkdtemp(s->path));
    for (int i = 0; i < MAX_FILES && files[set][i].path; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->path, files[set][i].path);
        char *slash = strrchr(path, '/');
        *slash = 0;
        assert_int_equal(dr_make_dirs(path, 0700, &err), DR_OK);
        *slash = '/';
        assert_int_equal(dr_write_file(path, files[set][i].text, strlen(files[set][i].text), &err), DR_OK);
    }
    assert_int_equal(dr_pool_new(&s->pool, 2, &err), DR_OK);
    const dr_repo_options how = {.pool = s->pool};
    const dr_symbols_options opt = {.pool = s->pool};
    if (dr_repo_open(&s->repo, s->path, &how, &err) != DR_OK || dr_symbols_open(&s->symbols, s->repo, &opt, &err) != DR_OK)
        fail_msg("%s", err.msg);
}

void sample_folder_open(sample_folder *s)
{
    open_set(s, 0);
}

void sample_folder_open_many(sample_folder *s)
{
    open_set(s, 1);
}

void sample_folder_close(sample_folder *s)
{
    char path[160];
    dr_symbols_close(s->symbols);
    dr_repo_close(s->repo);
    dr_pool_free(s->pool);
    for (int i = 0; i < MAX_FILES && files[s->set][i].path; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->path, files[s->set][i].path);
        (void)unlink(path);
    }
    for (int i = 0; i < MAX_FILES && files[s->set][i].path; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->path, files[s->set][i].path);
        *strrchr(path, '/') = 0;
        (void)rmdir(path);
    }
    (void)rmdir(s->path);
}

dr_workspace sample_folder_workspace(const sample_folder *s)
{
    return (dr_workspace){
        .repo = s->repo, .symbols = s->symbols, .pool = s->pool, .result_columns = 60, .result_lines = 8};
}
