#include "repo/ignore.h"

#include "base/arena.h"
#include "base/hash.h"
#include "repo/pattern.h"

#include <stdlib.h>
#include <string.h>

enum {
    NONE = -1,
    MAX_PATTERNS = 100000, /* in all files; more count for nothing: only a hostile tree has them */
};

/* One file. */
typedef struct source {
    dr_str folder, name;
    dr_pattern_list patterns;
    uint32_t *lines; /* of each pattern */
    dr_str *texts;
    int32_t below; /* the file for the same folder that was added before, or NONE */
} source;

struct dr_ignore {
    dr_arena *arena;
    source *sources;
    size_t n, cap;
    size_t n_patterns;
    int32_t *slots; /* by hash of the folder: its latest source, or NONE; n_slots a power of two */
    size_t n_slots;
};

dr_ignore *dr_ignore__new(void)
{
    dr_ignore *g = calloc(1, sizeof *g);
    if (g && !(g->arena = dr_arena_new(1024))) {
        free(g);
        return NULL;
    }
    return g;
}

void dr_ignore__free(dr_ignore *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++) {
        dr_pattern_list__fini(&g->sources[i].patterns);
        free(g->sources[i].lines);
        free(g->sources[i].texts);
    }
    free(g->sources);
    free(g->slots);
    dr_arena_free(g->arena);
    free(g);
}

bool dr_ignore__is_empty(const dr_ignore *g)
{
    return g->n == 0;
}

/* Where the folder's source is, or would go. */
static size_t slot_of(const dr_ignore *g, dr_str folder)
{
    size_t s = dr_xxh3_128(folder.s, folder.n).lo & (g->n_slots - 1);
    while (g->slots[s] != NONE && !dr_str_eq(g->sources[g->slots[s]].folder, folder))
        s = (s + 1) & (g->n_slots - 1);
    return s;
}

static bool grow(dr_ignore *g)
{
    if (g->n == g->cap) {
        const size_t cap = g->cap ? 2 * g->cap : 8;
        source *sources = realloc(g->sources, cap * sizeof *sources);
        if (!sources)
            return false;
        g->sources = sources;
        g->cap = cap;
    }
    if (2 * (g->n + 1) <= g->n_slots)
        return true;
    const size_t n = g->n_slots ? 2 * g->n_slots : 16;
    int32_t *slots = malloc(n * sizeof *slots);
    if (!slots)
        return false;
    free(g->slots);
    g->slots = slots;
    g->n_slots = n;
    for (size_t i = 0; i < n; i++)
        slots[i] = NONE;
    for (size_t i = 0; i < g->n; i++)
        slots[slot_of(g, g->sources[i].folder)] = (int32_t)i;
    return true;
}

/* Without the spaces at its end; one that is escaped stays, with its backslash. */
static dr_str trim(dr_str line)
{
    size_t end = 0;
    for (size_t i = 0; i < line.n; i++) {
        if (line.s[i] == '\\') {
            if (++i == line.n)
                return line;
        } else if (line.s[i] == ' ') {
            continue;
        }
        end = i + 1;
    }
    return (dr_str){line.s, end};
}

static dr_str keep(dr_ignore *g, dr_str s)
{
    char *copy = dr_arena_take(g->arena, s.n + 1);
    if (copy && s.n)
        memcpy(copy, s.s, s.n);
    return (dr_str){copy, s.n};
}

static bool fill(dr_ignore *g, source *src, dr_str content)
{
    size_t cap = 0;
    dr_str line;
    for (dr_lines all = dr_lines__of(content); g->n_patterns < MAX_PATTERNS && dr_lines__next(&all, &line);) {
        if (line.n == 0 || line.s[0] == '#')
            continue;
        const dr_pattern p = dr_pattern__parse(trim(line));
        if (p.text.n == 0)
            continue;
        if (src->patterns.n == cap) {
            cap = cap ? 2 * cap : 16;
            uint32_t *lines = realloc(src->lines, cap * sizeof *lines);
            if (lines)
                src->lines = lines;
            dr_str *texts = realloc(src->texts, cap * sizeof *texts);
            if (texts)
                src->texts = texts;
            if (!lines || !texts)
                return false;
        }
        src->lines[src->patterns.n] = all.number;
        src->texts[src->patterns.n] = trim(line);
        if (!dr_pattern_list__add(&src->patterns, p))
            return false;
        g->n_patterns++;
    }
    return true;
}

dr_status dr_ignore__add(dr_ignore *g, dr_str folder, dr_str file, dr_str content, dr_error *err)
{
    source src = {.folder = keep(g, folder), .name = keep(g, file)};
    const dr_str kept = keep(g, content);

    const bool ok = src.folder.s && src.name.s && kept.s && grow(g) && fill(g, &src, kept);
    if (!ok || src.patterns.n == 0) {
        dr_pattern_list__fini(&src.patterns);
        free(src.lines);
        free(src.texts);
        return ok ? DR_OK : dr_fail(err, DR_ERR_NOMEM, "%.*s: out of memory", (int)file.n, file.s);
    }
    int32_t *slot = &g->slots[slot_of(g, src.folder)];
    src.below = *slot;
    *slot = (int32_t)g->n;
    g->sources[g->n++] = src;
    return DR_OK;
}

static size_t name_start(dr_str path)
{
    size_t at = path.n;
    while (at > 0 && path.s[at - 1] != '/')
        at--;
    return at;
}

bool dr_ignore__says(const dr_ignore *g, dr_str path, bool is_folder, dr_ignore_rule *rule)
{
    const size_t name = name_start(path);

    if (rule)
        *rule = (dr_ignore_rule){.file = {"", 0}};
    if (g->n == 0)
        return false;
    for (size_t n = name ? name - 1 : 0;; n = name_start((dr_str){path.s, n}), n -= n > 0) {
        const size_t skip = n ? n + 1 : 0;
        for (int32_t i = g->slots[slot_of(g, (dr_str){path.s, n})]; i != NONE; i = g->sources[i].below) {
            const source *src = &g->sources[i];
            const dr_str below = {path.s + skip, path.n - skip};
            dr_pattern_cursor c = dr_pattern_list__from_end(&src->patterns, below, name - skip);
            const size_t k = dr_pattern_list__next(&c, &src->patterns, below, name - skip, is_folder);
            if (k == SIZE_MAX)
                continue;
            if (rule)
                *rule = (dr_ignore_rule){src->name, src->lines[k], src->texts[k], path};
            return !src->patterns.v[k].negated;
        }
        if (n == 0)
            return false;
    }
}

bool dr_ignore__has(const dr_ignore *g, dr_str path, bool is_folder, dr_ignore_rule *rule)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.s[i] == '/' && dr_ignore__says(g, (dr_str){path.s, i}, true, rule))
            return true;
    return dr_ignore__says(g, path, is_folder, rule);
}
