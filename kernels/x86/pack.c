/* Packing: 32 inputs of 16 rows at a time, each row to 16 words of two neighbouring BF16 values, then transposed.
 *
 * A value that BF16 might not hold (its scale out of range, NaN) only raises a flag here; ref then packs again and says where. */
#include "kernels/queue.h"
#include "kernels/x86/codes.h"
#include "kernels/x86/lanes.h"
#include "kernels/x86/slots.h"

#include <assert.h>
#include <stdatomic.h>

typedef struct pack_task {
    const dr_weight *w;
    uint16_t *packed;
    atomic_bool doubtful;
} pack_task;

/* Lanes whose product with the scale is no normal number though the code is not zero. */
INLINE unsigned doubtful_lanes(v16 value, w16 magnitude_code)
{
    const w16 exponent = w_and(v_bits(value), w_set(0x7f800000u));
    const unsigned huge = m_bits(w_equal(exponent, w_set(0x7f800000u)));
    const unsigned gone = m_bits(w_equal(exponent, w_set(0))) & ~m_bits(w_equal(magnitude_code, w_set(0)));
    return huge | gone;
}

INLINE w16 words_of_f32(const uint8_t *row, int64_t k, unsigned *doubt)
{
    uint16_t t[STEP];
    for (int half = 0; half < 2; half++) {
        const w16 bits = w_load(row + (k + half * LANES) * (int64_t)sizeof(float));
        *doubt |= ~m_bits(w_equal(w_and(bits, w_set(0xffff)), w_set(0))) & 0xffffu;
        w_store_u16(t + half * LANES, w_shr(bits, 16));
    }
    return w_load(t);
}

INLINE w16 words_of_e4m3(const uint8_t *row, int64_t k, v16 scale, unsigned *doubt)
{
    uint16_t t[STEP];
    for (int half = 0; half < 2; half++) {
        const w16 codes = w_load_u8(row + k + half * LANES);
        const v16 v = v_mul(e4m3_values(codes), scale);
        *doubt |= doubtful_lanes(v, w_and(codes, w_set(0x7f)));
        w_store_u16(t + half * LANES, w_shr(v_bits(v), 16));
    }
    return w_load(t);
}

INLINE w16 words_of_e2m1(const uint8_t *row, int64_t k, v16 scale, unsigned *doubt)
{
    const w16 pairs = w_load_u8(row + k / 2);
    const v16 even = v_mul(e2m1_values(pairs), scale), odd = v_mul(e2m1_values(w_shr(pairs, 4)), scale);
    *doubt |= doubtful_lanes(even, w_and(pairs, w_set(7))) | doubtful_lanes(odd, w_and(pairs, w_set(0x70)));
    return w_or(w_shr(v_bits(even), 16), v_bits(odd));
}

static void pack_blocks(void *arg, int64_t begin, int64_t end, int worker)
{
    pack_task *t = arg;
    const dr_weight *w = t->w;
    const uint8_t *data = w->data;
    const int64_t scale_columns = w->scale ? (w->k + w->scale_cols - 1) / w->scale_cols : 0;
    unsigned doubt = 0;
    (void)worker;
    for (int64_t block = begin; block < end; block++)
        for (int64_t k = 0; k < w->k; k += STEP) {
            w16 words[LANES];
            for (int64_t lane = 0; lane < LANES; lane++) {
                const int64_t o = block * LANES + lane;
                v16 scale = v_zero();
                if (w->scale && o < w->n)
                    scale = v_set(dr_f32__of_bits((uint32_t)w->scale[o / w->scale_rows * scale_columns + k / w->scale_cols] << 23));
                if (o >= w->n)
                    words[lane] = w_set(0);
                else if (w->dtype == DR_BF16)
                    words[lane] = w_load(data + (o * w->k + k) * 2);
                else if (w->dtype == DR_F32)
                    words[lane] = words_of_f32(data + o * w->k * 4, k, &doubt);
                else if (w->dtype == DR_F8_E4M3)
                    words[lane] = words_of_e4m3(data + o * w->k, k, scale, &doubt);
                else
                    words[lane] = words_of_e2m1(data + o * (w->k / 2), k, scale, &doubt);
            }
            w_transpose(words);
            for (int64_t p = 0; p < LANES; p++)
                w_store(t->packed + (block * w->k + k + 2 * p) * LANES, words[p]);
        }
    if (doubt)
        atomic_store_explicit(&t->doubtful, true, memory_order_relaxed);
}

static dr_status pack(dr_queue *q, void *packed, const dr_weight *w, dr_error *err)
{
    const int64_t n_blocks = (w->n + LANES - 1) / LANES;
    pack_task t = {.w = w, .packed = packed};

    assert(w->k % STEP == 0 && w->dtype != DR_I64 && w->dtype != DR_F8_E8M0);
    atomic_init(&t.doubtful, w->scale && w->scale_cols % STEP);
    if (!t.doubtful)
        dr_queue__run(q, n_blocks, dr_slot__grain(n_blocks, n_blocks * LANES * w->k), pack_blocks, &t);
    if (t.doubtful) {
        dr_ops ref;
        dr_ops_init_ref(&ref);
        return ref.pack(q, packed, w, err);
    }
    return DR_OK;
}

void LEVEL(table_pack)(dr_ops *ops)
{
    ops->pack = pack;
}
