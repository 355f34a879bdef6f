/* A Python file from anywhere: refused, or texts within their bounds; and a dialect of it, accepted as it is, is one that loads. */
#include "engine/dialect.h"
#include "engine/dialect_import.h"
#include "engine/python_literals.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

static void check_import(dr_str source)
{
    dr_import import;
    dr_dialect *d;

    if (dr_dialect_import(&import, source, "fuzz", true, NULL) == DR_OK) {
        if (import.known || dr_dialect_parse_file(&d, dr_buf_view(&import.json), "import", NULL) != DR_OK)
            abort();
        dr_dialect_close(d);
    }
    dr_import_fini(&import);
    if (dr_dialect_import(&import, source, "fuzz", false, NULL) == DR_OK) /* the published texts are not among the seeds */
        abort();
    dr_import_fini(&import);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const dr_str source = {(const char *)data, n};
    dr_python_texts t;
    size_t n_bytes = 0;

    if (dr_python_texts_read(&t, source, "fuzz", NULL) == DR_OK) {
        if (t.n > DR_PYTHON_ENTRIES)
            abort();
        for (size_t i = 0; i < t.n; i++) {
            const dr_python_text *v = &t.v[i];
            n_bytes += v->text.n + v->key.n;
            if (v->name.n == 0 || v->line < 1 || (v->why && (v->text.s || v->key.s)) || (!v->why && !v->text.s) ||
                (v->text.n && dr_utf8_prefix(v->text.s, v->text.n) != v->text.n))
                abort();
        }
        if (n_bytes > DR_PYTHON_TEXT_BYTES)
            abort();
        dr_python_texts_free(&t);
    }
    check_import(source);
    return 0;
}
