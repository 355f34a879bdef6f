/* What an import leads to. Every row is one file with its text, and what it is expected to say: "LINE NAME -> PATH". */
#include "tests/repo/make_repo.h"

#include "repo/imports.h"
#include "repo/symbols.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *path, *text, *want;
} files[] = {
    {"go.mod", "module example.org/team/tool // a comment\n\ngo 1.22\n", ""},
    {"main.go", "package main\nimport (\n\t\"fmt\"\n\tx \"example.org/team/tool/pkg/deep\"\n)\n",
     "3 fmt -> -\n4 example.org/team/tool/pkg/deep -> pkg/deep/b.go\n"},
    {"pkg/deep/a_test.go", "package deep\n", ""},
    {"pkg/deep/b.go", "package deep\nimport \"example.org/team/tool\"\nimport \"example.org/other/pkg/deep\"\n",
     "2 example.org/team/tool -> main.go\n3 example.org/other/pkg/deep -> -\n"},
    {"src/a.c",
     "#include <stdio.h>\n#include \"a.h\"\n#include \"../lib/x/b.h\"\n#include <net/c.h>\n#include MACRO\n#include \"gone.h\"\n",
     "1 stdio.h -> -\n2 a.h -> src/a.h\n3 ../lib/x/b.h -> lib/x/b.h\n4 net/c.h -> include/net/c.h\n6 gone.h -> -\n"},
    {"src/a.h", "#include \"c.h\"\n", "1 c.h -> include/net/c.h\n"},
    {"other/stdio.h", "int not_the_systems;\n", ""},
    {"lib/x/b.h", "int b;\n", ""},
    {"include/net/c.h", "int c;\n", ""},
    {"lib/py/__init__.py", "from . import one\nfrom .one import f, g\nimport os, lib.py.two as t\nfrom .. import nothing\n",
     "1 . -> -\n1 .one -> lib/py/one.py\n2 .one -> lib/py/one.py\n3 os -> -\n3 lib.py.two -> lib/py/two/__init__.py\n4 .. -> -\n"},
    {"lib/py/one.py", "import json\nfrom py import two\nfrom ..py.two import *\n",
     "1 json -> -\n2 py -> lib/py/__init__.py\n2 py.two -> lib/py/two/__init__.py\n3 ..py.two -> lib/py/two/__init__.py\n"},
    {"lib/py/two/__init__.py", "f = 1\n", ""},
    {"tests/data/json.py", "x = 1\n", ""},
    {"web/a.js",
     "import b from './b';\nconst c = require('../web/c.js'), fs = require('fs');\nexport * from './dir';\nimport('./b.mjs');\n"
     "import u from '@scope/util';\n`${require('./' + c)}`;\n",
     "1 ./b -> web/b.ts\n2 ../web/c.js -> web/c.ts\n2 fs -> -\n3 ./dir -> web/dir/index.js\n4 ./b.mjs -> web/b.mjs\n"
     "5 @scope/util -> packages/util/src/index.ts\n"},
    {"web/b.mjs", "1;\n", ""},
    {"web/b.ts", "export {};\n", ""},
    {"web/c.ts", "import x = require('./dir/');\n", "1 ./dir/ -> web/dir/index.js\n"},
    {"web/dir/index.js", "require('../../../../etc/passwd');\n", "1 ../../../../etc/passwd -> -\n"},
    {"packages/util/src/index.ts", "export {};\n", ""},
    {"rs/src/lib.rs", "mod one;\nmod two { mod inner; }\nuse crate::one::{self as o, deep::{Thing, *}};\nuse std::io;\n",
     "1 one -> rs/src/one.rs\n2 inner -> -\n3 crate::one::self -> rs/src/one.rs\n3 crate::one::deep::Thing -> rs/src/one/deep.rs\n"
     "3 crate::one::deep -> rs/src/one/deep.rs\n4 std::io -> -\n"},
    {"rs/src/one.rs", "mod deep;\nuse super::two;\nuse self::deep::Thing;\nuse helper_crate::x;\n",
     "1 deep -> rs/src/one/deep.rs\n2 super::two -> rs/src/lib.rs\n3 self::deep::Thing -> rs/src/one/deep.rs\n"
     "4 helper_crate::x -> helper-crate/src/lib.rs\n"},
    {"rs/src/one/deep.rs", "pub struct Thing;\n", ""},
    {"helper-crate/src/lib.rs", "pub mod x {}\n", ""},
    {"java/src/main/java/org/a/One.java",
     "package org.a;\nimport org.a.b.Two;\nimport static org.a.b.Two.CONST;\nimport java.util.*;\nimport org.a.b.Two.Inner;\nclass One {}\n",
     "2 org.a.b.Two -> java/src/main/java/org/a/b/Two.java\n3 org.a.b.Two.CONST -> java/src/main/java/org/a/b/Two.java\n"
     "4 java.util.* -> -\n5 org.a.b.Two.Inner -> java/src/main/java/org/a/b/Two.java\n"},
    {"java/src/main/java/org/a/b/Two.java", "package org.a.b;\nclass Two {}\n", ""},
};
enum { N_FILES = sizeof files / sizeof *files };

static void imports__lead_to_files(void **state)
{
    world w = world_begin();
    dr_symbols *s = NULL;
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "p/%s", files[i].path);
        write_text(in(&w, path), files[i].text);
    }
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_symbols_open(&s, r, NULL, NULL), DR_OK);
    size_t n_names;
    const dr_str *names = dr_symbols_names(s, &n_names);
    for (int i = 0; i < N_FILES; i++) {
        const dr_sym_import *m;
        dr_buf got = {0};
        size_t file;
        assert_true(dr_repo_find(r, dr_str_of(files[i].path), &file));
        const size_t n = dr_symbols_imports(s, file, &m);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(m[k].file, file);
            assert_true(m[k].name >= n_names); /* labels stand behind the names that can be found */
            dr_buf_printf(&got, "%u %.*s -> %s\n", m[k].line, (int)names[m[k].name].n, names[m[k].name].s,
                          m[k].target == DR_SYM_NONE ? "-" : dr_repo_file_at(r, m[k].target)->path.s);
        }
        if (strcmp(got.data ? got.data : "", files[i].want) != 0)
            fail_msg("%s imports\n%snot\n%s", files[i].path, got.data ? got.data : "", files[i].want);
        dr_buf_free(&got);
    }
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

/* Every import that leads to a file is listed once with that file, by path, then line; nothing else is. */
static void importers__are_the_imports_turned_round(void **state)
{
    world w = world_begin();
    dr_symbols *s = NULL;
    (void)state;
    for (int i = 0; i < N_FILES; i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "p/%s", files[i].path);
        write_text(in(&w, path), files[i].text);
    }
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_symbols_open(&s, r, NULL, NULL), DR_OK);
    size_t n_led = 0, n_listed = 0;
    for (size_t f = 0; f < dr_repo_n_files(r); f++) {
        const dr_sym_import *m;
        const uint32_t *by;
        const size_t n = dr_symbols_imports(s, f, &m), n_by = dr_symbols_importers(s, f, &by);
        for (size_t i = 0; i < n; i++)
            n_led += m[i].target != DR_SYM_NONE;
        n_listed += n_by;
        for (size_t i = 0; i < n_by; i++) {
            const dr_sym_import *a = dr_symbols_import(s, by[i]);
            assert_int_equal(a->target, f);
            if (i) {
                const dr_sym_import *before = dr_symbols_import(s, by[i - 1]);
                assert_true(before->file < a->file || (before->file == a->file && before->line <= a->line));
            }
        }
    }
    assert_true(n_led > 20);
    assert_int_equal(n_led, n_listed);
    assert_int_equal(dr_symbols_imports(s, dr_repo_n_files(r), &(const dr_sym_import *){0}), 0);
    assert_int_equal(dr_symbols_importers(s, dr_repo_n_files(r), &(const uint32_t *){0}), 0);
    dr_symbols_close(s);
    dr_repo_close(r);
    world_end(&w);
}

/* Names made to lead outside, to be long, or to be nothing, in every form. */
static void hostile_names__lead_nowhere(void **state)
{
    static const char *const names[] = {"",       ".",        "..",    "...",       "/",      "//",      "../../..",
                                        "::",     "super",    "self::super::super",   "crate",  "\\",      "\\\\a\\",
                                        "a..b",   ".....a",   "@",     "@/",        "./",     "*",       "a.*",
                                        "/etc/passwd", "a/../../../b", "::*",   "x::{", "crate::*"};
    world w = world_begin();
    dr_paths *p = NULL;
    char longest[4000];
    (void)state;
    write_text(in(&w, "p/a/b.rs"), "x\n");
    write_text(in(&w, "p/c.py"), "x\n");
    write_text(in(&w, "p/d.js"), "x\n");
    write_text(in(&w, "p/e.php"), "x\n");
    dr_repo *r = open_ok(in(&w, "p"), NULL);
    assert_int_equal(dr_paths_new(&p, r, NULL), DR_OK);
    memset(longest, 'a', sizeof longest);
    for (size_t i = 3; i < sizeof longest; i += 4)
        longest[i] = "./\\:"[i / 4 % 4];
    for (size_t f = 0; f < dr_repo_n_files(r); f++)
        for (int form = 0; form < DR_N_IMPORT_FORMS; form++) {
            for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                const uint32_t to = dr_paths_resolve(p, f, dr_str_of(names[i]), (dr_import_form)form);
                assert_true(to == DR_SYM_NONE || to < dr_repo_n_files(r));
                assert_true(to != f);
            }
            for (size_t n = 1; n < sizeof longest; n += n < 200 ? 1 : 97)
                assert_int_equal(dr_paths_resolve(p, f, (dr_str){longest, n}, (dr_import_form)form), DR_SYM_NONE);
        }
    dr_paths_free(p);
    dr_repo_close(r);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imports__lead_to_files),
        cmocka_unit_test(importers__are_the_imports_turned_round),
        cmocka_unit_test(hostile_names__lead_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
