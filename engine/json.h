/* engine/json.h: a JSON reader that keeps what it read, and a writer in the layout the model was trained on.
 *
 * Numbers keep their text, so integers of any size survive, and objects keep the order of their keys: a tool schema has to be written
 * again as it came. Input is RFC 8259 in UTF-8, without a byte order mark; nesting goes to DR_JSON_DEPTH; a lone surrogate escape is an
 * error, since no UTF-8 text can hold it.
 *
 * A document is one array of nodes in reading order: a container's children follow it, keys and values alternate in an object.
 *
 *   for (const dr_json *k = dr_json_first(obj), *end = dr_json_end(obj); k != end; k = dr_json_after(k + 1))
 *       key k->text, value k + 1
 *   for (const dr_json *v = dr_json_first(arr), *end = dr_json_end(arr); v != end; v = dr_json_after(v)) */
#ifndef DR_ENGINE_JSON_H
#define DR_ENGINE_JSON_H

#include "base/bytes.h"

enum { DR_JSON_DEPTH = 128 };

typedef enum dr_json_type {
    DR_JSON_NULL,
    DR_JSON_FALSE,
    DR_JSON_TRUE,
    DR_JSON_NUMBER,
    DR_JSON_STRING,
    DR_JSON_ARRAY,
    DR_JSON_OBJECT,
} dr_json_type;

typedef struct dr_json {
    const char *text; /* string: decoded bytes; number: as written */
    uint32_t n;       /* bytes of text; children of a container (an object counts keys and values) */
    uint32_t type : 3;
    uint32_t span : 29; /* nodes of this value, itself included */
} dr_json;

typedef struct dr_json_doc {
    dr_json *root; /* borrowed from the document */
    void *storage;
} dr_json_doc;

/* Text is borrowed until the document is freed (strings without escapes point into it); less than 512 MiB. name stands in messages:
 * "NAME: line 3: ...". DR_ERR_FORMAT, DR_ERR_NOMEM. */
dr_status dr_json_parse(dr_json_doc *out, dr_str text, const char *name, dr_error *err);
void dr_json_free(dr_json_doc *doc);

static inline const dr_json *dr_json_after(const dr_json *v)
{
    return v + v->span;
}
static inline const dr_json *dr_json_first(const dr_json *container)
{
    return container + 1;
}
static inline const dr_json *dr_json_end(const dr_json *container)
{
    return dr_json_after(container);
}
static inline dr_str dr_json_text(const dr_json *v)
{
    return (dr_str){v->text, v->n};
}

/* The value of a key (the last one when it is repeated, as Python reads it), or NULL; NULL too when v is NULL or no object. */
const dr_json *dr_json_get(const dr_json *v, const char *key);
/* v is a whole number in int64: no fraction, no exponent. */
bool dr_json_int(const dr_json *v, int64_t *out);

/* Python's default layout (spec/deepseek-v4-encoding 4.1): ", " and ": ", non-ASCII literal, floats as repr writes them, a repeated key
 * at its first place with its last value. */
void dr_json_write(dr_buf *out, const dr_json *v);
/* The string with quotes. Bytes that are not UTF-8 become U+FFFD, so that the result is always JSON. */
void dr_json_write_string(dr_buf *out, dr_str s);

#endif
