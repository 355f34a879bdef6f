#include "tests/engine/byte_tokenizer.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

dr_tokenizer *byte_tokenizer(const dr_str *longer, size_t n_longer, const char *const *controls, size_t n_controls)
{
    dr_buf json = {0};
    dr_tokenizer *t = NULL;
    dr_error err;
    int next = 256;

    dr_buf_str(&json, "{\"added_tokens\":[");
    for (size_t i = 0; i < n_controls; i++)
        dr_buf_printf(&json, "%s{\"id\":%zu,\"content\":\"%s\"}", i ? "," : "", LONGER_TOKENS + n_longer + i, controls[i]);
    dr_buf_str(&json, "],\"model\":{\"vocab\":{");
    for (int b = 0; b < 256; b++) {
        const bool itself = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        dr_buf_printf(&json, "%s\"\\u%04x\":%d", b ? "," : "", itself ? b : next++, b);
    }
    for (size_t i = 0; i < n_longer; i++)
        dr_buf_printf(&json, ",\"%.*s\":%zu", (int)longer[i].n, longer[i].s, LONGER_TOKENS + i);
    dr_buf_str(&json, "},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false}}");
    if (dr_tokenizer_parse(&t, dr_buf_view(&json), "test", &err) != DR_OK)
        fail_msg("%s", err.msg);
    dr_buf_free(&json);
    return t;
}
