/* kernels/ref/mode.h: what differs between the two tables that are compiled from the same loops.
 *
 *   ref   operands BF16, values rounded where docs/numerics.md says so, FP8 and FP4 applied
 *   wide  (DR_WIDE) operands f32, nothing rounded, nothing quantised */
#ifndef DR_KERNELS_REF_MODE_H
#define DR_KERNELS_REF_MODE_H

#include "kernels/formats.h"
#include "kernels/ops.h"

#ifdef DR_WIDE
#define SLOT(name) dr_##name##__wide
#define TABLE_NAME "wide"
enum { IS_WIDE = 1 };
typedef float operand;
static inline float value_of(operand b)
{
    return b;
}
static inline operand operand_of(float x)
{
    return x;
}
static inline float rounded(float x)
{
    return x;
}
#else
#define SLOT(name) dr_##name##__ref
#define TABLE_NAME "ref"
enum { IS_WIDE = 0 };
typedef uint16_t operand;
static inline float value_of(operand b)
{
    return dr_bf16__value(b);
}
static inline operand operand_of(float x)
{
    return dr_bf16__of(x);
}
static inline float rounded(float x)
{
    return dr_round_bf16(x);
}
#endif

/* a * b + c with one rounding, for BF16 a and b. The product is exact in double; c is an f32, so the sum can only be inexact
 * in double when one term is so small beside the other that the f32 nearest to it is the larger term either way. */
static inline float fma_operand(float a, float b, float c)
{
    return (float)((double)a * (double)b + (double)c);
}

/* Reduction R: lane j holds the elements j, j + 16, ..; then the lanes fold in halves. */
static inline float fold16(const float lane[16])
{
    float s[8];
    for (int j = 0; j < 8; j++)
        s[j] = lane[j] + lane[j + 8];
    for (int j = 0; j < 4; j++)
        s[j] += s[j + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* Fills the table; every file of the folder defines its own slots. */
void SLOT(table_matrix)(dr_ops *ops);
void SLOT(table_norm)(dr_ops *ops);
void SLOT(table_rows)(dr_ops *ops);
void SLOT(table_index)(dr_ops *ops);
void SLOT(table_attention)(dr_ops *ops);
void SLOT(table_hc)(dr_ops *ops);
void SLOT(table_moe)(dr_ops *ops);

/* Chain G over k values (k % 32 == 0), continuing from c. */
float SLOT(chain)(float c, const operand *a, const operand *b, int64_t k);

#endif
