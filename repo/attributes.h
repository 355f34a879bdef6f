/* repo/attributes.h: the few .gitattributes that matter here: binary, linguist-generated, linguist-vendored.
 *
 * Patterns as git matches them: without a slash against the last part of a path, with one against the path from the
 * folder of the .gitattributes; '*' and '?' stop at slashes, '**' does not. Later lines win, deeper files win.
 * Owned by one thread while files are added; afterwards any thread may look up. */
#ifndef DR_REPO_ATTRIBUTES_H
#define DR_REPO_ATTRIBUTES_H

#include "base/arena.h"
#include "base/bytes.h"

typedef struct dr_attributes dr_attributes;

typedef struct dr_attr_set {
    int binary, generated, vendored; /* -1 not said, 0 said no, 1 said yes */
    dr_str encoding;                 /* working-tree-encoding, or empty; borrowed from the attributes */
} dr_attr_set;

dr_attributes *dr_attributes__new(void); /* NULL: out of memory */
void dr_attributes__free(dr_attributes *a);

/* folder: of the .gitattributes, "" for the root. Add shallower folders first. Copies what it needs. */
dr_status dr_attributes__add(dr_attributes *a, dr_str folder, dr_str content, dr_error *err);

dr_attr_set dr_attributes__get(const dr_attributes *a, dr_str path);

/* git's wildmatch with slashes special. A pattern that needs too many steps does not match. */
bool dr_attributes__match(dr_str pattern, dr_str text);

#endif
