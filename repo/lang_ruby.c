#include "repo/extract.h"

#include <string.h>

const TSLanguage *tree_sitter_ruby(void);

enum {
    R_METHOD = DR_RULE_OWN,
    R_CLASS,
    R_MODULE,
    R_SINGLETON,
    R_BLOCK,
    R_PARAMETERS,
    R_ASSIGNMENT,
    R_TARGETS,
    R_ALIAS,
    R_CALL,
    R_SCOPED,
};

static const dr_node_rule rules[] = {
    {"identifier", DR_RULE_NAME},
    {"constant", DR_RULE_NAME},
    {"comment", DR_RULE_SKIP},
    {"uninterpreted", DR_RULE_SKIP},
    {"method", R_METHOD},
    {"singleton_method", R_METHOD},
    {"class", R_CLASS},
    {"module", R_MODULE},
    {"singleton_class", R_SINGLETON},
    {"block", R_BLOCK},
    {"do_block", R_BLOCK},
    {"lambda", R_BLOCK},
    {"method_parameters", R_PARAMETERS},
    {"block_parameters", R_PARAMETERS},
    {"lambda_parameters", R_PARAMETERS},
    {"destructured_parameter", R_PARAMETERS},
    {"assignment", R_ASSIGNMENT},
    {"operator_assignment", R_ASSIGNMENT},
    {"left_assignment_list", R_TARGETS},
    {"exception_variable", R_TARGETS},
    {"alias", R_ALIAS},
    {"call", R_CALL},
    {"scope_resolution", R_SCOPED},
    {NULL, 0},
};

static const TSNode none;

static bool is_type(TSNode n, const char *type)
{
    return !ts_node_is_null(n) && strcmp(ts_node_type(n), type) == 0;
}

static bool is_one_of(dr_str s, const char *const *words)
{
    for (; *words; words++)
        if (dr_str_eq(s, dr_str_of(*words)))
            return true;
    return false;
}

/* Inside a class or module, blocks (`class_methods do`, `describe do`) aside. */
static bool in_type(const dr_walk *w)
{
    for (size_t i = w->n_scopes; i-- > 0;)
        if (w->scopes[i].kind != DR_SCOPE_FUNCTION)
            return true;
    return false;
}

/* A::B: B, whose container is A. */
static void define_constant(dr_walk *w, TSNode name, TSNode whole, dr_sym_kind kind)
{
    TSNode scope = none;
    if (is_type(name, "scope_resolution")) {
        scope = dr_walk__field(w, name, DR_FIELD_SCOPE);
        if (is_type(scope, "scope_resolution"))
            scope = dr_walk__field(w, scope, DR_FIELD_NAME);
        name = dr_walk__field(w, name, DR_FIELD_NAME);
    }
    if (is_type(name, "constant"))
        dr_walk__define(w, name, whole, kind, ts_node_is_null(scope) ? NULL : &scope);
}

static TSNode last_constant(const dr_walk *w, TSNode name)
{
    return is_type(name, "scope_resolution") ? dr_walk__field(w, name, DR_FIELD_NAME) : name;
}

static void visit_parameters(dr_walk *w, TSNode node)
{
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++) {
        const TSNode child = ts_node_named_child(node, i);
        dr_walk__local(w, is_type(child, "identifier") ? child : dr_walk__field(w, child, DR_FIELD_NAME));
    }
}

static void visit_targets(dr_walk *w, TSNode node)
{
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++) {
        const TSNode child = ts_node_named_child(node, i);
        if (is_type(child, "identifier"))
            dr_walk__local(w, child);
        else if (is_type(child, "rest_assignment") || is_type(child, "destructured_left_assignment"))
            dr_walk__locals_in(w, child);
    }
}

/* :name or "name" as an argument: what is between. */
static dr_str literal(const dr_walk *w, TSNode n)
{
    dr_str s = {"", 0};
    if (is_type(n, "simple_symbol")) {
        s = dr_walk__text(w, n);
        if (s.n)
            s.s++, s.n--;
    } else if (is_type(n, "string") && ts_node_named_child_count(n) == 1 &&
               is_type(ts_node_named_child(n, 0), "string_content")) {
        s = dr_walk__text(w, ts_node_named_child(n, 0));
    }
    return s;
}

/* Calls that define: attr_reader :a, :b; alias_method :new, :old; define_method(:name). And those that import. */
static void visit_command(dr_walk *w, TSNode node, dr_str method)
{
    static const char *const fields[] = {"attr_accessor",  "attr_reader",     "attr_writer", "cattr_accessor",
                                         "mattr_accessor", "class_attribute", "attr",        NULL};
    static const char *const methods[] = {"define_method", "alias_method", "define_singleton_method", NULL};
    static const char *const loads[] = {"require", "load", NULL};
    const TSNode arguments = ts_node_child_by_field_name(node, "arguments", 9);
    const bool field = is_one_of(method, fields), defines = is_one_of(method, methods);
    const bool relative = dr_str_eq(method, DR_STR("require_relative"));
    const uint32_t n = ts_node_is_null(arguments) ? 0 : ts_node_named_child_count(arguments);

    if (!field && !defines && !relative && !is_one_of(method, loads))
        return;
    for (uint32_t i = 0; i < n && i < 64; i++) {
        const TSNode argument = ts_node_named_child(arguments, i);
        const dr_str text = literal(w, argument);
        const uint32_t line = ts_node_start_point(argument).row + 1;
        if (text.n == 0) {
            if (!field)
                break;
            continue;
        }
        const uint32_t first = ts_node_start_point(node).row + 1;
        const uint32_t last = field ? line : ts_node_end_point(node).row + 1;
        if (field || defines)
            dr_walk__define_at(w, (uint32_t)(text.s - w->text.s), (uint32_t)text.n, line, field ? line : first, last,
                               field ? DR_SYM_FIELD : DR_SYM_METHOD);
        else
            dr_walk__import(w, text, line, relative ? DR_IMPORT_PATH : DR_IMPORT_LOAD);
        if (!field)
            break;
    }
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    const TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);

    switch (rule) {
    case R_METHOD:
        dr_walk__define(w, name, node,
                        in_type(w) || is_type(node, "singleton_method") ? DR_SYM_METHOD : DR_SYM_FUNCTION, NULL);
        dr_walk__mark(w, name, DR_MARK_DEF);
        dr_walk__enter(w, DR_SCOPE_FUNCTION, name);
        return true;
    case R_CLASS:
    case R_MODULE:
        define_constant(w, name, node, rule == R_CLASS ? DR_SYM_CLASS : DR_SYM_MODULE);
        /* A module holds methods like a class: both count as types here. */
        dr_walk__enter(w, DR_SCOPE_TYPE, last_constant(w, name));
        return true;
    case R_SINGLETON: dr_walk__enter(w, DR_SCOPE_TYPE, none); return true;
    case R_BLOCK: dr_walk__enter(w, DR_SCOPE_FUNCTION, none); return true;
    case R_PARAMETERS: visit_parameters(w, node); return true;
    case R_ASSIGNMENT: {
        const TSNode left = dr_walk__field(w, node, DR_FIELD_LEFT);
        if (is_type(left, "identifier"))
            dr_walk__local(w, left);
        else if (is_type(node, "assignment"))
            define_constant(w, left, node, DR_SYM_CONSTANT);
        return true;
    }
    case R_TARGETS: visit_targets(w, node); return true;
    case R_ALIAS: dr_walk__define(w, name, node, in_type(w) ? DR_SYM_METHOD : DR_SYM_FUNCTION, NULL); return true;
    case R_CALL: {
        const TSNode method = dr_walk__field(w, node, DR_FIELD_METHOD);
        const bool alone = ts_node_is_null(dr_walk__field(w, node, DR_FIELD_RECEIVER));
        dr_walk__mark(w, method, alone ? DR_MARK_CALL : DR_MARK_CALL | DR_MARK_MEMBER);
        if (alone)
            visit_command(w, node, dr_walk__text(w, method));
        return true;
    }
    case R_SCOPED: dr_walk__mark(w, name, DR_MARK_MEMBER); return true;
    default: return true;
    }
}

const dr_grammar dr_grammar__ruby = {.language = tree_sitter_ruby, .rules = rules, .visit = visit};
