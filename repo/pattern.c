#include "repo/pattern.h"

#include "base/hash.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 1 << 16, SHORT_LIST = 16 };

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

/* Kinds of chains, most telling first. A chain is a kind and a byte; the last kind is one chain. */
typedef enum chain_kind { PATH, NAME, FOLDER, NAME_START, PATH_START, END, ANY } chain_kind;

static uint8_t hash_of(dr_str s)
{
    return (uint8_t)dr_xxh3_128(s.s, s.n).lo;
}

static size_t chain(chain_kind kind, uint8_t byte)
{
    return kind == ANY ? 256 * (size_t)ANY : 256 * (size_t)kind + byte;
}

/* The chain whose paths are the only ones that the pattern can match. */
static size_t chain_of(const dr_pattern *p)
{
    const dr_str t = p->text;
    if (t.n == 0)
        return chain(ANY, 0);
    if (p->n_literal == t.n)
        return chain(p->name_only ? NAME : PATH, hash_of(t));
    const char *slash = p->name_only ? NULL : memchr(t.s, '/', p->n_literal);
    if (slash)
        return chain(FOLDER, hash_of((dr_str){t.s, (size_t)(slash - t.s)}));
    if (p->n_literal)
        return chain(p->name_only ? NAME_START : PATH_START, (uint8_t)t.s[0]);
    const char last = t.s[t.n - 1];
    return is_special(last) || last == ']' ? chain(ANY, 0) : chain(END, (uint8_t)last);
}

static void put_in_chain(dr_pattern_list *l, size_t i)
{
    uint32_t *head = &l->heads[chain_of(&l->v[i])];
    l->before[i] = *head;
    *head = (uint32_t)i + 1;
}

bool dr_pattern_list__add(dr_pattern_list *l, dr_pattern p)
{
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
    l->before[l->n] = (uint32_t)l->n;
    l->v[l->n++] = p;
    if (l->heads) {
        put_in_chain(l, l->n - 1);
    } else if (l->n > SHORT_LIST) {
        if (!(l->heads = calloc(256 * ANY + 1, sizeof *l->heads)))
            return false;
        for (size_t i = 0; i < l->n; i++)
            put_in_chain(l, i);
    }
    return true;
}

void dr_pattern_list__fini(dr_pattern_list *l)
{
    free(l->v);
    free(l->before);
    free(l->heads);
    *l = (dr_pattern_list){0};
}

dr_pattern_cursor dr_pattern_list__from_end(const dr_pattern_list *l, dr_str path, size_t name)
{
    dr_pattern_cursor c = {.n = 0};

    if (path.n == name)
        return c;
    if (!l->heads) {
        c.next[c.n++] = (uint32_t)l->n;
        return c;
    }
    const dr_str last = {path.s + name, path.n - name};
    const char *slash = name ? memchr(path.s, '/', path.n) : NULL;
    const size_t chains[DR_PATTERN_CHAINS] = {
        chain(PATH, hash_of(path)),
        chain(NAME, hash_of(last)),
        slash ? chain(FOLDER, hash_of((dr_str){path.s, (size_t)(slash - path.s)})) : SIZE_MAX,
        chain(NAME_START, (uint8_t)last.s[0]),
        chain(PATH_START, (uint8_t)path.s[0]),
        chain(END, (uint8_t)path.s[path.n - 1]),
        chain(ANY, 0),
    };
    for (int i = 0; i < DR_PATTERN_CHAINS; i++)
        if (chains[i] != SIZE_MAX && l->heads[chains[i]])
            c.next[c.n++] = l->heads[chains[i]];
    return c;
}

size_t dr_pattern_list__next(dr_pattern_cursor *c, const dr_pattern_list *l, dr_str path, size_t name, bool is_folder)
{
    for (;;) {
        int best = -1;
        for (int i = 0; i < c->n; i++)
            if (c->next[i] && (best < 0 || c->next[i] > c->next[best]))
                best = i;
        if (best < 0)
            return SIZE_MAX;
        const size_t i = c->next[best] - 1;
        c->next[best] = l->before[i];
        if (dr_pattern__match(&l->v[i], path, name, is_folder))
            return i;
    }
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
