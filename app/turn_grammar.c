#include "app/turn_grammar.h"

#include "app/tools_parts.h"
#include "base/arena.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CANDIDATES = DR_TURN_TEXTS, MAX_SPELLED = 8, MAX_LINES = 64 /* of a result, so of a group */, LONGEST_NAME = 256, MOST_PAIRED = 48, MOST_BORDERS = 2048, MOST_PARTS = 16384, DEEPEST = 32 };

/* ---- building ---- */

/* Strings to choose from, sorted, each once. */
typedef struct choices {
    const dr_str *v;
    size_t n;
    dr_node node; /* -1: there are none */
} choices;

typedef struct builder {
    const dr_turn_context *c;
    dr_grammar *g;
    dr_arena *arena;
    int32_t dsml;
    const dr_substrings *question;            /* NULL: it is empty */
    choices symbols, words, patterns, files, paths, places; /* what a call may name */
    choices parts;                            /* of the question, that an edit may put in; none: it is too long */
    size_t candidates[MAX_CANDIDATES]; /* files that may be edited */
    const dr_substrings *texts[MAX_CANDIDATES];
    size_t n_candidates;
} builder;

static dr_node literal(builder *b, const char *s)
{
    return dr_grammar_literal(b->g, dr_str_of(s));
}

static dr_node choice(builder *b, const dr_node *v, size_t n)
{
    return n == 1 ? v[0] : dr_grammar_choice(b->g, v, n);
}

static int cmp_str(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

/* Any bytes; only a control token ends it. */
static dr_node free_text(builder *b)
{
    return dr_grammar_text(b->g, DR_STR(""));
}

/* ---- what the question and the results name ---- */

typedef struct names {
    dr_str *v;
    size_t n, cap;
} names;

static dr_status add_name(names *list, dr_str name, dr_error *err)
{
    if (list->n == list->cap) {
        const size_t cap = list->cap ? 2 * list->cap : 64;
        dr_str *grown = realloc(list->v, cap * sizeof *grown);
        if (!grown)
            return dr_fail(err, DR_ERR_NOMEM, "out of memory");
        list->v = grown;
        list->cap = cap;
    }
    list->v[list->n++] = name;
    return DR_OK;
}

static dr_status add_names(names *list, const dr_str *v, size_t n, dr_error *err)
{
    dr_status st = DR_OK;
    for (size_t i = 0; i < n && st == DR_OK; i++)
        st = add_name(list, v[i], err);
    return st;
}

static dr_status set_of(choices *out, builder *b, names *list, dr_error *err)
{
    size_t kept = 0;
    *out = (choices){.node = -1};
    if (list->n == 0)
        return DR_OK;
    qsort(list->v, list->n, sizeof *list->v, cmp_str);
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].n && (kept == 0 || !dr_str_eq(list->v[kept - 1], list->v[i])))
            list->v[kept++] = list->v[i];
    dr_str *set = dr_arena_take(b->arena, (kept ? kept : 1) * sizeof *set);
    if (!set)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    memcpy(set, list->v, kept * sizeof *set);
    if (kept)
        *out = (choices){.v = set, .n = kept, .node = dr_grammar_set(b->g, set, kept, false)};
    return DR_OK;
}

/* Do two bytes of one word stand on both sides of here? */
static bool inside_word(dr_str text, size_t at)
{
    return at > 0 && at < text.n && dr_words_byte((unsigned char)text.s[at - 1]) && dr_words_byte((unsigned char)text.s[at]);
}

/* Names of the index that stand in the question and are more than a word: operator==, empty?, my-function, Class.name. */
static dr_status add_odd_names(names *list, const dr_turn_context *c, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_sym_def *defs;
    const dr_str q = c->words->question;

    for (size_t from = 0; from < q.n && st == DR_OK; from++) {
        bool odd = false;
        if (inside_word(q, from))
            continue;
        for (size_t end = from; end < q.n && end - from < LONGEST_NAME && !isspace((unsigned char)q.s[end]) && st == DR_OK;) {
            odd = odd || !dr_words_byte((unsigned char)q.s[end]);
            end++;
            const dr_str name = {q.s + from, end - from};
            dr_str qualifier, bare;
            if (odd && !inside_word(q, end) &&
                (dr_symbols_find(c->workspace->symbols, name, &defs) || dr_tool__qualified(&qualifier, &bare, c->workspace, name)))
                st = add_name(list, name, err);
        }
    }
    return st;
}

/* Was it looked up, and are there others like it? Then looking again says nothing new. */
static bool thought_better_of(const dr_turn_context *c, dr_str name)
{
    for (size_t i = 0; i < c->n_results; i++)
        if (c->results[i].n_similar && dr_str_eq(dr_buf_view(&c->results[i].subject), name))
            return true;
    return false;
}

/* Does it stand in the question as the end of a contraction only ("where's", "don't")? */
static bool is_contraction(dr_str q, dr_str word)
{
    bool found = false;
    for (size_t at = 0; word.n <= 2 && at + word.n <= q.n; at++) {
        if (memcmp(q.s + at, word.s, word.n) != 0 || inside_word(q, at) || inside_word(q, at + word.n))
            continue;
        if (at < 2 || q.s[at - 1] != '\'' || !dr_words_byte((unsigned char)q.s[at - 2]))
            return false;
        found = true;
    }
    return found;
}

/* Is it spelt as only names are: a digit, '_', '$' or a byte beyond ASCII in it, or a capital behind the first letter? */
static bool spelt_as_name(dr_str word)
{
    bool found = false;
    for (size_t i = 0; i < word.n && !found; i++) {
        const unsigned char ch = (unsigned char)word.s[i];
        found = isdigit(ch) || ch == '_' || ch == '$' || ch >= 0x80 || (i && isupper(ch));
    }
    return found && !isdigit((unsigned char)word.s[0]);
}

static bool is_ascii(dr_str word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((unsigned char)word.s[i] >= 0x80)
            return false;
    return true;
}

/* Is it marked as a name anywhere in the question, by quotes around it or a '(' behind it? */
static bool marked_as_name(const dr_words *w, dr_str word)
{
    const dr_str q = w->question;
    for (size_t i = 0; i < w->n_quoted; i++)
        if (dr_str_eq(w->quoted[i], word))
            return true;
    for (size_t at = 0; at + word.n < q.n; at++)
        if (q.s[at + word.n] == '(' && memcmp(q.s + at, word.s, word.n) == 0 && !inside_word(q, at))
            return true;
    return false;
}

/* Does some word of the question look like a name? Parts of paths do not count, nor what other languages and typographers write. */
static bool has_names(const dr_words *w)
{
    dr_str run, word;
    bool found = false;
    for (size_t at = 0; !found && dr_words_next_run(&run, w->question, &at);)
        for (size_t in = 0; !found && dr_words_as_path(run).n == 0 && dr_words_next(&word, run, &in);)
            found = is_ascii(word) && spelt_as_name(word);
    for (size_t i = 0; i < w->n && !found; i++)
        found = marked_as_name(w, w->v[i]);
    return found;
}

static bool in_index(const dr_turn_context *c, dr_str word)
{
    const dr_sym_def *defs;
    dr_str real;
    return dr_symbols_find(c->workspace->symbols, word, &defs) || dr_tool__in_other_case(&real, c->workspace->symbols, word);
}

/* words: words of the question, names of the index in it, and those like one that was looked up and is not there, in its place; patterns: these
 * and what it quotes; symbols: where some words look like names, without those that neither do nor are in the index. */
static dr_status find_names(builder *b, dr_error *err)
{
    const dr_turn_context *c = b->c;
    names all = {0}, list = {0};
    dr_status st = DR_OK;
    const bool named = has_names(c->words);

    for (size_t i = 0; i < c->words->n && st == DR_OK; i++) {
        const dr_str word = c->words->v[i];
        if (thought_better_of(c, word) || is_contraction(c->words->question, word))
            continue;
        st = add_name(&all, word, err);
        if (st == DR_OK && (!named || spelt_as_name(word) || marked_as_name(c->words, word) || in_index(c, word)))
            st = add_name(&list, word, err);
    }
    const size_t n_words = all.n;
    if (st == DR_OK && list.n == 0)
        st = add_names(&list, all.v, n_words, err);
    if (st == DR_OK)
        st = add_odd_names(&all, c, err);
    for (size_t i = 0; i < c->n_results && st == DR_OK; i++)
        st = add_names(&all, c->results[i].similar, c->results[i].n_similar, err);
    if (st == DR_OK && (st = add_names(&list, all.n ? all.v + n_words : NULL, all.n - n_words, err)) == DR_OK && (st = set_of(&b->symbols, b, &list, err)) == DR_OK)
        st = set_of(&b->words, b, &all, err);
    if (st == DR_OK && (st = add_names(&all, c->words->quoted, c->words->n_quoted, err)) == DR_OK)
        st = set_of(&b->patterns, b, &all, err);
    free(all.v);
    free(list.v);
    return st;
}

/* paths: what could be one in the question, a '/' behind it left out too, words of it that name a file, and what the results name; places: these
 * and all words; files: where there are paths these and the words that are spelt as names, else all words. */
static dr_status find_paths(builder *b, dr_error *err)
{
    const dr_turn_context *c = b->c;
    const dr_words *w = c->words;
    names list = {0};
    dr_status st = DR_OK;

    for (size_t i = 0; i < w->n_paths && st == DR_OK; i++) {
        dr_str path = w->paths[i];
        st = add_name(&list, path, err);
        while (path.n && path.s[path.n - 1] == '/')
            path.n--; /* a path holds a word: something is left */
        if (st == DR_OK)
            st = add_name(&list, path, err);
    }
    for (size_t i = 0, file; i < w->n && st == DR_OK; i++) /* Makefile */
        if (dr_tool__files_named(c->workspace, w->v[i], &file, 1))
            st = add_name(&list, w->v[i], err);
    for (size_t i = 0; i < c->n_results; i++)
        for (size_t k = 0; k < c->results[i].n_places && st == DR_OK; k++)
            st = add_name(&list, dr_tool__path(c->workspace, c->results[i].places[k].file), err);
    if (st == DR_OK)
        st = set_of(&b->paths, b, &list, err);
    const bool any = list.n > 0;
    for (size_t i = 0; i < w->n && st == DR_OK; i++)
        if (!any || isupper((unsigned char)w->v[i].s[0]) || spelt_as_name(w->v[i]) || marked_as_name(w, w->v[i]))
            st = add_name(&list, w->v[i], err);
    if (st == DR_OK)
        st = set_of(&b->files, b, &list, err);
    if (st == DR_OK && (st = add_names(&list, w->v, w->n, err)) == DR_OK)
        st = set_of(&b->places, b, &list, err);
    free(list.v);
    return st;
}

/* May a part begin or end here? At a blank, a bracket, a quote or what stands before or behind a value (x=5, s/5/6/); never inside a number or a
 * dotted name. */
static bool may_cut(dr_str q, size_t at, bool end)
{
    if (at == 0 || at == q.n)
        return true;
    const char before = q.s[at - 1], after = q.s[at];
    const bool dotted = end && after == '.' && at + 1 < q.n && dr_words_byte((unsigned char)q.s[at + 1]) && dr_words_byte((unsigned char)before);
    if (isspace((unsigned char)(end ? after : before)))
        return true;
    return end ? !dotted && strchr(")]}>\"'`.,;:?!/=", after) && after : strchr("([{<\"'`,:=>/", before) && before;
}

/* Are all brackets and quotes of it closed? An apostrophe inside a word is no quote. */
static bool balanced(dr_str text)
{
    char open[DEEPEST], quote = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char c = text.s[i];
        if (quote) {
            i += c == '\\';
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '`' || (c == '\'' && !(i && i + 1 < text.n && dr_words_byte((unsigned char)text.s[i - 1]) && dr_words_byte((unsigned char)text.s[i + 1])))) {
            quote = c;
        } else if (c == '(' || c == '[' || c == '{') {
            if (n == DEEPEST)
                return false;
            open[n++] = c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if ((c == ')' || c == ']' || c == '}') && (n == 0 || open[--n] != c)) {
            return false;
        }
    }
    return n == 0 && !quote;
}

/* What of the question an edit may put in: from border to border, whole; of a long question the shorter parts alone. */
static dr_status find_parts(builder *b, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_str q = b->c->words->question;
    size_t starts[MOST_BORDERS], ends[MOST_BORDERS], n_starts = 0, n_ends = 0;
    names list = {0};

    for (size_t at = 0; at <= q.n; at++) {
        const bool start = at < q.n && !isspace((unsigned char)q.s[at]) && may_cut(q, at, false);
        const bool end = at && !isspace((unsigned char)q.s[at - 1]) && may_cut(q, at, true);
        if ((start && n_starts == MOST_BORDERS) || (end && n_ends == MOST_BORDERS))
            return DR_OK;
        if (start)
            starts[n_starts++] = at;
        if (end)
            ends[n_ends++] = at;
    }
    for (size_t i = 0, first = 0; i < n_starts; i++) {
        while (first < n_ends && ends[first] <= starts[i])
            first++;
        for (size_t k = first; k < n_ends && k - first < MOST_PARTS / n_starts && st == DR_OK; k++) {
            const dr_str part = {q.s + starts[i], ends[k] - starts[i]};
            const bool stripped = starts[i] && ends[k] < q.n && q.s[starts[i] - 1] == '(' && q.s[ends[k]] == ')'; /* a macro needs its parentheses */
            if (!stripped && balanced(part))
                st = add_name(&list, part, err);
        }
    }
    if (st == DR_OK)
        st = set_of(&b->parts, b, &list, err);
    free(list.v);
    return st;
}

static dr_node one_of(builder *b, const choices *set)
{
    return set->n ? set->node : free_text(b);
}

/* A path; any word where the question has none that could be one. */
static dr_node a_path(builder *b)
{
    return one_of(b, b->paths.n ? &b->paths : &b->places);
}

/* A part of the question; for a statement also the shortest one. */
static dr_node quoted(builder *b, dr_tool_id id)
{
    if (!b->question)
        return free_text(b);
    const dr_node v[] = {b->parts.n ? b->parts.node : dr_grammar_substring(b->g, b->question, 0), literal(b, "return")};
    return choice(b, v, id == DR_TOOL_ADD_STATEMENT ? 2 : 1);
}

static dr_node value(builder *b, dr_tool_id id, const dr_tool_arg *arg)
{
    const bool closed = b->c->profile->n_forms > 0, first = arg == dr_tool_args(id);
    static const uint64_t digits[4] = {UINT64_C(0x03ff000000000000), 0, 0, 0};

    if (arg->integer)
        return dr_grammar_repeat(b->g, dr_grammar_bytes(b->g, digits), 1, 9);
    if (!closed)
        return free_text(b);
    switch (id) {
    case DR_TOOL_READ:
    case DR_TOOL_OUTLINE:
    case DR_TOOL_IMPORTS: return a_path(b);
    case DR_TOOL_FIND_FILE: return one_of(b, &b->files);
    case DR_TOOL_IMPORTERS: return one_of(b, &b->places);
    case DR_TOOL_FIND_REFS:
    case DR_TOOL_CALL_SITES: return one_of(b, &b->words); /* strcpy in copy_name */
    case DR_TOOL_CALLS: return one_of(b, first ? &b->symbols : &b->words);
    case DR_TOOL_FIND_SYMBOL_IN: return one_of(b, first ? &b->symbols : &b->places);
    case DR_TOOL_GREP: return one_of(b, &b->patterns);
    case DR_TOOL_RENAME: return first ? a_path(b) : one_of(b, &b->words);
    case DR_TOOL_RENAME_EVERYWHERE: return one_of(b, &b->words);
    case DR_TOOL_SET_VALUE:
    case DR_TOOL_ADD_STATEMENT: return first ? one_of(b, &b->words) : quoted(b, id);
    case DR_TOOL_ADD_IMPORT: return first ? a_path(b) : quoted(b, id);
    default: return one_of(b, &b->symbols);
    }
}

/* <｜DSML｜parameter name="KEY" string="true">VALUE</｜DSML｜parameter>, and a newline before all but the first. Returns how many nodes. */
static size_t parameter(builder *b, dr_node v[6], const dr_tool_arg *arg, bool first, dr_node its_value)
{
    char text[160];
    v[0] = literal(b, first ? "<" : "\n<");
    v[1] = dr_grammar_control(b->g, b->dsml);
    (void)snprintf(text, sizeof text, "parameter name=\"%s\" string=\"%s\">", arg->name, arg->integer ? "false" : "true");
    v[2] = dr_grammar_sequence(b->g, (const dr_node[]){literal(b, text), its_value}, 2);
    v[3] = literal(b, "</");
    v[4] = dr_grammar_control(b->g, b->dsml);
    v[5] = literal(b, "parameter>");
    return 6;
}

/* How often does it stand in the question, no word touching it? */
static size_t times_said(const builder *b, dr_str name)
{
    const dr_str q = b->c->words->question;
    size_t n = 0;
    for (size_t at = 0; name.n && at + name.n <= q.n; at++)
        n += memcmp(q.s + at, name.s, name.n) == 0 && !inside_word(q, at) && !inside_word(q, at + name.n);
    return n;
}

/* Two arguments, one behind the other, that are not the same word of the question unless it stands there twice. Returns how many nodes, 0: any two
 * will do. */
static size_t pair(builder *b, dr_node v[6], const dr_tool_arg *args, bool first, const choices *from, const choices *to)
{
    dr_node rest[MOST_PAIRED], then[6];
    if (from->n == 0 || from->n > MOST_PAIRED || to->n < 2)
        return 0;
    for (size_t i = 0; i < from->n; i++) {
        dr_str *others = dr_arena_take(b->arena, to->n * sizeof *others);
        size_t n = 0;
        if (!others) /* fails the grammar */
            return parameter(b, v, args, first, dr_grammar_set(b->g, NULL, 0, false));
        for (size_t k = 0; k < to->n; k++)
            if (!dr_str_eq(to->v[k], from->v[i]) || times_said(b, from->v[i]) != 1)
                others[n++] = to->v[k];
        (void)parameter(b, then, &args[1], false, dr_grammar_set(b->g, others, n, false));
        const dr_node behind[] = {literal(b, "</"), dr_grammar_control(b->g, b->dsml), literal(b, "parameter>"), then[0], then[1], then[2]};
        rest[i] = dr_grammar_sequence(b->g, behind, 6);
    }
    return parameter(b, v, args, first, dr_grammar_switch(b->g, from->v, rest, from->n));
}

/* edit of a closed model: one way for every file it may name, since the old text depends on the file. */
static dr_node edits(builder *b)
{
    const dr_tool_arg *args = dr_tool_args(DR_TOOL_EDIT);
    dr_node files[MAX_CANDIDATES];

    for (size_t i = 0; i < b->n_candidates; i++) {
        dr_node v[6 * DR_TOOL_ARGS];
        size_t n = 0;
        const dr_node old_text = b->texts[i] ? dr_grammar_substring(b->g, b->texts[i], DR_SUBSTRING_UNIQUE) : free_text(b);
        n += parameter(b, v + n, &args[0], true, dr_grammar_literal(b->g, dr_tool__path(b->c->workspace, b->candidates[i])));
        n += parameter(b, v + n, &args[1], false, old_text);
        n += parameter(b, v + n, &args[2], false, free_text(b));
        files[i] = dr_grammar_sequence(b->g, v, n);
    }
    return choice(b, files, b->n_candidates);
}

static dr_node invoke(builder *b, dr_tool_id id)
{
    dr_node v[1 + 6 * DR_TOOL_ARGS];
    size_t n = 0;
    char text[160];

    (void)snprintf(text, sizeof text, "%s\">\n", dr_tool_name(id));
    v[n++] = literal(b, text);
    if (id == DR_TOOL_EDIT && b->c->profile->n_forms) {
        v[n++] = edits(b);
        return dr_grammar_sequence(b->g, v, n);
    }
    const dr_tool_arg *args = dr_tool_args(id);
    for (int i = 0; i < DR_TOOL_ARGS && args[i].name; i++) {
        const bool two = b->c->profile->n_forms && (i == 1 ? id == DR_TOOL_RENAME
                                                           : i == 0 && (id == DR_TOOL_CALLS || id == DR_TOOL_RENAME_EVERYWHERE || id == DR_TOOL_FIND_SYMBOL_IN));
        const size_t paired = two ? pair(b, v + n, &args[i], i == 0, id == DR_TOOL_CALLS || id == DR_TOOL_FIND_SYMBOL_IN ? &b->symbols : &b->words, id == DR_TOOL_FIND_SYMBOL_IN ? &b->places : &b->words) : 0;
        n += paired ? paired : parameter(b, v + n, &args[i], i == 0, value(b, id, &args[i]));
        i += paired > 0;
    }
    return dr_grammar_sequence(b->g, v, n);
}

/* -1: there is nothing to call. */
static dr_node tool_calls(builder *b)
{
    dr_node tools[DR_MAX_TOOLS];
    size_t n_tools = 0;
    const bool closed = b->c->profile->n_forms > 0;
    for (int i = 0; i < b->c->profile->n_tools; i++) {
        dr_tool_id id;
        if (dr_tool_find(&id, dr_str_of(b->c->profile->tools[i])) && !(closed && id == DR_TOOL_EDIT && b->n_candidates == 0))
            tools[n_tools++] = invoke(b, id);
    }
    if (n_tools == 0)
        return -1;
    const dr_node dsml = dr_grammar_control(b->g, b->dsml);
    const dr_node one[] = {literal(b, "<"), dsml, literal(b, "invoke name=\""), choice(b, tools, n_tools),
                           literal(b, "\n</"), dsml, literal(b, "invoke>\n")};
    const dr_node first = dr_grammar_sequence(b->g, one, sizeof one / sizeof *one);
    const int32_t most = closed ? 1 : 8;
    const dr_node all[] = {literal(b, "\n\n<"), dsml, literal(b, "tool_calls>\n"),
                           dr_grammar_repeat(b->g, first, 1, most), literal(b, "</"), dsml, literal(b, "tool_calls>")};
    return dr_grammar_sequence(b->g, all, sizeof all / sizeof *all);
}

/* ---- files that may be edited ---- */

static dr_status add_candidate(builder *b, size_t file, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_substrings *text = NULL;

    for (size_t i = 0; i < b->n_candidates; i++)
        if (b->candidates[i] == file)
            return DR_OK;
    if (b->n_candidates == MAX_CANDIDATES || !dr_repo_is_text(dr_repo_file_at(b->c->workspace->repo, file)))
        return DR_OK;
    if (b->c->texts && b->c->workspace->edits) {
        if ((st = dr_turn_texts_of(&text, b->c->texts, b->c->workspace->edits, file, err)) != DR_OK || !text)
            return st;
    }
    b->texts[b->n_candidates] = text;
    b->candidates[b->n_candidates++] = file;
    return st;
}

/* Those that the question names, then those of the results, the last result first. */
static dr_status find_candidates(builder *b, dr_error *err)
{
    dr_status st = DR_OK;
    const dr_turn_context *c = b->c;
    bool offered = false;
    size_t files[MAX_CANDIDATES];
    dr_tool_id id;

    if (c->texts)
        dr_turn_texts_begin(c->texts);
    for (int i = 0; i < c->profile->n_tools; i++)
        offered = offered || (dr_tool_find(&id, dr_str_of(c->profile->tools[i])) && id == DR_TOOL_EDIT);
    for (size_t i = 0; offered && i < c->words->n_paths && st == DR_OK; i++) {
        const size_t n = dr_tool__files_named(c->workspace, c->words->paths[i], files, MAX_CANDIDATES);
        for (size_t k = 0; k < n && st == DR_OK; k++)
            st = add_candidate(b, files[k], err);
    }
    for (size_t i = 0; offered && i < c->words->n && st == DR_OK; i++) { /* Makefile */
        const size_t n = dr_tool__files_named(c->workspace, c->words->v[i], files, MAX_CANDIDATES);
        for (size_t k = 0; k < n && st == DR_OK; k++)
            st = add_candidate(b, files[k], err);
    }
    for (size_t i = c->n_results; offered && i > 0; i--)
        for (size_t k = 0; k < c->results[i - 1].n_places && st == DR_OK; k++)
            st = add_candidate(b, c->results[i - 1].places[k].file, err);
    return st;
}

/* ---- sentences of a closed model ---- */

dr_moment dr_turn_moment(const dr_turn_context *c)
{
    dr_moment m = {.repo = c->workspace->repo,
                   .last = c->n_results ? &c->results[c->n_results - 1] : NULL,
                   .reading = c->reading,
                   .n_reading = c->n_reading};
    for (int i = 0; i < c->profile->n_forms; i++)
        m.tells_similar = m.tells_similar || strstr(c->profile->forms[i].text, "{similar}");
    return m;
}

typedef struct said {
    names ways;
    dr_node spelled[MAX_SPELLED]; /* those with choices */
    size_t n_spelled;
} said;

/* A way with choices: its fixed parts and one of the words between them. */
static dr_node spell(builder *b, dr_str way, const dr_answer_form *f)
{
    dr_node v[2 * MAX_LINES + 1];
    size_t n = 0;
    while (way.n && n + 2 < sizeof v / sizeof *v) {
        const char *mark = memchr(way.s, 0, way.n);
        const size_t fixed = mark ? (size_t)(mark - way.s) : way.n;
        v[n++] = dr_grammar_literal(b->g, (dr_str){way.s, fixed});
        if (!mark)
            break;
        dr_str rest = f->parts[(unsigned char)mark[1] - 1].text;
        dr_node word[DR_MAX_WORDS];
        size_t n_words = 0;
        while (rest.n && n_words < DR_MAX_WORDS) {
            const char *bar = memchr(rest.s, '|', rest.n);
            const size_t len = bar ? (size_t)(bar - rest.s) : rest.n, taken = len + (bar ? 1 : 0);
            word[n_words++] = dr_grammar_literal(b->g, (dr_str){rest.s, len});
            rest = (dr_str){rest.s + taken, rest.n - taken};
        }
        v[n++] = choice(b, word, n_words);
        way = (dr_str){mark + 2, way.n - fixed - 2};
    }
    return dr_grammar_sequence(b->g, v, n);
}

/* Every way to say it. */
static dr_status add_ways(builder *b, said *all, const dr_answer_form *f, const dr_moment *m, dr_error *err)
{
    dr_status st = DR_OK;
    dr_buf way = {0};
    const size_t n = dr_sentence_n_ways(f, m);

    for (size_t i = 0; i < n && st == DR_OK; i++) {
        dr_buf_clear(&way);
        if (!dr_sentence_way(&way, f, m, i) || way.n == 0)
            continue;
        char *copy = way.failed ? NULL : dr_arena_take(b->arena, way.n);
        if (!copy) {
            st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
            break;
        }
        memcpy(copy, way.data, way.n);
        const dr_str text = {copy, way.n};
        if (!memchr(copy, 0, way.n))
            st = add_name(&all->ways, text, err);
        else if (all->n_spelled < MAX_SPELLED)
            all->spelled[all->n_spelled++] = spell(b, text, f);
    }
    dr_buf_free(&way);
    return st;
}

/* All sentences that can be said now: most of them one sorted set, which costs the sampler one place, however many they are. */
static dr_status sentences(builder *b, dr_node *v, size_t *n, dr_error *err)
{
    dr_status st = DR_OK;
    said all = {0};
    const dr_moment m = dr_turn_moment(b->c);
    choices set = {.node = -1};

    for (int i = 0; i < b->c->profile->n_forms && st == DR_OK; i++)
        st = add_ways(b, &all, &b->c->profile->forms[i], &m, err);
    if (st == DR_OK)
        st = set_of(&set, b, &all.ways, err);
    if (set.n)
        v[(*n)++] = set.node;
    for (size_t i = 0; i < all.n_spelled; i++)
        v[(*n)++] = all.spelled[i];
    free(all.ways.v);
    return st;
}

dr_status dr_turn_grammar_build(dr_turn_grammar *out, const dr_turn_context *c, dr_error *err)
{
    dr_status st = DR_OK;
    builder b = {.c = c};
    dr_node v[MAX_SPELLED + 4], call = -1;
    size_t n = 0;

    *out = (dr_turn_grammar){0};
    out->grammar = b.g = dr_grammar_new();
    out->storage = b.arena = dr_arena_new(4096);
    if (!b.g || !b.arena) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((b.dsml = dr_tokenizer_special(c->tokenizer, "｜DSML｜")) < 0) {
        st = dr_fail(err, DR_ERR_FORMAT, "the tokenizer has no token ｜DSML｜, which tool calls need");
        goto done;
    }
    const dr_node eos = dr_grammar_control(b.g, c->eos_id);
    if (c->may_call && c->profile->n_tools > 0) {
        if (c->profile->n_forms && c->words->question.n) {
            if ((st = dr_substrings_new(&out->question, c->words->question, err)) != DR_OK)
                goto done;
            b.question = out->question;
        }
        if (c->profile->n_forms &&
            ((st = find_names(&b, err)) != DR_OK || (st = find_paths(&b, err)) != DR_OK || (st = find_parts(&b, err)) != DR_OK || (st = find_candidates(&b, err)) != DR_OK))
            goto done;
        call = tool_calls(&b);
    }
    if (c->profile->n_forms) {
        if (call >= 0)
            v[n++] = call;
        if ((st = sentences(&b, v, &n, err)) != DR_OK)
            goto done;
        if (n == 0) {
            st = dr_fail(err, DR_ERR_FORMAT,
                         "profile: no sentence of \"answers\" can be said here, and no call is left: add one without holes");
            goto done;
        }
        const dr_node parts[] = {choice(&b, v, n), eos};
        out->root = dr_grammar_sequence(b.g, parts, 2);
    } else {
        if (c->profile->thinking) {
            const int32_t end = dr_tokenizer_special(c->tokenizer, "</think>");
            if (end < 0) {
                st = dr_fail(err, DR_ERR_FORMAT, "the tokenizer has no token </think>, which the thinking mode needs");
                goto done;
            }
            v[n++] = free_text(&b);
            v[n++] = dr_grammar_control(b.g, end);
        }
        v[n++] = free_text(&b);
        if (call >= 0)
            v[n++] = dr_grammar_repeat(b.g, call, 0, 1);
        v[n++] = eos;
        out->root = dr_grammar_sequence(b.g, v, n);
    }
    if (!dr_grammar_ok(b.g, out->root))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    if (st != DR_OK)
        dr_turn_grammar_fini(out);
    return st;
}

void dr_turn_grammar_fini(dr_turn_grammar *g)
{
    dr_grammar_free(g->grammar);
    dr_arena_free(g->storage);
    dr_substrings_free(g->question);
    *g = (dr_turn_grammar){0};
}
