/* The x86 table: ref first, then what each level does better. */
#include "kernels/ops.h"

void dr_ops_init_x86(dr_ops *ops, uint32_t features)
{
    dr_ops_init_ref(ops);
    (void)features;
}
