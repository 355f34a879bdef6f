#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_php(void);

enum {
    R_NAMESPACE = DR_RULE_OWN,
    R_CLASS,
    R_INTERFACE,
    R_TRAIT,
    R_ENUM,
    R_ANONYMOUS_CLASS,
    R_FUNCTION,
    R_METHOD,
    R_CLOSURE,
    R_CONSTANT,
    R_CASE,
    R_PROPERTY,
    R_PROMOTED,
    R_STATIC_PROPERTY,
    R_USE,
    R_INCLUDE,
    R_CALL,
    R_NEW,
    R_ARGUMENT,
};

/* Variables have names of their own ($x), so nothing hides the other names. */
static const dr_node_rule rules[] = {
    {"name", DR_RULE_MEMBER},
    {"variable_name", DR_RULE_SKIP},
    {"namespace_name", DR_RULE_SKIP},
    {"comment", DR_RULE_SKIP},
    {"string", DR_RULE_SKIP},
    {"nowdoc", DR_RULE_SKIP},
    {"text", DR_RULE_SKIP},
    {"goto_statement", DR_RULE_SKIP},
    {"named_label_statement", DR_RULE_SKIP},
    {"declare_directive", DR_RULE_SKIP},
    {"namespace_definition", R_NAMESPACE},
    {"class_declaration", R_CLASS},
    {"interface_declaration", R_INTERFACE},
    {"trait_declaration", R_TRAIT},
    {"enum_declaration", R_ENUM},
    {"anonymous_class", R_ANONYMOUS_CLASS},
    {"function_definition", R_FUNCTION},
    {"method_declaration", R_METHOD},
    {"anonymous_function", R_CLOSURE},
    {"arrow_function", R_CLOSURE},
    {"property_hook", R_CLOSURE},
    {"const_element", R_CONSTANT},
    {"enum_case", R_CASE},
    {"property_element", R_PROPERTY},
    {"property_promotion_parameter", R_PROMOTED},
    {"scoped_property_access_expression", R_STATIC_PROPERTY},
    {"namespace_use_declaration", R_USE},
    {"include_expression", R_INCLUDE},
    {"include_once_expression", R_INCLUDE},
    {"require_expression", R_INCLUDE},
    {"require_once_expression", R_INCLUDE},
    {"function_call_expression", R_CALL},
    {"member_call_expression", R_CALL},
    {"nullsafe_member_call_expression", R_CALL},
    {"scoped_call_expression", R_CALL},
    {"object_creation_expression", R_NEW},
    {"argument", R_ARGUMENT},
    {NULL, 0},
};

static const TSNode none;

static bool is_type(TSNode n, const char *type)
{
    return !ts_node_is_null(n) && strcmp(ts_node_type(n), type) == 0;
}

/* \A\B\C: C. */
static TSNode last_name(TSNode n)
{
    if (is_type(n, "name"))
        return n;
    if (!is_type(n, "qualified_name") && !is_type(n, "relative_name"))
        return none;
    const uint32_t count = ts_node_named_child_count(n);
    return count ? last_name(ts_node_named_child(n, count - 1)) : none;
}

/* The name in $name, a child of a variable_name. */
static TSNode bare_name(TSNode variable)
{
    for (int level = 0; level < 3 && !ts_node_is_null(variable); level++) {
        if (is_type(variable, "name"))
            return variable;
        variable = ts_node_named_child_count(variable) ? ts_node_named_child(variable, 0) : none;
    }
    return none;
}

/* The text of a string literal without interpolation. */
static dr_str literal(const dr_walk *w, TSNode n)
{
    if ((is_type(n, "string") || is_type(n, "encapsed_string")) && ts_node_named_child_count(n) == 1 &&
        is_type(ts_node_named_child(n, 0), "string_content"))
        return dr_walk__text(w, ts_node_named_child(n, 0));
    return (dr_str){"", 0};
}

static void import_clause(dr_walk *w, TSNode clause, dr_str prefix)
{
    const TSNode alias = dr_walk__field(w, clause, DR_FIELD_ALIAS);
    dr_buf name = {0};

    for (uint32_t i = 0; i < ts_node_named_child_count(clause) && i < 4; i++) {
        const TSNode child = ts_node_named_child(clause, i);
        dr_str text = dr_walk__text(w, child);
        if (ts_node_is_null(last_name(child)) || (!ts_node_is_null(alias) && ts_node_eq(child, alias)))
            continue;
        if (text.n && text.s[0] == '\\')
            text.s++, text.n--;
        dr_buf_add(&name, prefix.s, prefix.n);
        if (prefix.n)
            dr_buf_add(&name, "\\", 1);
        dr_buf_add(&name, text.s, text.n);
        break;
    }
    w->failed |= name.failed;
    if (!name.failed)
        dr_walk__import(w, dr_buf_view(&name), ts_node_start_point(clause).row + 1, DR_IMPORT_TYPE);
    dr_buf_free(&name);
    dr_walk__mark(w, alias, DR_MARK_DEF);
}

/* use A\B, C as D; use A\{B, C}; */
static void visit_use(dr_walk *w, TSNode node)
{
    dr_str prefix = {"", 0};
    TSNode group = dr_walk__field(w, node, DR_FIELD_BODY);

    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 4; i++)
        if (is_type(ts_node_named_child(node, i), "namespace_name"))
            prefix = dr_walk__text(w, ts_node_named_child(node, i));
    if (ts_node_is_null(group))
        group = node;
    for (uint32_t i = 0; i < ts_node_named_child_count(group) && i < 64; i++)
        if (is_type(ts_node_named_child(group, i), "namespace_use_clause"))
            import_clause(w, ts_node_named_child(group, i), prefix);
}

/* include 'a.php', require __DIR__ . '/a.php'. */
static void visit_include(dr_walk *w, TSNode node)
{
    TSNode path = ts_node_named_child_count(node) ? ts_node_named_child(node, 0) : none;
    for (int level = 0; level < 4; level++) {
        if (is_type(path, "parenthesized_expression") && ts_node_named_child_count(path))
            path = ts_node_named_child(path, 0);
        else if (is_type(path, "binary_expression"))
            path = dr_walk__field(w, path, DR_FIELD_RIGHT);
    }
    dr_str text = literal(w, path);
    while (text.n && text.s[0] == '/')
        text.s++, text.n--;
    dr_walk__import(w, text, ts_node_start_point(node).row + 1, DR_IMPORT_PATH);
}

static void visit_call(dr_walk *w, TSNode node)
{
    TSNode callee = dr_walk__field(w, node, DR_FIELD_FUNCTION);
    if (ts_node_is_null(callee))
        callee = dr_walk__field(w, node, DR_FIELD_NAME);
    callee = last_name(callee);
    dr_walk__mark(w, callee, DR_MARK_CALL);
    if (!dr_str_eq(dr_walk__text(w, callee), DR_STR("define")))
        return;
    /* define('NAME', value) */
    const TSNode arguments = ts_node_child_by_field_name(node, "arguments", 9);
    if (ts_node_is_null(arguments) || ts_node_named_child_count(arguments) < 2)
        return;
    const TSNode first = ts_node_named_child(arguments, 0);
    const dr_str name = literal(w, ts_node_named_child_count(first) ? ts_node_named_child(first, 0) : none);
    if (name.n)
        dr_walk__define_at(w, (uint32_t)(name.s - w->text.s), (uint32_t)name.n, ts_node_start_point(first).row + 1,
                           ts_node_start_point(node).row + 1, ts_node_end_point(node).row + 1, DR_SYM_CONSTANT);
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    const TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);

    switch (rule) {
    case R_NAMESPACE:
        dr_walk__define(w, name, node, DR_SYM_MODULE, NULL);
        if (!ts_node_is_null(dr_walk__field(w, node, DR_FIELD_BODY)))
            dr_walk__enter(w, DR_SCOPE_MODULE, name);
        return true;
    case R_CLASS:
    case R_INTERFACE:
    case R_TRAIT:
    case R_ENUM:
        dr_walk__define(w, name, node,
                        rule == R_CLASS   ? DR_SYM_CLASS
                        : rule == R_TRAIT ? DR_SYM_TRAIT
                        : rule == R_ENUM  ? DR_SYM_ENUM
                                          : DR_SYM_INTERFACE,
                        NULL);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_ANONYMOUS_CLASS: dr_walk__enter(w, DR_SCOPE_TYPE, none); return true;
    case R_FUNCTION:
    case R_METHOD:
        dr_walk__define(w, name, node, rule == R_METHOD ? DR_SYM_METHOD : DR_SYM_FUNCTION, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_CLOSURE: dr_walk__enter(w, DR_SCOPE_FUNCTION, none); return true;
    case R_CONSTANT:
        if (ts_node_named_child_count(node))
            dr_walk__define(w, ts_node_named_child(node, 0), node, DR_SYM_CONSTANT, NULL);
        return true;
    case R_CASE: dr_walk__define(w, name, node, DR_SYM_ENUMERATOR, NULL); return true;
    case R_PROPERTY: dr_walk__define(w, bare_name(name), ts_node_parent(node), DR_SYM_FIELD, NULL); return true;
    case R_PROMOTED: { /* a parameter of the constructor, and a field of the class around it */
        const dr_scope *s = w->n_scopes > 1 ? &w->scopes[w->n_scopes - 2] : NULL;
        dr_walk__define(w, bare_name(name), node, DR_SYM_FIELD, NULL);
        if (s && s->kind == DR_SCOPE_TYPE && w->last_def < w->n_defs) {
            w->defs[w->last_def].container_at = s->name_n ? s->name_at : 0;
            w->defs[w->last_def].container_n = s->name_n;
        }
        return true;
    }
    case R_STATIC_PROPERTY: {
        const TSNode property = bare_name(name);
        const uint32_t at = ts_node_is_null(property) ? 0 : ts_node_start_byte(property);
        if (!ts_node_is_null(property))
            dr_walk__use_at(w, at, ts_node_end_byte(property) - at, ts_node_start_point(property).row + 1, false);
        return true;
    }
    case R_USE: visit_use(w, node); return true;
    case R_INCLUDE: visit_include(w, node); return true;
    case R_CALL: visit_call(w, node); return true;
    case R_NEW:
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 3; i++)
            dr_walk__mark(w, last_name(ts_node_named_child(node, i)), DR_MARK_CALL);
        return true;
    case R_ARGUMENT: dr_walk__mark(w, name, DR_MARK_DEF); return true; /* f(name: value) */
    default: return true;
    }
}

const dr_grammar dr_grammar__php = {.language = tree_sitter_php, .rules = rules, .visit = visit};
