#include "repo/imports.h"

#include "repo/name_set.h"
#include "repo/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_PATH_BYTES = 1024,
    MAX_PARTS = 64,
    MAX_TRIED = 4096, /* files of one name: a repository may hold any number of them */
    MAX_MODULES = 256,
};

typedef struct go_module {
    dr_buf name;
    dr_str folder;
} go_module;

struct dr_paths {
    const dr_repo *repo;
    dr_name_set bases;        /* last parts of files */
    dr_name_set folders;      /* whole paths of folders, "" too */
    dr_name_set folder_bases; /* last parts of folders */
    uint32_t *base_head, *base_next;     /* file + 1, in path order */
    uint32_t *folder_head, *folder_next; /* folder + 1, in path order */
    uint32_t *folder_file;               /* the first file of the folder, in path order */
    go_module modules[MAX_MODULES];
    size_t n_modules;
};

typedef struct room {
    char s[MAX_PATH_BYTES];
    size_t n;
    bool failed;
} room;

static dr_str folder_of(dr_str path)
{
    while (path.n > 0 && path.s[path.n - 1] != '/')
        path.n--;
    return (dr_str){path.s, path.n ? path.n - 1 : 0};
}

static dr_str last_part(dr_str path)
{
    size_t at = path.n;
    while (at > 0 && path.s[at - 1] != '/')
        at--;
    return (dr_str){path.s + at, path.n - at};
}

static dr_str ending_of(dr_str path)
{
    const dr_str base = last_part(path);
    for (size_t i = base.n; i-- > 1;)
        if (base.s[i] == '.')
            return (dr_str){base.s + i, base.n - i};
    return DR_STR("");
}

static bool begins(dr_str s, const char *with)
{
    const size_t n = strlen(with);
    return s.n >= n && memcmp(s.s, with, n) == 0;
}

static bool ends(dr_str s, const char *with)
{
    const size_t n = strlen(with);
    return s.n >= n && memcmp(s.s + s.n - n, with, n) == 0;
}

static bool is_file(const dr_repo_file *f)
{
    return f->cls != DR_FILE_REFUSED && f->cls != DR_FILE_SUBMODULE;
}

/* Adds `folder` and what is around it. */
static bool add_folders(dr_paths *p, dr_str folder)
{
    for (;;) {
        const size_t before = p->folders.n;
        if (dr_name_set_add(&p->folders, folder) < 0)
            return false;
        if (p->folders.n == before || folder.n == 0)
            return true;
        folder = folder_of(folder);
    }
}

static bool add_all(dr_paths *p)
{
    const size_t n = dr_repo_n_files(p->repo);

    for (size_t i = 0; i < n; i++) {
        const dr_repo_file *f = dr_repo_file_at(p->repo, i);
        if (is_file(f) && (dr_name_set_add(&p->bases, last_part(f->path)) < 0 || !add_folders(p, folder_of(f->path))))
            return false;
    }
    for (size_t i = 0; i < p->folders.n; i++)
        if (dr_name_set_add(&p->folder_bases, last_part(p->folders.list[i])) < 0)
            return false;
    if (!(p->base_head = calloc(p->bases.n + 1, sizeof *p->base_head)) ||
        !(p->base_next = calloc(n + 1, sizeof *p->base_next)) ||
        !(p->folder_head = calloc(p->folder_bases.n + 1, sizeof *p->folder_head)) ||
        !(p->folder_next = calloc(p->folders.n + 1, sizeof *p->folder_next)) ||
        !(p->folder_file = calloc(p->folders.n + 1, sizeof *p->folder_file)))
        return false;
    for (size_t i = n; i-- > 0;) { /* from the end, so that the lists begin with the first */
        const dr_repo_file *f = dr_repo_file_at(p->repo, i);
        if (!is_file(f))
            continue;
        uint32_t *head = &p->base_head[dr_name_set_find(&p->bases, last_part(f->path))];
        p->base_next[i] = *head;
        *head = (uint32_t)i + 1;
        p->folder_file[dr_name_set_find(&p->folders, folder_of(f->path))] = (uint32_t)i + 1;
    }
    for (size_t i = p->folders.n; i-- > 0;) {
        uint32_t *head = &p->folder_head[dr_name_set_find(&p->folder_bases, last_part(p->folders.list[i]))];
        p->folder_next[i] = *head;
        *head = (uint32_t)i + 1;
    }
    return true;
}

/* What go.mod calls its folder: the rest of the line that begins with "module". */
static bool learn_modules(dr_paths *p)
{
    const int64_t base = dr_name_set_find(&p->bases, DR_STR("go.mod"));
    bool ok = true;
    for (uint32_t i = base >= 0 ? p->base_head[base] : 0; ok && i && p->n_modules < MAX_MODULES; i = p->base_next[i - 1]) {
        go_module *m = &p->modules[p->n_modules];
        dr_buf text = {0};
        if (dr_repo_read_exact(p->repo, i - 1, &text, NULL) == DR_OK) {
            dr_str all = dr_buf_view(&text);
            for (uint32_t line = 1; line <= 40; line++) {
                dr_str s = dr_text_line_at(all, line);
                if (!begins(s, "module "))
                    continue;
                s = (dr_str){s.s + 7, s.n - 7};
                while (s.n && (s.s[0] == ' ' || s.s[0] == '"'))
                    s.s++, s.n--;
                size_t n = 0;
                while (n < s.n && s.s[n] > ' ' && s.s[n] != '"')
                    n++;
                dr_buf_add(&m->name, s.s, n);
                m->folder = folder_of(dr_repo_file_at(p->repo, i - 1)->path);
                ok = !m->name.failed;
                p->n_modules += n > 0;
                break;
            }
        }
        dr_buf_free(&text);
    }
    return ok;
}

dr_status dr_paths_new(dr_paths **out, const dr_repo *repo, dr_error *err)
{
    dr_paths *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p || (p->repo = repo, !add_all(p) || !learn_modules(p))) {
        dr_paths_free(p);
        return dr_fail(err, DR_ERR_NOMEM, "imports: out of memory");
    }
    *out = p;
    return DR_OK;
}

void dr_paths_free(dr_paths *p)
{
    if (!p)
        return;
    dr_name_set_fini(&p->bases);
    dr_name_set_fini(&p->folders);
    dr_name_set_fini(&p->folder_bases);
    free(p->base_head);
    free(p->base_next);
    free(p->folder_head);
    free(p->folder_next);
    free(p->folder_file);
    for (size_t i = 0; i < MAX_MODULES; i++)
        dr_buf_free(&p->modules[i].name);
    free(p);
}

static void put(room *r, dr_str s)
{
    if (s.n > sizeof r->s - r->n) {
        r->failed = true;
        return;
    }
    if (s.n)
        memcpy(r->s + r->n, s.s, s.n);
    r->n += s.n;
}

static dr_str view(const room *r)
{
    return (dr_str){r->s, r->failed ? 0 : r->n};
}

/* A part of a path onto a path; "." and ".." do what they say. False: out of the repository, or too long. */
static bool put_part(room *r, dr_str part)
{
    if (part.n == 0 || dr_str_eq(part, DR_STR(".")))
        return true;
    if (dr_str_eq(part, DR_STR(".."))) {
        if (r->n == 0)
            return false;
        r->n = folder_of((dr_str){r->s, r->n}).n;
        return true;
    }
    if (r->n)
        put(r, DR_STR("/"));
    put(r, part);
    return !r->failed;
}

static bool put_path(room *r, dr_str path)
{
    for (size_t at = 0; at <= path.n;) {
        const char *slash = at < path.n ? memchr(path.s + at, '/', path.n - at) : NULL;
        const size_t end = slash ? (size_t)(slash - path.s) : path.n;
        if (!put_part(r, (dr_str){path.s + at, end - at}))
            return false;
        at = end + 1;
    }
    return true;
}

static uint32_t exact(const dr_paths *p, dr_str path)
{
    size_t i;
    return path.n && dr_repo_find(p->repo, path, &i) && is_file(dr_repo_file_at(p->repo, i)) ? (uint32_t)i
                                                                                              : DR_SYM_NONE;
}

/* path + one of the endings (a list with '|' behind each); the first that is there. */
static uint32_t with_ending(const dr_paths *p, dr_str path, const char *endings)
{
    for (const char *e = endings; *e;) {
        const char *bar = strchr(e, '|');
        const size_t n = bar ? (size_t)(bar - e) : strlen(e);
        room r = {.n = 0};
        put(&r, path);
        put(&r, (dr_str){e, n});
        const uint32_t found = exact(p, view(&r));
        if (found != DR_SYM_NONE)
            return found;
        e += n + (bar != NULL);
    }
    return DR_SYM_NONE;
}

static uint32_t parts_in_common(dr_str a, dr_str b)
{
    uint32_t n = 0;
    for (size_t i = 0; i < a.n && i < b.n && a.s[i] == b.s[i]; i++)
        n += a.s[i] == '/';
    return n;
}

/* May what stands before the imported name in a candidate's path (without its last slash) be left unsaid? */
typedef bool may_lead(dr_str before, dr_str from_folder);

static bool any_lead(dr_str before, dr_str from_folder)
{
    (void)before;
    (void)from_folder;
    return true;
}

static bool is_around(dr_str outer, dr_str inner)
{
    return outer.n == 0 ||
           (inner.n >= outer.n && memcmp(inner.s, outer.s, outer.n) == 0 && (inner.n == outer.n || inner.s[outer.n] == '/'));
}

static bool is_source_folder(dr_str folder)
{
    static const char *const names[] = {"src", "lib", "include", "inc", "python", "java", "kotlin", "scala", "app"};
    const dr_str last = last_part(folder);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (dr_str_eq(last, dr_str_of(names[i])))
            return true;
    return false;
}

static bool source_lead(dr_str before, dr_str from_folder)
{
    return is_around(before, from_folder) || is_source_folder(before);
}

static bool header_lead(dr_str before, dr_str from_folder)
{
    const dr_str last = last_part(before);
    return before.n == 0 || dr_str_eq(before, from_folder) || dr_str_eq(last, DR_STR("include")) ||
           dr_str_eq(last, DR_STR("inc")) || dr_str_eq(last, DR_STR("src")) || dr_str_eq(last, DR_STR("uapi"));
}

typedef struct choice {
    uint32_t best, common;
    size_t n;
} choice;

/* Closest to the importing file, then the shorter path, then the first. */
static void consider(choice *c, uint32_t candidate, dr_str path, dr_str wanted, dr_str from, may_lead *may)
{
    if (path.n < wanted.n || memcmp(path.s + path.n - wanted.n, wanted.s, wanted.n) != 0)
        return;
    const size_t lead = path.n - wanted.n;
    if ((lead && path.s[lead - 1] != '/') || !may((dr_str){path.s, lead ? lead - 1 : 0}, folder_of(from)))
        return;
    const uint32_t common = parts_in_common(path, from);
    if (c->best == DR_SYM_NONE || common > c->common || (common == c->common && path.n < c->n))
        *c = (choice){candidate, common, path.n};
}

static uint32_t closest_file(const dr_paths *p, dr_str wanted, dr_str from, may_lead *may)
{
    choice c = {.best = DR_SYM_NONE};
    const int64_t base = wanted.n ? dr_name_set_find(&p->bases, last_part(wanted)) : DR_NAME_MISSING;
    uint32_t i = base >= 0 ? p->base_head[base] : 0;
    for (int tried = 0; i && tried < MAX_TRIED; i = p->base_next[i - 1], tried++)
        consider(&c, i - 1, dr_repo_file_at(p->repo, i - 1)->path, wanted, from, may);
    return c.best;
}

static uint32_t closest_folder(const dr_paths *p, dr_str wanted, dr_str from, may_lead *may)
{
    choice c = {.best = DR_SYM_NONE};
    const int64_t base = wanted.n ? dr_name_set_find(&p->folder_bases, last_part(wanted)) : DR_NAME_MISSING;
    uint32_t i = base >= 0 ? p->folder_head[base] : 0;
    for (int tried = 0; i && tried < MAX_TRIED; i = p->folder_next[i - 1], tried++)
        consider(&c, i - 1, p->folders.list[i - 1], wanted, from, may);
    return c.best;
}

static bool is_scripted(dr_str ending)
{
    static const char *const endings[] = {".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (dr_str_eq(ending, dr_str_of(endings[i])))
            return true;
    return false;
}

static const char script_endings[] = ".ts|.tsx|.js|.jsx|.mjs|.cjs|.mts|.cts|.d.ts|.json|/index.ts|/index.tsx|/index.js|/index.mjs|/index.cjs";

/* './a' of JavaScript and TypeScript: endings and index files are left unsaid, and ".js" may mean a ".ts". */
static uint32_t script_path(const dr_paths *p, dr_str path)
{
    uint32_t found = exact(p, path);
    if (found == DR_SYM_NONE)
        found = with_ending(p, path, script_endings);
    const dr_str ending = ending_of(path);
    if (found == DR_SYM_NONE && (dr_str_eq(ending, DR_STR(".js")) || dr_str_eq(ending, DR_STR(".mjs"))))
        found = with_ending(p, (dr_str){path.s, path.n - ending.n}, ".ts|.tsx|.mts|.d.ts");
    return found;
}

static uint32_t by_path(const dr_paths *p, dr_str from, dr_str name)
{
    room r = {.n = 0};
    const dr_str ending = ending_of(from);
    const bool dotted = begins(name, "./") || begins(name, "../") || dr_str_eq(name, DR_STR(".")) || dr_str_eq(name, DR_STR(".."));
    uint32_t found = DR_SYM_NONE;

    if (is_scripted(ending)) {
        if (dotted) {
            put(&r, folder_of(from));
            return put_path(&r, name) ? script_path(p, view(&r)) : DR_SYM_NONE;
        }
        /* A package of the same repository lies in packages/NAME. */
        put(&r, DR_STR("packages"));
        if (begins(name, "@"))
            name = last_part(name);
        if (!put_path(&r, name))
            return DR_SYM_NONE;
        found = script_path(p, view(&r));
        return found != DR_SYM_NONE ? found : with_ending(p, view(&r), "/src/index.ts|/src/index.tsx|/src/index.js|/lib/index.js");
    }
    put(&r, folder_of(from));
    if (!begins(name, "/") && put_path(&r, name)) {
        found = exact(p, view(&r));
        if (found == DR_SYM_NONE && ending.n) {
            put(&r, ending);
            found = exact(p, view(&r));
        }
    }
    if (found == DR_SYM_NONE) { /* what is written after the last ".." */
        for (;;) {
            if (begins(name, "../"))
                name = (dr_str){name.s + 3, name.n - 3};
            else if (begins(name, "./"))
                name = (dr_str){name.s + 2, name.n - 2};
            else
                break;
        }
        found = closest_file(p, name, from, any_lead);
    }
    return found;
}

static uint32_t by_include(const dr_paths *p, dr_str from, dr_str name)
{
    const bool has_folder = memchr(name.s, '/', name.n) != NULL;
    uint32_t found = closest_file(p, name, from, header_lead);
    /* <stdio.h> is the system's, whatever a folder of the repository holds; <net/route.h> is told apart by its folder */
    if (found == DR_SYM_NONE && has_folder)
        found = closest_file(p, name, from, any_lead);
    return found;
}

static uint32_t by_python(const dr_paths *p, dr_str from, dr_str name)
{
    static const char endings[] = ".py|.pyi|/__init__.py|/__init__.pyi";
    room r = {.n = 0};
    size_t dots = 0;
    uint32_t found;

    while (dots < name.n && name.s[dots] == '.')
        dots++;
    if (dots) {
        put(&r, folder_of(from));
        for (size_t i = 1; i < dots; i++)
            if (!put_part(&r, DR_STR("..")))
                return DR_SYM_NONE;
    }
    for (size_t at = dots; at < name.n;) {
        const char *dot = memchr(name.s + at, '.', name.n - at);
        const size_t end = dot ? (size_t)(dot - name.s) : name.n;
        if (!put_part(&r, (dr_str){name.s + at, end - at}))
            return DR_SYM_NONE;
        at = end + 1;
    }
    if (dots)
        return r.n == 0 ? with_ending(p, DR_STR(""), "__init__.py") : with_ending(p, view(&r), endings);
    if ((found = with_ending(p, view(&r), endings)) != DR_SYM_NONE)
        return found;
    const size_t n = r.n;
    put(&r, DR_STR(".py"));
    if ((found = closest_file(p, view(&r), from, source_lead)) != DR_SYM_NONE)
        return found;
    r.n = n;
    const uint32_t folder = closest_folder(p, view(&r), from, source_lead);
    return folder == DR_SYM_NONE ? DR_SYM_NONE : with_ending(p, p->folders.list[folder], "/__init__.py|/__init__.pyi");
}

/* The first file of a folder that is part of the package, tests last. */
static uint32_t first_go_file(const dr_paths *p, uint32_t folder)
{
    const dr_str path = p->folders.list[folder];
    uint32_t test = DR_SYM_NONE;
    for (size_t i = p->folder_file[folder]; i > 0 && i <= dr_repo_n_files(p->repo); i++) {
        const dr_str f = dr_repo_file_at(p->repo, i - 1)->path;
        if (!is_around(path, f))
            break;
        if (!dr_str_eq(folder_of(f), path) || !ends(f, ".go"))
            continue;
        if (!ends(f, "_test.go"))
            return (uint32_t)i - 1;
        test = test == DR_SYM_NONE ? (uint32_t)i - 1 : test;
    }
    return test;
}

static uint32_t go_folder(const dr_paths *p, dr_str folder, dr_str rest)
{
    room r = {.n = 0};
    put(&r, folder);
    if (!put_path(&r, rest))
        return DR_SYM_NONE;
    const int64_t i = dr_name_set_find(&p->folders, view(&r));
    return i >= 0 ? first_go_file(p, (uint32_t)i) : DR_SYM_NONE;
}

static uint32_t by_go(const dr_paths *p, dr_str name)
{
    uint32_t found = DR_SYM_NONE;
    size_t longest = 0;
    for (size_t i = 0; i < p->n_modules; i++) {
        const dr_str module = dr_buf_view(&p->modules[i].name);
        if (module.n <= longest || !is_around(module, name))
            continue;
        const uint32_t file = go_folder(p, p->modules[i].folder, (dr_str){name.s + module.n, name.n - module.n});
        if (file != DR_SYM_NONE) {
            found = file;
            longest = module.n;
        }
    }
    return found != DR_SYM_NONE ? found : go_folder(p, DR_STR("vendor"), name);
}

/* Where the modules below a Rust file lie: its folder when it is mod.rs, lib.rs or main.rs, else the folder of its name. */
static bool put_rust_home(room *r, dr_str from)
{
    const dr_str base = last_part(from);
    if (!put_path(r, folder_of(from)))
        return false;
    if (dr_str_eq(base, DR_STR("mod.rs")) || dr_str_eq(base, DR_STR("lib.rs")) || dr_str_eq(base, DR_STR("main.rs")))
        return true;
    return put_part(r, (dr_str){base.s, base.n > 3 ? base.n - 3 : 0});
}

/* The longest beginning of parts below a folder that is a module: the rest are items in it. */
static uint32_t rust_module(const dr_paths *p, const room *home, const dr_str *parts, size_t n)
{
    for (; n > 0; n--) {
        room r = *home;
        bool ok = true;
        for (size_t i = 0; i < n && ok; i++)
            ok = put_part(&r, parts[i]);
        const uint32_t found = ok ? with_ending(p, view(&r), ".rs|/mod.rs") : DR_SYM_NONE;
        if (found != DR_SYM_NONE)
            return found;
    }
    return DR_SYM_NONE;
}

static uint32_t by_rust(const dr_paths *p, dr_str from, dr_str name)
{
    dr_str parts[MAX_PARTS];
    size_t n = 0, first = 0;
    room r = {.n = 0};

    for (size_t at = 0; at < name.n && n < MAX_PARTS;) {
        const char *next = memmem(name.s + at, name.n - at, "::", 2);
        const size_t end = next ? (size_t)(next - name.s) : name.n;
        if (end > at && !dr_str_eq((dr_str){name.s + at, end - at}, DR_STR("*")))
            parts[n++] = (dr_str){name.s + at, end - at};
        at = end + 2;
    }
    if (n == 0)
        return DR_SYM_NONE;
    if (dr_str_eq(parts[0], DR_STR("self")) || dr_str_eq(parts[0], DR_STR("super"))) {
        if (!put_rust_home(&r, from))
            return DR_SYM_NONE;
        for (first = dr_str_eq(parts[0], DR_STR("self")); first < n && dr_str_eq(parts[first], DR_STR("super")); first++)
            if (!put_part(&r, DR_STR("..")))
                return DR_SYM_NONE;
        const uint32_t found = rust_module(p, &r, parts + first, n - first);
        return found != DR_SYM_NONE ? found : with_ending(p, view(&r), ".rs|/mod.rs|/lib.rs|/main.rs");
    }
    if (dr_str_eq(parts[0], DR_STR("crate"))) {
        dr_str root = folder_of(from); /* the innermost folder around that holds the crate's first file */
        for (;; root = folder_of(root)) {
            r.n = 0;
            put(&r, root);
            if (root.n)
                put(&r, DR_STR("/"));
            const uint32_t first_file = with_ending(p, view(&r), "lib.rs|main.rs");
            if (first_file != DR_SYM_NONE) {
                r.n = root.n;
                const uint32_t found = rust_module(p, &r, parts + 1, n - 1);
                return found != DR_SYM_NONE ? found : first_file;
            }
            if (root.n == 0)
                return DR_SYM_NONE;
        }
    }
    /* Another crate of the same repository: a folder of its name, with '-' for '_', that holds src/lib.rs. */
    char folder[256];
    if (parts[0].n >= sizeof folder)
        return DR_SYM_NONE;
    for (int dashes = 0; dashes < 2; dashes++) {
        for (size_t i = 0; i < parts[0].n; i++)
            folder[i] = parts[0].s[i] == '_' && dashes ? '-' : parts[0].s[i];
        const uint32_t at = closest_folder(p, (dr_str){folder, parts[0].n}, from, any_lead);
        if (at == DR_SYM_NONE)
            continue;
        r = (room){.n = 0};
        put(&r, p->folders.list[at]);
        put(&r, DR_STR("/src"));
        const uint32_t lib = with_ending(p, view(&r), "/lib.rs");
        if (lib == DR_SYM_NONE)
            continue;
        const uint32_t found = rust_module(p, &r, parts + 1, n - 1);
        return found != DR_SYM_NONE ? found : lib;
    }
    return DR_SYM_NONE;
}

/* A type by its full name: a file of the type's name in folders of its package's. */
static uint32_t by_type(const dr_paths *p, dr_str from, dr_str name)
{
    const bool backslash = memchr(name.s, '\\', name.n) != NULL;
    const dr_str ending = ending_of(from);
    room r = {.n = 0};
    size_t n = 0, starts[MAX_PARTS];

    if (ends(name, "*"))
        return DR_SYM_NONE;
    for (size_t i = 0; i < name.n; i++) {
        if (n < MAX_PARTS && (r.n == 0 || r.s[r.n - 1] == '/'))
            starts[n++] = r.n;
        const bool separator = name.s[i] == (backslash ? '\\' : '.');
        if (separator && r.n == 0)
            n = 0;
        else
            put(&r, separator ? DR_STR("/") : (dr_str){name.s + i, 1});
    }
    if (r.failed || n < 2)
        return DR_SYM_NONE;
    /* The last parts may be members of the type, and in PHP the first ones may stand for a folder of another name. */
    for (size_t last = n; last >= 2 && last + 3 > n; last--) {
        const size_t end = last < n ? starts[last] - 1 : r.n;
        for (size_t from_part = 0; from_part < (backslash ? last - 1 : 1); from_part++) {
            room file = {.n = 0};
            put(&file, (dr_str){r.s + starts[from_part], end - starts[from_part]});
            put(&file, ending);
            const uint32_t found = closest_file(p, view(&file), from, any_lead);
            if (found != DR_SYM_NONE)
                return found;
        }
        if (backslash)
            break;
    }
    return DR_SYM_NONE;
}

static uint32_t by_load(const dr_paths *p, dr_str from, dr_str name)
{
    const dr_str ending = ending_of(from);
    room r = {.n = 0};
    const bool lua = dr_str_eq(ending, DR_STR(".lua"));
    for (size_t i = 0; i < name.n; i++)
        put(&r, lua && name.s[i] == '.' ? DR_STR("/") : (dr_str){name.s + i, 1});
    if (!ends(view(&r), ending.n ? ending.s : ""))
        put(&r, ending);
    return closest_file(p, view(&r), from, source_lead);
}

uint32_t dr_paths_resolve(const dr_paths *p, size_t from, dr_str name, dr_import_form form)
{
    const dr_str path = dr_repo_file_at(p->repo, from)->path;
    uint32_t found = DR_SYM_NONE;
    room r = {.n = 0};

    if (name.n == 0 || name.n >= MAX_PATH_BYTES / 2)
        return DR_SYM_NONE;
    switch (form) {
    case DR_IMPORT_PATH: found = by_path(p, path, name); break;
    case DR_IMPORT_INCLUDE: found = by_include(p, path, name); break;
    case DR_IMPORT_PYTHON:
    case DR_IMPORT_PYTHON_MAYBE: found = by_python(p, path, name); break;
    case DR_IMPORT_GO: found = by_go(p, name); break;
    case DR_IMPORT_RUST: found = by_rust(p, path, name); break;
    case DR_IMPORT_RUST_MOD:
        if (put_rust_home(&r, path) && put_part(&r, name))
            found = with_ending(p, view(&r), ".rs|/mod.rs");
        break;
    case DR_IMPORT_TYPE: found = by_type(p, path, name); break;
    case DR_IMPORT_LOAD: found = by_load(p, path, name); break;
    case DR_IMPORT_PLAIN:
    case DR_N_IMPORT_FORMS: break;
    }
    return found == from ? DR_SYM_NONE : found;
}
