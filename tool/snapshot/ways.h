/* snapshot/ways.h - who points to what a trace says was live at its processes' ends: by the snapshots behind it (trace/behind.h). */
#ifndef ALLOT_SNAPSHOT_WAYS_H
#define ALLOT_SNAPSHOT_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/profile.h"

#define WAYS_MOST 64 /* each costs a search */

/* A block that was live when its process ended; its type and a way to it are filled in where they are known, to be freed. */
struct way_of {
    uint32_t process; /* number in the trace */
    uint64_t address, bytes;
    char *
        way; /* from a root, as leaks_print.h has it; of one that only lost blocks point to, from the one that it goes with */
    char *type;
};

/* Ways of the WAYS_MOST with most bytes, types of all. Without memory or disk for that it is complained, and they are not known. */
void ways_find(const char *trace, const struct profile *profile, struct way_of *of, size_t count);
void ways_end(struct way_of *of, size_t count);

#endif
