/* region.h - what bench/parts/region.c asks of whoever places ranges. */
#ifndef REGION_BENCH_H
#define REGION_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <allot/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct held {
    uint64_t size; /* a multiple of the unit */
    union {        /* whatever gives it back */
        uint64_t handle[2];
        struct allot_range range;
    };
};

struct engine {
    void *(*open)(uint64_t size, uint64_t unit, int mode);
    bool (*take)(void *self, struct held *); /* `size` bytes; false: nothing fits */
    void (*give)(void *self, struct held *);
    void (*close)(void *self);
};

extern const struct engine naive_engine;  /* exact best fit on two std::set */
extern const struct engine vma_engine;    /* VmaVirtualBlock; the mode is its strategy */
extern const struct engine offset_engine; /* OffsetAllocator::Allocator, in units */
extern const struct engine tlsf_engine;   /* tlsf_malloc in a mapping that is resident */

#ifdef __cplusplus
}
#endif

#endif
