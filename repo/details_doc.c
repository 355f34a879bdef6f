/* repo/details_doc.c: the comment of a definition as a sentence: no marks, no rules of dashes, the first paragraph only. */
#include "repo/details_parts.h"
#include "repo/text.h"

#include <string.h>

enum { MAX_LINES = 60 };

static dr_str trimmed(dr_str t)
{
    while (t.n && strchr(" \t\r\f\v", t.s[0]))
        t.s++, t.n--;
    while (t.n && strchr(" \t\r\f\v", t.s[t.n - 1]))
        t.n--;
    return t;
}

static bool drop_head(dr_str *t, const char *head)
{
    const size_t n = strlen(head);
    if (t->n < n || memcmp(t->s, head, n) != 0)
        return false;
    t->s += n;
    t->n -= n;
    return true;
}

static bool drop_tail(dr_str *t, const char *tail)
{
    const size_t n = strlen(tail);
    if (t->n < n || memcmp(t->s + t->n - n, tail, n) != 0)
        return false;
    t->n -= n;
    return true;
}

/* A line of a comment without its marks. */
static dr_str without_marks(dr_lang lang, dr_str t)
{
    static const char *const slashes[] = {"/**", "/*!", "/*", "///", "//!", "//", NULL};
    static const char *const dashes[] = {"--[[", "---", "--", NULL};
    const char *const *heads = lang == DR_LANG_LUA ? dashes : slashes;

    t = trimmed(t);
    if (lang == DR_LANG_PYTHON || lang == DR_LANG_RUBY || lang == DR_LANG_BASH || lang == DR_LANG_ELIXIR) {
        while (drop_head(&t, "#"))
            ;
        (void)drop_head(&t, ":"); /* Sphinx's mark for the comment of a value */
        return trimmed(t);
    }
    (void)drop_tail(&t, "*/");
    while (drop_tail(&t, "*"))
        ;
    bool headed = false;
    for (; *heads && !headed; heads++)
        headed = drop_head(&t, *heads);
    while (lang != DR_LANG_LUA && drop_head(&t, "*"))
        ;
    return trimmed(t);
}

/* ------, ======, ######, and the heading of a part of the file: ---- tools ---- */
static bool is_rule(dr_str t)
{
    if (t.n >= 3 && strchr("-=*#~", t.s[0]) && t.s[1] == t.s[0] && t.s[2] == t.s[0])
        return true;
    for (size_t i = 0; i < t.n; i++)
        if (!strchr("-=*#/~_+. ", t.s[i]))
            return false;
    return true;
}

/* Leaves out every `tag` of the line. */
static void add_without_tags(dr_buf *out, dr_str t)
{
    static const char *const tags[] = {"<summary>", "</summary>", "<para>", "</para>", "<p>", "</p>"};
    for (size_t i = 0; i < t.n;) {
        size_t skip = 0;
        for (size_t k = 0; k < sizeof tags / sizeof *tags && t.s[i] == '<' && !skip; k++)
            if (t.n - i >= strlen(tags[k]) && memcmp(t.s + i, tags[k], strlen(tags[k])) == 0)
                skip = strlen(tags[k]);
        if (skip == 0)
            dr_buf_add(out, t.s + i, 1);
        i += skip ? skip : 1;
    }
}

/* @param x, \return: what follows is no longer about the whole. @brief is, so its word alone goes. */
static bool is_tag(dr_str *t)
{
    if (t->n < 2 || (t->s[0] != '@' && t->s[0] != '\\') || !((t->s[1] | 32) >= 'a' && (t->s[1] | 32) <= 'z'))
        return false;
    dr_str rest = {t->s + 1, t->n - 1};
    if (drop_head(&rest, "brief ") || drop_head(&rest, "short ")) {
        *t = trimmed(rest);
        return false;
    }
    return true;
}

/* Takes one line; false: the paragraph is over. */
static bool take(dr_buf *paragraph, dr_str line)
{
    if (is_rule(line))
        return paragraph->n == 0;
    if (is_tag(&line))
        return false;
    if (paragraph->n)
        dr_buf_add(paragraph, " ", 1);
    const size_t before = paragraph->n;
    add_without_tags(paragraph, line);
    if (paragraph->n == before && before && !paragraph->failed) /* a tag alone */
        paragraph->data[--paragraph->n] = 0;
    return true;
}

static void from_comment(dr_buf *paragraph, dr_lang lang, dr_str text, const dr_sym_def *d)
{
    for (uint32_t line = d->doc_line, n = 0; line < d->first_line && n < MAX_LINES; line++, n++) {
        const dr_str raw = trimmed(dr_text_line_at(text, line));
        if (raw.n >= 2 && raw.s[0] == '#' && raw.s[1] == '[' && (lang == DR_LANG_RUST || lang == DR_LANG_PHP))
            break;
        if (!take(paragraph, without_marks(lang, raw)))
            break;
    }
}

static void from_docstring(dr_buf *paragraph, dr_str text, const dr_sym_def *d)
{
    const dr_str first = dr_text_line_at(text, d->doc_line);
    if (!first.s)
        return;
    dr_str rest = trimmed((dr_str){first.s, (size_t)(text.s + text.n - first.s)});
    while (rest.n && strchr("rRuUbBfF", rest.s[0]))
        rest.s++, rest.n--;
    const char quote = rest.n ? rest.s[0] : 0;
    if (quote != '"' && quote != '\'')
        return;
    const size_t n = rest.n >= 3 && rest.s[1] == quote && rest.s[2] == quote ? 3 : 1;
    const char *end = rest.n > n ? memmem(rest.s + n, rest.n - n, rest.s, n) : NULL;
    if (!end)
        return;
    const dr_str inner = {rest.s + n, (size_t)(end - rest.s) - n};
    for (size_t i = 0, lines = 0; i <= inner.n && lines < MAX_LINES; lines++) {
        const char *nl = i < inner.n ? memchr(inner.s + i, '\n', inner.n - i) : NULL;
        const size_t stop = nl ? (size_t)(nl - inner.s) : inner.n;
        if (!take(paragraph, trimmed((dr_str){inner.s + i, stop - i})))
            break;
        i = stop + 1;
    }
}

void dr_details__doc(dr_buf *out, dr_lang lang, dr_str text, const dr_sym_def *d)
{
    dr_buf paragraph = {0};

    if (d->doc_line == 0)
        return;
    if (d->doc_line < d->first_line)
        from_comment(&paragraph, lang, text, d);
    else
        from_docstring(&paragraph, text, d);
    dr_text_excerpt(out, dr_buf_view(&paragraph), DR_DETAIL_DOC_BYTES);
    out->failed |= paragraph.failed;
    dr_buf_free(&paragraph);
}
