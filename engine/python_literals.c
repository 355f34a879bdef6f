#include "engine/python_literals.h"

#include "base/arena.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

/* What reading a value may end in. NO: the value is of a kind that is not read. BROKEN: the file is, or memory ran out. */
typedef enum outcome { YES, NO, BROKEN } outcome;

typedef struct reader {
    const char *s; /* line ends are \n alone */
    size_t n, at;
    int line;
    dr_python_texts *out;
    size_t cap, n_bytes; /* of texts so far */
    dr_arena *arena;
    const char *why;     /* of NO */
    const char *problem; /* of BROKEN; NULL: out of memory */
} reader;

typedef struct prefix {
    bool raw, format, bytes;
} prefix;

static outcome not_read(reader *r, const char *why)
{
    r->why = why;
    return NO;
}

static outcome broken(reader *r, const char *problem)
{
    r->problem = problem;
    return BROKEN;
}

static outcome too_much(reader *r, const char *problem)
{
    return broken(r, problem);
}

static int peek(const reader *r, size_t ahead)
{
    return r->n - r->at > ahead ? (unsigned char)r->s[r->at + ahead] : -1;
}

static void step(reader *r)
{
    r->line += r->s[r->at++] == '\n';
}

/* ASCII only: a name of other letters is no name we look for. */
static bool starts_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool in_name(int c)
{
    return starts_name(c) || (c >= '0' && c <= '9');
}

static dr_str read_name(reader *r)
{
    const size_t from = r->at;

    while (in_name(peek(r, 0)))
        r->at++;
    return (dr_str){r->s + from, r->at - from};
}

static void skip_comment(reader *r)
{
    while (peek(r, 0) >= 0 && peek(r, 0) != '\n')
        r->at++;
}

/* Blanks, comments and joined lines; line ends too inside parentheses. */
static void skip_blank(reader *r, bool inside)
{
    for (;;) {
        const int c = peek(r, 0);
        if (c == ' ' || c == '\t' || c == '\f' || (inside && c == '\n'))
            step(r);
        else if (c == '\\' && peek(r, 1) == '\n') {
            step(r);
            step(r);
        } else if (c == '#')
            skip_comment(r);
        else
            return;
    }
}

/* A name that directly precedes a quote is a prefix, when it is one. */
static bool is_prefix(prefix *out, dr_str name)
{
    *out = (prefix){0};
    if (name.n > 2)
        return false;
    int n_kinds = 0;
    for (size_t i = 0; i < name.n; i++) {
        const char c = (char)(name.s[i] | 0x20);
        if (c == 'r' && !out->raw)
            out->raw = true;
        else if (c == 'f' || c == 'b' || c == 'u') {
            out->format |= c == 'f';
            out->bytes |= c == 'b';
            n_kinds++;
            if (c == 'u' && name.n == 2)
                return false;
        } else
            return false;
    }
    return n_kinds <= 1;
}

static outcome add(reader *r, dr_buf *out, const char *s, size_t n)
{
    if (out->n + n > DR_PYTHON_TEXT_BYTES - r->n_bytes)
        return too_much(r, "the texts take too many bytes");
    dr_buf_add(out, s, n);
    return out->failed ? broken(r, NULL) : YES;
}

static int hex_digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind the backslash. In a text that is only stepped over, out is NULL and all escapes are fine. */
static outcome read_escape(reader *r, dr_buf *out)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const int c = peek(r, 0);
    uint32_t code = 0;
    char utf8[4];

    if (c < 0)
        return broken(r, "a string does not end");
    if (c == '\n' || !out) { /* a line end takes the backslash with it */
        step(r);
        return YES;
    }
    const char *hit = c ? strchr(from, c) : NULL;
    if (hit) {
        r->at++;
        return add(r, out, &to[hit - from], 1);
    }
    if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3 && peek(r, 0) >= '0' && peek(r, 0) <= '7'; i++)
            code = code << 3 | (uint32_t)(r->s[r->at++] - '0');
    } else if (c == 'x' || c == 'u' || c == 'U') {
        r->at++;
        for (int i = c == 'x' ? 2 : c == 'u' ? 4 : 8; i > 0; i--, r->at++) {
            const int digit = hex_digit(peek(r, 0));
            if (digit < 0)
                return not_read(r, "an escape has too few hexadecimal digits");
            code = code << 4 | (uint32_t)digit;
        }
        if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return not_read(r, "an escape that stands for no character");
    } else if (c == 'N')
        return not_read(r, "an escape by a character's name, \\N{...}");
    else
        return add(r, out, "\\", 1); /* no escape: Python keeps both characters */
    return add(r, out, utf8, dr_utf8_encode(utf8, code));
}

static outcome read_string(reader *r, prefix how, dr_buf *out, int depth);

/* Behind the '{' of an f-string, to behind its '}'. */
static outcome skip_field(reader *r, int depth)
{
    int open = 0;
    bool spec = false; /* behind ':', where quotes are plain characters */
    outcome o;

    if (depth >= DR_PYTHON_DEPTH)
        return too_much(r, "strings are nested too deep");
    for (;;) {
        const int c = peek(r, 0);
        prefix how = {0};
        if (c < 0)
            return broken(r, "the braces of an f-string do not end");
        if (c == '}' && open == 0) {
            r->at++;
            return YES;
        }
        if (!spec && starts_name(c)) {
            const dr_str name = read_name(r);
            if ((peek(r, 0) != '"' && peek(r, 0) != '\'') || !is_prefix(&how, name))
                continue;
        }
        const int q = peek(r, 0);
        if (!spec && (q == '"' || q == '\'')) {
            if ((o = read_string(r, how, NULL, depth + 1)) != YES)
                return o;
            continue;
        }
        spec = spec || (c == ':' && open == 0);
        if (spec && c == '{') {
            r->at++;
            if ((o = skip_field(r, depth + 1)) != YES)
                return o;
            continue;
        }
        open += c == '(' || c == '[' || c == '{' ? 1 : c == ')' || c == ']' || c == '}' ? -1 : 0;
        if (open < 0)
            return broken(r, "brackets that do not match");
        step(r);
    }
}

/* Behind the '{' of an f-string whose text is wanted: the name of a text, or the value is not read. */
static outcome read_field(reader *r, dr_buf *out, int depth)
{
    const size_t from = r->at;
    const int line = r->line;
    const dr_str name = read_name(r);

    if (name.n && peek(r, 0) == '}') {
        r->at++;
        for (size_t i = 0; i < r->out->n; i++) {
            const dr_python_text *t = &r->out->v[i];
            if (!t->why && !t->key.s && dr_str_eq(t->name, name))
                return add(r, out, t->text.s, t->text.n);
        }
        return not_read(r, "an f-string with a name that is no text assigned above");
    }
    r->at = from;
    r->line = line;
    const outcome o = skip_field(r, depth);
    return o == YES ? not_read(r, "an f-string with more than names in its braces") : o;
}

/* At the opening quote. out NULL: only steps over it. A value that is not read may leave the place anywhere. */
static outcome read_string(reader *r, prefix how, dr_buf *out, int depth)
{
    const char quote = r->s[r->at];
    const bool triple = peek(r, 1) == quote && peek(r, 2) == quote;
    outcome o = YES;

    if (out && how.bytes)
        return not_read(r, "bytes, not a text");
    r->at += triple ? 3 : 1;
    for (;;) {
        const size_t from = r->at;
        while (r->at < r->n && r->s[r->at] != quote && r->s[r->at] != '\\' && r->s[r->at] != '\n' && r->s[r->at] != '{' && r->s[r->at] != '}')
            r->at++;
        if (out && (o = add(r, out, r->s + from, r->at - from)) != YES)
            return o;
        const int c = peek(r, 0);
        if (c < 0 || (c == '\n' && !triple))
            return broken(r, "a string does not end");
        if (c == quote && (!triple || (peek(r, 1) == quote && peek(r, 2) == quote))) {
            r->at += triple ? 3 : 1;
            return YES;
        }
        if (c == '\\') {
            r->at++;
            if (!how.raw)
                o = read_escape(r, out);
            else if (peek(r, 0) < 0)
                o = broken(r, "a string does not end");
            else { /* a raw string keeps the backslash and what it guards; braces it does not guard */
                const bool brace = how.format && (peek(r, 0) == '{' || peek(r, 0) == '}');
                if (out)
                    o = add(r, out, r->s + r->at - 1, brace ? 1 : 2);
                if (!brace)
                    step(r);
            }
        } else if (how.format && (c == '{' || c == '}')) {
            const bool twice = peek(r, 1) == c;
            r->at += twice ? 2 : 1;
            if (twice)
                o = out ? add(r, out, c == '{' ? "{" : "}", 1) : YES;
            else if (c == '}')
                o = broken(r, "a '}' alone in an f-string");
            else
                o = out ? read_field(r, out, depth) : skip_field(r, depth);
        } else {
            if (out)
                o = add(r, out, r->s + r->at, 1);
            step(r);
        }
        if (o != YES)
            return o;
    }
}

/* One token, or one character of what is no token, of a line that is stepped over. *open counts brackets. */
static outcome skip_token(reader *r, int *open)
{
    const int c = peek(r, 0);
    prefix how = {0};

    if (in_name(c)) {
        const dr_str name = read_name(r);
        if ((peek(r, 0) != '"' && peek(r, 0) != '\'') || !is_prefix(&how, name))
            return YES;
    }
    if (peek(r, 0) == '"' || peek(r, 0) == '\'')
        return read_string(r, how, NULL, 0);
    if (c == '#') {
        skip_comment(r);
        return YES;
    }
    if (c == '\\' && peek(r, 1) == '\n')
        step(r);
    /* Brackets that close what was never opened are Python's affair. */
    *open += c == '(' || c == '[' || c == '{' ? 1 : (c == ')' || c == ']' || c == '}') && *open > 0 ? -1 : 0;
    step(r);
    return YES;
}

/* To behind the end of the logical line. */
static outcome skip_line(reader *r)
{
    int open = 0;
    outcome o = YES;

    while (o == YES && r->at < r->n) {
        if (r->s[r->at] == '\n' && open == 0) {
            step(r);
            break;
        }
        o = skip_token(r, &open);
    }
    return o;
}

/* A text: terms joined by '+'. */
static outcome read_text(reader *r, dr_buf *out, bool inside, int depth)
{
    outcome o;

    if (depth >= DR_PYTHON_DEPTH)
        return too_much(r, "parentheses are nested too deep");
    for (;;) {
        bool any = false; /* a literal of this term was read: more may stand beside it */
        for (;;) {
            skip_blank(r, inside);
            const size_t from = r->at;
            prefix how = {0};
            const dr_str name = starts_name(peek(r, 0)) ? read_name(r) : (dr_str){0};
            const int c = peek(r, 0);
            if ((c == '"' || c == '\'') && is_prefix(&how, name)) {
                if ((o = read_string(r, how, out, 0)) != YES)
                    return o;
                any = true;
                continue;
            }
            if (any) {
                r->at = from;
                break;
            }
            if (name.n) {
                const dr_python_text *found = NULL;
                for (size_t i = 0; i < r->out->n && !found; i++)
                    if (!r->out->v[i].why && !r->out->v[i].key.s && dr_str_eq(r->out->v[i].name, name))
                        found = &r->out->v[i];
                if (!found)
                    return not_read(r, "no text, but something else");
                if ((o = add(r, out, found->text.s, found->text.n)) != YES)
                    return o;
                break;
            }
            if (c != '(')
                return not_read(r, "no text, but something else");
            r->at++;
            if ((o = read_text(r, out, true, depth + 1)) != YES)
                return o;
            if (peek(r, 0) != ')')
                return not_read(r, "more than a text in parentheses");
            r->at++;
            break;
        }
        skip_blank(r, inside);
        if (peek(r, 0) != '+' || peek(r, 1) == '=')
            return YES;
        r->at++;
    }
}

static dr_str keep(reader *r, const dr_buf *b)
{
    char *copy = dr_arena_take(r->arena, b->n + 1);

    if (copy && b->n)
        memcpy(copy, b->data, b->n);
    return (dr_str){copy, b->n};
}

static outcome new_entry(reader *r, dr_python_text entry)
{
    dr_python_texts *t = r->out;

    if (t->n == DR_PYTHON_ENTRIES)
        return too_much(r, "too many assignments");
    if (t->n == r->cap) {
        const size_t cap = r->cap ? 2 * r->cap : 64;
        dr_python_text *grown = realloc(t->v, cap * sizeof *grown);
        if (!grown)
            return broken(r, NULL);
        t->v = grown;
        r->cap = cap;
    }
    t->v[t->n++] = entry;
    r->n_bytes += entry.text.n + entry.key.n;
    return YES;
}

static outcome read_dict(reader *r, dr_str name, int line)
{
    dr_buf key = {0}, text = {0};
    outcome o = YES;

    for (r->at++;;) {
        skip_blank(r, true);
        if (peek(r, 0) == '}')
            break;
        dr_buf_clear(&key);
        dr_buf_clear(&text);
        if ((o = read_text(r, &key, true, 0)) != YES)
            goto done;
        if (peek(r, 0) != ':') {
            o = not_read(r, "no dict of texts");
            goto done;
        }
        r->at++;
        skip_blank(r, true);
        if (r->n - r->at > 4 && memcmp(r->s + r->at, "None", 4) == 0 && !in_name(peek(r, 4))) {
            r->at += 4;
            skip_blank(r, true);
        } else if ((o = read_text(r, &text, true, 0)) != YES)
            goto done;
        const dr_python_text entry = {.name = name, .key = keep(r, &key), .text = keep(r, &text), .line = line};
        if (!entry.key.s || !entry.text.s) {
            o = broken(r, NULL);
            goto done;
        }
        if ((o = new_entry(r, entry)) != YES)
            goto done;
        if (peek(r, 0) != ',' && peek(r, 0) != '}') {
            o = not_read(r, "no dict of texts");
            goto done;
        }
        r->at += peek(r, 0) == ',';
    }
    r->at++;
done:
    dr_buf_free(&key);
    dr_buf_free(&text);
    return o;
}

/* At the first character of a statement's value; to the end of the statement. */
static outcome read_value(reader *r, dr_str name, int line)
{
    dr_buf text = {0};
    outcome o;

    skip_blank(r, false);
    if (peek(r, 0) == '{')
        o = read_dict(r, name, line);
    else if ((o = read_text(r, &text, false, 0)) == YES) {
        const dr_python_text entry = {.name = name, .text = keep(r, &text), .line = line};
        o = entry.text.s ? new_entry(r, entry) : broken(r, NULL);
    }
    dr_buf_free(&text);
    if (o != YES)
        return o;
    skip_blank(r, false);
    const int c = peek(r, 0);
    return c < 0 || c == '\n' || c == ';' ? YES : not_read(r, "more than a text");
}

static void forget(reader *r, dr_str name, size_t n)
{
    dr_python_texts *t = r->out;
    size_t kept = 0;

    for (size_t i = 0; i < t->n; i++)
        if (i >= n || !dr_str_eq(t->v[i].name, name))
            t->v[kept++] = t->v[i];
    t->n = kept;
}

/* `NAME [: TYPE] =`. YES leaves the place behind the '='; *changed: another operator works on a name's old value. */
static outcome read_target(reader *r, dr_str *name, bool *changed)
{
    int open = 0;
    outcome o;

    *name = read_name(r);
    skip_blank(r, false);
    *changed = peek(r, 0) >= 0 && strchr("+-*/%&|^@", peek(r, 0)) && (peek(r, 1) == '=' || peek(r, 2) == '=');
    if (peek(r, 0) == ':') {
        while (r->at < r->n && (open > 0 || (r->s[r->at] != '=' && r->s[r->at] != '\n')))
            if ((o = skip_token(r, &open)) != YES)
                return o;
    }
    if (peek(r, 0) != '=' || peek(r, 1) == '=')
        return NO;
    r->at++;
    return YES;
}

/* A statement at the left margin, to behind the end of its line. */
static outcome read_statement(reader *r)
{
    for (;;) {
        const size_t from = r->at, before = r->out->n;
        const int line = r->line;
        dr_str name = {0};
        bool changed = false;
        outcome o = starts_name(peek(r, 0)) ? read_target(r, &name, &changed) : NO;
        const bool assigns = o == YES || changed;
        if (o == YES)
            o = read_value(r, name, line);
        else if (changed)
            (void)not_read(r, "a value changed in place");
        if (o == BROKEN)
            return o;
        if (assigns)
            forget(r, name, before);
        if (o == NO) {
            r->at = from;
            r->line = line;
            if (assigns) {
                size_t kept = 0; /* the entries of a dict that ends in something else */
                while (kept < r->out->n && !dr_str_eq(r->out->v[kept].name, name))
                    kept++;
                r->out->n = kept;
                if ((o = new_entry(r, (dr_python_text){.name = name, .line = line, .why = r->why})) != YES)
                    return o;
            }
            return skip_line(r);
        }
        if (peek(r, 0) != ';')
            return skip_line(r);
        r->at++;
        skip_blank(r, false);
    }
}

static outcome read_file(reader *r)
{
    outcome o = YES;

    while (o == YES && r->at < r->n) {
        const int c = peek(r, 0);
        /* What is indented belongs to something else; blank lines and comments are stepped over the same way. */
        o = starts_name(c) ? read_statement(r) : skip_line(r);
    }
    return o;
}

/* One copy with \n as the only line end, which is what Python makes of a file. */
static dr_str normal_lines(dr_arena *arena, dr_str source)
{
    char *text = dr_arena_take(arena, source.n + 1);
    size_t n = 0;

    for (size_t i = 0; text && i < source.n; i++) {
        if (source.s[i] == '\r' && i + 1 < source.n && source.s[i + 1] == '\n')
            continue;
        text[n++] = source.s[i] == '\r' ? '\n' : source.s[i];
    }
    return (dr_str){text, n};
}

dr_status dr_python_texts_read(dr_python_texts *out, dr_str source, const char *name, dr_error *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    reader r = {.line = 1, .out = out};
    dr_status st = DR_OK;

    *out = (dr_python_texts){0};
    if (source.n > DR_PYTHON_FILE_BYTES)
        return dr_fail(err, DR_ERR_FORMAT, "%s: %zu bytes of Python, more than %d", name, source.n, DR_PYTHON_FILE_BYTES);
    if (source.n && (dr_utf8_prefix(source.s, source.n) != source.n || memchr(source.s, 0, source.n)))
        return dr_fail(err, DR_ERR_FORMAT, "%s: not a Python file in UTF-8", name);
    if (source.n >= 3 && memcmp(source.s, mark, 3) == 0)
        source = (dr_str){source.s + 3, source.n - 3};
    if (!(out->storage = r.arena = dr_arena_new(4096 + 2 * source.n)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    const dr_str text = normal_lines(r.arena, source);
    r.s = text.s;
    r.n = text.n;
    if (!text.s || read_file(&r) != YES) {
        if (!text.s || !r.problem)
            st = dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
        else
            st = dr_fail(err, DR_ERR_FORMAT, "%s: line %d: %s", name, r.line, r.problem);
        dr_python_texts_free(out);
    }
    return st;
}

void dr_python_texts_free(dr_python_texts *t)
{
    dr_arena_free(t->storage);
    free(t->v);
    *t = (dr_python_texts){0};
}

const dr_python_text *dr_python_text_get(const dr_python_texts *t, const char *name, const char *key)
{
    for (size_t i = t->n; i-- > 0;) { /* of a key that stands twice, the last counts */
        const dr_python_text *v = &t->v[i];
        if (!v->why && dr_str_eq(v->name, dr_str_of(name)) && (key ? v->key.s && dr_str_eq(v->key, dr_str_of(key)) : !v->key.s))
            return v;
    }
    return NULL;
}
