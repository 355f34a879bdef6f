/* base/blob_store.h: a key-value store of small facts, seen through a table of functions.
 *
 * repo keeps per-blob and per-commit facts through it; cache implements it on LMDB; app plugs the one into the
 * other. Keys and values are bytes; a key is at most 480 bytes and starts with a tag that names its kind and format version
 * ("sym1", "tok1", ...). Everything stored can be made again, so a failed put is not an error worth stopping for. */
#ifndef DR_BASE_BLOB_STORE_H
#define DR_BASE_BLOB_STORE_H

#include "base/bytes.h"

typedef struct dr_blob_store {
    void *self;
    /* Appends the value to *out and returns DR_OK, or DR_ERR_NOT_FOUND, or another error. Any thread. */
    dr_status (*get)(void *self, dr_buf *out, dr_cspan key, dr_error *err);
    /* Replaces the value. May return before it is durable. Any thread. */
    dr_status (*put)(void *self, dr_cspan key, dr_cspan value, dr_error *err);
} dr_blob_store; /* NULL pointers to this struct mean: no store */

#endif
