/* What can be said about text without a tree: uses by reading word by word, definitions by how their first line looks.
 */
#include "repo/extract.h"

#include <string.h>

static bool is_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (c & 0x80);
}

static bool is_part(char c)
{
    return is_start(c) || (c >= '0' && c <= '9');
}

static bool is_c_like(dr_lang lang)
{
    return lang == DR_LANG_C || lang == DR_LANG_CPP || lang == DR_LANG_CUDA;
}

static bool has_braces(dr_lang lang)
{
    return lang != DR_LANG_PYTHON && lang != DR_LANG_RUBY && lang != DR_LANG_LUA && lang != DR_LANG_ELIXIR;
}

/* Past a string, a character or a comment that starts at i; i itself when none does. Lines are counted into *line. */
static uint32_t skip_quiet(const dr_walk *w, uint32_t i, uint32_t end, uint32_t *line)
{
    const char *s = w->text.s;
    const char c = s[i];
    const bool hash_comments =
        w->lang == DR_LANG_PYTHON || w->lang == DR_LANG_RUBY || w->lang == DR_LANG_BASH || w->lang == DR_LANG_ELIXIR;
    const char twice = w->lang == DR_LANG_LUA ? '-' : '/';

    if ((hash_comments && c == '#') || (w->lang == DR_LANG_PHP && c == '#' && i + 1 < end && s[i + 1] != '[') ||
        (!hash_comments && c == twice && i + 1 < end && s[i + 1] == twice)) {
        while (i < end && s[i] != '\n')
            i++;
        return i;
    }
    if (!hash_comments && c == '/' && i + 1 < end && s[i + 1] == '*') {
        for (i += 2; i < end && !(s[i] == '*' && i + 1 < end && s[i + 1] == '/'); i++)
            *line += s[i] == '\n';
        return i + 2 < end ? i + 2 : end;
    }
    if (c == '"' || c == '\'' || (c == '`' && w->lang >= DR_LANG_JAVASCRIPT && w->lang <= DR_LANG_GO)) {
        if (c == '\'' && w->lang == DR_LANG_RUST) /* as likely a lifetime: at most one character is quoted */
            return i + 2 < end && s[i + 1] != '\\' && s[i + 2] == '\'' ? i + 3 : i + 1;
        uint32_t k = i + 1;
        for (; k < end && s[k] != c && (s[k] != '\n' || c == '`'); k++) {
            if (s[k] == '\\' && k + 1 < end)
                k++;
            *line += s[k] == '\n';
        }
        return k < end && s[k] == c ? k + 1 : k;
    }
    return i;
}

void dr_lexical__uses(dr_walk *w, uint32_t begin, uint32_t end, uint32_t line)
{
    const char *s = w->text.s;
    if (w->lang >= DR_LANG_HTML) /* an outline's words are not names */
        return;
    for (uint32_t i = begin; i < end;) {
        const uint32_t next = skip_quiet(w, i, end, &line);
        if (next != i) {
            i = next;
        } else if (is_start(s[i])) {
            const uint32_t at = i;
            while (i < end && is_part(s[i]))
                i++;
            uint32_t k = i;
            while (k < end && (s[k] == ' ' || s[k] == '\t'))
                k++;
            if (!(w->mark[at] & DR_MARK_DEF))
                dr_walk__use_at(w, at, i - at, line, k < end && s[k] == '(');
        } else if (s[i] >= '0' && s[i] <= '9') {
            while (i < end && is_part(s[i]))
                i++;
        } else {
            line += s[i] == '\n';
            i++;
        }
    }
}

/* The line on which the brace that opens at or after i (within the next lines) closes; `line` when there is none. Looks
 * at as many bytes as the budget has left, or else every `struct {` of a thousand that never end would lead to the end.
 */
static uint32_t block_end(const dr_walk *w, uint32_t i, uint32_t line, bool *opened, uint64_t *budget)
{
    const uint32_t left = (uint32_t)w->text.n - i, end = *budget < left ? i + (uint32_t)*budget : i + left, from = i,
                   first = line;
    int depth = 0;

    *opened = false;
    while (i < end) {
        const uint32_t next = skip_quiet(w, i, end, &line);
        if (next != i) {
            i = next;
            continue;
        }
        const char c = w->text.s[i++];
        line += c == '\n';
        if (!*opened && (c == ';' || line > first + 24))
            break;
        if (c == '{') {
            *opened = true;
            depth++;
        } else if (c == '}' && --depth <= 0) {
            break;
        }
    }
    *budget -= i - from;
    return *opened ? line : first;
}

typedef struct word {
    uint32_t at, n;
} word;

static word next_word(const dr_walk *w, uint32_t i, uint32_t end)
{
    const char *s = w->text.s;
    while (i < end && (s[i] == ' ' || s[i] == '\t' || s[i] == '*' || s[i] == '&'))
        i++;
    word r = {i, 0};
    while (i < end && is_part(s[i]) && (r.n || is_start(s[i])))
        i++, r.n++;
    return r;
}

static bool word_is(const dr_walk *w, word x, const char *text)
{
    return x.n == strlen(text) && memcmp(w->text.s + x.at, text, x.n) == 0;
}

/* A keyword that is followed by the name it defines. */
typedef struct keyword {
    const char *text;
    dr_sym_kind kind;
} keyword;

static const keyword *keywords_of(dr_lang lang)
{
    static const keyword python[] = {{"def", DR_SYM_FUNCTION}, {"class", DR_SYM_CLASS}, {NULL, 0}};
    static const keyword js[] = {{"function", DR_SYM_FUNCTION},   {"class", DR_SYM_CLASS},
                                 {"interface", DR_SYM_INTERFACE}, {"enum", DR_SYM_ENUM},
                                 {"namespace", DR_SYM_MODULE},    {NULL, 0}};
    static const keyword go[] = {{"func", DR_SYM_FUNCTION}, {"type", DR_SYM_TYPE}, {NULL, 0}};
    static const keyword rust[] = {{"fn", DR_SYM_FUNCTION},
                                   {"struct", DR_SYM_STRUCT},
                                   {"enum", DR_SYM_ENUM},
                                   {"trait", DR_SYM_TRAIT},
                                   {"union", DR_SYM_UNION},
                                   {"mod", DR_SYM_MODULE},
                                   {NULL, 0}};
    static const keyword java[] = {
        {"class", DR_SYM_CLASS}, {"interface", DR_SYM_INTERFACE}, {"enum", DR_SYM_ENUM}, {NULL, 0}};
    static const keyword c[] = {{"struct", DR_SYM_STRUCT}, {"union", DR_SYM_UNION}, {"enum", DR_SYM_ENUM}, {NULL, 0}};
    static const keyword cpp[] = {{"struct", DR_SYM_STRUCT}, {"union", DR_SYM_UNION},      {"enum", DR_SYM_ENUM},
                                  {"class", DR_SYM_CLASS},   {"namespace", DR_SYM_MODULE}, {NULL, 0}};
    static const keyword csharp[] = {{"class", DR_SYM_CLASS},         {"struct", DR_SYM_STRUCT},
                                     {"interface", DR_SYM_INTERFACE}, {"enum", DR_SYM_ENUM},
                                     {"record", DR_SYM_CLASS},        {NULL, 0}};
    static const keyword ruby[] = {
        {"def", DR_SYM_METHOD}, {"class", DR_SYM_CLASS}, {"module", DR_SYM_MODULE}, {NULL, 0}};
    static const keyword php[] = {{"function", DR_SYM_FUNCTION},   {"class", DR_SYM_CLASS},
                                  {"interface", DR_SYM_INTERFACE}, {"trait", DR_SYM_TRAIT},
                                  {"enum", DR_SYM_ENUM},           {NULL, 0}};
    static const keyword kotlin[] = {{"fun", DR_SYM_FUNCTION},
                                     {"class", DR_SYM_CLASS},
                                     {"interface", DR_SYM_INTERFACE},
                                     {"object", DR_SYM_CLASS},
                                     {NULL, 0}};
    static const keyword swift[] = {{"func", DR_SYM_FUNCTION},
                                    {"class", DR_SYM_CLASS},
                                    {"struct", DR_SYM_STRUCT},
                                    {"enum", DR_SYM_ENUM},
                                    {"actor", DR_SYM_CLASS},
                                    {"protocol", DR_SYM_INTERFACE},
                                    {NULL, 0}};
    static const keyword scala[] = {{"def", DR_SYM_FUNCTION}, {"class", DR_SYM_CLASS}, {"object", DR_SYM_CLASS},
                                    {"trait", DR_SYM_TRAIT},  {"enum", DR_SYM_ENUM},   {NULL, 0}};
    static const keyword function[] = {{"function", DR_SYM_FUNCTION}, {NULL, 0}};
    static const keyword elixir[] = {{"def", DR_SYM_FUNCTION},
                                     {"defp", DR_SYM_FUNCTION},
                                     {"defmacro", DR_SYM_MACRO},
                                     {"defmacrop", DR_SYM_MACRO},
                                     {NULL, 0}};
    static const keyword zig[] = {{"fn", DR_SYM_FUNCTION}, {NULL, 0}};
    static const keyword nothing[] = {{NULL, 0}};
    switch (lang) {
    case DR_LANG_CSHARP: return csharp;
    case DR_LANG_RUBY: return ruby;
    case DR_LANG_PHP: return php;
    case DR_LANG_KOTLIN: return kotlin;
    case DR_LANG_SWIFT: return swift;
    case DR_LANG_SCALA: return scala;
    case DR_LANG_LUA:
    case DR_LANG_BASH: return function;
    case DR_LANG_ELIXIR: return elixir;
    case DR_LANG_ZIG: return zig;
    case DR_LANG_PYTHON: return python;
    case DR_LANG_JAVASCRIPT:
    case DR_LANG_TYPESCRIPT:
    case DR_LANG_TSX: return js;
    case DR_LANG_GO: return go;
    case DR_LANG_RUST: return rust;
    case DR_LANG_JAVA: return java;
    case DR_LANG_CPP:
    case DR_LANG_CUDA: return cpp;
    case DR_LANG_C: return c;
    default: return nothing;
    }
}

static bool is_modifier(const dr_walk *w, word x)
{
    static const char *const words[] = {"export", "default", "async",    "abstract", "public",  "private",  "protected",
                                        "static", "final",   "pub",      "unsafe",   "const",   "typedef",  "extern",
                                        "inline", "declare", "internal", "sealed",   "partial", "override", "virtual",
                                        "data",   "open",    "local",    "suspend",  "case",    "readonly"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (word_is(w, x, words[i]))
            return true;
    return false;
}

/* "struct NAME {", "class NAME", "fn NAME(" ... at the start of a line. */
static bool keyword_definition(dr_walk *w, uint32_t at, uint32_t line_end, uint32_t line, uint64_t *budget)
{
    const bool c_like = is_c_like(w->lang);
    word x = next_word(w, at, line_end);
    if (c_like && word_is(w, x, "template")) { /* template <...> class NAME { */
        int angles = 0;
        uint32_t i = x.at + x.n;
        do
            angles += i < line_end ? (w->text.s[i] == '<') - (w->text.s[i] == '>') : 0;
        while (++i < line_end && (angles > 0 || w->text.s[i] == ' ' || w->text.s[i] == '<'));
        x = next_word(w, i, line_end);
    }
    for (int i = 0; i < 6 && x.n && is_modifier(w, x); i++)
        x = next_word(w, x.at + x.n, line_end);
    if (x.n == 0)
        return false;
    for (const keyword *k = keywords_of(w->lang); k->text; k++) {
        if (!word_is(w, x, k->text))
            continue;
        uint32_t from = x.at + x.n;
        if (w->lang == DR_LANG_GO) /* func (r *T) name( */
            while (from < line_end && w->text.s[from] == ' ')
                from++;
        if (w->lang == DR_LANG_GO && from < line_end && w->text.s[from] == '(')
            while (from < line_end && w->text.s[from++] != ')')
                ;
        word name = next_word(w, from, line_end);
        bool opened = true;
        uint32_t last = line;
        if (w->lang == DR_LANG_LUA || w->lang == DR_LANG_RUBY) /* function a.b:name(, def self.name */
            while (name.at + name.n < line_end && strchr(".:", w->text.s[name.at + name.n])) {
                const word part = next_word(w, name.at + name.n + 1, line_end);
                if (part.n == 0)
                    break;
                name = part;
            }
        if (name.n == 0)
            return false;
        if (has_braces(w->lang))
            last = block_end(w, name.at + name.n, line, &opened, budget);
        if (c_like) { /* `struct foo *f(void) {` is a function: only a brace or a base may follow the name */
            uint32_t i = name.at + name.n;
            while (i < w->text.n &&
                   (w->text.s[i] == ' ' || w->text.s[i] == '\t' || w->text.s[i] == '\n' || w->text.s[i] == '\r'))
                i++;
            const bool base =
                w->lang != DR_LANG_C && i + 1 < w->text.n && w->text.s[i] == ':' && w->text.s[i + 1] != ':';
            if (i >= w->text.n || (w->text.s[i] != '{' && !base))
                return false;
        }
        if (opened || !c_like)
            dr_walk__define_at(w, name.at, name.n, line, line, last, k->kind);
        return true;
    }
    return false;
}

static bool in_capitals(const dr_walk *w, word x)
{
    for (uint32_t i = 0; i < x.n; i++)
        if (w->text.s[x.at + i] >= 'a' && w->text.s[x.at + i] <= 'z')
            return false;
    return true;
}

/* The "(group, name) {" of a test: words only between the parentheses, and a brace behind them. */
static bool is_group_and_name(const dr_walk *w, uint32_t i)
{
    const char *s = w->text.s;
    const uint32_t end = (uint32_t)w->text.n;
    bool comma = false;
    for (i++; i < end && s[i] != ')'; i++) {
        comma |= s[i] == ',';
        if (!is_part(s[i]) && !strchr(", \t\r\n", s[i]))
            return false;
    }
    for (i++; i < end && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n');)
        i++;
    return comma && i < end && s[i] == '{';
}

/* C's way: a line that starts at the margin, holds NAME( ... ) and is followed by a brace. */
static void function_at_margin(dr_walk *w, uint32_t at, uint32_t line, uint64_t *budget)
{
    enum { N_STATEMENTS = 8 }; /* of the list: a declaration does not begin with these either */
    static const char *const never[] = {"if",    "for",  "while",  "switch",        "return",  "else",
                                        "do",    "case", "sizeof", "typedef",       "defined", "struct",
                                        "union", "enum", "goto",   "__attribute__", "extern",  "namespace"};
    const char *s = w->text.s;
    const uint32_t end = (uint32_t)w->text.n;
    uint32_t i = at, n_lines = 0, name_line = line;
    word name = {0, 0}, first = {0, 0};

    if (!is_start(s[i]))
        return;
    /* the last word before the first parenthesis, template arguments behind it apart */
    int angles = 0, n_words = 0;
    for (; i < end && s[i] != '('; i++) {
        if (s[i] == '\n' && (++n_lines > 2 || (i + 1 < end && s[i + 1] == '#')))
            return;
        if (strchr(";={}\"'#,)/", s[i]) && !(angles && s[i] == ',')) /* '/': what stands in a comment is not code */
            return;
        angles += s[i] == '<' ? 1 : s[i] == '>' && angles ? -1 : 0;
        if (is_start(s[i])) {
            const word x = next_word(w, i, end);
            i += x.n - 1;
            first = first.n ? first : x;
            if (word_is(w, x, "operator"))
                return; /* its name is more than a word: only the parser knows it */
            if (angles == 0) {
                n_words += !word_is(w, x, "template");
                name = x;
                name_line = line + n_lines;
            }
        }
    }
    if (i >= end || angles || name.n == 0 || (n_words == 1 && in_capitals(w, name) && !is_group_and_name(w, i)))
        return;
    for (size_t k = 0; k < sizeof never / sizeof *never; k++)
        if (word_is(w, name, never[k]) || (k < N_STATEMENTS && word_is(w, first, never[k])))
            return;
    /* past the parameters */
    uint32_t now = line + n_lines;
    int depth = 0;
    for (; i < end; i++) {
        const uint32_t next = skip_quiet(w, i, end, &now);
        if (next != i) {
            i = next - 1;
            continue;
        }
        now += s[i] == '\n';
        depth += s[i] == '(' ? 1 : s[i] == ')' ? -1 : 0;
        if (depth == 0 || now > line + 40)
            break;
    }
    if (i >= end || depth != 0)
        return;
    /* Between them and the brace: nothing, attributes, or the parameter declarations of old C. */
    bool opened;
    uint32_t k = i + 1;
    while (k < end && (s[k] == ' ' || s[k] == '\t' || s[k] == '\r' || s[k] == '\n'))
        k++;
    if (k >= end || s[k] == ';' || s[k] == '=' || s[k] == ',')
        return;
    const uint32_t last = block_end(w, i + 1, now, &opened, budget);
    if (opened && name.at > at && s[name.at - 1] == '~') { /* a destructor; the class in it is not a use */
        w->mark[name.at--] |= DR_MARK_DEF;
        name.n++;
    }
    if (opened)
        dr_walk__define_at(w, name.at, name.n, name_line, line, last, DR_SYM_FUNCTION);
}

/* "#define NAME", which a region the parser gave up on may hold. */
static bool macro_definition(dr_walk *w, uint32_t at, uint32_t line_end, uint32_t line)
{
    const char *s = w->text.s;
    while (at < line_end && (s[at] == ' ' || s[at] == '\t'))
        at++;
    if (at >= line_end || s[at] != '#')
        return false;
    word x = next_word(w, at + 1, line_end);
    if (word_is(w, x, "define")) {
        x = next_word(w, x.at + x.n, line_end);
        dr_walk__define_at(w, x.at, x.n, line, line, line, DR_SYM_MACRO);
    }
    return true;
}

void dr_lexical__definitions(dr_walk *w, uint32_t begin, uint32_t end, uint32_t line)
{
    const char *s = w->text.s;
    const bool c_like = is_c_like(w->lang);
    uint64_t budget = 64 * (uint64_t)(end - begin) + 16384;

    /* A line is looked at whole, also when the trouble starts in its middle. */
    while (begin > 0 && s[begin - 1] != '\n')
        begin--;
    for (uint32_t at = begin; at < end && !w->failed;) {
        const char *nl = memchr(s + at, '\n', w->text.n - at);
        const uint32_t line_end = nl ? (uint32_t)(nl - s) : (uint32_t)w->text.n;
        if (line_end > at && !(c_like && macro_definition(w, at, line_end, line)) &&
            !keyword_definition(w, at, line_end, line, &budget) && c_like)
            function_at_margin(w, at, line, &budget);
        /* In C also past the lines of a comment that begins in it: prose is full of words that define. (Elsewhere what
         * looks like a comment's begin may be a pattern or a path.) */
        while (c_like && at < line_end) {
            const uint32_t next = skip_quiet(w, at, (uint32_t)w->text.n, &line);
            at = next > at ? next : at + 1;
        }
        nl = at > line_end ? memchr(s + at, '\n', w->text.n - at) : nl;
        at = nl ? (uint32_t)(nl - s) + 1 : (uint32_t)w->text.n;
        line++;
    }
}
