#define PCRE2_CODE_UNIT_WIDTH 8
#include "repo/tag_query.h"

#include "base/arena.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SOURCE = 1 << 20,
    MAX_REGEX_BYTES = 65536, /* of a node's text */
    REGEX_STEPS = 20000,
    REGEX_HEAP_KIB = 1024,
    MATCHES_AT_ONCE = 1024, /* unfinished ones; the library forgets the oldest beyond */
    /* The library reports every hundred of its operations. Ordinary files take less than one report for 30 bytes. */
    STEPS_BASE = 20000,
    BYTES_PER_STEP = 4,
    MAX_STRIPPED = 1000,  /* pieces taken out of one text */
    MAX_DEPTH = 500,      /* a match begins at most this deep */
    MAX_LOOKS = 20000000, /* about 30 ms */
};

typedef enum op { OP_EQ, OP_MATCH, OP_ANY_OF, OP_STRIP, OP_ADJACENT } op;

typedef struct operand {
    bool is_capture;
    uint32_t capture;
    dr_str string; /* of the query's own */
} operand;

typedef struct predicate {
    op op;
    bool negate, any;
    uint32_t capture;
    size_t first, n; /* operands after the capture */
    pcre2_code *code;
} predicate;

typedef struct pattern {
    size_t first_predicate, n_predicates, first_property, n_properties;
} pattern;

struct dr_tag_query {
    TSQuery *query;
    pattern *patterns;
    predicate *predicates;
    operand *operands;
    dr_tag_property *properties;
    size_t n_patterns, n_predicates, n_operands, n_properties;
};

/* ---- making ---- */

static dr_str string_of(const TSQuery *q, uint32_t id)
{
    uint32_t n;
    const char *s = ts_query_string_value_for_id(q, id, &n);
    return (dr_str){s, n};
}

static dr_status compile_regex(pcre2_code **out, dr_str regex, dr_error *err)
{
    int code;
    PCRE2_SIZE at;
    PCRE2_UCHAR what[120];
    *out = pcre2_compile((PCRE2_SPTR)regex.s, regex.n, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                         &code, &at, NULL);
    if (*out)
        return DR_OK;
    (void)pcre2_get_error_message(code, what, sizeof what);
    return dr_fail(err, code == PCRE2_ERROR_NOMEMORY ? DR_ERR_NOMEM : DR_ERR_FORMAT, "query: regex \"%.*s\": %s at %zu",
                   (int)(regex.n > 60 ? 60 : regex.n), regex.s, (const char *)what, (size_t)at);
}

/* "any-not-eq?" to its parts. */
static bool read_name(predicate *p, dr_str name)
{
    static const struct {
        const char *text;
        op op;
        bool negate, any;
    } names[] = {
        {"eq?", OP_EQ, false, false},
        {"not-eq?", OP_EQ, true, false},
        {"any-eq?", OP_EQ, false, true},
        {"any-not-eq?", OP_EQ, true, true},
        {"match?", OP_MATCH, false, false},
        {"not-match?", OP_MATCH, true, false},
        {"any-match?", OP_MATCH, false, true},
        {"any-not-match?", OP_MATCH, true, true},
        {"any-of?", OP_ANY_OF, false, false},
        {"not-any-of?", OP_ANY_OF, true, false},
        {"strip!", OP_STRIP, false, false},
        {"select-adjacent!", OP_ADJACENT, false, false},
        {"set-adjacent!", OP_ADJACENT, false, false},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (dr_str_eq(name, dr_str_of(names[i].text))) {
            p->op = names[i].op;
            p->negate = names[i].negate;
            p->any = names[i].any;
            return true;
        }
    return false;
}

/* One predicate: `n` steps without the one that ends it. Room for all of them has been made. */
static dr_status read_predicate(dr_tag_query *q, pattern *in, const TSQueryPredicateStep *steps, uint32_t n,
                                dr_error *err)
{
    predicate *p = &q->predicates[q->n_predicates];

    if (n == 0 || steps[0].type != TSQueryPredicateStepTypeString)
        return dr_fail(err, DR_ERR_FORMAT, "query: a predicate without a name");
    const dr_str name = string_of(q->query, steps[0].value_id);
    if (dr_str_eq(name, DR_STR("set!"))) {
        if (n < 2 || n > 3 || steps[1].type != TSQueryPredicateStepTypeString ||
            (n == 3 && steps[2].type != TSQueryPredicateStepTypeString))
            return dr_fail(err, DR_ERR_FORMAT, "query: #set! takes a key and perhaps a value");
        q->properties[q->n_properties++] = (dr_tag_property){
            string_of(q->query, steps[1].value_id), n == 3 ? string_of(q->query, steps[2].value_id) : (dr_str){"", 0}};
        in->n_properties++;
        return DR_OK;
    }
    *p = (predicate){.first = q->n_operands};
    if (!read_name(p, name))
        return dr_fail(err, DR_ERR_FORMAT, "query: unknown predicate #%.*s", (int)(name.n > 60 ? 60 : name.n), name.s);
    if (n < 3 || steps[1].type != TSQueryPredicateStepTypeCapture || (p->op != OP_ANY_OF && n != 3))
        return dr_fail(err, DR_ERR_FORMAT, "query: #%.*s takes a capture and %s", (int)name.n, name.s,
                       p->op == OP_ANY_OF ? "strings" : "one more");
    p->capture = steps[1].value_id;
    for (uint32_t i = 2; i < n; i++) {
        const bool is_capture = steps[i].type == TSQueryPredicateStepTypeCapture;
        if (is_capture ? p->op != OP_EQ && p->op != OP_ADJACENT : p->op == OP_ADJACENT)
            return dr_fail(err, DR_ERR_FORMAT, "query: #%.*s: wrong kind of argument", (int)name.n, name.s);
        q->operands[q->n_operands++] = (operand){is_capture, steps[i].value_id,
                                                 is_capture ? (dr_str){"", 0} : string_of(q->query, steps[i].value_id)};
        p->n++;
    }
    if (p->op == OP_MATCH || p->op == OP_STRIP) {
        const dr_status st = compile_regex(&p->code, q->operands[p->first].string, err);
        if (st != DR_OK)
            return st;
    }
    q->n_predicates++;
    in->n_predicates++;
    return DR_OK;
}

static dr_status read_predicates(dr_tag_query *q, dr_error *err)
{
    size_t n_steps = 1;

    q->n_patterns = ts_query_pattern_count(q->query);
    for (uint32_t i = 0; i < q->n_patterns; i++) {
        uint32_t n;
        (void)ts_query_predicates_for_pattern(q->query, i, &n);
        n_steps += n;
    }
    q->patterns = calloc(q->n_patterns + 1, sizeof *q->patterns);
    q->predicates = calloc(n_steps, sizeof *q->predicates);
    q->operands = calloc(n_steps, sizeof *q->operands);
    q->properties = calloc(n_steps, sizeof *q->properties);
    if (!q->patterns || !q->predicates || !q->operands || !q->properties)
        return dr_fail(err, DR_ERR_NOMEM, "query: out of memory");
    for (uint32_t i = 0; i < q->n_patterns; i++) {
        uint32_t n;
        const TSQueryPredicateStep *steps = ts_query_predicates_for_pattern(q->query, i, &n);
        q->patterns[i] = (pattern){.first_predicate = q->n_predicates, .first_property = q->n_properties};
        for (uint32_t at = 0; at < n;) {
            uint32_t end = at;
            while (end < n && steps[end].type != TSQueryPredicateStepTypeDone)
                end++;
            const dr_status st = read_predicate(q, &q->patterns[i], steps + at, end - at, err);
            if (st != DR_OK)
                return st;
            at = end + 1;
        }
    }
    return DR_OK;
}

dr_status dr_tag_query_new(dr_tag_query **out, const TSLanguage *language, dr_str source, dr_error *err)
{
    static const char *const whats[] = {"",
                                        "syntax",
                                        "no such node",
                                        "no such field",
                                        "no such capture",
                                        "a pattern that cannot match",
                                        "the language's version"};
    dr_status st = DR_OK;
    uint32_t at = 0;
    TSQueryError what = TSQueryErrorNone;
    dr_tag_query *q = NULL;

    *out = NULL;
    if (source.n > MAX_SOURCE) {
        st = dr_fail(err, DR_ERR_FORMAT, "query: %zu bytes", source.n);
        goto done;
    }
    if (!(q = calloc(1, sizeof *q))) {
        st = dr_fail(err, DR_ERR_NOMEM, "query: out of memory");
        goto done;
    }
    if (!(q->query = ts_query_new(language, source.s, (uint32_t)source.n, &at, &what))) {
        st = dr_fail(err, DR_ERR_FORMAT, "query: byte %u: %s", at, (unsigned)what < 7 ? whats[what] : "");
        goto done;
    }
    if ((st = read_predicates(q, err)) != DR_OK)
        goto done;
    *out = q;
    q = NULL;
done:
    dr_tag_query_free(q);
    return st;
}

void dr_tag_query_free(dr_tag_query *q)
{
    if (!q)
        return;
    /* A predicate that failed half-way has no regex yet, or was counted. */
    for (size_t i = 0; i < q->n_predicates; i++)
        pcre2_code_free(q->predicates[i].code);
    free(q->patterns);
    free(q->predicates);
    free(q->operands);
    free(q->properties);
    if (q->query)
        ts_query_delete(q->query);
    free(q);
}

uint32_t dr_tag_query_n_captures(const dr_tag_query *q)
{
    return ts_query_capture_count(q->query);
}

dr_str dr_tag_query_capture(const dr_tag_query *q, uint32_t index)
{
    uint32_t n;
    if (index >= dr_tag_query_n_captures(q))
        return (dr_str){"", 0};
    const char *s = ts_query_capture_name_for_id(q->query, index, &n);
    return (dr_str){s, n};
}

/* ---- running ---- */

typedef struct run {
    const dr_tag_query *q;
    dr_str text;
    dr_tag_capture *captures;
    size_t n, cap;
    pcre2_match_data *data;
    pcre2_match_context *context;
    dr_arena *stripped; /* made when first needed */
    uint64_t steps, max_steps;
    bool no_memory;
} run;

static dr_str node_text(const run *r, TSNode node)
{
    const uint32_t begin = ts_node_start_byte(node), end = ts_node_end_byte(node);
    if (begin > end || end > r->text.n)
        return (dr_str){"", 0};
    return (dr_str){r->text.s + begin, end - begin};
}

/* Where the regex next matches at or after `from`; false: nowhere, or not within its budget. */
static bool find(const run *r, const pcre2_code *code, dr_str text, size_t from, size_t *begin, size_t *end)
{
    const size_t n = text.n < MAX_REGEX_BYTES ? text.n : MAX_REGEX_BYTES;
    if (from > n || pcre2_match(code, (PCRE2_SPTR)text.s, n, from, 0, r->data, r->context) < 0)
        return false;
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->data);
    *begin = v[0];
    *end = v[1];
    return v[0] <= v[1] && v[1] <= n; /* \K can put the end before the beginning */
}

/* The nth capture of this name, or NULL. */
static const dr_tag_capture *nth(const run *r, uint32_t index, size_t nth_one)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->captures[i].index == index && nth_one-- == 0)
            return &r->captures[i];
    return NULL;
}

static bool holds_for(const run *r, const predicate *p, const dr_tag_capture *c, size_t place)
{
    const operand *with = &r->q->operands[p->first];
    size_t begin, end;

    switch (p->op) {
    case OP_EQ:
        if (with->is_capture) {
            const dr_tag_capture *other = nth(r, with->capture, place);
            return other && dr_str_eq(c->text, other->text);
        }
        return dr_str_eq(c->text, with->string);
    case OP_MATCH: return find(r, p->code, c->text, 0, &begin, &end);
    case OP_ANY_OF:
        for (size_t i = 0; i < p->n; i++)
            if (dr_str_eq(c->text, with[i].string))
                return true;
        return false;
    default: return true;
    }
}

static bool holds(const run *r, const predicate *p)
{
    size_t place = 0;
    bool one = false;
    for (size_t i = 0; i < r->n; i++) {
        if (r->captures[i].index != p->capture)
            continue;
        const bool yes = holds_for(r, p, &r->captures[i], place++) != p->negate;
        if (!yes && !p->any)
            return false;
        one |= yes;
    }
    return place == 0 || !p->any || one;
}

/* Appends text[begin, end) to what is kept. *only: the one piece so far, if there is but one. */
static size_t keep(char *room, size_t n, dr_str text, size_t begin, size_t end, dr_str *only, int *n_pieces)
{
    if (begin >= end)
        return n;
    memcpy(room + n, text.s + begin, end - begin);
    *only = (dr_str){text.s + begin, end - begin};
    ++*n_pieces;
    return n + (end - begin);
}

/* Takes out what the regex finds. A text that loses only its ends stays where it is. */
static void strip(run *r, const predicate *p, dr_tag_capture *c)
{
    const dr_str text = c->text;
    dr_str only = {text.s, 0};
    size_t begin, end, from = 0, done = 0, n = 0;
    int n_pieces = 0;
    char *room = NULL;

    for (int i = 0; i < MAX_STRIPPED && find(r, p->code, text, from, &begin, &end); i++) {
        from = end > begin ? end : end + 1;
        if (end == begin)
            continue;
        if (!r->stripped && !(r->stripped = dr_arena_new(4096)))
            r->no_memory = true;
        if (!room && (r->no_memory || !(room = dr_arena_take(r->stripped, text.n)))) {
            r->no_memory = true;
            return;
        }
        n = keep(room, n, text, done, begin, &only, &n_pieces);
        done = end;
    }
    if (!room)
        return;
    n = keep(room, n, text, done, text.n, &only, &n_pieces);
    c->text = n_pieces <= 1 ? only : (dr_str){room, n};
}

/* Of the first capture, drops the nodes that do not lead up to the second without a line between. */
static void select_adjacent(run *r, const predicate *p)
{
    const dr_tag_capture *anchor = nth(r, r->q->operands[p->first].capture, 0);
    size_t n = 0;

    if (!anchor)
        return;
    uint32_t row = ts_node_start_point(anchor->node).row; /* of what was found to belong last */
    const uint32_t anchor_at = ts_node_start_byte(anchor->node);
    bool broken = false;
    for (size_t i = r->n; i-- > 0;) {
        dr_tag_capture *c = &r->captures[i];
        if (c->index != p->capture || ts_node_start_byte(c->node) >= anchor_at)
            continue;
        const TSPoint end = ts_node_end_point(c->node);
        const uint32_t last_row = end.column == 0 && end.row > 0 ? end.row - 1 : end.row; /* ends with its newline */
        broken = broken || last_row + 1 < row;
        if (broken)
            c->index = UINT32_MAX;
        else
            row = ts_node_start_point(c->node).row;
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->captures[i].index != UINT32_MAX)
            r->captures[n++] = r->captures[i];
    r->n = n;
}

/* Fills r's captures. False: out of memory, or a predicate does not hold. */
static bool take(run *r, const TSQueryMatch *m)
{
    const pattern *p = &r->q->patterns[m->pattern_index];

    if (m->capture_count > r->cap) {
        dr_tag_capture *grown = realloc(r->captures, m->capture_count * sizeof *grown);
        if (!grown) {
            r->no_memory = true;
            return false;
        }
        r->captures = grown;
        r->cap = m->capture_count;
    }
    r->n = m->capture_count;
    for (size_t i = 0; i < r->n; i++)
        r->captures[i] = (dr_tag_capture){m->captures[i].node, m->captures[i].index, node_text(r, m->captures[i].node)};
    for (size_t i = 0; i < p->n_predicates; i++) {
        const predicate *pr = &r->q->predicates[p->first_predicate + i];
        if (pr->op < OP_STRIP && !holds(r, pr))
            return false;
    }
    if (r->stripped)
        dr_arena_rewind(r->stripped);
    for (size_t i = 0; i < p->n_predicates; i++) {
        const predicate *pr = &r->q->predicates[p->first_predicate + i];
        if (pr->op == OP_ADJACENT)
            select_adjacent(r, pr);
        for (size_t k = 0; pr->op == OP_STRIP && k < r->n; k++)
            if (r->captures[k].index == pr->capture)
                strip(r, pr, &r->captures[k]);
    }
    return !r->no_memory;
}

/* True stops the library. */
static bool on_progress(TSQueryCursorState *state)
{
    run *r = state->payload;
    return ++r->steps > r->max_steps;
}

/* The library asks of every node which of its later siblings have names, and looks through all that have none: the
 * square of such a run. Text that is not in the language at all gives one error with a hundred thousand brackets in a
 * row. */
static bool is_ragged(TSNode root)
{
    uint64_t run_length = 0, looks = 0;
    uint32_t depth = 0;
    TSTreeCursor c = ts_tree_cursor_new(root);
    for (bool more = true; more && looks <= MAX_LOOKS;) {
        run_length = ts_node_is_named(ts_tree_cursor_current_node(&c)) ? 0 : run_length + 1;
        looks += run_length;
        if (ts_tree_cursor_goto_first_child(&c)) {
            depth++;
            run_length = 0;
            continue;
        }
        while (more && !ts_tree_cursor_goto_next_sibling(&c)) {
            more = depth > 0 && ts_tree_cursor_goto_parent(&c);
            depth -= depth > 0;
            run_length = 0;
        }
    }
    ts_tree_cursor_delete(&c);
    return looks > MAX_LOOKS;
}

dr_status dr_tag_query_run(const dr_tag_query *q, TSNode root, dr_str text, dr_tag_found *found, void *arg,
                           dr_error *err)
{
    dr_status st = DR_OK;
    run r = {.q = q, .text = text, .max_steps = STEPS_BASE + text.n / BYTES_PER_STEP};
    const TSQueryCursorOptions options = {.payload = &r, .progress_callback = on_progress};
    TSQueryMatch m;
    TSQueryCursor *cursor = ts_query_cursor_new();

    if (is_ragged(root)) {
        st = dr_fail(err, DR_ERR_LIMIT, "query: the tree is mostly one error");
        goto done;
    }
    r.data = pcre2_match_data_create(1, NULL);
    r.context = pcre2_match_context_create(NULL);
    if (!cursor || !r.data || !r.context) {
        st = dr_fail(err, DR_ERR_NOMEM, "query: out of memory");
        goto done;
    }
    (void)pcre2_set_match_limit(r.context, REGEX_STEPS);
    (void)pcre2_set_depth_limit(r.context, REGEX_STEPS);
    (void)pcre2_set_heap_limit(r.context, REGEX_HEAP_KIB);
    ts_query_cursor_set_match_limit(cursor, MATCHES_AT_ONCE);
    ts_query_cursor_set_max_start_depth(cursor, MAX_DEPTH);
    ts_query_cursor_exec_with_options(cursor, q->query, root, &options);
    while (ts_query_cursor_next_match(cursor, &m) && !r.no_memory) {
        if (m.pattern_index >= q->n_patterns || !take(&r, &m))
            continue;
        const pattern *p = &q->patterns[m.pattern_index];
        const dr_tag_match match = {m.pattern_index, r.captures, q->properties + p->first_property, r.n,
                                    p->n_properties};
        if (!found(arg, &match))
            break;
    }
    if (r.no_memory)
        st = dr_fail(err, DR_ERR_NOMEM, "query: out of memory");
    else if (r.steps > r.max_steps)
        st = dr_fail(err, DR_ERR_LIMIT, "query: over its budget of %llu steps", (unsigned long long)r.max_steps);
done:
    dr_arena_free(r.stripped);
    free(r.captures);
    pcre2_match_data_free(r.data);
    pcre2_match_context_free(r.context);
    if (cursor)
        ts_query_cursor_delete(cursor);
    return st;
}
