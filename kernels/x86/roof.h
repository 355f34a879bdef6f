/* kernels/x86/roof.h: what the machine can do at most, for the bench. Internal to kernels. */
#ifndef DR_KERNELS_X86_ROOF_H
#define DR_KERNELS_X86_ROOF_H

#include <stddef.h>
#include <stdint.h>

/* n rounds of independent multiply-adds in registers; returns the floating-point operations done. */
double dr_roof_products__avx2(int64_t n);
double dr_roof_products__avx512(int64_t n);
double dr_roof_products__amx(int64_t n);

/* Reads the bytes once, in order; the result keeps the reads alive. bytes % 512 == 0. */
uint64_t dr_roof_read__avx2(const void *p, size_t bytes);
uint64_t dr_roof_read__avx512(const void *p, size_t bytes);

#endif
