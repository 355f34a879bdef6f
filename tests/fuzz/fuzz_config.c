/* config.json: any bytes give a plan or an error. */
#include "engine/config.h"
#include "engine/rope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    dr_config c;
    dr_rope rope;
    dr_error err = {0};

    if (dr_config_parse(&c, (dr_str){(const char *)data, n}, "config.json", &err) != DR_OK)
        return 0;
    if (dr_rope__init(&rope, &c, &err) == DR_OK)
        dr_rope__fini(&rope);
    dr_config_fini(&c);
    return 0;
}
