/* engine/forward.h: the model as a sequence of operations, written once for every backend (spec 3). Internal to engine.
 *
 * Prefill and decode differ in row counts only. Rows are tokens position .. position + n - 1 of a decoder; a pass reads
 * and writes its windows, tails and the page of these tokens, and never moves the decoder's position: that is the
 * caller's, once all layers are through. Nothing here can fail or allocate. */
#ifndef DR_ENGINE_FORWARD_H
#define DR_ENGINE_FORWARD_H

#include "engine/timeline.h"

/* The backbone over n <= max_chunk tokens that lie in one page, which the decoder owns. Leaves the streams in rows 1 ..
 * n of scratch->streams. false: *cancel was set; windows and tails then hold part of the pass. */
bool dr_forward__backbone(dr_decoder *d, const int32_t *ids, int64_t n, const atomic_bool *cancel);

/* logits f32 [n][vocab] from streams [n][hc_mult][dim] (spec 3.11). */
void dr_forward__head(dr_decoder *d, float *logits, const dr_head_weights *h, const float *streams, int64_t n);

/* The MTP block (spec 3.12) over n pairs (streams of t, id of t + 1), t = first .. first + n - 1; its own streams are
 * left in scratch->mtp_streams, from which `streams` may be taken. The pair has position t. */
void dr_forward__mtp(dr_decoder *d, const float *streams, const int32_t *next_ids, int64_t first, int64_t n);
/* Only the rows that its window keeps of these pairs. */
void dr_forward__mtp_rows(dr_decoder *d, const float *streams, const int32_t *next_ids, int64_t first, int64_t n);

/* One sub-layer each, from scratch->x (normed) to scratch->y. */
void dr_forward__attention(dr_decoder *d, int32_t layer, int64_t pos0, int64_t n);
/* Only the window rows of an SWA layer. */
void dr_forward__window_rows(dr_decoder *d, int32_t layer, int64_t pos0, int64_t n);
void dr_forward__experts(dr_decoder *d, const dr_layer *l, const int32_t *ids, int64_t n);

/* An operand in the two forms linears ask for; a form nobody asks for is not made. */
typedef struct dr_operands {
    void *plain, *fp8;
} dr_operands;

static inline const void *dr_operand__for(const dr_linear *l, dr_operands x)
{
    return l->quant == DR_QUANT_NONE ? x.plain : x.fp8;
}

static inline dr_gemm dr_gemm__job(float *y, int64_t y_stride, const void *x, const dr_linear *l, int64_t m,
                                   bool round_out)
{
    return (dr_gemm){.y = y, .y_stride = y_stride, .x = x, .w = &l->w, .m = m, .round_out = round_out};
}

static inline void *dr_operand__at(const dr_ops *ops, void *x, int64_t value)
{
    return (uint8_t *)x + (size_t)value * ops->operand_bytes;
}

#endif
