/* base/bytes.h: spans, growable byte buffers, little-endian fields, whole-file reads.
 *
 * A span borrows; a buffer owns. Sizes are size_t bytes. Nothing here is shared between threads. */
#ifndef DR_BASE_BYTES_H
#define DR_BASE_BYTES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dr_span {
    uint8_t *data;
    size_t n;
} dr_span;

typedef struct dr_cspan {
    const uint8_t *data;
    size_t n;
} dr_cspan;

/* Text of known length, not necessarily terminated. */
typedef struct dr_str {
    const char *s;
    size_t n;
} dr_str;

#define DR_STR(literal) ((dr_str){(literal), sizeof(literal) - 1})
dr_str dr_str_of(const char *terminated); /* NULL gives the empty string */
bool dr_str_eq(dr_str a, dr_str b);
/* Bytes as unsigned, shorter first on a common prefix: the order of every sorted table here. */
int dr_str_cmp(dr_str a, dr_str b);

/* Growable buffer. Zero-initialise. After a failed append `failed` is set and later appends are
 * no-ops, so a long run of appends is checked once at its end. Always terminated by a NUL that is not
 * counted in n, when data is not NULL. */
typedef struct dr_buf {
    char *data;
    size_t n, cap;
    bool failed;
} dr_buf;

void dr_buf_add(dr_buf *b, const void *data, size_t n);
/* n more bytes for the caller to fill, until the next append. NULL when there is no room. */
void *dr_buf_extend(dr_buf *b, size_t n);
void dr_buf_str(dr_buf *b, const char *terminated);
void dr_buf_printf(dr_buf *b, const char *fmt, ...) DR_PRINTF(2, 3);
void dr_buf_clear(dr_buf *b); /* keeps the storage */
void dr_buf_free(dr_buf *b);
dr_str dr_buf_view(const dr_buf *b); /* until the next append */

/* Little-endian loads and stores at any alignment. */
uint32_t dr_load_u32(const void *p);
uint64_t dr_load_u64(const void *p);
void dr_store_u32(void *p, uint32_t v);
void dr_store_u64(void *p, uint64_t v);

/* Reads a whole regular file, at most max_bytes, into a buffer the caller frees with dr_buf_free.
 * DR_ERR_IO with the path and reason, also for what is no regular file (a FIFO is not waited for); DR_ERR_FORMAT when larger:
 * no budget ran out, the file is not what it should be. */
dr_status dr_read_file(dr_buf *out, const char *path, size_t max_bytes, dr_error *err);

/* Writes path whole or not at all: temporary file beside it, fsync, rename. */
dr_status dr_write_file(const char *path, const void *data, size_t n, dr_error *err);

/* Creates a folder and its parents with the given mode; one that exists already is fine. */
dr_status dr_make_dirs(const char *path, unsigned mode, dr_error *err);

#endif
