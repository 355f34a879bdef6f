/* repo/attributes.h: .gitattributes files, and what they say about a path in the few attributes that matter here.
 *
 * As git has it: a later line and a deeper file win, info/attributes before all of them, "-name" is no, "!name" leaves
 * it unsaid, [attr] lines of the root file and of info/attributes define macros (and "binary" is one: -diff -merge
 * -text), a line with one bad name or more than 2,047 bytes counts for nothing. Owned by one thread until
 * dr_attributes__finish; afterwards any thread may look up. */
#ifndef DR_REPO_ATTRIBUTES_H
#define DR_REPO_ATTRIBUTES_H

#include "base/bytes.h"

typedef struct dr_attributes dr_attributes;

typedef enum dr_attr {
    DR_ATTR_BINARY = 0,
    DR_ATTR_DIFF,
    DR_ATTR_TEXT,
    DR_ATTR_GENERATED,
    DR_ATTR_VENDORED,
    DR_ATTR_EXPORT_IGNORE,
    DR_ATTR_ENCODING, /* working-tree-encoding */
    DR_ATTR_EOL,
    DR_ATTR_FILTER,
    DR_N_ATTRS
} dr_attr;

typedef enum dr_attr_state {
    DR_ATTR_UNSAID = 0, /* by no line, or by "!name" */
    DR_ATTR_NO,         /* "-name" */
    DR_ATTR_YES,        /* "name" */
    DR_ATTR_VALUE,      /* "name=value" */
} dr_attr_state;

/* What is made of them. Borrowed from the attributes. */
typedef struct dr_attr_set {
    int8_t binary, generated, vendored; /* -1 not said, 0 said no, 1 said yes */
    bool export_ignore;
    bool text_yes, text_auto, text_no; /* how line ends go between git and the working tree: text, eol */
    bool lfs;                          /* filter=lfs */
    dr_str encoding;                   /* working-tree-encoding, or empty */
} dr_attr_set;

/* The line that decided about one attribute. */
typedef struct dr_attr_rule {
    dr_attr_state state;
    dr_str value;
    dr_str file; /* as it was named to dr_attributes__add; empty: no line said anything */
    uint32_t line;
    dr_str text; /* the whole line */
} dr_attr_rule;

dr_attributes *dr_attributes__new(void); /* NULL: out of memory */
void dr_attributes__free(dr_attributes *a);

/* folder: of the .gitattributes, "" for the root. Add shallower folders first, and info/attributes (folder "", is_info)
 * last. file: its name in explanations. Copies what it needs. */
dr_status dr_attributes__add(dr_attributes *a, dr_str folder, dr_str file, bool is_info, dr_str content, dr_error *err);

/* After the last file, before the first look-up. */
dr_status dr_attributes__finish(dr_attributes *a, dr_error *err);

dr_attr_set dr_attributes__get(const dr_attributes *a, dr_str path, bool is_folder);

/* Whether any line mentions the attribute, by itself or through a macro. */
bool dr_attributes__mentions(const dr_attributes *a, dr_attr attr);

void dr_attributes__why(dr_attr_rule *out, const dr_attributes *a, dr_attr attr, dr_str path, bool is_folder);

#endif
