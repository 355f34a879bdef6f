#include "engine/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number behind `key` at the start of a line; key "": the file's first number. */
static bool read_number(uint64_t *out, const char *root, const char *folder, const char *file, const char *key)
{
    char path[PATH_MAX], line[256];
    const size_t n = strlen(key);
    bool found = false;

    if ((size_t)snprintf(path, sizeof path, "%s%s%s", root, folder, file) >= sizeof path)
        return false;
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f))
        found = strncmp(line, key, n) == 0 && sscanf(line + n, "%" SCNu64, out) == 1;
    fclose(f);
    return found;
}

typedef struct group_files {
    const char *limit, *used, *stat, *file_pages[2];
} group_files;

static const group_files version_2 = {"/memory.max", "/memory.current", "/memory.stat", {"inactive_file ", "active_file "}};
static const group_files version_1 = {
    "/memory.limit_in_bytes", "/memory.usage_in_bytes", "/memory.stat", {"total_inactive_file ", "total_active_file "}};

/* One group: "max" is no number, and no limit. */
static void look_at_group(dr_memory *m, const char *root, const char *folder, const group_files *names)
{
    uint64_t limit, used = 0, pages, files = 0;

    if (!read_number(&limit, root, folder, names->limit, "") || (m->total && limit >= m->total))
        return;
    (void)read_number(&used, root, folder, names->used, "");
    for (int i = 0; i < 2; i++)
        if (read_number(&pages, root, folder, names->stat, names->file_pages[i]))
            files += pages;
    used -= files < used ? files : used;
    const uint64_t left = limit > used ? limit - used : 0;
    m->total = limit;
    if (left < m->available || !m->available) {
        m->available = left ? left : 1; /* 0 would mean that nothing is known */
        m->limited = true;
    }
}

/* The group named by `path` below `mount`, and every one above it. */
static void look_up(dr_memory *m, const char *root, const char *mount, const char *path, const group_files *names)
{
    char folder[PATH_MAX];

    if ((size_t)snprintf(folder, sizeof folder, "%s%s", mount, path) >= sizeof folder)
        return;
    for (const size_t end = strlen(mount);;) {
        look_at_group(m, root, folder, names);
        char *slash = strrchr(folder, '/');
        if (!slash || strlen(folder) <= end)
            return;
        *((size_t)(slash - folder) < end ? folder + end : slash) = 0;
    }
}

dr_memory dr_memory_look(const char *root)
{
    dr_memory m = {0};
    char path[PATH_MAX], line[PATH_MAX];
    uint64_t kib;

    if (read_number(&kib, root, "/proc/meminfo", "", "MemAvailable:"))
        m.available = kib << 10;
    if (read_number(&kib, root, "/proc/meminfo", "", "MemTotal:"))
        m.total = kib << 10;
    if ((size_t)snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= sizeof path)
        return m;
    FILE *f = fopen(path, "re");
    if (!f)
        return m;
    while (fgets(line, sizeof line, f)) { /* ID:CONTROLLERS:/PATH */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers++ = 0;
        *group++ = 0;
        if (!*controllers)
            look_up(&m, root, "/sys/fs/cgroup", group, &version_2);
        else if (strcmp(controllers, "memory") == 0)
            look_up(&m, root, "/sys/fs/cgroup/memory", group, &version_1);
    }
    fclose(f);
    return m;
}
