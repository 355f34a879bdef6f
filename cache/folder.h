/* cache/folder.h: is this folder ours to use? Owner, permissions, file system, format. Internal to cache/. */
#ifndef DR_CACHE_FOLDER_H
#define DR_CACHE_FOLDER_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct dr_folder {
    int fd;      /* -1: not open */
    int lock_fd; /* -1: not locked */
    bool read_only;
    dev_t dev;
    ino_t ino;
    char *path;
} dr_folder;

/* Makes and opens the folder, and refuses what is not safe to use; folder_close accepts what a failed open left. When the folder
 * is writable, the opening lock is held until dr_folder__unlock: processes open the cache one after another. */
dr_status dr_folder__open(dr_folder *f, const char *path, bool read_only, dr_error *err);
void dr_folder__unlock(dr_folder *f);
void dr_folder__close(dr_folder *f);

typedef enum dr_folder_state { DR_FOLDER_EMPTY, DR_FOLDER_OURS, DR_FOLDER_OTHER_FORMAT } dr_folder_state;

/* What the version file says. DR_ERR_ARG when a file in it is not the user's own. */
dr_status dr_folder__state(dr_folder *f, dr_folder_state *state, dr_error *err);

/* Makes kv/ and facts/ where they are missing, and the version file of a folder that is empty. */
dr_status dr_folder__prepare(dr_folder *f, dr_folder_state state, dr_error *err);

/* Moves kv/ and facts/ into aside/, in place of what was there. */
dr_status dr_folder__move_aside(dr_folder *f, dr_error *err);

/* Deletes a subfolder and what is in it; one that is not there is fine. */
dr_status dr_folder__delete(dr_folder *f, const char *name, dr_error *err);

/* Bytes on disk below a subfolder, 0 when it is not there. */
int64_t dr_folder__bytes(const dr_folder *f, const char *name);

/* NULL, or the name of the kind of file system on which LMDB's locks and maps cannot be relied on. */
const char *dr_folder__remote_kind(uint64_t magic);

#endif
