/* kernels/x86/product.h: the one inner product of the x86 levels: rows of an operand times packed blocks, order G.
 *
 *   y[i][16 b + j] = G over k of x[i][.] and packed output j of block b        (continuing from y if `add`)
 *
 * y       f32 rows y_stride apart; whole blocks of 16 are written
 * x       operand rows x_stride values apart
 * w       blocks w_stride values apart, each [k / 2][16][2] (kernels/ops.h, pack)
 * m, k    k % 32 == 0. The tile level works on 16 rows at a time when m > DR_PRODUCT_FEW: it then reads rows of x and writes rows of y up
 *         to m rounded up to 16, so both must be there.
 * scratch DR_PRODUCT_SCRATCH(k) bytes, 64-byte aligned
 *
 * Everything that multiplies is written with it: gemm, both products of attention, index scores. */
#ifndef DR_KERNELS_X86_PRODUCT_H
#define DR_KERNELS_X86_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dr_product {
    float *y;
    int64_t y_stride;
    const uint16_t *x;
    int64_t x_stride;
    const uint16_t *w;
    int64_t w_stride;
    int64_t m, n_blocks, k;
    bool add;
    void *scratch;
} dr_product;

/* Rows up to which the vector code beats a tile of which most rows are empty. */
enum { DR_PRODUCT_FEW = 3 };

/* Eight rows of x as f32. */
#define DR_PRODUCT_SCRATCH(k) ((size_t)(k) * 8 * sizeof(float))

void dr_product__avx2(const dr_product *p);
void dr_product__avx512(const dr_product *p);
void dr_product__amx(const dr_product *p);

#endif
