#include "engine/json.h"

#include "engine/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = (1 << 29) - 1, MAX_FLOAT_DIGITS = 17 };

typedef struct storage {
    dr_json *nodes;
    char *decoded; /* strings that held escapes; never longer than the text itself, so it never moves */
} storage;

typedef struct parser {
    const char *s;
    size_t n, at;
    storage *keep;
    size_t n_nodes, cap_nodes, n_decoded;
    const char *problem; /* set once, where parsing stopped */
} parser;

static bool stop(parser *p, const char *problem)
{
    if (!p->problem)
        p->problem = problem;
    return false;
}

static int peek(parser *p)
{
    while (p->at < p->n && (p->s[p->at] == ' ' || p->s[p->at] == '\n' || p->s[p->at] == '\r' || p->s[p->at] == '\t'))
        p->at++;
    return p->at < p->n ? (unsigned char)p->s[p->at] : -1;
}

static dr_json *new_node(parser *p, dr_json_type type)
{
    if (p->n_nodes == p->cap_nodes) {
        /* A guess from the text's size saves most of the copying for large files. */
        const size_t cap = p->cap_nodes ? 2 * p->cap_nodes : 16 + p->n / 16;
        dr_json *grown = realloc(p->keep->nodes, cap * sizeof *grown);
        if (!grown) {
            (void)stop(p, NULL);
            return NULL;
        }
        p->keep->nodes = grown;
        p->cap_nodes = cap;
    }
    dr_json *v = &p->keep->nodes[p->n_nodes++];
    *v = (dr_json){.type = (uint32_t)type & 7, .span = 1};
    return v;
}

static bool parse_hex4(parser *p, uint32_t *out)
{
    uint32_t v = 0;

    if (p->n - p->at < 4)
        return stop(p, "an escape is cut off");
    for (int i = 0; i < 4; i++) {
        const char c = p->s[p->at++];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return stop(p, "an escape has four hexadecimal digits");
        v = v << 4 | (uint32_t)digit;
    }
    *out = v;
    return true;
}

/* One escape, the backslash already read; appends what it stands for. */
static bool parse_escape(parser *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *out = p->keep->decoded;

    if (p->at == p->n)
        return stop(p, "an escape is cut off");
    const char c = p->s[p->at++];
    if (c != 'u') {
        const char *hit = c ? strchr(from, c) : NULL;
        if (!hit)
            return stop(p, "no such escape");
        out[p->n_decoded++] = to[hit - from];
        return true;
    }
    uint32_t code, low;
    if (!parse_hex4(p, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (p->n - p->at < 2 || p->s[p->at] != '\\' || p->s[p->at + 1] != 'u')
            return stop(p, "a lone surrogate");
        p->at += 2;
        if (!parse_hex4(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return stop(p, "a lone surrogate");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff)
        return stop(p, "a lone surrogate");
    p->n_decoded += dr_utf8_encode(out + p->n_decoded, code);
    return true;
}

/* The opening quote is next. */
static bool parse_string(parser *p)
{
    const size_t from = ++p->at;
    const size_t decoded_from = p->n_decoded;
    bool escaped = false;

    for (size_t plain = from;;) { /* plain: start of what has not been copied */
        while (p->at < p->n && p->s[p->at] != '"' && p->s[p->at] != '\\' && (unsigned char)p->s[p->at] >= 0x20)
            p->at++;
        if (p->at == p->n)
            return stop(p, "a string does not end");
        const char c = p->s[p->at];
        if (c != '"' && c != '\\')
            return stop(p, "a control character inside a string");
        if (dr_utf8_prefix(p->s + plain, p->at - plain) != p->at - plain)
            return stop(p, "a string is not UTF-8");
        if (c == '\\' || escaped) {
            if (!p->keep->decoded && !(p->keep->decoded = malloc(p->n)))
                return stop(p, NULL);
            memcpy(p->keep->decoded + p->n_decoded, p->s + plain, p->at - plain);
            p->n_decoded += p->at - plain;
        }
        p->at++;
        if (c == '"')
            break;
        escaped = true;
        if (!parse_escape(p))
            return false;
        plain = p->at;
    }
    dr_json *v = new_node(p, DR_JSON_STRING);
    if (!v)
        return false;
    v->text = escaped ? p->keep->decoded + decoded_from : p->s + from;
    v->n = (uint32_t)(escaped ? p->n_decoded - decoded_from : p->at - 1 - from);
    return true;
}

static bool skip_digits(parser *p)
{
    const size_t from = p->at;
    while (p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] <= '9')
        p->at++;
    return p->at > from;
}

static bool parse_number(parser *p)
{
    const size_t from = p->at;

    if (p->s[p->at] == '-')
        p->at++;
    const bool zero = p->at < p->n && p->s[p->at] == '0';
    const size_t digits = p->at;
    if (!skip_digits(p) || (zero && p->at > digits + 1))
        return stop(p, "not a number");
    if (p->at < p->n && p->s[p->at] == '.') {
        p->at++;
        if (!skip_digits(p))
            return stop(p, "not a number");
    }
    if (p->at < p->n && (p->s[p->at] == 'e' || p->s[p->at] == 'E')) {
        p->at++;
        if (p->at < p->n && (p->s[p->at] == '+' || p->s[p->at] == '-'))
            p->at++;
        if (!skip_digits(p))
            return stop(p, "not a number");
    }
    dr_json *v = new_node(p, DR_JSON_NUMBER);
    if (!v)
        return false;
    v->text = p->s + from;
    v->n = (uint32_t)(p->at - from);
    return true;
}

static bool parse_word(parser *p)
{
    static const struct {
        dr_str word;
        dr_json_type type;
    } words[] = {{{"null", 4}, DR_JSON_NULL}, {{"true", 4}, DR_JSON_TRUE}, {{"false", 5}, DR_JSON_FALSE}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (p->n - p->at >= words[i].word.n && memcmp(p->s + p->at, words[i].word.s, words[i].word.n) == 0) {
            p->at += words[i].word.n;
            return new_node(p, words[i].type) != NULL;
        }
    return stop(p, "a value is expected");
}

static bool parse_key(parser *p)
{
    if (peek(p) != '"')
        return stop(p, "a key in quotes is expected");
    if (!parse_string(p))
        return false;
    if (peek(p) != ':')
        return stop(p, "':' is expected after a key");
    p->at++;
    return true;
}

/* Without recursion, so that the depth is a bound of ours and not of the stack. */
static bool parse_document(parser *p)
{
    size_t open[DR_JSON_DEPTH];
    int depth = 0;

    for (;;) {
        const int c = peek(p);
        bool closed = false; /* an empty container: nothing to look for in it */
        if (c == '{' || c == '[') {
            if (depth == DR_JSON_DEPTH)
                return stop(p, "nested too deep");
            open[depth++] = p->n_nodes;
            if (!new_node(p, c == '{' ? DR_JSON_OBJECT : DR_JSON_ARRAY))
                return false;
            p->at++;
            closed = peek(p) == (c == '{' ? '}' : ']');
            if (!closed) {
                if (c == '{' && !parse_key(p))
                    return false;
                continue;
            }
        } else if (c == '"' ? !parse_string(p) : c == '-' || (c >= '0' && c <= '9') ? !parse_number(p) : !parse_word(p))
            return false;
        for (;;) { /* a value, or an empty container, ends here */
            if (depth == 0) {
                if (peek(p) >= 0)
                    return stop(p, "text after the end");
                return true;
            }
            dr_json *container = &p->keep->nodes[open[depth - 1]];
            const bool object = container->type == DR_JSON_OBJECT;
            if (!closed)
                container->n += object ? 2 : 1;
            closed = false;
            const int next = peek(p);
            if (next == ',') {
                p->at++;
                if (object && !parse_key(p))
                    return false;
                break;
            }
            if (next != (object ? '}' : ']'))
                return stop(p, object ? "',' or '}' is expected" : "',' or ']' is expected");
            p->at++;
            container->span = (uint32_t)(p->n_nodes - open[--depth]) & 0x1fffffff;
        }
    }
}

dr_status dr_json_parse(dr_json_doc *out, dr_str text, const char *name, dr_error *err)
{
    parser p = {.s = text.s, .n = text.n};

    *out = (dr_json_doc){0};
    if (text.n > MAX_TEXT)
        return dr_fail(err, DR_ERR_LIMIT, "%s: %zu bytes of JSON are too many", name, text.n);
    if (!(p.keep = calloc(1, sizeof *p.keep)))
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    out->storage = p.keep;
    if (parse_document(&p)) {
        out->root = p.keep->nodes;
        return DR_OK;
    }
    dr_json_free(out);
    if (!p.problem)
        return dr_fail(err, DR_ERR_NOMEM, "%s: out of memory", name);
    size_t line = 1;
    for (size_t i = 0; i < p.at && i < p.n; i++)
        line += p.s[i] == '\n';
    return dr_fail(err, DR_ERR_FORMAT, "%s: line %zu, byte %zu: %s", name, line, p.at, p.problem);
}

void dr_json_free(dr_json_doc *doc)
{
    storage *keep = doc->storage;

    if (keep) {
        free(keep->nodes);
        free(keep->decoded);
        free(keep);
    }
    *doc = (dr_json_doc){0};
}

const dr_json *dr_json_get(const dr_json *v, const char *key)
{
    const dr_json *found = NULL;
    const dr_str want = dr_str_of(key);

    if (!v || v->type != DR_JSON_OBJECT)
        return NULL;
    for (const dr_json *k = dr_json_first(v), *end = dr_json_end(v); k != end; k = dr_json_after(k + 1))
        if (dr_str_eq(dr_json_text(k), want))
            found = k + 1;
    return found;
}

bool dr_json_int(const dr_json *v, int64_t *out)
{
    if (!v || v->type != DR_JSON_NUMBER)
        return false;
    const bool negative = v->text[0] == '-';
    uint64_t magnitude = 0;
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    for (uint32_t i = negative; i < v->n; i++) {
        const char c = v->text[i];
        if (c < '0' || c > '9')
            return false;
        const uint64_t digit = (uint64_t)(c - '0');
        if (magnitude > (limit - digit) / 10)
            return false;
        magnitude = 10 * magnitude + digit;
    }
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

void dr_json_write_string(dr_buf *out, dr_str s)
{
    static const char *const named[0x20] = {['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t", ['\f'] = "\\f", ['\b'] = "\\b"};

    dr_buf_add(out, "\"", 1);
    for (size_t at = 0, plain = 0;;) {
        uint32_t ignored;
        const unsigned char c = at < s.n ? (unsigned char)s.s[at] : 0;
        const size_t len = at < s.n ? dr_utf8_decode(&ignored, s.s + at, s.n - at) : 0;
        if (at < s.n && len && c >= 0x20 && c != '"' && c != '\\') {
            at += len;
            continue;
        }
        if (at > plain)
            dr_buf_add(out, s.s + plain, at - plain);
        if (at == s.n)
            break;
        if (!len)
            dr_buf_str(out, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            dr_buf_printf(out, "\\%c", c);
        else if (named[c])
            dr_buf_str(out, named[c]);
        else
            dr_buf_printf(out, "\\u%04x", c);
        plain = ++at;
    }
    dr_buf_add(out, "\"", 1);
}

/* v = 0.d1d2d3... * 10^point from the digits of "%.*e"; whatever the locale calls a decimal point is skipped. */
static int float_digits(char digits[MAX_FLOAT_DIGITS + 1], int n, double v, int *point)
{
    char text[64];
    int n_digits = 0;

    (void)snprintf(text, sizeof text, "%.*e", n - 1, v);
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9')
            digits[n_digits++] = *p;
    *point = (int)strtol(e + 1, NULL, 10) + 1;
    while (n_digits > 1 && digits[n_digits - 1] == '0')
        n_digits--;
    digits[n_digits] = 0;
    return n_digits;
}

/* strtod for text that has a point or an exponent, whatever decimal point the locale wants. False: out of memory. */
static bool float_value(double *v, const char *text, size_t n)
{
    char with_point[64], *buf = n + 8 <= sizeof with_point ? with_point : malloc(n + 8);
    char sample[16];

    if (!buf)
        return false;
    (void)snprintf(sample, sizeof sample, "%.1f", 0.5); /* "0" point "5" */
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '.')
            buf[at++] = text[i];
        else
            for (const char *p = sample + 1; p[1] && at < n + 7; p++)
                buf[at++] = *p;
    }
    buf[at] = 0;
    *v = strtod(buf, NULL);
    if (buf != with_point)
        free(buf);
    return true;
}

static void write_float(dr_buf *out, const dr_json *number)
{
    char digits[MAX_FLOAT_DIGITS + 1];
    double v;
    int n = 0, point = 0;

    if (!float_value(&v, number->text, number->n)) {
        out->failed = true;
        return;
    }
    const double magnitude = v < 0 ? -v : v;
    if (number->text[0] == '-')
        dr_buf_str(out, "-");
    if (magnitude > 1.7976931348623157e308) {
        dr_buf_str(out, "Infinity"); /* what Python makes of 1e999 */
        return;
    }
    for (int wanted = 1; wanted <= MAX_FLOAT_DIGITS; wanted++) {
        char back[32];
        n = float_digits(digits, wanted, magnitude, &point);
        (void)snprintf(back, sizeof back, "%se%d", digits, point - n);
        if (strtod(back, NULL) == magnitude)
            break;
    }
    if (magnitude == 0)
        dr_buf_str(out, "0.0");
    else if (point < -3 || point > 16) {
        dr_buf_printf(out, "%c", digits[0]);
        if (n > 1)
            dr_buf_printf(out, ".%s", digits + 1);
        dr_buf_printf(out, "e%c%02d", point < 1 ? '-' : '+', abs(point - 1));
    } else if (point <= 0)
        dr_buf_printf(out, "0.%.*s%s", -point, "000", digits);
    else if (n <= point)
        dr_buf_printf(out, "%s%.*s.0", digits, point - n, "0000000000000000");
    else
        dr_buf_printf(out, "%.*s.%s", point, digits, digits + point);
}

static void write_number(dr_buf *out, const dr_json *v)
{
    if (memchr(v->text, '.', v->n) || memchr(v->text, 'e', v->n) || memchr(v->text, 'E', v->n))
        write_float(out, v);
    else if (v->n == 2 && memcmp(v->text, "-0", 2) == 0)
        dr_buf_str(out, "0");
    else
        dr_buf_add(out, v->text, v->n);
}

typedef struct member {
    const dr_json *key, *value; /* value NULL: an earlier place has this key */
    size_t place;
} member;

static int by_key(const void *a, const void *b)
{
    const member *x = *(const member *const *)a, *y = *(const member *const *)b;
    const int c = dr_str_cmp(dr_json_text(x->key), dr_json_text(y->key));
    return c ? c : (x->place > y->place) - (x->place < y->place);
}

static void write_object(dr_buf *out, const dr_json *v)
{
    const size_t n = v->n / 2;
    member *members = malloc((n + 1) * sizeof *members), **sorted = malloc((n + 1) * sizeof *sorted);

    if (!members || !sorted) {
        out->failed = true;
        goto done;
    }
    size_t i = 0;
    for (const dr_json *k = dr_json_first(v), *end = dr_json_end(v); k != end; k = dr_json_after(k + 1), i++) {
        members[i] = (member){k, k + 1, i};
        sorted[i] = &members[i];
    }
    qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t at = 0, next; at < n; at = next) {
        for (next = at + 1; next < n && dr_str_eq(dr_json_text(sorted[at]->key), dr_json_text(sorted[next]->key)); next++) {
            sorted[at]->value = sorted[next]->value;
            sorted[next]->value = NULL;
        }
    }
    dr_buf_str(out, "{");
    for (i = 0; i < n; i++) {
        if (!members[i].value)
            continue;
        if (i > 0)
            dr_buf_str(out, ", ");
        dr_json_write_string(out, dr_json_text(members[i].key));
        dr_buf_str(out, ": ");
        dr_json_write(out, members[i].value);
    }
    dr_buf_str(out, "}");
done:
    free(sorted);
    free(members);
}

void dr_json_write(dr_buf *out, const dr_json *v)
{
    switch ((dr_json_type)v->type) {
    case DR_JSON_NULL: dr_buf_str(out, "null"); break;
    case DR_JSON_FALSE: dr_buf_str(out, "false"); break;
    case DR_JSON_TRUE: dr_buf_str(out, "true"); break;
    case DR_JSON_NUMBER: write_number(out, v); break;
    case DR_JSON_STRING: dr_json_write_string(out, dr_json_text(v)); break;
    case DR_JSON_OBJECT: write_object(out, v); break;
    case DR_JSON_ARRAY:
        dr_buf_str(out, "[");
        for (const dr_json *item = dr_json_first(v), *end = dr_json_end(v); item != end; item = dr_json_after(item)) {
            if (item != dr_json_first(v))
                dr_buf_str(out, ", ");
            dr_json_write(out, item);
        }
        dr_buf_str(out, "]");
        break;
    }
}
