/* app/tools_definitions.c: which definitions a name means: all of that name, those of one place, those of a qualified name. */
#include "app/tools_parts.h"

#include "app/turn_grammar.h" /* dr_words_byte */
#include "base/arena.h"

#include <string.h>
#include <strings.h>

/* Does PLACE, a file or a folder, name this path? A file: the path, its end behind a '/', or its last part without the ending. A folder: whole
 * folder names of the path in a row. */
static bool names_file(dr_str place, dr_str path)
{
    const char *slash = path.n ? memrchr(path.s, '/', path.n) : NULL;
    const dr_str base = slash ? (dr_str){slash + 1, (size_t)(path.s + path.n - slash) - 1} : path;
    const char *dot = base.n > 1 ? memrchr(base.s + 1, '.', base.n - 1) : NULL;
    const bool ends = place.n <= path.n && (place.n == path.n || path.s[path.n - place.n - 1] == '/') &&
                      memcmp(path.s + path.n - place.n, place.s, place.n) == 0;
    return ends || (dot && dr_str_eq(place, (dr_str){base.s, (size_t)(dot - base.s)}));
}

static bool names_folder(dr_str place, dr_str path)
{
    for (size_t i = 0; i + place.n < path.n; i++)
        if ((i == 0 || path.s[i - 1] == '/') && path.s[i + place.n] == '/' && memcmp(path.s + i, place.s, place.n) == 0)
            return true;
    return false;
}

/* Tried in this order: what names none of the definitions is no place of this kind. */
typedef enum place_kind { PLACE_KIND, PLACE_CONTAINER, PLACE_FILE, PLACE_FOLDER, PLACE_ANY } place_kind;

static bool lies_in(const dr_workspace *w, const dr_sym_def *d, dr_str place, place_kind how)
{
    const char *kind = dr_sym_kind_name((dr_sym_kind)d->kind);
    size_t n_names;
    switch (how) {
    case PLACE_KIND: return place.n == strlen(kind) && strncasecmp(place.s, kind, place.n) == 0;
    case PLACE_CONTAINER: return d->container != DR_SYM_NONE && dr_str_eq(dr_symbols_names(w->symbols, &n_names)[d->container], place);
    case PLACE_FILE: return names_file(place, dr_tool__path(w, d->file));
    case PLACE_FOLDER:
        while (place.n && place.s[place.n - 1] == '/')
            place.n--;
        return place.n && names_folder(place, dr_tool__path(w, d->file));
    case PLACE_ANY: break;
    }
    return true;
}

static size_t count_in(const dr_workspace *w, const dr_sym_def *defs, size_t n, dr_str place, place_kind how)
{
    size_t n_in = 0;
    for (size_t i = 0; i < n; i++)
        n_in += lies_in(w, &defs[i], place, how);
    return n_in;
}

/* Keeps those that lie there. */
static size_t narrow(const dr_sym_def **defs, dr_tool_result *r, const dr_workspace *w, size_t n, dr_str place, place_kind how)
{
    size_t kept = 0;
    if (!r->storage)
        r->storage = dr_arena_new(4096);
    dr_sym_def *own = r->storage ? dr_arena_take(r->storage, n * sizeof *own) : NULL;
    if (!own) {
        r->text.failed = true; /* told when the call is done */
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (lies_in(w, &(*defs)[i], place, how))
            own[kept++] = (*defs)[i];
    *defs = own;
    return kept;
}

size_t dr_tool__definitions_in(const dr_sym_def **defs, dr_tool_result *r, const dr_workspace *w, size_t n, dr_str place)
{
    place_kind how = PLACE_KIND;
    if (place.n > 2 && memcmp(place.s, "./", 2) == 0)
        place = (dr_str){place.s + 2, place.n - 2};
    while (count_in(w, *defs, n, place, how) == 0)
        how++;
    return how == PLACE_ANY ? n : narrow(defs, r, w, n, place, how);
}

/* The kind of place that a qualifier is; PLACE_ANY: none of these is defined there. */
static place_kind place_of(const dr_workspace *w, const dr_sym_def *defs, size_t n, dr_str qualifier)
{
    place_kind how = PLACE_CONTAINER;
    while (how < PLACE_ANY && count_in(w, defs, n, qualifier, how) == 0)
        how++;
    return how;
}

size_t dr_tool__definitions(const dr_sym_def **defs, dr_tool_result *r, const dr_workspace *w, dr_str name)
{
    const size_t n = dr_symbols_find(w->symbols, name, defs);
    const place_kind how = n && r->qualifier.n ? place_of(w, *defs, n, r->qualifier) : PLACE_ANY;
    return how == PLACE_ANY ? n : narrow(defs, r, w, n, r->qualifier, how);
}

bool dr_tool__lie_all_there(const dr_workspace *w, dr_str qualifier, dr_str bare)
{
    const dr_sym_def *defs;
    const size_t n = dr_symbols_find(w->symbols, bare, &defs);
    const place_kind how = place_of(w, defs, n, qualifier);
    for (size_t i = 0; i < n; i++)
        if (defs[i].kind != DR_SYM_PROTOTYPE && !lies_in(w, &defs[i], qualifier, how))
            return false;
    return true;
}

/* How many bytes in front of `at` join two parts of a name: ".", "::", ":", "#", "->". */
static size_t joint(dr_str text, size_t at)
{
    if (at >= 2 && (memcmp(text.s + at - 2, "::", 2) == 0 || memcmp(text.s + at - 2, "->", 2) == 0))
        return 2;
    return at >= 1 && strchr(".:#", text.s[at - 1]) && text.s[at - 1];
}

const dr_sym_def *dr_tool__qualified(dr_str *qualifier, dr_str *bare, const dr_workspace *w, dr_str name)
{
    const dr_sym_def *defs;
    size_t from = name.n, first;

    while (from && dr_words_byte((unsigned char)name.s[from - 1]))
        from--;
    const size_t n_joint = joint(name, from), end = from - n_joint;
    for (first = end; first && dr_words_byte((unsigned char)name.s[first - 1]);)
        first--;
    *bare = (dr_str){name.s + from, name.n - from};
    *qualifier = (dr_str){name.s + first, end - first};
    if (n_joint == 0 || bare->n < 2 || qualifier->n < 2)
        return NULL;
    const size_t n = dr_symbols_find(w->symbols, *bare, &defs);
    const place_kind how = n ? place_of(w, defs, n, *qualifier) : PLACE_ANY;
    for (size_t i = 0; i < n && how != PLACE_ANY; i++)
        if (lies_in(w, &defs[i], *qualifier, how))
            return &defs[i];
    return NULL;
}
