/* engine/layout.h: where the KV rows of a model lie in a page, and how long everything is. Internal to engine.
 *
 * A page holds what DR_BLOCK_TOKENS tokens leave behind in all compressed layers, in native rows, and is also the
 * stored block:
 *
 *   for every layer with ratio r > 0, in order:
 *     entry rows  [2048 / r][row_bytes]
 *     index rows  [2048 / r][index_row_bytes]      CSA only
 *
 * Entry i of a layer lies in page i / (2048 / r). r divides 2048, so an entry never spans pages. */
#ifndef DR_ENGINE_LAYOUT_H
#define DR_ENGINE_LAYOUT_H

#include "engine/config.h"
#include "kernels/ops.h"

typedef struct dr_layer_layout {
    size_t entries_at, index_at; /* byte offsets in a page */
    int32_t entries_per_page;    /* 0 for SWA */
} dr_layer_layout;

typedef struct dr_layout {
    size_t row_bytes, index_row_bytes;
    size_t page_bytes;
    dr_layer_layout *layers; /* [n_layers]; the MTP block has a window only */
} dr_layout;

dr_status dr_layout__init(dr_layout *l, const dr_config *c, const dr_ops *ops, dr_error *err);
void dr_layout__fini(dr_layout *l);

#endif
