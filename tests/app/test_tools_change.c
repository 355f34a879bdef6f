/* Edits of one call: where each finds its place, in every language it knows, and every way it is refused. */
#include "app/edit.h"
#include "app/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "AKIAQ3EGRZ7PLMWXNTVB" /* of the form that is masked, of nobody */
enum { MAX_FILES = 12 };

typedef struct file_text {
    const char *path, *text;
} file_text;

typedef struct folder {
    char path[64];
    const file_text *files;
    dr_repo *repo;
    dr_symbols *symbols;
    dr_workspace w;
} folder;

static void open_folder(folder *f, const file_text *files)
{
    char path[160];
    dr_error err = {0};

    *f = (folder){.path = "/tmp/deepread-test-XXXXXX", .files = files};
    assert_non_null(mkdtemp(f->path));
    for (int i = 0; i < MAX_FILES && files[i].path; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->path, files[i].path);
        assert_int_equal(dr_write_file(path, files[i].text, strlen(files[i].text), &err), DR_OK);
    }
    if (dr_repo_open(&f->repo, f->path, NULL, &err) != DR_OK || dr_symbols_open(&f->symbols, f->repo, NULL, &err) != DR_OK)
        fail_msg("%s", err.msg);
    f->w = (dr_workspace){.repo = f->repo, .symbols = f->symbols, .result_columns = 60, .result_lines = 3, .edits = dr_edits_new(f->repo)};
    assert_non_null(f->w.edits);
}

static void close_folder(folder *f)
{
    char path[160];
    dr_edits_free(f->w.edits);
    dr_symbols_close(f->symbols);
    dr_repo_close(f->repo);
    for (int i = 0; i < MAX_FILES && f->files[i].path; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->path, f->files[i].path);
        (void)unlink(path);
    }
    (void)rmdir(f->path);
}

/* A JSON text: newlines, tabs, quotes and backslashes escaped. */
static void add_json(dr_buf *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            dr_buf_str(out, "\\n");
        else if (*text == '\t')
            dr_buf_str(out, "\\t");
        else if (*text == '"' || *text == '\\')
            dr_buf_printf(out, "\\%c", *text);
        else
            dr_buf_add(out, text, 1);
}

static void call(const folder *f, const char *tool, const char *a, const char *b, const char *wanted, dr_tool_outcome outcome)
{
    dr_tool_result r;
    dr_tool_id id;
    dr_error err = {0};
    dr_buf args = {0};

    assert_true(dr_tool_find(&id, dr_str_of(tool)));
    dr_buf_printf(&args, "{\"%s\": \"", dr_tool_args(id)[0].name);
    add_json(&args, a);
    if (b) {
        dr_buf_printf(&args, "\", \"%s\": \"", dr_tool_args(id)[1].name);
        add_json(&args, b);
    }
    dr_buf_str(&args, "\"}");
    if (dr_tool_run(&r, &f->w, dr_str_of(tool), dr_buf_view(&args), &err) != DR_OK)
        fail_msg("%s", err.msg);
    assert_string_equal(r.text.data, wanted);
    assert_int_equal(r.outcome, outcome);
    dr_tool_result_fini(&r);
    dr_buf_free(&args);
}

static void expect_staged(const folder *f, const char *path, const char *wanted)
{
    size_t file;
    dr_str text;
    assert_true(dr_repo_find(f->repo, dr_str_of(path), &file));
    assert_int_equal(dr_edits_text(f->w.edits, file, &text, NULL), DR_OK);
    assert_int_equal(text.n, strlen(text.s));
    assert_string_equal(text.s, wanted);
}

/* One file, one call. after NULL: refused, nothing is staged. */
static void one_file(const char *path, const char *before, const char *tool, const char *a, const char *b, const char *wanted, const char *after)
{
    const file_text files[MAX_FILES] = {{path, before}};
    folder f;
    open_folder(&f, files);
    call(&f, tool, a, b, wanted, after ? DR_TOOL_DONE : DR_TOOL_REFUSED);
    if (after)
        expect_staged(&f, path, after);
    else
        assert_int_equal(dr_edits_n_files(f.w.edits), 0);
    close_folder(&f);
}

typedef struct row {
    const char *path, *before, *name, *text, *wanted, *after;
} row;

static void rows(const char *tool, const row *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        one_file(v[i].path, v[i].before, tool, v[i].name, v[i].text, v[i].wanted, v[i].after);
}

/* ---- set_value ---- */

static void set_value__in_every_language(void **state)
{
    (void)state;
    static const row v[] = {
        {"a.c", "#define MAX 1 /* most */\nint x;\n", "MAX", "(2 + 3)", "edited a.c:1", "#define MAX (2 + 3) /* most */\nint x;\n"},
        {"a.c", "#define MAX \"a // b\" // c\n", "MAX", "7", "edited a.c:1", "#define MAX 7 // c\n"},
        {"a.c", "#define MAX(a, b)  ((a) + /* and */ (b))\n", "MAX", "0", "edited a.c:1", "#define MAX(a, b)  0\n"},
        {"a.c", "#define MAX \\\n    (1 + \\\n     2)\nint x;\n", "MAX", "3", "edited a.c:2", "#define MAX \\\n    3\nint x;\n"},
        {"a.c", "static const int most[] = {\n    1, /* one */\n    2,\n};\n", "most", "{4}", "edited a.c:1", "static const int most[] = {4};\n"},
        {"a.c", "enum { A, B = 4, C };\n", "B", "5", "edited a.c:1", "enum { A, B = 5, C };\n"},
        {"a.c", "int MAX = 1; int f(void) { return MAX; }\n", "MAX", "2", "edited a.c:1", "int MAX = 2; int f(void) { return MAX; }\n"},
        {"a.cc", "namespace n {\nconstexpr int kMax = 10;\n}\n", "kMax", "11", "edited a.cc:2", "namespace n {\nconstexpr int kMax = 11;\n}\n"},
        {"a.py", "MAX = [\n    1,\n]\n", "MAX", "[]", "edited a.py:1", "MAX = []\n"},
        {"a.py", "class C:\n    size: int = 3  # big\n", "size", "4", "edited a.py:2", "class C:\n    size: int = 4  # big\n"},
        {"a.go", "package a\n\nconst (\n\tA = 1\n\tB, C = 2, 3\n)\n", "C", "30", "edited a.go:5", "package a\n\nconst (\n\tA = 1\n\tB, C = 2, 30\n)\n"},
        {"a.go", "package a\n\nvar Name = \"x\"\n", "Name", "\"y\"", "edited a.go:3", "package a\n\nvar Name = \"y\"\n"},
        {"a.js", "const MAX = 1;\n", "MAX", "2", "edited a.js:1", "const MAX = 2;\n"},
        {"a.ts", "export const MAX: number = 1;\n", "MAX", "2", "edited a.ts:1", "export const MAX: number = 2;\n"},
        {"a.rb", "module M\n  MAX = 1\nend\n", "MAX", "2", "edited a.rb:2", "module M\n  MAX = 2\nend\n"},
        {"a.php", "<?php\nclass A {\n    const MAX = 1;\n}\n", "MAX", "2", "edited a.php:3", "<?php\nclass A {\n    const MAX = 2;\n}\n"},
        {"A.java", "class A {\n    static final int MAX = 1;\n}\n", "MAX", "2", "edited A.java:2", "class A {\n    static final int MAX = 2;\n}\n"},
        {"a.rs", "pub const MAX: usize = 1 << 4;\n", "MAX", "16", "edited a.rs:1", "pub const MAX: usize = 16;\n"},
        {"A.cs", "class A {\n    const int Max = 1;\n}\n", "Max", "2", "edited A.cs:2", "class A {\n    const int Max = 2;\n}\n"},
        {"A.cs", "class A {\n    int Max => 1;\n}\n", "Max", "2", "edited A.cs:2", "class A {\n    int Max => 2;\n}\n"},
        /* What a file keeps. */
        {"a.c", "#define MAX 1", "MAX", "2", "edited a.c:1", "#define MAX 2"},
        {"a.py", "MAX = 1", "MAX", "2", "edited a.py:1", "MAX = 2"},
        /* Refused. */
        {"a.c", "#define MAX\nint f(void);\n", "MAX", "2", "MAX has no value", NULL},
        {"a.c", "#define MAX\nint f(void);\n", "f", "2", "f has no value", NULL},
        {"a.c", "#define MAX 1\n", "MAX", "1", "old and new are the same", NULL},
        {"a.py", "key = '" KEY "'\nport = 80\n", "key", "'x'", "that text holds a masked secret in a.py", NULL},
        {"a.c", "#if A\n#define MAX 1\n#else\n#define MAX 2\n#endif\n", "MAX", "3", "2 definitions of MAX have a value:\na.c:2\na.c:4", NULL},
    };
    rows("set_value", v, sizeof v / sizeof *v);
}

static void set_value__many_definitions(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.py", "size = 1\n"}, {"b.py", "size = 2\n"}, {"c.py", "size = 3\n"},  {"d.py", "size = 4\n"},
                                               {"e.h", "extern int only;\n"}, {"f.c", "int only = 5;\n"}, {"g.c", "int bare;\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "set_value", "size", "9", "4 definitions of size have a value:\na.py:1\nb.py:1\nc.py:1\nand 1 more", DR_TOOL_REFUSED);
    call(&f, "set_value", "onl", "9", "no symbol named onl\nsimilar: only", DR_TOOL_NO_SYMBOL);
    call(&f, "set_value", "only", "", "set_value needs \"value\", a text", DR_TOOL_WRONG);
    call(&f, "set_value", "bare", "1", "bare has no value", DR_TOOL_REFUSED);
    assert_int_equal(dr_edits_n_files(f.w.edits), 0);
    call(&f, "set_value", "only", "6", "edited f.c:1", DR_TOOL_DONE); /* a declaration has none */
    expect_staged(&f, "f.c", "int only = 6;\n");
    close_folder(&f);
}

/* Found in the staged text, which is another one than the snapshot's. */
static void set_value__after_an_edit(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "#define MAX 1\nint x;\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "add_import", "a.c", "stdio.h", "edited a.c:1", DR_TOOL_DONE);
    call(&f, "set_value", "MAX", "2", "edited a.c:3", DR_TOOL_DONE);
    call(&f, "set_value", "MAX", "30", "edited a.c:3", DR_TOOL_DONE);
    expect_staged(&f, "a.c", "#include <stdio.h>\n\n#define MAX 30\nint x;\n");
    call(&f, "rename_everywhere", "MAX", "MOST", "renamed 1 places in a.c: lines 3", DR_TOOL_DONE);
    call(&f, "set_value", "MAX", "4", "no definition of MAX in a.c as it is staged", DR_TOOL_REFUSED);
    call(&f, "rename_everywhere", "MAX", "MOST2", "no definition of MAX in a.c as it is staged", DR_TOOL_REFUSED);
    close_folder(&f);
    static const file_text two[MAX_FILES] = {{"a.c", "#if A\n#define MAX 1\n#else\n#define MAX 2\n#endif\n"}};
    open_folder(&f, two);
    dr_tool_result r;
    assert_int_equal(dr_tool_run(&r, &f.w, DR_STR("edit"), DR_STR("{\"path\": \"a.c\", \"old\": \"MAX 2\", \"new\": \"LESS 2\"}"), NULL), DR_OK);
    dr_tool_result_fini(&r);
    call(&f, "set_value", "MAX", "3", "edited a.c:2", DR_TOOL_DONE); /* one of the two is another name by now */
    close_folder(&f);
}

/* ---- rename_everywhere ---- */

static void rename__all_files_or_none(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {
        {"a.c", "#include \"a.h\"\n/* size */\nint size(int n)\n{\n    return n;\n}\n"},
        {"a.h", "int size(int n);\nint width(void);\n"},
        {"b.c", "#include \"a.h\"\nint go(void)\n{\n    return size(size(1)); /* size */\n}\n"},
        {"c.c", "int other(int size)\n{\n    return size;\n}\n"},
        {"d.txt", "size\n"},
        {"e.c", "int twice;\n"},
        {"f.py", "from m import load\n"},
        {"g.py", "def load():\n    return 1\n"},
        {"h.py", "from g import load as other_name\n\n\ndef twice():\n    pass\n"},
    };
    folder f;
    open_folder(&f, files);
    call(&f, "rename_everywhere", "size", "width", "width is defined already: a.h:2", DR_TOOL_REFUSED);
    call(&f, "rename_everywhere", "size", "n", "n stands already in a.c: lines 3, 5", DR_TOOL_REFUSED);
    call(&f, "rename_everywhere", "size", "3n", "3n is not a name", DR_TOOL_REFUSED);
    call(&f, "rename_everywhere", "size", "size", "old and new are the same", DR_TOOL_REFUSED);
    call(&f, "rename_everywhere", "siz", "n", "no symbol named siz\nsimilar: size", DR_TOOL_NO_SYMBOL);
    call(&f, "rename_everywhere", "twice", "thrice", "2 definitions of twice in different files:\nh.py:4\ne.c:1", DR_TOOL_REFUSED);
    assert_int_equal(dr_edits_n_files(f.w.edits), 0);
    call(&f, "rename_everywhere", "size", "count",
         "renamed 1 places in a.c: lines 3\nrenamed 1 places in a.h: lines 1\nrenamed 2 places in b.c: lines 4", DR_TOOL_DONE);
    expect_staged(&f, "a.c", "#include \"a.h\"\n/* size */\nint count(int n)\n{\n    return n;\n}\n");
    expect_staged(&f, "b.c", "#include \"a.h\"\nint go(void)\n{\n    return count(count(1)); /* size */\n}\n");
    expect_staged(&f, "c.c", files[3].text);
    call(&f, "rename_everywhere", "load", "fetch",
         "renamed 1 places in f.py: lines 1\nrenamed 1 places in g.py: lines 1\nrenamed 1 places in h.py: lines 1", DR_TOOL_DONE);
    expect_staged(&f, "h.py", "from g import fetch as other_name\n\n\ndef twice():\n    pass\n");
    assert_int_equal(dr_edits_n_files(f.w.edits), 6);
    close_folder(&f);
}

static void rename__many_files(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "int size;\nint size;\n"}, {"b.c", "int b(void) { return size; }\n"},
                                               {"c.c", "int c(void) { return size; }\n"}, {"d.c", "int d(void) { return size; }\n"},
                                               {"e.c", "int e(void) { return size; }\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "rename_everywhere", "size", "count",
         "renamed 2 places in a.c: lines 1, 2\nrenamed 1 places in b.c: lines 1\nrenamed 1 places in c.c: lines 1\nand 2 more", DR_TOOL_DONE);
    assert_int_equal(dr_edits_n_files(f.w.edits), 5); /* those that are not listed too */
    expect_staged(&f, "e.c", "int e(void) { return count; }\n");
    close_folder(&f);
}

static void rename__a_file_that_cannot_be_edited(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "int size;\n"}, {"b.c", "/* caf\xe9 cr\xe8me */\nint b(void) { return size; }\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "rename_everywhere", "size", "count", "b.c is not edited: it is not in UTF-8", DR_TOOL_REFUSED);
    assert_int_equal(dr_edits_n_files(f.w.edits), 0);
    close_folder(&f);
}

/* Some values are secrets by their names alone: under another they would be shown. */
static void rename__keeps_secrets_masked(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.py", "api_key = 'q8Zt3LmW0xVb7RkPnY5cJ2dF'\n"}, {"b.py", "from a import api_key\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "rename_everywhere", "api_key", "colour", "that would show a masked secret in a.py", DR_TOOL_REFUSED);
    assert_int_equal(dr_edits_n_files(f.w.edits), 0);
    close_folder(&f);
}

/* ---- add_import ---- */

static void import__behind_the_last_one(void **state)
{
    (void)state;
    static const row v[] = {
        {"a.c", "#include <a.h>\n#include \"b.h\" /* b */\n\nint x;\n", "a.c", "util.h", "edited a.c:3",
         "#include <a.h>\n#include \"b.h\" /* b */\n#include \"util.h\"\n\nint x;\n"},
        {"a.c", "#include <a.h>\nint x;\n", "a.c", "stdio.h", "edited a.c:2", "#include <a.h>\n#include <stdio.h>\nint x;\n"},
        {"a.c", "#include <a.h>\nint x;\n", "a.c", "\"u.h\"", "edited a.c:2", "#include <a.h>\n#include \"u.h\"\nint x;\n"},
        {"a.c", "#include <a.h>\nint x;\n", "a.c", "#include <b.h>\n", "edited a.c:2", "#include <a.h>\n#include <b.h>\nint x;\n"},
        {"a.c", "#include <a.h>\n#ifdef X\n#include <x.h>\n#endif\nint f(void) { return 1; }\n#include \"t.inc\"\n", "a.c", "<b.h>", "edited a.c:2",
         "#include <a.h>\n#include <b.h>\n#ifdef X\n#include <x.h>\n#endif\nint f(void) { return 1; }\n#include \"t.inc\"\n"},
        {"a.h", "#ifndef A_H\n#define A_H\n\n#include <a.h>\n\nint x;\n\n#endif\n", "a.h", "<b.h>", "edited a.h:5",
         "#ifndef A_H\n#define A_H\n\n#include <a.h>\n#include <b.h>\n\nint x;\n\n#endif\n"},
        {"a.c", "#include <a.h>", "a.c", "b.h", "edited a.c:2", "#include <a.h>\n#include <b.h>"},
        {"a.py", "import os\nfrom a import (\n    b,\n    c,\n)\n\nx = 1\n", "a.py", "json", "edited a.py:6",
         "import os\nfrom a import (\n    b,\n    c,\n)\nimport json\n\nx = 1\n"},
        {"a.py", "import os\n\ndef f():\n    import sys\n", "a.py", "from a import b", "edited a.py:2",
         "import os\nfrom a import b\n\ndef f():\n    import sys\n"},
        {"a.go", "package a\n\nimport (\n\t\"fmt\"\n\tx \"os\"\n)\n", "a.go", "net/http", "edited a.go:6",
         "package a\n\nimport (\n\t\"fmt\"\n\tx \"os\"\n\t\"net/http\"\n)\n"},
        {"a.go", "package a\n\nimport (\n\t\"fmt\"\n)\n", "a.go", "import \"os\"", "edited a.go:5", "package a\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n"},
        {"a.go", "package a\n\nimport (\"fmt\")\n", "a.go", "os", "edited a.go:3", "package a\n\nimport (\"fmt\"; \"os\")\n"},
        {"a.go", "package a\n\nimport ()\n", "a.go", "os", "edited a.go:4", "package a\n\nimport (\n\t\"os\"\n)\n"},
        {"a.go", "package a\n\nimport \"fmt\"\n", "a.go", "os", "edited a.go:4", "package a\n\nimport \"fmt\"\nimport \"os\"\n"},
        {"A.java", "package a;\n\nimport java.util.Map;\n\nclass A {}\n", "A.java", "java.util.List", "edited A.java:4",
         "package a;\n\nimport java.util.Map;\nimport java.util.List;\n\nclass A {}\n"},
        {"a.rs", "use std::io;\nuse std::{\n    mem,\n};\n\nfn f() {}\n", "a.rs", "std::fmt", "edited a.rs:5",
         "use std::io;\nuse std::{\n    mem,\n};\nuse std::fmt;\n\nfn f() {}\n"},
        {"a.rb", "require \"json\"\nrequire_relative \"x\"\n\nclass A\nend\n", "a.rb", "set", "edited a.rb:3",
         "require \"json\"\nrequire_relative \"x\"\nrequire \"set\"\n\nclass A\nend\n"},
        {"a.rb", "require 'json'\n", "a.rb", "set", "edited a.rb:2", "require 'json'\nrequire 'set'\n"},
        {"a.rb", "require 'json'\n", "a.rb", "require_relative 'y'", "edited a.rb:2", "require 'json'\nrequire_relative 'y'\n"},
        {"a.php", "<?php\n\nnamespace A;\n\nuse B\\C;\n\nclass A {}\n", "a.php", "B\\D", "edited a.php:6",
         "<?php\n\nnamespace A;\n\nuse B\\C;\nuse B\\D;\n\nclass A {}\n"},
        {"a.js", "import a from 'a';\n\nf();\n", "a.js", "import b from 'b';", "edited a.js:2", "import a from 'a';\nimport b from 'b';\n\nf();\n"},
        {"a.js", "const a = require('a');\n\nf();\n", "a.js", "const b = require('b');", "edited a.js:2",
         "const a = require('a');\nconst b = require('b');\n\nf();\n"},
        {"a.ts", "import {\n  a,\n} from 'a';\n\nf();\n", "a.ts", "import b from 'b';", "edited a.ts:4",
         "import {\n  a,\n} from 'a';\nimport b from 'b';\n\nf();\n"},
        {"A.cs", "using System;\n\nclass A {}\n", "A.cs", "System.IO", "edited A.cs:2", "using System;\nusing System.IO;\n\nclass A {}\n"},
        {"a.kt", "package a\n\nimport b.C\n\nfun f() {}\n", "a.kt", "b.D", "edited a.kt:4", "package a\n\nimport b.C\nimport b.D\n\nfun f() {}\n"},
        {"a.swift", "import A\n\nfunc f() {}\n", "a.swift", "B", "edited a.swift:2", "import A\nimport B\n\nfunc f() {}\n"},
        {"a.scala", "import a.b\n\nclass A\n", "a.scala", "a.c", "edited a.scala:2", "import a.b\nimport a.c\n\nclass A\n"},
    };
    rows("add_import", v, sizeof v / sizeof *v);
}

static void import__the_first_one(void **state)
{
    (void)state;
    static const row v[] = {
        {"a.c", "int x;\n", "a.c", "stdio.h", "edited a.c:1", "#include <stdio.h>\n\nint x;\n"},
        {"a.c", "/* All of it. */\n\nint x;\n", "a.c", "stdio.h", "edited a.c:3", "/* All of it. */\n\n#include <stdio.h>\n\nint x;\n"},
        {"a.c", "/* All of it. */\n\n/* Of x. */\nint x;\n", "a.c", "stdio.h", "edited a.c:3",
         "/* All of it. */\n\n#include <stdio.h>\n\n/* Of x. */\nint x;\n"},
        {"a.c", "/* Of x. */\nint x;\n", "a.c", "stdio.h", "edited a.c:1", "#include <stdio.h>\n\n/* Of x. */\nint x;\n"},
        {"a.c", "/* Copyright: nobody */\nint x;\n", "a.c", "stdio.h", "edited a.c:3", "/* Copyright: nobody */\n\n#include <stdio.h>\n\nint x;\n"},
        {"a.h", "/* All. */\n#ifndef A_H\n#define A_H\n\nint x;\n#endif\n", "a.h", "<b.h>", "edited a.h:5",
         "/* All. */\n#ifndef A_H\n#define A_H\n\n#include <b.h>\n\nint x;\n#endif\n"},
        {"a.h", "#if !defined(A_H)\n#define A_H\nint x;\n#endif\n", "a.h", "<b.h>", "edited a.h:4",
         "#if !defined(A_H)\n#define A_H\n\n#include <b.h>\n\nint x;\n#endif\n"},
        {"a.h", "#pragma once\nint x;\n", "a.h", "\"b.h\"", "edited a.h:3", "#pragma once\n\n#include \"b.h\"\n\nint x;\n"},
        {"a.hpp", "#pragma once\n\nnamespace a { class B; }\n", "a.hpp", "vector", "edited a.hpp:3",
         "#pragma once\n\n#include <vector>\n\nnamespace a { class B; }\n"},
        {"a.go", "// Package a is it.\npackage a\n\nfunc f() {}\n", "a.go", "os", "edited a.go:4",
         "// Package a is it.\npackage a\n\nimport \"os\"\n\nfunc f() {}\n"},
        {"a.go", "package a", "a.go", "os", "edited a.go:3", "package a\n\nimport \"os\""},
        {"A.java", "package a;\nclass A {}\n", "A.java", "java.util.List", "edited A.java:3", "package a;\n\nimport java.util.List;\n\nclass A {}\n"},
        {"A.java", "class A {}\n", "A.java", "import java.util.List;", "edited A.java:1", "import java.util.List;\n\nclass A {}\n"},
        {"a.php", "<?php\n\nf();\n", "a.php", "A\\B", "edited a.php:3", "<?php\n\nuse A\\B;\n\nf();\n"},
        {"a.php", "<?php\ndeclare(strict_types=1);\nnamespace A;\nf();\n", "a.php", "A\\B", "edited a.php:5",
         "<?php\ndeclare(strict_types=1);\nnamespace A;\n\nuse A\\B;\n\nf();\n"},
        {"a.py", "#!/usr/bin/env python3\n\"\"\"All of it.\"\"\"\n\nx = 1\n", "a.py", "os", "edited a.py:4",
         "#!/usr/bin/env python3\n\"\"\"All of it.\"\"\"\n\nimport os\n\nx = 1\n"},
        {"a.py", "x = 1\n", "a.py", "import os", "edited a.py:1", "import os\n\nx = 1\n"},
        {"a.rs", "//! All of it.\n#![no_std]\nfn f() {}\n", "a.rs", "std::fmt", "edited a.rs:4", "//! All of it.\n#![no_std]\n\nuse std::fmt;\n\nfn f() {}\n"},
        {"a.rb", "# frozen_string_literal: true\nclass A\nend\n", "a.rb", "set", "edited a.rb:3",
         "# frozen_string_literal: true\n\nrequire 'set'\n\nclass A\nend\n"},
        {"a.js", "'use strict';\nf();\n", "a.js", "import b from 'b';", "edited a.js:3", "'use strict';\n\nimport b from 'b';\n\nf();\n"},
        {"a.kt", "@file:JvmName(\"A\")\n\npackage a\n\nval x = 1\n", "a.kt", "b.C", "edited a.kt:5",
         "@file:JvmName(\"A\")\n\npackage a\n\nimport b.C\n\nval x = 1\n"},
        {"a.lua", "-- All of it.\n\nf()\n", "a.lua", "local a = require('a')", "edited a.lua:3", "-- All of it.\n\nlocal a = require('a')\n\nf()\n"},
        {"a.c", "", "a.c", "stdio.h", "edited a.c:1", "#include <stdio.h>\n"},
    };
    rows("add_import", v, sizeof v / sizeof *v);
}

static void import__as_the_repository_includes_it(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "#include \"z.h\"\nint x;\n"}, {"b.c", "#include <stdio.h>\n#include <z.h>\n"}, {"z.h", "int z;\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "add_import", "a.c", "stdio.h", "edited a.c:2", DR_TOOL_DONE);
    call(&f, "add_import", "b.c", "new.h", "edited b.c:3", DR_TOOL_DONE);
    call(&f, "add_import", "a.c", "z.h", "a.c imports that already: line 1", DR_TOOL_REFUSED);
    expect_staged(&f, "a.c", "#include \"z.h\"\n#include <stdio.h>\nint x;\n");
    expect_staged(&f, "b.c", "#include <stdio.h>\n#include <z.h>\n#include <new.h>\n");
    close_folder(&f);
}

static void import__refused(void **state)
{
    (void)state;
    static const row v[] = {
        {"a.c", "#include <a.h>\n#include <b.h> // b\n", "a.c", "b.h", "a.c imports that already: line 2", NULL},
        {"a.h", "#ifndef A_H\n#define A_H\n#include \"b.h\"\n#endif\n", "a.h", "#include \"b.h\"", "a.h imports that already: line 3", NULL},
        {"a.h", "int x;\n", "a.h", "#include \"a.h\"", "a.h would include itself", NULL},
        {"b.h", "int x;\n", "b.h", "b.h", "b.h would include itself", NULL},
        {"a.py", "import os\n", "a.py", "os", "a.py imports that already: line 1", NULL},
        {"a.go", "package a\n\nimport (\n\t\"fmt\"\n)\n", "a.go", "fmt", "a.go imports that already: line 4", NULL},
        {"a.go", "package a\n\nimport \"fmt\"\n", "a.go", "fmt", "a.go imports that already: line 3", NULL},
        {"A.java", "import a.B;\n", "A.java", "a.B", "A.java imports that already: line 1", NULL},
        {"a.rb", "require 'set'\n", "a.rb", "set", "a.rb imports that already: line 1", NULL},
        {"a.js", "f();\n", "a.js", "fs", "write the whole import line", NULL},
        {"a.ts", "f();\n", "a.ts", "./b", "write the whole import line", NULL},
        {"a.lua", "f()\n", "a.lua", "b", "write the whole import line", NULL},
        {"a.txt", "text\n", "a.txt", "b", "no import can be added to a.txt", NULL},
        {"a.json", "{}\n", "a.json", "b", "no import can be added to a.json", NULL},
        {"a.c", "/* caf\xe9 cr\xe8me */\nint x;\n", "a.c", "b.h", "a.c is not edited: it is not in UTF-8", NULL},
    };
    rows("add_import", v, sizeof v / sizeof *v);
    static const file_text files[MAX_FILES] = {{"a.c", "int x;\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "add_import", "b.c", "x.h", "no file named b.c", DR_TOOL_NO_FILE);
    call(&f, "add_import", "a.c", NULL, "add_import needs \"import\", a text", DR_TOOL_WRONG);
    call(&f, "add_import", "a.c", "", "add_import needs \"import\", a text", DR_TOOL_WRONG);
    close_folder(&f);
}

/* ---- add_statement ---- */

static void statement__at_the_start_of_a_body(void **state)
{
    (void)state;
    static const row v[] = {
        {"a.c", "int f(int a)\n{\n  return a;\n}\n", "f", "a++;", "edited a.c:3", "int f(int a)\n{\n  a++;\n  return a;\n}\n"},
        {"a.c", "int f(int a) { /* why */\n\t/* first */\n\treturn a;\n}\n", "f", "if (a)\n\treturn 1;\n", "edited a.c:2",
         "int f(int a) { /* why */\n\tif (a)\n\t\treturn 1;\n\t/* first */\n\treturn a;\n}\n"},
        {"a.c", "int g(void)\n{\n  return 1;\n}\nvoid f(void)\n{\n}\n", "f", "g();", "edited a.c:7", "int g(void)\n{\n  return 1;\n}\nvoid f(void)\n{\n  g();\n}\n"},
        {"a.c", "void f(void)\n{\n}\n", "f", "g();", "edited a.c:3", "void f(void)\n{\n    g();\n}\n"},
        {"a.c", "int f(void) { return 1; }\n", "f", "g();", "edited a.c:1", "int f(void) { g(); return 1; }\n"},
        {"a.c", "int f(void) {return 1;}\n", "f", "g()", "edited a.c:1", "int f(void) { g(); return 1;}\n"},
        {"a.c", "void f(void) {}\n", "f", "g();", "edited a.c:1", "void f(void) { g(); }\n"},
        {"a.c", "void f(void)\n{\n}\n", "f", "return", "edited a.c:3", "void f(void)\n{\n    return;\n}\n"},
        {"a.c", "void f(void)\n{\n}\n", "f", "if (x)\n    return 1", "edited a.c:3", "void f(void)\n{\n    if (x)\n        return 1;\n}\n"},
        {"a.c", "void f(void)\n{\n}\n", "f", "again:", "edited a.c:3", "void f(void)\n{\n    again:\n}\n"},
        {"a.rs", "fn f() {\n    x();\n}\n", "f", "return", "edited a.rs:2", "fn f() {\n    return;\n    x();\n}\n"},
        {"a.c", "int f(void) { return 1; }\n", "f", "g();\nh();", "edited a.c:2", "int f(void) {\n    g();\n    h();\n    return 1; }\n"},
        {"a.c", "void f(void) {}\n", "f", "g(); // now", "edited a.c:2", "void f(void) {\n    g(); // now\n}\n"},
        {"a.c", "int f(void);\nint f(void)\n{\n#ifdef X\n    g();\n#endif\n    return 1;\n}\n", "f", "h();", "edited a.c:4",
         "int f(void);\nint f(void)\n{\n    h();\n#ifdef X\n    g();\n#endif\n    return 1;\n}\n"},
        {"a.cc", "struct A {\n    A() : x(1) {\n        y();\n    }\n    int f() const { return x; }\n    int x;\n};\n", "f", "g();", "edited a.cc:5",
         "struct A {\n    A() : x(1) {\n        y();\n    }\n    int f() const { g(); return x; }\n    int x;\n};\n"},
        {"a.py", "def f(a):\n    return a\n", "f", "print(a)", "edited a.py:2", "def f(a):\n    print(a)\n    return a\n"},
        {"a.py", "def f(a):\n    \"\"\"What.\n\n    More.\n    \"\"\"\n\n    return a\n", "f", "if a:\n    return 1", "edited a.py:6",
         "def f(a):\n    \"\"\"What.\n\n    More.\n    \"\"\"\n    if a:\n        return 1\n\n    return a\n"},
        {"a.py", "def f():\n    \"\"\"What.\"\"\"", "f", "go()", "edited a.py:3", "def f():\n    \"\"\"What.\"\"\"\n    go()"},
        {"a.py", "class A:\n  def f(self): return 1\n", "f", "go()", "edited a.py:2", "class A:\n  def f(self): go(); return 1\n"},
        {"a.py", "class A:\n  def f(self): return 1\n", "f", "if self: go()", "edited a.py:3",
         "class A:\n  def f(self):\n    if self: go()\n    return 1\n"},
        {"a.py", "def f(): 'What.'\n", "f", "go()", "edited a.py:3", "def f():\n    'What.'\n    go()\n"},
        {"a.go", "package a\n\nfunc f() {\n}\n", "f", "g()", "edited a.go:4", "package a\n\nfunc f() {\n\tg()\n}\n"},
        {"a.go", "package a\n\nfunc (a *A) f() int { return 1 }\n", "f", "g()", "edited a.go:3", "package a\n\nfunc (a *A) f() int { g(); return 1 }\n"},
        {"A.java", "class A {\n    int f() {\n        return 1;\n    }\n}\n", "f", "g();", "edited A.java:3",
         "class A {\n    int f() {\n        g();\n        return 1;\n    }\n}\n"},
        {"a.js", "function f() {\n  'use strict';\n  return 1;\n}\n", "f", "g();", "edited a.js:3", "function f() {\n  'use strict';\n  g();\n  return 1;\n}\n"},
        {"a.js", "class A {\n  f() { return 1 }\n}\n", "f", "g()", "edited a.js:2", "class A {\n  f() { g(); return 1 }\n}\n"},
        {"a.ts", "export function f(a: number): number {\n  return a;\n}\n", "f", "g();", "edited a.ts:2",
         "export function f(a: number): number {\n  g();\n  return a;\n}\n"},
        {"a.rs", "fn f() -> u8 {\n    1\n}\n", "f", "g();", "edited a.rs:2", "fn f() -> u8 {\n    g();\n    1\n}\n"},
        {"a.php", "<?php\nfunction f() {\n    return 1;\n}\n", "f", "g();", "edited a.php:3", "<?php\nfunction f() {\n    g();\n    return 1;\n}\n"},
        {"A.cs", "class A {\n    int F() {\n        return 1;\n    }\n}\n", "F", "G();", "edited A.cs:3",
         "class A {\n    int F() {\n        G();\n        return 1;\n    }\n}\n"},
        {"a.rb", "class A\n  def f(a)\n    a\n  end\nend\n", "f", "g", "edited a.rb:3", "class A\n  def f(a)\n    g\n    a\n  end\nend\n"},
        {"a.rb", "class A\n  def f\n  end\nend\n", "f", "g", "edited a.rb:3", "class A\n  def f\n    g\n  end\nend\n"},
        {"a.rb", "def f; 1; end\n", "f", "g", "edited a.rb:1", "def f; g; 1; end\n"},
        {"a.lua", "function f(a)\n  return a\nend\n", "f", "g()", "edited a.lua:2", "function f(a)\n  g()\n  return a\nend\n"},
        {"a.lua", "local f = function(a)\n  return a\nend\n", "f", "g()", "edited a.lua:2", "local f = function(a)\n  g()\n  return a\nend\n"},
        {"a.ex", "defmodule A do\n  def f(a) when is_atom(a) do\n    a\n  end\nend\n", "f", "g()", "edited a.ex:3",
         "defmodule A do\n  def f(a) when is_atom(a) do\n    g()\n    a\n  end\nend\n"},
        {"a.kt", "fun f(): Int {\n    return 1\n}\n", "f", "g()", "edited a.kt:2", "fun f(): Int {\n    g()\n    return 1\n}\n"},
        {"a.swift", "func f() -> Int {\n    return 1\n}\n", "f", "g()", "edited a.swift:2", "func f() -> Int {\n    g()\n    return 1\n}\n"},
        {"a.scala", "object A {\n  def f(): Int = {\n    1\n  }\n}\n", "f", "g()", "edited a.scala:3",
         "object A {\n  def f(): Int = {\n    g()\n    1\n  }\n}\n"},
        {"a.sh", "f() {\n  ls\n}\n", "f", "cd /", "edited a.sh:2", "f() {\n  cd /\n  ls\n}\n"},
        {"a.lua", "function f(a)\nend\n", "f", "g()", "edited a.lua:2", "function f(a)\n    g()\nend\n"},
        /* Refused. */
        {"a.c", "int f(void);\n", "f", "g();", "f has no body", NULL},
        {"a.c", "#define f 1\n", "f", "g();", "f has no body", NULL},
        {"a.js", "const f = (a) => a + 1;\n", "f", "g();", "f has no body", NULL},
        {"a.rb", "def f = 1\n", "f", "g", "f has no body", NULL},
        {"a.py", "class A:\n    def f(self):\n        pass\n\n\nclass B:\n    def f(self):\n        pass\n", "f", "g()",
         "2 functions are called f:\na.py:2\na.py:7", NULL},
    };
    rows("add_statement", v, sizeof v / sizeof *v);
}

static void statement__of_several_files_and_staged_texts(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "int go(void)\n{\n    return 1;\n}\n"}, {"b.py", "def run():\n    pass\n"},
                                               {"c.py", "def run():\n    pass\n"}, {"d.py", "def run():\n    pass\n"}, {"e.py", "def run():\n    pass\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "add_statement", "run", "x()", "4 functions are called run:\nb.py:1\nc.py:1\nd.py:1\nand 1 more", DR_TOOL_REFUSED);
    call(&f, "add_statement", "g", "x()", "no symbol named g\nsimilar: go", DR_TOOL_NO_SYMBOL);
    call(&f, "add_statement", "go", " \n", "add_statement needs \"statement\", a text", DR_TOOL_WRONG);
    call(&f, "add_import", "a.c", "stdio.h", "edited a.c:1", DR_TOOL_DONE);
    call(&f, "add_statement", "go", "b();", "edited a.c:5", DR_TOOL_DONE);
    call(&f, "add_statement", "go", "a();", "edited a.c:5", DR_TOOL_DONE);
    expect_staged(&f, "a.c", "#include <stdio.h>\n\nint go(void)\n{\n    a();\n    b();\n    return 1;\n}\n");
    call(&f, "rename", "a.c", NULL, "rename needs \"old\", a text", DR_TOOL_WRONG);
    close_folder(&f);
}

/* ---- all of them ---- */

/* Line ends of two bytes stay, and are what new lines get. */
static void change__keeps_line_ends(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "#include <a.h>\r\n#define MAX 1\r\nint f(void)\r\n{\r\n    return MAX;\r\n}\r\n"}};
    folder f;
    dr_buf diff = {0};
    open_folder(&f, files);
    call(&f, "add_import", "a.c", "b.h", "edited a.c:2", DR_TOOL_DONE);
    call(&f, "set_value", "MAX", "2", "edited a.c:3", DR_TOOL_DONE);
    call(&f, "add_statement", "f", "g();\nh();", "edited a.c:6", DR_TOOL_DONE);
    call(&f, "rename_everywhere", "MAX", "MOST", "renamed 2 places in a.c: lines 3, 8", DR_TOOL_DONE);
    assert_int_equal(dr_edits_diff(&diff, f.w.edits, NULL), DR_OK);
    assert_string_equal(diff.data, "--- a/a.c\n+++ b/a.c\n@@ -1,6 +1,9 @@\n #include <a.h>\r\n-#define MAX 1\r\n+#include <b.h>\r\n+#define MOST 2\r\n"
                                   " int f(void)\r\n {\r\n-    return MAX;\r\n+    g();\r\n+    h();\r\n+    return MOST;\r\n }\r\n");
    dr_buf_free(&diff);
    close_folder(&f);
}

static void change__needs_edits(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "int f(void) { return 1; }\nint x = 1;\n"}};
    static const char *const calls[][3] = {{"set_value", "x", "2"}, {"rename_everywhere", "x", "y"}, {"add_import", "a.c", "b.h"}, {"add_statement", "f", "g();"}};
    folder f;
    open_folder(&f, files);
    dr_edits_free(f.w.edits);
    f.w.edits = NULL;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        dr_tool_id id;
        call(&f, calls[i][0], calls[i][1], calls[i][2], "nothing can be edited here", DR_TOOL_REFUSED);
        assert_true(dr_tool_find(&id, dr_str_of(calls[i][0])) && dr_tool_edits(id) && id >= DR_N_ROSTER_TOOLS && !dr_tool_describes(id));
    }
    close_folder(&f);
}

static void change__places_are_those_of_the_text(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "int f(void) { return x; }\nint x = 1;\n"}};
    folder f;
    dr_tool_result r;
    open_folder(&f, files);
    assert_int_equal(dr_tool_run(&r, &f.w, DR_STR("rename_everywhere"), DR_STR("{\"old\": \"x\", \"new\": \"y\"}"), NULL), DR_OK);
    assert_int_equal(r.n_places, 2);
    assert_int_equal(r.places[1].line, 2);
    assert_int_equal(r.places[1].tool, DR_TOOL_RENAME_EVERYWHERE);
    dr_tool_result_fini(&r);
    assert_int_equal(dr_tool_run(&r, &f.w, DR_STR("add_statement"), DR_STR("{\"name\": \"F\", \"statement\": \"g();\\nh();\"}"), NULL), DR_OK);
    assert_string_equal(r.text.data, "F is named f:\nedited a.c:2");
    assert_int_equal(r.n_places, 1);
    assert_int_equal(r.places[0].line, 2);
    assert_string_equal(r.subject.data, "f");
    dr_tool_result_fini(&r);
    close_folder(&f);
}

static void change__names_in_another_case(void **state)
{
    (void)state;
    static const file_text files[MAX_FILES] = {{"a.c", "#define List_Max 4\nint one;\nint One;\nint f(void)\n{\n    return List_Max;\n}\n"}};
    folder f;
    open_folder(&f, files);
    call(&f, "set_value", "LIST_MAX", "5", "LIST_MAX is named List_Max:\nedited a.c:1", DR_TOOL_DONE);
    call(&f, "set_value", "LIST_MAX", "5", "LIST_MAX is named List_Max:\nold and new are the same", DR_TOOL_REFUSED);
    call(&f, "set_value", "ONE", "5", "no symbol named ONE\nsimilar: One, one", DR_TOOL_NO_SYMBOL); /* which of them? */
    call(&f, "rename_everywhere", "LIST_MAX", "most", "LIST_MAX is named List_Max:\nrenamed 2 places in a.c: lines 1, 6", DR_TOOL_DONE);
    close_folder(&f);
    /* A word that stands in the code as it is asked for is that word, whatever else is defined. */
    static const file_text words[MAX_FILES] = {{"a.c", "void Copy(void);\nint g(void)\n{\n    return copy(1);\n}\n"}};
    open_folder(&f, words);
    call(&f, "find_refs", "copy", NULL, "a.c:4: call in g: return copy(1);", DR_TOOL_FOUND);
    call(&f, "calls", "g", "copy", "a.c:4: return copy(1);", DR_TOOL_FOUND);
    call(&f, "find_refs", "COPY", NULL, "COPY is named Copy:\nno references to Copy", DR_TOOL_NOTHING);
    close_folder(&f);
}

/* A qualified name means its last part; where there are other definitions of that, nothing is edited. */
static void edits__qualified_names(void **state)
{
    (void)state;
    static const char two[] = "class Tree:\n    LIMIT = 4\n    def put(self):\n        pass\n\n\nclass Heap:\n    LIMIT = 5\n    def put(self):\n        pass\n";
    static const char one[] = "class Tree:\n    LIMIT = 4\n    def put(self):\n        pass\n";
    one_file("a.py", two, "set_value", "Tree.LIMIT", "6", "Tree.LIMIT is one of several definitions of LIMIT, which edits do not tell apart", NULL);
    one_file("a.py", two, "rename_everywhere", "Tree.put", "add", "Tree.put is one of several definitions of put, which edits do not tell apart", NULL);
    one_file("a.py", two, "add_statement", "Tree.put", "return", "Tree.put is one of several definitions of put, which edits do not tell apart", NULL);
    one_file("a.py", one, "set_value", "Tree.LIMIT", "6", "Tree.LIMIT is named LIMIT:\nedited a.py:2",
             "class Tree:\n    LIMIT = 6\n    def put(self):\n        pass\n");
    one_file("a.py", one, "add_statement", "Tree::put", "return", "Tree::put is named put:\nedited a.py:4",
             "class Tree:\n    LIMIT = 4\n    def put(self):\n        return\n        pass\n");
    one_file("a.py", one, "rename_everywhere", "Tree.put", "add", "Tree.put is named put:\nrenamed 1 places in a.py: lines 3",
             "class Tree:\n    LIMIT = 4\n    def add(self):\n        pass\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits__qualified_names),
        cmocka_unit_test(set_value__in_every_language),
        cmocka_unit_test(set_value__many_definitions),
        cmocka_unit_test(set_value__after_an_edit),
        cmocka_unit_test(rename__all_files_or_none),
        cmocka_unit_test(rename__many_files),
        cmocka_unit_test(rename__a_file_that_cannot_be_edited),
        cmocka_unit_test(rename__keeps_secrets_masked),
        cmocka_unit_test(import__behind_the_last_one),
        cmocka_unit_test(import__the_first_one),
        cmocka_unit_test(import__as_the_repository_includes_it),
        cmocka_unit_test(import__refused),
        cmocka_unit_test(statement__at_the_start_of_a_body),
        cmocka_unit_test(statement__of_several_files_and_staged_texts),
        cmocka_unit_test(change__keeps_line_ends),
        cmocka_unit_test(change__needs_edits),
        cmocka_unit_test(change__places_are_those_of_the_text),
        cmocka_unit_test(change__names_in_another_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
