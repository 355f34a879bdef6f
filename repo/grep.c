#include "repo/grep.h"

#include "base/arena.h"
#include "base/log.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_MAX_HITS = 1000,
    DEFAULT_MAX_TIME_US = 10 * 1000 * 1000,
    MATCH_LIMIT = 2000000, /* PCRE2's own steps for one match: about 10 ms */
    HEAP_LIMIT_KIB = 16384,
    MAX_PATTERN = 4096,
    MAX_LINE = 1024,
    CLOCK_LINES = 4096,
};

typedef struct file_hits {
    dr_grep_hit *hits;
    size_t n, cap;
    uint64_t n_total;
    dr_buf text; /* the kept lines, one after the other; hits hold offsets in .text.s until the end */
} file_hits;

typedef struct search {
    const dr_repo *repo;
    const pcre2_code *code;
    size_t max_hits;
    uint64_t deadline_us;
    const atomic_bool *cancel;
    file_hits *files;
    atomic_bool stop, incomplete, no_memory;
} search;

static bool out_of_time(search *s)
{
    if ((s->cancel && atomic_load_explicit(s->cancel, memory_order_relaxed)) || dr_clock_us() > s->deadline_us) {
        atomic_store(&s->incomplete, true);
        atomic_store(&s->stop, true);
    }
    return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

static bool keep_hit(file_hits *f, uint32_t file, uint32_t line, dr_str text)
{
    if (f->n == f->cap) {
        const size_t cap = f->cap ? 2 * f->cap : 8;
        dr_grep_hit *grown = realloc(f->hits, cap * sizeof *grown);
        if (!grown)
            return false;
        f->hits = grown;
        f->cap = cap;
    }
    const size_t n = text.n < MAX_LINE ? text.n : MAX_LINE;
    dr_buf_add(&f->text, text.s, n);
    f->hits[f->n++] = (dr_grep_hit){file, line, {NULL, n}};
    return !f->text.failed;
}

/* Whole-buffer matching in multi-line mode: most lines are never looked at one by one. A match that crosses a line end
 * counts for the line it starts on, and the search goes on at the next line. */
static void search_file(search *s, pcre2_match_data *data, pcre2_match_context *context, const pcre2_code *code,
                        uint32_t file, dr_str text)
{
    file_hits *f = &s->files[file];
    size_t at = 0, counted = 0;
    uint32_t line = 1;

    for (uint32_t n = 0; at <= text.n; n++) {
        if (n % CLOCK_LINES == 0 && out_of_time(s))
            return;
        const int rc = pcre2_match(code, (PCRE2_SPTR)text.s, text.n, at, PCRE2_NO_UTF_CHECK, data, context);
        if (rc == PCRE2_ERROR_NOMATCH)
            return;
        if (rc < 0) { /* a limit: leave this line, go on with the next */
            atomic_store(&s->incomplete, true);
            const char *nl = memchr(text.s + at, '\n', text.n - at);
            if (!nl || out_of_time(s))
                return;
            at = (size_t)(nl - text.s) + 1;
            continue;
        }
        size_t start = pcre2_get_ovector_pointer(data)[0];
        if (start >= text.n && (text.n == 0 || text.s[text.n - 1] == '\n'))
            return; /* the empty line after the last newline is not one */
        for (const char *nl; (nl = memchr(text.s + counted, '\n', start - counted));
             counted = (size_t)(nl - text.s) + 1)
            line++;
        const char *nl = memchr(text.s + counted, '\n', text.n - counted);
        const size_t end = nl ? (size_t)(nl - text.s) : text.n;
        f->n_total++;
        if (f->n < s->max_hits && !keep_hit(f, file, line, (dr_str){text.s + counted, end - counted})) {
            atomic_store(&s->no_memory, true);
            atomic_store(&s->stop, true);
            return;
        }
        if (!nl)
            return;
        at = end + 1;
    }
}

static void search_range(void *arg, int64_t begin, int64_t end, int worker)
{
    search *s = arg;
    dr_buf content = {0};
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    (void)worker;

    if (!data || !context) {
        atomic_store(&s->no_memory, true);
        goto done;
    }
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    for (int64_t i = begin; i < end && !out_of_time(s); i++) {
        const dr_repo_file *f = dr_repo_file_at(s->repo, (size_t)i);
        if (!dr_repo_is_text(f))
            continue;
        if (dr_repo_read(s->repo, (size_t)i, &content, NULL) != DR_OK) {
            atomic_store(&s->incomplete, true);
            continue;
        }
        search_file(s, data, context, s->code, (uint32_t)i, dr_buf_view(&content));
    }
done:
    dr_buf_free(&content);
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
}

/* The storage of a result: its hits, then their text. */
static dr_status gather(dr_grep_result *out, const search *s, size_t n_files, dr_error *err)
{
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < n_files && n < s->max_hits; i++)
        for (size_t k = 0; k < s->files[i].n && n < s->max_hits; k++, n++)
            bytes += s->files[i].hits[k].text.n;
    char *block = malloc(n * sizeof(dr_grep_hit) + bytes + 1);
    if (!block)
        return dr_fail(err, DR_ERR_NOMEM, "search: out of memory");
    dr_grep_hit *hits = (dr_grep_hit *)(void *)block;
    char *text = block + n * sizeof *hits;
    for (size_t i = 0; i < n_files; i++) {
        const file_hits *f = &s->files[i];
        const char *from = f->text.data;
        out->n_total += f->n_total;
        for (size_t k = 0; k < f->n && out->n_hits < n; k++) {
            dr_grep_hit *h = &hits[out->n_hits++];
            *h = f->hits[k];
            h->text.s = text;
            if (h->text.n) {
                memcpy(text, from, h->text.n);
                from += h->text.n;
                text += h->text.n;
            }
        }
    }
    out->storage = block;
    out->hits = hits;
    out->incomplete = atomic_load(&s->incomplete);
    return DR_OK;
}

static pcre2_code *compile(dr_str pattern, uint32_t options, int *code, size_t *offset)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *re = NULL;
    PCRE2_SIZE at = 0;

    *code = PCRE2_ERROR_NOMEMORY;
    if (context) {
        pcre2_set_parens_nest_limit(context, 100);
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        re = pcre2_compile((PCRE2_SPTR)pattern.s, pattern.n, options | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, code,
                           &at, context);
    }
    pcre2_compile_context_free(context);
    *offset = at;
    return re;
}

dr_status dr_grep(dr_grep_result *out, const dr_repo *repo, dr_str pattern, const dr_grep_options *opt, dr_error *err)
{
    static const dr_grep_options defaults;
    dr_status st = DR_OK;
    const size_t n_files = dr_repo_n_files(repo);
    pcre2_code *code = NULL;
    search s = {.repo = repo};
    int why;
    size_t offset;

    *out = (dr_grep_result){0};
    opt = opt ? opt : &defaults;
    if (pattern.n > MAX_PATTERN) {
        st = dr_fail(err, DR_ERR_ARG, "a pattern of %zu bytes: at most %d", pattern.n, MAX_PATTERN);
        goto done;
    }
    if (!(code = compile(pattern, PCRE2_UTF | PCRE2_UCP, &why, &offset))) {
        PCRE2_UCHAR text[160];
        if (pcre2_get_error_message(why, text, sizeof text) < 0)
            text[0] = 0;
        st = dr_fail(err, DR_ERR_ARG, "bad pattern at offset %zu: %s", offset, (const char *)text);
        goto done;
    }
    /* No JIT: compiling costs more than most searches, and it wants writable code pages. */
    s.code = code;
    s.max_hits = opt->max_hits ? opt->max_hits : DEFAULT_MAX_HITS;
    s.deadline_us = dr_clock_us() + (opt->max_time_us ? opt->max_time_us : DEFAULT_MAX_TIME_US);
    s.cancel = opt->cancel;
    if (!(s.files = calloc(n_files ? n_files : 1, sizeof *s.files))) {
        st = dr_fail(err, DR_ERR_NOMEM, "search: out of memory");
        goto done;
    }
    if (opt->pool)
        dr_pool_run(opt->pool, (int64_t)n_files, 8, search_range, &s);
    else
        search_range(&s, 0, (int64_t)n_files, 0);
    if (opt->cancel && atomic_load(opt->cancel))
        st = dr_fail(err, DR_ERR_CANCELLED, "cancelled");
    else if (atomic_load(&s.no_memory))
        st = dr_fail(err, DR_ERR_NOMEM, "search: out of memory");
    else
        st = gather(out, &s, n_files, err);
done:
    if (s.files)
        for (size_t i = 0; i < n_files; i++) {
            free(s.files[i].hits);
            dr_buf_free(&s.files[i].text);
        }
    free(s.files);
    pcre2_code_free(code);
    return st;
}

void dr_grep_result_fini(dr_grep_result *r)
{
    free(r->storage);
    *r = (dr_grep_result){0};
}
