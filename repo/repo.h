/* repo/repo.h: one snapshot of a source tree: its files, what each one is, and its text.
 *
 * A snapshot is a commit (any revision of a repository, bare or not, worktrees included), or the working tree (HEAD
 * with every file that differs from it taken from disk, untracked files that are not ignored added, deleted ones gone),
 * or a plain folder outside git. All three look the same from here: files sorted by path bytes, each with the id that
 * git gives its content, so facts about a file are keyed by id wherever it came from.
 *
 * Everything in a repository is hostile. Commits are read from the object database, never checked out, no filter and no
 * hook runs. A file on disk is reached from the root folder part by part without following a link, and read only if its
 * bytes still have the id of the snapshot, or (dr_repo_read) nothing says that they changed. A name that could mislead (control characters, not UTF-8, "..", ".git",
 * absolute) is listed as refused and never used. A working tree counts only if it holds the .git that
 * belongs to it, so a repository's settings cannot point this program at another folder.
 *
 * Shown text is all that this program ever shows, stores or hands to a model of a file: valid UTF-8 (UTF-16 with its
 * mark and Windows-1252 converted, others when a working-tree-encoding attribute names them), with the secrets in it
 * masked. Its lines are the file's own lines.
 *
 * Which files are in, and how: .gitattributes and info/attributes (binary, linguist-generated, linguist-vendored,
 * export-ignore, working-tree-encoding, macros), .deepreadignore files (the syntax of .gitignore, for tracked files
 * too), the patterns of the caller. Untracked files count unless .gitignore files, info/exclude or user_ignore say
 * otherwise; a folder outside git honours the .gitignore files in it.
 *
 * Immutable after dr_repo_open: every function may be called from any thread. Pointers are borrowed until
 * dr_repo_close. */
#ifndef DR_REPO_REPO_H
#define DR_REPO_REPO_H

#include "base/blob_store.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/threads.h"
#include "repo/secrets.h"

typedef struct dr_repo dr_repo;

typedef enum dr_file_class {
    DR_FILE_TEXT = 0,
    DR_FILE_GENERATED, /* text that a program wrote: by attribute, name, first lines, or very long lines */
    DR_FILE_NON_UTF8,  /* text in an encoding that is not converted */
    DR_FILE_BINARY,    /* NUL in the first 8,000 bytes, a UTF-32 mark, or the attribute */
    DR_FILE_TOO_LARGE,
    DR_FILE_LFS_POINTER, /* size: what the pointer states */
    DR_FILE_SUBMODULE,
    DR_FILE_SYMLINK, /* listed, never followed */
    DR_FILE_MISSING, /* named by the tree, not in the object database (partial clone, damage) */
    DR_FILE_REFUSED, /* a name that is not safe to use */
    DR_FILE_IGNORED, /* tracked, and taken out by .deepreadignore, export-ignore, exclude or include: not read; or a pack
                        that this program wrote */
    DR_N_FILE_CLASSES
} dr_file_class;

/* "text", "generated", "non_utf8", "binary", "too_large", "lfs_pointer", "submodule", "symlink", "missing", "refused",
 * "ignored" */
const char *dr_file_class_name(dr_file_class cls);

typedef struct dr_repo_file {
    dr_str path;    /* relative to the root, '/' between parts; s is terminated. Refused names are raw bytes. */
    uint64_t size;  /* bytes of content as it is; 0 for submodules, missing and ignored files */
    uint8_t id[20]; /* git's name of the content (a commit for submodules; zero for a folder's too large files) */
    dr_file_class cls;
    bool dirty;         /* from disk: differs from HEAD or is not in it */
    bool vendored;      /* by attribute (linguist-vendored); still text */
    bool converted;     /* the shown text was converted to UTF-8 */
    uint32_t n_secrets; /* places masked in the shown text; 0 when there is none */
    const char *why;    /* one short phrase for what is not plain text; NULL for DR_FILE_TEXT. Static. */
} dr_repo_file;

typedef struct dr_repo_options {
    const char *rev; /* any revision git understands: that commit. NULL: HEAD and the working tree over it */
    /* The most that is ever read of a file; larger is DR_FILE_TOO_LARGE. 0: 16 MiB. */
    uint64_t max_file_bytes;
    /* Patterns in the syntax of .gitignore, from the root. Of include, when there is one, a file must match one; "!"
     * takes back. */
    const char *const *include, *const *exclude;
    size_t n_include, n_exclude;
    /* Another snapshot of this repository whose .gitattributes and .deepreadignore files hold here in place of its own. NULL: its
     * own. Not used after dr_repo_open. */
    const dr_repo *rules_of;
    bool submodules;              /* read them too, each at the commit that is recorded for it */
    const char *user_ignore;      /* a file of ignore patterns for untracked files; NULL or not there: none */
    const dr_secret_allow *allow; /* secrets that are shown; NULL: none. Borrowed until dr_repo_close. */
    /* Keeps what was found in each blob, and which blobs lie on disk, so that a later open reads what changed only. May
     * be NULL. Not used after dr_repo_open. */
    const dr_blob_store *store;
    dr_pool *pool; /* reads in parallel; NULL: this thread */
} dr_repo_options;

/* path: the root, a folder inside it, a bare repository, or a folder outside git. opt NULL: all defaults. A .git that is
 * no repository (empty, damaged, a file that leads nowhere) is passed over as git does, with a warning in the identity.
 * DR_ERR_NOT_FOUND: no such folder, no such revision, a revision asked of a plain folder or of a repository without
 * commits. DR_ERR_FORMAT: a damaged repository, or a kind not read (SHA-256 object names). DR_ERR_LIMIT: more than a
 * million files. */
dr_status dr_repo_open(dr_repo **out, const char *path, const dr_repo_options *opt, dr_error *err);
void dr_repo_close(dr_repo *r);

/* In the order of path bytes. */
size_t dr_repo_n_files(const dr_repo *r);
const dr_repo_file *dr_repo_file_at(const dr_repo *r, size_t index); /* index < n_files */
bool dr_repo_find(const dr_repo *r, dr_str path, size_t *index);     /* exact path */

/* Text and generated: what has a shown text. */
bool dr_repo_is_text(const dr_repo_file *f);

/* The shown text of a file, replacing what *out holds. DR_ERR_ARG for a class without one, with the reason;
 * DR_ERR_AGAIN: the file on disk changed after the snapshot was taken; DR_ERR_IO, DR_ERR_FORMAT: unreadable or
 * damaged. Any thread: the object database locks itself.
 *
 * For looking at. Where the working tree has a file that git's index vouches for, and its size, inode and times are
 * still those that the snapshot saw, the bytes come from there: nothing is unpacked and nothing hashed. */
dr_status dr_repo_read(const dr_repo *r, size_t index, dr_buf *out, dr_error *err);

/* The same, and the bytes were hashed: they are those that the file's id names. For all that is kept under the id. */
dr_status dr_repo_read_exact(const dr_repo *r, size_t index, dr_buf *out, dr_error *err);

/* The bytes as they are, for the same classes and with the same errors. Secrets are in there: never to be stored or
 * shown. */
dr_status dr_repo_read_raw(const dr_repo *r, size_t index, dr_buf *out, dr_error *err);

/* Where a symbolic link points, secrets masked, replacing what *out holds: any bytes. DR_ERR_ARG for anything else; DR_ERR_AGAIN,
 * DR_ERR_IO, DR_ERR_FORMAT as above. */
dr_status dr_repo_read_link(const dr_repo *r, size_t index, dr_buf *out, dr_error *err);

/* The shown text of any blob of the object database as if it stood at `path` in this snapshot, replacing what *out
 * holds. *cls TEXT or GENERATED: the text. Any other *cls: *out is empty, DR_OK all the same (binary, too large, not
 * there, ignored, a name that is refused). */
dr_status dr_repo_read_blob(const dr_repo *r, const uint8_t id[20], dr_str path, dr_buf *out, dr_file_class *cls,
                            dr_error *err);

/* SHA-256 of all that determines the shown text of a blob at a path: the rules of conversion and masking, the
 * allow-list, the encoding that an attribute names for the path, the blob. Key of everything made from shown text. */
void dr_repo_text_key(uint8_t key[32], const dr_repo *r, dr_str path, const uint8_t id[20]);

/* Of all rules that decide which files are in and how: their versions, the options, the content of every attributes
 * and .deepreadignore file. Not of .gitignore files: what they hide was never committed. */
void dr_repo_rules_digest(dr_digest *out, const dr_repo *r);

/* Appends one sentence or a few, with newlines between them: whether the path is in and why, naming the rule, its
 * file and line, for any path: one of a file of the snapshot, a folder, an untracked and ignored file, or of nothing.
 * Control characters of names are shown as '?'. */
dr_status dr_repo_explain(dr_buf *out, const dr_repo *r, dr_str path, dr_error *err);

typedef struct dr_repo_id {
    dr_str name;     /* the root folder's name; a bare repository's without ".git" */
    dr_str root;     /* absolute path of the working tree, the folder, or the bare repository */
    char commit[41]; /* 40 hex digits, or empty: a plain folder, or no commit yet */
    bool in_git;
    bool shallow;     /* the history of this clone is cut off: an order by history depends on where */
    bool from_disk;   /* the working tree was asked about, or a folder: citations are lines on disk */
    uint32_t n_dirty; /* files with `dirty`, plus files of HEAD that are gone from disk */
    dr_str warning;   /* a sentence when the files may not be the ones that were meant: a .git that is none; or empty */
    dr_digest digest; /* SHA-256 of the sorted list (path, kind, id): equal digests, equal snapshots */
} dr_repo_id;

const dr_repo_id *dr_repo_identity(const dr_repo *r);

#endif
