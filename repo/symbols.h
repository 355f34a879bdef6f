/* repo/symbols.h: where every name of a snapshot is defined and used.
 *
 * Each file is parsed on its own (tree-sitter) into facts that depend on its bytes and language only: definitions with
 * their ranges, and uses of names. Facts are kept per blob; a snapshot's facts are joined into one sorted table: a use
 * is kept only if some file of the snapshot defines the name. The table is one run of bytes; it is kept as it is and
 * found again by the snapshot's digest, without reading or parsing anything.
 *
 * What parse errors leave out is looked for word by word, so a file never goes missing because of a macro.
 *
 * Immutable after dr_symbols_open: any thread. Pointers are borrowed until dr_symbols_close. Independent of the dr_repo
 * it was made from, but file numbers are that snapshot's. Lines count from 1. */
#ifndef DR_REPO_SYMBOLS_H
#define DR_REPO_SYMBOLS_H

#include "repo/repo.h"

typedef struct dr_symbols dr_symbols;

typedef enum dr_lang {
    DR_LANG_NONE = 0,
    DR_LANG_C,
    DR_LANG_CPP,
    DR_LANG_PYTHON,
    DR_LANG_JAVASCRIPT, /* and JSX */
    DR_LANG_TYPESCRIPT,
    DR_LANG_TSX,
    DR_LANG_GO,
    DR_LANG_RUST,
    DR_LANG_JAVA,
    DR_LANG_CUDA,
    DR_LANG_CSHARP,
    DR_LANG_RUBY,
    DR_LANG_PHP,
    DR_LANG_KOTLIN, /* from here on by queries (repo/tag_query.h) */
    DR_LANG_SWIFT,
    DR_LANG_SCALA,
    DR_LANG_LUA,
    DR_LANG_BASH, /* and the other shells */
    DR_LANG_ELIXIR,
    DR_LANG_ZIG,
    DR_LANG_HTML, /* from here on an outline only: no names, no uses */
    DR_LANG_CSS,
    DR_LANG_JSON,
    DR_LANG_YAML,
    DR_LANG_TOML,
    DR_LANG_MARKDOWN,
    DR_LANG_MAKE,
    DR_N_LANGS
} dr_lang;

/* By the ending of the name or the whole name (Makefile, .bashrc); for ".h" also by the text (C unless it smells of
 * C++), and for a name without an ending by the text's first line (#!/usr/bin/env python3). text may be empty. */
dr_lang dr_lang_of(dr_str path, dr_str text);
/* The name says nothing: only the text can (dr_lang_of with an empty text gives DR_LANG_NONE). */
bool dr_lang_needs_text(dr_str path);
const char *dr_lang_name(dr_lang lang); /* "c", "c++", "python", ...; "" for none */

typedef enum dr_sym_kind {
    DR_SYM_FUNCTION = 0,
    DR_SYM_METHOD,
    DR_SYM_CLASS,
    DR_SYM_STRUCT,
    DR_SYM_UNION,
    DR_SYM_ENUM,
    DR_SYM_INTERFACE,
    DR_SYM_TRAIT,
    DR_SYM_TYPE,
    DR_SYM_MACRO,
    DR_SYM_CONSTANT,
    DR_SYM_MODULE,
    DR_SYM_VARIABLE, /* from here on members */
    DR_SYM_FIELD,
    DR_SYM_MEMBER,
    DR_SYM_ENUMERATOR,
    DR_SYM_PROTOTYPE, /* a declaration */
    DR_SYM_SECTION,   /* a heading, key, selector, make target ...: in an outline only, never found by name */
    DR_N_SYM_KINDS
} dr_sym_kind;

const char *dr_sym_kind_name(dr_sym_kind kind); /* the word of docs/tools.md */
int dr_sym_kind_rank(dr_sym_kind kind);         /* 0 definition, 1 member, 2 declaration, 3 section */

/* Changes whenever the same text may give other facts: part of the key of everything made from symbols. */
uint32_t dr_symbols_version(void);

#define DR_SYM_NONE UINT32_MAX

#define DR_SYM_NO_BODY UINT32_MAX

/* The table's own records, host byte order (the header of the table says which). */
typedef struct dr_sym_def {
    uint32_t name;       /* index into dr_symbols_names */
    uint32_t file;       /* index into the snapshot's files */
    uint32_t line;       /* holds the name */
    uint32_t first_line; /* of the whole definition, return type included; <= line */
    uint32_t end_line;   /* last line, included */
    uint32_t container;  /* name index of what is around it (class, struct, enum, module, function), or DR_SYM_NONE:
                            nothing, or nothing that this snapshot defines */
    uint32_t doc_line;   /* first line of the comment right above it, or of its docstring; 0: none */
    uint32_t body_at;    /* byte of the shown text where the body begins, or DR_SYM_NO_BODY */
    uint32_t kind;       /* dr_sym_kind */
} dr_sym_def;

/* What is around it: dr_symbols_enclosing(s, file, line). */
typedef struct dr_sym_ref {
    uint32_t file;
    uint32_t line : 31;
    uint32_t is_call : 1; /* the callee of a call; else any other use */
} dr_sym_ref;

typedef struct dr_sym_import {
    uint32_t file;   /* that imports */
    uint32_t line;
    uint32_t name;   /* as written, without quotes or brackets: index into dr_symbols_names, past its sorted part */
    uint32_t target; /* the file that is meant, by the language's rules for paths; DR_SYM_NONE: not in this snapshot */
} dr_sym_import;

/* Called on the thread that called dr_symbols_open, several times a second while files are parsed; false cancels. */
typedef bool dr_symbols_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes);

typedef struct dr_symbols_options {
    const dr_blob_store *store; /* NULL: nothing is kept */
    dr_pool *pool;              /* NULL: this thread */
    dr_symbols_progress *progress;
    void *progress_arg;
} dr_symbols_options;

/* opt NULL: all defaults. A file that cannot be read is left out and counted, not an error.
 * DR_ERR_CANCELLED when progress said so; DR_ERR_NOMEM. */
dr_status dr_symbols_open(dr_symbols **out, const dr_repo *repo, const dr_symbols_options *opt, dr_error *err);
void dr_symbols_close(dr_symbols *s);

/* Sorted as docs/tools.md says: definitions, members, declarations; then path, line. Returns how many; *defs may be
 * NULL when 0. */
size_t dr_symbols_find(const dr_symbols *s, dr_str name, const dr_sym_def **defs);

/* One per source line; calls first, then by path, line. */
size_t dr_symbols_refs(const dr_symbols *s, dr_str name, const dr_sym_ref **refs);

/* Names like one that is not there: equal but for case, else with it as a prefix, else containing it without case;
 * shorter first, then by bytes. Returns how many (at most 5). Never `name` itself. */
size_t dr_symbols_similar(const dr_symbols *s, dr_str name, dr_str out[5]);

/* Every defined name once, sorted by bytes: [0, *n). Behind these stand the names of sections and imports, which only
 * a record's `name` or `container` leads to. */
const dr_str *dr_symbols_names(const dr_symbols *s, size_t *n);

const dr_sym_def *dr_symbols_def(const dr_symbols *s, uint32_t index); /* index < stats.n_defs + stats.n_sections */

/* The innermost function, method or class (those three kinds, as docs/tools.md says) around a line, or NULL: top level.
 */
const dr_sym_def *dr_symbols_enclosing(const dr_symbols *s, size_t file, uint32_t line);

/* The definitions and sections of one file in line order: *defs are indices for dr_symbols_def. */
size_t dr_symbols_outline(const dr_symbols *s, size_t file, const uint32_t **defs);

/* What a file imports, in line order. */
size_t dr_symbols_imports(const dr_symbols *s, size_t file, const dr_sym_import **imports);

/* What imports a file, by path, then line: *imports are indices for dr_symbols_import. */
size_t dr_symbols_importers(const dr_symbols *s, size_t file, const uint32_t **imports);
const dr_sym_import *dr_symbols_import(const dr_symbols *s, uint32_t index); /* index < stats.n_imports */

typedef struct dr_sym_call {
    uint32_t name; /* index into dr_symbols_names */
    uint32_t line; /* of the first call */
} dr_sym_call;

/* What a definition calls: names that the snapshot defines, each once, by line, then name. *out is the caller's to free
 * (NULL when *n is 0). Asks the store for the facts of its file, or reads and parses that one file again; repo: the one
 * the symbols were made from. DR_ERR_AGAIN, DR_ERR_IO, DR_ERR_FORMAT: the file cannot be read. */
dr_status dr_symbols_callees(dr_sym_call **out, size_t *n, const dr_symbols *s, const dr_repo *repo,
                             const dr_blob_store *store, const dr_sym_def *def, dr_error *err);

typedef struct dr_symbols_stats {
    bool restored;             /* the whole table came from the store */
    uint32_t n_files;          /* in a known language */
    uint32_t n_parsed, n_kept; /* of those: parsed now, facts found in the store (0 and 0 when restored) */
    uint32_t n_cut;            /* parsed too slowly: searched word by word instead */
    uint32_t n_failed;         /* unreadable: the table is then not kept */
    uint32_t n_names, n_defs, n_refs, n_sections, n_imports;
    uint64_t bytes; /* of the files in a known language */
} dr_symbols_stats;

const dr_symbols_stats *dr_symbols_get_stats(const dr_symbols *s);

#endif
