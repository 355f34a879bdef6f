#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_rust(void);

enum {
    R_FUNCTION = DR_RULE_OWN,
    R_SIGNATURE,
    R_STRUCT,
    R_UNION,
    R_ENUM,
    R_VARIANT,
    R_TRAIT,
    R_IMPL,
    R_MOD,
    R_CONST,
    R_STATIC,
    R_TYPE,
    R_MACRO,
    R_FIELD,
    R_LET,
    R_PARAMETER,
    R_CLOSURE,
    R_CLOSURE_PARAMETERS,
    R_MATCH_PATTERN,
    R_TYPE_PARAMETER,
    R_CALL,
    R_INVOCATION,
    R_TOKENS,
    R_USE_AS,
    R_USE,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_MEMBER},
    {"field_identifier", DR_RULE_MEMBER},
    {"shorthand_field_identifier", DR_RULE_NAME},
    {"line_comment", DR_RULE_SKIP},
    {"block_comment", DR_RULE_SKIP},
    {"string_literal", DR_RULE_SKIP},
    {"raw_string_literal", DR_RULE_SKIP},
    {"char_literal", DR_RULE_SKIP},
    {"lifetime", DR_RULE_SKIP},
    {"label", DR_RULE_SKIP},
    {"function_item", R_FUNCTION},
    {"function_signature_item", R_SIGNATURE},
    {"struct_item", R_STRUCT},
    {"union_item", R_UNION},
    {"enum_item", R_ENUM},
    {"enum_variant", R_VARIANT},
    {"trait_item", R_TRAIT},
    {"impl_item", R_IMPL},
    {"mod_item", R_MOD},
    {"const_item", R_CONST},
    {"static_item", R_STATIC},
    {"type_item", R_TYPE},
    {"associated_type", R_TYPE},
    {"macro_definition", R_MACRO},
    {"field_declaration", R_FIELD},
    {"let_declaration", R_LET},
    {"let_condition", R_LET},
    {"for_expression", R_LET},
    {"parameter", R_PARAMETER},
    {"closure_expression", R_CLOSURE},
    {"closure_parameters", R_CLOSURE_PARAMETERS},
    {"match_pattern", R_MATCH_PATTERN},
    {"type_parameter", R_TYPE_PARAMETER},
    {"call_expression", R_CALL},
    {"macro_invocation", R_INVOCATION},
    {"token_tree", R_TOKENS},
    {"use_as_clause", R_USE_AS},
    {"use_declaration", R_USE},
    {NULL, 0},
};

static const TSNode none;

static bool is_type(TSNode n, const char *type)
{
    return !ts_node_is_null(n) && strcmp(ts_node_type(n), type) == 0;
}

static bool is_name(const dr_walk *w, TSNode n)
{
    const uint8_t rule = dr_walk__rule(w, n);
    return rule == DR_RULE_NAME || rule == DR_RULE_MEMBER;
}

/* The last name of a path or of a generic type: a::b::C<T> names C. */
static TSNode last_name(const dr_walk *w, TSNode n)
{
    for (int level = 0; level < 16 && !ts_node_is_null(n) && !is_name(w, n); level++) {
        TSNode next = dr_walk__field(w, n, DR_FIELD_NAME);
        if (ts_node_is_null(next))
            next = dr_walk__field(w, n, DR_FIELD_TYPE);
        if (ts_node_is_null(next))
            next = dr_walk__field(w, n, DR_FIELD_FIELD);
        if (ts_node_is_null(next))
            next = dr_walk__field(w, n, DR_FIELD_FUNCTION);
        n = next;
    }
    return n;
}

/* Bindings of a pattern. A name in capitals, a path, or the head of Some(x) refers to something that exists. */
static void bind(dr_walk *w, TSNode p, int depth)
{
    if (ts_node_is_null(p) || depth > 12)
        return;
    const dr_str text = dr_walk__text(w, p);
    if (is_type(p, "identifier") || is_type(p, "shorthand_field_identifier")) {
        if (text.n && (text.s[0] < 'A' || text.s[0] > 'Z'))
            dr_walk__local(w, p);
        return;
    }
    if (is_type(p, "scoped_identifier") || is_type(p, "scoped_type_identifier"))
        return;
    const TSNode type = dr_walk__field(w, p, DR_FIELD_TYPE), name = dr_walk__field(w, p, DR_FIELD_NAME);
    const bool field = is_type(p, "field_pattern") && !is_type(name, "shorthand_field_identifier");
    for (uint32_t i = 0; i < ts_node_named_child_count(p) && i < 32; i++) {
        const TSNode child = ts_node_named_child(p, i);
        if ((!ts_node_is_null(type) && ts_node_eq(child, type)) || (field && ts_node_eq(child, name)))
            continue;
        bind(w, child, depth + 1);
    }
}

/* Every path that `use a::{b, c::{d as e, *}}` names, as a whole: a::b, a::c::d, a::c. */
static void import_paths(dr_walk *w, dr_buf *path, TSNode n, int depth)
{
    const size_t before = path->n;
    if (ts_node_is_null(n) || depth > 8)
        return;
    if (is_type(n, "use_list")) {
        for (uint32_t i = 0; i < ts_node_named_child_count(n) && i < 64; i++)
            import_paths(w, path, ts_node_named_child(n, i), depth + 1);
        return;
    }
    const TSNode list = dr_walk__field(w, n, DR_FIELD_LIST), inner = dr_walk__field(w, n, DR_FIELD_PATH);
    const TSNode own = !ts_node_is_null(list) || is_type(n, "use_as_clause")              ? inner
                       : is_type(n, "use_wildcard") && ts_node_named_child_count(n)       ? ts_node_named_child(n, 0)
                       : is_type(n, "use_wildcard") || is_type(n, "line_comment") || is_type(n, "block_comment") ? none
                                                                                          : n;
    const dr_str text = dr_walk__text(w, own);
    if (text.n && path->n)
        dr_buf_add(path, "::", 2);
    dr_buf_add(path, text.s, text.n);
    if (!ts_node_is_null(list))
        import_paths(w, path, list, depth + 1);
    else if (text.n || is_type(n, "use_wildcard"))
        dr_walk__import(w, dr_buf_view(path), ts_node_start_point(n).row + 1, DR_IMPORT_RUST);
    if (!path->failed && path->data) {
        path->n = before;
        path->data[before] = 0;
    }
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    const TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);
    const dr_scope *scope = dr_walk__scope(w);
    const bool in_type = scope && scope->kind == DR_SCOPE_TYPE;

    switch (rule) {
    case R_FUNCTION:
        dr_walk__define(w, name, node, in_type ? DR_SYM_METHOD : DR_SYM_FUNCTION, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_SIGNATURE: /* of a trait, or of an extern block */
        dr_walk__define(w, name, node, in_type ? DR_SYM_METHOD : DR_SYM_PROTOTYPE, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, none);
        return true;
    case R_STRUCT:
    case R_UNION:
    case R_ENUM:
    case R_TRAIT:
        dr_walk__define(w, name, node,
                        rule == R_STRUCT  ? DR_SYM_STRUCT
                        : rule == R_UNION ? DR_SYM_UNION
                        : rule == R_ENUM  ? DR_SYM_ENUM
                                          : DR_SYM_TRAIT,
                        NULL);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_IMPL: dr_walk__enter(w, DR_SCOPE_TYPE, last_name(w, dr_walk__field(w, node, DR_FIELD_TYPE))); return true;
    case R_MOD:
        dr_walk__define(w, name, node, DR_SYM_MODULE, NULL);
        if (ts_node_is_null(dr_walk__field(w, node, DR_FIELD_BODY)))
            dr_walk__import(w, dr_walk__text(w, name), ts_node_start_point(name).row + 1, DR_IMPORT_RUST_MOD);
        dr_walk__enter(w, DR_SCOPE_MODULE, name);
        return true;
    case R_VARIANT: dr_walk__define(w, name, node, DR_SYM_ENUMERATOR, NULL); return true;
    case R_CONST: dr_walk__define(w, name, node, DR_SYM_CONSTANT, NULL); return true;
    case R_STATIC: dr_walk__define(w, name, node, DR_SYM_VARIABLE, NULL); return true;
    case R_TYPE: dr_walk__define(w, name, node, DR_SYM_TYPE, NULL); return true;
    case R_MACRO: dr_walk__define(w, name, node, DR_SYM_MACRO, NULL); return true;
    case R_FIELD: dr_walk__define(w, name, node, DR_SYM_FIELD, NULL); return true;
    case R_LET:
    case R_PARAMETER: bind(w, dr_walk__field(w, node, DR_FIELD_PATTERN), 0); return true;
    case R_CLOSURE: dr_walk__enter(w, DR_SCOPE_FUNCTION, none); return true;
    case R_CLOSURE_PARAMETERS:
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 32; i++)
            if (!is_type(ts_node_named_child(node, i), "parameter"))
                bind(w, ts_node_named_child(node, i), 0);
        return true;
    case R_MATCH_PATTERN:
        if (ts_node_named_child_count(node))
            bind(w, ts_node_named_child(node, 0), 0);
        return true;
    case R_TYPE_PARAMETER: dr_walk__mark(w, name, DR_MARK_DEF); return true;
    case R_CALL: dr_walk__mark(w, last_name(w, dr_walk__field(w, node, DR_FIELD_FUNCTION)), DR_MARK_CALL); return true;
    case R_INVOCATION:
        dr_walk__mark(w, last_name(w, dr_walk__field(w, node, DR_FIELD_MACRO)), DR_MARK_CALL);
        return true;
    case R_TOKENS: { /* arguments of a macro: no tree, but a name right before a parenthesis is called */
        const uint32_t n = ts_node_named_child_count(node);
        TSTreeCursor c = ts_tree_cursor_new(node);
        bool more = n > 0 && ts_tree_cursor_goto_first_child(&c);
        for (; more; more = ts_tree_cursor_goto_next_sibling(&c)) {
            const TSNode child = ts_tree_cursor_current_node(&c);
            const uint32_t end = ts_node_end_byte(child);
            if (is_name(w, child) && end < w->text.n && w->text.s[end] == '(')
                dr_walk__mark(w, child, DR_MARK_CALL);
        }
        ts_tree_cursor_delete(&c);
        return true;
    }
    case R_USE: {
        dr_buf path = {0};
        import_paths(w, &path, dr_walk__field(w, node, DR_FIELD_ARGUMENT), 0);
        dr_buf_free(&path);
        return true;
    }
    case R_USE_AS: dr_walk__mark(w, dr_walk__field(w, node, DR_FIELD_ALIAS), DR_MARK_DEF); return true;
    default: return true;
    }
}

const dr_grammar dr_grammar__rust = {.language = tree_sitter_rust, .rules = rules, .visit = visit};
