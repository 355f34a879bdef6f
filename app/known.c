#include "app/known.h"

#include "app/tools_parts.h"
#include "app/turn_grammar.h"

#include <string.h>

enum { SHORTEST = 2, SHORTEST_IN_OTHER_CASE = 4 };

typedef struct list {
    dr_buf *out;
    dr_str said[DR_KNOWN_MOST];
    size_t n;
} list;

static void add(list *l, dr_str word, const char *kind)
{
    for (size_t i = 0; i < l->n; i++)
        if (dr_str_eq(l->said[i], word))
            return;
    if (l->n == DR_KNOWN_MOST)
        return;
    dr_buf_str(l->out, l->n ? ", " : "known: ");
    dr_tool__add_str(l->out, word);
    dr_buf_printf(l->out, " %s", kind);
    l->said[l->n++] = word;
}

static const char *kind_of(const dr_symbols *symbols, dr_str word)
{
    const dr_sym_def *defs;
    dr_str real = word;
    if (word.n < SHORTEST)
        return NULL;
    if (dr_symbols_find(symbols, word, &defs) == 0 &&
        (word.n < SHORTEST_IN_OTHER_CASE || !dr_tool__in_other_case(&real, symbols, word) || dr_symbols_find(symbols, real, &defs) == 0))
        return NULL;
    return dr_sym_kind_name((dr_sym_kind)defs[0].kind);
}

static bool is_folder(const dr_workspace *w, dr_str name)
{
    while (name.n && name.s[name.n - 1] == '/')
        name.n--;
    for (size_t i = 0; name.n && i < dr_repo_n_files(w->repo); i++) {
        const dr_str path = dr_tool__path(w, i);
        for (size_t at = 0; dr_tool__is_file(dr_repo_file_at(w->repo, i)) && at + name.n < path.n; at++)
            if ((at == 0 || path.s[at - 1] == '/') && path.s[at + name.n] == '/' && memcmp(path.s + at, name.s, name.n) == 0)
                return true;
    }
    return false;
}

/* Would find_file name one by it, as a path's end or as a base name without its ending? */
static bool is_file(const dr_workspace *w, dr_str name)
{
    size_t file;
    if (dr_tool__files_named(w, name, &file, 1))
        return true;
    for (size_t i = 0; name.n >= SHORTEST_IN_OTHER_CASE && i < dr_repo_n_files(w->repo); i++)
        if (dr_tool__is_file(dr_repo_file_at(w->repo, i)) && dr_tool__file_rank(dr_tool__path(w, i), name) <= 1)
            return true;
    return false;
}

/* "file", "folder" or NULL */
static const char *place_of(const dr_workspace *w, dr_str name)
{
    return is_file(w, name) ? "file" : is_folder(w, name) ? "folder" : NULL;
}

void dr_known_write(dr_buf *out, const dr_workspace *w, dr_str text)
{
    list l = {.out = out};
    dr_str run, word;

    for (size_t at = 0; dr_words_next_run(&run, text, &at);) {
        const dr_str path = dr_words_as_path(run);
        const char *what = path.n ? place_of(w, path) : NULL;
        if (what) {
            add(&l, path, what);
            continue;
        }
        for (size_t in = 0; dr_words_next(&word, run, &in);) {
            what = kind_of(w->symbols, word);
            if (!what && path.n == 0)
                what = place_of(w, word);
            if (what)
                add(&l, word, what);
        }
    }
    if (l.n == 0)
        dr_buf_str(out, "known: nothing");
}
