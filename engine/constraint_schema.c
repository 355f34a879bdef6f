#include "engine/constraint_schema.h"

#include "engine/constraint_parts.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 64 };

/* A schema of the document that was compiled for JSON before, or is being: recursion goes through a forward node. */
typedef struct known {
    const dr_json *schema;
    dr_node node;
} known;

typedef struct builder {
    dr_grammar *g;
    const dr_json *root;
    dr_buf place; /* for messages */
    dr_buf *notes;
    known *refs;
    size_t n_refs, cap_refs;
    int nesting;
    dr_error *err;
} builder;

/* What a schema allows; -1: nothing of that kind. string: raw text or JSON, as was asked. */
typedef struct value {
    dr_node string, other;
} value;

typedef struct nodes {
    dr_node *v;
    size_t n, cap;
    bool failed;
} nodes;

static void add_node(nodes *to, dr_node x)
{
    if (to->n == to->cap) {
        const size_t cap = to->cap ? 2 * to->cap : 16;
        dr_node *grown = realloc(to->v, cap * sizeof *grown);
        if (!grown) {
            to->failed = true;
            return;
        }
        to->v = grown;
        to->cap = cap;
    }
    to->v[to->n++] = x;
}

static dr_node word(builder *b, const char *s)
{
    return dr_grammar_literal(b->g, dr_str_of(s));
}

#define N_OF(...) (sizeof((const dr_node[]){__VA_ARGS__}) / sizeof(dr_node))
#define SEQUENCE(b, ...) dr_grammar_sequence((b)->g, (const dr_node[]){__VA_ARGS__}, N_OF(__VA_ARGS__))
#define CHOICE(b, ...) dr_grammar_choice((b)->g, (const dr_node[]){__VA_ARGS__}, N_OF(__VA_ARGS__))

static dr_node one_of(builder *b, const nodes *v)
{
    return v->n == 0 ? -1 : v->n == 1 ? v->v[0] : dr_grammar_choice(b->g, v->v, v->n);
}

static dr_node any_kind(builder *b, value v)
{
    return v.string < 0 ? v.other : v.other < 0 ? v.string : CHOICE(b, v.string, v.other);
}

static dr_status no_memory(builder *b)
{
    return dr_fail(b->err, DR_ERR_NOMEM, "%s: out of memory", b->place.data ? b->place.data : "schema");
}

static dr_status bad(builder *b, const char *what)
{
    return dr_fail(b->err, DR_ERR_FORMAT, "%s: %s", b->place.data ? b->place.data : "schema", what);
}

/* Goes to a part of the place; leave with the length before. */
static size_t enter(builder *b, dr_str part)
{
    const size_t before = b->place.n;

    dr_buf_printf(&b->place, ".%.*s", (int)(part.n < 80 ? part.n : 80), part.s);
    return before;
}

static void leave(builder *b, size_t before)
{
    if (b->place.data)
        b->place.data[b->place.n = before] = 0;
}

/* ---- what is said and what is silent ---- */

static bool is_one_of(dr_str key, const char *const *words)
{
    while (*words && !dr_str_eq(key, dr_str_of(*words)))
        words++;
    return *words != NULL;
}

static const char *const silent[] = {"title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id",
                                     "$comment", "$defs", "definitions", "$anchor", "format", "contentEncoding", "contentMediaType", NULL};

static void note(builder *b, dr_str key)
{
    if (b->notes)
        dr_buf_printf(b->notes, "%s: \"%.*s\" is not enforced\n", b->place.data ? b->place.data : "", (int)(key.n < 80 ? key.n : 80), key.s);
}

/* Every keyword that neither describes nor is in `enforced`. */
static void note_others(builder *b, const dr_json *schema, const char *const *enforced)
{
    for (const dr_json *k = dr_json_first(schema), *end = dr_json_end(schema); k != end; k = dr_json_after(k + 1))
        if (!is_one_of(dr_json_text(k), silent) && !is_one_of(dr_json_text(k), enforced))
            note(b, dr_json_text(k));
}

/* A count from 0 on, or `missing`. */
static dr_status read_count(builder *b, int32_t *out, const dr_json *schema, const char *key, int32_t missing)
{
    const dr_json *v = dr_json_get(schema, key);
    int64_t n;

    *out = missing;
    if (!v)
        return DR_OK;
    if (!dr_json_int(v, &n) || n < 0)
        return bad(b, "a length or count that is no whole number from 0 on");
    *out = n > INT32_MAX ? missing : (int32_t)n;
    return DR_OK;
}

static dr_status read_counts(builder *b, int32_t *min, int32_t *max, const dr_json *schema, const char *min_key, const char *max_key)
{
    dr_status st = read_count(b, min, schema, min_key, 0);

    if (st == DR_OK)
        st = read_count(b, max, schema, max_key, -1);
    return st == DR_OK && *max >= 0 && *max < *min ? bad(b, "a maximum below the minimum") : st;
}

/* ---- values that are listed ---- */

static int by_bytes(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

/* One of these texts; v is put in order. */
static dr_node texts(builder *b, dr_str *v, size_t n)
{
    const dr_node nothing = word(b, "");
    nodes after = {0};
    size_t kept = 0;
    dr_node out = -1;

    qsort(v, n, sizeof *v, by_bytes);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !dr_str_eq(v[kept - 1], v[i]))
            v[kept++] = v[i];
    const size_t empty = kept > 0 && v[0].n == 0;
    for (size_t i = empty; i < kept; i++)
        add_node(&after, nothing);
    if (after.failed)
        b->g->failed = true;
    else if (kept > empty)
        out = dr_grammar_switch(b->g, v + empty, after.v, kept - empty);
    if (empty)
        out = kept > 1 ? CHOICE(b, nothing, out) : nothing;
    free(after.v);
    return out;
}

/* enum, or const as a list of one. */
static dr_status listed(builder *b, value *out, const dr_json *first, const dr_json *end, bool raw)
{
    dr_status st = DR_OK;
    dr_buf text = {0};
    size_t n = 0, k[2] = {0};

    for (const dr_json *v = first; v != end; v = dr_json_after(v))
        n++;
    if (n == 0)
        return bad(b, "an enum without values");
    /* Offsets first: the buffer moves while it grows. Those of strings from the front, others from the back. */
    size_t *at = calloc(2 * n, sizeof *at);
    dr_str *v = calloc(n, sizeof *v);
    if (!at || !v) {
        st = no_memory(b);
        goto done;
    }
    for (const dr_json *x = first; x != end; x = dr_json_after(x)) {
        const bool is_string = x->type == DR_JSON_STRING;
        const size_t i = is_string ? k[0]++ : n - 1 - k[1]++;
        at[2 * i] = text.n;
        if (is_string && raw)
            dr_buf_add(&text, x->text, x->n);
        else
            dr_json_write(&text, x);
        at[2 * i + 1] = text.n - at[2 * i];
    }
    if (text.failed) {
        st = no_memory(b);
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        v[i] = (dr_str){text.n ? text.data + at[2 * i] : "", at[2 * i + 1]};
    if (k[0])
        out->string = texts(b, v, k[0]);
    if (k[1])
        out->other = texts(b, v + k[0], k[1]);
done:
    free(v);
    free(at);
    dr_buf_free(&text);
    return st;
}

/* ---- compound values ---- */

static dr_status compile(builder *b, value *out, const dr_json *schema, bool raw);

/* A value inside JSON. */
static dr_status compile_inside(builder *b, dr_node *out, const dr_json *schema)
{
    value v;
    const dr_status st = compile(b, &v, schema, false);

    *out = st == DR_OK ? any_kind(b, v) : -1;
    return st;
}

static dr_status array(builder *b, dr_node *out, const dr_json *schema)
{
    const dr_json *items = dr_json_get(schema, "items");
    int32_t min, max;
    dr_node item;
    dr_status st = read_counts(b, &min, &max, schema, "minItems", "maxItems");

    if (st != DR_OK)
        return st;
    if (items && items->type == DR_JSON_ARRAY) { /* the tuples of old */
        note(b, DR_STR("items"));
        items = NULL;
    }
    const size_t before = enter(b, DR_STR("items"));
    if (items)
        st = compile_inside(b, &item, items);
    else
        item = dr_grammar_json(b->g);
    leave(b, before);
    if (st != DR_OK)
        return st;
    const dr_node more = SEQUENCE(b, word(b, ", "), item), none = word(b, "[]");
    *out = none;
    if (max != 0) {
        const dr_node full = SEQUENCE(b, word(b, "["), item, dr_grammar_repeat(b->g, more, min > 0 ? min - 1 : 0, max < 0 ? -1 : max - 1), word(b, "]"));
        *out = min > 0 ? full : CHOICE(b, none, full);
    }
    return DR_OK;
}

static bool lists(const dr_json *names, dr_str name)
{
    if (names && names->type == DR_JSON_ARRAY)
        for (const dr_json *v = dr_json_first(names), *end = dr_json_end(names); v != end; v = dr_json_after(v))
            if (v->type == DR_JSON_STRING && dr_str_eq(dr_json_text(v), name))
                return true;
    return false;
}

/* Any keys, with values of one kind. */
static dr_status map(builder *b, dr_node *out, const dr_json *schema)
{
    const dr_json *more = dr_json_get(schema, "additionalProperties");
    dr_node item = -1;
    dr_status st = DR_OK;

    *out = word(b, "{}");
    if (more && more->type == DR_JSON_FALSE)
        return DR_OK;
    const size_t before = enter(b, DR_STR("additionalProperties"));
    if (more)
        st = compile_inside(b, &item, more);
    else
        item = dr_grammar_json(b->g);
    leave(b, before);
    if (st != DR_OK)
        return st;
    const dr_node member = SEQUENCE(b, dr_grammar__json_string(b->g, 0, -1), word(b, ": "), item);
    const dr_node others = dr_grammar_repeat(b->g, SEQUENCE(b, word(b, ", "), member), 0, -1);
    *out = CHOICE(b, *out, SEQUENCE(b, word(b, "{"), member, others, word(b, "}")));
    return DR_OK;
}

/* What one property comes to; several forms of it may follow one another in a row. */
typedef dr_status member_fn(builder *b, void *arg, dr_str name, const dr_json *schema, uint8_t of, bool required);

/* Calls fn for the properties, then for names that are required only. */
static dr_status each_property(builder *b, const dr_json *schema, member_fn *fn, void *arg)
{
    const dr_json *properties = dr_json_get(schema, "properties"), *required = dr_json_get(schema, "required");
    dr_status st = DR_OK;
    size_t n = 0;

    if (properties && properties->type != DR_JSON_OBJECT)
        return bad(b, "\"properties\" is no object");
    for (int pass = 0; pass < 2; pass++) {
        const dr_json *list = pass ? required : properties;
        if (!list || (pass && list->type != DR_JSON_ARRAY))
            continue;
        for (const dr_json *k = dr_json_first(list), *end = dr_json_end(list); k != end && st == DR_OK; k = dr_json_after(pass ? k : k + 1)) {
            const dr_str name = dr_json_text(k);
            bool twice = false; /* of a repeated key the last value counts, as everywhere */
            if (k->type != DR_JSON_STRING)
                return bad(b, "\"required\" holds something that is no name");
            if (pass)
                for (const dr_json *p = required + 1; p != k && !twice; p = dr_json_after(p))
                    twice = dr_str_eq(dr_json_text(p), name);
            if (pass && properties)
                for (const dr_json *p = dr_json_first(properties), *last = dr_json_end(properties); p != last && !twice; p = dr_json_after(p + 1))
                    twice = dr_str_eq(dr_json_text(p), name);
            if (!pass)
                for (const dr_json *p = dr_json_after(k + 1); p != end && !twice; p = dr_json_after(p + 1))
                    twice = dr_str_eq(dr_json_text(p), name);
            if (twice)
                continue;
            if (n == DR_GRAMMAR_ITEMS)
                return dr_fail(b->err, DR_ERR_LIMIT, "%s: more than %d properties", b->place.data, DR_GRAMMAR_ITEMS);
            const size_t before = enter(b, name);
            st = fn(b, arg, name, pass ? NULL : k + 1, (uint8_t)n++, pass || lists(required, name));
            leave(b, before);
        }
    }
    return st;
}

typedef struct members {
    dr_grammar_item v[2 * DR_GRAMMAR_ITEMS];
    dr_buf keys[2 * DR_GRAMMAR_ITEMS];
    size_t n;
    dr_node close;             /* of parameters: what ends each */
    dr_str tool;               /* of parameters */
    const dr_schema_value *values;
    size_t n_values;
} members;

static void free_members(members *m)
{
    for (size_t i = 0; m && i < m->n; i++)
        dr_buf_free(&m->keys[i]);
    free(m);
}

static dr_status json_member(builder *b, void *arg, dr_str name, const dr_json *schema, uint8_t of, bool required)
{
    members *m = arg;
    dr_buf *key = &m->keys[m->n];
    dr_node node = -1;
    dr_status st = DR_OK;

    if (!schema)
        node = dr_grammar_json(b->g);
    else if (schema->type == DR_JSON_FALSE && !required)
        return DR_OK; /* must not be there */
    else
        st = compile_inside(b, &node, schema);
    dr_json_write_string(key, name);
    dr_buf_str(key, ": ");
    m->v[m->n++] = (dr_grammar_item){dr_buf_view(key), node, of, required};
    return key->failed ? no_memory(b) : st;
}

static dr_status object(builder *b, dr_node *out, const dr_json *schema)
{
    members *m = calloc(1, sizeof *m);
    dr_status st = m ? each_property(b, schema, json_member, m) : no_memory(b);

    const dr_json *properties = dr_json_get(schema, "properties");
    if (st == DR_OK && m->n == 0 && properties && properties->n) /* all of them must not be there */
        *out = word(b, "{}");
    else if (st == DR_OK && m->n == 0)
        st = map(b, out, schema);
    else if (st == DR_OK)
        *out = SEQUENCE(b, word(b, "{"), dr_grammar_each(b->g, word(b, ""), word(b, ", "), m->v, m->n), word(b, "}"));
    free_members(m);
    return st;
}

/* ---- one schema ---- */

/* What "#", "#/a/b" names, or NULL. */
static const dr_json *look_up(const dr_json *root, dr_str ref)
{
    const dr_json *at = root;
    size_t i = 1;

    if (ref.n == 0 || ref.s[0] != '#')
        return NULL;
    while (i < ref.n && at) {
        char key[256];
        size_t n = 0;
        if (ref.s[i++] != '/')
            return NULL;
        for (; i < ref.n && ref.s[i] != '/' && n + 1 < sizeof key; i++) {
            const bool escaped = ref.s[i] == '~' && i + 1 < ref.n;
            key[n++] = !escaped ? ref.s[i] : ref.s[i + 1] == '0' ? '~' : '/';
            i += escaped;
        }
        key[n] = 0;
        at = dr_json_get(at, key);
    }
    return at;
}

static dr_status reference(builder *b, value *out, const dr_json *ref, bool raw)
{
    const dr_json *to = ref->type == DR_JSON_STRING ? look_up(b->root, dr_json_text(ref)) : NULL;
    dr_node inside;
    dr_status st;

    if (!to)
        return bad(b, "\"$ref\" leads to nothing in this document");
    if (raw)
        return compile(b, out, to, true);
    for (size_t i = 0; i < b->n_refs; i++)
        if (b->refs[i].schema == to) {
            out->other = b->refs[i].node;
            return DR_OK;
        }
    if (b->n_refs == b->cap_refs) {
        const size_t cap = b->cap_refs ? 2 * b->cap_refs : 16;
        known *grown = realloc(b->refs, cap * sizeof *grown);
        if (!grown)
            return no_memory(b);
        b->refs = grown;
        b->cap_refs = cap;
    }
    out->other = dr_grammar_forward(b->g);
    b->refs[b->n_refs++] = (known){to, out->other};
    if ((st = compile_inside(b, &inside, to)) == DR_OK)
        dr_grammar_define(b->g, out->other, inside);
    return st;
}

static dr_status alternatives(builder *b, value *out, const dr_json *list, bool raw)
{
    dr_status st = DR_OK;
    nodes strings = {0}, others = {0};

    if (list->type != DR_JSON_ARRAY || list->n == 0)
        return bad(b, "\"anyOf\" or \"oneOf\" is no list, or is empty");
    for (const dr_json *v = dr_json_first(list), *end = dr_json_end(list); v != end && st == DR_OK; v = dr_json_after(v)) {
        value one;
        if (v->type == DR_JSON_FALSE)
            continue;
        if ((st = compile(b, &one, v, raw)) != DR_OK)
            break;
        if (one.string >= 0)
            add_node(&strings, one.string);
        if (one.other >= 0)
            add_node(&others, one.other);
    }
    if (st == DR_OK && (strings.failed || others.failed))
        st = no_memory(b);
    if (st == DR_OK) {
        out->string = one_of(b, &strings);
        out->other = one_of(b, &others);
    }
    free(strings.v);
    free(others.v);
    return st;
}

/* A number: all that is known of bounds is whether they forbid a sign. */
static dr_node number(builder *b, const dr_json *schema, bool whole)
{
    static const char *const keys[] = {"minimum", "exclusiveMinimum"};
    bool negative = true;

    for (int i = 0; i < 2; i++) {
        const dr_json *v = dr_json_get(schema, keys[i]);
        if (!v)
            continue;
        const double low = v->type == DR_JSON_NUMBER ? strtod(v->text, NULL) : -1;
        if (low >= 0)
            negative = false;
        if (i == 1 || low != 0)
            note(b, dr_str_of(keys[i]));
    }
    return dr_grammar__json_number(b->g, whole, negative);
}

static dr_status add_type(builder *b, value *out, nodes *others, const dr_json *schema, dr_str type, bool raw)
{
    dr_status st = DR_OK;
    dr_node x = -1;

    if (dr_str_eq(type, DR_STR("string"))) {
        int32_t min, max;
        if ((st = read_counts(b, &min, &max, schema, "minLength", "maxLength")) == DR_OK)
            out->string = raw ? dr_grammar_utf8(b->g, min, max) : dr_grammar__json_string(b->g, min, max);
        return st;
    }
    if (dr_str_eq(type, DR_STR("integer")) || dr_str_eq(type, DR_STR("number")))
        x = number(b, schema, type.s[0] == 'i');
    else if (dr_str_eq(type, DR_STR("boolean")))
        x = CHOICE(b, word(b, "true"), word(b, "false"));
    else if (dr_str_eq(type, DR_STR("null")))
        x = word(b, "null");
    else if (dr_str_eq(type, DR_STR("array")))
        st = array(b, &x, schema);
    else if (dr_str_eq(type, DR_STR("object")))
        st = object(b, &x, schema);
    else
        return bad(b, "\"type\" names no type of JSON");
    add_node(others, x);
    return st;
}

static dr_status typed(builder *b, value *out, const dr_json *schema, bool raw)
{
    static const char *const enforced[] = {"type", "nullable", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
                                           "minLength", "maxLength", "minimum", "exclusiveMinimum", NULL};
    const dr_json *type = dr_json_get(schema, "type"), *nullable = dr_json_get(schema, "nullable");
    nodes others = {0};
    dr_status st = DR_OK;

    if (type && type->type == DR_JSON_ARRAY)
        for (const dr_json *v = dr_json_first(type), *end = dr_json_end(type); v != end && st == DR_OK; v = dr_json_after(v))
            st = v->type == DR_JSON_STRING ? add_type(b, out, &others, schema, dr_json_text(v), raw) : bad(b, "\"type\" names no type of JSON");
    else if (type)
        st = type->type == DR_JSON_STRING ? add_type(b, out, &others, schema, dr_json_text(type), raw) : bad(b, "\"type\" names no type of JSON");
    else if (dr_json_get(schema, "properties") || dr_json_get(schema, "required") || dr_json_get(schema, "additionalProperties"))
        st = add_type(b, out, &others, schema, DR_STR("object"), raw);
    else if (dr_json_get(schema, "items"))
        st = add_type(b, out, &others, schema, DR_STR("array"), raw);
    else {
        static const char *const nothing[] = {"nullable", NULL};
        out->string = raw ? dr_grammar_utf8(b->g, 0, -1) : dr_grammar__json_string(b->g, 0, -1);
        out->other = dr_grammar__json_but_strings(b->g);
        note_others(b, schema, nothing);
        return DR_OK;
    }
    if (nullable && nullable->type == DR_JSON_TRUE)
        add_node(&others, word(b, "null"));
    note_others(b, schema, enforced);
    out->other = one_of(b, &others);
    if (st == DR_OK && others.failed)
        st = no_memory(b);
    free(others.v);
    return st;
}

static dr_status compile(builder *b, value *out, const dr_json *schema, bool raw)
{
    static const struct {
        const char *key, *enforced[4];
    } first[] = {{"$ref", {"$ref"}}, {"const", {"const", "type", "enum"}}, {"enum", {"enum", "type"}}, {"anyOf", {"anyOf"}}, {"oneOf", {"oneOf"}}};
    const dr_json *v = NULL;
    dr_status st;
    size_t i = 0;

    *out = (value){-1, -1};
    if (schema->type == DR_JSON_FALSE)
        return bad(b, "a schema that nothing satisfies");
    if (schema->type == DR_JSON_TRUE) {
        out->string = raw ? dr_grammar_utf8(b->g, 0, -1) : dr_grammar__json_string(b->g, 0, -1);
        out->other = dr_grammar__json_but_strings(b->g);
        return DR_OK;
    }
    if (schema->type != DR_JSON_OBJECT)
        return bad(b, "a schema is an object, true or false");
    if (++b->nesting > MAX_NESTING)
        return bad(b, "schemas nest too deep, or a reference leads back to itself");
    while (i < sizeof first / sizeof first[0] && !(v = dr_json_get(schema, first[i].key)))
        i++;
    if (!v)
        st = typed(b, out, schema, raw);
    else {
        note_others(b, schema, first[i].enforced);
        if (i == 0)
            st = reference(b, out, v, raw);
        else if (i == 1)
            st = listed(b, out, v, dr_json_after(v), raw);
        else if (i == 2)
            st = v->type == DR_JSON_ARRAY ? listed(b, out, dr_json_first(v), dr_json_end(v), raw) : bad(b, "\"enum\" is no list");
        else
            st = alternatives(b, out, v, raw);
        if (i == 4) /* more than one may hold */
            note(b, DR_STR("oneOf (that the others do not hold)"));
    }
    b->nesting--;
    if (st == DR_OK && out->string < 0 && out->other < 0)
        st = b->g->failed ? no_memory(b) : bad(b, "a schema that nothing satisfies");
    return st;
}

static dr_status finish(builder *b, dr_status st, dr_node root)
{
    if (st == DR_OK && (b->g->failed || b->place.failed || (b->notes && b->notes->failed)))
        st = no_memory(b);
    if (st == DR_OK && !dr_grammar_ok(b->g, root))
        st = bad(b, "a reference leads back to itself before anything is taken");
    free(b->refs);
    dr_buf_free(&b->place);
    return st;
}

dr_status dr_grammar_schema(dr_node *out, dr_grammar *g, const dr_json *schema, const dr_json *root, const char *name, dr_buf *notes,
                            dr_error *err)
{
    builder b = {.g = g, .root = root, .notes = notes, .err = err};

    *out = -1;
    dr_buf_str(&b.place, name);
    const dr_status st = compile_inside(&b, out, schema);
    return finish(&b, st, *out);
}

/* ---- the tools' markup ---- */

static dr_status parameter(builder *b, void *arg, dr_str name, const dr_json *schema, uint8_t of, bool required)
{
    members *m = arg;
    value v = {-1, -1};
    dr_status st = DR_OK;

    if (memchr(name.s, '"', name.n) || memchr(name.s, '\n', name.n) || name.n == 0)
        return bad(b, "a parameter of this name cannot be written");
    if (schema && schema->type == DR_JSON_FALSE && !required)
        return DR_OK;
    for (size_t i = 0; i < m->n_values; i++)
        if (dr_str_eq(m->values[i].tool, m->tool) && dr_str_eq(m->values[i].parameter, name))
            v.string = m->values[i].node;
    if (v.string < 0 && !schema) {
        v.string = dr_grammar_utf8(b->g, 0, -1);
        v.other = dr_grammar__json_but_strings(b->g);
    } else if (v.string < 0 && (st = compile(b, &v, schema, true)) != DR_OK)
        return st;
    for (int other = 0; other < 2; other++) {
        const dr_node node = other ? v.other : v.string;
        dr_buf *key = &m->keys[m->n];
        if (node < 0)
            continue;
        dr_buf_add(key, name.s, name.n);
        dr_buf_printf(key, "\" string=\"%s\">", other ? "false" : "true");
        m->v[m->n++] = (dr_grammar_item){dr_buf_view(key), SEQUENCE(b, node, m->close), of, required};
        if (key->failed)
            return no_memory(b);
    }
    return st;
}

/* What follows the name of a tool: its parameters, between two line breaks. */
static dr_status tool_body(builder *b, dr_node *out, dr_str tool, const dr_json *schema, int32_t dsml, const dr_schema_value *values, size_t n_values)
{
    static const char *const enforced[] = {"type", "properties", "required", "additionalProperties", NULL};
    const dr_node mark = dr_grammar_control(b->g, dsml);
    members *m = calloc(1, sizeof *m);
    dr_status st = DR_OK;
    dr_node inside = word(b, "");

    if (!m)
        return no_memory(b);
    m->close = SEQUENCE(b, word(b, "</"), mark, word(b, "parameter>"));
    m->tool = tool;
    m->values = values;
    m->n_values = n_values;
    if (schema) {
        for (int i = 0; i < MAX_NESTING && schema && dr_json_get(schema, "$ref"); i++)
            schema = look_up(b->root, dr_json_text(dr_json_get(schema, "$ref")));
        if (!schema || schema->type != DR_JSON_OBJECT || dr_json_get(schema, "$ref"))
            st = bad(b, "the parameters are not described by an object");
        else {
            note_others(b, schema, enforced);
            st = each_property(b, schema, parameter, m);
        }
    }
    if (st == DR_OK && m->n)
        inside = dr_grammar_each(b->g, SEQUENCE(b, word(b, "<"), mark, word(b, "parameter name=\"")),
                                 SEQUENCE(b, word(b, "\n<"), mark, word(b, "parameter name=\"")), m->v, m->n);
    *out = inside;
    free_members(m);
    return st;
}

dr_status dr_grammar_tool_calls(dr_node *out, dr_grammar *g, const dr_json *tools, int32_t dsml, int32_t max_calls,
                                const dr_schema_value *values, size_t n_values, dr_buf *notes, dr_error *err)
{
    builder b = {.g = g, .notes = notes, .err = err};
    dr_status st = DR_OK;
    nodes bodies = {0};
    dr_buf *keys = NULL;
    dr_str *names = NULL;
    size_t n = 0;

    *out = -1;
    dr_buf_str(&b.place, "tools");
    if (tools->type != DR_JSON_ARRAY || tools->n == 0) {
        st = bad(&b, "a list of tools is expected");
        goto done;
    }
    if (!(keys = calloc(tools->n, sizeof *keys)) || !(names = calloc(tools->n, sizeof *names))) {
        st = no_memory(&b);
        goto done;
    }
    for (const dr_json *t = dr_json_first(tools), *end = dr_json_end(tools); t != end; t = dr_json_after(t)) {
        const dr_json *function = dr_json_get(t, "function") ? dr_json_get(t, "function") : t, *name = dr_json_get(function, "name");
        dr_node body = -1;
        if (!name || name->type != DR_JSON_STRING || name->n == 0 || memchr(name->text, '"', name->n) || memchr(name->text, '\n', name->n)) {
            st = bad(&b, "a tool without a name that can be written");
            goto done;
        }
        for (size_t i = 0; i < n; i++)
            if (keys[i].n == name->n + 3 && memcmp(keys[i].data, name->text, name->n) == 0) {
                st = bad(&b, "two tools of one name");
                goto done;
            }
        dr_buf_add(&keys[n], name->text, name->n);
        dr_buf_str(&keys[n], "\">\n");
        names[n] = dr_buf_view(&keys[n]);
        const bool failed = keys[n++].failed;
        leave(&b, 0);
        dr_buf_add(&b.place, name->text, name->n);
        b.root = dr_json_get(function, "parameters");
        b.n_refs = 0;
        b.nesting = 0;
        if (failed) {
            st = no_memory(&b);
            goto done;
        }
        if ((st = tool_body(&b, &body, dr_json_text(name), b.root, dsml, values, n_values)) != DR_OK)
            goto done;
        add_node(&bodies, body);
    }
    if (bodies.failed) {
        st = no_memory(&b);
        goto done;
    }
    const dr_node mark = dr_grammar_control(g, dsml);
    const dr_node call = SEQUENCE(&b, word(&b, "<"), mark, word(&b, "invoke name=\""), dr_grammar_switch(g, names, bodies.v, n), word(&b, "\n</"), mark,
                                  word(&b, "invoke>\n"));
    *out = SEQUENCE(&b, word(&b, "\n\n<"), mark, word(&b, "tool_calls>\n"), dr_grammar_repeat(g, call, 1, max_calls), word(&b, "</"), mark,
                    word(&b, "tool_calls>"));
done:
    for (size_t i = 0; i < n; i++)
        dr_buf_free(&keys[i]);
    free(keys);
    free(names);
    free(bodies.v);
    return finish(&b, st, *out);
}
