/* engine/dialect_import.h: a dialect.json from the Python file that a checkpoint brings with it.
 *
 * The official folders carry their prompt texts as string literals in encoding/encoding_dsv4.py; engine/python_literals.h reads them. The
 * texts are known by their SHA-256 (spec/deepseek-v4-encoding section 8):
 *
 *   A, B   what stands before and behind the tool schemas: the two sides of the one template (variable TOOLS_TEMPLATE) in which, once
 *          {NAME} of the file's own texts is filled in, one placeholder is left
 *   X, Y   the effort prefixes, in REASONING_EFFORT_MAX or in the dict REASONING_EFFORT_PROMPTS
 *
 * and tell the release, which settles what each effort name means (section 6):
 *
 *   V4 (April)      none "", high "", max X
 *   V4-Flash-0731   low "", high X, max Y
 *
 * A file whose texts are others is refused with the first difference, unless the caller accepts it: then its own texts are taken, the
 * efforts from the dict, or from the constants REASONING_EFFORT_<NAME> with `none` beside them. What no caller can accept: no template;
 * and control tokens or block names that the renderer does not write (section 1), for then it is another format. */
#ifndef DR_ENGINE_DIALECT_IMPORT_H
#define DR_ENGINE_DIALECT_IMPORT_H

#include "base/bytes.h"

typedef struct dr_import {
    dr_buf json;         /* the whole dialect.json */
    const char *release; /* "V4 (April)", "V4-Flash-0731", or "unknown" when accepted */
    bool known;
} dr_import;

/* name stands in messages. DR_ERR_FORMAT says in one sentence which text differs and what to do; whatever
 * dr_python_texts_read says. Free with dr_import_fini, whatever the result. */
dr_status dr_dialect_import(dr_import *out, dr_str python, const char *name, bool accept, dr_error *err);
void dr_import_fini(dr_import *i);

#endif
