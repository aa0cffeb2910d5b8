/* heap/expect.h - the part of heap/hard.h that C++ can read too: what a free that is told size or alignment asks first. */
#ifndef HEAP_EXPECT_H
#define HEAP_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

extern bool slab_unlinked; /* slab/slab.h */

/* The process is hardened. */
static inline bool is_hard(void) { return __builtin_expect(slab_unlinked, 0); }

/* Faults unless p is a live block that was asked for with so many bytes and, but for 1, aligned so. `nothrow`: else clang
 * makes each delete need std::terminate, of the C++ library. */
void hard_expect_size(const void *p, size_t align, size_t size) __attribute__((nothrow));
void hard_expect_align(const void *p, size_t align) __attribute__((nothrow));

#endif
