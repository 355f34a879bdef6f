#include "repo/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 1 << 16, ANY = 256 };

static bool is_special(char c)
{
    return c == '*' || c == '?' || c == '[' || c == '\\';
}

static size_t literal_length(dr_str s)
{
    size_t n = 0;
    while (n < s.n && !is_special(s.s[n]))
        n++;
    return n;
}

dr_pattern dr_pattern__parse(dr_str line)
{
    dr_pattern p = {.text = line};

    if (p.text.n && p.text.s[0] == '!') {
        p.negated = true;
        p.text.s++;
        p.text.n--;
    }
    if (p.text.n && p.text.s[p.text.n - 1] == '/') {
        p.folder_only = true;
        p.text.n--;
    }
    p.name_only = !p.text.n || !memchr(p.text.s, '/', p.text.n);
    if (!p.name_only && p.text.s[0] == '/') {
        p.text.s++;
        p.text.n--;
    }
    p.n_literal = (uint32_t)literal_length(p.text);
    p.suffix = p.name_only && p.text.n && p.text.s[0] == '*' &&
               literal_length((dr_str){p.text.s + 1, p.text.n - 1}) == p.text.n - 1;
    return p;
}

/* One ASCII class by name. False: there is no such class. */
static bool in_class(dr_str name, int c, bool *in)
{
    static const struct {
        const char *name;
        int (*has)(int);
    } classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
                   {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
                   {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (dr_str_eq(name, dr_str_of(classes[i].name))) {
            *in = c < 0x80 && classes[i].has(c);
            return true;
        }
    return false;
}

/* [abc], [!a-z], [[:digit:]]. *at is just past '[', and past ']' afterwards. A set that does not end, or names a class
 * that does not exist, makes its pattern match nothing: false then too. */
static bool match_set(dr_str p, size_t *at, char c)
{
    const uint8_t want = (uint8_t)c;
    size_t i = *at;
    uint8_t low = 0; /* what a '-' would start from; 0: nothing */
    bool hit = false;
    const bool negated = i < p.n && (p.s[i] == '!' || p.s[i] == '^');

    i += negated;
    for (bool first = true; i < p.n && (first || p.s[i] != ']'); first = false) {
        uint8_t b = (uint8_t)p.s[i];
        if (b == '-' && low && i + 1 < p.n && p.s[i + 1] != ']') {
            b = (uint8_t)p.s[++i];
            if (b == '\\' && ++i == p.n)
                return false;
            hit |= low <= want && want <= (uint8_t)p.s[i];
            low = 0;
        } else if (b == '[' && i + 1 < p.n && p.s[i + 1] == ':') {
            const char *name = p.s + i + 2;
            const char *end = i + 2 < p.n ? memchr(name, ']', p.n - i - 2) : NULL;
            if (!end)
                return false;
            if (end > name && end[-1] == ':') {
                bool in = false;
                if (!in_class((dr_str){name, (size_t)(end - name) - 1}, want, &in))
                    return false;
                hit |= in;
                low = 0;
                i = (size_t)(end - p.s);
            } else { /* not a class after all: an ordinary '[' */
                hit |= want == '[';
                low = '[';
            }
        } else {
            if (b == '\\' && ++i == p.n)
                return false;
            low = (uint8_t)p.s[i];
            hit |= want == low;
        }
        i++;
    }
    if (i >= p.n)
        return false;
    *at = i + 1;
    return hit != negated && c != '/';
}

/* A star that was passed, and where matching goes on when what follows it fails. */
typedef struct retry {
    size_t p, t; /* SIZE_MAX: none */
} retry;

/* Leftmost matching: a star takes as little as it can, and one more when the rest fails. Only the last star that stops
 * at slashes and the last that does not need be tried again: whatever an earlier one could still take, the later one
 * of its kind can take too. */
static bool match_wild(dr_str p, dr_str t)
{
    retry star = {SIZE_MAX, 0}, deep = {SIZE_MAX, 0};
    bool by_folders = false; /* `deep` goes on after the next slash, not at the next byte */
    size_t i = 0, k = 0;

    for (int steps = 0; steps < MAX_STEPS; steps++) {
        if (i < p.n && p.s[i] == '*') {
            const size_t from = i;
            while (i < p.n && p.s[i] == '*')
                i++;
            const bool slash = i < p.n && p.s[i] == '/';
            if (i - from >= 2 && (from == 0 || p.s[from - 1] == '/') &&
                (i == p.n || slash || (i + 1 < p.n && p.s[i] == '\\' && p.s[i + 1] == '/'))) {
                if (i == p.n)
                    return true;
                by_folders = slash;
                i += slash; /* no folder at all, to begin with */
                deep = (retry){i, k};
                star.p = SIZE_MAX;
            } else {
                star = (retry){i, k};
            }
            continue;
        }
        if (i == p.n && k == t.n)
            return true;
        if (i < p.n && k < t.n) {
            size_t next = i + 1;
            bool ok;
            if (p.s[i] == '[') {
                ok = match_set(p, &next, t.s[k]);
            } else if (p.s[i] == '?') {
                ok = t.s[k] != '/';
            } else {
                const bool escaped = p.s[i] == '\\';
                next += escaped;
                ok = next <= p.n && p.s[i + escaped] == t.s[k];
            }
            if (ok) {
                i = next;
                k++;
                continue;
            }
        }
        if (star.p != SIZE_MAX && star.t < t.n && t.s[star.t] != '/') {
            k = ++star.t;
            i = star.p;
        } else if (deep.p != SIZE_MAX && deep.t < t.n) {
            if (by_folders) {
                const char *slash = memchr(t.s + deep.t, '/', t.n - deep.t);
                if (!slash)
                    return false;
                deep.t = (size_t)(slash - t.s);
            }
            k = ++deep.t;
            i = deep.p;
            star.p = SIZE_MAX;
        } else {
            return false;
        }
    }
    return false;
}

bool dr_pattern__match(const dr_pattern *p, dr_str path, size_t name, bool is_folder)
{
    dr_str text = p->name_only ? (dr_str){path.s + name, path.n - name} : path;

    if (p->folder_only && !is_folder)
        return false;
    if (p->suffix) {
        const size_t n = p->text.n - 1;
        return text.n >= n && memcmp(text.s + text.n - n, p->text.s + 1, n) == 0;
    }
    const size_t n = p->n_literal;
    if (n > text.n || memcmp(text.s, p->text.s, n) != 0)
        return false;
    if (n == p->text.n)
        return n == text.n;
    if (p->name_only) /* whole, for what may stand before "**" */
        return match_wild(p->text, text);
    return match_wild((dr_str){p->text.s + n, p->text.n - n}, (dr_str){text.s + n, text.n - n});
}

/* The byte that every match ends in, or ANY. */
static unsigned last_byte(const dr_pattern *p)
{
    if (p->text.n == 0)
        return ANY;
    const char c = p->text.s[p->text.n - 1];
    return is_special(c) || c == ']' ? ANY : (uint8_t)c;
}

bool dr_pattern_list__add(dr_pattern_list *l, dr_pattern p)
{
    if (!l->heads && !(l->heads = calloc(ANY + 1, sizeof *l->heads)))
        return false;
    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 16;
        dr_pattern *v = realloc(l->v, cap * sizeof *v);
        if (v)
            l->v = v;
        uint32_t *before = realloc(l->before, cap * sizeof *before);
        if (before)
            l->before = before;
        if (!v || !before)
            return false;
        l->cap = cap;
    }
    uint32_t *head = &l->heads[last_byte(&p)];
    l->v[l->n] = p;
    l->before[l->n] = *head;
    *head = (uint32_t)++l->n;
    return true;
}

void dr_pattern_list__fini(dr_pattern_list *l)
{
    free(l->v);
    free(l->before);
    free(l->heads);
    *l = (dr_pattern_list){0};
}

dr_pattern_cursor dr_pattern_list__from_end(const dr_pattern_list *l, dr_str path)
{
    if (l->n == 0 || path.n == 0)
        return (dr_pattern_cursor){0, 0};
    return (dr_pattern_cursor){l->heads[(uint8_t)path.s[path.n - 1]], l->heads[ANY]};
}

size_t dr_pattern_list__next(dr_pattern_cursor *c, const dr_pattern_list *l, dr_str path, size_t name, bool is_folder)
{
    while (c->own || c->any) {
        uint32_t *later = c->own > c->any ? &c->own : &c->any;
        const size_t i = *later - 1;
        *later = l->before[i];
        if (dr_pattern__match(&l->v[i], path, name, is_folder))
            return i;
    }
    return SIZE_MAX;
}

dr_lines dr_lines__of(dr_str file)
{
    if (file.n >= 3 && memcmp(file.s, "\xef\xbb\xbf", 3) == 0)
        file = (dr_str){file.s + 3, file.n - 3};
    return (dr_lines){file, 0};
}

bool dr_lines__next(dr_lines *l, dr_str *line)
{
    if (l->rest.n == 0)
        return false;
    const char *nl = memchr(l->rest.s, '\n', l->rest.n);
    size_t n = nl ? (size_t)(nl - l->rest.s) : l->rest.n;
    const char *s = l->rest.s;
    l->rest.s += n + (nl != NULL);
    l->rest.n -= n + (nl != NULL);
    l->number++;
    if (n && s[n - 1] == '\r')
        n--;
    *line = (dr_str){s, strnlen(s, n)};
    return true;
}
