/* Order G in tiles: one TDPBF16PS adds 32 inputs of 16 rows and 16 outputs, in exactly the order of docs/numerics.md.
 *
 * Tiles 0-3 hold 2 x 2 blocks of results, 4 and 5 rows of x, 6 and 7 packed weights: four loads feed four products. Tile shapes are
 * all 16 x 64 bytes, so a thread's configuration is set once and stays. */
#include "kernels/x86/product.h"
#include "kernels/x86/roof.h"

#include <immintrin.h>
#include <string.h>

enum { ROWS = 16, STEP = 32 };

/* What LDTILECFG reads. Constant data: gcc 12 tells the optimiser of the instruction's first eight bytes only, and drops
 * stores to the rest of a local. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t n_rows[16];
} tile_config;
_Static_assert(sizeof(tile_config) == 64, "the layout of LDTILECFG");

/* Tile state belongs to the thread, and only this file uses it. Asking costs 12 cycles, setting it again a thousand and more. */
static void configure(void)
{
    tile_config now;
    _tile_storeconfig(&now);
    if (now.palette == 1)
        return;
    static const tile_config config = {.palette = 1,
                                       .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                       .n_rows = {ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS, ROWS}};
    _tile_loadconfig(&config);
}

/* 16 or 32 rows times 16 or 32 outputs; the two flags are constants where this is inlined. */
static inline __attribute__((always_inline)) void tile_block(const dr_product *p, int64_t row, int64_t block, const bool two_rows,
                                                             const bool two_blocks)
{
    float *y00 = p->y + row * p->y_stride + block * ROWS, *y10 = y00 + ROWS * p->y_stride;
    const uint16_t *x0 = p->x + row * p->x_stride, *x1 = x0 + ROWS * p->x_stride;
    const uint16_t *w0 = p->w + block * p->w_stride, *w1 = w0 + p->w_stride;
    const size_t y_bytes = (size_t)p->y_stride * sizeof(float), x_bytes = (size_t)p->x_stride * sizeof(uint16_t);

    if (p->add) {
        _tile_loadd(0, y00, y_bytes);
        if (two_blocks)
            _tile_loadd(1, y00 + ROWS, y_bytes);
        if (two_rows)
            _tile_loadd(2, y10, y_bytes);
        if (two_rows && two_blocks)
            _tile_loadd(3, y10 + ROWS, y_bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t k = 0; k < p->k; k += STEP) {
        _tile_loadd(4, x0 + k, x_bytes);
        _tile_loadd(6, w0 + k * ROWS, 64);
        _tile_dpbf16ps(0, 4, 6);
        if (two_blocks) {
            _tile_loadd(7, w1 + k * ROWS, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (two_rows) {
            _tile_loadd(5, x1 + k, x_bytes);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (two_rows && two_blocks)
            _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, y00, y_bytes);
    if (two_blocks)
        _tile_stored(1, y00 + ROWS, y_bytes);
    if (two_rows)
        _tile_stored(2, y10, y_bytes);
    if (two_rows && two_blocks)
        _tile_stored(3, y10 + ROWS, y_bytes);
}

void dr_product__amx(const dr_product *p)
{
    if (p->m <= DR_PRODUCT_FEW) {
        dr_product__avx512(p);
        return;
    }
    configure();
    int64_t block = 0;
    for (; block + 2 <= p->n_blocks; block += 2) {
        int64_t row = 0;
        for (; row + ROWS < p->m; row += 2 * ROWS)
            tile_block(p, row, block, true, true);
        if (row < p->m)
            tile_block(p, row, block, false, true);
    }
    if (block < p->n_blocks) {
        int64_t row = 0;
        for (; row + ROWS < p->m; row += 2 * ROWS)
            tile_block(p, row, block, true, false);
        if (row < p->m)
            tile_block(p, row, block, false, false);
    }
}

/* Four accumulators and no loads: what the tile unit can do. */
double dr_roof_products__amx(int64_t n)
{
    configure();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (int64_t i = 0; i < n; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    return (double)n * 4 * ROWS * ROWS * STEP * 2;
}
