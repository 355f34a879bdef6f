/* config.json: any bytes give a layer plan, a list of tensors and a cost, or an error. */
#include "engine/cost.h"
#include "engine/plan.h"
#include "engine/rope.h"

#include <stdlib.h>

enum { CHUNK = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    dr_config c;
    dr_rope rope;
    dr_error err = {0};

    if (dr_config_parse(&c, (dr_str){(const char *)data, n}, "config.json", &err) != DR_OK)
        return 0;
    if (dr_rope__init(&rope, &c, &err) == DR_OK)
        dr_rope__fini(&rope);
    dr_plan plan;
    if (dr_plan_new(&plan, &c, &err) == DR_OK) {
        uint64_t n_tensors, n_bytes;
        dr_plan_total(&plan, &c, &n_tensors, &n_bytes);
        dr_plan_fini(&plan);
        dr_cost cost;
        dr_ops ops;
        dr_ops_init_ref(&ops);
        if (n_bytes >> 62 || dr_cost_compute(&cost, &c, &ops, c.max_context, CHUNK, &err) == DR_ERR_ARG)
            abort();
    }
    dr_config_fini(&c);
    return 0;
}
