/* engine/constraint_bench.h: what a grammar costs beside the model, for `deepread bench constraint`.
 *
 * A decode is simulated over the tool calls that a program would offer: a text value, an enum, an integer, JSON of any shape, a name out
 * of a set of a million, whole lines of a text of 4 MiB that stand there once, several calls in one block. The logits are noise; at three
 * of four steps a legal token stands above it, as a model that knows the format has it, at the fourth none does. */
#ifndef DR_ENGINE_CONSTRAINT_BENCH_H
#define DR_ENGINE_CONSTRAINT_BENCH_H

#include "engine/tokenizer.h"

enum { DR_CONSTRAINT_BENCH_NAMES = 1000000, DR_CONSTRAINT_BENCH_TEXT = 4 << 20, DR_CONSTRAINT_BENCH_VOCAB = 129280 };

typedef struct dr_constraint_cost {
    double p50_us, p99_us, max_us;
} dr_constraint_cost;

typedef struct dr_constraint_bench {
    int32_t n_vocab, n_tokens;
    double text_ms;           /* indexing the text */
    double grammar_ms;        /* all else that is built before the first token; the set itself takes none */
    double bare_us;           /* median of picking without a constraint: reading the logits */
    dr_constraint_cost token; /* picking and taking a token under the grammar, CPU time */
    dr_constraint_cost known; /* of those, where a legal token stood above the noise */
    dr_constraint_cost blind; /* and where none did */
} dr_constraint_bench;

/* t: the vocabulary; NULL: 129,280 entries made of the bytes and of words. The same every time. n_tokens: how many to decode. */
dr_status dr_constraint_bench_run(dr_constraint_bench *out, const dr_tokenizer *t, int32_t n_tokens, dr_error *err);

#endif
