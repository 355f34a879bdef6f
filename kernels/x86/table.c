/* The x86 table: ref first, then what each level does better. */
#include "kernels/ops.h"
#include "kernels/x86/slots.h"

void dr_ops_init_x86(dr_ops *ops, uint32_t features)
{
    dr_ops_init_ref(ops);
#if defined(__x86_64__)
    if (!(features & DR_CPU_AVX2))
        return;
    ops->name = "avx2";
    dr_table_gemm__avx2(ops);
    dr_table_attention__avx2(ops);
    dr_table_index__avx2(ops);
    dr_table_pack__avx2(ops);
    dr_table_norm__avx2(ops);
    dr_table_rows__avx2(ops);
    dr_table_hc__avx2(ops);
    dr_table_moe__avx2(ops);
    if (!(features & DR_CPU_AVX512))
        return;
    ops->name = "avx512";
    dr_table_gemm__avx512(ops);
    dr_table_attention__avx512(ops);
    dr_table_index__avx512(ops);
    dr_table_pack__avx512(ops);
    dr_table_norm__avx512(ops);
    dr_table_rows__avx512(ops);
    dr_table_hc__avx512(ops);
    dr_table_moe__avx512(ops);
    if (!(features & DR_CPU_AMX))
        return;
    ops->name = "amx";
    dr_table_gemm__amx(ops);
    dr_table_attention__amx(ops);
    dr_table_index__amx(ops);
#else
    (void)features;
#endif
}
