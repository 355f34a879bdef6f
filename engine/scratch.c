#include "engine/scratch.h"

#include "engine/state.h"
#include "engine/window.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    GATHER_QUERIES = 32, /* queries whose selected entries are gathered at once, when gathering is the cheaper way */
    MIN_ENTRY_ROWS = 4096,
    KEY_ROWS = 4096,         /* index keys unpacked at once */
    SCORE_VALUES = 1 << 20,  /* 4 MiB of scores, at least one query */
    PAD_ROWS = DR_KEY_BLOCK, /* kernels read whole blocks of rows */
};

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Entries a timeline of max_tokens can see, by kind. */
static int64_t most_entries(const dr_config *c, dr_attention_kind kind, int64_t max_tokens)
{
    int64_t most = 0;
    for (int32_t i = 0; i < c->n_layers; i++)
        if (c->layers[i].kind == kind)
            most = at_least(most, max_tokens / c->layers[i].ratio);
    return most;
}

/* What a block costs in an arena: its alignment, and the gap behind it under AddressSanitizer. */
static size_t block_bytes(size_t n)
{
    return (n + 63) / 64 * 64 + 64;
}

/* clang-format off */
#define FLOATS(field, count)   {offsetof(dr_scratch, field), (size_t)(count) * sizeof(float)}
#define INTS(field, count)     {offsetof(dr_scratch, field), (size_t)(count) * sizeof(int32_t)}
#define OPERANDS(field, count) {offsetof(dr_scratch, field), (size_t)(count) * ob}
/* clang-format on */

size_t dr_scratch__plan(dr_scratch *s, dr_arena *a, const dr_model *m, int32_t max_chunk, int64_t max_tokens)
{
    const dr_config *c = &m->config;
    const size_t ob = m->ops.operand_bytes;
    const int64_t n = max_chunk, d = c->dim, hd = c->head_dim, id = c->index_dim, rd = c->rope_dim, f = c->expert_dim;
    const int64_t hc = c->hc_mult, heads = (int64_t)c->n_heads * hd, groups = (int64_t)c->o_groups * c->o_rank;
    const int64_t slots = n * c->n_active, fs = f * c->n_shared;
    const int64_t mtp = c->n_mtp ? n * hc * d : 0;
    const int64_t csa = most_entries(c, DR_ATTENTION_CSA, max_tokens),
                  hca = most_entries(c, DR_ATTENTION_HCA, max_tokens);
    /* All of a layer's entries when they are few; never fewer than an HCA layer can see, which reads them all. */
    const int64_t gather = (int64_t)GATHER_QUERIES * c->index_topk;
    const int64_t entry_rows = at_least(hca, at_most(csa, at_least(gather, MIN_ENTRY_ROWS)));
    const int64_t key_rows = at_most(csa, KEY_ROWS);
    const int64_t score_values = csa ? at_least(at_most(SCORE_VALUES, csa * DR_PIECE), csa) : 0;
    const int64_t selected = csa ? (int64_t)DR_PIECE * c->index_topk : 0;
    const struct {
        size_t at, bytes;
    } plan[] = {
        FLOATS(streams, (n + 1) * hc * d),
        FLOATS(x, n * d),
        FLOATS(y, n * d),
        FLOATS(post, n * hc),
        FLOATS(comb, n * hc * hc),
        OPERANDS(x_plain, n * d),
        OPERANDS(x_fp8, n * d),
        FLOATS(cos_main, n * rd),
        FLOATS(cos_compress, n * rd),
        FLOATS(qr, n * c->q_rank),
        OPERANDS(qr_plain, n * c->q_rank),
        OPERANDS(qr_fp8, n * c->q_rank),
        FLOATS(q, n * heads),
        FLOATS(out, n * heads),
        OPERANDS(out_operand, n * heads),
        FLOATS(kv, n * hd),
        FLOATS(k, n * 2 * hd),
        FLOATS(z, n * 2 * hd),
        FLOATS(index_k, csa ? n * 2 * id : 0),
        FLOATS(index_z, csa ? n * 2 * id : 0),
        FLOATS(index_q, csa ? n * c->index_heads * id : 0),
        OPERANDS(index_q_operand, csa ? n * c->index_heads * id : 0),
        FLOATS(index_w, csa ? n * c->index_heads : 0),
        FLOATS(group, n * groups),
        INTS(group_rows, n * c->o_groups),
        OPERANDS(group_operand, n * groups),
        FLOATS(pooled, DR_PIECE * at_least(hd, id)),
        FLOATS(cos_entries, DR_PIECE * rd),
        OPERANDS(entries, (entry_rows + PAD_ROWS) * hd),
        OPERANDS(keys, (key_rows + PAD_ROWS) * id),
        FLOATS(scores, score_values),
        INTS(n_visible, DR_PIECE),
        INTS(n_selected, DR_PIECE),
        INTS(n_clipped, DR_PIECE),
        INTS(selected, selected),
        FLOATS(gate, n * c->n_experts),
        INTS(ids, slots),
        FLOATS(g, slots),
        FLOATS(slot_g, slots),
        INTS(slot_row, slots),
        INTS(place, slots),
        INTS(first_slot, c->n_experts + 1),
        FLOATS(a, slots * f),
        FLOATS(u, slots * f),
        OPERANDS(h, slots * f),
        FLOATS(parts, slots * d),
        FLOATS(shared_a, n * fs),
        FLOATS(shared_u, n * fs),
        OPERANDS(shared_h, n * fs),
        FLOATS(shared_y, n * d),
        {offsetof(dr_scratch, jobs), (size_t)(2 * c->n_experts + c->o_groups + 8) * sizeof(dr_gemm)},
        FLOATS(mtp_h, mtp),
        OPERANDS(mtp_operand, mtp),
        FLOATS(mtp_streams, mtp),
        INTS(mtp_ids, c->n_mtp ? n : 0),
        {offsetof(dr_scratch, guard), dr_state__max_bytes(m)},
    };
    size_t total = 0;

    for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++) {
        total += block_bytes(plan[i].bytes);
        if (a) {
            void *p = dr_arena_take(a, plan[i].bytes);
            memcpy((char *)s + plan[i].at, &p, sizeof p);
        }
    }
    if (a) {
        s->max_chunk = max_chunk;
        s->entry_rows = entry_rows;
        s->key_rows = key_rows;
        s->score_values = score_values;
    }
    return total;
}

dr_scratch *dr_scratch__new(const dr_model *m, int32_t max_chunk, int64_t max_tokens)
{
    dr_scratch *s = calloc(1, sizeof *s);

    if (!s || !(s->arena = dr_arena_new(dr_scratch__plan(NULL, NULL, m, max_chunk, max_tokens)))) {
        free(s);
        return NULL;
    }
    atomic_init(&s->refs, 1);
    (void)dr_scratch__plan(s, s->arena, m, max_chunk, max_tokens);
    return s;
}

dr_scratch *dr_scratch__share(dr_scratch *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void dr_scratch__drop(dr_scratch *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    dr_arena_free(s->arena);
    free(s);
}
