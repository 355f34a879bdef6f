/* kernels/x86/slots.h: what each source of the vector levels puts into the table, and how much work makes a loop worth sharing.
 * Internal to kernels/x86. */
#ifndef DR_KERNELS_X86_SLOTS_H
#define DR_KERNELS_X86_SLOTS_H

#include "kernels/ops.h"

/* Items per range, given the cost of all n items in steps (about a nanosecond each at one lane a step): below SHARE steps a
 * range is not worth waking another thread. */
static inline int64_t dr_slot__grain(int64_t n, int64_t work)
{
    enum { SHARE = 1 << 16 };
    const int64_t per_item = n > 0 && work / n > 0 ? work / n : 1;
    return SHARE / per_item > 0 ? SHARE / per_item : 1;
}

/* Every one overrides the slots of its source. amx has only the first three. */
#define DR_LEVEL_TABLES(level)                       \
    void dr_table_gemm__##level(dr_ops *ops);        \
    void dr_table_attention__##level(dr_ops *ops);   \
    void dr_table_index__##level(dr_ops *ops);       \
    void dr_table_pack__##level(dr_ops *ops);        \
    void dr_table_norm__##level(dr_ops *ops);        \
    void dr_table_rows__##level(dr_ops *ops);        \
    void dr_table_hc__##level(dr_ops *ops);          \
    void dr_table_moe__##level(dr_ops *ops)

DR_LEVEL_TABLES(avx2);
DR_LEVEL_TABLES(avx512);
DR_LEVEL_TABLES(amx);

#endif
