/* footprint.h - what the programs about memory share: how much the process holds, and tables that do not count.
 *
 * Each program does the same with its blocks on every malloc, and prints as figures what it holds at the moments that
 * matter, in MiB of resident memory above what it held when it began, beside the bytes that live then. No program calls
 * anything that gives memory back.
 */
#ifndef FOOTPRINT_H
#define FOOTPRINT_H

#include "../rows/row.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* A table of `bytes`, zero and resident, past malloc: made before footprint_begin it is no part of what is measured. */
static inline void *own_table(size_t bytes)
{
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED)
        fail("out of memory");
    return table;
}

static inline size_t resident(void)
{
    char text[100];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        fail("/proc/self/statm cannot be read");
    text[length] = 0;
    const char *second = strchr(text, ' ');
    return second ? strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

static size_t resident_at_begin;

static inline void footprint_begin(void) { resident_at_begin = resident(); }

/* Bytes held above the beginning. */
static inline double footprint(void) { return (double)resident() - (double)resident_at_begin; }

static inline void figure(const char *name, double value) { fprintf(stderr, "figure %s %.4f\n", name, value); }

static inline void idle(uint64_t seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds};
    while (nanosleep(&left, &left) != 0)
        ;
}

static inline double seconds_of(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

/* CPU time of the process so far: the system's part, and all of it. */
static inline double cpu_system(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_stime);
}

static inline double cpu_all(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_stime) + seconds_of(usage.ru_utime);
}

static inline void shuffle(void **block, size_t count, uint64_t *state)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = below(state, i);
        void *held = block[i - 1];
        block[i - 1] = block[other];
        block[other] = held;
    }
}

#endif
