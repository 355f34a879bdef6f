#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_c_sharp(void);

enum {
    R_NAMESPACE = DR_RULE_OWN,
    R_CLASS,
    R_STRUCT,
    R_INTERFACE,
    R_ENUM,
    R_DELEGATE,
    R_METHOD,
    R_LOCAL_FUNCTION,
    R_ACCESSOR,
    R_PROPERTY,
    R_FIELDS,
    R_ENUMERATOR,
    R_VARIABLES,
    R_NAMED_LOCAL,
    R_LOOP,
    R_PATTERN,
    R_LAMBDA,
    R_IMPLICIT,
    R_TYPE_PARAMETER,
    R_USING,
    R_CALL,
    R_NEW,
    R_ACCESS,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"comment", DR_RULE_SKIP},
    {"string_literal", DR_RULE_SKIP},
    {"verbatim_string_literal", DR_RULE_SKIP},
    {"raw_string_literal", DR_RULE_SKIP},
    {"character_literal", DR_RULE_SKIP},
    {"labeled_statement", DR_RULE_NONE},
    {"preproc_region", DR_RULE_SKIP},
    {"preproc_endregion", DR_RULE_SKIP},
    {"preproc_pragma", DR_RULE_SKIP},
    {"attribute_target_specifier", DR_RULE_SKIP},
    {"namespace_declaration", R_NAMESPACE},
    {"file_scoped_namespace_declaration", R_NAMESPACE},
    {"class_declaration", R_CLASS},
    {"record_declaration", R_CLASS},
    {"struct_declaration", R_STRUCT},
    {"interface_declaration", R_INTERFACE},
    {"enum_declaration", R_ENUM},
    {"delegate_declaration", R_DELEGATE},
    {"method_declaration", R_METHOD},
    {"constructor_declaration", R_METHOD},
    {"destructor_declaration", R_METHOD},
    {"operator_declaration", R_ACCESSOR},
    {"conversion_operator_declaration", R_ACCESSOR},
    {"indexer_declaration", R_ACCESSOR},
    {"accessor_declaration", R_ACCESSOR},
    {"local_function_statement", R_LOCAL_FUNCTION},
    {"property_declaration", R_PROPERTY},
    {"event_declaration", R_PROPERTY},
    {"field_declaration", R_FIELDS},
    {"event_field_declaration", R_FIELDS},
    {"enum_member_declaration", R_ENUMERATOR},
    {"variable_declaration", R_VARIABLES},
    {"parameter", R_NAMED_LOCAL},
    {"catch_declaration", R_NAMED_LOCAL},
    {"declaration_expression", R_NAMED_LOCAL},
    {"declaration_pattern", R_NAMED_LOCAL},
    {"recursive_pattern", R_NAMED_LOCAL},
    {"var_pattern", R_NAMED_LOCAL},
    {"from_clause", R_NAMED_LOCAL},
    {"foreach_statement", R_LOOP},
    {"tuple_pattern", R_PATTERN},
    {"parenthesized_variable_designation", R_PATTERN},
    {"lambda_expression", R_LAMBDA},
    {"anonymous_method_expression", R_LAMBDA},
    {"implicit_parameter", R_IMPLICIT},
    {"type_parameter", R_TYPE_PARAMETER},
    {"using_directive", R_USING},
    {"invocation_expression", R_CALL},
    {"object_creation_expression", R_NEW},
    {"member_access_expression", R_ACCESS},
    {"member_binding_expression", R_ACCESS},
    {"qualified_name", R_ACCESS},
    {NULL, 0},
};

static const TSNode none;

static bool is_type(TSNode n, const char *type)
{
    return !ts_node_is_null(n) && strcmp(ts_node_type(n), type) == 0;
}

/* A.B.C<T>, x?.C, x.C: C. */
static TSNode last_name(const dr_walk *w, TSNode n)
{
    for (int level = 0; level < 32 && !ts_node_is_null(n); level++) {
        const uint32_t n_children = ts_node_named_child_count(n);
        if (dr_walk__rule(w, n) == DR_RULE_NAME)
            return n;
        TSNode next = dr_walk__field(w, n, DR_FIELD_NAME);
        if (ts_node_is_null(next) && is_type(n, "generic_name") && n_children)
            next = ts_node_named_child(n, 0);
        if (ts_node_is_null(next) && is_type(n, "conditional_access_expression") && n_children)
            next = ts_node_named_child(n, n_children - 1);
        n = next;
    }
    return none;
}

static bool has_modifier(const dr_walk *w, TSNode node, const char *word)
{
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 12; i++) {
        const TSNode m = ts_node_named_child(node, i);
        if (is_type(m, "modifier") && dr_str_eq(dr_walk__text(w, m), dr_str_of(word)))
            return true;
    }
    return false;
}

/* `int a, b = 1`: every declarator of a variable_declaration. */
static void each_declarator(dr_walk *w, TSNode declaration, TSNode whole, dr_sym_kind kind, bool local)
{
    for (uint32_t i = 0; i < ts_node_named_child_count(declaration) && i < 64; i++) {
        const TSNode d = ts_node_named_child(declaration, i);
        if (!is_type(d, "variable_declarator"))
            continue;
        const TSNode name = dr_walk__field(w, d, DR_FIELD_NAME);
        if (local)
            dr_walk__local(w, name);
        else
            dr_walk__define(w, name, whole, kind, NULL);
    }
}

static void visit_fields(dr_walk *w, TSNode node)
{
    const bool constant =
        has_modifier(w, node, "const") || (has_modifier(w, node, "static") && has_modifier(w, node, "readonly"));
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 24; i++)
        if (is_type(ts_node_named_child(node, i), "variable_declaration"))
            each_declarator(w, ts_node_named_child(node, i), node, constant ? DR_SYM_CONSTANT : DR_SYM_FIELD, false);
}

/* `using A.B;` names a namespace, `using static A.B.C;` and `using X = A.B.C;` a type. */
static void visit_using(dr_walk *w, TSNode node)
{
    const uint32_t n = ts_node_named_child_count(node);
    const TSNode alias = dr_walk__field(w, node, DR_FIELD_NAME);
    bool type = !ts_node_is_null(alias);
    for (uint32_t i = 0; i < ts_node_child_count(node) && i < 4; i++)
        type |= is_type(ts_node_child(node, i), "static");
    if (n)
        dr_walk__import(w, dr_walk__text(w, ts_node_named_child(node, n - 1)), ts_node_start_point(node).row + 1,
                        type ? DR_IMPORT_TYPE : DR_IMPORT_PLAIN);
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    const TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);

    switch (rule) {
    case R_NAMESPACE:
        dr_walk__define(w, name, node, DR_SYM_MODULE, NULL);
        dr_walk__mark(w, last_name(w, name), DR_MARK_DEF);
        dr_walk__enter(w, DR_SCOPE_MODULE, name);
        return true;
    case R_CLASS:
    case R_STRUCT:
    case R_INTERFACE:
    case R_ENUM:
        dr_walk__define(w, name, node,
                        rule == R_CLASS    ? DR_SYM_CLASS
                        : rule == R_STRUCT ? DR_SYM_STRUCT
                        : rule == R_ENUM   ? DR_SYM_ENUM
                                           : DR_SYM_INTERFACE,
                        NULL);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_DELEGATE: dr_walk__define(w, name, node, DR_SYM_TYPE, NULL); return true;
    case R_METHOD:
        dr_walk__define(w, name, node, DR_SYM_METHOD, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_LOCAL_FUNCTION:
        dr_walk__define(w, name, node, DR_SYM_FUNCTION, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_ACCESSOR:
    case R_LAMBDA: dr_walk__enter(w, DR_SCOPE_FUNCTION, none); return true;
    case R_PROPERTY: dr_walk__define(w, name, node, DR_SYM_FIELD, NULL); return true;
    case R_FIELDS: visit_fields(w, node); return true;
    case R_ENUMERATOR: dr_walk__define(w, name, node, DR_SYM_ENUMERATOR, NULL); return true;
    case R_VARIABLES:
        if (dr_walk__in_function(w))
            each_declarator(w, node, node, DR_SYM_VARIABLE, true);
        return true;
    case R_NAMED_LOCAL:
        if (is_type(ts_node_parent(ts_node_parent(node)), "record_declaration")) /* record R(int A): A is a property */
            dr_walk__define(w, name, node, DR_SYM_FIELD, NULL);
        else
            dr_walk__local(w, name);
        return true;
    case R_LOOP: {
        const TSNode left = dr_walk__field(w, node, DR_FIELD_LEFT);
        if (dr_walk__rule(w, left) == DR_RULE_NAME)
            dr_walk__local(w, left);
        return true;
    }
    case R_PATTERN: dr_walk__locals_in(w, node); return true;
    case R_IMPLICIT: dr_walk__local(w, node); return false;
    case R_TYPE_PARAMETER: dr_walk__mark(w, name, DR_MARK_DEF); return true;
    case R_USING: visit_using(w, node); return false;
    case R_CALL: dr_walk__mark(w, last_name(w, dr_walk__field(w, node, DR_FIELD_FUNCTION)), DR_MARK_CALL); return true;
    case R_NEW: dr_walk__mark(w, last_name(w, dr_walk__field(w, node, DR_FIELD_TYPE)), DR_MARK_CALL); return true;
    case R_ACCESS: dr_walk__mark(w, last_name(w, node), DR_MARK_MEMBER); return true;
    default: return true;
    }
}

const dr_grammar dr_grammar__csharp = {.language = tree_sitter_c_sharp, .rules = rules, .visit = visit};
