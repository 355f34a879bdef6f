/* repo/disk.h: files of a working tree or folder, reached without following a link.
 *
 * Every part of a path is opened relative to the one before it with O_NOFOLLOW, so a folder that is swapped for a link
 * while we look cannot lead outside the root. Any thread. */
#ifndef DR_REPO_DISK_H
#define DR_REPO_DISK_H

#include "base/bytes.h"

#include <sys/stat.h>

/* Opens the folder that holds the last part of path, and says where that part starts. Negative: errno says why. The caller
 * closes it. */
int dr_disk__open_parent(int root_fd, const char *path, const char **last);

/* lstat of root_fd/path. False: it is not there, or a part of the way is not a folder. */
bool dr_disk__stat(struct stat *sb, int root_fd, const char *path);

/* A regular file's bytes, replacing what *out holds. DR_ERR_NOT_FOUND, DR_ERR_IO; DR_ERR_LIMIT above max_bytes. */
dr_status dr_disk__read(dr_buf *out, int root_fd, const char *path, uint64_t max_bytes, dr_error *err);

/* Size, inode and times in one number, never 0: the same number, the same bytes, for a file that was last changed well
 * before it was taken (dr_disk__is_settled). */
uint64_t dr_disk__print(const struct stat *sb);
bool dr_disk__is_settled(const struct stat *sb); /* not changed within the last two seconds */

/* A file of that size whose print is still this one, before and after it was read. False: it is not, or cannot be read. */
bool dr_disk__read_same(dr_buf *out, int root_fd, const char *path, uint64_t size, uint64_t print);

/* dr_disk__read for a file below a folder of that name. */
dr_status dr_disk__read_below(dr_buf *out, const char *folder, const char *path, uint64_t max_bytes, dr_error *err);

/* What a symbolic link holds. */
dr_status dr_disk__read_link(dr_buf *out, int root_fd, const char *path, dr_error *err);

/* git's id of a blob with these bytes. */
void dr_disk__blob_id(uint8_t id[20], dr_str content);

#endif
