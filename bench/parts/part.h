/* part.h - what the programs of bench/parts share: the list of variants, the clock, the lines that bench/parts.py reads.
 *
 *     static const struct variant variants[] = {
 *         {"bare", "a bump pointer and nothing else", bare},
 *         {"allot", "allot_arena", allot},
 *         {"apr", "APR's pools (libapr1-dev)", APR},           APR is a function, or NULL in a build without
 *     };
 *     static const char *const demands[] = {"object allot <= 1.3 bare"};
 *     int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
 *
 * The first variant is the reference. One that rests on malloc and is to be run on every malloc begins with '*'.
 */
#ifndef PART_H
#define PART_H

#include "../rows/row.h"

#include <stdbool.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct variant {
    const char *name;
    const char *about;
    void (*run)(void);
};

/* Nanoseconds since some moment. */
static inline uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Makes the compiler believe that somebody reads what p points to. */
static inline void used(const void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

static inline void figure(const char *name, double value, const char *unit)
{
    printf("%s %.6g %s\n", name, value, unit);
}

static inline int part_main(int argc, char **argv, const struct variant *variants, size_t count,
                            const char *const *demands, size_t demand_count)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s --list | VARIANT\n", argv[0]);
        return 2;
    }
    bool list = strcmp(argv[1], "--list") == 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = variants[i].name;
        if (list) {
            printf("%s%s %s\n", variants[i].run ? "" : "-", name, variants[i].about);
        } else if (variants[i].run && strcmp(argv[1], name + (name[0] == '*')) == 0) {
            variants[i].run();
            return 0;
        }
    }
    for (size_t i = 0; list && i < demand_count; i++) {
        printf("demand: %s\n", demands[i]);
    }
    if (!list) {
        fprintf(stderr, "%s: no variant %s\n", argv[0], argv[1]);
    }
    return list ? 0 : 2;
}

#endif
