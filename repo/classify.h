/* repo/classify.h: what a file is, from its name and its bytes. No state: any thread. */
#ifndef DR_REPO_CLASSIFY_H
#define DR_REPO_CLASSIFY_H

#include "repo/repo.h"

/* Why a file is not plain text. The numbers are stored: append only. */
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
    DR_WHY_SPECIAL,
    DR_N_WHYS
} dr_why;

const char *dr_why__text(dr_why why);    /* NULL for DR_WHY_NONE */
dr_file_class dr_why__class(dr_why why); /* every reason belongs to one class */

/* DR_WHY_NONE for a path that is safe to use: relative, UTF-8, no control characters, no empty, ".", ".." or ".git"
 * part. */
dr_why dr_classify__path(dr_str path);

/* By the content of a regular file that is not too large. */
dr_why dr_classify__content(dr_str path, dr_str content, bool attr_binary, int attr_generated /* -1 unset, 0, 1 */);

bool dr_classify__is_utf8(dr_str text);

/* Minified, or data: a line over 32 KiB, or 500 bytes a line on average. */
bool dr_classify__has_long_lines(dr_str content);

/* One UTF-8 character at s: its length (1 to 4) and code point, or 0 when the bytes there are not UTF-8. n >= 1. */
size_t dr_classify__utf8_next(uint32_t *code, const char *s, size_t n);

#endif
