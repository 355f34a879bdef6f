/* A safetensors file: any bytes, as they would lie in the file. The first eight are the header's length, what follows the header is
 * counted only. */
#include "engine/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t count;
    dr_error err = {0};

    if (n < 8)
        return 0;
    const uint64_t told = dr_load_u64(data), header = told < n - 8 ? told : n - 8;
    (void)dr_safetensors_check_header((dr_str){(const char *)data + 8, (size_t)header}, n - 8 - header, &count, "file", &err);
    return 0;
}
