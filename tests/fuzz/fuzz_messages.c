/* A conversation from anywhere: refused or rendered, in segments that cover the prompt, with BOS only where the renderer put it. */
#include "engine/dialect.h"

#include <stdlib.h>
#include <string.h>

static const char dialect_json[] = "{\"format\":1,\"tools_head\":\"H </think>\\n\",\"tools_tail\":\"T\\n\",\"effort\":{\"max\":\"M\\n\\n\"}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static dr_dialect *d;
    dr_messages m;

    if (!d && dr_dialect_parse_file(&d, DR_STR(dialect_json), "dialect", NULL) != DR_OK)
        abort();
    if (dr_messages_parse(&m, (dr_str){(const char *)data, n}, "fuzz", NULL) != DR_OK)
        return 0;
    for (unsigned bits = 0; bits < 16; bits++) {
        dr_prompt p;
        const dr_render_options options = {.thinking = bits & 1,
                                           .keep_reasoning = bits & 2,
                                           .effort = bits & 4 ? "max" : NULL,
                                           .n_context = bits & 8 ? m.n / 2 : 0};
        if (dr_dialect_render(d, &p, m.v, m.n, &options, NULL) != DR_OK)
            continue;
        size_t at = 0;
        for (size_t i = 0; i < p.n_segments; i++) {
            if (p.segments[i].at != at || p.segments[i].n == 0 || (i && !p.segments[i].control && !p.segments[i - 1].control))
                abort();
            at += p.segments[i].n;
        }
        if (at != p.text.n || (options.n_context == 0 && !p.segments[0].control))
            abort();
        dr_prompt_free(&p);
    }
    dr_messages_free(&m);
    return 0;
}
