/* collect.h - makes the area that programs are recorded in (probe/ring.h), and puts what they write there into a file.
 *
 *   threads of recorded processes ---> area ---> collector, a thread of this process (apart.h) ---> file
 *
 * Whatever is written there is in the file some 30 ms later. See collector.h for how.
 */
#ifndef ALLOT_RECORD_COLLECT_H
#define ALLOT_RECORD_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct collect_options {
    int fd;              /* of the file, empty; it is taken */
    const char *command; /* words, each ended by a zero */
    size_t command_bytes;
    uint32_t flags;       /* RING_STACKS and so on */
    uint32_t patience_us; /* how long a thread waits rather than lose events */
    uint32_t chunks;      /* 0: as many as are good */
    int area;             /* an empty file to have the area in, which is taken; 0: one in memory, without a name */
};

struct collect_result {
    uint64_t events, lost, bytes;
    uint64_t cpu_ns;          /* that collecting took */
    uint64_t waited_ns;       /* that threads waited */
    unsigned processes, left; /* recorded; and of them, that still run */
    int error;                /* -errno: what kept the file from being written to its end */
};

struct collector;
/* NULL with *error set. It collects from now on. */
struct collector *collect_begin(const struct collect_options *options, int *error);
/* Where recorded processes find the area. */
const char *collect_area(const struct collector *collector);
/* Some process that is recorded has not been found to be gone. */
bool collect_some_live(const struct collector *collector);
/* Collects what is there, ends the file, and frees the collector. */
void collect_end(struct collector *collector, struct collect_result *result);

#endif
