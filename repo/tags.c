/* A language's query (queries/NAME.scm, put into queries.h by CMake) captures what becomes definitions, imports and
 * sections.
 *
 *   @definition.KIND  the whole of a definition, with @name, and @body, @container where the tree does not say
 *   @section          the whole of an entry of the outline, with @name
 *   @scope            something around definitions that defines nothing itself, with @name
 *   @import.FORM      the text of an import
 *
 * When several patterns name the same place the first in the query wins. #set!: `once`, only the first of that name in
 * a file; `clauses`, one definition with those of the same name that follow it directly.
 *
 * What a definition lies in follows from their ranges. A function in a type is a method, a variable in one a field, and
 * a variable in a function is nobody's business. */
#include "repo/tags.h"

#include "repo/tag_query.h"

#include "repo/queries.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SECTIONS = 400, /* of one file: deeper levels are left out first */
    MAX_NAME_BYTES = 160,
    MAX_DEFINITIONS = 100000,
};

typedef enum role {
    ROLE_NONE,
    ROLE_NAME,
    ROLE_WHOLE,
    ROLE_SECTION,
    ROLE_SCOPE,
    ROLE_BODY,
    ROLE_CONTAINER,
    ROLE_IMPORT
} role;

enum { MAX_CAPTURES = 48 };

typedef struct tags {
    const char *source;
    dr_tag_query *query; /* NULL: not made yet, or cannot be */
    struct {
        uint8_t role, what; /* what: a dr_sym_kind, a dr_import_form */
    } captures[MAX_CAPTURES];
} tags;

static tags tags_of[DR_N_LANGS] = {
    [DR_LANG_KOTLIN] = {.source = query_kotlin},     [DR_LANG_SWIFT] = {.source = query_swift},
    [DR_LANG_SCALA] = {.source = query_scala},       [DR_LANG_LUA] = {.source = query_lua},
    [DR_LANG_BASH] = {.source = query_bash},         [DR_LANG_ELIXIR] = {.source = query_elixir},
    [DR_LANG_ZIG] = {.source = query_zig},           [DR_LANG_HTML] = {.source = query_html},
    [DR_LANG_CSS] = {.source = query_css},           [DR_LANG_JSON] = {.source = query_json},
    [DR_LANG_YAML] = {.source = query_yaml},         [DR_LANG_TOML] = {.source = query_toml},
    [DR_LANG_MARKDOWN] = {.source = query_markdown}, [DR_LANG_MAKE] = {.source = query_make},
};
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static bool read_capture(tags *t, uint32_t i, dr_str name)
{
    static const struct {
        const char *text;
        role role;
        uint8_t what;
    } whole[] = {
        {"name", ROLE_NAME, 0},
        {"section", ROLE_SECTION, DR_SYM_SECTION},
        {"scope", ROLE_SCOPE, 0},
        {"body", ROLE_BODY, 0},
        {"container", ROLE_CONTAINER, 0},
        {"import.plain", ROLE_IMPORT, DR_IMPORT_PLAIN},
        {"import.path", ROLE_IMPORT, DR_IMPORT_PATH},
        {"import.type", ROLE_IMPORT, DR_IMPORT_TYPE},
        {"import.load", ROLE_IMPORT, DR_IMPORT_LOAD},
    };
    static const char definition[] = "definition.";
    const size_t n = sizeof definition - 1;

    if (name.n && name.s[0] == '_')
        return true;
    for (size_t k = 0; k < sizeof whole / sizeof *whole; k++)
        if (dr_str_eq(name, dr_str_of(whole[k].text))) {
            t->captures[i].role = (uint8_t)whole[k].role;
            t->captures[i].what = whole[k].what;
            return true;
        }
    for (int kind = 0; name.n > n && memcmp(name.s, definition, n) == 0 && kind < DR_N_SYM_KINDS; kind++)
        if (dr_str_eq((dr_str){name.s + n, name.n - n}, dr_str_of(dr_sym_kind_name((dr_sym_kind)kind)))) {
            t->captures[i].role = ROLE_WHOLE;
            t->captures[i].what = (uint8_t)kind;
            return true;
        }
    return false;
}

dr_status dr_tags__check(dr_lang lang, const dr_grammar *grammar, dr_error *err)
{
    dr_status st = DR_OK;
    tags *t = &tags_of[lang];
    dr_tag_query *q = NULL;

    if (!t->source)
        return dr_fail(err, DR_ERR_NOT_FOUND, "%s: no query", dr_lang_name(lang));
    (void)pthread_mutex_lock(&making);
    if (t->query)
        goto done;
    const TSLanguage *language = grammar->language();
    st = dr_tag_query_new(&q, language, dr_str_of(t->source), err);
    ts_language_delete(language);
    if (st != DR_OK)
        goto done;
    if (dr_tag_query_n_captures(q) > MAX_CAPTURES) {
        st = dr_fail(err, DR_ERR_FORMAT, "query of %s: too many captures", dr_lang_name(lang));
        goto done;
    }
    for (uint32_t i = 0; i < dr_tag_query_n_captures(q); i++) {
        const dr_str name = dr_tag_query_capture(q, i);
        if (!read_capture(t, i, name)) {
            st = dr_fail(err, DR_ERR_FORMAT, "query of %s: a capture @%.*s", dr_lang_name(lang), (int)name.n, name.s);
            goto done;
        }
    }
    t->query = q; /* for the life of the program */
    q = NULL;
done:
    (void)pthread_mutex_unlock(&making);
    dr_tag_query_free(q);
    return st;
}

/* ---- what one file's matches say ---- */

typedef struct tag {
    TSNode name, whole, body, container;
    dr_str text;         /* of the name, within the file's */
    uint32_t begin, end; /* of the whole */
    uint32_t pattern;
    uint32_t parent;    /* index of what is around it, UINT32_MAX: nothing */
    uint32_t level;     /* of a section */
    uint32_t last_line; /* of the clause that follows, 0: its own end counts */
    uint8_t role, kind;
    bool once, clauses, dropped;
} tag;

typedef struct tag_list {
    dr_walk *w;
    const tags *t;
    tag *v;
    size_t n, cap;
    bool failed;
} tag_list;

static bool in_text(const dr_walk *w, dr_str s)
{
    return s.n && s.s >= w->text.s && s.s + s.n <= w->text.s + w->text.n;
}

/* A name of a section is its first line, without blanks around. */
static dr_str first_line(dr_str s)
{
    const char *nl = memchr(s.s, '\n', s.n);
    if (nl)
        s.n = (size_t)(nl - s.s);
    while (s.n && strchr(" \t\r", s.s[0]))
        s.s++, s.n--;
    while (s.n && strchr(" \t\r,", s.s[s.n - 1]))
        s.n--;
    if (s.n > MAX_NAME_BYTES) {
        s.n = MAX_NAME_BYTES;
        while (s.n && ((uint8_t)s.s[s.n] & 0xc0) == 0x80) /* not in the middle of a character */
            s.n--;
    }
    return s;
}

static bool on_match(void *arg, const dr_tag_match *m)
{
    tag_list *l = arg;
    tag t = {.pattern = m->pattern, .parent = UINT32_MAX};

    for (size_t i = 0; i < m->n_captures; i++) {
        const dr_tag_capture *c = &m->captures[i];
        switch (l->t->captures[c->index].role) {
        case ROLE_NAME:
            t.name = c->node;
            t.text = c->text;
            break;
        case ROLE_WHOLE:
        case ROLE_SECTION:
        case ROLE_SCOPE:
            t.whole = c->node;
            t.role = l->t->captures[c->index].role;
            t.kind = l->t->captures[c->index].what;
            break;
        case ROLE_BODY: t.body = c->node; break;
        case ROLE_CONTAINER: t.container = c->node; break;
        case ROLE_IMPORT:
            dr_walk__import(l->w, c->text, ts_node_start_point(c->node).row + 1,
                            (dr_import_form)l->t->captures[c->index].what);
            break;
        default: break;
        }
    }
    if (t.role == ROLE_SECTION)
        t.text = first_line(t.text);
    if (ts_node_is_null(t.name) || ts_node_is_null(t.whole) || !in_text(l->w, t.text))
        return true;
    for (size_t i = 0; i < m->n_properties; i++) {
        t.once |= dr_str_eq(m->properties[i].key, DR_STR("once"));
        t.clauses |= dr_str_eq(m->properties[i].key, DR_STR("clauses"));
    }
    t.begin = ts_node_start_byte(t.whole);
    t.end = ts_node_end_byte(t.whole);
    if (l->n == l->cap) {
        const size_t more = l->cap ? 2 * l->cap : 64;
        tag *grown = realloc(l->v, more * sizeof *grown);
        if (!grown) {
            l->failed = true;
            return false;
        }
        l->v = grown;
        l->cap = more;
    }
    l->v[l->n++] = t;
    return l->n < MAX_DEFINITIONS;
}

static uint32_t last_line(TSNode whole)
{
    const TSPoint end = ts_node_end_point(whole);
    return end.row + (end.column > 0 ? 1 : 0); /* a node that ends with its newline ends on the line before */
}

static int by_place(const void *a, const void *b)
{
    const tag *x = a, *y = b;
    if (x->text.s != y->text.s)
        return x->text.s < y->text.s ? -1 : 1;
    return (x->pattern > y->pattern) - (x->pattern < y->pattern);
}

/* From outside in. */
static int by_whole(const void *a, const void *b)
{
    const tag *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return by_place(a, b);
}

static int by_name(const void *a, const void *b)
{
    const tag *x = *(tag *const *)a, *y = *(tag *const *)b;
    const int c = dr_str_cmp(x->text, y->text);
    return c ? c : (x->text.s > y->text.s) - (x->text.s < y->text.s);
}

static bool is_type(uint8_t kind)
{
    return kind == DR_SYM_CLASS || kind == DR_SYM_STRUCT || kind == DR_SYM_UNION || kind == DR_SYM_ENUM ||
           kind == DR_SYM_INTERFACE || kind == DR_SYM_TRAIT;
}

/* Parents, levels, and the kinds that follow from what is around. */
static void nest(tag_list *l)
{
    uint32_t around = UINT32_MAX;
    for (size_t i = 0; i < l->n; i++) {
        tag *t = &l->v[i];
        while (around != UINT32_MAX &&
               (l->v[around].end <= t->begin || (l->v[around].begin == t->begin && l->v[around].end == t->end)))
            around = l->v[around].parent; /* one declaration with two names: neither lies in the other */
        t->parent = around;
        if (around != UINT32_MAX) {
            const tag *p = &l->v[around];
            const bool in_type = p->role == ROLE_SCOPE || is_type(p->kind);
            const bool in_function = p->role == ROLE_WHOLE && (p->kind == DR_SYM_FUNCTION || p->kind == DR_SYM_METHOD);
            t->level = p->level + 1;
            if (t->role == ROLE_WHOLE && t->kind == DR_SYM_FUNCTION && in_type)
                t->kind = DR_SYM_METHOD;
            if (t->role == ROLE_WHOLE && t->kind == DR_SYM_VARIABLE && in_type)
                t->kind = DR_SYM_FIELD;
            if (t->role == ROLE_WHOLE && (t->kind == DR_SYM_VARIABLE || t->kind == DR_SYM_CONSTANT) &&
                (in_function || p->dropped))
                t->dropped = true;
        }
        around = (uint32_t)i;
    }
}

static void drop_again(tag_list *l)
{
    size_t n = 0;
    tag **once = malloc((l->n ? l->n : 1) * sizeof(tag *));
    if (!once) {
        l->failed = true;
        return;
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].once && !l->v[i].dropped)
            once[n++] = &l->v[i];
    if (n)
        qsort(once, n, sizeof *once, by_name);
    for (size_t i = 1; i < n; i++)
        if (dr_str_eq(once[i]->text, once[i - 1]->text))
            once[i]->dropped = true;
    free(once);
    tag *before = NULL;
    for (size_t i = 0; i < l->n; i++) {
        tag *t = &l->v[i];
        if (!t->clauses || t->dropped)
            continue;
        if (before && before->parent == t->parent && before->kind == t->kind && dr_str_eq(before->text, t->text)) {
            t->dropped = true;
            before->last_line = last_line(t->whole);
        } else {
            before = t;
        }
    }
}

/* Few enough sections: whole levels go, the deepest first; of one level that is too much, the first are kept. */
static void limit_sections(tag_list *l)
{
    size_t per_level[64] = {0}, n = 0;
    uint32_t level = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].role == ROLE_SECTION)
            per_level[l->v[i].level < 64 ? l->v[i].level : 63]++;
    while (level < 64 && n + per_level[level] <= MAX_SECTIONS)
        n += per_level[level++];
    for (size_t i = 0; i < l->n; i++) {
        tag *t = &l->v[i];
        if (t->role != ROLE_SECTION || t->level < level)
            continue;
        if (level == 0 && t->level == 0 && n < MAX_SECTIONS)
            n++;
        else
            t->dropped = true;
    }
}

static void define(dr_walk *w, const tag_list *l, const tag *t)
{
    static const TSNode none;
    TSNode container = t->container;
    const uint32_t at = (uint32_t)(t->text.s - w->text.s);
    const uint32_t line = ts_node_start_point(t->name).row + 1; /* #strip! takes no lines away */

    for (uint32_t p = t->parent; ts_node_is_null(container) && p != UINT32_MAX; p = l->v[p].parent)
        if (!l->v[p].dropped && (l->v[p].role != ROLE_SECTION || t->role == ROLE_SECTION))
            container = l->v[p].name;
    if (t->role == ROLE_WHOLE && ts_node_start_byte(t->name) == at && ts_node_end_byte(t->name) == at + t->text.n) {
        dr_walk__define(w, t->name, t->whole, (dr_sym_kind)t->kind, ts_node_is_null(container) ? &none : &container);
        dr_walk__body(w, t->body);
        if (t->last_line && w->last_def < w->n_defs)
            w->defs[w->last_def].end_line = t->last_line;
        return;
    }
    dr_walk__define_at(w, at, (uint32_t)t->text.n, line, ts_node_start_point(t->whole).row + 1, last_line(t->whole),
                       (dr_sym_kind)t->kind);
    if (!ts_node_is_null(container) && w->last_def < w->n_defs) {
        w->defs[w->last_def].container_at = ts_node_start_byte(container);
        w->defs[w->last_def].container_n = ts_node_end_byte(container) - ts_node_start_byte(container);
    }
}

void dr_tags__define(dr_walk *w, TSNode root)
{
    dr_error err;
    tag_list l = {.w = w, .t = &tags_of[w->lang]};
    size_t n = 0;

    if (dr_tags__check(w->lang, w->grammar, &err) != DR_OK) {
        w->failed |= err.code == DR_ERR_NOMEM; /* a query that does not fit is found by a test, not by a user */
        return;
    }
    w->failed |= dr_tag_query_run(l.t->query, root, w->text, on_match, &l, NULL) == DR_ERR_NOMEM;
    if (l.n) {
        qsort(l.v, l.n, sizeof *l.v, by_place);
        for (size_t i = 0; i < l.n; i++)
            if (n == 0 || l.v[i].text.s != l.v[n - 1].text.s)
                l.v[n++] = l.v[i];
        l.n = n;
        qsort(l.v, l.n, sizeof *l.v, by_whole);
        nest(&l);
        drop_again(&l);
        limit_sections(&l);
        for (size_t i = 0; i < l.n && !l.failed; i++) {
            if (l.v[i].role == ROLE_SCOPE)
                continue;
            if (l.v[i].dropped)
                dr_walk__mark(w, l.v[i].name, DR_MARK_DEF);
            else
                define(w, &l, &l.v[i]);
        }
    }
    w->failed |= l.failed;
    free(l.v);
}
