/* app/turn_words.c: the words of a question that a model may copy into a call. */
#include "app/turn_grammar.h"

#include <stdlib.h>
#include <string.h>

bool dr_words_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           c == '~' || c >= 0x80;
}

static bool joins(unsigned char c)
{
    return c && strchr("./-+@:", c) != NULL;
}

static bool path_byte(unsigned char c)
{
    return dr_words_byte(c) || joins(c);
}

static int cmp_str(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

/* Sorts and drops doubles; returns how many are left. */
static size_t sort_unique(dr_str *v, size_t n)
{
    size_t kept = 0;
    if (n)
        qsort(v, n, sizeof *v, cmp_str);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !dr_str_eq(v[kept - 1], v[i]))
            v[kept++] = v[i];
    return kept;
}

static bool next_run(dr_str *out, dr_str text, size_t *at, bool (*in_run)(unsigned char c))
{
    while (*at < text.n && !in_run((unsigned char)text.s[*at]))
        ++*at;
    const size_t first = *at;
    while (*at < text.n && in_run((unsigned char)text.s[*at]))
        ++*at;
    *out = (dr_str){text.s + first, *at - first};
    return out->n > 0;
}

bool dr_words_next(dr_str *out, dr_str text, size_t *at)
{
    return next_run(out, text, at, dr_words_byte);
}

bool dr_words_next_run(dr_str *out, dr_str text, size_t *at)
{
    return next_run(out, text, at, path_byte);
}

dr_str dr_words_as_path(dr_str run)
{
    bool word = false, joined = false;
    while (run.n && (run.s[0] == ':' || run.s[0] == '-'))
        run.s++, run.n--;
    while (run.n && strchr(".:-", run.s[run.n - 1]))
        run.n--;
    for (size_t i = 0; i < run.n; i++) {
        word = word || dr_words_byte((unsigned char)run.s[i]);
        joined = joined || joins((unsigned char)run.s[i]);
    }
    return word && joined ? run : (dr_str){"", 0};
}

/* Texts between two quotes. */
static size_t find_quoted(dr_str *v, dr_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char quote = text.s[i];
        if ((quote != '"' && quote != '\'' && quote != '`') || (i && dr_words_byte((unsigned char)text.s[i - 1])))
            continue;
        for (size_t end = i + 1; end < text.n && text.s[end] != '\n'; end++)
            if (text.s[end] == quote && (end + 1 == text.n || !dr_words_byte((unsigned char)text.s[end + 1]))) {
                if (end > i + 1)
                    v[n++] = (dr_str){text.s + i + 1, end - i - 1};
                i = end;
                break;
            }
    }
    return n;
}

dr_status dr_words_init(dr_words *out, dr_str question, dr_error *err)
{
    dr_str run;

    *out = (dr_words){.question = question};
    out->v = calloc(question.n / 2 + 2, sizeof *out->v);
    out->paths = calloc(question.n / 2 + 1, sizeof *out->paths);
    out->quoted = calloc(question.n / 2 + 1, sizeof *out->quoted);
    if (!out->v || !out->paths || !out->quoted) {
        dr_words_fini(out);
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    }
    for (size_t at = 0; dr_words_next(&out->v[out->n], question, &at);)
        out->n++;
    out->n = sort_unique(out->v, out->n);
    for (size_t at = 0; dr_words_next_run(&run, question, &at);) {
        const dr_str path = dr_words_as_path(run);
        if (path.n)
            out->paths[out->n_paths++] = path;
    }
    out->n_paths = sort_unique(out->paths, out->n_paths);
    out->n_quoted = sort_unique(out->quoted, find_quoted(out->quoted, question));
    return DR_OK;
}

void dr_words_fini(dr_words *w)
{
    free(w->v);
    free(w->paths);
    free(w->quoted);
    *w = (dr_words){0};
}
