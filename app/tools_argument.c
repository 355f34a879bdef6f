/* app/tools_argument.c: the argument of a call by which one tells whether it is bounded. */
#include "app/tools_parts.h"

#include "app/turn_grammar.h" /* dr_words_byte */
#include "repo/text.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST_CALL = 2000, LONGEST_SHOWN = 40, MOST_ARGUMENTS = 32 };

/* Functions of the C library that are given a size before their format or source. */
static bool size_is_second(dr_str name)
{
    static const char *const names[] = {"snprintf", "vsnprintf", "swprintf", "vswprintf", "fgets", "fgetws", "getdelim"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (dr_str_eq(name, dr_str_of(names[i])))
            return true;
    return false;
}

/* Behind the quoted text that begins at `at`; text.n when it does not end. */
static size_t behind_quoted(dr_str text, size_t at)
{
    const char quote = text.s[at++];
    while (at < text.n && text.s[at] != quote)
        at += text.s[at] == '\\' ? 2 : 1;
    return at < text.n ? at + 1 : text.n;
}

/* The arguments between the bracket that begins the text and its own end; 0 when it does not end. */
static size_t arguments(dr_str v[MOST_ARGUMENTS], dr_str text)
{
    size_t n = 0, first = 1, depth = 0;
    for (size_t at = 0; at < text.n;) {
        const char c = text.s[at];
        if (c == '"' || c == '\'' || c == '`') {
            at = behind_quoted(text, at);
            continue;
        }
        if (strchr("([{", c) && c) {
            depth++;
        } else if (strchr(")]}", c) && c && --depth == 0) {
            v[n < MOST_ARGUMENTS ? n++ : n - 1] = (dr_str){text.s + first, at - first};
            return n;
        } else if (c == ',' && depth == 1) {
            v[n < MOST_ARGUMENTS ? n++ : n - 1] = (dr_str){text.s + first, at - first};
            first = at + 1;
        }
        at++;
    }
    return 0;
}

static bool is_format(dr_str argument)
{
    while (argument.n && isspace((unsigned char)*argument.s))
        argument.s++, argument.n--;
    return argument.n && *argument.s == '"' && memchr(argument.s, '%', argument.n);
}

void dr_tool__add_argument(dr_buf *out, dr_str text, uint32_t line, dr_str name)
{
    const dr_str here = dr_text_line_at(text, line);
    const size_t before = out->n;
    dr_str v[MOST_ARGUMENTS];

    for (size_t at = 0; at + name.n <= here.n; at++) {
        size_t open = at + name.n;
        if (memcmp(here.s + at, name.s, name.n) != 0 || (at && here.s[at - 1] != '~' && dr_words_byte((unsigned char)here.s[at - 1])))
            continue;
        while (open < here.n && isblank((unsigned char)here.s[open]))
            open++;
        if (open == here.n || here.s[open] != '(')
            continue;
        const size_t left = (size_t)(text.s + text.n - (here.s + open));
        const size_t n = arguments(v, (dr_str){here.s + open, left < LONGEST_CALL ? left : LONGEST_CALL});
        size_t told = n - 1;
        for (size_t i = 0; i < n && !size_is_second(name); i++)
            if (is_format(v[i])) {
                told = i;
                break;
            }
        if (n)
            dr_text_excerpt(out, v[n > 1 && size_is_second(name) ? 1 : told], LONGEST_SHOWN);
        break;
    }
    if (out->n == before)
        dr_buf_str(out, "?");
}
