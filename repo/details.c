#include "repo/details.h"

#include "repo/details_parts.h"
#include "repo/text.h"

#include <string.h>

enum { MAX_LEVELS = 12, MAX_POINTERS = 16, MAX_OCCURRENCES = 8, N_PARTS = 7 };

static const TSNode none;

TSNode dr_details__field(TSNode node, const char *name)
{
    return ts_node_is_null(node) ? none : ts_node_child_by_field_name(node, name, (uint32_t)strlen(name));
}

bool dr_details__is(TSNode node, const char *type)
{
    return !ts_node_is_null(node) && strcmp(ts_node_type(node), type) == 0;
}

static dr_str text_of(const dr_syntax *s, TSNode node)
{
    const uint32_t at = ts_node_start_byte(node), end = ts_node_end_byte(node);
    return end <= s->text.n && at <= end ? (dr_str){s->text.s + at, end - at} : (dr_str){"", 0};
}

void dr_details__code(dr_buf *out, const dr_syntax *s, TSNode top, uint32_t begin, uint32_t end)
{
    uint32_t from = begin;
    TSTreeCursor c = ts_tree_cursor_new(top);

    if (end > s->text.n)
        end = (uint32_t)s->text.n;
    for (bool more = true; more && from < end;) {
        const TSNode node = ts_tree_cursor_current_node(&c);
        const uint32_t at = ts_node_start_byte(node), stop = ts_node_end_byte(node);
        const bool inside = stop > from && at < end;
        if (inside && dr_syntax__is_comment(node)) {
            if (at > from)
                dr_buf_add(out, s->text.s + from, at - from);
            dr_buf_add(out, " ", 1);
            from = stop;
        } else if (inside && ts_tree_cursor_goto_first_child(&c)) {
            continue;
        }
        while (more && !ts_tree_cursor_goto_next_sibling(&c))
            more = ts_tree_cursor_goto_parent(&c);
    }
    ts_tree_cursor_delete(&c);
    if (from < end)
        dr_buf_add(out, s->text.s + from, end - from);
}

static dr_str trimmed(dr_str t)
{
    while (t.n && strchr(" \t\r\n", t.s[0]))
        t.s++, t.n--;
    while (t.n && strchr(" \t\r\n", t.s[t.n - 1]))
        t.n--;
    return t;
}

/* ---- functions ---- */

/* The node that has the parameters of what is defined here, itself or the function it is given; null when neither has any. */
static TSNode with_parameters(TSNode node)
{
    if (!ts_node_is_null(dr_details__field(node, "parameters")))
        return node;
    TSNode value = dr_details__field(node, "value");
    if (ts_node_is_null(value))
        value = dr_details__field(node, "right");
    for (int i = 0; i < MAX_LEVELS && dr_details__is(value, "assignment_expression"); i++)
        value = dr_details__field(value, "right");
    if (!ts_node_is_null(dr_details__field(value, "parameters")) || !ts_node_is_null(dr_details__field(value, "parameter")))
        return value;
    return dr_details__is(node, "method") || dr_details__is(node, "singleton_method") ? node : none; /* Ruby's `def size` */
}

/* The list itself; some grammars give it no field. */
static TSNode parameter_list(TSNode node)
{
    TSNode list = dr_details__field(node, "parameters");
    return ts_node_is_null(list) ? dr_details__field(node, "parameter") : list;
}

static void show_parameters(dr_buf *out, const dr_syntax *s, TSNode function)
{
    const TSNode list = parameter_list(function);
    dr_buf code = {0};
    dr_str t = {"", 0};

    if (!ts_node_is_null(list)) {
        dr_details__code(&code, s, list, ts_node_start_byte(list), ts_node_end_byte(list));
        t = trimmed(dr_buf_view(&code));
    }
    if (t.n >= 2 && t.s[0] == '(' && t.s[t.n - 1] == ')')
        t = trimmed((dr_str){t.s + 1, t.n - 2});
    if (t.n && t.s[t.n - 1] == ',')
        t = trimmed((dr_str){t.s, t.n - 1});
    if (t.n == 0 || (s->lang <= DR_LANG_CPP && dr_str_eq(t, DR_STR("void"))) || (s->lang == DR_LANG_CUDA && dr_str_eq(t, DR_STR("void"))))
        dr_buf_str(out, "none");
    else
        dr_text_excerpt(out, t, DR_DETAIL_BYTES);
    out->failed |= code.failed;
    dr_buf_free(&code);
}

static bool is_nothing(dr_str type)
{
    static const char *const words[] = {"void", "None", "()", "Unit", "Void", "(void)"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (dr_str_eq(type, dr_str_of(words[i])))
            return true;
    return false;
}

static void add_word(dr_buf *out, dr_str word)
{
    if (out->n && word.n)
        dr_buf_add(out, " ", 1);
    dr_buf_add(out, word.s, word.n);
}

/* C's way: the type stands before the declarator, its stars in it. False: no type is to be told (a constructor, a pointer to a function). */
static bool c_returns(dr_buf *type, const dr_syntax *s, TSNode function)
{
    TSNode pointers[MAX_POINTERS];
    size_t n = 0;

    for (uint32_t i = 0; i < ts_node_named_child_count(function) && i < 16; i++) {
        const TSNode child = ts_node_named_child(function, i);
        if (dr_details__is(child, "trailing_return_type")) { /* auto f() -> T */
            dr_str t = trimmed(text_of(s, child));
            if (t.n > 2)
                t = trimmed((dr_str){t.s + 2, t.n - 2});
            dr_buf_add(type, t.s, t.n);
            return t.n > 0;
        }
    }
    TSNode top = ts_node_parent(function);
    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(top); level++, top = ts_node_parent(top)) {
        if (dr_details__is(top, "pointer_declarator") || dr_details__is(top, "reference_declarator")) {
            if (n == MAX_POINTERS)
                return false;
            pointers[n++] = top;
        } else if (!dr_details__is(top, "parenthesized_declarator") && !dr_details__is(top, "attributed_declarator")) {
            break;
        }
    }
    const bool declares = dr_details__is(top, "function_definition") || dr_details__is(top, "declaration") ||
                          dr_details__is(top, "field_declaration") || dr_details__is(top, "inline_method_definition");
    const TSNode base = dr_details__field(top, "type");
    if (!declares)
        return false;
    if (ts_node_is_null(base)) {
        if (s->lang == DR_LANG_C)
            dr_buf_str(type, "not declared");
        return s->lang == DR_LANG_C;
    }
    for (uint32_t i = 0; i < ts_node_named_child_count(top) && i < 16; i++) {
        const TSNode child = ts_node_named_child(top, i);
        const dr_str word = text_of(s, child);
        if (ts_node_eq(child, base)) {
            /* struct x { ... } f(): the name alone */
            const TSNode body = dr_details__field(child, "body");
            add_word(type, ts_node_is_null(body) ? word
                                                 : trimmed((dr_str){word.s, ts_node_start_byte(body) - ts_node_start_byte(child)}));
        } else if (dr_details__is(child, "type_qualifier") && !(word.n >= 5 && memcmp(word.s, "const", 5) == 0 && word.n > 5)) {
            add_word(type, word); /* not constexpr, consteval, constinit */
        } else if (ts_node_start_byte(child) > ts_node_start_byte(function)) {
            break;
        }
    }
    for (size_t i = n; i-- > 0;) {
        const dr_str mark = text_of(s, pointers[i]);
        const bool both = mark.n > 1 && mark.s[0] == '&' && mark.s[1] == '&';
        if (i == n - 1 || type->data[type->n - 1] != '*')
            dr_buf_add(type, " ", 1);
        dr_buf_str(type, dr_details__is(pointers[i], "pointer_declarator") ? "*" : both ? "&&" : "&");
        for (uint32_t k = 0; k < ts_node_named_child_count(pointers[i]) && k < 8; k++)
            if (dr_details__is(ts_node_named_child(pointers[i], k), "type_qualifier")) {
                const dr_str word = text_of(s, ts_node_named_child(pointers[i], k));
                if (type->data[type->n - 1] != '*')
                    dr_buf_add(type, " ", 1);
                dr_buf_add(type, word.s, word.n);
            }
    }
    return type->n > 0;
}

static void show_returns(dr_buf *out, const dr_syntax *s, TSNode function, dr_str name)
{
    static const char *const fields[] = {"return_type", "result", "returns", "type"};
    dr_buf type = {0};
    TSNode node = none;

    switch (s->lang) {
    case DR_LANG_C:
    case DR_LANG_CPP:
    case DR_LANG_CUDA:
        if (!c_returns(&type, s, function))
            dr_buf_clear(&type);
        break;
    default:
        for (size_t i = 0; i < sizeof fields / sizeof *fields && ts_node_is_null(node); i++)
            node = dr_details__field(function, fields[i]);
        if (!ts_node_is_null(node))
            dr_details__code(&type, s, node, ts_node_start_byte(node), ts_node_end_byte(node));
        break;
    }
    dr_str t = trimmed(dr_buf_view(&type));
    if (t.n > 2 && t.s[0] == '-' && t.s[1] == '>')
        t = trimmed((dr_str){t.s + 2, t.n - 2});
    else if (t.n > 1 && t.s[0] == ':')
        t = trimmed((dr_str){t.s + 1, t.n - 1});
    if (t.n)
        if (is_nothing(t))
            dr_buf_str(out, "nothing");
        else
            dr_text_excerpt(out, t, DR_DETAIL_BYTES);
    else
        switch (s->lang) {
        case DR_LANG_GO:
        case DR_LANG_RUST: dr_buf_str(out, "nothing"); break;
        case DR_LANG_PYTHON:
        case DR_LANG_JAVASCRIPT:
        case DR_LANG_TYPESCRIPT:
        case DR_LANG_TSX:
        case DR_LANG_RUBY:
        case DR_LANG_PHP:
            if (!dr_str_eq(name, DR_STR("constructor")))
                dr_buf_str(out, "not declared");
            break;
        default: break;
        }
    out->failed |= type.failed;
    dr_buf_free(&type);
}

/* ---- values ---- */

/* Item k of a list, where name k of as many names stands before it. */
static TSNode value_for(TSNode names, TSNode leaf, TSNode value)
{
    const uint32_t n = ts_node_named_child_count(names);
    uint32_t k = 0;
    if (!strstr(ts_node_type(value), "list")) /* A, B = pair() */
        return none;
    while (k < n && ts_node_end_byte(ts_node_named_child(names, k)) <= ts_node_start_byte(leaf))
        k++;
    return ts_node_named_child_count(value) == n && k < n ? ts_node_named_child(value, k) : none;
}

/* Of Go's `a, b = 1, 2`, whose names are children of the spec. */
static TSNode go_value(TSNode spec, TSNode leaf, TSNode list)
{
    uint32_t n_names = 0, k = UINT32_MAX;
    for (uint32_t i = 0; i < ts_node_named_child_count(spec) && i < 64; i++) {
        const TSNode child = ts_node_named_child(spec, i);
        if (!dr_details__is(child, "identifier") || ts_node_start_byte(child) >= ts_node_start_byte(list))
            break;
        if (ts_node_eq(child, leaf))
            k = n_names;
        n_names++;
    }
    return ts_node_named_child_count(list) == n_names && k < n_names ? ts_node_named_child(list, k) : none;
}

/* What the name at `leaf` is given where it is defined. */
static TSNode value_of(const dr_syntax *s, TSNode leaf, uint32_t first_line)
{
    const uint32_t after = ts_node_end_byte(leaf);
    TSNode node = leaf;

    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node)) {
        const char *type = ts_node_type(node);
        if (ts_node_start_point(node).row + 1 < first_line || strstr(type, "body") || strstr(type, "block") ||
            strstr(type, "declaration_list") || (strstr(type, "pattern") && strcmp(type, "pattern_list") != 0 && node.id != leaf.id))
            return none;
        static const char *const fields[] = {"value", "right", "default_value"};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            const TSNode value = dr_details__field(node, fields[i]);
            if (ts_node_is_null(value) || ts_node_start_byte(value) < after)
                continue;
            if (strcmp(type, "const_spec") == 0 || strcmp(type, "var_spec") == 0)
                return go_value(node, leaf, value);
            const TSNode left = dr_details__field(node, "left");
            return dr_details__is(left, "pattern_list") || dr_details__is(left, "left_assignment_list") ? value_for(left, leaf, value)
                                                                                                        : value;
        }
        const uint32_t n = ts_node_named_child_count(node);
        const TSNode last = n > 1 ? ts_node_named_child(node, n - 1) : none;
        const bool php = s->lang == DR_LANG_PHP, csharp = s->lang == DR_LANG_CSHARP;
        if (((php && strcmp(type, "const_element") == 0) || (csharp && strcmp(type, "variable_declarator") == 0) ||
             (php && strcmp(type, "arguments") == 0 && n > 1)) &&
            !ts_node_is_null(last)) { /* define('NAME', value) too */
            const TSNode value = strcmp(type, "arguments") == 0 ? ts_node_named_child(node, 1) : last;
            return ts_node_start_byte(value) >= after ? value : none;
        }
        if (strcmp(type, "declaration") == 0 || strcmp(type, "field_declaration") == 0)
            return none;
    }
    return none;
}

/* Appends code, and widens the span to hold it. */
static void add_code(dr_buf *out, dr_str *span, const char *code, size_t n)
{
    dr_buf_add(out, code, n);
    if (n == 1 && strchr(" \t\r\n", *code))
        return;
    if (!span->s)
        span->s = code;
    span->n = (size_t)(code + n - span->s);
}

/* The text of a macro has no tree, and for the grammar it ends where a comment begins, even one in a string: so it is read from behind its name to
 * the end of its last line. Comments are left out, and a backslash at a line's end. *span (empty before): from the first byte of code to the last. */
static void macro_text(dr_buf *out, dr_str *span, dr_str t)
{
    char quote = 0;
    for (size_t i = 0; i < t.n && t.s[i] != '\n'; i++) {
        const char c = t.s[i];
        if (c == '\\' && i + 1 < t.n && (t.s[i + 1] == '\n' || t.s[i + 1] == '\r')) {
            dr_buf_add(out, "\n", 1);
            i += t.s[i + 1] == '\r' && i + 2 < t.n && t.s[i + 2] == '\n' ? 2 : 1;
        } else if (quote || c == '"' || c == '\'') {
            const size_t n = quote && c == '\\' && i + 1 < t.n ? 2 : 1;
            add_code(out, span, t.s + i, n);
            if (n == 2)
                i++;
            else
                quote = !quote ? c : c == quote ? 0 : quote;
        } else if (c == '/' && i + 1 < t.n && t.s[i + 1] == '/') {
            return;
        } else if (c == '/' && i + 1 < t.n && t.s[i + 1] == '*') {
            const char *end = memmem(t.s + i + 2, t.n - i - 2, "*/", 2);
            if (!end)
                return;
            i = (size_t)(end - t.s) + 1;
            dr_buf_add(out, " ", 1);
        } else {
            add_code(out, span, t.s + i, 1);
        }
    }
}

static void show_one_line(dr_buf *out, dr_str t)
{
    if (t.n && memchr(t.s, '\n', t.n))
        dr_text_excerpt(out, t, DR_DETAIL_BYTES);
    else
        dr_text_show(out, t, DR_DETAIL_BYTES); /* as written, blanks in strings too */
}

/* C#'s clause without its "=". */
static dr_str without_equals(TSNode value, dr_str t)
{
    return dr_details__is(value, "equals_value_clause") && t.n && t.s[0] == '=' ? trimmed((dr_str){t.s + 1, t.n - 1}) : t;
}

static void show_value(dr_details *out, const dr_syntax *s, TSNode value)
{
    dr_buf code = {0};

    dr_details__code(&code, s, value, ts_node_start_byte(value), ts_node_end_byte(value));
    show_one_line(&out->value, without_equals(value, trimmed(dr_buf_view(&code))));
    out->value.failed |= code.failed;
    out->whole_value = without_equals(value, trimmed(text_of(s, value)));
    if (dr_details__is(value, "arrow_expression_clause") && out->whole_value.n > 2) /* C#'s property: => value */
        out->whole_value = trimmed((dr_str){out->whole_value.s + 2, out->whole_value.n - 2});
    dr_buf_free(&code);
}

/* C's macro whose name ends at `at`. */
static void show_macro(dr_details *out, dr_str text, size_t at)
{
    const char *close = at < text.n && text.s[at] == '(' ? memchr(text.s + at, ')', text.n - at) : NULL;
    dr_buf code = {0};
    dr_str span = {0};

    if (close) {
        const dr_str list = trimmed((dr_str){text.s + at + 1, (size_t)(close - text.s) - at - 1});
        if (list.n)
            macro_text(&code, &span, list);
        if (code.n)
            dr_text_excerpt(&out->parameters, dr_buf_view(&code), DR_DETAIL_BYTES);
        else
            dr_buf_str(&out->parameters, "none");
        at = (size_t)(close - text.s) + 1;
    }
    dr_buf_clear(&code);
    out->whole_value = (dr_str){0};
    macro_text(&code, &out->whole_value, (dr_str){text.s + at, text.n - at});
    show_one_line(&out->value, trimmed(dr_buf_view(&code)));
    out->value.failed |= code.failed;
    dr_buf_free(&code);
}

/* ---- one definition ---- */

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

/* What the tree says, taking the name at `at` for the one that is defined. False: it cannot be that one. */
static bool read_tree(dr_details *out, const dr_syntax *s, const dr_sym_def *d, dr_str name, uint32_t at)
{
    const TSNode leaf = ts_node_descendant_for_byte_range(ts_tree_root_node(s->tree), at, at + (uint32_t)name.n);
    TSNode node = leaf;

    switch ((dr_sym_kind)d->kind) {
    case DR_SYM_FUNCTION:
    case DR_SYM_METHOD:
    case DR_SYM_PROTOTYPE:
        for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node)) {
            if (ts_node_start_point(node).row + 1 < d->first_line || strstr(ts_node_type(node), "body"))
                return false;
            const TSNode function = with_parameters(node), list = parameter_list(function);
            if (ts_node_is_null(function) || (!ts_node_is_null(list) && ts_node_start_byte(list) < at + name.n))
                continue;
            show_parameters(&out->parameters, s, function);
            show_returns(&out->returns, s, function, name);
            return true;
        }
        return false;
    case DR_SYM_MACRO:
    case DR_SYM_CONSTANT:
    case DR_SYM_VARIABLE:
    case DR_SYM_FIELD:
    case DR_SYM_MEMBER:
    case DR_SYM_ENUMERATOR: {
        if (d->kind == DR_SYM_MACRO && (s->lang == DR_LANG_C || s->lang == DR_LANG_CPP || s->lang == DR_LANG_CUDA)) {
            show_macro(out, s->text, at + name.n);
            return true;
        }
        const TSNode value = value_of(s, leaf, d->first_line);
        if (!ts_node_is_null(value))
            show_value(out, s, value);
        return !ts_node_is_null(value);
    }
    case DR_SYM_CLASS:
    case DR_SYM_STRUCT:
    case DR_SYM_UNION:
    case DR_SYM_ENUM:
    case DR_SYM_INTERFACE:
    case DR_SYM_TRAIT:
    case DR_SYM_TYPE: {
        dr_buf all = {0};
        dr_details__members(&all, s, leaf, (dr_sym_kind)d->kind);
        dr_text_excerpt(&out->fields, dr_buf_view(&all), DR_DETAIL_BYTES);
        out->fields.failed |= all.failed;
        dr_buf_free(&all);
        return out->fields.n > 0;
    }
    default: return true;
    }
}

static bool is_value(uint32_t kind)
{
    return kind == DR_SYM_MACRO || kind == DR_SYM_CONSTANT || kind == DR_SYM_VARIABLE || kind == DR_SYM_FIELD ||
           kind == DR_SYM_MEMBER || kind == DR_SYM_ENUMERATOR;
}

dr_status dr_details_read(dr_details *out, const dr_syntax *s, dr_str name, const dr_sym_def *d, dr_error *err)
{
    dr_buf *const parts[N_PARTS] = {&out->signature, &out->parameters, &out->returns, &out->fields, &out->value, &out->line, &out->doc};
    const dr_str line = dr_text_line_at(s->text, d->line);
    bool failed = false;

    for (size_t i = 0; i < N_PARTS; i++)
        dr_buf_clear(parts[i]);
    out->whole_value = (dr_str){0};
    if (!line.s)
        return DR_OK;
    if (is_value(d->kind))
        dr_text_show(&out->line, trimmed(line), DR_DETAIL_BYTES);
    else
        dr_text_signature(&out->signature, s->text, d, DR_DETAIL_BYTES);
    dr_details__doc(&out->doc, s->lang, s->text, d);
    /* The name may stand on its line more than once (client *client(...)): the first that is defined there is it. */
    for (size_t i = 0, n = 0; s->tree && name.n && n < MAX_OCCURRENCES && i + name.n <= line.n; n++) {
        const char *found = memmem(line.s + i, line.n - i, name.s, name.n);
        if (!found)
            break;
        const size_t at = (size_t)(found - line.s), end = at + name.n;
        i = at + 1;
        if ((at && word_byte(line.s[at - 1]) && word_byte(name.s[0])) ||
            (end < line.n && word_byte(line.s[end]) && word_byte(name.s[name.n - 1])))
            continue;
        if (read_tree(out, s, d, name, (uint32_t)(found - s->text.s)))
            break;
    }
    for (size_t i = 0; i < N_PARTS; i++)
        failed |= parts[i]->failed;
    return failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}

void dr_details_fini(dr_details *d)
{
    dr_buf_free(&d->signature);
    dr_buf_free(&d->parameters);
    dr_buf_free(&d->returns);
    dr_buf_free(&d->fields);
    dr_buf_free(&d->value);
    dr_buf_free(&d->line);
    dr_buf_free(&d->doc);
}
