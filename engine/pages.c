#include "engine/pages.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

dr_page *dr_page__new(size_t bytes)
{
    dr_page *p = calloc(1, sizeof *p);

    /* calloc, because large blocks of it come from the system as zeros that cost nothing until they are touched. */
    if (!p || !(p->block = calloc(1, bytes + ALIGN))) {
        free(p);
        return NULL;
    }
    p->data = (uint8_t *)(((uintptr_t)p->block + ALIGN - 1) / ALIGN * ALIGN);
    p->bytes = bytes;
    atomic_init(&p->refs, 1);
    return p;
}

dr_page *dr_page__share(dr_page *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void dr_page__drop(dr_page *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(p->block);
    free(p);
}

bool dr_page__is_shared(const dr_page *p)
{
    return atomic_load_explicit(&p->refs, memory_order_acquire) > 1;
}

dr_status dr_page__own(dr_page **p, size_t bytes, dr_error *err)
{
    if (*p && !dr_page__is_shared(*p))
        return DR_OK;
    dr_page *own = dr_page__new(bytes);
    if (!own)
        return dr_fail(err, DR_ERR_NOMEM, "KV page of %zu bytes: out of memory", bytes);
    if (*p)
        memcpy(own->data, (*p)->data, bytes);
    dr_page__drop(*p);
    *p = own;
    return DR_OK;
}
