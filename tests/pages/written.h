/* pages/written.h - traces for the tests of `allot pages`: files of any bytes, and random references. */
#ifndef TESTS_PAGES_WRITTEN_H
#define TESTS_PAGES_WRITTEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/random.h"
#include "pages/refs.h"

/* A descriptor of a file with those bytes. */
static inline int written(const void *bytes, size_t size)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) {
        abort();
    }
    return fd;
}

/* `count` references to `pages` pages: mostly to near ones in bursts, some to any, as oracleGeneral of addresses of that page size. */
static inline int written_bursts(size_t count, size_t pages, unsigned shift, uint64_t spread, uint64_t seed)
{
    struct random r = {seed};
    unsigned char *bytes = calloc(count, 24);
    uint64_t near[4] = {0};
    for (size_t i = 0; i < count; i++) {
        if (random_below(&r, 5) == 0) {
            uint64_t skewed = random_below(&r, 1 + random_below(&r, pages));
            near[random_below(&r, 4)] = (skewed * spread) << shift;
        }
        uint64_t id = near[random_below(&r, 4)] + random_below(&r, (uint64_t)1 << shift);
        uint32_t size = 1;
        uint64_t next = UINT64_MAX;
        memcpy(bytes + 24 * i + 4, &id, 8);
        memcpy(bytes + 24 * i + 12, &size, 4);
        memcpy(bytes + 24 * i + 16, &next, 8);
    }
    int fd = written(bytes, 24 * count);
    free(bytes);
    return fd;
}

#endif
