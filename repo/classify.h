/* repo/classify.h: what a file is, from its name, its attributes and what was found in its bytes. No state: any
 * thread. */
#ifndef DR_REPO_CLASSIFY_H
#define DR_REPO_CLASSIFY_H

#include "repo/attributes.h"
#include "repo/content.h"
#include "repo/repo.h"

/* What was found in the bytes of a blob, whatever its path. */
typedef struct dr_blob_facts {
    uint64_t size;
    uint64_t lfs_size;  /* of a Git LFS pointer: what it states */
    uint32_t n_secrets; /* in the text */
    dr_content_kind kind;
    bool says_generated, long_lines, is_pack; /* of the text */
} dr_blob_facts;

/* Why a file is not plain text. */
typedef enum dr_why {
    DR_WHY_NONE = 0,
    DR_WHY_ATTR_GENERATED,
    DR_WHY_NAME_GENERATED,
    DR_WHY_SAYS_GENERATED,
    DR_WHY_LONG_LINES,
    DR_WHY_NON_UTF8,
    DR_WHY_NUL,
    DR_WHY_UTF16,
    DR_WHY_ATTR_BINARY,
    DR_WHY_TOO_LARGE,
    DR_WHY_LFS,
    DR_WHY_SUBMODULE,
    DR_WHY_SYMLINK,
    DR_WHY_MISSING,
    DR_WHY_MISSING_FOLDER,
    DR_WHY_UNREADABLE,
    DR_WHY_NAME_CONTROL,
    DR_WHY_NAME_UTF8,
    DR_WHY_NAME_DOTS,
    DR_WHY_NAME_GIT,
    DR_WHY_NAME_LONG,
    DR_WHY_NAME_TWICE,
    DR_WHY_NAME_SECRET,
    DR_WHY_SPECIAL,
    DR_WHY_DEEPREADIGNORE,
    DR_WHY_EXPORT_IGNORE,
    DR_WHY_EXCLUDED,
    DR_WHY_NOT_INCLUDED,
    DR_WHY_OWN_PACK,
    DR_WHY_SUBMODULE_ABSENT,
    DR_WHY_SUBMODULE_READ,
    DR_N_WHYS
} dr_why;

const char *dr_why__text(dr_why why);    /* NULL for DR_WHY_NONE */
dr_file_class dr_why__class(dr_why why); /* every reason belongs to one class */

/* DR_WHY_NONE for a path that is safe to use: relative, UTF-8, no control characters, no empty, ".", ".." or ".git"
 * part, no key or token in it: names are shown everywhere, and one with a mask in it would name nothing. */
dr_why dr_classify__path(dr_str path);

/* A generator's signature in a comment near the top. */
bool dr_classify__says_generated(dr_str text);

/* Does it begin as a pack that this program wrote (docs/pack.md, any mode, or what changed between two commits)? Read
 * again with the files it is made of, it would show everything twice. */
bool dr_classify__is_pack(dr_str text);

/* By a regular file's path, attributes, and what was found in its bytes. */
dr_why dr_classify__verdict(dr_str path, const dr_attr_set *attr, const dr_blob_facts *facts);

bool dr_classify__is_utf8(dr_str text);

/* Minified, or data: a line over 32 KiB, or 500 bytes a line on average. */
bool dr_classify__has_long_lines(dr_str content);

/* One UTF-8 character at s: its length (1 to 4) and code point, or 0 when the bytes there are not UTF-8. n >= 1. */
size_t dr_classify__utf8_next(uint32_t *code, const char *s, size_t n);

#endif
