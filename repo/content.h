/* repo/content.h: from the bytes of a file to text: what they are, and the same in UTF-8.
 *
 * Decided by the bytes, and by the name of an encoding where a working-tree-encoding attribute gives one; nothing
 * else, so what is found is kept per blob. In this order: a Git LFS pointer; UTF-16 with its mark; the named encoding,
 * when the bytes are not UTF-8 already (git stores UTF-8 and converts at checkout, but not everyone's did); git's own
 * rule for binary (a NUL in the first 8,000 bytes); UTF-8; Windows-1252.
 *
 * Windows-1252 gives every byte a meaning but five, so the test is whether it reads like Western European text: high
 * bytes mostly alone or in pairs and mostly letters or typographic marks, no control characters. Russian, Chinese,
 * Japanese or Korean text in an old encoding does not pass, and is refused instead of shown as noise.
 *
 * Converting never adds or removes a line. No state: any thread. */
#ifndef DR_REPO_CONTENT_H
#define DR_REPO_CONTENT_H

#include "base/bytes.h"

/* Raised when the same bytes may be judged or converted otherwise: part of every key of something made from text. */
enum { DR_CONTENT_VERSION = 3 };

/* The numbers are stored: append only. */
typedef enum dr_content_kind {
    DR_CONTENT_UTF8 = 0,
    DR_CONTENT_UTF16,        /* converted */
    DR_CONTENT_WINDOWS_1252, /* converted */
    DR_CONTENT_NAMED,        /* converted from what the attribute names */
    DR_CONTENT_NUL,          /* binary */
    DR_CONTENT_WIDE,         /* a mark of UTF-16 or UTF-32 before what is not UTF-16 text */
    DR_CONTENT_OTHER,        /* text in another encoding */
    DR_CONTENT_LFS,
    DR_N_CONTENT_KINDS
} dr_content_kind;

bool dr_content__is_text(dr_content_kind kind);
bool dr_content__is_converted(dr_content_kind kind);

/* What the bytes are. *utf8 is replaced by the converted text of a converted kind, and emptied for all others.
 * encoding: a name, or empty. DR_ERR_NOMEM only. */
dr_status dr_content__look(dr_content_kind *kind, dr_buf *utf8, dr_str bytes, dr_str encoding, dr_error *err);

/* The size that a Git LFS pointer states; 0 when it states none. */
uint64_t dr_content__lfs_size(dr_str pointer);

#endif
