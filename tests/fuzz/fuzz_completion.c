/* A completion from anywhere: the result is always JSON, and what it says to call stands in the text. */
#include "engine/dialect.h"
#include "engine/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char call[] = "<\xef\xbd\x9c" "DSML\xef\xbd\x9cinvoke";
    const dr_str text = {(const char *)data, n};

    for (int thinking = 0; thinking < 2; thinking++) {
        dr_completion c;
        dr_buf json = {0};
        dr_json_doc doc;
        size_t n_written = 0;
        if (dr_completion_parse(&c, text, thinking, NULL) != DR_OK)
            abort();
        for (size_t at = 0; at + sizeof call - 1 <= n; at++)
            n_written += memcmp(data + at, call, sizeof call - 1) == 0;
        if (c.n_calls > n_written || (c.malformed && (c.n_calls > 0 || !dr_str_eq(c.content, text))))
            abort();
        for (size_t i = 0; i < c.n_calls; i++)
            if (c.calls[i].arguments.n < 2 || (c.calls[i].name.n && !memmem(data, n, c.calls[i].name.s, c.calls[i].name.n)))
                abort();
        dr_completion_free(&c);
        if (dr_dialect_parse(NULL, &json, text, thinking, NULL) != DR_OK ||
            dr_json_parse(&doc, dr_buf_view(&json), "result", NULL) != DR_OK)
            abort();
        dr_json_free(&doc);
        dr_buf_free(&json);
    }
    return 0;
}
