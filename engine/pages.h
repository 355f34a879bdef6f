/* engine/pages.h: pages of KV rows that several timelines share. Internal to engine.
 *
 * A page is written by the decoder that alone holds it; one that shares it copies it first. The count is atomic,
 * because decoders that share pages may live on different threads. */
#ifndef DR_ENGINE_PAGES_H
#define DR_ENGINE_PAGES_H

#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dr_page {
    atomic_int refs;
    uint8_t *data; /* 64-byte aligned */
    size_t bytes;
    void *block; /* what data lies in */
} dr_page;

/* One reference, zeroed: a large page takes memory where it is touched. NULL when out of memory. */
dr_page *dr_page__new(size_t bytes);
dr_page *dr_page__share(dr_page *p);
void dr_page__drop(dr_page *p);
bool dr_page__is_shared(const dr_page *p);

/* Makes *p writable: its own page, copied when it was shared, made when it was NULL. On failure *p is as before. */
dr_status dr_page__own(dr_page **p, size_t bytes, dr_error *err);

#endif
