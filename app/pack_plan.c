/* app/pack_plan.c: what the base holds: order, and under a budget the choice of files. Kept in the store, because order needs a
 * walk along the history and the choice needs symbols and the reference graph.
 *
 *   key    "pln", format, budget, version of the symbols, tokenizer, c0, digest of c0's files, digest of the rules
 *   value  u32 n, u64 tokens of the base, u32 ids of the front, u32 ids of signatures
 *          n x { u32 file, u32 tokens, u32 head, u32 lines, u32 ids at, u32 how }, front, signatures */
#include "app/pack_parts.h"
#include "app/pack_text.h"

#include <stdlib.h>
#include <string.h>

enum { ORDER_COMMITS = 1000, HEAD_BYTES = 20, UNIT_BYTES = 24, MISSES = 16, TRY = 32, BYTES_A_TOKEN = 16 };

void dr_plan__fini(dr_plan *plan)
{
    free(plan->units);
    dr_ids_free(&plan->front);
    dr_ids_free(&plan->ids);
    *plan = (dr_plan){0};
}

/* ---- the store ---- */

static void make_key(dr_buf *key, const dr_maker *m)
{
    uint8_t word[8];
    dr_digest rules;

    dr_repo_rules_digest(&rules, m->base);
    dr_buf_printf(key, "pln%d", DR_PACK_FORMAT);
    dr_store_u64(word, (uint64_t)m->budget);
    dr_buf_add(key, word, sizeof word);
    dr_store_u32(word, m->budget ? dr_symbols_version() : 0);
    dr_buf_add(key, word, 4);
    dr_buf_add(key, m->tokenizer.b, sizeof m->tokenizer.b);
    dr_buf_add(key, m->c0, strlen(m->c0));
    dr_buf_add(key, dr_repo_identity(m->base)->digest.b, sizeof rules.b);
    dr_buf_add(key, rules.b, sizeof rules.b);
}

static void add_u32(dr_buf *b, uint32_t v)
{
    uint8_t word[4];
    dr_store_u32(word, v);
    dr_buf_add(b, word, sizeof word);
}

void dr_plan__keep(const dr_plan *plan, const dr_maker *m)
{
    dr_buf key = {0}, value = {0};
    uint8_t word[8];

    if (!m->opt->store || plan->kept || dr_repo_identity(m->base)->shallow)
        return; /* where the history is cut is not in the key */
    make_key(&key, m);
    add_u32(&value, (uint32_t)plan->n);
    dr_store_u64(word, (uint64_t)plan->n_tokens);
    dr_buf_add(&value, word, sizeof word);
    add_u32(&value, (uint32_t)plan->front.n);
    add_u32(&value, (uint32_t)plan->ids.n);
    for (size_t i = 0; i < plan->n; i++) {
        const dr_plan_unit *u = &plan->units[i];
        const uint32_t fields[] = {u->file, u->n_tokens, u->n_head, u->n_lines, u->ids_at, (uint32_t)u->how};
        if (u->how == DR_HOW_OUT) {
            key.failed = true; /* something could not be read: not a plan to keep */
            break;
        }
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            add_u32(&value, fields[k]);
    }
    for (size_t i = 0; i < plan->front.n; i++)
        add_u32(&value, (uint32_t)plan->front.v[i]);
    for (size_t i = 0; i < plan->ids.n; i++)
        add_u32(&value, (uint32_t)plan->ids.v[i]);
    if (!key.failed && !value.failed)
        (void)m->opt->store->put(m->opt->store->self, (dr_cspan){(const uint8_t *)key.data, key.n},
                                 (dr_cspan){(const uint8_t *)value.data, value.n}, NULL);
    dr_buf_free(&key);
    dr_buf_free(&value);
}

static void load_ids(dr_ids *ids, const char *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dr_ids_add(ids, (int32_t)dr_load_u32(from + 4 * i));
}

dr_status dr_plan__load(dr_plan *out, const dr_maker *m, dr_error *err)
{
    dr_status st = DR_ERR_NOT_FOUND;
    dr_buf key = {0}, value = {0};
    const size_t n_files = dr_repo_n_files(m->base);

    *out = (dr_plan){0};
    if (!m->opt->store || dr_repo_identity(m->base)->shallow)
        return st;
    make_key(&key, m);
    if (key.failed || m->opt->store->get(m->opt->store->self, &value, (dr_cspan){(const uint8_t *)key.data, key.n}, NULL) != DR_OK ||
        value.n < HEAD_BYTES)
        goto done;
    const size_t n = dr_load_u32(value.data), n_front = dr_load_u32(value.data + 12), n_ids = dr_load_u32(value.data + 16);
    if (n > n_files || value.n != HEAD_BYTES + n * UNIT_BYTES + 4 * (n_front + n_ids))
        goto done;
    if (!(out->units = malloc((n ? n : 1) * sizeof *out->units))) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    out->n_tokens = (int64_t)dr_load_u64(value.data + 4);
    for (; out->n < n; out->n++) {
        const char *p = value.data + HEAD_BYTES + out->n * UNIT_BYTES;
        const dr_plan_unit u = {.file = dr_load_u32(p), .n_tokens = dr_load_u32(p + 4), .n_head = dr_load_u32(p + 8),
                                .n_lines = dr_load_u32(p + 12), .ids_at = dr_load_u32(p + 16),
                                .how = (dr_pack_how)dr_load_u32(p + 20)};
        const bool signatures = u.how == DR_HOW_SIGNATURES;
        if (u.file >= n_files || (!signatures && u.how != DR_HOW_WHOLE) ||
            (signatures && ((uint64_t)u.ids_at + u.n_tokens > n_ids || u.n_head > u.n_tokens)))
            goto done;
        out->units[out->n] = u;
    }
    const char *ids = value.data + HEAD_BYTES + n * UNIT_BYTES;
    load_ids(&out->front, ids, n_front);
    load_ids(&out->ids, ids + 4 * n_front, n_ids);
    out->kept = true;
    st = out->front.failed || out->ids.failed ? dr_fail(err, DR_ERR_NOMEM, "out of memory") : DR_OK;
done:
    dr_buf_free(&key);
    dr_buf_free(&value);
    if (st != DR_OK)
        dr_plan__fini(out);
    return st;
}

/* ---- order ---- */

/* Least recently changed first; by path where there is no history. */
static dr_status history_order(uint32_t *order, const dr_maker *m, dr_error *err)
{
    dr_history *h = NULL;
    dr_status st = DR_OK;

    for (size_t i = 0; i < dr_repo_n_files(m->base); i++)
        order[i] = (uint32_t)i;
    if (*m->c0 && (st = dr_history_open(&h, m->base, err)) == DR_OK)
        st = dr_history_order(order, h, m->c0, ORDER_COMMITS, err);
    dr_history_close(h);
    return st;
}

/* ---- the choice under a budget ---- */

typedef struct chooser {
    const dr_maker *m;
    dr_symbols *symbols;
    const uint32_t *rank; /* files by importance */
    dr_pack_how *how;     /* [n_files] OUT: not in yet */
    uint32_t *n_tokens;   /* [n_files] */
    dr_plan_unit *signed_units;
    size_t n_signed;
    dr_plan *plan;
} chooser;

/* Counts what whole files take and adds them up, until they take more than room. False: they do. */
static dr_status all_fit(bool *fit, const dr_maker *m, dr_plan *plan, int64_t room, dr_error *err)
{
    enum { BATCH = 256 };
    dr_status st = DR_OK;
    uint64_t bytes = 0;
    dr_unit_ids *made = calloc(BATCH, sizeof *made);
    int64_t used = 0;

    *fit = false;
    if (!made)
        return dr_fail(err, DR_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < plan->n; i++)
        bytes += dr_repo_file_at(m->base, plan->units[i].file)->size;
    if (room < 0 || bytes / BYTES_A_TOKEN > (uint64_t)room)
        goto done;
    for (size_t at = 0; at < plan->n && used <= room && st == DR_OK; at += BATCH) {
        const size_t n = plan->n - at < BATCH ? plan->n - at : BATCH;
        st = dr_pack__whole_units(made, m, plan->units + at, n, err);
        for (size_t i = 0; i < n; i++) {
            plan->units[at + i].n_tokens = (uint32_t)(made[i].head.n + made[i].body.n);
            used += plan->units[at + i].n_tokens;
            dr_unit_ids__fini(&made[i]);
        }
    }
    *fit = st == DR_OK && used <= room;
done:
    free(made);
    return st;
}

/* The best ranked that are not in yet, whole, until room is full. */
static dr_status choose_whole(chooser *c, int64_t *room, dr_error *err)
{
    const size_t n_files = dr_repo_n_files(c->m->base);
    dr_unit_ids made[TRY];
    dr_plan_unit batch[TRY];
    int misses = 0;

    for (size_t at = 0; at < n_files && misses < MISSES;) {
        size_t n = 0;
        for (; at < n_files && n < TRY; at++) {
            const dr_repo_file *f = dr_repo_file_at(c->m->base, c->rank[at]);
            /* a file that could hardly fit is not read: it would only be counted */
            if (dr_pack__shows(f->cls) && f->size / BYTES_A_TOKEN <= (uint64_t)*room)
                batch[n++] = (dr_plan_unit){.file = c->rank[at], .how = DR_HOW_WHOLE};
        }
        const dr_status st = dr_pack__whole_units(made, c->m, batch, n, err);
        for (size_t i = 0; i < n; i++) {
            const int64_t need = (int64_t)(made[i].head.n + made[i].body.n);
            if (made[i].st == DR_OK && made[i].cls == DR_FILE_TEXT && misses < MISSES) {
                if (need <= *room) {
                    *room -= need;
                    c->how[batch[i].file] = DR_HOW_WHOLE;
                    c->n_tokens[batch[i].file] = (uint32_t)need;
                    misses = 0;
                } else
                    misses++;
            }
            dr_unit_ids__fini(&made[i]);
        }
        if (st != DR_OK)
            return st;
    }
    return DR_OK;
}

typedef struct sign_job {
    const chooser *c;
    const dr_plan_unit *units;
    dr_unit_ids *out;
} sign_job;

static void sign(void *arg, int64_t begin, int64_t end, int worker)
{
    const sign_job *j = arg;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        dr_unit_ids *u = &j->out[i];
        dr_buf head = {0};
        *u = (dr_unit_ids){0};
        u->st = dr_pack__signatures(&u->body, &u->n_lines, j->c->m, j->c->symbols, j->units[i].file, NULL);
        dr_pack_text_head(&head, "signatures", dr_repo_file_at(j->c->m->base, j->units[i].file)->path, u->n_lines);
        if (u->st == DR_OK)
            u->st = head.failed ? DR_ERR_NOMEM : dr_tokenizer_encode(j->c->m->t, &u->head, dr_buf_view(&head), false, NULL);
        dr_buf_free(&head);
    }
}

/* The next in signatures. A file without a definition has none to show. */
static dr_status choose_signatures(chooser *c, int64_t *room, dr_error *err)
{
    const size_t n_files = dr_repo_n_files(c->m->base);
    dr_unit_ids made[TRY];
    dr_plan_unit batch[TRY];
    dr_status st = DR_OK;
    int misses = 0;

    for (size_t at = 0; at < n_files && misses < MISSES && st == DR_OK;) {
        size_t n = 0;
        for (; at < n_files && n < TRY; at++) {
            const uint32_t *defs = NULL;
            if (c->how[c->rank[at]] == DR_HOW_OUT && dr_pack__shows(dr_repo_file_at(c->m->base, c->rank[at])->cls) &&
                dr_symbols_outline(c->symbols, c->rank[at], &defs))
                batch[n++] = (dr_plan_unit){.file = c->rank[at], .how = DR_HOW_SIGNATURES};
        }
        sign_job j = {.c = c, .units = batch, .out = made};
        dr_pack__run(c->m->opt->pool, (int64_t)n, sign, &j);
        for (size_t i = 0; i < n; i++) {
            const int64_t need = (int64_t)(made[i].head.n + made[i].body.n);
            if (made[i].st == DR_ERR_NOMEM)
                st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
            else if (made[i].st == DR_OK && misses < MISSES && made[i].body.n > 1) {
                if (need <= *room) {
                    dr_plan_unit *u = &c->signed_units[c->n_signed++];
                    *u = batch[i];
                    *room -= need;
                    u->n_tokens = (uint32_t)need;
                    u->n_head = (uint32_t)made[i].head.n;
                    u->n_lines = made[i].n_lines;
                    u->ids_at = (uint32_t)c->plan->ids.n;
                    dr_ids_append(&c->plan->ids, made[i].head.v, made[i].head.n);
                    dr_ids_append(&c->plan->ids, made[i].body.v, made[i].body.n);
                    c->how[u->file] = DR_HOW_SIGNATURES;
                    misses = 0;
                } else
                    misses++;
            }
            dr_unit_ids__fini(&made[i]);
        }
    }
    return st;
}

/* Leaves in plan->units, which hold all files in the order of the pack, only those that were chosen. */
static void keep_chosen(dr_plan *plan, const chooser *c)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const uint32_t file = plan->units[i].file;
        if (c->how[file] == DR_HOW_OUT)
            continue;
        dr_plan_unit u = {.file = file, .n_tokens = c->n_tokens[file], .how = DR_HOW_WHOLE};
        for (size_t k = 0; c->how[file] == DR_HOW_SIGNATURES && k < c->n_signed; k++)
            if (c->signed_units[k].file == file)
                u = c->signed_units[k];
        plan->units[n++] = u;
    }
    plan->n = n;
}

static dr_status choose(dr_plan *plan, const dr_maker *m, int64_t room, int64_t n_end, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n = dr_repo_n_files(m->base) ? dr_repo_n_files(m->base) : 1;
    uint32_t *rank = malloc(n * sizeof *rank);
    chooser c = {.m = m, .plan = plan, .rank = rank};
    const dr_symbols_options how = {.store = m->opt->store, .pool = m->opt->pool};

    c.how = calloc(n, sizeof *c.how);
    c.n_tokens = calloc(n, sizeof *c.n_tokens);
    c.signed_units = malloc(n * sizeof *c.signed_units);
    if (!rank || !c.how || !c.n_tokens || !c.signed_units) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = dr_symbols_open(&c.symbols, m->base, &how, err)) != DR_OK ||
        (st = dr_pack__rank(rank, m->base, c.symbols, err)) != DR_OK)
        goto done;
    plan->front.n = 0;
    if ((st = dr_pack__front(&plan->front, m, room / 8, rank, err)) != DR_OK)
        goto done;
    const int64_t left = room - (int64_t)plan->front.n - n_end;
    int64_t whole = left > 0 ? left / 10 * 7 : 0;
    const int64_t before = whole;
    if ((st = choose_whole(&c, &whole, err)) != DR_OK)
        goto done;
    int64_t rest = left - (before - whole);
    if ((st = choose_signatures(&c, &rest, err)) != DR_OK)
        goto done;
    keep_chosen(plan, &c);
    if (plan->ids.failed || plan->front.failed)
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
done:
    dr_symbols_close(c.symbols);
    free(c.signed_units);
    free(c.n_tokens);
    free(c.how);
    free(rank);
    return st;
}

/* ---- the plan ---- */

static dr_status make(dr_plan *plan, const dr_maker *m, dr_error *err)
{
    dr_status st = DR_OK;
    const size_t n = dr_repo_n_files(m->base);
    uint32_t *order = malloc((n ? n : 1) * sizeof *order);
    dr_buf line = {0};
    dr_ids end = {0};

    plan->units = malloc((n ? n : 1) * sizeof *plan->units);
    if (!order || !plan->units) {
        st = dr_fail(err, DR_ERR_NOMEM, "out of memory");
        goto done;
    }
    if ((st = history_order(order, m, err)) != DR_OK)
        goto done;
    for (size_t i = 0; i < n; i++)
        if (dr_pack__shows(dr_repo_file_at(m->base, order[i])->cls))
            plan->units[plan->n++] = (dr_plan_unit){.file = order[i], .how = DR_HOW_WHOLE};
    if ((st = dr_pack__front(&plan->front, m, 0, NULL, err)) != DR_OK || !m->budget)
        goto done;

    const int64_t room = m->budget / 4 * 3 / DR_PACK_BORDER * DR_PACK_BORDER;
    bool fit = false;
    dr_pack__end_line(&line, m);
    if ((st = dr_tokenizer_encode(m->t, &end, dr_buf_view(&line), false, err)) != DR_OK ||
        (st = all_fit(&fit, m, plan, room - (int64_t)plan->front.n - (int64_t)end.n, err)) != DR_OK)
        goto done;
    if (!fit)
        st = choose(plan, m, room, (int64_t)end.n, err);
done:
    dr_ids_free(&end);
    dr_buf_free(&line);
    free(order);
    return st;
}

dr_status dr_plan__make(dr_plan *out, const dr_maker *m, dr_error *err)
{
    dr_status st = dr_plan__load(out, m, err);
    if (st != DR_ERR_NOT_FOUND)
        return st;
    *out = (dr_plan){0};
    if ((st = make(out, m, err)) != DR_OK)
        dr_plan__fini(out);
    return st;
}
