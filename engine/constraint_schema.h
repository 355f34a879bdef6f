/* engine/constraint_schema.h: the grammar of tool calls, from the JSON Schemas that describe the tools.
 *
 * Values come in the layout of the dialect (spec/deepseek-v4-encoding 4.1 and 5): a parameter whose value is a string stands raw, behind
 * string="true", any other as JSON behind string="false"; separators are ", " and ": ". Keys come in any order; those that are required
 * come all, each at most once.
 *
 * Understood: type (one or several), nullable, properties, required, additionalProperties, items, minItems, maxItems, minLength, maxLength,
 * enum, const, anyOf, oneOf, $ref into the same document (recursion too), a minimum or exclusiveMinimum that forbids a sign, and schemas
 * that are true or false. An object with properties has these and no others, unless it says nothing but additionalProperties. What only
 * describes (title, description, default, examples, format, ...) changes nothing. Any other keyword would narrow what is allowed further:
 * it is left to whoever runs the call, and said in `notes`, one line each: "PLACE: \"pattern\" is not enforced". */
#ifndef DR_ENGINE_CONSTRAINT_SCHEMA_H
#define DR_ENGINE_CONSTRAINT_SCHEMA_H

#include "engine/constraint.h"
#include "engine/json.h"

/* One JSON value. root: the document that references are looked up in. name stands before places in notes and messages. The schema is
 * not needed afterwards. DR_ERR_FORMAT: what the schema says is no schema, nothing satisfies it, or a reference leads nowhere;
 * DR_ERR_LIMIT: an object with more than DR_GRAMMAR_ITEMS properties. */
dr_status dr_grammar_schema(dr_node *out, dr_grammar *g, const dr_json *schema, const dr_json *root, const char *name, dr_buf *notes,
                            dr_error *err);

/* A value that a grammar knows better than the schema does: for parameter `parameter` of tool `tool`, node stands for the raw text.
 * (Paths, names, text that is to be replaced.) */
typedef struct dr_schema_value {
    dr_str tool, parameter;
    dr_node node;
} dr_schema_value;

/* The block of tool calls, from the line breaks before it to its end tag: 1 to max_calls calls (-1: no end). tools: a list as in the
 * OpenAI interface ({"type": "function", "function": {...}}) or of the function objects themselves. dsml: the id of that token. */
dr_status dr_grammar_tool_calls(dr_node *out, dr_grammar *g, const dr_json *tools, int32_t dsml, int32_t max_calls,
                                const dr_schema_value *values, size_t n_values, dr_buf *notes, dr_error *err);

#endif
