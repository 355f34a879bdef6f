/* repo/extract.h: one file's text to facts: definitions and uses of names, by one walk over its syntax tree.
 *
 * The walk goes through every node once, in text order. A grammar gives rules by node type and a visitor for the types
 * that mean something to it; the visitor looks down from a construct (a function, a call) and marks the names inside by
 * their byte offset, so that the walk knows what a name is when it gets there:
 *
 *   DEF     declared or defined here: not a use
 *   CALL    the callee
 *   MEMBER  after a dot or arrow: no local variable hides it
 *
 * Names of parameters and local variables of the functions around are not uses. What the parser could not make
 * sense of is then searched for definitions word by word (lexical.c).
 *
 * The result depends on text and language only: the parser's budget is counted in its own steps, not in time. */
#ifndef DR_REPO_EXTRACT_H
#define DR_REPO_EXTRACT_H

#include "repo/symbols.h"

#include <stdatomic.h>
#include <tree_sitter/api.h>

typedef struct dr_extract_def {
    uint32_t name_at, name_n;           /* bytes of the text */
    uint32_t container_at, container_n; /* 0, 0: none */
    uint32_t line, first_line, end_line;
    uint32_t doc_line; /* 0: none */
    uint32_t body_at;  /* DR_SYM_NO_BODY */
    uint32_t kind;
} dr_extract_def;

typedef struct dr_extract_ref {
    uint32_t at, n, line, is_call;
} dr_extract_ref;

typedef struct dr_extract_name {
    uint32_t at, n;
} dr_extract_name;

/* How an import's name leads to a file (imports.c). */
typedef enum dr_import_form {
    DR_IMPORT_PLAIN = 0,    /* a name only: leads nowhere */
    DR_IMPORT_PATH,         /* "x.h", './x', `source x.sh`: from the file's own folder, else the closest of that name */
    DR_IMPORT_INCLUDE,      /* <x.h>: from a folder of headers */
    DR_IMPORT_PYTHON,       /* a.b, ..a.b */
    DR_IMPORT_PYTHON_MAYBE, /* `from a import b` as a.b: kept only if that is a file */
    DR_IMPORT_GO,           /* example.org/a/b: the first file of that folder */
    DR_IMPORT_RUST,         /* crate::a::b, super::a, other_crate::a */
    DR_IMPORT_RUST_MOD,     /* `mod a;` */
    DR_IMPORT_TYPE,         /* a.b.C or a\b\C: the file C with the importing file's ending */
    DR_IMPORT_LOAD,         /* require 'a/b', require "a.b": from the root, a lib folder, or beside the file */
    DR_N_IMPORT_FORMS
} dr_import_form;

typedef struct dr_extract_import {
    uint32_t name_at, name_n; /* bytes of import_names */
    uint32_t line, form;
} dr_extract_import;

typedef struct dr_extract_range {
    uint32_t begin, end, line;
} dr_extract_range;

typedef struct dr_scope {
    uint32_t name_at, name_n;
    uint32_t depth;    /* of its node in the tree */
    uint32_t n_locals; /* entries of the local log when it was entered */
    enum { DR_SCOPE_FUNCTION, DR_SCOPE_TYPE, DR_SCOPE_MODULE } kind;
} dr_scope;

enum { DR_MARK_DEF = 1, DR_MARK_CALL = 2, DR_MARK_MEMBER = 4 };

/* Reused from file to file by one thread. */
typedef struct dr_walk {
    dr_lang lang;
    const struct dr_grammar *grammar;
    dr_str text;
    uint8_t *mark; /* [text.n + 1] */
    size_t mark_cap;
    uint32_t depth;

    dr_extract_def *defs;
    dr_extract_ref *refs;
    dr_scope *scopes;
    dr_extract_name *locals; /* in the order they were added */
    uint32_t *local_slots;   /* hash table over locals, index + 1 */
    dr_extract_range *errors;
    size_t n_defs, cap_defs, n_refs, cap_refs, n_scopes, cap_scopes, n_locals, cap_locals, n_local_slots, n_errors,
        cap_errors;
    dr_extract_import *imports;
    size_t n_imports, cap_imports;
    dr_buf import_names;
    size_t last_def; /* n_defs: what was to be defined last was not */
    dr_extract_range *loose; /* text taken out before parsing, to be read word by word */
    size_t n_loose, cap_loose;
    dr_buf softened;
    bool failed; /* out of memory: everything after is a no-op */

    TSParser *parser;
    const atomic_bool *cancel;
    bool (*tick)(void *arg); /* may be NULL: called now and then while parsing; false cancels */
    void *tick_arg;
    dr_str parsed; /* what the parser sees: the text, or its softened copy */
    uint64_t steps, max_steps, n_pieces, max_pieces, max_large_bytes;
} dr_walk;

/* Rules every grammar shares; its own start at DR_RULE_OWN. */
enum {
    DR_RULE_NONE = 0, /* go on to the children */
    DR_RULE_NAME,     /* a name: a use unless marked or a local */
    DR_RULE_MEMBER,   /* a name that locals do not hide */
    DR_RULE_SKIP,     /* nothing in here */
    DR_RULE_OWN
};

/* Fields by the number used here; a grammar that lacks one gets a null node. */
enum {
    DR_FIELD_NAME,
    DR_FIELD_DECLARATOR,
    DR_FIELD_BODY,
    DR_FIELD_VALUE,
    DR_FIELD_TYPE,
    DR_FIELD_FUNCTION,
    DR_FIELD_FIELD,
    DR_FIELD_LEFT,
    DR_FIELD_RIGHT,
    DR_FIELD_SCOPE,
    DR_FIELD_PARAMETERS,
    DR_FIELD_OBJECT,
    DR_FIELD_PROPERTY,
    DR_FIELD_ATTRIBUTE,
    DR_FIELD_ALIAS,
    DR_FIELD_PATTERN,
    DR_FIELD_MACRO,
    DR_FIELD_RECEIVER,
    DR_FIELD_CONSTRUCTOR,
    DR_FIELD_PARAMETER,
    DR_FIELD_KEY,
    DR_FIELD_TRAIT,
    DR_FIELD_OPERAND,
    DR_FIELD_SOURCE,
    DR_FIELD_PATH,
    DR_FIELD_MODULE_NAME,
    DR_FIELD_ARGUMENT,
    DR_FIELD_ARGUMENTS,
    DR_FIELD_LIST,
    DR_FIELD_TARGET,
    DR_FIELD_METHOD,
    DR_N_FIELDS
};

typedef struct dr_node_rule {
    const char *type;
    uint8_t rule;
} dr_node_rule;

typedef struct dr_grammar {
    const TSLanguage *(*language)(void);
    const dr_node_rule *rules; /* ends with a NULL type */
    /* At a node with a rule of the grammar's own. False: do not go into the children. */
    bool (*visit)(dr_walk *w, TSNode node, uint8_t rule);
    /* Takes the place of the walk: rules and visit are then not used. */
    void (*whole)(dr_walk *w, TSNode root);
    /* Changes a copy of the text, of the same length, to what the parser makes more of. May be NULL. */
    void (*soften)(dr_walk *w, char *copy);
} dr_grammar;

extern const dr_grammar dr_grammar__c, dr_grammar__cpp, dr_grammar__python, dr_grammar__javascript,
    dr_grammar__typescript, dr_grammar__tsx, dr_grammar__go, dr_grammar__rust, dr_grammar__java, dr_grammar__cuda,
    dr_grammar__csharp, dr_grammar__ruby, dr_grammar__php, dr_grammar__kotlin, dr_grammar__swift, dr_grammar__scala,
    dr_grammar__lua, dr_grammar__bash, dr_grammar__elixir, dr_grammar__zig, dr_grammar__html, dr_grammar__css,
    dr_grammar__json, dr_grammar__yaml, dr_grammar__toml, dr_grammar__markdown, dr_grammar__make;

/* The walk itself, for a grammar that does something else before or after it. */
void dr_walk__tree(dr_walk *w, TSNode root);

/* For visitors. A null node is accepted everywhere and does nothing. */
TSNode dr_walk__field(const dr_walk *w, TSNode node, int field);
uint8_t dr_walk__rule(const dr_walk *w, TSNode node);
dr_str dr_walk__text(const dr_walk *w, TSNode node);
const dr_scope *dr_walk__scope(const dr_walk *w); /* innermost, or NULL */
bool dr_walk__in_function(const dr_walk *w);      /* innermost scope that is not a module is a function */
void dr_walk__mark(dr_walk *w, TSNode name, uint8_t marks);
void dr_walk__enter(dr_walk *w, int kind, TSNode name); /* a scope: the node being visited */
/* A definition; its container is the innermost scope's name unless `container` is a node. Marks the name. */
void dr_walk__define(dr_walk *w, TSNode name, TSNode whole, dr_sym_kind kind, const TSNode *container);
void dr_walk__define_at(dr_walk *w, uint32_t name_at, uint32_t name_n, uint32_t line, uint32_t first_line,
                        uint32_t end_line, dr_sym_kind kind);
/* Of the definition that was made last (nothing when it was refused): where its body begins, unless `whole` has a field
 * "body" that says it, and the line of a docstring. The comment above a definition is found without being told. */
void dr_walk__body(dr_walk *w, TSNode body);
void dr_walk__doc(dr_walk *w, uint32_t line);
/* What stands between the quotes of a string node; empty for one that is made of parts. */
dr_str dr_walk__string(const dr_walk *w, TSNode string);
/* An import; the name is copied. */
void dr_walk__import(dr_walk *w, dr_str name, uint32_t line, dr_import_form form);
void dr_walk__local(dr_walk *w, TSNode name); /* marks it, and hides it in the function around */
/* Every name (DR_RULE_NAME) below a pattern is a local. */
void dr_walk__locals_in(dr_walk *w, TSNode pattern);
void dr_walk__use_at(dr_walk *w, uint32_t at, uint32_t n, uint32_t line, bool is_call);

/* Fills in doc_line of every definition that has none, from the comment lines right above it (comments.c). */
void dr_walk__find_comments(dr_walk *w);

/* Text that the parser will not see (soften.c). */
void dr_walk__lexical_range(dr_walk *w, uint32_t begin, uint32_t end);
void dr_soften(dr_walk *w, char *copy);

/* Uses in text that has no tree (a macro's body): names outside strings and comments. */
void dr_lexical__uses(dr_walk *w, uint32_t begin, uint32_t end, uint32_t line);
/* Definitions that start at a line's beginning, in what the parser gave up on. */
void dr_lexical__definitions(dr_walk *w, uint32_t begin, uint32_t end, uint32_t line);

bool dr_walk_init(dr_walk *w); /* false: out of memory. Zeroed storage. */
void dr_walk_fini(dr_walk *w);

/* The syntax tree of one text within its parse budget, the caller's to delete; NULL through *tree when there is no grammar
 * for it (w->grammar is NULL then) or the budget ran out. Borrows the text. DR_ERR_CANCELLED, DR_ERR_NOMEM. */
dr_status dr_walk__parse(dr_walk *w, TSTree **tree, dr_lang lang, dr_str text);

/* Facts of one text, replacing w's. DR_ERR_CANCELLED, DR_ERR_NOMEM. Text over its parse budget gets lexical facts only.
 */
dr_status dr_walk_extract(dr_walk *w, dr_lang lang, dr_str text);

#endif
