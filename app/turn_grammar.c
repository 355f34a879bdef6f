#include "app/turn_grammar.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 64, MAX_ITEMS = 64 };

/* ---- words ---- */

static bool word_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           c == '~' || c >= 0x80;
}

static int cmp_str(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

/* Sorts and drops doubles; returns how many are left. */
static size_t sort_unique(dr_str *v, size_t n)
{
    size_t kept = 0;
    if (n)
        qsort(v, n, sizeof *v, cmp_str);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !dr_str_eq(v[kept - 1], v[i]))
            v[kept++] = v[i];
    return kept;
}

dr_status dr_words_init(dr_words *out, dr_str question, dr_error *err)
{
    *out = (dr_words){0};
    if (!(out->v = calloc(question.n / 2 + 1, sizeof *out->v)))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < question.n;) {
        size_t end = i;
        while (end < question.n && word_byte((unsigned char)question.s[end]))
            end++;
        if (end > i)
            out->v[out->n++] = (dr_str){question.s + i, end - i};
        i = end + 1;
    }
    out->n = sort_unique(out->v, out->n);
    return DR_OK;
}

void dr_words_fini(dr_words *w)
{
    free(w->v);
    *w = (dr_words){0};
}

/* ---- building ---- */

typedef struct builder {
    const dr_turn_context *c;
    dr_grammar *g;
    dr_arena *arena;
    int32_t dsml;
} builder;

static dr_node literal(builder *b, const char *s)
{
    return dr_grammar_literal(b->g, dr_str_of(s));
}

static dr_node choice(builder *b, const dr_node *v, size_t n)
{
    return n == 1 ? v[0] : dr_grammar_choice(b->g, v, n);
}

/* Any bytes; only a control token ends it. */
static dr_node free_text(builder *b)
{
    return dr_grammar_text(b->g, DR_STR(""));
}

/* A name: the index and the words of the question alike. */
static dr_node symbol(builder *b)
{
    dr_node v[2];
    size_t n = 0, n_names = 0;
    const dr_str *names = dr_symbols_names(b->c->workspace->symbols, &n_names);
    if (n_names)
        v[n++] = dr_grammar_set(b->g, names, n_names, false);
    if (b->c->words->n)
        v[n++] = dr_grammar_set(b->g, b->c->words->v, b->c->words->n, false);
    return n ? choice(b, v, n) : free_text(b);
}

static dr_node value(builder *b, dr_tool_id id, const dr_tool_arg *arg)
{
    const bool closed = b->c->profile->n_forms > 0;
    static const uint64_t digits[4] = {UINT64_C(0x03ff000000000000), 0, 0, 0};

    if (arg->integer)
        return dr_grammar_repeat(b->g, dr_grammar_bytes(b->g, digits), 1, 9);
    if (closed && id == DR_TOOL_READ && b->c->n_paths)
        return dr_grammar_set(b->g, b->c->paths, b->c->n_paths, false);
    return closed ? symbol(b) : free_text(b);
}

static dr_node invoke(builder *b, dr_tool_id id)
{
    dr_node v[4 + 6 * DR_TOOL_ARGS];
    size_t n = 0;
    char text[160];

    (void)snprintf(text, sizeof text, "%s\">\n", dr_tool_name(id));
    v[n++] = literal(b, text);
    const dr_tool_arg *args = dr_tool_args(id);
    for (int i = 0; i < DR_TOOL_ARGS && args[i].name; i++) {
        v[n++] = literal(b, i ? "\n<" : "<");
        v[n++] = dr_grammar_control(b->g, b->dsml);
        (void)snprintf(text, sizeof text, "parameter name=\"%s\" string=\"%s\">", args[i].name,
                       args[i].integer ? "false" : "true");
        v[n++] = literal(b, text);
        v[n++] = value(b, id, &args[i]);
        v[n++] = literal(b, "</");
        v[n++] = dr_grammar_control(b->g, b->dsml);
        v[n++] = literal(b, "parameter>");
    }
    return dr_grammar_sequence(b->g, v, n);
}

static dr_node tool_calls(builder *b)
{
    dr_node tools[DR_MAX_TOOLS];
    size_t n_tools = 0;
    for (int i = 0; i < b->c->profile->n_tools; i++) {
        dr_tool_id id;
        if (dr_tool_find(&id, dr_str_of(b->c->profile->tools[i])))
            tools[n_tools++] = invoke(b, id);
    }
    const dr_node dsml = dr_grammar_control(b->g, b->dsml);
    const dr_node one[] = {literal(b, "<"), dsml, literal(b, "invoke name=\""), choice(b, tools, n_tools),
                           literal(b, "\n</"), dsml, literal(b, "invoke>\n")};
    const dr_node first = dr_grammar_sequence(b->g, one, sizeof one / sizeof *one);
    const int32_t most = b->c->profile->n_forms ? 1 : 8;
    const dr_node all[] = {literal(b, "\n\n<"), dsml, literal(b, "tool_calls>\n"),
                           dr_grammar_repeat(b->g, first, 1, most), literal(b, "</"), dsml, literal(b, "tool_calls>")};
    return dr_grammar_sequence(b->g, all, sizeof all / sizeof *all);
}

/* ---- sentences of a closed model ---- */

static dr_status copy(builder *b, dr_str *out, const dr_buf *text, dr_error *err)
{
    char *s = text->failed ? NULL : dr_arena_take(b->arena, text->n + 1);
    if (!s)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    if (text->n)
        memcpy(s, text->data, text->n);
    *out = (dr_str){s, text->n};
    return DR_OK;
}

/* The text with {cite} and {enclosing} filled in from one place; false when a hole has nothing to fill it. */
static bool fill(dr_buf *out, dr_str text, const dr_place *p, const dr_repo *repo)
{
    for (size_t i = 0; i < text.n;) {
        const dr_str rest = {text.s + i, text.n - i};
        if (rest.n >= 6 && memcmp(rest.s, "{cite}", 6) == 0) {
            const dr_str path = dr_repo_file_at(repo, p->file)->path;
            dr_buf_add(out, path.s, path.n);
            dr_buf_printf(out, ":%u", p->line);
            i += 6;
        } else if (rest.n >= 11 && memcmp(rest.s, "{enclosing}", 11) == 0) {
            if (!p->hole[DR_HOLE_ENCLOSING].n)
                return false;
            dr_buf_add(out, p->hole[DR_HOLE_ENCLOSING].s, p->hole[DR_HOLE_ENCLOSING].n);
            i += 11;
        } else {
            dr_buf_add(out, rest.s, 1);
            i++;
        }
    }
    return true;
}

/* {symbol} in a sentence: a name that was looked up in this turn; -1 through *out when there is none. */
static dr_status looked_up(builder *b, dr_node *out, dr_error *err)
{
    dr_str *v = dr_arena_take(b->arena, (b->c->n_results + 1) * sizeof *v);
    size_t n = 0;

    *out = -1;
    if (!v)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < b->c->n_results; i++)
        if (b->c->results[i].subject.n)
            v[n++] = dr_buf_view(&b->c->results[i].subject);
    n = sort_unique(v, n);
    if (n)
        *out = dr_grammar_set(b->g, v, n, false);
    return DR_OK;
}

/* May a sentence with this check name the place? "Is defined at" names a declaration only where nothing better was found. */
static bool wanted(const dr_tool_result *r, const dr_place *p, dr_answer_check check)
{
    if (check == DR_CHECK_USED)
        return p->tool == DR_TOOL_FIND_REFS;
    if (check != DR_CHECK_DEFINED)
        return true;
    return p->tool == DR_TOOL_FIND_SYMBOL && (!p->declaration || r->places[0].declaration);
}

/* One filled text per place of the results so far, or, to repeat, of the last result that has any: a list is whole, every line once, in
 * an order of the model's choosing. -1 through *out when there is none. */
static dr_status places_set(builder *b, dr_node *out, dr_str text, bool repeat, dr_answer_check check, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf one = {0};
    size_t n = 0;
    dr_str *v = dr_arena_take(b->arena, MAX_ITEMS * sizeof *v);

    *out = -1;
    if (!v)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t k = b->c->n_results; k > 0 && st == DR_OK && !(repeat && n); k--) {
        const size_t i = k - 1;
        for (size_t j = 0; j < b->c->results[i].n_places && n < MAX_ITEMS && st == DR_OK; j++) {
            dr_buf_clear(&one);
            if (wanted(&b->c->results[i], &b->c->results[i].places[j], check) && fill(&one, text, &b->c->results[i].places[j], b->c->workspace->repo))
                st = copy(b, &v[n++], &one, err);
        }
    }
    dr_buf_free(&one);
    n = sort_unique(v, n);
    if (st == DR_OK && n) {
        const dr_node set = dr_grammar_set(b->g, v, n, repeat);
        *out = repeat ? dr_grammar_repeat(b->g, set, (int32_t)n, (int32_t)n) : set;
    }
    return st;
}

/* Compiles one sentence; *out is -1 when it cannot be said now (a hole without anything to fill it). */
static dr_status sentence(builder *b, dr_node *out, const dr_answer_form *form, dr_error *err)
{
    dr_node v[MAX_NODES];
    size_t n = 0;
    const char *p = form->text;

    *out = -1;
    if ((form->check == DR_CHECK_ABSENT || form->check == DR_CHECK_UNUSED) && b->c->n_results == 0)
        return DR_OK; /* "there is none" needs a look first */
    while (*p && n < MAX_NODES) {
        if (*p != '{') {
            const size_t len = strcspn(p, "{");
            v[n++] = dr_grammar_literal(b->g, (dr_str){p, len});
            p += len;
            continue;
        }
        /* A hole is {word}; a group holds holes itself and ends with the brace that balances. */
        int depth = 0;
        const char *end = p;
        do {
            depth += *end == '{' ? 1 : *end == '}' ? -1 : 0;
            end++;
        } while (depth > 0 && *end);
        if (depth != 0)
            return dr_fail(err, DR_ERR_FORMAT, "profile: unbalanced braces in \"%s\"", form->text);
        const dr_str hole = {p, (size_t)(end - p)};
        dr_node node = -1;
        dr_status st;
        if (dr_str_eq(hole, DR_STR("{symbol}")))
            st = looked_up(b, &node, err);
        else {
            const bool group = memchr(p + 1, '{', hole.n - 1) != NULL;
            if (!group && !dr_str_eq(hole, DR_STR("{cite}")) && !dr_str_eq(hole, DR_STR("{enclosing}")))
                return dr_fail(err, DR_ERR_FORMAT, "profile: unknown hole %.*s in \"%s\"", (int)hole.n, hole.s, form->text);
            st = places_set(b, &node, group ? (dr_str){p + 1, hole.n - 2} : hole, group, form->check, err);
        }
        if (st != DR_OK || node < 0)
            return st;
        v[n++] = node;
        p = end;
    }
    if (*p)
        return dr_fail(err, DR_ERR_FORMAT, "profile: more than %d parts in \"%s\"", MAX_NODES, form->text);
    *out = dr_grammar_sequence(b->g, v, n);
    return DR_OK;
}

dr_status dr_turn_grammar_build(dr_turn_grammar *out, const dr_turn_context *c, dr_error *err)
{
    dr_status st = DR_OK;
    builder b = {.c = c};
    dr_node v[DR_MAX_FORMS + 2];
    size_t n = 0;

    *out = (dr_turn_grammar){0};
    out->grammar = b.g = dr_grammar_new();
    out->storage = b.arena = dr_arena_new(4096);
    if (!b.g || !b.arena) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((b.dsml = dr_tokenizer_special(c->tokenizer, "｜DSML｜")) < 0) {
        st = dr_fail(err, DR_ERR_FORMAT, "the tokenizer has no token ｜DSML｜, which tool calls need");
        goto done;
    }
    const dr_node eos = dr_grammar_control(b.g, c->eos_id);
    const bool call = c->may_call && c->profile->n_tools > 0;
    if (c->profile->n_forms) {
        if (call)
            v[n++] = tool_calls(&b);
        for (int i = 0; i < c->profile->n_forms; i++) {
            dr_node node;
            if ((st = sentence(&b, &node, &c->profile->forms[i], err)) != DR_OK)
                goto done;
            if (node >= 0)
                v[n++] = node;
        }
        if (n == 0) {
            st = dr_fail(err, DR_ERR_FORMAT,
                         "profile: no sentence of \"answers\" can be said here, and no call is left: add one without holes");
            goto done;
        }
        const dr_node parts[] = {choice(&b, v, n), eos};
        out->root = dr_grammar_sequence(b.g, parts, 2);
    } else {
        if (c->profile->thinking) {
            const int32_t end = dr_tokenizer_special(c->tokenizer, "</think>");
            if (end < 0) {
                st = dr_fail(err, DR_ERR_FORMAT, "the tokenizer has no token </think>, which the thinking mode needs");
                goto done;
            }
            v[n++] = free_text(&b);
            v[n++] = dr_grammar_control(b.g, end);
        }
        v[n++] = free_text(&b);
        if (call)
            v[n++] = dr_grammar_repeat(b.g, tool_calls(&b), 0, 1);
        v[n++] = eos;
        out->root = dr_grammar_sequence(b.g, v, n);
    }
    if (!dr_grammar_ok(b.g, out->root))
        st = dr_fail(err, c->profile->n_forms ? DR_ERR_FORMAT : DR_ERR_NOMEM, "%s",
                     c->profile->n_forms ? "profile: \"answers\" has more repeated groups than the sampler takes, or memory ran out"
                                         : "out of memory");
done:
    if (st != DR_OK)
        dr_turn_grammar_fini(out);
    return st;
}

void dr_turn_grammar_fini(dr_turn_grammar *g)
{
    dr_grammar_free(g->grammar);
    dr_arena_free(g->storage);
    *g = (dr_turn_grammar){0};
}
