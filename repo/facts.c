#include "repo/facts.h"

#include "base/arena.h"
#include "base/hash.h"
#include "repo/classify.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 200 };

static void put_varint(dr_buf *out, uint32_t v)
{
    uint8_t b[5];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        b[n++] = (uint8_t)(v | 0x80);
    b[n++] = (uint8_t)v;
    dr_buf_add(out, b, n);
}

static uint32_t get_varint(dr_facts_reader *r)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 35 && r->p < r->end; shift += 7) {
        const uint8_t b = *r->p++;
        v |= (uint32_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    r->bad = true;
    r->p = r->end;
    return 0;
}

/* A name as it is kept: C++ operators one way ("operator =="), everything else as written. n 0: not a name to keep. */
static dr_str clean_name(char room[MAX_NAME + 2], const dr_walk *w, uint32_t at, uint32_t n)
{
    static const char op[] = "operator";
    const dr_str none = {"", 0};
    const dr_str name = {w->text.s + at, n};

    if (n == 0 || n > MAX_NAME || !dr_classify__is_utf8(name))
        return none;
    bool odd = false;
    for (uint32_t i = 0; i < n; i++) {
        if ((uint8_t)name.s[i] < 0x20 && name.s[i] != ' ' && name.s[i] != '\t' && name.s[i] != '\n' &&
            name.s[i] != '\r')
            return none;
        odd |= (uint8_t)name.s[i] <= ' ';
    }
    if (n > 8 && memcmp(name.s, op, 8) == 0 &&
        (strchr(" \t\n\r", name.s[8]) || strchr("=<>!+-*/%^&|~,([\"", name.s[8]))) {
        size_t k = 9;
        memcpy(room, "operator ", 9);
        bool gap = false;
        int angles = 0; /* of a conversion to a template's type */
        for (uint32_t i = 8; i < n; i++) {
            if (name.s[i] == '(' && k > 9 && room[9] != '(' && angles <= 0) /* a conversion's parameter list */
                break;
            if (k > 9 && !strchr("<>-=", room[9]))
                angles += name.s[i] == '<' ? 1 : name.s[i] == '>' ? -1 : 0;
            const bool blank = strchr(" \t\n\r", name.s[i]) != NULL;
            gap |= blank && k > 9;
            if (blank)
                continue;
            const bool word =
                (name.s[i] >= 'a' && name.s[i] <= 'z') || (name.s[i] >= 'A' && name.s[i] <= 'Z') || name.s[i] == '_';
            if (gap && word && k < MAX_NAME)
                room[k++] = ' ';
            gap = false;
            if (k < MAX_NAME)
                room[k++] = name.s[i];
        }
        return k > 9 ? (dr_str){room, k} : none;
    }
    return odd ? none : name;
}

/* Names of one file, by content. */
typedef struct names {
    dr_buf bytes;    /* the names, encoded */
    dr_str *list;    /* point into the text, or into kept */
    uint32_t *slots; /* index + 1 */
    size_t n, cap, n_slots;
    bool failed;
} names;

static uint32_t add_name(names *t, dr_str name, dr_arena *kept, bool borrowed)
{
    if (t->n * 2 >= t->n_slots) {
        const size_t n = t->n_slots ? 2 * t->n_slots : 256;
        uint32_t *slots = calloc(n, sizeof *slots);
        dr_str *list = realloc(t->list, n * sizeof *list);
        if (list)
            t->list = list;
        if (!slots || !list) {
            free(slots);
            t->failed = true;
            return DR_SYM_NONE;
        }
        for (size_t i = 0; i < t->n; i++) {
            size_t s = dr_xxh3_128(t->list[i].s, t->list[i].n).lo & (n - 1);
            while (slots[s])
                s = (s + 1) & (n - 1);
            slots[s] = (uint32_t)i + 1;
        }
        free(t->slots);
        t->slots = slots;
        t->n_slots = n;
    }
    size_t s = dr_xxh3_128(name.s, name.n).lo & (t->n_slots - 1);
    for (; t->slots[s]; s = (s + 1) & (t->n_slots - 1))
        if (dr_str_eq(t->list[t->slots[s] - 1], name))
            return t->slots[s] - 1;
    if (!borrowed) { /* the caller's room is used again */
        char *copy = dr_arena_take(kept, name.n);
        if (!copy) {
            t->failed = true;
            return DR_SYM_NONE;
        }
        memcpy(copy, name.s, name.n);
        name.s = copy;
    }
    put_varint(&t->bytes, (uint32_t)name.n);
    dr_buf_add(&t->bytes, name.s, name.n);
    t->list[t->n] = name;
    t->slots[s] = (uint32_t)++t->n;
    return t->slots[s] - 1;
}

static int by_name_at(const void *a, const void *b)
{
    const dr_extract_def *x = a, *y = b;
    return (x->name_at > y->name_at) - (x->name_at < y->name_at);
}

/* Line, then name, calls first. The name's number waits in `at` by then. */
static int by_line_name(const void *a, const void *b)
{
    const dr_extract_ref *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (y->is_call > x->is_call) - (y->is_call < x->is_call);
}

/* What a section or an import is called: any text on one line, blanks collapsed. */
static dr_str clean_label(char room[MAX_NAME + 2], dr_str label)
{
    size_t n = 0;
    bool gap = false;
    for (size_t i = 0; i < label.n; i++) {
        const char c = label.s[i];
        if ((uint8_t)c <= ' ' || c == 0x7f) {
            gap = n > 0;
            continue;
        }
        if (n + gap + 1 > MAX_NAME)
            break;
        if (gap)
            room[n++] = ' ';
        gap = false;
        room[n++] = c;
    }
    while (n > 0 && !dr_classify__is_utf8((dr_str){room, n})) /* cut inside a character, or not UTF-8 at all */
        n--;
    return (dr_str){room, n};
}

static void put_def(dr_buf *out, const dr_extract_def *d, uint32_t name, uint32_t container) /* or DR_SYM_NONE */
{
    const uint8_t kind = (uint8_t)d->kind;
    put_varint(out, name);
    put_varint(out, container + 1);
    dr_buf_add(out, &kind, 1);
    put_varint(out, d->line);
    put_varint(out, d->line - d->first_line);
    put_varint(out, d->end_line - d->line);
    put_varint(out, d->doc_line == 0         ? 0
                    : d->doc_line < d->line ? 2 * (d->line - d->doc_line)
                                            : 2 * (d->doc_line - d->line) + 1);
    put_varint(out, d->body_at + 1); /* no body: 0 */
}

bool dr_facts__encode(dr_buf *out, dr_walk *w)
{
    names t = {0};
    dr_buf defs = {0}, refs = {0}, imports = {0};
    dr_arena *kept = dr_arena_new(1024);
    char room[MAX_NAME + 2];
    uint32_t n_defs = 0, n_refs = 0, n_imports = 0;
    bool ok = false;

    if (!kept)
        goto done;
    if (w->n_defs)
        qsort(w->defs, w->n_defs, sizeof *w->defs, by_name_at);
    for (size_t i = 0; i < w->n_defs; i++) {
        const dr_extract_def *d = &w->defs[i];
        const bool section = d->kind == DR_SYM_SECTION;
        const dr_str name = section ? clean_label(room, (dr_str){w->text.s + d->name_at, d->name_n})
                                    : clean_name(room, w, d->name_at, d->name_n);
        if (name.n == 0)
            continue;
        const uint32_t number = add_name(&t, name, kept, name.s != room);
        const dr_str around = section ? clean_label(room, (dr_str){w->text.s + d->container_at, d->container_n})
                                      : clean_name(room, w, d->container_at, d->container_n);
        put_def(&defs, d, number, around.n ? add_name(&t, around, kept, around.s != room) : DR_SYM_NONE);
        n_defs++;
    }
    for (size_t i = 0, line = 0; i < w->n_imports; i++) { /* the walk meets them by line */
        const dr_extract_import *m = &w->imports[i];
        const uint8_t form = (uint8_t)m->form;
        const dr_str name = clean_label(room, (dr_str){w->import_names.data + m->name_at, m->name_n});
        if (name.n == 0 || m->line < line)
            continue;
        put_varint(&imports, add_name(&t, name, kept, false));
        dr_buf_add(&imports, &form, 1);
        put_varint(&imports, m->line - (uint32_t)line);
        line = m->line;
        n_imports++;
    }
    size_t n = 0;
    for (size_t i = 0; i < w->n_refs; i++) {
        const dr_str name = clean_name(room, w, w->refs[i].at, w->refs[i].n);
        if (name.n == 0)
            continue;
        w->refs[n] = w->refs[i];
        w->refs[n++].at = add_name(&t, name, kept, name.s != room);
    }
    if (n)
        qsort(w->refs, n, sizeof *w->refs, by_line_name);
    for (size_t i = 0, line = 0; i < n; i++) {
        const dr_extract_ref *r = &w->refs[i];
        if (i && r->line == r[-1].line && r->at == r[-1].at)
            continue;
        put_varint(&refs, r->at << 1 | (r->is_call != 0));
        put_varint(&refs, r->line - (uint32_t)line);
        line = r->line;
        n_refs++;
    }
    put_varint(out, (uint32_t)t.n);
    put_varint(out, n_defs);
    put_varint(out, n_refs);
    put_varint(out, n_imports);
    dr_buf_add(out, t.bytes.data, t.bytes.n);
    dr_buf_add(out, defs.data, defs.n);
    dr_buf_add(out, imports.data, imports.n);
    dr_buf_add(out, refs.data, refs.n);
    ok = !t.failed && !t.bytes.failed && !defs.failed && !refs.failed && !imports.failed && !out->failed;
done:
    dr_arena_free(kept);
    dr_buf_free(&t.bytes);
    free(t.list);
    free(t.slots);
    dr_buf_free(&defs);
    dr_buf_free(&refs);
    dr_buf_free(&imports);
    return ok;
}

dr_facts_reader dr_facts__open(dr_cspan bytes)
{
    dr_facts_reader r = {.p = bytes.data, .end = bytes.data + bytes.n};
    const uint32_t n_names = get_varint(&r), n_defs = get_varint(&r), n_refs = get_varint(&r),
                   n_imports = get_varint(&r);
    /* Every record takes at least this many bytes, so counts that lie cannot make the reader allocate without end. */
    if (r.bad || (uint64_t)n_names + 8 * (uint64_t)n_defs + 2 * (uint64_t)n_refs + 3 * (uint64_t)n_imports >
                     (uint64_t)(r.end - r.p)) {
        r.bad = true;
        return r;
    }
    r.n_names = n_names;
    r.n_defs = n_defs;
    r.n_refs = n_refs;
    r.n_imports = n_imports;
    return r;
}

dr_str dr_facts__name(dr_facts_reader *r)
{
    const uint32_t n = get_varint(r);
    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        return (dr_str){"", 0};
    }
    const dr_str name = {(const char *)r->p, n};
    r->p += n;
    return name;
}

dr_facts_def dr_facts__def(dr_facts_reader *r)
{
    dr_facts_def d = {0};
    d.name = get_varint(r);
    d.container = get_varint(r) - 1; /* 0 becomes DR_SYM_NONE */
    if (r->p < r->end)
        d.kind = *r->p++;
    else
        r->bad = true;
    d.line = get_varint(r);
    const uint32_t above = get_varint(r), below = get_varint(r), doc = get_varint(r);
    d.body_at = get_varint(r) - 1; /* 0 becomes DR_SYM_NO_BODY */
    if (r->bad || d.name >= r->n_names || (d.container != DR_SYM_NONE && d.container >= r->n_names) ||
        d.kind >= DR_N_SYM_KINDS || above >= d.line || below > UINT32_MAX - d.line ||
        (doc & 1 ? doc >> 1 > UINT32_MAX - d.line : doc >> 1 >= d.line)) {
        r->bad = true;
        return (dr_facts_def){0};
    }
    d.first_line = d.line - above;
    d.end_line = d.line + below;
    d.doc_line = doc == 0 ? 0 : doc & 1 ? d.line + (doc >> 1) : d.line - (doc >> 1);
    return d;
}

uint32_t dr_facts__import(dr_facts_reader *r, uint32_t *line, dr_import_form *form)
{
    const uint32_t name = get_varint(r);
    const uint8_t f = r->p < r->end ? *r->p++ : DR_N_IMPORT_FORMS;
    const uint32_t step = get_varint(r);
    *line = 0;
    *form = DR_IMPORT_PLAIN;
    if (r->bad || name >= r->n_names || f >= DR_N_IMPORT_FORMS || step > UINT32_MAX - r->import_line) {
        r->bad = true;
        return 0;
    }
    *line = r->import_line += step;
    *form = (dr_import_form)f;
    return name;
}

uint32_t dr_facts__ref(dr_facts_reader *r, uint32_t *line, bool *is_call)
{
    const uint32_t v = get_varint(r), step = get_varint(r);
    if (r->bad || v >> 1 >= r->n_names || step > UINT32_MAX - r->line) {
        r->bad = true;
        return 0;
    }
    *line = r->line += step;
    *is_call = v & 1;
    return v >> 1;
}
