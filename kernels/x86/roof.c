#include "kernels/x86/roof.h"

#include "kernels/x86/lanes.h"

/* Twelve chains: more than latency times ports on any processor that has the instructions. */
double LEVEL(roof_products)(int64_t n)
{
    enum { CHAINS = 12 };
    v16 c[CHAINS];
    const v16 a = v_set(0.999f), b = v_set(1e-3f);
    float keep[LANES];
    UNROLL
    for (int j = 0; j < CHAINS; j++)
        c[j] = v_set((float)j);
    for (int64_t i = 0; i < n; i++) {
        UNROLL
        for (int j = 0; j < CHAINS; j++)
            c[j] = v_fma(c[j], a, b);
    }
    v16 sum = v_zero();
    UNROLL
    for (int j = 0; j < CHAINS; j++)
        sum = v_add(sum, c[j]);
    v_store(keep, sum);
    return keep[0] > 0.0f ? (double)n * CHAINS * LANES * 2 : 0;
}

uint64_t LEVEL(roof_read)(const void *p, size_t bytes)
{
    const uint8_t *at = p;
    w16 x[8];
    uint64_t words[8];
    UNROLL
    for (int j = 0; j < 8; j++)
        x[j] = w_set(0);
    for (size_t i = 0; i < bytes; i += 8 * 64) {
        UNROLL
        for (int j = 0; j < 8; j++)
            x[j] = w_xor(x[j], w_load(at + i + j * 64));
    }
    for (int j = 1; j < 8; j++)
        x[0] = w_xor(x[0], x[j]);
    w_store(words, x[0]);
    return words[0] ^ words[3] ^ words[7];
}
