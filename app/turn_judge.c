/* app/turn_judge.c: what an answer is worth: is it one of the sentences that could be said, does it say what the symbol table says, is it about
 * what was asked. */
#include "app/turn_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Uses of a name that is defined nowhere here are no part of the table: they were found by a search, and hold when they are cited from it. */
static bool found_by_search(const dr_turn *t, dr_str name)
{
    const dr_tool_result *r = t->n_results ? &t->results[t->n_results - 1] : NULL;
    const dr_citations *c = &t->answer->citations;
    const dr_sym_def *defs;

    if (!r || (r->tool != DR_TOOL_FIND_REFS && r->tool != DR_TOOL_CALL_SITES) ||
        !dr_str_eq(dr_buf_view(&r->subject), name) || dr_symbols_find(t->s->symbols, name, &defs))
        return false;
    for (size_t i = 0; i < c->n; i++) {
        bool listed = false;
        for (size_t k = 0; k < r->n_places && !listed; k++)
            listed = r->places[k].file == c->v[i].file && r->places[k].line == c->v[i].line && c->v[i].end == c->v[i].line;
        if (!listed)
            return false;
    }
    return c->n > 0;
}

static bool never_called(const dr_turn *t, dr_str name)
{
    const dr_sym_ref *refs;
    const size_t n = dr_symbols_refs(t->s->symbols, name, &refs);
    for (size_t i = 0; i < n; i++)
        if (refs[i].is_call)
            return false;
    return true;
}

/* Who asks for one place or kind may be given a declaration, whatever else there is elsewhere: it comes first only where nothing else was meant. */
static bool found_declarations(const dr_turn *t)
{
    const dr_tool_result *r = t->n_results ? &t->results[t->n_results - 1] : NULL;
    return r && (r->tool == DR_TOOL_FIND_SYMBOL || r->tool == DR_TOOL_FIND_SYMBOL_IN || dr_tool_describes(r->tool)) && r->n_places && r->places[0].declaration;
}

/* Does the sentence say what the symbol table says? */
static bool holds(const dr_turn *t, dr_answer_check check, dr_str name)
{
    const dr_sym_def *defs;
    const dr_sym_ref *refs;
    const dr_citations *c = &t->answer->citations;
    dr_cite_check least = DR_CITE_EXISTS;

    switch (check) {
    case DR_CHECK_ABSENT: return dr_symbols_find(t->s->symbols, name, &defs) == 0;
    case DR_CHECK_UNUSED: return dr_symbols_refs(t->s->symbols, name, &refs) == 0;
    case DR_CHECK_NO_CALL_SITES: return never_called(t, name);
    case DR_CHECK_READING: least = DR_CITE_SYMBOL; break;
    case DR_CHECK_DEFINED:
    case DR_CHECK_ONE_DEFINITION:
    case DR_CHECK_DESCRIBED:
    case DR_CHECK_NO_PARAMETERS:
    case DR_CHECK_RETURNS_NOTHING:
    case DR_CHECK_RETURNS_UNDECLARED:
    case DR_CHECK_NO_COMMENT: least = found_declarations(t) ? DR_CITE_USED : DR_CITE_SYMBOL; break;
    case DR_CHECK_USED:
    case DR_CHECK_JUDGED:
        if (found_by_search(t, name))
            return true;
        least = DR_CITE_USED;
        break;
    default: return true; /* nothing but the result it was filled from */
    }
    /* By this name alone: another one in backticks, such as the function around a use, proves nothing about it. */
    for (size_t i = 0; i < c->n; i++)
        if (dr_citation_check_name(&c->v[i], name, t->s->symbols) < least)
            return false;
    return c->n > 0;
}

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Does the name stand in the question, by itself and but for case? An answer about another name is true and still no answer. */
static bool asked_for(dr_str question, dr_str name)
{
    for (size_t i = 0; name.n && i + name.n <= question.n; i++)
        if (strncasecmp(question.s + i, name.s, name.n) == 0 && !(i && word_byte(question.s[i - 1])) &&
            !(i + name.n < question.n && word_byte(question.s[i + name.n])))
            return true;
    return false;
}

/* The last part of a path, and that without its ending. */
static bool asked_for_file(dr_str question, dr_str path)
{
    const char *slash = path.n ? memrchr(path.s, '/', path.n) : NULL;
    const dr_str base = slash ? (dr_str){slash + 1, (size_t)(path.s + path.n - slash) - 1} : path;
    const char *dot = base.n > 1 ? memrchr(base.s + 1, '.', base.n - 1) : NULL;
    return asked_for(question, base) || (dot && asked_for(question, (dr_str){base.s, (size_t)(dot - base.s)}));
}

/* Is the answer about what the question names? A reading answers a description, and an edit is shown, not said. */
static bool about_the_question(const dr_turn *t, dr_answer_check check)
{
    const dr_str question = dr_str_of(t->question);
    const dr_tool_result *r = t->n_results ? &t->results[t->n_results - 1] : NULL;

    if (!r || check == DR_CHECK_NONE || check == DR_CHECK_READING || check == DR_CHECK_EDITED || check == DR_CHECK_NOT_EDITED)
        return true;
    return (asked_for(question, dr_buf_view(&r->subject)) || (r->path.n && asked_for_file(question, r->path))) &&
           ((r->tool != DR_TOOL_CALLS && r->tool != DR_TOOL_FIND_SYMBOL_IN) || asked_for(question, dr_buf_view(&r->object)));
}

/* What a quoted comment says of other places is not the answer's citation. */
static void drop_failed(dr_citations *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].check != DR_CITE_FAILED)
            c->v[n++] = c->v[i];
    c->n = n;
}

dr_status dr_turn__judge(dr_turn *t, dr_error *err)
{
    dr_answer *a = t->answer;
    const dr_profile *p = &t->s->profile;
    const dr_str text = dr_buf_view(&a->text);
    const dr_workspace workspace = dr_setup_workspace(t->s);
    const dr_turn_context context = dr_turn__context(t, &workspace);
    const dr_moment moment = dr_turn_moment(&context);
    const dr_answer_form *form = NULL;
    const dr_status st = dr_citations_scan(&a->citations, text, t->s->repo, t->s->symbols, err);

    if (st != DR_OK)
        return st;
    for (int i = 0; i < p->n_forms && !form; i++)
        if (dr_sentence_says(&p->forms[i], &moment, text))
            form = &p->forms[i];
    if (form) {
        drop_failed(&a->citations);
        const bool sound = form->check == DR_CHECK_NONE ||
                           (holds(t, form->check, dr_quoted_name(text)) && about_the_question(t, form->check));
        a->status = sound ? form->status : DR_ANSWER_UNVERIFIED;
        return DR_OK;
    }
    a->status = a->citations.n && p->n_forms == 0 ? DR_ANSWERED : DR_ANSWER_UNVERIFIED;
    for (size_t i = 0; i < a->citations.n; i++)
        if (a->citations.v[i].check == DR_CITE_FAILED)
            a->status = DR_ANSWER_UNVERIFIED;
    return DR_OK;
}
