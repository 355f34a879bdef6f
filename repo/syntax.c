#include "repo/syntax.h"

#include "repo/syntax_parts.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ERRORS = 65535, MAX_LEVELS = 400 };

dr_status dr_syntax_open(dr_syntax **out, dr_lang lang, dr_str text, dr_error *err)
{
    dr_status st = DR_OK;
    dr_syntax *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s || !dr_walk_init(&s->walk)) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    s->lang = lang;
    s->text = text;
    if ((st = dr_walk__parse(&s->walk, &s->tree, lang, text)) != DR_OK) {
        st = dr_fail(err, st, "out of memory");
        goto done;
    }
    *out = s;
    s = NULL;
done:
    dr_syntax_close(s);
    return st;
}

void dr_syntax_close(dr_syntax *s)
{
    if (!s)
        return;
    if (s->tree)
        ts_tree_delete(s->tree);
    dr_walk_fini(&s->walk);
    free(s);
}

bool dr_syntax__is_comment(TSNode node)
{
    return strstr(ts_node_type(node), "comment") != NULL;
}

uint32_t dr_syntax_n_errors(const dr_syntax *s)
{
    uint32_t n = 0;

    if (!s->tree || !ts_node_has_error(ts_tree_root_node(s->tree)))
        return 0;
    TSTreeCursor c = ts_tree_cursor_new(ts_tree_root_node(s->tree));
    for (bool more = true; more && n < MAX_ERRORS;) {
        const TSNode node = ts_tree_cursor_current_node(&c);
        n += ts_node_is_error(node) || ts_node_is_missing(node);
        if (ts_node_has_error(node) && ts_tree_cursor_goto_first_child(&c))
            continue;
        while (more && !ts_tree_cursor_goto_next_sibling(&c))
            more = ts_tree_cursor_goto_parent(&c);
    }
    ts_tree_cursor_delete(&c);
    return n;
}

static bool word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

bool dr_syntax_is_name(dr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!word_byte(s.s[i]) && s.s[i] != '$')
            return false;
    return s.n > 0 && !(s.s[0] >= '0' && s.s[0] <= '9');
}

static bool is_one_of(const char *type, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(type, *list) == 0)
            return true;
    return false;
}

/* In text that has no tree of its own (a macro's body): does a quote or a comment that began after `from` hold `at`? */
static bool quoted(dr_str text, size_t from, size_t at)
{
    char quote = 0;
    for (size_t i = from; i < at; i++) {
        const char c = text.s[i];
        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '/' && i + 1 < at && text.s[i + 1] == '*') {
            const char *end = memmem(text.s + i + 2, at - i - 2, "*/", 2);
            if (!end)
                return true;
            i = (size_t)(end - text.s) + 1;
        } else if (c == '/' && i + 1 < at && text.s[i + 1] == '/') {
            const char *end = memchr(text.s + i, '\n', at - i);
            if (!end)
                return true;
            i = (size_t)(end - text.s);
        }
    }
    return quote != 0;
}

/* Is what stands here read as code? The closest node that says so decides: an interpolation in a string is code again. */
static bool is_code(const dr_syntax *s, uint32_t at, uint32_t n)
{
    static const char *const code[] = {"interpolation",     "template_substitution", "string_interpolation", "variable_name",
                                       "format_expression", "simple_expansion",      "expansion",            "command_substitution",
                                       "jsx_expression",    NULL};
    static const char *const text[] = {"char_literal", "character_literal", "character",    "heredoc_body", "heredoc_content",
                                       "regex",        "regex_pattern",     "regex_literal", "jsx_text",    "text",
                                       NULL};
    TSNode node = ts_node_descendant_for_byte_range(ts_tree_root_node(s->tree), at, at + n);
    for (int level = 0; level < MAX_LEVELS && !ts_node_is_null(node); level++, node = ts_node_parent(node)) {
        const char *type = ts_node_type(node);
        if (is_one_of(type, code))
            return true;
        if (strcmp(type, "preproc_arg") == 0)
            return !quoted(s->text, ts_node_start_byte(node), at);
        if (is_one_of(type, text) || strstr(type, "comment") ||
            (strstr(type, "string") && !strstr(type, "expression") && !strstr(type, "string_type")))
            return false;
    }
    return true;
}

dr_status dr_syntax_names(dr_syntax_place **out, size_t *n, const dr_syntax *s, dr_str name, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_str text = s->text;
    size_t cap = 0, counted = 0;
    uint32_t line = 1;

    *out = NULL;
    *n = 0;
    for (size_t i = 0; name.n && i + name.n <= text.n;) {
        const char *found = memmem(text.s + i, text.n - i, name.s, name.n);
        if (!found)
            break;
        const size_t at = (size_t)(found - text.s), end = at + name.n;
        i = at + 1;
        if ((at && word_byte(text.s[at - 1]) && word_byte(name.s[0])) ||
            (end < text.n && word_byte(text.s[end]) && word_byte(name.s[name.n - 1])) ||
            (s->tree && !is_code(s, (uint32_t)at, (uint32_t)name.n)))
            continue;
        for (; counted < at; counted++)
            line += text.s[counted] == '\n';
        if (*n == cap) {
            cap = cap ? 2 * cap : 16;
            dr_syntax_place *grown = realloc(*out, cap * sizeof *grown);
            if (!grown) {
                st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
                break;
            }
            *out = grown;
        }
        (*out)[(*n)++] = (dr_syntax_place){(uint32_t)at, line};
        i = end;
    }
    if (st != DR_OK || *n == 0) {
        free(*out);
        *out = NULL;
        *n = 0;
    }
    return st;
}
