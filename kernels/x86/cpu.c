/* What the processor has and the system grants. */
#include "kernels/ops.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* State components that the system saves for us (XCR0), asked only when the OSXSAVE bit says that the question is legal. */
static uint64_t saved_state(void)
{
    uint32_t a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* Tile data is granted per process, on request (arch_prctl, since Linux 5.16). Threads started later inherit it. */
static bool ask_for_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_TILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILEDATA) == 0;
}

uint32_t dr_cpu_features(void)
{
    enum { YMM = 0x6, ZMM = 0xe6, TILES = 0x60000 };
    uint32_t a, b, c, d, b7, c7, d7, features = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX) || !(c & bit_FMA))
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return 0;
    const uint64_t state = saved_state();
    if ((state & YMM) != YMM || !(b7 & bit_AVX2))
        return 0;
    features |= DR_CPU_AVX2;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((state & ZMM) != ZMM || (b7 & avx512) != avx512)
        return features;
    features |= DR_CPU_AVX512;
    const uint32_t amx = 1u << 24 | 1u << 22; /* AMX-TILE, AMX-BF16 */
    if ((state & TILES) == TILES && (d7 & amx) == amx && ask_for_tiles())
        features |= DR_CPU_AMX;
    return features;
}
#else
uint32_t dr_cpu_features(void)
{
    return 0;
}
#endif
