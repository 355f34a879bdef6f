/* The languages whose definitions come from a query (tags.c): what is left for the walk is which names are uses, and
 * which of those are calls or locals. One visitor for all, and a table of rules each. */
#include "repo/extract.h"
#include "repo/tags.h"

#include <string.h>

#define LANGUAGE(NAME) const TSLanguage *tree_sitter_##NAME(void);
LANGUAGE(bash)
LANGUAGE(css)
LANGUAGE(elixir)
LANGUAGE(html)
LANGUAGE(json)
LANGUAGE(kotlin)
LANGUAGE(lua)
LANGUAGE(make)
LANGUAGE(markdown)
LANGUAGE(scala)
LANGUAGE(swift)
LANGUAGE(toml)
LANGUAGE(yaml)
LANGUAGE(zig)
#undef LANGUAGE

enum {
    R_SCOPE = DR_RULE_OWN, /* a function: its locals end with it */
    R_LOCAL,               /* declares one local: field name or pattern, else the first name among the children */
    R_LOCALS,              /* every name among the children is a local */
    R_CALL,                /* field function, name or target, else the first child: its last name is called */
    R_DOT,                 /* its last name is a member */
    R_COMMAND,             /* the whole text is called */
    R_ARGUMENTS,           /* nothing: only looked through when a call's name is searched */
};

static const dr_node_rule kotlin_rules[] = {
    {"identifier", DR_RULE_NAME},
    {"line_comment", DR_RULE_SKIP},
    {"block_comment", DR_RULE_SKIP},
    {"package_header", DR_RULE_SKIP},
    {"label", DR_RULE_SKIP},
    {"function_declaration", R_SCOPE},
    {"anonymous_function", R_SCOPE},
    {"lambda_literal", R_SCOPE},
    {"secondary_constructor", R_SCOPE},
    {"getter", R_SCOPE},
    {"setter", R_SCOPE},
    {"parameter", R_LOCAL},
    {"class_parameter", R_LOCAL},
    {"variable_declaration", R_LOCAL},
    {"catch_block", R_LOCAL},
    {"type_parameter", R_LOCAL},
    {"call_expression", R_CALL},
    {"constructor_invocation", R_CALL},
    {"navigation_expression", R_DOT},
    {"value_arguments", R_ARGUMENTS},
    {"type_arguments", R_ARGUMENTS},
    {NULL, 0},
};

static const dr_node_rule swift_rules[] = {
    {"simple_identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_MEMBER},
    {"comment", DR_RULE_SKIP},
    {"multiline_comment", DR_RULE_SKIP},
    {"import_declaration", DR_RULE_SKIP},
    {"value_argument_label", DR_RULE_SKIP},
    {"function_declaration", R_SCOPE},
    {"protocol_function_declaration", R_SCOPE},
    {"init_declaration", R_SCOPE},
    {"deinit_declaration", R_SCOPE},
    {"subscript_declaration", R_SCOPE},
    {"lambda_literal", R_SCOPE},
    {"computed_property", R_SCOPE},
    {"parameter", R_LOCALS},
    {"lambda_parameter", R_LOCALS},
    {"pattern", R_LOCALS},
    {"type_parameter", R_LOCAL},
    {"call_expression", R_CALL},
    {"constructor_expression", R_CALL},
    {"macro_invocation", R_CALL},
    {"navigation_expression", R_DOT},
    {"call_suffix", R_ARGUMENTS},
    {"constructor_suffix", R_ARGUMENTS},
    {"type_arguments", R_ARGUMENTS},
    {NULL, 0},
};

static const dr_node_rule scala_rules[] = {
    {"identifier", DR_RULE_NAME},
    {"type_identifier", DR_RULE_MEMBER},
    {"comment", DR_RULE_SKIP},
    {"block_comment", DR_RULE_SKIP},
    {"package_identifier", DR_RULE_SKIP},
    {"function_definition", R_SCOPE},
    {"function_declaration", R_SCOPE},
    {"lambda_expression", R_SCOPE},
    {"case_clause", R_SCOPE},
    {"for_expression", R_SCOPE},
    {"parameter", R_LOCAL},
    {"class_parameter", R_LOCAL},
    {"binding", R_LOCAL},
    {"val_definition", R_LOCAL},
    {"var_definition", R_LOCAL},
    {"typed_pattern", R_LOCAL},
    {"capture_pattern", R_LOCAL},
    {"enumerator", R_LOCAL},
    {"type_parameters", R_LOCALS},
    {"call_expression", R_CALL},
    {"instance_expression", R_CALL},
    {"field_expression", R_DOT},
    {"arguments", R_ARGUMENTS},
    {"type_arguments", R_ARGUMENTS},
    {NULL, 0},
};

static const dr_node_rule lua_rules[] = {
    {"identifier", DR_RULE_NAME},      {"comment", DR_RULE_SKIP},
    {"goto_statement", DR_RULE_SKIP},  {"label_statement", DR_RULE_SKIP},
    {"attribute", DR_RULE_SKIP},       {"function_declaration", R_SCOPE},
    {"function_definition", R_SCOPE},  {"parameters", R_LOCALS},
    {"variable_declaration", R_LOCAL}, {"for_numeric_clause", R_LOCAL},
    {"for_generic_clause", R_LOCAL},   {"function_call", R_CALL},
    {"dot_index_expression", R_DOT},   {"method_index_expression", R_DOT},
    {"arguments", R_ARGUMENTS},        {NULL, 0},
};

static const dr_node_rule bash_rules[] = {
    {"variable_name", DR_RULE_NAME},
    {"comment", DR_RULE_SKIP},
    {"raw_string", DR_RULE_SKIP},
    {"regex", DR_RULE_SKIP},
    {"heredoc_start", DR_RULE_SKIP},
    {"command_name", R_COMMAND},
    {NULL, 0},
};

static const dr_node_rule elixir_rules[] = {
    {"identifier", DR_RULE_NAME},
    {"alias", DR_RULE_MEMBER},
    {"comment", DR_RULE_SKIP},
    {"stab_clause", R_SCOPE},
    {"call", R_CALL},
    {"dot", R_DOT},
    {"arguments", R_ARGUMENTS},
    {NULL, 0},
};

static const dr_node_rule zig_rules[] = {
    {"identifier", DR_RULE_NAME},
    {"comment", DR_RULE_SKIP},
    {"block_label", DR_RULE_SKIP},
    {"break_label", DR_RULE_SKIP},
    {"function_declaration", R_SCOPE},
    {"test_declaration", R_SCOPE},
    {"parameter", R_LOCAL},
    {"variable_declaration", R_LOCAL},
    {"payload", R_LOCALS},
    {"call_expression", R_CALL},
    {"field_expression", R_DOT},
    {"arguments", R_ARGUMENTS},
    {NULL, 0},
};

/* An outline has no names and no uses. */
static const dr_node_rule no_rules[] = {{NULL, 0}};

static bool is_name(const dr_walk *w, TSNode n)
{
    const uint8_t rule = dr_walk__rule(w, n);
    return rule == DR_RULE_NAME || rule == DR_RULE_MEMBER;
}

/* `f`, `a.b.f`, `f<T>`: the name at the end, arguments aside. */
static TSNode last_name(const dr_walk *w, TSNode n)
{
    static const TSNode none;
    for (int level = 0; level < 16 && !ts_node_is_null(n); level++) {
        if (is_name(w, n))
            return n;
        TSNode next = none;
        for (uint32_t i = ts_node_named_child_count(n), seen = 0; i-- > 0 && seen < 8 && ts_node_is_null(next);
             seen++) {
            const uint8_t rule = dr_walk__rule(w, ts_node_named_child(n, i));
            if (rule != R_ARGUMENTS && rule != DR_RULE_SKIP && rule != R_SCOPE)
                next = ts_node_named_child(n, i);
        }
        n = next;
    }
    return none;
}

static void mark_callee(dr_walk *w, TSNode call)
{
    static const int fields[] = {DR_FIELD_FUNCTION, DR_FIELD_NAME, DR_FIELD_TARGET};
    TSNode callee = {.id = NULL};
    for (size_t i = 0; i < sizeof fields / sizeof *fields && ts_node_is_null(callee); i++)
        callee = dr_walk__field(w, call, fields[i]);
    if (ts_node_is_null(callee) && ts_node_named_child_count(call))
        callee = ts_node_named_child(call, 0);
    dr_walk__mark(w, last_name(w, callee), DR_MARK_CALL);
}

static void one_local(dr_walk *w, TSNode node)
{
    TSNode name = dr_walk__field(w, node, DR_FIELD_NAME);
    if (ts_node_is_null(name))
        name = dr_walk__field(w, node, DR_FIELD_PATTERN);
    if (!ts_node_is_null(name)) {
        dr_walk__locals_in(w, name);
        return;
    }
    for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 4; i++) {
        const TSNode child = ts_node_named_child(node, i);
        if (is_name(w, child)) {
            dr_walk__local(w, child);
            return;
        }
        /* Lua's `local a, b = ...` has its names one or two levels down */
        if (w->lang == DR_LANG_LUA && dr_walk__rule(w, child) == DR_RULE_NONE) {
            const bool assigns = strcmp(ts_node_type(child), "assignment_statement") == 0;
            dr_walk__locals_in(w, assigns && ts_node_named_child_count(child) ? ts_node_named_child(child, 0) : child);
            return;
        }
    }
}

static bool visit(dr_walk *w, TSNode node, uint8_t rule)
{
    static const TSNode none;

    switch (rule) {
    case R_SCOPE: dr_walk__enter(w, DR_SCOPE_FUNCTION, none); return true;
    case R_LOCAL: one_local(w, node); return true;
    case R_LOCALS:
        for (uint32_t i = 0; i < ts_node_named_child_count(node) && i < 64; i++)
            if (dr_walk__rule(w, ts_node_named_child(node, i)) == DR_RULE_NAME)
                dr_walk__local(w, ts_node_named_child(node, i));
        return true;
    case R_CALL: mark_callee(w, node); return true;
    case R_DOT: dr_walk__mark(w, last_name(w, node), DR_MARK_MEMBER); return true;
    case R_COMMAND: {
        const uint32_t at = ts_node_start_byte(node);
        if (ts_node_named_child_count(node) == 1 && strcmp(ts_node_type(ts_node_named_child(node, 0)), "word") == 0) {
            dr_walk__use_at(w, at, ts_node_end_byte(node) - at, ts_node_start_point(node).row + 1, true);
            return false;
        }
        return true; /* made up from parts: $CC and the like */
    }
    default: return true;
    }
}

static void whole(dr_walk *w, TSNode root)
{
    dr_tags__define(w, root);
    dr_walk__tree(w, root);
}

static void outline(dr_walk *w, TSNode root)
{
    dr_tags__define(w, root);
}

/* After an annotation the grammar takes "actual", "expect" and "annotation" for the name of something, and loses the
 * declaration behind: they go. */
static void soften_kotlin(dr_walk *w, char *copy)
{
    static const char *const words[] = {"actual ", "expect ", "annotation class "};
    const size_t n = w->text.n;

    for (size_t at = 0; at < n;) {
        const char *nl = memchr(copy + at, '\n', n - at);
        const size_t end = nl ? (size_t)(nl - copy) : n;
        size_t i = at;
        for (;;) { /* modifiers only: words of small letters, each with a blank behind */
            while (i < end && copy[i] == ' ')
                i++;
            for (size_t k = 0; k < sizeof words / sizeof *words; k++)
                if (strlen(words[k]) <= end - i && memcmp(copy + i, words[k], strlen(words[k])) == 0)
                    memset(copy + i, ' ', strcspn(words[k], " "));
            const size_t word = i;
            while (i < end && copy[i] >= 'a' && copy[i] <= 'z')
                i++;
            if (i == word || i >= end || copy[i] != ' ')
                break;
        }
        at = end + 1;
    }
}

const dr_grammar dr_grammar__kotlin = {
    .language = tree_sitter_kotlin, .rules = kotlin_rules, .visit = visit, .whole = whole, .soften = soften_kotlin};
const dr_grammar dr_grammar__swift = {
    .language = tree_sitter_swift, .rules = swift_rules, .visit = visit, .whole = whole};
const dr_grammar dr_grammar__scala = {
    .language = tree_sitter_scala, .rules = scala_rules, .visit = visit, .whole = whole};
const dr_grammar dr_grammar__lua = {.language = tree_sitter_lua, .rules = lua_rules, .visit = visit, .whole = whole};
const dr_grammar dr_grammar__bash = {.language = tree_sitter_bash, .rules = bash_rules, .visit = visit, .whole = whole};
const dr_grammar dr_grammar__elixir = {
    .language = tree_sitter_elixir, .rules = elixir_rules, .visit = visit, .whole = whole};
const dr_grammar dr_grammar__zig = {.language = tree_sitter_zig, .rules = zig_rules, .visit = visit, .whole = whole};
const dr_grammar dr_grammar__html = {.language = tree_sitter_html, .rules = no_rules, .visit = visit, .whole = outline};
const dr_grammar dr_grammar__css = {.language = tree_sitter_css, .rules = no_rules, .visit = visit, .whole = outline};
const dr_grammar dr_grammar__json = {.language = tree_sitter_json, .rules = no_rules, .visit = visit, .whole = outline};
const dr_grammar dr_grammar__yaml = {.language = tree_sitter_yaml, .rules = no_rules, .visit = visit, .whole = outline};
const dr_grammar dr_grammar__toml = {.language = tree_sitter_toml, .rules = no_rules, .visit = visit, .whole = outline};
const dr_grammar dr_grammar__markdown = {
    .language = tree_sitter_markdown, .rules = no_rules, .visit = visit, .whole = outline};
const dr_grammar dr_grammar__make = {.language = tree_sitter_make, .rules = no_rules, .visit = visit, .whole = outline};
