/* The comment that stands right above a definition, found by how its lines begin: no grammar is asked, so what a
 * syntax tree hangs elsewhere (or lost in an error) is found all the same. Attributes may stand in between. */
#include "repo/extract.h"
#include "repo/text.h"

#include <string.h>

enum { MAX_LINES = 400 }; /* above one definition */

typedef enum style { STYLE_SLASHES, STYLE_HASH, STYLE_DASHES } style;

static style style_of(dr_lang lang)
{
    switch (lang) {
    case DR_LANG_PYTHON:
    case DR_LANG_RUBY:
    case DR_LANG_BASH:
    case DR_LANG_ELIXIR: return STYLE_HASH;
    case DR_LANG_LUA: return STYLE_DASHES;
    default: return STYLE_SLASHES;
    }
}

static dr_str trimmed(dr_str line)
{
    while (line.n && (line.s[0] == ' ' || line.s[0] == '\t'))
        line.s++, line.n--;
    while (line.n && (line.s[line.n - 1] == ' ' || line.s[line.n - 1] == '\t' || line.s[line.n - 1] == '\r'))
        line.n--;
    return line;
}

static bool begins(dr_str line, const char *with)
{
    const size_t n = strlen(with);
    return line.n >= n && memcmp(line.s, with, n) == 0;
}

static bool ends(dr_str line, const char *with)
{
    const size_t n = strlen(with);
    return line.n >= n && memcmp(line.s + line.n - n, with, n) == 0;
}

static bool is_line_comment(style how, dr_str line)
{
    switch (how) {
    case STYLE_HASH: return begins(line, "#") && !begins(line, "#!");
    case STYLE_DASHES: return begins(line, "--");
    case STYLE_SLASHES: return begins(line, "//");
    }
    return false;
}

/* The first line of the block comment that ends on `last`, or 0: it does not begin a line of its own. */
static uint32_t block_start(const dr_text_lines *l, uint32_t last)
{
    for (uint32_t line = last, n = 0; line > 0 && n < MAX_LINES; line--, n++) {
        const dr_str text = trimmed(dr_text_lines_get(l, line));
        const char *open = memmem(text.s ? text.s : "", text.n, "/*", 2);
        if (open)
            return open == text.s ? line : 0;
        if (line != last && memmem(text.s ? text.s : "", text.n, "*/", 2))
            return 0;
    }
    return 0;
}

static uint32_t comment_above(const dr_text_lines *l, style how, uint32_t first_line)
{
    uint32_t doc = 0;
    for (uint32_t line = first_line - 1, n = 0; line > 0 && n < MAX_LINES; n++) {
        const dr_str text = trimmed(dr_text_lines_get(l, line));
        if (is_line_comment(how, text)) {
            doc = line--;
        } else if (how == STYLE_SLASHES && ends(text, "*/")) {
            const uint32_t start = block_start(l, line);
            if (start == 0)
                break;
            doc = start;
            line = start - 1;
        } else if (doc == 0 && how == STYLE_SLASHES && begins(text, "#[")) { /* Rust's, PHP's attributes */
            line--;
        } else {
            break;
        }
    }
    return doc;
}

void dr_walk__find_comments(dr_walk *w)
{
    dr_text_lines lines;
    uint32_t line = 0, doc = 0, kind = 0; /* of the first definition of the line before: `int a, b;` share one */

    if (w->n_defs == 0 || w->failed)
        return;
    if (dr_text_lines_init(&lines, w->text, NULL) != DR_OK) {
        w->failed = true;
        return;
    }
    const style how = style_of(w->lang);
    for (size_t i = 0; i < w->n_defs; i++) {
        dr_extract_def *d = &w->defs[i];
        if (d->doc_line || d->kind == DR_SYM_SECTION)
            continue;
        if (d->first_line != line) {
            line = d->first_line;
            kind = d->kind;
            doc = comment_above(&lines, how, line);
        }
        if (d->kind == kind)
            d->doc_line = doc;
    }
    dr_text_lines_fini(&lines);
}
