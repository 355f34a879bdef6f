#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_python(void);

enum {
    R_FUNCTION = DR_RULE_OWN,
    R_CLASS,
    R_ASSIGNMENT,
    R_NAMED_EXPRESSION,
    R_PARAMETERS,
    R_DEFAULT_PARAMETER,
    R_TYPED_PARAMETER,
    R_LAMBDA,
    R_LOOP,
    R_AS_TARGET,
    R_ALIAS,
    R_CALL,
    R_ATTRIBUTE,
    R_KEYWORD_ARGUMENT,
    R_GLOBAL,
    R_TYPE_ALIAS,
    R_IMPORT,
    R_IMPORT_FROM,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"comment", DR_RULE_SKIP},
    {"string_content", DR_RULE_NONE}, /* interpolations lie inside */
    {"integer", DR_RULE_SKIP},
    {"function_definition", R_FUNCTION},
    {"class_definition", R_CLASS},
    {"assignment", R_ASSIGNMENT},
    {"named_expression", R_NAMED_EXPRESSION},
    {"parameters", R_PARAMETERS},
    {"lambda_parameters", R_PARAMETERS},
    {"default_parameter", R_DEFAULT_PARAMETER},
    {"typed_default_parameter", R_DEFAULT_PARAMETER},
    {"typed_parameter", R_TYPED_PARAMETER},
    {"lambda", R_LAMBDA},
    {"for_statement", R_LOOP},
    {"for_in_clause", R_LOOP},
    {"as_pattern_target", R_AS_TARGET},
    {"aliased_import", R_ALIAS},
    {"call", R_CALL},
    {"attribute", R_ATTRIBUTE},
    {"keyword_argument", R_KEYWORD_ARGUMENT},
    {"global_statement", R_GLOBAL},
    {"nonlocal_statement", R_GLOBAL},
    {"type_alias_statement", R_TYPE_ALIAS},
    {"import_statement", R_IMPORT},
    {"import_from_statement", R_IMPORT_FROM},
    {NULL, 0},
};

/* The decorators above belong to the definition. */
static TSNode with_decorators(TSNode node)
{
    const TSNode parent = ts_node_parent(node);
    return !ts_node_is_null(parent) && strcmp(ts_node_type(parent), "decorated_definition") == 0 ? parent : node;
}

/* By convention a name in capitals is a constant. */
static bool is_constant_name(dr_str s)
{
    bool letter = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] >= 'a' && s.s[i] <= 'z')
            return false;
        letter |= s.s[i] >= 'A' && s.s[i] <= 'Z';
    }
    return letter && s.n > 1;
}

/* The first assignment is the definition. Names of one scope lie next to each other nearly always, so the search is
 * short. */
static bool known_in_scope(const dr_walk *w, dr_str name)
{
    const dr_scope *scope = dr_walk__scope(w);
    const uint32_t at = scope ? scope->name_at : 0, n = scope ? scope->name_n : 0;
    for (size_t i = w->n_defs, seen = 0; i-- > 0 && seen < 400; seen++) {
        const dr_extract_def *d = &w->defs[i];
        if (d->container_at == at && d->container_n == n && d->name_n == name.n &&
            memcmp(w->text.s + d->name_at, name.s, name.n) == 0)
            return true;
    }
    return false;
}

static void assign_name(dr_walk *w, TSNode name, TSNode whole)
{
    const dr_scope *scope = dr_walk__scope(w);
    const dr_str text = dr_walk__text(w, name);

    if (dr_walk__in_function(w)) {
        dr_walk__local(w, name);
    } else if (known_in_scope(w, text)) {
        dr_walk__mark(w, name, DR_MARK_DEF);
    } else {
        dr_walk__define(w, name, whole,
                        scope && scope->kind == DR_SCOPE_TYPE ? DR_SYM_FIELD
                        : is_constant_name(text)              ? DR_SYM_CONSTANT
                                                              : DR_SYM_VARIABLE,
                        NULL);
    }
}

static void assign(dr_walk *w, TSNode target, TSNode whole, int depth)
{
    if (ts_node_is_null(target) || depth > 8)
        return;
    const char *type = ts_node_type(target);
    if (strcmp(type, "identifier") == 0) {
        assign_name(w, target, whole);
    } else if (strcmp(type, "pattern_list") == 0 || strcmp(type, "tuple_pattern") == 0 ||
               strcmp(type, "list_pattern") == 0) {
        for (uint32_t i = 0; i < ts_node_named_child_count(target) && i < 32; i++)
            assign(w, ts_node_named_child(target, i), whole, depth + 1);
    }
}

/* A string as the first statement of a body. */
static void find_docstring(dr_walk *w, TSNode definition)
{
    const TSNode body = dr_walk__field(w, definition, DR_FIELD_BODY);
    const TSNode first = !ts_node_is_null(body) && ts_node_named_child_count(body) ? ts_node_named_child(body, 0) : body;
    dr_walk__body(w, body);
    if (ts_node_is_null(first) || strcmp(ts_node_type(first), "expression_statement") != 0 ||
        ts_node_named_child_count(first) != 1 || strcmp(ts_node_type(ts_node_named_child(first, 0)), "string") != 0)
        return;
    dr_walk__doc(w, ts_node_start_point(first).row + 1);
}

/* The dotted name in `a.b` and in `a.b as c`. */
static dr_str imported_name(const dr_walk *w, TSNode node)
{
    const TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);
    return dr_walk__text(w, ts_node_is_null(name) ? node : name);
}

/* import a.b, c as d; from a import b: b may be a name in a, or a module of its own. */
static void visit_import(dr_walk *w, TSNode node, bool from)
{
    const TSNode module = dr_walk__field(w, node, DR_FIELD_MODULE_NAME);
    const dr_str base = dr_walk__text(w, module);
    dr_buf name = {0};

    if (from)
        dr_walk__import(w, base, ts_node_start_point(node).row + 1, DR_IMPORT_PYTHON);
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 200; i++) {
        const TSNode child = ts_node_named_child(node, i);
        if (from && ts_node_eq(child, module))
            continue;
        const dr_str last = imported_name(w, child);
        const uint32_t line = ts_node_start_point(child).row + 1;
        if (!from) {
            dr_walk__import(w, last, line, DR_IMPORT_PYTHON);
        } else if (strcmp(ts_node_type(child), "wildcard_import") != 0) {
            dr_buf_clear(&name);
            dr_buf_add(&name, base.s, base.n);
            if (base.n && base.s[base.n - 1] != '.')
                dr_buf_add(&name, ".", 1);
            dr_buf_add(&name, last.s, last.n);
            dr_walk__import(w, dr_buf_view(&name), line, DR_IMPORT_PYTHON_MAYBE);
        }
    }
    dr_buf_free(&name);
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    const dr_scope *scope = dr_walk__scope(w);
    TSNode name;

    switch (rule) {
    case R_FUNCTION:
        name = dr_walk__field(w, node, DR_FIELD_NAME);
        dr_walk__define(w, name, with_decorators(node),
                        scope && scope->kind == DR_SCOPE_TYPE ? DR_SYM_METHOD : DR_SYM_FUNCTION, NULL);
        find_docstring(w, node);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_CLASS:
        name = dr_walk__field(w, node, DR_FIELD_NAME);
        dr_walk__define(w, name, with_decorators(node), DR_SYM_CLASS, NULL);
        find_docstring(w, node);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_ASSIGNMENT: assign(w, dr_walk__field(w, node, DR_FIELD_LEFT), node, 0); return true;
    case R_NAMED_EXPRESSION: dr_walk__local(w, dr_walk__field(w, node, DR_FIELD_NAME)); return true;
    case R_LAMBDA: dr_walk__enter(w, DR_SCOPE_FUNCTION, (TSNode){.id = NULL}); return true;
    case R_PARAMETERS: /* plain ones; the others are visited on their own */
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++) {
            const TSNode p = ts_node_named_child(node, i);
            const char *type = ts_node_type(p);
            if (strcmp(type, "identifier") == 0 || strcmp(type, "list_splat_pattern") == 0 ||
                strcmp(type, "dictionary_splat_pattern") == 0)
                dr_walk__locals_in(w, p);
        }
        return true;
    case R_DEFAULT_PARAMETER: dr_walk__local(w, dr_walk__field(w, node, DR_FIELD_NAME)); return true;
    case R_TYPED_PARAMETER:
        if (ts_node_named_child_count(node))
            dr_walk__locals_in(w, ts_node_named_child(node, 0));
        return true;
    case R_LOOP:
        name = dr_walk__field(w, node, DR_FIELD_LEFT);
        if (dr_walk__in_function(w))
            dr_walk__locals_in(w, name);
        else if (dr_walk__rule(w, name) == DR_RULE_NAME)
            dr_walk__mark(w, name, DR_MARK_DEF);
        return true;
    case R_AS_TARGET: dr_walk__locals_in(w, node); return true;
    case R_ALIAS: dr_walk__mark(w, dr_walk__field(w, node, DR_FIELD_ALIAS), DR_MARK_DEF); return true;
    case R_CALL:
        name = dr_walk__field(w, node, DR_FIELD_FUNCTION);
        if (!ts_node_is_null(name) && strcmp(ts_node_type(name), "attribute") == 0)
            name = dr_walk__field(w, name, DR_FIELD_ATTRIBUTE);
        if (dr_walk__rule(w, name) == DR_RULE_NAME)
            dr_walk__mark(w, name, DR_MARK_CALL);
        return true;
    case R_ATTRIBUTE: dr_walk__mark(w, dr_walk__field(w, node, DR_FIELD_ATTRIBUTE), DR_MARK_MEMBER); return true;
    case R_KEYWORD_ARGUMENT: dr_walk__mark(w, dr_walk__field(w, node, DR_FIELD_NAME), DR_MARK_DEF); return true;
    case R_GLOBAL: /* the names mean the module's: they stay uses */ return true;
    case R_IMPORT:
    case R_IMPORT_FROM: visit_import(w, node, rule == R_IMPORT_FROM); return true;
    case R_TYPE_ALIAS:
        name = dr_walk__field(w, node, DR_FIELD_LEFT);
        if (!ts_node_is_null(name) && ts_node_named_child_count(name) && !dr_walk__in_function(w))
            dr_walk__define(w, ts_node_named_child(name, 0), node, DR_SYM_TYPE, NULL);
        return true;
    default: return true;
    }
}

const dr_grammar dr_grammar__python = {.language = tree_sitter_python, .rules = rules, .visit = visit};
