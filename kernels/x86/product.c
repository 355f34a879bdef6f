/* Order G in vectors: lanes are the 16 outputs of a packed block, every (row, block) has an even, an odd and a sum register.
 *
 * Register tile: rows x blocks = 8 with AVX-512 (24 accumulators, 2 unpacked weights), 2 with AVX2. The even and the odd chain of
 * one output are sequential, 4 cycles a step: eight pairs of chains keep both FMA ports busy. A packed 32-bit word holds two
 * neighbouring inputs: shifted left it is the even one as f32, masked the odd one. Few rows are bound by reading w. */
#include "kernels/x86/product.h"

#include "kernels/x86/lanes.h"

#ifdef __AVX512F__
enum { TILE = 8 };
#else
enum { TILE = 2 };
#endif
enum { MAX_ROWS = 8, MAX_BLOCKS = 4 };

/* n_rows x n_blocks outputs over all of k; xf holds the rows as f32, k apart. */
INLINE void product_tile(const dr_product *p, const float *xf, int64_t row, int64_t block, const int n_rows, const int n_blocks)
{
    v16 c[MAX_ROWS][MAX_BLOCKS];
    float *y = p->y + row * p->y_stride + block * LANES;
    const uint16_t *w = p->w + block * p->w_stride;

    UNROLL
    for (int r = 0; r < n_rows; r++) {
        UNROLL
        for (int b = 0; b < n_blocks; b++)
            c[r][b] = p->add ? v_load(y + r * p->y_stride + b * LANES) : v_zero();
    }
    for (int64_t k = 0; k < p->k; k += STEP) {
        v16 even[MAX_ROWS][MAX_BLOCKS], odd[MAX_ROWS][MAX_BLOCKS];
        UNROLL
        for (int r = 0; r < n_rows; r++) {
            UNROLL
            for (int b = 0; b < n_blocks; b++)
                even[r][b] = odd[r][b] = v_zero();
        }
        for (int64_t i = k; i < k + STEP; i += 2) {
            UNROLL
            for (int b = 0; b < n_blocks; b++) {
                const w16 pair = w_load(w + b * p->w_stride + i * LANES);
                const v16 w0 = w_value(w_shl(pair, 16)), w1 = w_value(w_and(pair, w_set(0xffff0000u)));
                UNROLL
                for (int r = 0; r < n_rows; r++) {
                    even[r][b] = v_fma(v_set(xf[r * p->k + i]), w0, even[r][b]);
                    odd[r][b] = v_fma(v_set(xf[r * p->k + i + 1]), w1, odd[r][b]);
                }
            }
        }
        UNROLL
        for (int r = 0; r < n_rows; r++) {
            UNROLL
            for (int b = 0; b < n_blocks; b++)
                c[r][b] = v_add(c[r][b], v_add(even[r][b], odd[r][b]));
        }
    }
    UNROLL
    for (int r = 0; r < n_rows; r++) {
        UNROLL
        for (int b = 0; b < n_blocks; b++)
            v_store(y + r * p->y_stride + b * LANES, c[r][b]);
    }
}

static void expand_rows(float *xf, const dr_product *p, int64_t row, int n_rows)
{
    for (int r = 0; r < n_rows; r++)
        for (int64_t i = 0; i < p->k; i += LANES)
            v_store(xf + r * p->k + i, v_load_bf16(p->x + (row + r) * p->x_stride + i));
}

/* All blocks for n_rows rows, n_blocks at a time; what is left one by one. */
#define ROWS(n_rows, n_blocks_at_once)                                                             \
    static void rows_##n_rows(const dr_product *p, int64_t row)                                    \
    {                                                                                              \
        float *xf = p->scratch;                                                                    \
        int64_t b = 0;                                                                             \
        expand_rows(xf, p, row, n_rows);                                                           \
        for (; b + (n_blocks_at_once) <= p->n_blocks; b += (n_blocks_at_once))                     \
            product_tile(p, xf, row, b, n_rows, n_blocks_at_once);                                 \
        for (; b < p->n_blocks; b++)                                                               \
            product_tile(p, xf, row, b, n_rows, 1);                                                \
    }

ROWS(1, TILE > 4 ? 4 : TILE)
ROWS(2, TILE / 2)
#ifdef __AVX512F__
ROWS(4, TILE / 4)
ROWS(8, TILE / 8)
#endif

void LEVEL(product)(const dr_product *p)
{
    int64_t row = 0;
#ifdef __AVX512F__
    for (; row + 8 <= p->m; row += 8)
        rows_8(p, row);
    for (; row + 4 <= p->m; row += 4)
        rows_4(p, row);
#endif
    for (; row + 2 <= p->m; row += 2)
        rows_2(p, row);
    for (; row < p->m; row++)
        rows_1(p, row);
}
