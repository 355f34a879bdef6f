#include "kernels/ref/mode.h"

#ifdef DR_WIDE
void dr_ops_init_wide(dr_ops *ops)
#else
void dr_ops_init_ref(dr_ops *ops)
#endif
{
    *ops = (dr_ops){.name = TABLE_NAME, .operand_bytes = sizeof(operand)};
    SLOT(table_matrix)(ops);
    SLOT(table_norm)(ops);
    SLOT(table_rows)(ops);
    SLOT(table_index)(ops);
    SLOT(table_attention)(ops);
    SLOT(table_hc)(ops);
    SLOT(table_moe)(ops);
}
