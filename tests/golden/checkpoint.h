/* tests/golden/checkpoint.h: the tiny checkpoints of checkpoint.py, made again by C, so that only logits are committed.
 *
 * data/checkpoints.txt lists them: SHA-256 of the weights file, name, the key its random words start from, the experts' storage. */
#ifndef DR_TESTS_GOLDEN_CHECKPOINT_H
#define DR_TESTS_GOLDEN_CHECKPOINT_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdint.h>

/* Path of tests/golden/data/NAME/FILE, relative to the source tree, where tests run. Fatal in a test when too long. */
void golden_path(char out[256], const char *name, const char *file);

/* Makes FOLDER with config.json and model.safetensors of checkpoint NAME. DR_ERR_FORMAT when the bytes are not those that the
 * expected logits were computed from. */
dr_status golden_write(const char *folder, const char *name, dr_error *err);

/* Removes what golden_write made, and other plain files of the folder. */
void golden_remove(const char *folder);

/* tokens.json of NAME: *ids is the caller's to free. */
dr_status golden_tokens(const char *name, int32_t **ids, int64_t *n, dr_error *err);
/* The same of any file of ids. */
dr_status golden_read_tokens(const char *path, int32_t **ids, int64_t *n, dr_error *err);

/* A float32 .npy of two dimensions, written in C order: *values is the caller's to free. */
dr_status golden_npy(const char *path, float **values, int64_t *rows, int64_t *columns, dr_error *err);

#endif
