/* tokenizer.json from anywhere: refused or usable, and then every text comes back from its ids. */
#include "engine/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    dr_tokenizer *t;
    dr_error err;
    const dr_str file = {(const char *)data, n};
    const dr_str texts[] = {DR_STR("int main(void) { return 42; } \xe4\xb8\xad\xff\r\n  x~~~"), {(const char *)data, n < 300 ? n : 300}};

    if (dr_tokenizer_parse(&t, file, "fuzz", &err) != DR_OK)
        return 0;
    for (size_t i = 0; i < 4; i++) {
        dr_ids ids = {0};
        dr_buf back = {0};
        const dr_str text = texts[i / 2];
        if (dr_tokenizer_encode(t, &ids, text, i % 2, &err) == DR_OK) {
            for (size_t j = 0; j < ids.n; j++) {
                const dr_str s = dr_tokenizer_bytes(t, ids.v[j]);
                dr_buf_add(&back, s.s, s.n);
            }
            if (!dr_str_eq(dr_buf_view(&back), text))
                abort();
        }
        dr_ids_free(&ids);
        dr_buf_free(&back);
    }
    dr_tokenizer_close(t);
    return 0;
}
