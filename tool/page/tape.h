/* page/tape.h - rows that are written as intervals end, and read in that order afterwards: on disk, in a file without a name, so that
 * they take 160 KiB of memory however many they are. At most one row a site (or thread) and interval, and no more than there are events. */
#ifndef ALLOT_PAGE_TAPE_H
#define ALLOT_PAGE_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPE_TOGETHER 4096

struct tape_row {
    uint32_t number, interval; /* of a site or thread */
    uint64_t live_bytes, live_blocks, bytes;
    uint32_t allocs, other; /* of a site those that lived briefly, of a thread frees */
};

struct tape {
    int fd; /* 0: none yet */
    const char *folder;
    struct tape_row *row;
    size_t rows;      /* in `row` */
    uint64_t written; /* in the file */
    int error;        /* errno of what failed; then rows are dropped */
};

void tape_put(struct tape *tape, const struct tape_row *row);
/* All rows in the order in which they were put. 0, or an errno: also of what failed when they were written. */
int tape_each(struct tape *tape, void (*tell)(void *arg, const struct tape_row *row), void *arg);
void tape_end(struct tape *tape);

#endif
