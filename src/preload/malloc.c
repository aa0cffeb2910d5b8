/* preload/malloc.c - the names that C programs know: malloc and its family, on allot's heap.
 *
 * The frequent ones are the fast paths themselves; the rest are allot's functions under another name. cfree left
 * glibc's headers in 2017, old programs still call it.
 */
#include <stddef.h>

#include <allot/malloc.h>

#include "heap/fast.h"

ALLOT_API void *malloc(size_t size) { return fast_malloc(size); }

ALLOT_API void free(void *p) { fast_free(p); }

ALLOT_API void *calloc(size_t n, size_t size) { return allot_calloc(n, size); }

ALLOT_API void *realloc(void *p, size_t size) { return allot_realloc(p, size); }

ALLOT_API void *reallocarray(void *p, size_t n, size_t size) { return allot_reallocarray(p, n, size); }

ALLOT_API void cfree(void *p) { fast_free(p); }

ALLOT_API void free_sized(void *p, size_t size) { allot_free_sized(p, size); }

ALLOT_API void free_aligned_sized(void *p, size_t align, size_t size) { allot_free_aligned_sized(p, align, size); }

ALLOT_API void *aligned_alloc(size_t align, size_t size) { return allot_aligned_alloc(align, size); }

ALLOT_API int posix_memalign(void **out, size_t align, size_t size) { return allot_posix_memalign(out, align, size); }

ALLOT_API void *memalign(size_t align, size_t size) { return allot_memalign(align, size); }

ALLOT_API void *valloc(size_t size) { return allot_valloc(size); }

ALLOT_API void *pvalloc(size_t size) { return allot_pvalloc(size); }

ALLOT_API size_t malloc_usable_size(void *p) { return allot_malloc_usable_size(p); }

ALLOT_API void *__libc_malloc(size_t size) { return fast_malloc(size); }
ALLOT_API void __libc_free(void *p) { fast_free(p); }
ALLOT_API void *__libc_calloc(size_t n, size_t size) { return allot_calloc(n, size); }
ALLOT_API void *__libc_realloc(void *p, size_t size) { return allot_realloc(p, size); }
ALLOT_API void *__libc_memalign(size_t align, size_t size) { return allot_memalign(align, size); }
ALLOT_API void *__libc_valloc(size_t size) { return allot_valloc(size); }
ALLOT_API void *__libc_pvalloc(size_t size) { return allot_pvalloc(size); }
