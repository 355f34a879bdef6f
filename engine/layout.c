#include "engine/layout.h"

#include "engine/decoder.h"

#include <stdlib.h>

dr_status dr_layout__init(dr_layout *l, const dr_config *c, const dr_ops *ops, dr_error *err)
{
    *l = (dr_layout){.row_bytes = ops->kv_row_bytes(c->head_dim, c->rope_dim),
                     .index_row_bytes = ops->index_row_bytes(c->index_dim)};
    if (!(l->layers = calloc((size_t)c->n_layers, sizeof *l->layers)))
        return dr_fail(err, DR_ERR_NOMEM, "KV layout: out of memory");
    for (int32_t i = 0; i < c->n_layers; i++) {
        const dr_layer_plan *p = &c->layers[i];
        if (p->kind == DR_ATTENTION_SWA)
            continue;
        dr_layer_layout *to = &l->layers[i];
        to->entries_per_page = DR_BLOCK_TOKENS / p->ratio;
        to->entries_at = l->page_bytes;
        l->page_bytes += (size_t)to->entries_per_page * l->row_bytes;
        to->index_at = l->page_bytes;
        if (p->kind == DR_ATTENTION_CSA)
            l->page_bytes += (size_t)to->entries_per_page * l->index_row_bytes;
    }
    return DR_OK;
}

void dr_layout__fini(dr_layout *l)
{
    free(l->layers);
    *l = (dr_layout){0};
}
