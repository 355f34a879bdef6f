/* JavaScript with JSX, TypeScript and TSX: one visitor; TypeScript adds types to the same constructs. */
#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_javascript(void);
const TSLanguage *tree_sitter_typescript(void);
const TSLanguage *tree_sitter_tsx(void);

enum {
    R_FUNCTION = DR_RULE_OWN,
    R_FUNCTION_EXPRESSION,
    R_SIGNATURE,
    R_CLASS,
    R_METHOD,
    R_METHOD_SIGNATURE,
    R_FIELD,
    R_LEXICAL,
    R_ASSIGNMENT,
    R_PAIR,
    R_INTERFACE,
    R_TYPE_ALIAS,
    R_ENUM,
    R_ENUM_ASSIGNMENT,
    R_ENUM_BODY,
    R_MODULE,
    R_PARAMETERS,
    R_TS_PARAMETER,
    R_CATCH,
    R_FOR_IN,
    R_CALL,
    R_NEW,
    R_RENAMED,
    R_TYPE_PARAMETER,
    R_IMPORT,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_MEMBER},
    {"property_identifier", DR_RULE_MEMBER},
    {"private_property_identifier", DR_RULE_MEMBER},
    {"shorthand_property_identifier", DR_RULE_NAME},
    {"shorthand_property_identifier_pattern", DR_RULE_NAME},
    {"statement_identifier", DR_RULE_SKIP},
    {"comment", DR_RULE_SKIP},
    {"string", DR_RULE_SKIP},
    {"regex", DR_RULE_SKIP},
    {"jsx_text", DR_RULE_SKIP},
    {"function_declaration", R_FUNCTION},
    {"generator_function_declaration", R_FUNCTION},
    {"function_expression", R_FUNCTION_EXPRESSION},
    {"generator_function", R_FUNCTION_EXPRESSION},
    {"arrow_function", R_FUNCTION_EXPRESSION},
    {"function_signature", R_SIGNATURE},
    {"class_declaration", R_CLASS},
    {"abstract_class_declaration", R_CLASS},
    {"class", R_CLASS},
    {"method_definition", R_METHOD},
    {"method_signature", R_METHOD_SIGNATURE},
    {"abstract_method_signature", R_METHOD_SIGNATURE},
    {"field_definition", R_FIELD},
    {"public_field_definition", R_FIELD},
    {"property_signature", R_FIELD},
    {"lexical_declaration", R_LEXICAL},
    {"variable_declaration", R_LEXICAL},
    {"assignment_expression", R_ASSIGNMENT},
    {"pair", R_PAIR},
    {"interface_declaration", R_INTERFACE},
    {"type_alias_declaration", R_TYPE_ALIAS},
    {"enum_declaration", R_ENUM},
    {"enum_body", R_ENUM_BODY},
    {"enum_assignment", R_ENUM_ASSIGNMENT},
    {"internal_module", R_MODULE},
    {"module", R_MODULE},
    {"formal_parameters", R_PARAMETERS},
    {"required_parameter", R_TS_PARAMETER},
    {"optional_parameter", R_TS_PARAMETER},
    {"catch_clause", R_CATCH},
    {"for_in_statement", R_FOR_IN},
    {"call_expression", R_CALL},
    {"new_expression", R_NEW},
    {"import_specifier", R_RENAMED},
    {"export_specifier", R_RENAMED},
    {"type_parameter", R_TYPE_PARAMETER},
    {"import_statement", R_IMPORT},
    {"export_statement", R_IMPORT},
    {"import_require_clause", R_IMPORT},
    {NULL, 0},
};

static const TSNode none;

static bool is_type(TSNode n, const char *type)
{
    return !ts_node_is_null(n) && strcmp(ts_node_type(n), type) == 0;
}

static bool is_function_value(TSNode n)
{
    return is_type(n, "arrow_function") || is_type(n, "function_expression") || is_type(n, "generator_function");
}

static bool is_name(const dr_walk *w, TSNode n)
{
    const uint8_t rule = dr_walk__rule(w, n);
    return rule == DR_RULE_NAME || rule == DR_RULE_MEMBER;
}

/* What a key defines: an identifier of some sort, or the text of a string that could be one ('list-files' too); not
 * ["computed"], not 0. */
static TSNode key_name(const dr_walk *w, TSNode key)
{
    if (is_name(w, key))
        return key;
    if (!is_type(key, "string") || ts_node_named_child_count(key) != 1)
        return none;
    const TSNode inner = ts_node_named_child(key, 0);
    const dr_str text = dr_walk__text(w, inner);
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.s[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (c & 0x80);
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '-')))
            return none;
    }
    return inner;
}

/* The body of a function or class that a name is bound to. */
static TSNode body_of(const dr_walk *w, TSNode value)
{
    return dr_walk__field(w, value, DR_FIELD_BODY);
}

static TSNode without_parentheses(TSNode n)
{
    for (int i = 0; i < 8 && is_type(n, "parenthesized_expression") && ts_node_named_child_count(n); i++)
        n = ts_node_named_child(n, 0);
    return n;
}

/* (function () { ... })(): what it gives is made once and kept under the name, as a module is. */
static bool is_called_at_once(const dr_walk *w, TSNode value)
{
    value = without_parentheses(value);
    return is_type(value, "call_expression") &&
           is_function_value(without_parentheses(dr_walk__field(w, value, DR_FIELD_FUNCTION)));
}

/* What `a = b = c` assigns in the end. */
static TSNode final_value(const dr_walk *w, TSNode value)
{
    for (int i = 0; i < 16 && is_type(value, "assignment_expression"); i++)
        value = dr_walk__field(w, value, DR_FIELD_RIGHT);
    return value;
}

/* An object whose members can be called: worth a name of its own, unlike an argument list by name. */
static bool has_methods(const dr_walk *w, TSNode value)
{
    if (!is_type(value, "object"))
        return false;
    for (uint32_t i = 0; i < ts_node_named_child_count(value) && i < 64; i++) {
        const TSNode member = ts_node_named_child(value, i);
        if (is_type(member, "method_definition") || is_function_value(dr_walk__field(w, member, DR_FIELD_VALUE)))
            return true;
    }
    return false;
}

static void declare_pattern(dr_walk *w, TSNode pattern, TSNode whole, dr_sym_kind kind, int depth)
{
    if (ts_node_is_null(pattern) || depth > 8)
        return;
    if (dr_walk__rule(w, pattern) == DR_RULE_NAME) {
        dr_walk__define(w, pattern, whole, kind, NULL);
        return;
    }
    if (is_type(pattern, "pair_pattern"))
        declare_pattern(w, dr_walk__field(w, pattern, DR_FIELD_VALUE), whole, kind, depth + 1);
    else if (is_type(pattern, "assignment_pattern") || is_type(pattern, "object_assignment_pattern"))
        declare_pattern(w, dr_walk__field(w, pattern, DR_FIELD_LEFT), whole, kind, depth + 1);
    else if (is_type(pattern, "object_pattern") || is_type(pattern, "array_pattern") ||
             is_type(pattern, "rest_pattern"))
        for (uint32_t i = 0; i < ts_node_named_child_count(pattern) && i < 64; i++)
            declare_pattern(w, ts_node_named_child(pattern, i), whole, kind, depth + 1);
}

/* const, let and var. A function or class that a name is bound to is defined under that name wherever it stands; other
 * variables of a function are its own. */
static void visit_lexical(dr_walk *w, TSNode node)
{
    const TSNode first = ts_node_child_count(node) ? ts_node_child(node, 0) : none;
    const dr_sym_kind plain = is_type(first, "const") ? DR_SYM_CONSTANT : DR_SYM_VARIABLE;

    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++) {
        const TSNode d = ts_node_named_child(node, i);
        if (!is_type(d, "variable_declarator"))
            continue;
        const TSNode name = dr_walk__field(w, d, DR_FIELD_NAME), value = dr_walk__field(w, d, DR_FIELD_VALUE);
        const TSNode whole = ts_node_named_child_count(node) == 1 ? node : d;
        if (is_name(w, name) && (is_function_value(value) || is_type(value, "class"))) {
            dr_walk__define(w, name, whole, is_type(value, "class") ? DR_SYM_CLASS : DR_SYM_FUNCTION, NULL);
            dr_walk__body(w, body_of(w, value));
        } else if (dr_walk__in_function(w)) {
            /* Known to the index too, as variables, when they look like more than a counter: universal-ctags lists just
             * these. */
            if (plain == DR_SYM_CONSTANT || is_type(without_parentheses(value), "object") ||
                is_called_at_once(w, value))
                declare_pattern(w, name, whole, DR_SYM_VARIABLE, 0);
            dr_walk__locals_in(w, name);
        } else {
            declare_pattern(w, name, whole, plain, 0);
        }
    }
}

/* exports.f = function, T.prototype.f = ..., obj.f = () => ..., obj.part = { ...methods... }, f = function define f. */
static void visit_assignment(dr_walk *w, TSNode node)
{
    const TSNode left = dr_walk__field(w, node, DR_FIELD_LEFT),
                 right = final_value(w, dr_walk__field(w, node, DR_FIELD_RIGHT));
    const bool is_class = is_type(right, "class"), callable = is_function_value(right) || is_class;

    if (callable && is_type(left, "identifier")) {
        dr_walk__define(w, left, node, is_class ? DR_SYM_CLASS : DR_SYM_FUNCTION, NULL);
        dr_walk__body(w, body_of(w, right));
        return;
    }
    if (!is_type(left, "member_expression"))
        return;
    const TSNode name = dr_walk__field(w, left, DR_FIELD_PROPERTY);
    TSNode object = dr_walk__field(w, left, DR_FIELD_OBJECT);
    const dr_str text = dr_walk__text(w, object);
    const bool exported = dr_str_eq(text, DR_STR("exports")) || dr_str_eq(text, DR_STR("module.exports"));
    bool prototype = false;

    if (!is_name(w, name) || dr_str_eq(dr_walk__text(w, left), DR_STR("module.exports")))
        return;
    if (is_type(object, "member_expression")) {
        const TSNode inner = dr_walk__field(w, object, DR_FIELD_OBJECT),
                     last = dr_walk__field(w, object, DR_FIELD_PROPERTY);
        prototype = dr_str_eq(dr_walk__text(w, last), DR_STR("prototype"));
        object = prototype ? inner : last;
    }
    /* A prototype is given its members under names that exist elsewhere: T.prototype.size = sizeOf. */
    const bool method = callable || (prototype && (is_type(right, "identifier") || is_type(right, "member_expression")));
    /* An object that gets a name on another one, and what a module gives out under a new name. */
    const bool part = (is_type(right, "object") && !dr_walk__in_function(w)) || has_methods(w, right) ||
                      (exported && !is_type(right, "identifier") && !is_type(right, "member_expression"));
    if (!method && !prototype && !part)
        return;
    const bool named = is_name(w, object) && !exported;
    dr_walk__define(w, name, node,
                    is_class                             ? DR_SYM_CLASS
                    : exported && callable               ? DR_SYM_FUNCTION
                    : method                             ? DR_SYM_METHOD
                    : exported                           ? DR_SYM_VARIABLE
                                                         : DR_SYM_FIELD,
                    named ? &object : NULL);
    dr_walk__body(w, body_of(w, right));
}

static void visit_pair(dr_walk *w, TSNode node)
{
    const TSNode key = dr_walk__field(w, node, DR_FIELD_KEY), value = dr_walk__field(w, node, DR_FIELD_VALUE),
                 name = key_name(w, key);
    if (is_function_value(value) || is_type(value, "class")) {
        dr_walk__define(w, name, node, is_type(value, "class") ? DR_SYM_CLASS : DR_SYM_METHOD, NULL);
        dr_walk__body(w, body_of(w, value));
    } else if (has_methods(w, value)) {
        dr_walk__define(w, name, node, DR_SYM_FIELD, NULL);
    } else if (is_name(w, key) && dr_walk__in_function(w)) {
        dr_walk__mark(w, key, DR_MARK_DEF); /* an argument by name, more often than not */
    } else if (is_name(w, key)) {
        dr_walk__define(w, key, node, DR_SYM_FIELD, NULL);
    }
}

/* require("x"), import("x") */
static void visit_call(dr_walk *w, TSNode f, TSNode arguments)
{
    if ((is_type(f, "import") || dr_str_eq(dr_walk__text(w, f), DR_STR("require"))) && !ts_node_is_null(arguments) &&
        ts_node_named_child_count(arguments))
        dr_walk__import(w, dr_walk__string(w, ts_node_named_child(arguments, 0)), ts_node_start_point(f).row + 1,
                        DR_IMPORT_PATH);
}

static void mark_callee(dr_walk *w, TSNode f)
{
    for (int level = 0; level < 4 && (is_type(f, "parenthesized_expression") || is_type(f, "non_null_expression"));
         level++)
        f = ts_node_named_child_count(f) ? ts_node_named_child(f, 0) : none;
    if (is_type(f, "member_expression"))
        f = dr_walk__field(w, f, DR_FIELD_PROPERTY);
    if (is_name(w, f))
        dr_walk__mark(w, f, DR_MARK_CALL);
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    const TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);

    switch (rule) {
    case R_FUNCTION:
        dr_walk__define(w, name, node, DR_SYM_FUNCTION, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_FUNCTION_EXPRESSION: {
        const TSNode one = dr_walk__field(w, node, DR_FIELD_PARAMETER);
        dr_walk__define(w, name, node, DR_SYM_FUNCTION, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        if (dr_walk__rule(w, one) == DR_RULE_NAME)
            dr_walk__local(w, one);
        return true;
    }
    case R_SIGNATURE:
        dr_walk__define(w, name, node, DR_SYM_PROTOTYPE, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, none);
        return true;
    case R_CLASS:
        if (is_name(w, name))
            dr_walk__define(w, name, node, DR_SYM_CLASS, NULL);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_METHOD:
        dr_walk__define(w, key_name(w, name), node, DR_SYM_METHOD, NULL);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_METHOD_SIGNATURE:
        if (is_name(w, name))
            dr_walk__define(w, name, node, DR_SYM_METHOD, NULL);
        return true;
    case R_FIELD: {
        const TSNode property = dr_walk__field(w, node, DR_FIELD_PROPERTY),
                     field = ts_node_is_null(name) ? property : name;
        if (is_name(w, field))
            dr_walk__define(w, field, node,
                            is_function_value(dr_walk__field(w, node, DR_FIELD_VALUE)) ? DR_SYM_METHOD : DR_SYM_FIELD,
                            NULL);
        dr_walk__body(w, body_of(w, dr_walk__field(w, node, DR_FIELD_VALUE)));
        return true;
    }
    case R_LEXICAL: visit_lexical(w, node); return true;
    case R_ASSIGNMENT: visit_assignment(w, node); return true;
    case R_PAIR: visit_pair(w, node); return true;
    case R_INTERFACE:
    case R_ENUM:
        dr_walk__define(w, name, node, rule == R_ENUM ? DR_SYM_ENUM : DR_SYM_INTERFACE, NULL);
        dr_walk__enter(w, DR_SCOPE_TYPE, name);
        return true;
    case R_TYPE_ALIAS:
        if (dr_walk__in_function(w))
            dr_walk__mark(w, name, DR_MARK_DEF);
        else
            dr_walk__define(w, name, node, DR_SYM_TYPE, NULL);
        return true;
    case R_ENUM_BODY:
        for (uint32_t i = 0; i < ts_node_named_child_count(node); i++) {
            const TSNode member = ts_node_named_child(node, i);
            if (is_type(member, "property_identifier"))
                dr_walk__define(w, member, member, DR_SYM_ENUMERATOR, NULL);
        }
        return true;
    case R_ENUM_ASSIGNMENT:
        if (is_name(w, name))
            dr_walk__define(w, name, node, DR_SYM_ENUMERATOR, NULL);
        return true;
    case R_MODULE:
        if (is_name(w, name))
            dr_walk__define(w, name, node, DR_SYM_MODULE, NULL);
        dr_walk__enter(w, DR_SCOPE_MODULE, name);
        return true;
    case R_PARAMETERS: /* JavaScript's; TypeScript wraps each in a node of its own */
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++) {
            const TSNode p = ts_node_named_child(node, i);
            if (is_type(p, "assignment_pattern"))
                dr_walk__locals_in(w, dr_walk__field(w, p, DR_FIELD_LEFT));
            else if (!is_type(p, "required_parameter") && !is_type(p, "optional_parameter"))
                dr_walk__locals_in(w, p);
        }
        return true;
    case R_TS_PARAMETER: dr_walk__locals_in(w, dr_walk__field(w, node, DR_FIELD_PATTERN)); return true;
    case R_CATCH: dr_walk__locals_in(w, dr_walk__field(w, node, DR_FIELD_PARAMETER)); return true;
    case R_FOR_IN:
        if (dr_walk__in_function(w))
            dr_walk__locals_in(w, dr_walk__field(w, node, DR_FIELD_LEFT));
        return true;
    case R_CALL:
        mark_callee(w, dr_walk__field(w, node, DR_FIELD_FUNCTION));
        visit_call(w, dr_walk__field(w, node, DR_FIELD_FUNCTION), dr_walk__field(w, node, DR_FIELD_ARGUMENTS));
        return true;
    case R_IMPORT:
        dr_walk__import(w, dr_walk__string(w, dr_walk__field(w, node, DR_FIELD_SOURCE)),
                        ts_node_start_point(node).row + 1, DR_IMPORT_PATH);
        return true;
    case R_NEW: mark_callee(w, dr_walk__field(w, node, DR_FIELD_CONSTRUCTOR)); return true;
    case R_RENAMED: dr_walk__mark(w, dr_walk__field(w, node, DR_FIELD_ALIAS), DR_MARK_DEF); return true;
    case R_TYPE_PARAMETER: dr_walk__mark(w, name, DR_MARK_DEF); return true;
    default: return true;
    }
}

const dr_grammar dr_grammar__javascript = {.language = tree_sitter_javascript, .rules = rules, .visit = visit};
const dr_grammar dr_grammar__typescript = {.language = tree_sitter_typescript, .rules = rules, .visit = visit};
const dr_grammar dr_grammar__tsx = {.language = tree_sitter_tsx, .rules = rules, .visit = visit};
