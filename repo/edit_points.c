#include "repo/edit_points_parts.h"

#include "repo/details.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LEVELS = 64 };

dr_str dr_edit_points__trimmed(dr_str t)
{
    while (t.n && strchr(" \t\r\n", t.s[0]))
        t.s++, t.n--;
    while (t.n && strchr(" \t\r\n", t.s[t.n - 1]))
        t.n--;
    return t;
}

uint32_t dr_edit_points__end(const dr_syntax *s, TSNode node)
{
    const uint32_t begin = ts_node_start_byte(node);
    uint32_t end = ts_node_end_byte(node);
    if (end > s->text.n)
        end = (uint32_t)s->text.n;
    while (end > begin && strchr(" \t\r\n", s->text.s[end - 1]))
        end--;
    return end;
}

dr_str dr_edit_points__text(const dr_syntax *s, TSNode node)
{
    const uint32_t begin = ts_node_is_null(node) ? 0 : ts_node_start_byte(node), end = ts_node_is_null(node) ? 0 : dr_edit_points__end(s, node);
    return end > begin ? (dr_str){s->text.s + begin, end - begin} : (dr_str){"", 0};
}

bool dr_edit_points__is(TSNode node, const char *type)
{
    return !ts_node_is_null(node) && strcmp(ts_node_type(node), type) == 0;
}

uint32_t dr_edit_points__line_start(dr_str text, uint32_t at)
{
    const char *end = at ? memrchr(text.s, '\n', at) : NULL;
    return end ? (uint32_t)(end - text.s) + 1 : 0;
}

uint32_t dr_edit_points__next_line(dr_str text, uint32_t at)
{
    const char *end = at < text.n ? memchr(text.s + at, '\n', text.n - at) : NULL;
    return end ? (uint32_t)(end - text.s) + 1 : (uint32_t)text.n;
}

dr_str dr_edit_points__indent(dr_str text, uint32_t at)
{
    const uint32_t begin = dr_edit_points__line_start(text, at);
    uint32_t end = begin;
    while (end < text.n && (text.s[end] == ' ' || text.s[end] == '\t'))
        end++;
    return (dr_str){text.s + begin, end - begin};
}

void dr_edit_points__count_lines(dr_edit_point *out, size_t from)
{
    for (size_t i = 0; i < out->text.n && (i < from || out->text.data[i] == '\n'); i++)
        out->n_lines_before += out->text.data[i] == '\n';
}

void dr_edit_points__add(dr_buf *out, dr_str text)
{
    dr_buf_add(out, text.s, text.n);
}

void dr_edit_point_fini(dr_edit_point *p)
{
    dr_buf_free(&p->text);
}

/* ---- definitions of a name in this text ---- */

/* The facts of the text; the walk is the caller's to end in any case. */
static dr_status read_facts(dr_walk *w, const dr_syntax *s, dr_error *err)
{
    if (!dr_walk_init(w))
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    const dr_status st = dr_walk_extract(w, s->lang, s->text);
    return st == DR_OK ? DR_OK : dr_fail(err, st, "out of memory");
}

static bool is_called(const dr_syntax *s, const dr_extract_def *d, dr_str name)
{
    return d->name_n == name.n && d->name_at + name.n <= s->text.n && memcmp(s->text.s + d->name_at, name.s, name.n) == 0 &&
           d->kind != DR_SYM_SECTION;
}

static int by_place(const void *a, const void *b)
{
    const dr_edit_span *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

dr_status dr_edit_points_values(dr_edit_span **out, size_t *n, size_t *n_defs, const dr_syntax *s, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    dr_walk w = {0};
    dr_details parts = {0};

    *out = NULL;
    *n = *n_defs = 0;
    if ((st = read_facts(&w, s, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < w.n_defs; i++) {
        const dr_extract_def *e = &w.defs[i];
        const dr_sym_def d = {.line = e->line, .first_line = e->first_line, .end_line = e->end_line, .body_at = e->body_at, .kind = e->kind};
        if (!is_called(s, e, name))
            continue;
        ++*n_defs;
        if ((st = dr_details_read(&parts, s, name, &d, err)) != DR_OK)
            goto done;
        if (!parts.whole_value.n)
            continue;
        const dr_edit_span one = {(uint32_t)(parts.whole_value.s - s->text.s), (uint32_t)parts.whole_value.n, e->line};
        bool known = false; /* the same value, read off two definitions on one line */
        for (size_t k = 0; k < *n; k++)
            known = known || (*out)[k].at == one.at;
        if (known)
            continue;
        dr_edit_span *grown = realloc(*out, (*n + 1) * sizeof *grown);
        if (!grown) {
            st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
            goto done;
        }
        *out = grown;
        grown[(*n)++] = one;
    }
    if (*n)
        qsort(*out, *n, sizeof **out, by_place);
done:
    if (st != DR_OK) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    dr_details_fini(&parts);
    dr_walk_fini(&w);
    return st;
}

/* ---- a first statement ---- */

typedef struct placer {
    dr_edit_point *out;
    const dr_syntax *s;
    dr_str statement, indent; /* indent: of the function */
    size_t from; /* where the statement begins in the new text, if other text stands in front */
} placer;

static TSNode field(TSNode node, const char *name)
{
    return ts_node_is_null(node) ? node : ts_node_child_by_field_name(node, name, (uint32_t)strlen(name));
}

static bool starts_line(dr_str text, uint32_t at)
{
    const dr_str blanks = dr_edit_points__indent(text, at);
    return blanks.s + blanks.n == text.s + at;
}

/* What one level more is, in this file: a tab, or as many blanks as its first indented line has more than the line before it. */
static void add_step(dr_buf *out, const dr_syntax *s)
{
    const dr_str text = s->text;
    const bool two = s->lang == DR_LANG_RUBY || s->lang == DR_LANG_JAVASCRIPT || s->lang == DR_LANG_TYPESCRIPT || s->lang == DR_LANG_TSX;
    size_t n = two ? 2 : 4;
    bool flat = false; /* the last line that is not blank begins at the margin, with code */
    for (uint32_t at = 0; at < text.n; at = dr_edit_points__next_line(text, at)) {
        const dr_str blanks = dr_edit_points__indent(text, at);
        const char first = at + blanks.n < text.n ? text.s[at + blanks.n] : '\n';
        if (first == '\n' || first == '\r')
            continue;
        if (blanks.n && blanks.s[0] == '\t') {
            dr_buf_add(out, "\t", 1);
            return;
        }
        if (flat && blanks.n >= 2 && blanks.n <= 8 && first != '*') {
            n = blanks.n;
            break;
        }
        flat = blanks.n == 0 && first != '/';
    }
    if (s->lang == DR_LANG_GO)
        dr_buf_add(out, "\t", 1);
    else
        dr_buf_add(out, "        ", n);
}

static void add_deeper(placer *p)
{
    dr_edit_points__add(&p->out->text, p->indent);
    add_step(&p->out->text, p->s);
}

/* Every line of the statement indented like `as`, or one level deeper than the function when that is NULL. */
static void add_statement(placer *p, const dr_str *as)
{
    dr_buf *out = &p->out->text;
    for (size_t i = 0; i < p->statement.n;) {
        const char *end = memchr(p->statement.s + i, '\n', p->statement.n - i);
        const size_t n = end ? (size_t)(end - p->statement.s) - i : p->statement.n - i;
        if (i)
            dr_buf_add(out, "\n", 1);
        if (n && as)
            dr_edit_points__add(out, *as);
        else if (n)
            add_deeper(p);
        dr_buf_add(out, p->statement.s + i, n);
        i += n + 1;
    }
}

/* Whole lines at the start of the line that begins at `at`, or behind the text's last line. */
static void insert_lines(placer *p, uint32_t at, const dr_str *as)
{
    const dr_str text = p->s->text;
    const bool open = at == text.n && at && text.s[at - 1] != '\n';
    p->out->kind = DR_POINT_FOUND;
    p->out->at = at;
    if (open)
        dr_buf_add(&p->out->text, "\n", 1);
    add_statement(p, as);
    if (!open)
        dr_buf_add(&p->out->text, "\n", 1);
}

/* Does it need lines of its own? */
static bool takes_lines(const placer *p)
{
    static const char *const openers[] = {"if ", "for ", "while ", "with ", "try:", "def ", "class ", "async ", "match ", "@"};
    const dr_str t = p->statement;
    if (memchr(t.s, '\n', t.n) || memmem(t.s, t.n, "//", 2) || (memchr(t.s, '#', t.n) && p->s->lang != DR_LANG_RUST))
        return true;
    for (size_t i = 0; p->s->lang == DR_LANG_PYTHON && i < sizeof openers / sizeof *openers; i++)
        if (t.n >= strlen(openers[i]) && memcmp(t.s, openers[i], strlen(openers[i])) == 0)
            return true;
    return false;
}

static const char *separator(const placer *p)
{
    const char last = p->statement.s[p->statement.n - 1];
    switch (p->s->lang) {
    case DR_LANG_C:
    case DR_LANG_CPP:
    case DR_LANG_CUDA:
    case DR_LANG_JAVA:
    case DR_LANG_CSHARP:
    case DR_LANG_RUST:
    case DR_LANG_PHP:
        if (last == '}')
            return "";
        break;
    default: break;
    }
    return last == ';' ? "" : ";";
}

static uint32_t skip_blanks(dr_str text, uint32_t at)
{
    while (at < text.n && (text.s[at] == ' ' || text.s[at] == '\t'))
        at++;
    return at;
}

/* Between `from` and what follows it on the same line; last: nothing follows but the body's end. */
static void insert_within(placer *p, uint32_t from, bool last, bool space_in_front)
{
    dr_edit_point *out = p->out;
    out->kind = DR_POINT_FOUND;
    out->at = from;
    out->n = skip_blanks(p->s->text, from) - from;
    if (takes_lines(p)) {
        dr_buf_add(&out->text, "\n", 1);
        add_statement(p, NULL);
        dr_buf_add(&out->text, "\n", 1);
        if (last)
            dr_edit_points__add(&out->text, p->indent);
        else
            add_deeper(p);
        return;
    }
    if (space_in_front)
        dr_buf_add(&out->text, " ", 1);
    dr_edit_points__add(&out->text, p->statement);
    if (!last)
        dr_buf_str(&out->text, separator(p));
    dr_buf_add(&out->text, " ", 1);
}

/* Has to stay the first: a docstring, a directive, a call of another constructor. */
static bool is_head(const dr_syntax *s, TSNode node)
{
    if (s->lang == DR_LANG_JAVA)
        return dr_edit_points__is(node, "explicit_constructor_invocation");
    return (s->lang == DR_LANG_PYTHON || s->lang == DR_LANG_JAVASCRIPT || s->lang == DR_LANG_TYPESCRIPT || s->lang == DR_LANG_TSX) &&
           dr_edit_points__is(node, "expression_statement") && ts_node_named_child_count(node) == 1 &&
           dr_edit_points__is(ts_node_named_child(node, 0), "string");
}

/* { ... } */
static void in_braces(placer *p, TSNode open)
{
    const dr_str text = p->s->text;
    const TSNode body = ts_node_parent(open);
    const uint32_t n = ts_node_is_null(body) ? 0 : ts_node_child_count(body);
    uint32_t from = ts_node_end_byte(open), row = ts_node_end_point(open).row, line_end, next_row;
    dr_str as = {0};
    bool has_next = false;

    if (n < 2 || !dr_edit_points__is(ts_node_child(body, n - 1), "}"))
        return;
    line_end = from;
    next_row = ts_node_start_point(ts_node_child(body, n - 1)).row;
    for (uint32_t i = 0; i < ts_node_named_child_count(body); i++) {
        const TSNode child = ts_node_named_child(body, i);
        const uint32_t at = ts_node_start_byte(child), child_row = ts_node_start_point(child).row;
        if (at < from)
            continue;
        if (dr_syntax__is_comment(child)) {
            if (child_row == row && !has_next)
                line_end = dr_edit_points__end(p->s, child);
            else if (!as.s && starts_line(text, at))
                as = dr_edit_points__indent(text, at);
            continue;
        }
        if (is_head(p->s, child)) {
            from = line_end = dr_edit_points__end(p->s, child);
            row = ts_node_end_point(child).row;
            if (starts_line(text, at))
                as = dr_edit_points__indent(text, at);
            continue;
        }
        has_next = true;
        next_row = child_row;
        if (!as.s && starts_line(text, at) && strncmp(ts_node_type(child), "preproc", 7) != 0)
            as = dr_edit_points__indent(text, at);
        break;
    }
    if (next_row > row)
        insert_lines(p, dr_edit_points__next_line(text, line_end), as.s ? &as : NULL);
    else
        insert_within(p, from, !has_next, true);
}

/* Python's block, its head a docstring. */
static void in_block(placer *p, TSNode block)
{
    const dr_str text = p->s->text;
    const uint32_t begin = ts_node_start_byte(block), n = ts_node_named_child_count(block);
    TSNode head = {0}, next = {0};

    for (uint32_t i = 0; i < n && ts_node_is_null(next); i++) {
        const TSNode child = ts_node_named_child(block, i);
        if (dr_syntax__is_comment(child))
            continue;
        if (ts_node_is_null(head) && is_head(p->s, child))
            head = child;
        else
            next = child;
    }
    if (starts_line(text, begin)) {
        const dr_str as = dr_edit_points__indent(text, begin);
        insert_lines(p, ts_node_is_null(head) ? dr_edit_points__line_start(text, begin) : dr_edit_points__next_line(text, dr_edit_points__end(p->s, head)),
                     &as);
        return;
    }
    if (ts_node_is_null(head)) {
        if (!takes_lines(p)) {
            insert_within(p, begin, false, false);
            return;
        }
        for (p->out->at = begin; p->out->at && strchr(" \t", text.s[p->out->at - 1]);)
            p->out->at--;
        p->out->kind = DR_POINT_FOUND;
        p->out->n = begin - p->out->at;
        dr_buf_add(&p->out->text, "\n", 1);
        add_statement(p, NULL);
        dr_buf_add(&p->out->text, "\n", 1);
        add_deeper(p);
        return;
    }
    /* Docstring and all on the line of `def`: each on a line of its own. */
    for (p->out->at = begin; p->out->at && strchr(" \t", text.s[p->out->at - 1]);)
        p->out->at--;
    p->out->kind = DR_POINT_FOUND;
    p->out->n = (ts_node_is_null(next) ? dr_edit_points__end(p->s, head) : ts_node_start_byte(next)) - p->out->at;
    dr_buf_add(&p->out->text, "\n", 1);
    add_deeper(p);
    dr_edit_points__add(&p->out->text, dr_edit_points__text(p->s, head));
    p->from = p->out->text.n;
    dr_buf_add(&p->out->text, "\n", 1);
    add_statement(p, NULL);
    if (!ts_node_is_null(next)) {
        dr_buf_add(&p->out->text, "\n", 1);
        add_deeper(p);
    }
}

/* From a word to `end`: Ruby, Lua. function: the node that has the name. */
static void before_end(placer *p, TSNode function)
{
    const dr_str text = p->s->text;
    const uint32_t n = ts_node_child_count(function);
    const TSNode body = field(function, "body"), last = n ? ts_node_child(function, n - 1) : (TSNode){0};
    TSNode list = field(function, "parameters");

    if (!dr_edit_points__is(last, "end"))
        return;
    if (!ts_node_is_null(body)) {
        const uint32_t begin = ts_node_start_byte(body);
        const dr_str as = dr_edit_points__indent(text, begin);
        if (starts_line(text, begin))
            insert_lines(p, dr_edit_points__line_start(text, begin), &as);
        else
            insert_within(p, begin, false, false);
        return;
    }
    if (ts_node_is_null(list))
        list = field(function, "name");
    if (ts_node_is_null(list))
        return;
    if (ts_node_start_point(last).row > ts_node_end_point(list).row)
        insert_lines(p, dr_edit_points__next_line(text, ts_node_end_byte(list)), NULL);
    else
        insert_within(p, ts_node_start_byte(last), true, false);
}

/* Elixir's do ... end */
static void after_do(placer *p, TSNode block)
{
    const dr_str text = p->s->text;
    const TSNode first = ts_node_named_child_count(block) ? ts_node_named_child(block, 0) : (TSNode){0};
    const uint32_t from = ts_node_start_byte(block) + 2; /* do */

    if (ts_node_is_null(first)) {
        insert_lines(p, dr_edit_points__next_line(text, from), NULL);
    } else if (starts_line(text, ts_node_start_byte(first))) {
        const dr_str as = dr_edit_points__indent(text, ts_node_start_byte(first));
        insert_lines(p, dr_edit_points__next_line(text, from), &as);
    } else {
        insert_within(p, ts_node_start_byte(first), false, false);
    }
}

/* The node whose name it is; Lua's `local f = function()` has its function elsewhere: around the body. */
static TSNode named_function(const dr_syntax *s, const dr_extract_def *d)
{
    const TSNode root = ts_tree_root_node(s->tree);
    TSNode node = ts_node_descendant_for_byte_range(root, d->name_at, d->name_at + d->name_n);

    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node)) {
        const TSNode name = field(node, "name");
        if (ts_node_is_null(name) || ts_node_start_byte(name) > d->name_at || ts_node_end_byte(name) < d->name_at + d->name_n)
            continue;
        if (dr_edit_points__is(ts_node_child(node, ts_node_child_count(node) - 1), "end")) /* not def size = 3 */
            return node;
    }
    if (s->lang != DR_LANG_LUA || d->body_at >= s->text.n)
        return (TSNode){0};
    node = ts_node_descendant_for_byte_range(root, d->body_at, d->body_at + 1);
    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node))
        if (dr_edit_points__is(node, "function_definition") && ts_node_start_byte(node) > d->name_at)
            return node;
    return (TSNode){0};
}

static void place_statement(placer *p, const dr_extract_def *d)
{
    const TSNode root = ts_tree_root_node(p->s->tree);
    TSNode node;

    if (p->s->lang == DR_LANG_RUBY || p->s->lang == DR_LANG_LUA) {
        node = named_function(p->s, d);
        if (!ts_node_is_null(node))
            before_end(p, node);
        return;
    }
    if (d->body_at >= p->s->text.n)
        return;
    node = ts_node_descendant_for_byte_range(root, d->body_at, d->body_at + 1);
    if (dr_edit_points__is(node, "{")) {
        in_braces(p, node);
        return;
    }
    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node))
        if (p->s->lang == DR_LANG_PYTHON && dr_edit_points__is(node, "block")) {
            in_block(p, node);
            return;
        } else if (p->s->lang == DR_LANG_ELIXIR && dr_edit_points__is(node, "do_block")) {
            after_do(p, node);
            return;
        }
}

/* A statement as the language ends it: people leave the last ';' out. */
static bool lacks_end(const dr_syntax *s, dr_str statement)
{
    switch (s->lang) {
    case DR_LANG_C:
    case DR_LANG_CPP:
    case DR_LANG_CUDA:
    case DR_LANG_JAVA:
    case DR_LANG_CSHARP:
    case DR_LANG_RUST:
    case DR_LANG_PHP:
    case DR_LANG_ZIG: break;
    default: return false;
    }
    for (size_t i = 0; i + 1 < statement.n; i++)
        if (statement.s[i] == '/' && (statement.s[i + 1] == '/' || statement.s[i + 1] == '*'))
            return false; /* a comment may be what it ends with */
    return statement.s[0] != '#' && !strchr(";{}:,", statement.s[statement.n - 1]);
}

dr_status dr_edit_point_statement(dr_edit_point *out, const dr_syntax *s, dr_str name, dr_str statement, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf ended = {0};
    dr_walk w = {0};
    const dr_extract_def *function = NULL;
    placer p = {.out = out, .s = s, .statement = statement};

    *out = (dr_edit_point){.kind = DR_POINT_NONE};
    while (p.statement.n && strchr(" \t\r\n", p.statement.s[p.statement.n - 1]))
        p.statement.n--;
    if (!s->tree || !p.statement.n)
        return DR_OK;
    if (lacks_end(s, p.statement)) {
        dr_edit_points__add(&ended, p.statement);
        dr_buf_str(&ended, ";");
        p.statement = dr_buf_view(&ended);
    }
    if ((st = read_facts(&w, s, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < w.n_defs; i++)
        if (is_called(s, &w.defs[i], name) && (w.defs[i].kind == DR_SYM_FUNCTION || w.defs[i].kind == DR_SYM_METHOD) &&
            (w.defs[i].body_at != DR_SYM_NO_BODY || s->lang == DR_LANG_RUBY || s->lang == DR_LANG_LUA)) {
            function = &w.defs[i];
            out->n_functions++;
        }
    if (out->n_functions > 1)
        out->kind = DR_POINT_SEVERAL;
    if (out->n_functions != 1)
        goto done;
    uint32_t first = 0;
    for (uint32_t line = 1; line < function->first_line; line++)
        first = dr_edit_points__next_line(s->text, first);
    p.indent = dr_edit_points__indent(s->text, first);
    place_statement(&p, function);
    dr_edit_points__count_lines(out, p.from);
    if (out->text.failed || ended.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_buf_free(&ended);
    dr_walk_fini(&w);
    return st;
}
