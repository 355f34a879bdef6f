/* tests/engine/tiny_checkpoint.h: random checkpoints small enough to run in a moment, and wrong on demand.
 *
 * A checkpoint is made in memory, changed by the test when it is to be bad, and written to a folder of its own. Every
 * function ends the test on its own failure. */
#ifndef DR_TESTS_TINY_CHECKPOINT_H
#define DR_TESTS_TINY_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum { TINY_LAYERS = 8, TINY_TENSORS = 2048 };

typedef enum tiny_storage { TINY_FP4, TINY_FP8, TINY_BF16 } tiny_storage;

typedef struct tiny_spec {
    int ratios[TINY_LAYERS]; /* n_layers of them */
    int n_layers, n_hash, n_mtp;
    int dim, heads, head_dim, rope_dim, window;
    int q_rank, o_rank, o_groups;
    int index_heads, index_dim, topk;
    int experts, active, shared, expert_dim;
    int streams, vocab;
    tiny_storage experts_as, linears_as; /* linears: FP8 or BF16 */
    uint64_t seed;
} tiny_spec;

/* Hash SWA, CSA, HCA of ratio 16, CSA; 2 of 4 experts; entries are selected from 68 tokens on; MTP. */
tiny_spec tiny_all_kinds(void);

typedef struct tiny_tensor {
    char name[96];
    const char *dtype;
    int64_t shape[3];
    int n_dims;
    uint8_t *data;
    size_t n_bytes;
} tiny_tensor;

typedef struct tiny {
    tiny_spec spec;
    json_t *config;
    tiny_tensor tensors[TINY_TENSORS];
    size_t n;
} tiny;

tiny *tiny_new(const tiny_spec *spec);
void tiny_free(tiny *t);
tiny_tensor *tiny_find(tiny *t, const char *name);
void tiny_remove(tiny *t, const char *name);
/* One more tensor, of zeros. */
tiny_tensor *tiny_add(tiny *t, const char *name, const char *dtype, int n_dims, const int64_t *shape);

/* Writes config.json and the weights; n_shards 1: model.safetensors, else shards and an index. The folder is made by
 * mkdtemp. */
void tiny_write(const tiny *t, char folder[64], int n_shards);
/* A folder with these bytes as model.safetensors, and config.json when config is not NULL. */
void tiny_write_raw(char folder[64], const void *safetensors, size_t n, const char *config);
void tiny_remove_folder(const char *folder);

/* splitmix64. */
uint64_t tiny_random(uint64_t *state);

#endif
