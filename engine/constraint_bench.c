#include "engine/constraint_bench.h"

#include "engine/sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NOISE_EXTRA = 4096, /* the noise is one table, begun at another place at every step */
    LONGEST = 400,      /* tokens of one block of calls; a model that is all noise would not end it */
    ROUNDS_BARE = 200,
    NAME_ROOM = 32,
};

static const char *const parts[] = {"get", "set", "node", "list", "hash", "key", "value", "buf", "read", "write", "parse", "state",
                                    "next", "old", "new", "file", "path", "lock", "free", "alloc", "size", "count", "flag", "time",
                                    "user", "conn", "cmd", "reply", "entry", "page", "block", "index"};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

static uint32_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

/* Of this thread: what neighbours do does not stretch it, and a microsecond would be too coarse. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef struct bench {
    const dr_tokenizer *t;
    dr_tokenizer *own; /* t, when it was made here */
    int32_t n_vocab, begin, end; /* the control tokens that stand around values, and at the very end */
    char *room;        /* of the names */
    dr_str *names;
    dr_buf text;
    dr_substrings *substrings;
    dr_grammar *g;
    dr_constraint *start;
    float *noise;
    double *us[2];     /* by token: where nothing legal stands above the noise, and where something does */
    size_t n[2];
} bench;

/* ---- what is decoded ---- */

static int by_bytes(const void *a, const void *b)
{
    return dr_str_cmp(*(const dr_str *)a, *(const dr_str *)b);
}

/* Three parts and a number that no other name has. */
static size_t write_name(char *out, size_t room, uint32_t i)
{
    return (size_t)snprintf(out, room, "%s_%s_%s%u", parts[i % N_PARTS], parts[i / 7 % N_PARTS], parts[i / 131 % N_PARTS], i / 31);
}

static bool make_names(bench *b)
{
    b->room = malloc((size_t)DR_CONSTRAINT_BENCH_NAMES * NAME_ROOM);
    b->names = malloc(DR_CONSTRAINT_BENCH_NAMES * sizeof *b->names);
    if (!b->room || !b->names)
        return false;
    for (uint32_t i = 0; i < DR_CONSTRAINT_BENCH_NAMES; i++) {
        char *at = b->room + (size_t)i * NAME_ROOM;
        b->names[i] = (dr_str){at, write_name(at, NAME_ROOM, i)};
    }
    qsort(b->names, DR_CONSTRAINT_BENCH_NAMES, sizeof *b->names, by_bytes);
    return true;
}

/* Lines that look like a program's; every fourth stands somewhere else too. */
static bool make_text(bench *b)
{
    uint64_t state = 5;

    while (b->text.n < DR_CONSTRAINT_BENCH_TEXT && !b->text.failed) {
        char name[3][NAME_ROOM];
        for (int i = 0; i < 3; i++)
            (void)write_name(name[i], sizeof name[i], next_random(&state) % 9973);
        if (next_random(&state) % 4 == 0)
            dr_buf_str(&b->text, "    }\n    return 0;\n");
        dr_buf_printf(&b->text, "    %s = %s(%s, %u);\n", name[0], name[1], name[2], next_random(&state) % 1000);
    }
    return !b->text.failed;
}

static dr_status make_vocabulary(bench *b, dr_error *err)
{
    dr_buf json = {0};
    dr_status st;
    int next = 256;

    dr_buf_printf(&json, "{\"added_tokens\":[{\"id\":%d,\"content\":\"<end>\"},{\"id\":%d,\"content\":\"<mark>\"}],\"model\":{\"vocab\":{",
                  DR_CONSTRAINT_BENCH_VOCAB - 2, DR_CONSTRAINT_BENCH_VOCAB - 1);
    for (int c = 0; c < 256; c++) {
        const bool itself = (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || c >= 174;
        dr_buf_printf(&json, "%s\"\\u%04x\":%d", c ? "," : "", itself ? c : next++, c);
    }
    /* Words of two to six bytes by their number in some base, a third of them behind a blank (U+0120 stands for it). */
    static const char letters[] = "etaoinsrhldcumfpgwybvk_xE.TAS(0)1C;NIRO,DLPM=UqG-B2Fz>HjW/";
    for (uint32_t i = 0, id = 256; id < DR_CONSTRAINT_BENCH_VOCAB - 2; i++) {
        char word[8];
        size_t n = 0;
        for (uint32_t v = i; n == 0 || v > 0; v /= sizeof letters - 1)
            word[n++] = letters[v % (sizeof letters - 1)];
        if (n == 1 && i % 3)
            continue;
        word[n] = 0;
        dr_buf_printf(&json, ",\"%s%s\":%u", i % 3 ? "" : "\xc4\xa0", word, id++);
    }
    dr_buf_str(&json, "},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false}}");
    st = json.failed ? dr_fail(err, DR_ERR_NOMEM, "bench: out of memory")
                     : dr_tokenizer_parse(&b->own, dr_buf_view(&json), "bench", err);
    b->t = b->own;
    dr_buf_free(&json);
    return st;
}

/* The first two control tokens: which ones does not matter here. */
static dr_status find_controls(bench *b, dr_error *err)
{
    int32_t found[2];
    int n = 0;

    b->n_vocab = dr_tokenizer_size(b->t);
    for (int32_t id = 0; id < b->n_vocab && n < 2; id++)
        if (dr_tokenizer_is_special(b->t, id))
            found[n++] = id;
    if (n < 2)
        return dr_fail(err, DR_ERR_FORMAT, "bench: the tokenizer has fewer than two control tokens");
    b->end = found[0];
    b->begin = found[1];
    return DR_OK;
}

/* ---- the grammar: the shape of the official tool calls ---- */

static dr_node word(bench *b, const char *s)
{
    return dr_grammar_literal(b->g, dr_str_of(s));
}

static dr_node one_of(bench *b, const char *const *words, size_t n)
{
    dr_node v[8];

    for (size_t i = 0; i < n; i++)
        v[i] = word(b, words[i]);
    return dr_grammar_choice(b->g, v, n);
}

static dr_node parameter(bench *b, const char *key, const char *is_text, dr_node value)
{
    const dr_node mark = dr_grammar_control(b->g, b->begin);
    const dr_node v[] = {word(b, "<"), mark, word(b, "parameter name=\""), word(b, key), word(b, "\" string=\""), word(b, is_text), word(b, "\">"),
                         value, word(b, "</"), mark, word(b, "parameter>")};
    return dr_grammar_sequence(b->g, v, sizeof v / sizeof *v);
}

static dr_node call(bench *b, const char *name, const dr_node *parameters, size_t n)
{
    dr_node v[16];
    size_t k = 0;

    v[k++] = word(b, name);
    v[k++] = word(b, "\">\n");
    for (size_t i = 0; i < n; i++) {
        if (i)
            v[k++] = word(b, "\n");
        v[k++] = parameters[i];
    }
    return dr_grammar_sequence(b->g, v, k);
}

static dr_status make_grammar(bench *b, dr_error *err)
{
    static const uint64_t digits[4] = {UINT64_C(0x03ff000000000000), 0, 0, 0};
    static const char *const modes[] = {"exists", "symbol", "quote"};
    const dr_node integer = dr_grammar_repeat(b->g, dr_grammar_bytes(b->g, digits), 1, 9);
    const dr_node names = dr_grammar_set(b->g, b->names, DR_CONSTRAINT_BENCH_NAMES, false);
    const dr_node lines = dr_grammar_substring(b->g, b->substrings, DR_SUBSTRING_LINES | DR_SUBSTRING_UNIQUE);
    const dr_node find[] = {parameter(b, "name", "true", names)};
    const dr_node edit[] = {parameter(b, "path", "true", names), parameter(b, "old_string", "true", lines),
                            parameter(b, "new_string", "true", dr_grammar_text(b->g, DR_STR("")))};
    const dr_node grep[] = {parameter(b, "pattern", "true", dr_grammar_text(b->g, DR_STR(""))), parameter(b, "mode", "true", one_of(b, modes, 3)),
                            parameter(b, "limit", "false", integer)};
    const dr_node note[] = {parameter(b, "value", "false", dr_grammar_json(b->g))};
    const dr_node calls[] = {call(b, "find_symbol", find, 1), call(b, "edit", edit, 3), call(b, "grep", grep, 3), call(b, "note", note, 1)};
    const dr_node mark = dr_grammar_control(b->g, b->begin);
    const dr_node one[] = {word(b, "<"), mark, word(b, "invoke name=\""), dr_grammar_choice(b->g, calls, 4), word(b, "\n</"), mark,
                           word(b, "invoke>\n")};
    const dr_node all[] = {word(b, "\n\n<"), mark, word(b, "tool_calls>\n"), dr_grammar_repeat(b->g, dr_grammar_sequence(b->g, one, 7), 1, 8),
                           word(b, "</"), mark, word(b, "tool_calls>"), dr_grammar_control(b->g, b->end)};
    return dr_constraint_new(&b->start, b->g, dr_grammar_sequence(b->g, all, 8), err);
}

/* ---- decoding ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static dr_constraint_cost cost_of(double *v, size_t n)
{
    if (n == 0)
        return (dr_constraint_cost){0};
    qsort(v, n, sizeof *v, ascending);
    return (dr_constraint_cost){v[n / 2], v[n - 1 - n / 100], v[n - 1]};
}

static double bare_pick(bench *b, dr_sampler *s)
{
    double us[ROUNDS_BARE];
    int32_t id;

    for (int i = 0; i < ROUNDS_BARE; i++) {
        const uint64_t start = cpu_ns();
        (void)dr_sampler_pick(s, &id, b->noise + i, NULL, b->t, NULL);
        us[i] = (double)(cpu_ns() - start) / 1000;
    }
    return cost_of(us, ROUNDS_BARE).p50_us;
}

static dr_status decode(bench *b, dr_sampler *s, int32_t n_tokens, dr_error *err)
{
    dr_status st = DR_OK;
    dr_constraint *c = NULL;
    uint64_t state = 9;
    int32_t in_block = 0;

    for (int32_t i = 0; i < n_tokens && st == DR_OK; i++) {
        float *logits = b->noise + next_random(&state) % NOISE_EXTRA;
        const bool known = next_random(&state) % 4 != 0;
        int32_t id = -1;
        float noise = 0;

        if (!c || dr_constraint_done(c) || in_block == LONGEST) {
            dr_constraint_free(c);
            if ((st = dr_constraint_clone(&c, b->start, err)) != DR_OK)
                break;
            in_block = 0;
        }
        if (known) { /* the model means a legal token: mostly any, now and then the end of a value */
            if (next_random(&state) % 8 == 0 && dr_constraint_allows(c, b->t, b->begin))
                id = b->begin;
            else if ((st = dr_sampler_pick(s, &id, logits, c, b->t, err)) != DR_OK)
                break;
            noise = logits[id];
            logits[id] = 40;
        }
        int32_t free_choice;
        uint64_t start = cpu_ns();
        (void)dr_sampler_pick(s, &free_choice, logits, NULL, b->t, NULL);
        const double bare = (double)(cpu_ns() - start) / 1000;
        start = cpu_ns();
        st = dr_sampler_pick(s, &id, logits, c, b->t, err);
        if (st == DR_OK)
            st = dr_constraint_advance(c, b->t, id, err);
        const double whole = (double)(cpu_ns() - start) / 1000;
        b->us[known][b->n[known]++] = whole > bare ? whole - bare : 0;
        if (known)
            logits[id] = noise;
        in_block++;
    }
    dr_constraint_free(c);
    return st;
}

dr_status dr_constraint_bench_run(dr_constraint_bench *out, const dr_tokenizer *t, int32_t n_tokens, dr_error *err)
{
    dr_status st = DR_OK;
    bench b = {.t = t};
    dr_sampler *s = NULL;
    uint64_t state = 1, start;

    *out = (dr_constraint_bench){.n_tokens = n_tokens};
    if ((!t && (st = make_vocabulary(&b, err)) != DR_OK) || (st = find_controls(&b, err)) != DR_OK)
        goto done;
    out->n_vocab = b.n_vocab;
    b.noise = malloc(((size_t)b.n_vocab + NOISE_EXTRA) * sizeof *b.noise);
    b.us[0] = malloc(((size_t)n_tokens + 1) * 2 * sizeof *b.us[0]);
    b.us[1] = malloc(((size_t)n_tokens + 1) * sizeof *b.us[1]);
    if (!b.noise || !b.us[0] || !b.us[1] || !make_names(&b) || !make_text(&b) || !(b.g = dr_grammar_new())) {
        st = dr_fail(err, DR_ERR_NOMEM, "bench: out of memory");
        goto done;
    }
    for (size_t i = 0; i < (size_t)b.n_vocab + NOISE_EXTRA; i++) { /* a sum of four is near enough to a bell */
        b.noise[i] = 0;
        for (int k = 0; k < 4; k++)
            b.noise[i] += (float)next_random(&state) * 0x1p-31f - 1;
    }
    start = cpu_ns();
    if ((st = dr_substrings_new(&b.substrings, dr_buf_view(&b.text), err)) != DR_OK)
        goto done;
    out->text_ms = (double)(cpu_ns() - start) * 1e-6;
    start = cpu_ns();
    if ((st = make_grammar(&b, err)) != DR_OK || (st = dr_sampler_new(&s, (dr_sampling){.top_p = 1}, b.n_vocab, err)) != DR_OK)
        goto done;
    out->grammar_ms = (double)(cpu_ns() - start) * 1e-6;
    out->bare_us = bare_pick(&b, s);
    if ((st = decode(&b, s, n_tokens, err)) != DR_OK)
        goto done;
    out->known = cost_of(b.us[1], b.n[1]);
    out->blind = cost_of(b.us[0], b.n[0]);
    memcpy(b.us[0] + b.n[0], b.us[1], b.n[1] * sizeof *b.us[1]);
    out->token = cost_of(b.us[0], b.n[0] + b.n[1]);
done:
    dr_sampler_free(s);
    dr_constraint_free(b.start);
    dr_grammar_free(b.g);
    dr_substrings_free(b.substrings);
    dr_buf_free(&b.text);
    dr_tokenizer_close(b.own);
    free(b.names);
    free(b.room);
    free(b.noise);
    free(b.us[0]);
    free(b.us[1]);
    return st;
}
