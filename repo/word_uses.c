#include "repo/word_uses.h"

#include "repo/syntax.h"

#include <stdlib.h>
#include <string.h>

enum { PARSED_BYTES = 64 << 20, GRAIN = 8 };

typedef struct file_uses {
    dr_word_use *v;
    size_t n;
} file_uses;

typedef struct search {
    const dr_repo *repo;
    dr_str name;
    const atomic_bool *cancel;
    atomic_bool no_memory;
    uint32_t *bytes; /* [n_files] of a file that holds the name; 0: it does not */
    bool *parse;     /* [n_files] */
    file_uses *files; /* [n_files] */
} search;

static bool stopped(const search *s)
{
    return atomic_load_explicit(&s->no_memory, memory_order_relaxed) ||
           (s->cancel && atomic_load_explicit(s->cancel, memory_order_relaxed));
}

/* The text of a file in a language with names. */
static bool read_code(dr_buf *text, dr_lang *lang, const search *s, size_t file)
{
    const dr_repo_file *f = dr_repo_file_at(s->repo, file);
    if (!dr_repo_is_text(f) || (!dr_lang_needs_text(f->path) && dr_lang_of(f->path, DR_STR("")) == DR_LANG_NONE) ||
        dr_repo_read(s->repo, file, text, NULL) != DR_OK)
        return false;
    *lang = dr_lang_of(f->path, dr_buf_view(text));
    return *lang > DR_LANG_NONE && *lang < DR_LANG_HTML;
}

static void find_files(void *arg, int64_t begin, int64_t end, int worker)
{
    search *s = arg;
    dr_buf text = {0};
    dr_lang lang;
    (void)worker;
    for (int64_t i = begin; i < end && !stopped(s); i++)
        if (read_code(&text, &lang, s, (size_t)i) && text.n >= s->name.n && memmem(text.data, text.n, s->name.s, s->name.n))
            s->bytes[i] = text.n < UINT32_MAX ? (uint32_t)text.n : UINT32_MAX;
    dr_buf_free(&text);
}

static bool is_called(dr_str text, size_t at)
{
    while (at < text.n && (text.s[at] == ' ' || text.s[at] == '\t'))
        at++;
    return at < text.n && text.s[at] == '(';
}

static dr_status search_file(search *s, size_t file, dr_str text, dr_lang lang)
{
    dr_status st = DR_OK;
    dr_syntax *syntax = NULL;
    dr_syntax_place *places = NULL;
    size_t n = 0;
    file_uses *f = &s->files[file];

    if ((st = dr_syntax_open(&syntax, s->parse[file] ? lang : DR_LANG_NONE, text, NULL)) != DR_OK ||
        (st = dr_syntax_names(&places, &n, syntax, s->name, NULL)) != DR_OK)
        goto done;
    if (n && !(f->v = calloc(n, sizeof *f->v))) {
        st = DR_ERR_NOMEM;
        goto done;
    }
    for (size_t i = 0; f->v && i < n; i++) {
        const bool call = is_called(text, places[i].at + s->name.n);
        if (f->n && f->v[f->n - 1].line == places[i].line)
            f->v[f->n - 1].is_call |= call;
        else
            f->v[f->n++] = (dr_word_use){(uint32_t)file, places[i].line, call};
    }
done:
    free(places);
    dr_syntax_close(syntax);
    return st;
}

static void search_files(void *arg, int64_t begin, int64_t end, int worker)
{
    search *s = arg;
    dr_buf text = {0};
    dr_lang lang;
    (void)worker;
    for (int64_t i = begin; i < end && !stopped(s); i++)
        if (s->bytes[i] && read_code(&text, &lang, s, (size_t)i) && search_file(s, (size_t)i, dr_buf_view(&text), lang) == DR_ERR_NOMEM)
            atomic_store(&s->no_memory, true);
    dr_buf_free(&text);
}

static void run(const search *s, dr_pool *pool, size_t n, dr_range_fn *fn)
{
    if (pool)
        dr_pool_run(pool, (int64_t)n, GRAIN, fn, (void *)s);
    else
        fn((void *)s, 0, (int64_t)n, 0);
}

dr_status dr_word_uses(dr_word_use **out, size_t *n, const dr_repo *repo, dr_str name, dr_pool *pool, const atomic_bool *cancel,
                       dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n_files = dr_repo_n_files(repo);
    search s = {.repo = repo, .name = name, .cancel = cancel};
    uint64_t parsed = 0;
    size_t total = 0;

    *out = NULL;
    *n = 0;
    if (!dr_syntax_is_name(name) || n_files == 0)
        return DR_OK;
    s.bytes = calloc(n_files, sizeof *s.bytes);
    s.parse = calloc(n_files, sizeof *s.parse);
    s.files = calloc(n_files, sizeof *s.files);
    if (!s.bytes || !s.parse || !s.files) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    run(&s, pool, n_files, find_files);
    for (size_t i = 0; i < n_files; i++) {
        parsed += s.bytes[i];
        s.parse[i] = parsed <= PARSED_BYTES;
    }
    run(&s, pool, n_files, search_files);
    if (cancel && atomic_load(cancel))
        st = dr_fail(err, DR_ERR_CANCELLED, "cancelled");
    for (size_t i = 0; i < n_files; i++)
        total += s.files[i].n;
    if (st == DR_OK && (atomic_load(&s.no_memory) || (total && !(*out = malloc(total * sizeof **out)))))
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (int calls = 1; calls >= 0 && st == DR_OK && *out; calls--)
        for (size_t i = 0; i < n_files; i++)
            for (size_t k = 0; k < s.files[i].n; k++)
                if (s.files[i].v[k].is_call == (calls == 1))
                    (*out)[(*n)++] = s.files[i].v[k];
done:
    for (size_t i = 0; s.files && i < n_files; i++)
        free(s.files[i].v);
    free(s.files);
    free(s.parse);
    free(s.bytes);
    return st;
}
