/* repo/facts.h: what one blob says, as bytes to keep.
 *
 *   varint n_names, n_defs, n_refs, n_imports
 *   names   n_names x { varint n; n bytes }                      each once
 *   defs    n_defs  x { varint name; varint container + 1; byte kind;
 *                       varint line; varint line - first_line; varint end_line - line;
 *                       varint doc; varint body_at + 1 }         by place in the text
 *           doc: 0 none, 2 * (line - doc_line) above the name, 2 * (doc_line - line) + 1 below it or on its line
 *   imports n_imports x { varint name; byte form; varint line - the line before }    by line
 *   refs    n_refs  x { varint 2 * name + is_call; varint line - the line before }   one a name and line, by line
 *
 * Varints are little-endian groups of 7 bits. Reading checks everything: the bytes come from a file. */
#ifndef DR_REPO_FACTS_H
#define DR_REPO_FACTS_H

#include "repo/extract.h"

enum { DR_FACTS_VERSION = 5 }; /* of the bytes and of what the extractors find: part of every key */

/* Appends w's facts. False: out of memory. */
bool dr_facts__encode(dr_buf *out, dr_walk *w);

typedef struct dr_facts_reader {
    const uint8_t *p, *end;
    uint32_t n_names, n_defs, n_refs, n_imports;
    uint32_t import_line, line; /* of the last import, the last reference */
    bool bad;      /* the bytes are not facts; everything read since is zero */
} dr_facts_reader;

typedef struct dr_facts_def {
    uint32_t name, container, kind, line, first_line, end_line, doc_line, body_at; /* container: DR_SYM_NONE */
} dr_facts_def;

/* In this order: open, n_names x name, n_defs x def, n_imports x import, n_refs x ref. */
dr_facts_reader dr_facts__open(dr_cspan bytes);
dr_str dr_facts__name(dr_facts_reader *r);
dr_facts_def dr_facts__def(dr_facts_reader *r);
uint32_t dr_facts__import(dr_facts_reader *r, uint32_t *line, dr_import_form *form); /* the name */
uint32_t dr_facts__ref(dr_facts_reader *r, uint32_t *line, bool *is_call); /* the name */

#endif
