/* common/overcommit.h - more bytes than the machine has memory for, and swap. */
#ifndef COMMON_OVERCOMMIT_H
#define COMMON_OVERCOMMIT_H

#include <stdio.h>
#include <sys/sysinfo.h>

/* Twice as many; 0: this system gives nobody address space for more than there is. */
static inline size_t twice_what_there_is(void)
{
    int never = 0;
    struct sysinfo info;
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    bool known = file && fscanf(file, "%d", &never) == 1 && sysinfo(&info) == 0;
    if (file) {
        fclose(file);
    }
    return known && never != 2 ? 2 * (info.totalram + info.totalswap) * info.mem_unit : 0;
}

#endif
