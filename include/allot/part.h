/* allot/part.h - what the parts have in common: how they are counted, and how they tell who watches.
 *
 * Every part is a struct of the caller's with an _init and a _done. Sizes are bytes, region offsets units of 64 bits. A pointer
 * function that fails returns NULL and sets errno, another returns 0 or -errno. Options structs: all zero means the defaults.
 * Misuse - a double free, a pointer of somebody else's, a use after done - is no error code: it ends the process with one line on
 * standard error that names the crime, the object and the address. Each part has a _check, which walks it, proves its equations
 * and ends the process likewise when one is broken. Memory that runs out is an ordinary return; allot_fail_after
 * (allot/malloc.h) rehearses it.
 */
#ifndef ALLOT_PART_H
#define ALLOT_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALLOT_API __attribute__((visibility("default")))

/* How the figures of every part begin. */
struct allot_use {
    uint64_t used;  /* bytes handed out and not taken back; of a region, units */
    uint64_t count; /* as so many objects, blocks or ranges */
    uint64_t
        held; /* what these are cut from: bytes taken from the heap below, records included; of a region, its units */
    uint64_t peak;    /* the most that `held` has been */
    uint64_t refused; /* requests that failed: memory out, a limit, nothing that fits */
};

/* Tells whoever watches the program's accesses - AddressSanitizer, valgrind's memcheck - that nobody may touch these bytes; or that
 * they may be touched and have no value yet. The parts do so themselves with what is free; these are for what is kept inside a
 * block. Any thread. Without anybody who watches: a test. */
ALLOT_API void allot_poison(const void *p, size_t size);
ALLOT_API void allot_unpoison(const void *p, size_t size);

#ifdef __cplusplus
}
#endif

#endif
