#include "app/sentence.h"

#include <assert.h>
#include <string.h>

static_assert((int)DR_N_HOLES <= (int)DR_HOLE_CITE, "two kinds of holes share one count");

/* ---- taking apart ---- */

static bool find_hole(uint8_t *out, dr_str name)
{
    static const struct {
        const char *name;
        uint8_t hole;
    } own[] = {{"cite", DR_HOLE_CITE}, {"symbol", DR_HOLE_SYMBOL}, {"callee", DR_HOLE_CALLEE}, {"path", DR_HOLE_PATH},
               {"similar", DR_HOLE_SIMILAR}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (dr_str_eq(name, dr_str_of(own[i].name))) {
            *out = own[i].hole;
            return true;
        }
    for (int h = 0; h < DR_N_HOLES; h++)
        if (dr_str_eq(name, dr_str_of(dr_hole_name((dr_hole)h)))) {
            *out = (uint8_t)h;
            return true;
        }
    return false;
}

/* Where the brace at s[0] is closed; NULL: nowhere. */
static const char *closing(const char *s)
{
    int depth = 0;
    for (; *s; s++) {
        depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
        if (depth == 0)
            return s;
    }
    return NULL;
}

static dr_status add_part(dr_answer_form *f, dr_part part, dr_error *err)
{
    if (f->n_parts == DR_MAX_PARTS)
        return dr_fail(err, DR_ERR_FORMAT, "more than %d parts in \"%.60s\"", DR_MAX_PARTS, f->text);
    f->parts[f->n_parts++] = part;
    return DR_OK;
}

static dr_status check_choice(const dr_answer_form *f, dr_str words, dr_error *err)
{
    size_t n = 1;
    for (size_t i = 0; i < words.n; i++) {
        if (words.s[i] == '|' && (i == 0 || i + 1 == words.n || words.s[i - 1] == '|'))
            return dr_fail(err, DR_ERR_FORMAT, "an empty word in {%.*s}", (int)words.n, words.s);
        n += words.s[i] == '|';
    }
    if (n > DR_MAX_WORDS)
        return dr_fail(err, DR_ERR_FORMAT, "more than %d words in {%.*s}", DR_MAX_WORDS, (int)words.n, words.s);
    for (int i = 0; i < f->n_parts; i++)
        if (f->parts[i].kind == DR_PART_CHOICE)
            return dr_fail(err, DR_ERR_FORMAT, "more than one choice in \"%.60s\"", f->text);
    return DR_OK;
}

static dr_status take_apart(dr_answer_form *f, const char *p, const char *end, bool in_group, dr_error *err)
{
    dr_status st = DR_OK;
    bool any = false;

    while (p < end && st == DR_OK) {
        if (*p == '}')
            return dr_fail(err, DR_ERR_FORMAT, "unbalanced braces in \"%.60s\"", f->text);
        if (*p != '{') {
            size_t n = strcspn(p, "{}");
            n = n < (size_t)(end - p) ? n : (size_t)(end - p);
            st = add_part(f, (dr_part){.kind = DR_PART_TEXT, .in_group = in_group, .text = {p, n}}, err);
            p += n;
            continue;
        }
        const char *close = closing(p);
        if (!close || close >= end)
            return dr_fail(err, DR_ERR_FORMAT, "unbalanced braces in \"%.60s\"", f->text);
        const dr_str inner = {p + 1, (size_t)(close - p) - 1};
        dr_part part = {.kind = DR_PART_HOLE, .in_group = in_group, .text = inner};
        if (memchr(inner.s, '{', inner.n)) {
            if (in_group || f->has_group)
                return dr_fail(err, DR_ERR_FORMAT, "more than one group in \"%.60s\"", f->text);
            f->has_group = true;
            st = take_apart(f, inner.s, inner.s + inner.n, true, err);
        } else if (memchr(inner.s, '|', inner.n)) {
            part.kind = DR_PART_CHOICE;
            if ((st = check_choice(f, inner, err)) == DR_OK)
                st = add_part(f, part, err);
        } else if (!find_hole(&part.hole, inner)) {
            return dr_fail(err, DR_ERR_FORMAT, "unknown hole {%.*s} in \"%.60s\"", (int)inner.n, inner.s, f->text);
        } else {
            any = true;
            st = add_part(f, part, err);
        }
        p = close + 1;
    }
    if (st == DR_OK && in_group && !any)
        return dr_fail(err, DR_ERR_FORMAT, "a group without a hole in \"%.60s\"", f->text);
    return st;
}

dr_status dr_answer_form_parse(dr_answer_form *f, dr_error *err)
{
    f->n_parts = 0;
    f->has_group = false;
    return take_apart(f, f->text, f->text + strlen(f->text), false, err);
}

/* ---- when, and about which places ---- */

static bool is(const dr_tool_result *r, dr_tool_id tool, dr_tool_outcome outcome)
{
    return r && r->tool == tool && r->outcome == outcome;
}

static bool is_edit(const dr_tool_result *r)
{
    return r && r->tool < DR_N_TOOLS && dr_tool_edits(r->tool);
}

static bool found_definitions(const dr_tool_result *r)
{
    return is(r, DR_TOOL_FIND_SYMBOL, DR_TOOL_FOUND) || is(r, DR_TOOL_FIND_SYMBOL_IN, DR_TOOL_FOUND);
}

static bool found_parts(const dr_tool_result *r)
{
    return r && r->tool < DR_N_TOOLS && dr_tool_describes(r->tool) && r->outcome == DR_TOOL_FOUND;
}

/* A declaration where there is something better. */
static bool second_best(const dr_tool_result *r, const dr_place *p)
{
    return p->declaration && !r->places[0].declaration;
}

/* One place, declarations of it aside. Those come last: behind one that is shown nothing else is left out. */
static bool found_one_definition(const dr_tool_result *r)
{
    size_t n = 0;
    if (!found_definitions(r))
        return false;
    for (size_t i = 0; i < r->n_places; i++)
        n += !second_best(r, &r->places[i]);
    return n == 1 && (r->n_left_out == 0 || n < r->n_places);
}

static bool asks_for(const dr_answer_form *f, uint8_t hole)
{
    for (int i = 0; i < f->n_parts; i++)
        if (f->parts[i].kind == DR_PART_HOLE && f->parts[i].hole == hole)
            return true;
    return false;
}

static bool may_be_said(const dr_answer_form *f, const dr_moment *m)
{
    const dr_tool_result *r = m->last;
    switch (f->check) {
    case DR_CHECK_NONE: return true;
    case DR_CHECK_DEFINED: return found_definitions(r);
    case DR_CHECK_ONE_DEFINITION: return found_one_definition(r);
    case DR_CHECK_USED: return is(r, DR_TOOL_FIND_REFS, DR_TOOL_FOUND);
    case DR_CHECK_ABSENT:
        return r && r->outcome == DR_TOOL_NO_SYMBOL && (asks_for(f, DR_HOLE_SIMILAR) || !m->tells_similar || !r->n_similar);
    case DR_CHECK_UNUSED: return is(r, DR_TOOL_FIND_REFS, DR_TOOL_NOTHING);
    case DR_CHECK_JUDGED: return is(r, DR_TOOL_CALL_SITES, DR_TOOL_FOUND);
    case DR_CHECK_NO_CALL_SITES: return is(r, DR_TOOL_CALL_SITES, DR_TOOL_NOTHING);
    case DR_CHECK_DESCRIBED:
    case DR_CHECK_NO_PARAMETERS:
    case DR_CHECK_RETURNS_NOTHING:
    case DR_CHECK_RETURNS_UNDECLARED: return found_parts(r);
    case DR_CHECK_NO_COMMENT: return is(r, DR_TOOL_DESCRIBE, DR_TOOL_FOUND) || is(r, DR_TOOL_COMMENT, DR_TOOL_FOUND);
    case DR_CHECK_FILE: return is(r, DR_TOOL_FIND_FILE, DR_TOOL_FOUND) || (r && r->outcome == DR_TOOL_SEVERAL_FILES);
    case DR_CHECK_NO_FILE: return r && r->outcome == DR_TOOL_NO_FILE;
    case DR_CHECK_OUTLINE: return is(r, DR_TOOL_OUTLINE, DR_TOOL_FOUND);
    case DR_CHECK_NO_OUTLINE: return is(r, DR_TOOL_OUTLINE, DR_TOOL_NOTHING);
    case DR_CHECK_IMPORTS: return is(r, DR_TOOL_IMPORTS, DR_TOOL_FOUND);
    case DR_CHECK_NO_IMPORTS: return is(r, DR_TOOL_IMPORTS, DR_TOOL_NOTHING);
    case DR_CHECK_IMPORTERS: return is(r, DR_TOOL_IMPORTERS, DR_TOOL_FOUND);
    case DR_CHECK_NO_IMPORTERS: return is(r, DR_TOOL_IMPORTERS, DR_TOOL_NOTHING);
    case DR_CHECK_CALLS: return is(r, DR_TOOL_CALLS, DR_TOOL_FOUND);
    case DR_CHECK_NO_CALLS: return is(r, DR_TOOL_CALLS, DR_TOOL_NOTHING);
    case DR_CHECK_GREP: return is(r, DR_TOOL_GREP, DR_TOOL_FOUND);
    case DR_CHECK_NO_MATCH: return is(r, DR_TOOL_GREP, DR_TOOL_NOTHING);
    case DR_CHECK_READING: return !r && m->n_reading;
    case DR_CHECK_EDITED: return is_edit(r) && r->outcome == DR_TOOL_DONE;
    case DR_CHECK_NOT_EDITED: return is_edit(r) && r->outcome != DR_TOOL_DONE;
    case DR_N_CHECKS: break;
    }
    return false;
}

/* The places that a sentence with this check speaks of. */
static size_t places_of(const dr_place **places, const dr_answer_form *f, const dr_moment *m)
{
    const bool reading = f->check == DR_CHECK_READING;
    *places = reading ? m->reading : m->last ? m->last->places : NULL;
    return reading ? m->n_reading : m->last ? m->last->n_places : 0;
}

static bool says(const dr_place *p, dr_hole hole, const char *text)
{
    return dr_str_eq(p->hole[hole], dr_str_of(text));
}

static bool wanted(const dr_answer_form *f, const dr_moment *m, const dr_place *p)
{
    switch (f->check) {
    case DR_CHECK_DEFINED:
    case DR_CHECK_ONE_DEFINITION: return !second_best(m->last, p);
    case DR_CHECK_DESCRIBED: return !second_best(m->last, p) || asks_for(f, DR_HOLE_DOC);
    case DR_CHECK_NO_PARAMETERS: return !second_best(m->last, p) && says(p, DR_HOLE_PARAMETERS, "none");
    case DR_CHECK_RETURNS_NOTHING: return !second_best(m->last, p) && says(p, DR_HOLE_RETURNS, "nothing");
    case DR_CHECK_RETURNS_UNDECLARED: return !second_best(m->last, p) && says(p, DR_HOLE_RETURNS, "not declared");
    case DR_CHECK_NO_COMMENT: /* nor has a declaration of it one; a block without a signature shows one part only, or a value */
        for (size_t i = 0; i < m->last->n_places; i++)
            if (m->last->places[i].declaration && m->last->places[i].hole[DR_HOLE_DOC].n)
                return false;
        return !second_best(m->last, p) && p->hole[DR_HOLE_SIGNATURE].n && !p->hole[DR_HOLE_DOC].n;
    case DR_CHECK_CALLS: return f->has_group || p == m->last->places; /* one call proves it: the first */
    default: return true;
    }
}

/* Is the hole of a place, or the same for all? */
static bool of_place(const dr_answer_form *f, uint8_t hole)
{
    return hole < DR_N_HOLES || hole == DR_HOLE_CITE || (hole == DR_HOLE_PATH && f->check == DR_CHECK_FILE) ||
           (hole == DR_HOLE_SYMBOL && f->check == DR_CHECK_READING);
}

static bool needs_place(const dr_answer_form *f)
{
    for (int i = 0; i < f->n_parts; i++)
        if (f->parts[i].kind == DR_PART_HOLE && of_place(f, f->parts[i].hole))
            return true;
    return false;
}

size_t dr_sentence_n_ways(const dr_answer_form *form, const dr_moment *m)
{
    const dr_place *places;
    if (!may_be_said(form, m))
        return 0;
    return form->has_group || !needs_place(form) ? 1 : places_of(&places, form, m);
}

/* ---- saying it ---- */

static bool add(dr_buf *out, dr_str text)
{
    dr_buf_add(out, text.s, text.n);
    return text.n > 0;
}

static bool add_hole(dr_buf *out, const dr_answer_form *f, const dr_moment *m, const dr_place *p, uint8_t hole)
{
    const dr_tool_result *r = m->last;

    switch (hole) {
    case DR_HOLE_CITE:
        if (!p || p->line == 0)
            return false;
        add(out, dr_repo_file_at(m->repo, p->file)->path);
        dr_buf_printf(out, ":%u", p->line);
        return true;
    case DR_HOLE_SYMBOL: return f->check == DR_CHECK_READING ? p && add(out, p->hole[DR_HOLE_NAME]) : r && add(out, dr_buf_view(&r->subject));
    case DR_HOLE_CALLEE: return r && r->tool == DR_TOOL_CALLS && add(out, dr_buf_view(&r->object));
    case DR_HOLE_PATH: return f->check == DR_CHECK_FILE ? p && add(out, dr_repo_file_at(m->repo, p->file)->path) : r && add(out, r->path);
    case DR_HOLE_SIMILAR:
        for (size_t i = 0; r && i < r->n_similar; i++) {
            dr_buf_str(out, i ? ", " : "");
            add(out, r->similar[i]);
        }
        return r && r->n_similar;
    case DR_HOLE_PARAMETERS: return p && !says(p, DR_HOLE_PARAMETERS, "none") && add(out, p->hole[hole]);
    case DR_HOLE_RETURNS:
        return p && !says(p, DR_HOLE_RETURNS, "nothing") && !says(p, DR_HOLE_RETURNS, "not declared") && add(out, p->hole[hole]);
    default: return p && add(out, p->hole[hole]);
    }
}

/* Parts [from, to) about one place. */
static bool add_parts(dr_buf *out, const dr_answer_form *f, const dr_moment *m, const dr_place *p, int from, int to)
{
    for (int i = from; i < to; i++) {
        const dr_part *part = &f->parts[i];
        const char mark[2] = {0, (char)(i + 1)};
        if (part->kind == DR_PART_TEXT)
            add(out, part->text);
        else if (part->kind == DR_PART_CHOICE)
            dr_buf_add(out, mark, sizeof mark);
        else if (!add_hole(out, f, m, p, part->hole))
            return false;
    }
    return true;
}

bool dr_sentence_way(dr_buf *out, const dr_answer_form *form, const dr_moment *m, size_t i)
{
    const dr_place *places;
    const size_t n = places_of(&places, form, m);
    int first = 0, last;
    size_t n_said = 0;

    if (!form->has_group) {
        const bool one = needs_place(form);
        if (one && (i >= n || !wanted(form, m, &places[i])))
            return false;
        return add_parts(out, form, m, one ? &places[i] : NULL, 0, form->n_parts);
    }
    while (!form->parts[first].in_group)
        first++;
    for (last = first; last < form->n_parts && form->parts[last].in_group;)
        last++;
    if (!add_parts(out, form, m, NULL, 0, first))
        return false;
    for (size_t k = 0; k < n; k++) {
        const size_t before = out->n;
        if (!wanted(form, m, &places[k]))
            continue;
        if (add_parts(out, form, m, &places[k], first, last)) {
            n_said++;
        } else if (!out->failed) {
            out->n = before;
        }
    }
    const bool several = form->check == DR_CHECK_DEFINED || form->check == DR_CHECK_FILE;
    return n_said >= (several ? 2 : 1) && add_parts(out, form, m, NULL, last, form->n_parts);
}

/* The words of a choice, one after the other; false past the last. */
static bool next_word(dr_str *rest, dr_str *word)
{
    if (!rest->n)
        return false;
    const char *bar = memchr(rest->s, '|', rest->n);
    *word = (dr_str){rest->s, bar ? (size_t)(bar - rest->s) : rest->n};
    const size_t taken = word->n + (bar ? 1 : 0);
    *rest = (dr_str){rest->s + taken, rest->n - taken};
    return true;
}

static bool begins(dr_str text, dr_str head)
{
    return text.n >= head.n && memcmp(text.s, head.s, head.n) == 0;
}

/* Does the text read as this way, one word for every choice? */
static bool reads_as(dr_str text, dr_str way, const dr_answer_form *f)
{
    while (way.n) {
        const char *mark = memchr(way.s, 0, way.n);
        const dr_str fixed = {way.s, mark ? (size_t)(mark - way.s) : way.n};
        if (!begins(text, fixed))
            return false;
        text = (dr_str){text.s + fixed.n, text.n - fixed.n};
        if (!mark)
            return text.n == 0;
        way = (dr_str){mark + 2, way.n - fixed.n - 2};
        dr_str rest = f->parts[(unsigned char)mark[1] - 1].text, word, taken = {"", 0};
        while (next_word(&rest, &word))
            if (word.n > taken.n && begins(text, word))
                taken = word;
        if (!taken.n)
            return false;
        text = (dr_str){text.s + taken.n, text.n - taken.n};
    }
    return text.n == 0;
}

bool dr_sentence_says(const dr_answer_form *form, const dr_moment *m, dr_str text)
{
    dr_buf way = {0};
    bool said = false;
    const size_t n = dr_sentence_n_ways(form, m);
    for (size_t i = 0; i < n && !said; i++) {
        dr_buf_clear(&way);
        said = dr_sentence_way(&way, form, m, i) && !way.failed && reads_as(text, dr_buf_view(&way), form);
    }
    dr_buf_free(&way);
    return said;
}
