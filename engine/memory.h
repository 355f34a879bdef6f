/* engine/memory.h: how much memory this process can still have.
 *
 * What the system calls available (free, and page cache that can be dropped), less where a control group gives the
 * process less: its limit minus what it uses, file pages not counted, since a mapped checkpoint's pages go when they are
 * needed elsewhere. Both versions of control groups are read, every group from the process's own up to the root. */
#ifndef DR_ENGINE_MEMORY_H
#define DR_ENGINE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct dr_memory {
    uint64_t available; /* bytes; 0: the system does not say */
    uint64_t total;     /* of the machine, or the smallest limit above the process */
    bool limited;       /* by a control group, not by the machine */
} dr_memory;

/* root: "" for this machine; tests give a folder that holds proc and sys. */
dr_memory dr_memory_look(const char *root);

#endif
