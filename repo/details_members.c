/* repo/details_members.c: what a type is made of. */
#include "repo/details_parts.h"

#include <string.h>

enum { MAX_LEVELS = 8, MAX_MEMBERS = 400, ENOUGH = 4 * DR_DETAIL_BYTES };

static const TSNode none;

typedef enum member_kind { OTHER, DATA, FUNCTION, GROUP } member_kind;

/* `int f(void);` in a class declares a function; `int (*f)(void);` is data. */
static bool declares_function(TSNode member)
{
    TSNode d = dr_details__field(member, "declarator");
    while (dr_details__is(d, "pointer_declarator") || dr_details__is(d, "reference_declarator")) {
        const TSNode inner = dr_details__field(d, "declarator");
        d = ts_node_is_null(inner) && ts_node_named_child_count(d) ? ts_node_named_child(d, ts_node_named_child_count(d) - 1) : inner;
    }
    return dr_details__is(d, "function_declarator") && !dr_details__is(dr_details__field(d, "declarator"), "parenthesized_declarator");
}

static member_kind kind_of(TSNode m)
{
    static const struct {
        const char *type;
        member_kind kind;
    } kinds[] = {
        {"property_declaration", DATA},  {"public_field_definition", DATA}, {"field_definition", DATA}, {"property_signature", DATA},
        {"enumerator", DATA},            {"enum_constant", DATA},           {"enum_variant", DATA},     {"enum_member_declaration", DATA},
        {"enum_case", DATA},             {"enum_assignment", DATA},         {"property_identifier", DATA}, {"constant_declaration", DATA},
        {"assignment", DATA},            {"method_signature", FUNCTION},    {"method_elem", FUNCTION},  {"method_declaration", FUNCTION},
        {"function_signature_item", FUNCTION}, {"function_item", FUNCTION}, {"type_elem", FUNCTION},    {"preproc_if", GROUP},
        {"preproc_ifdef", GROUP},        {"preproc_else", GROUP},           {"preproc_elif", GROUP},    {"enumerator_list", GROUP},
        {"expression_statement", GROUP},
    };
    const char *type = ts_node_type(m);
    if (strcmp(type, "field_declaration") == 0)
        return declares_function(m) ? FUNCTION : DATA;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].kind;
    return OTHER;
}

static void add_member(dr_buf *out, const dr_syntax *s, TSNode m, uint32_t end)
{
    dr_buf one = {0};
    dr_details__code(&one, s, m, ts_node_start_byte(m), end);
    dr_str t = dr_buf_view(&one);
    while (t.n && strchr("; ,\t\r\n", t.s[t.n - 1]))
        t.n--;
    if (t.n > 5 && dr_details__is(m, "enum_case") && memcmp(t.s, "case ", 5) == 0)
        t.s += 5, t.n -= 5;
    if (t.n && out->n)
        dr_buf_add(out, "; ", 2);
    dr_buf_add(out, t.s, t.n);
    out->failed |= one.failed;
    dr_buf_free(&one);
}

/* all: every named child is a member (the types of a tuple). */
static void add_members(dr_buf *out, const dr_syntax *s, TSNode body, member_kind wanted, bool all, int depth)
{
    TSTreeCursor c = ts_tree_cursor_new(body);
    size_t n = 0;

    for (bool more = ts_tree_cursor_goto_first_child(&c); more && n < MAX_MEMBERS && out->n < ENOUGH;
         more = ts_tree_cursor_goto_next_sibling(&c), n++) {
        const TSNode m = ts_tree_cursor_current_node(&c);
        if (!ts_node_is_named(m) || dr_syntax__is_comment(m))
            continue;
        const member_kind kind = kind_of(m);
        if (all && !dr_details__is(m, "attribute_item") && !dr_details__is(m, "visibility_modifier")) {
            add_member(out, s, m, ts_node_end_byte(m));
        } else if (kind == GROUP && depth < MAX_LEVELS) {
            add_members(out, s, m, wanted, false, depth + 1);
        } else if (kind == wanted) {
            const TSNode inner = kind == FUNCTION ? dr_details__field(m, "body") : none;
            add_member(out, s, m, ts_node_is_null(inner) ? ts_node_end_byte(m) : ts_node_start_byte(inner));
        }
    }
    ts_tree_cursor_delete(&c);
}

/* Where the members of the type named at leaf stand. */
static TSNode body_of(TSNode leaf)
{
    TSNode node = leaf;
    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node)) {
        const TSNode body = dr_details__field(node, "body");
        if (!ts_node_is_null(body) && ts_node_start_byte(body) >= ts_node_end_byte(leaf))
            return body;
        TSNode type = dr_details__field(node, "type"); /* typedef struct { ... } name; type name struct { ... } */
        if (ts_node_is_null(type) && dr_details__is(node, "type_alias_declaration"))
            type = dr_details__field(node, "value");
        if (dr_details__is(type, "struct_type") && ts_node_named_child_count(type))
            return ts_node_named_child(type, 0);
        if (dr_details__is(type, "interface_type") || dr_details__is(type, "object_type"))
            return type;
        const TSNode inner = dr_details__field(type, "body");
        if (!ts_node_is_null(inner) && dr_details__is(node, "type_definition"))
            return inner;
        if (dr_details__is(node, "type_definition") || strstr(ts_node_type(node), "body"))
            return none;
    }
    return none;
}

void dr_details__members(dr_buf *out, const dr_syntax *s, TSNode leaf, dr_sym_kind kind)
{
    const TSNode body = body_of(leaf);

    if (ts_node_is_null(body))
        return;
    add_members(out, s, body, DATA, dr_details__is(body, "ordered_field_declaration_list"), 0);
    if (out->n == 0 && (kind == DR_SYM_INTERFACE || kind == DR_SYM_TRAIT || kind == DR_SYM_TYPE))
        add_members(out, s, body, FUNCTION, false, 0);
}
