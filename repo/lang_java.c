#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_java(void);

enum {
    R_CLASS = DR_RULE_OWN,
    R_INTERFACE,
    R_ENUM,
    R_METHOD,
    R_FIELD,
    R_CONSTANT,
    R_ENUM_CONSTANT,
    R_LOCALS,
    R_NAMED_LOCAL,
    R_PARAMETER_LIST,
    R_LAMBDA,
    R_TYPE_PARAMETER,
    R_CALL,
    R_NEW,
    R_FIELD_ACCESS,
    R_TYPE_PATTERN,
    R_IMPORT,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_MEMBER},
    {"line_comment", DR_RULE_SKIP},
    {"block_comment", DR_RULE_SKIP},
    {"string_literal", DR_RULE_SKIP},
    {"character_literal", DR_RULE_SKIP},
    {"package_declaration", DR_RULE_SKIP},
    {"class_declaration", R_CLASS},
    {"record_declaration", R_CLASS},
    {"interface_declaration", R_INTERFACE},
    {"annotation_type_declaration", R_INTERFACE},
    {"enum_declaration", R_ENUM},
    {"method_declaration", R_METHOD},
    {"constructor_declaration", R_METHOD},
    {"compact_constructor_declaration", R_METHOD},
    {"annotation_type_element_declaration", R_METHOD},
    {"field_declaration", R_FIELD},
    {"constant_declaration", R_CONSTANT},
    {"enum_constant", R_ENUM_CONSTANT},
    {"local_variable_declaration", R_LOCALS},
    {"formal_parameter", R_NAMED_LOCAL},
    {"spread_parameter", R_LOCALS},
    {"catch_formal_parameter", R_NAMED_LOCAL},
    {"enhanced_for_statement", R_NAMED_LOCAL},
    {"resource", R_NAMED_LOCAL},
    {"instanceof_expression", R_NAMED_LOCAL},
    {"inferred_parameters", R_PARAMETER_LIST},
    {"lambda_expression", R_LAMBDA},
    {"type_parameter", R_TYPE_PARAMETER},
    {"method_invocation", R_CALL},
    {"object_creation_expression", R_NEW},
    {"field_access", R_FIELD_ACCESS},
    {"type_pattern", R_TYPE_PATTERN},
    {"import_declaration", R_IMPORT},
    {NULL, 0},
};

static bool has_modifier(const dr_walk *w, TSNode node, const char *word)
{
    const TSNode m = ts_node_named_child_count(node) ? ts_node_named_child(node, 0) : node;
    if (strcmp(ts_node_type(m), "modifiers") != 0)
        return false;
    for (uint32_t i = 0; i < ts_node_child_count(m); i++)
        if (dr_str_eq(dr_walk__text(w, ts_node_child(m, i)), dr_str_of(word)))
            return true;
    return false;
}

/* `int a, b[] = ...`: the name of every variable_declarator. */
static void each_declarator(dr_walk *w, TSNode node, dr_sym_kind kind, bool local)
{
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++) {
        const TSNode d = ts_node_named_child(node, i);
        if (strcmp(ts_node_type(d), "variable_declarator") != 0)
            continue;
        const TSNode name = dr_walk__field(w, d, DR_FIELD_NAME);
        if (local)
            dr_walk__local(w, name);
        else
            dr_walk__define(w, name, node, kind, NULL);
    }
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);

    switch (rule) {
    case R_CLASS:
    case R_INTERFACE:
    case R_ENUM:
        dr_walk__define(w, name, node,
                        rule == R_CLASS  ? DR_SYM_CLASS
                        : rule == R_ENUM ? DR_SYM_ENUM
                                         : DR_SYM_INTERFACE,
                        NULL);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_METHOD:
        dr_walk__define(w, name, node, DR_SYM_METHOD, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_FIELD:
        each_declarator(
            w, node, has_modifier(w, node, "static") && has_modifier(w, node, "final") ? DR_SYM_CONSTANT : DR_SYM_FIELD,
            false);
        return true;
    case R_CONSTANT: each_declarator(w, node, DR_SYM_CONSTANT, false); return true;
    case R_ENUM_CONSTANT: dr_walk__define(w, name, node, DR_SYM_ENUMERATOR, NULL); return true;
    case R_LOCALS: each_declarator(w, node, DR_SYM_VARIABLE, true); return true;
    case R_NAMED_LOCAL:
        if (dr_walk__rule(w, name) == DR_RULE_NAME)
            dr_walk__local(w, name);
        return true;
    case R_PARAMETER_LIST: dr_walk__locals_in(w, node); return true;
    case R_LAMBDA: {
        const TSNode p = dr_walk__field(w, node, DR_FIELD_PARAMETERS);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, (TSNode){.id = NULL});
        if (dr_walk__rule(w, p) == DR_RULE_NAME)
            dr_walk__local(w, p);
        return true;
    }
    case R_TYPE_PARAMETER:
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 4; i++)
            if (strcmp(ts_node_type(ts_node_named_child(node, i)), "type_identifier") == 0) {
                dr_walk__mark(w, ts_node_named_child(node, i), DR_MARK_DEF);
                break;
            }
        return true;
    case R_CALL: dr_walk__mark(w, name, DR_MARK_CALL | DR_MARK_MEMBER); return true;
    case R_NEW: {
        TSNode type = dr_walk__field(w, node, DR_FIELD_TYPE);
        for (int level = 0; level < 8 && !ts_node_is_null(type) && dr_walk__rule(w, type) != DR_RULE_MEMBER; level++) {
            const uint32_t n = ts_node_named_child_count(type); /* a.b.C<T>: the last name that is not an argument */
            TSNode next = {.id = NULL};
            for (uint32_t i = 0; i < n; i++)
                if (strcmp(ts_node_type(ts_node_named_child(type, i)), "type_arguments") != 0)
                    next = ts_node_named_child(type, i);
            type = next;
        }
        if (dr_walk__rule(w, type) == DR_RULE_MEMBER)
            dr_walk__mark(w, type, DR_MARK_CALL);
        /* `new T() { ... }`: what it declares are members of an unnamed type, not locals of the method around */
        for (uint32_t i = 0; i < ts_node_named_child_count(node); i++)
            if (strcmp(ts_node_type(ts_node_named_child(node, i)), "class_body") == 0)
                dr_walk__enter(w, DR_SCOPE_TYPE, (TSNode){.id = NULL});
        return true;
    }
    case R_FIELD_ACCESS: dr_walk__mark(w, dr_walk__field(w, node, DR_FIELD_FIELD), DR_MARK_MEMBER); return true;
    case R_IMPORT: {
        dr_buf name_text = {0};
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 4; i++) {
            const TSNode part = ts_node_named_child(node, i);
            const bool all = strcmp(ts_node_type(part), "asterisk") == 0;
            const dr_str text = dr_walk__text(w, part);
            if (all)
                dr_buf_add(&name_text, ".*", 2);
            else if (strstr(ts_node_type(part), "identifier"))
                dr_buf_add(&name_text, text.s, text.n);
        }
        dr_walk__import(w, dr_buf_view(&name_text), ts_node_start_point(node).row + 1, DR_IMPORT_TYPE);
        dr_buf_free(&name_text);
        return true;
    }
    case R_TYPE_PATTERN:
        if (ts_node_named_child_count(node) > 1)
            dr_walk__locals_in(w, ts_node_named_child(node, ts_node_named_child_count(node) - 1));
        return true;
    default: return true;
    }
}

const dr_grammar dr_grammar__java = {.language = tree_sitter_java, .rules = rules, .visit = visit};
