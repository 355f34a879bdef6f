/* repo/edit_points_import.c: where one more import goes. */
#include "repo/edit_points_parts.h"

#include <string.h>

typedef struct finder {
    const dr_syntax *s;
    dr_str wanted; /* trimmed */
    TSNode last;   /* import; of Go's block the last spec */
    TSNode block;  /* the list that Go's last declaration has; null: none */
    uint32_t head;     /* end of what stands before the first import of a file without any; 0: nothing does */
} finder;

static bool is(TSNode node, const char *type)
{
    return dr_edit_points__is(node, type);
}

static bool is_c(dr_lang lang)
{
    return lang == DR_LANG_C || lang == DR_LANG_CPP || lang == DR_LANG_CUDA;
}

static bool is_js(dr_lang lang)
{
    return lang == DR_LANG_JAVASCRIPT || lang == DR_LANG_TYPESCRIPT || lang == DR_LANG_TSX;
}

static bool starts_with(dr_str t, const char *word)
{
    return t.n >= strlen(word) && memcmp(t.s, word, strlen(word)) == 0;
}

static bool starts_with_one_of(dr_str t, const char *const *words)
{
    for (; *words; words++)
        if (starts_with(t, *words))
            return true;
    return false;
}

/* const x = require('x') */
static bool requires(const dr_syntax *s, TSNode node)
{
    return (is(node, "lexical_declaration") || is(node, "variable_declaration")) && ts_node_named_child_count(node) == 1 &&
           memmem(s->text.s + ts_node_start_byte(node), dr_edit_points__end(s, node) - ts_node_start_byte(node), "= require(", 10);
}

static bool is_import(const dr_syntax *s, TSNode node)
{
    switch (s->lang) {
    case DR_LANG_C:
    case DR_LANG_CPP:
    case DR_LANG_CUDA: return is(node, "preproc_include");
    case DR_LANG_PYTHON: return is(node, "import_statement") || is(node, "import_from_statement") || is(node, "future_import_statement");
    case DR_LANG_RUST: return is(node, "use_declaration") || is(node, "extern_crate_declaration");
    case DR_LANG_PHP: return is(node, "namespace_use_declaration");
    case DR_LANG_CSHARP: return is(node, "using_directive");
    case DR_LANG_RUBY:
        return is(node, "call") && starts_with(dr_edit_points__text(s, node), "require");
    case DR_LANG_JAVASCRIPT:
    case DR_LANG_TYPESCRIPT:
    case DR_LANG_TSX: return is(node, "import_statement") || requires(s, node);
    default: return strncmp(ts_node_type(node), "import", 6) == 0;
    }
}

/* The #ifndef, or #if, around a whole file, which defines a name first: that its children are the file's. */
static bool is_guard(const dr_syntax *s, TSNode node)
{
    if (!is_c(s->lang) || !(is(node, "preproc_ifdef") || is(node, "preproc_if")) || ts_node_named_child_count(node) < 2)
        return false;
    const TSNode condition = ts_node_named_child(node, 0), first = ts_node_named_child(node, 1);
    const dr_str name = is(first, "preproc_def") ? dr_edit_points__text(s, ts_node_child_by_field_name(first, "name", 4)) : (dr_str){"", 0};
    const dr_str asked = dr_edit_points__text(s, condition);
    return name.n && memmem(asked.s, asked.n, name.s, name.n);
}

/* A comment that is the file's, whatever stands under it. */
static bool is_file_comment(const dr_syntax *s, TSNode node)
{
    static const char *const words[] = {"opyright", "icense", "SPDX", "coding", "-*-", "_literal"};
    const dr_str t = dr_edit_points__text(s, node);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(t.s, t.n, words[i], strlen(words[i])))
            return true;
    return starts_with(t, "#!") || starts_with(t, "//!") || starts_with(t, "/*!");
}

static bool blank_line_follows(dr_str text, uint32_t at)
{
    size_t n = 0;
    for (; at < text.n && strchr(" \t\r\n", text.s[at]); at++)
        n += text.s[at] == '\n';
    return n > 1 || at == text.n;
}

/* PHP's, whose imports stand in it or behind it. */
static bool is_namespace(const dr_syntax *s, TSNode node)
{
    return s->lang == DR_LANG_PHP && is(node, "namespace_definition");
}

/* What an import has to stand behind. */
static bool is_head(const dr_syntax *s, TSNode node)
{
    static const char *const types[] = {"package_clause",    "package_declaration",  "package_header", "php_tag",
                                        "declare_statement", "inner_attribute_item", "hash_bang_line", "file_annotation", NULL};
    const bool text_alone = is(node, "expression_statement") && ts_node_named_child_count(node) == 1 && is(ts_node_named_child(node, 0), "string");
    for (size_t i = 0; types[i]; i++)
        if (is(node, types[i]))
            return true;
    if (is_namespace(s, node))
        return true;
    if (is_c(s->lang))
        return is(node, "preproc_call") && memmem(s->text.s + ts_node_start_byte(node), dr_edit_points__end(s, node) - ts_node_start_byte(node), "once", 4);
    return text_alone && (s->lang == DR_LANG_PYTHON || is_js(s->lang));
}

/* Goes through the children of a list of statements: the file's. skip: how many named ones to leave out. */
static void look(finder *f, TSNode list, uint32_t skip)
{
    const uint32_t n = ts_node_named_child_count(list);
    bool in_head = true, has_import = false;

    for (uint32_t i = skip; i < n; i++) {
        const TSNode node = ts_node_named_child(list, i);
        if (is_import(f->s, node)) {
            const TSNode specs = f->s->lang == DR_LANG_GO && ts_node_named_child_count(node) ? ts_node_named_child(node, 0) : (TSNode){0};
            f->block = is(specs, "import_spec_list") ? specs : (TSNode){0};
            f->last = node;
            in_head = false;
            has_import = true;
        } else if (dr_syntax__is_comment(node)) {
            if (in_head && (is_file_comment(f->s, node) || blank_line_follows(f->s->text, dr_edit_points__end(f->s, node))))
                f->head = dr_edit_points__end(f->s, node);
        } else if (in_head && is_guard(f->s, node)) {
            f->head = dr_edit_points__end(f->s, ts_node_named_child(node, 1));
            look(f, node, 2);
            return;
        } else if (in_head && is_head(f->s, node)) {
            const TSNode body = ts_node_child_by_field_name(node, "body", 4);
            if (is_namespace(f->s, node) && !ts_node_is_null(body)) {
                f->head = ts_node_start_byte(body) + 1;
                look(f, body, 0);
                return;
            }
            f->head = dr_edit_points__end(f->s, node);
        } else {
            in_head = false;
            if (has_import && is_c(f->s->lang) && is(node, "function_definition"))
                return;
        }
    }
}

static dr_str path_of(const finder *f, TSNode import)
{
    return is_c(f->s->lang) && !ts_node_is_null(import) ? dr_edit_points__text(f->s, ts_node_child_by_field_name(import, "path", 4)) : (dr_str){"", 0};
}

/* The first quote, or bracket, that the last import has. */
static char quote_of(const finder *f, const char *of, char otherwise)
{
    const dr_str t = is_c(f->s->lang) ? path_of(f, f->last) : dr_edit_points__text(f->s, f->last);
    for (size_t i = 0; i < t.n; i++)
        if (strchr(of, t.s[i]))
            return t.s[i];
    return otherwise;
}

static void wrap(dr_buf *out, const char *before, dr_str text, const char *after)
{
    dr_buf_str(out, before);
    dr_edit_points__add(out, text);
    dr_buf_str(out, after);
}

/* The line, without indentation. False: it is not said how. */
static bool make_line(dr_buf *out, const finder *f)
{
    static const char *const python[] = {"import ", "from ", NULL}, *const rust[] = {"use ", "pub ", "extern ", "mod ", "#[", NULL},
                             *const ruby[] = {"require", "load", "autoload", NULL}, *const php[] = {"use ", "require", "include", NULL},
                             *const js[] = {"import ", "import{", "import'", "import\"", "import*", "export ", "const ", "let ", "var ", "require(", NULL},
                             *const csharp[] = {"using ", "global using ", NULL}, *const plain[] = {"import ", "@", NULL};
    dr_str t = f->wanted;
    const bool quoted = memchr(t.s, '"', t.n) || memchr(t.s, '\'', t.n);

    switch (f->s->lang) {
    case DR_LANG_C:
    case DR_LANG_CPP:
    case DR_LANG_CUDA:
        if (t.s[0] == '#' || starts_with(t, "import "))
            dr_edit_points__add(out, t);
        else if (t.s[0] == '<' || t.s[0] == '"')
            wrap(out, "#include ", t, "");
        else if (quote_of(f, "<\"", '<') == '<')
            wrap(out, "#include <", t, ">");
        else
            wrap(out, "#include \"", t, "\"");
        return true;
    case DR_LANG_PYTHON: wrap(out, starts_with_one_of(t, python) ? "" : "import ", t, ""); return true;
    case DR_LANG_GO:
        if (starts_with(t, "import "))
            t = dr_edit_points__trimmed((dr_str){t.s + 7, t.n - 7});
        if (ts_node_is_null(f->block) || (t.n && t.s[0] == '('))
            dr_buf_str(out, "import ");
        wrap(out, quoted || (t.n && t.s[0] == '`') ? "" : "\"", t, quoted || (t.n && t.s[0] == '`') ? "" : "\"");
        return true;
    case DR_LANG_RUST:
    case DR_LANG_PHP:
    case DR_LANG_CSHARP:
    case DR_LANG_JAVA: {
        const char *word = f->s->lang == DR_LANG_JAVA ? "import " : f->s->lang == DR_LANG_CSHARP ? "using " : "use ";
        if (starts_with_one_of(t, f->s->lang == DR_LANG_RUST ? rust : f->s->lang == DR_LANG_PHP ? php : f->s->lang == DR_LANG_CSHARP ? csharp : plain))
            dr_edit_points__add(out, t);
        else
            wrap(out, word, t, t.s[t.n - 1] == ';' ? "" : ";");
        return true;
    }
    case DR_LANG_RUBY:
        if (starts_with_one_of(t, ruby))
            dr_edit_points__add(out, t);
        else if (quoted)
            wrap(out, "require ", t, "");
        else
            wrap(out, quote_of(f, "'\"", '\'') == '"' ? "require \"" : "require '", t, quote_of(f, "'\"", '\'') == '"' ? "\"" : "'");
        return true;
    case DR_LANG_KOTLIN:
    case DR_LANG_SWIFT:
    case DR_LANG_SCALA: wrap(out, starts_with_one_of(t, plain) ? "" : "import ", t, ""); return true;
    case DR_LANG_JAVASCRIPT:
    case DR_LANG_TYPESCRIPT:
    case DR_LANG_TSX: dr_edit_points__add(out, t); return starts_with_one_of(t, js);
    default: dr_edit_points__add(out, t); return memchr(t.s, ' ', t.n) != NULL || memchr(t.s, '(', t.n) != NULL; /* source x.sh, require("x") */
    }
}

/* Does the import say the same as the line? */
static bool says(const finder *f, TSNode node, dr_str line)
{
    if (is_c(f->s->lang)) {
        const dr_str path = path_of(f, node);
        return starts_with(line, "#include") && path.n && dr_str_eq(path, dr_edit_points__trimmed((dr_str){line.s + 8, line.n - 8}));
    }
    return dr_str_eq(dr_edit_points__text(f->s, node), line);
}

/* The line of an import that is the same; 0: none. */
static uint32_t find_same(const finder *f, TSNode list, dr_str line)
{
    const dr_str spec = starts_with(line, "import ") ? (dr_str){line.s + 7, line.n - 7} : line; /* of Go */
    for (uint32_t i = 0; i < ts_node_named_child_count(list); i++) {
        const TSNode node = ts_node_named_child(list, i);
        if (is(node, "import_spec") ? dr_str_eq(dr_edit_points__text(f->s, node), spec) : is_import(f->s, node) && says(f, node, line))
            return ts_node_start_point(node).row + 1;
        const TSNode body = is_namespace(f->s, node) ? ts_node_child_by_field_name(node, "body", 4) : node;
        const bool holds = is_guard(f->s, node) || is_namespace(f->s, node) || is(node, "import_spec_list") ||
                           (f->s->lang == DR_LANG_GO && is(node, "import_declaration"));
        const uint32_t below = holds && !ts_node_is_null(body) ? find_same(f, body, line) : 0;
        if (below)
            return below;
    }
    return 0;
}

/* Lines at `at`, the begin of a line or the end of the text. */
static void insert_line(dr_edit_point *out, const finder *f, uint32_t at, dr_str indent, dr_str line)
{
    const dr_str text = f->s->text;
    const bool open = at == text.n && at && text.s[at - 1] != '\n';
    out->kind = DR_POINT_FOUND;
    out->at = at;
    wrap(&out->text, open ? "\n" : "", indent, "");
    wrap(&out->text, "", line, open ? "" : "\n");
}

/* Go's import ( ... ) */
static void into_block(dr_edit_point *out, const finder *f, dr_str line)
{
    const uint32_t n = ts_node_named_child_count(f->block), n_all = ts_node_child_count(f->block);
    const TSNode close = ts_node_child(f->block, n_all - 1);
    TSNode last = {0};
    for (uint32_t i = 0; i < n; i++)
        if (is(ts_node_named_child(f->block, i), "import_spec"))
            last = ts_node_named_child(f->block, i);
    if (ts_node_is_null(last)) {
        out->kind = DR_POINT_FOUND;
        out->at = ts_node_start_byte(f->block) + 1;
        out->n = ts_node_start_byte(close) - out->at;
        wrap(&out->text, "\n\t", line, "\n");
    } else if (ts_node_start_point(close).row == ts_node_end_point(last).row) {
        out->kind = DR_POINT_FOUND;
        out->at = ts_node_end_byte(last);
        wrap(&out->text, "; ", line, "");
    } else {
        insert_line(out, f, dr_edit_points__next_line(f->s->text, ts_node_end_byte(last)), dr_edit_points__indent(f->s->text, ts_node_start_byte(last)), line);
    }
}

static void place(dr_edit_point *out, const finder *f, dr_str line)
{
    const dr_str text = f->s->text;

    if (!ts_node_is_null(f->block) && !starts_with(line, "import (")) {
        into_block(out, f, line);
        return;
    }
    if (!ts_node_is_null(f->last)) {
        insert_line(out, f, dr_edit_points__next_line(text, dr_edit_points__end(f->s, f->last)),
                    dr_edit_points__indent(text, ts_node_start_byte(f->last)), line);
        return;
    }
    const uint32_t at = f->head ? dr_edit_points__next_line(text, f->head) : 0;
    const bool open = at == text.n && at && text.s[at - 1] != '\n', code_follows = at < text.n && text.s[at] != '\n' && text.s[at] != '\r';
    out->kind = DR_POINT_FOUND;
    out->at = at;
    wrap(&out->text, open ? "\n\n" : at ? "\n" : "", line, open ? "" : code_follows ? "\n\n" : "\n");
}

dr_status dr_edit_point_import(dr_edit_point *out, const dr_syntax *s, dr_str import, dr_error *err)
{
    finder f = {.s = s, .wanted = dr_edit_points__trimmed(import)};
    dr_buf line = {0};

    *out = (dr_edit_point){.kind = DR_POINT_NONE};
    if ((!s->tree && s->text.n) || s->lang == DR_LANG_NONE || s->lang >= DR_LANG_HTML || !f.wanted.n)
        return DR_OK; /* an empty text has no tree, and needs none */
    if (s->tree)
        look(&f, ts_tree_root_node(s->tree), 0);
    if (!make_line(&line, &f))
        out->kind = DR_POINT_UNCLEAR;
    else if (s->tree && !line.failed && (out->line = find_same(&f, ts_tree_root_node(s->tree), dr_buf_view(&line))) != 0)
        out->kind = DR_POINT_THERE;
    else
        place(out, &f, dr_buf_view(&line));
    dr_edit_points__count_lines(out, 0);
    const bool failed = line.failed || out->text.failed;
    dr_buf_free(&line);
    return failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
}
