/* A query and a text, both any bytes: the first byte picks the language, a NUL ends the query. What a run hands out
 * must lie inside the text, or be gone from it by a directive, and a second run must hand out the same. */
#include "repo/tag_query.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const TSLanguage *tree_sitter_c(void);
const TSLanguage *tree_sitter_json(void);
const TSLanguage *tree_sitter_markdown(void);

enum { MAX_ARGUMENT = 200, MAX_TEXT = 16384 };

typedef struct seen {
    const dr_tag_query *q;
    dr_str text;
    dr_buf log;
} seen;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool on_match(void *arg, const dr_tag_match *m)
{
    seen *s = arg;
    dr_buf_add(&s->log, &m->pattern, sizeof m->pattern);
    for (size_t i = 0; i < m->n_captures; i++) {
        const dr_tag_capture *c = &m->captures[i];
        require(c->index < dr_tag_query_n_captures(s->q));
        require(ts_node_end_byte(c->node) <= s->text.n);
        require(c->text.n <= ts_node_end_byte(c->node) - ts_node_start_byte(c->node));
        dr_buf_add(&s->log, c->text.s, c->text.n);
    }
    for (size_t i = 0; i < m->n_properties; i++)
        dr_buf_add(&s->log, m->properties[i].key.s, m->properties[i].key.n);
    return s->log.n < (1u << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const TSLanguage *(*language)(void);
        const char *query[2];
    } templates[] = {
        {tree_sitter_json, {"((pair key: (_) @k value: (_) @v) (#match? @k ", ") (#not-eq? @k @v))"}},
        {tree_sitter_json, {"((array . (_) @n (_)+ @n .) (#any-not-match? @n ", ") (#set! a b))"}},
        {tree_sitter_json, {"((string) @s (#strip! @s ", ") (#not-any-of? @s \"x\" \"y\"))"}},
        {tree_sitter_json, {"((string_content) @s (#any-of? @s \"a\" ", "))"}},
        {tree_sitter_c, {"((comment)* @d . (function_definition) @f (#select-adjacent! @d @f) (#strip! @d ", "))"}},
        {tree_sitter_c, {"((identifier) @i (#not-match? @i ", "))"}},
        {tree_sitter_markdown, {"((section . (atx_heading (inline) @n)) @s (#strip! @n ", "))"}},
    };
    dr_tag_query *q = NULL;
    dr_error err;
    TSTree *tree = NULL;
    TSParser *parser = NULL;
    char *text = NULL;
    dr_buf query = {0};

    if (size < 2)
        return 0;
    const size_t which = data[0] % (sizeof templates / sizeof *templates);
    const TSLanguage *language = templates[which].language();
    const uint8_t *nul = memchr(data + 1, 0, size - 1);
    const size_t n_argument = nul ? (size_t)(nul - data - 1) : size - 1, n_text = nul ? size - 2 - n_argument : 0;
    if (n_argument > MAX_ARGUMENT || n_text > MAX_TEXT)
        return 0;
    dr_buf_str(&query, templates[which].query[0]);
    dr_buf_str(&query, "\"");
    for (size_t i = 0; i < n_argument; i++) {
        const char c = (char)data[1 + i];
        if (c == '"' || c == '\\')
            dr_buf_str(&query, "\\");
        dr_buf_add(&query, c == '\n' ? "n" : &c, 1); /* a string of a query ends with its line */
    }
    dr_buf_str(&query, "\"");
    dr_buf_str(&query, templates[which].query[1]);
    const dr_status made = dr_tag_query_new(&q, language, dr_buf_view(&query), &err);
    dr_buf_free(&query);
    if (made != DR_OK)
        return 0;
    text = malloc(n_text + 1); /* exactly this long, so that one byte too many is seen */
    parser = ts_parser_new();
    if (!text || !parser || !ts_parser_set_language(parser, language))
        goto done;
    if (n_text)
        memcpy(text, nul + 1, n_text);
    char *fit = realloc(text, n_text ? n_text : 1);
    text = fit ? fit : text;
    if (!(tree = ts_parser_parse_string(parser, NULL, text, (uint32_t)n_text)))
        goto done;
    seen a = {.q = q, .text = {text, n_text}}, b = a;
    const dr_status first = dr_tag_query_run(q, ts_tree_root_node(tree), a.text, on_match, &a, &err);
    const dr_status second = dr_tag_query_run(q, ts_tree_root_node(tree), b.text, on_match, &b, &err);
    require(first == second && dr_str_eq(dr_buf_view(&a.log), dr_buf_view(&b.log)));
    dr_buf_free(&a.log);
    dr_buf_free(&b.log);
done:
    if (tree)
        ts_tree_delete(tree);
    if (parser)
        ts_parser_delete(parser);
    free(text);
    dr_tag_query_free(q);
    return 0;
}
