#include "repo/attributes.h"

#include "base/arena.h"
#include "base/hash.h"
#include "repo/pattern.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINE = 2048,      /* git's own */
    MAX_FILE = 100 << 20, /* git's own */
    /* More of these count for nothing: only a hostile tree has them. */
    MAX_NAMES = 128, /* attributes and macros that are told apart */
    MAX_MACROS = 4096,
    MAX_RULES = 50000, /* in all files */
    NONE = -1,
};

/* One word of a line: "name", "-name", "!name", "name=value". */
typedef struct word {
    uint16_t name; /* in names */
    uint8_t state; /* dr_attr_state; UNSAID: said to be so */
    dr_str value;
} word;

typedef struct rule {
    dr_str text;
    uint32_t line;
    uint32_t first_word, n_words;
    dr_str macro; /* the name it defines; empty: a pattern's line */
    dr_pattern pattern;
} rule;

/* One file. Its patterns are those of `rules` that have words left, in order. */
typedef struct source {
    dr_str folder, name;
    bool is_info;
    size_t first_rule, n_rules;
    dr_pattern_list patterns;
    uint32_t *rule_of; /* [patterns.n] */
    int32_t below;     /* the file that was added before, for the same folder */
} source;

typedef struct raw_word {
    dr_str name, value;
    uint8_t state;
} raw_word;

struct dr_attributes {
    dr_arena *arena;
    source *sources;
    size_t n_sources, cap_sources;
    rule *rules;
    size_t n_rules, cap_rules, n_macros;
    raw_word *raw;
    size_t n_raw, cap_raw;
    word *words; /* the same without those that do not matter; made by finish */
    dr_str names[MAX_NAMES];
    int32_t macro_of[MAX_NAMES]; /* the rule that defines it, or NONE */
    bool mentioned[MAX_NAMES];
    size_t n_names;
    int32_t *slots; /* by hash of the folder: its latest source, or NONE */
    size_t n_slots;
    int32_t info; /* the latest info/attributes, or NONE */
};

static const char *const known_names[DR_N_ATTRS] = {
    [DR_ATTR_BINARY] = "binary",
    [DR_ATTR_DIFF] = "diff",
    [DR_ATTR_TEXT] = "text",
    [DR_ATTR_GENERATED] = "linguist-generated",
    [DR_ATTR_VENDORED] = "linguist-vendored",
    [DR_ATTR_EXPORT_IGNORE] = "export-ignore",
    [DR_ATTR_ENCODING] = "working-tree-encoding",
    [DR_ATTR_EOL] = "eol",
    [DR_ATTR_FILTER] = "filter",
};

dr_attributes *dr_attributes__new(void)
{
    dr_attributes *a = calloc(1, sizeof *a);
    if (a && !(a->arena = dr_arena_new(4096))) {
        free(a);
        return NULL;
    }
    if (a) {
        a->info = NONE;
        for (size_t i = 0; i < DR_N_ATTRS; i++)
            a->names[i] = dr_str_of(known_names[i]);
        a->n_names = DR_N_ATTRS;
        for (size_t i = 0; i < MAX_NAMES; i++)
            a->macro_of[i] = NONE;
        /* git's one macro of its own, below all files; by the same way as any other */
        if (dr_attributes__add(a, DR_STR(""), DR_STR("git"), false, DR_STR("[attr]binary -diff -merge -text"), NULL) !=
            DR_OK) {
            dr_attributes__free(a);
            a = NULL;
        }
    }
    return a;
}

void dr_attributes__free(dr_attributes *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_sources; i++) {
        dr_pattern_list__fini(&a->sources[i].patterns);
        free(a->sources[i].rule_of);
    }
    free(a->sources);
    free(a->rules);
    free(a->raw);
    free(a->words);
    free(a->slots);
    dr_arena_free(a->arena);
    free(a);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static dr_str keep(dr_attributes *a, dr_str s)
{
    char *copy = dr_arena_take(a->arena, s.n + 1);
    if (copy && s.n)
        memcpy(copy, s.s, s.n);
    return (dr_str){copy, s.n};
}

static bool is_name(dr_str s)
{
    if (s.n == 0 || s.s[0] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
              c == '_'))
            return false;
    }
    return true;
}

/* The next run of non-blanks; empty at the end. */
static dr_str next_word(dr_str *rest)
{
    size_t i = 0;
    while (i < rest->n && is_blank(rest->s[i]))
        i++;
    size_t end = i;
    while (end < rest->n && !is_blank(rest->s[end]))
        end++;
    const dr_str w = {rest->s + i, end - i};
    *rest = (dr_str){rest->s + end, rest->n - end};
    return w;
}

/* A pattern in C quotes, for blanks in names. Returns its length in the line; 0: not quoted after all. What is meant is
 * never longer than what is written. */
static size_t unquote(char *out, size_t *n_out, dr_str line)
{
    static const char from[] = "abfnrtv\"\\", to[] = "\a\b\f\n\r\t\v\"\\";
    size_t n = 0;

    for (size_t i = 1; i < line.n; i++) {
        char c = line.s[i];
        if (c == '"') {
            *n_out = n;
            return i + 1;
        }
        if (c == '\\') {
            if (++i == line.n)
                return 0;
            const char *e = line.s + i;
            const char *at = memchr(from, *e, sizeof from - 1);
            if (at) {
                c = to[at - from];
            } else if (i + 2 < line.n && e[0] >= '0' && e[0] <= '3' && e[1] >= '0' && e[1] <= '7' && e[2] >= '0' &&
                       e[2] <= '7') {
                c = (char)((e[0] - '0') << 6 | (e[1] - '0') << 3 | (e[2] - '0'));
                i += 2;
            } else {
                return 0;
            }
        }
        out[n++] = c;
    }
    return 0;
}

static bool split_word(raw_word *out, dr_str w)
{
    *out = (raw_word){.name = w, .value = {"", 0}, .state = DR_ATTR_YES};
    const char *eq = memchr(w.s, '=', w.n);
    if (eq) {
        out->value = (dr_str){eq + 1, w.n - (size_t)(eq + 1 - w.s)};
        out->name.n = (size_t)(eq - w.s);
        out->state = DR_ATTR_VALUE;
    }
    if (out->name.n && (w.s[0] == '-' || w.s[0] == '!')) {
        out->state = w.s[0] == '-' ? DR_ATTR_NO : DR_ATTR_UNSAID;
        out->name.s++;
        out->name.n--;
    }
    return is_name(out->name);
}

static bool push_rule(dr_attributes *a, rule r)
{
    if (a->n_rules == a->cap_rules) {
        const size_t cap = a->cap_rules ? 2 * a->cap_rules : 32;
        rule *grown = realloc(a->rules, cap * sizeof *grown);
        if (!grown)
            return false;
        a->rules = grown;
        a->cap_rules = cap;
    }
    a->rules[a->n_rules++] = r;
    return true;
}

static bool push_word(dr_attributes *a, raw_word w)
{
    if (a->n_raw == a->cap_raw) {
        const size_t cap = a->cap_raw ? 2 * a->cap_raw : 64;
        raw_word *grown = realloc(a->raw, cap * sizeof *grown);
        if (!grown)
            return false;
        a->raw = grown;
        a->cap_raw = cap;
    }
    a->raw[a->n_raw++] = w;
    return true;
}

/* False: out of memory. A line that says nothing, or nothing that is understood, is left out whole. */
static bool add_line(dr_attributes *a, dr_str line, uint32_t number, bool macros)
{
    size_t i = 0;
    while (i < line.n && is_blank(line.s[i]))
        i++;
    if (i == line.n || line.s[i] == '#' || line.n >= MAX_LINE)
        return true;
    dr_str rest = {line.s + i, line.n - i}, head;
    rule r = {.text = rest, .line = number, .first_word = (uint32_t)a->n_raw};
    size_t n_quoted = 0;
    if (rest.s[0] == '"') {
        char *room = dr_arena_take(a->arena, rest.n);
        if (!room)
            return false;
        n_quoted = unquote(room, &head.n, rest);
        head.s = room;
        rest = (dr_str){rest.s + n_quoted, rest.n - n_quoted};
    }
    if (n_quoted == 0)
        head = next_word(&rest);
    if (head.n > 6 && memcmp(head.s, "[attr]", 6) == 0) {
        r.macro = (dr_str){head.s + 6, head.n - 6};
        if (!macros || !is_name(r.macro) || ++a->n_macros > MAX_MACROS)
            return true;
    } else {
        r.pattern = dr_pattern__parse(head);
        if (r.pattern.negated)
            return true;
    }
    for (dr_str w; (w = next_word(&rest)).n;) {
        raw_word said;
        if (!split_word(&said, w)) {
            a->n_raw = r.first_word;
            return true;
        }
        if (!push_word(a, said))
            return false;
    }
    r.n_words = (uint32_t)(a->n_raw - r.first_word);
    return push_rule(a, r);
}

dr_status dr_attributes__add(dr_attributes *a, dr_str folder, dr_str file, bool is_info, dr_str content, dr_error *err)
{
    source s = {
        .folder = keep(a, folder), .name = keep(a, file), .is_info = is_info, .first_rule = a->n_rules, .below = NONE};
    const dr_str kept = content.n < MAX_FILE ? keep(a, content) : DR_STR("");
    dr_str line;

    if (!s.folder.s || !s.name.s || !kept.s)
        goto no_memory;
    for (dr_lines all = dr_lines__of(kept); a->n_rules < MAX_RULES && dr_lines__next(&all, &line);)
        if (!add_line(a, line, all.number, is_info || folder.n == 0))
            goto no_memory;
    s.n_rules = a->n_rules - s.first_rule;
    if (s.n_rules == 0)
        return DR_OK;
    if (a->n_sources == a->cap_sources) {
        const size_t cap = a->cap_sources ? 2 * a->cap_sources : 8;
        source *grown = realloc(a->sources, cap * sizeof *grown);
        if (!grown)
            goto no_memory;
        a->sources = grown;
        a->cap_sources = cap;
    }
    a->sources[a->n_sources++] = s;
    return DR_OK;
no_memory:
    return dr_fail(err, DR_ERR_NOMEM, "%.*s: out of memory", (int)file.n, file.s);
}

static int find_name(const dr_attributes *a, dr_str name)
{
    for (size_t i = 0; i < a->n_names; i++)
        if (dr_str_eq(a->names[i], name))
            return (int)i;
    return NONE;
}

/* A macro counts when something it says does, through other macros too: found by going round until nothing is added. A
 * later file's definition of a name stands for all earlier ones. */
static void find_macros(dr_attributes *a)
{
    for (bool added = true; added;) {
        added = false;
        for (size_t i = 0; i < a->n_rules; i++) {
            const rule *r = &a->rules[i];
            if (r->macro.n == 0)
                continue;
            int name = find_name(a, r->macro);
            bool matters = name != NONE;
            for (uint32_t k = 0; k < r->n_words && !matters; k++)
                matters = find_name(a, a->raw[r->first_word + k].name) != NONE;
            if (!matters || (name == NONE && a->n_names == MAX_NAMES))
                continue;
            if (name == NONE) {
                a->names[name = (int)a->n_names++] = r->macro;
                added = true;
            }
            if (a->macro_of[name] < (int32_t)i) {
                a->macro_of[name] = (int32_t)i;
                added = true;
            }
        }
    }
}

/* Where the folder's source is, or would go. */
static size_t slot_of(const dr_attributes *a, dr_str folder)
{
    size_t s = dr_xxh3_128(folder.s, folder.n).lo & (a->n_slots - 1);
    while (a->slots[s] != NONE && !dr_str_eq(a->sources[a->slots[s]].folder, folder))
        s = (s + 1) & (a->n_slots - 1);
    return s;
}

dr_status dr_attributes__finish(dr_attributes *a, dr_error *err)
{
    size_t n = 0;

    find_macros(a);
    for (a->n_slots = 16; a->n_slots < 2 * a->n_sources; a->n_slots *= 2)
        ;
    a->words = malloc((a->n_raw + 1) * sizeof *a->words);
    a->slots = malloc(a->n_slots * sizeof *a->slots);
    if (!a->words || !a->slots)
        goto no_memory;
    for (size_t i = 0; i < a->n_slots; i++)
        a->slots[i] = NONE;
    for (size_t i = 0; i < a->n_sources; i++) {
        source *s = &a->sources[i];
        if (!(s->rule_of = malloc(s->n_rules * sizeof *s->rule_of)))
            goto no_memory;
        for (size_t k = s->first_rule; k < s->first_rule + s->n_rules; k++) {
            rule *r = &a->rules[k];
            const size_t first = n;
            for (uint32_t w = 0; w < r->n_words; w++) {
                const raw_word *raw = &a->raw[r->first_word + w];
                const int name = find_name(a, raw->name);
                if (name == NONE)
                    continue;
                a->words[n++] = (word){(uint16_t)name, raw->state, raw->value};
                a->mentioned[name] |= i > 0; /* the first is git's own */
            }
            r->first_word = (uint32_t)first;
            r->n_words = (uint32_t)(n - first);
            if (r->macro.n || r->n_words == 0)
                continue;
            s->rule_of[s->patterns.n] = (uint32_t)k;
            if (!dr_pattern_list__add(&s->patterns, r->pattern))
                goto no_memory;
        }
        int32_t *latest = s->is_info ? &a->info : &a->slots[slot_of(a, s->folder)];
        s->below = *latest;
        *latest = (int32_t)i;
    }
    free(a->raw);
    a->raw = NULL;
    return DR_OK;
no_memory:
    return dr_fail(err, DR_ERR_NOMEM, "attributes: out of memory");
}

/* What has been said so far about each name, and by which rule. */
typedef struct said {
    const word *by[MAX_NAMES];
    const rule *rule[MAX_NAMES];
    const source *source[MAX_NAMES];
} said;

/* From the last word to the first: what was said before stands. */
static void say(const dr_attributes *a, said *now, const rule *words_of, const rule *matched, const source *from)
{
    for (uint32_t k = words_of->n_words; k-- > 0;) {
        const word *w = &a->words[words_of->first_word + k];
        if (now->by[w->name])
            continue;
        now->by[w->name] = w;
        now->rule[w->name] = matched;
        now->source[w->name] = from;
        if (w->state == DR_ATTR_YES && a->macro_of[w->name] != NONE)
            say(a, now, &a->rules[a->macro_of[w->name]], matched, from);
    }
}

static void say_source(const dr_attributes *a, said *now, const source *s, dr_str path, size_t name, bool is_folder)
{
    const size_t skip = s->folder.n ? s->folder.n + 1 : 0;
    const dr_str below = {path.s + skip, path.n - skip};
    dr_pattern_cursor c = dr_pattern_list__from_end(&s->patterns, below, name - skip);
    for (size_t i; (i = dr_pattern_list__next(&c, &s->patterns, below, name - skip, is_folder)) != SIZE_MAX;) {
        const rule *r = &a->rules[s->rule_of[i]];
        say(a, now, r, r, s);
    }
}

static size_t name_start(dr_str path)
{
    size_t at = path.n;
    while (at > 0 && path.s[at - 1] != '/')
        at--;
    return at;
}

static void look_up(said *now, const dr_attributes *a, dr_str path, bool is_folder)
{
    const size_t name = name_start(path);

    memset(now->by, 0, a->n_names * sizeof *now->by);
    for (int32_t i = a->info; i != NONE; i = a->sources[i].below)
        say_source(a, now, &a->sources[i], path, name, is_folder);
    for (size_t n = name ? name - 1 : 0;; n = name_start((dr_str){path.s, n}), n -= n > 0) {
        for (int32_t i = a->slots[slot_of(a, (dr_str){path.s, n})]; i != NONE; i = a->sources[i].below)
            say_source(a, now, &a->sources[i], path, name, is_folder);
        if (n == 0)
            return;
    }
}

static dr_attr_state state_of(const said *now, dr_attr attr)
{
    return now->by[attr] ? (dr_attr_state)now->by[attr]->state : DR_ATTR_UNSAID;
}

static bool has_value(const said *now, dr_attr attr, const char *value)
{
    return state_of(now, attr) == DR_ATTR_VALUE && dr_str_eq(now->by[attr]->value, dr_str_of(value));
}

/* linguist's own are written name, -name, name=true and name=false. */
static int8_t flag(const said *now, dr_attr attr)
{
    const dr_attr_state s = state_of(now, attr);
    return s == DR_ATTR_UNSAID ? -1 : s == DR_ATTR_NO || has_value(now, attr, "false") ? 0 : 1;
}

dr_attr_set dr_attributes__get(const dr_attributes *a, dr_str path, bool is_folder)
{
    dr_attr_set set = {.binary = -1, .generated = -1, .vendored = -1, .encoding = {"", 0}};
    said now;

    if (a->n_sources == 1 || path.n == 0) /* git's own alone has no patterns */
        return set;
    look_up(&now, a, path, is_folder);
    set.binary = flag(&now, DR_ATTR_BINARY);
    if (set.binary == -1 && state_of(&now, DR_ATTR_DIFF) == DR_ATTR_NO && state_of(&now, DR_ATTR_TEXT) == DR_ATTR_NO)
        set.binary = 1; /* the macro, spelled out */
    set.generated = flag(&now, DR_ATTR_GENERATED);
    set.vendored = flag(&now, DR_ATTR_VENDORED);
    set.export_ignore = state_of(&now, DR_ATTR_EXPORT_IGNORE) == DR_ATTR_YES;
    set.lfs = has_value(&now, DR_ATTR_FILTER, "lfs");
    set.text_no = state_of(&now, DR_ATTR_TEXT) == DR_ATTR_NO;
    set.text_auto = has_value(&now, DR_ATTR_TEXT, "auto");
    set.text_yes = !set.text_no && !set.text_auto &&
                   (state_of(&now, DR_ATTR_TEXT) != DR_ATTR_UNSAID || has_value(&now, DR_ATTR_EOL, "lf") ||
                    has_value(&now, DR_ATTR_EOL, "crlf"));
    if (state_of(&now, DR_ATTR_ENCODING) == DR_ATTR_VALUE)
        set.encoding = now.by[DR_ATTR_ENCODING]->value;
    return set;
}

bool dr_attributes__mentions(const dr_attributes *a, dr_attr attr)
{
    return a->mentioned[attr];
}

void dr_attributes__why(dr_attr_rule *out, const dr_attributes *a, dr_attr attr, dr_str path, bool is_folder)
{
    said now;

    *out = (dr_attr_rule){.state = DR_ATTR_UNSAID, .file = {"", 0}};
    if (path.n == 0)
        return;
    look_up(&now, a, path, is_folder);
    if (!now.by[attr])
        return;
    out->state = (dr_attr_state)now.by[attr]->state;
    out->value = now.by[attr]->value;
    out->file = now.source[attr]->name;
    out->line = now.rule[attr]->line;
    out->text = now.rule[attr]->text;
}
