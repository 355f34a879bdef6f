/* C, C++ and CUDA: one visitor, since each grammar grows out of the one before. */
#include "repo/extract.h"

#include <stdlib.h>
#include <string.h>

const TSLanguage *tree_sitter_c(void);
const TSLanguage *tree_sitter_cpp(void);
const TSLanguage *tree_sitter_cuda(void);

enum {
    R_FUNCTION = DR_RULE_OWN,
    R_DECLARATION,
    R_FIELD_DECLARATION,
    R_TYPEDEF,
    R_STRUCT,
    R_UNION,
    R_ENUM,
    R_CLASS,
    R_ENUMERATOR,
    R_MACRO,
    R_MACRO_BODY,
    R_PARAMETER,
    R_NAMESPACE,
    R_ALIAS,
    R_CONCEPT,
    R_TYPE_PARAMETER,
    R_RANGE_LOOP,
    R_CALL,
    R_NEW,
    R_LAMBDA,
    R_INCLUDE,
    /* parts of a declarator; nothing to do when the walk meets them */
    R_INIT_DECLARATOR,
    R_FUNCTION_DECLARATOR,
    R_PAREN_DECLARATOR,
    R_OTHER_DECLARATOR,
    R_QUALIFIED,
    R_TEMPLATE_NAME,
    R_ODD_NAME, /* destructor, operator: the whole text is the name */
    R_BINDINGS,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_NAME},
    {"namespace_identifier", DR_RULE_MEMBER},
    {"field_identifier", DR_RULE_MEMBER},
    {"statement_identifier", DR_RULE_SKIP},
    {"comment", DR_RULE_SKIP},
    {"string_literal", DR_RULE_SKIP},
    {"raw_string_literal", DR_RULE_SKIP},
    {"char_literal", DR_RULE_SKIP},
    {"number_literal", DR_RULE_SKIP},
    {"preproc_include", R_INCLUDE},
    {"preproc_params", DR_RULE_SKIP},
    {"function_definition", R_FUNCTION},
    {"inline_method_definition", R_FUNCTION},
    {"declaration", R_DECLARATION},
    {"field_declaration", R_FIELD_DECLARATION},
    {"type_definition", R_TYPEDEF},
    {"struct_specifier", R_STRUCT},
    {"union_specifier", R_UNION},
    {"enum_specifier", R_ENUM},
    {"class_specifier", R_CLASS},
    {"enumerator", R_ENUMERATOR},
    {"preproc_def", R_MACRO},
    {"preproc_function_def", R_MACRO},
    {"preproc_arg", R_MACRO_BODY},
    {"parameter_declaration", R_PARAMETER},
    {"optional_parameter_declaration", R_PARAMETER},
    {"variadic_parameter_declaration", R_PARAMETER},
    {"namespace_definition", R_NAMESPACE},
    {"alias_declaration", R_ALIAS},
    {"concept_definition", R_CONCEPT},
    {"type_parameter_declaration", R_TYPE_PARAMETER},
    {"variadic_type_parameter_declaration", R_TYPE_PARAMETER},
    {"optional_type_parameter_declaration", R_TYPE_PARAMETER},
    {"for_range_loop", R_RANGE_LOOP},
    {"call_expression", R_CALL},
    {"new_expression", R_NEW},
    {"lambda_expression", R_LAMBDA},
    {"init_declarator", R_INIT_DECLARATOR},
    {"function_declarator", R_FUNCTION_DECLARATOR},
    {"parenthesized_declarator", R_PAREN_DECLARATOR},
    {"pointer_declarator", R_OTHER_DECLARATOR},
    {"reference_declarator", R_OTHER_DECLARATOR},
    {"array_declarator", R_OTHER_DECLARATOR},
    {"attributed_declarator", R_OTHER_DECLARATOR},
    {"variadic_declarator", R_OTHER_DECLARATOR},
    {"qualified_identifier", R_QUALIFIED},
    {"template_function", R_TEMPLATE_NAME},
    {"template_method", R_TEMPLATE_NAME},
    {"template_type", R_TEMPLATE_NAME},
    {"dependent_name", R_TEMPLATE_NAME},
    {"destructor_name", R_ODD_NAME},
    {"operator_name", R_ODD_NAME},
    {"operator_cast", R_ODD_NAME},
    {"structured_binding_declarator", R_BINDINGS},
    {NULL, 0},
};

static bool is_plain_name(uint8_t rule)
{
    return rule == DR_RULE_NAME || rule == DR_RULE_MEMBER;
}

static bool is_declarator(uint8_t rule)
{
    return is_plain_name(rule) || rule >= R_INIT_DECLARATOR;
}

/* The name that a declarator declares; null when there is none to be found. is_function: what touches the name first
 * is a parameter list, so `int (*f)(void)` is not one and `int *f(void)` is. *qualifier: the part before the last "::",
 * or null. */
static TSNode declared_name(const dr_walk *w, TSNode d, bool *is_function, TSNode *qualifier)
{
    static const TSNode none;
    *is_function = false;
    *qualifier = none;
    for (int level = 0; level < 64 && !ts_node_is_null(d); level++) {
        const uint8_t rule = dr_walk__rule(w, d);
        TSNode next = none;
        switch (rule) {
        case DR_RULE_NAME:
        case DR_RULE_MEMBER:
        case R_ODD_NAME:
            if (rule == R_ODD_NAME && strcmp(ts_node_type(d), "operator_cast") == 0)
                *is_function = true; /* its parameter list lies inside */
            return d;
        case R_QUALIFIED:
            *qualifier = dr_walk__field(w, d, DR_FIELD_SCOPE);
            next = dr_walk__field(w, d, DR_FIELD_NAME);
            break;
        case R_TEMPLATE_NAME:
            next = dr_walk__field(w, d, DR_FIELD_NAME);
            if (ts_node_is_null(next) && ts_node_named_child_count(d))
                next = ts_node_named_child(d, 0);
            break;
        default:
            if (rule < R_INIT_DECLARATOR)
                return none;
            if (rule != R_PAREN_DECLARATOR)
                *is_function = rule == R_FUNCTION_DECLARATOR;
            next = dr_walk__field(w, d, DR_FIELD_DECLARATOR);
            for (uint32_t i = 0; ts_node_is_null(next) && i < ts_node_named_child_count(d) && i < 8; i++)
                if (is_declarator(dr_walk__rule(w, ts_node_named_child(d, i))))
                    next = ts_node_named_child(d, i);
        }
        d = next;
    }
    return none;
}

/* "a::b<int>" as a container: "b". */
static TSNode last_name(const dr_walk *w, TSNode n)
{
    for (int level = 0; level < 64 && !ts_node_is_null(n) && !is_plain_name(dr_walk__rule(w, n)); level++) {
        const TSNode name = dr_walk__field(w, n, DR_FIELD_NAME);
        if (ts_node_is_null(name))
            break;
        n = name;
    }
    return n;
}

/* The whole of it, with the "template <...>" above. */
static TSNode with_template(TSNode node)
{
    const TSNode parent = ts_node_parent(node);
    return !ts_node_is_null(parent) && strcmp(ts_node_type(parent), "template_declaration") == 0 ? parent : node;
}

static bool in_capitals(dr_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!((text.s[i] >= 'A' && text.s[i] <= 'Z') || text.s[i] == '_' || (text.s[i] >= '0' && text.s[i] <= '9')))
            return false;
    return text.n > 1;
}

/* (...) or (std::exception const&): what is caught, not what a function is given. */
static bool is_caught(const dr_walk *w, TSNode parameters)
{
    const uint32_t n = ts_node_named_child_count(parameters);
    if (n == 0)
        return dr_str_eq(dr_walk__text(w, parameters), DR_STR("(...)"));
    const TSNode d = dr_walk__field(w, ts_node_named_child(parameters, 0), DR_FIELD_DECLARATOR);
    return n == 1 && !ts_node_is_null(d) && strcmp(ts_node_type(d), "abstract_reference_declarator") == 0;
}

/* VISIBILITY("hidden") above a class, CATCH(...) { }: no type before it, a name in capitals, and what should be
 * parameters are not, or it stands in a function. That is a macro at work, not the definition of a function.
 * (TEST(group, name) { ... } reads as one, and universal-ctags lists it too.) */
static bool is_macro_call(const dr_walk *w, TSNode node, TSNode name)
{
    const dr_str text = dr_walk__text(w, name);
    const TSNode declarator = dr_walk__field(w, node, DR_FIELD_DECLARATOR);
    if (!ts_node_is_null(dr_walk__field(w, node, DR_FIELD_TYPE)) || !in_capitals(text))
        return false;
    const dr_scope *scope = dr_walk__scope(w);
    if (scope && scope->name_n == text.n && memcmp(w->text.s + scope->name_at, text.s, text.n) == 0)
        return false; /* a constructor */
    const dr_str before = dr_walk__text(w, ts_node_prev_sibling(node));
    return ts_node_has_error(declarator) || dr_walk__in_function(w) || dr_str_eq(before, DR_STR("if")) ||
           is_caught(w, dr_walk__field(w, declarator, DR_FIELD_PARAMETERS));
}

/* What may stand where a confused parse looks for a function's name. */
static bool is_no_name(dr_str text)
{
    static const char *const words[] = {"noexcept", "decltype", "catch",         "requires",
                                        "alignas",  "alignof",  "static_assert", "throw"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (dr_str_eq(text, dr_str_of(words[i])))
            return true;
    return false;
}

static bool visit_function(dr_walk *w, TSNode node)
{
    bool is_function;
    TSNode qualifier;
    const TSNode name = declared_name(w, dr_walk__field(w, node, DR_FIELD_DECLARATOR), &is_function, &qualifier);
    const TSNode body = dr_walk__field(w, node, DR_FIELD_BODY);
    const dr_scope *scope = dr_walk__scope(w);
    const bool in_type = scope && scope->kind == DR_SCOPE_TYPE;
    const bool qualified = !ts_node_is_null(qualifier);

    if (is_function && (qualified || !is_macro_call(w, node, name)) && !is_no_name(dr_walk__text(w, name))) {
        const TSNode container = last_name(w, qualifier);
        /* `= delete`, `= default` have no body and are declarations, as ctags has them. */
        const dr_sym_kind kind = ts_node_is_null(body) && w->lang != DR_LANG_C && in_type ? DR_SYM_PROTOTYPE
                                 : in_type || qualified                                   ? DR_SYM_METHOD
                                                                                          : DR_SYM_FUNCTION;
        dr_walk__define(w, name, with_template(node), kind, qualified ? &container : NULL);
        dr_walk__body(w, body);
    }
    dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
    return true;
}

static bool has_child_text(const dr_walk *w, TSNode node, const char *type, const char *text)
{
    const uint32_t n = ts_node_named_child_count(node);
    for (uint32_t i = 0; i < n && i < 8; i++) {
        const TSNode child = ts_node_named_child(node, i);
        if (strcmp(ts_node_type(child), type) == 0 && dr_str_eq(dr_walk__text(w, child), dr_str_of(text)))
            return true;
    }
    return false;
}

/* Every declarator of a declaration: `int a, *b, f(void);`. */
static void visit_declarators(dr_walk *w, TSNode node, uint8_t rule)
{
    TSTreeCursor c = ts_tree_cursor_new(node);
    const bool local = dr_walk__in_function(w);
    const bool is_extern = rule == R_DECLARATION && has_child_text(w, node, "storage_class_specifier", "extern");

    for (bool more = ts_tree_cursor_goto_first_child(&c); more; more = ts_tree_cursor_goto_next_sibling(&c)) {
        const TSNode d = ts_tree_cursor_current_node(&c);
        const char *field = ts_tree_cursor_current_field_name(&c);
        if (!field || strcmp(field, "declarator") != 0 || !is_declarator(dr_walk__rule(w, d)))
            continue;
        bool is_function;
        TSNode qualifier;
        const TSNode name = declared_name(w, d, &is_function, &qualifier);
        if (ts_node_is_null(name)) {
            if (local)
                dr_walk__locals_in(w, d); /* auto [a, b] = ... */
            continue;
        }
        const TSNode container = last_name(w, qualifier);
        const TSNode *in = ts_node_is_null(qualifier) ? NULL : &container;
        if (rule == R_TYPEDEF)
            dr_walk__define(w, name, node, DR_SYM_TYPE, NULL);
        else if (local)
            dr_walk__local(w, name);
        else if (is_function)
            dr_walk__define(w, name, node, DR_SYM_PROTOTYPE, in);
        else if (rule == R_FIELD_DECLARATION)
            dr_walk__define(w, name, node, DR_SYM_MEMBER, NULL);
        else
            dr_walk__define(w, name, node,
                            is_extern && dr_walk__rule(w, d) != R_INIT_DECLARATOR ? DR_SYM_PROTOTYPE : DR_SYM_VARIABLE,
                            in);
    }
    ts_tree_cursor_delete(&c);
}

static bool visit_type(dr_walk *w, TSNode node, dr_sym_kind kind)
{
    TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);
    if (kind == DR_SYM_ENUM && !ts_node_is_null(name) && ts_node_is_error(ts_node_prev_sibling(name)))
        name = (TSNode){.id = NULL}; /* enum : T { ... }: T is no name of it */
    const TSNode body = dr_walk__field(w, node, DR_FIELD_BODY);

    if (ts_node_is_null(body)) {
        /* `struct foo;` and `class Foo;` declare; anywhere else it is a use. */
        const TSNode next = ts_node_next_sibling(node), before = ts_node_prev_named_sibling(node);
        const char *next_type = ts_node_is_null(next) ? "" : ts_node_type(next);
        const char *parent = ts_node_type(ts_node_parent(node));
        if (strcmp(next_type, ";") == 0 && (ts_node_is_null(before) || strcmp(parent, "field_declaration") != 0) &&
            strcmp(parent, "parameter_list") != 0)
            dr_walk__mark(w, last_name(w, name), DR_MARK_DEF);
        return true;
    }
    TSNode scope_name = last_name(w, name);
    if (!ts_node_is_null(name)) {
        dr_walk__define(w, scope_name, with_template(node), kind, NULL);
        dr_walk__body(w, body);
    } else {
        /* typedef struct { ... } name: its members belong to the typedef's name. */
        const TSNode parent = ts_node_parent(node);
        if (dr_walk__rule(w, parent) == R_TYPEDEF) {
            bool is_function;
            TSNode qualifier;
            scope_name = declared_name(w, dr_walk__field(w, parent, DR_FIELD_DECLARATOR), &is_function, &qualifier);
        }
    }
    dr_walk__enter(w, DR_SCOPE_TYPE, scope_name);
    return true;
}

/* Marks the name that is called in `f(..)`, `a->f(..)`, `A::f(..)`, `f<T>(..)`. */
static void mark_callee(dr_walk *w, TSNode f)
{
    for (int level = 0; level < 64 && !ts_node_is_null(f); level++) {
        const uint8_t rule = dr_walk__rule(w, f);
        if (is_plain_name(rule)) {
            dr_walk__mark(w, f, DR_MARK_CALL);
            return;
        }
        TSNode next = dr_walk__field(w, f, DR_FIELD_FIELD);
        if (ts_node_is_null(next))
            next = dr_walk__field(w, f, DR_FIELD_NAME);
        if (ts_node_is_null(next) && strcmp(ts_node_type(f), "parenthesized_expression") == 0 &&
            ts_node_named_child_count(f))
            next = ts_node_named_child(f, 0);
        f = next;
    }
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    bool is_function;
    TSNode qualifier, name;

    switch (rule) {
    case R_FUNCTION: return visit_function(w, node);
    case R_DECLARATION:
    case R_FIELD_DECLARATION:
    case R_TYPEDEF: visit_declarators(w, node, rule); return true;
    case R_STRUCT: return visit_type(w, node, DR_SYM_STRUCT);
    case R_UNION: return visit_type(w, node, DR_SYM_UNION);
    case R_ENUM: return visit_type(w, node, DR_SYM_ENUM);
    case R_CLASS: return visit_type(w, node, DR_SYM_CLASS);
    case R_ENUMERATOR:
        dr_walk__define(w, dr_walk__field(w, node, DR_FIELD_NAME), node, DR_SYM_ENUMERATOR, NULL);
        return true;
    case R_MACRO:
        name = dr_walk__field(w, node, DR_FIELD_NAME);
        /* A comment in a macro's body may end it for the parser, and the next word is then its name. */
        if (ts_node_is_null(name) || ts_node_start_point(name).row != ts_node_start_point(node).row)
            return true;
        dr_walk__define(w, name, node, DR_SYM_MACRO, NULL);
        if (strcmp(ts_node_type(node), "preproc_function_def") == 0) /* of `#define LIMIT 3` the 3 says most */
            dr_walk__body(w, dr_walk__field(w, node, DR_FIELD_VALUE));
        return true;
    case R_INCLUDE: {
        const TSNode path = dr_walk__field(w, node, DR_FIELD_PATH);
        const dr_str text = dr_walk__string(w, path);
        dr_walk__import(w, text, ts_node_start_point(node).row + 1,
                        text.n && text.s[-1] == '<' ? DR_IMPORT_INCLUDE : DR_IMPORT_PATH);
        return ts_node_is_null(path) || text.n == 0; /* #include MACRO */
    }
    case R_MACRO_BODY:
        dr_lexical__uses(w, ts_node_start_byte(node), ts_node_end_byte(node), ts_node_start_point(node).row + 1);
        return false;
    case R_PARAMETER:
        name = declared_name(w, dr_walk__field(w, node, DR_FIELD_DECLARATOR), &is_function, &qualifier);
        dr_walk__local(w, name);
        return true;
    case R_NAMESPACE:
        name = dr_walk__field(w, node, DR_FIELD_NAME);
        if (!ts_node_is_null(name) && strcmp(ts_node_type(name), "nested_namespace_specifier") == 0) {
            for (uint32_t i = 0; i < ts_node_named_child_count(name) && i < 16; i++)
                if (is_plain_name(dr_walk__rule(w, ts_node_named_child(name, i))))
                    dr_walk__define(w, ts_node_named_child(name, i), node, DR_SYM_MODULE, NULL);
            name = ts_node_named_child(name, ts_node_named_child_count(name) - 1);
        } else {
            dr_walk__define(w, name, node, DR_SYM_MODULE, NULL);
        }
        dr_walk__enter(w, DR_SCOPE_MODULE, name);
        return true;
    case R_ALIAS:
        if (dr_walk__in_function(w))
            dr_walk__local(w, dr_walk__field(w, node, DR_FIELD_NAME));
        else
            dr_walk__define(w, dr_walk__field(w, node, DR_FIELD_NAME), with_template(node), DR_SYM_TYPE, NULL);
        return true;
    case R_CONCEPT:
        dr_walk__define(w, dr_walk__field(w, node, DR_FIELD_NAME), with_template(node), DR_SYM_TYPE, NULL);
        return true;
    case R_TYPE_PARAMETER:
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 2; i++)
            if (dr_walk__rule(w, ts_node_named_child(node, i)) == DR_RULE_NAME) {
                dr_walk__mark(w, ts_node_named_child(node, i), DR_MARK_DEF);
                break;
            }
        return true;
    case R_RANGE_LOOP: dr_walk__locals_in(w, dr_walk__field(w, node, DR_FIELD_DECLARATOR)); return true;
    case R_CALL: mark_callee(w, dr_walk__field(w, node, DR_FIELD_FUNCTION)); return true;
    case R_NEW: mark_callee(w, dr_walk__field(w, node, DR_FIELD_TYPE)); return true;
    case R_LAMBDA: dr_walk__enter(w, DR_SCOPE_FUNCTION, (TSNode){.id = NULL}); return true;
    case R_ODD_NAME:
        return strcmp(ts_node_type(node), "destructor_name") != 0; /* the class in ~Name is not a use of it */
    default: return true;                                          /* parts of declarators */
    }
}

/* The directive that begins at i, if a line does: "if", "else", "endif" ...; empty for none. *after: past its word. */
static dr_str directive(dr_str text, size_t i, size_t *after)
{
    while (i < text.n && (text.s[i] == ' ' || text.s[i] == '\t'))
        i++;
    if (i >= text.n || text.s[i] != '#')
        return (dr_str){"", 0};
    for (i++; i < text.n && (text.s[i] == ' ' || text.s[i] == '\t');)
        i++;
    const size_t at = i;
    while (i < text.n && text.s[i] >= 'a' && text.s[i] <= 'z')
        i++;
    *after = i;
    return (dr_str){text.s + at, i - at};
}

static size_t next_line(dr_str text, size_t i)
{
    const char *nl = i < text.n ? memchr(text.s + i, '\n', text.n - i) : NULL;
    return nl ? (size_t)(nl - text.s) + 1 : text.n;
}

/* `#if 0` at the line that begins at i. */
static bool is_if_0(dr_str text, size_t i)
{
    if (!dr_str_eq(directive(text, i, &i), DR_STR("if")))
        return false;
    while (i < text.n && (text.s[i] == ' ' || text.s[i] == '\t'))
        i++;
    if (i >= text.n || text.s[i] != '0')
        return false;
    for (i++; i < text.n && (text.s[i] == ' ' || text.s[i] == '\t' || text.s[i] == '\r');)
        i++;
    return i >= text.n || text.s[i] == '\n' || text.s[i] == '/';
}

/* Where what `#if 0` takes out ends: the line of its #else, #elif or #endif; SIZE_MAX when there is none. */
static size_t end_of_dead(dr_str text, size_t from)
{
    int depth = 0;
    for (size_t i = from, after; i < text.n; i = next_line(text, i)) {
        const dr_str word = directive(text, i, &after);
        if (word.n >= 2 && memcmp(word.s, "if", 2) == 0) {
            depth++;
        } else if (dr_str_eq(word, DR_STR("endif"))) {
            if (depth-- == 0)
                return i;
        } else if (depth == 0 && word.n >= 2 && memcmp(word.s, "el", 2) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Past the line's end, or past the comment that begins in it. */
static size_t past_line(dr_str text, size_t i)
{
    for (char quote = 0; i < text.n; i++) {
        const char c = text.s[i];
        if (c == '\n')
            return i + 1;
        if (c == '\\' && i + 1 < text.n)
            i += text.s[i + 1] == '\r' && i + 2 < text.n ? 2 : 1;
        else if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"')
            quote = c;
        else if (c == '/' && i + 1 < text.n && text.s[i + 1] == '/')
            return next_line(text, i);
        else if (c == '/' && i + 1 < text.n && text.s[i + 1] == '*') {
            const char *end = memmem(text.s + i + 2, text.n - i - 2, "*/", 2);
            if (!end)
                return text.n;
            i = (size_t)(end - text.s) + 1;
        }
    }
    return i;
}

static int by_begin(const void *a, const void *b)
{
    const dr_extract_range *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin ? 1 : x->end > y->end ? -1 : x->end < y->end;
}

/* Code between `#if 0` and its end is not compiled: blanks for the parser; its words are looked at on their own. */
static void soften(dr_walk *w, char *copy)
{
    const dr_str text = w->text;
    size_t n = 0;

    dr_soften(w, copy);
    const size_t n_macros = w->n_loose;
    for (size_t i = 0; i < text.n;) {
        if (!is_if_0(text, i)) {
            i = past_line(text, i);
            continue;
        }
        const size_t begin = next_line(text, i), end = end_of_dead(text, begin);
        if (end == SIZE_MAX)
            break;
        for (size_t k = begin; k < end; k++)
            if (copy[k] != '\n' && copy[k] != '\r')
                copy[k] = ' ';
        if (end > begin)
            dr_walk__lexical_range(w, (uint32_t)begin, (uint32_t)end);
        i = end;
    }
    if (w->n_loose == n_macros)
        return;
    qsort(w->loose, w->n_loose, sizeof *w->loose, by_begin);
    for (size_t i = 0; i < w->n_loose; i++) /* a macro in dead code is looked at with it */
        if (n == 0 || w->loose[i].begin >= w->loose[n - 1].end)
            w->loose[n++] = w->loose[i];
    w->n_loose = n;
}

const dr_grammar dr_grammar__c = {.language = tree_sitter_c, .rules = rules, .visit = visit, .soften = soften};
const dr_grammar dr_grammar__cpp = {.language = tree_sitter_cpp, .rules = rules, .visit = visit, .soften = soften};
const dr_grammar dr_grammar__cuda = {.language = tree_sitter_cuda, .rules = rules, .visit = visit, .soften = soften};
