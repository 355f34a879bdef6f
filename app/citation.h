/* app/citation.h: path:line and path:a-b in an answer, found and checked before anyone sees them.
 *
 * A citation is a path of the snapshot followed by ':' and a line or a range. It is checked against the snapshot that was asked about:
 * the lines must exist; better, a name the answer puts in backticks is defined or used on them. What looks
 * like a citation (has a '.' or '/' before the colon) but is not one of a file here counts as failed. */
#ifndef DR_APP_CITATION_H
#define DR_APP_CITATION_H

#include "base/bytes.h"
#include "repo/symbols.h"

typedef enum dr_cite_check {
    DR_CITE_FAILED, /* no such file, no such line */
    DR_CITE_EXISTS, /* the lines are there */
    DR_CITE_USED,   /* a name in backticks is used on the line, or declared there and defined elsewhere */
    DR_CITE_SYMBOL, /* a name in backticks is defined on the line */
} dr_cite_check;

/* "failed", "exists", "symbol" (for both uses and definitions): the word of the event. */
const char *dr_cite_check_name(dr_cite_check c);

typedef struct dr_citation {
    size_t at, n;        /* bytes of the text */
    uint32_t file;       /* DR_SYM_NONE when failed for want of a file */
    uint32_t line, end;  /* end == line for a single one */
    dr_cite_check check;
} dr_citation;

typedef struct dr_citations {
    dr_citation *v;
    size_t n;
} dr_citations;

/* Appends every citation of text (offsets are relative to it). symbols may be NULL. */
dr_status dr_citations_scan(dr_citations *out, dr_str text, const dr_repo *repo, const dr_symbols *symbols, dr_error *err);
void dr_citations_fini(dr_citations *c);

/* What one name says of a citation that was found: it is defined there (DR_CITE_SYMBOL), used
 * there (DR_CITE_USED), or neither (DR_CITE_EXISTS). A failed citation stays failed. */
dr_cite_check dr_citation_check_name(const dr_citation *c, dr_str name, const dr_symbols *symbols);

/* The first name in backticks, or an empty string. */
dr_str dr_quoted_name(dr_str text);

#endif
