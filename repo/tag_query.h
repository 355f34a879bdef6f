/* repo/tag_query.h: a tree-sitter query with its predicates.
 *
 * The C library matches patterns and hands predicates over unevaluated; here they are evaluated:
 *
 *   (#eq? @a "x")  (#eq? @a @b)   every node of @a is this text; that of @b, one by one
 *   (#match? @a "regex")          PCRE2 finds it in every node of @a
 *   (#any-of? @a "x" "y" ...)     every node of @a is one of these texts
 *     each also as #not-...?      no node is (finds) it
 *     eq and match as #any-...?   at least one node is (finds) it; #any-not-...?: at least one is not
 *   (#strip! @a "regex")          what the regex finds is taken out of the text of @a
 *   (#select-adjacent! @a @b)     of @a, keep the nodes that lead up to the first of @b line by line
 *   (#set-adjacent! @a @b)        the same, by its older name
 *   (#set! key "value")           a property of the match
 *
 * A capture that a match lacks fulfils every predicate, as in the tools that define these names. A regex that needs
 * more than its budget of steps finds nothing, and looks at the first 64 KiB of a node only. Anything else is refused
 * when the query is made.
 *
 * A query is immutable: any number of threads may run it at once. What a run finds depends on query, tree and text
 * only: its budget is counted in the library's own steps. */
#ifndef DR_REPO_TAG_QUERY_H
#define DR_REPO_TAG_QUERY_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <tree_sitter/api.h>

typedef struct dr_tag_query dr_tag_query;

/* DR_ERR_FORMAT: the query does not fit the language, or a predicate is not one of the above; the message says where.
 * DR_ERR_NOMEM. source is not kept. */
dr_status dr_tag_query_new(dr_tag_query **out, const TSLanguage *language, dr_str source, dr_error *err);
void dr_tag_query_free(dr_tag_query *q);

/* Captures by number, without the "@". */
uint32_t dr_tag_query_n_captures(const dr_tag_query *q);
dr_str dr_tag_query_capture(const dr_tag_query *q, uint32_t index);

typedef struct dr_tag_capture {
    TSNode node;
    uint32_t index; /* of its name */
    dr_str text;    /* of the node; after #strip! perhaps in storage of the run, good until the callback returns */
} dr_tag_capture;

typedef struct dr_tag_property {
    dr_str key, value; /* value.n 0: none was given */
} dr_tag_property;

typedef struct dr_tag_match {
    uint32_t pattern;               /* by place in the query, from 0 */
    const dr_tag_capture *captures; /* in text order */
    const dr_tag_property *properties;
    size_t n_captures, n_properties;
} dr_tag_match;

/* False: enough. */
typedef bool dr_tag_found(void *arg, const dr_tag_match *match);

/* Every match whose predicates hold, in the library's order (by where a match begins). text is what the tree was parsed
 * from. DR_ERR_LIMIT: over budget, and what was found until then has been given. DR_ERR_NOMEM. */
dr_status dr_tag_query_run(const dr_tag_query *q, TSNode root, dr_str text, dr_tag_found *found, void *arg,
                           dr_error *err);

#endif
