/* Tables by name. */
#include "kernels/ops.h"

#include <string.h>

dr_status dr_ops_init_named(dr_ops *ops, const char *isa, dr_error *err)
{
    static const struct {
        const char *name;
        uint32_t features;
    } levels[] = {
        {"ref", 0},
        {"avx2", DR_CPU_AVX2},
        {"avx512", DR_CPU_AVX2 | DR_CPU_AVX512},
        {"amx", DR_CPU_AVX2 | DR_CPU_AVX512 | DR_CPU_AMX},
    };
    const uint32_t have = dr_cpu_features();

    if (!isa) {
        dr_ops_init_x86(ops, have);
        return DR_OK;
    }
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(isa, levels[i].name) != 0)
            continue;
        if ((have & levels[i].features) != levels[i].features)
            return dr_fail(err, DR_ERR_DEVICE, "this machine has no %s (or the system does not grant it)", isa);
        dr_ops_init_x86(ops, levels[i].features);
        return DR_OK;
    }
    return dr_fail(err, DR_ERR_NOT_FOUND, "unknown instruction set \"%s\": ref, avx2, avx512 or amx", isa);
}
