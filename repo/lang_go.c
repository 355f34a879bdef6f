#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_go(void);

enum {
    R_FUNCTION = DR_RULE_OWN,
    R_METHOD,
    R_FUNC_LITERAL,
    R_TYPE,
    R_CONST,
    R_VAR,
    R_FIELD,
    R_METHOD_SPEC,
    R_PARAMETER,
    R_SHORT_VAR,
    R_RANGE,
    R_TYPE_PARAMETER,
    R_CALL,
    R_KEYED,
    R_IMPORT,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_NAME},
    {"field_identifier", DR_RULE_MEMBER},
    {"package_identifier", DR_RULE_SKIP},
    {"label_name", DR_RULE_SKIP},
    {"comment", DR_RULE_SKIP},
    {"interpreted_string_literal", DR_RULE_SKIP},
    {"raw_string_literal", DR_RULE_SKIP},
    {"rune_literal", DR_RULE_SKIP},
    {"import_declaration", DR_RULE_NONE},
    {"import_spec", R_IMPORT},
    {"package_clause", DR_RULE_SKIP},
    {"function_declaration", R_FUNCTION},
    {"method_declaration", R_METHOD},
    {"func_literal", R_FUNC_LITERAL},
    {"type_spec", R_TYPE},
    {"type_alias", R_TYPE},
    {"const_spec", R_CONST},
    {"var_spec", R_VAR},
    {"field_declaration", R_FIELD},
    {"method_elem", R_METHOD_SPEC},
    {"parameter_declaration", R_PARAMETER},
    {"variadic_parameter_declaration", R_PARAMETER},
    {"short_var_declaration", R_SHORT_VAR},
    {"range_clause", R_RANGE},
    {"receive_statement", R_RANGE},
    {"type_parameter_declaration", R_TYPE_PARAMETER},
    {"call_expression", R_CALL},
    {"keyed_element", R_KEYED},
    {NULL, 0},
};

/* (r *T[K]) names T. */
static TSNode receiver_type(const dr_walk *w, TSNode method)
{
    static const TSNode none;
    const TSNode list = dr_walk__field(w, method, DR_FIELD_RECEIVER);
    if (ts_node_is_null(list) || ts_node_named_child_count(list) == 0)
        return none;
    TSNode type = dr_walk__field(w, ts_node_named_child(list, 0), DR_FIELD_TYPE);
    for (int level = 0; level < 8 && !ts_node_is_null(type) && dr_walk__rule(w, type) != DR_RULE_NAME; level++)
        type = ts_node_named_child_count(type) ? ts_node_named_child(type, 0) : none;
    return type;
}

/* The children of a spec that are plain names, before its type or value. */
static void each_name(dr_walk *w, TSNode node, dr_sym_kind kind)
{
    TSTreeCursor c = ts_tree_cursor_new(node);
    const bool local = dr_walk__in_function(w) && kind != DR_SYM_FIELD;

    for (bool more = ts_tree_cursor_goto_first_child(&c); more; more = ts_tree_cursor_goto_next_sibling(&c)) {
        const TSNode n = ts_tree_cursor_current_node(&c);
        const char *field = ts_tree_cursor_current_field_name(&c);
        if (!field || strcmp(field, "name") != 0 || !ts_node_is_named(n))
            continue;
        if (local)
            dr_walk__local(w, n);
        else if (dr_str_eq(dr_walk__text(w, n), DR_STR("_")))
            dr_walk__mark(w, n, DR_MARK_DEF);
        else
            dr_walk__define(w, n, node, kind, NULL);
    }
    ts_tree_cursor_delete(&c);
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);

    switch (rule) {
    case R_FUNCTION:
        dr_walk__define(w, name, node, DR_SYM_FUNCTION, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_METHOD: {
        const TSNode type = receiver_type(w, node);
        dr_walk__define(w, name, node, DR_SYM_METHOD, &type);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    }
    case R_FUNC_LITERAL: dr_walk__enter(w, DR_SCOPE_FUNCTION, (TSNode){.id = NULL}); return true;
    case R_TYPE: {
        const TSNode type = dr_walk__field(w, node, DR_FIELD_TYPE);
        const char *is = ts_node_is_null(type) ? "" : ts_node_type(type);
        dr_walk__define(w, name, node,
                        strcmp(is, "struct_type") == 0      ? DR_SYM_STRUCT
                        : strcmp(is, "interface_type") == 0 ? DR_SYM_INTERFACE
                                                            : DR_SYM_TYPE,
                        NULL);
        if (strcmp(is, "struct_type") == 0 && ts_node_named_child_count(type))
            dr_walk__body(w, ts_node_named_child(type, 0));
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    }
    case R_IMPORT:
        dr_walk__import(w, dr_walk__string(w, dr_walk__field(w, node, DR_FIELD_PATH)), ts_node_start_point(node).row + 1,
                        DR_IMPORT_GO);
        return false;
    case R_CONST: each_name(w, node, DR_SYM_CONSTANT); return true;
    case R_VAR: each_name(w, node, DR_SYM_VARIABLE); return true;
    case R_FIELD: each_name(w, node, DR_SYM_FIELD); return true;
    case R_METHOD_SPEC: dr_walk__define(w, name, node, DR_SYM_METHOD, NULL); return true;
    case R_PARAMETER: {
        TSTreeCursor c = ts_tree_cursor_new(node);
        for (bool more = ts_tree_cursor_goto_first_child(&c); more; more = ts_tree_cursor_goto_next_sibling(&c)) {
            const char *field = ts_tree_cursor_current_field_name(&c);
            if (field && strcmp(field, "name") == 0)
                dr_walk__local(w, ts_tree_cursor_current_node(&c));
        }
        ts_tree_cursor_delete(&c);
        return true;
    }
    case R_SHORT_VAR:
    case R_RANGE: {
        const TSNode left = dr_walk__field(w, node, DR_FIELD_LEFT);
        const uint32_t n = ts_node_is_null(left) ? 0 : ts_node_named_child_count(left);
        for (uint32_t i = 0; i < n && i < 16; i++)
            if (dr_walk__rule(w, ts_node_named_child(left, i)) == DR_RULE_NAME)
                dr_walk__local(w, ts_node_named_child(left, i));
        return true;
    }
    case R_TYPE_PARAMETER: dr_walk__mark(w, name, DR_MARK_DEF); return true;
    case R_CALL: {
        TSNode f = dr_walk__field(w, node, DR_FIELD_FUNCTION);
        if (!ts_node_is_null(f) && strcmp(ts_node_type(f), "selector_expression") == 0)
            f = dr_walk__field(w, f, DR_FIELD_FIELD);
        else if (!ts_node_is_null(f) && strcmp(ts_node_type(f), "index_expression") == 0)
            f = dr_walk__field(w, f, DR_FIELD_OPERAND);
        if (!ts_node_is_null(f) && strcmp(ts_node_type(f), "selector_expression") == 0)
            f = dr_walk__field(w, f, DR_FIELD_FIELD);
        if (dr_walk__rule(w, f) == DR_RULE_NAME || dr_walk__rule(w, f) == DR_RULE_MEMBER)
            dr_walk__mark(w, f, DR_MARK_CALL);
        return true;
    }
    case R_KEYED: {
        const TSNode key = ts_node_named_child_count(node) ? ts_node_named_child(node, 0) : node;
        if (ts_node_named_child_count(key) == 1 && dr_walk__rule(w, ts_node_named_child(key, 0)) == DR_RULE_NAME)
            dr_walk__mark(w, ts_node_named_child(key, 0),
                          DR_MARK_MEMBER); /* a struct's field, whatever locals are called */
        return true;
    }
    default: return true;
    }
}

const dr_grammar dr_grammar__go = {.language = tree_sitter_go, .rules = rules, .visit = visit};
