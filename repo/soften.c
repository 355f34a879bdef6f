/* Takes macros out of C and C++ where the grammar has no place for them:
 *
 *   class LIB_API widget {            LIB_EXTERN int f(void);          ATTR(constructor) static void g(void)
 *
 * A parser that expects types and names makes an error of these and may lose the whole class around. What is taken out
 * becomes blanks, so every offset and line stays; the words are then looked at on their own (dr_lexical__uses). */
#include "repo/extract.h"

#include <string.h>

typedef struct reader {
    const char *s;
    uint32_t n;
} reader;

static bool is_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_part(char c)
{
    return is_start(c) || (c >= '0' && c <= '9');
}

/* Past blanks, comments and line ends. */
static uint32_t skip_gap(reader r, uint32_t i)
{
    while (i < r.n) {
        if (r.s[i] == ' ' || r.s[i] == '\t' || r.s[i] == '\n' || r.s[i] == '\r') {
            i++;
        } else if (r.s[i] == '/' && i + 1 < r.n && r.s[i + 1] == '*') {
            const char *end = memmem(r.s + i + 2, r.n - i - 2, "*/", 2);
            i = end ? (uint32_t)(end - r.s) + 2 : r.n;
        } else if (r.s[i] == '/' && i + 1 < r.n && r.s[i + 1] == '/') {
            const char *end = memchr(r.s + i, '\n', r.n - i);
            i = end ? (uint32_t)(end - r.s) : r.n;
        } else {
            break;
        }
    }
    return i;
}

static uint32_t word_end(reader r, uint32_t i)
{
    while (i < r.n && is_part(r.s[i]))
        i++;
    return i;
}

/* Past a bracketed run that opens at i; i when it does not close soon. */
static uint32_t skip_brackets(reader r, uint32_t i, char open, char close)
{
    enum { MAX_RUN = 600 };
    int depth = 0;
    for (uint32_t k = i; k < r.n && k < i + MAX_RUN; k++) {
        const char c = r.s[k];
        if (c == '"' || c == '\'') {
            uint32_t q = k + 1;
            while (q < r.n && r.s[q] != c && r.s[q] != '\n')
                q += r.s[q] == '\\' ? 2 : 1;
            k = q;
        } else if (c == open) {
            depth++;
        } else if (c == close && --depth == 0) {
            return k + 1;
        } else if (c == ';' || c == '{' || c == '#') {
            return i;
        }
    }
    return i;
}

static bool is(reader r, uint32_t at, uint32_t end, const char *word)
{
    return end - at == strlen(word) && memcmp(r.s + at, word, end - at) == 0;
}

static bool is_one_of(reader r, uint32_t at, uint32_t end, const char *const *words)
{
    for (; *words; words++)
        if (is(r, at, end, *words))
            return true;
    return false;
}

/* Looks like a macro: capitals, or the two underscores of a compiler's or system's own word. */
static bool is_macro_like(reader r, uint32_t at, uint32_t end)
{
    static const char *const known[] = {
        "__attribute__", "__attribute", "__declspec", "__extension__", "__asm__", "__asm",
        "__typeof__",    "__typeof",    "__thread",   "__signed__",    "__const", "__volatile__",
        "__restrict",    "__int64",     "__cdecl",    "__stdcall",     NULL};
    bool letter = false;
    if (end - at < 3)
        return false;
    if (r.s[at] == '_' && r.s[at + 1] == '_')
        return !is_one_of(r, at, end, known);
    for (uint32_t i = at; i < end; i++) {
        if (r.s[i] >= 'a' && r.s[i] <= 'z')
            return false;
        letter |= r.s[i] >= 'A' && r.s[i] <= 'Z';
    }
    return letter;
}

static const char *const type_words[] = {"class", "struct", "union", "enum", NULL};
static const char *const qualifiers[] = {"const", "volatile", "restrict", "constexpr", NULL};
/* Words before a type, which are not one. */
static const char *const no_types[] = {"static",   "extern",    "inline",    "const",    "volatile",
                                       "register", "constexpr", "virtual",   "explicit", "friend",
                                       "typedef",  "template",  "typename",  "unsigned", "signed",
                                       "public",   "private",   "protected", NULL};
/* Words that may stand between a function's parameters and its body. */
static const char *const after_names[] = {"const", "volatile", "override", "final", "noexcept", NULL};
/* A statement, not a declaration, begins with these. */
static const char *const statements[] = {"if",     "else",    "for",   "while",    "do",    "switch", "case",
                                         "return", "goto",    "break", "continue", "throw", "new",    "delete",
                                         "sizeof", "default", "and",   "or",       "not",   NULL};

/* Is there a "type name" at i? Qualified types, template arguments and stars may stand in it. */
static bool type_and_name(reader r, uint32_t i)
{
    uint32_t end;
    for (;;) {
        if (i >= r.n || !is_start(r.s[i]))
            return false;
        end = word_end(r, i);
        if (is_one_of(r, i, end, statements))
            return false;
        if (!is_one_of(r, i, end, qualifiers))
            break;
        i = skip_gap(r, end);
    }
    if (is(r, i, end, "operator"))
        return false;
    i = skip_gap(r, end);
    for (int level = 0; level < 8; level++) {
        if (i < r.n && r.s[i] == '<') {
            const uint32_t past = skip_brackets(r, i, '<', '>');
            if (past == i)
                return false;
            i = skip_gap(r, past);
        } else if (i + 1 < r.n && r.s[i] == ':' && r.s[i + 1] == ':') {
            i = skip_gap(r, i + 2);
            if (i >= r.n || !is_start(r.s[i]))
                return false;
            i = skip_gap(r, word_end(r, i));
        } else {
            break;
        }
    }
    while (i < r.n && (r.s[i] == '*' || r.s[i] == '&'))
        i = skip_gap(r, i + 1);
    if (i < r.n && (is_start(r.s[i]) || r.s[i] == '~'))
        return true;
    if (i >= r.n || r.s[i] != '(')
        return false;
    i = skip_gap(r, i + 1); /* int (*hook)(void), and int (name)(void), which keeps a macro of that name out */
    if (i < r.n && r.s[i] == '*')
        return true;
    i = skip_gap(r, word_end(r, i));
    i = i < r.n && r.s[i] == ')' ? skip_gap(r, i + 1) : r.n;
    return i < r.n && r.s[i] == '(';
}

static void blank_out(dr_walk *w, char *copy, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++)
        if (copy[i] != '\n' && copy[i] != '\r')
            copy[i] = ' ';
    dr_walk__lexical_range(w, begin, end);
}

/* copy holds the text and is changed in place. */
void dr_soften(dr_walk *w, char *copy)
{
    const reader r = {w->text.s, (uint32_t)w->text.n};
    uint32_t previous = 0, previous_end = 0; /* the word before, if nothing but blanks lies between */
    uint32_t type = 0, type_end = 0;         /* the last class or struct that was named */
    char before = ';';                       /* the last thing that is not blank; '.' for every way to reach a member */
    bool line_start = true;

    for (uint32_t i = 0; i < r.n;) {
        const char c = r.s[i];
        if (c == '\n') {
            line_start = true;
            i++;
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\r') {
            i++;
            continue;
        }
        const uint32_t gap = skip_gap(r, i);
        if (gap != i) { /* a comment */
            i = gap;
            continue;
        }
        if (c == '#' && line_start) { /* a directive and its continued lines */
            while (i < r.n && r.s[i] != '\n')
                i += r.s[i] == '\\' && i + 1 < r.n ? (r.s[i + 1] == '\r' ? 3 : 2) : 1;
            previous_end = 0;
            before = ';';
            continue;
        }
        const bool first = line_start;
        line_start = false;
        if (c == '"' || c == '\'') {
            uint32_t q = i + 1;
            while (q < r.n && r.s[q] != c && r.s[q] != '\n')
                q += r.s[q] == '\\' ? 2 : 1;
            i = q < r.n ? q + 1 : r.n;
            before = c;
            previous_end = 0;
            continue;
        }
        if (!is_start(c)) {
            before = (c == '>' && i && r.s[i - 1] == '-') || (c == ':' && i && r.s[i - 1] == ':') ? '.' : c;
            previous_end = 0;
            i = c >= '0' && c <= '9' ? word_end(r, i) : i + 1;
            continue;
        }
        const uint32_t end = word_end(r, i), next = skip_gap(r, end);
        if (previous_end && is_one_of(r, previous, previous_end, type_words)) {
            type = i;
            type_end = end;
        }
        if (first && is_macro_like(r, i, end) && (next >= r.n || r.s[next] == '#') &&
            (strchr(";{})", before) || (previous_end && is_macro_like(r, previous, previous_end)))) {
            blank_out(w, copy, i, end); /* END_NAMESPACE and the like, with nothing to follow */
            i = end;
            continue;
        }
        if (is_macro_like(r, i, end) && before != '.' && next < r.n) {
            const bool after_type = previous_end && is_one_of(r, previous, previous_end, type_words);
            if (after_type && is_start(r.s[next])) { /* class API name { */
                const uint32_t name_end = word_end(r, next), then = skip_gap(r, name_end);
                if (then < r.n &&
                    (r.s[then] == '{' || (r.s[then] == ':' && !(then + 1 < r.n && r.s[then + 1] == ':')) ||
                     r.s[then] == '<' || is(r, then, word_end(r, then), "final"))) {
                    blank_out(w, copy, i, end);
                    i = end;
                    continue;
                }
            } else if (after_type && r.s[next] == '(') { /* class API("x") name { */
                const uint32_t past = skip_brackets(r, next, '(', ')'), name = skip_gap(r, past);
                const uint32_t then = skip_gap(r, word_end(r, name));
                if (past != next && then != name && then < r.n &&
                    (r.s[then] == '{' || (r.s[then] == ':' && !(then + 1 < r.n && r.s[then + 1] == ':')))) {
                    blank_out(w, copy, i, past);
                    i = past;
                    continue;
                }
            } else if (is_start(r.s[next]) && !after_type) {
                const uint32_t name_end = word_end(r, next), then = skip_gap(r, name_end);
                const bool called = then < r.n && r.s[then] == '(';
                /* int API name(..), and API name(..) where name is the class: a constructor */
                const bool after_typed =
                    called && (before == '*' || (previous_end && !is_one_of(r, previous, previous_end, no_types) &&
                                                 !is_one_of(r, previous, previous_end, statements)));
                const bool constructor = called && name_end - next == type_end - type &&
                                         memcmp(r.s + next, r.s + type, type_end - type) == 0;
                const bool conversion =
                    is(r, next, name_end, "operator") && then < r.n && is_start(r.s[then]) && strchr(";{}:)", before);
                if (type_and_name(r, next) || after_typed || constructor || conversion) {
                    blank_out(w, copy, i, end);
                    i = end;
                    continue;
                }
            } else if (r.s[next] == '~' && strchr(";{}:", before)) { /* API ~name() { */
                blank_out(w, copy, i, end);
                i = end;
                continue;
            } else if (r.s[next] == '(' && (strchr(";{}):>", before) || previous_end)) { /* ATTR(x) type name */
                const uint32_t past = skip_brackets(r, next, '(', ')'), then = skip_gap(r, past);
                const bool after_parameters =
                    before == ')' || (previous_end && is_one_of(r, previous, previous_end, after_names));
                if (after_parameters && past != next && then < r.n && r.s[then] == '{') { /* f(..) const LOCKS(x) { */
                    blank_out(w, copy, i, past);
                    i = past;
                    continue;
                }
                const uint32_t then_end = past != next && then < r.n && is_start(r.s[then]) ? word_end(r, then) : then;
                const uint32_t after = skip_gap(r, then_end);
                const bool constructor = type_end - type == then_end - then && after < r.n && r.s[after] == '(' &&
                                         memcmp(r.s + then, r.s + type, type_end - type) == 0;
                if (then_end != then &&
                    (type_and_name(r, then) || constructor ||
                     (is_macro_like(r, then, then_end) && after < r.n && r.s[after] == '(' && strchr(";}", before)))) {
                    blank_out(w, copy, i, past);
                    i = past;
                    continue;
                }
            }
        }
        previous = i;
        previous_end = end;
        before = r.s[end - 1];
        i = end;
    }
}
