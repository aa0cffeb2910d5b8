/* probe/mapped.h - what an address of code is in: which part of which file, as a symboliser wants to know it later, elsewhere. */
#ifndef PROBE_MAPPED_H
#define PROBE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAPPED_ID = 20 };

struct mapped {
    uintptr_t start, end; /* whole pages of one segment of the file */
    uint64_t offset;      /* of `start` in it */
    size_t id_length;     /* 0: it has no build id */
    unsigned char id[MAPPED_ID];
    char path[1024]; /* of the file; "[vdso]" */
};

/* False when no object lies there, as under code that was made at run time. Allocates nothing and takes no lock. */
bool mapped_find(uintptr_t address, struct mapped *out);

#endif
