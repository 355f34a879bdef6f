#include "app/known.h"

#include "app/tools_parts.h"
#include "app/turn_grammar.h"

#include <ctype.h>
#include <string.h>

enum { SHORTEST = 2, SHORTEST_IN_OTHER_CASE = 4, LONGEST_ODD = 64, MOST_FOUND = 64 };

typedef struct found {
    dr_str word;
    const char *what;
    bool member;
} found;

typedef struct finder {
    const dr_workspace *w;
    found v[MOST_FOUND];
    size_t n, n_words;
} finder;

static void add(finder *f, dr_str word, const char *what, bool member)
{
    for (size_t i = 0; i < f->n; i++)
        if (dr_str_eq(f->v[i].word, word))
            return;
    if (f->n < MOST_FOUND)
        f->v[f->n++] = (found){word, what, member};
}

static void add_definition(finder *f, dr_str word, const dr_sym_def *d)
{
    add(f, word, dr_sym_kind_name((dr_sym_kind)d->kind), dr_sym_kind_rank((dr_sym_kind)d->kind) == 1);
}

static bool add_name(finder *f, dr_str word)
{
    const dr_sym_def *defs;
    dr_str real = word;
    if (word.n < SHORTEST)
        return false;
    if (dr_symbols_find(f->w->symbols, word, &defs) == 0 &&
        (word.n < SHORTEST_IN_OTHER_CASE || !dr_tool__in_other_case(&real, f->w->symbols, word) || dr_symbols_find(f->w->symbols, real, &defs) == 0))
        return false;
    add_definition(f, word, defs);
    return true;
}

/* Names that begin with the word before `at` and are more than it. */
static void add_odd_names(finder *f, dr_str text, size_t first, size_t at)
{
    const dr_sym_def *defs;
    while (at < text.n && at - first < LONGEST_ODD && !isspace((unsigned char)text.s[at])) {
        const dr_str name = {text.s + first, ++at - first};
        const bool inside = at < text.n && dr_words_byte((unsigned char)text.s[at]) && dr_words_byte((unsigned char)text.s[at - 1]);
        if (!inside && dr_symbols_find(f->w->symbols, name, &defs))
            add_definition(f, name, defs);
    }
}

/* Where the longest qualified name that begins with the word before `at` ends; 0: there is none. */
static size_t add_qualified(finder *f, dr_str text, size_t first, size_t at)
{
    const dr_sym_def *best = NULL;
    size_t longest = 0;
    for (size_t end = at; end < text.n && end - first < LONGEST_ODD;) {
        const size_t joint = end + 1 < text.n && (memcmp(text.s + end, "::", 2) == 0 || memcmp(text.s + end, "->", 2) == 0) ? 2 : strchr(".:#", text.s[end]) && text.s[end];
        const size_t from = end + joint;
        dr_str qualifier, bare;
        for (end = from; end < text.n && dr_words_byte((unsigned char)text.s[end]);)
            end++;
        if (joint == 0 || end == from)
            break;
        const dr_sym_def *d = dr_tool__qualified(&qualifier, &bare, f->w, (dr_str){text.s + first, end - first});
        if (d) {
            best = d;
            longest = end;
        }
    }
    if (best)
        add_definition(f, (dr_str){text.s + first, longest - first}, best);
    return longest;
}

static bool is_file(const dr_workspace *w, dr_str name)
{
    size_t file;
    if (dr_tool__files_named(w, name, &file, 1))
        return true;
    for (size_t i = 0; name.n >= SHORTEST_IN_OTHER_CASE && i < dr_repo_n_files(w->repo); i++)
        if (dr_tool__is_file(dr_repo_file_at(w->repo, i)) && dr_tool__names_file(dr_tool__path(w, i), name))
            return true;
    return false;
}

static bool is_folder(const dr_workspace *w, dr_str name)
{
    if (name.n > 2 && name.s[0] == '.' && name.s[1] == '/')
        name = (dr_str){name.s + 2, name.n - 2};
    while (name.n && name.s[name.n - 1] == '/')
        name.n--;
    for (size_t i = 0; name.n && i < dr_repo_n_files(w->repo); i++) {
        const dr_str path = dr_tool__path(w, i);
        if (!dr_tool__is_file(dr_repo_file_at(w->repo, i)))
            continue;
        for (const char *part = path.s, *end = path.s + path.n, *slash; (slash = memchr(part, '/', (size_t)(end - part))); part = slash + 1)
            if ((size_t)(end - part) > name.n && part[name.n] == '/' && memcmp(part, name.s, name.n) == 0)
                return true;
    }
    return false;
}

static bool add_place(finder *f, dr_str name)
{
    const char *what = is_file(f->w, name) ? "file" : is_folder(f->w, name) ? "folder" : NULL;
    if (what)
        add(f, name, what, false);
    return what != NULL;
}

static void find(finder *f, dr_str text)
{
    dr_str run, word;
    size_t told = 0; /* what stands in front of it is part of a qualified name */
    for (size_t at = 0; f->n_words < DR_KNOWN_WORDS && dr_words_next_run(&run, text, &at); f->n_words++) {
        const dr_str path = dr_words_as_path(run);
        if (path.n && add_place(f, path))
            continue;
        for (size_t in = 0; f->n_words < DR_KNOWN_WORDS && dr_words_next(&word, run, &in); f->n_words++) {
            const size_t first = (size_t)(word.s - text.s), end = first < told ? told : add_qualified(f, text, first, first + word.n);
            if (end) {
                told = end;
                continue;
            }
            if (!add_name(f, word) && path.n == 0 && word.n >= SHORTEST)
                (void)add_place(f, word);
            add_odd_names(f, text, first, first + word.n);
        }
    }
}

void dr_known_write(dr_buf *out, const dr_workspace *w, dr_str text)
{
    finder f = {.w = w};
    size_t n_others = 0, n = 0, left;

    find(&f, text);
    for (size_t i = 0; i < f.n; i++)
        n_others += !f.v[i].member;
    left = n_others < DR_KNOWN_MOST ? DR_KNOWN_MOST - n_others : 0; /* for members */
    for (size_t i = 0; i < f.n && n < DR_KNOWN_MOST; i++) {
        if (f.v[i].member && left == 0)
            continue;
        left -= f.v[i].member;
        dr_buf_str(out, n++ ? ", " : "known: ");
        dr_tool__add_str(out, f.v[i].word);
        dr_buf_printf(out, " %s", f.v[i].what);
    }
    if (n == 0)
        dr_buf_str(out, "known: nothing");
}

void dr_known_functions(dr_buf *out, const dr_place *v, size_t n)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < n; i++)
        n_bytes += v[i].hole[DR_HOLE_NAME].n + 1;
    if (n == 0 || n_bytes > DR_KNOWN_FUNCTION_BYTES)
        return;
    dr_buf_str(out, "functions:");
    for (size_t i = 0; i < n; i++) {
        dr_buf_str(out, " ");
        dr_tool__add_str(out, v[i].hole[DR_HOLE_NAME]);
    }
}
