#include "repo/attributes.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_STEPS = 20000, /* a hostile pattern backtracks for ever otherwise */
    UNSAY = 2,         /* "!name": what was said before no longer holds */
};

typedef struct rule {
    dr_str folder, pattern;
    bool whole_path; /* the pattern holds a slash */
    dr_attr_set set;
} rule;

struct dr_attributes {
    dr_arena *arena;
    rule *rules;
    size_t n, cap;
};

dr_attributes *dr_attributes__new(void)
{
    dr_attributes *a = calloc(1, sizeof *a);
    if (a && !(a->arena = dr_arena_new(4096))) {
        free(a);
        return NULL;
    }
    return a;
}

void dr_attributes__free(dr_attributes *a)
{
    if (!a)
        return;
    dr_arena_free(a->arena);
    free(a->rules);
    free(a);
}

/* [abc], [!a-z]. *at is just past '['; moves past ']'. A set that does not end matches nothing. */
static bool match_set(dr_str p, size_t *at, char c)
{
    size_t i = *at;
    bool hit = false, negated = false;

    if (i < p.n && (p.s[i] == '!' || p.s[i] == '^')) {
        negated = true;
        i++;
    }
    for (bool first = true; i < p.n && (first || p.s[i] != ']'); first = false) {
        if (p.s[i] == '\\' && i + 1 < p.n)
            i++;
        const unsigned char low = (unsigned char)p.s[i++];
        unsigned char high = low;
        if (i + 1 < p.n && p.s[i] == '-' && p.s[i + 1] != ']') {
            high = (unsigned char)p.s[i + 1];
            i += 2;
        }
        hit |= (unsigned char)c >= low && (unsigned char)c <= high;
    }
    if (i >= p.n)
        return false;
    *at = i + 1;
    return hit != negated && c != '/';
}

static bool match_from(dr_str p, size_t i, dr_str t, size_t k, int *steps)
{
    while (i < p.n) {
        if (++*steps > MAX_STEPS)
            return false;
        if (p.s[i] == '*') {
            size_t end = i;
            while (end < p.n && p.s[end] == '*')
                end++;
            const bool deep = end - i == 2 && (i == 0 || p.s[i - 1] == '/') && (end == p.n || p.s[end] == '/');
            if (deep && end == p.n)
                return k < t.n;
            if (deep) { /* "**" and a slash: any number of folders, none included */
                for (size_t from = k;;) {
                    if (match_from(p, end + 1, t, from, steps))
                        return true;
                    const char *slash = from < t.n ? memchr(t.s + from, '/', t.n - from) : NULL;
                    if (!slash || *steps > MAX_STEPS)
                        return false;
                    from = (size_t)(slash - t.s) + 1;
                }
            }
            for (;; k++) {
                if (match_from(p, end, t, k, steps))
                    return true;
                if (k >= t.n || t.s[k] == '/' || *steps > MAX_STEPS)
                    return false;
            }
        }
        if (k >= t.n)
            return false;
        if (p.s[i] == '[') {
            i++;
            if (!match_set(p, &i, t.s[k]))
                return false;
        } else if (p.s[i] == '?') {
            if (t.s[k] == '/')
                return false;
            i++;
        } else {
            if (p.s[i] == '\\' && i + 1 < p.n)
                i++;
            if (p.s[i++] != t.s[k])
                return false;
        }
        k++;
    }
    return k == t.n;
}

bool dr_attributes__match(dr_str pattern, dr_str text)
{
    int steps = 0;
    return match_from(pattern, 0, text, 0, &steps);
}

/* One word "name", "-name", "!name" or "name=value". */
static void apply_word(dr_attr_set *set, dr_str word)
{
    int value = 1;
    if (word.n && (word.s[0] == '-' || word.s[0] == '!')) {
        value = word.s[0] == '-' ? 0 : UNSAY;
        word.s++;
        word.n--;
    }
    const char *eq = memchr(word.s, '=', word.n);
    dr_str v = {"", 0};
    if (eq) {
        v = (dr_str){eq + 1, word.n - (size_t)(eq + 1 - word.s)};
        value = !dr_str_eq(v, DR_STR("false"));
        word.n = (size_t)(eq - word.s);
    }
    if (dr_str_eq(word, DR_STR("binary")))
        set->binary = value;
    else if (dr_str_eq(word, DR_STR("linguist-generated")))
        set->generated = value;
    else if (dr_str_eq(word, DR_STR("linguist-vendored")))
        set->vendored = value;
    else if (dr_str_eq(word, DR_STR("working-tree-encoding")))
        set->encoding = v;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static dr_str keep(dr_attributes *a, dr_str s)
{
    char *copy = dr_arena_take(a->arena, s.n + 1);
    if (!copy)
        return (dr_str){NULL, 0};
    if (s.n)
        memcpy(copy, s.s, s.n);
    return (dr_str){copy, s.n};
}

static dr_status add_line(dr_attributes *a, dr_str folder, dr_str line, dr_error *err)
{
    size_t i = 0;
    while (i < line.n && is_blank(line.s[i]))
        i++;
    if (i == line.n || line.s[i] == '#' || line.s[i] == '!' || line.s[i] == '[')
        return DR_OK; /* nothing, a comment, a forbidden negation, or a macro of the repository's own */
    size_t start = i;
    dr_str pattern;
    if (line.s[i] == '"') { /* quoted: for blanks in names; escapes other than these two are not used in practice */
        start = ++i;
        while (i < line.n && line.s[i] != '"')
            i += line.s[i] == '\\' && i + 1 < line.n ? 2 : 1;
        if (i >= line.n)
            return DR_OK;
        pattern = (dr_str){line.s + start, i - start};
        i++;
    } else {
        while (i < line.n && !is_blank(line.s[i]))
            i++;
        pattern = (dr_str){line.s + start, i - start};
    }
    rule r = {.set = {-1, -1, -1, {"", 0}}};
    while (i < line.n) {
        while (i < line.n && is_blank(line.s[i]))
            i++;
        const size_t from = i;
        while (i < line.n && !is_blank(line.s[i]))
            i++;
        if (i > from)
            apply_word(&r.set, (dr_str){line.s + from, i - from});
    }
    if (((r.set.binary & r.set.generated & r.set.vendored) == -1 && r.set.encoding.n == 0) || pattern.n == 0 || pattern.s[pattern.n - 1] == '/')
        return DR_OK;
    r.whole_path = memchr(pattern.s, '/', pattern.n) != NULL;
    if (pattern.s[0] == '/') {
        pattern.s++;
        pattern.n--;
    }
    r.pattern = keep(a, pattern);
    r.folder = keep(a, folder);
    r.set.encoding = keep(a, r.set.encoding);
    if (a->n == a->cap) {
        const size_t cap = a->cap ? 2 * a->cap : 32;
        rule *grown = realloc(a->rules, cap * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, ".gitattributes: out of memory");
        a->rules = grown;
        a->cap = cap;
    }
    if (!r.pattern.s || !r.folder.s)
        return dr_fail(err, DR_ERR_NOMEM, ".gitattributes: out of memory");
    a->rules[a->n++] = r;
    return DR_OK;
}

dr_status dr_attributes__add(dr_attributes *a, dr_str folder, dr_str content, dr_error *err)
{
    dr_status st = DR_OK;
    for (size_t at = 0; at < content.n && st == DR_OK;) {
        const char *nl = memchr(content.s + at, '\n', content.n - at);
        const size_t end = nl ? (size_t)(nl - content.s) : content.n;
        st = add_line(a, folder, (dr_str){content.s + at, end - at}, err);
        at = end + 1;
    }
    return st;
}

static void say(int *now, int rule_says)
{
    if (rule_says >= 0)
        *now = rule_says == UNSAY ? -1 : rule_says;
}

dr_attr_set dr_attributes__get(const dr_attributes *a, dr_str path)
{
    dr_attr_set set = {-1, -1, -1, {"", 0}};
    size_t base = path.n;
    while (base > 0 && path.s[base - 1] != '/')
        base--;
    for (size_t i = 0; i < a->n; i++) {
        const rule *r = &a->rules[i];
        size_t skip = 0;
        if (r->folder.n) {
            if (path.n <= r->folder.n || memcmp(path.s, r->folder.s, r->folder.n) != 0 || path.s[r->folder.n] != '/')
                continue;
            skip = r->folder.n + 1;
        }
        const dr_str text =
            r->whole_path ? (dr_str){path.s + skip, path.n - skip} : (dr_str){path.s + base, path.n - base};
        if (!dr_attributes__match(r->pattern, text))
            continue;
        say(&set.binary, r->set.binary);
        say(&set.generated, r->set.generated);
        say(&set.vendored, r->set.vendored);
        if (r->set.encoding.n)
            set.encoding = r->set.encoding;
    }
    return set;
}
