/* repo/ignore.h: files of ignore patterns (.gitignore and what has its syntax), and what they say about a path.
 *
 * As git has it: '#' starts a comment, blanks at the end of a line go unless escaped, "!" takes back, the last pattern
 * that matches decides, a deeper file before a shallower one. What lies in an ignored folder is ignored, whatever is
 * said about it. Owned by one thread while files are added; afterwards any thread may ask. */
#ifndef DR_REPO_IGNORE_H
#define DR_REPO_IGNORE_H

#include "base/bytes.h"

typedef struct dr_ignore dr_ignore;

/* The pattern that decided. Borrowed from the dr_ignore. */
typedef struct dr_ignore_rule {
    dr_str file; /* as it was named to dr_ignore__add; empty: no pattern matched */
    uint32_t line;
    dr_str text;   /* the pattern as it stands there */
    dr_str folder; /* the path or the folder above it that it matched; borrowed from the path asked about */
} dr_ignore_rule;

dr_ignore *dr_ignore__new(void); /* NULL: out of memory */
void dr_ignore__free(dr_ignore *g);

/* folder: whose files the patterns are about, "" for the root. file: its name in explanations. Of two files for one
 * folder the one added later comes first. Copies what it needs. DR_ERR_NOMEM. */
dr_status dr_ignore__add(dr_ignore *g, dr_str folder, dr_str file, dr_str content, dr_error *err);

bool dr_ignore__is_empty(const dr_ignore *g);

/* What the files say about this very path, the folders above it taken as not ignored. rule may be NULL. */
bool dr_ignore__says(const dr_ignore *g, dr_str path, bool is_folder, dr_ignore_rule *rule);

/* With the folders above it. rule (may be NULL): the pattern that decided, taken back or not. */
bool dr_ignore__has(const dr_ignore *g, dr_str path, bool is_folder, dr_ignore_rule *rule);

#endif
