/* repo/to_git.h: from the bytes of a file on disk to those that git would store for it.
 *
 * Attributes and core.autocrlf may make the two differ: line ends, another encoding in the working tree, Git LFS.
 * Without undoing that, a file nobody touched would look changed as soon as its times are in doubt. Programs that a
 * repository names as filters are never run: files that go through one are taken as they lie on disk. */
#ifndef DR_REPO_TO_GIT_H
#define DR_REPO_TO_GIT_H

#include "repo/attributes.h"

/* What is to be done to a file; part of what its id depends on. */
typedef struct dr_to_git {
    bool line_ends; /* CRLF becomes LF */
    bool guess;     /* ... only when the bytes look like text, and the version in the index has no CRLF */
    bool lfs;
    dr_str encoding; /* to UTF-8 from this; empty: none. Borrowed from the attributes. */
} dr_to_git;

dr_to_git dr_to_git__of(const dr_attr_set *attr, bool autocrlf);

/* What was done in the end, in a byte, and back. */
enum { DR_TO_GIT_LINE_ENDS = 1, DR_TO_GIT_LFS = 2, DR_TO_GIT_ENCODING = 4 };
uint8_t dr_to_git__done(const dr_to_git *how);
dr_to_git dr_to_git__again(uint8_t done, dr_str encoding);

/* Different for different ways, for keys. */
uint32_t dr_to_git__digest(const dr_to_git *how);

/* Whether `guess` comes to a change of line ends for this content, seen alone. */
bool dr_to_git__guesses_text(dr_str content);

/* In place; guess is not looked at. DR_ERR_NOMEM only: what cannot be converted stays as it is. */
dr_status dr_to_git__apply(dr_buf *content, const dr_to_git *how, dr_error *err);

#endif
