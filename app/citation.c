#include "app/citation.h"

#include "repo/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *dr_cite_check_name(dr_cite_check c)
{
    static const char *const names[] = {
        [DR_CITE_FAILED] = "failed", [DR_CITE_EXISTS] = "exists", [DR_CITE_USED] = "symbol", [DR_CITE_SYMBOL] = "symbol"};
    return names[c];
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A line number from text[i..]; 0 when there is none or it is too large. Moves i past it. */
static uint32_t number(dr_str text, size_t *i)
{
    uint64_t v = 0;
    while (*i < text.n && digit(text.s[*i])) {
        v = v * 10 + (uint64_t)(text.s[*i] - '0');
        if (v > UINT32_MAX)
            v = UINT32_MAX;
        (*i)++;
    }
    return v == UINT32_MAX ? 0 : (uint32_t)v;
}

dr_str dr_quoted_name(dr_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] != '`')
            continue;
        const char *end = memchr(text.s + i + 1, '`', text.n - i - 1);
        if (!end)
            break;
        return (dr_str){text.s + i + 1, (size_t)(end - text.s) - i - 1};
    }
    return (dr_str){"", 0};
}

dr_cite_check dr_citation_check_name(const dr_citation *c, dr_str name, const dr_symbols *symbols)
{
    if (c->check == DR_CITE_FAILED)
        return DR_CITE_FAILED;
    const dr_sym_def *defs = NULL;
    const size_t n_defs = dr_symbols_find(symbols, name, &defs);
    for (size_t i = 0; i < n_defs; i++)
        if (defs[i].file == c->file && defs[i].line >= c->line && defs[i].line <= c->end)
            return defs[i].kind == DR_SYM_PROTOTYPE && defs[0].kind != DR_SYM_PROTOTYPE ? DR_CITE_USED : DR_CITE_SYMBOL;
    const dr_sym_ref *refs = NULL;
    const size_t n_refs = dr_symbols_refs(symbols, name, &refs);
    for (size_t i = 0; i < n_refs; i++)
        if (refs[i].file == c->file && refs[i].line >= c->line && refs[i].line <= c->end)
            return DR_CITE_USED;
    return DR_CITE_EXISTS;
}

static void check(dr_citation *c, dr_str text, const dr_repo *repo, const dr_symbols *symbols)
{
    dr_buf content = {0};

    if (c->line == 0 || c->end < c->line || dr_repo_read(repo, c->file, &content, NULL) != DR_OK ||
        c->end > dr_text_n_lines(dr_buf_view(&content))) {
        dr_buf_free(&content);
        return;
    }
    dr_buf_free(&content);
    c->check = DR_CITE_EXISTS;
    if (!symbols)
        return;
    /* Those of the whole answer: in a list the name stands in the sentence above it. */
    for (size_t at = 0; at < text.n;) {
        const dr_str name = dr_quoted_name((dr_str){text.s + at, text.n - at});
        if (!name.n)
            break;
        const dr_cite_check found = dr_citation_check_name(c, name, symbols);
        if (found > c->check)
            c->check = found;
        at = (size_t)(name.s - text.s) + name.n + 1;
    }
}

/* The longest run of bytes that ends at `colon`, starts where a path could start, and is a file's path. No path is longer than
 * PATH_MAX, so a long line of colons costs no more than its length times that. */
static bool path_before(dr_str text, size_t colon, size_t floor, size_t *start, uint32_t *file, const dr_repo *repo)
{
    for (size_t s = colon > PATH_MAX && colon - PATH_MAX > floor ? colon - PATH_MAX : floor; s < colon; s++) {
        const char before = s ? text.s[s - 1] : '\n';
        const bool border = before == ' ' || before == '\t' || before == '\n' || before == '`' || before == '(' ||
                            before == '[' || before == '"' || before == '\'' || before == ',' || before == ';';
        size_t index;
        if (border && dr_repo_find(repo, (dr_str){text.s + s, colon - s}, &index)) {
            *start = s;
            *file = (uint32_t)index;
            return true;
        }
    }
    return false;
}

dr_status dr_citations_scan(dr_citations *out, dr_str text, const dr_repo *repo, const dr_symbols *symbols, dr_error *err)
{
    size_t floor = 0; /* start of this line of text, or end of the citation before */

    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] == '\n')
            floor = i + 1;
        if (text.s[i] != ':' || i + 1 >= text.n || !digit(text.s[i + 1]))
            continue;
        dr_citation c = {.file = DR_SYM_NONE};
        size_t start = i, end = i + 1;

        if (!path_before(text, i, floor, &start, &c.file, repo)) {
            /* Not a file here: a failed citation if it looks like one, else prose such as "12:30". */
            bool looks = false;
            while (start > floor && !strchr(" \t`([\"',;", text.s[start - 1])) {
                start--;
                looks = looks || text.s[start] == '/' || text.s[start] == '.';
            }
            if (!looks || start == i)
                continue;
        }
        c.line = c.end = number(text, &end);
        if (end + 1 < text.n && text.s[end] == '-' && digit(text.s[end + 1])) {
            end++;
            c.end = number(text, &end);
        }
        c.at = start;
        c.n = end - start;
        if (c.file != DR_SYM_NONE)
            check(&c, text, repo, symbols);
        dr_citation *grown = realloc(out->v, (out->n + 1) * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        out->v = grown;
        out->v[out->n++] = c;
        floor = end;
        i = end - 1;
    }
    return DR_OK;
}

void dr_citations_fini(dr_citations *c)
{
    free(c->v);
    *c = (dr_citations){0};
}
