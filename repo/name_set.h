/* repo/name_set.h: a set of texts, numbered in the order they came.
 *
 * The texts are borrowed: they must stay where they are. One thread while it grows; any number may look things up. */
#ifndef DR_REPO_NAME_SET_H
#define DR_REPO_NAME_SET_H

#include "base/bytes.h"

typedef struct dr_name_slot {
    uint32_t tag;    /* of the hash, so that most comparisons need not touch the text */
    uint32_t number; /* + 1; 0: free */
} dr_name_slot;

/* Zeroed storage is an empty set. */
typedef struct dr_name_set {
    dr_str *list; /* [n] by number */
    dr_name_slot *slots;
    size_t n, n_slots;
} dr_name_set;

enum { DR_NAME_MISSING = -1, DR_NAME_NO_MEMORY = -2 };

int64_t dr_name_set_add(dr_name_set *s, dr_str name);         /* its number, or DR_NAME_NO_MEMORY */
int64_t dr_name_set_find(const dr_name_set *s, dr_str name); /* its number, or DR_NAME_MISSING */
void dr_name_set_fini(dr_name_set *s);

#endif
